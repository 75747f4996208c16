"""Rule books: a file of rules that turn raw names into touchpoints."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast, get_args

from attrs import frozen

from cxmodel.errors import DocumentError, SourceNotFoundError, unknown
from cxmodel.model.rules import Rule, Unmatched

_KEYS: Final = ("rules", "unmatched")


@frozen
class RuleBook:
    """Rules, and what becomes of names that none of them matches."""

    rules: tuple[Rule, ...] = ()
    unmatched: Unmatched = "keep"

    @classmethod
    def read(cls, path: Path) -> RuleBook:
        """The rules of a JSON or TOML file: a list, or a table with ``rules`` and, if wanted, ``unmatched``.

        Raises:
            SourceNotFoundError: No such file.
            DocumentError: Neither JSON nor TOML, or no list of rules.
            InvalidValueError: One of the rules cannot be one.
        """
        content = _content(path)
        table = content if isinstance(content, Mapping) else {"rules": content}
        for key in table:
            if key not in _KEYS:
                raise DocumentError(f"{path.name}: {unknown('key', str(key), _KEYS)}")
        rules, unmatched = table.get("rules"), table.get("unmatched", "keep")
        if not isinstance(rules, list) or not rules:
            raise DocumentError(
                f"{path.name} holds no list of rules",
                hint='Write [{"glob": "/product/*", "to": "Product page"}], or in TOML [[rules]] above each of them',
            )
        if unmatched not in get_args(Unmatched):
            raise DocumentError(
                f"{path.name}: {unknown('treatment of unmatched names', str(unmatched), get_args(Unmatched))}"
            )
        return cls(tuple(Rule.from_dict(rule) for rule in rules), cast("Unmatched", unmatched))


def _content(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path} does not exist", hint="Write --rules rules.json") from None
    except (OSError, RecursionError) as error:
        raise DocumentError(f"{path.name} cannot be read: {error}") from None
    except ValueError as error:
        kind = "TOML" if path.suffix.lower() == ".toml" else "JSON"
        raise DocumentError(f"{path.name} is not {kind}: {error}") from None
