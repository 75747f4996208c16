"""The test run says what it left out, and fails for it when no gaps are allowed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

PASSES = "def test_passes():\n    assert True\n"
SKIPS = "import pytest\n\ndef test_skips():\n    pytest.skip('no reason')\n"
DRAWS = "import pytest\n\n@pytest.mark.needs_dot\ndef test_draws():\n    assert True\n"
READS = "import pytest\n\n@pytest.mark.open_data\ndef test_reads(open_data):\n    assert open_data.is_dir()\n"


def run(folder: Path, *tests: str, no_skips: bool) -> tuple[int, str]:
    """Run pytest with the house's conftest, without dot and without open data."""
    shutil.copy(HERE / "conftest.py", folder)
    for number, text in enumerate(tests):
        (folder / f"test_{number}.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    open_data\n    needs_dot\n", encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": str(folder),
        "CXMODEL_OPEN_DATA": str(folder / "nowhere"),
        "CXMODEL_NO_SKIPS": "1" if no_skips else "",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)]
    result = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    return result.returncode, result.stdout


def test_a_complete_run_passes(tmp_path: Path) -> None:
    code, text = run(tmp_path, PASSES, no_skips=True)
    assert code == 0, text
    assert "1 passed" in text


@pytest.mark.parametrize(
    ("gap", "said"), [(SKIPS, "1 skipped"), (DRAWS, "1 deselected for want of dot")], ids=["skip", "no dot"]
)
def test_a_gap_fails_only_when_none_is_allowed(tmp_path: Path, gap: str, said: str) -> None:
    code, text = run(tmp_path, PASSES, gap, no_skips=False)
    assert code == 0, text
    assert "CXMODEL_NO_SKIPS" not in text
    code, text = run(tmp_path, PASSES, gap, no_skips=True)
    assert code == 1, text
    assert f"because of {said}" in text


def test_absent_open_data_is_one_line(tmp_path: Path) -> None:
    code, text = run(tmp_path, PASSES, READS, no_skips=True)
    assert code == 0, text
    assert "1 passed, 1 deselected" in text
    assert text.count("tests on the open data are left out") == 1
