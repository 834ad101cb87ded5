"""Office documents that are zips of XML: DOCX, PPTX and ODT as text, with notes, comments and what is embedded.

::

    read_office(item, archive, run)          # one document a part: "", "comments", "header1", "slide3" ...

The text is that of the XML's text elements, deleted text included; a row of a table is one line with tabs. XML is read
in a stream, without a DTD or anything outside of the file. Pictures and files that are embedded are members.
"""

from __future__ import annotations

import re
import xml.parsers.expat
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place
from parcelveil.scan.read import why
from parcelveil.scan.read.item import Item, Run
from parcelveil.scan.read.limits import Stopped
from parcelveil.scan.read.members import read_members

_BLOCK = 64 << 10
#: Parts that hold text a person wrote, the main one first.
_PARTS = {
    "docx": re.compile(r"word/(document|comments\w*|footnotes|endnotes|header\d*|footer\d*|glossary/document)\.xml"),
    "pptx": re.compile(r"ppt/(?:slides|notesSlides|comments|slideMasters|slideLayouts|diagrams)/(\w+)\.xml"),
    "odf": re.compile(r"(content|styles)\.xml"),
    "xlsx": re.compile(r"xl/(?:(?:threadedC|c)omments/)?(comments\w*|threadedComment\w*|drawings/drawing\w*)\.xml"),
}
_INFORMATION = re.compile(r"docProps/(?:core|custom)\.xml|customXml/\w+\.xml|meta\.xml")
_LINKS = re.compile(r"(?:word|ppt|xl)/(?:\w+/)?_rels/[\w.]+\.rels")
_EMBEDDED = re.compile(r"(?:word|ppt|xl)/(?:media|embeddings)/.+|(?:Pictures|Object[^/]*)/.+", re.IGNORECASE)
_TEXT = {"t", "delText", "instrText", "text"}
_PARAGRAPH = {"p", "h", "br", "cr", "line-break", "comment", "threadedComment"}


def kind_of(names: list[str], archive: zipfile.ZipFile) -> str:
    """``docx pptx xlsx xlsb ods odf``, or nothing for any other zip."""
    have = set(names)
    for kind, sign in (
        ("docx", "word/document.xml"),
        ("xlsb", "xl/workbook.bin"),
        ("xlsx", "xl/workbook.xml"),
        ("pptx", "ppt/presentation.xml"),
    ):
        if sign in have:
            return kind
    if "mimetype" in have and "content.xml" in have and archive.getinfo("mimetype").file_size < 256:
        sheet = b"spreadsheet" in archive.read("mimetype")
        return "ods" if sheet else "odf"
    return ""


def read_office(item: Item, archive: zipfile.ZipFile, run: Run) -> Iterator[Document]:
    """Documents of all parts of an office document, and of what is embedded in it."""
    kind = item.entry.format
    wanted = _PARTS["odf" if kind == "ods" else kind]
    parts: dict[str, list[zipfile.ZipInfo]] = {}
    embedded: list[zipfile.ZipInfo] = []
    for info in archive.infolist()[: run.limits.members]:
        name = info.filename
        if found := wanted.fullmatch(name):
            if kind != "ods" or found[1] != "content":  # its cells are read as sheets
                part = "" if found[1] in ("document", "content") else found[1].rpartition("/")[2]
                parts.setdefault(part, []).append(info)
        elif _INFORMATION.fullmatch(name):
            parts.setdefault("information", []).append(info)
        elif _LINKS.fullmatch(name):
            parts.setdefault("links", []).append(info)
        elif _EMBEDDED.fullmatch(name) and not info.is_dir():
            embedded.append(info)
    for part in sorted(parts, key=lambda part: (part != "", _natural(part))):
        pieces = item.entry.watch(_texts(item, archive, parts[part]))
        first = next(pieces, None)
        if first is not None:
            place = Place(item.place.source, member=item.place.member, part=part)
            yield Document(place, "text", format=kind, chunks=chain([first], pieces))
    yield from read_members(item, archive, embedded, run)


def _texts(item: Item, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> Iterator[bytes]:
    for info in infos:
        if info.flag_bits & 1:
            raise Stopped(why.ENCRYPTED)
        item.entry.got = True
        every = item.entry.format in ("odf", "ods") or info.filename.startswith(("docProps/", "customXml/"))
        yield from text_of(item, archive, info, every=every)


def _natural(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :][:9] or 0)


def text_of(item: Item, archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, every: bool) -> Iterator[bytes]:
    """The text of one XML part as UTF-8. ``every``: all characters are text, not only those of text elements."""
    sink = _Text(every)
    for _ in parsed(item, archive, info, sink.start, sink.end, sink.characters):
        if text := sink.take(_BLOCK):
            yield text
    if text := sink.take(0):
        yield text


def parsed(
    item: Item,
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    characters: Callable[[str], None],
) -> Iterator[None]:
    """Parses an XML part, block by block: one step a block. What was parsed before a damage counts; it is said."""
    parser = xml.parsers.expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise Stopped(why.DAMAGED)  # no office program writes a DTD; entities could grow without end

    parser.StartDoctypeDeclHandler = refuse

    def first(name: str, attributes: dict[str, str]) -> None:
        # Sheets have no prefixes, and hundreds of thousands of cells: their handlers are called directly.
        plain = ":" not in name
        parser.StartElementHandler = start if plain else lambda name, found: start(name.rpartition(":")[2], found)
        parser.EndElementHandler = end if plain else lambda name: end(name.rpartition(":")[2])
        start(name.rpartition(":")[2], attributes)

    parser.StartElementHandler = first
    parser.CharacterDataHandler = characters
    with archive.open(info) as stream:
        while True:
            damaged: Exception | None = None
            data = b""
            try:
                data = stream.read(_BLOCK)
                parser.Parse(data, not data)
            except Exception as error:  # noqa: BLE001  handed on behind what was parsed
                damaged = error
            item.budget.inflate(len(data))
            yield
            if damaged is not None:
                raise damaged
            if not data:
                return


class _Text:
    """Collects text from the events of a parser."""

    def __init__(self, every: bool) -> None:
        self._every = every
        self._found: list[str] = []
        self._size = self._cells = self._inside = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name in ("tc", "table-cell"):
            self._cells += 1
        elif name in _TEXT:
            self._inside += 1
        elif name in ("tab", "s"):
            self._put("\t" if name == "tab" else " ")
        elif name in ("br", "cr", "line-break"):
            self._put(" " if self._cells else "\n")
        elif name == "Relationship" and attributes.get("TargetMode") == "External":
            self._put(attributes.get("Target", "") + "\n")

    def end(self, name: str) -> None:
        """An element ends."""
        if name in ("tc", "table-cell"):
            self._cells -= 1
            self._put("\t")
        elif name in ("tr", "table-row"):
            self._put("\n")
        elif name in _TEXT:
            self._inside -= 1
        elif name in _PARAGRAPH or (self._every and name not in ("span", "a")):
            self._put(" " if self._cells else "\n")

    def characters(self, text: str) -> None:
        """Text of the innermost element."""
        if self._inside or self._every:
            self._put(text)

    def _put(self, text: str) -> None:
        self._found.append(text)
        self._size += len(text)

    def take(self, least: int) -> bytes:
        """What was collected, when it is more than ``least``."""
        if self._size <= least:
            return b""
        text = "".join(self._found).encode("utf-8", "replace")
        self._found, self._size = [], 0
        return text
