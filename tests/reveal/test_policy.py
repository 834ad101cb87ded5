"""Policy: every decision against an independent reference, the fast way against Cedar, and hostile documents."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import PolicyError, UsageError
from parcelveil.reveal import policy as policy_module
from parcelveil.reveal.classes import FLAGS, Classes
from parcelveil.reveal.policy import Decided, Decision, Facts, Policy, default_documents, guards_text
from parcelveil.reveal.rules import ANSWERS, BUILT_IN, LANGUAGES
from parcelveil.reveal.scenes import ACTIONS, FIELDS, FORMS

SCENES_TEXT, POLICY_TEXT, SCHEMA_TEXT = default_documents()
POLICY = Policy.default()
FILE = tomllib.loads(SCENES_TEXT)
ROLES = list(FILE["roles"])
NAMES = list(FILE["scenes"])
PERMITS = {"look": "look-for-a-purpose", "search": "search-for-a-purpose", "export": "export-for-a-purpose"}
YES = dict.fromkeys(FLAGS, True)


def facts(scene: str, role: str, *fields: str, action: str = "", form: str = "", **flags: bool) -> Facts:
    """A request that is in order but for what is said."""
    settings_ = FILE["scenes"].get(scene, {})
    action = action or settings_.get("action", "look")
    form = form or settings_.get("forms", ["full"])[0]
    return Facts(action=action, role=role, scene=scene, form=form, fields=fields, **(YES | flags))


def reference(asked: Facts) -> Decision:
    """What the documents mean, written down from the TOML without Cedar and without the code under test."""
    unknown = [
        f"unknown-{name}"
        for name, word, known in (
            ("action", asked.action, ["look", "search", "export"]),
            ("form", asked.form, ["full", "masked"]),
            ("role", asked.role, ROLES),
            ("scene", asked.scene, NAMES),
        )
        if word not in known
    ]
    unknown += ["unknown-field"] * any(field not in FIELDS for field in asked.fields)
    if unknown:
        return Decision(False, "refused", tuple(sorted(unknown)))
    scene = FILE["scenes"][asked.scene]
    terms = scene["roles"].get(asked.role)
    needs = scene.get("needs", [])
    against = {
        "staff-inactive": not asked.active,
        "role-not-held": not asked.role_held,
        "outlet-not-held": not asked.outlet_held,
        "device-not-enrolled": not asked.enrolled,
        "role-outside-scene": terms is None,
        "action-outside-scene": asked.action != scene.get("action", "look"),
        "field-missing": not asked.fields,
        "field-outside-scene": terms is not None
        and bool(set(asked.fields) - set(terms.get("fields", scene.get("fields")))),
        "form-outside-scene": asked.form not in scene["forms"],
        "batch-too-large": not asked.within_batch,
        "ticket-missing": "ticket" in needs and not asked.ticket,
        "document-missing": "document" in needs and not asked.document,
    }
    refused = sorted(rule for rule, found in against.items() if found)
    custody = [] if terms is None or terms["custody"] == "none" else terms["custody"]
    custody = [custody] if isinstance(custody, str) else custody
    away = ["custody-missing"] if custody and not any(getattr(asked, name) for name in custody) else []
    away += ["waybill-unknown"] if asked.action != "search" and not asked.known else []
    approval = ["second-person-missing"] if "second_person" in needs and not asked.approved else []
    quota = [] if asked.within_quota else ["quota-used-up"]
    for answer, rules in zip(ANSWERS, (refused, away, approval, quota), strict=True):
        if rules:
            return Decision(False, answer, tuple(refused + away + approval + quota))
    return Decision(True, "opened", (PERMITS[asked.action],))


def drawn(count: int, seed: int) -> list[Facts]:
    """Random requests: half nearly in order, half anything at all, some with words that nobody knows."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        if rng.random() < 0.5:
            scene = rng.choice(NAMES)
            terms = FILE["scenes"][scene]
            role = rng.choice(list(terms["roles"]))
            allowed = terms["roles"][role].get("fields") or terms["fields"]
            fields = rng.sample(allowed, rng.randint(1, len(allowed)))
            flags = [rng.random() < 0.95 for _ in FLAGS]
            action, form = terms.get("action", "look"), rng.choice(terms["forms"])
        else:
            scene, role = rng.choice([*NAMES, "print"]), rng.choice([*ROLES, "boss"])
            fields = rng.sample([*FIELDS, "waybill_no"], rng.choice((0, 1, 1, 2, 3, 13)))
            flags = [rng.random() < 0.6 for _ in FLAGS]
            action, form = rng.choice([*ACTIONS, "print"]), rng.choice([*FORMS, "raw"])
        found.append(Facts(action, role, scene, form, tuple(fields), *flags))
    return found


