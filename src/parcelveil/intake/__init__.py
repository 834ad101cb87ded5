"""Taking waybills in: recognising headers, cleaning phones and addresses, turning raw rows into waybills.

The way of a row::

    adapt reader ─▶ RawBatch ─▶ headers.recognise ─▶ rows.Intake.take ─▶ lines.LineMerger ─▶ lines.SeenNumbers ─▶ seal
                                  (once a source)      │    │
                                                  phone.py  address.py

Nothing here reads or writes a file of the person's; what a row cannot be taken for is said in a
:class:`~parcelveil.waybill.Reject`, and no row is lost without one.
"""
