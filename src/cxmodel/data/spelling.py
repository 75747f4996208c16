"""Spelling: texts of ids as words of eight bytes, so that rows tell ids apart before anyone has listed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cxmodel.data.texts import Texts
from cxmodel.stats.arrays import Ints, Keys, mix, offsets_of, unmixed

MOST_WORDS: Final = 4
"""Longer ids, written UUIDs among them, are listed instead: each word is carried by every row."""
MOST_BYTES: Final = 8 * MOST_WORDS
_MASKS: Final = np.array([(1 << 8 * length) - 1 for length in range(9)], np.uint64)
_ODD: Final = (0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


class UnspellableError(Exception):
    """An id is too long, or holds the byte 0, which stands for the end."""


def words_of(texts: Texts) -> list[Keys]:
    """The words of each text: eight bytes each, 0 behind its end; as many as the longest one needs, but one at least.

    Raises:
        UnspellableError: A text is too long, or holds the byte 0.
    """
    lengths = np.diff(texts.offsets)
    longest = int(lengths.max(initial=0))
    if longest > MOST_BYTES or (texts.data.size and not texts.data.min()):
        raise UnspellableError
    count = max(-(-longest // 8), 1)
    if longest and int(lengths.min()) == longest:
        return _side_by_side(texts, longest, count)
    padded = np.zeros(texts.data.size + 8 * count, np.uint8)
    padded[: texts.data.size] = texts.data
    at_every_byte: Keys = np.ndarray((texts.data.size + 8 * count - 7,), np.dtype("<u8"), padded, strides=(1,))
    starts = texts.offsets[:-1]
    return [at_every_byte[starts + 8 * i] & _MASKS[np.clip(lengths - 8 * i, 0, 8)] for i in range(count)]


def _side_by_side(texts: Texts, length: int, count: int) -> list[Keys]:
    """The words of texts of one length."""
    cells = texts.data.reshape(-1, length)
    if length != 8 * count:
        padded = np.zeros((len(texts), 8 * count), np.uint8)
        padded[:, :length] = cells
        cells = padded
    words = cells.view(np.dtype("<u8"))
    return [words[:, i] for i in range(count)]


def key_of(words: Sequence[Keys]) -> Keys:
    """One key for the words of each id; with the words behind the first it gives back the first.

    Words that are 0 change nothing, so that a key does not depend on the longest id.
    """
    return mix(_added(words[0], words[1:], 1))


def texts_of(key: Keys, more: Sequence[Keys]) -> Texts:
    """The ids of these keys and of the words behind the first."""
    words = np.empty((key.size, 1 + len(more)), np.dtype("<u8"))
    words[:, 0] = _added(unmixed(key), more, -1)
    for i, word in enumerate(more, start=1):
        words[:, i] = word
    cells = words.view(np.uint8)
    written = cells != 0
    lengths: Ints = np.count_nonzero(written, axis=1)
    length = int(lengths.max(initial=0))
    data = cells[:, :length].ravel() if (lengths == length).all() else cells[written]
    return Texts(data, offsets_of(lengths))


def _added(first: Keys, more: Sequence[Keys], sign: int) -> Keys:
    out = first.copy()
    for word, odd in zip(more, _ODD, strict=False):
        out += word * np.uint64(sign * odd % 2**64)
    return out


def in_order(keys: Keys, key: Keys, more: Sequence[Keys]) -> tuple[Keys, Texts]:
    """The keys ascending, and the texts in their order.

    Args:
        keys: What stands for each id.
        key: What it was spelled with.
        more: Its words behind the first.
    """
    order = np.argsort(keys)
    return keys[order], texts_of(key[order], [word[order] for word in more])


def apart(keys: Keys) -> Keys:
    """The keys, with others in place of those that stand for a second id."""
    out, turn = keys.copy(), 0
    while True:
        order = np.argsort(out, kind="stable")
        again = order[1:][out[order[1:]] == out[order[:-1]]]
        if not again.size:
            return out
        turn += 1
        out[again] = mix(out[again] ^ np.arange(again.size, dtype=np.uint64), turn)
