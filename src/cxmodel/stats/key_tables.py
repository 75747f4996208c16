"""Key tables: from 64-bit keys to codes, for whole arrays at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cxmodel.stats.arrays import Keys, mix

PARTITION: Final = np.uint64(0xA24BAED4963EE407)
"""Keys times this: the top bits say to which partition of customers a key belongs, and to which slot of a table. So the
keys of a partition stand side by side in a table, and who looks up a partition stays in one corner of it."""

_FEW_BITS: Final = 14


class KeyTable:
    """From distinct 64-bit keys to a code of each: a hash table for arrays, a few rounds deep.

    Example:
        >>> table = KeyTable(np.array([7, 9], np.uint64), np.array([1, 2]))
        >>> table.codes(np.array([9, 9, 7], np.uint64)).tolist()
        [2, 2, 1]
        >>> table.found(np.array([9, 8], np.uint64)).tolist()
        [2, -1]
    """

    def __init__(self, keys: Keys, codes: NDArray[Any]) -> None:
        self._rounds: list[tuple[int, Keys, NDArray[Any]]] = []
        turn = 0
        while keys.size:
            bits = self._bits(keys.size)
            slots = self._slots(keys, turn, bits)
            owner = np.zeros(1 << bits, np.uint64)
            code = np.full(1 << bits, -1 if codes.dtype.kind == "i" else 0, codes.dtype)
            owner[slots] = keys
            settled = owner[slots] == keys
            code[slots[settled]] = codes[settled]
            self._rounds.append((bits, owner, code))
            keys, codes, turn = keys[~settled], codes[~settled], turn + 1

    @staticmethod
    def _bits(keys: int) -> int:
        """Slots are 2 to this power: for few keys so many that hardly two share one, and one round does for all."""
        bits = keys.bit_length()
        return max(bits + 1, min(2 * bits + 3, _FEW_BITS))

    @staticmethod
    def _slots(keys: Keys, turn: int, bits: int) -> NDArray[np.int64]:
        hashed = keys * PARTITION if turn == 0 else mix(keys, turn)
        hashed >>= np.uint64(64 - bits)
        return hashed.view(np.int64)

    def codes(self, keys: Keys) -> NDArray[Any]:
        """The code of each key; every key must be one of the table."""
        out: NDArray[Any] | None = None
        rows: NDArray[np.intp] | None = None
        for turn, (bits, owner, code) in enumerate(self._rounds):
            slots = self._slots(keys, turn, bits)
            found = code[slots]
            if out is None:
                out = found
            elif rows is not None:
                out[rows] = found
            if turn + 1 == len(self._rounds):
                break
            missed = np.flatnonzero(owner[slots] != keys)
            rows = missed if rows is None else rows[missed]
            keys = keys[missed]
            if not keys.size:
                break
        return np.zeros(keys.size, np.uint8) if out is None else out

    def found(self, keys: Keys) -> NDArray[np.int64]:
        """The code of each key, or −1 for one that is not in the table, whose codes are signed."""
        out = np.full(keys.size, -1)
        rows = np.arange(keys.size)
        for turn, (bits, owner, code) in enumerate(self._rounds):
            slots = self._slots(keys, turn, bits)
            here = owner[slots] == keys
            out[rows[here]] = code[slots[here]]
            # in a slot that nobody owns nobody was settled, in a later round neither
            missed = ~here & (code[slots] >= 0)
            rows, keys = rows[missed], keys[missed]
            if not keys.size:
                break
        return out
