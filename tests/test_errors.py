"""Errors: each has the exit code that the table documents, and says itself in one line."""

from __future__ import annotations

import re

import pytest

from parcelveil import errors
from parcelveil.cli.terminal import fail
from parcelveil.errors import ParcelveilError

CLASSES = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, ParcelveilError)]


def test_the_documented_codes_are_those_of_the_classes() -> None:
    documented = dict(re.findall(r"(\w+Error) +(\d+) ", str(errors.__doc__)))
    assert {kind.__name__: str(kind.exit_code) for kind in CLASSES} == documented
    assert f"{errors.EXIT_REJECTS} that the run finished" in str(errors.__doc__)
    assert f"{errors.EXIT_INTERRUPTED} that Ctrl-C" in str(errors.__doc__)
    assert f"{errors.EXIT_NOT_OPENED} that the\ndesk answered" in str(errors.__doc__)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_template_and_its_values(
    kind: type[ParcelveilError], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "en")
    error = kind("{file} has {count} rows", hint="look at {file}", file="a{b}.csv", count=3)
    assert str(error) == "a{b}.csv has 3 rows"
    assert error.hint == "look at a{b}.csv"
    assert fail(error) == kind.exit_code
    assert capsys.readouterr().err == "error: a{b}.csv has 3 rows\nhint: look at a{b}.csv\n"


def test_without_a_hint() -> None:
    assert ParcelveilError("no").hint == ""


def test_names_cannot_forge_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "en")
    fail(errors.InputError("{file} is empty", hint="look", file="a\nerror: all is lost\x1b[2J\u202e.csv"))
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 2
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_values_that_are_missing_are_noticed_at_once() -> None:
    with pytest.raises(KeyError):
        ParcelveilError("{file} is empty")


def test_codes_mean_one_thing() -> None:
    own = {kind.exit_code for kind in ParcelveilError.__subclasses__()}
    assert own == {2, 3, 4, 5, 6, 7, 8, 10, 11, 14}
    assert not own & {0, 1, errors.EXIT_REJECTS, errors.EXIT_NOT_OPENED, errors.EXIT_INTERRUPTED}
