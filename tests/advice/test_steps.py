"""The lines to type work as typed: known flags alone, files that exist, and a gate only where there is one."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from helpers.machines import USUAL
from helpers.paths import TESTS
from selfhost import Machine, Verdict, Workload, check
from selfhost.advice.steps import Steps, steps
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.changes import apply
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import load
from selfhost.machine.record import PresentRuntime

FLAGS = tomllib.loads((TESTS / "advice" / "flags.toml").read_text(encoding="utf-8"))


@lru_cache
def machine(name: str) -> Machine:
    return load(name).machine


def all_steps(name: str, folder: Path) -> dict[str, Steps]:
    """Of every sixth model, where it runs on that machine: each model is that of one machine."""
    catalogue, lines = Catalogue.open(shipped=str(folder)), {}
    for spec_id in list(catalogue.ids())[USUAL.index(name) % 6 :: 6]:
        question = ask(catalogue.spec(spec_id), Workload(), catalogue, machine(name))
        judged = judge(question, machine(name))
        if judged.fits:
            lines[spec_id] = steps(question, judged, catalogue, machine(name))
    return lines


def on(name: str, spec_id: str, **workload: Any) -> Verdict:
    return check(spec_id, Workload(**workload), machine=machine(name))


IF_WELL = "; if ($?) { "


def programs(line: str) -> list[list[str]]:
    """The words of each program that a line starts, variables and comments left out."""
    if re.match(r"\$env:[A-Z_]+ = ", line):
        # an assignment of PowerShell: a cmdlet stands behind it, whose options are none of ours
        return []
    # PowerShell's `&&`
    line = line.removesuffix(" }" * line.count(IF_WELL)).replace(IF_WELL, " && ")
    words = shlex.split(line, comments=True)
    commands: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "|"):
            commands.append([])
        elif commands[-1] or not re.fullmatch(r"[A-Z_]+=.*|\$env:[A-Z_]+=.*;", word):
            # `;` ends a command of PowerShell, and stands within Python's own
            ends = word.endswith(";") and "python" not in commands[-1][:1]
            commands[-1].append(word.removesuffix(";") if ends else word)
            commands += [[]] * ends
    return [command for command in commands if command and command[0] != "sh"]


@pytest.mark.parametrize("name", USUAL)
def test_nearly_every_model_that_runs_has_a_command_of_known_flags(name: str, packed: Path) -> None:
    of_models = all_steps(name, packed)
    missing = [spec_id for spec_id, found in of_models.items() if not found.commands]
    assert len(missing) <= 0.05 * len(of_models), missing
    for spec_id, found in of_models.items():
        assert (found.commands_class is None) == (not found.commands)
        for line in (*found.setup, *found.commands):
            # zsh takes no comments at its prompt: there a quote in one would swallow the next line
            comment = line if line.startswith("#") else line.partition("  #")[1]
            assert comment == line * line.startswith("#"), line
            assert not set(comment) & set("'\"`"), line
        for command in (
            command for line in (*found.setup, *found.commands) for command in programs(line)
        ):
            program = command[0].removesuffix(".exe")
            if command[:2] == ["python", "-m"]:
                command = command[2:]
                program = command[0]
            elif program == "python" and command[1] != "-c":
                program = command[1].rpartition("/")[2].removesuffix(".py")
            flags = [word for word in command[1:] if re.match(r"--?[a-zA-Z]", word)]
            assert set(flags) <= set(FLAGS[program]["flags"]), (spec_id, command)


def test_lines_of_mlx_have_known_flags() -> None:
    """Of a model that is published, one that is converted, and one with code of its own."""
    for model in ("gpt-oss-20b", "pythia-70m", "chatglm3-6b"):
        verdict = check(model, Workload(runtime="mlx"), machine="mac-studio-m3-ultra-512gb")
        assert verdict.commands, model
        for line in (*verdict.setup, *verdict.commands):
            for command in programs(line):
                flags = {word for word in command if re.match(r"--?[a-zA-Z]", word)}
                assert flags <= set(FLAGS[command[0]]["flags"]), line


def test_a_file_without_the_tag_is_named() -> None:
    """llama.cpp does not fall back from an explicit tag, and this repository's file is phi-4-Q4_K.gguf."""
    line = on("macbook-air-m2-16gb", "phi-4", runtime="llama.cpp", quantization="Q4_K_M").commands[
        0
    ]
    assert "-hf microsoft/phi-4-gguf -hff phi-4-Q4_K.gguf " in line
    line = on("desktop-rtx3060-12gb", "phi-3-mini-4k-instruct", quantization="Q4_K_M").commands[0]
    assert "-hff Phi-3-mini-4k-instruct-q4.gguf " in line


