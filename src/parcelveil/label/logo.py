"""A layout's logo: PNG or SVG, and in an SVG nothing but shapes and embedded pictures.

::

    kind, data = read_logo(layout)        # "svg", its text; or "png", its bytes

Text in a logo would be text of the label, which the gate compares with what was set, and it would be set in other
letters here than where it was drawn; so it has to be turned into paths. Nothing outside the file is read or fetched.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from parcelveil.errors import InputError
from parcelveil.label.layout import Layout

_LARGEST = 2 << 20
#: More dots than any printer of labels has on a logo; a small file can say that it has a billion.
_MOST_DOTS = 16_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = frozenset({"text", "tspan", "textPath", "tref", "flowRoot"})
_FOREIGN = frozenset({"script", "foreignObject", "iframe", "audio", "video", "handler", "listener"})
_INSIDE = re.compile(r"\s*(?:#|data:image/(?:png|jpeg|gif|webp)[;,]|$)", re.IGNORECASE)
_URL = re.compile(r"""url\(\s*["']?(?!\s*#)|@import""", re.IGNORECASE)


def read_logo(layout: Layout) -> tuple[str, str | list[int]]:
    """The logo's format, ``png`` or ``svg``, and what it holds: bytes, or text. Raises InputError."""
    file = layout.logo
    path = Path(layout.folder, file)
    try:
        with path.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    except OSError as error:
        raise InputError("the logo {file} cannot be read: {why}", file=file, why=error.strerror) from None
    if len(data) > _LARGEST:
        raise InputError("the logo {file} is too large", hint="at most 2 MB", file=file)
    if data.startswith(_PNG):
        if int.from_bytes(data[16:20]) * int.from_bytes(data[20:24]) > _MOST_DOTS:
            raise InputError("the logo {file} has too many dots", hint="at most 16 million", file=file)
        return "png", list(data)
    if path.suffix.lower() == ".svg":
        return "svg", _svg(data, file)
    raise InputError("the logo {file} is neither PNG nor SVG", file=file)


def _svg(data: bytes, file: str) -> str:
    try:
        text = data.decode("utf-8-sig")
        if "<!ENTITY" in text:  # it can make a small file a large one
            raise InputError(
                "the logo {file} holds more than shapes ({what})", hint="save it as plain SVG", file=file, what="ENTITY"
            )
        root = ElementTree.fromstring(text)  # noqa: S314 - no entities, and at most 2 MB
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError):
        raise InputError("the logo {file} is broken", hint="save it anew as PNG or SVG", file=file) from None
    for element in root.iter():
        name = _local(str(element.tag))
        if name in _TEXTS:
            raise InputError("the logo {file} holds text", hint="turn the logo's text into paths", file=file)
        if what := _foreign(name, element):
            raise InputError(
                "the logo {file} holds more than shapes ({what})", hint="save it as plain SVG", file=file, what=what
            )
    if "<?xml-stylesheet" in text:
        raise InputError("the logo {file} refers to another file", hint="embed it, or draw it as paths", file=file)
    if any(_refers(element) for element in root.iter()):
        raise InputError("the logo {file} refers to another file", hint="embed it, or draw it as paths", file=file)
    return text


def _foreign(name: str, element: ElementTree.Element) -> str:
    """What an element is that has no place in a picture; empty for a shape."""
    if name in _FOREIGN:
        return name
    return next((_local(key) for key in element.attrib if re.fullmatch(r"on[a-z]+", _local(key))), "")


def _refers(element: ElementTree.Element) -> bool:
    """Whether an element names something outside the file."""
    style = (element.text or "") if _local(str(element.tag)) == "style" else ""
    if _URL.search(style):
        return True
    for key, value in element.attrib.items():
        if _local(key) in ("href", "src") and not _INSIDE.match(value):
            return True
        if _URL.search(value):
            return True
    return False


def _local(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("}")[2]
