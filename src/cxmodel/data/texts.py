"""Packed texts and identifiers: many strings without a Python object each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.stats.arrays import Bools, Ints, Keys, Scalar, hash_texts, integer_texts, members, offsets_of, ranges


@frozen(eq=False, repr=False)
class Texts:
    """A packed list of UTF-8 texts.

    Attributes:
        data: Bytes of all texts, one after the other.
        offsets: (n + 1,) where each begins.
    """

    data: NDArray[np.uint8]
    offsets: Ints

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Pack texts."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        return cls(
            np.frombuffer(b"".join(encoded), np.uint8),
            offsets_of(np.array([len(e) for e in encoded], np.int64)),
        )

    @classmethod
    def joined(cls, parts: list[Texts]) -> Texts:
        """Several lists, one after the other."""
        lengths = [np.diff(part.offsets) for part in parts]
        data = np.concatenate([part.data for part in parts]) if parts else np.zeros(0, np.uint8)
        return cls(data, offsets_of(np.concatenate(lengths) if lengths else np.zeros(0, np.int64)))

    def __len__(self) -> int:
        return int(self.offsets.size - 1)

    def __getitem__(self, i: int) -> str:
        return bytes(self.data[self.offsets[i] : self.offsets[i + 1]]).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def take(self, rows: NDArray[np.integer[Any]]) -> Texts:
        """These texts, in this order."""
        width = self._width
        if width is not None:
            taken = self.data.reshape(len(self), width)[rows]
            return Texts(taken.ravel(), np.arange(taken.shape[0] + 1) * width)
        starts, lengths = self.offsets[rows], np.diff(self.offsets)[rows]
        return Texts(self.data[ranges(starts, lengths)], offsets_of(lengths))

    @property
    def _width(self) -> int | None:
        """The length of all texts where they share one, as ids often do."""
        lengths = np.diff(self.offsets)
        return int(lengths[0]) if lengths.size and lengths[0] and (lengths == lengths[0]).all() else None

    def keys(self) -> Keys:
        """A 64-bit hash of each text, the same on every engine and machine."""
        return hash_texts(self.data, self.offsets)

    def blank(self, first: NDArray[np.uint8] | None = None) -> Bools:
        """(n,) which are empty or nothing but white space.

        Args:
            first: First byte of each, 0 where it is empty, if that is known already and none begins with the byte 0.
        """
        blank = np.diff(self.offsets) == 0 if first is None else first == 0
        if first is None:
            first = np.zeros(len(self), np.uint8)
            first[~blank] = self.data[self.offsets[:-1][~blank]]
        if not first.size or (first.min() > ord(" ") and first.max() < 0xC2):
            return np.asarray(blank)
        for row in np.flatnonzero(~blank & ((first <= ord(" ")) | (first >= 0xC2) & (first <= 0xE3))).tolist():
            blank[row] = not self[row].strip()
        return np.asarray(blank)

    def inserted(self, at: Ints, texts: Texts) -> Texts:
        """With a few texts put in before these rows."""
        data = _inserted(self.data, self.offsets[at], texts.data, texts.offsets[1:-1])
        return Texts(data, offsets_of(_inserted(np.diff(self.offsets), at, np.diff(texts.offsets))))

    def same(self, other: Texts) -> NDArray[np.bool_]:
        """Row by row, whether two equally long lists hold the same text."""
        lengths = np.diff(self.offsets)
        equal = lengths == np.diff(other.offsets)
        rows = np.flatnonzero(equal & (lengths > 0))
        width = lengths[rows]
        differs = self.data[ranges(self.offsets[rows], width)] != other.data[ranges(other.offsets[rows], width)]
        if rows.size:
            equal[rows] = ~np.logical_or.reduceat(differs, offsets_of(width)[:-1])
        return np.asarray(equal)


@frozen(eq=False, repr=False, slots=False)
class Identifiers:
    """The distinct ids of one column: a source key for each, and its text.

    A source key is what rows carry while they are grouped: the integer itself, or the engine's hash of the text
    (checked for collisions when the ids are listed), or a key of its words. `stable` gives the key that is equal
    everywhere.

    Attributes:
        later: Gives keys and texts when somebody asks for them.
    """

    _keys: Keys | None = None
    _texts: Texts | None = None
    later: Callable[[], tuple[Keys, Texts]] | None = None

    @property
    def keys(self) -> Keys | None:
        """Ascending distinct source keys; None where the key is the integer itself."""
        return self._listed[0]

    @property
    def texts(self) -> Texts | None:
        """Their texts, in the same order; None for integers."""
        return self._listed[1]

    @cached_property
    def _listed(self) -> tuple[Keys | None, Texts | None]:
        return (self._keys, self._texts) if self.later is None else self.later()

    def text(self, key: int) -> str:
        """The id with this source key."""
        if self.keys is None or self.texts is None:
            return str(np.uint64(key).astype(np.int64))
        return self.texts[int(np.searchsorted(self.keys, np.uint64(key)))]

    def texts_of(self, keys: Keys) -> Texts:
        """The ids with these source keys."""
        if self.keys is None or self.texts is None:
            return Texts(*integer_texts(keys.view(np.int64)))
        return self.texts.take(np.searchsorted(self.keys, keys))

    def stable(self, keys: Keys) -> Keys:
        """The hash of each id's text: equal on every engine, for integers and texts alike.

        Two ids may share one, and nobody compares: it says which bucket, fold, draw or partition a customer belongs
        to, where two that go together do no harm. Never take it for the id.
        """
        if self.keys is None or self.texts is None:
            return self.texts_of(keys).keys()
        return self._stable[np.searchsorted(self.keys, keys)]

    @cached_property
    def _stable(self) -> Keys:
        assert self.texts is not None
        return self.texts.keys()

    def rows(self, texts: Texts) -> Ints:
        """The row of each of a few texts, or −1: one look over the hashes, which stay."""
        assert self.texts is not None
        hit = np.flatnonzero(members(self._stable, texts.keys()))
        row = dict(zip(self.texts.take(hit), hit.tolist(), strict=True))
        return np.array([row.get(text, -1) for text in texts], np.int64)

    def plus(self, keys: Keys, texts: Texts) -> Identifiers:
        """With a few further ids under keys that none has; what was worked out is put forward."""
        assert self.keys is not None
        assert self.texts is not None
        order = np.argsort(keys)
        keys, texts = keys[order], texts.take(order)
        at = np.searchsorted(self.keys, keys)
        out = Identifiers(_inserted(self.keys, at, keys), self.texts.inserted(at, texts))
        if "_stable" in self.__dict__:
            out.__dict__["_stable"] = _inserted(self._stable, at, texts.keys())
        return out


def _inserted(array: NDArray[Scalar], at: Ints, values: NDArray[Scalar], ends: Ints | None = None) -> NDArray[Scalar]:
    """An array with values put in before these places, one each or as many as the ends say."""
    news = np.split(values, ends if ends is not None else np.arange(1, values.size))
    olds = np.split(array, at)
    return np.concatenate([each for old, new in zip(olds, [*news, values[:0]], strict=True) for each in (old, new)])


def match(left: Texts, right: Texts) -> Ints:
    """For each text on the left its row on the right, or −1; every text with its hash is compared byte by byte.

    Texts on the right are distinct.
    """
    wanted, keys = left.keys(), right.keys()
    order = np.argsort(keys)
    ordered = keys[order]
    at = np.searchsorted(ordered, wanted)
    row = np.full(len(left), -1)
    looking = np.arange(len(left))
    while looking.size:
        # one step along the texts of this key: mostly there is one, several only where hashes collide
        looking = looking[at[looking] < ordered.size]
        looking = looking[ordered[at[looking]] == wanted[looking]]
        candidate = order[at[looking]]
        hit = left.take(looking).same(right.take(candidate))
        row[looking[hit]] = candidate[hit]
        looking = looking[~hit]
        at[looking] += 1
    return row


def find(identifiers: Identifiers, texts: Texts) -> tuple[Keys, NDArray[np.bool_]]:
    """The source key of each of these distinct texts, and whether there is one."""
    if identifiers.texts is not None and identifiers.keys is not None:
        row = match(texts, identifiers.texts)
        found = row >= 0
        keys = np.zeros(len(texts), np.uint64)
        keys[found] = identifiers.keys[row[found]]
        return keys, found
    values = _integers(texts)
    # only what comes back as it was written is an id: "007", "+7" and what overflows are not
    found = texts.same(Texts(*integer_texts(values)))
    return np.where(found, values.view(np.uint64), np.uint64(0)), found


def _integers(texts: Texts) -> Ints:
    """What each text would be as decimals of 64 bits; nonsense where it is none."""
    starts, lengths = texts.offsets[:-1], np.diff(texts.offsets)
    values = np.zeros(len(texts), np.uint64)
    negative = np.zeros(len(texts), np.bool_)
    for place in range(min(int(lengths.max(initial=0)), 20)):
        rows = np.flatnonzero(lengths > place)
        digits = texts.data[starts[rows] + place]
        if not place:
            negative[rows] = digits == ord("-")
            digits = np.where(negative[rows], np.uint8(ord("0")), digits)
        values[rows] = values[rows] * np.uint64(10) + (digits - np.uint8(ord("0")))
    return np.where(negative, np.uint64(0) - values, values).view(np.int64)
