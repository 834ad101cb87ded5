"""Sealed rows without sealing: real masks, random tokens, no keys; and the way from rows to pages."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from parcelveil.label.compose import Page, Press
from parcelveil.label.content import Content, Job, Refused, columns_of, contents_of
from parcelveil.label.font import FontSet
from parcelveil.label.layout import load
from parcelveil.seal.mask import mask_column
from parcelveil.waybill import SCHEMA_KEY, SEALED_VERSION, WAYBILL, kind_of, mask_name

PRINTED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
FONT = FontSet()

#: A parcel like most.
USUAL = {
    "waybill_no": "JT4620160723335",
    "carrier": "JT",
    "product": "standard",
    "to_name": "卜若兰",
    "to_phone": "+8616400000031",
    "to_country": "CN",
    "to_region": "浙江省",
    "to_city": "杭州市",
    "to_district": "西湖区",
    "to_town": "北山街道",
    "to_address": "新建路18号3幢501室",
    "from_name": "纪晓",
    "from_phone": "+8616300000072",
    "from_country": "CN",
    "from_region": "广东省",
    "from_city": "深圳市",
    "from_district": "南山区",
    "from_address": "科技路2号B座",
    "goods_name": "连衣裙",
    "goods_category": "clothing and shoes",
    "pieces": 1,
    "weight_g": 1250,
    "cod_minor": 12800,
    "currency": "CNY",
    "sort_code": "310-A12 003 05",
    "route_id": "R05",
    "note": "放门口",
    "sender_id_no": "11010519491231002X",
}

#: What labels are made of besides: parcels that are long, short, Latin, rare or from abroad.
ODD: dict[str, dict[str, object]] = {
    "usual": {},
    "short": {
        "to_name": "李雷", "to_region": "", "to_city": "上海市", "to_district": "", "to_town": "", "to_address": "3幢", "from_address": None,
        "waybill_no": "YT1234567890", "sort_code": "1", "cod_minor": None, "route_id": None,
    },
    "long": {
        "to_name": "欧阳娜娜", "to_region": "新疆维吾尔自治区", "to_city": "克孜勒苏柯尔克孜自治州", "to_district": "阿克陶县",
        "to_town": "塔尔塔吉克民族乡", "to_address": "中华人民共和国建设兵团第一百二十八团团部大道1108号天山花园三期住宅小区12栋3单元2201室",
        "from_region": "内蒙古自治区", "from_city": "锡林郭勒盟", "from_district": "西乌珠穆沁旗", "from_town": "吉仁高勒镇",
        "goods_category": "electronics and accessories", "sort_code": "999-X01 001 09 A12", "cod_minor": 99_999_999, "weight_g": 1_234_567,
        "route_id": "659007100-R30",
    },
    "latin": {
        "waybill_no": "RR473124829GB", "to_name": "Christopher Featherstonehaugh", "to_phone": "+442071838750", "to_country": "GB", "to_region": "Isle of Anglesey",
        "to_city": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", "to_district": "", "to_town": "", "to_address": "120 Holyhead Road Apt 4",
        "product": "international",
    },
    "rare": {"to_name": "䶮㛃", "from_name": "𬭎𪩘", "to_town": "鄠邑", "to_district": "鄠邑区"},
    "europe": {
        "to_name": "Łukasz Żółty", "to_phone": "+48601123456", "to_country": "PL", "to_region": "Łódzkie", "to_city": "Łódź", "to_district": "", "to_town": "",
        "to_address": "ul. Świętokrzyska 4", "from_name": "Γιώργος", "from_country": "GR", "from_region": "Αττική", "from_city": "Αθήνα", "from_district": "",
        "from_address": "Ερμού 5", "from_phone": "+302101234567", "product": "international",
    },
    "foreign": {
        "to_name": "Ольга Иванова", "to_phone": "+79161234567", "to_country": "RU", "to_region": "Московская область", "to_city": "Москва",
        "to_district": "", "to_town": "", "to_address": "ул. Ленина 5", "from_name": "田中さくら", "from_country": "JP", "from_region": "東京都", "from_city": "港区",
        "from_district": "", "from_address": "六本木1-2-3", "from_phone": "+81312345678", "product": "international",
    },
}  # fmt: skip


def clear_batch(rows: Sequence[Mapping[str, object]]) -> pa.RecordBatch:
    """Clear waybills: each row is :data:`USUAL` with changes."""
    full = [{**dict.fromkeys(WAYBILL.names), **USUAL, **row} for row in rows]
    return pa.RecordBatch.from_pylist(full, schema=WAYBILL)


def token(seed: object = 0) -> str:
    """Text of a token's form."""
    return base64.b32encode(random.Random(str(seed)).randbytes(36)).decode().rstrip("=")


def sealed_batch(clear: pa.RecordBatch) -> pa.RecordBatch:
    """The same as sealing leaves them, less the sealed values."""
    columns: dict[str, pa.Array] = {}
    for field in clear.schema:
        kind = kind_of(field)
        if kind is None:
            columns[field.name] = clear[field.name]
        else:
            columns[field.name] = pa.nulls(clear.num_rows, pa.binary())
            columns[mask_name(field.name)] = mask_column(clear[field.name], kind)
    columns["label_token"] = pa.array([token(number) for number in clear["waybill_no"].to_pylist()], pa.string())
    batch = pa.RecordBatch.from_pydict(columns)
    return batch.replace_schema_metadata({SCHEMA_KEY: SEALED_VERSION.encode()})


def job(layout: str | Path = "100x180", **more: object) -> Job:
    """A run of the printer."""
    return Job(load(str(layout)), "P2", PRINTED, **more)  # type: ignore[arg-type]


def contents(sealed: pa.RecordBatch, run: Job) -> list[Content | Refused]:
    """What its labels say."""
    chosen = sealed.select(columns_of(sealed.schema, "x"))
    return contents_of(chosen, run, range(1, sealed.num_rows + 1))


def pages(
    rows: Sequence[Mapping[str, object]], layout: str | Path = "100x180", dpi: int = 203
) -> tuple[Press, list[Page]]:
    """The composed labels of rows, all of which have one."""
    run = job(layout)
    press = Press(run.layout, FONT, dpi)
    made = []
    for content in contents(sealed_batch(clear_batch(rows)), run):
        assert isinstance(content, Content), content
        page = press.page(content, run.mark)
        assert isinstance(page, Page), page
        made.append(page)
    return press, made
