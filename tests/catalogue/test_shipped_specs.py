"""The shipped data: every spec, runtime, family and thing."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from helpers.each import each
from helpers.paths import COMMON, DATA, SPECS
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.licenses import canonical_expression
from selfhost.catalogue.names import resolve
from selfhost.catalogue.opened import open_catalogue
from selfhost.catalogue.spec import QUANTIZATIONS, Architecture, ModelSpec, RuntimeSpec
from selfhost.catalogue.spec_values import USES
from selfhost.core.spelling import canonical
from selfhost.needs import default_format_and_quantization
from selfhost.needs.cache import cache_groups
from selfhost.needs.tensors import checkpoint_tensors, count, row_of

CONFIGS = DATA / "configs"
SHELF = Catalogue.open()
IDS = sorted(path.stem for path in SPECS.glob("*.toml"))
RUNTIMES = sorted(path.name.removesuffix(".toml") for path in (SPECS / "runtimes").glob("*.toml"))

# Parameter counts as the publishers print them, with the place they print them.
PUBLISHED_COUNTS = {
    "gpt2": ("124M", "github.com/openai/gpt-2 README"),
    "gpt2-medium": ("355M", "github.com/openai/gpt-2 README"),
    "gpt2-large": ("774M", "github.com/openai/gpt-2 README"),
    "gpt2-xl": ("1558M", "github.com/openai/gpt-2 README"),
    "gpt-oss-20b": ("20.91B", "gpt-oss model card, arXiv 2508.10925, table 1"),
    "gpt-oss-120b": ("116.83B", "gpt-oss model card, arXiv 2508.10925, table 1"),
    "mistral-7b-instruct-v0.3": ("7248023552", "safetensors total on the model's page"),
    "mixtral-8x7b-instruct-v0.1": ("46.7B", "mistral.ai/news/mixtral-of-experts"),
    "llama-3.2-1b-instruct": ("1.23B", "model card, Llama 3.2"),
    "llama-3.2-3b-instruct": ("3.21B", "model card, Llama 3.2"),
    "qwen2.5-0.5b-instruct": ("0.49B", "model card"),
    "qwen2.5-7b-instruct": ("7.61B", "model card"),
    "qwen2.5-72b-instruct": ("72.7B", "model card"),
    "qwen3-8b": ("8.2B", "model card"),
    "qwen3-30b-a3b": ("30.5B", "model card"),
    "deepseek-v3": ("671B", "github.com/deepseek-ai/DeepSeek-V3 README"),
    "phi-3-mini-4k-instruct": ("3.8B", "model card"),
    "whisper-large-v3-turbo": ("809M", "github.com/openai/whisper README"),
    "all-minilm-l6-v2": ("22.7M", "safetensors total on the model's page"),
    "minimax-m3": (
        "427040140160",
        "safetensors total that llmfit 1.1.17 lists, the indexer of its sparse attention included",
    ),
}
PUBLISHED_ACTIVE = {
    "mixtral-8x7b-instruct-v0.1": ("12.9B", "mistral.ai/news/mixtral-of-experts"),
    "qwen3-30b-a3b": ("3.3B", "model card"),
}
NAMES_PEOPLE_TYPE = (
    *(
        "llama",
        "llama2",
        "llama3",
        "llama3.1",
        "llama3.2",
        "llama3.3",
        "mistral",
        "mistral-7b",
        "mistral-nemo",
        "mixtral",
    ),
    *(
        "gemma",
        "gemma2",
        "gemma3",
        "qwen",
        "qwen2.5",
        "qwen3",
        "phi",
        "phi2",
        "phi3",
        "phi4",
        "gpt2",
        "gpt-oss",
        "deepseek",
        "deepseek-v3",
    ),
    *(
        "deepseek-r1",
        "falcon",
        "whisper",
        "opt",
        "opt-13b",
        "tinyllama",
        "chatgpt",
        "gpt-3",
        "gpt-3.5",
        "gpt-4",
        "gpt-4o",
    ),
)
# Bits per weight of the narrowest and the widest tensor type in such a file, ggml-common.h.
BITS = {
    "Q2_K": (2.6, 6.6),
    "Q3_K_M": (3.4, 6.6),
    "IQ4_XS": (4.2, 8.5),
    "Q4_0": (4.5, 8.5),
    "MXFP4": (4.2, 8.5),
    "Q4_K_S": (4.5, 8.5),
    "Q4_K_M": (4.5, 8.5),
    "Q5_0": (5.5, 16),
    "Q5_1": (6.0, 16),
    "Q5_K_M": (5.5, 8.5),
    "Q6_K": (6.5, 8.5),
    "Q8_0": (8.5, 16),
    "float16": (16, 16),
    "float32": (32, 34),  # GPT-Neo: masks of bytes beside the weights
    "F16": (16, 32),
    # mlx.core.quantize: two numbers of 16 bits for 128, 64 or 32 weights; tables and routers may keep more
    **{f"{bits}bit": (bits + 0.25, bits + 2) for bits in (3, 4, 5, 6, 8)},
    "8bit-32g": (9.0, 10),
    "mxfp4": (4.2, 6),
    "nvfp4": (4.5, 6),
    "4bit-mxfp4": (4.2, 6),
    "MXFP4-Q8": (4.2, 9.5),
    "bf16": (16, 32),
    "fp16": (16, 32),
    "bfloat16": (16, 32),
    # one scale of 16 bits for 32 weights; what is not in the experts keeps 16 bits
    "int4_32": (4.5, 6),
    # Unsloth's mixes go below the type in their names, to IQ1_S of 1.56 bits
    **dict.fromkeys(("UD-IQ1_S", "UD-IQ1_M", "UD-IQ2_XXS", "UD-IQ2_M"), (1.56, 3.5)),
    **dict.fromkeys(("UD-IQ3_XXS", "UD-Q2_K_XL", "UD-Q3_K_XL"), (2.6, 4.5)),
    **dict.fromkeys(("UD-Q4_K_XL", "UD-Q5_K_XL"), (4.3, 6.6)),
    **dict.fromkeys(("UD-Q6_K_XL", "UD-Q8_K_XL"), (6.5, 11)),
}


def spec_of(id: str) -> ModelSpec:
    return SHELF.spec(id)


def runtime_of(id: str) -> RuntimeSpec:
    return SHELF.runtime(id)


@cache
def common(name: str) -> dict[str, Any]:
    return tomllib.loads((COMMON / f"{name}.toml").read_text(encoding="utf-8"))


def architecture_of(id: str) -> Architecture:
    architecture = spec_of(id).architecture
    assert architecture is not None
    return architecture


def near(printed: str, counted: int) -> bool:
    """Whether `counted` is the number as printed (`20.91B`), which some publishers round and some cut: less than one of its last digit."""
    found = re.fullmatch(r"([0-9.]+)([BM]?)", printed)
    assert found is not None
    number, unit = found.groups()
    scale = {"": 1, "M": 10**6, "B": 10**9}[unit]
    return abs(counted - float(number) * scale) < scale * 0.1 ** len(number.partition(".")[2])


@each("id", IDS)
def test_reads_without_a_fault_under_its_own_name(id: str) -> None:
    """A shipped spec has no fault, and its id is the name of its file: that is how it is found."""
    assert spec_of(id).id == id


@each("id", IDS)
def test_every_table_names_its_source(id: str) -> None:
    """Where a number came from stands beside it; what is left out says why."""
    values = tomllib.loads((SPECS / f"{id}.toml").read_text(encoding="utf-8"))
    spec = spec_of(id)
    for table in (
        "license",
        "openness",
        "parameters",
        "architecture",
        "components",
        "embedding",
        "availability",
        "upkeep",
    ):
        if table in values:
            assert spec.sources.get(table), f"[{table}] has no source"
    assert all(files["source"] for files in values.get("files", []))
    assert (spec.released is None) == ("released" in spec.unknown)
    if spec.released:
        assert spec.sources.get("released")
    if not spec.closed:
        assert (spec.license is None) == ("license" in spec.unknown)
        assert (spec.gated is None) == ("gated" in spec.unknown)
        assert spec.gated is None or spec.sources.get("gated")
        assert spec.architecture is None or (spec.architecture.dtype is None) == (
            "architecture.dtype" in spec.unknown
        )


@each("id", [model for model in IDS if spec_of(model).license])
def test_license_is_spdx_and_conditions_are_named(id: str) -> None:
    """A license id is in SPDX's own spelling; whoever reads `conditional` can read the condition; what is not known says why."""
    terms, unknown = spec_of(id).license, spec_of(id).unknown
    assert terms is not None
    assert terms.id is not None
    assert canonical_expression(terms.id) == terms.id
    allowed = (terms.commercial_use, terms.modification, terms.redistribution)
    for key in ("commercial_use", "modification", "redistribution"):
        assert (getattr(terms, key) is None) == (f"license.{key}" in unknown), key
    assert terms.conditions or "conditional" not in allowed
    if terms.id.startswith("LicenseRef-"):
        assert (terms.url is None) == ("license.url" in unknown)
    if terms.id in ("Apache-2.0", "MIT"):
        assert allowed == ("yes", "yes", "yes")


