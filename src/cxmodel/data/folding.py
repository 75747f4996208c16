"""Folding: a long tail of rare touchpoints becomes one explicit touchpoint."""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.populations import MemoryPopulation
from cxmodel.errors import InvalidValueError
from cxmodel.stats.arrays import Bools, Codes, Ints, smallest_unsigned

_SHOWN: Final = 3


def fold_rare(population: MemoryPopulation, *, min_events: int | None, keep: int | None, into: str) -> MemoryPopulation:
    """The population with its rare touchpoints as one.

    Args:
        population: Whose touchpoints.
        min_events: Fold touchpoints with fewer events than this.
        keep: Fold all but this many of the most frequent.
        into: What they become.

    Raises:
        InvalidValueError: When not exactly one of the two limits is given, or it is below 1.
    """
    limit = min_events if min_events is not None else keep
    if limit is None or (min_events is not None and keep is not None):
        raise InvalidValueError("say what is rare", hint="Write fold_rare(min_events=100) or fold_rare(keep=50)")
    if limit < 1:
        raise InvalidValueError(f"{'keep' if min_events is None else 'min_events'} is at least 1, got {limit}")
    if not into.strip():
        raise InvalidValueError("folded touchpoints need a name", hint="Write into='other'")
    vocabulary = population.vocabulary
    counts = np.zeros(len(vocabulary.touchpoints), np.int64)
    for block in population.parts:
        counts += np.bincount(block.touchpoint, minlength=counts.size)
    rare = _rare(counts, vocabulary, min_events, keep, into)
    what = f"fewer than {limit:,} events" if keep is None else f"a rank beyond {limit:,}"
    saying = f"touchpoints of {what} folded"
    if not (rare & (counts > 0)).any():
        # with more events some may be rare: that it was asked for has to be known
        return population.then(lambda block: block, saying=saying).noting("no touchpoint is rare enough to be folded")
    narrower, table = _narrowed(vocabulary, rare, into)
    folded = population.then(lambda block: recoded(block, narrower, table), saying=saying, vocabulary=narrower)
    return evolve(folded, reading=population.reading.noting(_note(counts, rare, vocabulary, what, into)))


def _rare(counts: Ints, vocabulary: Vocabulary, min_events: int | None, keep: int | None, into: str) -> Bools:
    """What is to be folded; where folded ones go is never rare, and takes no place among those that stay."""
    there = np.array([name == into for name in vocabulary.touchpoints], np.bool_)
    if min_events is not None:
        return np.asarray((counts < min_events) & ~there)
    # codes follow the names in order, and the sort keeps the order of equals
    ranked = np.argsort(np.where(there, 1, -counts), kind="stable")
    rare = ~there
    rare[ranked[:keep]] = False
    return rare


def _narrowed(vocabulary: Vocabulary, rare: Bools, into: str) -> tuple[Vocabulary, Codes]:
    """The vocabulary without the rare touchpoints, and the code in it of each old one."""
    stay = np.flatnonzero(~rare)
    names = sorted({*(vocabulary.touchpoints[i] for i in stay.tolist()), into})
    code = {name: i for i, name in enumerate(names)}
    table = np.full(rare.size, code[into], smallest_unsigned(len(names)))
    table[stay] = [code[vocabulary.touchpoints[i]] for i in stay.tolist()]
    facts = {}
    for name, (codes, labels) in vocabulary.touchpoint_columns.items():
        # what is folded together has no fact in common
        kept: NDArray[np.unsignedinteger] = np.zeros(len(names), codes.dtype)
        kept[table[stay]] = codes[stay]
        facts[name] = (kept, labels)
    return evolve(vocabulary, touchpoints=names, touchpoint_columns=facts), table


def recoded(block: Block, vocabulary: Vocabulary, table: Codes) -> Block:
    """The block in the codes of a narrower vocabulary."""
    answers = block.answers
    if answers is not None:
        there = answers.touchpoint >= 0
        about = np.where(there, table[np.where(there, answers.touchpoint, 0)].astype(np.int64), -1)
        answers = evolve(answers, touchpoint=about)
    return evolve(block, vocabulary=vocabulary, touchpoint=table[block.touchpoint], answers=answers)


def _note(counts: Ints, rare: Bools, vocabulary: Vocabulary, what: str, into: str) -> str:
    folded = np.flatnonzero(rare & (counts > 0))
    frequent = folded[np.argsort(-counts[folded], kind="stable")][:_SHOWN]
    shown = ", ".join(f"{vocabulary.touchpoints[i]!r} ({counts[i]:,})" for i in frequent.tolist())
    rest = f" and {folded.size - _SHOWN:,} more" if folded.size > _SHOWN else ""
    there = vocabulary.touchpoint_codes.get(into)
    joined = f", which had {counts[there]:,} events already" if there is not None and counts[there] else ""
    size = f"{folded.size:,} touchpoints with {what} ({counts[folded].sum():,} events)"
    return f"{size} became {into!r}{joined}: {shown}{rest}"
