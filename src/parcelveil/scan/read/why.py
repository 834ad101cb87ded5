"""Why a file was not read, or not all of it: the closed list of sentences that a manifest may hold.

None of them says anything of a file's content, and a manifest can be translated sentence by sentence::

    >>> ENCRYPTED in ALL and all(why[-1] != "." for why in ALL)
    True
"""

from __future__ import annotations

# Of the file system.
NOT_FOUND = "no such file or folder, and no file fits such a pattern"
NOT_PERMITTED = "permission to read it is missing"
NOT_READABLE = "the system could not read it"
LINK = "a symbolic link: its target is read where it lies, or when the link itself is named"
SPECIAL = "a device, socket or pipe"
EMPTY = "it is empty"

# Limits.
TOO_DEEP = "nested too deep"
TOO_MANY = "more members than the limit"
BOMB = "it inflates to more than the limit: the rest was not read"
TOO_LARGE = "too large to be held in memory, which its format needs"
TOO_WIDE = "it has more columns than the limit: the rest was not read"
TOO_LONG = "the time for one file was used up: the rest was not read"

# Formats.
ENCRYPTED = "encrypted"
DAMAGED = "damaged: what could be read of it was read"
BROKEN_BYTES = "some bytes are no characters in its encoding"
BINARY = "binary: its printable text was read"
MEDIA = "sound, video or a font"
ARCHIVE_KIND = "a kind of archive that is not supported"
COMPRESSION = "a compression method that is not supported"
OLD_FORMAT = "an old binary format of documents: its printable text was read"
SHEET_FORMAT = "a binary kind of workbook that is not supported"
DATA_FORMAT = "a format of data files that is not supported"
PICTURE = "a picture: its text is read with --ocr"
PICTURE_PAGES = "pages with pictures: the text in those is read with --ocr"
DATABASE = "a database: no reader of databases was given"
MISSING_PACKAGE = "an optional package that reads this format is not installed"
BROKEN_OFF = "the scan stopped reading it before its end"

# Pictures.
NEEDS_LABEL = "a picture: reading it needs the extra label"
NEEDS_OCR = "a picture: its codes were read, its text needs the extra ocr"
OCR_OFF = "a picture: its codes were read, its text is read with --ocr"
TOO_MANY_PIXELS = "it has more than 50 million pixels"
TOO_MANY_PAGES = "it has more pages or frames than are read as pictures"
OCR_FAILED = "the text of a page could not be read"
NO_PICTURE = "it is no picture that can be read"

ALL = frozenset(value for name, value in list(globals().items()) if name.isupper() and isinstance(value, str))
