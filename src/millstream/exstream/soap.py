"""An engine that runs as a web service (EWS): its one operation, Compose, by SOAP 1.1.

The request is written by hand: its wrapper stands in the namespace and its children in none, in a fixed order, as
working clients of others send it (read 2026-11-24). The answer is read by local names, and never with a DTD.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

import pybase64

from millstream.closing import Closing
from millstream.exstream import decode, translate
from millstream.exstream.answer import read_answer, redact
from millstream.exstream.caller import refused
from millstream.exstream.errors import BadRequest, Call, EngineFault, ExstreamError, Unauthorized
from millstream.exstream.model import EngineCall, EngineResult
from millstream.exstream.options import ExstreamOptions
from millstream.exstream.transport import Reply, Transport, utc_now

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_ENGINE = "urn:hpexstream-services/Engine"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_PASSWORD_TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"  # noqa: S105  a name
_XML = "text/xml"
_SUCCESS = range(200, 300)
_DEPTH = 64
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_DENIED = re.compile(r"FailedAuthentication|InvalidSecurity|FailedCheck|InvalidSecurityToken", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """The service knows us by HTTP."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UsernameToken:
    """The service knows us by WS-Security, the password as text."""

    user: str
    password: str = field(repr=False)


class EngineService(Closing):
    """An engine's web service. Every method raises an :class:`~millstream.exstream.errors.ExstreamError`."""

    def __init__(self, url: str, auth: BasicAuth | UsernameToken | None, options: ExstreamOptions) -> None:
        self._url = url
        self._auth = auth
        self._options = options
        self._transport = Transport(options)

    async def close(self) -> None:
        """End all connections."""
        await self._transport.close()

    async def compose(self, asked: EngineCall) -> EngineResult:
        """One composition.

        Raises:
            EngineFault: the engine answered with a fault.
            Unauthorized: the fault says that it does not know us.
        """
        call = Call("engine.compose", write=asked.output is not None)
        body = request(asked, self._auth, call)
        headers = {**self._headers(), "Content-Type": f"{_XML}; charset=utf-8", "SOAPAction": '""'}
        within = self._options.generate_seconds
        reply = await self._transport.exchange(call, "POST", self._url, headers=headers, body=body, within=within)
        return read_result(call, reply)

    async def wsdl(self) -> int:
        """Bytes of the service's own description: proof that it is there."""
        call = Call("engine.wsdl")
        reply = await self._transport.exchange(call, "GET", f"{self._url}?wsdl", headers=self._headers())
        if reply.status not in _SUCCESS:
            raise refused(call, reply)
        if b"definitions" not in reply.body:
            answer = read_answer(reply.status, reply.headers, reply.body, utc_now())
            raise translate.unreadable(call, reply.status, f"no description of a service: {answer.text}")
        return len(reply.body)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": _XML}
        if isinstance(self._auth, BasicAuth):
            pair = f"{self._auth.user}:{self._auth.password}".encode()
            headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        return headers


def request(asked: EngineCall, auth: BasicAuth | UsernameToken | None, call: Call) -> bytes:
    """The envelope of a call. Raises BadRequest where a value cannot stand in XML."""
    header = _security(auth, call) if isinstance(auth, UsernameToken) else ""
    fields = "".join(_fields(asked, call))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="{_ENVELOPE}" xmlns:eng="{_ENGINE}">'
        f"<soapenv:Header>{header}</soapenv:Header><soapenv:Body><eng:Compose><EWSComposeRequest>{fields}"
        "</EWSComposeRequest></eng:Compose></soapenv:Body></soapenv:Envelope>"
    ).encode()


def _fields(asked: EngineCall, call: Call) -> Iterator[str]:
    driver = pybase64.b64encode(asked.driver).decode()
    yield f"<driver><driver>{driver}</driver>{_element('fileName', asked.file_name, call)}</driver>"
    if asked.encoding is not None:
        yield _element("driverEncoding", asked.encoding, call)
    for name, value in asked.options:
        yield f"<engineOptions>{_element('name', name, call)}{_element('value', value, call)}</engineOptions>"
    if asked.file_pattern is not None:
        yield _element("fileReturnRegEx", asked.file_pattern, call)
    yield f"<includeHeader>{'true' if asked.include_header else 'false'}</includeHeader>"
    yield f"<includeMessageFile>{'true' if asked.include_messages else 'false'}</includeMessageFile>"
    if asked.output is not None:
        folder, name = asked.output
        yield f"<outputFile>{_element('directory', folder, call)}{_element('fileName', name, call)}</outputFile>"
    if asked.package is not None:
        yield _element("pubFile", asked.package, call)


