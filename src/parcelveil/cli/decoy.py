"""``parcelveil decoy``: waybills that belong to no parcel, so that whoever looks at one is harvesting."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli.language import say
from parcelveil.cli.terminal import Where, summary
from parcelveil.errors import InputError, UsageError

if TYPE_CHECKING:
    from parcelveil.ports import DecoyRow
    from parcelveil.watch.decoys import Block, DecoyKey
    from parcelveil.workspace import Workspace

app = App(
    name="decoy",
    help="Plant waybills that belong to no parcel: whoever looks at one is told of at once.\n\n"
    "Which numbers are decoys only the workspace's key says; nobody can read it off the data. They have to be taken from "
    "numbers that are never issued to parcels.",
)
_LARGEST_LIST = 64 * 1024 * 1024


@app.command
def plant(
    *blocks: str,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    phones: Path,
    unused: Path | None = None,
    rate: float = 1e-3,
    carrier: str | None = None,
    outlets: Path | None = None,
    day: str | None = None,
    country: str = "CN",
    force: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Choose decoys in blocks of unused numbers, and write their waybills: to be sealed and stored like all others.

    Example: parcelveil decoy plant YT7891230000000-YT7891230999999 --phones lines.txt -o decoys.parquet

    Parameters
    ----------
    blocks
        Blocks FIRST-LAST of numbers that will not be issued to parcels.
    output
        File for the waybills, in clear; it is readable for its owner only.
    phones
        File with phone numbers of lines that the carrier owns, one a line: somebody may call them.
    unused
        File with unused numbers, one a line, instead of blocks or beside them.
    rate
        Share of the numbers that become decoys.
    carrier
        The carrier's code, as your waybills have it.
    outlets
        File with outlets that the waybills come from and go to, one a line.
    day
        The day (2026-11-23) they seem to be made on. Default: today.
    country
        Where phone numbers without a country code belong.
    force
        Overwrite an existing output.
    json
        Summary as one JSON object on standard output.
    where
        Which workspace.
    """
    import pyarrow as pa

    from parcelveil.adapt.sink import open_sink
    from parcelveil.audit.entry import Watch
    from parcelveil.watch.decoys import MANY_ON_A_LINE, Block, blocks_of, decoy_waybills
    from parcelveil.waybill import WAYBILL

    fresh = [Block.between(*_ends(text), rate) for text in blocks]
    if unused is not None:
        fresh += [block._replace(rate=rate) for block in blocks_of(_lines(unused), rate)]
    if not fresh:
        raise UsageError("decoys in which numbers?", hint="name blocks like YT7891230000000-YT7891230999999")
    lines, places = _phones(phones, country), _lines(outlets) if outlets is not None else []
    with (where or Where()).open() as workspace:
        chosen_day = _day(day, workspace)
        key = decoy_key(workspace)
        _free(fresh, key.blocks)
        planted = 0
        with open_sink(output, WAYBILL, force=force) as sink:
            for block in fresh:
                numbers = list(key.planted(block))
                if not numbers:
                    continue
                one = pa.concat_arrays(numbers)
                planted += len(one)
                sink.write(
                    decoy_waybills(
                        one, phones=lines, seed=key.seed(block), day=chosen_day, carrier=carrier, outlets=places
                    )
                )
            with workspace.log.begin() as batch:  # known as decoys before anybody can look at them
                batch.tx.add_decoys([_row(block, key.key_id, batch.time) for block in fresh])
                batch.append(Watch(time=batch.time, action="decoys-planted", decoys=planted, key=key.key_id))
            sink.commit()
    total = sum(block.size for block in fresh)
    share = planted / total
    told = [
        say("{decoys} decoys among {numbers} numbers, in {file}: seal them, and never issue these numbers").format(
            decoys=f"{planted:,}", numbers=f"{total:,}", file=output
        ),
        *_chances(share),
    ]
    if planted > MANY_ON_A_LINE * len(lines):
        told.append(
            say("each phone line is on about {count} decoys: more lines make them harder to tell").format(
                count=f"{planted // len(lines):,}"
            )
        )
    facts = {"decoys": planted, "numbers": total, "share": share, "key": key.key_id, "lines": len(lines)}
    summary(facts, told, as_json=json)


