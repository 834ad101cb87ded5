"""The register of accounts as carriers have it: who has an account, of which role, where, since when, until when.

::

    >>> raw = pa.record_batch({"工号": ["C1", "李雷"], "岗位": ["快递员", "客服"], "班次开始": ["08:30", ""]})
    >>> table, rejects = take_accounts(RawBatch(raw, np.array([2, 3]), []), "staff.csv", 480)
    >>> table.select(["actor", "role", "shift_start"]).to_pylist(), [reject.code for reject in rejects]
    ([{'actor': 'C1', 'role': 'courier', 'shift_start': 510}], ['actor.malformed'])

No names of people are read: an account is a staff number. ``owner`` is another account's, or a person's number, where one
person has several accounts. Shifts are ``HH:MM`` or minutes of the local day.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import HeaderError
from parcelveil.event import ACCOUNT
from parcelveil.intake import cells
from parcelveil.intake.headers import fold, shown_names
from parcelveil.intake.work import read_times, timestamps
from parcelveil.watch.access_cells import ACCOUNT as ACCOUNT_PATTERN
from parcelveil.watch.access_cells import PHONE, by_distinct, numbers
from parcelveil.watch.mapping import Mapping, read_word, spellings
from parcelveil.waybill import RawBatch, Reject

#: Reject codes and what they tell the person.
REASONS = {
    "actor.missing": "the row names no account",
    "actor.malformed": "the account has characters that accounts do not have, like those of names, or is a phone",
    "role.missing": "the account has no role",
    "time.malformed": "a date of the account cannot be read",
    "shift.malformed": "the shift is neither HH:MM nor minutes of the day",
}
_TEXTS = ("actor", "role", "outlet", "region", "owner")
_TIMES = ("opened_at", "changed_at", "leaves_at")
_SHIFTS = ("shift_start", "shift_end")
_LONGEST_ROLE = 32
_LONGEST_SHIFT = 2 * 1440


def take_accounts(raw: RawBatch, source: str, offset_minutes: int) -> tuple[pa.Table, list[Reject]]:
    """Rows of a register as a table of schema ACCOUNT, and the rows that are no account.

    Raises HeaderError, with the columns seen, when there is none for the account.
    """
    names = raw.batch.schema.names
    folded = {fold(name): name for name in reversed(names)}
    found = {
        field.name: folded[known[0]]
        for field in ACCOUNT
        if (known := [word for word in spellings("register", field.name) if word in folded])
    }
    if "actor" not in found:
        raise HeaderError(
            "{file} is no register of accounts: no column for actor among {columns}",
            hint="name it actor (docs/watch-inputs.md)",
            file=source,
            columns=shown_names(names),
        )
    size, offset = raw.batch.num_rows, offset_minutes
    fault = np.zeros(size, np.int8)
    codes = tuple(REASONS)

    def reject(flags: pa.BooleanArray | np.ndarray, code: str) -> None:
        marked = np.asarray(flags)
        fault[marked & (fault == 0)] = codes.index(code) + 1

    def text(name: str) -> pa.StringArray:
        if name not in found:
            return pa.nulls(size, pa.string())
        return cells.clean(cells.as_text(raw.batch[found[name]], found[name], personal=False)[0], null_words=True)

    columns = {name: text(name) for name in _TEXTS}
    actors = columns["actor"]
    reject(actors.is_null(), "actor.missing")
    sound = pc.and_not(pc.match_substring_regex(actors, ACCOUNT_PATTERN), pc.match_substring_regex(actors, PHONE))
    reject(pc.invert(sound).fill_null(False), "actor.malformed")
    words = Mapping()
    columns["role"] = by_distinct(columns["role"], lambda role: read_word("role", role, words) or _role(role))
    reject(columns["role"].is_null(), "role.missing")
    for name in _TIMES:
        field = ACCOUNT.field(name)
        if name in found and pa.types.is_timestamp(raw.batch[found[name]].type):
            times, bad = timestamps(raw.batch[found[name]], offset)
            given = np.asarray(raw.batch[found[name]].is_valid())
        else:
            values = pc.replace_substring_regex(text(name), r"^(\d{4}[-/.]?\d\d?[-/.]?\d\d?)$", r"\1 00:00:00")
            times, bad = read_times(values, offset)
            given = np.asarray(values.is_valid())
        reject(bad & given, "time.malformed")
        columns[name] = pa.array(times, mask=~given | bad).cast(field.type)
    for name in _SHIFTS:
        minutes, bad = numbers(text(name), _minutes)
        reject(bad, "shift.malformed")
        columns[name] = pa.array(minutes.astype(np.int16), mask=np.asarray(text(name).is_null()) | bad)
    keep = np.flatnonzero(fault == 0)
    table = pa.table([columns[field.name] for field in ACCOUNT], schema=ACCOUNT).take(pa.array(keep))
    rejects = [
        Reject(source, int(raw.rows[at]), None, None, codes[fault[at] - 1], REASONS[codes[fault[at] - 1]])
        for at in np.flatnonzero(fault).tolist()
    ]
    return table, [*raw.rejects, *rejects]


def _role(text: str) -> str | None:
    """A role that is in no list, as it is; None for what is too long for one, or holds somebody's number."""
    text = text.strip().lower()
    return text if len(text) <= _LONGEST_ROLE and not re.search(r"\d{5}|[@\x00-\x1f]", text) else None


def _minutes(text: str) -> int | None:
    if match := re.fullmatch(r"(\d{1,2}):(\d\d)(?::\d\d(?:\.0+)?)?", text, re.ASCII):
        found = int(match[1]) * 60 + int(match[2])
    elif re.fullmatch(r"\d{1,4}", text, re.ASCII):
        found = int(text)
    else:
        return None
    return found if found <= _LONGEST_SHIFT else None
