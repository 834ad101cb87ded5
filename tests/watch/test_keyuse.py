"""Counters of the key service: as any system hands them over, and refused whole when they are something else."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parcelveil.adapt.event_files import EventFiles
from parcelveil.errors import HeaderError, InputError
from parcelveil.watch.keyuse import key_use

LINES = "hour,system,values,logged\n2026-11-02T02:00:00Z,kms-1,7,7\n2026-11-02T01:00:00Z,kms-1,5,4\n"


def test_text_and_parquet_say_the_same_and_hours_ascend(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LINES, "utf-8")
    hours = pa.array([7200 * 10**6, 3600 * 10**6]).cast(pa.timestamp("us", "UTC"))
    table = pa.table({"hour": hours, "system": ["kms-1"] * 2, "values": [7, 5], "logged": [7, 4]})
    pq.write_table(table, tmp_path / "b.parquet")
    text, binary = key_use(EventFiles(), [str(tmp_path)])
    assert text.values.tolist() == binary.values.tolist() == [5, 7]
    assert (text.hour[1] - text.hour[0]) == 3600 * 10**6 and text.system == ["kms-1", "kms-1"]


@pytest.mark.parametrize(
    ("lines", "error", "said"),
    [
        (LINES.replace("logged", "seen"), HeaderError, "has no column logged"),
        (LINES.replace(",7,7", ",many,7"), InputError, "the column values"),
        (LINES.replace(",7,7", ",,7"), InputError, "the column values"),
        (LINES.replace("2026-11-02T02:00:00Z", "soon"), InputError, "the column hour"),
        (LINES.replace("kms-1,7", "x" * 99 + ",7"), InputError, "the column system"),
    ],
)
def test_what_does_not_fit_stops_it(tmp_path: Path, lines: str, error: type[InputError], said: str) -> None:
    (tmp_path / "a.csv").write_text(lines, "utf-8")
    with pytest.raises(error, match=said):
        list(key_use(EventFiles(), [str(tmp_path / "a.csv")]))
