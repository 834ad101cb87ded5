"""Decoy waybills: numbers that belong to no parcel, so that nobody has work with them, and whoever looks is harvesting.

::

    key = DecoyKey(secret, blocks)                    # 32 secret bytes; the blocks that decoys were planted in
    key.hits(batch["waybill_no"])                     # bool array: which of these numbers are decoys
    fresh = Block.between("YT7891230000000", "YT7891230999999", rate=1e-3)
    for numbers in key.planted(fresh): ...            # about a thousand numbers of the million
    decoy_waybills(numbers, phones=lines, seed=key.seed(fresh))   # clear waybills of schema WAYBILL, to be sealed like any

**Where decoys stand only the key says.** A number of a planted block is a decoy when the first eight bytes of its AES-CMAC
(RFC 4493) under the decoy key, as an unsigned integer, lie below ``rate * 2**64``: independent draws, as in Bernoulli
honeywords (Wang and Reiter, NDSS 2024), so nothing about the others follows from those that are known. Neither the
numbers nor a list of them is kept: the key and the blocks suffice. Somebody who reads the whole database sees sealed
waybills like all others.

**The chance that a harvester meets one follows by arithmetic**, whatever he knows short of the key: with a share f of
decoys among the numbers he draws from, n looks meet one with :func:`chance_of_hit` ``= 1 - (1 - f)**n``.

=====  ==========  ==========
looks  f = 1e-4    f = 1e-3
=====  ==========  ==========
20     0.2 %       2.0 %
200    2.0 %       18.1 %
1,000  9.5 %       63.2 %
10000  63.2 %      100 %
=====  ==========  ==========

So decoys catch bulk and enumeration, and are worth nothing against twenty looks a day. False alarms have no statistics
either: a decoy is never issued, routed or handed in. **Blocks must be taken from numbers that will not be issued to
parcels**, or the numbers must be taken out of issue; a number that was issued all the same has work, and
:mod:`~parcelveil.watch` tells of it rather than of an attack.

Phones in decoys must be lines that the carrier owns: somebody may call them, which then says where the number came from.
"""

from __future__ import annotations

import hashlib
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import UsageError
from parcelveil.seal.siv import Cmac
from parcelveil.simulate.parcels import parcels, s10_check_digits
from parcelveil.waybill import WAYBILL

Bools = npt.NDArray[np.bool_]

#: Share of a block's numbers that become decoys, and the most and least that make sense.
DEFAULT_RATE, MOST_RATE, LEAST_RATE = 1e-3, 0.5, 1e-7
#: Numbers in one block, and blocks of one key: what is drawn has to be gone through number by number.
MOST_NUMBERS, MOST_BLOCKS = 10**8, 10_000
#: Decoys that may share one of the carrier's lines before the summary says so: equal pseudonyms show in sealed data.
MANY_ON_A_LINE = 20
_PART = 1 << 16
_SHAPE = re.compile(r"([A-Z]{0,8})([0-9]{6,18})([A-Z]{0,4})")


class Block(NamedTuple):
    """Numbers ``letters`` + ``first`` … ``last`` in ``width`` digits + ``tail``. Those of S10 have a check digit besides."""

    letters: str
    width: int
    tail: str
    first: int
    last: int
    rate: float = DEFAULT_RATE

    @classmethod
    def between(cls, first: str, last: str, rate: float = DEFAULT_RATE) -> Block:
        """The block from one waybill number to another of the same shape. Raises UsageError."""
        low, high = _shape(first), _shape(last)
        if low is None or high is None or low[:3] != high[:3]:
            raise UsageError(
                "a block goes from one waybill number to another with the same letters and as many digits",
                hint="like YT7891230000000-YT7891230999999",
            )
        return cls(*low[:3], low[3], high[3], rate).checked()

    def checked(self) -> Block:
        """The block itself. Raises UsageError when it is empty, too large, or its rate makes no sense."""
        if not 0 < self.size <= MOST_NUMBERS:
            raise UsageError(
                "a block has from 1 to {most} numbers", hint="give several blocks", most=f"{MOST_NUMBERS:,}"
            )
        if not LEAST_RATE <= self.rate <= MOST_RATE:
            raise UsageError(
                "{option} has to be from {least} to {most}",
                hint="0.001 is one number in a thousand",
                option="--rate",
                least=f"{LEAST_RATE:.7f}",
                most=MOST_RATE,
            )
        return self

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @property
    def shape(self) -> tuple[str, int, str]:
        return self.letters, self.width, self.tail

    def overlaps(self, other: Block) -> bool:
        return self.shape == other.shape and self.first <= other.last and other.first <= self.last

    def numbers(self, start: int, stop: int) -> pa.StringArray:
        """Waybill numbers of the serials ``start`` to ``stop`` (not included)."""
        serials = np.arange(start, stop, dtype=np.int64)
        digits = pc.utf8_lpad(pa.array(serials).cast(pa.string()), self.width, "0")
        parts = [digits]
        if _is_s10(*self.shape):
            parts.append(pa.array(s10_check_digits(serials)).cast(pa.string()))
        return pc.binary_join_element_wise(self.letters, *parts, self.tail, "")

    def text(self) -> str:
        """``FIRST-LAST``."""
        return "-".join(self.numbers(serial, serial + 1)[0].as_py() for serial in (self.first, self.last))


