"""A real browser that is installed on this machine, and reports for it to open."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mvrec_edge.runtime import Neighbour, Prediction, Region, StageTimes, SupportCache, ViewPlan
from mvrec_edge.runtime.pictures.region_picture import THUMBNAIL_SIDE, region_picture
from mvrec_edge.runtime.report import ReportLimits, ReportWriter, Section
from mvrec_edge.testing.surfaces import SURFACES, render_defect

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CLASSES = ("crack", "dent", "pit", "scratch", "stain")
_SHOTS = 5
_CHANNELS = 16
_LONGEST_START_S = 60


@pytest.fixture(scope="session")
def chrome() -> Iterator[Chrome]:
    """One headless Chromium for all tests; the driver is the one installed, and nothing is fetched."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next((found for name in names if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is in the extra 'dev'")
    os.environ["SE_OFFLINE"] = "true"
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--window-size=1400,900"]
    # Chromium has no sandbox for the superuser, as whom containers run tests.
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(20)
    browser.set_page_load_timeout(60)
    yield browser
    browser.quit()


class Page:
    """An open report."""

    def __init__(self, chrome: Chrome, path: Path) -> None:
        self.chrome = chrome
        chrome.get_log("browser")
        chrome.get_log("performance")
        # Away first: an address that differs in its fragment alone would not load the page.
        chrome.get("about:blank")
        chrome.get(path.as_uri())
        from selenium.webdriver.support.ui import WebDriverWait

        # On a busy machine the driver comes back before the page's script has run.
        WebDriverWait(chrome, _LONGEST_START_S).until(
            lambda _: self.js("return document.documentElement.dataset.ready") == "yes", "the report did not start"
        )

    def js(self, code: str, *arguments: object) -> Any:
        return self.chrome.execute_script(code, *arguments)

    def click(self, selector: str) -> None:
        self.chrome.find_element("css selector", selector).click()
        self.settle()

    def key(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.chrome).send_keys(*keys).perform()
        self.settle()

    def settle(self) -> None:
        """Waits for two frames: what a scroll or a filter asks for is drawn then."""
        self.chrome.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
        )

    def fill(self, selector: str, value: object) -> None:
        self.js(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {bubbles: true}));",
            selector,
            str(value),
        )
        self.settle()

    def text(self, selector: str) -> str:
        text: str = self.js("return document.querySelector(arguments[0]).textContent", selector)
        return text

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.js(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )
        return texts

    def selected(self) -> int:
        """The number of the selected region, which stands in the address."""
        return int(self.js("return location.hash").removeprefix("#region-"))

    def loaded(self, selector: str) -> list[int]:
        """Widths of pictures, after they are decoded."""
        widths: list[int] = self.chrome.execute_async_script(
            "const done = arguments[1]; const all = [...document.querySelectorAll(arguments[0])];"
            "Promise.all(all.map((e) => e.decode().catch(() => 0))).then(() => done(all.map((e) => e.naturalWidth)));",
            selector,
        )
        return widths

    def complaints(self) -> list[str]:
        """What the browser's console says."""
        return [entry["message"] for entry in self.chrome.get_log("browser")]

    def requests(self) -> list[str]:
        """Everything that was asked for besides the page itself and the pictures in it."""
        urls = []
        for entry in self.chrome.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(message["params"]["request"]["url"])
        return [url for url in urls if not url.startswith(("file:", "data:", "about:"))]


@pytest.fixture
def open_page(chrome: Chrome) -> Iterator[Callable[[Path], Page]]:
    """Opens reports in a window of usual size; after the test nothing may have been complained about or asked for."""
    pages: list[Page] = []

    def open_(path: Path) -> Page:
        pages.append(Page(chrome, path))
        return pages[-1]

    yield open_
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    for page in pages[-1:]:
        assert page.complaints() == []
        assert page.requests() == []
        assert (
            page.js("return performance.getEntriesByType('resource').filter((e) => !e.name.startsWith('data:'))") == []
        )


