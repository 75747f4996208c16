"""Identities: a study as its sources know it, each by ids of its own, with the truth of whom they belong to."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from cxmodel.datasets.drawing import texts
from cxmodel.datasets.study import Study, Table


def by_source(study: Study, *, anonymous: Collection[str] = ("web analytics", "ad server")) -> Study:
    """The study as its sources know it: customers have another id in each, and in some of them a new one each time.

    Nothing is drawn: the same study gives the same ids. What the ids hide stands in `Study.identities`; whoever links
    them rightly gets the study back, customer by customer.

    Args:
        study: A study whose events name their source.
        anonymous: Sources that know nobody again: every journey has a new id there, like a cookie.

    Returns:
        The study with the ids of the sources as customers of events and answers (the source of answers is ``survey``),
        and with `Study.identities`. Customers and journeys keep the true ids; events lose the journey's, which no
        source would know.

    Example:
        >>> from cxmodel.datasets import walks
        >>> known = walks("nothing", 100, seed=1)
        >>> apart = by_source(known)
        >>> len(set(known.events["customer"])), len(set(apart.events["customer"]))
        (70, 182)
        >>> apart.identities.to_dicts()[0]
        {'id': 'ad server-00001', 'source': 'ad server', 'customer': 'customer-00002'}
    """
    events, source = study.events, study.events["source"]
    nobody = np.isin(source, list(anonymous))
    whose = np.where(nobody, events["journey"], events["customer"])
    ids = _numbered(source, whose)
    asked = study.responses["customer"]
    survey = texts(["survey"] * len(asked))
    answered = _numbered(survey, asked)
    columns = {name: column for name, column in events.columns.items() if name != "journey"}
    answers = {name: column for name, column in study.responses.columns.items() if name != "journey"}
    return evolve(
        study,
        events=Table({**columns, "customer": ids}),
        responses=Table({**answers, "customer": answered}),
        identities=_truth(
            np.concatenate([ids, answered]), np.concatenate([source, survey]),
            np.concatenate([events["customer"], asked]),
        ),
    )  # fmt: skip


def _numbered(source: NDArray[np.generic], whose: NDArray[np.generic]) -> NDArray[np.object_]:
    """``source-00001`` for each (source, owner), numbered within the source in the order of the owners' names."""
    out = np.empty(len(source), object)
    for name in sorted(set(source.tolist())):
        rows = np.flatnonzero(source == name)
        _, place = np.unique(whose[rows].astype(str), return_inverse=True)
        out[rows] = [f"{name}-{number + 1:05d}" for number in place.tolist()]
    return out


def _truth(ids: NDArray[np.object_], source: NDArray[np.generic], customer: NDArray[np.generic]) -> Table:
    found, first = np.unique(ids.astype(str), return_index=True)
    return Table({"id": texts(found.tolist()), "source": source[first], "customer": customer[first]})
