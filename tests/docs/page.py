"""Examples as a page of `docs/` shows them, so that a test can build and run them.

What is read from a page:

- A block marked `tree`: the folders of an example. Behind a file's name stands what it is: `image`, `mask`, or anything
  else for a file whose text the page shows.
- A block below a line that holds only a path in backquotes (and perhaps a colon): the text of that file.
- A block marked `sh`: commands, run in the order of the page.
- A block marked `message`: lines that the last command prints; `...` stands for anything.
- A comment `<!-- mistake ... -->`: how to turn the example into a wrong one, a shell command on each line; `draw FILE
  WHAT` draws an image. A line that begins with `mvrec-edge` is the command that answers with the message below;
  without one it is the first command of the example.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["DOCS", "Example", "Mistake", "Step", "read_page"]

DOCS = Path(__file__).resolve().parents[2] / "docs"

_PARTS = re.compile(
    r"^(?P<heading>#+ [^\n]+)$"
    r"|^<!-- mistake\n(?P<mistake>.*?)-->$"
    r"|(?:^`(?P<path>[^`\n]+)`:?\n\n)?^```(?P<kind>[a-z-]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """Commands, and what the last of them prints."""

    commands: tuple[str, ...]
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """How an example is spoilt, and what is answered."""

    page: str
    number: int
    changes: tuple[str, ...]
    command: str | None
    messages: tuple[str, ...]


@dataclass
class Example:
    """One tree of a page, with all that follows up to the next one."""

    page: str
    heading: str
    tree: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def first_command(self) -> str:
        """What a mistake is tried with where it names no command."""
        return self.steps[0].commands[0]


def read_page(path: Path) -> list[Example]:
    """The examples of a page; one without a tree of its own has mistakes alone."""
    name = path.relative_to(DOCS).as_posix()
    examples: list[Example] = []
    heading = ""
    spoilt: list[str] | None = None
    mistakes = 0
    for part in _PARTS.finditer(path.read_text(encoding="utf-8")):
        kind, text = part["kind"], (part["text"] or "").rstrip("\n")
        if part["heading"]:
            heading = part["heading"].lstrip("# ")
        elif part["mistake"] is not None:
            assert spoilt is None, f"{name}: the mistake before '{part['mistake']}' has no message"
            spoilt = part["mistake"].splitlines()
            if not examples:
                examples.append(Example(name, heading, {}))
        elif kind == "tree":
            examples.append(Example(name, heading, _tree(text)))
        elif part["path"]:
            examples[-1].files[part["path"]] = text + "\n"
        elif kind == "sh" and examples:
            commands = tuple(line for line in text.splitlines() if line and not line.startswith("#"))
            examples[-1].steps.append(Step(commands))
        elif kind == "message":
            messages = tuple(text.splitlines())
            if spoilt is None:
                last = examples[-1].steps[-1]
                examples[-1].steps[-1] = Step(last.commands, last.messages + messages)
            else:
                mistakes += 1
                commands = tuple(line for line in spoilt if line.startswith("mvrec-edge "))
                changes = tuple(line for line in spoilt if line and line not in commands)
                assert len(commands) < 2, f"{name}: several commands in one mistake: {commands}"
                command = commands[0] if commands else None
                examples[-1].mistakes.append(Mistake(name, mistakes, changes, command, messages))
                spoilt = None
    assert spoilt is None, f"{name}: the last mistake has no message"
    return examples


def _tree(text: str) -> dict[str, str]:
    """The files of a tree and what each is said to be."""
    files: dict[str, str] = {}
    above: list[str] = []
    for line in text.splitlines():
        found = re.fullmatch(r"((?:  )*)(\S+)(?:  +(.+))?", line)
        assert found is not None, f"this line of a tree is not understood: {line!r}"
        level = len(found[1]) // 2
        above = above[:level]
        if found[2].endswith("/"):
            above.append(found[2].rstrip("/"))
        else:
            files["/".join((*above, found[2]))] = found[3] or ""
    return files
