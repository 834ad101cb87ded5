"""A workspace made once and copied for each test and a desk to run commands at."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from parcelveil.adapt import key_file
from parcelveil.cli import main
from parcelveil.workspace import Settings, Workspace

PASSPHRASE = "correct horse battery staple"


@dataclass
class Ran:
    """What a command said."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def refused(self, code: int, *words: str) -> None:
        """One error line, one hint, the exit code, and no trace of a programmer."""
        assert self.code == code, (self.code, self.err)
        lines = self.err.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["error", "hint"], self.err
        assert "internal error" not in self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, (word, self.err)
        assert len(lines[1]) > len("hint: ")


@dataclass
class Desk:
    """A folder with a workspace ``acme`` in it, in which commands are run."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[bytes]
    said: list[bytes] = field(default_factory=list)

    def run(self, *words: str, stdin: bytes | None = None) -> Ran:
        self.capture.readouterr()
        with self.monkeypatch.context() as patch:
            if stdin is None:
                code = main(words)
            else:
                with tempfile.TemporaryFile() as file:
                    file.write(stdin)
                    file.seek(0)
                    patch.setattr(sys, "stdin", file)
                    code = main(words)
        out, err = self.capture.readouterr()
        self.said += [out, err]
        return Ran(code, out, err.decode())

    def sealed(self, *words: str, code: int = 0) -> Ran:
        ran = self.run("seal", *words)
        assert ran.code == code, ran.err
        return ran

    def names(self) -> set[str]:
        """Every file of the desk but those of the workspace."""
        files = (p.relative_to(self.folder) for p in self.folder.rglob("*") if p.is_file())
        return {str(path) for path in files if path.parts[0] not in ("acme", "tmp", "home")}


@pytest.fixture(scope="session")
def made_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "acme"
    with pytest.MonkeyPatch.context() as patch:
        # The key file carries its parameters: a cheap one opens fast in every test.
        patch.setattr(key_file, "_SCRYPT_N", 1 << 8)
        Workspace.init(folder, Settings(tenant="acme"), PASSPHRASE)
    return folder


@pytest.fixture
def desk(
    made_workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Desk:
    shutil.copytree(made_workspace, tmp_path / "acme")
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("PARCELVEIL_WORKSPACE", "acme")
    monkeypatch.setenv("PARCELVEIL_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("PARCELVEIL_LANG", "en")
    monkeypatch.delenv("PARCELVEIL_DEBUG", raising=False)
    return Desk(tmp_path, monkeypatch, capfdbinary)


HEADER = ("运单号", "收件人", "收件人电话", "收件人地址", "身份证号", "备注", "下单时间")
ROWS: tuple[tuple[str, ...], ...] = (
    ("YT1", "欧阳娜娜", "13812345678", "浙江省杭州市西湖区文三路18弄3号楼501室", "110101199003071233", "放门口", "2026-05-03 10:00:00"),
    ("YT2", "李雷", "13912345678", "北京市朝阳区建国路甲7号院2单元1203室", "", "轻放", "2026-05-03 11:00:00"),
    ("YT3", "韩梅梅", "13712345678", "上海市浦东新区世纪大道1号幢302室", "", "", "2026-05-04 09:00:00"),
)  # fmt: skip


def csv_text(rows: Sequence[Sequence[str]] = ROWS, header: Sequence[str] = HEADER) -> str:
    """Rows as an outlet's export has them."""
    return "\n".join(",".join(row) for row in (header, *rows)) + "\n"


@pytest.fixture
def orders(desk: Desk) -> Path:
    """``orders.csv`` at the desk: three good rows of two days."""
    path = desk.folder / "orders.csv"
    path.write_text(csv_text(), "utf-8")
    return path


@pytest.fixture
def environment(desk: Desk) -> dict[str, str]:
    """What a subprocess needs to run at the same desk."""
    return {**os.environ, "COLUMNS": "200"}


@pytest.fixture
def station(desk: Desk) -> Desk:
    """A folder with a sealed file in it."""
    (desk.folder / "orders.csv").write_text(csv_text(), "utf-8")
    assert desk.run("seal", "orders.csv", "-o", "day.sealed.parquet").code == 0
    return desk
