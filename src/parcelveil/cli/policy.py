"""``parcelveil scenes`` and ``parcelveil policy``: what may be seen for which purpose, and who decides that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from parcelveil.cli.language import language, say
from parcelveil.cli.reveal import What, Who, listed
from parcelveil.cli.terminal import Where, plain, summary, table
from parcelveil.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from parcelveil.reveal.scenes import Scenes

scenes_app = App(name="scenes", help="The purposes for which personal data may be seen, and their limits.")
policy_app = App(name="policy", help="The rules in force: check, explain, change them (two people).")

#: The three documents of a policy, as files.
FILES = ("scenes.toml", "policy.cedar", "schema.cedarschema")


def _documents(folder: str, present: tuple[str, str, str] | None = None) -> tuple[str, str, str]:
    """The three documents in a folder; what is missing there is as at present, else as the package has it."""
    from parcelveil.reveal.policy import default_documents

    texts = []
    for name, default in zip(FILES, present or default_documents(), strict=True):
        path = Path(folder, name)
        try:
            texts.append(path.read_text("utf-8") if path.exists() else default)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("{file} cannot be read: {why}", file=str(path), why=type(error).__name__) from None
    if not any(Path(folder, name).exists() for name in FILES):
        raise InputError(
            "{folder} holds no policy", hint="'parcelveil policy show -o {folder}' writes one", folder=folder
        )
    return texts[0], texts[1], texts[2]


@scenes_app.command(name="list")
def scenes_list(*, roles: bool = False, json: bool = False, where: Where | None = None) -> None:
    """List the scenes in force: who may see what, where the parcel has to be, how often.

    Parameters
    ----------
    roles
        List the roles instead, and which two no one person may hold.
    json
        As JSON.
    """
    from parcelveil.reveal.rulebook import Rulebook

    with (where or Where()).open() as workspace, workspace.store.transaction() as tx:
        scenes = Rulebook.of(tx).scenes
    listed(_roles(scenes) if roles else _scenes(scenes), "", as_json=json)


def _roles(scenes: Scenes) -> list[dict[str, str]]:
    chinese = language() == "zh"
    return [
        {
            "role": name,
            "means": role.zh if chinese else role.en,
            "outlet": "yes" if role.outlet else "",
            "not together with": ", ".join(
                sorted({one for pair in scenes.exclusive if name in pair for one in pair} - {name})
            ),
        }
        for name, role in scenes.roles.items()
    ]


def _scenes(scenes: Scenes) -> list[dict[str, str]]:
    from parcelveil.reveal.scenes import FIELDS

    rows = []
    for scene in scenes:
        for role, terms in scene.roles.items():
            rows.append(
                {
                    "scene": scene.name,
                    "role": role,
                    "sees": say("all personal fields") if terms.fields == FIELDS else " ".join(terms.fields),
                    "form": "/".join(scene.forms),
                    "custody": " or ".join(terms.custody) or "-",
                    "needs": " ".join(scene.needs) or "-",
                    "batch": str(scene.batch),
                    "a day": str(scene.quota_actor_day),
                    "outlet": str(scene.quota_outlet_day or "-"),
                }
            )
    return rows


@scenes_app.command(name="check")
def scenes_check(file: Path, /) -> None:
    """Check a scenes file.

    Example: parcelveil scenes check scenes.toml

    Parameters
    ----------
    file
        The file.
    """
    from parcelveil.reveal.scenes import parse_scenes

    try:
        scenes = parse_scenes(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("{file} cannot be read: {why}", file=str(file), why=type(error).__name__) from None
    print(say("{count} scenes, {roles} roles: they hold together").format(count=len(scenes), roles=len(scenes.roles)))


@policy_app.command
def check(folder: str, /) -> None:
    """Check scenes, policy and schema of a folder: syntax, schema, limits.

    Example: parcelveil policy check rules/

    Parameters
    ----------
    folder
        With scenes.toml, policy.cedar, schema.cedarschema; what is missing there is the default.
    """
    from parcelveil.reveal.policy import Policy

    policy = Policy(*_documents(folder))
    text = say("{rules} rules and {scenes} scenes hold together; digest {digest}")
    print(text.format(rules=len(policy.rules), scenes=len(policy.scenes), digest=policy.digest[:16]))


@policy_app.command
def show(*, output: Path | None = None, version: int | None = None, where: Where | None = None) -> None:
    """Print the policy in force, or write its three documents into a folder, to change and propose them.

    Example: parcelveil policy show --output rules

    Parameters
    ----------
    output
        Folder for the three documents; existing ones are kept.
    version
        Another version.
    """
    from parcelveil.reveal.rulebook import in_force

    with (where or Where()).open() as workspace, workspace.store.transaction() as tx:
        rows = {row.version: row for row in [in_force(tx), *tx.policies()]}
        row = in_force(tx) if version is None else rows.get(version)
    if row is None:
        raise UsageError("there is no version {version}", hint="see 'parcelveil policy list'", version=version)
    texts = (row.scenes, row.policy, row.schema)
    if output is None:
        print(f"# version {row.version}, {row.state}")
        print("\n".join(texts))
        return
    output.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (output / name).exists():
            raise OutputError("{file} exists already", hint="choose another folder", file=str(output / name))
    for name, text in zip(FILES, texts, strict=True):
        (output / name).write_text(text, "utf-8")
    print(say("wrote version {version} to {folder}").format(version=row.version, folder=output))


@policy_app.command(name="list")
def list_(*, json: bool = False, where: Where | None = None) -> None:
    """List the versions: in force, proposed, replaced, rejected."""
    from parcelveil.reveal.rulebook import in_force

    with (where or Where()).open() as workspace, workspace.store.transaction() as tx:
        rows = tx.policies() or [in_force(tx)]
    listed(
        [{"version": r.version, "state": r.state, "author": r.author, "approver": r.approver} for r in rows],
        "",
        as_json=json,
    )


@policy_app.command
def propose(folder: str, /, *, who: Who | None = None, json: bool = False, where: Where | None = None) -> None:
    """Propose a changed policy. It is in force only when somebody else has approved it.

    Example: parcelveil policy propose rules --as p-1 --role policy_author --device d-1 --device-key d-1.key

    Parameters
    ----------
    folder
        With scenes.toml, policy.cedar, schema.cedarschema; what is missing there stays as it is in force.
    who
        Who proposes.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.reveal.rulebook import in_force
    from parcelveil.reveal.rulebook import propose as put_forward

    with (where or Where()).open() as workspace:
        with workspace.store.transaction() as tx:
            row = in_force(tx)
        documents = _documents(folder, (row.scenes, row.policy, row.schema))
        version = put_forward(workspace.log, documents, (who or Who()).credentials())
    lines = [say("proposed as version {version}; another person approves it").format(version=version)]
    summary({"version": version}, lines, as_json=json)


