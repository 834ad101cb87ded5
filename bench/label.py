"""Labels as PDF, with bar code, token and mark: ours against reportlab and fpdf2 drawing the same page, in one run.

    python bench/label.py             # some minutes
    python bench/label.py --quick     # half a minute, smaller inputs, the same keys

Ratios are of medians over interleaved rounds of fresh labels; the last line is one JSON object.

pdf_vs_reportlab       CPU time a label, the same page. All three begin with the same texts of a sealed batch, fit them into the
    layout with our own fitting (the peers have none), make the codes with zxing-cpp and draw the same lines at the
    same places; ours is set by Typst and joined, theirs drawn with the same typeface as TrueType.
pdf_vs_reportlab_pictures  reportlab's fastest way: its codes as pictures of one dot a module. Ours are vectors, which
    print sharp at any resolution.
pdf_vs_fpdf2           the same.
pdf_vs_reportlab_drawn its fastest way again, but fitting and codes are given to the peers for nothing, while ours pays for them.
labels_per_cpu_s       ours, gates and all: set, drawn at 203 dpi, codes, mark and text read back.
labels_per_cpu_s_pdf   ours without the gates.
readback_rate          share of labels of which both codes and the mark are read from the picture of the whole page at
    203 dpi: 1,000 labels of each size, no gate before it.
peak_mb_10000          peak memory of printing 10,000 labels; peak_mb_1000 of 1,000. The same, when it streams.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable

from parcelveil.label.compose import POINT, Page, Press
from parcelveil.label.content import Content, Job, columns_of, contents_of
from parcelveil.label.font import BUNDLED, FontSet
from parcelveil.label.gate import Gate, read_back
from parcelveil.label.layout import load, names
from parcelveil.label.pdf import PdfFile, runs
from parcelveil.label.printing import PAGES
from parcelveil.label.raster import Raster
from parcelveil.label.typeset import Typesetter
from parcelveil.seal import kernel
from parcelveil.simulate.parcels import parcels
from parcelveil.workspace import Settings, Workspace
from ratios import interleaved, report

QUICK = "--quick" in sys.argv
LAYOUT = "100x180"
LABELS, ROUNDS, READ = (200, 3, 100) if QUICK else (600, 9, 1000)
MANY = 1_000 if QUICK else 10_000
#: How the table calls a peer.
PEERS = {
    "reportlab": "reportlab, codes as vectors like ours",
    "reportlab, drawing only": "reportlab, codes as pictures, given places and codes for nothing",
}
STARTED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def sealed(count: int, folder: Path) -> pa.RecordBatch:
    """A sealed batch of people who do not exist."""
    Workspace.init(folder, Settings(tenant="bench"), "bench")
    with Workspace.open(folder, lambda: "bench") as workspace:
        batch = next(parcels(count, batch_rows=count))
        days = kernel.days_of(batch, workspace.settings.utc_offset_minutes, workspace.ring.today())
        return kernel.seal_batch(batch, workspace.ring.seal_keys(set(days.tolist())))


def contents(batch: pa.RecordBatch, layout: str) -> list[Content]:
    """What its labels say."""
    job = Job(load(layout), "P2", STARTED)
    found = contents_of(batch.select(columns_of(batch.schema, "bench")), job, range(1, batch.num_rows + 1))
    return [content for content in found if isinstance(content, Content)]


def truetype(texts: str, target: Path) -> Path:
    """The bundled typeface with TrueType outlines, which is all that reportlab draws; only the characters needed."""
    font = TTFont(BUNDLED)
    cmap = font.getBestCmap()
    kept = [".notdef", *dict.fromkeys(cmap[ord(char)] for char in sorted(set(texts)))]
    glyphs, source = {}, font.getGlyphSet()
    for name in kept:
        pen = TTGlyphPen(None)
        source[name].draw(Cu2QuPen(pen, 1.0, reverse_direction=True))
        glyphs[name] = pen.glyph()
    metrics = {name: font["hmtx"].metrics[name] for name in kept}
    for tag in ("CFF ", "VORG", "GSUB", "GPOS", "GDEF", "BASE"):
        if tag in font:
            del font[tag]
    font.setGlyphOrder(kept)
    font["hmtx"].metrics = metrics
    if "vmtx" in font:
        del font["vmtx"], font["vhea"]
    for table in font["cmap"].tables:
        table.cmap = {code: name for code, name in getattr(table, "cmap", {}).items() if name in glyphs}
    font["loca"] = newTable("loca")
    font["glyf"] = glyf = newTable("glyf")
    glyf.glyphOrder, glyf.glyphs = kept, glyphs
    maxp = font["maxp"]
    maxp.tableVersion, maxp.numGlyphs = 0x00010000, len(kept)
    for name in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs", "maxStackElements",
                 "maxSizeOfInstructions", "maxComponentElements", "maxPoints", "maxContours", "maxCompositePoints",
                 "maxCompositeContours", "maxComponentDepth"):  # fmt: skip
        setattr(maxp, name, 1 if name == "maxZones" else 0)
    font["post"].formatType = 3.0
    font.sfntVersion = "\x00\x01\x00\x00"
    font.save(target)
    return target


def ours(press: Press, typesetter: Typesetter, texts: list[Content]) -> bytes:
    """Composed, set by Typst, joined."""
    buffer = io.BytesIO()
    file = PdfFile(buffer.write)
    for start in range(0, len(texts), PAGES):
        pages = [press.page(content, "SP2") for content in texts[start : start + PAGES]]
        file.add(typesetter.chunk([page for page in pages if isinstance(page, Page)]))
    file.finish()
    return buffer.getvalue()


def composed(press: Press, texts: list[Content]) -> list[Page]:
    """The same pages for the peers."""
    return [page for page in (press.page(content, "SP2") for content in texts) if isinstance(page, Page)]


def with_reportlab(press: Press, pages: list[Page], font: str, *, pictures: bool = False) -> bytes:
    """Lines as strings, codes as one path each, or as pictures of one dot a module."""
    from reportlab.pdfgen.canvas import Canvas

    high = press.layout.height_mm / POINT
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(press.layout.width_mm / POINT, high))
    for page in pages:
        canvas.setLineWidth(0.25 / POINT)
        canvas.lines([(x / POINT, high - y / POINT, u / POINT, high - v / POINT) for x, y, u, v in press.rules])
        for line in page.lines:
            canvas.setFont(font, line.size)
            canvas.drawString(line.x / POINT, high - line.y / POINT - 0.88 * line.size, line.text)
        for symbol in page.symbols:
            bits = symbol.bits.reshape(1, -1) if symbol.bits.ndim == 1 else symbol.bits
            module, tall = symbol.module / POINT, symbol.height / bits.shape[0] / POINT
            left, top = symbol.x / POINT, high - symbol.y / POINT
            if pictures:
                picture = PIL.Image.fromarray(~bits)
                wide = bits.shape[1] * module
                canvas.drawInlineImage(picture, left, top - symbol.height / POINT, wide, symbol.height / POINT)
                continue
            path = canvas.beginPath()
            for x, y, n in runs(bits):
                path.rect(left + x * module, top - (y + 1) * tall, n * module, tall)
            canvas.drawPath(path, stroke=0, fill=1)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def with_fpdf2(press: Press, pages: list[Page], font: Path) -> bytes:
    """The same with fpdf2."""
    from fpdf import FPDF

    pdf: Any = FPDF(unit="mm", format=(press.layout.width_mm, press.layout.height_mm))
    pdf.set_auto_page_break(False)
    pdf.add_font("label", fname=str(font))
    for page in pages:
        pdf.add_page()
        pdf.set_line_width(0.25)
        for x, y, u, v in press.rules:
            pdf.line(x, y, u, v)
        for line in page.lines:
            pdf.set_font("label", size=line.size)
            pdf.text(line.x, line.y + 0.88 * line.size * POINT, line.text)
        for symbol in page.symbols:
            bits = symbol.bits.reshape(1, -1) if symbol.bits.ndim == 1 else symbol.bits
            module, tall = symbol.module, symbol.height / bits.shape[0]
            for x, y, n in runs(bits):
                pdf.rect(symbol.x + x * module, symbol.y + y * tall, n * module, tall, style="F")
    return bytes(pdf.output())


def readable(pdf: bytes, press: Press, pages: list[Page], limit: int) -> float:
    """Share of pages whose codes are all read from the whole page's picture."""
    gate = Gate(press)
    with Raster(pdf) as raster:
        shown = [raster.page(place, gate.width, gate.height)[0] for place in range(min(limit, len(pages)))]
    return sum(read_back(page, image) is None for page, image in zip(pages, shown, strict=False)) / len(shown)


