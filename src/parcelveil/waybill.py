"""The waybill: its columns, and which of them are personal.

A *clear* batch follows :data:`WAYBILL`, a *sealed* batch :data:`SEALED`. What is personal is written in
the Arrow field's metadata and read from there by every verb, never from a list of names elsewhere::

    >>> [f.name for f in personal_fields(WAYBILL)][:3]
    ['from_name', 'from_company', 'from_phone']
    >>> kind_of(WAYBILL.field("to_phone"))
    'phone'
    >>> SEALED.field("to_phone").type, SEALED.field("to_phone_mask").type
    (DataType(binary), DataType(string))

In a sealed batch a personal column ``x`` becomes ``x`` (binary, the sealed value; format in
``docs/format/sealed-value.md``), ``x_mask`` (text that is safe to show) and, where joins need it, ``x_pn``
(16-byte keyed pseudonym). All other columns stay as they are; behind them stands ``label_token``, what the label's
QR code carries (``docs/format/label-token.md``). Names map one to one to Karrio's and Cainiao's address models.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SCHEMA_VERSION = "waybill.v1"
SEALED_VERSION = "sealed.v1"

#: Metadata keys. On a field: its kind of personal data, and whether joins need a pseudonym of it.
PERSONAL = b"personal"
JOIN = b"join"
#: Metadata keys on a whole schema.
SCHEMA_KEY = b"parcelveil.schema"
TENANT_KEY = b"parcelveil.tenant"

#: The last column of a sealed batch. Files that were sealed before there were tokens do not have it.
LABEL_TOKEN = "label_token"  # noqa: S105  a column's name

PARTIES = ("from", "to")

#: Who pays the freight: the codes of ``pay_type``. No other text may stand there; null is not known.
PAY_TYPES = (
    "prepaid",  # the sender, when it is sent (寄付, 现付)
    "collect",  # the recipient, when it is delivered (到付)
    "monthly",  # the sender's account with the carrier (月结)
    "third_party",  # somebody else's account (第三方付)
)
#: Columns that were added to the schema later: clear and sealed waybills may lack them.
ADDED_LATER = frozenset({"pay_type"})


def _personal(name: str, kind: str, *, join: bool = False) -> pa.Field:
    metadata = {PERSONAL: kind.encode()}
    if join:
        metadata[JOIN] = b"1"
    return pa.field(name, pa.string(), metadata=metadata)


def _party(side: str) -> list[pa.Field]:
    return [
        _personal(f"{side}_name", "name"),
        _personal(f"{side}_company", "company"),
        _personal(f"{side}_phone", "phone", join=True),
        _personal(f"{side}_email", "email", join=True),
        pa.field(f"{side}_country", pa.string()),  # ISO 3166-1 alpha-2
        pa.field(f"{side}_region", pa.string()),  # province or state
        pa.field(f"{side}_city", pa.string()),
        pa.field(f"{side}_district", pa.string()),
        pa.field(f"{side}_town", pa.string()),
        pa.field(f"{side}_adcode", pa.string()),  # GB/T 2260, 6 digits (9 with the town)
        pa.field(f"{side}_postcode", pa.string()),
        _personal(f"{side}_address", "address", join=True),  # road and below
    ]


#: Clear waybills, flat. ``waybill_no`` is the one column that may not be null.
WAYBILL = pa.schema(
    [
        pa.field("waybill_no", pa.string(), nullable=False),
        pa.field("tenant", pa.string()),
        pa.field("carrier", pa.string()),
        pa.field("order_ref", pa.string()),
        pa.field("platform", pa.string()),
        pa.field("product", pa.string()),
        pa.field("created_at", pa.timestamp("us", tz="UTC")),
        *_party("from"),
        *_party("to"),
        _personal("goods_name", "goods"),
        pa.field("goods_category", pa.string()),
        pa.field("pieces", pa.int32()),
        pa.field("weight_g", pa.int64()),
        pa.field("declared_value_minor", pa.int64()),  # in hundredths of the currency
        pa.field("currency", pa.string()),  # ISO 4217
        pa.field("cod_minor", pa.int64()),  # cash on delivery, in hundredths
        pa.field("pay_type", pa.string()),  # how the freight is paid, one of PAY_TYPES
        pa.field("sort_code", pa.string()),
        pa.field("origin_outlet", pa.string()),
        pa.field("dest_outlet", pa.string()),
        pa.field("route_id", pa.string()),
        _personal("note", "note"),
        _personal("sender_id_no", "id_number", join=True),
        pa.field("retain_until", pa.date32()),
        pa.field("revision", pa.uint16()),  # raise it when a value is corrected under the same number
    ],
    metadata={SCHEMA_KEY: SCHEMA_VERSION.encode()},
)


def kind_of(field: pa.Field) -> str | None:
    """The kind of personal data a clear column holds (``"phone"``, ``"name"`` …), or None if it holds none."""
    kind = (field.metadata or {}).get(PERSONAL)
    return kind.decode() if kind else None


def personal_fields(schema: pa.Schema) -> list[pa.Field]:
    """The personal columns of ``schema``, in order."""
    return [field for field in schema if kind_of(field)]


def has_pseudonym(field: pa.Field) -> bool:
    """Whether a sealed batch carries ``x_pn`` for this column."""
    return bool((field.metadata or {}).get(JOIN))


def mask_name(name: str) -> str:
    """Name of the mask column of personal column ``name``."""
    return f"{name}_mask"


def pseudonym_name(name: str) -> str:
    """Name of the pseudonym column of personal column ``name``."""
    return f"{name}_pn"


def sealed_schema(schema: pa.Schema, tenant: str | None = None) -> pa.Schema:
    """The schema of the batches that sealing batches of ``schema`` gives."""
    fields: list[pa.Field] = []
    for field in schema:
        if kind_of(field) is None:
            fields.append(field)
            continue
        fields.append(pa.field(field.name, pa.binary(), metadata=field.metadata))
        fields.append(pa.field(mask_name(field.name), pa.string()))
        if has_pseudonym(field):
            fields.append(pa.field(pseudonym_name(field.name), pa.binary(16)))
    fields.append(pa.field(LABEL_TOKEN, pa.string()))
    metadata = {SCHEMA_KEY: SEALED_VERSION.encode()}
    if tenant is not None:
        metadata[TENANT_KEY] = tenant.encode()
    return pa.schema(fields, metadata=metadata)


#: Sealed waybills.
SEALED = sealed_schema(WAYBILL)


def is_sealed(schema: pa.Schema) -> bool:
    """Whether ``schema`` says of itself that its batches are sealed."""
    return bool((schema.metadata or {}).get(SCHEMA_KEY) == SEALED_VERSION.encode())


class Reject(NamedTuple):
    """A row that could not be taken. It names the row and the reason, never a clear personal value."""

    source: str  # file name as the person gave it
    row: int  # as a spreadsheet counts: the header is row 1; 0 when no row can be named
    waybill_no: str | None
    column: str | None  # the source's own column name, or ours when the source has none
    code: str  # stable, for programs and translations: "waybill_no.missing"
    reason: str  # one English sentence


class RawBatch(NamedTuple):
    """Rows as a source has them, before any column is recognised."""

    batch: pa.RecordBatch  # text sources: all columns string; typed sources: their own types
    rows: npt.NDArray[np.int64]  # row number in the source of each row of ``batch``
    rejects: list[Reject]  # rows the reader itself could not take
