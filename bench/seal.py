"""Sealing against its peers, side by side in one run.

    python bench/seal.py            # some minutes
    python bench/seal.py --quick    # 20 seconds, smaller inputs, the same keys

Every claim is a ratio of medians over at least five interleaved rounds; the last line is one JSON object.

seal_vs_aesgcm_loop, open_vs_aesgcm_loop  CPU time, Arrow to Arrow, 60-byte fields with associated data: a Python
    loop over AESGCM.encrypt (one key, random nonce, same context bytes) over our kernel with its erasure pads.
seal_vs_presidio        CPU time: Presidio's encrypt operator, value by value, over our kernel.
pseudonym_vs_hmac_loop  CPU time: a loop over hmac.digest(SHA-256) over our pseudonyms, phone numbers.
file_vs_copy            wall time: `seal` of a Parquet file over pyarrow reading it and writing it back unchanged.
peak_mb_10m             peak resident memory of a process sealing 10 million waybills (quick: 0.3 million).
erase_ms                wall time of erasing one waybill, less one fsync. help_s: `parcelveil --help`, wall.
"""

from __future__ import annotations

import hmac
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from presidio_anonymizer.operators import Encrypt

from parcelveil.cli import main
from parcelveil.seal import kernel
from parcelveil.seal.pseudonym import PseudonymKey
from parcelveil.waybill import PERSONAL
from parcelveil.workspace import Settings, SystemClock, Workspace
from ratios import interleaved, report

PASSPHRASE = "a passphrase for measuring only"
FIELDS = ("to_name", "to_address", "goods_name", "note", "from_address")


def field_batch(count: int, seed: int) -> pa.RecordBatch:
    """Waybills with five fields of 60 bytes and nothing else."""
    rng = np.random.default_rng(seed)
    letters = rng.integers(97, 123, (len(FIELDS), count, 60), dtype=np.uint8)
    offsets = np.arange(0, (count + 1) * 60, 60, dtype=np.int32)
    columns = [pa.array([f"YT{seed:03}{i:010}" for i in range(count)])]
    columns += [
        pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(x.copy())])
        for x in letters
    ]
    columns += [pa.nulls(count, pa.timestamp("us", "UTC")), pa.nulls(count, pa.uint16())]
    names = ["waybill_no", *FIELDS, "created_at", "revision"]
    return pa.RecordBatch.from_arrays(columns, names=names)


