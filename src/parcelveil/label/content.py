"""What a sealed batch has to say on labels: its masks and public columns, and nothing else.

::

    job = Job(layout=load("100x180"), station="12", printed=datetime.now().astimezone())
    for content in contents_of(sealed, job, rows):  # a Content, or a Refused with the reason
        ...

No key is used, because none is needed: masks and tokens were made when the waybill was sealed. The sealed values
themselves are not even read. What is not on the allow-list (:mod:`~parcelveil.label.allowed`) is hidden where a label
can do without it, and the label is refused where it cannot.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from parcelveil.errors import InputError, UsageError
from parcelveil.label import allowed
from parcelveil.label.layout import TRANSLATED, Layout
from parcelveil.label.problems import Problem
from parcelveil.seal.mask_address import HIDDEN
from parcelveil.waybill import LABEL_TOKEN, mask_name

_TOKEN_FORM = re.compile(r"[A-Z2-7]{26,128}")
_STATION = re.compile(r"[0-9A-Z](?:[0-9A-Z-]{0,8}[0-9A-Z])?")
_LEVELS = ("region", "city", "district", "town")
_MASKED = ("name", "phone", "address")
_PUBLIC = (
    *("waybill_no", "carrier", "product", "sort_code", "goods_category", "pieces", "weight_g", "pay_type"),
    *("cod_minor", "currency", "route_id", "dest_outlet"),
)
_NEEDED = (
    "waybill_no",
    "sort_code",
    LABEL_TOKEN,
    *(mask_name(f"{side}_{kind}") for side in ("from", "to") for kind in _MASKED),
)


class Content(NamedTuple):
    """One label's texts. ``fields``: name of :data:`~parcelveil.label.layout.FIELDS` -> text, '' for none."""

    row: int
    waybill_no: str
    token: str
    fields: dict[str, str]
    public: frozenset[str]  # what is said of everybody: a clear value that is part of it is no leak


class Refused(NamedTuple):
    """A row that gets no label, and why. ``waybill`` is its number, or ``row 7`` when it has none that can be named."""

    row: int
    waybill: str
    problem: Problem


class Job(NamedTuple):
    """One run of the printer."""

    layout: Layout
    station: str
    printed: datetime
    numbers: Mapping[str, tuple[str, str]] = {}  # waybill -> virtual number, extension
    run: str = ""  # some letters that tell this run from another one of the same second

    @property
    def serial(self) -> str:
        """What the serials of this run begin with: station, time to the second, and letters that are nobody else's."""
        return f"{self.station}-{self.printed:%y%m%d%H%M%S}{self.run}"

    @property
    def mark(self) -> str:
        """What the print station's mark says."""
        return f"S{self.station}"


def station_of(given: str | None) -> str:
    """The print station's name: as given, or one that this machine always has. Raises UsageError."""
    if given is not None:
        name = given.strip().upper()
        if not _STATION.fullmatch(name) or allowed.personal_number(name):
            raise UsageError(
                "{name} is no name for a print station", hint="use up to 10 letters A-Z, digits and '-'", name=given
            )
        return name
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    if not machine:
        raise UsageError("which print station is this?", hint="give --station NAME, from your list of printers")
    return "M" + hashlib.sha256(b"parcelveil print station\0" + machine.encode()).hexdigest()[:7].upper()


def run_letters() -> str:
    """Three letters for :attr:`Job.run`; without those that look like digits."""
    return "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(3))


def columns_of(schema: pa.Schema, source: str) -> list[str]:
    """The columns that labels are made of. Raises InputError when the sealed file lacks one that they need."""
    missing = [name for name in _NEEDED if name not in schema.names]
    if LABEL_TOKEN in missing and len(missing) == 1:
        raise InputError(
            "{file} has no tokens for labels",
            hint="the key holder makes them: parcelveil rewrap {file} -o NEW.parquet",
            file=source,
        )
    if missing:
        raise InputError(
            "{file} has no {column}: labels are printed from masks",
            hint="take the file as 'parcelveil seal' wrote it",
            file=source,
            column=missing[0],
        )
    areas = [f"{side}_{level}" for side in ("from", "to") for level in ("country", *_LEVELS)]
    return [name for name in dict.fromkeys((*_NEEDED, *_PUBLIC, *areas)) if name in schema.names]


def contents_of(batch: pa.RecordBatch, job: Job, rows: Sequence[int], first: int = 1) -> list[Content | Refused]:
    """The texts of each label of a sealed batch (only :func:`columns_of` of it is needed).

    Args:
        batch: sealed rows.
        job: layout, station, time, virtual numbers.
        rows: row number of each row in its source.
        first: number that the first label of the batch gets in its serial.

    Returns:
        for each row its content, or why it gets no label.
    """
    found = batch.to_pylist()
    columns = [mask_name(f"{side}_address") for side in ("from", "to")]
    roads = allowed.roads(mask for values in found for column in columns if (mask := _text(values, column)))
    common = _common(job.layout)
    numbered = enumerate(zip(rows, found, strict=True))
    return [_content(values, job, int(row), first + place, roads, common) for place, (row, values) in numbered]


