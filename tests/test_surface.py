"""The top-level names: one table, its mirror for type checkers, `__all__`, and none that a submodule overwrites."""

import ast
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

import pytest

import cxmodel as cx

HOMES: dict[str, str] = vars(cx)["_HOMES"]
MODULES: tuple[str, ...] = vars(cx)["_MODULES"]
TREE = ast.parse(Path(cx.__file__).read_text(encoding="utf-8"))


def mirrored() -> dict[str, str]:
    """Name → where the block for type checkers imports it from."""
    block = next(
        node
        for node in TREE.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_table_mirror_and_all_agree() -> None:
    table = {name: f"cxmodel.{home}" for name, home in HOMES.items()}
    modules = dict.fromkeys(MODULES, "cxmodel")
    assert mirrored() == {**table, **modules}
    assert cx.__all__ == sorted(cx.__all__)
    assert set(cx.__all__) == set(mirrored())
    assert len(cx.__all__) == len(set(cx.__all__))


@pytest.mark.parametrize("name", cx.__all__)
def test_each_name_is_the_object_of_its_home(name: str) -> None:
    value = getattr(cx, name)
    if name in MODULES:
        assert value is sys.modules[f"cxmodel.{name}"]
    else:
        assert value is getattr(import_module(f"cxmodel.{HOMES[name]}"), name)
        assert value.__module__.startswith("cxmodel.")
    assert name in dir(cx)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        cx.mesure  # type: ignore[attr-defined] # noqa: B018


def test_importing_every_submodule_overwrites_no_name() -> None:
    before = {name: getattr(cx, name) for name in cx.__all__}
    modules = [
        each.name for each in pkgutil.walk_packages(cx.__path__, "cxmodel.") if not each.name.endswith("__main__")
    ]
    assert len(modules) > 50
    for module in modules:
        import_module(module)
    assert {name: getattr(cx, name) for name in cx.__all__} == before
    direct = {module.split(".")[1] for module in modules}
    assert direct & set(cx.__all__) == set(MODULES)
