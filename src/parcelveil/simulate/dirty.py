"""An order export as outlets upload it: Chinese headers, one-string addresses, and a known number of bad rows.

::

    >>> rows = list(dirty_rows(200, seed=3))
    >>> len(rows), list(rows[0])[:4]
    (200, ['快递公司', '物流单号', '收件人姓名', '收件人电话'])
    >>> import io
    >>> file = io.BytesIO()
    >>> counts = write_dirty_csv(file, 200, seed=3, encoding="gb18030")
    >>> file.getvalue().decode("gb18030").count("\\r\\n"), sorted(counts) == sorted(KINDS)
    (201, True)

The people are those of :func:`parcelveil.simulate.parcels.parcels`, all of them in China, written as people type:
phones with and without country code, hyphens or Excel's apostrophe; extensions with 转 or a hyphen; addresses with
and without blanks or the province. That alone is not dirt. The kinds of dirt exclude one another; a quarter of the
recipients has a name that the platform has masked, which is counted apart.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from parcelveil.errors import OutputError, UsageError
from parcelveil.simulate.draw import Draw, weighted
from parcelveil.simulate.lexicon import word_lists
from parcelveil.simulate.parcels import parcels

#: Kind of dirt -> share of rows. The first four cannot be taken in; the other two can.
DIRT = {
    "waybill_missing": 0.004,
    "waybill_doubled": 0.004,  # a number that stands further up, with another recipient
    "phone_digits_lost": 0.004,  # a spreadsheet's 1.42E+10
    "row_short": 0.003,  # fewer cells than the header
    "stray_blanks": 0.02,  # blanks, ideographic blanks, tabs around number, name and phone
    "full_width_digits": 0.01,  # in phone and address
}
REJECTED = frozenset(["waybill_missing", "waybill_doubled", "phone_digits_lost", "row_short"])
#: What :func:`write_dirty_csv` counts.
KINDS = ("rows", *DIRT, "name_masked")

#: The header of a carrier's bulk template, as outlets upload it.
HEADER = (
    "快递公司",
    "物流单号",
    "收件人姓名",
    "收件人电话",
    "收件人地址",
    "发件人姓名",
    "发件人电话",
    "发件人地址",
    "物品名称",
    "重量",
    "数量",
    "备注",
)
_NUMBER, _NAME, _PHONE, _ADDRESS = HEADER[1:5]

_CARRIERS = {"YTO": "圆通", "SF": "顺丰", "JT": "极兔", "ZTO": "中通", "STO": "申通", "YUNDA": "韵达", "EMS": "邮政"}
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_BLANKS = (" ", "  ", "\u3000", "\t")
_MOBILE_DIGITS = 11


def _typed_phone(canonical: str, area_codes: frozenset[str], style: int) -> str:
    """A Chinese number in one of the ways people type it; ``style`` is a 16-bit word."""
    number, _, extension = canonical.removeprefix("+86").partition(";ext=")
    if extension:
        return number + ("转", "-", " ext. ")[style % 3] + extension
    if len(number) < _MOBILE_DIGITS or number[0] != "1":
        width = next(width for width in (2, 3) if number[:width] in area_codes)
        return f"0{number[:width]}-{number[width:]}" if style % 2 else f"(0{number[:width]}){number[width:]}"
    grouped = f"{number[:3]}-{number[3:7]}-{number[7:]}"
    forms = (f"'{number}", f"+86 {number}", f"86-{number}", grouped, grouped.replace("-", " "))
    return forms[style % 16] if style % 16 < len(forms) else number


def _one_string(row: dict[str, Any], side: str, style: int) -> str:
    """Address and division in one text. A municipality's name stands once or twice."""
    region, city, district, town, address = (
        row[f"{side}_{part}"] or "" for part in ("region", "city", "district", "town", "address")
    )
    if city == region and style % 4:
        city = ""
    if style % 11 == 0 and city:
        region = ""
    separator = " " if style % 7 == 0 else ""
    return separator.join(part for part in (region, city, district, town, address) if part)


def _clean(row: dict[str, Any], area_codes: frozenset[str], style: int) -> dict[str, str]:
    cells = (
        _CARRIERS[row["carrier"]],
        row["waybill_no"],
        row["to_name"],
        _typed_phone(row["to_phone"], area_codes, style),
        _one_string(row, "to", style),
        row["from_name"],
        _typed_phone(row["from_phone"], area_codes, style >> 4),
        _one_string(row, "from", style >> 4),
        row["goods_name"],
        f"{row['weight_g'] / 1000:.2f}",
        str(row["pieces"]),
        row["note"] or "",
    )
    return dict(zip(HEADER, cells, strict=True))


