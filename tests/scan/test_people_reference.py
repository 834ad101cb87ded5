"""The compiled judging of names and addresses against the plain one."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_made import PROSE, held_out, tuning

from parcelveil.scan import name_pass
from parcelveil.scan.address_pass import COUNTS, MOST_FOUND, addresses_in
from parcelveil.scan.people_reference import Reference
from parcelveil.scan.vocabulary import vocabulary

CHARS, WORDS = vocabulary().tables
REFERENCE = Reference(vocabulary())
#: Pieces from which near-addresses and near-names are put together.
PIECES = (
    "上海市 青浦区 徐泾镇 浙江 杭州 西湖区 徐民路 大道 人民 308号 12弄 3# 5栋 二单元 3楼 A座 1204 3-2-601 小区 花园 大厦 街道 村 三组 里 路 "
    "的 张 伟 王某 * ** *** ( ） - 5月3号 3公里 100 元 单 单元 号 号线 号楼 号院 门 东方 安康 让 电话 收件人 地址 附近 对面 某 张三 李** 欧阳 阿依·古丽 学校 SOHO "
    "12345678 a1b2 / # ~ 一期 十八 区 市 厂 站 内 仓库 一 百 路口 公路 国道 莘庄镇 牡丹 吉林 吉林市 城 苑 中"
).split()
TEXTS = st.lists(st.sampled_from([*PIECES, " "]), min_size=1, max_size=14).map("".join)


def points(text: str) -> np.ndarray:
    return np.array([ord(char) for char in text], np.int32)


def chains(text: str, before_phone: bool) -> list[tuple[int, int, int, float]]:
    found, scores = np.zeros((MOST_FOUND, 3), np.int64), np.zeros(MOST_FOUND)
    counts = np.zeros(COUNTS, np.int64)
    total = addresses_in(points(text), len(text), before_phone, CHARS, WORDS, counts, found, scores)
    return [(*map(int, found[row]), round(float(scores[row]), 6)) for row in range(total)]


def reference(text: str, before_phone: bool) -> list[tuple[int, int, int, float]]:
    return [(start, end, hidden, round(score, 6)) for start, end, hidden, score in REFERENCE.chains(text, before_phone)]


@settings(max_examples=1500, deadline=None)
@given(TEXTS, st.booleans())
def test_addresses_of_odd_texts_are_read_alike(text: str, before_phone: bool) -> None:
    assert chains(text, before_phone) == reference(text, before_phone)[:MOST_FOUND]


@pytest.mark.parametrize("world", [tuning(3), held_out(4)], ids=["tuning", "held_out"])
def test_made_addresses_are_read_alike(world: object) -> None:
    for _ in range(400):
        text = world.name() + world.address() + world.name()
        assert chains(text, True) == reference(text, True)
    for line in PROSE.splitlines():
        assert chains(line, False) == reference(line, False)


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join))
def test_odd_names_are_judged_alike(text: str) -> None:
    assert name_pass.content(points(text), 0, len(text), CHARS, WORDS) == pytest.approx(REFERENCE.name(text), abs=1e-5)
    assert name_pass.masked(points(text), 0, len(text), CHARS) == REFERENCE.masked(text)


def test_made_names_and_words_are_judged_alike() -> None:
    draw, world = random.Random(8), tuning(5)
    some = [*(world.name() for _ in range(1000)), *draw.sample(sorted(vocabulary().words), 3000)]
    for text in some:
        assert name_pass.content(points(text), 0, len(text), CHARS, WORDS) == pytest.approx(
            REFERENCE.name(text), abs=1e-5
        ), text
