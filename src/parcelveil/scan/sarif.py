"""Findings as SARIF 2.1.0 (OASIS), for code hosts and CI that show results beside the lines they are in.

::

    sink = SarifSink(file, rules_of(builtin()), lasting=key.lasting)
    for batch in batches:
        sink.write(batch, allowed)
    sink.finish(manifest.problems)      # what was not read stands in the file too, as notifications

The file is written as findings come: memory does not grow with their number. It is valid once it is closed.

* A finding is a ``result``: rule id is the kind; ``kind`` is ``fail`` for readable personal data and ``informational``
  for what is masked, protected or only joins; ``rank`` is its confidence in percent, and :func:`level` a word for it.
* ``region`` tells bytes only where the file itself holds them at that place; in archives, office documents, PDFs and
  mail they are bytes of an extracted text that no viewer has, so they stand in the result's ``properties``. Members,
  sheets, tables and columns are logical locations.
* ``partialFingerprints`` has the keyed fingerprint of the value, so that a result is known again though its line moved;
  not when the key is forgotten after the scan: then every result would look new each time.
* What is allowed is ``suppressed``: ``inSource`` by a comment, ``external`` by a list or a baseline, which also makes
  its ``baselineState`` ``unchanged``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from parcelveil import __version__
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.places import uri_of
from parcelveil.scan.reasons import reason_words
from parcelveil.scan.rules import Custom, Rule
from parcelveil.scan.sinks import ALLOWED, ROWS, Allowed

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: From here on a clear finding is an error: wrong one time in ten at the most.
SURE = 0.9
#: Below this one it is a note: more often than not it is nothing.
LIKELY = 0.5
#: Name of the fingerprint; another number when what goes into it changes.
FINGERPRINT_NAME = "parcelveilValue/v1"

#: Files whose text is extracted: bytes told of it are not those of the file.
_EXTRACTED = frozenset(
    ".docx .docm .pptx .xlsx .xlsm .xls .ods .odt .pdf .eml .mbox .msg .parquet .arrow .feather .ipc .sqlite .sqlite3 .db "
    ".png .jpg .jpeg .bmp .gif .tif .tiff .webp .zip .tar .gz .tgz .bz2 .xz .zst".split()
)
# A file's findings share their place and mostly their reason: said once.
_uri = functools.lru_cache(1_024)(uri_of)
_why = functools.lru_cache(4_096)(functools.partial(reason_words, language="en"))
_ZH = {"clear": "可读", "masked": "已脱敏", "protected": "已保护", "key": "关联键"}


def level(state: str, tier: int, confidence: float) -> str:
    """``error``, ``warning`` or ``note`` for readable personal data; ``none`` for the rest, as SARIF wants it."""
    if state != "clear":
        return "none"
    if tier > 1 or confidence < LIKELY:
        return "note"
    return "error" if confidence >= SURE else "warning"


class SarifSink:
    """A :class:`~parcelveil.scan.sinks.Sink` that writes one run of SARIF; see the module."""

    def __init__(self, file: BinaryIO, rules: Iterable[Rule | Custom], *, lasting: bool = False) -> None:
        self._file = file
        self._lasting = lasting
        self._json = msgspec.json.Encoder()
        descriptors = _descriptors(rules)
        self._index = {str(rule["id"]): number for number, rule in enumerate(descriptors)}
        self._words = {str(rule["id"]): str(rule["shortDescription"]["text"]) for rule in descriptors}
        driver = {
            "name": "parcelveil",
            "version": __version__,
            "semanticVersion": __version__,
            "rules": descriptors,
        }
        head = self._json.encode({"$schema": SCHEMA_URI, "version": "2.1.0"})[:-1]
        run = self._json.encode({"tool": {"driver": driver}, "columnKind": "unicodeCodePoints"})[:-1]
        file.write(b'%b,"runs":[%b,"results":[' % (head, run))
        self._first = True
        self._open = True

    def write(self, findings: pa.RecordBatch, allowed: Allowed | None = None) -> None:
        """Write the results of a batch."""
        for first in range(0, findings.num_rows, ROWS):
            rows = findings.slice(first, ROWS).to_pylist()
            codes: Sequence[int] = [0] * len(rows) if allowed is None else allowed[first : first + ROWS].tolist()
            for row, code in zip(rows, codes, strict=True):
                self._file.write((b"\n" if self._first else b",\n") + self._json.encode(self._result(row, code)))
                self._first = False
        self._file.flush()

    def finish(self, problems: Iterable[Read] = (), *, successful: bool = True) -> None:
        """End the file, with a notification for each document that was not read, or not wholly. Then nothing more is written."""
        if not self._open:
            return
        self._open = False
        invocation = self._json.encode({"executionSuccessful": successful})[:-1]
        self._file.write(b'\n],"invocations":[%b,"toolExecutionNotifications":[' % invocation)
        first = True
        for read in problems:
            self._file.write((b"\n" if first else b",\n") + self._json.encode(_notification(read)))
            first = False
        self._file.write(b"]}]}]}\n")
        self._file.flush()

    def close(self) -> None:
        """End the file, if :meth:`finish` has not."""
        self.finish()

    def _result(self, row: dict[str, Any], code: int) -> dict[str, Any]:
        kind, state = row["kind"], row["state"]
        words = self._words.get(kind, kind)
        said = f"{words}{'' if state == 'clear' else f', {state}'}; confidence {row['confidence']:.2f}"
        why = _why(row["reason"])
        result: dict[str, Any] = {
            "ruleId": kind,
            "kind": "fail" if state == "clear" else "informational",
            "level": level(state, row["tier"], row["confidence"]),
            "rank": round(100 * row["confidence"], 1),
            "message": {"text": f"{said}: {why}" if why else said},
            "locations": [_location(row)],
            "properties": _properties(row),
        }
        if kind in self._index:
            result["ruleIndex"] = self._index[kind]
        if self._lasting:
            result["partialFingerprints"] = {FINGERPRINT_NAME: row["fingerprint"].hex()}
        if code:
            by = ALLOWED[code]
            result["suppressions"] = [{"kind": "inSource" if by == "inline" else "external", "justification": by}]
            if by == "baseline":
                result["baselineState"] = "unchanged"
        return result


def _descriptors(rules: Iterable[Rule | Custom]) -> list[dict[str, Any]]:
    """One descriptor for each kind, in the order in which kinds come first."""
    found: dict[str, dict[str, Any]] = {}
    for rule in rules:
        english, chinese = rule.en or rule.kind, rule.zh or rule.en or rule.kind
        state = _ZH.get(rule.state, rule.state)
        if rule.kind not in found:
            found[rule.kind] = {
                "id": rule.kind,
                "shortDescription": {"text": english},
                "help": {"text": f"Personal data: {english}. Remove it, seal it or mask it. ({chinese}，{state})"},
                "defaultConfiguration": {"level": "error" if rule.state == "clear" else "none"},
                "properties": {"zh": chinese, "state": rule.state, "tags": ["privacy", rule.kind.partition(".")[0]]},
            }
    return list(found.values())


def _location(row: dict[str, Any]) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(row["source"])}}
    inside = bool(row["member"] or row["part"] or row["page"] > 0)
    if not inside and PurePosixPath(row["source"]).suffix.lower() not in _EXTRACTED:
        region: dict[str, Any] = {}
        if row["line"] > 0:
            region["startLine"] = row["line"]
        if row["start"] >= 0:
            region |= {"byteOffset": row["start"], "byteLength": max(0, row["end"] - row["start"])}
        if region:
            physical["region"] = region
    location: dict[str, Any] = {"physicalLocation": physical}
    if logical := _logical(row):
        location["logicalLocations"] = logical
    return location


def _logical(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Where in the file, from the outside in: member of an archive, sheet or table or mail part, column."""
    found: list[dict[str, Any]] = []
    place = Place(row["source"], row["member"], row["part"], row["page"])
    if row["member"]:
        found.append(
            {"name": row["member"], "fullyQualifiedName": f"{row['source']}!{row['member']}", "kind": "member"}
        )
    if row["part"]:
        found.append({"name": row["part"], "fullyQualifiedName": place.text, "kind": "part"})
    if row["column"]:
        name = f"{place.text}/{row['column']}" + (f"/{row['row']}" if row["row"] > 0 else "")
        found.append({"name": row["column"], "fullyQualifiedName": name, "kind": "column"})
    return found


def _properties(row: dict[str, Any]) -> dict[str, Any]:
    told = {"state": row["state"], "tier": row["tier"], "reason": row["reason"]}
    told |= {name: row[name] for name in ("page", "line", "row", "start", "end") if row[name] >= 0}
    if row["box"] is not None:
        told["box"] = row["box"]
    return told


def _notification(read: Read) -> dict[str, Any]:
    return {
        "level": "warning" if read.outcome == "partly" else "note",
        "message": {"text": f"{read.outcome}: {read.why}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": uri_of(read.place.source)}},
                "logicalLocations": [{"fullyQualifiedName": read.place.text}],
            }
        ],
    }
