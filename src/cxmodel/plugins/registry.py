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

from cxmodel.errors import PluginError, UnknownNameError, listed, unknown
from cxmodel.plugins import hooks
from cxmodel.plugins.bases import Exporter, Reader
from cxmodel.tallies.metrics import Metric

Kind = Literal["metric", "exporter", "reader"]
C = TypeVar("C")

BUILT_IN: Final = ("cxmodel.metrics.builtin", "cxmodel.exporters.builtin", "cxmodel.readers.builtin")
_SELF: Final = "cxmodel"
_HOOKS: Final[dict[Kind, str]] = {
    "metric": "cxmodel_metrics", "exporter": "cxmodel_exporters", "reader": "cxmodel_readers",
}  # fmt: skip
_NAMES: Final = tuple(_HOOKS.values())


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


class NameTakenError(PluginError):
    """A class claims a name that another class of its kind has."""

    def __init__(self, owner: _Entry, claimant: _Entry) -> None:
        super().__init__(
            f"two {owner.kind}s are called {owner.name!r}: {_place(owner)} and {_place(claimant)}",
            hint="One of them needs another name",
        )
        self.owner = owner


@define(eq=False)
class Registry:
    """Metrics, exporters and readers by name.

    The built-in ones come through the same hooks as anybody's. Third-party distributions are loaded on the first miss
    or when all are listed, each in isolation: a broken one is left out with one warning and listed with its reason. A
    name that two distributions claim belongs to neither: asking for it is an error that names both. A built-in name
    stays with the built-in class.

    Attributes:
        strict: Raise on a broken plugin instead of warning.
        group: Group of the entry points to load; None to load no third-party plugin.
    """

    strict: bool = False
    group: str | None = hooks.GROUP
    _entries: dict[tuple[Kind, str], _Entry] = field(factory=dict, init=False)
    _broken: list[InstalledPlugin] = field(factory=list, init=False)
    _contested: dict[tuple[Kind, str], NameTakenError] = field(factory=dict, init=False)
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
            NameTakenError: Two classes claim one name.
            PluginError: There is no hook, or a hook returns something else than classes.
        """
        manager = pluggy.PluginManager(hooks.GROUP)
        manager.add_hookspecs(hooks)
        manager.register(module)
        manager.check_pending()
        if not manager.get_hookcallers(module):
            raise PluginError(
                f"{getattr(module, '__name__', module)} has none of the hooks", hint=f"Hooks are {listed(_NAMES)}"
            )
        taken: dict[tuple[Kind, str], _Entry] = {}
        for kind, hook in _HOOKS.items():
            for class_ in _flat(getattr(manager.hook, hook)()):
                entry = _checked(kind, class_, distribution, version_)
                owner = taken.get((kind, entry.name)) or self._owner(kind, entry.name)
                if owner is not None:
                    raise NameTakenError(owner, entry)
                taken[kind, entry.name] = entry
        self._entries.update(taken)

    def _find(self, kind: Kind, name: str) -> type[Any]:
        self._load_built_in()
        if (kind, name) not in self._entries:
            self._load_third_party()
        if (kind, name) in self._contested:
            raise self._contested[kind, name]
        if (kind, name) not in self._entries:
            known = sorted(known for of, known in self._entries if of == kind)
            raise UnknownNameError(unknown(kind, name, known))
        return self._entries[kind, name].class_

    def _owner(self, kind: Kind, name: str) -> _Entry | None:
        contest = self._contested.get((kind, name))
        return contest.owner if contest is not None else self._entries.get((kind, name))

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
            self.register(import_module(name), distribution=_SELF, version_=version(_SELF))

    def _load_third_party(self) -> None:
        if self._third_party or self.group is None:
            return
        self._third_party = True
        for point in sorted(entry_points(group=self.group), key=_origin):
            self._load(point)

    def _load(self, point: EntryPoint) -> None:
        distribution, number, name = _origin(point)
        try:
            self.register(point.load(), distribution=distribution, version_=number)
        except (Exception, SystemExit) as error:
            # a foreign module may raise anything; the others still load
            reason = _one_line(f"{type(error).__name__}: {error}")
            if self.strict:
                raise PluginError(f"plugin {name!r} of {distribution} cannot be loaded: {reason}") from error
            if isinstance(error, NameTakenError):
                self._contest(error)
            self._leave_out("plugin", name, distribution, number, reason)
            words = f"plugin {name!r} of {distribution} {number} was left out: {reason}"
            warnings.warn(words, PluginWarning, stacklevel=4)

    def _contest(self, error: NameTakenError) -> None:
        """Take a name from a third-party owner: with two claimants it is nobody's."""
        owner = error.owner
        if owner.distribution != _SELF and self._entries.pop((owner.kind, owner.name), None) is not None:
            self._contested[owner.kind, owner.name] = error
            self._leave_out(owner.kind, owner.name, owner.distribution, owner.version, _one_line(str(error)))

    def _leave_out(self, kind: str, name: str, distribution: str, number: str, reason: str) -> None:
        self._broken.append(
            InstalledPlugin(
                kind=kind, name=name, distribution=distribution, version=number, status="broken", reason=reason
            )
        )


def _origin(point: EntryPoint) -> tuple[str, str, str]:
    """Distribution, its version, and the name of the entry point: what plugins are sorted by."""
    if point.dist is None:
        return point.value, "", point.name
    return point.dist.name, point.dist.version, point.name


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _flat(results: Iterable[Sequence[type[Any]]]) -> list[type[Any]]:
    return sorted((class_ for result in results for class_ in result), key=lambda c: str(getattr(c, "name", c)))


def _checked(kind: Kind, class_: type[Any], distribution: str, number: str) -> _Entry:
    base: type[Any] = {"metric": Metric, "exporter": Exporter, "reader": Reader}[kind]
    if not isinstance(cast("object", class_), type) or not issubclass(class_, base):
        raise PluginError(f"cxmodel_{kind}s of {distribution} returned {class_!r}, which is no {base.__name__} class")
    name = getattr(class_, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"{class_.__module__}.{class_.__qualname__} of {distribution} has no name")
    lacking = sorted(getattr(class_, "__abstractmethods__", ()))
    if lacking:
        raise PluginError(
            f"{class_.__module__}.{class_.__qualname__} of {distribution} does not define {listed(lacking)}"
        )
    return _Entry(kind, name, class_, distribution, number)


def _place(entry: _Entry) -> str:
    return f"{entry.class_.__module__}.{entry.class_.__qualname__} of {entry.distribution} {entry.version}"


@cache
def default_registry() -> Registry:
    """The registry that the façade uses."""
    return Registry()
