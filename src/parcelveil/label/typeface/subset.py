"""Makes the default typeface anew from Noto Sans SC.

::

    python -m parcelveil.label.typeface.subset NotoSansSC-Regular.otf ParcelveilSansSC-Regular.otf

It keeps GB 2312 (6,763 Han characters and its signs), Latin, Greek, Cyrillic, kana, full-width forms, every character
of the gazetteer and of the known surnames: whatever the areas and masks of nearly all labels need. Shaping features
are left out, because labels are set without kerning, so that a line is as wide as its advances. The same input gives
the same bytes. The family gets a name of its own, as the licence asks where a name is reserved.
"""

from __future__ import annotations

import sys
from pathlib import Path

from parcelveil.intake import divisions as gazetteer
from parcelveil.seal import mask, mask_address

FAMILY = "Parcelveil Sans SC"
_RANGES = (
    (0x20, 0x7F),
    (0xA0, 0x180),  # Latin
    (0x370, 0x460),  # Greek, Cyrillic
    (0x1E00, 0x1F00),  # Vietnamese
    (0x3000, 0x3100),  # CJK punctuation, kana
    (0xFF00, 0xFFF0),  # full-width forms
)
_SIGNS = "‐‑–—‘’“”…•·×№℃"


def characters() -> set[str]:
    """Every character of the subset."""
    found = {chr(code) for first, end in _RANGES for code in range(first, end)} | set(_SIGNS)
    pairs = (bytes([high, low]) for high in range(0xA1, 0xF8) for low in range(0xA1, 0xFF))
    found |= {char for pair in pairs for char in pair.decode("gb2312", "ignore")}
    levels = gazetteer.divisions()
    for level in (levels.provinces, levels.cities, levels.districts, levels.towns):
        found.update(*level.names.tolist())
    return found.union(mask_address._SURNAMES, *mask.COMPOUND_SURNAMES)


def subset(source: Path, target: Path) -> None:
    """Write the subset of ``source`` that has :func:`characters`."""
    from fontTools import subset as ft

    options = ft.Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    font = ft.load_font(str(source), options)
    chosen = ft.Subsetter(options)
    chosen.populate(text="".join(sorted(characters())))
    chosen.subset(font)
    short = FAMILY.replace(" ", "")
    names = {1: FAMILY, 3: f"{short}-Regular, subset of Noto Sans SC 2.004", 4: FAMILY, 6: f"{short}-Regular"}
    for record in list(font["name"].names):
        if record.nameID in names:
            record.string = names[record.nameID]
    top = font["CFF "].cff
    top.fontNames = [f"{short}-Regular"]
    top[0].FullName = top[0].FamilyName = FAMILY
    font["head"].modified = font["head"].created  # the same input gives the same bytes
    font.recalcTimestamp = False
    ft.save_font(font, str(target), options)


if __name__ == "__main__":
    subset(Path(sys.argv[1]), Path(sys.argv[2]))
