"""The hook. The entry point of the distribution names this module."""

from __future__ import annotations

from collections.abc import Sequence

from cxmodel.plugins import Reader, hookimpl
from cxmodel_spark.reader import SparkFrames


@hookimpl
def cxmodel_readers() -> Sequence[type[Reader]]:
    """The reader of Spark frames."""
    return [SparkFrames]
