"""Posts alerts to a webhook, signed; and tells whoever receives them how to know that they are genuine.

::

    hook = Webhook("https://soc.example.com/hooks/parcelveil", secret)
    outcome = hook.post(body, "5eed5eed5eed5eed:1")     # one attempt: delivered, retry, or refused
    ...
    verify(secret, headers["Parcelveil-Signature"], body, now=time.time())      # the receiver's side

**Signature.** ``Parcelveil-Signature: t=1795406400,v1=HEX``: HMAC-SHA256 (RFC 2104) under the shared secret over the decimal seconds
of ``t``, a full stop, and the body's bytes. The time is signed, so that what was once overheard cannot be replayed for
longer than the receiver allows. ``Idempotency-Key: uid:revision`` is the same for every attempt: delivery is at least once,
and a receiver takes each key once.

**What is final.** 2xx is delivered. 408, 425, 429, 5xx and everything that is no answer is tried again; all else, redirects
too (they are not followed: a body meant for one host must not wander to another), is refused. ``Retry-After`` in seconds is
respected up to an hour.

https only; http is for this machine alone (loopback addresses). Certificates are verified. No proxy. The URL may hold no
password; it, and the secret, are in no error and in no ``repr``.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from parcelveil.errors import UsageError

SIGNATURE = "Parcelveil-Signature"
IDEMPOTENCY_KEY = "Idempotency-Key"
#: Seconds by which a receiver lets a signature be old, or ahead.
TOLERANCE = 300
#: Bytes of a body, of an answer's body that are read, and of the secret.
MOST_BYTES, _MOST_ANSWER, LEAST_SECRET = 256 * 1024, 64 * 1024, 16
#: Seconds for connecting, sending and the whole answer.
_SECONDS = 15.0
_MOST_WAIT = 3600
_AGAIN = frozenset({408, 425, 429})
_HEADER = re.compile(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64}){1,4})")


class Outcome(NamedTuple):
    """What became of one attempt. ``why`` is one of a few words, and an HTTP status where there is one."""

    kind: Literal["delivered", "retry", "refused"]
    why: str = ""
    wait: int = 0  # seconds that the receiver asked for


class Webhook:
    """See the module. Used by one thread at a time."""

    def __init__(self, url: str, secret: bytes, *, context: ssl.SSLContext | None = None) -> None:
        """``context``: for a receiver with a certificate of the carrier's own. Raises UsageError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _unusable() from None
        if parts.scheme not in ("https", "http") or not parts.hostname or re.search(r"[\x00-\x20\x7f-\uffff]", url):
            raise _unusable()
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                "the webhook's URL holds a password", hint="the signature says who is calling: leave it out"
            )
        if len(secret) < LEAST_SECRET:
            raise UsageError("the webhook's secret is too short", hint=f"use at least {LEAST_SECRET} random characters")
        self.host = parts.hostname
        self._tls, self._port = parts.scheme == "https", port or (443 if parts.scheme == "https" else 80)
        if not self._tls and not _all_loopback(self.host):
            raise UsageError(
                "a webhook without https may only be on this machine", hint="give an https: URL, or one of 127.0.0.1"
            )
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret, self._context = secret, context
        #: What deliveries are kept under: says nothing about the URL.
        self.target = hashlib.sha256(b"parcelveil v1 webhook\0" + url.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<Webhook {self.host}>"

    def post(self, body: bytes, key: str, *, now: Callable[[], float] = time.time) -> Outcome:
        """One attempt, of at most about fifteen seconds. Raises nothing for what a network does."""
        if len(body) > MOST_BYTES:
            return Outcome("refused", "too long")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "parcelveil",
            "Connection": "close",
            IDEMPOTENCY_KEY: key,
            SIGNATURE: sign(self._secret, body, int(now())),
        }
        connection = self._connection()
        ended = threading.Event()
        timer = threading.Timer(_SECONDS, _cut, (connection, ended))  # an answer that drips is cut off, too
        timer.daemon = True
        timer.start()
        try:
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            answer.read(_MOST_ANSWER)
        except ssl.SSLCertVerificationError:
            return Outcome("retry", "certificate")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Outcome("retry", "timeout" if ended.is_set() else _why(error))
        finally:
            timer.cancel()
            connection.close()
        return _outcome(answer.status, answer.headers.get("Retry-After", ""))

    def _connection(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self.host, self._port, timeout=_SECONDS)
        context = self._context or ssl.create_default_context()
        return http.client.HTTPSConnection(self.host, self._port, timeout=_SECONDS, context=context)


def sign(secret: bytes, body: bytes, at: int) -> str:
    """The signature header of ``body`` at ``at`` (seconds since 1970)."""
    return f"t={at},v1={_mac(secret, body, at)}"


def verify(secret: bytes, header: str, body: bytes, *, now: float, tolerance: float = TOLERANCE) -> bool:
    """Whether ``header`` is a signature of ``body`` under ``secret``, no more than ``tolerance`` seconds old or ahead.

    For whoever receives: check it over the bytes as they came, before parsing them. A header may hold up to four
    signatures, so that a secret can be changed.
    """
    found = _HEADER.fullmatch(header)
    if found is None or not abs(now - int(found[1])) <= tolerance:
        return False
    right = _mac(secret, body, int(found[1]))
    given = [one.removeprefix("v1=") for one in found[2].split(",")[1:]]
    return sum(hmac.compare_digest(right, one) for one in given) > 0  # all of them, whatever the first says


def _mac(secret: bytes, body: bytes, at: int) -> str:
    return hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _outcome(status: int, retry_after: str) -> Outcome:
    if 200 <= status < 300:
        return Outcome("delivered", str(status))
    if status in _AGAIN or status >= 500:
        wait = int(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else 0
        return Outcome("retry", str(status), min(wait, _MOST_WAIT))
    return Outcome("refused", "redirect" if 300 <= status < 400 else str(status))


def _why(error: Exception) -> str:
    """A word for what went wrong: the system's own text may name hosts and paths."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "unknown host"
    if isinstance(error, ssl.SSLError):
        return "tls"
    return "connection lost" if isinstance(error, OSError) else "no http"


def _cut(connection: http.client.HTTPConnection, ended: threading.Event) -> None:
    ended.set()
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _all_loopback(host: str) -> bool:
    """Whether ``host`` is this machine and nothing else."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    if host != "localhost":
        return False
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(one).is_loopback for one in found)


def _unusable() -> UsageError:
    return UsageError("the webhook's URL cannot be used", hint="write it like https://soc.example.com/hooks/parcelveil")
