"""Fields: what a column is read as, and the expression that reads it from each type that a source may hold."""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

from cxmodel.data.sources import literal, quoted

Kind = Literal["id", "text", "number", "time", "any"]

_INTEGERS: Final = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_REALS: Final = ("FLOAT", "DOUBLE", "DECIMAL")
_WIDE: Final = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})
_ZONED: Final = r":.*([zZ]|[+-][0-9]{2}(:?[0-9]{2}){0,2}| ?[A-Za-z][A-Za-z_/]+)$"


@frozen
class Field:
    """One column to read.

    Attributes:
        role: What it is called from here on.
        column: Its name in the source.
        kind: ``"id"`` (compared as text), ``"text"`` (coded), ``"number"``, ``"time"``, or ``"any"`` (numbers stay
            numbers, all else is coded).
        required: Rows without it are rejected.
    """

    role: str
    column: str
    kind: Kind
    required: bool = False


def is_integer(type_: str) -> bool:
    """Whether an engine type is a whole number that fits 64 bits with sign."""
    return type_ in _INTEGERS


def is_number(type_: str) -> bool:
    """Whether an engine type is a number."""
    return type_ in _INTEGERS or type_ in _WIDE or type_.startswith(_REALS)


def text_of(column: str, type_: str) -> str:
    """The column as text: integral floats without ``.0``."""
    name = quoted(column)
    if type_.startswith(_REALS):
        whole = f"{name} = floor({name}) AND abs({name}) < 1e15"
        return f"(CASE WHEN {whole} THEN {name}::BIGINT::VARCHAR ELSE {name}::VARCHAR END)"
    return name if type_ == "VARCHAR" else f"{name}::VARCHAR"


def hash_of(text: str, salt: int) -> str:
    """The engine's 64-bit hash of a text, of a missing one too; another salt parts texts that had one hash.

    The salt goes before the text: ``hash(text, salt)`` hashes the two apart and combines the hashes, so that equal
    hashes stay equal under every salt.
    """
    return f"hash({text})" if salt == 0 else f"hash('{salt} ' || {text})"


def number_of(column: str, type_: str) -> str:
    """The column as a number; not a number becomes missing."""
    name = quoted(column)
    if is_number(type_):
        return f"{name}::DOUBLE"
    return f"TRY_CAST({name}::VARCHAR AS DOUBLE)"


def time_of(column: str, type_: str, unit: int | None) -> str:
    """The column as µs UTC, or as µs of a wall clock where it names no zone.

    Args:
        column: Its name.
        type_: Its type.
        unit: For numbers since 1970: how many µs one is worth.
    """
    name = quoted(column)
    if unit:
        return f"TRY_CAST(TRY_CAST({name} AS {'BIGINT' if is_integer(type_) else 'DOUBLE'}) * {unit} AS BIGINT)"
    if type_.startswith("TIMESTAMP"):
        return f"(CASE WHEN isfinite({name}) THEN epoch_us({name}) END)"
    if type_ == "DATE":
        return f"epoch_us({name}::TIMESTAMP)"
    parsed = f"TRY_CAST({name}::VARCHAR AS TIMESTAMPTZ)"
    inside = f"{parsed} BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'"
    return f"(CASE WHEN {inside} THEN epoch_us({parsed}) END)"


def names_zone(column: str, type_: str, unit: int | None) -> str:
    """Whether a time names its zone: 1, or 0 for a wall clock."""
    if "TIME ZONE" in type_ or unit:
        return "1::UTINYINT"
    if type_.startswith("TIMESTAMP") or type_ == "DATE":
        return "0::UTINYINT"
    return f"regexp_matches({quoted(column)}::VARCHAR, {literal(_ZONED)})::UTINYINT"


def fault_of(column: str, parsed: str, type_: str) -> str:
    """The raw text where it is there but does not parse; missing elsewhere."""
    name = quoted(column)
    return f"(CASE WHEN {parsed} IS NULL AND {name} IS NOT NULL THEN {name}::VARCHAR END)"