class DecoyKey:
    """Which numbers are decoys. Its ``repr`` shows no key."""

    def __init__(self, secret: bytes, blocks: Iterable[Block] = ()) -> None:
        made = [hashlib.blake2b(what, key=secret[:64], digest_size=32).digest() for what in (b"place", b"seed", b"id")]
        self._mac, self._seed, self.key_id = Cmac(made[0]), made[1], made[2][:4].hex()
        self.blocks = tuple(blocks)
        self._most = max((_limit(block.rate) for block in self.blocks), default=0)
        self._by_shape: dict[tuple[str, int, str], list[Block]] = {}
        for block in sorted(self.blocks):
            self._by_shape.setdefault(block.shape, []).append(block)

    def __repr__(self) -> str:
        return f"<DecoyKey {self.key_id}, {len(self.blocks)} blocks>"

    def hits(self, waybill_no: pa.Array | pa.ChunkedArray) -> Bools:
        """Which of these numbers are decoys; no number is none. Letters may be small, blanks around a number do not count."""
        if not self.blocks or not len(waybill_no):
            return np.zeros(len(waybill_no), np.bool_)
        if isinstance(waybill_no, pa.ChunkedArray):
            return np.concatenate([self.hits(part) for part in waybill_no.chunks])
        if pa.types.is_dictionary(waybill_no.type):
            of = np.append(self.hits(waybill_no.dictionary), False)
            at = waybill_no.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
            return np.asarray(of[at], np.bool_)
        there = waybill_no.is_valid().to_numpy(zero_copy_only=False)
        values = pc.ascii_upper(pc.ascii_trim_whitespace(waybill_no.cast(pa.string()).fill_null("")))
        found = there & (self._drawn(values) < np.uint64(self._most))
        at = np.flatnonzero(found)  # one in a thousand
        if at.size:
            few = values.take(pa.array(at))
            drawn = self._drawn(few).tolist()
            found[at] = [self._planted(text, word) for text, word in zip(few.to_pylist(), drawn, strict=True)]
        return np.asarray(found, np.bool_)

    def planted(self, block: Block) -> Iterator[pa.StringArray]:
        """The decoys of a block, in order, in parts. Takes a tenth of a second for a million numbers."""
        limit = np.uint64(_limit(block.rate))
        for start in range(block.first, block.last + 1, _PART):
            numbers = block.numbers(start, min(start + _PART, block.last + 1))
            chosen = numbers.filter(pa.array(self._drawn(numbers) < limit))
            if len(chosen):
                yield chosen

    def seed(self, block: Block) -> int:
        """A seed for the people on a block's decoys, which nobody can tell without the key."""
        said = hashlib.blake2b(block.text().encode(), key=self._seed, digest_size=16)
        return int.from_bytes(said.digest())

    def _drawn(self, values: pa.StringArray) -> npt.NDArray[np.uint64]:
        words = np.ascontiguousarray(self._mac.column(values)[:, :8]).view(">u8").astype(np.uint64)
        return words.reshape(-1)

    def _planted(self, text: str, word: int) -> bool:
        shape = _shape(text)
        blocks = self._by_shape.get(shape[:3]) if shape else None
        if not blocks or shape is None:
            return False
        place = bisect_right(blocks, shape[3], key=lambda block: block.first) - 1
        return place >= 0 and shape[3] <= blocks[place].last and word < _limit(blocks[place].rate)


