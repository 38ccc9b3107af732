"""The lines to type next run what was judged, make the file that nobody published, and train."""

from __future__ import annotations

import re
import shlex
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from helpers.cases import case_id
from helpers.machines import IDS, VM
from helpers.paths import CONFIGS, RECORDS, TESTS
from selfhost import Machine, Verdict, Workload, WorkloadError, check
from selfhost.catalogue.index import open_catalogue
from selfhost.judge.question import ask
from selfhost.machine.changes import apply
from selfhost.machine.profiles import load
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain


def test_what_was_judged_can_be_asked_for_again() -> None:
    """The workload with every default filled in, in each runtime, is the same question: mamba's
    without a type of a cache it lacks, a model whose stored type nobody states in the one that is
    taken for it.
    """
    shelf = open_catalogue()
    seen = set()
    for spec_id in {
        *IDS[::20],
        "mamba-130m",
        "openai-gpt",
        "qwen3.8-flash-next",
        "whisper-tiny",
    }:
        spec = shelf.spec(spec_id)
        for runtime, task in product(
            (None, *shelf.runtime_ids()), ("generate", "finetune")
        ):
            try:
                first = ask(spec, Workload(runtime=runtime, task=task), shelf, VM)
            except WorkloadError:
                continue
            again = ask(spec, first.workload, shelf, VM)
            assert (again.workload, again.needs) == (first.workload, first.needs), (
                spec_id,
                runtime,
            )
            seen.add(first.workload.kv_cache_type)
    assert seen == {None, "f16"}


ROOMY = Machine.from_file(str(RECORDS / "vm-24gib.json"))


# what /api/tags of Ollama answered, as people published it: the tag, its quantization_level and
# size (license and template included)
OLLAMA_TAGS = [
    ("llama3.2:1b", "Q8_0", 1_321_098_329),
    ("llama3.2:3b", "Q4_K_M", 2_019_393_189),
    ("gemma2:2b", "Q4_0", 1_629_518_495),
    ("mistral:7b", "Q4_K_M", 4_372_824_384),
    ("llama3:8b", "Q4_0", 4_661_224_676),
    ("llama3:latest", "Q4_0", 4_661_224_676),
    ("phi3:mini", "Q4_0", 2_176_178_913),
    ("gemma3:270m", "Q8_0", 291_554_930),
    ("smollm2:360m", "F16", 725_566_512),
    ("deepseek-coder-v2:16b", "Q4_0", 8_905_126_121),
    ("codellama:7b", "Q4_0", 3_825_910_662),
    ("qwen2.5-coder:7b", "Q4_K_M", 4_683_087_561),
    ("nomic-embed-text:latest", "F16", 274_302_450),
    ("deepseek-r1:1.5b", "Q4_K_M", 1_117_322_768),
    # the model and projector of the registry's manifests, as kept by
    # josh/ollama-models-nix@511fbd5b and @37aa6887
    ("gemma2:9b", "Q4_0", 5_443_143_296),
    ("gemma2:27b", "Q4_0", 15_628_378_336),
    ("mixtral:8x7b", "Q4_0", 26_442_469_632),
    ("mixtral:latest", "Q4_0", 26_443_590_560),
    ("codellama:13b", "Q4_0", 7_365_948_416),
    ("codellama:34b", "Q4_0", 19_052_048_512),
    ("llama3:70b", "Q4_0", 39_969_732_096),
    ("phi3:14b", "Q4_0", 7_897_125_664),
    ("deepseek-coder:6.7b", "Q4_0", 3_827_819_904),
    ("smollm2:135m", "F16", 270_885_952),
    ("falcon3:1b", "Q8_0", 1_778_709_056),
    ("falcon:40b", "Q4_0", 23_808_462_560),
    ("qwen:latest", "Q4_0", 2_330_085_408),
    ("phi:latest", "Q4_0", 1_602_461_536),
    ("llava:13b", "Q4_0", 7_365_834_752 + 645_414_080),
    ("mistral-small:22b", "Q4_0", 12_569_159_552),
    ("llama3.1:70b", "Q4_K_M", 42_520_398_176),
    ("olmo2:7b", "Q4_K_M", 4_472_020_256),
]


