"""What the commands of the desk ask for: who speaks, what for, which waybills; and plain words for words that do not fit.

An :class:`~cyclopts.App` that is made with ``error_formatter=refuse_words`` says what is wrong with the words of a
command as everything else is said: one line, one hint, exit code 2.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn, cast

from cyclopts import Parameter

from parcelveil.cli.language import say
from parcelveil.errors import InputError, UsageError

if TYPE_CHECKING:
    from cyclopts import CycloptsError

    from parcelveil.ports import SealedSource
    from parcelveil.reveal.request import Credentials, Request
    from parcelveil.workspace import Workspace

DEVICE_KEY = "PARCELVEIL_DEVICE_KEY"
_KEY_DIGITS = 64


@Parameter(name="*")
@dataclass(frozen=True)
class Who:
    """Who speaks."""

    as_: Annotated[str | None, Parameter(name="--as")] = None
    "Staff number."
    role: str = ""
    "In which role; needed unless the command is for one role only."
    outlet: str = ""
    "At which outlet, for roles that work at one."
    device: str = ""
    "From which device."
    device_key: str | None = None
    "File with the device's key, as 'staff enrol' wrote it; else the key itself in PARCELVEIL_DEVICE_KEY."

    def credentials(self, role: str = "") -> Credentials:
        """The credentials, with the device's key read. ``role`` is the one the command is for, if there is one.

        Raises UsageError when nobody is named, or no role.
        """
        from parcelveil.reveal.request import Credentials, Secret

        if not self.as_:
            raise UsageError("who is asking?", hint="give --as NUMBER, and --device with its key")
        if not (self.role or role):
            raise UsageError("in which role?", hint="give --role NAME; see 'parcelveil scenes list --roles'")
        key = Secret(self._key())
        return Credentials(
            actor=self.as_, role=self.role or role, outlet=self.outlet, device=self.device, device_key=key
        )

    def _key(self) -> bytes:
        text, place = os.environ.get(DEVICE_KEY, ""), DEVICE_KEY
        if self.device_key:
            place = self.device_key
            try:
                with Path(place).open("rb") as file:
                    text = file.read(4 * _KEY_DIGITS).decode("ascii", "replace")
            except OSError:
                raise UsageError("{file} cannot be read", hint="check the path", file=place) from None
        elif not text:
            return b""  # the desk refuses that, and logs it
        try:
            return bytes.fromhex(text.strip() if len(text.strip()) == _KEY_DIGITS else "?")
        except ValueError:
            raise UsageError(
                "{place} holds no device key",
                hint="it is 64 hex digits in one line, as 'parcelveil staff enrol' wrote them",
                place=place,
            ) from None


@Parameter(name="*")
@dataclass(frozen=True)
class What:
    """What is asked for."""

    scene: str = ""
    "The purpose; 'parcelveil scenes list' shows them."
    fields: list[str] | None = None
    "Personal columns, like to_name,to_phone. Default: what the scene shows this role."
    form: str = "full"
    "full, or masked: then no key of personal fields is used."
    ticket: str = ""
    "Ticket that names the waybill."
    document: str = ""
    "Id of the authority's document."
    approval: str = ""
    "Id of the approval a second person gave."

    def request(self, numbers: tuple[str, ...], who: Who, workspace: Workspace) -> Request:
        """The request that these words make."""
        import msgspec

        from parcelveil.reveal.request import Request
        from parcelveil.reveal.rulebook import Rulebook

        if not self.scene:
            raise UsageError("for what purpose?", hint="give --scene NAME; see 'parcelveil scenes list'")
        credentials = who.credentials()
        asked = [name.strip() for text in self.fields or [] for name in text.split(",") if name.strip()]
        if not asked:
            with workspace.store.reading() as tx:
                scene = Rulebook.of(tx).scenes.get(self.scene)
            asked = list(scene.fields_for(credentials.role)) if scene else []
        return Request(
            **msgspec.structs.asdict(credentials),
            scene=self.scene,
            waybills=numbers,
            fields=tuple(asked),
            form=self.form,
            ticket=self.ticket,
            document=self.document,
            approval=self.approval,
        )


def waybills(words: tuple[str, ...]) -> tuple[str, ...]:
    """The waybill numbers that were given; ``-`` reads them from standard input, one a line. Raises UsageError."""
    found = _given(words)
    if not found:
        raise UsageError("which waybills?", hint="give their numbers, or - for standard input")
    return found


def tokens(words: tuple[str, ...]) -> tuple[str, ...]:
    """The tokens that were scanned; ``-`` reads them from standard input, one a line. Raises UsageError."""
    found = _given(words)
    if not found:
        raise UsageError("which labels?", hint="give the texts of their QR codes, or - for standard input")
    return found


def _given(words: tuple[str, ...]) -> tuple[str, ...]:
    from parcelveil.reveal.request import MOST_WAYBILLS

    found: list[str] = []
    if words == ("-",):
        for line in stdin_bytes():  # bytes: text in another encoding is no reason to break off
            number = line.decode("utf-8", "replace").strip().removeprefix("\ufeff").strip()
            if number:
                found.append(number)
            if len(found) > MOST_WAYBILLS:
                raise UsageError("more than {most} waybills at once", hint="ask in parts", most=MOST_WAYBILLS)
    else:
        found = [word.strip() for word in words if word.strip()]
    return tuple(found)


def stdin_bytes() -> BinaryIO:
    """Standard input, as bytes."""
    return cast("BinaryIO", getattr(sys.stdin, "buffer", sys.stdin))


def sealed_source(paths: list[str] | None, workspace: Workspace) -> SealedSource | None:
    """The sealed files that were named, or None for those that the workspace's settings name. Raises InputError.

    What is not there is a slip of the hand, and found before the desk is asked, which would log an attempt.
    """
    for path in paths or []:
        if not Path(path).exists():
            raise InputError("nothing is found under {file}", hint="check the path", file=path)
    return workspace.sealed([Path(path) for path in paths]) if paths else None


def refuse_words(error: CycloptsError) -> NoReturn:
    """Raise what is wrong with a command's words as a UsageError; it repeats names of options, never their values."""
    from cyclopts import CoercionError, MissingArgumentError, UnknownOptionError, ValidationError

    chain = [word for word in error.command_chain or () if word]
    help_of = {"command": " ".join(["parcelveil", *chain])}
    hint = "see '{command} --help'"
    name = error.argument.name if error.argument is not None else ""
    if isinstance(error, MissingArgumentError):
        raise UsageError("{option} is missing", hint=hint, option=name, **help_of) from None
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        raise UsageError("there is no option {option}", hint=hint, option=word.partition("=")[0], **help_of) from None
    if isinstance(error, CoercionError | ValidationError) and name:
        kind = getattr(getattr(error, "target_type", None), "__name__", "")
        if kind in ("int", "float"):
            raise UsageError("{option} has to be a number", hint=hint, option=name, **help_of) from None
        raise UsageError("the value of {option} does not fit", hint=hint, option=name, **help_of) from None
    raise UsageError("the words of this command do not fit together", hint=hint, **help_of) from None


def in_words(error: Exception) -> str:
    """A ParcelveilError's message, in the person's language and in one line."""
    from parcelveil.cli.terminal import plain

    template = getattr(error, "template", "")
    return plain(say(template).format(**getattr(error, "values", {}))) if template else type(error).__name__
