"""Finds the encoder in what a checkpoint file holds: inside which wrapper, and under which prefix.

Where one encoder is there, its wrapper and its prefix may be called anything, since all names and shapes are compared
afterwards. Where there are several, such as the trained weights and their moving average, none is chosen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mvrec_edge.export.checkpoint_file import WHERE_TO_GET, CheckpointFile
from mvrec_edge.export.layout import shown
from mvrec_edge.export.numpy_values import NumpyValue
from mvrec_edge.export.saving_again import save_one_encoder
from mvrec_edge.runtime.errors import CheckpointError

__all__ = ["FoundWeights", "find_weights"]

# Tensors outside the blocks. An encoder has them all; a few of them may be the names of anything.
_ANCHORS = (
    *("class_embedding", "positional_embedding", "proj", "conv1.weight", "conv1_alpha.weight"),
    *("ln_pre.weight", "ln_pre.bias", "ln_post.weight", "ln_post.bias"),
)
_ENOUGH_ANCHORS = 5
_BLOCKS = "transformer."
_FIRST_BLOCK = "transformer.resblocks.0.ln_1.weight"
_ALPHA = "conv1_alpha.weight"
# What DataParallel, torch.compile, FSDP, activation checkpointing and DeepSpeed put into names, at any place.
_WRAPPER_PARTS = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
)
# How deep a mapping may lie in others; Lightning's callbacks keep theirs three deep.
_DEEPEST = 6
_MOST_NAMED = 3

Key = str | int


@dataclass(frozen=True)
class FoundWeights:
    """The one encoder of a checkpoint.

    Attributes:
        values: What is stored, by name without prefix; whether the names are the official ones is not known yet.
        prefix: What was taken off the names, without the parts of wrappers.
        elsewhere: The names that were left out.
        notes: How it was stored, in words.
    """

    values: dict[str, Any]
    prefix: str
    elsewhere: frozenset[str]
    notes: list[str]

    def check_one_prefix(self, wanted: Mapping[str, Any] | tuple[str, ...], where: Path) -> None:
        """Names tensors that are there under another prefix than the rest.

        Args:
            wanted: Official names.
            where: The checkpoint, for messages.

        Raises:
            CheckpointError: All that is missing lies under one other prefix.
        """
        missing = [name for name in wanted if name not in self.values]
        names = [*self.values, *self.elsewhere]
        prefixes = [{name[: -len(end)] for name in names if _ends(name, end)} for end in missing]
        common = set.intersection(*prefixes) if prefixes else set()
        if common:
            raise CheckpointError(
                f"has {shown(missing[0])} {_under(min(common, key=len))}, and other tensors {_under(self.prefix)}",
                where=where,
                fix="save all tensors of the encoder under one prefix",
            )


@dataclass(frozen=True)
class _Named:
    """A mapping with text keys.

    Attributes:
        keys: What leads to it.
        state: What is stored, by the name in the file.
        short: The names without the parts of wrappers, by the name in the file.
    """

    keys: tuple[Key, ...]
    state: dict[str, Any]
    short: dict[str, str]


@dataclass(frozen=True)
class _Encoder:
    """A place where an encoder may be: a mapping, a prefix, and the name in the file of each anchor that was found."""

    named: _Named
    prefix: str
    anchors: dict[str, str]

    @property
    def stored_prefix(self) -> str:
        """The prefix as it stands in the file."""
        anchor, name = next(iter(self.anchors.items()))
        return name[: -len(anchor)]

    def __str__(self) -> str:
        places = [f"inside {shown(str(key))}" for key in self.named.keys]
        if self.stored_prefix or not places:
            places.append(_under(self.stored_prefix))
        return ", ".join(places)


def find_weights(file: CheckpointFile, path: Path) -> FoundWeights:
    """Finds the encoder of a checkpoint.

    Args:
        file: What the checkpoint holds.
        path: The checkpoint, for messages.

    Returns:
        The encoder; where none can be recognised, what comes nearest to one, so that it can be said what is missing.

    Raises:
        CheckpointError: There are no named tensors, several encoders, or a name twice.
    """
    mappings = list(_mappings(file.content))
    with_tensors = [
        named for named in mappings if any(isinstance(value, torch.Tensor) for value in named.state.values())
    ]
    if not with_tensors:
        raise _no_tensors(file, mappings, path)
    encoders = [encoder for named in with_tensors for encoder in _encoders(named)]
    likely = [encoder for encoder in encoders if len(encoder.anchors) >= _ENOUGH_ANCHORS]
    # A plain CLIP may lie beside the AlphaCLIP that was made from it, and cannot be meant.
    likely = [encoder for encoder in likely if _ALPHA in encoder.anchors] or likely
    if len(likely) > 1:
        raise _several(file, likely, path)
    if likely:
        return _taken(likely[0], path)
    nearest = max(encoders, key=lambda encoder: (len(encoder.anchors), -len(encoder.prefix)), default=None)
    largest = max(with_tensors, key=lambda named: len(named.state))
    return _taken(nearest or _Encoder(largest, "", {}), path)


def _mappings(content: Any) -> Iterator[_Named]:
    """Every mapping in what a file holds, outer ones first, and each once, however often it is referred to."""
    waiting: deque[tuple[tuple[Key, ...], Any]] = deque([((), content)])
    seen: set[int] = set()
    while waiting:
        keys, value = waiting.popleft()
        if id(value) in seen or len(keys) > _DEEPEST:
            continue
        seen.add(id(value))
        inside: list[tuple[Any, Any]] = []
        if isinstance(value, Mapping):
            inside = list(value.items())
            state = {name: item for name, item in inside if isinstance(name, str)}
            yield _Named(keys, state, {name: _without_wrappers(name) for name in state})
        elif isinstance(value, list | tuple):
            inside = list(enumerate(value))
        waiting.extend(
            ((*keys, key), item)
            for key, item in inside
            if isinstance(key, str | int) and isinstance(item, Mapping | list | tuple)
        )


def _encoders(named: _Named) -> list[_Encoder]:
    """Every prefix in a mapping under which there are tensors of an encoder."""
    found: dict[str, dict[str, str]] = {}
    for stored, name in named.short.items():
        for anchor in _ANCHORS:
            if _ends(name, anchor):
                found.setdefault(name[: -len(anchor)], {})[anchor] = stored
    return [_Encoder(named, prefix, anchors) for prefix, anchors in found.items()]


def _taken(encoder: _Encoder, path: Path) -> FoundWeights:
    """Takes the prefix off; values stay as they are stored."""
    values: dict[str, Any] = {}
    stored_as: dict[str, str] = {}
    elsewhere = set()
    for stored, name in encoder.named.short.items():
        short = name.removeprefix(encoder.prefix)
        # An epoch or a configuration beside the tensors is nothing of the encoder.
        plain = not isinstance(encoder.named.state[stored], torch.Tensor)
        if not name.startswith(encoder.prefix) or (plain and short not in _ANCHORS and not short.startswith(_BLOCKS)):
            elsewhere.add(name)
            continue
        if short in values:
            raise CheckpointError(
                f"{shown(short)} occurs twice under different names, {shown(stored_as[short])} and {shown(stored)}",
                where=path,
                fix="keep one of the two",
            )
        values[short], stored_as[short] = encoder.named.state[stored], stored
    parts = {part for stored in stored_as.values() for part in stored.split(".") if part in _WRAPPER_PARTS}
    notes = [f"inside {shown(str(key))}" for key in encoder.named.keys]
    notes += [f"prefix '{part}.'" for part in sorted(parts)]
    notes += [f"prefix {shown(encoder.prefix)}"] if encoder.prefix else []
    if rest := len(elsewhere):
        notes.append(f"{rest} {'entry' if rest == 1 else 'entries'} beside the visual encoder left out")
    found = FoundWeights(values, encoder.prefix, frozenset(elsewhere), notes)
    if encoder.anchors:
        found.check_one_prefix((*_ANCHORS, _FIRST_BLOCK), path)
    return found


def _several(file: CheckpointFile, encoders: list[_Encoder], path: Path) -> CheckpointError:
    # One without a prefix would bring the others of its mapping along.
    example = next((encoder for encoder in encoders if encoder.stored_prefix), encoders[0])
    places = " and ".join(map(str, encoders[:_MOST_NAMED]))
    more = f" and {len(encoders) - _MOST_NAMED} more" if len(encoders) > _MOST_NAMED else ""
    command = save_one_encoder(path, example.named.keys, example.stored_prefix, safetensors=file.is_safetensors)
    return CheckpointError(
        f"holds {len(encoders)} encoders, and which one is meant cannot be known: {places}{more}",
        where=path,
        fix=f"save the one you want by itself and export that; for the one {example}: {command}",
    )


def _no_tensors(file: CheckpointFile, mappings: list[_Named], path: Path) -> CheckpointError:
    if any(isinstance(value, NumpyValue) for named in mappings for value in named.state.values()):
        return CheckpointError(
            "holds no named tensors, only values of numpy",
            where=path,
            fix="save the weights as tensors: torch.from_numpy makes one of an array",
        )
    if not mappings:
        return CheckpointError(
            f"holds a {type(file.content).__name__} and no named tensors", where=path, fix="save a state_dict"
        )
    return CheckpointError("holds no named tensors", where=path, fix=WHERE_TO_GET)


def _ends(name: str, end: str) -> bool:
    """Whether the last parts of a name are `end`."""
    return name == end or name.endswith("." + end)


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPER_PARTS)


def _under(prefix: str) -> str:
    return f"under the prefix {shown(prefix)}" if prefix else "without a prefix"
