"""Valid files made invalid: by their bytes, and by what JSON, lines of text and XML are made of.

Each mutator takes a generator of random numbers, so that a trial follows from its number alone. Most of what comes out
is about as long as what went in; `LARGE` bounds the rest.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "HOSTILE_NUMBERS",
    "HOSTILE_TEXTS",
    "LARGE",
    "Raw",
    "Seed",
    "json_text",
    "mutated",
    "mutated_bytes",
    "mutated_json",
    "mutated_lines",
    "mutated_xml",
]

#: The most bytes that a mutation adds.
LARGE = 1_000_000

#: Numbers as they may stand in a text.
HOSTILE_NUMBERS = (
    "0",
    "-0",
    "-0.0",
    "1",
    "-1",
    "0.5",
    "1e-320",
    "1e300",
    "-1e308",
    "1e400",
    "-1e400",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "127",
    "255",
    "256",
    "32768",
    "65536",
    "90000",
    "1000000",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1" + 40 * "0",
    "1" + 400 * "0",
    "-1" + 400 * "0",
    "9" * 5000,
    "1e999999999",
    "0x10",
    "1_000",
    "٣",
    "0.1.2",
    "1,5",
)

#: Texts that something may stumble over, as Python strings; half of a surrogate pair stands for itself.
HOSTILE_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "a\udcff",
    "\udfff\ud800",
    "\uffff",
    "\U0010ffff",
    "\u00e9",
    "e\u0301",
    "\u202eabc",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\r\n",
    "a\nb",
    "\t",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "/",
    "a" * 256,
    "a/" * 300,
    "x" * 5000,
    "\U0001f600" * 100,
    "<script>alert(1)</script>",
    "&lt;&amp;",
    "=1+1",
    "'\"`;",
    "%s%n{0}{}",
    "null",
    "true",
    "NaN",
    "__proto__",
    "-o",
    "--out",
)

_INTERESTING_BYTES = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\x00\x00\x00",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x00\x00\x00\x00\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r\n",
    b'"',
    b"[",
    b"{",
    b"]",
    b"}",
    b",",
    b"<",
    b"\\",
    b"\\ud800",
    b"1e999",
    b"NaN",
)


@dataclass(frozen=True)
class Seed:
    """A valid file that is mutated.

    Attributes:
        name: What the file is, for findings.
        data: Its bytes.
        shape: What it is made of, which says how it can be mutated besides by its bytes.
    """

    name: str
    data: bytes
    shape: Literal["bytes", "json", "lines", "xml"] = "bytes"


@dataclass(frozen=True)
class Raw:
    """A value of a JSON tree that is written as it stands, for what Python's writer would not write."""

    text: str


def mutated(seed: Seed, source: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A valid file, made invalid (or, seldom, left valid).

    Args:
        seed: The valid file.
        source: The random numbers.
        others: Other files, of which pieces may be put in.
    """
    if seed.shape == "bytes" or source.random() < 0.2:
        return mutated_bytes(seed.data, source, others)
    if seed.shape == "json":
        return _encoded(json_text(mutated_json(json.loads(seed.data), source), indent=source.choice((None, 2))), source)
    text = seed.data.decode("utf-8")
    change = mutated_lines if seed.shape == "lines" else mutated_xml
    return _encoded(change(text, source), source)


def _encoded(text: str, source: random.Random) -> bytes:
    """Mostly UTF-8; what UTF-8 does not have is written as bytes that are not UTF-8."""
    if source.random() < 0.95:
        return text.encode("utf-8", "surrogatepass")
    codec = source.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp932"))
    return text.encode(codec, "replace")


# Bytes.


def mutated_bytes(data: bytes, source: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Flips, cuts, inserts, repeats and splices bytes, one to four times."""
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 4))):
        source.choice(_BYTE_CHANGES)(changed, source)
    if others and source.random() < 0.1:
        other = source.choice(others)
        changed = changed[: source.randint(0, len(changed))] + other[source.randint(0, len(other)) :]
    return bytes(changed)


def _flip(data: bytearray, source: random.Random) -> None:
    if data:
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def _put(data: bytearray, source: random.Random) -> None:
    if data:
        data[source.randrange(len(data))] = source.randrange(256)


def _put_interesting(data: bytearray, source: random.Random) -> None:
    place, value = source.randint(0, len(data)), source.choice(_INTERESTING_BYTES)
    data[place : place + source.choice((0, len(value)))] = value


def _cut_end(data: bytearray, source: random.Random) -> None:
    del data[source.randint(0, len(data)) :]


