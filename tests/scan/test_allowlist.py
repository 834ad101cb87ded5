"""Lists and comments that allow findings: they say why, they run out, and they are counted."""

from __future__ import annotations

import doctest
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.errors import InputError, KeyAccessError, UsageError
from parcelveil.scan import allowlist
from parcelveil.scan.allowing import Allowing
from parcelveil.scan.allowlist import (
    MARK,
    REACH,
    AllowList,
    comment_allows,
    inline_allowed,
    inline_comments,
    load_allow,
    matches,
)
from parcelveil.scan.baseline import Baseline, Known
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.key import ScanKey
from parcelveil.scan.reasons import ALLOWED_HERE
from parcelveil.scan.sinks import ALLOWED
from scan.made_findings import batch, value

KEY = ScanKey(bytes(32), lasting=True)
TODAY = date(2026, 11, 24)


def loaded(folder: Path, text: str, key: ScanKey = KEY) -> AllowList:
    path = folder / "allow.toml"
    path.write_text(text, "utf-8")
    return load_allow(path, key, today=TODAY, current=folder)


def entry(**what: str) -> str:
    said = "".join(f"{name} = {text}\n" if name == "until" else f'{name} = "{text}"\n' for name, text in what.items())
    return f'[[allow]]\nwhy = "looked at"\n{said}'


def allowed(found: AllowList, rows: list[dict[str, Any]]) -> list[bool]:
    ours: list[bool] = found.allows(batch(rows)).tolist()
    return ours


def test_the_examples_hold() -> None:
    assert doctest.testmod(allowlist).failed == 0


# -- lists -----------------------------------------------------------------------------------------------------------------


def test_all_that_an_entry_says_must_hold(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, f'key = "{KEY.key_id}"\n' + entry(path="docs/**", kind="phone", fingerprint=value("v").hex())
    )
    right = {"source": "docs/a/x.md", "kind": "phone.mobile", "value": "v"}
    rows = [right, right | {"source": "src/x.md"}, right | {"kind": "net.email"}, right | {"value": "w"}]
    assert allowed(found, rows) == [True, False, False, False]
    assert found.used == [1] and found.unused == []


def test_a_kind_alone_or_a_class_of_kinds(tmp_path: Path) -> None:
    found = loaded(tmp_path, entry(kind="net.ip") + entry(kind="phone"))
    rows = [{"kind": kind} for kind in ("net.ip", "net.ipx", "net.email", "phone.mobile", "phone", "phonebook.x")]
    assert allowed(found, rows) == [True, False, False, True, True, False]
    assert found.used == [1, 2]


@pytest.mark.parametrize(
    ("glob", "fits", "fits_not"),
    [
        ("docs/*.md", ["docs/x.md"], ["docs/a/x.md", "x.md", "docs/x.mdx"]),
        ("docs/**", ["docs/x.md", "docs/a/x.md"], ["docsx/x.md", "a/docs/x.md"]),
        ("docs/", ["docs/x.md", "docs/a/x.md"], ["docs"]),
        ("**/test_*.py", ["test_a.py", "a/b/test_a.py"], ["a/b/atest_a.py"]),
        ("*.log", ["x.log", "a/b/x.log"], ["x.log.gz"]),
        ("x?.csv", ["x1.csv", "a/x1.csv"], ["x.csv", "x12.csv"]),
        ("a/?/b", ["a/x/b"], ["a//b", "a/xy/b"]),
        ("./a/b", ["a/b"], ["b"]),
        ("a(b)[c].csv", ["a(b)[c].csv"], ["abc.csv"]),
        ("数据/*.csv", ["数据/客户.csv"], ["数据/a/客户.csv"]),
    ],
)
def test_globs(glob: str, fits: list[str], fits_not: list[str]) -> None:
    assert matches(glob, [(path, path) for path in fits]).tolist() == [True] * len(fits)
    assert matches(glob, [(path, path) for path in fits_not]).tolist() == [False] * len(fits_not)


