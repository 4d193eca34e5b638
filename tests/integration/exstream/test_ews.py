"""An engine as a web service: what it is told, and each way in which it may answer."""

import base64

import pytest
from exstream_server import FakeExstream, says
from lxml import etree

from millstream.exstream import BasicAuth, EngineCall, EngineService, UsernameToken
from millstream.exstream.errors import (
    BadRequest,
    Effect,
    EngineFault,
    ServerError,
    Unauthorized,
    Unreadable,
)

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
ENGINE = "{urn:hpexstream-services/Engine}"
WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
DRIVER = EngineCall(
    driver="<customer>Zoë & co</customer>".encode(),
    file_name="DRIVER",
    encoding="UTF-8",
    options=(("RUNMODE", "PRODUCTION"), ("FILEMAP", r"REF,C:\a<b>&c")),
    file_pattern=".*.(pdf)",
    package="letters.pub",
    output=("/out", "letter"),
)


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def answer(inside: str, status: int = 200, *, head: str = "") -> object:
    body = f"""<?xml version="1.0" encoding="UTF-8"?>{head}
        <S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>{inside}</S:Body></S:Envelope>"""
    return says(status=status, text=body, content_type="text/xml")


COMPOSED = f"""<ns2:ComposeResponse xmlns:ns2="urn:hpexstream-services/Engine"><return>
    <engineMessage>{b64(b"EX000001I done")}</engineMessage>
    <files><fileHeader><PDL>4</PDL></fileHeader><fileName>PDFQ</fileName><fileOutput>{b64(b"%PDF-1.7")}</fileOutput></files>
    <files><fileName>HTML</fileName><fileOutput/></files>
    <statusMessage>0</statusMessage></return></ns2:ComposeResponse>"""
FAULT = """<S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><faultcode>S:Server</faultcode>
    <faultstring>EX004120E no driver</faultstring><detail><ns2:EngineServiceException
    xmlns:ns2="urn:hpexstream-services/Engine"><message>job folder 17</message></ns2:EngineServiceException></detail>
    </S:Fault>"""
DENIED = """<S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><faultcode
    xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    >w:FailedAuthentication</faultcode>
    <faultstring>The security token could not be authenticated</faultstring></S:Fault>"""


def service(exstream: FakeExstream, auth: BasicAuth | UsernameToken | None = None) -> EngineService:
    return EngineService(f"{exstream.url}/EngineService", auth, exstream.options())


async def test_a_composition_is_asked_for_as_the_engine_reads_it(exstream: FakeExstream) -> None:
    exstream.usual = answer(COMPOSED)
    async with service(exstream) as engine:
        result = await engine.compose(DRIVER)
    assert result.files == (("PDFQ", b"%PDF-1.7"), ("HTML", b""))
    assert (result.messages, result.status) == ("EX000001I done", "0")
    asked = exstream.asked[0]
    assert (asked.headers["SOAPAction"], asked.headers["Content-Type"]) == ('""', "text/xml; charset=utf-8")
    assert "Authorization" not in asked.headers
    compose = etree.fromstring(asked.body).find(f"{SOAP}Body/{ENGINE}Compose")
    assert compose is not None
    request = compose.find("EWSComposeRequest")
    assert request is not None
    assert [child.tag for child in request] == [
        "driver", "driverEncoding", "engineOptions", "engineOptions", "fileReturnRegEx", "includeHeader",
        "includeMessageFile", "outputFile", "pubFile",
    ]  # fmt: skip
    assert base64.b64decode(request.findtext("driver/driver") or "") == DRIVER.driver
    assert request.findtext("driver/fileName") == "DRIVER"
    options = [(one.findtext("name"), one.findtext("value")) for one in request.findall("engineOptions")]
    assert tuple(options) == DRIVER.options
    assert (request.findtext("includeHeader"), request.findtext("includeMessageFile")) == ("false", "true")
    assert request.findtext("outputFile/directory") == "/out"


async def test_what_is_not_asked_for_is_not_sent(exstream: FakeExstream) -> None:
    exstream.usual = answer(COMPOSED)
    async with service(exstream) as engine:
        await engine.compose(EngineCall(driver=b"", file_name="DRIVER", include_messages=False))
    request = etree.fromstring(exstream.asked[0].body).find(f"{SOAP}Body/{ENGINE}Compose/EWSComposeRequest")
    assert request is not None
    assert [child.tag for child in request] == ["driver", "includeHeader", "includeMessageFile"]


