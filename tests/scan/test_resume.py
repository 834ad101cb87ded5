"""A scan that was stopped goes on: nothing lost, nothing twice, whatever stopped it and whenever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parcelveil.errors import InputError, OutputError, UsageError
from parcelveil.scan import resume as module
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.resume import Identity, Journal, rules_digest
from parcelveil.scan.rules import Family, Rule
from scan.made_findings import batch

IDENTITY = Identity("2d4f72b94f828a2c", "ab" * 32, {"names": "yes"})


class Folder:
    """A folder of files, each a line of numbers; its scan finds each number once."""

    def __init__(self, root: Path, files: int = 6) -> None:
        self.root = root
        self.journal, self.findings = root / "scan.journal", root / "findings.jsonl"
        self.files = [root / f"{number}.txt" for number in range(files)]
        for number, file in enumerate(self.files):
            file.write_text(" ".join(str(100 * number + n) for n in range(number + 2)))

    def begin(self) -> Journal:
        return Journal.begin(self.journal, self.findings, IDENTITY)

    def resume(self, identity: Identity = IDENTITY) -> Journal:
        return Journal.resume(self.journal, self.findings, identity)

    def scan(self, journal: Journal, most: int = 99, half: bool = False) -> list[str]:
        """Scan what is not finished, at most so many files; of one more only the findings. Names of the files scanned."""
        done: list[str] = []
        for file in self.files:
            if journal.done(str(file)) or not file.exists():
                continue
            if len(done) == most and not half:
                break
            journal.start(str(file))
            for number in file.read_text().split():
                journal.sink.write(batch([{"source": str(file), "value": number, "line": 1}]))
            if len(done) == most:
                break
            journal.finish(str(file), [Read(Place(str(file)), "text", "read", findings=2)])
            done.append(file.name)
        return done

    def found(self) -> list[str]:
        """Fingerprints in the file of findings."""
        return [json.loads(line)["fingerprint"] for line in self.findings.read_bytes().splitlines()]

    def expected(self) -> list[str]:
        rows = [{"value": number} for file in self.files if file.exists() for number in file.read_text().split()]
        return [one.hex() for one in batch(rows)["fingerprint"].to_pylist()]

    def is_whole(self) -> bool:
        return sorted(self.found()) == sorted(self.expected())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_scan_goes_on_where_it_was(folder: Folder) -> None:
    journal = folder.begin()
    assert folder.scan(journal, 2) == ["0.txt", "1.txt"]
    journal.close()
    journal = folder.resume()
    assert [read.place.source for read in journal.reads()] == [str(file) for file in folder.files[:2]]
    replayed = [one.hex() for part, _ in journal.replay() for one in part["fingerprint"].to_pylist()]
    assert replayed == folder.expected()[:5] == folder.found()
    assert folder.scan(journal) == ["2.txt", "3.txt", "4.txt", "5.txt"]
    journal.close()
    assert folder.found() == folder.expected()
    journal = folder.resume()
    assert folder.scan(journal) == []
    journal.close()
    assert folder.found() == folder.expected()


@pytest.mark.parametrize("at", range(1, 13))
def test_an_interruption_while_the_disk_is_waited_for_loses_and_doubles_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Ctrl-C comes most likely then: waiting for the disk is what takes the time."""
    monkeypatch.setattr(module, "EVERY", 0.0)
    journal = folder.begin()
    calls, sync = 0, os.fsync

    def interrupted(number: int) -> None:
        nonlocal calls
        calls += 1
        sync(number)
        if calls == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.scan(journal)
        journal.close()
    journal = folder.resume()
    folder.scan(journal)
    journal.close()
    assert folder.found() == folder.expected()


def test_replay_gives_what_was_there_when_it_went_on(folder: Folder) -> None:
    journal = folder.begin()
    folder.scan(journal, 2)
    journal.close()
    journal = folder.resume()
    replay = journal.replay()
    folder.scan(journal, 1)  # new findings do not come twice
    assert sum(part.num_rows for part, _ in replay) == 5
    journal.close()


