"""What every other package rests on: errors, files, units, records and tables."""

__version__ = "0.1.0"
