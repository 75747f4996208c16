"""One task in one process: ``python benchmarks/tasks.py TASK FILE`` prints its times as JSON."""

from __future__ import annotations

import gc
import importlib
import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import logs
from attrs import frozen
from pages import at_hand

GAP = timedelta(days=30)
WITHIN = timedelta(days=7)
REPLICATES = 1_000
ASKED = 1_000


def reading_polars(path: str) -> int:
    """Ids, times and dictionary codes of touchpoints as arrays, through Polars."""
    import polars as pl

    frame = pl.read_parquet(path, columns=["customer", "ts", "touchpoint"])
    frame = frame.with_columns(pl.col("touchpoint").cast(pl.Categorical))
    columns = [frame["customer"], frame["ts"].to_physical(), frame["touchpoint"].to_physical()]
    return sum(len(column.to_numpy() if column.dtype.is_numeric() else column.to_arrow()) for column in columns)


def reading_duckdb_arrow(path: str) -> int:
    """The same columns as Arrow arrays, through DuckDB."""
    import duckdb
    import nanoarrow

    stream = nanoarrow.c_array_stream(duckdb.connect().sql(f"SELECT customer, ts, touchpoint FROM '{path}'"))
    return sum(batch.length for batch in stream)


def reading_duckdb_numpy(path: str) -> int:
    """The same columns as numpy arrays, touchpoints as codes, through DuckDB."""
    import duckdb

    connection = duckdb.connect()
    names = [row[0] for row in connection.execute(f"SELECT DISTINCT touchpoint FROM '{path}' ORDER BY 1").fetchall()]
    listed = ", ".join(f"'{name}'" for name in names)
    connection.execute(f"CREATE TYPE touchpoints AS ENUM ({listed})")
    query = f"SELECT customer, epoch_us(ts) AS ts, enum_code(touchpoint::touchpoints) AS code FROM '{path}'"
    return len(connection.execute(query).fetchnumpy()["ts"])


def _journeys(path: str, limit: str | None = None) -> Any:
    import cxmodel as cx

    return cx.read_events(path, customer="customer", touchpoint="touchpoint", time="ts", memory_limit=limit)


def _goal() -> Any:
    import cxmodel as cx

    return cx.Goal("purchase", touchpoints=["purchase"])


def prepare(path: str) -> int:
    """Read, group and sort."""
    return int(_journeys(path).facts.events)


def graph(path: str) -> int:
    """Transitions with exact median waits, as a NetworkX graph."""
    return int(_journeys(path).graph().number_of_edges())


def transitions(path: str) -> int:
    """The same as a columnar table, whatever the size of the vocabulary."""
    return len(_journeys(path).transitions())


def variants(path: str) -> int:
    """All distinct paths."""
    return int(_journeys(path).paths().distinct)


def credits(path: str) -> int:  # noqa: A001 - the field's word
    """Five models of credit, Markov among them."""
    import cxmodel as cx

    return len(_journeys(path).measure(cx.metrics.Credits(goal=_goal())).models)


def funnel(path: str) -> int:
    """Three steps within a week."""
    return len(_journeys(path).funnel(["search", "add to cart", _goal()], within=WITHIN).steps)


def one_pass(path: str, limit: str | None = None) -> int:
    """Split at gaps and the goal, then graph, paths, credits and funnel in one pass."""
    import cxmodel as cx

    m, goal = cx.metrics, _goal()
    journeys = _journeys(path, limit).split(gap=GAP, at=goal)
    steps = ["search", "add to cart", goal]
    return len(journeys.measure(m.Graph(), m.Paths(), m.Credits(goal=goal), m.Funnel(steps, within=WITHIN)))


def graph_2gb(path: str) -> int:
    """The graph under a limit of 2 GB."""
    return int(_journeys(path, "2GB").graph().number_of_edges())


def one_pass_2gb(path: str) -> int:
    """The pass under a limit of 2 GB."""
    return one_pass(path, "2GB")


def one_pass_500mb(path: str) -> int:
    """The pass under a limit of 500 MB."""
    return one_pass(path, "500MB")


