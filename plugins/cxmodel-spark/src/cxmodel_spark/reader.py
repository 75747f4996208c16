"""The reader: a Spark frame becomes a population; only texts, counts and other states come to the driver."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from cxmodel.data.roles import Roles
from cxmodel.plugins import FrameReader
from cxmodel_spark.log import SparkLog
from cxmodel_spark.partitions import is_frame
from cxmodel_spark.population import SparkPopulation


@frozen
class SparkFrames(FrameReader):
    """Reads Spark frames: ``read_events(frame, customer=…, touchpoint=…, time=…)``."""

    name: ClassVar[str] = "spark"

    def takes(self, source: object) -> bool:
        """Whether this is a frame of Spark, classic or Connect."""
        return is_frame(source)

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
        assert is_frame(source)
        return SparkPopulation.of(SparkLog.of(source, roles, tz))
