"""Whether sealed waybills could be opened at all, without opening anything.

::

    keys = ring.open_keys(epochs_in(sealed))
    standing(sealed, keys)          # OK, ERASED, NO_EPOCH or MALFORMED for each row

The desk asks before it logs, so that the log tells looks at values from looks for what was erased.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.seal.epoch import SUITE
from parcelveil.seal.kernel import BUCKETS, ERASED, HEADER, MALFORMED, NO_EPOCH, OVERHEAD, SealKeys
from parcelveil.waybill import personal_fields

#: Lengths that a sealed value can have.
_SIZES = pa.array((BUCKETS + OVERHEAD).tolist(), pa.int32())


def standing(batch: pa.RecordBatch, keys: SealKeys) -> npt.NDArray[np.uint8]:
    """For each sealed row ``OK``, ``ERASED``, ``NO_EPOCH`` or ``MALFORMED``: whether its keys are alive. Opens nothing."""
    status = np.zeros(batch.num_rows, dtype=np.uint8)
    names = [field.name for field in personal_fields(batch.schema)]
    for name in names:
        shaped = np.asarray(pc.is_in(pc.binary_length(batch[name]), _SIZES))
        _worse(status, np.flatnonzero(np.asarray(batch[name].is_valid()) & ~shaped), MALFORMED)
        heads = pc.binary_slice(batch[name], 0, HEADER.size).dictionary_encode()
        codes = np.asarray(heads.indices.fill_null(-1))
        for code, head in enumerate(heads.dictionary.to_pylist()):
            rows = np.flatnonzero((codes == code) & shaped)
            if not rows.size:
                continue
            suite, number, _ = HEADER.unpack(head)
            if suite != SUITE:
                _worse(status, rows, MALFORMED)
                continue
            epoch = keys.epochs.get(number)
            if epoch is None:
                _worse(status, rows, NO_EPOCH)
                continue
            alive = epoch.tree.alive(epoch.paths(batch["waybill_no"].take(pa.array(rows))))
            _worse(status, rows[~alive], ERASED)
    return status


def _worse(status: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], code: int) -> None:
    status[rows] = np.maximum(status[rows], np.uint8(code))
