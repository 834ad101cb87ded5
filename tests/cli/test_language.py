"""The Chinese catalogue: in use, complete in its placeholders, and chosen by the environment."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import parcelveil
from parcelveil import errors
from parcelveil.adapt import table_cells, tables_arrow, tables_mysql, tables_postgres, tables_sqlite
from parcelveil.cli import main, scan_table
from parcelveil.cli.language import say
from parcelveil.scan.read import why

PACKAGE = Path(parcelveil.__file__).parent
ENTRIES = tomllib.loads((PACKAGE / "cli" / "zh.toml").read_text("utf-8"))["say"]


#: Where errors and texts of the desk and the log come from: all of these are said in Chinese too.
SPOKEN = sorted(
    [
        *(PACKAGE / "audit").glob("*.py"),
        *(PACKAGE / "reveal").glob("*.py"),
        *(PACKAGE / "intake").glob("work*.py"),
        PACKAGE / "event.py",
        PACKAGE / "adapt" / "sealed_files.py",
        PACKAGE / "adapt" / "virtual_simulator.py",
        *(PACKAGE / "label").glob("*.py"),
        *(PACKAGE / "scan").rglob("*.py"),
        *(PACKAGE / "simulate" / "attack").glob("*.py"),
        *(PACKAGE / "simulate" / "carrier").glob("*.py"),
        PACKAGE / "cli" / "simulate_carrier.py",
        *(PACKAGE / "adapt").glob("tables*.py"),
        PACKAGE / "adapt" / "table_uri.py",
        *(PACKAGE / "watch").glob("*.py"),
        PACKAGE / "adapt" / "webhook.py",
        *(PACKAGE / "adapt").glob("event_*.py"),
        *(PACKAGE / "adapt").glob("sql_*.py"),
        *(PACKAGE / "cli").glob("watch*.py"),
        PACKAGE / "cli" / "decoy.py",
        *(PACKAGE / "cli").glob("scan*.py"),
        *(
            PACKAGE / "cli" / f"{name}.py"
            for name in (
                *(
                    "asking",
                    "audit",
                    "audit_read",
                    "demo",
                    "demo_watch",
                    "label",
                    "label_check",
                    "label_numbers",
                    "label_layouts",
                    "label_output",
                    "log_source",
                    "output",
                    "policy",
                    "reveal",
                    "staff",
                    "staff_list",
                ),
                *("witness", "work"),
            )
        ),
    ]
)
OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and name.endswith("Error")}
#: Heads and tails that the code joins to a template.
JOINED = ("{where}: ", ": {file}")


def literals(node: ast.expr, named: dict[str, list[str]]) -> list[str]:
    """The texts that an expression can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return literals(node.body, named) + literals(node.orelse, named)
    if isinstance(node, ast.BinOp):  # a table of templates, and what is joined to each
        head, tail = literals(node.left, named), literals(node.right, named)
        return [one + other for one in head for other in tail]
    if isinstance(node, ast.Name):
        return named.get(node.id, [])
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return named.get(node.value.id, [])
    return []


def texts_of(path: Path) -> Iterator[str]:
    """Every template and hint of an error that a module raises, and every text that it says."""
    tree = ast.parse(path.read_text("utf-8"))
    named: dict[str, list[str]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            values = statement.value.values if isinstance(statement.value, ast.Dict) else [statement.value]
            named[statement.targets[0].id] = [text for value in values for text in literals(value, {})]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if name == "say":
            yield from literals(call.args[0], named)
        elif name == "refuse" and len(call.args) > 1:  # scenes: a scene's name goes before
            yield from ("{where}: " + text for text in literals(call.args[0], named))
            yield from literals(call.args[1], named)
        elif name == "_wrong":
            yield from (text for argument in call.args[2:4] for text in literals(argument, named))
        elif name in OURS and call.args:
            yield from literals(call.args[0], named)
            yield from (text for word in call.keywords if word.arg == "hint" for text in literals(word.value, named))


def test_every_error_and_text_of_desk_and_log_is_said_in_chinese() -> None:
    known = {entry["en"] for entry in ENTRIES}
    said = {(text, path.name) for path in SPOKEN for text in texts_of(path) if text}
    assert len(said) > 250  # the search itself works
    placeholders = {"{meant}"}
    assert not {(text, file) for text, file in said if text not in known | placeholders}


def test_every_text_is_in_use_and_keeps_its_placeholders() -> None:
    source = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    assert len({entry["en"] for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        spelled = {entry["en"].removeprefix(JOINED[0]), entry["en"].removesuffix(JOINED[1]), entry["en"]}
        assert any(quote + text + quote in source for text in spelled for quote in "\"'"), entry["en"]
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


def test_every_reason_of_a_manifest_is_said_in_chinese() -> None:
    """Why something was not read comes out of lists of sentences: of readers, of tables, of the commands."""
    known = {entry["en"] for entry in ENTRIES}
    said = set(why.ALL) | {scan_table.SAMPLED, scan_table.FAILED}
    for module in (table_cells, tables_arrow, tables_mysql, tables_postgres, tables_sqlite):
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and " " in value and not name.startswith("_"):
                said.add(value)
            if name in ("_FAILURES", "_REFUSALS"):
                said |= set(value.values())
    assert len(said) > 70
    assert sorted(said - known) == []
