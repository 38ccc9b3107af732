"""A Hugging Face `config.json` -> ModelSpec: the shape of a model, without its weights.

The keys are those of the transformers configuration classes and of the published files themselves. A key that bears on the
cache or on the weights and is not understood stops the part it bears on: the spec then says so under `unknown`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from ..facts import Record
from ..spec import (
    INCOMPLETE,
    MAX_LAYERS,
    PACKED,
    PARTS,
    QUANTIZATIONS,
    ROW_FLAGS,
    Architecture,
    Attention,
    Audio,
    FeedForward,
    ModelSpec,
    Parameters,
    Recurrent,
    Safety,
)
from .naming import (
    RWKV7_RANKS,
    clean,
    grouped,
    identifier,
    listed,
    name_of,
    plamo2_rank,
    row_values,
    rwkv7_rank,
    rwkv_length,
)
from .source import fail, read_json, shown

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..needs.tensors import ArchitectureRow
    from .encoders import Encoders

_Part = TypeVar("_Part")

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have megabytes
MAX_CONFIG_BYTES = 1 << 23
# above any size in a config.json; and what the largest model of 2026 has a thousand times over
_MAX_NUMBER = 1 << 32
_MAX_PARAMETERS = 10**16

# model_type -> general.architecture of the GGUF file that llama.cpp's converter makes of it (convert_hf_to_gguf.py, 2026)
_GGUF: Mapping[str, str] = {
    "afmoe": "afmoe", "arctic": "arctic", "bailing_moe": "bailingmoe", "bailing_moe_v2": "bailingmoe2", "dots1": "dots1",
    "exaone_moe": "exaone-moe", "grok-1": "grok", "grove_moe": "grovemoe", "hy_v3": "hy_v3", "laguna": "laguna", "maple": "maple",
    "mimo_v2_flash": "mimo2", "muse_glimmer": "muse-glimmer", "muse_glimmer_text": "muse-glimmer", "smallthinker": "smallthinker",
    "step3p5": "step35", "step3p7": "step35", "llada_moe": "llada-moe", "rnd1": "rnd1", "dots3_note": "dots3note",
    "bailing_moe_v3": "bailingmoe3", "hy_v4": "hy_v4", "minimax_text_01": "minimax-01", "minimax_m1": "minimax-01",
    "apertus": "apertus", "arcee": "arcee", "baichuan": "baichuan", "bamba": "granitehybrid", "bert": "bert", "bitnet": "bitnet",
    "bloom": "bloom", "camembert": "bert", "distilbert": "bert",
    "chatglm": "chatglm", "cohere": "command-r", "cohere2": "cohere2", "cohere2_moe": "cohere2moe",
    "dbrx": "dbrx", "deepseek": "deepseek",
    "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "deepseek_v32": "deepseek32", "ernie4_5": "ernie4_5",
    "ernie4_5_moe": "ernie4_5-moe", "exaone": "exaone", "exaone4": "exaone4", "falcon": "falcon", "falcon_h1": "falcon-h1",
    "deepseek_v4": "deepseek4", "eurobert": "eurobert", "jina_bert_v2": "jina-bert-v2", "jina_bert_v3": "jina-bert-v3",
    "kimi_k3": "kimi-k3", "rwkv6": "rwkv6", "rwkv6qwen2": "rwkv6qwen2", "rwkv7": "rwkv7",
    "modernbert": "modern-bert", "t5": "t5", "t5_encoder": "t5encoder", "mamba2": "mamba2",
    "neobert": "neo-bert", "nomic_bert_moe": "nomic-bert-moe", "plamo2": "plamo2",
    "falcon_mamba": "mamba", "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3", "gemma3_text": "gemma3", "gemma3n": "gemma3n",
    "gemma3n_text": "gemma3n", "gemma4": "gemma4", "gemma4_text": "gemma4", "gemma4_unified": "gemma4", "gemma4_unified_text": "gemma4",
    "glm": "chatglm",
    "glm4": "glm4", "glm4_moe": "glm4moe", "glm4_moe_lite": "deepseek2", "glm4v": "glm4", "glm4v_text": "glm4",
    "glm_moe_dsa": "glm-dsa", "gpt2": "gpt2", "gpt_bigcode": "starcoder", "gpt_neox": "gptneox", "gpt_oss": "gpt-oss",
    "granite": "granite", "granitemoe": "granitemoe",
    "granitemoeshared": "granitemoe", "internlm3": "llama", "solar_open": "glm4moe", "granitemoehybrid": "granitehybrid",
    "hunyuan_v1_moe": "hunyuan-moe",
    "hunyuan": "hunyuan-moe", "internlm2": "internlm2", "jamba": "jamba", "kimi_k2": "deepseek2", "kimi_linear": "kimi-linear",
    "lfm2": "lfm2", "lfm2_moe": "lfm2moe", "llama": "llama", "llava": "llama", "llama4": "llama4", "llama4_text": "llama4",
    "mamba": "mamba", "minicpm": "minicpm", "minimax_m2": "minimax-m2", "minimax_m3": "minimax-m3", "ministral3": "mistral3",
    "mistral": "llama", "mistral4": "mistral4", "mixtral": "llama", "mpt": "mpt", "nemotron": "nemotron", "nemotron_h": "nemotron_h",
    "nemotron-nas": "deci", "nemotron_nas": "deci", "nomic_bert": "nomic-bert", "olmo": "olmo", "olmo2": "olmo2", "olmo3": "olmo2",
    "olmoe": "olmoe", "orion": "orion", "phi": "phi2", "phi-msft": "phi2", "phi3": "phi3", "phi3_v": "phi3", "phimoe": "phimoe",
    "qwen": "qwen", "qwen2": "qwen2", "qwen2_5_vl": "qwen2vl", "qwen2_5_vl_text": "qwen2vl", "qwen2_moe": "qwen2moe",
    "qwen2_vl": "qwen2vl", "qwen2_vl_text": "qwen2vl", "qwen3": "qwen3", "qwen3_5": "qwen35", "qwen3_5_text": "qwen35",
    "qwen3_5_moe": "qwen35moe", "qwen3_5_moe_text": "qwen35moe", "qwen3_moe": "qwen3moe", "qwen3_next": "qwen3next",
    "qwen3_vl": "qwen3vl", "qwen3_vl_text": "qwen3vl", "qwen3_vl_moe": "qwen3vlmoe", "qwen3_vl_moe_text": "qwen3vlmoe",
    "refinedweb": "falcon", "refinedwebmodel": "falcon", "roberta": "bert", "seed_oss": "seed_oss", "smollm3": "smollm3",
    "stablelm": "stablelm", "stablelm_epoch": "stablelm", "starcoder2": "starcoder2", "xlm-roberta": "bert", "xverse": "xverse",
    "codeshell": "codeshell", "gpt_refact": "refact", "hunyuan_v1_dense": "hunyuan-dense", "openelm": "openelm",
    "minicpm3": "minicpm3", "chameleon": "chameleon", "hunyuan_vl": "hunyuan_vl", "hunyuan_vl_text": "hunyuan_vl", "jais": "jais",
    "jais2": "jais2", "maincoder": "maincoder", "mellum": "mellum", "paddleocr_vl": "paddleocr", "paddleocr_vl_text": "paddleocr",
    "panguembedded": "pangu-embedded", "plamo": "plamo", "plamo3": "plamo3", "spark2_5": "spark2_5",
    "dream": "dream", "llada": "llada", "llama_bidirec": "llama-embed", "nanbeige": "nanbeige", "plm": "plm",
}  # fmt: skip
# models that go by the type of another: that type, the key that tells them apart, its value (None: any), the name here
_DISGUISED: Sequence[tuple[str, str, str | None, str]] = (
    ("bert", "position_embedding_type", "alibi", "jina_bert_v2"),
    ("xlm-roberta", "lora_adaptations", None, "jina_bert_v3"),
    ("nomic_bert", "moe_every_n_layers", None, "nomic_bert_moe"),
)
# model types without a GGUF architecture; the value is the row
_TRANSFORMERS: Mapping[str, str] = {
    "albert": "albert", "biogpt": "biogpt", "codegen": "codegen", "cwm": "cwm", "data2vec-text": "bert", "deberta-v2": "deberta-v2",
    "electra": "electra", "ernie": "bert", "flex_olmo": "flex_olmo", "gpt_neo": "gpt_neo", "gpt_neox_reward_model": "gptneox",
    "gptj": "gptj", "helium": "helium", "hyperclovax": "hyperclovax", "internlm": "internlm", "iquestcoder": "llama",
    "megatron-bert": "megatron-bert", "mimo": "qwen2", "ministral": "ministral", "mixformer-sequential": "phi2",
    "mllama_text_model": "mllama", "mpnet": "mpnet", "nanochat": "nanochat", "openai-gpt": "openai-gpt", "opt": "opt",
    "persimmon": "persimmon", "phi3small": "phi3small", "rembert": "rembert", "roberta-prelayernorm": "roberta-prelayernorm",
    "vaultgemma": "vaultgemma", "whisper": "whisper", "xglm": "xglm", "xlm-roberta-xl": "xlm-roberta-xl", "youtu": "youtu",
}  # fmt: skip
# which layers a window is of: 0 all of them, n all but every n-th (classes of transformers); others say it with layer_types
_FULL_EVERY: Mapping[str, int] = {
    "mistral": 0, "mixtral": 0, "phi3": 0, "phi3_v": 0, "phimoe": 0, "ministral": 0, "starcoder2": 0, "ministral3": 0, "gemma2": 2,
    "gpt_oss": 2, "cohere2": 4, "gemma3_text": 6, "gemma3": 6, "gemma3n_text": 5, "gemma4_text": 6, "vaultgemma": 2,
    "olmo3": 4, "exaone4": 4, "afmoe": 4,
}  # fmt: skip
# all layers but every n-th have the delta rule, where the file does not say (configuration classes of transformers 5.23.0)
_DELTA_BUT_EVERY: Mapping[str, int] = {"qwen3_next": 4, "qwen3_5_text": 4, "qwen3_5_moe_text": 4}
# classes not in classes.json whose output matrix is the token table where the file does not say, and those whose is not
_TIED = frozenset({
    "gemma3", "gemma3n", "gemma4", "refinedweb", "refinedwebmodel", "whisper", "minicpm", "minicpm3", "phi3small", "t5", "plamo3",
})  # fmt: skip
# classes that have an output matrix whatever the file says
_NEVER_TIED = frozenset({"nemotron_h"})
_UNTIED = frozenset({
    "qwen2_vl", "qwen2_5_vl", "qwen3_vl_text", "phi-msft", "phi3_v", "deepseek", "kimi_k2", "kimi_linear", "llama4", "mllama_text_model",
    "chatglm", "internlm2", "minimax_m3", "hunyuan", "hunyuan_v1_moe", "qwen", "baichuan", "xverse", "dbrx", "orion", "mamba2",
    "mimo_v2_flash", "llava", "glm4v", "jais2", "mellum", "dots1", "bailing_moe", "bailing_moe_v2", "mimo", "internlm",
    "mixformer-sequential", "gpt_neox_reward_model", "arctic", "exaone_moe", "afmoe", "step3p5", "laguna", "hy_v3", "muse_glimmer_text",
    "bailing_moe_v3", "deepseek_v4", "minimax_text_01", "minimax_m1", "hy_v4", "dots3_note", "kimi_k3", "rwkv6", "rwkv6qwen2", "rwkv7",
})  # fmt: skip
# classes whose configuration is that of another model and more: a key that only that model's class writes, and the model
_EXTENDED: Mapping[str, tuple[tuple[str, str], ...]] = {"minicpmv": (("max_window_layers", "qwen2"), ("mlp_bias", "llama"))}
# the window of Llama 4's chunked layers, and every how many layers one has none, where the file does not say (Llama4TextConfig)
_LLAMA4_CHUNK, _LLAMA4_FULL_EVERY = 8192, 4
# length of the heads of Gemma 4's global layers where the file does not say (Gemma4TextConfig)
_GEMMA4_GLOBAL_HEAD = 512
_GEMMA4 = ("gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text")
# tokens of the GGUF vocabulary of Gemma 3; the checkpoint's table has 64 rows more, which no token uses
_GEMMA3_ROWS, _GEMMA3_TOKENS = 262_208, 262_144
# tokens that nomic-embed-text-v2-moe was trained for, whose n_positions is 2,048 (conversion/bert.py of llama.cpp 0c1e570, model card)
_NOMIC_MOE_TOKENS = 512
# classes with the encoder and the decoder of T5
_T5 = frozenset({"t5", "mt5", "umt5"})
_ADAPTED = "lora_adaptations: adapters lie in the checkpoint beside the model, and their size does not follow from the file"

# Llama 4's norm of queries and keys only divides by their length (Llama4TextL2Norm)
_NORMS_WITHOUT_WEIGHTS = frozenset({"llama4", "llama4_text"})

# width of the token table, in classes that have one of their own
_TABLE = ("embedding_size", "input_embedding_size", "word_embed_proj_dim")
_NESTS = ("text_config", "language_config", "llm_config", "text_model_config")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_transformer_layers")
_WIDTH = ("hidden_size", "n_embd", "d_model", "n_embed", "dim", "model_dim")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads", "num_query_heads")
_KV_HEADS = (
    "num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "num_multi_query_heads", "kv_n_heads", "num_attention_groups",
)  # fmt: skip
_CONTEXT = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length", "n_ctx", "max_target_positions",
    "model_max_length", "seq_len", "max_context_length",
)  # fmt: skip
_LENGTH = (
    "intermediate_size",
    "n_inner",
    "ffn_dim",
    "decoder_ffn_dim",
    "ffn_hidden_size",
    "ff_intermediate_size",
    "hidden_dim",
    "mlp_hidden_size",
    "dense_intermediate_size",
    "d_ff",
)
_EXPERT_LENGTH = ("moe_intermediate_size", "ffn_hidden_size", "moe_ffn_hidden_size", "expert_hidden_dim", "expert_intermediate_size")
_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts", "moe_num_primary_experts")
_USED = (
    "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_top_k", "top_k_experts", "moe_topk", "moe_k",
    "moe_num_active_primary_experts",
)  # fmt: skip
# classes that have a bias for each expert whatever the file says
_ROUTER_BIAS = frozenset({
    "deepseek_v3", "deepseek_v32", "kimi_k2", "glm_moe_dsa", "glm4_moe_lite", "dots1", "bailing_moe_v2", "bailing_moe_v3", "exaone_moe",
    "afmoe", "laguna", "hy_v3", "dots3_note",
})  # fmt: skip
_MTP = ("num_nextn_predict_layers", "mtp_num_hidden_layers")

# switches that published files state, mostly against the default of their class: a file without them was cut
_ALWAYS_STATED = ("block_auto_adjust_ff_dim", "mamba_rms_norm")
# sizes of parts that a model need not have: where it has them they are read
_SIZES = frozenset({
    *_HEADS, *_KV_HEADS, *_LENGTH, *_EXPERTS, *_USED, "head_dim", "conv_L_cache", "mamba_d_state", "mamba_d_conv", "mamba_n_heads",
    "mamba_d_head", "mamba_n_groups", "mamba_expand", "mamba_dt_rank", "linear_conv_kernel_dim", "linear_num_key_heads",
    "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim", "moe_intermediate_size",
})  # fmt: skip

# Keys that change what a layer remembers; one that nobody asked for, with a value that says something, is not understood.
_CACHE_KEY = re.compile(
    r"window|chunk|latent|lora_rank|mamba|ssm|linear_|conv|hybrid|block_config|layer_types|block_type|pattern|compress|kv_shared|cross_attention"
    r"|recurrent|lru|indexer?_|^index|sparse|attn_type|attention_types?$|^cla_|use_cla$|kv_heads|key_value|global_(head|attn|window|key)|swa_|state_size|head_dim|kv_channels|attn_layer|full_att"
)
# of these the ones that say how much is kept, and not which matrices a layer has
_KEEPING_KEY = re.compile(r"window|max_chunk|kv_(?:cache_)?compress|compress_rate")
_WEIGHT_KEY = re.compile(r"expert|moe|mlp_layer|dense_layers|first_k|ffn_mult|intermediate_size|parallel_attn|shared_intermediate")
# Keys that match and change neither: training, initial values, numeric details, other parts of the model.
_HARMLESS = re.compile(
    r"dropout|_coef|_loss|aux|init|_eps|epsilon|scale|scaling|multiplier|theta|_impl|implementation|softcapping|dtype|act$|activation|token|_id$|_ids$"
    r"|_bias|rank_zero|jitter|norm|topk_group|n_group$|num_expert_group|router|routing|scoring|drop|chunk_size_feed_forward|chunk_size$|mamba_chunk_size"
    r"|use_mamba_kernels|use_cache|mamba_expand|expand|group_limited|grouped|index_topk|index_skip|index_share|interleave|image|vision|audio|video|projector"
    r"|_attn_|flash|reorder|class|classifier|tie_|rope|rotary|no_rope|nope|query_pre|sink|use_mixed_mlp_moe|skipped|output_gate|k_eq_v|hash|overlap"
    r"|blocksparse_|sparse_(block|init|local|disable|score|topk|attention_freq)|use_sparse_attention|use_unified|for_llm|seq_classif|latent_moe_use"
    r"|merge_kernel|insert_layer|mm_|cache_implementation|conv_dim|conv_use|_conv_bias|use_moe|full_rank|beta$|is_|separator|use_bidirectional|_hidden_act|moe_renormalize"
    r"|sparse_pred|^lora_rank$|gate_lower_bound|^block_type$|block_group|attention_gate_type|use_sliding_window|decoder_sparse_step|share_expert_dim|cross_attention_hidden|add_cross|coord_|segm_|max_chunk"
)

_WHAT = "config.json"
_DTYPES: Mapping[str, str] = {"bfloat16": "bfloat16", "float16": "float16", "half": "float16", "float32": "float32", "float": "float32"}


class Stored(Record):
    """How the published weights are stored: `name` in the words of QUANTIZATIONS, None where it is not understood.

    `matrices`, `experts`: the type of those alone. `quantized`: the file says that they are no longer in the type of training.
    """

    name: str | None = None
    quantized: bool = True
    format: str = "safetensors"
    matrices: str | None = None
    experts: str | None = None
    plain_parts: tuple[str, ...] = ()

    @property
    def requantized(self) -> bool:
        """True but for weights in 16 bits or more, and for the narrow types that models are published in, which converters read."""
        return self.quantized and (self.format == "mlx" or not (self.name or "").startswith(("float8", "mxfp4", "ternary")))


@lru_cache(maxsize=1)
def classes() -> Mapping[str, Any]:
    """By model type what its class of transformers takes for a key that a file leaves out, and which keys change weights or cache.

    `defaults`: none where it is derived of others; `matter`: the keys that change weights or cache; `cache`: those of them that change
    what is kept of a context; `idle`: keys that change neither, of names that elsewhere do; `names`: other names of keys.
    benchmarks/config_classes.py made the file: it built every class, one key changed at a time.
    """
    file = os.path.join(os.path.dirname(__file__), "classes.json")
    found: Mapping[str, Any] = read_json(file, MAX_CONFIG_BYTES, what="classes.json")["classes"]
    return found


class ConfigRead(Record):
    """What a config.json tells. `language_parameters`: of the language model alone, None where they do not follow from the file."""

    spec: ModelSpec
    stored: Stored
    language_parameters: int | None
    notes: tuple[str, ...]


class _Unclear(Exception):
    """What the model remembers does not follow from the file; the text says why."""


class _UnclearWindow(_Unclear):
    """The layers are as their shapes say, but not how many tokens each of them keeps."""


def read_config(path: str, architectures: Mapping[str, Any], *, name: str | None = None) -> ConfigRead:
    """The model that a config.json describes. Raises `SpecError`; `name` is that of the model, the path's where None."""
    values = read_json(path, MAX_CONFIG_BYTES, what=_WHAT)
    refuse_what_is_no_config(path, values)
    return _Config(path, values, architectures, name or _name(path, values)).read()


