"""How does the Zip-Adapter's time grow with the number of keys?

One region of 27 views of 768 channels against 25 to 100,000 keys; the matrix product alone, which nothing can
avoid, is the baseline of the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _machine import write_result

from mvrec_edge.runtime import SupportCache, ZipAdapter

VIEWS, CHANNELS, CLASSES = 27, 768, 5


def median_ms(*actions: Callable[[], object], rounds: int) -> list[float]:
    """Median milliseconds of each action, taken in turn."""
    times: list[list[float]] = [[] for _ in actions]
    for action in actions:
        action()
    for _ in range(rounds):
        for action, seen in zip(actions, times, strict=True):
            start = time.perf_counter()
            action()
            seen.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(seen) for seen in times]


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "zip_adapter.json")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    query = rng.standard_normal((1, VIEWS, CHANNELS)).astype(np.float32)
    rows = []
    for keys in (25, 100, 1_000, 10_000, 100_000):
        support = rng.standard_normal((keys, 1, CHANNELS)).astype(np.float16)
        cache = SupportCache.from_embeddings(support, np.arange(keys) % CLASSES, [*"abcde"])
        head = ZipAdapter(cache)
        matrix = np.ascontiguousarray(cache.keys.T)
        logits, product = median_ms(
            lambda head=head: head.probabilities(query),
            lambda matrix=matrix: query[0] @ matrix,
            rounds=15 if keys > 10_000 else 101,
        )
        rows.append(
            {
                "keys": keys,
                "ms": round(logits, 4),
                "us_per_key": round(logits * 1e3 / keys, 4),
                "ratio_to_matrix_product": round(logits / product, 2),
            }
        )
        print(rows[-1])
    write_result(
        arguments.out,
        "Zip-Adapter, 27 views of one region: milliseconds over the number of keys",
        {"rows": rows},
    )


if __name__ == "__main__":
    main()
