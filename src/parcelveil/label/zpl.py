"""Labels as ZPL II, the language of label printers: native text where the printer has the glyphs, pictures elsewhere.

::

    text = zpl(page, press, image)      # one ^XA … ^XZ, with the picture that the gate has read
    canvas = painted(text)              # what a printer would paint of it, native text left out

Most printers have no Chinese typeface, and print empty boxes for what they lack. So every line that the printer's font
does not cover (by the layout's ``[zpl]`` table; ASCII when it says nothing) goes as a graphic, cut out of the very
picture that was read back, and so do the codes: what was read is what is printed. Native text is not read back, for
only the printer knows its letters. Graphics are ``^GFA`` in Zebra's
hexadecimal form with run lengths, which every firmware takes; text is ``^CI28`` (UTF-8) with ``^FH`` escapes.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from parcelveil.label.compose import DOTS, POINT, Box, Line, Page, Press
from parcelveil.label.layout import Zpl, turning
from parcelveil.label.raster import THRESHOLD, Image

Dots = npt.NDArray[np.bool_]

_RULE_DOTS = 2
#: How far letters reach over the em box, in em: above, below.
_OVER, _UNDER = 0.08, 0.2
_RUNS = {**{chr(ord("G") + n): n + 1 for n in range(19)}, **{chr(ord("g") + n): 20 * (n + 1) for n in range(20)}}
_REPEATED = re.compile(r"([0-9A-F])\1{2,}")
_COUNTED = re.compile(r"([G-Yg-z]+)([0-9A-F])")
_ESCAPED = frozenset("^~_\\")
#: Han characters: the first block, extension A, the compatible ones, and planes 2 and 3.
_HAN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\U00020000-\U0003fffd]")


def covered(text: str, printer: Zpl) -> bool:
    """Whether the printer's own font has all glyphs of ``text``, one a character and from left to right."""
    if printer.covers == "none" or not text.isprintable():
        return False
    return all(_has(char, printer.covers) for char in set(text))


@lru_cache(1 << 16)
def _has(char: str, covers: str) -> bool:
    """Whether a font that ``covers`` a character set has a character.

    GB 18030 as an encoding has all of Unicode; as the standard of fonts it means the characters of GBK and Han
    characters. A font with its Thai, Arabic or Korean letters is rare, and a printer does not join them.
    """
    if char.isascii():
        return True
    if turning(char) or unicodedata.category(char).startswith("M"):
        return False
    if covers == "gb18030" and _HAN.fullmatch(char):
        return True
    try:
        return len(char.encode("gbk" if covers == "gb18030" else covers)) == 2
    except UnicodeEncodeError:
        return False


def zpl(page: Page, press: Press, image: Image) -> str:
    """One label. ``image``: its picture, as :class:`~parcelveil.label.gate.Gate` made it."""
    dots, printer = DOTS[press.dpi], press.layout.zpl
    dark = image < THRESHOLD
    parts = [f"^XA^CI28^PW{image.shape[1]}^LL{image.shape[0]}^LH0,0"]
    parts += [_rule(rule, dots) for rule in press.rules]
    if press.logo is not None:
        parts.append(_graphic(dark, press.logo, dots))
    for symbol in page.symbols:
        parts.append(_graphic(dark, symbol.box, dots))
    for line in page.lines:
        if covered(line.text, printer):
            parts.append(_text(line, printer, dots))
        else:
            em = line.size * POINT
            over = Box(line.x - _OVER * em, line.y - _OVER * em, line.width + 2 * _OVER * em, (1 + _OVER + _UNDER) * em)
            parts.append(_graphic(dark, over, dots))
    return "\n".join([*parts, "^XZ\n"])


def _rule(rule: tuple[float, float, float, float], dots: float) -> str:
    x, y, u, v = (round(length * dots) for length in rule)
    x, u, y, v = min(x, u), max(x, u), min(y, v), max(y, v)
    half = _RULE_DOTS // 2
    return (
        f"^FO{max(0, x - half)},{max(0, y - half)}^GB{max(u - x, _RULE_DOTS)},{max(v - y, _RULE_DOTS)},{_RULE_DOTS}^FS"
    )


