"""What a scan found, for people and as facts for programs. Neither has a value: findings have none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from parcelveil.cli.language import language, say
from parcelveil.cli.output import columns_of, fitted, terminal_width
from parcelveil.cli.terminal import plain, table
from parcelveil.scan.rules import every_rule
from parcelveil.scan.survey import Survey
from parcelveil.scan.verdict import GROUPS, within

if TYPE_CHECKING:
    from parcelveil.scan.findings import Place, Read
    from parcelveil.scan.key import ScanKey
    from parcelveil.scan.rules import Family
    from parcelveil.scan.tally import Verdict
    from parcelveil.scan.waybill_label import LabelSeen

#: Documents, kinds and reasons that a person is shown; --json has them all.
_MOST_ROWS = 40
_EXAMPLES = 3
#: A path is shortened to no less than this.
_SHORTEST = 24
_UNITS = ("B", "kB", "MB", "GB", "TB")
#: States in the order of the columns, and what these are called.
_STATES = {"clear": "readable", "masked": "masked", "protected": "protected", "key": "key"}
#: What a label shows of people.
_SHOWN = {"masked": "masked", "clear": "readable", "partly": "partly masked", "unknown": "unknown"}
#: What a list holds in vain.
_COUNTED = {
    "stale": "{count} entries of the baseline are gone: write it anew ({places})",
    "expired": "{count} entries of the allow-list have run out ({places})",
    "unused": "{count} entries of the allow-list allowed nothing ({places})",
}


@dataclass(frozen=True)
class Report:
    """A scan that came to its end, or was stopped."""

    survey: Survey
    families: Sequence[Family]
    key: ScanKey
    rules: str
    outputs: Sequence[str]
    seconds: float
    finished: bool
    exceeded: bool
    labels: Sequence[tuple[Place, LabelSeen]] | None = None
    journal: str = ""
    logged: bool = False


# --- for programs


def facts_of(report: Report) -> dict[str, Any]:
    """Everything as one object of JSON."""
    survey, allowed = report.survey, report.survey.allowing.report()
    tally, manifest = survey.tally, survey.manifest
    people, exact = tally.people
    facts: dict[str, Any] = {
        "finished": report.finished,
        "exceeded": report.exceeded,
        "worst": tally.worst,
        "people": people,
        "people_exact": exact,
        "documents": {name: getattr(manifest.totals, name) for name in ("documents", "read", "partly", "skipped")},
        "restored": survey.restored,
        "bytes": manifest.bytes,
        "rows": manifest.rows,
        "seconds": round(report.seconds, 3),
        "findings": {state: dict(kinds.most_common()) for state, kinds in tally.kinds.items()},
        "values": {kind: {"count": count, "exact": sure} for kind, (count, sure) in tally.values().items()},
        "weak": survey.weak,
        "verdicts": [_verdict(one) for one in tally.verdicts()],
        "verdicts_dropped": tally.dropped,
        "not_read": [
            {"outcome": outcome, "why": why, "count": count} for (outcome, why), count in manifest.whys.most_common()
        ],
        "problems": [
            {"place": one.place.text, "format": one.format, "outcome": one.outcome, "why": one.why}
            for one in manifest.problems
        ],
        "allowed": {
            **allowed.counts,
            "moved": allowed.moved,
            "stale": [msgspec.to_builtins(entry) for entry in allowed.stale],
            "expired": [entry.text for entry in allowed.expired],
            "unused": [entry.text for entry in allowed.unused],
        },
        "outputs": list(report.outputs),
        "key": report.key.key_id,
        "key_kept": report.key.lasting,
        "rules": report.rules,
        "logged": report.logged,
    }
    if report.labels is not None:
        facts["labels"] = [{"place": place.text, **msgspec.to_builtins(label)} for place, label in report.labels]
    return facts


def _verdict(one: Verdict) -> dict[str, Any]:
    facts = one.facts
    return {
        "source": one.place.source,
        "member": one.place.member,
        "part": one.place.part,
        "severity": one.severity,
        "code": one.code,
        "words": one.words("en"),
        "format": facts.format,
        "people": facts.people,
        "people_exact": facts.people_exact,
        "sensitive": facts.sensitive,
        "findings": one.findings,
        "kinds": facts.kinds,
        "values": one.values,
        "masked": facts.masked,
        "protected": facts.protected,
        "keys": facts.keys,
        "unsure": facts.unsure,
        "allowed": facts.allowed,
        "label": facts.label,
        "confidence": one.confidence,
        "columns": [msgspec.to_builtins(column) for column in one.columns],
        "outcome": one.read.outcome if one.read else "",
    }


# --- for people


def sized(count: int) -> str:
    """Bytes as people read them, in powers of a thousand.

    >>> sized(335_988), sized(12_345_678), sized(12)
    ('336 kB', '12.3 MB', '12 B')
    """
    size, unit = float(count), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:,.0f} {_UNITS[unit]}" if unit < 2 else f"{size:,.1f} {_UNITS[unit]}"


def show(report: Report, stream: TextIO) -> None:
    """The whole report, as lines of text."""
    width = terminal_width()
    for block in _blocks(report, width):
        print(block + "\n", file=stream)
    for line in (*_allowed(report), *_last(report)):
        print(line, file=stream)
    stream.flush()


def _blocks(report: Report, width: int) -> Iterator[str]:
    tally = report.survey.tally
    verdicts = list(tally.verdicts())
    if verdicts:
        yield documents(verdicts, width)
    if report.labels:
        yield _labels(report.labels, width)
    if tally.kinds:
        yield _kinds(report, width)
    if report.survey.manifest.whys:
        yield "\n".join(_not_read(report, width))


def documents(verdicts: Sequence[Verdict], width: int) -> str:
    """A table of documents, worst first: as many columns as there is room for."""
    shown = verdicts[:_MOST_ROWS]
    header = [say("document"), say("severity"), say("verdict"), say("found")]
    rows = [
        [plain(one.place.text), say(one.severity), plain(one.words(language())), _groups(one.facts.kinds)]
        for one in shown
    ]
    rest = [row[1:] for row in [header, *rows]]
    for columns in (3, 2):
        others = sum(max(columns_of(row[at]) for row in rest) for at in range(columns)) + 2 * columns
        room = width - others
        if room >= min(_SHORTEST, max(columns_of(row[0]) for row in rows)):
            cells = [[_shortened(row[0], room), *row[1 : columns + 1]] for row in rows]
            text = table(header[: columns + 1], cells)
            break
    else:
        text = "\n".join(f"{row[0]}\n  {row[1]}: {row[2]}" for row in rows)
    if len(verdicts) > len(shown):
        more = say("{count} documents more: --json has them all").format(count=f"{len(verdicts) - len(shown):,}")
        text += "\n" + more
    return text


def _groups(kinds: Mapping[str, int]) -> str:
    """Readable findings by group: "phones 400, names 398"."""
    side = 1 if language() == "zh" else 0
    counts: dict[str, int] = {}
    for kind, count in kinds.items():
        names = [name for name in GROUPS if within(kind, (name,))]
        name = GROUPS[max(names, key=len)][side] if names else kind
        counts[name] = counts.get(name, 0) + count
    return (("，" if side else ", ").join(f"{name} {count:,}" for name, count in counts.items())) or "-"


def _shortened(path: str, room: int) -> str:
    """A path in so many columns: its middle is left out, for its end says most."""
    if columns_of(path) <= room:
        return path
    head, tail = path[: room // 4], path[room // 4 :]
    while tail and columns_of(head) + 1 + columns_of(tail) > room:
        tail = tail[1:]
        if columns_of(head) > room // 4:
            head = head[:-1]
    return f"{head}…{tail}"


def _labels(labels: Sequence[tuple[Place, LabelSeen]], width: int) -> str:
    header = [say("picture"), say("label"), say("carrier"), say("state"), say("confidence")]
    rows = [
        [
            plain(place.text),
            say("yes") if label.is_label else say("no"),
            label.carrier or "-",
            say(_SHOWN[label.masked]) if label.is_label else "-",
            f"{label.confidence:.2f}",
        ]
        for place, label in labels[:_MOST_ROWS]
    ]
    text = fitted(header, rows, width)
    if len(labels) > _MOST_ROWS:
        more = say("{count} pictures more: --json has them all").format(count=f"{len(labels) - _MOST_ROWS:,}")
        text += "\n" + more
    return text


def _kinds(report: Report, width: int) -> str:
    """A row a kind: how many findings of each state, and how many different readable values."""
    tally = report.survey.tally
    zh = language() == "zh"
    names: dict[str, str] = {}
    for rule in every_rule(report.families):
        names.setdefault(rule.kind, (rule.zh if zh else rule.en) or rule.kind)
    states = [state for state in _STATES if tally.kinds.get(state)]
    totals: dict[str, int] = {}
    for counts in tally.kinds.values():
        for kind, count in counts.items():
            totals[kind] = totals.get(kind, 0) + count
    values = tally.values()
    header = [say("what"), say("kind")]
    for state in states:
        header += [say(_STATES[state])] + ([say("different")] if state == "clear" else [])
    rows = []
    for kind in sorted(totals, key=lambda kind: -totals[kind])[:_MOST_ROWS]:
        row = [names.get(kind, kind), kind]
        for state in states:
            count = tally.kinds[state].get(kind, 0)
            row.append(f"{count:,}" if count else "")
            if state == "clear":
                different, exact = values.get(kind, (0, True))
                about = "" if exact else say("about") + " "
                row.append(f"{about}{different:,}" if different else "")
        rows.append(row)
    if sum(max(columns_of(row[at]) for row in [header, *rows]) + 2 for at in range(len(header))) - 2 > width:
        header, rows = header[1:], [row[1:] for row in rows]
    return fitted(header, rows, width)


def _not_read(report: Report, width: int) -> Iterator[str]:
    """What was not read, or not wholly: each reason with its count and the first places."""
    manifest = report.survey.manifest
    partly, skipped = manifest.outcomes["partly"], manifest.outcomes["skipped"]
    yield say("not read: {skipped}; read in part: {partly}").format(skipped=f"{skipped:,}", partly=f"{partly:,}")
    places: dict[tuple[str, str], list[Read]] = {}
    for read in manifest.problems:
        places.setdefault((read.outcome, read.why), []).append(read)
    for (outcome, why), count in manifest.whys.most_common(_MOST_ROWS):
        some = places.get((outcome, why), [])[:_EXAMPLES]
        named = ", ".join(_shortened(plain(one.place.text), max(_SHORTEST, width // 3)) for one in some)
        more = ", …" if count > len(some) else ""
        word = say("in part") if outcome == "partly" else say("skipped") if outcome == "skipped" else say("read")
        yield from _filled(f"  {count:,} {word}: {say(why)}", f"({named}{more})" if named else "", width)
    if len(manifest.whys) > _MOST_ROWS:
        rest = f"{len(manifest.whys) - _MOST_ROWS:,}"
        yield say("{count} reasons more: --json has them all").format(count=rest)


def _filled(text: str, more: str, width: int) -> Iterator[str]:
    """A line, with what goes with it behind or below it."""
    if not more or columns_of(text) + 1 + columns_of(more) <= width:
        yield f"{text} {more}".rstrip()
        return
    yield text
    yield f"      {more}"


def _allowed(report: Report) -> Iterator[str]:
    """What was allowed, by what; and what lists hold in vain."""
    survey = report.survey
    found = survey.allowing.report()
    words = {"inline": say("by comments"), "list": say("by the allow-list"), "baseline": say("by the baseline")}
    told = [f"{words[name]} {count:,}" for name, count in found.counts.items() if count]
    if told:
        yield say("allowed, and in no verdict: {counts}").format(counts=", ".join(told))
    if found.moved:
        yield say("{count} of the baseline stand elsewhere now").format(count=f"{found.moved:,}")
    for what, entries in (
        ("stale", [one.source for one in found.stale]),
        ("expired", [one.text for one in found.expired]),
        ("unused", [one.text for one in found.unused]),
    ):
        if entries:
            some = list(dict.fromkeys(map(plain, entries)))
            named = ", ".join(some[:_EXAMPLES]) + (", …" if len(some) > _EXAMPLES else "")
            yield say(_COUNTED[what]).format(count=f"{len(entries):,}", places=named)
    if survey.weak:
        yield say("left out: {count} findings on weak ground; --tier 2 shows them").format(count=f"{survey.weak:,}")


def _last(report: Report) -> Iterator[str]:
    """How much was read in what time, who is in it, where the findings are."""
    survey = report.survey
    manifest, tally = survey.manifest, survey.tally
    people, exact = tally.people
    read = manifest.outcomes["read"] + manifest.outcomes["partly"]
    size = max(survey.bytes, manifest.bytes)
    yield say("{files} documents read, {size} in {seconds} s ({rate}/s)").format(
        files=f"{read:,}",
        size=sized(size),
        seconds=f"{report.seconds:,.1f}",
        rate=sized(round(size / max(report.seconds, 1e-3))),
    )
    if survey.restored:
        yield say("of them {count} files were finished before").format(count=f"{survey.restored:,}")
    readable = sum(tally.kinds.get("clear", {}).values())
    if not readable and tally.allowed:
        yield say("nothing readable was found in what was read but what is allowed")
    elif not readable:
        yield say("no readable personal data was found in what was read")
    elif not people:
        yield say("{findings} readable findings; the worst is {severity}").format(
            findings=f"{readable:,}", severity=say(tally.worst)
        )
    else:
        about = "" if exact else say("about") + " "
        yield say("{findings} readable findings of {people} people; the worst is {severity}").format(
            findings=f"{readable:,}", people=f"{about}{people:,}", severity=say(tally.worst)
        )
    files = [name for name in report.outputs if name != "-"]
    if files:
        yield plain(say("written: {files}").format(files=", ".join(files)))
    if report.logged:
        yield say("the audit log has an entry of this scan")
    if report.exceeded:
        yield say("over the threshold: exit code 13")
