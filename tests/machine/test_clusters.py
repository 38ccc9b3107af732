"""Several machines by the words that people type, and the links between them."""

from __future__ import annotations

import pytest

from selfhost.core.errors import InputError
from selfhost.machine.clusters import (
    SURE_JOINER,
    Cluster,
    cluster_named,
    cluster_of,
)
from selfhost.machine.links import link_called, link_names
from selfhost.machine.named import named
from selfhost.machine.record import Machine
from selfhost.machine.words import UnknownMachineError


def read(text: str, link: str | None = None) -> Cluster | None:
    found = cluster_named(text, named, link)
    return None if found is None else found.cluster


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("2x dgx spark", ["dgx-spark"] * 2, id="count before"),
        pytest.param("dgx spark, dgx spark", ["dgx-spark"] * 2, id="comma"),
        pytest.param("DGX Spark+dgx spark", ["dgx-spark"] * 2, id="no spaces"),
        pytest.param(
            "2x dgx spark+mac studio m3 ultra 96gb",
            ["dgx-spark", "dgx-spark", "mac-apple-m3-ultra-96gb"],
            id="no spaces between unlike ones",
        ),
        pytest.param(
            "mac mini m4 16gb, mac mini m4 16gb",
            ["mac-mini-m4-16gb"] * 2,
            id="comma between macs",
        ),
        pytest.param("2 x dgx spark", ["dgx-spark"] * 2, id="with a space"),
        pytest.param("2× DGX Spark", ["dgx-spark"] * 2, id="with a sign"),
        pytest.param("dgx spark x2", ["dgx-spark"] * 2, id="count behind"),
        pytest.param("two dgx sparks", ["dgx-spark"] * 2, id="in words"),
        pytest.param("2 dgx sparks", ["dgx-spark"] * 2, id="plural"),
        pytest.param("a pair of dgx sparks", ["dgx-spark"] * 2, id="pair"),
        pytest.param("cluster of 4 dgx spark", ["dgx-spark"] * 4, id="cluster of"),
        pytest.param("2 nodes of dgx spark", ["dgx-spark"] * 2, id="nodes"),
        pytest.param(
            "two DGX Sparks linked together", ["dgx-spark"] * 2, id="linked together"
        ),
        pytest.param(
            "4x Mac mini M4 16GB cluster", ["mac-mini-m4-16gb"] * 4, id="cluster behind"
        ),
        pytest.param("2 dgx spark", ["dgx-spark"] * 2, id="one word, as of one"),
        pytest.param("4 dgx-spark", ["dgx-spark"] * 4, id="a profile's name"),
        pytest.param(
            "2 mac mini m4 pro 24gb", ["mac-mini-m4-pro-24gb"] * 2, id="macs as of one"
        ),
        pytest.param(
            "3 mac minis m4 pro 24gb", ["mac-mini-m4-pro-24gb"] * 3, id="mac minis"
        ),
        pytest.param(
            "2 mac studios m3 ultra 512gb",
            ["mac-studio-m3-ultra-512gb"] * 2,
            id="mac studios",
        ),
        pytest.param("2 steam deck", ["steam-deck-16gb"] * 2, id="handhelds"),
        pytest.param(
            "2 laptop-rtx4060-16gb", ["laptop-rtx4060-16gb"] * 2, id="a laptop's name"
        ),
        pytest.param(
            "two laptops with an RTX 4060 and 16 GB",
            ["rtx-4060-laptop-16gb"] * 2,
            id="laptops with their parts",
        ),
        pytest.param(
            "12 macbook pros m4 max 128gb",
            ["mac-apple-m4-max-128gb"] * 12,
            id="several, and no screen of 12 inches",
        ),
        pytest.param("2x gb10", ["dgx-spark"] * 2, id="by the chip of one computer"),
        pytest.param(
            "4x mac studio m3 ultra 512gb",
            ["mac-studio-m3-ultra-512gb"] * 4,
            id="macs",
        ),
        pytest.param(
            "2x framework desktop 128gb", ["strix-halo-128gb"] * 2, id="products"
        ),
        pytest.param("2x server-8x-h100", ["server-8x-h100"] * 2, id="hosts by name"),
        pytest.param("2x 8x h100", ["server-8x-h100"] * 2, id="hosts of GPUs"),
        pytest.param("2x (8x H100)", ["server-8x-h100"] * 2, id="in brackets"),
        pytest.param("2x p5.48xlarge", ["aws-p5.48xlarge"] * 2, id="rented"),
        pytest.param(
            "mac studio m3 ultra 512gb + macbook pro m4 max 128gb",
            ["mac-studio-m3-ultra-512gb", "mac-apple-m4-max-128gb"],
            id="unlike",
        ),
        pytest.param(
            "dgx spark + mac studio m3 ultra 512gb",
            ["dgx-spark", "mac-studio-m3-ultra-512gb"],
            id="of two makers",
        ),
        pytest.param("dgx spark and dgx spark", ["dgx-spark"] * 2, id="in a sentence"),
        pytest.param("dgx spark & dgx spark", ["dgx-spark"] * 2, id="by a sign"),
        pytest.param("dgx spark +dgx spark", ["dgx-spark"] * 2, id="a space left out"),
        pytest.param(
            "2x (ryzen 7950x and rtx 3090, 64gb)",
            ["amd-ryzen-7950x-rtx-3090-64gb"] * 2,
            id="parts of one, counted",
        ),
        pytest.param("8x h100 + 8x h100", ["server-8x-h100"] * 2, id="hosts by GPUs"),
        pytest.param(
            "2x dgx spark + mac studio m3 ultra 512gb",
            ["dgx-spark", "dgx-spark", "mac-studio-m3-ultra-512gb"],
            id="counted and one",
        ),
        pytest.param(
            "2x dgx spark, mac studio m3 ultra 512gb",
            ["dgx-spark", "dgx-spark", "mac-studio-m3-ultra-512gb"],
            id="counted and one, with a comma",
        ),
        pytest.param(
            "rtx 4090 64gb ++ rtx 4090 64gb",
            ["rtx-4090-64gb"] * 2,
            id="named one by one",
        ),
    ],
)
def test_several_machines_are_read(text: str, names: list[str]) -> None:
    found = read(text)
    assert found is not None
    assert [machine.name for machine in found.machines] == names
    # the names that are printed mean the same
    again = read(SURE_JOINER.join(found.names))
    assert again is not None
    assert again.machines == found.machines


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2x rtx 3090 64gb", id="two GPUs in one computer"),
        pytest.param("2x rtx3090 24gb", id="GPUs whose name is part of a profile's"),
        pytest.param("2x epyc 7742 512gb", id="two processors in one computer"),
        pytest.param("16x h100", id="sixteen GPUs"),
        pytest.param("i5-12400 32gb + rtx 3090", id="a computer and its GPU"),
        pytest.param("rtx 3090 + rtx 3060", id="two GPUs"),
        pytest.param("epyc 7742 512gb + 2x rtx 3090", id="a computer and its GPUs"),
        pytest.param("Ryzen AI Max+ 395 128GB", id="a plus behind a word"),
        pytest.param("n1-standard-8 + t4", id="a cloud's type and its GPU"),
        pytest.param("ryzen ai max+ 395 128gb", id="a plus in a name"),
        pytest.param("dgx spark", id="one"),
        pytest.param("framework desktop, strix halo", id="two words for one"),
        pytest.param("hp z2 mini g1a, strix halo 128gb", id="a computer, its chip"),
        pytest.param("mac studio, m3 ultra, 96gb", id="a Mac in parts"),
        pytest.param("dgx spark, 4tb ssd", id="a computer and its disk"),
        pytest.param("macbook pro, m4 max 64gb", id="a Mac, its chip"),
        pytest.param("2x rtx 3090, ryzen 7950x 64gb", id="GPUs of a computer"),
        pytest.param("rtx 4090+rtx 3090", id="two GPUs without spaces"),
        pytest.param("2x nothing", id="unknown"),
        pytest.param("4090 desktop", id="a GPU's number"),
        pytest.param("2 rtx 3090, 64gb", id="GPUs by a number"),
        pytest.param("two 3090 desktop 64gb", id="GPUs in a desktop"),
        pytest.param("16 gb laptop", id="a size"),
        pytest.param("5600 6700xt", id="a processor's number"),
        pytest.param("2 socket epyc 7742 512gb", id="sockets"),
        pytest.param("12 core mac studio m2 max 64gb", id="cores"),
        pytest.param("11 gen intel laptop 16gb", id="a generation"),
        pytest.param("2 in 1 laptop 16gb", id="a laptop that is a tablet"),
        # MacBook Pros of 2021 and later have 14 or 16 inches (Apple)
        pytest.param("16 macbook pro m1 pro 16gb", id="a screen's size"),
        pytest.param("2021 macbook pro m1 max 32gb", id="a year"),
        pytest.param("4 pcs 16gb ddr4 i9-9900k", id="pieces of RAM"),
        # how many H100 has a node?
        pytest.param("4 H100 SXM nodes with 2TB RAM", id="nodes of GPUs"),
        pytest.param("gb200 nvl72", id="a rack"),
        pytest.param(
            "Ryzen 9 5950X, 64GB DDR4-3600, RTX 3090 + RTX 3060 12GB",
            id="a GPU that is also said for a desktop",
        ),
        pytest.param("rtx 3060 12gb and rtx 3080 10gb", id="two such GPUs"),
        pytest.param("ryzen 7950x 64gb and rtx 3090", id="parts of one in a sentence"),
    ],
)
def test_one_machine_stays_one(text: str) -> None:
    """A count before a GPU or a processor is a number of those, as in one machine."""
    assert read(text) is None


