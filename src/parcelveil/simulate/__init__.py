"""A sample day of waybills, for trying parcelveil out and for measuring it, with nobody in it.

::

    >>> batches = list(parcels(1000, seed=7))
    >>> sum(batch.num_rows for batch in batches), batches[0].schema.equals(WAYBILL)
    (1000, True)

:func:`parcels` gives clear waybills as Arrow batches; :func:`write_dirty_csv` gives an order export as outlets upload
it, with a known number of bad rows. What is real in them (divisions, shares), what is invented, and why their phone
numbers should reach nobody: ``docs/sample-data.md``.
"""

from __future__ import annotations

from parcelveil.simulate.dirty import DIRT, dirty_rows, write_dirty_csv
from parcelveil.simulate.parcels import DEFAULT_DAY, parcels
from parcelveil.waybill import WAYBILL

__all__ = ["DEFAULT_DAY", "DIRT", "WAYBILL", "dirty_rows", "parcels", "write_dirty_csv"]