def _name(path: str, values: Mapping[str, Any]) -> str:
    stated = values.get("_name_or_path")
    if isinstance(stated, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", stated) and not stated.startswith((".", "path-removed", "models/")):
        return clean(stated.split("/")[1])
    if os.path.basename(path).lower() != "config.json":
        return name_of(path)
    return name_of(os.path.dirname(os.path.abspath(path)) if not os.path.dirname(path) else os.path.dirname(path))


# what other files of a model, or other JSON, look like: keys of which one is enough, and what to say
_OTHER: tuple[tuple[tuple[str, ...], str], ...] = (
    (("weight_map",), "is the index of a model's safetensors files: give the folder it is in"),
    (("peft_type", "base_model_name_or_path"), "is the configuration of a LoRA adapter: give the model that it changes"),
    (("_diffusers_version",), "is a part of a diffusers pipeline, an image model: only config.json files of language models are read"),
    (("added_tokens_decoder", "tokenizer_class", "chat_template", "added_tokens"), "is the configuration of a tokenizer"),
    (
        ("image_processor_type", "feature_extractor_type", "image_mean", "processor_class"),
        "is the configuration of an image or audio processor",
    ),
    (("mediaType", "schemaVersion"), "is an Ollama or OCI manifest: give the model's name, for example llama3.2:1b"),
    (("do_sample", "temperature", "top_p", "_from_model_config", "max_new_tokens", "eos_token_id"), "is a generation_config.json"),
    (("bos_token", "unk_token", "eos_token"), "is a special_tokens_map.json"),
    (("n_heads", "norm_eps", "multiple_of", "ffn_dim_multiplier"), "is the params.json of a model's own format"),
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
            fail(path, "is a machine record of selfhost, not a model", "give it with --machine, and name a model")
        fail(path, f"is an answer of selfhost ({clean(schema)}), not a model", remedy)
    kind = clean(values.get("model_type"))
    text = next((values[nest] for nest in _NESTS if isinstance(values.get(nest), dict)), values)
    shaped = any(key in text for key in (*_LAYERS, "hybrid_override_pattern", "layers_block_type")) and any(key in text for key in _WIDTH)
    if shaped and (kind or values.get("architectures")):
        if kind.endswith(("vision_model", "_vision")) or kind in ("siglip", "clip", "dinov2", "vit"):
            fail(path, f"describes an image encoder ({kind}), no language model", remedy)
        return
    if kind and any(isinstance(values.get(nest), dict) for nest in _NESTS):
        return
    if kind.endswith(("vision_model", "_vision")) or kind in ("siglip", "clip"):
        fail(path, f"describes an image encoder ({kind}), no language model", remedy)
    for keys, message in _OTHER:
        if any(key in values for key in keys) and not (kind and shaped):
            fail(path, message, None if ":" in message else remedy)
    if "model" in values and "pre_tokenizer" in values:
        fail(path, "is a tokenizer.json", remedy)
    if shaped:
        return
    seen = listed((clean(key) for key in values), 4)
    fail(path, "is no model's config.json" + (f": it has the keys {seen}" if seen else ": it is empty"), remedy)


class _Config:
    def __init__(self, path: str, values: Mapping[str, Any], architectures: Mapping[str, Any], name: str) -> None:
        self.path, self.outer, self.architectures, self.name = path, values, architectures, name
        nest = next((key for key in _NESTS if isinstance(values.get(key), dict)), None)
        inner: Mapping[str, Any] = values[nest] if nest is not None else {}
        self.outer_kind = clean(values.get("model_type")).lower()
        kind = clean(inner.get("model_type")).lower() if inner else ""
        # some files repeat the text model's keys at the top, and nest no more than its name
        self.nested = bool(inner) and not any(key in values for key in _LAYERS)
        self.text: dict[str, Any] = {**_plain(values), **_plain(inner)} if inner else dict(values)
        if inner and self.nested:
            self.text = {**{key: value for key, value in _plain(values).items() if key in _INHERITED}, **_plain(inner)}
        if isinstance(other := self.text.get("attention_other_setting"), dict) and other.get("attention_type") == "sliding_attention":
            self.text |= {"swa_num_attention_heads": other.get("num_attention_heads"), "swa_head_dim": other.get("head_dim")}
            self.text |= {"swa_num_key_value_heads": other.get("num_attention_groups")}
        for part in ("attn_config", "ffn_config", "sparse_attention_config"):
            if isinstance(self.text.get(part), dict):
                self.text = {**self.text[part], **self.text}
        if isinstance(self.text.get("linear_attn_config"), dict):
            self.text.update({"linear_" + key: value for key, value in self.text["linear_attn_config"].items()})
        self.kind = kind or self.outer_kind
        if not kind and inner:
            self.kind = _kind_of_class(inner) or self.outer_kind
        if not self.kind:
            self.kind = _kind_of_class(values)
        for kind, key, value, name_here in _DISGUISED:
            if self.kind == kind and self.text.get(key) and value in (None, self.text[key]):
                self.kind = name_here
        if self.kind in _T5 and self.outer.get("architectures") in (["T5EncoderModel"], ["UMT5EncoderModel"]):
            self.kind = "t5_encoder"
        elif self.kind in _T5:
            self.kind = "t5"
        if self.outer_kind == "kimi_k3":
            # its text model calls itself kimi_linear, and has other matrices
            self.kind = self.outer_kind
        if self.kind in ("git", "llada"):
            # Grok 2 goes by the name of another class of transformers, LLaDA-MoE by that of LLaDA
            self.kind = _kind_of_class(values) or self.kind
        if self.kind == "bailing_moe" and self.text.get("n_group"):
            # so does the second generation of Ling by that of the first
            self.kind = "bailing_moe_v2"
        if self.kind == "bailing_hybrid" and self.text.get("no_kda_lora") is True:
            # the third has a name that another with other recurrent layers had before; these are those of Kimi Linear
            self.kind = "bailing_moe_v3"
            self.text |= {"linear_num_heads": self.text.get("num_attention_heads"), "linear_head_dim": self.text.get("head_dim")}
            self.text["linear_short_conv_kernel_size"] = self.text.get("short_conv_kernel_size")
        self.kind = next((kind for key, kind in _EXTENDED.get(self.kind, ()) if key in self.text), self.kind)
        self.known = {} if self.kind in _OWN_CODE else classes().get(self.kind, {})
        other_names = self.known.get("names", {})
        named = {*self.text, *(other_names.get(key, key) for key in self.text)}
        defaults = self.known.get("defaults", {})
        self.text.update({key: defaults[key] for key in defaults if not {key, other_names.get(key, key)} & named})
        for key, own in other_names.items():
            for name, other in ((key, own), (own, key)):
                if other in self.text:
                    self.text.setdefault(name, self.text[other])
        # transformers 5.23 writes what only some layers have under their numbers
        overrides = self.text.pop("per_layer_config", None)
        self.overrides: Mapping[str, Any] = overrides if isinstance(overrides, dict) else {}
        self.asked: set[str] = set()
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []
        self.layers = 0

    # -------- values of keys

    def get(self, *keys: str) -> Any:
        """The first of these keys that has a value; all of them count as understood."""
        self.asked.update(keys)
        return next((self.text[key] for key in keys if self.text.get(key) is not None), None)

    def number(self, *keys: str) -> int | None:
        """A whole number of at least 0, None where it is missing."""
        value = self.get(*keys)
        if value is None:
            return None
        if isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Unclear(f"{self.stated(keys)} is {_short(value)}, not one whole number")
        if not 0 <= value < _MAX_NUMBER:
            raise _Unclear(f"{self.stated(keys)} is {_short(value)}, which is no number of a model")
        return value

    def of_layer(self, layer: int, *keys: str) -> int | None:
        """The number of that layer, where the file lists one for each; else that of all."""
        value = self.get(*keys)
        if not isinstance(value, list) or len(value) < self.layers:
            return self.positive(*keys)
        if isinstance(value[layer], bool) or not isinstance(value[layer], int) or not 0 < value[layer] < _MAX_NUMBER:
            raise _Unclear(f"{self.stated(keys)} is {_short(value[layer])} for layer {layer}")
        return int(value[layer])

    def stated(self, keys: Sequence[str]) -> str:
        """The first of these keys that has a value."""
        return next(key for key in keys if self.text.get(key) is not None)

    def positive(self, *keys: str) -> int | None:
        """A whole number of at least 1, None where it is missing."""
        value = self.number(*keys)
        if value == 0:
            raise _Unclear(f"{self.stated(keys)} is 0")
        return value

    def needed(self, *keys: str) -> int:
        value = self.positive(*keys)
        if value is None:
            raise _Unclear(f"{keys[0]} is missing")
        return value

    def flag(self, *keys: str) -> bool:
        return bool(self.get(*keys))

    def per_layer(self, key: str) -> list[Any] | None:
        """A list with one entry per layer; None where the key is missing or empty."""
        value = self.get(key)
        if not value:
            return None
        if not isinstance(value, list) or len(value) < self.layers:
            raise _Unclear(f"{key} does not list one entry for each of the {self.layers:,} layers")
        return value[: self.layers]

    # -------- the whole

    def read(self) -> ConfigRead:
        stored = self.stored()
        try:
            architecture = self.architecture(stored)
        except _Unclear as why:
            self.unknown["architecture"] = str(why)
            architecture = None
        from ..needs.tensors import row_of

        row = None if architecture is None else row_of(architecture, self.architectures)
        encoder = row is not None and row.encoder and not row.diffusion
        total = active = None
        names = self.outer.get("architectures")
        composed = self.nested and isinstance(names, list) and any(isinstance(name, str) and "ForConditional" in name for name in names)
        vision = (
            composed
            or self.outer_kind in _VISION
            or any(
                isinstance(self.outer.get(key), dict) or self.outer.get(key)
                for key in ("vision_config", "vq_config", "visual", "mm_vision_tower", "img_processor")
            )
        )
        if architecture is not None and row is not None:
            total, active = self.parameters(architecture, row)
            if self.kind == "jina_bert_v3":
                total = active = None
                self.unknown["parameters.total"] = _ADAPTED
            if "architecture.attention" in self.unknown:
                architecture = _without_cache(architecture, row)
        language, encoders = total, None
        if vision or isinstance(self.outer.get("audio_config"), dict):
            encoders = None if architecture is None else self.encoders(architecture.embedding_length)
            if encoders is None:
                total = active = None
            elif total is not None and active is not None:
                total, active = total + encoders.parameters, active + encoders.parameters
        if total is None:
            self.unknown.setdefault("parameters.total", "it does not follow from config.json alone")
        self.unknown["files"] = "config.json does not say how large the weights are"
        self.unknown["license.id"] = "config.json does not say"
        # classes that transformers has of its own do not need the code that auto_map names
        own_code = isinstance(self.outer.get("auto_map"), dict) and (self.kind not in _GGUF or self.kind in _OWN_CODE)
        bare = architecture is not None and not architecture.output_matrix
        modality = "speech" if self.kind == "whisper" else "embedding" if encoder or bare else "vision" if vision else "text"
        spec = ModelSpec(
            id=identifier(self.name),
            name=self.name,
            modality=modality,
            parameters=Parameters(
                total=total,
                active=active,
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
            unknown={key: why for key, why in self.unknown.items() if not (key == "architecture" and architecture is not None)},
            origin=self.path,
        )
        return ConfigRead(spec=spec, stored=stored, language_parameters=language, notes=tuple(self.notes))

    def architecture(self, stored: Stored) -> Architecture:
        if self.outer.get("is_encoder_decoder") and self.kind not in ("whisper", "t5", "t5_encoder"):
            raise _Unclear(f"{self.kind or 'the model'} has an encoder beside its decoder, which this selfhost does not read")
        self.layers = layers = self.layer_count()
        width = self.needed(*_WIDTH)
        try:
            kinds = self.layer_kinds()
        except _UnclearWindow as why:
            self.unknown["architecture.attention"] = str(why)
            kinds = ["full"] * layers
        state = [self.state(kind, width) if kind in _STATES else None for kind in kinds]
        attention = [self.at(number, self.attention, kind, width) if kind in _ATTENDING else None for number, kind in enumerate(kinds)]
        incomplete: str | None = None
        feed_forward: list[FeedForward | None] = [None] * layers
        try:
            feed_forward = [self.at(number, self.feed_forward, kind, width) for number, kind in enumerate(kinds)]
        except _Unclear as why:
            incomplete = str(why)
        gguf = _GGUF.get(self.kind)
        if gguf == "nemotron_h" and any(layer is not None and layer.experts for layer in feed_forward):
            gguf = "nemotron_h_moe"
        if gguf == "deepseek2" and "OCR" in _class_of(self.outer):
            gguf = "deepseek2-ocr"
        if gguf == "granitehybrid" and not any(state) and not any(layer is not None and layer.experts for layer in feed_forward):
            gguf = "granite"
        row = row_values(self.architectures, gguf or _TRANSFORMERS.get(self.kind, ""))
        extra = self.extras(row) if row is not None else {}
        loops = self.loops()
        encoder = bool(row and row.get("encoder") and not row.get("diffusion"))
        tied = self.tied()
        if tied is None and encoder:
            # no encoder has an output matrix
            tied = False
        context = self.context()
        shared = (self.number("num_kv_shared_layers") or 0) if self.reads("num_kv_shared_layers") else 0
        if shared >= layers:
            raise _Unclear(f"num_kv_shared_layers is {shared:,}, and there are {layers:,} layers")
        vocabulary = self.positive("padded_vocab_size", "vocab_size", "embedding_size")
        audio = self.audio()
        table = self.table_length(width)
        token_types = self.number("type_vocab_size") or None
        positions = self.relative_positions() if row is not None and row.get("relative_table") else None
        if row is not None and row.get("positions") and not row.get("position_offset"):
            positions = context
        slices, altup = self.number("hidden_size_per_layer_input"), self.number("altup_num_inputs", "hc_mult")
        # ALBERT: layers beside each other have one set of weights
        sharing = self.number("num_hidden_groups") if self.known and self.reads("num_hidden_groups") else None
        if sharing is not None and not 1 <= sharing <= layers:
            raise _Unclear(f"num_hidden_groups is {sharing:,}, and there are {layers:,} layers")
        mtp = self.number(*_MTP) or 0
        if mtp > layers:
            raise _Unclear(f"{_MTP[0]} is {mtp:,}, and there are {layers:,} layers")
        odd = sorted({*self.left_over(_CACHE_KEY), *self.other_than_default(cache=True)})
        if odd:
            message = f"{listed(odd)}: not understood, and it may change what the model keeps of its context"
            if not all(_KEEPING_KEY.search(key) for key in odd):
                raise _Unclear(message)
            self.unknown["architecture.attention"] = message
            self.notes.append(f"{listed(odd)}: not understood; the weights are counted as if it added none")
        other = [key for key, value in _ONLY.get(self.kind, {}).items() if self.text.get(key) not in (None, value)]
        if other and incomplete is None:
            incomplete = f"{listed(other)}: not as in the published models"
        if self.kind in ("falcon", "refinedweb", "refinedwebmodel") and (
            self.text.get("parallel_attn") is False or self.flag("bias", "alibi")
        ):
            incomplete = "parallel_attn, bias, alibi: not those of the larger Falcon models"
        self.asked.update(("parallel_attn", "hidden_size_per_layer_input"))
        odd = sorted({*self.left_over(_WEIGHT_KEY), *self.other_than_default(cache=False)})
        if odd and incomplete is None:
            incomplete = f"{listed(odd)}: not understood"
        untold = sorted(key for key in _ALWAYS_STATED if key in self.known.get("matter", ()) and key not in self.text)
        if untold and incomplete is None:
            incomplete = f"{listed(untold)} is missing"
        if row is None and incomplete is None:
            incomplete = f"{self.kind or 'this model type'} is not an architecture whose tensors this selfhost knows"
        if vocabulary is None and incomplete is None:
            incomplete = "vocab_size is missing"
        if tied is None and incomplete is None and not self.headless():
            value = self.get("tie_word_embeddings")
            default = f"is missing, and the default of {self.kind or 'this model type'} is not known"
            incomplete = f"tie_word_embeddings {default if value is None else f'is {_short(value)}, neither true nor false'}"
        name = gguf or _TRANSFORMERS.get(self.kind) or self.kind or "unnamed"
        if self.kind == "jina_bert_v2" and "qk-post-norm" in repr(self.outer.get("auto_map")):
            incomplete = "auto_map: the norms of jina-bert-v2-qk-post-norm are not those of other models of its type"
        if incomplete is not None and row is not None and ((row.get("encoder") and not row.get("diffusion")) or row.get("recomputes")):
            # without its row it would be believed to keep a cache
            raise _Unclear(incomplete)
        if incomplete is not None and "architecture.attention" in self.unknown:
            raise _Unclear(f"{self.unknown.pop('architecture.attention')}; and {incomplete}")
        if incomplete is not None:
            self.unknown["parameters.total"] = f"the weights do not follow from the file: {incomplete}"
            if row_values(self.architectures, name) is not None:
                # an architecture that stands in the table would be believed to have all its tensors
                name += INCOMPLETE
        if context is None:
            self.unknown["architecture.context_tokens"] = "config.json does not say"
        positions_left = self.kind in _POSITIONS_LEFT
        return Architecture(
            row=name,
            runs_in_gguf=gguf is not None,
            dtype=self.dtype(),
            matrix_dtype=stored.matrices,
            expert_dtype=stored.experts,
            plain_parts=stored.plain_parts,
            layers=layers * loops,
            embedding_length=width,
            heads=max((layer.heads for layer in attention if layer is not None), default=None),
            vocabulary=vocabulary,
            vocabulary_gguf=_GEMMA3_TOKENS if gguf == "gemma3" and vocabulary == _GEMMA3_ROWS else None,
            # the first two rows of RoBERTa's position table belong to no position
            context_tokens=context - 2 if context and positions_left and context > 2 else context or None,
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
            mtp_layers=mtp if mtp and gguf and self.kind != "falcon_h1" else None,
            audio=audio,
            **extra,
        )

    def context(self) -> int | None:
        if self.kind == "nomic_bert_moe":
            self.asked.update(_CONTEXT)
            return _NOMIC_MOE_TOKENS
        return self.number(*_CONTEXT, *(("max_length",) if self.kind == "neobert" else ())) or None

    def at(self, number: int, read: Callable[[int, str, int], _Part], kind: str, width: int) -> _Part:
        """A part of one layer, read with the keys that this layer alone has."""
        own = self.overrides.get(str(number))
        if not isinstance(own, dict) or not own:
            return read(number, kind, width)
        common = self.text
        self.text = {**common, **own}
        try:
            found = read(number, kind, width)
        finally:
            self.text = common
        odd = sorted(clean(key) for key in own if key not in self.asked)
        if odd:
            raise _Unclear(f"per_layer_config: {listed(odd)}: not understood")
        return found

    def layer_count(self) -> int:
        pattern, kinds = self.get("hybrid_override_pattern"), self.get("layers_block_type")
        found = (
            self.positive(*_LAYERS) or (len(pattern) if isinstance(pattern, str) else 0) or (len(kinds) if isinstance(kinds, list) else 0)
        )
        if not found:
            raise _Unclear("num_hidden_layers is missing")
        if found > MAX_LAYERS:
            fail(self.path, f"is no usable config.json: {found:,} layers", f"the most that any model has is far below {MAX_LAYERS:,}")
        return found

    def loops(self) -> int:
        """How often the layers are run through, each time with a cache of their own."""
        if self.kind != "nanbeige":
            return 1
        odd = [key for key in _LOOPS if self.flag(key)]
        if odd:
            raise _Unclear(f"{listed(odd)}: not understood")
        loops = self.positive("num_loops") or 1
        if self.layers * loops > MAX_LAYERS:
            raise _Unclear(f"num_loops is {loops:,}, and there are {self.layers:,} layers")
        return loops

    # -------- which layer is what

    def layer_kinds(self) -> list[str]:
        """One of `_ATTENDING`, `_STATES` or `none` (a layer with a feed-forward alone) for each layer."""
        layers = self.layers
        self.asked.update(_LAYER_KEYS)
        if self.kind == "deepseek_v4":
            self.asked.add("compress_ratios")
            return ["compressed"] * layers
        types = self.per_layer("attn_type_list")
        if types and self.kind in ("minimax_text_01", "minimax_m1"):
            return ["full" if item == 1 else "lightning" for item in types]
        if self.get("compress_ratios") or types:
            raise _Unclear(
                "compress_ratios: compressed attention is not understood"
                if self.get("compress_ratios")
                else "attn_type_list: not understood"
            )
        if self.flag("use_cla"):
            raise _Unclear("use_cla: layers that share a cache are not understood")
        if self.get("attn_type") not in (None, "multihead_attention"):
            raise _Unclear(f"attn_type: {_short(self.get('attn_type'))} is not understood")
        names = self.get("layer_types", "layers_block_type")
        pattern = self.get("hybrid_override_pattern")
        if isinstance(pattern, str):
            if len(pattern) != layers or set(pattern) - set(_PATTERN):
                raise _Unclear("hybrid_override_pattern: not one known letter for each layer")
            return [_PATTERN[letter] for letter in pattern]
        if names:
            # keys of recurrent layers stand in the file whether or not the list has any
            matter, other_names = self.known.get("matter", ()), self.known.get("names", {})
            self.asked.update(key for key in self.text if key.startswith("mamba_") and not {key, other_names.get(key)} & {*matter})
            if not isinstance(names, list) or len(names) < layers:
                raise _Unclear(f"layer_types does not list one entry for each of the {layers:,} layers")
            return [self.named_kind(name) for name in names[:layers]]
        if self.kind in _ALIKE:
            return [_ALIKE[self.kind]] * layers
        if self.kind == "plamo2":
            return self.plamo_layers()
        if self.kind == "falcon_h1":
            return ["hybrid"] * layers
        if self.kind == "bamba":
            attending = self.get("attn_layer_indices") or []
            return ["full" if number in attending else "mamba2" for number in range(layers)]
        if self.get("linear_full_attn_layers") or self.get("linear_kda_layers"):
            return self.kimi_layers()
        group = self.number("layer_group_size") if self.kind == "bailing_moe_v3" else None
        if group:
            return ["full" if (number + 1) % group == 0 or number >= layers // group * group else "kda" for number in range(layers)]
        every = self.number("full_attention_interval") or _DELTA_BUT_EVERY.get(self.kind)
        if every:
            return ["full" if (number + 1) % every == 0 else "delta" for number in range(layers)]
        period = self.number("attn_layer_period")
        if period:
            offset = self.number("attn_layer_offset") or 0
            return ["full" if number % period == offset else "mamba" for number in range(layers)]
        full = self.get("full_attn_idxs")
        if isinstance(full, list):
            return ["full" if number in full else "convolution" for number in range(layers)]
        blocks = self.per_layer("block_configs")
        if blocks:
            return [self.block_kind(block) for block in blocks]
        crossing = self.get("cross_attention_layers")
        if isinstance(crossing, list):
            return ["cross" if number in crossing else "full" for number in range(layers)]
        return ["sliding" if slides else "full" for slides in self.sliding()]

    def named_kind(self, name: Any) -> str:
        found = _NAMES.get(name) if isinstance(name, str) else None
        if self.kind == "hy_v4" and name == "sparse_attention":
            # latent attention to cells that an indexer chooses: indexer_types says where
            return "full"
        if found is None:
            raise _Unclear(f"layer_types: {_short(name)} is not understood")
        # transformers 5 writes "linear_attention" where the published files of these have "mamba"
        if (found == "mamba" and self.kind != "jamba") or (found == "delta" and self.kind in ("granitemoehybrid", "nemotron_h")):
            return "mamba2"
        if found == "sliding" and self.window() is None:
            return "full"
        return found

    def kimi_layers(self) -> list[str]:
        # these lists count from 1
        full, linear = self.get("linear_full_attn_layers") or [], self.get("linear_kda_layers") or []
        if (
            not isinstance(full, list)
            or not isinstance(linear, list)
            or sorted([*full, *linear], key=str) != sorted(range(1, self.layers + 1), key=str)
        ):
            raise _Unclear("linear_attn_config does not name each layer once")
        return ["full" if number in full else "kda" for number in range(1, self.layers + 1)]

    def plamo_layers(self) -> list[str]:
        """One layer of every `mamba_step` attends (modeling_plamo.py: is_mamba); where it has a window, to that, save for those named."""
        step, layers = self.needed("mamba_step"), self.layers
        full = self.get("full_attention_idx")
        if self.get("mamba_enabled") is False or layers <= step // 2:
            raise _Unclear("mamba_enabled, mamba_step: layers of one kind alone are not understood")
        sliding = "full" if self.window() is None else "sliding"
        named = full if isinstance(full, list) else []
        return ["mamba" if number % step != step // 2 else "full" if number in named else sliding for number in range(layers)]

    def block_kind(self, block: Any) -> str:
        part = block.get("attention") if isinstance(block, dict) else None
        if not isinstance(part, dict):
            raise _Unclear("block_configs: not understood")
        if part.get("window_length") or part.get("sparsify"):
            raise _Unclear("block_configs: window_length and sparsify are not understood")
        return "none" if part.get("no_op") or part.get("replace_with_linear") else "full"

    def window(self) -> int | None:
        """Tokens; None where no layer has a window shorter than the context."""
        if self.kind == "plamo2":
            return self.number("attention_window_size") or None
        if self.kind == "modernbert":
            # transformers 5 adds a sliding_window of half that, which is what lies on either side
            self.asked.update(("sliding_window", "global_attn_every_n_layers"))
            return self.number("local_attention") or None
        keys: tuple[str, ...] = "sliding_window", "sliding_window_size", "attention_chunk_size", "window_size"
        if self.kind == "dots3_note":
            # its sliding_window leaves out the token itself (conversion/dots3.py of llama.cpp 0c1e570 takes the other)
            keys = "sliding_window_size", "sliding_window"
        window = None if self.get(*keys) == -1 else self.number(*keys)
        if self.kind == "llama4_text" and window is None:
            window = _LLAMA4_CHUNK
        if self.kind not in ("llama4_text", "llama4", "gpt_neo", "plamo3") and self.get("sliding_window", "sliding_window_size") is None:
            # other models have these two keys for something else
            window = None
        if self.text.get("use_sliding_window") is False:
            window = None
        if window and self.kind == "gemma3_text" and self.flag("use_bidirectional_attention"):
            # half of it to either side: Gemma3TextConfig
            window = window // 2 + 1
        context = self.number(*_CONTEXT)
        # a window that no text can fill is none
        return window if window and not (context and window >= context) else None

    def sliding(self) -> list[bool]:
        layers = self.layers
        swa = self.per_layer("hybrid_layer_pattern") or self.per_layer("sliding_window_layout")
        pattern = self.get("sliding_window_pattern", "_sliding_window_pattern")
        first = self.number("max_window_layers")
        rope = self.per_layer("no_rope_layers")
        types = self.get("attention_types")
        if self.window() is None:
            return [False] * layers
        if swa:
            return [item == 1 for item in swa]
        if self.kind == "modernbert":
            return [bool(number % self.needed("global_attn_every_n_layers")) for number in range(layers)]
        if self.kind in ("llama4_text", "llama4"):
            # a layer without rope attends to everything
            return [bool(item) for item in rope] if rope else [(number + 1) % _LLAMA4_FULL_EVERY != 0 for number in range(layers)]
        if self.kind == "gpt_neo":
            return _neo_layers(types, layers)
        if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
            return [pattern[number % len(pattern)] == "L" for number in range(layers)]
        if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern > 0:
            return [(number + 1) % pattern != 0 for number in range(layers)]
        if self.text.get("use_sliding_window") is True and first is not None:
            return [number >= first for number in range(layers)]
        every = self.number("global_attn_every_n_layers") or _FULL_EVERY.get(self.kind)
        if every is None:
            raise _UnclearWindow(f"sliding_window: {self.window():,} tokens, and the file does not say in which layers")
        return [every == 0 or (number + 1) % every != 0 for number in range(layers)]

    # -------- what a layer has

    def attention(self, number: int, kind: str, width: int) -> Attention:
        heads = self.of_layer(number, *_HEADS) or self.needed(*_HEADS)
        if kind == "compressed":
            return self.compressed(number, heads)
        latent = self.number("kv_lora_rank")
        if latent is None and self.known.get("defaults", {}).get("kv_lora_rank") and self.text.get("use_mla") is not False:
            raise _Unclear("kv_lora_rank is null, and its class has no attention without it")
        near = self.number("swa_kv_lora_rank") if kind == "sliding" else None
        if (near or (latent and kind == "full")) and self.text.get("use_mla") is not False:
            return self.latent(number, near or latent or 0, heads, "swa_" if near else "")
        self.asked.update(("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "use_mla", "qk_head_dim"))
        stated = self.positive("head_dim", "attention_head_dim", "kv_channels", "hidden_size_per_head", "d_kv")
        if not stated and width % heads:
            raise _Unclear(f"hidden_size {width:,} is no multiple of the {heads:,} heads, and head_dim is missing")
        length = stated or width // heads
        if self.kind == "helium" and heads * length != width:
            raise _Unclear(f"{heads:,} heads of {length:,} are not hidden_size, {width:,}, which this class takes them to be")
        kv_heads = self.kv_heads(number, heads)
        value = (self.number("v_head_dim") or length) if self.kind == "mimo_v2_flash" else length
        same = False
        by_layer = self.per_layer("num_attention_heads_per_layer")
        if by_layer:
            heads = by_layer[number] if isinstance(by_layer[number], int) else 0
        if kind == "sliding":
            heads = self.positive("swa_num_attention_heads") or heads
            kv_heads = self.positive("swa_num_key_value_heads") or kv_heads
            value = self.positive("swa_v_head_dim") or value
            length = self.positive("swa_head_dim") or length
        if self.kind in _GEMMA4 and kind == "full":
            if not self.overrides:
                length = value = self.positive("global_head_dim") or _GEMMA4_GLOBAL_HEAD
            if self.flag("attention_k_eq_v"):
                same = True
                kv_heads = self.positive("num_global_key_value_heads") or kv_heads
        self.asked.update(
            (
                "global_head_dim",
                "num_global_key_value_heads",
                "swa_num_attention_heads",
                "swa_num_key_value_heads",
                "swa_v_head_dim",
                "swa_head_dim",
            )
        )
        if not 1 <= kv_heads <= heads or heads % kv_heads:
            raise _Unclear(f"num_key_value_heads is {kv_heads:,}, and there are {heads:,} heads")
        indexer, indexed = self.sparse_index(number) if self.kind == "minimax_m3" else (None, None)
        return Attention(
            kind=kind if kind != "hybrid" else "full",
            layers=(),
            heads=heads,
            kv_heads=kv_heads,
            key_length=length,
            value_length=value,
            window_tokens=self.window() if kind == "sliding" else None,
            values_from_keys=same,
            indexer_heads=indexer,
            indexer_length=indexed,
            # MllamaTextCrossAttention
            query_key_norm="head" if kind == "cross" else None,
        )

    def compressed(self, number: int, heads: int) -> Attention:
        ratio = (self.per_layer("compress_ratios") or [None] * self.layers)[number]
        if isinstance(ratio, bool) or ratio not in (0, 4, 128):
            raise _Unclear(f"compress_ratios: {_short(ratio)} is not understood")
        self.asked.update((*_KV_HEADS, "qk_rope_head_dim"))
        key, indexer = self.needed("head_dim"), (self.needed("index_n_heads"), self.needed("index_head_dim"))
        return Attention(
            kind="compressed",
            layers=(),
            heads=heads,
            kv_heads=1,
            key_length=key,
            value_length=key,
            window_tokens=self.needed("sliding_window"),
            query_latent_length=self.needed("q_lora_rank"),
            # only of the rows of a few tokens there are so many that some are chosen
            indexer_heads=indexer[0] if ratio == 4 else None,
            indexer_length=indexer[1] if ratio == 4 else None,
            indexer_rows=self.needed("index_topk") if ratio == 4 else None,
            compression=ratio or None,
            output_groups=self.needed("o_groups"),
            output_latent_length=self.needed("o_lora_rank"),
        )

    def sparse_index(self, number: int) -> tuple[int | None, int | None]:
        """Heads and length of the index by which a layer chooses what it attends to (conversion/minimax.py of llama.cpp 0c1e570).

        Without a list of them every layer has one: more is counted then, not less.
        """
        heads, length = self.number("sparse_num_index_heads"), self.number("sparse_index_dim")
        layers = self.per_layer("sparse_attention_freq")
        chosen = layers is None or bool(layers[number])
        if self.text.get("use_sparse_attention") is False or not (heads and length and chosen):
            return None, None
        return heads, length

    def kv_heads(self, number: int, heads: int) -> int:
        blocks = self.per_layer("block_configs")
        if blocks:
            per_group = blocks[number]["attention"].get("n_heads_in_group")
            if not isinstance(per_group, int) or isinstance(per_group, bool) or per_group < 1 or heads % per_group:
                raise _Unclear("block_configs: n_heads_in_group is no divisor of the heads")
            return heads // per_group
        groups = self.number("multi_query_group_num")
        if self.flag("multi_query_attention") and groups:
            return groups
        if self.kind == "plamo":
            return max(1, heads // self.needed("n_shared_head"))
        if self.flag("group_query_attention") and self.number("num_query_groups"):
            return self.needed("num_query_groups")
        stated = self.of_layer(number, *_KV_HEADS)
        one = self.flag("multi_query")
        if self.kind == "gpt_bigcode":
            return 1 if one else heads
        self.asked.update(("new_decoder_architecture", "multi_query_attention"))
        # Falcon's older classes ignore num_kv_heads where multi_query is set
        if one and not self.text.get("new_decoder_architecture") and not (stated and self.kind == "refinedweb"):
            return 1
        return stated or heads

    def latent(self, number: int, latent: int, heads: int, near: str = "") -> Attention:
        """`near`: what the keys of layers with a window begin with, which have no indexer."""
        self.asked.update(("head_dim", "num_key_value_heads", "qk_head_dim", "use_mla", "swa_head_dim", "swa_num_key_value_heads"))
        types = self.per_layer("indexer_types")
        own = not near and (types is None or types[number] == "full")
        indexer, length = self.number("index_n_heads"), self.number("index_head_dim")
        heads = (self.number("swa_num_attention_heads") if near else None) or heads
        return Attention(
            kind="full" if self.kind in _UNPACKED else "latent",
            layers=(),
            heads=heads,
            kv_heads=heads,
            key_length=self.needed(f"{near}qk_nope_head_dim") + (self.needed("qk_rope_head_dim") if self.kind in _UNPACKED else 0),
            # MiniCPM3's own code takes the width of a head
            value_length=max(1, self.needed(*_WIDTH) // heads) if self.kind == "minicpm3" else self.needed(f"{near}v_head_dim"),
            window_tokens=self.window() if near else None,
            latent_length=latent,
            query_latent_length=self.number(f"{near}q_lora_rank") or None,
            rope_length=self.needed(f"{near}qk_rope_head_dim"),
            indexer_heads=indexer if indexer and length and own else None,
            indexer_length=length if indexer and length and own else None,
        )

    def state(self, kind: str, width: int) -> Recurrent:
        if kind == "convolution":
            return Recurrent(kind=kind, layers=(), convolution=self.needed("conv_L_cache"))
        if "rwkv" in kind:
            return self.rwkv(kind, width)
        if kind == "delta":
            return Recurrent(
                kind=kind,
                layers=(),
                convolution=self.needed("linear_conv_kernel_dim"),
                key_heads=self.needed("linear_num_key_heads"),
                heads=self.needed("linear_num_value_heads"),
                key_length=self.needed("linear_key_head_dim"),
                value_length=self.needed("linear_value_head_dim"),
            )
        if kind == "lightning":
            return Recurrent(kind=kind, layers=(), heads=self.needed(*_HEADS), key_length=self.needed("head_dim"))
        if kind == "kda":
            return Recurrent(
                kind=kind,
                layers=(),
                convolution=self.needed("linear_short_conv_kernel_size"),
                heads=self.needed("linear_num_heads"),
                key_length=self.needed("linear_head_dim"),
            )
        size = self.needed("mamba_d_state", "ssm_state_size", "state_size")
        taps = self.needed("mamba_d_conv", "conv_kernel")
        if self.kind == "plamo2":
            heads = self.needed("mamba_num_heads")
            return Recurrent(
                kind=kind,
                layers=(),
                convolution=taps,
                inner_length=heads * self.needed("hidden_size_per_head"),
                state_length=size,
                time_step_rank=plamo2_rank(width),
                heads=heads,
            )
        if kind == "mamba":
            return Recurrent(
                kind=kind,
                layers=(),
                convolution=taps,
                inner_length=self.inner(width),
                state_length=size,
                time_step_rank=self.time_step_rank(width),
            )
        heads = self.needed("mamba_n_heads", "mamba_num_heads", *(("num_heads",) if self.kind == "mamba2" else ()))
        length = self.number("mamba_d_head", "mamba_head_dim", *(("head_dim",) if self.kind == "mamba2" else ()))
        inner = self.number("mamba_d_ssm") or (heads * length if length else 0) or self.inner(width)
        norm = self.text.get("mamba_rms_norm") if self.kind == "falcon_h1" else None
        self.asked.update(("mamba_rms_norm", "mamba_expand", "expand", "mamba_use_mlp"))
        return Recurrent(
            kind="mamba2",
            layers=(),
            convolution=taps,
            inner_length=inner,
            state_length=size,
            heads=heads,
            groups=self.needed("mamba_n_groups", "n_groups"),
            norm=False if norm is False else None,
        )

    def rwkv(self, kind: str, width: int) -> Recurrent:
        """Ranks by the rules of llama.cpp's conversion/rwkv.py (0c1e570) where the file has none."""
        self.asked.update((*_HEADS, *_KV_HEADS, "num_wkv_heads", "value_dim", "hidden_ratio"))
        if kind == "rwkv7":
            head, stated = self.needed("head_dim", "head_size"), [self.number(*keys) for keys in _RWKV7_KEYS]
            ranks = tuple(one or rwkv7_rank(width, *rule) for one, rule in zip(stated, RWKV7_RANKS, strict=True))
            return Recurrent(kind=kind, layers=(), key_length=head, ranks=ranks)
        wide = width == 4096 if kind == "rwkv6" else width >= 4096
        mix, decay = self.number("lora_rank_tokenshift"), self.number("lora_rank_decay")
        heads = self.number(*_KV_HEADS) if kind == "qrwkv6" else None
        head = width // self.needed(*_HEADS) if kind == "qrwkv6" else self.needed("head_size")
        ranks = mix or (64 if wide else 32), decay or (128 if wide else 64)
        return Recurrent(kind=kind, layers=(), key_heads=heads, key_length=head, ranks=ranks)

    def inner(self, width: int) -> int:
        expand = self.number("mamba_expand", "expand")
        if self.kind in ("mamba", "falcon_mamba") and self.number("intermediate_size"):
            return self.needed("intermediate_size")
        if not expand:
            raise _Unclear("the inner width of the recurrent layers (expand) is missing")
        return expand * width

    def time_step_rank(self, width: int) -> int:
        if self.get("time_step_rank", "mamba_dt_rank") == "auto":
            return -(-width // 16)
        return self.needed("time_step_rank", "mamba_dt_rank")

    def feed_forward(self, number: int, kind: str, width: int) -> FeedForward | None:
        if self.kind in _MAMBAS:
            self.asked.add("intermediate_size")
            return None
        if self.kind in ("rwkv6", "rwkv7"):
            return FeedForward(layers=(), length=self.number("intermediate_size") or rwkv_length(self.kind, width))
        if isinstance(self.get("hybrid_override_pattern"), str) or self.kind == "nemotron_h":
            return self.nemotron(number, kind)
        blocks = self.per_layer("block_configs")
        if blocks:
            return self.block_length(blocks[number], width)
        # where every layer has experts, the width of a dense one stands in the file and means nothing
        self.asked.update((*_LENGTH, *_EXPERT_LENGTH, "intermediate_size_mlp"))
        experts = self.number(*_EXPERTS) or 0
        if (self.kind in _GEMMA4 and not self.flag("enable_moe_block")) or (self.kind in _ONE_EXPERT and experts == 1):
            experts = 0
        used = self.number(*_USED) or 0
        if used > experts > 0:
            raise _Unclear(f"a token uses {used:,} experts, and there are {experts:,}")
        if experts and not used:
            raise _Unclear(f"{experts:,} experts, and the file does not say how many a token uses")
        if not experts or not self.has_experts(number):
            own = self.number("dense_intermediate_size", "intermediate_size_mlp")
            return FeedForward(layers=(), length=own if own and experts else self.length(width, number))
        each = self.number(*_EXPERT_LENGTH) or self.needed("intermediate_size", "n_inner")
        groups = self.number("n_group") or 0
        return FeedForward(
            layers=(),
            length=each,
            experts=experts,
            used=used,
            shared_length=self.shared(each),
            latent_length=self.number("moe_latent_size", "routed_expert_hidden_size") or None,
            router_bias=self.router_bias() and number >= (self.number("num_hash_layers") or 0),
            beside_dense=self.beside_dense(width, number),
            groups=groups if groups > 1 else None,
            groups_used=self.needed("topk_group") if groups > 1 else None,
        )

    def beside_dense(self, width: int, number: int) -> int | None:
        """The length of a dense feed-forward beside the experts."""
        if self.kind == "arctic" and self.flag("parallel_attn_mlp_res"):
            return width
        beside = self.kind in _GEMMA4 or (self.kind == "grok-1" and self.flag("residual_moe"))
        return self.length(width, number) if beside else None

    def shared(self, each: int) -> int | None:
        stated = self.number(
            "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size", "share_expert_dim"
        )
        number = self.number("n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts")
        self.asked.add("shared_moe_mode")
        if number == 0:
            return None
        if self.kind in ("llama4", "llama4_text"):
            return each
        if stated is not None and not (number and self.kind in ("minimax_m3",)):
            return stated or None
        return number * each if number else None

    def router_bias(self) -> bool:
        return (
            self.get("topk_method") == "noaux_tc"
            or self.kind in _ROUTER_BIAS
            or (self.kind not in ("minimax_m2", "minimax_m3", "glm4_moe") and self.flag("use_routing_bias", "use_moe_router_bias"))
        )

    def has_experts(self, number: int) -> bool:
        types = self.per_layer("mlp_layer_types")
        if types:
            self.asked.update(("first_k_dense_replace", "moe_layer_freq"))
            return bool(types[number] == "sparse")
        named = self.get("moe_layers_enum")
        if isinstance(named, str) and named:
            self.asked.update(("first_k_dense_replace", "moe_every_n_layer", "moe_layer_offset"))
            return str(number) in named.replace(" ", "").split(",")
        alike = self.per_layer("is_moe_layer")
        if alike:
            self.asked.update(("first_k_dense_replace", "first_last_k_dense_replace"))
            return bool(alike[number])
        lead = self.number("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
        if lead is None:
            lead = 1 if self.kind == "glm4_moe_lite" else 0
        last = self.get("moe_layer_end_index")
        if isinstance(last, int) and 0 <= last < number:
            return False
        only = self.get("mlp_only_layers") or []
        step = self.number("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval") or 1
        chosen = self.get("moe_layers")
        if isinstance(chosen, list):
            return number in chosen
        every = self.get("moe_layer_freq", "moe_layer_frequency")
        period, offset = self.number("expert_layer_period"), self.number("expert_layer_offset") or 0
        if self.kind == "nomic_bert_moe":
            period, offset = self.number("moe_every_n_layers"), 1
        self.asked.update(("moe_layer_num_skipped", "moe_layers"))
        if period:
            return number % period == offset
        if isinstance(every, list):
            if len(every) < self.layers:
                raise _Unclear("moe_layer_freq does not list one entry for each layer")
            return bool(every[number])
        if isinstance(every, int) and every > 1:
            return number >= lead and number % every == 0
        if not isinstance(only, list):
            raise _Unclear("mlp_only_layers is no list")
        return number >= lead and number not in only and (number + 1) % step == 0

    def length(self, width: int, number: int) -> int:
        stated = self.number("intermediate_size_mlp") if self.kind in ("llama4", "llama4_text") else None
        if self.kind in ("lfm2", "lfm2_moe"):
            self.asked.update(("block_ffn_dim_multiplier", "block_multiple_of"))
            if self.flag("block_auto_adjust_ff_dim"):
                return self.adjusted()
        shared = self.number("shared_intermediate_size") if self.kind == "granitemoehybrid" else None
        if self.kind == "granitemoehybrid" and not self.number("num_local_experts") and shared:
            self.asked.add("intermediate_size")
            return shared
        if self.kind == "openelm":
            return self.multiplied(width, number)
        lengths = self.get("intermediate_size")
        if isinstance(lengths, list):
            one = lengths[number] if len(lengths) >= self.layers else None
            if isinstance(one, bool) or not isinstance(one, int) or not 0 < one < _MAX_NUMBER:
                raise _Unclear("intermediate_size does not give each layer a length")
            stated = one
        found = stated or self.number(*_LENGTH)
        if self.kind == "qwen" and found:
            # gate and up together
            return found // 2
        if self.kind == "gpt_refact" and not found:
            # two thirds of four times the width, up to the next multiple of 256 (modeling_gpt_refact.py)
            return -(-(8 * width // 3) // 256) * 256
        if not found:
            ratio = 4 if self.kind in _FOUR_WIDE else self.number("mlp_ratio", "expansion_ratio")
            if not ratio:
                raise _Unclear("intermediate_size is missing")
            found = ratio * width
        if self.kind == "neobert":
            # what its SwiGLU makes of it (model.py of chandar-lab/NeoBERT): two thirds, up to a multiple of 8
            found = -(-int(2 * found / 3) // 8) * 8
        shared_from = self.layers - (self.number("num_kv_shared_layers") or 0)
        wide = self.flag("use_double_wide_mlp") and number >= shared_from
        return 2 * found if wide else found

    def multiplied(self, width: int, number: int) -> int:
        """The width that OpenELM's configuration makes of each layer's `ffn_multipliers`: rounded, and no less than nine tenths of it."""
        factors, step = self.per_layer("ffn_multipliers"), self.needed("ffn_dim_divisor")
        factor = factors[number] if factors else None
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 100:
            raise _Unclear("ffn_multipliers: not understood")
        found = max(step, int(factor * width + step / 2) // step * step)
        return found + step if found < 0.9 * factor * width else found

    def adjusted(self) -> int:
        """The width that Lfm2Config makes of `block_ff_dim`: two thirds, rounded up."""
        length = int(2 * self.needed("block_ff_dim", "intermediate_size") / 3)
        factor, step = self.get("block_ffn_dim_multiplier"), self.needed("block_multiple_of")
        if isinstance(factor, (int, float)) and not isinstance(factor, bool) and 0 < factor < 100:
            length = int(factor * length)
        return -(-length // step) * step

    def nemotron(self, number: int, kind: str) -> FeedForward | None:
        self.asked.update(("intermediate_size", "moe_intermediate_size", "moe_shared_expert_intermediate_size"))
        # written for models without experts too
        self.asked.update(("n_routed_experts", "n_shared_experts", "num_experts_per_tok"))
        if kind == "mlp":
            return FeedForward(layers=(), length=self.needed("intermediate_size"))
        if kind != "moe":
            return None
        each = self.needed("moe_intermediate_size")
        return FeedForward(
            layers=(),
            length=each,
            experts=self.needed(*_EXPERTS),
            used=min(self.needed(*_USED), self.needed(*_EXPERTS)),
            shared_length=self.shared(each),
            latent_length=self.number("moe_latent_size") or None,
        )

    def block_length(self, block: Mapping[str, Any], width: int) -> FeedForward | None:
        part = block.get("ffn")
        if not isinstance(part, dict) or part.get("sparsify"):
            raise _Unclear("block_configs: ffn is not understood")
        if part.get("replace_with_linear"):
            raise _Unclear("block_configs: replace_with_linear is not understood")
        if part.get("no_op"):
            return None
        factor = part.get("ffn_mult")
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 1000:
            raise _Unclear("block_configs: ffn_mult is not understood")
        # as DeciLM's own code rounds it
        return FeedForward(layers=(), length=-(-int(2 * factor * width / 3) // 256) * 256)

    # -------- what its row does not say

    def reads(self, key: str) -> bool:
        """False where the class of this model type is known and leaves the key alone."""
        return not self.known or key in self.known["matter"]

    def extras(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        found.update(_OTHER_THAN_ROW.get(self.kind, {}))
        for key, flags in {**_SWITCHES, **_SWITCHES_OF.get(self.kind, {})}.items():
            if not flags or not self.reads(key) or (self.text.get("kv_lora_rank") and flags[0] == "attention_bias"):
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
        norm = next((self.get(key) for key in ("use_qk_norm", "qk_layernorm") if self.reads(key)), None)
        if norm is False and row.get("query_key_norm") and self.known:
            found["query_key_norm"] = "none"
        if norm is True and not row.get("query_key_norm") and self.kind not in _NORMS_WITHOUT_WEIGHTS:
            found["query_key_norm"] = "head" if self.kind == "glm4_moe" else "per_head" if self.kind in ("cohere", "stablelm") else "head"
        if self.kind == "kimi_k3" and self.number("attn_res_block_size") != row.get("banked_layers"):
            raise _Unclear(f"attn_res_block_size is {self.get('attn_res_block_size')}, and llama.cpp knows {row.get('banked_layers')}")
        if self.kind in ("t5", "t5_encoder"):
            stated = self.get("feed_forward_proj")
            gated = self.get("is_gated_act") if stated is None else str(stated).startswith("gated")
            if gated is not True:
                found["gate"] = "none"
            if (self.number("num_decoder_layers") or self.layers) != self.layers:
                raise _Unclear("num_decoder_layers: stacks of unlike depth are not understood")
            if self.number("relative_attention_num_buckets") not in (None, row.get("relative_positions")) or self.outer_kind == "umt5":
                raise _Unclear("relative_attention_num_buckets, umt5: tables of distances of another kind are not understood")
        if self.flag("new_decoder_architecture") or self.kind == "refinedweb":
            found["parallel_norms"] = 2
        scaling = self.get("rope_scaling", "rope_parameters")
        kind = (scaling.get("rope_type") or scaling.get("type")) if isinstance(scaling, dict) else None
        if kind == "llama3" and row.get("rope_factors") != "freqs":
            found["rope_factors"] = "freqs"
        long_short = kind in ("longrope", "su", "yarn") and self.kind in ("phi3", "phi3_v", "phimoe")
        if long_short and row.get("rope_factors") != "long_short":
            found["rope_factors"] = "long_short"
        return found

    def tied(self) -> bool | None:
        if self.kind in _NEVER_TIED:
            return False
        for key in ("tie_word_embeddings", "tie_embedding", "tie_embeddings", "weight_tying", "share_input_output_layers"):
            value = self.get(key)
            if value is None and key == "tie_word_embeddings" and self.nested:
                value = self.outer.get(key)
            if isinstance(value, bool):
                return value
        return True if self.kind in _TIED else False if self.kind in _UNTIED else None

    def headless(self) -> bool:
        """True for a published class without an output matrix: a bare or a reward model."""
        name, mapped = _class_of(self.outer), self.outer.get("auto_map")
        if self.kind == "dream":
            # its bare class generates
            return False
        if isinstance(mapped, dict) and any(head in mapped for head in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")):
            # ChatGLM names its bare class, and generates with that of auto_map
            return False
        return not self.nested and bool(re.search(r"(?<!LMHead)Model$|ForSequenceClassification$|ForTokenClassification$", name))

    def table_length(self, width: int) -> int | None:
        """None where the rows of the token table are as wide as the layers."""
        found = self.number(*(key for key in _TABLE if self.reads(key) and self.known)) if self.known else None
        return found if found and found != width else None

    def relative_positions(self) -> int:
        """Rows of DeBERTa's table of distances. The ways to attend that need more matrices than that of its third version are refused."""
        third: Mapping[str, Any] = {
            "relative_attention": True, "share_att_key": True, "position_biased_input": False, "norm_rel_ebd": "layer_norm",
        }  # fmt: skip
        for key, value in third.items():
            if self.get(key) != value:
                raise _Unclear(f"{key} is {_short(self.text.get(key))}: not understood")
        if self.number("type_vocab_size") or self.number("conv_kernel_size"):
            raise _Unclear("type_vocab_size, conv_kernel_size: not understood")
        buckets, most = self.get("position_buckets"), self.get("max_relative_positions")
        reach = next((each for each in (buckets, most) if isinstance(each, int) and each > 0), None)
        return 2 * (reach or self.needed("max_position_embeddings"))

    def deepstack(self) -> int | None:
        """Layers that get a vision feature each; none without pictures."""
        part = self.outer.get("vision_config")
        places = part.get("deepstack_visual_indexes") if isinstance(part, dict) else None
        return min(len(places), self.layers) or None if isinstance(places, list) else None

    def encoders(self, text_width: int) -> Encoders | None:
        """What the model sees or hears with; None, with the reason under `unknown`, where its size does not follow."""
        from .encoders import Untold, encoders_of

        try:
            return encoders_of(self.outer, text_width, self.architectures)
        except Untold as why:
            self.unknown["parameters.encoders"] = f"the size of the vision or audio encoder does not follow from config.json: {why}"
            return None

    def audio(self) -> Audio | None:
        if self.kind != "whisper":
            return None
        return Audio(
            layers=self.needed("encoder_layers"),
            heads=self.needed("encoder_attention_heads"),
            embedding_length=self.needed("d_model"),
            feed_forward_length=self.needed("encoder_ffn_dim"),
            positions=self.needed("max_source_positions"),
            mel_bins=self.needed("num_mel_bins"),
        )

    def left_over(self, pattern: re.Pattern[str]) -> list[str]:
        """Keys of the text model that nobody asked for, that match, and whose value says something."""
        plain = (None, False, 0, "", -1)
        read = {*self.known.get("matter", ()), *self.known.get("idle", ())}
        return [
            clean(key)
            for key, value in self.text.items()
            if not self.was_asked(key)
            and key not in read
            and pattern.search(key)
            and not _HARMLESS.search(key)
            and not isinstance(value, dict)
            and value != []
            and not any(value is item or (value == item and not isinstance(value, list)) for item in plain)
        ]

    def other_than_default(self, *, cache: bool) -> list[str]:
        """Keys that nobody asked for, that change the class's weights or `cache`, and that are not what its row was made for."""
        keeping, defaults = self.known.get("cache", ()), self.known.get("defaults", {})
        return [
            key
            for key in self.known.get("matter", ())
            if (key in keeping) is cache and not self.was_asked(key) and key not in _SIZES and self.text.get(key) != defaults.get(key)
        ]

    def was_asked(self, key: str) -> bool:
        """Under any of its names."""
        return key in self.asked or any(key in pair and not self.asked.isdisjoint(pair) for pair in self.known.get("names", {}).items())

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
        stated = self.get("torch_dtype", "dtype") or self.outer.get("torch_dtype") or self.outer.get("dtype")
        found = _DTYPES.get(stated.removeprefix("torch.")) if isinstance(stated, str) else None
        if found is None:
            self.unknown["architecture.dtype"] = (
                "config.json does not say" if stated is None else f"torch_dtype {_short(stated)} is not known"
            )
        return found

    def stored(self) -> Stored:
        found = self.outer.get("quantization_config") or self.text.get("quantization_config")
        mlx = self.outer.get("quantization")
        own = _of_mlx(mlx) if isinstance(mlx, dict) else None
        if own is not None:
            self.unknown["architecture.matrix_dtype"] = f"config.json describes MLX's {own[0]} weights, and not those before them"
            self.notes.extend(own[1])
            return Stored(name=own[0], format="mlx")
        if found and not isinstance(found, dict):
            self.unknown["architecture.matrix_dtype"] = "quantization_config is no object, so the size of the weights is not known"
            return Stored(name=None)
        if not found:
            return Stored(name=self.dtype(), quantized=False)
        stored = stored_by(found)
        if self.get("expert_dtype") == "fp4" and stored.matrices:
            # DeepSeek V4: 4 bits with a scale of 8 for each 32, as llama.cpp's conversion/deepseek.py reads them
            stored = stored.replace(experts="mxfp4")
        try:
            layers = self.number(*_LAYERS) or None
        except _Unclear:
            # what is wrong with it is said of the architecture
            layers = None
        parts = _plain_parts(found, layers)
        if stored.name is not None and parts is None:
            key = "modules_to_not_convert" if "modules_to_not_convert" in found else "ignore"
            self.unknown["architecture.matrix_dtype"] = (
                f"quantization_config: {key} leaves matrices of some layers in 16 bits, so the size of the weights is not known"
            )
            return Stored()
        if stored.name is not None and {"attention", "feed_forward", "shared_expert"} <= set(parts or ()):
            # the experts alone are quantized
            stored = stored.replace(matrices=None, experts=stored.name)
        elif stored.matrices is not None and parts:
            stored = stored.replace(plain_parts=parts)
        if stored.name is None:
            method = _short(found.get("quant_method") or found.get("quant_algo"))
            self.unknown["architecture.matrix_dtype"] = (
                f"quantization_config: {method} is not understood, so the size of the weights is not known"
            )
        return stored


# which parts of a row a key switches on and off: `attention_bias`, and flags of ROW_FLAGS
_SWITCHES: Mapping[str, tuple[str, ...]] = {
    "attention_bias": ("attention_bias", "attention_output_bias"), "use_qkv_bias": ("attention_bias",), "qkv_bias": ("attention_bias",),
    "add_qkv_bias": ("attention_bias",), "mlp_bias": ("feed_forward_bias",), "lm_head_bias": ("output_bias",),
    "attention_out_bias": ("attention_output_bias",),
}  # fmt: skip
_SWITCHES_OF: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "chameleon": {"swin_norm": ("norms_after",)},
    "chatglm": {"attention_bias": ("attention_bias",)},
    "deepseek_v2": {"mlp_bias": ()},
    "glm": {"attention_bias": ("attention_bias",)},
    "glm4": {"attention_bias": ("attention_bias",)},
    "glm4_moe": {"attention_bias": ("attention_bias",)},
    "glm4v": {"attention_bias": ()},
    "glm4v_text": {"attention_bias": ()},
    "seed_oss": {"attention_bias": ("attention_bias",)},
    "rwkv6qwen2": {"attention_bias": ("attention_bias",)},
    "helium": {"attention_bias": ("attention_bias",)},
    "internlm": {"bias": ("attention_bias", "attention_output_bias")},
    "solar_open": {"attention_bias": ("attention_bias",)},
    "mimo": {"attention_bias": ()},
    "nemotron_h": {"mlp_bias": ()},
    "phi3small": {"attention_bias": ()},
    "opt": {"enable_bias": ("attention_bias", "attention_output_bias", "feed_forward_bias"), "do_layer_norm_before": ("output_norm",)},
    "starcoder2": {"use_bias": ("attention_bias", "attention_output_bias", "feed_forward_bias")},
}
# classes whose first two positions belong to no token, as padding_idx is 1
_POSITIONS_LEFT = (
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
    "data2vec-text",
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
# keys that say which layer is what; `layer_kinds` knows all of them
_LAYER_KEYS = frozenset({
    "layer_types", "layers_block_type", "hybrid_override_pattern", "full_attention_interval", "attn_layer_period", "attn_layer_offset",
    "full_attn_idxs", "block_configs", "cross_attention_layers", "hybrid_layer_pattern", "sliding_window_pattern",
    "_sliding_window_pattern", "max_window_layers", "no_rope_layers", "attention_types", "sliding_window", "sliding_window_size",
    "attention_chunk_size", "window_size", "linear_full_attn_layers", "linear_kda_layers",
    "global_attn_every_n_layers", "sliding_window_layout", "layer_group_size", "short_conv_kernel_size",
    "mtp_hybrid_override_pattern", "mtp_layers_block_type", "cla_share_factor", "linear_attn_config", "attn_type", "attn_layer_indices",
})  # fmt: skip
_OWN_CODE = frozenset(
    {
        "baichuan",
        "chatglm",
        "codeshell",
        "eurobert",
        "exaone",
        "gpt_refact",
        "hunyuan",
        "internlm2",
        "jais",
        "jina_bert_v2",
        "jina_bert_v3",
        "kimi_k2",
        "kimi_linear",
        "maincoder",
        "minicpm",
        "minicpm3",
        "nemotron-nas",
        "neobert",
        "nomic_bert_moe",
        "openelm",
        "orion",
        "panguembedded",
        "phi3_v",
        "plamo",
        "plamo2",
        "plamo3",
        "plm",
        "qwen",
        "spark2_5",
        "xverse",
    }
)
# keys of classes that are in no transformers and change the weights, with the value of every published model
_ONLY: Mapping[str, Mapping[str, Any]] = {
    "jais": {"activation_function": "swiglu", "position_embedding_type": "alibi"},
    "llada": {"include_bias": False, "include_qkv_bias": False, "block_type": "llama", "attention_layer_norm": False},
    "openelm": {"ffn_with_glu": True, "normalize_qk_projections": True},
    "panguembedded": {"bias": True},
    "qwen": {"no_bias": True},
    "spark2_5": {"headwise_attn_output_gate": True, "attention_bias": False, "mlp_bias": False},
}
# whose compressed keys and values are cached unpacked, by llama.cpp and by their own code
_UNPACKED = frozenset({"minicpm3", "plm"})
# what Nanbeige's own class has beside plain loops, in no published model (modeling_nanbeige.py)
_LOOPS = (
    "enable_double_loop_split", "loop_share_kv", "enable_hyper_connection", "enable_mhc", "enable_depth_attention", "emb_neighbor_num",
)  # fmt: skip
# whose files may name one expert, and mean a dense feed-forward
_ONE_EXPERT = frozenset({"hunyuan_v1_dense", "hunyuan_vl", "hunyuan_vl_text"})
_INHERITED = frozenset({"tie_word_embeddings", "torch_dtype", "dtype"})
_FOUR_WIDE = frozenset(
    {
        "gpt2",
        "gptj",
        "gpt_neo",
        "openai-gpt",
        "codegen",
        "bloom",
        "mpt",
        "gpt_bigcode",
        "mixformer-sequential",
        "falcon",
        "refinedweb",
        "refinedwebmodel",
        "phi",
        "phi-msft",
    }
)
# ranks of RWKV 7, under the names of two publishers
_RWKV7_KEYS = (
    ("decay_low_rank_dim", "lora_rank_decay"),
    ("a_low_rank_dim", "lora_rank_iclr"),
    ("v_low_rank_dim", "lora_rank_value_residual_mix"),
    ("gate_low_rank_dim", "lora_rank_gate"),
)
_VISION = frozenset({
    "llava", "llava_next", "llava_llama", "internvl_chat", "qwen2_vl", "qwen2_5_vl", "phi3_v", "minicpmv", "molmo", "mllama",
    "deepseek_vl_v2", "multi_modality", "cogvlm2",
})  # fmt: skip
_ATTENDING = frozenset({"full", "sliding", "cross", "hybrid", "compressed"})
_STATES = frozenset({"mamba", "mamba2", "delta", "kda", "lightning", "convolution", "hybrid", "rwkv6", "rwkv7", "qrwkv6"})
_NAMES: Mapping[str, str] = {
    "full_attention": "full", "attention": "full", "sliding_attention": "sliding", "chunked_attention": "sliding",
    "linear_attention": "delta", "conv": "convolution", "mamba": "mamba", "mamba2": "mamba2", "hybrid": "hybrid", "mlp": "mlp",
    "moe": "moe",
}  # fmt: skip
# whose layers are all of one kind, without a feed-forward
_MAMBAS = frozenset({"mamba", "falcon_mamba", "mamba2"})
_ALIKE: Mapping[str, str] = {
    "mamba": "mamba", "falcon_mamba": "mamba", "mamba2": "mamba2", "rwkv6": "rwkv6", "rwkv7": "rwkv7", "rwkv6qwen2": "qrwkv6",
}  # fmt: skip
# letters of Nemotron H: Mamba-2, attention, feed-forward, experts
_PATTERN: Mapping[str, str] = {"M": "mamba2", "*": "full", "-": "mlp", "E": "moe"}
_CLASSES: Mapping[str, str] = {
    "LlamaForCausalLM": "llama", "MistralForCausalLM": "mistral", "MixtralForCausalLM": "mixtral", "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3", "DeepseekV2ForCausalLM": "deepseek_v2", "DeepseekV3ForCausalLM": "deepseek_v3",
    "GPT2LMHeadModel": "gpt2", "GemmaForCausalLM": "gemma", "Gemma2ForCausalLM": "gemma2", "Gemma3ForCausalLM": "gemma3_text",
    "PhiForCausalLM": "phi", "Phi3ForCausalLM": "phi3", "Grok1ForCausalLM": "grok-1",
    "LLaDAMoEModelLM": "llada_moe",
}  # fmt: skip


def _without_cache(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The same weights, tensor by tensor, with nothing said of what a layer keeps."""
    from ..needs.tensors import gguf_tensors

    tensors = gguf_tensors(architecture, row)
    return architecture.replace(attention=(), recurrent=(), tensors=tensors)


def _class_of(values: Mapping[str, Any]) -> str:
    names = values.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""


def _kind_of_class(values: Mapping[str, Any]) -> str:
    return _CLASSES.get(_class_of(values), "")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in _NESTS and key != "model_type"}


def _short(value: Any) -> str:
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])


def _neo_layers(types: Any, layers: int) -> list[bool]:
    found: list[bool] = []
    for part in types if isinstance(types, list) else []:
        if not (
            isinstance(part, list) and len(part) == 2 and isinstance(part[0], list) and isinstance(part[1], int) and 0 < part[1] <= layers
        ):
            break
        found += [name == "local" for name in part[0]] * part[1]
        if len(found) >= layers:
            break
    if len(found) != layers:
        raise _Unclear("attention_types does not name each layer once")
    return found


def stored_by(found: Mapping[str, Any]) -> Stored:
    """`quantization_config` in the words of DTYPES."""
    method, algorithm = found.get("quant_method"), found.get("quant_algo")
    if method in ("fp8", "fbgemm_fp8"):
        block = found.get("weight_block_size")
        if block is None:
            return Stored(name="float8_e4m3", matrices="float8_e4m3")
        return Stored(name="float8_e4m3_128x128", matrices="float8_e4m3_128x128") if block == [128, 128] else Stored()
    if method == "mxfp4":
        return Stored(name="mxfp4", experts="mxfp4")
    if method in ("gptq", "awq"):
        return _grouped(str(method), found.get("bits", 4), found.get("group_size", 128))
    if method == "modelopt" or algorithm:
        name = {"NVFP4": "nvfp4", "FP8": "float8_e4m3"}.get(algorithm) if isinstance(algorithm, str) else None
        return Stored(name=name, matrices=name)
    if method == "bitsandbytes":
        if found.get("load_in_4bit") is True or found.get("_load_in_4bit") is True:
            four = "nf4-double" if found.get("bnb_4bit_use_double_quant") is True else "nf4"
            return Stored(name=four, matrices=four)
        return Stored(name="int8", matrices="int8") if found.get("load_in_8bit") is True else Stored()
    if method == "compressed-tensors":
        return _compressed(found)
    if method == "bitnet":
        return Stored(name="ternary", matrices="ternary")
    return Stored()


def _of_mlx(found: Mapping[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    """MLX's `quantization` under the name of its bits and groups, and a sentence where that is not all of it; None for no such table.

    mlx_lm/utils.py, quantize_model: under a layer's name stands what that layer has instead.
    """
    bits, group, mode = found.get("bits"), found.get("group_size"), found.get("mode", "affine")
    if not isinstance(bits, int) or bits not in (2, 3, 4, 5, 6, 8) or not isinstance(group, int) or group <= 0:
        return None
    name = str(mode) if mode in ("mxfp4", "nvfp4") else f"{bits}bit" + ("" if group == 64 else f"-{group}g")
    apart = {key: part for key, part in found.items() if isinstance(part, dict) and part.get("bits") != bits}
    in_eight = all(part.get("bits") == 8 for part in apart.values())
    if name == "mxfp4" and in_eight and all(any(part in key for key in apart) for part in ("self_attn", "embed", "router")):
        # gpt-oss: experts as published, all else in 8 bits
        return "MXFP4-Q8", ()
    if name not in QUANTIZATIONS["mlx"] or mode not in ("affine", "mxfp4", "nvfp4"):
        return f"{bits}bit", (f"its weights are {name} of MLX's mode {_short(mode)}, told as {bits}bit in groups of 64",)
    if apart:
        return name, (f"{len(apart):,} of its layers are stored in other bits than {name}, told as if they were not",)
    return name, ()


def _grouped(method: str, bits: Any, group: Any) -> Stored:
    """GPTQ and AWQ under the name of their bits and group; None where no layout is known for them."""
    name = method if bits == 4 else f"{method}-{bits}bit"
    name += "" if group == 128 else "-channel" if group == -1 else f"-{group}g"
    return Stored(name=name, matrices=name) if name in PACKED else Stored()


# what is never quantized, is no matrix of a block, or lies outside the language model
_NEVER = re.compile(
    r"vision|visual|image|audio|multi_modal|projector|embed|lm_head|norm|router|indexer|mtp|merger|conv|shared_expert_gate|bias"
    r"|(?:^|[.*])gate(?:$|\.)|in_proj_[ab]|[eh]norm|correction"
)
_PART_NAMES = (
    ("recurrent", re.compile(r"linear_attn|mamba|mixer\.(?:in|out)_proj")),
    ("attention", re.compile(r"self_attn|attention|\battn\b|[qkvo]_proj")),
    ("shared_expert", re.compile(r"shared_expert")),
    ("expert", re.compile(r"experts")),
    ("feed_forward", re.compile(r"mlp|feed_forward|ffn|gate_proj|up_proj|down_proj")),
)


def _plain_parts(found: Mapping[str, Any], layers: int | None) -> tuple[str, ...] | None:
    """The parts that the file leaves in 16 bits in (nearly) all layers; None where it does so in some of them.

    A layer or two at either end (Llama 3.1 405B) are within the range of the size.
    """
    names = found.get("modules_to_not_convert") or found.get("ignore") or ()
    where: dict[str, set[int]] = {}
    everywhere: set[str] = set()
    for name in names if isinstance(names, list) else ():
        if not isinstance(name, str) or _NEVER.search(name):
            continue
        part = next((part for part, pattern in _PART_NAMES if pattern.search(name)), None)
        number = re.search(r"layers?\.(\d+)\.", name)
        if part is not None and number is None:
            everywhere.add(part)
        elif part is not None and number is not None:
            where.setdefault(part, set()).add(int(number[1]))
    many = 0.8 * (layers or 1)
    # attention and recurrent layers take turns
    mixing = where.get("attention", set()) | where.get("recurrent", set())
    for part, numbers in where.items():
        reach = len(mixing) if part in ("attention", "recurrent") else len(numbers)
        if layers is None or reach >= many:
            everywhere.add(part)
        elif len(numbers) > max(2, 0.05 * layers):
            return None
    return tuple(part for part in PARTS if part in everywhere)


def _compressed(found: Mapping[str, Any]) -> Stored:
    groups = found.get("config_groups")
    parts: Sequence[Any] = list(groups.values()) if isinstance(groups, dict) else []
    weights = parts[0].get("weights") if len(parts) == 1 and isinstance(parts[0], dict) else None
    if not isinstance(weights, dict):
        return Stored()
    shape = (weights.get("type"), weights.get("num_bits"), weights.get("group_size"))
    name = None
    if shape[:2] == ("float", 8):
        name = "float8_e4m3"
    elif found.get("format") == "nvfp4-pack-quantized":
        name = "nvfp4"
    elif found.get("format") == "mxfp4-pack-quantized":
        name = "mxfp4"
    elif shape == ("int", 4, 32):
        name = "int4_32"
    elif shape[:2] == ("int", 4):
        packed = "w4a16" if shape[2] == 128 else "w4a16-channel" if shape[2] is None else f"w4a16-{shape[2]}g"
        name = packed if packed in PACKED else None
    elif shape[:2] == ("int", 8):
        name = "int8"
    return Stored(name=name, matrices=name)
