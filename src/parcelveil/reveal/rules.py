"""What a Cedar policy says of itself in annotations: its name, its answer, its sentences.

::

    @id("no-claims-at-night")
    @answer("refused")
    @en("claims are settled by day")
    @zh("理赔仅限日间办理")
    forbid (principal, action, resource == Scene::"claim") when { … };

``@id`` goes into the audit log and is unique. A forbid has an ``@answer``, one of :data:`ANSWERS`; a permit has none.
The sentences are for :mod:`~parcelveil.reveal.explain`, which lists the words in braces they may have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from parcelveil.errors import PolicyError

#: The answers against a request, the first that applies is given.
ANSWERS = ("refused", "not-in-custody", "needs-approval", "over-quota")
OPENED = "opened"
LANGUAGES = ("en", "zh")
#: Rules that decide where no policy does; no policy may take their names.
BUILT_IN = (
    "no-permit",
    "policy-error",
    "unknown-action",
    "unknown-field",
    "unknown-form",
    "unknown-role",
    "unknown-scene",
)
#: Words in braces that a sentence may have.
PLACEHOLDERS = frozenset(
    "role roles scene purpose action scene_action form forms fields fields_outside custody batch quota outlet_quota"
    " minutes".split()
)
PLACE = re.compile(r"\{(\w*)\}")
#: Cedar's parser and evaluator recurse: text nested without bound ends the process, or leaves a forbid unevaluated.
MOST_POLICIES = 500
_MOST_DEPTH = 20
_MOST_OPERATORS = 200
#: Strings and comments as Cedar has them, brackets, the semicolon that ends a policy, and all that builds depth.
_TOKEN = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*"|//[^\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<end>;)'
    r"|(?P<operator>&&|\|\||::|[-+*!.<>=]|\b(?:if|has|like|in|is|when|unless)\b)",
    re.S,
)
#: Other systems end a line here; Cedar might, and a comment would hide from one what the other reads.
_CONTROL = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_ID = re.compile(r"[a-z][a-z0-9-]{0,63}")
_MOST_PROBLEMS = 20


class Rule(NamedTuple):
    """A policy's annotations. ``answer`` is "opened" for a permit."""

    id: str
    answer: str
    en: str
    zh: str


def ends_of_policies(text: str, what: str) -> list[int]:
    """Where each policy (or declaration of a schema) ends in ``text``, the rest after the last semicolon too.

    Raises PolicyError for text that is too large or too deep to be given to Cedar.
    """
    control = _CONTROL.search(text)
    if control:
        raise PolicyError(
            "{what}, line {line}: a control character",
            hint="strike it",
            what=what,
            line=text.count("\n", 0, control.start()) + 1,
        )
    ends: list[int] = []
    closers: list[str] = []  # what is open still; a bracket that does not fit closes nothing
    operators = 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "open":
            closers.append(_CLOSERS[token[0]])
        elif token.lastgroup == "close" and closers[-1:] == [token[0]]:
            closers.pop()
        elif token.lastgroup == "operator":
            operators += 1
        elif token.lastgroup == "end" and not closers:
            ends.append(token.end())
            operators = 0
        if len(closers) > _MOST_DEPTH or operators > _MOST_OPERATORS or len(ends) > MOST_POLICIES:
            raise PolicyError(
                "{what}, line {line}: at most {policies} policies of {operators} operators, nested {depth} deep",
                hint="write several short policies",
                what=what,
                line=text.count("\n", 0, token.start()) + 1,
                policies=MOST_POLICIES,
                operators=_MOST_OPERATORS,
                depth=_MOST_DEPTH,
            )
    return [*ends, len(text)]


def read_rules(sources: Sequence[str]) -> tuple[str, dict[str, Rule]]:
    """The permits alone, as Cedar's JSON, and all rules by id.

    ``sources`` are policy sets as Cedar's JSON, the guards first. Raises PolicyError with a line for each problem.
    """
    rules: dict[str, Rule] = {}
    problems: list[str] = []
    permits: dict[str, object] = {}
    for source in sources:
        parsed = json.loads(source)
        if parsed["templates"]:
            problems.append("templates (?principal, ?resource) permit nothing here: write the policy out")
        # Cedar numbers policies as they stand: "policy0", "policy1" …
        for number in range(len(parsed["staticPolicies"]) + len(parsed["templates"])):
            policy = parsed["staticPolicies"].get(f"policy{number}")
            if policy is not None:
                rule = _rule(policy, f"policy {number + 1} of the file", rules, problems)
                rules[rule.id] = rule
                if policy["effect"] == "permit":
                    permits[rule.id] = policy
    refuse(problems)
    return json.dumps({"templates": {}, "staticPolicies": permits, "templateLinks": []}), rules


def _rule(policy: Mapping[str, Any], name: str, taken: Mapping[str, Rule], problems: list[str]) -> Rule:
    notes = {key: value or "" for key, value in policy.get("annotations", {}).items()}
    rule, answer = notes.get("id", ""), notes.get("answer", "")
    if not rule:
        problems.append(f'{name} has no @id: begin it with @id("a-name-of-its-own")')
    elif not _ID.fullmatch(rule):
        problems.append(f"{name}: an @id has small letters, digits and hyphens only, 64 at the most")
    elif rule in taken or rule in BUILT_IN:
        problems.append(f'{name}: the @id "{rule}" is taken: give it one of its own')
    else:
        name = f"rule {rule}"
    if policy["effect"] == "permit":
        if answer not in {"", OPENED}:
            problems.append(f"{name}: a permit has no @answer")
        answer = OPENED
    elif answer not in ANSWERS:
        problems.append(f"{name}: a forbid needs an @answer, one of {', '.join(ANSWERS)}")
        answer = ANSWERS[0]
    for language in LANGUAGES:
        problems += [
            f"{name}: @{language} has {{{word[:40]}}}, which nothing fills in"
            for word in PLACE.findall(notes.get(language, ""))
            if word not in PLACEHOLDERS
        ]
    return Rule(rule, answer, notes.get("en", ""), notes.get("zh", ""))


def refuse(problems: list[str]) -> None:
    """Raise one PolicyError of all problems, each on its line, if there are any."""
    problems = list(dict.fromkeys(problems))
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        raise PolicyError(
            "{problems}",
            hint="every policy needs @id and known words; docs/scenes.md lists them",
            problems="\n".join(problems[:_MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])),
        )
