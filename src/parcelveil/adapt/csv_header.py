"""Finds the header of a CSV file and the delimiter it was written with.

>>> import io
>>> text = TextInput("a.csv", io.BytesIO(b"\\nno;name\\n1;Ann\\n"))
>>> header_of("a.csv", text, None)
(b'1;Ann\\n', ['no', 'name'], ';', 2)
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from parcelveil.adapt.source import MAX_LINE
from parcelveil.adapt.text_input import BLOCK, TextInput
from parcelveil.errors import InputError

_DELIMITERS = ",\t;|"


def header_of(name: str, text: TextInput, delimiter: str | None) -> tuple[bytes, list[str], str, int]:
    """The UTF-8 bytes read behind the header, the header's cells, the delimiter, and the header's row number.

    ``delimiter`` None means that it is to be told. Raises InputError when there is no whole row with text in 16 MiB.
    """
    head = b""
    wanted = BLOCK
    while True:
        while len(head) < wanted and (data := text.read(BLOCK)):
            head += data
        ended = len(head) < wanted
        sample = head.decode("utf-8", "ignore")
        chosen = delimiter or _sniff(sample)
        marked = sample + "\n\x1f" if ended else sample  # a header that takes the mark too is an open quotation
        found = _first_record(marked, chosen)
        if found is not None and found[1] < len(marked):
            break
        if ended or wanted >= MAX_LINE:
            raise InputError(
                "{file} has no header: no whole row with text is found"
                if ended
                else "the first row of {file} is longer than {limit} MiB",
                hint="is this a CSV file? its first row has to name the columns",
                file=name,
                limit=MAX_LINE >> 20,
            )
        wanted = min(wanted * 4, MAX_LINE)
    cells, end, row = found
    return head[len(sample[:end].encode()) :], cells, chosen, row


def _first_record(sample: str, delimiter: str) -> tuple[list[str], int, int] | None:
    """Cells of the first record that is not blank, where it ends, and its row number."""
    consumed = 0

    def lines() -> Iterator[str]:
        nonlocal consumed
        for line in io.StringIO(sample, newline=""):
            consumed += len(line)
            yield line

    try:
        for number, cells in enumerate(csv.reader(lines(), delimiter=delimiter), start=1):
            if any(cell.strip() for cell in cells):
                return cells, consumed, number
    except csv.Error:
        return None
    return None


def _sniff(sample: str) -> str:
    """The delimiter that gives the first records many cells and always as many."""
    best, choice = 0.0, ","
    for delimiter in _DELIMITERS:
        try:
            records = list(islice(csv.reader(io.StringIO(sample[: 1 << 16], newline=""), delimiter=delimiter), 30))
        except csv.Error:
            continue
        counts = [len(record) for record in records if any(cell.strip() for cell in record)]
        if not counts or not counts[0] > 1:
            continue
        score = (counts[0] - 1) * (0.1 + Counter(counts)[counts[0]] / len(counts))
        if score > best:
            best, choice = score, delimiter
    return choice
