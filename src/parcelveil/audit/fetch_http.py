"""Get the files of a published log from a web server, which may answer anything, or slowly, or never.

::

    fetch = Http("https://log.example/acme", timeout=10.0)      # see parcelveil.audit.fetch.http, which checks the address
    fetch("checkpoint")

``timeout`` bounds each wait for bytes. That alone would let a server send a byte every few seconds for ever, in the
header as well as in the body, so one deadline of ten times as long stands over the whole request: connecting, a proxy's answer,
TLS, header and body. A :class:`_Watch` ends what is not done by then by shutting the connection down. Only the lookup of the
host's name is the system's own and has the system's limit.

Apart from :mod:`~parcelveil.audit.fetch` because the modules of HTTP are slow to import.
"""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
import zlib
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Any

from parcelveil.audit.fetch import limit_of, unreadable

#: A whole request may take so many times the longest wait for a part of it.
_WAITS = 10


class Http:
    """The fetch that :func:`parcelveil.audit.fetch.http` returns. Can be pickled, so that other processes may help to read."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout = url, timeout
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            _Plain(),
            _Tls(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    def __reduce__(self) -> tuple[type[Http], tuple[str, float]]:
        return Http, (self._url, self._timeout)

    def __call__(self, path: str) -> bytes | None:
        limit = limit_of(path)
        with _Watch(_WAITS * self._timeout) as watch:
            request = _Request(
                f"{self._url.rstrip('/')}/{path}",
                headers={"Accept-Encoding": "gzip, identity", "User-Agent": "parcelveil"},
            )
            request.watch = watch
            try:
                with self._opener.open(request, timeout=self._timeout) as answer:
                    if answer.status != 200:
                        raise unreadable(path, f"the server answers {answer.status}")
                    # Incompressible bytes grow a little when they are compressed.
                    data = _body(answer, limit + limit // 100 + 1000)
                    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
            except urllib.error.HTTPError as error:
                error.close()
                if watch.ended:
                    raise unreadable(path, "the server is too slow") from None
                if error.code in (404, 410):
                    return None
                raise unreadable(path, f"the server answers {error.code}") from None
            except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
                if watch.ended:
                    raise unreadable(path, "the server is too slow") from None
                if isinstance(error, urllib.error.URLError):
                    why = getattr(error.reason, "strerror", None) or "the server does not answer"
                    raise unreadable(path, why) from None
                raise unreadable(path, f"the connection broke ({type(error).__name__})") from None
            if watch.ended:  # what we cut off looks like the end of an answer that gives no length
                raise unreadable(path, "the server is too slow")
        if coding == "gzip":
            data = _gunzip(path, data, limit)
        elif coding != "identity":
            raise unreadable(path, "unknown content encoding")
        if len(data) > limit:
            raise unreadable(path, "too long")
        return data


class _Watch:
    """The deadline of one request: shuts its connection down when ``seconds`` are over. ``with`` ends it."""

    def __init__(self, seconds: float) -> None:
        self.ended = False
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None  # a duplicate: ours to shut whoever owns the connection by now
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket:
                self._socket.close()
                self._socket = None

    def _end(self) -> None:
        with self._lock:  # not while the number of a closed socket may become that of another file
            self.ended = True
            if self._socket:
                with suppress(OSError):  # the other side may have gone
                    self._socket.shutdown(socket.SHUT_RDWR)

    def connect(self, address: tuple[str, int], timeout: float, _source: Any = None) -> socket.socket:
        """:func:`socket.create_connection`, with all addresses of a host under one deadline."""
        problem: OSError = OSError("the host has no address")
        for family, kind, proto, _, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            left = self._ends - time.monotonic()
            if left <= 0 or self.ended:
                raise TimeoutError
            made = socket.socket(family, kind, proto)
            try:
                made.settimeout(min(timeout, left))
                made.connect(place)
                made.settimeout(timeout)
                self._hold(made)
            except OSError as error:
                made.close()
                problem = error
            else:
                return made
        raise problem

    def _hold(self, made: socket.socket) -> None:
        with self._lock:
            if self.ended:
                raise TimeoutError
            self._socket, before = made.dup(), self._socket
            if before:
                before.close()


class _Request(urllib.request.Request):
    watch: _Watch


class _Watched(urllib.request.AbstractHTTPHandler):
    """A handler whose connections are made by the watch of their request."""

    def do_open(self, http_class: Any, req: urllib.request.Request, **more: Any) -> HTTPResponse:
        def watched(host: str, **options: Any) -> Any:
            connection = http_class(host, **options)
            if isinstance(req, _Request):
                # No public way in: but the connection must be known while it is made, and while a proxy answers.
                connection._create_connection = req.watch.connect
            return connection

        return super().do_open(watched, req, **more)


class _Plain(_Watched, urllib.request.HTTPHandler):
    pass


class _Tls(_Watched, urllib.request.HTTPSHandler):
    pass


def _body(answer: HTTPResponse, limit: int) -> bytes:
    """At most one byte more than ``limit``; OSErrors when a server stops early."""
    parts, size = [], 0
    while size <= limit and (part := answer.read1(min(65_536, limit + 1 - size))):
        parts.append(part)
        size += len(part)
    if size <= limit and answer.length:  # bytes that were promised and did not come
        raise ConnectionError
    return b"".join(parts)


def _gunzip(path: str, data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(31)
    try:
        out = stream.decompress(data, limit + 1)
    except zlib.error:
        raise unreadable(path, "damaged compression") from None
    if len(out) <= limit and (not stream.eof or stream.unused_data):
        raise unreadable(path, "damaged compression")
    return out