def test_one_name_is_one_model() -> None:
    """No id, alias or repository leads to two models, however it is typed; nor does the name of a thing lead to a model."""
    taken: dict[str, str] = {}
    for model in IDS:
        spec = spec_of(model)
        for name in {
            canonical(name) for name in (model, *spec.aliases, *filter(None, [spec.repository]))
        }:
            assert taken.setdefault(name, model) == model, name
    things = [
        name
        for thing, facts in common("things")["thing"].items()
        for name in (thing, *facts["aliases"])
    ]
    families = {
        canonical(family): facts["model"] for family, facts in common("families")["family"].items()
    }
    for thing in map(canonical, things):
        assert thing not in taken
        assert thing not in families
    assert len(set(map(canonical, things))) == len(things)
    for family, model in families.items():
        assert taken.get(family, model) == model, f"{family} is the name of another model as well"


def test_what_a_file_refers_to_exists() -> None:
    """Alternatives, successors, family members and suggestions can be asked about in turn."""
    for model in IDS:
        spec = spec_of(model)
        named = [spec.upkeep.superseded_by]
        if spec.availability:
            named += [spec.availability.successor, *spec.availability.open_alternatives]
            assert all(
                not spec_of(other).closed for other in spec.availability.open_alternatives
            ), f"{model}: an alternative is closed"
        assert {name for name in named if name} <= set(IDS), model
        assert model not in named
    for facts in common("families")["family"].values():
        assert {facts["model"], *facts["others"]} <= set(IDS)
        assert facts["model"] not in facts["others"]
        assert facts["why"]
    for facts in common("things")["uncovered"].values():
        assert facts["names"]
        assert facts["answer"]
        assert set(facts["try_instead"]) <= set(IDS)
    assert all(line["names"] for line in common("things")["hosted"].values())
    for facts in common("things")["line"].values():
        assert facts["names"]
        assert facts["about"]
        assert facts["writes"]
        assert facts["try_instead"]
        assert set(facts["try_instead"]) <= set(IDS)
    for facts in common("things")["thing"].values():
        assert facts["try_instead"] or "this catalogue has no" in facts["answer"]
        assert set(facts["try_instead"]) <= set(IDS)
        assert facts["kind"]
        assert facts["answer"]
        # what computes inside a program was read somewhere, and can be judged
        assert set(facts.get("runs_with", ())) <= set(open_catalogue().runtime_ids())
        assert "runs_with" not in facts or facts["source"]


