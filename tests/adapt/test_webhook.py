"""The webhook against a real server on this machine: signed, idempotent, patient with faults, and deaf to redirects."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.adapt import webhook
from parcelveil.adapt.webhook import IDEMPOTENCY_KEY, MOST_BYTES, SIGNATURE, Outcome, Webhook, sign, verify
from parcelveil.errors import UsageError

SECRET = b"forty-two random characters, or bytes....."
BODY = b'{"uid":"5eed5eed5eed5eed"}'


class Receiver:
    """A server that answers as it is told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.drip = False
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers.items()), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                if receiver.drip:
                    try:
                        for _ in range(200):
                            self.wfile.write(b"H")
                            time.sleep(0.05)
                    except OSError:
                        pass
                    return
                if status == 0:  # hang up without a word
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.server.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server.server_address[1]}/hooks/watch?tenant=acme"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    one.thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_a_delivery_is_signed_and_carries_its_key(receiver: Receiver) -> None:
    outcome = Webhook(receiver.url, SECRET).post(BODY, "5eed5eed5eed5eed:1")
    assert outcome == Outcome("delivered", "204")
    headers, body = receiver.got[0]
    assert body == BODY and headers[IDEMPOTENCY_KEY] == "5eed5eed5eed5eed:1"
    assert headers["Content-Type"] == "application/json"
    now = time.time()
    assert verify(SECRET, headers[SIGNATURE], body, now=now)
    assert not verify(SECRET, headers[SIGNATURE], body + b" ", now=now)
    assert not verify(b"another secret of some length", headers[SIGNATURE], body, now=now)
    assert not verify(SECRET, headers[SIGNATURE], body, now=now + 301), "what was overheard is worth nothing later"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((200, {}), Outcome("delivered", "200")),
        ((503, {}), Outcome("retry", "503")),
        ((429, {"Retry-After": "7"}), Outcome("retry", "429", 7)),
        ((429, {"Retry-After": "999999"}), Outcome("retry", "429", 3600)),
        ((429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), Outcome("retry", "429")),
        ((408, {}), Outcome("retry", "408")),
        ((425, {}), Outcome("retry", "425")),
        ((400, {}), Outcome("refused", "400")),
        ((401, {}), Outcome("refused", "401")),
        ((410, {}), Outcome("refused", "410")),
        ((0, {}), Outcome("retry", "connection lost")),
    ],
)
def test_what_is_tried_again_and_what_is_final(
    receiver: Receiver, answer: tuple[int, dict[str, str]], outcome: Outcome
) -> None:
    receiver.answers = [answer]
    assert Webhook(receiver.url, SECRET).post(BODY, "k:1") == outcome


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Location": receiver.url})]
    assert Webhook(receiver.url, SECRET).post(BODY, "k:1") == Outcome("refused", "redirect")
    assert len(receiver.got) == 1


def test_an_answer_that_drips_is_cut_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_SECONDS", 0.4)
    receiver.drip = True
    started = time.monotonic()
    assert Webhook(receiver.url, SECRET).post(BODY, "k:1") == Outcome("retry", "timeout")
    assert time.monotonic() - started < 3


def test_nobody_there_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    assert Webhook(url, SECRET).post(BODY, "k:1") == Outcome("retry", "connection refused")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert Webhook("https://soc.example.com/", SECRET).post(BODY, "k:1") == Outcome("retry", "unknown host")


def test_an_answer_that_is_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert Webhook(url, SECRET).post(BODY, "k:1").kind == "retry"
        thread.join()


def test_a_body_beyond_the_limit_is_never_sent(receiver: Receiver) -> None:
    assert Webhook(receiver.url, SECRET).post(b"x" * (MOST_BYTES + 1), "k:1") == Outcome("refused", "too long")
    assert not receiver.got


def test_certificates_are_verified(receiver: Receiver, tmp_path: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]  # fmt: skip
    try:
        subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    assert receiver.url.startswith("https")
    assert Webhook(receiver.url, SECRET).post(BODY, "k:1") == Outcome("retry", "certificate")
    known = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    assert Webhook(receiver.url, SECRET, context=known).post(BODY, "k:1").kind == "delivered"
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://soc.example.com/", "soc.example.com", "https://", "http://soc.example.com/", "http://10.0.0.1/",
        "https://me:pw@soc.example.com/", "https://soc.example.com/\r\nX: y", "https://soc.example.com:99999/", "https://[::1/",
        "https://soc.example.com/a b", "file:///etc/passwd", "http://169.254.169.254/",
    ],
)  # fmt: skip
def test_urls_that_are_refused_are_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Webhook(url, SECRET)
    assert "pw" not in str(caught.value) and url not in str(caught.value)


def test_secrets_are_long_and_shown_nowhere(receiver: Receiver) -> None:
    with pytest.raises(UsageError, match="too short"):
        Webhook(receiver.url, b"short")
    hook = Webhook(receiver.url, SECRET)
    assert "tenant" not in repr(hook) and SECRET.decode() not in repr(hook) and len(hook.target) == 16
    assert hook.target != Webhook(receiver.url + "x", SECRET).target


@given(st.binary(max_size=200), st.integers(0, 10**11))
def test_what_was_signed_verifies_in_its_time_only(body: bytes, at: int) -> None:
    header = sign(SECRET, body, at)
    assert verify(SECRET, header, body, now=at) and verify(SECRET, header, body, now=at - 300.0)
    assert not verify(SECRET, header, body, now=at - 301)
    assert not verify(SECRET, header, body, now=float("nan"))
    moved = header.replace(f"t={at}", f"t={at + 1}")
    assert not verify(SECRET, moved, body, now=at), "the time is signed too"


@given(st.text(max_size=120) | st.from_regex(r"t=[0-9]+(,v1=[0-9a-f]*)*", fullmatch=True))
def test_any_header_is_answered_with_no(header: str) -> None:
    assert not verify(SECRET, header, BODY, now=1_795_406_400)


def test_a_header_may_hold_an_old_and_a_new_signature() -> None:
    at = 1_795_406_400
    old, new = sign(b"the old secret of some length", BODY, at), sign(SECRET, BODY, at)
    both = f"{old},{new.split(',')[1]}"
    check: Callable[[str], bool] = lambda header: verify(SECRET, header, BODY, now=at)  # noqa: E731
    assert check(both) and check(new) and not check(old)
