"""What is loaded beside a model: a draft model, its own multi-token-prediction block, an adapter."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from helpers.arithmetic import calculate
from helpers.each import each
from helpers.paths import SPECS, TRUTH
from selfhost import Machine, Workload, check
from selfhost.catalogue.index import Catalogue
from selfhost.core.errors import SpecError, WorkloadError
from selfhost.judge.question import ask
from selfhost.machine.record import Accelerator, Disk
from selfhost.modelfiles import read_local
from selfhost.needs import needs_on
from selfhost.needs.records import Device, Needs, Term

MEASURED = json.loads((TRUTH / "llamacpp_companions.json").read_text(encoding="utf-8"))
GIB = 2**30
DISK = Disk(
    purpose="llama.cpp",
    path="~/.cache",
    free_bytes=10**13,
    total_bytes=10**13,
    filesystem="ext4",
    writable=True,
)
MACHINE = Machine(
    name="a large one", system="linux", architecture="x86_64", memory_total_bytes=2048 * GIB, memory_limit_bytes=2048 * GIB,
    memory_available_bytes=2040 * GIB, cpu_cores_usable=16.0, disks=(DISK,), accelerators=(),
    instruction_sets=("avx2", "fma", "f16c", "bmi2", "sse2"),
)  # fmt: skip


def terms(model: str, **asked: Any) -> dict[str, Term]:
    needs = needs_of(model, **asked)
    assert needs.memory is not None, needs.unknown
    return {term.name: term for term in needs.memory.terms}


def terms_on(device: Device, model: str, **asked: Any) -> dict[str, Term]:
    memory = needs_on(needs_of(model, **asked), device).memory
    assert memory is not None
    return {term.name: term for term in memory.terms if term.where != "host"}


def needs_of(model: str, **asked: Any) -> Needs:
    shelf = Catalogue.open()
    question = ask(shelf.spec(model), Workload(**asked), shelf, MACHINE)
    assert question.needs is not None
    return question.needs


@each(
    "case",
    MEASURED["blocks"],
    ids=lambda case: f"{case['model']}-{case['context_tokens']}-{case['parallel']}",
)
def test_the_own_block_takes_what_llama_cpp_allocates_for_it(case: dict[str, Any]) -> None:
    """Cache and states to the byte, the model's compute buffer too; the block's own buffer within the stated range."""
    found = terms(
        case["model"], context_tokens=case["context_tokens"], parallel=case["parallel"], draft="mtp"
    )
    state = found["recurrent_state"].bytes if "recurrent_state" in found else 0
    assert found["kv_cache"].bytes + state == case["target_context_bytes"]
    compute = found["compute"]
    assert compute.low_bytes <= case["target_compute_bytes"] <= compute.high_bytes
    if case["parallel"] == 1 or not state:
        assert compute.bytes == case["target_compute_bytes"]
    assert found["mtp_kv_cache"].bytes == case["block_cache_bytes"]
    block = found["mtp_compute"]
    assert block.low_bytes <= case["block_compute_bytes"] <= block.high_bytes


def test_the_block_is_in_the_file_but_not_in_memory_until_it_drafts() -> None:
    """Q4_K_M of Qwen3.8 27B: 263 MB of multi-token prediction (llama.cpp's own quantizer, rules of 0c1e570)."""
    without, drafting = needs_of("qwen3.8-27b"), needs_of("qwen3.8-27b", draft="mtp")
    assert without.download_bytes == drafting.download_bytes
    assert without.memory is not None
    assert not any(term.name.startswith("mtp") for term in without.memory.terms)
    assert terms("qwen3.8-27b", draft="mtp")["mtp_weights"].bytes == pytest.approx(263e6, rel=0.002)


def test_a_draft_is_a_model_with_the_same_context() -> None:
    """common/speculative.cpp: the draft's context is as long, its cache f16 whatever the model's is, one row of logits a sequence."""
    asked: dict[str, Any] = {"context_tokens": 16_384, "parallel": 2}
    alone = terms("llama-3.2-1b-instruct", **asked)
    pair = terms("llama-3.3-70b-instruct", **asked, kv_cache_type="q8_0", draft="llama-3.2-1b")
    for name in ("weights", "repacked_weights", "kv_cache", "compute"):
        assert pair[f"draft_{name}"].bytes == alone[name].bytes
    assert pair["weights"].bytes == terms("llama-3.3-70b-instruct", **asked)["weights"].bytes


def test_a_draft_brings_its_own_vocabulary_and_no_second_program() -> None:
    """One process, two models: each has a vocabulary of 128,256 tokens (155 to 410 bytes each, measured), the program counts once."""
    alone = terms("llama-3.2-1b-instruct")["runtime"]
    beside = terms("llama-3.3-70b-instruct", draft="llama-3.2-1b")["draft_runtime"]
    program = Catalogue.open().runtime("llama.cpp")
    assert beside.low_bytes == alone.low_bytes - program.overhead_low_bytes >= 128_256 * 155
    assert beside.high_bytes == alone.high_bytes - program.overhead_high_bytes
    # a Python runtime keeps no such table of its own that is counted
    assert "draft_runtime" not in terms(
        "llama-3.3-70b-instruct", draft="llama-3.2-1b", runtime="transformers"
    )
    # on a card the program's side stays in RAM
    card = Accelerator(
        vendor="nvidia",
        name="a card",
        memory_total_bytes=80 * GIB,
        memory_free_bytes=80 * GIB,
        unified=False,
    )
    placed = check(
        "llama-3.3-70b-instruct",
        Workload(draft="llama-3.2-1b"),
        machine=MACHINE.replace(accelerators=(card,)),
    ).needs
    assert placed is not None
    assert placed.memory is not None
    assert {
        term.where for term in placed.memory.terms if term.name in ("runtime", "draft_runtime")
    } == {"host"}
    # so do its tables: 128,256 × 2,048 values of Q6_K, which are on the card as its output matrix as well
    tables = next(term for term in placed.memory.terms if term.name == "draft_embeddings")
    assert (tables.where, tables.bytes) == ("host", 128_256 * 2_048 // 256 * 210)


def test_a_draft_is_downloaded_too() -> None:
    big, small = (
        needs_of("llama-3.3-70b-instruct"),
        needs_of("llama-3.2-1b-instruct", quantization="Q8_0"),
    )
    both = needs_of("llama-3.3-70b-instruct", draft="llama3.2:1b-instruct-q8_0")
    assert both.download_bytes == (big.download_bytes or 0) + (small.download_bytes or 0)


@pytest.mark.parametrize(
    ("model", "draft", "runtime", "why"),
    [
        # SPEC_VOCAB_MAX_SIZE_DIFFERENCE is 128: 50,257 against 128,256 tokens
        ("llama-3.1-8b-instruct", "gpt2", None, "vocabularies differ"),
        ("llama-3.1-8b-instruct", "mtp", None, "no block that predicts more than one token"),
        ("llama-3.1-8b-instruct", "bge-m3", None, "writes no text"),
        ("bge-m3", "bge-m3", None, "writes no text"),
        ("llama-3.3-70b-instruct", "llama-3.3-70b-instruct", None, "is the model itself"),
        ("llama-3.1-8b-instruct", "gpt-4o", None, "weights are not published"),
        ("llama-3.2-1b-instruct", "llama-3.3-70b-instruct", None, "a draft is the smaller model"),
        ("qwen3.8-27b", "mtp", "ollama", "cannot draft with"),
        ("llama-3.3-70b-instruct", "llama-3.2-1b", "ollama", "cannot draft with"),
        ("whisper-small", "whisper-tiny", None, "cannot draft with"),
    ],
)
def test_a_draft_that_cannot_be_is_refused_with_the_reason(
    model: str, draft: str, runtime: str | None, why: str
) -> None:
    with pytest.raises(WorkloadError, match=why):
        needs_of(model, draft=draft, runtime=runtime)


@pytest.mark.parametrize("model", ["sdxl-base-1.0", "whisper-small"])
@pytest.mark.parametrize(
    "option", [{"draft": "mtp"}, {"adapter": "rank=8"}, {"kv_cache_type": "q8_0"}]
)
def test_a_remedy_names_no_program_that_does_not_load_the_model(
    model: str, option: dict[str, str]
) -> None:
    """llama.cpp makes no pictures and hears nothing: naming it would lead from one refusal to another."""
    with pytest.raises(WorkloadError) as refused:
        needs_of(model, **option)
    (problem,) = refused.value.problems
    assert "llama" not in (problem.remedy or "llama")


def test_a_speed_beyond_the_limit_is_told_the_limit() -> None:
    """“At least 0” would be no answer to a billion."""
    with pytest.raises(WorkloadError, match="999,999,999"):
        Workload(min_tokens_per_second=1e9)


@pytest.mark.parametrize(
    ("model", "row", "why"),
    [
        ("bge-large-en-v1.5", "bert", "writes no text"),
        # a diffusion model computes the whole text again in every step
        ("llama-3.1-8b-instruct", "llada", "keeps no cache of tokens"),
    ],
)
@pytest.mark.parametrize("runtime", ["llama.cpp", "vllm"])
def test_a_block_of_a_model_that_keeps_no_tokens_is_refused(
    model: str, row: str, why: str, runtime: str, tmp_path: Path
) -> None:
    """A spec may state `mtp_layers` of a model without a cache; no cache of the block follows."""
    stated = (SPECS / f"{model}.toml").read_text(encoding="utf-8")
    own = re.sub(r'(?m)^gguf = ".*"', f'gguf = "{row}"\nmtp_layers = 1', stated, count=1)
    spec = tmp_path / "own.toml"
    spec.write_text(own, encoding="utf-8")
    with pytest.raises(WorkloadError, match=why):
        check(str(spec), Workload(draft="mtp", runtime=runtime), machine=MACHINE)


def test_vllm_loads_the_own_block_beside_the_model() -> None:
    """DeepSeek V3's block has 13.46 billion parameters of its own, published beside the 671 billion (its model card: 685 in all)."""
    found = terms("deepseek-v3", runtime="vllm", draft="mtp")
    assert found["mtp_weights"].low_bytes < 13.46e9 < found["mtp_weights"].bytes
    # one latent row of 512 + 64 numbers a token
    four = Device(devices=4)
    held = terms_on(four, "deepseek-v3", runtime="vllm", draft="mtp")
    assert found["mtp_kv_cache"].bytes == held["mtp_kv_cache"].bytes == 576 * 2 * 4096
    # Step-3.5-Flash's config.json: three blocks as wide as a layer that keeps every token, with 8 KV heads of 128
    assert (
        terms_on(four, "step-3.5-flash", runtime="vllm", draft="mtp")["mtp_kv_cache"].bytes
        == 3 * 2 * 2 * 128 * 2 * 4096
    )


def test_a_draft_gives_no_more_than_all_that_it_drafts() -> None:
    """Leviathan et al. 2023: between 1 and 4 tokens a step with 3 drafted, and both models take their time."""
    alone = check("llama-3.3-70b-instruct", machine=MACHINE).speed
    drafted = check("llama-3.3-70b-instruct", Workload(draft="llama-3.2-1b"), machine=MACHINE).speed
    assert alone is not None
    assert drafted is not None
    assert alone.decode is not None
    assert drafted.decode is not None
    assert drafted.decode.high < 4 * alone.decode.high
    assert drafted.decode.low < alone.decode.likely < drafted.decode.high


def adapter(
    path: Path, rank: int, *, kind: str = "adapter", made_for: str = "llama", changed: str = "blk.0.attn_q.weight",
    shapes: Sequence[tuple[int, int]] | None = None,
) -> int:  # fmt: skip
    """A GGUF adapter of two matrices; its bytes of tensors."""

    def text(value: str) -> bytes:
        return pack("<Q", len(value)) + value.encode()

    shapes = [(2048, rank), (rank, 2048)] if shapes is None else shapes
    head = b"GGUF" + pack("<IQQ", 3, len(shapes), 3)
    head += text("general.type") + pack("<I", 8) + text(kind)
    head += text("general.architecture") + pack("<I", 8) + text(made_for)
    head += text("adapter.type") + pack("<I", 8) + text("lora")
    at = 0
    for number, shape in enumerate(shapes):
        head += (
            text(f"{changed}.lora_{'ab'[number]}") + pack("<I2Q", 2, *shape) + pack("<IQ", 0, at)
        )
        at += -(-shape[0] * shape[1] * 4 // 32) * 32
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(at))
    return sum(4 * one * two for one, two in shapes)


def test_an_adapter_takes_the_tensors_of_its_file(tmp_path: Path) -> None:
    size = adapter(tmp_path / "mine.gguf", 16)
    found = terms("llama-3.2-1b-instruct", adapter=str(tmp_path / "mine.gguf"))["adapter"]
    assert found.low_bytes == size
    # its file is here: nothing more is downloaded
    assert (
        needs_of("llama-3.2-1b-instruct", adapter=str(tmp_path / "mine.gguf")).download_bytes
        == needs_of("llama-3.2-1b-instruct").download_bytes
    )


@pytest.mark.parametrize(
    "case", MEASURED["adapters"]["cases"], ids=lambda case: str(case["tensor_bytes"])
)
def test_an_adapter_takes_what_was_measured(case: dict[str, Any]) -> None:
    """Rank 16 and 64 on every linear layer of Llama 3.2 1B in 32 bits: tensors to the byte, private memory within the range."""
    rank = 16 if case["tensor_bytes"] < 10**8 else 64
    found = terms("llama-3.2-1b-instruct", adapter=f"rank={rank}")["adapter"]
    assert f"{case['tensor_bytes'] // 4:,} parameters × 4 bytes" in found.arithmetic
    assert found.low_bytes <= case["added_bytes"] <= found.high_bytes


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    adapter(tmp_path / "model.gguf", 16, kind="model")
    (tmp_path / "model.safetensors").write_bytes(pack("<Q", 2) + b"{}")
    for name in ("model.gguf", "model.safetensors", "nowhere.gguf"):
        with pytest.raises(SpecError):
            needs_of("llama-3.2-1b-instruct", adapter=str(tmp_path / name))


@pytest.mark.parametrize(
    ("model", "made", "why"),
    [
        ("gemma-2-9b-it", {}, "the architecture llama"),
        ("llama-3.2-1b-instruct", {"shapes": [(2048, 16)]}, "not the other"),
        ("llama-3.2-1b-instruct", {"shapes": []}, "without a tensor"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    model: str, made: dict[str, Any], why: str, tmp_path: Path
) -> None:
    """ggml-org/llama.cpp, src/llama-adapter.cpp: architecture, names and shapes are compared with the model's before it is loaded."""
    adapter(tmp_path / "other.gguf", 16, **made)
    with pytest.raises((SpecError, WorkloadError), match=why):
        needs_of(model, adapter=str(tmp_path / "other.gguf"))


def test_an_adapter_of_the_token_table_has_its_matrices_the_other_way_round(tmp_path: Path) -> None:
    """As llm_build_inp_embd of llama.cpp looks them up."""
    made: dict[str, Any] = {"changed": "token_embd.weight", "shapes": [(16, 128_256), (16, 2048)]}
    size = adapter(tmp_path / "table.gguf", 16, **made)
    assert (
        terms("llama-3.2-1b-instruct", adapter=str(tmp_path / "table.gguf"))["adapter"].low_bytes
        == size
    )


@pytest.mark.parametrize("rank", ["0", "-3", "99999999", "many", ""])
def test_a_rank_that_is_none_is_refused_as_a_rank(rank: str) -> None:
    """No path is looked for, and no adapter wider than the model is counted."""
    with pytest.raises(WorkloadError, match="a whole number from 1 to 2,048"):
        needs_of("llama-3.2-1b-instruct", adapter=f"rank={rank}")


def write_safetensors(folder: Path, header: dict[str, Any], data_bytes: int) -> None:
    """As peft names the file; its tensors are zeros."""
    content = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(
        pack("<Q", len(content)) + content + bytes(data_bytes)
    )


def write_adapter(folder: Path, tensor: str) -> None:
    """One matrix of rank 16 in 131,072 bytes."""
    entry = {"dtype": "F32", "shape": [16, 2048], "data_offsets": [0, 131072]}
    write_safetensors(folder, {tensor: entry}, 131072)


def test_peft_writes_safetensors_and_llama_cpp_wants_gguf(tmp_path: Path) -> None:
    write_adapter(tmp_path, "base_model.model.lora_A.weight")
    with pytest.raises(WorkloadError, match="gguf"):
        needs_of("llama-3.2-1b-instruct", adapter=str(tmp_path))
    found = terms("llama-3.2-1b-instruct", adapter=str(tmp_path), runtime="transformers")["adapter"]
    assert found.low_bytes == 131072


# what peft writes for a LoRA of rank 16 on Llama 3.2 1B (config.json: 2,048 wide, 8 of 32 heads of 64 keep keys, 8,192 inside)
PEFT_SHAPES = {
    "self_attn.q_proj": (2048, 2048),
    "self_attn.k_proj": (512, 2048),
    "mlp.down_proj": (2048, 8192),
}


def peft(
    folder: Path,
    *,
    layer: int = 0,
    rank: int = 16,
    shapes: dict[str, tuple[int, int]] = PEFT_SHAPES,
    **config: Any,
) -> int:
    """adapter_model.safetensors and adapter_config.json; its bytes of tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for module, (outputs, inputs) in shapes.items():
        for matrix, shape in (("lora_A", [rank, inputs]), ("lora_B", [outputs, rank])):
            size = 4 * shape[0] * shape[1]
            name = f"base_model.model.model.layers.{layer}.{module}.{matrix}.weight"
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
            end += size
    write_safetensors(folder, header, end)
    stated = {
        "peft_type": "LORA",
        "r": 16,
        "base_model_name_or_path": "meta-llama/Llama-3.2-1B-Instruct",
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(stated))
    return end


@pytest.mark.parametrize("runtime", ["transformers", "vllm"])
def test_what_peft_trained_on_the_model_is_taken(runtime: str, tmp_path: Path) -> None:
    """Its tensors count to the byte, whether its base is a repository, a folder or a model that nobody knows."""
    for base in (
        "meta-llama/Llama-3.2-1B-Instruct",
        "/home/me/llama",
        "someone/unheard-of",
        "unsloth/Llama-3.2-1B",
        None,
    ):
        size = peft(tmp_path, base_model_name_or_path=base)
        found = terms("llama-3.2-1b-instruct", adapter=str(tmp_path), runtime=runtime)["adapter"]
        assert found.how == "assumed"
        assert found.high_bytes > found.bytes
        if runtime == "transformers":
            assert found.low_bytes == size


@pytest.mark.parametrize(("typed", "slot"), [(1, 16), (16, 16), (17, 32), (200, 256), (512, 512)])
def test_vllm_keeps_room_for_an_adapter_on_every_linear_layer(typed: int, slot: int) -> None:
    """create_lora_weights fills stacks of --max-lora-rank with zeros for all of them, whatever the adapter changes (vllm/lora/layers)."""
    # Llama 3.2 1B's config.json: 16 layers; query, output, key, value, gate, up, down
    sides = 2 * (2048 + 2048) + 2 * (2048 + 512) + 3 * (2048 + 8192)
    found = terms("llama-3.2-1b-instruct", adapter=f"rank={typed}", runtime="vllm")["adapter"]
    assert found.bytes == 16 * slot * sides * 2
    assert found.how == "assumed"
    assert found.high_bytes > found.bytes


@pytest.mark.parametrize(
    ("model", "made", "why"),
    [
        ("llama-3.2-1b-instruct", {"rank": 8}, "rank 8, and its adapter_config.json says r = 16"),
        ("llama-3.2-1b-instruct", {"peft_type": "IA3"}, "of the type IA3"),
        (
            "llama-3.2-1b-instruct",
            {"shapes": {}, "base_model_name_or_path": "Qwen/Qwen3-8B"},
            "holds no weights",
        ),
        (
            "llama-3.2-1b-instruct",
            {"shapes": {"other": (8, 8)}, "base_model_name_or_path": "Qwen/Qwen3-8B"},
            r"architecture qwen3\), and .* is llama",
        ),
    ],
)
def test_what_peft_trained_on_another_model_is_refused(
    model: str, made: dict[str, Any], why: str, tmp_path: Path
) -> None:
    """peft compares shapes while it loads (huggingface/peft#460: "size mismatch"); a layer that is not there would go unused."""
    peft(tmp_path, **made)
    with pytest.raises((SpecError, WorkloadError), match=why):
        needs_of(model, adapter=str(tmp_path), runtime="transformers")


def test_half_a_pair_is_a_damaged_adapter(tmp_path: Path) -> None:
    """One matrix without the other changes nothing."""
    write_adapter(tmp_path, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
    with pytest.raises(SpecError, match="not the other matrix"):
        needs_of("llama-3.2-1b-instruct", adapter=str(tmp_path), runtime="transformers")


def test_modules_whose_tensors_are_fused_are_not_compared(tmp_path: Path) -> None:
    """What the specs list otherwise than the modules have it decides nothing: GLM-4's gate and up are one tensor."""
    peft(
        tmp_path,
        shapes={"mlp.up_proj": (13696, 4096)},
        base_model_name_or_path="THUDM/GLM-4-9B-0414",
    )
    assert "adapter" in terms("glm-4-9b-0414", adapter=str(tmp_path), runtime="transformers")


def test_the_command_to_type_carries_draft_and_adapter(tmp_path: Path) -> None:
    """ggml-org/llama.cpp 0c1e570, common/arg.cpp: -hfd, --spec-type draft-mtp, --lora."""
    adapter(tmp_path / "mine.gguf", 16)
    drafted = check(
        "llama-3.3-70b-instruct",
        Workload(draft="llama-3.2-1b", min_tokens_per_second=0),
        machine=MACHINE,
    )
    assert any(
        " -hfd " in line and ":Q4_K_M" in line.split(" -hfd ")[1] for line in drafted.commands
    ), drafted.commands
    adapted = check(
        "llama-3.2-1b-instruct", Workload(adapter=str(tmp_path / "mine.gguf")), machine=MACHINE
    )
    assert any(f" --lora {tmp_path / 'mine.gguf'}" in line for line in adapted.commands)
    # a line that would load the model alone is not printed
    assert not any(line.startswith("ollama") for line in (*drafted.commands, *adapted.commands))


def test_a_context_beyond_the_training_carries_the_scaling_that_is_documented() -> None:
    """Model card of Qwen3 8B: YaRN over 32,768 tokens, factor 4; Ollama cannot be told, so no line of it is printed."""
    long = check(
        "qwen3-8b", Workload(context_tokens=100_000, min_tokens_per_second=0), machine=MACHINE
    )
    assert [line.split("-np 1 ")[1] for line in long.commands] == [
        "--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 32768"
    ]
    assert not any("yarn" in line for line in check("qwen3-8b", machine=MACHINE).commands)


def test_what_is_loaded_once_lies_on_one_device() -> None:
    """Three cards share the layers of a model; a projector, a draft and a block are not loaded three times."""
    card = Accelerator(
        vendor="nvidia",
        name="a card",
        memory_total_bytes=24 * GIB,
        memory_free_bytes=24 * GIB,
        unified=False,
    )
    three = MACHINE.replace(accelerators=(card, card, card))
    placed = check(
        "qwen2.5-vl-72b-instruct", Workload(min_tokens_per_second=0), machine=three
    ).needs
    assert placed is not None
    assert placed.memory is not None
    assert len({term.where for term in placed.memory.terms if term.name == "weights"}) == 3
    assert len([term for term in placed.memory.terms if term.name == "projector"]) == 1


def test_the_lines_of_companions_give_their_bytes() -> None:
    """Whoever types the line of a draft model, a block or an adapter into a calculator gets its bytes."""
    seen, asking = set(), [
        ("llama-3.3-70b-instruct", Workload(draft="llama-3.2-1b", parallel=2)),
        ("glm-4.5-air", Workload(draft="mtp")),
        ("mistral-7b-instruct-v0.3", Workload(adapter="rank=16")),
        ("qwen3.5-9b", Workload(draft="mtp", parallel=3)),
    ]  # fmt: skip
    shelf = Catalogue.open()
    for program, (model, workload) in product(
        ("llama.cpp", "ollama", "transformers", "vllm", "mlx"), asking
    ):
        try:
            needs = ask(shelf.spec(model), workload.replace(runtime=program), shelf, MACHINE).needs
        except WorkloadError:
            continue
        for term in needs.memory.terms if needs is not None and needs.memory is not None else ():
            seen.add(term.name.partition("_")[0])
            assert abs(calculate(term.arithmetic) - term.bytes) < 2, (program, term)
    assert {"draft", "mtp", "adapter", "projector"} <= seen


# ------------------------------------------------------------------ pictures


def test_reading_a_picture_takes_what_llama_cpp_reserves() -> None:
    """`CPU compute buffer size` that tools/mtmd/clip.cpp (0c1e570) prints for an encoder of these widths, at load and at its largest."""
    for model, reserved_mib, largest_mib in (
        ("gemma-3-27b-it", 121.25, 121.25),
        ("qwen2.5-vl-7b-instruct", 704.79, 1893.03),
        ("qwen3-vl-2b-instruct", 289.43, 560.25),
        ("qwen3-vl-32b-instruct", 312.67, 605.25),
        ("mistral-small-3.2-24b-instruct-2506", 64.62, 257.84),
        ("llava-1.5-7b", 23.80, 23.80),
        ("qwen3.5-9b", 248.10, 480.25),
        ("gemma-4-12b-it", 13.53, 57.46),
        ("minimax-m3", 60.30, 135.69),
        ("mistral-medium-3.5-128b", 112.05, 446.72),
        ("gemma-3n-e4b-it", 556.90, 556.90),
        ("mistral-large-3-675b-instruct-2512", 111.74, 446.09),
    ):
        made = terms(model)
        found = made["projector_compute"]
        assert (found.low_bytes, found.high_bytes) == (0, found.bytes * 6 // 5)
        assert found.bytes / 2**20 <= largest_mib + 0.006, model
        # a device holds what is reserved at load, or what the picture takes, where that is more
        there = terms_on(Device(), model)["projector_compute"]
        assert there.bytes / 2**20 == pytest.approx(
            max(reserved_mib, found.bytes / 2**20), abs=0.006
        ), model
        largest = re.search(r"([\d,]+) for one of [\d,]+ × [\d,]+, the most", found.arithmetic)
        most = int(largest[1].replace(",", "")) if largest else found.bytes
        assert most / 2**20 == pytest.approx(largest_mib, abs=0.006), model
    # for a picture of 1,008 × 1,008
    assert terms("qwen2.5-vl-3b-instruct")["projector_compute"].bytes == 421_531_776


def test_a_picture_takes_the_buffer_of_its_size_and_up_to_a_fifth_more() -> None:
    """Whole runs with a Pixtral's encoder: they grow with the picture as its buffer does, and not above 896 × 896."""
    peaks = {int(side): peak for side, peak in MEASURED["pictures"]["peak_bytes"].items()}
    term = terms("mistral-small-3.2-24b-instruct-2506")["projector_compute"]
    for side in (448, 672, 896):
        grown = term.bytes * (side**2 - 224**2) // 896**2
        assert grown <= peaks[side] - peaks[224] <= 1.25 * grown
    assert peaks[896] - peaks[224] <= term.bytes * 1.2
    assert peaks[1500] == pytest.approx(peaks[896], rel=0.001)


def test_a_picture_that_takes_much_more_than_the_one_counted_is_told() -> None:
    """Qwen2.5-VL 3B: 1,984,987,136 bytes for 1,792 × 1,792, as clip.cpp prints, and 421,531,776 for 1,008 × 1,008."""
    told = [
        note
        for note in check("qwen2.5-vl-3b-instruct", machine=MACHINE).notes
        if "megapixel" in note
    ]
    more = (1_984_987_136 - 421_531_776) / 2**30
    assert told == [
        f"The memory is for an image of one megapixel; one of 1,792 × 1,792 or more needs {more:.2f} GiB more."
        " To limit that, start llama-server with --image-max-tokens N."
    ]
    for model in ("gemma-3-27b-it", "qwen3-vl-32b-instruct"):
        assert not [note for note in check(model, machine=MACHINE).notes if "megapixel" in note]


def test_every_model_that_sees_says_what_a_picture_takes() -> None:
    """Of every one in the catalogue that llama.cpp runs it was measured, or is a range that says that it was not; of Mistral Large 3 with a shape that is
    assumed: its publisher states but the parameters of the encoder."""
    shelf = Catalogue.open()
    assumed = set()
    for id in shelf.ids():
        spec = shelf.spec(id)
        if (
            spec.parameters.encoders
            and spec.modality == "vision"
            and spec.architecture is not None
            and spec.architecture.runs_in_gguf
            and (not spec.runtimes or "llama.cpp" in spec.runtimes)
        ):
            term = terms(id)["projector_compute"]
            assert term.low_bytes <= term.bytes <= term.high_bytes
            if term.how == "assumed":
                assumed.add(id)
                if id != "mistral-large-3-675b-instruct-2512":
                    assert "was not measured" in term.source
                    assert term.low_bytes < term.bytes < term.high_bytes
    assert "mistral-large-3-675b-instruct-2512" in assumed
    assert len(assumed) < 0.5 * sum(shelf.spec(id).modality == "vision" for id in shelf.ids())


def test_an_encoder_nobody_measured_is_assumed_with_a_range_as_wide_as_those_that_were() -> None:
    shelf = Catalogue.open()
    question = ask(
        shelf.spec("gemma-3-4b-it").replace(family="unheard-of"), Workload(), shelf, MACHINE
    )
    assert question.needs is not None
    assert question.needs.memory is not None
    found = next(term for term in question.needs.memory.terms if term.name == "projector_compute")
    assert found.how == "assumed"
    assert found.low_bytes == 0
    assert found.high_bytes >= 1_984_987_136


@pytest.mark.parametrize("runtime", ["llama.cpp", "transformers", "vllm"])
@pytest.mark.parametrize("beside", ["vision_config", "audio_config"])
def test_an_encoder_of_unknown_size_is_no_encoder_of_no_size(
    runtime: str, beside: str, tmp_path: Path
) -> None:
    """A language model of known tensors beside an encoder of its publisher's own code."""
    values = {
        "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 128000, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", beside: {"depth": 32, "hidden_size": 1280},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    shelf = Catalogue.open()
    spec = read_local(tmp_path, shelf.common("architectures")).spec
    found = ask(spec, Workload(runtime=runtime), shelf, MACHINE).needs
    assert found is not None
    # 32 layers with 12 matrices of the width's square each: 629 million
    assert spec.parameters.encoders == pytest.approx(32 * 12 * 1280**2, rel=0.1)
    # of the 7.6 billion of the language model and these
    assert spec.parameters.total == pytest.approx(7.62e9 + 32 * 12 * 1280**2, rel=0.01)
    assert found.memory is not None


def test_every_model_that_sees_counts_what_it_sees_with() -> None:
    """No shipped vision model has a total in memory without its encoder."""
    shelf = Catalogue.open()
    for spec in shelf.specs():
        if spec.modality == "vision" and spec.architecture is not None:
            assert spec.parameters.encoders, spec.id


def test_llama_cpp_python_computes_without_flash_attention_and_reserves_a_whole_batch() -> None:
    """0.3.36, llama_cpp/llama.py: flash_attn=False, n_outputs_max left at 0 with n_batch=512: 32 heads × 4 bytes of scores for each
    cell of a batch, and logits of 512 tokens where those are more.
    """
    here = terms("llama-3.1-8b-instruct", runtime="llama-cpp-python", context_tokens=16_384)[
        "compute"
    ]
    server = terms("llama-3.1-8b-instruct", runtime="llama.cpp", context_tokens=16_384)["compute"]
    assert here.bytes > 512 * 16_384 * 32 * 4 > 5 * server.bytes
    briefly: dict[str, Any] = {"runtime": "llama-cpp-python", "context_tokens": 512}
    short = terms("llama-3.1-8b-instruct", **briefly)["compute"]
    on_device = terms_on(Device(), "llama-3.1-8b-instruct", **briefly)["compute"]
    assert on_device.bytes >= 512 * 128_256 * 4 > short.bytes
    assert (
        needs_of("llama-3.1-8b-instruct", runtime="llama-cpp-python", kv_cache_type="q8_0").memory
        is None
    )


def test_an_encoder_is_started_with_a_batch_for_a_whole_text(tmp_path: Path) -> None:
    """llama.cpp, tools/server/README.md: -b and -ub, 2048 and 512 unless told; src/llama-context.cpp wants n_ubatch >= n_tokens.
    Without --embedding the server answers that it does not support embeddings."""
    text = (SPECS / "bge-m3.toml").read_text(encoding="utf-8")
    files = '[[files]]\nformat = "gguf"\nrepository = "someone/bge-m3-GGUF"\nbytes = { F16 = 1_160_000_000 }\nsource = "a listing"\n'
    (tmp_path / "bge-m3.toml").write_text(text + files, encoding="utf-8")
    long, short = (
        check(
            "bge-m3",
            Workload(context_tokens=tokens, runtime="llama.cpp"),
            machine=MACHINE,
            specs=[tmp_path],
        )
        for tokens in (8192, 512)
    )
    assert [line.split("-np 1")[1] for line in long.commands] == [" --embedding -b 8192 -ub 8192"]
    assert any(line.endswith("-np 1 --embedding") for line in short.commands)
