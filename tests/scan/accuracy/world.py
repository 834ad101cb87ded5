"""A world: its people, places, goods, sentences and documents, read from a TOML file beside this module.

``tuning``, ``held_out`` and ``final`` share no word list, template or seed; only the commonest family names are in all, as
they are everywhere. Weights are fitted on ``tuning``; rules were corrected after looking at ``held_out``; nothing was changed
after looking at ``final``, which has first digits of cards of its own, too. :func:`documents` and :func:`alone` make documents with their truth::

    >>> made = alone("tuning", "phone.mobile", 3)
    >>> len(made.truths), made.data.count(b"\\n")
    (3, 3)
"""

from __future__ import annotations

import random
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from accuracy import near_misses  # noqa: F401  registers its slots
from accuracy.values import Value, Values

from parcelveil.intake.divisions import divisions

_SLOT = re.compile(r"«([^»?=]+)(?:=([^»]*))?»(?:\?([a-z_.]+))?")
#: Municipalities write their name once.
_MUNICIPAL = ("北京市", "上海市", "天津市", "重庆市")


class Truth(NamedTuple):
    """What lies at bytes ``start`` to ``end``. ``lead``: bytes of a country's code. Optional: need not be found."""

    kind: str
    start: int
    end: int
    state: str = "clear"
    lead: int = 0
    optional: bool = False


class Made(NamedTuple):
    """A document and all that is in it."""

    name: str
    format: str
    data: bytes
    truths: list[Truth]
    #: Kinds that may be found anywhere in it, neither right nor wrong.
    optional: frozenset[str] = frozenset()


@cache
def _facts(world: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(f"{world}.toml").read_text("utf-8"))


class World:
    """Fills templates with what a world has."""

    def __init__(self, world: str, seed: str) -> None:
        self.facts = _facts(world)
        self.source = random.Random(f"{world} {seed}")
        self.words: dict[str, Any] = self.facts["words"]
        self.values = Values(self.source, [*self.words.get("banks", {}).items()])
        self.row_area: tuple[str, str, str] | None = None

    def name(self, style: str) -> Value:
        """A person's name."""
        words, pick = self.words, self.source.choice
        if style == "latin":
            return Value(pick(words["latin"]), "person.name")
        if style == "ethnic" or (not style and self.source.random() < 0.01):
            return Value(pick(words["ethnic"]), "person.name")
        # Half of all people have one of the ten commonest family names.
        family = pick(words["surnames"][:10] if self.source.random() < 0.5 else words["surnames"])
        if self.source.random() < 0.015:
            family = pick(words["compound"])
        if style == "masked":
            return Value(family + pick(["*", "**", "**"]), "person.name", "masked")
        last = pick(words["given_last"])
        return Value(
            family + (last if self.source.random() < 0.18 else pick(words["given_first"]) + last), "person.name"
        )

    def area(self) -> tuple[str, str, str]:
        """Province, city, district."""
        places = divisions()
        at = self.source.randrange(len(places.districts.codes))
        city = int(places.districts.parents[at])
        province = int(places.cities.parents[city])
        return str(places.provinces.names[province]), str(places.cities.names[city]), str(places.districts.names[at])

    def address(self, style: str) -> Value:
        """An address down to the door: whole, ``short`` (without province and city), ``spaced``, ``detail`` (the street on)."""
        pick, below = self.source.choice, self.source.randrange
        floor = below(1, 30)
        door = pick(self.words["doors"]).format(
            street=pick(self.words["streets"]), estate=pick(self.words["estates"]), n=below(1, 2000), b=below(1, 40),
            u=below(1, 7), room=f"{floor}{below(1, 7):02}", letter=pick("ABCDE"), floor=floor,
        )  # fmt: skip
        if style == "detail":
            return Value(door, "address.cn")
        province, city, district = self.area()
        town = pick(self.words["towns"]) if self.source.random() < 0.35 else ""
        if style == "short":
            return Value(district + town + door, "address.cn")
        parts = [
            city if province in _MUNICIPAL else province + ("" if province == city else " " + city),
            district,
            town + door,
        ]
        if not style and self.source.random() < 0.15:  # as people write it: Guangdong without its "province"
            parts[0] = (
                parts[0].replace("省", "").replace("市", "") if parts[0].split(" ")[0] not in _MUNICIPAL else parts[0]
            )
        text = " ".join(part for part in parts if part)
        return Value(text if style == "spaced" else text.replace(" ", ""), "address.cn")

    def foreign_address(self) -> Value:
        """A US address on one line."""
        words, pick, below = self.words.get("foreign", _FOREIGN), self.source.choice, self.source.randrange
        line = f"{below(10, 9999)} {pick(words['streets'])} {pick(words['types'])}"
        if self.source.random() < 0.4:
            line += f", {pick(words['rooms'])} {below(1, 400)}"
        return Value(
            f"{line}, {pick(words['towns'])}, {pick(words['states'])} {below(10000, 99950)}", "address.foreign"
        )

    def draw(self, slot: str) -> Value:
        """The value of a slot."""
        name, _, style = slot.partition(":")
        if name in ("person.name", "person.name_prose"):
            return self.name(style)._replace(kind=name)
        if name == "address.cn":
            return self.address(style)
        if name == "address.foreign":
            return self.foreign_address()
        if name == "near.gps":
            return self.values("geo.position")._replace(kind=None)
        if name in ("province", "city_name", "district"):
            # Province, city and district of one row belong together.
            self.row_area = self.row_area or self.area()
            return Value(self.row_area[("province", "city_name", "district").index(name)])
        lists = {
            "company": "companies",
            "goods": "goods",
            "city": "cities",
            "sentence": "sentences",
            "english": "english",
        }
        if name in lists:
            return Value(self.source.choice(self.words[lists[name]]))
        return self.values(slot)


