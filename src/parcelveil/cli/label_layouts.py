"""``parcelveil label layouts``: the layouts that come with the package, and a copy of one to change."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from parcelveil.cli.language import say
from parcelveil.cli.output import listed, whole_file
from parcelveil.cli.terminal import summary
from parcelveil.errors import UsageError


def layouts(
    *,
    copy: str | None = None,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    fields: bool = False,
    json: bool = False,
) -> None:
    """List the layouts, or copy one to change it.

    Example: parcelveil label layouts --copy 100x150 -o ours.toml

    Parameters
    ----------
    copy
        Name of the layout to copy, one of those that come with the package.
    output
        File to write it to.
    fields
        List what a layout can show instead.
    json
        As JSON.
    """
    from parcelveil.label.layout import FIELDS, FOLDER, load, names

    if copy is None and output is not None:
        raise UsageError("which layout shall be copied?", hint="give --copy NAME")
    if copy is not None:
        if copy not in names():
            raise UsageError(
                "there is no layout {name} to copy", hint="there are: {known}", name=copy, known=", ".join(names())
            )
        if output is None:
            raise UsageError("where shall the copy go?", hint="give -o FILE.toml")
        with whole_file(output, force=None) as file:
            file.write((FOLDER / f"{copy}.toml").read_bytes())
        summary(
            {"layout": copy, "output": output},
            [say("{name} is copied into {file}").format(name=copy, file=output)],
            as_json=json,
        )
    elif fields:
        listed([{"field": name, "what": say(what)} for name, what in FIELDS.items()], "", as_json=json)
    else:
        known = [load(name) for name in names()]
        rows = [
            {"layout": one.name, "width_mm": one.width_mm, "height_mm": one.height_mm, "languages": list(one.languages)}
            for one in known
        ]
        listed(rows, "", as_json=json)
