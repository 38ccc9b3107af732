"""What quantized checkpoints of 2026 weigh, by publisher (tests/truth/checkpoints_2026.json)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.needs_of import catalogue
from helpers.paths import TRUTH
from selfhost import Workload, check
from selfhost.catalogue.names import is_path, read
from selfhost.catalogue.searching import resolve
from selfhost.catalogue.spec import ModelSpec, PublishedFiles
from selfhost.core.errors import UnknownModelError
from selfhost.needs import weights_files
from selfhost.needs.records import Term

MEASURED = json.loads((TRUTH / "checkpoints_2026.json").read_text(encoding="utf-8"))


def typed_spec(row: dict[str, Any]) -> ModelSpec:
    """The model's spec as if nobody listed a file, with the row's repository as if typed."""
    files = PublishedFiles(
        format=row["format"],
        repository=row["repository"],
        source="the name",
        unsized=(row["quantization"],),
        typed=row["repository"] is not None,
    )
    return catalogue().spec(row["model"]).replace(files=(files,))


def size_of(row: dict[str, Any]) -> Term:
    size = weights_files(typed_spec(row), row["format"], row["quantization"])
    assert isinstance(size, Term), size
    return size


FOR_MLX_BY_UNSLOTH = [
    row for row in MEASURED["files"] if "UD-MLX" in (row["repository"] or "")
]


def rows_of(format: str) -> pytest.MarkDecorator:
    rows = [row for row in MEASURED["files"] if row["format"] == format]
    names = [f"{row['repository']}:{row['quantization']}" for row in rows]
    return pytest.mark.parametrize("row", rows, ids=names)


# files by the third rules of their publisher, of August 2026 and later, whose sizes specs list; and
# one of a type of one bit, whose sizes vary by 8 % from model to model
UNLIKE = {"qwen3.8-flash-next", "qwen3.8-27b", "unsloth/GLM-4.6-GGUF:UD-IQ1_M"}


@rows_of("gguf")
def test_a_publishers_gguf_file_weighs_what_was_listed(row: dict[str, Any]) -> None:
    """Within 4 %, all but those that are named."""
    size = size_of(row)
    apart = max(0, abs(size.bytes - row["bytes"]) - row["open"])
    is_like = apart <= 0.04 * row["bytes"]
    file = f"{row['repository']}:{row['quantization']}"
    is_unlike = row["model"] in UNLIKE or file in UNLIKE
    assert is_like or is_unlike, f"{size.bytes:,} for {row['bytes']:,}"


def test_a_typed_repository_is_sized_as_its_publisher_makes_its_files() -> None:
    """bartowski's Q4_K_M of Qwen3.5 9B has 5.89 GB, llama-quantize's recipe 5.63: a typed
    repository counts before those that the catalogue lists, and before sizes that others state.
    """
    (row,) = [
        row
        for row in MEASURED["files"]
        if row["repository"] == "bartowski/Qwen_Qwen3.5-9B-GGUF"
    ]
    verdict = check(
        f"{row['repository']}:Q4_K_M",
        Workload(runtime="llama.cpp"),
        machine="mac studio m2 ultra 64gb",
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    (weights,) = (term for term in verdict.needs.memory.terms if term.name == "weights")
    assert weights.bytes == pytest.approx(row["bytes"], rel=0.04)


@rows_of("safetensors")
def test_a_checkpoint_weighs_what_its_publisher_leaves_wide(
    row: dict[str, Any],
) -> None:
    """Within 5 % by the recipe of the typed repository's publisher, and inside the range, which is
    as narrow as lists of sizes allow that do not tell GB from GiB.
    """
    size = size_of(row)
    apart = max(0, abs(size.bytes - row["bytes"]) - row["open"])
    assert apart <= 0.05 * row["bytes"], f"{size.bytes:,} for {row['bytes']:,}"
    assert size.low_bytes - row["open"] <= row["bytes"] <= size.high_bytes + row["open"]


@rows_of("mlx")
def test_files_for_mlx_weigh_what_their_publisher_leaves_wide(
    row: dict[str, Any],
) -> None:
    """Within 2 %: Unsloth's files of 27B in 4 and 3 bits, and Gemma 4's of weights trained for 4
    bits, were told 36 to 47 % too small.
    """
    size = size_of(row)
    assert size.bytes == pytest.approx(row["bytes"], rel=0.02)


@pytest.mark.parametrize("row", FOR_MLX_BY_UNSLOTH)
def test_a_typed_repository_for_mlx_is_judged_as_its_publisher_makes_it(
    row: dict[str, Any],
) -> None:
    """In any bits: that of 3 was told as 12.7 GB of 24.1, as MLX has no rule of its own for 3."""
    verdict = check(row["repository"], Workload(), machine="mac studio m3 ultra 256gb")
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == pytest.approx(row["bytes"], rel=0.02)


@pytest.mark.parametrize(("bits", "usual"), [(2, 2.8), (3, 3.5), (4, 4.6), (6, 6.5)])
def test_files_of_oq_have_the_mean_that_it_aims_at(bits: int, usual: float) -> None:
    """_OQ_BPW_TARGETS of omlx/oq.py: at most 0.1 or 0.2 more. Without the encoder, all of 27B's
    weights have 26.9 billion numbers.
    """
    row = {"model": "qwen3.6-27b", "format": "mlx", "quantization": f"{bits}bit"}
    size = size_of(row | {"repository": f"someone/Qwen3.6-27B-oQ{bits}"})
    plain = size_of(row | {"repository": f"someone/Qwen3.6-27B-MLX-{bits}bit"})
    encoder = 0.92e9
    assert size.bytes == pytest.approx(26.9e9 * usual / 8 + encoder, rel=0.01)
    assert plain.bytes <= size.bytes < size.high_bytes < plain.bytes * 1.35


@pytest.mark.parametrize(
    ("name", "model", "quantization"),
    [
        pytest.param("unsloth/gemma-4-12B-it-qat-w4a16", "gemma-4-12b-it", "w4a16"),
        pytest.param("google/gemma-4-31B-it-qat-w4a16-ct", "gemma-4-31b-it", "w4a16"),
        pytest.param("nvidia/Gemma-4-26B-A4B-NVFP4", "gemma-4-26b-a4b-it", "nvfp4"),
        pytest.param("cyankiwi/Qwen3.6-27B-AWQ-BF16-INT4", "qwen3.6-27b", "awq"),
        pytest.param("unsloth/Qwen3.6-35B-A3B-NVFP4-Fast", "qwen3.6-35b-a3b", "nvfp4"),
        pytest.param(
            "Intel/Qwen2-57B-A14B-Instruct-int4-inc", "qwen2-57b-a14b-instruct", "gptq"
        ),
        pytest.param(
            "Freaksterz/Qwen3.8-27B-SmoothQuant-W8A8-INT8", "qwen3.8-27b", "w8a8"
        ),
        pytest.param("davidyu-nv/Qwen3.5-9B-NVFP4-MSE", "qwen3.5-9b", "nvfp4"),
        pytest.param(
            "JongYeop/Llama-3.1-70B-Instruct-NVFP4-W4A4",
            "llama-3.1-70b-instruct",
            "nvfp4",
        ),
        pytest.param("unigilby/MiniMax-M3-oQ4", "minimax-m3", "4bit"),
        pytest.param(
            "mlx-community/Xing4.0-29B-A4B-OptiQ-4bit", "xing4.0-29b-a4b", "4bit"
        ),
        pytest.param("mlx-community/Qwen3.8-27B-mixed_4_6", "qwen3.8-27b", "4bit"),
        pytest.param("mlx-community/Qwen3.8-27B-mixed-3-6", "qwen3.8-27b", "3bit"),
    ],
)
def test_the_name_of_a_repository_states_its_packing(
    name: str, model: str, quantization: str
) -> None:
    """Repositories that people name in issues of 2026; none of them was known."""
    reading = read(name, catalogue())
    assert reading is not None
    assert (reading.spec_id, reading.quantization) == (model, quantization)
    assert reading.repository == name


def test_what_only_a_name_tells_is_said_to_be_so() -> None:
    """davidyu-nv's repository of NVFP4 is in no list, and NVIDIA's is."""
    stranger = read("davidyu-nv/Qwen3.5-9B-NVFP4-MSE", catalogue())
    assert stranger is not None
    assert any("is not listed" in note for note in stranger.notes)
    listed = read("nvidia/MiniMax-M3-NVFP4", catalogue())
    assert listed is not None
    assert not any("is not listed" in note for note in listed.notes)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Foo/Qwen3.5-9B-Coder-NVFP4", id="a word that is no type"),
        pytest.param("Foo/Qwen3.5-9B-abliterated-oQ4", id="a tune"),
    ],
)
def test_a_tune_of_a_stranger_is_not_its_model(name: str) -> None:
    assert read(name, catalogue()) is None


@pytest.mark.parametrize(
    ("typed", "repository", "quantization"),
    [
        pytest.param(
            "unsloth/Qwen3.6-35B-A3B-MXFP4_MOE.gguf",
            "unsloth/Qwen3.6-35B-A3B-GGUF",
            "MXFP4",
            id="account and file",
        ),
        pytest.param(
            "havenoammo/Qwen3.6-35B-A3B-MTP-GGUF/Qwen3.6-35B-A3B-MTP-Q4_K_M.gguf",
            "havenoammo/Qwen3.6-35B-A3B-MTP-GGUF",
            "Q4_K_M",
            id="repository and file",
        ),
        pytest.param(
            "gemma-4-26B-A4B-it-qat-UD-Q4_K_XL.gguf",
            "unsloth/gemma-4-26B-A4B-it-qat-GGUF",
            "UD-Q4_K_XL",
            id="file of weights trained for 4 bits",
        ),
    ],
)
def test_a_file_of_a_repository_is_that_file(
    typed: str, repository: str, quantization: str
) -> None:
    """Names in ggml-org/llama.cpp#25721, #27680 and unslothai/unsloth#11435: two were read as paths
    of this computer, the third was sized as a file of another repository.
    """
    reading = read(typed, catalogue())
    assert reading is not None
    assert not is_path(typed)
    assert (reading.repository, reading.quantization) == (repository, quantization)


@pytest.mark.parametrize("typed", ["models/foo.gguf", "./unsloth/foo-Q4_K_M.gguf"])
def test_other_names_with_folders_are_paths(typed: str) -> None:
    assert is_path(typed)


def test_a_file_has_one_size_however_it_is_asked() -> None:
    """Google's Q4_0 of Gemma 4 12B: by --quant it was told as 8.33 GB, by its name as 7.15."""
    by_type = check(
        "gemma-4-12b-it",
        Workload(runtime="llama.cpp", quantization="QAT-Q4_0"),
        machine="mac studio m2 ultra 64gb",
    )
    by_name = check(
        "google/gemma-4-12B-it-qat-q4_0-gguf",
        Workload(runtime="llama.cpp"),
        machine="mac studio m2 ultra 64gb",
    )
    assert by_type.needs is not None
    assert by_name.needs is not None
    assert by_type.needs.download_bytes == by_name.needs.download_bytes


