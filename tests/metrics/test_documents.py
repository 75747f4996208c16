"""Tables of these metrics as JSON: every row there, and what is not shown counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cxmodel as cx

Build = Callable[..., cx.Journeys]


def written(result: object, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cx.export(result, folder / "result.json").path.read_text(encoding="utf-8"))
    return found


def log(build: Build) -> cx.Journeys:
    rows = [
        {
            "who": f"c{c}",
            "what": what,
            "at": 10 * i + c * i,
            "score": 1 + (c + i) % 5,
            "channel": "web" if c % 2 else "phone",
        }
        for c in range(12)
        for i, what in enumerate("abca")
    ]
    return build(rows)


def test_bottlenecks_count_what_they_do_not_show(build: Build, tmp_path: Path) -> None:
    table = log(build).measure(cx.metrics.Bottlenecks(unknown_as="wait", top=1))
    first, rest = written(table, tmp_path)["results"][0]["result"]["transitions"]
    assert first["group"] == {"transition": [table.rows[0].source, table.rows[0].target]}
    assert (rest["group"], rest["transitions"]) == ({"transition": None}, 2)
    assert first["value"] + rest["value"] == table.total_s["wait"]
    assert "2 more" in str(table)


def touchpoints_of(found: Any) -> list[dict[str, Any]]:
    """All rows by touchpoint, however deep they stand."""
    if isinstance(found, dict):
        mine = found.get("touchpoints")
        return list(mine) if mine else [row for value in found.values() for row in touchpoints_of(value)]
    return [row for value in found for row in touchpoints_of(value)] if isinstance(found, list) else []


def test_surprises_and_times_by_group(build: Build, tmp_path: Path) -> None:
    found = written(log(build).measure(cx.metrics.Surprises(), by="channel"), tmp_path)
    assert {row["group"]["channel"] for row in found["results"]} == {"web", "phone"}
    assert {each["group"]["touchpoint"] for each in touchpoints_of(found)} == {"a", "b", "c"}
    goal = cx.Goal("c", touchpoints=["c"])
    times = written(log(build).measure(cx.metrics.TimeTo(goal=goal)), tmp_path)["results"][0]["result"]["times"]
    assert times[0]["quantity"] == "median"
    assert [row["value"] for row in times[1:]] == sorted(row["value"] for row in times[1:])
    assert times[-1]["value"] == 1.0
