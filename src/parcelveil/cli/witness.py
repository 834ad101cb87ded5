"""``parcelveil audit witness``: watches somebody else's log. Needs no workspace."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from parcelveil.cli.asking import in_words, refuse_words
from parcelveil.cli.language import say
from parcelveil.cli.log_source import fetch_from, key_line
from parcelveil.cli.output import whole_file
from parcelveil.cli.terminal import fail, summary
from parcelveil.errors import EXIT_INTERRUPTED, ForkError, LogError, OutputError, UsageError

if TYPE_CHECKING:
    from parcelveil.audit.tiles import Fetch
    from parcelveil.audit.witness import Observation, Witness

app = App(
    name="witness",
    help="Watch a log from elsewhere: cosign what is consistent, raise an alarm on rollback or fork.",
    error_formatter=refuse_words,
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

    origin = Witness(folder).trust(key_line(key))
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

    from parcelveil.audit.witness import Witness

    if not 1 <= every < float("inf"):
        raise UsageError("--every is a number of seconds", hint="1 or more; 60 is usual")
    if once and serve is not None:
        raise UsageError("--once and --serve do not go together", hint="leave one of them away")
    witness = Witness(folder)
    known = witness.origins()
    if origin is None and len(known) != 1:
        watched = ", ".join(known) or "-"
        raise UsageError("which log?", hint="give --origin, or 'trust' one; watched: {known}", known=watched)
    name = known[0] if origin is None else origin
    fetch = fetch_from(source)

    if once:
        _tell(name, witness.observe(fetch, name, int(time.time())), output, as_json=json)
        return 0

    def seen(result: Observation | LogError) -> None:
        try:
            _tell(name, result, output, as_json=json)
        except OutputError as error:  # the next look tries again
            fail(error)

    return _run(witness, fetch, name, every, serve, seen)


def _run(witness: Witness, fetch: Fetch, origin: str, every: float, port: int | None, seen: Callable[..., None]) -> int:
    """Look again and again, and answer on ``port``, until Ctrl-C."""
    from parcelveil.audit import witness_serve

    server = witness_serve.listen(witness, "127.0.0.1", port) if port is not None else None
    try:
        if server is not None:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            print(
                say("answering add-checkpoint on 127.0.0.1:{port}").format(port=server.server_address[1]),
                file=sys.stderr,
                flush=True,
            )
        witness_serve.run(witness, fetch, origin, every, threading.Event(), on_round=seen)
    except KeyboardInterrupt:
        print(say("stopped; what was cosigned is kept"), file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
    return 0


def _tell(origin: str, result: Observation | LogError, output: Path | None, *, as_json: bool) -> None:
    """Say what one look came to, and keep its note. Raises OutputError."""
    if isinstance(result, LogError):
        alarm = isinstance(result, ForkError)
        text = in_words(result)
        line = say("ALARM: {problem}") if alarm else say("not read: {problem}")
        summary({"origin": origin, "alarm": alarm, "problem": text}, [line.format(problem=text)], as_json=as_json)
        sys.stdout.flush()
        return
    if output is not None:
        with whole_file(output, force=True) as file:
            file.write(result.note.encode())
    line = say("cosigned {origin} at {size} ({new} new entries)")
    facts = {"origin": origin, "size": result.size, "root": result.root.hex(), "new": result.new, "alarm": False}
    lines = [line.format(origin=origin, size=f"{result.size:,}", new=f"{result.new:,}")]
    summary(facts, lines, as_json=as_json)
    sys.stdout.flush()


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
