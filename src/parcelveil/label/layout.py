"""Layouts: what stands where on a label, in which size and language. Data that a carrier changes without Python.

::

    >>> layout = load("100x180")
    >>> layout.width_mm, layout.height_mm, layout.languages
    (100.0, 180.0, ('zh',))

A layout is a TOML file; ``parcelveil label layouts --copy 100x180 -o ours.toml`` writes one to begin with, and
``docs/labels.md`` explains every key. It is a stack of rows, each a line of cells. A cell shows ``text`` (lines with
:data:`FIELDS` in braces), ``barcode``, ``qr``, ``mark`` (the print station's), ``logo`` or ``space``. What a layout
can ask for is what :data:`FIELDS` lists: a full name, phone or address is not among it, whatever one writes.

What is wrong with a layout (:data:`WRONG`) is said when it is loaded, so that no parcel is blamed for it later.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from parcelveil.errors import InputError, UsageError
from parcelveil.label.fit import LEADING
from parcelveil.seal.mask_address import HIDDEN

FORMAT = "parcelveil.label.v1"
FOLDER = Path(__file__).with_name("layouts")
_LARGEST = 1 << 20
#: White around what a cell shows, millimetres.
PADDING = 1.0
_POINT = 25.4 / 72
#: Least room that a code needs, whatever it says and at whatever resolution, quiet zones included (a module is at
#: least 0.338 mm wide): the QR code of our tokens, the smallest Data Matrix, the bars of six digits.
_SMALLEST = {"qr": 37 * 0.338, "mark": 14 * 0.338, "barcode": 88 * 0.338}
_SHORTEST_BAR = 6.0
#: A font of a printer: one letter or digit for ``^A``, or drive and file for ``^A@``.
_PRINTER_FONT = re.compile(r"[0-9A-Z]|[A-Z]:[0-9A-Za-z_.-]{1,16}")
#: Characters that belong to writing from right to left, or turn the direction (Unicode Bidirectional Algorithm).
_TURNING = frozenset({"R", "AL", "AN", "RLE", "LRE", "RLO", "LRO", "RLI", "LRI", "FSI", "PDI", "PDF"})

#: Every field that a label can show, and what it is.
FIELDS: dict[str, str] = {
    "sort_code": "sort code: hub, outlet, route",
    "waybill_no": "waybill number",
    "carrier": "the carrier's code",
    "product": "service",
    "to_name": "recipient's name, masked",
    "to_phone": "recipient's phone, masked; a virtual number with its extension where there is one",
    "to_area": "country (abroad), province, city, district, town",
    "to_road": "the road, where it is certain; never its number",
    "from_name": "sender's name, masked",
    "from_phone": "sender's phone, masked",
    "from_area": "as to_area",
    "from_road": "as to_road",
    "goods_category": "category, translated; one that the layout does not know is hidden",
    "weight": "weight in kilograms",
    "pieces": "number of pieces",
    "pay_type": "who pays the freight",
    "cod": "amount to collect on delivery",
    "route_id": "delivery route",
    "dest_outlet": "outlet of delivery",
    "print_time": "when it was printed",
    "serial": "number of this very label",
    "station": "the print station",
}
#: Words for the codes that some fields hold: field -> table in the layout.
TRANSLATED = {"goods_category": "category", "pay_type": "pay_type", "product": "product"}

#: Fields with codes of the carrier's, which are hidden when they are none.
_CODES = frozenset({"carrier", "product", "route_id", "dest_outlet"})
_PLACEHOLDER = re.compile(r"\{([a-z_.]+)\}")
# Every number has bounds on both sides, and so ``nan`` is none (it is not within them).
Size = Annotated[float, msgspec.Meta(ge=4, le=200)]
Millimetres = Annotated[float, msgspec.Meta(gt=0, le=500)]
Words = dict[str, dict[str, str]]


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cell. ``width`` is its share of the row, or exact with ``width_mm``."""

    show: Literal["text", "barcode", "qr", "mark", "logo", "space"] = "text"
    lines: tuple[str, ...] = ()
    size_pt: tuple[Size, Size] = (9.0, 6.0)  # largest, smallest
    align: Literal["left", "center", "right"] = "left"
    width: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    width_mm: Millimetres | None = None
    rule_left: bool = False
    bold: bool = False

    @property
    def fields(self) -> list[str]:
        """The fields that its lines name."""
        return [name for line in self.lines for name in _PLACEHOLDER.findall(line) if not name.startswith("words.")]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of cells, as high as it says."""

    height_mm: Millimetres
    cells: Annotated[list[Cell], msgspec.Meta(min_length=1)]
    rule_below: bool = True


class Zpl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The printer's own font: ``font`` as ``^A`` names it (``0``, or ``E:SIMSUN.TTF``), and what it ``covers``."""

    font: str = "0"
    covers: Literal["none", "ascii", "gb2312", "gbk", "gb18030"] = "ascii"


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A layout. ``folder`` is where its logo lies; set by :func:`load`."""

    format: str
    name: str
    width_mm: Millimetres
    height_mm: Millimetres
    row: Annotated[list[Row], msgspec.Meta(min_length=1)]
    margin_mm: Annotated[float, msgspec.Meta(ge=0, le=100)] = 2.0
    languages: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=2)] = ("zh",)
    logo: str = ""
    frame: bool = True
    words: Words = {}
    category: Words = {}
    pay_type: Words = {}
    product: Words = {}
    zpl: Zpl = Zpl()
    folder: str = ""

    @property
    def cells(self) -> list[Cell]:
        """All cells, in reading order."""
        return [cell for row in self.row for cell in row.cells]

    def word(self, table: Words, key: str) -> str | None:
        """What ``key`` is called in the layout's languages; None when the table does not have it."""
        found = table.get(key, table.get(key.casefold()))
        if found is None:
            return None
        said = [found[language] for language in self.languages if found.get(language)]
        return " ".join(dict.fromkeys(said)) or next(iter(found.values()), "")


