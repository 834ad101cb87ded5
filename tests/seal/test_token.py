"""Tokens for labels: their bytes, what opens, and that nothing else does."""

from __future__ import annotations

import base64
import doctest
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt import key_file
from parcelveil.errors import EpochError, KeyAccessError
from parcelveil.seal import kernel, meter, token
from parcelveil.seal.passes import write_base32
from parcelveil.seal.token import BUCKETS, LONGEST, MAX_NUMBER, LabelKey, LabelKeys, Token, read
from parcelveil.simulate.parcels import parcels
from parcelveil.waybill import LABEL_TOKEN, SEALED, WAYBILL, kind_of, sealed_schema
from parcelveil.workspace import Settings, Workspace
from seal import token_example as example

KEY = LabelKey(example.SECRET, example.TENANT, example.PERIOD)
NUMBER = "YT0000000000001"
PASSPHRASE = "correct horse"


def text_of(number: str, key: LabelKey = KEY) -> str:
    text: str = key.tokens(pa.array([number], pa.string()))[0].as_py()
    return text


def bytes_of(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


def as_text(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=")


def opened(text: object, key: LabelKey = KEY) -> str | None:
    return key.number_of(read(text))


# -- the format ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", example.NUMBERS)
def test_the_worked_examples(number: str) -> None:
    facts = example.token(number)
    assert text_of(number) == facts["text"]
    assert bytes_of(text_of(number)) == facts["token"]
    assert KEY._context == facts["context"]
    assert opened(facts["text"]) == number


def test_the_document_has_these_examples() -> None:
    page = (Path(__file__).parents[2] / "docs" / "format" / "label-token.md").read_text("utf-8")
    shown = page.split("<!-- worked examples -->\n", 1)[1].split("<!-- /worked examples -->", 1)[0]
    assert shown == f"```\n{example.document()}\n```\n"


@pytest.mark.parametrize("module", [token, meter], ids=lambda module: module.__name__)
def test_what_the_docstrings_show_is_so(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert (results.failed, results.attempted > 2) == (0, True)


def test_sizes() -> None:
    assert kernel.BUCKETS[: len(BUCKETS)].tolist() == BUCKETS.tolist() == example.BUCKETS
    assert [len(text_of("x" * n)) for n in (0, 1, 15, 16, 31, 32, 47, 48)] == [58, 58, 58, 84, 84, 109, 109, 135]
    assert len(bytes_of(text_of("x" * 15))) == 36
    assert len(text_of("x" * MAX_NUMBER)) == LONGEST
    assert opened(text_of("字" * 64)) == "字" * 64  # as long as the desk takes, and
    assert opened(text_of("\U0001f4e6" * 64)) == "\U0001f4e6" * 64  # four bytes each
    # QR version 3 with error correction M holds 61 characters of this kind.
    assert set(text_of(NUMBER)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


@given(st.lists(st.one_of(st.none(), st.text(max_size=80)), max_size=12), st.integers(200001, 999912))
def test_any_column_equals_the_package_value_by_value(numbers: list[str | None], period: int) -> None:
    key = LabelKey(b"s" * 40, "a-tenant", period)
    tokens = key.tokens(pa.array(numbers, pa.string()))
    assert tokens.type == pa.string()
    expected = [None if n is None else example.token(n, b"s" * 40, "a-tenant", period)["text"] for n in numbers]
    assert tokens.to_pylist() == expected
    assert [opened(text, key) for text in expected] == numbers
    sliced = key.tokens(pa.array(["before", *numbers, "after"], pa.string()).slice(1, len(numbers)))
    assert sliced.to_pylist() == expected


def test_a_hundred_thousand_numbers_equal_the_package_and_are_unique() -> None:
    numbers = [f"YT{i:0{8 + i % 11}}" for i in range(100_000)]
    tokens = KEY.tokens(pa.array(numbers)).to_pylist()
    info = b"parcelveil v1 label token\0acme\x00202611"
    cipher = AESSIV(HKDF(SHA256(), 64, salt=None, info=info).derive(example.SECRET))
    context = bytes(example.token("x")["context"])  # type: ignore[arg-type]
    for number, text in zip(numbers[::97], tokens[::97], strict=True):
        value = number.encode() + b"\x80"
        padded = value + bytes(-len(value) % 16)
        assert text == as_text(b"\x01" + (202611).to_bytes(3, "big") + cipher.encrypt(padded, [context]))
    assert len(set(tokens)) == len(numbers)
    tags = {bytes_of(text)[4:20] for text in tokens}
    assert len(tags) == len(numbers)  # 128 bits that anybody would have to guess


@settings(deadline=None)  # the first one may have to be compiled
@given(st.binary(min_size=36, max_size=36) | st.binary(min_size=1, max_size=90))
def test_base32_is_the_librarys(value: bytes) -> None:
    rows = np.frombuffer(value * 3, np.uint8).reshape(3, -1)
    expected = as_text(value)
    size = len(expected)
    out = np.full(3 * size + 4, 7, np.uint8)
    write_base32(out, np.array([2, 2 + size, 2 + 2 * size], np.int32), rows)
    assert out.tobytes() == b"\7\7" + expected.encode() * 3 + b"\7\7"


def test_nothing_of_the_number_is_in_it_and_no_two_share_a_beginning() -> None:
    one, other = (bytes_of(text_of(f"YT000000000000{i}")) for i in (1, 2))
    assert one[:4] == other[:4]
    assert sum(a == b for a, b in zip(one[4:], other[4:], strict=True)) < 6  # 32 random bytes: 6 is one in 200,000
    assert "YT0" not in text_of(NUMBER)
    assert NUMBER.encode() not in one
    assert text_of(NUMBER) == text_of(NUMBER)  # a pipeline that runs twice writes the same


# -- what does not open --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["YT1", "S" * 20])
def test_every_single_bit_flip_is_rejected(number: str) -> None:
    data = bytes_of(text_of(number))
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert opened(as_text(bytes(flipped))) is None, bit


def test_every_other_character_is_rejected() -> None:
    text = text_of(NUMBER)
    for place in range(len(text)):
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567":
            if other != text[place]:
                assert opened(text[:place] + other + text[place + 1 :]) is None


def test_the_bits_behind_the_last_byte_have_to_be_zero() -> None:
    for number, spare in (("x" * 15, 2), ("x" * 16, 4), ("x" * 32, 1), ("x" * 48, 3)):
        text = text_of(number)
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".index(text[-1])
        assert last % (1 << spare) == 0
        for more in range(1, 1 << spare):
            other = text[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[last + more]
            assert bytes_of(other) == bytes_of(text)  # the library reads both alike
            assert opened(other) is None


@pytest.mark.parametrize("change", [str.lower, str.title, str.swapcase, "  {}\r\n".format, "\t{}\f".format])
def test_case_and_blanks_at_the_ends_do_not_count(change: object) -> None:
    assert opened(change(text_of(NUMBER))) == NUMBER  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "A",
        "A" * 58,
        "AE" + "A" * 56,
        "=" * 58,
        text_of(NUMBER)[:-1],
        text_of(NUMBER) + "A",
        text_of(NUMBER) + "======",
        text_of(NUMBER)[:29] + " " + text_of(NUMBER)[29:],
        text_of(NUMBER)[:29] + "-" + text_of(NUMBER)[30:],
        text_of(NUMBER).replace("O", "0"),
        text_of(NUMBER).replace("S", "ſ"),  # its upper case is an S
        text_of(NUMBER).replace("A", "Ａ"),
        "\u00a0" + text_of(NUMBER),
        text_of(NUMBER) + "\0",
        "\ud800" * 58,
        "8" * 58,
        "A" * 10_000_000,
        " " * 10_000_000 + text_of(NUMBER),
        "https://example.org/" + text_of(NUMBER),
        NUMBER,
        None,
        7,
        text_of(NUMBER).encode(),
        [text_of(NUMBER)],
    ],
)
def test_what_is_no_token_opens_to_nothing(text: object) -> None:
    assert opened(text) is None


@given(st.text() | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=58, max_size=58) | st.binary().map(as_text))
def test_no_text_raises_or_opens(text: str) -> None:
    assert opened(text) is None


@given(st.binary(min_size=32, max_size=400))
def test_no_bytes_behind_a_right_head_raise_or_open(body: bytes) -> None:
    assert opened(as_text(bytes_of(text_of(NUMBER))[:4] + body)) is None


def test_t8_a_token_of_another_tenant_month_or_secret_is_rejected() -> None:
    text = text_of(NUMBER)
    assert opened(text, LabelKey(example.SECRET, "rival", 202611)) is None
    assert opened(text, LabelKey(bytes(32), "acme", 202611)) is None
    assert opened(text, LabelKey(example.SECRET, "acme", 202612)) is None
    moved = as_text(b"\x01" + (202612).to_bytes(3, "big") + bytes_of(text)[4:])
    assert opened(moved, LabelKey(example.SECRET, "acme", 202612)) is None
    # One and the same secret in two months is no secret that the ring makes; even so the month is bound.
    later = LabelKey(example.SECRET, "acme", 202612)
    later._one, later._context = KEY._one, later._context
    assert later.number_of(read(moved)) is None
    tokens = {
        text_of(NUMBER, LabelKey(example.SECRET, tenant, p)) for tenant in ("acme", "acm") for p in (202611, 202612)
    }
    assert len(tokens) == 4


def test_what_only_the_keys_holder_could_make_is_rejected_too() -> None:
    head = bytes_of(text_of(NUMBER))[:4]
    padded = [
        bytes(16),  # no mark
        b"YT1\x80" + bytes(28),  # a longer bucket than it takes
        b"YT1\x80\x00\x01" + bytes(10),  # something behind the mark
        b"\xff\xfe\x80" + bytes(13),  # no UTF-8
        b"x" * 16,
        b"YT1\x80" + bytes(13),  # no whole block
    ]
    for value in padded:
        assert opened(as_text(head + KEY._one.encrypt(value, [KEY._context]))) is None
    assert opened(as_text(head + KEY._one.encrypt(b"YT1\x80" + bytes(12), [KEY._context]))) == "YT1"


def test_tags_are_compared_by_the_library() -> None:
    """Its AES-SIV compares in constant time; there is no comparison of our own that could leak."""
    assert isinstance(KEY._one, AESSIV)
    assert KEY.number_of(Token(202611, bytes(32))) is None
    assert KEY.number_of(None) is None
    assert repr(KEY) == "<LabelKey 202611>"
    assert not hasattr(KEY, "_secret")


# -- in the sealed batch -------------------------------------------------------------------------------------


def test_the_column_is_declared_last_and_is_not_personal() -> None:
    assert SEALED.names[-1] == LABEL_TOKEN == sealed_schema(WAYBILL, "acme").names[-1]
    assert SEALED.field(LABEL_TOKEN).type == pa.string()
    assert kind_of(SEALED.field(LABEL_TOKEN)) is None
    assert kernel.clear_schema(SEALED).names == WAYBILL.names
    assert sealed_schema(kernel.clear_schema(SEALED)).names == SEALED.names


def test_numbers_that_are_too_long_get_no_token_and_are_sealed_all_the_same() -> None:
    tokens = KEY.tokens(pa.array(["x" * MAX_NUMBER, "x" * (MAX_NUMBER + 1), "字" * 128, None, "YT1"]))
    assert [t is None for t in tokens.to_pylist()] == [False, True, True, True, False]


def test_a_month_without_key_is_an_error_not_another_months_token() -> None:
    days = np.array([20780, 20780 + 31], np.int32)
    numbers = pa.array(["YT1", "YT2"])
    with pytest.raises(EpochError, match="202612"):
        LabelKeys({202611: KEY}).tokens(numbers, days)
    both = LabelKeys({202611: KEY, 202612: LabelKey(example.SECRET, "acme", 202612)})
    mixed = both.tokens(numbers.take(pa.array([1, 0])), days[::-1].copy())
    assert [read(text).period for text in mixed.to_pylist()] == [202612, 202611]  # type: ignore[union-attr]
    assert opened(mixed[1].as_py()) == "YT1"
    assert len(both.tokens(pa.array([], pa.string()), days[:0])) == 0


# -- the key ring --------------------------------------------------------------------------------------------


class Clock:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "acme"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_file, "_SCRYPT_N", 1 << 8)
        Workspace.init(folder, Settings(tenant="acme"), PASSPHRASE, Clock())
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "acme"))


