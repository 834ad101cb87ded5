"""Reads a list of staff: a table whose headers are English or Chinese, as personnel departments export it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from parcelveil.adapt.source import Source, open_source
from parcelveil.errors import HeaderError, InputError
from parcelveil.intake import cells
from parcelveil.intake.headers import fold
from parcelveil.reveal.scenes import Scenes
from parcelveil.reveal.staff import Hired

_HEADERS = {
    "number": "number, staff number, staff no, staff id, employee id, employee no, 工号, 员工号, 员工编号, 人员编号",
    "roles": "roles, role, 角色, 岗位角色",
    "outlets": "outlets, outlet, 网点, 网点编号, 网点代码, 所属网点",
    "active": "active, 在岗, 在职, 是否在岗, 是否在职",
}
_YES = {"", "yes", "y", "true", "1", "是", "在岗", "在职"}
_NO = {"no", "n", "false", "0", "否", "离岗", "离职", "停用"}
_BETWEEN = re.compile(r"[\s;；、,，]+")
_MOST = 1_000_000


class _Line(NamedTuple):
    """A row of the list, with its number in the file."""

    row: int
    number: str
    roles: str
    outlets: str
    active: str


def read_staff(file: str, scenes: Scenes) -> list[Hired]:
    """Everybody in ``file``. Roles may be written as the scenes' Chinese or English names of them too.

    Raises InputError for the first row that cannot be taken: a list of staff is taken whole or not at all.
    """
    named = {name: role for role, of in scenes.roles.items() for name in (of.zh, of.en)}
    hired: dict[str, Hired] = {}
    with open_source(file) as source:
        for line in _lines(source):
            if line.number in hired:
                raise _wrong(source, line.row, "{file}, row {row}: this staff number stands there twice", "strike one")
            if len(hired) >= _MOST:
                raise InputError("{file} has more than {most} rows", hint="split it", file=source.name, most=_MOST)
            hired[line.number] = _hired(source, line, named)
    if not hired:
        raise InputError("{file} names nobody", hint="one row for each member of staff", file=file)
    return list(hired.values())


def _lines(source: Source) -> Iterator[_Line]:
    columns = _columns(source)
    for raw in source.batches():
        if raw.rejects:
            first = raw.rejects[0]
            raise _wrong(source, first.row, "{file}, row {row}: it cannot be read ({code})", "correct it", first.code)
        texts = {}
        for ours, theirs in columns.items():
            column = raw.batch.column(raw.batch.schema.names.index(theirs))
            texts[ours] = cells.clean(cells.as_text(column, theirs, personal=False)[0], apostrophe=True).to_pylist()
        for place, row in enumerate(raw.rows):
            line = _Line(int(row), *((texts[name][place] or "" if name in texts else "") for name in _HEADERS))
            if any(line[1:]):
                yield line


def _columns(source: Source) -> dict[str, str]:
    theirs = {fold(name): name for name in reversed(source.schema.names)}
    found = {
        ours: theirs[name]
        for ours, names in _HEADERS.items()
        for name in reversed([fold(word) for word in names.split(", ")])
        if name in theirs
    }
    if not {"number", "roles"} <= set(found):
        raise HeaderError(
            "{file} has no columns number and roles",
            hint="columns: number,roles,outlets,active, or 工号,角色,网点,在岗",
            file=source.name,
        )
    return found


def _hired(source: Source, line: _Line, named: Mapping[str, str]) -> Hired:
    active = line.active.lower()
    if not line.number:
        raise _wrong(source, line.row, "{file}, row {row}: no staff number", "every row needs one")
    if active not in _YES | _NO:
        raise _wrong(source, line.row, "{file}, row {row}: active is yes or no", "是, 否 and an empty cell will do too")
    whole = named.get(line.roles, line.roles)  # "outlet clerk" is one role, for all its blank
    roles = frozenset(named.get(word, word) for word in _words(whole))
    if not roles:
        raise _wrong(source, line.row, "{file}, row {row}: no role", "'parcelveil scenes list --roles' shows them")
    return Hired(line.number, roles, frozenset(_words(line.outlets)), active in _YES)


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN.split(text) if word]


def _wrong(source: Source, row: int, template: str, hint: str, code: str = "") -> InputError:
    return InputError(template, hint=hint, file=source.name, row=row, code=code)
