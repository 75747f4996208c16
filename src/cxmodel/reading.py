"""Reading through reader plugins: a format of its own becomes rows that the engine can scan."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from attrs import define, evolve, field

from cxmodel.data import events
from cxmodel.data.roles import Roles
from cxmodel.data.sources import as_text, engine_reads, large_engine, paths_of
from cxmodel.data.spooling import Spool
from cxmodel.errors import CxmodelError, InvalidValueError, NoRowsError, UnreadableSourceError, listed
from cxmodel.model.readings import Count, Example, Reading
from cxmodel.plugins.bases import FrameReader, RawEvent, Reader, RowError
from cxmodel.plugins.registry import PluginWarning, default_registry

if TYPE_CHECKING:
    from cxmodel.typing import Population, Source

HEAD: Final = 65_536
BATCH: Final = 20_000
_NAMED: Final = ("channel", "department", "contact", "stage", "source")
_OWN: Final = ("builtins", "pathlib", "pandas", "polars", "pyarrow", "duckdb", "_duckdb", "nanoarrow")
_FILE: Final = "< file"
_WHERE: Final = "< where"
_RESERVED: Final = (_FILE, _WHERE, "customer", "touchpoint", "time", "journey")


def choose(source: Source, preset: str | None, given: Mapping[str, str | None]) -> type[Reader] | None:
    """The reader to read with; None for a table, which the engine reads.

    Args:
        source: What to read.
        preset: Name of a reader, or None to choose one by the content of files that the engine does not know.
        given: Column that was named for each of customer, touchpoint, time and journey, or None.

    Raises:
        InvalidValueError: When a table is to be read and it is not said which columns are who, where and when.
        UnknownNameError: When there is no reader called ``preset``.
        UnreadableSourceError: When several readers recognise the files.
    """
    if preset is not None:
        named = [role for role, column in given.items() if column is not None]
        if named:
            raise InvalidValueError(
                f"{named[0]}= is given, but the reader {preset!r} says that itself", hint=f"Leave out {named[0]}="
            )
        return default_registry().reader(preset)
    frames = _frame_reader(source)
    paths = paths_of(source)
    if paths and not any(engine_reads(path) for path in paths):
        reader = _recognised_by(paths)
        if reader is not None:
            return reader
    _check_roles(paths, {role: column for role, column in given.items() if role != "journey"})
    return frames


def _frame_reader(source: object) -> type[Reader] | None:
    """The reader of another engine's frame, or None for what this engine reads itself."""
    if type(source).__module__.partition(".")[0] in _OWN:
        return None
    readers = (class_ for class_ in default_registry().readers() if issubclass(class_, FrameReader))
    return next((class_ for class_ in readers if class_().takes(source)), None)


def _recognised_by(paths: Sequence[str]) -> type[Reader] | None:
    """The one reader that recognises all of these files, or None."""
    heads = [_head(path) for path in paths]
    found = [class_ for class_ in default_registry().readers() if all(_detects(class_, head) for head in heads)]
    if len(found) > 1:
        names = [class_.name for class_ in found]
        raise UnreadableSourceError(
            f"{Path(paths[0]).name} is recognised by several readers: {listed(names)}",
            hint=f"Say which: preset={names[0]!r}",
        )
    return found[0] if found else None


def _check_roles(paths: Sequence[str] | None, given: Mapping[str, str | None]) -> None:
    missing = [f"{role}=" for role, column in given.items() if column is None]
    if not missing:
        return
    hint = "Write read_events(src, customer='user', touchpoint='event', time='at'), or preset= with a reader's name"
    reader = _recognised_by(paths) if paths else None
    if reader is not None:
        hint = f"The reader {reader.name!r} recognises this file: write read_events(src, preset={reader.name!r})"
    raise InvalidValueError(f"it is not said who, where and when: {' and '.join(missing)} not given", hint=hint)


