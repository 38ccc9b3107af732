"""The first rows of a list are those of the whole list, and its counts are of all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selfhost import Machine, Workload
from selfhost.advice.listing import Listing, first_rows, judge_all
from selfhost.catalogue.index import Catalogue
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
    """Some models of every kind, as a package holds them."""
    folder = tmp_path_factory.mktemp("few")
    for sub in ("common", "runtimes"):
        shutil.copytree(Path(shipped_folder()) / sub, folder / sub)
    for name in MODELS:
        shutil.copy(Path(shipped_folder()) / f"{name}.toml", folder)
    return Catalogue.open(shipped=str(folder))


def told(listing: Listing, most: int) -> tuple[object, ...]:
    """What a list says of all, and its first rows."""
    first = [answer for answer in listing.answers if answer.can_run][:most]
    ids = [answer.model.id for answer in first]
    return listing.counts, listing.as_of, first, [listing.why[id] for id in ids]


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
    Workload(private=True),
    *(Workload(context_tokens=tokens) for tokens in (300, 2048, 10_000, 40_000, 100_000)),
)


@pytest.mark.parametrize("machine", SHORT, ids=lambda _machine: "")
def test_the_first_rows_are_those_of_the_whole_list(few: Catalogue, machine: Machine) -> None:
    """Rows, their order and what is counted, whatever is short on the machine, not known, or there already.

    Of the wishes each machine gets two, the next one two others; of the numbers of rows each wish one.
    """
    number = next(place for place, other in enumerate(SHORT) if other is machine)
    wishes = [WISHES[(2 * number + step) % len(WISHES)] for step in range(2)]
    for workload, numbers_of_rows in (
        (Workload(), (1, 3, 50)),
        (wishes[0], (3,)),
        (wishes[1], (50,)),
    ):
        whole = judge_all(few, workload, machine)
        for most in numbers_of_rows:
            assert told(first_rows(few, workload, machine, most), most) == told(whole, most)


def test_own_models_are_listed_with_the_shipped(few: Catalogue, tmp_path: Path) -> None:
    """A folder of the user's changes the counts."""
    (tmp_path / "own-1b.toml").write_text(
        'schema = 1\nid = "own-1b"\nname = "Own"\n[needs]\nmemory_bytes = 1\ndisk_bytes = 1\nsource = "x"\n'
    )
    both = Catalogue.open([tmp_path], shipped=few.folder)
    assert first_rows(both, Workload(), SERVER, 3).counts.models == len(MODELS) + 1


def test_only_what_is_shown_is_judged(few: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """To judge hundreds of models that nobody sees is what would be slow."""
    from selfhost.advice import listing

    judged: list[str] = []
    whole = vars(listing)["judge_for_machine"]

    def counted(question: object, *rest: object) -> object:
        judged.append(question.spec.id)  # type: ignore[attr-defined]
        return whole(question, *rest)

    monkeypatch.setattr(listing, "judge_for_machine", counted)
    assert len(first_rows(few, Workload(), SERVER, 1).answers) == 1
    assert 0 < len(judged) < len(MODELS) / 2
    judged.clear()
    assert len(first_rows(few, Workload(context_tokens=10_000), SERVER, 1).answers) == 1
    assert 0 < len(judged) < len(MODELS) / 2
    judged.clear()
    judge_all(few, Workload(commercial=True), SERVER, ids=["gpt2"])
    assert judged == ["gpt2"]


def test_what_gpus_hold_whole_is_not_judged(
    few: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most models of text fit the GPU of most who list them, or are not made for so long a context."""
    from selfhost.advice import listing

    judged: set[str] = set()
    whole = vars(listing)["judge"]

    def counted(question: object, machine: Machine) -> object:
        judged.add(question.spec.id)  # type: ignore[attr-defined]
        return whole(question, machine)

    monkeypatch.setattr(listing, "judge", counted)
    texts = {"gemma-3-1b-it", "gpt2", "mistral-7b-instruct-v0.3"}
    first_rows(few, Workload(), SERVER.replace(accelerators=(CARD,)), 1)
    assert not judged & texts
    first_rows(few, Workload(context_tokens=20_000), SERVER.replace(accelerators=(CARD,)), 1)
    assert not judged & texts


@pytest.mark.parametrize(
    "workload",
    [
        Workload(),
        Workload(private=True),
        Workload(commercial=True),
        Workload(license="MIT", auditable=True),
        Workload(context_tokens=100_000),
        Workload(quantization="Q8_0"),
    ],
    ids=lambda workload: workload.options(),
)
def test_some_models_are_answered_for_as_among_all(few: Catalogue, workload: Workload) -> None:
    """Whoever asks for some reads of each what the whole list says, and of the catalogue the same day
    and how many the conditions rule out: a stand-in by API need not be among those that were asked for.
    """
    size = 3 * GIB
    small = SERVER.replace(
        memory_total_bytes=size, memory_limit_bytes=size, memory_available_bytes=size
    )
    for catalogue in (few, Catalogue.open([few.folder], shipped=few.folder)):
        whole = judge_all(catalogue, workload, small)
        for wanted in (MODELS[:3], MODELS[3:7], ("gpt-4o",), ()):
            some = judge_all(catalogue, workload, small, ids=wanted)
            assert some.answers == tuple(row for row in whole.answers if row.model.id in wanted)
            assert (some.ruled_out, some.as_of) == (whole.ruled_out, whole.as_of)
