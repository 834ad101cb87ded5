r"""Patterns of all rules, united into one automaton over bytes that reads each byte of a candidate once.

::

    >>> automaton = compile_patterns([[r"1[3-9]\d{9}"], [r"[京沪][A-Z]\d{3}"]])
    >>> automaton.matches("沪A123，".encode())
    [(7, 1)]

A pattern is a finite regular expression: literals, ``[..]``, ``\\d``, groups, ``|``, ``?`` and ``{m,n}``. It is read here,
turned into an automaton by the subset construction (Rabin and Scott, 1959), and minimised (as Revuz does for what has no loops, 1992), so scanning
takes time linear in the text whatever the patterns are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.errors import InputError

#: The longest match a pattern may have, in bytes: what a block's surroundings have to hold.
LONGEST = 192
_MOST_STATES = 60_000
_DIGITS = frozenset(b"0123456789")
_COUNT = re.compile(r"\{(\d{1,3})(?:,(\d{1,3}))?\}")

#: ("set", bytes), ("seq", [trees]) or ("alt", [trees])
Tree = tuple[str, Any]


class Automaton(NamedTuple):
    """The automaton of a rule set. State 0 is dead, state 1 the start; those that accept have the highest numbers.

    ``classes`` (256,) uint8: the class of each byte; ``table`` (states, classes) uint16: the next state; ``accepts``
    (states,) int32: 0, or the row of ``rules_from``; the rules of row ``a`` are ``rules[rules_from[a]:rules_from[a + 1]]``.
    """

    classes: npt.NDArray[np.uint8]
    table: npt.NDArray[np.uint16]
    accepts: npt.NDArray[np.int32]
    rules_from: npt.NDArray[np.int32]
    rules: npt.NDArray[np.int16]

    def matches(self, data: bytes, start: int = 0) -> list[tuple[int, int]]:
        """Every ``(end, rule)`` of a match that begins at ``start``; boundaries are not looked at. For tests."""
        state, found = 1, []
        for place in range(start, len(data)):
            state = int(self.table[state, self.classes[data[place]]])
            if not state:
                break
            row = int(self.accepts[state])
            if row:
                found += [(place + 1, int(r)) for r in self.rules[self.rules_from[row] : self.rules_from[row + 1]]]
        return found


def compile_patterns(patterns: Sequence[Sequence[str]]) -> Automaton:
    """One automaton for the patterns of all rules; rule numbers are places in ``patterns``.

    Raises InputError for a pattern that is not finite, too long, or not understood.
    """
    edges: list[list[tuple[bytes, int]]] = []
    empty: list[list[int]] = []
    final: dict[int, int] = {}

    def node() -> int:
        edges.append([])
        empty.append([])
        return len(edges) - 1

    def build(tree: Tree, start: int) -> int:
        kind, parts = tree
        if kind == "set":
            end = node()
            edges[start].append((parts, end))
            return end
        if kind == "seq":
            for part in parts:
                start = build(part, start)
            return start
        end = node()
        for part in parts:
            first = node()
            empty[start].append(first)
            empty[build(part, first)].append(end)
        return end

    root = node()
    for rule, texts in enumerate(patterns):
        for text in texts:
            tree = _Parser(text).tree()
            least, most = _extent(tree)
            if least < 1 or most > LONGEST:
                raise InputError(
                    "the pattern {pattern} may match nothing, or more than {most} bytes", pattern=text, most=LONGEST
                )
            first = node()
            empty[root].append(first)
            final[build(tree, first)] = rule
    classes, members = _classes(edges)
    return _minimal(*_determined(root, edges, empty, final, members), classes)


def _extent(tree: Tree) -> tuple[int, int]:
    kind, parts = tree
    if kind == "set":
        return 1, 1
    lengths = [_extent(part) for part in parts]
    if kind == "seq":
        return sum(low for low, _ in lengths), sum(high for _, high in lengths)
    return min(low for low, _ in lengths), max(high for _, high in lengths)


class _Parser:
    """Reads one pattern into a tree of byte sets, sequences and alternatives."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def tree(self) -> Tree:
        tree = self._alternatives()
        if self._at < len(self._text):
            raise self._wrong("a bracket too many")
        return tree

    def _wrong(self, why: str) -> InputError:
        return InputError(
            "the pattern {pattern} is not understood at place {place}: {why}",
            hint=r"a pattern may have literals, [..], \d, (?:..), |, ? and {{m,n}}",
            pattern=self._text,
            place=self._at + 1,
            why=why,
        )

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _alternatives(self) -> Tree:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else ("alt", options)

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while (char := self._peek()) and char not in "|)":
            parts.append(self._counted(self._atom()))
        return ("seq", parts)

    def _counted(self, atom: Tree) -> Tree:
        low, high = 1, 1
        if self._peek() == "?":
            self._at += 1
            low = 0
        elif match := _COUNT.match(self._text, self._at):
            self._at = match.end()
            low, high = int(match[1]), int(match[2] or match[1])
            if low > high:
                raise self._wrong("a count from more to less")
        if self._peek() and self._peek() in "*+?{":
            raise self._wrong("* and + have no bound; write {m,n}")
        nested: Tree = ("seq", [])
        for _ in range(high - low):  # a(a(a)?)?: each count is one way only, so the automaton stays small
            nested = ("alt", [("seq", []), ("seq", [atom, nested])])
        return ("seq", [*[atom] * low, nested]) if (low, high) != (1, 1) else atom

    def _atom(self) -> Tree:
        char = self._peek()
        self._at += 1
        if char == "(":
            if self._text[self._at : self._at + 2] == "?:":
                self._at += 2
            elif self._peek() == "?":
                raise self._wrong("look-around and flags are not known")
            tree = self._alternatives()
            if self._peek() != ")":
                raise self._wrong("a bracket is not closed")
            self._at += 1
            return tree
        if char == "[":
            return self._set()
        if char == "\\":
            return _chars(self._escaped())
        if char in ".^$*+?{}])":
            raise self._wrong("this sign has no meaning here; a backslash makes it itself")
        return _chars(char)

    def _escaped(self) -> str:
        char = self._peek()
        self._at += 1
        if char == "d":
            return "0123456789"
        if not char or char.isalnum():
            raise self._wrong("this escape is not known")
        return char

    def _set(self) -> Tree:
        chars: list[str] = []
        if self._peek() == "^":
            raise self._wrong("say what is meant, not what is not")
        while (char := self._peek()) != "]":
            if not char:
                raise self._wrong("a bracket is not closed")
            self._at += 1
            if char == "\\":
                chars += self._escaped()
                continue
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                last = self._text[self._at + 1]
                self._at += 2
                if not (char.isascii() and last.isascii() and char <= last):
                    raise self._wrong("a range goes from a smaller to a larger ASCII character")
                chars += map(chr, range(ord(char), ord(last) + 1))
            else:
                chars.append(char)
        self._at += 1
        return _chars("".join(chars))