def read(
    source: Source, class_: type[Reader], roles: Roles, *, tz: str | None = None, memory_limit: str | None = None
) -> Population:
    """Read events through a reader.

    The reader says who, where, when and, if it can, which journey. Of its further columns those with a fixed meaning
    (channel, department, contact, stage, source) are taken, and of the others those that ``roles`` names.

    Args:
        source: A path, a glob or a list of these; a frame of the reader's engine.
        class_: The reader.
        roles: What else to take; its customer, touchpoint, time and journey are the reader's own.
        tz: Zone of times that name none.
        memory_limit: Limit of the engine.

    Raises:
        UnreadableSourceError: When the reader cannot read a file.
        NoRowsError: When nothing could be kept.
    """
    if issubclass(class_, FrameReader):
        return class_().population(source, roles, tz=tz)
    paths = paths_of(source)
    if paths is None:
        raise UnreadableSourceError(
            f"the reader {class_.name!r} reads files, not a {type(source).__name__}", hint="Give a path or a glob"
        )
    with large_engine(memory_limit) as connection:
        intake = _Intake(Spool(connection, list(_RESERVED)))
        reader = class_()
        for path in paths:
            intake.take(Path(path), _rows(reader, Path(path)))
        if not intake.spool.size:
            raise NoRowsError("no event could be kept", hint=str(intake.told(Reading(rows=0, kept=0))))
        full = _roles(intake.spool, roles)
        population = events.read(intake.spool.relation(), full, tz=tz, memory_limit=memory_limit)
        reading = intake.told(population.reading).noting(_note(class_, paths))
    origin = evolve(population.origin, rejected=reading.rejected_rows)
    return evolve(population, reading=reading, origin=origin)


@define(eq=False)
class _Intake:
    """What the readers gave: events in the spool, faults by reason."""

    spool: Spool
    faults: dict[str, Count] = field(factory=dict)

    def take(self, path: Path, rows: Iterator[RawEvent | RowError]) -> None:
        """All rows of a file."""
        number = 0
        while batch := list(islice(rows, BATCH)):
            kept = []
            for row in batch:
                number += 1
                if isinstance(row, RowError):
                    example = Example(path.name, number, as_text(row.value), row.where)
                    self.faults[row.reason] = self.faults.get(row.reason, Count(0)).plus(Count(1, (example,)))
                else:
                    kept.append(_record(path.name, row))
            if kept:
                self.spool.store(kept)

    def told(self, reading: Reading) -> Reading:
        """A reading of the spooled rows, told with the files' own places, and with the faults."""
        rejected = {
            reason: Count(count.count, tuple(self._placed(example) for example in count.examples))
            for reason, count in reading.rejected.items()
        }
        for reason, count in self.faults.items():
            rejected[reason] = rejected.get(reason, Count(0)).plus(count)
        rows = reading.rows + sum(count.count for count in self.faults.values())
        return evolve(reading, rows=rows, rejected=rejected)

    def _placed(self, example: Example) -> Example:
        file, where = self.spool.texts(example.row - 1, (_FILE, _WHERE))
        return evolve(example, file=file or example.file, where=where)


def _record(file: str, row: RawEvent) -> dict[str, str | None]:
    own = {"customer": row.customer, "touchpoint": row.touchpoint, "time": row.time, "journey": row.journey}
    doubled = next((name for name in row.columns if name in _RESERVED), None)
    if doubled is not None:
        raise UnreadableSourceError(f"{file} {row.where}: the reader gives {doubled!r} among its further columns")
    told = {name: as_text(value) for name, value in {**row.columns, **own}.items()}
    return {**told, _FILE: file, _WHERE: row.where}


def _rows(reader: Reader, path: Path) -> Iterator[RawEvent | RowError]:
    """A reader's rows; whatever it trips over is told as a fault of the file."""
    try:
        for row in cast("Iterable[object]", reader.rows(path)):
            if not isinstance(row, (RawEvent, RowError)):
                raise UnreadableSourceError(
                    f"the reader {reader.name!r} gave a {type(row).__name__} for a row of {path.name}",
                    hint="A reader yields RawEvent and RowError",
                )
            yield row
    except CxmodelError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnreadableSourceError(f"{path.name} cannot be read by {reader.name!r}: {reason}") from error


def _roles(spool: Spool, roles: Roles) -> Roles:
    named = {name: name for name in _NAMED if spool.has(name) and name not in roles.attributes}
    journey = "journey" if spool.has("journey") else None
    return evolve(
        roles, customer="customer", touchpoint="touchpoint", time="time", journey=journey,
        named={**named, **roles.named},
    )  # fmt: skip


def _note(class_: type[Reader], paths: Sequence[str]) -> str:
    owner = next(p for p in default_registry().installed() if p.kind == "reader" and p.name == class_.name)
    files = Path(paths[0]).name if len(paths) == 1 else f"{len(paths):,} files"
    return f"{files} read by {class_.name!r} of {owner.distribution} {owner.version}, which says who, where and when"


def _detects(class_: type[Reader], head: bytes) -> bool:
    try:
        return class_().detects(head)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        warnings.warn(f"the reader {class_.name!r} could not look at a file: {reason}", PluginWarning, stacklevel=2)
        return False


def _head(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(HEAD)
