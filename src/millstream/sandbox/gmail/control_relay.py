"""The relay in the control API: its authority, its rules, its limits, and what it did."""

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from millstream.quota import QuotaError
from millstream.sandbox.gmail.config import RelayAccess
from millstream.sandbox.gmail.control_wire import Handler, json_answer, read_document
from millstream.sandbox.gmail.dkim import SELECTOR
from millstream.sandbox.gmail.smtp_relay import Relay


class RelayDocument(BaseModel):
    """What to change: fields of `RelayAccess` by their names, and single limits."""

    model_config = ConfigDict(frozen=True, extra="allow")

    limits: dict[str, str] = Field(default_factory=dict, description="As limit_overrides of the configuration.")


class ControlRelay:
    """Handlers for `control.Control`."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def table(self) -> list[tuple[str, str, Handler]]:
        """Verbs and paths below `/sandbox/v1/`."""
        return [
            ("GET", "relay", self.show),
            ("POST", "relay", self.change),
            ("GET", "relay/ca", self.authority),
            ("GET", "relay/dkim", self.dkim),
        ]

    async def show(self, _request: web.Request) -> web.StreamResponse:
        """Rules and counts."""
        return json_answer(self._shown())

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Change rules and limits; what is not named stays."""
        wanted = await read_document(request, RelayDocument)
        relay, quota = self._relay, self._relay.room.quota
        access = RelayAccess.model_validate(relay.access.model_dump() | (wanted.model_extra or {}))
        if wanted.limits:
            try:
                quota.override(wanted.limits)
            except QuotaError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
            relay.limits.follow()
        relay.access = access
        return json_answer(self._shown())

    async def authority(self, _request: web.Request) -> web.StreamResponse:
        """The certificate of the authority that signs the relay's, as PEM."""
        return web.Response(body=self._relay.authority.pem, content_type="application/x-pem-file")

    async def dkim(self, _request: web.Request) -> web.StreamResponse:
        """The record that would stand in the DNS, and where."""
        domains = sorted(self._relay.room.world.domains)
        names = [f"{SELECTOR}._domainkey.{domain}" for domain in domains]
        return json_answer({"names": names, "txt": self._relay.signer.record})

    def _shown(self) -> dict[str, Any]:
        access = self._relay.access.model_dump()
        access["users"] = sorted(access["users"])
        return {"access": access, "used": self._relay.limits.ledger()}
