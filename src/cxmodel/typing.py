"""Public types: what can be read, and what an analysis or a plugin is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cxmodel.data.blocks import Block, Vocabulary
    from cxmodel.model.estimates import Origin
    from cxmodel.model.readings import Facts, Reading


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


class Population(Protocol):
    """The journeys that an analysis or a metric works on: never the façade."""

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

    def blocks(self) -> Iterator[Block]:
        """The blocks, one after the other."""
        ...
