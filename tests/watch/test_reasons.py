"""An alert in words, in both languages."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from parcelveil.event import BizStep
from parcelveil.watch.alerts import DETECTORS, EXCUSES, WHYS, Alert, Reason, Row
from parcelveil.watch.reasons import day_text, moment, row_words, texts, words_of
from watch.alerts_made import DAY, HOUR, NOON, TODAY, of_each_detector, slow_insider

#: Words that say that somebody is guilty.
ACCUSES = re.compile(
    r"\b(stole|stolen|steal\w*|thief|theft|guilty|criminal|crime|fraud|harvest\w*|suspect\w*|leak\w*)\b|偷|盗|窃|犯罪|嫌疑|贩卖|泄露"
)


def everything(node: Any) -> list[str]:
    return [text for one in node.values() for text in everything(one)] if isinstance(node, dict) else [str(node)]


def test_every_detector_excuse_and_failure_has_words_in_both_languages() -> None:
    table = texts()
    assert set(table) == {*DETECTORS, "explained_by", "excuses", "why", "steps", "roles"}
    for name in DETECTORS:
        assert set(table[name]) <= {"what", "says", "explains"}
        assert table[name].get("explains", "work") in table["explained_by"]
    assert set(table["excuses"]) == set(EXCUSES) and set(table["why"]) == set(WHYS) - {""}
    assert set(table["steps"]) == set(BizStep)
    pairs = [one for name in DETECTORS for one in (table[name]["what"], table[name]["says"])]
    pairs += [one for group in ("explained_by", "excuses", "why", "steps", "roles") for one in table[group].values()]
    for pair in pairs:
        assert set(pair) == {"en", "zh"}
        assert not re.search("[\u4e00-\u9fff]", pair["en"]) and re.search("[\u4e00-\u9fff]", pair["zh"])
        marks = {lang: set(re.findall(r"\{(\w+)\}", pair[lang])) - {"other_en", "other_zh"} for lang in pair}
        assert marks["en"] == marks["zh"], pair["en"]


def test_no_text_accuses_anybody() -> None:
    assert [text for text in everything(texts()) if ACCUSES.search(text)] == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("alert", of_each_detector(), ids=lambda alert: alert.reasons[0].name)
def test_each_detector_tells_count_comparison_and_what_would_explain_it(alert: Alert, language: str) -> None:
    words = words_of(alert, language)
    (sentence,) = words.reasons
    assert "40" in sentence and ("2.5" in sentence or "20" in sentence or "{" not in sentence)
    assert "{" not in " ".join([*words.reasons, *words.details, *words.excuses, *words.explained, words.title])
    assert words.explained and words.what and words.title.startswith(words.subject)


def test_the_title_compares_with_the_peers() -> None:
    words = words_of(slow_insider())
    assert words.title == (
        "CS-07 (customer service, 021007): 18 of 23 looks have no route, scan, call or ticket; peers: 1.4"
    )
    assert words.reasons[0].startswith("Since 2026-11-16, 18 parcels") and words.reasons[0].endswith("1.4.")
    assert "Without a reason: 12 from PC-4, 6 from PC-9." in words.details
    assert words.excuses == ("At this outlet 4 % of looks were explained only by scans that came late.",)
    assert words_of(slow_insider(), "zh").title == (
        "CS-07（客服，021007）：23 次查询中 18 次没有派件、扫描、来电或工单；同类人员：1.4"
    )


def test_a_case_without_looks_is_headed_by_what_happened() -> None:
    alert = slow_insider(actor="net:203.0.113.0/24", looks=0, unexplained=0, rows=(), devices=(),
                         reasons=(Reason("scraping", NOON, 4000, expected=12),))  # fmt: skip
    words = words_of(alert)
    assert words.title == "network 203.0.113.0/24: the tracking page queried in bulk"
    assert "4,000 requests" in words.reasons[0]


def test_hours_are_told_when_they_are_few_over_midnight_too() -> None:
    def at(*hours: int) -> tuple[str, ...]:
        rows = tuple(Row(NOON + (hour - 12) * HOUR, "0" * 16, 0, "reveal") for hour in hours)
        return words_of(slow_insider(rows=rows)).details

    assert "They lay between 22 and 3 o'clock." in at(22, 23, 1, 2)
    assert "They lay between 9 and 10 o'clock." in at(9)
    assert not any("o'clock" in one for one in at(0, 5, 10, 15, 20)), "most of the day says nothing"


def test_a_row_names_the_work_or_what_fails() -> None:
    row = Row(NOON, "0" * 16, 0, "reveal", step="arrived", step_time=NOON - DAY, why="other-outlet")
    assert row_words(row) == "arrival scan at another outlet, 2026-11-22 12:00"
    assert row_words(row, "zh") == "到件在其他网点，2026-11-22 12:00"
    explained = Row(NOON, "0" * 16, 2, "reveal", step="out_for_delivery", step_time=NOON)
    assert row_words(explained) == "delivery run, 2026-11-23 12:00"
    assert row_words(Row(NOON, "", -1, "export")) == "-"
    for why in get_args(Row.__annotations__["why"]) if not isinstance(Row.__annotations__["why"], str) else WHYS:
        assert row_words(Row(NOON, "", 0, "reveal", why=why, step="arrived", step_time=NOON))


def test_times_are_local() -> None:
    assert moment(NOON) == "2026-11-23 12:00" and moment(NOON, 0) == "2026-11-23 04:00"
    assert day_text(TODAY) == "2026-11-23"
