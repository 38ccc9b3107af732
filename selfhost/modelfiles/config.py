"""A Hugging Face `config.json` -> ModelSpec: the shape of a model, without its weights.

The keys are those of the transformers configuration classes and of the published files themselves.
Where a key bears on the cache or on the weights and is not understood, that part of the spec stays
empty, and `unknown` says why.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ..catalogue.spec import (
    INCOMPLETE,
    Architecture,
    FeedForward,
    ModelSpec,
    Parameters,
    Safety,
)
from ..core.records import Record
from .attention import attention_of
from .completeness import (
    incompleteness,
    is_headless,
    refuse_unknown_cache,
    refuse_unread_of_cache,
    ties_embeddings,
)
from .departures import departures_of
from .depth import (
    MTP,
    audio_of,
    layer_count,
    layer_groups,
    layers_without_cache,
    loops_of,
    mtp_layers,
    refuse_unread_stacks,
)
from .feedforward import feed_forward_of
from .keys import (
    HEADS,
    KV_HEADS,
    MAX_CONFIG_BYTES,
    WIDTH,
    Keys,
    Unclear,
    UnclearWindow,
    class_of,
    short,
)
from .mixing import ATTENDING, STATES, kept_in, layer_kinds, quantizer_of
from .model_types import ModelTypes
from .modules import settled
from .naming import clean, grouped, identifier, listed, name_of, row_values
from .other_files import refuse_what_is_no_config
from .positions import context_of, position_rows, rope_positions
from .recurrent import recurrent_of
from .source import fail, read_json, shown
from .stored import Stored, of_mlx, stored_by, tensors_apart

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ..catalogue.spec import Attention, LayerPart, Recurrent, TensorGroup
    from ..needs.tensors import ArchitectureRow
    from .encoders import Encoders

# a thousand times as many as the largest model of 2026 has
_MAX_PARAMETERS = 10**16

_ADAPTED = (
    "lora_adaptations: adapters lie in the checkpoint beside the model, and their size does not"
    " follow from the file"
)

# the width of the token table, where it need not be that of the layers
_TABLE = ("embedding_size", "input_embedding_size", "word_embed_proj_dim")
# a size of a layer -> what config.json may call it
_KEYS_OF: Mapping[str, tuple[str, ...]] = {
    "groups": ("n_group", "mamba_n_groups", "n_groups", "mamba_ngroups"),
    "groups_used": ("topk_group",),
    "kv_heads": KV_HEADS,
    "heads": ("mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads", *HEADS),
    "key_heads": ("linear_num_key_heads", *KV_HEADS),
    "key_length": ("head_size", "head_dim"),
    "output_groups": ("o_groups",),
    "altup_inputs": ("altup_num_inputs", "hc_mult"),
    "mtp_layers": MTP,
}
_WHAT = "config.json"
_DTYPES: Mapping[str, str] = {
    "bfloat16": "bfloat16",
    "float16": "float16",
    "half": "float16",
    "float32": "float32",
    "float": "float32",
}


# keys of a model that sees
_SEEING = ("vision_config", "vq_config", "visual", "mm_vision_tower", "img_processor")
# what no config.json says of a model
_NEVER_STATED: Mapping[str, str] = {
    "files": "config.json does not say how large the weights are",
    "license.id": "config.json does not say",
    "tokenizer": "config.json does not say whether one comes with it",
}


class ConfigRead(Record):
    """What a config.json says. `language_parameters` are those of the language model alone, None
    where they do not follow from the file.
    """

    spec: ModelSpec
    stored: Stored
    language_parameters: int | None
    notes: tuple[str, ...]


def read_config(
    path: str,
    architectures: Mapping[str, Any],
    *,
    name: str | None = None,
    model_types: ModelTypes | None = None,
) -> ConfigRead:
    """The model that a config.json describes. Raises `SpecError`. `name` is that of the model, by
    default the path's; `model_types` are by default the shipped ones.
    """
    values = read_json(path, MAX_CONFIG_BYTES, what=_WHAT)
    refuse_what_is_no_config(path, values)
    types = ModelTypes.shipped() if model_types is None else model_types
    return _Config(path, values, architectures, types, name or _name(path, values)).read()


def _name(path: str, values: Mapping[str, Any]) -> str:
    stated = values.get("_name_or_path")
    if (
        isinstance(stated, str)
        and re.fullmatch(r"[\w.-]+/[\w.-]+", stated)
        and not stated.startswith((".", "path-removed", "models/"))
    ):
        return clean(stated.split("/")[1])
    if os.path.basename(path).lower() != "config.json":
        return name_of(path)
    return name_of(os.path.dirname(path) or os.path.dirname(os.path.abspath(path)))


class _Layers(Record):
    """The parts of each layer, None where it has none. `incomplete` says why the feed-forward does
    not follow from the file.
    """

    attention: tuple[Attention | None, ...]
    recurrent: tuple[Recurrent | None, ...]
    feed_forward: tuple[FeedForward | None, ...]
    incomplete: str | None

    def fields(self, loops: int) -> dict[str, Any]:
        """Fields of `Architecture`. `loops`: how often a token runs through the layers."""
        heads = (layer.heads for layer in self.attention if layer is not None)
        return {
            "heads": max(heads, default=None),
            "attention": grouped(self.attention * loops),
            "recurrent": grouped(self.recurrent),
            "feed_forward": grouped(self.feed_forward * loops),
        }


class _Config(Keys):
    # MLX's layers of another type than the others, each with the name of its type
    apart: Mapping[str, str | None] = {}

    # -------- the whole

    def read(self) -> ConfigRead:
        from ..needs.tensors import checkpoint_tensors, row_of

        stored = self.stored()
        architecture = row = None
        groups: tuple[TensorGroup, ...] = ()
        try:
            architecture = self.architecture(stored)
        except Unclear as why:
            self.unknown["architecture"] = str(why)
        if architecture is not None:
            row = row_of(architecture, self.architectures)
            groups = () if row is None else checkpoint_tensors(architecture, row)
        if self.apart:
            stored = self.with_apart(stored, groups)
        elif architecture is not None and stored.rules:
            architecture, stored = self.by_rules(architecture, stored, groups)
        counts = Parameters()
        if architecture is not None:
            architecture = self.with_plain_experts(architecture, stored, groups)
            if row is not None:
                counts = self.parameters(architecture, row)
                if "architecture.attention" in self.unknown:
                    architecture = _without_cache(architecture, row)
        language_parameters = counts.total
        encoders, sees = None, self.sees()
        if sees or isinstance(self.outer.get("audio_config"), dict):
            if architecture is not None:
                encoders = self.encoders(architecture.embedding_length)
            counts = _with_encoders(counts, encoders)
        modality = self.modality(architecture, row, sees=sees)
        return ConfigRead(
            spec=self.spec(architecture, counts, encoders, modality),
            stored=stored,
            language_parameters=language_parameters,
            notes=tuple(self.notes),
        )

    def spec(
        self,
        architecture: Architecture | None,
        counts: Parameters,
        encoders: Encoders | None,
        modality: str,
    ) -> ModelSpec:
        if counts.total is None:
            self.unknown.setdefault("parameters.total", "it does not follow from config.json alone")
        self.unknown.update(_NEVER_STATED)
        # classes that transformers has of its own do not need the code that auto_map names
        own_code = isinstance(self.outer.get("auto_map"), dict) and (
            not self.converted or self.type.own_code
        )
        sources = {"architecture": shown(self.path)}
        if counts.total:
            sources["parameters"] = "sum over the architecture"
        if encoders:
            sources["parameters.encoders"] = encoders.source
        if own_code:
            sources["safety"] = f"auto_map in {shown(self.path)}"
        return ModelSpec(
            id=identifier(self.name),
            name=self.name,
            modality=modality,
            parameters=counts,
            architecture=architecture,
            safety=Safety(remote_code=True if own_code else None),
            sources=sources,
            unknown={
                key: why
                for key, why in self.unknown.items()
                if not (key == "architecture" and architecture is not None)
            },
            origin=self.path,
        )

    def by_rules(
        self, architecture: Architecture, stored: Stored, groups: Sequence[TensorGroup]
    ) -> tuple[Architecture, Stored]:
        """Both with the types that the rules of quantization_config give each tensor."""
        stored = (
            settled(stored, groups, architecture.dtype or "bfloat16")
            if groups
            else stored.replace(rules=())
        )
        if stored.why is not None:
            self.not_understood(stored.why)
        apart = stored.apart if stored.format == "safetensors" else ()
        architecture = architecture.replace(
            matrix_dtype=stored.matrices, expert_dtype=stored.experts, apart=apart
        )
        return architecture, stored

    def with_plain_experts(
        self, architecture: Architecture, stored: Stored, groups: Sequence[TensorGroup]
    ) -> Architecture:
        """The same with plain experts where bitsandbytes leaves them alone. Version 5 of
        transformers keeps the experts of a layer in one array (issue 1849 of bitsandbytes);
        version 4 made them narrow.
        """
        from ..needs.packed import is_bitsandbytes

        made_by_5 = str(self.outer.get("transformers_version")).startswith("5.")
        if not made_by_5 or not is_bitsandbytes(stored.matrices):
            return architecture
        plain = architecture.dtype or "bfloat16"
        experts = {
            group.name: plain
            for group in groups
            if "_exps." in group.name and group.name.endswith(".weight")
        }
        return architecture.replace(apart=tuple({**dict(architecture.apart), **experts}.items()))

    def sees(self) -> bool:
        """Whether the model takes pictures."""
        names = self.outer.get("architectures")
        composed = (
            self.nested
            and isinstance(names, list)
            and any(isinstance(name, str) and "ForConditional" in name for name in names)
        )
        return (
            composed
            or self.outer_type.vision
            or any(isinstance(self.outer.get(key), dict) or self.outer.get(key) for key in _SEEING)
        )

    def modality(
        self, architecture: Architecture | None, row: ArchitectureRow | None, *, sees: bool
    ) -> str:
        if self.type.stacks == "whisper":
            return "speech"
        encoder = row is not None and row.encoder and not row.diffusion
        if encoder or (architecture is not None and not architecture.output_matrix):
            return "embedding"
        return "vision" if sees else "text"

    def architecture(self, stored: Stored) -> Architecture:
        """The layers and the tables. Notes in `unknown` why the weights do not follow. Raises
        `Unclear` where the cache does not follow either.
        """
        from ..needs.tensors import ArchitectureRow

        refuse_unread_stacks(self)
        self.layers = layer_count(self)
        width = self.needed(*WIDTH)
        self.overrides = self.of_layers()
        layers = self.read_layers(width)
        gguf = self.gguf_name(layers)
        row = row_values(self.architectures, gguf or self.type.row)
        encoder = bool(row and row.get("encoder") and not row.get("diffusion"))
        extra = departures_of(self, row) if row is not None else {}
        loops = loops_of(self)
        tied = ties_embeddings(self)
        if tied is None and encoder:
            # no encoder has an output matrix
            tied = False
        context = context_of(self)
        sizes = self.sizes(row, extra, width, context, loops=loops, in_gguf=gguf is not None)
        refuse_unread_of_cache(self)
        incomplete = incompleteness(self, layers.incomplete, row, sizes["vocabulary"], tied)
        attends = any(layers.attention)
        refuse_unknown_cache(self, incomplete, row, encoder=encoder, attends=attends)
        name = self.row_name(gguf, incomplete)
        if context is None:
            self.unknown["architecture.context_tokens"] = "config.json does not say"
        architecture = Architecture(
            row=name,
            runs_in_gguf=gguf is not None,
            layers=self.layers * loops,
            embedding_length=width,
            rope_positions=rope_positions(self, context),
            tied_embeddings=bool(tied) and not encoder,
            output_matrix=not encoder and not is_headless(self),
            deepstack_layers=self.deepstack(),
            **layers.fields(loops),
            **self.types(stored, layers),
            **sizes,
            **extra,
        )
        for key, message, _ in architecture.misfits():
            raise self.misfit(key, message)
        if architecture.cache_dtype is None:
            self.note_cache_type()
        if incomplete is None and row is not None:
            return self.with_own_tensors(architecture, ArchitectureRow.from_values(name, row))
        return architecture

    def kinds(self) -> list[str]:
        try:
            return layer_kinds(self)
        except UnclearWindow as why:
            self.unknown["architecture.attention"] = str(why)
            return ["full"] * self.layers

    def read_layers(self, width: int) -> _Layers:
        kinds = self.kinds()
        recurrent = [recurrent_of(self, kind, width) if kind in STATES else None for kind in kinds]
        attention = [
            self.at(number, attention_of, kind, width) if kind in ATTENDING else None
            for number, kind in enumerate(kinds)
        ]
        self.refuse_misfits((*dict.fromkeys(attention), *dict.fromkeys(recurrent)), width)
        feed_forward: list[FeedForward | None] = [None] * self.layers
        incomplete = None
        try:
            of_layers = [
                self.at(number, feed_forward_of, kind, width) for number, kind in enumerate(kinds)
            ]
            self.refuse_misfits(dict.fromkeys(of_layers), width)
            feed_forward = of_layers
        except Unclear as why:
            incomplete = str(why)
        if odd := self.not_followed():
            raise Unclear(f"per_layer_config: {listed(odd)}: not understood")
        return _Layers(
            attention=tuple(attention),
            recurrent=tuple(recurrent),
            feed_forward=tuple(feed_forward),
            incomplete=incomplete,
        )

    def sizes(
        self,
        row: Mapping[str, Any] | None,
        extra: Mapping[str, Any],
        width: int,
        context: int | None,
        *,
        loops: int,
        in_gguf: bool,
    ) -> dict[str, Any]:
        """The tables and the layers that are counted apart, as fields of `Architecture`."""
        shared = layers_without_cache(self)
        vocabulary = self.positive("padded_vocab_size", "vocab_size", "embedding_size")
        audio = audio_of(self)
        table_length = self.table_length(width)
        token_types = self.number("type_vocab_size") or None
        positions = position_rows(self, row, extra, context)
        per_layer_length = self.number("hidden_size_per_layer_input")
        altup = self.number("altup_num_inputs", "hc_mult")
        groups = layer_groups(self)
        mtp = mtp_layers(self)
        counts_mtp = in_gguf or self.outer_type.mtp_layers is not None
        rows_in_gguf = self.type.rows_in_gguf
        is_padded = bool(rows_in_gguf) and vocabulary == rows_in_gguf[0]
        return {
            "vocabulary": vocabulary,
            "vocabulary_gguf": rows_in_gguf[1] if is_padded else None,
            "context_tokens": self.usable_context(context),
            "table_length": table_length,
            "positions": positions,
            "token_types": token_types if row is not None and row.get("token_types") else None,
            "cache_layers": self.layers - shared if shared else None,
            "stored_layers": self.layers if loops > 1 else groups,
            "per_layer_embedding_length": per_layer_length or None,
            "altup_inputs": altup or None,
            "mtp_layers": mtp if mtp and counts_mtp and not self.type.mtp_ignored else None,
            "audio": audio,
        }

    def usable_context(self, context: int | None) -> int | None:
        """Tokens of the context less the positions that the model leaves unused."""
        left = self.type.unused_positions
        return context - left if context and context > left else context or None

    def types(self, stored: Stored, layers: _Layers) -> dict[str, Any]:
        """The types of weights and cache, as fields of `Architecture`."""
        quantization = self.quantization
        quantized = stored.matrices and isinstance(quantization, dict)
        latent = any(layer is not None and layer.kind == "latent" for layer in layers.attention)
        return {
            "dtype": self.dtype(),
            "matrix_dtype": stored.matrices,
            "expert_dtype": stored.experts,
            "cache_dtype": kept_in(quantization, latent=latent),
            "quantizer": quantizer_of(quantization) if quantized else None,
        }

    def row_name(self, gguf: str | None, incomplete: str | None) -> str:
        """The name that the architecture has. Notes why the weights do not follow, where they are
        `incomplete`.
        """
        name = gguf or self.type.row or self.kind or "unnamed"
        if incomplete is None:
            return name
        if "architecture.attention" in self.unknown:
            raise Unclear(f"{self.unknown.pop('architecture.attention')}; and {incomplete}")
        self.unknown["parameters.total"] = f"the weights do not follow from the file: {incomplete}"
        # with the name of a row it would be believed to have all its tensors
        return name + INCOMPLETE if row_values(self.architectures, name) is not None else name

    @property
    def quantization(self) -> Any:
        return self.outer.get("quantization_config") or self.text.get("quantization_config")

    def note_cache_type(self) -> None:
        """Notes the key of a type for keys and values that vLLM does not follow."""
        quantization = self.quantization
        if not isinstance(quantization, dict):
            return
        keys = ("kv_cache_scheme", "kv_cache_quant_algo")
        key = next((key for key in keys if quantization.get(key)), None)
        if key is not None:
            self.notes.append(
                f"{key} of quantization_config is none that vLLM follows: keys and values are"
                " counted in the model's type"
            )

    def with_own_tensors(self, architecture: Architecture, row: ArchitectureRow) -> Architecture:
        """The same with all tensors listed, where parts of them follow no row."""
        if self.type.shared_blocks:
            from .zamba import with_shared_blocks

            return with_shared_blocks(architecture, row, self)
        if self.type.attention_experts:
            from .jetmoe import with_attention_experts

            return with_attention_experts(architecture, row)
        return architecture

    def refuse_misfits(self, parts: Iterable[LayerPart | None], width: int) -> None:
        """Raises for a size that does not divide what it should, under its name in the file."""
        for part in parts:
            for key, message, _ in () if part is None else part.misfits(width):
                raise self.misfit(key, message)

    def misfit(self, key: str, message: str) -> Unclear:
        stated = [own for own in _KEYS_OF.get(key, ()) if self.text.get(own) is not None]
        return Unclear(f"{stated[0] if stated else key} {message}")

    def gguf_name(self, layers: _Layers) -> str | None:
        """The `general.architecture` that llama.cpp's converter writes, None for a model that it
        does not know.
        """
        if not self.converted:
            return None
        of_experts = any(layer is not None and layer.experts for layer in layers.feed_forward)
        if self.type.row_with_experts and of_experts:
            return self.type.row_with_experts
        if self.type.row_of_ocr and "OCR" in class_of(self.outer):
            return self.type.row_of_ocr
        if self.type.row_without_states and not any(layers.recurrent) and not of_experts:
            return self.type.row_without_states
        return self.type.row

    # -------- what the row does not say

    def table_length(self, width: int) -> int | None:
        """Elements of a row of the token table, None where it is as wide as the layers."""
        if not self.known:
            return None
        length = self.number(*(key for key in _TABLE if self.reads(key)))
        return length if length and length != width else None

    def deepstack(self) -> int | None:
        """How many layers get a vision feature each, None without pictures."""
        part = self.outer.get("vision_config")
        places = part.get("deepstack_visual_indexes") if isinstance(part, dict) else None
        return min(len(places), self.layers) or None if isinstance(places, list) else None

    def encoders(self, text_width: int) -> Encoders | None:
        """What the model sees or hears with. None where its size does not follow; `unknown` then
        says why.
        """
        from .encoders import Untold, encoders_of

        try:
            return encoders_of(self.outer, text_width, self.architectures)
        except Untold as why:
            self.unknown["parameters.encoders"] = (
                f"the size of the vision or audio encoder does not follow from config.json: {why}"
            )
            return None

    def parameters(self, architecture: Architecture, row: ArchitectureRow) -> Parameters:
        """Those of the language model. None in all where the checkpoint has adapters, too."""
        from ..needs.tensors import block_tensors, checkpoint_tensors, count, idle

        groups = checkpoint_tensors(architecture, row)
        total = count(groups)
        if total > _MAX_PARAMETERS:
            fail(
                self.path,
                f"is not a usable config.json: it describes {total:.1e} parameters",
                "give the model's config.json as it was published",
            )
        mtp = None
        if self.outer_type.mtp_layers is not None:
            mtp = count(block_tensors(architecture, row)) or None
        if self.type.adapters:
            self.unknown["parameters.total"] = _ADAPTED
            return Parameters(mtp=mtp)
        return Parameters(total=total, active=max(1, total - idle(groups, architecture)), mtp=mtp)

    # -------- how it is stored

    def dtype(self) -> str | None:
        """The type of what is not quantized, None where it is not known."""
        stated = (
            self.get("torch_dtype", "dtype")
            or self.outer.get("torch_dtype")
            or self.outer.get("dtype")
        )
        name = _DTYPES.get(stated.removeprefix("torch.")) if isinstance(stated, str) else None
        if name is None:
            self.unknown["architecture.dtype"] = (
                "config.json does not say"
                if stated is None
                else f"torch_dtype {short(stated)} is not known"
            )
        return name

    def with_apart(self, stored: Stored, groups: Sequence[TensorGroup]) -> Stored:
        """`stored` with MLX's layers of another type; without any type where one is not
        understood.
        """
        apart = tensors_apart(self.apart, groups)
        if not isinstance(apart, str):
            return stored.replace(apart=apart)
        given = self.outer["quantization"][apart]
        self.unknown["architecture.matrix_dtype"] = (
            f"quantization of config.json: {short(apart)} = {short(given)} is not understood, so"
            " the size of the weights is not known"
        )
        return Stored(name=None, format="mlx")

    def stored(self) -> Stored:
        """How the weights are stored. Notes in `unknown` what is not understood."""
        quantization = self.quantization
        mlx = self.outer.get("quantization")
        own = of_mlx(mlx) if isinstance(mlx, dict) else None
        if own is not None:
            self.unknown["architecture.matrix_dtype"] = (
                f"config.json describes MLX's {own[0]} weights, and not those before them"
            )
            self.apart = own[1]
            return Stored(name=own[0], format="mlx")
        if mlx:
            self.unknown["architecture.matrix_dtype"] = (
                f"quantization {short(mlx)} of config.json is not understood"
            )
            return Stored(name=None, format="mlx")
        if quantization and not isinstance(quantization, dict):
            self.unknown["architecture.matrix_dtype"] = (
                "quantization_config is no object, so the size of the weights is not known"
            )
            return Stored(name=None)
        if not quantization:
            return Stored(name=self.dtype(), quantized=False)
        stored = stored_by(quantization)
        if self.get("expert_dtype") == "fp4" and stored.matrices:
            # DeepSeek V4: 4 bits with a scale of 8 for each 32, as llama.cpp's
            # conversion/deepseek.py reads them
            stored = stored.replace(experts="mxfp4")
        if stored.why is not None:
            self.not_understood(stored.why)
        return stored

    def not_understood(self, why: str) -> None:
        """Notes what of quantization_config is not understood."""
        self.unknown["architecture.matrix_dtype"] = (
            f"quantization_config: {why}, so the size of the weights is not known"
        )


def _with_encoders(counts: Parameters, encoders: Encoders | None) -> Parameters:
    """The same with what the model sees or hears with. None in all where its size is not known."""
    if encoders is None:
        return counts.replace(total=None, active=None)
    if counts.total is not None and counts.active is not None:
        counts = counts.replace(
            total=counts.total + encoders.parameters, active=counts.active + encoders.parameters
        )
    return counts.replace(
        encoders=encoders.parameters,
        projector_bytes=encoders.projector_bytes,
        encoder_type=encoders.type,
    )


def _without_cache(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The same weights, tensor by tensor, without what a layer keeps."""
    from ..needs.tensors import gguf_tensors

    tensors = gguf_tensors(architecture, row)
    return architecture.replace(attention=(), recurrent=(), tensors=tensors)
