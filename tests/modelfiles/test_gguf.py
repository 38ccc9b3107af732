"""GGUF headers become specs: what llama.cpp allocates for them, and what is refused."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest

from helpers.cases import case_id
from helpers.ggufs import (
    gguf,
    make,
    measured,
    metadata,
    one_a_file,
    placed,
    text,
    write,
)
from helpers.llamacpp_truth import batch_of, kept
from helpers.local_models import WITHOUT_GPU, again, bytes_of, said, shipped_catalogue
from helpers.needs_of import needs_of
from judge.small import finding_of
from selfhost import Workload, check
from selfhost.advice.verdicts import check_with
from selfhost.catalogue.index import Catalogue
from selfhost.machine.profiles import load
from selfhost.modelfiles import read_local
from selfhost.needs.llamacpp.alive import is_measured
from selfhost.needs.llamacpp.compute import buffer_bytes
from selfhost.needs.records import likely_bytes, sum_bytes
from selfhost.needs.tensors import block_tensors, gguf_tensors


@pytest.mark.parametrize("name", one_a_file("gguf_mtp"))
def test_a_block_that_predicts_more_takes_what_llamacpp_gives_it(
    name: str, tmp_path: Path
) -> None:
    """Where nothing is drafted: all or part of it stays in the file, and some have room in the
    cache; to the byte, but for the compute buffer.
    """
    model = one_a_file("gguf_mtp")[name]
    header, size = gguf(metadata(name, model), placed(model))
    spec = read_local(write(tmp_path / "model.gguf", header, size)).spec
    architecture = spec.architecture
    assert architecture is not None
    assert architecture.mtp_layers == model["metadata"]["nextn_predict_layers"]
    block = block_tensors(architecture.replace(tensors=()))
    parameters = sum(prod(group.shape) * len(group.layers) for group in block)
    assert parameters == spec.parameters.mtp
    for case in model["cases"]:
        assert sum(kept(architecture, case)) == case["context_bytes"], case
        buffer = buffer_bytes(batch_of(architecture, case))
        assert buffer == pytest.approx(case["compute_bytes"], rel=0.5), case
    asked = Workload(quantization=model["quantization"])
    memory = needs_of(spec, Catalogue.open().runtime("llama.cpp"), asked).memory
    assert memory is not None
    assert likely_bytes(memory.terms, "weights") == model["loaded_bytes"]


@pytest.mark.parametrize("name", measured(), ids=case_id)
def test_a_gguf_header_gives_what_llamacpp_allocates(name: str, tmp_path: Path) -> None:
    """KV cache and recurrent state equal the measurement to the byte, and the tensors of the spec
    have the measured bytes. The compute buffer is near what is computed, or near a guess where the
    layers were never measured.
    """
    model = measured()[name]
    local = read_local(make(tmp_path, name))
    architecture = local.spec.architecture
    assert architecture is not None, local.spec.unknown
    assert not architecture.tensors, local.notes
    assert local.quantization == model["quantization"]
    assert local.files_here
    assert local.format == "gguf"
    for case in model["cases"]:
        cached, state = kept(architecture, case)
        if "context_bytes" not in case:
            assert cached == case["kv_bytes"]
            assert state == case["recurrent_state_bytes"]
            continue
        assert cached + state == case["context_bytes"], case
        batch = batch_of(architecture, case)
        buffer = buffer_bytes(batch)
        least, most = (0.8, 2) if is_measured(batch) else (0.3, 4)
        assert least * buffer <= case["compute_bytes"] <= most * buffer, case
    by_name = {tensor: bytes_of(type, shape) for tensor, shape, type in placed(model)}
    assert sum(by_name.values()) == model["tensor_bytes"]
    # tables of RoPE are no weights
    weights = [
        group
        for group in gguf_tensors(architecture)
        if not group.name.startswith("rope_")
    ]
    stored = [
        prod(shape) for name, shape, _ in placed(model) if not name.startswith("rope_")
    ]
    assert sum(group.parameters for group in weights) == sum(stored)
    file_bytes = (tmp_path / f"{name}.gguf").stat().st_size
    assert local.spec.files[0].bytes == {model["quantization"]: file_bytes}


WEIGHTS = ("weights", "repacked_weights")


@pytest.mark.parametrize("name", [*measured()][::3], ids=case_id)
def test_the_weights_of_a_file_are_its_tensors(name: str, tmp_path: Path) -> None:
    """Of every third file: to the byte what llama.cpp allocated for them, a block that predicts
    more than one token left out.
    """
    model = measured()[name]
    program = "llama-cpp-python"
    if any(case["flash_attn"] for case in model["cases"]):
        program = "llama.cpp"
    shelf = shipped_catalogue()
    workload = Workload(runtime=program)
    verdict = check_with(shelf, make(tmp_path, name), workload, WITHOUT_GPU)
    if model["architecture"] in shelf.runtime(program).unserved:
        failed = [entry.code for entry in verdict.findings if entry.outcome == "fail"]
        assert failed == ["runtime-cannot-load"]
        return
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    terms = [term for term in verdict.needs.memory.terms if term.name in WEIGHTS]
    keys = model["metadata"]
    blocks = keys["block_count"] - keys.get("nextn_predict_layers", 0)
    extra = 0
    for tensor, shape, type in placed(model):
        block = re.match(r"blk\.(\d+)\.", tensor)
        if block is not None and int(block[1]) >= blocks:
            extra += bytes_of(type, shape)
    assert sum(term.bytes for term in terms) == model["tensor_bytes"] - extra
    for term in terms:
        assert term.low_bytes == term.bytes
        assert term.high_bytes == term.bytes


def test_facts_of_the_header_reach_the_spec(tmp_path: Path) -> None:
    """Name, license, context and vocabulary are those of the file; what it does not say is unknown
    with a reason.
    """
    spec = read_local(make(tmp_path, "llama-3.2-1b")).spec
    path = str(tmp_path / "llama-3.2-1b.gguf")
    assert spec.id == "llama-3.2-1b"
    assert spec.name == "llama-3.2-1b"
    assert spec.origin == path
    assert spec.license is not None
    assert spec.license.id == "Apache-2.0"
    assert spec.architecture is not None
    assert spec.architecture.vocabulary == 128_256
    assert spec.architecture.context_tokens == 131_072
    assert spec.architecture.tied_embeddings
    assert "architecture.dtype" in spec.unknown
    # Llama 3.2 1B as published: 1,235,814,400 parameters
    assert spec.parameters.total == 1_235_814_400


MISTRAL = measured()["mistral-7b-v0.3"]
AWS = load("aws-m7i.2xlarge").machine


def mistral(
    folder: Path,
    keys: Mapping[str, object | None] | None = None,
    tensors: list[Any] | None = None,
    **model: object,
) -> Path:
    """A file of Mistral 7B v0.3 with other keys, None for those left out, or with other tensors."""
    stated = {**metadata("x", {**MISTRAL, **model}), **(keys or {})}
    stated = {key: value for key, value in stated.items() if value is not None}
    header, size = gguf(stated, placed(MISTRAL) if tensors is None else tensors)
    return write(folder / "x.gguf", header, size)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param(
            {"context_length": None, "embedding_length": None},
            "its header has no llama.embedding_length; "
            "its header has no llama.context_length",
            id="missing keys",
        ),
        pytest.param(
            {"attention.head_count": "x", "attention.head_count_kv": "y"},
            'llama.attention.head_count is "x", neither one whole number nor one for each '
            'layer; llama.attention.head_count_kv is "y", neither one whole number',
            id="values that are no numbers",
        ),
        pytest.param(
            {
                "feed_forward_length": [14336] * 5000,
                "attention.head_count_kv": [8] * 31,
            },
            "llama.feed_forward_length lists 5,000 entries, more than blocks",
            id="lists",
        ),
    ],
)
def test_every_fault_of_a_gguf_header_is_told_at_once(
    keys: dict[str, object], says: str, tmp_path: Path
) -> None:
    """Whoever mends one need not come back for the next."""
    path = mistral(tmp_path, {f"llama.{key}": value for key, value in keys.items()})
    told = said(path)
    assert says in told
    for key in keys:
        assert key.rpartition(".")[2] in told


def test_an_unknown_architecture_is_counted_and_no_more(tmp_path: Path) -> None:
    """Parameters and size are those of the file; whether llama.cpp loads it, and what it would
    keep, nobody here knows: neither of the file nor of a spec made of it.
    """
    path = mistral(tmp_path, architecture="brandnew")
    spec = read_local(path).spec
    assert spec.architecture is None
    assert spec.parameters.total == 7_248_023_552
    assert spec.files[0].bytes == {MISTRAL["quantization"]: path.stat().st_size}
    assert again(spec) == spec.replace(tensors=())
    for asked in (path, again(spec)):
        verdict = check(asked, machine=AWS)
        assert verdict.route == "unknown"
        assert verdict.needs is None or verdict.needs.memory is None
        assert "brandnew" in finding_of(verdict, "memory").reason


def test_a_file_with_more_biases_than_its_row_keeps_its_tensors(tmp_path: Path) -> None:
    """llama.cpp asks for most biases where they are there (TENSOR_NOT_REQUIRED): counted, and
    said.
    """
    tensors = [*placed(MISTRAL), ("blk.0.ffn_down.bias", [4096], "F32")]
    local = read_local(mistral(tmp_path, tensors=tensors))
    assert local.spec.parameters.total == 7_248_023_552 + 4096
    assert any("ffn_down.bias" in note for note in local.notes)
    assert again(local.spec) == local.spec.replace(tensors=())


_ALL = placed(MISTRAL)
_WITHOUT_ONE = [tensor for tensor in _ALL if tensor[0] != "blk.3.ffn_up.weight"]
_WITH_ONE_MORE = [*_ALL, ("blk.0.surprise.weight", [4096, 4096], "F16")]
_WITH_ONE_SMALLER = [
    (name, [4096, 64] if name == "blk.5.ffn_up.weight" else shape, type)
    for name, shape, type in _ALL
]


@pytest.mark.parametrize(
    ("tensors", "why", "refused"),
    [
        pytest.param(_WITHOUT_ONE, "blk.3.ffn_up is missing", True, id="one less"),
        pytest.param(
            _WITH_ONE_MORE, "blk.0.surprise is 4,096 × 4,096", False, id="one more"
        ),
        pytest.param(
            _WITH_ONE_SMALLER, "blk.5.ffn_up is 4,096 × 64", True, id="one smaller"
        ),
    ],
)
def test_a_file_that_llamacpp_refuses_is_of_no_known_model(
    tensors: list[Any], why: str, refused: bool, tmp_path: Path
) -> None:
    """llama.cpp: missing tensor; wrong shape (src/llama-model-loader.cpp): it does not run,
    whatever the machine and the program, and the reason names the tensor. At more tensors than it
    asked for it stops too, but a later release may ask for them: unknown.
    """
    path = mistral(tmp_path, tensors=tensors)
    spec = read_local(path).spec
    assert spec.architecture is None
    assert why in spec.unknown["architecture"]
    if not refused:
        verdict = check(str(path), Workload(private=True), machine=AWS)
        assert verdict.route == "unknown"
        assert verdict.exit_code == 3
        (found,) = [each for each in verdict.findings if each.outcome == "unknown"]
        assert found.check == "memory"
        assert why in found.reason
        return
    for runtime in (None, "ollama"):
        verdict = check(str(path), Workload(runtime=runtime, private=True), machine=AWS)
        assert verdict.route == "neither"
        assert verdict.exit_code == 1
        (found,) = [each for each in verdict.findings if each.outcome == "fail"]
        assert found.check == "runtime"
        assert found.code == "runtime-cannot-load"
        assert why in found.reason


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        # llama_model_base::load_hparams gets these without a default: "key not found in model"
        (
            {"context_length": None},
            "cannot be used: its header has no llama.context_length",
        ),
        ({"embedding_length": None}, "no llama.embedding_length"),
        ({"block_count": None}, "no llama.block_count"),
        # get_key_or_arr says that it "has wrong array length"
        ({"attention.head_count_kv": [8] * 31}, "head_count_kv is [8, 8, 8"),
        ({"feed_forward_length": [14336] * 5000}, "feed_forward_length lists 5,000"),
        ({"nextn_predict_layers": 40}, "layers, 40 of them beyond"),
        # releases of llama.cpp differ in what they do with such a pattern
        (
            {
                "attention.sliding_window": 1024,
                "attention.sliding_window_pattern": [True] * 31,
            },
            "unknown: llama.attention.sliding_window_pattern lists 31 layers, but the model has 32",
        ),
        (
            {
                "attention.sliding_window": 1024,
                "attention.sliding_window_pattern": [True] * 5000,
            },
            "pattern lists 5,000 entries, more than blocks",
        ),
        # the key matrices have eight heads
        ({"attention.head_count_kv": 4}, "attn_k"),
        ({"attention.head_count_kv": 5}, "unknown: kv_heads is 5"),
        ({"attention.head_count_kv": 0}, "kv_heads is 0"),
        ({"attention.head_count": 100_000}, "key_length is 0"),
    ],
)
def test_keys_that_contradict_the_tensors_are_not_believed(
    keys: dict[str, object], says: str, tmp_path: Path
) -> None:
    """What llama.cpp refuses is damaged; the rest is unknown, not exact."""
    lengths = {"attention.key_length": None, "attention.value_length": None, **keys}
    path = mistral(tmp_path, {f"llama.{key}": value for key, value in lengths.items()})
    assert says in said(path)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param(
            {"tokenizer.ggml.model": 5},
            "cannot be used: tokenizer.ggml.model is 5, not a text",
            id="a number as the tokenizer",
        ),
        pytest.param(
            {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": "abc"},
            'cannot be used: tokenizer.ggml.tokens is "abc", not a list of texts',
            id="a text as the tokens",
        ),
        pytest.param(
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": [1, 2]},
            "tokenizer.ggml.tokens is [1, 2], not a list of texts",
            id="numbers as the tokens",
        ),
        pytest.param(
            {"llama.rope.dimension_count": 64},
            "unknown: llama.rope.dimension_count is 64, but each head has 128 elements",
            id="half of each head rotated",
        ),
    ],
)
def test_what_llamacpp_refuses_in_the_header(
    keys: dict[str, object], says: str, tmp_path: Path
) -> None:
    """src/llama-vocab.cpp and llama-model.cpp throw at each of these: "wrong type", "invalid gguf
    type", "invalid n_rot".
    """
    assert says in said(mistral(tmp_path, keys))


def test_a_head_that_is_rotated_in_part_does_not_run(tmp_path: Path) -> None:
    """llama.cpp loads a file of Llama only where each head is rotated whole, and a file without the
    key.
    """
    whole = mistral(tmp_path, {"llama.rope.dimension_count": 128})
    assert read_local(whole).spec.architecture is not None
    unstated = mistral(tmp_path, {"llama.rope.dimension_count": None})
    assert read_local(unstated).spec.architecture is not None
    part = mistral(tmp_path, {"llama.rope.dimension_count": 64})
    verdict = check(str(part), Workload(private=True), machine=AWS)
    assert verdict.route == "neither"
    (found,) = [one for one in verdict.findings if one.outcome == "fail"]
    assert found.code == "runtime-cannot-load"
    assert "each head has 128 elements" in found.reason


@pytest.mark.parametrize(
    ("tokenizer", "is_noted"),
    [
        pytest.param("gpt2", False, id="known"),
        pytest.param("none", False, id="none"),
        pytest.param("brandnew", True, id="unknown"),
    ],
)
def test_a_tokenizer_that_llamacpp_may_not_know_is_noted(
    tokenizer: str, is_noted: bool, tmp_path: Path
) -> None:
    """It throws "unknown tokenizer", but a later release may know it."""
    local = read_local(mistral(tmp_path, {"tokenizer.ggml.model": tokenizer}))
    assert any(tokenizer in note for note in local.notes) is is_noted


def test_a_tensor_of_a_type_that_nobody_loads_makes_the_model_unknown(
    tmp_path: Path,
) -> None:
    """ggml.h of 2026 ends at 42: llama.cpp's gguf.cpp refuses a file with another, and a newer one
    may not.
    """
    header, size = gguf(metadata("x", MISTRAL), placed(MISTRAL))
    name = text("output_norm.weight")
    place = header.index(name) + len(name) + 4 + 8
    assert header[place : place + 4] == struct.pack("<I", 0)
    changed = header[:place] + struct.pack("<I", 250) + header[place + 4 :]
    spec = read_local(write(tmp_path / "x.gguf", changed, size)).spec
    assert spec.architecture is None
    assert "type 250" in spec.unknown["architecture"]


def test_a_file_in_nvfp4_takes_its_bytes(tmp_path: Path) -> None:
    """ggml-org/llama.cpp#19769 and the constants of gguf 0.19: type 40, in blocks of 64 numbers and
    36 bytes, 4.5 bits each; file type 39 (include/llama.h).
    """
    tensors = [
        (name, shape, type if len(shape) == 1 else "NVFP4")
        for name, shape, type in placed(MISTRAL)
    ]
    file = mistral(tmp_path, {"general.file_type": 39}, tensors)
    assert read_local(file).quantization == "NVFP4"
    needs = check(file, machine=AWS).needs
    assert needs is not None
    weights = [term for term in needs.terms if term.may_be_mapped]
    numbers = sum(prod(shape) for _, shape, type in tensors if type == "NVFP4")
    assert sum_bytes(weights) == pytest.approx(numbers * 4.5 / 8, rel=0.005)


@pytest.mark.parametrize(
    ("stated", "base", "better", "quantization", "noted"),
    [
        pytest.param(15, "Q4_K", "Q6_K", "Q4_K_M", False, id="as stated"),
        pytest.param(None, "Q4_K", "Q6_K", "Q4_K_M", False, id="not stated, two types"),
        pytest.param(None, "Q4_K", "Q4_K", "Q4_K_S", False, id="not stated, one type"),
        pytest.param(15 + 1024, "Q4_K", "Q6_K", "Q4_K_M", False, id="guessed"),
        pytest.param(15, "Q8_0", "Q8_0", "Q8_0", True, id="another type"),
        pytest.param(999, "Q8_0", "Q8_0", "Q8_0", True, id="unknown number"),
    ],
)
def test_quantization_by_file_type_and_tensors(
    stated: int | None,
    base: str,
    better: str,
    quantization: str,
    noted: bool,
    tmp_path: Path,
) -> None:
    """The file type names the quantization; where tensors contradict it they win, and the answer
    says so.
    """
    tensors = []
    for name, shape, type in placed(MISTRAL):
        if len(shape) == 1:
            tensors.append((name, shape, type))
        elif "ffn_down" in name:
            tensors.append((name, shape, better))
        else:
            tensors.append((name, shape, base))
    local = read_local(mistral(tmp_path, {"general.file_type": stated}, tensors))
    assert local.quantization == quantization
    assert any("Q4_K_M" in note or "999" in note for note in local.notes) is noted
