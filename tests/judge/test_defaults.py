"""Defaults that follow the machine: the best way to run a model, at a route that is never worse."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.machines import IDS, VM
from judge.small import route_of
from selfhost import Route, Workload, WorkloadError, check, rank
from selfhost.advice.verdicts import check_with
from selfhost.audit.policy import Wanted
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.catalogue.index import Catalogue, open_catalogue
from selfhost.judge.choice import best_way
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.judge.rating import is_a_step_faster, merits_of
from selfhost.machine.profiles import all_profiles, load
from selfhost.machine.record import Machine, PresentModel, PresentRuntime
from selfhost.needs.records import Term

CATALOGUE = open_catalogue()
GIB = 2**30
# from the best route to the worst, where no API is offered
ROUTES = (Route.LOCAL, Route.UNKNOWN, Route.NEITHER)
FINETUNING = Workload(task="finetune")


def profile(name: str) -> Machine:
    return load(name).machine


def busy_laptop(free_gib: float) -> Machine:
    """A laptop with 16 GiB, of which other programs leave so many free."""
    laptop = profile("laptop-ddr4-16gb")
    free_bytes = int(free_gib * GIB)
    return laptop.replace(planning=False, memory_available_bytes=free_bytes)


def judged_as(
    model: str, machine: str, **asked: Any
) -> tuple[str | None, str | None, str | None]:
    """Runtime, quantization and placement of the answer."""
    verdict = check(model, Workload(**asked), machine=profile(machine))
    placement = verdict.needs.placement if verdict.needs is not None else None
    return verdict.workload.runtime, verdict.workload.quantization, placement


def terms_of(model: str, quantization: str, machine: str) -> tuple[Term, ...]:
    """The terms of its memory, as placed there."""
    needs = check(
        model, Workload(quantization=quantization), machine=profile(machine)
    ).needs
    assert needs is not None
    assert needs.memory is not None
    return needs.memory.terms


@pytest.mark.parametrize(
    ("model", "machine", "expected"),
    [
        # Q5 or Q6 on a GPU that holds it, at most Q8_0 where it clearly fits
        ("mistral-7b", "desktop-rtx3060-12gb", ("llama.cpp", "Q6_K", "accelerator")),
        ("mistral-7b", "desktop-rtx4090-24gb", ("llama.cpp", "Q8_0", "accelerator")),
        # a GPU that shares the RAM
        ("mistral-7b", "macbook-air-m2-16gb", ("llama.cpp", "Q6_K", "host")),
        # the smallest default where the GPU holds but a part, and on a CPU
        ("llama-3.3-70b", "desktop-rtx4090-24gb", ("llama.cpp", "Q4_K_M", "split")),
        # four bits that fit, where the larger does not; its file is listed
        ("llama-3.1-8b", "macbook-air-m2-8gb", ("llama.cpp", "IQ4_XS", "host")),
        ("llama3.1:8b", "macbook-air-m2-8gb", ("llama.cpp", "Q4_K_M", "host")),
        ("mistral-7b", "strix-halo-128gb", ("llama.cpp", "Q4_K_M", "host")),
        # published in 4 bits: another type adds nothing
        ("gpt-oss-20b", "desktop-rtx5090-32gb", ("llama.cpp", "MXFP4", "accelerator")),
        # 810 GB in 16 bits are more than 8 × 80 GB, 405 GB are not
        ("llama-3.3-70b", "server-8x-h100", ("vllm", "bfloat16", "accelerator")),
        ("llama-3.1-405b", "server-8x-h100", ("vllm", "fp8", "accelerator")),
        # four GPUs serve many, two do not (`preferred_from_accelerators` of
        # specs/runtimes/vllm.toml)
        ("llama-3.1-8b", "aws-g6e.12xlarge", ("vllm", "bfloat16", "accelerator")),
        ("llama-3.1-8b", "azure-NC40ads_H100_v5", ("llama.cpp", "Q8_0", "accelerator")),
        ("sdxl", "desktop-rtx3060-12gb", ("diffusers", "float16", "accelerator")),
        ("sdxl", "desktop-ryzen-7700-32gb", ("diffusers", "float32", "host")),
        # 8 bits of another program's file before 4: 12.7 + 5.1 GB (city96/FLUX.1-dev-gguf)
        (
            "flux-dev",
            "desktop-rtx4090-24gb",
            ("stable-diffusion.cpp", "Q8_0", "accelerator"),
        ),
        # 24.4 GiB at the peak in 8 bits (huggingface/blog, diffusers-quantization.md)
        ("flux-dev", "desktop-rtx5090-32gb", ("diffusers", "int8", "accelerator")),
        ("flux-dev", "server-8x-h100", ("diffusers", "bfloat16", "accelerator")),
    ],
)
def test_a_machine_gets_the_way_that_suits_it(
    model: str, machine: str, expected: tuple[str, str, str]
) -> None:
    """Naming the program that is taken changes nothing."""
    assert judged_as(model, machine) == expected
    if ":" not in model:
        assert judged_as(model, machine, runtime=expected[0]) == expected


def test_lora_falls_back_to_qlora_on_the_gpu_before_the_cpu() -> None:
    """Contract: of fine-tuning the first of LoRA, then QLoRA, that fits; the GPU first."""
    machine = profile("desktop-rtx3060-12gb")
    plain = check("mistral-7b", FINETUNING, machine=machine)
    assert plain.workload.finetune_method == "qlora"
    assert plain.needs is not None
    assert plain.needs.placement == "accelerator"
    assert any(note.startswith("QLoRA: LoRA") for note in plain.notes)
    by_method = check(
        "mistral-7b", FINETUNING.replace(finetune_method="lora"), machine=machine
    )
    assert by_method.workload.finetune_method == "lora"
    with_room = check("mistral-7b", FINETUNING, machine=profile("desktop-rtx4090-24gb"))
    assert with_room.workload.finetune_method == "lora"
    named = check(
        "mistral-7b", FINETUNING.replace(runtime="transformers"), machine=machine
    )
    assert named.workload.finetune_method == "qlora"


@pytest.mark.parametrize(
    ("model", "gpu"),
    [
        pytest.param("gemma-2-2b-it", "RTX 3060 Ti", id="2b"),
        pytest.param("translategemma-4b-it", "RTX 3070", id="4b"),
    ],
)
def test_a_gpu_that_may_be_too_small_leaves_training_in_ram(
    model: str, gpu: str
) -> None:
    """Contract: training on accelerators, then in RAM; a GPU takes no way to train away."""
    without_gpu = check(model, FINETUNING, machine="16 GB of RAM, no GPU")
    assert without_gpu.route is Route.LOCAL
    with_gpu = check(model, FINETUNING, machine=f"{gpu}, 16 GB of RAM")
    assert with_gpu.route is Route.LOCAL
    assert with_gpu.workload == without_gpu.workload
    assert with_gpu.needs is not None
    assert with_gpu.needs.placement == "host"
    stated = check(model, with_gpu.workload, machine=f"{gpu}, 16 GB of RAM")
    assert (stated.route, stated.workload) == (with_gpu.route, with_gpu.workload)


@pytest.mark.parametrize(
    ("asked", "is_asked"),
    [
        pytest.param({"context_tokens": 1024}, True, id="stated"),
        pytest.param({}, False, id="shortened by the program"),
    ],
)
def test_another_method_leaves_the_context_as_asked(
    asked: dict[str, Any], is_asked: bool
) -> None:
    """An offer with a shorter context is none for examples whose length was stated."""
    machine = profile("desktop-rtx3060-12gb")
    question = check(
        "mistral-7b", FINETUNING.replace(**asked), machine=machine
    ).question
    assert question.workload.finetune_method == "qlora"
    assert question.context_asked is is_asked


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("mistral-7b", {"quantization": "Q4_K_M"}),
        ("sdxl", {"runtime": "diffusers", "quantization": "float32"}),
    ],
)
def test_what_is_asked_for_is_never_changed(model: str, asked: dict[str, Any]) -> None:
    where = profile("server-8x-h100")
    workload = Workload(**asked)
    answer = check(model, workload, machine=where)
    own = check_with(CATALOGUE, model, workload, where, follows_machine=False)
    assert answer.findings == own.findings
    assert (answer.workload, answer.needs) == (own.workload, own.needs)


def test_a_model_that_only_ollamas_library_has_is_judged_with_ollama() -> None:
    """all-minilm:22m is F16 (its registry lists it), and no GGUF repository of it is listed: the
    runtime above and the line to type are the same.
    """
    verdict = check("all-minilm", machine=profile("laptop-ddr4-16gb"))
    assert (verdict.workload.runtime, verdict.workload.quantization) == (
        "ollama",
        "F16",
    )
    assert "ollama run all-minilm:22m" in verdict.commands[-1]
    assert (
        judged_as("all-minilm", "laptop-ddr4-16gb", runtime="llama.cpp")[0]
        == "llama.cpp"
    )


@pytest.mark.parametrize("machine", ["server-8x-h100", "laptop-ddr4-8gb"])
def test_an_audit_takes_the_models_own_default(machine: str) -> None:
    """Contract: so that a policy means the same everywhere."""
    model = "deepseek-r1-distill-llama-8b"
    wanted = Wanted(index=0, name=model, label=model, asked=Workload())
    workload = PolicyJudge(CATALOGUE, "2026-11-27")(
        wanted, "default", profile(machine)
    ).workload
    assert (workload.runtime, workload.quantization) == ("llama.cpp", "Q4_K_M")


@pytest.mark.parametrize("model", ["flux-dev", "sd3.5-large"])
@pytest.mark.parametrize("machine", ["desktop-rtx3060-12gb", "desktop-rtx4090-24gb"])
def test_a_picture_runs_on_the_gpu_in_a_smaller_type_or_a_part_at_a_time(
    model: str, machine: str
) -> None:
    """A model of pictures that a GPU does not hold whole runs there all the same: in fewer bits, or
    with its parts moved to the GPU in turn (offload).

    bitsandbytes loads all that it quantizes on the GPU, so that with offload only the denoiser is
    quantized. Files of fewer bits are loaded by another program.
    """
    verdict = check(model, machine=profile(machine))
    assert verdict.route is Route.LOCAL
    (line,) = verdict.commands
    whole = verdict.needs is not None and verdict.needs.placement == "accelerator"
    if line.startswith("sd-cli "):
        assert ("--offload-to-cpu" in line) is not whole
        return
    assert (".to('cuda')" in line) is whole
    assert ("enable_model_cpu_offload()" in line) is not whole
    assert ("components_to_quantize=['transformer'])" in line) is not whole


def test_a_part_at_a_time_takes_what_was_measured() -> None:
    """FLUX.1 [dev] in nf4 with offload and T5 in 16 bits: 9 GiB of the GPU
    (huggingface/diffusers#9149). In RAM lie 6.7 GB of denoiser (4.5 bits a weight) and 10 GB.
    """
    terms = terms_of("flux-dev", "nf4", "desktop-rtx3060-12gb")
    on_gpu = [term for term in terms if term.where != "host"]
    low, high = (
        sum(getattr(term, end) for term in on_gpu)
        for end in ("low_bytes", "high_bytes")
    )
    assert low <= 9 * GIB <= high
    (in_ram,) = [
        term for term in terms if (term.name, term.where) == ("weights", "host")
    ]
    assert in_ram.bytes == pytest.approx(6.7e9 + 9.52e9 + 0.25e9 + 0.17e9, rel=0.01)


@pytest.mark.parametrize(
    ("model", "quantization", "loaded_gib", "reserved_gib"),
    [
        # as PyTorch reserved it on an H100 for 1,024 × 1,024 pixels (huggingface/blog,
        # diffusers-quantization.md)
        ("flux-dev", "bfloat16", 31.447, 36.166),
        ("flux-dev", "nf4", 12.584, 17.281),
        ("flux-dev", "int8", 19.273, 24.432),
        # 7.69 billion parameters (quanto-diffusers.md)
        ("sd3-medium", "float16", 14.33, 18.765),
    ],
)
def test_pictures_take_what_pytorch_reserved(
    model: str, quantization: str, loaded_gib: float, reserved_gib: float
) -> None:
    terms = {
        term.name: term for term in terms_of(model, quantization, "server-8x-h100")
    }
    held = terms["activations"]
    beyond = (reserved_gib - loaded_gib) * GIB
    assert held.low_bytes <= beyond <= held.high_bytes
    assert held.bytes == pytest.approx(beyond, rel=0.15)
    assert terms["weights"].bytes == pytest.approx(loaded_gib * GIB, rel=0.03)
    if quantization in ("nf4", "int8"):
        assert (
            terms["weights"].low_bytes
            <= loaded_gib * GIB
            <= terms["weights"].high_bytes
        )


def test_the_route_is_never_worse_than_that_of_the_models_own_default() -> None:
    """Every twentieth model on some profile: the same route, or a better one in a smaller type or
    by a list that is tried.
    """
    profiles = all_profiles()
    for index, id in enumerate(
        [id for id in IDS if not CATALOGUE.spec(id).closed][::20]
    ):
        machine = profiles[index * 5 % len(profiles)].machine
        own = judge(ask(CATALOGUE.spec(id), Workload(), CATALOGUE, machine), machine)
        ways = best_way(own, CATALOGUE, machine), own
        best, usual = (ROUTES.index(route_of(each, offered=False)) for each in ways)
        assert best <= usual, (id, machine.name)


def test_the_list_judges_what_check_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtime, quantization, placement, pace and route, of rank() as of `list`."""
    where = profile("desktop-rtx3060-12gb")
    ids = (
        "flux.1-dev",
        "gpt-4o",
        "gpt2",
        "mistral-7b-instruct-v0.3",
        "qwen2.5-14b-instruct",
    )
    verdicts = {id: check(id, machine=where) for id in ids}
    monkeypatch.setattr(Catalogue, "ids", lambda _: ids)
    rows = {row.model.id: row for row in rank(machine=where).models}
    for id, verdict in verdicts.items():
        row = rows[id]
        assert (row.workload, row.route) == (verdict.workload, verdict.route)
        assert row.memory_high_bytes == verdict.memory_high_bytes
        assert row.decode_tokens_per_second == verdict.decode_tokens_per_second


@pytest.mark.parametrize(
    ("users", "slowest"),
    [
        pytest.param(4, None, id="fits surely"),
        pytest.param(6, None, id="fits likely"),
        pytest.param(200, 0.5, id="slower than one reads"),
    ],
)
def test_a_type_in_which_the_model_runs_comes_before_one_in_which_it_does_not(
    users: int,
    slowest: float | None,
) -> None:
    """472 GB of weights of 16 bits do not fit on 320 GB; in 8 bits they do, and `--quant fp8` said
    so.
    """
    asked: dict[str, Any] = {
        "runtime": "vllm",
        "context_tokens": 32768,
        "parallel": users,
        "min_tokens_per_second": slowest,
    }
    machine = "4x A100 80GB"
    stated = check("deepseek-v2-chat", machine=machine, quantization="fp8", **asked)
    free = check("deepseek-v2-chat", machine=machine, **asked)
    assert stated.route is Route.LOCAL
    assert free.route is Route.LOCAL
    assert free.quantization == "fp8"


@pytest.mark.parametrize(
    ("model", "asked", "free_gib", "taken"),
    [
        # 2.5 GiB of cache in 16 bits, half of that in q8_0
        pytest.param(
            "granite-3.1-2b-instruct",
            Workload(context_tokens=32_768),
            4.0,
            ("Q4_K_M", "q8_0"),
            id="smaller-cache",
        ),
        pytest.param(
            "nous-hermes-2-solar-10.7b",
            Workload(),
            6.4,
            ("IQ4_XS", "f16"),
            id="smaller-type",
        ),
    ],
)
def test_a_busy_machine_gets_what_fits_beside_its_open_programs(
    model: str, asked: Workload, free_gib: float, taken: tuple[str, str]
) -> None:
    """A type that fits only once other programs are closed ended the search."""
    verdict = check(model, asked, machine=busy_laptop(free_gib))
    way = verdict.workload
    assert (way.quantization, way.kv_cache_type) == taken
    assert not verdict.has("memory-not-now")
    chosen = verdict.question.why_chosen or ""
    assert "only once other programs are closed" in chosen


def test_a_model_that_reads_pages_keeps_its_encoder_on_a_busy_machine() -> None:
    """Closing a program costs less than the encoder, without which glyph reads no page."""
    verdict = check("glyph", machine=busy_laptop(6.4))
    assert not verdict.workload.runtime_options
    assert verdict.has("memory-not-now")


def test_the_number_of_users_does_not_change_the_type_that_holds_one() -> None:
    """110 users were judged in 16 bits, 130 in 8 bits and 150 in 16 bits again."""
    taken = set()
    for users in (1, 110, 130, 150, 200):
        workload = Workload(runtime="vllm", parallel=users)
        verdict = check("glm-4.5-air", workload, machine="4x A100 80GB")
        assert verdict.route is Route.LOCAL
        taken.add(verdict.quantization)
    assert taken == {"bfloat16"}


def test_a_smaller_type_that_is_faster_for_many_stays_with_more_users() -> None:
    """In 16 bits each of 200 users gets less than one reads; in 8 bits 220 users do too, and were
    judged in 16 bits again, until those were too slow to run. More users need no larger type.
    """
    types = []
    for users in (64, 200, 220, 300, 500):
        workload = Workload(runtime="vllm", parallel=users, context_tokens=16384)
        verdict = check("command-r-plus", workload, machine="4x A100 80GB")
        assert verdict.route is Route.LOCAL
        types.append(verdict.quantization or "")
    assert types == sorted(types)
    assert types[-1] == "fp8"


@pytest.mark.parametrize(
    ("model", "machine", "asked", "taken"),
    [
        # 65.5 GB in 16 bits, 33 in 8 bits, 19.3 in four (Qwen/Qwen3-32B-AWQ)
        pytest.param(
            "qwen3-32b", "rtx 4090", Workload(runtime="vllm"), "awq", id="one"
        ),
        pytest.param(
            "qwen3-32b", "rtx 4090", Workload(runtime="sglang"), "awq", id="one-sglang"
        ),
        # 70.6 GB in 8 bits leave room for the caches of five users
        pytest.param(
            "llama-3.3-70b",
            "h100 80gb hbm3",
            Workload(runtime="vllm", parallel=50),
            "awq",
            id="many",
        ),
        # 141 GB in 16 bits; no type was tried on a GPU that shares the RAM
        pytest.param(
            "llama-3.3-70b",
            "dgx spark",
            Workload(runtime="vllm"),
            "nvfp4",
            id="shared-ram",
        ),
        # 366 of 640 GB: four bits are no faster, since attention stays in 16
        pytest.param(
            "glm-4.7",
            "server-8x-h100",
            Workload(runtime="vllm"),
            "fp8",
            id="room-for-8",
        ),
    ],
)
def test_a_server_takes_smaller_types_that_somebody_publishes(
    model: str, machine: str, asked: Workload, taken: str
) -> None:
    """Four bits were only an alternative: the model did not run, or five of 50 users were served at
    once.
    """
    verdict = check(model, asked, machine=machine)
    by_hand = check(model, asked.replace(quantization=taken), machine=machine)
    assert verdict.route is Route.LOCAL
    assert verdict.quantization == taken
    assert verdict.users_pace == by_hand.users_pace


def test_a_server_takes_no_four_bits_that_somebody_would_have_to_make() -> None:
    """Nobody is known to publish Yi 34B in four bits for servers."""
    verdict = check("yi-34b-chat", machine="rtx 4090", runtime="vllm")
    assert verdict.route is not Route.LOCAL
    assert verdict.alternatives


@pytest.mark.parametrize(
    ("model", "machine", "users", "program"),
    [
        # it had 13 tokens/s for each in llama.cpp, and vLLM was not named
        pytest.param("qwen3-32b", "h100 80gb hbm3", 50, "vllm", id="many-on-a-server"),
        pytest.param("mistral-7b", "rtx 4090", 2, "llama.cpp", id="two-at-home"),
    ],
)
def test_several_users_get_another_program_where_it_is_faster(
    model: str, machine: str, users: int, program: str
) -> None:
    """Law 2 for the program: typed by hand no program gives the users more by a fifth."""
    free = check(model, machine=machine, parallel=users)
    assert free.runtime == program
    assert free.users_pace is not None
    for runtime in ("llama.cpp", "vllm"):
        stated = check(model, machine=machine, parallel=users, runtime=runtime)
        assert not is_a_step_faster(stated, free)


@pytest.mark.parametrize("id", ["llama.cpp", "vllm"])
def test_the_one_program_that_is_installed_is_taken(id: str) -> None:
    """On four GPUs, where vLLM is the default: of an answer nothing has to be installed first."""
    machine = profile("aws-g6e.12xlarge").replace(runtimes=(PresentRuntime(id=id),))
    assert check("llama-3.1-8b", machine=machine).workload.runtime == id


def test_a_file_that_is_here_already_is_kept() -> None:
    """What is downloaded is not downloaded again in another quantization."""
    own = check("mistral-7b", Workload(quantization="Q4_K_M"), machine=VM)
    assert own.needs is not None
    file = PresentModel(
        path="~/.cache/llama.cpp/Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        size_bytes=own.needs.download_bytes or 0,
        repository="bartowski/Mistral-7B-Instruct-v0.3-GGUF",
        file="Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        complete=True,
        store="llama.cpp",
        quantization="Q4_K_M",
    )
    machine = profile("desktop-rtx4090-24gb").replace(models_present=(file,))
    verdict = check("mistral-7b", machine=machine)
    assert verdict.here is not None
    assert verdict.workload.quantization == "Q4_K_M"


def test_a_name_of_files_for_another_system_leads_to_those_that_run() -> None:
    """MLX runs on a Mac: a name of its files asked about elsewhere is the model's GGUF there, and
    says so; --runtime mlx, and a policy, mean what they say.
    """
    name = "mlx-community/Qwen3-4B-4bit"
    card = profile("desktop-rtx4090-24gb")
    elsewhere = check(name, machine=card)
    assert (elsewhere.route, elsewhere.workload.runtime) == (Route.LOCAL, "llama.cpp")
    assert any("--runtime mlx" in note for note in elsewhere.understood_as)
    here = check(name, machine=profile("macbook-air-m2-16gb"))
    assert (here.route, here.workload.runtime) == (Route.LOCAL, "mlx")
    asked = check(name, Workload(runtime="mlx"), machine=card)
    assert asked.finding("runtime").code == "runtime-no-build"  # type: ignore[union-attr]
    held = check_with(CATALOGUE, name, Workload(), card, follows_machine=False)
    assert held.workload.runtime == "mlx"


@pytest.mark.parametrize("name", ["mlx-community/Qwen3-8B-4bit", "Qwen/Qwen3-8B-FP8"])
def test_files_that_no_program_here_loads_lead_to_others_of_the_model(
    name: str,
) -> None:
    """Issue 56, item 8: one rule for a program without a build and for one that has no GPU."""
    verdict = check(name, machine=VM)
    assert (verdict.route, verdict.workload.quantization) == (Route.LOCAL, "Q4_K_M")
    assert any("other files of the model" in note for note in verdict.understood_as)


@pytest.mark.parametrize(
    ("model", "type", "download_gb"),
    [
        # Niko1221/Strata docs/QUANTS.md: 111.3 GB; of Q4_K_M no file is known
        pytest.param("qwen3.8-flash-next", "UD-Q4_K_XL", 111.3, id="own-mix-alone"),
        # huggingface.co/unsloth/MiniMax-M2.7-GGUF: 108 GB; Q4_K_M has 138, too many here
        pytest.param("minimax-m2.7", "UD-IQ4_XS", 108.4, id="narrower-mix-alone"),
        pytest.param("qwen3.8-27b", "Q4_K_M", None, id="usual-type-beside-it"),
    ],
)
def test_the_mix_that_is_published_is_taken(
    model: str, type: str, download_gb: float | None
) -> None:
    """Nobody makes Q4_K_M of 360 GB where the publisher has a mix of four bits."""
    verdict = check(model, Workload(), machine=profile("strix-halo-128gb"))
    assert verdict.workload.quantization == type
    if download_gb is not None:
        assert verdict.download_bytes == pytest.approx(download_gb * 1e9, rel=0.02)


def test_an_embedder_without_known_files_of_llama_cpp_is_judged_as_published() -> None:
    """Its users load it with Sentence Transformers (the card of thenlper/gte-base); a file made for
    llama.cpp would be in F16, no smaller than what is published. Of bge-base-en-v1.5 there is one.
    """
    machine = profile("aws-m7i.2xlarge")
    published = check("gte-base", machine=machine)
    assert published.workload.runtime == "sentence-transformers"
    assert not any("convert" in line for line in published.setup)
    assert check("bge-base-en-v1.5", machine=machine).workload.runtime == "llama.cpp"
    # a chat model of 16 bits shrinks by three quarters when its file is made
    assert check("olmo-7b", machine=machine).workload.runtime == "llama.cpp"


@pytest.mark.parametrize(
    ("model", "type"),
    [
        pytest.param("devstral-small-2-24b", "Q6_K", id="published in 8 bits"),
        pytest.param("gpt-oss-20b", "MXFP4", id="published in 4 bits"),
    ],
)
def test_a_type_with_no_more_bits_than_the_published_is_taken(
    model: str, type: str
) -> None:
    """Devstral Small 2 stayed at Q4_K_M on 24 GB, where Q6_K fits as well: its weights are
    published in FP8.
    """
    verdict = check(model, machine="RTX 4090, 64GB RAM")
    assert verdict.workload.quantization == type
    assert verdict.placement == "accelerator"


@pytest.mark.parametrize(
    ("model", "typed", "named"),
    [
        pytest.param("mistral-7b", "ollma", ["ollama"], id="slip"),
        pytest.param("mistral-7b", "llama-server", ["llama.cpp"], id="its server"),
        pytest.param("mistral-7b", "foo", ["llama.cpp", "vllm"], id="text"),
        pytest.param("flux.1-schnell", "foo", ["diffusers"], id="pictures"),
    ],
)
def test_an_unknown_program_names_those_that_run_the_model(
    model: str, typed: str, named: list[str]
) -> None:
    """A program of another modality, such as whisper.cpp, is no help."""
    with pytest.raises(WorkloadError, match=typed) as refused:
        check(model, Workload(runtime=typed), machine="macbook-air-m2-16gb")
    said = str(refused.value)
    assert all(name in said for name in named)
    assert "whisper.cpp" not in said


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("desktop-rtx4090-24gb", id="one-gpu"),
        pytest.param("macbook-pro-m3-max-64gb", id="shared-memory"),
    ],
)
def test_a_long_prompt_is_answered_as_the_context_that_it_needs(machine: str) -> None:
    """A prompt of 20,000 tokens and a context of 20,480 tokens are the same question."""
    model = "llama-3.1-8b-instruct"
    by_prompt = judged_as(model, machine, prompt_tokens=20_000)
    by_context = judged_as(model, machine, context_tokens=20_480)
    assert by_prompt == by_context


def test_a_layer_that_is_run_through_twice_is_read_twice() -> None:
    """Nanbeige4.2 3B stores 22 layers for 44 (its config.json): half of the bits read less by as
    much as it does of other models, and on an H100 gain less than that, so the bits stay.
    """
    verdict = check("nanbeige4.2-3b", machine="server-8x-h100")
    assert verdict.quantization == "bfloat16"
    download_bytes = verdict.placed.download_bytes
    assert download_bytes is not None
    assert merits_of(verdict).read_bytes > 1.5 * download_bytes
