"""A desk where people work: staff with devices, sealed parcels, and scans that say where the parcels are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cli.conftest import ROWS, Desk, Ran, csv_text

#: Who works here: number, role, outlet, device.
PEOPLE = {
    "c-104": ("courier", "310-A12", "pda-7"),
    "c-105": ("courier", "310-A12", "pda-8"),
    "cs-3": ("customer_service", "", "desk-3"),
    "i-1": ("investigator", "", "desk-4"),
    "m-1": ("approver", "", "desk-1"),
    "k-1": ("salt_keeper", "", "desk-2"),
    "p-1": ("policy_author", "", "desk-5"),
    "p-2": ("policy_approver", "", "desk-6"),
}
#: The parcel on c-104's route, and its recipient; the one on c-105's; one that was never scanned.
OWN, OTHERS, NOBODYS = "YT1", "YT2", "YT3"
NAME, PHONE = ROWS[0][1], ROWS[0][2]


@dataclass
class Office:
    """A desk with people."""

    desk: Desk

    def run(self, *words: str, stdin: bytes | None = None) -> Ran:
        return self.desk.run(*words, stdin=stdin)

    def by(self, number: str) -> tuple[str, ...]:
        """The words by which somebody speaks."""
        role, outlet, device = PEOPLE[number]
        where = ("--outlet", outlet) if outlet else ()
        return ("--as", number, "--role", role, *where, "--device", device, "--device-key", f"{device}.key")

    def look(self, *numbers: str, by: str = "c-104", scene: str = "deliver", more: tuple[str, ...] = ()) -> Ran:
        return self.run("reveal", *numbers, "--scene", scene, *self.by(by), *more)

    def json(self, *words: str, code: int = 0) -> Any:
        ran = self.run(*words, "--json")
        assert ran.code == code, (ran.code, ran.err)
        return json.loads(ran.out)

    def entries(self) -> int:
        """How long the log is."""
        return len(self.run("audit", "export").out.splitlines())


def open_office(desk: Desk, people: tuple[str, ...] = ("c-104",)) -> Office:
    """The office with these people; the couriers took their parcels an hour ago."""
    office = Office(desk)
    Path("orders.csv").write_text(csv_text(), "utf-8")
    Path("acme/sealed").mkdir(exist_ok=True)
    assert desk.run("seal", "orders.csv", "-o", "acme/sealed/day.parquet").code == 0
    staff = ["number,roles,outlets", *(f"{number},{PEOPLE[number][0]},{PEOPLE[number][1]}" for number in people)]
    Path("staff.csv").write_text("\n".join(staff) + "\n", "utf-8")
    assert desk.run("staff", "load", "staff.csv").code == 0
    for number in people:
        assert desk.run("staff", "enrol", number, PEOPLE[number][2]).code == 0
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    scans = [
        "运单号,扫描时间,扫描类型,网点,快递员工号,工单号",
        f"{OWN},{at},派件,310-A12,c-104,",
        f"{OTHERS},{at},派件,310-A12,c-105,",
        f"{OWN},{at},工单创建,,x-9,T-77",
    ]
    Path("scans.csv").write_text("\n".join(scans) + "\n", "utf-8")
    assert desk.run("reveal", "load-work", "scans.csv").code == 0
    return office
