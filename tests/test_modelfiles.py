"""Models on this disk: GGUF, safetensors, config.json -> ModelSpec, from headers alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfhost import Machine, Workload, check
from selfhost.api import check_with
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.quality import AS_PUBLISHED
from selfhost.catalogue.spec import Architecture, ModelSpec, read_model_spec
from selfhost.cli.main import main
from selfhost.core.errors import Problem, SpecError
from selfhost.core.tomlfile import Document
from selfhost.machine.profiles import load
from selfhost.machine.record import Accelerator, Disk
from selfhost.modelfiles import LocalModel, read_local, spec_text
from selfhost.modelfiles.config import read_config
from selfhost.modelfiles.gguf import MAX_HEADER_BYTES
from selfhost.needs import counted_parameters, decode_bytes_by_type, needs_of
from selfhost.needs.cache import cache_groups, states
from selfhost.needs.llamacpp import buffers as llamacpp
from selfhost.needs.llamacpp import graphs
from selfhost.needs.llamacpp.compute_term import COMPUTE_ERROR as CLOSED_FORM_ERROR
from selfhost.needs.quantization import stored
from selfhost.needs.tensors import ArchitectureRow, gguf_tensors, predicts_more, row_of
from selfhost.verdict.placement import placements
from selfhost.verdict.record import Verdict

HERE = Path(__file__).parent
HEADERS = HERE / "data" / "headers"
ROWS: Mapping[str, Any] = tomllib.loads(
    (HERE.parent / "specs" / "common" / "architectures.toml").read_text(encoding="utf-8")
)
# type -> id, elements and bytes of a block (ggml.h); file types of llama.h
TYPES = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34),
    "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "I32": (26, 1, 4),
}  # fmt: skip
FILE_TYPES = {"F16": 1, "Q8_0": 7, "Q4_K_M": 15, "Q6_K": 18}

# of which nothing is known but its processor and memory
WITHOUT_GPU = Machine(
    system="linux", architecture="x86_64", memory_total_bytes=2**39, memory_limit_bytes=2**39, memory_available_bytes=2**39,
    cpu_cores_usable=8.0, instruction_sets=("sse4_2", "avx2", "fma", "f16c"), accelerators=(),
)  # fmt: skip

Placed = Sequence[tuple[str, Sequence[int], str]]


def value(item: object) -> bytes:
    """A metadata value with its type, as GGUF stores it."""
    if isinstance(item, bool):
        return struct.pack("<I?", 7, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    assert isinstance(item, list)
    if isinstance(item[0], bool):
        return struct.pack(f"<IIQ{len(item)}?", 9, 7, len(item), *item)
    if isinstance(item[0], (int, float)):
        kind, form = (5, "i") if isinstance(item[0], int) else (6, "f")
        return struct.pack(f"<IIQ{len(item)}{form}", 9, kind, len(item), *item)
    return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(map(text, item))


def text(item: str) -> bytes:
    return struct.pack("<Q", len(item.encode())) + item.encode()


def gguf(metadata: Mapping[str, object], tensors: Placed, *, version: int = 3) -> tuple[bytes, int]:
    """The header of a GGUF file, padded, and the size that the whole file has."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    out += b"".join(text(key) + value(item) for key, item in metadata.items())
    offset = end = 0
    for name, shape, type in tensors:
        id, elements, block = TYPES[type]
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, id, offset)
        end = offset + prod(shape) // elements * block
        offset = -(-end // 32) * 32
    out += b"\0" * (-len(out) % 32)
    return out, len(out) + end


def write(path: Path, header: bytes, size: int) -> Path:
    """A file of that size whose data are a hole."""
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(size)
    return path


@cache
def measured() -> dict[str, Any]:
    """Every model with its cases: those of one file, and those of a file each."""
    found = json.loads((HEADERS / "gguf_models.json").read_text(encoding="utf-8"))["models"]
    assert isinstance(found, dict)
    return found | one_a_file("gguf")


@cache
def one_a_file(folder: str) -> dict[str, Any]:
    found = {}
    for file in sorted((HEADERS / folder).glob("*.json")):
        model = json.loads(file.read_text(encoding="utf-8"))
        found[file.stem] = model | {
            "cases": [dict(zip(model["columns"], case, strict=True)) for case in model["cases"]]
        }
    return found


def layers(at: str | list[int] | None) -> list[int | None]:
    if at is None:
        return [None]
    if isinstance(at, list):
        return list(at)
    start, stop, step = map(int, at.split(":"))
    return list(range(start, stop, step))


def placed(model: Mapping[str, Any]) -> list[tuple[str, list[int], str]]:
    return [
        (name if layer is None else name.replace("*", str(layer)), shape, type)
        for name, lines in model["tensors"].items()
        for at, shape, type in lines
        for layer in layers(at)
    ]


def metadata(name: str, model: Mapping[str, Any], **more: object) -> dict[str, object]:
    arch = model["architecture"]
    return {
        "general.architecture": arch,
        "general.name": name,
        "general.license": "apache-2.0",
        "general.file_type": FILE_TYPES[model["quantization"]],
        **{
            key if key.startswith("tokenizer.") else f"{arch}.{key}": item
            for key, item in model["metadata"].items()
        },
        # llama.cpp counts no tokens of such a file
        "tokenizer.ggml.model": "none",
        "tokenizer.ggml.tokens": ["a", "", "ü" * 300] * 5,
        **more,
    }


def make(folder: Path, name: str, **more: object) -> Path:
    """The GGUF file of a measured model."""
    model = measured()[name]
    return write(folder / f"{name}.gguf", *gguf(metadata(name, model, **more), placed(model)))


def problem(path: str | Path) -> str:
    """What is said of a path that cannot be used."""
    with pytest.raises(SpecError) as caught:
        read_local(path, ROWS)
    assert caught.value.problems
    assert all(one.message and one.file for one in caught.value.problems)
    return str(caught.value)


def said(path: Path) -> str:
    """What is said of a model whose architecture cannot be told, in the spec or as an error."""
    try:
        return "unknown: " + read_local(path, ROWS).spec.unknown["architecture"]
    except SpecError as error:
        return str(error)


def reads_or_refuses(path: Path) -> None:
    """A spec that can be written down and read again, or a `SpecError` with its problems; anything else is a bug."""
    problems: tuple[Problem, ...] = ()
    try:
        spec: ModelSpec | None = read_local(path, ROWS).spec
    except SpecError as error:
        problems = error.problems
        spec = None
    assert problems if spec is None else again(spec).id == spec.id


def again(spec: ModelSpec) -> ModelSpec:
    """What the reader of spec files makes of the text of a spec."""
    document = Document.parse("x.toml", spec_text(spec).encode())
    found = read_model_spec(document, spec.origin)
    assert found is not None, (document.problems, spec_text(spec))
    assert found.tokenizer == spec.tokenizer
    return found


# ------------------------------------------------------------------ GGUF


def asked(case: Mapping[str, Any]) -> tuple[llamacpp.Cells, str, str, bool, int]:
    """Room, types of keys and values, flash attention and rows of logits of a measurement."""
    batch = case.get("n_batch", 2048)
    micro_batch, unified = min(batch, case["n_ubatch"]), bool(case["kv_unified"])
    room = llamacpp.cells(
        case["n_ctx"], sequences=case["n_seq_max"], unified=unified, micro_batch=micro_batch
    )
    return (
        room,
        case["type_k"],
        case["type_v"],
        case["flash_attn"] != 0,
        case.get("n_outputs_max") or min(case["n_ctx"], batch),
    )


def kept(
    architecture: Architecture, row: ArchitectureRow, case: Mapping[str, Any]
) -> tuple[int, int, int]:
    """Bytes of the cache, of what indexers keep, and of states."""
    room, keys, values, flash, _ = asked(case)
    cached = llamacpp.cache_bytes(
        architecture, row, room, key_type=keys, value_type=values, flash_attention=flash
    )
    groups = cache_groups(architecture, row)
    indexed = sum(
        llamacpp.indexer_bytes(row, group, room, keys, values)
        for group in groups
        if group.indexer_elements
    )
    return cached, indexed, llamacpp.state_bytes(architecture, case["n_seq_max"])


@pytest.mark.parametrize("name", one_a_file("gguf_mtp"))
def test_a_block_that_predicts_more_takes_what_llamacpp_gives_it(name: str, tmp_path: Path) -> None:
    """Where nothing is drafted: all or part of it stays in the file, and some have room in the cache; to the byte."""
    model = one_a_file("gguf_mtp")[name]
    spec = read_local(
        write(tmp_path / "model.gguf", *gguf(metadata(name, model), placed(model))), ROWS
    ).spec
    assert spec.architecture is not None
    assert spec.architecture.mtp_layers == model["metadata"]["nextn_predict_layers"]
    row = row_of(spec.architecture, ROWS)
    assert row is not None
    by_shape = gguf_tensors(spec.architecture.replace(tensors=()), row)
    block = [group for group in by_shape if predicts_more(group, spec.architecture)]
    assert sum(prod(group.shape) * len(group.layers) for group in block) == spec.parameters.mtp
    for case in model["cases"]:
        room, keys, values, flash, rows = asked(case)
        buffer = graphs.exact_compute_bytes(spec.architecture, row, room, rows, flash, keys, values)
        assert (sum(kept(spec.architecture, row, case)), buffer) == (
            case["context_bytes"],
            case["compute_bytes"],
        ), case
    memory = needs_of(
        spec,
        Catalogue.open().runtime("llama.cpp"),
        Workload(quantization=model["quantization"]),
        ROWS,
    ).memory
    assert memory is not None
    assert (
        next(term.bytes for term in memory.terms if term.name == "weights") == model["loaded_bytes"]
    )


@pytest.mark.parametrize("name", measured())
def test_a_gguf_header_gives_what_llamacpp_allocates(name: str, tmp_path: Path) -> None:
    """KV cache, recurrent state and compute buffer equal the measurement to the byte, or a buffer known by a closed form lies in its
    range; the tensors of the spec have the measured bytes."""
    model = measured()[name]
    local = read_local(make(tmp_path, name), ROWS)
    architecture = local.spec.architecture
    assert architecture is not None, local.spec.unknown
    assert not architecture.tensors, local.notes
    assert local.quantization == model["quantization"]
    assert local.files_here
    assert local.format == "gguf"
    row = row_of(architecture, ROWS)
    assert row is not None
    for case in model["cases"]:
        room, keys, values, flash, rows = asked(case)
        cached, indexed, state = kept(architecture, row, case)
        if "context_bytes" not in case:
            assert (cached, state) == (case["kv_bytes"], case["recurrent_state_bytes"])
            continue
        buffer = graphs.exact_compute_bytes(architecture, row, room, rows, flash, keys, values)
        if buffer is None:
            # no graph of it is written down: a closed form, and what it is off at most
            buffer = llamacpp.compute(architecture, row, room, rows, flash, keys).bytes
            assert abs(buffer - case["compute_bytes"]) <= CLOSED_FORM_ERROR * buffer, case
            buffer = case["compute_bytes"]
        assert (cached + indexed + state, buffer) == (
            case["context_bytes"],
            case["compute_bytes"],
        ), case
    sizes = {
        tensor[0]: prod(tensor[1]) // TYPES[tensor[2]][1] * TYPES[tensor[2]][2]
        for tensor in placed(model)
    }
    assert sum(sizes.values()) == model["tensor_bytes"]
    assert sum(
        prod(group.shape) * (len(group.layers) or 1) for group in gguf_tensors(architecture, row)
    ) == sum(prod(shape) for _, shape, _ in placed(model))
    assert local.spec.files[0].bytes == {
        model["quantization"]: (tmp_path / f"{name}.gguf").stat().st_size
    }


@pytest.mark.parametrize(
    "name", [name for name, model in measured().items() if "measured" in model]
)
def test_matrices_are_typed_as_llama_quantize_types_them(name: str, tmp_path: Path) -> None:
    """Of every model of a file of its own: how many tensors of that name have that type. Which ones it leaves in 16 bits depends on
    the file it is given."""
    model = measured()[name]
    architecture = read_local(make(tmp_path, name), ROWS).spec.architecture
    assert architecture is not None
    row = row_of(architecture, ROWS)
    assert row is not None
    found: Counter[tuple[str, str]] = Counter()
    for tensor in stored(architecture, row, model["quantization"], False):
        if not tensor.type.startswith("F"):
            found[tensor.name, tensor.type] += tensor.count
    assert found == Counter(
        (re.sub(r"blk\.\d+\.", "blk.*.", tensor), type)
        for tensor, _, type in placed(model)
        if not type.startswith("F")
    )


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("openelm-270m", "normalize_qk_projections", False),
        ("spark-x2.5-4b", "headwise_attn_output_gate", False),
        ("jais-590m", "position_embedding_type", "learned"),
        ("llada-8b", "include_bias", True),
        ("nanbeige4.2-3b", "enable_mhc", True),
    ],
)
def test_a_key_that_changes_the_weights_is_named(
    name: str, key: str, value: object, tmp_path: Path
) -> None:
    """Of classes that transformers does not have: where a key is not as in the models whose tensors are known, nothing is counted."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**measured()[name]["config"], key: value}), encoding="utf-8")
    spec = read_local(file, ROWS).spec
    assert spec.parameters.total is None
    assert any(key in why for why in spec.unknown.values())


@pytest.mark.parametrize(("program", "known"), [("llama.cpp", False), ("llama-cpp-python", True)])
def test_a_model_at_which_llamacpp_stops_with_flash_attention_is_known_without(
    program: str, known: bool, tmp_path: Path
) -> None:
    """PLM: 0c1e570 aborts in each measured case with flash attention, its default; llama-cpp-python leaves it off."""
    verdict = check(
        make(tmp_path, "plm-1.8b"),
        Workload(runtime=program, min_tokens_per_second=0),
        machine=WITHOUT_GPU,
    )
    assert verdict.needs is not None
    assert (verdict.needs.memory is not None) is known
    assert (
        any("--flash-attn off" in (unread.remedy or "") for unread in verdict.needs.unknown)
        is not known
    )


def test_a_window_that_llamacpp_ignores_shortens_no_cache(tmp_path: Path) -> None:
    """Unlimited-OCR's header has one; "the decoder ignores it" (conversion/deepseek.py of llama.cpp 0c1e570)."""
    architecture = read_local(
        make(tmp_path, "deepseek-ocr", **{"deepseek2-ocr.attention.sliding_window": 128}), ROWS
    ).spec.architecture
    assert architecture is not None
    assert {group.window_tokens for group in architecture.attention} == {128}
    row = row_of(architecture, ROWS)
    assert row is not None
    for case in measured()["deepseek-ocr"]["cases"]:
        room = llamacpp.cells(
            case["n_ctx"], sequences=case["n_seq_max"], unified=bool(case["kv_unified"])
        )
        found = llamacpp.cache_bytes(
            architecture, row, room, key_type=case["type_k"], value_type=case["type_v"]
        )
        assert found == case["context_bytes"]


def test_one_expert_of_hunyuan_is_a_dense_feed_forward(tmp_path: Path) -> None:
    """llama.cpp takes the count of 1 in the header of these files for none (src/llama-model.cpp, load_hparams)."""
    plain = read_local(make(tmp_path, "hunyuan-7b"), ROWS).spec.architecture
    more = {"hunyuan-dense.expert_count": 1, "hunyuan-dense.expert_used_count": 1}
    assert plain is not None
    assert plain == read_local(make(tmp_path, "hunyuan-7b", **more), ROWS).spec.architecture


# as published: what the class is called, layers of both stacks, width, heads, feed-forward, vocabulary and positions; and the parameters of
# that class of transformers 5.23.0
BARTS = {
    "bart": ("BartForConditionalGeneration", 12, 12, 1024, 16, 4096, 50_264, 1024, 406_290_432),
    "bart 12-6": ("BartForConditionalGeneration", 12, 6, 1024, 16, 4096, 50_264, 1024, 305_510_400),
    "mbart": ("MBartForConditionalGeneration", 12, 12, 1024, 16, 4096, 250_054, 1024, 610_879_488),
    "m2m_100": (
        "M2M100ForConditionalGeneration",
        12,
        12,
        1024,
        16,
        4096,
        256_206,
        1024,
        615_073_792,
    ),
    "marian": ("MarianMTModel", 6, 6, 512, 8, 2048, 58_101, 512, 74_410_496),
    "pegasus": (
        "PegasusForConditionalGeneration",
        16,
        16,
        1024,
        16,
        4096,
        96_103,
        512,
        569_748_480,
    ),
    "blenderbot": (
        "BlenderbotForConditionalGeneration",
        2,
        24,
        2560,
        32,
        10_240,
        8008,
        128,
        2_696_268_800,
    ),
    "plbart": ("PLBartForConditionalGeneration", 6, 6, 768, 12, 3072, 50_005, 1024, 139_220_736),
}


def bart(kind: str, folder: Path, **more: object) -> Path:
    name, above, below, width, heads, inner, vocabulary, positions, _ = BARTS[kind]
    config = {
        "architectures": [name], "model_type": kind.partition(" ")[0], "is_encoder_decoder": True, "d_model": width,
        "num_hidden_layers": above, "vocab_size": vocabulary, "max_position_embeddings": positions, "torch_dtype": "float32",
        "encoder_layers": above, "decoder_layers": below, "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        "encoder_ffn_dim": inner, "decoder_ffn_dim": inner,
    }  # fmt: skip
    file = folder / "config.json"
    file.write_text(json.dumps({**config, **more}), encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", BARTS)
def test_an_encoder_and_a_decoder_have_the_parameters_of_their_class(
    kind: str, tmp_path: Path
) -> None:
    """Weights to the parameter; the decoder's layers keep what is read and what is written."""
    spec = read_local(bart(kind, tmp_path), ROWS).spec
    assert spec.architecture is not None
    assert spec.parameters.total == BARTS[kind][-1]
    assert (spec.modality, spec.architecture.layers) == ("text", BARTS[kind][2])
    assert again(spec).architecture == spec.architecture
    verdict = check(
        str(tmp_path / "config.json"),
        Workload(runtime="transformers", context_tokens=128),
        machine=WITHOUT_GPU,
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    (cache,) = (term for term in verdict.needs.memory.terms if term.name == "kv_cache")
    assert cache.bytes == 2 * BARTS[kind][2] * BARTS[kind][3] * 4 * 128


def test_an_encoder_and_a_decoder_each_have_a_context(tmp_path: Path) -> None:
    """Classes of transformers 5.23.0, small and with 32 positions, read 32 tokens and wrote 32; one more of either raised IndexError,
    but in M2M-100 (60 read, 40 written), which makes its table longer, and in T5 (100 and 90), which has none."""
    t5 = tmp_path / "t5.json"
    t5.write_text(json.dumps({
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6,
        "num_heads": 8, "n_positions": 512, "vocab_size": 32_128, "relative_attention_num_buckets": 32, "torch_dtype": "float32",
    }), encoding="utf-8")  # fmt: skip
    for kind in ("t5", "bart", "mbart", "m2m_100", "marian", "pegasus"):
        path, each = (t5, 512) if kind == "t5" else (bart(kind, tmp_path), BARTS[kind][7])

        def asked(tokens: int | None, path: Path = path) -> Verdict:
            return check(
                str(path),
                Workload(runtime="transformers", context_tokens=tokens),
                machine=WITHOUT_GPU,
            )

        assert asked(None).workload.context_tokens == 2 * each
        for tokens, code in ((2 * each, "context-trained"), (2 * each + 1, "context-too-long")):
            if tokens > 2 * each and kind in ("t5", "m2m_100"):
                code = "context-untrained"
            (found,) = (one for one in asked(tokens).findings if one.check == "context")
            assert (found.code, found.has) == (code, 2 * each)
            assert f"{each:,} tokens to read and as many to write" in found.reason
        room = asked(each).room
        assert room is not None
        assert room.longest_context_tokens == 2 * each


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"architectures": ["BartForSequenceClassification"]}, "BartForSequenceClassification"),
        ({"encoder_ffn_dim": 2048}, "encoder_ffn_dim is 2048"),
        ({"encoder_attention_heads": 8}, "encoder_attention_heads is 8"),
        ({"share_encoder_decoder_embeddings": False}, "share_encoder_decoder_embeddings"),
        ({"decoder_layers": None}, "decoder_layers is missing"),
        ({"model_type": "led"}, "an encoder beside its decoder"),
    ],
)
def test_what_no_published_encoder_and_decoder_has_is_unknown(
    more: dict[str, object], why: str, tmp_path: Path
) -> None:
    """With the key named."""
    assert why in read_local(bart("bart", tmp_path, **more), ROWS).spec.unknown["architecture"]


