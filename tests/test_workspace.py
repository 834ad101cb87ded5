"""Workspaces: made whole or not at all, found from where one stands, refused when they do not fit."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from parcelveil.adapt import key_file
from parcelveil.errors import KeyAccessError, OutputError, PassphraseError, WorkspaceError
from parcelveil.workspace import Settings, Workspace, engine, find, read_settings


@pytest.fixture(autouse=True)
def _cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "_SCRYPT_N", 1 << 8)
    monkeypatch.delenv("PARCELVEIL_WORKSPACE", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    Workspace.init(tmp_path / "acme", Settings(tenant="acme"), "secret")
    yield tmp_path / "acme"


def opened(folder: Path) -> Workspace:
    return Workspace.open(folder, lambda: "secret")


def test_init_makes_what_open_reads(folder: Path) -> None:
    with opened(folder) as workspace:
        assert workspace.settings == Settings(tenant="acme")
        assert workspace.ring.kek_version == 1
        assert repr(workspace) == f"<Workspace {folder}>"
    assert sorted(path.name for path in folder.iterdir()) == ["kek.key", "parcelveil.toml", "state.db"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "kek.key").stat().st_mode) == 0o600


def test_t10_the_passphrase_is_nowhere(tmp_path: Path) -> None:
    passphrase = "a passphrase like no other"
    Workspace.init(tmp_path / "w", Settings(tenant="w"), passphrase)
    assert not [path for path in (tmp_path / "w").iterdir() if passphrase.encode() in path.read_bytes()]


def test_init_twice_changes_nothing(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(WorkspaceError, match="is a workspace already"):
        Workspace.init(folder, Settings(tenant="other"), "other")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "settings",
    [
        Settings(tenant="Acme"),
        Settings(tenant=""),
        Settings(tenant="-a"),
        Settings(tenant="a" * 64),
        Settings(tenant='a"\nb'),
        Settings(tenant="a", utc_offset="8"),
        Settings(tenant="a", utc_offset="+15:00"),
        Settings(tenant="a", store="postgres:x"),
        Settings(tenant="a", store="sqlite:"),
        Settings(tenant="a", key_store="hsm:1"),
        Settings(tenant="a", format=2),
    ],
)
def test_half_a_workspace_is_none(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(WorkspaceError):
        Workspace.init(tmp_path / "w", settings, "secret")
    assert not (tmp_path / "w" / "parcelveil.toml").exists()


def test_init_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(OutputError):
        Workspace.init(tmp_path / "file", Settings(tenant="a"), "secret")


def test_without_keys(tmp_path: Path) -> None:
    Workspace.init(tmp_path / "w", Settings(tenant="w"), None)
    with pytest.raises(WorkspaceError, match="no keys"):
        opened(tmp_path / "w")
    Workspace.make_keys(tmp_path / "w", "secret")
    opened(tmp_path / "w").store.close()
    with pytest.raises(KeyAccessError, match="exists already"):
        Workspace.make_keys(tmp_path / "w", "secret")


def test_the_passphrase_is_asked_last(tmp_path: Path) -> None:
    def never() -> str:
        raise AssertionError("asked in vain")

    Workspace.init(tmp_path / "w", Settings(tenant="w"), None)
    with pytest.raises(WorkspaceError):
        Workspace.open(tmp_path / "w", never)


def test_wrong_passphrase(folder: Path) -> None:
    with pytest.raises(PassphraseError, match=r"does not open kek\.key"):
        Workspace.open(folder, lambda: "wrong")


def test_find(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = folder / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert find(None) == folder
    monkeypatch.chdir(folder.parent)
    with pytest.raises(WorkspaceError, match="no workspace here or above"):
        find(None)
    monkeypatch.setenv("PARCELVEIL_WORKSPACE", "acme")
    assert find(None) == Path("acme")
    with pytest.raises(WorkspaceError, match="nowhere is not a workspace"):
        find("nowhere")


@pytest.mark.parametrize(
    "line", ["format = 2", "format = 'x'", "colour = 'red'", "tenant = 'ACME'", "utc_offset = '8'", "= =", "\udcff"]
)
def test_settings_that_are_not_right(folder: Path, line: str) -> None:
    key = line.partition(" ")[0]
    path = folder / "parcelveil.toml"
    kept = [old for old in path.read_text("utf-8").splitlines() if old.partition(" ")[0] != key]
    path.write_bytes("\n".join([*kept, line]).encode("utf-8", "surrogateescape"))
    with pytest.raises(WorkspaceError) as caught:
        read_settings(folder)
    assert "\n" not in str(caught.value)


def test_settings_are_gone(folder: Path) -> None:
    (folder / "parcelveil.toml").unlink()
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_settings(folder)


@pytest.mark.parametrize(("text", "minutes"), [("+08:00", 480), ("-05:30", -330), ("+00:00", 0)])
def test_offsets(text: str, minutes: int) -> None:
    assert Settings(tenant="a", utc_offset=text).utc_offset_minutes == minutes


def test_engines() -> None:
    assert list(engine("local:2").map(lambda item: item * 2, range(50))) == [item * 2 for item in range(50)]
    for wrong in ("spark:", "local:x", ""):
        with pytest.raises(WorkspaceError, match="no engine"):
            engine(wrong)


def test_runs_are_recorded_without_values(folder: Path) -> None:
    with opened(folder) as workspace:
        workspace.record("seal", workspace.clock.now(), rows=3, values=9, rejected=1)
        with workspace.store.transaction() as tx:
            (run,) = tx.runs()
    assert (run.command, run.rows, run.values, run.rejected) == ("seal", 3, 9, 1)


def test_a_key_file_of_another_workspace(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as workspace:
        workspace.ring.seal_keys([workspace.ring.today()])
    Workspace.init(tmp_path / "other", Settings(tenant="other"), "secret")
    (folder / "kek.key").write_bytes((tmp_path / "other" / "kek.key").read_bytes())
    with pytest.raises(KeyAccessError, match="does not fit the keys"):
        opened(folder)


def test_t10_the_state_is_its_owners_alone_in_a_folder_that_all_may_read(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        Workspace.init(tmp_path / "shared", Settings(tenant="w"), "secret")
        with opened(tmp_path / "shared") as workspace:
            workspace.ring.seal_keys([workspace.ring.today()])
            files = sorted(path for path in (tmp_path / "shared").iterdir() if path.name.startswith("state.db"))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}
    finally:
        os.umask(before)
    assert modes == {"state.db": 0o600, "state.db-shm": 0o600, "state.db-wal": 0o600}


def test_the_mode_of_a_state_that_is_there_stays(folder: Path) -> None:
    (folder / "state.db").chmod(0o640)  # somebody has let a group in, to verify
    opened(folder).store.close()
    assert stat.S_IMODE((folder / "state.db").stat().st_mode) == 0o640


def test_two_at_once_do_not_lose_the_keys(folder: Path) -> None:
    with opened(folder) as first, opened(folder) as second:
        first.ring.seal_keys([first.ring.today()])
        first.ring.erase(["YT1"])
        try:  # the second began before: it may refuse, it must not destroy what is in force
            second.ring.erase(["YT2"])
        except KeyAccessError:
            pass
    with opened(folder) as workspace:
        workspace.ring.seal_keys([workspace.ring.today()])
