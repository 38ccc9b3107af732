"""Options of llama.cpp that say how a model is shared out over GPUs, and its cache over users."""

from __future__ import annotations

import pytest

from helpers.machines import machine_with
from helpers.needs_of import asked, catalogue, runtime, terms
from selfhost import check
from selfhost.core.errors import WorkloadError
from selfhost.core.workload import Workload
from selfhost.judge.record import Verdict
from selfhost.machine.named import named

TWO_GPUS = "2x RTX 3090"


def judged(model: str = "qwen3-8b", **options: str) -> Verdict:
    return check(model, machine=TWO_GPUS, runtime_options=options)


def layers_on(verdict: Verdict, place: str) -> str:
    """The share of the layers whose cache lies there, as its arithmetic begins."""
    assert verdict.needs is not None
    for term in verdict.needs.terms:
        if term.name == "kv_cache" and term.where == place:
            return term.arithmetic.partition(" of the layers")[0]
    return "none"


@pytest.mark.parametrize(
    ("proportions", "first", "second"),
    [
        # of 36 layers and the output matrix as one more, llama.cpp gives the first GPU those whose
        # number is below its share of 37 (src/llama-model.cpp, load_tensors): 27.75, so 28
        pytest.param("3,1", "28/36", "8/36", id="three to one"),
        pytest.param("75,25", "28/36", "8/36", id="in per cent"),
        pytest.param("0.5,0.5", "19/36", "17/36", id="with decimals"),
        pytest.param("0,1", "none", "36/36", id="nothing on the first"),
        pytest.param("1", "36/36", "none", id="one number for two GPUs"),
    ],
)
def test_proportions_say_how_many_layers_each_gpu_has(
    proportions: str, first: str, second: str
) -> None:
    verdict = judged(ts=proportions)
    assert verdict.route == "local"
    assert layers_on(verdict, "accelerator:0") == first
    assert layers_on(verdict, "accelerator:1") == second
    assert f"-ts {proportions}" in verdict.commands[-1]


def test_what_is_told_to_fit_one_gpu_is_judged_as_told() -> None:
    """llama.cpp moves nothing to another place where -ts is set (common/fit.cpp)."""
    assert check("qwen3-32b", machine=TWO_GPUS).placement == "accelerator"
    verdict = check(
        "qwen3-32b",
        machine=TWO_GPUS,
        quantization="Q6_K",
        kv_cache_type="f16",
        runtime_options={"ts": "9,1"},
    )
    assert not verdict.fits


def test_one_gpu_alone_is_named_once_in_the_command() -> None:
    command = judged(sm="none").commands[-1]
    assert command.count("-sm ") == 1
    assert "-sm none -mg 0" in command


def test_shares_of_gpus_are_refused_where_one_gpu_holds_the_model() -> None:
    """docs/multi-gpu.md of llama.cpp: with -sm none no other GPU is used."""
    with pytest.raises(
        WorkloadError, match="ts changes nothing: in the split mode none one GPU"
    ):
        judged(ts="3,1", sm="none")
    assert judged(ts="3,1", sm="layer").route == "local"


def test_a_model_that_one_gpu_holds_lies_on_both_where_that_is_asked() -> None:
    usual = check("qwen3-8b", machine=TWO_GPUS)
    assert layers_on(usual, "accelerator:1") == "none"
    verdict = judged(sm="layer")
    assert layers_on(verdict, "accelerator:0") == "19/36"
    assert layers_on(verdict, "accelerator:1") == "17/36"
    assert "-sm layer" in verdict.commands[-1]