def test_more_machines_than_are_joined_are_refused() -> None:
    with pytest.raises(UnknownMachineError, match="17 machines"):
        read("17x dgx spark")
    with pytest.raises(UnknownMachineError, match="20 machines"):
        read("20 dgx spark")
    with pytest.raises(UnknownMachineError, match="1 machine"):
        cluster_of([named("dgx spark").machine])


@pytest.mark.parametrize(
    ("text", "link"),
    [
        pytest.param("2x dgx spark", "200gbe,rdma", id="sparks"),
        pytest.param("2x mac studio m3 ultra 512gb", "tb5,rdma", id="thunderbolt 5"),
        pytest.param("2x macbook pro m5 max 128gb", "tb5,rdma", id="m5"),
        pytest.param("2x mac mini m4 16gb", "tb4,tcp", id="thunderbolt 4"),
        pytest.param("2x mac studio m2 ultra 128gb", "tb4,tcp", id="m2 ultra"),
        pytest.param("2x strix halo 128gb", "usb4,tcp", id="strix halo"),
        pytest.param("2x raspberry pi 5 8gb", "1gbe,tcp", id="boards"),
        pytest.param("2x desktop-rtx4090-24gb", "10gbe,tcp", id="others"),
        pytest.param("dgx spark + strix halo 128gb", "10gbe,tcp", id="unlike"),
    ],
)
def test_a_link_that_nobody_states_is_the_usual_one(text: str, link: str) -> None:
    found = read(text)
    assert found is not None
    assert found.link.option == link
    assert found.link.is_assumed


