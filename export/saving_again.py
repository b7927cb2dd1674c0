"""Commands for the owner of a checkpoint that cannot be read: they save its weights so that it can be."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

__all__ = ["save_one_encoder", "save_weights_alone"]

# Keeps tensors and the mappings that hold them, at any depth; a whole module is asked for its tensors first.
_KEEP = "keep = lambda x: {k: keep(v) if isinstance(v, dict) else v for k, v in x.items() if isinstance(v, kept)}"


def save_weights_alone(path: Path) -> str:
    """A command that leaves everything but tensors out of a PyTorch file.

    It unpickles the file, and so runs what the file holds: it is for whoever made the file.

    Args:
        path: The checkpoint; the command names it without its folder.
    """
    # The variable switches off the guard of PyTorch from 2.6 on; earlier ones have none by default.
    return "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 " + _command(
        "import torch",
        f"c = torch.load({_text(path.name)}, map_location={_text('cpu')})",
        "c = c if isinstance(c, dict) else c.state_dict()",
        "kept = (dict, torch.Tensor)",
        _KEEP,
        f"torch.save(keep(c), {_text(path.stem + '.weights.pth')})",
    )


def save_one_encoder(path: Path, keys: Sequence[str | int], prefix: str, *, safetensors: bool) -> str:
    """A command that saves one encoder of several by itself.

    Args:
        path: The checkpoint; the command names it without its folder.
        keys: What leads to the mapping that holds the encoder.
        prefix: What the names of its tensors begin with; may be empty.
        safetensors: Whether it is a safetensors file.
    """
    inside = "c" + "".join(f"[{_text(key)}]" for key in keys)
    if prefix:
        inside = f"{{n: t for n, t in {inside}.items() if n.startswith({_text(prefix)})}}"
    if safetensors:
        return _command(
            "import safetensors.torch as s",
            f"c = s.load_file({_text(path.name)})",
            f"s.save_file({inside}, {_text('one.safetensors')})",
        )
    return _command(
        "import torch",
        f"c = torch.load({_text(path.name)}, map_location={_text('cpu')})",
        f"torch.save({inside}, {_text('one.pth')})",
    )


def _text(value: str | int) -> str:
    """A name as Python reads it, in double quotes, since single ones are the shell's."""
    return json.dumps(value)


def _command(*statements: str) -> str:
    return "python -c " + shlex.quote("; ".join(statements))
