"""The folder of leaked files: what is said to be in a file is in it, nobody's files hold nobody, one seed gives one folder."""

from __future__ import annotations

import doctest
import gzip
import importlib
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import python_calamine

from parcelveil.errors import DependencyError, OutputError, UsageError
from parcelveil.label import codes
from parcelveil.simulate import leak_files, leak_label
from parcelveil.simulate.leak_files import LeakFile, draw_people, leak_folder
from parcelveil.simulate.leak_label import LAYOUTS, Fields, draw, photograph
from parcelveil.simulate.people import MOBILE_BLOCKS

_PHONE = re.compile(r"(?<![0-9.])(?:" + "|".join(map(str, MOBILE_BLOCKS)) + r")[0-9]{8}(?![0-9])")
_ID = re.compile(r"(?<![0-9])[1-9][0-9]{16}[0-9X](?![0-9])")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[LeakFile]]:
    where = tmp_path_factory.mktemp("leak")
    return where, leak_folder(where, seed=5, people=60)


def text_of(path: Path) -> str:
    """All text of a file that is no picture."""
    if path.suffix == ".xlsx":
        rows = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
        return "\n".join("\t".join(map(str, row)) for row in rows)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return "\n".join(archive.read(name).decode() for name in archive.namelist())
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("gb18030")


def test_what_is_said_to_be_in_a_file_is_in_it(folder: tuple[Path, list[LeakFile]]) -> None:
    where, files = folder
    assert {path.relative_to(where).as_posix() for path in where.rglob("*") if path.is_file()} == {
        f.name for f in files
    }
    for file in files:
        if file.name.endswith(".jpg"):
            continue
        text = text_of(where / file.name)
        assert all(value in text for value in file.planted), file.name
        clear = set(_PHONE.findall(text))
        assert len(clear) == file.people, file.name
        assert clear <= file.planted


def test_nobodys_files_hold_nobody(folder: tuple[Path, list[LeakFile]]) -> None:
    where, files = folder
    innocent = [file for file in files if file.what == "nobody's data"]
    assert len(innocent) == 3
    for file in innocent:
        text = text_of(where / file.name)
        assert not file.people and not file.planted and len(text) > 300
        assert not _PHONE.search(text) and not _ID.search(text)


def test_photographs_hold_a_clear_and_a_masked_label(folder: tuple[Path, list[LeakFile]]) -> None:
    where, files = folder
    clear, masked = (file for file in files if file.name.endswith(".jpg"))
    assert (clear.people, masked.people, masked.planted) == (2, 0, frozenset())
    for file in (clear, masked):
        image = np.asarray(PIL.Image.open(where / file.name).convert("L"))
        assert {code.kind for code in codes.read(image)} == {"Code128", "QRCode"}


def test_one_seed_gives_one_folder(folder: tuple[Path, list[LeakFile]], tmp_path: Path) -> None:
    where, files = folder
    assert leak_folder(tmp_path / "again", seed=5, people=60) == files
    for file in files:
        assert (where / file.name).read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name
    other = leak_folder(tmp_path / "other", seed=6, people=60)
    assert all(a.planted != b.planted for a, b in zip(files, other, strict=True) if a.planted)


def test_people_have_phones_of_their_own() -> None:
    people = draw_people(3, 500)
    assert len(people) == len({one.phone for one in people}) == 500
    assert all(_PHONE.fullmatch(one.phone) and _ID.fullmatch(one.id_no) and 2 <= len(one.name) <= 3 for one in people)


def test_without_packages_there_are_no_pictures_and_a_csv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(leak_files, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    files = leak_folder(tmp_path, people=8)
    assert files[0].name == "outlet/派件表.csv" and not any(file.name.endswith(".jpg") for file in files)
    text = (tmp_path / files[0].name).read_text("utf-8-sig")
    assert text.splitlines()[0] == "日期,运单号,收件人,电话,地址,品名"
    assert all(value in text for value in files[0].planted)


def test_what_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for people in (0, 7, 1_000_001):
        with pytest.raises(UsageError):
            leak_folder(tmp_path, people=people)
    (tmp_path / "outlet").write_text("in the way")
    with pytest.raises(OutputError):
        leak_folder(tmp_path, people=8)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DependencyError, match="pillow"):
        draw(FIELDS)


FIELDS = Fields(
    "YT6751107601429", "圆通速递", "552-C67 013 09", "张三", "16400000031", "浙江省杭州市西湖区新建路18号3幢501室",
    "李小四", "057187654321", "广东省深圳市南山区科技路2号", "外套",
)  # fmt: skip


def test_masks_hide_what_a_label_may_not_say() -> None:
    masked = FIELDS.masked()
    assert (masked.to_name, masked.from_name) == ("张*", "李**")
    assert (masked.to_phone, masked.from_phone) == ("164******31", "057*******21")
    assert masked.to_address == "浙江省杭州市西湖区****"
    assert masked[:3] == FIELDS[:3]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_codes_of_every_layout_can_be_read_also_from_a_photograph(layout: leak_label.Layout) -> None:
    for image in (draw(FIELDS, layout), photograph(draw(FIELDS, layout), seed=1, degrees=-3)):
        read = {code.kind: code.text for code in codes.read(np.asarray(image))}
        assert read == {"Code128": FIELDS.waybill_no, "QRCode": FIELDS.waybill_no}


def test_the_examples_are_true() -> None:
    for name in ("leak_files", "leak_label"):
        assert doctest.testmod(importlib.import_module(f"parcelveil.simulate.{name}")).failed == 0
