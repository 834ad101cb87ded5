"""``parcelveil scenes`` and ``parcelveil policy``: what may be seen for which purpose, and who decides that."""

from __future__ import annotations

import json as json_format
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from parcelveil.cli.asking import What, Who, refuse_words, waybills
from parcelveil.cli.language import language, say
from parcelveil.cli.log_source import state
from parcelveil.cli.output import listed, whole_file, wrapped, writable_folder
from parcelveil.cli.terminal import Where, summary
from parcelveil.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from parcelveil.reveal.scenes import Scene, Scenes

scenes_app = App(
    name="scenes",
    help="The purposes for which personal data may be seen, and their limits.",
    error_formatter=refuse_words,
)
policy_app = App(
    name="policy", help="The rules in force: check, explain, change them (two people).", error_formatter=refuse_words
)

#: The three documents of a policy, as files.
FILES = ("scenes.toml", "policy.cedar", "schema.cedarschema")
_MOST_BYTES = 1_000_000


def _documents(folder: str, present: tuple[str, str, str] | None = None) -> tuple[str, str, str]:
    """The three documents in a folder; what is missing there is as at present, else as the package has it."""
    from parcelveil.reveal.policy import default_documents

    paths = [Path(folder, name) for name in FILES]
    if not any(path.exists() for path in paths):
        raise InputError(
            "{folder} holds no policy", hint="'parcelveil policy show -o {folder}' writes one", folder=folder
        )
    documents = present or default_documents()
    texts = [_read(path) if path.exists() else given for path, given in zip(paths, documents, strict=True)]
    return texts[0], texts[1], texts[2]


