"""A puncturable tree of keys: forget one leaf, keep every other (Goldreich, Goldwasser, Micali 1986).

Every waybill number has a 64-bit path through the tree of its epoch. The leaf at the end of the path makes
the pad that lies over everything sealed under that number. Whoever holds the root can compute every leaf;
after :meth:`Tree.puncture` the state holds only the nodes beside the path, and the leaf is gone::

    >>> tree = Tree.new(root=bytes(16), salt=b"public epoch salt")
    >>> import numpy as np
    >>> path = np.array([7], dtype=np.uint64)
    >>> before, alive = tree.leaves(path)
    >>> punctured = tree.puncture(path)
    >>> punctured.leaves(path)[1].tolist(), len(punctured)
    ([False], 64)

A step down is ``child(s, b) = AES_T(s ^ b) ^ (s ^ b)`` with a **public** key T: Matyas-Meyer-Oseas
feed-forward, as in distributed point functions (Guo, Katz, Wang, Yu 2020). The feed-forward is what makes the
way back up as hard as inverting AES in the ideal-cipher model; without it a leaf would give its parent. T
differs from epoch to epoch, so that work against one epoch's tree is worth nothing against another's.

The same map, under another public key, expands a leaf to pad blocks (:meth:`Tree.pads`). Knowing pad blocks
(an opened value and its sealed form) does not give the leaf.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import Self

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.seal.passes import covering, flip, fold, tweaked
from parcelveil.seal.siv import BLOCK, Aes, Bytes2D, words, xor

Paths = npt.NDArray[np.uint64]

DEPTH = 64
#: Big batches start from a table of all live nodes at this depth: 65,536 seeds, 1 MiB, made once in about 2 ms.
_TABLE_DEPTH = 16
_TABLE_PAYS_FROM = 2048
_NODE = struct.Struct(">BQ16s")
#: Paths below a node of depth d, less one. (A shift by 64 is undefined, hence the table.)
_SPAN = np.array([(1 << (DEPTH - depth)) - 1 for depth in range(DEPTH + 1)], dtype=np.uint64)


def _permutation(salt: bytes, label: bytes) -> Aes:
    """One of the epoch's two public permutations."""
    return Aes(HKDF(SHA256(), 16, salt=None, info=b"parcelveil v1 public " + label).derive(salt))


def feed_forward(permutation: Aes, blocks: Bytes2D) -> Bytes2D:
    """``AES(x) ^ x`` of each 16-byte block: one-way even for who knows the permutation's key."""
    out = permutation.blocks(blocks)
    fold(words(out), words(blocks))
    return out


