"""Puts a label together: every line at its place and size, every code on the printer's grid of dots. Pure.

::

    press = Press(load("100x180"), FontSet(), dpi=203)
    page = press.page(content, mark="S12")        # a Page, or the Problem that stands against it

The same page is drawn three ways, as PDF, PNG and ZPL, so its geometry is decided here and once. Lengths are
millimetres from the upper left corner, sizes of type are points. A code's modules are whole dots of the printer (at
203 dpi at least three, that is 0.375 mm, which hand scanners read without trouble), for a bar that ends between two
dots is what makes a label unreadable. Anything that has no glyph, or no room, is a :class:`~parcelveil.label.problems.Problem`: such a label is not printed.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.label import codes
from parcelveil.label.content import Content
from parcelveil.label.fit import LEADING, Fitted, fit
from parcelveil.label.font import FontSet
from parcelveil.label.layout import PADDING, Cell, Layout, Parts, filled, parts_of, widths_of
from parcelveil.label.problems import Problem

POINT = 25.4 / 72
#: Dots a millimetre. Printers called 203 dpi have eight.
DOTS = {203: 8.0, 300: 300 / 25.4}
#: Narrowest module, millimetres: three dots at 203 dpi (0.375 mm), four at 300 (0.339 mm).
NARROWEST = 0.33
#: Empty modules around a code: Code 128 left and right (ISO/IEC 15417), QR (ISO/IEC 18004), Data Matrix (we leave more).
QUIET = {"barcode": 10, "qr": 4, "mark": 2}
_WIDEST = {"barcode": 0.5, "qr": 1.0, "mark": 0.4}
_SHORTEST_BAR = 6.0

Bits = npt.NDArray[np.bool_]


class Box(NamedTuple):
    """A rectangle: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


class Line(NamedTuple):
    """One line of text. ``y`` is the top of its em box, ``width`` what it takes in this typeface."""

    x: float
    y: float
    size: float  # points
    text: str
    width: float
    bold: bool
    align: str = "left"


class Symbol(NamedTuple):
    """One code: its modules, where its dark part begins, and how wide a module is. A bar code is ``height`` high."""

    kind: str  # barcode, qr, mark
    x: float
    y: float
    module: float
    bits: Bits  # (n,) for a bar code, else (n, n)
    height: float
    text: str

    @property
    def box(self) -> Box:
        """The dark part and its quiet zone."""
        quiet = QUIET[self.kind] * self.module
        high = 0.0 if self.kind == "barcode" else quiet
        wide = self.bits.shape[-1] * self.module
        return Box(self.x - quiet, self.y - high, wide + 2 * quiet, self.height + 2 * high)


class Page(NamedTuple):
    """One composed label."""

    content: Content
    lines: list[Line]
    symbols: list[Symbol]


