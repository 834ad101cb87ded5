"""What labels may not say: invented cases, and properties over masks and spellings."""

from __future__ import annotations

import base64
import itertools
import json
import tomllib
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.label.folded import fold
from parcelveil.label.payload import opaque, readable
from parcelveil.label.phones import phones
from parcelveil.label.rules import NOTES, RULES, Said, judge
from parcelveil.seal.mask import mask_column

FOLDER = Path(__file__).parent
CASES = tomllib.loads((FOLDER / "check_cases.toml").read_text("utf-8"))["case"]
HELD_OUT = tomllib.loads((FOLDER / "check_held_out.toml").read_text("utf-8"))["case"]

MOBILES = st.from_regex(r"\A1[3-9][0-9]{9}\Z")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
HAN = str.maketrans("0123456789", "〇一二三四五六七八九")


def said(text: str, place: str = "text layer") -> list[Said]:
    return [Said(line, place, 1) for line in (text.splitlines() if place == "text layer" else [text])]


def broken(text: str, place: str = "text layer") -> list[str]:
    return sorted({found.rule for found in judge(said(text, place))[0]})


@pytest.mark.parametrize("case", CASES + HELD_OUT, ids=lambda case: case["text"][:24])
def test_each_invented_label_breaks_the_rules_that_it_should(case: dict[str, object]) -> None:
    findings, notes = judge(said(str(case["text"]), str(case.get("place", "text layer"))))
    assert sorted({f.rule for f in findings}) == case["breaks"], [f.what for f in findings]
    assert set(case.get("notes", ())) <= {n.rule for n in notes}  # type: ignore[arg-type]


def test_the_cases_are_many_and_break_every_rule() -> None:
    assert len(CASES) >= 60 and len(HELD_OUT) >= 40
    rules = {rule for case in CASES for rule in case["breaks"]}
    assert rules == set(RULES) - {"code.missing"}  # of pages, not of texts
    assert not set(RULES) & set(NOTES)


SPELLINGS = {
    "plain": lambda n: n,
    "groups": lambda n: f"{n[:3]} {n[3:7]} {n[7:]}",
    "hyphens": lambda n: f"{n[:3]}-{n[3:7]}-{n[7:]}",
    "dots": lambda n: f"{n[:3]}.{n[3:7]}.{n[7:]}",
    "single": " ".join,
    "country": lambda n: f"+86 {n}",
    "country00": lambda n: f"0086-{n[:3]}-{n[3:]}",
    "wide": lambda n: n.translate(FULL_WIDTH),
    "han": lambda n: n.translate(HAN),
    "invisible": lambda n: "\u200b".join(n),
    "circled": lambda n: "".join(chr(0x245F + int(d)) if d != "0" else "⓪" for d in n),
    "arabic": lambda n: "".join(chr(0x660 + int(d)) for d in n),
    "brackets": lambda n: f"({n[:3]}) {n[3:7]} {n[7:]}",
    "two": lambda n: f"{n[:5]} {n[5:]}",
    "slash": lambda n: f"{n[:3]}/{n[3:7]}/{n[7:]}",
}


@settings(max_examples=40, deadline=None)
@given(MOBILES, st.sampled_from(["", "电话", "收 李** ", "张* ", "Tel: ", "路18号 "]))
def test_a_whole_number_is_found_in_every_spelling(number: str, before: str) -> None:
    for name, spell in SPELLINGS.items():
        assert "phone.clear" in broken(before + spell(number)), name


@settings(max_examples=40, deadline=None)
@given(MOBILES, st.integers(1, 10), st.integers(0, 10), st.sampled_from("*＊×●○•■□Xx#☺_某"))
def test_the_digits_that_show_decide_about_a_mask(number: str, hidden: int, at: int, hider: str) -> None:
    at = min(at, 11 - hidden)
    mask = number[:at] + hider * hidden + number[at + hidden :]
    found = broken(mask)
    if hidden >= 6 or at < 1:
        assert "phone.hidden" not in found
    elif at >= 2 and hidden >= 2:
        assert found == ["phone.hidden"]
    assert "phone.clear" not in found