@pytest.mark.parametrize(
    ("path", "words"),
    [
        # it may lie beside PATH
        ("~/.local/bin/llama", ["~/.local/bin/llama", "serve", "-hf"]),
        ("C:\\x\\llama-app\\llama.exe", ["llama", "serve", "-hf"]),
        ("/usr/bin/llama-server", ["llama-server", "-hf"]),
    ],
)
def test_a_launcher_that_is_here_starts_the_server(path: str, words: list[str]) -> None:
    """Where llama.cpp's installer put `llama` alone, no line names a program that is not there."""
    present = PresentRuntime(id="llama.cpp", path=path)
    here = machine("desktop-rtx4090-24gb").replace(runtimes=(present,))
    verdict = check("llama-3.2-1b", Workload(runtime="llama.cpp"), machine=here)
    assert verdict.commands[0].split()[: len(words)] == words


def test_a_program_that_was_asked_for_loads_the_file_that_is_published() -> None:
    """TheBloke's Q4_0 of Llama 2 7B Chat; it was run by Ollama alone."""
    asked = {"runtime": "llama.cpp", "quantization": "Q4_0"}
    (line,) = on("strix-halo-128gb", "llama-2-7b", **asked).commands[:1]
    assert line.startswith("llama-server -hf TheBloke/Llama-2-7B-Chat-GGUF:Q4_0 ")


def test_what_no_listing_shows_is_said() -> None:
    asked = {"runtime": "llama.cpp", "quantization": "Q4_K_M"}
    listed = on("desktop-rtx3060-12gb", "mistral-7b-instruct-v0.3", **asked)
    assert listed.commands_class == "listed"
    assert not any("verified" in line for line in listed.setup)
    unlisted = on("desktop-rtx3060-12gb", "openthinker-7b", **asked)
    assert unlisted.commands_class == "unlisted"
    assert any("not verified" in line for line in unlisted.setup)


def test_a_model_that_nobody_converted_is_converted_first() -> None:
    verdict = on("desktop-rtx3060-12gb", "bloom-7b1", runtime="llama.cpp", quantization="Q4_K_M")
    assert verdict.commands_class == "unlisted"
    if "-hf" not in verdict.commands[0]:
        assert "hf download bigscience/bloom-7b1 --local-dir bloom-7b1" in verdict.setup
        assert verdict.setup[-1].startswith("llama-quantize ")
        assert verdict.setup[-1].split()[2] in verdict.commands[0]


def test_a_gate_counts_only_where_the_files_are_behind_it() -> None:
    """bartowski's GGUF of Llama 3.1 needs no login; the publisher's own files do."""
    gguf = on(
        "desktop-rtx4090-24gb", "llama-3.1-8b-instruct", runtime="llama.cpp", quantization="Q4_K_M"
    )
    own = on("desktop-rtx4090-24gb", "llama-3.1-8b-instruct", runtime="transformers")
    codes = [verdict.finding("weights").code for verdict in (gguf, own)]  # type: ignore[union-attr]
    assert codes == ["weights-published", "weights-gated"]
    assert "hf auth login" in own.setup
    assert "hf auth login" not in gguf.setup


def test_a_gate_is_told_where_the_files_may_run_code_too() -> None:
    """pyannote's model card asks for the terms of two repositories to be accepted."""
    verdict = on("desktop-rtx4090-24gb", "speaker-diarization-3.1")
    assert "hf auth login" in verdict.setup
    told = " ".join(verdict.setup)
    for repository in ("pyannote/speaker-diarization-3.1", "pyannote/segmentation-3.0"):
        assert f"https://huggingface.co/{repository}" in told


def test_no_gate_stands_before_the_library_of_a_program() -> None:
    """Ollama's library asks nobody for Meta's terms or a login at Hugging Face, which its own line for Llama 3.1 405B named."""
    machine = load("server-8x-h100").machine
    by_library = check("llama-3.1-405b", Workload(runtime="ollama"), machine=machine)
    assert not any("hf auth login" in line for line in (*by_library.commands, *by_library.setup))
    of_publisher = check("llama-3.1-405b", Workload(runtime="vllm"), machine=machine)
    codes = [each.finding("weights").code for each in (by_library, of_publisher)]  # type: ignore[union-attr]
    assert codes == ["weights-published", "weights-gated"]


