"""What exporters and readers are: frozen attrs classes whose fields are their options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from attrs import field, frozen

from cxmodel.data.roles import Roles
from cxmodel.errors import UnreadableSourceError
from cxmodel.typing import Population

T_contra = TypeVar("T_contra", contravariant=True)


class Exporter(ABC, Generic[T_contra]):
    """Something that writes a result as bytes; the type parameter is what it takes.

    Attributes:
        name: What it is called.
        extensions: Endings of the files that it writes, with the dot.
        takes: The classes that it takes, most general first.
        rank: Of several exporters for one ending the lowest rank that works is tried first.
    """

    __slots__ = ()
    name: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]]
    takes: ClassVar[tuple[type, ...]]
    rank: ClassVar[int] = 50

    @abstractmethod
    def write(self, obj: T_contra, extension: str) -> bytes:
        """The file's bytes; pure: the same object gives the same bytes and is left as it was."""

    def missing(self, obj: object, extension: str) -> str | None:
        """Why this object cannot be written so here (a program that is not installed…), or None."""
        return None


@frozen(kw_only=True)
class RawEvent:
    """One event as a reader found it.

    Attributes:
        where: Where it stands, for reports (``"tickets[3].comments[0]"``).
        customer: Id of the customer, or None (it will be rejected and counted).
        touchpoint: Name of the touchpoint.
        time: Time as text or a datetime.
        journey: Id of the journey.
        columns: Further facts: channel, department, contact, stage, source, or names of your own.
    """

    where: str
    customer: str | None
    touchpoint: str | None
    time: object
    journey: str | None = None
    columns: Mapping[str, str | None] = field(factory=dict)


@frozen
class RowError:
    """Something that is no event, with the reason; it is counted, not lost.

    Attributes:
        where: Where it stands.
        reason: Why, in words that many rows share.
        value: The offending value.
    """

    where: str
    reason: str
    value: object


class Reader(ABC):
    """Something that reads events out of a format of its own.

    Attributes:
        name: What it is called: ``read_events(path, preset=name)``.
        extensions: Endings of the files that it reads.
    """

    __slots__ = ()
    name: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def detects(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes (64 KiB at most) is of this format."""

    @abstractmethod
    def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
        """The events and the faults of a file, in order."""


class FrameReader(Reader):
    """Something that reads a frame of another engine and leaves its rows there.

    It gives a population instead of rows: what looks at blocks travels to the engine, and states come back.
    """

    __slots__ = ()

    @abstractmethod
    def takes(self, source: object) -> bool:
        """Whether this is a frame of the engine."""

    @abstractmethod
    def population(self, source: object, roles: Roles, *, tz: str | None) -> Population:
        """The journeys, where they are.

        Args:
            source: The frame.
            roles: Which column plays which part.
            tz: Zone of times that name none; UTC when None.
        """

    def detects(self, head: bytes) -> bool:
        """No file is of this kind."""
        return False

    def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
        """No rows of a file."""
        raise UnreadableSourceError(f"the reader {self.name!r} reads frames of its engine, no files: {path.name}")
