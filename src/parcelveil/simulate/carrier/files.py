"""Writes a carrier's days as files, the way a carrier would hand them over.

::

    done = write(Carrier(seed=7, staff=400, days=14), Path("DIR"))
    done.days, done.looks, done.work, done.cpu_s

=============================  ====================================================================================
``access/YYYY-MM-DD.parquet``  looks (``event.ACCESS``, texts dictionary-encoded), by local day of ``received_at``
``work/YYYY-MM-DD.parquet``    work (``event.WORK`` and ``received_at``), likewise
``web/YYYY-MM-DD.log``         requests to the public pages, combined log format
``keyuse/YYYY-MM-DD.parquet``  values opened by the key service, by hour and system
``accounts.parquet``           the register of accounts (``event.ACCOUNT``) at the end of the run
``world.json``                 seed, drawn parameters, and the calendar of what went wrong without anybody's fault
=============================  ====================================================================================

The same carrier gives the same bytes. A file has its name only when it is whole. Dictionaries are in the order of their
texts, which are scattered numbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from parcelveil.errors import OutputError
from parcelveil.event import ACCESS, ACCOUNT, RECEIVED_AT, WORK
from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.day import Day
from parcelveil.simulate.carrier.run import Carrier
from parcelveil.simulate.carrier.web import SYSTEMS, lines
from parcelveil.simulate.carrier.world import DAY_US, OFFICE, STAYS, World

_TIME = pa.timestamp("us", tz="UTC")
_TEXT = pa.dictionary(pa.int32(), pa.string())
#: Columns whose texts are few.
_FEW = {
    "actor",
    "role",
    "outlet",
    "device",
    "network",
    "channel",
    "action",
    "outcome",
    "biz_step",
    "to_outlet",
    "route_id",
}
KEY_USE = pa.schema([("hour", _TIME), ("system", pa.string()), ("values", pa.int64()), ("logged", pa.int64())])
#: The folders in a carrier's: days, and what is true of them.
FOLDERS = ("access", "work", "keyuse", "web", "truth")
_LINES_A_TIME = 1 << 18
_ROW_GROUP = 1 << 19


def _coded(schema: pa.Schema) -> pa.Schema:
    """``schema`` with the texts that are few dictionary-encoded."""
    return pa.schema([field.with_type(_TEXT) if field.name in _FEW else field for field in schema], schema.metadata)


ACCESS_FILE = _coded(ACCESS)
WORK_FILE = _coded(WORK.append(RECEIVED_AT))


class _Texts(Protocol):
    def of(self, codes: npt.NDArray[np.int64]) -> pa.StringArray: ...


@dataclass
class Written:
    """What was written; ``cpu_s`` is the process's CPU time from the first day to the last file."""

    days: int = 0
    looks: int = 0
    work: int = 0
    requests: int = 0
    cpu_s: float = 0.0

    @property
    def events_s(self) -> float:
        """Looks and work a second of CPU."""
        return (self.looks + self.work) / max(self.cpu_s, 1e-9)


def named(codes: npt.NDArray[Any], names: _Texts, size: int) -> pa.DictionaryArray:
    """``codes`` (-1: none) under ``size`` as texts; the dictionary holds those that occur, in the order of the texts."""
    used = np.zeros(size + 1, np.bool_)
    used[codes] = True  # -1 marks the last entry, which is nobody's
    present = np.flatnonzero(used[:size])
    texts = names.of(present)
    order = np.asarray(pc.sort_indices(texts))
    place = np.empty(size + 1, np.int32)
    place[present[order]] = np.arange(len(present), dtype=np.int32)
    index = place.take(codes, mode="wrap")
    missing = codes < 0 if used[size] else None
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=missing), texts.take(pa.array(order)))


