"""Run by a test in a process that has real bindings on its path: what of a list do they lack?"""

from __future__ import annotations

import json
import re
import sys


def signatures(function: object) -> list[list[str]]:
    """The parameters of every overload in a docstring of pybind11, without self."""
    text = getattr(function, "__doc__", None) or ""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*(?:\d+\. )?\w+\((.*)\) -> ", line)
        if match and match[1] != "*args, **kwargs":
            # Defaults and types hold commas and brackets; a name is what stands before a colon at depth 0.
            depth, start, parts = 0, 0, []
            for place, sign in enumerate(match[1] + ","):
                depth += (sign in "[(<{") - (sign in "])>}")
                if sign == "," and depth == 0:
                    parts.append(match[1][start:place])
                    start = place + 1
            found.append(
                [part.split(":")[0].strip() for part in parts if part.strip() and not part.strip().startswith("self")]
            )
    return found


def main() -> None:
    import tensorrt_bindings as library

    request = json.load(sys.stdin)
    problems = []
    for use in request["uses"]:
        target = getattr(library, use["owner"]) if use["owner"] else library
        full = f"{use['owner']}.{use['name']}".strip(".")
        for part in use["name"].split("."):
            if not hasattr(target, part):
                problems.append(f"{full} does not exist")
                break
            target = getattr(target, part)
        else:
            if use["positional"] < 0:
                continue
            # A class is called through its constructor.
            overloads = signatures(target.__init__ if isinstance(target, type) else target)
            if not overloads:
                problems.append(f"{full} has no signature")
            elif not any(
                (use["positional"] == 100 or use["positional"] + len(use["keywords"]) <= len(names))
                and set(use["keywords"]) <= set(names)
                for names in overloads
            ):
                problems.append(f"{full} takes {overloads}, not {use['positional']} and {use['keywords']}")
    for base, methods in request["overridden"].items():
        for name, parameters in methods.items():
            overloads = signatures(getattr(getattr(library, base), name, None))
            if overloads != [parameters]:
                problems.append(f"{base}.{name} takes {overloads}, ours {parameters}")
    names = {name: dir(getattr(library, name)) for name in request["classes"] if hasattr(library, name)}
    json.dump({"version": library.__version__, "problems": problems, "names": names}, sys.stdout)


if __name__ == "__main__":
    main()
