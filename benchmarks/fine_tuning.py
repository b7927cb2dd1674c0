"""How long does fine-tuning on the line take?

Zip-Adapter-F, 5 classes of 5 shots of 27 views of 768 channels, 500 steps in numpy; PyTorch's autograd on the same
data, where it is installed, is the baseline of the same run, taken in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _machine import write_result

from mvrec_edge.calib import FineTuning, fine_tune
from mvrec_edge.runtime import SupportCache

CLASSES, SHOTS, VIEWS, CHANNELS = 5, 5, 27, 768


def torch_run(cache: SupportCache, steps: int) -> Callable[[], object] | None:
    """The same training with autograd, or None where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None

    def run() -> float:
        samples = torch.tensor(cache.embeddings.astype(np.float32).reshape(-1, CHANNELS))
        labels = torch.tensor(np.repeat(cache.labels, VIEWS))
        one_hot = torch.nn.functional.one_hot(torch.tensor(cache.labels), CLASSES).float()
        arrays = [torch.zeros(CHANNELS, CHANNELS), torch.zeros(CHANNELS), torch.tensor(cache.keys)]
        for array in arrays:
            array.requires_grad_(True)
        optimiser = torch.optim.AdamW(arrays, lr=1e-4, eps=1e-6)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps, eta_min=1e-5)
        weight, bias, keys = arrays
        loss = torch.zeros(())
        for _ in range(steps):
            optimiser.zero_grad()
            units = [
                torch.nn.functional.normalize(torch.nn.functional.silu(rows @ weight.T + bias) + rows, dim=1)
                for rows in (samples, keys)
            ]
            logits = torch.exp(-(1 - units[0] @ units[1].T)) @ one_hot / 0.11
            loss = torch.nn.functional.cross_entropy(logits, labels)
            loss.backward()
            optimiser.step()
            schedule.step()
        return float(loss.detach())

    return run


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "fine_tuning.json")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), SHOTS)
    embeddings = rng.standard_normal((CLASSES, 1, CHANNELS))[labels] + rng.standard_normal(
        (len(labels), VIEWS, CHANNELS)
    )
    cache = SupportCache.from_embeddings(embeddings.astype(np.float32), labels, [*"abcde"])
    actions: dict[str, Callable[[], object]] = {
        "numpy": lambda: fine_tune(cache, FineTuning(steps=arguments.steps)),
    }
    torch_action = torch_run(cache, arguments.steps)
    if torch_action is not None:
        actions["torch autograd"] = torch_action
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(arguments.rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - start)
    figures: dict[str, Any] = {
        "classes": CLASSES,
        "shots": SHOTS,
        "views": VIEWS,
        "steps": arguments.steps,
        "median_s": {name: round(statistics.median(seen), 2) for name, seen in times.items()},
    }
    if torch_action is not None:
        ratios = [a / b for a, b in zip(times["numpy"], times["torch autograd"], strict=True)]
        figures["ratio_numpy_to_torch"] = round(statistics.median(ratios), 2)
    print(figures)
    write_result(arguments.out, "Seconds of one Zip-Adapter-F fine-tuning", figures)


if __name__ == "__main__":
    main()