def test_on_linux_the_way_without_homebrew_is_said() -> None:
    """Releases hold ubuntu-cuda for NVIDIA GPUs (release.yml); the plain Ubuntu build has no GPU backend."""
    asked = {"runtime": "llama.cpp", "quantization": "Q4_K_M"}
    on_gpu, on_cpu, on_mac = (
        " ".join(on(name, "mistral-7b", **asked).setup)
        for name in ("desktop-rtx4090-24gb", "aws-m7i.2xlarge", "macbook-air-m2-16gb")
    )
    assert "ubuntu-cuda" in on_gpu
    assert "a release build: https://" in on_cpu
    assert "vulkan" not in on_cpu
    assert "releases" not in on_mac
    assert "-DGGML_CUDA=1" in " ".join(
        on("desktop-rtx4090-24gb", "whisper-small", runtime="whisper.cpp").setup
    )


def test_half_precision_files_are_fetched_where_they_are_judged() -> None:
    """The plain files of SDXL are 13.9 GB of float32; from_pretrained fetches them without variant."""
    name = "desktop-rtx4090-24gb"
    assert "variant='fp16'" in on(name, "sdxl", quantization="float16").commands[0]
    assert "variant" not in on(name, "sdxl", quantization="float32").commands[0]
    assert "variant" not in on("server-8x-h100", "flux.1-schnell").commands[0]


def test_a_model_that_ollama_has_is_not_converted() -> None:
    """Ollama has all-minilm:22m in F16, llava:7b and llava:13b in Q4_0, and the last in Q4_K_M under a
    longer tag (auditomatic/ollama-models-registry@31464bb); in IQ4_XS it has none.
    """
    name = "aws-m7i.2xlarge"
    found = on(name, "all-minilm-l6-v2", runtime="llama.cpp", quantization="F16")
    assert found.commands[-1].endswith("ollama run all-minilm:22m 'Hello'")
    assert not any("convert" in line or "nobody" in line for line in found.setup)
    longer = on(name, "llava-v1.6-vicuna-13b", runtime="llama.cpp", quantization="Q4_K_M")
    assert longer.commands[-1].endswith("ollama run llava:13b-v1.6-vicuna-q4_K_M")
    other = on(name, "llava-v1.6-mistral-7b", runtime="llama.cpp", quantization="IQ4_XS")
    assert "Q4_0" in other.setup[0]
    assert other.setup[0].endswith("ollama run llava:7b")
    assert not any("nobody" in line for line in other.setup)
    assert not any("ollama" in line for line in other.commands)


def test_each_program_says_by_what_its_options_were_verified() -> None:
    assert {program["verified"] for program in FLAGS.values()} == {"run", "help", "documentation"}
    assert all(program["source"] for program in FLAGS.values())


@pytest.mark.parametrize(
    ("model", "runtime", "machine"),
    [
        ("chatglm3-6b", "vllm", "rtx 4090"),
        ("deepseek-v3.1", "vllm", "server-8x-h200"),
        ("deepseek-v3.1", "mlx", "mac-studio-m3-ultra-512gb"),
        ("phi-4-multimodal-instruct", "transformers", "rtx 4090"),
    ],
)
def test_the_line_allows_the_code_that_the_answer_warns_of(
    model: str, runtime: str, machine: str
) -> None:
    """vLLM and transformers refuse a repository with code of its own unless they are told to trust it."""
    answer = check(model, Workload(runtime=runtime), machine=machine)
    assert any("runs code from the repository" in finding.reason for finding in answer.findings)
    assert "trust-remote-code" in answer.commands[-1].replace("_", "-")
    plain = check("mistral-7b", Workload(runtime=runtime), machine=machine)
    assert all("trust" not in line for line in plain.commands)


def test_what_its_users_run_is_named() -> None:
    """BitNet's publisher runs it in bitnet.cpp; Moondream's card loads it with its own code; Orpheus needs SNAC."""
    gpu = machine_named("RTX 3060 12GB")
    bitnet = check("bitnet", machine=gpu)
    assert bitnet.workload.quantization == "TQ2_0"
    assert any("github.com/microsoft/BitNet" in line for line in bitnet.setup)
    assert any("--outtype tq2_0" in line for line in bitnet.setup)
    (moondream,) = check("moondream", machine=gpu).commands
    assert "trust_remote_code=True" in moondream
    assert "m.query(" in moondream
    orpheus = check("orpheus-3b", machine=machine_named("RTX 4090"))
    assert any("SNAC" in line for line in orpheus.setup)


