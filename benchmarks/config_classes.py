"""What every class of transformers has of a config: `selfhost/modelfiles/classes.json` and `tests/data/config_classes.json`.

    pip install torch transformers
    python benchmarks/config_classes.py TYPE... [--only-classes]
    python benchmarks/config_classes.py --linear        # of every type of the second file: `tests/truth/linear.json`
    python benchmarks/config_classes.py --adapters      # with peft too: `tests/truth/adapters.json`

Each class is built on the meta device, so nothing is downloaded and no weight takes memory: from its own defaults with few layers, then
with each key changed and left out in turn. Its parameters are counted, and the shapes of the cache that a prompt of six tokens leaves.
A key that changes a count is one that the class reads for its weights, one that changes a shape is read for the cache. The types given
are added to both files; `--only-classes` leaves the second, which the tests read, alone. `--linear` counts the weights of linear layers
inside the blocks, which quantizers take, `--adapters` what peft trains of each class.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLASSES = ROOT / "selfhost" / "modelfiles" / "classes.json"
BUILT = ROOT / "tests" / "data" / "config_classes.json"
LINEAR = ROOT / "tests" / "truth" / "linear.json"
ADAPTERS, RANK = ROOT / "tests" / "truth" / "adapters.json", 16
PROMPT_TOKENS, FEW_LAYERS = 6, 6
LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "encoder_layers",
    "decoder_layers",
)
# what a class's defaults lack to be built
_NEEDED: dict[str, dict[str, Any]] = {
    "deepseek_v2": {"num_experts_per_tok": 6, "num_attention_heads": 32, "topk_method": "greedy"},
    "dots1": {"n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "glm4_moe": {"head_dim": 128},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128, "num_experts": 8, "moe_topk": 2},
    "lfm2_moe": {
        "num_hidden_layers": 6,
        "layer_types": ["conv", "conv", "full_attention", "conv", "conv", "full_attention"],
    },
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8},
    # its blocks are tied by names, and two layers at least must share one
    "zamba": {"num_hidden_layers": 12},
    "zamba2": {
        "num_hidden_layers": 6,
        "num_mem_blocks": 2,
        "n_mamba_heads": 80,
        "use_shared_attention_adapter": True,
        "layers_block_type": ["mamba", "mamba", "hybrid", "mamba", "hybrid", "hybrid"],
    },
}
# another word that a class knows in place of one
_WORDS = {"absolute": "rotary"}
_BY_TURNS: dict[str, Any] = {
    "layer_types": ["sliding_attention", "full_attention"] * 3,
    "per_layer_config": {str(number): {"head_dim": 512} for number in (1, 3, 5)},
}
# what is tried with more than one key: the values that it has, and the keys that it is left without
_TOGETHER: dict[str, tuple[tuple[dict[str, Any], list[str]], ...]] = {
    "bamba": (({"attn_layer_indices": [2, 5], "attention_bias": True}, []),),
    "falcon_h1": (
        ({"mamba_n_heads": 32}, ["mamba_d_ssm", "mamba_d_head"]),
        ({"mamba_d_ssm": None}, ["mamba_d_head"]),
    ),
    "gemma4_text": (
        ({"num_hidden_layers": 8}, ["layer_types", "per_layer_config"]),
        ({"layer_types": ["full_attention", *["sliding_attention"] * 5]}, ["per_layer_config"]),
        # a layer that reads another's keys and values has one of its kind before it
        ({"num_kv_shared_layers": 2, "use_double_wide_mlp": True, **_BY_TURNS}, []),
    ),
    "gemma4_unified_text": (({"num_kv_shared_layers": 2, **_BY_TURNS}, []),),
    "granitemoehybrid": (
        ({"layer_types": ["mamba", "attention"] * 3, "attention_bias": True}, []),
    ),
    "internlm3": (({"attention_bias": True, "mlp_bias": True}, []),),
}
# names that a class takes from older files, in its __post_init__
_OLDER_NAMES: dict[str, dict[str, str]] = {
    "bloom": {"n_embed": "hidden_size"},
    "distilbert": {"intermediate_size": "hidden_dim"},
    "falcon": {"n_embed": "hidden_size"},
    "lfm2": {"tie_embedding": "tie_word_embeddings", "block_ff_dim": "intermediate_size"},
    "lfm2_moe": {"tie_embedding": "tie_word_embeddings"},
    "nemotron_h": {
        "mamba_n_groups": "n_groups", "mamba_d_conv": "conv_kernel", "mamba_expand": "expand", "mamba_conv_bias": "use_conv_bias",
    },
}  # fmt: skip
# where files leave out the first it is n_heads × d_head; they always state the others (modelfiles/completeness.py, _ALWAYS_STATED)
_NO_DEFAULT = ("mamba_d_ssm", "block_auto_adjust_ff_dim", "mamba_rms_norm")
_NEITHER = re.compile(
    r"(_token_id$|id2label|label2id|architectures|torch_dtype|^dtype$|_range$|_std$|^output_|^return_dict|^use_cache$|transformers_version"
    r"|problem_type|chunk_size_feed_forward|is_encoder_decoder|_attn_implementation|^_|hidden_act|initializer|_eps|epsilon|dropout|_pdrop"
    r"|_theta$|finetuning|^prefix|summary|pruned|task_spec|coef|_loss|time_step_[^r]|softcap|^rope|temperature|jitter|_multiplier"
    r"|scoring|^activation_f|num_nextn|mtp_|scaling|_factor|^num_labels|pretraining_tp)"
)
# buffers that the GGUF file alone counts, and the frequencies of ESM's rotation, which follow from its sizes
_NOT_WEIGHTS = ("layer_scalar", "act_fn.beta", "act_fn.eps", "rotary_embeddings.inv_freq")


class Built:
    """A class built from values: its parameters, and what its cache holds by layer."""

    def __init__(self, kind: str, model_class: Any, values: dict[str, Any]) -> None:
        torch = import_module("torch")
        own = {
            key: value
            for key, value in json.loads(json.dumps(values)).items()
            if key != "model_type"
        }
        with torch.device("meta"):
            model = model_class._from_config(config_class(kind).from_dict(own))
        model.tie_weights()
        model.eval()
        passing = {
            f"{name}.{buffer}"
            for name, part in model.named_modules()
            for buffer in part._non_persistent_buffers_set
        }
        kept = [
            size
            for name, size in model.named_buffers()
            if name not in passing and not name.endswith(_NOT_WEIGHTS)
        ]
        self.parameters = sum(weight.numel() for weight in model.parameters()) + sum(
            size.numel() for size in kept
        )
        self.cache: list[Any] | str
        try:
            self.cache = list(_runs(_layers(model)))
        except (RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError):
            # an operation that has no meta kernel
            self.cache = "unknown"


def _layers(model: Any) -> Iterator[dict[str, Any]]:
    torch = import_module("torch")
    for part in model.modules():
        if type(part).__name__ == "JetMoeTopKGating":
            part.forward = partial(_first_expert, part)
        elif (
            type(part).__name__.endswith("Experts")
            and type(part).__name__ != "JetMoeParallelExperts"
        ):
            # which expert takes a token is a matter of values, which nothing has here
            part.forward = lambda hidden, *_rest, **_more: hidden
    prompt, blocks = (
        torch.zeros((1, PROMPT_TOKENS), dtype=torch.long, device="meta"),
        getattr(model.base_model, "layers", ()),
    )
    # RecurrentGemma gives none back, and keeps its states in its layers
    own = any(hasattr(part, "conv1d_state") for part in model.modules())
    cache = (
        import_module("transformers.cache_utils").DynamicCache(config=model.config) if own else None
    )
    with torch.no_grad():
        out = model(input_ids=prompt, use_cache=True, **({"past_key_values": cache} if own else {}))
    for number, layer in enumerate(
        getattr(cache or getattr(out, "past_key_values", None), "layers", ())
    ):
        found: dict[str, Any] = {}
        pair = [getattr(layer, name, None) for name in ("keys", "values")]
        if all(part is not None and part.numel() for part in pair):
            found["kv"] = [part.shape[1] * part.shape[3] for part in pair if part is not None]
            if getattr(layer, "sliding_window", None):
                found["window"] = layer.sliding_window
        states = [getattr(layer, name, None) for name in ("conv_states", "recurrent_states")]
        if any(state is not None for state in states):
            found["state"] = [_elements(state) for state in states]
        for part in blocks[number].modules() if number < len(blocks) else ():
            if getattr(part, "conv1d_state", None) is not None:
                found["state"] = [
                    _elements(part.conv1d_state),
                    _elements(part.rg_lru.recurrent_states),
                ]
        yield found


def _first_expert(gate: Any, hidden: Any) -> Any:
    """What JetMoe's gate gives where one expert takes all tokens: their order, which token each is, its share, counts and scores."""
    torch = import_module("torch")
    taken = hidden.shape[0] * gate.top_k
    order = torch.zeros(taken, dtype=torch.long, device=hidden.device)
    return (
        order,
        order,
        hidden[:1, :1].expand(taken, 1)[:, 0],
        [taken] + [0] * (gate.num_experts - 1),
        gate.layer(hidden),
    )


