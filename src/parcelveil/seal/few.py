"""Opening a handful of rows: the kernel's results, without the price of starting its arrays.

::

    standing_few(sealed, keys)                       # as parcelveil.seal.standing, before anything is opened
    clear, status = open_few(sealed, keys, fields)   # as kernel.open_rows: lists of values, and a status a row

The kernel (:mod:`parcelveil.seal.kernel`) works on columns and costs a millisecond to begin with; one value
through ``cryptography``'s own AESSIV costs some microseconds, and a waybill's walk down the tree sixty. Below
:data:`FEW` rows this is the quicker way. A test holds both to the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.exceptions import InvalidTag

from parcelveil.seal.epoch import SUITE, Epoch, field_context, field_tweak
from parcelveil.seal.kernel import BUCKETS, ERASED, HEADER, MALFORMED, NO_EPOCH, OK, OVERHEAD, TAG, TAMPERED, SealKeys

FEW = 12
_SIZES = frozenset((BUCKETS + OVERHEAD).tolist())

Record = dict[str, str | None]


def epochs_in_few(sealed: pa.RecordBatch, fields: Sequence[str]) -> set[int]:
    """The epoch numbers that the sealed values of ``fields`` name."""
    values = {value[: HEADER.size] for name in fields for value in sealed[name].to_pylist() if value is not None}
    return {HEADER.unpack(head)[1] for head in values if len(head) == HEADER.size}


def standing_few(sealed: pa.RecordBatch, keys: SealKeys, fields: Sequence[str]) -> npt.NDArray[np.uint8]:
    """For each row the worst of ``OK``, ``ERASED``, ``NO_EPOCH`` and ``MALFORMED`` over ``fields``. Opens nothing."""
    status = np.zeros(sealed.num_rows, dtype=np.uint8)
    numbers = sealed["waybill_no"].to_pylist()
    columns = [sealed[name].to_pylist() for name in fields]
    for row, number in enumerate(numbers):
        for epoch in {_epoch(column[row], keys) for column in columns if column[row] is not None}:
            found = epoch if isinstance(epoch, int) else OK if epoch.tree.holds(epoch.path(number)) else ERASED
            status[row] = max(int(status[row]), found)
    return status


def _epoch(value: bytes, keys: SealKeys) -> Epoch | int:
    """The epoch a sealed value names, or why it has none."""
    if len(value) not in _SIZES:
        return MALFORMED
    suite, number, _ = HEADER.unpack_from(value)
    if suite != SUITE:
        return MALFORMED
    return keys.epochs.get(number, NO_EPOCH)


def open_few(
    sealed: pa.RecordBatch, keys: SealKeys, fields: Sequence[str]
) -> tuple[list[Record], npt.NDArray[np.uint8]]:
    """The clear values of ``fields``, a record a row, and each row's status; a row that is not ``OK`` has none."""
    columns = {name: sealed[name].to_pylist() for name in fields}
    if keys.meter is not None:
        keys.meter(sum(value is not None for column in columns.values() for value in column))
    status = np.zeros(sealed.num_rows, dtype=np.uint8)
    records: list[Record] = []
    for row, number in enumerate(sealed["waybill_no"].to_pylist()):
        leaves: dict[Epoch, bytes | None] = {}
        record: Record = dict.fromkeys(fields)
        for name, column in columns.items():
            if column[row] is not None:
                code, record[name] = _open(name, number, column[row], keys, leaves)
                status[row] = max(int(status[row]), code)
        records.append(record if status[row] == OK else dict.fromkeys(fields))
    return records, status


def _open(
    field: str, number: str, value: bytes, keys: SealKeys, leaves: dict[Epoch, bytes | None]
) -> tuple[int, str | None]:
    epoch = _epoch(value, keys)
    if isinstance(epoch, int):
        return epoch, None
    if epoch not in leaves:
        leaves[epoch] = epoch.tree.leaf(epoch.path(number))
    leaf = leaves[epoch]
    if leaf is None:
        return ERASED, None
    _, _, revision = HEADER.unpack_from(value)
    body = value[HEADER.size :]
    tweak = (int.from_bytes(field_tweak(field), "big") ^ revision << 48).to_bytes(16, "big")
    pad = epoch.tree.pad(leaf, tweak, len(body) // TAG)
    plain = (int.from_bytes(body, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(body), "big")
    header = epoch.header
    context = [field_context(header.tenant, header.epoch, field), number.encode(), revision.to_bytes(2, "big")]
    try:
        padded = epoch.aessiv.decrypt(plain, context)
    except InvalidTag:
        return TAMPERED, None
    return OK, padded[: padded.rindex(b"\x80")].decode()
