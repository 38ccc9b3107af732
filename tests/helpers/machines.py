"""Machines of which a record lies in `data/records/`."""

from __future__ import annotations

from helpers.paths import RECORDS
from selfhost import (
    Machine,
)
from selfhost.catalogue.opened import open_catalogue

GIB = 2**30


VM = Machine.from_file(RECORDS / "vm-24gib.json")


IDS = open_catalogue().ids()
