"""Sphinx settings: Markdown pages, executed examples, no network."""

import tomllib
from pathlib import Path

_project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "cxmodel"
author = "the cxmodel founders"
copyright = "2026, the cxmodel founders"  # noqa: A001 - Sphinx's name
release = version = _project["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

doctest_global_setup = "import cxmodel as cx"
trim_doctest_flags = True

html_theme = "furo"
html_title = "cxmodel"
