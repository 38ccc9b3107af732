"""Answers of other systems become machines: values read off the samples by eye, units by each
system's documentation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.cases import case_id
from helpers.paths import DATA
from selfhost.audit.machines import load_machines
from selfhost.machine.gpus import gb_per_s_of
from selfhost.machine.record import Accelerator, Machine

FLEET = DATA / "fleet"
KIB = 2**10
MIB = 2**20
GIB = 2**30


def machines_of(answer: object) -> dict[str, Machine]:
    """The machines of a file, a folder or an answer by name; no problem."""
    own = answer if isinstance(answer, Path) else "-"
    fleet = load_machines(
        str(own), stdin=b"" if own != "-" else json.dumps(answer).encode()
    )
    assert not fleet.problems, fleet.problems
    return {machine.name: machine for machine in fleet.machines}


def machine_of(path: str) -> Machine:
    (machine,) = machines_of(FLEET / path).values()
    return machine


SAMPLES = sorted(path for path in FLEET.glob("*/*"))


@pytest.mark.parametrize(
    "path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_a_sample_is_recognized_and_each_fact_has_a_source_or_a_reason(
    path: Path,
) -> None:
    """What has a value says where it was read, what has none why not and how to get it."""
    by_content = machines_of(path)
    assert by_content
    for machine in by_content.values():
        record = machine.to_json()
        facts = set(record) - {
            "schema", "selfhost_version", "name", "labels", "planning", "assumed", "confidence",
            "sources", "unread", "address_space_bytes",
        }  # fmt: skip
        unread = {entry.fact: entry for entry in machine.unread}
        for fact in facts:
            if record[fact] is not None:
                assert machine.sources[fact], fact
            else:
                assert unread[fact].reason != "the record does not say", fact
                assert unread[fact].remedy, fact


def test_ansible() -> None:
    """`_mb` is MiB. A container's memory is not told by its host's: the limit is unread, never the
    host's.
    """
    machine = machine_of("ansible/setup_localhost.json")
    assert machine.memory_total_bytes == 24105 * MIB
    assert machine.scope == "container"
    assert machine.memory_limit_bytes is None
    assert machine.memory_available_bytes is None
    assert (machine.cpu_cores_physical, machine.cpu_cores_usable) == (2, 2)
    assert machine.cpu_model == "AMD EPYC"
    disk = machine.disk_for("ollama")
    assert disk is not None
    assert (disk.free_bytes, disk.total_bytes) == (71146692608, 270553174016)
    assert machine.instruction_sets is None
    assert "facts.d" in (machine.why_unread("instruction_sets").remedy or "")


def test_a_record_as_a_local_fact_of_ansible_is_taken_whole() -> None:
    """`ansible_local.selfhost` holds what Ansible's facts lack."""
    own = {
        "schema": "selfhost.machine/1",
        "instruction_sets": ["avx2"],
        "memory_limit_bytes": GIB,
    }
    facts = {
        "ansible_memtotal_mb": 1,
        "ansible_local": {"selfhost": own},
        "ansible_nodename": "a",
    }
    machine = machines_of({"ansible_facts": facts})["a"]
    assert (machine.memory_limit_bytes, machine.instruction_sets) == (GIB, ("avx2",))
    # what Ansible keeps of a fact that fails, and its text may hold anything
    facts["ansible_local"] = {
        "selfhost": "Failure executing fact script, rc: 127, err: TOKEN=x"
    }
    machine = machines_of({"ansible_facts": facts})["a"]
    assert machine.instruction_sets is None
    assert "TOKEN" not in str(machine)


def test_prometheus_joins_what_several_answers_say() -> None:
    """Strings are bytes; MemAvailable is available; an address is no name, so the host's own is
    taken.
    """
    machine = machine_of("prometheus/query_instant.json")
    assert machine.name == "vm"
    assert machine.memory_total_bytes == 25276510208
    assert machine.memory_available_bytes == 23925473280
    assert (machine.cpu_cores_usable, machine.cpu_cores_physical) == (2, 2)
    assert machine.read_at == "2026-11-20T06:30:36Z"
    assert machine.labels == {"prometheus.class": "edge", "prometheus.job": "node"}


