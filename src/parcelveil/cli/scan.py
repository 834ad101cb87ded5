"""``parcelveil scan``: finds personal data where it should not be. It needs no workspace and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from parcelveil.cli import scan_image, scan_key, scan_rules, scan_table
from parcelveil.cli.asking import refuse_words
from parcelveil.cli.scan_options import Known, Look, Out, there
from parcelveil.cli.terminal import Where
from parcelveil.errors import UsageError

if TYPE_CHECKING:
    from parcelveil.scan.document import Document
    from parcelveil.scan.survey import Survey

app = App(
    name="scan",
    help="Find personal data in files, tables and pictures, and say what each document is.\n\n"
    "Example: parcelveil scan exports/ old.zip -o findings.jsonl\n\n"
    "Text in any encoding, CSV, JSON, logs, XLSX, DOCX, PDF, mail, SQLite, Parquet, and archives of them. No value "
    "that is found is shown, written or kept: findings say where it stands, what it is, how sure that is, and carry a "
    "keyed fingerprint. What could not be read is told. A folder called like a command is named ./table.",
    error_formatter=refuse_words,
)
app.command(scan_table.table)
app.command(scan_image.image)
app.command(scan_rules.rules)
app.command(scan_key.key)
app.command(scan_key.prepare)


@app.default
def scan(
    *paths: str,
    look: Look | None = None,
    out: Out | None = None,
    known: Known | None = None,
    ocr: bool = False,
    depth: int | None = None,
    journal: Path | None = None,
    resume: Path | None = None,
    where: Where | None = None,
) -> int:
    """Find personal data in files and folders. The group's help says how.

    Exit code 0: done; 13: over a threshold that was given (--fail-on, --max-findings).

    Parameters
    ----------
    paths
        Files, folders, patterns like 'logs/*.gz', or - for standard input.
    look
        What is looked for.
    out
        Where findings go.
    known
        What is known already.
    ocr
        Read pictures too: their codes and their text (extras label and ocr; about a second each).
    depth
        How many archives, mails and compressions may lie inside of each other. Default: 6.
    journal
        Keep this file while scanning, so that the scan can be resumed after it was stopped. Needs --key and -o FILE.jsonl.
    resume
        Go on with the scan that this journal was kept for, with the same options.
    where
        Which workspace, for --log.
    """
    if not paths:
        raise UsageError("what shall be scanned?", hint="name files or folders, or - for standard input")
    from parcelveil.adapt.tables import is_tables
    from parcelveil.cli.scan_run import Subject, sizes
    from parcelveil.cli.scan_run import scan as run

    for path in paths:
        if "://" in path and is_tables(path):
            raise UsageError("a database is scanned by its own command", hint="parcelveil scan table URI")
    there(paths)
    if depth is not None and depth < 0:
        raise UsageError("{option} has to be a number from 0 on", hint="--depth 6", option="--depth")

    def documents(survey: Survey) -> Iterator[Document]:
        from parcelveil.cli.scan_files import documents_of

        return documents_of(paths, survey, ocr=ocr, depth=depth)

    options = {"paths": "\0".join(paths), "--ocr": str(ocr), "--depth": str(depth)}
    subject = Subject(documents, lambda: sizes(paths), options, journal, resume)
    return run(subject, look or Look(), out or Out(), known or Known(), where)