@pytest.mark.parametrize(
    ("typed", "option"),
    [
        pytest.param("200GbE", "200gbe,rdma", id="as written"),
        pytest.param("200 Gb/s Ethernet", "200gbe,rdma", id="in full"),
        pytest.param("ConnectX-7", "200gbe,rdma", id="by the card"),
        pytest.param("tb5", "tb5,rdma", id="short"),
        pytest.param("Thunderbolt 5, TCP", "tb5,tcp", id="with a transport"),
        pytest.param("2.5gbe", "2.5gbe,tcp", id="with a point"),
        pytest.param("10 gigabit", "10gbe,tcp", id="in words"),
        pytest.param("gigabit", "1gbe,tcp", id="one"),
        pytest.param("Wi-Fi", "wifi,tcp", id="without a cable"),
        pytest.param("infiniband", "400gbe,rdma", id="infiniband"),
    ],
)
def test_a_link_is_read_in_its_spellings(typed: str, option: str) -> None:
    link = link_called(typed)
    assert link.option == option
    assert not link.is_assumed


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        pytest.param("foo", "no link is called", id="unknown"),
        pytest.param("usb4,rdma", "has no RDMA", id="without RDMA"),
        pytest.param("tb4,rdma", "has no RDMA", id="thunderbolt 4"),
        pytest.param("tb5,foo", "no transport", id="no transport"),
    ],
)
def test_a_link_that_does_not_exist_is_refused(typed: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        link_called(typed)
    assert refused.value.remedy


def test_each_link_names_itself() -> None:
    for name in link_names():
        assert link_called(name).name == name


def spark(**facts: object) -> Machine:
    return named("dgx spark").machine.replace(**facts)


@pytest.mark.parametrize(
    ("facts", "are_equal"),
    [
        pytest.param({"name": "spark-2"}, True, id="another name"),
        pytest.param({"memory_available_bytes": 90 * 2**30}, True, id="less is free"),
        pytest.param({"memory_total_bytes": 64 * 2**30}, False, id="less RAM"),
        pytest.param({"memory_total_bytes": None}, False, id="RAM not known"),
        pytest.param({"cpu_model": "AMD Ryzen 9 7950X"}, False, id="processor"),
        pytest.param({"accelerators": ()}, False, id="no GPU"),
    ],
)
def test_machines_of_one_build_are_alike(
    facts: dict[str, object], are_equal: bool
) -> None:
    """Two records of the same product, read on two hosts, differ in what is free."""
    both = cluster_of([spark(), spark(**facts)])
    assert both.are_equal is are_equal
