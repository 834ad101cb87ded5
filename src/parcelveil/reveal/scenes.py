"""The purposes for which personal data may be seen, and their limits, as ``scenes.toml`` says them.

::

    >>> scenes = parse_scenes(default_text())
    >>> scenes["contact"].fields_for("courier"), scenes["contact"].custody_for("courier")
    (('to_phone',), ('on_route',))
    >>> scenes["deliver"].batch, scenes["deliver"].quota_actor_day
    (100, 300)
    >>> scenes.exclusive_duties(["auditor", "courier", "salt_keeper"])
    ('auditor', 'salt_keeper')

A *scene* fixes the fields that each role may see, where the parcel has to be, in which form values are shown, how many
waybills a request and a day may have, and whether a ticket, a document or a second person is needed: the scenes of
Taobao's OAID interface (``taobao.top.oaid.decrypt``), with custody added, for decryption to print labels is how labels
are cracked. Whatever cannot hold together is a :class:`~parcelveil.errors.PolicyError` that names scene and setting:
no scene is without a limit, none prints, clear values need custody or a paper, exports need two.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from parcelveil.errors import PolicyError
from parcelveil.waybill import WAYBILL, has_pseudonym, kind_of, personal_fields

FORMAT = "parcelveil.scenes.v1"
ACTIONS = ("look", "search", "export")
FORMS = ("full", "masked")
#: Where a parcel can be, as the custody index answers. ``none`` stands alone and asks nothing.
CUSTODY = ("on_route", "at_outlet", "handled", "ticket")
NEEDS = ("ticket", "document", "second_person")
#: The personal columns of a waybill, in its order.
FIELDS: tuple[str, ...] = tuple(field.name for field in personal_fields(WAYBILL))
#: Roles that the desk itself asks for; a file without them would leave nobody to do it.
OFFICES = ("administrator", "approver", "policy_author", "policy_approver", "auditor", "salt_keeper")
#: Pairs that no file may leave out: with either in one hand, the other records and rules prove nothing.
ALWAYS_EXCLUSIVE = (("policy_author", "policy_approver"), ("auditor", "salt_keeper"))

#: A limit that nobody reaches is none. These are far above any day's work.
MOST_BATCH = 10_000
MOST_ACTOR_DAY = 100_000
MOST_OUTLET_DAY = 10_000_000
MOST_MINUTES = 7 * 24 * 60
MOST_BYTES = 262_144
MOST_NAMES = 60

_ID_SCENES = frozenset({"customs", "lawful_request"})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LONGEST_WORDS = 200
_SHOWN = 40


class Terms(msgspec.Struct, frozen=True):
    """What one role gets in one scene. ``custody``: any one of them is enough; empty when there is no condition."""

    fields: tuple[str, ...]
    custody: tuple[str, ...]


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role's names, and whether it works at an outlet, which it then has to name."""

    en: str
    zh: str
    outlet: bool = False


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One purpose. Quotas count waybills a day, of a search the searches; ``quota_outlet_day`` 0 is none."""

    name: str
    en: str
    zh: str
    action: str
    forms: tuple[str, ...]
    batch: int
    quota_actor_day: int
    quota_outlet_day: int
    needs: tuple[str, ...]
    approval_minutes: int  # how long a second person's approval holds; 0 when none is needed
    roles: Mapping[str, Terms]

    def fields_for(self, role: str) -> tuple[str, ...]:
        """The fields ``role`` may see here, in the waybill's order; none when it has no part in the scene."""
        return self.roles[role].fields if role in self.roles else ()

    def custody_for(self, role: str) -> tuple[str, ...]:
        """Where the parcel has to be for ``role``, any of them. Empty means no condition, also for roles not here."""
        return self.roles[role].custody if role in self.roles else ()

    def purpose(self, language: str = "en") -> str:
        """The purpose in words, ``"en"`` or ``"zh"``."""
        return self.zh if language == "zh" else self.en


class Scenes(msgspec.Struct, frozen=True):
    """All scenes by name, in the file's order; the roles; and the pairs of roles that exclude each other."""

    by_name: Mapping[str, Scene]
    roles: Mapping[str, Role]
    exclusive: tuple[tuple[str, str], ...]

    def __getitem__(self, name: str) -> Scene:
        return self.by_name[name]

    def get(self, name: str) -> Scene | None:
        """The scene of that name, or None."""
        return self.by_name.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)

    def exclusive_duties(self, roles: Iterable[str]) -> tuple[str, str] | None:
        """The first pair of ``roles`` that no one person may hold, or None."""
        held = set(roles)
        return next((pair for pair in self.exclusive if held.issuperset(pair)), None)


class _Terms(msgspec.Struct, frozen=True):
    custody: str | list[str]
    fields: list[str] | None = None


