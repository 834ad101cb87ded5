"""Who attacks, how, how much, from when: a plan is a TOML file, and gives a list of :class:`Attack`.

::

    [[attacker]]
    strategy = "slow"         # a table of catalogue.toml
    knowledge = [0, 1, 2, 3]  # a list: one attack for each of its entries, and for each of those of rate
    rate = [5, 10]            # records a day and account, on average
    start_day = [28, 35]      # day of the simulation, from 0; two numbers: drawn between them, both included
    days = 14                 # that it goes on
    role = "courier"          # of the account; left out: the fitting roles of catalogue.toml
    count = 3                 # attacks of each kind
    accounts = 2              # that work together

Everything but ``strategy`` may be left out. ::

    >>> plan = read_plan('[[attacker]]\\nstrategy = "slow"\\nrate = [5, 10]\\ncount = 2', seed=7, days=56)
    >>> [(attack.number, attack.strategy.name, attack.rate) for attack in plan]
    [(1, 'slow', 5.0), (2, 'slow', 5.0), (3, 'slow', 10.0), (4, 'slow', 10.0)]

**Knowledge** of an attacker: 0 naive; 1 knows the kind of rules there are, so it keeps to its shift, device and own speed and
avoids round numbers; 2 sees each day a score of its own (:mod:`parcelveil.simulate.attack.oracle`) and takes less when that
is high; 3 knows everything: it takes what its outlet's work explains, leaves out days, and copies its own rhythm of work.

A day that is left out is drawn: in the second half of the simulation, so that a detector has seen the account's own days
before, and early enough for all days of the attack where there is room. Plans that come with the package: :data:`SHIPPED`.
"""

from __future__ import annotations

import itertools
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import msgspec

from parcelveil.errors import InputError, UsageError
from parcelveil.simulate.draw import Draw

#: Plans that come with the package, by the name that ``--attackers`` takes; ``none`` is a plan without attackers.
SHIPPED = ("none", "demo", "tuning")
#: Roles that an account may have.
ROLES = ("courier", "clerk", "sorter", "service", "analyst", "admin", "owner", "partner")
#: More attacks than this in one plan are a slip of the hand.
MOST = 10_000
#: Stream of random words of plans; see :class:`~parcelveil.simulate.draw.Draw`.
STREAM = 0x5A1

_Rate = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
_Day = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
_Knowledge = Annotated[int, msgspec.Meta(ge=0, le=3)]


class Strategy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of ``catalogue.toml``."""

    name: str
    roles: tuple[str, ...]
    rate: float
    days: int
    seen: str
    income: float
    says: str
    accounts: int = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[attacker]]`` of a plan as it is written."""

    strategy: str
    knowledge: _Knowledge | Annotated[list[_Knowledge], msgspec.Meta(min_length=1)] = 0
    rate: _Rate | Annotated[list[_Rate], msgspec.Meta(min_length=1)] | None = None
    start_day: _Day | Annotated[list[_Day], msgspec.Meta(min_length=2, max_length=2)] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    role: str | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 1
    accounts: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """One attack, its first day fixed. ``stop`` is the day after its last."""

    number: int
    strategy: Strategy
    knowledge: int
    rate: float
    start: int
    stop: int
    roles: tuple[str, ...]
    accounts: int


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    attacker: list[Entry] = []


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Strategy]:
    """Every strategy, by name."""
    text = files("parcelveil.simulate.attack").joinpath("catalogue.toml").read_text("utf-8")
    return {
        name: msgspec.convert({"name": name, **table}, Strategy, strict=False)
        for name, table in tomllib.loads(text).items()
    }


def load_plan(source: str, *, seed: int, days: int) -> list[Attack]:
    """The attacks of a shipped plan (:data:`SHIPPED`) or of a file, for a simulation of ``days`` days.

    Raises InputError for a file that cannot be read or says what no plan says, UsageError where ``days`` is none.
    """
    if days < 1:
        raise UsageError("{name} must be at least {low}", name="days", low=1)
    if source == "none":
        return []
    if source in SHIPPED:
        text = files("parcelveil.simulate.attack").joinpath("plans", f"{source}.toml").read_text("utf-8")
        return read_plan(text, seed=seed, days=days, name=f"{source}.toml")
    path = Path(source)
    try:
        if path.stat().st_size > 4_000_000:
            raise InputError("{file} is too large to be a plan", hint=_SEE, file=path.name)
        return read_plan(path.read_text("utf-8"), seed=seed, days=days, name=path.name)
    except UnicodeDecodeError:
        raise InputError("{file} is no UTF-8 text", hint=_SEE, file=path.name) from None
    except (OSError, ValueError):  # ValueError: a path with a zero byte
        raise InputError(
            "the plan {file} cannot be read",
            hint="write the path of a plan, or one of: {names}",
            file=path.name,
            names=", ".join(SHIPPED),
        ) from None


