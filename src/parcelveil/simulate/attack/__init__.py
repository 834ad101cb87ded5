"""Who harvests: attackers beside a carrier's work, from a plan, and the truth about them.

::

    from parcelveil.simulate.attack.attackers import Attackers
    from parcelveil.simulate.attack.plan import load_plan

    attackers = Attackers(load_plan("demo", seed=7, days=28), seed=7)

An attacker is an agent: it has a goal (records that somebody pays for, or people it is after), a fear of being asked, and a
knowledge level from 0 (naive) to 3 (knows everything). It sits in an account whose benign work goes on, and takes what it would
know: parcels of its station, numbers beside known ones, phones of customers. What there is, how a plan is written and what
the truth looks like: ``docs/simulate.md``.

Modules: ``catalogue.toml`` (the strategies), ``plan`` (who, how much, from when), ``sight`` (what can be found out on a day),
``agent`` (how many, when, how it looks in the log), ``strategies_inside``, ``strategies_walking`` and ``strategies_outside``
(which parcels), ``oracle`` (the score of its own that level 2 sees), ``attackers`` (all of them in the carrier's loop),
``truth``, ``dice``.
"""
