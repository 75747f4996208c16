"""Logs on Spark: the frame with its rows, what was listed of their texts, and further rows that are appended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from cxmodel.data.blocks import Labels, Vocabulary
from cxmodel.data.counting import Counts
from cxmodel.data.events import digest, fields_of, one_code
from cxmodel.data.fields import Field
from cxmodel.data.grouping import group
from cxmodel.data.renaming import Renaming, renaming_of
from cxmodel.data.roles import Roles
from cxmodel.data.rows import read_rows
from cxmodel.data.sources import open_tables
from cxmodel.errors import InvalidValueError, NoRowsError, UnknownColumnError, unknown
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Reading
from cxmodel.stats.arrays import Codes
from cxmodel.typing import Source
from cxmodel_spark.inspection import Inspection, inspection_of, merge_inspections
from cxmodel_spark.local import frame_of
from cxmodel_spark.partitions import Partition, bits_for, is_frame, partitioned, selected, states
from cxmodel_spark.recipe import Listing, Recipe, merge_listings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TURN: Final = "cxmodel turn"


@frozen(kw_only=True, eq=False)
class Prepared:
    """What a look at the grouped blocks of a log adds.

    Attributes:
        frame: The needed columns with the partition of each row.
        recipe: How a partition becomes blocks.
        reading: What became of the rows.
        origin: Which log it is.
        counts: What the blocks hold.
        renaming: What became of the raw names, where rules were given.
    """

    frame: DataFrame
    recipe: Recipe
    reading: Reading
    origin: Origin
    counts: Counts
    renaming: Renaming | None


@frozen(kw_only=True, eq=False)
class SparkLog:
    """An event log whose rows stay on Spark.

    Attributes:
        rows: The needed columns; where rows were appended, also which turn they came in.
        roles: Which column plays which part.
        tz: Zone of times that name none.
        listing: What the rows hold before anything is grouped.
        turns: How often rows were appended.
    """

    rows: DataFrame = field(repr=False)
    roles: Roles
    tz: str | None
    listing: Listing = field(repr=False)
    turns: int = 0

    @classmethod
    def of(cls, source: DataFrame, roles: Roles, tz: str | None) -> SparkLog:
        """The log that a frame holds. Two jobs run: one counts the rows, one lists texts and rejected rows.

        Raises:
            UnknownColumnError: A column is not there.
            InvalidValueError: A time is neither a timestamp nor a date.
        """
        rows = selected(source, _checked(source, roles))
        return cls(rows=rows, roles=roles, tz=tz, listing=_listed(rows, roles, tz))

    def plus(self, source: Source, *, tz: str | None) -> SparkLog:
        """The log with further rows, which come after those that are there where times are equal.

        Of a Spark frame they stay there; others are read here and handed over. Only the new rows are listed.

        Raises:
            InvalidValueError: Their columns are of other types, or their wall clocks of another zone.
            NoRowsError: Not one of them could be kept.
        """
        fields = fields_of(self.roles)
        if is_frame(source):
            new = selected(source, _checked(source, self.roles))
            self._check_alike(new, fields, tz)
            listing = _listed(new, self.roles, tz)
        else:
            with open_tables(source, [each.column for each in fields]) as (connection, tables):
                found = read_rows(connection, tables, fields, tz=tz)
            listing = evolve(
                Listing.of(found, found.reading.rows), rejected=found.reading.rejected, odd=dict(found.tally.odd)
            )
            new = frame_of(found, fields, self.rows)
        if not listing.kept:
            raise NoRowsError("no event could be kept", hint=str(_reading(listing, tz)))
        turn = self.turns + 1
        first = self.rows if self.turns else _turned(self.rows, 0)
        return evolve(
            self, rows=first.unionByName(_turned(new, turn)), listing=merge_listings(self.listing, listing), turns=turn
        )

    @property
    def bits(self) -> int:
        """How many bits of a customer's key tell its partition."""
        return bits_for(self.listing.rows)

    def prepared(self) -> Prepared:
        """The log after a look at its blocks: facts of journeys and touchpoints found, oddities noted. One job.

        Raises:
            NoRowsError: No row could be kept.
        """
        roles, reading = self.roles, _reading(self.listing, self.tz)
        if not self.listing.kept:
            raise NoRowsError("no event could be kept", hint=str(reading))
        recipe, frame = self._recipe(), partitioned(self.rows, self.rows.columns, roles.customer, self.bits)

        def seen(partition: Partition) -> Inspection:
            found = recipe.events(partition.rows)
            blocks = group(found.events, found.vocabulary) if found.events.time.size else []
            start = Inspection(met=found.met)
            if found.renaming is not None:
                start = evolve(start, names=found.renaming.events)
            return reduce(merge_inspections, (inspection_of(block, roles) for block in blocks), start)

        inspection: Inspection = reduce(merge_inspections, states(frame, seen), Inspection())
        renaming = recipe.renaming
        if renaming is not None:
            renaming = evolve(renaming, events=inspection.names)
            reading = renaming.told(reading)
        if not inspection.counts.events:
            raise NoRowsError("no event could be kept", hint=str(reading))
        facts = inspection.constant or ()
        vocabulary = evolve(recipe.vocabulary, touchpoint_columns=_described(inspection, recipe.vocabulary, roles))
        counts = evolve(
            inspection.counts,
            event_columns=tuple(name for name in inspection.counts.event_columns if name not in facts),
            journey_columns=(*inspection.counts.journey_columns, *facts),
        )
        reading = reading.noting(
            *inspection.notes(facts, roles, turned=self.turns > 0), *(renaming.report().notes() if renaming else ())
        )
        return Prepared(
            frame=frame, recipe=evolve(recipe, vocabulary=vocabulary, facts=facts), reading=reading, counts=counts,
            renaming=renaming, origin=Origin(source=digest(inspection.keys), rejected=reading.rejected_rows),
        )  # fmt: skip

    def _recipe(self) -> Recipe:
        labels = {role: Labels(["", *names]) for role, names in self.listing.labels.items()}
        renaming = renaming_of(labels["touchpoint"].names[1:], self.roles)
        vocabulary = Vocabulary(
            touchpoints=labels["touchpoint"].names[1:] if renaming is None else renaming.touchpoints,
            columns={name: labels.get(f"={name}") for name in (*self.roles.named, *self.roles.attributes)},
        )
        return Recipe(
            roles=self.roles, tz=self.tz, labels=labels, vocabulary=vocabulary, renaming=renaming,
            turn=TURN if self.turns else None,
        )  # fmt: skip

    def _check_alike(self, new: DataFrame, fields: Sequence[Field], tz: str | None) -> None:
        """Refuse columns of other types, and wall clocks of another zone: one reading says what a column means."""
        for each in fields:
            first, other = (frame.schema[each.column].dataType.simpleString() for frame in (self.rows, new))
            if first != other:
                raise InvalidValueError(
                    f"{each.column!r} is a {first} in what was read first and a {other} in what is appended",
                    hint=f'Write frame.withColumn("{each.column}", frame["{each.column}"].cast("{first}"))',
                )
            if each.kind == "time" and first != "timestamp" and tz != self.tz:
                raise InvalidValueError(
                    f"{each.column!r} holds wall clocks, of {self.tz or 'UTC'} in what was read first and of "
                    f"{tz or 'UTC'} in what is appended",
                    hint="Append with the same tz=, or turn them into timestamps first",
                )


