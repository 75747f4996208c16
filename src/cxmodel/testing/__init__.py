"""For tests of your own: journeys from a line of text, strategies for logs and surveys, and laws of every source.

It needs Hypothesis, which is imported only when this package is: ``pip install "cxmodel[testing]"``.
"""

from __future__ import annotations

from cxmodel.errors import MissingExtraError
from cxmodel.testing.notation import START, journeys_of, rows_of

try:
    from cxmodel.testing.laws import LAWS, Law, Read, every_source
    from cxmodel.testing.strategies import HOSTILE, Row, logs, surveys
except ImportError as error:
    raise MissingExtraError("cxmodel.testing needs Hypothesis", hint='Run: pip install "cxmodel[testing]"') from error

__all__ = [
    "HOSTILE", "LAWS", "START", "Law", "Read", "Row", "every_source", "journeys_of", "logs", "rows_of", "surveys",
]  # fmt: skip
