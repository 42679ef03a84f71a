"""A page fault in a buffer, which another process serves (userfaultfd): does it stop the other threads?"""

from __future__ import annotations

import os

import pytest

from tests.support.interpreter import run_code

NUMBERS = {"x86_64": 323, "aarch64": 282}  # of the system call

# The child serves the fault. Before that it wakes a thread of its parent, which either answers, with the GIL, or waits
# for that in vain: each wait, of a switch interval, is a voluntary context switch.
CODE = """
import ctypes, fcntl, mmap, os, select, struct, sys, threading
import {module} as socket

API, REGISTER, ZEROPAGE = 0xC018AA3F, 0xC020AA00, 0xC020AA04  # <linux/userfaultfd.h>
SWITCHES, BOUND = 20, 30

fault = ctypes.CDLL(None, use_errno=True).syscall({number}, os.O_CLOEXEC)
if fault < 0:
    print("refused:", os.strerror(ctypes.get_errno()))
    sys.exit()
try:
    fcntl.ioctl(fault, API, struct.pack("QQQ", 0xAA, 0, 0))
    memory = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fcntl.ioctl(fault, REGISTER, struct.pack("QQQQ", address, mmap.PAGESIZE, 1, 0))
except OSError as error:
    print("refused:", error)
    sys.exit()

question, answer, task = os.pipe(), os.pipe(), os.pipe()


def switches(thread):
    with open(f"/proc/{{os.getppid()}}/task/{{thread}}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("voluntary"))


def serve():
    thread = struct.unpack("q", os.read(task[0], 8))[0]
    assert select.select([fault], [], [], BOUND)[0], "no fault"
    before = switches(thread)
    os.write(question[1], b"?")
    ran = False
    while not ran and switches(thread) < before + SWITCHES:
        ran = bool(select.select([answer[0]], [], [], 0.001)[0])
    print("another thread ran" if ran else "all threads stood still", flush=True)


def reply():
    os.read(question[0], 1)
    os.write(answer[1], b"!")
    os.read(question[0], 1)  # the child may still look at this thread


child = os.fork()
if not child:
    try:
        serve()
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
    finally:
        fcntl.ioctl(fault, ZEROPAGE, struct.pack("QQQQ", address, mmap.PAGESIZE, 0, 0))
        os._exit(0)
thread = threading.Thread(target=reply)
thread.start()
os.write(task[1], struct.pack("q", thread.native_id))
a, b = socket.socketpair()
assert a.send(memory) == mmap.PAGESIZE
os.waitpid(child, 0)
os.write(question[1], b".")
thread.join()
a.close()
b.close()
"""


def test_a_page_fault_in_a_buffer(socket):
    """With the compiled backend it stops all threads: the first try keeps the GIL."""
    backend = getattr(socket, "BACKEND", None)
    number = NUMBERS.get(os.uname().machine)
    if number is None:
        pytest.skip(f"the number of userfaultfd is not known here: {os.uname()}")
    done = run_code(CODE.format(module="fastsock" if backend else "socket", number=number), backend)
    assert (done.returncode, done.stderr) == (0, "")
    if done.stdout.startswith("refused"):  # it takes rights, and not every kernel has it
        pytest.skip(f"userfaultfd {done.stdout.strip()}")
    assert done.stdout.strip() == ("all threads stood still" if backend == "compiled" else "another thread ran")
