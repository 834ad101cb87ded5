"""The ``parcelveil`` command: one module a verb, one short function a command.

Heavy imports stay inside the functions, so that ``parcelveil --help`` starts at once. Nothing but
:class:`~parcelveil.errors.ParcelveilError` is expected to come out of a command; whatever else does is told
without its text, for that could hold somebody's data.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, Parameter

from parcelveil import __version__
from parcelveil.cli import (
    audit,
    decoy,
    demo,
    erase,
    init,
    inspect,
    keys,
    label,
    open_,
    policy,
    reveal,
    rewrap,
    scan,
    seal,
    simulate,
    staff,
    watch,
)
from parcelveil.cli.asking import refuse_words
from parcelveil.errors import EXIT_INTERRUPTED, OutputError, ParcelveilError

app = App(
    name="parcelveil",
    version=__version__,
    error_formatter=refuse_words,
    default_parameter=Parameter(negative=()),  # no --no-json beside --json
    help_format="plaintext",  # Markdown would cost a third of the time that help takes
    help="Guards the personal data of parcels: seals it, shows it for a purpose and on record, forgets it for good.",
)
app.command(init.init)
app.command(inspect.inspect)
app.command(seal.seal)
app.command(open_.open_, name="open")
app.command(rewrap.rewrap)
app.command(erase.app)
app.command(keys.app)
app.command(label.app)
app.command(scan.app)
app.command(reveal.app)
app.command(policy.scenes_app)
app.command(policy.policy_app)
app.command(staff.app)
app.command(audit.app)
app.command(watch.app)
app.command(decoy.app)
app.command(simulate.app)
app.command(demo.demo)


#: Stands for a lone "-" while the words are parsed: the parser takes that for an option. No argument can hold it.
_STDIO = "\0-"


def _run(words: Sequence[str]) -> object:
    """Parse the words, put every lone ``-`` back, and call the command."""
    tokens = [_STDIO if word == "-" else word for word in words]
    command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=True)
    values = _put_back([*bound.args])
    return command(*values, **{name: _put_back(value) for name, value in bound.kwargs.items()})


def _put_back(value: Any) -> Any:
    if isinstance(value, str | Path):
        return type(value)("-") if str(value) == _STDIO else value
    if isinstance(value, list | tuple):
        return type(value)(_put_back(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: _put_back(getattr(value, f.name)) for f in dataclasses.fields(value)}
        )
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code (see :mod:`parcelveil.errors`)."""
    from parcelveil.cli.terminal import fail

    try:
        result = _run(sys.argv[1:] if arguments is None else arguments)
    except ParcelveilError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INTERRUPTED
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        hint = "free some space; nothing was changed" if error.errno == errno.ENOSPC else "check path and permissions"
        return fail(OutputError("the system refused: {why}", hint=hint, why=why))
    except MemoryError:
        return fail(ParcelveilError("out of memory", hint="run it on a machine with more, or on a smaller file"))
    except Exception as error:
        from cyclopts import CycloptsError

        if isinstance(error, CycloptsError):
            return 2
        if os.environ.get("PARCELVEIL_DEBUG"):
            raise
        return fail(
            ParcelveilError(
                "internal error ({kind}); nothing was written",
                hint="please report it; PARCELVEIL_DEBUG=1 shows where (and may show data)",
                kind=type(error).__name__,
            )
        )
    return result if isinstance(result, int) else 0