def _chars(chars: str) -> Tree:
    """Any one of ``chars``, as bytes of UTF-8."""
    plain = bytes(sorted({ord(c) for c in chars if c.isascii()}))
    options: list[Tree] = [("set", plain)] if plain else []
    for char in sorted({c for c in chars if not c.isascii()}):
        options.append(("seq", [("set", bytes([byte])) for byte in char.encode()]))
    return options[0] if len(options) == 1 else ("alt", options)


def _classes(edges: list[list[tuple[bytes, int]]]) -> tuple[npt.NDArray[np.uint8], dict[bytes, list[int]]]:
    """The coarsest partition of bytes that every set respects, and the classes that each set is made of."""
    sets = {chars for node in edges for chars, _ in node}
    signature: dict[int, list[int]] = {byte: [] for byte in range(256)}
    for number, chars in enumerate(sorted(sets)):
        for byte in chars:
            signature[byte].append(number)
    numbers: dict[tuple[int, ...], int] = {(): 0}
    classes = np.zeros(256, np.uint8)
    for byte, key in signature.items():
        classes[byte] = numbers.setdefault(tuple(key), len(numbers))
    return classes, {chars: sorted({int(classes[byte]) for byte in chars}) for chars in sets}


def _determined(
    root: int,
    edges: list[list[tuple[bytes, int]]],
    empty: list[list[int]],
    final: dict[int, int],
    members: dict[bytes, list[int]],
) -> tuple[list[dict[int, int]], list[frozenset[int]]]:
    """The subset construction: for each state its steps by class, and the rules that end in it. State 0 is dead."""
    closures: dict[int, frozenset[int]] = {}

    def closure(node: int) -> frozenset[int]:
        if node not in closures:
            seen, queue = {node}, [node]
            while queue:
                for other in empty[queue.pop()]:
                    if other not in seen:
                        seen.add(other)
                        queue.append(other)
            closures[node] = frozenset(n for n in seen if edges[n] or n in final)
        return closures[node]

    first = closure(root)
    if not first:  # no patterns at all
        return [{}, {}], [frozenset(), frozenset()]
    numbers: dict[frozenset[int], int] = {frozenset(): 0, first: 1}
    steps: list[dict[int, int]] = [{}, {}]
    queue = [first]
    while queue:
        subset = queue.pop()
        targets: dict[int, set[int]] = {}
        for node in subset:
            for chars, target in edges[node]:
                reached = closure(target)
                for one in members[chars]:
                    targets.setdefault(one, set()).update(reached)
        row = steps[numbers[subset]]
        for one, nodes in targets.items():
            key = frozenset(nodes)
            if key not in numbers:
                numbers[key] = len(steps)
                steps.append({})
                queue.append(key)
                if len(steps) > _MOST_STATES:
                    raise InputError("the patterns together make too large an automaton", hint="use fewer alternatives")
            row[one] = numbers[key]
    return steps, [frozenset(final[n] for n in subset if n in final) for subset in numbers]


