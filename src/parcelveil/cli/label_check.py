"""``parcelveil label check``: audits anybody's labels. It needs no workspace and no key."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from parcelveil.cli.language import say
from parcelveil.cli.output import fitted
from parcelveil.cli.terminal import Progress, plain
from parcelveil.errors import EXIT_FINDINGS, InputError, UsageError

if TYPE_CHECKING:
    from parcelveil.label.check import PageReport, Report
    from parcelveil.label.rules import Remark

#: Pages and findings that a person is shown of one file; --json has them all.
_MOST_ROWS = 40


def check(*files: str, no_ocr: bool = False, json: bool = False) -> int:
    """Say which rule of GB/T 41833-2022 anybody's labels break: read codes, text and metadata of each page.

    Example: parcelveil label check labels.pdf photo.jpg incoming/

    Exit code 0: all of them meet the standard; 13: a rule is broken, or a page could not be judged.

    Parameters
    ----------
    files
        PDF or picture files (PNG, JPEG, BMP, GIF, TIFF, WebP), folders of them, or patterns like 'incoming/*.png'.
    no_ocr
        Do not read the text of pictures: their codes only, which is no verdict on what they show.
    json
        The whole report as one JSON object on standard output.
    """
    import msgspec

    from parcelveil.label.check import Report
    from parcelveil.label.check import check as audit
    from parcelveil.label.pages import count_pages

    paths = list(_files(files))
    reports: list[Report] = []
    for path in paths:
        why = ""
        try:
            with _progress(path, count_pages(path)) as advance:
                reports.append(audit(path, ocr=not no_ocr, progress=advance))
        except InputError as error:
            if len(paths) == 1:
                raise
            reports.append(Report(str(path), [], 0, [], [], "unclear", [], str(error)))
            why = say(error.template).format(**error.values)
        if not json:
            _show(reports[-1], why or say(reports[-1].why), first=len(reports) == 1)
    if json:
        print(msgspec.json.encode({"files": reports}).decode())
    elif len(reports) > 1:
        _total(reports)
    return 0 if all(report.verdict == "meets" for report in reports) else EXIT_FINDINGS


@contextmanager
def _progress(path: Path, pages: int) -> Iterator[Callable[[int], None]]:
    done = 0

    def advance(page: int) -> None:
        nonlocal done
        done = page
        bar.advance(page)

    bar = Progress(say("checking {file}").format(file=path.name), pages, lambda: done)
    try:
        yield advance
    finally:
        bar.close()


def _files(names: Sequence[str]) -> Iterator[Path]:
    """The files that are meant, each once, those of folders and patterns in order."""
    from parcelveil.label.pages import ENDINGS

    if not names:
        raise UsageError("which labels?", hint="parcelveil label check FILE.pdf, FILE.png, or a folder")
    seen: set[Path] = set()
    for name in names:
        place = Path(name)
        if place.is_dir():
            found = sorted(p for p in place.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
            if not found:
                raise InputError("{file} holds no PDF and no picture", hint="check the path", file=name)
        elif not place.exists() and glob.has_magic(name):
            found = sorted(p for p in map(Path, glob.glob(name, recursive=True)) if p.is_file())  # noqa: PTH207
            if not found:
                raise InputError("no file is like {file}", hint="check the path", file=name)
        else:
            found = [place]
        for path in found:
            if path not in seen:
                seen.add(path)
                yield path


# --- what a person sees


def _show(report: Report, why: str, *, first: bool) -> None:
    if not first:
        print()
    print(plain(f"{report.file}: {_verdict(report.verdict, len(report.rules), why)}"))
    shown = report.pages if len(report.pages) <= _MOST_ROWS // 2 else [p for p in report.pages if p.verdict != "meets"]
    if shown:
        header = [say("page"), say("codes"), say("text"), say("verdict")]
        print(fitted(header, [_page(page) for page in shown[:_MOST_ROWS]]))
    if len(report.pages) > len(shown):
        count = f"{len(report.pages) - len(shown):,}"
        print(
            say("{count} pages more meet the standard" if shown else "{count} pages, all meet it").format(count=count)
        )
    findings = [*report.findings, *(f for page in report.pages for f in page.findings)]
    if findings:
        header = [say("page"), say("where"), say("what is wrong"), say("rule")]
        rows = [[_number(f.page), _place(f.place), _what(f), say(f.article)] for f in findings[:_MOST_ROWS]]
        print("\n" + fitted(header, rows))
    more = max(0, len(shown) - _MOST_ROWS) + max(0, len(findings) - _MOST_ROWS)
    if more:
        print(say("{count} rows more: --json has them all").format(count=f"{more:,}"))
    for line in _notes([*report.notes, *(n for page in report.pages for n in page.notes)]):
        print(line)


def _page(page: PageReport) -> list[str]:
    codes = ", ".join(f"{code.kind}: {say(code.says)}" for code in page.codes) or say("none")
    parts = []
    if page.text_lines:
        parts.append(say("lines: {count}").format(count=page.text_lines))
    if page.ocr_lines:
        parts.append(say("lines by OCR: {count}").format(count=page.ocr_lines))
    rules = len({finding.rule for finding in page.findings})
    return [str(page.page), codes, ", ".join(parts) or say("none"), _verdict(page.verdict, rules, say(page.why))]


def _verdict(verdict: str, rules: int, why: str) -> str:
    if verdict == "meets":
        return say("meets GB/T 41833-2022")
    if verdict == "breaks":
        text = say("breaks 1 rule") if rules == 1 else say("breaks {count} rules").format(count=rules)
        return f"{text} ({why})" if why else text
    return say("could not be judged: {why}").format(why=why)


def _number(page: int) -> str:
    return str(page) if page else "-"


def _place(place: str) -> str:
    name, colon, key = place.partition(": ")
    return say(name) + colon + key


def _what(remark: Remark) -> str:
    from parcelveil.label.rules import NOTES, RULES

    template = (RULES.get(remark.rule) or NOTES[remark.rule])[1]
    return say(template).format(quote=remark.quote, hidden=remark.hidden)


def _notes(notes: Iterable[Remark]) -> Iterator[str]:
    """Each note once, with the pages that it is of."""
    pages: dict[str, list[int]] = {}
    for note in notes:
        pages.setdefault(f"{_place(note.place)}: {_what(note)}", []).append(note.page)
    for place, (text, where) in enumerate(pages.items()):
        if place == _MOST_ROWS:
            yield say("{count} rows more: --json has them all").format(count=f"{len(pages) - place:,}")
            return
        numbers = ", ".join(map(_number, where[:5])) + (", …" if len(where) > 5 else "")
        yield plain(say("note (page {pages}): {text}").format(pages=numbers, text=text))


def _total(reports: Sequence[Report]) -> None:
    counts = [sum(report.verdict == verdict for report in reports) for verdict in ("meets", "breaks", "unclear")]
    print(
        "\n"
        + say("{count} files; meet the standard: {meets}, break it: {breaks}, could not be judged: {unclear}").format(
            count=len(reports), meets=counts[0], breaks=counts[1], unclear=counts[2]
        )
    )
