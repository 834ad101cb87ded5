"""Compiled passes are made anew when any file that they may call has changed."""

from __future__ import annotations

from parcelveil.scan.kernel import candidates
from parcelveil.seal import passes
from parcelveil.seal.passes import pad_rows


def test_what_is_kept_on_disk_is_stamped_with_the_source_of_all_passes() -> None:
    for function in (pad_rows, candidates):
        own, of_all = function._cache._cache_file._source_stamp  # type: ignore[attr-defined]
        assert own and of_all == passes._digest()
        # The index file is read with this very stamp, so another digest finds nothing in it.
        assert function._cache._cache_file._source_stamp != (own, "another")  # type: ignore[attr-defined]


def test_another_digest_finds_nothing(monkeypatch: object) -> None:
    kept = pad_rows._cache._cache_file  # type: ignore[attr-defined]
    before = kept._load_index()
    own, _ = kept._source_stamp
    stamp, kept._source_stamp = kept._source_stamp, (own, "another")
    try:
        assert kept._load_index() == {}
    finally:
        kept._source_stamp = stamp
    assert kept._load_index() == before
