"""config.json becomes a spec: every key that bears on weights or cache is understood or named."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.ggufs import ROWS, make, measured
from helpers.local_models import JSON_VALUES, again, config, problem, reads_or_refuses
from helpers.paths import COMMON, CONFIGS, DATA, HEADERS, TRUTH
from selfhost import SpecError, Workload, check
from selfhost.catalogue.architecture import Architecture
from selfhost.catalogue.index import Catalogue
from selfhost.machine.profiles import load
from selfhost.modelfiles import read_local
from selfhost.modelfiles.config import encoder_parameters
from selfhost.modelfiles.config_tables import config_class_of, model_type_of
from selfhost.needs import decode_bytes_by_type
from selfhost.needs.tensors import cache_groups, row_of

_CONFIGS_2026: dict[str, dict[str, Any]] = json.loads(
    (DATA / "configs_2026.json").read_text(encoding="utf-8")
)["configs"]


@cache
def configs() -> list[dict[str, Any]]:
    found = json.loads((HEADERS / "configs.json").read_text(encoding="utf-8"))["files"]
    assert isinstance(found, list)
    return found


def kept(architecture: Architecture) -> int:
    """Elements that the cache has for a token without windows."""
    groups = cache_groups(architecture)
    return sum(
        group.layers * (group.key_elements + group.value_elements) for group in groups
    )


# of what the published facts say of a model, what does not follow from its config.json, and why
_NO_LANGUAGE_MODEL = {"sudo-ai--zero123plus-v1.1.json", "preset--mlc-rwkv5_3b.json"}


def test_published_configs_give_the_published_facts() -> None:
    """Of at least nine in ten the cache is exact, of four in five the parameters are within 5 %; of
    the others the spec says why.
    """
    caches = weights = told = weighed = 0
    for entry in configs():
        if entry["file"] in _NO_LANGUAGE_MODEL or entry["expected"] is None:
            continue
        spec = read_local(CONFIGS / entry["file"]).spec
        expected = entry["expected"]
        assert again(spec) == spec
        stated = expected["kv_bytes_per_token_f16_unwindowed"]
        total = expected["total_parameters"]
        if stated is not None:
            told += 1
            if spec.architecture is None:
                assert spec.unknown["architecture"]
            else:
                assert 2 * kept(spec.architecture) == stated, entry["file"]
                caches += 1
        if total is not None:
            weighed += 1
            if spec.parameters.total is None:
                assert spec.unknown["parameters.total"]
            weights += spec.parameters.total == pytest.approx(total, rel=0.05)
    print(f"cache {caches} of {told}, parameters {weights} of {weighed}")
    assert caches >= 0.9 * told
    assert weights >= 0.8 * weighed


def test_a_published_config_tells_what_the_gguf_file_does(tmp_path: Path) -> None:
    """Of one model both give the same layers, heads, widths and matrices; where a config.json is
    not read whole, it says so.
    """
    # what only one of the two files says
    apart = {
        "dtype",
        "matrix_dtype",
        "expert_dtype",
        "apart",
        "rope_positions",
        "context_tokens",
        "positions",
        "vocabulary_gguf",
        "mtp_layers",
        "tensors",
        "quantizer",
        "vocabulary",
        "attention_bias",
        "query_key_norm",
        "also",
        "lacks",
        "rope_factors",
        "parallel_norms",
        "gate",
    }
    models = {name: model for name, model in measured().items() if "config" in model}
    same = 0
    for name, model in models.items():
        file = tmp_path / "config.json"
        if isinstance(model["config"], str):
            file = CONFIGS / model["config"]
        else:
            file.write_text(json.dumps(model["config"]), encoding="utf-8")
        said = read_local(file).spec
        stored = read_local(make(tmp_path, name)).spec
        assert stored.architecture is not None
        if said.architecture is None or said.parameters.total is None:
            assert {"architecture", "parameters.total"} & said.unknown.keys()
            continue
        for field in set(type(said.architecture)._fields) - apart:
            ours = getattr(said.architecture, field)
            theirs = getattr(stored.architecture, field)
            assert ours == theirs, (name, field)
        same += 1
    assert same >= 0.5 * len(models)


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        # LlamaConfig of transformers: hidden_size 4096, num_hidden_layers 32, vocab_size 32000
        pytest.param(
            ["hidden_size", "num_hidden_layers"],
            "hidden_size 4096, num_hidden_layers 32",
            id="width and layers",
        ),
        pytest.param(["vocab_size"], "vocab_size 32000", id="tokens"),
        pytest.param(["num_key_value_heads", "sliding_window"], None, id="no size"),
    ],
)
def test_sizes_that_transformers_fills_in_are_told(
    left_out: list[str],
    told: str | None,
    tmp_path: Path,
) -> None:
    """A file without its sizes was judged as Llama 7B without a word."""
    path = config(tmp_path, model_type="llama", architectures=["LlamaForCausalLM"])
    values = json.loads(path.read_text(encoding="utf-8"))
    for key in left_out:
        del values[key]
    path.write_text(json.dumps(values), encoding="utf-8")
    notes = " ".join(read_local(str(path)).notes)
    assert ("of its class in transformers" in notes) == (told is not None)
    assert (told or "") in notes


def test_the_size_of_an_encoder_is_estimated() -> None:
    """By its layers and widths: of eight in ten within 50 %, which is a few percent of the model;
    files of weights have it exactly.
    """
    entries = json.loads((TRUTH / "encoders.json").read_text(encoding="utf-8"))[
        "classes"
    ]
    near = 0
    for entry in entries:
        parts = [entry["config"].get(key) for key in ("vision_config", "audio_config")]
        sizes = [
            encoder_parameters(part, entry["text_width"]) for part in parts if part
        ]
        near += abs(sum(sizes) / entry["encoders"] - 1) < 0.5
    assert near >= 0.8 * len(entries)


def test_every_model_type_names_a_row_and_explains_its_keys() -> None:
    """A row that is misspelled would make a model unknown."""
    text = (COMMON / "model_types.toml").read_text(encoding="utf-8")
    head = text.partition("schema =")[0]
    table = tomllib.loads(text)
    keys = ("row", "row_of_ocr", "row_with_experts", "row_without_states")
    for name, kind in table["model_type"].items():
        for row in [kind[key] for key in keys if key in kind]:
            assert row in ROWS["architecture"], name
        assert all(f"# {key} " in head for key in kind)
        assert model_type_of(name).row == kind.get("row", "")
    for row, names in table["plain"].items():
        assert row in ROWS["architecture"]
        assert {model_type_of(name).row for name in names} == {row}


def test_a_name_does_not_lead_to_a_key_that_the_class_ignores() -> None:
    """A file with a key of that name would be read as if it did not have it."""
    table = tomllib.loads((COMMON / "model_types.toml").read_text(encoding="utf-8"))
    decided = {"num_kv_shared_layers", *table["sizes"]["table_length"]}
    for name, kind in table["model_type"].items():
        known = config_class_of(name)
        if known is None:
            continue
        targets = decided.intersection(kind.get("names", {}).values())
        assert targets <= set(known.matter), name


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model_type": "brandnew", "sliding_window": 512}, "sliding_window"),
        ({"layer_types": ["telepathic_attention"] * 32}, "telepathic_attention"),
        ({"kv_lora_rank_of_a_new_kind": 4}, "kv_lora_rank_of_a_new_kind"),
        ({"kv_compress_rate": 4}, "kv_compress_rate"),
        ({"model_type": "llama", "sliding_window": 4096}, "sliding_window"),
        # of a class that nobody knows every head may keep keys and values, or one in eight
        (
            {"model_type": "brandnew", "num_key_value_heads": None},
            "num_key_value_heads",
        ),
        ({"num_key_value_heads": [1, 2, 3]}, "num_key_value_heads"),
        ({"num_attention_heads": None}, "num_attention_heads"),
        ({"hidden_size": "wide"}, "hidden_size"),
        # transformers 5.23.0: "Field 'num_hidden_layers' expected int, got list", and so of bool
        # and float
        ({"num_hidden_layers": [32]}, "num_hidden_layers is [32]"),
        ({"num_hidden_layers": 32.0}, "num_hidden_layers is 32.0"),
        ({"num_key_value_heads": True}, "num_key_value_heads is true"),
        ({"head_dim": [128, 128]}, "head_dim is [128, 128]"),
        ({"sliding_window": 4096.5}, "sliding_window is 4096.5"),
        ({"attn_layer_indices": [9, 18, 27]}, "attn_layer_indices"),
        ({"linear_attn_config": {"full_attn_layers": [4]}}, "full_attn_layers"),
        ({"model_type": "lfm2", "full_attn_idxs": [2.5]}, "full_attn_idxs is [2.5]"),
        ({"layer_types": ["full_attention"] * 3}, "layer_types"),
        ({"num_hidden_layers": 10**30}, "num_hidden_layers is 1000000"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"vocab_size": 0}, "vocab_size is 0"),
        (
            {
                "architectures": ["BertForMaskedLM"],
                "model_type": "bert",
                "tie_word_embeddings": False,
            },
            "tie_word_embeddings",
        ),
        (
            {
                "sparse_attention_config": {
                    "sparse_index_dim": 128,
                    "sparse_num_index_heads": 4,
                }
            },
            "sparse_index_dim",
        ),
    ],
)
def test_a_key_that_changes_the_cache_and_is_not_understood_is_named(
    changes: dict[str, object], key: str, tmp_path: Path
) -> None:
    """Never a guess: the architecture is unknown, with the key."""
    spec = read_local(config(tmp_path, **changes)).spec
    assert spec.architecture is None
    assert key in spec.unknown["architecture"]
    assert again(spec) == spec


@pytest.mark.parametrize(
    ("changes", "full_layers"),
    [
        pytest.param({"max_window_layers": 32}, 32, id="no layer slides"),
        pytest.param({"max_window_layers": 21}, 21, id="the last layers slide"),
        pytest.param({"max_window_layers": 0}, 0, id="all layers slide"),
        # the default of Qwen2Config
        pytest.param({}, 28, id="not stated"),
        pytest.param({"use_sliding_window": False}, 32, id="no window is used"),
    ],
)
def test_layers_slide_from_max_window_layers_on(
    changes: dict[str, object], full_layers: int, tmp_path: Path
) -> None:
    """As configuration_qwen2.py of transformers has it."""
    qwen = {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4096}
    architecture = read_local(config(tmp_path, **(qwen | changes))).spec.architecture
    assert architecture is not None
    sliding: list[int] = []
    for group in architecture.attention:
        if group.kind == "sliding":
            assert group.window_tokens == 4096
            sliding += group.layers
    assert sliding == list(range(full_layers, 32))


def test_a_class_without_max_window_layers_ignores_the_key(tmp_path: Path) -> None:
    """The class of Qwen3 MoE in transformers does not know it, though its files state it."""
    window = {"sliding_window": 4096, "max_window_layers": 32}
    qwen = {"model_type": "qwen3_moe", "use_sliding_window": True}
    spec = read_local(config(tmp_path, **qwen, **window)).spec
    assert "sliding_window" in spec.unknown["architecture"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param([None], "is [null],", id="null"),
        pytest.param({"a": False}, 'is {"a": false},', id="object"),
        pytest.param(["é", 0.5], 'is ["é", 0.5],', id="array"),
    ],
)
def test_a_value_is_quoted_as_the_file_has_it(
    value: object, told: str, tmp_path: Path
) -> None:
    """Of a `null` nobody finds `None` in the file."""
    spec = read_local(config(tmp_path, num_key_value_heads=value)).spec
    assert f"num_key_value_heads {told}" in spec.unknown["architecture"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"num_hidden_layers": "32", "hidden_size": 4.5, "vocab_size": []},
            'num_hidden_layers is "32", neither one whole number nor one for each layer; '
            "hidden_size is 4.5, neither one whole number nor one for each layer; "
            "vocab_size is [], neither one whole number nor one for each layer",
            id="values that are no numbers",
        ),
        pytest.param(
            {"hidden_size": None, "num_attention_heads": None},
            "hidden_size is missing; num_attention_heads is missing",
            id="missing keys",
        ),
        pytest.param(
            {"hidden_size": None, "hiden_size": 4096, "num_attention_heads": 0},
            "hidden_size is missing (hiden_size: did you mean hidden_size?); "
            "num_attention_heads is 0",
            id="a slip and a zero",
        ),
        pytest.param(
            {"hidden_size": "wide", "layer_types": ["x"] * 31 + ["y"]},
            'hidden_size is "wide", neither one whole number nor one for each layer; '
            'layer_types: "x" is not understood; layer_types: "y" is not understood',
            id="kinds of layers",
        ),
        pytest.param(
            {"num_attention_heads": "x", "intermediate_size": "y"},
            'num_attention_heads is "x", neither one whole number nor one for each layer; '
            'intermediate_size is "y", neither one whole number nor one for each layer',
            id="cache and weights",
        ),
        pytest.param(
            {"num_attention_heads": "x", "num_key_value_heads": 33},
            'num_attention_heads is "x", neither one whole number nor one for each layer',
            id="no contradiction that follows from a fault",
        ),
    ],
)
def test_every_fault_of_a_config_is_told_at_once(
    changes: dict[str, object], told: str, tmp_path: Path
) -> None:
    spec = read_local(config(tmp_path, **changes)).spec
    assert spec.unknown["architecture"] == told
    assert again(spec) == spec


def test_every_fault_of_the_weights_is_told_at_once(tmp_path: Path) -> None:
    changes = {"num_local_experts": 8.5, "intermediate_size": "y"}
    spec = read_local(config(tmp_path, **changes)).spec
    assert spec.architecture is not None
    assert spec.unknown["parameters.total"].endswith(
        ": num_local_experts is 8.5, neither one whole number nor one for each layer; "
        'intermediate_size is "y", neither one whole number nor one for each layer'
    )


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"num_attention_heads": list("x" * 4096)}, id="one fault"),
        pytest.param(
            {"num_attention_heads": [f"x{number}" for number in range(4096)]},
            id="many faults",
        ),
    ],
)
def test_a_config_with_many_faults_has_a_short_answer(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    """A hostile file makes no long report."""
    spec = read_local(config(tmp_path, **wrong)).spec
    assert len(spec.unknown["architecture"]) < 2_000


@pytest.mark.parametrize("runtime", ["llama.cpp", None])
def test_a_config_without_a_key_is_unknown_and_not_unsupported(
    runtime: str | None, tmp_path: Path
) -> None:
    """Llama without vocab_size: llama.cpp knows the architecture, what is not known is the size;
    the key is named.
    """
    verdict = check(
        config(tmp_path, model_type="llama", vocab_size=None),
        Workload(runtime=runtime),
        machine=load("aws-m7i.2xlarge").machine,
    )
    assert verdict.route == "unknown"
    reasons = {finding.check: finding.reason for finding in verdict.findings}
    assert "vocab_size is missing" in reasons["memory"]
    assert "architecture" not in reasons["runtime"]


@pytest.mark.parametrize(
    "changes",
    [
        {"num_experts_of_a_new_kind": 64},
        {"vocab_size": None},
        {"intermediate_size": [1, 2]},
    ],
)
def test_cache_and_weights_are_judged_apart(
    changes: dict[str, object], tmp_path: Path
) -> None:
    """What is not understood of the weights leaves the cache known, and no row by which weights
    would be believed.
    """
    spec = read_local(config(tmp_path, **changes)).spec
    assert spec.architecture is not None
    assert spec.parameters.total is None
    assert next(iter(changes)) in spec.unknown["parameters.total"]
    assert not row_of(spec.architecture).name
    assert kept(spec.architecture) == 65_536


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="without experts"),
        pytest.param({"num_experts": 8, "num_experts_per_tok": 2}, id="with experts"),
    ],
)
def test_layers_that_share_a_cache_are_read_of_any_type(
    changes: dict[str, object], tmp_path: Path
) -> None:
    """No dense layer needs be there to read the key."""
    unknown = {"model_type": "new", "num_kv_shared_layers": 2, **changes}
    spec = read_local(config(tmp_path, **unknown)).spec
    assert spec.architecture is not None
    assert spec.architecture.cache_layers == 30


@pytest.mark.parametrize(
    ("values", "parameters", "elements"),
    [
        # its card: 12,143,605,760 parameters, with a second norm that its parallel layers lack
        pytest.param(
            {
                "model_type": "stablelm",
                "hidden_size": 5120,
                "intermediate_size": 13824,
                "num_hidden_layers": 40,
                "use_parallel_residual": True,
                "qk_layernorm": True,
                "vocab_size": 100_352,
            },
            12_143_605_760,
            2 * 40 * 8 * 160,
            id="StableLM 2 12B",
        ),
        # the total of its safetensors files; every fourth layer and the last keep a latent of 512
        # and a rotated part of 64 (KimiMLAAttention of its modeling_kimi.py)
        pytest.param(
            {
                "architectures": ["KimiLinearForCausalLM"],
                "model_type": "kimi_linear",
                "first_k_dense_replace": 1,
                "head_dim": 72,
                "hidden_size": 2304,
                "intermediate_size": 9216,
                "kv_lora_rank": 512,
                "linear_attn_config": {
                    "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
                    "head_dim": 128,
                    "num_heads": 32,
                    "short_conv_kernel_size": 4,
                },
                "moe_intermediate_size": 1024,
                "num_experts": 256,
                "num_experts_per_token": 8,
                "num_hidden_layers": 27,
                "num_key_value_heads": 32,
                "num_shared_experts": 1,
                "q_lora_rank": None,
                "qk_nope_head_dim": 128,
                "qk_rope_head_dim": 64,
                "v_head_dim": 128,
                "vocab_size": 163_840,
            },
            49_122_681_728,
            7 * (512 + 64),
            id="Kimi Linear 48B",
        ),
    ],
)
def test_layers_named_in_a_way_of_their_own_are_read(
    values: dict[str, object], parameters: int, elements: int, tmp_path: Path
) -> None:
    """Published sizes of models whose keys say in their own way which layer is what."""
    spec = read_local(config(tmp_path, **values)).spec
    assert spec.architecture is not None
    assert spec.parameters.total == pytest.approx(parameters, rel=1e-4)
    assert kept(spec.architecture) == elements


def test_the_state_of_a_kda_layer_has_the_heads_of_its_own() -> None:
    """Kimi K3: 69 of 93 layers keep 128 × 128 numbers for each of 96 heads (KimiDeltaAttention);
    `head_dim` beside `linear_attn_config` is of no layer.
    """
    spec = read_local(CONFIGS / "moonshotai--Kimi-K3.json").spec
    assert spec.architecture is not None
    assert spec.architecture.row == "kimi-k3"
    [state] = spec.architecture.recurrent
    assert len(state.layers) == 69
    assert (state.heads, state.key_length, state.convolution) == (96, 128, 4)


def test_the_rank_of_a_time_step_is_rounded_up(tmp_path: Path) -> None:
    """MambaConfig of transformers: `math.ceil(hidden_size / 16)`."""
    values = {"hidden_size": 776, "num_hidden_layers": 2, "vocab_size": 50_280}
    path = config(tmp_path, model_type="mamba", time_step_rank="auto", **values)
    spec = read_local(path).spec
    assert spec.architecture is not None
    [state] = spec.architecture.recurrent
    assert state.time_step_rank == 49


@pytest.mark.parametrize(
    ("kinds", "row"),
    [
        pytest.param(["attention", "attention"], "granite", id="attention alone"),
        pytest.param(["mamba", "attention"], "granitehybrid", id="with a state"),
    ],
)
def test_a_granite_without_states_has_the_row_of_the_plain_one(
    kinds: list[str], row: str, tmp_path: Path
) -> None:
    """llama.cpp writes Granite 4.0 1B, whose layers all attend, as `granite`."""
    values = {
        "model_type": "granitemoehybrid",
        "hidden_size": 1024,
        "layer_types": kinds,
        "num_attention_heads": 16,
        "num_hidden_layers": 2,
        "num_local_experts": 0,
        "shared_intermediate_size": 2048,
        "vocab_size": 100_352,
    }
    spec = read_local(config(tmp_path, **values)).spec
    assert spec.architecture is not None
    assert spec.architecture.row == row


def test_a_type_with_the_name_of_a_row_has_not_its_tensors(tmp_path: Path) -> None:
    """No key says that a model type of this name is that architecture of llama.cpp."""
    spec = read_local(config(tmp_path, model_type="muse_spark")).spec
    assert spec.architecture is not None
    assert spec.parameters.total is None
    assert not row_of(spec.architecture).name


@pytest.mark.parametrize("id", _CONFIGS_2026)
def test_a_config_json_gives_the_layers_of_the_shipped_spec(
    id: str, tmp_path: Path
) -> None:
    """What `spec new` writes of a release is what its row holds: layers, tables of n-grams and
    prediction blocks.
    """
    path = tmp_path / "config.json"
    path.write_text(json.dumps(_CONFIGS_2026[id]), encoding="utf-8")
    spec = read_local(path).spec
    shipped = Catalogue.open().spec(id)
    assert spec.architecture is not None
    assert shipped.architecture is not None
    assert spec.architecture.row == shipped.architecture.row
    assert spec.architecture.ngrams == shipped.architecture.ngrams
    assert kept(spec.architecture) == kept(shipped.architecture)
    written, held = [
        (each.parameters.total or 0) - (each.parameters.encoders or 0)
        for each in (spec, shipped)
    ]
    assert written == held > 0


def test_heads_and_indexes_are_those_that_the_class_builds(tmp_path: Path) -> None:
    """Falcon without `multi_query` keeps every head, whatever `num_kv_heads` says; GLM 5.2 has an
    index in layers of type `full` alone.
    """
    for single, heads in ((True, 1), (False, 32)):
        path = config(tmp_path, model_type="falcon", multi_query=single, num_kv_heads=8)
        falcon = read_local(path).spec.architecture
        assert falcon is not None
        assert kept(falcon) == 32 * 2 * 128 * heads
    path = CONFIGS / "zai-org--GLM-5.2-FP8.json"
    glm = read_local(path).spec.architecture
    assert glm is not None
    types = json.loads(path.read_text(encoding="utf-8"))["indexer_types"]
    indexed = [
        each for group in glm.attention if group.indexer_heads for each in group.layers
    ]
    assert sorted(indexed) == [
        layer for layer, kind in enumerate(types) if kind == "full"
    ]


@pytest.mark.parametrize(
    ("name", "are_experts_alone"),
    [
        pytest.param("re:.*self_attn.*", True, id="expression"),
        pytest.param("model.layers.0.self_attn*", True, id="star"),
        pytest.param("self_attn.self_attn.q*", True, id="twice"),
        pytest.param("self_attn*.q_proj", False, id="star inside"),
        pytest.param("model.layers.0.self_attn", False, id="no star"),
        # a search that began anew at each `self_attn` and read to the end took minutes
        pytest.param("self_attn" * 100_000, False, id="long"),
        pytest.param("self_attn" * 100_000 + "*", True, id="long with star"),
    ],
)
def test_experts_are_alone_where_all_attention_is_left_out(
    name: str, are_experts_alone: bool, tmp_path: Path
) -> None:
    published = CONFIGS / "moonshotai--Kimi-K2.5.json"
    values = json.loads(published.read_text(encoding="utf-8"))
    values["text_config"]["quantization_config"]["ignore"] = [name]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    spec = read_local(path).spec
    assert ("architecture.matrix_dtype" not in spec.unknown) is are_experts_alone


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"added_tokens_decoder": {}, "chat_template": "x"}, "added_tokens_decoder"),
        ({"weight_map": {"a": "b"}}, "weight_map"),
        ({"peft_type": "LORA", "r": 8}, "peft_type"),
        ({"model_type": "siglip", "hidden_size": 8}, "keys model_type, hidden_size"),
        ({}, "empty"),
        ([1, 2], "not a JSON object"),
    ],
)
def test_json_that_is_no_model_is_named(
    content: object, says: str, tmp_path: Path
) -> None:
    """The message says what the file seems to be."""
    path = tmp_path / "some.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert says in problem(path)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_mutation_of_a_config_is_a_traceback(
    data: st.DataObject, tmp_path: Path
) -> None:
    """Whatever values the keys of a real config.json get: a spec that can be written down, or a
    `SpecError`.
    """
    file = data.draw(st.sampled_from(configs()))["file"]
    values = json.loads((CONFIGS / file).read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(1, 4))):
        part = values
        nests = [key for key in part if isinstance(part[key], dict) and part[key]]
        if nests and data.draw(st.sampled_from([True, False])):
            part = part[data.draw(st.sampled_from(nests))]
        key = data.draw(st.sampled_from(sorted(part)))
        if data.draw(st.booleans()):
            del part[key]
        else:
            part[key] = data.draw(
                JSON_VALUES
                | st.sampled_from(
                    [0, -1, 10**9, 2**63, "", [], {}, [[1]], [None], {"a": None}]
                )
            )
        if not part:
            break
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    reads_or_refuses(path)


def test_too_many_parameters_of_blocks_that_predict_are_refused(tmp_path: Path) -> None:
    """The blocks alone have more than a spec may state: the spec could not be read again."""
    file = "nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-FP8.json"
    values = json.loads((CONFIGS / file).read_text(encoding="utf-8"))
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**values, "hidden_size": 10**9}), encoding="utf-8")
    with pytest.raises(SpecError, match=r"2\.0e\+18 parameters"):
        read_local(path)


def test_a_model_that_runs_through_its_layers_again_reads_them_again(
    tmp_path: Path,
) -> None:
    """Nanbeige 4.2 3B: 22 layers, run through twice. Of the published Q4_K_M 1,865,048,064 bytes
    are layers and 418,682,880 the output matrix (its tensor table); the parameters are stored, and
    counted, once.
    """
    local = read_local(make(tmp_path, "nanbeige4.2-3b"))
    architecture = local.spec.architecture
    assert architecture is not None
    assert (architecture.layers, architecture.stored_layers) == (44, 22)
    read = decode_bytes_by_type(local.spec, None, "gguf", "Q4_K_M")
    assert sum(read.values()) == 2 * 1_865_048_064 + 418_682_880 + 4 * 3072
    layer = 2 * 3072 * 6144 + 2 * 3072 * 1024 + 3 * 3072 * 10_752 + 2 * 3072
    assert local.spec.parameters.total == 22 * layer + 2 * 3072 * 166_144 + 3072
