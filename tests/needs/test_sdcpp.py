"""Models of pictures and video in GGUF files, as stable-diffusion.cpp loads them."""

from __future__ import annotations

import json
import re

import pytest

from helpers.each import each
from helpers.paths import TRUTH
from selfhost import Route, Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.catalogue.runtime import ComponentFile
from selfhost.core.errors import WorkloadError
from selfhost.machine.changes import apply
from selfhost.machine.named import machine_named
from selfhost.machine.record import Machine
from selfhost.needs import needs_of, parts_of, sdcpp

CATALOGUE = open_catalogue()
RUNTIME = CATALOGUE.runtime("stable-diffusion.cpp")
ROWS = CATALOGUE.common("architectures")
# of these another share of the weights than the rule knows stays in 16 bits
LISTED_WHOLE = ("flux.2-klein-4b", "flux.2-klein-9b", "z-image", "z-image-turbo", "krea-2-turbo")
# bytes of published files of the denoiser, as programs that download them list them
PUBLISHED = {
    (parts.model, kind): size
    for parts in RUNTIME.parts
    for file in parts.files
    if not file.type
    for kind, size in file.bytes.items()
    if parts.model not in LISTED_WHOLE
}


def machine(gpu: str, ram: str) -> Machine:
    """A Linux computer with that GPU and that much RAM."""
    base = machine_named("desktop-ryzen-7700-32gb")
    return apply(base, [f"memory={ram}", "disk=300GB"], [gpu])


def denoiser(model: str) -> ComponentFile:
    """The file of the denoiser, the first of two."""
    (parts,) = (parts for parts in RUNTIME.parts if parts.model == model)
    return next(file for file in parts.files if not file.type)


@each(("model", "kind"), PUBLISHED)
def test_a_published_file_lies_in_the_range(model: str, kind: str) -> None:
    """By the rule alone: without the sizes that are listed. A Q4_K_M of Wan 2.2 was told as 10 %
    less than it is.
    """
    unlisted = denoiser(model).replace(bytes={})
    sizes = sdcpp.size_of(unlisted, CATALOGUE.spec(model).components, kind)
    assert sizes.low <= PUBLISHED[model, kind] <= sizes.high
    assert sizes.high <= 1.25 * sizes.low


def test_no_size_is_computed_where_the_rule_does_not_hold() -> None:
    for parts in RUNTIME.parts:
        if parts.model in LISTED_WHOLE:
            assert set(parts.quantizations) == set(denoiser(parts.model).bytes), parts.model


def test_a_listed_size_is_told_as_it_is() -> None:
    listed = 13_065_746_976  # qwen-image-Q4_K_M.gguf of city96/Qwen-Image-gguf
    workload = Workload(runtime=RUNTIME.id, format="gguf", quantization="Q4_K_M")
    needs = needs_of(CATALOGUE.spec("qwen-image"), RUNTIME, workload, ROWS)
    weights = needs.offloaded[0].device[0]
    assert (weights.low_bytes, weights.bytes, weights.high_bytes) == (listed,) * 3


def test_every_model_names_components_that_it_has() -> None:
    """A file without its component would weigh nothing."""
    for parts in RUNTIME.parts:
        components = CATALOGUE.spec(parts.model).components
        assert {file.component for file in parts.files} == set(components), parts.model
        denoisers = [file for file in parts.files if "{quantization}" in file.file]
        assert denoisers, parts.model
        assert all((not file.type) == (file in denoisers) for file in parts.files), parts.model


@pytest.mark.parametrize(
    ("model", "gpu", "ram"),
    [
        # what people run so: city96 and QuantStack publish these files for GPUs of 8 to 24 GB
        ("wan2.2-t2v-a14b", "RTX 4090", "64GiB"),
        ("wan2.2-t2v-a14b", "RTX 3060", "32GiB"),
        ("qwen-image", "RTX 4090", "32GiB"),
        ("qwen-image", "RTX 3060", "32GiB"),
        ("flux.1-dev", "RTX 3070", "32GiB"),
        ("z-image-turbo", "RTX 3070", "32GiB"),
        ("flux.2-klein-4b", "RTX 4060", "16GiB"),
    ],
)
def test_a_gpu_that_holds_no_published_weights_has_a_way(model: str, gpu: str, ram: str) -> None:
    verdict = check(model, machine=machine(gpu, ram))
    assert verdict.route is Route.LOCAL
    assert verdict.workload.runtime == RUNTIME.id
    assert verdict.needs is not None
    assert verdict.needs.placement in ("accelerator", "split")
    (line,) = verdict.commands
    assert line.startswith("sd-cli ")
    # each file that the line loads is downloaded first
    for file in re.findall(r"models/(\S+)", line):
        assert any(text.endswith(f" {file} --local-dir models") for text in verdict.setup), file
    parts = parts_of(verdict.model, RUNTIME)
    assert parts is not None
    assert len(re.findall(r"models/", line)) == len(parts.files)


