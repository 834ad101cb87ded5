"""What a code's text or a file's metadata says, also when it is wrapped: percent signs, JSON, Base64, hexadecimal.

::

    >>> readable('{"name": "张三", "tel": 13812345678}')[1]
    '收件人: 张三\\n电话: 13812345678'
    >>> readable("https://example.org/q?mobile=%2B8613812345678")[-1]
    '电话: +8613812345678'
    >>> opaque("AEDR5Q7XJ2LM4VKPZT3WYHNB6CFGOSUI"), opaque("YT0000000000001"), opaque("https://example.org/")
    (True, False, False)

Keys that speak of a person are turned into the cue words that :mod:`~parcelveil.label.rules` knows. Unwrapping is
bounded in depth and number; what is encrypted stays what it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_DEEPEST, _MOST_VIEWS, _LONGEST, _ALTOGETHER = 6, 48, 100_000, 300_000
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){8,}")
_PAIR = re.compile(r"([A-Za-z_\u4e00-\u9fff][\w.\-]{0,40})\s*=\s*([^&;\n]{1,2000})")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_OUR_TOKEN = re.compile(r"[A-Z2-7]{26,128}")
_TOKEN = re.compile(r"[A-Za-z0-9+/_=.:#-]{22,}")

#: A key that ends so (letters only, small) speaks of a person; the cue that the rules know.
_KEYS = (
    (re.compile(r"(?:e?mail)$"), "Email"),
    (re.compile(r"(?:phone|mobile|tel|telephone|cell|phoneno|mobileno|telno|dianhua|shouji|sjh)$"), "电话"),
    (re.compile(r"(?:idno|idcard|idnumber|cardno|certno|sfz|sfzh)$"), "身份证"),
    (re.compile(r"(?:address|addr|detail|street|dizhi|dz)$"), "地址"),
    (
        re.compile(r"(?:goods|goodsname|itemname|itemdesc|item|items|cargo|commodity|productname|neijian|pinming)$"),
        "品名",
    ),
    (re.compile(r"(?:remark|remarks|note|notes|memo|comment|beizhu)$"), "备注"),
    (
        re.compile(r"(?:name|receiver|recipient|consignee|contact|sender|shipper|person|man|user|buyer|xm|xingming)$"),
        "收件人",
    ),
)
_NO_PERSON = re.compile(
    r"(?:carrier|company|corp|city|prov|province|district|county|town|site|outlet|station|hub|shop|store|file|app|host|"
    r"org|branch|center|service|express|courier)"
)


def readable(text: str) -> list[str]:
    """``text`` and everything that can be read out of it, each once; the first is ``text`` itself."""
    views: dict[str, int] = {text[:_LONGEST]: 0}
    queue = [text[:_LONGEST]]
    while queue and len(views) < _MOST_VIEWS and sum(map(len, views)) < _ALTOGETHER:
        view = queue.pop(0)
        depth = views[view]
        if depth >= _DEEPEST:
            continue
        for other in _unwrapped(view):
            if other and other not in views and len(views) < _MOST_VIEWS:
                views[other[:_LONGEST]] = depth + 1
                queue.append(other[:_LONGEST])
    return list(views)


def opaque(text: str) -> bool:
    """Whether a code says nothing that can be read: our own token's form, or what looks drawn by lot."""
    if _OUR_TOKEN.fullmatch(text):
        return True
    if not _TOKEN.fullmatch(text) or text.isdigit() or "://" in text or len(readable(text)) > 1:
        return False
    length = len(text)
    entropy = -sum(n / length * math.log2(n / length) for n in Counter(text).values())
    classes = sum(bool(re.search(kind, text)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return classes >= 2 and entropy > 0.75 * math.log2(length)


def _unwrapped(text: str) -> Iterator[str]:
    if "%" in text or "+" in text:
        for encoding in ("utf-8", "gb18030"):
            plain = unquote(text, encoding=encoding, errors="strict") if _decodes(text, encoding) else text
            if plain != text:
                yield plain
                break
    if "\\u" in text:
        yield _ESCAPE.sub(lambda found: _char(int(found[1], 16)), text)
    start = min((place for mark in "{[" if (place := text.find(mark)) >= 0), default=-1)
    if start >= 0:
        try:
            value, _ = json.JSONDecoder().raw_decode(text[start:])
        except (ValueError, RecursionError):
            pass
        else:
            if lines := "\n".join(_lines(value)):
                yield lines
    if pairs := _PAIR.findall(text):
        yield "\n".join(_keyed(key, value) for key, value in pairs)
    for match in _BASE64.finditer(text):
        yield from _texts(_from_base64(match[0]))
    for match in _HEX.finditer(text):
        yield from _texts(bytes.fromhex(match[0]))


def _decodes(text: str, encoding: str) -> bool:
    try:
        unquote(text, encoding=encoding, errors="strict")
    except (UnicodeDecodeError, UnicodeEncodeError):
        return False
    return True


def _char(code: int) -> str:
    return "" if 0xD800 <= code < 0xE000 else chr(code)


def _from_base64(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _texts(data: bytes) -> Iterator[str]:
    """Bytes as text, where they are text."""
    for encoding in ("utf-8", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(text) >= 4 and all(char.isprintable() or char in "\r\n\t" for char in text):
            if encoding == "utf-8" or _likely_chinese(text):
                yield text
            return


def _likely_chinese(text: str) -> bool:
    """Random bytes decode as rare characters; people's texts are of common ones, that GB2312 has."""
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _lines(value: Any, key: str = "", depth: int = 0) -> Iterator[str]:
    """The leaves of a JSON value, a line each, with the cue of their key."""
    if depth > 16:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines(inner, str(name), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _lines(inner, key, depth + 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield _keyed(key, str(value))


def _keyed(key: str, value: str) -> str:
    letters = re.sub("[^a-z]", "", key.lower())
    if letters and not _NO_PERSON.search(letters):
        for pattern, cue in _KEYS:
            if pattern.search(letters):
                return f"{cue}: {value}"
    return f"{key}: {value}" if key else value
