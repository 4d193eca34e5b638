"""Composing on demand: generate, fulfil, named channels, and the engine as a web service; JSON and XML drivers."""

import base64
from typing import Any

import orjson
import pytest
from exstream_site import Said, Site, customer
from lxml import etree

NAMESPACE = "urn:hpexstream-services/Engine"


async def _resolve(site: Site) -> dict[str, str]:
    """The headers of generate, found as the vendor's collection finds them."""
    query = {"filter.types": "exstrapplication", "filter.states": "APPROVED"}
    found = (await site.call("GET", "design/api/v1/resources/bank", params=query)).data[0]["id"]
    query = {"linkSubjectId": found, "linkDepth": "2", "filter.types": "exstrcommunicationset"}
    links = (await site.call("GET", "design/api/v1/links/bank", params=query)).data
    path = f"design/api/v1/manifests/bank/communication-set/{links[0]['linkObjectId']}"
    manifest = (await site.call("GET", path)).document
    assert [queue["driver"] for queue in manifest["queueList"]] == ["PDF", "HTML"]
    (source,) = [one["prodDsn"] for one in manifest["dsnlist"] if one["type"] == "driver"]
    return {"communicationId": found, "driverDataSource": source}


async def _generate(site: Site, driver: bytes, **headers: str) -> Said:
    return await site.call("POST", "api/v1/inputs/ondemand/bank/generate", data=driver, headers=headers)


