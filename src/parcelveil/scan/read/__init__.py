"""From paths to documents: files of all kinds, archives, mails, office formats, read so that nothing can harm.

::

    from parcelveil.scan.read.limits import Limits
    from parcelveil.scan.read.walk import documents

    notes = []
    for document in documents(["export", "old.zip"], Limits(), notes.append):
        ...                                  # document.chunks or document.batches, to their end
    [note.why for note in notes if note.outcome != "read"]

Every file is hostile. What a reader may cost is bounded (:mod:`~parcelveil.scan.read.limits`), nothing is written
anywhere, no reader's error ends a scan, and every file and member has its line in the manifest, with a reason out of
a closed list (:mod:`~parcelveil.scan.read.why`) when it was not read wholly: silence is never "clean".

``walk`` finds the files, ``kinds`` tells what they are, ``dispatch`` calls the reader: ``text`` (with ``delimiter``,
``markup``, ``runs``), ``archive`` and ``inflate``, ``office``, ``sheets`` (with ``cells``, ``cfb``, ``biff``),
``mail``, ``pdf``, ``columnar``. Readers of databases and of pictures are handed in by the caller.
"""
