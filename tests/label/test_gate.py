"""The gates: what is wrong with a rendered label is seen, on the label."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from label.made import ODD, USUAL, clear_batch, contents, job, pages, sealed_batch
from parcelveil.label import codes
from parcelveil.label.clear import Clear, comparable
from parcelveil.label.compose import DOTS, Line, Page, Press
from parcelveil.label.content import Content
from parcelveil.label.gate import Gate
from parcelveil.label.layout import names
from parcelveil.label.problems import Problem
from parcelveil.label.typeset import Typesetter


@pytest.mark.parametrize("layout", names())
@pytest.mark.parametrize("dpi", DOTS)
def test_odd_parcels_pass(layout: str, dpi: int) -> None:
    press, made = pages([ODD[kind] for kind in ODD], layout, dpi)
    clear = Clear.of([clear_batch([ODD[kind] for kind in ODD])])
    images, problems = Gate(press, clear).check(Typesetter(press).chunk(made), made)
    assert problems == [None] * len(made)
    assert {image.shape for image in images} == {
        (round(press.layout.height_mm * DOTS[dpi]), round(press.layout.width_mm * DOTS[dpi]))
    }


def checked(
    drawn: Callable[[Page], Page], clear: Clear | None = None, row: dict[str, object] | None = None
) -> Problem | None:
    """What the gate says when something else is drawn than was composed."""
    press, (page,) = pages([row or {}])
    _, (problem,) = Gate(press, clear).check(Typesetter(press).chunk([drawn(page)]), [page])
    return problem


def symbols(page: Page, kind: str, **change: object) -> Page:
    return page._replace(
        symbols=[symbol._replace(**change) if symbol.kind == kind else symbol for symbol in page.symbols]
    )


def test_a_label_as_composed_passes() -> None:
    assert checked(lambda page: page) is None


@pytest.mark.parametrize("kind,name", [("barcode", "Code128"), ("qr", "QRCode"), ("mark", "DataMatrix")])
def test_a_code_that_says_something_else(kind: str, name: str) -> None:
    other = {"barcode": codes.code128("YT9"), "qr": codes.qr("A" * 58), "mark": codes.data_matrix("SP3")}[kind]
    assert checked(lambda page: symbols(page, kind, bits=other)) == Problem("code.unreadable", name)


@pytest.mark.parametrize("kind,name", [("barcode", "Code128"), ("qr", "QRCode"), ("mark", "DataMatrix")])
def test_a_code_that_cannot_be_read(kind: str, name: str) -> None:
    assert checked(
        lambda page: symbols(page, kind, bits=np.zeros_like({s.kind: s.bits for s in page.symbols}[kind]))
    ) == Problem("code.unreadable", name)


def test_text_over_a_code() -> None:
    def scribbled(page: Page) -> Page:
        (bars,) = [symbol for symbol in page.symbols if symbol.kind == "barcode"]
        over = [Line(bars.x, bars.y + n, 30, "■■■■", 40, False) for n in range(16)]
        return page._replace(lines=[*page.lines, *over])

    assert checked(scribbled) == Problem("code.covered", "Code128"), "it can be read from what is left of it"


def test_a_code_too_many() -> None:
    assert checked(
        lambda page: page._replace(
            symbols=[
                *page.symbols,
                page.symbols[0]._replace(x=70, y=154, bits=codes.qr("13800000000"), kind="qr", module=0.5, height=10.5),
            ]
        )
    ) == Problem("code.strange")


def test_a_line_that_is_not_there_or_says_something_else() -> None:
    assert checked(lambda page: page._replace(lines=page.lines[1:])) == Problem("text.changed")
    changed = checked(
        lambda page: page._replace(lines=[line._replace(text=line.text.replace("3", "4")) for line in page.lines])
    )
    assert changed == Problem("text.changed")


def test_a_glyph_that_got_lost() -> None:
    """A character that the typefaces lack is drawn as an empty box, and missing in the text layer."""
    assert checked(
        lambda page: page._replace(lines=[page.lines[0]._replace(text=page.lines[0].text[:-1] + "ก"), *page.lines[1:]])
    ) == Problem("text.changed")


CLEAR = {
    "name": {"to_name": "欧阳娜娜"}, "phone": {"to_phone": "+8613800000001"}, "address": {"to_address": "新建路18号3幢501室"},
    "note": {"note": "放门口"}, "goods": {"goods_name": "连衣裙"}, "id_number": {"sender_id_no": "11010519491231002X"},
    "email": {"to_email": "li.lei@example.com"}, "company": {"from_company": "晓晓服饰有限公司"},
}  # fmt: skip


@pytest.mark.parametrize("kind", CLEAR)
def test_t5_no_clear_value_gets_past_the_gate(kind: str) -> None:
    """Were a clear value set in a line, the gate would see it, whatever blanks and widths it is written with."""
    ((column, value),) = CLEAR[kind].items()
    clear = Clear.of([clear_batch([{column: value}])])
    press, (page,) = pages([{column: value}])
    for written in (value, " ".join(value), value.translate({n: n + 0xFEE0 for n in range(0x30, 0x3A)})):
        shown = page._replace(lines=[*page.lines, Line(5, 150, 6, written, 20, False)])
        assert clear.found(shown, [line.text for line in shown.lines]) == kind
    assert clear.found(page, [line.text for line in page.lines]) is None
    _, problems = Gate(press, clear).check(Typesetter(press).chunk([page]), [page])
    assert problems == [None]


def test_t5_a_clear_value_in_a_public_column_is_seen() -> None:
    """A name in the product column is no mask; the allow-list lets it through as a code, the clear batch does not."""
    row = {"product": "Ouyang", "to_name": "Ouyang"}
    run = job()
    (content,) = contents(sealed_batch(clear_batch([row])), run)
    assert isinstance(content, Content)
    press = Press(run.layout, pages([{}])[0].font)
    page = press.page(content, run.mark)
    assert isinstance(page, Page)
    _, problems = Gate(press, Clear.of([clear_batch([row])])).check(Typesetter(press).chunk([page]), [page])
    assert problems == [Problem("clear.shown", "name")]


def test_t5_the_phone_of_another_parcel_is_seen() -> None:
    clear = Clear.of([clear_batch([{}, {"waybill_no": "YT2", "to_phone": "+8613800000001"}])])
    _, (page,) = pages([{}])
    assert clear.found(page, ["致电 138 0000 0001"]) == "phone"
    assert clear.found(page, ["8613800000001"]) == "phone"
    assert clear.found(page, [page.content.waybill_no, page.content.token]) is None


#: Values of honest parcels that stand on their labels by chance.
HONEST: list[dict[str, object]] = [
    {"to_name": "北山"}, {"to_address": "新建路"}, {"goods_name": "服装鞋帽"}, {"note": "代收"}, {"note": "快递"}, {"note": "10"}, {"note": "2026"},
    {"to_name": "An"}, {"from_company": "JT"}, {"to_name": "新建"}, {"goods_name": "TV"}, {"goods_name": "OK"}, {"goods_name": "品类"},
    {"to_name": "Anna", "product": "Savannah"}, {"note": "标准"}, {"to_address": "北山街道"},
]  # fmt: skip


@pytest.mark.parametrize("row", HONEST)
def test_what_is_public_is_no_leak(row: dict[str, object]) -> None:
    """A recipient called as the town she lives in, an address that is nothing but the road, words of the layout."""
    clear = Clear.of([clear_batch([row])])
    _, (page,) = pages([row])
    assert clear.found(page, [line.text for line in page.lines]) is None


def test_short_goods_are_not_found_in_tokens_by_chance() -> None:
    rows: list[dict[str, object]] = [
        {"waybill_no": f"YT{n:06d}", "goods_name": "TV", "note": "VIP"} for n in range(300)
    ]
    press, made = pages(rows)
    _, problems = Gate(press, Clear.of([clear_batch(rows)])).check(Typesetter(press).chunk(made), made)
    assert problems == [None] * 300


@pytest.mark.parametrize(
    "phone,written",
    [
        ("+861088886666", "010-88886666"), ("+12125551234", "212 555 1234"), ("+8657188886666", "88886666"), ("+8613812345678", "一三八一二三四五六七八"),
        ("+8613812345678", "1381 2345 678"), ("+442071838750", "020 7183 8750"), ("+8613812345678;ext=12", "86 138 1234 5678"),
    ],
)  # fmt: skip
def test_t5_phones_are_found_however_they_are_written(phone: str, written: str) -> None:
    _, (page,) = pages([{}])
    clear = Clear.of([clear_batch([{"to_phone": phone}])])
    assert clear.found(page, [*(line.text for line in page.lines), f"致电 {written}"]) == "phone"


def test_t5_an_id_in_two_parts_of_a_line_is_found() -> None:
    _, (page,) = pages([{}])
    clear = Clear.of([clear_batch([{"sender_id_no": "11010519491231002X"}])])
    assert clear.found(page, ["110105 19491231", "JT 002X"]) == "id_number"


def test_t5_a_waybill_that_is_not_in_the_clear_file_is_not_printed() -> None:
    press, made = pages([{}, {"waybill_no": "YT2"}])
    _, problems = Gate(press, Clear.of([clear_batch([{}])])).check(Typesetter(press).chunk(made), made)
    assert problems == [None, Problem("clear.missing")]


def test_comparing() -> None:
    assert comparable(" １38-0000 0000 ") == "13800000000"
    assert comparable("Li, Lei!") == "LILEI"
    assert dataclasses.is_dataclass(Clear) is False and USUAL["to_name"] not in repr(Clear.of([clear_batch([{}])]))
