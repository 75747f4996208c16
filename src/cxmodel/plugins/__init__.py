"""What a plugin author imports.

A plugin is a module with one or more of the hooks `cxmodel_metrics`, `cxmodel_exporters` and `cxmodel_readers`, each
returning classes, named by an entry point of the group ``cxmodel``.
"""

from cxmodel.data.blocks import Answers, Block, Unit, Vocabulary
from cxmodel.data.roles import Roles
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, Flag, Interval
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.plugins.bases import Exporter, FrameReader, RawEvent, Reader, RowError
from cxmodel.plugins.hooks import API_VERSION, hookimpl
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.groupings import By
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, Metric, SumMetric, SumTally, Tally, WholeMetric
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums
from cxmodel.typing import Population

__all__ = [
    "API_VERSION", "Answers", "Block", "Bools", "Breakdown", "By", "Cells", "Closed", "Columns", "Direction",
    "Estimate", "Exporter", "Facts", "Flag", "Floats", "FrameReader", "Interval", "Ints", "Metric",
    "Observations", "Population", "RawEvent", "Reader", "Roles", "RowError", "SumMetric", "SumTally", "Sums",
    "Tally", "Unit", "Vocabulary", "WholeMetric", "hookimpl", "observe",
]  # fmt: skip
