"""``parcelveil watch run --audit``: the looks that the workspace's own desk has logged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.workspace import Workspace

#: Entries that are opened together.
_TOGETHER = 2_000


def own_looks(workspace: Workspace) -> Iterator[pa.RecordBatch]:
    """Batches of ACCESS out of the audit log, in its order. The key holder opens the salts for it; that is logged first.

    Raises LogError where log and side table do not belong together.
    """
    from parcelveil.audit.entry import KeyEvent
    from parcelveil.cli.log_source import begun, source
    from parcelveil.watch.audited import AuditedLooks, opener

    if not begun(str(workspace.folder)):
        return
    with workspace.log.begin() as batch:
        batch.append(KeyEvent(time=batch.time, action="salts-read", detail="watch"))
    log = source(None, None, str(workspace.folder))
    entries = log.entries(0, log.size)
    with workspace.store.reading() as tx:
        numbers = {row.handle: row.number for row in tx.staff()}
        looks = AuditedLooks(opener(tx, workspace.log.subjects), numbers)
        while part := list(islice(entries, _TOGETHER)):
            batch_of_looks = looks.take(part)
            if batch_of_looks.num_rows:
                yield batch_of_looks
