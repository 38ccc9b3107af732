"""Processors as their makers write them, in the titles of described machines.

The names are those of Intel ARK (ark.intel.com) and of AMD's product pages, without trademark signs
and without "Processor" behind them or before their number.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from helpers.cases import case
from helpers.written import run
from selfhost.machine import cpus
from selfhost.machine.named import named
from selfhost.machine.record import Machine

DESCRIPTIONS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent / "descriptions.toml").read_text()
)

INTEL = [
    ("i5-8250u", "Intel Core i5-8250U"),
    ("i7 1165g7", "Intel Core i7-1165G7"),
    ("core i7 4790k", "Intel Core i7-4790K"),
    ("intel i5 12400f", "Intel Core i5-12400F"),
    ("13900ks", "Intel Core i9-13900KS"),
    ("i9 12900hk", "Intel Core i9-12900HK"),
    ("i7 14700hx", "Intel Core i7-14700HX"),
    ("core i5 750", "Intel Core i5-750"),
    ("i3 n305", "Intel Core i3-N305"),
    ("core m3 7y30", "Intel Core m3-7Y30"),
    ("core ultra 7 155h", "Intel Core Ultra 7 155H"),
    ("core ultra 9 285k", "Intel Core Ultra 9 285K"),
    ("core 7 150u", "Intel Core 7 150U"),
    ("n97", "Intel Processor N97"),
    ("pentium silver j5005", "Intel Pentium Silver J5005"),
    ("celeron n5105", "Intel Celeron N5105"),
    ("atom d525", "Intel Atom D525"),
    ("xeon e5-2680 v4", "Intel Xeon E5-2680 v4"),
    ("xeon e3 1245 v5", "Intel Xeon E3-1245 v5"),
    ("xeon gold 6248r", "Intel Xeon Gold 6248R"),
    ("xeon platinum 8380", "Intel Xeon Platinum 8380"),
    ("xeon w-2145", "Intel Xeon W-2145"),
    ("xeon w9-3495x", "Intel Xeon w9-3495X"),
    ("xeon d 1541", "Intel Xeon D-1541"),
    ("xeon e 2224", "Intel Xeon E-2224"),
]
AMD = [
    ("ryzen 7 7800x3d", "AMD Ryzen 7 7800X3D"),
    ("amd ryzen 5 5600x", "AMD Ryzen 5 5600X"),
    ("ryzen 3 7320u", "AMD Ryzen 3 7320U"),
    ("ryzen 9 5900hs", "AMD Ryzen 9 5900HS"),
    ("ryzen 9 7945hx", "AMD Ryzen 9 7945HX"),
    ("ryzen 7 pro 6850u", "AMD Ryzen 7 PRO 6850U"),
    ("ryzen ai 9 hx 370", "AMD Ryzen AI 9 HX 370"),
    ("ryzen ai max+ 395", "AMD Ryzen AI Max+ 395"),
    ("threadripper 3970x", "AMD Ryzen Threadripper 3970X"),
    ("ryzen threadripper 7970x", "AMD Ryzen Threadripper 7970X"),
    ("threadripper pro 7995wx", "AMD Ryzen Threadripper PRO 7995WX"),
    ("epyc 9654", "AMD EPYC 9654"),
    ("epyc 7302p", "AMD EPYC 7302P"),
    ("epyc 74f3", "AMD EPYC 74F3"),
    ("athlon 3000g", "AMD Athlon 3000G"),
    ("fx-8350", "AMD FX-8350"),
    ("ryzen embedded r1505g", "AMD Ryzen Embedded R1505G"),
]


@pytest.mark.parametrize(
    ("typed", "written"),
    [pytest.param(*names, id=names[0]) for names in (*INTEL, *AMD)],
)
def test_a_note_has_the_processor_as_its_maker_writes_it(
    typed: str, written: str
) -> None:
    note = named(f"{typed} 16gb").note
    assert note is not None
    assert f"a machine with {written}, 16 GB of RAM" in note


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        pytest.param("2x epyc 7742", "2x AMD EPYC 7742", id="in front"),
        pytest.param(
            "xeon e5 2699 v4 x2", "2x Intel Xeon E5-2699 v4", id="behind the name"
        ),
        pytest.param("dual xeon", "2x Intel Xeon", id="a word"),
        pytest.param("athlon 64 x2", "AMD Athlon 64 X2", id="cores and no count"),
    ],
)
def test_several_are_counted_in_front(typed: str, written: str) -> None:
    assert cpus.written_name(typed) == written


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="no name"),
        pytest.param("2x", id="a count alone"),
        pytest.param("Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", id="Linux"),
        pytest.param("AMD Ryzen 7 PRO 8700GE w/ Radeon 780M Graphics", id="AMD"),
        pytest.param("Intel or AMD processor", id="not named"),
        pytest.param("sifive,u74-mc", id="a device tree"),
    ],
)
def test_what_a_system_writes_stays(name: str) -> None:
    """Only names that a description gives are written anew."""
    assert cpus.written_name(name) == name


@cache
def machines_of_posts() -> Sequence[Machine]:
    """The machines that people described, whole and in parts."""
    rows = (*DESCRIPTIONS["post"], *DESCRIPTIONS["part"])
    return [named(row["text"]).machine for row in rows]


def test_a_written_name_means_the_same_processor() -> None:
    """Whoever pastes a title back gets the cores and the memory of what was typed."""
    written = 0
    for machine in machines_of_posts():
        name = machine.cpu_model or ""
        with case(name):
            title = cpus.written_name(name)
            written += title != name
            assert cpus.series_called(title) == cpus.series_called(name)
            assert cpus.cores_of(title) == cpus.cores_of(name)
            assert cpus.written_name(title) == title
    assert written > 100


def test_a_person_reads_the_written_name_and_a_program_the_typed_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`cpu_model` is what tables are asked for; rows and notes are for people."""
    described = ("--machine", "i5-8250u 16gb")
    _, out, err = run(capsys, "machine", *described)
    assert out.startswith("intel-core-i5-8250u-16gb: linux")
    assert "processor  Intel Core i5-8250U, 4 cores" in out
    assert "is judged as a machine with Intel Core i5-8250U, 16 GB" in err
    assert named(described[1])[0].cpu_model == "i5 8250u"
    _, out, _ = run(capsys, "check", "gpt2", *described)
    assert out.splitlines()[0].endswith("on intel-core-i5-8250u-16gb")
    _, _, err = run(capsys, "machine", "--machine", "i5 8th gen 16gb")
    assert "series of processors; Intel Core i5 8th Gen is a wide guess" in err


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        pytest.param(
            "intel-core-i5-8250u-gtx-1050-2gb-16gb",
            ("i5-8250U 16GB, GTX 1050", "laptop with a gtx 1050, i5 8250u and 16 gb"),
            id="parts",
        ),
        pytest.param("rtx-4090-64gb", ("rtx 4090 64gb", "64 GB, 4090"), id="a GPU"),
        pytest.param("2x-rtx-3090-48gb", ("2x 3090 48gb ram",), id="two GPUs"),
        pytest.param(
            "steam-deck-16gb", ("steam deck", "a Steam Deck, 512 GB SSD"), id="product"
        ),
        pytest.param("mac-apple-m4-pro-64gb", ("m4 pro 64gb",), id="a Mac"),
        pytest.param("vm-4cpus-16gb", ("vm, 4 vcpu, 16gb",), id="a guest"),
        pytest.param("container-4cpus-8gb", ("docker 4 cpus 8gb",), id="a container"),
        pytest.param("wsl-amd-ryzen-5-3600-32gb", ("wsl ryzen 5 3600 32gb",), id="WSL"),
        pytest.param("16-cores-64gb", ("16 core server 64gb",), id="cores"),
    ],
)
def test_a_name_is_made_of_the_parts_and_the_memory(
    name: str, texts: tuple[str, ...]
) -> None:
    """Selectors, JUnit and tables have the name: other words for a machine give the same one."""
    assert [named(text).machine.name for text in texts] == [name] * len(texts)


def test_other_machines_have_other_names() -> None:
    """An audit of two records of one name would refuse the second."""
    described: dict[str, tuple[object, ...]] = {}
    for machine in machines_of_posts():
        if not re.search(r"-[0-9.]+gb$", machine.name):
            # a known machine, or a type that a cloud rents
            continue
        cards = [(card.name, card.memory_total_bytes) for card in machine.cards]
        cores = machine.cpu_cores_usable
        facts = (machine.memory_total_bytes, machine.scope, cores, cards)
        with case(machine.name):
            assert re.fullmatch(r"[a-z0-9.-]{4,80}", machine.name)
            assert described.setdefault(machine.name, facts) == facts
    assert len(described) > 300
