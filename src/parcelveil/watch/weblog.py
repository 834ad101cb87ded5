"""Access logs of web servers: who asks the public tracking page and the partners' API for what, and who tries to log in.

::

    log = WebLog(coder)
    for block in blocks:                     # bytes, cut anywhere
        requests = log.take(block)           # pa.Table of REQUESTS
    requests = log.end()                     # the last line, where it has no line feed
    log.lines, log.odd                       # lines seen; of them those that are no request

Lines are of the *combined* log format of Apache and nginx (or *common*, which ends before the referrer)::

    203.0.113.7 - - [23/Nov/2026:08:15:00 +0800] "GET /track/YT8800001234567 HTTP/1.1" 200 2326 "-" "Mozilla/5.0 …"

**A line is written by whoever sends the request.** What does not have the format is counted and passed over, also a line
of more than 64 KiB; a line never raises and never stops the run. Of an address only the prefix of its network is kept, and
a keyed pseudonym; of the agent a keyed hash of its name without versions. A user that is not an account's number (an
e-mail, a phone) becomes a pseudonym too. Which paths are ``track``, ``api`` and ``login`` says ``weblog.toml``.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError
from parcelveil.event import ACCESS, CUSTOMER, folded
from parcelveil.seal.passes import Bytes, buffers, from_buffers
from parcelveil.watch.access_cells import ACCOUNT, PHONE, network_of
from parcelveil.watch.coded import OUTCOMES, Coder, first_eight, pseudonym_text
from parcelveil.watch.codes import I64
from parcelveil.watch.recent import Recent
from parcelveil.watch.weblog_pass import FIELDS, TIME_LENGTH, copied, fields

Bools = npt.NDArray[np.bool_]

_NAMES = pa.dictionary(pa.int32(), pa.string())
#: One row a request, in the order of the log.
REQUESTS = pa.schema(
    [
        ("time", pa.int64()),  # microseconds since 1970 UTC
        ("network", _NAMES),  # /24 or /48 of the address; null: the log has a host's name
        ("address", pa.int64()),  # keyed pseudonym of the address
        ("user", _NAMES),  # the account that was authenticated or tried; null: none
        ("method", _NAMES),
        ("kind", _NAMES),  # track, api, login, other
        ("waybill_no", pa.string()),  # the number asked for; null: none
        ("waybill", pa.int64()),  # its pseudonym, 0: none
        ("serial", pa.int64()),  # the number that it was issued under, -1: none
        ("status", pa.int16()),
        ("bytes", pa.int64()),
        ("agent", pa.int64()),  # keyed hash of the agent's name without versions; 0: none
    ]
)
KINDS = ("track", "api", "login", "other")
#: Longer lines are passed over.
LONGEST_LINE = 1 << 16
_ABSOLUTE = r"^[A-Za-z]+://[^/]*"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_ADDRESS = rf"^((?:{_OCTET}\.){{3}}){_OCTET}$"
_LONGEST_PATH = 4096
#: Letters and digits that a waybill number has.
_NUMBER = (6, 40)
#: Three letters as one number; months by it, with their places in the year.
_AS_ONE = np.array([1 << 16, 1 << 8, 1])
_MONTHS = np.array(
    sorted(
        (int.from_bytes(name, "big"), place)
        for place, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
    )
)
_VERSION = r"[0-9][0-9._]*"


class _Path(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["track", "api", "login", "other"]
    pattern: str


class PathRule(NamedTuple):
    """Paths that match ``pattern`` (RE2) are of ``kind``; its group ``no``, where it has one, is the waybill number."""

    kind: str
    pattern: str
    numbered: bool


def path_rules(document: dict[str, Any]) -> tuple[PathRule, ...]:
    """The rules of a parsed TOML document, in their order. Raises InputError for what is none."""
    try:
        said = msgspec.convert(document.get("path", []), list[_Path])
        rules = tuple(PathRule(path.kind, f"(?i){path.pattern}", "(?P<no>" in path.pattern) for path in said)
        for rule in rules:
            _match(rule, pa.array(["/"]))
    except (msgspec.ValidationError, pa.ArrowInvalid) as error:
        raise InputError(
            "the patterns of paths cannot be used: {why}", hint="see docs/watch-inputs.md", why=str(error)
        ) from None
    return rules


def _match(rule: PathRule, paths: pa.StringArray) -> tuple[Bools, pa.StringArray | None]:
    """Where the rule matches, and the numbers in the paths that it matches."""
    if not rule.numbered:
        return _flags(pc.match_substring_regex(paths, rule.pattern)), None
    found = pc.extract_regex(paths, rule.pattern)
    hit = _flags(found.is_valid())
    return hit, pc.struct_field(found.filter(pa.array(hit)), "no")


@functools.cache
def _own_rules() -> tuple[PathRule, ...]:
    return path_rules(tomllib.loads(Path(__file__).with_name("weblog.toml").read_text("utf-8")))


class WebLog:
    """One log as it comes. The pseudonyms are those of ``coder``'s key. For one thread."""

    def __init__(self, coder: Coder, rules: Sequence[PathRule] | None = None) -> None:
        self._coder, self._rules = coder, tuple(rules) if rules is not None else _own_rules()
        self._begun, self._overlong = b"", False
        self._recent = Recent()
        self.lines = 0
        self.odd = 0

    def take(self, block: bytes) -> pa.Table:
        """The requests in the lines that end in ``block``."""
        end = block.rfind(b"\n") + 1
        if not end:
            self._keep(block)
            return REQUESTS.empty_table()
        whole = block[:end]
        if self._overlong:
            self._pass_over()
            whole = whole[whole.index(b"\n") + 1 :]
        whole, self._begun = self._begun + whole, b""
        self._keep(block[end:])
        return self._requests(whole)

    def end(self) -> pa.Table:
        """The request in the last line, where it does not end with a line feed."""
        if self._overlong:
            self._pass_over()
        last, self._begun = self._begun, b""
        return self._requests(last + b"\n")

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a line whose end is not there yet, unless it is too long already."""
        if not self._overlong:
            self._begun += rest
            self._overlong = len(self._begun) > LONGEST_LINE

    def _pass_over(self) -> None:
        self._begun, self._overlong = b"", False
        self.lines += 1
        self.odd += 1

    def _requests(self, whole: bytes) -> pa.Table:
        data = np.frombuffer(whole, np.uint8)
        ends = np.flatnonzero(data == ord("\n"))
        starts = np.concatenate([[0], ends[:-1] + 1])
        sizes = ends - starts
        self.lines += int((sizes > 0).sum())
        self.odd += int((sizes > 0).sum())
        fitting = (sizes > 0) & (sizes <= LONGEST_LINE)
        places, good = fields(data, starts[fitting], ends[fitting])
        places = places[good]
        field = {name: _pieces(data, places[:, 2 * at], places[:, 2 * at + 1]) for at, name in enumerate(FIELDS)}
        times, good = _times(field["time"])
        if not good.all():
            times, field = times[good], {name: values.filter(pa.array(good)) for name, values in field.items()}
        self.odd -= len(times)
        kinds, numbers = self._paths(_decoded(field["path"]))
        waybill, serial = self._coder.waybills(numbers)
        sizes = pc.if_else(pc.equal(field["bytes"], b"-"), pa.scalar(b"0"), field["bytes"])
        columns = [
            pa.array(times),
            _each(pc.replace_substring_regex(field["host"], _ADDRESS, r"\10/24"), _network),
            self._pseudonyms(field["host"]),
            _each(field["user"], self._user),
            _each(field["method"], bytes.decode),
            kinds,
            numbers,
            pa.array(waybill),
            pa.array(serial),
            field["status"].cast(pa.string()).cast(pa.int16()),
            sizes.cast(pa.string()).cast(pa.int64()),
            self._agents(field["agent"]),
        ]
        return pa.Table.from_arrays(columns, schema=REQUESTS)

    def _paths(self, paths: pa.StringArray) -> tuple[pa.DictionaryArray, pa.StringArray]:
        """The kind of each path, and the number in it."""
        kind = np.full(len(paths), KINDS.index("other"), np.int32)
        numbers: pa.StringArray = pa.nulls(len(paths), pa.string())
        left = np.arange(len(paths))
        for rule in self._rules:
            hit, found = _match(rule, paths.take(pa.array(left)))
            kind[left[hit]] = KINDS.index(rule.kind)
            if found is not None and len(found):
                mask = np.zeros(len(paths), np.bool_)
                mask[left[hit]] = True
                numbers = pc.replace_with_mask(numbers, pa.array(mask), found)
            left = left[~hit]
        sizes = pc.binary_length(numbers)
        odd = pc.or_(pc.less(sizes, _NUMBER[0]), pc.greater(sizes, _NUMBER[1]))
        numbers = pc.if_else(odd.fill_null(True), pa.scalar(None, pa.string()), numbers)
        return pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(KINDS)), numbers

    def _numbered(self, label: str, values: pa.BinaryArray) -> I64:
        return first_eight(self._coder.numbering, pc.binary_join_element_wise(label.encode(), values, b"\0"))

    def _pseudonyms(self, hosts: pa.BinaryArray) -> pa.Int64Array:
        encoded = hosts.dictionary_encode()
        return pa.array(self._numbered("host", encoded.dictionary)).take(encoded.indices)

    def _agents(self, agents: pa.BinaryArray) -> pa.Int64Array:
        encoded = agents.dictionary_encode()
        bare = pc.replace_substring_regex(encoded.dictionary, _VERSION, "")
        numbers = self._numbered("agent", bare)
        numbers[_flags(pc.is_in(bare, value_set=pa.array([b"", b"-"])))] = 0
        return pa.array(numbers).take(encoded.indices)

    def _user(self, user: bytes) -> str | None:
        """An account as it is; what may be somebody's name or phone as a pseudonym; None for none."""
        text = user.strip(b'"').decode("utf-8", "replace")
        if text in ("", "-"):
            return None
        if folded(text) != CUSTOMER and re.search(ACCOUNT, text) and not re.search(PHONE, text):
            return folded(text)
        return f"user:{pseudonym_text(int(self._numbered('user', pa.array([user]))[0]))}"

    def accesses(self, requests: pa.Table) -> pa.RecordBatch:
        """What was asked for a parcel, by whoever had no account as ``net:PREFIX``, as events of schema ACCESS.

        Nothing was shown but what the tracking page shows to everybody (``fields`` is 0). Requests that the server failed
        (5xx) are left out.
        """
        statuses = requests["status"].to_numpy()
        rows = np.flatnonzero((requests["waybill"].to_numpy() != 0) & (statuses < 500))
        table = requests.take(pa.array(rows)).combine_chunks()
        column = {name: table[name].combine_chunks() for name in REQUESTS.names}
        text = {name: column[name].dictionary_decode() for name in ("network", "user", "kind")}
        hosts = pc.binary_join_element_wise("net:", text["network"].fill_null("unknown"), "")
        said = [column[name].cast(pa.string()) for name in ("time", "address", "waybill", "status", "bytes", "agent")]
        numbers = self._numbered("request", pc.binary_join_element_wise(*said, "\0").cast(pa.binary()))
        again = self._recent.before(numbers, column["time"].to_numpy())
        numbers += again.astype(np.int64)  # a page that one loads twice in a second
        status = statuses[rows]
        outcome = np.where(np.isin(status, (404, 410)), 2, np.where(status < 400, 0, 1)).astype(np.int8)
        size = len(rows)
        made = {
            "event_id": pa.array(numbers.view(np.uint64)),
            "event_time": column["time"].cast(ACCESS.field("event_time").type),
            "actor": pc.coalesce(text["user"], hosts),
            "network": text["network"],
            "channel": text["kind"],
            "action": pa.repeat("search", size),
            "waybill_no": column["waybill_no"],
            "records": pa.array(np.ones(size, np.uint32)),
            "fields": pa.array(np.zeros(size, np.uint16)),
            "outcome": pa.array(OUTCOMES).take(pa.array(outcome)),
        }
        return pa.RecordBatch.from_arrays(
            [made.get(field.name, pa.nulls(size, field.type)) for field in ACCESS], schema=ACCESS
        )


