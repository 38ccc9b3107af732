"""What a tokenizer adds to the memory of a model in transformers: figures for `tests/truth/tokenizers.json`. Not part of the checks.

    pip install torch transformers safetensors gguf
    VOCABULARIES=llama.cpp/models python benchmarks/measure_tokenizers.py --out FILE [--only TEXT]

The same small model answers the same prompt with no tokenizer, with one that was loaded before it, and with one loaded after it, as
transformers.pipeline does. Tokenizers are those of measure_mlx.py.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import measure_mlx
from measure_transformers import MODELS, libraries
from rig import Rig, Stages, main

_MODEL, _NONE = "llama-1024", "none"


def cases() -> list[dict[str, Any]]:
    """Every run. `loaded`: when the tokenizer was."""
    orders = {_NONE: ("never",)}
    return [
        {"kind": "answer", "model": name, "loaded": order, "prompt_tokens": tokens, "new_tokens": 8}
        for name in (_NONE, *measure_mlx.TOKENIZERS)
        for order in orders.get(name, ("before the model", "after the model"))
        for tokens in (256, 2048)
    ]


def make(model: str, folder: str) -> None:
    """The tokenizer, if any, and the model beside it."""
    if model == _NONE:
        Path(folder).mkdir()
    else:
        measure_mlx.make(model, folder)
    torch, transformers = import_module("torch"), import_module("transformers")
    torch.manual_seed(1)
    kind, values, _ = MODELS[_MODEL]
    config = getattr(transformers, kind)(**values, max_position_embeddings=8192)
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(
        folder
    )


def config_of(model: str, folder: str) -> dict[str, Any]:
    """What the tokenizer holds."""
    return (
        {"tokens": 0, "added": 0, "merges": 0}
        if model == _NONE
        else measure_mlx.config_of(model, folder)
    )


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """One short text made numbers, and one answer."""
    torch, transformers = libraries(case, stages, "AutoModelForCausalLM", "AutoTokenizer")

    def tokenizer() -> Any:
        made = transformers.AutoTokenizer.from_pretrained(folder)
        made("a few words of text, of many kinds. " * 20)
        stages.note("tokenizer")
        return made

    kept = [tokenizer()] if case["loaded"] == "before the model" else []
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    stages.note("loaded")
    kept += [tokenizer()] if case["loaded"] == "after the model" else []
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    ids = torch.randint(5, 1000, (1, case["prompt_tokens"]))
    model.generate(
        ids[:, :32], attention_mask=torch.ones_like(ids[:, :32]), max_new_tokens=2, do_sample=False
    )
    stages.note("warm")
    model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=case["new_tokens"], do_sample=False
    )
    stages.note("last_token")
    return {"tokenizers": len(kept)}


RIG = Rig(
    script=__file__,
    source=f"benchmarks/measure_tokenizers.py: {_MODEL} of measure_transformers.py with random weights in bfloat16, each run in a fresh "
    "process on one CPU thread; tokens and merges of llama.cpp 0c1e570, models/ggml-vocab-*.gguf",
    conditions="resident memory from /proc/self/status, its peak since the stage before",
    packages=("torch", "transformers", "tokenizers"),
    groups={"answer": "runs"},
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
