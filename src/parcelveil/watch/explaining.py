"""Which work explains which look: the rules of ``explains.toml``, checked and as a table of integers.

::

    rules = read_rules()                                  # the shipped ones; read_rules(Path("own.toml")) others
    table = rule_table(rules, coder.names["role"].code)   # what explain.sql joins with

A file of one's own replaces the shipped rules wholly. It is checked strictly: an unknown key, a step that names no
parcel, or a rule that could never hold is an error that says which rule. Rules are data: nothing in them is run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pyarrow as pa

from parcelveil.errors import InputError
from parcelveil.event import BizStep
from parcelveil.watch.coded import HOUR

Whom = Literal["actor", "outlet", "to_outlet", "region", "quoted", "handler"]

#: How a reason finds its looks, as the SQL has it: by account, outlet, ticket or role. ``to_outlet`` is an outlet too.
BY_ACTOR, BY_OUTLET, BY_TICKET, BY_ROLE, BY_REGION = 1, 2, 3, 4, 5
#: Hours that a rule may reach: more would mean to keep every work event for ever.
LONGEST = 90 * 24

STEPS = tuple(BizStep)
#: Codes of work steps, by name.
STEP = {str(step): place for place, step in enumerate(STEPS, 1)}

#: Which rules can hold at all. The steps left out name no parcel, and a ticket explains nothing to its opener.
_ANY = tuple(
    str(step)
    for step in STEPS
    if step not in {BizStep.ROUTE_ASSIGNED, BizStep.ROUTE_RELEASED, BizStep.TICKET_OPENED, BizStep.TICKET_CLOSED}
)
_STEPS_OF: dict[str, tuple[str, ...]] = {
    "actor": _ANY,
    "outlet": _ANY,
    "to_outlet": (str(BizStep.DEPARTED),),
    "region": _ANY,
    "quoted": (str(BizStep.TICKET_OPENED),),
    "handler": (str(BizStep.TICKET_OPENED),),
}

#: What SQL joins with: one row a rule (of ``handler``: a rule and role). ``whom``: 1 account, 2 outlet, 3 ticket, 4 role, 5 region;
#: ``onward``: 1 for the outlet that the parcel goes to; ``role``: -1 but for 4. Times in microseconds.
RULE = pa.schema(
    [
        ("number", pa.int32()),  # of the rule in its file, from 1
        ("step", pa.int8()),
        ("whom", pa.int8()),
        ("onward", pa.int8()),
        ("level", pa.int8()),
        ("before_us", pa.int64()),
        ("after_us", pa.int64()),
        ("role", pa.int32()),
    ]
)

Hours = Annotated[int, msgspec.Meta(ge=0, le=LONGEST)]
Role = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule as ``explains.toml`` describes it; ``before`` and ``after`` in hours."""

    step: BizStep
    whom: Whom
    level: Literal[0, 1, 2]
    before: Hours
    after: Hours
    roles: tuple[Role, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[dict[str, object]]


def read_rules(file: Path | None = None) -> tuple[Rule, ...]:
    """The rules of ``file``, or the shipped ones. Raises InputError, which says what is wrong with which rule."""
    name = file.name if file else "explains.toml"
    try:
        text = (file or Path(__file__).with_name("explains.toml")).read_text("utf-8")
        found = msgspec.convert(tomllib.loads(text), _File)
    except OSError as fault:
        raise InputError("{file} cannot be read: {why}", file=name, why=fault.strerror or "?") from fault
    except UnicodeDecodeError as fault:
        raise InputError("{file} is no UTF-8 text", file=name) from fault
    except tomllib.TOMLDecodeError as fault:
        raise InputError("{file} is no TOML: {why}", file=name, why=str(fault)) from fault
    except msgspec.ValidationError as fault:
        raise InputError("{file} is no list of [[rule]]: {why}", file=name, why=str(fault)) from fault
    if not found.rule:
        raise InputError("{file} has no rule: every look would be without a reason", file=name)
    return tuple(_checked(name, number, fields) for number, fields in enumerate(found.rule, 1))


def rule_table(rules: Sequence[Rule], role: Callable[[str], int]) -> pa.Table:
    """``rules`` as :data:`RULE`; ``role`` gives the code of a role, below 0 for one that no account has."""
    rows: list[tuple[int, ...]] = []
    by = {
        "actor": BY_ACTOR,
        "outlet": BY_OUTLET,
        "to_outlet": BY_OUTLET,
        "quoted": BY_TICKET,
        "handler": BY_ROLE,
        "region": BY_REGION,
    }
    for number, rule in enumerate(rules, 1):
        whom, onward = by[rule.whom], int(rule.whom == "to_outlet")
        fixed = (number, STEP[rule.step], whom, onward, rule.level, rule.before * HOUR, rule.after * HOUR)
        if whom == BY_ROLE:
            rows += [(*fixed, code) for code in sorted({role(name) for name in rule.roles}) if code >= 0]
        else:
            rows.append((*fixed, -1))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(RULE)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, RULE, strict=True)], schema=RULE)


def _checked(file: str, number: int, fields: dict[str, object]) -> Rule:
    try:
        rule = msgspec.convert(fields, Rule)
    except msgspec.ValidationError as fault:
        raise InputError("rule {number} of {file}: {why}", number=number, file=file, why=str(fault)) from fault
    if str(rule.step) not in _STEPS_OF[rule.whom]:
        template = "rule {number} of {file}: {step} cannot explain anything to {whom}"
        raise InputError(template, number=number, file=file, step=str(rule.step), whom=rule.whom)
    if (rule.level == 0) != (rule.whom == "region"):
        template = "rule {number} of {file}: level 0 belongs to region, and region to level 0; not {level} to {whom}"
        raise InputError(template, number=number, file=file, level=rule.level, whom=rule.whom)
    if bool(rule.roles) != (rule.whom == "handler"):
        template = "rule {number} of {file}: roles belong to handler, and handler needs them"
        raise InputError(template, number=number, file=file)
    return rule
