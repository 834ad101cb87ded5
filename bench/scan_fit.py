"""Fits the weights of the rules on made documents, and writes them into src/parcelveil/scan/rules/*.toml.

    python bench/scan_fit.py            # shows what would change
    python bench/scan_fit.py --write    # and writes it: only the lines `weights = …` change

Every candidate of a rule in the documents of the world ``tuning`` (tests/scan/accuracy) is an example: what was seen
around it are its features (a cue, a word against, …), and it is true when a value of that kind and state lies there. A
logistic regression of its own for each rule gives log-odds, so confidence is a share of such candidates that are right.

The mixture of documents is the prior. It is chosen: by bytes, half are files in which somebody is found (an outlet's
spreadsheets, dumps, logs, chats, letters) and half are innocent ones full of near misses (metrics, catalogues, hashes,
positions, source code). Among the former are tables, JSON, logs, SQL and plain lines of one kind each, so that rare kinds
have examples; the rules' own match and no_match are added for what the documents lack. Who scans nothing but
logs of machines will find the confidences of bare numbers too high; a cue or a column's name outweighs the mixture.

Weights are pulled to first guesses (a normal prior of deviation SPREAD around FIRST), so that data which can be separated
gives finite weights. What no example shows stays as it stands in the file; 0 stays 0. So a second run changes nothing.
Weights have limits, and none changes its sign: a cue never speaks against, a word against never for.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "scan"))

from accuracy.world import CONTEXTS, Made, Truth, alone, documents, fields, kinds, placed

from parcelveil.scan.context import FEATURES
from parcelveil.scan.engine import Scanner
from parcelveil.scan.folding import fold
from parcelveil.scan.rules import FOLDER, Rule, Weights, load

#: First guesses, and how far weights may be from them (standard deviation, in log-odds).
FIRST = Weights(base=3.0, weak=-3.0, cue=3.0, against=-3.0, joined=-3.0, column=4.0, other=-2.0)
SPREAD = 2.0
#: No base beyond it: never surer of a bare value than 0.9975. A circumstance may have to outweigh base and another.
LIMIT, LIMIT_ADDED = 6.0, 10.0
#: No circumstance that a rule names may lose all of its say.
LEAST_ADDED = 0.3
#: How often each example of a rule's own file counts: it stands for what its author knows, and the documents may lack.
EXAMPLE = 25
SEEDS = range(10)
#: Lines of each kind that stand alone, and as many glued into Chinese.
LINES = 24
NAMES = ("base", *FEATURES)
#: Which way a feature may speak: 1 for, -1 against, 0 both.
SIGNS = {"base": 0, "weak": -1, "cue": 1, "against": -1, "joined": -1, "column": 1, "other": -1}

Floats = npt.NDArray[np.float64]


class Examples(NamedTuple):
    """Of one rule: features (n, 6) and whether it is true (n)."""

    seen: Floats
    true: Floats


def training() -> list[Made]:
    """The documents that are fitted on; innocent ones again until they are half of the bytes."""
    made: list[Made] = []
    for seed in SEEDS:
        made += documents("tuning", seed)
    peopled = [one for one in made if any(not truth.optional for truth in one.truths)]
    innocent = [one for one in made if one not in peopled]
    for kind in kinds("tuning"):
        peopled += [alone("tuning", kind, LINES), alone("tuning", kind, LINES, wrapped=True, seed=1)]
    for slot in fields("tuning"):
        peopled += [placed("tuning", slot, context, LINES // 2) for context in CONTEXTS]
    want, seed = sum(len(one.data) for one in peopled), max(SEEDS) + 1
    while sum(len(one.data) for one in innocent) < want:
        names = {one.name for one in innocent}
        innocent += [one for one in documents("tuning", seed) if one.name in names]
        seed += 1
    return peopled + innocent


def labelled(scanner: Scanner, rules: list[Rule], made: list[Made]) -> list[Examples]:
    """The candidates of each rule, and which are true. Optional ones are left out, and those that need a cue without one."""
    seen: list[list[Floats]] = [[] for _ in rules]
    true: list[list[float]] = [[] for _ in rules]
    for one in made:
        folded = fold(np.frombuffer(one.data, np.uint8))
        batch = scanner.candidates(bytes(folded.data), one.format)
        places = np.array([[t.start, t.end, t.start + t.lead] for t in one.truths], np.int64).reshape(-1, 3)
        start, end, core = (folded.folded(np.ascontiguousarray(column)) for column in places.T)
        at_end: dict[int, list[tuple[Truth, int, int]]] = {}
        for truth, a, b, c in zip(one.truths, start.tolist(), end.tolist(), core.tolist(), strict=True):
            at_end.setdefault(b, []).append((truth, a, c))
        spans = sorted((a, b) for a, b in zip(start.tolist(), end.tolist(), strict=True))

        def around(position: int, spans: list[tuple[int, int]] = spans) -> list[tuple[int, int]]:
            """The values that begin last before a position: two, for optional ones may lie on others."""
            place = bisect_right(spans, (position, 1 << 60))
            return spans[max(0, place - 2) : place]

        features = np.column_stack([batch.column(name).to_numpy() for name in FEATURES]).astype(np.float64)
        columns = (batch.column(name).to_pylist() for name in ("rule", "start", "end"))
        for place, (rule, low, high) in enumerate(zip(*columns, strict=True)):
            own = rules[rule]
            row = features[place]
            if own.kind in one.optional or (own.needs_cue and not row[1] and not row[4]):
                continue
            fits = [
                truth
                for truth, a, c in at_end.get(high, ())
                if truth.kind == own.kind and truth.state == own.state and low in (a, c)
            ]
            # What lies inside a value of another kind is not told where that is found: no example either way.
            inside = any(a <= low and high <= b for a, b in around(low))
            if not any(truth.optional for truth in fits) and (fits or not inside):
                seen[rule].append(row)
                true[rule].append(float(bool(fits)))
    for place, own in enumerate(rules):
        for texts, told in ((own.match, 1.0), (own.no_match, 0.0)):
            for row in _of_examples(scanner, place, own, texts):
                seen[place] += [row] * EXAMPLE
                true[place] += [told] * EXAMPLE
    return [Examples(np.array(x).reshape(-1, len(FEATURES)), np.array(y)) for x, y in zip(seen, true, strict=True)]


def _of_examples(scanner: Scanner, place: int, rule: Rule, texts: list[str]) -> Iterator[Floats]:
    """What is seen around the longest candidate of a rule in each of its own examples."""
    for text in texts:
        batch = scanner.candidates(bytes(fold(np.frombuffer(text.encode(), np.uint8)).data))
        numbers, starts, ends = (batch.column(name).to_numpy() for name in ("rule", "start", "end"))
        own = np.flatnonzero(numbers == place)
        if not len(own):
            continue
        longest = own[np.argmax((ends - starts)[own])]
        row = np.array([batch.column(name)[int(longest)].as_py() for name in FEATURES], np.float64)
        if not rule.needs_cue or row[1] or row[4]:
            yield row


def fitted(examples: Examples, stands: Weights) -> Weights:
    """The most probable weights: Newton's method on penalised log-likelihood, with bounds kept by projection."""
    old = np.array([getattr(stands, name) for name in NAMES])
    x = np.column_stack([np.ones(len(examples.true)), examples.seen])
    moves = (x.sum(axis=0) > 0) & ((old != 0) | (np.array(NAMES) == "base"))
    center = np.where(moves, [getattr(FIRST, name) for name in NAMES], old)
    most = np.array([LIMIT if name == "base" else LIMIT_ADDED for name in NAMES])
    low = np.where([SIGNS[name] > 0 for name in NAMES], LEAST_ADDED, -most)
    high = np.where([SIGNS[name] < 0 for name in NAMES], -LEAST_ADDED, most)
    weights = center.copy()
    for _ in range(200):
        odds = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (odds - examples.true) + (weights - center) / SPREAD**2
        # A weight at its bound that would go beyond it is held there.
        free = moves & ~(((weights <= low) & (slope > 0)) | ((weights >= high) & (slope < 0)))
        if not free.any() or np.abs(slope[free]).max() < 1e-6:
            break
        curve = x.T @ (x * (odds * (1 - odds))[:, None]) + np.eye(len(NAMES)) / SPREAD**2
        step = np.zeros(len(NAMES))
        step[free] = np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-9))
        weights = np.where(moves, np.clip(weights - step, low, high), old)
    return Weights(**{name: round(float(value), 2) for name, value in zip(NAMES, weights, strict=True)})


