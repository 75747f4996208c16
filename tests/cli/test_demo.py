"""The worked example: complete on a bare machine, and what it finds agrees with the planted truth."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Completed, in_shell

import cxmodel as cx


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> Completed:
    """Run it once, without Graphviz and with an empty home."""
    return in_shell(folder, "demo", "--out", "out")


def rows(path: Path, key: str) -> dict[str, dict[str, float]]:
    return {row["group"][key]: row for row in json.loads(path.read_text(encoding="utf-8"))["results"]}


def test_it_ends_well_and_is_short_enough_to_read(demo: Completed, folder: Path) -> None:
    assert demo.returncode == 0, demo.stderr
    assert "Traceback" not in demo.stderr
    lines = demo.stdout.splitlines()
    assert 25 <= len(lines) <= 50
    assert max(map(len, lines)) <= 160
    kinds = {json.loads(path.read_text(encoding="utf-8"))["schema"] for path in (folder / "out").rglob("*.json")}
    assert kinds >= {f"cxmodel/{kind}/1" for kind in ("graph", "measure", "funnel", "paths")}


def test_each_picture_is_there_or_its_absence_is_explained(demo: Completed, folder: Path) -> None:
    text = demo.stdout + demo.stderr
    for study in ("museum", "car_rental"):
        for name in ("graph.svg", "graph.png"):
            path = Path("out") / study / name
            assert str(path) in text
            assert (folder / path).exists() == (f"Not written: {path}: " not in demo.stderr)


def test_it_finds_what_was_planted_in_the_museum(demo: Completed, folder: Path) -> None:
    assert demo.returncode == 0
    museum, truth = folder / "out" / "museum", cx.datasets.museum(customers=1).truth
    queue = rows(museum / "nps_by_queue.json", "queue")
    long, short = queue["over 15 minutes"], queue["up to 15 minutes"]
    assert long["low"] <= truth["nps"]["long queue"] <= long["high"] < short["low"]
    personas = rows(museum / "membership_by_persona.json", "persona")
    assert set(personas) == {"Curious tourist", "Local family", "Art student"}
    for persona, row in personas.items():
        assert row["value"] == pytest.approx(truth["membership"][persona], abs=0.04)


def test_it_finds_what_was_planted_in_the_rental(demo: Completed, folder: Path) -> None:
    assert demo.returncode == 0
    truth = cx.datasets.car_rental(customers=1).truth["rental_csat"]
    ways = rows(folder / "out" / "car_rental" / "rental_csat_by_outcome.json", "way")
    planted = {
        "no problem": "no problem", "solved by a call": "solved by call",
        "rescued by a message": "rescued by message", "left alone": "not rescued",
    }  # fmt: skip
    for way, name in planted.items():
        assert ways[way]["value"] == pytest.approx(truth[name], abs=0.1)
    assert ways["left alone"]["high"] < ways["rescued by a message"]["low"]


def test_what_it_suggests_can_be_typed(demo: Completed, folder: Path) -> None:
    (line,) = [line for line in demo.stdout.splitlines() if "cxmodel measure" in line]
    found = in_shell(folder, *line[line.index("cxmodel ") :].split()[1:])
    assert found.returncode == 0, found.stderr
    assert "mobile" in found.stdout
    assert "web" in found.stdout
