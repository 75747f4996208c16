"""The codec of states: what a tally saw, as bytes that travel between processes and engines. No pickle, no code.

Eight bytes say the format and its version, eight more the length of a head in JSON; the arrays follow, each at a
multiple of eight bytes. The head holds the state as a tree and the type and shape of every array. Plain values stand
for themselves, the others are lists that begin with their kind: ``array`` and ``number`` (their place among the
arrays), ``tuple``, ``mapping`` (its pairs), ``state`` (the class, then the values of its fields in order).

Only the classes that a `Tally` names as its state (the first of its type parameters), and those that their fields name,
are ever made from bytes; `allow` adds others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, Final, TypeVar, cast, get_args, get_type_hints

import numpy as np
from attrs import fields, has
from numpy.typing import NDArray

from cxmodel.errors import DocumentError, InvalidValueError
from cxmodel.tallies.metrics import Tally

MAGIC: Final = b"cxstate\x01"
_ALIGNMENT: Final = 8
_KINDS: Final = frozenset("biufcmMSU")

Array = NDArray[Any]
C = TypeVar("C", bound=type)
_allowed: dict[str, type[Any]] = {}


def encode(state: object) -> bytes:
    """A state as bytes.

    Args:
        state: Frozen attrs classes, arrays, numbers, text, None, and tuples and mappings of these.

    Raises:
        InvalidValueError: It holds something else.

    Example:
        >>> decode(encode((1, 2.5, "x", None, {3: np.arange(2)})))
        (1, 2.5, 'x', None, {3: array([0, 1])})
    """
    arrays: list[Array] = []
    tree = _tree(state, arrays)
    table = [[array.dtype.str, list(array.shape)] for array in arrays]
    head = json.dumps({"state": tree, "arrays": table}, separators=(",", ":")).encode()
    parts = [MAGIC, len(head).to_bytes(8, "little"), head, bytes(-len(head) % _ALIGNMENT)]
    for array in arrays:
        parts += [array.tobytes(), bytes(-array.nbytes % _ALIGNMENT)]
    return b"".join(parts)


def decode(data: bytes) -> Any:
    """The state that these bytes hold; its arrays are read-only.

    Raises:
        DocumentError: Not a state, of another version, cut short, or of a class that is no tally's state.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise DocumentError(f"these bytes are no state of this version: they begin with {data[: len(MAGIC)]!r}")
    at = len(MAGIC) + 8
    length = int.from_bytes(data[len(MAGIC) : at], "little")
    try:
        head = json.loads(data[at : at + length])
        arrays = _arrays(data, at + length + -length % _ALIGNMENT, head["arrays"])
        return _value(head["state"], arrays)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"a state was cut short or altered: {error}") from None


def allow(class_: C) -> C:
    """Let states of this class be read, although no tally names it; usable as a decorator."""
    for each in _classes(class_):
        _allowed[_name(each)] = each
    return class_


def _tree(value: object, arrays: list[Array]) -> object:
    """The value as JSON; its arrays go into the list."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.kind not in _KINDS:
            raise InvalidValueError(f"a state holds an array of {array.dtype}", hint="Keep numbers, times or text")
        arrays.append(array.astype(array.dtype.newbyteorder("<"), order="C", copy=False))
        return ["array" if isinstance(value, np.ndarray) else "number", len(arrays) - 1]
    if type(value) is tuple:
        return ["tuple", *(_tree(each, arrays) for each in value)]
    if isinstance(value, Mapping):
        return ["mapping", *([_tree(key, arrays), _tree(each, arrays)] for key, each in value.items())]
    class_: type[Any] = type(value)
    if has(class_):
        return ["state", _name(class_), *(_tree(getattr(value, each.name), arrays) for each in fields(class_))]
    raise InvalidValueError(
        f"a state holds a {type(value).__name__}",
        hint="A state is a frozen attrs class of arrays, numbers, text, None, and tuples and mappings of these",
    )


def _arrays(data: bytes, at: int, table: Sequence[tuple[str, Sequence[int]]]) -> list[Array]:
    out = []
    for dtype, shape in table:
        kind = np.dtype(dtype)
        if kind.kind not in _KINDS:
            raise DocumentError(f"a state holds an array of {kind}")
        size = prod(shape)
        out.append(np.frombuffer(data, kind, size, at).reshape(shape) if size else np.zeros(shape, kind))
        at += size * kind.itemsize
        at += -at % _ALIGNMENT
    return out


def _value(tree: object, arrays: Sequence[Array]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, *rest = tree
    if kind in {"array", "number"}:
        return arrays[rest[0]] if kind == "array" else arrays[rest[0]][()]
    if kind == "tuple":
        return tuple(_value(each, arrays) for each in rest)
    if kind == "mapping":
        return {_value(key, arrays): _value(each, arrays) for key, each in rest}
    if kind == "state":
        class_ = _class_named(rest[0])
        names = [each.alias for each in fields(class_)]
        values = (_value(each, arrays) for each in rest[1:])
        return class_(**dict(zip(names, values, strict=True)))
    raise DocumentError(f"a state holds something of unknown kind {kind!r}")


def _class_named(name: str) -> type[Any]:
    if name not in _allowed:
        for tally in _below(Tally):
            for class_ in _state_classes(tally):
                _allowed[_name(class_)] = class_
    if name not in _allowed:
        raise DocumentError(
            f"{name} is the state of no tally that is loaded here",
            hint=f"Declare it: class YourMetric(Tally[{name.rpartition(':')[2]}, Estimate])",
        )
    return _allowed[name]


def _name(class_: type[Any]) -> str:
    return f"{class_.__module__}:{class_.__qualname__}"


def _below(class_: type[Any]) -> Iterator[type[Any]]:
    for each in class_.__subclasses__():
        yield each
        yield from _below(each)


def _state_classes(tally: type[Any]) -> Iterator[type[Any]]:
    """The classes that a tally names in its first type parameter, and those that their fields name."""
    for base in tally.__dict__.get("__orig_bases__", ()):
        if getattr(base, "__origin__", None) is Tally:
            yield from _classes(get_args(base)[0])


def _classes(kind: object) -> Iterator[type[Any]]:
    for part in get_args(kind):
        yield from _classes(part)
    if isinstance(kind, type) and has(cast("type[Any]", kind)):
        yield kind
        try:
            hints = get_type_hints(kind)
        except NameError:
            return  # a type that is imported for checkers only: what it names is refused when it is met
        for each in fields(kind):
            yield from _classes(hints.get(each.name))
