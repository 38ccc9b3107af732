"""Models of pictures and video in GGUF files, as stable-diffusion.cpp loads them."""

from __future__ import annotations

import re

import pytest

from selfhost import Route, Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.machine.changes import apply
from selfhost.machine.named import machine_named
from selfhost.machine.record import Machine
from selfhost.needs import needs_of, parts_of

CATALOGUE = open_catalogue()
RUNTIME = CATALOGUE.runtime("stable-diffusion.cpp")
ROWS = CATALOGUE.common("architectures")
# bytes of published files of the denoiser: city96/Qwen-Image-gguf and leejet/Z-Image-Turbo-GGUF as
# programs that download them list them; city96/FLUX.1-dev-gguf in GB as its page rounds them
PUBLISHED = {
    ("qwen-image", "Q8_0"): 21_761_817_120,
    ("qwen-image", "Q6_K"): 16_824_990_240,
    ("qwen-image", "Q4_K_S"): 12_140_608_032,
    ("z-image-turbo", "Q8_0"): 6_577_440_704,
    ("flux.1-dev", "Q4_K_S"): 6_810_000_000,
    ("flux.1-dev", "Q5_K_S"): 8_290_000_000,
}


def machine(gpu: str, ram: str) -> Machine:
    """A Linux computer with that GPU and that much RAM."""
    base = machine_named("desktop-ryzen-7700-32gb")
    return apply(base, [f"memory={ram}", "disk=300GB"], [gpu])


@pytest.mark.parametrize(("model", "kind"), PUBLISHED)
def test_a_published_file_lies_in_the_range(model: str, kind: str) -> None:
    workload = Workload(runtime=RUNTIME.id, format="gguf", quantization=kind)
    needs = needs_of(CATALOGUE.spec(model), RUNTIME, workload, ROWS)
    component_at_a_time = needs.offloaded[0]
    denoiser = component_at_a_time.device[0]
    assert denoiser.low_bytes <= PUBLISHED[model, kind] <= denoiser.high_bytes


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


def test_a_conversion_of_somebody_else_needs_no_login() -> None:
    """FLUX.1 [dev] is gated; the conversions are not (city96/FLUX.1-dev-gguf)."""
    verdict = check("flux.1-dev", machine=machine("RTX 3060", "32GiB"))
    assert not any("login" in line for line in verdict.setup)


def test_a_type_of_gguf_files_is_taken_by_the_program_that_loads_them() -> None:
    asked = Workload(quantization="Q4_K_S")
    verdict = check("flux.1-dev", asked, machine=machine("RTX 4090", "64GiB"))
    assert (verdict.workload.runtime, verdict.workload.quantization) == (RUNTIME.id, "Q4_K_S")
