"""``parcelveil demo`` shows what it promises, step by step, and leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
    "a folder of the kinds of files in which parcels' data leaked: 10 files",
    "outlet/派件表.xlsx +an outlet's spreadsheet +400 +customer list: 400 people \\(medium\\)",
    "supplier/客户资料_2019.csv .* customer list with identity numbers: 496 people \\(high\\)",
    "app/order-service.log .* log with phones: 48 people",
    "photos/IMG_0231.jpg +a photographed label +2 +waybill label with readable names, phones and addresses",
    "photos/IMG_0232.jpg +a photographed label, masked +waybill label, masked",
    "phone/chats.zip .* chat with",
    "price/价目表.csv +nobody's data +nothing found",
    "people found: ([0-9,]+) of \\1; nothing in nobody's files",
    "of the [0-9,]+ values they hold none",
    "a small carrier at work: 200 people, 45 days, [0-9,]+ looks at parcels",
    r"watched: \d+ cases",
    r"the rented account: ([0-9,]+) records in all\n   > case of .*\n(?: .*\n)+?     lost before the case: \d+ of its \1",
    r"the slow insider: ([0-9,]+) records in all\n   > case of .*\n(?: .*\n)+?     lost before the case: \d+ of its \1",
    r"the enumerator: ([0-9,]+) records in all\n   > case of .*\n(?: .*\n)+?     lost before the case: \d+ of its \1",
    r"the other \d+ of \d+ accounts were left in peace",
    r"false cases: \d+ in 31 days \(promised: about 0.7\), and \d+ in the days that teach",
)


def test_the_demo_keeps_its_promises_and_leaves_nothing(desk: Desk) -> None:
    ran = desk.run("demo", "--count", "5000")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert "WRONG" not in ran.text
    assert "DIFFERENT" not in ran.text
    assert "NOT found" not in ran.text
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", ran.text, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    at = 0
    for words in PROMISED:  # in this order
        found = re.compile(words).search(ran.text, at)
        assert found, words
        at = found.start()
    assert not list(Path("tmp").iterdir())
    assert desk.names() == set()


@pytest.fixture
def no_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where the extra is not installed: the photographs' codes are read, and their text is not."""
    monkeypatch.setattr("parcelveil.scan.picture.available", lambda: False)


@pytest.fixture
def few_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """A carrier that is watched in a second or two: watch only learns, and what it says of whom is not the question."""
    monkeypatch.setattr("parcelveil.cli.demo_watch.STAFF", 50)
    monkeypatch.setattr("parcelveil.cli.demo_watch.DAYS", 4)


@pytest.mark.usefixtures("no_ocr", "few_days")
def test_a_demo_that_is_kept_can_be_looked_at(desk: Desk) -> None:
    ran = desk.run("demo", "--count", "2000", "--workspace", "shown")
    assert ran.code == 0, ran.err
    assert re.search(r"people found: 1,364 of 1,366; nothing in nobody's files\n   not read, or in part: IMG_0231.jpg, "
                     r"IMG_0232.jpg \(a picture: its codes were read, its text needs the extra ocr\)", ran.text)  # fmt: skip
    assert (desk.folder / "shown" / "leak" / "phone" / "chats.zip").exists()
    assert not list((desk.folder / "shown").glob("carrier-*")), "the carrier's files go, with a kept workspace too"
    ran = desk.run("audit", "verify", "-w", "shown")
    assert ran.code == 0, ran.err
    assert desk.run("audit", "reconcile", "-w", "shown").code == 0
    desk.run("demo", "--count", "2000", "--workspace", "shown").refused(5, "already")


@pytest.mark.usefixtures("no_ocr", "few_days")
def test_a_demo_of_a_few_waybills(desk: Desk) -> None:
    assert "20 opened" in desk.run("demo", "--count", "120").text
    ran = desk.run("demo", "--count", "60")
    assert ran.code == 2
    assert ran.err.startswith("error: the desk's part needs 120 waybills\nhint: ")
    assert not list(Path("tmp").iterdir())
