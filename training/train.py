"""Trains the pocket encoder: `python -m training.train --out runs/pocket`.

Everything follows from the seed and the number of steps. A run that was stopped goes on from its last checkpoint; the
log gains a line every few steps. Checkpoints hold tensors and plain values only and are read with `weights_only=True`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mvrec_edge.export.encoder import AlphaClipEncoder
from mvrec_edge.export.random_weights import POCKET_ARCHITECTURE
from mvrec_edge.runtime.bundle import TransformerArchitecture
from training.beginning import first_weights, spread_embeddings
from training.descriptors import DESCRIPTORS, GUIDES
from training.losses import contrastive_loss, retrieval_accuracy
from training.samples import Batch, BatchPlan, render_batch

__all__ = ["GUIDED", "POCKET", "Student", "TrainingPlan", "train"]

#: The pocket encoder: 7 MB in float16.
POCKET = POCKET_ARCHITECTURE
#: The same with channels for the guides, which are taken away when it is published.
GUIDED = replace(POCKET, embedding_dim=POCKET.embedding_dim + len(GUIDES))

_MEAN = (0.48145466, 0.4578275, 0.40821073, 0.5)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711, 0.26)


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast.

    Attributes:
        steps: Batches to train on.
        seed: Decides the first weights and every batch.
        rate: Largest learning rate of AdamW, which moves whatever is not a matrix of a block.
        block_rate: Largest learning rate of Muon, which moves the matrices of the blocks.
        warm_up: Steps until the largest rate is reached; it falls as a cosine afterwards.
        weight_decay: Of matrices.
        temperature: Of the contrastive loss.
        describing: Weight of the mean squared error of the descriptors.
        batch: What a batch holds.
        whitening: Batches that the first embeddings are whitened on.
        encoder: What is trained, with channels for the guides.
    """

    steps: int = 2600
    seed: int = 0
    rate: float = 1e-3
    block_rate: float = 0.02
    warm_up: int = 100
    weight_decay: float = 0.05
    temperature: float = 0.1
    describing: float = 10.0
    batch: BatchPlan = field(default_factory=BatchPlan)
    whitening: int = 10
    encoder: TransformerArchitecture = GUIDED

    def share_at(self, step: int) -> float:
        """Share of the largest learning rate that a step has, counted from 0."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


class _Batches(Dataset[Batch]):
    """Batches by step, so that a run that goes on sees what it would have seen."""

    def __init__(self, plan: TrainingPlan, first: int, end: int) -> None:
        self.plan, self.first, self.end = plan, first, end

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, index: int) -> Batch:
        cv2.setNumThreads(1)
        step = self.first + index
        return render_batch(self.plan.batch, self.plan.seed, step)


class Student(nn.Module):
    """The encoder, its embedding in two parts.

    In one, views of a class are to come together; in the other, each channel is to be one of the descriptors or guides.

    Args:
        seed: Decides the first weights.
        architecture: The encoder's, with channels for the guides.

    Attributes:
        class_channels: Channels of the embedding that classes are told apart by; the others follow the descriptors and
            guides, one each.
    """

    def __init__(self, seed: int, architecture: TransformerArchitecture = GUIDED) -> None:
        super().__init__()
        self.seed = seed
        self.class_channels = architecture.embedding_dim - len(DESCRIPTORS) - len(GUIDES)
        self.encoder = AlphaClipEncoder(architecture)
        self.encoder.load_state_dict(first_weights(architecture, seed))

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 `[B, S, S, 4]` to the embedding's two parts, float32 `[B, class_channels]` and `[B, D + G]`."""
        embeddings = self.encoder(*_normalise(views)).float()
        return embeddings[:, : self.class_channels], embeddings[:, self.class_channels :]


class _Optimisers:
    """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for everything else.

    In the first minutes on the descriptors Muon gets in half of the steps where AdamW alone gets.
    """

    def __init__(self, student: Student, plan: TrainingPlan) -> None:
        named = list(student.named_parameters())
        blocks = [value for name, value in named if "resblocks" in name and value.ndim == 2]
        taken = {id(value) for value in blocks}
        others = [value for _, value in named if id(value) not in taken]
        groups = [
            {"params": [value for value in others if value.ndim >= 2], "weight_decay": plan.weight_decay},
            {"params": [value for value in others if value.ndim < 2], "weight_decay": 0.0},
        ]
        self._each = (
            (torch.optim.Muon(blocks, lr=plan.block_rate, weight_decay=plan.weight_decay), plan.block_rate),
            (torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98)), plan.rate),
        )

    def step(self, loss: torch.Tensor, student: Student, share: float) -> None:
        """Goes a step against the gradient of the loss, at a share of the largest rates."""
        for optimiser, rate in self._each:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = rate * share
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        for optimiser, _ in self._each:
            optimiser.step()  # type: ignore[no-untyped-call]

    def state_dicts(self) -> list[dict[str, Any]]:
        return [optimiser.state_dict() for optimiser, _ in self._each]

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        for (optimiser, _), state in zip(self._each, states, strict=True):
            optimiser.load_state_dict(state)