@pytest.mark.parametrize(
    ("model", "mode", "options"),
    [
        pytest.param("qwen3-8b", "row", {}, id="rows"),
        pytest.param("molmo-7b-d-0924", "row", {}, id="rows of a vision model"),
        pytest.param("molmo-7b-d-0924", "tensor", {}, id="no tensors known"),
        pytest.param("qwen3-8b", "tensor", {"ngl": "9"}, id="layers in RAM"),
        pytest.param("deepseek-v4-flash", "tensor", {}, id="compressed attention"),
        pytest.param(
            "rwkv7-goose-world3-2.9b", "tensor", {}, id="states of another kind"
        ),
        pytest.param("bge-m3", "tensor", {}, id="an encoder"),
    ],
)
def test_a_way_that_is_not_computed_is_unknown_with_its_reason(
    model: str, mode: str, options: dict[str, str]
) -> None:
    verdict = check(
        model,
        machine=TWO_GPUS,
        runtime="llama.cpp",
        runtime_options={"sm": mode, **options},
    )
    assert verdict.route == "unknown"
    memory = next(found for found in verdict.findings if found.check == "memory")
    assert f"-sm {mode}" in memory.reason
    assert memory.remedy == f"leave out --runtime-option sm={mode}"


def bytes_on(verdict: Verdict, place: str) -> dict[str, int]:
    """The likely bytes of each term there."""
    assert verdict.needs is not None
    terms = [term for term in verdict.needs.terms if term.where == place]
    return {term.name: term.bytes for term in terms}


def test_each_gpu_has_a_part_of_every_layer() -> None:
    """src/llama-model.cpp: half of the heads, with their cache; the compute buffer is whole on each
    (ggml/src/ggml-backend-meta.cpp).
    """
    verdict = judged(sm="tensor")
    assert verdict.route == "local"
    assert "-sm tensor" in verdict.commands[-1]
    first = bytes_on(verdict, "accelerator:0")
    assert first == bytes_on(verdict, "accelerator:1")
    # 36 layers × 4 of 8 KV heads × 128 × keys and values × 2 bytes × 4,096 tokens
    assert first["kv_cache"] == 36 * 4 * 128 * 2 * 2 * 4096
    alone = bytes_on(check("qwen3-8b", machine=TWO_GPUS), "accelerator:0")
    assert first["compute"] > alone["compute"]
    assert 0.5 < first["weights"] / alone["weights"] < 0.51


def test_proportions_say_how_large_the_part_of_each_gpu_is() -> None:
    verdict = judged(sm="tensor", ts="3,1")
    first = bytes_on(verdict, "accelerator:0")
    second = bytes_on(verdict, "accelerator:1")
    assert first["kv_cache"] == 3 * second["kv_cache"]


def test_what_no_gpu_has_room_for_does_not_run_in_ram() -> None:
    """common/fit.cpp changes nothing for tensor parallelism, so that the load fails."""
    verdict = check(
        "llama-3.3-70b",
        machine="2x RTX 3060 12GB, 128 GB RAM",
        runtime="llama.cpp",
        runtime_options={"sm": "tensor"},
    )
    assert verdict.route == "api"
    assert verdict.placement == "accelerator"


def test_one_gpu_without_room_leaves_nothing_to_ram() -> None:
    """common/fit.cpp changes nothing for tensor parallelism, on one device neither."""
    verdict = check(
        "llama-3.3-70b",
        machine="RTX 3090, 128 GB RAM",
        runtime="llama.cpp",
        runtime_options={"sm": "tensor"},
    )
    assert verdict.route == "api"
    assert verdict.placement == "accelerator"


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("Ryzen 7 5800X, 32 GB RAM", id="no GPU"),
        pytest.param("MacBook Pro 2019 16GB", id="a GPU of a Mac that no build uses"),
    ],
)
def test_without_a_gpu_no_tensor_is_split(machine: str) -> None:
    """src/llama.cpp: "LLAMA_SPLIT_MODE_TENSOR needs >= 1 devices", and nothing is loaded."""
    verdict = check(
        "qwen3-8b",
        machine=machine,
        runtime="llama.cpp",
        runtime_options={"sm": "tensor"},
    )
    found = next(found for found in verdict.findings if found.check == "accelerator")
    assert found.outcome == "fail"
    assert found.code == "accelerator-missing"
    assert found.remedy is not None
    assert found.remedy.startswith("leave out --runtime-option sm=tensor")


