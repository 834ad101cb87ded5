"""``parcelveil watch``: cases out of files, in words, kept once, decided on record, and nothing personal in any of it."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from cli.conftest import Desk
from cli.watch_files import WALK, WALKER, office
from parcelveil.adapt.webhook import IDEMPOTENCY_KEY, SIGNATURE, verify

SECRET = "a secret of some length, in one line"
RUN = ("watch", "run", "access", "--work", "work", "--accounts", "accounts.csv")


@pytest.fixture
def place(desk: Desk) -> Desk:
    office(desk.folder)
    return desk


def facts(desk: Desk, *words: str, code: int = 0) -> Any:
    ran = desk.run(*words, "--json")
    assert ran.code == code, ran.err
    return json.loads(ran.out)


def entries(desk: Desk) -> list[dict[str, Any]]:
    return [
        one for line in desk.run("audit", "export").out.splitlines() if (one := json.loads(line))["kind"] == "watch"
    ]


def test_t1_a_walk_through_numbers_is_one_case_with_reasons_and_rows(place: Desk) -> None:
    ran = place.run(*RUN, "-o", "cases.jsonl")
    assert ran.code == 0, ran.err
    assert WALKER in ran.text and "numbers one after the other" in ran.text
    assert "480 looks and 360 work events of 3 days" in ran.err and "6 of 7 accounts are left in peace" in ran.err
    (case,) = [json.loads(line) for line in Path("cases.jsonl").read_text("utf-8").splitlines()]
    assert (case["actor"], case["outlet"]) == (WALKER, "021007")
    assert 60 <= case["unexplained"] == case["looks"] <= 120 and case["lost"] <= 62, "as known when it was told"
    assert len(case["rows"]) == 50
    assert {row["why"] for row in case["rows"]} == {"no-work"}
    assert stat.S_IMODE(Path("cases.jsonl").stat().st_mode) == 0o600
    told = place.run("watch", "explain", case["uid"][:8])
    assert told.code == 0
    for text in (
        f"{case['looks']} of {case['looks']} looks have no route, scan, call or ticket",
        "what would explain it:",
        "no work at this parcel",
        "PC-9",
    ):
        assert text in told.text, text


def test_t2_no_output_names_a_parcel(place: Desk) -> None:
    assert place.run(*RUN, "-o", "c.jsonl", "-o", "c.ocsf.jsonl", "--charts", "charts").code == 0
    place.run("watch", "explain", json.loads(Path("c.jsonl").read_text("utf-8"))["uid"], "--json")
    place.run("watch", "cases", "--json")
    files = [Path("c.jsonl"), Path("c.ocsf.jsonl"), *Path("charts").iterdir()]
    said = b"".join([*place.said, *(file.read_bytes() for file in files)])
    state = b"".join(file.read_bytes() for file in Path("acme").rglob("*") if file.is_file())
    looked = [number for file in Path("access").iterdir() for number in pq.read_table(file)["waybill_no"].to_pylist()]
    assert len(files) == 3 and len(looked) == 480
    for number in looked:
        assert number.encode() not in said and number.encode() not in state, number
    ElementTree.fromstring(files[2].read_text("utf-8"))


def test_the_same_files_again_change_nothing(place: Desk) -> None:
    first = facts(place, *RUN)
    again = facts(place, *RUN)
    assert first["new_or_changed"] == 1 and again["new_or_changed"] == 0
    assert [one["uid"] for one in first["cases"]] == [one["uid"] for one in again["cases"]]
    logged = entries(place)
    assert [(one["action"], one.get("opened", 0), one["accesses"]) for one in logged] == [
        ("finished", 1, 480), ("finished", 0, 480),
    ]  # fmt: skip
    line = "{uid}:{revision}\n".format(**first["cases"][0])
    assert logged[0]["alerts"] == hashlib.sha256(line.encode()).hexdigest() and "alerts" not in logged[1]


def test_a_decision_is_kept_and_logged_and_a_later_run_leaves_it(place: Desk) -> None:
    uid = facts(place, *RUN)["cases"][0]["uid"]
    done = place.run("watch", "decide", uid[:6], "--harmless", "--note", "own-task")
    assert done.code == 0 and f"case {uid} is harmless" in done.err
    assert facts(place, *RUN)["cases"][0]["state"] == "harmless"
    assert "harmless (own-task)" in place.run("watch", "cases").text
    assert place.run("watch", "cases", "--state", "open").err == "no cases\n"
    entry = entries(place)[1]
    assert (entry["action"], entry["case"], entry["state"], entry["note"]) == ("decided", uid, "harmless", "own-task")
    assert place.run("watch", "decide", uid, "--reopen").code == 0
    assert facts(place, "watch", "cases")[0]["state"] == "open"
    assert place.run("audit", "verify").code == 0


def test_a_chart_is_drawn_into_a_file(place: Desk) -> None:
    uid = facts(place, *RUN)["cases"][0]["uid"]
    assert place.run("watch", "explain", uid, "-o", "case.svg").code == 0
    assert WALKER in Path("case.svg").read_text("utf-8")
    place.run("watch", "explain", uid, "-o", "case.svg").refused(6, "exists already")


def test_without_a_store_no_workspace_is_needed_and_nothing_is_kept(
    place: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARCELVEIL_WORKSPACE")
    monkeypatch.delenv("PARCELVEIL_PASSPHRASE")
    before = place.names()
    one, other = (facts(place, *RUN, "--no-store")["cases"][0]["uid"] for _ in range(2))
    assert one != other, "pseudonyms are good for one run"
    assert place.names() == before


def test_the_words_are_chinese_where_the_person_is(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    ran = place.run(*RUN, "-o", "cases.jsonl")
    assert "按单号顺序逐个查询" in ran.text and "个账号未受打扰" in ran.err
    assert "没有派件" in json.loads(Path("cases.jsonl").read_text("utf-8"))["words"]["title"]
    told = place.run("watch", "explain", json.loads(Path("cases.jsonl").read_text("utf-8"))["uid"]).text
    assert "什么可以解释" in told and "what would explain" not in told


# -- webhook --------------------------------------------------------------------------------------------------------


class Soc:
    """A receiver on this machine."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        soc = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                soc.got.append((dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(soc.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def words(self) -> tuple[str, ...]:
        return ("--webhook", f"http://127.0.0.1:{self.server.server_address[1]}/hook", "--secret-file", "soc.key")


