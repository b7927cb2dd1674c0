"""The class names of a YOLO set: `names` of its YAML file, or a text file with a name in each line."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images.image_files import is_regular_file
from mvrec_edge.runtime.regions.label_files import clean_label, read_text
from mvrec_edge.runtime.regions.listing import list_files

__all__ = ["NAME_FILES", "TREES", "YAML_SUFFIXES", "YoloNames", "describes_yolo", "find_names"]

NAME_FILES = ("classes.txt", "_darknet.labels")
YAML_SUFFIXES = (".yaml", ".yml")
_NAMES_SUFFIX = ".names"
#: What the trees of a set are called.
TREES = ("images", "Images", "JPEGImages", "labels", "Labels")

# A set's YAML file says where its images are, or how many classes there are.
_OF_A_SET = ("train", "val", "test", "path", "nc")
_KEY = re.compile(r"(['\"]?)([A-Za-z_][\w-]*)\1\s*:(?:\s+(.*))?")
_HINT = re.compile(r"\bnames\b")
_NUMBERED = re.compile(r"(\d{1,6})\s*:\s+(.+)")
# What would make a plain scalar mean something else: anchors, tags, blocks, nested collections.
_NOT_PLAIN = re.compile(r"[&*!|>%@`\[\]{},]|.*(: |\s#)")
_ABOVE = 2
# Of a file with names: 10,000 of the longest.
_LONGEST_TEXT = 1 << 22
_MOST_NAMES = 10_000
_COMMENTS = ("#", "//")


@dataclass(frozen=True)
class YoloNames:
    """What the classes of a set are called.

    Attributes:
        path: The file that says so; None where there is none.
        names: Class number to name.
        unused: Where there are none, a file that was found and is not used, and why.
    """

    path: Path | None
    names: dict[int, str]
    unused: str = ""


def describes_yolo(path: Path) -> bool:
    """Whether a YAML file describes a YOLO set; False for one that cannot be read."""
    try:
        keys = _top_level(_text(path))
    except InputError:
        return False
    return "names" in keys and any(key in keys for key in _OF_A_SET)


def find_names(folder: Path, label_folders: Iterable[Path]) -> YoloNames:
    """Looks for the class names of a set: in its folder, beside its label files, then in the two folders above.

    Above, a YAML file counts where it describes a set, as a subset is often given alone. A plain list of names may
    belong to anything there: it counts only in the folder that holds the tree of the labels or images.

    Args:
        folder: The folder that was opened.
        label_folders: The folders of its label files.

    Raises:
        InputError: A file is not understood, is about keypoints, has an empty line or a comment among its names, or two
            of them disagree.
    """
    whole = folder.absolute()
    inside = dict.fromkeys((folder, *label_folders))
    unused = ""
    for places in (inside, *([place] for place in list(whole.parents)[:_ABOVE])):
        found = [names for place in places for names in _in_folder(place)]
        if places is not inside:
            taken = [names for names in found if names.path is not None and _counts_above(names.path, whole)]
            if found and not taken:
                unused = unused or f"{found[0].path} lies above the folder and is not used"
            found = taken
        for other in found[1:]:
            if other.names != found[0].names:
                raise InputError(
                    f"names the classes otherwise than {found[0].path}",
                    where=other.path,
                    fix="delete the file that is wrong",
                )
        if found:
            return found[0]
    return YoloNames(None, {}, unused or _not_found_in(inside))


def _counts_above(path: Path, folder: Path) -> bool:
    """Whether a file with names in a folder above belongs to the set."""
    if path.suffix.lower() in YAML_SUFFIXES:
        return describes_yolo(path)
    return any(part in TREES for part in folder.relative_to(path.parent.absolute()).parts)


def _not_found_in(folders: Iterable[Path]) -> str:
    """The line of a YAML file that speaks of names where they are not looked for."""
    for file in (file for folder in folders for file in list_files(folder, YAML_SUFFIXES, recursive=False)):
        for number, line in enumerate(_text(file).splitlines(), start=1):
            bare = _uncommented(line)
            if (hint := _HINT.search(bare)) is not None and ":" in bare[hint.end() :]:
                return f"line {number} of {file} has 'names' not at its beginning, and is not read"
    return ""


def _in_folder(folder: Path) -> list[YoloNames]:
    found = []
    for path in list_files(folder, YAML_SUFFIXES, recursive=False):
        keys = _top_level(_text(path))
        if "names" in keys:
            found.append(YoloNames(path, _of_yaml(keys, path)))
    lists = [folder / name for name in NAME_FILES if is_regular_file(folder / name)]
    lists += list_files(folder, (_NAMES_SUFFIX,), recursive=False)
    return found + [YoloNames(path, _cleaned(enumerate(_lines(path)), path)) for path in lists]


def _lines(path: Path) -> list[str]:
    """The lines of a list of names; one that is no name would shift all names below it."""
    lines = _text(path).rstrip().splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            what = f"line {number} is empty, and each line is the name of a class"
        elif line.lstrip().startswith(_COMMENTS):
            what = f"line {number} looks like a comment, and each line is the name of a class: '{line.strip()[:40]}'"
        else:
            continue
        raise InputError(what, where=path, fix="delete the line, or write the name of the class there")
    return lines


def _text(path: Path) -> str:
    """The text of a file with names; raises `AnnotationError` where it is longer than such a file can be."""
    text = read_text(path)
    if len(text) > _LONGEST_TEXT:
        what = f"is longer than {_LONGEST_TEXT} characters, which no file with names of classes is"
        raise AnnotationError(what, where=path, fix="delete it, or move it out of the folder")
    return text


def _top_level(text: str) -> dict[str, list[str]]:
    """The keys of a YAML file that are not indented, each with its lines, without comments.

    A list of names is all that is wanted of such a file. So it is not parsed as YAML, in which a class called `no`
    would become False, but read line by line; what is not understood is refused.
    """
    keys: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).rstrip() if "'" not in line and '"' not in line else _uncommented(line)
        if not bare.strip() or bare in ("---", "..."):
            continue
        key = _KEY.fullmatch(bare)
        if key is None:
            lines.append(bare)
        else:
            lines = [key[3] or ""]
            # Twice is no YAML; the second one is kept apart so that it is not understood.
            keys[key[2] if key[2] not in keys else f"{key[2]} "] = lines
    return keys


def _uncommented(line: str) -> str:
    """A line with quotes in it without its comment."""
    quote = ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place].rstrip()
    return line.rstrip()


def _of_yaml(keys: dict[str, list[str]], path: Path) -> dict[int, str]:
    if "kpt_shape" in keys:
        raise InputError("describes a YOLO set of keypoints, which is not read", where=path, fix="export boxes")
    if "names " in keys:
        raise _not_understood(path)
    value, *block = keys["names"]
    whole = " ".join((value, *block)).strip()
    if whole[:1] in ("[", "{"):
        names = _flow(whole, path)
    elif value:
        raise _not_understood(path)
    else:
        names = _block([line.strip() for line in block], path)
    count = keys.get("nc", [""])[0]
    if count and count != str(len(names)):
        raise InputError(f"'nc' says {count[:20]} classes, 'names' has {len(names)}", where=path, fix="correct it")
    return names


def _flow(text: str, path: Path) -> dict[int, str]:
    """`[dent, 'scratch']` or `{0: dent, 1: scratch}`."""
    if text[-1] != {"[": "]", "{": "}"}[text[0]]:
        raise _not_understood(path)
    items, item, quote = [], "", ""
    for character in text[1:-1]:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == ",":
            items.append(item.strip())
            item = ""
            continue
        item += character
    if item.strip():
        items.append(item.strip())
    return _numbered(items, path) if text[0] == "{" else _listed(items, path)


def _block(lines: list[str], path: Path) -> dict[int, str]:
    """Lines `- dent`, or `0: dent`."""
    if lines and all(line.startswith("- ") for line in lines):
        return _listed([line[2:].strip() for line in lines], path)
    return _numbered(lines, path)


def _listed(items: list[str], path: Path) -> dict[int, str]:
    return _cleaned(((number, _scalar(item, path)) for number, item in enumerate(items)), path)


def _numbered(items: list[str], path: Path) -> dict[int, str]:
    pairs = [_NUMBERED.fullmatch(item) for item in items]
    if not pairs or any(pair is None for pair in pairs):
        raise _not_understood(path)
    numbers = [int(pair[1]) for pair in pairs if pair is not None]
    if twice := [number for number, count in Counter(numbers).items() if count > 1]:
        raise AnnotationError(
            f"its 'names' have the number {twice[0]} more than once",
            where=path,
            fix="give each class a number of its own",
        )
    return _cleaned(((int(pair[1]), _scalar(pair[2].strip(), path)) for pair in pairs if pair is not None), path)


def _scalar(text: str, path: Path) -> str:
    """A name, in single or double quotes or in none."""
    if text[:1] == "'" and len(text) > 1 and text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if text[:1] == '"':
        try:
            value = json.loads(text)
        except ValueError as error:
            raise _not_understood(path) from error
        return str(value)
    if not text or text[0] == "'" or text.lower() in ("~", "null") or _NOT_PLAIN.match(text):
        raise _not_understood(path)
    return text


def _cleaned(names: Iterable[tuple[int, str]], path: Path) -> dict[int, str]:
    cleaned = {number: clean_label(name, str(path)) for number, name in itertools.islice(names, _MOST_NAMES + 1)}
    if len(cleaned) > _MOST_NAMES:
        raise AnnotationError(f"names more than {_MOST_NAMES} classes", where=path, fix="check that it is that file")
    return {number: name for number, name in cleaned.items() if name is not None}


def _not_understood(path: Path) -> AnnotationError:
    return AnnotationError(
        "its 'names' are neither a list of names nor numbers with names",
        where=path,
        fix="write them as names: [dent, scratch], or one in each line of classes.txt",
    )