class Tree:
    """The live nodes of one epoch's tree: disjoint subtrees, in the order of their first path. Immutable."""

    __slots__ = ("_depths", "_down", "_first", "_pad", "_salt", "_seeds", "_spans", "_starts", "_table")

    def __init__(self, salt: bytes, depths: npt.NDArray[np.uint8], starts: Paths, seeds: Bytes2D) -> None:
        self._salt = salt
        self._down = _permutation(salt, b"tree")
        self._pad = _permutation(salt, b"pad")
        self._depths, self._starts, self._seeds = depths, starts, seeds
        self._spans = _SPAN[depths]
        self._table: Tree | None = None
        self._first: npt.NDArray[np.int32] | None = None

    @classmethod
    def new(cls, root: bytes, salt: bytes) -> Self:
        """A whole tree. ``root``: 16 secret random bytes; ``salt``: the epoch's public salt."""
        seeds = np.frombuffer(root, dtype=np.uint8).reshape(1, BLOCK)
        return cls(salt, np.zeros(1, np.uint8), np.zeros(1, np.uint64), seeds)

    def __len__(self) -> int:
        return len(self._starts)

    def to_bytes(self) -> bytes:
        """The state: for each live node depth (1 byte), first path (8, big-endian), seed (16)."""
        rows = zip(self._depths.tolist(), self._starts.tolist(), self._seeds, strict=True)
        return b"".join(_NODE.pack(depth, start, seed.tobytes()) for depth, start, seed in rows)

    @classmethod
    def from_bytes(cls, state: bytes, salt: bytes) -> Self:
        """The inverse of :meth:`to_bytes`. Raises ``ValueError`` on a state of impossible length."""
        if len(state) % _NODE.size:
            raise ValueError("tree state is cut short")
        nodes = np.frombuffer(state, dtype=[("depth", "u1"), ("start", ">u8"), ("seed", "u1", (BLOCK,))])
        return cls(salt, nodes["depth"].copy(), nodes["start"].astype(np.uint64), np.ascontiguousarray(nodes["seed"]))

    def _cover(self, paths: Paths) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Which node covers each path, and whether any does."""
        if self._first is None:
            # Big trees get one entry for each of the 65,536 prefixes; a fresh one makes do with a single prefix.
            bits = _TABLE_DEPTH if len(self) > 1 << _TABLE_DEPTH - 4 else 1
            smallest = np.arange(1 << bits, dtype=np.uint64) << np.uint64(DEPTH - bits)
            places = np.searchsorted(self._starts, smallest, side="right") - 1
            self._first = np.append(places, len(self) - 1).astype(np.int32)
        shift = DEPTH - (len(self._first) - 2).bit_length()
        return covering(self._starts, self._spans, self._first, shift, paths)

    def alive(self, paths: Paths) -> npt.NDArray[np.bool_]:
        """Whether the leaf of each path still exists. Costs a search, no AES."""
        return self._cover(paths)[1]

    def leaves(self, paths: Paths) -> tuple[Bytes2D, npt.NDArray[np.bool_]]:
        """The leaf of each path, ``(n, 16)``, and whether it still exists. Rows of lost leaves are zeros."""
        table = self._expanded() if len(paths) >= _TABLE_PAYS_FROM else self._table or self
        node, alive = table._cover(paths)
        if not alive.any():
            return np.zeros((len(paths), BLOCK), dtype=np.uint8), alive
        depths = np.where(alive, table._depths[node], DEPTH)
        if depths.min() == depths.max():
            return self._descend(table._seeds[node], paths, depths), alive
        # Shallow nodes first: then the rows that take part in a step are always the first so many.
        order = np.argsort(depths, kind="stable")
        leaves = np.empty((len(paths), BLOCK), dtype=np.uint8)
        leaves[order] = self._descend(table._seeds[node[order]], paths[order], depths[order])
        leaves[~alive] = 0
        return leaves, alive

    def leaf(self, path: int) -> bytes | None:
        """The leaf of one path, or None when it is gone: without arrays, some 60 microseconds."""
        table = self._table or self  # a quarter of the way is walked already where the table was made
        place = table._place(path)
        if place is None:
            return None
        node = int.from_bytes(table._seeds[place].tobytes(), "big")
        aes = self._down.block
        for depth in range(int(table._depths[place]), DEPTH):
            node ^= path >> (DEPTH - 1 - depth) & 1
            node ^= int.from_bytes(aes(node.to_bytes(BLOCK, "big")), "big")
        return node.to_bytes(BLOCK, "big")

    def holds(self, path: int) -> bool:
        """Whether the leaf of one path still exists."""
        return self._place(path) is not None

    def _place(self, path: int) -> int | None:
        """Which live node covers a path."""
        place = bisect_right(self._starts, path) - 1
        return None if place < 0 or path - int(self._starts[place]) > int(self._spans[place]) else place

    def pad(self, leaf: bytes, tweak: bytes, blocks: int) -> bytes:
        """:meth:`pads` of one leaf."""
        whitened = int.from_bytes(leaf, "big") ^ int.from_bytes(tweak, "big")
        inputs = b"".join((whitened ^ j).to_bytes(BLOCK, "big") for j in range(blocks))
        outputs = self._pad.block(inputs)
        return (int.from_bytes(inputs, "big") ^ int.from_bytes(outputs, "big")).to_bytes(BLOCK * blocks, "big")

    def _descend(self, seeds: Bytes2D, paths: Paths, depths: npt.NDArray[np.uint8]) -> Bytes2D:
        """Walk from each seed, at its depth (ascending), down its path to the leaf."""
        taking_part = np.searchsorted(depths, np.arange(DEPTH), side="right")
        for depth in range(int(depths[0]), DEPTH):
            count = int(taking_part[depth])
            flip(words(seeds[:count]), paths, depth)
            below = feed_forward(self._down, seeds[:count])
            if count == len(seeds):
                seeds = below
            else:
                seeds[:count] = below
        return seeds

    def _children(self, seeds: Bytes2D) -> tuple[Bytes2D, Bytes2D]:
        """The left and the right child of each seed."""
        both = np.concatenate([seeds, seeds])
        both[len(seeds) :, BLOCK - 1] ^= 1
        both = feed_forward(self._down, both)
        return both[: len(seeds)], both[len(seeds) :]

    def _expanded(self) -> Tree:
        """The same tree with its shallow nodes replaced by their descendants at ``_TABLE_DEPTH``; cached."""
        if self._table is None:
            depths, starts, seeds = self._depths, self._starts, self._seeds
            for depth in range(int(depths.min(initial=DEPTH)), _TABLE_DEPTH):
                shallow = depths == depth
                left, right = self._children(seeds[shallow])
                half = np.uint64(1 << (DEPTH - 1 - depth))
                depths = np.concatenate([depths[~shallow], np.full(2 * len(left), depth + 1, np.uint8)])
                starts = np.concatenate([starts[~shallow], starts[shallow], starts[shallow] + half])
                seeds = np.concatenate([seeds[~shallow], left, right])
            order = np.argsort(starts)
            self._table = Tree(self._salt, depths[order], starts[order], seeds[order])
        return self._table

    def puncture(self, paths: Paths) -> Tree:
        """A tree without the leaves of ``paths``. Paths that are gone already change nothing.

        For one path at most 64 seeds are added; for many the shared upper part is walked once:
        about ``n * (64 - log2 n)`` seeds stay behind for ``n`` paths.
        """
        paths = np.unique(paths)
        paths = paths[self.alive(paths)]
        node, _ = self._cover(paths)
        hit = np.unique(node)
        kept = np.ones(len(self), dtype=bool)
        kept[hit] = False
        depths, starts, seeds = [self._depths[kept]], [self._starts[kept]], [self._seeds[kept]]
        # The doomed nodes of one depth at a time; a child with no doomed path below it is kept.
        doomed_depths, doomed_starts, doomed_seeds = self._depths[hit], self._starts[hit], self._seeds[hit]
        for depth in range(DEPTH):
            now = doomed_depths == depth
            if not now.any():
                continue
            left, right = self._children(doomed_seeds[now])
            half = np.uint64(1 << (DEPTH - 1 - depth))
            child_starts = np.concatenate([doomed_starts[now], doomed_starts[now] + half])
            child_seeds = np.concatenate([left, right])
            first = np.searchsorted(paths, child_starts, side="left")
            doomed = np.zeros(len(child_starts), dtype=bool)
            inside = first < len(paths)
            doomed[inside] = paths[first[inside]] - child_starts[inside] <= _SPAN[depth + 1]
            depths.append(np.full(int((~doomed).sum()), depth + 1, np.uint8))
            starts.append(child_starts[~doomed])
            seeds.append(child_seeds[~doomed])
            doomed_depths = np.concatenate([doomed_depths[~now], np.full(int(doomed.sum()), depth + 1, np.uint8)])
            doomed_starts = np.concatenate([doomed_starts[~now], child_starts[doomed]])
            doomed_seeds = np.concatenate([doomed_seeds[~now], child_seeds[doomed]])
        all_starts = np.concatenate(starts)
        order = np.argsort(all_starts)
        return Tree(self._salt, np.concatenate(depths)[order], all_starts[order], np.concatenate(seeds)[order])

    def pads(self, leaves: Bytes2D, tweak: bytes, blocks: int) -> Bytes2D:
        """The pad of each leaf for one field: ``(n, 16 * blocks)``.

        Block *j* is ``AES_P(x) ^ x`` with ``x = leaf ^ tweak ^ j``, where ``tweak`` (16 bytes) tells fields apart
        and leaves its last two bytes zero for *j*.
        """
        tweaks = np.tile(np.frombuffer(tweak, dtype=np.uint8), (blocks, 1))
        tweaks[:, -2:] = np.arange(blocks, dtype=">u2").view(np.uint8).reshape(-1, 2)
        return feed_forward(self._pad, tweaked(words(leaves), words(tweaks)).view(np.uint8))


def leaf_of_row(leaves: Bytes2D, revisions: npt.NDArray[np.uint16]) -> Bytes2D:
    """Leaves with each row's revision XORed into bytes 8 and 9, so that revisions have unrelated pads."""
    if not revisions.any():
        return leaves
    offsets = np.zeros((len(leaves), BLOCK), dtype=np.uint8)
    offsets[:, 8:10] = revisions.astype(">u2").view(np.uint8).reshape(-1, 2)
    return xor(leaves, offsets)
