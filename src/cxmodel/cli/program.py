"""The program: its commands, and what a user sees when one of them fails."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import Final

import click

from cxmodel import __version__
from cxmodel.cli.asking import funnel, graph, measure, paths
from cxmodel.cli.demo import demo
from cxmodel.cli.foretelling import orders, outlook, positions, what_if
from cxmodel.cli.looking import check, plugins
from cxmodel.cli.talk import Failure, say
from cxmodel.cli.weighing import drivers, priorities
from cxmodel.errors import CxmodelError

BAD_INPUT: Final = 2
INTERRUPTED: Final = 130


_HELP: Final = """Customer journeys as graphs of touchpoints: what customers did, what they said, and what came of it.

\b
Start here:
  cxmodel demo                              a worked example; pictures and tables go to out/
  cxmodel check events.csv                  what is in a file, and what could not be read
  cxmodel graph events.csv --out graph.svg  the journey graph as a picture
  cxmodel measure nps events.csv --responses survey.csv --score answer --by touchpoint

Data go to stdout, talk goes to stderr. Exit codes: 0 an answer, 1 no value to give, 2 bad input.
"""


class Program(click.Group):
    """A group of commands whose failures are one clear message and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> None:
        """Run a command; turn what goes wrong into words."""
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            try:
                super().invoke(ctx)
                sys.stdout.flush()
            except BrokenPipeError:
                _leave_quietly(ctx)
            except KeyboardInterrupt:
                say("Interrupted.")
                ctx.exit(INTERRUPTED)
            except (click.ClickException, click.exceptions.Exit, click.Abort):
                raise
            except Exception as error:
                if ctx.params.get("debug"):
                    traceback.print_exc()
                raise Failure(_words(error)) from error


def _warn(message: Warning | str, *_where: object, **_how: object) -> None:
    say(f"Warning: {message}")


def _leave_quietly(ctx: click.Context) -> None:
    """The reader of stdout (``| head``) has seen enough: that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    ctx.exit(0)


def _words(error: Exception) -> str:
    if isinstance(error, CxmodelError):
        return str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; try fewer files or columns"
    return (
        f"cxmodel itself failed ({type(error).__name__}: {error}).\n"
        f"This is a fault of cxmodel {__version__}, not yours. Please report this line with what you typed; "
        "'cxmodel --debug …' shows where."
    )


@click.group(
    cls=Program, help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, message="cxmodel %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def program(debug: bool) -> None:
    """Run a command."""
    del debug  # read where a command fails
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its caches is no news for the user


for _command in (
    demo, check, graph, paths, funnel, measure, drivers, priorities, outlook, positions, what_if, orders, plugins,
):  # fmt: skip
    program.add_command(_command)
