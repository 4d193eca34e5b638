"""What listens on HTTP: the address where Pub/Sub pushes hints, and the answer to whether we are well."""

from millstream.web.errors import AddressUnusable, WebError
from millstream.web.push import HintSink, build
from millstream.web.serve import LOOPBACK, serve

__all__ = ["LOOPBACK", "AddressUnusable", "HintSink", "WebError", "build", "serve"]