def test_whether_it_is_current_is_known_of_what_many_people_use() -> None:
    """Of every open model with a tag of Ollama's or three offers: superseded, something newer beside it, or nothing newer known."""
    offers: dict[str, int] = {}
    for line in (SPECS / "common" / "offers.jsonl").read_text(encoding="utf-8").splitlines()[1:]:
        entry = json.loads(line)
        offers[entry["model"]] = len(entry["offers"])
    for model in IDS:
        spec = spec_of(model)
        is_used = any(":" in alias for alias in spec.aliases) or offers.get(model, 0) > 2
        if spec.closed or not is_used:
            continue
        upkeep = spec.upkeep
        assert upkeep.current or upkeep.superseded_by or upkeep.note, model
        assert not (upkeep.current and upkeep.superseded_by), model
        assert spec.sources.get("upkeep"), model


def test_nothing_newer_of_its_size_is_in_the_catalogue_of_what_is_current() -> None:
    """What is called current has no later generation beside it: one line's, for the same work, between half and double its size."""

    def line(spec: ModelSpec) -> tuple[object, ...]:
        stem = re.match(r"[a-z-]*", spec.family or "")
        return spec.developer, stem and stem[0], spec.uses and spec.uses[0], spec.modality

    models = [spec for spec in map(spec_of, IDS) if not spec.closed and spec.parameters.total]
    for spec in models:
        if not spec.upkeep.current:
            continue
        for other in models:
            if line(other) == line(spec) and other.family != spec.family:
                size = (other.parameters.total or 0) / (spec.parameters.total or 1)
                is_later = str(other.released)[:10] > str(spec.released)[:10]
                assert not (is_later and 0.5 < size < 2), (spec.id, other.id)


