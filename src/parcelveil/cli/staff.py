"""``parcelveil staff``: who works here."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli.language import say
from parcelveil.cli.reveal import listed
from parcelveil.cli.terminal import Where, summary
from parcelveil.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from parcelveil.reveal.staff import Hired

app = App(name="staff", help="The register of staff and their devices. Who is not in it sees nothing.")


@app.command
def add(
    number: str,
    /,
    *,
    role: list[str],
    outlet: list[str] | None = None,
    suspended: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Add a member of staff, or change one.

    Example: parcelveil staff add c-104 --role courier --outlet 310-A12

    Parameters
    ----------
    number
        The carrier's staff number.
    role
        What they do (may be repeated); 'parcelveil scenes list --roles' shows the roles.
    outlet
        Where (may be repeated).
    suspended
        They may do nothing for now.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.reveal.staff import Hired

    _put([Hired(number, frozenset(role), frozenset(outlet or []), not suspended)], where, as_json=json)


@app.command
def load(file: str, /, *, json: bool = False, where: Where | None = None) -> None:
    """Add or change many: a CSV file with the columns number, roles, outlets, active.

    Example: parcelveil staff load staff.csv

    Roles and outlets are separated by blanks; active is yes or no, and yes where it is empty. All of it or nothing.

    Parameters
    ----------
    file
        The CSV file (UTF-8).
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.reveal.staff import Hired

    try:
        text = Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "{file} cannot be read: {why}", hint="it must be UTF-8", file=file, why=type(error).__name__
        ) from None
    reader = csv.DictReader(io.StringIO(text))
    if not {"number", "roles"} <= set(reader.fieldnames or []):
        raise InputError(
            "{file} has no columns number and roles", hint="columns: number,roles,outlets,active", file=file
        )
    hired = []
    for row in reader:
        active = (row.get("active") or "yes").strip().lower()
        if active not in ("yes", "no", "1", "0", "true", "false"):
            raise InputError("{file}, row {row}: active is yes or no", file=file, row=reader.line_num)
        roles, outlets = (frozenset((row.get(name) or "").split()) for name in ("roles", "outlets"))
        hired.append(Hired((row["number"] or "").strip(), roles, outlets, active in ("yes", "1", "true")))
    _put(hired, where, as_json=json)


def _put(hired: list[Hired], where: Where | None, *, as_json: bool) -> None:
    from parcelveil.reveal.rulebook import Rulebook
    from parcelveil.reveal.staff import put

    with (where or Where()).open() as workspace:
        with workspace.store.transaction() as tx:
            scenes = Rulebook.of(tx).scenes
        added, changed = put(workspace.log, scenes, hired)
    lines = [say("{added} added, {changed} changed").format(added=added, changed=changed)]
    summary({"added": added, "changed": changed}, lines, as_json=as_json)


@app.command
def enrol(
    number: str,
    device: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    where: Where | None = None,
) -> None:
    """Enrol a device for a member of staff; its key is written to a file, once, and kept nowhere else.

    Example: parcelveil staff enrol c-104 pda-7 -o pda-7.key

    Parameters
    ----------
    number
        Whose device.
    device
        The device's id.
    output
        Where the key goes: a new file, readable for its owner only. Default: DEVICE.key
    """
    from parcelveil.reveal.staff import enrol as enrol_device

    path = Path(output or f"{device}.key")
    if "/" in device and output is None:
        raise UsageError("the device's id is no file name", hint="say where the key goes with -o FILE")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OutputError(
            "{file} cannot be made: {why}", hint="keys are never overwritten", file=str(path), why=error.strerror
        ) from None
    try:
        with os.fdopen(fd, "w") as file, (where or Where()).open() as workspace:
            file.write(enrol_device(workspace.log, number, device).hex() + "\n")
    except BaseException:
        path.unlink()
        raise
    print(say("enrolled {device}; its key is in {file}").format(device=device, file=path))


@app.command
def withdraw(device: str, /, *, where: Where | None = None) -> None:
    """Withdraw a device that was lost, stolen or handed on.

    Parameters
    ----------
    device
        The device's id.
    """
    from parcelveil.reveal.staff import withdraw as withdraw_device

    with (where or Where()).open() as workspace:
        withdraw_device(workspace.log, device)
    print(say("withdrew {device}").format(device=device))


@app.command
def forget(number: str, /, *, yes: bool = False, where: Where | None = None) -> None:
    """Forget a member of staff: nobody can tell any more whose looks theirs were. This cannot be undone.

    Parameters
    ----------
    number
        The staff number.
    yes
        Do not ask.
    """
    from parcelveil.cli.erase import ask
    from parcelveil.reveal.staff import forget as forget_member

    ask(f"Forget {number} for good?", yes)
    with (where or Where()).open() as workspace:
        forget_member(workspace.log, number)
        workspace.store.settle()
    print(say("forgotten"))


@app.command(name="list")
def list_(*, json: bool = False, where: Where | None = None) -> None:
    """List the register: numbers, handles, roles, outlets, devices."""
    with (where or Where()).open() as workspace, workspace.store.transaction() as tx:
        devices = tx.devices()
        rows = [
            {
                "number": row.number,
                "handle": row.handle,
                "roles": row.roles,
                "outlets": row.outlet,
                "active": "yes" if row.active else "no",
                "devices": " ".join(d.device for d in devices if d.handle == row.handle),
            }
            for row in tx.staff()
        ]
    listed(rows, say("nobody is registered yet; add somebody with 'parcelveil staff add'"), as_json=json)
