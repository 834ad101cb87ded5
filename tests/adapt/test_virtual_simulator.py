"""The simulated provider of virtual numbers: both shapes, limits, ends, and what its file holds."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from parcelveil.adapt import virtual_simulator
from parcelveil.adapt.virtual_simulator import LONGEST_DAYS, REST_DAYS, STEPS, VirtualSimulator
from parcelveil.errors import ProviderError
from parcelveil.ports import NumberRequest, Secret, VirtualNumber

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
PHONE, OTHER, THIRD = b"+8613812345678", b"+8613912345678", b"+8613712345678"


class Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def uptime(self) -> tuple[str, int]:
        return "", 0

    def pass_(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(clock: Clock) -> VirtualSimulator:
    return VirtualSimulator(None, clock)


def asked(clock: Clock, key: str = "k1", phone: bytes = PHONE, *, peer: bytes | None = None, days: float = 15):  # type: ignore[no-untyped-def]
    return NumberRequest(
        key=key,
        phone=Secret(phone),
        peer=None if peer is None else Secret(peer),
        model="axn-extension" if peer is None else "axb",
        expires_at=clock.now() + timedelta(days=days),
    )


def test_an_extension_reaches_a_from_anybody(provider: VirtualSimulator, clock: Clock) -> None:
    made = provider.bind(asked(clock))
    assert (made.model, made.state, made.expires_at) == ("axn-extension", "bound", START + timedelta(days=15))
    assert made.number.startswith("950130000")
    assert made.number.isdecimal()
    assert len(made.extension) == 4
    assert provider.rings(made.number, made.extension, PHONE)
    assert provider.rings(made.number, made.extension, PHONE, caller=OTHER)
    assert not provider.rings(made.number, made.extension, OTHER)
    assert not provider.rings(made.number, "0000", PHONE)
    assert not provider.rings("95013000099999", made.extension, PHONE)
    assert provider.query(made.bind_id) == made
    assert provider.query("nobody") is None


def test_axb_joins_exactly_two(provider: VirtualSimulator, clock: Clock) -> None:
    x = provider.bind(asked(clock, peer=OTHER)).number
    assert provider.rings(x, "", PHONE, caller=OTHER)
    assert provider.rings(x, "", OTHER, caller=PHONE)
    assert not provider.rings(x, "", PHONE, caller=THIRD)
    assert not provider.rings(x, "", THIRD, caller=PHONE)
    assert not provider.rings(x, "", PHONE)
    # One X serves many pairs, as long as no phone occurs twice on it, whichever side it was on.
    strangers = provider.bind(asked(clock, "k2", THIRD, peer=b"+8613600000000"))
    assert strangers.number == x
    again = [
        provider.bind(asked(clock, f"r{n}", a, peer=b)) for n, (a, b) in enumerate([(PHONE, THIRD), (THIRD, OTHER)])
    ]
    assert x not in {made.number for made in again}
    assert again[0].number != again[1].number


def test_a_pairing_number_has_so_many_pairs(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_simulator, "MOST_PAIRS", 2)
    provider = VirtualSimulator(None, clock, numbers=2)
    numbers = [provider.bind(asked(clock, f"k{n}", b"a%d" % n, peer=b"b%d" % n)).number for n in range(4)]
    assert sorted(numbers.count(x) for x in set(numbers)) == [2, 2]
    with pytest.raises(ProviderError, match="used up"):
        provider.bind(asked(clock, "k9", b"a9", peer=b"b9"))
    clock.pass_(days=16)
    provider.bind(asked(clock, "k9", b"a9", peer=b"b9"))


@pytest.mark.parametrize("peer", [None, OTHER])
def test_the_same_key_gives_the_same_binding(provider: VirtualSimulator, clock: Clock, peer: bytes | None) -> None:
    made = provider.bind(asked(clock, peer=peer))
    clock.pass_(days=1)
    assert provider.bind(asked(clock, peer=peer)) == made
    with pytest.raises(ProviderError, match="another phone"):
        provider.bind(asked(clock, phone=THIRD, peer=peer))
    provider.unbind(made.bind_id)
    anew = provider.bind(asked(clock, phone=THIRD, peer=peer))
    assert anew.bind_id != made.bind_id
    clock.pass_(days=16)
    assert provider.bind(asked(clock, peer=peer)).bind_id != anew.bind_id


def test_the_words_of_a_refusal_name_no_phone(provider: VirtualSimulator, clock: Clock) -> None:
    provider.bind(asked(clock))
    for wrong in (
        asked(clock, phone=OTHER),
        asked(clock, "k2", peer=PHONE),
        asked(clock, "k3", days=LONGEST_DAYS + 1),
        asked(clock, "k4", days=0),
        NumberRequest(key="k5", phone=Secret(PHONE), model="axb", expires_at=clock.now() + timedelta(days=1)),
        NumberRequest(key="k6", phone=Secret(PHONE), peer=Secret(OTHER), expires_at=clock.now() + timedelta(days=1)),
    ):
        with pytest.raises(ProviderError) as told:
            provider.bind(wrong)
        assert "13" not in str(told.value) + told.value.hint
        assert "138" not in repr(wrong)


def test_an_extension_of_time_is_7_15_or_30_days(provider: VirtualSimulator, clock: Clock) -> None:
    made = provider.bind(asked(clock, days=2))
    for days in STEPS:
        end = made.expires_at + timedelta(days=days)
        longer = provider.extend(made.bind_id, end)
        assert longer.expires_at == end
        assert provider.extend(made.bind_id, end) == longer  # repeated after a crash
        assert provider.extend(made.bind_id, made.expires_at) == longer  # nothing is ever shortened
        made = longer
    for days in (1, 8, 60):
        with pytest.raises(ProviderError, match="7, 15, 30"):
            provider.extend(made.bind_id, made.expires_at + timedelta(days=days))
    assert provider.query(made.bind_id) == made


def test_what_has_ended_rings_nowhere_and_is_not_extended(provider: VirtualSimulator, clock: Clock) -> None:
    first, second = provider.bind(asked(clock, days=1)), provider.bind(asked(clock, "k2", OTHER))
    clock.pass_(days=1)
    provider.unbind(second.bind_id)
    provider.unbind(second.bind_id)
    provider.unbind("nobody")
    for made, phone, state in ((first, PHONE, "expired"), (second, OTHER, "unbound")):
        assert not provider.rings(made.number, made.extension, phone)
        found = provider.query(made.bind_id)
        assert found is not None
        assert found.state == state
        with pytest.raises(ProviderError, match="has ended"):
            provider.extend(made.bind_id, made.expires_at + timedelta(days=7))


def test_extensions_are_used_up_and_rest_before_somebody_else_gets_them(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_simulator, "_EXTENSIONS", 5)
    provider = VirtualSimulator(None, clock, numbers=2)
    made = [provider.bind(asked(clock, f"k{n}")) for n in range(10)]
    assert len({(one.number, one.extension) for one in made}) == 10
    with pytest.raises(ProviderError, match="used up"):
        provider.bind(asked(clock, "one more"))
    provider.unbind(made[3].bind_id)
    with pytest.raises(ProviderError, match="used up"):
        provider.bind(asked(clock, "one more"))
    clock.pass_(days=REST_DAYS, seconds=1)
    anew = provider.bind(asked(clock, "one more", OTHER))
    assert (anew.number, anew.extension) == (made[3].number, made[3].extension)
    assert provider.query(made[3].bind_id) is None
    assert not provider.rings(anew.number, anew.extension, PHONE)


def files(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in path.parent.iterdir())


def test_t10_the_simulators_file_holds_no_phone_and_is_its_owners(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "numbers.db"
    provider = VirtualSimulator(path, clock)
    made = [provider.bind(asked(clock)), provider.bind(asked(clock, "k2", PHONE, peer=OTHER))]
    held = files(path)
    for phone in (PHONE, OTHER):
        assert phone not in held
        assert phone.removeprefix(b"+86") not in held
        assert phone[-8:] not in held
    assert made[0].bind_id.encode() in held  # the search itself works
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    assert repr(provider) == f"<VirtualSimulator {path}>"
    provider.close()
    again = VirtualSimulator(path, clock)
    assert again.rings(made[0].number, made[0].extension, PHONE)
    kept = [row[0] for row in again._db.execute("SELECT a FROM binding UNION SELECT b FROM binding WHERE b <> x''")]
    assert {len(one) for one in kept} == {32}
    for one in made:
        again.unbind(one.bind_id)
    assert {row for row in again._db.execute("SELECT a, b FROM binding")} == {(b"", b"")}
    again.close()


def test_two_bindings_of_a_phone_look_unlike(tmp_path: Path, clock: Clock) -> None:
    provider = VirtualSimulator(tmp_path / "numbers.db", clock)
    for n in range(3):
        provider.bind(asked(clock, f"k{n}"))
    for n in range(3):
        provider.bind(asked(clock, f"x{n}", PHONE, peer=OTHER))
    kept = [one for row in provider._db.execute("SELECT a, b FROM binding") for one in row if one]
    assert len(kept) == len(set(kept)) == 9


def test_what_was_answered_survives_kill_9(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "numbers.db"
    script = (
        "import sys\nfrom datetime import timedelta\nfrom pathlib import Path\n"
        "from adapt.test_virtual_simulator import Clock, asked\n"
        "from parcelveil.adapt.virtual_simulator import VirtualSimulator\n"
        "clock = Clock()\nprovider = VirtualSimulator(Path(sys.argv[1]), clock)\n"
        "for n in range(10_000):\n"
        "    made = provider.bind(asked(clock, f'k{n}', b'+86138%08d' % n))\n"
        "    print(made.bind_id, made.number, made.extension, flush=True)\n"
    )
    tests = str(Path(__file__).parent.parent)
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": tests},
    )
    assert child.stdout is not None
    said = [child.stdout.readline().split() for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    said += [line.split() for line in child.stdout.read().splitlines() if len(line.split()) == 3]
    child.stdout.close()
    child.wait()
    provider = VirtualSimulator(path, clock)
    for n, (bind_id, number, extension) in enumerate(said):
        assert provider.rings(number, extension, b"+86138%08d" % n)
        assert provider.bind(asked(clock, f"k{n}", b"+86138%08d" % n)).bind_id == bind_id
    provider.close()


def test_threads_and_processes_get_different_extensions(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "numbers.db"
    made: list[tuple[str, str]] = []

    def work(provider: VirtualSimulator, name: str) -> Callable[[], None]:
        def run() -> None:
            for n in range(100):
                one = provider.bind(asked(clock, f"{name}-{n}"))
                made.append((one.number, one.extension))

        return run

    shared, own = VirtualSimulator(path, clock, numbers=1), VirtualSimulator(path, clock, numbers=1)
    threads = [threading.Thread(target=work(p, f"{n}")) for n, p in enumerate((shared, shared, own))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(made)) == 300


def test_a_file_that_is_no_database(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "numbers.db"
    path.write_bytes(b"no database at all, but long enough to look at" * 20)
    with pytest.raises(ProviderError, match="cannot use its file"):
        VirtualSimulator(path, clock)
    with pytest.raises(ProviderError, match="cannot use its file"):
        VirtualSimulator(tmp_path / "nowhere" / "numbers.db", clock)


def example() -> str:
    """The adapter that docs/virtual-numbers.md shows."""
    text = (Path(__file__).parents[2] / "docs" / "virtual-numbers.md").read_text("utf-8")
    return text.split("```python\n")[1].split("```")[0]


def test_the_documented_adapter_works(clock: Clock) -> None:
    """Against a platform of its kind on this machine, with the simulator behind it."""
    clock.at = datetime.now(UTC)
    simulator, heads = VirtualSimulator(None, clock), []

    class Platform(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked_for = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heads.append(f"{self.path} {self.headers}")
            action, made = self.path.rpartition("/")[2], None
            end = datetime.fromisoformat(asked_for.get("expiration", "2026-01-01T00:00:00+00:00"))
            if action == "BindAxnExtension":
                phone = Secret(asked_for["phoneNoA"].encode())
                made = simulator.bind(NumberRequest(key=asked_for["outId"], phone=phone, expires_at=end))
            elif action == "UpdateSubscription":
                made = simulator.extend(asked_for["subsId"], end)
            elif action == "UnbindSubscription":
                simulator.unbind(asked_for["subsId"])
            elif action == "QuerySubscription":
                made = simulator.query(asked_for["subsId"])
            said = {} if made is None else {
                "subsId": made.bind_id, "secretNo": made.number, "extension": made.extension,
                "expiration": made.expires_at.isoformat(), "status": "1" if made.state == "bound" else "0",
            }  # fmt: skip
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        names: dict[str, Any] = {}
        exec(compile(example(), "example", "exec"), names)
        provider: VirtualNumber = names["Platform"](f"http://127.0.0.1:{server.server_port}", "t")
        try:
            made = provider.bind(asked(clock))
            assert provider.bind(asked(clock)) == made
            assert simulator.rings(made.number, made.extension, PHONE)
            assert made == simulator.query(made.bind_id)
            until = made.expires_at + timedelta(days=provider.steps[0])
            assert provider.extend(made.bind_id, until).expires_at == until
            provider.unbind(made.bind_id)
            ended = provider.query(made.bind_id)
            assert ended is not None
            assert ended.state == "unbound"
            assert provider.query("nobody") is None
            assert "138" not in "".join(heads)
        finally:
            server.shutdown()
            thread.join()
    with pytest.raises(ProviderError, match="did not answer BindAxnExtension") as told:
        provider.bind(asked(clock))
    assert "138" not in str(told.value)
    provider.close()


def test_the_documented_adapter_is_one_for_the_type_checker(tmp_path: Path) -> None:
    use = "\n\nfrom parcelveil.ports import VirtualNumber\n\nprovider: VirtualNumber = Platform('a', 'b')\n"
    (tmp_path / "example.py").write_text(example() + use, "utf-8")
    root = Path(__file__).parents[2]
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(root / "pyproject.toml"),
        "--cache-dir",
        str(tmp_path / "c"),
    ]
    done = subprocess.run(
        [*words, "--no-warn-return-any", str(tmp_path / "example.py")],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    assert "example.py" not in done.stdout, done.stdout


class Provider(RuleBasedStateMachine):
    """Whatever is asked, the simulator agrees with a plain dictionary about what rings."""

    keys = st.integers(0, 5)
    phones = st.integers(0, 3).map(lambda n: b"+8613%09d" % n)

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.provider = VirtualSimulator(None, self.clock, numbers=2)
        self.living: dict[int, tuple[str, str, str, bytes, datetime]] = {}

    def _sweep(self) -> None:
        self.living = {key: one for key, one in self.living.items() if one[4] > self.clock.at}

    @rule(key=keys, phone=phones, days=st.integers(1, LONGEST_DAYS))
    def bind(self, key: int, phone: bytes, days: int) -> None:
        known = self.living.get(key)
        try:
            made = self.provider.bind(asked(self.clock, f"{key}", phone, days=days))
        except ProviderError:
            assert known is not None
            assert known[3] != phone
            return
        if known is not None:
            assert (made.bind_id, made.number, made.extension, phone, made.expires_at) == known
        self.living[key] = (made.bind_id, made.number, made.extension, phone, made.expires_at)

    @rule(key=keys)
    def unbind(self, key: int) -> None:
        if key in self.living:
            self.provider.unbind(self.living.pop(key)[0])

    @rule(key=keys, days=st.sampled_from(STEPS))
    def extend(self, key: int, days: int) -> None:
        if key in self.living:
            bind_id, number, extension, phone, end = self.living[key]
            until = end + timedelta(days=days)
            assert self.provider.extend(bind_id, until).expires_at == until
            self.living[key] = (bind_id, number, extension, phone, until)

    @rule(hours=st.integers(1, 400))
    def wait(self, hours: int) -> None:
        self.clock.pass_(hours=hours)
        self._sweep()

    @invariant()
    def what_lives_rings_and_nothing_is_shared(self) -> None:
        assert len({one[1:3] for one in self.living.values()}) == len(self.living)
        for _, number, extension, phone, _ in self.living.values():
            assert self.provider.rings(number, extension, phone)
            assert not self.provider.rings(number, extension, b"+8610000000000")

    def teardown(self) -> None:
        self.provider.close()


TestProvider = Provider.TestCase
TestProvider.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
