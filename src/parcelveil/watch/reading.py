"""Reads the events that ``watch`` is given: files in order, each row coded, and an account of all that was odd.

::

    reading = Reading(EventFiles(), Coder(key), now=now)
    reading.accounts(["accounts.parquet"])
    for events in reading.events(access=["access/"], work=["work/"]):
        events.accesses, events.works            # CODED_ACCESS and CODED_WORK, either may be empty
    print(reading.summary)

Files are read in the order of the date in their names, or of the time of their first row; work before looks. Rows need
not be in order. What a :class:`Summary` counts never stops the run: events that came before (the same ``event_id`` within two
days), rows that are no event, clocks that are off, accounts that the register does not have, days without any work: on
those nothing explains a look, and that says nothing about who looked.

What does stop it, with one clear line: a file that is damaged, a file whose columns fit nothing, and no looks at all. Files are opened
by an :class:`Opener` (:class:`parcelveil.adapt.event_files.EventFiles`), so that this module knows no disk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from parcelveil.errors import HeaderError, InputError
from parcelveil.event import ACCESS, ACCOUNT, WORK
from parcelveil.intake.work import take_work
from parcelveil.intake.work_words import recognise_work
from parcelveil.watch.coded import CODED_ACCESS, CODED_WORK, DAY, Accounts, Coder
from parcelveil.watch.daily import day_of
from parcelveil.watch.mapped import AccessRows, TakenAccess
from parcelveil.watch.mapping import Mapping
from parcelveil.watch.own_rows import ENCODED, OwnRows, fits
from parcelveil.watch.recent import Recent
from parcelveil.watch.register import take_accounts
from parcelveil.watch.weblog import PathRule, WebLog
from parcelveil.waybill import RawBatch, Reject

#: Of days with less work than this share of a usual day the summary warns: work events are missing.
THIN = 0.1
_DATED = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")


class EventSource(Protocol):
    """One open file."""

    name: str
    schema: pa.Schema

    def batches(self) -> Iterator[RawBatch]:
        """Its rows, in order."""


class Opener(Protocol):
    """Finds and opens files."""

    def find(self, paths: Sequence[str], *, logs: bool = False) -> list[str]:
        """The files that files, folders and globs mean; with ``logs`` all files of folders, which are of web logs."""

    def size(self, path: str) -> int | None:
        """Bytes on disk; None for a pipe."""

    def open(self, path: str, *, encoded: Collection[str] = ()) -> AbstractContextManager[EventSource]:
        """Open one; text columns in ``encoded`` may come dictionary-encoded."""

    def blocks(self, path: str) -> Iterator[bytes]:
        """The decompressed bytes of one."""


class Events(NamedTuple):
    """Coded events of one part of a file."""

    source: str
    accesses: pa.Table
    works: pa.Table


class Summary(msgspec.Struct, kw_only=True):
    """What was read, in numbers. Days are ISO dates, local."""

    files: int = 0
    empty_files: int = 0
    accesses: int = 0
    works: int = 0
    accounts: int = 0
    requests: int = 0  # of web logs
    duplicates: int = 0  # events that came before
    rejected: dict[str, int] = msgspec.field(default_factory=dict)  # rows that are no event, by reason
    ignored: dict[str, int] = msgspec.field(default_factory=dict)  # rows of access logs that are no look
    clocks_off: int = 0  # events that count at the time they were received
    unordered: int = 0  # rows received before one that stands earlier in the same file
    customers: int = 0  # looks of the customer himself
    unknown_accounts: int = 0  # accounts that looked and are not in the register, where there is one
    unknown_accesses: int = 0  # their looks
    odd_lines: int = 0  # lines of web logs that are no request
    days: int = 0  # with looks
    first_day: str = ""
    last_day: str = ""
    days_without_work: list[str] = msgspec.field(default_factory=list)
    days_of_little_work: list[str] = msgspec.field(default_factory=list)  # less than a tenth of a usual day's


class Reading:
    """See the module. ``rejects`` is told of each row that is no event; ``now`` (microseconds since 1970) bounds times."""

    def __init__(
        self,
        opener: Opener,
        coder: Coder,
        *,
        mapping: Mapping | None = None,
        now: int | None = None,
        rejects: Callable[[list[Reject]], None] = lambda _: None,
    ) -> None:
        self.coder, self.mapping = coder, mapping
        self.register: Accounts | None = None
        self._opener, self._now, self._rejects = opener, now, rejects
        self._summary = Summary()
        self._rejected: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._seen = {"access": Recent(), "work": Recent()}
        self._days: dict[str, Counter[int]] = {"access": Counter(), "work": Counter()}
        self._looks = np.zeros(0, np.int64)  # of each account

    def accounts(self, paths: Sequence[str]) -> Accounts:
        """Read the register of accounts. Raises InputError when a file is damaged or is no register."""
        parts = []
        for path in self._opener.find(paths):
            with self._opener.open(path) as source:
                for raw in source.batches():
                    table, rejects = take_accounts(raw, source.name, self.coder.offset_minutes)
                    self._told(rejects)
                    parts.append(table)
        register = self.coder.accounts(pa.concat_tables(parts) if parts else ACCOUNT.empty_table())
        self.register = register
        self._summary.accounts = int(register.known.sum())
        return register

    def own(self, batch: pa.RecordBatch) -> Iterator[Events]:
        """The coded looks of a batch of ACCESS that is of no file."""
        yield self._counted("", "access", self.coder.accesses(batch))

    def events(self, access: Sequence[str], work: Sequence[str] = (), *, needed: bool = True) -> Iterator[Events]:
        """The coded events of files, folders and globs; ``needed``: without a look they are an error.

        Raises InputError; see the module.
        """
        files = [*self._files(work, "work"), *self._files(access, "access")]
        any_access = False
        for _, kind, path in sorted(files, key=lambda file: (file[0], file[1] == "access")):
            for events in self._file(path, kind):
                any_access |= events.accesses.num_rows > 0
                yield events
        if needed and not any_access:
            raise InputError(
                "there is no access event in {count} files",
                hint="see docs/watch-inputs.md; the rejects say why rows were not taken",
                count=len(files),
            )

    def requests(
        self, paths: Sequence[str], rules: Sequence[PathRule] | None = None
    ) -> Iterator[tuple[WebLog, pa.Table]]:
        """The requests of web logs in their order, with the log that they are of."""
        for _, _, path in sorted(self._files(paths, "web")):
            log = WebLog(self.coder, rules)
            self._summary.files += 1
            for block in self._opener.blocks(path):
                requests = log.take(block)
                self._summary.requests += requests.num_rows
                yield log, requests
            last = log.end()
            self._summary.requests += last.num_rows
            self._summary.odd_lines += log.odd
            yield log, last

    @property
    def summary(self) -> Summary:
        """What was read so far."""
        days, works = self._days["access"], self._days["work"]
        usual = float(np.median(list(works.values()))) if works else 0.0
        bare = [day for day in sorted(days) if not works[day]]
        thin = [day for day in sorted(days) if 0 < works[day] < usual * THIN]
        unknown = np.zeros(0, np.int64)
        if self.register is not None:
            unknown = self._looks[~self.register.sized(len(self._looks)).known]
        return msgspec.structs.replace(
            self._summary,
            rejected=dict(self._rejected.most_common()),
            ignored=dict(self._ignored.most_common()),
            clocks_off=self.coder.clocks_off,
            customers=self.coder.customers + self._rejected["actor.customer"],
            unknown_accounts=int((unknown > 0).sum()),
            unknown_accesses=int(unknown.sum()),
            days=len(days),
            first_day=_iso(min(days)) if days else "",
            last_day=_iso(max(days)) if days else "",
            days_without_work=[_iso(day) for day in bare],
            days_of_little_work=[_iso(day) for day in thin],
        )

    # -- files -------------------------------------------------------------------------------------------------------

    def _files(self, paths: Sequence[str], kind: str) -> list[tuple[int, str, str]]:
        """Each file with the time that it begins at."""
        files = []
        for path in self._opener.find(paths, logs=kind == "web") if paths else []:
            if self._opener.size(path) == 0:
                self._summary.empty_files += 1
            else:
                files.append((self._begins(path, kind), kind, path))
        return files

    def _begins(self, path: str, kind: str) -> int:
        """The day in the file's name, else the time of its first row; microseconds since 1970."""
        if path == "-":
            return np.iinfo(np.int64).max  # a pipe can be read only once: last
        if match := _DATED.search(re.split(r"[/\\]", path)[-1]):
            try:
                return (date(*map(int, match.groups())) - date(1970, 1, 1)).days * DAY
            except ValueError:
                pass
        if kind == "web":
            first = WebLog(self.coder).take(next(self._opener.blocks(path), b""))["time"]
            return int(first[0].as_py()) if len(first) else 0
        with self._opener.open(path, encoded=ENCODED) as source:
            taker = self.taker(source, kind)
            for raw in source.batches():
                times = taker(raw).batch["event_time"].drop_null()
                if len(times):
                    return int(times[0].cast(pa.int64()).as_py())
        return 0

    def part(
        self, source: EventSource, kind: str, taker: Callable[[RawBatch], TakenAccess] | None = None
    ) -> Iterator[Events]:
        """The coded events of an open file, or of a part of one. ``kind``: access or work; ``taker``: see :meth:`taker`."""
        newest = np.iinfo(np.int64).min
        taker = taker or self.taker(source, kind)
        for raw in source.batches():
            taken = taker(raw)
            self._told(taken.rejects)
            self._ignored.update(taken.ignored)
            coded = self.coder.accesses(taken.batch) if kind == "access" else self.coder.works(taken.batch)
            received = coded["received"].to_numpy()
            if self._now is not None and (ahead := received > self._now + DAY).any():  # of our schema: rejected already
                self._rejected["received_at.future"] += int(ahead.sum())
                coded, received = coded.filter(pa.array(~ahead)), received[~ahead]
            before = np.maximum.accumulate(np.concatenate([[newest], received]))
            self._summary.unordered += int((received < before[:-1]).sum())
            newest = before[-1]
            yield self._counted(source.name, kind, coded)

    def _file(self, path: str, kind: str) -> Iterator[Events]:
        self._summary.files += 1
        with self._opener.open(path, encoded=ENCODED) as source:
            yield from self.part(source, kind)

    def _counted(self, source: str, kind: str, coded: pa.Table) -> Events:
        """The coded rows without those that came before, counted."""
        fresh = self._seen[kind].before(coded["id"].to_numpy(), coded["received"].to_numpy()) == 0
        if not fresh.all():
            self._summary.duplicates += int((~fresh).sum())
            coded = coded.filter(pa.array(fresh))
        days, counts = np.unique(day_of(coded["time"].to_numpy(), self.coder.offset_minutes), return_counts=True)
        self._days[kind].update(dict(zip(days.tolist(), counts.tolist(), strict=True)))
        if kind == "work":
            self._summary.works += coded.num_rows
            return Events(source, CODED_ACCESS.empty_table(), coded)
        self._summary.accesses += coded.num_rows
        looks = np.bincount(coded["actor"].to_numpy(), minlength=len(self.coder.names["actor"]))
        looks[: len(self._looks)] += self._looks
        self._looks = looks
        return Events(source, coded, CODED_WORK.empty_table())

    def taker(self, source: EventSource, kind: str) -> Callable[[RawBatch], TakenAccess]:
        """What takes the rows of a file: ours as they are, others through the mapping or the words of headers."""
        names = source.schema.names
        schema = ACCESS if kind == "access" else WORK
        if fits(names, schema):
            return OwnRows(source.name, schema, now=self._now).take
        if kind == "access":
            try:
                return AccessRows(
                    source.name, names, self.coder.numbering, self.mapping, offset_minutes=self.coder.offset_minutes
                ).take
            except HeaderError as error:
                raise _of_file(source.name, error) from None
        try:
            recognise_work(names)
        except HeaderError as error:
            raise _of_file(source.name, error) from None
        return lambda raw: self._work(raw, source.name)

    def _work(self, raw: RawBatch, source: str) -> TakenAccess:
        taken = take_work(raw, source, utc_offset_minutes=self.coder.offset_minutes)
        return TakenAccess(taken.batch, taken.rows, taken.rejects, Counter())

    def _told(self, rejects: list[Reject]) -> None:
        if rejects:
            self._rejected.update(reject.code for reject in rejects)
            self._rejects(rejects)


def _of_file(name: str, error: HeaderError) -> HeaderError:
    """The same error, naming the file."""
    return HeaderError("{file}: {why}", hint=error.hint.replace("{", "(").replace("}", ")"), file=name, why=str(error))


def _iso(day: int) -> str:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day).isoformat()
