"""The registry, with real distributions made on the fly: isolation, names, order, laziness, old plugins."""

import inspect
import itertools
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

import cxmodel as cx
from cxmodel.errors import PluginError, UnknownNameError
from cxmodel.plugins import API_VERSION, Metric, RawEvent, hooks
from cxmodel.plugins.registry import BUILT_IN, InstalledPlugin, NameTakenError, PluginWarning, Registry

GROUP = "cxmodel.trial"
HEAD = """
from attrs import frozen
from cxmodel.plugins import Exporter, Metric, Reader, WholeMetric, hookimpl
"""
METRIC = """
@frozen
class {class_}(WholeMetric[int]):
    name = {name!r}
    def compute(self, population, *, by, level):
        return 1
"""
HOOK = """
@hookimpl
def cxmodel_metrics():
    return {returned}
"""


class Site:
    """A folder on the path to which distributions are installed."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch
        self.modules: list[str] = []
        self.counter = itertools.count()

    def install(self, distribution: str, code: str, *, version: str = "1.0", group: str = GROUP) -> str:
        """Install a distribution of one module and one entry point, and give the module's name."""
        module = f"trial_{distribution.replace('-', '_')}_{self.folder.name}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(f"[{group}]\n{distribution} = {module}\n", encoding="utf-8")
        self.modules.append(module)
        self.patch.syspath_prepend(self.folder)
        return module

    def metrics(self, distribution: str, *names: str, version: str = "1.0") -> str:
        """Install a distribution with metrics of these names."""
        classes = [METRIC.format(class_=f"M{i}", name=name) for i, name in enumerate(names)]
        returned = "[" + ", ".join(f"M{i}" for i in range(len(names))) + "]"
        return self.install(distribution, HEAD + "".join(classes) + HOOK.format(returned=returned), version=version)

    def imported(self) -> list[str]:
        """Modules of the distributions here that have been imported."""
        return [module for module in self.modules if module in sys.modules]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    place = Site(tmp_path, monkeypatch)
    yield place
    for module in place.imported():
        del sys.modules[module]


def third_party(registry: Registry) -> list[InstalledPlugin]:
    return [each for each in registry.installed() if each.distribution != "cxmodel"]


def test_listing_tells_where_from(site: Site) -> None:
    site.metrics("trial-two", "zeta", "alpha", version="2.1")
    site.metrics("trial-one", "mid")
    assert third_party(Registry(group=GROUP)) == [
        InstalledPlugin(kind="metric", name="alpha", distribution="trial-two", version="2.1"),
        InstalledPlugin(kind="metric", name="mid", distribution="trial-one", version="1.0"),
        InstalledPlugin(kind="metric", name="zeta", distribution="trial-two", version="2.1"),
    ]
    every = [each.to_dict() for each in Registry(group=GROUP).installed()]
    assert {"kind": "metric", "name": "nps", "distribution": "cxmodel", "version": cx.__version__, "status": "ok",
            "reason": None} in every  # fmt: skip


