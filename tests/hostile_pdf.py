"""PDFs that cost whoever looks at them far more than they weigh; each is a valid file."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name


def pdf_of(text: str, *, levels: int = 0, width: int = 10, before: int = 0) -> bytes:
    """A page with a text, drawn by forms that draw forms, `width` to the power of `levels` times.

    So many pages without anything come `before` it.
    """
    pdf = pikepdf.new()
    font = pdf.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
    resources: Any = Dictionary(Font=Dictionary(F=font))
    content = f"BT /F 12 Tf 20 50 Td ({text}) Tj ET".encode()
    for _ in range(levels):
        form = pikepdf.Stream(pdf, content)
        form.Type, form.Subtype, form.BBox = Name.XObject, Name.Form, Array([0, 0, 400, 100])
        form.Resources = resources
        resources = Dictionary(XObject=Dictionary(X=pdf.make_indirect(form)))
        content = b"/X Do " * width
    for _ in range(before):
        pdf.add_blank_page(page_size=(400, 100))
    _add_page(pdf, content, resources, box=(400, 100))
    return _saved(pdf)


def pdf_of_size(across: float, down: float) -> bytes:
    """A page of a size that no paper has, with a line over all of it."""
    pdf = pikepdf.new()
    _add_page(pdf, f"0 0 m {across:f} {down:f} l S".encode(), Dictionary(), box=(across, down))
    return _saved(pdf)


def pdf_of_picture(side: int) -> bytes:
    """A page with a square picture of so many points a side; zeros, so that it weighs a thousandth of what it takes."""
    pdf = pikepdf.new()
    deflate, row = zlib.compressobj(9), bytes(3 * side)
    packed = b"".join([*(deflate.compress(row) for _ in range(side)), deflate.flush()])
    image = pikepdf.Stream(pdf, packed)
    image.Type, image.Subtype, image.ColorSpace = Name.XObject, Name.Image, Name.DeviceRGB
    image.Width, image.Height, image.BitsPerComponent, image.Filter = side, side, 8, Name.FlateDecode
    resources = Dictionary(XObject=Dictionary(X=pdf.make_indirect(image)))
    _add_page(pdf, b"400 0 0 400 0 0 cm /X Do", resources, box=(400, 400))
    return _saved(pdf)


def pdf_of_blanks(*sizes: int) -> bytes:
    """A page whose content is blanks, in streams of so many megabytes; packed they weigh a thousandth."""
    pdf, megabyte, streams = pikepdf.new(), b" " * 1_000_000, []
    for size in sizes:
        deflate = zlib.compressobj(9)
        packed = b"".join([*(deflate.compress(megabyte) for _ in range(size)), deflate.flush()])
        stream = pikepdf.Stream(pdf, packed)
        stream.Filter = Name.FlateDecode
        streams.append(pdf.make_indirect(stream))
    _add_page(pdf, b"", Dictionary(), box=(400, 100))
    pdf.pages[0].obj.Contents = Array(streams)
    return _saved(pdf)


def _add_page(pdf: pikepdf.Pdf, content: bytes, resources: Any, *, box: tuple[float, float]) -> None:
    page = Dictionary(
        Type=Name.Page,
        MediaBox=Array([0, 0, *map(_number, box)]),
        Contents=pdf.make_stream(content),
        Resources=resources,
    )
    pdf.pages.append(pikepdf.Page(page))


def _number(value: float) -> Any:
    return pikepdf.Object.parse(f"{value:f}".encode())


def _saved(pdf: pikepdf.Pdf) -> bytes:
    written = BytesIO()
    pdf.save(written)
    return written.getvalue()