@pytest.mark.parametrize(
    ("gpu", "asked", "words"),
    [
        # the wheels of PyPI are CUDA's (PyTorch, get started; vLLM documentation, installation)
        ("RX 7900 XTX", Workload(runtime="transformers"), "ROCm"),
        ("RX 7900 XTX", Workload(runtime="vllm"), "ROCm"),
        ("Arc B580", Workload(runtime="transformers", quantization="nf4"), "XPU"),
        # assets of llama.cpp's releases
        ("RTX 4090", Workload(runtime="llama.cpp"), "ubuntu-cuda"),
        ("RTX 4090", Workload(runtime="llama.cpp"), "cudart"),
        ("Arc B580", Workload(runtime="llama.cpp"), "ubuntu-sycl"),
        # no CUDA build for Arm among them, and one that the project's own installer takes
        ("DGX Spark", Workload(runtime="llama.cpp"), "-DGGML_CUDA=ON"),
        ("DGX Spark", Workload(runtime="llama.cpp"), "llama.app/install.sh"),
    ],
)
def test_each_maker_of_gpus_gets_its_build(gpu: str, asked: Workload, words: str) -> None:
    lines = check("mistral-7b", asked, machine=machine_named(gpu)).setup
    assert any(words in line for line in lines if line.startswith("#")), lines


@pytest.mark.parametrize(
    ("gpu", "has_rocm"),
    [
        ("MI50 32GB", False),
        ("RX 580 8GB", False),
        ("RX 6800", True),
        # gfx1013, gfx1033, gfx1031, gfx1103: between those that it is built for
        ("bc-250", False),
        ("steam deck", False),
        ("RX 6700 XT", False),
        ("ryzen 7 8840u 780m 32gb", False),
        ("strix halo 128gb", True),
    ],
)
def test_gpus_that_no_rocm_build_is_made_for_get_the_vulkan_one(gpu: str, has_rocm: bool) -> None:
    """gpu_targets of ubuntu-22-rocm in llama.cpp's release.yml: eleven from gfx908 to gfx1201."""
    lines = check("mistral-7b", Workload(runtime="llama.cpp"), machine=machine_named(gpu)).setup
    assert any("ubuntu-vulkan" in line for line in lines)
    assert any("rocm" in line for line in lines) is has_rocm


@pytest.mark.parametrize(
    ("machine", "is_told"),
    [
        ("ryzen 7 8840u 780m 32gb", True),
        ("strix halo 128gb", False),
        ("mac mini m4 16gb", False),
        ("i5-8250u 16gb", False),
    ],
)
def test_ollama_is_told_to_take_a_gpu_that_it_drops(machine: str, is_told: bool) -> None:
    """ollama/ollama pull 16701: since 0.30 it drops AMD's GPUs that share the RAM but for gfx1151,
    so that its line would run at the processor's pace.
    """
    answer = check("gemma3:4b", machine=machine_named(machine))
    lines = (*answer.setup, *answer.commands)
    assert any("ollama run" in line for line in lines)
    assert any("OLLAMA_IGPU_ENABLE=1" in line for line in lines) is is_told


@pytest.mark.parametrize(
    "model",
    [
        "kokoro-82m", "xtts-v2", "sensevoice-small", "parler-tts-mini-v1", "f5-tts", "zonos-v0.1-transformer",
        "qwen3-tts-12hz-0.6b-base", "voxcpm-0.5b",
    ],
)  # fmt: skip
def test_voices_on_old_gpus_get_the_last_torch_with_their_kernels(model: str) -> None:
    """As Transformers: torch of CUDA 12.6 before the line that would get the newest."""
    lines = check(model, machine=machine_named("i5-12400 32GB GTX 1080")).setup
    older = next(index for index, line in enumerate(lines) if "whl/cu126" in line)
    assert any("pip install" in line for line in lines[older + 1 :])
    newer = check(model, machine=machine_named("i5-12400 32GB RTX 3060")).setup
    assert not any("cu126" in line for line in newer)


