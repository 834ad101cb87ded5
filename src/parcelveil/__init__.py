"""parcelveil guards the personal data of parcels."""

__version__ = "0.1.0"