class _Scene(msgspec.Struct, frozen=True):
    en: str
    zh: str
    forms: list[str]
    batch: int
    quota_actor_day: int
    roles: dict[str, Any]
    action: str = "look"
    quota_outlet_day: int | None = None
    needs: list[str] = []
    approval_minutes: int | None = None
    fields: list[str] | None = None


class _Duties(msgspec.Struct, frozen=True):
    exclusive: list[tuple[str, str]]


class _File(msgspec.Struct, frozen=True):
    format: str
    roles: dict[str, Any]
    duties: dict[str, Any]
    scenes: dict[str, Any]


_Table = TypeVar("_Table", bound=msgspec.Struct)


def default_text() -> str:
    """The ``scenes.toml`` that comes with parcelveil."""
    return files("parcelveil.reveal").joinpath("defaults/scenes.toml").read_text("utf-8")


def parse_scenes(text: str) -> Scenes:
    """The scenes that ``text`` says. Raises :class:`~parcelveil.errors.PolicyError` for the first thing wrong with it."""
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise PolicyError(
            "the scenes are longer than {most} bytes", hint="scenes need a few kilobytes", most=MOST_BYTES
        )
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        why = "tables or lists nested too deep" if isinstance(error, RecursionError) else _shown(str(error), 120)
        raise PolicyError("the scenes are no TOML: {why}", hint="see docs/scenes.md for the form", why=why) from None
    file = _table(content, _File, "the file")
    if file.format != FORMAT:
        raise PolicyError('the scenes have to begin with format = "{format}"', hint="add the line", format=FORMAT)
    _few(file.roles, "roles")
    _few(file.scenes, "scenes")
    roles = {name: _role(name, value) for name, value in file.roles.items()}
    for office in OFFICES:
        if office not in roles:
            raise PolicyError("the role {role} is missing", hint="the desk asks for it by this name", role=office)
    exclusive = _exclusive(_table(file.duties, _Duties, "duties"), roles)
    return Scenes({name: _scene(name, value, roles) for name, value in file.scenes.items()}, roles, exclusive)


def _role(name: str, value: object) -> Role:
    where = _named("role", name)
    role = _table(value, Role, where)
    _words(role.en, f"{where}: en")
    _words(role.zh, f"{where}: zh")
    return role


def _exclusive(duties: _Duties, roles: Mapping[str, Role]) -> tuple[tuple[str, str], ...]:
    for pair in duties.exclusive:
        for role in pair:
            _one_of(role, roles, "duties", "role")
        if pair[0] == pair[1]:
            raise PolicyError("duties: {role} excludes itself", hint="name two roles", role=pair[0])
    for pair in ALWAYS_EXCLUSIVE:
        if not any(set(pair) == set(found) for found in duties.exclusive):
            raise PolicyError(
                "duties: {one} and {other} have to exclude each other",
                hint='add ["{one}", "{other}"]',
                one=pair[0],
                other=pair[1],
            )
    return tuple((first, second) for first, second in duties.exclusive)


def _scene(name: str, value: object, roles: Mapping[str, Role]) -> Scene:
    where = _named("scene", name)
    if "print" in name:
        raise PolicyError(
            "{where}: there is no scene for printing",
            hint="labels carry masked text and need no look; printing clear values is how labels are cracked",
            where=where,
        )
    raw = _table(value, _Scene, where)
    _words(raw.en, f"{where}: en")
    _words(raw.zh, f"{where}: zh")
    _one_of(raw.action, ACTIONS, where, "action")
    if not raw.roles:
        raise PolicyError("{where}: it names no role", hint="name who may use it, under roles", where=where)
    scene = Scene(
        name=name,
        en=raw.en,
        zh=raw.zh,
        action=raw.action,
        forms=_ordered(raw.forms, FORMS, where, "form"),
        batch=_within(raw.batch, MOST_BATCH, where, "batch"),
        quota_actor_day=_within(raw.quota_actor_day, MOST_ACTOR_DAY, where, "quota_actor_day"),
        quota_outlet_day=_within(raw.quota_outlet_day, MOST_OUTLET_DAY, where, "quota_outlet_day"),
        needs=_ordered(raw.needs, NEEDS, where, "need", empty=True),
        approval_minutes=_within(raw.approval_minutes, MOST_MINUTES, where, "approval_minutes"),
        roles={role: _terms(role, terms, raw.fields, roles, where) for role, terms in raw.roles.items()},
    )
    _check(scene, where)
    return scene


def _terms(role: str, value: object, scene_fields: list[str] | None, roles: Mapping[str, Role], where: str) -> Terms:
    _one_of(role, roles, where, "role")
    where = f"{where}, role {role}"
    raw = _table(value, _Terms, where)
    names = raw.fields if raw.fields is not None else scene_fields
    if names is None:
        raise PolicyError("{where}: it says no fields", hint="list them here, or once for the scene", where=where)
    fields = _ordered(names, FIELDS, where, "field")
    custody = [raw.custody] if isinstance(raw.custody, str) else raw.custody
    if custody == ["none"]:
        return Terms(fields, ())
    if "none" in custody:
        raise PolicyError("{where}: none stands alone under custody", hint="strike one or the other", where=where)
    return Terms(fields, _ordered(custody, CUSTODY, where, "custody condition"))


