"""Which column of a source is which column of a waybill.

::

    >>> found = recognise(["物流单号", "*收件人姓名（必填）", "收件人 手机", "收件人电话", "收件人地址", "重量(克)", "店铺"])
    >>> found.columns["to_name"], found.columns["to_phone"]
    (('*收件人姓名（必填）',), ('收件人 手机', '收件人电话'))
    >>> "to_phone" in found.coalesce, found.one_string, found.units["weight_g"], found.unrecognised
    (True, frozenset({'to'}), 'g', ('店铺',))

Spellings are data (``headers.toml``) and are compared after folding: compatibility forms (NFKC), case, blanks and
punctuation do not matter, nor, when nothing matches otherwise, do remarks in brackets. What the spellings do not
know, a mapping file says::

    [columns]
    to_name = "Empfänger"                    # one source column
    to_address = ["Strasse", "Hausnummer"]   # several: joined with a blank
    to_phone = ["Mobil", "Telefon"]          # phones and the like: the first that is not blank
    [constants]
    from_company = "Nordwind GmbH"
    [options]
    country = "DE"

Only names of columns are looked at here, never a value.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from parcelveil.errors import AlreadySealedError, HeaderError
from parcelveil.waybill import PARTIES, SCHEMA_VERSION, WAYBILL, kind_of, mask_name, personal_fields, pseudonym_name

#: Targets whose several sources are read side by side into one text; of all others the first that is not blank counts.
_JOINED_KINDS = frozenset({"name", "company", "address", "goods", "note"})
_ALTERNATIVES = frozenset({"phone", "email"})
_AREA_PARTS = ("region", "city", "district")
_UNIT = re.compile(r"^(.+?)[\s_/\-(\[【]*(kg|kgs|千克|公斤|g|克|grams?|lbs?|oz|元|分)[)\]】\s]*$")
_UNITS = {"kgs": "kg", "千克": "kg", "公斤": "kg", "克": "g", "gram": "g", "grams": "g", "lbs": "lb"}
_UNITS |= {"元": "major", "分": "minor"}
_DROPPED = re.compile(r"[\W_]+")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】|<[^<>]*>|\{[^{}]*\}")
#: A run of digits this long is a number of somebody or something, not a column's name.
_NUMBERED = re.compile(r"\d{7}|\d{3}[- ]\d{4}|@")
_SHOWN_NAMES = 60


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """What the columns of one source are.

    ``columns`` maps a waybill column to its source columns, in order of preference. Several sources of a target in
    ``coalesce`` are alternatives (row by row the first that is not blank); those of any other target are joined with
    a blank. ``one_string`` holds the parties (``"from"``, ``"to"``) whose address still has to be split.
    ``units``: ``"kg"``, ``"g"``, ``"lb"``, ``"oz"`` for a weight, ``"major"`` or ``"minor"`` for money.
    """

    columns: dict[str, tuple[str, ...]]
    coalesce: frozenset[str]
    one_string: frozenset[str]
    unrecognised: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    profile: str | None = None
    line_items: bool = False
    constants: dict[str, str] = {}
    units: dict[str, str] = {}
    country: str | None = None


class _Spellings(NamedTuple):
    targets: dict[str, tuple[str, int]]  # folded spelling -> (target or part of a target, rank: lower is preferred)
    amended: dict[str, str]
    line_items: frozenset[str]
    profiles: tuple[dict[str, Any], ...]


def fold(name: str, *, remarks: bool = True) -> str:
    """``name`` as spellings are compared; without what stands in brackets if ``remarks`` is false.

    >>> fold("*Ship-Address 1："), fold("货品总价（元）", remarks=False)
    ('shipaddress1', '货品总价')
    """
    text = unicodedata.normalize("NFKC", name[:1000]).casefold()
    if not remarks:
        text = _BRACKETS.sub(" ", text)
    return _DROPPED.sub("", text)


def recognise(names: Sequence[str], mapping: Mapping[str, object] | None = None) -> Recognised:
    """Recognise a source's column ``names``; ``mapping`` (a parsed mapping file) goes before the spellings.

    Raises HeaderError when there is neither a waybill number nor an order number, or when the mapping names an
    unknown target, source or option; AlreadySealedError when the columns are those of sealed waybills.
    """
    _refuse_sealed(names)
    spellings = _spellings()
    search = _Search(names)
    mapped, constants, country = _read_mapping(mapping or {}, search)
    for target, sources in mapped.items():
        search.settle(target, sources)
    own = _own_names(names)
    profile = SCHEMA_VERSION if own else None
    items = False
    if own:
        for name in names:
            if name in WAYBILL.names:
                search.settle(name, (name,))
    else:
        present = {fold(name) for name in names}
        for shape in spellings.profiles:
            if all(fold(name) in present for name in shape["signature"]):
                profile, items = shape["name"], shape.get("line_items", False)
                search.apply(shape)
                break
    search.by_spelling(spellings)
    columns = search.finish(spellings)
    notes = search.notes
    if "waybill_no" not in columns and "waybill_no" not in constants:
        if "order_ref" not in columns:
            raise _nothing_to_go_by(names)
        columns["waybill_no"] = columns["order_ref"]
        notes.append("no waybill number column; the order number stands in")
        items = True
    for target in constants:
        columns.pop(target, None)
    items = items or any(fold(name) in spellings.line_items for name in names)
    taken = {source for sources in columns.values() for source in sources}
    return Recognised(
        columns={field.name: columns[field.name] for field in WAYBILL if field.name in columns},
        coalesce=frozenset(target for target in columns if target in search.alternatives or not _is_joined(target)),
        one_string=frozenset(side for side in PARTIES if _is_one_string(side, columns, constants)),
        unrecognised=tuple(name for name in dict.fromkeys(names) if name not in taken),
        notes=tuple(notes),
        profile=profile,
        line_items=items,
        constants=constants,
        units={target: unit for target, unit in search.units.items() if target in columns},
        country=country,
    )


class _Search:
    """The columns found so far."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        self.found: dict[str, tuple[str, ...]] = {}
        self.ranked: dict[str, list[tuple[int, int, str]]] = {}
        self.free = set(self.names)
        self.units: dict[str, str] = {}
        self.alternatives: set[str] = set()
        self.notes: list[str] = []
        for name in self.names:
            if sum(name == other for other in names) > 1:
                self.notes.append(f"column {_shown(name)} occurs more than once; the first is taken")

    def settle(self, target: str, sources: tuple[str, ...]) -> None:
        """Give ``sources`` to ``target`` for good, unless it has some already."""
        if target not in self.found:
            self.found[target] = sources
            self.free.difference_update(sources)
            if target in ("weight_g", "declared_value_minor", "cod_minor"):
                self.units[target] = _unit_of(sources[0], target)

    def apply(self, shape: dict[str, Any]) -> None:
        by_key = {fold(name): name for name in reversed(self.names)}
        for target, wanted in shape.get("columns", {}).items():
            sources = tuple(by_key[fold(name)] for name in wanted if by_key.get(fold(name)) in self.free)
            if sources:
                self.settle(target, sources)
        for name in list(self.free):
            if any(fnmatch.fnmatchcase(fold(name), pattern) for pattern in shape.get("ignore", ())):
                self.free.discard(name)

    def by_spelling(self, spellings: _Spellings) -> None:
        for position, name in enumerate(self.names):
            if name in self.free and (hit := _look_up(name, spellings.targets)):
                self.ranked.setdefault(hit[0], []).append((hit[1], position, name))
        for ranked in self.ranked.values():
            ranked.sort()

    def finish(self, spellings: _Spellings) -> dict[str, tuple[str, ...]]:
        for side in PARTIES:
            self._put_together(side)
        for target, ranked in self.ranked.items():
            if target not in WAYBILL.names or target in self.found:
                continue
            sources = tuple(name for _, _, name in ranked)
            if target == "note" or _kind(target) in _ALTERNATIVES:
                self.settle(target, sources)
                continue
            self.settle(target, sources[:1])
            if kind_of(WAYBILL.field(target)) or target in ("waybill_no", "order_ref") or _tied(ranked):
                for other in sources[1:]:
                    self.notes.append(f"{target}: column {_shown(sources[0])} is taken, {_shown(other)} is not")
        for name in self.names:
            target = spellings.amended.get(fold(name)) or spellings.amended.get(fold(name, remarks=False)) or ""
            if name in self.free and len(self.found.get(target, ())) == 1:
                self.found[target] = (name, *self.found[target])
                self.free.discard(name)
                self.alternatives.add(target)
        return self.found

    def _put_together(self, side: str) -> None:
        """First and last name make a name; lines of an address, or area and address, make an address."""

        def best(part: str) -> tuple[str, ...]:
            return tuple(name for _, _, name in self.ranked.get(f"{side}_{part}", [])[:1])

        if not best("name") and best("first_name"):
            self.settle(f"{side}_name", best("first_name") + best("last_name"))
        elif not best("name") and best("last_name"):
            self.settle(f"{side}_name", best("last_name"))
        lines = (best("address1") or best("address")) + best("address2") + best("address3")
        whole = best("address")
        if whole and (best("address1") or not best("address2")):
            lines = whole
        if not best("region") and not best("city"):
            lines = best("area") + lines
        if lines:
            self.settle(f"{side}_address", lines)


