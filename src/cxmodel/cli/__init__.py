"""The command line: a thin skin over the library. Data go to stdout, talk to stderr.

Exit codes: 0 for an answer; 1 where there is no value to give (suppressed, or nothing to measure); 2 for bad input.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

from cxmodel.cli.program import program


def main() -> None:
    """Run the command that the arguments name, and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the machine prefers may have no arrow, and JSON is UTF-8
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    program.main(prog_name="cxmodel")


__all__ = ["main", "program"]
