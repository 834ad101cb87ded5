"""Why a waybill gets no label: every reason by its code, in words and with what to do.

::

    refusal(Problem("sort_code.long", "sort_code"), "YT0000000000001")     # an InputError, one line and a hint

A reason names columns, characters' code points and waybill numbers; never what a column holds.
"""

from __future__ import annotations

from typing import NamedTuple

from parcelveil.errors import InputError

_MASK_HINT = "seal the orders anew with this version of parcelveil"
_LAYOUT_HINT = "give it more room, or a smaller size, in a layout of your own: docs/labels.md"
_BUG_HINT = "nothing of it was printed; please report it, with the layout"

#: Code -> (what is wrong, what to do). {detail} is a column, a field or code points.
PROBLEMS: dict[str, tuple[str, str]] = {
    "waybill_no.form": ("{waybill} gets no label: this is no waybill number", "correct it at its source"),
    "token.missing": (
        "{waybill} gets no label: it has no token",
        "the key holder makes it: parcelveil rewrap FILE -o NEW.parquet",
    ),
    "token.form": ("{waybill} gets no label: its token is none", "take the file as 'parcelveil seal' wrote it"),
    "sort_code.long": (
        "the sort code of {waybill} is too long for a label",
        "at most 24 characters; correct it at its source",
    ),
    "sort_code.form": ("the sort code of {waybill} holds what no sort code has", "correct it at its source"),
    "mask.shows": ("{waybill} gets no label: {detail} shows more than a label may", _MASK_HINT),
    "glyph.missing": (
        "the label of {waybill} needs {detail}, which no typeface here has",
        "name a font that has it with --font FILE",
    ),
    "text.long": ("{detail} of {waybill} does not fit its place on the label", _LAYOUT_HINT),
    "code.wide": ("the bar code of {waybill} is wider than its place", "use a wider layout"),
    "code.unreadable": ("the {detail} of {waybill} cannot be read back from the label", _BUG_HINT),
    "code.covered": ("the {detail} of {waybill} is covered or cut", _BUG_HINT),
    "code.strange": ("the label of {waybill} has more codes on it than were drawn", "take codes out of the logo"),
    "text.changed": ("the label of {waybill} does not say what was set", _BUG_HINT),
    "file.information": ("the file of labels says something about itself", _BUG_HINT),
    "clear.shown": (
        "the label of {waybill} would show a clear value ({detail})",
        "look at that waybill's public columns",
    ),
    "clear.missing": (
        "the clear file has no waybill {waybill}",
        "give the clear file that this sealed file was made from",
    ),
    "waybill_no.doubled": (
        "{waybill} stands in this file more than once",
        "print the file of the newest revision only",
    ),
}


class Problem(NamedTuple):
    """One reason: its code, and the column, field or code points it is about."""

    code: str
    detail: str = ""


def refusal(problem: Problem, waybill: str) -> InputError:
    """The error that says why ``waybill`` (or ``row 7``) gets no label."""
    template, hint = PROBLEMS[problem.code]
    return InputError(template, hint=hint, waybill=waybill, detail=problem.detail)


def reason(problem: Problem, waybill: str) -> str:
    """The same as one English sentence, for a list of what was refused."""
    return PROBLEMS[problem.code][0].format(waybill=waybill, detail=problem.detail)
