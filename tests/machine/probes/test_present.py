"""Where models go, and how much their volumes hold. Models that are here already: every store's
real layout, whole, in part and damaged; what is not whole is never taken for it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from helpers.paths import RECORDS
from helpers.recordings import FULL, GIB, SPACE, Build, place, under, version_2
from selfhost import Machine, Verdict, Workload, check
from selfhost.machine.probes.host import Facts, Host
from selfhost.machine.probes.masks import masked, masks
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.stored_models import read_models
from selfhost.machine.reader import read_machine
from selfhost.machine.record import PURPOSES, Disk, PresentModel

RECORD = RECORDS / "vm-24gib.json"
COMMIT = "2439f60ef33a0d46d85da5001d52aeda5b00ce9f"
GB = 10**9
# bytes of published files: the listing of bartowski/Mistral-7B-Instruct-v0.3-GGUF, as in the spec
MISTRAL = "bartowski/Mistral-7B-Instruct-v0.3-GGUF"
MISTRAL_FILE = "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"
MISTRAL_BYTES = 4_372_812_000
# model.safetensors.index.json and the shards of Qwen/Qwen2.5-7B-Instruct
QWEN = "Qwen/Qwen2.5-7B-Instruct"
QWEN_SHARDS = (3_945_441_440, 3_864_726_352, 3_864_726_424, 3_556_377_672)
QWEN_TOTAL = 15_231_233_024
# the manifest of llama3.2:1b as Ollama 0.24.0 stores it
LLAMA_CONFIG = ("4f659a1e86d7f5a33c389f7991e7224b7ee6ad0358b53437d54c02d2e1b1118d", 485)
LLAMA_LAYERS = (
    (
        "model",
        "74701a8c35f6c8d9a4b91f3f3497643001d63e0c7a84e085bed452548fa88d45",
        1_321_082_688,
    ),
    (
        "template",
        "966de95ca8a62200913e3f8bfbf84c8494536f1b94b49166851e76644e966396",
        1_429,
    ),
    (
        "license",
        "fcc5a6bec9daf9b561a68827b67ab6088e1dba9d1fa2a50d7bbcc8384e0a265d",
        7_711,
    ),
)


def sized(path: Path, size: int) -> Path:
    """A file of that many bytes which are a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


class Hub:
    """Hugging Face's cache of one repository, as its guide draws it: blobs, links to them in
    snapshots, refs.
    """

    def __init__(self, home: Path, repository: str, commit: str = COMMIT) -> None:
        name = f"models--{repository.replace('/', '--')}"
        self.folder = home / ".cache" / "huggingface" / "hub" / name
        self.snapshot = self.folder / "snapshots" / commit
        self.snapshot.mkdir(parents=True)
        text(self.folder / "refs" / "main", commit)

    def add(self, name: str, content: int | str) -> Path:
        blob = self.folder / "blobs" / f"{abs(hash(name)):064x}"
        sized(blob, content) if isinstance(content, int) else text(blob, content)
        link = self.snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
        return blob


def qwen(home: Path, shards: Iterable[int] = range(4)) -> Hub:
    """The sharded model with those of its shards that are given."""
    hub = Hub(home, QWEN)
    names = [f"model-{number:05d}-of-00004.safetensors" for number in range(1, 5)]
    hub.add("config.json", "{}")
    index = {
        "metadata": {"total_size": QWEN_TOTAL},
        "weight_map": {f"layer.{at}": name for at, name in enumerate(names)},
    }
    hub.add("model.safetensors.index.json", json.dumps(index))
    for at in shards:
        hub.add(names[at], QWEN_SHARDS[at])
    return hub


def ollama(
    home: Path, tag: str = "registry.ollama.ai/library/llama3.2/1b", **changes: Any
) -> Path:
    """Ollama's store with llama3.2:1b; the folder of blobs."""
    store = home / ".ollama" / "models"
    config, *layers = (
        {
            "mediaType": f"application/vnd.{kind}",
            "digest": f"sha256:{digest}",
            "size": size,
        }
        for kind, digest, size in (
            ("docker.container.image.v1+json", *LLAMA_CONFIG),
            *((f"ollama.image.{kind}", *rest) for kind, *rest in LLAMA_LAYERS),
        )
    )
    manifest = {"schemaVersion": 2, "config": config, "layers": layers}
    text(store / "manifests" / tag, json.dumps({**manifest, **changes}))
    stated = json.dumps({"model_format": "gguf", "file_type": "Q8_0"})
    text(store / "blobs" / f"sha256-{LLAMA_CONFIG[0]}", stated.ljust(LLAMA_CONFIG[1]))
    for _, digest, size in LLAMA_LAYERS:
        sized(store / "blobs" / f"sha256-{digest}", size)
    return store / "blobs"