def test_free_space_and_size_of_a_volume_are_of_its_last_samples() -> None:
    """Two volumes on one mount point, as a mount over another leaves them: no size is held against
    the free space of the other.
    """

    def measured(metric: str, device: str, value: str) -> dict[str, Any]:
        series = {
            "__name__": metric,
            "instance": "vm:9100",
            "device": device,
            "mountpoint": "/",
            "fstype": "ext4",
        }
        return {"metric": series, "value": [1795000000, value]}

    samples = [
        measured("node_filesystem_avail_bytes", "/dev/sda1", "900000000000"),
        measured("node_filesystem_size_bytes", "/dev/sda1", "1000000000000"),
        measured("node_filesystem_avail_bytes", "/dev/sdb1", "300000000000"),
        measured("node_filesystem_size_bytes", "/dev/sdb1", "500000000000"),
    ]
    answer = {
        "status": "success",
        "data": {"resultType": "vector", "result": samples},
    }
    disk = machines_of(answer)["vm"].disk_for("ollama")
    assert disk is not None
    assert (disk.free_bytes, disk.total_bytes) == (300 * 10**9, 500 * 10**9)


def test_gpu_memory_of_prometheus_is_each_cards_own() -> None:
    """Framebuffer figures are MiB, per card, and as free now; MemFree is no measure of what is
    available.
    """
    machine = machine_of("prometheus/dcgm_made.json")
    assert machine.accelerators is not None
    first, second = machine.accelerators
    assert (first.memory_total_bytes, first.memory_free_bytes) == (
        15360 * MIB,
        14000 * MIB,
    )
    assert (second.memory_total_bytes, second.memory_free_bytes) == (
        15000 * MIB,
        15000 * MIB,
    )
    assert machine.memory_available_bytes is None


def test_a_machine_has_the_cards_of_all_its_exporters() -> None:
    """Where each card has a dcgm-exporter of its own, all join the machine of their `Hostname`."""
    rows: list[object] = [
        {
            "metric": {"__name__": name, "instance": "n:9100", "nodename": "gpu-node"},
            "value": [0, value],
        }
        for name, value in (
            ("node_uname_info", "1"),
            ("node_memory_MemTotal_bytes", "6.7e+10"),
        )
    ]
    for card in ("G0", "G1"):
        for what, size in (("FREE", "14000"), ("USED", "1360")):
            metric = {
                "__name__": f"DCGM_FI_DEV_FB_{what}",
                "instance": f"exporter-{card}:9400",
                "UUID": card,
                "Hostname": "gpu-node",
            }
            rows.append({"metric": metric, "value": [0, size]})
    (machine,) = machines_of({"status": "success", "data": {"result": rows}}).values()
    assert machine.accelerators is not None
    sizes = [card.memory_total_bytes for card in machine.accelerators]
    assert sizes == [15360 * MIB, 15360 * MIB]


def test_a_card_that_mig_divides_counts_by_its_instances_alone() -> None:
    """DCGM tells of the card too, of which no program gets anything but an instance."""
    rows: list[object] = []
    for part in ("", "1", "2"):
        for what, size in (("FREE", "40000"), ("USED", "192")):
            name = f"DCGM_FI_DEV_FB_{what}"
            metric = {
                "__name__": name,
                "instance": "n:1",
                "UUID": "G",
                "GPU_I_ID": part,
            }
            rows.append({"metric": metric, "value": [0, size]})
    (machine,) = machines_of({"status": "success", "data": {"result": rows}}).values()
    assert [card.is_part for card in machine.accelerators or ()] == [True, True]


KUBERNETES = FLEET / "kubernetes"


def node(labels: dict[str, str], capacity: dict[str, Any], **parts: Any) -> Machine:
    """The machine of a node with these labels and resources."""
    status = {"capacity": {"cpu": "8", "memory": "1Gi", **capacity}, **parts}
    item = {
        "kind": "Node",
        "metadata": {"name": "n", "labels": labels},
        "status": status,
    }
    return machines_of({"apiVersion": "v1", "kind": "List", "items": [item]})["n"]


