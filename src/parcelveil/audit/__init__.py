"""The audit log: every look, refusal and change, in a Merkle log that nobody can rewrite unnoticed.

:mod:`~parcelveil.audit.entry` says what is logged, :mod:`~parcelveil.audit.log` appends it durably,
:mod:`~parcelveil.audit.proof` checks receipts offline, :mod:`~parcelveil.audit.verify` re-reads everything on
disk, and :mod:`~parcelveil.audit.witness` is what somebody else runs elsewhere. The format is C2SP tlog-tiles;
``docs/format/audit-log.md`` has every byte.
"""