def _element(name: str, value: str, call: Call) -> str:
    if _FORBIDDEN.search(value):
        raise BadRequest(call, text=f"the value of {name} holds characters that XML cannot carry")
    return f"<{name}>{escape(value, {chr(13): '&#13;'})}</{name}>"


def _security(auth: UsernameToken, call: Call) -> str:
    user = _element("wsse:Username", auth.user, call)
    password = _element("wsse:Password", auth.password, call).replace(">", f' Type="{_PASSWORD_TEXT}">', 1)
    return (
        f'<wsse:Security soapenv:mustUnderstand="0" xmlns:wsse="{_WSSE}">'
        f"<wsse:UsernameToken>{user}{password}</wsse:UsernameToken></wsse:Security>"
    )


class _Refusal(Exception):
    """The answer holds what no answer of an engine has."""


@dataclass(slots=True)
class _Element:
    name: str
    text: list[str] = field(default_factory=list)
    children: list[_Element] = field(default_factory=list)

    def find(self, *path: str) -> _Element | None:
        """The first element down this path of local names."""
        here: _Element | None = self
        for name in path:
            here = next((child for child in here.children if child.name == name), None) if here else None
        return here

    def said(self, *path: str) -> str:
        """The text at a path, or an empty string."""
        found = self.find(*path)
        return "".join(found.text) if found else ""

    def everything(self) -> str:
        """All text in it."""
        return " ".join(part for part in ("".join(self.text), *(child.everything() for child in self.children)) if part)


def read_result(call: Call, reply: Reply) -> EngineResult:
    """The answer of a composition.

    Raises:
        EngineFault, Unauthorized: it is a fault.
        ExstreamError: it is no answer of an engine, by its status or by its form.
    """
    try:
        root = _parsed(reply.body)
    except (expat.ExpatError, _Refusal, ValueError, LookupError) as exc:
        raise _no_answer(call, reply, str(exc)) from None
    fault = root.find("Body", "Fault")
    if fault is not None:
        raise _fault(call, reply, fault)
    if reply.status not in _SUCCESS:
        raise refused(call, reply)
    result = root.find("Body", "ComposeResponse", "return")
    if result is None:
        raise translate.unreadable(call, reply.status, f"XML without ComposeResponse: {root.everything()[:300]}")
    try:
        files = tuple(_file(one) for one in result.children if one.name == "files")
        messages = decode.unpacked(result.said("engineMessage"))
    except ValueError as exc:
        raise translate.unreadable(call, reply.status, f"a file that is no base64: {exc}") from exc
    return EngineResult(files, messages.decode("utf-8", "replace"), result.said("statusMessage").strip())


def _file(element: _Element) -> tuple[str, bytes]:
    return element.said("fileName").strip(), decode.unpacked(element.said("fileOutput"))


def _no_answer(call: Call, reply: Reply, why: str) -> ExstreamError:
    if reply.status not in _SUCCESS:
        return refused(call, reply)
    answer = read_answer(reply.status, reply.headers, reply.body, utc_now())
    return translate.unreadable(call, reply.status, f"no answer of an engine ({why}): {answer.text}")


def _fault(call: Call, reply: Reply, fault: _Element) -> ExstreamError:
    code = fault.said("faultcode").strip() or fault.said("Code", "Value").strip()
    words = fault.said("faultstring") or fault.said("Reason", "Text")
    detail = fault.find("detail") or fault.find("Detail")
    told = dict.fromkeys(
        " ".join(part.split()) for part in (words, detail.everything() if detail else "") if part.strip()
    )
    kind = Unauthorized if _DENIED.search(code) else EngineFault
    error = kind(call, status=reply.status, code=code, text=redact(": ".join(told)))
    error.temporary = False
    return error


def _parsed(body: bytes | bytearray) -> _Element:
    """The document as elements with local names. Raises ExpatError or _Refusal (a DTD, too deep)."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.buffer_size = 2**20
    root = _Element("")
    open_elements = [root]

    def begin(name: str, _attributes: dict[str, str]) -> None:
        if len(open_elements) > _DEPTH:
            raise _Refusal("elements within elements without end")
        element = _Element(name.rpartition(" ")[2])
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_name: str) -> None:
        open_elements.pop()

    def text(piece: str) -> None:
        open_elements[-1].text.append(piece)

    def doctype(*_about: object) -> None:
        raise _Refusal("a document type declaration")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    parser.Parse(bytes(body), True)  # noqa: FBT003  expat takes no keywords
    return root.children[0] if root.children else root
