"""Answers of other systems become machine records, by `specs/common/systems.toml`."""
