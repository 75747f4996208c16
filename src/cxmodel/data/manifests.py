"""The manifest of a folder of prepared journeys: what it has to look like, and whose folder it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from cxmodel.data.writing import draft_of
from cxmodel.errors import DocumentError, InvalidValueError, SourceNotFoundError, listed

SCHEMA: Final = "cxmodel/prepared/1"
MANIFEST: Final = "manifest.json"
LOCK: Final = ".lock"
MARKED: Final = re.compile(r"[0-9a-f]{16}-(?:block-\d{5,}|identifiers|results)\.bin")
_DATA: Final = re.compile(rf"{MARKED.pattern}|(?:block-\d{{5,}}|identifiers|results)\.bin")
_MOST: Final = 2**63
_WORDS: Final[dict[type, str]] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", object: "a value",
}  # fmt: skip
_AGAIN: Final = "Prepare the journeys again"

# A type stands for its values, a list for lists of one shape, {str: …} for mappings with any keys, another mapping for
# these keys (with ? for those that may be missing), a pair with None for what may be null, a frozenset for its texts.
_MAYBE: Final = (str, None)
_ENTRY: Final = {"file": str, "bytes": int, "checksum": int, "arrays": {str: list}}
_COUNT: Final = {
    "reason": str, "count": int,
    "examples": [{"file": str, "row": int, "value": object, "?where": object}],
}  # fmt: skip
_QUESTION: Final = {
    "scale": {
        "kind": str, "low": float, "high": float, "satisfied": (float, None),
        "direction": frozenset({"higher", "lower"}),
    },
    "codes": {str: (float, None)}, "kind": frozenset({"transactional", "relational"}),
    "?respondent": frozenset({"customer", "employee"}),
}  # fmt: skip
_ROLES: Final = {
    "customer": str, "touchpoint": str, "time": str, "journey": _MAYBE, "until": _MAYBE, "value": _MAYBE,
    "named": {str: str}, "attributes": [str], "order": [str], "lifecycle": ([str], None), "instance": _MAYBE,
    "currency": _MAYBE, "?rules": [{str: object}], "?unmatched": frozenset({"keep", "other"}),
}  # fmt: skip
_MATCHED: Final = {"rows": int, "matched_rows": int, "targets": int, "matched_targets": int, "ambiguous": int}
_SHAPE: Final = {
    "schema": str,
    "vocabulary": {
        "touchpoints": [str], "columns": {str: ([str], None)}, "touchpoint_columns": {str: [str]},
        "questions": {str: _QUESTION}, "journeys": bool,
    },
    "reading": {"rows": int, "kept": int, "rejected": [_COUNT], "notes": [str]},
    "origin": {"source": str, "filters": [str], "window": [_MAYBE], "rejected": int},
    "currency": _MAYBE, "roles": (_ROLES, None), "identifiers": _ENTRY, "blocks": [_ENTRY], "?results": (_ENTRY, None),
    "?attached": ({"answers": int, "at_event": int, "whole_journey": int, "unmatched": [_COUNT]}, None),
    "?matched": [_MATCHED],
}  # fmt: skip


def as_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as its file holds it, with a checksum of its own."""
    checksum = crc32(json.dumps(manifest, ensure_ascii=False).encode())
    return json.dumps({"checksum": checksum, "manifest": manifest}, ensure_ascii=False)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a folder of prepared journeys, of the shape that it has to have.

    Raises:
        SourceNotFoundError: No such folder.
        DocumentError: It has no manifest, or one that is damaged, of another version, or not of this shape.
    """
    file = path / MANIFEST
    if not path.exists():
        raise SourceNotFoundError(f"{path} does not exist", hint="Prepare it with journeys.save(…)")
    if not file.is_file():
        raise DocumentError(f"{path} is no folder of prepared journeys: it has no {MANIFEST}")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        manifest: Any = document["manifest"]
        whole = crc32(json.dumps(manifest, ensure_ascii=False).encode()) == document["checksum"]
    except OSError as error:
        raise DocumentError(f"{file} cannot be read: {error.strerror or error}") from None
    except (KeyError, TypeError):
        raise DocumentError(f"{file} is no manifest of prepared journeys") from None
    except (ValueError, RecursionError):
        raise DocumentError(f"{file} is cut short or was altered", hint=_AGAIN) from None
    if not whole:
        raise DocumentError(f"{file} was altered: its checksum differs", hint=_AGAIN)
    schema: Any = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise DocumentError(
            f"{path} was written as {schema!r}, this version reads {SCHEMA!r}",
            hint="Prepare the journeys again with this version",
        )
    found: dict[str, Any] = manifest
    _check(found, file)
    return found


def files_of(manifest: Mapping[str, Any]) -> list[str]:
    """Names of the data files that a manifest lists, as often as it lists them."""
    entries = [manifest["identifiers"], *manifest["blocks"], manifest.get("results")]
    return [entry["file"] for entry in entries if entry is not None]


def replaceable(path: Path) -> frozenset[str]:
    """The data files that a folder lists now, where prepared journeys may take its place.

    Raises:
        InvalidValueError: When something is there that prepared journeys did not put there.
    """
    if not path.is_dir():
        return frozenset()
    there = frozenset[str]()
    if (path / MANIFEST).exists():  # before the folder is listed: what comes in later has a name that is known as ours
        try:
            there = frozenset(files_of(read_manifest(path)))
        except DocumentError as error:
            why = str(error).splitlines()[0]
            raise InvalidValueError(
                f"{path} is there and is no folder of prepared journeys that may be replaced: {why}",
                hint="Choose another folder, or remove this one first",
            ) from None
    known = {MANIFEST, LOCK, draft_of(path / MANIFEST).name, *there}
    strange = [
        each.name
        for each in sorted(path.iterdir())
        if each.is_dir() or not (each.name in known or MARKED.fullmatch(each.name))
    ]
    if strange:
        raise InvalidValueError(
            f"{path} is there and holds {listed(strange, 3)}, which is no part of prepared journeys",
            hint="Choose another folder, or move that elsewhere first",
        )
    return there


def _check(manifest: Mapping[str, Any], file: Path) -> None:
    wrong = _misfit(manifest, _SHAPE, "manifest")
    if wrong is not None:
        raise DocumentError(f"{file}: {wrong}", hint=_AGAIN)
    names = files_of(manifest)
    for name in names:
        if not _DATA.fullmatch(name):
            raise DocumentError(f"{file}: {name[:100]!r} is no name of a file of prepared journeys", hint=_AGAIN)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DocumentError(f"{file} lists {twice} more than once", hint=_AGAIN)


def _misfit(value: Any, shape: Any, where: str) -> str | None:
    """Where a value is not of a shape, in words; None where it is."""
    if isinstance(shape, tuple):
        either: tuple[Any, ...] = shape
        return None if value is None else _misfit(value, either[0], where)
    if isinstance(shape, list):
        each: list[Any] = shape
        return _misfit_items(value, each[0], where)
    if isinstance(shape, dict):
        keys: dict[Any, Any] = shape
        return _misfit_keys(value, keys, where)
    if isinstance(shape, frozenset):
        texts: list[str] = sorted(shape)
        return None if value in texts else _wrong(where, f"one of {listed(texts)}", value)
    return None if _is(value, shape) else _wrong(where, _WORDS[shape], value)


def _misfit_items(value: Any, shape: Any, where: str) -> str | None:
    if not isinstance(value, list):
        return _wrong(where, "a list", value)
    items: list[Any] = value
    if shape is str and all(type(item) is str for item in items):
        return None  # names, of which there may be hundreds of thousands
    return _first(_misfit(item, shape, f"{where}[{i}]") for i, item in enumerate(items))


def _misfit_keys(value: Any, shape: Mapping[Any, Any], where: str) -> str | None:
    if not isinstance(value, dict):
        return _wrong(where, "a mapping", value)
    content: dict[str, Any] = value
    if str in shape:
        return _first(_misfit(each, shape[str], f"{where}.{key[:50]}") for key, each in content.items())
    missing = next((key for key in shape if not key.startswith("?") and key not in content), None)
    if missing is not None:
        return f"{where} has no {missing!r}"
    asked = ((key.removeprefix("?"), each) for key, each in shape.items())
    return _first(_misfit(content[key], each, f"{where}.{key}") for key, each in asked if key in content)


def _first(found: Iterable[str | None]) -> str | None:
    return next((each for each in found if each is not None), None)


def _is(value: Any, kind: Any) -> bool:
    if kind in (int, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and -_MOST <= value < _MOST and (kind is float or isinstance(value, int))
    return isinstance(kind, type) and isinstance(value, kind)


def _wrong(where: str, wanted: str, value: Any) -> str:
    return f"{where} should be {wanted}, and is {repr(value)[:100]}"