def _reserved() -> dict[str, dict[str, int]]:
    """What the program's allocator reserved, by model and size, of sdcpp_probe.cpp (in the project's history)."""
    runs = json.loads((TRUTH / "sdcpp.json").read_text(encoding="utf-8"))["reserved"]
    return {run["name"]: run for run in runs}


# graphs of the same shapes, and the decoders of each; the tile where it is not a picture of 256
SHAPES = {
    "flux.1-dev": ("flux.1-dev pixels=1024", "flux pixels=256"),
    "flux.1-schnell": ("flux.1-dev pixels=1024", "flux pixels=256"),
    "flux.2-dev": ("flux.2-dev pixels=1024", "flux.2 pixels=512"),
    "flux.2-klein-4b": ("flux.2-klein-4b pixels=1024", "flux.2 pixels=512"),
    "flux.2-klein-9b": ("flux.2-klein-9b pixels=1024", "flux.2 pixels=512"),
    "flux.1-krea-dev": ("flux.1-dev pixels=1024", "flux pixels=256"),
    "flux.1-kontext-dev": ("flux.1-kontext-dev pixels=1024", "flux pixels=256"),
    "chroma1-hd": ("chroma1-hd pixels=1024", "flux pixels=256"),
    "longcat-image": ("longcat-image pixels=1024", "flux pixels=256"),
    "krea-2-turbo": ("krea-2-turbo pixels=1024", "wan2.1, a picture pixels=256"),
    "qwen-image": ("qwen-image pixels=1024", "wan2.1, a picture pixels=256"),
    "qwen-image-2512": ("qwen-image pixels=1024", "wan2.1, a picture pixels=256"),
    "qwen-image-edit": ("qwen-image-edit pixels=1024", "wan2.1, a picture pixels=256"),
    "qwen-image-edit-2509": ("qwen-image-edit pixels=1024", "wan2.1, a picture pixels=256"),
    "qwen-image-edit-2511": ("qwen-image-edit pixels=1024", "wan2.1, a picture pixels=256"),
    "z-image": ("z-image-turbo pixels=1024", "flux pixels=256"),
    "z-image-turbo": ("z-image-turbo pixels=1024", "flux pixels=256"),
    "wan2.1-t2v-14b": ("wan2.1-t2v-14b 832x480 frames=33", "wan2.1, a tile of 256 frames=33"),
    "wan2.1-i2v-14b-480p": ("wan2.1-i2v-14b 832x480 frames=33", "wan2.1, a tile of 256 frames=33"),
    "wan2.1-i2v-14b-720p": ("wan2.1-i2v-14b 832x480 frames=33", "wan2.1, a tile of 256 frames=33"),
    "wan2.1-flf2v-14b-720p": (
        "wan2.1-flf2v-14b 832x480 frames=33",
        "wan2.1, a tile of 256 frames=33",
    ),
    "wan2.1-vace-14b": ("wan2.1-vace-14b 832x480 frames=33", "wan2.1, a tile of 256 frames=33"),
    "wan2.1-t2v-1.3b": ("wan2.1-t2v-1.3b 832x480 frames=33", "wan2.1, a tile of 256 frames=33"),
    "wan2.2-t2v-a14b": ("wan2.1-t2v-14b 832x480 frames=33", "wan2.1, a tile of 256 frames=33"),
    "wan2.2-i2v-a14b": ("wan2.2-i2v-a14b 832x480 frames=33", "wan2.1, a tile of 256 frames=33"),
    "wan2.2-ti2v-5b": ("wan2.2-ti2v-5b 832x480 frames=33", "wan2.2, a tile of 256 frames=33"),
}


