"""The lines to type work as typed: known flags alone, files that exist, a gate only where there is
one, and the accelerators that were judged.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import pytest

from helpers.machines import USUAL
from helpers.paths import TESTS
from judge.small import finding_of
from selfhost import Machine, Workload, check
from selfhost.advice.commands import Steps
from selfhost.advice.steps import steps
from selfhost.catalogue.index import Catalogue
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.named import named
from selfhost.machine.profiles import load

LLAMACPP = Workload(runtime="llama.cpp")
FLAGS = tomllib.loads((TESTS / "advice" / "flags.toml").read_text(encoding="utf-8"))


@cache
def machine(name: str) -> Machine:
    """A known machine."""
    return load(name).machine


def all_steps(name: str, folder: Path) -> dict[str, Steps]:
    """Of a twelfth of all models, where they run on that machine. New models change no other."""
    catalogue = Catalogue.open(shipped=str(folder))
    found = {}
    for spec_id in catalogue.ids():
        if crc32(spec_id.encode()) % 12 != USUAL.index(name):
            continue
        question = ask(catalogue.spec(spec_id), Workload(), catalogue, machine(name))
        judged = judge(question, machine(name))
        if judged.fits:
            found[spec_id] = steps(judged, catalogue, machine(name))
    return found


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
            if ends:
                commands.append([])
    return [command for command in commands if command and command[0] != "sh"]


class Call(NamedTuple):
    """The program that a command runs, also by Python, and the flags behind its name."""

    program: str
    flags: set[str]


def call_of(command: list[str]) -> Call:
    """What the words of a command run."""
    words = command[2:] if command[:2] == ["python", "-m"] else command
    program = words[0].removesuffix(".exe")
    if program == "python" and words[1] != "-c":
        program = words[1].rpartition("/")[2].removesuffix(".py")
    flags = {word for word in words[1:] if re.match(r"--?[a-zA-Z]", word)}
    return Call(program, flags)


def assert_safe_for_zsh(line: str) -> None:
    """zsh takes no comments at its prompt: there a quote in one would swallow the next line."""
    if line.startswith("#"):
        assert not set(line) & set("'\"`"), line
    else:
        assert "  #" not in line


@pytest.mark.parametrize("name", USUAL)
def test_nearly_every_model_that_runs_has_a_command_of_known_flags(
    name: str, packed: Path
) -> None:
    """A flag that the program does not know ends in its usage, and not in a model that runs."""
    of_models = all_steps(name, packed)
    missing = [spec_id for spec_id, found in of_models.items() if not found.commands]
    assert len(missing) <= 0.05 * len(of_models), missing
    for spec_id, found in of_models.items():
        assert (found.commands_class is None) == (not found.commands)
        for line in (*found.setup, *found.commands):
            assert_safe_for_zsh(line)
            for command in programs(line):
                call = call_of(command)
                known = set(FLAGS[call.program]["flags"])
                assert call.flags <= known, (spec_id, command)


def test_a_gate_counts_only_where_the_files_are_behind_it() -> None:
    """bartowski's GGUF of Llama 3.1 needs no login; the publisher's own files do."""
    place = machine("desktop-rtx4090-24gb")
    in_llamacpp = Workload(runtime="llama.cpp", quantization="Q4_K_M")
    gguf = check("llama-3.1-8b-instruct", in_llamacpp, machine=place)
    assert finding_of(gguf, "weights").code == "weights-published"
    assert "hf auth login" not in gguf.setup
    in_transformers = Workload(runtime="transformers")
    own = check("llama-3.1-8b-instruct", in_transformers, machine=place)
    assert finding_of(own, "weights").code == "weights-gated"
    assert "hf auth login" in own.setup


@pytest.mark.parametrize(
    ("model", "runtime", "machine"),
    [
        pytest.param("chatglm3-6b", "vllm", "rtx 4090", id="vLLM"),
        pytest.param("deepseek-v3.1", "vllm", "server-8x-h200", id="vLLM on eight"),
        pytest.param("deepseek-v3.1", "mlx", "mac-studio-m3-ultra-512gb", id="MLX LM"),
        pytest.param(
            "phi-4-multimodal-instruct", "transformers", "rtx 4090", id="Transformers"
        ),
    ],
)
def test_the_line_allows_the_code_that_the_answer_warns_of(
    model: str, runtime: str, machine: str
) -> None:
    """vLLM and transformers refuse a repository with code of its own unless they are told to trust
    it.
    """
    answer = check(model, Workload(runtime=runtime), machine=machine)
    reasons = [finding.reason for finding in answer.findings]
    assert any("runs code from the repository" in reason for reason in reasons)
    assert "trust-remote-code" in answer.commands[-1].replace("_", "-")
    plain = check("mistral-7b", Workload(runtime=runtime), machine=machine)
    assert all("trust" not in line for line in plain.commands)


@pytest.mark.parametrize(
    ("gpu", "asked", "words"),
    [
        # the wheels of PyPI are CUDA's (PyTorch, get started; vLLM documentation, installation)
        pytest.param(
            "RX 7900 XTX", Workload(runtime="transformers"), "ROCm", id="PyTorch on AMD"
        ),
        pytest.param("RX 7900 XTX", Workload(runtime="vllm"), "ROCm", id="vLLM on AMD"),
        pytest.param(
            "Arc B580",
            Workload(runtime="transformers", quantization="nf4"),
            "XPU",
            id="PyTorch on Intel",
        ),
        # assets of llama.cpp's releases
        pytest.param("RTX 4090", LLAMACPP, "ubuntu-cuda", id="llama.cpp on NVIDIA"),
        pytest.param("RTX 4090", LLAMACPP, "cudart", id="CUDA beside llama.cpp"),
        pytest.param("Arc B580", LLAMACPP, "ubuntu-sycl", id="llama.cpp on Intel"),
        # no CUDA build for Arm among them, and one that the project's own installer takes
        pytest.param("DGX Spark", LLAMACPP, "-DGGML_CUDA=ON", id="built on Arm"),
        pytest.param("DGX Spark", LLAMACPP, "llama.app/install.sh", id="installer"),
    ],
)
def test_each_maker_of_gpus_gets_its_build(
    gpu: str, asked: Workload, words: str
) -> None:
    """The build that is installed without a word uses another maker's GPU, or none."""
    lines = check("mistral-7b", asked, machine=named(gpu)[0]).setup
    assert any(words in line for line in lines if line.startswith("#")), lines