@pytest.mark.parametrize("gpu", ["GTX 1080 Ti", "Tesla P40", "Tesla V100", "Tesla M40"])
@pytest.mark.parametrize("runtime", ["transformers", "diffusers"])
def test_gpus_before_turing_get_the_last_torch_with_their_kernels(gpu: str, runtime: str) -> None:
    """PyTorch 2.15 has no build for CUDA 12.6, the last with kernels for Maxwell, Pascal and Volta
    (pytorch/pytorch#190385).
    """
    model = "stable-diffusion-v1-5" if runtime == "diffusers" else "llama-3.2-1b"
    lines = check(model, Workload(runtime=runtime), machine=machine_named(gpu)).setup
    older = next(index for index, line in enumerate(lines) if "whl/cu126" in line)
    usual = next(index for index, line in enumerate(lines) if "accelerate torch" in line)
    assert "torch<2.15" in lines[older]
    assert older < usual
    newer = check(model, Workload(runtime=runtime), machine=machine_named("Tesla T4")).setup
    assert not any("cu126" in line for line in newer)


@pytest.mark.parametrize("runtime", ["transformers", "diffusers"])
def test_a_turing_gpu_beside_arm_gets_no_line_of_pips(runtime: str) -> None:
    """torch's wheels for aarch64 begin at compute capability 8.0 (pytorch/pytorch#147953: a T4G is
    refused).
    """
    model = "stable-diffusion-v1-5" if runtime == "diffusers" else "llama-3.2-1b"
    lines = check(model, Workload(runtime=runtime), machine=machine_named("g5g.xlarge")).setup
    assert any("from source" in line for line in lines)
    spark = check(model, Workload(runtime=runtime), machine=machine_named("dgx spark")).setup
    assert not any("from source" in line for line in spark)


def test_gpus_of_amds_without_kernels_run_those_of_another() -> None:
    """gfx1032 with HSA_OVERRIDE_GFX_VERSION=10.3.0 (ROCm/legacy-rocm-build#1756); gfx1030 has its
    own.
    """
    asked = Workload(runtime="transformers")
    told_to = "export HSA_OVERRIDE_GFX_VERSION=10.3.0"
    assert told_to in check("llama-3.2-1b", asked, machine=machine_named("RX 6600")).setup
    assert told_to not in check("llama-3.2-1b", asked, machine=machine_named("RX 6800 XT")).setup


def test_no_other_maker_is_named() -> None:
    lines = check("mistral-7b", Workload(runtime="transformers"), machine=machine_named("RTX 4090"))
    assert not any("ROCm" in line or "XPU" in line for line in lines.setup)


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("llama3.1:8b", Workload(runtime="llama.cpp")),
        ("whisper-large-v3-turbo", Workload(runtime="whisper.cpp")),
    ],
)
def test_an_nvidia_gpu_on_linux_gets_cuda_alone(model: str, asked: Workload) -> None:
    """Homebrew's formulas take its ggml, which is built for Vulkan (Formula/g/ggml.rb)."""
    answer = check(model, asked, machine=machine_named("RTX 3090"))
    lines = answer.setup
    assert not any(line.startswith("brew") for line in lines), lines
    assert any("cuda" in line.lower() for line in lines), lines
    installed = next(each for each in answer.findings if each.check == "runtime")
    assert "brew" not in (installed.remedy or ""), installed


@pytest.mark.parametrize("model", ["flux.2-dev", "qwen-image-edit"])
def test_a_large_image_model_runs_from_gguf_on_24_gb(model: str) -> None:
    """stable-diffusion.cpp's docs run both from GGUF (docs/flux2.md, docs/qwen_image_edit.md)."""
    machine = apply(machine_named("RTX 3090"), ["disk=500GB", "memory=64GiB"])
    answer = check(model, machine=machine)
    assert answer.can_run
    assert answer.needs is not None
    assert answer.needs.placement != "host"
    assert any(line.startswith("sd-cli") for line in answer.commands)


def test_a_split_mixture_says_who_leaves_its_experts_in_ram() -> None:
    """llama.cpp: --fit is on unless told (common/arg.cpp), so the line needs no --n-cpu-moe."""
    machine = apply(machine_named("RTX 3090"), ["disk=500GB", "memory=64GiB"])
    split = check("gpt-oss-120b", machine=machine)
    assert any("--fit" in line and "--n-cpu-moe" in line for line in split.setup), split.setup
    whole = check("gpt-oss-20b", machine=machine)
    assert not any("--fit" in line for line in whole.setup), whole.setup


def test_a_mac_whose_gpu_must_hold_more_is_told_how() -> None:
    """19.7 GiB are more than the two thirds of 24 GiB that macOS gives a GPU at least, 4.7 are not."""
    large = check("qwen3-32b", machine=machine_named("macbook pro m3 24gb"))
    memory = large.needs.memory if large.needs is not None else None
    assert memory is not None
    setting = next(line for line in large.setup if "iogpu.wired_limit_mb=" in line)
    assert int(setting.partition("=")[2]) * 2**20 >= memory.high_bytes
    small = check(
        "mistral-7b", Workload(quantization="Q4_K_M"), machine=machine_named("macbook pro m3 24gb")
    )
    assert not any("iogpu" in line for line in small.setup)


