"""Journeys on Spark: `cxmodel.read_events` of a Spark frame, measured where the rows are."""

from cxmodel_spark.population import SparkPopulation
from cxmodel_spark.reader import SparkFrames

__all__ = ["SparkFrames", "SparkPopulation"]
