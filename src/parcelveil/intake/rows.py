"""Raw rows in, waybills out, and a reason for every row that is none.

::

    >>> from parcelveil.intake.headers import recognise
    >>> from parcelveil.waybill import WAYBILL
    >>> raw = pa.record_batch({"运单号": ["'YT0001", " "], "收件人": ["李雷", "韩梅"], "收件人电话": ["138-0000-0001", "2"]})
    >>> intake = Intake(recognise(raw.schema.names), "orders.csv", schema=WAYBILL)
    >>> taken = intake.take(RawBatch(raw, np.array([2, 3]), []))
    >>> taken.batch.select(["waybill_no", "to_name", "to_phone"]).to_pylist()
    [{'waybill_no': 'YT0001', 'to_name': '李雷', 'to_phone': '+8613800000001'}]
    >>> taken.rejects[0].row, taken.rejects[0].code
    (3, 'waybill_no.missing')

What waybills can do without (pieces, weight, money, pay type) and that cannot be read becomes null and is counted in
``warnings``; whatever else is wrong rejects its row. A table that has all of our columns in our types already (a
clear Parquet file of ours) is not read over again: its waybill numbers, dates, revisions, tenants, pay types and
lengths are checked, its other texts stay as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import AlreadySealedError, InputError
from parcelveil.intake import address, cells, pay_type, phone
from parcelveil.intake.headers import Recognised
from parcelveil.waybill import ADDED_LATER, PARTIES, RawBatch, Reject, is_sealed, kind_of

#: A value must fit the sealed form; a waybill number, a bar code.
LONGEST_VALUE = 60_000
LONGEST_NUMBER = 64

#: Reject codes and what they tell the person.
REASONS = {
    "waybill_no.missing": "the row has no waybill number",
    "waybill_no.malformed": f"the waybill number is longer than {LONGEST_NUMBER} bytes or has control characters",
    "waybill_no.digits_lost": "the waybill number was turned into a rounded number and its digits are gone",
    "tenant.other": "the row belongs to another tenant",
    "value.too_long": f"a value has more than {LONGEST_VALUE} bytes",
    "phone.digits_lost": "the phone was turned into a rounded number and its digits are gone",
    "created_at.malformed": "the time of creation cannot be read",
    "created_at.out_of_range": "the time of creation is before 2000 or after 2099",
    "retain_until.malformed": "the date until which to retain the waybill cannot be read",
    "revision.malformed": "the revision is no whole number from 0 to 65535",
}
_CODES = tuple(REASONS)
_EXACT_KINDS = frozenset({"phone", "id_number"})  # digits are what they are: no apostrophe, nothing rounded
_AREA = ("region", "city", "district", "town")
_SCIENTIFIC = r"^[0-9](\.[0-9]+)?[eE]\+?[0-9]+$"
_FULL_WIDTH = "[\uff00-\uffef]"
_AMOUNTS = ("weight_g", "declared_value_minor", "cod_minor", "pieces")

_Flags = npt.NDArray[np.bool_]


class Taken(NamedTuple):
    """What became of the rows of one raw batch: each is in ``batch`` or, once, in ``rejects``."""

    batch: pa.RecordBatch  # of the schema asked for
    rows: npt.NDArray[np.int64]  # row number in the source of each row of ``batch``
    rejects: list[Reject]  # the reader's own first
    warnings: dict[str, int]  # "weight_g.malformed" -> number of cells


class Intake:
    """Turns the raw batches of one source into waybills.

    ``source`` is the file name that rejects carry. ``country`` (ISO 3166-1 alpha-2, unless the mapping names one) is
    where phones without a country code belong; times without a zone are at ``utc_offset_minutes``. With ``tenant``
    every waybill is that tenant's, and rows of others are rejected. ``revision`` (0 to 65535) is for rows without one.
    """

    def __init__(
        self,
        recognised: Recognised,
        source: str,
        *,
        schema: pa.Schema,
        country: str = "CN",
        utc_offset_minutes: int = 480,
        tenant: str | None = None,
        revision: int = 0,
    ) -> None:
        self.recognised = recognised
        self.source = source
        self.schema = schema
        self.country = (recognised.country or country).upper()
        self.utc_offset_minutes = utc_offset_minutes
        self.tenant = tenant
        self.revision = revision

    def take(self, raw: RawBatch) -> Taken:
        """Take the rows of ``raw``.

        Raises InputError for a column whose type holds no such values, or that is missing from the batch;
        AlreadySealedError for sealed waybills.
        """
        if is_sealed(raw.batch.schema):
            raise AlreadySealedError("{file} is sealed already", hint="seal takes clear waybills", file=self.source)
        work = _Work(self, raw)
        if self._is_ours(raw.batch.schema):
            work.take_ours()
        else:
            work.take_any()
        return work.finish()

    def _is_ours(self, given: pa.Schema) -> bool:
        """Whether the batch has each of our columns, in our types or one of their storage forms."""
        if self.recognised.constants or len(set(given.names)) != len(given.names):
            return False
        own = self.recognised.columns
        return all(
            field.name in given.names
            and own.get(field.name) == (field.name,)
            and _same_kind(given.field(field.name).type, field.type)
            for field in self.schema
            if field.name in own or field.name not in ADDED_LATER
        )


def _same_kind(given: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_dictionary(given):
        given = given.value_type
    if pa.types.is_string(wanted):
        return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given))
    if pa.types.is_timestamp(wanted):
        return bool(pa.types.is_timestamp(given))
    return bool(given == wanted)


class _Work:
    """One batch on its way. ``fault`` is 0 or, for a rejected row, 1 + the place of its code in REASONS."""

    def __init__(self, intake: Intake, raw: RawBatch) -> None:
        self.intake = intake
        self.raw = raw
        self.size = raw.batch.num_rows
        self.fault = np.zeros(self.size, np.int8)
        self.at_fault: dict[tuple[int, str], _Flags] = {}
        self.columns: dict[str, pa.Array] = {}
        self.warnings: dict[str, int] = {}
        self.places = {name: at for at, name in reversed(list(enumerate(raw.batch.schema.names)))}

    # -- what is wrong with rows ---------------------------------------------------------------------------------

    def reject(self, flags: _Flags, code: str, target: str) -> None:
        """Reject the flagged rows that nothing is wrong with yet; the fault is in the source of ``target``."""
        fresh = flags & (self.fault == 0)
        if fresh.any():
            place = _CODES.index(code) + 1
            self.fault[fresh] = place
            self.at_fault[place, target] = self.at_fault.get((place, target), np.zeros_like(fresh)) | fresh

    def warn(self, code: str, count: int) -> None:
        if count:
            self.warnings[code] = self.warnings.get(code, 0) + count

    # -- reading the source's columns ----------------------------------------------------------------------------

    def source_column(self, name: str) -> pa.Array:
        if name not in self.places:
            raise InputError("{file} has lost the column {column}", hint="", file=self.intake.source, column=name)
        return self.raw.batch.column(self.places[name])

    def text(self, target: str) -> pa.StringArray | None:
        """The cleaned text of ``target``, or None if the source has nothing for it."""
        recognised = self.intake.recognised
        if target in recognised.constants:
            return pa.repeat(pa.scalar(recognised.constants[target], pa.string()), self.size)
        sources = recognised.columns.get(target)
        if not sources:
            return None
        parts = [self._one(target, name) for name in sources]
        if len(parts) == 1:
            return parts[0]
        if target in recognised.coalesce:
            return pc.coalesce(*parts)
        return cells.clean(pc.binary_join_element_wise(*parts, " ", null_handling="skip"))

    def _one(self, target: str, name: str) -> pa.StringArray:
        kind = kind_of(self.intake.schema.field(target))
        exact = kind in _EXACT_KINDS or target == "waybill_no"
        values, lost = cells.as_text(self.source_column(name), name, personal=kind is not None or exact)
        if lost is not None and exact:
            self.reject(lost, "waybill_no.digits_lost" if target == "waybill_no" else "phone.digits_lost", target)
        too_long = cells.longer_than(values, LONGEST_VALUE)
        if too_long.any():
            self.reject(too_long, "value.too_long", target)
            values = pc.if_else(pa.array(~too_long), values, pa.scalar(None, pa.string()))
        named = kind in ("name", "company")
        values = cells.clean(values, apostrophe=kind is None or exact, null_words=not named)
        if target != "waybill_no":
            values, count = cells.blank_controls(values)
            self.warn(f"{target}.control_characters", count)
        return values

    # -- a source of any kind ------------------------------------------------------------------------------------

    def take_any(self) -> None:
        self._waybill_no()
        for field in self.intake.schema:
            name = field.name
            if name in ("waybill_no", "tenant", "created_at", "retain_until", "revision"):
                continue
            if name in _AMOUNTS:
                self._amount(name, field.type)
            else:
                values = self.text(name)
                self.columns[name] = pa.nulls(self.size, pa.string()) if values is None else values
        self._pay_type()
        self._tenant(self.text("tenant"))
        self._created_at()
        self._retain_until()
        self._revision()
        if self.intake.recognised.columns.get("currency") or "currency" in self.intake.recognised.constants:
            self.columns["currency"] = cells.currency_codes(self.columns["currency"])
        for side in PARTIES:
            self._party(side)
        self._too_long(self.columns)

    def _waybill_no(self) -> None:
        values = self.text("waybill_no")
        if values is None:
            raise InputError(
                "{file} has no waybill numbers", hint="name the column with --map", file=self.intake.source
            )
        wide = pc.match_substring_regex(values, _FULL_WIDTH)
        if pc.any(wide).as_py():
            values = cells.clean(pc.if_else(wide, pc.utf8_normalize(values, "NFKC"), values), apostrophe=True)
        self._check_numbers(values)
        rounded = pc.match_substring_regex(values, _SCIENTIFIC).fill_null(False)
        self.reject(rounded.to_numpy(zero_copy_only=False), "waybill_no.digits_lost", "waybill_no")
        self.columns["waybill_no"] = values

    def _check_numbers(self, values: pa.StringArray) -> None:
        if values.null_count:
            self.reject(values.is_null().to_numpy(zero_copy_only=False), "waybill_no.missing", "waybill_no")
        malformed = cells.longer_than(values, LONGEST_NUMBER)
        if cells.may_have_controls(values):
            found = pc.match_substring_regex(values, cells.CONTROLS).fill_null(False)
            malformed = malformed | found.to_numpy(zero_copy_only=False)
        self.reject(malformed, "waybill_no.malformed", "waybill_no")

    def _tenant(self, values: pa.StringArray | None) -> None:
        tenant = self.intake.tenant
        if values is not None and tenant is not None:
            other = pc.not_equal(values, tenant).fill_null(False).to_numpy(zero_copy_only=False)
            self.reject(other, "tenant.other", "tenant")
        if values is None or tenant is not None:
            values = pa.repeat(pa.scalar(tenant, pa.string()), self.size)
        self.columns["tenant"] = values

    def _created_at(self) -> None:
        sources = self.intake.recognised.columns.get("created_at", ())
        column = self.source_column(sources[0]) if len(sources) == 1 else None
        if column is not None and (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
            self._typed_created_at(column)
            return
        values = self.text("created_at")
        if values is None:
            self.columns["created_at"] = pa.nulls(self.size, self.intake.schema.field("created_at").type)
            return
        times, bad = cells.parse_times(values, self.intake.utc_offset_minutes)
        self.reject(bad, "created_at.malformed", "created_at")
        self._store_times(times, values.is_valid().to_numpy(zero_copy_only=False))

    def _typed_created_at(self, column: pa.Array) -> None:
        """Timestamps of any unit, and dates; without a zone they are local."""
        kind = column.type
        local = not (pa.types.is_timestamp(kind) and kind.tz)
        if pa.types.is_date(kind):
            column, per_second = (column.cast(pa.int32()), 1 / 86_400) if kind == pa.date32() else (column, 1000)
        else:
            per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        values = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        # What is far out would overflow on the way to microseconds; two days more leave room for any zone.
        edge = int(2 * 4_200_000_000 * per_second)
        values = np.clip(values, -edge, edge)
        times = values // 1000 if per_second > 10**6 else values * round(10**6 / per_second)
        self._store_times(times - (self.intake.utc_offset_minutes * 60_000_000 if local else 0), valid)

    def _store_times(self, times: cells.Ints, valid: _Flags) -> None:
        self.reject(cells.out_of_range(times) & valid, "created_at.out_of_range", "created_at")
        kind = self.intake.schema.field("created_at").type
        self.columns["created_at"] = pa.array(times, pa.int64(), mask=~valid).cast(kind)

    def _retain_until(self) -> None:
        values = self.text("retain_until")
        if values is None:
            self.columns["retain_until"] = pa.nulls(self.size, pa.date32())
            return
        times, bad = cells.parse_times(values, 0)
        days = times // 86_400_000_000
        self.reject(bad, "retain_until.malformed", "retain_until")
        mask = ~values.is_valid().to_numpy(zero_copy_only=False) | bad
        self.columns["retain_until"] = pa.array(days.astype(np.int32), pa.int32(), mask=mask).cast(pa.date32())

    def _revision(self) -> None:
        values = self.text("revision")
        numbers = np.full(self.size, self.intake.revision, np.int64)
        if values is not None:
            given, bad = cells.parse_amounts(values, "revision", "")
            self.reject(bad | (given > 65_535), "revision.malformed", "revision")
            numbers = np.where(values.is_valid().to_numpy(zero_copy_only=False), given, numbers)
        self.columns["revision"] = pa.array(np.clip(numbers, 0, 65_535).astype(np.uint16))

    def _amount(self, name: str, kind: pa.DataType) -> None:
        values = self.text(name)
        if values is None:
            self.columns[name] = pa.nulls(self.size, kind)
            return
        default = {"weight_g": "g", "pieces": ""}.get(name, "minor")
        unit = self.intake.recognised.units.get(name, default)
        amounts, bad = cells.parse_amounts(values, name, unit)
        if name == "pieces":
            bad = bad | (amounts > 2**31 - 1)
        self.warn(f"{name}.malformed", int(bad.sum()))
        missing = bad | ~values.is_valid().to_numpy(zero_copy_only=False)
        self.columns[name] = pa.array(np.where(missing, 0, amounts), mask=missing).cast(kind)

    def _pay_type(self) -> None:
        self.columns["pay_type"], unknown = pay_type.pay_types(self.columns["pay_type"])
        self.warn("pay_type.unrecognised", unknown)

    def _party(self, side: str) -> None:
        columns = self.columns
        country = columns[f"{side}_country"]
        if country.null_count < self.size:
            columns[f"{side}_country"] = country = cells.country_codes(country)
        self._phones(side, country)
        text = columns[f"{side}_address"]
        area = [columns[f"{side}_{part}"] for part in _AREA]
        chinese = pc.equal(country, "CN")
        if self.intake.country == "CN":
            chinese = chinese.fill_null(True)
        known = text.is_valid()
        for part in area[:3]:
            known = pc.or_(known, part.is_valid())
        at = pc.indices_nonzero(pc.and_(chinese.fill_null(False), known))
        if not len(at):
            return
        if side in self.intake.recognised.one_string:
            split = address.split_addresses(text.take(at))
        else:
            region, city, district, town = (part.take(at) for part in area)
            split = address.split_known(region, city, district, town, text.take(at))
        found = split.field("adcode").is_valid()
        for part in ("country", *_AREA, "adcode", "postcode", "address"):
            own = columns[f"{side}_{part}"]
            parsed = split.field(part)
            # What the source says of postcode and code, and where nothing was recognised, is not overwritten.
            if part in ("country", "adcode", "postcode"):
                parsed = pc.coalesce(own.take(at), parsed)
            elif side not in self.intake.recognised.one_string or part == "address":
                parsed = pc.if_else(found, parsed, own.take(at))
            columns[f"{side}_{part}"] = _put(own, at, parsed)

    def _phones(self, side: str, country: pa.StringArray) -> None:
        """Bring phones into one form, each by its own row's country."""
        name = f"{side}_phone"
        values = self.columns[name]
        if values.null_count == self.size:
            return
        encoded = country.dictionary_encode()
        where = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        codes = [
            code if len(code) == 2 and code.isascii() else self.intake.country
            for code in encoded.dictionary.to_pylist()
        ]
        codes.append(self.intake.country)  # found by -1
        by_row = np.array(codes, dtype=object)[where] if len(codes) > 1 else None
        problems = pa.nulls(self.size, pa.string())
        for code in sorted(set(codes)):
            at = pa.array(np.flatnonzero(by_row == code) if by_row is not None else np.arange(self.size), pa.uint64())
            if len(at) == self.size:
                values, problems = phone.normalise_phones(values, code)
            elif len(at):
                part = phone.normalise_phones(values.take(at), code)
                values, problems = _put(values, at, part.values), _put(problems, at, part.problems)
        if problems.null_count < self.size:
            for problem in pc.unique(problems.drop_null()).to_pylist():
                flags = pc.equal(problems, problem).fill_null(False).to_numpy(zero_copy_only=False)
                self.reject(flags, problem if problem in REASONS else "phone.digits_lost", name)
        self.columns[name] = values

    def _too_long(self, columns: dict[str, pa.Array]) -> None:
        for name, values in columns.items():
            if pa.types.is_string(values.type):
                self.reject(cells.longer_than(values, LONGEST_VALUE), "value.too_long", name)

    # -- a table of ours -----------------------------------------------------------------------------------------

    def take_ours(self) -> None:
        for field in self.intake.schema:
            known = field.name in self.places or field.name not in ADDED_LATER
            column = self.source_column(field.name) if known else pa.nulls(self.size, field.type)
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            if field.name != "created_at" and column.type != field.type:
                try:
                    column = column.cast(field.type)
                except (pa.ArrowInvalid, pa.ArrowCapacityError):
                    raise cells.unusable_type(field.name, column.type) from None
            self.columns[field.name] = column
        self.columns["waybill_no"] = cells.clean(self.columns["waybill_no"], apostrophe=True)
        self._check_numbers(self.columns["waybill_no"])
        self._pay_type()
        self._tenant(self.columns["tenant"])
        self._typed_created_at(self.columns["created_at"])
        if self.columns["revision"].null_count:
            self.columns["revision"] = self.columns["revision"].fill_null(self.intake.revision)
        self._too_long(self.columns)

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self) -> Taken:
        schema, rejects = self.intake.schema, list(self.raw.rejects)
        rows = np.asarray(self.raw.rows, np.int64)
        arrays: list[Any] = [self.columns[field.name] for field in schema]
        bad = np.flatnonzero(self.fault)
        if bad.size:
            rejects += self._rejects(bad)
            keep = pa.array(np.flatnonzero(self.fault == 0))
            arrays = [array.take(keep) for array in arrays]
            rows = rows[self.fault == 0]
        return Taken(pa.RecordBatch.from_arrays(arrays, schema=schema), rows, rejects, self.warnings)

    def _rejects(self, bad: npt.NDArray[np.intp]) -> list[Reject]:
        made: dict[int, Reject] = {}
        numbers = self.columns["waybill_no"].take(pa.array(bad)).to_pylist()
        number_of = dict(zip(bad.tolist(), numbers, strict=True))
        for (place, target), flags in self.at_fault.items():
            code = _CODES[place - 1]
            sources = self.intake.recognised.columns.get(target, ())
            for at in np.flatnonzero(flags).tolist():
                number = None if code.startswith("waybill_no.") else number_of[at]
                row = int(self.raw.rows[at])
                made[at] = Reject(
                    self.intake.source, row, number, sources[0] if sources else target, code, REASONS[code]
                )
        return [made[at] for at in sorted(made)]


def _put(values: pa.Array, at: pa.Array, new: pa.Array) -> pa.Array:
    """``values`` with ``new`` at the places ``at``."""
    if len(at) == len(values):
        return new
    order = np.arange(len(values))
    order[at.to_numpy(zero_copy_only=False).astype(np.int64)] = np.arange(len(values), len(values) + len(new))
    return pa.concat_arrays([values, new]).take(pa.array(order))
