"""The alert: one case of one account (or device, network, outlet, system), with its reasons and the rows behind it.

::

    names = Names(key)                                        # 32 secret bytes
    alert = Alert(
        uid=alert_uid(key, "cs-07", opened_at, "slow"), actor=names.actor("cs-07"), role="service", outlet="021007",
        opened_at=opened_at, updated_at=now, since=since, until=until, severity="high",
        reasons=(Reason("slow", opened_at, value=18, expected=1.4, p=2e-9, threshold=6.1),),
        looks=23, unexplained=18, grouped=3, peers=1.4, lost=18,
    )
    msgspec.json.decode(encode(alert), type=Alert) == alert
    decided(alert, "harmless", by="keyholder", at=now, note="stand-in")      # revision 2

What goes out (JSON lines, OCSF, a webhook, the store) is this record. Its words are in
:mod:`~parcelveil.watch.reasons`, its picture in :mod:`~parcelveil.watch.chart`.

**No personal data and no waybill number is in it.** A parcel is the 16 hex digits of its pseudonym. Accounts, outlets,
devices and networks are identifiers as the events had them, if they look like identifiers; whatever else stood there (a
person's name, a phone, a waybill number, an address) becomes ``#`` and 12 letters of its keyed hash: :class:`Names`
sees to it, and :func:`encode` refuses an alert that was made without it. Everything else is a number or a word of a
closed list.

**Times** are microseconds since 1970 UTC, days are local days since 1970-01-01.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

import msgspec

from parcelveil.event import LONGEST

ALERT_VERSION = "alert.v1"

#: Every detector, and how grave a case that it opens is at the least.
DETECTORS: dict[str, str] = {
    "unexplained": "medium",  # looks of a day that no work explains
    "slow": "medium",  # a few such looks a day, over many days (CUSUM)
    "grouped": "medium",  # the same for looks that only the outlet's work explains
    "volume": "low",  # more looks of any kind than own and peers' days have
    "bulk": "high",  # many unexplained looks within a day, told at once
    "enumeration": "high",  # walks from number to number
    "block": "high",  # much of one issue block of numbers
    "spread": "medium",  # unexplained looks over many outlets or regions
    "hours": "low",  # unexplained looks outside of the own shift
    "decoy": "critical",  # a decoy waybill was looked at
    "dormant": "medium",  # an account that slept
    "changed": "medium",  # an account whose password, device or role has just changed
    "device": "medium",  # a new device, with unexplained looks
    "places": "high",  # at two places at once
    "shared": "medium",  # one device, several accounts
    "export": "high",  # more rows and fields exported than own and peers' days have
    "leaving": "high",  # an export before the last day of work
    "subject": "medium",  # the same recipient again and again
    "pair": "medium",  # two accounts that share out what they look at
    "ticket": "medium",  # explained only by tickets that the account opened itself
    "outlet": "medium",  # a whole outlet
    "reconcile": "critical",  # more values opened than looks logged
    "stuffing": "high",  # passwords tried in bulk
    "scraping": "high",  # the public tracking page queried in bulk
    "failed": "medium",  # refused and not-found looks
}

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
State = Literal["open", "escalated", "harvest", "harmless"]
STATES: tuple[State, ...] = get_args(State)
#: What a case was decided by: a code, never free text.
Note = Literal[
    "", "confirmed", "reported", "account-rented", "stand-in", "late-work", "training", "own-task", "test", "mapping"
]
NOTES: tuple[Note, ...] = get_args(Note)
#: What may excuse the looks, where the data say so.
Excuse = Literal["late-work", "no-work-day", "stand-in", "new-account", "two-accounts", "shared-device", "outlet-wide"]
EXCUSES: tuple[Excuse, ...] = get_args(Excuse)
#: Why a row's look has no reason: there is no work at the parcel; there is, but it happened too long after or before, or
#: came in too late; at another outlet; by another account; the ticket is the account's own; there is no parcel.
Why = Literal[
    "", "no-work", "too-early", "too-late", "came-late", "other-outlet", "other-account", "own-ticket", "no-parcel"
]
WHYS: tuple[Why, ...] = get_args(Why)

#: Rows and days that an alert shows.
MOST_ROWS, MOST_DAYS = 50, 28
#: Bytes of an alert as JSON.
MOST_BYTES = 64 * 1024

#: An identifier: letters, digits and a few signs; no blanks, no letters beyond ASCII, so no name of a person in Chinese.
_IDENTIFIER = re.compile(rf"[0-9A-Za-z#?][0-9A-Za-z._/:#-]{{0,{LONGEST - 1}}}")
#: Outlets may be named in Chinese by what they are.
_OUTLET_NAME = re.compile(
    r"[\u4e00-\u9fff0-9A-Za-z]{2,24}(网点|营业部|营业厅|分公司|公司|中心|分部|分拨|驿站|站点|服务站|门店|仓库|枢纽)"
)
#: Eleven digits in a row, however they are written, are a phone, an identity card or a waybill number; so is S10's form.
_LONG_NUMBER = re.compile(r"[0-9]{11}|(?:^|[^A-Z])[A-Z]{2}[0-9]{9}[A-Z]{2}(?:$|[^A-Z])")
_JOINTS = re.compile(r"[._/:#-]")
_SUBJECT = re.compile(r"(net|device|system|outlet):(.+)", re.DOTALL)

#: Hex digits as letters: a hash must not look like a phone.
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")

Hex16 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one detector says: ``value`` was seen where ``expected`` is usual, which has probability ``p``.

    ``threshold`` is what ``value`` (or the statistic behind it) had to pass. ``since``: where the count begins.
    """

    name: str  # one of DETECTORS
    time: int
    value: float
    expected: float = 0.0
    p: float = 1.0
    threshold: float = 0.0
    since: int = 0
    of: float = 0.0  # of how many in all; 0: not told
    other: str = ""  # the other account, device or network that it is about


