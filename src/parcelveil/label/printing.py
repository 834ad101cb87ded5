"""Labels for files of any length: content, page, gates, output; a hundred at a time, in memory that does not grow.

::

    printer = Printer(job, press, gate=Gate(press), output=PdfOutput(sink.write), refuse=on_refused)
    for batch, rows in batches:
        printer.take(batch, rows)
    printer.finish()

A label goes to the output only after its gates (:mod:`~parcelveil.label.gate`). ``refuse`` is told of each waybill that
gets none; it may raise, and then nothing of the run is written, because the output appears whole or not at all. Of a
number that stands in the file more than once the first row is printed, and the others get no label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import pyarrow as pa

from parcelveil.intake.lines import SeenNumbers
from parcelveil.label.compose import DOTS, Page, Press
from parcelveil.label.content import Content, Job, Refused, contents_of
from parcelveil.label.gate import Gate, read_back
from parcelveil.label.pdf import Chunk, PdfFile
from parcelveil.label.problems import Problem
from parcelveil.label.raster import Image, png
from parcelveil.label.typeset import Typesetter
from parcelveil.label.zpl import painted, zpl

#: Pages of one run of Typst: fewer cost its start, more cost memory.
PAGES = 100


class Output(Protocol):
    """Where labels go."""

    def made(self, page: Page, image: Image) -> bytes | Problem:
        """What is to be written of one page, from the picture that was read; or what only this output can see."""

    def add(self, chunk: Chunk, made: Sequence[bytes]) -> None:
        """Write the pages of a chunk, all of which have passed."""

    def finish(self) -> None: ...


class Printer:
    """See the module. ``printed`` counts labels, ``refused`` waybills without one."""

    def __init__(
        self, job: Job, press: Press, *, gate: Gate, output: Output, refuse: Callable[[Refused], None]
    ) -> None:
        self._job, self._press, self._gate = job, press, gate
        self._output, self._refuse = output, refuse
        self._typesetter = Typesetter(press)
        self._waiting: list[Page] = []
        self._serial = 1
        self._seen = SeenNumbers()
        self.printed = self.refused = 0

    def take(self, batch: pa.RecordBatch, rows: Sequence[int], progress: Callable[[int], None] | None = None) -> None:
        """Print a sealed batch; ``progress`` is told how many labels are done."""
        for start in range(0, batch.num_rows, PAGES):
            part = batch.slice(start, PAGES)
            for content in self._once(contents_of(part, self._job, rows[start : start + PAGES], self._serial)):
                if isinstance(content, Refused):
                    self._no_label(content)
                else:
                    self._compose(content)
            self._serial += part.num_rows
            while len(self._waiting) >= PAGES:
                self._flush(PAGES)
            if progress is not None:
                progress(self.printed)

    def finish(self) -> None:
        """Print what is left, and end the output."""
        while self._waiting:
            self._flush(PAGES)
        self._output.finish()

    def _once(self, contents: Sequence[Content | Refused]) -> list[Content | Refused]:
        """The same, with a refusal for each number that had its label before."""
        numbers = [content.waybill_no for content in contents if isinstance(content, Content)]
        again = iter(self._seen.add(pa.array(numbers, pa.string())).tolist())
        return [
            Refused(content.row, content.waybill_no, Problem("waybill_no.doubled"))
            if isinstance(content, Content) and next(again)
            else content
            for content in contents
        ]

    def _compose(self, content: Content) -> None:
        page = self._press.page(content, self._job.mark)
        if isinstance(page, Problem):
            self._no_label(Refused(content.row, content.waybill_no, page))
        else:
            self._waiting.append(page)

    def _flush(self, count: int) -> None:
        pages, self._waiting = self._waiting[:count], self._waiting[count:]
        while pages:  # what may not go out is taken out, and the rest set and read once more
            chunk = self._typesetter.chunk(pages)
            read = zip(pages, self._gate.read(chunk, pages), strict=True)
            made = [problem or self._output.made(page, image) for page, (image, problem) in read]
            good = [data for data in made if not isinstance(data, Problem)]
            if len(good) == len(pages):
                self._output.add(chunk, good)
                break
            for page, problem in zip(pages, made, strict=True):
                if isinstance(problem, Problem):
                    self._no_label(Refused(page.content.row, page.content.waybill_no, problem))
            pages = [page for page, data in zip(pages, made, strict=True) if not isinstance(data, Problem)]
        self.printed += len(pages)

    def _no_label(self, refused: Refused) -> None:
        self.refused += 1
        self._refuse(refused)


class PdfOutput:
    """One PDF, a page a label."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._file = PdfFile(write)

    def made(self, page: Page, image: Image) -> bytes | Problem:  # noqa: ARG002  the chunk has it all
        return b""

    def add(self, chunk: Chunk, made: Sequence[bytes]) -> None:  # noqa: ARG002
        self._file.add(chunk)

    def finish(self) -> None:
        self._file.finish()


class ZplOutput:
    """ZPL, one label after the other. What a printer would paint of it is read back too."""

    def __init__(self, press: Press, write: Callable[[bytes], object]) -> None:
        self._press, self._write = press, write

    def made(self, page: Page, image: Image) -> bytes | Problem:
        text = zpl(page, self._press, image)
        return read_back(page, painted(text)) or text.encode()

    def add(self, chunk: Chunk, made: Sequence[bytes]) -> None:  # noqa: ARG002
        for data in made:
            self._write(data)

    def finish(self) -> None:
        pass


class PngOutput:
    """Pictures of one bit a dot. ``write`` gets the label's place in the run, from 1, and the file's bytes."""

    def __init__(self, press: Press, write: Callable[[int, bytes], object]) -> None:
        self._dots, self._write = DOTS[press.dpi], write
        self._count = 0

    def made(self, page: Page, image: Image) -> bytes | Problem:  # noqa: ARG002
        return png(image, self._dots)

    def add(self, chunk: Chunk, made: Sequence[bytes]) -> None:  # noqa: ARG002
        for data in made:
            self._count += 1
            self._write(self._count, data)

    def finish(self) -> None:
        pass