def _read(path: Path) -> str:
    """A document of bounded size; what is larger is refused by whoever parses it."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            "{file} cannot be read: {why}", hint="check the path", file=str(path), why=error.strerror
        ) from None
    except UnicodeDecodeError:
        raise InputError("{file} is not UTF-8 text", hint="save it as UTF-8", file=str(path)) from None


@scenes_app.command(name="list")
def scenes_list(*, roles: bool = False, json: bool = False, where: Where | None = None) -> None:
    """List the scenes in force: who may see what, where the parcel has to be, how often. Needs no passphrase.

    Parameters
    ----------
    roles
        List the roles instead, and which two no one person may hold.
    json
        As JSON.
    """
    from parcelveil.reveal.rulebook import Rulebook

    with state((where or Where()).workspace) as tx:
        scenes = Rulebook.of(tx).scenes
    if roles:
        listed(_roles(scenes), "", as_json=json)
    elif json:
        print(json_format.dumps([_facts(scene) for scene in scenes], ensure_ascii=False))
    else:
        print("\n\n".join(_described(scene) for scene in scenes))


def _roles(scenes: Scenes) -> list[dict[str, Any]]:
    chinese = language() == "zh"
    return [
        {
            "role": name,
            "means": role.zh if chinese else role.en,
            "outlet": role.outlet,
            "never with": sorted({one for pair in scenes.exclusive if name in pair for one in pair} - {name}),
        }
        for name, role in scenes.roles.items()
    ]


def _facts(scene: Scene) -> dict[str, Any]:
    """A scene as JSON says it."""
    return {
        "scene": scene.name,
        "purpose": {"en": scene.en, "zh": scene.zh},
        "action": scene.action,
        "forms": scene.forms,
        "needs": scene.needs,
        "batch": scene.batch,
        "quota_actor_day": scene.quota_actor_day,
        "quota_outlet_day": scene.quota_outlet_day or None,
        "approval_minutes": scene.approval_minutes or None,
        "roles": {role: {"custody": terms.custody, "fields": terms.fields} for role, terms in scene.roles.items()},
    }


def _described(scene: Scene) -> str:
    """A scene in lines: its purpose, its limits, and who sees what where."""
    from parcelveil.reveal.scenes import FIELDS

    limits = [say("{count} a request").format(count=f"{scene.batch:,}")]
    limits.append(say("{count} a person and day").format(count=f"{scene.quota_actor_day:,}"))
    if scene.quota_outlet_day:
        limits.append(say("{count} an outlet and day").format(count=f"{scene.quota_outlet_day:,}"))
    needs = [f"{need} ({scene.approval_minutes} min)" if need == "second_person" else need for need in scene.needs]
    lines = [f"{scene.name}: {scene.purpose(language())}", f"  {'/'.join(scene.forms)}; {', '.join(limits)}"]
    if needs:
        lines[-1] += "; " + say("needs {needs}").format(needs=" + ".join(needs))
    for role, terms in scene.roles.items():
        fields = say("all personal fields") if terms.fields == FIELDS else " ".join(terms.fields)
        custody = "/".join(terms.custody) or say("any parcel")
        head = f"  {role:<17} {custody}: "
        lines.append(wrapped(fields, head, " " * 20))
    return "\n".join(lines)


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

    scenes = parse_scenes(_read(file))
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
def show(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    version: int | None = None,
    where: Where | None = None,
) -> None:
    """Print the policy in force, or write its three documents into a folder, to change and propose them.

    Needs no passphrase.

    Example: parcelveil policy show --output rules

    Parameters
    ----------
    output
        Folder for the three documents; existing ones are kept.
    version
        Another version.
    """
    from parcelveil.reveal.rulebook import in_force

    with state((where or Where()).workspace) as tx:
        rows = {row.version: row for row in [in_force(tx), *tx.policies()]}
        row = in_force(tx) if version is None else rows.get(version)
    if row is None:
        raise UsageError("there is no version {version}", hint="see 'parcelveil policy list'", version=version)
    texts = (row.scenes, row.policy, row.schema)
    if output is None:
        print(f"# version {row.version}, {row.state}")
        print("\n".join(texts))
        return
    for name in FILES:
        if (output / name).exists():
            raise OutputError("{file} exists already", hint="choose another folder", file=str(output / name))
    writable_folder(output)
    with ExitStack() as all_or_none:
        files = [all_or_none.enter_context(whole_file(output / name)) for name in FILES]
        for file, text in zip(files, texts, strict=True):
            file.write(text.encode())
    print(say("wrote version {version} to {folder}").format(version=row.version, folder=output))


@policy_app.command(name="list")
def list_(*, json: bool = False, where: Where | None = None) -> None:
    """List the versions: in force, proposed, replaced, rejected. Needs no passphrase."""
    from parcelveil.reveal.rulebook import in_force

    with state((where or Where()).workspace) as tx:
        rows = tx.policies() or [in_force(tx)]
    listed(
        [{"version": r.version, "state": r.state, "author": r.author, "approver": r.approver} for r in rows],
        "",
        as_json=json,
    )


@policy_app.command
def propose(folder: str, /, *, who: Who | None = None, json: bool = False, where: Where | None = None) -> None:
    """Propose a changed policy. It is in force only when somebody else has approved it.

    Example: parcelveil policy propose rules --as p-1 --device d-1 --device-key d-1.key

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
        with workspace.store.reading() as tx:
            row = in_force(tx)
        documents = _documents(folder, (row.scenes, row.policy, row.schema))
        version = put_forward(workspace.log, documents, (who or Who()).credentials("policy_author"))
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

    Example: parcelveil policy approve 2 --as p-2 --device d-2 --device-key d-2.key

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
        receipt = decide(workspace.log, version, (who or Who()).credentials("policy_approver"), reject=reject)
    text = say("version {version} is rejected") if reject else say("version {version} is in force")
    summary({"version": version, "receipt": receipt}, [text.format(version=version)], as_json=json)


@policy_app.command
def explain(
    *numbers: str, what: What | None = None, who: Who | None = None, json: bool = False, where: Where | None = None
) -> None:
    """Say in words why a request would be allowed or refused. Opens nothing, counts nothing; that it was asked is logged.

    Example: parcelveil policy explain YT0000000000001 --scene deliver --as c-104 --role courier --outlet 310-A12

    Parameters
    ----------
    numbers
        Waybill numbers; - reads them from standard input, one a line.
    what
        What would be asked for.
    who
        Who would ask.
    json
        As JSON.
    """
    asked = waybills(numbers)
    with (where or Where()).open() as workspace:
        request = (what or What()).request(asked, who or Who(), workspace)
        words = workspace.desk().explain(request, language())
    if json:
        print(json_format.dumps([{"waybill": number, "why": lines} for number, lines in words], ensure_ascii=False))
        return
    for number, lines in words:
        print("\n".join([wrapped(number), *(wrapped(line, "  ", "    ") for line in lines)]))