def test_bare_family_names_are_answered() -> None:
    """The names people type first lead to a model, directly or through the dated list of families."""
    assert common("families")["as_of"]
    known = {canonical(name) for model in IDS for name in (model, *spec_of(model).aliases)} | set(
        map(canonical, common("families")["family"])
    )
    for name in NAMES_PEOPLE_TYPE:
        assert canonical(name) in known, name


def test_retired_models_say_what_came_after() -> None:
    """GPT-3.5 Turbo: no weights, retired, its documented replacement, and the two open models of the same publisher (the contract)."""
    turbo = spec_of("gpt-3.5-turbo").availability
    assert turbo is not None
    assert turbo.retired == "2026-10-23"
    assert turbo.successor == "gpt-5.6-terra"
    assert {"gpt-oss-20b", "gpt-oss-120b"} <= set(turbo.open_alternatives)
    for model in IDS:
        availability = spec_of(model).availability
        if availability and availability.retired:
            assert availability.successor or "availability.successor" in spec_of(model).unknown


@each("id", [model for model in IDS if spec_of(model).architecture])
def test_total_is_the_sum_over_the_architecture(id: str) -> None:
    """`parameters.total` is every tensor of the checkpoint, encoders included (rule 3 of the spec format)."""
    spec = spec_of(id)
    row = row_of(architecture_of(id), common("architectures"))
    assert row is not None, f"no row for {architecture_of(id).row}"
    counted = count(checkpoint_tensors(architecture_of(id), row)) + (spec.parameters.encoders or 0)
    assert spec.parameters.total is not None
    if spec.parameters.difference:
        assert counted == pytest.approx(spec.parameters.total, rel=0.005)
    else:
        assert counted == spec.parameters.total


def test_components_add_up() -> None:
    """An image model's parts are its total."""
    for model in IDS:
        if spec_of(model).components:
            assert sum(spec_of(model).components.values()) == spec_of(model).parameters.total


@each("id", sorted(PUBLISHED_COUNTS))
def test_count_is_the_one_the_publisher_prints(id: str) -> None:
    """The count rounds to what its publisher states: the wrong model, or a matrix too many, would not."""
    printed, where = PUBLISHED_COUNTS[id]
    total = spec_of(id).parameters.total
    assert total is not None
    assert near(printed, total), f"{total:,} is not {printed} ({where})"


@pytest.mark.parametrize("id", sorted(PUBLISHED_ACTIVE))
def test_active_count_is_the_one_the_publisher_prints(id: str) -> None:
    """Active parameters are those of a token's path, as the publishers of mixtures count them."""
    printed, where = PUBLISHED_ACTIVE[id]
    active = spec_of(id).parameters.active
    assert active is not None
    assert near(printed, active), f"{active:,} is not {printed} ({where})"


