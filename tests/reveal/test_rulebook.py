"""Putting rules in force: two people, and nothing that does not hold together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from parcelveil.errors import PolicyError
from parcelveil.reveal import rulebook, staff
from parcelveil.reveal.policy import Policy, default_documents
from parcelveil.reveal.request import Secret
from parcelveil.reveal.rulebook import Rulebook
from reveal.conftest import WITH_C1, Carrier

SCENES, POLICY, SCHEMA = default_documents()
LOCKER = """
[scenes.locker]
en = "put the parcel into a locker"
zh = "投放快递柜"
forms = ["full", "masked"]
batch = 30
quota_actor_day = 200
fields = ["to_phone"]
[scenes.locker.roles]
courier = { custody = "on_route" }
"""
WITH_LOCKER = (SCENES + LOCKER, POLICY, SCHEMA)


def actions(carrier: Carrier) -> list[tuple[str, int]]:
    return [(e.action, e.version) for e in carrier.entries("policy")]  # type: ignore[union-attr]


def locker(carrier: Carrier) -> str:
    return carrier.look("c-1", "locker", carrier.numbers[:1], "to_phone").answers[0].answer


def test_two_people_put_a_scene_in_force(carrier: Carrier) -> None:
    assert locker(carrier) == "refused"
    version = rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pa-1"))
    assert version == 2
    assert locker(carrier) == "refused"
    rulebook.approve(carrier.log, version, carrier.who("pp-1"))
    assert locker(carrier) == "opened"
    assert actions(carrier) == [("proposed", 2), ("approved", 2)]
    digests = {e.sha256 for e in carrier.entries("policy")}  # type: ignore[union-attr]
    assert digests == {Policy(*WITH_LOCKER).digest}
    assert [e.policy for e in carrier.entries("look", "refusal")] == [1, 1, 2]  # type: ignore[union-attr]


def test_a_running_desk_follows_another_process(carrier: Carrier) -> None:
    assert locker(carrier) == "refused"
    with carrier.open() as other:
        rulebook.approve(other.log, rulebook.propose(other.log, WITH_LOCKER, carrier.who("pa-1")), carrier.who("pp-1"))
    assert locker(carrier) == "opened"


def test_back_to_what_was(carrier: Carrier) -> None:
    rulebook.approve(carrier.log, rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pa-1")), carrier.who("pp-1"))
    old = rulebook.propose(carrier.log, default_documents(), carrier.who("pa-1"))
    assert locker(carrier) == "opened"
    rulebook.approve(carrier.log, old, carrier.who("pp-1"))
    assert (old, locker(carrier)) == (3, "refused")
    with carrier.workspace.store.transaction() as tx:
        assert [(row.version, row.state) for row in tx.policies()] == [(1, "replaced"), (2, "replaced"), (3, "active")]
        assert Rulebook.of(tx).version == 3


def test_t1_the_author_does_not_approve(carrier: Carrier) -> None:
    """Nor when the register lets him hold both duties: it was written past the desk."""
    version = rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pa-1"))
    with pytest.raises(PolicyError, match="own proposal"):
        rulebook.approve(carrier.log, version, carrier.who("pa-1", role="policy_approver"))
    with carrier.log.begin() as batch:
        rows = {row.number: row for row in batch.tx.staff()}
        batch.tx.put_staff(batch.rows.sealed(msgspec.structs.replace(rows["pa-1"], roles="policy_approver")))
    with pytest.raises(PolicyError, match="own proposal"):
        rulebook.approve(carrier.log, version, carrier.who("pa-1"))
    with carrier.log.begin() as batch:
        batch.tx.put_staff(
            batch.rows.sealed(msgspec.structs.replace(rows["pp-1"], roles="policy_approver policy_author"))
        )
    with pytest.raises(PolicyError, match="nobody both"):
        rulebook.approve(carrier.log, version, carrier.who("pp-1"))
    with pytest.raises(PolicyError, match="nobody both"):
        rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pp-1"))
    assert locker(carrier) == "refused"
    assert [action for action, _ in actions(carrier)] == ["proposed", "refused", "refused", "refused", "refused"]


@pytest.mark.parametrize("number", ["c-1", "pp-1", "gone-1", "nobody", "au-1"])
def test_t1_only_authors_propose(carrier: Carrier, number: str) -> None:
    with pytest.raises(PolicyError, match="policy_author"):
        rulebook.propose(carrier.log, WITH_LOCKER, carrier.who(number))
    assert actions(carrier) == [("refused", 2)]
    with carrier.workspace.store.transaction() as tx:
        assert tx.policies() == []


@pytest.mark.parametrize("changed", [{"device": "d-c-1"}, {"device_key": Secret(bytes(32))}, {"device": ""}])
def test_t1_authors_and_approvers_need_their_device(carrier: Carrier, changed: dict[str, object]) -> None:
    with pytest.raises(PolicyError, match="device"):
        rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pa-1", **changed))
    version = rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pa-1"))
    with pytest.raises(PolicyError, match="device"):
        rulebook.approve(carrier.log, version, carrier.who("pp-1", **changed))
    assert [action for action, _ in actions(carrier)] == ["refused", "proposed", "refused"]


def test_t1_a_suspended_approver(carrier: Carrier) -> None:
    version = rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pa-1"))
    line = staff.Hired("pp-1", frozenset({"policy_approver"}), frozenset(), active=False)
    staff.put(carrier.log, carrier.scenes, [line])
    with pytest.raises(PolicyError, match="active"):
        rulebook.approve(carrier.log, version, carrier.who("pp-1"))


@pytest.mark.parametrize(
    "documents",
    [
        (SCENES.replace("quota_actor_day = 300", ""), POLICY, SCHEMA),
        (SCENES.replace('fields = ["to_name", "to_phone", "to_address"]', 'fields = ["to_nmae"]'), POLICY, SCHEMA),
        (SCENES.replace("[scenes.deliver", "[scenes.print"), POLICY, SCHEMA),
        (SCENES.replace('["policy_author", "policy_approver"],', ""), POLICY, SCHEMA),
        (SCENES, POLICY + "\npermit (principal, action, resource) when { context.nonsense };", SCHEMA),
        (SCENES, POLICY + "\npermit (principal", SCHEMA),
        (SCENES, POLICY, "nonsense"),
        (SCENES, "\0" * 100, SCHEMA),
        ("x" * 10_000_000, POLICY, SCHEMA),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_not_even_proposed(carrier: Carrier, documents: tuple[str, str, str]) -> None:
    with pytest.raises(PolicyError):
        rulebook.propose(carrier.log, documents, carrier.who("pa-1"))
    with carrier.workspace.store.transaction() as tx:
        assert tx.policies() == []
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).opened


def test_a_permit_for_everything_lifts_no_limit(carrier: Carrier) -> None:
    everything = POLICY + '\n@id("all")\npermit (principal, action, resource);\n'
    version = rulebook.propose(carrier.log, (SCENES, everything, SCHEMA), carrier.who("pa-1"))
    rulebook.approve(carrier.log, version, carrier.who("pp-1"))
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).opened
    for answers in (
        carrier.look("c-1", "deliver", carrier.numbers[150:151]),
        carrier.look("c-1", "deliver", carrier.numbers[WITH_C1], "sender_id_no"),
        carrier.look("an-1", "export", carrier.numbers[:2]),
        carrier.look("gone-1", "deliver", carrier.numbers[:1]),
    ):
        assert not any(a.answer == "opened" for a in answers.answers)


def test_entries_of_two_opened_groups_count_each_value_once(carrier: Carrier) -> None:
    """A rule of one's own can have one request opened by different rules: each entry counts its own values."""
    scenes = SCENES.replace(
        'courier = { custody = "on_route", fields = ["to_name", "to_phone", "to_address", "note"] }\nclerk = { custody = "at_outlet" }',
        'courier = { custody = "on_route", fields = ["to_name", "to_phone", "to_address", "note"] }\nclerk = { custody = ["at_outlet", "handled"] }',
    )
    rule = '\n@id("left-lately")\npermit (principal, action, resource) when { context.handled };\n'
    assert scenes != SCENES
    version = rulebook.propose(carrier.log, (scenes, POLICY + rule, SCHEMA), carrier.who("pa-1"))
    rulebook.approve(carrier.log, version, carrier.who("pp-1"))
    answers = carrier.look("k-1", "deliver", [*carrier.numbers[:4], *carrier.numbers[300:303]])
    assert answers.opened
    assert [(e.waybills, e.values) for e in carrier.receipts_hold(answers)] == [(4, 8), (3, 6)]  # type: ignore[union-attr]
    assert carrier.balanced() == 14


