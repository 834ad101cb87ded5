"""Rows of a day as numpy columns of codes.

::

    looks = AccessRows.of(3, time=times, actor=actors, waybill=serials)   # columns left out get their default
    both = AccessRows.join([looks, others])
    both.take(order)["actor"]

A row container is a dict of columns of one length. Codes are indices into the :class:`~.world.World`'s arrays, -1 says
none. Times are microseconds since 1970, UTC; ``time`` is by the clock of whoever recorded it, ``received`` by the
carrier's own clock; a row belongs to the day at which it was received. ``mark`` is -1 and never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from parcelveil.event import BizStep

Column = npt.NDArray[Any]

CHANNELS = ("app", "web", "api", "export", "label", "track")
ACTIONS = ("reveal", "search", "list", "export", "print")
OUTCOMES = ("ok", "denied", "notfound")
ROLES = ("courier", "clerk", "sorter", "service", "analyst", "admin", "owner", "partner")
STEPS = tuple(step.value for step in BizStep)

APP, WEB, API, EXPORT_FILE, LABEL, TRACK = range(6)
REVEAL, SEARCH, LIST, EXPORT, PRINT = range(5)
OK, DENIED, NOTFOUND = range(3)
COURIER, CLERK, SORTER, SERVICE, ANALYST, ADMIN, OWNER, PARTNER = range(8)
STEP = {step: code for code, step in enumerate(BizStep)}

NAME, PHONE, ADDRESS, OTHER = 1, 2, 4, 8
#: ``actor`` of work that the customer did himself.
CUSTOMER = -2


class Rows(dict[str, Column]):
    """Columns of one length; subclasses say which, with type and default."""

    COLUMNS: ClassVar[dict[str, tuple[Any, int]]] = {}

    @classmethod
    def of(cls, count: int, **columns: npt.ArrayLike) -> Self:
        """``count`` rows; a column may be one value for all. Raises KeyError for a column that there is not."""
        unknown = columns.keys() - cls.COLUMNS.keys()
        if unknown:
            raise KeyError(f"{cls.__name__} has no {sorted(unknown)}")
        rows = cls()
        for name, (kind, default) in cls.COLUMNS.items():
            value = np.asarray(columns.get(name, default))
            rows[name] = (
                value.astype(kind, copy=False) if value.shape == (count,) else np.full(count, value.astype(kind), kind)
            )
        return rows

    @classmethod
    def join(cls, parts: Iterable[Rows]) -> Self:
        """The rows of all ``parts``, in their order."""
        found: Sequence[Rows] = [part for part in parts if part.count]
        rows = cls()
        for name, (kind, _) in cls.COLUMNS.items():
            rows[name] = np.concatenate([part[name] for part in found]) if found else np.empty(0, kind)
        return rows

    def take(self, at: Column) -> Self:
        """Rows at positions, or where a mask is true."""
        rows = type(self)()
        if at.dtype == np.bool_:
            at = np.flatnonzero(at)
        for name, column in self.items():
            rows[name] = column.take(at)
        return rows

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self["time"])


_I8, _I16, _I32, _I64 = np.int8, np.int16, np.int32, np.int64


class AccessRows(Rows):
    """Looks. ``waybill`` is the serial number, ``subject`` the recipient's index, ``ticket`` the ticket's number."""

    COLUMNS: ClassVar[dict[str, tuple[Any, int]]] = {
        "time": (_I64, 0),
        "received": (_I64, 0),
        "actor": (_I32, -1),
        "outlet": (_I32, -1),  # where the account belongs that day: Day.outlet[actor]
        "device": (_I32, -1),
        "network": (_I32, -1),
        "channel": (_I8, APP),
        "action": (_I8, REVEAL),
        "waybill": (_I64, -1),
        "subject": (_I64, -1),
        "records": (_I32, 1),
        "fields": (_I16, NAME | PHONE | ADDRESS),
        "outcome": (_I8, OK),
        "ticket": (_I64, -1),
        "mark": (_I32, -1),
    }


class WorkRows(Rows):
    """Work. ``step`` is an index into :data:`STEPS`; ``actor`` may be :data:`CUSTOMER`."""

    COLUMNS: ClassVar[dict[str, tuple[Any, int]]] = {
        "time": (_I64, 0),
        "received": (_I64, 0),
        "step": (_I8, 0),
        "waybill": (_I64, -1),
        "outlet": (_I32, -1),
        "to_outlet": (_I32, -1),
        "route": (_I32, -1),
        "actor": (_I32, -1),
        "device": (_I32, -1),
        "ticket": (_I64, -1),
        "mark": (_I32, -1),
    }


#: Kinds of web requests: ``GET /track/<waybill>``, ``GET /api/v1/track?no=<waybill>``, ``POST /login``.
PAGE, QUERY, LOGIN = range(3)


class WebRows(Rows):
    """Requests to the public pages. ``ip`` is an IPv4 address as a number; ``agent`` an index into ``web.AGENTS``."""

    COLUMNS: ClassVar[dict[str, tuple[Any, int]]] = {
        "time": (_I64, 0),
        "ip": (_I64, 0),
        "kind": (_I8, PAGE),
        "account": (_I32, -1),  # of a login: whose it is
        "waybill": (_I64, -1),
        "status": (_I16, 200),
        "size": (_I32, 1500),
        "agent": (_I16, 0),
        "mark": (_I32, -1),
    }


class KeyRows(Rows):
    """Values that the key service opened: ``time`` is the start of an hour, ``system`` an index into ``web.SYSTEMS``."""

    COLUMNS: ClassVar[dict[str, tuple[Any, int]]] = {
        "time": (_I64, 0),
        "system": (_I8, 0),
        "values": (_I64, 0),
        "logged": (_I64, 0),
    }