def test_what_llama_quantize_refuses_is_not_told_to_be_made() -> None:
    """It makes nothing of tensors in MXFP4 (requantizing is disabled): the published file is the way. What the converter writes itself it still does."""
    here = apply(machine("aws-m7i.2xlarge"), ["memory=64GiB"])
    asked = {
        kind: check("gpt-oss-20b", Workload(quantization=kind, runtime="llama.cpp"), machine=here)
        for kind in ("Q2_K", "Q4_K_M", "Q8_0")
    }
    for kind in ("Q2_K", "Q4_K_M"):
        told = (*asked[kind].setup, *asked[kind].commands)
        assert not any(line.startswith("llama-quantize") for line in told)
        assert any("-hf lmstudio-community/gpt-oss-20b-GGUF:MXFP4" in line for line in told)
        assert any(f"no {kind} file" in line for line in told)
    assert any("--outtype q8_0" in line for line in asked["Q8_0"].setup)
    # published files of all types keep the experts (bartowski/openai_gpt-oss-20b-GGUF): all take about as much
    sizes = [
        verdict.needs.disk_bytes or 0 for verdict in asked.values() if verdict.needs is not None
    ]
    assert sizes == sorted(sizes)
    assert sizes[-1] < 1.1 * sizes[0]


@pytest.mark.parametrize(
    ("typed", "fetched"),
    [
        ("unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL", "unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL"),
        ("bartowski/Qwen3-8B-GGUF:Q4_K_M", "bartowski/Qwen3-8B-GGUF:Q4_K_M"),
        # its tag has the type alone
        ("google/gemma-3-4b-it-qat-q4_0-gguf", "google/gemma-3-4b-it-qat-q4_0-gguf:Q4_0"),
    ],
)
def test_a_repository_that_was_typed_is_the_one_that_is_fetched(typed: str, fetched: str) -> None:
    lines = check(typed, machine=machine_named("RTX 4090")).commands
    assert any(f"-hf {fetched} " in line for line in lines), lines


@pytest.mark.parametrize(
    ("typed", "fetched"),
    [
        # the repository that a listing has of that account
        ("gpt-oss-20b-UD-Q4_K_XL.gguf", "unsloth/gpt-oss-20b-GGUF:UD-Q4_K_XL"),
        # the repository by its naming
        ("SmolLM3-3B-UD-Q4_K_XL.gguf", "unsloth/SmolLM3-3B-GGUF:UD-Q4_K_XL"),
    ],
)
def test_a_file_of_a_makers_own_mix_is_fetched_from_its_maker(typed: str, fetched: str) -> None:
    """UD- files are Unsloth's (huggingface.co/unsloth), and no listing shows each of them: the line says so."""
    verdict = check(typed, machine=machine_named("RTX 4090"))
    assert any(f"-hf {fetched} " in line for line in verdict.commands), verdict.commands
    assert any(line.startswith("# not verified") for line in verdict.setup), verdict.setup


@pytest.mark.parametrize("gpu", ["RTX 3060", "RTX 4090"])
def test_a_tag_that_only_ollama_has_is_run_by_ollama_alone(gpu: str) -> None:
    """ollama.com/library/gemma3: the -qat tags need no account and no other program."""
    machine = apply(machine_named(gpu), ["disk=500GB"])
    answer = check("gemma3:12b-it-qat", machine=machine)
    lines = (*answer.setup, *answer.commands)
    assert answer.commands[-1].endswith("ollama run gemma3:12b-it-qat"), lines
    assert any("ollama.com/install.sh" in line for line in lines), lines
    assert not any(word in line for line in lines for word in ("llama.cpp", "hf ", "convert")), (
        lines
    )


def test_each_way_to_get_a_program_is_a_line() -> None:
    """Folded, two comments in one line read as one address."""
    verdict = check(
        "qwen2.5-7b",
        Workload(runtime="llama.cpp"),
        machine=machine("desktop-rtx3060-12gb"),
    )
    ways = [line for line in verdict.setup if "https://" in line or "docker run" in line]
    # the installer, a release, Docker
    assert len(ways) == 3
    assert all(line.startswith("# ") and line.count("# ") == 1 for line in ways)
    assert all((line.count("https://") + line.count("docker run")) == 1 for line in ways)


