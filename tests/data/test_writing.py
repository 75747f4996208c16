"""Writing results: whole or not at all, in this library's words, with real limits, real kills and real devices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cxmodel as cx
from cxmodel.data.locks import Lock, held
from cxmodel.data.temporary import FullDiskError
from cxmodel.data.writing import drafted, write
from cxmodel.errors import UnwritableError

LOG = (
    "import cxmodel as cx\n"
    "rows = [{'who': f'c{i % 40}', 'what': f'touchpoint {i % 37}', 'at': f'2026-01-{1 + i % 28:02}'}"
    " for i in range(4000)]\n"
    "journeys = cx.read_events(rows, customer='who', touchpoint='what', time='at')\n"
)
FULL = (
    # a limit on the size of files stands for the end of the disk
    "import resource, signal, sys\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))\n"
)
SAVING = {
    "outlook.json": "journeys.outlook(cx.Goal('g', touchpoints=['touchpoint 3'])).save(sys.argv[1])",
    "graph.json": "cx.export(journeys.graph(), sys.argv[1])",
    "graph.dot": "cx.export(journeys.graph(), sys.argv[1])",
}


def run(script: str, *arguments: object) -> str:
    child = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(child, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", list(SAVING))
def test_a_full_disk_leaves_the_older_result(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("older")
    script = (
        f"{LOG}{FULL}try:\n    {SAVING[name]}\nexcept cx.errors.CxmodelError as error:\n    print(error.code, error)\n"
    )
    told = run(script, tmp_path / name)
    assert told.startswith(f"full_disk there is no room for {tmp_path / name}: ")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {name: "older"}


def test_a_full_disk_leaves_the_older_output_of_a_command(tmp_path: Path) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "graph.json"
    log.write_text("who,what,at\n" + "".join(f"c{i % 5},t{i % 17},2026-01-{1 + i % 28:02}\n" for i in range(500)))
    out.write_text("older")
    arguments = ["graph", str(log), "--customer", "who", "--touchpoint", "what", "--time", "at", "--out", str(out)]
    script = f"{FULL}from cxmodel.cli import main\nmain()\n"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, out.read_text()) == (2, "older")
    assert f"there is no room for {out}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_is_written_to_and_not_replaced() -> None:
    write(Path(os.devnull), b"x")
    assert not Path(os.devnull).is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_device_is_told() -> None:
    with pytest.raises(FullDiskError, match="no room for /dev/full"):
        write(Path("/dev/full"), b"x")


def test_what_stands_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    for path, why in (
        ("file/below/a.json", f"{tmp_path / 'file'} is a file"),
        ("link/a.json", f"{tmp_path / 'link'} is a link to nowhere"),
        ("folder", f"{tmp_path / 'folder'} cannot be written"),
        ("n" * 300, "cannot be written"),
    ):
        with pytest.raises(UnwritableError, match=why):
            write(tmp_path / path, b"x")


def test_a_folder_that_is_not_ours_to_write_is_told(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys, cxmodel as cx\n"
        "from cxmodel.data.writing import write\n"
        "if os.geteuid() == 0:\n"  # who may write anywhere becomes somebody who may not
        "    os.seteuid(65534)\n"
        "try:\n"
        "    write(pathlib.Path(sys.argv[1]), b'x')\n"
        "except cx.errors.CxmodelError as error:\n"
        "    print(error.code, error)\n"
    )
    tmp_path.chmod(0o555)
    told = run(script, tmp_path / "a.json")
    assert told.startswith(f"unwritable {tmp_path / 'a.json'} cannot be written: ")
    assert "may write" in told


def test_a_link_is_followed_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("older")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", b"newer")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "newer"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    assert len(list(tmp_path.iterdir())) == 2


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with drafted(tmp_path / "new") as out:
            out.write(b"half")
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_draft_of_a_killed_process_is_used_up(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from cxmodel.data.writing import drafted\n"
        "with drafted(pathlib.Path(sys.argv[1])) as out:\n"
        "    out.write(b'a long half')\n"
        "    out.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "new")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [each.name for each in tmp_path.iterdir()] == [".new.part"]
    write(tmp_path / "new", b"whole")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"new": b"whole"}


def test_those_that_write_at_once_wait_for_each_other(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, threading\n"
        "from cxmodel.data.writing import write\n"
        "def many(letter):\n"
        "    for _ in range(30):\n"
        "        write(pathlib.Path(sys.argv[1]), letter * 100_000)\n"
        "threads = [threading.Thread(target=many, args=(each,)) for each in (sys.argv[2].encode(), b'x')]\n"
        "[each.start() for each in threads], [each.join() for each in threads]\n"
    )
    write(tmp_path / "new", b"x" * 100_000)
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "new"), each], stderr=subprocess.PIPE)
        for each in "ab"
    ]
    while any(child.poll() is None for child in children):
        content = (tmp_path / "new").read_bytes()
        assert len(content) == 100_000
        assert len(set(content)) == 1
    assert [child.communicate()[1] for child in children] == [b"", b""]
    assert [each.name for each in tmp_path.iterdir()] == ["new"]


def test_a_lock_goes_with_its_owner(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from cxmodel.data.locks import Lock\n"
        "lock = Lock.take(pathlib.Path(sys.argv[1]))\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert Lock.take(tmp_path / "lock", wait=False) is None
    child.kill()
    child.wait()
    child.stdout.close()
    with held(tmp_path / "lock") as lock:
        assert lock.sure
        assert Lock.take(tmp_path / "lock", wait=False) is None


def test_a_lock_whose_file_was_removed_is_another_lock(tmp_path: Path) -> None:
    with held(tmp_path / "lock") as first:
        (tmp_path / "lock").unlink()
        second = Lock.take(tmp_path / "lock", wait=False)
        assert second is not None
        second.release()
        second.release()
    assert first.file.closed


def test_without_locks_of_the_system_writing_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxmodel.data.locks._KNOWN", False)
    write(tmp_path / "new", b"whole")
    with held(tmp_path / "lock") as lock:
        assert not lock.sure
    assert (tmp_path / "new").read_bytes() == b"whole"


def test_a_link_in_place_of_a_draft_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / ".new.part").symlink_to("precious")
    with pytest.raises(UnwritableError):
        write(tmp_path / "new", b"x")
    assert (tmp_path / "precious").read_text() == "keep me"
    assert cx.errors.UnwritableError.code == "unwritable"