def host_of(home: Path) -> Host:
    return Host(env={"HOME": str(home)}, system="linux")


def read(host: Host) -> Facts:
    found = Facts(values={}, sources={}, unread={})
    read_models(host, found)
    facts: Facts = masked(found, masks(host))
    return facts


@pytest.fixture(autouse=True)
def elsewhere(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder may have an environment of its own."""
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


def models(home: Path) -> tuple[PresentModel, ...]:
    found: tuple[PresentModel, ...] = read(host_of(home)).values["models_present"]
    return found


def only(home: Path) -> PresentModel:
    (model,) = models(home)
    return model


def machine_with(home: Path, free_bytes: int = 500 * GB) -> Machine:
    """A recorded machine of 24 GiB with what was found in that home, and so much free space."""
    found = read(host_of(home))
    sizes = {"free_bytes": free_bytes, "total_bytes": 500 * GB}
    hub = "~/.cache/huggingface/hub"
    own = "~/.ollama/models"
    disks = tuple(
        Disk(purpose=purpose, path=path, writable=True, filesystem="ext4", **sizes)
        for purpose, path in zip(PURPOSES, (hub, hub, own, "."), strict=True)
    )
    facts = {
        "models_present": found.values["models_present"],
        "disks": disks,
        "runtimes": (),
    }
    return Machine.from_file(RECORD).replace(
        unread=tuple(found.unread.values()), **facts
    )


def judged(home: Path, model: str, free_bytes: int = 500 * GB, **asked: Any) -> Verdict:
    return check(model, Workload(**asked), machine=machine_with(home, free_bytes))


def disk(verdict: Verdict) -> str:
    finding = verdict.finding("disk")
    assert finding is not None
    return finding.code


# ------------------------------------------------------------------ what is whole


def test_a_gguf_file_in_the_hub_is_here(tmp_path: Path) -> None:
    """Nothing is downloaded, whatever is free; the answer says where the file is, and no login is
    asked for.
    """
    Hub(tmp_path, MISTRAL).add(MISTRAL_FILE, MISTRAL_BYTES)
    model = only(tmp_path)
    assert (model.repository, model.file, model.complete) == (
        MISTRAL,
        MISTRAL_FILE,
        True,
    )
    assert (model.store, model.quantization) == ("huggingface", "Q4_K_M")
    assert model.size_bytes == MISTRAL_BYTES
    assert (
        model.path == f"~/.cache/huggingface/hub/models--{MISTRAL.replace('/', '--')}"
    )
    verdict = judged(tmp_path, "mistral-7b", free_bytes=0)
    assert disk(verdict) == "disk-nothing-missing"
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == 0
    assert verdict.needs.disk_bytes == MISTRAL_BYTES
    assert verdict.here is not None
    assert verdict.here.path == model.path
    weights = verdict.finding("weights")
    assert weights is not None
    assert weights.code == "weights-here"
    assert model.path in weights.reason
    assert verdict.can_run


def test_ollama_names_its_models_by_tag(tmp_path: Path) -> None:
    """The manifest's layers have their sizes, and the configuration states the type."""
    ollama(tmp_path)
    model = only(tmp_path)
    assert (model.tag, model.quantization) == ("llama3.2:1b", "Q8_0")
    assert (model.complete, model.store) == (True, "ollama")
    assert (
        model.size_bytes
        == model.total_bytes
        == 485 + sum(size for _, _, size in LLAMA_LAYERS)
    )
    verdict = judged(
        tmp_path, "llama3.2:1b", runtime="ollama", quantization="Q8_0", free_bytes=0
    )
    assert disk(verdict) == "disk-nothing-missing"
    assert "ollama run llama3.2:1b" in verdict.commands
    # llama.cpp does not look there
    assert disk(judged(tmp_path, "llama3.2:1b", quantization="Q8_0")) == "disk-fits"


LAYER = {"digest": "sha256:ab", "size": 1, "mediaType": "application/vnd.x"}


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param([LAYER | {"size": 1e999}], id="endless"),
        pytest.param([LAYER | {"size": -5}], id="negative"),
        pytest.param([LAYER | {"size": 10**30}], id="larger-than-disks"),
        pytest.param([LAYER | {"size": "1"}], id="text"),
        pytest.param([LAYER | {"digest": 7}], id="number-as-digest"),
        pytest.param([7], id="number-as-layer"),
        pytest.param({"a": LAYER}, id="object-of-layers"),
    ],
)
def test_a_layer_that_is_stated_wrongly_is_unread(
    layers: object, tmp_path: Path
) -> None:
    """A manifest of another shape is told as unread, and its sizes are not."""
    ollama(tmp_path, layers=layers)
    found = read(host_of(tmp_path))
    assert found.values["models_present"] == ()
    assert "models_present.ollama" in found.unread


