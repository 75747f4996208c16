"""Seeded synthetic studies with a known truth.

Every study is generated from a mechanism that is written down in its docstring, so that what a right analysis
must find is known before the analysis runs. The same seed gives the same columns on every machine: draws come
from NumPy's PCG64, and times are whole seconds, which no processor's last digit can move.

`museum`, `car_rental`, `known_truth` and `walks` return a `Study`: plain tables, a touchpoint catalogue and the truth.
`by_source` turns a study into what its sources know of it: ids of their own, with the truth of whom they belong to.
`event_log` returns an `EventLog`: a large log for benchmarks.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxmodel.datasets.benchmark_log import EventLog, event_log
    from cxmodel.datasets.identities import by_source
    from cxmodel.datasets.museum_visits import museum
    from cxmodel.datasets.planted_effects import known_truth
    from cxmodel.datasets.planted_walks import walks
    from cxmodel.datasets.rentals import car_rental
    from cxmodel.datasets.study import Study, Table

__all__ = ["EventLog", "Study", "Table", "by_source", "car_rental", "event_log", "known_truth", "museum", "walks"]

_HOMES = {
    "EventLog": "benchmark_log",
    "Study": "study",
    "Table": "study",
    "by_source": "identities",
    "car_rental": "rentals",
    "event_log": "benchmark_log",
    "known_truth": "planted_effects",
    "museum": "museum_visits",
    "walks": "planted_walks",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
