"""The proof vectors of transparency-dev/merkle (Apache-2.0): right ones pass, wrong ones are refused."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parcelveil.audit.proof import ProofError
from parcelveil.audit.tree import (
    check_consistency,
    check_inclusion,
    check_subtree_consistency,
    check_subtree_inclusion,
)

FOLDER = Path(os.environ.get("PARCELVEIL_VECTORS", Path(__file__).parents[3] / "shared" / "vectors")) / "merkle"


def vectors(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = FOLDER / "testdata" / kind
    if not folder.is_dir():
        pytest.skip("the Merkle vectors are not on this machine; PARCELVEIL_VECTORS names their folder")
    for file in sorted(folder.rglob("*.json")):
        yield str(file.relative_to(folder)), json.loads(file.read_text("utf-8"))


def hashes(case: dict[str, Any], *names: str) -> list[bytes]:
    return [b64decode(case[name] or "") for name in names]


def proof(case: dict[str, Any]) -> list[bytes]:
    return [b64decode(node) for node in case["proof"] or []]


def inclusion(case: dict[str, Any]) -> None:
    leaf, root = hashes(case, "leafHash", "root")
    check_inclusion(case["leafIdx"], case["treeSize"], leaf, proof(case), root)


def consistency(case: dict[str, Any]) -> None:
    check_consistency(case["size1"], case["size2"], *hashes(case, "root1", "root2"), proof(case))


def subtreeinclusion(case: dict[str, Any]) -> None:
    leaf, root = hashes(case, "leafHash", "root")
    check_subtree_inclusion(case["leafIdx"], case["start"], case["end"], leaf, proof(case), root)


def subtreeconsistency(case: dict[str, Any]) -> None:
    roots = hashes(case, "root1", "root2")
    check_subtree_consistency(case["start"], case["end"], case["size"], *roots, proof(case))


@pytest.mark.parametrize("check", [inclusion, consistency, subtreeinclusion, subtreeconsistency])
def test_vectors(check) -> None:
    right = wrong = 0
    for name, case in vectors(check.__name__):
        try:
            check(case)
            passed = True
        except ProofError:
            passed = False
        assert passed != case["wantErr"], f"{name}: {case['desc']}"
        right, wrong = right + passed, wrong + (not passed)
    assert right >= 6
    assert wrong > 80
