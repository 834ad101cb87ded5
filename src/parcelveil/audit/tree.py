"""Merkle trees over leaf hashes (RFC 6962, section 2; RFC 9162, section 2.1). Pure: no files, no entries, no keys.

The log keeps only the *frontier*: the roots of the largest complete subtrees, at most 63 hashes. That is enough
to append, and :class:`Grown` also gives the inclusion paths of what is appended, so a receipt needs no disk::

    >>> frontier = Frontier()
    >>> frontier.extend([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")])
    >>> grown = Grown(frontier, [leaf_hash(b"d"), leaf_hash(b"e")])
    >>> grown.frontier.size, grown.root == grown.frontier.root()
    (5, True)
    >>> check_inclusion(3, 5, leaf_hash(b"d"), grown.path(0), grown.root)

Proofs about older leaves and trees read the nodes they need through :data:`Nodes`, such as
:meth:`parcelveil.audit.tiles.TileReader.node`. The ``check_`` functions return nothing and raise
:class:`~parcelveil.audit.proof.ProofError` on anything but a right proof. All hashes are 32 bytes of SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Self

from parcelveil.audit.proof import ProofError, inclusion_root, leaf_hash, node_hash

__all__ = [
    "EMPTY",
    "Frontier",
    "Grown",
    "Nodes",
    "check_consistency",
    "check_inclusion",
    "check_subtree_consistency",
    "check_subtree_inclusion",
    "consistency_path",
    "inclusion_path",
    "leaf_hash",
    "node_hash",
    "parents",
    "root_of",
]

HASH_BYTES = 32
#: The root of a tree without leaves.
EMPTY = sha256().digest()
#: ``nodes(height, index)``: the root of the complete subtree over leaves index * 2**height to (index + 1) * 2**height.
Nodes = Callable[[int, int], bytes]


def parents(nodes: Sequence[bytes]) -> list[bytes]:
    """The hashes one level up; a last node without a partner is left out."""
    pairs = iter(nodes)
    return [sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]


class Frontier:
    """The roots of the maximal complete subtrees of a tree of ``size`` leaves, left to right: one for each bit of size."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if not 0 <= size < 1 << 63 or len(self.hashes) != size.bit_count():
            raise ValueError("a frontier has one hash for each bit of its size")
        if any(len(node) != HASH_BYTES for node in self.hashes):
            raise ValueError("a hash has 32 bytes")

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        node, size = leaf, self.size
        while size & 1:
            node, size = node_hash(self.hashes.pop(), node), size >> 1
        self.hashes.append(node)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes in order, level by level."""
        nodes, size, low = list(leaves), self.size, []
        self.size += len(nodes)
        while nodes:
            if size & 1:
                nodes.insert(0, self.hashes.pop())
            if len(nodes) & 1:
                low.append(nodes[-1])
            nodes, size = parents(nodes), size >> 1
        self.hashes += reversed(low)

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.hashes:
            return EMPTY
        node = self.hashes[-1]
        for left in self.hashes[-2::-1]:
            node = node_hash(left, node)
        return node

    def copy(self) -> Self:
        return type(self)(self.size, self.hashes)

    def to_bytes(self) -> bytes:
        """The hashes one after the other; the size is kept beside them."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Self:
        """Raises ValueError when ``data`` cannot be the frontier of ``size`` leaves."""
        if len(data) % HASH_BYTES:
            raise ValueError("a hash has 32 bytes")
        return cls(size, (data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frontier) and (self.size, self.hashes) == (other.size, other.hashes)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Frontier of {self.size} leaves>"


class Grown:
    """``frontier`` (which stays as it is) with new leaf hashes on top: the new frontier, root, and the new leaves' paths.

    Every left sibling that lies wholly before the new leaves is a node of the old frontier. A level holds all
    nodes from there to the right edge; a last node without a partner moves up unhashed, as RFC 6962 has it.
    """

    __slots__ = ("_levels", "_old", "frontier", "root")

    def __init__(self, frontier: Frontier, leaves: Sequence[bytes]) -> None:
        self._old, size = frontier.size, frontier.size + len(leaves)
        self._levels: list[tuple[int, list[bytes]]] = []  # index of the first node, nodes
        if not leaves:
            self.frontier, self.root = frontier.copy(), frontier.root()
            return
        left, nodes, start = list(frontier.hashes), list(leaves), self._old
        while True:
            if start & 1:
                nodes.insert(0, left.pop())
                start -= 1
            self._levels.append((start, nodes))
            if len(nodes) == 1 and not start:
                break
            nodes, start = parents(nodes) + (nodes[-1:] if len(nodes) & 1 else []), start >> 1
        self.root = nodes[0]
        hashes = []
        for height in reversed(range(size.bit_length())):
            if size >> height & 1:
                start, nodes = self._levels[height]
                hashes.append(nodes[(size >> height) - 1 - start])
        self.frontier = Frontier(size, hashes)

    def path(self, i: int) -> list[bytes]:
        """The inclusion path of the i-th **new** leaf in the new tree, from the leaf's sibling up."""
        index = self._old + i
        if not self._old <= index < self.frontier.size:
            raise IndexError("no such new leaf")
        path = []
        for start, nodes in self._levels:
            sibling = (index ^ 1) - start
            if sibling < len(nodes):
                path.append(nodes[sibling])
            index >>= 1
        return path


def root_of(size: int, nodes: Nodes) -> bytes:
    """The root of the tree of the first ``size`` leaves."""
    return _span(0, size, nodes) if size else EMPTY


def _span(first: int, end: int, nodes: Nodes) -> bytes:
    """The hash over leaves ``first`` to ``end``, where ``first`` is where such a subtree can begin."""
    parts = []
    while first < end:
        height = (end - first).bit_length() - 1
        parts.append(nodes(height, first >> height))
        first += 1 << height
    node = parts.pop()
    while parts:
        node = node_hash(parts.pop(), node)
    return node


def inclusion_path(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The path of leaf ``index`` in the tree of ``size`` leaves, from its sibling up (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    first, end, path = 0, size, []
    while end - first > 1:
        middle = first + (1 << (end - first - 1).bit_length() - 1)
        if index < middle:
            path.append(_span(middle, end, nodes))
            end = middle
        else:
            path.append(_span(first, middle, nodes))
            first = middle
    return path[::-1]


def consistency_path(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """The proof that the tree of ``new`` leaves begins with that of ``old`` (RFC 9162, 2.1.4.1). Empty for old 0 or new."""
    if not 0 <= old <= new:
        raise ValueError("a tree only grows")
    if old in (0, new):
        return []
    first, end, path = 0, new, []
    while old != end:
        middle = first + (1 << (end - first - 1).bit_length() - 1)
        if old <= middle:
            path.append(_span(middle, end, nodes))
            end = middle
        else:
            path.append(_span(first, middle, nodes))
            first = middle
    if first:  # else the old tree is a complete subtree, and the verifier has its root
        path.append(_span(first, end, nodes))
    return path[::-1]


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """``leaf`` is the leaf hash at ``index`` of the tree of ``size`` leaves with this root."""
    if inclusion_root(index, size, leaf, path) != root:
        raise ProofError("the inclusion proof leads to another root")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """The tree of ``new`` leaves begins with that of ``old``. From an empty old tree nothing follows, and that is refused."""
    if not old and new:
        raise ProofError("nothing follows from an empty tree")
    if not 0 <= old <= new:
        raise ProofError("the sizes of a consistency proof do not fit together")
    if not new and old_root != new_root:
        raise ProofError("the roots differ, and the sizes do not")
    check_subtree_consistency(0, old, new, old_root, new_root, path)


def _is_subtree(start: int, end: int) -> bool:
    """Whether leaves ``start`` to ``end`` can be a subtree: it begins at a multiple of a power of two >= its size."""
    return 0 <= start <= end and (start == end or start % (1 << (end - start - 1).bit_length()) == 0)


def check_subtree_inclusion(index: int, start: int, end: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """``leaf`` is the leaf hash at ``index`` of the subtree over leaves ``start`` to ``end`` with this root.

    Subtrees are those of draft-ietf-plants-merkle-tree-certs, section 4.
    """
    if not _is_subtree(start, end) or not start <= index < end:
        raise ProofError("no such leaf, or no such subtree")
    check_inclusion(index - start, end - start, leaf, path, root)


def check_subtree_consistency(
    start: int, end: int, size: int, subtree_root: bytes, root: bytes, path: Sequence[bytes]
) -> None:
    """The subtree over leaves ``start`` to ``end`` belongs to the tree of ``size`` leaves with this root.

    draft-ietf-plants-merkle-tree-certs, section 4.4.3; with ``start`` 0 it is RFC 9162, 2.1.4.2. An empty subtree
    is in every tree that is long enough.
    """
    if not _is_subtree(start, end) or end > size:
        raise ProofError("no such subtree in a tree of this size")
    if any(len(node) != HASH_BYTES for node in path):
        raise ProofError("a hash of the wrong length in a consistency proof")
    if start == end:
        if path or subtree_root != EMPTY:
            raise ProofError("not the root of an empty subtree")
        return
    first, last, edge = start, end - 1, size - 1
    while first != last and (last & 1 or last == edge):
        first, last, edge = first >> 1, last >> 1, edge >> 1
    rest = iter(path)
    if first == last:
        inner = outer = subtree_root
    else:
        inner = outer = next(rest, b"")
    for node in rest:
        if not edge:
            raise ProofError("the consistency proof is too long")
        if last & 1 or last == edge:
            if first < last:
                inner = node_hash(node, inner)
            outer = node_hash(node, outer)
            while last and not last & 1:
                first, last, edge = first >> 1, last >> 1, edge >> 1
        else:
            outer = node_hash(outer, node)
        first, last, edge = first >> 1, last >> 1, edge >> 1
    if edge or inner != subtree_root or outer != root:
        raise ProofError("the consistency proof does not lead from the one root to the other")
