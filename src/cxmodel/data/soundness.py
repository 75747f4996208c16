"""Soundness: whether arrays that were read from files fit together, so that no question meets nonsense later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from numpy.typing import NDArray

from cxmodel.data.blocks import Vocabulary
from cxmodel.data.texts import Identifiers
from cxmodel.errors import DocumentError

Arrays = Mapping[str, NDArray[Any]]

# name of an array → kind and bytes of its numbers (0 for any), and what there is one of for each
_NEEDED: Final = {
    "customer_offsets": ("i8", "customers + 1"), "journey_offsets": ("i8", "journeys + 1"),
    "customer": ("u8", "customers"), "touchpoint": ("u", "events"), "time": ("i8", "events"),
}  # fmt: skip
_ALLOWED: Final = _NEEDED | {
    "until": ("i8", "events"), "value": ("f8", "events"), "removed": ("i", "events"), "journey_id": ("u8", "journeys"),
    "still_open": ("b1", "journeys"), "cut": ("b1", "journeys"),
}  # fmt: skip
_ANSWERS: Final = {
    "journey": "i", "event": "i", "touchpoint": "i", "question": "i", "score": "f8", "time": "i8", "weight": "f8",
}  # fmt: skip


def check_block(arrays: Arrays, vocabulary: Vocabulary, *, thorough: bool) -> None:
    """Refuse a block whose arrays do not fit each other or the vocabulary.

    Args:
        arrays: Its arrays by name.
        vocabulary: What their codes mean.
        thorough: Look at the numbers too: whether every code means something and every row is there.

    Raises:
        DocumentError: What does not fit.
    """
    _check_sizes(arrays, vocabulary)
    if thorough:
        _check_rows(arrays, vocabulary)


def check_alike(blocks: Sequence[Arrays]) -> None:
    """Refuse blocks that do not have the same columns.

    Raises:
        DocumentError: When they have not.
    """
    if any(_columns(arrays) != _columns(blocks[0]) for arrays in blocks):
        raise DocumentError("its blocks have different columns")


def check_identifiers(manifest: Mapping[str, Any], ids: Arrays) -> None:
    """Refuse ids, facts about touchpoints and renamed names that do not fit each other.

    Raises:
        DocumentError: What does not fit.
    """
    for role in ("customers", "journeys"):
        if f"{role}:keys" in ids:
            _need(_is(ids[f"{role}:keys"], "u8"), f"{role}:keys")
            _check_texts(ids, role, ids[f"{role}:keys"].size)
    vocabulary = manifest["vocabulary"]
    for name, labels in vocabulary["touchpoint_columns"].items():
        codes = ids[f"touchpoint:{name}"]
        _need(_is(codes, "u") and codes.size == len(vocabulary["touchpoints"]), f"touchpoint:{name}")
        _below(codes, len(labels), f"touchpoint:{name}")
    roles = manifest["roles"]
    if "renaming:rule" in ids and roles is not None:
        size = ids["renaming:rule"].size
        _check_texts(ids, "renaming", size)
        _check_texts(ids, "renaming:touchpoints", ids["renaming:touchpoints:offsets"].size - 1)
        for name in ("rule", "touchpoint", "events"):
            _need(_is(ids[f"renaming:{name}"], "i8") and ids[f"renaming:{name}"].size == size, f"renaming:{name}")
        _below(ids["renaming:rule"], len(roles.get("rules", ())), "renaming:rule", least=-1)
        _below(
            ids["renaming:touchpoint"], ids["renaming:touchpoints:offsets"].size - 1, "renaming:touchpoint", least=-1
        )


def _columns(arrays: Arrays) -> set[str]:
    return {name for name in arrays if name.startswith(("event:", "journey:"))}


def _check_sizes(arrays: Arrays, vocabulary: Vocabulary) -> None:
    for name in _NEEDED:
        _need(name in arrays, name)
    sizes = {
        "customers": arrays["customer"].size, "customers + 1": arrays["customer"].size + 1,
        "journeys": arrays["journey_offsets"].size - 1, "journeys + 1": arrays["journey_offsets"].size,
        "events": arrays["time"].size,
    }  # fmt: skip
    for name, array in arrays.items():
        role, _, column = name.partition(":")
        if not column:
            kind, unit = _ALLOWED.get(name, ("", ""))
        elif role == "answer":
            kind, unit = _ANSWERS.get(column, ""), "answers"
            sizes.setdefault("answers", array.size)
        else:
            kind = "f8" if vocabulary.columns[column] is None else "u"
            unit = {"event": "events", "journey": "journeys"}.get(role, "")
        _need(_is(array, kind) and array.size == sizes.get(unit), name)
    if "answers" in sizes:
        for column in _ANSWERS:
            _need(f"answer:{column}" in arrays, f"answer:{column}")
    _check_offsets(arrays["customer_offsets"], sizes["journeys"], "customer_offsets")
    _check_offsets(arrays["journey_offsets"], sizes["events"], "journey_offsets")
    _need("journey_id" not in arrays or vocabulary.journeys is not None, "journey_id")


def _check_rows(arrays: Arrays, vocabulary: Vocabulary) -> None:
    for name in ("customer_offsets", "journey_offsets"):
        _need(bool((arrays[name][1:] >= arrays[name][:-1]).all()), name)
    touchpoints = len(vocabulary.touchpoints)
    _below(arrays["touchpoint"], touchpoints, "touchpoint")
    for name in _columns(arrays):
        labels = vocabulary.columns[name.partition(":")[2]]
        if labels is not None:
            _below(arrays[name], max(len(labels), 1), name)
    _check_known(arrays["customer"], vocabulary.customers, "customer")
    if "journey_id" in arrays and vocabulary.journeys is not None:
        _check_known(arrays["journey_id"], vocabulary.journeys, "journey_id")
    if "answer:journey" in arrays:
        _below(arrays["answer:journey"], arrays["journey_offsets"].size - 1, "answer:journey")
        _below(arrays["answer:event"], arrays["time"].size, "answer:event", least=-1)
        _below(arrays["answer:touchpoint"], touchpoints, "answer:touchpoint", least=-1)
        _below(arrays["answer:question"], len(vocabulary.questions), "answer:question")


def _check_texts(ids: Arrays, name: str, size: int) -> None:
    data, offsets = ids[f"{name}:data"], ids[f"{name}:offsets"]
    _need(_is(data, "u1"), f"{name}:data")
    _need(_is(offsets, "i8") and offsets.size == size + 1, f"{name}:offsets")
    _check_offsets(offsets, data.size, f"{name}:offsets")


def _check_offsets(offsets: NDArray[Any], end: int, name: str) -> None:
    _need(offsets.size > 0 and offsets[0] == 0 and offsets[-1] == end, name)


def _check_known(keys: NDArray[Any], identifiers: Identifiers, name: str) -> None:
    """No key lies beyond the last that has a text; whether each has one would take a search for every row."""
    if identifiers.keys is not None and keys.size:
        _need(identifiers.keys.size > 0 and keys.max() <= identifiers.keys[-1], name)


def _below(codes: NDArray[Any], size: int, name: str, *, least: int = 0) -> None:
    if codes.size:
        _need(bool(codes.max() < size and (codes.dtype.kind == "u" or codes.min() >= least)), name)


def _is(array: NDArray[Any], kind: str) -> bool:
    return bool(kind) and f"{array.dtype.kind}{array.dtype.itemsize}".startswith(kind)


def _need(holds: bool, name: str) -> None:
    if not holds:
        raise DocumentError(f"the array {name!r} is missing, or is not what the others make of it")