def test_a_path_may_be_a_file_or_a_member_of_it(tmp_path: Path) -> None:
    rows = [{"source": "a.zip", "member": member} for member in ("x/1.csv", "y/1.csv")]
    assert allowed(loaded(tmp_path, entry(path="a.zip")), rows) == [True, True]
    assert allowed(loaded(tmp_path, entry(path="a.zip!x/**")), rows) == [True, False]
    assert allowed(loaded(tmp_path, entry(path="**/1.csv")), rows) == [True, True]
    assert allowed(loaded(tmp_path, entry(path="1.csv")), [{"source": "b/1.csv"}]) == [True]


def test_t7_a_pattern_full_of_stars_takes_linear_time() -> None:
    path = "a" * 50_000
    assert not matches("*a" * 60 + "b", [(path, path)])[0]


def test_paths_lie_below_the_list_wherever_the_scan_starts(tmp_path: Path) -> None:
    path = tmp_path / "allow.toml"
    path.write_text(entry(path="data/*.csv"), "utf-8")
    found = load_allow(path, KEY, today=TODAY, current=tmp_path / "data")
    assert allowed(found, [{"source": "x.csv"}, {"source": str(tmp_path / "data/y.csv")}, {"source": "../x.csv"}]) == [
        True,
        True,
        False,
    ]


def test_entries_run_out_and_are_told(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        entry(kind="net.ip", until="2026-11-23")
        + entry(kind="net.mac", until="2026-11-24")
        + entry(kind="geo", until="2027-01-01"),
    )
    assert allowed(found, [{"kind": "net.ip"}, {"kind": "net.mac"}]) == [False, True]
    assert [one.text for one in found.expired] == ["kind net.ip"]
    assert [one.text for one in found.unused] == ["kind geo"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[allow]]\nkind = 'x'\n", "why"),
        ("[[allow]]\nkind = 'x'\nwhy = ' '\n", "entry 1 of .* has no why"),
        (entry(kind="x") + "[[allow]]\nwhy = 'y'\n", "entry 2 of .* would allow everything"),
        (entry(fingerprint="AB" * 16), "32 hex digits"),
        (entry(fingerprint="ab" * 15), "32 hex digits"),
        (entry(kind="x", until="'soon'"), "not an allow-list"),
        (entry(what="x"), "not an allow-list"),
        ("allow = 3", "not an allow-list"),
        ("[[allow", "not an allow-list"),
    ],
)
def test_a_wrong_entry_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        loaded(tmp_path, text)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_allow(tmp_path / "gone.toml", KEY, today=TODAY, current=tmp_path)
    (tmp_path / "allow.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not an allow-list"):
        load_allow(tmp_path / "allow.toml", KEY, today=TODAY, current=tmp_path)
    assert allowed(loaded(tmp_path, ""), [{}]) == [False]


def test_fingerprints_need_the_key_that_made_them(tmp_path: Path) -> None:
    text = f'key = "{KEY.key_id}"\n' + entry(fingerprint=value("v").hex())
    assert allowed(loaded(tmp_path, text), [{"value": "v"}, {"value": "w"}]) == [True, False]
    with pytest.raises(KeyAccessError, match="was made with the scan key"):
        loaded(tmp_path, text, ScanKey.new(lasting=True))
    with pytest.raises(UsageError, match="needs a scan key that is kept"):
        loaded(tmp_path, text, ScanKey.new())
    with pytest.raises(KeyAccessError):
        loaded(tmp_path, entry(fingerprint=value("v").hex()))
    assert allowed(loaded(tmp_path, entry(kind="phone"), ScanKey.new()), [{}]) == [True]


