"""Which log a command reads: this workspace's, or anybody's folder or address; and the state. Needs no passphrase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parcelveil.errors import LogError, UsageError

if TYPE_CHECKING:
    from parcelveil.audit.entry import AnyEntry
    from parcelveil.audit.proof import VerifierKey
    from parcelveil.audit.tiles import Fetch
    from parcelveil.ports import LogState, Transaction


@dataclass
class Source:
    """A log to read: this workspace's, with what it has not published yet, or anybody's folder or address."""

    fetch: Fetch
    key: VerifierKey
    size: int
    own_key: bool = False  # the key is the folder's own, and nobody gave one to compare it with
    tail: list[bytes] = field(default_factory=list)
    tail_from: int = 0
    heads: list[tuple[int, bytes]] = field(default_factory=list)
    minimum: int = 0
    offset_minutes: int = 0
    checkpoint: str = ""  # the newest signed one, which the folder may not show yet
    drawn: dict[int, int] | None = None  # only a workspace knows what its kernel opened

    def entries(self, first: int, last: int) -> Iterator[tuple[int, AnyEntry]]:
        """The entries from ``first`` up to ``last``, those that are not published yet included."""
        from parcelveil.audit.entry import decode
        from parcelveil.audit.tiles import TileReader

        reader = TileReader(self.fetch, self.tail_from) if self.tail_from else None
        for index in range(max(first, self.minimum), min(last, self.size)):
            data = self.tail[index - self.tail_from] if index >= self.tail_from else None
            if data is None and reader is not None:
                data = reader.entry(index)
            if data is not None:
                try:
                    yield index, decode(data)
                except ValueError:
                    raise LogError(
                        "entry {index} is not an entry", hint="run 'parcelveil audit verify'", index=index
                    ) from None


@contextmanager
def state(workspace: str | None) -> Iterator[Transaction]:
    """What a workspace's state says, without any key."""
    from parcelveil.workspace import Workspace, find

    _, store, _ = Workspace.reading(find(workspace))
    with closing(store), store.reading() as tx:
        yield tx


def begun(workspace: str | None) -> bool:
    """Whether anything stands in the workspace's log."""
    with state(workspace) as tx:
        return tx.log_state().size > 0


def source(log: str | None, key: str | None, workspace: str | None) -> Source:
    """The log at a folder or address, else the workspace's. Needs no passphrase.

    ``key``: file with the log's verifier key; the workspace has one itself, but who audits it has no reason to trust it.
    """
    from parcelveil.audit.verify import published_checkpoint

    if log is not None:
        fetch = fetch_from(log)
        if key is None:
            raise UsageError("whose log is it?", hint="give --key FILE: the log's log.vkey, from somebody you trust")
        verifier = _key(key)
        size = published_checkpoint(fetch, verifier).size
        return Source(fetch, verifier, size, tail_from=size)
    return _workspace_source(workspace, key)


def fetch_from(place: str) -> Fetch:
    """What gets the files of a log at a folder or an http(s) address."""
    from parcelveil.audit import tiles

    if place.startswith(("http://", "https://")):
        return tiles.http(place)
    if not Path(place).is_dir():
        raise UsageError("{folder} is no folder", hint="give the folder or the address of a log", folder=place)
    return tiles.directory(Path(place))


def key_line(file: str | Path) -> str:
    """What stands in a file with a verifier key."""
    try:
        with Path(file).open("rb") as opened:
            return opened.read(2000).decode("ascii", "replace")
    except OSError:
        raise UsageError("{file} cannot be read", hint="check the path", file=str(file)) from None


def _key(file: str | Path) -> VerifierKey:
    from parcelveil.audit.proof import ProofError, VerifierKey

    try:
        return VerifierKey.parse(key_line(file))
    except ProofError:
        raise UsageError("{file} is no verifier key", hint="it is one line: name+hash+key", file=str(file)) from None


def _workspace_source(workspace: str | None, key: str | None) -> Source:
    from parcelveil.audit import tiles
    from parcelveil.workspace import Workspace, find

    settings, store, folder = Workspace.reading(find(workspace))
    with closing(store), store.reading() as tx:
        state, groups, heads, drawn = tx.log_state(), tx.groups(), tx.heads(), tx.drawn()
    if not state.size:
        raise LogError("the log is empty", hint="the first look, erasure or key event begins it")
    key_file = folder / "log.vkey"
    if not key_file.exists():
        raise LogError("nothing was published yet", hint="run 'parcelveil audit publish'")
    verifier = _key(key_file if key is None else key)
    tail_from = groups[0][0] if groups else state.size
    tail = [entry for _, bundle in groups for entry in tiles.unbundle(bundle)]
    skip = max(0, state.published - tail_from)
    return Source(
        tiles.directory(folder),
        verifier,
        state.size,
        own_key=key is None,
        tail=tail[skip:],
        tail_from=tail_from + skip,
        heads=[head for head in _signed(state, heads, verifier) if head[0] > state.minimum],
        minimum=state.minimum,
        checkpoint=state.checkpoint,
        offset_minutes=settings.utc_offset_minutes,
        drawn=drawn,
    )


def _signed(state: LogState, heads: list[tuple[int, bytes]], key: VerifierKey) -> list[tuple[int, bytes]]:
    """The heads that the tree must have had. The newest is what the state's checkpoint signs, whatever the table says."""
    from parcelveil.audit.proof import ProofError, read_checkpoint

    try:
        newest = read_checkpoint(state.checkpoint, key)
    except ProofError as error:
        raise LogError(
            "the checkpoint does not verify: {why}", hint="is this the key of this log?", why=error
        ) from None
    later = [head for head in heads if head[0] >= newest.size]
    if newest.size != state.size or later not in ([], [(newest.size, newest.root)]):
        raise LogError("the state of the log was changed: it is not what its newest checkpoint signs")
    return [*(head for head in heads if head[0] < newest.size), (newest.size, newest.root)]
