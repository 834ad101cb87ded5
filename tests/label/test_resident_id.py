"""The check digit of resident identity numbers."""

from __future__ import annotations

import doctest

from parcelveil.label import resident_id


def test_examples() -> None:
    assert doctest.testmod(resident_id).failed == 0
