"""Hashes may collide: every place that uses one must notice, and results must stay right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.laws.reading import paths_of, read, whole

import cxmodel as cx
from cxmodel.analysis import paths
from cxmodel.data import fields, grouping, listing, rows
from cxmodel.data.sources import connect
from cxmodel.data.spelling import key_of, words_of
from cxmodel.data.texts import Texts, match
from cxmodel.stats.arrays import dense_codes, exact_codes, mix
from cxmodel.stats.key_tables import PARTITION, KeyTable
from cxmodel.testing import HOSTILE, Row, reference

Keys = NDArray[np.uint64]
MASK = 2**64 - 1
FIRST = 0x9E3779B97F4A7C15
# texts that really collide: two and two have one hash of the engine, one key of `Texts.keys`, or one of their words
ENGINE = (("RkzBZsAr9fo2q0Ic", "8O2FsMJ6k83IO6hh"), ("pbcegEXeCWMdPKNI", "m06T3c6hTsuP623B"))
HOUSE = (("wzJIgiIR5fbNw02u", "OV5clSDdFf8M6Wme"), ("W257T5lwMGfBDAZt", "g6jQCgFuCJVbCJhY"))
WORDS = (("F26M7LcxFvFRDcfK", "cMr4ii4DsnE7aC23"), ("Drwcpchv8ChHBPOF", "QLmDapCXUeMBrWeU"))
EACH = pytest.mark.parametrize("pairs", [ENGINE, HOUSE, WORDS], ids=["engine", "house", "words"])
Pairs = tuple[tuple[str, str], tuple[str, str]]


def log(customers: int = 20, journeys: int = 3, touchpoints: int = 12) -> list[Row]:
    names = [text for text in HOSTILE if text]
    return [
        {
            "customer": f"{names[i % len(names)]}{i % customers}",
            "journey": f"j{i % journeys}",
            "touchpoint": names[(i * 7 + i // 9) % touchpoints],
            "time": f"2026-01-{1 + i % 28:02}T{i % 24:02}:00",
        }
        for i in range(400)
    ]


def plain(trips: list[reference.Trip]) -> list[object]:
    return sorted(((t.customer, t.journey, [(e.touchpoint, e.time) for e in t.events]) for t in trips), key=repr)


@pytest.mark.parametrize("buckets", [1, 2, 17])
def test_texts_with_one_hash(monkeypatch: pytest.MonkeyPatch, buckets: int) -> None:
    """The engine's hash puts all texts into a few values: another salt is tried until none collide."""
    salts: list[int] = []
    real = fields.hash_of

    def few_values(text: str, salt: int) -> str:
        salts.append(salt)
        return f"({real(text, salt)} % {buckets})" if salt < 3 else real(text, salt)

    for module in (rows, listing):
        monkeypatch.setattr(module, "hash_of", few_values)
    table = log()
    assert whole(read(table)) == plain(reference.trips(table))
    assert max(salts) == 3


def test_customers_and_journeys_with_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    table = log()
    monkeypatch.setattr(grouping, "mix", lambda keys, seed=0: np.zeros_like(keys))
    assert whole(read(table)) == plain(reference.trips(table))
    monkeypatch.setattr(grouping, "mix", lambda keys, seed=0: mix(keys, seed) % np.uint64(5))
    assert whole(read(table)) == plain(reference.trips(table))


@pytest.mark.parametrize("buckets", [1, 3])
def test_paths_with_one_key(monkeypatch: pytest.MonkeyPatch, buckets: int) -> None:
    table = [{**row, "time": f"2026-01-01T{i % 2:02}:{i % 60:02}"} for i, row in enumerate(log(60, 40, 4))]
    seeds: list[int] = []

    def few_values(offsets: NDArray[np.int64], codes: NDArray[Any], seed: int) -> Keys:
        seeds.append(seed)
        keys = real(offsets, codes, seed)
        return keys % np.uint64(buckets) if seed < 4 else keys

    real = paths.path_keys
    monkeypatch.setattr(paths, "path_keys", few_values)
    assert paths_of(read(table)) == reference.paths(reference.trips(table))
    assert max(seeds) == 4