def _pieces(data: Bytes, starts: I64, ends: I64) -> pa.BinaryArray:
    offsets = np.zeros(len(starts) + 1, np.int32)
    np.cumsum(ends - starts, out=offsets[1:])
    return from_buffers(offsets, copied(data, starts, offsets), np.ones(len(starts), np.bool_), pa.binary())


def _times(texts: pa.BinaryArray) -> tuple[I64, Bools]:
    """Microseconds since 1970 UTC of texts like ``23/Nov/2026:08:15:00 +0800``, and where there is such a day."""
    offsets, data = buffers(texts)
    text = data[offsets[0] : offsets[-1]].reshape(-1, TIME_LENGTH)

    def number(start: int, end: int) -> I64:
        weights = 10 ** np.arange(end - start - 1, -1, -1)
        found: I64 = (text[:, start:end].astype(np.int64) - ord("0")) @ weights
        return found

    names = text[:, 3:6].astype(np.int64) @ _AS_ONE
    place = np.minimum(np.searchsorted(_MONTHS[:, 0], names), len(_MONTHS) - 1)
    month, day, year = _MONTHS[place, 1], number(0, 2), number(7, 11)
    months = ((year - 1970) * 12 + month).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64)
    in_month = (months + 1).astype("datetime64[D]").astype(np.int64) - days
    good = (_MONTHS[place, 0] == names) & (day >= 1) & (day <= in_month)
    zone = np.where(text[:, 21] == ord("-"), -1, 1) * (number(22, 24) * 60 + number(24, 26))
    minutes = (days + day - 1) * 1440 + number(12, 14) * 60 + number(15, 17) - zone
    return minutes * 60_000_000 + number(18, 20) * 1_000_000, good


def _decoded(paths: pa.BinaryArray) -> pa.StringArray:
    """Paths as text: percent-encoding undone, without scheme and host where a proxy was asked."""
    _, data = buffers(paths)
    if not data.size or (data.max() < 128 and not (data == ord("%")).any()):
        return pc.replace_substring_regex(paths.cast(pa.string()), _ABSOLUTE, "")
    texts = [unquote(path[:_LONGEST_PATH].decode("utf-8", "replace")) for path in paths.to_pylist()]
    return pc.replace_substring_regex(pa.array(texts, pa.string()), _ABSOLUTE, "")


def _network(host: bytes) -> str | None:
    found = network_of(host.decode("ascii", "replace"))
    return None if found in ("-", None) or found.startswith("AS") else found


def _each(values: pa.BinaryArray, read: Callable[[bytes], str | None]) -> pa.DictionaryArray:
    """``read`` of each value, called once a distinct one."""
    encoded = values.dictionary_encode()
    made = pa.array([read(value) for value in encoded.dictionary.to_pylist()], pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(made.indices.take(encoded.indices), made.dictionary)


def _flags(column: pa.BooleanArray) -> Bools:
    found: Bools = column.to_numpy(zero_copy_only=False)
    return found
