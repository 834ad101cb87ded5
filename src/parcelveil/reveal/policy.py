"""Decides whether a look is allowed. Authorisation is Cedar's; this is the only module that asks it.

::

    >>> policy = Policy.default()
    >>> facts = Facts("look", "courier", "contact", "full", ("to_address",), *[True] * 12)
    >>> policy.decide(facts)
    Decision(allowed=False, answer='refused', rules=('field-outside-scene',))
    >>> policy.explain(facts)
    ['refused: courier may see in scene contact: to_phone; asked for: to_address [field-outside-scene]']

Three documents make a policy: ``scenes.toml`` (:mod:`~parcelveil.reveal.scenes`), Cedar policies, and the Cedar schema
they are validated against. A fourth, ``guards.cedar``, comes with the program: its forbids hold every limit of the
scenes, are joined to whatever the policies say, and so bind a file that permits everything.

Every policy bears a unique ``@id``, which goes into the audit log; a forbid bears ``@answer``, what the person is told
(:data:`~parcelveil.reveal.rules.ANSWERS`). Without a permit nothing is allowed; one forbid is enough against any
permits; of several answers the first in the order of that list is given. A policy that cannot be worked out would be skipped by Cedar, be it
a forbid: here it refuses (rule ``policy-error``). Words that no document knows are refused without asking Cedar, by
the rules ``unknown-action``, ``-role``, ``-scene``, ``-form`` and ``-field``.

Cedar takes some 100 microseconds a request, so :meth:`Policy.decide_batch` asks it once for each class of requests
that are alike (:mod:`~parcelveil.reveal.classes`) and fans the answer out. :meth:`Policy.cedar_one` is the slow way,
with neither classes nor cache: tests hold the two together. Cedar: https://docs.cedarpolicy.com, cedarpy 4.12.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import NamedTuple, Self, TypeVar

import cedarpy
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.errors import PolicyError, UsageError
from parcelveil.ports import PolicyRow
from parcelveil.reveal.classes import Classes, Facts
from parcelveil.reveal.explain import explained
from parcelveil.reveal.rules import ANSWERS, LANGUAGES, OPENED, ends_of_policies, read_rules, refuse
from parcelveil.reveal.scenes import ACTIONS, FIELDS, FORMS, MOST_BYTES, Scenes, default_text, parse_scenes

__all__ = ["Decided", "Decision", "Facts", "Policy", "default_documents", "guards_text"]

#: Classes whose decision is remembered. Real desks have some hundred.
MOST_CLASSES = 65_536
_CHUNK = 1_024
_POLICY_NAME = re.compile(r"(?:for policy )?`?(policy\d+)`?,? ?")

_Parsed = TypeVar("_Parsed")


class Decision(NamedTuple):
    """``answer``: "opened", or one of :data:`~parcelveil.reveal.rules.ANSWERS`.

    ``rules``: ids of all policies that decided, those that gave the answer first, else sorted.
    """

    allowed: bool
    answer: str
    rules: tuple[str, ...]


class Decided(NamedTuple):
    """Decisions of a batch: row ``i`` has ``decisions[codes[i]]``. Each decision stands once."""

    codes: npt.NDArray[np.int64]
    decisions: list[Decision]

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which rows are allowed."""
        return np.array([decision.allowed for decision in self.decisions], np.bool_)[self.codes]


def guards_text() -> str:
    """The Cedar policies that bind every policy."""
    return _packaged("guards.cedar")


def default_documents() -> tuple[str, str, str]:
    """The ``scenes.toml``, ``policy.cedar`` and ``schema.cedarschema`` that come with parcelveil."""
    return default_text(), _packaged("policy.cedar"), _packaged("schema.cedarschema")


def digest_of(row: PolicyRow) -> str:
    """SHA-256 over the three documents, each after its length in 8 bytes, big-endian; hex."""
    return _digest((row.scenes, row.policy, row.schema))