def _elements(state: Any) -> int:
    parts = (
        state.values()
        if isinstance(state, dict)
        else state
        if isinstance(state, list | tuple)
        else [state]
    )
    return sum(prod(part.shape[1:]) for part in parts if part is not None)


def _runs(layers: Iterator[dict[str, Any]]) -> Iterator[list[Any]]:
    """Layers beside each other that are alike, counted."""
    last: list[Any] | None = None
    for layer in layers:
        if last is not None and last[1] == layer:
            last[0] += 1
            continue
        if last is not None:
            yield last
        last = [1, layer]
    if last is not None:
        yield last


def config_class(kind: str) -> Any:
    return import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING[kind]


def model_class(kind: str) -> Any:
    """With an output matrix where the type is one that answers, else the bare class."""
    auto, config = import_module("transformers.models.auto.modeling_auto"), config_class(kind)
    answers, fills = auto.MODEL_FOR_CAUSAL_LM_MAPPING, auto.MODEL_FOR_MASKED_LM_MAPPING
    return (
        answers[config] if config in answers and config not in fills else auto.MODEL_MAPPING[config]
    )


def others(value: Any) -> list[Any]:
    """Values to try in place of one."""
    if isinstance(value, str) and value in _WORDS:
        return [_WORDS[value]]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value * 2, max(1, value // 2), value + 1] if value else [1, 2, 64]
    if isinstance(value, float):
        return [value * 1.5, value * 2]
    if value is None:
        return [True, 8, 64, 256]
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return (
            [value[::-1], ["sliding_attention", *value[1:]], ["full_attention", *value[1:]]]
            if value
            else [[1]]
        )
    return []


def examine(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of both files."""
    config, model = config_class(kind), model_class(kind)
    defaults = config(**_NEEDED.get(kind, {})).to_dict()
    fewer = {
        key: FEW_LAYERS
        for key in LAYERS
        if isinstance(defaults.get(key), int) and defaults[key] > FEW_LAYERS
    }
    values = config(**{**fewer, **_NEEDED.get(kind, {})}).to_dict()
    values = {key: value for key, value in values.items() if not _NEITHER.search(key)}
    values |= {"model_type": kind, "architectures": [model.__name__]}
    base = Built(kind, model, values)
    changes: list[list[Any]] = []
    weights, cache, tried = set[str](), set[str](), set[str]()
    for key, value in values.items():
        if key in ("model_type", "architectures"):
            continue
        rest = {name: item for name, item in values.items() if name != key}
        attempts = [([key], rest)]
        attempts += [([key, other], {**values, key: other}) for other in others(value)]
        for inner, own in value.items() if isinstance(value, dict) else ():
            attempts += [
                ([key, {**value, inner: other}], {**values, key: {**value, inner: other}})
                for other in others(own)
            ]
        for change, changed in attempts:
            try:
                found = Built(kind, model, changed)
            except Exception:
                # any class refuses impossible values in its own way
                continue
            tried.add(key)
            heavier, keeps = (
                found.parameters != base.parameters,
                found.cache != base.cache and "unknown" not in (found.cache, base.cache),
            )
            if heavier:
                weights.add(key)
            if keeps:
                cache.add(key)
            if not (heavier or keeps or len(change) == 1 or _read_elsewhere(key)):
                continue
            changes.append(
                [change, found.parameters, *([found.cache] if found.cache != base.cache else [])]
            )
    for given, left_out in _TOGETHER.get(kind, ()):
        found = Built(
            kind,
            model,
            {key: value for key, value in {**values, **given}.items() if key not in left_out},
        )
        changes.append(
            [
                [given, left_out],
                found.parameters,
                *([found.cache] if found.cache != base.cache else []),
            ]
        )
        if not left_out:
            weights.update(given if found.parameters != base.parameters else ())
            cache.update(given if found.cache != base.cache else ())
    fields = {field.name: field.default for field in dataclasses.fields(config)}
    stated = {
        key: value
        for key, value in fields.items()
        if (key in weights | cache or not _NEITHER.search(key))
        and isinstance(value, bool | int | float | str | list)
        and (key in weights | cache or isinstance(value, int))
        and key not in _NO_DEFAULT
    }
    row = {
        "defaults": stated,
        "matter": sorted(weights | cache),
        "cache": sorted(cache),
        "idle": sorted(key for key in tried - weights - cache if _read_elsewhere(key)),
        "names": {**getattr(config, "attribute_map", {}), **_OLDER_NAMES.get(kind, {})},
    }
    return row, {
        "class": model.__name__,
        "config": values,
        "parameters": base.parameters,
        "cache": base.cache,
        "changes": changes,
    }


def _read_elsewhere(key: str) -> bool:
    from selfhost.modelfiles.config_keys import CACHE_KEY, HARMLESS, WEIGHT_KEY

    return bool(CACHE_KEY.search(key) or WEIGHT_KEY.search(key)) and not HARMLESS.search(key)


def write(path: Path, key: str, entries: dict[str, Any]) -> None:
    """Add entries to a file that has one of them a line."""
    held = json.loads(path.read_text(encoding="utf-8"))
    held[key] |= entries
    lines = ",\n".join(
        f" {json.dumps(kind)}: {json.dumps(held[key][kind], separators=(',', ':'))}"
        for kind in sorted(held[key])
    )
    path.write_text(
        f'{{\n"source": {json.dumps(held["source"])},\n"{key}": {{\n{lines}\n}}\n}}\n',
        encoding="utf-8",
    )


def linear(kind: str, values: dict[str, Any]) -> int:
    """Weights of the linear layers inside blocks, shared ones once; experts in one tensor are none."""
    torch, model = import_module("torch"), on_meta(kind, values)
    parts = ((name, part) for name, part in model.named_modules() if re.search(r"\.\d+\.", name))
    weights = {
        id(part.weight): part.weight
        for _, part in parts
        if isinstance(part, torch.nn.Linear) or type(part).__name__ == "Conv1D"
    }
    return sum(weight.numel() for weight in weights.values())


def on_meta(kind: str, values: dict[str, Any]) -> Any:
    """The class with the values of a config, without memory."""
    own = {key: value for key, value in values.items() if key != "model_type"}
    with import_module("torch").device("meta"):
        model = model_class(kind)._from_config(config_class(kind).from_dict(own))
    model.tie_weights()
    return model


def adapted(kind: str, values: dict[str, Any], without: list[str] | None = None) -> list[Any]:
    """Parameters that peft trains, the modules that it adapts, and those that it refused to."""
    peft, layer = import_module("peft"), import_module("peft.tuners.tuners_utils").BaseTunerLayer
    asked = peft.LoraConfig(r=RANK, target_modules="all-linear", exclude_modules=without)
    try:
        model = peft.get_peft_model(on_meta(kind, values), asked, low_cpu_mem_usage=True)
    except ValueError as refused:
        if without or "'out_proj' is incompatible" not in str(refused):
            raise
        return adapted(kind, values, ["out_proj"])
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return [trained, sum(isinstance(part, layer) for part in model.modules()), *(without or ())]


def write_counts(
    path: Path, about: dict[str, str], counted: Callable[[str, dict[str, Any]], Any]
) -> None:
    """A file of all types."""
    held = json.loads(BUILT.read_text(encoding="utf-8"))["types"]
    lines = ",\n".join(
        f" {json.dumps(kind)}: {json.dumps(counted(kind, held[kind]['config']))}"
        for kind in sorted(held)
    )
    path.write_text(
        f'{{\n"about": {json.dumps(about)},\n"types": {{\n{lines}\n}}\n}}\n', encoding="utf-8"
    )


def write_adapters() -> None:
    """What peft trains of each type."""
    peft, transformers = (import_module(name).__version__ for name in ("peft", "transformers"))
    source = (
        f"get_peft_model of peft {peft} on classes of transformers {transformers}, by benchmarks/config_classes.py --adapters: "
        f"LoraConfig(r={RANK}, target_modules='all-linear') with the configs of tests/data/config_classes.json: parameters trained, "
        "modules adapted, and the module that it refused to adapt, which is left out"
    )
    write_counts(
        ADAPTERS, {"source": source, "license": "measurements of this project, Apache-2.0"}, adapted
    )


def write_linear() -> None:
    """The weights of linear layers of each type."""
    about = {
        "source": f"nn.Linear and Conv1D inside blocks of transformers {import_module('transformers').__version__}, by "
        "benchmarks/config_classes.py --linear: weights of the configs of tests/data/config_classes.json, routers included where linear",
        "license": "measurements of this project, Apache-2.0",
    }
    write_counts(LINEAR, about, linear)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("types", nargs="*")
    parser.add_argument("--only-classes", action="store_true")
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("--adapters", action="store_true")
    asked = parser.parse_args()
    if asked.linear:
        write_linear()
    if asked.adapters:
        write_adapters()
    for kind in asked.types:
        row, built = examine(kind)
        write(CLASSES, "classes", {kind: row})
        if not asked.only_classes:
            write(BUILT, "types", {kind: built})
        print(
            f"{kind}: {built['class']}, {built['parameters']:,} parameters, {len(built['changes'])} changes"
        )


if __name__ == "__main__":
    main()
