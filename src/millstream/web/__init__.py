"""What listens on HTTP: for pushes of Pub/Sub, for runs, for reviewers, and for whoever asks whether we are well."""

from millstream.web.errors import AddressUnusable, WebError
from millstream.web.push import HintSink, build
from millstream.web.review import ReviewDoor
from millstream.web.review_amp import AmpDoor
from millstream.web.serve import LOOPBACK, serve

__all__ = ["LOOPBACK", "AddressUnusable", "AmpDoor", "HintSink", "ReviewDoor", "WebError", "build", "serve"]