@pytest.mark.parametrize("model", ["mistral-7b", "whisper-small"])
@pytest.mark.parametrize(
    "machine", ["desktop-ryzen-5600-16gb", "rtx 3060", "rx 7900 xtx", "b580"]
)
def test_no_line_on_linux_takes_homebrew_for_there(model: str, machine: str) -> None:
    """Pasted where it is not installed, `brew install llama.cpp` ended the block."""
    lines = check(model, machine=named(machine)[0].replace(system="linux")).setup
    assert lines
    assert not any(line.startswith("brew ") for line in lines), lines


@pytest.mark.parametrize(
    ("machine", "is_told"),
    [
        pytest.param("ryzen 7 8840u 780m 32gb", True, id="Radeon 780M"),
        pytest.param("strix halo 128gb", False, id="gfx1151"),
        pytest.param("mac mini m4 16gb", False, id="Mac"),
        pytest.param("i5-8250u 16gb", False, id="no GPU"),
    ],
)
def test_ollama_is_told_to_take_a_gpu_that_it_drops(
    machine: str, is_told: bool
) -> None:
    """ollama/ollama pull 16701: since 0.30 it drops AMD's GPUs that share the RAM but for gfx1151,
    so that its line would run at the processor's pace.
    """
    answer = check("gemma3:4b", machine=named(machine)[0])
    lines = "\n".join((*answer.setup, *answer.commands))
    assert "ollama run" in lines
    assert ("OLLAMA_IGPU_ENABLE=1" in lines) is is_told


@pytest.mark.parametrize(
    ("typed", "fetched"),
    [
        pytest.param(
            "unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL",
            "unsloth/Qwen3-8B-GGUF:UD-Q4_K_XL",
            id="unsloth",
        ),
        pytest.param(
            "bartowski/Qwen3-8B-GGUF:Q4_K_M",
            "bartowski/Qwen3-8B-GGUF:Q4_K_M",
            id="bartowski",
        ),
        # its tag has the type alone
        pytest.param(
            "google/gemma-3-4b-it-qat-q4_0-gguf",
            "google/gemma-3-4b-it-qat-q4_0-gguf:Q4_0",
            id="google",
        ),
    ],
)
def test_a_repository_that_was_typed_is_the_one_that_is_fetched(
    typed: str, fetched: str
) -> None:
    """And not another publisher's conversion of the same model."""
    commands = check(typed, machine=named("RTX 4090")[0]).commands
    assert any(f"-hf {fetched} " in line for line in commands)


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_a_model_published_in_four_bits_is_fetched_from_its_publisher(
    runtime: str,
) -> None:
    """MXFP4 is a type of others' files too, which somebody has to make first."""
    published = check(
        "gpt-oss-20b", Workload(runtime=runtime), machine="RTX 4090, 64gb"
    )
    (line,) = published.commands
    assert " openai/gpt-oss-20b " in line
    made = Workload(runtime=runtime, quantization="mxfp4")
    assert check("qwen3-30b-a3b", made, machine="RTX 4090, 64gb").commands == ()