@pytest.mark.parametrize("buckets", [1, 3])
def test_unions_of_paths_with_one_key(monkeypatch: pytest.MonkeyPatch, buckets: int) -> None:
    """Parts that had to be hashed anew meet parts that had not, and paths collide only when parts meet."""
    real = paths.path_keys
    monkeypatch.setattr(paths, "_AT_ONCE", 3)
    monkeypatch.setattr(
        paths, "path_keys",
        lambda offsets, codes, seed: real(offsets, codes, seed) % np.uint64(buckets) if seed < 2
        else real(offsets, codes, seed),
    )  # fmt: skip
    parts: list[list[tuple[int, ...]]] = [[(1, 2), (1, 2), (3,)], [(2, 1)], [(1, 2)], [(3,), (2, 1), (2, 1, 1)]]
    found = paths.union([variants(part) for part in parts])
    assert as_counts(found) == Counter(path for part in parts for path in part)


@given(parts=st.lists(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), max_size=8), max_size=4))
def test_unions_of_paths(parts: list[list[list[int]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_AT_ONCE", 3)
        found = paths.union([variants(part) for part in parts])
    assert as_counts(found) == Counter(tuple(path) for part in parts for path in part)
    assert (np.diff(found.key.astype(object)) > 0).all()


def variants(taken: Sequence[Sequence[int]]) -> paths.Variants:
    offsets = np.cumsum([0, *map(len, taken)])
    return paths.distinct_paths(offsets, np.array([code for path in taken for code in path], np.uint8), None)


def as_counts(found: paths.Variants) -> dict[tuple[int, ...], int]:
    rows = zip(found.offsets[:-1].tolist(), found.offsets[1:].tolist(), found.count.tolist(), strict=True)
    return {tuple(found.codes[a:b].tolist()): count for a, b, count in rows}


def same_slot(size: int, multiplier: int) -> Keys:
    """Keys that the first table of a hash table puts into one slot."""
    inverse = pow(multiplier, -1, 2**64)
    return np.array([(i * inverse) & MASK for i in range(size)], np.uint64)


@pytest.mark.parametrize("size", [1, 2, 100, 3000])
@pytest.mark.parametrize("multiplier", [FIRST, int(PARTITION)])
def test_keys_in_one_slot(size: int, multiplier: int) -> None:
    keys = np.tile(same_slot(size, multiplier), 3)
    codes, distinct = dense_codes(keys)
    assert distinct.size == size
    assert (distinct[codes] == keys).all()
    table = KeyTable(distinct, np.arange(size, dtype=np.uint16))
    assert (table.codes(keys) == codes).all()
    assert table.codes(keys[:0]).size == 0


def test_more_codes_than_a_byte_and_than_two_bytes_hold() -> None:
    generator = np.random.default_rng(1)
    for size in (127, 128, 255, 256, 257, 65_535, 65_537):
        keys = generator.permutation(np.arange(size, dtype=np.uint64) << np.uint64(40))
        codes, distinct = dense_codes(np.concatenate([keys, keys[::-1]]))
        assert distinct.size == size
        assert (distinct[codes] == np.concatenate([keys, keys[::-1]])).all()


def visits(customers: tuple[str, str], journeys: tuple[str, str], touchpoints: tuple[str, str]) -> list[Row]:
    """Two customers with two journeys each, both with the same ids."""
    return [
        {
            "customer": customers[i % 2], "journey": journeys[i // 2 % 2], "touchpoint": touchpoints[i // 3 % 2],
            "time": f"2026-01-01T{i:02}:00",
        }
        for i in range(12)
    ]  # fmt: skip


def keys_of(a: str, b: str) -> list[bool]:
    """Whether two texts have one hash of the engine, one key, and one key of their words."""
    with connect() as engine:
        one = engine.execute(f"SELECT {fields.hash_of('?', 0)} = {fields.hash_of('?', 0)}", [a, b]).fetchall()
    texts = Texts.of([a, b])
    return [bool(one[0][0]), *(bool(key[0] == key[1]) for key in (texts.keys(), key_of(words_of(texts))))]


def test_the_pairs_collide() -> None:
    assert [keys_of(*pair) for pair in ENGINE] == [[True, False, False]] * 2
    assert [keys_of(*pair) for pair in HOUSE] == [[False, True, False]] * 2
    assert [keys_of(*pair) for pair in WORDS] == [[False, False, True]] * 2


def test_another_salt_parts_the_texts() -> None:
    with connect() as engine:
        for a, b in ENGINE:
            for salt in range(1, 16):
                query = (
                    f"SELECT {fields.hash_of('?', salt)}, {fields.hash_of('?', salt)}, {fields.hash_of('NULL', salt)}"
                )
                one, other, missing = engine.execute(query, [a, b]).fetchall()[0]
                assert one != other
                assert missing is not None


def test_texts_that_no_salt_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rows, listing):
        monkeypatch.setattr(module, "hash_of", lambda text, salt: f"({fields.hash_of(text, salt)} % 2)")
    with pytest.raises(cx.errors.InvalidValueError, match="one hash under each of 16 salts"):
        read(log())


@EACH
def test_ids_and_names_that_collide_are_read_apart(pairs: Pairs) -> None:
    table = visits(pairs[0], pairs[1], pairs[0])
    assert whole(read(table)) == plain(reference.trips(table))
    wider = [{**row, "channel": pairs[1][i // 4 % 2]} for i, row in enumerate(table)]
    found = read(wider, attributes=["channel"])
    assert [found.events_where(channel=channel).facts.events for channel in pairs[1]] == [8, 4]


@EACH
def test_ids_and_names_that_collide_are_appended_apart(pairs: Pairs) -> None:
    table = visits(pairs[0], pairs[1], pairs[0])
    for first in (1, 5, 11):
        found = read(table[:first]).append(table[first:])
        assert whole(found) == plain(reference.trips(table))
        assert found.population.origin.source == read(table).population.origin.source


@EACH
def test_answers_find_the_customer_whose_id_collides(pairs: Pairs) -> None:
    journeys = read(visits(pairs[0], ("1", "2"), ("ask", "buy")))
    for who in pairs[0]:
        asked = cx.read_responses(
            [{"who": who, "at": "2026-01-01T11:30", "score": 9}], customer="who", time="at", score="score",
            scale=cx.Scale.nps(),
        )  # fmt: skip
        found = journeys.with_responses(asked)
        assert found.attached is not None
        assert found.attached.at_event == 1
        [block] = found.population.parts
        assert block.answers is not None
        owner = block.customer[block.customer_of_journey[block.answers.journey]]
        assert list(found.population.vocabulary.customers.texts_of(owner)) == [who]


@EACH
def test_answers_find_the_journey_whose_id_collides(pairs: Pairs) -> None:
    table = [{**row, "customer": f"of {row['journey']}"} for row in visits(("", ""), pairs[0], ("ask", "buy"))]
    for customer in (None, "who"):
        for trip in pairs[0]:
            asked = cx.read_responses(
                [{"trip": trip, "who": f"of {trip}", "at": "2026-01-01T11:30", "score": 9}],
                customer=customer, journey="trip", time="at", score="score", scale=cx.Scale.nps(),
            )  # fmt: skip
            found = read(table).with_responses(asked)
            [block] = found.population.parts
            assert block.answers is not None
            assert block.journey_id is not None
            assert found.population.vocabulary.journeys is not None
            mine = block.journey_id[block.answers.journey]
            assert list(found.population.vocabulary.journeys.texts_of(mine)) == [trip]


@EACH
def test_facts_join_the_ids_that_collide(pairs: Pairs) -> None:
    journeys = read(visits(pairs[0], pairs[1], ("ask", "buy")))
    for customer in pairs[0]:
        for journey in pairs[1]:
            table = [{"who": customer, "trip": journey, "late": "yes"}]
            for roles in ({"customer": "who"}, {"customer": "who", "journey": "trip"}):
                found = journeys.with_attributes(table, columns=["late"], **roles).where(late="yes")
                ids = {(who, trip) for who, trip, _ in whole(found)}
                assert ids == {(customer, trip) for trip in pairs[1] if "journey" not in roles or trip == journey}


@EACH
def test_the_position_of_a_customer_whose_id_collides(pairs: Pairs) -> None:
    journeys = read(visits(pairs[0], ("1", "2"), ("ask", "buy")))
    since = [journeys.position(who, goal="buy").since for who in pairs[0]]
    assert [each.hour if each else None for each in since] == [10, 11]


@EACH
def test_names_that_collide_keep_their_rules(pairs: Pairs) -> None:
    one, other = pairs[0]
    table = visits(("ann", "bob"), ("1", "2"), pairs[0])
    rules = [cx.Rule.exact(one, to="one"), cx.Rule.exact(other, to="other")]
    every = read(table, rules=rules)
    assert {name: data["count"] for name, data in every.graph().nodes(data=True)} == {"one": 6, "other": 6}
    first = sum(row["touchpoint"] == one for row in table[:4])
    assert 0 < first < 4
    appended = read(table[:4], rules=rules).append(table[4:])
    assert appended.vocabulary_report == every.vocabulary_report
    assert whole(appended) == whole(every)


@given(
    left=st.lists(st.sampled_from([*HOUSE[0], *HOUSE[1], "", "a", "b"]), max_size=9),
    right=st.sets(st.sampled_from([*HOUSE[0], *HOUSE[1], "", "a", "c"])),
)
def test_texts_are_matched_by_their_bytes(left: list[str], right: set[str]) -> None:
    there = sorted(right)
    found = match(Texts.of(left), Texts.of(there)).tolist()
    assert found == [there.index(text) if text in right else -1 for text in left]


@given(
    parts=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), max_size=20),
    buckets=st.sampled_from([1, 2, 2**64 - 1]),
)
def test_exact_codes(parts: list[tuple[int, int, int]], buckets: int) -> None:
    table = np.array(parts, np.uint64).reshape(-1, 3)
    key = mix(table @ np.array([1, 10, 100], np.uint64)) % np.uint64(buckets)
    codes, first = exact_codes(key, *table.T)
    assert [parts[row] for row in first[codes].tolist()] == parts
    assert [parts.index(parts[row]) for row in first.tolist()] == first.tolist()
    assert len({parts[row] for row in first.tolist()}) == first.size


def test_journeys_of_two_customers_with_one_key() -> None:
    """mix(journey) ^ mix(customer, 3) is the same for both."""
    other = -5213634297468607478
    assert mixed(1) ^ mixed(1, 3) == mixed(other) ^ mixed(2, 3)
    table = [
        {"customer": who, "journey": trip, "touchpoint": what, "time": f"2026-01-0{day}"}
        for day, (who, trip, what) in enumerate([(1, 1, "a"), (2, other, "b"), (1, 1, "c"), (2, 1, "d")], 1)
    ]
    assert whole(read(numbered(table), journey="journey")) == plain(reference.trips(table))


def numbered(table: list[dict[str, Any]]) -> pa.Table:
    """Ids as whole numbers, which are their own keys; a list of dicts would give them as texts."""
    found = pa.Table.from_pylist(table)
    assert found.schema.field("customer").type == pa.int64()
    return found


def mixed(key: int, seed: int = 0) -> int:
    return int(mix(np.array([key], np.int64).view(np.uint64), seed)[0])


@pytest.mark.parametrize("other", [1256713499827850212, 354357900789335187])
def test_starts_and_completes_with_one_key(other: int) -> None:
    """Customer 7 at the first touchpoint, another at the second: mixed in one of two ways, their keys are equal."""
    assert mixed(other) in (mixed(7) ^ mixed(0, 1) ^ mixed(1, 1), mixed(7) ^ 0 ^ 1)
    table = [
        {"customer": 7, "touchpoint": "a", "time": "2026-01-01", "phase": "start"},
        {"customer": other, "touchpoint": "b", "time": "2026-01-02", "phase": "complete"},
    ]
    found = read(numbered(table), lifecycle=("phase", "start", "complete"))
    assert (found.facts.customers, found.facts.events) == (2, 2)
    assert {"1 starts without an end", "1 ends without a start"} <= set(found.reading.notes)


@EACH
def test_starts_and_completes_of_ids_that_collide(pairs: Pairs) -> None:
    (ann, bob), (one, other) = pairs
    done = ((ann, one), (bob, other))
    things = [(who, trip, *each) for who in (ann, bob) for trip in (one, other) for each in done]
    table = [
        {"customer": who, "journey": trip, "touchpoint": what, "time": f"2026-01-{day:02}", "phase": phase, "no": no}
        for phase, first in (("start", 1), ("complete", 11))
        for day, (who, trip, what, no) in enumerate(things, first)
    ]
    found = read(table, lifecycle=("phase", "start", "complete"), instance="no")
    assert "8 pairs of start and end" in found.reading.notes
    assert found.facts.events == 8


def test_an_instance_that_is_missing_is_not_the_instance_0() -> None:
    """Of whole numbers, the key of an id that is missing is 0."""
    table = pa.table({
        "customer": ["a"] * 4, "touchpoint": ["x"] * 4, "time": [f"2026-01-0{day}" for day in range(1, 5)],
        "phase": ["start", "start", "complete", "complete"], "no": pa.array([None, 0, 0, None], pa.int64()),
    })  # fmt: skip
    found = read(table, lifecycle=("phase", "start", "complete"), instance="no")
    [block] = found.population.parts
    assert block.until is not None
    assert ((block.until - block.time) // 86_400_000_000).tolist() == [3, 1]


def test_facts_of_pairs_with_one_key() -> None:
    """mix(customer) ^ mix(journey, 3) is the same for the journey that is named and for one that is not."""
    other = -4829140984778377152
    assert mixed(1) ^ mixed(1, 3) == mixed(2) ^ mixed(other, 3)
    table = [
        {"customer": who, "journey": trip, "touchpoint": "a", "time": "2026-01-01"}
        for who, trip in ((1, 1), (2, other))
    ]
    late = [{"who": 1, "trip": 1, "late": "yes"}]
    found = read(numbered(table), journey="journey").with_attributes(
        late, customer="who", journey="trip", columns=["late"]
    )
    assert [(who, trip) for who, trip, _ in whole(found.where(late="yes"))] == [("1", "1")]


def test_paths_that_really_have_one_key() -> None:
    one = "0000011000101001000001100000001000010000000010000100110100101111000000100001010111010100"
    other = "1111100110010110110110001011010111101001011100010001000001010000001000011000100000001010"
    assert np.unique(paths.path_keys(np.array([0, 88, 176]), codes_of(one + other), 0)).size == 1
    table = [
        {"customer": who, "touchpoint": name, "time": f"2026-01-01T{i // 60:02}:{i % 60:02}"}
        for who, path in (("ann", one), ("bob", other), ("cem", one))
        for i, name in enumerate(path)
    ]
    assert paths_of(read(table)) == {tuple(one): 2, tuple(other): 1}


def codes_of(path: str) -> NDArray[np.uint8]:
    return np.array([int(name) for name in path], np.uint8)


def test_customers_with_one_key_are_drawn_together() -> None:
    """The key of a customer says who is drawn, resampled and sent where: two who share it go together, as two."""
    table = visits(HOUSE[0], ("1", "2"), ("ask", "buy"))
    journeys = read(table)
    counts = {journeys.sample(0.5, seed=seed).facts.customers for seed in range(20)}
    assert counts == {0, 2}
    assert whole(journeys.sample(1.0)) == plain(reference.trips(table))


SAME_EVENTS = {
    "one journey": ["ann 1", "ann 1", "ann 1", "ann 1", "ann 1", "ann 1"],
    "two journeys": ["ann 1", "ann 1", "ann 1", "ann 2", "ann 2", "ann 2"],
    "two journeys, cut elsewhere": ["ann 1", "ann 1", "ann 2", "ann 2", "ann 2", "ann 2"],
    "two customers": ["ann 1", "ann 1", "ann 1", "bob 2", "bob 2", "bob 2"],
    "three journeys": ["ann 1", "ann 1", "bob 2", "bob 2", "bob 3", "bob 3"],
    "other owners": ["ann 1", "ann 1", "bob 2", "bob 2", "ann 3", "ann 3"],
    "other middles": ["ann 1", "bob 2", "ann 1", "bob 2", "ann 1", "bob 2"],
    "other middles, too": ["ann 1", "bob 2", "bob 2", "ann 1", "ann 1", "bob 2"],
}


def cut(owners: Sequence[str]) -> list[Row]:
    split = [owner.split() for owner in owners]
    return [
        {"customer": who, "journey": trip, "touchpoint": "abc"[i % 3], "time": f"2026-01-01T0{i}:00"}
        for i, (who, trip) in enumerate(split)
    ]


def test_the_same_events_in_other_journeys_are_another_log() -> None:
    prints = {name: read(cut(owners)).population.origin.source for name, owners in SAME_EVENTS.items()}
    assert len(set(prints.values())) == len(prints)
    a, b = (read(cut(SAME_EVENTS[name])).measure(cx.metrics.Length()) for name in ("one journey", "three journeys"))
    with pytest.raises(cx.errors.NotComparableError):
        a.minus(b)


@pytest.mark.parametrize("owners", SAME_EVENTS.values(), ids=SAME_EVENTS)
def test_one_log_has_one_fingerprint(owners: Sequence[str], tmp_path: Any) -> None:
    table = cut(owners)
    expected = read(table).population.origin.source
    renamed = [{**row, "customer": {"ann": "b", "bob": "a"}[str(row["customer"])]} for row in table]
    assert read(table[::-1]).population.origin.source == expected
    assert read(table[1:]).append(table[:1]).population.origin.source == expected
    assert read(renamed).population.origin.source == expected
    assert read(table, memory_limit="1KB").population.origin.source == expected
    read(table[1:]).save(tmp_path / "kept")
    assert cx.open_journeys(tmp_path / "kept").append(table[:1]).population.origin.source == expected
