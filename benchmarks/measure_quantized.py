"""Sizes of quantized checkpoints (compressed-tensors, bitsandbytes, AutoRound): `tests/truth/quantized_models.json`.

No part of the checks.

    pip install torch transformers compressed-tensors bitsandbytes auto-round accelerate
    python benchmarks/measure_quantized.py --out FILE

A small Llama with random weights is quantized with each `quantization_config`; the figure is the bytes of all tensors of its checkpoint.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 12,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 1000, "tie_word_embeddings": False,
    "max_position_embeddings": 4096, "torch_dtype": "bfloat16",
}  # fmt: skip
_W4 = {"type": "int", "num_bits": 4, "strategy": "group", "group_size": 128, "symmetric": True}
_W8 = {"type": "int", "num_bits": 8, "strategy": "channel", "symmetric": True}
_F8 = {"type": "float", "num_bits": 8, "strategy": "channel", "symmetric": True}


def _packed(
    weights: dict[str, Any],
    *,
    targets: Any = ("Linear",),
    ignore: Any = ("lm_head",),
    format: str = "pack-quantized",
) -> Any:
    groups = {"group_0": {"targets": list(targets), "weights": weights}}
    return {
        "quant_method": "compressed-tensors",
        "format": format,
        "config_groups": groups,
        "ignore": list(ignore),
    }


def configs() -> list[dict[str, Any]]:
    """Every `quantization_config` that is measured."""
    four = {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": "bfloat16",
    }
    eight = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    layers = [f"model.layers.{layer}.mlp" for layer in range(3, 11)]
    mixed = _packed(_W4, targets=["re:.*mlp.*"])
    mixed["config_groups"]["group_1"] = {
        "targets": ["re:.*self_attn.*"],
        "weights": {**_W4, "num_bits": 8},
    }
    some = _packed(_W4)
    some["config_groups"] = {
        "attention": {"targets": ["re:.*self_attn.*"], "weights": {**_W4, "num_bits": 8}},
        **some["config_groups"],
    }
    ordered = _packed(_W4, targets=["re:.*proj"])
    ordered["config_groups"]["group_1"] = {
        "targets": ["re:.*down_proj", "model.layers.3.mlp.up_proj"],
        "weights": {**_W4, "num_bits": 8},
    }
    return [
        _packed(_W4), _packed({**_W4, "symmetric": False}), _packed({**_W4, "group_size": 32}), _packed({**_W4, "group_size": 64}),
        _packed({**_W4, "group_size": 64, "symmetric": False}), _packed({**_W4, "strategy": "channel", "group_size": None}),
        _packed({**_W4, "strategy": "channel", "group_size": None, "symmetric": False}),
        _packed({**_W4, "num_bits": 8}), _packed({**_W4, "num_bits": 8, "symmetric": False}),
        _packed({**_W4, "num_bits": 8, "group_size": 32}),
        _packed(_W8, format="int-quantized"), _packed(_F8, format="float-quantized"),
        _packed(_W4, ignore=()), _packed(_F8, format="float-quantized", ignore=()),
        _packed(_W4, ignore=["lm_head", "re:.*down_proj"]), _packed(_W4, ignore=["lm_head", "re:.*o_proj$"]),
        _packed(_W4, ignore=["lm_head", *(f"model.layers.{layer}.mlp.down_proj" for layer in range(12))]),
        _packed(_W4, ignore=["lm_head", "model.layers.0.self_attn.q_proj", "re:model\\.layers\\.1\\..*"]),
        _packed(_W4, ignore=["re:.*lm_head", "re:.*layers\\.(0|1|11)\\.mlp.*"]),
        _packed(_W4, targets=["re:.*q_proj"]), _packed(_W4, targets=["re:.*mlp.*"]),
        _packed(_F8, targets=["re:.*self_attn.*"], format="float-quantized"),
        _packed(_W4, ignore=["lm_head", "mlp"]),
        _packed(_W4, ignore=["lm_head", "q_proj", "model.layers.1", "model.layers.2.self_attn"]),
        _packed(_W4, ignore=["re:.*lm_head", "re:.*mlp.gate$", "re:model.layers.1.*o_proj"]),
        ordered, mixed, some,
        four, {**four, "bnb_4bit_use_double_quant": True}, eight,
        {**four, "llm_int8_skip_modules": ["lm_head", "down_proj"]}, {**four, "llm_int8_skip_modules": ["lm_head", *layers]},
        {**four, "llm_int8_skip_modules": ["lm_head", "model.layers.1", "self_attn.o_proj"]},
        {**eight, "llm_int8_skip_modules": ["lm_head", "mlp.down_proj"]}, {**four, "llm_int8_skip_modules": []},
    ]  # fmt: skip


def compressed(config: dict[str, Any], model: Any) -> int:
    """Bytes of the state that compressed-tensors makes of the model."""
    schemes, compressors = (
        import_module("compressed_tensors.quantization"),
        import_module("compressed_tensors.compressors"),
    )
    made = schemes.QuantizationConfig.model_validate(config)
    schemes.apply_quantization_config(model, made)
    compressors.ModelCompressor(quantization_config=made).compress_model(model)
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def loaded(config: dict[str, Any], model: Any) -> int:
    """Bytes of the files that transformers writes of the model once bitsandbytes has quantized it."""
    transformers, safetensors = import_module("transformers"), import_module("safetensors")
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(f"{folder}/plain")
        own = transformers.BitsAndBytesConfig(
            **{key: value for key, value in config.items() if key != "quant_method"}
        )
        made = transformers.AutoModelForCausalLM.from_pretrained(
            f"{folder}/plain", quantization_config=own, device_map="cpu"
        )
        made.save_pretrained(f"{folder}/made")
        size = 0
        for file in Path(folder, "made").glob("*.safetensors"):
            with safetensors.safe_open(file, "pt") as tensors:
                size += sum(tensors.get_tensor(name).nbytes for name in tensors.keys())  # noqa: SIM118
        return size


def rounding() -> list[dict[str, Any]]:
    """What AutoRound is asked for."""
    four, own = {"bits": 4, "group_size": 128, "sym": True}, "auto_round"
    apart: dict[str, Any] = {
        f"model.layers.{layer}.mlp.down_proj": {"bits": 8} for layer in range(3)
    }
    return [
        {**four, "format": own}, {**four, "sym": False, "format": own}, {**four, "bits": 8, "format": own}, {**four, "format": "auto_gptq"},
        {**four, "bits": 2, "group_size": 32, "format": own}, {**four, "bits": 3, "format": own}, {**four, "group_size": 32, "format": own},
        {**four, "layer_config": {**apart, "model.layers.5.self_attn.q_proj": {"bits": 16}}, "format": own},
        {**four, "layer_config": {"model.layers.7.mlp.up_proj": {"bits": 8, "group_size": 32}}, "format": own},
    ]  # fmt: skip


def rounded(asked: dict[str, Any], model: Any) -> dict[str, Any]:
    """The configuration that AutoRound writes, and the bytes of its files; on a CPU it writes the rest in 32 bits, counted in 16 here."""
    transformers, tokenizers = import_module("transformers"), import_module("tokenizers")
    words = tokenizers.models.WordLevel(
        {str(number): number for number in range(1000)}, unk_token="0"
    )
    spoken = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(words))
    own = {key: value for key, value in asked.items() if key != "format"}
    with tempfile.TemporaryDirectory() as folder:
        made = import_module("auto_round").AutoRound(
            model, spoken, iters=0, disable_opt_rtn=True, device_map="cpu", **own
        )
        made.quantize_and_save(folder, format=asked["format"])
        (file,) = Path(folder).rglob("*.safetensors")
        size = 0
        with import_module("safetensors").safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                found = tensors.get_tensor(name)
                size += 2 * found.numel() if str(found.dtype) == "torch.float32" else found.nbytes
        written = json.loads((file.parent / "config.json").read_text(encoding="utf-8"))
    return {"quantization_config": written["quantization_config"], "bytes": size}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True)
    out = parser.parse_args().out
    torch, transformers = import_module("torch"), import_module("transformers")
    rows = []
    for config in configs():
        torch.manual_seed(1)
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.LlamaConfig(**CONFIG), dtype=torch.bfloat16
        )
        size = (compressed if config["quant_method"] == "compressed-tensors" else loaded)(
            config, model
        )
        rows.append({"quantization_config": config, "bytes": size})
        print(json.dumps(rows[-1]))
    for asked in rounding():
        torch.manual_seed(1)
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.LlamaConfig(**CONFIG), dtype=torch.bfloat16
        )
        rows.append(rounded(asked, model))
        print(json.dumps(rows[-1]))
    packages = ("torch", "transformers", "compressed-tensors", "bitsandbytes", "auto-round")
    about = {
        "source": "benchmarks/measure_quantized.py: one model with random weights, bytes of all tensors of its checkpoint",
        "license": "measurements of this project, Apache-2.0",
        "versions": {package: version(package) for package in packages},
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    lines = ",\n".join(map(json.dumps, rows))
    Path(out).write_text(
        f'{{\n"about":{json.dumps(about)},\n"config":{json.dumps(CONFIG)},\n"runs":[\n{lines}\n]\n}}\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