def test_every_beam_keeps_what_was_read_and_written(tmp_path: Path) -> None:
    """num_beams of config.json, or of generation_config.json beside it: as many times the cache; other programs stay unknown."""

    def cache(**more: object) -> int:
        verdict = check(
            str(bart("bart", tmp_path, **more)),
            Workload(runtime="transformers"),
            machine=WITHOUT_GPU,
        )
        assert verdict.needs is not None
        assert verdict.needs.memory is not None
        return next(term.bytes for term in verdict.needs.memory.terms if term.name == "kv_cache")

    one = cache()
    assert cache(num_beams=4) == 4 * one
    (tmp_path / "generation_config.json").write_text('{"num_beams": 6}', encoding="utf-8")
    assert cache(num_beams=4) == 6 * one
    (tmp_path / "generation_config.json").write_text("{}", encoding="utf-8")
    assert cache(num_beams=4) == one
    elsewhere = check(str(tmp_path / "config.json"), Workload(runtime="vllm"), machine=WITHOUT_GPU)
    assert elsewhere.needs is not None
    assert elsewhere.needs.memory is None
    # neither is a number of beams that a search has: nothing is told of the cache, and the weights are as they were
    for odd in ('{"num_beams": "6"}', '{"num_beams": 1000000000}', '{"num_beams": true}', "[]"):
        (tmp_path / "generation_config.json").write_text(odd, encoding="utf-8")
        spec = read_local(tmp_path / "config.json", ROWS).spec
        needs = needs_of(
            spec, Catalogue.open().runtime("transformers"), Workload(context_tokens=512), ROWS
        )
        assert (
            needs.memory,
            "generation_config.json" in spec.unknown["architecture.attention"],
        ) == (None, True)
        assert needs.download_bytes
        assert again(spec) == spec
    (tmp_path / "generation_config.json").unlink()
    assert (
        "num_beams"
        in read_local(bart("bart", tmp_path, num_beams=10**9), ROWS).spec.unknown["architecture"]
    )


