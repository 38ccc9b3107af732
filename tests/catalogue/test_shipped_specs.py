"""The shipped data: every spec, runtime, family and thing."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from string import Formatter
from typing import Any

import pytest

from helpers.cases import case, case_id
from helpers.paths import COMMON, DATA, SPEC_FILES
from selfhost.catalogue.architecture import Architecture
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.catalogue.spec_values import SCRATCH
from selfhost.core.units import canonical
from selfhost.needs.tensors import count_parameters, published_tensors, row_of

CONFIGS = DATA / "configs"
SHELF = open_catalogue()
IDS = sorted(SPEC_FILES)
RUNTIMES = SHELF.runtime_ids()

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
    """Whether `counted` is the number as printed (`20.91B`), which some publishers round and some
    cut: less than one of its last digit.
    """
    found = re.fullmatch(r"([0-9.]+)([BM]?)", printed)
    assert found is not None
    number, unit = found.groups()
    scale = {"": 1, "M": 10**6, "B": 10**9}[unit]
    return abs(counted - float(number) * scale) < scale * 0.1 ** len(
        number.partition(".")[2]
    )


def test_every_table_names_its_source() -> None:
    """Where a number came from stands beside it; what is left out says why."""
    for id in IDS:
        with case(id):
            values = tomllib.loads(SPEC_FILES[id].read_text(encoding="utf-8"))
            spec = spec_of(id)
            assert "sources" not in values, "they stand in a file beside it"
            tables = (
                "license openness parameters architecture components "
                "embedding availability upkeep"
            )
            for table in tables.split():
                assert table not in values or spec.sources.get(table), (
                    f"[{table}] has no source"
                )
            for key in ("uses", "inputs", "tuned_from", "released", "gated"):
                assert (getattr(spec, key) is not None) == (key in spec.sources), (
                    f"{spec.id}: {key}"
                )
            assert not spec.runtimes or "runtimes" in spec.sources, (
                f"{spec.id}: runtimes"
            )
            assert spec.uses is not None
            assert all(files["source"] for files in values.get("files", []))
            assert (spec.released is None) == ("released" in spec.unknown)
            if not spec.closed:
                assert (spec.license is None) == ("license" in spec.unknown)
                assert (spec.gated is None) == ("gated" in spec.unknown)
                assert spec.architecture is None or (
                    spec.architecture.dtype is None
                ) == ("architecture.dtype" in spec.unknown)


def test_a_thing_or_a_family_has_no_name_of_another_model() -> None:
    """The name of a thing leads to no model, and that of a family to its own."""
    taken = {
        canonical(name): model
        for model in IDS
        for name in (model, *spec_of(model).aliases, spec_of(model).repository or model)
    }
    families = {
        canonical(name): facts for name, facts in common("families")["family"].items()
    }
    tables = common("things")["thing"].items()
    things = [
        canonical(name)
        for thing, facts in tables
        for name in (thing, *facts["aliases"])
    ]
    assert len(set(things)) == len(things)
    assert not set(things) & (taken.keys() | families.keys())
    for family, facts in families.items():
        assert taken.get(family, facts["model"]) == facts["model"]
        assert {facts["model"], *facts["others"]} <= set(IDS)
        assert facts["model"] not in facts["others"]
        assert facts["why"]


# what an entry of each table of things.toml states
STATED = {
    "uncovered": {"names", "answer"},
    "hosted": {"names"},
    "line": {"names", "about", "writes", "try_instead"},
    "thing": {"kind", "answer"},
}


@pytest.mark.parametrize("table", sorted(STATED))
def test_a_thing_says_what_it_is_and_what_to_ask_instead(table: str) -> None:
    for facts in common("things")[table].values():
        assert all(facts[key] for key in STATED[table])
        assert set(facts.get("try_instead", ())) <= set(IDS)
        assert (
            table != "thing"
            or facts["try_instead"]
            or "this catalogue has no" in facts["answer"]
        )
        # what computes inside a program was read somewhere, and can be judged
        assert set(facts.get("runs_with", ())) <= set(SHELF.runtime_ids())
        assert "runs_with" not in facts or facts["source"]


def test_total_is_the_sum_over_the_architecture() -> None:
    """`parameters.total` is every tensor of the checkpoint, encoders included (rule 3 of the spec
    format).
    """
    for id in IDS:
        if not spec_of(id).architecture:
            continue
        with case(id):
            spec = spec_of(id)
            assert row_of(architecture_of(id)).name, (
                f"no row for {architecture_of(id).row}"
            )
            tensors = published_tensors(architecture_of(id))
            counted = count_parameters(tensors) + (spec.parameters.encoders or 0)
            assert spec.parameters.total is not None
            if spec.parameters.difference:
                assert counted == pytest.approx(spec.parameters.total, rel=0.005)
            else:
                assert counted == spec.parameters.total


@pytest.mark.parametrize("id", sorted(PUBLISHED_COUNTS), ids=case_id)
def test_count_is_the_one_the_publisher_prints(id: str) -> None:
    """The count rounds to what its publisher states: the wrong model, or a matrix too many, would
    not.
    """
    parameters = spec_of(id).parameters
    for counts, counted in (
        (PUBLISHED_COUNTS, parameters.total),
        (PUBLISHED_ACTIVE, parameters.active),
    ):
        if id in counts:
            printed, where = counts[id]
            assert counted is not None
            assert near(printed, counted), f"{counted:,} is not {printed} ({where})"


@pytest.mark.parametrize(
    "file",
    sorted(json.loads((CONFIGS / "sources.json").read_text(encoding="utf-8"))["files"]),
)
def test_architecture_is_that_of_config_json(file: str) -> None:
    """Sizes equal those in the publisher's own config.json, read here without any of our
    readers.
    """
    config = json.loads((CONFIGS / file).read_text(encoding="utf-8"))
    repository = file.removesuffix(".json").replace("--", "/", 1)
    architecture = next(
        architecture_of(model)
        for model in IDS
        if spec_of(model).repository == repository
    )
    length = (
        config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    )
    assert architecture.layers == config["num_hidden_layers"]
    assert architecture.embedding_length == config["hidden_size"]
    assert architecture.heads == config["num_attention_heads"]
    assert architecture.vocabulary == config["vocab_size"]
    assert architecture.context_tokens == config["max_position_embeddings"]
    assert architecture.tied_embeddings == config["tie_word_embeddings"]
    assert architecture.dtype == config.get("torch_dtype", "bfloat16")
    for group in architecture.attention:
        assert (group.kv_heads, group.key_length) == (
            config["num_key_value_heads"],
            length,
        )
    kinds = config.get("layer_types") or ["full_attention"] * architecture.layers
    sliding = {
        layer
        for group in architecture.attention
        if group.kind == "sliding"
        for layer in group.layers
    }
    assert sliding == {
        layer for layer, kind in enumerate(kinds) if kind == "sliding_attention"
    }
    assert {
        group.window_tokens
        for group in architecture.attention
        if group.kind == "sliding"
    } <= {config.get("sliding_window")}
    experts = config.get("num_experts") or config.get("num_local_experts")
    for part in architecture.feed_forward:
        assert part.length == (
            config.get("moe_intermediate_size") or config["intermediate_size"]
        )
        assert part.experts == experts
        assert part.used == (config["num_experts_per_tok"] if experts else None)


# what the lines of a runtime may leave open
BLANKS = {
    "drafted_tokens",
    "repository",
    "model_name",
    "quantization",
    "tag",
    "kv_cache_type",
    "key_type",
    "value_type",
    "input",
    "draft",
    "yarn_factor",
    "yarn_original_tokens",
    "device",
    "variant",
    "remote_code",
    "cast",
    "parts",
    "context_checkpoints",
    "context_tokens",
    "total_context_tokens",
    "parallel",
    "batch_tokens",
    "flash_attention",
    "memory_share",
    "devices",
    "file_name",
    "card",
}

# the places that are filled only for models that need the words
WORDS = {
    "remote_code",
    "steps",
    "rate",
    "cast",
    "tiled",
    "chunked",
    "result",
    "variant",
    "guidance",
    "size",
}


def blanks_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("id", RUNTIMES, ids=case_id)
def test_runtime_is_usable(id: str) -> None:
    """A runtime has its file's name, a way to get it, a command whose blanks can be filled, and a
    range that says how it is known.
    """
    runtime = runtime_of(id)
    assert runtime.id == id
    assert runtime.store in ("huggingface", "llama.cpp", "ollama", "whisper.cpp")
    assert runtime.installation.lines or runtime.installation.releases
    # what runs in the folder of its code is seen nowhere else
    runs_in_folder = runtime.command_lines.default.startswith(
        ("cd ", "conda run --cwd ")
    )
    assert (
        runtime.installation.present
        or runtime.installation.distributions
        or runs_in_folder
    )
    others = [
        line
        for key, line in runtime.command_lines.by_use.items()
        if key not in ("file", "users_file", "long_embedding")
    ]
    lines = (
        runtime.command_lines.default,
        *others,
        *runtime.command_lines.options.values(),
        *runtime.command_lines.variables.values(),
    )
    assert set().union(*map(blanks_of, lines)) <= BLANKS
    # what loads one model alone may know where that is
    loads_its_own = runtime.named_alone or runtime.parts
    names_model = {"repository", "tag", "model_name"} & blanks_of(
        runtime.command_lines.default
    )
    assert loads_its_own or names_model
    assert all("repository" in blanks_of(line) for line in others)
    for text in runtime.command_lines.variables.values():
        assert all(re.fullmatch(r"[A-Z_]+=\S+", setting) for setting in text.split())
    assert 0 < runtime.memory.overhead_low_bytes < runtime.memory.overhead_high_bytes
    assert runtime.memory.overhead_source
    assert bool(runtime.platforms.crashes_with_sets) == bool(
        runtime.platforms.crash_remedy
    )
    assert {"installation.lines", "command_lines.default", "platforms.systems"} <= set(
        runtime.sources
    )
    asked = {
        "context_tokens",
        "parallel",
        "kv_cache_type",
        "yarn",
        "embedding",
        "reranking",
        "whole_batch",
        "context_checkpoints",
        "shared_gpu",
        "flash_attention",
        "memory_share",
        "sampled",
        "unpacked",
        "tensor_parallel",
        "one_device",
        "address",
        "adapter",
        "draft",
        "mtp",
        "mtp_file",
    }
    assert runtime.companions.keys() <= {"draft", "mtp"}
    assert {*runtime.command_lines.options, *runtime.command_lines.variables} <= asked
    # words that only some models need have a text wherever a line has a place for them
    rule_lines = []
    for rule in runtime.quantizations.values():
        rule_lines += [rule.command, *rule.offload_commands.values()]
    inputs = runtime.command_lines.inputs.values()
    offloaded = runtime.command_lines.offload.values()
    places = set().union(*map(blanks_of, (*lines, *rule_lines, *inputs, *offloaded)))
    assert places & WORDS <= set(runtime.command_lines.blanks) <= WORDS
    assert not runtime.command_lines.variables or runtime.command_lines.serve
    assert not runtime.platforms.from_source or runtime.platforms.source_build
    systems = (
        *runtime.platforms.systems,
        *runtime.platforms.from_source,
        *runtime.platforms.big_endian_systems,
        *runtime.gpus.unused_systems,
    )
    assert all(re.fullmatch(r"\w+-\w+", system) for system in systems)
    rules: list[Any] = [
        runtime.gpus,
        *runtime.quantizations.values(),
        *runtime.cache_rules.values(),
    ]
    assert all(
        re.fullmatch(r"\d+\.\d", rule.compute_capability or "8.0") for rule in rules
    )
    assert runtime.library == id or "library" in runtime.sources
    typed = runtime.command_lines
    for key, value in {
        "command_lines.options": typed.options,
        "command_lines.variables": typed.variables,
        "command_lines.serve": typed.serve,
        "layers.split": runtime.layers.split,
        "platforms.crashes_with_sets": runtime.platforms.crashes_with_sets,
    }.items():
        assert not value or key in runtime.sources


def test_something_loads_it() -> None:
    """Every open model has a runtime that serves its modality and reads a format it exists in."""
    for id in IDS:
        if spec_of(id).closed:
            continue
        with case(id):
            spec = spec_of(id)
            formats = {"safetensors", "ggml" if spec.modality == "speech" else ""}
            if spec.architecture and spec.architecture.runs_in_gguf:
                formats.add("gguf")
            assert any(
                spec.modality in runtime_of(name).modalities
                and formats & set(runtime_of(name).formats)
                for name in RUNTIMES
            )


@cache
def shipped() -> tuple[ModelSpec, ...]:
    """All models, read when the first test asks for them."""
    return tuple(spec_of(id) for id in IDS)


def test_what_comes_after_a_model_is_later() -> None:
    """A model is superseded by a later one, and retired after its release."""
    wrong = []
    for spec in shipped():
        after = spec.upkeep.superseded_by
        if after and spec.released:
            released = spec_of(after).released
            # a date may be a month or a year alone
            if released and str(released) < str(spec.released)[: len(str(released))]:
                wrong.append((spec.id, spec.released, after, released))
        retired = spec.availability.retired if spec.availability else None
        if retired and spec.released and str(retired) < str(spec.released):
            wrong.append((spec.id, spec.released, "retired", retired))
    assert wrong == []


def test_nothing_in_the_catalogue_is_later_than_its_day() -> None:
    """`python tools/release.py --specs` writes the day."""
    stated = tomllib.loads((COMMON / "format.toml").read_text(encoding="utf-8"))
    day = stated["as_of"]
    offers = (COMMON / "offers.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(offers[0])["as_of"] <= day
    later = {spec.id for spec in shipped() if (spec.released or "") > day}
    assert later == set()


# a number of parameters (`8x7b`, `450m`) and a version (`2.5`) as names of repositories state them
SIZE = re.compile(r"(?<![\w.])(?:\d+x)?\d+(?:\.\d+)?[bm](?![a-z0-9])", re.IGNORECASE)
VERSION = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.bm])", re.IGNORECASE)


def stated_in(names: Iterable[str], shape: re.Pattern[str]) -> set[str]:
    """What the names state in that shape, in lower case."""
    return {match[0].lower() for name in names for match in shape.finditer(name)}


def test_files_are_those_of_the_model() -> None:
    """A repository of files states no other size and no other version than the model's names:
    LFM2-VL 450M had the repository of LFM2.5-VL 1.6B.
    """
    wrong = []
    for spec in shipped():
        if spec.closed:
            continue
        own = {spec.id, spec.name, spec.repository or "", *spec.aliases}
        for files in spec.files:
            named = [(files.repository or "").rpartition("/")[2], *files.names.values()]
            sizes = stated_in(named, SIZE)
            versions = stated_in(named, VERSION)
            if (
                sizes and stated_in(own, SIZE) and not sizes & stated_in(own, SIZE)
            ) or (versions - stated_in(own, VERSION)):
                wrong.append((spec.id, named))
    assert wrong == []


def test_every_use_has_a_table_and_every_table_a_use() -> None:
    """specs/common/uses.toml explains every use, and spells no key wrong."""
    for facts in common("uses")["use"].values():
        assert facts.keys() - {"purpose", "special_first", "also"} == {
            "label",
            "sentence",
            "answers",
            "general",
            "makes",
        }
        assert isinstance(facts["answers"], bool)
        assert isinstance(facts["general"], bool)
        assert facts["makes"] in {
            "text",
            "numbers",
            "speech",
            "images",
            "video",
            "music",
        }
        assert facts["sentence"].endswith(".")


def test_the_main_use_fits_the_modality() -> None:
    """Embedding models make numbers, those of images, video and music these, the others text;
    speech models write, speak, or make numbers of a recording.
    """
    makes = {
        "embedding": "numbers",
        "image": "images",
        "video": "video",
        "music": "music",
    }
    of_speech = {
        "speech-synthesis": "speech",
        "speech-recognition": "text",
        "audio-encoder": "numbers",
    }
    for spec in shipped():
        assert spec.uses is not None
        made = of_speech.get(spec.uses[0], makes.get(spec.modality, "text"))
        assert common("uses")["use"][spec.uses[0]]["makes"] == made, spec.id
        assert (spec.uses[0] in of_speech) == (spec.modality == "speech"), spec.id


def test_what_a_model_was_tuned_from_is_another_model() -> None:
    """An id is one of the catalogue, and following it comes to an end; a repository that the
    catalogue has stands as its id.
    """
    ids = {spec.repository.lower(): spec.id for spec in shipped() if spec.repository}
    for spec in shipped():
        seen = [spec.id]
        origin = spec.tuned_from
        known = ids.get((origin or "").lower())
        assert known is None, f'{spec.id}: write tuned_from = "{known}"'
        while origin and origin != SCRATCH and "/" not in origin:
            assert origin not in seen
            seen.append(origin)
            origin = spec_of(origin).tuned_from


def test_a_sentence_leaves_the_name_of_a_provider_as_it_is() -> None:
    """`XAI retired it on 2026-05-15.`"""
    closed = open_catalogue().spec("grok-4").availability
    assert closed is not None
    assert closed.sentences[-1] == "xAI retired it on 2026-05-15."
