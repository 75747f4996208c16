"""Service metrics against plain loops, published values and laws."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.episodes import Recovery
from cxmodel.metrics.channels import BridgeDifference, BridgeLag, BridgeScoreDifference, BridgeShare, OmnichannelShare
from cxmodel.metrics.service import (
    ContactsPerIssue,
    FirstContactResolution,
    RecoveryRate,
    RecoverySwitchShare,
    RecoveryTime,
    RepeatContactRate,
    ScoreAfterRecovery,
)

Build = Callable[..., cx.Journeys]
Row = dict[str, Any]
DAY = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def same_order(rows: list[Row]) -> list[Row]:
    """Rows in the order that the blocks hold them: by journey, then time."""
    return sorted(rows, key=lambda row: (row["who"], row.get("journey", ""), row["at"]))


def slow_chains(rows: list[Row], window: int) -> list[list[Row]]:
    found: list[list[Row]] = []
    for key in sorted({(row["who"], row["issue"] or "") for row in rows}):
        mine = sorted(
            (row for row in same_order(rows) if (row["who"], row["issue"] or "") == key), key=lambda r: r["at"]
        )
        for i, row in enumerate(mine):
            if i and row["at"] - mine[i - 1]["at"] <= window:
                found[-1].append(row)
            else:
                found.append([row])
    return found


CONTACT = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abc"), "journey": st.sampled_from("12"), "what": st.just("call"),
        "at": st.integers(0, 30), "issue": st.sampled_from(["x", "y", None]), "status": st.sampled_from(["ok", "open"]),
    }
)  # fmt: skip


@given(st.lists(CONTACT, min_size=1, max_size=20), st.integers(1, 8), st.integers(20, 45), st.integers(1, 3))
def test_issues_equal_plain_loops(build: Build, rows: list[Row], window: int, end: int, blocks: int) -> None:
    log = build([*rows, {"who": "z", "what": "visit", "at": 0, "issue": "x", "status": "ok"}], blocks=blocks)
    options: dict[str, Any] = {
        "window": timedelta(seconds=window), "contacts": ["call"], "issue": "issue", "resolved": {"status": "ok"},
        "end": EPOCH + timedelta(seconds=end),
    }  # fmt: skip
    chains = slow_chains(rows, window)
    judged = [chain for chain in chains if chain[0]["at"] + window <= end]
    fcr, per_issue = log.measure(FirstContactResolution(**options), ContactsPerIssue(**options))
    assert fcr.n == per_issue.n == len(judged)
    if judged:
        # of two contacts at one instant the blocks and the loop may take either first: both stand in one chain
        hits = sum(len(chain) == 1 and chain[0]["status"] == "ok" for chain in judged)
        assert fcr.require() == pytest.approx(hits / len(judged))
        assert per_issue.require() == pytest.approx(sum(map(len, judged)) / len(judged))
    early = [(chain, i) for chain in chains for i, row in enumerate(chain) if row["at"] + window <= end]
    repeat = log.measure(RepeatContactRate(**options))
    assert repeat.n == len(early)
    if early:
        assert repeat.require() == pytest.approx(sum(i + 1 < len(chain) for chain, i in early) / len(early))


@pytest.mark.open_data
def test_published_first_contact_resolution(build: Build, open_data: Path) -> None:
    case = json.loads((open_data / "reference" / "time_continuity.json").read_text(encoding="utf-8"))["fcr"]
    rows = [
        {"who": who, "what": "call", "at": day * DAY, "issue": issue, "status": "ok" if done else "open"}
        for who, issue, day, done in case["contacts"]
    ]
    options: dict[str, Any] = {
        "window": timedelta(days=case["window_days"]), "contacts": ["call"], "issue": "issue",
        "resolved": {"status": ["ok"]},
    }  # fmt: skip
    later = EPOCH + timedelta(days=90)
    log = build(rows)
    resolved = log.measure(FirstContactResolution(end=later, **options))
    assert (resolved.require(), resolved.n) == (float(Fraction(case["fcr"])), case["issues"])
    repeats = log.measure(RepeatContactRate(end=later, **options))
    assert repeats.require() == pytest.approx(float(Fraction(case["repeat_contact_rate"])))
    assert repeats.n == len(rows)
    contacts = log.measure(ContactsPerIssue(end=later, **options)).require()
    assert contacts == pytest.approx(float(Fraction(case["contacts_per_issue"])))
    # observation ends on day 9: only issues that began by day 2 can be judged
    assert log.measure(FirstContactResolution(**options)).n == 5


def test_contacts_must_be_told(build: Build) -> None:
    log = build([{"who": "a", "what": "call", "at": 0}])
    with pytest.raises(cx.errors.NotMeasurableError, match="no touchpoint says its kind"):
        log.measure(FirstContactResolution())
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no column 'topic'"):
        log.measure(FirstContactResolution(contacts=["call"], issue="topic"))
    assert log.measure(FirstContactResolution(contacts=["call"])).flags == ("empty",)  # within the last week
    described = build([{"who": "a", "what": "call", "at": 0}], facts={"kind": {"call": "communication"}})
    assert described.measure(FirstContactResolution(end=EPOCH + timedelta(days=8))).require() == 1
    with pytest.raises(cx.errors.InvalidValueError, match="window is a positive duration"):
        FirstContactResolution(window=timedelta(0))


STEP = st.fixed_dictionaries(
    {
        "who": st.sampled_from("ab"), "journey": st.sampled_from("12"),
        "what": st.sampled_from(["fail", "fix", "look"]), "at": st.integers(0, 500),
        "channel": st.sampled_from(["web", "phone", None]),
        "score": st.one_of(st.none(), st.integers(1, 5)),
    }
)  # fmt: skip
SEEN: list[Row] = [
    {"who": "z", "what": what, "at": i, "channel": "web", "score": None} for i, what in enumerate(("fix", "fail"))
]


def slow_episodes(rows: list[Row], within: int | None) -> list[tuple[Row, Row | None]]:
    found: list[tuple[Row, Row | None]] = []
    for key in sorted({(row["who"], row.get("journey", "")) for row in rows}):
        start: Row | None = None
        for row in (each for each in same_order(rows) if (each["who"], each.get("journey", "")) == key):
            if row["what"] == "fail" and start is None:
                start = row
            elif row["what"] == "fix" and start is not None:
                found.append((start, row if within is None or row["at"] - start["at"] <= within else None))
                start = None
        if start is not None:
            found.append((start, None))
    return found


@given(st.lists(STEP, max_size=25), st.sampled_from([None, 50]), st.integers(1, 3))
def test_recoveries_equal_plain_loops(build: Build, steps: list[Row], within: int | None, blocks: int) -> None:
    rows = [*steps, *SEEN]
    recovery = Recovery(failed=["fail"], resolved=["fix"], within=None if within is None else timedelta(seconds=within))
    log = build(rows, blocks=blocks)
    slow = slow_episodes(rows, within)
    rate, time, switch = log.measure(
        RecoveryRate(recovery=recovery), RecoveryTime(recovery=recovery), RecoverySwitchShare(recovery=recovery)
    )
    good = [(start, end) for start, end in slow if end is not None]
    assert rate.n == len(slow)
    assert rate.require() == pytest.approx(len(good) / len(slow))
    assert "open_unknown" in rate.flags
    if good:
        assert time.require() == pytest.approx(float(np.median([end["at"] - start["at"] for start, end in good])))
    known = [(start, end) for start, end in good if start["channel"] and end["channel"]]
    assert switch.n == len(known)
    if known:
        moved = sum(start["channel"] != end["channel"] for start, end in known)
        assert switch.require() == pytest.approx(moved / len(known))


@given(st.lists(STEP, min_size=1, max_size=25, unique_by=lambda row: row["at"]))
def test_scores_after_recovery_equal_plain_loops(build: Build, steps: list[Row]) -> None:
    rows: list[Row] = [*steps, *({**row, "at": 1000 + i} for i, row in enumerate(SEEN))]
    rows.append({"who": "z", "what": "look", "at": 2000, "channel": None, "score": 3})
    recovery = Recovery(failed=["fail"], resolved=["fix"])
    expected: dict[str, list[int]] = {"recovered": [], "not recovered": [], "no failure": []}
    slow = slow_episodes(rows, None)
    for row in rows:
        if row["score"] is None:
            continue
        key = (row["who"], row.get("journey", ""))
        before = [e for e in slow if (e[0]["who"], e[0].get("journey", "")) == key and e[0]["at"] <= row["at"]]
        if not before:
            expected["no failure"].append(row["score"])
        else:
            _, end = max(before, key=lambda e: e[0]["at"])
            expected["recovered" if end is not None and end["at"] <= row["at"] else "not recovered"].append(
                row["score"]
            )
    log = build(rows, blocks=2)
    for after, scores in expected.items():
        found = log.measure(ScoreAfterRecovery(recovery=recovery, after=after, min_n=0))  # type: ignore[arg-type]
        assert found.n == len(scores)
        assert found.value == (pytest.approx(sum(scores) / len(scores)) if scores else None)


def test_open_journeys_are_left_out_of_the_recovery_rate(build: Build) -> None:
    rows = [{"who": who, "what": "fail", "at": 0} for who in "abc"] + [{"who": "a", "what": "fix", "at": 5}]
    recovery = Recovery(failed=["fail"], resolved=["fix"])
    found = build(rows, still_open={("c", "")}).measure(RecoveryRate(recovery=recovery))
    assert (found.n, found.value) == (2, 0.5)
    assert "open_unknown" not in found.flags
    with pytest.raises(cx.errors.InvalidValueError, match="both a failure and its resolution"):
        Recovery(failed=["x"], resolved=["x"])
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no touchpoint 'mend'"):
        build(rows).measure(RecoveryRate(recovery=Recovery(failed=["fail"], resolved=["mend"])))


ONLINE = {"web": True, "phone": False, "fax": None}
VISIT = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abc"), "journey": st.sampled_from("12"), "what": st.just("visit"),
        "at": st.integers(0, 500), "channel": st.sampled_from(["web", "phone", "fax", None]),
    }
)  # fmt: skip


@given(st.lists(VISIT, min_size=1, max_size=25), st.integers(1, 3))
def test_bridges_equal_plain_loops(build: Build, rows: list[Row], blocks: int) -> None:
    if not any(row["channel"] for row in rows):
        return
    log = build(rows, blocks=blocks)
    keys = sorted({(row["who"], row["journey"]) for row in rows})
    known = [
        [(ONLINE[row["channel"]], row["at"]) for row in same_order(rows)
         if (row["who"], row["journey"]) == key and ONLINE.get(row["channel"]) is not None]
        for key in keys
    ]  # fmt: skip
    modes = [{mode for mode, _ in journey} for journey in known if journey]
    share = log.measure(OmnichannelShare(online=ONLINE))
    assert share.n == len(modes)
    if modes:
        assert share.require() == pytest.approx(sum(len(each) == 2 for each in modes) / len(modes))
    for crossing, leaves in (("online to offline", {True}), ("offline to online", {False}), ("either", {True, False})):
        lags = [[b[1] - a[1] for a, b in pairwise(journey) if a[0] != b[0] and a[0] in leaves] for journey in known]
        could = [lag for lag, journey in zip(lags, known, strict=True) if {mode for mode, _ in journey} & leaves]
        options: dict[str, Any] = {"online": ONLINE, "crossing": crossing}
        bridged, lag = log.measure(BridgeShare(**options), BridgeLag(**options))
        assert bridged.n == len(could)
        if could:
            assert bridged.require() == pytest.approx(sum(map(bool, could)) / len(could))
        flat = [each for lag in lags for each in lag]
        assert lag.value == (pytest.approx(float(np.median(flat))) if flat else None)


WALK = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abc"), "journey": st.sampled_from("12"), "what": st.sampled_from(["visit", "buy"]),
        "at": st.integers(0, 5_000), "channel": st.sampled_from(["web", "phone", None]),
        "score": st.none() | st.integers(1, 5),
    }
)  # fmt: skip
CROSSINGS: Any = st.sampled_from(["online to offline", "offline to online", "either"])


@given(st.lists(WALK, min_size=2, max_size=25, unique_by=lambda row: row["at"]), CROSSINGS, st.integers(1, 3))
def test_bridge_differences_equal_plain_loops(build: Build, rows: list[Row], crossing: Any, blocks: int) -> None:
    if not any(row["channel"] for row in rows):
        return
    leaves = {"online to offline": {True}, "offline to online": {False}, "either": {True, False}}[crossing]
    log = build(rows, blocks=blocks)
    converted: dict[bool, list[int]] = {True: [], False: []}
    scores: dict[bool, list[int]] = {True: [], False: []}
    for key in sorted({(row["who"], row["journey"]) for row in rows}):
        mine = sorted((row for row in rows if (row["who"], row["journey"]) == key), key=lambda row: int(row["at"]))
        known = [(ONLINE[row["channel"]], row["at"]) for row in mine if row["channel"]]
        if not {mode for mode, _ in known} & leaves:
            continue
        crossed = min((b[1] for a, b in pairwise(known) if a[0] != b[0] and a[0] in leaves), default=np.inf)
        bought = min((row["at"] for row in mine if row["what"] == "buy"), default=None)
        converted[crossed <= (1e9 if bought is None else bought)].append(bought is not None)
        for row in mine:
            if row["score"] is not None:
                scores[crossed <= row["at"]].append(row["score"])
    options: dict[str, Any] = {"online": ONLINE, "crossing": crossing}
    goal = cx.Goal("sale", touchpoints=["buy"])
    if any(row["what"] == "buy" for row in rows):
        check_difference(log.measure(BridgeDifference(goal=goal, **options)), converted)
    if any(row["score"] is not None for row in rows):
        check_difference(log.measure(BridgeScoreDifference(min_n=0, **options)), scores)


def check_difference(found: cx.Estimate, groups: dict[bool, list[int]]) -> None:
    assert found.n == sum(map(len, groups.values()))
    if not all(groups.values()):
        assert found.value is None
        return
    assert found.require() == pytest.approx(np.mean(groups[True]) - np.mean(groups[False]))
    assert "unadjusted" in found.flags
    assert found.interval is None or found.require() in found.interval


def test_channels_must_all_be_spoken_of(build: Build) -> None:
    log = build([{"who": "a", "what": "visit", "at": 0, "channel": "fax"}])
    with pytest.raises(cx.errors.InvalidValueError, match="whether the channel 'fax' is online"):
        log.measure(OmnichannelShare(online={"web": True}))
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no column 'channel'"):
        build([{"who": "a", "what": "visit", "at": 0}]).measure(OmnichannelShare(online=ONLINE))