@pytest.fixture
def soc(place: Desk) -> Iterator[Soc]:
    key = place.folder / "soc.key"
    key.write_text(SECRET + "\n", "utf-8")
    key.chmod(0o600)
    one = Soc()
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_a_case_is_sent_signed_and_once(place: Desk, soc: Soc) -> None:
    case = facts(place, *RUN, *soc.words)["cases"][0]
    uid, revision = case["uid"], case["revision"]
    place.run(*RUN, *soc.words)
    ((headers, body),) = soc.got
    assert headers[IDEMPOTENCY_KEY] == f"{uid}:{revision}"
    assert verify(SECRET.encode(), headers[SIGNATURE], body, now=time.time())
    assert json.loads(body)["actor"] == WALKER and json.loads(body)["words"]["reasons"]
    place.run("watch", "decide", uid, "--harvest", *soc.words)
    assert [one[0][IDEMPOTENCY_KEY] for one in soc.got] == [f"{uid}:{revision}", f"{uid}:{revision + 1}"]
    assert SECRET.encode() not in b"".join(place.said)


def test_what_the_webhook_did_not_take_is_sent_by_the_next_run(place: Desk, soc: Soc) -> None:
    soc.status = 503
    ran = place.run(*RUN, *soc.words, "--patience", "0")
    assert ran.code == 0 and "1 cases wait for the webhook" in ran.err
    soc.status = 204
    time.sleep(2.1)  # the first wait
    assert place.run(*RUN, *soc.words, "--patience", "5").code == 0
    assert len({headers[IDEMPOTENCY_KEY] for headers, _ in soc.got}) == 1 and len(soc.got) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("watch", "run"), 2, "which looks"),
        (("watch", "run", "access"), 2, "without work events"),
        ((*RUN, "-o", "cases.txt"), 2, "does not say what it shall hold"),
        ((*RUN, "--false-cases-per-day", "0"), 2, "--false-cases-per-day"),
        ((*RUN, "--webhook", "https://soc.example.com/"), 2, "no secret"),
        ((*RUN, "--secret-file", "accounts.csv"), 2, "no webhook"),
        ((*RUN, "--webhook", "http://soc.example.com/x", "--secret-file", "soc.key"), 2, "only be on this machine"),
        ((*RUN, "--webhook", "https://soc.example.com/", "--secret-file", "open.key"), 2, "others may read"),
        ((*RUN, "--webhook", "https://soc.example.com/", "--secret-file", "soc.key", "--no-store"), 2, "queue"),
        (("watch", "run", "nowhere", "--work", "work"), 3, "nowhere"),
        ((*RUN, "--rules", "accounts.csv"), 3, "accounts.csv"),
        (("watch", "explain", "zzzz"), 2, "names no case"),
        (("watch", "explain", "5eed5eed"), 3, "no case"),
        (("watch", "decide", "5eed5eed"), 2, "what was it"),
        (("watch", "decide", "5eed5eed", "--harvest", "--harmless"), 2, "what was it"),
        (("watch", "decide", "5eed5eed", "--harmless", "--note", "because"), 2, "no note"),
        (("watch", "cases", "--state", "guilty"), 2, "no state"),
        (("watch", "cases", "--since", "yesterday"), 2, "not a day"),
        (("watch", "cases", "--most", "0"), 2, "--most"),
        (("watch", "follow", "access", "--work", "work"), 2, "not for following"),
        (("watch", "follow", "nowhere"), 3, "nowhere"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(
    place: Desk, soc: Soc, words: tuple[str, ...], code: int, said: str
) -> None:
    (place.folder / "open.key").write_text(SECRET, "utf-8")
    (place.folder / "open.key").chmod(0o644)
    place.run(*words).refused(code, said)


def test_half_a_parquet_file_is_named(place: Desk) -> None:
    path = Path("access/2026-11-03.parquet")
    path.write_bytes(path.read_bytes()[:2000])
    place.run(*RUN).refused(3, "2026-11-03.parquet")
    assert place.run("watch", "cases").err == "no cases\n", "and nothing is kept of the rest"


def test_days_without_work_are_told(place: Desk) -> None:
    Path("work/2026-11-03.parquet").unlink()
    ran = place.run(*RUN)
    assert ran.code == 0 and "1 days have looks and no work event: 2026-11-03" in ran.err


def test_budgets_are_compared_and_nothing_is_kept(place: Desk) -> None:
    found = facts(place, "watch", "tune", "access", "--work", "work", "--budget", "1", "--budget", "100")
    assert [(one["budget"], one["cases"]) for one in found["budgets"]] == [(1.0, 1), (100.0, 1)]
    assert found["cases"][0]["actor"] == WALKER and found["cases"][0]["from_budget"] == 1.0
    assert found["budgets"][0]["by_role_and_week"] == {"clerk": [1]}
    text = place.run("watch", "tune", "access", "--work", "work", "--no-store").text
    assert "which would go first" in text and WALKER in text
    assert place.run("watch", "cases").err == "no cases\n" and not entries(place)


def test_a_folder_is_followed_and_gives_the_same_case_as_its_files(place: Desk) -> None:
    facts(place, *RUN)
    (known,) = facts(place, "watch", "cases")
    state = Path("acme/watch-follow.json")
    drop = Path("drop")
    drop.mkdir()
    for folder in ("access", "work"):
        Path(folder).rename(drop / folder)

    def end() -> None:
        until = time.monotonic() + 60
        while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL or not state.exists():
            if time.monotonic() > until:
                return  # and the test's own time runs out
            time.sleep(0.05)
        time.sleep(2)  # a poll or two
        os.kill(os.getpid(), signal.SIGTERM)

    for again in (False, True):
        Path("f.jsonl").unlink(missing_ok=True)
        ender = threading.Thread(target=end)
        ender.start()
        ran = place.run("watch", "follow", "drop", "--accounts", "accounts.csv", "--json", "-o", "f.jsonl")
        ender.join()
        assert ran.code == 0, ran.err
        told = json.loads(ran.out)
        (kept,) = facts(place, "watch", "cases")
        # A stream does not name the work behind a look; all else is the same to the bit.
        assert {**kept, "revision": 0} == {**known, "revision": 0}
        if not again:
            assert (told["looks"], told["works"]) == (480, 360)
            assert entries(place)[-1]["action"] == "stopped" and entries(place)[-1]["accesses"] == 480
        assert (
            told["told"] == (0 if again else 1) and len(Path("f.jsonl").read_text("utf-8").splitlines()) == told["told"]
        )


def test_lines_on_standard_input_are_followed_to_their_end(place: Desk) -> None:
    rows = [
        row
        for folder in ("work", "access")
        for file in sorted(Path(folder).iterdir())
        for row in pq.read_table(file).to_pylist()
    ]
    rows.sort(key=lambda row: (row["received_at"], "biz_step" not in row))
    lines = "".join(json.dumps({k: v for k, v in row.items() if v is not None}, default=str) + "\n" for row in rows)
    ran = place.run("watch", "follow", "-", "--accounts", "accounts.csv", stdin=lines.encode())
    assert ran.code == 0 and "480 looks and 360 work events" in ran.err, ran.err
    uid = facts(place, "watch", "cases")[-1]["uid"]
    assert uid in [one["uid"] for one in facts(place, *RUN)["cases"]]


def test_t10_values_opened_beside_the_log_are_a_case_of_the_system(place: Desk) -> None:
    hours = [datetime(2026, 11, 2, tzinfo=UTC) + timedelta(hours=n) for n in range(24 * 6)]
    lines = ["hour,system,values,logged"]
    for place_of, hour in enumerate(hours):
        logged = 200 if hour.hour in range(1, 12) else 2
        lines += [
            f"{hour.isoformat()},kms-1,{logged + 900 * (place_of == 100)},{logged}",
            f"{hour.isoformat()},kms-2,5,5",
        ]
    Path("keyuse.csv").write_text("\n".join(lines) + "\n", "utf-8")
    ran = place.run("watch", "run", "--key-use", "keyuse.csv", "-o", "cases.jsonl")
    assert ran.code == 0, ran.err
    (case,) = [json.loads(line) for line in Path("cases.jsonl").read_text("utf-8").splitlines()]
    assert (case["actor"], case["severity"], case["reasons"][0]["value"]) == ("system:kms-1", "critical", 900)
    assert "values opened and looks logged do not agree" in ran.text


def test_t8_a_look_at_a_decoy_is_a_case_at_once(place: Desk) -> None:
    Path("lines.txt").write_text("16400000001\n16400000002\n", "utf-8")
    ran = place.run(
        "decoy", "plant", f"{WALK[0]}-{WALK[-1]}", "--rate", "0.5", "--phones", "lines.txt", "-o", "decoys.parquet"
    )
    assert ran.code == 0, ran.err
    assert facts(place, *RUN)["cases"][0]["severity"] == "critical"
    (case,) = facts(place, "watch", "cases")
    first = next(reason for reason in case["reasons"] if reason["name"] == "decoy")
    assert first["time"] == case["opened_at"] and case["lost"] < 20, "among the first numbers of the walk"
    assert "a waybill was looked at that belongs to no parcel" in place.run("watch", "explain", case["uid"]).text
