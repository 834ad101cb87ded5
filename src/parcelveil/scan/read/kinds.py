"""What a file is, told by its first bytes; of texts also by the ending of its name.

::

    >>> kind_of(b"PK\\x03\\x04....", "orders.xlsx"), kind_of(b"%PDF-1.7", "x"), kind_of(b"hello", "x.log")
    ('zip', 'pdf', 'text')
    >>> text_format('{"a": 1}', "export"), text_format("<!DOCTYPE html>", "x"), text_format("x", "app.log.1")
    ('json', 'html', 'log')
"""

from __future__ import annotations

import re
import tarfile

from parcelveil.scan.read.inflate import MAGIC

#: Bytes needed to tell.
HEAD = 4096

_STARTS: list[tuple[bytes, str]] = [
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    *((magic, kind) for magic, kind in MAGIC.items() if kind not in ("lzma", "bz2")),
    (b"SQLite format 3\x00", "sqlite"),
    (b"PAR1", "parquet"),
    (b"ARROW1\x00\x00", "arrow"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "cfb"),
    (b"\x89PNG\r\n\x1a\n", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"GIF87a", "picture"),
    (b"GIF89a", "picture"),
    (b"II*\x00", "picture"),
    (b"MM\x00*", "picture"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"MSCF\x00\x00\x00\x00", "cab"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"\x1f\x9d", "compress"),
    (b"FEA1", "feather"),
    (b"ORC\x1b", "orc"),
    (b"Obj\x01", "avro"),
    (b"ID3", "media"),
    (b"OggS", "media"),
    (b"fLaC", "media"),
    (b"\x1a\x45\xdf\xa3", "media"),
    (b"\x00\x01\x00\x00\x00", "media"),
    (b"OTTO\x00", "media"),
    (b"wOFF", "media"),
    (b"wOF2", "media"),
]
ARCHIVES = {"7z", "rar", "cab", "lz4", "snappy", "compress"}
DATA = {"feather", "orc", "avro"}
_PICTURE_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_HEADER = re.compile(
    rb"(?:from|to|cc|bcc|subject|date|received|return-path|delivered-to|message-id|mime-version|reply-to|sender"
    rb"|content-type|content-transfer-encoding|dkim-signature|x-[\w-]{1,60}|arc-[\w-]{1,60}):",
    re.IGNORECASE,
)
_MAIL_SIGNS = re.compile(rb"^(?:received|message-id|mime-version|return-path|subject):", re.IGNORECASE | re.MULTILINE)

_ENDINGS = {
    "log": ("log", "out", "err"),
    "json": ("json", "geojson", "har", "ipynb"),
    "jsonl": ("jsonl", "ndjson"),
    "xml": ("xml", "svg", "xsd", "plist", "kml", "gpx", "rss", "wsdl", "fb2"),
    "html": ("html", "htm", "xhtml", "mht", "mhtml"),
    "sql": ("sql", "dump"),
    "source": tuple("c cc cpp h hpp cs go java js jsx kt lua m php pl py r rb rs scala sh swift ts tsx vue".split()),
    "config": tuple("cfg conf env ini properties toml yaml yml".split()),
    "markdown": ("md", "rst"),
    "vcard": ("vcf",),
    "rtf": ("rtf",),
}
_FORMATS = {ending: name for name, endings in _ENDINGS.items() for ending in endings}
_ENDING = re.compile(r"\.([a-z0-9]{1,8})(?:\.\d{1,10}|-\d{4,8}|~|\.bak|\.old)*\Z")
_SQL = re.compile(r"^\s*(?:insert\s+into|create\s+table|copy\s+\S+ .{0,2000}from\s+stdin|-- .{0,40}dump)", re.I | re.M)
_LOG = re.compile(
    r"\A\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d|\A\S+ - - \[\d\d/\w{3}/\d{4}|\A\w{3} [ \d]\d \d\d:\d\d:\d\d "
)


def kind_of(head: bytes, name: str) -> str:
    """The kind of an item: which reader reads it. ``text`` stands for all that no signature tells."""
    for magic, kind in _STARTS:
        if head.startswith(magic):
            return kind
    if head[:3] == b"BZh" and head[4:10] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"):
        return "bz2"
    if head.startswith(b"\x5d\x00\x00") and name.endswith(".lzma"):
        return "lzma"
    if head[:4] == b"RIFF":
        return "picture" if head[8:12] == b"WEBP" else "media"
    if head[4:8] == b"ftyp":
        return "picture" if head[8:12] in _PICTURE_BRANDS else "media"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and len(head) > 26:
        return "picture"
    if head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2") and name.endswith(".mp3"):
        return "media"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head[:4] == b"\xff\xff\xff\xff" and head[4:8] != b"\xff\xff\xff\xff" and name.endswith((".arrows", ".arrow")):
        return "arrow stream"
    if _is_tar(head):
        return "tar"
    return _mail(head, name) or "text"


def _is_tar(head: bytes) -> bool:
    if len(head) < 512 or not head[0]:
        return False
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _mail(head: bytes, name: str) -> str:
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    if lines and lines[0].startswith(b"From ") and len(lines) > 1 and _HEADER.match(lines[1]):
        return "mbox"
    if lines and _HEADER.match(lines[0]):
        if name.endswith((".eml", ".mht", ".mhtml")):
            return "eml"
        block = head.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
        if len({sign.lower() for sign in _MAIL_SIGNS.findall(block)}) > 1:
            return "eml"
    return ""


def text_format(sample: str, name: str) -> str:
    """What a text is called in the manifest, by its ending or its first characters."""
    ending = _ENDING.search(name)
    named = _FORMATS.get(ending[1], "") if ending else ""
    start = sample.lstrip("\ufeff \t\r\n")[:256].lower()
    if named in ("", "log") and re.match(r"\{\s*(?:\"|\})|\[\s*(?:[{\[\"\]]|-?\d)", start):
        lines = sample.lstrip("\ufeff \t\r\n").splitlines()
        return "jsonl" if len(lines) > 1 and lines[0].rstrip().endswith("}") and lines[1][:1] == "{" else "json"
    if named:
        return named
    if start.startswith("{\\rtf"):
        return "rtf"
    if start.startswith(("<!doctype html", "<html", "<head", "<body", "<table", "<div", "<script")):
        return "html"
    if start.startswith("<?xml") or re.match(r"<[a-z_][\w:.-]*(?:\s[^<>]*)?/?>", start):
        return "html" if "<html" in start else "xml"
    if _SQL.search(sample):
        return "sql"
    if start.startswith("begin:vcard"):
        return "vcard"
    return "log" if _LOG.match(sample.lstrip("\ufeff")) else "text"
