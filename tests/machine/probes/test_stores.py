"""Where models go, and how much their volumes hold."""

from __future__ import annotations

import json

import pytest

from helpers.recordings import FULL, GIB, SPACE, Build, place, under, version_2
from selfhost.machine.probes import read_machine


@pytest.mark.parametrize(
    ("env", "hub", "llama"),
    [
        ({}, "~/.cache/huggingface/hub", "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub", "/x/huggingface/hub"),
        ({"HF_HOME": "/hf", "XDG_CACHE_HOME": "/x"}, "/hf/hub", "/hf/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/hf"}, "/old", "/old"),
        ({"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old"}, "/new", "/new"),
        ({"LLAMA_CACHE": "/l", "HF_HOME": "/hf"}, "/hf/hub", "/l"),
        ({"HF_HOME": "$DATA/hf", "DATA": "/d"}, "/d/hf/hub", "$DATA/hf/hub"),
        ({"HF_HOME": "~/hf"}, "~/hf/hub", "~/hf/hub"),
    ],
)
def test_where_hugging_face_models_go(
    build: Build, env: dict[str, str], hub: str, llama: str
) -> None:
    """The order of huggingface_hub 2.4.0 and of llama.cpp, which expands no variables."""
    machine = read_machine(
        build({}, {"HOME": "/home/ada", **env}, space=SPACE, writable={"/": True})
    )
    assert place(machine, "huggingface").path == hub
    assert place(machine, "llama.cpp").path == llama


def test_ollamas_service_stores_in_its_own_place(build: Build) -> None:
    """The server's variables and account decide, not this shell's (ollama/ollama#9877: the unit recorded there)."""
    unit = '[Service]\nExecStart=/usr/local/bin/ollama serve\nUser=ollama\nGroup=ollama\nEnvironment="OLLAMA_MODELS=/data2/models"\n'
    path = "/etc/systemd/system/ollama.service"
    env = {"HOME": "/home/ada", "OLLAMA_MODELS": "/mine"}
    passwd = "root:x:0:0:root:/root:/bin/bash\nollama:x:998:998::/usr/share/ollama:/bin/false\n"
    plain = unit.replace("Environment", "#")
    more = {f"{path}.d/override.conf": "[Service]\nEnvironment=OLLAMA_MODELS=/big A=b\n"}
    # the snap's service has a folder of its own; a unit that people wrote goes before it
    snap = {"/snap/ollama/current/meta/snap.yaml": "name: ollama\n"}
    for files, stored in (
        ({path: unit}, "/data2/models"),
        ({path: plain, "/etc/passwd": passwd}, "/usr/share/ollama/.ollama/models"),
        ({path: plain} | more, "/big"),
        ({}, "/mine"),
        (snap, "/var/snap/ollama/common/models"),
        (snap | {path: unit}, "/data2/models"),
    ):
        machine = read_machine(build(files, env, space=SPACE, writable={"/": False}))
        found = place(machine, "ollama")
        assert (found.path, found.writable) == (stored, stored != "/mine")
    machine = read_machine(build({path: plain}, env, space=SPACE))
    assert machine.disk_for("ollama") is None
    assert machine.why_unread("disks.ollama").reason


def test_windows_paths(build: Build) -> None:
    """The user's folder on C:, a model folder on D:, and what Windows says of the processor."""
    host = build(
        {},
        {
            "USERPROFILE": "C:\\Users\\ada",
            "OLLAMA_MODELS": "D:\\models",
            "PATH": "C:\\Tools;relative",
        },
        system="windows",
        machine="AMD64",
        memory={"total": 16 * GIB, "available": 9 * GIB, "swap_free": GIB},
        cores={"physical": 4, "usable": 8},
        processor_features=[6, 10, 39, 40],
        space={
            "C:\\": {"free_bytes": 1, "total_bytes": 2},
            "D:\\": {"free_bytes": 3, "total_bytes": 4},
        },
        mounts={"C:\\": "NTFS", "D:\\": "exFAT"},
        registry={
            r"HARDWARE\DESCRIPTION\System\BIOS" + "\\SystemManufacturer": "Microsoft Corporation",
            r"HARDWARE\DESCRIPTION\System\BIOS" + "\\SystemProductName": "Virtual Machine",
        },
    )
    machine = read_machine(host)
    facts = {
        "system": "windows", "architecture": "x86_64", "scope": "vm", "memory_total_bytes": 16 * GIB,
        "memory_limit_bytes": 16 * GIB, "memory_available_bytes": 9 * GIB, "cpu_cores_physical": 4,
        "cpu_cores_performance": None, "cpu_cores_usable": 8.0, "accelerators": None,
        "instruction_sets": ("avx", "avx2", "sse", "sse2"),
    }  # fmt: skip
    assert {fact: getattr(machine, fact) for fact in facts} == facts
    assert "job object are not read" in machine.sources["memory_limit_bytes"]
    assert machine.why_unread("instruction_sets.fma").reason.startswith("Windows")
    hub, own = place(machine, "huggingface"), place(machine, "ollama")
    assert (hub.path, hub.free_bytes, hub.filesystem) == ("~\\.cache\\huggingface\\hub", 1, "NTFS")
    assert (own.path, own.free_bytes, own.filesystem) == ("D:\\models", 3, "exFAT")
    assert own.writable is None
    assert machine.why_unread("disks.ollama.writable").reason


def test_nothing_tells_who_or_where(build: Build) -> None:
    """No user name, container id or pod's number in what is shown."""
    box = "4f2e8f0b9d6c1a7e5b3d9f8c0a1e2d3c4b5a69788796a5b4c3d2e1f001122334"
    pod = "kubepods-burstable-pod1a2b3c4d_5e6f_7a8b_9c0d_1e2f3a4b5c6d.slice"
    group = f"/kubepods.slice/{pod}/docker-{box}.scope"
    above = {"memory.max": "max\n", "memory.high": "max\n", "cpu.max": "max 100000\n"}
    levels = ("kubepods.slice", f"kubepods.slice/{pod}")
    inside = under(group.lstrip("/"), FULL | {"cpu.max": "100000 100000\n"})
    files = version_2(
        {path: text for level in levels for path, text in under(level, above).items()} | inside,
        group,
    )
    env = {
        "HOME": "/home/ada-l",
        "USER": "ada-l",
        "HF_HOME": "/scratch/ada-l/hf",
        "LLAMA_CACHE": "/home/ada-l/models",
        "PATH": "/home/ada-l/bin",
    }
    files |= {"/home/ada-l/models/x": "x", "/scratch/ada-l/x": "x"}
    machine = read_machine(build(files, env, space=SPACE))
    text = json.dumps(machine.to_json())
    for secret in ("ada-l", box[:12], "1a2b3c4d"):
        assert secret not in text
    assert machine.scope == "container"
    assert "control group /kubepods.slice/" in machine.sources["memory_limit_bytes"]
