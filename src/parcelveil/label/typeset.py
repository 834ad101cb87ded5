"""Sets composed labels with Typst: many pages in one run, as PDF.

::

    typesetter = Typesetter(press)
    chunk = typesetter.chunk(pages)       # a pdf.Chunk, one page a label

All is placed where :mod:`~parcelveil.label.compose` says. The text goes to Typst as data in memory,
never as source, so nothing on a waybill can be markup, and nothing is written to disk. Text with letters that are
written from right to left never reaches Typst, whose PDF writer ends the whole process over some. Typst writes PDF 1.4, whose
objects stand in the open, so that :mod:`~parcelveil.label.pdf` can draw the codes and join any number of runs.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parcelveil.errors import InputError
from parcelveil.label.compose import Page, Press
from parcelveil.label.font import FontSet, missing_package
from parcelveil.label.layout import turning
from parcelveil.label.logo import read_logo
from parcelveil.label.pdf import Chunk, code_operators
from parcelveil.label.raster import Raster

#: Tops of letters above the baseline: the em box of Han characters.
_ASCENT = 0.88
_BOLD = 0.025
_RULE = 0.25

#: Inputs: ``frame`` (what is the same on each label) and ``pages`` (what is not), both JSON.
_SOURCE = """
#let frame = json(bytes(sys.inputs.frame))
#set page(width: frame.width * 1mm, height: frame.height * 1mm, margin: 0pt)
#set text(font: frame.fonts, fallback: false, kerning: false, ligatures: false, cjk-latin-spacing: none,
  hyphenate: false, lang: "zh", top-edge: %(ascent)sem, bottom-edge: -%(descent)sem)
#let rules = {
  place(image(bytes(frame.rules), format: "svg", width: frame.width * 1mm, height: frame.height * 1mm))
  if frame.logo != none {
    let (x, y, w, h) = frame.box
    place(dx: x * 1mm, dy: y * 1mm,
      image(bytes(frame.logo), format: frame.kind, width: w * 1mm, height: h * 1mm, fit: "contain"))
  }
}
#for (lines, bold) in json(bytes(sys.inputs.pages)) {
  page(pdf.artifact({
    rules
    for (x, y, size, line) in lines { place(dx: x * 1mm, dy: y * 1mm, text(size: size * 1pt, line)) }
    for (x, y, size, line) in bold {
      place(dx: x * 1mm, dy: y * 1mm, text(size: size * 1pt, stroke: size * %(bold)spt, line))
    }
  }))
}
"""


class Typesetter:
    """Typst with a layout's frame and typefaces. Not shared between threads. Raises InputError for a bad logo."""

    def __init__(self, press: Press) -> None:
        try:
            import typst
        except ImportError:
            raise missing_package("typst") from None
        self._typst = typst
        self._press = press
        self._families: list[str] = []
        self._compiler: Any = None
        self._frame = ""  # as JSON, for the families that the compiler was made with
        self._source = (_SOURCE % {"ascent": _ASCENT, "descent": round(1 - _ASCENT, 3), "bold": _BOLD}).encode()
        self._logo = read_logo(press.layout) if press.logo is not None else ("", None)
        if press.logo is not None:
            self._try_logo()

    def chunk(self, pages: Sequence[Page]) -> Chunk:
        """The pages, set, with their codes. Raises InputError."""
        if any(turning(line.text) for page in pages for line in page.lines):
            raise InputError(
                "a text that is written from right to left cannot be set",
                hint="its waybill gets no label here; print the others with --skip",
            )
        height = self._press.height
        return Chunk.of(self._pdf(pages), [code_operators(page, height) for page in pages])

    def _pdf(self, pages: Sequence[Page]) -> bytes:
        try:
            return self._compiled([_page(page) for page in pages])
        except self._typst.TypstError as error:  # its text may quote the input
            raise InputError(
                "the labels could not be set ({where})",
                hint="check logo and typefaces of the layout",
                where=type(error).__name__,
            ) from None

    def _try_logo(self) -> None:
        """Set the logo alone, before any label: what is wrong with it is not to be told as something else."""
        try:
            pdf = self._compiled([[[], []]])
        except self._typst.TypstError:
            raise InputError(
                "the logo {file} is broken", hint="save it anew as PNG or SVG", file=self._press.layout.logo
            ) from None
        with Raster(pdf) as raster:
            _, text = raster.page(0, 8, 8)
        if text.strip():
            raise InputError(
                "the logo {file} holds text", hint="turn the logo's text into paths", file=self._press.layout.logo
            )

    def _compiled(self, pages: list[Any]) -> bytes:
        if self._compiler is None or self._families != self._press.font.families:  # a rarer typeface was needed
            self._families = self._press.font.families
            self._compiler = self._typst.Compiler(
                font_paths=_fonts(self._typst, self._press.font), ignore_system_fonts=True
            )
            self._frame = self._framed()
        inputs = {"frame": self._frame, "pages": json.dumps(pages, ensure_ascii=False)}
        pdf: bytes = self._compiler.compile(
            self._source, sys_inputs=inputs, format="pdf", pdf_standards="1.4", timestamp=0
        )
        return pdf

    def _framed(self) -> str:
        press = self._press
        frame = {
            "width": press.width,
            "height": press.height,
            "fonts": self._families,
            "rules": _rules(press),
            "box": press.logo,
            "kind": self._logo[0],
            "logo": self._logo[1],
        }
        return json.dumps(frame, ensure_ascii=False)


def _fonts(typst: Any, font: FontSet) -> Any:
    """The typefaces as Typst takes them: by folder, so each is linked into a folder of its own for the moment."""
    with tempfile.TemporaryDirectory(prefix="parcelveil-fonts-") as folder:
        for place, path in enumerate(font.paths):
            Path(folder, f"{place}{path.suffix}").symlink_to(path.resolve())
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])
        typst.Compiler(font_paths=fonts, ignore_system_fonts=True)
        return fonts


def _rules(press: Press) -> str:
    """The rules of a layout as SVG, in millimetres."""
    path = "".join(f"M{x:g} {y:g}L{u:g} {v:g}" for x, y, u, v in press.rules)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {press.width:g} {press.height:g}">'
        f'<path d="{path}" stroke="black" stroke-width="{_RULE}" stroke-linecap="square"/></svg>'
    )


def _page(page: Page) -> list[Any]:
    plain = [(line.x, line.y, line.size, line.text) for line in page.lines if not line.bold]
    bold = [(line.x, line.y, line.size, line.text) for line in page.lines if line.bold]
    return [plain, bold]
