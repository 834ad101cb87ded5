"""Scans: asking the desk with the tokens in labels' codes instead of waybill numbers.

::

    answers = desk.scan(request)          # request.waybills are tokens, as scanners type them
    answers.answers[0].waybill            # the number, once it was opened; else the token again

A token that opens (:meth:`~parcelveil.seal.keyring.KeyRing.open_token`) is replaced by its number, and from there on
a scan is a look: the same policy, custody, quota, log and receipts, together with looks that arrive at the same time.

* **A token whose look is refused teaches nothing.** The answer repeats the token; the number stands in the log alone, as a
  salted subject, as it does for any look. Answers keep the request's order, and quota, rules and reasons are those of a look.
* A token that opens to nothing is refused for ``no-such-token``. It is counted in the log, with no subject, and costs
  nothing else. Who may not ask in this scene at all is told that, whatever the token: genuine ones are not told from others.
* The same token twice, or once in lower case, is two waybills of the request, like one number given twice. In answers
  that stay shut nothing ties two tokens of one waybill (from two months) together.
* Tokens of a request that is larger than any scene may allow are not even read.
* A genuine token takes a little longer to refuse than a made-up one, for its parcel is looked up. Who may ask is told that
  difference anyway (``no-such-token``); of two genuine ones, time tells no more than it does in looks at two numbers.

Tokens are read anew whenever the key ring was: a month that another process destroyed a moment ago is gone here too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from parcelveil.errors import InputError, KeyAccessError
from parcelveil.reveal.cases import Case, checked
from parcelveil.reveal.request import Request, Scan
from parcelveil.reveal.scenes import MOST_BATCH
from parcelveil.seal import token
from parcelveil.seal.keyring import KeyRing

#: Seconds between two readings of the key ring on account of months that it does not know: anybody can forge those.
_PATIENCE = 1.0


def scan_of(request: Request) -> Scan:
    """The request as a scan. Raises TypeError when it is no request."""
    checked(request)
    return Scan(**{name: getattr(request, name) for name in Request.__struct_fields__})


class TokenReader:
    """Puts numbers in the place of tokens. As little shared between threads as the ring is."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._not_before = 0.0

    def name(self, cases: Sequence[Case]) -> None:
        """Give the scans among ``cases`` their waybill numbers."""
        scans = [case for case in cases if case.tokens and case.asked <= MOST_BATCH]
        if not scans:
            return
        self._follow({found.period for case in scans for text in case.tokens if (found := token.read(text))})
        try:
            numbers = [self._numbers(case) for case in scans]
        except KeyAccessError:
            self._ring.refresh()  # another process has rotated, and destroyed what this one would unwrap with
            numbers = [self._numbers(case) for case in scans]
        for case, named in zip(scans, numbers, strict=True):
            case.name(named)

    def tried(self, case: Case) -> Case:
        """The case, named where that is possible: for the log of an attempt that failed."""
        with suppress(Exception):
            self.name([case])
        return case

    @staticmethod
    def untold(case: Case, error: Exception) -> Exception:
        """The error, or, of a scan whose numbers it names, another one: who scanned does not know them yet."""
        if case.tokens and any(number and number in str(error) for number in case.waybills):
            return InputError("the sealed waybills could not be read", hint="ask whoever runs the desk")
        return error

    def _numbers(self, case: Case) -> list[str | None]:
        return [self._ring.open_token(text) for text in case.tokens]  # type: ignore[arg-type]  # it takes anything

    def _follow(self, periods: set[int]) -> None:
        """Read the ring again when a month is named that another process may have begun."""
        if periods - set(self._ring.periods(token.PURPOSE)) and time.monotonic() >= self._not_before:
            self._ring.refresh()
            self._not_before = time.monotonic() + _PATIENCE
