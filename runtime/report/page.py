"""The page: its template filled, its data escaped, nothing in it that could reach out of it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, BinaryIO

__all__ = ["PICTURES_IN_BLOCK", "script_json", "write_page"]

#: Pictures in one block of the page; a block is parsed when one of its pictures is first looked at.
PICTURES_IN_BLOCK = 32

#: Parts of the page's script, in their order; together they are one function, so that nothing is global.
SCRIPTS = ("data", "elements", "filters", "list", "command", "detail", "confusion", "map", "run", "start")

_PLACE = re.compile(r"<!--\{(\w+)\}-->")
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element.

    Only ASCII comes out, so U+2028 and halves of surrogate pairs (bytes of a file name that are no text) are escaped,
    and neither `</script>` nor `<!--` can occur.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED)


def write_page(
    stream: BinaryIO, title: str, data: Mapping[str, Any], pictures: Mapping[str, Iterable[tuple[int, bytes]]]
) -> None:
    """Writes the page piece by piece; no more than one block of pictures is held as text.

    Args:
        stream: Where it goes.
        title: The page's title.
        data: What the page's script reads, in plain JSON types.
        pictures: JPEG files with their numbers, in rising order, for each kind of picture.

    Raises:
        ValueError: A number is not finite.
    """
    style = _resource("page.css")
    script = "(() => {\n'use strict';\n" + "\n".join(_resource(f"{name}.js") for name in SCRIPTS) + "})();\n"
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    pieces: dict[str, Iterable[str]] = {
        "policy": [f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy, quote=False)}">'],
        "title": [f"<title>{html.escape(title)}</title>"],
        "heading": [html.escape(title)],
        "style": [f"<style>{style}</style>"],
        "data": [f'<script type="application/json" id="data">{script_json(data)}</script>\n'],
        "pictures": (block for kind, items in pictures.items() for block in _blocks(kind, items)),
        "script": [f"<script>{script}</script>"],
    }
    # Split once: what is filled in is never looked at again.
    for number, part in enumerate(_PLACE.split(_resource("page.html"))):
        for text in pieces[part] if number % 2 else [part]:
            stream.write(text.encode("utf-8", "replace"))


def _blocks(kind: str, items: Iterable[tuple[int, bytes]]) -> Iterable[str]:
    """Pictures as blocks of JSON, each for a run of numbers."""
    block: dict[str, str] = {}
    current = -1
    for number, picture in items:
        if number // PICTURES_IN_BLOCK != current:
            if block:
                yield _block(kind, current, block)
            block, current = {}, number // PICTURES_IN_BLOCK
        block[str(number)] = base64.b64encode(picture).decode()
    if block:
        yield _block(kind, current, block)


def _block(kind: str, number: int, block: Mapping[str, str]) -> str:
    return f'<script type="application/json" id="{kind}-{number}">{script_json(block)}</script>\n'


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a content security policy names an inline script or style (CSP level 3, "hash-source")."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
