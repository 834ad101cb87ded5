"""``parcelveil scan key`` and ``scan prepare``: what is made once, before scans."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from parcelveil.cli.language import say
from parcelveil.cli.terminal import plain


def key(*, output: Annotated[Path, Parameter(name=["--output", "-o"])]) -> None:
    """Make a scan key: with it the same value is known again in another scan, and without it not.

    Example: parcelveil scan key -o scan.key

    Keep it like a password: phone numbers are few, so whoever has it and a file of findings can try them all.

    Parameters
    ----------
    output
        The new file. An existing one is never replaced.
    """
    from parcelveil.scan.key import ScanKey

    made = ScanKey.new(lasting=True)
    made.write(output)
    print(plain(say("{file}: scan key {id}; give it by --key").format(file=output, id=made.key_id)), file=sys.stderr)


def prepare() -> None:
    """Compile the scanner for this machine: a minute or two, once; for installers. A scan does it when it was not done."""
    from parcelveil.scan import warm

    if warm.prepared():
        print(say("the scanner is prepared already"), file=sys.stderr)
        return
    print(say("preparing the scanner for this machine, once: a minute or two"), file=sys.stderr, flush=True)
    started = time.perf_counter()
    warm.prepare()
    done = say("prepared in {seconds} s").format(seconds=f"{time.perf_counter() - started:,.0f}")
    if not warm.prepared():
        done = say("prepared, but nothing can be kept: no folder for it can be written")
    print(done, file=sys.stderr)
