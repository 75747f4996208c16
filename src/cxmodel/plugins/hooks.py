"""The three hooks by which metrics, exporters and readers are registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import pluggy

from cxmodel.plugins.bases import Exporter, Reader
from cxmodel.tallies.metrics import Metric

API_VERSION: Final = 1
GROUP: Final = "cxmodel"

F = TypeVar("F", bound=Callable[..., object])

_spec = pluggy.HookspecMarker(GROUP)
_impl = pluggy.HookimplMarker(GROUP)


def hookimpl(function: F) -> F:
    """Mark a function as one of the hooks."""
    return _impl(function)


@_spec
def cxmodel_metrics() -> Sequence[type[Metric[Any]]]:  # type: ignore[empty-body]
    """Classes of metrics."""


@_spec
def cxmodel_exporters() -> Sequence[type[Exporter[Any]]]:  # type: ignore[empty-body]
    """Classes of exporters."""


@_spec
def cxmodel_readers() -> Sequence[type[Reader]]:  # type: ignore[empty-body]
    """Classes of readers."""