def _normalise(views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean, deviation = torch.tensor(_MEAN), torch.tensor(_DEVIATION)
    pixels = ((views.float() / 255 - mean) / deviation).permute(0, 3, 1, 2)
    return pixels[:, :3], pixels[:, 3:]


def train(
    plan: TrainingPlan,
    out: Path,
    *,
    workers: int = 1,
    compiled: bool = True,
    until: int | None = None,
    log_every: int = 10,
    save_every: int = 100,
) -> None:
    """Trains, or goes on with what `out` holds.

    Args:
        plan: How.
        out: Folder for `checkpoint.pt` and `log.jsonl`.
        workers: Processes that render.
        compiled: Whether `torch.compile` fuses the encoder: twice as fast, and it needs a C++ compiler.
        until: Stop after this many steps, to go on another time.
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    student = Student(plan.seed, plan.encoder)
    optimisers = _Optimisers(student, plan)
    first, seconds = _restore(out / "checkpoint.pt", student, optimisers, plan)
    _cut_log(out / "log.jsonl", first)
    # A process that renders is forked from this one, and must not find OpenCV's threads gone.
    cv2.setNumThreads(1)
    if not first:
        views = np.concatenate([render_batch(plan.batch, plan.seed + 1, step).views for step in range(plan.whitening)])
        spread_embeddings(student.encoder, *_normalise(torch.from_numpy(views)))
    if compiled:
        student.encoder.compile(dynamic=False)
    batches = DataLoader(
        _Batches(plan, first, until or plan.steps),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    before = time.perf_counter()
    for step, batch in enumerate(batches, first):
        figures = _train_step(student, optimisers, plan, step, batch)
        seconds, before = seconds + time.perf_counter() - before, time.perf_counter()
        if (step + 1) % log_every == 0 or step + 1 == plan.steps:
            line = {"step": step + 1, "minutes": round(seconds / 60, 2), **figures}
            with (out / "log.jsonl").open("a") as stream:
                stream.write(json.dumps(line) + "\n")
        if (step + 1) % save_every == 0 or step + 1 == plan.steps:
            _save(out / "checkpoint.pt", student, optimisers, plan, step + 1, seconds)


def _train_step(
    student: Student, optimisers: _Optimisers, plan: TrainingPlan, step: int, batch: Batch
) -> dict[str, float]:
    classes, instances = torch.from_numpy(batch.classes), torch.from_numpy(batch.instances)
    with torch.autocast("cpu", torch.bfloat16):
        of_class, described = student(torch.from_numpy(batch.views))
    contrast = contrastive_loss(of_class, classes, instances, plan.temperature)
    description = nn.functional.mse_loss(described, torch.from_numpy(batch.descriptors))
    share = plan.share_at(step)
    optimisers.step(contrast + plan.describing * description, student, share)
    per_group = plan.batch.classes * plan.batch.instances * plan.batch.views
    in_batch, in_group = retrieval_accuracy(of_class.detach(), classes, instances, per_group)
    return {
        "contrast": round(contrast.item(), 4),
        "description": round(description.item(), 4),
        "nearest_in_batch": round(in_batch, 4),
        "nearest_in_group": round(in_group, 4),
        "rate": round(plan.rate * share, 7),
    }


def _save(
    path: Path,
    student: Student,
    optimisers: _Optimisers,
    plan: TrainingPlan,
    step: int,
    seconds: float,
) -> None:
    state: dict[str, Any] = {
        "student": student.state_dict(),
        "optimisers": optimisers.state_dicts(),
        "plan": json.dumps(asdict(plan)),
        "step": step,
        "seconds": seconds,
    }
    beside = path.with_suffix(".tmp")
    torch.save(state, beside)
    beside.replace(path)


def _restore(path: Path, student: Student, optimisers: _Optimisers, plan: TrainingPlan) -> tuple[int, float]:
    """The first step to do, and the seconds spent already."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    if state["plan"] != json.dumps(asdict(plan)):
        raise SystemExit(f"{path} was made with another plan: give the same options, or another --out")
    student.load_state_dict(state["student"])
    optimisers.load_state_dicts(state["optimisers"])
    return int(state["step"]), float(state["seconds"])


def _cut_log(path: Path, step: int) -> None:
    """Takes away lines of steps that are done again, because the run stopped after its last checkpoint."""
    if path.is_file():
        kept = [line for line in path.read_text().splitlines(keepends=True) if json.loads(line)["step"] <= step]
        path.write_text("".join(kept))


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, log and weights")
    parser.add_argument("--steps", type=int, default=TrainingPlan.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that render batches")
    parser.add_argument("--no-compile", action="store_true", help="where there is no C++ compiler")
    arguments = parser.parse_args()
    plan = TrainingPlan(steps=arguments.steps, seed=arguments.seed)
    train(plan, arguments.out, workers=arguments.workers, compiled=not arguments.no_compile)


if __name__ == "__main__":
    main()
