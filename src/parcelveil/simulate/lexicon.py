"""The words of the sample day in one Arrow array, in segments: a text column is a lookup of positions in it.

A segment's entries are equally likely, and an entry that shall come more often stands in it more than once. So a
column costs one multiplication and one ``take``, whatever mixture of segments its rows want::

    >>> words = Lexicon({"fruit": ["pear", "plum"], "tree": ["oak"]})
    >>> labels = words.labels("fruit", "tree", "")
    >>> words.draw(labels, np.array([0, 9, 9], np.uint16)).to_pylist()
    ['pear', 'oak', '']

Facts (``facts.toml``) and word lists (``words.toml``) are read once. Every entry names its source or says that it is
a choice.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.simulate.draw import Draw, weighted

Labels = npt.NDArray[np.int8]


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """The measured, read and assumed shares, as the tables of ``facts.toml``."""
    return tomllib.loads(files("parcelveil.simulate").joinpath("facts.toml").read_text("utf-8"))


@lru_cache(maxsize=1)
def word_lists() -> dict[str, Any]:
    """The generic and invented words, as the tables of ``words.toml``."""
    return tomllib.loads(files("parcelveil.simulate").joinpath("words.toml").read_text("utf-8"))


def draw_from(source: Draw, pairs: Sequence[Sequence[Any]], count: int) -> list[Any]:
    """``count`` items of ``[[item, weight], …]``, in a Python list; for building segments, not for rows."""
    table = weighted([pair[1] for pair in pairs])
    return [pairs[code][0] for code in table[source.words(count)].tolist()]


def any_of(source: Draw, items: Sequence[Any], count: int) -> list[Any]:
    """``count`` items, each equally likely, in a Python list."""
    return [items[position] for position in source.below(len(items), count).tolist()]


class Lexicon:
    """Named segments (each of at most 65,536 entries) laid end to end; position 0 is the empty text."""

    def __init__(self, segments: dict[str, Sequence[str]]) -> None:
        self.names = ["", *segments]
        entries = [""]
        base, size = [0], [1]
        for words in segments.values():
            base.append(len(entries))
            size.append(len(words))
            entries.extend(words)
        self.entries: pa.StringArray = pa.array(entries, pa.string())
        self._base = np.array(base, np.int32)
        self._size = np.array(size, np.uint32)

    def labels(self, *names: str) -> Labels:
        """The labels of these segments; ``""`` is the segment that holds only the empty text."""
        return np.array([self.names.index(name) for name in names], np.int8)

    def draw(self, labels: Labels, words: npt.NDArray[np.uint16]) -> pa.StringArray:
        """For each row an entry of the segment its label names, chosen by its word."""
        offset = (words * self._size[labels]) >> np.uint32(16)
        return self.entries.take(pa.array(self._base[labels] + offset.astype(np.int32)))

    def segment(self, name: str) -> pa.StringArray:
        """The entries of one segment."""
        at = self.names.index(name)
        return self.entries.slice(int(self._base[at]), int(self._size[at]))
