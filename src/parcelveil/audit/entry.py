"""The entries of the audit log: one small frozen record for each kind of event, and their canonical bytes.

::

    >>> entry = KeyEvent(time=1_795_500_000_000_000, action="log-created", detail="1")
    >>> data = encode(entry)
    >>> data
    b'{"action":"log-created","detail":"1","kind":"key","time":1795500000000000,"v":1}'
    >>> decode(data) == entry
    True

An entry is a leaf of the log, so its bytes must be the same whoever makes them: JSON with sorted keys and no
blanks, defaults left out, ASCII escapes only where JSON demands them (RFC 8785 for what occurs here: text and
integers). :func:`decode` refuses bytes that are not the canonical form of what they say.

**No entry holds personal data, nor a bare hash of any.** People of the carrier appear as staff handles (random,
given by the registry, which can forget them). Waybills, phones asked for and document ids appear as *subjects*:
commitments ``SHA-256("parcelveil v1 subject" | salt | kind | 0 | value)`` with a fresh 16-byte salt each, whose
salt lies in a side table and can be erased; then the commitment says nothing about anything. Everything else
comes from closed lists (scenes, fields, policy ids), or has a form in which no name, phone or address fits.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import ClassVar

import msgspec

VERSION = 1
#: C2SP tlog-tiles prefixes each entry with two bytes of length.
MAX_BYTES = 65_535
#: Subjects an entry holds at the most; a longer look is several entries of the same time and request.
MAX_SUBJECTS = 500
SALT_BYTES = 16
_LABEL = b"parcelveil v1 subject"


class Entry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"
):
    """What all entries have. ``time``: microseconds since 1970-01-01 UTC by the desk's clock, which never runs back."""

    time: int
    v: int = 0  # always VERSION on disk; set by encode
    request: str = ""  # ties together the entries of one request: 16 hex digits, random

    kind: ClassVar[str]


class Asked(Entry, kw_only=True, frozen=True):
    """Who asked for what: shared by looks, refusals and exports."""

    actor: str  # staff handle; "?" for nobody we know
    role: str
    scene: str
    outlet: str = ""
    device: str = ""
    fields: tuple[str, ...] = ()
    form: str = ""  # "full" or "masked"
    subjects: tuple[str, ...] = ()  # base64 of 32-byte commitments
    waybills: int = 0  # how many waybills this entry speaks of
    policy: int = 0  # version of the policy in force
    rules: tuple[str, ...] = ()  # ids of the policies that decided
    ticket: str = ""  # only tickets that the work index knows
    document: str = ""  # base64 of a commitment
    approval: str = ""


class Look(Asked, kw_only=True, frozen=True, tag="look"):
    """Somebody saw something. ``action``: look, or search (a pseudonym was asked for). ``values``: cells opened."""

    kind: ClassVar[str] = "look"
    action: str = "look"
    values: int = 0


class Refusal(Asked, kw_only=True, frozen=True, tag="refusal"):
    """Somebody asked and was not given. ``answer`` is that of the desk, ``reason`` a word from a closed list."""

    kind: ClassVar[str] = "refusal"
    answer: str
    reason: str
    action: str = "look"


class Export(Asked, kw_only=True, frozen=True, tag="export"):
    """Values left in bulk: a two-person export, or the key holder's ``open`` and ``rewrap``."""

    kind: ClassVar[str] = "export"
    values: int = 0


class QuotaChange(Entry, kw_only=True, frozen=True, tag="quota"):
    """A limit was changed for one staff member and day: ``scene``, and the new ``limit``; who did it, and why in a word."""

    kind: ClassVar[str] = "quota"
    actor: str
    target: str  # staff handle whose quota changed
    scene: str
    day: str
    limit: int
    approval: str = ""


class PolicyChange(Entry, kw_only=True, frozen=True, tag="policy"):
    """Policy or scenes: proposed, approved (in force from here on), rejected. ``sha256`` is of the documents, hex."""

    kind: ClassVar[str] = "policy"
    action: str
    version: int
    actor: str
    sha256: str
    proposal: str = ""


class StaffChange(Entry, kw_only=True, frozen=True, tag="staff"):
    """The registry: somebody was added, changed, suspended, forgotten, or a device enrolled or withdrawn."""

    kind: ClassVar[str] = "staff"
    action: str
    actor: str  # handle of who did it; "keyholder" for the holder of the workspace's passphrase
    target: str
    roles: tuple[str, ...] = ()
    outlet: str = ""
    device: str = ""