BROKEN = {
    "import": ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    "syntax": ("def broken(:", "SyntaxError: "),
    "exit": ("raise SystemExit('bye')", "SystemExit: bye"),
    "hook-raises": (HEAD + HOOK.format(returned="1 / 0"), "ZeroDivisionError: division by zero"),
    "one-class": (HEAD + METRIC.format(class_="M", name="m") + HOOK.format(returned="M"), "not iterable"),
    "text": (HEAD + HOOK.format(returned="'M'"), "returned 'M', which is no Metric class"),
    "instance": (
        HEAD + METRIC.format(class_="M", name="m") + HOOK.format(returned="[M()]"),
        "returned M(), which is no Metric class",
    ),
    "other-kind": (
        HEAD + "class R(Reader):\n    name = 'r'\n" + HOOK.format(returned="[R]"),
        "which is no Metric class",
    ),
    "no-name": (
        HEAD + METRIC.format(class_="M", name="") + HOOK.format(returned="[M]"),
        "M of trial-bad has no name",
    ),
    "name-never-set": (
        HEAD + METRIC.format(class_="M", name="m").replace("name = 'm'", "pass") + HOOK.format(returned="[M]"),
        "M of trial-bad has no name",
    ),
    "unfinished": (
        HEAD + "class M(WholeMetric[int]):\n    name = 'm'\n" + HOOK.format(returned="[M]"),
        "M of trial-bad does not define 'compute'",
    ),
    "no-hook": ("x = 1", "has none of the hooks"),
    "misspelt-hook": (HEAD + HOOK.format(returned="[]").replace("cxmodel_metrics", "cxmodel_metric"), "cxmodel_metric"),
    "hook-with-arguments": (HEAD + HOOK.format(returned="[]").replace("()", "(config)", 1), "config"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_left_out_alone_with_one_warning_and_listed(site: Site, case: str) -> None:
    code, words = BROKEN[case]
    site.install("trial-bad", code)
    site.metrics("trial-good", "fine")
    registry = Registry(group=GROUP)
    with pytest.warns(PluginWarning) as caught:
        listed = third_party(registry)
    assert len(caught) == 1
    assert "plugin 'trial-bad' of trial-bad 1.0 was left out: " in str(caught[0].message)
    good, bad = listed
    assert (good.name, good.status) == ("fine", "ok")
    assert (bad.kind, bad.name, bad.distribution, bad.version, bad.status) == (
        "plugin", "trial-bad", "trial-bad", "1.0", "broken",
    )  # fmt: skip
    assert words in str(bad.reason)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert third_party(registry) == listed
        assert registry.metric("fine").name == "fine"


@pytest.mark.parametrize("case", BROKEN)
def test_strict_raises_with_the_cause(site: Site, case: str) -> None:
    code, words = BROKEN[case]
    site.install("trial-bad", code)
    with pytest.raises(PluginError, match="'trial-bad' of trial-bad cannot be loaded") as caught:
        Registry(strict=True, group=GROUP).installed()
    assert words in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_name_that_two_plugins_claim_is_nobodys(site: Site) -> None:
    one, two = site.metrics("trial-one", "same", "own"), site.metrics("trial-two", "same")
    registry = Registry(group=GROUP)
    with pytest.warns(PluginWarning, match="two metrics are called 'same'") as caught:
        listed = third_party(registry)
    assert len(caught) == 1
    assert [(each.kind, each.name, each.distribution, each.status) for each in listed] == [
        ("metric", "own", "trial-one", "ok"),
        ("metric", "same", "trial-one", "broken"),
        ("plugin", "trial-two", "trial-two", "broken"),
    ]
    with pytest.raises(NameTakenError) as error:
        registry.metric("same")
    assert str(error.value).startswith(
        f"two metrics are called 'same': {one}.M0 of trial-one 1.0 and {two}.M0 of trial-two 1.0\n"
    )
    assert registry.metric("own").name == "own"


def test_a_third_claimant_gets_it_neither(site: Site) -> None:
    for name in ("trial-a", "trial-b", "trial-c"):
        site.metrics(name, "same")
    registry = Registry(group=GROUP)
    with pytest.warns(PluginWarning) as caught:
        assert {each.status for each in third_party(registry)} == {"broken"}
    assert len(caught) == 2
    with pytest.raises(NameTakenError, match=r"of trial-a 1\.0 and .* of trial-b 1\.0"):
        registry.metric("same")


def test_a_built_in_name_stays_built_in(site: Site) -> None:
    module = site.metrics("trial-one", "nps")
    registry = Registry(group=GROUP)
    with pytest.warns(PluginWarning):
        (listed,) = third_party(registry)
    assert f"cxmodel.metrics.survey.Nps of cxmodel {cx.__version__} and {module}.M0 of trial-one 1.0" in str(
        listed.reason
    )
    assert registry.metric("nps") is cx.metrics.Nps
    with pytest.raises(PluginError, match="two metrics are called 'nps'"):
        Registry(strict=True, group=GROUP).installed()


def test_one_plugin_that_claims_a_name_twice_is_broken(site: Site) -> None:
    site.metrics("trial-one", "same", "same")
    with pytest.warns(PluginWarning, match=r"M0 of trial-one 1\.0 and .*M1 of trial-one 1\.0"):
        (listed,) = third_party(Registry(group=GROUP))
    assert listed.status == "broken"


def test_registering_by_hand_raises_at_once() -> None:
    registry = Registry(group=None)
    assert registry.metric("nps") is cx.metrics.Nps
    with pytest.raises(NameTakenError, match=r"of cxmodel .* and .* of mine 3"):
        registry.register(sys.modules["cxmodel.metrics.builtin"], distribution="mine", version_="3")


def test_built_in_names_load_no_third_party_plugin_and_a_miss_does(site: Site) -> None:
    site.metrics("trial-one", "mine")
    registry = Registry(group=GROUP)
    assert registry.metric("nps").name == "nps"
    assert registry.exporter("json").name == "json"
    assert [class_.name for class_ in registry.exporters(".json")][-1:] != []
    assert site.imported() == []
    assert registry.metric("mine").name == "mine"
    assert site.imported() == site.modules


def test_listing_and_an_unknown_name_load_all(site: Site) -> None:
    site.metrics("trial-one", "mine")
    with pytest.raises(UnknownNameError, match=r"'mien'.*Did you mean 'mine'"):
        Registry(group=GROUP).metric("mien")
    assert site.imported() == site.modules


def test_without_a_group_there_are_only_built_in_ones() -> None:
    assert {each.distribution for each in Registry(group=None).installed()} == {"cxmodel"}


@pytest.mark.parametrize("order", list(itertools.permutations(["trial-a", "trial-b", "trial-c"])))
def test_order_of_installing_means_nothing(site: Site, order: tuple[str, ...]) -> None:
    names = {"trial-a": ("zeta", "beta"), "trial-b": ("alpha",), "trial-c": ("mid", "beta2")}
    for distribution in order:
        site.metrics(distribution, *names[distribution])
    assert [each.name for each in third_party(Registry(group=GROUP))] == ["alpha", "beta", "beta2", "mid", "zeta"]


CALLS = """
import sys
from cxmodel.plugins import hookimpl

def said(hook):
    sys.modules["cxmodel"].__dict__.setdefault("_said", []).append(f"{__name__.split('_')[2]}.{hook}")
    return []

@hookimpl
def cxmodel_readers():
    return said("readers")

@hookimpl
def cxmodel_metrics():
    return said("metrics")

@hookimpl
def cxmodel_exporters():
    return said("exporters")
"""


def test_order_of_hooks_is_the_golden_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setitem(vars(cx), "_said", said)
    for name in ("trial-two", "trial-one"):
        site.install(name, CALLS)
    Registry(group=GROUP).installed()
    assert said == [
        "one.metrics", "one.exporters", "one.readers",
        "two.metrics", "two.exporters", "two.readers",
    ]  # fmt: skip


def test_built_in_plugins_come_through_the_same_hooks() -> None:
    returned = {
        (hook.removeprefix("cxmodel_").removesuffix("s"), class_.name)
        for module in map(import_module, BUILT_IN)
        for hook in ("cxmodel_metrics", "cxmodel_exporters", "cxmodel_readers")
        for class_ in getattr(module, hook, list)()
    }
    listed = {(each.kind, each.name) for each in Registry(group=None).installed()}
    assert {("metric", "nps"), ("exporter", "json")} <= listed
    assert listed == returned


def test_hooks_of_version_1_are_kept() -> None:
    found = {name: inspect.signature(value) for name, value in vars(hooks).items() if name.startswith("cxmodel_")}
    assert API_VERSION == 1
    assert set(found) == {"cxmodel_metrics", "cxmodel_exporters", "cxmodel_readers"}
    assert all(not signature.parameters for signature in found.values())


def test_an_old_plugin_goes_on_loading_and_working(site: Site, tmp_path: Path) -> None:
    frozen = Path(__file__).parent / "frozen" / "written_for_api_1.py"
    site.install("trial-old", frozen.read_text(encoding="utf-8"))
    registry = Registry(strict=True, group=GROUP)
    assert [(each.kind, each.name, each.status) for each in third_party(registry)] == [
        ("exporter", "node_list", "ok"), ("metric", "night_share", "ok"), ("reader", "lines", "ok"),
    ]  # fmt: skip
    path = tmp_path / "a.lines"
    path.write_text("lines\nann ad 2026-01-01T02:00\nann shop 2026-01-01T12:00\nann\n", encoding="utf-8")
    assert registry.readers()[0]().detects(path.read_bytes())
    rows = list(registry.reader("lines")().rows(path))
    events = [
        {"who": row.customer, "what": row.touchpoint, "at": row.time} for row in rows if isinstance(row, RawEvent)
    ]
    journeys = cx.read_events(events, customer="who", touchpoint="what", time="at")
    night_share = cast("Callable[..., Metric[object]]", registry.metric("night_share"))
    found = journeys.measure(night_share(until=6))
    assert isinstance(found, cx.Estimate)
    assert (found.value, found.n) == (0.5, 2)
    assert registry.exporter("node_list")().write(journeys.graph(), ".nodes") == b"ad\nshop"


def test_the_facade_loads_plugins_of_its_group(site: Site) -> None:
    site.install(
        "trial-real",
        HEAD + METRIC.format(class_="M", name="one") + HOOK.format(returned="[M]"),
        group="cxmodel",
    )
    site.install("trial-bad", "raise OSError('no')", group="cxmodel")
    code = (
        f"import sys; sys.path.insert(0, {str(site.folder)!r})\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "import cxmodel as cx\n"
        "rows = [{'who': 'ann', 'what': 'ad', 'at': '2026-01-01'}]\n"
        "journeys = cx.read_events(rows, customer='who', touchpoint='what', time='at')\n"
        "print(journeys.measure('one'))\n"
        "print([(p.name, p.status, p.reason) for p in cx.installed_plugins() if p.distribution.startswith('trial')])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "1",
        "[('one', 'ok', None), ('trial-bad', 'broken', 'OSError: no')]",
    ]