def test_buffers_are_what_the_program_reserves() -> None:
    """For the size in the options, with --diffusion-fa and --vae-tiling as the command has it."""
    reserved = _reserved()
    assert "--diffusion-fa" in RUNTIME.command
    assert "--vae-tiling" in RUNTIME.command
    measured = [parts for parts in RUNTIME.parts if not parts.buffers_like]
    assert {parts.model for parts in measured} == set(SHAPES)
    for parts in measured:
        shape, decoder = SHAPES[parts.model]
        graph = reserved[f"{shape} flash=True"]
        assert parts.denoise_bytes == graph["compute_bytes"], parts.model
        assert parts.decode_bytes == reserved[f"vae of {decoder}"]["compute_bytes"], parts.model
        denoiser = CATALOGUE.spec(parts.model).components["transformer"]
        # the graph is that of the model: FLUX.1 [schnell] has no embedding of guidance
        assert denoiser == pytest.approx(graph["parameters"], rel=0.002), parts.model


@pytest.mark.parametrize("model", ["flux.1-kontext-dev", "chroma1-hd"])
def test_a_model_of_the_blocks_of_flux_runs_where_flux_does(model: str) -> None:
    """docs/kontext.md and docs/chroma.md of stable-diffusion.cpp: 24 GiB of RAM hold it, as FLUX.1 [dev]."""
    verdict = check(model, machine=machine_named("i5-12400 24gb"))
    assert (verdict.route, verdict.workload.runtime) == (Route.LOCAL, "stable-diffusion.cpp")


def test_the_graphs_laid_out_are_those_of_a_real_run() -> None:
    """What sd-cli printed while it made a picture of 256 pixels with Stable Diffusion 1.5."""
    printed = json.loads((TRUTH / "sdcpp.json").read_text(encoding="utf-8"))["printed"]
    reserved = _reserved()
    for name, line in (
        ("stable-diffusion-v1-5 pixels=256 flash=True", "unet compute buffer"),
        ("vae of sd pixels=256", "vae compute buffer"),
    ):
        assert reserved[name]["compute_bytes"] / 2**20 == pytest.approx(printed[line], abs=0.01)


def test_the_decoder_counts_where_it_takes_more_than_the_denoiser() -> None:
    """33 frames of Wan's decoder take 3.5 GB a tile, twice what a pass of its denoiser takes."""
    workload = Workload(runtime=RUNTIME.id, format="gguf", quantization="Q4_K_S")
    needs = needs_of(CATALOGUE.spec("wan2.2-ti2v-5b"), RUNTIME, workload, ROWS)
    assert needs.memory is not None
    compute = next(term for term in needs.memory.terms if term.name == "compute")
    assert compute.bytes > 3_000_000_000
    # one file at a time: the text encoder, or the decoder's small file and its buffer
    by_component = needs.offloaded[0].device
    assert sum(term.bytes for term in by_component) < needs.memory.total_bytes


def test_the_published_buffer_lies_in_the_range() -> None:
    """650 MiB for FLUX.1 and 768 × 768 pixels with --diffusion-fa (docs/performance.md)."""
    size = _reserved()["flux.1-dev pixels=768 flash=True"]["compute_bytes"]
    buffer = sdcpp.compute_term(size, "a pass of the denoiser", RUNTIME)
    assert buffer.low_bytes <= 650 * 2**20 <= buffer.high_bytes


def test_a_conversion_of_somebody_else_needs_no_login() -> None:
    """FLUX.1 [dev] is gated; the conversions are not (city96/FLUX.1-dev-gguf)."""
    verdict = check("flux.1-dev", machine=machine("RTX 3060", "32GiB"))
    assert not any("login" in line for line in verdict.setup)


def test_a_type_of_gguf_files_is_taken_by_the_program_that_loads_them() -> None:
    asked = Workload(quantization="Q4_K_S")
    verdict = check("flux.1-dev", asked, machine=machine("RTX 4090", "64GiB"))
    assert (verdict.workload.runtime, verdict.workload.quantization) == (RUNTIME.id, "Q4_K_S")


@pytest.mark.parametrize(
    ("model", "runtime", "available"),
    [
        # its repository of GGUF files has none in Q4_K_M, which a command was printed for
        ("flux.1-dev", RUNTIME.id, "Q4_K_S"),
        ("flux.1-dev", None, "Q4_K_S"),
        # nothing of it is known for stable-diffusion.cpp: it was told to run nowhere
        ("sdxl-base-1.0", None, "float16"),
    ],
)
def test_what_no_file_is_known_in_names_what_there_is(
    model: str, runtime: str | None, available: str
) -> None:
    with pytest.raises(WorkloadError) as caught:
        check(model, Workload(quantization="Q4_K_M", runtime=runtime), machine=Machine())
    assert available in (caught.value.problems[0].remedy or "")
