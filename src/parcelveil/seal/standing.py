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

from parcelveil.seal.kernel import ERASED, HEADER, MALFORMED, NO_EPOCH, SealKeys
from parcelveil.waybill import personal_fields


def standing(batch: pa.RecordBatch, keys: SealKeys) -> npt.NDArray[np.uint8]:
    """For each sealed row ``OK``, ``ERASED`` or ``NO_EPOCH``, without opening anything: whether its key is alive."""
    status = np.zeros(batch.num_rows, dtype=np.uint8)
    names = [field.name for field in personal_fields(batch.schema)]
    for name in names:
        heads = pc.binary_slice(batch[name], 0, HEADER.size)
        for head in pc.unique(heads.drop_null()).to_pylist():
            rows = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(heads, head), False)))
            if len(head) < HEADER.size:
                _worse(status, rows, MALFORMED)
                continue
            epoch = keys.epochs.get(HEADER.unpack(head)[1])
            if epoch is None:
                _worse(status, rows, NO_EPOCH)
                continue
            alive = epoch.tree.alive(epoch.paths(batch["waybill_no"].take(pa.array(rows))))
            _worse(status, rows[~alive], ERASED)
    return status


def _worse(status: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], code: int) -> None:
    status[rows] = np.maximum(status[rows], np.uint8(code))