_FOREIGN = {
    "streets": ["Juniper", "Maple", "Cedar", "Harbor", "Orchard", "2nd", "Willow"],
    "types": ["St", "Ave", "Road", "Blvd", "Lane"],
    "rooms": ["Apt", "Suite", "Unit"],
    "towns": ["Fairbrook", "Springvale", "Stonehaven", "Oakridge"],
    "states": ["CA", "TX", "NY", "FL", "IL"],
}


class Draft:
    """A document in the making."""

    def __init__(self, world: World) -> None:
        self.world, self.pieces, self.truths, self.size = world, [], [], 0  # type: ignore[var-annotated]

    def say(self, text: str) -> None:
        """Add a text that is nothing."""
        data = text.encode()
        self.pieces.append(data)
        self.size += len(data)

    def put(self, value: Value, optional: str | None = None) -> None:
        """Add a value, and its truth."""
        start = self.size
        self.say(value.text)
        lead = len(value.text[: value.lead].encode())
        if value.kind is not None:
            self.truths.append(Truth(value.kind, start, self.size, value.state, lead))
        if optional is not None:
            self.truths.append(Truth(optional, start, self.size, value.state, lead, optional=True))

    def fill(self, template: str, **given: Value) -> None:
        """Add a template with its slots filled."""
        at, self.world.row_area = 0, None
        for slot in _SLOT.finditer(template):
            self.say(template[at : slot.start()])
            name, literal, optional = slot.groups()
            if name in given:
                value = given[name]
            elif literal is not None:
                kind, _, state = name.partition(":")
                value = Value(literal, None if kind == "nothing" else kind, state or "clear")
            else:
                value = self.world.draw(name)
            self.put(value, optional)
            at = slot.end()
        self.say(template[at:])

    def made(self, name: str, form: str, optional: frozenset[str] = frozenset()) -> Made:
        """The finished document."""
        return Made(name, form, b"".join(self.pieces), self.truths, optional)


