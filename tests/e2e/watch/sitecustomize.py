"""Python runs this at its start where its folder is on `PYTHONPATH`: no network from then on, in children neither.

What Python code asks of the network is written to the file `$MVREC_EDGE_WATCH`. A process that opens an internet
socket, from Python or not, is ended by the kernel with SIGSYS before anything has been sent.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
import sys

_TO_AN_ADDRESS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_ASKED = (*_TO_AN_ADDRESS, "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _write_down(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _ASKED:
        return
    said = [value for value in arguments if not isinstance(value, socket.socket)]
    # A socket between processes of this machine has a path for an address.
    if event in _TO_AN_ADDRESS and isinstance(said[0], (str, bytes)):
        return
    with open(os.environ["MVREC_EDGE_WATCH"], "a") as log:  # noqa: PTH123
        log.write(f"{event} {said}\n")


def _forbid_internet_sockets() -> None:
    """Installs a program that the kernel runs at each system call; it holds for all threads and children.

    Raises:
        OSError: There is none for this machine, or the kernel takes none.
    """
    number = _SOCKET_CALL.get(platform.machine())
    if number is None:
        raise OSError(f"no filter for system calls of {platform.machine()}")
    # A jump names the steps to pass over where the two are equal, and where they are not.
    steps = (
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_EQUAL, 1, 0, socket.AF_INET),
        (_JUMP_IF_EQUAL, 0, 1, socket.AF_INET6),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    library = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps), code)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if library.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "no filter for system calls")


sys.addaudithook(_write_down)
_forbid_internet_sockets()