def reopen(folder: Path) -> Workspace:
    return Workspace.open(folder, lambda: PASSPHRASE, Clock())


def seal(workspace: Workspace, batch: pa.RecordBatch) -> pa.RecordBatch:
    days = kernel.days_of(batch, 480, workspace.ring.today())
    return kernel.seal_batch(batch, workspace.ring.seal_keys(np.unique(days).tolist()))


def waybills(count: int, *days: date) -> pa.RecordBatch:
    batch = next(parcels(count, seed=4))
    times = [datetime(d.year, d.month, d.day, 4, tzinfo=UTC) for d in days]
    place = batch.schema.get_field_index("created_at")
    moments = pa.array([times[i % len(times)] for i in range(count)], batch.schema.field(place).type)
    return batch.set_column(place, batch.schema.field(place), moments)


def rows_of(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(folder / "state.db")) as db:
        return sorted(db.execute("SELECT purpose, period FROM pseudonym_key").fetchall())


def test_the_ring_opens_what_it_sealed_in_any_month(folder: Path) -> None:
    with reopen(folder) as workspace:
        batch = waybills(60, date(2026, 9, 30), date(2026, 10, 1), date(2026, 11, 23))
        sealed = seal(workspace, batch)
        assert sealed.schema.equals(sealed_schema(WAYBILL, "acme"), check_metadata=True)
        assert [workspace.ring.open_token(text) for text in sealed[LABEL_TOKEN].to_pylist()] == batch[
            "waybill_no"
        ].to_pylist()
        assert workspace.ring.periods("label") == [202609, 202610, 202611]
        assert sealed[LABEL_TOKEN] == seal(workspace, batch)[LABEL_TOKEN]
    with reopen(folder) as workspace:  # and so does the next process
        assert workspace.ring.open_token(sealed[LABEL_TOKEN][0].as_py()) == batch["waybill_no"][0].as_py()