@pytest.mark.parametrize(
    ("machine", "device", "outcome"),
    [
        pytest.param("RTX 4090, 64 GB of RAM", "SYCL0", "fail", id="another maker"),
        pytest.param("MacBook Pro M4 24GB", "Vulkan0", "fail", id="no build for Macs"),
        pytest.param("Ryzen 5 5600, 32 GB of RAM", "Vulkan0", "fail", id="no GPU"),
        pytest.param("Arc B580, 64 GB of RAM", "SYCL0", "pass", id="its maker"),
        pytest.param("RTX 4090, 64 GB of RAM", "Vulkan0", "pass", id="any maker"),
        pytest.param("64 GB of RAM, 8GB VRAM", "SYCL0", "pass", id="unknown maker"),
        pytest.param("RTX 4090, 64 GB of RAM", "CUDA0", "pass", id="CUDA"),
        pytest.param("RX 7900 XTX, 64 GB of RAM", "CUDA0", "fail", id="no CUDA"),
        pytest.param("RX 7900 XTX, 64 GB of RAM", "ROCm0", "pass", id="ROCm"),
        pytest.param("Ryzen 5 5600, 32 GB of RAM", "none", "pass", id="no device"),
    ],
)
def test_a_device_that_the_machine_lacks_is_no_place_to_run(
    machine: str,
    device: str,
    outcome: str,
) -> None:
    """common/arg.cpp ends with "invalid device" for a name that no backend of the build has."""
    verdict = check(
        "qwen3-8b",
        machine=machine,
        runtime="llama.cpp",
        runtime_options={"dev": device},
    )
    found = next(found for found in verdict.findings if found.check == "accelerator")
    assert found.outcome == outcome


def test_a_device_of_a_machine_whose_gpus_were_not_read_is_not_known() -> None:
    """It said that the model runs."""
    verdict = check(
        "qwen3-8b",
        machine=named("Ryzen 5 5600, 32 GB of RAM").machine.replace(accelerators=None),
        runtime="llama.cpp",
        runtime_options={"dev": "SYCL0"},
    )
    assert verdict.route == "unknown"
    found = next(found for found in verdict.findings if found.check == "accelerator")
    assert found.code == "accelerator-unread"
    assert "SYCL0" in found.reason


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("i9-13900K 64GB RTX 3090", id="card"),
        pytest.param("MacBook Pro M4 24GB", id="GPU in the chip"),
    ],
)
def test_without_a_device_the_processor_computes(machine: str) -> None:
    """common/arg.cpp: `--device none`: "don't offload"."""
    without = check(
        "qwen3-8b",
        machine=machine,
        runtime="llama.cpp",
        quantization="Q4_K_M",
        runtime_options={"dev": "none"},
    )
    on_cpu = check(
        "qwen3-8b",
        machine=f"{machine} no gpu" if "M4" in machine else "i9-13900K 64GB no gpu",
        runtime="llama.cpp",
        quantization="Q4_K_M",
    )
    assert "-dev none" in without.commands[-1]
    assert without.route == "local"
    assert without.decode_tokens_per_second == on_cpu.decode_tokens_per_second
    assert without.waits == on_cpu.waits


def test_a_named_device_is_the_card_of_its_maker() -> None:
    """The Arc computes with SYCL, though the other card is larger and faster."""
    both = check(
        "qwen3-8b",
        machine="Arc B580, RTX 4090, 64 GB of RAM",
        runtime="llama.cpp",
        quantization="Q4_K_M",
        runtime_options={"dev": "SYCL0"},
    )
    assert both.needs is not None
    places = {term.where for term in both.needs.terms if term.name == "weights"}
    assert "accelerator:0" in places
    assert "accelerator:1" not in places


@pytest.mark.parametrize(
    "gpus",
    [
        pytest.param(16, id="as many as llama.cpp takes"),
        pytest.param(17, id="one more"),
        pytest.param(1000, id="a record of very many"),
    ],
)
def test_tensors_are_split_over_16_gpus_at_most(gpus: int) -> None:
    """ggml/src/ggml-backend-meta.cpp asserts no more than GGML_BACKEND_META_MAX_DEVICES, 16:
    the others are hidden from llama.cpp (tests/judge/test_many_cards.py has the command).
    """
    one = machine_with("NVIDIA GeForce RTX 3090")
    assert one.accelerators is not None
    verdict = check(
        "qwen3-8b",
        machine=one.replace(accelerators=one.accelerators * gpus),
        runtime="llama.cpp",
        runtime_options={"sm": "tensor"},
    )
    memory = next(found for found in verdict.findings if found.check == "memory")
    assert memory.outcome == "pass"
    assert verdict.needs is not None
    on_gpus = {term.where for term in verdict.needs.terms} - {"host"}
    assert on_gpus == {f"accelerator:{number}" for number in range(16)}


