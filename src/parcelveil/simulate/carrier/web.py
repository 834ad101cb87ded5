"""The public tracking page, logins, and the key service's counters.

::

    requests = visits(today, serials)                 # customers who ask where their parcel is, and logins of the staff
    lines(requests, world)                            # one line a request, combined log format
    counted(access, today)                            # values opened and logged, hour by hour

The log is Apache's and nginx's *combined* format: ``ip - user [time] "request" status bytes "referer" "agent"``. Customers
have addresses of 100.64.0.0/10 (RFC 6598), the staff those of their networks in 10.0.0.0/8, so that none is anybody's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.rows import AccessRows, KeyRows, WebRows
from parcelveil.simulate.carrier.today import SECOND_US, Today
from parcelveil.simulate.carrier.world import DAY_US, HOUR_US, MINUTE_US, Ints, World
from parcelveil.simulate.draw import SIZE, weighted
from parcelveil.simulate.lexicon import facts

#: Browsers, written as they write themselves, with shares; the last two are programs.
AGENTS = (
    "Mozilla/5.0 (Linux; Android 14; Mobile) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "okhttp/4.12.0",
    "python-requests/2.32.4",
)
AGENT_SHARES = (0.42, 0.27, 0.16, 0.04, 0.05, 0.05, 0.01)
#: Systems that open values, and the channel that each serves.
SYSTEMS = ("app", "desk", "interface", "export", "print")
_SYSTEM_OF_CHANNEL = np.array([0, 1, 2, 3, 4, 1], np.int8)
_VALUES = np.array([bin(mask & 7).count("1") for mask in range(16)], np.int64)

#: Numbers of a shared address space for customers (RFC 6598).
CUSTOMERS_BASE, CUSTOMERS = (100 << 24) + (64 << 16), 1 << 22
_TYPO, _QUERY, _ERRS, _AGAIN = 0.03, 0.25, 0.05, 0.3


def visits(today: Today, serials: Ints) -> WebRows:
    """Requests of one day: questions for some of the parcels, and logins of everybody on duty."""
    return WebRows.join([_tracking(today, serials), _logins(today)])


def _tracking(today: Today, serials: Ints) -> WebRows:
    source = today.source(5)
    hours = weighted(facts()["parcel"]["order_times"]["purchase_hour_0_23"])
    asked = serials[source.chance(today.world.drawn["web_requests"] * 0.6, len(serials))]
    # Who asks once often asks again on the same day.
    repeats = 1 + (source.below(SIZE, len(asked)) ** 2 >> 30)
    person = np.repeat(np.arange(len(asked)), repeats)
    count = len(person)
    at = hours[source.words(count)].astype(np.int64) * HOUR_US + source.below(3600 * SECOND_US, count)
    ip = CUSTOMERS_BASE + source.below(CUSTOMERS, len(asked))[person]
    agent = weighted(AGENT_SHARES)[source.words(len(asked))][person]
    serial = asked[person]
    typo = source.chance(_TYPO, count)
    digit = 10 ** source.below(6, count)
    wrong = serial + np.where(serial // digit % 10 == 9, -digit, digit)
    ordered = np.sort(serials)
    known = np.zeros(count, np.bool_)
    if len(ordered):
        near = ordered[np.minimum(np.searchsorted(ordered, wrong[typo]), len(ordered) - 1)]
        known[typo] = near == wrong[typo]
    serial = np.where(typo, wrong, serial)
    status = np.where(typo & ~known, 404, 200)
    size = np.where(status == 404, 512, 2_600 + source.below(1_800, count))
    kind = np.where(source.chance(_QUERY, count), rows.QUERY, rows.PAGE)
    return WebRows.of(
        count, time=today.midnight + at, ip=ip, kind=kind, waybill=serial, status=status, size=size, agent=agent
    )


def _logins(today: Today) -> WebRows:
    """Everybody on duty logs in at the start, some again later; passwords are mistyped once or a few times."""
    source, account = today.source(6), today.world.account
    who = np.flatnonzero(today.duty)
    again = who[source.chance(_AGAIN, len(who))]
    person = np.concatenate([who, again])
    base = today.start[person] - 60 * SECOND_US + source.below(900 * SECOND_US, len(person))
    base[len(who) :] = today.start[again] + source.below(1 << 32, len(again)) * (today.end - today.start)[again] // (
        1 << 32
    )
    errs = np.where(source.chance(_ERRS, len(person)), 1 + (source.below(SIZE, len(person)) ** 2 >> 30), 0)
    row = np.repeat(np.arange(len(person)), errs + 1)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(errs + 1) - errs - 1, errs + 1)
    last = turn == errs[row]
    network = today.world.names.network.number(account.network[person])
    ip = network + 1 + source.below(254, len(person))
    agent = weighted(AGENT_SHARES[:5])[source.words(today.world.accounts)][person]
    gap = (8 + source.below(20, len(row))) * turn * SECOND_US
    time = np.clip(base[row] + gap, today.midnight, today.next - 1)
    status, size = np.where(last, 200, 401), np.where(last, 730, 190)
    return WebRows.of(
        len(row),
        time=time,
        ip=ip[row],
        kind=rows.LOGIN,
        account=person[row],
        status=status,
        size=size,
        agent=agent[row],
    )


def _joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


@lru_cache(maxsize=1)
def _seconds() -> pa.StringArray:
    """The texts of the seconds of a day."""
    return pa.array([f"{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}" for n in range(86_400)])


def lines(requests: WebRows, world: World) -> pa.StringArray:
    """One line of the combined log a request, without a line end, in their order."""
    numbers = pa.array([str(number) for number in range(256)])
    ip = requests["ip"]
    quads = [numbers.take(pa.array(ip >> shift & 255)) for shift in (24, 16, 8, 0)]
    address = pc.binary_join_element_wise(*quads, ".")
    local = requests["time"] + world.offset_us
    clock = _seconds().take(pa.array(local // SECOND_US % 86_400))
    zone = world.offset_us // MINUTE_US
    zone_text = f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02d}{abs(zone) % 60:02d}"
    day = local // DAY_US
    first = int(day.min()) if len(day) else 0
    # strftime would say the month in the language of the machine.
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    dates = [
        datetime.fromtimestamp((first + n) * 86_400, UTC) for n in range(int(day.max()) - first + 1 if len(day) else 0)
    ]
    texts = pa.array([f"{date.day:02d}/{months[date.month - 1]}/{date.year}" for date in dates], pa.string())
    stamp = _joined(texts.take(pa.array(day - first)), ":", clock, f" {zone_text}")
    kind = requests["kind"]
    login = pa.array(kind == rows.LOGIN)
    user = pc.if_else(login, world.names.account.of(np.maximum(requests["account"], 0)), "-")
    verbs = pa.array(["GET /track/", "GET /api/v1/track?no=", "POST /login"]).take(pa.array(kind))
    number = pc.if_else(login, "", world.names.waybill.of(np.maximum(requests["waybill"], 0)))
    agent = pa.array(AGENTS).take(pa.array(requests["agent"]))
    status, size = pa.array(requests["status"]).cast(pa.string()), pa.array(requests["size"]).cast(pa.string())
    return _joined(
        address, " - ", user, " [", stamp, '] "', verbs, number, ' HTTP/1.1" ', status, " ", size, ' "-" "', agent, '"'
    )


def counted(access: AccessRows, today: Today) -> KeyRows:
    """Values that the key service opened, hour by hour and system by system, and those that the system's looks say.

    What a system opens at the end of an hour it may log in the next, so hours differ a little and days hardly.
    """
    source = today.source(7)
    opens = np.flatnonzero((access["outcome"] == rows.OK) & (access["fields"] != 0))
    system = _SYSTEM_OF_CHANNEL[access["channel"][opens]]
    values = _VALUES[access["fields"][opens] & 15] * access["records"][opens]
    logged = np.clip((access["received"][opens] - today.midnight) // HOUR_US, 0, 23)
    lag = np.where(system == 4, source.below(8 * 60 * SECOND_US, len(opens)), source.below(4 * SECOND_US, len(opens)))
    opened = np.clip((access["received"][opens] - lag - today.midnight) // HOUR_US, 0, 23)
    cells = 24 * len(SYSTEMS)

    def total(hour: Ints) -> npt.NDArray[np.int64]:
        return np.rint(np.bincount(hour * len(SYSTEMS) + system, values, cells)).astype(np.int64)

    cell = np.arange(cells)
    return KeyRows.of(
        cells,
        time=today.midnight + cell // len(SYSTEMS) * HOUR_US,
        system=cell % len(SYSTEMS),
        values=total(opened),
        logged=total(logged),
    )