def chance_of_hit(looks: int, share: float) -> float:
    """The chance that ``looks`` different numbers, of which a ``share`` are decoys, meet at least one.

    >>> round(chance_of_hit(1000, 1e-4), 3), round(chance_of_hit(20, 1e-4), 3)
    (0.095, 0.002)
    """
    return -math.expm1(looks * math.log1p(-share))


def blocks_of(numbers: Sequence[str], rate: float = DEFAULT_RATE) -> list[Block]:
    """Unused numbers as blocks of consecutive ones. Raises UsageError for a text that is no number, or far too many blocks."""
    found: list[Block] = []
    shapes = []
    for place, text in enumerate(numbers, 1):
        shape = _shape(text.strip().upper())
        if shape is None:
            raise UsageError(
                "number {place} of the list is no waybill number", hint="it has from 6 to 18 digits", place=place
            )
        shapes.append(shape)
    for shape in sorted(set(shapes)):
        last = found[-1] if found else None
        if last is not None and last.shape == shape[:3] and last.last + 1 == shape[3]:
            found[-1] = last._replace(last=shape[3])
        else:
            found.append(Block(*shape[:3], shape[3], shape[3], rate))
    if len(found) > MOST_BLOCKS:
        raise UsageError(
            "the numbers lie in {count} pieces",
            hint=f"give at most {MOST_BLOCKS:,} pieces: blocks, not single numbers",
            count=f"{len(found):,}",
        )
    return [block.checked() for block in found]


def decoy_waybills(
    numbers: pa.StringArray, *, phones: Sequence[str], seed: int, day: date, carrier: str | None = None,
    outlets: Sequence[str] = (),
) -> pa.RecordBatch:  # fmt: skip
    """Clear waybills of :data:`~parcelveil.waybill.WAYBILL` for these numbers: invented people, the carrier's own lines.

    ``phones``: E.164, at least one; ``outlets``: ids that origin and destination are drawn from, else invented ones. E-mail
    addresses, remarks and identity numbers are left out: they could be somebody's.
    """
    if not phones:
        raise UsageError("decoys need phones that the carrier owns", hint="--phones FILE, one number a line")
    made = pa.Table.from_batches(parcels(len(numbers), seed=seed, day=day, foreign=0.0), WAYBILL)
    batch = made.combine_chunks().to_batches()[0] if len(numbers) else pa.RecordBatch.from_pylist([], WAYBILL)
    columns = {name: batch.column(name) for name in batch.schema.names}
    lines, chooser = pa.array(phones, pa.string()), np.random.Generator(np.random.PCG64(seed))
    columns["waybill_no"] = numbers
    columns["to_phone"] = lines.take(pa.array(chooser.permutation(len(numbers)) % len(phones)))
    senders = columns["from_name"].dictionary_encode().indices  # a merchant has one phone
    columns["from_phone"] = lines.take(pc.cast(pa.array(senders.to_numpy() % len(phones)), pa.int64()))
    for name in ("from_email", "to_email", "note", "sender_id_no"):
        columns[name] = pa.nulls(len(numbers), pa.string())
    columns["carrier"] = pa.array([carrier] * len(numbers), pa.string())
    if outlets:
        places = pa.array(outlets, pa.string())
        for name in ("origin_outlet", "dest_outlet"):
            columns[name] = places.take(pa.array(chooser.integers(len(outlets), size=len(numbers))))
        columns["route_id"] = pa.nulls(len(numbers), pa.string())
        columns["sort_code"] = pa.nulls(len(numbers), pa.string())
    return pa.RecordBatch.from_arrays([columns[field.name] for field in WAYBILL], schema=WAYBILL)


def _limit(rate: float) -> int:
    return int(rate * 2.0**64)


def _is_s10(letters: str, width: int, tail: str) -> bool:
    """Whether numbers of this shape are UPU S10's; the width is without the check digit."""
    return len(letters) == 2 and len(tail) == 2 and width == 8


def _shape(text: str) -> tuple[str, int, str, int] | None:
    """Letters, width, tail and serial of a waybill number; None for what has no such form, or a wrong check digit."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        return None
    letters, digits, tail = found.groups()
    if len(letters) == 2 and len(tail) == 2 and len(digits) == 9:
        serial = int(digits[:8])
        right = int(s10_check_digits(np.array([serial]))[0]) == int(digits[8])
        return (letters, 8, tail, serial) if right else None
    return letters, len(digits), tail, int(digits)