def cards_of(labels: dict[str, str], **capacity: str) -> tuple[Accelerator, ...]:
    cards = node(labels, capacity).accelerators
    assert cards is not None
    return cards


def gpu(**values: Any) -> dict[str, str]:
    return {
        f"nvidia.com/{key.replace('__', '.')}": str(value)
        for key, value in values.items()
    }


def test_capacity_is_the_machine_and_allocatable_a_budget() -> None:
    """129520107Ki and 128020107Ki of n00000, 63920m CPUs; ephemeral-storage is no free space."""
    machine = machines_of(KUBERNETES / "nodes_list_4.json")["n00000"]
    assert machine.memory_total_bytes == 129520107 * KIB
    assert machine.memory_limit_bytes == 128020107 * KIB
    assert "budget" in machine.sources["memory_limit_bytes"]
    assert machine.cpu_cores_usable == 63.92
    assert machine.memory_available_bytes is None
    assert machine.disks is None
    assert machine.accelerators == ()
    assert machine.labels == {
        "kubernetes.instance-type": "c6i.16xlarge",
        "kubernetes.zone": "a",
        "kubernetes.state": "ready",
    }


@pytest.mark.parametrize(
    ("stated", "limit_bytes"),
    [
        ("0", 0),
        ("0Ki", 0),
        ("-5Gi", None),
        ("5XB", None),
        ("9" * 60, None),
        (True, None),
        ("2Gi", GIB),
    ],
    ids=case_id,
)
def test_a_budget_that_is_zero_or_unreadable_is_never_the_whole_node(
    stated: object, limit_bytes: int | None
) -> None:
    """Pods get nothing of a node that may give them nothing; what is no quantity says so."""
    machine = node({}, {}, allocatable={"memory": stated, "cpu": "0"})
    assert machine.memory_limit_bytes == limit_bytes
    assert machine.cpu_cores_usable is None, "allocatable.cpu is 0"
    if limit_bytes is None:
        reason = machine.why_unread("memory_limit_bytes").reason
        assert "allocatable.memory is not a size of memory" in reason


def test_published_labels_of_an_h100() -> None:
    """81559 is MiB; the label's hyphens are the driver's spaces, so that its row is found."""
    machine = machines_of(KUBERNETES / "nfd_gfd_labels_h100.json")["s4124-0073"]
    assert machine.accelerators is not None
    (card,) = machine.accelerators
    assert card.name == "NVIDIA H100 80GB HBM3"
    assert card.memory_total_bytes == 81559 * MIB
    assert (card.driver, card.unified) == ("550.54.15", False)
    assert gb_per_s_of(card.name, 80) == 3352
    assert machine.memory_total_bytes is None


def test_shares_of_a_card_are_no_cards() -> None:
    """With time-slicing the resource counts shares; with MPS each share has a part of the
    memory.
    """
    labels = gpu(
        gpu__count=2, gpu__replicas=4, gpu__memory=15360, gpu__product="Tesla-T4-SHARED"
    )
    offered = {"nvidia.com/gpu": "8"}
    for strategy, size in (("time-slicing", 15360 * MIB), ("mps", 3840 * MIB)):
        cards = cards_of(labels | gpu(**{"gpu__sharing-strategy": strategy}), **offered)
        assert [card.memory_total_bytes for card in cards] == [size] * 2
        assert cards[0].name == "Tesla T4"
    # without the labels of discovery's count
    cards = cards_of(gpu(gpu__replicas=4), **offered)
    assert [card.memory_total_bytes for card in cards] == [None] * 2


@pytest.mark.parametrize(
    ("devices", "allocatable", "cards"),
    [("8", "8", 8), ("8", "6", 6), ("16", "8", 4), ("8", "0", None), ("0", "0", None)],
    ids=case_id,
)
def test_gpus_that_pods_cannot_get_do_not_count(
    devices: str, allocatable: str, cards: int | None
) -> None:
    """An unhealthy device stays in the capacity and leaves what is allocatable, and without a
    device plugin both are 0: labels alone promise nothing. 16 devices of 8 cards are shares.
    """
    resource = "nvidia.com/gpu"
    labels = gpu(gpu__count=8, gpu__memory=40960, gpu__product="NVIDIA-A100")
    machine = node(labels, {resource: devices}, allocatable={resource: allocatable})
    if cards is None:
        assert machine.accelerators is None
        unread = machine.why_unread("accelerators")
        assert "none of them to pods" in unread.reason
        assert "device plugin" in (unread.remedy or "")
    else:
        assert len(machine.accelerators or ()) == cards
        assert ("cannot get" in machine.sources["accelerators"]) is (cards < 8)


