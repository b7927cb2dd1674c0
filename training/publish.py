"""Writes the pocket encoder's weights from a training run: `python -m training.publish runs/pocket`.

The weights go into `pocket/`, the log of the run into `training/results/`. `training.finish` makes the bundle of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from mvrec_edge.pocket import POCKET_WEIGHTS
from mvrec_edge.runtime.bundle import TransformerArchitecture
from training.descriptors import DESCRIPTORS
from training.samples import BatchPlan, render_batch
from training.train import Student

__all__ = ["publish"]

_RESULTS = Path(__file__).parent / "results"
_LARGEST = 8_000_000
# Length of the part that follows descriptors, where that of the class part is 1. On rendered classes that training had
# not seen, anything up to this did equally well, and more did worse.
_DESCRIPTOR_LENGTH = 0.25


def publish(run: Path, weights: Path = POCKET_WEIGHTS, results: Path = _RESULTS) -> None:
    """Writes weights and log of a run that has ended.

    Args:
        run: The folder that `training.train` wrote.
        weights: File to write: float16 tensors under the official names.
        results: Folder for `log.jsonl` and `plan.json`.

    Raises:
        SystemExit: The run has not ended, or its encoder is larger than 8 MB.
    """
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    plan = json.loads(state["plan"])
    if state["step"] != plan["steps"]:
        raise SystemExit(f"{run}: step {state['step']} of {plan['steps']}; let the training end first")
    student = Student(plan["seed"], TransformerArchitecture(**plan["encoder"]))
    student.load_state_dict(state["student"])
    encoder = student.encoder.state_dict()
    # The projection is linear: scaling its columns scales the parts of the embedding, leaving some out leaves them out.
    scales = _balance(student)
    encoder["proj"] = encoder["proj"][:, : len(scales)] * scales
    tensors = {name: value.to(torch.float16).contiguous() for name, value in encoder.items()}
    data = safetensors.torch.save(dict(sorted(tensors.items())))
    if len(data) > _LARGEST:
        raise SystemExit(f"{run}: the weights take {len(data)} bytes, more than {_LARGEST}")
    weights.write_bytes(data)
    results.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "log.jsonl", results / "log.jsonl")
    record = {"plan": plan, "minutes": round(state["seconds"] / 60, 1), "bytes": len(data)}
    (results / "plan.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"{weights}: {len(data)} bytes")  # noqa: T201


@torch.inference_mode()
def _balance(student: Student) -> torch.Tensor:
    """Factors for the embedding's channels but those of the guides, float32 `[C]`.

    Each is what its part's length shall be, over what it is. Training leaves the length of the class part free.
    """
    views = np.concatenate([render_batch(BatchPlan(), seed=student.seed + 1, step=step).views for step in range(4)])
    of_class, described = student.eval()(torch.from_numpy(views))
    parts = (of_class, described[:, : len(DESCRIPTORS)])
    lengths = [part.norm(dim=1).mean().item() for part in parts]
    wanted = [1.0, _DESCRIPTOR_LENGTH]
    return torch.cat(
        [torch.full((part.shape[1],), to / now) for part, to, now in zip(parts, wanted, lengths, strict=True)]
    )


def main() -> None:
    """Reads the command line and publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that training.train wrote")
    publish(parser.parse_args().run)


if __name__ == "__main__":
    main()
