"""Labels reach a pipe or a printer all at once, or not at all."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from parcelveil.adapt.sink_bytes import open_bytes
from parcelveil.errors import OutputError


def listen(path: Path) -> tuple[threading.Thread, list[bytes]]:
    """Reads a named pipe to its end."""
    os.mkfifo(path)
    heard: list[bytes] = []
    thread = threading.Thread(target=lambda: heard.append(path.read_bytes()))
    thread.start()
    return thread, heard


def test_a_pipe_gets_everything_at_the_commit(tmp_path: Path) -> None:
    thread, heard = listen(tmp_path / "printer")
    data = os.urandom(3 << 20)
    with open_bytes(str(tmp_path / "printer")) as file:
        file.write(data[:1000])
        file.write(data[1000:])
        assert file.tell() == len(data)
        file.commit()
    thread.join(10)
    assert heard == [data]


def test_a_pipe_gets_nothing_without_one(tmp_path: Path) -> None:
    thread, heard = listen(tmp_path / "printer")
    with pytest.raises(KeyError), open_bytes(str(tmp_path / "printer")) as file:
        file.write(b"^XA" * 100_000)
        raise KeyError
    thread.join(10)
    assert heard == [b""]


def test_a_full_device_and_a_full_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(OutputError, match="the disk is full; /dev/full was not written"),
        open_bytes("/dev/full") as file,
    ):
        file.write(b"x")
        file.commit()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with (
        pytest.raises(OutputError, match="cannot be gathered in a temporary file: No such file"),
        open_bytes("/dev/null"),
    ):
        pass
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("wb", buffering=0))  # noqa: SIM115
    with pytest.raises(OutputError) as caught, open_bytes("/dev/null") as file:
        file.write(b"x")
    assert "temporary file: No space left" in str(caught.value) and "TMPDIR" in caught.value.hint


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "printer")
    reader = os.open(tmp_path / "printer", os.O_RDONLY | os.O_NONBLOCK)
    with (
        pytest.raises(OutputError, match=r"the program that reads .* has ended"),
        open_bytes(str(tmp_path / "printer")) as file,
    ):
        file.write(b"x")
        os.close(reader)
        file.commit()