def words(codes: npt.NDArray[Any], texts: tuple[str, ...]) -> pa.DictionaryArray:
    """Codes of a fixed list of words."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(texts))


def _sparse(codes: npt.NDArray[np.int64], names: _Texts) -> pa.StringArray:
    """Texts of the codes that are not negative; null for others."""
    given = codes >= 0
    if given.all():
        return names.of(codes)
    texts = names.of(codes[given])
    width = len(texts[0].as_py()) if len(texts) else 0
    ends = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(given, out=ends[1:])
    ends *= width
    bits = pa.py_buffer(np.packbits(given, bitorder="little"))
    return pa.StringArray.from_buffers(len(codes), pa.py_buffer(ends), texts.buffers()[2] or pa.py_buffer(b""), bits)


def _times(values: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(values).view(_TIME)


def access_table(looks: rows.AccessRows, world: World) -> pa.Table:
    """Looks that are in order, schema :data:`ACCESS_FILE`."""
    names, outlets = world.names, len(world.outlet_kind)
    role = world.account.role[looks["actor"]]
    networks = int(looks["network"].max(initial=0)) + 1
    columns = [
        pa.array(looks["id"].astype(np.uint64)),
        _times(looks["time"]),
        _times(looks["received"]),
        named(looks["actor"], names.account, world.accounts),
        words(role, rows.ROLES),
        named(looks["outlet"], names.outlet, outlets),
        named(looks["device"], names.device, len(world.device_skew)),
        named(looks["network"], names.network, networks),
        words(looks["channel"], rows.CHANNELS),
        words(looks["action"], rows.ACTIONS),
        _sparse(looks["waybill"], names.waybill),
        pa.array(names.subjects(looks["subject"]), mask=looks["subject"] < 0),
        pa.array(looks["records"].astype(np.uint32)),
        pa.array(looks["fields"].astype(np.uint16)),
        words(looks["outcome"], rows.OUTCOMES),
        _sparse(looks["ticket"], names.ticket),
    ]
    return pa.Table.from_arrays(columns, schema=ACCESS_FILE)


def work_table(work: rows.WorkRows, world: World) -> pa.Table:
    """Work that is in order, schema :data:`WORK_FILE`."""
    names, outlets = world.names, len(world.outlet_kind)
    actor = np.where(work["actor"] == rows.CUSTOMER, world.accounts, work["actor"])
    columns = [
        names.scan.of(work["id"]),
        _times(work["time"]),
        words(work["step"], rows.STEPS),
        pa.nulls(work.count, pa.string()),
        _sparse(work["waybill"], names.waybill),
        named(work["outlet"], names.outlet, outlets),
        named(work["to_outlet"], names.outlet, outlets),
        named(work["route"], names.route, len(world.route_courier)),
        named(actor, _WithCustomer(names.account, world.accounts), world.accounts + 1),
        named(work["device"], names.device, len(world.device_skew)),
        _sparse(work["ticket"], names.ticket),
        _times(work["received"]),
    ]
    return pa.Table.from_arrays(columns, schema=WORK_FILE)


@dataclass
class _WithCustomer:
    """Names of accounts, and after the last of them the customer."""

    accounts: _Texts
    count: int

    def of(self, codes: npt.NDArray[np.int64]) -> pa.StringArray:
        texts = self.accounts.of(codes)
        return pc.if_else(pa.array(codes == self.count), "customer", texts)


def accounts_table(world: World) -> pa.Table:
    """The register of accounts, schema ``event.ACCOUNT``, in the order of the account's names."""
    account, names = world.account, world.names
    # Who has not begun by the end of the run is not in the register.
    known = np.flatnonzero(account.first_day < world.days)
    text = names.account.of(known)
    order = known[np.asarray(pc.sort_indices(text))]
    owner = account.owner[order]
    columns = [
        names.account.of(order),
        words(account.role[order], rows.ROLES).cast(pa.string()),
        names.outlet.of(account.outlet[order]),
        pa.array([f"{region + 1:02d}" for region in account.region[order].tolist()]),
        pc.if_else(pa.array(owner == order), pa.scalar(None, pa.string()), names.account.of(owner)),
        _times(account.opened[order]),
        _times(account.changed[order]),
        pa.array(account.leaves[order], mask=account.leaves[order] < 0).view(_TIME),
        pa.array(account.shift_start[order], mask=account.shift_start[order] < 0),
        pa.array(account.shift_end[order], mask=account.shift_end[order] < 0),
    ]
    return pa.Table.from_arrays(columns, schema=ACCOUNT)


def world_json(world: World) -> dict[str, Any]:
    """What the world is like, and what went wrong in it without anybody's fault; outlets by name, days as dates."""
    calendar, names = world.calendar, world.names

    def day(number: int) -> str | None:
        return None if number < 0 else str(date(1970, 1, 1) + timedelta(days=world.first + number))

    def outlets(codes: npt.NDArray[np.int64] | list[int]) -> list[str]:
        texts: list[str] = names.outlet.of(np.asarray(codes, np.int64)).to_pylist()
        return texts

    def dark(outlet: int, region: int) -> list[str]:
        inside = np.flatnonzero((world.outlet_region == region) & (world.outlet_kind != OFFICE))
        return outlets(inside if region >= 0 else [outlet])

    stays = world.account.last_day >= STAYS
    return {
        "seed": world.seed,
        "first_day": day(0),
        "days": world.days,
        "utc_offset_minutes": world.offset_us // 60_000_000,
        "accounts": int(world.accounts),
        "leavers": int((~stays & (world.account.last_day >= 0) & ~world.account.temporary).sum()),
        "outlets": {
            kind: int((world.outlet_kind == code).sum()) for code, kind in enumerate(("station", "hub", "office"))
        },
        "drawn": world.drawn,
        "calendar": {
            "peak": day(calendar.peak),
            "reorganisation": day(calendar.reorganisation),
            "moves": [
                {"from": outlets([move.old])[0], "to": outlets([move.new])[0], "share_of_areas": move.share}
                for move in calendar.moves
            ],
            "outages": [
                {"day": day(it.day), "outlets": dark(it.outlet, it.region), "from_minute": it.start, "to_minute": it.end,
                 "scans_lost": round(it.lost, 3)}
                for it in calendar.outages
            ],
            "complaint_waves": [{"day": day(it.day), "parcels": it.size} for it in calendar.waves],
            "bulk_reprints": [
                {"day": day(it.day), "outlet": outlets([it.place])[0], "labels": it.size} for it in calendar.reprints
            ],
        },
    }  # fmt: skip