def _digest(documents: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in documents:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class Policy:
    """Three documents, parsed and validated once. Raises PolicyError with one clear line for each problem."""

    def __init__(self, scenes_text: str, policy_text: str, schema_text: str) -> None:
        self.scenes: Scenes = parse_scenes(scenes_text)
        for text in (scenes_text, policy_text, schema_text):
            if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
                raise PolicyError("a policy or schema has at most {most} bytes", hint="split it", most=MOST_BYTES)
            if any(unicodedata.category(character) == "Cf" for character in text):
                raise PolicyError("a document has characters that nobody sees", hint="retype it as plain text")
        #: As :func:`digest_of` gives it for the documents' row.
        self.digest: str = _digest((scenes_text, policy_text, schema_text))
        guards = guards_text()
        _parse_policies(policy_text)
        ends_of_policies(schema_text, "the schema")
        self._policies = cedarpy.PolicySet.from_str(guards).with_added_str(policy_text)
        permits, self.rules = read_rules([cedarpy.policies_to_json_str(text) for text in (guards, policy_text)])
        schema = _parsed(lambda: cedarpy.Schema.from_str(schema_text), "the schema")
        _validate(f"{guards}\n{policy_text}", schema)
        self._entities = _parsed(
            lambda: cedarpy.Entities.from_json_str(_entities(self.scenes), schema), "the scenes against the schema"
        )
        self._permits = cedarpy.PolicySet.from_json_str(permits)
        self._classes = Classes(self.scenes)
        self._cache: dict[int, Decision] = {}

    def __repr__(self) -> str:
        return f"<Policy {self.digest[:16]}>"

    @classmethod
    def default(cls) -> Self:
        """The policy that comes with parcelveil."""
        return cls(*default_documents())

    def decide(self, facts: Facts) -> Decision:
        """The decision on one request; remembered for its class."""
        key = self._classes.pack(facts)
        return self._cache.get(key) or self._judge([key])[0]

    def decide_each(self, facts: Sequence[Facts]) -> list[Decision]:
        """The decision on each of ``facts``, in order."""
        return self._judge([self._classes.pack(one) for one in facts])

    def decide_batch(self, batch: pa.RecordBatch) -> Decided:
        """The decision on each row; the columns are those of :meth:`.Classes.pack_batch`."""
        encoded = pa.array(self._classes.pack_batch(batch)).dictionary_encode()
        places: dict[Decision, int] = {}
        judged = self._judge(encoded.dictionary.to_pylist())
        codes = np.array([places.setdefault(decision, len(places)) for decision in judged], np.int64)
        return Decided(codes[encoded.indices.to_numpy()], list(places))

    def cedar_one(self, facts: Facts) -> Decision:
        """The decision on one request, with no class and no cache: Cedar is asked anew each time."""
        unknown = {
            "unknown-action": facts.action not in ACTIONS,
            "unknown-role": facts.role not in self.scenes.roles,
            "unknown-scene": facts.scene not in self.scenes,
            "unknown-form": facts.form not in FORMS,
            "unknown-field": not set(facts.fields) <= set(FIELDS),
        }
        strange = sorted(rule for rule, found in unknown.items() if found)
        if strange:
            return Decision(False, "refused", tuple(strange))
        return self._decision(cedarpy.is_authorized(_request(facts), self._policies, self._entities))

    def explain(self, facts: Facts, language: str = "en") -> list[str]:
        """Why, in ``"en"`` or ``"zh"``, one line a rule: what allowed it, or all that stands against it.

        The line that gives the answer comes first; the others would still stand if it were met.
        """
        if language not in LANGUAGES:
            raise UsageError("explanations are in en or zh", hint="choose one of the two")
        strange = self._classes.unknown(self._classes.pack(facts))
        deciding = list(strange)
        known = facts._replace(fields=[name for name in facts.fields if name in FIELDS])
        if not strange or (strange == ("unknown-field",) and known.fields):
            # With unknown fields the rest of the request is judged all the same.
            decision = self.decide(known)
            if not decision.allowed or not strange:
                deciding += decision.rules
            if "no-permit" not in decision.rules and not self._permitted(known):
                deciding.append("no-permit")
        deciding.sort(key=self._precedence)
        return explained(deciding, self.rules, facts, self.scenes, language)

    def _precedence(self, rule: str) -> int:
        answer = self.rules[rule].answer if rule in self.rules else "refused"
        return ANSWERS.index(answer) if answer != OPENED else 0

    def _permitted(self, facts: Facts) -> bool:
        """Whether some permit would match if no forbid did."""
        return bool(cedarpy.is_authorized(_request(facts), self._permits, self._entities).allowed)

    def _judge(self, keys: list[int]) -> list[Decision]:
        """The decision on each class; Cedar is asked once for each that is not remembered."""
        found = {key: self._cache.get(key) for key in keys}
        missing = []
        for key, decision in found.items():
            if decision is None:
                strange = self._classes.unknown(key)
                if strange:
                    found[key] = Decision(False, "refused", strange)
                else:
                    missing.append(key)
        for start in range(0, len(missing), _CHUNK):
            some = missing[start : start + _CHUNK]
            requests = [_request(self._classes.unpack(key)) for key in some]
            results = cedarpy.is_authorized_batch(requests, self._policies, self._entities)
            new = dict(zip(some, map(self._decision, results), strict=True))
            found.update(new)
            if len(self._cache) + len(new) > MOST_CLASSES:
                self._cache.clear()
            self._cache.update(new)
        return [decision for key in keys if (decision := found[key])]

    def _decision(self, result: cedarpy.AuthzResult) -> Decision:
        diagnostics = result.diagnostics
        rules = sorted(diagnostics.id_annotations_by_reason.values())
        rules.sort(key=self._precedence)
        if diagnostics.errors or len(rules) != len(diagnostics.reasons):
            return Decision(False, "refused", ("policy-error", *([] if result.allowed else rules)))
        if result.allowed:
            return Decision(True, OPENED, tuple(rules))
        if not rules:
            return Decision(False, "refused", ("no-permit",))
        return Decision(False, self.rules[rules[0]].answer, tuple(rules))


def _request(facts: Facts) -> dict[str, str]:
    context = facts._asdict()
    for name in ("action", "role", "scene"):
        del context[name]
    context["fields"] = sorted(set(facts.fields))
    return {
        "principal": f'Role::"{facts.role}"',
        "action": f'Action::"{facts.action}"',
        "resource": f'Scene::"{facts.scene}"',
        "context": msgspec.json.encode(context).decode(),
    }


def _entities(scenes: Scenes) -> str:
    roles = [
        {"uid": {"type": "Role", "id": name}, "attrs": {"name": name, "outlet": role.outlet}, "parents": []}
        for name, role in scenes.roles.items()
    ]
    attributes = ("action", "forms", "needs", "batch", "quota_actor_day", "quota_outlet_day", "approval_minutes")
    of_scenes = [
        {
            "uid": {"type": "Scene", "id": scene.name},
            "attrs": {name: getattr(scene, name) for name in attributes},
            "tags": {role: {"fields": terms.fields, "custody": terms.custody} for role, terms in scene.roles.items()},
            "parents": [],
        }
        for scene in scenes
    ]
    return json.dumps(roles + of_scenes)


def _packaged(name: str) -> str:
    return files("parcelveil.reveal").joinpath("defaults", name).read_text("utf-8")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _parsed(parse: Callable[[], _Parsed], what: str) -> _Parsed:
    try:
        return parse()
    except ValueError as error:
        raise PolicyError(
            "{what}: {why}", hint="docs/scenes.md shows the form", what=what, why=_one_line(str(error))
        ) from None


def _parse_policies(text: str) -> None:
    """Parse the policies; Cedar does not say where an error is, so name the line on which its policy begins."""
    ends = ends_of_policies(text, "the policies")
    try:
        # The way through JSON has Cedar's own limit of depth, which the evaluator may reach without.
        cedarpy.PolicySet.from_json_str(cedarpy.policies_to_json_str(text))
        return
    except ValueError as error:
        why, start = str(error), 0
    for end in ends:
        try:
            cedarpy.PolicySet.from_json_str(cedarpy.policies_to_json_str(text[start:end]))
        except ValueError as error:
            why = str(error)
            break
        start = end
    blank = re.match(r"(?:\s|//[^\n]*)*", text[start:])
    raise PolicyError(
        "the policy that begins on line {line} does not parse: {why}",
        hint="a policy is permit or forbid (principal, action, resource) when {{ … }};",
        line=text.count("\n", 0, start + (blank.end() if blank else 0)) + 1,
        why=_one_line(why),
    )


def _validate(text: str, schema: cedarpy.Schema) -> None:
    try:
        result = cedarpy.validate_policies(text, schema)
    except ValueError as error:
        raise PolicyError("the policies: {why}", hint="see docs/scenes.md", why=_one_line(str(error))) from None
    if not result.validation_passed:
        ids = result.id_annotations_by_policy_id
        refuse(
            [
                f"rule {ids.get(error.policy_id, '?')}: {_one_line(_POLICY_NAME.sub('', error.error, 1))}"
                for error in result.errors
            ]
            or ["they do not fit the schema"]
        )
