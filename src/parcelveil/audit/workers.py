"""Worker processes that read blocks of a published log, so that verifying a long log uses all cores.

::

    crew = Crew.start(2, Published(fetch, size), Tally(offset_minutes=480))    # None when it cannot be
    with crew:
        crew.send(Block(0, [b""] * 8))
        crew.is_ready                   # whether the answer is there
        crew.receive()                  # the ReadBlock; None when the worker found fault with it, or died

Answers come in the order of the blocks. A worker never says what is wrong: who gets None reads the block itself and
meets the same fault, so that errors are the same with workers and without. The worst that a worker's death does
is that the work is done here.

A worker is a new interpreter that imports this module only, never the caller's ``__main__``: no forked threads and
locks, and scripts need no guard. It ends when the socket to it is closed, however its parent ended. It has a process
group of its own, so that Ctrl-C reaches the parent only, who ends it.
"""

from __future__ import annotations

import os
import pickle
import select
import socket
import struct
import subprocess
import sys
from collections import deque
from typing import Self

from parcelveil.audit.bundles import Block, Published, ReadBlock, answer
from parcelveil.audit.fetch import held
from parcelveil.audit.tally import Tally

#: Bundles in a block: two thousand entries, some milliseconds of work.
BLOCK = 8
#: Blocks a worker may have before it, so that it never waits.
AHEAD = 2
#: More would only load the disk or the server.
MOST_WORKERS = 16
_SIZE = struct.Struct(">I")
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from parcelveil.audit.workers import work; work()"
)


class _Worker:
    """One process and the socket to it."""

    def __init__(self, job: list[bytes]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter, a fixed program
                    [sys.executable, "-I", "-c", _PROGRAM],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        self._socket: socket.socket | None = ours
        for part in job:
            self.send(part)

    def send(self, data: bytes) -> None:
        """Give it work; one that has died gets none."""
        try:
            if self._socket:
                self._socket.sendall(data)
        except OSError:
            self.end()

    @property
    def is_ready(self) -> bool:
        """Whether :meth:`receive` need not wait."""
        if not self._socket:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def receive(self) -> ReadBlock | None:
        try:
            (size,) = _SIZE.unpack(self._take(_SIZE.size))
            found = pickle.loads(self._take(size))  # noqa: S301 - our own process
        except (OSError, pickle.UnpicklingError):
            self.end()
            return None
        return found if isinstance(found, ReadBlock) else None

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:  # again after each signal that was handled
            more = self._socket.recv(size - len(data), socket.MSG_WAITALL) if self._socket else b""
            if not more:
                raise ConnectionError
            data += more
        return data

    def end(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None
            self._process.kill()
            self._process.wait()


class Crew:
    """Workers in a row. Blocks are dealt out by turns. A context manager: leaving it ends them all."""

    def __init__(self, workers: list[_Worker]) -> None:
        self._workers = workers
        self._turn = 0
        self._owing: deque[_Worker] = deque()

    @classmethod
    def start(cls, count: int, log: Published, tally: Tally) -> Self | None:
        """``count`` workers on ``log``, who count as ``tally``, an empty one, does.

        None when the log's ``fetch`` cannot be sent to another process, or when none starts.
        """
        try:
            job = [pickle.dumps(sys.path), pickle.dumps((log, tally))]
        except (pickle.PicklingError, AttributeError, TypeError):
            return None
        workers: list[_Worker] = []
        try:
            for _ in range(min(count, MOST_WORKERS)):
                workers.append(_Worker(job))
        except OSError:  # no more processes, or no such interpreter
            if not workers:
                return None
        except BaseException:
            cls(workers).end()
            raise
        return cls(workers)

    def step(self, bundles: int) -> int:
        """How many bundles to put into each block, so that all have something to do until near the end."""
        return max(1, min(BLOCK, bundles // (4 * len(self._workers) + 4)))

    @property
    def has_room(self) -> bool:
        """Whether another block should be sent before the next answer is taken."""
        return len(self._owing) < AHEAD * len(self._workers)

    def send(self, block: Block) -> None:
        """Give a block to the worker whose turn it is."""
        worker = self._workers[self._turn % len(self._workers)]
        self._turn += 1
        self._owing.append(worker)
        worker.send(pickle.dumps(block))

    @property
    def is_ready(self) -> bool:
        """Whether :meth:`receive` need not wait."""
        return not self._owing or self._owing[0].is_ready

    def receive(self) -> ReadBlock | None:
        """The answer to the block that was sent first of those without one; IndexError when there is none."""
        return self._owing.popleft().receive()

    def end(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def work() -> None:
    """What a worker does: answer each block on standard input, until there are no more or nobody listens."""
    try:
        log, tally = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our parent
        with held(log.fetch) as fetch:
            log = Published(fetch, log.size)
            while True:
                block: Block = pickle.load(sys.stdin.buffer)  # noqa: S301
                found = pickle.dumps(answer(log, tally, block))
                sys.stdout.buffer.write(_SIZE.pack(len(found)) + found)
                sys.stdout.buffer.flush()
    except (EOFError, OSError):
        os._exit(0)  # without the noise of a standard output that nobody reads
