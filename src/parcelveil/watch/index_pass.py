"""Work events by parcel, and which of them explain a look: the compiled half of :mod:`parcelveil.watch.work_index`.

A row is five words, ``parcel, time, received, actor | place, ticket or route | kind``; four rows and a word that chains
them make a block. A parcel's rows stand in the chain of one bucket, so that a look reads one head and a few blocks that lie
together, whatever the number of parcels::

    heads:   bucket -> newest block, -1 for none                  (int32)
    blocks:  next block * 8 + rows in this one, then the rows     (int64, 21 words a block)
    state:   blocks ever used, first free block, rows, repeated,
             and what keeps the compiler from leaving out reads   (int64)

Whatever has the same five words but a later ``received`` says nothing new: it is counted and not kept. In a second set of
the same arrays routes stand in for parcels; its rows are ``route, time, received, actor | step, id``.

**Memory is what costs.** Heads and blocks lie all over some gigabytes, and a processor that waits for one place after the
other does a tenth of what it can. So every pass works in groups of :data:`GROUP`: first all heads of a group are read, then
all blocks that they name, which the processor does side by side, and then the work is done on what is near by now.

All compiled functions that call one another stand in this file, because the machine code that is kept is stamped with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import compiled

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int8]

WORDS = 5
ROWS = 4
STRIDE = 1 + ROWS * WORDS
#: Places in ``state``.
USED, FREE, COUNT, REPEATED, READ = range(5)
#: Blocks of a chain in which a repeated row is looked for: a parcel with thousands of events must not cost their square.
_LOOKED_THROUGH = 4
#: Rows that are done together.
GROUP = 32
#: Words of a line of the cache.
_LINE = 8

#: Codes of RULE.whom and what else of the work steps is compiled in; :mod:`~parcelveil.watch.work_index` compares them.
BY_ACTOR, BY_OUTLET, BY_TICKET, BY_ROLE, BY_REGION = 1, 2, 3, 4, 5
CARRIED, RELEASED, ASSIGNED = 5, 10, 11
#: Of the last word of a row: the step below, and one bit that the place is the outlet that the parcel goes to.
ONWARD = 256
#: Columns of the rules.
WHOM, IS_ONWARD, LEVEL, BEFORE, AFTER, ROLE = range(6)
_NOBODY = -1


@compiled
def bucket_of(parcel: np.int64, bits: int) -> np.uint64:
    """The bucket of a parcel or route, of ``2 ** bits``. Parcels are keyed pseudonyms, so nobody can aim at one."""
    return (np.uint64(parcel) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)


@compiled
def _new_block(blocks: I64, state: I64, after: np.int64) -> Any:
    """An empty block that continues with ``after``; -1 when there is no room."""
    block = state[FREE]
    if block >= 0:
        state[FREE] = blocks[block * STRIDE] >> 3
    else:
        block = state[USED]
        if (block + 1) * STRIDE > len(blocks):
            return np.int64(-1)
        state[USED] = block + 1
    blocks[block * STRIDE] = after << 3
    return block


@compiled
def _near(
    heads: I32, blocks: I64, bits: int, parcels: I64, start: int, end: int, buckets: npt.NDArray[np.uint64]
) -> Any:
    """Read the heads of ``parcels[start:end]`` and the blocks that they name, and note the buckets. The sum is of no use."""
    for row in range(start, end):
        buckets[row - start] = bucket_of(parcels[row], bits)
    first = np.empty(GROUP, np.int64)
    for place in range(end - start):
        first[place] = heads[buckets[place]]
    read = np.int64(0)
    for place in range(end - start):
        if first[place] >= 0:
            base = np.uint64(first[place] * STRIDE)
            read += blocks[base] ^ blocks[base + np.uint64(_LINE)] ^ blocks[base + np.uint64(2 * _LINE)]
            read ^= blocks[base + np.uint64(STRIDE - 1)]
    return read


@compiled
def insert(heads: I32, blocks: I64, state: I64, bits: int, rows: I64, first: int) -> int:
    """Add ``rows[first:]``, ``(n, 5)``. Returns the row at which there was no more room, or ``n``."""
    buckets = np.empty(GROUP, np.uint64)
    parcels = rows[:, 0].copy()
    for row in range(first, len(rows)):
        if (row - first) % GROUP == 0:
            state[READ] ^= _near(heads, blocks, bits, parcels, row, min(row + GROUP, len(rows)), buckets)
        parcel = parcels[row]
        bucket = buckets[(row - first) % GROUP]
        block, looked, repeated = np.int64(heads[bucket]), 0, False
        while block >= 0 and looked < _LOOKED_THROUGH and not repeated:
            base = block * STRIDE
            word = blocks[base]
            for place in range(word & 7):
                at = np.uint64(base + 1 + place * WORDS)
                if (
                    blocks[at] == parcel
                    and blocks[at + np.uint64(1)] == rows[row, 1]
                    and blocks[at + np.uint64(3)] == rows[row, 3]
                    and blocks[at + np.uint64(4)] == rows[row, 4]
                ):
                    blocks[at + np.uint64(2)] = min(blocks[at + np.uint64(2)], rows[row, 2])
                    repeated = True
                    break
            block = word >> 3
            looked += 1
        if repeated:
            state[REPEATED] += 1
            continue
        block = np.int64(heads[bucket])
        if block < 0 or blocks[block * STRIDE] & 7 == ROWS:
            block = _new_block(blocks, state, block)
            if block < 0:
                return row
            heads[bucket] = block
        at = np.uint64(block * STRIDE + 1 + (blocks[block * STRIDE] & 7) * WORDS)
        for word in range(WORDS):
            blocks[at + np.uint64(word)] = rows[row, word]
        blocks[block * STRIDE] += 1
        state[COUNT] += 1
    return len(rows)


@compiled
def rebuild(
    old: I32, new: I32, blocks: I64, state: I64, bits: int, floor: int, reach: I64, low: int, high: int
) -> None:
    """Move the chains ``low:high`` of ``old`` to ``new`` (``2 ** bits`` buckets; the same array, or one twice as long).

    Rows that can explain nothing from ``floor`` on, ``time < floor - reach[step]``, are dropped. Where chains are split the
    blocks must have room for one more a bucket.
    """
    same = len(old) == len(new)
    rows = np.empty((64, WORDS), np.int64)
    for bucket in range(low, high):
        if (bucket - low) % GROUP == 0:
            for ahead in range(bucket, min(bucket + GROUP, high)):
                if old[ahead] >= 0:
                    first = np.uint64(old[ahead] * STRIDE)
                    state[READ] ^= (
                        blocks[first] ^ blocks[first + np.uint64(_LINE)] ^ blocks[first + np.uint64(2 * _LINE)]
                    )
        block, count = np.int64(old[bucket]), 0
        if same:
            new[bucket] = -1
        while block >= 0:
            base = block * STRIDE
            word = blocks[base]
            for place in range(word & 7):
                at = base + 1 + place * WORDS
                if blocks[at + 1] < floor - reach[blocks[at + 4] & 255]:
                    state[COUNT] -= 1
                    continue
                if count == len(rows):
                    more = np.empty((2 * count, WORDS), np.int64)
                    more[:count] = rows
                    rows = more
                for one in range(WORDS):
                    rows[count, one] = blocks[at + one]
                count += 1
            blocks[base] = state[FREE] << 3
            state[FREE] = block
            block = word >> 3
        for row in range(count):
            target = bucket_of(rows[row, 0], bits)
            block = np.int64(new[target])
            if block < 0 or blocks[block * STRIDE] & 7 == ROWS:
                block = _new_block(blocks, state, block)
                new[target] = block
            at = block * STRIDE + 1 + (blocks[block * STRIDE] & 7) * WORDS
            for one in range(WORDS):
                blocks[at + one] = rows[row, one]
            blocks[block * STRIDE] += 1


@compiled
def holder(heads: I32, blocks: I64, bits: int, route: np.int64, time: np.int64, known: np.int64, held: int) -> np.int64:
    """Who had ``route`` at ``time``, by what was received up to ``known``; -1 for nobody. An assignment lasts ``held``."""
    best_time, best_step, best_id, best_word = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    block, none = np.int64(heads[bucket_of(route, bits)]), True
    while block >= 0:
        base = block * STRIDE
        word = blocks[base]
        for place in range(word & 7):
            at = base + 1 + place * WORDS
            moment = blocks[at + 1]
            if blocks[at] != route or moment > time or moment < time - held or blocks[at + 2] > known:
                continue
            step, name, last = blocks[at + 3] & 255, blocks[at + 4], blocks[at + 3]
            if not none and (moment, step, name, last) <= (best_time, best_step, best_id, best_word):
                continue
            none, best_time, best_step, best_id, best_word = False, moment, step, name, last
        block = word >> 3
    if none or best_step != ASSIGNED:
        return np.int64(_NOBODY)
    return best_word >> 32


@compiled
def explain(
    heads: I32,
    blocks: I64,
    bits: int,
    route_heads: I32,
    route_blocks: I64,
    route_bits: int,
    held: int,
    rules: I64,
    starts: I64,
    looks: I64,
    time: I64,
    known: I64,
    actor: I32,
    role: I32,
    outlet: I32,
    ticket: I32,
    levels: I8,
) -> Any:
    """Raise each of ``levels`` (0, 1 or 2; those below 0 stay) to what work received up to ``known`` explains.

    ``looks``: the parcels. ``rules``: one row a rule, sorted by step; those of step ``s`` are ``starts[s]:starts[s + 1]``.
    What is returned says nothing.
    """
    buckets = np.empty(GROUP, np.uint64)
    read = np.int64(0)
    for row in range(len(looks)):
        if row % GROUP == 0:
            read ^= _near(heads, blocks, bits, looks, row, min(row + GROUP, len(looks)), buckets)
        level = levels[row]
        if level < 0 or level > 1:
            continue
        parcel, moment, limit, viewer = looks[row], time[row], known[row], np.int64(actor[row])
        block = np.int64(heads[buckets[row % GROUP]])
        while block >= 0 and level < 2:
            base = np.uint64(block * STRIDE)
            word = blocks[base]
            for place in range(word & 7):
                at = base + np.uint64(1 + place * WORDS)
                if blocks[at] != parcel or blocks[at + np.uint64(2)] > limit:
                    continue
                after = moment - blocks[at + np.uint64(1)]
                who, where = blocks[at + np.uint64(3)] >> 32, np.int64(np.int32(blocks[at + np.uint64(3)]))
                kind, named = blocks[at + np.uint64(4)] & 0xFFFF, blocks[at + np.uint64(4)] >> 32
                step, onward = kind & 255, kind >> 8
                for rule in range(starts[step], starts[step + 1]):
                    if rules[rule, LEVEL] <= level or after > rules[rule, AFTER] or after < -rules[rule, BEFORE]:
                        continue
                    if rules[rule, IS_ONWARD] != onward:
                        continue
                    whom = rules[rule, WHOM]
                    fits: Any = False
                    if whom == BY_ACTOR:
                        if step == CARRIED and who == _NOBODY and named >= 0:
                            who = holder(
                                route_heads,
                                route_blocks,
                                route_bits,
                                named,
                                blocks[at + np.uint64(1)],
                                limit,
                                held,
                            )
                            named = np.int64(-1)  # asked once
                        fits = who == viewer and viewer >= 0
                    elif whom == BY_OUTLET:
                        fits = where == outlet[row] and where >= 0
                    elif who != _NOBODY and who != viewer:  # noqa: PLR1714 - a set is no compiled code; a ticket explains nothing to who opened it
                        if whom == BY_TICKET:
                            fits = named == ticket[row] and named >= 0
                        else:
                            fits = rules[rule, ROLE] == role[row]
                    if fits:
                        level = np.int8(rules[rule, LEVEL])
            block = word >> 3
        levels[row] = level
    return read


@compiled
def in_region(
    heads: I32,
    blocks: I64,
    bits: int,
    rules: I64,
    starts: I64,
    regions: I32,
    looks: I64,
    time: I64,
    known: I64,
    outlet: I32,
    found: I8,
) -> Any:
    """Write into ``found`` 1 for each look that a rule holds for by work received up to ``known``, 0 where none does.

    ``regions`` by outlet, below 0 or beyond the end: not known; ``found`` is -1 where that of the look's ``outlet`` is not.
    ``looks``: the parcels. ``rules`` and ``starts`` as of :func:`explain`, but only those of the region. What is returned
    says nothing.
    """
    buckets = np.empty(GROUP, np.uint64)
    read = np.int64(0)
    for row in range(len(looks)):
        if row % GROUP == 0:
            read ^= _near(heads, blocks, bits, looks, row, min(row + GROUP, len(looks)), buckets)
        own = outlet[row]
        if own < 0 or own >= len(regions) or regions[own] < 0:
            found[row] = -1
            continue
        region, parcel, moment, limit = regions[own], looks[row], time[row], known[row]
        block, fits = np.int64(heads[buckets[row % GROUP]]), np.int8(0)
        while block >= 0 and fits == 0:
            base = np.uint64(block * STRIDE)
            word = blocks[base]
            for place in range(word & 7):
                at = base + np.uint64(1 + place * WORDS)
                if blocks[at] != parcel or blocks[at + np.uint64(2)] > limit:
                    continue
                kind = blocks[at + np.uint64(4)] & 0xFFFF
                where = np.int64(np.int32(blocks[at + np.uint64(3)]))
                if kind > 255 or where < 0:  # what is on its way is not there yet
                    continue
                if where >= len(regions) or regions[where] != region:
                    continue
                after = moment - blocks[at + np.uint64(1)]
                for rule in range(starts[kind], starts[kind + 1]):
                    if -rules[rule, BEFORE] <= after <= rules[rule, AFTER]:
                        fits = np.int8(1)
            block = word >> 3
        found[row] = fits
    return read
