"""What people reported or met, that the program once answered otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.cases import case_id
from helpers.public_reports import RECIPES, REPORTS, judged, recipe_judged
from judge.small import memory_of
from selfhost import Verdict, Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.searching import resolve
from selfhost.core.errors import UnknownModelError
from selfhost.core.records import Unread
from selfhost.needs.case import published
from selfhost.needs.file_formats import weights_files
from selfhost.needs.records import Term

GB = 1_000_000_000
CATALOGUE = open_catalogue()


# reports that the answers do not hold, by the source of the report
OFF = {
    "conselara.dev/notes/dgx-spark-benchmarks (2026-05): 57 to 60 with Marlin": (
        "a build that packs attention and output too, and reads fewer bytes"
    ),
    "inventivehq.com/blog/moe-on-cpu-benchmark: 4,683 MB": (
        "8 % below the slow end, where a mixture on the same machine lies inside: its build and"
        " threads are not told"
    ),
    "vllm-project/vllm pull 50231 (2026-07-29): five tokens proposed at once, TPOT 1.94 ms": (
        "a step alone is told like one of eight H200, which are known to be slower"
    ),
    "sgl-project/sglang pull 29486 (2026-06-27): MTP of five steps, TPOT 2.23 ms": (
        "a step alone is told like one of eight H200, which are known to be slower"
    ),
    "vllm-project/vllm#30832 (2025-12): vLLM 0.13": (
        "its reporter asks, too, why it is slower than what vLLM's own page tells"
    ),
    "sgl-project/sglang#3656 (2025-02): vLLM on two hosts of eight": (
        "vLLM's former engine, which no version of today has"
    ),
    "vllm-project/vllm#8244 (2024-09-06): 32 prompts": (
        "vLLM's former engine, which no version of today has"
    ),
    "tenstorrent/tt-inference-server#379: TPOT 46.0 ms, one user": (
        "vLLM's former engine, which no version of today has; that it ran eager is likely"
    ),
}


def _reports() -> list[Any]:
    cases = []
    for report in REPORTS:
        marks = []
        if report["source"] in OFF and report["figure"] in ("decode", "parallel_total"):
            reason = OFF[report["source"]]
            marks.append(pytest.mark.xfail(reason=reason, strict=True))
        id = f"{report['model']} {report['figure']}"
        cases.append(pytest.param(report, id=id, marks=marks))
    return cases


@pytest.mark.parametrize("report", _reports())
def test_the_answer_holds_what_was_reported(report: dict[str, Any]) -> None:
    """A size, a pace or a place that people published lies within the answer to the same
    question.
    """
    assert judged(report) != "wrong"


def test_few_answers_to_reports_are_open_or_wide() -> None:
    """Of mixtures on a GPU the range of a prompt is at most three times wide, and so are most
    others.
    """
    answers = [
        judged(report) for report in REPORTS if report["figure"] in ("prompt", "decode")
    ]
    assert answers.count("right") >= len(answers) / 2
    mixture = next(report for report in REPORTS if report["seen"] == 1114)
    assert judged(mixture) == "right"


def test_vllm_runs_what_its_recipes_run() -> None:
    """Of pairs of a model and a machine that are verified 97 % run; here every fifteenth of 405."""
    answers = [recipe_judged(*recipe) for recipe in RECIPES[::15]]
    assert answers.count("right") >= len(answers) - 1


@pytest.mark.parametrize(
    ("model", "repository"),
    [
        pytest.param("nemotron-nano-9b-v2", "nvidia/NVIDIA-Nemotron-Nano-9B-v2-FP8"),
        pytest.param("laguna-s-2.1", "poolside/Laguna-S-2.1-FP8"),
        pytest.param("hy3", "tencent/Hy3-FP8"),
    ],
)
def test_fp8_that_is_published_is_not_made_of_16_bits(
    model: str, repository: str
) -> None:
    """vllm-project/recipes@8959cf64 serves it from these repositories: half the download."""
    workload = Workload(runtime="vllm", quantization="fp8")
    verdict = check(model, workload, machine="server-8x-h200")
    assert any(repository in line for line in verdict.commands)
    assert verdict.needs is not None
    assert verdict.needs.download_bytes is not None
    whole = check(
        model, workload.replace(quantization="bf16"), machine="server-8x-h200"
    )
    assert whole.needs is not None
    assert whole.needs.download_bytes is not None
    assert verdict.needs.download_bytes < 0.65 * whole.needs.download_bytes


def test_ollamas_gpt_oss_lies_where_it_was_seen_to_lie() -> None:
    """ollama/ollama#11711: 11.8 GiB of weights on the GPU, 1.1 GiB in RAM; not on 12 GB alone."""
    workload = Workload(runtime="ollama", context_tokens=8192)
    terms = memory_of(
        check("gpt-oss:20b", workload, machine="RTX 4060 Ti 16GB, 32GB RAM")
    ).terms
    on_card = sum(t.bytes for t in terms if t.name == "weights" and t.where != "host")
    assert abs(on_card / (11.8 * 2**30) - 1) < 0.05
    smaller = check("gpt-oss:20b", workload, machine="RTX 4070, 32GB RAM")
    assert smaller.needs is not None
    assert smaller.needs.placement == "split"
    # the tag alone names the same file, and `ollama run` loads it
    by_tag = check(
        "gpt-oss:20b", Workload(context_tokens=8192), machine="RTX 4070, 32GB RAM"
    )
    assert (by_tag.workload.runtime, by_tag.needs) == ("ollama", smaller.needs)


