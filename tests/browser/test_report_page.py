"""The report in a real browser: what a person does with it, and what a hostile file name cannot do."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.region_names import RegionName
from mvrec_edge.runtime.report import AddCommand, ReportLimits, ReportWriter

pytestmark = pytest.mark.browser

Open = Callable[[Path], Any]


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The helpers beside the fixtures, which tests of this folder cannot import by name."""
    spec = importlib.util.spec_from_file_location("report_pages", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def probability(region: dict[str, Any]) -> float:
    return float(max(region["p"]))


def shown(page: Any) -> int:
    """How many regions the list has, drawn or not."""
    return int(page.js("return Number(getComputedStyle(document.getElementById('list')).getPropertyValue('--rows'))"))


def test_everything_is_there(open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    data = data_of(small_report)
    assert page.chrome.title == "Line 1"
    assert "60 regions on 60 images" in page.text("#subtitle")
    right = sum(region["label"] == region["annotated"] for region in data["regions"])
    assert f"{100 * right / 60:.1f}% as labelled" in page.text("#subtitle")
    doubtful = min(data["regions"], key=probability)
    assert data["regions"][page.selected()] == doubtful
    assert page.text("#detail h2 .label") == doubtful["label"]
    assert len(page.texts("#detail .bars tr")) == 5
    names = [Path(data["support"][near[0]]["source"]).name for near in doubtful["near"]]
    assert page.texts("#detail .near .file") == names
    assert all(width > 0 for width in page.loaded("#detail img"))
    assert page.loaded("#detail .sheet img") == [9 * 56]
    assert len(page.texts("#detail .cells span")) == 27
    assert len(page.texts("#detail .cells .unused")) == 0
    assert all(width > 0 for width in page.loaded(".row img"))


def test_classes_words_and_doubt_filter(open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    regions = data_of(small_report)["regions"]
    page.click("#classes .chip:nth-child(3)")
    pits = [region for region in regions if region["label"] == "pit"]
    assert shown(page) == len(pits)
    assert set(page.texts(".row .label")) == {"pit"}
    page.click("#classes .chip:nth-child(1)")
    assert shown(page) == sum(region["label"] in ("pit", "crack") for region in regions)
    page.click("#reset")
    assert shown(page) == 60
    page.fill("#limit", 60)
    assert shown(page) == sum(probability(region) <= 0.6 for region in regions)
    assert page.text("#limit-text") == "up to 0.60"
    page.fill("#measure", "margin")
    margins = [sorted(region["p"])[-1] - sorted(region["p"])[-2] for region in regions]
    assert shown(page) == sum(margin <= 0.6 for margin in margins)
    page.click("#reset")
    page.fill("#search", "PART00017")
    assert shown(page) == 1
    page.fill("#search", "no such thing")
    assert shown(page) == 0
    assert page.js("return document.getElementById('nothing').hidden") is False
    page.fill("#search", "")
    page.click("#wrong")
    wrong = [region for region in regions if region["label"] != region["annotated"]]
    assert shown(page) == len(wrong)
    assert page.text("#count") == f"{len(wrong)} of 60 regions"
    assert len(page.texts(".row .badge.wrong")) == len(page.texts(".row"))


@pytest.mark.parametrize(("order", "sign"), [("doubt", 1), ("sure", -1)])
def test_sorting_by_probability(open_page: Open, small_report: Path, order: str, sign: int) -> None:
    page = open_page(small_report)
    page.fill("#sort", order)
    page.key("\ue011")  # Home
    wanted = sorted((probability(region) for region in data_of(small_report)["regions"]), key=lambda p: sign * p)
    rows = page.js(
        "return [...document.querySelectorAll('.row')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
        ".map((row) => row.lastChild.textContent)"
    )
    assert len(rows) >= 8
    assert [float(row.removesuffix("%")) for row in rows] == pytest.approx(
        [100 * value for value in wanted[: len(rows)]], abs=0.051
    )


def test_the_keyboard_alone_is_enough(open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    regions = data_of(small_report)["regions"]
    order = sorted(range(60), key=lambda index: (probability(regions[index]), index))
    assert page.selected() == order[0]
    page.key("j")
    page.key("\ue015")  # down
    assert page.selected() == order[2]
    page.key("k")
    assert page.selected() == order[1]
    page.key("\ue010")  # End
    assert page.selected() == order[-1]
    box = page.js("return document.querySelector('.row[aria-selected=true]').getBoundingClientRect().toJSON()")
    assert 0 <= box["top"] < box["bottom"] <= page.js("return innerHeight")
    page.key("\ue011")
    assert page.selected() == order[0]
    page.key("/")
    assert page.js("return document.activeElement.id") == "search"
    page.key("j")  # a letter now
    assert page.js("return document.getElementById('search').value") == "j"
    assert shown(page) == 0
    page.key("\ue003")  # backspace
    page.key("\ue00c")  # Esc
    assert page.js("return document.activeElement.id") == "list"
    assert page.js("return document.activeElement.matches(':focus-visible')") is True
    page.key("\ue007")  # Enter
    assert page.js("return document.activeElement.id") == "detail"
    page.key("\ue00c")
    for number, tab in enumerate(("regions", "confusion", "map", "run"), start=1):
        page.key(str(number))
        visible = page.js(
            "return [...document.querySelectorAll('[role=tabpanel]')].filter((e) => !e.hidden).map((e) => e.id)"
        )
        assert visible == [f"panel-{tab}"]
    page.js("document.getElementById('tab-run').focus()")
    page.key("\ue014")  # right, and round
    assert page.js("return document.activeElement.id") == "tab-regions"
    page.key("w")
    assert 0 < shown(page) < 60


def test_a_cell_of_the_confusion_matrix_shows_its_regions(open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    regions = data_of(small_report)["regions"]
    page.click("#tab-confusion")
    cells = page.js(
        "return [...document.querySelectorAll('.confusion button')].map((e) => [e.ariaLabel, e.textContent])"
    )
    counts = {}
    for label, text in cells:
        found = re.fullmatch(r"(\d+) labelled (\w+), classified (\w+)", label)
        assert found is not None
        assert found[1] == text
        counts[found[2], found[3]] = int(text)
    for (truth, label), count in counts.items():
        assert count == sum((region["annotated"], region["label"]) == (truth, label) for region in regions)
    assert sum(counts.values()) == 60
    truth, label = next(pair for pair in counts if pair[0] != pair[1])
    page.click(f".confusion button[aria-label='{counts[truth, label]} labelled {truth}, classified {label}']")
    assert shown(page) == counts[truth, label]
    assert regions[page.selected()]["annotated"] == truth
    assert page.text("#extra .chip") == f"labelled {truth}, classified {label} \u00d7"
    page.click("#extra .chip")
    assert shown(page) == 60


def test_the_map_selects_what_is_clicked(open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    data = data_of(small_report)
    page.click("#tab-map")
    frame = page.js("return document.getElementById('map').getBoundingClientRect().toJSON()")
    places = [item["xy"] for item in data["regions"] + data["support"]]
    low = [min(place[axis] for place in places) for axis in (0, 1)]
    high = [max(place[axis] for place in places) for axis in (0, 1)]

    def click(place: list[float]) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        unit = min((frame[side] - 48) / (high[axis] - low[axis]) for axis, side in ((0, "width"), (1, "height")))
        x, y = (unit * (place[axis] - (low[axis] + high[axis]) / 2) * (1, -1)[axis] for axis in (0, 1))
        canvas = page.chrome.find_element("id", "map")
        ActionChains(page.chrome).move_to_element_with_offset(canvas, round(x), round(y)).click().perform()
        page.settle()

    rightmost = max(range(60), key=lambda index: data["regions"][index]["xy"][0])
    click(data["regions"][rightmost]["xy"])
    assert page.selected() == rightmost
    assert page.js("return document.getElementById('map-tip').hidden") is False
    instance = min(range(25), key=lambda index: data["support"][index]["xy"][1])
    click(data["support"][instance]["xy"])
    assert page.text("#detail .main-picture figcaption") == data["support"][instance]["source"]
    near = sum(any(pair[0] == instance for pair in region["near"]) for region in data["regions"])
    assert len(page.texts("#detail .small-picture")) == min(near, 30) > 0
    drawn = "return document.getElementById('map').toDataURL()"
    before = page.js(drawn)
    page.click("#zoom-in")
    nearer = page.js(drawn)
    assert nearer != before
    page.click("#zoom-out")
    assert page.js(drawn) == before
    page.click("#classes .chip")
    assert page.js(drawn) not in (before, nearer)


HOSTILE = [
    "<img src=x onerror=window.hacked=1>.png",
    "</script><script>window.hacked=1</script>.png",
    "<svg onload=window.hacked=1>",
    '" onmouseover="window.hacked=1" x=".png',
    "javascript:window.hacked=1",
    "photo\u202egnp.exe",
    "a\u2028b\x00c\x1b[31m.png",
    "\udcff\udcfe.png",
    "<!--<script>.png",
    "&lt;b&gt;&amp;.png",
    "\u05e9\u05dc\u05d5\u05dd.png",
    "x" * 5000,
    "__proto__",
    "constructor",
]


def test_names_from_outside_stay_text(open_page: Open, made: ModuleType, tmp_path: Path) -> None:
    names = [*HOSTILE, "hasOwnProperty"]
    cache = dataclasses.replace(
        made.make_cache(), class_names=tuple(HOSTILE[:5]), sources=tuple(HOSTILE[number % 14] for number in range(25))
    )
    path = tmp_path / "hostile.html"
    with ReportWriter(path, cache, title=HOSTILE[1], limits=ReportLimits(problems=20)) as report:
        for number, name in enumerate(names):
            image, plain = made.make_prediction(cache, number, label=name, source=name)
            renamed = dict(zip(HOSTILE[:5], plain.probabilities.values(), strict=True))
            report.add(
                Path("folder") / name,
                image,
                [dataclasses.replace(plain, label=HOSTILE[number % 5], probabilities=renamed)],
                [AnnotationError(name, where=name, fix=name)],
            )
        report.note(HOSTILE[0])
    page = open_page(path)
    for _ in names:
        page.key("j")
    for number in "1234":
        page.key(number)
    page.click("#tab-confusion")
    page.click(".confusion button")
    page.js("document.querySelectorAll('*').forEach((e) => e.dispatchEvent(new Event('mouseover', {bubbles: true})))")
    page.settle()
    assert page.js("return window.hacked") is None
    assert page.js("return document.scripts.length") == page.js(
        "return document.querySelectorAll('script[type=\"application/json\"]').length + 1"
    )
    assert page.js("return document.querySelectorAll('svg, iframe, object, a[href^=javascript]').length") == 0
    assert page.js("return [...document.images].every((e) => e.src.startsWith('data:image/jpeg;base64,'))") is True
    assert not any("\u202e" in text or "\x1b" in text for text in page.texts("body bdi"))
    page.click("#reset")
    page.fill("#search", "photo")
    assert page.texts(".row .file bdi")[0] == "photo\\u202egnp.exe"


def test_a_region_that_is_wrong_is_added_by_a_copied_command(open_page: Open, made: ModuleType, tmp_path: Path) -> None:
    """The words come back out of a shell as they were, whatever is in them."""
    from selenium.webdriver.common.action_chains import ActionChains

    names = ["part 1.jpg", 'it\'s "x" $HOME `id` \\\\.jpg', "two\nlines\t.jpg", "n\udcff \u202e\u00e9.jpg", "-rf.jpg"]
    cache = made.make_cache()
    command = AddCommand("line 1.safetensors", "b.bundle")
    path = tmp_path / "a.html"
    with ReportWriter(path, cache, title="a", command=command) as report:
        for number, name in enumerate(names):
            image, plain = made.make_prediction(cache, number, label="crack", source="a")
            wrong = dataclasses.replace(plain, label="dent")
            report.add(Path(name), image, [wrong], names=[RegionName(Path(name), 2, Path("m.png"))])
    page = open_page(path)
    page.fill("#sort", "file")
    for number, name in enumerate(names):
        page.key("j" if number else "\ue011")
        assert page.js("return document.querySelector('.adding').open") is True
        assert page.js("return document.querySelector('#add-label').value") == "crack"
        words = _from_shell(page.text(".command"))
        shown = f"./{name}" if name.startswith("-") else name
        assert words == [
            *("mvrec-edge", "support", "add", "line 1.safetensors", f"{shown}#2", "--masks", "m.png"),
            *("--bundle", "b.bundle", "--label=crack"),
        ]
        page.fill("#add-label", "-it's new")
        assert _from_shell(page.text(".command"))[-1] == "--label=-it's new"
        page.fill("#add-label", " ")
        assert page.js("return document.querySelector('.adding button').disabled") is True
    page.fill("#add-label", "pit")
    copied = page.text(".command")
    page.click(".adding button")
    page.js("document.querySelector('#search').focus()")
    ActionChains(page.chrome).key_down("\ue009").send_keys("v").key_up("\ue009").perform()
    page.settle()
    assert page.text(".adding [role=status]") == "Copied."
    assert page.js("return document.querySelector('#search').value") == copied


def _from_shell(command: str) -> list[str]:
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True, env={"HOME": "/home"}
    )
    return [os.fsdecode(word) for word in said.stdout.split(b"\0")[:-1]]


def test_without_what_it_needs_no_command_is_offered(open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    assert page.js("return document.querySelectorAll('.adding').length") == 0


def test_names_of_classes_are_whole_where_there_is_room(open_page: Open, made: ModuleType, tmp_path: Path) -> None:
    long = ["MT_Blowhole_along_the_edge", "scratch across the whole tile", "pit", "Kratzer", "stain"]
    cache = dataclasses.replace(made.make_cache(), class_names=tuple(long))
    path = tmp_path / "a.html"
    with ReportWriter(path, cache, title="a") as report:
        for number in range(20):
            image, plain = made.make_prediction(cache, number, label=long[number % 5], source="a")
            renamed = dict(zip(long, plain.probabilities.values(), strict=True))
            named = dataclasses.replace(plain, label=long[(number + 1) % 5], probabilities=renamed)
            report.add(Path(f"{number}.jpg"), image, [named])
    page = open_page(path)
    cut = (
        "return [...document.querySelectorAll(arguments[0])].filter((e) => e.scrollWidth > e.clientWidth + 1)"
        ".map((e) => e.textContent)"
    )
    for selector in (".row .label", ".row .badge", "#detail h2 *", ".bars th", ".near strong", ".chip bdi"):
        assert page.js("return document.querySelectorAll(arguments[0]).length", selector) > 0
        assert page.js(cut, selector) == [], selector
    page.click("#tab-confusion")
    assert page.js(cut, ".confusion th") == []


PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}


def test_a_phone_shows_all_of_it_without_scrolling_sideways(open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    page.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    page.settle()

    def sideways() -> int:
        return int(page.js("return document.documentElement.scrollWidth - innerWidth"))

    for tab in ("confusion", "map", "run", "regions"):
        page.click(f"#tab-{tab}")
        assert sideways() <= 0, tab
    targets = "#tabs button, #classes .chip, #search, #sort, #wrong, .row"
    heights = page.js("return [...document.querySelectorAll(arguments[0])].map((e) => e.offsetHeight)", targets)
    assert min(heights) >= 44
    assert page.js("return getComputedStyle(document.getElementById('detail')).display") == "none"
    page.click(".row")
    assert page.js("return document.getElementById('detail').offsetWidth") == 360
    assert page.js("return document.getElementById('detail').getAttribute('role')") == "dialog"
    assert page.js("return document.querySelector('.content').inert") is True
    assert sideways() <= 0
    assert page.js("const d = document.getElementById('detail'); return d.scrollWidth - d.clientWidth") <= 0
    before = page.selected()
    page.click("#detail .controls button:nth-child(2)")
    assert page.selected() != before
    page.chrome.back()
    page.settle()
    assert page.js("return getComputedStyle(document.getElementById('detail')).display") == "none"
    assert page.js("return document.querySelector('.content').inert") is False
    page.click(".row")
    page.click("#detail .closer button")
    assert page.js("return getComputedStyle(document.getElementById('detail')).display") == "none"


def test_two_thousand_regions_stay_usable(open_page: Open, large_report: Path) -> None:
    page = open_page(large_report)
    regions = data_of(large_report)["regions"]
    assert len(regions) == shown(page) == 2000
    assert len(page.texts(".row")) < 40
    order = sorted(range(2000), key=lambda index: (probability(regions[index]), index))
    page.key("\ue010")
    assert page.selected() == order[-1]
    assert page.js("return document.querySelector('.row[aria-selected=true]').ariaPosInSet") == "2000"
    page.js("scrollTo(0, document.getElementById('list').offsetTop + 84 * 1000)")
    page.settle()
    places = page.js("return [...document.querySelectorAll('.row')].map((e) => Number(e.ariaPosInSet))")
    assert min(places) <= 1001 <= max(places)
    assert len(places) < 40
    assert all(width > 0 for width in page.loaded(".row img"))
    page.click("#tab-regions")
    page.click("#classes .chip:nth-child(2)")
    page.fill("#limit", 70)
    fitting = [region for region in regions if region["label"] == "dent" and probability(region) <= 0.7]
    assert shown(page) == len(fitting) > 20
    assert set(page.texts(".row .label")) == {"dent"}
    page.fill("#search", "part01")
    assert shown(page) == sum("part01" in region["image"] for region in fitting)
    page.click("#tab-map")
    assert "principal components" in page.text("#map-text")


def test_pictures_that_were_left_out_are_named(open_page: Open, made: ModuleType, tmp_path: Path) -> None:
    limits = ReportLimits(regions=30, pictures=100_000, views=30_000)
    path = made.make_report(tmp_path / "cut.html", 40, thumbnails=False, limits=limits)
    page = open_page(path)
    assert shown(page) == 30
    assert "Not everything is in this file" in page.text("#notes")
    left_out = " ".join(page.texts("#panel-run li"))
    assert "10 regions after the first 30" in left_out
    assert "Listed without picture" in left_out
    page.key("\ue010")
    assert page.texts(".row[aria-selected=true] .blank") == ["no picture"]
    assert page.texts("#detail .near .blank")[1:] == ["no picture"] * 3


def test_without_labels_or_regions(open_page: Open, made: ModuleType, tmp_path: Path) -> None:
    page = open_page(made.make_report(tmp_path / "a.html", 12, labelled=False))
    assert page.js("return document.getElementById('tab-confusion').hidden") is True
    assert page.texts(".badge") == []
    page.key("2")
    assert page.js("return document.getElementById('panel-regions').hidden") is False
    page = open_page(made.make_report(tmp_path / "b.html", 0))
    assert shown(page) == 0
    assert page.texts("#detail .empty") == ["There is no region to show."]
    page.key("j")


def test_unknown_is_a_class_of_its_own(
    open_page: Open, made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = made.make_prediction

    def prediction(*arguments: Any, **more: Any) -> Any:
        image, found = make(*arguments, **more)
        label = "unknown" if found.probability < 0.6 else found.label
        novelty, rejected = 1 - found.probability, label == "unknown"
        return image, dataclasses.replace(
            found, label=label, nearest_class=found.label, novelty=novelty, unknown=rejected, views=2, stopped="settled"
        )

    monkeypatch.setattr(made, "make_prediction", prediction)
    path = made.make_report(tmp_path / "a.html", 30)
    page = open_page(path)
    unknown = sum(region["label"] == "unknown" for region in data_of(path)["regions"])
    chips = dict(zip(page.texts("#classes .chip bdi"), page.texts("#classes .chip .number"), strict=True))
    assert chips["unknown"] == str(unknown)
    page.fill("#sort", "novelty")
    page.key("\ue011")
    assert page.text("#detail h2 .label") == "unknown"
    assert page.text("#detail h2 .badge").startswith("nearest ")
    order = data_of(path)["order"]
    used = page.js("return [...document.querySelectorAll('#detail .cells span')].map((e) => e.className === 'unused')")
    assert [place for place, unused in enumerate(used) if unused] == order[2:]
    assert {"novelty", "stopped"} <= set(page.texts("#detail .facts th"))


def test_what_a_human_looks_at_has_a_badge_and_a_filter(
    open_page: Open, made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = made.make_prediction

    def prediction(*arguments: Any, **more: Any) -> Any:
        image, found = make(*arguments, **more)
        return image, dataclasses.replace(found, review=found.probability < 0.6)

    assert not open_page(made.make_report(tmp_path / "none.html", 5)).texts(".badge.review")
    monkeypatch.setattr(made, "make_prediction", prediction)
    path = made.make_report(tmp_path / "a.html", 30)
    page = open_page(path)
    looked_at = sum(region["more"]["review"] for region in data_of(path)["regions"])
    assert 0 < looked_at < 30
    assert page.text("#review") == f"only the {looked_at} to look at"
    page.click("#review")
    assert shown(page) == looked_at
    assert set(page.texts(".row .badge.review")) == {"look at"}
    assert len(page.texts(".row .badge.review")) == len(page.texts(".row .heading"))
    page.click("#reset")
    assert shown(page) == 30
    page.key("r")
    assert shown(page) == looked_at


def test_an_address_opens_a_region(chrome: Any, open_page: Open, small_report: Path) -> None:
    page = open_page(small_report)
    chrome.get("about:blank")
    chrome.get(small_report.as_uri() + "#region-41")
    assert page.selected() == 41
    assert page.texts(".row[aria-selected=true] .file bdi")[0] == "part00041.png"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_legible(open_page: Open, small_report: Path, scheme: str) -> None:
    """WCAG 2.2 asks for a contrast of 4.5 to 1."""
    page = open_page(small_report)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    page.settle()
    ratios = page.js(
        """
        const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
        const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
          .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
          .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = (element) => {
          for (let e = element; e; e = e.parentElement) {
            const rgb = parse(getComputedStyle(e).backgroundColor);
            if (rgb.length === 3 || rgb[3] === 1) return rgb;
          }
          return [255, 255, 255];
        };
        return [...document.querySelectorAll(arguments[0])].map((element) => {
          const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
          return [element.className || element.id || element.tagName, (a + 0.05) / (b + 0.05)];
        });
        """,
        "h1, #subtitle, label, .chip, .chip .number, .row .label, .row .file, .badge, .value, #detail h3, #detail td, "
        "#detail th, figcaption .muted, [role=tab], #count",
    )
    assert len(ratios) > 50
    assert [pair for pair in ratios if pair[1] < 4.5] == []
