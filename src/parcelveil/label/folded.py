"""One spelling for many: text as the rules look at it.

::

    >>> fold("１３８☺☺☺☺１２３４"), fold("138xxxx1234"), fold("张某"), fold("10x20 cm")
    ('138****1234', '138****1234', '张*', '10x20 cm')
    >>> spelled_out("一三八 1234 五六七八"), spelled_out("138O0138OOO")
    ('138 1234 5678', '13800138000')

Whatever hides a character becomes ``*``; full-width characters become plain ones; characters without width go.
"""

from __future__ import annotations

import re
import unicodedata

#: Each of these hides a character wherever it stands.
_HIDERS = "＊*●○•■□◆◇★☆▇█▉▓▒░☺☻🙂😊😀😄😃😁♥❤⬤◼◻⚫⚪🔴🔒某∗✱✻⁎﹡"
#: These do so in a row of at least two: one x is a letter or a sign of times.
_IN_A_ROW = re.compile(r"([×xX#_~?^=…])\1+(?![A-WYZa-wyz])")
_TO_STAR = str.maketrans(dict.fromkeys(_HIDERS, "*"))
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−－﹣ー", "-"))
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])(?:\.{3,}|-{3,})(?=[0-9])")
#: OCR leaves blanks out: a name's mask and the phone behind it.
_NAME_THEN_PHONE = re.compile(r"([\u3400-\u9fff]\*{1,6})(?=[01+][0-9])")
_HAN_DIGITS = str.maketrans(
    {
        han: str(value)
        for row in ("〇一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖", "洞幺貳參")
        for value, han in enumerate(row)
    }
    | {"貳": "2", "參": "3", "陸": "6"}
)
_LETTERS_FOR_DIGITS = re.compile(r"(?<=[0-9])[oOlI]{1,4}(?![A-Za-z])")


def fold(text: str) -> str:
    """``text`` in one spelling; its length may change."""
    text = text.translate(_TO_STAR).replace("…", "**")
    text = unicodedata.normalize("NFKC", text)
    text = "".join(
        char if (kind := unicodedata.category(char))[0] != "C" and kind[0] != "M" else " " if kind == "Cc" else ""
        for char in text
    )
    text = "".join(_plain_digit(char) for char in text).translate(_DASHES).translate(_TO_STAR)
    return _NAME_THEN_PHONE.sub(r"\1 ", _BETWEEN_DIGITS.sub(_stars, _IN_A_ROW.sub(_stars, text)))


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


def _plain_digit(char: str) -> str:
    """Digits of any script as ASCII."""
    return str(unicodedata.digit(char)) if not char.isascii() and char.isdigit() else char


def spelled_out(text: str) -> str:
    """Folded text with Han numerals as digits, and letters that stand for digits: same length."""

    def digits(found: re.Match[str]) -> str:
        return "".join("0" if char in "oO" else "1" for char in found[0])

    return _LETTERS_FOR_DIGITS.sub(digits, text.translate(_HAN_DIGITS))


def hint(value: str, most: int = 3) -> str:
    """A clear value as a report may name it: its first characters, never more than a third of it.

    >>> hint("13812345678"), hint("张三", 1), hint("A")
    ('138…', '…', '…')
    """
    return value[: min(most, len(value) // 3)] + "…"