def nps(path: str) -> int:
    """Read the events and the answers, attach, and NPS by touchpoint with intervals."""
    import cxmodel as cx

    answers = cx.read_responses(
        f"{logs.answers(Path(path))}", customer="customer", score="score", time="ts", touchpoint="touchpoint",
        scale=cx.Scale.nps(),
    )  # fmt: skip
    journeys = _journeys(path).with_responses(answers, within=timedelta(days=1))
    return len(journeys.measure(cx.metrics.Nps(), by="touchpoint").groups)


def markov(journeys: Any) -> int:
    """Markov credit of prepared journeys: one pass."""
    import cxmodel as cx

    return len(journeys.measure(cx.metrics.MarkovCredit(goal=_goal())).groups)


def markov_replicates(journeys: Any) -> int:
    """The same with 1,000 bootstrap replicates."""
    import cxmodel as cx

    return len(journeys.measure(cx.metrics.MarkovCredit(goal=_goal()), bootstrap=REPLICATES, seed=1).groups)


def _counted(path: str) -> tuple[Any, ...]:
    """Transitions, starts, goals and losses as counts."""
    import numpy as np

    table = _journeys(path).split(at=_goal()).transitions()
    goal = table.touchpoints.index("purchase")
    counts = np.zeros((len(table.touchpoints),) * 2)
    counts[table.source, table.target] = table.transitions
    won = counts[:, goal].copy()
    counts[:, goal] = 0.0
    keep = np.arange(len(table.touchpoints)) != goal
    return counts[np.ix_(keep, keep)], table.starts[keep].astype(float), won[keep], table.ends[keep].astype(float)


def markov_solve(counts: tuple[Any, ...]) -> int:
    """Exact removal effects of every touchpoint, from counted transitions."""
    from cxmodel.stats.chains import chain_from_counts, removal_effects

    return int(removal_effects(chain_from_counts(*counts)).size)


def outlook(journeys: Any) -> int:
    """Fit an outlook to prepared journeys."""
    return int(journeys.outlook(_goal()).n)


def _fitted(path: str) -> tuple[Any, Any]:
    """Journeys and an outlook on them, asked once, so that its chain is solved."""
    journeys = _journeys(path)
    found = journeys.outlook(_goal())
    found.chance()
    return journeys, found


def position(fitted: tuple[Any, Any]) -> int:
    """Where one customer is, from the history that an app holds: a thousand times."""
    journeys, outlook = fitted
    names = [name for name in outlook.touchpoints if name != "purchase"][:3]
    now = journeys.facts.last
    history = [(name, journeys.facts.first) for name in names]
    return sum(len(outlook.position(history, now).next) for _ in range(ASKED))


def positions(fitted: tuple[Any, Any]) -> int:
    """Where all customers are, as a table."""
    journeys, outlook = fitted
    return len(outlook.positions(journeys))


def _prepared(path: str) -> str:
    return f"{logs.prepared(Path(path))}"


def reopen(folder: str) -> int:
    """Open prepared journeys, checksums compared, and say what can be asked."""
    import cxmodel as cx

    return int(cx.open_journeys(folder).facts.events)


def reopen_graph(folder: str) -> int:
    """Open prepared journeys and draw the graph."""
    import cxmodel as cx

    return int(cx.open_journeys(folder).graph().number_of_edges())


def _growing(path: str) -> tuple[Any, list[Path]]:
    return _journeys(path), logs.batches(Path(path))


def append(growing: tuple[Any, list[Path]]) -> int:
    """Ten batches of 1,000 later events of known customers, one after the other."""
    journeys, batches = growing
    for batch in batches:
        journeys = journeys.append(f"{batch}")
    return int(journeys.facts.events)


def append_one(growing: tuple[Any, list[dict[str, object]]]) -> int:
    """A thousand events, one after the other."""
    journeys, events = growing
    for event in events:
        journeys = journeys.append(event)
    return int(journeys.facts.events)


def append_one_graph(growing: tuple[Any, list[dict[str, object]]]) -> int:
    """The same, and the graph after each."""
    import cxmodel as cx

    journeys, events = growing
    live = cx.Live(journeys, cx.metrics.Graph())
    return sum(int(live.append(event).results.number_of_edges()) for event in events)


