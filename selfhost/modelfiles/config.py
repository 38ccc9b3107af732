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
    OWN_CODE,
    WEIGHT_KEY,
    WIDTH,
    Keys,
    Unclear,
    UnclearWindow,
    class_of,
    short,
)
from .mixing import (
    ATTENDING,
    STATES,
    ZAMBAS,
    attention_of,
    kept_in,
    layer_kinds,
    quantizer_of,
    recurrent_of,
)
from .modules import settled
from .naming import clean, grouped, identifier, listed, name_of, row_values
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

# model_type -> general.architecture of the GGUF file that llama.cpp's converter makes of it
# (convert_hf_to_gguf.py, 2026)
_GGUF: Mapping[str, str] = {
    "afmoe": "afmoe", "arctic": "arctic", "bailing_moe": "bailingmoe",
    "bailing_moe_v2": "bailingmoe2", "dots1": "dots1",
    "exaone_moe": "exaone-moe", "grok-1": "grok", "grove_moe": "grovemoe", "hy_v3": "hy_v3",
    "laguna": "laguna", "maple": "maple",
    "mimo_v2_flash": "mimo2", "muse_glimmer": "muse-glimmer", "muse_glimmer_text": "muse-glimmer",
    "smallthinker": "smallthinker",
    "step3p5": "step35", "step3p7": "step35", "llada_moe": "llada-moe", "rnd1": "rnd1",
    "dots3_note": "dots3note",
    "bailing_moe_v3": "bailingmoe3", "hy_v4": "hy_v4", "minimax_text_01": "minimax-01",
    "minimax_m1": "minimax-01",
    "apertus": "apertus", "arcee": "arcee", "baichuan": "baichuan", "bamba": "granitehybrid",
    "bert": "bert", "bitnet": "bitnet",
    "bloom": "bloom", "camembert": "bert", "distilbert": "bert",
    "chatglm": "chatglm", "cohere": "command-r", "cohere2": "cohere2", "cohere2_moe": "cohere2moe",
    "dbrx": "dbrx", "deepseek": "deepseek",
    "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "deepseek_v32": "deepseek32",
    "ernie4_5": "ernie4_5",
    "ernie4_5_moe": "ernie4_5-moe", "exaone": "exaone", "exaone4": "exaone4", "falcon": "falcon",
    "falcon_h1": "falcon-h1",
    "deepseek_v4": "deepseek4", "eurobert": "eurobert", "jina_bert_v2": "jina-bert-v2",
    "jina_bert_v3": "jina-bert-v3",
    "kimi_k3": "kimi-k3", "rwkv6": "rwkv6", "rwkv6qwen2": "rwkv6qwen2", "rwkv7": "rwkv7",
    "modernbert": "modern-bert", "t5": "t5", "t5_encoder": "t5encoder", "mamba2": "mamba2",
    "neobert": "neo-bert", "nomic_bert_moe": "nomic-bert-moe", "plamo2": "plamo2",
    "falcon_mamba": "mamba", "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3",
    "gemma3_text": "gemma3", "gemma3n": "gemma3n",
    "gemma3n_text": "gemma3n", "gemma4": "gemma4", "gemma4_text": "gemma4",
    "gemma4_unified": "gemma4", "gemma4_unified_text": "gemma4",
    "glm": "chatglm",
    "glm4": "glm4", "glm4_moe": "glm4moe", "glm4_moe_lite": "deepseek2", "glm4v": "glm4",
    "glm4v_text": "glm4",
    "glm_moe_dsa": "glm-dsa", "gpt2": "gpt2", "gpt_bigcode": "starcoder", "gpt_neox": "gptneox",
    "gpt_oss": "gpt-oss",
    "granite": "granite", "granitemoe": "granitemoe",
    "granitemoeshared": "granitemoe", "internlm3": "llama", "solar_open": "glm4moe",
    "granitemoehybrid": "granitehybrid",
    "hunyuan_v1_moe": "hunyuan-moe",
    "hunyuan": "hunyuan-moe", "internlm2": "internlm2", "jamba": "jamba", "kimi_k2": "deepseek2",
    "kimi_linear": "kimi-linear",
    "lfm2": "lfm2", "lfm2_moe": "lfm2moe", "llama": "llama", "llava": "llama", "llama4": "llama4",
    "llama4_text": "llama4",
    "mamba": "mamba", "minicpm": "minicpm", "minimax_m2": "minimax-m2", "minimax_m3": "minimax-m3",
    "ministral3": "mistral3",
    "mistral": "llama", "mistral4": "mistral4", "mixtral": "llama", "mpt": "mpt",
    "nemotron": "nemotron", "nemotron_h": "nemotron_h",
    "nemotron-nas": "deci", "nemotron_nas": "deci", "nomic_bert": "nomic-bert", "olmo": "olmo",
    "olmo2": "olmo2", "olmo3": "olmo2",
    "olmoe": "olmoe", "orion": "orion", "phi": "phi2", "phi-msft": "phi2", "phi3": "phi3",
    "phi3_v": "phi3", "phimoe": "phimoe",
    "qwen": "qwen", "qwen2": "qwen2", "qwen2_5_vl": "qwen2vl", "qwen2_5_vl_text": "qwen2vl",
    "qwen2_moe": "qwen2moe",
    "qwen2_vl": "qwen2vl", "qwen2_vl_text": "qwen2vl", "qwen3": "qwen3", "qwen3_5": "qwen35",
    "qwen3_5_text": "qwen35",
    "qwen3_5_moe": "qwen35moe", "qwen3_5_moe_text": "qwen35moe", "qwen3_moe": "qwen3moe",
    "qwen3_next": "qwen3next",
    "qwen3_vl": "qwen3vl", "qwen3_vl_text": "qwen3vl", "qwen3_vl_moe": "qwen3vlmoe",
    "qwen3_vl_moe_text": "qwen3vlmoe",
    "refinedweb": "falcon", "refinedwebmodel": "falcon", "roberta": "bert", "seed_oss": "seed_oss",
    "smollm3": "smollm3",
    "stablelm": "stablelm", "stablelm_epoch": "stablelm", "starcoder2": "starcoder2",
    "xlm-roberta": "bert", "xverse": "xverse",
    "codeshell": "codeshell", "gpt_refact": "refact", "hunyuan_v1_dense": "hunyuan-dense",
    "openelm": "openelm",
    "minicpm3": "minicpm3", "chameleon": "chameleon", "hunyuan_vl": "hunyuan_vl",
    "hunyuan_vl_text": "hunyuan_vl", "jais": "jais",
    "jais2": "jais2", "maincoder": "maincoder", "mellum": "mellum", "paddleocr_vl": "paddleocr",
    "paddleocr_vl_text": "paddleocr",
    "panguembedded": "pangu-embedded", "plamo": "plamo", "plamo3": "plamo3", "spark2_5": "spark2_5",
    "dream": "dream", "llada": "llada", "llama_bidirec": "llama-embed", "nanbeige": "nanbeige",
    "plm": "plm",
}  # fmt: skip
# model types without a GGUF architecture; the value is the row
_TRANSFORMERS: Mapping[str, str] = {
    "albert": "albert", "bart": "bart", "biogpt": "biogpt", "blenderbot": "pegasus",
    "codegen": "codegen", "cwm": "cwm",
    "data2vec-text": "bert", "deberta-v2": "deberta-v2",
    "electra": "electra", "ernie": "bert", "esm": "esm", "flex_olmo": "flex_olmo",
    "gpt_neo": "gpt_neo", "gpt_neox_reward_model": "gptneox",
    "gptj": "gptj", "gte": "gte", "helium": "helium", "hyperclovax": "hyperclovax",
    "internlm": "internlm", "iquestcoder": "llama",
    "jetmoe": "jetmoe", "m2m_100": "m2m_100", "marian": "marian", "mbart": "mbart",
    "megatron-bert": "megatron-bert", "mimo": "qwen2", "ministral": "ministral",
    "mixformer-sequential": "phi2",
    "mllama_text_model": "mllama", "mpnet": "mpnet", "nanochat": "nanochat", "new": "gte",
    "olmo_hybrid": "olmo_hybrid",
    "openai-gpt": "openai-gpt", "opt": "opt", "pegasus": "pegasus",
    "persimmon": "persimmon", "plbart": "bart", "phi3small": "phi3small",
    "recurrent_gemma": "recurrent_gemma",
    "rembert": "rembert", "roberta-prelayernorm": "roberta-prelayernorm",
    "vaultgemma": "vaultgemma", "whisper": "whisper", "xglm": "xglm",
    "xlm-roberta-xl": "xlm-roberta-xl", "youtu": "youtu",
    "zamba": "zamba", "zamba2": "zamba2",
}  # fmt: skip
# classes not in classes.json whose output matrix is the token table where the file does not say,
# and those whose is not
_TIED = frozenset({
    "gemma3", "gemma3n", "gemma4", "refinedweb", "refinedwebmodel", "whisper", "minicpm",
    "minicpm3", "phi3small", "t5", "plamo3",
    "bart", "blenderbot", "m2m_100", "marian", "mbart", "pegasus", "plbart",
})  # fmt: skip
# classes with the encoder and the decoder of BART, and how their sizes are called by both
_BARTS = frozenset({"bart", "blenderbot", "m2m_100", "marian", "mbart", "pegasus", "plbart"})
_OF_BOTH = ("attention_heads", "ffn_dim")
# classes that have an output matrix whatever the file says
_NEVER_TIED = frozenset({"nemotron_h"})
# classes that tie where the file says nothing, and whose published files hold both matrices all the
# same: the indexes of Falcon 40B and 180B count 83,671,941,120 and 359,045,130,240 bytes. Falcon
# RW, with ALiBi, holds one
_HELD_APART = frozenset({"falcon", "refinedweb", "refinedwebmodel"})
_UNTIED = frozenset({
    "qwen2_vl", "qwen2_5_vl", "qwen3_vl_text", "phi-msft", "phi3_v", "deepseek", "kimi_k2",
    "kimi_linear", "llama4", "mllama_text_model",
    "chatglm", "internlm2", "minimax_m3", "hunyuan", "hunyuan_v1_moe", "qwen", "baichuan", "xverse",
    "dbrx", "orion", "mamba2",
    "mimo_v2_flash", "llava", "glm4v", "jais2", "mellum", "dots1", "bailing_moe", "bailing_moe_v2",
    "mimo", "internlm",
    "mixformer-sequential", "gpt_neox_reward_model", "arctic", "exaone_moe", "afmoe", "step3p5",
    "laguna", "hy_v3", "muse_glimmer_text",
    "bailing_moe_v3", "deepseek_v4", "minimax_text_01", "minimax_m1", "hy_v4", "dots3_note",
    "kimi_k3", "rwkv6", "rwkv6qwen2", "rwkv7",
})  # fmt: skip
# tokens of the GGUF vocabulary of Gemma 3; the checkpoint's table has 64 rows more, which no token
# uses
_GEMMA3_ROWS, _GEMMA3_TOKENS = 262_208, 262_144
# published factors of scaled positions reach 64
_MOST_STRETCHED = 10_000
# tokens that nomic-embed-text-v2-moe was trained for, whose n_positions is 2,048
# (conversion/bert.py of llama.cpp 0c1e570, model card)
_NOMIC_MOE_TOKENS = 512
_ADAPTED = (
    "lora_adaptations: adapters lie in the checkpoint beside the model, and their size does not"
    " follow from the file"
)

