"""Nothing but behaviour tells who attacks: classifiers on numbers, digits and places in the files get nowhere.

A row's *trivial* columns are what a simulator gives away by carelessness: bits and remainders of ``event_id``, the row's place,
digits below the second, the order of dictionaries, digits of account and device numbers. Two models are trained on these
alone, cross-validated, to tell attackers' rows from others and attackers' accounts from others. With nothing leaked the
area under the ROC curve is a half. Beside it stands the control: with a leak planted, the same test finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from parcelveil.simulate.attack.attackers import Attackers
from parcelveil.simulate.attack.plan import read_plan
from parcelveil.simulate.attack.truth import write_truth
from parcelveil.simulate.carrier.files import write
from parcelveil.simulate.carrier.run import Carrier

TOLERANCE = 0.02
#: Strategies whose looks lie in the account's own hours, at many accounts, so that there are enough of both labels.
MANY = """
[[attacker]]
strategy = "slow"
rate = 20
knowledge = [0, 1, 2, 3]
start_day = 1
count = {count}
[[attacker]]
strategy = "rented"
rate = 40
knowledge = [0, 1, 2, 3]
start_day = 1
count = {count}
[[attacker]]
strategy = "own_station"
rate = 20
knowledge = [0, 3]
start_day = 1
role = "courier"
count = {count}
[[attacker]]
strategy = "self_tickets"
rate = 20
knowledge = [0, 1]
start_day = 1
role = "clerk"
count = {few}
[[attacker]]
strategy = "in_block"
rate = 200
knowledge = [0, 1]
start_day = 1
role = "clerk"
count = {few}
"""


@dataclass(frozen=True)
class Rows:
    """All looks of some days in the order of their files, and who attacks."""

    looks: pa.Table
    #: By look: its row in its file, the file's number of rows, and its actor's place in the file's dictionary.
    row: np.ndarray
    size: np.ndarray
    place: np.ndarray
    bad: np.ndarray
    accounts: pa.Table
    attackers: set[str]


@cache
def made(staff: int, days: int, count: int, few: int, seed: int, folder: Path) -> Rows:
    """A carrier with many attackers, written as files and read back as a detector reads them."""
    crew = Attackers(read_plan(MANY.format(count=count, few=few), seed=seed, days=days), seed=seed)
    carrier = Carrier(seed, staff, days, attackers=[crew])
    place = folder / f"{staff}-{seed}"
    write(carrier, place, each=crew.note)
    write_truth(crew.truth(carrier.world), place / "truth")
    tables, rows, sizes, places = [], [], [], []
    for path in sorted((place / "access").glob("*.parquet"))[1:]:
        table = pq.read_table(path, read_dictionary=["actor"])
        tables.append(table.set_column(3, "actor", table["actor"].cast(pa.string())))
        rows.append(np.arange(table.num_rows))
        sizes.append(np.full(table.num_rows, table.num_rows))
        places.append(table["actor"].combine_chunks().indices.to_numpy())
    looks = pa.concat_tables(tables)
    truth = pq.read_table(place / "truth" / "accesses.parquet")["event_id"].to_numpy()
    attackers = pq.read_table(place / "truth" / "attackers.parquet")["actors"].to_pylist()
    return Rows(
        looks,
        np.concatenate(rows),
        np.concatenate(sizes),
        np.concatenate(places),
        np.isin(looks["event_id"].to_numpy(), truth),
        pq.read_table(place / "accounts.parquet"),
        {name for names in attackers for name in names},
    )


def micros(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.int64()).to_numpy()


def digits(numbers: np.ndarray, count: int) -> np.ndarray:
    return numbers[:, None] // 10 ** np.arange(count) % 10


def trivial(rows: Rows) -> np.ndarray:
    """By look: what says nothing about the work.

    Places are taken as remainders, and never beside the times they were sorted by: how full a second is tells the time of day,
    and that is behaviour.
    """
    looks = rows.looks
    ids = looks["event_id"].to_numpy().astype(np.int64)
    time, received = micros(looks["event_time"]), micros(looks["received_at"])
    columns = [
        ids[:, None] >> np.arange(12) & 1,
        np.stack([ids % modulus for modulus in (3, 5, 7, 10, 11, 13, 97)], axis=1),
        digits(time % 1_000_000, 6),
        digits(received % 1_000_000, 6),
        (time % 1_000_000)[:, None],
        (received % 1_000_000)[:, None],
        rows.row[:, None] % np.array([2, 3, 5, 8]),
    ]
    return np.concatenate(columns, axis=1).astype(np.float64)


def auc(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> list[float]:
    """Area under the curve of logistic regression and of gradient boosting, on folds that they did not see.

    Rows of one group are in one fold. Looks are grouped by stretches of 8,192: whoever walks through numbers makes many looks
    one after the other, and a model that has seen half of a walk would find the other half by its place alone.
    """
    models: list[Any] = [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
        HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=15, random_state=0),
    ]
    found = []
    for model in models:
        scores = np.zeros(len(labels))
        for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(features, labels, groups):
            model.fit(features[train], labels[train])
            # Ranks, because scores of two folds are not on one scale.
            raw = model.predict_proba(features[test])[:, 1]
            scores[test] = np.argsort(np.argsort(raw)) / len(test)
        found.append(float(roc_auc_score(labels, scores)))
    return found


def stretches(rows: Rows, at: np.ndarray) -> np.ndarray:
    """The stretch of looks in which each lies."""
    return (rows.looks["event_id"].to_numpy()[at] >> 13).astype(np.int64)


def balanced(rows: Rows, most: int, seed: int) -> np.ndarray:
    """Some attackers' looks, and three times as many others of the same day: days differ in what goes on."""
    random = np.random.default_rng(seed)
    chosen = []
    for size in np.unique(rows.size):
        bad, good = (np.flatnonzero((rows.size == size) & (rows.bad == flag)) for flag in (True, False))
        count = min(most // len(np.unique(rows.size)), len(bad))
        chosen += [random.permutation(bad)[:count], random.permutation(good)[: 3 * count]]
    return np.sort(np.concatenate(chosen))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return made(800, 4, 12, 6, 3, tmp_path_factory.mktemp("leak"))


def test_looks_of_attackers_have_nothing_of_their_own(small: Rows) -> None:
    at = balanced(small, 6000, 1)
    assert small.bad[at].sum() > 4000
    for found in auc(trivial(small)[at], small.bad[at], stretches(small, at)):
        assert abs(found - 0.5) < TOLERANCE


@pytest.mark.parametrize("leak", ["bit of the number", "digit of the time", "place in the file"])
def test_the_same_test_finds_a_leak_that_is_planted(small: Rows, leak: str) -> None:
    at = balanced(small, 6000, 1)
    features, bad = trivial(small)[at], small.bad[at]
    random = np.random.default_rng(5)
    some = bad & (random.random(len(bad)) < 0.3)  # no more than a third of the looks leak
    column, value = {"bit of the number": (3, 1), "digit of the time": (19, 0), "place in the file": (33, 0)}[leak]
    features[some, column] = value
    assert max(auc(features, bad, stretches(small, at))) > 0.5 + 2 * TOLERANCE


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return made(14_000, 2, 380, 100, 4, tmp_path_factory.mktemp("leak"))


def account_features(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """By account that looked: digits of its number and of its first look's device, and its place in the register."""
    looks = rows.looks
    actor = looks["actor"].combine_chunks().dictionary_encode()
    code, names = actor.indices.to_numpy(), actor.dictionary.to_pylist()
    first = np.unique(code, return_index=True)[1]
    device = looks["device"].cast(pa.string()).combine_chunks().take(pa.array(first)).to_pylist()
    registered = {name: at for at, name in enumerate(rows.accounts["actor"].to_pylist())}
    features = np.column_stack(
        [
            digits(np.array([int(name) for name in names]), 9),
            digits(np.array([int(name.strip("H")) for name in device]), 10),
            np.array([registered[name] for name in names]),
        ]
    )
    return features.astype(np.float64), np.array([name in rows.attackers for name in names])


def test_dictionaries_are_in_the_order_of_their_texts(small: Rows) -> None:
    """So a place in one says no more than the name, which the accounts' test has."""
    names = small.looks["actor"].to_pylist()
    for size in np.unique(small.size):
        at = np.flatnonzero(small.size == size)
        order = at[np.argsort(small.place[at], kind="stable")]
        assert np.unique(small.place[at]).tolist() == list(range(int(small.place[at].max()) + 1))
        sorted_names = [names[position] for position in order.tolist()]
        assert sorted_names == sorted(sorted_names)


@pytest.mark.slow
def test_accounts_of_attackers_have_nothing_of_their_own(large: Rows) -> None:
    features, bad = account_features(large)
    assert bad.sum() > 3000
    for found in auc(features, bad, np.arange(len(bad))):
        assert abs(found - 0.5) < TOLERANCE
    features[:, 8] = np.where(bad & (np.arange(len(bad)) % 3 == 0), 1, features[:, 8])
    assert max(auc(features, bad, np.arange(len(bad)))) > 0.5 + 2 * TOLERANCE


@pytest.mark.slow
def test_many_looks_of_attackers_have_nothing_of_their_own(large: Rows) -> None:
    at = balanced(large, 40_000, 2)
    assert large.bad[at].sum() > 20_000
    for found in auc(trivial(large)[at], large.bad[at], stretches(large, at)):
        assert abs(found - 0.5) < TOLERANCE
