"""Rules of names: held to a slow application to one name at a time, with Python's own expressions."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from fnmatch import translate
from pathlib import Path

import duckdb
import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import counts_of, in_blocks, paths_of, read, whole

import cxmodel as cx
from cxmodel.cli.rulebooks import RuleBook
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.renaming import Renaming
from cxmodel.data.roles import Roles
from cxmodel.model.rules import Unmatched, VocabularyReport
from cxmodel.testing import HOSTILE, Row, journeys_of, logs

few = settings(max_examples=20)
R = cx.Rule
NAMES = (
    "/", "/product/1", "/product/2?colour=red", "/product/2#top", "/help/returns", "/help/returns?x=1", "/help/",
    "/a.png", "/A.PNG", "/product", "shop", "other", "?only", "#", "a\nb", "/help/é", "[x]", "a.b", "a+b",
    "/help/a_b/c",
)  # fmt: skip
PATTERNS = (
    r"^/help/(?P<topic>\w+)",
    r"^/product/\d+$",
    r"(?i)\.png",
    r"(?P<topic>[a-z]*)$",
    r"^(?P<topic>.*)\?",
    "o|h",
    "^",
)
names = st.sampled_from((*NAMES, *(name for name in HOSTILE if name.strip())))
targets = st.sampled_from(["Help", "Product page", "Home", "other", "shop", "a{b}", "{topic}", "Help: {topic}"])


def roles_of(journeys: cx.Journeys) -> Roles | None:
    assert isinstance(journeys.population, MemoryPopulation)
    return journeys.population.roles


@st.composite
def rules(draw: st.DrawFn) -> cx.Rule:
    kind, query = draw(st.sampled_from(["exact", "glob", "regex", "drop"])), draw(st.booleans())
    to = draw(targets)
    if kind == "exact":
        return R.exact(draw(names), to=to, without_query=query)
    glob = draw(
        st.one_of(names, st.sampled_from(["*", "/*", "/product/*", "*.png", "/product/?", "?*", "/[ph]*", "*a*"]))
    )
    if kind == "glob":
        return R.glob(glob, to=to, without_query=query)
    pattern = draw(st.sampled_from(PATTERNS))
    if kind == "drop":
        return R.drop(glob, without_query=query) if draw(st.booleans()) else R.drop(pattern, kind="regex")
    return R.regex(
        pattern, to="Help" if to == "a{b}" or ("{" in to and "topic" not in pattern) else to, without_query=query
    )


def applied(name: str, rules: Sequence[cx.Rule], unmatched: str) -> tuple[int, str | None]:
    """The first rule that matches a name, or −1, and what it becomes; None where it is dropped."""
    for number, rule in enumerate(rules):
        text = re.split("[?#]", name, maxsplit=1)[0] if rule.without_query else name
        found = matched(text, rule)
        if found is None:
            continue
        if rule.to is None:
            return number, None
        to = rule.to
        if rule.kind == "regex":
            for group, part in found.groupdict().items():
                to = to.replace(f"{{{group}}}", part or "")
        if to.strip():
            return number, to
        break  # a rule that would give no name counts as no rule
    return -1, "other" if unmatched == "other" else name


def matched(text: str, rule: cx.Rule) -> re.Match[str] | None:
    if rule.kind == "exact":
        return re.fullmatch(re.escape(rule.pattern), text)
    if rule.kind == "glob":
        return re.match(translate(rule.pattern.replace("[", "[[]")), text)
    # the end of an expression is the very end, not a line break before it
    return re.search(rule.pattern.replace("$", r"\Z"), text, re.ASCII)


def as_other_names(rows: Sequence[Row], rules: Sequence[cx.Rule], unmatched: str) -> list[Row]:
    out: list[Row] = []
    for row in rows:
        blank = row["touchpoint"] is None or not str(row["touchpoint"]).strip()
        to = row["touchpoint"] if blank else applied(str(row["touchpoint"]), rules, unmatched)[1]
        out += [] if to is None and not blank else [{**row, "touchpoint": to}]
    return out


@st.composite
def renamed_logs(draw: st.DrawFn) -> list[Row]:
    rows = draw(logs(hostile=True, most=12))
    table = draw(st.lists(names, min_size=4, max_size=4))
    plain = sorted({str(row["touchpoint"]) for row in rows})
    return [{**row, "touchpoint": table[plain.index(str(row["touchpoint"])) % 4]} for row in rows]


@few
@given(renamed_logs(), st.lists(rules(), min_size=1, max_size=5), st.sampled_from(["keep", "other"]))
def test_rules_are_a_renaming_of_the_rows(rows: list[Row], rules: list[cx.Rule], unmatched: Unmatched) -> None:
    expected = as_other_names(rows, rules, unmatched)
    if not expected:
        with pytest.raises(cx.errors.NoRowsError, match="no event could be kept"):
            read(rows, rules=rules, unmatched=unmatched)
        return
    journeys = read(rows, rules=rules, unmatched=unmatched)
    assert whole(journeys) == whole(read(expected))
    assert counts_of(journeys) == counts_of(read(expected))
    assert journeys.reading.kept == len(expected)
    assert journeys.reading.rows == journeys.reading.kept + journeys.reading.rejected_rows == len(rows)


@few
@given(renamed_logs(), st.lists(rules(), min_size=1, max_size=5), st.sampled_from(["keep", "other"]))
def test_counts_add_up(rows: list[Row], rules: list[cx.Rule], unmatched: Unmatched) -> None:
    if not as_other_names(rows, rules, unmatched):
        return
    report = report_of(read(rows, rules=rules, unmatched=unmatched))
    events = Counter(str(row["touchpoint"]) for row in rows)
    became = {name: applied(name, rules, unmatched) for name in events}
    for number, use in enumerate(report.uses):
        mine = [name for name, (rule, _) in became.items() if rule == number]
        assert (use.names, use.events) == (len(mine), sum(events[name] for name in mine))
        assert use.touchpoints == len({became[name][1] for name in mine} - {None})
    left = [(name, n) for name, n in events.items() if became[name][0] < 0]
    assert list(report.unmatched) == sorted(left, key=lambda each: (-each[1], each[0]))
    assert report.events == len(rows) == sum(use.events for use in report.uses) + report.unmatched_events
    assert report.names == len(events) == sum(use.names for use in report.uses) + len(report.unmatched)
    assert report.dropped == sum(n for name, n in events.items() if became[name][1] is None)


def report_of(journeys: cx.Journeys) -> VocabularyReport:
    report = journeys.vocabulary_report
    assert report is not None
    return report


@few
@given(renamed_logs(), st.lists(rules(), min_size=1, max_size=4), st.data())
def test_rules_go_along_when_events_are_appended(rows: list[Row], rules: list[cx.Rule], data: st.DataObject) -> None:
    # ties of time are told apart by the part they come from
    rows = sorted(rows, key=lambda row: str(row["time"]))
    cut = data.draw(st.integers(1, len(rows)))
    if not as_other_names(rows[:cut], rules, "keep") or not as_other_names(rows[cut:], rules, "keep"):
        return
    all_at_once, first = read(rows, rules=rules), read(rows[:cut], rules=rules)
    appended = first.append(rows[cut:])
    assert whole(appended) == whole(all_at_once)
    assert appended.vocabulary_report == all_at_once.vocabulary_report
    assert roles_of(appended) == roles_of(first)
    assert set(report_of(appended).notes()) <= set(appended.reading.notes)


def test_rules_are_saved_with_the_journeys(tmp_path: Path) -> None:
    rules = [R.drop("*.png"), R.regex("^/(?P<a>[a-z]+)", to="{a}", without_query=True), R.exact("x", to="y")]
    rows: list[Row] = [
        {"customer": "c", "touchpoint": name, "time": f"2026-01-01T10:0{i}", "journey": None}
        for i, name in enumerate(("/a.png", "/shop/1", "elsewhere", "/pay?id=1"))
    ]
    journeys = read(rows, rules=rules, unmatched="other")
    journeys.save(tmp_path / "kept")
    opened = cx.open_journeys(tmp_path / "kept")
    assert roles_of(opened) == roles_of(journeys)
    assert opened.vocabulary_report == journeys.vocabulary_report
    more: list[Row] = [{**row, "time": f"2026-01-02T10:0{i}"} for i, row in enumerate(rows)]
    grown = opened.append(more)
    assert grown.facts.touchpoints == ("other", "pay", "shop")
    assert [use.events for use in report_of(grown).uses] == [2, 4, 0]
    assert report_of(grown).unmatched == (("elsewhere", 2),)
    unruled = read(rows)
    assert unruled.vocabulary_report is None
    unruled.save(tmp_path / "plain")
    assert cx.open_journeys(tmp_path / "plain").vocabulary_report is None


def test_the_same_through_partitions_on_disk(tmp_path: Path) -> None:
    lines = (f"c{i % 9973},/p/{i % 13}.{'png' if i % 5 == 0 else 'html'},{1_700_000_000 + i}" for i in range(450_000))
    (tmp_path / "log.csv").write_text("\n".join(["who,what,at", *lines]), encoding="utf-8")
    rules = [R.drop("*.png"), R.regex(r"^/p/(?P<n>[0-4])\.", to="Page {n}")]
    plain, spilled = (
        cx.read_events(
            str(tmp_path / "log.csv"), customer="who", touchpoint="what", time="at", rules=rules, memory_limit=limit
        )
        for limit in (None, "40MB")
    )
    assert any("wait on disk" in note for note in spilled.reading.notes)
    assert counts_of(plain) == counts_of(spilled)
    assert plain.vocabulary_report == spilled.vocabulary_report
    assert plain.reading.rejected == spilled.reading.rejected
    assert plain.reading.kept == 360_000


# DuckDB 1.5 can take minutes to prepare expressions with many repetitions, however short the names are; 2.0 does not
if not duckdb.__version__.startswith("1."):

    @pytest.mark.parametrize(
        "pattern", [r"^(a+)+$", r"^(a|a)*$", r"^(a|aa)+$", r"(.*)(.*)(.*)(.*)(.*)x$", r"^(([a-z])+.)+[A-Z]$"]
    )
    def test_no_name_makes_an_expression_hang(pattern: str) -> None:
        bad = ["a" * 50_000 + "!", *("a" * n + "!" for n in range(20, 60))]
        began = time.perf_counter()
        renaming = Renaming.of(sorted(bad), [R.regex(pattern, to="x"), R.glob("*a" * 50, to="y")], "keep")
        assert time.perf_counter() - began < 5
        assert (renaming.rule == -1).all()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("[", "no regular expression"), ("(?P<a>x", "no regular expression"), ("a{,3}", "lower end"),
     ("(?=a)b", "in one go"), (r"(a)\1", "in one go"), ("a{5000}", "in one go")],
)  # fmt: skip
def test_expressions_that_cannot_be_had_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(cx.errors.InvalidValueError, match=message):
        read([{"customer": "a", "touchpoint": "b", "time": "2026-01-01"}], rules=[R.regex(pattern, to="x")])


def test_odd_rules_are_refused() -> None:
    with pytest.raises(cx.errors.InvalidValueError, match="has 'a'"):
        R.regex("(?P<a>x)", to="{b}")
    with pytest.raises(cx.errors.InvalidValueError, match="empty name"):
        R.exact("x", to=" ")
    with pytest.raises(cx.errors.InvalidValueError, match="is a text, got 5"):
        R.from_dict({"glob": 5, "to": "x"})
    for document in (
        {"glob": "x"},
        {"glob": "x", "regex": "y", "to": "z"},
        {"to": "x"},
        {"glob": "x", "to": "y", "drop": True},
    ):
        with pytest.raises(cx.errors.InvalidValueError, match="takes one of exact, glob and regex"):
            R.from_dict(document)
    with pytest.raises(cx.errors.InvalidValueError, match="Did you mean 'glob'"):
        R.from_dict({"glop": "x", "to": "y"})
    with pytest.raises(cx.errors.InvalidValueError, match="is no rule"):
        read([{"customer": "a", "touchpoint": "b", "time": "2026-01-01"}], rules=["/product/*"])
    with pytest.raises(cx.errors.InvalidValueError, match="without rules"):
        read([{"customer": "a", "touchpoint": "b", "time": "2026-01-01"}], unmatched="other")


@given(rules())
def test_rules_come_back_from_their_documents(rule: cx.Rule) -> None:
    assert R.from_dict(rule.to_dict()) == rule


def test_many_names_and_many_rules_in_seconds() -> None:
    many = [f"/product/{i}?ref={i % 7}" if i % 2 else f"/help/t{i % 50}/{i}" for i in range(200_000)]
    rules = [R.exact(f"/none/{i}", to="none") for i in range(500)]
    rules += [R.regex(r"^/help/(?P<topic>\w+)", to="Help: {topic}"), R.glob("/product/*", to="Product page")]
    began = time.perf_counter()
    report = Renaming.of(many, rules, "keep").counting(np.arange(200_000)).report()
    assert time.perf_counter() - began < 10
    assert [(use.names, use.touchpoints) for use in report.uses[-2:]] == [(100_000, 25), (100_000, 1)]


def test_addresses_of_a_web_server_log() -> None:
    paths = ["/", "/?utm_source=mail", "/product/17?colour=red", "/product/9", "/static/app.js?v=3",
             "/help/returns#top", "/search?q=shoes", "/search?q=hats", "/wp-login.php"]  # fmt: skip
    rows: list[Row] = [
        {"customer": "1.2.3.4", "touchpoint": path, "time": f"2026-01-01T10:{i:02}", "journey": None}
        for i, path in enumerate(paths)
    ]
    journeys = read(rows, rules=[
        R.drop("/static/*"), R.exact("/", to="Home", without_query=True), R.glob("/product/*", to="Product page"),
        R.regex(r"^/help/(?P<topic>\w+)", to="Help: {topic}"),
        R.regex("^(?P<page>.*)$", to="{page}", without_query=True),
    ])  # fmt: skip
    assert paths_of(journeys) == {
        ("Home", "Home", "Product page", "Product page", "Help: returns", "/search", "/search", "/wp-login.php"): 1
    }
    assert journeys.reading.rejected["dropped by the rule glob '/static/*'"].count == 1
    assert "glob '/static/*'\n" in str(journeys.reading)


def test_starts_and_completes_are_paired_by_their_raw_names() -> None:
    rows = [
        {"customer": "c", "touchpoint": name, "time": f"2026-01-01T10:0{i}", "phase": phase}
        for i, (name, phase) in enumerate(
            [("a1", "start"), ("a2", "start"), ("x", "start"), ("a1", "end"), ("a2", "end")]
        )
    ]
    journeys = cx.read_events(
        rows, customer="customer", touchpoint="touchpoint", time="time", lifecycle=("phase", "start", "end"),
        rules=[R.glob("a*", to="A"), R.drop("x")],
    )  # fmt: skip
    until = journeys.population.parts[0].until
    assert until is not None
    assert ((until - journeys.population.parts[0].time) // 60_000_000).tolist() == [3, 3]
    assert report_of(journeys).events == journeys.reading.rows == 5


# folding


def folded(rows: Sequence[Row], stay: set[str]) -> list[Row]:
    return [{**row, "touchpoint": row["touchpoint"] if row["touchpoint"] in stay else "other"} for row in rows]


@few
@given(logs(touchpoints=6), st.integers(1, 8), st.booleans(), st.integers(1, 30))
def test_folding_is_a_renaming_of_the_rows(rows: list[Row], limit: int, by_rank: bool, size: int) -> None:
    counts = Counter(str(row["touchpoint"]) for row in rows)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    stay = set(ranked[:limit]) if by_rank else {name for name in counts if counts[name] >= limit}
    journeys = in_blocks(read(rows), rows, size)
    found = journeys.fold_rare(keep=limit) if by_rank else journeys.fold_rare(min_events=limit)
    assert counts_of(found) == counts_of(read(folded(rows, stay)))
    lost = [name for name in counts if name not in stay]
    note = f"({sum(counts[name] for name in lost):,} events) became 'other'" if lost else "no touchpoint is rare enough"
    assert note in found.reading.notes[-1]
    again = found.fold_rare(keep=limit) if by_rank else found.fold_rare(min_events=limit)
    assert counts_of(again) == counts_of(found)


def test_facts_and_answers_go_along_when_touchpoints_are_folded() -> None:
    journeys = journeys_of("a: shop 0, shop 1, chat 2, mail 3; b: shop 0, chat 5, fax 6").with_touchpoints({
        "shop": {"stage": "Buy"}, "chat": {"stage": "Ask"}, "mail": {"stage": "Ask"}, "fax": {"stage": "Ask"},
    })  # fmt: skip
    answers = cx.read_responses(
        [{"who": "a", "likely": 9, "at": "2026-01-01T00:03:30"},
         {"who": "b", "likely": 3, "at": "2026-01-01T00:05:30"}],
        customer="who", score="likely", scale=cx.Scale.nps(), time="at",
    )  # fmt: skip
    found = journeys.with_responses(answers).fold_rare(keep=2)
    scores = found.measure(cx.metrics.Nps(min_n=1), by="touchpoint")
    assert {name: estimate.value for name, estimate in scores.items()} == {"chat": -100, "other": 100}
    assert found.facts.known_touchpoints == ("chat", "other", "shop")
    codes, labels = found.population.vocabulary.touchpoint_columns["stage"]
    assert [labels.names[code] for code in codes.tolist()] == ["Ask", "", "Buy"]
    with pytest.raises(cx.errors.InvalidValueError, match="cannot append to touchpoints of a rank beyond 2 folded"):
        journeys.fold_rare(keep=2).append([])


def test_limits_of_folding_are_checked() -> None:
    journeys = read([{"customer": "a", "touchpoint": "b", "time": "2026-01-01"}])
    with pytest.raises(cx.errors.InvalidValueError, match="say what is rare"):
        journeys.fold_rare()
    with pytest.raises(cx.errors.InvalidValueError, match="say what is rare"):
        journeys.fold_rare(min_events=2, keep=3)
    with pytest.raises(cx.errors.InvalidValueError, match="keep is at least 1, got 0"):
        journeys.fold_rare(keep=0)
    with pytest.raises(cx.errors.InvalidValueError, match="need a name"):
        journeys.fold_rare(keep=1, into=" ")


# files of rules


def test_rule_books(tmp_path: Path) -> None:
    expected = RuleBook((R.glob("/p/*", to="P"), R.drop("*.png")), "other")
    files = {
        "a.json": '[{"glob": "/p/*", "to": "P"}, {"glob": "*.png", "drop": true}]',
        "b.json": '{"rules": [{"glob": "/p/*", "to": "P"}, {"glob": "*.png", "drop": true}], "unmatched": "other"}',
        "c.toml": 'unmatched = "other"\n[[rules]]\nglob = "/p/*"\nto = "P"\n[[rules]]\nglob = "*.png"\ndrop = true\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert RuleBook.read(tmp_path / name) == (evolve(expected, unmatched="keep") if name == "a.json" else expected)
    for text, message in (
        ("[", "is not JSON"), ("{}", "holds no list of rules"), ("[]", "holds no list of rules"),
        ("5", "holds no list"),
        ('{"rule": []}', "Did you mean 'rules'"), ('[{"glob": "x"}]', "takes one of"), ("[5]", "5 is no rule"),
        ('{"rules": [{"glob": "x", "to": "y"}], "unmatched": "drop"}', "no treatment of unmatched names 'drop'"),
    ):  # fmt: skip
        (tmp_path / "bad.json").write_text(text, encoding="utf-8")
        with pytest.raises(cx.errors.CxmodelError, match=message):
            RuleBook.read(tmp_path / "bad.json")
    with pytest.raises(cx.errors.SourceNotFoundError, match="does not exist"):
        RuleBook.read(tmp_path / "none.json")
