"""Answers of other systems become machines: values read off the samples by eye, units by each system's documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.each import each
from helpers.paths import DATA
from selfhost.audit.machines import load_machines
from selfhost.machine.gpus import peak_gb_per_s
from selfhost.machine.record import Accelerator, Machine

FLEET = DATA / "fleet"
KIB, MIB, GIB = 2**10, 2**20, 2**30


def machines_of(path: Path | str) -> dict[str, Machine]:
    """The machines of a file or folder by name; no problem."""
    fleet = load_machines(str(path))
    assert not fleet.problems, fleet.problems
    return {machine.name: machine for machine in fleet.machines}


def machine_of(path: str) -> Machine:
    (machine,) = machines_of(FLEET / path).values()
    return machine


def written(path: Path, answer: object) -> Path:
    path.write_text(json.dumps(answer), encoding="utf-8")
    return path


SAMPLES = sorted(path for path in FLEET.glob("*/*"))


@each("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sample_is_recognized_and_each_fact_has_a_source_or_a_reason(path: Path) -> None:
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
    """`_mb` is MiB. A container's memory is not told by its host's: the limit is unread, never the host's."""
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


def test_gpus_without_labels_of_nvidia_have_no_memory(tmp_path: Path) -> None:
    """A cloud's own labels name none: the cards count, and discovery is the remedy for their memory."""
    labels = {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}
    cards = cards_of(tmp_path, labels, **{"nvidia.com/gpu": "2"})
    assert [(card.name, card.memory_total_bytes) for card in cards] == [("NVIDIA GPU", None)] * 2
    machine = machines_of(tmp_path / "node.json")["n"]
    why = machine.why_unread("accelerators.memory_total_bytes")
    assert "GPU discovery" in (why.remedy or "")


def test_a_record_as_a_local_fact_of_ansible_is_taken_whole(tmp_path: Path) -> None:
    """`ansible_local.selfhost` holds what Ansible's facts lack."""
    own = {"schema": "selfhost.machine/1", "instruction_sets": ["avx2"], "memory_limit_bytes": GIB}
    facts = {"ansible_memtotal_mb": 1, "ansible_local": {"selfhost": own}, "ansible_nodename": "a"}
    machine = machines_of(written(tmp_path / "x.json", {"ansible_facts": facts}))["a"]
    assert machine.memory_limit_bytes == GIB
    assert machine.instruction_sets == ("avx2",)
    # what Ansible keeps of a fact that fails, and its text may hold anything
    facts["ansible_local"] = {"selfhost": "Failure executing fact script, rc: 127, err: TOKEN=x"}
    machine = machines_of(written(tmp_path / "x.json", {"ansible_facts": facts}))["a"]
    assert machine.instruction_sets is None
    assert "TOKEN" not in str(machine)


def test_prometheus_joins_what_several_answers_say() -> None:
    """Strings are bytes; MemAvailable is available; an address is no name, so the host's own is taken."""
    machine = machine_of("prometheus/query_instant.json")
    assert machine.name == "vm"
    assert machine.memory_total_bytes == 25276510208
    assert machine.memory_available_bytes == 23925473280
    assert (machine.cpu_cores_usable, machine.cpu_cores_physical) == (2, 2)
    assert machine.read_at == "2026-11-20T06:30:36Z"
    assert machine.labels == {"prometheus.class": "edge", "prometheus.job": "node"}


def test_gpu_memory_of_prometheus_is_each_cards_own() -> None:
    """Framebuffer figures are MiB, per card, and as free now; MemFree is no measure of what is available."""
    machine = machine_of("prometheus/dcgm_made.json")
    assert machine.accelerators is not None
    first, second = machine.accelerators
    assert (first.memory_total_bytes, first.memory_free_bytes) == (15360 * MIB, 14000 * MIB)
    assert (second.memory_total_bytes, second.memory_free_bytes) == (15000 * MIB, 15000 * MIB)
    assert machine.memory_available_bytes is None


KUBERNETES = FLEET / "kubernetes"


def cards_of(folder: Path, labels: dict[str, str], **capacity: str) -> tuple[Accelerator, ...]:
    """The accelerators of a node with these labels and resources."""
    status = {"capacity": {"cpu": "8", "memory": "1Gi", **capacity}}
    node = {"kind": "Node", "metadata": {"name": "n", "labels": labels}, "status": status}
    path = folder / "node.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [node]}))
    cards = machines_of(path)["n"].accelerators
    assert cards is not None
    return cards


