"""A process whose kernel lacks a system call: a seccomp filter answers it with an error of choice (seccomp(2))."""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x0005_0000, 0x7FFF_0000
LOAD, JUMP_IF_EQUAL, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x45, 0x06  # BPF instructions, of 32-bit words
NUMBER, SECOND_ARGUMENT = 0, 24  # offsets in struct seccomp_data, on a little-endian machine
NUMBERS = {"x86_64": {"accept4": 288, "socket": 41}, "aarch64": {"accept4": 242, "socket": 198}}

can_filter = sys.platform == "linux" and platform.machine() in NUMBERS


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse(call: str, error: int, bits: int | None = None) -> None:
    """Make a system call fail from now on, in this thread and those that it starts.

    With `bits`, only if its second argument has one of these.
    """
    instructions = [(LOAD, 0, 0, NUMBER), (JUMP_IF_EQUAL, 0, 1, NUMBERS[platform.machine()][call])]
    if bits is not None:
        instructions[1] = (JUMP_IF_EQUAL, 0, 3, NUMBERS[platform.machine()][call])
        instructions += [(LOAD, 0, 0, SECOND_ARGUMENT), (JUMP_IF_SET, 0, 1, bits)]
    instructions += [(RETURN, 0, 0, SECCOMP_RET_ERRNO | error), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    zero = ctypes.c_ulong(0)
    program = Program(len(instructions), code)
    if prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) or prctl(
        PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero
    ):
        raise OSError(ctypes.get_errno(), "this process may not filter its system calls")
