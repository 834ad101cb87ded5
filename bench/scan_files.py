"""The files that scanning is measured on, with what is in them.

::

    truth = write_dense(folder / "dense.csv", 60_000_000)    # Truth(mobiles=…, ids=…, cards=…, emails=…)
    write_sparse(folder / "sparse.py", 60_000_000)

The dense file is a hard case: 55 % are rows of waybills (two mobiles in some 210 bytes), 45 % log lines with 13-digit
epochs and 20-digit order numbers, of which some have a mobile, an id (one in five with a wrong check digit), a card or
an e-mail address; stretches of both alternate. The sparse file is Python source as it is installed beside us.
"""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from parcelveil.simulate.parcels import parcels
from parcelveil.simulate.people import ID_REGIONS, MOBILE_BLOCKS

#: Share of the bytes that are rows of waybills.
ROWS = 0.55
_STRETCH = 1 << 18
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_HEADER = (
    "waybill_no,order_ref,to_name,to_phone,to_address,from_name,from_phone,from_address,goods,weight_g,created_at\n"
)


class Truth(NamedTuple):
    """How many of each there are. ``bad_ids`` have a wrong check digit; names and addresses are those in rows."""

    mobiles: int = 0
    ids: int = 0
    bad_ids: int = 0
    cards: int = 0
    emails: int = 0
    rows: int = 0

    def plus(self, other: Truth) -> Truth:
        """The sum of both."""
        return Truth(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, count: int) -> Truth:
        """So often the same."""
        return Truth(*(value * count for value in self))


def mobile(source: random.Random) -> str:
    """A mobile from blocks without subscribers."""
    return f"{source.choice(MOBILE_BLOCKS)}{source.randrange(10**8):08}"


def resident_id(source: random.Random, *, good: bool = True) -> str:
    """An id of a region that has no people."""
    body = f"{source.choice(ID_REGIONS)}{source.randrange(1950, 2008)}{source.randrange(1, 13):02}{source.randrange(1, 29):02}"
    body += f"{source.randrange(1000):03}"
    place = (sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) + (not good)) % 11
    return body + "10X98765432"[place]


def card(source: random.Random) -> str:
    """A card number of a Chinese bank, 16 or 19 digits."""
    body = source.choice(("622202", "622848", "621700")) + "".join(
        source.choices("0123456789", k=source.choice((9, 12)))
    )
    total = 0
    for place, digit in enumerate(reversed(body)):
        number = int(digit) * (2 - place % 2)
        total += number - 9 if number > 9 else number
    return body + str(-total % 10)


def _rows(seed: int) -> Iterator[tuple[bytes, Truth]]:
    """Rows of waybills for ever. Privacy numbers and landlines are turned into mobiles: every engine counts the same."""
    source = random.Random(f"rows {seed}")
    names = ("waybill_no", "order_ref", "to_name", "to_region", "to_city", "to_district", "to_address", "from_name", "from_city", "from_district", "from_address", "goods_name",
             "weight_g", "created_at")  # fmt: skip
    for batch in parcels(1 << 30, seed=seed, foreign=0.0, batch_rows=20_000):
        columns = [batch.column(name).to_pylist() for name in names]
        for (
            number,
            order,
            to,
            region,
            city,
            district,
            address,
            sender,
            own_city,
            own_district,
            own,
            goods,
            weight,
            created,
        ) in zip(*columns, strict=True):
            origin = f"{own_city or ''}{own_district or ''}{own or ''}".replace(",", " ").replace('"', "")
            place = f"{region or ''}{city or ''}{district or ''}{address or ''}".replace(",", " ").replace('"', "")
            row = f"{number},{order},{to},{mobile(source)},{place},{sender},{mobile(source)},{origin},{goods},{weight},{created:%Y-%m-%d %H:%M:%S}\n"
            yield row.encode(), Truth(mobiles=2, rows=1)


def _lines(seed: int) -> Iterator[tuple[bytes, Truth]]:
    """Log lines for ever."""
    source = random.Random(f"lines {seed}")
    while True:
        epoch, order = source.randrange(1_600_000_000_000, 1_790_000_000_000), source.randrange(10**19, 10**20)
        head = f"{epoch} INFO [worker-{source.randrange(32)}] order={order} trace={source.getrandbits(64):016x} cost={source.random():.6f} "
        kind = source.random()
        if kind < 0.36:
            text, truth = f"sms sent to {mobile(source)} status=ok", Truth(mobiles=1)
        elif kind < 0.42:
            text, truth = f"实名认证 身份证号{resident_id(source)}，电话{mobile(source)}通过", Truth(mobiles=1, ids=1)
        elif kind < 0.432:
            text, truth = f"实名认证失败 no={resident_id(source, good=False)} code=1003", Truth(bad_ids=1)
        elif kind < 0.455:
            text, truth = f"refund to card {card(source)} done", Truth(cards=1)
        elif kind < 0.52:
            text, truth = f"mail to user{source.randrange(10**6)}@example.com queued", Truth(emails=1)
        else:
            text, truth = (
                f"routed shard={source.randrange(512)} offset={source.randrange(10**11, 10**12)} retry={source.randrange(3)}",
                Truth(),
            )
        yield f"{head}{text}\n".encode(), truth


def dense(size: int, seed: int = 0) -> tuple[bytes, Truth]:
    """About ``size`` bytes, and what is in them."""
    rows, lines = _rows(seed), _lines(seed)
    pieces, made, truth, of_rows = [_HEADER.encode()], len(_HEADER), Truth(), 0
    while made < size:
        source, stretch = (rows, True) if of_rows < ROWS * (made + 1) else (lines, False)
        begun = made
        while made - begun < min(_STRETCH, size // 8):
            piece, found = next(source)
            pieces.append(piece)
            made += len(piece)
            truth = truth.plus(found) if any(found) else truth
        of_rows += (made - begun) * stretch
    return b"".join(pieces), truth


def write_sparse(path: Path, size: int) -> None:
    """Python source of the installed packages, again and again if there is too little."""
    files = sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py"))
    made = 0
    with path.open("wb") as file:
        for source in cycle(files):
            data = source.read_bytes()[: size - made]
            file.write(data)
            made += len(data)
            if made >= size:
                return