def batch_of(requests: list[Facts], *, joined: bool = False, encoded: bool = False) -> pa.RecordBatch:
    columns = {name: [getattr(one, name) for one in requests] for name in ("action", "role", "scene", "form", *FLAGS)}
    arrays = {name: pa.array(values) for name, values in columns.items()}
    if encoded:
        arrays |= {name: arrays[name].dictionary_encode() for name in ("action", "role", "scene", "form")}
    lists = [list(one.fields) for one in requests]
    arrays["fields"] = pa.array([",".join(one) for one in lists]) if joined else pa.array(lists, pa.list_(pa.string()))
    return pa.RecordBatch.from_pydict(arrays)


def expanded(decided: Decided) -> list[Decision]:
    return [decided.decisions[code] for code in decided.codes.tolist()]


@pytest.mark.parametrize("scene", NAMES)
def test_every_role_and_field_of_a_scene(scene: str) -> None:
    asked = [facts(scene, role, field) for role in ROLES for field in FIELDS]
    decided = POLICY.decide_each(asked)
    assert decided == [reference(one) for one in asked]
    allowed = {(one.role, one.fields[0]) for one, decision in zip(asked, decided, strict=True) if decision.allowed}
    terms = FILE["scenes"][scene]
    assert allowed == {
        (role, field) for role, own in terms["roles"].items() for field in own.get("fields", terms.get("fields"))
    }


@pytest.mark.parametrize("scene", NAMES)
def test_every_custody_condition_of_a_scene(scene: str) -> None:
    asked = [
        facts(scene, role, FILE["scenes"][scene]["fields"][0], **dict(zip(FLAGS[4:8], bits, strict=True)))
        for role in FILE["scenes"][scene]["roles"]
        for bits in itertools.product((False, True), repeat=4)
    ]
    assert POLICY.decide_each(asked) == [reference(one) for one in asked]


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("scene", NAMES)
def test_each_fact_that_is_false_refuses_where_it_matters(scene: str, flag: str) -> None:
    role = next(iter(FILE["scenes"][scene]["roles"]))
    field = POLICY.scenes[scene].fields_for(role)[0]
    one = facts(scene, role, field, **{flag: False})
    assert POLICY.decide(one) == POLICY.cedar_one(one) == reference(one)


def test_batches_agree_with_cedar_asked_one_by_one() -> None:
    requests = drawn(10_000, 1)
    decided = expanded(POLICY.decide_batch(batch_of(requests)))
    assert decided == [POLICY.cedar_one(one) for one in requests]
    assert decided == [reference(one) for one in requests]
    assert decided == POLICY.decide_each(requests) == [POLICY.decide(one) for one in requests]
    for answer in ("opened", *ANSWERS):
        assert sum(decision.answer == answer for decision in decided) > 20, answer


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_requests_agree_with_cedar_asked_one_by_one() -> None:
    for seed in range(100):
        requests = drawn(10_000, 1_000 + seed)
        decided = expanded(POLICY.decide_batch(batch_of(requests, joined=bool(seed % 2))))
        assert decided == [POLICY.cedar_one(one) for one in requests]


def test_batches_come_in_several_forms() -> None:
    requests = drawn(500, 2)
    right = [reference(one) for one in requests]
    for batch in (
        batch_of(requests, joined=True),
        batch_of(requests, encoded=True),
        batch_of([requests[0], *requests, requests[0]]).slice(1, 500),
        batch_of([requests[0], *requests], joined=True).slice(1),
    ):
        decided = POLICY.decide_batch(batch)
        assert expanded(decided) == right
        assert len(set(decided.decisions)) == len(decided.decisions)
        assert decided.allowed().tolist() == [decision.allowed for decision in right]
    without = [one for one in requests if one.known]
    assert expanded(POLICY.decide_batch(batch_of(without).drop_columns(["known"]))) == [
        reference(one) for one in without
    ]
    empty = POLICY.decide_batch(batch_of(requests).slice(0, 0))
    assert (empty.codes.tolist(), empty.decisions, empty.allowed().tolist()) == ([], [], [])


