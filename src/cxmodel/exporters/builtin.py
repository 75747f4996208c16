"""Registration of the built-in exporters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cxmodel.exporters.graphviz import GraphvizExporter
from cxmodel.exporters.json import JsonExporter
from cxmodel.exporters.matplotlib.curves import EmotionCurveFigure
from cxmodel.exporters.matplotlib.effects import DriverFigure, ImpactFigure
from cxmodel.exporters.matplotlib.forecasts import ReliabilityFigure
from cxmodel.exporters.matplotlib.graph import GraphFigure
from cxmodel.exporters.matplotlib.measures import BreakdownFigure, CreditFigure
from cxmodel.exporters.matplotlib.paths import FunnelFigure, PathsFigure
from cxmodel.exporters.matplotlib.priorities import PriorityFigure
from cxmodel.plugins.bases import Exporter
from cxmodel.plugins.hooks import hookimpl


@hookimpl
def cxmodel_exporters() -> Sequence[type[Exporter[Any]]]:
    """All built-in exporters."""
    return [
        BreakdownFigure, CreditFigure, DriverFigure, EmotionCurveFigure, FunnelFigure, GraphFigure, GraphvizExporter,
        ImpactFigure, JsonExporter, PathsFigure, PriorityFigure, ReliabilityFigure,
    ]  # fmt: skip