def _soil(cells: dict[str, str], kind: str, style: int, earlier: str) -> dict[str, str]:
    """The row with its dirt; ``earlier`` is a number that stands further up."""
    if kind == "waybill_missing":
        return cells | {_NUMBER: ("", " ", "\u3000")[style % 3]}
    if kind == "waybill_doubled":
        return cells | {_NUMBER: earlier}
    if kind == "row_short":
        return dict(list(cells.items())[: 4 + style % 6])
    if kind == "stray_blanks":
        blank = _BLANKS[style % len(_BLANKS)]
        return cells | {
            _NUMBER: cells[_NUMBER] + blank,
            _NAME: blank + cells[_NAME],
            _PHONE: blank + cells[_PHONE] + blank,
        }
    return cells | {field: cells[field].translate(_FULL_WIDTH) for field in (_PHONE, _ADDRESS)}


def _rows(count: int, seed: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows with their kind of dirt, ``""`` when there is none."""
    kinds = [*DIRT, ""]
    table = weighted([*DIRT.values(), 1.0 - sum(DIRT.values())])
    area_codes = frozenset(area for _, area, *_ in word_lists()["province"]["table"])
    # Two numbers that were taken in; the older one is never on the line above.
    earlier, latest = "", ""
    for at, batch in enumerate(parcels(count, seed=seed, foreign=0.0, batch_rows=4096)):
        source = Draw(seed, 3, at)
        drawn = table[source.words(batch.num_rows)].tolist()
        styles = source.words(batch.num_rows).tolist()
        for row, code, style in zip(batch.to_pylist(), drawn, styles, strict=True):
            kind = kinds[code]
            if kind == "waybill_doubled" and not earlier:
                kind = ""
            cells = _clean(row, area_codes, style)
            if kind == "phone_digits_lost":
                number = row["to_phone"].removeprefix("+86").partition(";")[0]
                cells[_PHONE] = f"{int(number):.{2 + style % 3}E}"
            elif kind:
                cells = _soil(cells, kind, style, earlier)
            if kind not in REJECTED:
                earlier, latest = latest, row["waybill_no"]
            yield kind, cells


def dirty_rows(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """``count`` rows of an order export, header cell to text. A short row lacks its last headers."""
    return (cells for _, cells in _rows(count, seed))


def write_dirty_csv(
    target: str | os.PathLike[str] | IO[bytes], count: int, seed: int = 0, encoding: str = "utf-8-sig"
) -> dict[str, int]:
    """Write a header and ``count`` rows as CSV; return how many rows are of each kind of :data:`KINDS`.

    ``target`` is a path where no file is yet, or a binary file, which stays open. Line ends are CR LF. Raises
    UsageError for an unknown encoding or one that lacks a character (GB18030 and the Unicode ones lack none), and
    OutputError when it cannot be written; then no file is left at the path.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise UsageError(
            "unknown encoding {encoding}", hint="utf-8-sig and gb18030 are usual", encoding=encoding
        ) from None
    if not isinstance(target, (str, os.PathLike)):
        return _write(target, count, seed, encoding)
    path = Path(target)
    try:
        with path.open("xb") as file:
            try:
                return _write(file, count, seed, encoding)
            except BaseException:
                path.unlink()
                raise
    except OSError as problem:
        raise OutputError("{file} cannot be written: {problem}", file=path.name, problem=problem.strerror) from problem


def _write(file: IO[bytes], count: int, seed: int, encoding: str) -> dict[str, int]:
    counts = dict.fromkeys(KINDS, 0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        writer = csv.writer(text)
        writer.writerow(HEADER)
        for kind, cells in _rows(count, seed):
            writer.writerow(cells.values())
            counts["rows"] += 1
            if kind:
                counts[kind] += 1
            if "*" in cells[_NAME]:
                counts["name_masked"] += 1
    except UnicodeEncodeError:
        raise UsageError(
            "{encoding} lacks characters of the sample", hint="use utf-8-sig or gb18030", encoding=encoding
        ) from None
    finally:
        text.detach()
    return counts
