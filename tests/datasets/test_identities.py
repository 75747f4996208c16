"""A study as its sources know it: what the ids hide, and that linking them rightly gives everything back."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import cxmodel as cx
from cxmodel.datasets import Study, by_source, museum, walks


def journeys_of(study: Study, ids: dict[str, str] | None = None) -> cx.Journeys:
    """A customer's whole history is one journey; ids are linked by this table."""
    rows: list[dict[str, Any]] = study.events.to_dicts()
    if ids is not None:
        rows = [{**row, "customer": ids[row["customer"]]} for row in rows]
    return cx.read_events(rows, customer="customer", touchpoint="touchpoint", time="time")


@pytest.mark.parametrize("study", [walks("repetition", 400, seed=4), museum()], ids=["walks", "museum"])
def test_linked_rightly_every_customer_comes_back(study: Study) -> None:
    apart = by_source(study)
    assert apart.identities is not None
    table = apart.identities.to_dicts()
    truth = {str(row["id"]): str(row["customer"]) for row in table}
    assert len(truth) == len(table)
    assert [truth[str(each)] for each in apart.events["customer"]] == list(study.events["customer"])
    assert [truth[str(each)] for each in apart.responses["customer"]] == list(study.responses["customer"])
    sources = {str(row["id"]): row["source"] for row in table}
    assert [sources[str(each)] for each in apart.events["customer"]] == list(study.events["source"])
    linked, known = journeys_of(apart, truth), journeys_of(study)
    assert linked.graph().to_dict()["edges"] == known.graph().to_dict()["edges"]
    assert linked.facts.customers == known.facts.customers


def test_unlinked_customers_look_like_many_who_never_return() -> None:
    study = walks("repetition", 2_000, seed=5)
    apart = by_source(study)
    rate = cx.metrics.RepeatRate(within=timedelta(days=60))
    asked = cx.read_events(
        study.events.to_dicts(), customer="customer", journey="journey", touchpoint="touchpoint", time="time"
    )
    assert journeys_of(apart).facts.customers == len(set(apart.events["customer"].tolist()))
    assert journeys_of(apart).facts.customers > 1.5 * asked.facts.customers
    assert asked.measure(rate).require() > 0.2
    cookies = {each for each in apart.events["customer"] if each.startswith("web analytics")}
    assert len(cookies) == len(set(study.events["journey"].tolist()))  # everybody starts at Home, anew each time


def test_sources_that_know_their_customers_keep_them() -> None:
    study = walks("repetition", 300, seed=6)
    apart = by_source(study, anonymous=())
    assert apart.identities is not None
    seen = {(row["source"], row["customer"]) for row in apart.identities.to_dicts()}
    assert len(seen) == len(apart.identities)


def test_identities_are_written_too(tmp_path: Path) -> None:
    paths = by_source(walks("nothing", 50, seed=1)).write_csv(tmp_path)
    assert "identities.csv" in [path.name for path in paths]
    with (tmp_path / "identities.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["id", "source", "customer"]
    assert "identities.csv" not in [path.name for path in walks("nothing", 50, seed=1).write_csv(tmp_path / "known")]