def _xml(record: dict[str, Any]) -> bytes:
    """A record as an XML driver."""
    root = etree.Element("customers")
    outer = etree.SubElement(root, "customer")
    for name in ("key", "type", "locale", "stream"):
        etree.SubElement(outer, name).text = record[name]
    etree.SubElement(outer, "customer", record["customer"])
    etree.SubElement(outer, "recipient", record["recipient"])
    _fill(etree.SubElement(outer, "data"), record["data"])
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _fill(element: etree._Element, value: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _fill(etree.SubElement(element, name), inner)
    elif isinstance(value, list):
        element.set("type", "list")
        for inner in value:
            _fill(etree.SubElement(element, "item"), inner)
    else:
        if isinstance(value, int):
            element.set("type", "integer")
        element.text = str(value)


async def test_json_and_xml_drivers_make_the_same_documents(site: Site) -> None:
    headers, record = await _resolve(site), customer(7)
    told = await _generate(site, orjson.dumps({"customers": [record]}), **headers)
    same = await _generate(site, _xml(record), **headers, **{"Content-Type": "application/xml"})
    assert told.status == same.status == 200, same.content
    assert told.content == same.content
    pdf, html = told.data
    assert [one["mimeType"] for one in (pdf, html)] == ["application/pdf", "text/html"]
    assert pdf["engineOutputContext"] == {"queueName": "Print", "fileName": "Print_1", "customerNumber": 1}
    assert base64.b64decode(pdf["content"]).startswith(b"%PDF-")
    assert b"Customer 7" in base64.b64decode(html["content"])


async def test_accept_of_pdf_answers_with_the_bytes(site: Site) -> None:
    said = await _generate(site, orjson.dumps(customer(1)), **await _resolve(site), Accept="application/pdf")
    assert (said.headers["Content-Type"], said.content[:5]) == ("application/pdf", b"%PDF-")


async def test_an_empower_document_is_fulfilled_once_unless_it_is_preserved(site: Site) -> None:
    headers = await _resolve(site)
    user = {"empowerUser": "millstream@OAuthClients", "Accept": "application/json"}
    document = (await _generate(site, orjson.dumps(customer(1)), **headers, **user)).document["documentId"]
    path, order = "api/v1/inputs/fulfillment/ondemand/bank/fulfill", {"documents": [document]}
    kept = await site.call("POST", path, document=order, headers=headers | {"preserveDocuments": "true"})
    assert [one["mimeType"] for one in kept.data] == ["application/pdf", "text/html"]
    last = await site.call("POST", path, document=order, headers=headers | {"preserveDocuments": "false"})
    gone = await site.call("POST", path, document=order, headers=headers)
    assert (last.status, gone.status) == (200, 404)


async def test_an_empower_user_without_the_right_is_told_inside_a_200(site: Site) -> None:
    said = await _generate(site, orjson.dumps(customer(1)), **await _resolve(site), empowerUser="somebody")
    assert (said.status, said.document["status"], said.data[0]["statusCode"]) == (200, "error", "401")


@pytest.mark.parametrize("driver", [b"{", b"", b"[]", b'<!DOCTYPE a [<!ENTITY b "c">]><customers/>', b"<a>"])
async def test_a_driver_that_cannot_be_read_is_told_in_the_data_form(site: Site, driver: bytes) -> None:
    said = await _generate(site, driver, **await _resolve(site))
    assert (said.status, said.document["status"]) == (400, "error")
    assert said.data[0]["errorMessage"]


async def test_data_that_cannot_be_composed_name_the_field(site: Site) -> None:
    record = customer(1)
    del record["data"]["currency"]
    said = await _generate(site, orjson.dumps(record), **await _resolve(site))
    assert (said.status, "currency" in said.data[0]["errorMessage"]) == (400, True)


async def test_generate_needs_the_communication_and_its_data_source(site: Site) -> None:
    headers, driver = await _resolve(site), orjson.dumps(customer(1))
    statuses = [
        (await _generate(site, driver, **given)).status
        for given in (
            {},
            headers | {"communicationId": "0" * 8 + "-0000-4000-8000-" + "0" * 12},
            headers | {"driverDataSource": "other"},
        )
    ]
    assert statuses == [400, 404, 400]


async def test_a_named_channel_on_demand_answers_with_what_its_flow_made(site: Site) -> None:
    said = await site.call("POST", "api/v1/inputs/ondemand/bank/statements", data=orjson.dumps(customer(1)))
    assert [one["engineOutputContext"]["queueName"] for one in said.data] == ["Print", "Email"]
    (job,) = (await site.runtime("jobs", filter="mode:ONDEMAND")).data
    assert job["status"] == "complete"


# The engine as a web service


def _compose(driver: bytes, inner: str = "", header: str = "") -> bytes:
    text = base64.b64encode(driver).decode()
    return (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:eng="urn:hpexstream-services/Engine">'
        f"<soap:Header>{header}</soap:Header><soap:Body><eng:Compose><EWSComposeRequest>"
        f"<driver><driver>{text}</driver><fileName>DRIVER</fileName></driver>{inner}"
        "</EWSComposeRequest></eng:Compose></soap:Body></soap:Envelope>"
    ).encode()


async def _ews(site: Site, body: bytes, **headers: str) -> tuple[int, etree._Element]:
    given = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'} | headers
    said = await site.send("POST", site.running.doors["ews_url"], data=body, headers=given)
    return said.status, etree.fromstring(said.content)


async def test_the_engine_composes_what_the_file_pattern_asks_for(site: Site) -> None:
    inner = (
        "<engineOptions><name>CUSTOMERLIST</name><value>2-9</value></engineOptions>"
        "<fileReturnRegEx>.*\\.(pdf)</fileReturnRegEx><includeHeader>true</includeHeader>"
        "<includeMessageFile>true</includeMessageFile>"
    )
    driver = orjson.dumps({"customers": [customer(1), customer(2)]})
    status, envelope = await _ews(site, _compose(driver, inner))
    answer = envelope.find(f"{{*}}Body/{{{NAMESPACE}}}ComposeResponse/return")
    assert (status, answer.findtext("statusMessage")) == (200, "Engine completed")
    (file,) = answer.findall("files")
    assert (file.findtext("fileName"), file.findtext("fileHeader/PDL")) == ("Print_00002.pdf", "4")
    assert base64.b64decode(file.findtext("fileOutput")).startswith(b"%PDF-")
    assert b"EX000900I" in base64.b64decode(answer.findtext("engineMessage"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<a/>",
        _compose(b"{}", "<fileReturnRegEx>(</fileReturnRegEx>"),
        _compose(b"{}", "<pubFile>p</pubFile><driverEncoding>utf-8</driverEncoding>"),
        _compose(b"{}", "<engineOptions><name>CUSTOMERLIST</name><value>x</value></engineOptions>"),
        b'<!DOCTYPE a [<!ENTITY b "c">]><a/>',
    ],
)
async def test_a_request_that_is_none_is_a_soap_fault(site: Site, body: bytes) -> None:
    status, envelope = await _ews(site, body)
    fault = envelope.find("{*}Body/{*}Fault")
    assert (status, fault.findtext("faultcode")) == (500, "S:Client")
    assert fault.find(f"detail/{{{NAMESPACE}}}EngineServiceException") is not None


async def test_the_engine_lets_in_who_has_a_login(open_site) -> None:
    site = await open_site(ews_user="engine", ews_password="word")
    body = _compose(orjson.dumps(customer(1)))
    token = (
        '<wsse:Security xmlns:wsse="urn:wsse"><wsse:UsernameToken><wsse:Username>engine</wsse:Username>'
        "<wsse:Password>{}</wsse:Password></wsse:UsernameToken></wsse:Security>"
    )
    right = {"Authorization": f"Basic {base64.b64encode(b'engine:word').decode()}"}
    wrong = {"Authorization": f"Basic {base64.b64encode(b'engine:other').decode()}"}
    statuses = [
        (await _ews(site, body))[0],
        (await _ews(site, body, **right))[0],
        (await _ews(site, body, **wrong))[0],
        (await _ews(site, _compose(orjson.dumps(customer(1)), header=token.format("word"))))[0],
        (await _ews(site, _compose(orjson.dumps(customer(1)), header=token.format("other"))))[0],
    ]
    assert statuses == [401, 200, 500, 200, 500]


async def test_the_engine_describes_itself(site: Site) -> None:
    said = await site.send("GET", f"{site.url}/EngineService/EngineService?wsdl")
    assert etree.fromstring(said.content).get("targetNamespace") == NAMESPACE
