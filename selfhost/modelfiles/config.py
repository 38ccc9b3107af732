"""A Hugging Face `config.json` -> ModelSpec: the shape of a model, without its weights.

The keys are those of the transformers configuration classes and of the published files themselves.
A key that bears on the cache or on the weights and is not understood stops the part it bears on:
the spec then says so under `unknown`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ..catalogue.spec import (
    INCOMPLETE,
    MAX_BEAMS,
    MAX_LAYERS,
    ROW_FLAGS,
    Architecture,
    Audio,
    FeedForward,
    ModelSpec,
    Parameters,
    Safety,
)
from ..core.records import Record
from .attention import attention_of
from .feedforward import feed_forward_of
from .keys import (
    CACHE_KEY,
    CONTEXT,
    HEADS,
    KEEPING_KEY,
    KV_HEADS,
    LAYERS,
    MAX_CONFIG_BYTES,
    MAX_NUMBER,
    NESTS,
    WEIGHT_KEY,
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
from .recurrent import recurrent_of
from .source import fail, read_json, shown
from .stored import Stored, of_mlx, stored_by, tensors_apart

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ..catalogue.spec import LayerPart, Recurrent, TensorGroup
    from ..needs.tensors import ArchitectureRow
    from .encoders import Encoders

# what the largest model of 2026 has a thousand times over
_MAX_PARAMETERS = 10**16

# sizes that BART's encoder and decoder have in common
_OF_BOTH = ("attention_heads", "ffn_dim")
# published factors of scaled positions reach 64
_MOST_STRETCHED = 10_000
_ADAPTED = (
    "lora_adaptations: adapters lie in the checkpoint beside the model, and their size does not"
    " follow from the file"
)

# width of the token table, in classes that have one of their own
_TABLE = ("embedding_size", "input_embedding_size", "word_embed_proj_dim")
_MTP = ("num_nextn_predict_layers", "mtp_num_hidden_layers")
# switches that published files state, mostly against the default of their class: a file without
# them was cut
_ALWAYS_STATED = ("block_auto_adjust_ff_dim", "mamba_rms_norm")


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
    "mtp_layers": _MTP,
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
    """What a config.json tells. `language_parameters`: of the language model alone, None where
    they do not follow from the file.
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
    """The model that a config.json describes. Raises `SpecError`; `name` is that of the model,
    the path's where None; `model_types` are the shipped ones where None.
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
    return name_of(
        os.path.dirname(os.path.abspath(path))
        if not os.path.dirname(path)
        else os.path.dirname(path)
    )


# what other files of a model, or other JSON, look like: keys of which one is enough, and what to
# say
_OTHER: tuple[tuple[tuple[str, ...], str], ...] = (
    (("weight_map",), "is the index of a model's safetensors files: give the folder it is in"),
    (
        ("peft_type", "base_model_name_or_path"),
        "is the configuration of a LoRA adapter: give the model that it changes",
    ),
    (
        ("_diffusers_version",),
        (
            "is a part of a diffusers pipeline, an image model: only config.json files of language"
            " models are read"
        ),
    ),
    (
        ("added_tokens_decoder", "tokenizer_class", "chat_template", "added_tokens"),
        "is the configuration of a tokenizer",
    ),
    (
        ("image_processor_type", "feature_extractor_type", "image_mean", "processor_class"),
        "is the configuration of an image or audio processor",
    ),
    (
        ("mediaType", "schemaVersion"),
        "is an Ollama or OCI manifest: give the model's name, for example llama3.2:1b",
    ),
    (
        (
            "do_sample",
            "temperature",
            "top_p",
            "_from_model_config",
            "max_new_tokens",
            "eos_token_id",
        ),
        "is a generation_config.json",
    ),
    (("bos_token", "unk_token", "eos_token"), "is a special_tokens_map.json"),
    (
        ("n_heads", "norm_eps", "multiple_of", "ffn_dim_multiplier"),
        "is the params.json of a model's own format",
    ),
    (("dependencies", "devDependencies", "scripts"), "is a package.json"),
    (("__metadata__",), "is the header of a safetensors file"),
)


def refuse_what_is_no_config(path: str, values: Any) -> None:
    """Raise `SpecError` for JSON that is something else, and say what it seems to be."""
    remedy = "give the model's config.json, its folder, or its GGUF file"
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else "a single value"
        fail(path, f"is no model's config.json: it is {kind}, not an object", remedy)
    schema = values.get("schema")
    if isinstance(schema, str) and schema.startswith("selfhost."):
        if schema.startswith("selfhost.machine"):
            fail(
                path,
                "is a machine record of selfhost, not a model",
                "give it with --machine, and name a model",
            )
        fail(path, f"is an answer of selfhost ({clean(schema)}), not a model", remedy)
    kind = clean(values.get("model_type"))
    nested = next((values[nest] for nest in NESTS if isinstance(values.get(nest), dict)), None)
    text = values if nested is None else nested
    shaped = any(
        key in text for key in (*LAYERS, "hybrid_override_pattern", "layers_block_type")
    ) and any(key in text for key in WIDTH)
    if shaped and (kind or values.get("architectures")):
        if nested is None and (
            kind.endswith(("vision_model", "_vision"))
            or kind in ("siglip", "clip", "dinov2", "vit")
        ):
            fail(path, f"describes an image encoder ({kind}), no language model", remedy)
        return
    if kind and nested is not None:
        return
    if kind.endswith(("vision_model", "_vision")) or kind in ("siglip", "clip"):
        fail(path, f"describes an image encoder ({kind}), no language model", remedy)
    if kind and values.get("architectures"):
        return
    for keys, message in _OTHER:
        if any(key in values for key in keys) and not (kind and shaped):
            fail(path, message, None if ":" in message else remedy)
    if "model" in values and "pre_tokenizer" in values:
        fail(path, "is a tokenizer.json", remedy)
    if shaped:
        return
    seen = listed((clean(key) for key in values), 4)
    fail(
        path,
        "is no model's config.json" + (f": it has the keys {seen}" if seen else ": it is empty"),
        remedy,
    )


class _Config(Keys):
    # MLX's layers that are stored otherwise, each with the name of its type
    apart: Mapping[str, str | None] = {}

    # -------- the whole

    def read(self) -> ConfigRead:
        from ..needs.tensors import block_tensors, checkpoint_tensors, count, row_of

        stored = self.stored()
        try:
            architecture = self.architecture(stored)
        except Unclear as why:
            self.unknown["architecture"] = str(why)
            architecture = None
        row = None if architecture is None else row_of(architecture, self.architectures)
        groups = (
            () if architecture is None or row is None else checkpoint_tensors(architecture, row)
        )
        if self.apart:
            stored = self.with_apart(stored, groups)
        elif architecture is not None and stored.rules:
            architecture, stored = self.by_rules(architecture, stored, groups)
        if architecture is not None:
            architecture = self.with_plain_experts(architecture, stored, groups)
        total = active = mtp = None
        if architecture is not None and row is not None:
            total, active = self.parameters(architecture, row)
            if self.outer_type.mtp_layers is not None:
                mtp = count(block_tensors(architecture, row)) or None
            if self.type.adapters:
                total = active = None
                self.unknown["parameters.total"] = _ADAPTED
            if "architecture.attention" in self.unknown:
                architecture = _without_cache(architecture, row)
        language, encoders, sees = total, None, self.sees()
        if sees or isinstance(self.outer.get("audio_config"), dict):
            encoders = (
                None if architecture is None else self.encoders(architecture.embedding_length)
            )
            if encoders is None:
                total = active = None
            elif total is not None and active is not None:
                total, active = total + encoders.parameters, active + encoders.parameters
        if total is None:
            self.unknown.setdefault("parameters.total", "it does not follow from config.json alone")
        self.unknown.update(_NEVER_STATED)
        # classes that transformers has of its own do not need the code that auto_map names
        own_code = isinstance(self.outer.get("auto_map"), dict) and (
            not self.converted or self.type.own_code
        )
        spec = ModelSpec(
            id=identifier(self.name),
            name=self.name,
            modality=self.modality(architecture, row, sees=sees),
            parameters=Parameters(
                total=total,
                active=active,
                mtp=mtp,
                encoders=encoders.parameters if encoders else None,
                projector_bytes=encoders.projector_bytes if encoders else None,
                encoder_type=encoders.type if encoders else None,
            ),
            architecture=architecture,
            safety=Safety(remote_code=True if own_code else None),
            sources={
                "architecture": shown(self.path),
                **({"parameters": "sum over the architecture"} if total else {}),
                **({"parameters.encoders": encoders.source} if encoders else {}),
                **({"safety": f"auto_map in {shown(self.path)}"} if own_code else {}),
            },
            unknown={
                key: why
                for key, why in self.unknown.items()
                if not (key == "architecture" and architecture is not None)
            },
            origin=self.path,
        )
        return ConfigRead(
            spec=spec, stored=stored, language_parameters=language, notes=tuple(self.notes)
        )

    def by_rules(
        self, architecture: Architecture, stored: Stored, groups: Sequence[TensorGroup]
    ) -> tuple[Architecture, Stored]:
        """Both, once the rules of quantization_config are followed tensor by tensor."""
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
        """Experts that bitsandbytes leaves alone: version 5 of transformers keeps those of a layer
        in one array (issue 1849 of bitsandbytes); version 4 made them narrow.
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
        """The model takes pictures."""
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
        from ..needs.tensors import ArchitectureRow

        self.refuse_unread_stacks()
        self.layers = layers = self.layer_count()
        width = self.needed(*WIDTH)
        self.overrides = self.of_layers()
        try:
            kinds = layer_kinds(self)
        except UnclearWindow as why:
            self.unknown["architecture.attention"] = str(why)
            kinds = ["full"] * layers
        state = [recurrent_of(self, kind, width) if kind in STATES else None for kind in kinds]
        attention = [
            self.at(number, attention_of, kind, width) if kind in ATTENDING else None
            for number, kind in enumerate(kinds)
        ]
        self.refuse_misfits((*dict.fromkeys(attention), *dict.fromkeys(state)), width)
        incomplete: str | None = None
        feed_forward: list[FeedForward | None] = [None] * layers
        try:
            feed_forward = [
                self.at(number, feed_forward_of, kind, width) for number, kind in enumerate(kinds)
            ]
            self.refuse_misfits(dict.fromkeys(feed_forward), width)
        except Unclear as why:
            incomplete = str(why)
        if odd := self.not_followed():
            raise Unclear(f"per_layer_config: {listed(odd)}: not understood")
        gguf = self.gguf_name(state, feed_forward)
        row = row_values(self.architectures, gguf or self.type.row)
        extra = self.extras(row) if row is not None else {}
        loops = self.loops()
        encoder = bool(row and row.get("encoder") and not row.get("diffusion"))
        tied = self.tied()
        if tied is None and encoder:
            # no encoder has an output matrix
            tied = False
        context = self.context()
        shared = self.layers_without_cache()
        vocabulary = self.positive("padded_vocab_size", "vocab_size", "embedding_size")
        audio = self.audio()
        table = self.table_length(width)
        token_types = self.number("type_vocab_size") or None
        positions = self.positions(row, extra, context)
        slices, altup = (
            self.number("hidden_size_per_layer_input"),
            self.number("altup_num_inputs", "hc_mult"),
        )
        sharing = self.layer_groups()
        mtp = self.mtp_layers()
        self.refuse_unread_of_cache()
        incomplete = self.incompleteness(incomplete, row, vocabulary, tied)
        name = gguf or self.type.row or self.kind or "unnamed"
        self.refuse_what_a_cache_hangs_on(incomplete, row, encoder=encoder, attends=any(attention))
        if incomplete is not None and "architecture.attention" in self.unknown:
            raise Unclear(f"{self.unknown.pop('architecture.attention')}; and {incomplete}")
        if incomplete is not None:
            self.unknown["parameters.total"] = (
                f"the weights do not follow from the file: {incomplete}"
            )
            if row_values(self.architectures, name) is not None:
                # an architecture that stands in the table would be believed to have all its tensors
                name += INCOMPLETE
        if context is None:
            self.unknown["architecture.context_tokens"] = "config.json does not say"
        left, in_gguf = self.type.unused_positions, self.type.rows_in_gguf
        quantization = self.outer.get("quantization_config") or self.text.get("quantization_config")
        described = Architecture(
            row=name,
            runs_in_gguf=gguf is not None,
            dtype=self.dtype(),
            matrix_dtype=stored.matrices,
            expert_dtype=stored.experts,
            cache_dtype=kept_in(
                quantization,
                latent=any(layer is not None and layer.kind == "latent" for layer in attention),
            ),
            quantizer=(
                quantizer_of(quantization)
                if stored.matrices and isinstance(quantization, dict)
                else None
            ),
            layers=layers * loops,
            embedding_length=width,
            heads=max((layer.heads for layer in attention if layer is not None), default=None),
            vocabulary=vocabulary,
            vocabulary_gguf=(in_gguf[1] if in_gguf and vocabulary == in_gguf[0] else None),
            context_tokens=context - left if context and context > left else context or None,
            rope_positions=self.rope_positions(context),
            tied_embeddings=bool(tied) and not encoder,
            output_matrix=not encoder and not self.headless(),
            attention=grouped(attention * loops),
            recurrent=grouped(state),
            feed_forward=grouped(feed_forward * loops),
            table_length=table,
            positions=positions,
            token_types=token_types if row is not None and row.get("token_types") else None,
            cache_layers=layers - shared if shared else None,
            stored_layers=layers if loops > 1 else sharing,
            per_layer_embedding_length=slices or None,
            altup_inputs=altup or None,
            deepstack_layers=self.deepstack(),
            mtp_layers=(
                mtp
                if mtp
                and (gguf or self.outer_type.mtp_layers is not None)
                and not self.type.mtp_ignored
                else None
            ),
            audio=audio,
            **extra,
        )
        for key, message, _ in described.misfits():
            raise self.misfit(key, message)
        if described.cache_dtype is None:
            self.note_cache_type(quantization)
        if incomplete is None and row is not None:
            return self.with_own_tensors(described, ArchitectureRow.from_values(name, row))
        return described

    def refuse_unread_stacks(self) -> None:
        if self.type.stacks == "bart":
            self.reads_and_writes()
        elif self.outer.get("is_encoder_decoder") and not self.type.stacks:
            raise Unclear(
                f"{self.kind or 'the model'} has an encoder beside its decoder, which this selfhost"
                " does not read"
            )

    def layers_without_cache(self) -> int:
        """How many last layers use the cache of an earlier one."""
        if not self.reads("num_kv_shared_layers"):
            return 0
        shared = self.number("num_kv_shared_layers") or 0
        if shared >= self.layers:
            raise Unclear(
                f"num_kv_shared_layers is {shared:,}, and there are {self.layers:,} layers"
            )
        return shared

    def layer_groups(self) -> int | None:
        """ALBERT: layers beside each other have one set of weights; how many sets."""
        if not (self.known and self.reads("num_hidden_groups")):
            return None
        groups = self.number("num_hidden_groups")
        if groups is not None and not 1 <= groups <= self.layers:
            raise Unclear(f"num_hidden_groups is {groups:,}, and there are {self.layers:,} layers")
        return groups

    def mtp_layers(self) -> int:
        """Blocks that predict more tokens."""
        blocks = self.number(*_MTP)
        if blocks is None:
            blocks = self.outer_type.mtp_layers or 0
        if blocks > self.layers:
            raise Unclear(f"{_MTP[0]} is {blocks:,}, and there are {self.layers:,} layers")
        return blocks

    def positions(
        self, row: Mapping[str, Any] | None, extra: Mapping[str, Any], context: int | None
    ) -> int | None:
        """Rows of the position table, or of the table of distances."""
        if row is None:
            return None
        relative = self.relative_positions() if row.get("relative_table") else None
        learned = row.get("positions") and "positions" not in extra.get("lacks", ())
        return context if learned and not row.get("position_offset") else relative

    def note_cache_type(self, quantization: object) -> None:
        """Notes the key of a type for keys and values that vLLM does not follow."""
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
        """Raises for a size that does not divide what it should, under the name that it has in
        the file.
        """
        for part in parts:
            for key, message, _ in () if part is None else part.misfits(width):
                raise self.misfit(key, message)

    def misfit(self, key: str, message: str) -> Unclear:
        stated = [own for own in _KEYS_OF.get(key, ()) if self.text.get(own) is not None]
        return Unclear(f"{stated[0] if stated else key} {message}")

    def gguf_name(
        self, state: Sequence[Recurrent | None], feed_forward: Sequence[FeedForward | None]
    ) -> str | None:
        """`general.architecture` that llama.cpp's converter writes; None where it knows no such
        model.
        """
        if not self.converted:
            return None
        of_experts = any(layer is not None and layer.experts for layer in feed_forward)
        if self.type.row_with_experts and of_experts:
            return self.type.row_with_experts
        if self.type.row_of_ocr and "OCR" in class_of(self.outer):
            return self.type.row_of_ocr
        if self.type.row_without_states and not any(state) and not of_experts:
            return self.type.row_without_states
        return self.type.row

    def refuse_unread_of_cache(self) -> None:
        """Raises for keys that nothing read and that may change what layers remember; of those
        that say how long, the cache is unknown.
        """
        self.understood.update(self.type.published)
        odd = sorted({*self.left_over(CACHE_KEY), *self.other_than_default(cache=True)})
        if odd:
            message = (
                f"{listed(odd)}: not understood, and it may change what the model keeps of its"
                " context"
            )
            if not all(KEEPING_KEY.search(key) for key in odd):
                raise Unclear(message)
            self.unknown["architecture.attention"] = message
            self.notes.append(
                f"{listed(odd)}: not understood; the weights are counted as if it added none"
            )

    def incompleteness(
        self,
        incomplete: str | None,
        row: Mapping[str, Any] | None,
        vocabulary: int | None,
        tied: bool | None,
    ) -> str | None:
        """Why the weights do not follow from the file, None where they do; `incomplete` is what
        was found before.
        """
        other = [
            key
            for key, value in self.type.published.items()
            if self.text.get(key) not in (None, value)
        ]
        if other and incomplete is None:
            incomplete = f"{listed(other)}: not as in the published models"
        if self.type.larger_alone and (
            self.text.get("parallel_attn") is False or self.flag("bias", "alibi")
        ):
            incomplete = "parallel_attn, bias, alibi: not those of the larger Falcon models"
        if self.type.gating and self.get("gating") not in (None, True, self.type.gating):
            incomplete = f"gating is {short(self.get('gating'))}: not that of the published models"
        self.understood.update(("parallel_attn", "hidden_size_per_layer_input"))
        odd = sorted({*self.left_over(WEIGHT_KEY), *self.other_than_default(cache=False)})
        if odd and incomplete is None:
            incomplete = f"{listed(odd)}: not understood"
        untold = sorted(
            key
            for key in _ALWAYS_STATED
            if key in self.known.get("matter", ()) and key not in self.text
        )
        if untold and incomplete is None:
            incomplete = f"{listed(untold)} is missing"
        if row is None and incomplete is None:
            incomplete = (
                f"{self.kind or 'this model type'} is not an architecture whose tensors this"
                " selfhost knows"
            )
        if vocabulary is None and incomplete is None:
            incomplete = "vocab_size is missing"
        if tied is None and incomplete is None and not self.headless():
            value = self.get("tie_word_embeddings")
            odd_tie = f"is {short(value)}, neither true nor false"
            if value is None:
                odd_tie = (
                    f"is missing, and the default of {self.kind or 'this model type'} is not known"
                )
            elif isinstance(value, bool):
                odd_tie = "is true in one part of the file and false in the other"
            incomplete = f"tie_word_embeddings {odd_tie}"
        norms = self.type.other_norms
        if norms and norms[0] in repr(self.outer.get("auto_map")):
            incomplete = (
                f"auto_map: the norms of {norms[1]} are not those of other models of its type"
            )
        return incomplete

    def refuse_what_a_cache_hangs_on(
        self, incomplete: str | None, row: Mapping[str, Any] | None, *, encoder: bool, attends: bool
    ) -> None:
        """Raises where it is not known whether, or for how many heads, the model keeps a cache."""
        if incomplete is not None and row is not None and (encoder or row.get("recomputes")):
            # without its row it would be believed to keep a cache
            raise Unclear(incomplete)
        untied = (
            self.known
            and self.text.get("tie_word_embeddings") is False
            and class_of(self.outer).endswith("ForMaskedLM")
        )
        if encoder and untied:
            raise Unclear(
                f"tie_word_embeddings is false, and what the head of {clean(class_of(self.outer))}"
                " takes is not known"
            )
        if encoder and self.flag("is_decoder"):
            raise Unclear(
                f"is_decoder: what {self.kind} keeps of its context where it writes is not known"
            )
        if row is None and (keepless := self.both_ways()):
            raise Unclear(keepless)
        foreign = row is None and not self.known and not self.type.all_heads_keep
        if foreign and attends and all(self.text.get(key) is None for key in _SHARES_HEADS):
            raise Unclear(
                f"num_key_value_heads is missing, and what {self.kind or 'the model type'} has then"
                " is not known"
            )

    def context(self) -> int | None:
        if self.type.context_tokens is not None:
            self.understood.update(CONTEXT)
            return self.type.context_tokens
        return self.number(*CONTEXT, *self.type.context_keys) or None

    def rope_positions(self, context: int | None) -> int | None:
        """Positions that vLLM's table of sines and cosines has, None where they are those of the
        context.

        vllm/model_executor/layers/rotary_embedding: some scalings make a table longer than
        max_position_embeddings, YaRN makes it of the original length, LongRoPE has one of either
        length.
        """
        scaling = self.get("rope_scaling", "rope_parameters")
        if not isinstance(scaling, dict) or not context:
            return None
        # one for each kind of layers, of which those without a window are scaled
        inner = scaling.get("full_attention")
        scaling = inner if isinstance(inner, dict) else scaling
        kind, factor = scaling.get("rope_type") or scaling.get("type"), scaling.get("factor")
        original = scaling.get("original_max_position_embeddings") or self.get(
            "original_max_position_embeddings"
        )
        original = original if type(original) is int and 0 < original < MAX_NUMBER else None
        if kind in ("longrope", "su"):
            return context + original if original is not None else None
        if (
            not isinstance(factor, (int, float))
            or isinstance(factor, bool)
            or not 1 <= factor <= _MOST_STRETCHED
        ):
            return None
        if kind == "yarn" and original is not None:
            stretched = int(original * factor)
        elif kind in ("linear", "ntk") or (kind == "dynamic" and scaling.get("alpha") is None):
            stretched = int(context * factor)
        else:
            return None
        return stretched if stretched != context else None

    def reads_and_writes(self) -> None:
        """Refuses what no published BART kin has; transformers 5.23.0, modeling_bart.py and its
        likes.
        """
        name = class_of(self.outer)
        if name and not re.search(r"(?:ForConditionalGeneration|MTModel)$", name):
            raise Unclear(
                f"architectures: of {self.kind} only the class that writes text is understood, not"
                f" {short(name)}"
            )
        if self.get("share_encoder_decoder_embeddings") is False:
            raise Unclear(
                "share_encoder_decoder_embeddings is false: a token table for each of encoder and"
                " decoder is not understood"
            )
        for size in _OF_BOTH:
            read, written = (self.positive(f"{stack}_{size}") for stack in ("encoder", "decoder"))
            if read != written:
                raise Unclear(
                    f"encoder_{size} is {read}, decoder_{size} is {written}: stacks of unlike width"
                    " are not understood"
                )

    def layer_count(self) -> int:
        if self.type.stacks == "bart":
            # num_hidden_layers is another name of encoder_layers there
            return self.needed("decoder_layers")
        pattern, kinds = self.get("hybrid_override_pattern"), self.get("layers_block_type")
        layers = (
            self.sublayers()
            if self.type.sublayers or self.kind.startswith("longcat")
            else self.positive(*LAYERS)
            or (len(pattern) if isinstance(pattern, str) else 0)
            or (len(kinds) if isinstance(kinds, list) else 0)
        )
        if not layers:
            raise Unclear("num_hidden_layers is missing")
        if layers > MAX_LAYERS:
            fail(
                self.path,
                f"is no usable config.json: {layers:,} layers",
                f"the most that any model has is far below {MAX_LAYERS:,}",
            )
        return layers

    def sublayers(self) -> int:
        """Those that attend: each layer of LongCat Flash has two, and num_hidden_layers counts
        them (LongcatFlashConfig).
        """
        times = self.type.sublayers
        if times is None:
            raise Unclear(f"model_type: how often a layer of {self.kind} attends is not known")
        stated, pairs = self.positive("num_hidden_layers"), self.needed("num_layers")
        if stated is not None and "num_layers" in self.outer and stated != times * pairs:
            raise Unclear(
                f"num_hidden_layers is {stated:,} and num_layers {pairs:,}: which of them counts"
                " the layers is not clear"
            )
        return times * pairs if stated is None else stated // times * times

    def loops(self) -> int:
        """How often the layers are run through, each time with a cache of their own."""
        if not self.type.loops:
            return 1
        odd = [key for key in self.type.without if self.flag(key)]
        if odd:
            raise Unclear(f"{listed(odd)}: not understood")
        loops = self.positive(self.type.loops) or 1
        if self.layers * loops > MAX_LAYERS:
            raise Unclear(f"{self.type.loops} is {loops:,}, and there are {self.layers:,} layers")
        return loops

    # -------- what its row does not say

    def extras(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What the model has otherwise than its row, as fields of `Architecture`."""
        extra: dict[str, Any] = {**self.type.other_than_row}
        self.add_switched(extra, row)
        self.add_norm(extra, row)
        if row.get("banked_layers") and self.number("attn_res_block_size") != row["banked_layers"]:
            raise Unclear(
                f"attn_res_block_size is {self.get('attn_res_block_size')}, and llama.cpp knows"
                f" {row['banked_layers']}"
            )
        self.add_stacks(extra, row)
        self.add_outside(extra)
        norms = 2 if self.flag("new_decoder_architecture") else self.type.parallel_norms
        if norms is not None:
            extra["parallel_norms"] = norms
        self.add_rope(extra, row)
        return extra

    def add_switched(self, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
        """Adds the parts that a key switches otherwise than the row has them."""
        for key, flags in {**_SWITCHES, **self.type.switches}.items():
            if (
                not flags
                or not self.reads(key)
                or (self.text.get("kv_lora_rank") and flags[0] == "attention_bias")
            ):
                continue
            value = self.get(key)
            if not isinstance(value, bool):
                continue
            if flags[0] == "attention_bias" and value != bool(row.get("attention_bias")):
                extra["attention_bias"] = value
            for flag in flags:
                if flag in ROW_FLAGS and value != bool(row.get(flag, flag == "output_norm")):
                    departs = "also" if value else "lacks"
                    extra[departs] = (*extra.get(departs, ()), flag)

    def add_norm(self, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
        """Adds the norm of queries and keys where the file has it otherwise than the row."""
        norm = next(
            (self.get(key) for key in ("use_qk_norm", "qk_layernorm") if self.reads(key)), None
        )
        if norm is False and row.get("query_key_norm") and self.known:
            extra["query_key_norm"] = "none"
        if norm is True and not row.get("query_key_norm") and self.type.switched_norm:
            extra["query_key_norm"] = self.type.switched_norm

    def add_stacks(self, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
        """Adds what a model with an encoder beside its decoder has."""
        if self.type.stacks == "t5":
            stated = self.get("feed_forward_proj")
            gated = self.get("is_gated_act") if stated is None else str(stated).startswith("gated")
            if gated is not True:
                extra["gate"] = "none"
            if (self.number("num_decoder_layers") or self.layers) != self.layers:
                raise Unclear("num_decoder_layers: stacks of unlike depth are not understood")
            if (
                self.number("relative_attention_num_buckets")
                not in (None, row.get("relative_positions"))
                or self.outer_type.table_in_each_layer
            ):
                raise Unclear(
                    "relative_attention_num_buckets, umt5: tables of distances of another kind are"
                    " not understood"
                )
        if self.type.stacks == "bart" and (above := self.encoder_layers()) != self.layers:
            extra["encoder_layers"] = above
        if self.type.beams and (beams := self.positive("num_beams")) is not None:
            if beams > MAX_BEAMS:
                raise Unclear(f"num_beams is {beams:,}: more than are searched with")
            extra["beams"] = beams

    def add_outside(self, extra: dict[str, Any]) -> None:
        """Adds and takes away tables beside the layers."""
        if self.type.positions_by_type:
            positions = self.get("position_embedding_type")
            if positions not in ("absolute", "rotary"):
                raise Unclear(f"position_embedding_type is {short(positions)}: not understood")
            if positions == "rotary":
                extra["lacks"] = (*extra.get("lacks", ()), "positions")
        if self.type.optional_parts:
            if self.number("type_vocab_size") == 0:
                extra["lacks"] = (*extra.get("lacks", ()), "token_types")
            if class_of(self.outer).endswith("ForSequenceClassification"):
                extra["also"] = (*extra.get("also", ()), "pooler")

    def add_rope(self, extra: dict[str, Any], row: Mapping[str, Any]) -> None:
        """Adds the tables of factors that a scaling of the positions needs."""
        scaling = self.get("rope_scaling", "rope_parameters")
        kind = (
            (scaling.get("rope_type") or scaling.get("type")) if isinstance(scaling, dict) else None
        )
        if kind == "llama3" and row.get("rope_factors") != "freqs":
            extra["rope_factors"] = "freqs"
        long_short = kind in ("longrope", "su", "yarn") and self.type.long_rope
        if long_short and row.get("rope_factors") != "long_short":
            extra["rope_factors"] = "long_short"

    def tied(self) -> bool | None:
        if self.type.never_tied:
            return False
        inner, outer = (values.get("tie_word_embeddings") for values in (self.inner, self.outer))
        if isinstance(inner, bool) and isinstance(outer, bool) and inner != outer:
            self.understood.add("tie_word_embeddings")
            # where the outer class would tie, transformers leaves a matrix of its own alone that
            # the published files have
            return self.outer_type.tied_by_text_config if inner else None
        if (
            self.type.held_apart
            and "tie_word_embeddings" not in self.written
            and not self.flag("alibi")
        ):
            return False
        for key in (
            "tie_word_embeddings",
            "tie_embedding",
            "tie_embeddings",
            "weight_tying",
            "share_input_output_layers",
        ):
            value = self.get(key)
            if value is None and key == "tie_word_embeddings" and self.nested:
                value = self.outer.get(key)
            if isinstance(value, bool):
                return value
        return self.type.tied

    def headless(self) -> bool:
        """True for a published class without an output matrix: a bare or a reward model."""
        name, mapped = class_of(self.outer), self.outer.get("auto_map")
        if self.type.bare_class_writes:
            return False
        if isinstance(mapped, dict) and any(
            head in mapped for head in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
        ):
            # ChatGLM names its bare class, and generates with that of auto_map
            return False
        return not self.nested and bool(
            re.search(
                r"(?<!LMHead)(?<!MT)Model$|ForSequenceClassification$|ForTokenClassification$", name
            )
        )

    def both_ways(self) -> str | None:
        """Why a model type without a row may keep nothing of its context; None where it writes
        text.
        """
        if self.type.unread_encoder and not self.flag("is_decoder"):
            return (
                f"model_type: {self.kind} is an encoder whose tensors this selfhost does not know"
            )
        if self.headless() or re.search(
            r"For(MaskedLM|PreTraining|QuestionAnswering|MultipleChoice)$", class_of(self.outer)
        ):
            return (
                f"architectures: {clean(class_of(self.outer))} may be an encoder, which keeps"
                " nothing of its context"
            )
        return None

    def table_length(self, width: int) -> int | None:
        """None where the rows of the token table are as wide as the layers."""
        length = (
            self.number(*(key for key in _TABLE if self.reads(key) and self.known))
            if self.known
            else None
        )
        return length if length and length != width else None

    def relative_positions(self) -> int:
        """Rows of DeBERTa's table of distances. The ways to attend that need more matrices than
        that of its third version are refused.
        """
        third: Mapping[str, Any] = {
            "relative_attention": True, "share_att_key": True, "position_biased_input": False,
            "norm_rel_ebd": "layer_norm",
        }  # fmt: skip
        for key, value in third.items():
            if self.get(key) != value:
                raise Unclear(f"{key} is {short(self.text.get(key))}: not understood")
        if self.number("type_vocab_size") or self.number("conv_kernel_size"):
            raise Unclear("type_vocab_size, conv_kernel_size: not understood")
        buckets, most = self.get("position_buckets"), self.get("max_relative_positions")
        # -1: none of its own
        for key in ("position_buckets", "max_relative_positions"):
            if self.get(key) != -1:
                self.number(key)
        reach = next((each for each in (buckets, most) if each is not None and each > 0), None)
        return 2 * (reach or self.needed("max_position_embeddings"))

    def deepstack(self) -> int | None:
        """Layers that get a vision feature each; none without pictures."""
        part = self.outer.get("vision_config")
        places = part.get("deepstack_visual_indexes") if isinstance(part, dict) else None
        return min(len(places), self.layers) or None if isinstance(places, list) else None

    def encoders(self, text_width: int) -> Encoders | None:
        """What the model sees or hears with; None, with the reason under `unknown`, where its
        size does not follow.
        """
        from .encoders import Untold, encoders_of

        try:
            return encoders_of(self.outer, text_width, self.architectures)
        except Untold as why:
            self.unknown["parameters.encoders"] = (
                f"the size of the vision or audio encoder does not follow from config.json: {why}"
            )
            return None

    def encoder_layers(self) -> int:
        layers = self.needed("encoder_layers")
        if layers > MAX_LAYERS:
            raise Unclear(
                f"encoder_layers is {layers:,}, and no model has more than {MAX_LAYERS:,}"
            )
        return layers

    def audio(self) -> Audio | None:
        if self.type.stacks != "whisper":
            return None
        return Audio(
            layers=self.encoder_layers(),
            heads=self.needed("encoder_attention_heads"),
            embedding_length=self.needed("d_model"),
            feed_forward_length=self.needed("encoder_ffn_dim"),
            positions=self.needed("max_source_positions"),
            mel_bins=self.needed("num_mel_bins"),
        )

    def parameters(self, architecture: Architecture, row: ArchitectureRow) -> tuple[int, int]:
        from ..needs.tensors import checkpoint_tensors, count, idle

        groups = checkpoint_tensors(architecture, row)
        total = count(groups)
        if total > _MAX_PARAMETERS:
            fail(
                self.path,
                f"is no usable config.json: it describes {total:.1e} parameters",
                "give the model's config.json as it was published",
            )
        return total, max(1, total - idle(groups, architecture))

    # -------- how it is stored

    def dtype(self) -> str | None:
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
        """MLX's layers that are stored otherwise, or that it is not known how large the weights
        are.
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
        quantization = self.outer.get("quantization_config") or self.text.get("quantization_config")
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
        """Notes what of quantization_config is not followed."""
        self.unknown["architecture.matrix_dtype"] = (
            f"quantization_config: {why}, so the size of the weights is not known"
        )


# which parts of a row a key switches on and off: `attention_bias`, and flags of ROW_FLAGS
_SWITCHES: Mapping[str, tuple[str, ...]] = {
    "attention_bias": ("attention_bias", "attention_output_bias"),
    "use_qkv_bias": ("attention_bias",), "qkv_bias": ("attention_bias",),
    "add_qkv_bias": ("attention_bias",), "mlp_bias": ("feed_forward_bias",),
    "lm_head_bias": ("output_bias",),
    "attention_out_bias": ("attention_output_bias",),
}  # fmt: skip
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


def _without_cache(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The same weights, tensor by tensor, with nothing said of what a layer keeps."""
    from ..needs.tensors import gguf_tensors

    tensors = gguf_tensors(architecture, row)
    return architecture.replace(attention=(), recurrent=(), tensors=tensors)
