"""A small chart of an alert: the account's looks without a reason on each day, beside its peers' usual.

::

    print("\\n".join(bars(alert.chart)))                 # for a terminal, in block characters
    svg(alert.chart, title="CS-07", standalone=True)    # a file that shows itself in light and dark
    svg(alert.chart, title="CS-07")                     # for a page: takes the page's text colour, has no style of its own

Pure text: no library, no script, nothing loaded. Days are local days since 1970-01-01; a day that is not in the chart is a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from parcelveil.watch.alerts import Day
from parcelveil.watch.reasons import day_text

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WORDS = {
    "en": ("without a reason", "peers", "Looks without a reason on each day, and what is usual among peers"),
    "zh": ("找不到原因", "同类人员", "每天找不到原因的查询，与同类人员平时的比较"),
}
_WIDTH, _HEIGHT = 560, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 30, 26
#: Legible on white and on near-black: contrast with either is above 3 to 1 (WCAG 2.2, 1.4.11).
_OWN, _PEERS = "#d9480f", "#5c7cfa"
_STYLE = (
    "<style>.paper{fill:#fff}svg{color:#212529}"
    "@media (prefers-color-scheme:dark){.paper{fill:#1a1b1e}svg{color:#dee2e6}}</style>"
)


def bars(chart: Sequence[Day], language: str = "en", rows: int = 4) -> list[str]:
    """Lines of text: a column of two characters a day, ``rows`` high, and the peers in one line below on the same scale."""
    if not chart:
        return []
    days = _by_day(chart)
    most = _scale(chart)
    own, peers, _ = _WORDS[language]
    label = max(len(_number(most)), 2)
    lines = []
    for row in range(rows, 0, -1):
        cells = [_cell(day.own / most * rows - (row - 1)) if day else " " for day in days]
        side = _number(most) if row == rows else "0" if row == 1 else ""
        lines.append(f"{side:>{label}} │" + " ".join(cells).rstrip())
    lines.append(f"{'':>{label}} └" + "─" * (2 * len(days) - 1))
    first, last = day_text(chart[0].day)[5:], day_text(chart[-1].day)[5:]
    room = max(1, 2 * len(days) - 1 - len(first) - len(last))
    lines.append(f"{'':>{label}}  {first}{' ' * room}{last}" if len(days) > 5 else f"{'':>{label}}  {first}")
    usual = sum(day.peers for day in chart) / len(chart)
    average = {"en": "a day", "zh": "每天"}[language]
    lines.append(f"{'':>{label}}  █ {own}; {peers}: {_number(round(usual, 2))} {average}")
    return lines


def svg(chart: Sequence[Day], *, title: str, language: str = "en", standalone: bool = False) -> str:
    """An SVG 1.1 picture of 560 by 170 units. ``title`` is shown above and read aloud; what it holds is escaped."""
    own, peers, told = _WORDS[language]
    days = _by_day(chart)
    most = _scale(chart)
    width = (_WIDTH - _LEFT - _RIGHT) / max(len(days), 1)
    high = _HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - high * min(value, most) / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        'role="img" font-family="system-ui, sans-serif" font-size="11" fill="currentColor">',
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>",
    ]
    if standalone:
        parts += [_STYLE, f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>']
    parts.append(f'<text x="{_LEFT}" y="14" font-size="12" font-weight="600">{escape(_cut(title, 44))}</text>')
    parts.append(_legend(own, peers))
    for value in (0.0, most / 2, most):
        height = y(value)
        parts.append(
            f'<path d="M{_LEFT} {height:.1f}H{_WIDTH - _RIGHT}" stroke="currentColor" stroke-opacity=".2"/>'
            f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        )
    line = ""
    for at, day in enumerate(days):
        if day is None:
            continue
        left = _LEFT + at * width
        if day.own > 0:
            parts.append(
                f'<rect x="{left + width * 0.15:.1f}" y="{y(day.own):.1f}" width="{width * 0.7:.1f}" '
                f'height="{_HEIGHT - _BOTTOM - y(day.own):.1f}" fill="{_OWN}">'
                f"<title>{day_text(day.day)}: {_number(day.own)} / {_number(round(day.peers, 2))}</title></rect>"
            )
        line += f"M{left:.1f} {y(day.peers):.1f}H{left + width:.1f}"
    if line:
        parts.append(f'<path d="{line}" stroke="{_PEERS}" stroke-width="2" fill="none"/>')
    for at, day in enumerate(days):
        if day is not None and (len(days) - 1 - at) % 7 == 0:
            parts.append(
                f'<text x="{_LEFT + (at + 0.5) * width:.1f}" y="{_HEIGHT - 9}" text-anchor="middle">'
                f"{day_text(day.day)[5:]}</text>"
            )
    return "".join(parts) + "</svg>\n"


def _legend(own: str, peers: str) -> str:
    return (
        f'<rect x="346" y="6" width="9" height="9" fill="{_OWN}"/><text x="360" y="14">{own}</text>'
        f'<path d="M468 10.5h12" stroke="{_PEERS}" stroke-width="2"/><text x="485" y="14">{peers}</text>'
    )


def _by_day(chart: Sequence[Day]) -> list[Day | None]:
    """The days from first to last, None for one that is not told."""
    if not chart:
        return []
    known = {day.day: day for day in chart}
    first = max(min(known), max(known) - 62)  # however odd the days are
    return [known.get(day) for day in range(first, max(known) + 1)]


def _scale(chart: Sequence[Day]) -> float:
    """The top of the axis: a round number, not below any value."""
    most = max((max(day.own, day.peers) for day in chart), default=0.0)
    step = 1
    while True:
        for nice in (2, 4, 6, 10):
            if most <= nice * step:
                return float(nice * step)
        step *= 10


def _cell(eighths: float) -> str:
    return _EIGHTHS[max(0, min(8, round(eighths * 8)))]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2g}"