def test_minicpm3_keeps_its_latent_where_transformers_has_its_class() -> None:
    """transformers 5.23.0, modeling_minicpm3.py: 256 + 32 numbers a layer; with the publisher's own code 40 heads of 96 and 64."""
    file = HEADERS / "configs" / "openbmb--MiniCPM3-4B.json"
    verdict = check(
        str(file), Workload(runtime="transformers", context_tokens=1000), machine=WITHOUT_GPU
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    (cache,) = (term for term in verdict.needs.memory.terms if term.name == "kv_cache")
    assert (cache.bytes, cache.high_bytes) == (
        62 * (256 + 32) * 2 * 1000,
        62 * 40 * (96 + 64) * 2 * 1000,
    )


def test_a_model_that_runs_through_its_layers_again_reads_them_again(tmp_path: Path) -> None:
    """Nanbeige 4.2 3B: 22 layers, run through twice. Of the published Q4_K_M 1,865,048,064 bytes are layers and 418,682,880 the output
    matrix (its tensor table); the parameters are stored, and counted, once."""
    local = read_local(make(tmp_path, "nanbeige4.2-3b"), ROWS)
    architecture = local.spec.architecture
    assert architecture is not None
    assert (architecture.layers, architecture.stored_layers) == (44, 22)
    read = decode_bytes_by_type(local.spec, None, "gguf", "Q4_K_M", ROWS)
    assert sum(read.values()) == 2 * 1_865_048_064 + 418_682_880 + 4 * 3072
    layer = 2 * 3072 * 6144 + 2 * 3072 * 1024 + 3 * 3072 * 10_752 + 2 * 3072
    assert local.spec.parameters.total == 22 * layer + 2 * 3072 * 166_144 + 3072


@pytest.mark.parametrize("name", [name for name, model in measured().items() if "config" in model])
def test_a_published_config_tells_what_the_gguf_file_does(name: str, tmp_path: Path) -> None:
    """Of one model both give the same layers, heads, widths and matrices; but for blocks that no GGUF file of it brings."""
    model = measured()[name]
    file = (
        HEADERS / "configs" / model["config"]
        if isinstance(model["config"], str)
        else tmp_path / "config.json"
    )
    if not isinstance(model["config"], str):
        file.write_text(json.dumps(model["config"]), encoding="utf-8")
    said, stored = (
        read_local(path, ROWS).spec.architecture for path in (file, make(tmp_path, name))
    )
    assert said is not None
    assert stored is not None
    # no program that loads GGUF files makes a table of positions
    types = {
        "dtype": None,
        "matrix_dtype": None,
        "expert_dtype": None,
        "apart": (),
        "rope_positions": None,
    }
    told = types | {
        "context_tokens": None,
        "positions": None,
        "vocabulary_gguf": None,
        "mtp_layers": None,
    }
    assert said.replace(**told) == stored.replace(**told)


@pytest.mark.parametrize("name", measured())
def test_a_spec_made_of_a_gguf_file_reads_back(name: str, tmp_path: Path) -> None:
    """`spec new` writes a valid spec file that says the same, but for the types of the very file's tensors. It states the parameters that
    its architecture has, as `spec check` counts them."""
    spec = read_local(make(tmp_path, name), ROWS).spec
    assert again(spec) == spec.replace(tensors=())
    assert counted_parameters(again(spec), ROWS) == (spec.parameters.total, spec.parameters.active)


@pytest.mark.parametrize("name", ["maincoder-1b", "gemma-2-9b", "gpt2-124m"])
def test_a_spec_made_of_a_gguf_file_is_laid_out_like_it(name: str, tmp_path: Path) -> None:
    """Over a card that holds part of it: as many layers as of the file, or one less, for the file's tensors are known to the byte. Of
    some of these the size is that of no file that llama-quantize writes, as their vocabulary here is short."""
    file = read_local(make(tmp_path, name), ROWS).spec
    (size,) = file.files[0].bytes.values()
    assert file.architecture is not None
    layers = file.architecture.layers
    for part in (0.4, 0.6, 0.9):
        room = int(size * part) + 2**30
        card = Accelerator(
            vendor="nvidia",
            name="GPU",
            memory_total_bytes=room,
            memory_free_bytes=room,
            unified=False,
        )
        counts = []
        for spec in (file, again(file)):
            asked = Workload(quantization=measured()[name]["quantization"], context_tokens=2048)
            needs = needs_of(
                spec,
                Catalogue.open().runtime("llama.cpp"),
                asked,
                ROWS,
                instruction_sets=("avx2", "fma", "f16c"),
            )
            placed = next(
                placements(needs, WITHOUT_GPU.replace(accelerators=(card,)), layers, splits=True)
            )
            assert placed.memory is not None
            there = [
                term
                for term in placed.memory.terms
                if term.where == "accelerator:0" and term.name == "weights"
            ]
            told = [re.search(r"(\d+) of \d+ layers of: ", term.arithmetic) for term in there]
            counts.append(sum(layers if found is None else int(found[1]) for found in told))
        assert counts[0] - 1 <= counts[1] <= counts[0]


def bytes_of(type: str, shape: Sequence[int]) -> int:
    _, elements, size = TYPES[type]
    return prod(shape) // elements * size


WEIGHTS = ("weights", "repacked_weights")


@cache
def shelf() -> Catalogue:
    return Catalogue.open()


@pytest.mark.parametrize("name", measured())
def test_the_weights_of_a_file_are_its_tensors(name: str, tmp_path: Path) -> None:
    """To the byte what llama.cpp allocated for them, a block that predicts more than one token left out."""
    model = measured()[name]
    program = (
        "llama.cpp" if any(case["flash_attn"] for case in model["cases"]) else "llama-cpp-python"
    )
    verdict = check_with(
        shelf(), make(tmp_path, name), Workload(runtime=program), WITHOUT_GPU, instead=False
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    terms = [term for term in verdict.needs.memory.terms if term.name in WEIGHTS]
    blocks = model["metadata"]["block_count"] - model["metadata"].get("nextn_predict_layers", 0)
    block = [re.match(r"blk\.(\d+)\.", tensor) for tensor, _, _ in placed(model)]
    extra = sum(
        bytes_of(type, shape)
        for found, (_, shape, type) in zip(block, placed(model), strict=True)
        if found is not None and int(found[1]) >= blocks
    )
    assert sum(term.bytes for term in terms) == model["tensor_bytes"] - extra
    assert all(term.low_bytes == term.bytes == term.high_bytes for term in terms)


@pytest.mark.parametrize("name", ["afm-4.5b", "gemma-2b-it", "olmo-2-7b-instruct"])
@pytest.mark.parametrize("upgraded", ["Q8_0", "Q6_K"])
def test_a_publishers_own_mix_is_laid_out_by_its_tensors(
    name: str, upgraded: str, tmp_path: Path
) -> None:
    """Of a file that follows no recipe the header tells what a GPU takes: all but the token table, which is there again where it is
    the output matrix too (src/llama-model.cpp, load_tensors)."""
    model = measured()[name]
    mix = [
        (tensor, shape, upgraded if "ffn_" in tensor and len(shape) > 1 else type)
        for tensor, shape, type in placed(model)
    ]
    file = write(tmp_path / "own-mix.gguf", *gguf(metadata(name, model), mix))
    assert sum(bytes_of(type, shape) for _, shape, type in mix) > 1.2 * model["tensor_bytes"]
    table = next(
        bytes_of(type, shape) for tensor, shape, type in mix if tensor == "token_embd.weight"
    )
    tied = all(tensor != "output.weight" for tensor, _, _ in mix)
    whole = sum(bytes_of(type, shape) for _, shape, type in mix)
    for size, placement in ((80 * 10**9, "accelerator"), (3 * 10**9, "split")):
        card = Accelerator(
            vendor="nvidia",
            name="GPU",
            memory_total_bytes=size,
            memory_free_bytes=size,
            unified=False,
        )
        verdict = check(
            file,
            Workload(runtime="llama.cpp", min_tokens_per_second=0),
            machine=WITHOUT_GPU.replace(accelerators=(card,)),
        )
        assert verdict.needs is not None
        assert verdict.needs.memory is not None
        assert verdict.needs.placement == placement
        there = {where: sum(term.bytes for term in verdict.needs.memory.terms if term.where == where and term.name in WEIGHTS)
                 for where in ("host", "accelerator:0")}  # fmt: skip
        kept = sum(term.bytes for term in verdict.needs.memory.terms if term.name == "embeddings")
        assert kept == table
        assert sum(there.values()) == whole - table + (table if tied else 0)
        assert (there["host"] == 0) is (placement == "accelerator")


def test_a_file_is_not_said_to_hold_what_was_asked_instead(tmp_path: Path) -> None:
    """A file of one quantization asked about in another: the answer says which it holds, and no other is here: it would have to be
    downloaded or made, and no command runs it. Asked about in its own it says nothing."""
    file = make(tmp_path, "olmo-2-7b-instruct")
    for asked, told in (("Q3_K_M", True), ("q4_k_m", False), (None, False)):
        wanted = Workload(runtime="llama.cpp", quantization=asked, min_tokens_per_second=0)
        verdict = check(file, wanted, machine=load("aws-m7i.2xlarge").machine)
        assert any("holds Q4_K_M" in note for note in verdict.notes) is told, asked
        codes = {finding.code for finding in verdict.findings}
        assert (
            "disk-nothing-missing" in codes,
            "weights-here" in codes,
            bool(verdict.commands),
        ) == (not told,) * 3, asked


def test_only_the_quantization_that_a_file_holds_needs_no_disk(tmp_path: Path) -> None:
    """On a full disk the file here still fits, and no other that would have to be downloaded or made."""
    from selfhost.api import describe, open_catalogue

    full = Disk(
        purpose="llama.cpp", path="/models", free_bytes=0, total_bytes=10**12, writable=True
    )
    machine = WITHOUT_GPU.replace(
        disks=(full,), instruction_sets=("sse2", "sse4_2", "avx2", "fma", "f16c")
    )
    shown = describe(
        open_catalogue(),
        str(make(tmp_path, "olmo-2-7b-instruct")),
        Workload(min_tokens_per_second=0),
        machine,
    )
    assert {size.quantization for size in shown.sizes if size.fits} == {"Q4_K_M"}
    assert len([size for size in shown.sizes if size.fits is False]) > 5


def test_facts_of_the_header_reach_the_spec(tmp_path: Path) -> None:
    """Name, license, context and vocabulary are those of the file; what it does not say is unknown with a reason."""
    spec = read_local(make(tmp_path, "llama-3.2-1b"), ROWS).spec
    assert (spec.id, spec.name, spec.origin) == (
        "llama-3.2-1b",
        "llama-3.2-1b",
        str(tmp_path / "llama-3.2-1b.gguf"),
    )
    assert spec.license is not None
    assert spec.license.id == "Apache-2.0"
    assert spec.architecture is not None
    assert (spec.architecture.vocabulary, spec.architecture.context_tokens) == (128_256, 131_072)
    assert spec.architecture.tied_embeddings
    assert "architecture.dtype" in spec.unknown
    # Llama 3.2 1B as published: 1,235,814,400 parameters
    assert spec.parameters.total == 1_235_814_400


def test_experts_count_only_as_far_as_a_token_uses_them(tmp_path: Path) -> None:
    """Mixtral 8x7B: 46.7 billion parameters, 12.9 billion per token (Mistral AI, 2023-12-11)."""
    parameters = read_local(make(tmp_path, "mixtral-8x7b"), ROWS).spec.parameters
    assert parameters.total == 46_702_792_704
    assert parameters.active == 12_879_925_248


def test_an_unknown_architecture_keeps_its_tensors(tmp_path: Path) -> None:
    """Weights stay exact by the file's own table; whether llama.cpp loads it, and what it would keep, nobody here knows: neither of the
    file nor of a spec made of it."""
    model = {**measured()["mistral-7b-v0.3"], "architecture": "brandnew"}
    path = write(tmp_path / "x.gguf", *gguf(metadata("x", model), placed(model)))
    local = read_local(path, ROWS)
    architecture = local.spec.architecture
    assert architecture is not None
    tensors = gguf_tensors(architecture, ArchitectureRow(name="brandnew"))
    assert sum(prod(group.shape) * (len(group.layers) or 1) for group in tensors) == 7_248_023_552
    assert any("brandnew" in note for note in local.notes)
    assert again(local.spec) == local.spec.replace(tensors=())
    for asked in (path, again(local.spec)):
        verdict = check(asked, machine=load("aws-m7i.2xlarge").machine)
        assert (verdict.route, verdict.needs and verdict.needs.memory) == ("unknown", None)
        assert any(
            "brandnew" in finding.reason
            for finding in verdict.findings
            if finding.check == "memory"
        )


def test_a_file_with_more_biases_than_its_row_keeps_its_tensors(tmp_path: Path) -> None:
    """llama.cpp asks for most biases where they are there (TENSOR_NOT_REQUIRED): counted, and said."""
    model = measured()["mistral-7b-v0.3"]
    tensors = [*placed(model), ("blk.0.ffn_down.bias", [4096], "F32")]
    local = read_local(write(tmp_path / "x.gguf", *gguf(metadata("x", model), tensors)), ROWS)
    assert local.spec.parameters.total == 7_248_023_552 + 4096
    assert any("ffn_down.bias" in note for note in local.notes)
    assert again(local.spec) == local.spec.replace(tensors=())


def test_a_file_that_llamacpp_refuses_is_of_no_known_model(tmp_path: Path) -> None:
    """llama.cpp: missing tensor; wrong shape (src/llama-model-loader.cpp): it does not run, whatever the machine and the program, and
    the reason names the tensor. At more tensors than it asked for it stops too, but a later release may ask for them: unknown."""
    model = measured()["mistral-7b-v0.3"]
    all = placed(model)
    short = [
        (name, [4096, 64] if name == "blk.5.ffn_up.weight" else shape, type)
        for name, shape, type in all
    ]
    for tensors, why, refused in (
        ([one for one in all if one[0] != "blk.3.ffn_up.weight"], "no tensor blk.3.ffn_up", True),
        (
            [*all, ("blk.0.surprise.weight", [4096, 4096], "F16")],
            "a tensor blk.0.surprise (4,096 × 4,096)",
            False,
        ),
        ([*all, ("surprise.weight", [4096], "F16")], "a tensor surprise (4,096)", False),
        (short, "blk.5.ffn_up is 4,096 × 64", True),
    ):
        path = write(tmp_path / "x.gguf", *gguf(metadata("x", model), tensors))
        spec = read_local(path, ROWS).spec
        assert spec.architecture is None
        assert why in spec.unknown["architecture"]
        for runtime in (None, "ollama", "transformers") if refused else (None,):
            verdict = check(
                str(path),
                Workload(runtime=runtime, private=True),
                machine=load("aws-m7i.2xlarge").machine,
            )
            assert (verdict.route, verdict.exit_code) == (
                ("neither", 1) if refused else ("unknown", 3)
            )
            (found,) = [
                one for one in verdict.findings if one.outcome == ("fail" if refused else "unknown")
            ]
            assert found.check == ("runtime" if refused else "memory")
            assert why in found.reason
            assert not refused or (
                found.code == "runtime-cannot-load" and "--runtime" not in str(found.remedy)
            )


@pytest.mark.parametrize("key", ["context_length", "embedding_length", "block_count"])
def test_a_header_without_a_key_that_llamacpp_needs_is_damaged(key: str, tmp_path: Path) -> None:
    """llama_model_base::load_hparams gets these without a default: "key not found in model"."""
    model = measured()["mistral-7b-v0.3"]
    keys = metadata("x", model)
    del keys[f"llama.{key}"]
    assert f"no llama.{key}" in problem(write(tmp_path / "x.gguf", *gguf(keys, placed(model))))


@pytest.mark.parametrize(
    ("name", "lacking", "told"),
    [
        (
            "mistral-7b-v0.3",
            ("blk.31.attn_output.", "blk.31.attn_q.", "blk.31.attn_k.", "blk.31.attn_v."),
            "blk.31.attn_q.weight",
        ),
        ("mistral-7b-v0.3", ("blk.31.ffn_",), "blk.31.ffn_down.weight"),
        (
            "mistral-7b-v0.3",
            ("blk.31.ffn_down.", "blk.31.ffn_up.", "blk.31.ffn_norm."),
            "blk.31.ffn_down.weight",
        ),
        ("qwen3.5-122b-a10b", ("blk.47.ffn_",), "blk.47.ffn_down.weight"),
        ("jamba-large-1.5", ("blk.4.attn_",), "blk.4.attn_q.weight"),
    ],
)
def test_a_block_that_lost_its_last_tensors_is_damaged(
    name: str, lacking: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    """A block without attention or feed-forward is whole only where the header says so: llama.cpp stops at the first missing tensor."""
    model = measured()[name]
    left = [one for one in placed(model) if not one[0].startswith(lacking)]
    assert len(left) < len(placed(model))
    assert f"no tensor {told}" in problem(
        write(tmp_path / "x.gguf", *gguf(metadata(name, model), left))
    )


@pytest.mark.parametrize(
    ("name", "lacking"),
    [("mistral-7b-v0.3", "blk.31.attn_v.weight"), ("olmo-2-7b-instruct", "output_norm.weight")],
)
def test_a_tensor_that_only_some_architectures_do_without_is_missed_in_the_others(
    name: str, lacking: str, tmp_path: Path
) -> None:
    """Only Gemma 4 takes values from keys, and none does without the last norm (src/models)."""
    model = measured()[name]
    left = [one for one in placed(model) if one[0] != lacking]
    spec = read_local(write(tmp_path / "x.gguf", *gguf(metadata(name, model), left)), ROWS).spec
    assert spec.architecture is None
    assert f"no tensor {lacking.removesuffix('.weight')}" in spec.unknown["architecture"]


def test_a_block_beyond_their_number_is_a_damaged_file(tmp_path: Path) -> None:
    """Two blocks in the header, 32 in the file: llama.cpp's done_getting_tensors counts the others and stops."""
    model = measured()["mistral-7b-v0.3"]
    found = problem(
        write(
            tmp_path / "x.gguf",
            *gguf(metadata("x", model) | {"llama.block_count": 2}, placed(model)),
        )
    )
    assert "has a block 31, and says that it has 2 blocks" in found


def test_a_window_of_unknown_layers_leaves_the_cache_unknown(tmp_path: Path) -> None:
    """No guess: where the header has a window and nobody says in which layers, the architecture is unknown and the size is not."""
    model = {**measured()["mistral-7b-v0.3"], "architecture": "brandnew"}
    path = write(
        tmp_path / "x.gguf",
        *gguf(metadata("x", model) | {"brandnew.attention.sliding_window": 1024}, placed(model)),
    )
    local = read_local(path, ROWS)
    assert local.spec.architecture is None
    assert "window" in local.spec.unknown["architecture"]
    assert local.spec.files[0].bytes == {"F16": path.stat().st_size}
    assert again(local.spec) == local.spec.replace(tensors=())


def test_a_tensor_of_a_type_that_nobody_loads_makes_the_model_unknown(tmp_path: Path) -> None:
    """ggml.h of 2026 ends at 42: llama.cpp's gguf.cpp refuses a file with another, and a newer one may not."""
    header, size = gguf(
        metadata("x", measured()["llama-3.2-1b"]), placed(measured()["llama-3.2-1b"])
    )
    name = text("output_norm.weight")
    place = header.index(name) + len(name) + 4 + 8
    assert header[place : place + 4] == struct.pack("<I", 0)
    path = write(
        tmp_path / "x.gguf", header[:place] + struct.pack("<I", 250) + header[place + 4 :], size
    )
    spec = read_local(path, ROWS).spec
    assert spec.architecture is None
    assert "type 250" in spec.unknown["architecture"]


def test_a_block_without_a_tensor_is_a_damaged_file(tmp_path: Path) -> None:
    """llama.cpp looks for every tensor of every block and stops at the first that is not there."""
    model = measured()["mistral-7b-v0.3"]
    tensors = [one for one in placed(model) if not one[0].startswith(("blk.2.", "blk.7."))]
    found = problem(write(tmp_path / "x.gguf", *gguf(metadata("x", model), tensors)))
    assert "no tensor of block 2, 7" in found


def test_an_array_of_another_length_than_there_are_blocks_is_refused(tmp_path: Path) -> None:
    """llama.cpp's get_key_or_arr: "has wrong array length". Releases differ in what they do with a window's pattern."""
    model = measured()["mistral-7b-v0.3"]
    keys = metadata("x", model)
    for key, usual in (
        ("attention.head_count", 32),
        ("attention.head_count_kv", 8),
        ("feed_forward_length", 14336),
    ):
        for number in (31, 33, 5000):
            path = write(
                tmp_path / "x.gguf", *gguf(keys | {f"llama.{key}": [usual] * number}, placed(model))
            )
            assert f"llama.{key} lists {number:,} numbers, and there are 32 blocks" in problem(path)
        whole = write(
            tmp_path / "x.gguf", *gguf(keys | {f"llama.{key}": [usual] * 32}, placed(model))
        )
        assert (
            read_local(whole, ROWS).spec.architecture
            == read_local(make(tmp_path, "mistral-7b-v0.3"), ROWS).spec.architecture
        )
    for number in (31, 33, 5000):
        window = {
            "llama.attention.sliding_window": 1024,
            "llama.attention.sliding_window_pattern": [True] * number,
        }
        spec = read_local(
            write(tmp_path / "x.gguf", *gguf(keys | window, placed(model))), ROWS
        ).spec
        assert spec.architecture is None
        assert (
            f"sliding_window_pattern lists {number:,} layers, and there are 32"
            in spec.unknown["architecture"]
        )


def test_three_sections_of_the_rotation_are_ollamas(tmp_path: Path) -> None:
    """llama.cpp: "key qwen35.rope.dimension_sections has wrong array length; expected 4, got 3"; Ollama runs the files that it wrote so."""
    model = measured()["qwen3.5-0.8b"]
    keys = metadata("x", model)
    assert (
        read_local(write(tmp_path / "x.gguf", *gguf(keys, placed(model))), ROWS).spec.architecture
        is not None
    )
    path = write(
        tmp_path / "x.gguf",
        *gguf(keys | {"qwen35.rope.dimension_sections": [11, 11, 10]}, placed(model)),
    )
    assert "llama.cpp wants 4" in read_local(path, ROWS).spec.unknown["architecture"]


def test_experts_used_may_be_listed_by_block(tmp_path: Path) -> None:
    """llama.cpp 0c1e570 reads expert_used_count with get_key_or_arr; where the blocks differ the model is unknown, not damaged."""
    model = measured()["lfm2-8b-a1b"]
    keys, name = metadata("x", model), "lfm2moe.expert_used_count"
    used, blocks = keys[name], 24
    whole = write(tmp_path / "x.gguf", *gguf(keys | {name: [used] * blocks}, placed(model)))
    assert (
        read_local(whole, ROWS).spec.architecture
        == read_local(make(tmp_path, "lfm2-8b-a1b"), ROWS).spec.architecture
    )
    path = write(
        tmp_path / "x.gguf", *gguf(keys | {name: [used] * (blocks - 1) + [1]}, placed(model))
    )
    assert "another number in each block" in read_local(path, ROWS).spec.unknown["architecture"]


def test_keys_that_contradict_the_tensors_are_not_believed(tmp_path: Path) -> None:
    """Four KV heads in a header whose key matrices have eight: unknown, not exact."""
    model = measured()["mistral-7b-v0.3"]
    path = write(
        tmp_path / "x.gguf",
        *gguf(metadata("x", model) | {"llama.attention.head_count_kv": 4}, placed(model)),
    )
    spec = read_local(path, ROWS).spec
    assert spec.architecture is None
    assert "attn_k" in spec.unknown["architecture"]


@pytest.mark.parametrize("name", ["mistral-7b-v0.3", "qwen-7b", "falcon-h1-0.5b-instruct"])
def test_a_feed_forward_of_another_length_than_its_header_says_is_refused(
    name: str, tmp_path: Path
) -> None:
    """As llama.cpp refuses a tensor of another shape than it made; it makes that of the first Qwen half as long as the header says."""
    model = measured()[name]
    key = f"{model['architecture']}.feed_forward_length"
    assert read_local(make(tmp_path, name), ROWS).spec.architecture is not None
    assert "ffn_down.weight is" in problem(
        write(tmp_path / "x.gguf", *gguf(metadata("x", model) | {key: 96}, placed(model)))
    )


def test_old_deepseek_files_cache_every_head(tmp_path: Path) -> None:
    """Files without the _mla keys (before April 2025) have no latent cache: llama.cpp unpacks keys and values of all heads."""
    model = measured()["deepseek-v2-lite"]
    keys = metadata("x", model)
    for key in ("attention.key_length_mla", "attention.value_length_mla"):
        del keys[f"deepseek2.{key}"]
    keys |= {
        "deepseek2.attention.head_count_kv": 16,
        "deepseek2.attention.key_length": 192,
        "deepseek2.attention.value_length": 128,
    }
    tensors = [
        tensor
        for tensor in placed(model)
        if not tensor[0].endswith(("attn_k_b.weight", "attn_v_b.weight"))
    ]
    tensors += [(f"blk.{layer}.attn_kv_b.weight", [512, 4096], "F16") for layer in range(27)]
    architecture = read_local(
        write(tmp_path / "x.gguf", *gguf(keys, tensors)), ROWS
    ).spec.architecture
    assert architecture is not None
    assert not architecture.tensors
    (group,) = cache_groups(architecture, None)
    assert (group.key_elements, group.value_elements) == (16 * 192, 16 * 128)


@pytest.mark.parametrize(
    ("stated", "types", "quantization", "noted"),
    [
        (15, {"Q4_K", "Q6_K"}, "Q4_K_M", False),
        (None, {"Q4_K", "Q6_K"}, "Q4_K_M", False),
        (None, {"Q4_K"}, "Q4_K_S", False),
        (15 + 1024, {"Q4_K", "Q6_K"}, "Q4_K_M", False),
        (15, {"Q8_0"}, "Q8_0", True),
        (999, {"Q8_0"}, "Q8_0", True),
    ],
)
def test_quantization_by_file_type_and_tensors(
    stated: int | None, types: set[str], quantization: str, noted: bool, tmp_path: Path
) -> None:
    """The file type names the quantization; where tensors contradict it they win, and the answer says so."""
    model = measured()["mistral-7b-v0.3"]
    keys = metadata("x", model)
    del keys["general.file_type"]
    if stated is not None:
        keys["general.file_type"] = stated
    base, better = (
        min(types, key=lambda type: TYPES[type][2] / TYPES[type][1]),
        max(types, key=lambda type: TYPES[type][2] / TYPES[type][1]),
    )
    tensors = [
        (name, shape, type if len(shape) == 1 else better if "ffn_down" in name else base)
        for name, shape, type in placed(model)
    ]
    local = read_local(write(tmp_path / "x.gguf", *gguf(keys, tensors)), ROWS)
    assert local.quantization == quantization
    assert any("Q4_K_M" in note or "999" in note for note in local.notes) is noted


def split(folder: Path, parts: int) -> list[Path]:
    model = measured()["llama-3.2-1b"]
    tensors = placed(model)
    made = []
    for number in range(parts):
        mine = tensors[number::parts]
        keys: dict[str, object] = {
            "split.no": number,
            "split.count": parts,
            "split.tensors.count": len(tensors),
        }
        if number == 0:
            keys = metadata("llama-3.2-1b", model) | keys
        made.append(
            write(folder / f"llama-{number + 1:05d}-of-{parts:05d}.gguf", *gguf(keys, mine))
        )
    return made


def test_the_parts_of_a_split_file_are_one_model(tmp_path: Path) -> None:
    """Any part names the model; sizes add up."""
    parts = split(tmp_path, 3)
    whole = read_local(parts[0], ROWS)
    assert whole.spec.parameters.total == 1_235_814_400
    assert whole.spec.files[0].bytes == {"F16": sum(part.stat().st_size for part in parts)}
    for path in (*parts, tmp_path):
        local = read_local(path, ROWS)
        assert local.spec.architecture == whole.spec.architecture
        assert local.spec.files[0].bytes == whole.spec.files[0].bytes


def test_a_split_file_is_run_by_its_first_part(tmp_path: Path) -> None:
    """llama.cpp takes no other: "illegal split file idx" (src/llama-model-loader.cpp)."""
    parts = split(tmp_path, 3)
    for part in parts:
        verdict = check(
            part,
            Workload(runtime="llama.cpp", min_tokens_per_second=0),
            machine=load("aws-m7i.2xlarge").machine,
        )
        (command,) = verdict.commands
        assert f"-m {parts[0]} " in command


def test_a_spec_made_of_a_file_that_lies_here_names_it(tmp_path: Path) -> None:
    """Such a spec states a model to download; the file that its size was read from needs no download, and is judged by its path."""
    file = make(tmp_path, "olmo-2-1b-instruct")
    made = tmp_path / "mine.toml"
    made.write_text(spec_text(read_local(file, ROWS).spec), encoding="utf-8")
    assert any(
        f"`selfhost check {file}`" in note for note in check(made, machine=WITHOUT_GPU).notes
    )
    file.unlink()
    assert not any("selfhost check" in note for note in check(made, machine=WITHOUT_GPU).notes)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    """Which file to download is said; so is a part whose name does not say which it is, and one of another model."""
    parts = split(tmp_path, 3)
    parts[1].unlink()
    assert "llama-00002-of-00003.gguf" in problem(parts[0])
    assert "llama-00002-of-00003.gguf" in problem(tmp_path)
    alone = parts[0].rename(tmp_path / "renamed.gguf")
    assert "one part of 3" in problem(alone)


def test_tensors_of_another_model_among_the_parts(tmp_path: Path) -> None:
    """Parts whose tensors do not add up to what the first one promises are two models."""
    parts = split(tmp_path, 3)
    parts[1].write_bytes(parts[2].read_bytes())
    assert "parts" in problem(parts[0])


@pytest.mark.parametrize("missing", [1, 1000, 10_000_000])
def test_a_download_that_stopped_says_how_much_is_missing(missing: int, tmp_path: Path) -> None:
    """The number of missing bytes, for the file may look whole in a listing."""
    path = make(tmp_path, "llama-3.2-1b")
    size = path.stat().st_size
    os.truncate(path, size - missing)
    found = problem(path)
    assert f"{missing:,} of its {size:,} bytes are missing" in found


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a volume that is RAM")
def test_a_file_on_a_volume_that_is_ram_is_known_as_such(tmp_path: Path) -> None:
    """Named there, through a link or with the folder it lies in: /proc/mounts says that /dev/shm is a tmpfs."""
    kinds = {
        line.split()[1]: line.split()[2] for line in Path("/proc/mounts").read_text().splitlines()
    }
    if kinds.get("/dev/shm") != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = make(Path(folder), next(iter(measured())))
        (tmp_path / "link.gguf").symlink_to(file)
        for path in (file, tmp_path / "link.gguf", Path(folder)):
            assert read_local(path, ROWS).in_memory, path
        shutil.move(file, tmp_path / "moved.gguf")
    on_disk = not any(
        str(tmp_path).startswith(point)
        for point, kind in kinds.items()
        if kind == "tmpfs" and point != "/"
    )
    assert read_local(tmp_path / "moved.gguf", ROWS).in_memory is not on_disk


def test_bytes_after_the_last_tensor_do_no_harm(tmp_path: Path) -> None:
    """Published files end in padding or do not."""
    path = make(tmp_path, "llama-3.2-1b")
    os.truncate(path, path.stat().st_size + 31)
    assert read_local(path, ROWS).spec.architecture is not None


_HEAD = b"GGUF" + struct.pack("<I", 3)
_BROKEN = {
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1),
    "big-endian GGUF": b"FUGG" + struct.pack(">IQQ", 3, 1, 1),
    "version 1": b"GGUF" + struct.pack("<III", 1, 1, 1) + bytes(16),
    "version 77": b"GGUF" + struct.pack("<IQQ", 77, 1, 1),
    "tensors": _HEAD + struct.pack("<QQ", 2**63, 0),
    "keys": _HEAD + struct.pack("<QQ", 0, 2**63),
    "key of": _HEAD + struct.pack("<QQQ", 0, 1, 2**62),
    "unknown type 99": _HEAD
    + struct.pack("<QQ", 0, 1)
    + text("a")
    + struct.pack("<I", 99)
    + bytes(99),
    "list of lists": _HEAD
    + struct.pack("<QQ", 0, 1)
    + text("a")
    + struct.pack("<IIQ", 9, 9, 1)
    + bytes(99),
    "claims to list": _HEAD
    + struct.pack("<QQ", 0, 1)
    + text("a")
    + struct.pack("<IIQ", 9, 8, 2**60)
    + bytes(99),
    "ends inside its header": _HEAD
    + struct.pack("<QQ", 0, 1)
    + text("a")
    + struct.pack("<IIQ", 9, 4, 2**60)
    + bytes(99),
    "twice": _HEAD + struct.pack("<QQ", 0, 2) + 2 * (text("a") + value(1)),
    "general.alignment": _HEAD + struct.pack("<QQ", 0, 1) + text("general.alignment") + value(33),
    "dimensions": _HEAD + struct.pack("<QQ", 1, 0) + text("t") + struct.pack("<I", 5) + bytes(99),
    "shape 0": _HEAD
    + struct.pack("<QQ", 1, 0)
    + text("t")
    + struct.pack("<IQIQ", 1, 0, 0, 0)
    + bytes(99),
    "shape 18446744073709551615": _HEAD
    + struct.pack("<QQ", 1, 0)
    + text("t")
    + struct.pack("<IQIQ", 1, 2**64 - 1, 0, 0)
    + bytes(99),
    "cannot be Q4_K": _HEAD
    + struct.pack("<QQ", 1, 0)
    + text("t")
    + struct.pack("<IQIQ", 1, 31, 12, 0)
    + bytes(99),
    "Q4_0_4_4": _HEAD
    + struct.pack("<QQ", 1, 0)
    + text("t")
    + struct.pack("<IQIQ", 1, 32, 31, 0)
    + bytes(99),
    "download the model in Q4_0:": _HEAD
    + struct.pack("<QQ", 1, 0)
    + text("t")
    + struct.pack("<IQIQ", 1, 32, 33, 0)
    + bytes(99),
    "begins 64": _HEAD
    + struct.pack("<QQ", 1, 0)
    + text("t")
    + struct.pack("<IQIQ", 1, 32, 0, 64)
    + bytes(999),
    "architecture is missing": gguf({"general.name": "x"}, [("t", [32], "F32")])[0] + bytes(128),
    "holds no weights": gguf({"general.architecture": "llama"}, [])[0],
    "LoRA adapter": gguf(
        {"general.architecture": "llama", "general.type": "adapter"}, [("t", [32], "F32")]
    )[0]
    + bytes(128),
    "projector": gguf({"general.architecture": "clip"}, [("t", [32], "F32")])[0] + bytes(128),
    "importance matrix": gguf(
        {"general.type": "imatrix", "general.architecture": "llama"}, [("t", [32], "F32")]
    )[0]
    + bytes(128),
    "no whole number": gguf(
        {"general.architecture": "llama", "llama.block_count": "many"}, [("t", [32], "F32")]
    )[0]
    + bytes(128),
    "5,000 layers": gguf(
        {"general.architecture": "llama", "llama.block_count": 5000}, [("t", [32], "F32")]
    )[0]
    + bytes(128),
}


@pytest.mark.parametrize("says", _BROKEN)
def test_a_damaged_or_hostile_gguf_header(says: str, tmp_path: Path) -> None:
    """Each fault has its own sentence, whatever sizes the header claims."""
    path = tmp_path / "x.gguf"
    path.write_bytes(_BROKEN[says])
    assert says.removesuffix(" 0") in problem(path)


def test_a_header_without_end_stops_at_the_limit(tmp_path: Path) -> None:
    """A sparse file that claims a text of almost its whole size is not read to its end."""
    path = tmp_path / "x.gguf"
    start = (
        _HEAD + struct.pack("<QQ", 0, 2) + text("a") + struct.pack("<IQ", 8, MAX_HEADER_BYTES + 10)
    )
    write(path, start, 2 * MAX_HEADER_BYTES)
    assert "header of more than" in problem(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_mutation_of_a_gguf_header_is_a_traceback(data: st.DataObject, tmp_path: Path) -> None:
    """Whatever bytes are changed, added, or cut: a spec or a `SpecError`."""
    name = data.draw(
        st.sampled_from(
            [
                "llama-3.2-1b",
                "qwen3.5-0.8b",
                "gemma-3n-e2b-it",
                "deepseek-v2-lite",
                "lfm2-1.2b",
                "jamba-large-1.5",
            ]
        )
    )
    header, size = header_of(name)
    bytes_ = bytearray(header)
    for _ in range(data.draw(st.integers(0, 4))):
        # the first kilobytes hold counts and keys: most of what can go wrong
        place = data.draw(st.integers(0, len(bytes_) - 9) | st.integers(0, 3000))
        bytes_[place : place + data.draw(st.integers(0, 8))] = data.draw(
            st.binary(max_size=8)
            | st.sampled_from(
                [b"\xff" * 8, bytes(8), struct.pack("<Q", 2**62), struct.pack("<I", 0)]
            )
        )
    cut = data.draw(st.none() | st.integers(0, len(bytes_)))
    path = tmp_path / "x.gguf"
    write(path, bytes(bytes_[:cut]), size if cut is None else min(cut, size))
    reads_or_refuses(path)


@cache
def header_of(name: str) -> tuple[bytes, int]:
    model = measured()[name]
    return gguf(metadata(name, model), placed(model))


@pytest.mark.parametrize("model", ["minimax-m3", "glm-5.3", "deepseek-v3.2"])
def test_layers_with_an_indexer_are_those_that_hold_its_tensors(model: str, tmp_path: Path) -> None:
    """Of MiniMax M3 the first three layers have none, of GLM 5.3 three in four, as in the catalogue, whose caches were measured."""
    architecture = Catalogue.open().spec(model).architecture
    assert architecture is not None
    row = row_of(architecture, ROWS)
    assert row is not None
    heads = architecture.attention[0]
    indexed = next(group for group in architecture.attention if group.indexer_heads)
    keys: dict[str, object] = {
        "block_count": architecture.layers + (architecture.mtp_layers or 0),
        "nextn_predict_layers": architecture.mtp_layers or 0,
        "embedding_length": architecture.embedding_length,
        "context_length": architecture.context_tokens,
        "attention.head_count": heads.heads,
        "attention.head_count_kv": 1 if heads.latent_length else heads.kv_heads,
        "attention.indexer.head_count": indexed.indexer_heads,
        "attention.indexer.key_length": indexed.indexer_length,
        "expert_count": architecture.feed_forward[-1].experts,
        "expert_used_count": architecture.feed_forward[-1].used,
    }
    if heads.latent_length and heads.rope_length:
        keys |= {
            "attention.kv_lora_rank": heads.latent_length,
            "attention.q_lora_rank": heads.query_latent_length,
            "attention.key_length_mla": heads.key_length + heads.rope_length,
            "attention.value_length_mla": heads.value_length,
            "rope.dimension_count": heads.rope_length,
        }
    else:
        keys |= {
            "attention.key_length": heads.key_length,
            "attention.value_length": heads.value_length,
        }
    tensors = [
        (
            group.name if layer is None else group.name.replace("*", str(layer)),
            list(group.shape),
            "F16",
        )
        for group in gguf_tensors(architecture, row)
        for layer in group.layers or (None,)
    ]
    name = architecture.row
    header = {
        "general.architecture": name,
        "general.file_type": 1,
        **{f"{name}.{key}": item for key, item in keys.items()},
    }
    read = read_local(
        write(tmp_path / "model.gguf", *gguf(header, tensors)), ROWS
    ).spec.architecture
    assert read is not None

    def indexers(of: Architecture) -> dict[int, tuple[int | None, int | None]]:
        return {
            layer: (group.indexer_heads, group.indexer_length)
            for group in of.attention
            for layer in group.layers
        }

    assert indexers(read) == indexers(architecture)


# ------------------------------------------------------------------ config.json


def configs() -> list[dict[str, Any]]:
    found = json.loads((HEADERS / "configs.json").read_text(encoding="utf-8"))["files"]
    assert isinstance(found, list)
    return found


# of what the published facts say of a model, what does not follow from its config.json, and why
_NO_LANGUAGE_MODEL = {"sudo-ai--zero123plus-v1.1.json", "preset--mlc-rwkv5_3b.json"}
_OTHER_TOTAL = {
    # tie_word_embeddings is false in the file; the published checkpoint has no output matrix
    "Qwen--Qwen3-Embedding-8B.json": 0.09,
}


@pytest.mark.parametrize("entry", configs(), ids=lambda entry: str(entry["file"]))
def test_a_published_config_gives_its_facts(entry: Mapping[str, Any]) -> None:
    """Layers, caches, states and parameters equal what is published of the model, or the spec says why they are unknown."""
    path = HEADERS / "configs" / entry["file"]
    if entry["file"] in _NO_LANGUAGE_MODEL:
        found = said(path)
        assert found.startswith("unknown: ") or "no language model" in found
        return
    local = read_local(path, ROWS)
    spec = local.spec
    assert not local.files_here
    assert again(spec) == spec
    architecture = spec.architecture
    assert architecture is not None, spec.unknown
    expected = entry["expected"]
    if expected is None:
        return
    assert architecture.layers == expected["layers"]
    groups = cache_groups(architecture, row_of(architecture, ROWS))
    if expected["kv_layers_full"] is not None:
        assert (
            sum(group.layers for group in groups if group.window_tokens is None)
            == expected["kv_layers_full"]
        )
        assert (
            sum(group.layers for group in groups if group.window_tokens is not None)
            == expected["kv_layers_windowed"]
        )
    if expected["kv_bytes_per_token_f16_unwindowed"] is not None:
        elements = sum(
            group.layers * (group.key_elements + group.value_elements) for group in groups
        )
        assert 2 * elements == expected["kv_bytes_per_token_f16_unwindowed"]
    if expected["recurrent_layers"] is not None:
        assert sum(state.layers for state in states(architecture)) == expected["recurrent_layers"]
    total, published = spec.parameters.total, expected["total_parameters"]
    if total is None:
        assert spec.unknown["parameters.total"]
    elif published is not None:
        assert total == pytest.approx(published, rel=_OTHER_TOTAL.get(entry["file"], 0.005))


@pytest.mark.parametrize(
    ("changes", "index_bytes"),
    [
        # tiiuae/falcon-180B-chat, tiiuae/falcon-40b: total_size of the indexes of their weights, in bfloat16
        pytest.param({}, 359_045_130_240, id="180B"),
        pytest.param(
            {"hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128},
            83_671_941_120,
            id="40b",
        ),
        # a file that says so is believed: one matrix of 65,024 rows less
        pytest.param(
            {"tie_word_embeddings": True},
            359_045_130_240 - 2 * 65_024 * 14_848,
            id="tied by the file",
        ),
    ],
)
def test_files_of_falcon_hold_both_matrices(
    tmp_path: Path, changes: dict[str, Any], index_bytes: int
) -> None:
    """Its class ties where config.json says nothing, and the published files have an output matrix of their own."""
    values = {
        "alibi": False, "architectures": ["FalconForCausalLM"], "bias": False, "hidden_size": 14_848, "model_type": "falcon",
        "multi_query": True, "new_decoder_architecture": True, "num_attention_heads": 232, "num_hidden_layers": 80, "num_kv_heads": 8,
        "parallel_attn": True, "torch_dtype": "bfloat16", "vocab_size": 65_024,
    }  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(values | changes), encoding="utf-8")
    total = read_local(file, ROWS).spec.parameters.total
    assert total is not None
    assert 2 * total == index_bytes


def test_most_published_configs_are_understood_whole() -> None:
    """The rule that unknown is said must not become the usual answer: weights follow for three quarters of the language models."""
    whole = told = 0
    for entry in configs():
        if entry["file"] not in _NO_LANGUAGE_MODEL:
            architecture = read_local(HEADERS / "configs" / entry["file"], ROWS).spec.architecture
            told += 1
            whole += architecture is not None and row_of(architecture, ROWS) is not None
    assert whole / told > 0.75


def config(folder: Path, **changes: object) -> Path:
    """A config.json like that of Mistral 7B v0.3."""
    values = {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32768, "sliding_window": None,
        "max_position_embeddings": 32768, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values | changes), encoding="utf-8")
    return folder / "config.json"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model_type": "brandnew", "sliding_window": 512}, "sliding_window"),
        ({"layer_types": ["telepathic_attention"] * 32}, "telepathic_attention"),
        ({"kv_lora_rank_of_a_new_kind": 4}, "kv_lora_rank_of_a_new_kind"),
        # of a class that nobody knows every head may keep keys and values, or one in eight
        ({"model_type": "brandnew", "num_key_value_heads": None}, "num_key_value_heads"),
        ({"num_key_value_heads": [1, 2, 3]}, "num_key_value_heads"),
        ({"num_attention_heads": None}, "num_attention_heads"),
        ({"hidden_size": "wide"}, "hidden_size"),
        # transformers 5.23.0: "Field 'num_hidden_layers' expected int, got list", and so of bool and float
        ({"num_hidden_layers": [32]}, "num_hidden_layers is [32]"),
        ({"num_hidden_layers": 32.0}, "num_hidden_layers is 32.0"),
        ({"num_key_value_heads": True}, "num_key_value_heads is True"),
        ({"head_dim": [128, 128]}, "head_dim is [128, 128]"),
        ({"model_type": "albert", "inner_group_num": 1.0}, "inner_group_num"),
        ({"sliding_window": 4096.5}, "sliding_window is 4096.5"),
        ({"model_type": "bamba", "attn_layer_indices": 9}, "attn_layer_indices is 9"),
        ({"model_type": "lfm2", "full_attn_idxs": [2.5]}, "full_attn_idxs is [2.5]"),
        (
            {
                "model_type": "mimo_v2_flash",
                "sliding_window": 128,
                "hybrid_layer_pattern": [0, 0.5] * 16,
            },
            "hybrid_layer_pattern: 0.5",
        ),
        ({"layer_types": ["full_attention"] * 3}, "layer_types"),
        (
            {"sparse_attention_config": {"sparse_index_dim": 128, "sparse_num_index_heads": 4}},
            "sparse_index_dim",
        ),
    ],
)
def test_a_key_that_changes_the_cache_and_is_not_understood_is_named(
    changes: dict[str, object], key: str, tmp_path: Path
) -> None:
    """Never a guess: the architecture is unknown, with the key."""
    spec = read_local(config(tmp_path, **changes), ROWS).spec
    assert spec.architecture is None
    assert key in spec.unknown["architecture"]
    assert again(spec) == spec


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"intermediate_size": [14336.0] * 32}, "intermediate_size"),
        ({"model_type": "qwen3_moe", "num_experts": 8.0}, "num_experts is 8.0"),
        (
            {
                "model_type": "qwen3_moe",
                "num_experts": 8,
                "num_experts_per_tok": 2,
                "mlp_only_layers": 3,
            },
            "mlp_only_layers is 3",
        ),
        (
            {
                "model_type": "deepseek",
                "n_routed_experts": 8,
                "num_experts_per_tok": 2,
                "moe_layer_freq": True,
            },
            "moe_layer_freq is True",
        ),
        (
            {
                "model_type": "dots1",
                "n_routed_experts": 8,
                "num_experts_per_tok": 2,
                "moe_layer_freq": [1, 2] * 16,
            },
            "moe_layer_freq: 2",
        ),
    ],
)
def test_a_number_of_the_weights_that_is_none_is_named(
    changes: dict[str, object], key: str, tmp_path: Path
) -> None:
    """The cache is known all the same."""
    spec = read_local(config(tmp_path, **changes), ROWS).spec
    assert spec.architecture is not None
    assert key in spec.unknown["parameters.total"]


