"""XMP: what programs write into PDF files about them, as XML packets.

::

    >>> texts_of_xml(b"<x:xmpmeta><dc:title>label</dc:title></x:xmpmeta>")
    'label'
"""

from __future__ import annotations

import mmap
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 1 << 20


def xmp(path: Path | bytes) -> Iterator[str]:
    """The texts of XMP packets: plain, as nearly every program writes them, or compressed."""
    if isinstance(path, bytes):
        yield from _packets(path)
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from _packets(data)


def _packets(data: bytes | mmap.mmap) -> Iterator[str]:
    for found in re.finditer(rb"<x:xmpmeta.{0,1000000}?</x:xmpmeta>", data, re.DOTALL):
        yield texts_of_xml(found[0])
    for found in re.finditer(rb"/Type\s*/Metadata[^\0]{0,400}?stream\r?\n", data):
        if b"FlateDecode" in data[max(0, found.start() - 400) : found.end()]:
            try:
                raw = zlib.decompressobj().decompress(data[found.end() : found.end() + _LARGEST], _LARGEST)
            except zlib.error:
                continue
            yield texts_of_xml(raw)


def texts_of_xml(data: bytes) -> str:
    """The values of attributes and the texts between tags, a line each; not parsed, for it may be made to harm."""
    text = data.decode("utf-8", "replace")
    named = re.findall(r"\b(?!xmlns|rdf:|xml:|x:)[\w:]+\s*=\s*[\"']([^\"'<]{1,10000})[\"']", text)
    between = [part.strip() for part in re.findall(r">([^<]{1,10000})<", text)]
    return "\n".join(part for part in (*named, *between) if part)
