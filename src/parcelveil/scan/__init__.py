"""Finds personal data where it should not be: in files, archives, tables and pictures. See engine.py."""
