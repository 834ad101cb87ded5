"""``parcelveil simulate carrier``: what it writes, says and refuses, and how it stops."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from parcelveil.cli import main
from parcelveil.event import ACCESS, ACCOUNT, WORK

RUN = ("simulate", "carrier", "--staff", "120", "--days", "4", "--attackers", "demo", "--seed", "5")


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARCELVEIL_LANG", "en")
    return tmp_path


def test_it_writes_days_and_beside_them_the_truth(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "-o", "one", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["days"] == 4
    assert facts["attacks"] == 3
    assert facts["rate"] > 0
    one = here / "one"
    days = [f"2026-09-0{day}" for day in (1, 2, 3, 4)]
    for folder, ending in (("access", "parquet"), ("work", "parquet"), ("web", "log"), ("keyuse", "parquet")):
        assert sorted(path.name for path in (one / folder).iterdir()) == [f"{day}.{ending}" for day in days]
    looks = [pq.read_table(path) for path in sorted((one / "access").iterdir())]
    assert looks[0].schema.names == ACCESS.names
    assert sum(table.num_rows for table in looks) == facts["looks"]
    assert pq.read_schema(one / "work" / "2026-09-01.parquet").names == [*WORK.names, "received_at"]
    assert pq.read_schema(one / "accounts.parquet").names == ACCOUNT.names
    attackers = pq.read_table(one / "truth" / "attackers.parquet").to_pylist()
    assert [row["strategy"] for row in attackers] == ["rented", "slow", "sequential"]
    assert sum(row["records"] for row in attackers) == facts["records"] > 0
    known = {number for table in looks for number in table["event_id"].to_pylist()}
    assert set(pq.read_table(one / "truth" / "accesses.parquet")["event_id"].to_pylist()) <= known


def test_nothing_outside_the_truth_says_that_there_are_attackers(here: Path) -> None:
    assert main([*RUN, "-o", "bad"]) == 0
    good = [word if word != "demo" else "none" for word in RUN]
    assert main([*good, "-o", "good"]) == 0
    bad, good_ = here / "bad", here / "good"
    # Nobody gave notice in this plan: registers and calendars are the same to the byte.
    for name in ("accounts.parquet", "world.json"):
        assert (bad / name).read_bytes() == (good_ / name).read_bytes()
    for path in [*bad.glob("access/*"), *bad.glob("work/*"), *bad.glob("keyuse/*")]:
        other = good_ / path.relative_to(bad)
        assert pq.read_schema(path).equals(pq.read_schema(other), check_metadata=True)
    assert {path.name for path in bad.iterdir()} == {path.name for path in good_.iterdir()}
    assert pq.read_table(good_ / "truth" / "attackers.parquet").num_rows == 0


def test_the_same_seed_gives_the_same_bytes(here: Path) -> None:
    for name in ("one", "two"):
        assert main([*RUN, "-o", name]) == 0
    assert digest(here / "one") == digest(here / "two")
    assert main([*RUN[:-1], "6", "-o", "three"]) == 0
    assert digest(here / "one")["access/2026-09-02.parquet"] != digest(here / "three")["access/2026-09-02.parquet"]


def test_a_folder_in_use_is_refused_and_force_removes_only_an_older_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RUN, "-o", "one"]) == 0
    (here / "one" / "note.txt").write_text("mine", "utf-8")
    (here / "one" / "truth" / "old.parquet").write_bytes(b"old")
    before = digest(here / "one")
    assert main([*RUN, "-o", "one"]) == 6
    assert "is not empty" in capsys.readouterr().err
    assert digest(here / "one") == before
    short = [word if word != "4" else "3" for word in RUN]
    assert main([*short, "-o", "one", "--force"]) == 0
    names = set(digest(here / "one"))
    assert "note.txt" in names
    assert not names & {"truth/old.parquet", "access/2026-09-04.parquet"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--attackers", "gone.toml"], 3, "cannot be read"),
        (["--attackers", "bad.toml"], 3, "no strategy fly"),
        (["--attackers", "many.toml"], 2, "finds no account"),
        (["--days", "0"], 2, "at least 1"),
        (["--staff", "1"], 2, "staff must be between"),
        (["--start", "tomorrow"], 2, "is not a day"),
        (["--seed", "-1"], 2, "seed"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_hint_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    (here / "bad.toml").write_text("[[attacker]]\nstrategy='fly'\n", "utf-8")
    (here / "many.toml").write_text("[[attacker]]\nstrategy='bypass'\ncount=500\n", "utf-8")
    options = {"--staff": "120", "--days": "3", "-o": "out"} | dict([words])
    assert main(["simulate", "carrier", *(word for pair in options.items() for word in pair)]) == code
    error = capsys.readouterr().err.splitlines()
    assert said in error[0]
    assert not (here / "out").exists()


def test_ctrl_c_leaves_whole_days_and_their_truth(here: Path) -> None:
    words = [sys.executable, "-c", "import sys; from parcelveil.cli import main; sys.exit(main(sys.argv[1:]))"]
    options = ["simulate", "carrier", "--staff", "150", "--days", "300", "--attackers", "demo", "-o", "out"]
    process = subprocess.Popen([*words, *options], stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        access = here / "out" / "access"
        limit = time.monotonic() + 60
        while len(list(access.glob("*.parquet"))) < 3 and time.monotonic() < limit:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    days = sorted(path.stem for path in access.iterdir())
    assert 3 <= len(days) < 300
    assert f"{len(days)} whole days" in said
    for folder in ("work", "keyuse", "web"):
        assert sorted(path.stem for path in (here / "out" / folder).iterdir()) == days
    for path in access.iterdir():
        assert pq.read_table(path).num_rows
    assert pq.read_table(here / "out" / "truth" / "attackers.parquet").num_rows == 3