def test_a_number_of_the_quantization_that_is_none_is_named(tmp_path: Path) -> None:
    """Bits and groups too: 4.0 is no number of bits that a quantizer writes."""
    weights = {
        "type": "int",
        "num_bits": 4.0,
        "strategy": "group",
        "group_size": 128,
        "symmetric": True,
    }
    groups = {"group_0": {"weights": weights, "targets": ["Linear"]}}
    for own, told in (
        ({"quant_method": "gptq", "bits": 4.0, "group_size": 128}, "4.0"),
        ({"quant_method": "awq", "bits": 4, "group_size": True}, "True"),
        ({"quant_method": "fp8", "weight_block_size": [128.0, 128]}, "128.0"),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": groups,
            },
            "4.0",
        ),
    ):
        spec = read_local(config(tmp_path, quantization_config=own), ROWS).spec
        assert told in spec.unknown["architecture.matrix_dtype"]


def test_the_index_of_sparse_attention_is_counted_from_a_config() -> None:
    """MiniMax M3, whose first three layers have none: the cache that llama.cpp was measured to allocate (llamacpp_indexers.json)."""
    spec = read_local(HEADERS / "configs" / "MiniMaxAI--MiniMax-M3.json", ROWS).spec
    assert spec.architecture is not None
    assert not any("index" in key for key in spec.unknown)
    indexed = [group for group in spec.architecture.attention if group.indexer_heads]
    assert [(group.layers, group.indexer_heads, group.indexer_length) for group in indexed] == [
        (tuple(range(3, 60)), 4, 128)
    ]
    memory = needs_of(
        spec, Catalogue.open().runtime("llama.cpp"), Workload(context_tokens=4096), ROWS
    ).memory
    assert memory is not None
    assert next(term.bytes for term in memory.terms if term.name == "kv_cache") == 622_854_144


@pytest.mark.parametrize("runtime", ["llama.cpp", "transformers", None])
def test_a_config_without_a_key_is_unknown_and_not_unsupported(
    runtime: str | None, tmp_path: Path
) -> None:
    """Llama without vocab_size: llama.cpp knows the architecture, what is not known is the size; the key is named."""
    verdict = check(
        config(tmp_path, model_type="llama", vocab_size=None),
        Workload(runtime=runtime),
        machine=load("aws-m7i.2xlarge").machine,
    )
    assert verdict.route == "unknown"
    reasons = {finding.check: finding.reason for finding in verdict.findings}
    assert "vocab_size is missing" in reasons["memory"]
    assert "architecture" not in reasons["runtime"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"num_hidden_layers": 10**30}, "num_hidden_layers is 1000000"),
        ({"num_hidden_layers": 10**300}, "num_hidden_layers is inf"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"num_key_value_heads": 0}, "num_key_value_heads is 0"),
        ({"head_dim": 0}, "head_dim is 0"),
        ({"vocab_size": 0}, "vocab_size is 0"),
    ],
)
def test_a_value_that_no_model_has_is_told_as_it_stands(
    changes: dict[str, object], why: str, tmp_path: Path
) -> None:
    """A key that is there is not said to be missing, and its value not replaced by another."""
    spec = read_local(config(tmp_path, **changes), ROWS).spec
    assert spec.architecture is None
    assert why in spec.unknown["architecture"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tie_word_embeddings": "yes"}, 'tie_word_embeddings is "yes", neither true nor false'),
        ({"quantization_config": "int4"}, "quantization_config is no object"),
    ],
)
def test_a_value_of_another_kind_is_not_taken_for_none(
    changes: dict[str, object], why: str, tmp_path: Path
) -> None:
    """What a file says where it cannot be read is told; the size is then unknown, and not that of a file without the key."""
    verdict = check(
        config(tmp_path, **changes), Workload(runtime="transformers"), machine=WITHOUT_GPU
    )
    memory = verdict.finding("memory")
    assert memory is not None
    assert memory.outcome == "unknown"
    assert why in memory.reason


def test_latent_attention_without_its_rank_is_not_taken_for_plain_attention(tmp_path: Path) -> None:
    """DeepSeek-V2-Lite with `kv_lora_rank` null: its class has no other attention, so nothing of its cache follows."""
    published = json.loads(
        (HEADERS / "configs" / "deepseek-ai--DeepSeek-V2-Lite.json").read_text(encoding="utf-8")
    )
    file = tmp_path / "config.json"
    file.write_text(json.dumps(published | {"kv_lora_rank": None}), encoding="utf-8")
    spec = read_local(file, ROWS).spec
    assert spec.architecture is None
    assert "kv_lora_rank is null" in spec.unknown["architecture"]


def test_layers_share_a_cache_only_where_their_class_does(tmp_path: Path) -> None:
    """`num_kv_shared_layers` is a key of Gemma; the class of Mistral leaves it alone, and each of its layers keeps a cache."""
    made = read_local(config(tmp_path, num_kv_shared_layers=8), ROWS).spec.architecture
    assert made is not None
    assert sum(group.layers for group in cache_groups(made, row_of(made, ROWS))) == 32


# Gemma4TextConfig(num_hidden_layers=14).to_dict() of transformers 5.23.0, without what bears on neither weights nor cache
_GEMMA4_OF_14 = {
    "architectures": ["Gemma4ForCausalLM"], "model_type": "gemma4_text", "hidden_size": 2304, "intermediate_size": 9216,
    "num_hidden_layers": 14, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262144,
    "hidden_size_per_layer_input": 256, "max_position_embeddings": 131072, "sliding_window": 512, "tie_word_embeddings": True,
    "layer_types": ["full_attention" if number in (5, 11, 13) else "sliding_attention" for number in range(14)],
    "per_layer_config": {"05": {"head_dim": 512}, "11": {"head_dim": 512}, "13": {"head_dim": 512}},
}  # fmt: skip


def gemma4(folder: Path, **changes: object) -> Path:
    (folder / "config.json").write_text(json.dumps(_GEMMA4_OF_14 | changes), encoding="utf-8")
    return folder / "config.json"


@pytest.mark.parametrize(
    ("own", "elements", "parameters"),
    [
        (
            {"05": {"head_dim": 512}, "11": {"head_dim": 512}, "13": {"head_dim": 512}},
            11 * 2048 + 3 * 4096,
            2_700_911_104,
        ),
        # as one writes it by hand
        (
            {"5": {"head_dim": 512}, "11": {"head_dim": 512}, "13": {"head_dim": 512}},
            11 * 2048 + 3 * 4096,
            2_700_911_104,
        ),
        # Gemma4TextConfig(global_head_dim=256) writes that no layer has keys of its own
        ({}, 14 * 2048, 2_658_442_240),
    ],
)
def test_keys_of_single_layers_are_read_by_their_number(
    own: object, elements: int, parameters: int, tmp_path: Path
) -> None:
    """transformers pads the number of a layer to two digits where there are more than ten: the parameters of its class, and the keys
    and values that its cache holds of a token."""
    read = read_config(str(gemma4(tmp_path, per_layer_config=own)), ROWS)
    made = read.spec.architecture
    assert made is not None
    assert (
        sum(
            len(group.layers) * group.kv_heads * (group.key_length + group.value_length)
            for group in made.attention
        )
        == elements
    )
    assert read.language_parameters == parameters


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"05": {"quux": 3}}, "quux"),
        ({"05": {"skip": ["mlp"]}}, "skip"),
        # a shape of the model, and none of a layer
        ({"05": {"hidden_size": 1024}}, "hidden_size"),
        ({"05": {"head_dim": 512}, "5": {"head_dim": 128}}, '"5" is named twice'),
        ({"14": {"head_dim": 512}}, '"14" is no layer of the 14'),
        ({"-1": {"head_dim": 512}}, '"-1"'),
        ({"full_attention": {"head_dim": 512}}, '"full_attention"'),
        ({"05": 512}, '"05" is 512'),
        ([{"head_dim": 512}], "per_layer_config is"),
    ],
)
def test_keys_of_single_layers_that_are_not_understood_are_named(
    own: object, named: str, tmp_path: Path
) -> None:
    """A key that nothing of the layer is read by, or a layer that there is not: unknown, with the key."""
    spec = read_local(gemma4(tmp_path, per_layer_config=own), ROWS).spec
    assert spec.architecture is None
    assert "per_layer_config" in spec.unknown["architecture"]
    assert named in spec.unknown["architecture"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "convbert", "architectures": ["ConvBertModel"]}, "model_type: convbert"),
        ({"model_type": "mobilebert", "architectures": None}, "model_type: mobilebert"),
        (
            {"model_type": "brandbert", "architectures": ["BrandBertForMaskedLM"]},
            "architectures: BrandBertForMaskedLM",
        ),
        (
            {"model_type": "brandbert", "architectures": ["BrandBertModel"]},
            "architectures: BrandBertModel",
        ),
        # BertForMaskedLM of transformers has another matrix as large as the table of tokens then
        (
            {
                "model_type": "bert",
                "architectures": ["BertForMaskedLM"],
                "tie_word_embeddings": False,
            },
            "tie_word_embeddings",
        ),
        (
            {
                "model_type": "bert",
                "architectures": ["BertForMaskedLM"],
                "tie_word_embeddings": True,
            },
            None,
        ),
        # RemBertForCausalLM of transformers keeps a cache where the encoder RemBertModel keeps none
        (
            {"model_type": "rembert", "architectures": ["RemBertForCausalLM"], "is_decoder": True},
            "is_decoder",
        ),
        # these write text
        (
            {
                "model_type": "roformer",
                "architectures": ["RoFormerForCausalLM"],
                "is_decoder": True,
            },
            None,
        ),
        ({"model_type": "brandnew", "architectures": ["BrandNewForCausalLM"]}, None),
        (
            {
                "model_type": "brandnew",
                "architectures": ["BrandNewModel"],
                "auto_map": {"AutoModelForCausalLM": "x.Brand"},
            },
            None,
        ),
    ],
)
def test_what_may_be_an_encoder_or_more_is_not_told(
    changes: dict[str, object], named: str | None, tmp_path: Path
) -> None:
    """An encoder keeps nothing of its context: of a model type without a row a cache is told where it writes text, else its key. So is
    the key of an encoder that is more than that."""
    spec = read_local(config(tmp_path, **changes), ROWS).spec
    assert (spec.architecture is None) is (named is not None)
    assert named is None or named in spec.unknown["architecture"]


