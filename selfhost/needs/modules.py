"""Linear layers under the names that classes of transformers and mlx_lm give them, beside the
tensors of GGUF files.

Read in transformers 5.23.0 (models/*/modeling_*.py), mlx_lm 0.32.2 (models/*.py) and
gguf-py/gguf/tensor_mapping.py of llama.cpp 0c1e570.
"""

from __future__ import annotations

from collections.abc import Mapping

# the module inside a layer that a tensor `blk.*.NAME.weight` is, in every class that has it; `*` is
# the number of an expert
MODULES: Mapping[str, tuple[str, ...]] = {
    "attn_q": ("self_attn.q_proj", "mixer.q_proj", "attn.q_proj", "attention.wq",
    "attention.self.query", "attention.q_proj"),
    "attn_k": ("self_attn.k_proj", "mixer.k_proj", "attn.k_proj", "attention.wk",
    "attention.self.key", "attention.k_proj"),
    "attn_v": ("self_attn.v_proj", "mixer.v_proj", "attn.v_proj", "attention.wv",
    "attention.self.value", "attention.v_proj"),
    "attn_output": (
        "self_attn.o_proj", "self_attn.out_proj", "self_attn.dense", "mixer.o_proj", "attn.o_proj",
        "attn.out_proj", "attn.c_proj",
        "attention.wo", "attention.dense", "attention.o_proj", "self_attention.dense",
        "attention.output.dense", "attn.Wo",
    ),
    "attn_qkv": (
        "self_attn.qkv_proj", "self_attn.query_key_value", "self_attn.W_pack",
        "attention.query_key_value",
        "self_attention.query_key_value", "attention.wqkv", "attn.c_attn", "attn.Wqkv",
        "linear_attn.in_proj_qkvz",
        "linear_attn.in_proj_qkv",
    ),
    "attn_gate": ("linear_attn.in_proj_z", "linear_attn.in_proj_qkvz", "self_attn.output_gate",
    "self_attn.g_proj"),
    "attn_q_a": ("self_attn.q_a_proj",),
    "attn_q_b": ("self_attn.q_b_proj",),
    "attn_kv_a_mqa": ("self_attn.kv_a_proj_with_mqa",),
    "attn_k_b": ("self_attn.kv_b_proj",),
    "attn_v_b": ("self_attn.kv_b_proj",),
    "attn_kv_b": ("self_attn.kv_b_proj",),
    "ssm_in": ("mamba.in_proj", "mixer.in_proj"),
    "ssm_x": ("mamba.x_proj", "mixer.x_proj"),
    "ssm_dt": ("mamba.dt_proj", "mixer.dt_proj"),
    "ssm_out": ("linear_attn.out_proj", "mamba.out_proj", "mixer.out_proj"),
    "ssm_ba": ("linear_attn.in_proj_ba",),
    "ssm_beta": ("linear_attn.in_proj_b", "self_attn.b_proj"),
    "ssm_alpha": ("linear_attn.in_proj_a",),
    "ssm_f_a": ("self_attn.f_a_proj",),
    "ssm_f_b": ("self_attn.f_b_proj",),
    "ssm_g": ("self_attn.g_proj",),
    "ssm_g_a": ("self_attn.g_a_proj",),
    "ssm_g_b": ("self_attn.g_b_proj",),
    "shortconv.in_proj": ("conv.in_proj", "short_conv.in_proj"),
    "shortconv.out_proj": ("conv.out_proj", "short_conv.out_proj"),
    "ffn_gate": ("mlp.gate_proj", "feed_forward.gate_proj", "feed_forward.w1", "mixer.gate_proj"),
    "ffn_up": (
        "mlp.up_proj", "mlp.gate_up_proj", "mlp.fc1", "mlp.c_fc", "mlp.fc_in", "mlp.dense_h_to_4h",
        "mlp.Wi", "feed_forward.up_proj",
        "feed_forward.w3", "mixer.up_proj", "intermediate.dense",
    ),
    "ffn_down": (
        "mlp.down_proj", "mlp.fc2", "mlp.c_proj", "mlp.fc_out", "mlp.dense_4h_to_h", "mlp.Wo",
        "feed_forward.down_proj", "feed_forward.w2",
        "mixer.down_proj", "output.dense",
    ),
    "ffn_gate_exps": (
        "mlp.experts.*.gate_proj", "block_sparse_moe.experts.*.w1", "mlp.experts.gate_up_proj",
        "feed_forward.experts.gate_up_proj",
        "feed_forward.experts.*.gate_proj", "feed_forward.experts.*.w1",
        "block_sparse_moe.input_linear",
        "mlp.experts.gate_proj", "experts.gate_up_proj",
    ),
    "ffn_up_exps": (
        "mlp.experts.*.up_proj", "block_sparse_moe.experts.*.w3", "mlp.experts.gate_up_proj",
        "feed_forward.experts.gate_up_proj",
        "feed_forward.experts.*.up_proj", "feed_forward.experts.*.w3",
        "block_sparse_moe.input_linear", "mixer.experts.*.up_proj",
        "mlp.experts.up_proj", "experts.gate_up_proj",
    ),
    "ffn_down_exps": (
        "mlp.experts.*.down_proj", "block_sparse_moe.experts.*.w2", "mlp.experts.down_proj",
        "feed_forward.experts.down_proj",
        "feed_forward.experts.*.down_proj", "feed_forward.experts.*.w2",
        "block_sparse_moe.output_linear", "mixer.experts.*.down_proj",
        "experts.down_proj",
    ),
    "ffn_gate_shexp": (
        "mlp.shared_expert.gate_proj", "mlp.shared_experts.gate_proj", "mlp.shared_mlp.gate_proj",
        "feed_forward.shared_expert.gate_proj",
        "shared_mlp.input_linear", "block_sparse_moe.shared_experts.gate_proj",
    ),
    "ffn_up_shexp": (
        "mlp.shared_expert.up_proj", "mlp.shared_experts.up_proj", "mlp.shared_mlp.up_proj",
        "feed_forward.shared_expert.up_proj",
        "shared_mlp.input_linear", "mixer.shared_experts.up_proj",
        "block_sparse_moe.shared_experts.up_proj",
    ),
    "ffn_down_shexp": (
        "mlp.shared_expert.down_proj", "mlp.shared_experts.down_proj", "mlp.shared_mlp.down_proj",
        "feed_forward.shared_expert.down_proj", "shared_mlp.output_linear",
        "mixer.shared_experts.down_proj",
        "block_sparse_moe.shared_experts.down_proj",
    ),
}  # fmt: skip
OUTSIDE: Mapping[str, str] = {"embed_tokens": "token_embd", "lm_head": "output"}
"""The same outside the layers."""


def modules_of(tensor: str) -> tuple[str, ...]:
    """The module names that a tensor `blk.*.NAME.weight` may have; none for an unknown name."""
    return MODULES.get(tensor.removeprefix("blk.*.").removesuffix(".weight"), ())
