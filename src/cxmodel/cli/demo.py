"""The worked example: two studies that the project generates itself, from files to findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from attrs import field, frozen

from cxmodel.cli.talk import as_json, document_of, say, write_text
from cxmodel.errors import CxmodelError

if TYPE_CHECKING:
    from cxmodel.datasets import Study
    from cxmodel.journeys import Journeys

PICTURES: Final = (".svg", ".png")


@frozen(eq=False)
class Folder:
    """Where one study's files go, and what became of each.

    Attributes:
        path: The folder.
        written: Files written, in order.
        skipped: Files that could not be written → why.
    """

    path: Path
    written: list[Path] = field(factory=list[Path])
    skipped: dict[str, str] = field(factory=dict[str, str])

    def keep(self, result: object, *names: str) -> None:
        """Export a result under each name; one that no exporter can write here is noted, not fatal."""
        from cxmodel.exporting import export

        for name in names:
            try:
                self.written.append(export(result, self.path / name).path)
            except CxmodelError as error:
                self.skipped[str(self.path / name)] = str(error).splitlines()[0]

    def keep_measured(self, result: object, metric: str, name: str) -> None:
        """Keep a measurement as JSON."""
        path = self.path / name
        write_text(path, as_json(document_of(result, metric)))
        self.written.append(path)


def prepared(study: Study, folder: Path, *, until: str | None = None, contact: str | None = None) -> Journeys:
    """Write a study as CSV files and read them back as anybody would: events, facts and every question.

    Args:
        study: The study.
        folder: Where its files go.
        until: Column of the events with their end, where they have one.
        contact: Column of the events with the contact person, where they have one.
    """
    from cxmodel.datasets import Table
    from cxmodel.model.scales import Scale
    from cxmodel.opening import read_events
    from cxmodel.responses import read_responses

    study.write_csv(folder)
    journeys = read_events(
        folder / "events.csv", customer="customer", touchpoint="touchpoint", time="time", journey="journey",
        channel="channel", department="department", source="source", value="value", until=until, contact=contact,
    )  # fmt: skip
    journeys = journeys.with_touchpoints(study.catalogue)
    journeys = journeys.with_customers(folder / "customers.csv", customer="customer", attributes=["persona"])
    for question, scale in study.scales.items():
        asked = study.responses["question"] == question
        path = folder / f"answers_{question}.csv"
        Table({name: column[asked] for name, column in study.responses.columns.items()}).write_csv(path)
        answers = read_responses(
            path, customer="customer", journey="journey", score="score", scale=Scale.parse(scale), time="time",
            touchpoint="about", question=question, codes={study.blank: None},
        )  # fmt: skip
        journeys = journeys.with_responses(answers)
    return journeys


@click.command(short_help="A worked example; pictures and tables go to out/.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out"), show_default=True,
    help="Folder for pictures and tables.",
)  # fmt: skip
def demo(out: Path) -> None:
    """Two studies with a known truth, from files to findings: a museum and a car rental.

    Generates the data, writes them as CSV, reads them back, draws the journey graphs and measures what people felt
    and did. What was found is told in words; pictures, tables and data go to the folder.
    """
    from cxmodel.cli.stories import car_rental_story, museum_story
    from cxmodel.datasets import car_rental, museum

    folders = [Folder(out / "museum"), Folder(out / "car_rental")]
    stories = [museum_story(museum(), folders[0]), car_rental_story(car_rental(), folders[1])]
    click.echo("Two made-up studies. Behind each number: [its 95 % interval] and n, the cases that it rests on.\n")
    for lines in stories:
        click.echo("\n".join([*lines, ""]))
    click.echo("\n".join(_files(folders, out)))
    for folder in folders:
        for path, reason in folder.skipped.items():
            say(f"Not written: {path}: {reason}")


def _files(folders: list[Folder], out: Path) -> list[str]:
    written = [path for folder in folders for path in folder.written]
    pictures = [str(path) for path in written if path.suffix in PICTURES]
    lines = ["Pictures: " + (", ".join(pictures) or "none could be drawn here (see below)")]
    lines.append(
        f"Tables as JSON: {sum(path.suffix == '.json' for path in written)} files in {out}; data as CSV beside them"
    )
    lines.append(
        f"Ask further: cxmodel measure ces2 {out}/museum/events.csv --responses {out}/museum/answers_ces.csv "
        "--code 11= --by channel"
    )
    return lines