def test_float32_that_is_loaded_in_16_bits_is_not_told_as_published() -> None:
    verdict = on("server-8x-h100", "starcoder-15b", runtime="vllm")
    assert verdict.loaded_bits == 16
    assert verdict.quality is not None
    assert "published in this type" not in verdict.quality.text


@pytest.mark.parametrize(
    ("typed", "tag"),
    [
        ("qwen3:30b", "qwen3:30b"),
        ("qwen3:30b-a3b", "qwen3:30b-a3b"),
        ("library/qwen3:30b", "qwen3:30b"),
        ("ollama run qwen3:30b", "qwen3:30b"),
        ("gptoss:20b", "gpt-oss:20b"),
        ("llama3.1:8b", "llama3.1:8b"),
    ],
)
def test_who_types_a_tag_of_ollama_is_given_ollamas_line(typed: str, tag: str) -> None:
    """As Ollama's library spells it, whatever else has the model; another program that was asked
    for keeps its own line.
    """
    machine = machine_named("desktop-rtx3060-12gb")
    assert check(typed, machine=machine).commands == (f"ollama run {tag}",)
    own = check(typed, Workload(runtime="llama.cpp"), machine=machine).commands
    assert own[0].startswith("llama-server ")


def test_a_server_beside_ollamas_service_says_why() -> None:
    """From 24 GB of GPU memory on the service takes 32,768 tokens of context, from 48 on 262,144
    (docs/context-length.mdx of Ollama), with which not every model fits any more.
    """
    answer = check("qwen3:32b", machine=machine_named("desktop-rtx4090-24gb"))
    serve, run = answer.commands
    assert "OLLAMA_CONTEXT_LENGTH=4096" in serve
    assert run.endswith("ollama run qwen3:32b")
    assert answer.setup[-1].startswith("# the service has settings of its own")


def test_advice_is_for_the_program_whose_lines_are_printed() -> None:
    """Options of llama-server say nothing to whoever types `ollama run`."""
    machine = machine_named("RX 7900 XTX")
    by_ollama = check("gemma3:27b", machine=machine)
    assert all("ollama" in line for line in by_ollama.commands)
    assert not any("llama-server" in note for note in by_ollama.notes)
    lines = check("gemma3:27b", Workload(runtime="llama.cpp"), machine=machine).commands
    assert "--ctx-checkpoints" in lines[0]


@pytest.mark.parametrize(
    ("model", "quantization", "repository"),
    [
        # huggingface.co: the publishers' own repositories, and those that Red Hat validated
        ("qwen2.5-vl-3b", "awq", "Qwen/Qwen2.5-VL-3B-Instruct-AWQ"),
        ("qwen2.5-vl-7b", "awq", "Qwen/Qwen2.5-VL-7B-Instruct-AWQ"),
        ("qwen3-vl-8b", "fp8", "Qwen/Qwen3-VL-8B-Instruct-FP8"),
        ("qwen2.5-coder-7b", "gptq-int8", "Qwen/Qwen2.5-Coder-7B-Instruct-GPTQ-Int8"),
        ("phi-4", "w4a16", "RedHatAI/phi-4-quantized.w4a16"),
    ],
)
def test_a_publishers_quantized_repository_is_the_one_to_type(
    model: str, quantization: str, repository: str
) -> None:
    """vLLM loads it as it is, so nobody has to look for one."""
    workload = Workload(runtime="vllm", quantization=quantization)
    (line,) = check(model, workload, machine=machine_named("rtx 4090")).commands
    assert line.startswith(f"vllm serve {repository} ")


@pytest.mark.parametrize(
    ("typed", "fetched"),
    [
        # the card of the repository lists both
        (
            "Meta-Llama-3.1-70B-Instruct-IQ2_M.gguf",
            "bartowski/Meta-Llama-3.1-70B-Instruct-GGUF:IQ2_M",
        ),
        (
            "Meta-Llama-3.1-70B-Instruct-Q3_K_M.gguf",
            "bartowski/Meta-Llama-3.1-70B-Instruct-GGUF:Q3_K_M",
        ),
        # public programs load these; bartowski's name begins with the publisher's account since 2025
        ("Qwen3-8B-IQ2_M.gguf", "bartowski/Qwen_Qwen3-8B-GGUF:IQ2_M"),
        ("Qwen_Qwen3.5-0.8B-Q4_K_L.gguf", "bartowski/Qwen_Qwen3.5-0.8B-GGUF:Q4_K_L"),
        # mradermacher's static repositories hold Q3_K_M, Unsloth's as well (janhq/model-catalog)
        ("olmOCR-2-7B-1025-Q3_K_M.gguf", "mradermacher/olmOCR-2-7B-1025-GGUF:Q3_K_M"),
        ("Qwen3-VL-32B-Instruct-Q3_K_S.gguf", "unsloth/Qwen3-VL-32B-Instruct-GGUF:Q3_K_S"),
    ],
)
def test_a_file_is_fetched_from_who_makes_files_of_its_type(typed: str, fetched: str) -> None:
    """Nobody needs to make it of the 16-bit weights; that nobody has seen the file is said."""
    answer = check(typed, machine=apply(machine_named("server-8x-h100"), ["disk=9TB"]))
    assert any(f"-hf {fetched} " in line for line in answer.commands), answer.commands


