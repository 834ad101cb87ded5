"""Web access logs: what a request says, and that no line, however hostile, stops the reading or gets anything personal in."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.event import ACCESS
from parcelveil.watch.coded import Coder
from parcelveil.watch.weblog import LONGEST_LINE, REQUESTS, WebLog, path_rules
from parcelveil.watch.weblog_pass import FIELDS, fields

KEY = bytes(range(32))
NOON = int(datetime(2026, 11, 23, 4, tzinfo=UTC).timestamp()) * 1_000_000


def line(path: str = "/track/YT8800001234567", **said: Any) -> bytes:
    row = {
        "host": "203.0.113.7",
        "user": "-",
        "time": "23/Nov/2026:12:00:00 +0800",
        "method": "GET",
        "status": 200,
        "size": 2326,
        "agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0",
    } | said
    text = '{host} - {user} [{time}] "{method} {path} HTTP/1.1" {status} {size} "-" "{agent}"\n'
    return text.format(path=path, **row).encode()


def read(*lines: bytes, log: WebLog | None = None) -> list[dict[str, Any]]:
    log = log or WebLog(Coder(KEY))
    return pa.concat_tables([log.take(b"".join(lines)), log.end()]).to_pylist()


def test_a_request() -> None:
    coder = Coder(KEY)
    table = WebLog(coder).take(line(user="Shop-7"))
    assert table.schema.equals(REQUESTS)
    row = table.to_pylist()[0]
    waybill, serial = coder.waybills(pa.array(["YT8800001234567"]))
    assert {name: row[name] for name in REQUESTS.names if name not in ("address", "agent")} == {
        "time": NOON,
        "network": "203.0.113.0/24",
        "user": "shop-7",
        "method": "GET",
        "kind": "track",
        "waybill_no": "YT8800001234567",
        "waybill": waybill[0],
        "serial": serial[0],
        "status": 200,
        "bytes": 2326,
    }


@pytest.mark.parametrize(
    ("path", "kind", "number"),
    [
        ("/track/YT8800001234567", "track", "YT8800001234567"),
        ("/Track/YT8800001234567?lang=zh", "track", "YT8800001234567"),
        ("/zh/query/YT8800001234567/", "track", "YT8800001234567"),
        ("/track.html?a=1&no=YT8800001234567#x", "track", "YT8800001234567"),
        ("/track/%59T88%300001234567", "track", "YT8800001234567"),
        ("http://acme.example/track/YT8800001234567", "track", "YT8800001234567"),
        ("/api/v1/track?no=YT8800001234567", "api", "YT8800001234567"),
        ("/openapi/waybills/YT8800001234567/events", "api", "YT8800001234567"),
        ("/login", "login", None),
        ("/user/signin.php?next=/", "login", None),
        ("/", "other", None),
        ("/track/YT1", "other", None),
        ("/track/" + "9" * 41, "other", None),
        ("/static/track.js", "other", None),
        ("/track/../../etc/passwd", "other", None),
    ],
)
def test_paths(path: str, kind: str, number: str | None) -> None:
    row = read(line(path))[0]
    assert row["waybill_no"] == number
    if number is not None or kind != "other":
        assert row["kind"] == kind
    assert (row["waybill"] != 0) == (number is not None)


def test_own_patterns() -> None:
    rules = path_rules(
        {"path": [{"kind": "track", "pattern": "^/p/(?P<no>[0-9]+)$"}, {"kind": "login", "pattern": "^/in$"}]}
    )
    log = WebLog(Coder(KEY), rules)
    rows = read(line("/p/880012"), line("/in"), line("/track/YT8800001234567"), log=log)
    assert [(row["kind"], row["waybill_no"]) for row in rows] == [("track", "880012"), ("login", None), ("other", None)]
    for bad in ({"kind": "track", "pattern": "("}, {"kind": "page", "pattern": "/"}, {"kind": "track"}):
        with pytest.raises(InputError, match="patterns of paths cannot be used"):
            path_rules({"path": [bad]})


@pytest.mark.parametrize(
    ("moment", "hours"),
    [("23/Nov/2026:12:00:00 +0800", 0), ("23/Nov/2026:04:00:00 +0000", 0), ("22/Nov/2026:23:30:00 -0530", 1)],
)
def test_times(moment: str, hours: int) -> None:
    assert read(line(time=moment))[0]["time"] == NOON + hours * 3_600_000_000


@pytest.mark.parametrize(
    "moment", ["31/Nov/2026:12:00:00 +0800", "00/Nov/2026:12:00:00 +0800", "23/Nox/2026:12:00:00 +0800"]
)
def test_days_that_there_are_not(moment: str) -> None:
    log = WebLog(Coder(KEY))
    assert read(line(time=moment), line(), log=log) == read(line())
    assert (log.lines, log.odd) == (2, 1)


def test_networks_and_addresses() -> None:
    hosts = [
        "203.0.113.7",
        "203.0.113.9",
        "203.0.113.7",
        "2001:db8:1:2::7",
        "::ffff:203.0.113.7",
        "shop.example",
        "999.1.1.1",
    ]
    rows = read(*(line(host=host) for host in hosts))
    assert [row["network"] for row in rows[:5]] == ["203.0.113.0/24"] * 3 + ["2001:db8:1::/48", "203.0.113.0/24"]
    assert [row["network"] for row in rows[5:]] == [None, None]
    assert rows[0]["address"] == rows[2]["address"] != rows[1]["address"]
    other = WebLog(Coder(bytes(32))).take(line()).to_pylist()[0]
    assert other["address"] != rows[0]["address"]


def test_agents_are_told_by_their_names_and_not_their_versions() -> None:
    agents = ["curl/8.1.2", "curl/7.88", "python-requests/2.31", "-", ""]
    rows = read(*(line(agent=agent) for agent in agents))
    found = [row["agent"] for row in rows]
    assert found[0] == found[1] != found[2]
    assert found[3:] == [0, 0]
    assert read(line().replace(b' "-" "Mozilla', b' "a \\" b" "Mozilla'))[0]["agent"] == read(line())[0]["agent"]
    common = re.sub(rb' "-" ".*"\n', b"\n", line())
    assert read(common)[0]["agent"] == 0


@pytest.mark.parametrize("user", ["13812345678", "wang@acme.example", "李雷", "a b", "x] [y", "客户"])
def test_users_that_may_be_people_become_pseudonyms(user: str) -> None:
    """Also those with blanks and brackets in them: whoever tries to log in writes the field himself."""
    one, two, other = (row["user"] for row in read(line(user=user), line(user=user), line(user="wu@acme.example")))
    assert re.fullmatch("user:[0-9a-f]{16}", one)
    assert one == two != other


def test_lines_that_are_no_request_are_counted() -> None:
    log = WebLog(Coder(KEY))
    hostile = [
        b"\n",
        b"hello\n",
        b"\x00\xff\xfe\n",
        b'203.0.113.7 - - [23/Nov/2026:12:00:00 +0800] "\\x16\\x03\\x01" 400 0 "-" "-"\n',
        b'203.0.113.7 - - [23/Nov/2026:12:00:00 +0800] "GET / HTTP/1.1" 999 0 "-" "-"\n',
        b'203.0.113.7 - - [23/Nov/2026:12:00:00 +0800] "GET / HTTP/1.1" 200 99999999999999999999 "-" "-"\n',
        b'203.0.113.7 - - [23/Nov/2026:12:00:00 +0800] "GET /\n',
        line("/" + "a" * LONGEST_LINE),
    ]
    assert read(*hostile, line(), log=log) == read(line())
    assert (log.lines, log.odd) == (len(hostile), len(hostile) - 1)  # blank lines are nothing
    assert read(line("/track/\udcff".encode("utf-8", "surrogateescape").decode("latin-1")))[0]["kind"] == "other"


def test_t8_a_line_feed_in_a_path_makes_no_second_request() -> None:
    """Servers write it escaped; what is decoded here stays one row, and gives no number but a well-formed one."""
    rows = read(line("/track/YT8800001234567%0A203.0.113.9%20-%20admin"))
    assert len(rows) == 1
    assert rows[0]["network"] == "203.0.113.0/24"
    assert rows[0]["waybill_no"] is None


HOSTILE = st.binary(max_size=90) | st.sampled_from(
    [
        line().rstrip(),
        line(user='a"b').rstrip(),
        line("/x%ff%zz").rstrip(),
        line()[:60],
        b"",
        b'"',
        line(size="-").rstrip() + b"\r",
    ]
)


@st.composite
def nearly(draw: st.DrawFn) -> bytes:
    """A request with some bytes replaced, taken out or put in."""
    text = bytearray(line(agent="a").rstrip())
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text) - 1))
        text[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b" ", b'"', b"\\", b"[", b"]", b"1", b"A", b"a", b"-", b"\r"])
        )
    return bytes(text)


PLAIN = re.compile(
    rb"(?P<host>[^ ]+) [^ ]* (?P<user>.+?) \[(?P<time>\d\d/.../20\d\d:(?:[01]\d|2[0-3]):[0-5]\d:[0-6]\d [+-][01]\d[0-5]\d)\] "
    rb'"(?P<method>[A-Z]+) (?P<path>(?:\\[^ ]|\\(?= )|[^\\" ])*)(?: (?:\\.|[^\\"])*)?" (?P<status>[1-5]\d\d) (?P<bytes>\d{1,15}|-)(?: .*|\r)?',
    re.DOTALL,
)


@settings(deadline=None)
@given(st.lists(HOSTILE | nearly(), max_size=12), st.data())
@example([line(user="] [").rstrip()], None)
def test_any_bytes_cut_anywhere_give_the_same_requests(parts: list[bytes], data: st.DataObject | None) -> None:
    whole = b"\n".join(parts) + b"\n"
    one, other = WebLog(Coder(KEY)), WebLog(Coder(KEY))
    expected = pa.concat_tables([one.take(whole), one.end()])
    expected.validate(full=True)
    assert one.lines == sum(bool(text) for text in whole.split(b"\n"))
    assert one.lines - one.odd == expected.num_rows
    cut, at = [], 0
    while at < len(whole):
        end = at + (data.draw(st.integers(1, 80)) if data else 7)
        cut.append(other.take(whole[at:end]))
        at = end
    assert pa.concat_tables([*cut, other.end()]).to_pylist() == expected.to_pylist()
    assert (other.lines, other.odd) == (one.lines, one.odd)


@settings(deadline=None, max_examples=1000)
@given(nearly() | HOSTILE.filter(lambda text: b"\n" not in text))
def test_fields_agree_with_a_plain_expression(text: bytes) -> None:
    data = np.frombuffer(text, np.uint8)
    places, good = fields(data, np.array([0]), np.array([len(text)]))
    match = PLAIN.fullmatch(text)
    assert bool(good[0]) == (match is not None)
    if match:
        found = dict(zip(FIELDS, (text[a:b] for a, b in places[0].reshape(-1, 2).tolist()), strict=True))
        del found["agent"]
        assert found == {name: match[name] for name in found}


def test_an_endless_line_takes_no_memory_and_no_time() -> None:
    log, block = WebLog(Coder(KEY)), b"x" * (1 << 20)
    start = time.process_time()
    for _ in range(64):
        assert log.take(block).num_rows == 0
    assert len(log._begun) <= LONGEST_LINE + len(block)
    assert log.take(b"\n" + line()).num_rows == 1
    assert (log.lines, log.odd) == (2, 1)
    assert time.process_time() - start < 5


def test_requests_as_accesses() -> None:
    log = WebLog(Coder(KEY))
    table = log.take(
        b"".join(
            [
                line(),
                line(),
                line(status=404),
                line(status=403),
                line(status=503),
                line("/login"),
                line("/api/v1/track?no=YT8800001234567", user="SHOP-7"),
                line(host="2001:db8::1"),
                line(host="shop.example"),
            ]
        )
    )
    batch = log.accesses(table)
    assert batch.schema.equals(ACCESS, check_metadata=True)
    batch.validate(full=True)
    rows = batch.to_pylist()
    assert [row["actor"] for row in rows] == ["net:203.0.113.0/24"] * 4 + ["shop-7", "net:2001:db8::/48", "net:unknown"]
    assert [row["outcome"] for row in rows] == ["ok", "ok", "notfound", "denied", "ok", "ok", "ok"]
    assert [row["channel"] for row in rows] == ["track"] * 4 + ["api"] + ["track"] * 2
    assert len({row["event_id"] for row in rows}) == len(rows)
    again = WebLog(Coder(KEY))
    assert again.accesses(again.take(line()))["event_id"][0].as_py() == rows[0]["event_id"]
    assert Coder(KEY).accesses(batch).num_rows == len(rows)
