"""What is written: the same bytes from the same seed, the promised schemas, whole days only, clear refusals."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from parcelveil.errors import OutputError, UsageError
from parcelveil.event import ACCESS, ACCOUNT, RECEIVED_AT, WORK
from parcelveil.simulate.carrier.day import Acts
from parcelveil.simulate.carrier.files import write
from parcelveil.simulate.carrier.naming import Names
from parcelveil.simulate.carrier.rows import AccessRows, KeyRows, WebRows
from parcelveil.simulate.carrier.run import Carrier

LINE = re.compile(
    r"^(\d+\.){3}\d+ - (-|\d{9}) \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0800\] "
    r'"(GET /track/[A-Z]{2}\d{13}|GET /api/v1/track\?no=[A-Z]{2}\d{13}|POST /login) HTTP/1\.1" (200|401|404) \d+ "-" "[^"]+"$'
)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("carrier")
    done = write(Carrier(5, 80, 3), folder)
    assert done.days == 3 and done.looks > 1_000 and done.work > 1_000 and done.requests > 100 and done.events_s > 0
    return folder


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(written: Path, tmp_path: Path) -> None:
    before = pa.cpu_count()
    try:
        pa.set_cpu_count(1)
        write(Carrier(5, 80, 3), tmp_path / "again")
    finally:
        pa.set_cpu_count(before)
    assert digests(written) == digests(tmp_path / "again")
    write(Carrier(6, 80, 3), tmp_path / "other")
    assert not set(digests(written).values()) & set(digests(tmp_path / "other").values())


def test_a_carrier_can_be_run_twice() -> None:
    run = Carrier(5, 60, 2)
    first, second = list(run), list(run)
    assert len(first) == len(second) == 2
    for one, other in zip(first, second, strict=True):
        assert all((one.access[name] == other.access[name]).all() for name in one.access)


def test_files_have_the_promised_schemas(written: Path) -> None:
    names = ["2026-09-01", "2026-09-02", "2026-09-03"]
    for kind, schema in (("access", ACCESS), ("work", WORK.append(RECEIVED_AT))):
        assert sorted(path.stem for path in (written / kind).iterdir()) == names
        for path in (written / kind).iterdir():
            table = pq.read_table(path)
            assert table.schema.names == schema.names
            for field in table.schema:
                wanted = schema.field(field.name)
                plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
                assert plain == wanted.type, field.name
                if not wanted.nullable:
                    assert table[field.name].null_count == 0
            received = np.asarray(table["received_at"].cast(pa.int64()))
            assert (np.diff(received) >= 0).all()
            local = received + 8 * 3_600_000_000
            assert {str(date.fromordinal(719_163 + int(day))) for day in np.unique(local // 86_400_000_000)} == {
                path.stem
            }
            assert pc.count_distinct(table["event_id"]).as_py() == table.num_rows
    accounts = pq.read_table(written / "accounts.parquet")
    assert accounts.schema.equals(ACCOUNT)
    known = set(accounts["actor"].to_pylist())
    looked = set(pq.read_table(written / "access")["actor"].to_pylist())
    assert looked and looked <= known
    assert accounts["actor"].to_pylist() == sorted(known)


def test_dictionaries_are_in_the_order_of_their_texts(written: Path) -> None:
    table = pq.read_table(written / "access" / "2026-09-02.parquet")
    for name in ("actor", "device", "outlet", "network"):
        texts = table[name].chunk(0).dictionary.to_pylist()
        assert texts == sorted(texts) and len(texts) == len(set(texts))


def test_the_log_is_in_the_combined_format(written: Path) -> None:
    lines = (written / "web" / "2026-09-02.log").read_text("ascii").splitlines()
    assert all(LINE.match(line) for line in lines)
    kinds = [" 200 ", " 404 ", " 401 ", "POST /login", "/api/v1/track", "GET /track/"]
    assert all(any(kind in line for line in lines) for kind in kinds)
    stamps = [line.split("[")[1].split("]")[0] for line in lines]
    assert stamps == sorted(stamps)
    parcels = pq.read_table(written / "work")["waybill_no"].to_pylist()
    assert 0.02 < len(lines) / len(set(parcels)) < 0.5


def test_the_counters_agree_but_for_the_edges_of_hours(written: Path) -> None:
    for path in (written / "keyuse").iterdir():
        table = pq.read_table(path)
        assert table.schema.names == ["hour", "system", "values", "logged"]
        values, logged = np.asarray(table["values"]), np.asarray(table["logged"])
        assert values.sum() == logged.sum() > 0
        assert (values != logged).any()
        assert np.abs(values - logged).sum() < 0.1 * values.sum()
        # Logged is what the looks of the day say.
        looks = pq.read_table(written / "access" / path.name)
        masks = np.asarray(looks["fields"]).astype(int) & 7
        shown = np.array([bin(mask).count("1") for mask in masks.tolist()]) * np.asarray(looks["records"]).astype(int)
        ok = np.asarray(pc.equal(looks["outcome"].cast(pa.string()), "ok"))
        assert logged.sum() == shown[ok].sum()


def test_the_world_tells_what_went_wrong(written: Path) -> None:
    world = json.loads((written / "world.json").read_text("utf-8"))
    assert world["seed"] == 5 and world["first_day"] == "2026-09-01" and world["days"] == 3
    assert world["calendar"]["outages"] and "drawn" in world
    assert "attack" not in json.dumps(world)


class Walker:
    """Looks at three parcels from a new device, calls the key service beside all logs, and asks the public page."""

    def begin(self, world) -> None:
        self.device = int(world.new_devices(1)[0])
        self.network = int(world.new_networks(1)[0])
        self.actor = int(np.flatnonzero(world.role == 1)[0])

    def act(self, day, world) -> Acts:
        when = day.midnight + 43_200_000_000 + np.arange(3) * 1_000_000
        named = {"time": when, "received": when, "actor": self.actor, "outlet": day.outlet[self.actor]}
        looks = AccessRows.of(
            3, **named, device=self.device, network=self.network, waybill=day.parcels.serial[:3], mark=np.arange(3)
        )
        web = WebRows.of(1, time=when[:1], ip=1_700_000_000, waybill=day.parcels.serial[:1], mark=7)
        return Acts(looks, web=web, keys=KeyRows.of(1, time=day.midnight, system=1, values=500))


def test_whoever_joins_in_is_merged_and_found_again_by_mark(tmp_path: Path) -> None:
    run = Carrier(5, 60, 2, attackers=[Walker()])
    marks = []

    def keep(day) -> None:
        marks.append(day.marked())
        assert (day.web["mark"] == 7).sum() == 1
        assert (day.keys["values"].sum() - day.keys["logged"].sum()) == 500

    write(run, tmp_path / "out", each=keep)
    assert [found.mark.tolist() for found in marks] == [[0, 1, 2]] * 2
    table = pq.read_table(tmp_path / "out" / "access" / "2026-09-01.parquet")
    own = table.filter(pc.is_in(table["event_id"], pa.array(marks[0].event_id)))
    assert own.num_rows == 3
    assert len(set(own["actor"].to_pylist())) == 1
    assert set(own["network"].to_pylist()) == {run.world.names.network[run.attackers[0].network]}
    assert "mark" not in table.schema.names


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        write(Carrier(5, 60, 1), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    write(Carrier(5, 60, 2), tmp_path, force=True)
    write(Carrier(5, 60, 1), tmp_path, force=True)
    assert [path.name for path in (tmp_path / "access").iterdir()] == ["2026-09-01.parquet"]
    assert (tmp_path / "mine.txt").exists()


def test_whatever_ends_a_run_files_are_whole_days(tmp_path: Path) -> None:
    def stop(day) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(Carrier(5, 60, 3), tmp_path / "out", each=stop)
    assert not list((tmp_path / "out").rglob("*.part"))
    assert [path.stem for path in (tmp_path / "out" / "access").iterdir()] == ["2026-09-01"]
    assert pq.read_table(tmp_path / "out" / "work" / "2026-09-01.parquet").num_rows > 0


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"staff": 49}, "staff"), ({"staff": 10**9}, "staff"), ({"days": 0}, "days"), ({"seed": -1}, "seed"),
        ({"offset": 900}, "offset"), ({"start": date(1980, 1, 1)}, "first day"),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Carrier(**wrong)


def test_names_do_not_repeat_and_say_nothing() -> None:
    names = Names(3)
    codes = np.arange(20_000)
    for kind in ("account", "outlet", "device", "network", "route", "ticket", "scan", "waybill"):
        texts = getattr(names, kind).of(codes).to_pylist()
        assert len(set(texts)) == len(texts), kind
        if kind not in ("waybill", "network"):
            assert len({len(text) for text in texts}) == 1
            order = np.argsort(np.argsort(texts))
            assert abs(np.corrcoef(codes, order)[0, 1]) < 0.05, kind
    subjects = names.subjects(codes)
    assert len(np.unique(subjects)) == len(codes) and subjects.min() > 0
    assert names.subjects(np.array([-1])).tolist() == [0]


@pytest.mark.parametrize("name", ["access", "work", "truth"])
def test_force_does_not_follow_a_linked_folder(tmp_path: Path, name: str) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "made"
    for one in (elsewhere, folder):
        one.mkdir()
    (elsewhere / "mine.parquet").write_bytes(b"mine")
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link"):
        write(Carrier(seed=1, staff=60, days=1), folder, force=True)
    assert [file.name for file in elsewhere.iterdir()] == ["mine.parquet"]
