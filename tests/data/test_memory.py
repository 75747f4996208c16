"""Memory that is left: of the machine, and within the limits of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxmodel.data.memory import free_memory

MB = 10**6
MEMINFO = "MemTotal:       32000 kB\nMemFree:         1000 kB\nMemAvailable:   20000 kB\nHugePages_Total:       0\n"
HOST = {"proc/meminfo": MEMINFO}
SECOND = HOST | {"proc/self/cgroup": "0::/app/worker\n"}
FIRST = HOST | {"proc/self/cgroup": "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n"}


def second(folder: str, most: str, used: int, inactive: int = 0) -> dict[str, str]:
    where = f"sys/fs/cgroup/{folder}"
    stat = f"anon 5\ninactive_file {inactive}\n"
    return {f"{where}memory.max": f"{most}\n", f"{where}memory.current": f"{used}\n", f"{where}memory.stat": stat}


def first(folder: str, most: int, used: int, inactive: int = 0) -> dict[str, str]:
    where = f"sys/fs/cgroup/memory/{folder}"
    return {
        f"{where}memory.limit_in_bytes": f"{most}\n",
        f"{where}memory.usage_in_bytes": f"{used}\n",
        f"{where}memory.stat": f"inactive_file 1\ntotal_inactive_file {inactive}\n",
    }


CASES = {
    "no container": (HOST, 20_480_000),
    "no limit": (SECOND | second("app/worker/", "max", 1 * MB), 20_480_000),
    "a limit": (SECOND | second("app/worker/", f"{10 * MB}", 4 * MB), 6 * MB),
    "pages of files can be let go": (SECOND | second("app/worker/", f"{10 * MB}", 9 * MB, 5 * MB), 6 * MB),
    "the limit of a group above": (SECOND | second("app/worker/", "max", MB) | second("app/", f"{9 * MB}", MB), 8 * MB),
    "a path of the host": (SECOND | second("", f"{7 * MB}", 2 * MB), 5 * MB),
    "more than the machine has": (SECOND | second("app/worker/", f"{10**12}", 0), 20_480_000),
    "used up": (SECOND | second("app/worker/", f"{2 * MB}", 3 * MB), 0),
    "first version": (FIRST | first("docker/ab/", 10 * MB, 4 * MB, 1 * MB), 7 * MB),
    "first version, a path of the host": (FIRST | first("", 10 * MB, 4 * MB), 6 * MB),
    "first version, no limit": (FIRST | first("docker/ab/", 9223372036854771712, 4 * MB), 20_480_000),
}


@pytest.mark.parametrize("case", CASES)
def test_the_least_of_what_machine_and_container_leave(tmp_path: Path, case: str) -> None:
    files, expected = CASES[case]
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert free_memory(tmp_path) == expected


def test_a_system_without_these_files(tmp_path: Path) -> None:
    """Never less than what there is: nothing is known about what others use."""
    assert free_memory(tmp_path) >= free_memory()
