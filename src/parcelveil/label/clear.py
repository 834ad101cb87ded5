"""The clear values of a file of orders, to make sure that none of them is on a label.

::

    clear = Clear.of(batches)                 # clear batches, WAYBILL; memory only
    "YT0000000000001" in clear
    clear.found(page, [text_layer])           # None, or the kind of value that shows: 'name', 'phone' …

Where the clear file may be read, at the sender of orders, that is one more proof; a print station never has it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Self

import pyarrow as pa

from parcelveil.label.compose import Page
from parcelveil.waybill import kind_of, personal_fields

#: So many digits of a phone in a row: a mask shows five at the most, and not in a row.
_WINDOW = 8
#: National numbers that are shorter are in every code by chance.
_LEAST_PHONE = 9
#: A value of so many letters is not there by chance; a shorter one counts as a word of its own, if it has three.
_LONG, _SHORT = 8, 3
_HAN = re.compile("[\u3400-\u9fff]")
_HAN_DIGITS = str.maketrans("〇零一二三四五六七八九", "00123456789")


class Clear:
    """The clear values that must not appear: by waybill, and the national number of every phone. Memory only."""

    def __init__(self, values: dict[str, tuple[tuple[str, str], ...]]) -> None:
        self._values = values
        every = (_national(text) for own in values.values() for kind, text in own if kind == "phone")
        self._phones = {digits for digits in every if len(digits) >= _LEAST_PHONE}

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch]) -> Self:
        """What clear batches (WAYBILL) hold. Of a number that occurs more than once, the values of all its rows."""
        values: dict[str, tuple[tuple[str, str], ...]] = {}
        for batch in batches:
            fields = [(field.name, str(kind_of(field))) for field in personal_fields(batch.schema)]
            for row in batch.select(["waybill_no", *(name for name, _ in fields)]).to_pylist():
                own = tuple((kind, row[name]) for name, kind in fields if row[name])
                values[row["waybill_no"]] = values.get(row["waybill_no"], ()) + own
        return cls(values)

    def __repr__(self) -> str:
        return f"<Clear {len(self._values)} waybills>"

    def __contains__(self, waybill_no: str) -> bool:
        return waybill_no in self._values

    def found(self, page: Page, texts: Sequence[str]) -> str | None:
        """The kind of a clear value that ``texts`` (text layer, information) hold; None when they hold none.

        What the layout, the run and the gazetteer say is no leak, though somebody is called like it: words, categories,
        time and serial, Chinese places, certain roads. Of phones and ids any eight digits in a row betray; of other
        values the whole, where it is long enough not to be there by chance.
        """
        lines = [line for text in texts for line in text.splitlines()]
        squeezed = everything = "".join(map(comparable, lines))
        spaced = f" {' '.join(word for line in lines for word in _words(line))} "
        public = [comparable(text) for text in page.content.public]
        for text in sorted(page.content.public, key=len, reverse=True):
            squeezed = squeezed.replace(comparable(text), "\n")
            spaced = spaced.replace(f" {' '.join(_words(text))} ", " \n ")
        own = [comparable(page.content.fields[name]) for name in ("serial", "print_time", "waybill_no")]
        digits = [_digits(part) for line in map(comparable, lines) for part in _without(line, own)]
        for kind, value in self._values.get(page.content.waybill_no, ()):
            whole = comparable(value)
            if kind in ("phone", "id_number"):
                number = _national(value) if kind == "phone" else _digits(whole)
                windows = {number[at : at + _WINDOW] for at in range(len(number) - _WINDOW + 1)}
                if any(window in line for line in digits for window in windows):
                    return kind
                continue
            if kind == "address":  # a certain road may show, so look before it was taken out
                if len(whole) > 1 and whole in everything and not any(whole in text for text in public):
                    return kind
                continue
            long = len(whole) >= _LONG or (len(whole) > 1 and _HAN.search(whole))
            word = len(whole) >= _SHORT and not whole.isdigit() and f" {' '.join(_words(value))} " in spaced
            if word or (long and whole in squeezed):
                return kind
        return "phone" if any(self._in_phones(line) for line in digits) else None

    def _in_phones(self, line: str) -> bool:
        sizes = range(_LEAST_PHONE, min(len(line), 13) + 1)
        return any(line[at : at + size] in self._phones for size in sizes for at in range(len(line) - size + 1))


def _without(line: str, texts: Sequence[str]) -> list[str]:
    """The parts of ``line`` around ``texts``."""
    parts = [line]
    for text in texts:
        parts = [part for whole in parts for part in whole.split(text)]
    return parts


def _digits(text: str) -> str:
    return "".join(char for char in text.translate(_HAN_DIGITS) if char in "0123456789")


def comparable(text: str) -> str:
    """``text`` as it is compared: NFKC, capital letters, without blanks and punctuation."""
    return "".join(_words(text))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).upper())


def _national(phone: str) -> str:
    """The digits that are dialled at home: without country code, trunk 0 and extension."""
    number = phone.partition(";")[0]
    digits = _digits(number)
    if number.startswith("+86"):
        digits = digits[2:]
    elif number.startswith("+"):
        digits = digits[1:] if digits[:1] in ("1", "7") else digits[2:]
    return digits.lstrip("0")
