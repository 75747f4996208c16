"""The reader: a Spark frame becomes a population; only texts, counts and other states come to the driver."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve, frozen

from cxmodel.data.blocks import Labels, Vocabulary
from cxmodel.data.events import digest, fields_of, one_code
from cxmodel.data.grouping import group
from cxmodel.data.renaming import renaming_of
from cxmodel.data.roles import Roles
from cxmodel.errors import InvalidValueError, NoRowsError, UnknownColumnError, unknown
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Reading
from cxmodel.plugins import FrameReader
from cxmodel.stats.arrays import Codes
from cxmodel_spark.inspection import Inspection, inspection_of, merge_inspections
from cxmodel_spark.partitions import Partition, bits_for, partitioned, states
from cxmodel_spark.population import SparkPopulation
from cxmodel_spark.recipe import Listing, Recipe, merge_listings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@frozen
class SparkFrames(FrameReader):
    """Reads Spark frames: ``read_events(frame, customer=…, touchpoint=…, time=…)``."""

    name: ClassVar[str] = "spark"

    def takes(self, source: object) -> bool:
        """Whether this is a frame of Spark, classic or Connect."""
        if not type(source).__module__.startswith("pyspark."):
            return False
        from pyspark.sql import DataFrame

        return isinstance(source, DataFrame)

    def population(self, source: object, roles: Roles, *, tz: str | None) -> SparkPopulation:
        """The journeys, where they are.

        Three jobs run: one counts the rows, one lists texts and rejected rows, one looks at the grouped blocks.

        Args:
            source: The frame.
            roles: Which column plays which part; times must be timestamps or dates.
            tz: Zone of timestamps without one; UTC when None.

        Raises:
            UnknownColumnError: A column is not there.
            InvalidValueError: A time is neither a timestamp nor a date.
            NoRowsError: No row could be kept.
        """
        from pyspark.sql import DataFrame

        assert isinstance(source, DataFrame)
        columns = _checked(source, roles)
        bits = bits_for(source.count())
        frame = partitioned(source, columns, roles.customer, bits)
        listing = reduce(merge_listings, states(frame, Recipe(roles=roles, tz=tz).listing), Listing())
        if not listing.kept:
            raise NoRowsError("no event could be kept", hint=str(_reading(listing, tz)))
        labels = {role: Labels(["", *names]) for role, names in listing.labels.items()}
        renaming = renaming_of(labels["touchpoint"].names[1:], roles)
        vocabulary = Vocabulary(
            touchpoints=labels["touchpoint"].names[1:] if renaming is None else renaming.touchpoints,
            columns={name: labels.get(f"={name}") for name in (*roles.named, *roles.attributes)},
        )
        recipe = Recipe(roles=roles, tz=tz, labels=labels, vocabulary=vocabulary, renaming=renaming)
        return _inspected(frame, recipe, _reading(listing, tz), bits)


def _inspected(frame: DataFrame, recipe: Recipe, reading: Reading, bits: int) -> SparkPopulation:
    """The population after a look at its blocks: facts of journeys and touchpoints found, oddities noted."""
    roles, vocabulary = recipe.roles, recipe.vocabulary

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
    vocabulary = evolve(vocabulary, touchpoint_columns=_described(inspection, vocabulary, roles))
    counts = evolve(
        inspection.counts,
        event_columns=tuple(name for name in inspection.counts.event_columns if name not in facts),
        journey_columns=(*inspection.counts.journey_columns, *facts),
    )
    reading = reading.noting(*inspection.notes(facts, roles), *(renaming.report().notes() if renaming else ()))
    return SparkPopulation(
        frame=frame, recipe=evolve(recipe, vocabulary=vocabulary, facts=facts), vocabulary=vocabulary,
        reading=reading, counts=counts, bits=bits, renaming=renaming,
        origin=Origin(source=digest(inspection.keys), rejected=reading.rejected_rows),
    )  # fmt: skip


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
