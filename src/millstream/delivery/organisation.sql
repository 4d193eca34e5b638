-- name: draw
-- Permissions for so many recipients of the slice that runs now.
SELECT granted, slice, seconds_left, again_in, (SELECT o.reason FROM relay_organisation o) AS reason
FROM relay_draw(:wanted, :most, :seconds, :a_day);

-- name: drawn_today
-- What all workers drew in the last 24 hours.
SELECT coalesce(sum(granted), 0)::bigint AS drawn FROM relay_grant WHERE began_at > clock_timestamp() - interval '24 hours';

-- name: give_back!
-- Permissions of a slice that nobody used.
UPDATE relay_grant SET granted = greatest(0, granted - :unused) WHERE began_at = :slice;

-- name: rest!
-- No worker sends by the relay until then. A longer rest stays as it is.
UPDATE relay_organisation SET rests_until = :until, reason = :reason WHERE coalesce(rests_until < :until, true);

-- name: forget_grants!
-- Slices that count for nothing any more.
DELETE FROM relay_grant WHERE began_at < clock_timestamp() - interval '25 hours';
