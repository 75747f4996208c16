"""The runner: many tallies over all blocks in one pass, wherever the population keeps them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block
from cxmodel.errors import NotMeasurableError
from cxmodel.model.breakdowns import Breakdown
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.grouped import Grouped
from cxmodel.tallies.metrics import Tally
from cxmodel.typing import Population

States: TypeAlias = tuple[Any, ...]


class Pass(NamedTuple):
    """What a population folds: the states of several tallies side by side."""

    look: Callable[[Block], States]
    merge: Callable[[States, States], States]
    start: States


@frozen(eq=False)
class Request:
    """A tally and what to keep apart while it looks."""

    tally: Tally[Any, Any]
    cells: Cells[Any]


def measure(population: Population, requests: Sequence[Request]) -> list[Any]:
    """The results of several tallies after one pass; a second pass follows only where a state asks for one."""
    requests = [apart(request) for request in requests]
    seen = population.fold(*pass_of(requests))
    states = deque(seen)
    del seen
    return results_of(population, requests, states)


def results_of(population: Population, requests: Sequence[Request], states: deque[Any]) -> list[Any]:
    """The results of the states of one pass, which are used up; a second pass follows where a state asks for one."""
    further = [request.tally.again(state) for request, state in zip(requests, states, strict=True)]
    waiting = [Request(t, r.cells) for t, r in zip(further, requests, strict=True) if t is not None]
    later = iter(measure(population, waiting) if waiting else [])
    calls = [
        partial(_result, request, [states.popleft()], None if tally is None else [next(later)])
        for request, tally in zip(requests, further, strict=True)
    ]
    if population.threads == 1 or len(calls) == 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(max_workers=population.threads) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def _result(request: Request, state: list[Any], later: list[Any] | None) -> Any:
    """The result of a state, or of the later pass; nobody else holds the state, so it goes before the next is done."""
    seen = state.pop()
    return _finished(request, seen) if later is None else later.pop()


def apart(request: Request) -> Request:
    """A tally that keeps no groups apart itself looks at each group's journeys on their own."""
    tally = request.tally
    return request if request.cells.by is None or tally.groups else Request(Grouped(tally), request.cells)


def pass_of(requests: Sequence[Request]) -> Pass:
    """One pass for several tallies."""
    tallies = tuple(request.tally for request in requests)

    def look(block: Block) -> States:
        return tuple(request.tally.add(request.tally.start(), block, request.cells) for request in requests)

    def merge(a: States, b: States) -> States:
        return tuple(tally.merge(one, other) for tally, one, other in zip(tallies, a, b, strict=True))

    return Pass(look, merge, tuple(tally.start() for tally in tallies))


def check(tally: Tally[Any, Any], cells: Cells[Any]) -> None:
    """Refuse what cannot be measured here, in words."""
    facts, by = cells.facts, cells.by
    views = [facts] if by is None else by.views(facts)
    possible = any(tally.missing(view) is None for view in views)
    reason = None if possible else tally.missing(facts)
    if reason is None and by is not None:
        reason = by.missing(facts, tally.observes if tally.groups else "journey")
    if reason is not None:
        raise NotMeasurableError(f"{tally.name}: {reason}")


def _finished(request: Request, state: Any) -> Any:
    """The result, or the breakdown where there are groups."""
    tally, cells = request.tally, request.cells
    if cells.by is None:
        return tally.finish(state, cells, cells.level)[0]
    results = dict(tally.finish(state, cells, cells.level))
    unassigned = results.pop(-1, None)
    codes = np.array(sorted(results), np.int64)
    labels = cells.by.labels(cells.vocabulary, codes)
    groups = {label: results[code] for label, code in zip(labels, codes.tolist(), strict=True)}
    return Breakdown(
        by=cells.by.names, metric=tally.name, groups=groups, unassigned=unassigned,
        overlapping=cells.by.overlapping(cells.facts, tally.observes),
    )  # fmt: skip
