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
from parcelveil.watch.access_cells import ACCOUNT, PHONE, network_of
from parcelveil.watch.coded import OUTCOMES, Coder, first_eight, pseudonym_text
from parcelveil.watch.codes import I64
from parcelveil.watch.recent import Recent

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
_LINE = (
    r"^(?P<host>[^ ]{1,255}) [^ ]+ (?P<user>[^ \[]{1,200}) "
    r"\[(?P<time>[0-3][0-9]/[A-Z][a-z]{2}/20[0-9]{2}:[0-2][0-9]:[0-5][0-9]:[0-6][0-9] [+-][01][0-9][0-5][0-9])\] "
    r'"(?P<method>[A-Z]{1,16}) (?P<path>[^ "]*)[^"]*" (?P<status>[1-5][0-9]{2}) (?P<bytes>[0-9]{1,15}|-)(?P<rest>.*)'
)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_AGENT = r'"(?P<agent>(?:[^"\\]|\\.)*)"\s*$'
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
        whole, self._begun = self._begun + block[:end], b""
        if self._overlong:
            whole, self._overlong = whole[whole.index(b"\n") :], False
            self.odd += 1
        self._keep(block[end:])
        return self._requests(_lines(whole))

    def end(self) -> pa.Table:
        """The request in the last line, where it does not end with a line feed."""
        last, self._begun = self._begun, b""
        self.odd += self._overlong
        self.lines += self._overlong
        self._overlong = False
        return self._requests(_lines(last + b"\n")) if last else REQUESTS.empty_table()

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a line whose end is not there yet; not more of it than a line may have."""
        self._begun += rest
        if len(self._begun) > LONGEST_LINE:
            self._begun, self._overlong = b"", True

    def _requests(self, lines: pa.BinaryArray) -> pa.Table:
        self.lines += len(lines)
        found = pc.extract_regex(lines, _LINE)
        if found.null_count:
            found = found.drop_null()
        field = {name: found.field(at) for at, name in enumerate(column.name for column in found.type)}
        times, bad = _times(field["time"])
        if bad.any():
            keep = pa.array(~bad)
            times, field = times[~bad], {name: column.filter(keep) for name, column in field.items()}
        self.odd += len(lines) - len(times)
        paths = _decoded(field["path"])
        kinds, numbers = self._paths(paths)
        waybill, serial = self._coder.waybills(numbers)
        sizes = pc.if_else(pc.equal(field["bytes"], b"-"), pa.scalar(b"0"), field["bytes"])
        columns = [
            pa.array(times),
            _each(field["host"], lambda host: _network(host), _NAMES),  # noqa: PLW0108
            self._pseudonyms(field["host"]),
            _each(field["user"], self._user, _NAMES),
            _each(field["method"], lambda method: method, _NAMES),
            kinds,
            numbers,
            pa.array(waybill),
            pa.array(serial),
            field["status"].cast(pa.string()).cast(pa.int16()),
            sizes.cast(pa.string()).cast(pa.int64()),
            self._agents(field["rest"]),
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
        return pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(KINDS)), numbers

    def _numbered(self, label: str, values: pa.BinaryArray) -> I64:
        return first_eight(self._coder.numbering, pc.binary_join_element_wise(label.encode(), values, b"\0"))

    def _pseudonyms(self, hosts: pa.BinaryArray) -> pa.Int64Array:
        encoded = hosts.dictionary_encode()
        return pa.array(self._numbered("host", encoded.dictionary)).take(encoded.indices)

    def _agents(self, rests: pa.BinaryArray) -> pa.Int64Array:
        encoded = rests.dictionary_encode()
        found = pc.extract_regex(encoded.dictionary, _AGENT)
        agents = pc.replace_substring_regex(pc.struct_field(found, "agent").fill_null(b"-"), _VERSION, "")
        numbers = self._numbered("agent", agents)
        numbers[_flags(pc.is_in(agents, value_set=pa.array([b"", b"-"])))] = 0
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
        rows = np.flatnonzero((requests["waybill"].to_numpy() != 0) & (statuses < 500))  # noqa: PLR2004
        table = requests.take(pa.array(rows)).combine_chunks()
        column = {name: table[name].combine_chunks() for name in REQUESTS.names}
        text = {name: column[name].dictionary_decode() for name in ("network", "user", "kind")}
        hosts = pc.binary_join_element_wise("net:", text["network"].fill_null("unknown"), "")
        said = [column[name].cast(pa.string()) for name in ("time", "address", "waybill", "status", "bytes", "agent")]
        numbers = self._numbered("request", pc.binary_join_element_wise(*said, "\0").cast(pa.binary()))
        again = self._recent.before(numbers, column["time"].to_numpy())
        numbers += again.astype(np.int64)  # a page that one loads twice in a second
        status = statuses[rows]
        outcome = np.where(np.isin(status, (404, 410)), 2, np.where(status < 400, 0, 1)).astype(np.int8)  # noqa: PLR2004
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


def _lines(whole: bytes) -> pa.BinaryArray:
    """The lines of a block that ends with a line feed, without it."""
    data = np.frombuffer(whole, np.uint8)
    ends = np.flatnonzero(data == ord("\n")).astype(np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lines = pa.Array.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(np.append(starts, len(whole))), pa.py_buffer(whole)]
    )
    return pc.binary_slice(lines, 0, LONGEST_LINE) if (ends - starts).max() > LONGEST_LINE else lines


def _times(texts: pa.BinaryArray) -> tuple[I64, Bools]:
    """Microseconds since 1970 UTC of ``23/Nov/2026:08:15:00 +0800``, and where there is no such day."""
    width = 26
    data = np.frombuffer(b"".join(texts.to_pylist()), np.uint8).reshape(-1, width) if len(texts) else np.zeros((0, width))
    return data, data


def _flags(column: pa.BooleanArray) -> Bools:
    found: Bools = column.to_numpy(zero_copy_only=False)
    return found