def test_a_layer_of_no_kind_of_its_own_is_read(tmp_path: Path) -> None:
    """What a layer holds may be stated in another way, or not at all: the weights are read."""
    weights = {
        "digest": f"sha256:{LLAMA_LAYERS[0][1]}",
        "size": LLAMA_LAYERS[0][2],
        "mediaType": "application/vnd.ollama.image.model",
    }
    ollama(tmp_path, layers=[weights, LAYER | {"mediaType": 5}])
    assert only(tmp_path).complete is False


def test_a_cloud_model_of_ollama_has_no_weights_here(tmp_path: Path) -> None:
    """Its manifest lists no layers: it is neither here nor unread."""
    ollama(tmp_path, layers=None)
    found = read(host_of(tmp_path))
    assert found.values["models_present"] == ()
    assert "models_present.ollama" not in found.unread


def test_of_very_many_snapshots_some_are_read(tmp_path: Path) -> None:
    """Where `main` names none, twenty commits are looked at: a cache of 100,000 costs no more."""
    hub = Hub(tmp_path, MISTRAL)
    (hub.folder / "refs" / "main").unlink()
    for number in range(25):
        file = hub.snapshot.with_name(f"{number:040}") / MISTRAL_FILE
        sized(file, 10 + number)
    assert only(tmp_path).size_bytes == 10 + 19


@pytest.mark.parametrize(
    ("names", "found"),
    [
        pytest.param(
            [f"m-{number:05d}-of-10000.gguf" for number in range(1, 21)],
            [("m-00001-of-10000.gguf", 20, False)],
            id="of-one-model",
        ),
        pytest.param(
            [f"m{number}-00001-of-10000.gguf" for number in range(20)],
            [(f"m{number}-00001-of-10000.gguf", 1, False) for number in range(20)],
            id="of-many-models",
        ),
        pytest.param(
            [f"model-{number:05d}-of-10000.safetensors" for number in range(1, 21)],
            [(None, 20, False)],
            id="of-a-folder",
        ),
    ],
)
def test_parts_of_large_sets_are_each_looked_at_once(
    names: list[str], found: list[tuple[str | None, int, bool]], tmp_path: Path
) -> None:
    """The 10,000 names of a set are not made for each of its parts: 20 of them take fewer calls
    than that in all.
    """
    home = tmp_path / "home" / "ada"
    hub = Hub(home, MISTRAL)
    text(hub.snapshot / "config.json", "")
    for name in names:
        sized(hub.snapshot / name, 1)
    text(tmp_path / "env.json", '{"HOME": "/home/ada"}')
    text(tmp_path / "facts.json", "{}")
    host = RecordedHost(str(tmp_path))
    # its tables are read once
    read(host)
    calls: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        # line coverage rewrites functions while they run
        if "slipcover" not in frame.f_code.co_filename:
            calls.append(event)

    facts = Facts(values={}, sources={}, unread={})
    sys.setprofile(note)
    try:
        read_models(host, facts)
    finally:
        sys.setprofile(None)
    present = facts.values["models_present"]
    seen = [(model.file, model.size_bytes, model.complete) for model in present]
    assert sorted(seen, key=str) == sorted(found, key=str)
    assert calls.count("call") < 10_000


@pytest.mark.parametrize(
    "name",
    [
        "m-00000-of-00003.gguf",
        "m-00004-of-00003.gguf",
        "m-00001-OF-00003.gguf",
        "m-٠٠٠٠١-of-00003.gguf",
    ],
)
def test_a_number_that_no_part_has_is_no_part(name: str, tmp_path: Path) -> None:
    """No program asks for such a file: with it the model has the bytes that it has without."""
    hub = Hub(tmp_path, MISTRAL)
    sized(hub.snapshot / name, 5)
    assert models(tmp_path) == ()
    for number in (1, 2):
        sized(hub.snapshot / f"m-{number:05d}-of-00003.gguf", 10)
    assert (only(tmp_path).size_bytes, only(tmp_path).complete) == (20, False)
    sized(hub.snapshot / "m-00003-of-00003.gguf", 10)
    assert (only(tmp_path).size_bytes, only(tmp_path).complete) == (30, True)


