"""A Hugging Face `config.json` -> ModelSpec: the shape of a model, without its weights.

The keys are those of the transformers configuration classes and of the published files themselves.
Where a key bears on the cache or on the weights and is not understood, that part of the spec stays
empty, and `unknown` says why.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..catalogue.architecture import MAX_LAYERS, Architecture, FeedForward
from ..catalogue.spec import INCOMPLETE, ModelSpec, Parameters, Safety
from ..core.records import Record
from ..core.tables import shipped_table
from ..needs.tensors import ArchitectureRow, block_tensors, checkpoint_tensors, count, idle, row_of
from . import source
from .config_keys import (
    MAX_CONFIG_BYTES,
    MAX_NUMBER,
    Keys,
    Stored,
    refuse_what_is_no_config,
    short,
    stored_of,
    tables,
)
from .config_layers import attention_of, feed_forward_of, layer_kinds, recurrent_of
from .source import Unclear

# what no config.json says of a model
_NEVER_STATED: Mapping[str, str] = {
    "files": "config.json does not say how large the weights are",
    "license.id": "config.json does not say",
    "tokenizer": "config.json does not say whether one comes with it",
}
# where NVIDIA's exporter writes what others write into config.json
_QUANTIZATION = "hf_quant_config.json"
# of architectures.toml, None where the model type has none
_Row = Mapping[str, Any] | None
# classes without an output matrix, and others that may keep nothing of context
_BARE = r"(?<!LMHead)(?<!MT)Model$|For(?:Sequence|Token)Classification$"
_READING = r"For(?:MaskedLM|PreTraining|QuestionAnswering|MultipleChoice)$"


class ConfigRead(Record):
    """What a config.json says. `language_parameters` are those of the language model alone, None
    where they do not follow from the file.
    """

    spec: ModelSpec
    stored: Stored
    language_parameters: int | None
    notes: tuple[str, ...]


def read_config(path: str) -> ConfigRead:
    """The model that a config.json describes. Raises `SpecError`."""
    values = source.read_json(path, MAX_CONFIG_BYTES, what="config.json")
    refuse_what_is_no_config(path, values)
    exported = source.beside(path, _QUANTIZATION)
    if exported is not None and not values.get("quantization_config"):
        export = source.read_json(exported, MAX_CONFIG_BYTES, what=_QUANTIZATION)
        part = export.get("quantization") if isinstance(export, dict) else None
        own = {"quant_method": "modelopt", **(part if isinstance(part, dict) else {})}
        values = {**values, "quantization_config": own}
    return _Config(path, values).read()


class _Config:
    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        self.path, self.keys = path, Keys(values)
        self.unknown = self.keys.unknown
        self.rows: Mapping[str, Any] = shipped_table("architectures")["architecture"]
        classes = values.get("architectures")
        self.class_name = source.clean(classes[0]) if isinstance(classes, list) and classes else ""
        composed = self.keys.nested and "ForConditional" in self.class_name
        says_so = composed or self.keys.outer_type.get("sees")
        self.sees = bool(says_so or any(map(values.get, tables()["encoders"]["seeing"])))
        # the converter of llama.cpp knows the model type
        self.in_gguf = bool(self.keys.type.get("row") and self.keys.type.get("in_gguf", True))
        # for a published class without an output matrix: a bare or a reward model
        mapped = values.get("auto_map")
        self.auto_map = mapped if isinstance(mapped, dict) else {}
        writes = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
        # ChatGLM names its bare class, and generates with that of auto_map
        has_head = self.keys.nested or any(head in self.auto_map for head in writes)
        has_head = has_head or bool(self.keys.type.get("bare_class_writes"))
        self.is_headless = not has_head and bool(re.search(_BARE, self.class_name))

    def read(self) -> ConfigRead:
        keys, stored = self.keys, stored_of(self.keys)
        if stored.why is not None:
            self.unknown["architecture.matrix_dtype"] = stored.why
        architecture = row = None
        try:
            architecture = self.architecture(stored)
            row = row_of(architecture)
        except Unclear as why:
            self.unknown["architecture"] = str(why)
        counts = self.parameters(architecture, row)
        language = counts.total
        if self.sees or isinstance(keys.outer.get("audio_config"), dict):
            width = architecture.embedding_length if architecture is not None else 0
            counts = self.with_encoders(counts, width)
        if counts.total is None:
            self.unknown.setdefault("parameters.total", "it does not follow from config.json alone")
        spec = self.spec(architecture, counts)
        return ConfigRead(
            spec=spec, stored=stored, language_parameters=language, notes=tuple(keys.notes)
        )

    def spec(self, architecture: Architecture | None, counts: Parameters) -> ModelSpec:
        modality = "vision" if self.sees else "text"
        if architecture is not None and not architecture.output_matrix:
            modality = "embedding"
        # classes that transformers has of its own do not need the code that auto_map names
        is_foreign = not self.in_gguf or self.keys.type.get("own_code")
        has_own_code = bool(is_foreign and isinstance(self.keys.outer.get("auto_map"), dict))
        sources = {
            "architecture": source.shown(self.path),
            "parameters": counts.total and "sum over the architecture",
            "parameters.encoders": counts.encoders
            and "estimated from the widths and layers of config.json",
            "safety": has_own_code and f"auto_map in {source.shown(self.path)}",
        }
        is_usual = os.path.basename(self.path).lower() == "config.json"
        name = source.name_of(
            os.path.dirname(os.path.abspath(self.path)) if is_usual else self.path
        )
        return ModelSpec(
            id=source.identifier(name),
            name=name,
            modality=modality,
            parameters=counts,
            architecture=architecture,
            safety=Safety(remote_code=True if has_own_code else None),
            sources={key: source for key, source in sources.items() if source},
            unknown={**self.unknown, **_NEVER_STATED},
            origin=self.path,
        )

    def parameters(
        self, architecture: Architecture | None, row: ArchitectureRow | None
    ) -> Parameters:
        """Those of the language model."""
        if architecture is None or row is None:
            return Parameters()
        groups = checkpoint_tensors(architecture, row)
        total = count(groups)
        if total > source.MAX_PARAMETERS:
            source.refuse(self.path, "parameters", total=total)
        predicts = "mtp_layers" in self.keys.outer_type
        return Parameters(
            total=total,
            active=max(1, total - idle(groups, architecture)),
            mtp=count(block_tensors(architecture, row)) or None if predicts else None,
        )

    def with_encoders(self, counts: Parameters, text_width: int) -> Parameters:
        outer = self.keys.outer
        keys = tables()["encoders"]["parts"]
        parts = [outer[key] for key in keys if isinstance(outer.get(key), dict)]
        total = sum(encoder_parameters(part, text_width) for part in parts)
        if not 0 < total <= source.MAX_PARAMETERS:
            self.unknown["parameters.encoders"] = source.reason("encoder-size")
            return counts.replace(total=None, active=None)
        self.keys.notes.append(source.reason("encoders", millions=total / 1e6))
        if counts.total is not None and counts.active is not None:
            counts = counts.replace(total=counts.total + total, active=counts.active + total)
        # the first part's type, as `[[encoder]]` of architectures.toml has it
        kind, own = self.keys.outer_kind, source.clean(parts[0].get("model_type")).lower()
        width = _size(parts[0], "width")
        names = f"{kind} {own} {width}", f"{kind} {width}"
        rows = shipped_table("architectures").get("encoder", ())
        measured = {name for row in rows for name in row.get("types", ())}
        return counts.replace(
            encoders=total,
            projector_bytes=2 * total,
            encoder_type=next((name for name in names if name in measured), names[0]),
        )

    def architecture(self, stored: Stored) -> Architecture:
        """The layers and the tables. Notes in `unknown` why the weights do not follow. Raises
        `Unclear` where the cache does not follow either.
        """
        keys = self.keys
        keys.layers = self.layer_count()
        width = keys.needed("width")
        kinds = layer_kinds(keys)
        attention = [attention_of(keys, layer, kind, width) for layer, kind in enumerate(kinds)]
        recurrent = source.grouped(
            [recurrent_of(keys, kind, width) for kind in kinds], width, tables()["called"]
        )
        feed_forward, incomplete = self.feed_forward(kinds, width)
        name = self.row_name(bool(recurrent), any(part.experts for part in feed_forward))
        row = self.rows.get(name) if "row" in keys.type else None
        is_encoder = bool(row and row.get("encoder") and not row.get("diffusion"))
        fields = {**self.tables(row or {}, width), **self.layers_apart(), **self.types(stored)}
        tied = False if is_encoder else self.ties_embeddings()
        incomplete = self.incompleteness(incomplete, row, fields["vocabulary"], tied)
        self.refuse_unknown_cache(incomplete, row, attends=any(attention), is_encoder=is_encoder)
        if incomplete is not None:
            self.unknown["parameters.total"] = source.reason("incomplete", why=incomplete)
            # with the name of a row it would be believed to have all its tensors
            name += INCOMPLETE if name in self.rows else ""
        architecture = Architecture(
            row=name,
            runs_in_gguf=self.in_gguf,
            layers=keys.layers,
            embedding_length=width,
            heads=max((part.heads for part in attention if part is not None), default=None),
            attention=source.grouped(attention, width, tables()["called"]),
            recurrent=recurrent,
            feed_forward=feed_forward,
            tied_embeddings=bool(tied),
            output_matrix=not is_encoder and not self.is_headless,
            **fields,
        )
        for key, message, _ in architecture.misfits():
            raise Unclear(f"{key} {message}")
        return architecture

    def feed_forward(
        self, kinds: Iterable[str], width: int
    ) -> tuple[tuple[FeedForward, ...], str | None]:
        """The groups of layers alike in it; or none, and why they do not follow."""
        try:
            parts = [feed_forward_of(self.keys, n, kind, width) for n, kind in enumerate(kinds)]
            return source.grouped(parts, width, tables()["called"]), None
        except Unclear as why:
            return (), str(why)

    def layer_count(self) -> int:
        """Raises `Unclear` for a model type whose layers are not read."""
        keys = self.keys
        what = keys.type.get("not_read")
        if keys.outer.get("is_encoder_decoder"):
            what = what or "an encoder beside its decoder (is_encoder_decoder)"
        if what:
            raise Unclear(f"model_type: {keys.kind or 'the model'} has {what}, which is not read")
        pattern = keys.get("hybrid_override_pattern", "layers_block_type")
        layers = keys.number("layers", least=1)
        layers = layers or len(pattern if isinstance(pattern, (str, list)) else ())
        if not layers:
            raise Unclear("num_hidden_layers is missing")
        if layers > MAX_LAYERS:
            source.refuse(self.path, "layers", layers=layers, most=MAX_LAYERS)
        return layers

    def row_name(self, has_states: bool, has_experts: bool) -> str:
        type, key = self.keys.type, "row_with_experts" if has_experts else "row"
        if not has_states and not has_experts:
            key = "row_without_states"
        if "OCR" in self.class_name:
            key = "row_of_ocr"
        return str(type.get(key) or type.get("row") or self.keys.kind or "unnamed")

    def types(self, stored: Stored) -> dict[str, Any]:
        """The types of the weights, as fields of `Architecture`."""
        dtype, stated = self.keys.published_type()
        if dtype is None:
            why = f"torch_dtype {short(stated)} is not known"
            why = "config.json does not say" if stated is None else why
            self.unknown["architecture.dtype"] = why
        return {
            "dtype": dtype,
            "matrix_dtype": stored.matrices,
            "expert_dtype": stored.experts,
            "quantizer": stored.quantizer,
        }

    def tables(self, row: Mapping[str, Any], width: int) -> dict[str, Any]:
        """The tables of tokens and positions, as fields of `Architecture`."""
        keys, type = self.keys, self.keys.type
        context = keys.number("context") or None
        if context is None:
            self.unknown["architecture.context_tokens"] = "config.json does not say"
        is_rotary = bool(keys.get("position_embedding_type") == "rotary" and row.get("positions"))
        has_rows = row.get("positions") and not row.get("position_offset") and not is_rotary
        has_table = keys.class_row and any(map(keys.reads, tables()["sizes"]["table_length"]))
        table, types = keys.number("table_length"), keys.number("type_vocab_size") or None
        usable = (context or 0) - type.get("unused_positions", 0)
        return {
            "vocabulary": keys.number("vocabulary", least=1),
            "context_tokens": usable if usable > 0 else context,
            "table_length": table if has_table and table != width else None,
            "positions": context if has_rows else None,
            "token_types": types if row.get("token_types") else None,
            "lacks": (*type.get("lacks", ()), *(("positions",) if is_rotary else ())),
        }

    def layers_apart(self) -> dict[str, Any]:
        """The layers and parts of layers that are counted apart, as fields of `Architecture`."""
        keys = self.keys
        shared = keys.number("num_kv_shared_layers") if keys.reads("num_kv_shared_layers") else 0
        if shared and shared >= keys.layers:
            raise Unclear(f"num_kv_shared_layers is {shared:,}, of {keys.layers:,} layers")
        deepstack = _deepstack_layers(keys.outer.get("vision_config"))
        published, stated = keys.outer_type.get("mtp_layers"), keys.number("mtp")
        predicting = (published or 0) if stated is None else stated
        is_predicting = 0 < predicting <= keys.layers and (self.in_gguf or published is not None)
        return {
            "deepstack_layers": min(deepstack, keys.layers) or None,
            "cache_layers": keys.layers - shared if shared else None,
            "mtp_layers": predicting if is_predicting else None,
            "per_layer_embedding_length": keys.number("hidden_size_per_layer_input") or None,
            "altup_inputs": keys.number("altup") or None,
        }

    def ties_embeddings(self) -> bool | None:
        """Whether the output matrix is the token table; None where that is not known."""
        keys = self.keys
        inner, outer = (part.get("tie_word_embeddings") for part in (keys.inner, keys.outer))
        if isinstance(inner, bool) and isinstance(outer, bool) and inner != outer:
            keys.understood.add("tie_word_embeddings")
            # where the outer class would tie, transformers leaves a matrix alone that the published
            # files have
            return keys.outer_type.get("tied_by_text_config") if inner else None
        for key in tables()["keys"]["tying"]:
            value = keys.get(key)
            if value is None and key == "tie_word_embeddings" and keys.nested:
                value = outer
            if isinstance(value, bool):
                return value
        return keys.type.get("tied")

    # ------------------------------------------------------------------ what does not follow

    def incompleteness(
        self, incomplete: str | None, row: _Row, vocabulary: int | None, tied: bool | None
    ) -> str | None:
        """Why the weights do not follow; None where they do. Raises `Unclear` where the cache does
        not either.
        """
        keys = self.keys
        doubtful = source.listed(keys.not_understood(cache=True))
        if doubtful:
            raise Unclear(source.reason("doubtful-cache", keys=doubtful))
        if incomplete is not None:
            return incomplete
        odd = keys.not_understood(cache=False) + keys.unpublished
        if str(keys.get("position_embedding_type")).startswith("relative"):
            odd.append("position_embedding_type")
        cut = keys.matter.intersection(tables()["keys"]["always_stated"]) - keys.text.keys()
        if cut:
            return f"{source.listed(sorted(cut))} is missing"
        if odd:
            return f"{source.listed(odd)}: not understood"
        if row is None:
            return source.reason("no-row", kind=keys.kind or "this model type")
        if vocabulary is None:
            return "vocab_size is missing"
        if tied is None and not self.is_headless:
            return source.reason("tie_word_embeddings")
        return None

    def refuse_unknown_cache(
        self, incomplete: str | None, row: _Row, *, attends: bool, is_encoder: bool
    ) -> None:
        """Raises where it is not known whether, or for how many heads, the model keeps a cache."""
        keys, name = self.keys, self.class_name
        if row is None:
            if self.is_headless or re.search(_READING, name):
                raise Unclear(source.reason("no-context", kind=keys.kind, name=name))
            says_heads = keys.get("kv_heads", "kv_lora_rank", "multi_query")
            if not keys.class_row and attends and says_heads is None:
                raise Unclear("num_key_value_heads is missing, and its default is not known")
        elif incomplete is not None and (is_encoder or row.get("recomputes")):
            # without its row it would be believed to keep a cache
            raise Unclear(incomplete)
        elif is_encoder:
            is_untied = keys.class_row and keys.text.get("tie_word_embeddings") is False
            if is_untied and name.endswith("ForMaskedLM"):
                raise Unclear(f"tie_word_embeddings is false: what the head of {name} takes")
            if keys.get("is_decoder"):
                raise Unclear("is_decoder: what an encoder keeps where it writes is not known")


def _size(part: Mapping[str, Any], size: str) -> int:
    values = map(part.get, tables()["encoders"][size])
    return next((v for v in values if type(v) is int and 0 < v < MAX_NUMBER), 0)


def _deepstack_layers(encoder: object) -> int:
    """Layers of the text that add a slice of the encoder's embeddings."""
    places = encoder.get("deepstack_visual_indexes") if isinstance(encoder, Mapping) else None
    return len(places) if isinstance(places, list) else 0


def encoder_parameters(part: Mapping[str, Any], text_width: int) -> int:
    """About how many parameters an encoder has, with what joins it to a model of that width: four
    square matrices and a feed-forward a layer, and two matrices from merged patches to the text.
    """
    width, layers = _size(part, "width"), _size(part, "layers")
    inner = _size(part, "length") or 4 * width
    matrices = 3 if part.get("hidden_act") in ("silu", "swish") else 2
    merged = width * (_size(part, "merged") or 1) ** 2
    joiner = (1 + _deepstack_layers(part)) * merged * (merged + text_width)
    return layers * (4 * width * width + matrices * width * inner) + joiner
