"""Resident identity numbers of China (GB 11643-1999): the check digit, and whether a month and day can be a birthday.

::

    >>> checks("11010519491231002X"), checks("110105194912310021"), dated("1231"), dated("1332")
    (True, False, True, False)
"""

from __future__ import annotations

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def checks(number: str) -> bool:
    """Whether the last of 18 characters, seventeen digits and a digit or ``X``, is the check digit of the others."""
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17]


def dated(month_day: str) -> bool:
    """Whether four digits are a month and a day."""
    return 1 <= int(month_day[:2]) <= 12 and 1 <= int(month_day[2:]) <= 31
