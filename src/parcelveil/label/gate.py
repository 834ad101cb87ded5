"""What a label has to pass before anything of it is written: read back from the rendered page, not from the plan.

::

    gate = Gate(press, clear=None)
    images, problems = gate.check(chunk, pages)   # the pictures that were read; for each page None, or what is wrong

For each page: bar code, token and station mark are read from the picture at the printer's resolution, the text layer
says every line that was set and nothing else, and the file holds no information about itself. That every glyph exists
and every line fits was asked before (:mod:`~parcelveil.label.compose`); a glyph that got lost on the way is seen here,
in the text layer.

Where the clear batch is at hand (at the sender of orders, never at a print station), ``clear`` makes sure that none of
its values appears: of the waybill itself any personal value, of all others any phone. A waybill that is not in it is
not printed: nothing was proved of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from parcelveil.label import codes
from parcelveil.label.clear import Clear
from parcelveil.label.compose import DOTS, QUIET, Page, Press
from parcelveil.label.pdf import Chunk
from parcelveil.label.problems import Problem
from parcelveil.label.raster import THRESHOLD, Image, Raster

_KINDS = {"barcode": "Code128", "qr": "QRCode", "mark": "DataMatrix"}


class Gate:
    """See the module. ``clear``: the clear values, where they are at hand."""

    def __init__(self, press: Press, clear: Clear | None = None) -> None:
        self._clear = clear
        self._dots = DOTS[press.dpi]
        self.width, self.height = round(press.width * self._dots), round(press.height * self._dots)

    def read(self, chunk: Chunk, pages: Sequence[Page]) -> Iterator[tuple[Image, Problem | None]]:
        """Read a chunk back, page by page: its picture, and what stands against it, if anything does. A picture is a
        megabyte and more: keep what is needed of it."""
        with Raster(chunk.alone()) as raster:
            information = list(raster.information.values())
            for place, page in enumerate(pages):
                image, layer = raster.page(place, self.width, self.height)
                yield image, self._problem(page, image, layer, information)

    def check(self, chunk: Chunk, pages: Sequence[Page]) -> tuple[list[Image], list[Problem | None]]:
        """:meth:`read` of few pages, all at once."""
        images, problems = zip(*self.read(chunk, pages), strict=True)
        return list(images), list(problems)

    def _problem(self, page: Page, image: Image, layer: str, information: Sequence[str]) -> Problem | None:
        if information:
            return Problem("file.information")
        if problem := read_back(page, image) or self._covered(page, image):
            return problem
        if sorted("".join("".join(line.text.split()) for line in page.lines)) != sorted("".join(layer.split())):
            return Problem("text.changed")
        if self._clear is not None:
            if page.content.waybill_no not in self._clear:
                return Problem("clear.missing")
            if kind := self._clear.found(page, [layer, *information]):
                return Problem("clear.shown", kind)
        return None

    def _covered(self, page: Page, image: Image) -> Problem | None:
        """A bar code can be read from a strip of it; ours have to be whole, with their quiet zones, dot by dot."""
        for symbol in page.symbols:
            dots = round(symbol.module * self._dots)
            x, y, high = (round(length * self._dots) for length in (symbol.x, symbol.y, symbol.height))
            bits = np.broadcast_to(symbol.bits, (1, symbol.bits.size)) if symbol.bits.ndim == 1 else symbol.bits
            wanted = bits.repeat(dots, axis=1).repeat(high // len(bits), axis=0)
            quiet = QUIET[symbol.kind] * dots
            wanted = np.pad(wanted, ((0, 0) if symbol.kind == "barcode" else (quiet, quiet), (quiet, quiet)))
            top = y if symbol.kind == "barcode" else y - quiet
            shown = image[top : top + len(wanted), x - quiet : x - quiet + wanted.shape[1]] < THRESHOLD
            if not np.array_equal(shown, wanted):
                return Problem("code.covered", _KINDS[symbol.kind])
        return None


def read_back(page: Page, image: Image) -> Problem | None:
    """What is wrong with the codes of a page's picture: each has to be read, and no other may be."""
    read = sorted((code.kind, code.text) for code in codes.read(image, fast=True))
    wanted = sorted((_KINDS[symbol.kind], symbol.text) for symbol in page.symbols)
    if read == wanted:
        return None
    missing = [kind for kind, text in wanted if (kind, text) not in read]
    if missing:
        return Problem("code.unreadable", missing[0])
    return Problem("code.strange")
