"""``parcelveil scan image``: what stands on pictures, and whether they are waybill labels, masked or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from parcelveil.cli.scan_options import Known, Look, Out, there
from parcelveil.cli.terminal import Where
from parcelveil.errors import UsageError

if TYPE_CHECKING:
    from parcelveil.scan.document import Document
    from parcelveil.scan.findings import Place
    from parcelveil.scan.survey import Survey
    from parcelveil.scan.waybill_label import LabelSeen


def image(
    *files: str,
    look: Look | None = None,
    out: Out | None = None,
    known: Known | None = None,
    where: Where | None = None,
) -> int:
    """Read pictures: text, codes and metadata; say which are waybill labels, and whether these are masked.

    Example: parcelveil scan image photo.jpg incoming/ --json

    Needs the extras label and ocr. A picture takes about a second.

    Parameters
    ----------
    files
        Pictures (PNG, JPEG, BMP, GIF, TIFF, WebP), PDF files, archives and folders with them, patterns, or -.
    look
        What is looked for.
    out
        Where findings go.
    known
        What is known already.
    where
        Which workspace, for --log.
    """
    if not files:
        raise UsageError("which pictures?", hint="parcelveil scan image photo.jpg, or a folder")
    there(files)
    from parcelveil.cli.scan_run import Subject, sizes
    from parcelveil.cli.scan_run import scan as run

    labels: list[tuple[Place, LabelSeen]] = []

    def documents(survey: Survey) -> Iterator[Document]:
        from parcelveil.cli.scan_files import documents_of

        return documents_of(files, survey, ocr=True, labels=labels)

    subject = Subject(documents, lambda: sizes(files), labels=labels)
    return run(subject, look or Look(), out or Out(), known or Known(), where)
