"""A witness: a small process with its own key, run by a regulator or at headquarters, so that no log can rewrite its past.

::

    Witness.create(folder, "regulator.example/w1")
    witness = Witness(folder)
    witness.trust(vkey)                                             # once for each log
    seen = witness.observe(tiles.http("https://…"), "acme.parcelveil/log", int(time.time()))
    seen.size, seen.new, seen.note                                  # the checkpoint with our cosignature

A witness remembers, for each log, the newest checkpoint it cosigned, and cosigns another only when that one's log
begins with all the entries of this one. It checks the Merkle consistency proof itself; from a folder or a web server
it makes the proof itself too. What contradicts that raises :class:`~parcelveil.errors.ForkError`, and the signed notes are
kept as evidence in an ``alarm-`` file:

* ``fork``: the log's key has signed two histories. Nobody else can cause that, so **the alarm stands**: the log gets no more
  cosignatures until a person has run :meth:`Witness.clear_alarm`. Clearing forgets nothing that was seen: a log
  that forked stays refused, and must go on under a new origin and key.
* ``rollback``: a signed checkpoint with fewer entries than were seen. ``key``: a note in the log's name by another key.
  Anybody on the way can replay an old checkpoint or make up a note, so these fail the one round, and the next checkpoint that is
  consistent with what was seen is cosigned as ever. What was signed then is held against the log all the same: a
  later history that does not contain the shorter one is a fork.

Tiles are not signed; when they are missing, unreachable or do not give the root that was signed, that
is a :class:`~parcelveil.errors.LogError`, nothing is cosigned, and the next round tries again.

The folder (mode 0700) holds ``witness.key``, ``witness.vkey``, one ``log-`` file for each log and the ``alarm-`` files. The key lies there plain, readable for its owner only, as the host keys of ssh do: a witness must start again by itself, and who can
read its folder as its user can sign as it anyway. Files change by writing anew, syncing and renaming, and "check, then update"
happens under a lock on the folder, so any number of processes may work on one folder (tlog-witness describes the race).
A cosignature leaves only after the checkpoint under it is durable.

Formats: c2sp.org/tlog-witness, /tlog-cosignature (Ed25519), /tlog-checkpoint.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from parcelveil.audit.note import COSIGNATURE, Signer
from parcelveil.audit.proof import (
    Checkpoint,
    ProofError,
    VerifierKey,
    parse_checkpoint,
    read_checkpoint,
    split_note,
    unbase64,
    verify_note,
)
from parcelveil.audit.tiles import Fetch, TileReader
from parcelveil.audit.tree import EMPTY, check_consistency, consistency_path, root_of
from parcelveil.audit.witness_folder import Alarm, WatchedLog, WitnessFolder, alarm_name
from parcelveil.errors import ForkError, LogError

#: Longest body of add-checkpoint: 63 hashes and a note with many signatures.
MOST_BYTES = 64 * 1024
_MOST_PROOF = 63
_OLD_LINE = re.compile(rb"old (0|[1-9][0-9]{0,18})")
_RACES = 20  # other processes that may come first, before one gives up
_ALARMS = {
    "fork": "{origin} has two histories, and its key has signed both",
    "rollback": "{origin} shows fewer entries than it has shown before",
    "key": "{origin} shows a checkpoint that another key has signed",
}


class Observation(NamedTuple):
    """What :meth:`Witness.observe` saw: the log at ``size``, with ``new`` entries since the last time."""

    origin: str
    size: int
    root: bytes
    note: str  #: the checkpoint with the log's signature and our cosignature, and no others
    new: int


class Witness:
    """See the module. Its ``repr`` shows its name only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = WitnessFolder(folder)
        self._signer = self._files.signer()
        self.key: VerifierKey = self._signer.key

    def __repr__(self) -> str:
        return f"<Witness {self.key.name}>"

    @classmethod
    def create(cls, folder: Path, name: str) -> Self:
        """A new witness with a new key. Raises LogError when the folder holds one already, or when the name is none."""
        try:
            signer, seed = Signer.generate(name, COSIGNATURE)
        except ValueError:
            raise LogError(
                "{name} cannot be a witness's name", hint="a host and a word: regulator.example/w1", name=ascii(name)
            ) from None
        WitnessFolder(folder).create(signer, seed)
        return cls(folder)

    def trust(self, log_vkey_text: str) -> str:
        """Watch this log too; returns its origin. Trusting it again is no error, another key for its origin is."""
        try:
            key = VerifierKey.parse(log_vkey_text)
        except ProofError as error:
            raise LogError("this is not a log's key: {why}", hint="give the line in log.vkey", why=error) from None
        if key.kind == COSIGNATURE or key.public == self.key.public:
            raise LogError("{name} is a witness's key, not a log's", name=key.name)
        with self._files.alone():
            if not self._files.watches(key.name):
                self._files.save(key.name, WatchedLog(str(key)))
            elif self._files.log(key.name)[1] != key:
                raise LogError(
                    "{origin} is watched already, under another key",
                    hint="ask its operator, by another way than this file, why the key changed",
                    origin=key.name,
                )
        return key.name

    def origins(self) -> list[str]:
        """The origins of all logs that are watched."""
        return self._files.origins()

    def latest(self, origin: str) -> str:
        """The newest checkpoint we cosigned, with the log's signature and ours; empty before the first.

        Its size never goes down, whatever the log shows: a rollback or a fork leaves it as it was.
        """
        return self._files.log(origin)[0].note

    def alarm(self, origin: str) -> Path | None:
        """The evidence of the fork that stands uncleared, None when none does. Rollbacks and other keys never stand."""
        number = self._files.alarms(origin)
        return self.folder / alarm_name(origin, str(number)) if number > self._files.log(origin)[0].cleared else None

    def clear_alarm(self, origin: str) -> int:
        """A person has dealt with the fork: cosign again what is consistent with what was seen. Returns its number.

        The evidence and what was seen stay. Raises LogError when no alarm stands.
        """
        with self._files.alone():
            log, number = self._files.log(origin)[0], self._files.alarms(origin)
            if number <= log.cleared:
                raise LogError("there is no alarm about {origin}", origin=origin)
            self._files.save(origin, msgspec.structs.replace(log, cleared=number))
        return number

    def observe(self, fetch: Fetch, origin: str, now: int) -> Observation:
        """Fetch the log's checkpoint, check that its log contains all that was seen, and cosign it.

        ``now``: seconds since 1970 UTC. Raises ForkError for a fork, new or standing, and, for this one time, for a
        rollback or another key; LogError when the log cannot be read or does not hold together, or is not watched.
        """
        for _ in range(_RACES):
            # What was seen is read before the log is: so the log is never behind it because of us.
            log, key = self._files.log(origin)
            self._refuse_alarmed(origin)
            data = fetch("checkpoint")
            if data is None:
                raise LogError("{origin} shows no checkpoint", hint="is this its address?", origin=origin)
            try:
                if len(data) > MOST_BYTES:  # it may become evidence, and be kept
                    raise ProofError("too long")
                text = data.decode()
                body = split_note(text)[0]
            except ValueError:
                raise LogError("the checkpoint of {origin} is not a signed note", origin=origin) from None
            problem = self._problem(fetch, log, key, text, body, now)
            with self._files.alone():
                self._refuse_alarmed(origin)
                if self._files.log(origin)[0] != log:
                    continue  # another process was faster: what we compared with is not the newest any more
                if problem:
                    raise self._raise_alarm(problem, key)
                old, new = self._seen(log, key), read_checkpoint(text, key)
                line = self._cosign(origin, log, text, key, now)
                cosigned = _only(text, key) + line
            return Observation(origin, new.size, new.root, cosigned, new.size - (old.size if old else 0))
        raise LogError("other processes keep changing what this witness has seen", hint="run one of them")

    def _problem(self, fetch: Fetch, log: WatchedLog, key: VerifierKey, text: str, body: str, now: int) -> Alarm | None:
        """The alarm that this checkpoint is, if it is one. Raises LogError when that cannot be told."""
        alarm = Alarm(key.name, "", now, log.vkey, log.note, text)
        try:
            new = read_checkpoint(text, key)
        except ProofError as error:
            # A broken signature of the right key is a damaged file; a note of this origin under another key is not.
            if (
                body.split("\n", 1)[0] == key.name
                and not _lines(text, key)
                and any(n == key.name for n, _, _ in split_note(text)[1])
            ):
                return msgspec.structs.replace(alarm, kind="key")
            raise LogError("the checkpoint of {origin} does not verify: {why}", origin=key.name, why=error) from None
        old = self._seen(log, key)
        if old and new.size < old.size:
            return msgspec.structs.replace(alarm, kind="rollback")
        if old and new.size == old.size and new.root != old.root:
            return msgspec.structs.replace(alarm, kind="fork")
        reader = TileReader(fetch, new.size)
        if root_of(new.size, reader.node) != new.root:
            raise LogError(
                "the tiles of {origin} do not give the root of its checkpoint", hint="try again", origin=key.name
            )
        # A shorter history that was shown meanwhile has to be in this one, as what was cosigned has.
        for seen in (log.note, *self._files.rollbacks(key.name, key)):
            if seen and (fork := _contradiction(read_checkpoint(seen, key), new, reader)):
                implied, path = fork
                return msgspec.structs.replace(
                    alarm,
                    kind="fork",
                    seen=seen,
                    implied_root=base64.b64encode(implied).decode(),
                    proof=tuple(base64.b64encode(node).decode() for node in path),
                )
        return None

    def add_checkpoint(self, body: bytes, now: int) -> tuple[int, bytes]:
        """The add-checkpoint call of c2sp.org/tlog-witness: HTTP status and response body, for any server to send.

        200: the line with our cosignature. 409: the size we have seen, and a newline, with the content type
        ``text/x.tlog.size``. 400, 403, 404, 422: a line of text. A second checkpoint of the same size and another root,
        signed by the log, raises the alarm; a consistency proof that does not hold does not, since anybody can send one.
        Raises LogError when the witness's own folder is damaged or cannot be written.
        """
        try:
            size, proof, text = _request(body)
            checkpoint = parse_checkpoint(split_note(text)[0])
        except ValueError as error:
            return 400, f"not a request: {error}\n".encode("ascii", "backslashreplace")
        with self._files.alone():
            if not self._files.watches(checkpoint.origin):
                return 404, b"this log is not watched here\n"
            log, key = self._files.log(checkpoint.origin)
            try:
                new = read_checkpoint(text, key)
            except ProofError:
                return 403, b"not signed by the key of this log\n"
            if self._files.alarms(new.origin) > log.cleared:
                return 403, b"an alarm stands about this log\n"
            if size > new.size:
                return 400, b"the old size is larger than the checkpoint's\n"
            old = self._seen(log, key) or Checkpoint(new.origin, 0, EMPTY)
            if size == old.size == new.size and log.note and new.root != old.root:
                self._raise_alarm(Alarm(new.origin, "fork", now, log.vkey, log.note, text), key)
                return 409, b"%d\n" % old.size
            if size != old.size:
                return 409, b"%d\n" % old.size
            try:
                if old.size:
                    check_consistency(old.size, new.size, old.root, new.root, proof)
                elif proof or (not new.size and new.root != EMPTY):
                    raise ProofError("nothing follows from an empty log")
            except ProofError:
                return 422, b"the consistency proof does not hold\n"
            return 200, self._cosign(new.origin, log, text, key, now).encode()

    def _cosign(self, origin: str, log: WatchedLog, text: str, key: VerifierKey, now: int) -> str:
        """Remember the checkpoint durably; only then is there a cosignature. Call under the lock."""
        line = self._signer.cosign(verify_note(text, key)[0], now)
        self._files.save(origin, msgspec.structs.replace(log, note=_only(text, key) + line))
        return line

    def _seen(self, log: WatchedLog, key: VerifierKey) -> Checkpoint | None:
        return read_checkpoint(log.note, key) if log.note else None

    def _refuse_alarmed(self, origin: str) -> None:
        found = self.alarm(origin)
        if found:
            raise ForkError(
                "an alarm about {origin} stands: {file}",
                hint="look into it; a person who has, runs: audit witness clear DIR ORIGIN",
                origin=origin,
                file=found.name,
            )

    def _raise_alarm(self, alarm: Alarm, key: VerifierKey) -> ForkError:
        """Keep the evidence durably. Call under the lock."""
        if alarm.kind == "fork":
            name = self._files.save_alarm(alarm)
        else:  # lines that others have put under a checkpoint of the log do not make it another one
            shown = _only(alarm.shown, key) if alarm.kind == "rollback" else alarm.shown
            name = self._files.keep(msgspec.structs.replace(alarm, shown=shown), shown)
        return ForkError(
            _ALARMS[alarm.kind] + ": {file}",
            hint="keep that file; docs/witness.md says what to do",
            origin=alarm.origin,
            file=name,
        )