def _turned(rows: DataFrame, turn: int) -> DataFrame:
    from pyspark.sql import functions

    return rows.withColumn(TURN, functions.lit(turn))


def _listed(rows: DataFrame, roles: Roles, tz: str | None) -> Listing:
    frame = partitioned(rows, rows.columns, roles.customer, bits_for(rows.count()))
    return reduce(merge_listings, states(frame, Recipe(roles=roles, tz=tz).listing), Listing())


def _described(
    inspection: Inspection, vocabulary: Vocabulary, roles: Roles
) -> dict[str, tuple[Codes, Labels]]:  # fmt: skip
    """Named columns that hold one value at each touchpoint."""
    described = {}
    for name in roles.named:
        labels = vocabulary.columns[name]
        found = None if labels is None else one_code(inspection.lowest[name], inspection.highest[name], labels)
        if found is not None:
            described[name] = found
    return described


def _reading(listing: Listing, tz: str | None) -> Reading:
    tally = listing.tally()
    notes = (*tally.notes_on_times(tz), *tally.notes_on_values())
    return Reading(rows=listing.rows, kept=listing.kept, rejected=tally.rejected, notes=notes)


def _checked(frame: DataFrame, roles: Roles) -> list[str]:
    """The needed columns, all of them there, with times that are times."""
    from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

    fields = fields_of(roles)
    types = {field.name: field.dataType for field in frame.schema.fields}
    for each in fields:
        if each.column not in types:
            raise UnknownColumnError(f"the Spark frame: {unknown('column', each.column, list(types))}")
        if each.kind == "time" and not isinstance(types[each.column], (DateType, TimestampNTZType, TimestampType)):
            raise InvalidValueError(
                f"{each.column!r} is a {types[each.column].simpleString()}; a Spark frame says its times as timestamps",
                hint="Turn it into one first: to_timestamp(…), timestamp_seconds(…) or timestamp_millis(…)",
            )
    return list(dict.fromkeys(each.column for each in fields))
