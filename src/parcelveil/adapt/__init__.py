"""Adapters: everything that touches files, stores and optional packages, one module each.

Reading (:mod:`parcelveil.adapt.source`) gives any supported file as :class:`parcelveil.waybill.RawBatch`;
writing (:mod:`parcelveil.adapt.sink`) puts batches into a file that appears whole or not at all.
Verbs never import this package; the command line and the workspace do.
"""