@cache
def _samples() -> list[tuple[np.ndarray, Region]]:
    """A few rendered defects of every class; a report of thousands of regions shows them again and again."""
    found = []
    for number in range(20):
        sample = render_defect(CLASSES[number % 5], SURFACES[number // 5], size=(160, 220), seed=number)
        found.append((sample.image, Region(sample.mask)))
    return found


def make_cache(plan: ViewPlan | None = None, *, thumbnails: bool = True) -> SupportCache:
    """Five classes in five corners of the space, five instances each."""
    rng = np.random.default_rng(0)
    plan = plan or ViewPlan.by_name("ms", size=32)
    labels = np.repeat(np.arange(5), _SHOTS)
    embeddings = (np.eye(5, _CHANNELS)[labels] + rng.normal(0, 0.1, (25, _CHANNELS)))[:, None].repeat(plan.count, 1)
    pictures = [region_picture(*_samples()[label], CLASSES[label], CLASSES, side=THUMBNAIL_SIDE) for label in labels]
    return SupportCache.from_embeddings(
        embeddings.astype(np.float32),
        labels,
        CLASSES,
        sources=[f"labelled/{CLASSES[label]}/{number}.png#0" for number, label in enumerate(labels)],
        view_plan=plan,
        thumbnails=pictures if thumbnails else (),
    )


def make_prediction(
    cache: SupportCache, number: int, *, label: str | None, source: str
) -> tuple[np.ndarray, Prediction]:
    """A prediction that is usually right and sometimes doubtful."""
    rng = np.random.default_rng(number)
    image, region = _samples()[number % 20]
    truth = number % 5
    sure = rng.uniform(0.35, 0.999)
    logits = np.log(np.full(5, (1 - sure) / 4) * rng.uniform(0.5, 1.5, 5))
    called = truth if rng.uniform() < 0.6 + 0.4 * sure else int(rng.integers(5))
    logits[called] = np.log(sure)
    p = np.exp(logits) / np.exp(logits).sum()
    embedding = np.eye(5, _CHANNELS)[called] * (1 + sure) + rng.normal(0, 0.35, _CHANNELS)
    near = [_SHOTS * called + place for place in (number % 5, (number + 1) % 5)] + [_SHOTS * ((called + 1) % 5)]
    return image, Prediction(
        region=Region.from_patch(region.patch, region.origin, region.image_size, label, source),
        label=CLASSES[int(p.argmax())],
        probability=float(p.max()),
        probabilities=dict(zip(CLASSES, p.tolist(), strict=True)),
        nearest=tuple(
            Neighbour(place, CLASSES[place // _SHOTS], cache.sources[place], 0.95 - 0.1 * rank)
            for rank, place in enumerate(near)
        ),
        views=3 if cache.view_plan is None else cache.view_plan.count,
        milliseconds=StageTimes(2.0, 30.0, 0.2),
        embedding=embedding.astype(np.float32),
    )


def make_report(
    path: Path,
    count: int,
    *,
    labelled: bool = True,
    plan: ViewPlan | None = None,
    thumbnails: bool = True,
    limits: ReportLimits | None = None,
) -> Path:
    """Writes a report of `count` regions, each on an image of its own."""
    cache = make_cache(plan, thumbnails=thumbnails)
    details = [Section.of("Run", {"command": "mvrec-edge classify", "version": "1"})]
    with ReportWriter(path, cache, title="Line 1", details=details, limits=limits) as report:
        for number in range(count):
            name = f"parts/part{number:05d}.png"
            label = CLASSES[number % 5] if labelled else None
            image, prediction = make_prediction(cache, number, label=label, source=f"{name}#0")
            report.add(Path(name), image, [prediction])
    return path


@pytest.fixture(scope="session")
def small_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty labelled regions, with all 27 views."""
    return make_report(tmp_path_factory.mktemp("reports") / "small.html", 60, plan=ViewPlan.mso(size=32))


@pytest.fixture(scope="session")
def large_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two thousand labelled regions."""
    return make_report(tmp_path_factory.mktemp("reports") / "large.html", 2000)
