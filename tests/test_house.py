"""The rules of the house, held by tests: floors, sizes, versions, locks, a light import."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
LOCKS = sorted(ROOT.glob("constraints*.txt"))
HEAVY = {"duckdb", "matplotlib", "nanoarrow", "networkx", "numpy", "scipy", "pandas", "polars", "pyarrow"}
MOST_LINES = 650
MOST_IMPORT_SECONDS = 0.15


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def project_files() -> list[Path]:
    folders = ("src", "tests", "docs", "plugins", "benchmarks", ".ci")
    inside = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    kinds = {".py", ".md", ".toml", ".txt", ".in", ".yaml", ".json", ""}
    skipped = {"_build", "__pycache__", ".peers"}  # what others wrote
    return [
        path
        for path in [*ROOT.iterdir(), *inside]
        if path.is_file() and path.suffix in kinds and not skipped & set(path.parts) and path != Path(__file__)
    ]


def test_imports_point_down() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([tool, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Imports point down KEPT" in run.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_functions_are_short() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert not lengths or lengths[int(0.95 * len(lengths))] <= 40


def test_version_is_the_newest_of_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = re.findall(
        r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert versions[0] == project["version"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_lock_holds_names_versions_and_hashes_only(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    allowed = re.compile(r"[a-z0-9._-]+==[^ ]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert lines
    assert [line for line in lines if not allowed.fullmatch(line)] == []
    assert [line for line in lines if "://" in line or "@" in line] == []


def test_locks_agree() -> None:
    run, dev = (
        set(re.findall(r"^[a-z0-9._-]+==.*$", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE))
        for name in ("constraints.txt", "constraints-dev.txt")
    )
    assert run
    assert run <= dev


def test_no_place_of_one_machine_and_no_unfinished_mark() -> None:
    unwanted = re.compile(r"(?<!emit-)index-url|/home/|/root/|/Users/|\bTODO\b|\bFIXME\b|\bXXX\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in project_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if unwanted.search(line)
    ]
    assert found == []


def test_import_is_light() -> None:
    loaded = set(python("import sys, cxmodel; print(*sys.modules)").split())
    assert "cxmodel" in loaded
    assert loaded & HEAVY == set()


def test_import_is_quick() -> None:
    code = "import time; start = time.perf_counter(); import cxmodel; print(time.perf_counter() - start)"
    runs = [float(python(code)) for _ in range(5)]
    print(f"import cxmodel: {min(runs) * 1000:.0f} ms, best of {len(runs)}")  # noqa: T201 - pytest -rP shows it
    assert min(runs) < MOST_IMPORT_SECONDS