def test_a_listed_repository_has_the_type_that_is_listed() -> None:
    """prism-ml/Ternary-Bonsai-27B-mlx-2bit has groups of 128: 8,521,052,337 bytes (Rapid-MLX,
    model_sizes.json), told as 9.33 GB in the usual groups of 64.
    """
    reading = read("prism-ml/Ternary-Bonsai-27B-mlx-2bit", catalogue())
    assert reading is not None
    assert reading.quantization == "2bit-128g"


@pytest.mark.parametrize(
    "name",
    ["someone/Ternary-Qwen3-8B", "tzervas/qwen2.5-coder-14b-bitnet-1.58b"],
)
def test_layers_of_another_model_tell_no_weights_of_fewer_bits(name: str) -> None:
    """Owners of small machines were sent away from Ternary Bonsai 27B, 6.66 GiB, because it "needs
    as much" as the model with its layers.
    """
    with pytest.raises(UnknownModelError) as caught:
        resolve(name, catalogue())
    message = str(caught.value)
    assert "its weights of fewer bits need less" in message
    assert "it needs as much" not in message


@pytest.mark.parametrize(
    ("cards", "options"),
    [
        # syv-ai/qwen38-27b-rtx3090#3: a pool of 151,554 tokens of FP8 on one card
        pytest.param(
            "RTX 3090, 64GB RAM",
            {"kv_cache_type": "fp8", "context_tokens": 150_000},
            id="one card of 24 GB",
        ),
        # syv-ai/qwen38-27b-rtx3090#68: starts with 146,432 tokens
        pytest.param(
            "2x RTX 3060 12GB, 64GB RAM",
            {"context_tokens": 49_152},
            id="two cards of 12 GB",
        ),
    ],
)
def test_27b_in_int4_is_not_refused_where_people_run_it(
    cards: str, options: dict[str, Any]
) -> None:
    """Both were sent to an API: the one recipe left a quarter of the recurrence in 16 bits, and no
    output matrix in 4.
    """
    workload = Workload(runtime="vllm", quantization="w4a16", draft="mtp", **options)
    verdict = check("qwen3.8-27b", workload, machine=cards)
    assert verdict.route != "api"


def test_a_block_left_in_the_files_takes_no_memory_unless_it_drafts() -> None:
    """vLLM loads the block for more tokens only to draft (0.42 billion parameters of 27B, 16 bits):
    files of AutoRound hold it.
    """
    workload = Workload(runtime="vllm", quantization="w4a16", context_tokens=4096)
    verdict = check("qwen3.8-27b", workload, machine="server 8x h100")
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    assert verdict.needs.files is not None
    parts = [term for term in verdict.needs.memory.terms if term.name == "weights"]
    assert parts
    for weights in parts:
        assert "of blocks, not loaded" in weights.arithmetic


def test_coefficients_of_a_few_outputs_are_no_reason_against_awq() -> None:
    """Four outputs fill no word of eight; arnomatic/Qwen38-AWQ-g32-ple8 has groups of 32, and was
    refused: "10,240 inputs do not divide into groups of 32".
    """
    spec = catalogue().spec("qwen3.8-flash-next")
    assert isinstance(weights_files(spec, "safetensors", "awq-32g"), Term)
    assert not isinstance(weights_files(spec, "safetensors", "awq"), Term)