def test_findings_of_an_unfinished_file_are_cut_off(folder: Folder) -> None:
    journal = folder.begin()
    folder.scan(journal, 2, half=True)
    assert len(folder.found()) == 5 + 4
    journal.close()
    assert len(folder.found()) == 5
    journal = folder.resume()
    folder.scan(journal)
    journal.close()
    assert folder.found() == folder.expected()


def test_a_file_that_was_given_up_leaves_nothing(folder: Folder) -> None:
    journal = folder.begin()
    journal.start("broken.txt")
    journal.sink.write(batch([{"source": "broken.txt"}]))
    folder.scan(journal)
    journal.close()
    assert folder.found() == folder.expected()
    folder.resume().close()
    assert folder.found() == folder.expected()


@pytest.mark.parametrize("changed", [[0], [2], [5], [1, 4], [0, 1, 2, 3, 4, 5]])
def test_a_file_that_has_changed_is_scanned_again_and_only_that(folder: Folder, changed: list[int]) -> None:
    journal = folder.begin()
    folder.scan(journal)
    journal.close()
    for number in changed:
        folder.files[number].write_text("7 8 9 10 11 12 13 14 15")
    journal = folder.resume()
    replayed = sum(part.num_rows for part, _ in journal.replay())
    assert replayed == sum(n + 2 for n in range(6) if n not in changed)
    assert len(list(journal.reads())) == 6 - len(changed)
    assert folder.scan(journal) == [folder.files[number].name for number in changed]
    journal.close()
    assert folder.is_whole()
    folder.resume().close()
    assert folder.is_whole() and not list(folder.root.glob(".*"))


def test_a_file_of_the_same_size_with_another_time_has_changed(folder: Folder) -> None:
    journal = folder.begin()
    folder.scan(journal)
    journal.close()
    folder.files[1].write_text(folder.files[1].read_text()[::-1])
    os.utime(folder.files[1], ns=(1, 1))
    journal = folder.resume()
    assert folder.scan(journal) == ["1.txt"]
    journal.close()


def test_a_file_that_changes_while_it_is_read_is_read_again_next_time(folder: Folder) -> None:
    journal = folder.begin()
    journal.start(str(folder.files[0]))
    folder.files[0].write_text("1 2 3 4 5 6 7 8")
    journal.finish(str(folder.files[0]))
    journal.close()
    journal = folder.resume()
    assert not journal.done(str(folder.files[0]))
    journal.close()


def test_findings_of_a_file_that_is_gone_are_taken_out(folder: Folder) -> None:
    journal = folder.begin()
    folder.scan(journal)
    journal.close()
    folder.files[3].unlink()
    journal = folder.resume()
    assert folder.scan(journal) == []
    journal.close()
    assert folder.is_whole()


@pytest.mark.parametrize("source", ["-", "postgresql://crm.example/orders"])
def test_what_has_no_time_of_change_is_read_again(folder: Folder, source: str) -> None:
    journal = folder.begin()
    journal.start(source)
    journal.sink.write(batch([{"source": source}]))
    journal.finish(source)
    folder.scan(journal)
    assert journal.done(source)
    journal.close()
    journal = folder.resume()
    assert not journal.done(source)
    journal.close()
    assert folder.found() == folder.expected()


# -- crashes ---------------------------------------------------------------------------------------------------------------


def test_any_cut_of_the_journal_loses_nothing_and_doubles_nothing(folder: Folder) -> None:
    """As a crash leaves it: any number of bytes of the journal, and findings that are at least as far."""
    journal = folder.begin()
    folder.scan(journal)
    journal.close()
    whole, findings = folder.journal.read_bytes(), folder.findings.read_bytes()
    header = whole.index(b"\n") + 1
    for cut in [*range(header, len(whole), 97), len(whole) - 1]:
        folder.journal.write_bytes(whole[:cut])
        folder.findings.write_bytes(findings + b'{"source":"half a li')
        journal = folder.resume()
        folder.scan(journal)
        journal.close()
        assert folder.found() == folder.expected(), cut