class Press:
    """A layout ready for many labels. ``rules``, ``logo``: what is the same on each."""

    def __init__(self, layout: Layout, font: FontSet, dpi: int = 203) -> None:
        self.layout, self.font, self.dpi = layout, font, dpi
        #: Size of a page: whole dots, so that its picture is neither stretched nor squeezed.
        self.width, self.height = self.snapped(layout.width_mm), self.snapped(layout.height_mm)
        self.rules: list[tuple[float, float, float, float]] = []
        self.logo: Box | None = None
        self._cells: list[tuple[Cell, Box, list[Parts]]] = []
        self._lay_out()
        self._fit = lru_cache(10_000)(self._fit_uncached)

    def _lay_out(self) -> None:
        layout, margin = self.layout, self.layout.margin_mm
        y, inner = margin, layout.width_mm - 2 * margin
        for row in layout.row:
            x = margin
            for cell, width in zip(row.cells, widths_of(row, inner), strict=True):
                box = Box(x, y, width, row.height_mm)
                self._cells.append((cell, box, parts_of(layout, cell)))
                if cell.show == "logo":
                    self.logo = Box(x + PADDING, y + PADDING, width - 2 * PADDING, row.height_mm - 2 * PADDING)
                if cell.rule_left:
                    self.rules.append((x, y, x, y + row.height_mm))
                x += width
            y += row.height_mm
            if row.rule_below:
                self.rules.append((margin, y, margin + inner, y))
        if layout.frame:
            right, bottom = layout.width_mm - margin, layout.height_mm - margin
            corners = [(margin, margin), (right, margin), (right, bottom), (margin, bottom)]
            self.rules += [(*a, *b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]

    def snapped(self, length: float) -> float:
        """``length`` on the printer's grid."""
        dots = DOTS[self.dpi]
        return round(length * dots) / dots

    def page(self, content: Content, mark: str) -> Page | Problem:
        """The composed label, or why there is none."""
        lines: list[Line] = []
        symbols: list[Symbol] = []
        texts = [tuple(filled(parts, content.fields)) if parts else () for _, _, parts in self._cells]
        if lacking := self.font.missing("".join([text for part in texts for text in part])):
            return Problem("glyph.missing", ", ".join(f"U+{ord(char):04X}" for char in lacking[:3]))
        for index, (cell, box, _) in enumerate(self._cells):
            if cell.show == "text":
                fitted = self._fit(index, texts[index])
                if fitted is None:
                    return Problem("text.long", _named(cell))
                lines += self._lines(cell, box, fitted)
            elif cell.show in QUIET:
                placed = self._symbol(cell, box, content, mark)
                if placed is None:
                    return Problem("code.wide")
                symbols.append(placed)
                if cell.show == "barcode":
                    lines.append(self._readable(cell, box, placed))
        return Page(content, lines, symbols)

    def _fit_uncached(self, index: int, texts: tuple[str, ...]) -> Fitted | None:
        cell, box, _ = self._cells[index]
        width, height = (box.width - 2 * PADDING) / POINT, (box.height - 2 * PADDING) / POINT
        return fit(texts, width, height, cell.size_pt, self.font.width) if texts else Fitted(cell.size_pt[0], [])

    def _lines(self, cell: Cell, box: Box, fitted: Fitted) -> list[Line]:
        size = fitted.size * POINT
        high = size * (1 + LEADING * (len(fitted.lines) - 1))
        y = box.y + (box.height - high) / 2
        placed = []
        for text in fitted.lines:
            width = self.font.width(text) * size
            slack = box.width - 2 * PADDING - width
            x = box.x + PADDING + {"left": 0.0, "center": slack / 2, "right": slack}[cell.align]
            placed.append(Line(x, y, fitted.size, text, width, cell.bold, cell.align))
            y += size * LEADING
        return placed

    def _symbol(self, cell: Cell, box: Box, content: Content, mark: str) -> Symbol | None:
        kind = cell.show
        if kind == "barcode":
            text, bits = content.waybill_no, codes.code128(content.waybill_no)
            high = box.height - 2 * PADDING - cell.size_pt[0] * POINT * LEADING
            if high < _SHORTEST_BAR:
                return None
        else:
            text, bits = (content.token, codes.qr(content.token)) if kind == "qr" else (mark, _mark(mark))
            high = box.height
        modules = bits.shape[-1] + 2 * QUIET[kind]
        dots, narrowest = DOTS[self.dpi], math.ceil(NARROWEST * DOTS[self.dpi])
        room = box.width if kind == "barcode" else min(box.width, box.height)
        module = min(int(room * dots / modules + 1e-6), max(narrowest, int(_WIDEST[kind] * dots + 1e-6))) / dots
        if module < narrowest / dots - 1e-9:
            return None
        wide = bits.shape[-1] * module
        x = self.snapped(box.x + (box.width - wide) / 2)
        if kind == "barcode":
            return Symbol(kind, x, self.snapped(box.y + PADDING), module, bits, self.snapped(high), text)
        return Symbol(kind, x, self.snapped(box.y + (box.height - wide) / 2), module, bits, wide, text)

    def _readable(self, cell: Cell, box: Box, bars: Symbol) -> Line:
        """The number under its bars, as large as there is room."""
        em = self.font.width(bars.text)
        size = min(cell.size_pt[0], (box.width - 2 * PADDING) / POINT / em)
        width = em * size * POINT
        y = bars.y + bars.height + 0.25 * size * POINT
        return Line(box.x + (box.width - width) / 2, y, size, bars.text, width, False, "center")


@lru_cache(64)
def _mark(text: str) -> Bits:
    return codes.data_matrix(text)


def _named(cell: Cell) -> str:
    return cell.fields[0] if cell.fields else cell.lines[0]
