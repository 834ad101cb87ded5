"""The folder of the custody index: its key, its manifest, its names and its segments, and how they change at once.

::

    manifest        JSON: which segments count, and how far the two files of names; replaced, never edited
    key             32 random bytes, made with the folder; hashes what is looked up
    names.ends      the end of each name in names.text, 8 bytes each; only ever appended to
    names.text      the names of outlets, staff and routes, one after the other; only ever appended to
    segment-<n>     see parcelveil.reveal.segments
    lock            held by the one process that writes

**A change is one rename.** New segments and names are written and synced first; then the new manifest is written
beside the old one, synced, renamed over it, and the folder is synced. A process killed at any point leaves the old
index or the new one. What it left over (segments that no manifest names, names beyond the manifest's count) the next
writer removes. A reader keeps the files that it has mapped, even when they are removed under it, until it refreshes.

The files are for the carrier's own account only (mode 0600): who can write here can say where a parcel is. The key
keeps apart those who can merely send events: they cannot make numbers that crowd together.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.errors import WorkspaceError
from parcelveil.reveal.segments import Segment, damaged, write_all

_FORMAT = "parcelveil.custody.v1"
_KEY_BYTES = 32
_MOST_MANIFEST = 1 << 20
_ATTEMPTS = 20
_SegmentName = Annotated[str, msgspec.Meta(pattern=r"^segment-[0-9]{1,18}$")]
_Count = Annotated[int, msgspec.Meta(ge=0)]

Stamp = tuple[int, int, int]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts in the folder. ``generation`` grows by one with every change."""

    format: str = _FORMAT
    generation: _Count = 0
    following: _Count = 1  # number of the next segment
    segments: tuple[_SegmentName, ...] = ()
    names: _Count = 0
    text: _Count = 0  # bytes of names.text
    ends_crc: _Count = 0
    text_crc: _Count = 0


class View(NamedTuple):
    """One state of the index, for as long as somebody holds it."""

    key: bytes  # empty as long as nothing was ever loaded
    manifest: Manifest
    segments: tuple[Segment, ...]
    ends: npt.NDArray[np.uint64]
    text: npt.NDArray[np.uint8]
    stamp: Stamp | None

    def __repr__(self) -> str:
        return f"<View generation {self.manifest.generation}>"  # the key must not show

    def names(self, codes: npt.NDArray[np.uint32]) -> pa.StringArray:
        """The names of ``codes``; null for 0 and for codes that are none."""
        distinct, inverse = np.unique(codes, return_inverse=True)
        names: list[str | None] = []
        for code in distinct.tolist():
            if not 0 < code <= len(self.ends):
                names.append(None)
                continue
            start = int(self.ends[code - 2]) if code > 1 else 0
            names.append(self.text[start : int(self.ends[code - 1])].tobytes().decode("utf-8", "replace"))
        return pa.array(names, pa.string()).take(pa.array(inverse.reshape(-1)))


_NOTHING = View(b"", Manifest(), (), np.zeros(0, np.uint64), np.zeros(0, np.uint8), None)