def test_a_crash_in_the_middle_of_taking_out_loses_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before either file was replaced, and between the two."""
    journal = folder.begin()
    folder.scan(journal)
    journal.close()
    real = Path.replace
    for survives in (0, 1):
        folder.files[2].write_text(f"{survives} 5000 5001 5002 5003 5004 5005")
        calls = 0

        def dies(path: Path, target: Path, survives: int = survives) -> Path:
            nonlocal calls
            calls += 1
            if calls > survives:
                raise KeyboardInterrupt
            return real(path, target)

        monkeypatch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            folder.resume()
        monkeypatch.setattr(Path, "replace", real)
        journal = folder.resume()
        assert folder.scan(journal) == ["2.txt"]
        journal.close()
        assert folder.is_whole() and not list(folder.root.glob(".*"))


def test_a_half_written_new_journal_is_thrown_away(folder: Folder) -> None:
    journal = folder.begin()
    folder.scan(journal, 3)
    journal.close()
    (folder.root / ".scan.journal.resumed").write_bytes(b'{"journal":1,"ident')
    (folder.root / ".findings.jsonl.resumed").write_bytes(b"x")
    folder.files[1].write_text("1 2 3 4 5 6 7")
    journal = folder.resume()
    folder.scan(journal)
    journal.close()
    assert folder.is_whole() and not list(folder.root.glob(".*"))


SLOW_SCAN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from parcelveil.scan import resume as module
from scan.test_resume import Folder
from scan.made_findings import batch
module.EVERY = 0.02
folder = Folder.__new__(Folder)
folder.root = Path({root!r})
folder.journal, folder.findings = folder.root / "scan.journal", folder.root / "findings.jsonl"
folder.files = sorted(folder.root.glob("*.txt"), key=lambda file: int(file.stem))
journal = folder.resume() if folder.journal.exists() else folder.begin()
print("ready", flush=True)
for file in folder.files:
    if not journal.done(str(file)):
        journal.start(str(file))
        for number in file.read_text().split():
            journal.sink.write(batch([{{"source": str(file), "value": number, "line": 1}}]))
            time.sleep(0.001)
        journal.finish(str(file))
journal.close()
print("whole", flush=True)
"""


def test_kill_nine_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path, files=40)
    script = SLOW_SCAN.format(tests=str(Path(__file__).parent.parent), root=str(tmp_path))
    killed, last = 0, 0
    for wait in (0.05, 0.11, 0.23, 0.17, 0.3, 60):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        try:
            child.wait(wait)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            killed += 1
        finally:
            child.stdout.close()
        lines = folder.journal.read_bytes().count(b"\n")
        assert lines >= last  # each time a little further
        last = lines
    assert killed >= 3 and child.returncode == 0
    assert folder.found() == folder.expected()


# -- what is refused -----------------------------------------------------------------------------------------------------------


def test_nothing_is_replaced_by_a_new_scan(folder: Folder) -> None:
    folder.begin().close()
    for gone in (folder.findings, folder.journal):
        kept = gone.read_bytes()
        gone.unlink()
        with pytest.raises(OutputError, match="exists already") as caught:
            folder.begin()
        assert "--resume" in caught.value.hint
        gone.write_bytes(kept)
    with pytest.raises(OutputError, match="could not be written"):
        Journal.begin(folder.root / "no" / "j", folder.root / "f.jsonl", IDENTITY)


def test_files_are_for_their_owner_only(folder: Folder) -> None:
    journal = folder.begin()
    folder.scan(journal)
    journal.close()
    folder.files[1].write_text("1 2 3 4 5 6 7")
    folder.resume().close()
    assert [file.stat().st_mode & 0o777 for file in (folder.journal, folder.findings)] == [0o600] * 2


@pytest.mark.parametrize(
    ("identity", "what"),
    [
        (Identity("other", "ab" * 32, {"names": "yes"}), "key"),
        (Identity("2d4f72b94f828a2c", "cd" * 32, {"names": "yes"}), "rules"),
        (Identity("2d4f72b94f828a2c", "ab" * 32, {"names": "no"}), "names"),
        (Identity("2d4f72b94f828a2c", "ab" * 32, {}), "names"),
        (Identity("2d4f72b94f828a2c", "ab" * 32, {"names": "yes", "ocr": "yes"}), "ocr"),
    ],
)
def test_another_scan_does_not_go_on_with_it(folder: Folder, identity: Identity, what: str) -> None:
    journal = folder.begin()
    folder.scan(journal, 2)
    journal.close()
    before = folder.findings.read_bytes()
    with pytest.raises(UsageError, match=f"was begun with another {what}$"):
        folder.resume(identity)
    assert folder.findings.read_bytes() == before