@pytest.mark.parametrize(
    "file", sorted(json.loads((CONFIGS / "sources.json").read_text(encoding="utf-8"))["files"])
)
def test_architecture_is_that_of_config_json(file: str) -> None:
    """Sizes equal those in the publisher's own config.json, read here without any of our readers."""
    config = json.loads((CONFIGS / file).read_text(encoding="utf-8"))
    repository = file.removesuffix(".json").replace("--", "/", 1)
    architecture = next(
        architecture_of(model) for model in IDS if spec_of(model).repository == repository
    )
    length = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    assert architecture.layers == config["num_hidden_layers"]
    assert architecture.embedding_length == config["hidden_size"]
    assert architecture.heads == config["num_attention_heads"]
    assert architecture.vocabulary == config["vocab_size"]
    assert architecture.context_tokens == config["max_position_embeddings"]
    assert architecture.tied_embeddings == config["tie_word_embeddings"]
    assert architecture.dtype == config.get("torch_dtype", "bfloat16")
    for group in architecture.attention:
        assert (group.kv_heads, group.key_length) == (config["num_key_value_heads"], length)
    kinds = config.get("layer_types") or ["full_attention"] * config["num_hidden_layers"]
    sliding = {
        layer
        for group in architecture.attention
        if group.kind == "sliding"
        for layer in group.layers
    }
    assert sliding == {layer for layer, kind in enumerate(kinds) if kind == "sliding_attention"}
    assert {group.window_tokens for group in architecture.attention if group.kind == "sliding"} <= {
        config.get("sliding_window")
    }
    experts = config.get("num_experts") or config.get("num_local_experts")
    for part in architecture.feed_forward:
        assert part.length == (config.get("moe_intermediate_size") or config["intermediate_size"])
        assert part.experts == experts
        assert part.used == (config["num_experts_per_tok"] if experts else None)


def _published() -> Iterator[tuple[str, str, str, int]]:
    for model in IDS:
        for files in spec_of(model).files:
            for quantization, size in files.bytes.items():
                yield model, files.format, quantization, size


def test_file_sizes_fit_their_quantization() -> None:
    """A published size lies between the narrowest and the widest type such a file holds: a lost digit or a wrong row does not."""
    for model, stored_as, quantization, size in _published():
        parameters = spec_of(model).parameters
        assert parameters.total is not None
        low, high = BITS[quantization]
        held = parameters.total
        if stored_as == "gguf":  # there the encoders are a file of their own
            held -= parameters.encoders or 0
        if stored_as == "gguf" and architecture_of(model).row == "bert":
            held -= 384 * 384 + 384  # MiniLM's pooler, which the GGUF file leaves out
        bits = size * 8 / held
        # elsewhere they, and blocks that predict more tokens, keep their 16 bits; the tokenizer is a few MB
        wide = 0 if stored_as == "gguf" else (parameters.encoders or 0) + (parameters.mtp or 0)
        assert low * 0.98 <= bits <= high + (16 * wide + 8e7) / held, (
            f"{model} {quantization}: {bits:.2f} bits per weight"
        )


def test_sizes_of_one_publisher_grow_with_quality() -> None:
    """In one publisher's list, more bits are more bytes."""
    order = (
        "Q2_K",
        "Q3_K_M",
        "IQ4_XS",
        "Q4_K_S",
        "Q4_K_M",
        "Q5_0",
        "Q5_1",
        "Q5_K_M",
        "Q6_K",
        "Q8_0",
        "F16",
    )
    for model in IDS:
        for files in spec_of(model).files:
            sizes = [files.bytes[name] for name in order if name in files.bytes]
            assert sizes == sorted(sizes), model


# The longest context by scaling that each publisher's model card documents.
SCALED_CONTEXTS = {
    **dict.fromkeys(
        (
            "qwen2.5-7b-instruct",
            "qwen2.5-14b-instruct",
            "qwen2.5-32b-instruct",
            "qwen2.5-72b-instruct",
        ),
        131_072,
    ),
    **dict.fromkeys(("qwen3-4b", "qwen3-8b", "qwen3-14b", "qwen3-32b", "qwen3-30b-a3b"), 131_072),
    **dict.fromkeys(("qwen3-235b-a22b", "qwen2-7b-instruct", "qwen2-72b-instruct"), 131_072),
    **dict.fromkeys((f"qwen2.5-coder-{size}-instruct" for size in ("7b", "14b", "32b")), 131_072),
    **dict.fromkeys(("glm-4-9b-0414", "glm-4-32b-0414", "qwq-32b", "smollm3-3b"), 131_072),
    **dict.fromkeys(("qwen3-next-80b-a3b-instruct", "qwen3.5-9b", "qwen3.6-27b"), 1_010_000),
    "nomic-embed-text-v1.5": 8192,
}


