"""``parcelveil audit witness``: watches somebody else's log. Needs no workspace."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli.language import say
from parcelveil.cli.terminal import summary
from parcelveil.errors import ForkError, LogError, UsageError

if TYPE_CHECKING:
    from parcelveil.audit.witness import Observation

app = App(
    name="witness", help="Watch a log from elsewhere: cosign what is consistent, raise an alarm on rollback or fork."
)


@app.command
def init(folder: Path, /, *, name: str) -> None:
    """Make a witness: a folder with a key of its own.

    Example: parcelveil audit witness init w1 --name regulator.example/w1

    Parameters
    ----------
    folder
        Where; made if it does not exist.
    name
        Its name, a host and a word.
    """
    from parcelveil.audit.witness import Witness

    witness = Witness.create(folder, name)
    print(say("made witness {name}; its key for others is in {file}").format(name=name, file=folder / "witness.vkey"))
    print(str(witness.key))


@app.command
def trust(folder: Path, key: Path, /) -> None:
    """Watch a log, by its verifier key.

    Example: parcelveil audit witness trust w1 log.vkey

    Parameters
    ----------
    folder
        The witness's folder.
    key
        The log's log.vkey, got by a way you trust.
    """
    from parcelveil.audit.witness import Witness

    try:
        text = key.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        raise UsageError("{file} cannot be read", hint="check the path", file=str(key)) from None
    origin = Witness(folder).trust(text)
    print(say("watching {origin}").format(origin=origin))


@app.command
def run(
    folder: Path,
    /,
    *,
    source: Annotated[str, Parameter(name="--from")],
    origin: str | None = None,
    once: bool = False,
    every: float = 60.0,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    serve: int | None = None,
    json: bool = False,
) -> int:
    """Look at the log, again and again, and cosign what is consistent with all that was seen before.

    Example: parcelveil audit witness run w1 --from https://carrier.example/audit --every 60

    Exit code 10: the log was rolled back or forked (with --once), or cannot be read.

    Parameters
    ----------
    folder
        The witness's folder.
    source
        Folder or http(s) address of the log.
    origin
        Which log, where the witness watches several.
    once
        Look once.
    every
        Seconds between two looks.
    output
        File that always holds the newest cosigned checkpoint.
    serve
        Also answer C2SP tlog-witness add-checkpoint on this port of 127.0.0.1.
    json
        One JSON object a look on standard output.
    """
    import time

    from parcelveil.audit import tiles, witness_serve
    from parcelveil.audit.witness import Witness

    witness = Witness(folder)
    known = witness.origins()
    if origin is None:
        if len(known) != 1:
            raise UsageError("which log?", hint="give --origin; watched: {known}", known=", ".join(known) or "none yet")
        origin = known[0]
    fetch = tiles.http(source) if source.startswith(("http://", "https://")) else tiles.directory(Path(source))

    def seen(result: Observation | LogError) -> None:
        if isinstance(result, LogError):
            kind = "ALARM" if isinstance(result, ForkError) else say("not read")
            summary({"origin": origin, "alarm": isinstance(result, ForkError), "problem": str(result)},
                    [f"{kind}: {result}"], as_json=json)  # fmt: skip
            return
        if output is not None:
            part = output.with_name(f".{output.name}.part")
            part.write_text(result.note, "utf-8")
            part.replace(output)
        lines = [
            say("cosigned {origin} at {size} ({new} new entries)").format(
                origin=origin, size=f"{result.size:,}", new=f"{result.new:,}"
            )
        ]
        facts = {"origin": origin, "size": result.size, "root": result.root.hex(), "new": result.new}
        summary(facts, lines, as_json=json)

    if once:
        seen(witness.observe(fetch, origin, int(time.time())))
        return 0
    stop = threading.Event()
    if serve is not None:
        server = witness_serve.listen(witness, "127.0.0.1", serve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(say("answering add-checkpoint on 127.0.0.1:{port}").format(port=serve), file=sys.stderr)
    witness_serve.run(witness, fetch, origin, every, stop, on_round=seen)
    return 0


@app.command
def clear(folder: Path, origin: str, /) -> None:
    """Clear an alarm, after a person has dealt with it. What was seen is not forgotten.

    Parameters
    ----------
    folder
        The witness's folder.
    origin
        The log's name.
    """
    from parcelveil.audit.witness import Witness

    number = Witness(folder).clear_alarm(origin)
    print(say("alarm {number} about {origin} is cleared; its evidence stays").format(number=number, origin=origin))
