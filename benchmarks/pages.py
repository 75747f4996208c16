"""Pages at hand: ``python benchmarks/pages.py FILE`` takes about what a task on this file will need, and gives it back.

On a virtual machine the host may keep pages that the guest has not touched for a second or two; handing them out again
costs a second for each gigabyte or two, on whichever task's clock that happens to fall. Every task of ours and of the
peers is given the same pages right before its clock starts, so that this is paid by none.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

_BASE, _PER_BYTE = 2**29, 24  # a log of 10⁷ events is 71 MB; the hungriest peer takes fifty times that
_PAGE = 4096


def at_hand(path: str | Path) -> None:
    """In a process of its own, so that it does not count as memory of the task's."""
    subprocess.run([sys.executable, __file__, str(path)], check=True)


def take(path: Path) -> None:
    """Touch as many bytes as the log makes likely, at most a quarter of the machine's memory."""
    size = sum(each.stat().st_size for each in path.rglob("*")) if path.is_dir() else path.stat().st_size
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # private pages, and large ones where the system has them: what arrays are made of
    with mmap.mmap(
        -1, min(_BASE + _PER_BYTE * size, whole // 4), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    ) as memory:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, len(memory), _PAGE):
            memory[at] = 1


if __name__ == "__main__":
    take(Path(sys.argv[1]))