def test_old_files_of_deepseek_keep_every_head() -> None:
    """ollama/ollama#7548: 8,640 MiB of cache by the layout of the file, made before April 2025."""
    workload = Workload(runtime="ollama", context_tokens=32768, kv_cache_type="f16")
    verdict = check("deepseek-coder-v2:16b", workload, machine="laptop-ddr4-16gb")
    (cache,) = [term for term in memory_of(verdict).terms if term.name == "kv_cache"]
    assert cache.bytes == 8640 * 2**20
    assert verdict.route != "local"


def test_of_a_mixture_with_tables_few_parameters_are_read() -> None:
    """kyuz0/amd-strix-halo-toolboxes#125: 17 to 20 tokens/s, where all parameters allow 2."""
    workload = Workload(runtime="llama.cpp", quantization="Q4_K_M")
    verdict = check("qwen3.8-flash-next", workload, machine="strix-halo-128gb")
    assert verdict.speed is not None
    assert verdict.speed.decode is not None
    assert verdict.speed.decode.low <= 20 <= verdict.speed.decode.high


def test_a_quantization_is_read_as_people_write_it() -> None:
    verdict = check(
        "llama-3.1-8b", Workload(runtime="mlx", quantization="4-bit"), machine="m2"
    )
    assert verdict.workload.quantization == "4bit"


def test_one_laptop_has_one_answer_however_it_is_named() -> None:
    names = ("hp laptop 8gb", "windows laptop 8gb", "laptop-ddr4-8gb")
    assert len({check("llama-3.1-8b", machine=name).route for name in names}) == 1


def compute_on_cards(verdict: Verdict) -> list[int]:
    terms = memory_of(verdict).terms
    return [
        term.bytes for term in terms if term.name == "compute" and term.where != "host"
    ]


def test_several_cards_keep_four_copies_of_the_masks() -> None:
    """unslothai/unsloth#7637: 4.0 GiB on each device at 1M tokens of context."""
    workload = Workload(
        runtime="llama.cpp", quantization="UD-IQ1_M", context_tokens=1 << 20
    )
    there = compute_on_cards(check("kimi-k3", workload, machine="8x B200, 2TB RAM"))
    assert len(there) > 1
    assert all(abs(size / (4.0 * 2**30) - 1) < 0.2 for size in there)


