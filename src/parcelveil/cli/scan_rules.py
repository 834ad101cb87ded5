"""``parcelveil scan rules``: lists what is looked for, and tries the examples of rules of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from parcelveil.cli.language import language, say
from parcelveil.cli.output import listed
from parcelveil.cli.terminal import plain
from parcelveil.errors import EXIT_FINDINGS

if TYPE_CHECKING:
    from parcelveil.scan.rules import Custom, Family, Rule


def rules(*, check: list[Path] | None = None, rules: list[Path] | None = None, json: bool = False) -> int:
    """List the kinds of personal data that are looked for; or try the examples of a file of rules.

    Example: parcelveil scan rules --check my.toml

    Exit code 13: an example of a checked file does not do what it should.

    Parameters
    ----------
    check
        A file of rules, whose examples are tried (may be repeated). An example is named by its place, never shown.
    rules
        List the rules of this file too (may be repeated).
    json
        The list, or the examples that fail, as JSON on standard output.
    """
    from parcelveil.scan.rules import builtin, every_rule, load

    if check:
        return _check([load(path) for path in check], [str(path) for path in check], as_json=json)
    families = [*builtin(), *(load(path) for path in rules or ())]
    zh = language() == "zh" and not json
    rows = []
    for family in families:
        for rule in every_rule([family]):
            name = (rule.zh if zh else rule.en) or rule.kind
            tier = getattr(rule, "tier", 1)
            row: dict[str, object] = {"kind": rule.kind, "what": name, "state": rule.state, "tier": tier}
            row = row | {"zh": rule.zh or name, "family": family.family} if json else row | {"state": say(rule.state)}
            rows.append(row)
    listed(rows, "", as_json=json)
    return 0


def _check(families: list[Family], names: list[str], *, as_json: bool) -> int:
    from parcelveil.cli.scan_run import warmed
    from parcelveil.scan.rules import every_rule

    warmed()
    failed: list[dict[str, object]] = []
    tried = 0
    for family, name in zip(families, names, strict=True):
        for rule in every_rule([family]):
            tried += len(rule.match) + len(rule.no_match)
        failed += [{"file": name, **one} for one in _failing(family)]
    if as_json or failed:
        listed(failed, "", as_json=as_json)
    if not as_json:
        told = say("{count} examples were tried, {failed} fail").format(count=f"{tried:,}", failed=f"{len(failed):,}")
        print(plain(told), file=sys.stderr)
    return EXIT_FINDINGS if failed else 0


def _failing(family: Family) -> Iterator[dict[str, object]]:
    """The examples that are not found, or are and should not be."""
    from parcelveil.scan.engine import Scanner
    from parcelveil.scan.rules import builtin, every_rule

    scanner = Scanner([*(one for one in builtin() if one.family != family.family), family])

    def found(rule: Rule | Custom, text: str) -> bool:
        findings = scanner.scan_bytes(text.encode())
        pairs = zip(findings["kind"].to_pylist(), findings["state"].to_pylist(), strict=True)
        return (rule.kind, rule.state) in pairs

    for rule in every_rule([family]):
        for number, text in enumerate(rule.match, 1):
            if not found(rule, text):
                yield {"kind": rule.kind, "example": f"match {number}", "problem": say("it is not found")}
        for number, text in enumerate(rule.no_match, 1):
            if found(rule, text):
                yield {"kind": rule.kind, "example": f"no_match {number}", "problem": say("it is found")}
