"""Decisions in words: what allowed a request, or what stands against it, rule by rule, in English or Chinese.

A policy's ``@en`` and ``@zh`` annotations are its sentences. Words in braces are filled in, and only these
(:data:`~parcelveil.reveal.rules.PLACEHOLDERS`)::

    {role} {roles} {scene} {purpose} {action} {scene_action} {form} {forms} {fields} {fields_outside}
    {custody} {batch} {quota} {outlet_quota} {minutes}

``{fields}`` are those the role may see in the scene, ``{fields_outside}`` those asked for beyond them. All are words
from closed lists: text that nobody knows is never repeated, for it could be anything, a phone number too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from parcelveil.reveal.classes import Facts
from parcelveil.reveal.rules import PLACE, Rule
from parcelveil.reveal.scenes import ACTIONS, FIELDS, FORMS, Scenes

_ANSWERS = {
    "opened": ("opened", "准予"),
    "refused": ("refused", "拒绝"),
    "not-in-custody": ("not in custody", "不在经手范围"),
    "needs-approval": ("needs approval", "需要审批"),
    "over-quota": ("over quota", "超出额度"),
}
_CUSTODY = {
    "on_route": ("on your route, or yours to collect", "在您的派送路线上或由您揽收"),
    "at_outlet": ("at your outlet", "在您的网点"),
    "handled": ("handled by your outlet lately", "近期经您的网点处理"),
    "ticket": ("named by an open ticket that somebody else opened", "由他人所建的未关闭工单写明"),
}
_BUILT_IN = {
    "no-permit": (
        "no rule permits {role} the action {action} in scene {scene}: a policy has to",
        "没有规则允许“{role}”在场景 {scene} 中执行 {action}：须由规则明确允许",
    ),
    "policy-error": (
        "a rule could not be worked out, so nothing is opened: tell the policy's author",
        "有规则无法求值，因此一律不予开放：请告知规则起草人",
    ),
    "unknown-action": ("the action is not known", "操作未知"),
    "unknown-role": ("the role is not known", "角色未知"),
    "unknown-scene": ("the scene is not known", "场景未知"),
    "unknown-form": ("the form is not known", "显示形式未知"),
    "unknown-field": ("a field is not known", "字段未知"),
}


def explained(
    deciding: Sequence[str], rules: Mapping[str, Rule], facts: Facts, scenes: Scenes, language: str
) -> list[str]:
    """A line for each of ``deciding``: the answer that the rule gives, why, and the rule's id."""
    chinese = language == "zh"
    words = _words(facts, scenes, chinese)
    lines: list[str] = []
    for rule in deciding:
        answer, sentence = "refused", ""
        if rule in rules:
            answer = rules[rule].answer
            sentence = rules[rule].zh or rules[rule].en if chinese else rules[rule].en
        elif rule in _BUILT_IN:
            sentence = _BUILT_IN[rule][chinese] + _meant(rule, facts, scenes, chinese)
        sentence = sentence or ("依规则" if chinese else "by the rule")
        also = ("另：" if chinese else "also ") if lines else ""
        filled = PLACE.sub(lambda found: words.get(found[1], found[0]), sentence)
        lines.append(f"{also}{_ANSWERS[answer][chinese]}{'：' if chinese else ': '}{filled} [{rule}]")
    return lines


def _words(facts: Facts, scenes: Scenes, chinese: bool) -> Mapping[str, str]:

    def listed(names: Iterable[str], last: str = "") -> str:
        names = list(names)
        if chinese:
            return "、".join(names) or "无"
        if last and len(names) > 1:
            return f"{', '.join(names[:-1])} {last} {names[-1]}"
        return ", ".join(names) or "nothing"

    def role_name(name: str) -> str:
        return (scenes.roles[name].zh if chinese else name) if name in scenes.roles else "?"

    words = {
        "role": role_name(facts.role),
        "action": facts.action if facts.action in ACTIONS else "?",
        "form": facts.form if facts.form in FORMS else "?",
        "scene": facts.scene if facts.scene in scenes else "?",
    }
    if facts.scene not in scenes:
        return words
    scene = scenes[facts.scene]
    allowed = scene.fields_for(facts.role)
    outlet = f"，每网点 {scene.quota_outlet_day}" if chinese else f", {scene.quota_outlet_day} an outlet"
    return words | {
        "roles": listed(role_name(name) for name in scene.roles),
        "purpose": scene.purpose("zh" if chinese else "en"),
        "scene_action": scene.action,
        "forms": listed(scene.forms, "or"),
        "fields": listed(allowed),
        "fields_outside": listed(name for name in FIELDS if name in facts.fields and name not in allowed),
        "custody": ("；或" if chinese else ", or ").join(_CUSTODY[c][chinese] for c in scene.custody_for(facts.role)),
        "batch": str(scene.batch),
        "quota": str(scene.quota_actor_day),
        "outlet_quota": outlet if scene.quota_outlet_day else "",
        "minutes": str(scene.approval_minutes),
    }


def _meant(rule: str, facts: Facts, scenes: Scenes, chinese: bool) -> str:
    """What may have been meant by a word that nobody knows. It does not repeat the word."""
    known: Mapping[str, tuple[Sequence[str], Iterable[str]]] = {
        "unknown-action": ((facts.action,), ACTIONS),
        "unknown-role": ((facts.role,), scenes.roles),
        "unknown-scene": ((facts.scene,), scenes.by_name),
        "unknown-form": ((facts.form,), FORMS),
        "unknown-field": (sorted(set(facts.fields) - set(FIELDS)), FIELDS),
    }
    if rule not in known:
        return ""
    words, right = known[rule]
    for word in words:
        close = difflib.get_close_matches(word[:64], list(right), 1)
        if close:
            return f"：是否指 {close[0]}？" if chinese else f": did you mean {close[0]}?"
    return f"：已知的有 {'、'.join(right)}" if chinese else f": known are {', '.join(right)}"
