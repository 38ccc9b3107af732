"""Machines of which a record lies in `data/records/`, and the usual ones of those that are known."""

from __future__ import annotations

from helpers.paths import RECORDS
from selfhost import Machine
from selfhost.catalogue.opened import open_catalogue

GIB = 2**30


VM = Machine.from_file(RECORDS / "vm-24gib.json")


# known machines of each kind that people run models on: GPUs, Macs, a server, a laptop without
USUAL = (
    "desktop-rtx3060-12gb",
    "desktop-rtx4090-24gb",
    "macbook-air-m2-16gb",
    "macbook-pro-m4-max-48gb",
    "server-8x-h100",
    "laptop-ddr4-16gb",
)


IDS = open_catalogue().ids()
