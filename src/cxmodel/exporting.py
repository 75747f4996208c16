"""Exporting: a result goes to a file by the exporter that its ending asks for."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from attrs import frozen

from cxmodel.data.writing import write
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError, unknown
from cxmodel.plugins.bases import Exporter
from cxmodel.plugins.registry import InstalledPlugin, default_registry


@frozen(kw_only=True)
class Exported:
    """What was written.

    Attributes:
        path: Where.
        exporter: Which exporter wrote it.
        skipped: Exporters that could not, with the reason.
    """

    path: Path
    exporter: str
    skipped: tuple[tuple[str, str], ...] = ()


def export(obj: object, path: str | PathLike[str], *, exporter: str | None = None, **options: object) -> Exported:
    """Write a result to a file; the ending says how.

    Args:
        obj: A graph, an estimate, a breakdown, a funnel, paths, credits…
        path: Where to. Of several exporters for its ending the preferred one that works here is taken.
        exporter: Name of the exporter to use.
        options: Options of the exporter.

    Raises:
        UnknownNameError: No exporter writes such a file.
        NotMeasurableError: None of them can write this object here; says why for each.
    """
    target = Path(path)
    extension = _extension(target)
    classes = [default_registry().exporter(exporter)] if exporter else default_registry().exporters(extension)
    if not classes:
        endings = sorted({e for p in _all() for e in p.extensions})
        raise UnknownNameError(unknown("exporter for", extension or target.name, endings))
    fitting = [class_ for class_ in classes if isinstance(obj, class_.takes)]
    if not fitting:
        raise InvalidValueError(
            f"no exporter for {extension} takes a {type(obj).__name__}",
            hint="Endings that do: " + (", ".join(_endings_for(obj)) or "none"),
        )
    skipped: list[tuple[str, str]] = []
    for class_ in fitting:
        made = class_(**options)
        reason = made.missing(obj, extension)
        if reason is None:
            write(target, made.write(obj, extension))
            return Exported(path=target, exporter=class_.name, skipped=tuple(skipped))
        skipped.append((class_.name, reason))
    raise NotMeasurableError("; ".join(f"{name}: {reason}" for name, reason in skipped))


def installed_plugins() -> list[InstalledPlugin]:
    """Metrics, exporters and readers that are there, from where, and what is broken and why."""
    return default_registry().installed()


def _extension(path: Path) -> str:
    """The longest ending that an exporter knows, else the last suffix."""
    suffixes = path.suffixes
    if len(suffixes) < 2:
        return path.suffix.lower()
    known = {ending for class_ in _all() for ending in class_.extensions}
    for start in range(len(suffixes)):
        ending = "".join(suffixes[start:]).lower()
        if ending in known:
            return ending
    return path.suffix.lower()


def _all() -> list[type[Exporter[object]]]:
    registry = default_registry()
    return [registry.exporter(each.name) for each in registry.installed() if each.kind == "exporter"]


def _endings_for(obj: object) -> list[str]:
    return sorted({ending for class_ in _all() if isinstance(obj, class_.takes) for ending in class_.extensions})
