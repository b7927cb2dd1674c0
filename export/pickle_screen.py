"""Looks through a checkpoint's pickle before PyTorch loads it.

PyTorch's restricted unpickler runs no code, but it does what a few harmless functions are asked to do: `bytearray` of a
number takes that many bytes, and a text coded as hexadecimal again and again doubles each time.
"""

from __future__ import annotations

import re

from mvrec_edge.runtime.wording import counted

__all__ = ["MOST_BYTES", "TooMuchError", "check_pickle"]

#: A checkpoint's description of its tensors; with an optimiser and two copies of the weights it has a million bytes.
MOST_BYTES = 1 << 21
_MOST_CONTAINERS = 1 << 19

# Opcodes with nothing behind them, or a fixed number of bytes, as PyTorch's restricted unpickler knows them.
_FIXED = re.compile(rb"(?:[\x81Rbaeus(t\x85\x86\x87N\x89\x88)\]}\x8fQ]|[Khq\x80].|M.{2}|[Jjr].{4}|G.{8})+", re.DOTALL)
_SHORT = re.compile(rb"[U\x8a](.)", re.DOTALL)
_TEXT = re.compile(rb"X(.{4})", re.DOTALL)
_GLOBAL = re.compile(rb"c([^\n]*)\n([^\n]*)\n")
_STOP = b"."
_CONTAINERS = (b"]", b"}", b"\x8f")

# What makes much of little. Weights need none of it.
_REFUSED = frozenset(
    {
        *("builtins.bytearray", "__builtin__.bytearray", "torch.storage.TypedStorage"),
        "torch._utils._rebuild_device_tensor_from_cpu_tensor",
        "torch._utils._rebuild_device_tensor_from_numpy",
    }
)
# Codecs that turn bytes into more bytes; bytes in a pickle are written as a text in Latin-1.
_ENCODE = "_codecs.encode"
_CODECS = frozenset({"hex", "base64", "bz2", "zip", "zlib", "uu", "quopri", "quoted_printable", "rot13"})


class TooMuchError(Exception):
    """A pickle asks for what would take much; its text says what, as the end of a sentence."""


def check_pickle(data: bytes, place: int = 0) -> int:
    """Looks through one pickle.

    Args:
        data: What begins with it, at most `MOST_BYTES`.
        place: Where it begins.

    Returns:
        Where it ends. What the restricted unpickler does not know ends the look, as it will end the loading.

    Raises:
        TooMuchError: It asks for what no weights need, or is not at its end where the data is.
    """
    if (count := sum(data.count(mark, place) for mark in _CONTAINERS)) > _MOST_CONTAINERS:
        raise TooMuchError(f"it holds {counted(count, 'list')}, which no weights do")
    names: set[str] = set()
    texts: set[str] = set()
    while place < len(data):
        if (found := _FIXED.match(data, place)) is not None:
            place = found.end()
        elif (found := _GLOBAL.match(data, place)) is not None:
            names.add(b".".join(found.groups()).decode("utf-8", "replace"))
            place = found.end()
        elif (found := _SHORT.match(data, place)) is not None:
            place = found.end() + found[1][0]
        elif (found := _TEXT.match(data, place)) is not None:
            start, place = found.end(), found.end() + int.from_bytes(found[1], "little")
            texts.add(data[start : min(place, start + 32)].decode("utf-8", "replace"))
        else:
            break
    if place >= len(data) and len(data) >= MOST_BYTES:
        raise TooMuchError(f"its description of the tensors is longer than {MOST_BYTES} bytes")
    if refused := names & _REFUSED:
        raise TooMuchError(f"it asks for '{min(refused)}'")
    codecs = {text.lower().replace("-", "_").removesuffix("_codec") for text in texts}
    if _ENCODE in names and (strange := codecs & _CODECS):
        raise TooMuchError(f"it asks for '{_ENCODE}' with '{min(strange)}'")
    return place + 1 if data[place : place + 1] == _STOP else len(data)
