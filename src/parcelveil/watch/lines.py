"""Alerts as lines of JSON: for files, pipes and the webhook.

::

    line_of(alert, "zh")      # {"v":"alert.v1","uid":…, …, "words":{"title":…,"reasons":[…],…}} and a line feed

The record is that of :mod:`~parcelveil.watch.alerts` with one more member: its words in one language. Programs read the record,
people the words.
"""

from __future__ import annotations

import msgspec

from parcelveil.watch.alerts import Alert, encode
from parcelveil.watch.reasons import words_of


def facts_of(alert: Alert, language: str = "en", offset_minutes: int = 480) -> dict[str, object]:
    """The record and its words, as what JSON has. Raises ValueError for an alert that may not leave."""
    facts: dict[str, object] = msgspec.json.decode(encode(alert))
    words = words_of(alert, language, offset_minutes)
    return facts | {
        "words": {name: value if isinstance(value, str) else list(value) for name, value in words._asdict().items()}
    }


def body_of(alert: Alert, language: str = "en", offset_minutes: int = 480) -> bytes:
    """The same as bytes of JSON without a line feed: a webhook's body."""
    return msgspec.json.encode(facts_of(alert, language, offset_minutes))


def line_of(alert: Alert, language: str = "en", offset_minutes: int = 480) -> bytes:
    """The same as one line."""
    return body_of(alert, language, offset_minutes) + b"\n"
