"""Check old receipts against the log of today: each must hold, and today's log must still contain the log it speaks of.

::

    for found in verify_receipts([("look.tlog-proof", text)], log_key, tiles.directory(folder)):
        found.problem                     # "" when all is well

A receipt that holds by itself while the log contradicts it proves, to anybody, that the log was rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from parcelveil.audit.proof import ProofError, VerifierKey, leaf_hash, node_hash, read_checkpoint, verify_receipt
from parcelveil.audit.tiles import Fetch, TileReader
from parcelveil.audit.tree import check_consistency, consistency_path
from parcelveil.audit.verify import published_checkpoint
from parcelveil.errors import LogError


class ReceiptVerdict(NamedTuple):
    """One receipt: ``problem`` is empty when it holds. Index and size are -1 when it could not be read at all."""

    name: str
    at: int  #: index of its entry
    size: int  #: of the log under its checkpoint
    problem: str


def verify_receipts(
    texts: Iterable[tuple[str, str]],
    log_key: VerifierKey,
    fetch: Fetch,
    *,
    tail: Sequence[bytes] = (),
    tail_from: int | None = None,
    checkpoint: str = "",
) -> Iterator[ReceiptVerdict]:
    """For each (name, text): whether the receipt holds by itself, **and** whether the log of today still contains
    the log it speaks of. A receipt that holds while the log contradicts it proves that the log was rewritten.

    Today's log is that of ``checkpoint`` (a signed note; by default the one in the directory), whose last entries
    may be in ``tail``, unpublished (``tail_from``: the index of the first of them, by default where the directory
    ends). Nothing but that signature is trusted: the proof from the receipt's checkpoint
    to today's is made from the tiles and checked. Raises LogError when today's log itself cannot be read.
    """
    published = published_checkpoint(fetch, log_key)
    try:
        today = read_checkpoint(checkpoint, log_key) if checkpoint else published
    except ProofError as error:
        raise LogError("the checkpoint does not verify: {why}", why=error) from None
    begin = published.size if tail_from is None else tail_from
    if begin > published.size or today.size > max(published.size, begin + len(tail)):
        raise LogError("entries are missing between the folder and the checkpoint of {size}", size=today.size)
    reader = TileReader(fetch, published.size)

    @lru_cache(1 << 16)
    def nodes(height: int, index: int) -> bytes:
        if index + 1 << height <= published.size:
            return reader.node(height, index)
        if not height:
            return leaf_hash(tail[index - begin])
        return node_hash(nodes(height - 1, 2 * index), nodes(height - 1, 2 * index + 1))

    for name, text in texts:
        try:
            found = verify_receipt(text, log_key)
        except ProofError as error:
            yield ReceiptVerdict(name, -1, -1, f"the receipt does not hold: {error}")
            continue
        (_, size, root), problem = found.checkpoint, ""
        if size > today.size:
            problem = f"the log is shorter than this receipt's: {today.size} entries, the receipt has {size}"
        else:
            try:
                check_consistency(size, today.size, root, today.root, consistency_path(size, today.size, nodes))
            except ProofError:
                problem = (
                    "the log of today contradicts it: entries were changed, or the tiles are damaged (verify the log)"
                )
            except LogError as error:
                problem = f"it cannot be compared with the log of today: {error}"
        yield ReceiptVerdict(name, found.index, size, problem)
