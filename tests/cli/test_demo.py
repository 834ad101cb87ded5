"""``parcelveil demo`` shows what it promises, step by step, and leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path

from cli.conftest import Desk

PROMISED = (
    "4,999 open",
    "labels for the sample day, without any key: the first 200 of 200",
    "one of them, photographed: bar code \\w+, token AE",
    "138\\*{4}1234 hides 4 digits, 6 required",
    "looks at .* to deliver it: opened, the values that were sealed",
    "which is c-105's: not-in-custody",
    "he scans the label of one of his parcels: opened, it is .*; and another's: not-in-custody, the waybill's number is not told",
    "asks to export 20 waybills: needs-approval",
    "approves it himself: not approved",
    r"20 opened; asked once more: refused \(approval-used\)",
    "the log verifies: .* entries",
    "receipt verifies offline: .*values opened ([0-9,]+), values logged \\1",
    "edits a refusal on disk; found: entry",
    "a witness in another process: cosigned",
    "by itself it verifies",
    "the witness: error: .* has two histories",
)


def test_the_demo_keeps_its_promises_and_leaves_nothing(desk: Desk) -> None:
    ran = desk.run("demo", "--count", "5000")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert "WRONG" not in ran.text
    assert "DIFFERENT" not in ran.text
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", ran.text, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    at = 0
    for words in PROMISED:  # in this order
        found = re.compile(words).search(ran.text, at)
        assert found, words
        at = found.start()
    assert not list(Path("tmp").iterdir())
    assert desk.names() == set()


def test_a_demo_that_is_kept_can_be_looked_at(desk: Desk) -> None:
    assert desk.run("demo", "--count", "2000", "--workspace", "shown").code == 0
    ran = desk.run("audit", "verify", "-w", "shown")
    assert ran.code == 0, ran.err
    assert desk.run("audit", "reconcile", "-w", "shown").code == 0
    desk.run("demo", "--count", "2000", "--workspace", "shown").refused(5, "already")


def test_a_demo_of_a_few_waybills(desk: Desk) -> None:
    assert "20 opened" in desk.run("demo", "--count", "120").text
    ran = desk.run("demo", "--count", "60")
    assert ran.code == 2
    assert ran.err.startswith("error: the desk's part needs 120 waybills\nhint: ")
    assert not list(Path("tmp").iterdir())