@each("id", [model for model in IDS if spec_of(model).architecture])
def test_scaled_context_is_documented(id: str) -> None:
    """A context beyond the trained one is what the model card says, with its source; the small Qwen models have none."""
    scaled = architecture_of(id).scaled_context_tokens
    assert id not in SCALED_CONTEXTS or scaled == SCALED_CONTEXTS[id]
    assert (
        not id.startswith(
            ("qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b", "qwen3-0.6b", "qwen3-1.7b")
        )
        or scaled is None
    )
    assert scaled is None or spec_of(id).sources.get("architecture.scaled_context_tokens")


# made of Qwen 2 and 3, Gemma, LFM2, Mistral and Llama, which look back alone, and BART's decoder
CAUSAL_EMBEDDERS = (
    "bart-large-mnli",
    "bge-multilingual-gemma2",
    "bge-reranker-v2-gemma",
    "e5-mistral",
    "gte-qwen2",
    "harrier-oss",
    "jina-code-embeddings",
    "jina-embeddings-v5-text-small",
    "jina-reranker-v3",
    "lfm2-colbert",
    "lfm2.5-embedding",
    "mxbai-rerank-base-v2",
    "mxbai-rerank-large-v2",
    "nomic-embed-code",
    "qwen3-embedding",
    "qwen3-reranker",
    "qwen3-vl-embedding",
    "qwen3-vl-reranker",
    "sfr-embedding-mistral",
    "zerank",
)


@each(
    "id",
    [
        model
        for model in IDS
        if spec_of(model).modality == "embedding" and spec_of(model).architecture is not None
    ],
)
def test_only_embeddings_made_of_a_chat_model_keep_a_cache(id: str) -> None:
    """BERT's kin and EmbeddingGemma attend both ways, as their papers say: no cache. Qwen3's and Mistral's are causal decoders."""
    causal = id.startswith(CAUSAL_EMBEDDERS)
    row = row_of(architecture_of(id), common("architectures"))
    assert bool(cache_groups(architecture_of(id), row)) == causal


def test_what_sees_pictures_alone_is_timed_by_pictures() -> None:
    """It reads no documents, of which its pace was told."""
    seeing = [
        spec
        for spec in open_catalogue().specs()
        if spec.uses and "image-encoder" in spec.uses and "text" not in (spec.inputs or ("text",))
    ]
    assert "sam2.1-hiera-large" in {spec.id for spec in seeing}
    assert not [spec.id for spec in seeing if spec.picture_operations is None]


def test_gpt_j_is_stored_as_float32() -> None:
    """The repository's pytorch_model.bin has 24.2 GB (4 bytes for each of 6.05e9 parameters), not the 12.1 of its float16 branch."""
    total = spec_of("gpt-j-6b").parameters.total
    assert architecture_of("gpt-j-6b").dtype == "float32"
    assert total is not None
    assert round(total * 4 / 1e9, 1) == 24.2


def test_only_programs_of_llama_cpp_split_layers() -> None:
    """llama.cpp, and the programs that run its code, can leave some layers in RAM; the default of the others is all or nothing."""
    of_llama_cpp = {id for id in RUNTIMES if runtime_of(id).computes_with == "llama.cpp"}
    assert of_llama_cpp == {"llama.cpp", "ollama", "llama-cpp-python"}
    assert {id for id in RUNTIMES if runtime_of(id).splits_layers} == of_llama_cpp


def test_a_runtime_names_only_runtimes() -> None:
    """The one whose code it computes with, and the one whose command is shown beside its own."""
    for id in RUNTIMES:
        assert {runtime_of(id).computes_with, runtime_of(id).shown_with or id} <= set(RUNTIMES), id


