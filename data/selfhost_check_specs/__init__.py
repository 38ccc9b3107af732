"""The catalogue of selfhost-check, as data: it finds this folder by name and imports nothing."""
