"""Every class of transformers that a config.json is read for: weights and cache as the class itself
has them.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import pytest

from helpers.cases import case_id
from helpers.paths import DATA, TRUTH
from selfhost.catalogue.architecture import Architecture
from selfhost.core.errors import SpecError
from selfhost.core.tables import shipped_table
from selfhost.modelfiles import LocalModel
from selfhost.modelfiles.config import read_config
from selfhost.needs.tensors import row_of, states
from selfhost.needs.weight_files import linear_layers

CLASSES = shipped_table("config_classes")["class"]
# the keys and values of a config.json
Config = dict[str, Any]
# what transformers holds of a layer: elements of keys and values for a token and the window, and of
# its state
Layer = dict[str, Any]
# how many layers in a row hold the same; "unknown" where the class was not asked
Runs = list[tuple[int, Layer]] | str | None


class BuiltClass(TypedDict):
    """A config, what the class had of it, and the same for single keys changed or left out.

    A change is a list of what was changed, the parameters, and the cache where it differs.
    """

    config: Config
    parameters: int
    cache: Runs
    changes: list[list[Any]]


@cache
def built() -> dict[str, BuiltClass]:
    """Model types by name."""
    text = (DATA / "config_classes.json").read_text(encoding="utf-8")
    types: dict[str, BuiltClass] = json.loads(text)["types"]
    return types


def read(config: Config, folder: Path) -> LocalModel:
    """What is read of a file with this configuration."""
    path = folder / "config.json"
    # a file system may wait for its disk before it empties a file
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(config), encoding="utf-8")
    return read_config(str(path))


def cached(architecture: Architecture) -> list[Layer]:
    """By layer, as DynamicCache of transformers has it."""
    found: list[Layer] = [{} for _ in range(architecture.layers)]
    row = row_of(architecture)
    for group in architecture.attention:
        for layer in group.layers:
            is_shared = (
                architecture.cache_layers is not None
                and layer >= architecture.cache_layers
            )
            if row.encoder or row.recomputes or is_shared:
                continue
            if group.kind == "latent":
                elements = (group.latent_length or 0) + (group.rope_length or 0)
            else:
                elements = group.kv_heads * (group.key_length + group.value_length)
            found[layer]["kv"] = elements
            if group.kind == "sliding" and not row.window_masks:
                found[layer]["window"] = group.window_tokens
    groups = [group for group in architecture.recurrent if group.layers]
    for recurrent, state in zip(groups, states(architecture), strict=False):
        taps = recurrent.convolution or 1
        # as many inputs of the convolution as it is wide: the last one beside those that the next
        # token needs; RecurrentGemma without
        inputs = state.convolution
        if recurrent.kind != "rglru":
            inputs = state.convolution * taps // max(1, taps - 1)
        for layer in recurrent.layers:
            found[layer]["state"] = [inputs, state.memory]
    return found


def told(runs: Runs, layers: int, context: int | None) -> list[Layer]:
    """By layer, what the class had; a window as long as the context is none."""
    assert not isinstance(runs, str)
    found: list[Layer] = []
    for number, layer in runs or []:
        same = dict(layer)
        if "kv" in same:
            same["kv"] = sum(same["kv"])
        if context is not None and same.get("window", 0) >= context:
            del same["window"]
        found += [same] * number
    without: Layer = {}
    return found + [without] * (layers - len(found))


def context_of(config: Config) -> int | None:
    """The tokens that the configuration states, or its class by default."""
    stated = {key: value for key, value in config.items() if value}
    values: Config = CLASSES[config["model_type"]]["defaults"] | stated
    context: int | None = values.get("max_position_embeddings")
    return context or values.get("n_positions")


def unread(config: Config) -> int:
    """Parameters that published files hold and the class leaves unread: Gemma 3n's and 4's layers
    that read the cache of another have keys, values and a norm of the keys there too (the
    safetensors totals of google/gemma-3n-E2B-it, E4B-it and gemma-4-E2B-it). Falcon's have an
    output matrix that the class ties away (the indexes of tiiuae/falcon-40b and falcon-180B-chat).
    """
    kind = config["model_type"]
    values = CLASSES[kind]["defaults"] | config
    if kind == "falcon":
        if "tie_word_embeddings" in config or config.get("alibi"):
            return 0
        return int(values["vocab_size"] * values["hidden_size"])
    if kind not in ("gemma3n_text", "gemma4_text", "gemma4_unified_text"):
        return 0
    layers = values["num_hidden_layers"]
    by_layer = values.get("per_layer_config") or {}
    inputs = values["hidden_size"] + values["attention_bias"]
    parameters = 0
    for layer in range(layers - values["num_kv_shared_layers"], layers):
        length = by_layer.get(str(layer), {}).get("head_dim", values["head_dim"])
        parameters += 2 * inputs * values["num_key_value_heads"] * length + length
    return parameters


class Known(NamedTuple):
    """Whether the weights are known, and what each layer keeps of a token."""

    weights: bool
    cache: bool


def agree(found: LocalModel, config: Config, parameters: int, runs: Runs) -> Known:
    """Which of weights and cache are known; where they are, they are those of the class."""
    architecture = found.spec.architecture
    has_weights = found.language_parameters is not None
    if has_weights:
        # biases and norms that single keys switch are not followed
        expected = parameters + unread(config)
        assert found.language_parameters == pytest.approx(expected, rel=0.01)
    if architecture is None or "architecture.attention" in found.spec.unknown:
        return Known(has_weights, cache=False)
    if runs != "unknown":
        context = context_of(config)
        assert cached(architecture) == told(runs, architecture.layers, context)
    return Known(has_weights, cache=True)


# types of which the reader says that it does not read them
NOT_READ = {
    "albert", "biogpt", "deberta-v2", "gpt_neo", "hy_v4", "jetmoe", "mimo_v2_flash",
    "recurrent_gemma", "rembert", "zamba", "zamba2",
}  # fmt: skip
# what a spec says that it does not know of a model whose figures do not follow
TOLD_AS_UNKNOWN = {"architecture", "architecture.attention", "parameters.total"}
# keys that no published model of the type has otherwise
NOT_FOLLOWED = {
    "deberta-v2": ("norm_rel_ebd", "share_att_key", "type_vocab_size"),
    "gemma4_unified_text": ("layer_types",),
    "gpt_bigcode": ("multi_query",),
    "helium": ("hidden_size", "num_attention_heads", "head_dim"),
}


@pytest.mark.parametrize("kind", sorted(NOT_READ), ids=case_id)
def test_a_type_that_is_not_read_is_said_to_be_none(kind: str, tmp_path: Path) -> None:
    """Neither cache nor weights are guessed."""
    found = read(built()[kind]["config"], tmp_path)
    assert found.spec.architecture is None
    assert f"model_type: {kind}" in found.spec.unknown["architecture"]


@pytest.mark.parametrize("kind", sorted(built().keys() - NOT_READ), ids=case_id)
def test_weights_and_cache_are_those_of_the_class(kind: str, tmp_path: Path) -> None:
    """The parameters of the published class to the last one, and what each layer keeps of a
    token.
    """
    entry = built()[kind]
    config = entry["config"]
    found = read(config, tmp_path)
    known = agree(found, config, entry["parameters"], entry["cache"])
    assert known.weights
    assert known.cache


def changed(config: Config, change: list[Any]) -> Config:
    """The configuration with a key and its value, without a key, or with values and without keys
    together.
    """
    given: Config = {}
    left_out = []
    if isinstance(change[0], dict):
        given, left_out = change
    elif len(change) == 2:
        key, value = change
        given = {key: value}
    else:
        left_out = change
    both = {**config, **given}
    return {key: value for key, value in both.items() if key not in left_out}


@pytest.mark.parametrize("kind", sorted(built().keys() - NOT_READ), ids=case_id)
def test_a_key_that_changes_the_class_is_followed_or_named(
    kind: str, tmp_path: Path
) -> None:
    """Every key gets another value, or is left out as older files do: the figures follow, or the
    spec says what is not known.
    """
    entry = built()[kind]
    changes = entry["changes"]
    followed = 0
    for change, parameters, *runs in changes:
        if change[0] in NOT_FOLLOWED.get(kind, ()):
            continue
        config = changed(entry["config"], change)
        try:
            found = read(config, tmp_path)
        except SpecError:
            # without its width or its layers it is taken for another file
            assert len(change) == 1
            continue
        cache_of_class = runs[0] if runs else entry["cache"]
        known = agree(found, config, parameters, cache_of_class)
        if known.weights and known.cache:
            followed += 1
        else:
            assert found.spec.unknown.keys() & TOLD_AS_UNKNOWN
    # most of them follow: to say unknown is not the way out
    assert 2 * followed >= len(changes)


# what the classes have otherwise: Gemma 3n's last layers own no keys and values (the checkpoint has
# them); Zamba's ssm_x and ssm_dt are parameters without a module
_OWN_LINEAR = {"gemma3n_text": 0.01, "zamba": 0.06}


def test_linear_layers_are_those_of_the_class(tmp_path: Path) -> None:
    """What quantizers take of a block, experts in one tensor aside, within 0.2 %: most recipes
    leave routers that are linear layers.
    """
    held = json.loads((TRUTH / "linear.json").read_text(encoding="utf-8"))["types"]
    seen = 0
    for kind, weights in held.items():
        made = read(built()[kind]["config"], tmp_path).spec.architecture
        if made is None or not row_of(made).name:
            continue
        layers = [layer for layer in linear_layers(made) if layer.part != "expert"]
        own = sum(layer.weights for layer in layers)
        assert own == pytest.approx(weights, rel=_OWN_LINEAR.get(kind, 0.002)), kind
        seen += 1
    assert seen >= 95
