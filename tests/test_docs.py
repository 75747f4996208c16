"""The documentation names everything that users can import."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cxmodel as cx
import cxmodel.metrics
from cxmodel.metrics.builtin import cxmodel_metrics

DOCS = Path(__file__).parents[1] / "docs"
SHOWN = {
    "unit of analysis": "unit of analysis",
    "unit": r"\bunit\b",
    "range": r"\brange\b",
    "direction": r"\bdirection\b|\bbetter\b",
    "numerator and denominator, or formula": r"denominator|\bformula\b",
    "interval": r"\bintervals?\b",
    "source": r"\(https://doi\.org/|\*\*sources?\b",
    "a worked number": r"\{doctest\}",
    "what not to conclude": "misuse|what not to conclude",
}
MODULES = {"by", "datasets", "errors", "metrics"}


def reference() -> set[str]:
    """Last parts of all names that the reference pages take from the code."""
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "api").glob("*.md"))
    return {name.rpartition(".")[2] for name in re.findall(r"^\.\. (?:auto)?\w+:: (\S+)", pages, flags=re.MULTILINE)}


def test_every_public_name_stands_in_the_reference() -> None:
    public = {*cx.__all__, *cxmodel.metrics.__all__}
    assert public - reference() - MODULES == set()


def test_every_verb_of_journeys_stands_in_the_reference() -> None:
    verbs = {name for name, value in vars(cx.Journeys).items() if callable(value) and not name.startswith("_")}
    assert {"measure", *verbs} - reference() == set()


def test_every_page_is_reached_from_the_index() -> None:
    seen, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        for tree in re.findall(r"```\{toctree\}(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            names = [line.strip() for line in tree.splitlines() if line.strip() and not line.startswith(":")]
            found = {each for name in names for each in page.parent.glob(f"{name}.md")}
            waiting += found - seen
    assert seen == set(DOCS.rglob("*.md")) - set((DOCS / "_build").rglob("*.md"))


@pytest.mark.parametrize("metric", cxmodel_metrics(), ids=lambda metric: metric.name)
def test_every_metric_has_a_page_that_says_what_its_number_is(metric: type) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (DOCS / "methods").glob("*.md") if path.stem != "edge-cases"]
    named = [page for page in pages if re.search(rf"\b{metric.__name__}\b", page)]
    lacking = [[part for part, words in SHOWN.items() if not re.search(words, page, re.IGNORECASE)] for page in named]
    assert min(lacking, key=len, default=["a page"]) == []


@pytest.mark.parametrize("metric", cxmodel_metrics(), ids=lambda metric: metric.name)
def test_every_metric_has_a_docstring_with_a_summary_of_one_line(metric: type) -> None:
    first, *rest = (metric.__doc__ or "").splitlines()
    assert first.endswith(".")
    assert not rest or not rest[0].strip()
