"""The incident of 2020 as an acceptance test.

Accounts of a carrier's franchised outlets were rented out, and used to query waybills that were not of their own
outlet; some 400,000 records are said to have been sold. The carrier noticed two such accounts (company statement of November 2020). Here
the accounts of two clerks ask for as many waybills of other outlets.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest

from parcelveil.audit.entry import decode
from parcelveil.reveal.request import Answers
from reveal.conftest import Carrier, Opened

RENTED = ("rented-1", "rented-2")


def harvest(carrier: Carrier, total: int) -> tuple[list[Answers], float]:
    """Ask for ``total`` waybills: batches as the scenes allow, every hundredth ten times too large."""
    real = carrier.numbers
    batches: list[tuple[int, int]] = []
    at = 0
    while at < total:
        size = min(1_000 if len(batches) % 100 == 99 else 100, total - at)
        batches.append((at, size))
        at += size
    requests = []
    for i, (start, size) in enumerate(batches):
        # Numbers counted up, as harvesters do; among them those that exist.
        numbers = [
            real[(start + k) % len(real)] if k % 10 == 0 else f"YT{25_000_000_000_00 + start + k}" for k in range(size)
        ]
        if i % 3 == 2:
            requests.append(carrier.request(RENTED[i % 2], "lookup", numbers, ("to_name", "to_phone"), form="masked"))
        else:
            requests.append(carrier.request(RENTED[i % 2], "deliver", numbers, ("to_name", "to_phone", "to_address")))
    begin = time.perf_counter()
    answers: list[Answers] = []
    for start in range(0, len(requests), 64):  # so many wait for the desk at once
        for answer in carrier.desk._run(requests[start : start + 64]):
            assert isinstance(answer, Answers)
            answers.append(answer)
    return answers, time.perf_counter() - begin


def judge(carrier: Carrier, opened: Opened, total: int) -> None:
    before = carrier.size()
    answers, seconds = harvest(carrier, total)
    print(f"{total:,} waybills in {seconds:.1f} s: {total / seconds:,.0f} a second")
    assert sum(len(a.answers) for a in answers) == total
    # From the first one on, and not one value; masks neither.
    said = Counter(a.answer for answer in answers for a in answer.answers)
    assert set(said) == {"not-in-custody", "refused"}
    assert {a.answer for a in answers[0].answers} == {"not-in-custody"}
    assert all(a.values is None for answer in answers for a in answer.answers)
    assert opened.calls == 0
    assert carrier.balanced() == 0
    # Every attempt stands in the log, under two handles, with how many were asked for, and a commitment to each.
    asked: Counter[str] = Counter()
    requests = set()
    for data in carrier.data()[before:]:
        entry = decode(data)
        assert entry.kind == "refusal"
        asked[entry.actor] += entry.waybills  # type: ignore[union-attr]
        requests.add(entry.request)
        assert len(entry.subjects) == entry.waybills  # type: ignore[union-attr]
    assert sum(asked.values()) == total
    assert len(asked) == 2
    assert requests == {answer.request for answer in answers}
    # The log can prove each of them.
    carrier.receipts_hold(answers[-1])


def test_t1_two_rented_accounts_ask_for_40_000_waybills(carrier: Carrier, opened: Opened) -> None:
    judge(carrier, opened, 40_000)


@pytest.mark.slow
def test_t1_two_rented_accounts_ask_for_400_000_waybills(carrier: Carrier, opened: Opened) -> None:
    judge(carrier, opened, 400_000)
