"""Drivers: the customers of an input, as JSON or as XML of the same shape.

JSON: `{"customers": [record, …]}`, a list of records, or one record. A record has `customer` (`id`, `name`),
`recipient` (`address`, `name`), `data`, and may have `key`, `type`, `locale`, `stream`, `template`.

XML: `<customers><customer>…</customer>…</customers>` with an element or attribute for each field. `type` on an element
of `data` says what its text is (integer, number, boolean, null) or that its children are the items of a list; without
it, an element with children is an object and any other a text.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson
from lxml import etree  # type: ignore[import-untyped]  # ships no types

from millstream.sandbox.exstream.errors import DriverProblem

Record = dict[str, Any]

MOST_DEPTH: Final = 64
_TEXTS: Final[dict[str, Callable[[str], Any]]] = {
    "integer": int,
    "number": float,
    "boolean": lambda text: {"true": True, "1": True, "false": False, "0": False}[text],
    "null": lambda _text: None,
    "text": lambda text: text,
}


def read(body: bytes, content_type: str = "") -> list[Record]:
    """The customers of a driver; raises `DriverProblem`. XML is told by its type or by its first character."""
    is_xml = "xml" in content_type.lower() or body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    records = _from_xml(body) if is_xml else _from_json(body)
    if not records:
        raise DriverProblem("no element of the driver starts a customer")
    for number, record in enumerate(records, 1):
        _check(record, number)
    return records


def _from_json(body: bytes) -> list[Any]:
    try:
        told = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise DriverProblem(f"the driver is no JSON: {error}") from None
    if isinstance(told, dict):
        told = told.get("customers", [told])
    if not isinstance(told, list):
        raise DriverProblem("the driver's customers are no list")
    return told


def _check(record: Any, number: int) -> None:
    if not isinstance(record, dict):
        raise DriverProblem(f"customer {number} is no object")
    for field in ("customer", "recipient", "data"):
        if not isinstance(record.get(field, {}), dict):
            raise DriverProblem(f"customer {number}: {field} is no object")


# XML


def _from_xml(body: bytes) -> list[Any]:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DriverProblem(f"the driver is no XML: {error}") from None
    if root.getroottree().docinfo.doctype:
        raise DriverProblem("the driver declares a document type; leave it out")
    name = _name(root)
    if name == "customers":
        return [_record(child) for child in root if _name(child) == "customer"]
    return [_record(root)] if name == "customer" else []


def _record(element: etree._Element) -> Record:
    record: Record = {str(name): value for name, value in element.attrib.items()}
    for child in element:
        name = _name(child)
        record[name] = _value(child, 1) if name == "data" else _part(child)
    record.setdefault("data", {})
    return record


def _part(element: etree._Element) -> Any:
    """A field outside `data`: attributes and children are the fields of an object, anything else a text."""
    if not element.attrib and not len(element):
        return _text(element)
    inner = {str(name): value for name, value in element.attrib.items()}
    return inner | {_name(child): _text(child) for child in element}


def _value(element: etree._Element, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise DriverProblem(f"line {element.sourceline}: data nest deeper than {MOST_DEPTH}")
    kind = element.get("type") or ("object" if len(element) or _name(element) == "data" else "text")
    if kind == "list":
        return [_value(child, depth + 1) for child in element]
    if kind == "object":
        return {_name(child): _value(child, depth + 1) for child in element}
    try:
        return _TEXTS[kind](_text(element))
    except (KeyError, ValueError):
        raise DriverProblem(f"line {element.sourceline}: {_name(element)} is no {kind}") from None


def _text(element: etree._Element) -> str:
    return (element.text or "").strip()


def _name(element: etree._Element) -> str:
    return str(etree.QName(element).localname) if isinstance(element.tag, str) else ""
