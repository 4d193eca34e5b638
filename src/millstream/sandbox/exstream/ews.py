"""The engine as a web service (EWS): SOAP, one operation, Compose. Shapes are those of working requests and answers."""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import escape

from aiohttp import web
from lxml import etree  # type: ignore[import-untyped]  # ships no types
from pybase64 import b64encode

from millstream.sandbox.exstream import drivers, messages
from millstream.sandbox.exstream.composing import EXTENSIONS, NotComposed
from millstream.sandbox.exstream.errors import DriverProblem, EngineRefusal, Refusal
from millstream.sandbox.exstream.faults import FaultRule, Kind
from millstream.sandbox.exstream.front import LOGIN_PAGE, Front
from millstream.sandbox.exstream.jobs import Customer
from millstream.sandbox.gmail.faults import Point
from millstream.sandbox.gmail.strikes import Cut, cut, pause

NAMESPACE: Final = "urn:hpexstream-services/Engine"
_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_TYPE: Final = "text/xml"
_PDL: Final = {"PDF": "4", "HTML": "16", "Empower": "32"}
"""`fileHeader` has a number PDL; only that 4 is PDF is on record."""


@dataclass(frozen=True, slots=True)
class Compose:
    """A request, read."""

    driver: bytes
    file_name: str
    options: dict[str, str] = field(default_factory=dict)
    pattern: str = ""
    include_header: bool = False
    include_messages: bool = False
    package: str = ""


@dataclass(frozen=True, slots=True)
class _Result:
    status: str
    lines: list[str]
    files: list[tuple[str, str, bytes]]


class EngineService:
    """Serves `/EngineService` and the longer path that Tomcat gives it."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._world = front.world

    def routes(self) -> list[web.RouteDef]:
        """Both paths, for the call and for `?wsdl`."""
        paths = ("/EngineService", "/EngineService/EngineService")
        return [web.RouteDef(verb, path, serve, {}) for path in paths for verb, serve in self._verbs()]

    def _verbs(self) -> list[tuple[str, Any]]:
        return [("POST", self.call), ("GET", self.wsdl)]

    async def wsdl(self, request: web.Request) -> web.StreamResponse:
        """A description that names the operation; clients probe the service with it."""
        if "wsdl" not in request.query:
            return web.Response(status=405, headers={"Allow": "POST"})
        return web.Response(
            text=_WSDL.format(namespace=NAMESPACE, url=request.url.with_query(None)), content_type=_TYPE
        )

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self._world.calls["ews.compose"] += 1
        try:
            return await self._call(request)
        except EngineRefusal as refusal:
            text = _fault(refusal.message, client=refusal.client)
            return web.Response(text=text, status=refusal.status, content_type=_TYPE)
        except Refusal as refusal:
            text = _fault(refusal.details, client=refusal.status < 500)  # noqa: PLR2004  an HTTP status
            return web.Response(text=text, status=refusal.status, content_type=_TYPE)
        except Cut as event:
            return await cut(request, event, self._front.stopping)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        spoiled = self._front.spoil(Point.BEFORE, "ews.compose", "")
        if spoiled is not None:
            return spoiled
        odd = self._world.faults.strike(Point.ODD, "ews.compose", "")
        if odd is not None and odd.kind is Kind.HTML_200:
            return web.Response(text=LOGIN_PAGE, content_type="text/html")
        envelope = _envelope(await self._front.read(request))
        self._check_login(request.headers.get("Authorization", ""), envelope)
        compose = _read(envelope)
        answer = _answer(compose, await self._compose(compose))
        if odd is not None and odd.kind is Kind.SLOW:
            await pause(odd.delay, self._front.stopping)
        spoiled = self._front.spoil(Point.AFTER, "ews.compose", "")
        return spoiled if spoiled is not None else _whole_or_half(answer, odd)

    def _check_login(self, authorization: str, envelope: Any) -> None:
        """HTTP Basic or a WS-Security UsernameToken with its password in plain text."""
        config = self._world.config
        if config.ews_user is None:
            return
        given = [
            (one.findtext("{*}Username"), one.findtext("{*}Password")) for one in envelope.iter("{*}UsernameToken")
        ]
        kind, _, text = authorization.partition(" ")
        if kind.lower() == "basic":
            try:
                user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                user, password = "", ""
            given.append((user, password))
        for name, word in given:
            if name == config.ews_user and secrets.compare_digest((word or "").encode(), config.ews_password.encode()):
                return
        raise EngineRefusal("The login was not accepted", client=True, status=401 if not given else 500)

    async def _compose(self, compose: Compose) -> _Result:
        """The engine's run: every customer, every output; a run that breaks off is told by its status and messages."""
        now = self._world.clock.seconds
        try:
            records = drivers.read(compose.driver)
        except DriverProblem as problem:
            return _Result("Engine failed", [messages.line(now(), f"{messages.UNREADABLE} {problem}")], [])
        communication = next(iter(self._world.communications.values()), None)
        if communication is None:
            raise EngineRefusal("There is no communication in this sandbox; add one to its settings")
        lines, files = [], []
        chosen = _chosen(records, compose.options.get("CUSTOMERLIST"))
        for number, record in chosen:
            customer = Customer(number, number, record)
            try:
                made = await self._world.composing.submit(customer, communication.template, communication.outputs)
            except NotComposed as problem:
                lines.append(messages.line(now(), f"{messages.WRONG_DATA} {problem}", customer.id))
                continue
            files += [
                (f"{piece.queue}_{number:05}{EXTENSIONS[piece.driver]}", _PDL[piece.driver], piece.content)
                for piece in made.pieces
            ]
        lines.append(messages.line(now(), f"{messages.DONE} {len(chosen)} customers"))
        return _Result("Engine completed with errors" if len(lines) > 1 else "Engine completed", lines, files)


