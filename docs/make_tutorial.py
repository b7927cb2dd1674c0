"""Makes the pictures of docs/tutorial.md by doing what it says.

    python docs/make_tutorial.py

Runs every `sh` block of the page in a temporary folder, in order. A picture right after a block shows what the block
printed (SVG); the pictures of the report are taken with Chromium (Selenium is in the extra `dev`; packages chromium and
chromium-driver). Stops at the first command that fails, so the page cannot tell what does not work.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

__all__ = ["PAGE", "Block", "blocks", "run_block"]

PAGE = Path(__file__).with_name("tutorial.md")
_REPORT = Path("line1/results/report.html")
_COLUMNS = 110
_MOST_LINES = 32
_PHONE = {"width": 390, "height": 780, "deviceScaleFactor": 1, "mobile": True}


@dataclass(frozen=True)
class Block:
    """Commands of the page.

    Attributes:
        commands: What stands in the block.
        picture: Where the page wants to see what they print, relative to the page; None if nowhere.
        folder: Where the `cd` of the blocks before have led, from where the first block begins.
    """

    commands: str
    picture: str | None
    folder: Path


def blocks(page: Path = PAGE) -> list[Block]:
    """The `sh` blocks of the page, in order."""
    pattern = re.compile(r"^```sh\n(.*?)^```$(?:\n+!\[[^\]]*\]\(([^)]+\.svg)\))?", re.MULTILINE | re.DOTALL)
    found: list[Block] = []
    folder = Path()
    for match in pattern.finditer(page.read_text()):
        found.append(Block(match[1], match[2], folder))
        for place in re.findall(r"^cd (\S+)$", match[1], re.MULTILINE):
            folder /= place
    return found


def run_block(block: Block, folder: Path) -> str:
    """Runs a block in a folder, with the `mvrec-edge` of this Python.

    Args:
        block: What to run.
        folder: Where the first block begins; this one begins where those before it have gone from there.

    Returns:
        What it printed, both streams as they came.

    Raises:
        subprocess.CalledProcessError: A command failed; its output is in the error.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": str(_COLUMNS), "TERM": "dumb"}
    done = subprocess.run(  # noqa: S603 (the commands of our own page)
        ["bash", "-euc", block.commands],  # noqa: S607
        cwd=folder / block.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def _draw(block: Block, output: str, target: Path) -> None:
    """Draws commands and what they printed, as a terminal would show them."""
    console = Console(record=True, width=_COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    for line in block.commands.rstrip().splitlines():
        console.print(Text("$ ", style="bold green") + Text(line, style="bold"))
    lines = [line for line in output.splitlines() if line.strip()]
    for line in lines[:_MOST_LINES]:
        console.print(Text(line), overflow="fold")
    if len(lines) > _MOST_LINES:
        console.print(Text(f"... {len(lines) - _MOST_LINES} more lines", style="dim"))
    target.parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title="", theme=MONOKAI, unique_id=target.stem)
    # The picture is to need no network: the fonts it would fetch are left out, and a local one is taken.
    target.write_text(re.sub(r"@font-face \{.*?\n\s*\}", "", drawn, flags=re.DOTALL))


def _browse(report: Path, target: Path) -> None:
    """Takes the pictures of the report: whole on a desk, one region opened, the map, and on a phone."""
    from selenium import webdriver

    driver_path = shutil.which("chromedriver")
    if driver_path is None:
        raise SystemExit(
            "the report's pictures need Chromium with its driver: apt-get install chromium chromium-driver"
        )
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    target.mkdir(parents=True, exist_ok=True)
    try:
        driver.set_window_size(1180, 860)
        driver.get(report.as_uri())
        driver.save_screenshot(str(target / "report.png"))
        driver.find_element("css selector", "#list [role=option]").click()
        driver.find_element("id", "detail").screenshot(str(target / "region.png"))
        driver.find_element("id", "tab-map").click()
        driver.find_element("id", "panel-map").screenshot(str(target / "map.png"))
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _PHONE)
        driver.get("about:blank")
        driver.get(report.as_uri())
        driver.save_screenshot(str(target / "phone.png"))
    finally:
        driver.quit()


def main() -> None:
    """Runs the page and makes its pictures."""
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks():
            print(block.commands, end="", flush=True)  # noqa: T201
            try:
                output = run_block(block, Path(folder))
            except subprocess.CalledProcessError as error:
                raise SystemExit(f"{error.output}\nfailed with exit code {error.returncode}") from None
            if block.picture:
                _draw(block, output, PAGE.parent / block.picture)
        _browse(Path(folder) / _REPORT, PAGE.parent / "images" / "tutorial")


if __name__ == "__main__":
    main()
