"""Which column of another system's access log is which of ours, and what its words mean.

Common English and Chinese headers are recognised by themselves; for the rest there is a mapping file::

    [columns]                           # ours = theirs
    actor = "OPER_CODE"
    event_time = ["OP_DATE", "OP_TIME"] # of a time: joined with a blank; of the others the first that is not blank
    waybill_no = "MAILNO"
    [constants]
    channel = "web"
    [values.action]                     # their word = ours; "*" is any other, "ignore" leaves the row out
    "QRY_DTL" = "reveal"
    "*" = "ignore"
    [options]
    time_zone = "+08:00"                # of times that name none
    time_format = "%d/%m/%Y %H:%M:%S"   # where it is not one that is understood anyway
    system = "crm"                      # keeps its event numbers apart from those of other systems

::

    >>> mapping = mapping_of({"columns": {"actor": "OPER_CODE"}, "constants": {"channel": "web"}})
    >>> recognise_access(["OPER_CODE", "操作时间", "运单号", "结果"], mapping)
    {'event_time': ('操作时间',), 'actor': ('OPER_CODE',), 'waybill_no': ('运单号',), 'outcome': ('结果',)}

What is needed: who (``actor``), when (``event_time``), and what (``waybill_no``, or of exports ``records``). The rows are
taken by :mod:`parcelveil.watch.mapped`; the words are in ``access_words.toml``.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from parcelveil.errors import HeaderError
from parcelveil.event import ACCESS, SEEN_FIELDS
from parcelveil.intake.headers import fold, shown_names
from parcelveil.watch.coded import ACTIONS, CHANNELS, OUTCOMES

#: What an action or outcome may say besides: the row is no look and is left out. ``broken``: the system failed.
IGNORE, BROKEN = "ignore", "broken"
ANY = "*"
_DOCS = "see docs/watch-inputs.md"
_WORDED = {
    "action": (*ACTIONS[:-1], IGNORE),
    "outcome": (*OUTCOMES[:-1], BROKEN, IGNORE),
    "channel": CHANNELS,
    "role": None,
    "outlet": None,
    "fields": None,
}
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)|Z|UTC")


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping file, checked. Its ``repr`` is for nobody's log: constants may be anything."""

    columns: dict[str, tuple[str, ...]] = {}
    constants: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}  # column of ours -> their word, folded -> ours
    offset_minutes: int | None = None
    time_format: str | None = None
    system: str = ""


class _Options(msgspec.Struct, forbid_unknown_fields=True):
    time_zone: str | None = None
    time_format: str | None = None
    system: str = ""


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    columns: dict[str, str | list[str]] = {}
    constants: dict[str, str | int] = {}
    values: dict[str, dict[str, str]] = {}
    options: _Options = msgspec.field(default_factory=_Options)


def mapping_of(document: Dict[str, Any]) -> Mapping:
    """The mapping that a parsed TOML ``document`` says. Raises HeaderError for what it may not say."""
    try:
        said = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise HeaderError("the mapping cannot be used: {why}", hint=_DOCS, why=str(error)) from None
    for part in (said.columns, said.constants):
        if unknown := sorted(set(part) - set(ACCESS.names)):
            raise HeaderError(
                "the mapping names columns that access events do not have: {columns}",
                hint="they have {known}",
                columns=shown_names(unknown),
                known=", ".join(ACCESS.names),
            )
    if unknown := sorted(set(said.values) - set(_WORDED)):
        raise HeaderError(
            "the mapping translates words of {columns}", hint="it may of {known}", columns=shown_names(unknown),
            known=", ".join(_WORDED),
        )  # fmt: skip
    for column, words in said.values.items():
        allowed = _WORDED[column]
        if allowed and (wrong := sorted(set(words.values()) - set(allowed))):
            raise HeaderError(
                "the mapping makes {wrong} of words of {column}",
                hint="it may be {allowed}",
                wrong=shown_names(wrong),
                column=column,
                allowed=", ".join(allowed),
            )
    options = said.options
    return Mapping(
        columns={
            ours: (theirs,) if isinstance(theirs, str) else tuple(theirs) for ours, theirs in said.columns.items()
        },
        constants={ours: str(value) for ours, value in said.constants.items()},
        values={
            column: {word if word == ANY else fold(word): ours for word, ours in words.items()}
            for column, words in said.values.items()
        },
        offset_minutes=None if options.time_zone is None else _zone(options.time_zone),
        time_format=options.time_format,
        system=options.system,
    )