def test_no_gguf_file_is_looked_for_where_none_lies() -> None:
    """A line that names a GGUF type names a repository of GGUF files (Hugging Face: all that the
    catalogue knows have the format in their name), never the publisher's 16-bit weights.
    """
    machine = apply(machine_named("server-8x-h100"), ["disk=9TB"])
    for outline in open_catalogue().outlines()[::29]:
        for quantization in ("IQ2_M", "Q3_K_M", "Q4_K_M"):
            if outline.closed or outline.modality not in ("text", "vision"):
                continue
            try:
                answer = check(outline.id, Workload(quantization=quantization), machine=machine)
            except WorkloadError:
                continue
            for line in answer.commands:
                named = re.search(r"-hf (\S+?):", line)
                assert named is None or "gguf" in named[1].lower(), line


def test_a_model_that_sees_is_told_what_sees_where_the_runtime_does_not() -> None:
    """MLX LM loads the text of Gemma 3 and Qwen2.5-VL alone; on a Mac they are asked about pictures with MLX-VLM (Google's page on Gemma and MLX)."""
    for model in ("qwen2.5-vl-7b-instruct", "gemma-3-12b-it"):
        verdict = on("macbook-pro-m1-pro-16gb", model, runtime="mlx")
        (repository,) = re.findall(r"--model (\S+)", verdict.commands[0])
        (seeing,) = (line for line in verdict.setup if "--image" in line)
        assert seeing.startswith("# mlx_vlm.generate ")
        assert f"--model {repository} " in seeing
        assert any("pip install mlx-vlm" in line for line in verdict.setup)
    blind = on("macbook-pro-m1-pro-16gb", "qwen3-8b", runtime="mlx")
    assert not any("mlx_vlm" in line for line in blind.setup)


def test_a_line_for_windows_is_one_of_the_powershell_that_it_comes_with() -> None:
    """Windows PowerShell 5.1 knows no `&&` (about_Pipeline_Chain_Operators: since 7) and has `curl` as another word for Invoke-WebRequest."""
    for model in ("whisper-large-v3-turbo", "melotts-english", "piper-en-us-lessac-medium"):
        verdict = on("laptop-rtx4060-16gb", model)
        lines = [line for line in (*verdict.setup, *verdict.commands) if line[0] != "#"]
        assert lines
        for line in lines:
            assert "&&" not in line
            assert not re.search(r"(^|; |\{ )curl ", line)
            # what failed to download is not run, in 5.1 and in 7 (about_Automatic_Variables)
            assert line.count("; ") == line.count(IF_WELL) == line.count(" }")
    whisper = on("laptop-rtx4060-16gb", "whisper-large-v3-turbo")
    assert any("whisper.cpp/releases" in line for line in whisper.setup)


@pytest.mark.parametrize("machine", ["dgx spark", "jetson orin nano", "jetson thor"])
@pytest.mark.parametrize("model", ["stable-diffusion-1.5", "kokoro-82m"])
def test_a_gpu_of_nvidia_that_shares_the_ram_is_named_to_pytorch(machine: str, model: str) -> None:
    """PyTorch calls it `cuda` as it does a card (docs.pytorch.org, torch.cuda); its pace is told, so the line must use it."""
    verdict = check(model, machine=machine_named(machine))
    line = " ".join(verdict.commands)
    assert "'cuda'" in line
    assert "'cpu'" not in line


def test_training_on_a_dgx_spark_is_not_sent_to_the_processor() -> None:
    verdict = check("qwen2.5-1.5b-instruct", Workload(task="finetune"), machine="dgx spark")
    assert verdict.commands
    assert not any("--use_cpu" in line for line in verdict.commands)
