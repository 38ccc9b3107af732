"""The lines to type next run what was judged."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from helpers.each import each
from helpers.local_models import small
from helpers.machines import IDS, VM
from helpers.paths import RECORDS
from selfhost import Machine, Workload, WorkloadError, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.judge.question import ask


def test_what_was_judged_can_be_asked_for_again() -> None:
    """The workload with every default filled in, in each runtime, is the same question: mamba's without a type of a cache it lacks, a
    model whose stored type nobody states in the one that is taken for it."""
    shelf, seen = open_catalogue(), set()
    for spec_id in {*IDS[::20], "mamba-130m", "openai-gpt", "qwen3.8-flash-next", "whisper-tiny"}:
        spec = shelf.spec(spec_id)
        for runtime, task in product((None, *shelf.runtime_ids()), ("generate", "finetune")):
            try:
                first = ask(spec, Workload(runtime=runtime, task=task), shelf, VM)
            except WorkloadError:
                continue
            again = ask(spec, first.workload, shelf, VM)
            assert (again.workload, again.needs) == (first.workload, first.needs), (
                spec_id,
                runtime,
            )
            seen.add(first.workload.kv_cache_type)
    assert seen == {None, "f16"}


ROOMY = Machine.from_file(str(RECORDS / "vm-24gib.json"))


# what /api/tags of Ollama answered, as people published it: the tag, its quantization_level and size (license and template included)
OLLAMA_TAGS = [
    ("llama3.2:1b", "Q8_0", 1_321_098_329), ("llama3.2:3b", "Q4_K_M", 2_019_393_189), ("gemma2:2b", "Q4_0", 1_629_518_495),
    ("mistral:7b", "Q4_K_M", 4_372_824_384), ("llama3:8b", "Q4_0", 4_661_224_676), ("llama3:latest", "Q4_0", 4_661_224_676),
    ("phi3:mini", "Q4_0", 2_176_178_913), ("gemma3:270m", "Q8_0", 291_554_930), ("smollm2:360m", "F16", 725_566_512),
    ("deepseek-coder-v2:16b", "Q4_0", 8_905_126_121), ("codellama:7b", "Q4_0", 3_825_910_662),
    ("qwen2.5-coder:7b", "Q4_K_M", 4_683_087_561),
    ("nomic-embed-text:latest", "F16", 274_302_450), ("deepseek-r1:1.5b", "Q4_K_M", 1_117_322_768),
    # the model and projector of the registry's manifests, as kept by josh/ollama-models-nix@511fbd5b and @37aa6887
    ("gemma2:9b", "Q4_0", 5_443_143_296), ("gemma2:27b", "Q4_0", 15_628_378_336), ("mixtral:8x7b", "Q4_0", 26_442_469_632),
    ("mixtral:latest", "Q4_0", 26_443_590_560), ("codellama:13b", "Q4_0", 7_365_948_416), ("codellama:34b", "Q4_0", 19_052_048_512),
    ("llama3:70b", "Q4_0", 39_969_732_096), ("phi3:14b", "Q4_0", 7_897_125_664), ("deepseek-coder:6.7b", "Q4_0", 3_827_819_904),
    ("smollm2:135m", "F16", 270_885_952), ("falcon3:1b", "Q8_0", 1_778_709_056), ("falcon:40b", "Q4_0", 23_808_462_560),
    ("qwen:latest", "Q4_0", 2_330_085_408), ("phi:latest", "Q4_0", 1_602_461_536), ("llava:13b", "Q4_0", 7_365_834_752 + 645_414_080),
    ("mistral-small:22b", "Q4_0", 12_569_159_552), ("llama3.1:70b", "Q4_K_M", 42_520_398_176), ("olmo2:7b", "Q4_K_M", 4_472_020_256),
]  # fmt: skip


@each(("tag", "quantization", "size"), OLLAMA_TAGS)
def test_a_tag_of_ollama_is_judged_as_what_it_loads(tag: str, quantization: str, size: int) -> None:
    """The type and the size that `ollama run TAG` downloads, within 0.5 %; another type where that is asked for."""
    found = check(tag, machine=ROOMY)
    assert found.workload.quantization == quantization
    assert found.needs is not None
    assert found.needs.download_bytes == pytest.approx(size, rel=0.005)
    assert not any(
        command == f"ollama run {tag}"
        for command in check(tag, Workload(quantization="Q6_K"), machine=ROOMY).commands
    )


@pytest.mark.parametrize(
    ("id", "option"),
    [
        ("bge-reranker-v2-m3", "--reranking"),
        ("qwen3-reranker-0.6b", "--reranking"),
        ("bge-m3", "--embedding"),
        # it ranks by its embeddings, and has no head that rank pooling would read
        ("answerai-colbert-small-v1", "--embedding"),
    ],
)
def test_llama_server_is_told_whether_it_embeds_or_ranks(id: str, option: str) -> None:
    """Started without --reranking it answers /v1/rerank with an error (its README); the option sets
    the embeddings and the pooling by itself, so both at once are never needed.
    """
    commands = check(id, Workload(runtime="llama.cpp"), machine=ROOMY).commands
    (line,) = [line for line in commands if "llama-server" in line]
    assert {"--reranking", "--embedding"} & {*line.split()} == {option}


def test_a_folder_of_published_types_is_run_by_its_path(tmp_path: Path) -> None:
    """pipeline() takes a folder where it takes a repository (documentation of transformers)."""
    folder = small(tmp_path / "mine")
    verdict = check(folder, Workload(runtime="transformers"), machine="desktop-rtx3060-12gb")
    assert f"pipeline(model='{folder}', " in verdict.commands[0]
