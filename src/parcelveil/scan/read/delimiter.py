"""Whether a text is a table of delimited cells, and what delimits them.

::

    >>> delimiter_of("运单号,姓名,电话\\nA1,张,1\\nA2,\\"李, 四\\",2\\n", "orders.csv")
    ','
    >>> delimiter_of("Dear all,\\nthe parcel, which came late,\\nis lost.\\n", "note.txt")
    ''

Cells may be quoted as in RFC 4180. A name that ends in .csv, .tsv, .psv or .tab is believed as long as most records
agree; any other text has to agree almost wholly and to have three columns, or two with a tab or a header.
"""

from __future__ import annotations

import re
from collections import Counter

DELIMITERS = ",\t;|"
_RECORDS = 64
#: Characters looked at.
SAMPLE = 64 << 10
_NAMED = re.compile(r"\.(csv|tsv|psv|tab)(?:[.~_-][\w.-]{0,20})?\Z")
#: Formats whose lines look alike without being tables.
_NEVER = {"json", "jsonl", "xml", "html", "sql", "source", "rtf", "vcard", "markdown", "config"}
_VALUE = re.compile(r"\d{4}|[:{}()=@\[\]]")


def delimiter_of(sample: str, name: str, text_format: str = "text") -> str:
    """One of ``, tab ; |``, or nothing. ``sample`` is the beginning of the text."""
    named = _NAMED.search(name)
    if text_format in _NEVER or (text_format == "log" and not named):
        return ""
    cut = len(sample) > SAMPLE
    sample = sample[:SAMPLE].lstrip("\ufeff")
    best, found = (0.0, 0), ""
    for delimiter in DELIMITERS:
        records = _records(sample, delimiter)
        if cut and len(records) > 1:
            records.pop()
        counts = Counter(len(record) for record in records if record != [""])
        if not counts:
            continue
        width, agree = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
        share = agree / counts.total()
        if width < 2 or not _convinces(records, width, share, delimiter, named is not None):
            continue
        if (share, width) > best:
            best, found = (share, width), delimiter
    return found


def _convinces(records: list[list[str]], width: int, share: float, delimiter: str, named: bool) -> bool:
    if named:
        return share >= 0.5
    if share < 0.95 or len(records) < 2:
        return False
    header = all(0 < len(cell.strip()) <= 40 and not _VALUE.search(cell) for cell in records[0])
    if width == 2:
        return (header or delimiter == "\t") and len(records) > 2
    return header or delimiter == "\t" or len(records) > 2


def _records(sample: str, delimiter: str) -> list[list[str]]:
    """The first records. A quote opens at the start of a cell only."""
    records: list[list[str]] = [[]]
    place, size = 0, len(sample)
    while place < size and len(records) <= _RECORDS:
        if sample[place] == '"':
            end = place + 1
            while 0 <= (end := sample.find('"', end)) < size and sample[end + 1 : end + 2] == '"':
                end += 2
            if end < 0:
                break
        else:
            end = place
        stop = next((hit.start() for hit in _stop(delimiter).finditer(sample, end)), size)
        records[-1].append(sample[place:stop])
        if stop == size:
            return records
        place = stop + 1
        if sample[stop] == delimiter:
            if place == size:
                records[-1].append("")
        else:
            if sample[stop] == "\r" and sample[place : place + 1] == "\n":
                place += 1
            records.append([])
    return [record for record in records if record]


def _stop(delimiter: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(delimiter)}\r\n]")