class Fresh:
    """New labels at each call: Typst remembers what it has set."""

    def __init__(self, texts: list[Content]) -> None:
        self._texts, self._at = texts, 0

    def __call__(self) -> list[Content]:
        start = self._at = (self._at + LABELS) % (len(self._texts) - LABELS)
        return self._texts[start : start + LABELS]


def memory(folder: Path, batch: pa.RecordBatch, count: int) -> tuple[float, float]:
    """Peak memory in MB, and labels a second of wall time, of the command printing ``count`` labels."""
    import pyarrow.parquet as pq

    path = folder / f"{count}.sealed.parquet"
    pq.write_table(pa.Table.from_batches([batch.slice(0, count)]), path)
    program = (
        "import re, sys; from parcelveil.cli import main; code = main(sys.argv[1:]); "
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024); sys.exit(code)"
    )
    started = time.perf_counter()
    command = [sys.executable, "-c", program, "label", str(path), "-o", str(folder / f"{count}.pdf"), "--station", "P2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]), count / (time.perf_counter() - started)


def main() -> None:
    """Run everything and print the table."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont as Registered

    rows: list[tuple[str, str, str]] = []
    keys: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        batch = sealed(MANY, folder / "workspace")
        texts = contents(batch, LAYOUT)
        press = Press(load(LAYOUT), FontSet())
        everything = "".join("".join(content.fields.values()) for content in texts) + "".join(
            word
            for table in (press.layout.words, press.layout.category)
            for said in table.values()
            for word in said.values()
        )
        font = truetype("".join(char for char in everything if not press.font.missing(char)), folder / "label.ttf")
        pdfmetrics.registerFont(Registered("label", str(font)))
        typesetter, gate = Typesetter(press), Gate(press)
        first = composed(press, texts[:READ])
        same = {
            "ours": ours(press, typesetter, texts[:READ]),
            "reportlab": with_reportlab(press, first, "label"),
            "reportlab, codes as pictures": with_reportlab(press, first, "label", pictures=True),
            "fpdf2": with_fpdf2(press, first, font),
        }
        for name, pdf in same.items():
            assert readable(pdf, press, first, 20) == 1.0, name
        a, b, c, d, e = (Fresh(texts) for _ in range(5))
        given = [(composed(press, chosen), chosen) for chosen in (e() for _ in range(4))]
        turn = iter(range(10**9))
        found = interleaved(
            {
                "ours": lambda: ours(press, typesetter, a()),
                "reportlab": lambda: with_reportlab(press, composed(press, b()), "label"),
                "reportlab, codes as pictures": lambda: with_reportlab(
                    press, composed(press, b()), "label", pictures=True
                ),
                "fpdf2": lambda: with_fpdf2(press, composed(press, c()), font),
                "reportlab, drawing only": lambda: with_reportlab(
                    press, given[next(turn) % 4][0], "label", pictures=True
                ),
                "gated": lambda: gated(press, typesetter, gate, d()),
            },
            ROUNDS,
        )
        each = {name: figures.cpu / LABELS * 1e6 for name, figures in found.items()}
        for name, key in (
            ("reportlab", "pdf_vs_reportlab"),
            ("reportlab, codes as pictures", "pdf_vs_reportlab_pictures"),
            ("fpdf2", "pdf_vs_fpdf2"),
            ("reportlab, drawing only", "pdf_vs_reportlab_drawn"),
        ):
            keys[key] = each[name] / each["ours"]
            size = (
                f"; {len(same['ours']) / READ:,.0f} against {len(same[name]) / READ:,.0f} bytes a label"
                if name in same
                else ""
            )
            rows.append(
                (
                    f"labels as PDF, against {PEERS.get(name, name)}",
                    f"{each['ours']:,.0f} against {each[name]:,.0f} µs CPU a label{size}",
                    f"`{key}` {keys[key]:.2f}",
                )
            )
        keys["labels_per_cpu_s_pdf"], keys["labels_per_cpu_s"] = 1e6 / each["ours"], 1e6 / each["gated"]
        rows.append(
            (
                "labels as PDF with all gates: drawn, codes and text read back",
                f"{each['gated']:,.0f} µs CPU a label",
                f"`labels_per_cpu_s` {keys['labels_per_cpu_s']:,.0f}; without gates {keys['labels_per_cpu_s_pdf']:,.0f}",
            )
        )
        rates = {}
        for name in names():
            own = Press(load(name), FontSet())
            chosen = composed(own, contents(batch.slice(0, READ), name))
            pdf = io.BytesIO()
            file, setter = PdfFile(pdf.write), Typesetter(own)
            for start in range(0, len(chosen), PAGES):
                file.add(setter.chunk(chosen[start : start + PAGES]))
            file.finish()
            rates[name] = readable(pdf.getvalue(), own, chosen, READ) * len(chosen) / READ
        keys["readback_rate"] = min(rates.values())
        told = ", ".join(f"{name} {rate:.4f}" for name, rate in rates.items())
        rows.append(
            (
                f"bar code, token and mark read back at 203 dpi, {READ:,} labels of each size",
                told,
                f"`readback_rate` {keys['readback_rate']:.4f}",
            )
        )
        small, _ = memory(folder, batch, MANY // 10)
        large, rate = memory(folder, batch, MANY)
        keys |= {
            "peak_mb_1000" if not QUICK else "peak_mb_100": small,
            "peak_mb_10000" if not QUICK else "peak_mb_1000": large,
        }
        rows.append(
            (
                f"`parcelveil label`, {MANY:,} labels, one process",
                f"{rate:,.0f} labels/s, wall",
                f"peak {large:,.0f} MB; {MANY // 10:,} labels {small:,.0f} MB",
            )
        )
    report(rows, keys)


def gated(press: Press, typesetter: Typesetter, gate: Gate, texts: list[Content]) -> None:
    """Ours as the command does it."""
    for start in range(0, len(texts), PAGES):
        pages = composed(press, texts[start : start + PAGES])
        chunk = typesetter.chunk(pages)
        assert not any(problem for _, problem in gate.read(chunk, pages))


if __name__ == "__main__":
    main()