def gpu(**values: Any) -> dict[str, str]:
    return {f"nvidia.com/{key.replace('__', '.')}": str(value) for key, value in values.items()}


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


def test_a_budget_that_is_zero_or_unreadable_is_never_the_whole_node(tmp_path: Path) -> None:
    """Pods get nothing of a node that may give them nothing; what is no quantity says so."""
    budgets = {"0": 0, "0Ki": 0, "-5Gi": None, "5XB": None, "9" * 60: None, True: None, "2Gi": GIB}
    for stated, limit_bytes in budgets.items():
        status = {
            "capacity": {"memory": "1Gi", "cpu": "8"},
            "allocatable": {"memory": stated, "cpu": "0"},
        }
        node = {"kind": "Node", "metadata": {"name": "n"}, "status": status}
        path = tmp_path / "node.json"
        path.write_text(json.dumps(node))
        machine = machines_of(path)["n"]
        assert machine.memory_limit_bytes == limit_bytes, stated
        assert machine.cpu_cores_usable is None, "allocatable.cpu is 0"
        if limit_bytes is None:
            reason = next(row.reason for row in machine.unread if row.fact == "memory_limit_bytes")
            assert "allocatable.memory is" in reason, stated
            assert "no size of memory" in reason, stated


def test_published_labels_of_an_h100() -> None:
    """81559 is MiB; the label's hyphens are the driver's spaces, so that its row is found."""
    machine = machines_of(KUBERNETES / "nfd_gfd_labels_h100.json")["s4124-0073"]
    assert machine.accelerators is not None
    (card,) = machine.accelerators
    assert card.name == "NVIDIA H100 80GB HBM3"
    assert card.memory_total_bytes == 81559 * MIB
    assert (card.driver, card.unified) == ("550.54.15", False)
    assert peak_gb_per_s(card.name, card.memory_total_bytes) == 3352
    assert machine.memory_total_bytes is None


def test_shares_of_a_card_are_no_cards(tmp_path: Path) -> None:
    """With time-slicing the resource counts shares; with MPS each share has a part of the memory."""
    labels = gpu(gpu__count=2, gpu__replicas=4, gpu__memory=15360, gpu__product="Tesla-T4-SHARED")
    shared = labels | gpu(**{"gpu__sharing-strategy": "time-slicing"})
    cards = cards_of(tmp_path, shared, **{"nvidia.com/gpu": "8"})
    assert [card.memory_total_bytes for card in cards] == [15360 * MIB] * 2
    assert cards[0].name == "Tesla T4"
    by_mps = labels | gpu(**{"gpu__sharing-strategy": "mps"})
    cards = cards_of(tmp_path, by_mps, **{"nvidia.com/gpu": "8"})
    assert [card.memory_total_bytes for card in cards] == [3840 * MIB] * 2
    # without the labels of discovery's count
    cards = cards_of(tmp_path, gpu(gpu__replicas=4), **{"nvidia.com/gpu": "8"})
    assert len(cards) == 2
    assert cards[0].memory_total_bytes is None


@pytest.mark.parametrize(
    ("devices", "allocatable", "cards"),
    [("8", "8", 8), ("8", "6", 6), ("16", "8", 4), ("8", "0", None), ("0", "0", None)],
)
def test_gpus_that_pods_cannot_get_do_not_count(
    tmp_path: Path, devices: str, allocatable: str, cards: int | None
) -> None:
    """An unhealthy device stays in the capacity and leaves what is allocatable, and without a device plugin both are 0: labels alone promise nothing. 16 devices of 8 cards are shares."""
    resource = "nvidia.com/gpu"
    status = {"capacity": {resource: devices}, "allocatable": {resource: allocatable}}
    labels = gpu(gpu__count=8, gpu__memory=40960, gpu__product="NVIDIA-A100")
    node = {"kind": "Node", "metadata": {"name": "n", "labels": labels}, "status": status}
    (tmp_path / "node.json").write_text(json.dumps(node))
    machine = machines_of(tmp_path / "node.json")["n"]
    if cards is None:
        assert machine.accelerators is None
        (unread,) = (row for row in machine.unread if row.fact == "accelerators")
        assert "none of them to pods" in unread.reason
        assert "device plugin" in (unread.remedy or "")
    else:
        assert len(machine.accelerators or ()) == cards
        assert ("cannot get" in machine.sources["accelerators"]) is (cards < 8)