class Erasure(Entry, kw_only=True, frozen=True, tag="erasure"):
    """Waybills, or days, were made unreadable. Says how many; whose, nobody shall know any more."""

    kind: ClassVar[str] = "erasure"
    action: str  # waybills, days, staff
    count: int
    actor: str = "keyholder"
    kek_version: int = 0


class KeyEvent(Entry, kw_only=True, frozen=True, tag="key"):
    """Keys and the log itself: log-created, kek-rotated, epoch-rotated, salts-read, log-read, pruned, clock-held,
    clock-accepted."""

    kind: ClassVar[str] = "key"
    action: str
    actor: str = "keyholder"
    detail: str = ""  # a number, a day, an epoch: never free text


class Approval(Entry, kw_only=True, frozen=True, tag="approval"):
    """The two-person rule: requested, approved, rejected, used, expired."""

    kind: ClassVar[str] = "approval"
    action: str
    approval: str  # its id
    actor: str
    device: str = ""
    scene: str = ""
    waybills: int = 0
    until: int = 0  # microseconds; when it expires


class Scan(Entry, kw_only=True, frozen=True, tag="scan"):
    """Files or tables were searched for personal data: how much, and what kinds were found. Where, the manifest says."""

    kind: ClassVar[str] = "scan"
    action: str  # finished, stopped
    actor: str = "keyholder"
    role: str = ""
    documents: int = 0  # read or not
    partly: int = 0  # of them, not read to the end
    skipped: int = 0  # of them, not read
    bytes: int = 0  # of what was read
    findings: tuple[str, ...] = ()  # "phone.mobile clear 4812": kind, state and how many, sorted
    allowed: int = 0  # findings that a comment, a list or a baseline allows; not among the others
    people: int = 0  # at the least
    worst: str = ""  # severity of the worst document
    key: str = ""  # id of the key of the fingerprints
    rules: str = ""  # SHA-256 of the rules, hex
    manifest: str = ""  # SHA-256 of the manifest, which has its own salt, hex


class Watch(Entry, kw_only=True, frozen=True, tag="watch"):
    """Accesses were judged, a case was decided, decoys were planted or listed: counts, and no account's name.

    ``alerts``: SHA-256 of a line ``uid:revision`` for each case that was opened or changed, sorted. Whoever has these lines
    (every output does) can tell that none was taken away afterwards.
    """

    kind: ClassVar[str] = "watch"
    action: str  # finished, stopped, decided, decoys-planted, decoys-listed
    actor: str = "keyholder"
    role: str = ""
    accesses: int = 0
    works: int = 0
    days: int = 0
    opened: int = 0  # cases
    changed: int = 0
    alerts: str = ""  # SHA-256, hex
    case: str = ""  # uid of the case that was decided
    state: str = ""  # what it was decided to be
    note: str = ""  # a word of a closed list
    decoys: int = 0
    key: str = ""  # id of the decoy key


AnyEntry = (
    Look | Refusal | Export | QuotaChange | PolicyChange | StaffChange | Erasure | KeyEvent | Approval | Scan | Watch
)
KINDS: dict[str, type[Entry]] = {
    t.kind: t
    for t in (Look, Refusal, Export, QuotaChange, PolicyChange, StaffChange, Erasure, KeyEvent, Approval, Scan, Watch)
}

_encoder = msgspec.json.Encoder(order="sorted")
_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


def encode(entry: AnyEntry) -> bytes:
    """The canonical bytes of an entry. Raises ValueError when they would not fit into a log leaf."""
    data = _encoder.encode(msgspec.structs.replace(entry, v=VERSION))
    if len(data) > MAX_BYTES:
        raise ValueError("an entry may have 65,535 bytes")
    return data


def decode(data: bytes) -> AnyEntry:
    """The entry that ``data`` says. Raises ValueError when it is none, or not in canonical form."""
    entry = _decoder.decode(data)
    if entry.v != VERSION or _encoder.encode(entry) != data:
        raise ValueError("not the canonical bytes of an audit entry")
    return msgspec.structs.replace(entry, v=0)


def readable(data: bytes) -> bool:
    """Whether bytes that :func:`encode` made read back: not so when a field held something of another type."""
    try:
        _decoder.decode(data)
    except ValueError:
        return False
    return True


def commitment(salt: bytes, kind: str, value: str) -> bytes:
    """32 bytes that commit to ``value`` and say nothing about it to who has not the salt."""
    return hashlib.sha256(b"%b%b%b\0%b" % (_LABEL, salt, kind.encode(), value.encode())).digest()


def opens(committed: bytes, salt: bytes, kind: str, value: str) -> bool:
    """Whether a commitment is to ``value``."""
    return hmac.compare_digest(commitment(salt, kind, value), committed)
