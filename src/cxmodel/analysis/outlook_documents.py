"""Outlooks as files: versioned JSON that holds counts, no customers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np

from cxmodel.analysis.outlook import Outlook
from cxmodel.errors import DocumentError, SourceNotFoundError
from cxmodel.model.estimates import Origin
from cxmodel.model.goals import Goal
from cxmodel.stats.backoff import Backoff, even_base
from cxmodel.stats.floats import Floats
from cxmodel.tallies.counting import Counted

FORMAT: Final = "cxmodel.outlook"
VERSION: Final = 1


def outlook_document(outlook: Outlook) -> dict[str, object]:
    """An outlook as plain values."""
    model = outlook.model
    return {
        "format": FORMAT, "version": VERSION,
        "goal": {"name": outlook.goal.name, "touchpoints": list(outlook.goal.touchpoints), "kind": outlook.goal.kind},
        "touchpoints": list(outlook.touchpoints), "stages": None if outlook.stages is None else list(outlook.stages),
        "order": model.order, "strengths": list(model.strengths), "novelty": model.novelty,
        "codes": model.codes.tolist(), "counts": model.counts.tolist(),
        "open": None if model.open is None else model.open.tolist(),
        "contexts": outlook.journeys.keys.tolist(), "journeys_of_contexts": outlook.journeys.counts.tolist(),
        "customers_of_contexts": outlook.customers.of(outlook.journeys.keys).tolist(),
        "visits_left": outlook.visits_left.tolist(), "mean_s": _plain(outlook.mean_s),
        "long_s": _plain(outlook.long_s), "stage_long_s": dict(outlook.stage_long_s),
        "to_goal_s": _plain(outlook.to_goal_s),
        "to_goal_ends": [_plain(each) for each in outlook.to_goal_ends], "n": outlook.n,
        "n_customers": outlook.n_customers, "n_open": outlook.n_open,
        "open_known": outlook.open_known, "level": outlook.level,
        "until": outlook.until.isoformat() if outlook.until else None, "source": outlook.origin.source,
        "filters": list(outlook.origin.filters),
    }  # fmt: skip


def open_outlook(path: str | PathLike[str]) -> Outlook:
    """Open an outlook that `Outlook.save` wrote.

    Raises:
        SourceNotFoundError: No such file.
        DocumentError: Not an outlook, or of another version.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceNotFoundError(f"there is no file {str(path)!r}", hint="Write outlook.save(path) first") from None
    except ValueError as error:
        raise DocumentError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DocumentError(f"{str(path)!r} is not an outlook", hint="Write outlook.save(path), then open that file")
    if document.get("version") != VERSION:
        raise DocumentError(f"{str(path)!r} has version {document.get('version')!r}; this cxmodel reads {VERSION}")
    try:
        return _of_document(document)
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"{str(path)!r} is damaged: {type(error).__name__} {error}") from None


def _of_document(root: Mapping[str, Any]) -> Outlook:
    names = tuple(root["touchpoints"])
    reaching = frozenset(root["goal"]["touchpoints"])
    goal = Goal(root["goal"]["name"], touchpoints=root["goal"]["touchpoints"], kind=root["goal"]["kind"])
    model = Backoff(
        width=len(names) + 2, order=root["order"], codes=np.array(root["codes"], np.int64),
        counts=np.array(root["counts"], np.float64), base=even_base([name in reaching for name in names]),
        strengths=tuple(root["strengths"]), novelty=root["novelty"],
        open=None if root["open"] is None else np.array(root["open"], np.float64),
    )  # fmt: skip
    contexts = np.array(root["contexts"], np.int64)
    journeys, customers = (
        Counted(contexts, np.array(root[f"{who}_of_contexts"], np.float64)) for who in ("journeys", "customers")
    )
    if contexts.shape != journeys.counts.shape or contexts.shape != customers.counts.shape:
        raise ValueError("contexts and their counts do not fit together")
    if model.codes.shape != model.counts.shape or len(model.strengths) != model.order + 1:
        raise ValueError("codes, counts and strengths do not fit together")
    return Outlook(
        goal=goal, touchpoints=names, stages=None if root["stages"] is None else tuple(root["stages"]), model=model,
        journeys=journeys, customers=customers, visits_left=np.array(root["visits_left"], np.float64),
        mean_s=_numbers(root["mean_s"]), long_s=_numbers(root["long_s"]),
        stage_long_s=root["stage_long_s"], to_goal_s=_numbers(root["to_goal_s"]),
        to_goal_ends=np.stack([_numbers(each) for each in root["to_goal_ends"]]), n=root["n"],
        n_customers=root["n_customers"], n_open=root["n_open"], open_known=root["open_known"],
        level=root["level"], until=None if root["until"] is None else datetime.fromisoformat(root["until"]),
        origin=Origin(source=root["source"], filters=tuple(root["filters"])),
    )  # fmt: skip


def _plain(values: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], np.float64)
