"""The webhook that cases are sent to, as the options name it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from parcelveil.cli.language import language, say
from parcelveil.errors import UsageError

if TYPE_CHECKING:
    from parcelveil.watch.alerts import Alert
    from parcelveil.watch.outbox import Outbox
    from parcelveil.workspace import Workspace

_MOST_SECRET = 4096


@Parameter(name="*")
@dataclass(frozen=True)
class Hook:
    """Where cases are sent."""

    webhook: str | None = None
    "An https URL that is sent each case as it is opened or changes, signed (docs/watch-outputs.md)."
    secret_file: Path | None = None
    "File with the secret that signs: at least 16 characters in one line, readable for its owner only."
    patience: float = 30.0
    "Seconds to wait for the webhook at the end; what it has not taken by then stays in the queue."

    def outbox(self, workspace: Workspace) -> Outbox | None:
        """The queue of this webhook; None where none is named. Raises UsageError."""
        from parcelveil.adapt.webhook import Webhook
        from parcelveil.watch.outbox import Outbox

        if self.webhook is None:
            if self.secret_file is not None:
                raise UsageError("a secret, and no webhook", hint="give --webhook URL")
            return None
        if self.secret_file is None:
            raise UsageError("the webhook has no secret to sign with", hint="give --secret-file FILE")
        if not 0 <= self.patience <= 86_400:
            raise UsageError(
                "{option} has to be from 0 to {most} seconds", hint="--patience 30", option="--patience", most="86,400"
            )
        hook = Webhook(self.webhook, _secret(self.secret_file))
        return Outbox(workspace.store, hook.target, hook.post)

    def body(self, offset_minutes: int) -> Bodies:
        """What the webhook is sent of a case."""
        return Bodies(language(), offset_minutes)


@dataclass(frozen=True)
class Bodies:
    """Makes the body of a delivery: the record, with its words in the person's language."""

    spoken: str
    offset_minutes: int

    def __call__(self, alert: Alert) -> bytes:
        from parcelveil.watch.lines import body_of

        return body_of(alert, self.spoken, self.offset_minutes)


def delivered(outbox: Outbox | None, patience: float) -> list[str]:
    """Deliver what is queued, for so many seconds; lines of what came of it."""
    if outbox is None:
        return []
    states = outbox.deliver(patience)
    lines = []
    if states.get("queued"):
        lines.append(
            say("{count} cases wait for the webhook: the next run with it sends them").format(
                count=f"{states['queued']:,}"
            )
        )
    if states.get("refused"):
        lines.append(say("the webhook has refused {count} cases").format(count=f"{states['refused']:,}"))
    return lines


def _secret(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            open_to_others = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077
            secret = file.read(_MOST_SECRET + 1).strip()
    except OSError:
        raise UsageError("{file} cannot be read", hint="check the path", file=str(path)) from None
    if open_to_others:
        raise UsageError("others may read {file}", hint="chmod 600 {file}", file=str(path))
    if len(secret) > _MOST_SECRET:
        raise UsageError("{file} is too long for a secret", hint="check the path", file=str(path))
    return secret
