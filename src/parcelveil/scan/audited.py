"""A scan as an entry of the audit log: who searched, how much was read, what kinds were found; not where, nor what.

::

    entry = scan_entry(tally, manifest, actor="keyholder", key_id=key.key_id, rules=digest)
    log.append(entry)

Paths are not in it: they may hold names, and an audit log is never unwritten. The manifest has them, and ``manifest`` commits
to it by its salted hash. Kinds come from the rules that ship with the package; what rules of one's own found is
counted as ``custom``, since their names are free text.
"""

from __future__ import annotations

from collections import Counter

from parcelveil.audit.entry import Scan
from parcelveil.scan.manifest import Manifest
from parcelveil.scan.rules import builtin
from parcelveil.scan.tally import Tally

CUSTOM = "custom"


def scan_entry(
    tally: Tally,
    manifest: Manifest,
    *,
    key_id: str,
    rules: str,
    actor: str = "keyholder",
    role: str = "",
    time: int = 0,
    finished: bool = True,
) -> Scan:
    """The entry of a scan whose counting and manifest are closed. ``time`` in microseconds; the log sets it when it is 0."""
    tally.finish()
    known = {rule.kind for family in builtin() for rule in family.rule}
    counts: Counter[str] = Counter()
    for state, kinds in tally.kinds.items():
        for kind, count in kinds.items():
            counts[f"{kind if kind in known else CUSTOM} {state}"] += count
    totals = manifest.totals
    return Scan(
        time=time,
        action="finished" if finished else "stopped",
        actor=actor,
        role=role,
        documents=totals.documents,
        partly=totals.partly,
        skipped=totals.skipped,
        bytes=totals.bytes,
        findings=tuple(f"{name} {count}" for name, count in sorted(counts.items())),
        allowed=tally.allowed,
        people=tally.people[0],
        worst=tally.worst,
        key=key_id,
        rules=rules,
        manifest=manifest.sha256,
    )
