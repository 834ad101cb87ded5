from __future__ import annotations

import bz2
import gzip
import io
import lzma

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt import text_input
from parcelveil.adapt.text_input import TextInput
from parcelveil.errors import EncodingError, InputError, UsageError

CHINESE = "运单号,收件人,地址\nYT1,张三丰,上海市青浦区华新镇\n" * 3
PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


class Pipe(io.BytesIO):
    """Bytes that cannot be read twice and come in small pieces."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size, 7) if size and size > 0 else size)


def everything(stream: io.BytesIO, **options) -> tuple[str, str]:
    text = TextInput("t.csv", stream, **options)
    data = b""
    while block := text.read(1 << 16):
        data += block
    return data.decode(), text.encoding


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("packed", [None, *PACK])
def test_encodings_are_told(kind, encoding: str, packed: str | None) -> None:
    data = CHINESE.encode(encoding)
    data = PACK[packed](data) if packed else data
    assert everything(kind(data)) == (CHINESE, encoding.removesuffix("-sig"))


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_chinese_after_megabytes_of_ascii(kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_input, "HEAD", 4096)
    plain = "no,name\n" + "1,Ann\n" * 2000
    for encoding in ("gb18030", "utf-8"):
        assert everything(kind((plain + CHINESE).encode(encoding))) == (plain + CHINESE, encoding)


def test_chinese_that_looks_like_utf8_at_first() -> None:
    # Two GBK characters that are valid UTF-8 by chance.
    text = "联通\n" * 2 + CHINESE
    assert everything(io.BytesIO(text.encode("gb18030"))) == (text, "gb18030")


def test_damaged_utf8_is_not_taken_for_chinese() -> None:
    data = CHINESE.encode()
    place = len(data) - 40
    with pytest.raises(EncodingError) as caught:
        everything(io.BytesIO(data[:place] + b"\xff" + data[place:]))
    assert caught.value.values["encoding"] == "utf-8"
    assert abs(int(str(caught.value.values["offset"])) - place) < 3


def test_western_text_is_not_taken_for_chinese() -> None:
    text = "name\n" + "Müller, Jörg, Hänsel, Größe\n" * 5
    with pytest.raises(EncodingError, match="encoding"):
        everything(io.BytesIO(text.encode("cp1252")))
    assert everything(io.BytesIO(text.encode("cp1252")), encoding="windows-1252") == (text, "cp1252")


def test_utf16_without_mark_gives_the_hint() -> None:
    with pytest.raises(EncodingError) as caught:
        everything(io.BytesIO("number,name\n1,Ann\n".encode("utf-16-le")))
    assert "utf-16-le" in caught.value.hint
    assert everything(io.BytesIO("a,b\n".encode("utf-16-le")), encoding="utf-16-le")[0] == "a,b\n"


@pytest.mark.parametrize("name", ["rot13", "base64", "utf-7", "idna", "unicode_escape", "nonsense", "a\0b", ""])
def test_unknown_encodings_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        everything(io.BytesIO(b"a\n"), encoding=name)


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("keep", [0.2, 0.5, 0.95])
def test_truncated_compression(packed: str, keep: float) -> None:
    import random

    data = PACK[packed](random.Random(1).randbytes(5000).hex().encode())
    with pytest.raises(InputError, match="damaged or incomplete"):
        everything(io.BytesIO(data[: int(len(data) * keep)]))
    with pytest.raises(InputError, match="damaged or incomplete"):
        everything(Pipe(data[: int(len(data) * keep)]))


@pytest.mark.parametrize("packed", PACK)
def test_corrupt_compression(packed: str) -> None:
    data = bytearray(PACK[packed](CHINESE.encode()))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InputError):
        everything(io.BytesIO(bytes(data)))


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz"])
def test_joined_streams(packed: str) -> None:
    parts = PACK[packed](b"a,b\n") + PACK[packed](b"1,2\n")
    assert everything(io.BytesIO(parts))[0] == "a,b\n1,2\n"


def test_hostile_xz_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_input, "_XZ_MEMORY", 1 << 20)
    data = lzma.compress(b"a,b\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 8 << 20}])
    with pytest.raises(InputError):
        everything(io.BytesIO(data))


def test_a_bomb_stays_small() -> None:
    bomb = gzip.compress(b"0" * (64 << 20))
    text = TextInput("t.csv", io.BytesIO(bomb))
    assert len(text.read(1 << 20)) <= 1 << 20
    assert text.position() <= len(bomb)


def test_position_counts_bytes_on_disk() -> None:
    data = gzip.compress(CHINESE.encode())
    text = TextInput("t.csv", io.BytesIO(data))
    assert text.position() == 0
    while text.read(100):
        pass
    assert text.position() == len(data)


def test_cut_in_a_character() -> None:
    for encoding in ("utf-8", "gb18030", "utf-16"):
        text = TextInput("t.csv", io.BytesIO("a\n张三".encode(encoding)[:-1]), encoding=encoding)
        data = b""
        while block := text.read(5):
            data += block
        assert data.decode() == "a\n张"
        assert text.cut


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(["utf-8", "gb18030", "utf-16"]),
    st.integers(1, 9),
)
def test_any_text_survives_any_block_size(text: str, encoding: str, size: int) -> None:
    stream = TextInput("t.csv", io.BytesIO(text.encode(encoding)), encoding=encoding)
    data = b""
    while block := stream.read(size):
        data += block
    assert data.decode() == text.removeprefix("\ufeff")
    assert not stream.cut
