"""Texts and their codes: names of accounts, outlets and devices as small integers, and back.

::

    >>> names = Codes()
    >>> names.codes(pa.array(["S-1", "S-2", None, "S-1"])).tolist(), names.text([1, -1]).to_pylist()
    ([0, 1, -1, 0], ['S-2', None])

Of a dictionary-encoded column only the dictionary is looked at, and only once while it stays the same. Codes follow the
rows, not the dictionary: the same rows give the same codes however they come encoded, or cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]

#: The code of no text.
NOBODY = -1
_NEW = -3


class Codes:
    """Texts and their codes 0, 1, … by order of appearance. ``fixed`` texts have the codes given and are not counted.

    ``fold`` is what texts are compared as, and given back as::

        >>> names = Codes(fold=str.lower, fixed={"customer": -2})
        >>> names.codes(pa.array(["CS-1", None, "z9", "cs-1", "Customer"])).tolist(), len(names)
        ([0, -1, 1, 0, -2], 2)
        >>> names.text([1, -1, 0]).to_pylist(), names.code("Z9"), names.code("never seen")
        (['z9', None, 'cs-1'], 1, -1)
    """

    def __init__(self, fold: Callable[[str], str] | None = None, fixed: Mapping[str, int] | None = None) -> None:
        self._fold = fold
        self._fixed = dict(fixed or {})
        self._codes: dict[str, int] = {"": NOBODY, **self._fixed}
        self._raw: dict[str, int] = self._codes if fold is None else {}  # by text as it comes
        self._texts: list[str] = []
        self._last: tuple[pa.Array, I32] | None = None

    def __len__(self) -> int:
        return len(self._texts)

    def codes(self, values: pa.Array) -> I32:
        """The code of each value of a string or dictionary array, -1 for null and empty ones; new texts get new codes."""
        if pa.types.is_null(values.type):
            return np.full(len(values), -1, np.int32)
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        places = values.indices
        index = places.to_numpy(zero_copy_only=False) if not places.null_count else None
        if index is None:
            index = np.asarray(places.cast(pa.int32()).fill_null(-1))
        known = self._known(values.dictionary)
        new = np.flatnonzero(known == _NEW)
        if new.size:
            self._add(values.dictionary, known, new, index)
        found: I32 = np.append(known, np.int32(-1)).take(index)  # place -1, of a null, is the last one
        return found

    def _known(self, dictionary: pa.Array) -> I32:
        """The code of each value of a dictionary as far as it has one, else ``_NEW``."""
        if self._last is not None and self._last[0].equals(dictionary):
            return self._last[1]
        get = self._raw.get
        known = np.array(
            [-1 if text is None else get(text, _NEW) for text in dictionary.to_pylist()], np.int32
        ).reshape(-1)
        self._last = (dictionary, known)
        return known

    def _add(self, dictionary: pa.Array, known: I32, new: I64, index: npt.NDArray[np.integer]) -> None:
        """Give codes to those ``new`` values of ``dictionary`` that occur in ``index``, in the order in which they do."""
        first = np.full(len(known) + 1, len(index), np.int64)
        first[index[::-1]] = np.arange(len(index) - 1, -1, -1)  # of several writes to one place the last stays
        new = new[first[new] < len(index)]
        new = new[np.argsort(first[new], kind="stable")]
        for place, text in zip(new.tolist(), dictionary.take(pa.array(new)).to_pylist(), strict=True):
            name = text if self._fold is None else self._fold(text)
            code = self._codes.get(name)
            if code is None:
                code = self._codes[name] = len(self._texts)
                self._texts.append(name)
            known[place] = self._raw[text] = code

    def code(self, text: str) -> int:
        """The code of one text, -1 where it has none; gives no new code."""
        return self._codes.get(text if self._fold is None else self._fold(text), -1)

    def text(self, codes: npt.ArrayLike | pa.Array | pa.ChunkedArray) -> pa.StringArray:
        """The text of each code; null for those that have none."""
        places = np.asarray(codes, np.int64).reshape(-1)
        distinct, inverse = np.unique(places, return_inverse=True)
        fixed = {code: text for text, code in self._fixed.items()}
        texts = [self._texts[code] if 0 <= code < len(self._texts) else fixed.get(code) for code in distinct.tolist()]
        return pa.array(texts, pa.string()).take(pa.array(inverse.reshape(-1)))
