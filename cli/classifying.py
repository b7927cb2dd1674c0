"""The work of `mvrec-edge classify` between its options and its closing words: image after image, until it is ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mvrec_edge.cli.console import image_bar, say
from mvrec_edge.cli.recorded import add_recorded
from mvrec_edge.cli.report import run_sections
from mvrec_edge.runtime import classify_source
from mvrec_edge.runtime.wording import counted

if TYPE_CHECKING:
    from mvrec_edge.cli.records import RecordSink
    from mvrec_edge.cli.run_items import RunItem
    from mvrec_edge.runtime import Bundle, ClassifySettings, DefectClassifier, Engine, SupportCache
    from mvrec_edge.runtime.errors import InputError
    from mvrec_edge.runtime.report import ReportWriter

__all__ = ["ClassifyRun"]


class ClassifyRun:
    """Images on their way into records and a report.

    Args:
        items: What is to be classified, apart from what an earlier run has finished.
        problems: What was wrong with the inputs apart from these.
        sink: Takes the records.
        page: The report; None where none was asked for.
    """

    def __init__(
        self,
        items: Sequence[RunItem],
        problems: Sequence[InputError],
        sink: RecordSink,
        page: ReportWriter | None,
    ) -> None:
        self._sink = sink
        self._page = page
        self._problems = problems
        self._items = [item for item in items if not sink.is_done(item.key)]

    def describe(
        self, bundle: Bundle, cache_path: Path, cache: SupportCache, engine: Engine, options: Mapping[str, object]
    ) -> None:
        """Tells the report about the run, and about the images that an earlier run has finished."""
        if self._page is None:
            return
        self._page.add_details(
            *run_sections("classify", cache, cache_path.name, bundle=bundle, engine=engine, options=options)
        )
        add_recorded(self._page, self._sink.kept_lines())

    def classify(
        self,
        engine: Engine,
        cache: SupportCache,
        settings: ClassifySettings,
        reloads: Callable[[Callable[[Path], None]], None],
    ) -> BaseException | None:
        """Classifies what is left to do.

        Args:
            engine: An open engine.
            cache: The support cache.
            settings: How.
            reloads: Given what loads a cache again, for a run whose cache may change.

        Returns:
            What ended the run before its last image: Ctrl-C, a signal, or a reader that has gone; None where nothing
            did. What was done until then is written.
        """
        done = 0
        damaged: list[Path] = []
        try:
            self._write_problems()
            with image_bar("classifying", len(self._items)) as progress:

                def on_open(classifier: DefectClassifier) -> None:
                    if self._page is None:
                        reloads(classifier.request_reload)

                images = (item.image for item in self._items)
                classified = classify_source(
                    engine, cache, images, settings, progress=progress.views, say=say, opened=on_open
                )
                for item, image in zip(self._items, classified, strict=True):
                    names = item.names(image.predictions)
                    self._sink.write(image, item.key, names)
                    if self._page is not None:
                        told = [image.damage_at(each.region) for each in image.predictions]
                        self._page.add(image.path, image.image, image.predictions, image.problems, names, told)
                        if image.damage is not None:
                            damaged.append(image.path)
                    done += 1
                    progress.image()
        except (KeyboardInterrupt, SystemExit, BrokenPipeError) as ended:
            if self._page is not None:
                self._page.note(
                    f"The run was interrupted: {counted(len(self._items) - done, 'image')} of {len(self._items)} "
                    "were not classified."
                )
            return ended
        finally:
            if self._page is not None and damaged:
                self._page.note(
                    f"Damaged and used all the same: {counted(len(damaged), 'image')}, such as {damaged[0]}."
                )
        return None

    def _write_problems(self) -> None:
        new = self._sink.write_problems(self._problems)
        if self._page is not None:
            self._page.add_problems(new)
