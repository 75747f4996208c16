"""Every expected figure of the open data sets, asked through the public surface, or named in one table as left out."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np
import pytest
from attrs import frozen

import cxmodel as cx
from cxmodel import metrics
from cxmodel.plugins import By, Floats

pytestmark = pytest.mark.open_data

Figures = dict[str, Any]
Expected = Callable[[str], Any]
Answers = cx.Journeys | cx.Responses

GAP = timedelta(seconds=1800)
Z95 = 1.959963984540054
EASE = ("Q13GETRATE", "Q14FIND", "Q14PASSTHRU")

_WORDS = "words, not a figure"
_FILE = "a fact about the file, not an answer"
_FILE_ORDER = "a reading does not count rows that stand out of order in the file"

# Keys (with * for any part of one) of the expected figures that cannot be asked through the public surface yet.
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "shop_sessions": {
        "dataset": _WORDS, "sha256": _FILE, "*.note": _WORDS, "*.rule": _WORDS, "*.definition": _WORDS,
        "*.time.out_of_order_neighbours_in_file": _FILE_ORDER,
    },
    "shop_clicks": {
        "dataset": _WORDS, "columns": _FILE, "sha256": _FILE, "*.note": _WORDS, "*.rule": _WORDS,
        "*.definition": _WORDS, "*.time.out_of_order_neighbours_in_file": _FILE_ORDER,
    },
    "marketplace_orders": {
        "dataset": _WORDS, "*_csv_sha256": _FILE, "*.note": _WORDS, "*.definition": _WORDS,
        "*.time.out_of_order_neighbours_in_file": _FILE_ORDER,
        "items": "the table of items is not among the files",
        "anomalies.survey_before_delivery": "counts early answers once per answer to their order; see test_answers.py",
    },
    "traffic_fines": {
        "dataset": _WORDS, "sha256_*": _FILE, "*.note": _WORDS, "*.definition": _WORDS,
        "*.time.out_of_order_neighbours_in_file": _FILE_ORDER,
    },
    "sepsis": {
        "dataset": _WORDS, "sha256_*": _FILE, "*.note": _WORDS, "*.definition": _WORDS,
        "*.time.out_of_order_neighbours_in_file": _FILE_ORDER,
    },
    "patients": {
        "dataset": _WORDS, "sha256_csv": _FILE, "*.note": _WORDS, "*.definition": _WORDS,
        "*.time.out_of_order_neighbours_in_file": _FILE_ORDER,
    },
    "airport_survey": {
        "dataset": _WORDS, "sha256": _FILE, "*.note": _WORDS, "columns": _FILE, "headers_with_padding": _FILE,
        "ragged_rows": _FILE, "nps.weight_sum": "an estimate has the effective n, not the sum of the weights",
    },
    "web_server_log": {"*": "raw server logs cannot be read yet"},
    "identities": {"*": "identities cannot be resolved yet"},
}  # fmt: skip


@frozen
class Ranking:
    """Counts of things; compares with the head of a ranked list, whatever the order of ties."""

    counts: Mapping[tuple[str, ...], int]

    def heads(self, rows: Sequence[Sequence[Any]]) -> bool:
        things = [tuple(row[0]) if isinstance(row[0], list) else tuple(row[:-1]) for row in rows]
        most = sorted(self.counts.values(), reverse=True)[: len(rows)]
        known = all(self.counts.get(thing) == row[-1] for thing, row in zip(things, rows, strict=True))
        return known and len(set(things)) == len(rows) and [row[-1] for row in rows] == most


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every key of nested figures with what stands there; an empty object is a figure of its own."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def left_out(name: str, path: str) -> list[str]:
    return [pattern for pattern in LEFT_OUT[name] if fnmatchcase(path, pattern)]


def agrees(answer: object, figure: object, path: str) -> bool:
    if isinstance(answer, Ranking):
        return isinstance(figure, list) and answer.heads(figure)
    if isinstance(figure, str) or figure is None:
        return bool(answer == figure)
    # the expected times were differences of floats since 1970, good to a microsecond; ours are whole microseconds
    return bool(answer == pytest.approx(figure, rel=1e-9, abs=1e-6 if ".time." in path else 1e-12))


# what is asked of every log


def case_figures(journeys: cx.Journeys, case: str, converting: cx.Goal | None = None) -> Figures:
    """The figures of a log, whose column `case` is kept as a fact about each journey."""
    graph, paths, length, duration = journeys.measure(
        metrics.Graph(), metrics.Paths(), metrics.Length(), metrics.Duration()
    )
    lengths = np.repeat(np.diff(paths.offsets), paths.count)
    by_case = journeys.measure(metrics.Duration(), by=cx.by.attribute(case))
    seconds = [each.require() for each in by_case.values()]
    assert by_case.unassigned is None
    facts = journeys.facts
    first, last = facts.first, facts.last
    assert first is not None
    assert last is not None
    assert facts.journeys == graph.journeys == paths.journeys == length.n == len(by_case)
    nodes = {name: graph.nodes[name] for name in graph}
    figures: Figures = {
        "cases": facts.journeys, "events": graph.events, "touchpoints": len(graph),
        "events_per_case": {
            "min": lengths.min(), "median": float(np.median(lengths)), "mean": length.value, "max": lengths.max()
        },
        "touchpoint_counts": {name: each["count"] for name, each in nodes.items()},
        **transition_figures(graph),
        "self_loops": sum(facts["count"] for a, b, facts in graph.edges(data=True) if a == b),
        "start_counts": {name: each["starts"] for name, each in nodes.items() if each["starts"]},
        "end_counts": {name: each["ends"] for name, each in nodes.items() if each["ends"]},
        **variant_figures(journeys),
        "variants_singletons": paths.singletons,
        "collapsed": collapsed_figures(journeys),
        "time": {
            "first": first.timestamp(), "last": last.timestamp(),
            # cut wherever time passes, and only steps without a wait are left
            "equal_timestamp_neighbours": int(journeys.split(gap=timedelta(0)).transitions().transitions.sum()),
            "case_duration_s": {
                "min": min(seconds), "median": statistics.median(seconds), "mean": duration.value, "max": max(seconds)
            },
        },
    }  # fmt: skip
    if converting is not None:
        figures["conversion"] = conversion_figures(journeys, converting)
    return figures


def transition_figures(graph: cx.JourneyGraph) -> Figures:
    counts: dict[tuple[str, ...], int] = {(a, b): facts["count"] for a, b, facts in graph.edges(data=True)}
    return {
        "transitions_total": sum(counts.values()),
        "transitions_distinct": len(counts),
        "transitions_top": Ranking(counts),
    }


def variant_figures(journeys: cx.Journeys) -> Figures:
    paths = journeys.paths()
    everything = paths.top(paths.distinct)
    assert everything.other.paths == everything.other.count == 0
    counts = {path.touchpoints: path.count for path in everything}
    return {"variants_distinct": paths.distinct, "variants_top": Ranking(counts)}


def collapsed_figures(journeys: cx.Journeys) -> Figures:
    merged = journeys.merge_repeats()
    graph = merged.graph()
    assert not any(a == b for a, b in graph.edges())
    transitions = transition_figures(graph)
    del transitions["transitions_top"]
    return {**variant_figures(merged), **transitions}


def conversion_figures(journeys: cx.Journeys, goal: cx.Goal) -> Figures:
    rate = journeys.measure(metrics.ConversionRate(goal=goal, method="wilson"))
    return share_figures(rate, whole="cases", part="converted")


def share_figures(share: cx.Estimate, *, whole: str, part: str) -> Figures:
    assert share.interval is not None
    return {
        part: round(share.require() * share.n), whole: share.n, "rate": share.value,
        "wilson95": [share.interval.low, share.interval.high],
    }  # fmt: skip


def session_figures(journeys: cx.Journeys) -> Figures:
    return {"gap_s": GAP.total_seconds(), "count": journeys.split(gap=GAP).facts.journeys}


def counts_by(journeys: Answers, attribute: str) -> dict[str, int]:
    return {key: each.n for key, each in journeys.measure(metrics.Length(), by=cx.by.attribute(attribute)).items()}


# the logs


def shop_sessions(request: pytest.FixtureRequest) -> Figures:
    users: cx.Journeys = request.getfixturevalue("shoppers")
    visits: cx.Journeys = request.getfixturevalue("visits")
    purchase = cx.Goal("purchase", touchpoints=["purchase"], kind="purchase")
    rates = visits.measure(
        metrics.ConversionRate(goal=purchase, method="wilson"), by=cx.by.attribute("acquisition_channel")
    )
    by_channel = {}
    for channel, rate in rates.items():
        by_channel[channel] = share_figures(rate, whole="sessions", part="converted")
        del by_channel[channel]["wilson95"]
    assert rates.unassigned is None
    return {
        "rows": users.reading.rows,
        "exact_duplicate_rows": repeated_rows(users),
        "by_user": {**case_figures(users, "user_id", purchase), "sessions": session_figures(users)},
        "by_session": case_figures(visits, "session_id", purchase),
        "session_conversion_by_acquisition_channel": by_channel,
        # a column with one value in each journey is a fact about the journey
        "sessions_with_more_than_one_channel": 0 if "acquisition_channel" in visits.facts.journey_columns else None,
        "stories": {
            "checkout_bug": {**story(users, "checkout_bug"), "platforms": platforms(users, "checkout_bug")},
            "payment_error": story(users, "payment_error"),
            "support_chat_by_month": months(users, "support_chat"),
        },
    }


def repeated_rows(journeys: cx.Journeys) -> int:
    """What the reading noted of rows that say again what their customer did and when."""
    notes = [note for note in journeys.reading.notes if "repeat an earlier one" in note]
    return sum(int(note.split()[0].replace(",", "")) for note in notes)


def story(journeys: cx.Journeys, touchpoint: str) -> Figures:
    facts = journeys.events_where(touchpoint=touchpoint).facts
    assert facts.first is not None
    assert facts.last is not None
    return {"n": facts.events, "first": str(facts.first.date()), "last": str(facts.last.date())}


def single_events(journeys: cx.Journeys, touchpoint: str) -> cx.Journeys:
    """The events at a touchpoint, each a journey of its own."""
    return journeys.events_where(touchpoint=touchpoint).split(at=touchpoint)


def platforms(journeys: cx.Journeys, touchpoint: str) -> dict[str, int]:
    there = single_events(journeys, touchpoint)
    counts = {name: there.where(platform=name).facts.journeys for name in ("desktop", "mobile", "tablet")}
    return {name: count for name, count in counts.items() if count}


def months(journeys: cx.Journeys, touchpoint: str) -> dict[str, int]:
    lengths = single_events(journeys, touchpoint).measure(metrics.Length(), by=cx.by.month())
    return {f"{month:%Y-%m}": each.n for month, each in lengths.items()}


def shop_clicks(request: pytest.FixtureRequest) -> Figures:
    clicks: cx.Journeys = request.getfixturevalue("clicks")
    figures = case_figures(clicks, "client_id", cx.Goal("payment_done", touchpoints=["payment_done"]))
    return {
        "rows": clicks.reading.rows,
        "exact_duplicate_rows": repeated_rows(clicks),
        "by_user": {**figures, "sessions": session_figures(clicks)},
    }


def traffic_fines(request: pytest.FixtureRequest) -> Figures:
    return service_log(request.getfixturevalue("fines"), "Payment")


def sepsis(request: pytest.FixtureRequest) -> Figures:
    return service_log(request.getfixturevalue("sepsis"), "Return ER")


def service_log(journeys: cx.Journeys, goal: str) -> Figures:
    figures = case_figures(journeys, "case_id", cx.Goal(goal, touchpoints=[goal]))
    return {"rows": journeys.reading.rows, "by_case": figures}


def patients(request: pytest.FixtureRequest) -> Figures:
    rows: cx.Journeys = request.getfixturevalue("patients")
    handlings: cx.Journeys = request.getfixturevalue("handlings")
    complete = rows.events_where(registration_type="complete")
    kinds = {kind: rows.events_where(registration_type=kind).facts.events for kind in ("start", "complete")}
    means = handlings.measure(metrics.Duration(), by="touchpoint")
    single = handlings.measure(metrics.Duration(), by=(cx.by.touchpoint, cx.by.attribute("handling_id")))
    durations = {}
    for name, mean in means.items():
        seconds = [each.require() for (touchpoint, _), each in single.items() if touchpoint == name]
        durations[name] = {
            "n": mean.n, "mean": mean.value, "median": statistics.median(seconds),
            "min": min(seconds), "max": max(seconds),
        }  # fmt: skip
    return {
        "rows": rows.reading.rows, "registration_types": kinds, "activity_duration_s": durations,
        "complete_only": case_figures(complete, "patient", cx.Goal("out", touchpoints=["Check-out"])),
    }  # fmt: skip


# the logs with answers


@frozen(kw_only=True)
class Given(metrics.MeanScore):
    """Share of the answers that are just this one: a metric of ours, as anybody may write one."""

    name: ClassVar[str] = "given"
    unit: ClassVar[str] = "share"

    answer: int

    def numbers(self, score: Floats, scale: cx.Scale) -> dict[str, Floats]:
        return {"score": (score == self.answer).astype(np.float64)}


def distributions(answers: Answers, by: By[str] | None, possible: range) -> dict[str, dict[str, int]]:
    """How many gave each answer, by group; those in no group under the empty text."""
    given: Figures = {}
    for score in possible:
        for group, each in groups(answers, Given(answer=score, min_n=0), by).items():
            given.setdefault(group, {})[str(score)] = round(each.require() * each.n)
    return {group: {score: n for score, n in counts.items() if n} for group, counts in given.items()}


def groups(answers: Answers, metric: metrics.Csat | metrics.MeanScore, by: By[str] | None) -> dict[str, cx.Estimate]:
    if by is None:
        return {"": answers.measure(metric)}
    found = answers.measure(metric, by=by)
    return {**found, **({} if found.unassigned is None else {"": found.unassigned})}


def ratings(answers: Answers, by: By[str] | None = None) -> dict[str, Figures]:
    """Satisfaction on 1 to 5 by group; what belongs to no group stands under the empty text."""
    scale = cx.Scale.csat()
    given = distributions(answers, by, range(1, 6))
    shares = groups(answers, metrics.Csat(method="wilson", min_n=0), by)
    means = groups(answers, metrics.MeanScore(min_n=0), by)
    figures = {}
    for group, share in shares.items():
        scores = [int(score) for score, count in given[group].items() for _ in range(count)]
        assert share.n == means[group].n == len(scores)
        figures[group] = {
            **percent_figures(share), "mean": means[group].value, "distribution": given[group],
            "sd": statistics.stdev(scores) if len(scores) > 1 else None,
            "top_box": [score for score in range(1, 6) if score >= (scale.satisfied or math.inf)],
        }  # fmt: skip
    return figures


def percent_figures(share: cx.Estimate) -> Figures:
    assert share.interval is not None
    return {
        "n": share.n, "satisfied": round(share.require() * share.n), "csat_pct": 100 * share.require(),
        "wilson95": [100 * share.interval.low, 100 * share.interval.high],
    }  # fmt: skip


def airport_survey(request: pytest.FixtureRequest) -> Figures:
    answers: cx.Responses = request.getfixturevalue("passengers")
    weighted: cx.Responses = request.getfixturevalue("weighted_passengers")
    trap: cx.Responses = request.getfixturevalue("blanks_as_promoters")
    rated = {
        name: {**figures, "excluded": excluded(answers, name)}
        for name, figures in ratings(answers, cx.by.question).items()
    }
    return {
        "rows": trap.reading.rows,
        "weight_missing": sum(each.count for why, each in weighted.reading.rejected.items() if "weight" in why),
        "nps": {
            **nps_figures(answers),
            "nps_weighted": weighted.measure(metrics.Nps()).value,
            "excluded": excluded(answers, "NETPRO"),
            "trap_if_11_counted_as_promoter": trap.measure(metrics.Nps()).value,
        },
        "csat_1_5": {name: each for name, each in rated.items() if name not in EASE},
        "effort_ease_1_5": {name: rated[name] for name in EASE},
    }


def nps_figures(answers: cx.Responses) -> Figures:
    nps = answers.measure(metrics.Nps(method="wald"))
    given = distributions(answers, cx.by.question, range(11))["NETPRO"]
    assert nps.interval is not None
    return {
        "n": nps.n, "nps": nps.value, "wald95": [nps.interval.low, nps.interval.high], "distribution": given,
        "se_multinomial": (nps.interval.high - nps.interval.low) / 2 / Z95,
        "promoters": sum(n for score, n in given.items() if int(score) >= 9),
        "passives": sum(n for score, n in given.items() if int(score) in (7, 8)),
        "detractors": sum(n for score, n in given.items() if int(score) <= 6),
    }  # fmt: skip


def excluded(answers: cx.Responses, question: str) -> dict[str, int]:
    """Answers of a question that mean none, by code; None where nothing stands."""
    codes = {f"code {code} means no answer ({question})": str(code) for code in (0, 6, 11)}
    codes[f"code Blank means no answer ({question})"] = "missing"
    codes[f"no answer ({question})"] = "None"
    rejected = answers.reading.rejected
    return {codes[why]: each.count for why, each in rejected.items() if why.endswith(f"({question})")}


def marketplace_orders(request: pytest.FixtureRequest) -> Figures:
    orders: cx.Journeys = request.getfixturevalue("orders")
    buyers: cx.Journeys = request.getfixturevalue("buyers")
    reviews: cx.Responses = request.getfixturevalue("reviews")
    payments: cx.Responses = request.getfixturevalue("payments")
    again = buyers.funnel(["Order placed", "Order placed"]).steps[1].of_first
    delivered = cx.Goal("Delivered", touchpoints=["Delivered"])
    paid = orders.with_responses(payments).measure(metrics.MeanScore(question="paid"))
    by_delivery = ratings(orders, cx.by.attribute("delivery"))
    not_delivered = by_delivery.pop("")
    return {
        "orders": orders.facts.journeys, "customers": orders.facts.customers,
        "by_order": case_figures(orders, "order_id", delivered),
        "by_customer": {
            **case_figures(buyers, "customer_id"),
            "conversion": share_figures(again, whole="cases", part="converted"),
        },
        "csat": ratings(orders)[""],
        "responses": review_figures(orders, reviews),
        "csat_not_delivered": not_delivered,
        "csat_by_delivery": by_delivery,
        "csat_by_payment_type": ratings(orders, cx.by.attribute("payment_type")),
        "csat_by_state": {
            state: {key: each[key] for key in ("n", "mean", "csat_pct")}
            for state, each in ratings(orders, cx.by.attribute("state")).items()
        },
        "anomalies": anomalies(orders, payments),
        "payment_value_total": paid.require() * paid.n,
    }  # fmt: skip


def review_figures(orders: cx.Journeys, reviews: cx.Responses) -> Figures:
    one = metrics.MeanScore(min_n=0)
    of_orders = orders.measure(one, by=cx.by.attribute("order_id"))
    of_ids = reviews.measure(one, by=cx.by.attribute("response_id"))
    comments = {text: each.n for text, each in reviews.measure(one, by=cx.by.attribute("comment")).items()}
    return {
        "n": reviews.reading.kept,
        "orders_without_response": orders.facts.journeys - len(of_orders),
        "orders_with_more_than_one": sum(each.n > 1 for each in of_orders.values()),
        "duplicate_review_ids": sum(each.n > 1 for each in of_ids.values()),
        "with_comment": sum(n for text, n in comments.items() if text.strip()),
        "comments_with_newline": sum(n for text, n in comments.items() if "\n" in text),
        "comments_non_ascii": sum(n for text, n in comments.items() if not text.isascii()),
    }


def anomalies(orders: cx.Journeys, payments: cx.Responses) -> Figures:
    def without(touchpoint: str, among: cx.Journeys = orders) -> int:
        return among.facts.journeys - among.where(passes=touchpoint).facts.journeys

    def in_order(*steps: str) -> int:
        return orders.funnel(steps).steps[-1].reached

    paid = orders.with_responses(payments).measure(
        metrics.MeanScore(question="paid", min_n=0), by=cx.by.attribute("order_id")
    )
    return {
        "missing_approved": without("Payment approved"),
        "missing_carrier": without("Handed to carrier"),
        "missing_delivered": without("Delivered"),
        "carrier_before_approved": in_order("Handed to carrier", "Payment approved"),
        "delivered_before_carrier": in_order("Delivered", "Handed to carrier"),
        "status": counts_by(orders, "status"),
        "delivered_status_without_delivery_date": without("Delivered", orders.where(status="delivered")),
        "orders_without_payment": orders.facts.journeys - len(paid),
    }


SETS: Mapping[str, Callable[[pytest.FixtureRequest], Figures]] = {
    each.__name__: each
    for each in (shop_sessions, shop_clicks, marketplace_orders, traffic_fines, sepsis, patients, airport_survey)
}


@pytest.fixture(scope="module")
def answered(request: pytest.FixtureRequest) -> Callable[[str], Figures]:
    """The figures of a data set as the library has them, asked once."""
    known: dict[str, Figures] = {}

    def ask(name: str) -> Figures:
        if name not in known:
            known[name] = dict(leaves(SETS[name](request)))
        return known[name]

    return ask


Answered = Callable[[str], Figures]


@pytest.mark.parametrize("name", SETS)
def test_figures_are_the_expected_ones(name: str, expected: Expected, answered: Answered) -> None:
    answers = answered(name)
    figures = {path: figure for path, figure in leaves(expected(name)) if path in answers}
    wrong = [
        f"{path}: {answers[path]!r:.200}, not {figure!r:.200}"
        for path, figure in figures.items()
        if not agrees(answers[path], figure, path)
    ]
    assert figures
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_every_key_is_asserted_or_in_the_table(name: str, expected: Expected, answered: Answered) -> None:
    answers = set(answered(name)) if name in SETS else set()
    keys = {path for path, _ in leaves(expected(name))}
    table = {path for path in keys if left_out(name, path)}
    assert keys - answers - table == set()
    assert answers & table == set()
    assert answers - keys == set()
    assert [pattern for pattern in LEFT_OUT[name] if not any(fnmatchcase(path, pattern) for path in keys)] == []


def spoiled(figure: object) -> object:
    """Something a little wrong in its place."""
    if isinstance(figure, list):
        return [*figure[:-1], spoiled(figure[-1])]
    if isinstance(figure, int | float):
        return figure * (1 + 1e-6) + (1 if isinstance(figure, int) else 1e-5)
    return "something else"


@pytest.mark.parametrize("name", SETS)
def test_a_wrong_figure_would_be_noticed(name: str, expected: Expected, answered: Answered) -> None:
    answers = answered(name)
    figures = [(path, figure) for path, figure in leaves(expected(name)) if path in answers]
    assert not [path for path, figure in figures if agrees(answers[path], spoiled(figure), path)]