def _minimal(steps: list[dict[int, int]], accepted: list[frozenset[int]], classes: npt.NDArray[np.uint8]) -> Automaton:
    """The automaton with equivalent states joined. Nothing loops, so each state is named by what follows it, last first."""
    sets = {frozenset[int](): 0}
    named: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {(0, ()): 0}
    of: dict[int, int] = {0: 0}
    kept: list[tuple[int, tuple[tuple[int, int], ...]]] = [(0, ())]
    stack = [1]
    while stack:
        state = stack[-1]
        if state in of:
            stack.pop()
            continue
        missing = [target for target in steps[state].values() if target not in of]
        if missing:
            stack += missing
            continue
        stack.pop()
        row = tuple(sorted((one, of[target]) for one, target in steps[state].items()))
        key = sets.setdefault(accepted[state], len(sets)), row
        if key not in named:
            named[key] = len(kept)
            kept.append(key)
        of[state] = named[key]
    # Dead stays first, the start comes next, and those that accept stand last.
    order = [0, len(kept) - 1, *sorted(range(1, len(kept) - 1), key=lambda state: (kept[state][0] > 0, state))]
    number = {state: place for place, state in enumerate(order)}
    kept = [kept[state] for state in order]
    table = np.zeros((len(kept), int(classes.max()) + 1), np.uint16)
    for state, (_, row) in enumerate(kept):
        for one, target in row:
            table[state, one] = number[target]
    return Automaton(
        classes=classes,
        table=table,
        accepts=np.array([accept for accept, _ in kept], np.int32),
        rules_from=np.cumsum([0, *[len(one) for one in sets]]).astype(np.int32),
        rules=np.array([rule for one in sets for rule in sorted(one)], np.int16),
    )