@pytest.mark.parametrize(
    ("kind", "inner", "outer", "matrices"),
    [
        ("qwen2_5_vl", True, False, 1), ("qwen3_vl", True, False, 2), ("qwen3_vl", True, True, 1), ("qwen3_vl", False, False, 2),
        # transformers ties them unless the published files have a matrix of its own
        ("qwen3_vl", False, True, None), ("qwen2_5_vl", False, True, None),
        # of a class that transformers does not have
        ("kimi_vl", True, False, None),
    ],
)  # fmt: skip
def test_an_output_matrix_that_two_parts_of_a_file_disagree_on(
    kind: str, inner: bool, outer: bool, matrices: int | None, tmp_path: Path
) -> None:
    """tie_word_embeddings beside text_config and in it: the parameters are those of transformers' class, or are unknown."""
    text = {
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 128, "tie_word_embeddings": inner,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"model_type": kind, "tie_word_embeddings": outer, "text_config": text}),
        encoding="utf-8",
    )
    found = read_config(str(path), ROWS)
    layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64
    assert found.language_parameters == (
        None if matrices is None else matrices * 64_000 + 2 * layer + 64
    )
    assert matrices is not None or "tie_word_embeddings" in found.spec.unknown["parameters.total"]


# config.json of meituan-longcat/LongCat-Flash-Chat
_LONGCAT = {
    "architectures": ["LongcatFlashForCausalLM"], "model_type": "longcat_flash", "hidden_size": 6144, "num_layers": 28,
    "num_attention_heads": 64, "ffn_hidden_size": 12288, "expert_ffn_hidden_size": 2048, "q_lora_rank": 1536, "kv_lora_rank": 512,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 512, "moe_topk": 12, "zero_expert_num": 256,
    "zero_expert_type": "identity", "vocab_size": 131072, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "layers"),
    [
        # modeling_longcat_flash.py: LongcatFlashDecoderLayer has self_attn[0] and self_attn[1], at 2 × layer_idx and the next of the cache
        ({}, 56),
        # LongcatFlashConfig: num_hidden_layers is 2 × num_layers
        ({"num_layers": None, "num_hidden_layers": 12}, 12),
        ({"num_hidden_layers": 56}, 56),
        ({"num_hidden_layers": 28}, None),
        ({"model_type": "longcat_of_a_new_kind"}, None),
    ],
)
def test_each_layer_of_longcat_attends_twice(
    changes: dict[str, object], layers: int | None, tmp_path: Path
) -> None:
    """What each of both keeps of a token is counted; the weights, whose experts of no computation nobody reads, are not."""
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {key: value for key, value in (_LONGCAT | changes).items() if value is not None}
        ),
        encoding="utf-8",
    )
    spec = read_local(path, ROWS).spec
    assert spec.parameters.total is None
    if layers is None:
        assert spec.architecture is None
        return
    assert spec.architecture is not None
    assert sum(
        group.layers * group.key_elements for group in cache_groups(spec.architecture, None)
    ) == layers * (512 + 64)
    experts, dense = spec.architecture.feed_forward
    assert (experts.layers, experts.beside_dense, dense.layers) == (
        tuple(range(0, layers, 2)),
        12288,
        tuple(range(1, layers, 2)),
    )


def test_what_is_known_alone_may_be_too_much(tmp_path: Path) -> None:
    """A text part of hundreds of billions of parameters beside an encoder that nobody knows: too much for 24 GiB, however large that
    is; where a GPU may hold it, it stays unknown."""
    text = {
        "hidden_size": 4096,
        "num_hidden_layers": 400,
        "num_attention_heads": 32,
        "intermediate_size": 28672,
        "vocab_size": 32768,
    }
    path = config(
        tmp_path,
        **text,
        num_key_value_heads=8,
        model_type="mistral",
        vision_config={"model_type": "brand_new"},
    )
    small = WITHOUT_GPU.replace(
        memory_total_bytes=24 * 2**30,
        memory_limit_bytes=24 * 2**30,
        memory_available_bytes=23 * 2**30,
    )
    verdicts = [
        check(path, Workload(runtime="llama.cpp"), machine=machine)
        for machine in (small, WITHOUT_GPU)
    ]
    found = [verdict.finding("memory") for verdict in verdicts]
    assert [finding.outcome for finding in found if finding is not None] == ["fail", "unknown"]
    assert found[0] is not None
    assert "how much more is not known" in found[0].reason
    card = Accelerator(
        vendor="nvidia",
        name="GPU",
        memory_total_bytes=10**12,
        memory_free_bytes=10**12,
        unified=False,
    )
    beside = check(
        path, Workload(runtime="llama.cpp"), machine=small.replace(accelerators=(card,))
    ).finding("memory")
    assert beside is not None
    assert beside.outcome == "unknown"


@pytest.mark.parametrize("changes", [{"kv_compress_rate": 4}, {"sliding_window": 4096}])
def test_a_key_that_changes_the_cache_alone_leaves_the_weights(
    changes: dict[str, object], tmp_path: Path
) -> None:
    """Mistral 7B v0.3: 7,248,023,552 parameters in 16 bits, whatever each layer keeps; what it keeps is unknown, with the key."""
    path = config(tmp_path, model_type="llama", **changes)
    spec = read_local(path, ROWS).spec
    (key,) = changes
    assert spec.architecture is not None
    assert key in spec.unknown["architecture.attention"]
    assert again(spec) == spec
    shelf = Catalogue.open()
    for runtime in map(shelf.runtime, ("llama.cpp", "transformers")):
        needs = needs_of(spec, runtime, Workload(), ROWS)
        assert needs.memory is None
        assert [(entry.fact, key in entry.reason) for entry in needs.unknown] == [
            ("memory.kv_cache", True)
        ]
    assert needs.download_bytes == pytest.approx(2 * 7_248_023_552, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "id", "cache_bytes", "missing"),
    [
        # 10 layers of 4,096 tokens and 52 of 1,536 cells (window 1,024 and a batch of 512); 16 heads of 128, keys and values in 16 bits
        (
            "google--gemma-3-27b-it.json",
            "llama.cpp",
            (10 * 4096 + 52 * 1536) * 16 * 128 * 2 * 2,
            "memory.projector",
        ),
        (
            "google--gemma-3-27b-it.json",
            "transformers",
            62 * 4096 * 16 * 128 * 2 * 2,
            "memory.weights",
        ),
        # 16 of 64 layers attend
        ("Qwen--Qwen3.5-27B.json", "vllm", 16 * 4096 * 4 * 256 * 2 * 2, "memory.weights"),
    ],
)
def test_what_is_known_of_an_unknown_memory_is_told(
    name: str, id: str, cache_bytes: int, missing: str, tmp_path: Path
) -> None:
    """Whoever lacks the encoder or the weights sees the cache all the same; the memory stays unknown, with the missing part named."""
    values = json.loads((HEADERS / "configs" / name).read_text(encoding="utf-8"))
    path = tmp_path / name
    path.write_text(json.dumps({**values, "vision_config": "of its own"}), encoding="utf-8")
    found = needs_of(
        read_local(path, ROWS).spec,
        Catalogue.open().runtime(id),
        Workload(context_tokens=4096),
        ROWS,
    )
    assert found.memory is None
    assert missing in {entry.fact for entry in found.unknown}
    terms = {term.name: term for term in found.known_terms}
    assert terms["kv_cache"].bytes == cache_bytes
    assert "runtime" in terms
    assert ("weights" in terms) == (missing != "memory.weights")


def test_a_convolution_that_remembers_nothing_is_no_traceback(tmp_path: Path) -> None:
    """A reduced Jamba on Hugging Face has mamba_d_conv 1: its state is the scan's alone, 4 × 4,096 floats for each of 3 layers."""
    path = config(
        tmp_path, model_type="jamba", hidden_size=2048, num_hidden_layers=4, num_attention_heads=8, attn_layer_period=4,
        attn_layer_offset=2, expert_layer_period=2, expert_layer_offset=1, num_experts=2, num_experts_per_tok=1, mamba_d_conv=1,
        mamba_d_state=4, mamba_expand=2, mamba_dt_rank=256, mamba_conv_bias=True, mamba_proj_bias=False,
    )  # fmt: skip
    needs = needs_of(
        read_local(path, ROWS).spec,
        Catalogue.open().runtime("llama.cpp"),
        Workload(context_tokens=2048),
        ROWS,
    )
    assert needs.memory is not None
    assert {term.name: term.bytes for term in needs.memory.terms}[
        "recurrent_state"
    ] == 3 * 4 * 4096 * 4


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        # Phi-2 under its first name, microsoft/phi-2 (model card: 2.7B); the published safetensors have 2,779,683,840
        (
            {"model_type": "mixformer-sequential", "n_embd": 2560, "n_layer": 32, "n_head": 32, "n_inner": None, "n_positions": 2048,
             "vocab_size": 51200, "hidden_size": None, "num_hidden_layers": None, "num_attention_heads": None, "intermediate_size": None,
             "num_key_value_heads": None, "max_position_embeddings": None},
            2_779_683_840,
        ),
        # Phi-3-small: Phi3SmallForCausalLM of its repository, as vllm/model_executor/models/phi3_small.py builds it, its output tied
        (
            {"model_type": "phi3small", "ff_intermediate_size": 14336, "intermediate_size": None, "vocab_size": 100352,
             "attention_bias": False, "tie_word_embeddings": None},
            100352 * 4096 + 2 * 4096 + 32 * (
                4096 * 6144 + 6144 + 4096 * 4096 + 4096 + 4096 * 28672 + 28672 + 14336 * 4096 + 4096 + 4 * 4096
            ),
        ),
        # gte-multilingual-base: NewModel of Alibaba-NLP/new-impl; its safetensors hold a classifier of tokens beside it, 768 + 1
        (
            {"model_type": "new", "architectures": ["NewModel"], "vocab_size": 250048, "hidden_size": 768, "num_hidden_layers": 12,
             "num_attention_heads": 12, "num_key_value_heads": None, "intermediate_size": 3072, "max_position_embeddings": 8192,
             "type_vocab_size": 1, "position_embedding_type": "rope", "layer_norm_type": "layer_norm", "pack_qkv": True},
            305_369_089 - 769,
        ),
        # gte-multilingual-reranker-base has a pooler too, and its classifier is as large; the safetensors' total less that
        (
            {"model_type": "new", "architectures": ["NewForSequenceClassification"], "vocab_size": 250048, "hidden_size": 768,
             "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": None, "intermediate_size": 3072,
             "max_position_embeddings": 8192, "type_vocab_size": 1, "position_embedding_type": "rope"},
            305_959_681 - 769,
        ),
        # snowflake-arctic-embed-m-v2.0: GteModel of its own code; the safetensors' total
        (
            {"model_type": "gte", "architectures": ["GteModel"], "vocab_size": 250048, "hidden_size": 768, "num_hidden_layers": 12,
             "num_attention_heads": 12, "num_key_value_heads": None, "intermediate_size": 3072, "max_position_embeddings": 8192,
             "type_vocab_size": 1, "position_embedding_type": "rope", "layer_norm_type": "layer_norm", "pack_qkv": True},
            305_368_320,
        ),
    ],
)  # fmt: skip
def test_models_with_code_of_their_own_are_counted(
    changes: dict[str, object], parameters: int, tmp_path: Path
) -> None:
    """Weights to the last number, though no class of transformers is named so."""
    spec = read_local(config(tmp_path, **changes), ROWS).spec
    assert spec.parameters.total == parameters


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # each holds a part of a word that elsewhere is harmless: _id(s), _attn_, is_, act, _bias, nope, _bias
        ("hybrid_layer_ids", [1, 3]), ("local_attn_chunk_length", 64), ("global_attn_indexes", [1]), ("is_hybrid", True),
        ("window_compact", 64), ("mamba_proj_bias", True), ("swa_nope_layers", [1]), ("conv_bias", True),
    ],
)  # fmt: skip
def test_a_key_is_harmless_for_a_whole_word_alone(key: str, value: object, tmp_path: Path) -> None:
    """A key of what a layer keeps that nobody reads is named, though a part of it is that of a key that changes nothing."""
    spec = read_local(config(tmp_path, **{key: value}), ROWS).spec
    assert any(key in why for why in spec.unknown.values())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # files of LFM2, DBRX, Kimi K3, Falcon H1, Nemotron H and NLLB-MoE, or every class of transformers, state these
        ("add_cross_attention", True), ("conv_use_xavier_init", True), ("moe_loss_weight", 0.01), ("moe_router_activation_func", "sigmoid"),
        ("ssm_in_multiplier", 1.25), ("mamba_ssm_cache_dtype", "float32"), ("chunk_size_feed_forward", 64), ("moe_token_dropout", 0.2),
        # of ERNIE 4.5: tokens that an expert takes at most while it is trained
        ("moe_capacity", [64, 64, 64]),
    ],
)  # fmt: skip
def test_a_key_of_training_or_of_numbers_changes_nothing(
    key: str, value: object, tmp_path: Path
) -> None:
    """Weights and cache are those of the file without it."""
    with_it, without = (
        read_local(config(tmp_path, **changes), ROWS).spec for changes in ({key: value}, {})
    )
    assert with_it.parameters.total == without.parameters.total is not None
    assert with_it.architecture == without.architecture


@pytest.mark.parametrize(
    ("name", "key", "value", "other"),
    [
        # each layer of MiniMax-M2 attends; of MiniMax-Text-01 those with a 1
        ("MiniMaxAI--MiniMax-M2.5.json", "attn_type_list", [1] * 62, [0, *[1] * 61]),
        # modeling_minicpm.py of openbmb/MiniCPM3-4B takes hidden_size / num_attention_heads
        ("openbmb--MiniCPM3-4B.json", "v_head_dim", 64, 128),
    ],
)
def test_a_key_of_a_published_file_that_changes_nothing(
    name: str, key: str, value: object, other: object, tmp_path: Path
) -> None:
    """The file with the key, as publishers write it, is the file without; another value is named where it would change something."""
    values = json.loads((HEADERS / "configs" / name).read_text(encoding="utf-8"))
    specs = []
    for made in (
        {**values, key: value},
        {own: item for own, item in values.items() if own != key},
        {**values, key: other},
    ):
        (tmp_path / "config.json").write_text(json.dumps(made), encoding="utf-8")
        specs.append(read_local(tmp_path / "config.json", ROWS).spec)
    assert specs[0] == specs[1]
    assert specs[0].parameters.total is not None
    assert any(key in why for why in specs[2].unknown.values())


@pytest.mark.parametrize(
    "changes", [{"position_embedding_type": "absolute"}, {"layer_norm_type": "rms_norm"}]
)
def test_a_gte_of_another_make_is_unknown(changes: dict[str, object], tmp_path: Path) -> None:
    """NewModel has a table of positions, or norms without a bias, where its file says so; no published model does."""
    spec = read_local(config(tmp_path, model_type="new", type_vocab_size=1, **changes), ROWS).spec
    assert next(iter(changes)) in spec.unknown["architecture"]


@pytest.mark.parametrize(
    "changes",
    [
        {"is_folding_model": True},
        {"position_embedding_type": "relative_key"},
        {"add_cross_attention": True},
    ],
)
def test_an_esm_that_does_more_is_unknown(changes: dict[str, object], tmp_path: Path) -> None:
    """ESMFold and a decoder have parts that no key of an encoder tells."""
    esm = {
        "model_type": "esm",
        "vocab_size": 33,
        "num_key_value_heads": None,
        "position_embedding_type": "rotary",
    }
    assert read_local(config(tmp_path, **esm), ROWS).spec.parameters.total is not None
    assert (
        next(iter(changes))
        in read_local(config(tmp_path, **(esm | changes)), ROWS).spec.unknown["architecture"]
    )


@pytest.mark.parametrize(
    ("kind", "layers", "hybrid"),
    [
        ("zamba", 12, (2, 7)), ("zamba", 76, (2, *range(7, 76, 6))),
        ("zamba2", 54, (6, 12, 18, 24, 30, 36, 42, 47, 51)), ("zamba2", 38, None),
    ],
)  # fmt: skip
def test_layers_of_a_zamba_that_the_file_does_not_list(
    kind: str, layers: int, hybrid: tuple[int, ...] | None, tmp_path: Path
) -> None:
    """ZambaConfig and Zamba2Config of transformers 5.23.0: of 54 layers of the second the list is known, of fewer none is."""
    spec = read_local(
        config(tmp_path, model_type=kind, num_hidden_layers=layers, num_attention_heads=16), ROWS
    ).spec
    assert (spec.architecture is None) == (hybrid is None)
    if spec.architecture is None:
        assert "layers_block_type" in spec.unknown["architecture"]
    else:
        assert [group.layers for group in spec.architecture.attention] == [hybrid]
        assert spec.architecture.recurrent[0].layers == tuple(range(layers))


def test_jetmoe_leaves_experts_of_attention_aside_too(tmp_path: Path) -> None:
    """Six of eight experts of attention, each two square matrices, and as many of the feed-forward, each three, in 24 layers."""
    spec = read_local(
        config(
            tmp_path, model_type="jetmoe", hidden_size=2048, num_hidden_layers=24, num_key_value_heads=16, kv_channels=128,
            num_attention_heads=32, intermediate_size=5632, vocab_size=32000, num_local_experts=8, num_experts_per_tok=2,
            tie_word_embeddings=True,
        ),
        ROWS,
    ).spec  # fmt: skip
    assert spec.parameters.total is not None
    assert spec.parameters.active is not None
    assert spec.parameters.total - spec.parameters.active == 24 * 6 * (
        2 * 2048 * 2048 + 3 * 2048 * 5632
    )
    assert spec.architecture is not None
    assert again(spec).parameters == spec.parameters


def test_recurrent_gemma_as_it_is_published(tmp_path: Path) -> None:
    """google/recurrentgemma-2b as it is published, layers under both names of older files: RecurrentGemmaForCausalLM on the meta device."""
    blocks = ["recurrent", "recurrent", "attention"]
    spec = read_local(
        config(
            tmp_path, model_type="recurrent_gemma", _block_types=blocks, block_types=blocks, hidden_size=2560, intermediate_size=15360,
            lru_width=2560, num_attention_heads=10, num_key_value_heads=1, head_dim=256, num_hidden_layers=26, vocab_size=256000,
            attention_window_size=2048, conv1d_width=4, tie_word_embeddings=True,
        ),
        ROWS,
    ).spec  # fmt: skip
    assert spec.parameters.total == 2_682_862_080
    assert spec.architecture is not None
    assert [group.layers for group in spec.architecture.attention] == [tuple(range(2, 26, 3))]
    assert again(spec).architecture == spec.architecture


def test_a_zamba_is_written_as_a_spec_and_read_again(tmp_path: Path) -> None:
    """Its tensors are listed, and a spec made of the file has the same ones."""
    sizes = {
        "num_hidden_layers": 54,
        "num_attention_heads": 16,
        "num_mem_blocks": 2,
        "tie_word_embeddings": True,
    }
    path = config(tmp_path, model_type="zamba2", **sizes)
    spec = read_local(path, ROWS).spec
    assert spec.architecture is not None
    assert spec.architecture.tensors
    found = again(spec).architecture
    assert found is not None
    assert sorted(found.tensors, key=repr) == sorted(spec.architecture.tensors, key=repr)


@pytest.mark.parametrize(("layers", "attending"), [(2, (1,)), (4, (3,)), (9, (3, 7))])
def test_one_layer_of_four_of_an_olmo_hybrid_attends(
    layers: int, attending: tuple[int, ...], tmp_path: Path
) -> None:
    """OlmoHybridConfig of transformers 5.23.0, where the file has no layer_types: of fewer than four the last one."""
    said = read_local(
        config(tmp_path, model_type="olmo_hybrid", num_hidden_layers=layers), ROWS
    ).spec.architecture
    assert said is not None
    assert [group.layers for group in said.attention] == [attending]


@pytest.mark.parametrize("key", ["full_attn_mod", "global_attn_every_n"])
def test_every_first_layer_attending_is_every_layer(key: str, tmp_path: Path) -> None:
    """Phi 4 and Grok 2 state 1; two would leave half of the layers with something that the file does not tell."""
    told = [
        read_local(config(tmp_path, **{key: every}), ROWS).spec.unknown.get("architecture", "")
        for every in (1, 2)
    ]
    assert told[0] == ""
    assert key in told[1]


