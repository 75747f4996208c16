"""What a command says: data on stdout or in a file, talk on stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import click

Format = Literal["text", "json"]
NO_ANSWER: Final = 1


class Failure(click.ClickException):
    """A failure in words; exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """The message, on stderr."""
        first, *hints = self.format_message().splitlines() or [""]
        say("Error: " + first)
        for hint in hints:
            say("  " + hint)


def say(text: str) -> None:
    """Talk: to stderr."""
    click.echo(text, err=True)


def document_of(result: object, metric: str) -> dict[str, Any]:
    """The JSON document of whatever a metric gave."""
    from cxmodel.exporters.documents import document

    return document(result, metric=metric)


def as_json(document: object) -> str:
    """A document as the text that stdout and files get."""
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)


def deliver(
    result: object, text: str, document: Mapping[str, Any], *, format_: Format | None, out: Path | None
) -> None:  # fmt: skip
    """Hand a result over: to a file in the form its ending asks for, and to stdout in the form asked for.

    Args:
        result: What the exporters get.
        text: It for people.
        document: It as JSON.
        format_: ``"text"`` or ``"json"``; None for text, or for nothing where a file is written.
        out: The file.
    """
    if out is not None:
        write(result, text, document, out)
    if format_ == "json":
        click.echo(as_json(document))
    elif format_ == "text" or out is None:
        click.echo(text)


def write(result: object, text: str, document: Mapping[str, Any], out: Path) -> None:
    """Write a result to a file; text and JSON are as on stdout, every other ending is an exporter's."""
    ending = out.suffix.lower()
    if ending in (".json", ".txt"):
        write_text(out, as_json(document) if ending == ".json" else text)
        say(f"Wrote {out}")
        return
    from cxmodel.exporting import export

    done = export(result, out)
    for name, reason in done.skipped:
        say(f"Note: {name} was not used: {reason}")
    say(f"Wrote {done.path} (by {done.exporter})")


def write_text(out: Path, text: str) -> None:
    """Write a text and the end of its last line, all or nothing."""
    from cxmodel.data.writing import write

    write(out, f"{text}\n".encode())