def _cut_piece(data: bytearray, source: random.Random) -> None:
    begin = source.randint(0, len(data))
    del data[begin : begin + source.choice((1, 2, 4, 16, 256))]


def _repeat_piece(data: bytearray, source: random.Random) -> None:
    begin = source.randint(0, len(data))
    piece = bytes(data[begin : begin + source.choice((1, 4, 32, 512))])
    times = source.choice((1, 2, 16, 64))
    if source.random() < 0.005 and piece:
        times = LARGE // len(piece)
    data[begin:begin] = piece * times


def _move_piece(data: bytearray, source: random.Random) -> None:
    begin = source.randint(0, len(data))
    end = begin + source.choice((1, 8, 64))
    piece = bytes(data[begin:end])
    del data[begin:end]
    place = source.randint(0, len(data))
    data[place:place] = piece


def _zero_piece(data: bytearray, source: random.Random) -> None:
    begin = source.randint(0, len(data))
    end = min(len(data), begin + source.choice((1, 8, 64, 4096)))
    data[begin:end] = bytes(end - begin)


def _change_number(data: bytearray, source: random.Random) -> None:
    """A digit of a number in text, or a whole number of 1 to 8 bytes, by a little or altogether."""
    numbers = [match.span() for match in re.finditer(rb"\d+", data)] if len(data) < 65536 else []
    if numbers and source.random() < 0.7:
        begin, end = source.choice(numbers)
        data[begin:end] = source.choice(HOSTILE_NUMBERS).encode()
        return
    width = source.choice((1, 2, 4, 8))
    if len(data) < width:
        return
    begin, order = source.randint(0, len(data) - width), source.choice(("little", "big"))
    value = int.from_bytes(data[begin : begin + width], order) + source.choice((-256, -16, -1, 1, 16, 256))  # type: ignore[arg-type]
    data[begin : begin + width] = (value % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]


_BYTE_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _flip,
    _put,
    _put_interesting,
    _cut_end,
    _cut_piece,
    _repeat_piece,
    _move_piece,
    _zero_piece,
    _change_number,
)


# JSON.

#: Those that a parser of JSON takes, with Python's three words for what is no number.
_JSON_NUMBERS = tuple(
    each for each in HOSTILE_NUMBERS if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[0-9]+)?|NaN|-?Infinity", each)
)
# In a text that Python's writer wrote, these stand where a raw value goes, and behind a key that is there twice.
_MARK, _TWICE = "\x00raw\x00", "\x00twice"
_MARKED = re.compile(r'"\\u0000raw\\u0000(\d+)"')
_TWICE_WRITTEN = "\\u0000twice"


def mutated_json(tree: Any, source: random.Random) -> Any:
    """Changes one to three places of a tree of JSON values, in place, and returns it.

    Values are replaced by hostile ones, keys removed, doubled and renamed, lists repeated and shortened. What comes out
    may hold `Raw` and is written by `json_text`.
    """
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        slots = list(_slots(tree))
        if not slots or source.random() < 0.01:
            return _hostile_value(source, tree)
        container, key = source.choice(slots)
        if source.random() < 0.7:
            container[key] = _hostile_value(source, container[key])
        elif isinstance(container, dict):
            _change_key(container, key, source)
        else:
            _change_list(container, key, source)
    return tree


def json_text(tree: Any, *, indent: int | None = 2) -> str:
    """Writes a tree as `canonical_json` does (without `indent`: in one line), with its `Raw` values as they stand."""
    raws: list[str] = []

    def marked(value: Any) -> str:
        raws.append(value.text)
        return f"{_MARK}{len(raws) - 1}"

    text = json.dumps(tree, indent=indent, sort_keys=indent is not None, ensure_ascii=False, default=marked)
    text = text.replace(_TWICE_WRITTEN, "")
    return _MARKED.sub(lambda match: raws[int(match[1])], text) if raws else text


