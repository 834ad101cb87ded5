"""``parcelveil label check`` as people use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import parcelveil
from cli.test_language import texts_of
from label.labels_drawn import BAD, GOOD, data, pdf, picture
from parcelveil.cli import main
from parcelveil.cli.language import say
from parcelveil.label import check as checking
from parcelveil.label.rules import NOTES, RULES

PACKAGE = Path(parcelveil.__file__).parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARCELVEIL_WORKSPACE", raising=False)
    monkeypatch.setenv("PARCELVEIL_LANG", "en")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["label", "check", *words])
    out, err = capsys.readouterr()
    assert "Traceback" not in err and "internal error" not in err
    return code, out, err


def test_a_good_file_meets_the_standard_and_a_bad_one_is_told_why(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pdf([GOOD, GOOD], here / "good.pdf")
    code, out, err = run(capsys, "good.pdf")
    assert (code, err) == (0, "")
    assert out.startswith("good.pdf: meets GB/T 41833-2022\n")
    pdf([GOOD, BAD], here / "bad.pdf")
    code, out, _ = run(capsys, "bad.pdf")
    assert code == 13
    assert "breaks 4 rules" in out and "138****1234 hides 4 digits, 6 required" in out
    assert "李雷" not in out and "连衣裙" not in out and "501" not in out
    code, out, _ = run(capsys, "good.pdf", "bad.pdf")
    assert code == 13
    assert out.endswith("2 files; meet the standard: 1, break it: 1, could not be judged: 0\n")


def test_it_speaks_chinese(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    pdf([BAD], here / "bad.pdf", title="13812345678")
    code, out, _ = run(capsys, "bad.pdf")
    assert code == 13
    assert "违反 5 条规则" in out and "138****1234 只隐藏了 4 位，至少应隐藏 6 位" in out and "元数据: Title" in out
    (here / "cut.pdf").write_bytes(b"%PDF-1.7\n%%EOF")
    _, out, _ = run(capsys, "bad.pdf", "cut.pdf")
    assert "cut.pdf: 无法判定：cut.pdf 是损坏的 PDF" in out
    assert main(["label", "check", "none.pdf"]) == 3
    assert capsys.readouterr().err.startswith("错误: 无法读取 none.pdf")


def test_every_text_of_the_check_is_said_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    files = [
        PACKAGE / "cli" / "label_check.py",
        *(PACKAGE / "label" / f"{name}.py" for name in ("pages", "ocr", "check")),
    ]
    texts = {text for file in files for text in texts_of(file) if text}
    reasons = ("NOT_INSTALLED", "SWITCHED_OFF", "PICTURE_UNREAD", "NOTHING", "HARDLY", "TOO_MUCH", "DAMAGED")
    texts |= {getattr(checking, name) for name in reasons}
    texts |= {what for _, what in (*RULES.values(), *NOTES.values())}
    texts |= {article for article, _ in RULES.values() if not article.startswith("GB/T")}
    texts |= {"waybill number", "opaque token", "print station mark", "nothing personal", "personal data", "metadata"}
    assert len(texts) > 60
    assert {text for text in texts if say(text) == text} == set()


def test_folders_patterns_and_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "in" / "deep").mkdir(parents=True)
    pdf([GOOD], here / "in" / "a.pdf")
    (here / "in" / "deep" / "b.PNG").write_bytes(data(picture(GOOD), "PNG"))
    (here / "in" / "notes.txt").write_text("not a label")
    code, out, _ = run(capsys, "in", "in/*.pdf", "--no-ocr", "--json")
    answer = json.loads(out)
    assert code == 13
    assert [(file["file"], file["verdict"]) for file in answer["files"]] == [
        ("in/a.pdf", "meets"),
        ("in/deep/b.PNG", "unclear"),
    ]
    assert answer["files"][0]["standard"] == "GB/T 41833-2022"
    assert answer["files"][1]["why"] == checking.SWITCHED_OFF


def test_many_pages_are_summed_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pdf([GOOD] * 45, here / "many.pdf")
    code, out, _ = run(capsys, "many.pdf")
    assert code == 0 and "45 pages, all meet it" in out and out.count("\n") < 8
    pdf([GOOD] * 30 + [BAD] * 45, here / "bad.pdf")
    code, out, _ = run(capsys, "bad.pdf")
    assert code == 13 and "30 pages more meet the standard" in out and "rows more: --json has them all" in out
    assert out.count("\n") < 110


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which labels?"),
        (["none.pdf"], "none.pdf cannot be read: No such file or directory"),
        (["empty"], "empty holds no PDF and no picture"),
        (["*.tiff"], "no file is like *.tiff"),
        (["text.pdf"], "text.pdf is no PDF and no picture"),
        (["cut.pdf"], "cut.pdf is a damaged PDF"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (here / "empty").mkdir()
    (here / "text.pdf").write_text("waybill_no\n1\n")
    (here / "cut.pdf").write_bytes(b"%PDF-1.7\n%%EOF")
    code, out, err = run(capsys, *words)
    assert (code, out) == (2 if not words else 3, "")
    assert err.splitlines()[0] == f"error: {said}" and err.splitlines()[1].startswith("hint: ")


def test_one_bad_file_does_not_stop_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.pdf").write_bytes(b"%PDF-1.7\n%%EOF")
    pdf([GOOD], here / "b.pdf")
    code, out, _ = run(capsys, "a.pdf", "b.pdf")
    assert code == 13
    assert "a.pdf: could not be judged: a.pdf is a damaged PDF" in out and "b.pdf: meets GB/T 41833-2022" in out


def test_a_name_of_a_file_steers_no_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move(pdf([GOOD], here / "a.pdf"), here / "\x1b[31ma.pdf")
    _, out, err = run(capsys, "\x1b[31ma.pdf")
    assert "\x1b" not in out + err


def test_as_a_process_of_its_own(here: Path) -> None:
    pdf([BAD], here / "bad.pdf")
    command = [sys.executable, "-m", "parcelveil", "label", "check", "bad.pdf"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 13 and done.stderr == "" and "hides 4 digits" in done.stdout
