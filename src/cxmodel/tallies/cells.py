"""Cells: what one pass keeps apart, groups × replicates. Besides the block, all that a tally sees."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from attrs import field, frozen

from cxmodel.data.blocks import Vocabulary
from cxmodel.errors import InvalidValueError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Facts
from cxmodel.tallies.groupings import By

K = TypeVar("K")

BUCKETS: Final = 1024
FEW_CUSTOMERS: Final = 200


@frozen(kw_only=True)
class Cells(Generic[K]):
    """Groups and replicates of one question.

    Attributes:
        by: What to group by; None for everything together.
        vocabulary: What codes mean.
        facts: What is known of the population.
        origin: Which population it is.
        level: Confidence level, 0 to 1.
        bootstrap: Number of replicates; 0 for the closed form or the delta method.
        seed: Seed of the buckets and of the draws.
    """

    vocabulary: Vocabulary = field(repr=False)
    facts: Facts
    origin: Origin
    by: By[K] | None = None
    level: float = 0.95
    bootstrap: int = 0
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidValueError(f"level is a share between 0 and 1, got {self.level!r}", hint="Write level=0.95")
        if self.bootstrap < 0:
            raise InvalidValueError(f"bootstrap is a number of replicates, got {self.bootstrap!r}")