@pytest.mark.parametrize(
    "changes",
    [{"num_experts_of_a_new_kind": 64}, {"vocab_size": None}, {"intermediate_size": [1, 2]}],
)
def test_cache_and_weights_are_judged_apart(changes: dict[str, object], tmp_path: Path) -> None:
    """What is not understood of the weights leaves the cache known, and no row by which weights would be believed."""
    spec = read_local(config(tmp_path, **changes), ROWS).spec
    assert spec.architecture is not None
    assert spec.parameters.total is None
    assert next(iter(changes)) in spec.unknown["parameters.total"]
    assert row_of(spec.architecture, ROWS) is None
    assert (
        sum(
            group.layers * (group.key_elements + group.value_elements)
            for group in cache_groups(spec.architecture, None)
        )
        == 65_536
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 8}, "8 experts"),
        ({"num_key_value_heads": 7}, "num_key_value_heads is 7"),
    ],
)
def test_a_config_of_an_impossible_model_is_not_believed(
    changes: dict[str, object], why: str, tmp_path: Path
) -> None:
    """Attention groups its heads evenly, and a router cannot choose more experts than there are."""
    spec = read_local(config(tmp_path, **changes), ROWS).spec
    assert spec.parameters.total is None
    assert any(why in reason for reason in spec.unknown.values())


@pytest.mark.parametrize(
    ("keys", "why"),
    [({"expert_count": 2**32 - 1}, "4,294,967,295"), ({"expert_used_count": 9}, "9 of them")],
)
def test_experts_that_are_not_in_the_file_are_damage(
    keys: dict[str, int], why: str, tmp_path: Path
) -> None:
    """Mixtral 8x7B has eight, in every tensor of experts."""
    assert why in problem(
        make(tmp_path, "mixtral-8x7b", **{f"llama.{key}": count for key, count in keys.items()})
    )


@pytest.mark.parametrize(
    ("method", "runtime"),
    [("awq", "transformers"), ("superquant", "transformers"), ("fp8", "llama.cpp")],
)
def test_quantized_weights_are_judged_as_they_are_stored(
    method: str, runtime: str, tmp_path: Path
) -> None:
    """AutoAWQ's packed weights are no source of a GGUF file; the FP8 of DeepSeek is what convert_hf_to_gguf.py reads."""
    changes: dict[str, object] = {
        "quantization_config": {"quant_method": method, "weight_block_size": [128, 128]}
    }
    local = read_local(config(tmp_path, **changes), ROWS)
    answer = check(str(tmp_path))
    assert answer.workload.runtime == runtime
    assert (local.spec.quantized is not None) == (runtime == "transformers")
    assert any("quantized from" in note for note in answer.notes) == (runtime == "transformers")


def test_a_quantized_config_without_a_number_of_layers_is_no_traceback(tmp_path: Path) -> None:
    spec = read_local(
        config(tmp_path, num_hidden_layers=[], quantization_config={"quant_method": "mxfp4"}), ROWS
    ).spec
    assert "num_hidden_layers" in spec.unknown["architecture"]


def test_mlx_weights_are_no_bfloat16(tmp_path: Path) -> None:
    """What 16-bit files of the model would take does not follow from a config.json of mlx-lm."""
    spec = read_local(config(tmp_path, quantization={"group_size": 64, "bits": 4}), ROWS).spec
    shelf = Catalogue.open()
    assert needs_of(spec, shelf.runtime("transformers"), Workload(), ROWS).download_bytes is None
    assert needs_of(spec, shelf.runtime("mlx"), Workload(), ROWS).download_bytes


@pytest.mark.parametrize("named", ["", "config.json"])
def test_an_mlx_model_is_judged_for_mlx(named: str, tmp_path: Path) -> None:
    """The keys of mlx-lm's own config.json name its runtime, for a folder or the file; without a Mac the answer says what to take."""
    config(tmp_path, quantization={"group_size": 64, "bits": 4})
    mac = load("macbook-pro-m4-max-48gb").machine
    answer = check(str(tmp_path / named), machine=mac)
    assert (answer.workload.runtime, answer.workload.quantization) == ("mlx", "4bit")
    assert not any(finding.outcome == "fail" for finding in answer.findings)
    answer = check(
        str(tmp_path / named), machine=Machine(planning=True, system="linux", architecture="x86_64")
    )
    (why,) = (finding for finding in answer.findings if finding.check == "runtime")
    assert (why.outcome, why.code) == ("fail", "runtime-no-build")
    assert "mlx[cpu]" in why.reason
    assert "--runtime llama.cpp" in (why.remedy or "")
    assert (
        check(
            str(tmp_path / named), Workload(runtime="llama.cpp"), machine=mac
        ).workload.quantization
        == "Q4_K_M"
    )


@pytest.mark.parametrize(
    ("stored", "runtime", "quantization"),
    [
        ({"quantization": {"bits": 8, "group_size": 64}}, "mlx", "8bit"),
        ({"quantization": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}, "mlx", "mxfp4"),
        (
            {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64}},
            "transformers",
            "awq-64g",
        ),
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": 128}},
            "transformers",
            "gptq-8bit",
        ),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
            "transformers",
            "nf4",
        ),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
            "transformers",
            "int8",
        ),
        (
            {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}},
            "vllm",
            "nvfp4",
        ),
    ],
)
def test_a_spec_of_quantized_weights_is_judged_as_they_are_stored(
    stored: dict[str, object], runtime: str, quantization: str, tmp_path: Path
) -> None:
    """By path, by id and as the config.json itself: the same runtime, type and size; asked for, a GGUF file is told all the same."""
    file = config(tmp_path, **stored)
    made = tmp_path / "specs" / "made.toml"
    made.parent.mkdir()
    made.write_text(spec_text(read_local(file, ROWS).spec.replace(id="made")), encoding="utf-8")
    mac = Machine(planning=True, system="darwin", architecture="aarch64")
    answers = [
        check(str(file), machine=mac),
        check(str(made), machine=mac),
        check("made", machine=mac, specs=[made.parent]),
    ]
    for answer in answers:
        assert (answer.workload.runtime, answer.workload.quantization) == (runtime, quantization)
        assert answer.needs is not None
        assert answer.needs.download_bytes
    assert len({answer.needs.download_bytes for answer in answers if answer.needs is not None}) == 1
    assert all(
        any(f"stored as {quantization}; a GGUF file would" in note for note in answer.notes)
        for answer in answers[:2]
    )
    assert (
        check(str(made), Workload(runtime="llama.cpp"), machine=mac).workload.quantization
        == "Q4_K_M"
    )


def test_a_spec_of_weights_in_an_unknown_quantization_has_no_size(tmp_path: Path) -> None:
    """It was told as the GGUF file of a model that it does not describe."""
    made = tmp_path / "made.toml"
    local = read_local(config(tmp_path, quantization_config={"quant_method": "superquant"}), ROWS)
    made.write_text(spec_text(local.spec.replace(id="made")), encoding="utf-8")
    answer = check(str(made))
    assert answer.needs is not None
    assert answer.needs.download_bytes is None
    assert answer.route == "unknown"
    assert any("not understood" in note for note in answer.notes)


def test_float8_weights_are_told_where_a_gguf_file_is_judged(tmp_path: Path) -> None:
    """Converters read them, so llama.cpp is judged, as for a model published in 16 bits; the answer says how to ask for the files."""
    file = config(
        tmp_path, quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]}
    )
    made = tmp_path / "made.toml"
    made.write_text(spec_text(read_local(file, ROWS).spec.replace(id="made")), encoding="utf-8")
    for path in (file, made):
        answer = check(str(path))
        assert answer.workload.runtime == "llama.cpp"
        assert any("float8_e4m3_128x128: --runtime vllm" in note for note in answer.notes)
        assert (
            check(str(path), Workload(runtime="vllm")).workload.quantization
            == "float8_e4m3_128x128"
        )


# what mlx_lm 0.32.2 (mlx 0.32.4) makes of its own models, by quantize_model with a predicate of its layers: bytes of all arrays
_SIX, _FOUR_32 = {"bits": 6, "group_size": 64}, {"bits": 4, "group_size": 32}
_MLX_MODELS: tuple[tuple[dict[str, object], dict[str, object], int], ...] = (
    (
        {
            "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 1024, "intermediate_size": 2816,
            "num_hidden_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 32000,
            "tie_word_embeddings": False, "max_position_embeddings": 8192,
        },
        {"lm_head": False},
        154_019_840,
    ),
    (
        {
            "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 512, "intermediate_size": 1024,
            "moe_intermediate_size": 256, "num_experts": 16, "num_experts_per_tok": 4, "norm_topk_prob": True, "decoder_sparse_step": 1,
            "mlp_only_layers": [], "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64,
            "vocab_size": 32000, "tie_word_embeddings": True, "max_position_embeddings": 8192,
        },
        {f"model.layers.{layer}.mlp.gate": {"bits": 8, "group_size": 64} for layer in range(6)} | {"lm_head": False},
        42_436_096,
    ),
)  # fmt: skip


@pytest.mark.parametrize(("values", "apart", "size"), _MLX_MODELS, ids=("llama", "qwen3-moe"))
def test_layers_that_mlx_stores_otherwise_are_counted(
    values: Mapping[str, object], apart: Mapping[str, object], size: int, tmp_path: Path
) -> None:
    """To the byte what mlx_lm makes of them; a spec made of the file, and what is wider, are counted alike."""
    down = "switch_mlp.down_proj" if "num_experts" in values else "down_proj"
    layers = {
        f"model.layers.{layer}.{name}": _FOUR_32 if layer % 2 else _SIX
        for layer in range(8 if down == "down_proj" else 6)
        for name in ("self_attn.v_proj", f"mlp.{down}")
    }
    table = {"model.embed_tokens": {"bits": 8, "group_size": 128}}
    stored = {"bits": 4, "group_size": 64, "mode": "affine", **table, **layers, **apart}
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps({**values, "torch_dtype": "bfloat16", "quantization": stored}), encoding="utf-8"
    )
    made = tmp_path / "made.toml"
    made.write_text(spec_text(read_local(file, ROWS).spec.replace(id="made")), encoding="utf-8")
    mac = Machine(planning=True, system="darwin", architecture="aarch64")
    for path in (file, made):
        needs = check(str(path), machine=mac).needs
        assert needs is not None
        assert needs.download_bytes == size
        weights = (
            next(term for term in needs.memory.terms if term.name == "weights")
            if needs.memory
            else None
        )
        assert weights is not None
        assert weights.bytes == size


def test_a_layer_of_mlx_that_is_not_understood_is_named(tmp_path: Path) -> None:
    """Nothing is told of the size, by any way to the file: it was told as if all layers were alike."""
    mac = Machine(planning=True, system="darwin", architecture="aarch64")
    for key, odd in (
        ("lm_head", {"bits": 7, "group_size": 64}),
        ("model.layers.0.mlp.new_proj", {"bits": 8, "group_size": 64}),
        ("model.layers.99.mlp.up_proj", False),
        ("model.layers.0.mlp.up_proj", None),
        ("lm_head", "f16"),
    ):
        file = config(tmp_path, quantization={"bits": 4, "group_size": 64, key: odd})
        local = read_local(file, ROWS)
        assert local.quantization is None
        assert key in local.spec.unknown["architecture.matrix_dtype"]
        made = tmp_path / "made.toml"
        made.write_text(spec_text(local.spec.replace(id="made")), encoding="utf-8")
        for path in (file, made):
            answer = check(str(path), Workload(runtime="mlx"), machine=mac)
            assert answer.route == "unknown"
            assert answer.needs is not None
            assert answer.needs.download_bytes is None
            assert any(key in one.reason for one in answer.needs.unknown)


def test_experts_in_mxfp4_with_all_else_in_8_bits_have_a_name(tmp_path: Path) -> None:
    """mlx-lm writes under a layer's name what it has instead (gpt-oss)."""
    eight = {"bits": 8, "group_size": 64}
    parts = (
        "model.layers.0.self_attn.q_proj",
        "model.layers.0.mlp.router",
        "model.embed_tokens",
        "lm_head",
    )
    experts = {"bits": 4, "group_size": 32, "mode": "mxfp4", **dict.fromkeys(parts, eight)}
    assert read_local(config(tmp_path, quantization=experts), ROWS).quantization == "MXFP4-Q8"


# what mlx.core.quantize makes of one matrix in each of its modes
_QUANTIZED = json.loads((HERE / "truth" / "mlx.json").read_text(encoding="utf-8"))["quantized"]


@pytest.mark.parametrize("made", [pytest.param(made, id=made["name"]) for made in _QUANTIZED])
def test_all_that_mlx_quantizes_to_is_counted(made: dict[str, Any], tmp_path: Path) -> None:
    """Bits of a weight as mlx.core.quantize makes them of one matrix, scales and biases included; by path and as a spec."""
    file = config(tmp_path, quantization={key: made[key] for key in ("mode", "bits", "group_size")})
    local = read_local(file, ROWS)
    spec = tmp_path / "made.toml"
    spec.write_text(spec_text(local.spec.replace(id="made")), encoding="utf-8")
    for path in (file, spec):
        answer = check(str(path), Workload(runtime="mlx"))
        assert answer.workload.quantization == local.quantization
        assert answer.needs is not None
        assert answer.needs.memory is not None
        line = next(term.arithmetic for term in answer.needs.memory.terms if term.name == "weights")
        assert f"weights × {8 * made['bytes'] / made['weights']:g} bits / 8" in line


def test_a_quantization_of_mlx_that_is_not_understood_is_named(tmp_path: Path) -> None:
    """It was taken for no quantization at all, and the model told in 16 bits."""
    # mlx.core.quantize refuses them, but for the one that lacks its group
    four, others = {"mode": "mxfp4", "bits": 4, "group_size": 64}, {"bits": 4, "group_size": 16}
    for odd in (
        {"bits": 7, "group_size": 64},
        {"bits": 4},
        others,
        four,
        {"bits": 4, "group_size": 64, "mode": ["affine"]},
    ):
        local = read_local(config(tmp_path, quantization=odd), ROWS)
        assert local.quantization is None
        assert "quantization {" in local.spec.unknown["architecture.matrix_dtype"]
        for task in ("generate", "finetune"):
            answer = check(
                str(tmp_path),
                Workload(runtime="transformers", task=task),
                machine=load("macbook-pro-m4-max-48gb").machine,
            )
            assert answer.route != "local", (odd, task)


@pytest.mark.parametrize(
    "asked",
    [
        {"runtime": "vllm"},
        {"runtime": "llama.cpp"},
        {"runtime": "transformers"},
        {"task": "finetune"},
    ],
)
def test_files_of_mlx_are_for_mlx(asked: dict[str, Any], tmp_path: Path) -> None:
    """Files that are here and that the program does not load are not told as local."""
    folder = small(
        tmp_path / "tiny-llama", stored="I32", quantization={"bits": 4, "group_size": 64}
    )
    answer = check(str(folder), Workload(**asked))
    (why,) = (finding for finding in answer.findings if finding.check == "runtime")
    assert (why.outcome, why.code) == ("fail", "runtime-cannot-load")
    assert "The files are mlx" in why.reason
    assert answer.route != "local"
    assert ("published weights" in (why.remedy or "")) == ("task" in asked)


def test_a_gguf_file_of_weights_that_are_here_is_not_here(tmp_path: Path) -> None:
    """llama.cpp loads no safetensors: of 16 bits a GGUF file is to be had, of packed ones none."""
    plain = check(str(small(tmp_path / "plain")), Workload(runtime="llama.cpp"))
    assert plain.workload.quantization == "Q4_K_M"
    assert not any("files are here" in finding.reason for finding in plain.findings)
    assert plain.needs is not None
    assert plain.needs.download_bytes
    packed = check(
        str(small(tmp_path / "packed", quantization_config={"quant_method": "awq"})),
        Workload(runtime="llama.cpp"),
    )
    (why,) = (finding for finding in packed.findings if finding.check == "runtime")
    assert (why.code, "quantized as awq" in why.reason) == ("runtime-cannot-load", True)


def test_packed_weights_of_which_nothing_is_said_are_unknown(tmp_path: Path) -> None:
    """Integers beside a config.json without a quantization were told as the bfloat16 that torch_dtype names."""
    folder = small(tmp_path / "packed", stored="I32", torch_dtype="bfloat16")
    assert "packed (I32)" in read_local(folder, ROWS).spec.unknown["architecture.matrix_dtype"]
    for asked in (Workload(), Workload(runtime="transformers"), Workload(task="finetune")):
        assert check(str(folder), asked).route != "local"


def test_a_quantization_that_is_not_understood_is_not_trained(tmp_path: Path) -> None:
    answer = check(
        str(small(tmp_path / "odd", quantization_config={"quant_method": "superquant"})),
        Workload(task="finetune"),
    )
    assert answer.route == "unknown"
    assert answer.needs is not None
    assert answer.needs.memory is None


def test_what_packed_weights_cost_is_no_cost_of_what_was_published(tmp_path: Path) -> None:
    folder = small(tmp_path / "packed", quantization_config={"quant_method": "awq"})
    quality = check(str(folder)).quality
    assert quality is not None
    assert quality.cost != AS_PUBLISHED


def test_a_bare_class_with_a_head_in_auto_map_generates(tmp_path: Path) -> None:
    """ChatGLM3 and GLM-4 of THUDM: architectures is ChatGLMModel, and auto_map has AutoModelForCausalLM."""
    bare = read_local(config(tmp_path, architectures=["ChatGLMModel"]), ROWS).spec
    mapped = {"AutoModelForCausalLM": "modeling_chatglm.ChatGLMForConditionalGeneration"}
    spec = read_local(config(tmp_path, architectures=["ChatGLMModel"], auto_map=mapped), ROWS).spec
    assert (bare.modality, spec.modality) == ("embedding", "text")
    assert spec.architecture is not None
    assert spec.architecture.output_matrix


def test_a_model_type_is_not_taken_for_a_row_of_the_same_name(tmp_path: Path) -> None:
    """`deci` is a GGUF architecture; a config.json of that model type is of an unknown one, whose weights do not follow."""
    spec = read_local(config(tmp_path, model_type="deci"), ROWS).spec
    assert spec.architecture is not None
    assert row_of(spec.architecture, ROWS) is None
    assert spec.parameters.total is None


@pytest.mark.parametrize(
    ("stored", "quantization"),
    [
        (None, "bfloat16"),
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
            "float8_e4m3_128x128",
        ),
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": None}},
            "float8_e4m3",
        ),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}, "awq"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}, "nvfp4"),
        ({"quantization_config": {"quant_method": "secret"}}, None),
        ({"quantization": {"bits": 4, "group_size": 64}}, "4bit"),
        ({"quantization": {"bits": 8, "group_size": 32, "mode": "affine"}}, "8bit-32g"),
        ({"quantization": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}, "mxfp4"),
    ],
)
def test_how_published_weights_are_stored(
    stored: dict[str, object] | None, quantization: str | None, tmp_path: Path
) -> None:
    """The words of the spec schema; a method that is not known is named under unknown."""
    local = read_local(config(tmp_path, **(stored or {})), ROWS)
    assert local.quantization == quantization
    if quantization is None:
        assert "secret" in local.spec.unknown["architecture.matrix_dtype"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"added_tokens_decoder": {}, "chat_template": "x"}, "tokenizer"),
        ({"bos_token_id": 1, "eos_token_id": 2, "do_sample": True}, "generation_config"),
        ({"weight_map": {"a": "b"}}, "index"),
        ({"peft_type": "LORA", "r": 8}, "LoRA adapter"),
        ({"image_processor_type": "x"}, "processor"),
        ({"_class_name": "X", "_diffusers_version": "0.3"}, "diffusers"),
        ({"schema": "selfhost.machine/1", "memory_total_bytes": 1}, "machine record"),
        ({"schema": "selfhost.audit/1"}, "selfhost.audit/1"),
        ({"fail_on": "error", "model": [{"name": "mistral-7b"}]}, "fail_on"),
        ({}, "empty"),
        ([1, 2], "a list"),
        ({"schemaVersion": 2, "mediaType": "x", "layers": []}, "manifest"),
        ({"dim": 4096, "n_layers": 32, "n_heads": 32, "norm_eps": 1e-5}, "params.json"),
        ({"name": "left-pad", "dependencies": {}}, "package.json"),
    ],
)
def test_json_that_is_no_model_is_named(content: object, says: str, tmp_path: Path) -> None:
    """The message says what the file seems to be."""
    path = tmp_path / "some.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert says in problem(path)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{]",
        b'{"a": NaN',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"num_hidden_layers": ' + b"9" * 10_000 + b"}",
        b'{"a": "\xff"}',
        b'{"\\ud800": 1}',
    ],
)
def test_broken_json_is_a_problem(content: bytes, tmp_path: Path) -> None:
    """Bad syntax, deep nesting, endless numbers, wrong encoding."""
    path = tmp_path / "config.json"
    path.write_bytes(content)
    assert "config.json" in problem(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=6,
)


