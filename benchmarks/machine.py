"""The machine, and logs made in a process of their own: what a parent held counts as its children's peak memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path


def machine() -> str:
    """Processor, cores and memory in words."""
    about = Path("/proc/cpuinfo")
    names = [line for line in about.read_text().splitlines() if line.startswith("model name")] if about.exists() else []
    processor = names[0].split(":")[1].strip() if names else platform.machine()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GB"


@cache
def make(events: int, ids: str = "int", order: str = "time", touchpoints: int = 30, zipf: float = 1.0) -> Path:
    """The path of a log."""
    script = str(Path(__file__).parent / "logs.py")
    arguments = [str(each) for each in (events, ids, order, touchpoints, zipf)]
    done = subprocess.run([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())
