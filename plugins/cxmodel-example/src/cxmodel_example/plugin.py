"""The three hooks. The entry point of the distribution names this module."""

from __future__ import annotations

from collections.abc import Sequence

from cxmodel import Estimate, JourneyGraph
from cxmodel.plugins import Exporter, Metric, Reader, hookimpl
from cxmodel_example.answer_wait import AnswerWait
from cxmodel_example.edge_csv import EdgeCsv
from cxmodel_example.help_desk import HelpDesk


@hookimpl
def cxmodel_metrics() -> Sequence[type[Metric[Estimate]]]:
    """One metric."""
    return [AnswerWait]


@hookimpl
def cxmodel_exporters() -> Sequence[type[Exporter[JourneyGraph]]]:
    """One exporter."""
    return [EdgeCsv]


@hookimpl
def cxmodel_readers() -> Sequence[type[Reader]]:
    """One reader."""
    return [HelpDesk]