def test_instances_of_mig_are_parts() -> None:
    """`single` counts instances as GPUs, `mixed` has labels of each kind: a program gets one, of
    4,864 MiB.
    """
    single = gpu(
        gpu__count=7, gpu__memory=4864, gpu__product="NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"
    )
    cards = cards_of(single, **{"nvidia.com/gpu": "7"})
    assert (len(cards), cards[0].is_part, cards[0].memory_total_bytes) == (
        7,
        True,
        4864 * MIB,
    )
    assert cards[0].name == "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
    assert cards[0].memory_bandwidth_bytes_per_second is None
    mixed = gpu(gpu__count=2, gpu__memory=40960, gpu__product="NVIDIA-A100-SXM4-40GB")
    mixed |= {
        "nvidia.com/mig-3g.20gb.count": "2",
        "nvidia.com/mig-3g.20gb.memory": "20096",
    }
    cards = cards_of(mixed, **{"nvidia.com/gpu": "1", "nvidia.com/mig-3g.20gb": "2"})
    assert [card.is_part for card in cards] == [False, True, True]
    assert cards[1].memory_total_bytes == 20096 * MIB


def test_devices_in_resource_slices_are_unread() -> None:
    """Dynamic resource allocation: no label tells of the cards, and they are not taken for none."""
    slices = {"kind": "ResourceSlice", "spec": {"nodeName": "n", "devices": []}}
    own = {
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"capacity": {"memory": "1Gi"}},
    }
    other = {**own, "metadata": {"name": "other"}}
    machines = machines_of({"kind": "List", "items": [slices, own, other]})
    assert machines["n"].accelerators is None
    assert "ResourceSlices" in machines["n"].why_unread("accelerators").reason
    assert machines["other"].accelerators == ()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", "avx512f"),
        ("Intel(R) Core(TM)2 Duo CPU E8400 @ 3.00GHz", "sse4_2"),
        ("Some CPU", None),
    ],
    ids=case_id,
)
def test_a_processor_that_is_named_is_judged_by_its_series(
    name: str, least: str | None
) -> None:
    """Xeon Gold 6338, as Ansible's facts name it, is Ice Lake with AVX-512; of an unknown name
    nothing is assumed.
    """
    facts = {"ansible_memtotal_mb": 257000, "ansible_architecture": "x86_64"}
    answer = {**facts, "ansible_processor": ["0", "GenuineIntel", name]}
    (machine,) = machines_of({"ansible_facts": answer}).values()
    sets = machine.instruction_sets
    assert least in sets if sets else least is None
    assert "Core" not in name or "avx" not in (sets or ())
    assert ("instruction_sets" in machine.assumed) is (least is not None)


@pytest.mark.parametrize(
    ("arch", "label", "word"),
    [
        ("amd64", "m6i.2xlarge", "8375C"),
        ("arm64", "m6g.2xlarge", "Graviton2"),
        ("arm64", "m6i.2xlarge", None),
        ("amd64", "bare-metal", None),
    ],
    ids=case_id,
)
def test_a_node_is_judged_by_its_cloud_type(
    arch: str, label: str, word: str | None
) -> None:
    """AWS rents m6i on Xeon Platinum 8375C, m6g on Graviton2; a label that nobody sells, or not of
    that architecture, tells nothing.
    """
    own = {"kubernetes.io/arch": arch, "node.kubernetes.io/instance-type": label}
    machine = node(own, {"memory": "32Gi"})
    assert (machine.cpu_model is None) is (word is None)
    assert word is None or word in str(machine.cpu_model)
    assert ("instruction_sets" in machine.assumed) is (word is not None)