def _chosen(records: list[drivers.Record], numbers: str | None) -> list[tuple[int, drivers.Record]]:
    """The customers of CUSTOMERLIST, such as 2,7,14-50, with their numbers; raises `EngineRefusal`."""
    if numbers is None:
        return list(enumerate(records, 1))
    wanted: set[int] = set()
    for part in numbers.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise EngineRefusal(f"CUSTOMERLIST {numbers[:60]} is no list of numbers and ranges", client=True)
        wanted.update(range(int(first), min(int(last or first), len(records)) + 1))
    return [(number, record) for number, record in enumerate(records, 1) if number in wanted]


def _envelope(body: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise EngineRefusal(f"The request is no XML: {error}", client=True) from None
    if root.getroottree().docinfo.doctype:
        raise EngineRefusal("The request declares a document type", client=True)
    return root


def _read(envelope: Any) -> Compose:
    """The request inside an envelope. Its wrapper is qualified, what lies in it is not, and stands in order."""
    request = envelope.find(f"{{*}}Body/{{{NAMESPACE}}}Compose/EWSComposeRequest")
    if request is None:
        raise EngineRefusal(f"The body has no Compose of {NAMESPACE} with an EWSComposeRequest", client=True)
    order = [str(etree.QName(child).localname) for child in request if isinstance(child.tag, str)]
    known = [name for name in _ORDER if name in order]
    if [name for name in dict.fromkeys(order) if name in _ORDER] != known or set(order) - set(_ORDER):
        raise EngineRefusal(
            f"The elements of EWSComposeRequest must be, in this order: {', '.join(_ORDER)}", client=True
        )
    text = "".join((request.findtext("driver/driver") or "").split())
    try:
        driver = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise EngineRefusal("driver/driver is no base64", client=True) from None
    options = {one.findtext("name") or "": one.findtext("value") or "" for one in request.findall("engineOptions")}
    pattern = request.findtext("fileReturnRegEx") or ""
    try:
        re.compile(pattern)
    except re.error:
        raise EngineRefusal(f"fileReturnRegEx {pattern[:60]} is no regular expression", client=True) from None
    return Compose(
        driver=driver,
        file_name=request.findtext("driver/fileName") or "",
        options=options,
        pattern=pattern,
        include_header=_is_true(request.findtext("includeHeader")),
        include_messages=_is_true(request.findtext("includeMessageFile")),
        package=request.findtext("pubFile") or "",
    )


_ORDER: Final = (
    "driver", "driverEncoding", "engineOptions", "fileReturnRegEx", "includeHeader", "includeMessageFile", "outputFile",
    "pubFile", "pubFiles",
)  # fmt: skip


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("true", "1")


def _answer(compose: Compose, result: _Result) -> str:
    parts = []
    if compose.include_messages:
        text = "".join(f"{line}\n" for line in result.lines)
        parts.append(f"<engineMessage>{b64encode(text.encode()).decode()}</engineMessage>")
    for name, pdl, content in result.files:
        if compose.pattern and not re.fullmatch(compose.pattern, name):
            continue
        header = f"<fileHeader><PDL>{pdl}</PDL></fileHeader>" if compose.include_header else ""
        output = f"<fileOutput>{b64encode(content).decode()}</fileOutput>"
        parts.append(f"<files>{header}<fileName>{escape(name)}</fileName>{output}</files>")
    parts.append(f"<statusMessage>{escape(result.status)}</statusMessage>")
    inner = f'<ns2:ComposeResponse xmlns:ns2="{NAMESPACE}"><return>{"".join(parts)}</return></ns2:ComposeResponse>'
    return _wrapped(inner)


def _fault(message: str, *, client: bool) -> str:
    code = "S:Client" if client else "S:Server"
    detail = f'<ns2:EngineServiceException xmlns:ns2="{NAMESPACE}"><message>{escape(message)}</message>'
    inner = (
        f"<S:Fault><faultcode>{code}</faultcode><faultstring>{escape(message)}</faultstring>"
        f"<detail>{detail}</ns2:EngineServiceException></detail></S:Fault>"
    )
    return _wrapped(inner)


def _wrapped(inner: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><S:Envelope xmlns:S="{_SOAP}"><S:Body>{inner}</S:Body></S:Envelope>'


def _whole_or_half(answer: str, odd: FaultRule | None) -> web.Response:
    half = odd is not None and odd.kind is Kind.HALF_FILE
    return web.Response(text=answer[: len(answer) // 2] if half else answer, content_type=_TYPE)


_WSDL: Final = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:tns="{namespace}" targetNamespace="{namespace}" name="EngineService">
  <message name="Compose"/><message name="ComposeResponse"/>
  <portType name="EngineService">
    <operation name="Compose"><input message="tns:Compose"/><output message="tns:ComposeResponse"/></operation>
  </portType>
  <binding name="EngineServicePortBinding" type="tns:EngineService">
    <soap:binding transport="http://schemas.xmlsoap.org/soap/http" style="document"/>
    <operation name="Compose"><soap:operation soapAction=""/></operation>
  </binding>
  <service name="EngineService">
    <port name="EngineServicePort" binding="tns:EngineServicePortBinding"><soap:address location="{url}"/></port>
  </service>
</definitions>
"""
