"""The desk through which every look goes: purpose, policy, custody, quota, second person; log first, then open.

:mod:`~parcelveil.reveal.scenes` holds the purposes and their limits, :mod:`~parcelveil.reveal.policy` decides,
:mod:`~parcelveil.reveal.custody` knows where each parcel is, and :mod:`~parcelveil.reveal.desk` answers.
"""
