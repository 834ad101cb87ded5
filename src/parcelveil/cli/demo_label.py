"""The demo's labels: printed without a key, read back, and what a stranger gets of one."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from parcelveil.errors import DependencyError

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.label.compose import Page
    from parcelveil.label.raster import Image

#: Labels that the demo prints: one run of Typst.
LABELS = 200
_LAYOUT = "100x150"


def label_demo(folder: Path, sealed: pa.RecordBatch, clear: pa.RecordBatch, first: int) -> dict[str, str]:
    """Print labels of a sealed day, and read one back; steps from ``first``. Returns the tokens read, by waybill."""
    try:
        return _label_demo(folder, sealed, clear, first)
    except DependencyError as error:
        print(f"\n{first}. labels: {error}: {error.hint}")
        print(f"{first + 1}. nothing to read back")
        return {}


def _label_demo(folder: Path, sealed: pa.RecordBatch, clear: pa.RecordBatch, first: int) -> dict[str, str]:
    from parcelveil.label import codes
    from parcelveil.label.clear import Clear
    from parcelveil.label.compose import Page, Press
    from parcelveil.label.content import Content, Job, columns_of, contents_of
    from parcelveil.label.font import FontSet
    from parcelveil.label.gate import Gate
    from parcelveil.label.layout import load
    from parcelveil.label.typeset import Typesetter
    from parcelveil.seal.mask_check import violations

    part = sealed.slice(0, LABELS).select(columns_of(sealed.schema, "the sample day"))
    started = time.perf_counter()
    job = Job(load(_LAYOUT), "P2", datetime.now().astimezone())
    press = Press(job.layout, FontSet())
    contents = contents_of(part, job, range(1, part.num_rows + 1))
    pages = [press.page(content, job.mark) for content in contents if isinstance(content, Content)]
    good = [page for page in pages if isinstance(page, Page)]
    chunk = Typesetter(press).chunk(good)
    images, problems = Gate(press, Clear.of([clear.slice(0, LABELS)])).check(chunk, good)
    pdf = chunk.alone()
    (folder / "labels.pdf").write_bytes(pdf)
    passed = sum(problem is None for problem in problems)
    took = time.perf_counter() - started
    print(f"\n{first}. labels for the sample day, without any key: the first {passed} of {part.num_rows} ({_LAYOUT} mm, "
          f"{len(pdf) / 1e3:,.0f} kB, {passed / took:,.0f} labels/s)\n   each was drawn at 203 dpi, codes and text were "
          "read back, and none of the day's clear values is on it")  # fmt: skip
    _one_read_back(good[2], images[2], first + 1)
    told = violations("+8613800001234", "138****1234", "phone")[0]
    print(f"   what web shops print, 138****1234, would not pass: {told}")
    read = [{code.kind: code.text for code in codes.read(image, fast=True)} for image in images]
    return {one["Code128"]: one["QRCode"] for one in read}


def _one_read_back(page: Page, image: Image, step: int) -> None:
    from parcelveil.label import codes

    said = {code.kind: code.text for code in codes.read(image, fast=True)}
    fields = page.content.fields
    print(
        f"{step}. one of them, photographed: bar code {said['Code128']}, token {said['QRCode'][:12]}…, printed at {said['DataMatrix'][1:]}"
    )
    print(f"   {fields['to_name']}  {fields['to_phone']}  {fields['to_area']} {fields['to_road']}".rstrip())
