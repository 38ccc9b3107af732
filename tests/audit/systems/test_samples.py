"""Answers of other systems become machines: values read off the samples by eye, units by each system's documentation."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.each import each
from helpers.paths import DATA
from selfhost.audit.machines import load_machines
from selfhost.machine.record import Machine

FLEET = DATA / "fleet"
MIB, GIB = 2**20, 2**30


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
    """By content and by name alike; what has a value says where it was read, what has none why not and how to get it."""
    by_content = machines_of(path)
    assert by_content
    assert machines_of(f"{path.parent.name}:{path}") == by_content
    for machine in by_content.values():
        record = machine.to_json()
        facts = set(record) - {
            "schema", "selfhost_version", "name", "labels", "planning", "assumed", "confidence",
            "sources", "unread", "emulated_on", "address_space_bytes", "private_memory_bytes",
            "file_size_limit_bytes",
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


def test_gpus_that_a_cloud_names_where_no_discovery_runs(tmp_path: Path) -> None:
    """GKE's and Karpenter's labels: shares of a card are not cards, parts have no bandwidth of the whole."""
    labels: dict[str, tuple[dict[str, str], str]] = {
        "gke": ({"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}, "1"),
        "shared": (
            {
                "cloud.google.com/gke-accelerator": "nvidia-l4",
                "cloud.google.com/gke-max-shared-clients-per-gpu": "4",
            },
            "8",
        ),
        "parts": (
            {
                "cloud.google.com/gke-accelerator": "nvidia-a100-80gb",
                "cloud.google.com/gke-gpu-partition-size": "1g.10gb",
            },
            "7",
        ),
        "karpenter": (
            {
                "karpenter.k8s.aws/instance-gpu-name": "l4",
                "karpenter.k8s.aws/instance-gpu-memory": "22888",
            },
            "1",
        ),
    }
    nodes = []
    for name, (own, offered) in labels.items():
        capacity = {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": offered}
        status = {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        node = {"kind": "Node", "metadata": {"name": name, "labels": own}, "status": status}
        nodes.append({"apiVersion": "v1", **node})
    answer = {"apiVersion": "v1", "kind": "List", "items": nodes}
    machines = machines_of(written(tmp_path / "nodes.json", answer))
    told = {}
    for name, machine in machines.items():
        cards = machine.accelerators or ()
        has_bandwidth = cards[0].memory_bandwidth_bytes_per_second is not None
        told[name] = (len(cards), cards[0].name, cards[0].memory_total_bytes, has_bandwidth)
    assert told == {
        "gke": (1, "NVIDIA T4", None, True),
        "shared": (2, "NVIDIA L4", None, True),
        "parts": (7, "NVIDIA A100 80GB MIG 1g.10gb", None, False),
        "karpenter": (1, "NVIDIA L4", 22888 * MIB, True),
    }


def test_a_record_as_a_local_fact_of_ansible_is_taken_whole(tmp_path: Path) -> None:
    """`ansible_local.selfhost` holds what Ansible's facts lack."""
    own = {"schema": "selfhost.machine/1", "instruction_sets": ["avx2"], "memory_limit_bytes": GIB}
    facts = {"ansible_memtotal_mb": 1, "ansible_local": {"selfhost": own}, "ansible_nodename": "a"}
    machine = machines_of(written(tmp_path / "x.json", {"ansible_facts": facts}))["a"]
    assert machine.memory_limit_bytes == GIB
    assert machine.instruction_sets == ("avx2",)
    # what Ansible keeps of a fact that fails: to install it is no advice, and its text may hold anything
    facts["ansible_local"] = {"selfhost": "Failure executing fact script, rc: 127, err: TOKEN=x"}
    machine = machines_of(written(tmp_path / "x.json", {"ansible_facts": facts}))["a"]
    unread = machine.unread_about("instruction_sets")
    assert unread is not None
    assert "the local fact selfhost.fact fails" in unread.reason
    assert "to see why" in (unread.remedy or "")
    assert "TOKEN" not in str(machine)


def test_slurm_says_budgets_and_never_free_memory() -> None:
    """MiB as configured; free_mem, 7,678 here, is MemFree and never what is available."""
    machine = machines_of(FLEET / "slurm/sinfo_22_05_json.json")["n1"]
    assert machine.memory_total_bytes == 24000 * MIB
    assert machine.memory_available_bytes == 24000 * MIB
    assert "budget" in machine.sources["memory_available_bytes"]
    assert machine.accelerators == ()
    assert machine.instruction_sets is None
    assert machine.labels["slurm.features"] == "avx2,avx512f,epyc"
    assert len(machines_of(FLEET / "slurm/scontrol_show_node.txt")) == 8
    both = machines_of(FLEET / "slurm/scontrol_23_11_made.json")
    gpu, cpu = both["gpu-a1"], both["cpu-b1"]
    assert gpu.memory_limit_bytes == (512000 - 8000) * MIB
    assert gpu.memory_available_bytes == (512000 - 8000 - 128000) * MIB
    assert (gpu.cpu_cores_physical, gpu.cpu_cores_usable) == (32, 62)
    assert gpu.accelerators is not None
    assert [card.vendor for card in gpu.accelerators] == ["nvidia"] * 4
    assert gpu.accelerators[0].memory_total_bytes is None
    # all its cores run jobs and none of its memory is given: the site does not count memory
    assert cpu.memory_available_bytes is None


def test_prometheus_joins_what_several_answers_say() -> None:
    """Strings are bytes; MemAvailable is available; an address is no name, so the host's own is taken."""
    machine = machine_of("prometheus/query_instant.json")
    assert machine.name == "vm"
    assert machine.memory_total_bytes == 25276510208
    assert machine.memory_available_bytes == 23925473280
    assert (machine.cpu_cores_usable, machine.cpu_cores_physical) == (2, 2)
    assert machine.read_at == "2026-11-20T06:30:36Z"
    assert machine.labels == {"prometheus.class": "edge", "prometheus.job": "node"}
    assert machine.instruction_sets is not None
    assert "f16c" in machine.instruction_sets
    machine = machine_of("prometheus/node_exporter_small.txt")
    assert machine.memory_available_bytes == 23988166656
    disk = machine.disk_for("ollama")
    assert disk is not None
    assert disk.free_bytes == 67355144192


def test_gpu_memory_of_prometheus_is_each_cards_own() -> None:
    """Framebuffer figures are MiB, per card, and as free now; MemFree is no measure of what is available."""
    machine = machine_of("prometheus/dcgm_made.prom")
    assert machine.accelerators is not None
    first, second = machine.accelerators
    assert (first.memory_total_bytes, first.memory_free_bytes) == (15360 * MIB, 14000 * MIB)
    assert (second.memory_total_bytes, second.memory_free_bytes) == (15000 * MIB, 15000 * MIB)
    assert first.memory_bandwidth_bytes_per_second == 320 * 10**9
    assert machine.memory_available_bytes is None
