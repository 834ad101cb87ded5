"""The options that scans of files, tables and pictures have in common, and what they are checked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from parcelveil.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parcelveil.scan.rules import Family
    from parcelveil.scan.survey import Wanted
    from parcelveil.scan.tally import Threshold

_LEVELS = ("low", "medium", "high", "critical")


@Parameter(name="*")
@dataclass(frozen=True)
class Look:
    """What is looked for."""

    rules: list[Path] | None = None
    "A file with rules of your own, beside those that come with parcelveil (may be repeated)."
    only: list[str] | None = None
    "Only this kind, or class of kinds, like phone.mobile or id (may be repeated)."
    except_: Annotated[list[str] | None, Parameter(name="--except")] = None
    "Not this kind, or class of kinds (may be repeated)."
    min_confidence: float = 0.5
    "Leave out what is less sure than this: 0.9 means right nine times in ten."
    tier: int = 1
    "2: also what stands on weak ground, as names in running text and foreign addresses. They make no verdict."
    no_names: bool = False
    "Do not look for names and addresses, which takes the most time."
    key: Path | None = None
    "File with the scan key, by which the same value is known again; else PARCELVEIL_SCAN_KEY, else one for this scan only."
    threads: int | None = None
    "How many threads. Default: as many as there are processors."

    def families(self) -> Sequence[Family]:
        """The rules that come with the package, and one's own. Raises InputError."""
        from parcelveil.scan.rules import builtin, load

        return [*builtin(), *(load(path) for path in self.rules or ())]

    def wanted(self, families: Sequence[Family]) -> Wanted:
        """Which findings are wanted. Raises UsageError for kinds that no rule has, and numbers out of range."""
        from parcelveil.scan.allowlist import covers
        from parcelveil.scan.rules import every_rule
        from parcelveil.scan.survey import Wanted

        if not 0 < self.min_confidence < 1:
            raise UsageError(
                "{option} has to lie between 0 and 1", hint="--min-confidence 0.9", option="--min-confidence"
            )
        if self.tier not in (1, 2):
            raise UsageError("there are the tiers 1 and 2", hint="leave --tier away, or give --tier 2")
        if self.threads is not None and not 1 <= self.threads <= 1024:
            raise UsageError("{option} has to be a number from 1 to 1024", hint="--threads 4", option="--threads")
        known = {rule.kind for rule in every_rule(families)}
        only, but = (
            tuple(name.strip() for word in words or () for name in word.split(",") if name.strip())
            for words in (self.only, self.except_)
        )
        for name in (*only, *but):
            if not any(covers(name, kind) for kind in known):
                raise UsageError("no rule finds {kind}", hint="'parcelveil scan rules' lists the kinds", kind=name)
        return Wanted(only, but, self.tier)


@Parameter(name="*")
@dataclass(frozen=True)
class Out:
    """Where findings go."""

    output: Annotated[list[str] | None, Parameter(name=["--output", "-o"])] = None
    "A file for the findings, by its name .jsonl, .sarif, .ocsf.jsonl or .parquet; - is standard output (may be repeated)."
    format: str | None = None
    "jsonl, sarif, ocsf or parquet, for an output whose name does not say it."
    manifest: str | None = None
    "A file that lists everything that was read, or was not, and why."
    force: bool = False
    "Overwrite existing files."
    json: bool = False
    "Verdicts and counts as one JSON object on standard output."
    log: bool = False
    "Write the scan into the workspace's audit log: how much, which kinds; not where."


@Parameter(name="*")
@dataclass(frozen=True)
class Known:
    """What is known already, and when a scan fails."""

    baseline: Path | None = None
    "A file with what was there before: it is marked, and makes no verdict."
    write_baseline: str | None = None
    "Write what is there now into this file."
    allow: Path | None = None
    "A TOML file with what is allowed, until when, and why."
    no_comments: bool = False
    "Do not heed comments 'parcelveil:allow' in what is read: for data that others wrote."
    fail_on: str | None = None
    "Exit code 13 when a document is this bad: low, medium, high or critical."
    max_findings: int | None = None
    "Exit code 13 when there are more findings than this."

    def threshold(self, confidence: float) -> Threshold:
        """When the scan fails. Raises UsageError."""
        from parcelveil.scan.tally import Threshold

        level = self.fail_on.lower() if self.fail_on is not None else None
        if level is not None and level not in _LEVELS:
            raise UsageError("{word} is no severity", hint="low, medium, high or critical", word=self.fail_on)
        if self.max_findings is not None and self.max_findings < 0:
            raise UsageError("{option} has to be a number from 0 on", hint="--max-findings 0", option="--max-findings")
        return Threshold(level, self.max_findings, confidence)  # type: ignore[arg-type]


def there(paths: Sequence[str]) -> None:
    """Raise InputError for the first path that names nothing: a slip of the hand is found before an hour is spent."""
    import glob
    import os

    for path in paths:
        if path == "-":
            continue
        try:
            found = os.path.lexists(path) or (glob.has_magic(path) and any(glob.iglob(path, recursive=True)))  # noqa: PTH207
        except ValueError:  # a zero byte
            found = False
        if not found:
            raise InputError("nothing is found under {file}", hint="check the path", file=path)
