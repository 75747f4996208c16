"""Saving: whoever opens a folder finds one whole version, whatever else saves, is killed or finds the disk full."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import cxmodel as cx
from cxmodel.data.manifests import as_text
from cxmodel.errors import CxmodelError, InvalidValueError, UnwritableError

JOURNEYS = (
    "import os, signal, sys, cxmodel as cx\n"
    "def journeys(n):\n"
    "    rows = [{'who': f'c{i % 50}', 'what': f't{i % 5}', 'at': f'2026-01-{1 + i % 28:02}'} for i in range(n)]\n"
    "    return cx.read_events(rows, customer='who', touchpoint='what', time='at')\n"
)
FOREVER = f"{JOURNEYS}a, b = journeys(1000), journeys(700)\nwhile True:\n    a.save(sys.argv[1]); b.save(sys.argv[1])\n"
READING = (
    "import sys, time, cxmodel as cx\n"
    "end, opened = time.time() + float(sys.argv[2]), 0\n"
    "while time.time() < end:\n"
    "    journeys = cx.open_journeys(sys.argv[1], verify=opened % 2 == 0)\n"
    "    total = sum(n for *_, n in journeys.graph().edges(data='count'))\n"
    "    assert (journeys.facts.events, total) in ((1000, 950), (700, 650)), (journeys.facts.events, total)\n"
    "    opened += 1\n"
    "print(opened)\n"
)


def journeys(n: int = 100) -> cx.Journeys:
    rows = [{"who": f"c{i % 50}", "what": f"t{i % 5}", "at": f"2026-01-{1 + i % 28:02}"} for i in range(n)]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def names(folder: Path) -> list[str]:
    return sorted(each.name.partition("-")[2] or each.name for each in folder.iterdir())


WHOLE = [".lock", "block-00000.bin", "identifiers.bin", "manifest.json", "results.bin"]

# what else may lie in a folder


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "manifest.json").write_text('{"name": "my web app"}')
    (tmp_path / "site" / "index.html").write_text("precious")
    with pytest.raises(InvalidValueError, match=r"no manifest of prepared journeys\n.*another folder"):
        journeys().save(tmp_path / "site")
    assert sorted(each.name for each in (tmp_path / "site").iterdir()) == ["index.html", "manifest.json"]


@pytest.mark.parametrize("strange", ["notes.txt", "results.bin", "block-00000.bin", "sub"])
def test_a_folder_that_holds_more_is_refused(tmp_path: Path, strange: str) -> None:
    journeys().save(tmp_path / "kept")
    place = tmp_path / "kept" / strange
    if strange == "sub":
        place.mkdir()
    else:
        place.write_text("mine")
    with pytest.raises(InvalidValueError, match=f"holds '{strange}'"):
        journeys(70).save(tmp_path / "kept")
    assert place.exists()
    assert cx.open_journeys(tmp_path / "kept").facts.events == 100


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    journeys().save(tmp_path / "kept")
    file = tmp_path / "kept" / "manifest.json"
    text = as_text(json.loads(file.read_text())["manifest"] | {"schema": "cxmodel/prepared/9"})
    file.write_text(text)
    with pytest.raises(InvalidValueError, match="prepared/9"):
        journeys().save(tmp_path / "kept")
    assert file.read_text() == text


def test_a_folder_of_the_version_before_is_opened_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    journeys().save(folder)
    manifest = json.loads((folder / "manifest.json").read_text())["manifest"]
    for entry in (*manifest["blocks"], manifest["identifiers"], manifest["results"]):
        plain = entry["file"].partition("-")[2]
        (folder / entry["file"]).rename(folder / plain)
        entry["file"] = plain
    for later in ("attached", "matched"):
        del manifest[later]
    (folder / "manifest.json").write_text(as_text(manifest))
    (folder / ".lock").unlink()
    assert cx.open_journeys(folder).facts == journeys().facts
    journeys(70).save(folder)
    assert cx.open_journeys(folder).facts.events == 70
    assert names(folder) == WHOLE


def test_empty_folders_and_links_are_taken(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o750)
    (tmp_path / "link").symlink_to("real")
    journeys().save(tmp_path / "link")
    journeys(70).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o750
    assert cx.open_journeys(tmp_path / "real").facts.events == 70


def test_what_stands_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path in ("file", "file/below", "dangling", "dangling/below", "n" * 300):
        with pytest.raises(UnwritableError, match=str(tmp_path)):
            journeys().save(tmp_path / path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dangling", "file"]


def test_what_is_put_there_during_a_save_stays(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    journeys().save(folder)
    script = (
        f"{JOURNEYS}last = os.replace\n"
        "def replace(draft, path):\n"
        "    open(os.path.join(sys.argv[1], 'notes.txt'), 'w').write('mine')\n"
        "    last(draft, path)\n"
        "os.replace = replace\n"
        "journeys(70).save(sys.argv[1])\n"
    )
    assert child(script, folder).communicate() == ("", "")
    assert names(folder) == [*WHOLE[:-1], "notes.txt", WHOLE[-1]]


# others that read and save


@pytest.mark.parametrize("savers", [1, 2])
def test_readers_find_whole_journeys_while_others_save(tmp_path: Path, savers: int) -> None:
    folder = tmp_path / "kept"
    journeys(1000).save(folder)
    saving = [child(FOREVER, folder) for _ in range(savers)]
    try:
        said, failed = child(READING, folder, 3).communicate()
        assert not failed
        assert int(said) > 3
        assert [each.poll() for each in saving] == [None] * savers
    finally:
        for each in saving:
            each.kill()
            each.communicate()
    journeys(700).save(folder)
    assert names(folder) == WHOLE


def test_threads_that_save_at_once_wait_for_each_other(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def save(n: int) -> None:
        try:
            journeys(n).save(tmp_path / "kept")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(n,)) for n in (100, 70, 100, 70)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert names(tmp_path / "kept") == WHOLE


def test_opened_journeys_can_be_saved_where_they_came_from(tmp_path: Path) -> None:
    journeys().save(tmp_path / "kept")
    opened = cx.open_journeys(tmp_path / "kept")
    more = opened.append([{"who": "new", "what": "t1", "at": "2026-05-05"}])
    more.save(tmp_path / "kept")
    assert cx.open_journeys(tmp_path / "kept").facts.events == 101
    assert opened.graph().events == 100


# kills


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_save_that_is_killed_leaves_one_whole_version(tmp_path: Path, moment: str) -> None:
    folder = tmp_path / "kept"
    journeys(100).save(folder)
    script = (
        f"{JOURNEYS}moment, last = sys.argv[2], os.replace\n"
        "def replace(draft, path):\n"
        "    if moment == 'after':\n"
        "        last(draft, path)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "import pathlib\n"
        "os.replace = replace\n"
        "journeys(70).save(sys.argv[1])\n"
    )
    killed = child(script, folder, moment)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert len(names(folder)) > len(WHOLE)
    assert cx.open_journeys(folder).facts.events == (100 if moment == "before" else 70)
    journeys(55).save(folder)
    assert cx.open_journeys(folder).facts.events == 55
    assert names(folder) == WHOLE


def test_a_first_save_that_is_killed_is_done_again(tmp_path: Path) -> None:
    script = f"{JOURNEYS}os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\njourneys(70).save(sys.argv[1])\n"
    child(script, tmp_path / "kept").communicate()
    assert "manifest.json" not in names(tmp_path / "kept")
    journeys().save(tmp_path / "kept")
    assert names(tmp_path / "kept") == WHOLE


def test_kills_at_any_moment_leave_one_whole_version(tmp_path: Path) -> None:
    folder, chance = tmp_path / "kept", random.Random(7)
    journeys(1000).save(folder)
    for _ in range(6):
        saving = child(FOREVER.replace("while True:", "print(flush=True)\nwhile True:"), folder)
        assert saving.stdout is not None
        saving.stdout.readline()
        time.sleep(0.05 + chance.random() / 5)
        saving.kill()
        saving.communicate()
        assert cx.open_journeys(folder).facts.events in (1000, 700)
    journeys(55).save(folder)
    assert names(folder) == WHOLE


def test_the_files_of_a_save_that_goes_on_are_not_swept(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    journeys(100).save(folder)
    script = (
        f"{JOURNEYS}last = os.replace\n"
        "def replace(draft, path):\n"
        "    print('waiting', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    last(draft, path)\n"
        "os.replace = replace\n"
        "journeys(70).save(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as saving:
        assert saving.stdout is not None
        assert saving.stdin is not None
        saving.stdout.readline()
        second = threading.Thread(target=lambda: journeys(55).save(folder))
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert cx.open_journeys(folder).facts.events == 100
        saving.stdin.write("\n")
        saving.stdin.flush()
        second.join()
        assert saving.wait() == 0
    assert cx.open_journeys(folder).facts.events == 55
    assert names(folder) == WHOLE


def test_without_locks_only_what_was_replaced_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxmodel.data.locks._KNOWN", False)
    journeys(100).save(tmp_path / "kept")
    of_another = tmp_path / "kept" / "0123456789abcdef-block-00000.bin"
    of_another.write_bytes(b"being written")
    journeys(70).save(tmp_path / "kept")
    assert of_another.exists()
    of_another.unlink()
    assert names(tmp_path / "kept") == WHOLE


# disks that are full


@pytest.mark.parametrize("what", ["journeys(900)", "cx.open_journeys(sys.argv[1]).append(more)"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "kept"
    journeys(100).save(folder)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    script = (
        f"{JOURNEYS}import resource\n"
        "more = [{'who': f'new {i}', 'what': 't1', 'at': '2026-05-05'} for i in range(900)]\n"
        f"large = {what}\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))\n"  # stands for the end of the disk
        "try:\n"
        "    large.save(sys.argv[1])\n"
        "except cx.errors.CxmodelError as error:\n"
        "    print(error.code, error)\n"
    )
    said, failed = child(script, folder).communicate()
    assert not failed
    assert said.startswith(f"full_disk there is no room for {folder}: ")
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_a_folder_that_is_not_ours_to_write_is_told(tmp_path: Path) -> None:
    script = (
        f"{JOURNEYS}large = journeys(100)\n"
        "if os.geteuid() == 0:\n"  # who may write anywhere becomes somebody who may not
        "    os.seteuid(65534)\n"
        "try:\n"
        "    large.save(sys.argv[1])\n"
        "except cx.errors.CxmodelError as error:\n"
        "    print(error.code, error)\n"
    )
    tmp_path.chmod(0o555)
    said, _ = child(script, tmp_path / "kept").communicate()
    assert said.startswith(f"unwritable {tmp_path / 'kept'} cannot be written: ")
    assert issubclass(UnwritableError, CxmodelError | OSError)
