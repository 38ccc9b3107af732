"""How many layers the model of a `config.json` has: those that attend, share, loop or encode."""

from __future__ import annotations

import re

from ..catalogue.spec import MAX_LAYERS, Audio
from .keys import LAYERS, Keys, Unclear, class_of, short
from .naming import listed
from .source import fail

# sizes that BART's encoder and decoder have in common
_OF_BOTH = ("attention_heads", "ffn_dim")
MTP = ("num_nextn_predict_layers", "mtp_num_hidden_layers")


def refuse_unread_stacks(config: Keys) -> None:
    """Raises for an encoder beside the decoder that nothing here reads."""
    if config.type.stacks == "bart":
        _refuse_unread_bart(config)
    elif config.outer.get("is_encoder_decoder") and not config.type.stacks:
        raise Unclear(
            f"{config.kind or 'the model'} has an encoder beside its decoder, which this selfhost"
            " does not read"
        )


def _refuse_unread_bart(config: Keys) -> None:
    """Raises for what no published kin of BART has (transformers 5.23.0, modeling_bart.py and its
    likes).
    """
    name = class_of(config.outer)
    if name and not re.search(r"(?:ForConditionalGeneration|MTModel)$", name):
        raise Unclear(
            f"architectures: of {config.kind} only the class that writes text is understood, not"
            f" {short(name)}"
        )
    if config.get("share_encoder_decoder_embeddings") is False:
        raise Unclear(
            "share_encoder_decoder_embeddings is false: a token table for each of encoder and"
            " decoder is not understood"
        )
    for size in _OF_BOTH:
        read, written = (config.positive(f"{stack}_{size}") for stack in ("encoder", "decoder"))
        if read != written:
            raise Unclear(
                f"encoder_{size} is {read}, decoder_{size} is {written}: stacks of unlike width"
                " are not understood"
            )


def layer_count(config: Keys) -> int:
    """Layers, of a model with two stacks those of its decoder."""
    if config.type.stacks == "bart":
        # num_hidden_layers is another name of encoder_layers there
        return config.needed("decoder_layers")
    pattern, kinds = config.get("hybrid_override_pattern"), config.get("layers_block_type")
    layers = (
        _sublayers(config)
        if config.type.sublayers is not None
        else config.positive(*LAYERS)
        or (len(pattern) if isinstance(pattern, str) else 0)
        or (len(kinds) if isinstance(kinds, list) else 0)
    )
    if not layers:
        raise Unclear("num_hidden_layers is missing")
    if layers > MAX_LAYERS:
        fail(
            config.path,
            f"is not a usable config.json: {layers:,} layers",
            f"the most that any model has is far below {MAX_LAYERS:,}",
        )
    return layers


def _sublayers(config: Keys) -> int:
    """How many sublayers attend: each layer of LongCat Flash has two, and num_hidden_layers counts
    them (LongcatFlashConfig).
    """
    times = config.type.sublayers
    if not times:
        raise Unclear(f"model_type: how often a layer of {config.kind} attends is not known")
    stated, pairs = config.positive("num_hidden_layers"), config.needed("num_layers")
    if stated is not None and "num_layers" in config.outer and stated != times * pairs:
        raise Unclear(
            f"num_hidden_layers is {stated:,} and num_layers {pairs:,}: which of them counts"
            " the layers is not clear"
        )
    return times * pairs if stated is None else stated // times * times


def loops_of(config: Keys) -> int:
    """How often a token runs through the layers, each time with a cache of its own."""
    if not config.type.loops:
        return 1
    odd = [key for key in config.type.without if config.flag(key)]
    if odd:
        raise Unclear(f"{listed(odd)}: not understood")
    loops = config.positive(config.type.loops) or 1
    if config.layers * loops > MAX_LAYERS:
        raise Unclear(f"{config.type.loops} is {loops:,}, and there are {config.layers:,} layers")
    return loops


def layers_without_cache(config: Keys) -> int:
    """How many layers at the end use the cache of an earlier one."""
    if not config.reads("num_kv_shared_layers"):
        return 0
    shared = config.number("num_kv_shared_layers") or 0
    if shared >= config.layers:
        raise Unclear(f"num_kv_shared_layers is {shared:,}, and there are {config.layers:,} layers")
    return shared


def layer_groups(config: Keys) -> int | None:
    """How many sets of weights the layers of ALBERT share; None where each has its own."""
    if not (config.known and config.reads("num_hidden_groups")):
        return None
    groups = config.number("num_hidden_groups")
    if groups is not None and not 1 <= groups <= config.layers:
        raise Unclear(f"num_hidden_groups is {groups:,}, and there are {config.layers:,} layers")
    return groups


def mtp_layers(config: Keys) -> int:
    """How many blocks predict further tokens."""
    blocks = config.number(*MTP)
    if blocks is None:
        blocks = config.outer_type.mtp_layers or 0
    if blocks > config.layers:
        raise Unclear(f"{MTP[0]} is {blocks:,}, and there are {config.layers:,} layers")
    return blocks


def encoder_layers(config: Keys) -> int:
    """Layers of the encoder beside the decoder."""
    layers = config.needed("encoder_layers")
    if layers > MAX_LAYERS:
        raise Unclear(f"encoder_layers is {layers:,}, and no model has more than {MAX_LAYERS:,}")
    return layers


def audio_of(config: Keys) -> Audio | None:
    """The encoder of Whisper; None for any other model."""
    if config.type.stacks != "whisper":
        return None
    return Audio(
        layers=encoder_layers(config),
        heads=config.needed("encoder_attention_heads"),
        embedding_length=config.needed("d_model"),
        feed_forward_length=config.needed("encoder_ffn_dim"),
        positions=config.needed("max_source_positions"),
        mel_bins=config.needed("num_mel_bins"),
    )
