"""Events as integers: what all of ``watch`` and ``trace`` calculates with.

::

    coder = Coder(key)                               # 32 secret bytes: parcels become keyed pseudonyms
    accesses = coder.accesses(batch)                 # ACCESS -> CODED_ACCESS
    works = coder.works(batch)                       # WORK, with or without received_at -> CODED_WORK
    coder.names["actor"].text(accesses["actor"])     # and back

**Names** (accounts, outlets, devices, networks, routes, tickets) get a code by order of appearance, -1 for none. A
**parcel** becomes the first eight bytes of an AES-CMAC under the key, as a signed integer, never 0; 0 says that there is
none. Its ``serial`` is the number that it was issued under (digits of the waybill number, without letters and check
digit; -1 where it has none), so that walking through numbers stays visible after the pseudonym.

**Times** are microseconds since 1970. Clocks are off: a look counts at its own time only if that lies between twelve
hours before it was received and :data:`AHEAD` after, else at the time it was received; work counts at its own time
unless that lies more than an hour after it was received.
"""

from __future__ import annotations

import pyarrow as pa

HOUR = 3_600_000_000
DAY = 24 * HOUR
#: A look may be told of so much later. A day is settled when this has passed after its end.
GRACE = 12 * HOUR
#: A clock may be so much ahead.
AHEAD = 5 * 60_000_000

#: Codes of ``action``, ``outcome`` and ``channel``; what is none of them is the last.
ACTIONS = ("reveal", "search", "list", "export", "print", "other")
OUTCOMES = ("ok", "denied", "notfound", "other")
CHANNELS = ("app", "web", "api", "export", "label", "track", "other")

_I64, _I32, _I16, _I8 = pa.int64(), pa.int32(), pa.int16(), pa.int8()

CODED_ACCESS = pa.schema(
    [
        ("id", _I64),  # event_id, reinterpreted as signed
        ("time", _I64),
        ("received", _I64),
        ("actor", _I32),
        ("role", _I32),
        ("outlet", _I32),
        ("device", _I32),
        ("network", _I32),
        ("channel", _I8),
        ("action", _I8),
        ("outcome", _I8),
        ("fields", _I16),
        ("records", _I32),
        ("waybill", _I64),
        ("serial", _I64),
        ("subject", _I64),  # 0: not known
        ("ticket", _I32),
    ]
)

CODED_WORK = pa.schema(
    [
        ("id", _I64),  # a hash of event_id
        ("time", _I64),
        ("received", _I64),
        ("step", _I8),  # place in BizStep, from 1
        ("waybill", _I64),
        ("outlet", _I32),
        ("to_outlet", _I32),
        ("route", _I32),
        ("actor", _I32),  # code among the accounts; CUSTOMER_CODE: the customer
        ("device", _I32),
        ("ticket", _I32),
    ]
)
#: ``actor`` of work that the customer did himself.
CUSTOMER_CODE = -2