@pytest.mark.parametrize(("tag", "quantization", "size"), OLLAMA_TAGS, ids=case_id)
def test_a_tag_of_ollama_is_judged_as_what_it_loads(
    tag: str, quantization: str, size: int
) -> None:
    """The type and the size that `ollama run TAG` downloads, within 0.5 %; another type where that
    is asked for.
    """
    found = check(tag, machine=ROOMY)
    assert found.workload.quantization == quantization
    assert found.needs is not None
    assert found.needs.download_bytes == pytest.approx(size, rel=0.005)
    assert not any(
        command == f"ollama run {tag}"
        for command in check(tag, Workload(quantization="Q6_K"), machine=ROOMY).commands
    )


@pytest.mark.parametrize(
    ("id", "option"),
    [
        ("bge-reranker-v2-m3", "--reranking"),
        ("qwen3-reranker-0.6b", "--reranking"),
        ("bge-m3", "--embedding"),
        # it ranks by its embeddings, and has no head that rank pooling would read
        ("answerai-colbert-small-v1", "--embedding"),
    ],
)
def test_llama_server_is_told_whether_it_embeds_or_ranks(id: str, option: str) -> None:
    """Started without --reranking it answers /v1/rerank with an error (its README); the option sets
    the embeddings and the pooling by itself, so both at once are never needed.
    """
    commands = check(id, Workload(runtime="llama.cpp"), machine=ROOMY).commands
    (line,) = [line for line in commands if "llama-server" in line]
    assert {"--reranking", "--embedding"} & {*line.split()} == {option}


def test_a_lone_config_is_converted_in_its_folder(tmp_path: Path) -> None:
    """convert_hf_to_gguf.py takes the folder of the weights (its README); nothing is downloaded,
    for nobody says from where.
    """
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "config.json").write_bytes(
        (CONFIGS / "Qwen--Qwen3-0.6B.json").read_bytes()
    )
    verdict = check(folder / "config.json", machine=load("aws-m7i.2xlarge").machine)
    written = [*verdict.setup, *verdict.commands]
    converting = next(line for line in written if "convert_hf_to_gguf.py " in line)
    assert shlex.split(converting)[2] == str(folder)
    assert not any("hf download" in line for line in written)
    assert any("then make Q4_K_M files from them" in line for line in written)
    assert not any("look first" in line for line in written)
    told = plain(check_document([verdict]))
    assert "of weights, which you must have" in told
    assert "knows no command" not in told


def test_a_config_of_another_name_is_put_where_the_converter_looks(
    tmp_path: Path,
) -> None:
    """convert_hf_to_gguf.py reads config.json of the folder that it is given: the folder of
    my-tune.json has none.
    """
    config = tmp_path / "my-tune.json"
    config.write_bytes((CONFIGS / "Qwen--Qwen3-0.6B.json").read_bytes())
    verdict = check(config, machine=load("aws-m7i.2xlarge").machine)
    converting = next(
        line for line in verdict.setup if "convert_hf_to_gguf.py " in line
    )
    folder = shlex.split(converting)[2]
    assert folder == verdict.model.id
    assert f"# put my-tune.json into a folder {folder} as config.json" in verdict.setup


def test_the_disk_that_converting_takes_is_in_the_short_answer(tmp_path: Path) -> None:
    """Qwen3-8B has 16.4 GB of weights in BF16, and llama-quantize reads a copy as large: `disk 5.03
    of 78.3 GB` told a fourth of it.
    """
    config = tmp_path / "config.json"
    config.write_bytes((CONFIGS / "Qwen--Qwen3-8B.json").read_bytes())
    machine = apply(load("aws-m7i.2xlarge").machine, ["disk=80gb"])
    told = plain(check_document([check(config, machine=machine)]))
    (disk,) = [line for line in told.splitlines() if line.startswith("  disk ")]
    assert re.search(r"converting needs another 32\.\d GB", disk)


def checked(spec_id: str, quantization: str, disk: str) -> Verdict:
    machine = apply(load("aws-m7i.2xlarge").machine, [f"disk={disk}"])
    return check(
        spec_id,
        Workload(runtime="llama.cpp", quantization=quantization),
        machine=machine,
    )


