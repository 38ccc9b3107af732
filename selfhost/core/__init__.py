"""The base of every other package: errors, files, units, records and tables."""

__version__ = "0.1.0"