class Row(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One look behind a case."""

    time: int
    parcel: str  # 16 hex digits; empty: none
    level: int  # 2 direct, 1 group, 0 none, -1 not applicable
    action: str  # one of watch.coded.ACTIONS
    outcome: str = "ok"
    device: str = ""
    records: int = 1
    step: str = ""  # the work that explains it, or that came nearest (BizStep)
    step_time: int = 0
    why: Why = ""
    id: int = 0  # event_id of the access, in its source


class Day(msgspec.Struct, frozen=True, array_like=True):
    """One local day: the account's unexplained looks, and its peers' usual."""

    day: int
    own: float
    peers: float


class Alert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case. ``actor`` is an account; ``net:…``, ``device:…``, ``system:…`` or ``outlet:…`` is what it says."""

    v: str = ""  # ALERT_VERSION; set by encode
    uid: Hex16
    revision: int = 1
    actor: str
    role: str = ""
    outlet: str = ""
    opened_at: int
    updated_at: int
    since: int  # the looks that are counted lie between since and until
    until: int
    severity: Severity
    reasons: tuple[Reason, ...]  # the first opened the case
    looks: int = 0
    unexplained: int = 0
    grouped: int = 0
    peers: float = 0.0  # what peers have unexplained in the same time
    lost: int = 0  # records that were seen without a reason until the case was opened
    devices: tuple[tuple[str, int], ...] = ()  # by number of unexplained looks, most first
    excuses: tuple[Excuse, ...] = ()
    late_share: float = 0.0  # of the outlet's looks, the share that was explained only by work that came late
    rows: tuple[Row, ...] = ()
    chart: tuple[Day, ...] = ()
    state: State = "open"
    decided_at: int = 0
    decided_by: str = ""
    note: Note = ""


class Names:
    """Identifiers as an alert may hold them; everything else as a keyed hash. Its ``repr`` shows no key.

    >>> names = Names(bytes(32))
    >>> names.actor("CS-07"), names.outlet("青浦徐泾网点"), names.network("203.0.113.0/24")
    ('CS-07', '青浦徐泾网点', '203.0.113.0/24')
    >>> names.actor("138-0000-0001").startswith("#"), names.device("YT1234567890123").startswith("#")
    (True, True)
    """

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(b"parcelveil v1 alert names", key=key[:64], digest_size=32).digest()

    def __repr__(self) -> str:
        return "<Names>"

    def hashed(self, text: str) -> str:
        """``#`` and 12 letters that stand for ``text``."""
        said = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=6)
        return "#" + said.hexdigest().translate(_LETTERS)

    def actor(self, text: str) -> str:
        return text if is_identifier(text) else self.hashed(text)

    def device(self, text: str) -> str:
        return text if not text or is_identifier(text) else self.hashed(text)

    def role(self, text: str) -> str:
        return text if not text or is_identifier(text) else self.hashed(text)

    def outlet(self, text: str) -> str:
        return text if not text or is_outlet(text) else self.hashed(text)

    def network(self, text: str) -> str:
        return text if not text or is_network(text) or is_identifier(text) else self.hashed(text)

    def subject(self, kind: str, text: str) -> str:
        """``text`` with what it is before it; accounts (``"actor"``) have nothing before."""
        if kind == "actor":
            return self.actor(text)
        if kind == "system":  # "tracking agent 5eed…": a few words of ours
            text = text.replace(" ", "-")
        made: Callable[[str], str] = self.network if kind in ("net", "network") else getattr(self, kind, self.actor)
        return f"{'net' if kind == 'network' else kind}:{made(text)}"


