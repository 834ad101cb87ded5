"""Waybill labels that carry nothing to sell: masked text, a bar code, an opaque token; no key and no clear data.

The way of a label::

    layout = load("100x180")                      # layout.py: sizes, rows, words; data, not Python
    rows = label_rows(sealed, layout, …)          # content.py: masks and public columns of a sealed batch
    pages = compose(rows, layout, font, …)        # compose.py: every line fitted, every code placed
    pdf = typeset(pages, …)                       # typeset.py: one Typst run for many pages
    gate(pdf, pages, …)                           # gate.py: codes and text read back before anything is written

:mod:`~parcelveil.label.printing` does that for files of any length; :mod:`~parcelveil.label.check` audits labels that
anybody made.
"""
