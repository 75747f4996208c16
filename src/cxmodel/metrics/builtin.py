"""Registration of the built-in metrics, through the hooks that everybody uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cxmodel import metrics
from cxmodel.plugins.hooks import hookimpl
from cxmodel.tallies.metrics import Metric


@hookimpl
def cxmodel_metrics() -> Sequence[type[Metric[Any]]]:
    """Every metric that `cxmodel.metrics` names."""
    named = [getattr(metrics, name) for name in metrics.__all__]
    return [each for each in named if isinstance(each, type) and issubclass(each, Metric)]