def _zone(text: str) -> int:
    match = _ZONE.fullmatch(text)
    minutes = int(match[2] or 0) * 60 + int(match[3] or 0) if match else 10_000
    if minutes > 14 * 60:
        raise HeaderError("the mapping's time_zone is none", hint='write it like time_zone = "+08:00"')
    return -minutes if match and match[1] == "-" else minutes


def recognise_access(names: Sequence[str], mapping: Mapping | None = None) -> dict[str, tuple[str, ...]]:
    """Which of a source's columns are which of ours; what ``mapping`` says goes before.

    Raises HeaderError, with the columns seen and what is missing, when the source is no access log.
    """
    mapping = mapping or Mapping()
    if absent := sorted({name for sources in mapping.columns.values() for name in sources} - set(names)):
        raise HeaderError(
            "the mapping names columns that the file does not have: {absent}",
            hint="the file has {columns}",
            absent=shown_names(absent),
            columns=shown_names(names),
        )
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(fold(name), name)
        folded.setdefault(fold(name, remarks=False), name)
    found: dict[str, tuple[str, ...]] = {}
    taken = {name for sources in mapping.columns.values() for name in sources}
    for target in ACCESS.names:
        if target in mapping.columns:
            found[target] = mapping.columns[target]
        elif target not in mapping.constants:
            known = [
                folded[word] for word in spellings("columns", target) if word in folded and folded[word] not in taken
            ]
            if known:
                found[target] = (known[0],)
                taken.add(known[0])
    missing = [name for name in ("actor", "event_time") if name not in found and name not in mapping.constants]
    if not {"waybill_no", "records"} & set(found):
        missing.append("waybill_no")
    if missing:
        raise HeaderError(
            "this is no access log that can be read: no column for {missing} among {columns}",
            hint="say which columns they are in a mapping file (docs/watch-inputs.md)",
            missing=", ".join(missing),
            columns=shown_names(names),
        )
    return found


@functools.cache
def _words() -> dict[str, dict[str, list[str]]]:
    facts: dict[str, Any] = tomllib.loads(Path(__file__).with_name("access_words.toml").read_text("utf-8"))
    return facts


@functools.cache
def spellings(kind: str, target: str) -> tuple[str, ...]:
    """The folded names that a column ``target`` has, the preferred ones first. ``kind``: columns, register."""
    return tuple(fold(word) for word in (target, *_words()[kind][target]))


@functools.cache
def _meanings(column: str) -> dict[str, str]:
    return {fold(word): ours for ours, words in _words()[column].items() for word in words}


def read_word(column: str, text: str, mapping: Mapping) -> str | None:
    """What ``text`` says in ``column`` (action, outcome, channel, role); None for what is in no list.

    >>> read_word("outcome", "查无此单", Mapping()), read_word("outcome", "503", Mapping())
    ('notfound', 'broken')
    """
    said = mapping.values.get(column, {})
    word = fold(text[:200])
    if word in said:
        return said[word]
    if word in _meanings(column):
        return _meanings(column)[word]
    if column == "outcome" and re.fullmatch(r"[1-5]\d\d", word):
        return _status(int(word))
    return said.get(ANY)


def _status(code: int) -> str:
    """What an HTTP status (RFC 9110) says of a look; 429 is a limit that was passed."""
    if code < 400:
        return "ok"
    return "denied" if code in (401, 403, 429, 451) else "notfound" if code in (404, 410) else BROKEN


def read_fields(text: str, mapping: Mapping) -> int:
    """The bits of :data:`~parcelveil.event.SEEN_FIELDS` that a list of fields, or their sum, says.

    >>> read_fields("姓名,手机号", Mapping()), read_fields("masked", Mapping()), read_fields("5", Mapping())
    (3, 0, 5)
    """
    if re.fullmatch(r"\d{1,2}", text, re.ASCII) and int(text) <= sum(SEEN_FIELDS.values()):
        return int(text)
    said, bits = mapping.values.get("fields", {}), 0
    for part in re.split(r"[,;|/+、，；\s]+", text[:1000]):
        word = fold(part)
        if not word:
            continue
        ours = said.get(word) or _meanings("fields").get(word) or said.get(ANY) or "other"
        for name in ours.split(","):
            bits |= _BITS.get(name.strip(), SEEN_FIELDS["other"])
    return bits


_BITS = {**SEEN_FIELDS, "masked": 0, "all": 7}