def write(carrier: Carrier, folder: Path, *, force: bool = False, each: Callable[[Day], None] | None = None) -> Written:
    """Writes all days into ``folder``; ``each`` is called with every day once its files are whole.

    Raises OutputError for a folder that is not empty (``force`` removes what an earlier run wrote there) or that cannot be
    written. Whatever ends the run early, files that are there are whole days.
    """
    began = time.process_time()
    world, done = carrier.world, Written()
    try:
        _prepare(folder, force)
        text = json.dumps(world_json(world), indent=1, ensure_ascii=False) + "\n"
        _whole(folder / "world.json", lambda part: _put(part, text.encode()))
        _whole(folder / "accounts.parquet", lambda part: pq.write_table(accounts_table(world), part))
        for day in carrier:
            _write_day(day, world, folder)
            done.days += 1
            done.looks += day.access.count
            done.work += day.work.count
            done.requests += day.web.count
            done.cpu_s = time.process_time() - began
            if each is not None:
                each(day)
    except OSError as error:
        raise OutputError(
            "{folder} cannot be written: {reason}", folder=folder.name, reason=error.strerror or "?"
        ) from None
    return done


def no_links(folder: Path) -> None:
    """Raise OutputError when a folder that is written to, or cleared, is a link: what it leads to is somebody else's."""
    for name in FOLDERS:
        if (folder / name).is_symlink():
            raise OutputError(
                "{folder} is a link, and is not followed", hint="remove the link, or name a new folder", folder=name
            )


def _prepare(folder: Path, force: bool) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise OutputError("{folder} is not empty", hint="name a new folder, or use --force", folder=folder.name)
    no_links(folder)
    for old in folder.glob("*.part"):
        old.unlink()
    for name, pattern in (("access", "*.parquet"), ("work", "*.parquet"), ("keyuse", "*.parquet"), ("web", "*.log")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for old in [*(folder / name).glob(pattern), *(folder / name).glob("*.part")]:
            old.unlink()


def _whole(path: Path, fill: Callable[[Path], Any]) -> None:
    """A file that has its name only when it is whole."""
    part = path.with_name(path.name + ".part")
    try:
        fill(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _write_day(day: Day, world: World, folder: Path) -> None:
    name = str(date(1970, 1, 1) + timedelta(days=(day.midnight + world.offset_us) // DAY_US))
    looks, work = day.access, day.work
    _whole(
        folder / "access" / f"{name}.parquet",
        lambda part: _parquet(part, ACCESS_FILE, looks.count, lambda at: access_table(looks.take(at), world)),
    )
    _whole(
        folder / "work" / f"{name}.parquet",
        lambda part: _parquet(part, WORK_FILE, work.count, lambda at: work_table(work.take(at), world)),
    )
    keys = day.keys
    table = pa.Table.from_arrays(
        [
            _times(keys["time"]),
            words(keys["system"], SYSTEMS).cast(pa.string()),
            pa.array(keys["values"]),
            pa.array(keys["logged"]),
        ],
        schema=KEY_USE,
    )
    _whole(folder / "keyuse" / f"{name}.parquet", lambda part: pq.write_table(table, part))
    _whole(folder / "web" / f"{name}.log", lambda part: _log(part, day.web, world))


def _parquet(path: Path, schema: pa.Schema, count: int, table: Callable[[npt.NDArray[np.int64]], pa.Table]) -> None:
    """``count`` rows in row groups, each made by ``table`` from its positions, so that a big day needs little memory.

    Scattered numbers do not get smaller, and nobody prunes by them: no compression of them, statistics of times only.
    """
    with pq.ParquetWriter(
        path,
        schema,
        compression={name: "none" if name == "event_id" else "lz4" for name in schema.names},
        use_dictionary=[field.name for field in schema if field.type == _TEXT],
        write_statistics=["event_time", "received_at"],
    ) as writer:
        for first in range(0, max(count, 1), _ROW_GROUP):
            writer.write_table(table(np.arange(first, min(first + _ROW_GROUP, count))))


def _log(path: Path, requests: rows.WebRows, world: World) -> None:
    with path.open("wb") as file:
        for first in range(0, requests.count, _LINES_A_TIME):
            part = requests.take(np.arange(first, min(first + _LINES_A_TIME, requests.count)))
            ended = pc.binary_join_element_wise(lines(part, world), "\n", "")
            file.write(memoryview(ended.buffers()[2])[: _end(ended)])


def _end(texts: pa.StringArray) -> int:
    return int(np.frombuffer(texts.buffers()[1], np.int32)[len(texts)])
