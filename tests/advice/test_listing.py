"""The first rows of a list are those of judging every model, and no bound that orders them is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selfhost import Machine, Workload
from selfhost.advice.listing import Lister, Listing, count_rows
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.tables import shipped_folder
from selfhost.machine.record import Accelerator, Disk, PresentModel

GIB = 2**30
MODELS = (
    "bge-m3", "deepseek-v3", "flux.1-schnell", "gemma-3-1b-it", "gpt-4o", "gpt-oss-20b", "gpt2",
    "llama-3.3-70b-instruct", "mistral-7b-instruct-v0.3", "opt-125m", "qwen3-8b", "whisper-base",
)  # fmt: skip
SERVER = Machine(
    name="server", system="linux", architecture="x86_64", memory_total_bytes=24 * GIB, memory_limit_bytes=24 * GIB,
    memory_available_bytes=20 * GIB, cpu_cores_usable=2, instruction_sets=("avx", "avx2", "bmi2", "f16c", "fma", "sse2"),
    memory_bandwidth_bytes_per_second=40 * 10**9, accelerators=(), models_present=(), runtimes=(),
    disks=(Disk(purpose="llama.cpp", path="/models", free_bytes=500 * GIB, total_bytes=900 * GIB, writable=True),),
)  # fmt: skip
CARD = Accelerator(
    vendor="nvidia", name="NVIDIA GeForce RTX 3090", unified=False, memory_total_bytes=24 * GIB, memory_free_bytes=23 * GIB,
    compute_capability="8.6",
)  # fmt: skip
GPU_OF_M2 = Accelerator(vendor="apple", name="Apple M2", unified=True)
# the same model in full and in part: what lies there is not downloaded
PRESENT = tuple(
    PresentModel(
        path="/models/qwen3", size_bytes=size, complete=whole, total_bytes=5_027_783_488, repository="Qwen/Qwen3-8B-GGUF",
        file="Qwen3-8B-Q4_K_M.gguf", store="llama.cpp", quantization="Q4_K_M",
    )
    for size, whole in ((5_027_783_488, True), (10**9, False))
)  # fmt: skip


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Some models of every kind."""
    folder = tmp_path_factory.mktemp("few")
    for sub in ("common", "runtimes"):
        shutil.copytree(Path(shipped_folder()) / sub, folder / sub)
    for name in MODELS:
        shutil.copy(Path(shipped_folder()) / f"{name}.toml", folder)
    return Catalogue.open(shipped=str(folder))


def rows_of(listing: Listing, most: int) -> tuple[object, ...]:
    """The first rows that run, with what is said of them and of the catalogue."""
    rows = [answer for answer in listing.answers if answer.can_run][:most]
    return listing.as_of, listing.ruled_out, rows, [listing.why[row.model.id] for row in rows]


SHORT = [
    SERVER,
    SERVER.replace(memory_total_bytes=3 * GIB, memory_limit_bytes=3 * GIB, memory_available_bytes=GIB),
    SERVER.replace(memory_available_bytes=None, memory_limit_bytes=None),
    SERVER.replace(disks=(SERVER.disks or ())[:0]),
    SERVER.replace(disks=((SERVER.disks or ())[0].replace(free_bytes=2 * GIB),)),
    SERVER.replace(models_present=PRESENT[:1]),
    SERVER.replace(models_present=PRESENT[1:], disks=((SERVER.disks or ())[0].replace(free_bytes=GIB),)),
    SERVER.replace(memory_bandwidth_bytes_per_second=None, cpu_cores_usable=None),
    SERVER.replace(address_space_bytes=4 * GIB),
    SERVER.replace(instruction_sets=(), architecture="i686"),
    SERVER.replace(accelerators=None),
    SERVER.replace(accelerators=(CARD,)),
    SERVER.replace(accelerators=(CARD, CARD)),
    SERVER.replace(accelerators=(CARD.replace(memory_total_bytes=None, memory_free_bytes=None),)),
    SERVER.replace(system="macos", architecture="aarch64", cpu_model="Apple M2", accelerators=(GPU_OF_M2,)),
    Machine(name="unread"),
]  # fmt: skip
WISHES = (
    Workload(min_tokens_per_second=20.0, memory_basis="total"),
    Workload(private=True, commercial=True),
    *(Workload(context_tokens=tokens) for tokens in (300, 2048, 10_000, 40_000, 100_000)),
)


@pytest.mark.parametrize("machine", SHORT, ids=lambda _machine: "")
def test_the_first_rows_are_those_of_the_whole_list(few: Catalogue, machine: Machine) -> None:
    """Rows and their order, whatever is short on the machine, not known, or there already.

    Of the wishes each machine gets two, the next one two others; of the numbers of rows each wish one.
    """
    number = next(place for place, other in enumerate(SHORT) if other is machine)
    wishes = [WISHES[(2 * number + step) % len(WISHES)] for step in range(2)]
    for workload, numbers_of_rows in (
        (Workload(), (1, 3, 50)),
        (wishes[0], (3,)),
        (wishes[1], (50,)),
    ):
        lister = Lister(few, workload, machine)
        whole = lister.all()
        for most in numbers_of_rows:
            assert rows_of(lister.first(most), most) == rows_of(whole, most)
        every = lister.first(50, only_running=False)
        assert every.answers == whole.answers


def test_several_processes_find_the_same() -> None:
    """The answers cross from one process to another whole."""
    catalogue = open_catalogue()
    ids = catalogue.ids()[::20]
    lister = Lister(catalogue, Workload(quantization="Q8_0"), SERVER)
    alone, shared = lister.all(ids), lister.all(ids, processes=2)
    assert alone.answers == shared.answers
    assert alone.refused.keys() == shared.refused.keys() != set()
    assert count_rows(alone.answers) == shared.counts
