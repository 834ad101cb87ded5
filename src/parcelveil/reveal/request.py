"""What the desk is asked, and what it answers.

::

    request = Request(
        actor="c-104", role="courier", outlet="310-A12", device="pda-7", device_key=Secret(key),
        scene="deliver", waybills=("YT0000000000001",), fields=("to_name", "to_phone"),
    )
    for answer in desk.look(request).answers:
        answer.answer          # opened, refused, needs-approval, over-quota, not-in-custody, erased, unknown

Every waybill gets one answer. Nothing here checks anything: the desk does, and whatever it is asked is hostile.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from parcelveil.ports import Secret

__all__ = [
    "ANSWERS",
    "MOST_FIELDS",
    "MOST_WAYBILLS",
    "Answer",
    "Answers",
    "Credentials",
    "Request",
    "Said",
    "Scan",
    "Search",
    "Secret",
    "printable",
]

Said = Literal["opened", "refused", "needs-approval", "over-quota", "not-in-custody", "erased", "unknown"]
#: What the desk can answer about a waybill.
ANSWERS: tuple[Said, ...] = (
    "opened",
    "refused",
    "needs-approval",
    "over-quota",
    "not-in-custody",
    "erased",
    "unknown",
)

#: More waybills than this in one request are not even looked at. Scenes have far smaller limits.
MOST_WAYBILLS = 100_000
MOST_FIELDS = 64
_LONGEST = 64


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks, in which role, where, from which device, and the device's key as its proof."""

    actor: str  # the carrier's staff number
    role: str
    outlet: str = ""
    device: str = ""
    device_key: Secret = Secret(b"")


class Request(Credentials, frozen=True, kw_only=True):
    """One request to look: who, for what purpose, at which fields of which parcels, in which form."""

    scene: str
    waybills: tuple[str, ...]
    fields: tuple[str, ...]
    form: str = "full"  # or "masked": then no key of a personal field is used
    ticket: str = ""
    document: str = ""
    approval: str = ""


class Scan(Request, frozen=True, kw_only=True):
    """A :class:`Request` whose ``waybills`` are tokens from the codes of labels; see :mod:`~parcelveil.reveal.tokens`."""


class Search(Credentials, frozen=True, kw_only=True):
    """One request to search: which parcels have this phone (e-mail) in ``column``, in the last ``months``."""

    scene: str = "search"
    column: str = "to_phone"
    value: Secret
    months: int = 2
    ticket: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the desk says about one waybill. Its ``repr`` names no value."""

    waybill: str  # its number; of one that was scanned and not opened, the token
    answer: Said
    reason: str = ""  # a word from a closed list: the rule that decided, or what else stood against it
    rules: tuple[str, ...] = ()  # ids of the policies that decided
    values: dict[str, str | None] | None = None

    def __repr__(self) -> str:
        return f"<Answer {self.answer} {self.reason}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # what rich shows of it, in a traceback for example
        return [("answer", self.answer)]


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The desk's answer to one request: one :class:`Answer` a waybill, in the request's order, and the receipts.

    A request for more than :data:`MOST_WAYBILLS` gets answers for so many; the log says how many were asked for.
    """

    request: str
    answers: list[Answer]
    receipts: list[str]  # tlog-proof texts of everything that was logged for this request
    approval: str = ""  # the id to have approved, or that was used
    left: int | None = None  # what remains of the actor's quota in this scene today

    def __repr__(self) -> str:
        return f"<Answers {self.request}: {len(self.answers)}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("request", self.request)]

    @property
    def opened(self) -> bool:
        """Whether everything that was asked for was opened."""
        return all(answer.answer == "opened" for answer in self.answers)


def printable(text: str) -> bool:
    """Whether an identifier has the form of one: short, and without control characters or blanks at the ends."""
    return 0 < len(text) <= _LONGEST and text.isprintable() and text == text.strip()
