"""Opening sealed rows with the key ring, a handful or many: what the desk does once the log is durable.

::

    standing_of(ring, sealed, fields)            # before: is each row's key alive?
    records, status = opened(ring, sealed, fields, Drawn(values))
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.errors import KeyAccessError
from parcelveil.seal import few, kernel
from parcelveil.seal.keyring import KeyRing
from parcelveil.seal.meter import Drawn
from parcelveil.seal.standing import standing


def standing_of(ring: KeyRing, sealed: pa.RecordBatch, fields: Sequence[str]) -> npt.NDArray[np.uint8]:
    """For each row whether its key is alive."""
    epochs = set(few.epochs_in_few(sealed, fields) if sealed.num_rows <= few.FEW else kernel.epochs_in(sealed))
    if epochs - ring.known:
        ring.refresh()  # another process has sealed a new day
    try:
        keys = ring.open_keys(epochs)
    except KeyAccessError:
        ring.refresh()  # another process has rotated, and destroyed what this one would unwrap with
        keys = ring.open_keys(epochs)
    if sealed.num_rows <= few.FEW:
        return few.standing_few(sealed, keys, fields)
    return standing(sealed.select(["waybill_no", *fields]), keys)


def opened(
    ring: KeyRing, sealed: pa.RecordBatch, fields: Sequence[str], meter: Drawn
) -> tuple[list[dict[str, str | None]], npt.NDArray[np.uint8]]:
    """The clear values, a record a row, and each row's status."""
    if sealed.num_rows <= few.FEW:
        keys = ring.open_keys(few.epochs_in_few(sealed, fields), meter=meter)
        return few.open_few(sealed, keys, fields)
    part = sealed.select(["waybill_no", *fields])
    keys = ring.open_keys(kernel.epochs_in(part), meter=meter)
    clear, status = kernel.open_rows(part, keys)
    return clear.select(list(fields)).to_pylist(), status
