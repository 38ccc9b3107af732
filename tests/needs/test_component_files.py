"""Models of pictures and video whose components are files of their own, as ComfyUI loads them."""

from __future__ import annotations

import pytest

from judge.small import memory_of
from selfhost import Route, Workload, check

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("model", "quantization", "gigabytes"),
    [
        # ai-muninn.com, dgx-spark-zimage-turbo-nvfp4-bench: 20.6 GB on the disk
        pytest.param("z-image-turbo", "bfloat16", 20.6, id="16 bits"),
        # Comfy-Org/ComfyUI#6425: 11.9 and 4.9 GB; CLIP in 16 bits 0.246, the decoder 0.335
        pytest.param("flux.1-dev", "fp8", 11.9 + 4.9 + 0.246 + 0.335, id="8 bits"),
    ],
)
def test_the_files_are_as_large_as_published(
    model: str, quantization: str, gigabytes: float
) -> None:
    """A component in the type asked for, small ones in 16 bits, a decoder in 16 or 32."""
    workload = Workload(runtime="comfyui", quantization=quantization)
    verdict = check(model, workload, machine="server-8x-h100")
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == pytest.approx(gigabytes * GB, rel=0.03)


@pytest.mark.parametrize(
    ("model", "gigabytes"),
    [
        # Comfy-Org/ComfyUI#11802: 21,717, 11,688 and 160 MiB were loaded
        pytest.param("flux.2-dev", 35.2, id="a large encoder"),
        # Comfy-Org/z_image_turbo: 4,509,509,600 bytes, the encoder in fp4_mixed 3,479,416,193, the
        # decoder 335,304,388
        pytest.param("z-image-turbo", 8.324, id="a small encoder"),
        # ai-muninn.com, dgx-spark-zimage-turbo-nvfp4-bench: the encoder in fp8_mixed
        pytest.param("z-image-turbo", 10.4, id="an encoder in 8 bits"),
    ],
)
def test_a_picture_in_nvfp4_weighs_what_its_makers_files_do(
    model: str, gigabytes: float
) -> None:
    workload = Workload(runtime="comfyui", quantization="nvfp4")
    needs = check(model, workload, machine="RTX 5090, 64GB RAM").needs
    assert needs is not None
    assert needs.files is not None
    assert needs.files.low_bytes < gigabytes * GB < needs.files.high_bytes
    assert needs.files.bytes == pytest.approx(gigabytes * GB, rel=0.25)


@pytest.mark.parametrize(
    ("quantization", "denoiser_bytes"),
    [
        # the files of city96/FLUX.1-dev-gguf
        pytest.param("Q8_0", 12_708_281_504, id="8 bits"),
        pytest.param("Q4_K_S", 6_805_988_640, id="4 bits"),
        pytest.param("Q2_K", 4_032_341_280, id="2 bits"),
    ],
)
def test_gguf_files_are_judged_with_the_nodes_that_load_them(
    quantization: str, denoiser_bytes: int
) -> None:
    """city96/ComfyUI-GGUF, README.md: T5 in Q8_0 (4,762,310,656 numbers of 34/32 bytes) or in
    safetensors, CLIP and the decoder as they are.
    """
    workload = Workload(runtime="comfyui", quantization=quantization)
    verdict = check("flux.1-dev", workload, machine="RTX 3090, 64GB RAM")
    assert verdict.route is Route.LOCAL
    assert verdict.needs is not None
    files = verdict.needs.files
    assert files is not None
    listed = denoiser_bytes + 4_762_310_656 * 34 / 32 + 0.246 * GB + 0.335 * GB
    assert files.low_bytes < listed < files.high_bytes
    assert files.bytes == pytest.approx(listed, rel=0.03)
    assert "pip install gguf" in verdict.setup
    assert "ComfyUI-GGUF" in verdict.commands[-1]


def test_fp8_is_a_type_of_comfyui_where_nobody_names_a_program() -> None:
    """Comfy-Org/ComfyUI#10852: people run Qwen-Image in fp8 on 24 GB."""
    verdict = check(
        "qwen-image", Workload(quantization="fp8"), machine="RTX 3090, 64GB RAM"
    )
    assert verdict.workload.runtime == "comfyui"
    assert verdict.route is Route.LOCAL


@pytest.mark.parametrize(
    ("model", "machine"),
    [
        # smeltcore.com, FLUX.2 klein 4B on an RTX 3060: 8.4 GB at the peak
        pytest.param("flux.2-klein-4b", "RTX 3060 12GB, 32GB RAM", id="a picture"),
        # the tutorial of docs.comfy.org: 8 GB are enough with parts in RAM
        pytest.param("wan2.2-ti2v-5b", "RTX 4060, 32GB RAM", id="a clip"),
        # Comfy-Org/ComfyUI#12334: loaded partially
        pytest.param("flux.1-dev", "RTX 3060 12GB, 32GB RAM", id="in part"),
    ],
)
def test_what_people_run_runs(model: str, machine: str) -> None:
    """Parts wait in RAM where the GPU does not hold all of the model."""
    workload = Workload(runtime="comfyui", quantization="fp8")
    assert check(model, workload, machine=machine).can_run


def test_sixteen_gigabytes_of_ram_are_too_few_for_flux() -> None:
    """Comfy-Org/ComfyUI#12334: with 16 GB of RAM it swapped for 10 to 20 minutes."""
    workload = Workload(runtime="comfyui", quantization="fp8")
    verdict = check("flux.1-dev", workload, machine="RTX 3060 12GB, 16GB RAM")
    assert "memory" in verdict.failed


def test_no_pace_is_told_where_a_component_lies_in_part_on_the_gpu() -> None:
    """How fast the rest comes to the GPU was not measured; a GPU that holds all has a pace."""
    workload = Workload(runtime="comfyui", quantization="fp8")
    in_part = check("flux.1-dev", workload, machine="RTX 3060 12GB, 32GB RAM")
    assert in_part.speed is not None
    assert in_part.speed.work is None
    assert "not measured" in in_part.speed.how
    whole = check("flux.1-dev", workload, machine="RTX 5090, 64GB RAM")
    assert whole.speed is not None
    assert whole.speed.work is not None
    terms = memory_of(whole).terms
    on_card = sum(term.bytes for term in terms if term.where != "host")
    assert on_card > 17 * GB
