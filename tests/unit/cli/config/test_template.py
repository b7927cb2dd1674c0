"""The config file that `init` writes holds every setting there is, and says the truth about each."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.calib import EvaluateSettings
from mvrec_edge.calib.evaluation.splitting import check_split
from mvrec_edge.calib.fitting.head_fitting import check_head
from mvrec_edge.cli.config.command import command_settings
from mvrec_edge.cli.config.reading import one_level, read_config, tables_of
from mvrec_edge.cli.config.setting import SHARED_TABLES, shared_table
from mvrec_edge.cli.config.template import EXAMPLES, LAYOUT, render_template
from mvrec_edge.runtime import ViewPlan
from mvrec_edge.runtime.bundle import parse_precisions
from mvrec_edge.runtime.engines.engine_registry import engine_names
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities
from mvrec_edge.runtime.engines.tensorrt.profile import BatchProfile
from mvrec_edge.runtime.gradual import parse_risk, parse_views
from mvrec_edge.runtime.regions.part_sources import check_part_from
from mvrec_edge.runtime.support.part_fit import check_part_name
from mvrec_edge.runtime.support.reject_rate import parse_rate
from mvrec_edge.runtime.support.right_rate import parse_right_rate
from mvrec_edge.runtime.views.window_sizes import parse_window_sizes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEMPLATE = render_template(command_settings())
_SHOWN = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)


def _loaded(text: str) -> dict[str, Any]:
    return one_level(tomllib.loads(text), tables_of(command_settings()))


def _in_force(text: str) -> dict[str, Any]:
    return _loaded(_SHOWN.sub("", text))


def test_the_template_is_valid_as_it_stands_and_with_every_setting_in_force(tmp_path: Path) -> None:
    for text in (TEMPLATE, _SHOWN.sub("", TEMPLATE)):
        path = tmp_path / "c.toml"
        path.write_text(text)
        for command in command_settings():
            assert read_config(path, command_settings(), command) or command in ("demo", "inspect")
    assert _loaded(TEMPLATE) == {table: dict(LAYOUT.get(table, {})) for table in tables_of(command_settings())}


def test_the_template_lists_each_setting_once() -> None:
    document = _in_force(TEMPLATE)
    assert {table: set(document[table]) for table in SHARED_TABLES} == {
        table: set(keys) for table, keys in SHARED_TABLES.items()
    }
    for command, settings in command_settings().items():
        own = {key for key in settings if shared_table(command, key) is None}
        missing = own - set(document[command])
        assert not missing, f"the config file that init writes does not list {sorted(missing)} of {command}"
        assert set(document[command]) == own


#: What each text of a config file has to be, as its command reads it.
_READERS: dict[str, Callable[[str], object]] = {
    "aggregate": lambda text: check_head("zip", aggregate=text),
    "batch": lambda text: BatchProfile.parse(text) if ":" in text else [int(part) for part in text.split(",")],
    "calibration_view_recipe": ViewPlan.by_name,
    "calibration_window_sizes": parse_window_sizes,
    "capability": lambda text: Capabilities((text,)),
    "engine": engine_names().index,
    "head": check_head,
    "heads": lambda text: [check_head(name) for name in text.split(",")],
    "input": lambda text: EvaluateSettings(region_input=text),
    "part": check_part_name,
    "part_from": check_part_from,
    "precision": parse_precisions,
    "provider": ("cpu", "cuda", "tensorrt").index,
    "random_weights": ("ViT-L/14", "ViT-L/14@336", "ViT-B/16", "ViT-Ti/16", "pocket", "lite").index,
    "reject_rate": parse_rate,
    "right_at_least": parse_right_rate,
    "resample": lambda text: ViewPlan.by_name("ms", resample=text),
    "risk": parse_risk,
    "shots": lambda text: [int(part) for part in text.split(",")],
    "split": check_split,
    "tune_precisions": parse_precisions,
    "view_recipe": ViewPlan.by_name,
    "window_sizes": parse_window_sizes,
    "views": lambda text: parse_views("all" if text == "cache" else text),
}


def test_every_text_is_one_that_its_command_takes() -> None:
    """An example such as `#tune_precisions = "tune_precisions"` would be copied."""
    document = _in_force(TEMPLATE)
    tables = tables_of(command_settings())
    seen = 0
    for table, values in document.items():
        for key, value in values.items():
            setting = tables[table][key]
            if setting.kind == "text" and not setting.choices:
                for text in value if setting.many else [value]:
                    _READERS[key](text)
                    seen += 1
            if setting.kind == "path" and setting.default is None and key not in LAYOUT.get(table, {}):
                assert key in EXAMPLES or f"{table}.{key}" in EXAMPLES, f"[{table}] {key}: give it an example"
    assert seen > 20


def test_every_documented_default_is_the_commands_own() -> None:
    document = _in_force(TEMPLATE)
    table = ""
    seen = 0
    for line in TEMPLATE.splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        if (match := re.match(r"#([a-z_]+) = .*  # (.*)$", line)) is None:
            continue
        key, remark = match.groups()
        defaults = {
            command: settings[key].default
            for command, settings in command_settings().items()
            if key in settings and table in (command, shared_table(command, key))
        }
        expected = "the default" if next(iter(defaults.values())) is not None else "an example; by default not set"
        assert remark == expected, f"[{table}] {key}"
        for command, default in defaults.items():
            assert default is None or document[table][key] == default, f"[{table}] {key}, as {command} has it"
        seen += 1
    assert seen > 30


def test_every_setting_says_what_it_is_for() -> None:
    for command, settings in command_settings().items():
        for key, setting in settings.items():
            assert setting.help, f"'{key}' of {command} has no help, so the config file cannot say what it is for"
    lines = TEMPLATE.splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#?[a-z_]+ = ", line):
            assert before.startswith("# "), f"no comment above: {line}"


def test_the_layout_names_only_settings_there_are() -> None:
    tables = tables_of(command_settings())
    for table, values in LAYOUT.items():
        assert set(values) <= set(tables[table])


@pytest.mark.parametrize("kind", ["path", "text", "integer", "number", "switch"])
@pytest.mark.parametrize("many", [False, True])
def test_an_option_that_appears_later_is_listed(tmp_path: Path, kind: Any, many: bool) -> None:
    commands = command_settings()
    later = replace(
        commands["classify"]["overlay"], key="later", parameter="later", kind=kind, many=many, low=None, help="New."
    )
    commands["classify"]["later"] = later
    text = render_template(commands)
    assert "# New.\n#later = " in text
    path = tmp_path / "c.toml"
    path.write_text(_SHOWN.sub("", text))
    assert "later" in read_config(path, commands, "classify")
