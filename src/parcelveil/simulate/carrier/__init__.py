"""A carrier at work, day by day: what its people do with parcels, and what they look at.

::

    from parcelveil.simulate.carrier.run import Carrier
    from parcelveil.simulate.carrier.files import write

    carrier = Carrier(seed=7, staff=4_000, days=14)          # the world is drawn from the seed
    for day in carrier:                                      # a Day at a time, in order; memory stays bounded
        print(day.number, len(day.access), len(day.work))
    summary = write(Carrier(seed=7, staff=4_000, days=14), Path("DIR"))

Work comes first: parcels are ordered, collected, sorted and carried to a station, and a courier takes them round. Looks
come out of that work: the next stop is opened, a customer calls, a label is printed again. Nothing here knows how looks
are judged. Whatever a person, a station or the whole carrier is like is drawn once a seed, between the bounds in
``priors.toml``, so no two seeds are the same carrier.

Modules: ``priors.toml`` (bounds, with sources), ``world`` (people, outlets, routes: drawn once), ``incidents`` (the
calendar: peak, outages, reorganisation, complaints), ``journeys`` (parcels from order to station), ``rounds`` (couriers),
``areas`` and ``staffing`` (how the world is built), ``today`` (who works, with what), ``looks`` (rows of looks and scans),
``desk`` (everybody else), ``web`` (tracking page, logins, key use), ``day`` and ``rows`` (what a day consists of), ``run``
(the loop), ``files`` (Parquet and logs).

**How somebody joins in** (attackers do; ``Carrier(..., attackers=[...])``). Each is an
:class:`~parcelveil.simulate.carrier.day.Attacker`: ``begin(world)`` once before the first day, where it may take new
devices and networks (:meth:`World.new_devices`, :meth:`World.new_networks`) and write into the accounts' columns, and
``act(day, world) -> Acts`` every day, after the benign day is made and **before** rows are sorted and numbered. It reads
``day`` and ``world`` and changes neither in ``act``. Everything is a numpy column of codes:

=====================  ===============================================================================================
``world``              accounts by code: role, outlet, region, owner, shift_start, shift_end, device, network,
                       first_day, last_day, opened, changed, leaves; outlets: outlet_kind, outlet_region, outlet_hub;
                       ``world.names.account[code]`` is the text that is written
``day.number``         days since the start, from 0; ``day.midnight``: its local midnight in microseconds UTC
``day.duty``           by account: works today; ``day.start``, ``day.end``: microseconds UTC; ``day.outlet``: where;
                       ``day.device``: with what; ``day.network``: on which network when not at the workplace
``day.access``         :class:`~parcelveil.simulate.carrier.rows.AccessRows`, all benign looks made today
``day.work``           :class:`~parcelveil.simulate.carrier.rows.WorkRows`, all work recorded today
``day.parcels``        :class:`~parcelveil.simulate.carrier.day.Parcels`, all that are under way today
``day.issued``         :class:`~parcelveil.simulate.carrier.day.Blocks`, blocks of numbers issued so far
``day.new_tickets(n)`` numbers of n new tickets
=====================  ===============================================================================================

An attacker's rows carry ``mark`` (any number from 0); benign rows have -1. It is never written. When the day has been
put in order, ``day.marked()`` gives the marks with the event numbers that they got: that is how truth is kept.
"""
