"""The default typeface, Parcelveil Sans SC: a subset of Noto Sans SC under the SIL Open Font License (``OFL.txt``)."""