def test_what_is_null_in_a_batch_is_refused() -> None:
    good = facts("deliver", "courier", "to_phone")
    batch = batch_of([good])
    assert POLICY.decide_batch(batch).decisions[0].allowed
    for place, field in enumerate(batch.schema):
        nulled = batch.set_column(place, field, pa.nulls(1, field.type))
        decision = POLICY.decide_batch(nulled).decisions[0]
        matters = field.name not in {"at_outlet", "handled", "ticket", "document", "approved"}
        assert decision.allowed != matters, field.name
    lists = pa.array([["to_phone", None]], pa.list_(pa.string()))
    assert expanded(POLICY.decide_batch(batch.set_column(batch.schema.get_field_index("fields"), "fields", lists))) == [
        Decision(False, "refused", ("unknown-field",))
    ]
    with pytest.raises(TypeError, match="active has to be boolean"):
        POLICY.decide_batch(batch.set_column(4, "active", pa.array([1])))
    with pytest.raises(TypeError, match="role has to hold strings"):
        POLICY.decide_batch(batch.set_column(1, "role", pa.array([1])))
    with pytest.raises(KeyError):
        POLICY.decide_batch(batch.drop_columns(["within_quota"]))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*ACTIONS, "Look", ""]),
    st.sampled_from([*ROLES, "courier "]) | st.text(max_size=8),
    st.sampled_from([*NAMES, "deliver\0"]) | st.text(max_size=8),
    st.sampled_from([*FORMS, "FULL"]),
    st.lists(st.sampled_from([*FIELDS, "to_fone"]) | st.text(max_size=5), max_size=4),
    st.lists(st.booleans(), min_size=len(FLAGS), max_size=len(FLAGS)),
)
def test_anything_asked_is_decided_alike_everywhere(
    action: str, role: str, scene: str, form: str, fields: list[str], flags: list[bool]
) -> None:
    one = Facts(action, role, scene, form, tuple(fields), *flags)
    decision = POLICY.decide(one)
    assert decision == POLICY.cedar_one(one) == reference(one)
    assert expanded(POLICY.decide_batch(batch_of([one]))) == [decision]
    for language in LANGUAGES:
        lines = POLICY.explain(one, language)
        assert lines[0].startswith(("opened", "准予")) == decision.allowed
        assert {rule for rule in decision.rules if any(line.endswith(f"[{rule}]") for line in lines)} == set(
            decision.rules
        )


def test_classes_pack_and_unpack() -> None:
    classes = Classes(POLICY.scenes)
    for one in drawn(2_000, 3):
        key = classes.pack(one)
        assert 0 <= key < 1 << 43
        back = classes.unpack(key)
        assert classes.pack(back) == key
        if not classes.unknown(key):
            assert back == one._replace(fields=tuple(field for field in FIELDS if field in one.fields))
    one = facts("deliver", "courier", "to_name", "to_phone")
    assert classes.pack(one) == classes.pack(one._replace(fields=("to_phone", "to_name", "to_name")))


def test_classes_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, "MOST_CLASSES", 100)
    monkeypatch.setattr(policy_module, "_CHUNK", 30)
    policy = Policy.default()
    requests = drawn(300, 4)
    assert policy.decide_each(requests) == [reference(one) for one in requests]
    for one in requests:
        policy.decide(one)
        assert len(policy._cache) <= 100
    assert policy.decide_each(requests[:50]) == [reference(one) for one in requests[:50]]
    assert 0 < len(policy._cache) <= 100