def _content(
    values: dict[str, object],
    job: Job,
    row: int,
    serial: int,
    roads: Mapping[str, str | None],
    common: frozenset[str],
) -> Content | Refused:
    given = _text(values, "waybill_no")

    def refused(code: str, detail: str = "") -> Refused:
        return Refused(row, given if allowed.waybill_no(given) else f"row {row}", Problem(code, detail))

    number = allowed.waybill_no(given)
    if number is None:
        return refused("waybill_no.form")
    token = _text(values, LABEL_TOKEN)
    if not token:
        return refused("token.missing")
    if not _TOKEN_FORM.fullmatch(token):
        return refused("token.form")
    sort_code = _text(values, "sort_code")
    if len(sort_code) > allowed.LONGEST_SORT_CODE:
        return refused("sort_code.long")
    if sort_code and allowed.sort_code(sort_code) is None:
        return refused("sort_code.form")
    fields = {"waybill_no": number, "sort_code": sort_code or "-"}
    for side in ("to", "from"):
        for kind in _MASKED:
            column = mask_name(f"{side}_{kind}")
            mask = _text(values, column)
            shown = "" if not mask else roads[mask] if kind == "address" else _MASKS[kind](mask)
            if shown is None:
                return refused("mask.shows", column)
            fields[f"{side}_{'road' if kind == 'address' else kind}"] = shown
        fields[f"{side}_area"] = _area(values, side)
    if number in job.numbers:
        fields["to_phone"] = _virtual(*job.numbers[number])
    fields |= _goods(values, job.layout)
    for name, fit in _CODES.items():
        text = _text(values, name)
        fields[name] = fields.get(name) or ((fit(text) or HIDDEN) if text else "")
    if allowed.personal_number(f"{fields['carrier']} {fields['product']}"):  # they stand side by side
        fields["carrier"] = fields["product"] = HIDDEN
    fields |= {
        "print_time": f"{job.printed:%Y-%m-%d %H:%M}",
        "serial": f"{job.serial}-{serial:05d}",
        "station": job.station,
    }
    return Content(row, number, token, fields, common | _public(values, fields))


def _common(layout: Layout) -> frozenset[str]:
    """What the layout says of its own accord."""
    words = {text for said in layout.words.values() for text in said.values()}
    for table in TRANSLATED.values():
        known = getattr(layout, table)
        words |= {layout.word(known, key) or "" for key in known}
    return frozenset(text for text in words if len(text) > 1)


def _public(values: dict[str, object], fields: dict[str, str]) -> set[str]:
    """Texts on a label that are nobody's, though somebody may be called like them."""
    chinese = [side for side in ("to", "from") if _text(values, f"{side}_country").upper() in ("", "CN")]
    places = [fields[f"{side}_area"] for side in chinese]
    roads = [fields[f"{side}_road"].strip("* ") for side in ("to", "from")]
    run = [fields[name] for name in ("serial", "print_time", "waybill_no")]
    return {text for text in (*places, *roads, *run) if len(text) > 1}


_CODES = {
    "carrier": allowed.code,
    "product": allowed.code,
    "route_id": allowed.outlet,
    "dest_outlet": allowed.outlet,
}
_MASKS = {"name": allowed.name, "phone": allowed.phone}


def _text(values: dict[str, object], name: str) -> str:
    value = values.get(name)
    return value.strip() if isinstance(value, str) else ""


def _area(values: dict[str, object], side: str) -> str:
    """Province to town, each once; abroad in the other order, with the country."""
    country = _text(values, f"{side}_country").upper()
    if not (country.isascii() and country.isalpha() and len(country) == 2):
        country = "CN"
    parts = [_text(values, f"{side}_{level}") for level in _LEVELS]
    shown = list(dict.fromkeys((allowed.area(part, country) or HIDDEN) for part in parts if part))
    if country == "CN":
        return " ".join(shown)
    return ", ".join([*reversed(shown), country])


def _virtual(number: str, extension: str) -> str:
    """A virtual number as people dial it: in groups, and the extension behind 转, which every courier knows."""
    groups = f"{number[:-8]} {number[-8:-4]} {number[-4:]}" if len(number) > 8 else number
    return f"{groups} 转 {extension}" if extension else groups


def _goods(values: dict[str, object], layout: Layout) -> dict[str, str]:
    fields = {"weight": "", "pieces": "", "cod": ""}
    for name, table in TRANSLATED.items():
        word = _text(values, name)
        known = layout.word(getattr(layout, table), word.casefold())
        if known or name not in _CODES:
            fields[name] = known or (HIDDEN if word else "")
    weight, pieces, cod = (values.get(name) for name in ("weight_g", "pieces", "cod_minor"))
    if isinstance(weight, int):
        fields["weight"] = f"{weight / 1000:,.2f} kg" if 0 <= weight < allowed.HEAVIEST_G else HIDDEN
    if isinstance(pieces, int):
        fields["pieces"] = str(pieces) if 0 <= pieces < allowed.MOST_PIECES else HIDDEN
    if isinstance(cod, int) and cod:
        if not 0 < cod < allowed.DEAREST_MINOR:
            return fields | {"cod": HIDDEN}
        money = allowed.currency(_text(values, "currency")) or ""
        fields["cod"] = f"{cod / 100:,.2f} {money}".strip()
    return fields