def _kind(target: str) -> str | None:
    return kind_of(WAYBILL.field(target))


def _is_joined(target: str) -> bool:
    return _kind(target) in _JOINED_KINDS


def _tied(ranked: list[tuple[int, int, str]]) -> bool:
    return len(ranked) > 1 and ranked[0][0] == ranked[1][0]


def _is_one_string(side: str, columns: Mapping[str, object], constants: Mapping[str, str]) -> bool:
    given = {*columns, *constants}
    return f"{side}_address" in given and not any(f"{side}_{part}" in given for part in _AREA_PARTS)


def _own_names(names: Sequence[str]) -> bool:
    """Whether the source has our own column names, so that ``product`` and the like mean what they mean here."""
    own = sum(name in WAYBILL.names for name in names)
    return "waybill_no" in names and own * 2 > len(names)


def _look_up(name: str, index: Mapping[str, tuple[str, int]]) -> tuple[str, int] | None:
    for key in (fold(name), fold(name, remarks=False)):
        if key in index:
            return index[key]
    unit = _UNIT.match(unicodedata.normalize("NFKC", name[:1000]).casefold())
    if unit and (hit := index.get(fold(unit[1]))) and hit[0] in ("weight_g", "declared_value_minor", "cod_minor"):
        return hit
    return None


