"""Returning: what was grouped again under a limit of memory goes back to disk, and only that."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Final

from cxmodel.data.blocks import Block
from cxmodel.data.parts import StoredParts
from cxmodel.data.storage import block_arrays, block_of, read_arrays, write_arrays
from cxmodel.data.temporary import SpillFolder, full_disk, is_mapped

_LIGHT: Final = 2**16
_numbers: Final = count()  # of the process: several populations share a folder


def returned(blocks: Sequence[Block], folder: SpillFolder) -> StoredParts:
    """The blocks on disk: those that lie in files already as they are, the others in files of their own.

    Raises:
        FullDiskError: There is no room.
    """
    return StoredParts([partial(_itself, _mapped(block, folder)) for block in blocks])


def _itself(block: Block) -> Block:
    return block


def _mapped(block: Block, folder: SpillFolder) -> Block:
    """The block in a file that loses its name at once, where the system allows: it goes with the block."""
    arrays = block_arrays(block)
    if sum(array.nbytes for array in arrays.values() if not is_mapped(array)) < _LIGHT:
        return block
    path = folder.path / f"grown-{next(_numbers):09d}.bin"
    try:
        stored = read_arrays(folder.path, write_arrays(path, arrays), verify=False)
    except OSError as error:
        raise full_disk(error) from None
    with suppress(OSError):
        path.unlink()
    return block_of(stored, block.vocabulary)