def _text(line: Line, printer: Zpl, dots: float) -> str:
    """Native text in a block as wide as the line would be, where the printer's narrower letters stand as they should."""
    high, wide = round(line.size * POINT * dots), round(line.width * dots) + 1
    font = f"^A{printer.font}N,{high}" if len(printer.font) == 1 else f"^A@N,{high},{high},{printer.font}"
    place = f"^FO{round(line.x * dots)},{round(line.y * dots)}{font}"
    if line.align != "left":
        place += f"^FB{wide},1,0,{line.align[0].upper()}"
    return f"{place}^FH^FD{_escaped(line.text)}^FS"


def _escaped(text: str) -> str:
    return "".join(f"_{ord(char):02X}" if char in _ESCAPED else char for char in text)


def _graphic(dark: Dots, box: Box, dots: float) -> str:
    """The dots within a box, without the white around them; nothing when all are white."""
    left, top = max(0, int(box.x * dots)), max(0, int(box.y * dots))
    part = dark[top : int((box.y + box.height) * dots) + 2, left : int((box.x + box.width) * dots) + 2]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not rows.size:
        return ""
    part = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    packed = np.packbits(part, axis=1)
    total = packed.size
    place = f"^FO{left + columns[0]},{top + rows[0]}"
    return f"{place}^GFA,{total},{total},{packed.shape[1]},{_hexadecimal(packed)}^FS"


def _hexadecimal(packed: npt.NDArray[np.uint8]) -> str:
    """Zebra's alternative data compression: run lengths, ``,`` and ``!`` to the end of a row, ``:`` for the same row."""
    rows, before = [], None
    for row in packed:
        digits = row.tobytes().hex().upper()
        rows.append(":" if digits == before else _row(digits))
        before = digits
    return "".join(rows)


def _row(digits: str) -> str:
    end = ""
    for fill, sign in (("0", ","), ("F", "!")):
        short = digits.rstrip(fill)
        if len(short) < len(digits):
            digits, end = short, sign
            break
    return _REPEATED.sub(_run, digits) + end


def _run(match: re.Match[str]) -> str:
    """So many of one digit: ``z`` stands for 400, ``g`` to ``y`` for twenties, ``G`` to ``Y`` for ones."""
    count = len(match[0])
    letters = "z" * (count // 400)
    count %= 400
    if count >= 20:
        letters += chr(ord("g") + count // 20 - 1)
    if count % 20:
        letters += chr(ord("G") + count % 20 - 1)
    return letters + match[1]


def painted(text: str) -> Image:
    """The graphics of one label as a printer paints them: gray, 0 is black. Raises ValueError for a broken graphic."""
    size = re.search(r"\^PW(\d+)\^LL(\d+)", text)
    if size is None:
        raise ValueError("no size")
    canvas = np.full((int(size[2]), int(size[1])), 255, np.uint8)
    for x, y, total, wide, data in re.findall(r"\^FO(\d+),(\d+)\^GFA,(\d+),\d+,(\d+),([^^]*)\^FS", text):
        packed = _unpacked(data, int(wide))
        if packed.size != int(total):
            raise ValueError("a graphic has other bytes than it says")
        part = canvas[int(y) : int(y) + len(packed), int(x) : int(x) + 8 * int(wide)]
        part[np.unpackbits(packed, axis=1).astype(bool)[:, : part.shape[1]]] = 0
    return canvas


def _unpacked(data: str, wide: int) -> npt.NDArray[np.uint8]:
    rows: list[str] = []
    row, full = "", 2 * wide
    plain = _COUNTED.sub(lambda match: match[2] * sum(_RUNS[letter] for letter in match[1]), data)
    for digits, sign in re.findall(r"([0-9A-F]*)([,!:]?)", plain):
        row += digits
        while len(row) >= full:
            rows.append(row[:full])
            row = row[full:]
        if sign == ":":
            rows.append(rows[-1])
        elif sign:
            rows.append(row.ljust(full, "0" if sign == "," else "F"))
            row = ""
    return np.frombuffer(bytes.fromhex("".join(rows)), np.uint8).reshape(-1, wide)