def names() -> list[str]:
    """The layouts that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != "words")


def load(name: str) -> Layout:
    """A layout by its name, or by the path of a TOML file. Raises UsageError, InputError."""
    if name in names():
        return _read(FOLDER / f"{name}.toml")
    path = Path(name)
    if path.suffix != ".toml":
        raise UsageError(
            "there is no layout {name}",
            hint="there are: {known}; or name a TOML file",
            name=name,
            known=", ".join(names()),
        )
    return _read(path)


def _read(path: Path) -> Layout:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError("{file} is too large for a layout", file=str(path))
        layout = msgspec.toml.decode(path.read_bytes(), type=Layout)
    except OSError as error:
        raise InputError(
            "{file} cannot be read: {why}", hint="check the path", file=str(path), why=error.strerror
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise InputError(
            "{file} is no layout: {why}", hint="see docs/labels.md", file=path.name, why=str(error)
        ) from None
    folded = {
        table: {key.strip().casefold(): said for key, said in getattr(layout, table).items()}
        for table in TRANSLATED.values()
    }
    own = {"words": layout.words, **folded}
    tables = {table: {**words, **own[table]} for table, words in _default_words().items()}
    layout = msgspec.structs.replace(layout, folder=str(path.resolve().parent), **tables)
    for what, values in _problems(layout):
        raise InputError(WRONG[what], hint="see docs/labels.md", file=path.name, **values)
    return layout


@cache
def _default_words() -> dict[str, Words]:
    return msgspec.toml.decode((FOLDER / "words.toml").read_bytes(), type=dict[str, Words])


#: What can be wrong with a layout, each as it is said.
WRONG = {
    "format": "{file} is no layout: format is not {known}",
    "name": "{file} is no layout: its name has characters that cannot be printed",
    "high": "{file} is no layout: rows and margins are {rows:g} mm high together, the label {label:g}",
    "margin": "{file} is no layout: the margins leave no room",
    "one": "{file} is no layout: there has to be one cell that shows {show}",
    "logos": "{file} is no layout: more than one cell shows the logo",
    "no_logo": "{file} is no layout: a cell shows the logo, and no logo is named",
    "logo": "{file} is no layout: the name of the logo has characters that no file name has",
    "font": "{file} is no layout: the printer's font is one letter or digit, or like E:SIMSUN.TTF",
    "wide": "{file} is no layout: the cells of row {row} are {cells:g} mm wide together, and there are {room:g}",
    "narrow": "{file} is no layout: a cell of row {row} is {wide:.3g} mm wide, which is less than what it shows needs",
    "low": "{file} is no layout: row {row} is too low for what it shows",
    "sizes": "{file} is no layout: size_pt is [largest, smallest]",
    "no_lines": "{file} is no layout: a cell that shows {show} has no lines",
    "field": "{file} is no layout: there is no field {{{name}}}",
    "brace": "{file} is no layout: a brace that begins no field",
    "text": "{file} is no layout: row {row} has characters that cannot be printed, or are written from right to left",
    "word": "{file} is no layout: the word {key} has a brace, or characters that cannot be printed, or are written from right to left",
    "sort_code": "{file} is no layout: there has to be one cell whose only line is {{sort_code}}",
    "largest": "{file} is no layout: the sort code has to be larger than everything else",
}
Wrong = tuple[str, dict[str, object]]


def turning(text: str) -> bool:
    """Whether a text has characters of a script written from right to left, or marks that turn the direction."""
    return not text.isascii() and any(unicodedata.bidirectional(char) in _TURNING for char in text)


def _problems(layout: Layout) -> Iterator[Wrong]:
    """What is wrong with a layout: a key of :data:`WRONG` and its values. What comes later relies on what came before."""
    if layout.format != FORMAT:
        yield "format", {"known": FORMAT}
    if not _settable(layout.name):
        yield "name", {}
    high = 2 * layout.margin_mm + sum(row.height_mm for row in layout.row)
    if abs(high - layout.height_mm) > 0.01:
        yield "high", {"rows": high, "label": layout.height_mm}
    if not layout.logo.isprintable():
        yield "logo", {}
    if not _PRINTER_FONT.fullmatch(layout.zpl.font):
        yield "font", {}
    yield from _wrong_codes(layout)
    yield from _wrong_texts(layout)
    yield from _wrong_sort_code(layout)
    yield from _wrong_room(layout)


def _wrong_codes(layout: Layout) -> Iterator[Wrong]:
    shown = [cell.show for cell in layout.cells]
    for needed in ("barcode", "qr", "mark"):
        if shown.count(needed) != 1:
            yield "one", {"show": needed}
    if shown.count("logo") > 1:
        yield "logos", {}
    if "logo" in shown and not layout.logo:
        yield "no_logo", {}


def _wrong_texts(layout: Layout) -> Iterator[Wrong]:
    for table in (layout.words, layout.category, layout.pay_type, layout.product):
        for key, said in table.items():
            if any(not _settable(word) or "{" in word or "}" in word for word in said.values()):
                yield "word", {"key": key if key.isprintable() else "?"}
    for number, row in enumerate(layout.row, 1):
        for cell in row.cells:
            if cell.size_pt[0] < cell.size_pt[1]:
                yield "sizes", {}
            if cell.lines and cell.show != "text":
                yield "no_lines", {"show": cell.show}
            if not all(map(_settable, cell.lines)):
                yield "text", {"row": number}
            for name in [name for line in cell.lines for name in _PLACEHOLDER.findall(line)]:
                if name not in FIELDS and not (name.startswith("words.") and name[6:] in layout.words):
                    yield "field", {"name": name}
            if set("{}") & set(_PLACEHOLDER.sub("", "".join(cell.lines))):
                yield "brace", {}


def _settable(text: str) -> bool:
    """Whether all of a text can be set: blanks of any width are set as blanks."""
    return not turning(text) and all(char.isprintable() or unicodedata.category(char) == "Zs" for char in text)


def _wrong_sort_code(layout: Layout) -> Iterator[Wrong]:
    sorting = [cell for cell in layout.cells if "sort_code" in cell.fields]
    if len(sorting) != 1 or sorting[0].lines != ("{sort_code}",):
        yield "sort_code", {}
        return
    others = [cell for cell in layout.cells if cell.show in ("text", "barcode") and cell is not sorting[0]]
    if any(cell.size_pt[0] >= sorting[0].size_pt[1] for cell in others):
        yield "largest", {}


def _wrong_room(layout: Layout) -> Iterator[Wrong]:
    """Cells without room for what they show, whatever the parcel."""
    inner = layout.width_mm - 2 * layout.margin_mm
    if inner <= 0:
        yield "margin", {}
    for number, row in enumerate(layout.row, 1):
        widths = widths_of(row, inner)
        fixed = sum(cell.width_mm or 0.0 for cell in row.cells)
        if fixed > inner + 0.01:
            yield "wide", {"row": number, "cells": fixed, "room": inner}
        for cell, width in zip(row.cells, widths, strict=True):
            least_width, least_height = _least(cell)
            if width <= 0 or width < least_width - 0.01:
                yield "narrow", {"row": number, "wide": width}
            if row.height_mm < least_height - 0.01:
                yield "low", {"row": number}


def _least(cell: Cell) -> tuple[float, float]:
    """The least width and height of a cell, millimetres: one letter, and all lines, at the smallest size."""
    largest, smallest = (size * _POINT for size in cell.size_pt)
    code = _SMALLEST.get(cell.show, 0.0)
    match cell.show:
        case "text" if cell.lines:
            return 2 * PADDING + smallest, 2 * PADDING + smallest * (1 + LEADING * (len(cell.lines) - 1))
        case "barcode":
            return code, 2 * PADDING + _SHORTEST_BAR + largest * LEADING
        case "logo":
            return 2 * PADDING + 1, 2 * PADDING + 1
        case _:
            return code, code


def widths_of(row: Row, inner: float) -> list[float]:
    """The widths of a row's cells, of ``inner`` millimetres: exact ones first, the rest by share."""
    rest = inner - sum(cell.width_mm or 0.0 for cell in row.cells)
    shares = sum(cell.width for cell in row.cells if cell.width_mm is None)
    return [cell.width_mm or rest * cell.width / shares for cell in row.cells]


#: A line of a cell in parts: fixed text, and names of fields.
Parts = tuple[list[str], list[str]]


def parts_of(layout: Layout, cell: Cell) -> list[Parts]:
    """The lines of a text cell, each as its fixed texts (words put in) and the fields between them."""
    found = []
    for line in cell.lines:
        pieces = _PLACEHOLDER.split(
            re.sub(r"\{words\.([a-z_]+)\}", lambda m: layout.word(layout.words, m[1]) or "", line)
        )
        found.append((pieces[::2], pieces[1::2]))
    return found


def filled(lines: list[Parts], values: dict[str, str]) -> list[str]:
    """The lines with values put in. A line whose fields are all empty is left out, with the words around them; and so
    is one of nothing but codes of the carrier's that are all hidden: it would say nothing."""
    texts = []
    for fixed, fields in lines:
        shown = [values[name] for name in fields]
        if fields and _CODES.issuperset(fields) and not any(map(str.strip, fixed)) and {*shown} <= {"", HIDDEN}:
            continue
        if any(shown) or not fields:
            text = fixed[0] + "".join([value + rest for value, rest in zip(shown, fixed[1:], strict=True)])
            texts.append(" ".join(text.split()))
    return [text for text in texts if text]
