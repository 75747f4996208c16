"""Ids that are whole numbers are found by their plain decimals and by nothing else."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from cxmodel.data.texts import Identifiers, Texts, find

TEXTS = st.one_of(
    st.integers(-(2**64), 2**65).map(str),
    st.integers(-200, 200).map(lambda n: f"{n:+05d}"),
    st.text("0123456789-+ _٣", max_size=22),
)


def key_of(text: str) -> int | None:
    """The number that a text stands for, if it is written as numbers are."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and -(2**63) <= number < 2**63 else None


@given(texts=st.lists(TEXTS, max_size=8))
@example(texts=["-0", "007", str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1), str(2**64 + 1), "", "-"])
def test_only_plain_decimals_of_64_bits_are_found(texts: list[str]) -> None:
    keys, found = find(Identifiers(), Texts.of(texts))
    numbers = [int(key) if hit else None for key, hit in zip(keys.astype(np.int64).tolist(), found, strict=True)]
    assert numbers == [key_of(text) for text in texts]