def test_systems_are_those_with_builds() -> None:
    """PyTorch has no wheel for Intel Macs; whisper.cpp builds for Windows on ARM; MLX is Apple silicon's."""
    assert "macos-x86_64" not in runtime_of("transformers").systems
    assert "windows-aarch64" in runtime_of("whisper.cpp").systems
    assert runtime_of("mlx").systems == ("macos-aarch64",)


@each("id", RUNTIMES)
def test_runtime_is_usable(id: str) -> None:
    """A runtime has its file's name, a way to get it, a command whose blanks can be filled, and a range that says how it is known."""
    runtime = runtime_of(id)
    assert runtime.id == id
    assert runtime.store in ("huggingface", "llama.cpp", "ollama", "whisper.cpp")
    assert runtime.install or runtime.builds
    # what runs in the folder of its code is seen nowhere else
    runs_in_folder = runtime.command.startswith(("cd ", "conda run --cwd "))
    assert runtime.present or runtime.distributions or runs_in_folder
    cache_type = next(iter(runtime.kv_cache_types), "q8_0")
    blanks = {
        "repository": "owner/name",
        "quantization": "Q4_K_M",
        "tag": "name:7b",
        "kv_cache_type": cache_type,
    }
    blanks |= {
        "input": "'Hello'",
        "draft": "owner/small",
        "adapter": "mine.gguf",
        "adapter_folder": "mine.gguf",
        "adapter_rank": "16",
        "yarn_factor": "4",
        "yarn_original_tokens": "32768",
        "device": "cuda",
        "variant": ", variant='fp16'",
        "remote_code": ", trust_remote_code=True",
        "cast": ", dtype='float16'",
        "parts": "--diffusion-model models/x.gguf",
    }
    numbers = {
        "context_checkpoints": 3,
        "context_tokens": 4096,
        "total_context_tokens": 8192,
        "parallel": 2,
        "batch_tokens": 8192,
    }
    filled = runtime.command.format(**blanks, **numbers)
    # what loads one model alone may know where that is
    loads_its_own = runtime.named_alone or runtime.parts
    assert loads_its_own or "owner/name" in filled or "name:7b" in filled
    for command in runtime.commands.values():
        assert "owner/name" in command.format(**blanks, **numbers)
    if (
        "{repository}" not in runtime.command
        and "{tag}" in runtime.command
        and runtime.repository_command
    ):
        assert "owner/name" in runtime.repository_command.format(**blanks, **numbers)
    shown = {
        "context_tokens": "4096",
        "parallel": "2",
        "kv_cache_type": cache_type,
        "shared_gpu": "OLLAMA_IGPU_ENABLE=1",
        "embedding": "'Hello'" if id == "ollama" else "--embedding",
        "reranking": "--reranking",
        "whole_batch": "-b 8192 -ub 8192",
        "checkpoints": "--ctx-checkpoints 3",
        "draft": "owner/small",
        "mtp": "mtp",
        "adapter": "mine.gguf",
        "yarn": "--rope-scale 4 --yarn-orig-ctx 32768",
    }
    for key, text in (*runtime.options.items(), *runtime.settings.items()):
        assert shown[key] in text.format(**blanks, **numbers)
    for text in runtime.settings.values():
        assert all(re.fullmatch(r"[A-Z_]+=\S+", setting) for setting in text.split())
    assert 0 < runtime.overhead_low_bytes < runtime.overhead_high_bytes
    assert runtime.overhead_source
    assert bool(runtime.crashes_with_sets) == bool(runtime.crash_remedy)
    stated = {
        "repository_command",
        "options",
        "settings",
        "serve",
        "default_context_tokens",
        "own_contexts",
        "splits_layers",
        "leaves_experts",
        "library",
        "on_shared_gpu",
        "unpacked_option",
        "crashes_with_sets",
        "crash_remedy",
        "numa_option",
        "batch_option",
        "projector_apart",
    }
    assert {
        "install",
        "command",
        "systems",
        *(key for key in stated if getattr(runtime, key)),
    } <= set(runtime.sources)
    assert runtime.overhead_how != "exact"