@pytest.mark.parametrize("quantization", ["Q4_K_M", "Q8_0"])
def test_the_file_to_run_decides(quantization: str) -> None:
    """Pythia 70M has 70,426,624 parameters."""
    roomy = checked("pythia-70m", quantization, "50GB")
    assert roomy.needs is not None
    assert any("convert_hf_to_gguf" in line for line in roomy.setup)
    # the file has between 4 and 9 bits a weight
    assert 70_426_624 * 4 / 8 < (roomy.needs.disk_bytes or 0) < 70_426_624 * 9 / 8
    assert roomy.needs.download_bytes == roomy.needs.disk_bytes
    assert checked("pythia-70m", quantization, "30MB").can_download is False


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        pytest.param(
            "llama-3.1-8b",
            "mlx-community/Meta-Llama-3.1-8B-Instruct-4bit",
            id="published",
        ),
        pytest.param("pythia-70m", "pythia-70m-4bit", id="made here"),
    ],
)
def test_several_users_of_mlx_are_served_at_once(model: str, folder: str) -> None:
    """mlx_lm/server.py has both options, and decodes as many requests as the larger one says; no
    command was known for several users.
    """
    several = check(
        model, Workload(runtime="mlx", parallel=4), machine="mac-studio-m3-ultra-512gb"
    )
    assert (
        f"mlx_lm.server --model {folder} --decode-concurrency 4 --prompt-concurrency 4"
        in (*several.setup, *several.commands)
    )
    alone = check(model, Workload(runtime="mlx"), machine="mac-studio-m3-ultra-512gb")
    lines = (*alone.setup, *alone.commands)
    assert any(line.startswith("mlx_lm.generate") for line in lines)


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        pytest.param("glm-5.3-flash", "mlx-community/GLM-5.3-Flash-4bit", id="GLM"),
        pytest.param(
            "qwen3.8-flash-next", "mlx-community/Qwen3.8-Flash-Next-4bit", id="Qwen"
        ),
    ],
)
def test_several_users_of_mlx_vlm_are_served_at_once(model: str, folder: str) -> None:
    """server/cli.py of mlx-vlm 0.7.10: `--max-num-seqs` are decoded at once; mlx_vlm.generate
    answers one prompt and ends.
    """
    several = check(
        model, Workload(runtime="mlx", parallel=4), machine="mac-studio-m3-ultra-512gb"
    )
    assert several.commands == (f"mlx_vlm.server --model {folder} --max-num-seqs 4",)
    alone = check(model, Workload(runtime="mlx"), machine="mac-studio-m3-ultra-512gb")
    assert alone.commands == (f"mlx_vlm.generate --model {folder} --prompt Hello",)


def test_mlx_is_told_the_usual_name_and_converts_otherwise() -> None:
    """The options are those of mlx_lm/convert.py; mlx-community names its folders so throughout."""
    verdict = check(
        "pythia-70m", Workload(runtime="mlx"), machine="mac-studio-m3-ultra-512gb"
    )
    assert verdict.setup[-1] == (
        "mlx_lm.convert --hf-path EleutherAI/pythia-70m -q --q-bits 4 --mlx-path pythia-70m-4bit"
    )
    assert verdict.setup[-3] == (
        "# https://huggingface.co/mlx-community/pythia-70m-4bit (the usual name, not verified)"
    )
    assert verdict.commands == (
        "mlx_lm.generate --model pythia-70m-4bit --prompt Hello",
    )
    assert verdict.needs is not None
    # 4.5 bits a weight, not the 2 bytes of the published ones
    assert (verdict.needs.download_bytes or 0) < 70_426_624


def on(name: str, spec_id: str, **workload: Any) -> Verdict:
    return check(spec_id, Workload(**workload), machine=load(name).machine)


@pytest.mark.parametrize(
    ("machine", "type_name"),
    [
        # PyTorch's kernels for the processor lack operations in float16
        pytest.param("laptop with 16gb", "bfloat16", id="a processor"),
        pytest.param("macbook air m2 16gb", "float16", id="a Mac's GPU"),
        pytest.param("rtx 4090", "float16", id="a GPU"),
    ],
)
def test_a_pipeline_is_loaded_in_a_type_that_its_device_computes(
    machine: str, type_name: str
) -> None:
    verdict = check("sdxl", Workload(quantization="float16"), machine=machine)
    assert f"dtype=torch.{type_name}, variant='fp16'" in verdict.commands[-1]