@pytest.mark.parametrize(
    ("model", "machine", "fetched"),
    [
        # ggml-org's list of files: DeepSeek-V4-Flash-MXFP4.gguf
        pytest.param(
            "deepseek-v4-flash",
            "mac studio m3 ultra 512gb",
            "-hf ggml-org/DeepSeek-V4-Flash-GGUF:MXFP4 ",
            id="the published four bits as a GGUF file",
        ),
        # NVIDIA's page of the checkpoint; Modal sells the model under this name
        pytest.param(
            "glm-5.3-flash",
            "2x dgx spark",
            "vllm serve nvidia/GLM-5.3-Flash-NVFP4 ",
            id="NVIDIA's four bits",
        ),
    ],
)
def test_files_that_others_publish_are_fetched(
    model: str, machine: str, fetched: str
) -> None:
    """ "selfhost knows no command that runs it" stood below models that all could fetch."""
    commands = check(model, machine=machine).commands
    assert any(fetched in line for line in commands)


@pytest.mark.parametrize("typed", ["qwen3:30b", "ollama run qwen3:30b"])
def test_who_types_a_tag_of_ollama_is_given_ollamas_line(typed: str) -> None:
    """As Ollama's library spells it, whatever else has the model; another program that was asked
    for keeps its own line, and Ollama's stands beside none where it does not run the model.
    """
    desktop = "desktop-rtx3060-12gb"
    assert check(typed, machine=desktop).commands == ("ollama run qwen3:30b",)
    own = check(typed, LLAMACPP, machine=desktop).commands
    assert own[0].startswith("llama-server ")
    mac = "macbook pro m3 16gb"
    assert check("gpt-oss-20b", Workload(runtime="ollama"), machine=mac).route == "api"
    commands = check("gpt-oss-20b", machine=mac).commands
    assert not any("ollama run" in line for line in commands)


def test_a_line_for_windows_is_one_of_the_powershell_that_it_comes_with() -> None:
    """Windows PowerShell 5.1 knows no `&&` (about_Pipeline_Chain_Operators: since 7) and has `curl`
    as another word for Invoke-WebRequest.
    """
    laptop = machine("laptop-rtx4060-16gb")
    for model in (
        "whisper-large-v3-turbo",
        "melotts-english",
        "piper-en-us-lessac-medium",
    ):
        verdict = check(model, machine=laptop)
        lines = [line for line in (*verdict.setup, *verdict.commands) if line[0] != "#"]
        assert lines
        for line in lines:
            assert "&&" not in line
            assert not re.search(r"(^|; |\{ )curl ", line)
            # what failed to download is not run, in 5.1 and in 7 (about_Automatic_Variables)
            assert line.count("; ") == line.count(IF_WELL) == line.count(" }")
    whisper = check("whisper-large-v3-turbo", machine=laptop)
    assert any("whisper.cpp/releases" in line for line in whisper.setup)


@pytest.mark.parametrize(
    ("tokens", "gpu", "is_told"),
    [
        pytest.param(4096, "3060-12gb", False, id="the default of 12 GB"),
        pytest.param(4096, "4090-24gb", True, id="less than the default of 24 GB"),
        pytest.param(2048, "3060-12gb", True, id="less than the default of 12 GB"),
    ],
)
def test_ollama_is_told_a_context_that_it_would_not_take(
    tokens: int, gpu: str, is_told: bool
) -> None:
    """4,096 tokens is its default below 24 GiB of GPU memory, 32,768 above. After the installer a
    service has port 11434 (ollama/ollama issue 707).
    """
    asked = Workload(runtime="ollama", context_tokens=tokens)
    lines = check("mistral:7b", asked, machine=f"desktop-rtx{gpu}").commands
    port = "OLLAMA_HOST=127.0.0.1:11435"
    server = f"{port} OLLAMA_CONTEXT_LENGTH={tokens} ollama serve"
    if is_told:
        assert lines == (server, f"{port} ollama run mistral:7b")
    else:
        assert lines == ("ollama run mistral:7b",)


@pytest.mark.parametrize(
    ("gpu", "is_told"),
    [
        pytest.param("3060-12gb", False, id="the judged one is the default"),
        pytest.param("4090-24gb", True, id="the default of 24 GB is longer"),
    ],
)
def test_a_context_that_nobody_asked_for_is_left_to_ollama(
    gpu: str, is_told: bool
) -> None:
    """The plain line stands alone, and the fine print has the server for the judged context, where
    Ollama takes a longer one by itself (its docs/context-length.mdx: from 24 GiB on).
    """
    asked = Workload(runtime="ollama")
    answer = check("mistral-7b", asked, machine=f"desktop-rtx{gpu}")
    assert answer.commands == ("ollama run mistral:7b",)
    told = [note for note in answer.fine_print if "OLLAMA_CONTEXT_LENGTH=4096" in note]
    assert bool(told) == is_told


