"""Local models made for tests: a config.json, a folder of safetensors, and what reading them
says.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from pathlib import Path

import pytest
from hypothesis import strategies as st

from helpers.ggufs import TYPES, write
from selfhost import Machine
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.catalogue.spec_rules import read_model_spec
from selfhost.core.errors import Problem, SpecError
from selfhost.core.tables import Document
from selfhost.modelfiles import read_local, spec_text

# of which nothing is known but its processor and memory
WITHOUT_GPU = Machine(
    system="linux",
    architecture="x86_64",
    memory_total_bytes=2**39,
    memory_limit_bytes=2**39,
    memory_available_bytes=2**39,
    cpu_cores_usable=8.0,
    instruction_sets=("sse4_2", "avx2", "fma", "f16c"),
    accelerators=(),
)


def problem(path: str | Path) -> str:
    """What is said of a path that cannot be used."""
    with pytest.raises(SpecError) as caught:
        read_local(path)
    assert caught.value.problems
    assert all(one.message and one.file for one in caught.value.problems)
    return str(caught.value)


def said(path: Path) -> str:
    """What is said of a model whose architecture cannot be told, in the spec or as an error."""
    try:
        return "unknown: " + read_local(path).spec.unknown["architecture"]
    except SpecError as error:
        return str(error)


def reads_or_refuses(path: Path) -> None:
    """A spec that can be written down and read again, or a `SpecError` with its problems; anything
    else is a bug.
    """
    problems: tuple[Problem, ...] = ()
    try:
        spec: ModelSpec | None = read_local(path).spec
    except SpecError as error:
        problems = error.problems
        spec = None
    assert problems if spec is None else again(spec).id == spec.id


def again(spec: ModelSpec) -> ModelSpec:
    """What the reader of spec files makes of the text of a spec."""
    document = Document.read("x.toml", spec_text(spec).encode())
    found = read_model_spec(document, spec.origin)
    assert found is not None
    assert document.problems == (), spec_text(spec)
    assert found.tokenizer == spec.tokenizer
    return found


def bytes_of(type: str, shape: Sequence[int]) -> int:
    """What a tensor of that type and shape takes."""
    return TYPES[type].bytes_of(prod(shape))


@cache
def shipped_catalogue() -> Catalogue:
    return Catalogue.open()


def config(folder: Path, **changes: object) -> Path:
    """A config.json like that of Mistral 7B v0.3."""
    values = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32768,
        "sliding_window": None,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values | changes), encoding="utf-8")
    return folder / "config.json"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=6,
)


def safetensors(
    path: Path, tensors: Mapping[str, tuple[str, list[int]]], *, missing: int = 0
) -> int:
    """A safetensors file whose data are a hole; its elements."""
    bytes_of = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1, "I32": 4}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        size = prod(shape) * bytes_of[dtype]
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [end, end + size],
        }
        end += size
    encoded = json.dumps(header).encode()
    write(
        path,
        struct.pack("<Q", len(encoded)) + encoded,
        8 + len(encoded) + end - missing,
    )
    return sum(prod(shape) for _, shape in tensors.values())


def small(folder: Path, *, stored: str = "BF16", **changes: object) -> Path:
    """A folder with the config.json and the sharded weights of a small Llama."""
    config(
        folder,
        model_type="llama",
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=100,
        max_position_embeddings=256,
        **changes,
    )
    first = {
        "model.embed_tokens.weight": (stored, [100, 64]),
        "lm_head.weight": (stored, [100, 64]),
        "model.norm.weight": (stored, [64]),
    }
    second = {}
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        for name, shape in (
            ("self_attn.q_proj", [64, 64]),
            ("self_attn.k_proj", [32, 64]),
            ("self_attn.v_proj", [32, 64]),
            ("self_attn.o_proj", [64, 64]),
            ("mlp.gate_proj", [128, 64]),
            ("mlp.up_proj", [128, 64]),
            ("mlp.down_proj", [64, 128]),
            ("input_layernorm", [64]),
            ("post_attention_layernorm", [64]),
        ):
            second[f"{prefix}{name}.weight"] = (stored, shape)
    safetensors(folder / "model-00001-of-00002.safetensors", first)
    safetensors(folder / "model-00002-of-00002.safetensors", second)
    places = dict.fromkeys(first, "model-00001-of-00002.safetensors") | dict.fromkeys(
        second, "model-00002-of-00002.safetensors"
    )
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps(index), encoding="utf-8"
    )
    return folder