def test_threads_get_the_same_answers() -> None:
    policy, requests = Policy.default(), drawn(400, 5)
    right, wrong = [reference(one) for one in requests], []

    def run() -> None:
        if policy.decide_each(requests) != right:
            wrong.append(1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- misuse ------------------------------------------------------------------------------------------------------


def test_t1_another_outlets_parcel_is_not_shown() -> None:
    for scene in ("deliver", "contact", "return", "lookup"):
        decision = POLICY.decide(facts(scene, "clerk", "to_phone", at_outlet=False, handled=False))
        field_refused = scene == "return"
        assert decision.answer == ("refused" if field_refused else "not-in-custody")
        assert "custody-missing" in decision.rules
    rented = facts("deliver", "clerk", "to_phone", enrolled=False, outlet_held=False)
    assert POLICY.decide(rented) == Decision(False, "refused", ("device-not-enrolled", "outlet-not-held"))


def test_t1_a_courier_of_another_route_sees_nothing() -> None:
    # The parcel lies at his outlet, his outlet has handled it, and there is a ticket: it is on another route.
    for scene in ("deliver", "pickup", "contact", "return", "lookup"):
        one = facts(scene, "courier", POLICY.scenes[scene].fields_for("courier")[0], on_route=False)
        assert POLICY.decide(one) == Decision(False, "not-in-custody", ("custody-missing",))


def test_t2_one_person_alone_does_not_export() -> None:
    for scene, role in (("export", "analyst"), ("lawful_request", "investigator")):
        assert POLICY.decide(facts(scene, role, "to_phone", approved=False)).answer == "needs-approval"
        assert POLICY.decide(facts(scene, role, "to_phone")).allowed
    assert POLICY.decide(facts("lawful_request", "investigator", "to_phone", document=False)).rules == (
        "document-missing",
    )


def test_t2_a_ticket_is_needed_even_with_the_parcel_at_hand() -> None:
    assert POLICY.decide(facts("redirect", "clerk", "to_address", ticket=False)).rules == ("ticket-missing",)
    assert POLICY.decide(facts("contact", "customer_service", "to_phone", ticket=False)).answer == "not-in-custody"


def test_t6_a_used_up_quota_and_too_large_a_batch_refuse_in_every_scene() -> None:
    for scene in POLICY.scenes:
        for role in scene.roles:
            field = scene.fields_for(role)[0]
            assert POLICY.decide(facts(scene.name, role, field, within_quota=False)).answer == "over-quota"
            assert POLICY.decide(facts(scene.name, role, field, within_batch=False)).rules == ("batch-too-large",)


def test_t6_replay_for_a_parcel_that_is_gone_is_refused() -> None:
    gone = facts("deliver", "clerk", "to_phone", on_route=False, at_outlet=False)
    assert POLICY.decide(gone) == Decision(False, "not-in-custody", ("custody-missing",))
    assert POLICY.decide(facts("print", "clerk", "to_phone")) == Decision(False, "refused", ("unknown-scene",))


def test_contact_shows_no_address() -> None:
    one = facts("contact", "customer_service", "to_address")
    assert POLICY.decide(one) == Decision(False, "refused", ("field-outside-scene",))
    assert POLICY.explain(one) == [
        "refused: customer_service may see in scene contact: to_phone; asked for: to_address [field-outside-scene]"
    ]


# -- explanations ------------------------------------------------------------------------------------------------


def test_explanations_say_what_would_have_to_be_true() -> None:
    one = facts("deliver", "courier", "to_phone", on_route=False, within_quota=False)
    assert POLICY.explain(one) == [
        "not in custody: the parcel is not in your custody now: for courier in scene deliver it has to be on your route,"
        " or yours to collect [custody-missing]",
        "also over quota: the day's quota of scene deliver is used up: 300 a person, 6000 an outlet; it begins anew"
        " tomorrow [quota-used-up]",
    ]
    assert POLICY.explain(one, "zh")[0].startswith(
        "不在经手范围：包裹目前不在您的经手范围：“快递员”在场景 deliver 中须满足：在您的派送路线上"
    )
    assert POLICY.explain(facts("deliver", "courier", "to_phone")) == [
        "opened: courier may see to_name, to_phone, to_address, note to hand the parcel to its recipient, at most 100"
        " waybills a request and 300 a day [look-for-a-purpose]"
    ]
    with pytest.raises(UsageError):
        POLICY.explain(one, "de")


def test_explanations_of_misspelt_words_name_the_right_ones_and_repeat_nothing() -> None:
    lines = POLICY.explain(facts("deliver", "courier", "to_fone", "goods_name"))
    assert lines[0] == "refused: a field is not known: did you mean to_phone? [unknown-field]"
    assert lines[1].startswith("also refused: courier may see in scene deliver: to_name")
    assert POLICY.explain(facts("delivr", "courier", "to_phone"), "zh") == [
        "拒绝：场景未知：是否指 deliver？ [unknown-scene]"
    ]
    for language in LANGUAGES:
        for one in (facts("13812345678", "张三", "13812345678"), facts("deliver", "courier", "13812345678", "to_name")):
            said = "".join(POLICY.explain(one, language))
            assert "138" not in said
            assert "张三" not in said


def test_every_rule_has_its_sentences_in_both_languages() -> None:
    assert len(POLICY.rules) == 19
    for rule in POLICY.rules.values():
        assert rule.en
        assert rule.zh
        assert rule.answer in ("opened", *ANSWERS)
    for one in drawn(300, 6):
        for language in LANGUAGES:
            for line in POLICY.explain(one, language):
                assert "{" not in line
                assert line.isprintable()


# -- documents ---------------------------------------------------------------------------------------------------


def policy_with(text: str, scenes: str = SCENES_TEXT, schema: str = SCHEMA_TEXT) -> Policy:
    return Policy(scenes, text, schema)


def problem(text: str, schema: str = SCHEMA_TEXT) -> str:
    with pytest.raises(PolicyError) as caught:
        policy_with(text, schema=schema)
    assert caught.value.hint
    return str(caught.value)


ALL = '@id("all")\npermit (principal, action, resource);\n'


def test_t6_a_policy_that_permits_everything_is_still_bound() -> None:
    policy = policy_with(ALL)
    for one in drawn(2_000, 7):
        decision = reference(one)
        assert policy.decide(one) == (decision._replace(rules=("all",)) if decision.allowed else decision)


def test_a_policy_that_permits_nothing_opens_nothing() -> None:
    policy = policy_with("// nothing\n")
    one = facts("deliver", "courier", "to_phone")
    assert policy.decide(one) == policy.cedar_one(one) == Decision(False, "refused", ("no-permit",))
    assert policy.explain(one)[0].startswith("refused: no rule permits courier the action look in scene deliver")
    both = POLICY.explain(facts("lookup", "courier", "to_phone", action="export"))
    assert both[-1].endswith("[no-permit]")


def test_a_carriers_own_rule_binds() -> None:
    own = """
    @id("claims-need-an-outlet") @answer("refused") @en("{role} works at no outlet") @zh("“{role}”不属于任何网点")
    forbid (principal, action == Action::"look", resource == Scene::"claim") unless { principal.outlet };
    """
    policy = policy_with(POLICY_TEXT + own)
    one = facts("claim", "customer_service", "to_phone")
    assert POLICY.decide(one).allowed
    assert policy.decide(one) == policy.cedar_one(one) == Decision(False, "refused", ("claims-need-an-outlet",))
    assert policy.explain(one) == ["refused: customer_service works at no outlet [claims-need-an-outlet]"]
    assert policy.decide(facts("claim", "clerk", "to_phone")).allowed
    assert policy.digest != POLICY.digest


def test_a_carriers_own_rule_may_give_each_answer_and_no_sentence() -> None:
    own = '@id("not-today") @answer("{}") forbid (principal, action, resource == Scene::"lookup");'
    for answer in ANSWERS:
        policy = policy_with(POLICY_TEXT + own.replace("{}", answer))
        one = facts("lookup", "clerk", "to_phone")
        assert policy.decide(one) == Decision(False, answer, ("not-today",))
        assert policy.explain(one, "zh")[0].endswith("：依规则 [not-today]")
        worse = one._replace(within_quota=False, role_held=False)
        assert policy.decide(worse).answer == "refused"
        assert set(policy.decide(worse).rules) == {"not-today", "quota-used-up", "role-not-held"}


def test_a_scene_of_the_carriers_own_needs_no_cedar() -> None:
    scene = """
[scenes.night_box]
en = "put the parcel into a locker"
zh = "投柜"
forms = ["masked"]
batch = 10
quota_actor_day = 50
fields = ["to_phone"]
roles = { courier = { custody = "on_route" } }
"""
    policy = policy_with(POLICY_TEXT, SCENES_TEXT + scene)
    one = Facts("look", "courier", "night_box", "masked", ("to_phone",), **YES)
    assert policy.decide(one).allowed
    assert policy.decide(one._replace(form="full")).rules == ("form-outside-scene",)


def test_a_rule_that_cannot_be_worked_out_refuses() -> None:
    # Cedar skips a policy whose evaluation fails, be it a forbid; a skipped forbid must not open anything.
    huge = '@id("sum") @answer("refused") forbid (principal, action, resource) when { resource.batch + 9223372036854775807 > 0 };'
    policy = policy_with(POLICY_TEXT + huge)
    one = facts("deliver", "courier", "to_phone")
    assert policy.decide(one) == policy.cedar_one(one) == Decision(False, "refused", ("policy-error",))
    assert policy.explain(one)[0].endswith("[policy-error]")
    denied = policy.decide(one._replace(active=False))
    assert denied == Decision(False, "refused", ("policy-error", "staff-inactive"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("permit (principal, action, resource);", "policy 1 of the file has no @id"),
        ('@id("")\npermit (principal, action, resource);', "policy 1 of the file has no @id"),
        (ALL + ALL, 'policy 2 of the file: the @id "all" is taken'),
        (ALL.replace("all", "quota-used-up"), 'policy 1 of the file: the @id "quota-used-up" is taken'),
        (ALL.replace("all", "no-permit"), 'policy 1 of the file: the @id "no-permit" is taken'),
        (ALL.replace("all", "张三 138"), "policy 1 of the file: an @id has small letters"),
        (ALL.replace("permit", "forbid"), "rule all: a forbid needs an @answer, one of refused, not-in-custody"),
        (ALL.replace("permit", '@answer("opened") forbid'), "rule all: a forbid needs an @answer"),
        (ALL.replace("permit", '@answer("refused") permit'), "rule all: a permit has no @answer"),
        (ALL.replace("permit", '@en("{role.__class__} {nobody}") permit'), "rule all: @en has {nobody}"),
        (ALL.replace(";", " when { context.on_rout };"), "rule all: attribute `on_rout` in context"),
        (ALL.replace(";", " when { resource.quota == 1 };"), "rule all: attribute `quota` on entity type `Scene`"),
        (ALL.replace(";", " when { context.form == 1 };"), "rule all: "),
        (ALL.replace("principal,", 'principal == User::"zhang",'), "rule all: "),
        (ALL.replace("action,", 'action == Action::"print",'), "rule all: "),
        (ALL.replace("principal,", "principal == ?principal,"), "templates"),
        (
            ALL + '\n// here; "\n\npermit (principal, action',
            "the policy that begins on line 6 does not parse: unexpected end",
        ),
        (
            ALL + 'permt (principal, action, resource) when { "a;b" == "c" };\n' + ALL,
            "the policy that begins on line 3 does not parse",
        ),
        (
            ALL + "\n" * 3 + "permit (principal, action, resource) when { foo };",
            "the policy that begins on line 6 does not parse: invalid variable",
        ),
        (ALL + "\rpermit", "the policies, line 3: a control character"),
        (ALL + "// \u2028permit", "the policies, line 3: a control character"),
        (ALL + "\udc80", "the policies, line 3: a control character"),
        ("//" + "x" * 300_000, "a policy or schema has at most"),
        (";" * 600, "the policies, line 1: at most 500 policies"),
    ],
)
def test_policies_that_do_not_hold_together_are_refused(text: str, line: str) -> None:
    said = problem(text)
    assert said.startswith(line)
    assert all(part.isprintable() and len(part) < 400 for part in said.splitlines())


def test_each_problem_has_a_line_of_its_own() -> None:
    two = ALL.replace(";", " when { context.x };") + ALL.replace("all", "two").replace(";", " when { context.y };")
    assert sorted({part.split(":")[0] for part in problem(two).splitlines()}) == ["rule all", "rule two"]
    many = "".join(ALL.replace("permit", "forbid").replace("all", f"r{i}") for i in range(30))
    assert problem(many).splitlines()[-1] == "and 10 more"


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "entity Role {",
        SCHEMA_TEXT.replace("active: Bool", "aktiv: Bool"),
        SCHEMA_TEXT.replace("active: Bool", "active?: Bool"),
        SCHEMA_TEXT.replace("active: Bool", "active: String"),
        SCHEMA_TEXT.replace("tags Terms", ""),
        SCHEMA_TEXT.replace("batch: Long", "batch: String"),
        SCHEMA_TEXT.replace("action look, search", "action look"),
        SCHEMA_TEXT.replace("outlet: Bool", "outlet: Bool, floor: Long"),
        "type A = " + "{a: " * 30_000,
        "type A = " + "Set<" * 30_000,
    ],
)
def test_a_schema_that_does_not_carry_the_guards_is_refused(schema: str) -> None:
    assert problem(POLICY_TEXT, schema)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 30_000,
        "1 + " * 60_000,
        "!" * 60_000,
        "if true then " * 9_000,
        "context" + ".a" * 60_000,
        "(]" * 9_000,
        "[" * 21,
    ]
    + ["if " * 201, "{a: " * 21, "}}}}" + "(" * 21],
)
def test_a_policy_too_deep_for_cedar_never_reaches_it(text: str) -> None:
    said = problem(ALL + f'@id("deep") permit (principal, action, resource) when {{ {text}')
    assert said.startswith("the policies, line 3: at most 500 policies of 200 operators, nested 20 deep")


