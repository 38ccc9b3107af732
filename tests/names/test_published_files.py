"""A typed name of a published file means that file, however it is written."""

from __future__ import annotations

from itertools import cycle

import pytest

from selfhost import Verdict, Workload, check
from selfhost.advice.understood import of_name
from selfhost.catalogue.opened import open_catalogue
from selfhost.judge.files import is_published
from selfhost.needs import why_not_loaded
from selfhost.needs.quantization import BASE_TYPES

CATALOGUE = open_catalogue()
LLAMA_CPP = CATALOGUE.runtime("llama.cpp")
# of several hundred models each fourth, each in another type
MODELS = [
    spec
    for spec in map(CATALOGUE.spec, CATALOGUE.ids()[::4])
    if spec.repository and spec.architecture and spec.modality == "text"
    if why_not_loaded(spec, LLAMA_CPP) is None
]


def test_file_repository_and_tag_of_a_model_mean_the_same_published_file() -> None:
    """`NAME-Q4_0.gguf`, `ACCOUNT/NAME-GGUF:Q4_0` and `TAG-q4_0`: none of them is to be made first."""
    contradictions = []
    for spec, quantization in zip(MODELS, cycle(BASE_TYPES), strict=False):
        own = (spec.repository or "").rpartition("/")[2]
        tags = [alias for alias in spec.aliases if ":" in alias and "/" not in alias][:1]
        names = [f"{own}-{quantization}.gguf", f"bartowski/{own}-GGUF:{quantization}"]
        names += [f"{tag}-{quantization.lower()}" for tag in tags]
        for name in names:
            understood = of_name(CATALOGUE, name, Workload(format="gguf"), explains=False)
            judged = understood.spec.id, understood.workload.quantization
            if judged != (spec.id, quantization) or not is_published(
                understood.spec, understood.workload
            ):
                contradictions.append(f"{name}: {judged}")
    assert len(MODELS) > 100
    assert not contradictions, "\n".join(contradictions)


def checked(name: str) -> Verdict:
    return check(name, machine="aws-g6.2xlarge")


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        # Ollama's library and the repositories of Qwen, bartowski and Google list these sizes; the
        # last is with the 0.86 GB of the file for pictures
        ("llama3.1:8b-instruct-q4_0", 4.7),
        ("library/llama3.1:8b-instruct-q4_0", 4.7),
        ("qwen2.5-7b-instruct-q4_0.gguf", 4.43),
        ("Llama-3.2-3B-Instruct-Q4_0.gguf", 1.92),
        ("Phi-3-mini-4k-instruct-q4.gguf", 2.39),
        ("gemma-3-27b-it-q4_0.gguf", 17.2 + 0.86),
    ],
)
def test_the_download_is_the_typed_file(name: str, gigabytes: float) -> None:
    verdict = checked(name)
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == pytest.approx(gigabytes * 1e9, rel=0.015)
    assert not any("convert" in line for line in verdict.setup)


@pytest.mark.parametrize(
    "typed", ["llama3.1:8b-instruct-q4_0", "ollama run llama3.1:8b-instruct-q4_0"]
)
def test_a_typed_tag_is_what_ollama_runs_and_wants_no_login(typed: str) -> None:
    verdict = checked(typed)
    assert verdict.commands[-1].endswith("ollama run llama3.1:8b-instruct-q4_0")
    assert not any("login" in line for line in verdict.setup)


def test_the_line_loads_the_typed_file_and_says_where_it_may_be() -> None:
    """Qwen publishes Q5_0 itself; no repository of GGUF files in the spec holds Q5_1."""
    verdict = checked("Qwen2.5-7B-Instruct-Q5_1.gguf")
    assert verdict.commands[0].startswith("llama-server -m Qwen2.5-7B-Instruct-Q5_1.gguf ")
    assert any("huggingface.co/models" in line for line in verdict.setup)
    published = checked("Qwen2.5-7B-Instruct-Q5_0.gguf")
    assert "-hf Qwen/Qwen2.5-7B-Instruct-GGUF:Q5_0 " in published.commands[0]
    assert not any("not verified" in line for line in published.setup)


def test_only_the_spelling_of_its_maker_is_the_file_that_was_trained_for_four_bits() -> None:
    """Google writes `q4_0`; unsloth's and bartowski's conversions are called `Q4_0`."""
    own, conversion = checked("gemma-3-27b-it-q4_0.gguf"), checked("gemma-3-27b-it-Q4_0.gguf")
    page = "https://huggingface.co/google/gemma-3-27b-it-qat-q4_0-gguf/blob/main/"
    assert own.workload.quantization == "QAT-Q4_0"
    assert any("google/gemma-3-27b-it-qat-q4_0-gguf:Q4_0" in line for line in own.commands)
    assert checked(f"{page}gemma-3-27b-it-q4_0.gguf").needs == own.needs
    assert conversion.workload.quantization == "Q4_0"


def test_a_repository_of_one_type_is_judged_in_that_type() -> None:
    """ggml-org publishes SmolVLM 500M in Q8_0; who types the repository wants its files."""
    verdict = check("ggml-org/SmolVLM-500M-Instruct-GGUF", machine="aws-g6.2xlarge")
    assert verdict.workload.quantization == "Q8_0"
    assert not any("convert" in line for line in verdict.setup)


def test_another_quantization_than_the_typed_one_is_still_to_be_made() -> None:
    """`--quant` states what no name says is published."""
    workload = Workload(quantization="Q5_1", runtime="llama.cpp")
    verdict = check("pythia-70m-q5_0.gguf", workload, machine="aws-m7i.2xlarge")
    assert any("llama-quantize" in line for line in verdict.setup)


def test_a_file_of_pictures_that_no_program_is_known_to_load_says_so_and_is_no_refusal() -> None:
    """City96 publishes such files; what runs is judged, in other files."""
    verdict = check("sd3.5_large-Q5_0.gguf", machine="desktop-rtx4090-24gb")
    assert verdict.can_run
    assert any(
        "other files of the model" in note for note in (*verdict.understood_as, *verdict.notes)
    )
