"""Memory: how much of it this process may still take."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_GROUPS: Final = "sys/fs/cgroup"
# files of a limit, of what counts against it, and the entry of those pages of files that are let go when room is needed
_SECOND: Final = ("memory.max", "memory.current", "inactive_file")
_FIRST: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory(root: Path = Path("/")) -> float:
    """Bytes that this process may still take.

    On Linux that is the least of what the system has available and of what the limits of its control groups leave: a
    container sees the figures of its host. On macOS it is all memory of the machine, how much of it others use is not
    known there. On Windows nothing is known, and the answer is infinite.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    known = [*_available(root / "proc/meminfo"), *_left_by_groups(root)]
    return float(min(known)) if known else _physical()


def _available(meminfo: Path) -> Iterator[int]:
    """``MemAvailable``: with the pages that hold nothing but copies of files, which ``MemFree`` leaves out."""
    found = _entries(meminfo).get("MemAvailable:")
    if found is not None:
        yield found * 1024


def _left_by_groups(root: Path) -> Iterator[int]:
    """What each limit leaves: those of the groups of this process, and of all groups that these belong to."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount, names = root / _GROUPS, _SECOND
        if controllers:
            mount, names = mount / "memory", _FIRST
        # inside a container the path may be one of the host that is not there; the container's own group is the mount
        inner = mount / group.strip("/")
        for folder in [inner, *inner.parents]:
            yield from _left(folder, *names)
            if folder == mount:
                break


def _left(folder: Path, limit: str, usage: str, inactive: str) -> Iterator[int]:
    most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
    if most.isdigit() and used.isdigit():
        yield max(int(most) - int(used) + _entries(folder / "memory.stat").get(inactive, 0), 0)


def _entries(path: Path) -> Mapping[str, int]:
    """The numbers of a file with a name and a number on each line."""
    words = [line.split() for line in _text(path).splitlines()]
    return {each[0]: int(each[1]) for each in words if len(each) > 1 and each[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
