"""Two voices: what employees say of a touchpoint beside what customers say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, Literal, TypeVar

from attrs import field, frozen

from cxmodel.analysis.comparing import Compared, Correction, Verdict, compared, corrected, judged
from cxmodel.errors import UnknownNameError, unknown
from cxmodel.model.breakdowns import Breakdown, group_values
from cxmodel.model.estimates import Estimate, no_value
from cxmodel.model.frames import Tabular

K = TypeVar("K")

GapVerdict = Literal[
    "employees see it better", "employees see it worse", "employees answer higher", "employees answer lower",
    "not told apart", "no value",
]  # fmt: skip
_VERDICTS: Final[dict[Verdict, GapVerdict]] = {
    "better": "employees see it better", "worse": "employees see it worse", "higher": "employees answer higher",
    "lower": "employees answer lower", "not told apart": "not told apart", "no value": "no value",
}  # fmt: skip


@frozen(kw_only=True)
class VoiceGap(Generic[K]):
    """What both voices say of one group.

    Attributes:
        group: The group, for instance a touchpoint.
        customers: What customers say.
        employees: What employees say.
        gap: Employees minus customers, with its own interval (not widened for the number of tests).
        p: Two-sided p value of no gap, 0 to 1; None where nothing could be tested.
        adjusted: The p value after the correction for all tests of the table.
        test: How p was made.
        verdict: What may be said at the level of the table, by the adjusted p value.
    """

    group: K
    customers: Estimate
    employees: Estimate
    gap: Estimate
    p: float | None
    adjusted: float | None
    test: str
    verdict: GapVerdict

    def to_dict(self) -> dict[str, object]:
        """As in JSON, without the name of the grouping."""
        return {
            "customers": self.customers.to_dict(), "employees": self.employees.to_dict(), "gap": self.gap.to_dict(),
            "p": self.p, "adjusted": self.adjusted, "test": self.test, "verdict": self.verdict,
        }  # fmt: skip


@frozen(kw_only=True)
class Voices(Tabular, Generic[K]):
    """Both voices on every group, tested together; see `compare_voices`.

    Attributes:
        metric: What was measured.
        by: What it is grouped by.
        questions: The customers' question and the employees'.
        correction: Correction for the number of tests; None only where that was asked for.
        level: Confidence level of the intervals; an adjusted p value below 1 − level tells the voices apart.
        tests: How many tests were made and corrected for.
        rows: One row per group, those of customers first.
    """

    metric: str
    by: tuple[str, ...]
    questions: tuple[str, str]
    correction: Correction | None
    level: float
    tests: int
    rows: tuple[VoiceGap[K], ...] = field(repr=False)

    def __getitem__(self, group: K) -> VoiceGap[K]:
        for row in self.rows:
            if row.group == group:
                return row
        raise UnknownNameError(unknown("group", str(group), [str(row.group) for row in self.rows]))

    def __iter__(self) -> Iterator[VoiceGap[K]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_records(self) -> list[dict[str, object]]:
        """One record per group."""
        width = len(self.by)
        return [
            {
                "group": dict(zip(self.by, group_values(row.group, width), strict=True)), "quantity": self.metric,
                **row.to_dict(),
            }
            for row in self.rows
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "metric": self.metric, "by": list(self.by), "questions": list(self.questions),
            "correction": self.correction, "level": self.level, "tests": self.tests, "rows": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        words = {"holm": "Holm", "bh": "Benjamini–Hochberg", None: "none: false alarms grow with the number of tests"}
        head = (
            f"{self.metric} by {' and '.join(self.by)}, employees minus customers; {self.tests} tests, "
            f"correction: {words[self.correction]}"
        )
        return "\n".join([head, *(f"  {row.group!s:<24} {row.gap} {row.verdict}" for row in self.rows)])


def voices_of(
    customers: Breakdown[K, Estimate], employees: Breakdown[K, Estimate], questions: tuple[str, str],
    correction: Correction | None, level: float,
) -> Voices[K]:  # fmt: skip
    """Both voices on every group that either speaks of.

    Args:
        customers: What customers say.
        employees: What employees say of the same groups.
        questions: The two questions.
        correction: Correction for the number of tests.
        level: Confidence level.
    """
    groups = list(dict.fromkeys([*customers, *employees]))
    silent = {"customers": no_value("no customer answered"), "employees": no_value("no employee answered")}
    rows: list[Compared[K]] = [
        _compared(group, employees.get(group, silent["employees"]), customers.get(group, silent["customers"]))
        for group in groups
    ]
    adjusted = corrected(rows, correction)
    found = [judged(row, float(each), level) for row, each in zip(rows, adjusted, strict=True)]
    return Voices(
        metric=customers.metric, by=customers.by, questions=questions, correction=correction, level=level,
        tests=sum(row.p is not None for row in rows), rows=tuple(_gap(row) for row in found),
    )  # fmt: skip


def _compared(group: K, told: Estimate, said: Estimate) -> Compared[K]:
    """Two surveys on their own share nobody; answers attached to the same journeys may."""
    apart = told.origin is None or said.origin is None or told.origin.source != said.origin.source
    return compared(group, "customers", told, said, True, apart=apart)


def _gap(row: Compared[K]) -> VoiceGap[K]:
    return VoiceGap(
        group=row.group, customers=row.against, employees=row.value, gap=row.difference, p=row.p,
        adjusted=row.adjusted, test=row.test, verdict=_VERDICTS[row.verdict],
    )  # fmt: skip
