"""``parcelveil scan``: what it says of files, what it writes, when it fails, and that it never tells a value."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from cli.conftest import Desk, Ran
from cli.scan_planted import LINE, PHONE, VALUES, contents, plant, values_in
from parcelveil.scan import warm
from parcelveil.simulate.leak_files import LeakFile, leak_folder


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm.prepare()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[LeakFile]]:
    folder = tmp_path_factory.mktemp("made")
    return folder, leak_folder(folder, people=40)


@pytest.fixture
def leak(desk: Desk, made: tuple[Path, list[LeakFile]]) -> list[LeakFile]:
    """``leak`` at the desk: the folder of the kinds of files in which data leaked."""
    (desk.folder / "leak").symlink_to(made[0])
    return made[1]


@pytest.fixture
def key(desk: Desk) -> str:
    assert desk.run("scan", "key", "-o", "scan.key").code == 0
    return "scan.key"


def facts(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.text)
    return found


def scanned(desk: Desk, *words: str, code: int = 0) -> dict[str, Any]:
    ran = desk.run("scan", *words, "--json")
    assert ran.code == code, ran.err
    return facts(ran)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# --- what people and programs are told


def test_a_folder_is_told_document_by_document_worst_first(desk: Desk, leak: list[LeakFile]) -> None:
    ran = desk.run("scan", "leak")
    assert (ran.code, ran.err) == (0, "")
    told = ran.text.splitlines()
    assert told[0].split() == ["document", "severity", "verdict"]
    first = next(line for line in told if "客户资料_2019.csv" in line)
    assert told.index(first) == 2
    assert "  high  " in first
    assert "customer list with identity numbers: " in first
    assert any("派件表.xlsx#3月2日派件" in line and "customer list: 40 people" in line for line in told)
    assert any(line.split()[5:6] == ["phone.mobile"] for line in told)
    assert "2 skipped: a picture: its text is read with --ocr" in ran.text
    assert "IMG_0231.jpg" in ran.text
    assert not any(name in ran.text for name in ("routing.py", "价目表.csv", "build.log"))
    planted = set().union(*(file.planted for file in leak))
    assert not any(value in ran.text for value in planted)


def test_the_table_fits_a_narrow_terminal_in_both_languages(
    desk: Desk, leak: list[LeakFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    from parcelveil.cli.output import columns_of

    monkeypatch.setenv("COLUMNS", "60")
    for language, said in (("en", "customer list: 40 people"), ("zh", "客户名单：40 人")):
        monkeypatch.setenv("PARCELVEIL_LANG", language)
        ran = desk.run("scan", "leak")
        assert said in ran.text
        table = ran.text.split("\n\n")[1]
        assert max(map(columns_of, table.splitlines())) <= 60
    assert "手机号" in ran.text
    assert "图片：加 --ocr 可读取其中文字" in ran.text


def test_the_json_object_has_everything(desk: Desk, leak: list[LeakFile]) -> None:
    found = scanned(desk, "leak")
    assert set(found) == {
        "finished", "exceeded", "worst", "people", "people_exact", "documents", "restored", "bytes", "rows", "seconds",
        "findings", "values", "weak", "verdicts", "verdicts_dropped", "not_read", "problems", "allowed", "outputs", "key",
        "key_kept", "rules", "logged",
    }  # fmt: skip
    assert found["finished"] and not found["exceeded"] and found["people_exact"] and not found["key_kept"]
    assert found["documents"]["skipped"] == 2
    people = {file.name: file.people for file in leak}
    told: dict[str, int] = {}
    for one in found["verdicts"]:
        name = one["source"].removeprefix("leak/")
        told[name] = told.get(name, 0) + one["people"]
    wanted = {name: count for name, count in people.items() if count and not name.startswith("photos")}
    assert told == wanted
    assert {one["why"] for one in found["not_read"]} == {"a picture: its text is read with --ocr"}
    assert found["values"]["phone.mobile"]["count"] == 80


def test_standard_input_is_read(desk: Desk) -> None:
    ran = desk.run("scan", "-", "--json", stdin=LINE.encode("gb18030"))
    assert ran.code == 0, ran.err
    (verdict,) = facts(ran)["verdicts"]
    assert verdict["source"] == "-"
    assert verdict["kinds"]["phone.mobile"] == 1


def test_patterns_and_single_files(desk: Desk) -> None:
    for name in ("a.log", "b.log", "c.txt"):
        Path(name).write_text(LINE, "utf-8")
    assert scanned(desk, "*.log")["documents"]["read"] == 2
    assert scanned(desk, "c.txt", "c.txt", ".", "--no-names")["documents"]["read"] >= 3


# --- what is looked for


def test_only_except_tier_confidence_and_names(desk: Desk) -> None:
    Path("a.txt").write_text(LINE + "张三丰说今天不来了\nMr. John Miller lives at 12 Long Street\n", "utf-8")
    every = scanned(desk, "a.txt")["findings"]["clear"]
    assert {"phone.mobile", "id.resident", "card.bank", "net.email", "person.name", "address.cn"} <= set(every)
    assert set(scanned(desk, "a.txt", "--only", "phone,id")["findings"]["clear"]) == {"phone.mobile", "id.resident"}
    left = scanned(desk, "a.txt", "--except", "phone", "--except", "id.resident")["findings"]["clear"]
    assert set(left) == set(every) - {"phone.mobile", "id.resident"}
    assert not {"person.name", "address.cn"} & set(scanned(desk, "a.txt", "--no-names")["findings"]["clear"])
    sure = scanned(desk, "a.txt", "--min-confidence", "0.999", "--only", "card")["findings"]
    assert sum(sure.get("clear", {}).values()) <= every["card.bank"]
    more = scanned(desk, "a.txt", "--tier", "2")
    assert set(more["findings"]["clear"]) >= set(every)
    assert sum(more["findings"]["clear"].values()) == sum(every.values()) + scanned(desk, "a.txt")["weak"]
    assert more["weak"] == 0


def test_rules_of_ones_own(desk: Desk) -> None:
    Path("my.toml").write_text(
        'family = "acme"\n[[rule]]\nkind = "acme.badge"\nen = "badge"\nzh = "工牌"\npatterns = [\'BDG-\\d{6}\']\n'
        "[[custom]]\nkind = \"acme.contract\"\nregex = 'HT-20\\d{2}-\\d{6}'\n",
        "utf-8",
    )
    Path("a.txt").write_text("badge BDG-123456, HT-2026-000001", "utf-8")
    found = scanned(desk, "a.txt", "--rules", "my.toml")["findings"]["clear"]
    assert found == {"acme.badge": 1, "acme.contract": 1}
    assert scanned(desk, "a.txt")["findings"] == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "what shall be scanned?"),
        (("missing",), 3, "nothing is found under missing"),
        (("x\0y",), 3, "nothing is found"),
        (("a.txt", "--only", "phne"), 2, "no rule finds phne"),
        (("a.txt", "--tier", "3"), 2, "tiers"),
        (("a.txt", "--min-confidence", "1.5"), 2, "--min-confidence"),
        (("a.txt", "--min-confidence", "much"), 2, "--min-confidence"),
        (("a.txt", "--threads", "0"), 2, "--threads"),
        (("a.txt", "--depth", "-1"), 2, ""),
        (("a.txt", "--fail-on", "worst"), 2, "worst is no severity"),
        (("a.txt", "--max-findings", "-1"), 2, ""),
        (("a.txt", "-o", "findings.doc"), 2, "jsonl, sarif, ocsf or parquet"),
        (("a.txt", "-o", "-", "--json"), 2, "standard output"),
        (("a.txt", "-o", "f.jsonl", "--manifest", "f.jsonl"), 2, "one name"),
        (("a.txt", "--rules", "missing.toml"), 3, "missing.toml"),
        (("a.txt", "--rules", "a.txt"), 3, "a.txt"),
        (("a.txt", "--key", "missing.key"), 4, "missing.key"),
        (("a.txt", "--key", "a.txt"), 4, "a.txt"),
        (("a.txt", "--allow", "a.txt"), 3, "a.txt"),
        (("a.txt", "--baseline", "a.txt"), 2, "scan key"),
        (("a.txt", "--write-baseline", "b.jsonl"), 2, "scan key"),
        (("a.txt", "--journal", "j"), 2, "JSON lines"),
        (("a.txt", "--journal", "j", "-o", "f.jsonl", "--resume", "j"), 2, "--resume"),
        (("a.txt", "--resume", "j", "-o", "f.jsonl"), 3, "there is no journal j"),
        (("a.txt", "--log", "-w", "nowhere"), 5, ""),
        (("postgresql://u:geheim@127.0.0.1:1/x",), 2, "its own command"),
        (("a.txt", "--nonsense"), 2, "--nonsense"),
    ],
)
def test_words_that_do_not_fit_are_said_in_one_line(desk: Desk, words: tuple[str, ...], code: int, said: str) -> None:
    Path("a.txt").write_text(LINE, "utf-8")
    Path("a.txt").chmod(0o600)
    before = desk.names()
    ran = desk.run("scan", *words)
    ran.refused(code, said)
    assert desk.names() == before
    assert "geheim" not in ran.err
    assert not values_in(ran.err.encode())


# --- outputs


def test_every_output_holds_the_same_findings(desk: Desk, leak: list[LeakFile], key: str) -> None:
    outputs = ["f.jsonl", "f.sarif", "f.ocsf.jsonl", "f.parquet"]
    words = [word for name in outputs for word in ("-o", name)]
    found = scanned(desk, "leak", "--key", key, *words, "--manifest", "m.jsonl")
    assert found["outputs"] == [*outputs, "m.jsonl"]
    count = sum(sum(kinds.values()) for kinds in found["findings"].values())
    written = lines(Path("f.jsonl"))
    assert len(written) == count
    assert pyarrow.parquet.read_table("f.parquet").num_rows == count
    sarif = json.loads(Path("f.sarif").read_text("utf-8"))
    assert len(sarif["runs"][0]["results"]) == count
    assert sarif["runs"][0]["invocations"][0]["executionSuccessful"] is True
    assert len(lines(Path("f.ocsf.jsonl"))) == len(found["verdicts"])
    manifest = lines(Path("m.jsonl"))
    assert manifest[-1]["findings"] == count
    assert manifest[-1]["documents"] == found["documents"]["documents"]
    assert manifest[0]["key"] == found["key"]
    assert all(Path(name).stat().st_mode & 0o077 == 0 for name in found["outputs"])
    planted = {value for file in leak for value in file.planted}
    for name in found["outputs"]:
        data = contents(Path(name)).decode("utf-8", "replace")
        assert not {value for value in planted if value in data}, name


def test_an_existing_output_is_kept_unless_forced(desk: Desk) -> None:
    Path("a.txt").write_text(LINE, "utf-8")
    for name in ("f.jsonl", "f.sarif", "f.parquet", "m.jsonl"):
        Path(name).write_text("mine", "utf-8")
        option = "--manifest" if name == "m.jsonl" else "-o"
        desk.run("scan", "a.txt", option, name).refused(6, f"{name} exists already")
        assert Path(name).read_text("utf-8") == "mine"
        assert desk.run("scan", "a.txt", option, name, "--force").code == 0
        assert Path(name).read_bytes()[:4] != b"mine"


def test_findings_go_to_standard_output_and_the_summary_beside_it(desk: Desk) -> None:
    Path("a.txt").write_text(LINE, "utf-8")
    ran = desk.run("scan", "a.txt", "-o", "-")
    assert ran.code == 0
    assert {json.loads(line)["source"] for line in ran.out.splitlines()} == {"a.txt"}
    assert "file with" in ran.err or "contact" in ran.err
    sarif = desk.run("scan", "a.txt", "-o", "-", "--format", "sarif")
    assert json.loads(sarif.text)["version"] == "2.1.0"


def test_a_full_disk_is_one_line(desk: Desk) -> None:
    Path("a.txt").write_text(LINE, "utf-8")
    desk.run("scan", "a.txt", "-o", "/dev/full", "--format", "jsonl").refused(6, "/dev/full", "space")
    desk.run("scan", "a.txt", "-o", "nowhere/f.jsonl").refused(6, "nowhere/f.jsonl")
    desk.run("scan", "a.txt", "-o", "nowhere/f.sarif").refused(6, "nowhere/f.sarif")
    assert desk.names() == {"a.txt"}


# --- thresholds, baselines, allow-lists


def test_thresholds_decide_the_exit_code(desk: Desk, leak: list[LeakFile]) -> None:
    assert desk.run("scan", "leak", "--fail-on", "critical").code == 0
    ran = desk.run("scan", "leak", "--fail-on", "Medium")
    assert ran.code == 13
    assert "over the threshold" in ran.text
    assert desk.run("scan", "leak/price", "leak/src", "--max-findings", "0", "--fail-on", "low").code == 0
    assert scanned(desk, "leak/app", "--max-findings", "0", code=13)["exceeded"] is True
    assert desk.run("scan", "leak/app", "--max-findings", "100000").code == 0


def test_a_baseline_lets_only_new_findings_fail(desk: Desk, key: str) -> None:
    Path("data").mkdir()
    Path("data/a.txt").write_text(LINE, "utf-8")
    Path("data/b.txt").write_text("电话16398765402\n", "utf-8")
    scanned(desk, "data", "--key", key, "--write-baseline", "base.jsonl")
    same = scanned(desk, "data", "--key", key, "--baseline", "base.jsonl", "--max-findings", "0")
    assert same["allowed"]["baseline"] > 0
    assert same["findings"] == {}
    Path("data/a.txt").write_text("\n\n" + LINE, "utf-8")  # moved lines are known
    scanned(desk, "data", "--key", key, "--baseline", "base.jsonl", "--max-findings", "0")
    Path("data/b.txt").write_text("电话16398765403\n", "utf-8")
    new = scanned(desk, "data", "--key", key, "--baseline", "base.jsonl", "--max-findings", "0", code=13)
    assert new["findings"]["clear"] == {"phone.mobile": 1}
    assert [entry["source"] for entry in new["allowed"]["stale"]] == ["data/b.txt"]
    told = desk.run("scan", "data", "--key", key, "--baseline", "base.jsonl")
    assert "entries of the baseline are gone" in told.text
    desk.run("scan", "key", "-o", "other.key")
    desk.run("scan", "data", "--key", "other.key", "--baseline", "base.jsonl").refused(4, "base.jsonl")
    desk.run("scan", "data", "--baseline", "base.jsonl").refused(2, "scan key")
    desk.run("scan", "key", "-o", "other.key").refused(6, "exists already")


def test_lists_and_comments_allow_and_are_counted(desk: Desk) -> None:
    Path("a.py").write_text("# tel 16398765402  parcelveil:allow=phone\n# tel 16398765403\n", "utf-8")
    Path("docs").mkdir()
    Path("docs/b.md").write_text("电话16398765404\n", "utf-8")
    found = scanned(desk, "a.py", "docs")
    assert found["allowed"]["inline"] == 1
    assert found["findings"]["clear"] == {"phone.mobile": 2}
    assert scanned(desk, "a.py", "--no-comments")["findings"]["clear"] == {"phone.mobile": 2}
    Path("allow.toml").write_text(
        '[[allow]]\npath = "docs/**"\nwhy = "the hotline"\n'
        '[[allow]]\nkind = "phone"\nuntil = 2020-01-01\nwhy = "for a while"\n'
        '[[allow]]\npath = "nothing/**"\nwhy = "?"\n',
        "utf-8",
    )
    ran = desk.run("scan", "a.py", "docs", "--allow", "allow.toml")
    assert "by comments 1, by the allow-list 1" in ran.text
    assert "1 entries of the allow-list have run out (kind phone)" in ran.text
    assert "1 entries of the allow-list allowed nothing (path nothing/**)" in ran.text
    (written,) = (
        [one for one in lines(Path("f.jsonl")) if one.get("allowed") == "list"]
        for _ in [desk.run("scan", "docs", "--allow", "allow.toml", "-o", "f.jsonl")]
    )
    assert len(written) == 1


def test_a_scan_is_written_into_the_audit_log(desk: Desk, leak: list[LeakFile]) -> None:
    assert scanned(desk, "leak", "--log")["logged"] is True
    shown = desk.run("audit", "show", "--kind", "scan", "--json")
    assert shown.code == 0, shown.err
    assert "phone.mobile clear" in shown.text
    assert "leak/" not in shown.text
    assert desk.run("audit", "verify").code == 0


# --- stopped, and resumed


#: The command as it is, but slow enough to be stopped in the middle.
SLOWLY = """
import sys, time
from parcelveil.cli import main
from parcelveil.scan import resume, survey
resume.EVERY, take = 0.1, survey.Survey.take
survey.Survey.take = lambda self, document: (take(self, document), time.sleep(0.05))
sys.exit(main(sys.argv[1:]))
"""
FILES = 150


def test_a_stopped_scan_goes_on_where_it_was(desk: Desk, key: str, environment: dict[str, str]) -> None:
    Path("many").mkdir()
    for number in range(FILES):
        rows = (f"收件人王小明 电话163{number:03d}{row:05d} 上海市青浦区华腾路{row}号3幢201室\n" for row in range(1, 9))
        Path(f"many/{number:03d}.log").write_text("".join(rows), "utf-8")
    words = ["scan", "many", "--key", key, "-o", "f.jsonl"]
    journal = Path("scan.journal")
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        before = journal.stat().st_size if journal.exists() else 0
        begun = "--resume" if before else "--journal"
        process = subprocess.Popen(
            [sys.executable, "-c", SLOWLY, *words, begun, "scan.journal"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if journal.exists() and journal.stat().st_size > max(before, 1_000):
                break
            time.sleep(0.01)
        if process.poll() is not None:
            pytest.fail(f"it ended before it could be stopped: {process.communicate()[1]}")
        process.send_signal(stop)
        out, err = process.communicate(timeout=120)
        if stop != signal.SIGKILL:
            assert process.returncode == 128 + stop, (out, err)
            assert "--resume scan.journal" in err
            assert lines(Path("f.jsonl"))
    resumed = scanned(desk, *words[1:], "--resume", "scan.journal", "--manifest", "m.jsonl")
    assert 0 < resumed["restored"] < FILES
    whole = scanned(desk, "many", "--key", key, "-o", "whole.jsonl", "--manifest", "m2.jsonl")
    assert Path("f.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    for verdict in (*resumed["verdicts"], *whole["verdicts"]):
        verdict["confidence"] = round(verdict["confidence"], 2)  # what was written has fewer digits of it
    for name in ("findings", "verdicts", "documents", "people", "values", "worst"):
        assert resumed[name] == whole[name], name
    assert lines(Path("m.jsonl"))[1:] == lines(Path("m2.jsonl"))[1:]
    again = desk.run("scan", "many", "--key", key, "-o", "f.jsonl", "--resume", "scan.journal", "--no-names")
    again.refused(2, "another --no-names")


def test_a_signal_that_was_dropped_on_the_way_still_ends_the_scan(desk: Desk, environment: dict[str, str]) -> None:
    """What a handler raises in a destructor is dropped by Python: it says so, and goes on."""
    Path("many").mkdir()
    for number in range(FILES):
        Path(f"many/{number:03d}.log").write_text(f"电话163{number:08d}\n", "utf-8")
    dropped = SLOWLY.replace("take(self, document), time.sleep(0.05)", "take(self, document), Dropping()").replace(
        "from parcelveil.cli import main",
        "import os, signal\nfrom parcelveil.cli import main\n"
        "class Dropping:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGTERM)\n        time.sleep(0.01)",
    )
    words = [sys.executable, "-c", dropped, "scan", "many", "--json"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 143, done.stderr
    assert "Exception ignored" in done.stderr
    assert json.loads(done.stdout)["documents"]["read"] < FILES


def test_what_was_found_before_a_stop_stays_and_says_so(desk: Desk, environment: dict[str, str]) -> None:
    Path("many").mkdir()
    for number in range(FILES):
        Path(f"many/{number:03d}.log").write_text(f"电话163{number:08d}\n", "utf-8")
    outputs = ["-o", "f.jsonl", "-o", "f.sarif", "-o", "f.parquet", "--manifest", "m.jsonl", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "scan", "many", *outputs],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while time.monotonic() < until and not (Path("f.jsonl").exists() and Path("f.jsonl").stat().st_size > 2_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    found = json.loads(out)
    assert found["finished"] is False
    assert found["outputs"] == ["f.jsonl", "f.sarif", "m.jsonl"]
    assert 0 < len(lines(Path("f.jsonl"))) == found["findings"]["clear"]["phone.mobile"] < FILES
    run = json.loads(Path("f.sarif").read_text("utf-8"))["runs"][0]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert "skipped" not in lines(Path("m.jsonl"))[-1]  # it has no end: who reads it is told that it was cut short
    assert desk.names() == {"f.jsonl", "f.sarif", "m.jsonl", *(f"many/{number:03d}.log" for number in range(FILES))}
    assert "stopped: what was found until then is in f.jsonl, f.sarif, m.jsonl" in err


# --- what is hostile


def test_bad_files_are_told_and_the_scan_goes_on(desk: Desk) -> None:
    Path("in").mkdir()
    Path("in/good.txt").write_text(LINE, "utf-8")
    Path("in/broken.xlsx").write_bytes(b"PK\x03\x04" + b"x" * 900)
    with zipfile.ZipFile("in/bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros.txt", b"0" * (200 << 20))
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as packed:
        packed.writestr("a.txt", LINE)
    locked = bytearray(plain.getvalue())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + place] |= 1  # the flag of an encrypted member
    Path("in/locked.zip").write_bytes(locked)
    Path("in/empty.txt").touch()
    os.mkfifo("in/pipe")
    Path("in/loop").symlink_to("../in")
    found = scanned(desk, "in")
    assert found["findings"]["clear"]["phone.mobile"] == 1
    whys = {one["place"]: one["why"] for one in found["problems"]}
    assert whys["in/empty.txt"] == "it is empty"
    assert whys["in/pipe"] == "a device, socket or pipe"
    assert whys["in/loop"].startswith("a symbolic link")
    assert whys["in/broken.xlsx"].startswith("damaged")
    assert any(place.startswith("in/locked.zip") and why == "encrypted" for place, why in whys.items())
    assert any(place.startswith("in/bomb.zip") and "inflates" in why for place, why in whys.items())


def test_no_planted_value_is_left_anywhere(desk: Desk, key: str, environment: dict[str, str]) -> None:
    """Everything that runs wrote, said and cached is searched for the values, in every spelling."""
    files = plant(desk.folder / "in")
    for name in ("utf8.txt", "gbk.txt", "utf16.txt", "mail.eml", "nested.zip", "data.bin", "columns.parquet"):
        assert PHONE in values_in(contents(desk.folder / "in" / name)) or name == "nested.zip", name
    words = ["in", "--key", key, "-o", "f.jsonl", "-o", "f.sarif", "-o", "f.ocsf.jsonl", "-o", "f.parquet"]
    words += ["--manifest", "m.jsonl", "--write-baseline", "base.jsonl", "--journal", "j.jsonl", "--log", "--tier", "2"]
    found = scanned(desk, *words)
    hit = {one["source"].removeprefix("in/") for one in found["verdicts"]}
    assert set(files) - {"broken.xlsx"} <= hit
    assert {"phone.mobile", "id.resident", "card.bank", "net.email", "person.name", "address.cn"} <= set(
        found["values"]
    )
    assert desk.run("scan", "in", "--baseline", "base.jsonl", "--key", key).code == 0
    assert desk.run("scan", "table", "in/old.db", "in/columns.parquet", "--full").code == 0
    for name in ("gbk.txt", "table.csv", "nested.zip"):
        desk.run("scan", "in/" + name, "-o", "-", "--no-comments")
        desk.run("scan", "-", stdin=(desk.folder / "in" / name).read_bytes())
    for name in (
        "utf8.txt",
        "gbk.txt",
        "escaped.json",
        "book.xlsx",
    ):  # taken for what they are not, they are not quoted
        (desk.folder / "in" / name).chmod(0o600)
        for wrong in ("--rules", "--allow", "--baseline", "--key", "--resume"):
            more = ["-o", "x.jsonl"] if wrong == "--resume" else []
            assert desk.run("scan", "in/utf8.txt", wrong, "in/" + name, *more).code not in (0, 1), (wrong, name)
    done = subprocess.run(
        [sys.executable, "-m", "parcelveil", "scan", "in"], env=environment, capture_output=True, check=True
    )
    desk.said += [done.stdout, done.stderr]
    assert not values_in(b"\n".join(desk.said))
    written = [path for path in desk.folder.rglob("*") if path.is_file() and path.parts[len(desk.folder.parts)] != "in"]
    assert {"f.jsonl", "f.sarif", "f.parquet", "m.jsonl", "base.jsonl", "j.jsonl"} <= {path.name for path in written}
    caches = Path(warm.__file__).parent
    written += [
        path
        for path in caches.rglob("__pycache__/*")
        if path.suffix in (".nbc", ".nbi", ".npz") or path.name.startswith("scan-")
    ]
    assert any(path.suffix == ".npz" for path in written)
    leaks = {str(path): values_in(contents(path)) for path in written}
    assert not {name: values for name, values in leaks.items() if values}
    assert len(VALUES) == len({value for value in VALUES if values_in(value.encode())})