def test_training_comes_with_the_trainer_and_its_line() -> None:
    """TRL loads float32 unless told, twice what is judged, and refuses a CPU unless told to take
    it.
    """
    trained = {"task": "finetune", "context_tokens": 2048}
    lora = on("laptop-ddr4-16gb", "qwen3-0.6b", **trained)
    assert "pip install trl peft" in lora.setup
    words = lora.commands[0].split()
    assert words[:4] == ["trl", "sft", "--model_name_or_path", "Qwen/Qwen3-0.6B"]
    assert words[words.index("--dtype") + 1] == "bfloat16"
    assert words[words.index("--max_length") + 1] == "2048"
    assert words[words.index("--lora_r") + 1] == str(lora.workload.lora_rank or 16)
    assert "--use_cpu" in words

    way = {
        **trained,
        "finetune_method": "qlora",
        "optimizer": "adamw_8bit",
        "checkpointing": False,
    }
    qlora = on("desktop-rtx4090-24gb", "qwen3-0.6b", **way)
    assert "pip install trl peft bitsandbytes" in qlora.setup
    words = qlora.commands[0].split()
    assert "--use_cpu" not in words
    for option in ("--load_in_4bit", "--no_gradient_checkpointing", "adamw_8bit"):
        assert option in words
    listed = tomllib.loads(
        (TESTS / "advice" / "flags.toml").read_text(encoding="utf-8")
    )
    flags_of_trl = listed["trl"]
    for verdict in (lora, qlora):
        flags = {word for word in verdict.commands[0].split() if word.startswith("--")}
        assert flags <= set(flags_of_trl["flags"])


@pytest.mark.parametrize(
    ("spec_id", "method", "is_told"),
    [
        pytest.param("gpt-oss-20b", "qlora", True, id="MXFP4"),
        pytest.param("devstral-2-123b", "qlora", True, id="FP8"),
        pytest.param("devstral-2-123b", "lora", False, id="another method"),
        pytest.param("qwen3-0.6b", "qlora", False, id="16 bits"),
    ],
)
def test_weights_in_few_bits_are_not_quantized_again(
    spec_id: str,
    method: str,
    is_told: bool,
) -> None:
    """Transformers refuses BitsAndBytesConfig for a model with another quantization."""
    verdict = on("server-8x-h100", spec_id, task="finetune", finetune_method=method)
    assert verdict.commands
    told = [line for line in verdict.setup if "a copy in 16 bits" in line]
    assert bool(told) is is_told


def test_no_command_of_a_trainer_of_writers_stands_by_an_embedder() -> None:
    """SFTTrainer trains causal language models: an embedder, a ranker and an encoder have trainers
    of their own.
    """
    for spec_id in (
        "bge-m3",
        "bert-base-uncased",
        "bge-reranker-v2-m3",
        "qwen3-embedding-0.6b",
    ):
        verdict = on("desktop-rtx4090-24gb", spec_id, task="finetune")
        assert verdict.can_run
        assert verdict.commands == ()
        assert len(verdict.setup) == 1
        assert "sentence-transformers" in verdict.setup[0]
        assert verdict.setup[0].startswith("# ")


@pytest.mark.parametrize("name", ["bge-m3", "nomic-embed-text"])
def test_ollama_embeds_texts_longer_than_its_batch_by_its_api(name: str) -> None:
    """`ollama run` takes 512 tokens at once: README of the API, options num_ctx and num_batch."""
    commands = check(
        name, Workload(runtime="ollama", context_tokens=2048), machine=ROOMY
    ).commands
    (line,) = [line for line in commands if "/api/embed" in line]
    assert '"num_batch": 2048' in line


@pytest.mark.parametrize(
    ("model", "runtime", "options"),
    [
        # docs.vllm.ai, features/speculative_decoding/mtp (2026-11), with the keys as options
        pytest.param(
            "qwen3.8-27b",
            "vllm",
            "--speculative-config.method mtp --speculative-config.num_speculative_tokens 3",
            id="vllm-own-block",
        ),
        pytest.param(
            "gemma-4-31b-it",
            "vllm",
            (
                "--speculative-config.method mtp --speculative-config.model "
                "google/gemma-4-31B-it-assistant"
            ),
            id="vllm-published-draft",
        ),
        # sgl-project/sglang pull 24436
        pytest.param(
            "gemma-4-31b-it",
            "sglang",
            (
                "--speculative-algorithm NEXTN --speculative-draft-model-path "
                "google/gemma-4-31B-it-assistant"
            ),
            id="sglang-published-draft",
        ),
        pytest.param(
            "qwen3.8-27b",
            "sglang",
            "--speculative-algorithm NEXTN",
            id="sglang-own-block",
        ),
        # common/arg.cpp of llama.cpp: -hf finds the draft beside the model's file
        pytest.param(
            "gemma-4-31b-it",
            "llama.cpp",
            "--spec-type draft-mtp",
            id="llama.cpp-beside",
        ),
    ],
)
def test_the_command_loads_the_draft(model: str, runtime: str, options: str) -> None:
    verdict = check(
        model, Workload(runtime=runtime, draft="mtp"), machine="server-8x-h100"
    )
    assert options in verdict.commands[-1]