# ------------------------------------------------------------------ what is not whole


def test_shards_that_are_missing_are_all_that_is_downloaded(tmp_path: Path) -> None:
    """With a shard missing the model is never here; the rest of the published bytes is to come, and
    has to fit alone.
    """
    home = tmp_path
    here = {0, 2}
    hub = qwen(home, here)
    sized(hub.folder / "blobs" / ("b" * 64 + ".incomplete"), 100)
    model = only(home)
    assert model.complete is False
    have = sum(QWEN_SHARDS[at] for at in here)
    missing = QWEN_TOTAL - have
    verdict = judged(
        home, "qwen2.5-7b", runtime="transformers", free_bytes=missing + 100 * GB
    )
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == missing
    assert disk(verdict) == "disk-fits"
    small = judged(home, "qwen2.5-7b", runtime="transformers", free_bytes=missing - 1)
    assert disk(small) == "disk-too-small"
    assert verdict.here is not None
    assert (verdict.here.size_bytes, verdict.here.missing_bytes) == (have, missing)


def test_a_layer_that_is_not_there_is_missing(tmp_path: Path) -> None:
    """The manifest says how large each blob is: one under another name is no blob."""
    whole = ollama(tmp_path) / f"sha256-{LLAMA_LAYERS[0][1]}"
    whole.rename(whole.with_name(whole.name + "-partial"))
    model = only(tmp_path)
    assert model.complete is False
    assert model.total_bytes is not None
    assert model.size_bytes < model.total_bytes
    needs = judged(tmp_path, "llama3.2:1b", runtime="ollama", quantization="Q8_0").needs
    assert needs is not None
    assert (needs.download_bytes or 0) >= model.total_bytes - model.size_bytes


