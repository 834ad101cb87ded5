"""The Chinese catalogue: in use, complete in its placeholders, and chosen by the environment."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import pytest

import parcelveil
from parcelveil.cli import main
from parcelveil.cli.language import say

PACKAGE = Path(parcelveil.__file__).parent
ENTRIES = tomllib.loads((PACKAGE / "cli" / "zh.toml").read_text("utf-8"))["say"]


def test_every_text_is_in_use_and_keeps_its_placeholders() -> None:
    source = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    assert len({entry["en"] for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert any(quote + entry["en"] + quote in source for quote in "\"'"), entry["en"]
        names = [{name for _, name, _, _ in string.Formatter().parse(entry[key]) if name} for key in ("en", "zh")]
        assert names[0] == names[1], entry["en"]
        assert re.search("[\u4e00-\u9fff]", entry["zh"])


def test_the_environment_chooses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARCELVEIL_WORKSPACE", raising=False)
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    assert main(["keys", "list"]) == 5
    assert capsys.readouterr().err.startswith("错误: 此处及上级目录没有工作区\n提示: ")
    monkeypatch.setenv("PARCELVEIL_LANG", "en")
    assert say("error") == "error"
    monkeypatch.delenv("PARCELVEIL_LANG")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert say("error") == "错误"
