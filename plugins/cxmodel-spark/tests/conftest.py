"""One Spark session for all tests: two threads, eight partitions; one log there and in memory."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import cxmodel as cx

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def spark() -> Iterator["SparkSession"]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.sql.session.timeZone", "Europe/Berlin")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def told() -> pd.DataFrame:
    from comparing import rows

    return rows()


@pytest.fixture(scope="session")
def frame(spark: "SparkSession", told: pd.DataFrame) -> "DataFrame":
    """The rows in eight pieces, shuffled."""
    return spark.createDataFrame(told.sample(frac=1, random_state=3)).repartition(8).cache()


@pytest.fixture(scope="session")
def far(frame: "DataFrame") -> cx.Journeys:
    from comparing import ROLES

    return cx.read_events(frame, **ROLES)


@pytest.fixture(scope="session")
def near(told: pd.DataFrame) -> cx.Journeys:
    from comparing import ROLES

    return cx.read_events(told, **ROLES)
