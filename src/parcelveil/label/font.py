"""Which characters the typefaces have, and how wide each is.

::

    font = FontSet()                       # the bundled subset, and the whole Noto Sans SC where it is installed
    font.missing("张伟 13800000000")        # '': nothing is missing
    font.width("派送 310-A12")              # in em: times the size it is the width of the line

Labels are set without kerning and ligatures, so a line is exactly as wide as the sum of its advances. A character is
taken from the first typeface that has it; one that none has is for :mod:`~parcelveil.label.compose` to refuse, before
anything is drawn: a printer would put an empty box there, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from parcelveil.errors import DependencyError, InputError

BUNDLED = Path(__file__).with_name("typeface") / "ParcelveilSansSC-Regular.otf"
_LARGEST = 64 << 20


class Typeface(NamedTuple):
    """One font file: its family's name, and the advance of each character in em."""

    path: Path
    family: str
    advances: dict[str, float]


@cache
def read_typeface(path: Path) -> Typeface:
    """Read a TrueType or OpenType file. Raises InputError when it is none, DependencyError without fontTools."""
    try:
        from fontTools.ttLib import TTFont, TTLibError
    except ImportError:
        raise missing_package("fonttools") from None
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError("{file} is too large for a font", hint="give a TTF or OTF file", file=path.name)
        with path.open("rb") as file, TTFont(file, lazy=True) as font:
            metrics, units = font["hmtx"].metrics, font["head"].unitsPerEm
            advances = {chr(code): metrics[glyph][0] / units for code, glyph in font.getBestCmap().items()}
            family = font["name"].getBestFamilyName() or path.stem
    except OSError as error:
        raise InputError("{file} cannot be read: {why}", file=str(path), why=error.strerror) from None
    except (TTLibError, KeyError, AttributeError, ValueError, AssertionError):
        raise InputError("{file} is no font", hint="give a TTF or OTF file", file=path.name) from None
    return Typeface(path, family, advances)


def missing_package(name: str) -> DependencyError:
    """What to say when a package of the ``label`` extra is not there."""
    return DependencyError(
        "labels need {package}, which is not installed", hint="pip install 'parcelveil[label]'", package=name
    )


def rare_typefaces() -> list[Path]:
    """Where their packages are installed: Noto Sans, for the rest of Latin, Greek and Cyrillic, and the whole Noto Sans
    SC, for rare Han characters. In this order: the latter has no ź, but z and an accent, and would set them apart."""
    found = []
    for package, name in (
        ("fontpkg_noto_sans", "files/NotoSans[wdth,wght].ttf"),
        ("pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf"),
    ):
        place = find_spec(package)
        if place is not None and place.origin is not None and (path := Path(place.origin).parent / name).is_file():
            found.append(path)
    return found


class FontSet:
    """Typefaces in the order in which they are asked. ``more``: the carrier's own, before the rare characters' one."""

    def __init__(self, more: Sequence[Path] = ()) -> None:
        self._faces = [read_typeface(path) for path in (BUNDLED, *more)]
        self._rare = rare_typefaces()
        self._advances: dict[str, float] = {}
        #: Width of a text in em; KeyError for a character that is :meth:`missing`. The same words come again and again.
        self.width = lru_cache(20_000)(self._width)
        for face in reversed(self._faces):
            self._advances.update(face.advances)

    @property
    def families(self) -> list[str]:
        """Names of the families, in order."""
        return [face.family for face in self._faces]

    @property
    def paths(self) -> list[Path]:
        """Their files."""
        return [face.path for face in self._faces]

    def missing(self, text: str) -> str:
        """The characters of ``text`` that no typeface has, each once, sorted."""
        advances = self._advances
        lacking = {char for char in text if char not in advances}
        while lacking and self._rare:
            face = read_typeface(self._rare.pop(0))  # some hundred milliseconds, so only when somebody needs it
            self._faces.append(face)
            self._advances = face.advances | self._advances
            lacking -= self._advances.keys()
        return "".join(sorted(lacking)) if lacking else ""

    def _width(self, text: str) -> float:
        advances = self._advances
        return sum([advances[char] for char in text])