def test_the_month_is_that_of_the_local_day(folder: Path) -> None:
    batch = waybills(2, date(2026, 10, 31))
    place = batch.schema.get_field_index("created_at")
    late = [datetime(2026, 10, 31, 15, 59, tzinfo=UTC), datetime(2026, 10, 31, 16, 0, tzinfo=UTC)]
    batch = batch.set_column(place, batch.schema.field(place), pa.array(late, batch.schema.field(place).type))
    with reopen(folder) as workspace:
        tokens = seal(workspace, batch)[LABEL_TOKEN].to_pylist()
    assert [read(text).period for text in tokens] == [202610, 202611]  # type: ignore[union-attr]


def test_an_unknown_month_makes_no_key(folder: Path) -> None:
    with reopen(folder) as workspace:
        seal(workspace, waybills(2, date(2026, 11, 23)))
        before = rows_of(folder)
        for period in (0, 202610, 202612, 202613, 0xFFFFFF):
            assert workspace.ring.open_token(as_text(b"\x01" + period.to_bytes(3, "big") + bytes(32))) is None
        assert workspace.ring.open_token("") is None
        assert rows_of(folder) == before
        assert ("label", 202611) in before
        assert workspace.ring.periods("label") == [202611]


def test_t7_destroying_a_month_kills_its_tokens_in_every_process(folder: Path) -> None:
    batch = waybills(40, date(2026, 9, 15), date(2026, 11, 20))
    with reopen(folder) as workspace, reopen(folder) as other:
        tokens = seal(workspace, batch)[LABEL_TOKEN].to_pylist()
        other.ring.refresh()
        assert None not in [other.ring.open_token(text) for text in tokens]
        shutil.copytree(folder, folder.with_name("backup"))
        workspace.ring.destroy_before(date(2026, 10, 1))
        other.ring.refresh()
        for ring in (workspace.ring, other.ring):
            assert [ring.open_token(text) is None for text in tokens] == [i % 2 == 0 for i in range(40)]
            assert ring.periods("label") == [202611]
            with pytest.raises(EpochError):
                ring.secret("label", 202609)
    with closing(sqlite3.connect(folder / "state.db")) as db:
        query = "SELECT wrapped_key, destroyed_at <> '' FROM pseudonym_key WHERE purpose = 'label' AND period = 202609"
        assert db.execute(query).fetchall() == [(b"", 1)]
    # A copy of the state from before is of no use with today's keys.
    shutil.copy(folder / "kek.key", folder.with_name("backup") / "kek.key")
    with pytest.raises(KeyAccessError), reopen(folder.with_name("backup")) as workspace:
        workspace.ring.open_token(tokens[0])