class Files:
    """The folder. It need not exist until something is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifest = folder / "manifest"
        self._ends, self._text = folder / "names.ends", folder / "names.text"

    def segment(self, number: int) -> Path:
        """Where segment ``number`` lies."""
        return self.folder / f"segment-{number}"

    # -- reading -----------------------------------------------------------------------------------------------------

    def stamp(self) -> Stamp | None:
        """What changes whenever the manifest does; None while there is none."""
        try:
            state = os.stat(self._manifest)  # noqa: PTH116  the desk asks before every group of requests
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from None
        return state.st_mtime_ns, state.st_ino, state.st_size

    def view(self) -> View:
        """The state that the manifest names. Raises WorkspaceError when files are missing, damaged or unreadable."""
        for attempt in range(_ATTEMPTS):
            stamp = self.stamp()
            if stamp is None:
                return _NOTHING
            try:
                return self._view(stamp)
            except FileNotFoundError as error:
                # A writer can replace the manifest and remove old segments between our two looks. Then there is a
                # new manifest; if it is still the same one, the file is really missing.
                if self.stamp() == stamp and attempt:
                    raise damaged(self.folder / Path(error.filename or "manifest").name) from None
            except OSError as error:
                raise self._unreadable(error) from None
        raise damaged(self._manifest)

    def _unreadable(self, error: OSError) -> WorkspaceError:
        return WorkspaceError(
            "the custody index cannot be read: {why}", hint="check its permissions", why=error.strerror or "unknown"
        )

    def _view(self, stamp: Stamp) -> View:
        manifest = self.manifest()
        key = self._key().read_bytes()
        if len(key) != _KEY_BYTES:
            raise damaged(self._key())
        segments = tuple(Segment(self.folder / name) for name in manifest.segments)
        ends = np.frombuffer(_map(self._ends, 8 * manifest.names), np.uint64)
        return View(key, manifest, segments, ends, np.frombuffer(_map(self._text, manifest.text), np.uint8), stamp)

    def _key(self) -> Path:
        return self.folder / "key"

    def manifest(self) -> Manifest:
        """The manifest on disk; raises FileNotFoundError while there is none."""
        with self._manifest.open("rb") as file:
            data = file.read(_MOST_MANIFEST + 1)
        try:
            manifest = msgspec.json.decode(data, type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise damaged(self._manifest) from None
        if manifest.format != _FORMAT:
            raise WorkspaceError("the custody index was written by another version", hint="use that version")
        return manifest

    def check(self, view: View) -> None:
        """Read everything and compare all checksums. Raises WorkspaceError."""
        for segment in view.segments:
            segment.check()
        if zlib.crc32(view.ends.data) != view.manifest.ends_crc:
            raise damaged(self._ends)
        if zlib.crc32(view.text.data) != view.manifest.text_crc:
            raise damaged(self._text)

    # -- writing -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[View]:
        """Wait until nobody else writes; then the newest state, with the folder and its key made if need be."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._make_key()
            view = self.view()
            self.clean(view.manifest)
            yield view if view.key else view._replace(key=self._key().read_bytes())
        except OSError as error:
            raise self._unwritable(error) from None
        finally:
            os.close(lock)

    def _unwritable(self, error: OSError) -> WorkspaceError:
        return WorkspaceError(
            "the custody index cannot be written: {why}",
            hint="nothing was changed; free some space or check the permissions, and load the same events again",
            why=error.strerror or "unknown",
        )

    def _make_key(self) -> None:
        if self._key().exists():
            return
        if self._manifest.exists():
            raise damaged(self._key())
        self._replace("key", os.urandom(_KEY_BYTES))

    def add_names(self, manifest: Manifest, names: list[bytes]) -> Manifest:
        """Append ``names``; the manifest that counts them in, which is not written yet."""
        sizes = np.array([len(name) for name in names], np.uint64)
        ends = (manifest.text + np.cumsum(sizes, dtype=np.uint64)).astype("<u8")
        text = b"".join(names)
        for path, data, offset in ((self._ends, ends.tobytes(), 8 * manifest.names), (self._text, text, manifest.text)):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.ftruncate(fd, offset)  # what a killed writer left
                write_all(fd, data, offset)
                os.fsync(fd)
            finally:
                os.close(fd)
        return msgspec.structs.replace(
            manifest,
            names=manifest.names + len(names),
            text=manifest.text + len(text),
            ends_crc=zlib.crc32(ends.data, manifest.ends_crc),
            text_crc=zlib.crc32(text, manifest.text_crc),
        )

    def commit(self, manifest: Manifest) -> None:
        """Make ``manifest``, whose files are all written, the one that counts; then remove what it does not name."""
        self._sync()
        self._replace("manifest", msgspec.json.encode(manifest))
        self.clean(manifest)

    def _replace(self, name: str, data: bytes) -> None:
        beside = self.folder / f"{name}.new"
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(fd, data, 0)
            # File systems date by a coarse clock; two changes within a tick must differ for who looks at the date only.
            os.utime(fd, ns=(time.time_ns(),) * 2)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(beside, self.folder / name)  # noqa: PTH105  like the other steps, one call of os
        self._sync()

    def _sync(self) -> None:
        """Make the folder's entries durable."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def tidy(self) -> None:
        """After a change that broke off: remove what the manifest on disk, be it the old or the new, does not name."""
        with contextlib.suppress(OSError, WorkspaceError):
            self.clean(self.manifest() if self.stamp() else Manifest())

    def clean(self, manifest: Manifest) -> None:
        """Remove segments that ``manifest`` does not name. A file that stays (somebody's network disk) harms nothing."""
        for path in self.folder.glob("segment-*"):
            if path.name not in manifest.segments:
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108  like the other steps, one call of os


def _map(path: Path, size: int) -> mmap.mmap | bytes:
    """The first ``size`` bytes of a file, mapped."""
    if not size:
        return b""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < size:
            raise damaged(path)
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
