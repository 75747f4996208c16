"""The registry: which metrics, exporters and readers there are, and where from. All of pluggy stays in here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any, Final, Literal, TypeVar, cast

import pluggy
from attrs import define, field, frozen

from cxmodel.errors import PluginError, UnknownNameError, unknown
from cxmodel.plugins import hooks
from cxmodel.plugins.bases import Exporter, Reader
from cxmodel.tallies.metrics import Metric

Kind = Literal["metric", "exporter", "reader"]
C = TypeVar("C")

BUILT_IN: Final = ("cxmodel.metrics.builtin", "cxmodel.exporters.builtin", "cxmodel.readers.builtin")
_HOOKS: Final[dict[Kind, str]] = {
    "metric": "cxmodel_metrics", "exporter": "cxmodel_exporters", "reader": "cxmodel_readers",
}  # fmt: skip


class PluginWarning(UserWarning):
    """A plugin that could not be loaded and was left out."""


@frozen(kw_only=True)
class InstalledPlugin:
    """One metric, exporter or reader, or a distribution that is broken.

    Attributes:
        kind: ``"metric"``, ``"exporter"``, ``"reader"``, or ``"plugin"`` for a broken distribution.
        name: Its name.
        distribution: The distribution that brought it.
        version: That distribution's version.
        status: ``"ok"`` or ``"broken"``.
        reason: Why it is broken.
    """

    kind: str
    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken"] = "ok"
    reason: str | None = None

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "kind": self.kind, "name": self.name, "distribution": self.distribution, "version": self.version,
            "status": self.status, "reason": self.reason,
        }  # fmt: skip


@frozen
class _Entry:
    kind: Kind
    name: str
    class_: type[Any]
    distribution: str
    version: str


@define(eq=False)
class Registry:
    """Metrics, exporters and readers by name.

    The built-in ones come through the same hooks as anybody's. Third-party distributions are loaded on the first miss
    or when all are listed, each in isolation: a broken one is left out with one warning and listed with its reason.

    Attributes:
        strict: Raise on a broken plugin instead of warning.
        group: Group of the entry points to load; None to load no third-party plugin.
    """

    strict: bool = False
    group: str | None = hooks.GROUP
    _entries: dict[tuple[Kind, str], _Entry] = field(factory=dict, init=False)
    _broken: list[InstalledPlugin] = field(factory=list, init=False)
    _built_in: bool = field(default=False, init=False)
    _third_party: bool = field(default=False, init=False)

    def metric(self, name: str) -> type[Metric[object]]:
        """The metric with this name.

        Raises:
            UnknownNameError: When there is none; lists what is there.
        """
        return cast("type[Metric[object]]", self._find("metric", name))

    def exporter(self, name: str) -> type[Exporter[object]]:
        """The exporter with this name."""
        return cast("type[Exporter[object]]", self._find("exporter", name))

    def reader(self, name: str) -> type[Reader]:
        """The reader with this name."""
        return cast("type[Reader]", self._find("reader", name))

    def exporters(self, extension: str) -> list[type[Exporter[object]]]:
        """Exporters for a file's ending, the preferred one first; third-party ones are loaded on a miss."""
        self._load_built_in()
        found = self._ending(extension)
        if not found:
            self._load_third_party()
            found = self._ending(extension)
        return found

    def readers(self) -> list[type[Reader]]:
        """All readers, by name."""
        self._load_built_in()
        self._load_third_party()
        return [cast("type[Reader]", entry.class_) for entry in self._sorted() if entry.kind == "reader"]

    def installed(self) -> list[InstalledPlugin]:
        """Everything that is there, from where, and what is broken and why; sorted by kind and name."""
        self._load_built_in()
        self._load_third_party()
        fine = [
            InstalledPlugin(kind=e.kind, name=e.name, distribution=e.distribution, version=e.version)
            for e in self._sorted()
        ]
        return [*fine, *self._broken]

    def register(self, module: object, *, distribution: str, version_: str) -> None:
        """Take in what a module's hooks return.

        Args:
            module: A module or object with one of the hooks.
            distribution: Who brings it.
            version_: That distribution's version.

        Raises:
            PluginError: Two classes claim one name, or a hook returns something else than classes.
        """
        manager = pluggy.PluginManager(hooks.GROUP)
        manager.add_hookspecs(hooks)
        manager.register(module)
        taken: dict[tuple[Kind, str], _Entry] = {}
        for kind, hook in _HOOKS.items():
            for class_ in _flat(getattr(manager.hook, hook)()):
                entry = _checked(kind, class_, distribution, version_)
                owner = self._entries.get((kind, entry.name)) or taken.get((kind, entry.name))
                if owner is not None:
                    raise PluginError(
                        f"two {kind}s are called {entry.name!r}: {_place(owner)} and {_place(entry)}",
                        hint="One of them needs another name",
                    )
                taken[kind, entry.name] = entry
        self._entries.update(taken)

    def _find(self, kind: Kind, name: str) -> type[Any]:
        self._load_built_in()
        if (kind, name) not in self._entries:
            self._load_third_party()
        if (kind, name) not in self._entries:
            known = sorted(known for of, known in self._entries if of == kind)
            raise UnknownNameError(unknown(kind, name, known))
        return self._entries[kind, name].class_

    def _ending(self, extension: str) -> list[type[Exporter[object]]]:
        found = [
            cast("type[Exporter[object]]", entry.class_)
            for entry in self._sorted()
            if entry.kind == "exporter" and extension in entry.class_.extensions
        ]
        return sorted(found, key=lambda class_: class_.rank)

    def _sorted(self) -> list[_Entry]:
        return [self._entries[key] for key in sorted(self._entries)]

    def _load_built_in(self) -> None:
        if self._built_in:
            return
        self._built_in = True
        for name in BUILT_IN:
            self.register(import_module(name), distribution="cxmodel", version_=version("cxmodel"))

    def _load_third_party(self) -> None:
        if self._third_party or self.group is None:
            return
        self._third_party = True
        for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
            self._load(point)

    def _load(self, point: EntryPoint) -> None:
        distribution = point.dist.name if point.dist else point.value
        number = point.dist.version if point.dist else ""
        try:
            self.register(point.load(), distribution=distribution, version_=number)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            if self.strict:
                raise PluginError(f"plugin {point.name!r} of {distribution} cannot be loaded: {reason}") from error
            self._broken.append(
                InstalledPlugin(
                    kind="plugin",
                    name=point.name,
                    distribution=distribution,
                    version=number,
                    status="broken",
                    reason=reason,
                )
            )
            warnings.warn(
                f"plugin {point.name!r} of {distribution} {number} was left out: {reason}",
                PluginWarning,
                stacklevel=4,
            )


def _flat(results: Iterable[Sequence[type[Any]]]) -> list[type[Any]]:
    return sorted((class_ for result in results for class_ in result), key=lambda c: str(getattr(c, "name", c)))


def _checked(kind: Kind, class_: type[Any], distribution: str, number: str) -> _Entry:
    base: type[Any] = {"metric": Metric, "exporter": Exporter, "reader": Reader}[kind]
    if not isinstance(cast("object", class_), type) or not issubclass(class_, base):
        raise PluginError(f"cxmodel_{kind}s of {distribution} returned {class_!r}, which is no {base.__name__} class")
    name = getattr(class_, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"{class_.__module__}.{class_.__qualname__} of {distribution} has no name")
    return _Entry(kind, name, class_, distribution, number)


def _place(entry: _Entry) -> str:
    return f"{entry.class_.__module__}.{entry.class_.__qualname__} of {entry.distribution} {entry.version}"


@cache
def default_registry() -> Registry:
    """The registry that the façade uses."""
    return Registry()
