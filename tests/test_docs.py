"""The documentation names everything that users can import."""

from __future__ import annotations

import re
from pathlib import Path

import cxmodel as cx
import cxmodel.metrics

DOCS = Path(__file__).parents[1] / "docs"
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
