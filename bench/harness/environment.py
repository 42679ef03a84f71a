"""The machine and the versions that a measurement was taken on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from harness.implementations import OWN, PEERS, is_installed, load


def describe() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg(),
        "switch_interval": sys.getswitchinterval(),
        "fastsock": load("compiled").__version__,
        "backends": {name: load(name).BACKEND_REASON for name in OWN if name != "stdlib"},
        "peers": {peer: importlib.metadata.version(peer) for peer in PEERS if is_installed(peer)},
    }


def cpu_name() -> str:
    with_names = Path("/proc/cpuinfo")
    if with_names.exists():
        for line in with_names.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
