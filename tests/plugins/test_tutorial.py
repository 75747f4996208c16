"""The tutorial, step by step as it stands: its files are written, its commands run, its session gives what it shows."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "plugins" / "tutorial.md"
BLOCK = re.compile(r"^```(\S+)(?: (\S+))?\n(?::caption: (\S+)\n\n)?(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path, site: Path) -> str:
    """Run a step in a shell whose `python` is this one, with what was installed to `site`."""
    names = site.parent / "bin"
    names.mkdir(exist_ok=True)
    python = names / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    environment = {**os.environ, "PATH": f"{names}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(site)}
    done = subprocess.run(
        ["sh", "-ec", command], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tutorial")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")
    shutil.copytree(ROOT / "plugins" / "cxmodel-example", folder / "plugins" / "cxmodel-example", ignore=ignored)
    return folder


def test_every_step_works_as_written(place: Path) -> None:
    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    assert [kind for kind, *_ in blocks] == ["sh", *["{code-block}"] * 4, "sh", "pycon"]
    site, folder = place / "site", place
    for kind, _, path, text in blocks:
        if kind == "sh":
            # the environment of the tests stays as it is: the plugin is installed to a folder of its own
            run(text.replace("-e .", f"--quiet --target {site} ."), folder, site)
            folder = place / "cxmodel-nights"
        elif kind == "{code-block}":
            assert (folder / path).parent.is_dir()
            (folder / path).write_text(text, encoding="utf-8")
    session = doctest.DocTestParser().get_examples(blocks[-1][3])
    assert len(session) > 5
    (place / "session.txt").write_text(blocks[-1][3], encoding="utf-8")
    said = run("python -W error -m doctest -v session.txt", place, site)
    assert f"{len(session)} passed" in said


def test_no_code_on_the_pages_goes_unrun() -> None:
    kinds = {
        path.name: {kind for kind, *_ in BLOCK.findall(path.read_text(encoding="utf-8"))}
        for path in TUTORIAL.parent.glob("*.md")
    }
    assert kinds["how-to.md"] == {"{testcode}", "{testoutput}"}
    assert kinds["tutorial.md"] == {"sh", "{code-block}", "pycon"}
