"""Sphinx settings: Markdown pages, executed examples, no network."""

import doctest
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
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Examples write files: each page works in a folder of its own that goes when the page is done.
doctest_global_setup = """
import os, tempfile
_before, _folder = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(_folder.name)
import cxmodel as cx
"""
doctest_global_cleanup = """
os.chdir(_before)
_folder.cleanup()
"""
# Outputs and messages of errors are compared word by word.
doctest_default_flags = doctest.DONT_ACCEPT_TRUE_FOR_1
# Examples in docstrings run with the tests, in the module that they stand in.
doctest_test_doctest_blocks = ""
trim_doctest_flags = True

html_theme = "furo"
html_title = "cxmodel"