def bench_kernel(
    workspace: Workspace, count: int, rounds: int, rows: list[tuple[str, str, str]], ratios: dict[str, float]
) -> None:
    batch = field_batch(count, 1)
    keys = workspace.ring.seal_keys([workspace.ring.today()])
    days = kernel.days_of(batch, keys.utc_offset_minutes, keys.default_day)
    sealed_columns: list[dict[str, pa.Array]] = []

    def seal() -> None:
        sealed_columns.clear()
        for start in range(0, count, kernel.TILE):
            sealed_columns.append(
                kernel._seal_tile(marked.slice(start, kernel.TILE), days[start : start + kernel.TILE], keys)
            )

    marked = batch.cast(
        pa.schema([f.with_metadata({PERSONAL: b"note"}) if f.name in FIELDS else f for f in batch.schema])
    )
    gcm_key, nonce_size = AESGCM(bytes(32)), 12
    numbers = batch["waybill_no"].to_pylist()

    def gcm_seal() -> list[pa.Array]:
        out = []
        for name in FIELDS:
            prefix = f"tenant\0{name}\0".encode()
            values = []
            for number, value in zip(numbers, batch[name].cast(pa.binary()).to_pylist(), strict=True):
                nonce = os.urandom(nonce_size)
                values.append(nonce + gcm_key.encrypt(nonce, value, prefix + number.encode()))
            out.append(pa.array(values, pa.binary()))
        return out

    gcm_sealed = gcm_seal()

    def gcm_open() -> None:
        for name, column in zip(FIELDS, gcm_sealed, strict=True):
            prefix = f"tenant\0{name}\0".encode()
            pa.array(
                [
                    gcm_key.decrypt(value[:nonce_size], value[nonce_size:], prefix + number.encode())
                    for number, value in zip(numbers, column.to_pylist(), strict=True)
                ],
                pa.binary(),
            )

    operator, some = Encrypt(), max(1, count // 20)

    def presidio() -> None:
        for name in FIELDS:
            pa.array(
                [operator.operate(text=v, params={"key": "k" * 32}) for v in batch[name].slice(0, some).to_pylist()]
            )

    seal()
    joined = [pa.concat_arrays([tile[name] for tile in sealed_columns]) for name in FIELDS]
    schema = pa.schema([f.with_type(pa.binary()) if f.name in FIELDS else f for f in marked.schema])
    others = {"waybill_no": batch["waybill_no"], "created_at": batch["created_at"], "revision": batch["revision"]}
    sealed = pa.RecordBatch.from_arrays(
        [*([others["waybill_no"]]), *joined, others["created_at"], others["revision"]], schema=schema
    )
    open_keys = workspace.ring.open_keys(kernel.epochs_in(sealed))
    assert kernel.open_batch(sealed, open_keys)["note"].equals(batch["note"])
    figures = interleaved(
        {
            "seal": seal,
            "gcm seal": gcm_seal,
            "open": lambda: kernel.open_rows(sealed, open_keys),
            "gcm open": gcm_open,
            "presidio": presidio,
        },
        rounds,
    )
    cells = count * len(FIELDS)
    ns = {name: figure.cpu / cells * 1e9 for name, figure in figures.items()}
    ns["presidio"] = figures["presidio"].cpu / (some * len(FIELDS)) * 1e9
    for key, peer, ours, text in (
        ("seal_vs_aesgcm_loop", "gcm seal", "seal", "sealing 60-byte fields, against a loop over AESGCM"),
        ("open_vs_aesgcm_loop", "gcm open", "open", "opening them"),
        ("seal_vs_presidio", "presidio", "seal", "sealing, against Presidio's encrypt operator"),
    ):
        ratios[key] = ns[peer] / ns[ours]
        rows.append((text, f"{ns[ours]:.0f} against {ns[peer]:.0f} ns a value", f"`{key}` {ratios[key]:.1f}"))


def bench_pseudonyms(count: int, rounds: int, rows: list[tuple[str, str, str]], ratios: dict[str, float]) -> None:
    phones = pa.array([f"+86142{i:08}" for i in np.random.default_rng(2).permutation(10**8 - 1)[:count].tolist()])
    key = PseudonymKey(bytes(32), "bench", "search", 202611)

    def loop() -> None:
        pa.array([hmac.digest(b"k" * 32, v.encode(), "sha256")[:16] for v in phones.to_pylist()], pa.binary(16))

    tiles = [phones.slice(start, 16_384) for start in range(0, count, 16_384)]
    figures = interleaved({"ours": lambda: [key.pseudonyms(tile, "phone") for tile in tiles], "loop": loop}, rounds)
    ours, peer = (figures[name].cpu / count * 1e9 for name in ("ours", "loop"))
    ratios["pseudonym_vs_hmac_loop"] = peer / ours
    rows.append(
        (
            "pseudonyms of phones, against a loop over HMAC",
            f"{ours:.1f} against {peer:.0f} ns",
            f"`pseudonym_vs_hmac_loop` {peer / ours:.0f}",
        )
    )


def bench_file(
    folder: Path, count: int, rounds: int, rows: list[tuple[str, str, str]], ratios: dict[str, float]
) -> None:
    day = folder / "day.parquet"
    main(["simulate", "parcels", "--count", str(count), "-o", str(day)])

    def copy() -> None:
        # As pyarrow's users do it: one file in, the same file out, all cores.
        pq.write_table(pq.read_table(day), folder / "copy.parquet")

    def seal() -> None:
        assert (
            main(["seal", str(day), "-o", str(folder / "day.sealed.parquet"), "--force", "-w", str(folder / "w")]) == 0
        )

    figures = interleaved({"seal": seal, "copy": copy}, rounds)
    ratio = figures["seal"].wall / figures["copy"].wall
    ratios["file_vs_copy"] = ratio
    rate = count / figures["seal"].wall
    text = f"{figures['seal'].wall:.2f} s ({rate:,.0f} waybills/s, {figures['seal'].cpu:.1f} s CPU) against {figures['copy'].wall:.2f} s"
    rows.append(
        (f"sealing a Parquet file of {count:,} waybills, against copying it", text, f"`file_vs_copy` {ratio:.1f}")
    )


def bench_memory(folder: Path, counts: list[int], rows: list[tuple[str, str, str]], ratios: dict[str, float]) -> None:
    peaks = []
    for count in counts:
        big = folder / f"big{count}.parquet"
        main(["simulate", "parcels", "--count", str(count), "-o", str(big)])
        out = folder / "big.sealed.parquet"
        command = [
            sys.executable,
            "-m",
            "parcelveil",
            "seal",
            str(big),
            "-o",
            str(out),
            "--force",
            "-w",
            str(folder / "w"),
        ]
        script = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]) / 1024)
        big.unlink()
        out.unlink()
    ratios["peak_mb_10m"] = peaks[-1]
    curve = ", ".join(f"{count / 1e6:g} M: {peak:.0f} MB" for count, peak in zip(counts, peaks, strict=True))
    rows.append(("peak memory of sealing", curve, f"`peak_mb_10m` {peaks[-1]:.0f}"))