def is_identifier(text: str) -> bool:
    """Whether ``text`` can be an account or a device, and no phone, card or waybill number."""
    if not _IDENTIFIER.fullmatch(text):
        return False
    return not (_LONG_NUMBER.search(text.upper()) or _LONG_NUMBER.search(_JOINTS.sub("", text).upper()))


def is_outlet(text: str) -> bool:
    """Whether ``text`` can be an outlet: an identifier, or a Chinese name that says what sort of place it is."""
    return is_identifier(text) or bool(_OUTLET_NAME.fullmatch(text) and not _LONG_NUMBER.search(text))


def is_network(text: str) -> bool:
    """Whether ``text`` is a prefix (or address) of IP, or the number of an autonomous system."""
    if re.fullmatch(r"[Aa][Ss][0-9]{1,10}", text):
        return True
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def alert_uid(key: bytes, actor: str, opened_at: int, detector: str) -> str:
    """The case's own name: the same whenever and wherever the same rows are judged. 16 hex digits."""
    said = b"\0".join([b"parcelveil v1 alert", actor.encode(), str(opened_at).encode(), detector.encode()])
    return hashlib.blake2b(said, key=key[:64], digest_size=8).hexdigest()


def decided(alert: Alert, state: State, *, by: str, at: int, note: Note = "") -> Alert:
    """``alert`` with a person's decision and the next revision; ``open`` takes a decision back.

    ``by``: a staff handle or ``keyholder``; ``at``: microseconds.
    """
    back = state in ("open", "escalated")
    return msgspec.structs.replace(
        alert,
        state=state,
        revision=alert.revision + 1,
        updated_at=max(at, alert.updated_at),
        decided_at=0 if back else at,
        decided_by="" if back else by,
        note=note,
    )


def merged(known: Alert | None, fresh: Alert) -> Alert:
    """What is kept of a case that was known, when it is judged again: what is said now, and what a person decided.

    The very same as ``known`` when nothing new is said, so that the same rows read twice tell nobody twice.
    """
    if known is None:
        return fresh
    state = fresh.state if known.state == "open" else known.state
    kept = msgspec.structs.replace(
        fresh, state=state, decided_at=known.decided_at, decided_by=known.decided_by, note=known.note,
        revision=known.revision, updated_at=known.updated_at,
    )  # fmt: skip
    if kept == known or fresh.updated_at < known.updated_at:
        return known
    return msgspec.structs.replace(
        kept, revision=known.revision + 1, updated_at=max(fresh.updated_at, known.updated_at)
    )