def test_two_scans_do_not_write_one_journal(folder: Folder) -> None:
    journal = folder.begin()
    with pytest.raises(OutputError, match="is in use"):
        folder.resume()
    journal.close()
    folder.resume().close()


def _changes() -> Iterator[tuple[str, Any]]:
    yield "not the file of findings", lambda folder: folder.findings.write_bytes(b"")
    yield "not the file of findings", lambda folder: folder.findings.unlink()
    yield (
        "not the file of findings",
        lambda folder: folder.findings.write_bytes(folder.findings.read_bytes().replace(b"phone", b"fonne")),
    )
    yield "not a journal", lambda folder: folder.journal.write_bytes(b"")
    yield "not a journal", lambda folder: folder.journal.write_bytes(b"{}\n")
    yield (
        "another version",
        lambda folder: folder.journal.write_bytes(folder.journal.read_bytes().replace(b'"journal":1', b'"journal":2')),
    )
    yield (
        "line 2 of",
        lambda folder: folder.journal.write_bytes(folder.journal.read_bytes().replace(b'"length"', b'"lenght"')),
    )
    yield "no journal", lambda folder: folder.journal.unlink()


@pytest.mark.parametrize(("said", "change"), list(_changes()))
def test_what_does_not_belong_together_is_refused(folder: Folder, said: str, change: Any) -> None:
    journal = folder.begin()
    folder.scan(journal, 3)
    journal.close()
    change(folder)
    with pytest.raises(InputError, match=said):
        folder.resume()


def test_a_full_disk_is_said_clearly(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = folder.begin()
    folder.scan(journal, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        journal.sync()
    with pytest.raises(OutputError, match="No space left"):
        journal.close()


def test_t10_no_value_is_in_the_journal(folder: Folder) -> None:
    folder.files[0].write_text("16312345678 110101199003074514")
    journal = folder.begin()
    folder.scan(journal)
    journal.close()
    said = folder.journal.read_bytes() + folder.findings.read_bytes()
    assert b"16312345678" not in said and b"110101199003074514" not in said


def test_many_small_files_do_not_wait_for_the_disk_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = 0
    real = os.fsync

    def counted(number: int) -> None:
        nonlocal synced
        synced += 1
        real(number)

    journal = Journal.begin(tmp_path / "j", tmp_path / "f", IDENTITY)
    monkeypatch.setattr(module.os, "fsync", counted)
    monkeypatch.setattr(module, "EVERY", 3600.0)
    for number in range(500):
        journal.start(f"{number}.txt")
        journal.finish(f"{number}.txt")
    assert synced == 0
    monkeypatch.setattr(module, "EVERY", 0.0)
    journal.start("last.txt")
    journal.finish("last.txt")
    assert synced == 2 and (tmp_path / "j").read_bytes().count(b"\n") == 502
    journal.close()


def test_the_digest_of_rules_is_of_what_they_say() -> None:
    one = Family("f", rule=[Rule("a", "a", "甲", patterns=["1"])])
    assert rules_digest([one]) == rules_digest([Family("f", rule=[Rule("a", "a", "甲", patterns=["1"])])])
    assert rules_digest([one]) != rules_digest([Family("f", rule=[Rule("a", "a", "甲", patterns=["2"])])])
    assert rules_digest([one]) != rules_digest([one, one])


def test_durable_means_findings_before_lines(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of the journal never speaks of findings that might still be lost."""
    journal = folder.begin()
    order: list[str] = []
    real = os.fsync

    def noted(number: int) -> None:
        order.append(Path(f"/proc/self/fd/{number}").readlink().name)
        real(number)

    monkeypatch.setattr(module.os, "fsync", noted)
    folder.scan(journal, 1)
    journal.sync()
    assert order == ["findings.jsonl", "scan.journal"]
    journal.close()