def bench_erase(workspace: Workspace, rounds: int, rows: list[tuple[str, str, str]], ratios: dict[str, float]) -> None:
    workspace.ring.seal_keys([workspace.ring.today()])
    day = workspace.ring.headers()[-1][0].day
    probe = workspace.folder / "probe"
    fsyncs, erasures = [], []
    for number in range(max(rounds, 20)):
        with probe.open("wb") as file:
            file.write(os.urandom(512))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            fsyncs.append(time.perf_counter() - started)
        started = time.perf_counter()
        workspace.ring.erase([f"ERASE{number}"], day=day)
        erasures.append(time.perf_counter() - started)
    one, sync = statistics.median(erasures) * 1e3, statistics.median(fsyncs) * 1e3
    ratios["erase_ms"] = one - sync
    rows.append(
        (
            "erasing one waybill",
            f"{one:.1f} ms, worst {max(erasures) * 1e3:.1f} ms; one fsync {sync:.2f} ms",
            f"`erase_ms` {one - sync:.1f}",
        )
    )


def bench_help(rounds: int, rows: list[tuple[str, str, str]], ratios: dict[str, float]) -> None:
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "parcelveil", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    ratios["help_s"] = statistics.median(times[1:])
    rows.append(("`parcelveil --help`", f"{ratios['help_s']:.2f} s", f"`help_s` {ratios['help_s']:.2f}"))


def run() -> None:
    quick = "--quick" in sys.argv
    rounds = 5 if quick else 7
    rows: list[tuple[str, str, str]] = []
    ratios: dict[str, float] = {}
    os.environ["PARCELVEIL_PASSPHRASE"] = PASSPHRASE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Workspace.init(folder / "w", Settings(tenant="bench"), PASSPHRASE)
        with Workspace.open(folder / "w", lambda: PASSPHRASE, SystemClock()) as workspace:
            bench_kernel(workspace, 16_384 if quick else 131_072, rounds, rows, ratios)
            bench_pseudonyms(131_072 if quick else 1_000_000, rounds, rows, ratios)
            bench_erase(workspace, rounds, rows, ratios)
        bench_file(folder, 50_000 if quick else 1_000_000, rounds if quick else 5, rows, ratios)
        bench_memory(folder, [100_000, 300_000] if quick else [1_000_000, 3_000_000, 10_000_000], rows, ratios)
        bench_help(rounds, rows, ratios)
    report(rows, ratios)


if __name__ == "__main__":
    run()