def test_experts_in_ram_are_copied_while_a_prompt_is_read() -> None:
    """ggml-org/llama.cpp#24175: 7 to 7.5 GiB of compute buffer above the small one, in batches of
    512.
    """
    workload = Workload(
        runtime="llama.cpp",
        context_tokens=4032,
        parallel=4,
        runtime_options={"ub": "512"},
    )
    machine = "RTX 5090, 512GB RAM"
    (there,) = compute_on_cards(
        check("nemotron-3-ultra-550b-a55b", workload, machine=machine)
    )
    assert 7.0 * 2**30 < there < 7.5 * 2**30 + 0.4 * 2**30


@pytest.mark.parametrize(
    ("micro_batch", "are_copied"),
    [
        pytest.param("16", False, id="logged: 42 MiB"),
        pytest.param("32", True, id="from 32 on"),
    ],
)
def test_experts_are_copied_for_batches_of_32_tokens_alone(
    micro_batch: str, are_copied: bool
) -> None:
    """GGML_OP_OFFLOAD_MIN_BATCH is 32: with -ub 16 the same program logged 42 MiB, and processors
    read the prompt.
    """
    workload = Workload(
        runtime="llama.cpp",
        context_tokens=4032,
        parallel=4,
        prompt_tokens=2000,
        quantization="Q4_K_M",
        kv_cache_type="f16",
        runtime_options={"ub": micro_batch},
    )
    verdict = check(
        "nemotron-3-ultra-550b-a55b", workload, machine="RTX 5090, 512GB RAM"
    )
    (there,) = compute_on_cards(verdict)
    assert (there > 6.5 * 2**30) is are_copied
    if not are_copied:
        assert there < 60 * 2**20
    assert verdict.speed is not None
    assert verdict.speed.first_token_seconds is not None
    assert (verdict.speed.crossing_seconds > 0) is are_copied


@pytest.mark.parametrize(
    ("model", "most_bytes"),
    # as its kind takes, measured; the most that any kind takes
    [
        ("ornith-1.5-9b", 0.32 * GB),
        ("pixtral-12b-2409", 0.33 * GB),
        ("deepseek-ocr", 0.9 * GB),
    ],
    ids=case_id,
)
def test_an_encoder_that_was_not_measured_takes_what_others_do(
    model: str, most_bytes: float
) -> None:
    """A third of an 8 GB card was taken for granted, for a picture of the largest size."""
    workload = Workload(runtime="llama.cpp", context_tokens=4096)
    terms = memory_of(check(model, workload, machine="RTX 4060, 16GB RAM")).terms
    (picture,) = [term for term in terms if term.name == "projector_compute"]
    assert picture.high_bytes <= most_bytes


def test_no_size_is_told_of_another_repository_than_is_fetched() -> None:
    """qwen2.5-coder-1.5b-instruct: 986 MB were told of a file of 1,117 MB."""
    for spec in CATALOGUE.specs():
        for files in spec.files:
            for quantization in files.quantizations:
                sized = published(spec, files.format, quantization)
                fetched = spec.files_of(files.format, quantization)
                if sized is not None and fetched is not None and sized[1].repository:
                    assert sized[1].repository == fetched.repository, (
                        spec.id,
                        quantization,
                    )


def test_the_names_of_unsloths_mixes_are_known() -> None:
    for mix in ("UD-IQ3_XS", "UD-IQ2_S", "UD-Q6_K_M", "UD-Q6_K_L", "UD-Q8_K_L"):
        size = weights_files(CATALOGUE.spec("qwen3.6-27b"), "gguf", mix)
        assert not isinstance(size, Unread), mix


def test_nvfp4_is_taken_on_a_dgx_spark() -> None:
    """The recipe for Nemotron 3 Super runs its NVFP4 files there; nf4 was proposed."""
    workload = Workload(runtime="vllm")
    verdict = check("nemotron-3-super-120b-a12b", workload, machine="dgx spark")
    assert (verdict.route, verdict.quantization) == ("local", "nvfp4")


