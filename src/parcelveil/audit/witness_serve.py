"""A witness at work: looking at logs again and again, and answering add-checkpoint over HTTP.

::

    run(witness, tiles.http("https://…"), "acme.parcelveil/log", 60.0, stop, on_round=print)
    serve(witness, port=8080)               # POST /add-checkpoint, c2sp.org/tlog-witness

:func:`run` is for a witness that fetches, :func:`serve` for one to which logs submit; both may work on one
folder at the same time. The server believes nothing: bodies are bounded, a connection has a few seconds for all it wants,
and only so many are open at once. It speaks plain HTTP and binds to 127.0.0.1 unless told otherwise: put a
server with TLS before it.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from parcelveil.audit.tiles import Fetch
from parcelveil.audit.witness import MOST_BYTES, Observation, Witness
from parcelveil.errors import LogError

#: A connection that has not finished after so many seconds is cut, whatever it does.
MOST_SECONDS = 15.0
#: Connections at once; more are closed unanswered.
MOST_CONNECTIONS = 16
#: After failures a round comes later and later, but not later than this (or than ``every``, if that is longer).
_LONGEST_WAIT = 900.0
_draw = random.SystemRandom()


def run(
    witness: Witness,
    fetch: Fetch,
    origin: str,
    every: float,
    stop: threading.Event,
    *,
    on_round: Callable[[Observation | LogError], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Observe the log until ``stop`` is set, about every ``every`` seconds, a little irregularly so that many
    witnesses do not come at once. After each round ``on_round`` gets what was seen or why it failed; an alarm is a
    :class:`~parcelveil.errors.ForkError`. Failures, alarms too, double the wait and end nothing: after a rollback the
    log may be whole again, and a person may clear a fork. What ``on_round`` raises ends the run.
    """
    failures = 0
    while not stop.is_set():
        seen: Observation | LogError
        try:
            seen = witness.observe(fetch, origin, int(clock()))
            failures = 0
        except LogError as error:
            seen = error
            failures += 1
        if on_round:
            on_round(seen)
        wait = min(every * 2 ** min(failures, 20), max(every, _LONGEST_WAIT))
        stop.wait(wait * _draw.uniform(0.8, 1.2))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "parcelveil-witness", ""
    timeout = 5.0
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._cut = threading.Timer(MOST_SECONDS, self._end)
        self._cut.daemon = True
        self._cut.start()

    def _end(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # it may have ended by itself
            self.connection.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        self._cut.cancel()
        with suppress(OSError):  # the other side may have gone
            super().finish()

    def do_POST(self) -> None:
        """add-checkpoint, and nothing else."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/add-checkpoint":
            self._answer(404, b"only POST /add-checkpoint is answered here\n", close=True)
        elif not (length.isascii() and length.isdecimal()) or "Transfer-Encoding" in self.headers:
            self._answer(411, b"say how long the body is\n", close=True)
        elif len(length) > 9 or int(length) > MOST_BYTES:
            self._answer(413, b"too long\n", close=True)
        else:
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                self.close_connection = True
                return
            try:
                status, answer = self.server.witness.add_checkpoint(body, int(self.server.clock()))
            except LogError:
                status, answer = 500, b"the witness cannot work at the moment\n"  # its disk is full, or damaged
            self._answer(status, answer)

    def _answer(self, status: int, body: bytes, *, close: bool = False) -> None:
        kind = "text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who asks is nobody's business, and a log of attacks would fill the disk."""


class _Server(ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], witness: Witness, clock: Callable[[], float]) -> None:
        self.witness, self.clock = witness, clock
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no more threads
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are no event."""


def listen(
    witness: Witness, host: str = "127.0.0.1", port: int = 0, *, clock: Callable[[], float] = time.time
) -> ThreadingTCPServer:
    """The server, bound and not yet answering: call its ``serve_forever``, and ``shutdown`` from another thread.

    ``server_address[1]`` is its port. Raises LogError when the address cannot be had.
    """
    try:
        return _Server((host, port), witness, clock)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "no such port"
        raise LogError("cannot listen on {host}:{port}: {why}", host=host, port=port, why=why) from None


def serve(witness: Witness, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Answer POST /add-checkpoint until the process ends."""
    with listen(witness, host, port) as server:
        server.serve_forever()