def append_batches(growing: tuple[Any, list[dict[str, object]]]) -> int:
    """The same events in batches of a hundred, and the graph after each."""
    import cxmodel as cx

    journeys, events = growing
    live = cx.Live(journeys, cx.metrics.Graph())
    batches = [events[begin : begin + 100] for begin in range(0, len(events), 100)]
    return sum(int(live.append(batch).results.number_of_edges()) for batch in batches)


def _events(path: str) -> tuple[Any, list[dict[str, object]]]:
    """Journeys, and a thousand later events: of known customers, and every tenth of a new one."""
    import duckdb

    query = f"SELECT customer, ts + INTERVAL 1000 DAY, touchpoint FROM '{path}' LIMIT {ASKED}"
    rows = duckdb.execute(query).fetchall()
    events: list[dict[str, object]] = [
        {"customer": customer if i % 10 else _new(customer, i), "ts": ts, "touchpoint": touchpoint}
        for i, (customer, ts, touchpoint) in enumerate(rows)
    ]
    return _journeys(path), events


def _new(customer: object, number: int) -> object:
    return 10**12 + number if isinstance(customer, int) else f"new {number}"


def _nothing(path: str) -> str:
    return path


@frozen
class Task:
    """What is timed, and what is made ready before the clock starts."""

    work: Callable[[Any], int]
    ready: Callable[[str], Any] = _nothing


READERS = (reading_polars, reading_duckdb_arrow, reading_duckdb_numpy)
FROM_FILE = (
    prepare,
    graph,
    transitions,
    variants,
    credits,
    funnel,
    one_pass,
    one_pass_500mb,
    graph_2gb,
    one_pass_2gb,
    nps,
)
TASKS: dict[str, Task] = {work.__name__: Task(work) for work in (*READERS, *FROM_FILE)} | {
    "markov": Task(markov, _journeys),
    "markov_replicates": Task(markov_replicates, _journeys),
    "markov_solve": Task(markov_solve, _counted),
    "reopen": Task(reopen, _prepared),
    "reopen_graph": Task(reopen_graph, _prepared),
    "append": Task(append, _growing),
    "append_one": Task(append_one, _events),
    "append_one_graph": Task(append_one_graph, _events),
    "append_batches": Task(append_batches, _events),
    "outlook": Task(outlook, _journeys),
    "position": Task(position, _fitted),
    "positions": Task(positions, _fitted),
}
IMPORTS = {
    "reading_polars": ("polars",),
    "reading_duckdb_arrow": ("duckdb", "nanoarrow"),
    "reading_duckdb_numpy": ("duckdb", "numpy"),
}
OURS = (
    "numpy",
    "scipy.sparse",
    "scipy.special",
    "networkx",
    "duckdb",
    "nanoarrow",
    "cxmodel.journeys",
    "cxmodel.opening",
    "cxmodel.responses",
    "cxmodel.metrics",
)


class Memory:
    """The most anonymous memory while the task runs: without mapped pages of files, which any pressure takes back."""

    def __init__(self) -> None:
        self.most = 0
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def _look(self) -> None:
        status = Path("/proc/self/status")
        while status.exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
            self.most = max(self.most, int(line.split()[1]))
            if self._done.wait(0.02):
                return


def main() -> None:
    """Import and make ready, then time the task alone."""
    name, path = sys.argv[1:3]
    begun = time.perf_counter()
    for module in IMPORTS.get(name, OURS):
        importlib.import_module(module)
    imports = time.perf_counter() - begun
    task = TASKS[name]
    given = task.ready(path)
    at_hand(path)
    gc.collect()  # what imports left behind is nobody's work
    with Memory() as memory:
        before = resource.getrusage(resource.RUSAGE_SELF)
        begun = time.perf_counter()
        result = task.work(given)
        wall = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures = {"task": name, "imports": imports, "wall": wall, "cpu": cpu, "result": result}
    print(json.dumps(figures | {"mb": after.ru_maxrss // 1024, "own_mb": memory.most // 1024}))


if __name__ == "__main__":
    main()