@policy_app.command
def approve(
    version: int,
    /,
    *,
    reject: bool = False,
    who: Who | None = None,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Put a proposal in force, as another person than its author.

    Example: parcelveil policy approve 2 --as p-2 --role policy_approver --device d-2 --device-key d-2.key

    Parameters
    ----------
    version
        Of the proposal.
    reject
        Say no.
    who
        Who approves.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.reveal.rulebook import approve as decide

    with (where or Where()).open() as workspace:
        receipt = decide(workspace.log, version, (who or Who()).credentials(), reject=reject)
    text = say("version {version} is rejected") if reject else say("version {version} is in force")
    summary({"version": version, "receipt": receipt}, [text.format(version=version)], as_json=json)


@policy_app.command
def explain(*numbers: str, what: What | None = None, who: Who | None = None, where: Where | None = None) -> None:
    """Say in words why a request would be allowed or refused. Opens nothing, counts nothing.

    Example: parcelveil policy explain YT0000000000001 --scene deliver --as c-104 --role courier --outlet 310-A12

    Parameters
    ----------
    numbers
        Waybill numbers.
    what
        What would be asked for.
    who
        Who would ask.
    """
    if not numbers:
        raise UsageError("which waybills?", hint="give their numbers")
    with (where or Where()).open() as workspace:
        request = (what or What()).request(numbers, who or Who(), workspace)
        words = workspace.desk().explain(request, language())
    rows = [[number, plain(line)] for number, lines in words for line in lines]
    print(table([say("waybill"), say("why")], rows))
    sys.stdout.flush()
