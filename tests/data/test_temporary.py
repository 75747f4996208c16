"""States that wait in files: the same numbers, no name on disk, nothing left."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.data import temporary
from cxmodel.data.temporary import FullDiskError, SpillFolder, let_go


@frozen(eq=False)
class State:
    numbers: NDArray[np.int64]
    parts: tuple[NDArray[np.float64], ...]
    by_name: dict[str, NDArray[np.uint8]]
    size: int


def state(rows: int) -> State:
    numbers = np.arange(2 * rows).reshape(rows, 2)
    return State(numbers, (np.linspace(0, 1, rows), np.zeros(0)), {"a": np.ones(rows, np.uint8)}, rows)


def arrays(state: State) -> list[NDArray[Any]]:
    return [state.numbers, *state.parts, state.by_name["a"]]


def same(a: State, b: State) -> bool:
    pairs = zip(arrays(a), arrays(b), strict=True)
    return a.size == b.size and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def files(folder: SpillFolder) -> list[Path]:
    return list(folder.path.iterdir())


def test_a_small_state_stays_where_it_is() -> None:
    folder, small = SpillFolder(10**9), state(100_000)
    assert folder.settled(small) is small


def test_a_large_state_waits_in_files_without_a_name() -> None:
    folder, large = SpillFolder(10**6), state(100_000)
    waiting = folder.settled(large)
    assert waiting is not large
    assert same(waiting, large)
    assert files(folder) == []
    assert not waiting.numbers.flags.writeable
    assert folder.settled(waiting) is waiting, "what waits already is not written again"
    both = folder.settled((waiting, state(100_000)))
    assert both[0].numbers.base is not None
    assert np.shares_memory(both[0].numbers, waiting.numbers)
    path = folder.path
    del folder
    gc.collect()
    assert not path.exists()
    assert same(waiting, large), "what is mapped outlives its folder"


def test_a_folder_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SpillFolder(0)
    monkeypatch.setattr(temporary, "_SMALL", 1)
    folder.close()
    with pytest.raises(FullDiskError, match="not possible to write temporary files"):
        folder.settled(state(10))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells how many pages of files are held")
def test_pages_of_files_are_let_go() -> None:
    def held() -> int:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("RssFile:")[1].split()[0]) * 1024

    waiting = SpillFolder(0).settled(np.ones(5_000_000))
    before = held()
    assert waiting.sum() == 5_000_000
    assert held() - before > 30_000_000
    let_go([waiting[10:], np.ones(3)])
    assert held() - before < 5_000_000
    assert waiting.sum() == 5_000_000