@app.command(name="list")
def list_(*, numbers: bool = False, json: bool = False, where: Where | None = None) -> None:
    """List the blocks that decoys were planted in, and what a harvester's chances are. Logged.

    Parameters
    ----------
    numbers
        Name each decoy too, by its number and the pseudonym that alerts show. Keep that list to yourself.
    json
        As JSON.
    where
        Which workspace.
    """
    import json as json_of

    from parcelveil.audit.entry import Watch
    from parcelveil.cli.output import listed

    with (where or Where()).open() as workspace:
        key = decoy_key(workspace)
        rows = [
            {"block": block.text(), "numbers": block.size, "rate": block.rate, "about": round(block.size * block.rate)}
            for block in key.blocks
        ]
        named = []
        if numbers:
            found = list(_pseudonyms(workspace, key))
            with workspace.log.begin() as batch:
                batch.append(Watch(time=batch.time, action="decoys-listed", decoys=len(found), key=key.key_id))
            named = [{"waybill_no": number, "parcel": parcel} for number, parcel in found]
    if json:
        print(json_of.dumps({"blocks": rows, "decoys": named} if numbers else {"blocks": rows}, ensure_ascii=False))
        return
    listed(rows, say("no decoys were planted"), as_json=False)
    if named:
        print()
        listed(named, "", as_json=False)
    total = sum(int(block.size) for block in key.blocks)
    if total:
        print("\n".join(_chances(sum(block.size * block.rate for block in key.blocks) / total)), file=sys.stderr)


def decoy_key(workspace: Workspace) -> DecoyKey:
    """The workspace's decoy key with its blocks."""
    from parcelveil.watch.decoys import Block, DecoyKey

    with workspace.store.reading() as tx:
        rows = tx.decoys()
    return DecoyKey(
        workspace.ring.secret("decoy"),
        [Block(row.letters, row.width, row.tail, row.first, row.last, row.rate) for row in rows],
    )


def _pseudonyms(workspace: Workspace, key: DecoyKey) -> list[tuple[str, str]]:
    """Each decoy's number, and its pseudonym as alerts show it."""
    from parcelveil.watch.coded import Coder, pseudonym_text

    coder = Coder(workspace.ring.secret("watch"))
    found = []
    for block in key.blocks:
        for part in key.planted(block):
            codes, _ = coder.waybills(part)
            found += list(zip(part.to_pylist(), map(pseudonym_text, codes.tolist()), strict=True))
    return found


def _row(block: Block, key_id: str, time: int) -> DecoyRow:
    from parcelveil.ports import DecoyRow

    return DecoyRow(*block[:5], rate=block.rate, key_id=key_id, planted_at=time)


def _free(fresh: list[Block], known: tuple[Block, ...]) -> None:
    """Raise UsageError when blocks overlap each other, or those that were planted before."""
    for place, block in enumerate(fresh):
        if any(block.overlaps(other) for other in (*known, *fresh[:place])):
            raise UsageError(
                "{block} overlaps another block", hint="'parcelveil decoy list' shows them", block=block.text()
            )


def _chances(share: float) -> list[str]:
    """How likely so many looks meet a decoy."""
    from parcelveil.watch.decoys import chance_of_hit

    told = ", ".join(f"{looks:,}: {100 * chance_of_hit(looks, share):.1f} %" for looks in (20, 200, 1000, 10_000))
    return [
        say("chance that so many looks into these numbers meet one: {chances}; a false alarm: none").format(
            chances=told
        )
    ]


def _ends(text: str) -> tuple[str, str]:
    first, dash, last = text.strip().upper().partition("-")
    if not dash:
        last = first
    return first, last


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_LIST + 1)
        text = data.decode("utf-8-sig")
    except OSError:
        raise InputError("{file} cannot be read", hint="check the path", file=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("{file} is no UTF-8 text", hint="one number a line", file=str(path)) from None
    if len(data) > _LARGEST_LIST:
        raise InputError("{file} is too long", hint="give blocks instead of single numbers", file=str(path))
    return [line.strip() for line in text.splitlines() if line.strip()]


def _phones(path: Path, country: str) -> list[str]:
    """The carrier's own lines, in E.164. Raises InputError, which names the line and not the number."""
    import pyarrow as pa

    from parcelveil.intake.phone import is_e164, normalise_phones

    lines = _lines(path)
    if not lines:
        raise InputError("{file} is empty", hint="one phone number of the carrier a line", file=str(path))
    taken = normalise_phones(pa.array(lines, pa.string()), country)
    right = is_e164(taken.values).to_pylist()
    for place, (good, problem) in enumerate(zip(right, taken.problems.to_pylist(), strict=True), 1):
        if problem is not None or not good:
            raise InputError(
                "line {line} of {file} is no phone number", hint="one number a line", line=place, file=str(path)
            )
    return list(dict.fromkeys(taken.values.to_pylist()))


def _day(day: str | None, workspace: Workspace) -> date:
    from datetime import timedelta

    if day is None:
        return (workspace.clock.now() + timedelta(minutes=workspace.settings.utc_offset_minutes)).date()
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise UsageError("{text} is not a day", hint="write it like 2026-11-23", text=day) from None