def test_rotating_the_key_and_erasing_leave_tokens_readable(folder: Path) -> None:
    batch = waybills(3, date(2026, 11, 23))
    numbers = batch["waybill_no"].to_pylist()
    with reopen(folder) as workspace:
        sealed = seal(workspace, batch)
        workspace.ring.rotate_kek()
        workspace.ring.erase([numbers[0]])
        assert [workspace.ring.open_token(t) for t in sealed[LABEL_TOKEN].to_pylist()] == numbers


def test_a_ring_from_before_there_were_tokens_gets_its_secrets_when_it_seals(folder: Path) -> None:
    batch = waybills(3, date(2026, 11, 23))
    with reopen(folder) as workspace:
        seal(workspace, batch)
    with closing(sqlite3.connect(folder / "state.db")) as db:
        db.execute("DELETE FROM pseudonym_key WHERE purpose = 'label'")
        db.commit()
    with reopen(folder) as workspace:
        assert workspace.ring.periods("label") == []
        sealed = seal(workspace, batch)
        assert workspace.ring.open_token(sealed[LABEL_TOKEN][2].as_py()) == batch["waybill_no"][2].as_py()


def test_two_tenants_with_the_same_numbers_share_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "_SCRYPT_N", 1 << 8)
    batch, tokens = waybills(5, date(2026, 11, 23)), {}
    for tenant in ("acme", "rival"):
        Workspace.init(tmp_path / tenant, Settings(tenant=tenant), PASSPHRASE, Clock())
        with reopen(tmp_path / tenant) as workspace:
            tokens[tenant] = seal(workspace, batch)[LABEL_TOKEN].to_pylist()
            assert [workspace.ring.open_token(text) for text in tokens["acme"]] == (
                batch["waybill_no"].to_pylist() if tenant == "acme" else [None] * 5
            )
    assert not set(tokens["acme"]) & set(tokens["rival"])