# -- comments --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("comment", ["# {}", "// {}", "/* {} */", "<!-- {} -->", "-- {}", '"note": "{}"', "{}"])
def test_any_comment_will_do(comment: str) -> None:
    line = f"call 13800138000 {comment.format('parcelveil:allow=phone.mobile,net')} end\n".encode()
    data = b"before 13800138001\n" + line + b"after 13800138002"
    assert inline_allowed(data, 7) is None and inline_allowed(data, len(data) - 11) is None
    found = inline_allowed(data, data.index(b"13800138000"))
    assert found == {"phone.mobile", "net"}
    assert comment_allows(found, "net.email") and not comment_allows(found, "id.resident")
    assert [(one.start, one.end) for one in inline_comments(data)] == [(19, 19 + len(line) - 1)]


def test_a_mark_without_kinds_allows_all_of_them() -> None:
    found = inline_allowed(b"13800138000 # parcelveil:allow", 0)
    assert found == frozenset() and comment_allows(found, "id.resident")
    assert inline_allowed(b"13800138000 # parcelveil:allow=", 0) == frozenset()


def test_marks_before_the_value_and_on_the_last_line_count() -> None:
    data = b"x\n/* parcelveil:allow */ 13800138000"
    assert inline_allowed(data, len(data) - 1) == frozenset()
    assert inline_allowed(data, 0) is None


def test_t7_a_line_without_end_is_looked_at_a_little_way_only() -> None:
    data = b"a" * 3_000_000 + MARK + b"a" * 3_000_000
    assert inline_allowed(data, 0) is None
    assert inline_allowed(data, 3_000_000 - REACH - 100) is None
    assert inline_allowed(data, 3_000_000 - 100) == frozenset()
    assert inline_allowed(data, 3_000_000 + 100) == frozenset()
    assert len(inline_comments(MARK * 100_000)) <= 100_000 * len(MARK) // REACH + 1


@given(
    st.lists(st.sampled_from([b"\n", b"x", MARK, b"=phone", b",", b"13800138000", b"=" + b"a" * 300]), max_size=40).map(
        b"".join
    ),
    st.data(),
)
def test_both_ways_of_asking_agree(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data)))
    line = next((one for one in inline_comments(data) if one.start <= at <= one.end), None)
    found = inline_allowed(data, at)
    assert (line is None) == (found is None)
    if line is not None and data.count(MARK, line.start, line.end) == 1:
        assert line.kinds == found


# -- all of them together ----------------------------------------------------------------------------------------------------


def test_what_allows_first_is_what_is_told(tmp_path: Path) -> None:
    known = [Known("a.csv", kind="phone.mobile", fingerprint=value(name).hex()) for name in ("v1", "v2", "v3")]
    baseline = Baseline(known, tmp_path, tmp_path, lambda source: True)
    both = Allowing(
        loaded(tmp_path, f'key = "{KEY.key_id}"\n' + entry(fingerprint=value("v2").hex()) + entry(kind="geo")), baseline
    )
    rows = batch([{"value": "v1", "reason": "check; allowed here"}, *({"value": name} for name in ("v2", "v3", "v4"))])
    codes = both.codes(rows)
    assert [ALLOWED[code] for code in codes] == ["inline", "list", "baseline", ""]
    both.was_read(Read(Place("a.csv"), "csv", "read"))
    report = both.report()
    assert report.counts == {"inline": 1, "list": 1, "baseline": 1} and report.moved == 0
    assert [one.fingerprint for one in report.stale] == [value("v1").hex(), value("v2").hex()]
    assert [one.text for one in report.unused] == ["kind geo"] and report.expired == []


def test_comments_of_others_may_be_left_out_of_account() -> None:
    rows = batch([{"reason": f"check; {ALLOWED_HERE}"}, {}])
    assert Allowing().codes(rows).tolist() == [1, 0]
    assert Allowing(comments=False).codes(rows).tolist() == [0, 0]


def test_without_anything_nothing_is_allowed_and_that_is_told() -> None:
    nothing = Allowing()
    assert nothing.codes(batch([{}, {}])).tolist() == [0, 0]
    nothing.was_read(Read(Place("a.csv"), "csv", "read"))
    assert nothing.report().counts == {"inline": 0, "list": 0, "baseline": 0}