@pytest.mark.parametrize(
    ("machine", "line"),
    [
        pytest.param(
            "GTX 1660 SUPER + RTX 3090, 64 GB RAM",
            "CUDA_DEVICE_ORDER=PCI_BUS_ID llama-server",
            id="unlike",
        ),
        pytest.param(
            "GTX 1660 SUPER + RTX 3090, 64 GB RAM, windows",
            "$env:CUDA_DEVICE_ORDER='PCI_BUS_ID'; llama-server",
            id="windows",
        ),
        pytest.param("2x RTX 3090, 64 GB RAM", "llama-server", id="alike"),
    ],
)
def test_the_gpu_that_is_named_by_number_is_the_one_meant(
    machine: str, line: str
) -> None:
    """LostRuins/koboldcpp#1023: nvidia-smi lists a GTX 1660 SUPER before an RTX 3090, and llama.cpp
    calls the RTX 3090 device 0, so that -mg 1 took the wrong one.
    """
    [typed] = [
        command
        for command in check("qwen3-8b", machine=machine).commands
        if "llama-server" in command
    ]
    assert typed.startswith(f"{line} -hf")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        # Ollama's library has qwen3 with this tag, and no qwen3-8b
        pytest.param("qwen3:8b-q5_K_M", "ollama run qwen3:8b-q5_K_M", id="of Ollama"),
        pytest.param("qwen3-8b:Q5_K_M", "llama-server -hf", id="of selfhost"),
    ],
)
def test_only_a_name_of_the_library_is_typed_for_ollama(name: str, line: str) -> None:
    commands = check(name, machine=ROOMY).commands
    assert any(line in command for command in commands)
    assert not any("qwen3-8b:" in command for command in commands)


def test_mlx_drafts_with_a_folder_of_its_own_kind() -> None:
    """mlx_lm.generate --help of 0.32.2: --draft-model takes a model as --model does."""
    workload = Workload(runtime="mlx", draft="qwen3-0.6b")
    verdict = check("qwen3-32b", workload, machine="macbook-pro-m4-max-48gb")
    assert verdict.commands[-1].endswith("--draft-model mlx-community/Qwen3-0.6B-4bit")


def test_the_command_names_a_draft_that_lies_elsewhere() -> None:
    """bartowski's repository has no draft of Gemma 4; -hfd names one that has."""
    workload = Workload(runtime="llama.cpp", quantization="IQ4_NL", draft="mtp")
    (line,) = check("gemma-4-31b-it", workload, machine="RTX 5090, 64GB RAM").commands[
        -1:
    ]
    assert "-hf bartowski/" in line
    assert "--spec-type draft-mtp -hfd unsloth/gemma-4-31B-it-GGUF" in line


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param("sdxl", "num_inference_steps=50", id="steps"),
        pytest.param("qwen-image", "negative_prompt=' '", id="guidance"),
    ],
)
def test_the_words_of_a_pipeline_are_filled_in(model: str, words: str) -> None:
    """The line was printed with `{guidance}{steps}` in it."""
    verdict = check(model, machine="rtx 4090, 64 GB of RAM", runtime="diffusers")
    (line,) = [
        command for command in verdict.commands if "DiffusionPipeline" in command
    ]
    assert words in line
    assert "{guidance}" not in line
    assert "{steps}" not in line


@pytest.mark.parametrize(
    ("purpose", "program"),
    [
        pytest.param("agent", "mlx_lm.server", id="an agent asks an API"),
        pytest.param("chat", "mlx_lm.generate", id="a person types"),
    ],
)
def test_an_agent_gets_the_program_that_serves(purpose: str, program: str) -> None:
    asked = Workload(runtime="mlx", purpose=purpose)
    verdict = check("llama-3.1-8b", asked, machine="macbook pro m4 max 48gb")
    assert verdict.commands[-1].startswith(f"{program} --model ")


def test_numbers_of_gpus_that_nobody_read_are_told_to_be_looked_up() -> None:
    """The 4090 of a description is no second GPU of a system: CUDA puts the fastest first."""
    verdict = check("qwen3-8b", gpu="RTX 3060 + RTX 4090", machine="desktop 32gb")
    assert "CUDA_DEVICE_ORDER=" in verdict.commands[-1]
    assert any(
        "nvidia-smi tells the system's numbers" in line for line in verdict.setup
    )
