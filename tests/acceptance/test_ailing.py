"""Mailboxes that cannot send: the others take their work, and nobody gets two."""

from acceptance_stage import START, Stage, one_each

COUNT = 60


async def test_dead_full_and_parked_mailboxes_cost_nothing_but_time(stage: Stage, mailboxes, eventually) -> None:
    dead, full, parked, well = mailboxes[:4]
    stage.configure(dead, full, parked, well, delivery={"concurrency": 2})
    addresses = await stage.submit(COUNT)
    await stage.slow(0.1, "drafts.send")
    await stage.post("mailbox", {"address": dead, "token_dead": True})
    await stage.post("mailbox", {"address": full, "daily_limit": 3})
    await stage.post("mailbox", {"address": parked, "mail_sending_for": 3600})
    await stage.worker()

    async def said_why() -> bool:
        rows = await stage.rows("SELECT mailbox, reason FROM lane WHERE state = 'parked'")
        seen.update((row["mailbox"], row["reason"]) for row in rows)
        # Gmail's notice and its first refusal come close together: the one that is met first parks the mailbox.
        at_its_limit = {(full, "limit_notice"), (full, "mail_sending")} & seen
        return bool(at_its_limit) and {(dead, "token_dead"), (parked, "mail_sending")} <= seen

    seen: set[tuple[str, str]] = set()
    await eventually(said_why, within=START)

    async def taken_back() -> bool:
        return bool(await stage.rows("SELECT 1 FROM attempt WHERE kind = 'notice' AND mailbox = %(full)s", full=full))

    await eventually(taken_back, within=START)

    async def everybody_has_one() -> bool:
        return await stage.arrived() == one_each(addresses) and await stage.done(COUNT)()

    await eventually(everybody_has_one, within=START)
    ledger = await stage.get("ledger")
    assert ledger["mailboxes"][full]["answered_but_not_sent"] > 0  # it was believed, found out, and made good
    assert ledger["mailboxes"][full]["sent_last_day"] == 3
    assert ledger["mailboxes"][parked]["sent_last_day"] == 0
    await eventually(stage.no_drafts, within=30)

    await stage.post("mailbox", {"address": dead, "token_dead": False})
    assert (await stage.run("mailbox", "pause", well)).code == 0
    more = await stage.submit(10, key="november")
    await eventually(stage.done(10, "november"), within=START)
    assert (await stage.get("ledger"))["mailboxes"][dead]["sent_last_day"] == 10
    assert await stage.arrived() == one_each([*addresses, *more])
    assert await stage.chain_is_intact()
