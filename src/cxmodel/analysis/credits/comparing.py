"""Several models of credit in one pass, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from attrs import field, frozen

from cxmodel.analysis.credits.conversions import Conversions
from cxmodel.analysis.credits.markov import MarkovCredit
from cxmodel.analysis.credits.results import CreditComparison
from cxmodel.analysis.credits.splits import (
    FirstCredit,
    LastCredit,
    LastNonDirectCredit,
    LinearCredit,
    LinearDistinctCredit,
    PositionCredit,
    ShapleyCredit,
    SplitCredit,
    StepDecayCredit,
    TimeDecayCredit,
)
from cxmodel.analysis.credits.states import observe_splits
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError, UnknownNameError, unknown
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally
from cxmodel.tallies.sums import Sums, merge_sums, no_sums, tabulate

_CLASSES: Final[Mapping[str, type[SplitCredit]]] = {
    each.name: each
    for each in (
        FirstCredit, LastCredit, LastNonDirectCredit, LinearCredit, LinearDistinctCredit, PositionCredit,
        TimeDecayCredit, StepDecayCredit, ShapleyCredit,
    )
}  # fmt: skip
_USUAL: Final = ("first_credit", "last_credit", "linear_credit", "shapley_credit", "markov_credit")

Model = str | SplitCredit


def _models(models: str | Model | Iterable[Model]) -> tuple[Model, ...]:
    if models == "all":
        return (*_CLASSES, MarkovCredit.name)
    return (models,) if isinstance(models, (str, SplitCredit)) else tuple(models)


@frozen(kw_only=True)
class Credits(Tally[tuple[Sums, Sums], CreditComparison]):
    """Several models of credit in one pass: first, last, linear, Shapley and Markov, or others.

    Attributes:
        goal: What counts as a conversion.
        order: Order of the Markov chain.
        models: Names of models (``"position_credit"``), or models with options of their own; ``"all"`` for all that
            split one conversion at a time, and Markov's.
        value: Numeric column of the goal's event that is split; None to split conversions.
        within: Look-back window.
        collapse: Whether consecutive events at one touchpoint are one.
        every: Whether each attainment of the goal is a conversion of its own.
        ignored: Touchpoints that the last non-direct model ignores; without any, ``"all"`` leaves that model out.
    """

    name: ClassVar[str] = "credits"
    unit: ClassVar[str] = "conversions"
    observes: ClassVar[Unit] = "journey"

    goal: Goal = field(converter=as_goal)
    order: int = 1
    models: tuple[Model, ...] = field(default=_USUAL, converter=_models)
    value: str | None = None
    within: timedelta | None = None
    collapse: bool = False
    every: bool = False
    ignored: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        for model in self.models:
            if isinstance(model, str) and model not in (*_CLASSES, MarkovCredit.name):
                raise UnknownNameError(unknown("model of credit", model, (*_CLASSES, MarkovCredit.name)))
            if isinstance(model, SplitCredit) and model.conversions != self.chain.conversions:
                raise InvalidValueError(
                    f"{model.name} has another goal, value, window or treatment of repeats than the comparison",
                    hint="Give all of them the same, so that their columns can be compared",
                )
        if not self.models:
            raise InvalidValueError("no model of credit was named", hint='Write models=["last_credit"] or models="all"')

    @property
    def splits(self) -> dict[str, SplitCredit]:
        """The models that split each conversion on its own, by name."""
        made = (self._made(model) for model in self.models)
        return {model.name: model for model in made if model is not None}

    @property
    def chain(self) -> MarkovCredit:
        """The model that needs the whole chain."""
        return MarkovCredit(order=self.order, **self._shared)

    def _made(self, model: Model) -> SplitCredit | None:
        if isinstance(model, SplitCredit):
            return model
        if model == LastNonDirectCredit.name:
            everything = set(self.models) >= set(_CLASSES)
            return None if everything and not self.ignored else LastNonDirectCredit(
                ignored=self.ignored, **self._shared
            )  # fmt: skip
        return None if model == MarkovCredit.name else _CLASSES[model](**self._shared)

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "goal": self.goal, "value": self.value, "within": self.within, "collapse": self.collapse,
            "every": self.every,
        }  # fmt: skip

    @property
    def _conversions(self) -> Conversions:
        return self.chain.conversions

    @property
    def _with_chain(self) -> bool:
        return MarkovCredit.name in self.models

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur."""
        models = [*self.splits.values(), *([self.chain] if self._with_chain else [])]
        return next((reason for each in models if (reason := each.missing(facts)) is not None), None)

    def start(self) -> tuple[Sums, Sums]:
        """Nothing seen."""
        return no_sums(), no_sums()

    def add(self, state: tuple[Sums, Sums], block: Block, cells: Cells[Any]) -> tuple[Sums, Sums]:
        """All splits look at the events before conversions together, the chain at its steps."""
        splits = tabulate(block, observe_splits(block, self._conversions, self.splits), cells)
        chain = self.chain.add(state[1], block, cells) if self._with_chain else state[1]
        return merge_sums(state[0], splits), chain

    def merge(self, a: tuple[Sums, Sums], b: tuple[Sums, Sums]) -> tuple[Sums, Sums]:
        """Add the sums."""
        return merge_sums(a[0], b[0]), merge_sums(a[1], b[1])

    def finish(self, state: tuple[Sums, Sums], cells: Cells[Any], level: float) -> Mapping[int, CreditComparison]:
        """Model by model, then group by group."""
        tables = {
            name: model.finish(state[0].renamed({"n": "n", "credit": name}), cells, level)
            for name, model in self.splits.items()
        }
        if self._with_chain:
            tables[self.chain.name] = self.chain.finish(state[1], cells, level)
        groups = dict.fromkeys(group for each in tables.values() for group in each)
        return {
            group: CreditComparison(models={name: each[group] for name, each in tables.items() if group in each})
            for group in groups
        }