def _request(body: bytes) -> tuple[int, list[bytes], str]:
    """Old size, proof and checkpoint of an add-checkpoint request; ValueError when it is none."""
    if len(body) > MOST_BYTES:
        raise ProofError("too long")
    head, gap, text = body.partition(b"\n\n")
    first, *proof = head.split(b"\n", _MOST_PROOF + 1)
    match = _OLD_LINE.fullmatch(first)
    if not gap or not match or len(proof) > _MOST_PROOF:
        raise ProofError("an old size, at most 63 hashes, an empty line and a checkpoint are needed")
    hashes = [unbase64(line.decode("ascii")) for line in proof]
    if any(len(node) != 32 for node in hashes):
        raise ProofError("a hash has 32 bytes")
    return int(match[1]), hashes, text.decode()


def _contradiction(old: Checkpoint, new: Checkpoint, reader: TileReader) -> tuple[bytes, list[bytes]] | None:
    """Where ``new`` does not begin with ``old``: the root it has at that size instead, and the proof of it.

    Raises LogError when the tiles prove neither.
    """
    if not old.size or old == new:
        return None
    path = consistency_path(old.size, new.size, reader.node)
    with suppress(ProofError):
        check_consistency(old.size, new.size, old.root, new.root, path)
        return None
    implied = root_of(old.size, reader.node)
    try:  # the proof holds from another old root: then the log's own signature says that its past is another
        check_consistency(old.size, new.size, implied, new.root, path)
    except ProofError:
        raise LogError("the tiles of {origin} do not hang together", hint="try again", origin=new.origin) from None
    return implied, path


def _lines(text: str, key: VerifierKey) -> list[str]:
    """The lines with which ``key`` signed a note."""
    found = [(n, i, s) for n, i, s in split_note(text)[1] if (n, i) == (key.name, key.key_id)]
    return [f"— {n} {base64.b64encode(i + s).decode()}\n" for n, i, s in found]


def _only(text: str, key: VerifierKey) -> str:
    """The note with one signature of ``key`` and no others: what else stands there, we have not checked."""
    return f"{split_note(text)[0]}\n{_lines(text, key)[0]}"
