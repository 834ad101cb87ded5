"""A folder of the kinds of files in which parcels' data leaked, with nobody in it, and what is in each.

::

    for file in leak_folder(Path("leak"), seed=5):
        file.name, file.people, file.what       # 'outlet/派件表.xlsx', 400, "an outlet's spreadsheet"

The kinds are those of cases that came to court or into the press: an outlet's spreadsheet, a supplier's old customer file, an
application's log, photographs of labels, exported chats, a forgotten database dump. Innocent files lie between them, full of digits
that are nobody's. People are drawn as in :mod:`parcelveil.simulate.parcels`; a seed gives the same files, but for the
encoders of pictures and spreadsheets, which differ from version to version.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.errors import OutputError, UsageError
from parcelveil.simulate.draw import Draw
from parcelveil.simulate.leak_label import LAYOUTS, Fields, draw, photograph
from parcelveil.simulate.lexicon import word_lists
from parcelveil.simulate.parcels import parcels
from parcelveil.simulate.people import MOBILE_BLOCKS, id_numbers

_DUMP = Path(__file__).with_name("leak_dump.sql")
_CARRIERS = {
    "ZTO": "中通快递", "YTO": "圆通速递", "YUNDA": "韵达快递", "STO": "申通快递", "JT": "极兔速递", "SF": "顺丰速运", "EMS": "EMS",
}  # fmt: skip
_CHINA = timezone(timedelta(hours=8))
_DAY = datetime(2026, 3, 2, 9, tzinfo=_CHINA)
_OLD = datetime(2019, 6, 3, tzinfo=_CHINA)
_SECOND_MS = 1000
#: Labels that are photographed; every other one is masked.
_PHOTOGRAPHS = 2
_LARGEST = 1_000_000
#: What a chat is about, with places for a person's order, name, phone and address.
_SAYINGS = (
    "{name} {phone} {address} 麻烦今天发货",
    "帮我查下 {waybill} 到哪了，电话{phone}",
    "客户说没收到，收件人{name}，手机{phone}",
    "改地址：{address}，{name}收，{phone}",
)
_SMALL_TALK = (
    "好的",
    "在吗",
    "稍等，我看一下",
    "已经安排了",
    "收到谢谢",
    "下午三点前能出吗",
    "明天见",
    "这批面单打印机又卡纸了",
)
#: Of a log's lines, those that hold a phone.
_LINES_WITH_PHONE = 0.2


class LeakFile(NamedTuple):
    """One file, and what is in it. ``planted``: personal values as they stand in it, in clear."""

    name: str  # path within the folder
    what: str
    people: int  # whose phone stands in it in clear
    planted: frozenset[str]


class Person(NamedTuple):
    """A recipient with a whole Chinese name and a mobile, who is nobody."""

    name: str
    phone: str
    address: str  # all of it
    id_no: str
    waybill_no: str
    carrier: str
    sort_code: str
    goods: str
    order: str
    weight_g: int


def leak_folder(folder: Path, seed: int = 5, people: int = 400) -> list[LeakFile]:
    """Writes the files, and says what is in each. ``folder`` is made where it is not there; its files are replaced.

    Args:
        folder: where they go.
        seed: a number from 0.
        people: how many people stand in the spreadsheet and the dump; twice as many in the supplier's file.

    Raises:
        UsageError: ``people`` is out of range.
        OutputError: a file cannot be written.
    """
    if not 8 <= people <= _LARGEST:
        raise UsageError("{name} must be between {low} and {high}", name="people", low=8, high=_LARGEST)
    source = Draw(seed, 31)
    crowd = draw_people(seed, 2 * people)
    made: list[LeakFile] = []
    for name, what, data, who, planted in _files(crowd, people, source, seed):
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise OutputError("{file} cannot be written: {problem}", file=name, problem=error.strerror) from None
        made.append(LeakFile(name, what, len({person.phone for person in who}), frozenset(planted)))
    return made


_Made = tuple[str, str, bytes, Sequence[Person], set[str]]


def _files(crowd: Sequence[Person], people: int, source: Draw, seed: int) -> Iterator[_Made]:
    outlet = crowd[:people]
    yield *_outlet(outlet), outlet, _values(outlet, "name", "phone", "address")
    old = [crowd[at] for at in source.below(len(crowd), 2 * people).tolist()]
    yield (
        "supplier/客户资料_2019.csv",
        "a supplier's old customer file",
        _supplier(old),
        old,
        _values(old, "name", "phone", "address", "id_no"),
    )
    logged = [crowd[at] for at in source.below(len(crowd), max(people // 8, 4)).tolist()]
    yield "app/order-service.log", "an application's log", _log(logged, source), logged, _values(logged, "phone")
    yield from _photographs(crowd, seed)
    talked = crowd[-max(people // 20, 4) :]
    said = {getattr(one, field) for number, one in enumerate(talked) for field in _said(number)}
    yield "phone/chats.zip", "exported chats", _chats(talked), talked, said
    dumped = crowd[people:]
    yield (
        "backup/receiver_2021.sql.gz",
        "a forgotten database dump",
        _dump(dumped),
        dumped,
        _values(dumped, "name", "phone", "address"),
    )
    for name, data in (
        ("src/routing.py", _code()),
        ("price/价目表.csv", _prices(source)),
        ("src/build.log", _build(source)),
    ):
        yield name, "nobody's data", data, (), set()


def _values(who: Sequence[Person], *fields: str) -> set[str]:
    return {getattr(person, field) for person in who for field in fields}


def draw_people(seed: int, count: int) -> list[Person]:
    """So many recipients, each with a phone of their own; the same for a seed and a count."""
    titles = tuple(word_lists()["person"]["titles"])
    blocks = tuple(str(block) for block in MOBILE_BLOCKS)
    found: list[Person] = []
    seen: set[str] = set()
    # About half of all recipients have both: see the shares of names and phones.
    for batch in parcels(min(6 * count + 400, 6 * _LARGEST), seed=seed, foreign=0.0):
        ids = id_numbers(Draw(seed, 32, len(found)), batch.num_rows).to_pylist()
        for row, id_no in zip(batch.to_pylist(), ids, strict=True):
            phone = row["to_phone"].removeprefix("+86")
            name = row["to_name"]
            if phone in seen or not phone.startswith(blocks) or not (2 <= len(name) <= 3) or "*" in name:
                continue
            if name.endswith(titles) or not name.isalpha():
                continue
            seen.add(phone)
            found.append(_person(row, name, phone, id_no))
            if len(found) == count:
                return found
    return found


def _person(row: dict[str, Any], name: str, phone: str, id_no: str) -> Person:
    parts = [row["to_region"], row["to_city"], row["to_district"]]
    place = "".join(dict.fromkeys(part for part in parts if part))
    return Person(
        name=name,
        phone=phone,
        address=f"{place}{row['to_town'] or ''}{row['to_address']}",
        id_no=id_no,
        waybill_no=row["waybill_no"],
        carrier=_CARRIERS[row["carrier"]],
        sort_code=row["sort_code"],
        goods=row["goods_name"],
        order=row["order_ref"],
        weight_g=row["weight_g"],
    )


# --- the files


def _outlet(who: Sequence[Person]) -> tuple[str, str, bytes]:
    """As XLSX where xlsxwriter is installed, else as CSV."""
    what = "an outlet's spreadsheet"
    header = ("日期", "运单号", "收件人", "电话", "地址", "品名")
    rows = [("2026-03-02", one.waybill_no, one.name, one.phone, one.address, one.goods) for one in who]
    try:
        import xlsxwriter
    except ImportError:
        return "outlet/派件表.csv", what, _csv(header, rows).encode("utf-8-sig")
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_numbers": False})
    book.set_properties({"created": _DAY.astimezone(UTC).replace(tzinfo=None)})
    sheet = book.add_worksheet("3月2日派件")
    for number, row in enumerate((header, *rows)):
        for column, cell in enumerate(row):
            sheet.write_string(number, column, cell)
    book.close()
    return "outlet/派件表.xlsx", what, target.getvalue()


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _supplier(who: Sequence[Person]) -> bytes:
    rows = [
        (
            f"C{number:06d}",
            one.name,
            one.phone,
            one.id_no,
            one.address,
            f"{_OLD + timedelta(days=number % 200):%Y/%m/%d}",
        )
        for number, one in enumerate(who)
    ]
    return _csv(("编号", "客户姓名", "手机", "身份证号", "收货地址", "登记日期"), rows).encode("gb18030")


def _log(who: Sequence[Person], source: Draw) -> bytes:
    """Lines with times of day, epochs, trace ids, order numbers and floats, a fifth of them with a phone."""
    count = round(len(who) / _LINES_WITH_PHONE)
    words = source.below(1 << 32, 4 * count).reshape(4, count).tolist()
    epoch = round(_DAY.timestamp() * _SECOND_MS)
    lines: list[str] = []
    for number, (first, second, third, fourth) in enumerate(zip(*words, strict=True)):
        epoch += first % 900
        time = datetime.fromtimestamp(epoch / _SECOND_MS, _CHINA)
        head = f"{time:%Y-%m-%d %H:%M:%S},{epoch % 1000:03d} INFO [exec-{first % 16}] trace={first:08x}{second:08x}{third:08x}{fourth:08x} "
        one = who[number // 5] if number % 5 == 0 else None
        if one and number % 10 == 0:
            body = f'sms.send {{"order":"{one.order}","mobile":"{one.phone}","template":"SMS_{first % 10**9:09d}","ts":{epoch}}}'
        elif one:
            body = f"delivery notified, phone={one.phone} waybill={one.waybill_no} cost={third % 900 / 7:.3f}ms"
        else:
            body = f"GET /api/order/{10**17 + second * 4096 + third % 4096} 200 {fourth % 900 / 7:.6f} epoch={epoch} phone=142****{fourth % 10_000:04d}"
        lines.append(head + body)
    return ("\n".join(lines) + "\n").encode()


def _photographs(crowd: Sequence[Person], seed: int) -> Iterator[_Made]:
    """Photographed labels; none where the packages that draw them are not installed."""
    if find_spec("PIL") is None or find_spec("zxingcpp") is None:
        return
    for number in range(_PHOTOGRAPHS):
        to, by = crowd[2 * number], crowd[2 * number + 1]
        label = Fields(
            to.waybill_no,
            to.carrier,
            to.sort_code,
            to.name,
            to.phone,
            to.address,
            by.name,
            by.phone,
            by.address,
            to.goods,
        )
        masked = number % 2 == 1
        picture = draw(label.masked() if masked else label, LAYOUTS[number % len(LAYOUTS)])
        target = io.BytesIO()
        photograph(picture, seed=seed + number).save(target, "JPEG", quality=72)
        who = () if masked else (to, by)
        yield (
            f"photos/IMG_{231 + number:04d}.jpg",
            "a photographed label, masked" if masked else "a photographed label",
            target.getvalue(),
            who,
            _values(who, "name", "phone", "address"),
        )


def _said(number: int) -> list[str]:
    """The personal fields that a message tells."""
    return [field for field in ("name", "phone", "address") if f"{{{field}}}" in _SAYINGS[number % len(_SAYINGS)]]


def _chats(who: Sequence[Person]) -> bytes:
    """Two chats, one as the text and one as the JSON that messengers export."""
    lines: list[str] = []
    messages: list[dict[str, object]] = []
    for number, one in enumerate(who):
        time = _DAY + timedelta(minutes=7 * number)
        said = _SAYINGS[number % len(_SAYINGS)].format(
            name=one.name, phone=one.phone, address=one.address, waybill=one.waybill_no
        )
        answer = _SMALL_TALK[number % len(_SMALL_TALK)]
        if number % 2:
            lines += [f"{time:%Y-%m-%d %H:%M:%S} 客服小李", said, "", f"{time:%Y-%m-%d %H:%M:%S} 网点", answer, ""]
        else:
            stamp = round(time.timestamp() * _SECOND_MS)
            messages += [
                {"msgId": stamp * 1000 + 1, "time": stamp, "from": "merchant_07", "text": said},
                {"msgId": stamp * 1000 + 2, "time": stamp + 61_000, "from": "outlet", "text": answer},
            ]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (
            ("群聊_发货群.txt", "\n".join(lines)),
            ("export/messages.json", json.dumps(messages, ensure_ascii=False, indent=1)),
        ):
            archive.writestr(zipfile.ZipInfo(name, (2026, 3, 2, 20, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _dump(who: Sequence[Person]) -> bytes:
    created = 1_612_137_600
    rows = [
        f"({number},'{one.order}','{one.name}','{one.phone}','{one.address}',{created + 97 * number})"
        for number, one in enumerate(who, 10_001)
    ]
    text = _DUMP.read_text("utf-8") + ",\n".join(rows) + ";\n"
    return gzip.compress(text.encode(), mtime=0)


# --- nobody's


def _code() -> bytes:
    return b'''"""Sorting of parcels by chute."""

EPOCH = 1612137600000
TABLE = {0x1F3A: 14, 0x2B77: 15, 0x3C01: 16}
RATE = 0.13812345678901


def chute(code: str, retries: int = 3) -> int:
    """The chute of a sort code; see commit 9f8b6c1e4d2a7703f5c1e0d9b8a7f6e5d4c3b2a1."""
    key = int(code[:3]) * 31 % 8191
    return TABLE.get(key, 99)
'''


def _prices(source: Draw) -> bytes:
    """Products with EAN-13 numbers, whose check digits are right, prices, and times in milliseconds."""
    count = 200
    stems = 690_100_000_000 + source.below(99_999_999, count)
    rows = [
        (f"{stem}{check}", f"商品{number:03d}", f"{9.9 + number * 1.7:.2f}", str(1_772_000_000_000 + 86_413 * number))
        for number, (stem, check) in enumerate(zip(stems.tolist(), _ean_checks(stems).tolist(), strict=True))
    ]
    return _csv(("条码", "名称", "单价", "更新时间"), rows).encode("gb18030")


def _ean_checks(stems: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The check digits of twelve digits (GS1 General Specifications, 7.9)."""
    weights = np.array([1, 3] * 6)
    return np.asarray(-(stems[:, None] // 10 ** np.arange(11, -1, -1) % 10 * weights).sum(axis=1) % 10)


def _build(source: Draw) -> bytes:
    words = source.below(1 << 32, 900).reshape(3, 300).tolist()
    lines = [
        f"[{number:>4}/300] CC obj/{first:08x}{second:08x}.o  {third / 1e6:.9f}s  size={first % 10**8} sha={third:08x}{first:08x}{second:08x}"
        for number, (first, second, third) in enumerate(zip(*words, strict=True))
    ]
    return ("\n".join(lines) + "\n").encode()