def error(examples: Examples, weights: Weights) -> float:
    """Log-loss a candidate, in bits."""
    x = np.column_stack([np.ones(len(examples.true)), examples.seen])
    odds = x @ np.array([getattr(weights, name) for name in NAMES])
    return float(np.mean(np.logaddexp(0, np.where(examples.true > 0, -odds, odds)))) / np.log(2)


def line_of(weights: Weights) -> str:
    """As it stands in a file of rules."""
    return "weights = { " + ", ".join(f"{name} = {getattr(weights, name)}" for name in NAMES) + " }"


def rewritten(text: str, weights: list[Weights | None]) -> str:
    """A file of rules with other weights for its rules, in order; None leaves a rule as it is."""
    head, *blocks = re.split(r"(?m)^(?=\[\[rule\]\]\s*$)", text)
    if len(blocks) != len(weights):
        raise ValueError("a rule is not written as a table of its own")
    for place, (block, own) in enumerate(zip(blocks, weights, strict=True)):
        if own is None:
            continue
        if re.search(r"(?m)^weights = \{.*\}$", block):
            blocks[place] = re.sub(r"(?m)^weights = \{.*\}$", line_of(own), block, count=1)
        else:
            blocks[place] = re.sub(r"(?m)^(zh = .*)$", rf"\1\n{line_of(own)}", block, count=1)
    return head + "".join(blocks)


def main() -> None:
    """Fit, show, and write if asked to."""
    scanner = Scanner.default(names=False)
    rules = scanner.detector.patterned
    examples = labelled(scanner, rules, training())
    found: dict[tuple[str, str, tuple[str, ...]], Weights] = {}
    print("| rule | state | candidates | true | log-loss before | after | weights |\n|---|---|---|---|---|---|---|")
    for rule, own in zip(rules, examples, strict=True):
        if not len(own.true):
            print(f"| {rule.kind} | {rule.state} | 0 | | | | as they are |")
            continue
        best = fitted(own, rule.weights)
        found[rule.kind, rule.state, tuple(rule.patterns)] = best
        print(
            f"| {rule.kind} | {rule.state} | {len(own.true):,} | {own.true.mean():.3f} | {error(own, rule.weights):.4f} "
            f"| {error(own, best):.4f} | {line_of(best)[12:-2]} |"
        )
    if "--write" in sys.argv:
        for path in sorted(FOLDER.glob("*.toml")):
            own_rules = load(path).rule
            weights = [found.get((rule.kind, rule.state, tuple(rule.patterns))) for rule in own_rules]
            old = path.read_text("utf-8")
            new = rewritten(old, weights)
            if new != old:
                path.write_text(new, "utf-8")
                load(path)


if __name__ == "__main__":
    main()