@pytest.mark.parametrize(
    "text",
    ["(" * 18 + "true" + ")" * 18, "true && " * 190 + "true", "1 + " * 180 + "1 == 1", "[" * 18 + "]" * 18 + " == [[]]"]
    + ["if true then true else " * 180 + "true", "context" + ".a" * 190, "!" * 190 + "true"],
)
def test_the_deepest_policy_that_reaches_cedar_does_not_end_the_process(text: str) -> None:
    script = (
        "import sys, threading\nfrom parcelveil.errors import PolicyError\n"
        "from parcelveil.reveal.policy import Facts, Policy, default_documents\n"
        "scenes, policy, schema = default_documents()\n"
        "def run():\n"
        "    try:\n"
        "        made = Policy(scenes, policy + sys.argv[1], schema)\n"
        "        print(made.decide(Facts('look', 'courier', 'deliver', 'full', ('to_name',), *[True] * 12)))\n"
        "    except PolicyError as error:\n"
        "        print('refused', error)\n"
        "threading.stack_size(2 << 20)\nthread = threading.Thread(target=run); thread.start(); thread.join()\n"
    )
    own = f'@id("deep") @answer("refused") forbid (principal, action, resource) when {{ {text} }};'
    done = subprocess.run([sys.executable, "-c", script, own], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout


def test_the_digest_covers_the_three_documents() -> None:
    assert len(POLICY.digest) == 64
    assert Policy.default().digest == POLICY.digest
    digests = {
        POLICY.digest,
        Policy(SCENES_TEXT + " ", POLICY_TEXT, SCHEMA_TEXT).digest,
        Policy(SCENES_TEXT, POLICY_TEXT + " ", SCHEMA_TEXT).digest,
        Policy(SCENES_TEXT, " " + POLICY_TEXT, SCHEMA_TEXT).digest,
        Policy(SCENES_TEXT, POLICY_TEXT, SCHEMA_TEXT + " ").digest,
    }
    assert len(digests) == 5
    assert repr(POLICY) == f"<Policy {POLICY.digest[:16]}>"


def test_the_guards_are_forbids_and_the_policy_file_has_permits_only() -> None:
    assert guards_text().count("\nforbid (") == 16
    assert "\npermit" not in guards_text()
    assert POLICY_TEXT.count("\npermit (") == 3
    assert "\nforbid" not in POLICY_TEXT


def test_decisions_are_small_numbers() -> None:
    decided = POLICY.decide_batch(batch_of([facts("deliver", "courier", "to_phone")] * 1_000))
    assert decided.codes.dtype == np.int64
    assert decided.codes.max() == 0
    assert len(decided.decisions) == 1


def test_the_rules_in_the_documents_are_those_that_decide() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "scenes.md").read_text("utf-8")
    text = documented.split("<!-- rules -->\n")[1].split("\n<!-- /rules -->")[0]
    assert text == rules_table()
    own = documented.split("```cedar\n")[1].split("```")[0]
    assert "claims-need-an-outlet" in policy_with(POLICY_TEXT + own).rules
    scene = documented.split("```toml\n")[1].split("```")[0]
    assert "locker" in policy_with(POLICY_TEXT, SCENES_TEXT + scene).scenes


def rules_table() -> str:
    """The table of rules in docs/scenes.md."""
    lines = ["| answer | rules |", "|---|---|"]
    for answer in ("opened", *ANSWERS):
        ids = [rule.id for rule in POLICY.rules.values() if rule.answer == answer]
        ids += BUILT_IN if answer == "refused" else []
        lines.append(f"| `{answer}` | {', '.join(f'`{id}`' for id in ids)} |")
    return "\n".join(lines)
