"""Work events, what a carrier's people do with parcels, and access events, what they look at.

One event is a :class:`Work`; many are an Arrow batch of schema :data:`WORK`::

    >>> scan = Work(event_id="S-1", event_time=datetime(2026, 11, 23, 8, tzinfo=UTC), biz_step=BizStep.ARRIVED,
    ...             waybill_no="YT1", outlet="021007")
    >>> work_batch([scan]).select(["biz_step", "waybill_no", "outlet"]).to_pylist()
    [{'biz_step': 'arrived', 'waybill_no': 'YT1', 'outlet': '021007'}]
    >>> works(work_batch([scan])) == [scan]
    True

The model is a subset of EPCIS 2.0's ObjectEvent (GS1 and ISO/IEC 19987) with the carrier's own columns beside it:

==============  ===========================  ===========================================================================
column          EPCIS 2.0                    what it says
==============  ===========================  ===========================================================================
event_id        eventID                      the event's own name; breaks ties
event_time      eventTime                    when it happened: microseconds, UTC
biz_step        bizStep                      what happened, one of :class:`BizStep`
emsevt          (none)                       UPU EMSEVT code as the carrier sent it, three capital letters
waybill_no      epcList                      the parcel
outlet          readPoint                    where it happened
to_outlet       destinationList              where the parcel goes from there
route_id        (none)                       the delivery route
actor           (none)                       staff number of who did it; where somebody holds the parcel or route
                                             afterwards, of the holder
device          (none)                       scanner or terminal
ticket          bizTransactionList           the service ticket
==============  ===========================  ===========================================================================

**There is no free text and no personal field**: identifiers only, of at most :data:`LONGEST` bytes, without control
characters. Rows as carriers have them become such batches in :mod:`parcelveil.intake.work`; how they open or close
access is in :mod:`parcelveil.reveal.custody`.

**Staff numbers and outlets** are the same when they are so :func:`folded`. That a number is written in two other ways
(``cs1``, ``cs-01``) nobody can see here: every system that sends events must write it as the register of staff does. The
actor :data:`CUSTOMER` is nobody of the staff: who opened a ticket himself, by hotline or app::

    >>> folded(" CS-1 "), folded("客户")
    ('cs-1', 'customer')
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
import pyarrow as pa

from parcelveil.waybill import SCHEMA_KEY

WORK_VERSION = "work.v1"
ACCESS_VERSION = "access.v1"
ACCOUNT_VERSION = "account.v1"

#: Bytes that an identifier may have.
LONGEST = 64

#: The actor that is the customer, not one of the staff; ``客户`` says the same.
CUSTOMER = "customer"
_CUSTOMER_CN = "客户"


class BizStep(StrEnum):
    """What happened. **The order breaks ties**: of two events of one moment the later in this list counts.

    So a parcel that was, by the clock, scanned in and out at one moment is out: the step that gives less access wins.
    Only a route that is released and assigned anew at one moment is assigned, because that is how handing over looks.
    """

    #: ``actor`` will collect the parcel; ends with any event of a parcel that exists: ``posted`` and the seven below it.
    PICKUP_ASSIGNED = "pickup_assigned"
    #: The carrier has taken it over at (or for) ``outlet``.
    POSTED = "posted"
    #: It is at ``outlet``.
    ARRIVED = "arrived"
    #: It lies at ``outlet`` for customs.
    CUSTOMS_HELD = "customs_held"
    #: ``actor``, or whoever has ``route_id`` at the time, carries it from ``outlet`` to the door.
    OUT_FOR_DELIVERY = "out_for_delivery"
    #: Nobody was there, or the parcel was refused; the courier still has it.
    ATTEMPTED = "attempted"
    #: It has left ``outlet``, for ``to_outlet``.
    DEPARTED = "departed"
    #: It was handed back, or has been sent on its way back; what follows are events like any other.
    RETURNED = "returned"
    #: The recipient, or who takes it for him, has it.
    DELIVERED = "delivered"
    #: Nobody has ``route_id`` from now on.
    ROUTE_RELEASED = "route_released"
    #: ``actor`` has ``route_id`` from now on, until another has it or it is released.
    ROUTE_ASSIGNED = "route_assigned"
    #: ``ticket`` about ``waybill_no``; ``actor`` opened it: somebody of the staff, or :data:`CUSTOMER` for the customer
    #: himself. Without an actor nobody knows who opened it, and it explains nothing to anybody.
    TICKET_OPENED = "ticket_opened"
    #: ``ticket`` is closed, for all its waybills.
    TICKET_CLOSED = "ticket_closed"
    #: A customer called; explains a look, and gives no access by itself.
    INBOUND_CALL = "inbound_call"
    #: ``actor``, a partner with an account of its own, has ordered the carriage; explains its looks, and gives no access.
    ORDERED = "ordered"


#: The steps that say where a parcel is.
POSITIONS = (
    BizStep.POSTED,
    BizStep.ARRIVED,
    BizStep.CUSTOMS_HELD,
    BizStep.OUT_FOR_DELIVERY,
    BizStep.ATTEMPTED,
    BizStep.DEPARTED,
    BizStep.RETURNED,
    BizStep.DELIVERED,
)

#: What a step cannot be without.
NEEDED: dict[BizStep, tuple[str, ...]] = {
    **dict.fromkeys(POSITIONS, ("waybill_no",)),
    BizStep.PICKUP_ASSIGNED: ("waybill_no", "actor"),
    BizStep.ROUTE_ASSIGNED: ("route_id", "actor"),
    BizStep.ROUTE_RELEASED: ("route_id",),
    BizStep.TICKET_OPENED: ("ticket", "waybill_no"),
    BizStep.TICKET_CLOSED: ("ticket",),
    BizStep.INBOUND_CALL: (),
    BizStep.ORDERED: ("waybill_no", "actor"),
}

#: UPU EMSEVT item events (UPU messaging standard M40). An event without a step of its own takes it from here.
EMSEVT: dict[str, BizStep] = {
    "EMA": BizStep.POSTED,
    "EMB": BizStep.ARRIVED,  # outward office of exchange
    "EMC": BizStep.DEPARTED,
    "EMD": BizStep.ARRIVED,  # inward office of exchange
    "EME": BizStep.CUSTOMS_HELD,
    "EMF": BizStep.DEPARTED,
    "EMG": BizStep.ARRIVED,  # office of delivery
    "EMH": BizStep.ATTEMPTED,
    "EMI": BizStep.DELIVERED,
}

#: EPCIS 2.0 bizStep values (GS1 Core Business Vocabulary) that say one of our steps without doubt. The others
#: (``accepting`` is the carrier's taking over as well as the recipient's) need an EMSEVT code beside them.
EPCIS: dict[str, BizStep] = {
    "collecting": BizStep.POSTED,
    "arriving": BizStep.ARRIVED,
    "receiving": BizStep.ARRIVED,
    "holding": BizStep.CUSTOMS_HELD,
    "departing": BizStep.DEPARTED,
    "shipping": BizStep.DEPARTED,
}

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e]*$")]
UtcTime = Annotated[datetime, msgspec.Meta(tz=True)]


class Work(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One work event. Columns that say nothing are None; what each step needs is in :data:`NEEDED`."""

    event_id: Id
    event_time: UtcTime
    biz_step: BizStep
    emsevt: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] | None = None
    waybill_no: Id | None = None
    outlet: Id | None = None
    to_outlet: Id | None = None
    route_id: Id | None = None
    actor: Id | None = None
    device: Id | None = None
    ticket: Id | None = None