_SEE = "docs/simulate.md shows what a plan looks like"


def read_plan(text: str, *, seed: int, days: int, name: str = "the plan") -> list[Attack]:
    """The attacks of a plan's ``text``, in its order.

    Raises InputError where the text is no TOML, a key or strategy does not exist, or a value is out of its range.
    """
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("{file} is no TOML: {why}", hint=_SEE, file=name, why=str(error)) from None
    _known_keys(written, name)
    try:
        plan = msgspec.convert(written, _Plan)
    except msgspec.ValidationError as error:
        raise InputError("{file} does not fit: {why}", hint=_SEE, file=name, why=str(error)) from None
    attacks: list[Attack] = []
    for place, entry in enumerate(plan.attacker, 1):
        attacks += _spread(entry, place, len(attacks) + 1, seed=seed, days=days, name=name)
    return attacks


def _known_keys(written: dict[str, Any], name: str) -> None:
    """Name a key that was misspelt, and those that there are: a schema's message says neither."""
    keys = Entry.__struct_fields__
    for key in written:
        if key != "attacker":
            raise InputError(
                "{file}: there is no key {key}",
                hint="a plan has [[attacker]] tables only",
                file=name,
                key=_shown(key),
            )
    entries = written.get("attacker", [])
    for entry in entries if isinstance(entries, list) else []:
        for key in entry if isinstance(entry, dict) else []:
            if key not in keys:
                raise InputError(
                    "{file}: there is no key {key}",
                    hint="an attacker has: {names}",
                    file=name,
                    key=_shown(key),
                    names=", ".join(keys),
                )


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _spread(entry: Entry, place: int, number: int, *, seed: int, days: int, name: str) -> list[Attack]:
    """One entry's attacks: each rate with each knowledge, ``count`` times."""
    strategies = catalogue()
    if entry.strategy not in strategies:
        raise InputError(
            "{file}: there is no strategy {key}",
            hint="there are: {names}",
            file=name,
            key=_shown(entry.strategy),
            names=", ".join(strategies),
        )
    strategy = strategies[entry.strategy]
    roles = strategy.roles if entry.role is None else (entry.role,)
    if entry.role is not None and entry.role not in ROLES:
        raise InputError(
            "{file}: there is no role {key}",
            hint="there are: {names}",
            file=name,
            key=_shown(entry.role),
            names=", ".join(ROLES),
        )
    if entry.role is not None and not strategy.roles:
        raise InputError(
            "{file}: {key} comes from outside",
            hint="leave role out: nobody of the staff does it",
            file=name,
            key=strategy.name,
        )
    if entry.accounts is not None and strategy.accounts == 1:
        raise InputError(
            "{file}: {key} is done by one alone",
            hint="leave accounts out; count makes more attacks of a kind",
            file=name,
            key=strategy.name,
        )
    lasts = entry.days or strategy.days
    low, high = _start(entry.start_day, lasts, days)
    if low > high:
        raise InputError(
            "{file}: start_day of attacker {place} runs backwards",
            hint="write the earlier day first",
            file=name,
            place=place,
        )
    if high >= days:
        raise InputError(
            "{file}: attacker {place} starts on day {day}, and the simulation has {days} days",
            hint="days count from 0; lower start_day, or simulate more days",
            file=name,
            place=place,
            day=high,
            days=days,
        )
    rates, levels = _several(strategy.rate if entry.rate is None else entry.rate), _several(entry.knowledge)
    if number - 1 + len(rates) * len(levels) * entry.count > MOST:
        raise InputError("{file} has more than {most} attacks", hint="lower count", file=name, most=MOST)
    kinds = [kind for kind in itertools.product(rates, levels) for _ in range(entry.count)]
    first = low + Draw(seed, STREAM, place).below(high - low + 1, len(kinds))
    return [
        Attack(
            number=number + at,
            strategy=strategy,
            knowledge=knowledge,
            rate=float(rate),
            start=start,
            stop=min(start + lasts, days),
            roles=roles,
            accounts=entry.accounts or strategy.accounts,
        )
        for at, ((rate, knowledge), start) in enumerate(zip(kinds, first.tolist(), strict=True))
    ]


def _start(written: int | list[int] | None, lasts: int, days: int) -> tuple[int, int]:
    """First and last day on which the attack may start."""
    if written is None:
        return days // 2, max(days // 2, days - lasts)
    if isinstance(written, int):
        return written, written
    return written[0], written[1]
