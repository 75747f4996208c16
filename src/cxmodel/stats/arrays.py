"""Array primitives in linear time: dense codes, counting sort, segments, hashes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxmodel.stats.floats import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Keys = NDArray[np.uint64]
Codes = NDArray[np.unsignedinteger[Any]]
Scalar = TypeVar("Scalar", bound=np.generic)

_AT_ONCE: Final = 2**21
_SHORT: Final = 64
_SHORT_STRETCH: Final = 2**14
_NEARLY: Final = 4
_FEW: Final = 2
_GOLDEN: Final = 0x9E3779B97F4A7C15
_DIGITS: Final = np.arange(10_000)[:, None] // np.array([1000, 100, 10, 1]) % 10 + ord("0")
_FOUR_DIGITS: Final = _DIGITS.astype(np.uint8).view(np.uint32).ravel()
_POWERS: Final = np.array([10**place for place in range(1, 20)], np.uint64)
_MULTIPLIERS: Final = (_GOLDEN, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


def mix(keys: Keys, seed: int = 0) -> Keys:
    """A bijective scrambling of 64-bit keys (the finaliser of SplitMix64); same input, same output, everywhere.

    Example:
        >>> mix(np.array([0, 1], np.uint64)).tolist()
        [16294208416658607535, 10451216379200822465]
    """
    h = keys + np.uint64((_GOLDEN * (seed + 1)) & 0xFFFFFFFFFFFFFFFF)
    shifted = np.empty_like(h)  # one for all steps: handing out pages costs more than the steps
    for shift, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        h ^= np.right_shift(h, np.uint64(shift), out=shifted)
        h *= np.uint64(multiplier)
    h ^= np.right_shift(h, np.uint64(31), out=shifted)
    return h


def unmixed(keys: Keys) -> Keys:
    """The keys that `mix` scrambled, with the seed 0.

    Example:
        >>> unmixed(mix(np.array([0, 1], np.uint64))).tolist()
        [0, 1]
    """
    h: Keys = keys ^ keys >> np.uint64(31) ^ keys >> np.uint64(62)
    for shift, multiplier in ((27, 0x94D049BB133111EB), (30, 0xBF58476D1CE4E5B9)):
        h *= np.uint64(pow(multiplier, -1, 1 << 64))
        h ^= h >> np.uint64(shift) ^ h >> np.uint64(2 * shift)
    h -= np.uint64(_GOLDEN)
    return h


def hash_texts(data: NDArray[np.uint8], offsets: Ints) -> Keys:
    """64-bit hash of each text of a packed list, eight bytes at a time, all texts side by side.

    Args:
        data: UTF-8 bytes of all texts, one after the other.
        offsets: (n + 1,) text i is ``data[offsets[i]:offsets[i + 1]]``.

    Example:
        >>> h = hash_texts(np.frombuffer(b"abab", np.uint8), np.array([0, 2, 4]))
        >>> bool(h[0] == h[1])
        True
    """
    lengths = np.diff(offsets)
    longest = int(lengths.max(initial=0))
    if longest and longest == int(lengths.min()):
        return _hash_cells(data.reshape(-1, longest))
    padded = np.zeros(data.size + 8, np.uint8)
    padded[: data.size] = data
    words: Keys = np.ndarray((data.size + 1,), np.dtype("<u8"), padded, strides=(1,))
    h = mix(lengths.astype(np.uint64), 1)
    active = np.flatnonzero(lengths > 0)
    at = offsets[:-1].copy()
    while active.size:
        left = lengths[active] - (at[active] - offsets[active])
        tail = np.uint64(0xFFFFFFFFFFFFFFFF) >> (np.uint64(8) * (8 - np.minimum(left, 8)).astype(np.uint64))
        h[active] = mix(h[active] ^ (words[at[active]] & tail))
        at[active] += 8
        active = active[left > 8]
    return h


def _hash_cells(cells: NDArray[np.uint8]) -> Keys:
    """The same for texts of one length: a word of all of them at a time."""
    size, length = cells.shape
    h = np.empty(size, np.uint64)
    for start in range(0, size, _SHORT_STRETCH):
        part = cells[start : start + _SHORT_STRETCH]
        padded = np.zeros((part.shape[0], -(-length // 8) * 8), np.uint8)
        padded[:, :length] = part
        found = np.broadcast_to(mix(np.array([length], np.uint64), 1), part.shape[0])
        for word in padded.view(np.dtype("<u8")).T:
            found = mix(found ^ word)
        h[start : start + _SHORT_STRETCH] = found
    return h


def integer_texts(values: Ints) -> tuple[NDArray[np.uint8], Ints]:
    """Plain decimals of integers as a packed list of texts: bytes and offsets."""
    if not values.size:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    negative = values < 0
    whole = np.where(negative, np.negative(values).view(np.uint64), values.view(np.uint64))
    groups = -(-len(str(int(whole.max()))) // 4)
    quads = np.empty((values.size, groups + 1), np.uint32)  # four digits at a time, and room for a sign
    rest = whole
    for place in range(groups, 0, -1):
        shorter = rest // np.uint64(10_000)
        quads[:, place] = _FOUR_DIGITS[rest - shorter * np.uint64(10_000)]
        rest = shorter
    digits = quads.view(np.uint8)
    begin: Ints = digits.shape[1] - 1 - np.searchsorted(_POWERS, whole, "right") - negative
    signed = np.flatnonzero(negative)
    digits[signed, begin[signed]] = ord("-")
    offsets = offsets_of(digits.shape[1] - begin)
    if (begin == begin[0]).all():
        return digits[:, begin[0] :].ravel(), offsets
    return digits[np.arange(digits.shape[1]) >= begin[:, None]], offsets


def dense_codes(keys: Keys, *, repeated: bool = True) -> tuple[NDArray[np.int32], Keys]:
    """Codes 0 … k−1 of 64-bit keys and the k distinct keys, in linear expected time.

    Each round throws the open keys into a table; a slot belongs to one of its keys, the others go on to the next round
    with another hash. The first table is smaller than the rows where keys mostly repeat, since a small one stays in the
    cache; later ones have room for all that is left.

    Args:
        keys: The keys.
        repeated: Whether most keys are there many times.

    Example:
        >>> codes, distinct = dense_codes(np.array([7, 9, 7], np.uint64))
        >>> distinct[codes].tolist()
        [7, 9, 7]
    """
    codes = np.empty(keys.size, np.int32)
    distinct: list[Keys] = []
    rows: NDArray[np.intp] | None = None
    open_keys, base, turn = keys, 0, 0
    while open_keys.size:
        bits = max(8, int(open_keys.size).bit_length() + (1 if turn else -2 if repeated else 0))
        found, missed, owners = _thrown(open_keys, turn, bits)
        found += base
        if rows is None:
            codes, rows = found, missed
        else:
            codes[rows] = found
            rows = rows[missed]
        distinct.append(owners)
        base += int(owners.size)
        open_keys, turn = keys[rows], turn + 1
    return codes, np.concatenate(distinct) if distinct else keys


def _thrown(keys: Keys, turn: int, bits: int) -> tuple[NDArray[np.int32], NDArray[np.intp], Keys]:
    """For each key the number of the slot it falls into; the rows whose slot another key owns; the owners."""
    hashed = keys * np.uint64(_MULTIPLIERS[turn]) if turn < len(_MULTIPLIERS) else mix(keys, turn)
    hashed >>= np.uint64(64 - bits)
    slots = hashed.view(np.int64)
    owner = np.zeros(1 << bits, np.uint64)
    owner[slots] = keys
    missed = np.flatnonzero(owner[slots] != keys)
    used = owner != 0
    if not keys.all():  # the slot of the key 0 looks empty
        used[slots[np.argmin(keys)]] = True
    number = np.cumsum(used, dtype=np.int32)
    number -= 1
    return number[slots], missed, owner[used]


def exact_codes(key: Keys, *parts: NDArray[Any]) -> tuple[NDArray[np.signedinteger[Any]], Ints]:
    """Dense codes of rows that are equal in every part, and the first row of each.

    Args:
        key: (n,) a hash of the parts. Where rows that differ share one it is seen, and the parts are sorted instead.
        parts: What makes a row, (n,) each.

    Example:
        >>> a, b = np.array([1, 2, 1]), np.array([5, 5, 5])
        >>> codes, first = exact_codes(np.zeros(3, np.uint64), a, b)
        >>> codes.tolist(), first.tolist()
        ([0, 1, 0], [0, 1])
    """
    codes, distinct = dense_codes(key)
    first = np.full(distinct.size, key.size)
    first[codes[::-1]] = np.arange(key.size)[::-1]
    if all((part[first[codes]] == part).all() for part in parts):
        return codes, first
    order = np.lexsort(parts[::-1])
    fresh = np.zeros(key.size, np.bool_)
    fresh[0] = True
    for part in parts:
        fresh[1:] |= part[order[1:]] != part[order[:-1]]
    exact = np.empty(key.size, np.int64)
    exact[order] = np.cumsum(fresh) - 1
    return exact, order[fresh]


def members(keys: Keys, wanted: Keys) -> Bools:
    """(keys,) whether each is among the wanted ones: a small table lets few through, and those are looked up.

    Example:
        >>> members(np.array([7, 9, 7], np.uint64), np.array([7, 8], np.uint64)).tolist()
        [True, False, True]
    """
    if wanted.size <= _FEW:
        found = np.zeros(keys.size, np.bool_)
        for key in wanted:
            found |= keys == key
        return found
    shift = np.uint64(64 - max(8, int(wanted.size).bit_length() + 4))
    there = np.zeros(1 << 64 - int(shift), np.bool_)
    there[wanted * np.uint64(_GOLDEN) >> shift] = True
    out: Bools = there[keys * np.uint64(_GOLDEN) >> shift]
    rows, ordered = np.flatnonzero(out), np.sort(wanted)
    out[rows] = ordered[np.minimum(np.searchsorted(ordered, keys[rows]), wanted.size - 1)] == keys[rows]
    return out


def counting_order(codes: NDArray[np.integer[Any]], size: int) -> tuple[Ints, NDArray[np.integer[Any]]]:
    """Stable order by code in linear time: offsets (size + 1,) of each code, and the rows in that order.

    Example:
        >>> offsets, order = counting_order(np.array([1, 0, 1]), 2)
        >>> offsets.tolist(), order.tolist()
        ([0, 1, 3], [1, 0, 2])
    """
    return counting_sorted(codes, np.arange(codes.size, dtype=_index_type(codes.size, size)), size)


def counting_sorted(
    codes: NDArray[np.integer[Any]], values: NDArray[Scalar], size: int
) -> tuple[Ints, NDArray[Scalar]]:
    """Values in the stable order of their codes, in linear time: offsets (size + 1,) of each code, and the values.

    Example:
        >>> offsets, ordered = counting_sorted(np.array([1, 0, 1]), np.array([7, 8, 9]), 2)
        >>> offsets.tolist(), ordered.tolist()
        ([0, 1, 3], [8, 7, 9])
    """
    from scipy.sparse import csr_array

    n = codes.size
    small = _index_type(n, size)
    stored: Any = (values, codes.astype(small, copy=False), np.array([0, n], small))
    columns: Any = csr_array(stored, shape=(1, size)).tocsc()
    return columns.indptr.astype(np.int64), columns.data


def _index_type(rows: int, size: int) -> type[np.signedinteger[Any]]:
    return np.int32 if max(rows, size) < 2**31 - 1 else np.int64


def compress(codes: Ints) -> tuple[Ints, Ints]:
    """Distinct codes in ascending order, and for each row its place among them; codes are ≥ 0.

    A table where the range is small, a sort where it is not.

    Example:
        >>> distinct, place = compress(np.array([5, 2, 5]))
        >>> distinct.tolist(), place.tolist()
        ([2, 5], [1, 0, 1])
    """
    if not codes.size:
        return codes.astype(np.int64), codes.astype(np.int64)
    there = _table(codes)
    if there is None:
        return _sorted_apart(codes)
    distinct = np.flatnonzero(there)
    number = np.empty(there.size, np.int64)
    number[distinct] = np.arange(distinct.size)
    return distinct, number[codes]


def _sorted_apart(codes: Ints) -> tuple[Ints, Ints]:
    # a stable sort goes through what is nearly in order, as codes of customers mostly are, in linear time
    falls = np.count_nonzero(codes[1:] < codes[:-1])
    order = np.argsort(codes, kind="stable" if falls * _NEARLY < codes.size else None)
    ordered = codes[order]
    fresh = np.ones(codes.size, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    place = np.empty(codes.size, np.int64)
    place[order] = np.cumsum(fresh) - 1
    return np.asarray(ordered[fresh], np.int64), place


def distinct_codes(codes: Ints) -> Ints:
    """Distinct codes in ascending order; codes are ≥ 0.

    Example:
        >>> distinct_codes(np.array([5, 2, 5])).tolist()
        [2, 5]
    """
    if not codes.size:
        return codes.astype(np.int64)
    there = _table(codes)
    if there is not None:
        return np.flatnonzero(there)
    # numpy's own way without an inverse is a hash table, many times slower than its sort
    ordered: Ints = np.sort(codes)
    return np.asarray(ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])], np.int64)


def _table(codes: Ints) -> Bools | None:
    """Which codes are there, where their range is small."""
    top = int(codes.max()) + 1
    if not few(top, codes.size):
        return None
    there = np.zeros(top, np.bool_)
    there[codes] = True
    return there


def few(size: int, rows: int) -> bool:
    """Whether a table of this size costs no more than sorting so many rows."""
    return size <= 16 * rows + 65_536


def segment_of(offsets: Ints) -> Ints:
    """For each row of consecutive segments, the number of its segment.

    Example:
        >>> segment_of(np.array([0, 2, 2, 3])).tolist()
        [0, 0, 2]
    """
    return np.repeat(np.arange(offsets.size - 1), np.diff(offsets))


def offsets_of(lengths: NDArray[np.integer[Any]]) -> Ints:
    """Offsets (n + 1,) of consecutive segments with these lengths."""
    out = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The rows of several ranges, one after the other.

    Example:
        >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - lengths), lengths), np.int64)


def picked(values: NDArray[Any], starts: Ints, lengths: Ints) -> NDArray[Any]:
    """The values in several ranges, one after the other; the rows of few of them are held at once.

    Example:
        >>> picked(np.array([5, 6, 7, 8]), np.array([2, 0]), np.array([2, 1])).tolist()
        [7, 8, 5]
    """
    offsets = offsets_of(lengths)
    out = np.empty(int(offsets[-1]), values.dtype)
    for length, rows in _by_length(lengths):
        if length:
            _cells(out, length)[offsets[rows]] = _cells(values, length)[starts[rows]]
            continue
        for a, b in windows(lengths[rows], _AT_ONCE):
            some = rows[a:b]
            out[ranges(offsets[some], lengths[some])] = values[ranges(starts[some], lengths[some])]
    return out


def same_ranges(values: NDArray[Any], starts: Ints, others: Ints, lengths: Ints) -> bool:
    """Whether the values in each range are those in the range of the same length that begins at its other start.

    Example:
        >>> same_ranges(np.array([5, 6, 5, 6]), np.array([0]), np.array([2]), np.array([2]))
        True
    """
    for length, rows in _by_length(lengths):
        if length:
            cells = _cells(values, length)
            if (cells[starts[rows]] != cells[others[rows]]).any():
                return False
            continue
        for a, b in windows(lengths[rows], _AT_ONCE):
            size = lengths[rows[a:b]]
            here, there = (ranges(each[rows[a:b]], size) for each in (starts, others))
            if not np.array_equal(values[here], values[there]):
                return False
    return True


def _by_length(lengths: Ints) -> Iterator[tuple[int, Ints]]:
    """Rows of each short length, and last, under length 0, those of all longer ones."""
    order = np.argsort(np.minimum(lengths, _SHORT).astype(np.uint8), kind="stable")
    bounds = np.searchsorted(lengths[order], np.arange(1, _SHORT + 1)).tolist()
    for length, (a, b) in enumerate(pairwise([*bounds, lengths.size]), start=1):
        if a < b:
            yield length % _SHORT, order[a:b]


def _cells(values: NDArray[Any], length: int) -> NDArray[np.void]:
    """At each place the so many values that begin there, as one cell: it is fetched and stored at one go."""
    cell = np.dtype((np.void, length * values.itemsize))
    return np.ndarray((values.size - length + 1,), cell, values, strides=values.strides)


def windows(sizes: Ints, most: int) -> list[tuple[int, int]]:
    """Consecutive rows whose sizes add up to about ``most``; a row that is larger stands alone.

    Returns:
        First row of each window, and the row behind its last.

    Example:
        >>> windows(np.array([1, 2, 9, 1]), 4)
        [(0, 2), (2, 3), (3, 4)]
    """
    if not sizes.size:
        return []
    number = (np.cumsum(sizes) - sizes) // most
    large = sizes > most
    fresh = (np.diff(number) > 0) | large[1:] | large[:-1]
    bounds = [0, *(np.flatnonzero(fresh) + 1).tolist(), sizes.size]
    return list(pairwise(bounds))


def rows_until(segment: Ints, time: Ints, asked_segment: Ints, asked_time: Ints) -> Ints:
    """For each asked (segment, time), how many rows stand at or before it: a binary search of all asked side by side.

    Args:
        segment: (n,) segment of each row, ascending.
        time: (n,) time of each row, ascending inside a segment.
        asked_segment: (q,) segments asked for.
        asked_time: (q,) times asked for.

    Example:
        >>> rows_until(np.array([0, 0, 1]), np.array([5, 9, 2]), np.array([0, 1]), np.array([5, 1])).tolist()
        [1, 2]
    """
    low, high = (np.searchsorted(segment, asked_segment, side=side) for side in ("left", "right"))
    rows = np.flatnonzero(low < high)
    while rows.size:
        middle = (low[rows] + high[rows]) // 2
        passed = time[middle] <= asked_time[rows]
        low[rows] = np.where(passed, middle + 1, low[rows])
        high[rows] = np.where(passed, high[rows], middle)
        rows = rows[low[rows] < high[rows]]
    return np.asarray(low, np.int64)


def grouped_sum(groups: Ints, values: Floats | None, size: int) -> Floats:
    """Sum of values by group, as floats (``np.bincount`` with a fixed size)."""
    return np.bincount(groups, values, size).astype(np.float64)


def integers(codes: NDArray[np.integer[Any]]) -> list[int]:
    """Python integers of an array."""
    return codes.tolist()  # type: ignore[no-any-return]


def smallest_unsigned(size: int) -> type[np.unsignedinteger[Any]]:
    """The smallest unsigned type that holds the codes 0 … size − 1."""
    for kind in (np.uint8, np.uint16, np.uint32):
        if size <= np.iinfo(kind).max + 1:
            return kind
    return np.uint64
