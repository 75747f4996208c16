"""Files that cannot be read: the message says why, in words."""

from pathlib import Path

import pytest

import cxmodel as cx
from cxmodel.data.sources import columns_of


def reading(path: Path) -> str:
    with pytest.raises(cx.errors.UnreadableSourceError) as caught:
        cx.read_events(path, customer="who", touchpoint="what", time="at")
    return str(caught.value)


def test_what_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "closed.csv"
    path.write_text("who,what,at\nann,ad,2026-01-01\n", encoding="utf-8")
    path.chmod(0)
    refused = PermissionError(13, "Permission denied", str(path))
    monkeypatch.setattr("cxmodel.data.sources._first_line", lambda _: (_ for _ in ()).throw(refused))
    assert reading(path) == "closed.csv cannot be read: permission denied"


def test_what_is_not_packed(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    path.write_bytes(b"no gzip at all")
    assert reading(path).startswith("events.csv.gz cannot be read: Not a gzipped file")


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    assert reading(path).startswith("binary.csv is no text in UTF-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "who,the what\n1,2\n"),
        ("a.tsv", "who\tthe what\n1\t2\n"),
        ("a.jsonl", '{"who": 1, "the what": 2}\n'),
        ("[a].json", '[{"who": 1, "the what": 2}]'),
    ],
)
def test_columns_of_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert columns_of(str(tmp_path / name)) == ["who", "the what"]