async def test_the_engine_knows_us_by_http(exstream: FakeExstream) -> None:
    exstream.usual = answer(COMPOSED)
    async with service(exstream, BasicAuth("svc", "pä:ss")) as engine:
        await engine.compose(DRIVER)
    told = exstream.asked[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(told).decode() == "svc:pä:ss"


async def test_the_engine_knows_us_by_ws_security(exstream: FakeExstream) -> None:
    exstream.usual = answer(COMPOSED)
    async with service(exstream, UsernameToken("svc", "a<b>&c")) as engine:
        await engine.compose(DRIVER)
    security = etree.fromstring(exstream.asked[0].body).find(f"{SOAP}Header/{WSSE}Security")
    assert security is not None
    assert security.get(f"{SOAP}mustUnderstand") == "0"
    token = security.find(f"{WSSE}UsernameToken")
    assert token is not None
    assert (token.findtext(f"{WSSE}Username"), token.findtext(f"{WSSE}Password")) == ("svc", "a<b>&c")
    password = token.find(f"{WSSE}Password")
    assert password is not None
    assert (password.get("Type") or "").endswith("#PasswordText")


@pytest.mark.parametrize("status", [500, 200])
async def test_a_fault_of_the_engine_is_told_in_its_words(exstream: FakeExstream, status: int) -> None:
    exstream.usual = answer(FAULT, status)
    async with service(exstream) as engine:
        with pytest.raises(EngineFault) as caught:
            await engine.compose(DRIVER)
    error = caught.value
    assert (error.text, error.code) == ("EX004120E no driver: job folder 17", "S:Server")
    assert (error.temporary, error.effect) == (False, Effect.NO)


async def test_a_fault_that_does_not_know_us_is_its_own_error(exstream: FakeExstream) -> None:
    exstream.usual = answer(DENIED, 500)
    async with service(exstream, UsernameToken("svc", "hush")) as engine:
        with pytest.raises(Unauthorized, match="could not be authenticated") as caught:
            await engine.compose(DRIVER)
    assert not caught.value.temporary
    assert "hush" not in str(caught.value)


BOMB = "<!DOCTYPE b [" + "".join(
    f'<!ENTITY e{n} "{"".join(f"&e{n - 1};" for _ in range(10))}">' if n else '<!ENTITY e0 "lol">' for n in range(12)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer("&e11;", head=BOMB), "document type"),
        (answer(COMPOSED, head='<!DOCTYPE x SYSTEM "file:///etc/passwd">'), "document type"),
        (answer("<a>" * 100 + "</a>" * 100), "without end"),
        (answer("<other/>"), "without ComposeResponse"),
        (answer(COMPOSED.replace(b64(b"%PDF-1.7"), "%%%")), "base64"),
        (says(status=200, text="<html><body>Sign in</body></html>", content_type="text/html"), "Sign in"),
        (says(status=200, text="<S:Envelope"), "no answer of an engine"),
        (says(status=200), "no answer of an engine"),
        (says({"status": "success"}), "no answer of an engine"),
        (says(status=200, body=b"--x\r\nContent-Type: application/xop+xml\r\n"), "no answer of an engine"),
    ],
)
async def test_what_is_no_answer_of_an_engine_is_unreadable(exstream: FakeExstream, given, words: str) -> None:
    exstream.usual = given
    async with service(exstream) as engine:
        with pytest.raises(Unreadable, match=words) as caught:
            await engine.compose(DRIVER)
    # The engine was to keep its output, so whether it is there is unknown.
    assert caught.value.effect is Effect.UNKNOWN


async def test_a_refusal_without_a_fault_is_told_by_its_status(exstream: FakeExstream) -> None:
    exstream.usual = says(status=503, text="<html>starting</html>", content_type="text/html")
    async with service(exstream) as engine:
        with pytest.raises(ServerError, match="starting"):
            await engine.compose(DRIVER)


@pytest.mark.parametrize("value", ["a\0b", "a\x01", "\ud800", "\uffff"])
async def test_a_value_that_xml_cannot_carry_is_refused(exstream: FakeExstream, value: str) -> None:
    async with service(exstream) as engine:
        with pytest.raises(BadRequest, match="XML cannot carry"):
            await engine.compose(EngineCall(driver=b"", file_name=value))
    assert exstream.asked == []


async def test_the_description_proves_that_the_service_is_there(exstream: FakeExstream) -> None:
    exstream.usual = says(status=200, text="<wsdl:definitions/>", content_type="text/xml")
    async with service(exstream) as engine:
        assert await engine.wsdl() == 19
        assert exstream.asked[0].query == {"wsdl": [""]}
        exstream.usual = says(status=200, text="<html>tomcat</html>", content_type="text/html")
        with pytest.raises(Unreadable, match="tomcat"):
            await engine.wsdl()
