"""Every error parcelveil raises on purpose. Each is one clear line, a hint for the person, and an exit code.

::

    ParcelveilError                 1   something is wrong; the subclasses say what
    ├── UsageError                  2   the command's words do not fit together
    ├── InputError                  3   the input cannot be used at all
    │   ├── EncodingError           3   bytes that are no text in the stated encoding
    │   ├── HeaderError             3   needed columns were not recognised
    │   └── AlreadySealedError      3   sealed data where clear data was expected
    ├── KeyAccessError              4   keys are missing, locked, or do not fit
    │   ├── PassphraseError         4   wrong or missing passphrase
    │   └── EpochError              4   an epoch is unknown or was destroyed
    ├── WorkspaceError              5   no workspace, another tenant's, or a newer version's
    ├── OutputError                 6   nothing could be written: disk full, no permission, file exists
    ├── AuthenticityError           7   a sealed value was changed or moved; nothing was released
    ├── DependencyError             8   an optional package is missing; the hint names the extra
    ├── LogError                   10   the audit log, a receipt or a checkpoint does not verify
    │   └── ForkError              10   the log was rolled back or forked: a witness raises it
    ├── PolicyError                11   scenes, policies or the register of staff do not hold together
    └── ProviderError              14   the provider of virtual numbers refused, is used up, or is not there

Exit code 0 means that all went well, 9 that the run finished and some rows went to the rejects file, 12 that the
desk answered and not everything was opened, 13 that a check of labels found something, 130 that Ctrl-C ended it.

A message is an English template plus its values, so that a catalogue can say it in another language::

    raise InputError("{file} is empty", hint="check the export and try again", file=path.name)

Messages and values never hold a personal field's clear value or a key: they name files, columns, line
numbers and waybill numbers only.
"""

from __future__ import annotations


class ParcelveilError(Exception):
    """Base of all errors. ``template`` and ``hint`` are format strings over ``values``."""

    exit_code = 1
    #: What to do when the one who raises knows nothing better.
    default_hint = ""

    def __init__(self, template: str, *, hint: str = "", **values: object) -> None:
        self.template = template
        self.hint_template = hint or self.default_hint
        self.values = values
        super().__init__(template.format(**values))

    @property
    def hint(self) -> str:
        """What the person can do now, in English; empty when there is nothing to add."""
        return self.hint_template.format(**self.values)


class UsageError(ParcelveilError):
    """The command's words do not fit together."""

    exit_code = 2


class InputError(ParcelveilError):
    """The input cannot be used at all; single bad rows go to the rejects file instead."""

    exit_code = 3
    default_hint = "check the file"


class EncodingError(InputError):
    """Bytes that are no text in the stated (or any recognised) encoding."""


class HeaderError(InputError):
    """Needed columns were not recognised."""


class AlreadySealedError(InputError):
    """Sealed data where clear data was expected."""


class KeyAccessError(ParcelveilError):
    """Keys are missing, locked, or do not fit."""

    exit_code = 4


class PassphraseError(KeyAccessError):
    """Wrong or missing passphrase."""


class EpochError(KeyAccessError):
    """An epoch is unknown to this key ring, or was destroyed."""


class WorkspaceError(ParcelveilError):
    """No workspace, another tenant's, or one that a newer version wrote."""

    exit_code = 5
    default_hint = "restore it from a backup"


class OutputError(ParcelveilError):
    """Nothing could be written: disk full, no permission, the file exists already."""

    exit_code = 6
    default_hint = "check path, permissions and free space"


class AuthenticityError(ParcelveilError):
    """A sealed value was changed or moved. Nothing of its batch was released."""

    exit_code = 7


class DependencyError(ParcelveilError):
    """An optional package is missing; the hint names the extra that installs it."""

    exit_code = 8


class LogError(ParcelveilError):
    """The audit log, a receipt or a checkpoint does not verify, or cannot be read."""

    exit_code = 10
    default_hint = "leave everything as it is, and ask whoever audits the log"


class ForkError(LogError):
    """The log was rolled back or forked. A witness raises it and keeps the evidence."""


class PolicyError(ParcelveilError):
    """Scenes, policies or the register of staff do not hold together, or somebody may not change them."""

    exit_code = 11
    default_hint = "see docs/scenes.md and docs/desk.md"


class ProviderError(ParcelveilError):
    """The provider of virtual numbers refused, has no number left, or cannot be reached."""

    exit_code = 14
    default_hint = "nothing is lost: run the same command again when the provider answers"


EXIT_REJECTS = 9
EXIT_NOT_OPENED = 12
EXIT_FINDINGS = 13
EXIT_INTERRUPTED = 130
