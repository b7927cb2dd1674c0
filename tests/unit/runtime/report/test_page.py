"""The page: what is filled in cannot break out of its place."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime.report.page import PICTURES_IN_BLOCK, script_json, write_page


def page(title: str = "title", data: object = None, **pictures: list[tuple[int, bytes]]) -> str:
    stream = io.BytesIO()
    write_page(stream, title, {"value": data}, pictures)
    return stream.getvalue().decode()


class Scripts(HTMLParser):
    """What a browser would find: elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "\u2028\u2029",
    "\ud800 half a pair",
    "<!--{data}-->",
    "\"'&amp;\\u003c",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_data_stay_data(text: str) -> None:
    found = Scripts(page(data={text: [text]}))
    assert json.loads(found.texts["data"]) == {"value": {text: [text]}}
    assert [attributes.get("id") for tag, attributes in found.tags if tag == "script"] == ["data", None]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_title_stays_a_title(text: str) -> None:
    written = page(title=text)
    found = Scripts(written)
    assert found.texts["title"] == text.encode("utf-8", "replace").decode()
    assert len([tag for tag, _ in found.tags if tag == "script"]) == 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_comes_back(value: object) -> None:
    text = script_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        script_json([value])


def test_pictures_stand_in_blocks() -> None:
    numbers = [0, 1, PICTURES_IN_BLOCK - 1, PICTURES_IN_BLOCK, 5 * PICTURES_IN_BLOCK + 3]
    found = Scripts(page(crop=[(number, bytes([number])) for number in numbers], views=[(2, b"ab")]))
    read: dict[int, bytes] = {}
    for name, text in found.texts.items():
        if name.startswith("crop-"):
            block = {int(key): base64.b64decode(value) for key, value in json.loads(text).items()}
            assert all(key // PICTURES_IN_BLOCK == int(name.removeprefix("crop-")) for key in block)
            read |= block
    assert read == {number: bytes([number]) for number in numbers}
    assert json.loads(found.texts["views-0"]) == {"2": base64.b64encode(b"ab").decode()}


def test_the_policy_allows_the_page_alone() -> None:
    written = page()
    policy = next(attributes["content"] for tag, attributes in Scripts(written).tags if attributes.get("http-equiv"))
    assert policy is not None
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    assert allowed["img-src"] == "data:"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", written, re.DOTALL)
        assert text is not None
        digest = base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
        assert allowed[directive] == f"'sha256-{digest}'"


def test_nothing_in_the_page_names_another_place() -> None:
    written = page()
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttpRequest|innerHTML|eval\(", written)
    sources = [
        value for _, attributes in Scripts(written).tags for key, value in attributes.items() if key in ("src", "href")
    ]
    assert sources == ["data:,", "#list"]
