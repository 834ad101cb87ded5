"""Deciding whether looks are allowed, against Cedar asked one by one, side by side in one run.

    python bench/policy.py            # half a minute
    python bench/policy.py --quick    # 10 seconds, smaller inputs, the same keys

Every claim is a ratio of medians over at least five interleaved rounds; the last line is one JSON object.

policy_vs_cedar        CPU time a decision, requests of a carrier's day in groups of 256: cedarpy with parsed
    policies and entities, one request at a time, over decide_batch. No decision is remembered from another round.
policy_vs_cedar_bulk   the same, all requests in one batch.
policy_lone_vs_cedar   CPU time of decide() on one request whose class is known.
policy_worst_vs_cedar  requests drawn so that nearly every one is a class of its own: what grouping costs when it
    cannot help.
policy_classes         how many classes the day's requests have.
"""

from __future__ import annotations

import random
import sys

import pyarrow as pa

from parcelveil.reveal.classes import FLAGS, Classes
from parcelveil.reveal.policy import Facts, Policy
from parcelveil.reveal.scenes import FIELDS
from ratios import interleaved, report

GROUP = 256
#: How often a carrier's staff ask for what, and how often each fact holds when they do (assumed).
DAY = (
    (50, "deliver", "courier", ("to_name", "to_phone", "to_address")),
    (10, "contact", "courier", ("to_phone",)),
    (8, "pickup", "courier", ("from_name", "from_phone", "from_address")),
    (8, "lookup", "clerk", ("to_name", "to_phone", "to_address")),
    (6, "deliver", "clerk", ("to_name", "to_phone")),
    (6, "lookup", "customer_service", ("to_name", "to_phone")),
    (4, "contact", "customer_service", ("to_phone",)),
    (3, "redirect", "customer_service", ("to_address",)),
    (2, "return", "clerk", ("from_name", "from_phone", "from_address")),
    (2, "claim", "customer_service", ("to_name", "to_phone", "goods_name")),
    (1, "customs", "customs_agent", ("from_name", "to_name", "goods_name", "sender_id_no")),
)
ALMOST_ALWAYS = {"active", "role_held", "outlet_held", "enrolled", "known", "within_batch", "within_quota"}


def day(count: int, seed: int) -> list[Facts]:
    """Requests as they come on a working day."""
    rng = random.Random(seed)
    found = []
    for _, scene, role, fields in rng.choices(DAY, [weight for weight, *_ in DAY], k=count):
        flags = dict.fromkeys(FLAGS, False) | {name: rng.random() < 0.998 for name in ALMOST_ALWAYS}
        if role == "courier":  # the parcel on his route is out for delivery from his outlet
            flags["on_route"] = rng.random() < 0.97
            flags["at_outlet"] = flags["on_route"] or rng.random() < 0.5
        elif role != "customer_service":
            flags["at_outlet"] = rng.random() < 0.9
            flags["handled"] = rng.random() < 0.1
        flags["ticket"] = rng.random() < (0.95 if role == "customer_service" else 0.02)
        flags["document"] = role == "customs_agent"
        form = "masked" if scene == "lookup" else "full"
        found.append(Facts(action="look", role=role, scene=scene, form=form, fields=fields, **flags))
    return found


def worst(count: int, seed: int, policy: Policy) -> list[Facts]:
    """Requests of which hardly two are alike."""
    rng = random.Random(seed)
    scenes, roles = list(policy.scenes.by_name), list(policy.scenes.roles)
    return [
        Facts(
            rng.choice(("look", "search", "export")),
            rng.choice(roles),
            rng.choice(scenes),
            rng.choice(("full", "masked")),
            tuple(rng.sample(FIELDS, rng.randint(1, len(FIELDS)))),
            *(rng.random() < 0.7 for _ in FLAGS),
        )
        for _ in range(count)
    ]


def batch_of(requests: list[Facts]) -> pa.RecordBatch:
    columns = {name: pa.array([getattr(one, name) for one in requests]) for name in Facts._fields if name != "fields"}
    return pa.RecordBatch.from_pydict(columns | {"fields": pa.array([list(one.fields) for one in requests])})


def run() -> None:
    quick = "--quick" in sys.argv
    rounds = 5 if quick else 7
    policy = Policy.default()
    many = day(20_480 if quick else 102_400, 1)
    some = many[: 1_000 if quick else 4_000]  # Cedar is asked about these only; the figure is for one decision
    strange = worst(1_000 if quick else 4_000, 2, policy)
    whole, groups = batch_of(many), [batch_of(many[start : start + GROUP]) for start in range(0, len(many), GROUP)]
    strange_batch = batch_of(strange)
    classes = Classes(policy.scenes)
    distinct, strange_distinct = (len({classes.pack(one) for one in asked}) for asked in (many, strange))
    decided = policy.decide_batch(whole)
    for one, code in zip(some, decided.codes.tolist(), strict=False):
        assert decided.decisions[code] == policy.cedar_one(one)

    def in_groups() -> None:
        policy._cache.clear()
        for group in groups:
            policy.decide_batch(group)

    def in_bulk() -> None:
        policy._cache.clear()
        policy.decide_batch(whole)

    def grouped_in_vain() -> None:
        policy._cache.clear()
        policy.decide_batch(strange_batch)

    known = Policy.default()
    known.decide_each(some)
    figures = interleaved(
        {
            "cedar": lambda: [policy.cedar_one(one) for one in some],
            "lone": lambda: [known.decide(one) for one in some],
            "groups": in_groups,
            "bulk": in_bulk,
            "cedar, worst": lambda: [policy.cedar_one(one) for one in strange],
            "worst": grouped_in_vain,
        },
        rounds,
    )
    counts = {"cedar": len(some), "lone": len(some), "groups": len(many), "bulk": len(many)}
    us = {name: figure.cpu / counts.get(name, len(strange)) * 1e6 for name, figure in figures.items()}
    ratios: dict[str, float] = {}
    rows: list[tuple[str, str, str]] = []
    for key, ours, peer, text in (
        ("policy_vs_cedar", "groups", "cedar", f"deciding in groups of {GROUP}, against Cedar one by one"),
        ("policy_vs_cedar_bulk", "bulk", "cedar", f"{len(many):,} in one batch"),
        ("policy_lone_vs_cedar", "lone", "cedar", "one request of a class that is known"),
        (
            "policy_worst_vs_cedar",
            "worst",
            "cedar, worst",
            f"{strange_distinct:,} classes in {len(strange):,} requests",
        ),
    ):
        ratios[key] = us[peer] / us[ours]
        rows.append((text, f"{us[ours]:.2f} against {us[peer]:.0f} µs a decision", f"`{key}` {ratios[key]:.1f}"))
    ratios["policy_classes"] = distinct
    rows.append((f"classes in {len(many):,} requests of a day", f"{distinct}", f"`policy_classes` {distinct}"))
    report(rows, ratios)


if __name__ == "__main__":
    run()