def _check(scene: Scene, where: str) -> None:
    """What has to hold of every scene, whoever writes it."""

    def refuse(template: str, hint: str, **values: object) -> PolicyError:
        return PolicyError("{where}: " + template, hint=hint, where=where, **values)

    two = "second_person" in scene.needs
    if scene.batch > scene.quota_actor_day:
        raise refuse("one request may have more than a day's quota", "make batch the smaller of the two")
    if two != bool(scene.approval_minutes):
        raise refuse("second_person and approval_minutes go together", "give both or neither")
    if (scene.action == "export" or scene.name in {"export", "lawful_request"}) and not two:
        raise refuse("it needs a second person", 'add "second_person" to needs')
    if scene.name == "lawful_request" and "document" not in scene.needs:
        raise refuse("it needs the authority's document", 'add "document" to needs')
    for role, terms in scene.roles.items():
        for field in terms.fields:
            if kind_of(WAYBILL.field(field)) == "id_number" and scene.name not in _ID_SCENES:
                raise refuse(
                    "{field} is for customs and lawful requests only", "strike it for {role}", field=field, role=role
                )
            if scene.action == "search" and not has_pseudonym(WAYBILL.field(field)):
                raise refuse("nobody can search by {field}", "phones, e-mails and addresses only", field=field)
        if "full" in scene.forms and not terms.custody and not scene.needs:
            raise refuse(
                "{role} would see clear values of any parcel",
                "name a custody condition, or a ticket, document or second person under needs; or show masks only",
                role=role,
            )


def _table(value: object, kind: type[_Table], where: str) -> _Table:
    """``value`` as a ``kind``; unknown, missing and ill-typed settings are named."""
    if not isinstance(value, dict):
        raise PolicyError("{where} has to be a table of settings", hint="see docs/scenes.md", where=where)
    known = kind.__struct_fields__
    for key in value:
        if key not in known:
            raise PolicyError(
                '{where}: "{key}" is no setting', hint="{meant}", where=where, key=_shown(key), meant=_meant(key, known)
            )
    required = known[: len(known) - len(kind.__struct_defaults__)]
    for key in required:
        if key not in value:
            limit = key.startswith(("quota", "batch"))
            hint = "no scene is without a limit: add {key}" if limit else "add {key}"
            raise PolicyError("{where} has no {key}", hint=hint, where=where, key=key)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise PolicyError(
            "{where}: {why}", hint="see docs/scenes.md for the form", where=where, why=_shown(str(error), 120)
        ) from None


def _named(what: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise PolicyError(
            '{what} "{name}": a name has small letters, digits and _ only, 32 at the most',
            hint="rename it; en and zh are for people",
            what=what,
            name=_shown(name),
        )
    return f"{what} {name}"


def _few(table: Mapping[str, object], what: str) -> None:
    if not 0 < len(table) <= MOST_NAMES:
        raise PolicyError("there have to be 1 to {most} {what}", hint="strike some", most=MOST_NAMES, what=what)


def _words(text: str, where: str) -> None:
    if not (text.strip() and len(text) <= _LONGEST_WORDS and text.isprintable()):
        raise PolicyError(
            "{where}: one line of at most {most} characters", hint="shorten it", where=where, most=_LONGEST_WORDS
        )


def _one_of(name: str, known: Iterable[str], where: str, what: str) -> None:
    known = list(known)
    if name not in known:
        raise PolicyError(
            '{where}: unknown {what} "{name}"',
            hint="{meant}",
            where=where,
            what=what,
            name=_shown(name),
            meant=_meant(name, known),
        )


def _ordered(
    names: list[str], known: tuple[str, ...], where: str, what: str, *, empty: bool = False
) -> tuple[str, ...]:
    for name in names:
        _one_of(name, known, where, what)
    if len(set(names)) < len(names):
        raise PolicyError("{where}: a {what} stands there twice", hint="strike one", where=where, what=what)
    if not names and not empty:
        raise PolicyError(
            "{where}: no {what} is named", hint="name one of: {all}", where=where, what=what, all=", ".join(known)
        )
    return tuple(name for name in known if name in names)


def _within(number: int | None, most: int, where: str, key: str) -> int:
    if number is None:
        return 0
    if not 1 <= number <= most:
        raise PolicyError(
            "{where}: {key} has to be 1 to {most}",
            hint="a limit that nobody reaches is none",
            where=where,
            key=key,
            most=most,
        )
    return number


def _meant(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name[:64], known, 1)
    return f"did you mean {close[0]}?" if close else "known are: " + ", ".join(known)


def _shown(text: str, most: int = _SHOWN) -> str:
    """``text`` from outside, short and on one line."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= most else line[: most - 1] + "…"