def _slots(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value, as its container and its key or position."""
    waiting = [tree]
    while waiting:
        container = waiting.pop()
        if isinstance(container, dict):
            places: Any = list(container)
        elif isinstance(container, list):
            places = range(len(container))
        else:
            continue
        for place in places:
            yield container, place
            waiting.append(container[place])


def _hostile_value(source: random.Random, value: Any) -> Any:
    """Mostly of the type that stood there, since a value of another type is refused at once."""
    draw = source.random()
    if isinstance(value, bool | Raw) or value is None or draw < 0.35:
        return source.choice(_OF_ANY_TYPE)(source)
    if isinstance(value, int | float):
        return _near(value, source) if draw < 0.5 else Raw(source.choice(_JSON_NUMBERS))
    if isinstance(value, str):
        return _hostile_text(value, source)
    if isinstance(value, list):
        return [] if draw < 0.5 else {str(place): each for place, each in enumerate(value)}
    return {} if draw < 0.5 else [each for pair in value.items() for each in pair]


def _near(value: float, source: random.Random) -> float:
    return source.choice((value + 1, value - 1, -value, value * 2, value / 2, value * 1000, 0, float(value)))


def _hostile_text(value: str, source: random.Random) -> str:
    draw = source.random()
    if draw < 0.5:
        return source.choice(HOSTILE_TEXTS)
    place = source.randint(0, len(value))
    if draw < 0.7:
        return value[:place] + source.choice(HOSTILE_TEXTS) + value[place:]
    if draw < 0.85:
        return (
            value[:place] + chr(source.choice((source.randrange(128), source.randrange(0x10FFFF)))) + value[place + 1 :]
        )
    return source.choice((value.upper(), value[::-1], value + value, value[:place], " " + value))


def _deep(source: random.Random) -> Raw:
    # Up to what Python nests, and beyond: parsers and what works on their results give up at different depths.
    depth = source.choice((10, 70, 300, 500, 700, 900, 950, 1100, 5000, 60_000))
    opening, closing = source.choice((("[", "]"), ('{"a":', "}")))
    if source.random() < 0.2:
        closing = ""
    return Raw(opening * depth + "1" + closing * depth)


def _many(source: random.Random) -> Raw:
    times = source.choice((100, 100, 100, 3000, 60_000)) if source.random() < 0.1 else 100
    one = source.choice(("0", '""', "[]", "{}", "1e5", '"\\u0000"', "null"))
    if source.random() < 0.5:
        return Raw("[" + ",".join([one] * times) + "]")
    return Raw("{" + ",".join(f'"{number}":{one}' for number in range(times)) + "}")


_OF_ANY_TYPE: tuple[Callable[[random.Random], Any], ...] = (
    lambda source: None,
    lambda source: source.choice((True, False)),
    lambda source: Raw(source.choice(_JSON_NUMBERS)),
    lambda source: Raw(source.choice(_JSON_NUMBERS)),
    lambda source: source.choice(HOSTILE_TEXTS),
    lambda source: source.choice(HOSTILE_TEXTS),
    lambda source: source.choice(([], {}, [[]], [None], {"": None}, [0.5, "a"])),
    _deep,
    _many,
    lambda source: Raw('"' + source.choice(("\\ud800", "\\udcff", "\\u0000", "\\udfff\\ud800", "\\u00e9")) + '"'),
)


def _change_key(container: dict[str, Any], key: str, source: random.Random) -> None:
    draw = source.random()
    if draw < 0.4:
        del container[key]
    elif draw < 0.7:
        # The same key a second time: a parser takes the last one.
        container[key + _TWICE] = _hostile_value(source, container[key])
    elif draw < 0.85:
        container[_hostile_text(key, source)] = container.pop(key)
    else:
        container[source.choice(HOSTILE_TEXTS)] = _hostile_value(source, None)


def _change_list(container: list[Any], place: int, source: random.Random) -> None:
    draw = source.random()
    if draw < 0.4:
        del container[place]
    elif draw < 0.8:
        container.insert(place, container[place])
    else:
        other = source.randrange(len(container))
        container[place], container[other] = container[other], container[place]


# Lines of text, and tables.


def mutated_lines(text: str, source: random.Random) -> str:
    """Changes fields, lines, separators and line ends of a table, a label file or TOML, one to three times."""
    for _ in range(source.choice((1, 1, 2, 3))):
        text = source.choice(_LINE_CHANGES)(text, source)
    return text


def _change_field(text: str, source: random.Random) -> str:
    """A word or number of the text, in place of which another stands."""
    fields = [match.span() for match in re.finditer(r"[^\s,;=\[\]\"']+", text[:65536])]
    if not fields:
        return source.choice(HOSTILE_TEXTS)
    begin, end = source.choice(fields)
    numeric = text[begin:end].replace(".", "").replace("-", "").isdigit()
    new = source.choice(HOSTILE_NUMBERS if numeric == (source.random() < 0.8) else HOSTILE_TEXTS)
    return text[:begin] + new + text[end:]


def _change_line(text: str, source: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    place, draw = source.randrange(len(lines)), source.random()
    if draw < 0.3:
        del lines[place]
    elif draw < 0.6:
        lines.insert(source.randint(0, len(lines)), lines[place])
    elif draw < 0.8:
        lines[place] = lines[place].rstrip("\r\n")
    else:
        lines.insert(place, source.choice((*HOSTILE_TEXTS, ",,,,", '"', '"a', "[", "#", ",".join("a" * 3000))) + "\n")
    return "".join(lines)


def _change_separators(text: str, source: random.Random) -> str:
    old, new = source.choice(
        ((",", ";"), (",", "\t"), (" ", "\t"), ("\n", "\r\n"), ("\n", "\r"), ("\n", "\n\n"), (".", ","))
    )
    return text.replace(old, new, source.choice((1, 2, -1)))


def _change_character(text: str, source: random.Random) -> str:
    place = source.randint(0, len(text))
    new = source.choice((*HOSTILE_TEXTS, '"', ",", ";", "\n", "\ufeff", "'"))
    return text[:place] + new + text[place + source.choice((0, 1)) :]


def _repeat_lines(text: str, source: random.Random) -> str:
    times = source.choice((2, 20))
    if source.random() < 0.005 and text:
        times = max(1, LARGE // len(text))
    return text * times


_LINE_CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    _change_field,
    _change_field,
    _change_field,
    _change_line,
    _change_separators,
    _change_character,
    _repeat_lines,
)


# XML.

_ENTITIES = (
    '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;&b;"><!ENTITY e "&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;">]>',
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE a SYSTEM "http://localhost/a.dtd">',
    "<!DOCTYPE a>",
)


def mutated_xml(text: str, source: random.Random) -> str:
    """Changes texts, tags and attributes, adds declarations, entities and depth, one to three times."""
    for _ in range(source.choice((1, 1, 2, 3))):
        text = source.choice(_XML_CHANGES)(text, source)
    return text


def _spans(pattern: str, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(pattern, text[:65536])]


def _change_xml_text(text: str, source: random.Random) -> str:
    spans = _spans(r"(?<=>)[^<>]+(?=<)", text)
    if not spans:
        return text
    begin, end = source.choice(spans)
    raw = source.choice(("&b;", "&f;", "&#0;", "&#xD800;", "&#x110000;", "&", "<", "]]>", "<![CDATA[1]]>", "<!-- -->1"))
    value = source.choice((source.choice(HOSTILE_NUMBERS), source.choice(HOSTILE_TEXTS), raw))
    return text[:begin] + value + text[end:]


def _change_tag(text: str, source: random.Random) -> str:
    spans = _spans(r"<[^<>]*>", text)
    if not spans:
        return text
    begin, end = source.choice(spans)
    new = source.choice(
        ("", "<a>", "</a>", "<a/>", text[begin:end] * 2, text[begin : end - 1], "<a b='1' b='2'>", "<?a?>")
    )
    return text[:begin] + new + text[end:]


def _change_element(text: str, source: random.Random) -> str:
    """An element without others in it is left out, or is there more often."""
    spans = _spans(r"<(\w+)[^<>]*>[^<>]*</\1>", text)
    if not spans:
        return text
    begin, end = source.choice(spans)
    return text[:begin] + text[begin:end] * source.choice((0, 2, 2, 50)) + text[end:]


def _change_attribute(text: str, source: random.Random) -> str:
    spans = _spans(r"(?<==\")[^\"]*(?=\")", text)
    if not spans:
        return text
    begin, end = source.choice(spans)
    return text[:begin] + source.choice((source.choice(HOSTILE_NUMBERS), source.choice(HOSTILE_TEXTS))) + text[end:]


def _declare(text: str, source: random.Random) -> str:
    codec = source.choice(("utf-8", "utf-16", "latin-1", "gbk", "utf-7", "no-such-codec", "", "rot13", "zlib"))
    head = source.choice((f'<?xml version="1.0" encoding="{codec}"?>', *_ENTITIES))
    return head + text


def _nest(text: str, source: random.Random) -> str:
    depth = source.choice((10, 200, 200, 10_000)) if source.random() < 0.2 else 10
    place = source.choice([end for _, end in _spans(r"<[^<>]*>", text)] or [0])
    return text[:place] + "<a>" * depth + source.choice(("</a>" * depth, "")) + text[place:]


_XML_CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    _change_xml_text,
    _change_xml_text,
    _change_xml_text,
    _change_tag,
    _change_element,
    _change_attribute,
    _declare,
    _nest,
    _change_character,
)