@cache
def config_values() -> tuple[dict[str, Any], ...]:
    return tuple(
        json.loads((HEADERS / "configs" / entry["file"]).read_text(encoding="utf-8"))
        for entry in configs()
    )


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_mutation_of_a_config_is_a_traceback(data: st.DataObject, tmp_path: Path) -> None:
    """Whatever values the keys of a real config.json get: a spec that can be written down, or a `SpecError`."""
    values = json.loads(json.dumps(data.draw(st.sampled_from(config_values()))))
    for _ in range(data.draw(st.integers(1, 4))):
        part = values
        nests = [key for key in part if isinstance(part[key], dict) and part[key]]
        if nests and data.draw(st.sampled_from([True, False])):
            part = part[data.draw(st.sampled_from(nests))]
        key = data.draw(st.sampled_from(sorted(part)))
        if data.draw(st.booleans()):
            del part[key]
        else:
            part[key] = data.draw(
                _JSON
                | st.sampled_from(
                    [0, 1, -1, 10**9, 2**63, "", [], {}, [[1]], [None], {"a": None}, True]
                )
            )
        if not part:
            break
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    reads_or_refuses(path)


# ------------------------------------------------------------------ safetensors


def safetensors(
    path: Path, tensors: Mapping[str, tuple[str, list[int]]], *, missing: int = 0
) -> int:
    """A safetensors file whose data are a hole; its elements."""
    bytes_of = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1, "I32": 4}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        size = prod(shape) * bytes_of[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    encoded = json.dumps(header).encode()
    write(path, struct.pack("<Q", len(encoded)) + encoded, 8 + len(encoded) + end - missing)
    return sum(prod(shape) for _, shape in tensors.values())


def small(folder: Path, *, stored: str = "BF16", **changes: object) -> Path:
    """A folder with the config.json and the sharded weights of a small Llama."""
    config(
        folder, model_type="llama", hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=100, max_position_embeddings=256, **changes,
    )  # fmt: skip
    first = {
        "model.embed_tokens.weight": (stored, [100, 64]),
        "lm_head.weight": (stored, [100, 64]),
        "model.norm.weight": (stored, [64]),
    }
    second = {}
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        for name, shape in (
            ("self_attn.q_proj", [64, 64]), ("self_attn.k_proj", [32, 64]), ("self_attn.v_proj", [32, 64]), ("self_attn.o_proj", [64, 64]),
            ("mlp.gate_proj", [128, 64]), ("mlp.up_proj", [128, 64]), ("mlp.down_proj", [64, 128]), ("input_layernorm", [64]),
            ("post_attention_layernorm", [64]),
        ):  # fmt: skip
            second[f"{prefix}{name}.weight"] = (stored, shape)
    safetensors(folder / "model-00001-of-00002.safetensors", first)
    safetensors(folder / "model-00002-of-00002.safetensors", second)
    places = dict.fromkeys(first, "model-00001-of-00002.safetensors") | dict.fromkeys(
        second, "model-00002-of-00002.safetensors"
    )
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def test_a_folder_of_safetensors(tmp_path: Path) -> None:
    """Parameters and bytes are those of the files; the folder, a shard and the index name the same model."""
    folder = small(tmp_path / "tiny-llama")
    shards = sorted(folder.glob("*.safetensors"))
    # 2 × 100 × 64 + 64 + 2 × (64 × (64 + 32 + 32 + 64) + 3 × 64 × 128 + 2 × 64)
    parameters = 12_864 + 2 * (12_288 + 24_576 + 128)
    for path in (folder, *shards, folder / "model.safetensors.index.json"):
        local = read_local(path, ROWS)
        assert (local.format, local.quantization, local.files_here) == (
            "safetensors",
            "bfloat16",
            True,
        )
        assert local.spec.parameters.total == parameters
        assert local.spec.files[0].bytes == {
            "bfloat16": sum(shard.stat().st_size for shard in shards)
        }
        assert local.spec.architecture is not None
        assert again(local.spec) == local.spec
    assert read_local(folder, ROWS).spec.id == "tiny-llama"


def test_a_missing_or_cut_shard(tmp_path: Path) -> None:
    """The missing file is named; of a cut one the missing bytes are counted."""
    folder = small(tmp_path / "m")
    last = folder / "model-00002-of-00002.safetensors"
    os.truncate(last, last.stat().st_size - 7)
    assert "7 bytes are missing" in problem(folder)
    first, total = (
        folder / "model-00001-of-00002.safetensors",
        json.loads((folder / "model.safetensors.index.json").read_text()),
    )
    last.unlink()
    half = read_local(folder, ROWS)
    assert (half.files_here, half.missing, half.size_bytes) == (
        False,
        (last.name,),
        first.stat().st_size,
    )
    assert half.total_bytes == total["metadata"].get("total_size")
    (folder / "model.safetensors.index.json").unlink()
    assert read_local(folder, ROWS).missing == (last.name,)
    (folder / "config.json").unlink()
    assert last.name in problem(folder)


def test_files_that_differ_from_their_config_are_believed(tmp_path: Path) -> None:
    """The total is that of the headers, and the difference is told."""
    folder = small(tmp_path / "m")
    config(folder, model_type="llama", hidden_size=64, intermediate_size=4096, num_hidden_layers=2, num_attention_heads=4,
           num_key_value_heads=2, vocab_size=100)  # fmt: skip
    local = read_local(folder, ROWS)
    assert local.spec.parameters.total == 12_864 + 2 * (12_288 + 24_576 + 128)
    assert local.spec.parameters.difference
    assert local.notes


@pytest.mark.parametrize("shared", [False, True])
def test_an_output_matrix_of_other_rows_is_refused_by_from_pretrained(
    shared: bool, tmp_path: Path
) -> None:
    """transformers 5.23.0 raises for an lm_head.weight of 320 rows where vocab_size is 256, whether or not the table is shared."""
    fits: dict[str, object] = {
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 256, "tie_word_embeddings": shared,
    }  # fmt: skip
    config(tmp_path, **fits)
    for rows in (256, 320):
        stored: dict[str, tuple[str, list[int]]] = {
            "model.embed_tokens.weight": ("BF16", [256, 64]),
            "lm_head.weight": ("BF16", [rows, 64]),
        }
        stored["model.layers.0.self_attn.k_proj.weight"] = ("BF16", [32, 64])
        safetensors(tmp_path / "model.safetensors", stored)
        spec = read_local(tmp_path, ROWS).spec
        assert (spec.architecture is None) == (rows == 320)
        assert (
            rows == 256
            or "lm_head.weight has 320 rows, and config.json makes it 256"
            in spec.unknown["architecture"]
        )


def test_a_gguf_file_whose_tokenizer_has_other_tokens_is_refused(tmp_path: Path) -> None:
    """llama.cpp, issue 5910: "tensor 'token_embd.weight' has wrong shape"; a tokenizer of the kind "none" counts `vocab_size`."""
    file = make(tmp_path, "llama-3.2-1b")
    rows = next(
        shape[1]
        for name, shape, _ in placed(measured()["llama-3.2-1b"])
        if name == "token_embd.weight"
    )
    spec = read_local(file, ROWS).spec
    assert (spec.refused, spec.architecture is None) == (None, False)
    for more, counted in (
        ({"tokenizer.ggml.model": "gpt2"}, "its tokenizer has 15 tokens"),
        ({"llama.vocab_size": 200}, "its header says 200 tokens"),
    ):
        spec = read_local(make(tmp_path, "llama-3.2-1b", **more), ROWS).spec
        assert (
            spec.refused
            == f"llama.cpp refuses this file: its tensor token_embd.weight has {rows:,} rows, and {counted}."
        )


def test_files_that_contradict_their_config_are_of_no_known_model(tmp_path: Path) -> None:
    """from_pretrained refuses tensors of other shapes than the config's, and makes up layers that are missing: unknown, by the tensor."""
    folder = small(tmp_path / "m")
    fits: dict[str, object] = {
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 100,
    }  # fmt: skip
    for change, why in (
        (
            {"num_key_value_heads": 4},
            "model.layers.0.self_attn.k_proj.weight is 32 × 64, and config.json makes it 64 × 64",
        ),
        ({"num_hidden_layers": 4}, "no tensor of layer 2, 3"),
        ({"num_hidden_layers": 1}, "have a layer 1"),
        (
            {"vocab_size": 128},
            "model.embed_tokens.weight has 100 rows, and config.json makes it 128",
        ),
        ({"vocab_size": 64}, "model.embed_tokens.weight has 100 rows, and config.json makes it 64"),
        (
            {"intermediate_size": 256},
            "mlp.up_proj.weight is 128 × 64, and config.json makes it 256 × 64",
        ),
    ):
        config(folder, **fits | change)
        spec = read_local(folder, ROWS).spec
        assert spec.architecture is None
        assert why in spec.unknown["architecture"]
        assert again(spec) == spec
        assert (
            check(
                str(folder),
                Workload(runtime="transformers"),
                machine=load("aws-m7i.2xlarge").machine,
            ).route
            == "unknown"
        )
    config(folder, **fits)
    assert read_local(folder, ROWS).spec.architecture is not None


@pytest.mark.parametrize("stated", ["bfloat16", "float32"])
def test_weights_are_loaded_in_the_type_of_the_config(stated: str, tmp_path: Path) -> None:
    """transformers 5 loads files of 32 bits as the type config.json states (dtype "auto"), and caches in it; the files keep their size."""
    folder = small(tmp_path / "m", stored="F32", torch_dtype=stated)
    local, width = read_local(folder, ROWS), {"bfloat16": 2, "float32": 4}[stated]
    parameters = 12_864 + 2 * (12_288 + 24_576 + 128)
    asked = Workload(quantization=local.quantization, context_tokens=256)
    found = needs_of(local.spec, Catalogue.open().runtime("transformers"), asked, ROWS)
    assert local.quantization == "float32"
    assert found.download_bytes == sum(
        shard.stat().st_size for shard in folder.glob("*.safetensors")
    )
    assert found.memory is not None
    terms = {term.name: term for term in found.memory.terms}
    assert terms["weights"].high_bytes == parameters * width
    # 2 layers, keys and values, 2 KV heads of 16 numbers
    assert terms["kv_cache"].bytes == 2 * 2 * 2 * 16 * width * 256
    judged = check(
        str(folder), Workload(context_tokens=256), machine=load("aws-m7i.2xlarge").machine
    ).needs
    assert judged is not None
    assert judged.memory is not None
    assert {term.name: term.bytes for term in judged.memory.terms}["kv_cache"] == terms[
        "kv_cache"
    ].bytes
    # vLLM makes 16 bits of either
    memory = needs_of(local.spec, Catalogue.open().runtime("vllm"), asked, ROWS).memory
    assert memory is not None
    assert {term.name: term.bytes for term in memory.terms}["weights"] == pytest.approx(
        parameters * 2, rel=0.1
    )


def test_float8_files_of_a_config_that_says_nothing_of_them(tmp_path: Path) -> None:
    """Seen of transformers 5.23.0: it casts them to config.json's type, or to that of the other tensors, and leaves scales aside."""
    parameters = 12_864 + 2 * (12_288 + 24_576 + 128)
    folder = small(tmp_path / "m", stored="F8_E4M3")
    machine = load("aws-m7i.2xlarge").machine
    for stated in ("bfloat16", None):
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(values | {"torch_dtype": stated}))
        if stated is None:
            wide = {
                "model.embed_tokens.weight": ("BF16", [100, 64]),
                "model.norm.weight": ("BF16", [64]),
            }
            safetensors(
                folder / "model-00001-of-00002.safetensors",
                {**wide, "lm_head.weight": ("F8_E4M3", [100, 64])},
            )
        local = read_local(folder, ROWS)
        assert again(local.spec) == local.spec
        assert (local.quantization, local.spec.parameters.total) == ("float8_e4m3", parameters)
        for runtime in ("transformers", "vllm"):
            memory = needs_of(
                local.spec,
                Catalogue.open().runtime(runtime),
                Workload(quantization="float8_e4m3"),
                ROWS,
            ).memory
            assert memory is not None
            weights = next(term for term in memory.terms if term.name == "weights")
            # vLLM has a table of positions beside them
            assert weights.low_bytes == 2 * parameters
            assert weights.bytes == 2 * parameters + (256 * 16 * 2 if runtime == "vllm" else 0)
    scaled = {"lm_head.weight": ("F8_E4M3", [100, 64]), "lm_head.weight_scale": ("F32", [100])}
    none = {
        "model.embed_tokens.weight": ("F8_E4M3", [100, 64]),
        "lm_head.weight": ("F8_E4M3", [100, 64]),
    }
    for held, why in (
        (scaled, "lm_head.weight_scale, a scale of weights in FP8"),
        (none, "does not say which type they are made into"),
    ):
        safetensors(folder / "model-00001-of-00002.safetensors", held)
        spec = read_local(folder, ROWS).spec
        assert spec.architecture is None
        assert why in spec.unknown["architecture"]
        assert (
            check(str(folder), Workload(runtime="transformers"), machine=machine).route == "unknown"
        )


def test_a_block_that_predicts_more_tokens_is_no_contradiction(tmp_path: Path) -> None:
    """DeepSeek and GLM publish it as one more layer, known by its eh_proj, also where config.json does not count it."""
    folder = small(tmp_path / "m")
    safetensors(folder / "more.safetensors", {"model.layers.2.eh_proj.weight": ("BF16", [64, 128])})
    index = folder / "model.safetensors.index.json"
    values = json.loads(index.read_text())
    values["weight_map"]["model.layers.2.eh_proj.weight"] = "more.safetensors"
    index.write_text(json.dumps(values))
    assert read_local(folder, ROWS).spec.architecture is not None


# safetensors totals of the repositories (llmfit 1.1.17, in the sources of specs/), rows of FP8 scales and masks left out
_WITH_BLOCKS = {
    "zai-org--GLM-4.5": 358_337_791_296, "Qwen--Qwen3.5-27B": 27_781_427_952, "Qwen--Qwen3.5-35B-A3B": 35_951_822_704,
    "Qwen--Qwen3.5-397B-A17B": 403_397_928_944, "Qwen--Qwen3-Next-80B-A3B-Instruct": 81_324_862_720,
    "deepseek-ai--DeepSeek-R1": 684_489_845_504, "deepseek-ai--DeepSeek-V3.2": 685_355_329_792, "XiaomiMiMo--MiMo-7B-Base": 7_833_409_536,
    "nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-FP8": 123_611_012_096, "zai-org--GLM-5.2-FP8": 753_329_940_480,
}  # fmt: skip


def test_a_spec_says_of_a_tokenizer_what_its_files_say(tmp_path: Path) -> None:
    """A folder with one, a folder without, and a lone config.json, which does not say: transformers takes as much for the spec of each."""
    folder = small(tmp_path / "m")
    told: dict[bool | None, list[list[tuple[int, int]]]] = {}
    for tokenizer, path in ((False, folder), (True, folder), (None, folder / "config.json")):
        if tokenizer:
            (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
        spec = read_local(path, ROWS).spec
        assert spec.tokenizer is tokenizer
        for one in (spec, again(spec)):
            asked = Workload(quantization="bfloat16", context_tokens=256)
            memory = needs_of(one, Catalogue.open().runtime("transformers"), asked, ROWS).memory
            assert memory is not None
            told.setdefault(tokenizer, []).append(
                [(term.bytes, term.high_bytes) for term in memory.terms if term.name == "tokenizer"]
            )
    assert all(of_file == of_spec for of_file, of_spec in told.values())
    assert told[False] == [[], []]
    assert told[True][0][0][0] > 0 == told[None][0][0][0]


def test_a_download_of_no_stated_type_is_told_by_its_ends() -> None:
    """The files of bert-base-uncased, whose config.json states none, are in 32 bits: 438 MB of 109,482,240 parameters. So is a spec of
    it."""
    spec = read_local(HEADERS / "configs" / "google-bert--bert-base-uncased.json", ROWS).spec
    made = again(spec).replace(origin="made.toml")
    for file, task in product((spec, made), ("generate", "finetune")):
        workload = Workload(
            context_tokens=512, task=task, finetune_method="lora" if task == "finetune" else None
        )
        needs = needs_of(file, Catalogue.open().runtime("transformers"), workload, ROWS)
        assert (needs.download_bytes, needs.disk_bytes) == (None, None)
        why = next(entry for entry in needs.unknown if entry.fact == "download_bytes")
        assert why.reason.startswith("218 MB to 440 MB")
        assert needs.memory is not None
        weights = next(term for term in needs.memory.terms if term.name == "weights")
        assert weights.low_bytes < 0.53 * weights.high_bytes


def test_blocks_that_predict_more_tokens_are_part_of_the_download() -> None:
    """Parameters with those blocks are the totals that repositories state; the size counts them, and its least is without them."""
    for name, published in _WITH_BLOCKS.items():
        parameters = read_local(HEADERS / "configs" / f"{name}.json", ROWS).spec.parameters
        assert (parameters.total or 0) + (parameters.mtp or 0) == pytest.approx(
            published, rel=2e-5
        ), name
    vllm = Catalogue.open().runtime("vllm")
    spec = read_local(HEADERS / "configs" / "zai-org--GLM-4.5.json", ROWS).spec
    needs = needs_of(spec, vllm, Workload(context_tokens=4096), ROWS)
    assert needs.download_bytes == 2 * _WITH_BLOCKS["zai-org--GLM-4.5"]
    assert needs.memory is not None
    weights = next(term for term in needs.memory.terms if term.name == "weights")
    assert weights.bytes == pytest.approx(2 * 352_797_829_024, rel=1e-4)
    assert weights.bytes * 0.99 < weights.low_bytes < weights.bytes
    # model.safetensors.index.json of DeepSeek V3: 688.6 GB, FP8 with its scales
    spec = read_local(HEADERS / "configs" / "deepseek-ai--DeepSeek-R1.json", ROWS).spec
    assert needs_of(
        spec, vllm, Workload(context_tokens=4096), ROWS
    ).download_bytes == pytest.approx(688.6e9, rel=1e-3)


def test_files_say_whether_they_hold_the_blocks(tmp_path: Path) -> None:
    """Files that transformers saved lack the blocks that its class leaves out: neither is a difference from config.json."""
    shutil.copy(HEADERS / "configs" / "XiaomiMiMo--MiMo-7B-Base.json", tmp_path / "config.json")
    trunk, block = 7_622_619_136, 210_790_400
    for held in (True, False):
        tensors = {"model.norm.weight": ("BF16", [trunk])} | (
            {"model.mtp_layers.0.input_proj.weight": ("BF16", [block])} if held else {}
        )
        safetensors(tmp_path / "model.safetensors", tensors)
        spec = read_local(tmp_path, ROWS).spec
        assert (spec.parameters.total, spec.parameters.mtp, spec.parameters.difference) == (
            trunk,
            block if held else None,
            None,
        )
        memory = needs_of(
            spec, Catalogue.open().runtime("vllm"), Workload(context_tokens=256), ROWS
        ).memory
        assert memory is not None
        weights = next(term for term in memory.terms if term.name == "weights")
        assert 2 * trunk <= weights.bytes < 2 * trunk + 100_000_000


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x5B20, 0x7B20, 0x5B5B, 0x7B0A, 0x7B7B])
def test_a_safetensors_file_is_told_from_others_whatever_the_length_of_its_header(
    length: int, tmp_path: Path
) -> None:
    """Its first eight bytes are that length (the format's README), and may be a pickle's or what JSON begins with."""
    header = b'{"a":{"dtype":"F16","shape":[5],"data_offsets":[0,10]}}'.ljust(length)
    for name in ("model.safetensors", "model"):
        (tmp_path / name).write_bytes(struct.pack("<Q", length) + header + bytes(10))
        assert read_local(tmp_path / name, ROWS).spec.parameters.total == 5


def test_safetensors_without_a_config(tmp_path: Path) -> None:
    """Weights are known without the architecture, which is said to be unknown."""
    count = safetensors(tmp_path / "model.safetensors", {"a": ("F16", [10, 20]), "b": ("F32", [5])})
    local = read_local(tmp_path / "model.safetensors", ROWS)
    assert local.spec.parameters.total == count
    assert local.spec.architecture is None
    assert "config.json" in local.spec.unknown["architecture"]
    assert again(local.spec) == local.spec