def documents(world: str, seed: int = 0, scale: float = 1.0) -> list[Made]:
    """All documents of a world; ``scale`` times as many rows as its file says."""
    made = []
    for layout in _facts(world)["document"]:
        draft = Draft(World(world, f"{seed} {layout['name']}"))
        if "head" in layout:
            draft.fill(layout["head"] + "\n")
        rows, count = layout["rows"], max(len(layout["rows"]), int(layout["count"] * scale))
        order = [*range(len(rows)), *(draft.world.source.randrange(len(rows)) for _ in range(count - len(rows)))]
        for row in order:
            draft.fill(rows[row] + "\n")
        if "foot" in layout:
            draft.fill(layout["foot"] + "\n")
        made.append(draft.made(layout["name"], layout["format"], frozenset(layout.get("optional", ()))))
    return made


def kinds(world: str) -> list[str]:
    """The kinds of which a world says how they stand alone."""
    return list(_facts(world)["alone"])


def alone(world: str, kind: str, count: int, *, wrapped: bool = False, style: str = "", seed: int = 0) -> Made:
    """``count`` lines with one value each: by itself or behind its cue; ``wrapped``: the same lines, glued into Chinese."""
    facts = _facts(world)
    draft = Draft(World(world, f"{seed} alone {kind} {style}"))
    around = facts["wrapped"].get(kind, facts["wrapped"]["around"])
    slot = f"{kind}:{style}" if style else kind
    for row in range(count):
        value = draft.world.draw(slot)
        line = facts["alone"][kind][row % len(facts["alone"][kind])]
        before, after = around[(row // 3) % len(around)] if wrapped else ("", "")
        draft.fill(f"{before}{line}{after}\n", v=value)
    return draft.made(f"{kind}{' wrapped' if wrapped else ''}{' ' + style if style else ''}", "text")


#: How lines of :func:`placed` look; «h» is the header or key.
CONTEXTS = {
    "csv": ("csv", "序号,{h},状态\n", "{n},«v»,1\n"),
    "quoted csv": ("csv", '"no","{h}","state"\n', '"{n}","«v»","ok"\n'),
    "json": ("json", "", '{{"id":{n},"{h}":"«v»","ts":«near.epoch13»}}\n'),
    "log": ("text", "", "«near.time» INFO [main] seq={n} {h}=«v» cost=«near.digits5»\n"),
    "sql": ("text", "", "INSERT INTO t (id, {h}, ctime) VALUES ({n}, '«v»', «near.epoch10»);\n"),
}


def fields(world: str) -> list[str]:
    """The kinds (and styles) of which a world says how their columns are called."""
    return list(_facts(world)["fields"])


def placed(world: str, slot: str, context: str, count: int, *, seed: int = 0) -> Made:
    """``count`` values of a kind in a table, in JSON, a log or SQL, under a header or key of theirs."""
    headers = _facts(world)["fields"][slot]
    form, head, line = CONTEXTS[context]
    header = headers[{"csv": 0, "quoted csv": 1, "json": 1, "log": 2, "sql": 1}[context]]
    draft = Draft(World(world, f"{seed} placed {slot} {context}"))
    draft.say(head.format(h=header))
    for row in range(count):
        draft.fill(line.format(h=header, n=row + 1), v=draft.world.draw(slot))
    return draft.made(f"{slot} in {context}", form)


#: The file of lines written by hand that belongs to a world.
BY_HAND = {"held_out": "difficult", "final": "final_difficult"}


def difficult(seed: int = 0, world: str = "held_out") -> list[Made]:
    """The lines written by hand, one document a theme."""
    made = []
    for theme, lines in _facts(BY_HAND[world]).items():
        draft = Draft(World(world, f"{seed} difficult {theme}"))
        for line in lines:
            draft.fill(line + "\n")
        made.append(draft.made(f"difficult: {theme}", "text"))
    return made