# Llama 4's norm of queries and keys only divides by their length (Llama4TextL2Norm)
_NORMS_WITHOUT_WEIGHTS = frozenset({"llama4", "llama4_text"})

# width of the token table, in classes that have one of their own
_TABLE = ("embedding_size", "input_embedding_size", "word_embed_proj_dim")
_MTP = ("num_nextn_predict_layers", "mtp_num_hidden_layers")
# model types whose published files hold the blocks that predict more tokens: with them the tensors
# are the safetensors totals of models in `specs/`; how many blocks where config.json says nothing
# of them
_MTP_HELD: Mapping[str, int] = {
    "deepseek_v3": 0, "deepseek_v32": 0, "glm4_moe": 0, "glm4_moe_lite": 0, "glm_moe_dsa": 0,
    "mimo": 0, "mimo_v2_flash": 3,
    "nemotron_h": 0, "qwen3_5": 0, "qwen3_5_moe": 0, "qwen3_next": 1, "step3p5": 0,
}  # fmt: skip

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


class ConfigRead(Record):
    """What a config.json tells. `language_parameters`: of the language model alone, None where
    they do not follow from the file.
    """

    spec: ModelSpec
    stored: Stored
    language_parameters: int | None
    notes: tuple[str, ...]


def read_config(
    path: str, architectures: Mapping[str, Any], *, name: str | None = None
) -> ConfigRead:
    """The model that a config.json describes. Raises `SpecError`; `name` is that of the model,
    the path's where None.
    """
    values = read_json(path, MAX_CONFIG_BYTES, what=_WHAT)
    refuse_what_is_no_config(path, values)
    return _Config(path, values, architectures, name or _name(path, values)).read()


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
        if schema.startswith("selfhost.machine/"):
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
        stored = self.stored()
        try:
            architecture = self.architecture(stored)
        except Unclear as why:
            self.unknown["architecture"] = str(why)
            architecture = None
        from ..needs.packed import is_bitsandbytes
        from ..needs.tensors import block_tensors, checkpoint_tensors, count, row_of

        row = None if architecture is None else row_of(architecture, self.architectures)
        groups = (
            () if architecture is None or row is None else checkpoint_tensors(architecture, row)
        )
        if self.apart:
            stored = self.with_apart(stored, groups)
        elif architecture is not None and stored.rules:
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
        if (
            architecture is not None
            and is_bitsandbytes(stored.matrices)
            and str(self.outer.get("transformers_version")).startswith("5.")
        ):
            # its version 5 keeps a layer's experts in one array, which bitsandbytes leaves alone
            # (issue 1849 there); 4 made them narrow
            plain = architecture.dtype or "bfloat16"
            experts = {
                group.name: plain
                for group in groups
                if "_exps." in group.name and group.name.endswith(".weight")
            }
            architecture = architecture.replace(
                apart=tuple({**dict(architecture.apart), **experts}.items())
            )
        encoder = row is not None and row.encoder and not row.diffusion
        total = active = mtp = None
        names = self.outer.get("architectures")
        composed = (
            self.nested
            and isinstance(names, list)
            and any(isinstance(name, str) and "ForConditional" in name for name in names)
        )
        vision = (
            composed
            or self.outer_kind in _VISION
            or any(
                isinstance(self.outer.get(key), dict) or self.outer.get(key)
                for key in (
                    "vision_config",
                    "vq_config",
                    "visual",
                    "mm_vision_tower",
                    "img_processor",
                )
            )
        )
        if architecture is not None and row is not None:
            total, active = self.parameters(architecture, row)
            if self.outer_kind in _MTP_HELD:
                mtp = count(block_tensors(architecture, row)) or None
            if self.kind == "jina_bert_v3":
                total = active = None
                self.unknown["parameters.total"] = _ADAPTED
            if "architecture.attention" in self.unknown:
                architecture = _without_cache(architecture, row)
        language, encoders = total, None
        if vision or isinstance(self.outer.get("audio_config"), dict):
            encoders = (
                None if architecture is None else self.encoders(architecture.embedding_length)
            )
            if encoders is None:
                total = active = None
            elif total is not None and active is not None:
                total, active = total + encoders.parameters, active + encoders.parameters
        if total is None:
            self.unknown.setdefault("parameters.total", "it does not follow from config.json alone")
        self.unknown["files"] = "config.json does not say how large the weights are"
        self.unknown["license.id"] = "config.json does not say"
        self.unknown["tokenizer"] = "config.json does not say whether one comes with it"
        # classes that transformers has of its own do not need the code that auto_map names
        own_code = isinstance(self.outer.get("auto_map"), dict) and (
            self.kind not in _GGUF or self.kind in OWN_CODE
        )
        bare = architecture is not None and not architecture.output_matrix
        modality = (
            "speech"
            if self.kind == "whisper"
            else "embedding"
            if encoder or bare
            else "vision"
            if vision
            else "text"
        )
        spec = ModelSpec(
            id=identifier(self.name),
            name=self.name,
            modality=modality,
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

    def architecture(self, stored: Stored) -> Architecture:
        if self.kind in _BARTS:
            self.reads_and_writes()
        elif self.outer.get("is_encoder_decoder") and self.kind not in (
            "whisper",
            "t5",
            "t5_encoder",
        ):
            raise Unclear(
                f"{self.kind or 'the model'} has an encoder beside its decoder, which this selfhost"
                " does not read"
            )
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
        row = row_values(self.architectures, gguf or _TRANSFORMERS.get(self.kind, ""))
        extra = self.extras(row) if row is not None else {}
        loops = self.loops()
        encoder = bool(row and row.get("encoder") and not row.get("diffusion"))
        tied = self.tied()
        if tied is None and encoder:
            # no encoder has an output matrix
            tied = False
        context = self.context()
        shared = (
            (self.number("num_kv_shared_layers") or 0) if self.reads("num_kv_shared_layers") else 0
        )
        if shared >= layers:
            raise Unclear(f"num_kv_shared_layers is {shared:,}, and there are {layers:,} layers")
        vocabulary = self.positive("padded_vocab_size", "vocab_size", "embedding_size")
        audio = self.audio()
        table = self.table_length(width)
        token_types = self.number("type_vocab_size") or None
        positions = (
            self.relative_positions() if row is not None and row.get("relative_table") else None
        )
        if (
            row is not None
            and row.get("positions")
            and not row.get("position_offset")
            and "positions" not in extra.get("lacks", ())
        ):
            positions = context
        slices, altup = (
            self.number("hidden_size_per_layer_input"),
            self.number("altup_num_inputs", "hc_mult"),
        )
        # ALBERT: layers beside each other have one set of weights
        sharing = (
            self.number("num_hidden_groups")
            if self.known and self.reads("num_hidden_groups")
            else None
        )
        if sharing is not None and not 1 <= sharing <= layers:
            raise Unclear(f"num_hidden_groups is {sharing:,}, and there are {layers:,} layers")
        mtp = self.number(*_MTP)
        if mtp is None:
            mtp = _MTP_HELD.get(self.outer_kind, 0)
        if mtp > layers:
            raise Unclear(f"{_MTP[0]} is {mtp:,}, and there are {layers:,} layers")
        self.refuse_unread_of_cache()
        incomplete = self.incompleteness(incomplete, row, vocabulary, tied)
        name = gguf or _TRANSFORMERS.get(self.kind) or self.kind or "unnamed"
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
        positions_left = self.kind in _POSITIONS_LEFT
        quantization = self.outer.get("quantization_config") or self.text.get("quantization_config")
        found = Architecture(
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
            vocabulary_gguf=(
                _GEMMA3_TOKENS if gguf == "gemma3" and vocabulary == _GEMMA3_ROWS else None
            ),
            # the first two rows of RoBERTa's position table belong to no position
            context_tokens=(
                context - 2 if context and positions_left and context > 2 else context or None
            ),
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
                if mtp and (gguf or self.outer_kind in _MTP_HELD) and self.kind != "falcon_h1"
                else None
            ),
            audio=audio,
            **extra,
        )
        for key, message, _ in found.misfits():
            raise self.misfit(key, message)
        asks = [
            key
            for key in ("kv_cache_scheme", "kv_cache_quant_algo")
            if isinstance(quantization, dict) and quantization.get(key)
        ]
        if asks and found.cache_dtype is None:
            self.notes.append(
                f"{asks[0]} of quantization_config is none that vLLM follows: keys and values are"
                " counted in the model's type"
            )
        if self.kind in ZAMBAS and incomplete is None and row is not None:
            from ..needs.tensors import ArchitectureRow
            from .zamba import with_shared_blocks

            return with_shared_blocks(found, ArchitectureRow.from_values(name, row), self)
        if self.kind == "jetmoe" and incomplete is None and row is not None:
            from ..needs.tensors import ArchitectureRow
            from .jetmoe import with_attention_experts

            return with_attention_experts(found, ArchitectureRow.from_values(name, row))
        return found

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
        gguf = _GGUF.get(self.kind)
        if gguf == "nemotron_h" and any(
            layer is not None and layer.experts for layer in feed_forward
        ):
            gguf = "nemotron_h_moe"
        if gguf == "deepseek2" and "OCR" in class_of(self.outer):
            gguf = "deepseek2-ocr"
        if (
            gguf == "granitehybrid"
            and not any(state)
            and not any(layer is not None and layer.experts for layer in feed_forward)
        ):
            gguf = "granite"
        return gguf

    def refuse_unread_of_cache(self) -> None:
        """Raises for keys that nothing read and that may change what layers remember; of those
        that say how long, the cache is unknown.
        """
        self.asked.update(_ONLY.get(self.kind, {}))
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
            for key, value in _ONLY.get(self.kind, {}).items()
            if self.text.get(key) not in (None, value)
        ]
        if other and incomplete is None:
            incomplete = f"{listed(other)}: not as in the published models"
        if self.kind in ("falcon", "refinedweb", "refinedwebmodel") and (
            self.text.get("parallel_attn") is False or self.flag("bias", "alibi")
        ):
            incomplete = "parallel_attn, bias, alibi: not those of the larger Falcon models"
        if self.kind == "laguna" and self.get("gating") not in (None, True, "per-head"):
            # LagunaAttention: a gate for each element then
            incomplete = f"gating is {short(self.get('gating'))}: not that of the published models"
        self.asked.update(("parallel_attn", "hidden_size_per_layer_input"))
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
        if self.kind == "jina_bert_v2" and "qk-post-norm" in repr(self.outer.get("auto_map")):
            incomplete = (
                "auto_map: the norms of jina-bert-v2-qk-post-norm are not those of other models of"
                " its type"
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
        foreign = row is None and not self.known and self.kind != "yuan"
        if foreign and attends and all(self.text.get(key) is None for key in _SHARES_HEADS):
            raise Unclear(
                f"num_key_value_heads is missing, and what {self.kind or 'the model type'} has then"
                " is not known"
            )

    def context(self) -> int | None:
        if self.kind == "nomic_bert_moe":
            self.asked.update(CONTEXT)
            return _NOMIC_MOE_TOKENS
        return self.number(*CONTEXT, *(("max_length",) if self.kind == "neobert" else ())) or None

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
        if self.kind in _BARTS:
            # num_hidden_layers is another name of encoder_layers there
            return self.needed("decoder_layers")
        pattern, kinds = self.get("hybrid_override_pattern"), self.get("layers_block_type")
        found = (
            self.sublayers()
            if self.kind.startswith("longcat")
            else self.positive(*LAYERS)
            or (len(pattern) if isinstance(pattern, str) else 0)
            or (len(kinds) if isinstance(kinds, list) else 0)
        )
        if not found:
            raise Unclear("num_hidden_layers is missing")
        if found > MAX_LAYERS:
            fail(
                self.path,
                f"is no usable config.json: {found:,} layers",
                f"the most that any model has is far below {MAX_LAYERS:,}",
            )
        return found

    def sublayers(self) -> int:
        """Those that attend: each layer of LongCat Flash has two, and num_hidden_layers counts
        them (LongcatFlashConfig).
        """
        if self.kind != "longcat_flash":
            raise Unclear(f"model_type: how often a layer of {self.kind} attends is not known")
        stated, pairs = self.positive("num_hidden_layers"), self.needed("num_layers")
        if stated is not None and "num_layers" in self.outer and stated != 2 * pairs:
            raise Unclear(
                f"num_hidden_layers is {stated:,} and num_layers {pairs:,}: which of them counts"
                " the layers is not clear"
            )
        return 2 * pairs if stated is None else stated // 2 * 2

    def loops(self) -> int:
        """How often the layers are run through, each time with a cache of their own."""
        if self.kind != "nanbeige":
            return 1
        odd = [key for key in _LOOPS if self.flag(key)]
        if odd:
            raise Unclear(f"{listed(odd)}: not understood")
        loops = self.positive("num_loops") or 1
        if self.layers * loops > MAX_LAYERS:
            raise Unclear(f"num_loops is {loops:,}, and there are {self.layers:,} layers")
        return loops

    # -------- what its row does not say

    def extras(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        found.update(_OTHER_THAN_ROW.get(self.kind, {}))
        for key, flags in {**_SWITCHES, **_SWITCHES_OF.get(self.kind, {})}.items():
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
                found["attention_bias"] = value
            for flag in flags:
                if flag in ROW_FLAGS and value != bool(row.get(flag, flag == "output_norm")):
                    departs = "also" if value else "lacks"
                    found[departs] = (*found.get(departs, ()), flag)
        norm = next(
            (self.get(key) for key in ("use_qk_norm", "qk_layernorm") if self.reads(key)), None
        )
        if norm is False and row.get("query_key_norm") and self.known:
            found["query_key_norm"] = "none"
        if (
            norm is True
            and not row.get("query_key_norm")
            and self.kind not in _NORMS_WITHOUT_WEIGHTS
        ):
            found["query_key_norm"] = (
                "head"
                if self.kind == "glm4_moe"
                else "per_head"
                if self.kind in ("cohere", "stablelm")
                else "head"
            )
        if self.kind == "kimi_k3" and self.number("attn_res_block_size") != row.get(
            "banked_layers"
        ):
            raise Unclear(
                f"attn_res_block_size is {self.get('attn_res_block_size')}, and llama.cpp knows"
                f" {row.get('banked_layers')}"
            )
        if self.kind in ("t5", "t5_encoder"):
            stated = self.get("feed_forward_proj")
            gated = self.get("is_gated_act") if stated is None else str(stated).startswith("gated")
            if gated is not True:
                found["gate"] = "none"
            if (self.number("num_decoder_layers") or self.layers) != self.layers:
                raise Unclear("num_decoder_layers: stacks of unlike depth are not understood")
            if (
                self.number("relative_attention_num_buckets")
                not in (None, row.get("relative_positions"))
                or self.outer_kind == "umt5"
            ):
                raise Unclear(
                    "relative_attention_num_buckets, umt5: tables of distances of another kind are"
                    " not understood"
                )
        if self.kind in _BARTS and (above := self.encoder_layers()) != self.layers:
            found["encoder_layers"] = above
        if self.kind in ("t5", *_BARTS) and (beams := self.positive("num_beams")) is not None:
            if beams > MAX_BEAMS:
                raise Unclear(f"num_beams is {beams:,}: more than are searched with")
            found["beams"] = beams
        if self.kind == "esm":
            positions = self.get("position_embedding_type")
            if positions not in ("absolute", "rotary"):
                raise Unclear(f"position_embedding_type is {short(positions)}: not understood")
            if positions == "rotary":
                found["lacks"] = (*found.get("lacks", ()), "positions")
        if self.kind in ("gte", "new"):
            if self.number("type_vocab_size") == 0:
                found["lacks"] = (*found.get("lacks", ()), "token_types")
            if class_of(self.outer).endswith("ForSequenceClassification"):
                found["also"] = (*found.get("also", ()), "pooler")
        if self.flag("new_decoder_architecture") or self.kind == "refinedweb":
            found["parallel_norms"] = 2
        scaling = self.get("rope_scaling", "rope_parameters")
        kind = (
            (scaling.get("rope_type") or scaling.get("type")) if isinstance(scaling, dict) else None
        )
        if kind == "llama3" and row.get("rope_factors") != "freqs":
            found["rope_factors"] = "freqs"
        long_short = kind in ("longrope", "su", "yarn") and self.kind in (
            "phi3",
            "phi3_v",
            "phimoe",
        )
        if long_short and row.get("rope_factors") != "long_short":
            found["rope_factors"] = "long_short"
        return found

    def tied(self) -> bool | None:
        if self.kind in _NEVER_TIED:
            return False
        inner, outer = (values.get("tie_word_embeddings") for values in (self.inner, self.outer))
        if isinstance(inner, bool) and isinstance(outer, bool) and inner != outer:
            self.asked.add("tie_word_embeddings")
            # where the outer class would tie, transformers leaves a matrix of its own alone that
            # the published files have
            return (
                True
                if inner and self.outer_kind in _TIED_BY_EITHER
                else False
                if inner and self.outer_kind in _TIED_BY_OUTER
                else None
            )
        if (
            self.kind in _HELD_APART
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
        return True if self.kind in _TIED else False if self.kind in _UNTIED else None

    def headless(self) -> bool:
        """True for a published class without an output matrix: a bare or a reward model."""
        name, mapped = class_of(self.outer), self.outer.get("auto_map")
        if self.kind == "dream":
            # its bare class generates
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
        if self.kind in _ENCODERS and not self.flag("is_decoder"):
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
        found = (
            self.number(*(key for key in _TABLE if self.reads(key) and self.known))
            if self.known
            else None
        )
        return found if found and found != width else None

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
        if self.kind != "whisper":
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
        found = _DTYPES.get(stated.removeprefix("torch.")) if isinstance(stated, str) else None
        if found is None:
            self.unknown["architecture.dtype"] = (
                "config.json does not say"
                if stated is None
                else f"torch_dtype {short(stated)} is not known"
            )
        return found

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
        found = self.outer.get("quantization_config") or self.text.get("quantization_config")
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
        if found and not isinstance(found, dict):
            self.unknown["architecture.matrix_dtype"] = (
                "quantization_config is no object, so the size of the weights is not known"
            )
            return Stored(name=None)
        if not found:
            return Stored(name=self.dtype(), quantized=False)
        stored = stored_by(found)
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
_SWITCHES_OF: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "chameleon": {"swin_norm": ("norms_after",)},
    "chatglm": {"attention_bias": ("attention_bias",)},
    "deepseek_v2": {"mlp_bias": ()},
    "hy_v3": {"mlp_bias": ()},
    "esm": {"emb_layer_norm_before": ("embedding_norm",)},
    "glm": {"attention_bias": ("attention_bias",)},
    "glm4": {"attention_bias": ("attention_bias",)},
    "glm4_moe": {"attention_bias": ("attention_bias",)},
    "glm4v": {"attention_bias": ()},
    "glm4v_text": {"attention_bias": ()},
    "seed_oss": {"attention_bias": ("attention_bias",)},
    "recurrent_gemma": {"attention_bias": ("attention_bias",)},
    "rwkv6qwen2": {"attention_bias": ("attention_bias",)},
    "helium": {"attention_bias": ("attention_bias",)},
    "internlm": {"bias": ("attention_bias", "attention_output_bias")},
    # under their names of the published code, qkv_bias and bias
    "internlm3": {
        "attention_bias": ("attention_bias",),
        "mlp_bias": ("attention_output_bias", "feed_forward_bias"),
    },
    "solar_open": {"attention_bias": ("attention_bias",)},
    "mimo": {"attention_bias": ()},
    "mimo_v2_flash": {"attention_bias": ("attention_bias",)},
    "nemotron_h": {"mlp_bias": ()},
    "phi3small": {"attention_bias": ()},
    "opt": {
        "enable_bias": ("attention_bias", "attention_output_bias", "feed_forward_bias"),
        "do_layer_norm_before": ("output_norm",),
    },
    "starcoder2": {"use_bias": ("attention_bias", "attention_output_bias", "feed_forward_bias")},
}
# classes whose first two positions belong to no token, as padding_idx is 1
_POSITIONS_LEFT = (
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
    "data2vec-text",
    "esm",
    "camembert",
    "mpnet",
    "jina_bert_v3",
)
# what classes have otherwise than their row, whatever the file says
_OTHER_THAN_ROW: Mapping[str, Mapping[str, Any]] = {
    "distilbert": {"lacks": ("token_types", "pooler")},
    "glm4v": {"attention_bias": True},
    "glm4v_text": {"attention_bias": True},
}
# transformers 5.23.0, built with tie_word_embeddings true in text_config and false beside it:
# classes whose output matrix is tied then, and those that have one of their own
_TIED_BY_EITHER = frozenset({
    "glm4v", "glm4v_moe", "glm_ocr", "llava", "llava_onevision", "minimax_m3_vl", "qwen2_5_vl",
    "qwen2_vl",
})  # fmt: skip
_TIED_BY_OUTER = frozenset({
    "audioflamingo3", "cohere2_vision", "gemma3", "idefics3", "internvl", "kimi_k25", "lfm2_vl",
    "lighton_ocr", "llava_next",
    "minicpmv4_6", "mistral3", "mllama", "paligemma", "qwen2_audio", "qwen3_5", "qwen3_5_moe",
    "qwen3_vl", "qwen3_vl_moe", "smolvlm",
    "vipllava", "voxtral",
})  # fmt: skip
# keys of which one says how many heads keep keys and values (of Yuan all do where none is stated:
# its YuanAttention)
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
# encoders without a row: transformers 5.23.0, MODEL_FOR_MASKED_LM_MAPPING_NAMES of
# models/auto/modeling_auto.py and those for documents
_ENCODERS = frozenset({
    "bert-generation", "big_bird", "canine", "convbert", "deberta", "esmc", "flaubert", "fnet",
    "funnel", "ibert", "jina_embeddings_v3",
    "layoutlm", "layoutlmv2", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mobilebert",
    "modernvbert", "mra", "neomme",
    "nystromformer", "perceiver", "roc_bert", "roformer", "squeezebert", "tapas", "ultrabert",
    "ultravbert", "xlm", "xmod", "yoso",
})  # fmt: skip
# keys of classes that are in no transformers and change the weights, with the value of every
# published model
_ONLY: Mapping[str, Mapping[str, Any]] = {
    "dots3_note": {"swa_attention_gate_type": "headwise"},
    "esm": {"is_folding_model": False, "is_decoder": False, "add_cross_attention": False},
    "gte": {"position_embedding_type": "rope", "layer_norm_type": "layer_norm"},
    "jais": {"activation_function": "swiglu", "position_embedding_type": "alibi"},
    "kimi_k3": {"latent_moe_use_norm": True, "linear_use_full_rank_gate": True},
    "llada": {
        "include_bias": False,
        "include_qkv_bias": False,
        "block_type": "llama",
        "attention_layer_norm": False,
    },
    "mamba2": {"use_conv_bias": True},
    "mimo_v2_flash": {"add_swa_attention_sink_bias": True},
    "new": {"position_embedding_type": "rope", "layer_norm_type": "layer_norm"},
    "openelm": {"ffn_with_glu": True, "normalize_qk_projections": True},
    "panguembedded": {"bias": True},
    "qwen": {"no_bias": True},
    "spark2_5": {"headwise_attn_output_gate": True, "attention_bias": False, "mlp_bias": False},
    # without it the class of transformers 5.23.0 shares no block either
    "zamba": {"tie_word_embeddings": True},
    "zamba2": {"tie_word_embeddings": True},
}
# what Nanbeige's own class has beside plain loops, in no published model (modeling_nanbeige.py)
_LOOPS = (
    "enable_double_loop_split", "loop_share_kv", "enable_hyper_connection", "enable_mhc",
    "enable_depth_attention", "emb_neighbor_num",
)  # fmt: skip
_VISION = frozenset({
    "llava", "llava_next", "llava_llama", "internvl_chat", "qwen2_vl", "qwen2_5_vl", "phi3_v",
    "minicpmv", "molmo", "mllama",
    "deepseek_vl_v2", "multi_modality", "cogvlm2", "fuyu",
})  # fmt: skip


def _without_cache(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The same weights, tensor by tensor, with nothing said of what a layer keeps."""
    from ..needs.tensors import gguf_tensors

    tensors = gguf_tensors(architecture, row)
    return architecture.replace(attention=(), recurrent=(), tensors=tensors)