def _unit_of(source: str, target: str) -> str:
    default = "kg" if target == "weight_g" else "major"
    if source == target:
        return "g" if target == "weight_g" else "minor"
    unit = _UNIT.match(unicodedata.normalize("NFKC", source[:1000]).casefold())
    named = _UNITS.get(unit[2], unit[2]) if unit else default
    return named if (named in ("major", "minor")) == (default == "major") else default


def _read_mapping(
    mapping: Mapping[str, object], search: _Search
) -> tuple[dict[str, tuple[str, ...]], dict[str, str], str | None]:
    for table, content in mapping.items():
        if table not in ("columns", "constants", "options"):
            raise HeaderError(
                "the mapping has an unknown table {table}",
                hint="its tables are [columns], [constants] and [options]",
                table=_shown(str(table)),
            )
        if not isinstance(content, Mapping):
            raise HeaderError("{table} in the mapping is not a table", hint="write [{table}]", table=table)
    tables: Any = mapping
    columns: dict[str, tuple[str, ...]] = {}
    for target, wanted in tables.get("columns", {}).items():
        _known_target(target)
        sources = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(sources, list) or not sources or not all(isinstance(source, str) for source in sources):
            raise HeaderError(
                "the mapping of {target} is neither a column name nor a list of them",
                hint='write {target} = "column" or {target} = ["column", "column"]',
                target=target,
            )
        columns[target] = tuple(dict.fromkeys(_known_source(source, search.names) for source in sources))
    constants: dict[str, str] = {}
    for target, value in tables.get("constants", {}).items():
        _known_target(target)
        if isinstance(value, bool) or not isinstance(value, str | int) or target == "waybill_no" or target in columns:
            raise HeaderError(
                "{target} cannot be that constant",
                hint="a constant is a text or a whole number of a column that is not mapped; a waybill number is none",
                target=target,
            )
        constants[target] = str(value)
    options = dict(tables.get("options", {}))
    country = options.pop("country", None)
    if options or not (country is None or (isinstance(country, str) and re.fullmatch("[A-Za-z]{2}", country))):
        raise HeaderError(
            "the mapping has an unusable option {option}",
            hint='the options are: country = "CN" (two letters)',
            option=_shown(str(next(iter(options), "country"))),
        )
    return columns, constants, country.upper() if country else None


