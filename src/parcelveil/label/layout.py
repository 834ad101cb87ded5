"""Layouts: what stands where on a label, in which size and language. Data that a carrier changes without Python.

::

    >>> layout = load("100x180")
    >>> layout.width_mm, layout.height_mm, layout.languages
    (100.0, 180.0, ('zh',))

A layout is a TOML file; ``parcelveil label layouts --copy 100x180 -o ours.toml`` writes one to begin with, and
``docs/labels.md`` explains every key. It is a stack of rows, each a line of cells. A cell shows ``text`` (lines with
:data:`FIELDS` in braces), ``barcode``, ``qr``, ``mark`` (the print station's), ``logo`` or ``space``. What a layout
can ask for is what :data:`FIELDS` lists: a full name, phone or address is not among it, whatever one writes.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from parcelveil.errors import InputError, UsageError

FORMAT = "parcelveil.label.v1"
FOLDER = Path(__file__).with_name("layouts")
_LARGEST = 1 << 20

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
TRANSLATED = {"goods_category": "category", "pay_type": "pay_type"}

_PLACEHOLDER = re.compile(r"\{([a-z_.]+)\}")
Size = Annotated[float, msgspec.Meta(ge=4, le=200)]
Millimetres = Annotated[float, msgspec.Meta(gt=0, le=500)]
Words = dict[str, dict[str, str]]


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cell. ``width`` is its share of the row, or exact with ``width_mm``."""

    show: Literal["text", "barcode", "qr", "mark", "logo", "space"] = "text"
    lines: tuple[str, ...] = ()
    size_pt: tuple[Size, Size] = (9.0, 6.0)  # largest, smallest
    align: Literal["left", "center", "right"] = "left"
    width: Annotated[float, msgspec.Meta(gt=0)] = 1.0
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
    margin_mm: float = 2.0
    languages: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=2)] = ("zh",)
    logo: str = ""
    frame: bool = True
    words: Words = {}
    category: Words = {}
    pay_type: Words = {}
    zpl: Zpl = Zpl()
    folder: str = ""

    @property
    def cells(self) -> list[Cell]:
        """All cells, in reading order."""
        return [cell for row in self.row for cell in row.cells]

    def word(self, table: Words, key: str) -> str | None:
        """What ``key`` is called in the layout's languages; None when the table does not have it."""
        found = table.get(key)
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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "{file} is no layout: {why}", hint="see docs/labels.md", file=path.name, why=str(error)
        ) from None
    own = {"words": layout.words, "category": layout.category, "pay_type": layout.pay_type}
    tables = {table: {**words, **own[table]} for table, words in _default_words().items()}
    layout = msgspec.structs.replace(layout, folder=str(path.resolve().parent), **tables)
    if problem := _problem(layout):
        raise InputError("{file} is no layout: {why}", hint="see docs/labels.md", file=path.name, why=problem)
    return layout


@cache
def _default_words() -> dict[str, Words]:
    return msgspec.toml.decode((FOLDER / "words.toml").read_bytes(), type=dict[str, Words])


def _problem(layout: Layout) -> str:
    """What is wrong with a layout, in English; empty when nothing is."""
    if layout.format != FORMAT:
        return f"format is not {FORMAT}"
    high = 2 * layout.margin_mm + sum(row.height_mm for row in layout.row)
    if abs(high - layout.height_mm) > 0.01:
        return f"rows and margins are {high:g} mm high together, the label {layout.height_mm:g}"
    shown = [cell.show for cell in layout.cells]
    for needed in ("barcode", "qr", "mark"):
        if shown.count(needed) != 1:
            return f"there has to be one cell that shows {needed}"
    for cell in layout.cells:
        if cell.size_pt[0] < cell.size_pt[1]:
            return "size_pt is [largest, smallest]"
        if cell.lines and cell.show != "text":
            return f"a cell that shows {cell.show} has no lines"
        for name in [name for line in cell.lines for name in _PLACEHOLDER.findall(line)]:
            if name not in FIELDS and not (name.startswith("words.") and name[6:] in layout.words):
                return f"there is no field {{{name}}}"
        if "{" in _PLACEHOLDER.sub("", "".join(cell.lines)):
            return "a brace that begins no field"
    sorting = [cell for cell in layout.cells if "sort_code" in cell.fields]
    others = [cell for cell in layout.cells if cell.show == "text" and cell not in sorting]
    if len(sorting) != 1 or sorting[0].lines != ("{sort_code}",):
        return "there has to be one cell whose only line is {sort_code}"
    if any(cell.size_pt[0] >= sorting[0].size_pt[1] for cell in others):
        return "the sort code has to be larger than everything else"
    if "logo" in shown and not layout.logo:
        return "a cell shows the logo, and no logo is named"
    return ""


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
    """The lines with values put in. A line whose fields are all empty is left out, with the words around them."""
    texts = []
    for fixed, fields in lines:
        shown = [values[name] for name in fields]
        if any(shown) or not fields:
            text = fixed[0] + "".join([value + rest for value, rest in zip(shown, fixed[1:], strict=True)])
            texts.append(" ".join(text.split()))
    return [text for text in texts if text]