@each("id", [model for model in IDS if not spec_of(model).closed])
def test_something_loads_it(id: str) -> None:
    """Every open model has a runtime that serves its modality and reads a format it exists in."""
    spec = spec_of(id)
    formats = {"safetensors", "ggml" if spec.modality == "speech" else ""}
    if spec.architecture and spec.architecture.runs_in_gguf:
        formats.add("gguf")
    assert any(
        spec.modality in runtime_of(name).modalities and formats & set(runtime_of(name).formats)
        for name in RUNTIMES
    )


# releases and publishers that say it in words: huggingface/transformers release notes of v4.55.0 and v5.5.0; model cards of Qwen1.5 and
# Qwen3 ("KeyError: 'qwen2'" before 4.37.0, 'qwen3' before 4.51.0); config.json of google/gemma-3-1b-pt (4.50.0.dev0)
SAID_MINIMUMS = {
    "gpt-oss": "4.55.0",
    "gemma4": "5.5.0",
    "qwen2": "4.37.0",
    "qwen3": "4.51.0",
    "gemma3": "4.50.0",
}


@each("name", RUNTIMES)
def test_first_releases_are_of_known_architectures(name: str) -> None:
    """Each is a row, each version one that `packaging` compares, and the table has its source."""
    from packaging.version import Version

    rows = tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))[
        "architecture"
    ]
    runtime = tomllib.loads((SPECS / "runtimes" / f"{name}.toml").read_text(encoding="utf-8"))
    for table in ("minimum_versions", "last_versions", "minimum_builds", "unserved_architectures"):
        assert set(runtime.get(table, {})) <= set(rows)
        assert (table in runtime) == (table in runtime["sources"])
    assert set(runtime.get("unserved_uses", {})) <= set(USES)
    assert ("unserved_uses" in runtime) == ("unserved_uses" in runtime["sources"])
    assert ("command_version" in runtime) == ("command_version" in runtime["sources"])
    for version in (
        *runtime.get("minimum_versions", {}).values(),
        *runtime.get("last_versions", {}).values(),
        runtime.get("command_version", "0"),
    ):
        Version(version)
    assert all(re.fullmatch(r"b\d+", build) for build in runtime.get("minimum_builds", {}).values())


def test_tags_are_names_of_models_in_another_type() -> None:
    """Each tag is a name that somebody may type, and its quantization none that would be taken anyway."""
    ollama = runtime_of("ollama")
    assert ollama.tags
    assert "tags" in ollama.sources
    for tag, quantization in ollama.tags.items():
        spec = spec_of(resolve(tag, SHELF).spec_id)
        assert quantization in QUANTIZATIONS["gguf"]
        assert quantization != default_format_and_quantization(spec, ollama)[1], tag


def test_a_plain_tag_loads_a_type_that_ollama_lists() -> None:
    """`ollama run deepseek-ocr:3b` loads 6.7 GB in BF16, the only type there; `check` said Q4_K_M."""
    ollama = runtime_of("ollama")
    for tag, row in SHELF.common("ollama_tags")["tag"].items():
        spec = spec_of(resolve(tag, SHELF).spec_id)
        loaded = ollama.tags.get(tag, default_format_and_quantization(spec, ollama)[1])
        # the size listed for `llava-llama3:8b-v1.1-q4_0`, 5.5 GB, is that of Q4_K_M with its encoder
        assert loaded in row["types"] or tag == "llava-llama3:8b", tag


def test_first_releases_of_transformers_are_those_that_publishers_name() -> None:
    """What was found in the wheels is what release notes and model cards say."""
    stated = tomllib.loads((SPECS / "runtimes" / "transformers.toml").read_text(encoding="utf-8"))[
        "minimum_versions"
    ]
    assert {row: stated[row] for row in SAID_MINIMUMS} == SAID_MINIMUMS


def test_what_is_made_from_llama_is_under_its_license_too() -> None:
    """Section 1.b of each Llama license from 2 on binds whoever passes on a derivative: a maker's own license stands beside it."""
    derived = [
        spec
        for spec in map(spec_of, IDS)
        if re.search(r"llama-?[234](?!\d)|distill-llama", spec.id)
    ]
    assert len(derived) > 20
    assert [
        spec.id
        for spec in derived
        if spec.license is None or "LicenseRef-Llama-" not in (spec.license.id or "")
    ] == []