def test_the_line_of_ollama_stands_where_only_its_folder_is_unread() -> None:
    """The service has its models in /usr/share/ollama, a home of mode 750: docs.ollama.com/linux
    makes the user with `useradd -r -s /bin/false -U -m -d /usr/share/ollama ollama`.
    """
    laptop = Machine.from_file(str(TESTS / "data" / "laptop.json"))
    assert check("mistral-7b", machine=laptop).commands[1:] == (
        "ollama run mistral:7b",
    )
    # what Ollama needs more than llama.cpp is not there
    full = laptop.replace(memory_limit_bytes=None, memory_available_bytes=5_120_000_000)
    (line,) = check("mistral-7b", machine=full).commands
    assert line.startswith("llama-server")


@pytest.mark.parametrize(
    ("program", "one", "main"),
    [
        pytest.param("llama.cpp", " -sm none -mg ", "-mg", id="llama.cpp"),
        # llama_cpp/llama.py: split_mode: int = LLAMA_SPLIT_MODE_LAYER, of which NONE is 0
        pytest.param(
            "llama-cpp-python", "split_mode=0, main_gpu=", "main_gpu", id="in Python"
        ),
    ],
)
def test_one_gpu_of_several_is_named_in_the_line(
    program: str, one: str, main: str
) -> None:
    """llama.cpp spreads the layers over all that it sees, and the answer was of one
    (docs/multi-gpu.md). On one, and where two are needed, the line is as short as ever.
    """
    asked = Workload(runtime=program, quantization="Q4_K_M")

    def line_on(gpus: str) -> str:
        """The first line to type on these GPUs."""
        return check("qwen2.5-14b", asked, machine=named(gpus)[0]).commands[0]

    assert f"{one}0" in line_on("2x RTX 3090")
    # as nvidia-smi numbers them: CUDA calls the fastest 0 unless told
    second = line_on("RTX 3060 + RTX 3090")
    assert f"{one}1" in second
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in second
    assert main not in line_on("RTX 3090")
    assert main not in line_on("2x RTX 3060 8gb")


def test_a_beginner_types_ollama_run_where_only_ollama_has_the_model() -> None:
    """It was a second server with a port of its own, for a context that nobody asked for; `-v` and
    JSON still have its lines.
    """
    card = named("RTX 4090")[0]
    verdict = check("gemma3:27b", machine=card)
    assert verdict.commands == ("ollama run gemma3:27b",)
    server = "OLLAMA_CONTEXT_LENGTH=4096 ollama serve"
    assert any(server in note for note in verdict.fine_print)
    asked = check("gemma3:27b", Workload(context_tokens=32_768), machine=card)
    assert asked.commands[0].endswith("OLLAMA_CONTEXT_LENGTH=32768 ollama serve")
    assert not any("ollama serve" in note for note in asked.fine_print)


@pytest.mark.parametrize(
    ("typed", "gpus", "idle"),
    [
        pytest.param(
            "llama3.3:70b", "4x H100", "3 of the 4 GPUs stay idle", id="a tag"
        ),
        pytest.param(
            "mistral-7b", "2x RTX 3090", "1 of the 2 GPUs stays idle", id="small"
        ),
        pytest.param("llama-3.3-70b", "2x RTX 3090", None, id="both are used"),
        pytest.param("mistral-7b", "RTX 3090", None, id="one"),
    ],
)
def test_gpus_that_stay_idle_are_named(typed: str, gpus: str, idle: str | None) -> None:
    """Of four H100, three were unmentioned."""
    notes = " ".join(check(typed, machine=named(gpus)[0]).notes)
    if idle is None:
        assert "stay" not in notes
    else:
        assert idle in notes


@pytest.mark.parametrize(
    ("model", "owner"),
    [
        pytest.param("mistral-7b", "bartowski", id="third party"),
        # huggingface.co/internlm/internlm3-8b-instruct-gguf is the publisher's
        pytest.param("internlm3-8b-instruct", None, id="publisher"),
    ],
)
def test_whose_conversion_the_files_are_is_told(model: str, owner: str | None) -> None:
    """`-hf bartowski/…` fetched a stranger's files without a word."""
    verdict = check(model, Workload(quantization="Q4_K_M"), machine="rtx 4090")
    told = [note for note in verdict.fine_print if "conversion" in note]
    assert bool(told) is (owner is not None)
    for note in told:
        assert f"a conversion by {owner}, a third party" in note
