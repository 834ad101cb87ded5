"""Who harvests? For every look of every account: does any work explain it?

The way of the data, one module a step::

    mapping, weblog, audited    access events as they come -> batches of parcelveil.event.ACCESS
    coded                       -> integers: accounts, outlets and devices as codes, parcels as keyed pseudonyms
    explain.sql, streaming      -> each look with the work that explains it: direct, group or none
    daily                       -> one day's rows that want a reason, and everybody's volume
    baseline, cusum, calibrate  -> what is far from an account's own days and its peers'
    cases                       -> one case an account, with its reason in words, under a budget of false ones
    alerts                      -> to the store, JSON lines, OCSF, a webhook

Everything here works on pseudonyms: no name, phone or address gets in, and no waybill number gets out.
"""
