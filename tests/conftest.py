"""What every test shares: Hypothesis profiles, the open data, and an account of what was left out."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
OPEN_DATA = (ROOT / os.environ.get("CXMODEL_OPEN_DATA", "../shared")).resolve()
NO_SKIPS = os.environ.get("CXMODEL_NO_SKIPS", "") not in {"", "0"}

settings.register_profile("quick", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=150)
settings.load_profile("quick")


def left_out() -> dict[str, str]:
    """Give each marker whose tests cannot run here, with why and how to get what is missing."""
    missing: dict[str, str] = {}
    if not (OPEN_DATA / "data").is_dir():
        missing["open_data"] = (
            f"tests on the open data are left out: no folder {OPEN_DATA}/data "
            "(set CXMODEL_OPEN_DATA to the folder that holds data/ and reference/)"
        )
    if shutil.which("dot") is None:
        missing["needs_dot"] = (
            "tests that draw with Graphviz are left out: no program dot "
            "(apt-get install graphviz, or brew install graphviz)"
        )
    return missing


LEFT_OUT = left_out()
DESELECTED: dict[str, int] = dict.fromkeys(LEFT_OUT, 0)


@pytest.fixture(scope="session")
def open_data() -> Path:
    """Give the folder that holds `data/` and `reference/`; for tests marked `open_data`."""
    return OPEN_DATA


def pytest_report_header() -> list[str]:
    return list(LEFT_OUT.values())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        missing = [marker for marker in LEFT_OUT if item.get_closest_marker(marker)]
        for marker in missing:
            DESELECTED[marker] += 1
        (dropped if missing else kept).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def not_run(reporter: pytest.TerminalReporter) -> list[str]:
    """Say in words what a run that allows no gaps has left out."""
    counts = {name: len(reporter.stats.get(name, ())) for name in ("skipped", "xfailed", "xpassed")}
    gaps = [f"{count} {name}" for name, count in counts.items() if count]
    if DESELECTED.get("needs_dot"):
        gaps.append(f"{DESELECTED['needs_dot']} deselected for want of dot")
    return gaps


def terminal(config: pytest.Config) -> pytest.TerminalReporter | None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter if isinstance(reporter, pytest.TerminalReporter) else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = terminal(session.config)
    if NO_SKIPS and reporter is not None and not_run(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    gaps = not_run(terminalreporter)
    if NO_SKIPS and gaps:
        terminalreporter.write_line(f"CXMODEL_NO_SKIPS: the run fails because of {', '.join(gaps)}.", red=True)