def _known_target(target: str) -> None:
    if target not in WAYBILL.names:
        raise HeaderError(
            "the mapping names {target}, which is no waybill column",
            hint="{near}",
            target=_shown(target),
            near=_near(target, WAYBILL.names),
        )


def _known_source(source: str, names: Sequence[str]) -> str:
    if source in names:
        return source
    for name in names:
        if fold(name) == fold(source) != "":
            return name
    raise HeaderError(
        "the mapping names the column {source}, which the source does not have",
        hint="{near}",
        source=_shown(source),
        near=_near(source, names),
    )


def _near(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:200], [other[:200] for other in names[:2000]], n=3, cutoff=0.5)
    return f"did you mean {', '.join(map(_shown, close))}?" if close else f"there are: {shown_names(names)}"


def _refuse_sealed(names: Sequence[str]) -> None:
    marks = {made(field.name) for field in personal_fields(WAYBILL) for made in (mask_name, pseudonym_name)}
    for name in names:
        if name in marks:
            raise AlreadySealedError(
                "the column {column} is one of sealed waybills", hint="seal takes clear waybills", column=name
            )


def _nothing_to_go_by(names: Sequence[str]) -> HeaderError:
    # A source without a header row has somebody's data here; then no name may be shown.
    if any(_NUMBERED.search(unicodedata.normalize("NFKC", name)) for name in names):
        return HeaderError(
            "the first row looks like data, not like column names", hint="add a header row, or choose its row"
        )
    return HeaderError(
        "no column with waybill numbers or order numbers among: {columns}",
        hint="say which column it is with --map (a mapping file, [columns] waybill_no = ...)",
        columns=shown_names(names),
    )


def shown_names(names: Sequence[str]) -> str:
    """``names`` of columns fit for one line of text: short, and without what may be somebody's number."""
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(map(_shown, names[:_SHOWN_NAMES])) or "none") + more


def _shown(name: str) -> str:
    """``name`` fit for one line of text: printable and short, and without what may be somebody's number."""
    text = "".join(char if char.isprintable() else " " for char in name).strip()
    text = text if len(text) <= 60 else text[:57] + "..."
    return "(a number)" if _NUMBERED.search(unicodedata.normalize("NFKC", text)) else text or "(blank)"


@functools.cache
def _spellings() -> _Spellings:
    facts = tomllib.loads(Path(__file__).with_name("headers.toml").read_text(encoding="utf-8"))
    known: dict[str, tuple[str, int]] = {}

    def learn(spelling: str, target: str, rank: int) -> None:
        known.setdefault(fold(spelling), (target, rank))

    for target, spellings in facts["plain"].items():
        for rank, spelling in enumerate(spellings):
            learn(spelling, target, rank)
    for party, sides in facts["sides"].items():
        for part, spellings in facts["parts"].items():
            target = f"{party}_{part}"
            learn(target, target, 0)
            for rank, spelling in enumerate(spellings):
                for side in sides["first"]:
                    learn(side + spelling, target, 1000 + rank)
                for side in sides["second"]:
                    learn(side + spelling, target, 3000 + rank)
        for rank, spelling in enumerate(sides["bare"]):
            learn(spelling, f"{party}_name", 1500 + rank)
    for part, spellings in facts["parts"].items():
        for rank, spelling in enumerate(spellings):
            if spelling not in facts["sided_only"]["parts"]:
                learn(spelling, f"to_{part}", 2000 + rank)
    for field in WAYBILL:
        if field.name != "product":  # elsewhere a product is what is in the parcel
            learn(field.name, field.name, 0)
    amended = {fold(spelling): target for target, spellings in facts["amended"].items() for spelling in spellings}
    items = frozenset(map(fold, facts["line_items"]["columns"]))
    return _Spellings(known, amended, items, tuple(facts["profiles"]))
