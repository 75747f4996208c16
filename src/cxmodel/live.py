"""Live: journeys that grow while others read them, and metrics that look only at what changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial, reduce
from threading import Lock
from typing import Any, Generic, TypeVar, cast, overload
from weakref import WeakKeyDictionary

from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block
from cxmodel.errors import InvalidValueError
from cxmodel.journeys import Journeys
from cxmodel.measuring import as_by
from cxmodel.model.breakdowns import Breakdown
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.groupings import By, ByName
from cxmodel.tallies.metrics import Metric, Tally
from cxmodel.tallies.runner import Request, States, apart, check, pass_of, results_of
from cxmodel.typing import Source

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")


@frozen(eq=False, slots=False)
class Snapshot(Generic[T_co]):
    """Journeys at one moment, and what was asked of them; it never changes.

    Attributes:
        journeys: The journeys.
    """

    journeys: Journeys
    _measure: Callable[[Journeys], T_co] = field(repr=False)

    @cached_property
    def results(self) -> T_co:
        """What `Journeys.measure` gives of these journeys; worked out when it is first asked for."""
        return self._measure(self.journeys)


class Live(Generic[T]):
    """Journeys that grow by `append`, and metrics whose results are there without counting all events anew.

    Blocks of journeys never change, so what a metric saw in one is kept as long as the block is there: after an append
    it looks at the few blocks that are new, and all that was seen is put together. The results are those of
    ``journeys.append(…).measure(…)``, to the last digit.

    One or several threads may append, one after the other; others read `now`, which is replaced as a whole.

    Args:
        journeys: As they were read.
        metrics: What will be asked, as in `Journeys.measure`; tallies only.
        by: What to group by.
        level: Confidence level of the intervals, 0 to 1.
        bootstrap: Number of replicates of customers; 0 for closed forms and the delta method.
        seed: Seed of the replicates.

    Raises:
        InvalidValueError: A metric that needs all events at once, or none was named.

    Example:
        >>> import cxmodel as cx
        >>> log = [{"who": "ann", "what": "ad", "at": "2026-01-01"}]
        >>> journeys = cx.read_events(log, customer="who", touchpoint="what", time="at")
        >>> live = cx.Live(journeys, cx.metrics.Graph(), cx.metrics.Length())
        >>> before = live.now
        >>> graph, length = live.append({"who": "ann", "what": "shop", "at": "2026-01-02"}).results
        >>> graph["ad"]["shop"]["count"], length.value
        (1, 2.0)
        >>> before.journeys.facts.events
        1
    """

    @overload
    def __init__(
        self: Live[R1], journeys: Journeys, m1: Metric[R1], /, *, level: float = ..., bootstrap: int = ...,
        seed: int = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Live[Breakdown[str, R1]], journeys: Journeys, m1: Metric[R1], /, *, by: ByName, level: float = ...,
        bootstrap: int = ..., seed: int = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Live[Breakdown[K, R1]], journeys: Journeys, m1: Metric[R1], /, *, by: By[K], level: float = ...,
        bootstrap: int = ..., seed: int = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Live[tuple[R1, R2]], journeys: Journeys, m1: Metric[R1], m2: Metric[R2], /, *, level: float = ...,
        bootstrap: int = ..., seed: int = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Live[tuple[Breakdown[str, R1], Breakdown[str, R2]]], journeys: Journeys, m1: Metric[R1], m2: Metric[R2],
        /, *, by: ByName, level: float = ..., bootstrap: int = ..., seed: int = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Live[tuple[R1, R2, R3]], journeys: Journeys, m1: Metric[R1], m2: Metric[R2], m3: Metric[R3], /, *,
        level: float = ..., bootstrap: int = ..., seed: int = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Live[tuple[R1, R2, R3, R4]], journeys: Journeys, m1: Metric[R1], m2: Metric[R2], m3: Metric[R3],
        m4: Metric[R4], /, *, level: float = ..., bootstrap: int = ..., seed: int = ...,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Live[tuple[object, ...]], journeys: Journeys, m1: Metric[Any], m2: Metric[Any], m3: Metric[Any],
        m4: Metric[Any], m5: Metric[Any], /, *more: Metric[Any], by: By[Any] | ByName | None = ..., level: float = ...,
        bootstrap: int = ..., seed: int = ...,
    ) -> None: ...  # fmt: skip
    def __init__(
        self, journeys: Journeys, /, *metrics: Any, by: Any = None, level: float = 0.95, bootstrap: int = 0,
        seed: int = 0,
    ) -> None:  # fmt: skip
        kept = _Kept(metrics, as_by(by), level, bootstrap, seed)
        self._measure = cast("Callable[[Journeys], T]", kept.measure)
        self._writing = Lock()
        self._now: Snapshot[T] = Snapshot(journeys, self._measure)

    @property
    def now(self) -> Snapshot[T]:
        """The journeys as they are now."""
        return self._now

    def append(self, src: Source | Mapping[str, object], *, tz: str | None = None) -> Snapshot[T]:
        """The journeys with further events, as `Journeys.append` has them; they are `now` from here on.

        Args:
            src: The new rows, or one event as a dict.
            tz: Zone of times that name none; that of the first reading if not given.
        """
        with self._writing:
            snapshot = Snapshot(self._now.journeys.append(src, tz=tz), self._measure)
            self._now = snapshot
        return snapshot


class _Kept:
    """What some metrics saw in blocks, as long as those are there."""

    def __init__(self, metrics: Sequence[object], by: By[Any] | None, level: float, bootstrap: int, seed: int) -> None:
        for metric in metrics:
            if not isinstance(metric, Tally):
                name = getattr(metric, "name", repr(metric))
                raise InvalidValueError(
                    f"{name} is no tally: it needs all events at once",
                    hint="Ask for it with live.now.journeys.measure(…)",
                )
        if not metrics:
            raise InvalidValueError("no metric was named", hint="Write cx.Live(journeys, cx.metrics.Graph())")
        self._tallies = cast("Sequence[Tally[Any, Any]]", metrics)
        self._by, self._level, self._bootstrap, self._seed = by, level, bootstrap, seed
        self._seen: WeakKeyDictionary[Block, States] = WeakKeyDictionary()
        self._asked: dict[str, object] = {}
        self._guard = Lock()

    def measure(self, journeys: Journeys) -> Any:
        """The results; blocks that were seen before are not looked at."""
        population = journeys.population
        cells: Cells[Any] = Cells(
            vocabulary=population.vocabulary, facts=population.facts, origin=population.origin, by=self._by,
            level=self._level, bootstrap=self._bootstrap, seed=self._seed,
        )  # fmt: skip
        for tally in self._tallies:
            check(tally, cells)
        requests = [apart(Request(tally, cells)) for tally in self._tallies]
        one_pass = pass_of(requests)
        states = reduce(one_pass.merge, self._states(population.parts, cells, population.threads), one_pass.start)
        results = results_of(population, requests, deque(states))
        return results[0] if len(results) == 1 else tuple(results)

    def _states(self, blocks: Sequence[Block], cells: Cells[Any], threads: int) -> list[States]:
        """What was seen in each block, in their order."""
        with self._guard:
            if not _agree(self._asked, cells):
                self._seen, self._asked = WeakKeyDictionary(), {}
            seen = self._seen
            known = [seen.get(block) for block in blocks]
        fresh = [block for block, states in zip(blocks, known, strict=True) if states is None]
        asked: dict[str, object] = {}
        facts, origin = (cast("Any", _Watched(cells, part, asked)) for part in ("facts", "origin"))
        watched = evolve(cells, facts=facts, origin=origin)
        look = pass_of([apart(Request(tally, watched)) for tally in self._tallies]).look
        with ThreadPoolExecutor(max_workers=threads) as pool:
            found = dict(zip(fresh, pool.map(partial(_visited, look), fresh), strict=True))
        with self._guard:
            # whoever reads an older or a newer snapshot meanwhile may have asked for facts that differ
            if self._seen is seen and _agree(self._asked, cells):
                self._asked.update(asked)
                seen.update(found)
        return [found[block] if states is None else states for block, states in zip(blocks, known, strict=True)]


def _agree(asked: Mapping[str, object], cells: Cells[Any]) -> bool:
    """Whether what was asked of other facts would be answered the same here."""
    return all(_value(cells, path) == value for path, value in asked.items())


def _visited(look: Callable[[Block], States], block: Block) -> States:
    try:
        return look(block)
    finally:
        block.forget()


class _Watched:
    """Facts or the origin of a population, and which of them a tally asked for while it looked at a block.

    What a tally saw is true as long as these are what they were: the end of the data moves with every later event.
    """

    def __init__(self, cells: Cells[Any], part: str, asked: dict[str, object]) -> None:
        self._cells, self._part, self._asked = cells, part, asked

    def __getattr__(self, name: str) -> object:
        path = f"{self._part}.{name}"
        self._asked[path] = _value(self._cells, path)
        return self._asked[path]


def _value(cells: Cells[Any], path: str) -> object:
    part, name = path.split(".")
    return getattr(getattr(cells, part), name)
