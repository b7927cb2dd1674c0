"""XML files from outside: decoded as they declare, and parsed as data only."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.label_files import read_label_bytes

__all__ = ["load_xml"]

_DEEPEST = 16
# With their attributes: 10,000 outlines of 20 points.
_MOST_ELEMENTS = 500_000
# Of one element; an image in base64 may stand there.
_LONGEST_TEXT = 1 << 24
# Else each line of a text is a piece of its own.
_PIECE = 1 << 16
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._:-]*)["']""")
_LONGEST_DECLARATION = 512
# Python calls them encodings; none is one in which a program writes XML.
_NO_ENCODINGS = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7", "mbcs", "oem")


def load_xml(path: Path) -> ElementTree.Element:
    """Reads and parses XML that may be hostile: no document type, so no entities; depth and size are bounded.

    A byte order mark decides the encoding, or else the declaration, or else it is UTF-8.

    Returns:
        The root.

    Raises:
        AnnotationError: The file cannot be read, is not in the encoding that it declares, is not XML, or holds what is
            not read.
    """
    data = read_label_bytes(path)
    encoding = _encoding(data, path)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        said = "UTF-8" if encoding == "utf-8-sig" else encoding
        raise AnnotationError(
            f"is not {said} text: byte {error.start} does not belong there",
            where=path,
            fix="declare the encoding that it has, or save it as UTF-8",
        ) from error
    return _parse(text, path)


def _encoding(data: bytes, path: Path) -> str:
    """The encoding of XML, as a name that Python knows."""
    # The first four bytes, which are a byte order mark or a `<`, give away the wide encodings.
    found = json.detect_encoding(data)
    declared = _DECLARED.match(data[:_LONGEST_DECLARATION])
    if found != "utf-8" or declared is None:
        return found if found != "utf-8" else "utf-8-sig"
    name = declared[1].decode("ascii")
    try:
        encoding = codecs.lookup(name).name
        "".encode(encoding)
    except (LookupError, UnicodeError) as error:
        raise _unknown(name, path) from error
    if encoding.replace("-", "_") in _NO_ENCODINGS:
        raise _unknown(name, path)
    # Bytes in which the declaration could be read are not of a wide encoding, whatever it says.
    return "utf-8-sig" if encoding.startswith(("utf-16", "utf-32", "utf-8")) else encoding


def _unknown(name: str, path: Path) -> AnnotationError:
    return AnnotationError(f"is in the encoding '{name[:40]}', which is not known", where=path, fix="save it as UTF-8")


def _parse(text: str, where: Path) -> ElementTree.Element:
    builder = ElementTree.TreeBuilder()
    open_elements = 0
    total = 0
    text_length = 0

    def refuse(what: str) -> Callable[..., None]:
        def handler(*_: object) -> None:
            raise AnnotationError(f"the XML holds {what}, which is not read", where=where, fix="export it again")

        return handler

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal open_elements, total, text_length
        open_elements += 1
        text_length = 0
        total += 1 + len(attributes)
        if open_elements > _DEEPEST or total > _MOST_ELEMENTS:
            raise AnnotationError("the XML is nested too deeply or too long", where=where, fix="export it again")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal open_elements
        open_elements -= 1
        builder.end(tag)

    def characters(piece: str) -> None:
        nonlocal text_length
        text_length += len(piece)
        if text_length > _LONGEST_TEXT:
            raise AnnotationError("the XML holds a text that is too long", where=where, fix="export it again")
        builder.data(piece)

    # What the declaration says of the encoding has been heeded already.
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.buffer_text = True
    parser.buffer_size = _PIECE
    parser.StartDoctypeDeclHandler = refuse("a document type")
    parser.EntityDeclHandler = refuse("an entity")
    parser.ExternalEntityRefHandler = refuse("an external entity")  # type: ignore[assignment]
    try:
        parser.Parse(text.encode("utf-8"), True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError) as error:
        raise AnnotationError("is not valid XML", where=where, fix="export it again") from error