def test_a_mac_splits_tensors_on_its_one_device() -> None:
    verdict = check(
        "qwen3-8b",
        machine="macbook-pro-m4-max-48gb",
        runtime="llama.cpp",
        runtime_options={"sm": "tensor"},
    )
    assert verdict.route == "local"


def test_one_gpu_alone_is_judged_as_without_the_option() -> None:
    machine = "RTX 3090"
    alone = check("qwen3-8b", machine=machine, runtime="llama.cpp")
    asked = check(
        "qwen3-8b",
        machine=machine,
        runtime="llama.cpp",
        runtime_options={"sm": "tensor"},
    )
    assert asked.needs is not None
    assert alone.needs is not None
    assert asked.needs.terms == alone.needs.terms


def test_an_architecture_that_llamacpp_refuses_is_refused_with_its_name() -> None:
    """src/llama-arch.cpp, llm_arch_supports_sm_tensor."""
    with pytest.raises(WorkloadError, match="refuses -sm tensor for models of olmo2"):
        judged("olmo-2-13b", sm="tensor")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        pytest.param("sm", "tensr", "one of layer, none, row, tensor", id="slip"),
        pytest.param("ts", "a,b", "numbers with commas between them", id="no numbers"),
        pytest.param("ts", "0,0", "numbers with commas between them", id="nothing"),
        # llama.cpp refuses as many as its llama_max_devices, which is 16
        pytest.param("ts", ",".join("1" * 16), "up to 15 numbers", id="16 of them"),
        pytest.param("kv-unified", "no", "takes yes", id="no switch"),
    ],
)
def test_what_an_option_does_not_take_is_refused(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(WorkloadError, match=said):
        judged(**{name: value})


def test_a_cache_that_users_share_is_rounded_up_once() -> None:
    """llama.cpp rounds a context up to 256 cells (src/llama-context.cpp): of each of four users
    with 300 tokens, or of their 1,200 tokens together.
    """
    spec = catalogue().spec("qwen3-8b")
    cells = {}
    # the context that is stated is that of all where they share it, as -c is
    for option, tokens in (("kv-unified", 1200), ("no-kv-unified", 300)):
        needs = asked(
            spec,
            runtime("llama.cpp"),
            parallel=4,
            context_tokens=tokens,
            runtime_options={option: "yes"},
        )
        cache = terms(needs)["kv_cache"]
        # 36 layers × 1,024 numbers of keys and as many of values × 2 bytes
        cells[option] = cache.bytes / (36 * 2048 * 2)
    assert cells == {"kv-unified": 1280, "no-kv-unified": 4 * 512}


def test_a_context_that_users_share_is_kept_as_it_was_asked() -> None:
    """ggml-org/llama.cpp#21874: eight sequences share 100,000 tokens on a card of 24 GB, with -c
    100000; tools/server/README.md: --kv-unified, one buffer for all sequences.
    """
    workload = Workload(
        runtime="llama.cpp",
        quantization="UD-Q4_K_XL",
        context_tokens=100_000,
        parallel=8,
        kv_cache_type="q8_0",
        runtime_options={"ub": "2048", "kv-unified": "yes"},
    )
    verdict = check("gemma-4-26b-a4b", workload, machine="RTX 3090, 64GB RAM")
    assert verdict.route == "local"
    assert verdict.placement == "accelerator"
    assert "-c 100000 -np 8" in verdict.commands[-1]


def test_compressed_attention_shares_no_cache() -> None:
    """src/llama-kv-cache-dsv4.cpp keeps one for each sequence."""
    with pytest.raises(WorkloadError, match="a cache for each of its sequences"):
        judged("deepseek-v4-flash", **{"kv-unified": "yes"})
