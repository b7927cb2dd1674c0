"""What engines need of the processor: its name, and how it multiplies bytes."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["INT8_INSTRUCTIONS", "Processor", "read_processor"]

#: Instructions that sum products of bytes in 32 bits, by the kernel's names, on x86 and on Arm.
INT8_INSTRUCTIONS = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"})


@dataclass(frozen=True)
class Processor:
    """What decides how an int8 graph is computed, and which measured times hold.

    Attributes:
        is_x86: Whether it is an x86-64 processor.
        has_int8: Whether it has dot products of 8-bit integers (VNNI, AMX, or Arm's).
        model: Its name; empty where the system does not say.
    """

    is_x86: bool
    has_int8: bool
    model: str = ""


def read_processor(root: Path = Path("/")) -> Processor:
    """Reads the first processor's flags from `proc/cpuinfo` below `root`; what is not there counts as missing."""
    flags: set[str] = set()
    model = ""
    x86 = platform.machine() == "x86_64"
    try:
        with (root / "proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    model = value.strip()
                # Flags are x86's word and Features Arm's, so a recorded file says which it is.
                if key.strip() in ("flags", "Features"):
                    x86 = key.strip() == "flags"
                    flags = set(value.split())
                    break
    except OSError:
        pass
    return Processor(x86, not INT8_INSTRUCTIONS.isdisjoint(flags), model)