def test_instances_of_mig_are_parts(tmp_path: Path) -> None:
    """`single` counts instances as GPUs, `mixed` has labels of each kind: a program gets one, of 4,864 MiB."""
    single = gpu(gpu__count=7, gpu__memory=4864, gpu__product="NVIDIA-A100-SXM4-40GB-MIG-1g.5gb")
    cards = cards_of(tmp_path, single, **{"nvidia.com/gpu": "7"})
    assert len(cards) == 7
    assert cards[0].is_part
    assert cards[0].name == "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
    assert cards[0].memory_total_bytes == 4864 * MIB
    assert cards[0].memory_bandwidth_bytes_per_second is None
    mixed = gpu(gpu__count=2, gpu__memory=40960, gpu__product="NVIDIA-A100-SXM4-40GB")
    mixed |= {"nvidia.com/mig-3g.20gb.count": "2", "nvidia.com/mig-3g.20gb.memory": "20096"}
    offered = {"nvidia.com/gpu": "1", "nvidia.com/mig-3g.20gb": "2"}
    cards = cards_of(tmp_path, mixed, **offered)
    assert [card.is_part for card in cards] == [False, True, True]
    assert cards[1].memory_total_bytes == 20096 * MIB


def test_devices_in_resource_slices_are_unread(tmp_path: Path) -> None:
    """Dynamic resource allocation: no label tells of the cards, and they are not taken for none."""
    slices = {"kind": "ResourceSlice", "spec": {"nodeName": "n", "devices": []}}
    node = {"kind": "Node", "metadata": {"name": "n"}, "status": {"capacity": {"memory": "1Gi"}}}
    other = {**node, "metadata": {"name": "other"}}
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps({"kind": "List", "items": [slices, node, other]}))
    machines = machines_of(path)
    assert machines["n"].accelerators is None
    assert "ResourceSlices" in machines["n"].why_unread("accelerators").reason
    assert machines["other"].accelerators == ()


def test_a_processor_that_is_named_is_judged_by_its_series(tmp_path: Path) -> None:
    """Xeon Gold 6338, as Ansible's facts name it, is Ice Lake with AVX-512; of an unknown name and on another architecture nothing is assumed."""
    facts = {"ansible_memtotal_mb": 257000, "ansible_architecture": "x86_64"}
    names = {
        "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz": "avx512f",
        "Intel(R) Core(TM)2 Duo CPU E8400 @ 3.00GHz": "sse4_2",
        "Some CPU": None,
    }
    for name, least in names.items():
        answer = {**facts, "ansible_processor": ["0", "GenuineIntel", name]}
        (machine,) = machines_of(written(tmp_path / "x.json", {"ansible_facts": answer})).values()
        sets = machine.instruction_sets
        assert least in sets if sets else least is None, name
        assert "Core" not in name or "avx" not in (sets or ())
        assert machine.assumes("instruction_sets") is (least is not None)


def test_a_node_is_judged_by_its_cloud_type(tmp_path: Path) -> None:
    """AWS rents m6i on Xeon Platinum 8375C, m6g on Graviton2; a label that nobody sells tells nothing."""
    for arch, label, word in (
        ("amd64", "m6i.2xlarge", "8375C"),
        ("arm64", "m6g.2xlarge", "Graviton2"),
        ("arm64", "m6i.2xlarge", None),
        ("amd64", "bare-metal", None),
    ):
        own = {"kubernetes.io/arch": arch, "node.kubernetes.io/instance-type": label}
        node = {"kind": "Node", "metadata": {"name": "n", "labels": own}}
        node["status"] = {"capacity": {"cpu": "8", "memory": "32Gi"}}
        machine = machines_of(written(tmp_path / "node.json", node))["n"]
        assert (machine.cpu_model is None) is (word is None)
        assert word is None or word in str(machine.cpu_model)
        assert machine.assumes("instruction_sets") is (word is not None)