#: Batches of work events: the fields of :class:`Work`, in its order.
WORK = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("biz_step", pa.string(), nullable=False),
        pa.field("emsevt", pa.string()),
        pa.field("waybill_no", pa.string()),
        pa.field("outlet", pa.string()),
        pa.field("to_outlet", pa.string()),
        pa.field("route_id", pa.string()),
        pa.field("actor", pa.string()),
        pa.field("device", pa.string()),
        pa.field("ticket", pa.string()),
    ],
    metadata={SCHEMA_KEY: WORK_VERSION.encode()},
)

#: When an event reached the carrier's systems; a column that batches of :data:`WORK` may have besides.
RECEIVED_AT = pa.field("received_at", pa.timestamp("us", tz="UTC"))

#: Bits of the column ``fields`` of :data:`ACCESS`.
SEEN_FIELDS = {"name": 1, "phone": 2, "address": 4, "other": 8}

#: What somebody looked at, one row a parcel (an export without a list of its parcels is one row). Columns may also come
#: dictionary-encoded. ``event_id`` is the source's own number of the event, unique in the source.
ACCESS = pa.schema(
    [
        pa.field("event_id", pa.uint64(), nullable=False),
        pa.field("event_time", pa.timestamp("us", tz="UTC"), nullable=False),  # by the clock of who recorded it
        RECEIVED_AT,  # null: at event_time
        pa.field("actor", pa.string(), nullable=False),  # the account
        pa.field("role", pa.string()),  # courier, clerk, sorter, service, analyst, admin, owner, partner, or another
        pa.field("outlet", pa.string()),  # where the account belongs at that time
        pa.field("device", pa.string()),
        pa.field("network", pa.string()),  # prefix of the IP address, or number of the autonomous system
        pa.field("channel", pa.string()),  # app, web, api, export, label, track (the public tracking page)
        pa.field("action", pa.string()),  # reveal, search, list, export, print
        pa.field("waybill_no", pa.string()),  # null: a search that found nothing, or a bulk export
        pa.field("subject", pa.uint64()),  # pseudonym of the recipient's phone, where it is known
        pa.field("records", pa.uint32(), nullable=False),  # 1; of a bulk export its rows
        pa.field("fields", pa.uint16(), nullable=False),  # SEEN_FIELDS that were shown in full; 0: masked only
        pa.field("outcome", pa.string(), nullable=False),  # ok, denied, notfound
        pa.field("ticket", pa.string()),
    ],
    metadata={SCHEMA_KEY: ACCESS_VERSION.encode()},
)