def test_t6_files_on_disk_have_no_say(carrier: Carrier, tmp_path: Path) -> None:
    for folder in (carrier.folder, carrier.folder / "rules", tmp_path):
        folder.mkdir(exist_ok=True)
        for name, text in zip(("scenes.toml", "policy.cedar", "schema.cedarschema"), WITH_LOCKER, strict=True):
            (folder / name).write_text(text, "utf-8")
    with carrier.open() as other:
        answers = other.desk(carrier.source).look(carrier.request("c-1", "locker", carrier.numbers[:1], ("to_phone",)))
    assert answers.answers[0].reason == "unknown-scene"


def test_a_rejected_proposal_and_numbers_that_are_none(carrier: Carrier) -> None:
    version = rulebook.propose(carrier.log, WITH_LOCKER, carrier.who("pa-1"))
    rulebook.approve(carrier.log, version, carrier.who("pp-1"), reject=True)
    for number in (version, 1, 99, 13812345678, -1):
        with pytest.raises(PolicyError, match="not a proposal"):
            rulebook.approve(carrier.log, number, carrier.who("pp-1"))
    assert locker(carrier) == "refused"
    assert actions(carrier) == [
        ("proposed", 2),
        ("rejected", 2),
        ("refused", 2),
        ("refused", 1),
        *[("refused", 0)] * 3,  # a number that somebody typed does not go into the log
    ]
