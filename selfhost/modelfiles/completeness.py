"""Whether the weights and the cache follow from a `config.json`, and why not where they do not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .keys import CACHE_KEY, KEEPING_KEY, KV_HEADS, WEIGHT_KEY, Keys, Unclear, class_of, short
from .naming import clean, listed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# switches that published files state, mostly against the default of their class: a file without
# them was cut
_ALWAYS_STATED = ("block_auto_adjust_ff_dim", "mamba_rms_norm")

# keys that say whether the output matrix is the token table
_TYING = (
    "tie_word_embeddings",
    "tie_embedding",
    "tie_embeddings",
    "weight_tying",
    "share_input_output_layers",
)
# keys of which one says how many heads keep keys and values
_SHARES_HEADS = frozenset(
    {
        *KV_HEADS,
        "kv_lora_rank",
        "multi_query",
        "multi_query_group_num",
        "n_shared_head",
        "block_configs",
    }
)


def refuse_unread_of_cache(config: Keys) -> None:
    """Raises for keys that nothing reads and that may change what layers remember. Where such keys
    only say for how long, the cache is unknown and the weights are not.
    """
    config.understood.update(config.type.published)
    odd = sorted({*config.left_over(CACHE_KEY), *config.other_than_default(cache=True)})
    if odd:
        message = (
            f"{listed(odd)}: not understood, and it may change what the model keeps of its context"
        )
        if not all(KEEPING_KEY.search(key) for key in odd):
            raise Unclear(message)
        config.unknown["architecture.attention"] = message
        config.notes.append(
            f"{listed(odd)}: not understood; the weights are counted as if it added none"
        )


def incompleteness(
    config: Keys,
    incomplete: str | None,
    row: Mapping[str, Any] | None,
    vocabulary: int | None,
    tied: bool | None,
) -> str | None:
    """Why the weights do not follow from the file, None where they do. `incomplete` is the reason
    that the layers gave.
    """
    return (
        _unlike_its_type(config)
        or incomplete
        or _unlike_published(config)
        or _unread_weights(config)
        or _unstated(config)
        or _without_row(config, row)
        or ("vocab_size is missing" if vocabulary is None else None)
        or (_unclear_tie(config) if tied is None else None)
    )


def _unlike_its_type(config: Keys) -> str | None:
    """Norms, gates or layers that other models of the type do not have."""
    norms = config.type.other_norms
    if norms and norms[0] in repr(config.outer.get("auto_map")):
        return f"auto_map: the norms of {norms[1]} are not those of other models of its type"
    if config.type.gating and config.get("gating") not in (None, True, config.type.gating):
        return f"gating is {short(config.get('gating'))}: not that of the published models"
    if config.type.larger_alone and (
        config.text.get("parallel_attn") is False or config.flag("bias", "alibi")
    ):
        return "parallel_attn, bias, alibi: not those of the larger Falcon models"
    return None


def _unlike_published(config: Keys) -> str | None:
    other = [
        key
        for key, value in config.type.published.items()
        if config.text.get(key) not in (None, value)
    ]
    return f"{listed(other)}: not as in the published models" if other else None


def _unread_weights(config: Keys) -> str | None:
    config.understood.update(("parallel_attn", "hidden_size_per_layer_input"))
    odd = sorted({*config.left_over(WEIGHT_KEY), *config.other_than_default(cache=False)})
    return f"{listed(odd)}: not understood" if odd else None


def _unstated(config: Keys) -> str | None:
    matter = config.known.get("matter", ())
    missing = sorted(key for key in _ALWAYS_STATED if key in matter and key not in config.text)
    return f"{listed(missing)} is missing" if missing else None


def _without_row(config: Keys, row: Mapping[str, Any] | None) -> str | None:
    if row is not None:
        return None
    kind = config.kind or "this model type"
    return f"{kind} is not an architecture whose tensors this selfhost knows"


def _unclear_tie(config: Keys) -> str | None:
    """Why it is not known whether the output matrix is the token table."""
    if is_headless(config):
        return None
    value = config.get("tie_word_embeddings")
    if value is None:
        why = f"is missing, and the default of {config.kind or 'this model type'} is not known"
    elif isinstance(value, bool):
        why = "is true in one part of the file and false in the other"
    else:
        why = f"is {short(value)}, neither true nor false"
    return f"tie_word_embeddings {why}"


def refuse_unknown_cache(
    config: Keys,
    incomplete: str | None,
    row: Mapping[str, Any] | None,
    *,
    encoder: bool,
    attends: bool,
) -> None:
    """Raises where it is not known whether, or for how many heads, the model keeps a cache."""
    if incomplete is not None and row is not None and (encoder or row.get("recomputes")):
        # without its row it would be believed to keep a cache
        raise Unclear(incomplete)
    if encoder:
        _refuse_writing_encoder(config)
    if row is not None:
        return
    if keepless := _why_keepless(config):
        raise Unclear(keepless)
    foreign = not config.known and not config.type.all_heads_keep
    if foreign and attends and all(config.text.get(key) is None for key in _SHARES_HEADS):
        raise Unclear(
            f"num_key_value_heads is missing, and what {config.kind or 'the model type'} has then"
            " is not known"
        )


def _refuse_writing_encoder(config: Keys) -> None:
    """Raises for an encoder with a head of its own, or one that writes."""
    name, tied = class_of(config.outer), config.text.get("tie_word_embeddings")
    if config.known and tied is False and name.endswith("ForMaskedLM"):
        raise Unclear(
            f"tie_word_embeddings is false, and what the head of {clean(name)} takes is not known"
        )
    if config.flag("is_decoder"):
        raise Unclear(
            f"is_decoder: what {config.kind} keeps of its context where it writes is not known"
        )


def _why_keepless(config: Keys) -> str | None:
    """Why a model type without a row may keep nothing of its context; None where it writes text."""
    if config.type.unread_encoder and not config.flag("is_decoder"):
        return f"model_type: {config.kind} is an encoder whose tensors this selfhost does not know"
    if is_headless(config) or re.search(
        r"For(MaskedLM|PreTraining|QuestionAnswering|MultipleChoice)$", class_of(config.outer)
    ):
        return (
            f"architectures: {clean(class_of(config.outer))} may be an encoder, which keeps"
            " nothing of its context"
        )
    return None


def is_headless(config: Keys) -> bool:
    """True for a published class without an output matrix: a bare or a reward model."""
    name, mapped = class_of(config.outer), config.outer.get("auto_map")
    if config.type.bare_class_writes:
        return False
    if isinstance(mapped, dict) and any(
        head in mapped for head in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
    ):
        # ChatGLM names its bare class, and generates with that of auto_map
        return False
    return not config.nested and bool(
        re.search(
            r"(?<!LMHead)(?<!MT)Model$|ForSequenceClassification$|ForTokenClassification$", name
        )
    )


def ties_embeddings(config: Keys) -> bool | None:
    """Whether the output matrix is the token table; None where that is not known."""
    if config.type.never_tied:
        return False
    inner, outer = (values.get("tie_word_embeddings") for values in (config.inner, config.outer))
    if isinstance(inner, bool) and isinstance(outer, bool) and inner != outer:
        config.understood.add("tie_word_embeddings")
        # where the outer class would tie, transformers leaves a matrix alone that the published
        # files have
        return config.outer_type.tied_by_text_config if inner else None
    stated = "tie_word_embeddings" in config.written
    if config.type.held_apart and not stated and not config.flag("alibi"):
        return False
    for key in _TYING:
        value = config.get(key)
        if value is None and key == "tie_word_embeddings" and config.nested:
            value = config.outer.get(key)
        if isinstance(value, bool):
            return value
    return config.type.tied