def test_the_option_that_makes_nvfp4_fit_is_named() -> None:
    """unslothai/unsloth#7091: 24 GB need --max-num-seqs 1; it was told to fit without."""
    workload = Workload(runtime="vllm", quantization="nvfp4", context_tokens=4096)
    verdict = check("unsloth/Qwen3.6-27B-NVFP4", workload, machine="RTX 4090, 64GB RAM")
    (card,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert card.outcome == "unknown"
    assert "--max-num-seqs 1" in (card.remedy or "")


@pytest.mark.parametrize(
    ("cards", "route", "remedy"),
    [(6, "unknown", "`--pipeline-parallel-size 6`"), (4, "api", "a smaller")],
    ids=case_id,
)
def test_whole_layers_on_six_cards_are_left_open(
    cards: int, route: str, remedy: str
) -> None:
    """local-inference-lab/rtx6kpro#7: vLLM serves it there with three parts of two cards each; it
    was told not to run.
    """
    workload = Workload(runtime="vllm", quantization="fp8", context_tokens=98_304)
    machine = f"{cards}x rtx pro 6000, 512gb"
    verdict = check("qwen3.5-397b-a17b", workload, machine=machine)
    (card,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert verdict.route == route
    assert remedy in (card.remedy or "")


@pytest.mark.parametrize(
    ("free_gib", "share"),
    # of 121.7 GiB: nothing read, and as public reports of a DGX Spark have it
    [(None, "0.82"), (101, "0.82"), (80, "0.65")],
    ids=case_id,
)
def test_vllm_takes_of_a_shared_memory_what_the_system_leaves(
    free_gib: int | None, share: str
) -> None:
    """It stops where less than its share is free: 0.92 of a DGX Spark unless it is told."""
    workload = Workload(runtime="vllm", quantization="nvfp4")
    machine = check("qwen3.6-35b-a3b", workload, machine="dgx spark").machine
    if free_gib is not None:
        machine = machine.replace(memory_available_bytes=free_gib * 2**30)
    lines = check("qwen3.6-35b-a3b", workload, machine=machine).commands
    assert lines[-1].endswith(f"--gpu-memory-utilization {share}")
    on_card = check(
        "llama-3.1-8b", Workload(runtime="vllm"), machine="RTX 4090, 64GB RAM"
    )
    assert not any("utilization" in line for line in on_card.commands)


def test_a_projector_in_ram_leaves_the_card_to_the_model() -> None:
    """noonghunna/club-3090#1380: all of it on one RTX 3090 at 23,264 MiB, by
    --no-mmproj-offload.
    """
    workload = Workload(
        runtime="llama.cpp", quantization="IQ4_XS", kv_cache_type="q8_0", context_tokens=215_040,
        draft="mtp",
    )  # fmt: skip
    places = []
    for option in ("", "no-mmproj-offload", "no-mmproj"):
        options = {option: "yes"} if option else {}
        verdict = check(
            "qwen3.8-27b", workload.replace(runtime_options=options), machine="RTX 3090"
        )
        places.append(verdict.placement)
        assert not option or verdict.commands[-1].count(f" --{option}") == 1
        assert ("--mmproj " in verdict.commands[-1]) is (option != "no-mmproj")
    assert places == ["split", "accelerator", "accelerator"]
    asked = workload.replace(runtime_options={"no-mmproj-offload": "yes"})
    on_card = memory_of(check("qwen3.8-27b", asked, machine="RTX 3090")).places[0]
    assert on_card.low_bytes <= 23_264 * 2**20 <= on_card.high_bytes


def test_layers_and_experts_lie_where_options_put_them() -> None:
    """llama.cpp's load_tensors counts the output matrix as a layer; of 2 x RTX 5090 in its pull
    15077 three layers' experts are in RAM.
    """
    options = {"ngl": "20"}
    workload = Workload(
        runtime="llama.cpp", quantization="Q4_K_M", runtime_options=options
    )
    verdict = check("llama-3.1-8b", workload, machine="RTX 3060, 32GB RAM")
    held = {(term.name, term.where): term.bytes for term in memory_of(verdict).terms}
    assert held["kv_cache", "accelerator:0"] == 19 * 4096 * 2 * 8 * 128 * 2
    assert verdict.commands[0].endswith(" -ngl 20")
    too_many = workload.replace(runtime_options={"ngl": "99"})
    assert (
        "accelerator"
        in check("llama-3.3-70b", too_many, machine="RTX 3060, 64GB RAM").failed
    )
    options = {"ngl": "99", "n-cpu-moe": "3"}
    workload = Workload(
        runtime="llama.cpp", context_tokens=131_072, runtime_options=options
    )
    verdict = check("gpt-oss-120b", workload, machine="2x RTX 5090, 64GB RAM")
    assert (verdict.route, verdict.placement) == ("local", "split")
    in_ram = [
        t.bytes
        for t in memory_of(verdict).terms
        if (t.name, t.where) == ("weights", "host")
    ]
    # 128 experts of 3 x 2,880 x 2,880 numbers in 17 bytes for each 32, and 3 x 2,880 biases in 32
    # bits, which LLM_FFN_EXPS_REGEX of llama.cpp's common/common.h matches too
    weights_bytes = 128 * 3 * 2880 * 2880 * 17 // 32
    biases_bytes = 128 * 3 * 2880 * 4
    assert in_ram == [3 * (weights_bytes + biases_bytes)]


def test_vllm_takes_the_share_and_the_sequences_that_are_asked_for() -> None:
    """unslothai/unsloth#7091: on 24 GB it ran with a share of 0.97 and one sequence, not by
    itself.
    """
    workload = Workload(runtime="vllm", quantization="nvfp4", context_tokens=4096)
    assert (
        check("unsloth/Qwen3.6-27B-NVFP4", workload, machine="RTX 4090, 64GB RAM").route
        != "local"
    )
    options = {"gpu-memory-utilization": "0.97", "max-num-seqs": "1"}
    workload = workload.replace(runtime_options=options)
    verdict = check("unsloth/Qwen3.6-27B-NVFP4", workload, machine="RTX 4090, 64GB RAM")
    assert verdict.route == "local"
    assert "--gpu-memory-utilization 0.97 --max-num-seqs 1" in verdict.commands[-1]


def picture_on(machine: str, model: str, tokens: int) -> Term:
    options = {"image-max-tokens": str(tokens)}
    workload = Workload(runtime="llama.cpp", runtime_options=options)
    verdict = check(model, workload, machine=machine)
    assert f" --image-max-tokens {tokens}" in verdict.commands[-1]
    (picture,) = [t for t in memory_of(verdict).terms if t.name == "projector_compute"]
    return picture


def test_a_picture_takes_what_its_tokens_take() -> None:
    """A GPU reserved 223.30 MiB for Qwen3.5 4B's 1,472 x 1,472 (ggml-org/llama.cpp#22673), which
    the option leaves; a Pixtral's 32 x 32 tokens took 301.4 MB more than 8 x 8
    (llamacpp_companions.json).
    """
    reserved = picture_on("RTX 4090, 64GB RAM", "qwen3.5-4b", 1024)
    assert round(reserved.bytes / 2**20, 1) == 223.3
    assert picture_on("RTX 4090, 64GB RAM", "qwen3.5-4b", 4096).bytes > reserved.bytes
    small = picture_on("i5-8250U 64GB", "mistral-small-3.2-24b-instruct-2506", 64)
    large = picture_on("i5-8250U 64GB", "mistral-small-3.2-24b-instruct-2506", 1024)
    assert large.bytes - small.bytes < 301_400_000 < large.high_bytes - small.high_bytes


@pytest.mark.parametrize(
    ("share", "route"),
    # of 121.7 GiB: less than its 31 GiB, enough, more than the system leaves
    [("0.1", "api"), ("0.8", "local"), ("0.95", "unknown")],
    ids=case_id,
)
def test_a_share_of_a_shared_memory_is_judged(share: str, route: str) -> None:
    options = {"gpu-memory-utilization": share}
    workload = Workload(runtime="vllm", quantization="nvfp4", runtime_options=options)
    assert check("qwen3.6-35b-a3b", workload, machine="dgx spark").route == route


def test_a_shorter_context_is_named_where_a_share_of_shared_memory_is_too_small() -> (
    None
):
    """The weights lie within the share, and the cache of the context does not."""
    options = {"gpu-memory-utilization": "0.16"}
    workload = Workload(
        runtime="vllm",
        quantization="bfloat16",
        kv_cache_type="f16",
        context_tokens=40_960,
        runtime_options=options,
    )
    verdict = check("qwen3-8b", workload, machine="dgx spark")
    (found,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert found.code == "accelerator-too-small"
    assert "a shorter context" in (found.remedy or "")


def test_layers_for_a_gpu_that_is_not_there_are_said_to_be_ignored() -> None:
    workload = Workload(runtime="llama.cpp", runtime_options={"ngl": "20"})
    verdict = check("llama-3.1-8b", workload, machine="laptop-ddr4-16gb")
    (found,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert (verdict.route, found.outcome) == ("local", "warn")
    assert "ignores ngl" in found.reason


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("mtp-Qwen3.8-27B-Q4_0.gguf", "a draft"),
        (
            "https://huggingface.co/unsloth/Qwen3.8-27B-GGUF/resolve/main/MTP/mtp-Qwen3.8-27B-Q4_0.gguf",
            "a draft",
        ),
        ("Qwen3.8-27B-DFlash2-Q4_K_M.gguf", "a draft"),
        ("Qwen3.8-27B-mmproj-F16.gguf", "a projector"),
    ],
    ids=case_id,
)
def test_a_part_is_not_the_model(name: str, word: str) -> None:
    """unsloth/Qwen3.8-27B-GGUF holds them; each was said to need as much as its model."""
    with pytest.raises(UnknownModelError, match=word):
        check(name)


def test_a_tag_of_ollamas_cloud_is_said_to_run_there() -> None:
    verdict = check(
        "qwen3.8:27b-cloud", Workload(runtime="ollama"), machine="RTX 4080, 32GB RAM"
    )
    assert "run on Ollama's servers and download nothing" in verdict.understood_as[0]


@pytest.mark.parametrize(
    ("name", "id"),
    [
        # the names of LM Studio's own catalogue
        ("qwen/qwen3-vl-4b", "qwen3-vl-4b-instruct"),
        ("qwen/qwen3-vl-8b", "qwen3-vl-8b-instruct"),
        ("mistralai/ministral-3-3b", "ministral-3-3b-instruct-2512"),
        ("nvidia/nemotron-3-nano", "nemotron-3-nano-30b-a3b"),
        ("baidu/ernie-4.5-21b-a3b", "ernie-4.5-21b-a3b"),
    ],
    ids=case_id,
)
def test_lm_studios_names_are_known(name: str, id: str) -> None:
    assert resolve(name, CATALOGUE).spec_id == id


def test_another_account_may_hold_other_weights() -> None:
    for name in ("someone/qwen3-vl-4b", "Qwen/Qwen3-VL-4B"):
        with pytest.raises(UnknownModelError):
            resolve(name, CATALOGUE)


def test_graphics_called_arc_read_prompts_beside_a_core_ultra() -> None:
    """A report of an Arc 130V: six times as fast as what was told of the cores beside it."""
    workload = Workload(runtime="llama.cpp")
    paces = [
        check("llama-3.1-8b", workload, machine=f"Core Ultra 7 258V 32GB{card}").speed
        for card in ("", " Arc 130V")
    ]
    cores, card = (speed.prompt for speed in paces if speed is not None)
    assert cores is not None
    assert card is not None
    assert card.low > cores.likely
    assert card.likely > 6 * cores.likely
