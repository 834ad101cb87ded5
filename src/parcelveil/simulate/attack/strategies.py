"""Which function does what a table of ``catalogue.toml`` says.

::

    acts = STRATEGIES["slow"](agent, sight, draw)
"""

from __future__ import annotations

from collections.abc import Callable

from parcelveil.simulate.attack import strategies_inside as inside
from parcelveil.simulate.attack import strategies_outside as outside
from parcelveil.simulate.attack import strategies_walking as walking
from parcelveil.simulate.attack.agent import Agent
from parcelveil.simulate.attack.sight import Sight
from parcelveil.simulate.carrier.day import Acts
from parcelveil.simulate.draw import Draw

Strategy = Callable[[Agent, Sight, Draw], Acts]

STRATEGIES: dict[str, Strategy] = {
    function.__name__: function
    for function in (
        inside.bulk,
        inside.export_before_leaving,
        inside.slow,
        inside.below_threshold,
        inside.own_station,
        inside.franchise_owner,
        inside.poisoning,
        inside.pair,
        inside.on_demand,
        inside.neighbours,
        inside.ex_partner,
        inside.self_tickets,
        inside.photographs,
        walking.sequential,
        walking.in_block,
        walking.distributed,
        walking.by_phone,
        walking.rented,
        walking.phished,
        outside.scraper,
        outside.stuffing,
        outside.bypass,
    )
}
#: Strategies that need no account.
FROM_OUTSIDE = ("scraper", "stuffing")