def severity_of(reasons: tuple[Reason, ...], lost: int = 0) -> Severity:
    """How grave a case is: as its gravest detector; one step up for three detectors, or from 500 lost records on."""
    least = max(SEVERITIES.index(DETECTORS[one.name]) for one in reasons)
    raised = least + (len({one.name for one in reasons}) >= 3) + (lost >= 500)
    return SEVERITIES[min(raised, len(SEVERITIES) - 1)]


def check(alert: Alert) -> None:
    """Raise ValueError (which names the field, never its content) for an alert that may not leave."""
    kind = _SUBJECT.fullmatch(alert.actor)
    test = {"net": is_network, "outlet": is_outlet}.get(kind[1], is_identifier) if kind else is_identifier
    named = kind[2] if kind else alert.actor
    ids = [
        ("actor", test(named) or is_identifier(named)),
        ("role", not alert.role or is_identifier(alert.role)),
        ("outlet", not alert.outlet or is_outlet(alert.outlet)),
        ("decided_by", not alert.decided_by or is_identifier(alert.decided_by)),
        ("devices", all(not one or is_identifier(one) for one, _ in alert.devices)),
        ("rows.device", all(not row.device or is_identifier(row.device) for row in alert.rows)),
        ("rows.parcel", all(not row.parcel or re.fullmatch("[0-9a-f]{16}", row.parcel) for row in alert.rows)),
        ("rows.why", all(row.why in WHYS for row in alert.rows)),
        ("rows.words", all(re.fullmatch("[a-z_]*", row.action + row.outcome + row.step) for row in alert.rows)),
        ("reasons.other", all(not one.other or is_network(one.other) or is_outlet(one.other) for one in alert.reasons)),
        ("reasons.name", bool(alert.reasons) and all(one.name in DETECTORS for one in alert.reasons)),
        ("lists", alert.note in NOTES and alert.state in STATES and set(alert.excuses) <= set(EXCUSES)),
        ("reasons.numbers", all(map(_finite, alert.reasons)) and math.isfinite(alert.peers + alert.late_share)),
        ("chart.numbers", all(math.isfinite(day.own + day.peers) for day in alert.chart)),
        ("rows", len(alert.rows) <= MOST_ROWS),
        ("chart", len(alert.chart) <= MOST_DAYS),
        ("uid", bool(re.fullmatch("[0-9a-f]{16}", alert.uid))),
    ]
    for field, good in ids:
        if not good:
            raise ValueError(f"an alert's {field} is not as an alert may have it")


def _finite(reason: Reason) -> bool:
    return math.isfinite(reason.value + reason.expected + reason.p + reason.threshold + reason.of)


def _plain(value: Any) -> object:
    """A number of numpy as Python has it."""
    if hasattr(value, "item"):
        return value.item()
    raise ValueError("an alert holds numbers and words only")


_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=_plain)
_decoder: msgspec.json.Decoder[Alert] = msgspec.json.Decoder(Alert)


def encode(alert: Alert) -> bytes:
    """The alert as JSON, always the same bytes. Raises ValueError for one that may not leave: see :func:`check`."""
    check(alert)
    said = _encoder.encode(msgspec.structs.replace(alert, v=ALERT_VERSION))
    data = _encoder.encode(
        _decoder.decode(said)
    )  # 18 and 18.0 are the same number, and types are what they are said to be
    if len(data) > MOST_BYTES:
        raise ValueError(f"an alert may have {MOST_BYTES} bytes")
    return data


def decode(data: bytes) -> Alert:
    """The alert that ``data`` says. Raises ValueError when it is none."""
    alert = _decoder.decode(data)
    if alert.v != ALERT_VERSION:
        raise ValueError("not an alert of this version")
    check(alert)
    return msgspec.structs.replace(alert, v="")
