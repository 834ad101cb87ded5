"""What an attacker of level 2 sees of itself each evening: a score, 1 where the carrier would ask.

Any object with :meth:`Oracle.scores` will do: a detector under test, so that attackers adapt to it::

    Attackers(plan, seed=7, oracle=MyDetector())

Without one, :class:`OwnCount` is what a clever insider could reckon for himself: looks at parcels that were not at the own
outlet, against those of the colleagues.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.attack.sight import Sight
from parcelveil.simulate.carrier.rows import AccessRows

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


class Oracle(Protocol):
    """Scores of accounts, once a day."""

    def scores(self, sight: Sight, looks: AccessRows, accounts: Codes) -> Floats:
        """A score for each of ``accounts`` from all ``looks`` of the day, the attackers' included: 1 is an alert."""


class OwnCount:
    """Looks at parcels foreign to the outlet, over what the colleagues' mean and spread would let pass.

    The limit is the mean of the outlet's accounts plus four standard deviations of a Poisson law, plus three.
    """

    def scores(self, sight: Sight, looks: AccessRows, accounts: Codes) -> Floats:
        outlets = sight.day.outlet
        asked = np.zeros(int(outlets.max(initial=0)) + 1, np.bool_)
        asked[outlets[accounts]] = True
        rows = np.flatnonzero(asked[outlets[looks["actor"]]] & (looks["waybill"] >= 0))
        actor = looks["actor"][rows]
        at = sight.find(looks["waybill"][rows])
        parcel, own = sight.parcels, outlets[actor]
        strange = (at < 0) | ((parcel.at[at] != own) & (parcel.dest[at] != own) & (parcel.origin[at] != own))
        counts = np.bincount(actor[strange], minlength=len(outlets)).astype(np.float64)
        people = np.bincount(outlets[sight.day.duty], minlength=len(asked)).astype(np.float64)
        total = np.bincount(outlets, weights=counts, minlength=len(asked))
        place = outlets[accounts]
        others = np.maximum(people[place] - 1, 1)
        mean = np.maximum(total[place] - counts[accounts], 0) / others
        return np.asarray(counts[accounts] / (mean + 4 * np.sqrt(mean) + 3))
