"""Results as Arrow, Polars and pandas: every record is there, with what it says."""

import sys
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from tests.exporters.results import breakdowns
from tests.metrics.test_edges import METRICS, measured

import cxmodel as cx
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, no_value
from cxmodel.model.frames import Tabular


@settings(max_examples=40)
@given(breakdowns())
def test_every_record_is_a_row_everywhere(found: Breakdown[object, Estimate]) -> None:
    records = found.to_records()
    arrow, polars, pandas = pa.table(found), found.to_polars(), found.to_pandas()
    assert arrow.num_rows == polars.height == len(pandas) == len(records)
    assert arrow.column_names == polars.columns == list(pandas.columns)
    if not records:
        return
    for name in ("value", "low", "high", "n", "unit", "reason"):
        said = [record[name] for record in records]
        assert arrow.column(name).to_pylist() == polars[name].to_list() == said
        assert [
            None if missing else each for each, missing in zip(pandas[name], pandas[name].isna(), strict=True)
        ] == said
    flags = [each.flags for each in (*found.values(), found.unassigned) if each is not None]
    assert polars["flags"].to_list() == [", ".join(each) for each in flags]
    assert pa.table(polars).equals(pa.table(found).cast(pa.table(polars).schema))


def test_types_do_not_hang_on_what_happens_to_be_there() -> None:
    empty = Breakdown[str, Estimate](by=("place",), metric="m", groups={"a": no_value("nobody")})
    full = Breakdown[str, Estimate](by=("place",), metric="m", groups={"a": Estimate(value=1, n=3)})
    numbers = ("value", "low", "high", "n", "n_eff", "level")
    assert [empty.to_polars()[name].dtype for name in numbers] == [full.to_polars()[name].dtype for name in numbers]
    assert full.to_polars()["value"].dtype == pl.Float64


def test_groups_take_a_column_each() -> None:
    rows = [
        {"who": i, "what": what, "at": f"2026-01-0{d}", "via": "web"}
        for i in range(3)
        for d, what in ((1, "a"), (2, "b"))
    ]
    log = cx.read_events(rows, customer="who", touchpoint="what", time="at", channel="via")
    found = log.measure(cx.metrics.WaitMean(), by=(cx.by.channel, cx.by.transition)).to_polars()
    assert found.select("channel", "transition", "quantity", "value").rows() == [
        ("web", "a → b", "wait_mean", 86_400.0)
    ]


@pytest.mark.parametrize("class_", METRICS, ids=lambda class_: class_.name)
def test_every_table_of_a_metric_is_a_frame(class_: type[Any]) -> None:
    found = measured(class_, "equal")
    if isinstance(found, Tabular):
        assert found.to_polars().height == len(found.to_pandas()) == len(found.to_records())
    else:
        assert isinstance(found, str) or not hasattr(found, "to_records")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    found = Breakdown[str, Estimate](by=("place",), metric="m", groups={"a": Estimate(value=1, n=3)})
    with pytest.raises(cx.errors.MissingExtraError, match="pip install polars"):
        found.to_polars()
