"""The same transitions through others, each in a process of its own: ``python benchmarks/peers/run.py [SIZE …]``.

Peers with dependencies of their own live in their own environments under ``benchmarks/.peers/``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import machine, make

HERE = Path(__file__).parent
HOMES = HERE.parent / ".peers"
OURS = "cxmodel"
BESIDE = (OURS, "polars", "duckdb")  # they need nothing that the project's environment does not hold
APART = ("pm4py", "retentioneering")
PATIENCE = 900  # seconds
NEAR = 0.001  # seconds: what medians may differ by and still be called equal


def environment(peer: str) -> tuple[Path | None, str]:
    """The interpreter of a peer, installed where it is not there yet, or the reason why there is none."""
    if peer in BESIDE:
        return Path(sys.executable), ""
    home, done = HOMES / peer, HOMES / peer / ".installed"
    python = home / "bin" / "python"
    if not done.exists():
        print(f"Installing {peer} into {home}", file=sys.stderr)
        wanted = [str(python), "-m", "pip", "install", "-q", "-r", str(HERE / f"{peer}.txt")]
        for command in ([sys.executable, "-m", "venv", "--clear", str(home)], wanted):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                return None, (ran.stderr.strip().splitlines() or ["no reason given"])[-1]
        done.touch()
    return python, ""


def ask(peer: str, python: Path, path: Path) -> dict[str, Any] | str:
    """One run of a peer, or the reason why it gave no answer."""
    settings = {**os.environ, "RETENTIONEERING_NO_TRACK": "1", "MPLBACKEND": "agg"}
    if peer in APART:
        settings.pop("PYTHONPATH", None)
    script = str(HERE / f"with_{peer}.py")
    try:
        ran = subprocess.run(
            [str(python), "-W", "ignore", script, str(path)],
            capture_output=True, text=True, check=False, env=settings, timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no answer in {PATIENCE} s"
    if ran.returncode:
        return (ran.stderr.strip().splitlines() or [f"it ended with {ran.returncode}"])[-1]
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def compared(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[bool, str]:
    """Whether the counts are equal, and in words how the answers compare."""
    for part in ("starts", "ends"):
        if ours[part] != theirs[part]:
            return False, f"other {part}"
    mine, other = ours["edges"], theirs["edges"]
    if {edge: n for edge, (n, _) in mine.items()} != {edge: n for edge, (n, _) in other.items()}:
        return False, "other counts"
    off = max(abs(mine[edge][1] - other[edge][1]) for edge in mine)
    return True, "equal" if off <= NEAR else f"counts equal, medians up to {off:.3g} s apart"


def table(events: int, pythons: dict[str, Path], runs: int) -> bool:
    """Print one size; whether all who answered counted the same."""
    path = make(events)
    found: dict[str, list[dict[str, Any]]] = {peer: [] for peer in pythons}
    silent: dict[str, str] = {}
    for _ in range(runs):  # turn by turn, so that a machine that slows down slows all
        for peer, python in pythons.items():
            told = silent.get(peer) or ask(peer, python, path)
            if isinstance(told, str):
                silent[peer] = told
            else:
                found[peer].append(told)
    walls = {peer: statistics.median(each["wall"] for each in told) for peer, told in found.items() if told}
    print(f"| {events:,} events | version | × ours | median s | peak MB | the answer |\n|---|---|---|---|---|---|")
    agree = True
    for peer in sorted(walls, key=walls.__getitem__):
        told = found[peer]
        same, words = (True, "–") if peer == OURS else compared(found[OURS][0], told[0])
        agree &= same
        ratio, mb = walls[peer] / walls[OURS], max(each["mb"] for each in told)
        print(f"| {peer} | {told[0]['version']} | {ratio:.2f} | {walls[peer]:.3f} | {mb:,} | {words} |")
    for peer, reason in silent.items():
        print(f"| {peer} | | | | | none: {reason} |")
    print(flush=True)
    return agree


def main() -> None:
    """Install, run, compare; fails where counts differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["1e5", "1e6"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*BESIDE, *APART], choices=[*BESIDE, *APART])
    options = parser.parse_args()
    print(f"{machine()}, Python {platform.python_version()}, median of {options.runs} runs\n")
    pythons: dict[str, Path] = {}
    for peer in dict.fromkeys([OURS, *options.only]):
        python, reason = environment(peer)
        if python is None:
            print(f"{peer} could not be installed: {reason}\n")
        else:
            pythons[peer] = python
    agree = [table(int(float(size)), pythons, options.runs) for size in options.sizes]
    if not all(agree):
        raise SystemExit("the answers differ")


if __name__ == "__main__":
    main()