NAMES = st.one_of(
    st.sampled_from(["李雷", "欧阳娜娜", "John Doe", "张三", "阿依古丽·买买提", "Ирина Попова"]), st.text(max_size=12)
)
PHONES = st.one_of(
    MOBILES.map("+86{}".format),
    st.sampled_from(
        ["+8657187654321", "+864008111111", "+442079460958", "+12135550147", "+8617012345678;ext=1234", "95338"]
    ),
    st.text(max_size=20),
)
ADDRESSES = st.one_of(
    st.sampled_from(["徐民路308号3幢2单元501室", "文三路18弄3号楼", "幸福小区3幢", "120 N Main St Apt 4", "人民路1号"]),
    st.text(max_size=30),
)


@settings(max_examples=150, deadline=None)
@given(NAMES, PHONES, ADDRESSES)
def test_our_own_masks_break_no_rule(name: str, phone: str, address: str) -> None:
    masks = [
        mask_column(pa.array([value], pa.string()), kind)[0].as_py()
        for value, kind in ((name, "name"), (phone, "phone"), (address, "address"))
    ]
    assert broken("收 {}  {}\n浙江省 杭州市 西湖区 翠苑街道\n{}".format(*masks)) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6), st.sampled_from(["text layer", "OCR", "QRCode", "metadata: Title"]))
def test_no_text_stops_it_and_no_remark_quotes_what_is_clear(texts: list[str], place: str) -> None:
    findings, notes = judge([Said(text, place, 1) for text in texts], ["SF1380013800012"])
    for remark in (*findings, *notes):
        assert remark.what
        if remark.rule.endswith((".clear", ".named")):
            assert len(remark.quote) <= 4 and remark.quote.endswith("…")


@settings(max_examples=60, deadline=None)
@given(MOBILES)
def test_wrapped_numbers_are_found_in_codes(number: str) -> None:
    text = f"to 张三 {number} end"
    wrappings = [
        base64.b64encode(text.encode()).decode(),
        base64.urlsafe_b64encode(text.encode("gb18030")).decode().rstrip("="),
        quote(text),
        quote(quote(text)),
        text.encode().hex(),
        json.dumps({"a": [{"b": text}]}),
        json.dumps({"tel": int(number)}),
        base64.b64encode(json.dumps({"t": text}).encode()).decode(),
        "https://x.example/?d=" + quote(base64.b64encode(text.encode()).decode()),
    ]
    for wrapped in wrappings:
        assert "phone.clear" in broken(wrapped, "QRCode"), wrapped


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=16, max_size=64))
def test_random_tokens_say_nothing(data: bytes) -> None:
    token = base64.b32encode(data).decode().rstrip("=")
    assert opaque(token)
    assert broken(token, "QRCode") == []


def test_unwrapping_is_bounded() -> None:
    deep: object = "13812345678"
    for _ in range(200):
        deep = [deep, deep] if not isinstance(deep, list) else [deep]
    assert len(readable(json.dumps(deep))) <= 48
    bomb = "13812345678"
    for _ in range(30):
        bomb = base64.b64encode(bomb.encode()).decode()[:90_000]
    assert len(readable(bomb)) <= 48
    assert len(readable("[" * 100_000)) >= 1


def test_the_waybill_number_of_the_bar_code_is_nobodys() -> None:
    number = "13800138000123"
    findings, _ = judge(said("运单号 138 0013 8000 123\n13800138000123"), [number])
    assert findings == []


def test_every_place_is_one_number() -> None:
    text = fold("李** 138****5678 13812345678 17012345678转1234 0571-87654321 +44 20 7946 0958")
    found = sorted(phones(text), key=lambda phone: phone.start)
    assert [phone.kind for phone in found] == ["masked", "clear", "virtual", "clear", "clear"]
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


@pytest.mark.parametrize(
    "text",
    [
        "1*",
        "张三 ",
        "To: Aa Bb ",
        "13812345678 ",
        "138****1234 ",
        "%31",
        "+1 ",
        "3幢",
        "1",
        "a=b&",
        "MTIz",
        "张·",
        "[",
        "O1",
    ],
)
def test_long_lines_take_seconds_not_hours(text: str) -> None:
    import time

    started = time.process_time()
    judge([Said(text * 20_000, "metadata: Title", 1)])
    assert time.process_time() - started < 10


def test_a_long_line_hides_nothing_and_cuts_no_number() -> None:
    for blanks in range(380, 520, 7):
        filler = "重量 1.25kg " * 60
        assert broken(filler[:blanks] + " 13812345678 " + filler) == ["phone.clear"], blanks
        assert broken(filler[:blanks] + " 73813812345678901 " + filler) == [], blanks
