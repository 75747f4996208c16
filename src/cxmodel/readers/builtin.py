"""Registration of the built-in readers: tables (CSV, Parquet, JSON lines, frames) need none."""

from __future__ import annotations

from collections.abc import Sequence

from cxmodel.plugins.bases import Reader
from cxmodel.plugins.hooks import hookimpl


@hookimpl
def cxmodel_readers() -> Sequence[type[Reader]]:
    """None yet: every table is read by the engine itself."""
    return []