#: The accounts as the carrier's own register has them; one row an account.
ACCOUNT = pa.schema(
    [
        pa.field("actor", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("outlet", pa.string()),
        pa.field("region", pa.string()),
        pa.field("owner", pa.string()),  # whoever the account answers for, where one person has several
        pa.field("opened_at", pa.timestamp("us", tz="UTC")),
        pa.field("changed_at", pa.timestamp("us", tz="UTC")),  # password, device or role last changed
        pa.field("leaves_at", pa.timestamp("us", tz="UTC")),  # notice was given: the last day
        pa.field("shift_start", pa.int16()),  # minutes of the local day, null: no fixed shift
        pa.field("shift_end", pa.int16()),  # may be after 1440: past midnight
    ],
    metadata={SCHEMA_KEY: ACCOUNT_VERSION.encode()},
)


def folded(name: str) -> str:
    """A staff number or outlet as it is compared: without blanks around it, in small letters, the customer as one word."""
    name = name.strip().lower()
    return CUSTOMER if name == _CUSTOMER_CN else name


def work_batch(events: Iterable[Work]) -> pa.RecordBatch:
    """``events`` as one batch of :data:`WORK`."""
    rows = [{name: getattr(event, name) for name in WORK.names} | {"biz_step": str(event.biz_step)} for event in events]
    return pa.RecordBatch.from_arrays(
        [pa.array([row[field.name] for row in rows], field.type) for field in WORK], schema=WORK
    )


def works(batch: pa.RecordBatch) -> list[Work]:
    """The events of a batch of :data:`WORK`. Raises msgspec.ValidationError for a row that is none."""
    rows = [row | {"event_time": row["event_time"].astimezone(UTC)} for row in batch.to_pylist()]
    return msgspec.convert(rows, list[Work])
