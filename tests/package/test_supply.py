"""The lock files hold what pyproject.toml asks for, and what is said of licences and holes is read rightly."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from supply.check import LOCKS, READ, SUPPLY, audited, installed, licence_of, pins, strange_licences

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REFERENCE = {
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "platform_machine": "x86_64",
    "sys_platform": "linux",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(extras: tuple[str, ...]) -> list[Requirement]:
    """What pyproject.toml asks for in the reference environment."""
    project = tomllib.loads((SUPPLY.parent / "pyproject.toml").read_text("utf-8"))["project"]
    wanted, seen = [*map(Requirement, project["dependencies"])], set[str]()
    left = list(extras)
    while left:
        extra = left.pop()
        seen.add(extra)
        for requirement in map(Requirement, project["optional-dependencies"][extra]):
            if requirement.name == project["name"]:
                left += [name for name in requirement.extras if name not in seen]
            else:
                wanted.append(requirement)
    return [each for each in wanted if each.marker is None or each.marker.evaluate(REFERENCE)]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_holds_what_the_project_asks_for_with_hashes(name: str) -> None:
    text = (SUPPLY / f"{name}.lock").read_text("utf-8")
    locked = pins(text)
    assert all(locked.values()), [package for package, hashes in locked.items() if not hashes]
    versions = {normal(package.partition("==")[0]): package.partition("==")[2] for package in locked}
    for requirement in asked(LOCKS[name]):
        version = versions.get(normal(requirement.name))
        assert version is not None, f"make lock: {requirement.name} is not in {name}.lock"
        assert requirement.specifier.contains(Version(version), prereleases=True), f"make lock: {requirement}"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_no_host(name: str) -> None:
    text = (SUPPLY / f"{name}.lock").read_text("utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links|@ ", text)


def test_everything_that_is_installed_may_be_shipped() -> None:
    packages = installed(Path(sys.executable))
    assert len(packages) > 20
    assert strange_licences(packages) == []


@pytest.mark.parametrize(
    ("expression", "licence", "classifiers", "wrong"),
    [
        ("MIT", None, [], False),
        ("MIT OR GPL-3.0-only", None, [], False),
        ("MIT AND GPL-3.0-only", None, [], True),
        ("Apache-2.0 AND Apache-2.0 WITH LLVM-exception AND (BSD-2-Clause OR MIT)", None, [], False),
        ("AGPL-3.0-or-later", None, [], True),
        (None, "BSD 3-Clause License\n\nCopyright", [], False),
        (None, "GPLv3", [], True),
        (None, "MIT", ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"], True),
        (None, None, ["License :: OSI Approved :: Apache Software License"], False),
        (None, "something of our own", [], True),
        (None, None, [], True),
    ],
)
def test_a_licence_is_read_from_what_a_package_says(
    expression: str | None, licence: str | None, classifiers: list[str], wrong: bool
) -> None:
    record = {"expression": expression, "licence": licence, "classifiers": classifiers}
    assert bool(strange_licences({"a": record})) is wrong, licence_of(record)


def test_a_licence_that_a_person_has_read_is_of_one_version() -> None:
    (package,) = READ
    name, _, version = package.partition("==")
    record = {"expression": None, "licence": "UNKNOWN", "classifiers": []}
    assert strange_licences({name: record | {"version": version}}) == []
    assert strange_licences({name: record | {"version": "0.2.0"}}) == [(name, "UNKNOWN")]
    assert strange_licences({"another": record | {"version": version}}) == [("another", "UNKNOWN")]


def test_packages_that_nobody_was_asked_about_are_not_audited() -> None:
    skipped = {"name": "a", "skip_reason": "not found"}
    hole = {"id": "CVE-1", "fix_versions": ["2"]}
    assert audited("") == ("NOTHING WAS AUDITED: no service that knows of holes is reached", [])
    line, holes = audited(json.dumps({"dependencies": [skipped]}))
    assert line.startswith("NOTHING WAS AUDITED")
    assert holes == []
    line, holes = audited(json.dumps({"dependencies": [skipped, {"name": "b", "version": "1", "vulns": [hole]}]}))
    assert line == "1 of 2 packages audited, 1 known holes"
    assert holes == ["b 1: CVE-1, mended in 2"]
