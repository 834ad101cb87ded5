"""``parcelveil staff``: who works here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli.asking import refuse_words
from parcelveil.cli.language import say
from parcelveil.cli.output import listed, whole_file
from parcelveil.cli.terminal import Where, summary
from parcelveil.errors import UsageError

if TYPE_CHECKING:
    from parcelveil.reveal.scenes import Scenes
    from parcelveil.reveal.staff import Hired

app = App(
    name="staff",
    help="The register of staff and their devices. Who is not in it sees nothing.",
    error_formatter=refuse_words,
)


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

    hired = Hired(number, frozenset(role), frozenset(outlet or []), not suspended)
    _put(lambda _: [hired], where, as_json=json)


@app.command
def load(file: str, /, *, json: bool = False, where: Where | None = None) -> None:
    """Add or change many from a table with the columns number, roles, outlets, active (工号 角色 网点 在岗).

    Example: parcelveil staff load staff.csv

    Roles and outlets are separated by blanks or semicolons; active is yes or no (是, 否), and yes where it is empty.
    All of it is taken, or nothing.

    Parameters
    ----------
    file
        CSV, XLSX, JSON lines, Parquet … as 'seal' reads them; - for standard input.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.cli.staff_list import read_staff

    _put(lambda scenes: read_staff(file, scenes), where, as_json=json)


def _put(list_of: Callable[[Scenes], list[Hired]], where: Where | None, *, as_json: bool) -> None:
    """Enter a list, which may need the scenes in force to be read, into the register."""
    from parcelveil.reveal.rulebook import Rulebook
    from parcelveil.reveal.staff import put

    with (where or Where()).open() as workspace:
        with workspace.store.reading() as tx:
            scenes = Rulebook.of(tx).scenes
        added, changed = put(workspace.log, scenes, list_of(scenes))
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

    if output is None and "/" in device:
        raise UsageError("the device's id is no file name", hint="say where the key goes with -o FILE")
    path = output or f"{device}.key"
    with whole_file(path, private=True) as file, (where or Where()).open() as workspace:
        file.write(enrol_device(workspace.log, number, device).hex().encode() + b"\n")
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

    ask(f"Forget {number} for good?", yes, why="this cannot be undone")
    with (where or Where()).open() as workspace:
        forget_member(workspace.log, number)
        workspace.store.settle()
    print(say("forgotten"))


@app.command(name="list")
def list_(*, json: bool = False, where: Where | None = None) -> None:
    """List the register: numbers, handles, roles, outlets, devices."""
    with (where or Where()).open() as workspace, workspace.store.reading() as tx:
        devices = tx.devices()
        rows = [
            {
                "number": row.number,
                "handle": row.handle,
                "roles": row.roles.split(),
                "outlets": row.outlet.split(),
                "active": row.active,
                "devices": sorted(d.device for d in devices if d.handle == row.handle),
            }
            for row in tx.staff()
        ]
    listed(rows, say("nobody is registered yet; add somebody with 'parcelveil staff add'"), as_json=json)