PARTIAL: dict[str, Callable[[Path], object]] = {
    "a link that leads nowhere": lambda home: (
        Hub(home, MISTRAL).add(MISTRAL_FILE, 1).unlink()
    ),
    "unfinished": lambda home: sized(
        Hub(home, MISTRAL).folder / "blobs" / ("a" * 64 + ".incomplete"), MISTRAL_BYTES
    ),
    "empty": lambda home: Hub(home, MISTRAL).add(MISTRAL_FILE, 0),
    "a pipe": lambda home: os.mkfifo(Hub(home, MISTRAL).snapshot / MISTRAL_FILE),
    "too small": lambda home: Hub(home, MISTRAL).add(MISTRAL_FILE, MISTRAL_BYTES // 2),
    "cut in LM Studio": lambda home: sized(
        home / ".lmstudio" / "models" / MISTRAL / MISTRAL_FILE,
        MISTRAL_BYTES * 99 // 100,
    ),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_a_partial_file_is_never_here(name: str, tmp_path: Path) -> None:
    """However a download stopped or a link leads astray, something has to be downloaded."""
    PARTIAL[name](tmp_path)
    verdict = judged(tmp_path, "mistral-7b")
    assert disk(verdict) == "disk-fits"
    assert verdict.needs is not None
    assert verdict.needs.download_bytes
    assert verdict.finding("weights").code != "weights-here"  # type: ignore[union-attr]


# ------------------------------------------------------------------ bounds, links, accounts


class Closed(Host):
    """A live host on which one file or folder may not be looked at."""

    def __init__(self, home: Path, closed: Path) -> None:
        self.closed = str(closed)
        super().__init__(env={"HOME": str(home)}, system="linux")

    def real(self, path: str) -> str:
        if path.startswith(self.closed):
            raise PermissionError(13, "Permission denied")
        return path


def test_a_store_of_another_account_is_unread(tmp_path: Path) -> None:
    """Ollama's service keeps its folder to itself: the others are found. A file that may not be
    looked at is no file of 0 bytes.
    """
    hub = Hub(tmp_path, MISTRAL)
    hub.add(MISTRAL_FILE, MISTRAL_BYTES)
    found = read(Closed(tmp_path, tmp_path / ".ollama"))
    assert [model.repository for model in found.values["models_present"]] == [MISTRAL]
    assert "Permission denied" in found.unread["models_present.ollama"].reason
    found = read(Closed(tmp_path, hub.snapshot / MISTRAL_FILE))
    assert found.values["models_present"] == ()
    assert "could not be read" in found.unread["models_present.huggingface"].reason


def test_a_recorded_tree_holds_what_it_holds(tmp_path: Path) -> None:
    """A store that was not recorded is unread, not empty; a link that leads out of the tree leads
    nowhere.
    """
    tmp_path = tmp_path / "tree"
    text(tmp_path / "env.json", '{"HOME": "/home/ada"}')
    text(tmp_path / "facts.json", '{"cwd": "/home/ada/work"}')
    found = read(RecordedHost(str(tmp_path)))
    assert "models_present" not in found.values
    assert "recorded tree" in found.unread["models_present"].reason
    hub = Hub(tmp_path / "home" / "ada", MISTRAL)
    hub.add(MISTRAL_FILE, MISTRAL_BYTES)
    outside = sized(tmp_path.parent / "outside.gguf", 1000)
    (hub.snapshot / "Other-Q4_K_M.gguf").symlink_to(outside)
    found = read(RecordedHost(str(tmp_path)))
    assert [model.file for model in found.values["models_present"]] == [MISTRAL_FILE]


# ------------------------------------------------------------------ where models go


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
    """The server's variables and account decide, not this shell's (ollama/ollama#9877: the unit
    recorded there).
    """
    unit = (
        "[Service]\nExecStart=/usr/local/bin/ollama "
        'serve\nUser=ollama\nGroup=ollama\nEnvironment="OLLAMA_MODELS=/data2/models"\n'
    )
    path = "/etc/systemd/system/ollama.service"
    env = {"HOME": "/home/ada", "OLLAMA_MODELS": "/mine"}
    passwd = "root:x:0:0:root:/root:/bin/bash\nollama:x:998:998::/usr/share/ollama:/bin/false\n"
    plain = unit.replace("Environment", "#")
    more = {
        f"{path}.d/override.conf": "[Service]\nEnvironment=OLLAMA_MODELS=/big A=b\n"
    }
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
    # an account without a home, and a part of the unit that cannot be read
    closed = {f"{path}.d/more.conf": "\0x"}
    for extra, why in (({}, "no home folder"), (closed, "more.conf is not text")):
        machine = read_machine(build({path: plain} | extra, env, space=SPACE))
        assert machine.disk_for("ollama") is None
        for fact in ("disks.ollama", "models_present.ollama"):
            assert why in machine.why_unread(fact).reason


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
            r"HARDWARE\DESCRIPTION\System\BIOS"
            + "\\SystemManufacturer": "Microsoft Corporation",
            r"HARDWARE\DESCRIPTION\System\BIOS"
            + "\\SystemProductName": "Virtual Machine",
        },
    )
    machine = read_machine(host)
    facts = {
        "system": "windows",
        "architecture": "x86_64",
        "scope": "vm",
        "memory_total_bytes": 16 * GIB,
        "memory_limit_bytes": 16 * GIB,
        "memory_available_bytes": 9 * GIB,
        "cpu_cores_physical": 4,
        "cpu_cores_performance": None,
        "cpu_cores_usable": 8.0,
        "accelerators": None,
        "instruction_sets": ("avx", "avx2", "sse", "sse2"),
    }
    assert {fact: getattr(machine, fact) for fact in facts} == facts
    assert "job object are not read" in machine.sources["memory_limit_bytes"]
    assert machine.why_unread("instruction_sets.fma").reason.startswith("Windows")
    hub = place(machine, "huggingface")
    own = place(machine, "ollama")
    assert (hub.path, hub.free_bytes, hub.filesystem) == (
        "~\\.cache\\huggingface\\hub",
        1,
        "NTFS",
    )
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
        {path: text for level in levels for path, text in under(level, above).items()}
        | inside,
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


def test_a_disk_that_reports_more_free_than_it_has_is_taken_as_empty(
    build: Build,
) -> None:
    """A remote file system may report so, and the record of the machine can be read again."""
    space = {"/": {"free_bytes": 9, "total_bytes": 4}}
    host = build({}, {"HOME": "/home/ada"}, space=space, writable={"/": True})
    machine = read_machine(host)
    assert place(machine, "ollama").free_bytes == 4
    assert Machine.from_json(machine.to_json()).disks == machine.disks