def test_packed_weights_are_bytes_not_parameters(tmp_path: Path) -> None:
    """Eight 4-bit weights in an int32 must not be counted as one parameter."""
    folder = tmp_path / "awq"
    config(folder, quantization_config={"quant_method": "awq", "bits": 4})
    safetensors(folder / "model.safetensors", {"a": ("I32", [10, 20]), "b": ("F16", [5])})
    local = read_local(folder, ROWS)
    assert local.quantization == "awq"
    assert local.spec.files[0].bytes == {"awq": (folder / "model.safetensors").stat().st_size}
    # as config.json has it: Mistral 7B v0.3
    assert local.spec.parameters.total == 7_248_023_552


def test_a_vision_model_counts_its_encoders_from_the_files(tmp_path: Path) -> None:
    """What the files hold beyond the language model are the encoders, inside the total."""
    folder = small(tmp_path / "m", vision_config={"hidden_size": 8})
    language = 12_864 + 2 * (12_288 + 24_576 + 128)
    alone = read_local(folder / "config.json", ROWS).spec
    assert alone.parameters.total is None
    assert "parameters.encoders" in alone.unknown
    (folder / "model.safetensors.index.json").unlink()
    for shard in folder.glob("*.safetensors"):
        shard.unlink()
    safetensors(
        folder / "model.safetensors", {"language": ("BF16", [language]), "vision": ("BF16", [1000])}
    )
    parameters = read_local(folder, ROWS).spec.parameters
    assert (parameters.total, parameters.encoders) == (language + 1000, 1000)


@pytest.mark.parametrize("where", ["config.json", "no quant_method", "hf_quant_config.json"])
def test_transformers_applies_no_quantization_of_modelopt(where: str, tmp_path: Path) -> None:
    """quantizers/auto.py of transformers 5.23.0: "modelopt" is among no methods, FP8 then becomes the plain type without its scales,
    NVFP4 raises for its shapes, and a quantization_config without a method too. vLLM loads both, and by default is taken for them."""
    nvfp4 = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
    told = {
        "config.json": {"quantization_config": nvfp4},
        "no quant_method": {"quantization_config": {"quant_algo": "FP8"}},
    }.get(where, {})
    file = config(tmp_path, **told)
    if not told:
        (tmp_path / "hf_quant_config.json").write_text(
            '{"quantization": {"quant_algo": "NVFP4"}}', encoding="utf-8"
        )
    made = tmp_path / "made.toml"
    made.write_text(spec_text(read_local(file, ROWS).spec.replace(id="made")), encoding="utf-8")
    machine = load("aws-p5.48xlarge").machine
    for path in (str(file), str(made)):
        for workload in (
            Workload(runtime="transformers"),
            Workload(task="finetune"),
            Workload(task="finetune", finetune_method="full"),
        ):
            answer = check(path, workload, machine=machine)
            found = answer.finding("runtime")
            assert found is not None
            assert (answer.exit_code, found.outcome, found.code, answer.needs) == (
                1,
                "fail",
                "runtime-cannot-load",
                None,
            )
            assert "ModelOpt" in found.reason
            assert workload.task != "finetune" or "quantized from" in (found.remedy or "")
        answer = check(path, Workload(runtime="vllm"), machine=machine)
        assert answer.needs is not None
        assert not any(finding.outcome == "fail" for finding in answer.findings)
    assert check(str(file), machine=machine).workload.runtime == (
        "vllm" if where != "no quant_method" else "llama.cpp"
    )


@pytest.mark.parametrize("named", ["", "config.json"])
@pytest.mark.parametrize("algorithm", ["FP8", "superquant"])
def test_quantization_told_in_a_file_of_its_own(algorithm: str, named: str, tmp_path: Path) -> None:
    """NVIDIA's exporter writes hf_quant_config.json and nothing into config.json; the folder and the file are read alike."""
    folder = small(tmp_path / "m", stored="F8_E4M3")
    told = {"quantization": {"quant_algo": algorithm, "kv_cache_quant_algo": "FP8"}}
    (folder / "hf_quant_config.json").write_text(json.dumps(told), encoding="utf-8")
    local = read_local(folder / named, ROWS)
    assert local.spec.architecture is not None
    assert local.spec.architecture.cache_dtype == "float8_e4m3"
    if algorithm == "FP8":
        assert local.quantization == "float8_e4m3"
        assert local.spec.architecture.matrix_dtype == "float8_e4m3"
    else:
        assert local.quantization is None
        assert "hf_quant_config.json" in local.spec.unknown["architecture.matrix_dtype"]
    for odd in ("[]", "{}", '{"quantization": []}'):
        (folder / "hf_quant_config.json").write_text(odd, encoding="utf-8")
        local = read_local(folder / named, ROWS)
        assert local.quantization is None
        assert (
            "quant_algo = None is not understood" in local.spec.unknown["architecture.matrix_dtype"]
        )


def test_the_config_of_an_encoder_and_a_decoder_is_no_other_file(tmp_path: Path) -> None:
    """T5Gemma's has its sizes under `encoder` and `decoder`, and an eos_token_id as a generation_config.json: unknown, with the reason."""
    stack = {"hidden_size": 64, "num_hidden_layers": 2, "model_type": "t5gemma_module"}
    values = {
        "model_type": "t5gemma",
        "architectures": ["T5GemmaForConditionalGeneration"],
        "encoder": stack,
        "decoder": stack,
    }
    (tmp_path / "config.json").write_text(
        json.dumps(values | {"eos_token_id": 1, "is_encoder_decoder": True}), encoding="utf-8"
    )
    assert "t5gemma has an encoder beside its decoder" in said(tmp_path / "config.json")


def test_plain_files_of_weights_said_to_be_quantized_are_of_no_known_model(tmp_path: Path) -> None:
    """Of the tensors that GPTQ or FP8 has, files of bfloat16 hold none; they were `local: yes`."""
    gptq, fp8 = {"quant_method": "gptq", "bits": 4, "group_size": 128}, {"quant_method": "fp8"}
    for held, quantization, known in (
        ("BF16", gptq, False),
        ("BF16", fp8, False),
        ("F8_E4M3", fp8, True),
    ):
        spec = read_local(
            small(tmp_path / held, stored=held, quantization_config=quantization), ROWS
        ).spec
        assert (spec.architecture is not None) == known
        assert known or "the files hold BF16 alone" in spec.unknown["architecture"]


_FP8 = {"num_bits": 8, "type": "float", "dynamic": False}
_LATENT = {
    "model_type": "deepseek_v3", "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 2048, "n_group": 1, "topk_group": 1,
    "num_nextn_predict_layers": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "asked", "low", "high"),
    [
        # vllm/model_executor/layers/attention/attention.py sets it for compressed-tensors, mla_attention.py does not
        ({}, {"quant_method": "compressed-tensors", "kv_cache_scheme": _FP8}, 1, 1),
        ({}, {"quant_method": "compressed-tensors", "kv_cache_scheme": None}, 2, 2),
        (_LATENT, {"quant_method": "compressed-tensors", "kv_cache_scheme": _FP8}, 2, 2),
        # vllm/utils/torch_utils.py, get_kv_cache_quant_algo_string: the scheme first, and what is neither FP8 nor fixed is passed over
        ({}, {"quant_method": "modelopt", "kv_cache_scheme": _FP8}, 1, 1),
        (_LATENT, {"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"}, 1, 1),
        ({}, {"quant_method": "modelopt", "kv_cache_scheme": {**_FP8, "dynamic": True}, "kv_cache_quant_algo": "FP8"}, 2, 2),
        ({}, {"quant_method": "modelopt", "kv_cache_quant_algo": "NVFP4"}, 2, 2),
        # which keys the method fp8 has none of
        ({}, {"quant_method": "fp8", "kv_cache_quant_algo": "FP8"}, 2, 2),
    ],
)  # fmt: skip
def test_vllm_keeps_keys_and_values_as_the_checkpoint_asks(
    changes: dict[str, object], asked: dict[str, object], low: int, high: int, tmp_path: Path
) -> None:
    """FP8 where quantization_config says so; transformers, which does not look at it, keeps them in the type of the model."""
    linear = {
        "targets": ["Linear"],
        "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"},
    }
    made = {
        "quant_algo": "FP8",
        "format": "float-quantized",
        "config_groups": {"group_0": linear},
        **asked,
    }
    local = read_local(config(tmp_path, quantization_config=made, **changes), ROWS)
    spec = local.spec
    passed_over = low == 2 and any(
        asked.get(key) for key in ("kv_cache_scheme", "kv_cache_quant_algo")
    )
    assert any("none that vLLM follows" in note for note in local.notes) == passed_over
    elements = 32 * 4096 * (576 if changes else 2 * 8 * 128)
    for program, (least, most) in {"vllm": (low, high), "transformers": (2, 2)}.items():
        needs = needs_of(
            spec, Catalogue.open().runtime(program), Workload(context_tokens=4096), ROWS
        )
        terms = needs.memory.terms if needs.memory is not None else needs.known_terms
        (cache,) = (term for term in terms if term.name == "kv_cache")
        assert (cache.bytes, cache.high_bytes) == (least * elements, most * elements)
    assert again(spec).architecture == spec.architecture


_ENTRY = '{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'


def _entry(name: str, dtype: str, shape: list[int], begin: int, end: int) -> str:
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'


@pytest.mark.parametrize(
    ("entries", "room", "says"),
    [
        ([_entry("a", "F32", [2], 0, 8), _entry("b", "F32", [2], 4, 12)], 12, '"b" overlaps another'),
        ([_entry("a", "F32", [2], 0, 8), _entry("b", "F32", [2], 0, 8)], 8, '"b" overlaps another'),
        ([_entry("a", "F32", [2], 0, 8), _entry("b", "F32", [0], 4, 4)], 8, '"b" overlaps another'),
        ([_entry("b", "F32", [2], 12, 20), _entry("a", "F32", [2], 0, 8)], 20, '4 bytes before the tensor "b" belong to none'),
        ([_entry("a", "F32", [2], 4, 12)], 12, '4 bytes before the tensor "a"'),
        ([_entry("a", "F32", [0], 4, 4)], 4, '4 bytes before the tensor "a"'),
        # of a name that stands twice the last counts, and the bytes of the first belong to none
        ([_entry("a", "F32", [2], 0, 8), _entry("a", "F32", [2], 8, 16)], 16, '8 bytes before the tensor "a"'),
        (['"a":{"dtype":"F16","dtype":"F32","shape":[2],"data_offsets":[0,8]}'], 8, '"a" has no usable dtype'),
        (['"__metadata__":{}', '"__metadata__":{}', _entry("a", "F32", [2], 0, 8)], 8, "no table of words"),
        (['"__metadata__":{"format":1}', _entry("a", "F32", [2], 0, 8)], 8, "no table of words"),
        ([_entry("a", "F32", [2], 0, 8)], 9, "1 bytes at its end belong to no tensor"),
        ([], 9, "9 bytes at its end belong to no tensor"),
        ([_entry("a", "F32", [2], 0, 8)], 7, "1 bytes are missing"),
        ([_entry("a", "Q4_0", [2], 0, 8)], 8, "in Q4_0, a type that safetensors does not have"),
        ([_entry("a", "I4", [2], 0, 1)], 1, "in I4, a type that safetensors does not have"),
        ([_entry("a", "F32", [3], 0, 8)], 8, "size of its shape"),
        ([_entry("a", "F8_E8M0", [3], 0, 4)], 4, "size of its shape"),
        ([_entry("a", "F32", [2], 8, 0)], 8, "size of its shape"),
        ([_entry("a", "F32", [2**40, 2**40, 0], 0, 0)], 0, "size of its shape"),
        # three weights of four bits end within a byte
        ([_entry("a", "F4", [3], 0, 2)], 2, "size of its shape"),
    ],
)  # fmt: skip
def test_what_the_reader_of_safetensors_refuses(
    entries: list[str], room: int, says: str, tmp_path: Path
) -> None:
    """Every one of these is refused by safetensors 0.8.0, so no program loads it: no answer but the reason, and exit code 2."""
    path = tmp_path / "model.safetensors"
    header = "{" + ",".join(entries) + "}"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(room))
    assert says in problem(path)
    assert main(["check", str(path), "--machine", "aws-m7i.2xlarge"]) == 2


@pytest.mark.parametrize(
    ("entries", "room"),
    [
        # any order, empty tensors where one ends and at the end, spaces that pad the header
        ([_entry("b", "F32", [1], 8, 12), _entry("a", "F32", [2], 0, 8), _entry("c", "F32", [3, 0], 12, 12)], 12),
        ([_entry("a", "F32", [0], 0, 0), _entry("b", "F32", [1], 0, 4), _entry("c", "F32", [0], 4, 4)], 4),
        ([_entry("a", "F32", [], 0, 4)], 4),
        ([_entry("a", "U8", [3], 0, 3), _entry("b", "F32", [1] * 9, 3, 7)], 7),
        ([_entry("a", "F32", [2], 0, 8), _entry("a", "F32", [2], 0, 8)], 8),
        (['"__metadata__":null', '"a":{"more":1,"dtype":"F32","shape":[2],"data_offsets":[0,8]}'], 8),
        ([_entry("a", "F32", [0, 2**40, 2**40], 0, 0), _entry("b", "F4", [4], 0, 2)], 2),
        *(
            ([_entry("a", dtype, [8], 0, bits)], bits)
            for bits, dtypes in {
                4: "F4", 6: "F6_E2M3 F6_E3M2", 8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
                16: "I16 U16 F16 BF16", 32: "I32 U32 F32", 64: "C64 F64 I64 U64",
            }.items()
            for dtype in dtypes.split()
        ),
    ],
)  # fmt: skip
def test_what_the_reader_of_safetensors_takes(
    entries: list[str], room: int, tmp_path: Path
) -> None:
    """safetensors 0.8.0 opens every one of these, its 22 dtypes included."""
    path = tmp_path / "model.safetensors"
    header = "{" + ",".join(entries) + "}   "
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(room))
    assert read_local(path, ROWS).files_here


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (struct.pack("<Q", 2**60) + b"{}" + bytes(20), "not a safetensors file"),
        (struct.pack("<Q", 200) + b"{" + bytes(20), "cut short"),
        (struct.pack("<Q", 11) + b'{"a": 1234}x', "no usable dtype"),
        (
            struct.pack("<Q", len(_ENTRY)) + _ENTRY.replace("2]", "3]").encode() + bytes(9),
            "size of its shape",
        ),
        (struct.pack("<Q", len(_ENTRY)) + _ENTRY.encode() + bytes(3), "1 bytes are missing"),
        (struct.pack("<Q", 2) + b"{}", "no weights"),
        (struct.pack("<Q", 60_000) + b'{"a":' * 12_000, "nested"),
        (b"{" * 40, "not a safetensors file"),
    ],
)
def test_a_damaged_safetensors_header(content: bytes, says: str, tmp_path: Path) -> None:
    """Lengths past the end, deep nesting, offsets that do not fit: a sentence each."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    if content.startswith(b"{"):
        assert "JSON" in problem(path)
    else:
        assert says in problem(path)


def test_an_index_may_not_leave_its_folder(tmp_path: Path) -> None:
    """A hostile index cannot make other files be opened."""
    folder = small(tmp_path / "m")
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "../../etc/passwd"}}', encoding="utf-8"
    )
    assert "outside its folder" in problem(folder)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(header=st.dictionaries(st.text(max_size=5), _JSON, max_size=3), room=st.integers(0, 40))
def test_no_safetensors_header_is_a_traceback(
    header: dict[str, object], room: int, tmp_path: Path
) -> None:
    """Any JSON as the header: a spec or a `SpecError`."""
    encoded = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + bytes(room))
    reads_or_refuses(path)


# ------------------------------------------------------------------ folders and everything that is no model


def test_several_quantizations_in_one_folder_are_listed(tmp_path: Path) -> None:
    """Which one is meant is for the user to say."""
    make(tmp_path, "llama-3.2-1b").rename(tmp_path / "a-Q4_K_M.gguf")
    make(tmp_path, "llama-3.2-1b").rename(tmp_path / "a-Q8_0.gguf")
    found = problem(tmp_path)
    assert "a-Q4_K_M.gguf" in found
    assert "a-Q8_0.gguf" in found


def test_a_projector_beside_the_model_is_no_second_model(tmp_path: Path) -> None:
    """mmproj files lie beside vision models; they are named with their size, not counted."""
    make(tmp_path, "llama-3.2-1b")
    write(
        tmp_path / "mmproj-F16.gguf", *gguf({"general.architecture": "clip"}, [("t", [32], "F32")])
    )
    local = read_local(tmp_path, ROWS)
    assert local.spec.id == "llama-3.2-1b"
    assert any("mmproj-F16.gguf" in note for note in local.notes)


def test_folders_without_a_model(tmp_path: Path) -> None:
    """Empty; something else; an adapter; a download that did not finish; the outer folder of Hugging Face's cache."""
    assert "empty folder" in problem(tmp_path)
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    assert "notes.txt" in problem(tmp_path)
    (tmp_path / "m.gguf.incomplete").write_bytes(b"x")
    assert "m.gguf.incomplete" in problem(tmp_path)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    safetensors(adapter / "adapter_model.safetensors", {"a": ("F16", [2])})
    assert "LoRA adapter" in problem(adapter)
    hub = tmp_path / "models--a--b"
    (hub / "snapshots" / "abc").mkdir(parents=True)
    assert "snapshots" in problem(hub)


def test_a_config_alone_in_its_folder_is_no_model_here(tmp_path: Path) -> None:
    """The architecture is known; the weights are not on this machine."""
    config(tmp_path / "m")
    local = read_local(tmp_path / "m", ROWS)
    assert not local.files_here
    assert local.spec.parameters.total == 7_248_023_552
    assert local.notes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 4372812000\n",
            "4,372,812,000 bytes was not downloaded",
        ),
        (b"PK\x03\x04" + bytes(40), "zip archive"),
        (b"\x80\x02}q\x00", "pickle"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"lmgg" + bytes(40), "GGML"),
        (bytes(4096), "zeros"),
        (b"\x1f\x8b" + bytes(40), "gzip"),
        (b"GGUG" + bytes(400), "GGUF"),
        (bytes(range(256)), "GGUF"),
    ],
)
@pytest.mark.parametrize("name", ["x.gguf", "x.bin"])
def test_files_that_are_no_model_say_what_they_are(
    content: bytes, says: str, name: str, tmp_path: Path
) -> None:
    """What a failed download, another format or a pointer looks like is recognised by its first bytes."""
    path = tmp_path / name
    path.write_bytes(content)
    assert says in problem(path)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    """Missing, a dead link, a link to itself, a file used as a folder, an unfinished download, impossible names."""
    assert "does not exist" in problem(tmp_path / "none.gguf")
    (tmp_path / "dead.gguf").symlink_to(tmp_path / "gone")
    assert "a link to a file that does not exist" in problem(tmp_path / "dead.gguf")
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    assert "leads back to itself" in problem(tmp_path / "loop.gguf")
    (tmp_path / "file").write_bytes(b"x")
    assert "part of the path is a file" in problem(tmp_path / "file" / "x.gguf")
    (tmp_path / "x.gguf.part").write_bytes(b"GGUF")
    assert "did not finish" in problem(tmp_path / "x.gguf.part")
    assert "did not finish" in problem(tmp_path / "x.gguf")
    assert "no path" in problem("")
    assert problem("a\0b.gguf")
    assert problem("x" * 5000 + ".gguf")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_or_device_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe without a writer would block for ever."""
    os.mkfifo(tmp_path / "x.gguf")
    assert "not an ordinary file" in problem(tmp_path / "x.gguf")
    assert "not an ordinary file" in problem("/dev/zero")
    (tmp_path / "m").mkdir()
    os.mkfifo(tmp_path / "m" / "config.json")
    assert "not an ordinary file" in problem(tmp_path / "m")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_an_unreadable_file(tmp_path: Path) -> None:
    """The remedy is about permissions."""
    path = make(tmp_path, "llama-3.2-1b")
    path.chmod(0)
    assert "permissions" in problem(path)


def test_a_path_keeps_the_form_it_was_typed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder of this machine gets into the spec that was not typed."""
    make(tmp_path, "llama-3.2-1b")
    monkeypatch.chdir(tmp_path)
    local: LocalModel = read_local("llama-3.2-1b.gguf", ROWS)
    assert local.spec.origin == "llama-3.2-1b.gguf"
    assert str(tmp_path) not in spec_text(local.spec)
