"""Public types: what can be read, and what an analysis or a plugin is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from cxmodel.data.answers import AnswerRows
    from cxmodel.data.attaching import Attached
    from cxmodel.data.blocks import Block, Vocabulary
    from cxmodel.data.renaming import Renaming
    from cxmodel.model.estimates import Origin
    from cxmodel.model.readings import Facts, Matched, Reading


@runtime_checkable
class ArrowStream(Protocol):
    """Anything with the Arrow PyCapsule interface: pandas, Polars, pyarrow, DuckDB relations."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """An Arrow stream in a capsule."""
        ...


File: TypeAlias = str | PathLike[str]
Source: TypeAlias = File | Sequence[File] | ArrowStream | Sequence[Mapping[str, object]]
"""A path, a glob, a list of them, a frame, an Arrow object, a DuckDB relation, or a list of dicts."""

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


S = TypeVar("S")


class Journeyed(Protocol):
    """Anything with a population of journeys, the façade for one."""

    @property
    def population(self) -> Population:
        """What metrics look at."""
        ...


class Population(Protocol):
    """The journeys that an analysis or a metric works on: never the façade. They may be on another engine."""

    @property
    def facts(self) -> Facts:
        """What can be asked."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """What the codes mean."""
        ...

    @property
    def reading(self) -> Reading:
        """What became of the rows."""
        ...

    @property
    def origin(self) -> Origin:
        """Which log, window and filters these are."""
        ...

    @property
    def renaming(self) -> Renaming | None:
        """What became of the raw names, where rules were given."""
        ...

    @property
    def parts(self) -> Sequence[Block]:
        """The blocks, where they are in this process.

        Raises:
            NotMeasurableError: They are on another engine; only `fold` goes there.
        """
        ...

    @property
    def threads(self) -> int:
        """How many states may be finished side by side: one where memory is limited."""
        ...

    def fold(self, look: Callable[[Block], S], merge: Callable[[S, S], S], start: S) -> S:
        """Look at every block where it is and merge what was seen, in the order of the blocks.

        Args:
            look: A block's state. On another engine it travels there: it may not change anything here.
            merge: Two states together; associative.
            start: The state of no block: neutral.
        """
        ...

    def then(
        self, step: Callable[[Block], Block], *, saying: str | None = None, vocabulary: Vocabulary | None = None,
        window: tuple[str | None, str | None] | None = None,
    ) -> Population:  # fmt: skip
        """The population after a step.

        Args:
            step: What to do with each block.
            saying: What was selected, in words, where the step selects.
            vocabulary: What the codes mean afterwards, where the step widens that.
            window: The window of time, where the step sets one.
        """
        ...

    def of_customer(self, customer: str) -> Population:
        """The population of one customer, by the id; without journeys where nobody has it."""
        ...

    def noting(self, *notes: str) -> Population:
        """The population with further notes in its reading."""
        ...


@runtime_checkable
class TakesAnswers(Protocol):
    """A population on another engine that attaches answers where its events are."""

    def attach(
        self, rows: AnswerRows, *, within: int | None, about: str | None
    ) -> tuple[Population, Attached]:  # fmt: skip
        """The population with these answers, and what became of them: as `Journeys.with_responses` has it in memory.

        Args:
            rows: The answers.
            within: Longest time from the event to the answer, µs; None for any.
            about: Touchpoint that all answers are about, where no column says so.
        """
        ...


@runtime_checkable
class TakesFacts(Protocol):
    """A population on another engine that joins tables where its events are."""

    def join(
        self, source: Source, *, customer: str | None, journey: str | None, columns: Sequence[str], tz: str | None
    ) -> tuple[Population, Matched]:
        """The population with facts from a table, and how the two met: as `Journeys.with_attributes` has it in memory.

        Args:
            source: The table; a frame of the engine stays there.
            customer: Its column with the customer's id.
            journey: Its column with the journey's id.
            columns: Its columns to take over.
            tz: Zone of times that name none.
        """
        ...


@runtime_checkable
class TakesEvents(Protocol):
    """A population on another engine that further events can be appended to."""

    def append(self, source: Source, *, tz: str | None) -> Population:
        """The population with further events: as `Journeys.append` has it in memory.

        Args:
            source: The new rows; a frame of the engine stays there.
            tz: Zone of times that name none.
        """
        ...
