"""Many users at once: each one's pace decides, memory says how many are served at once, and who
waits.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from helpers.local_models import config
from helpers.paths import RECORDS
from judge.small import finding_of, speed_of
from selfhost import Workload, check
from selfhost.cli.main import main
from selfhost.core.errors import WorkloadError
from selfhost.core.units import is_slower
from selfhost.judge import judging
from selfhost.judge.judging import layout_of_users
from selfhost.judge.record import Judged, Route, Verdict
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

# Mistral 7B v0.3: 32 layers of 8 keys and values of 128 numbers of 16 bits, 4,096 tokens
CACHE_BYTES = 32 * 2 * 8 * 128 * 2 * 4096
WEIGHTS_BYTES = {"llama.cpp": 4_372_812_000, "vllm": 2 * 7_248_023_552}
GIB = 2**30


def asked(users: int, **more: object) -> Verdict:
    workload = Workload(parallel=users, **more)  # type: ignore[arg-type]
    return check("mistral-7b", workload, machine="rtx 4090")


def shown(verdict: Verdict) -> str:
    return " ".join(plain(check_document([verdict])).split())


@pytest.mark.parametrize(
    ("users", "route"),
    [pytest.param(8, Route.LOCAL, id="few"), pytest.param(120, Route.API, id="many")],
)
def test_what_each_user_gets_decides(users: int, route: Route) -> None:
    """Fifty users of an RTX 4090 got 1.3 tokens/s each and a green answer, for one alone would get
    29.
    """
    verdict = asked(
        users, quantization="Q4_K_M", runtime="llama.cpp", kv_cache_type="f16"
    )
    assert verdict.route is route
    if route is Route.LOCAL:
        pace = speed_of(verdict).judged
        total = speed_of(verdict).parallel_total
        assert pace is not None
        assert total is not None
        assert pace.likely == pytest.approx(total.likely / users)
        assert f"for each of {users} users" in shown(verdict)
        assert "each" in verdict.summary


def test_the_cache_of_one_user_too_many_spills() -> None:
    """Of 24 GiB a program gets 23; weights take 4.07 GiB and each user half a GiB, so 37 fit."""
    most = (23 * GIB - WEIGHTS_BYTES["llama.cpp"]) // CACHE_BYTES
    stated = {
        "quantization": "Q4_K_M",
        "runtime": "llama.cpp",
        "kv_cache_type": "f16",
    }
    assert asked(most + 1, **stated).placement == "split"
    assert asked(most, **stated).placement == "accelerator"


@pytest.mark.parametrize("users", [30, 50, 500])
def test_users_without_room_wait_where_the_program_queues_requests(users: int) -> None:
    """vLLM keeps requests in `waiting` until blocks of cache are free
    (vllm/v1/core/sched/scheduler.py), and starts where one sequence fits; 50 users of a 4090 were
    refused: `39.6 of 22.1 GiB`.
    """
    verdict = asked(
        users,
        runtime="vllm",
        quantization="bfloat16",
        kv_cache_type="f16",
        min_tokens_per_second=0.5,
    )
    assert verdict.can_run
    speed = speed_of(verdict)
    most = (0.92 * 24 * GIB - WEIGHTS_BYTES["vllm"]) // CACHE_BYTES
    assert speed.waiting is not None
    at_once = users - speed.waiting
    assert 0.6 * most <= at_once <= most
    assert any(f"--max-num-seqs {at_once}" in line for line in verdict.commands)
    assert any("queues the requests of the others" in note for note in verdict.notes)
    assert "the others wait for their turn" in shown(verdict)
    assert speed.judged is not None
    assert speed.parallel_total is not None
    assert speed.judged.likely == pytest.approx(speed.parallel_total.likely / users)


def test_who_states_fewer_sequences_than_users_learns_that_the_others_wait() -> None:
    """The printed command has fewer where memory holds fewer, and was refused without a word."""
    with pytest.raises(WorkloadError) as refused:
        asked(64, runtime="vllm", runtime_options={"max-num-seqs": "30"})
    assert "the others wait" in str(refused.value.problems[0].remedy)
    with pytest.raises(WorkloadError) as refused:
        asked(1, runtime="vllm", runtime_options={"max-num-seqs": "0"})
    assert "wait" not in str(refused.value.problems[0].remedy)


def test_a_program_that_serves_so_many_users_is_taken() -> None:
    """llama.cpp refuses more than 256 sequences (src/llama-cparams.h), and vLLM lets them wait."""
    verdict = check("mistral-7b", Workload(parallel=500), machine="8x h100")
    assert verdict.workload.runtime == "vllm"
    assert verdict.route is Route.LOCAL
    with pytest.raises(WorkloadError, match="at most 256"):
        asked(500, runtime="llama.cpp")
    with pytest.raises(WorkloadError, match="at most 256"):
        asked(500, quantization="Q4_K_M")


@pytest.mark.parametrize(
    ("stated", "machine"),
    [
        # FP8 of weights alone by Marlin (vLLM documentation, FP8 W8A8); Transformers needs 8.9
        pytest.param({"quantization": "fp8"}, "rtx 3090", id="a type of a newer GPU"),
        pytest.param(
            {"parallel": 200, "context_tokens": 16_384}, "2x h100", id="users who wait"
        ),
        pytest.param(
            {"quantization": "awq", "parallel": 20}, "rtx 4090", id="users in one batch"
        ),
        # in llama.cpp they got 3 tokens/s each, with a part of the cache in RAM
        pytest.param(
            {"parallel": 50, "kv_cache_type": "f16"},
            "rtx 4090",
            id="users below reading speed",
        ),
    ],
)
def test_a_server_is_taken_where_the_usual_program_does_not_serve(
    stated: dict[str, object], machine: str
) -> None:
    """Only machines of four GPUs and more were judged in vLLM unless it was named."""
    verdict = check("qwen3-8b", Workload(**stated), machine=machine)  # type: ignore[arg-type]
    assert (verdict.workload.runtime, verdict.route) == ("vllm", Route.LOCAL)


def test_a_server_is_taken_in_the_type_that_leaves_room_for_users() -> None:
    """16 bits had room for 11 of 50 users on a 4090, and `--quant fp8` for twice as many."""
    asked = Workload(parallel=50, kv_cache_type="f16")
    taken = check("qwen3-8b", asked, machine="rtx 4090")
    in_fp8 = asked.replace(quantization="fp8")
    stated = check("qwen3-8b", in_fp8, machine="rtx 4090")
    assert taken.speed == stated.speed
    assert taken.speed is not None


def test_no_program_is_proposed_that_refuses_a_stated_option() -> None:
    """vLLM was proposed for `fp8` beside `ub`, which only llama.cpp has."""
    with pytest.raises(WorkloadError) as raised:
        check("qwen3-8b", quantization="fp8", runtime_options={"ub": "1024"})
    [problem] = raised.value.problems
    assert "vllm" not in (problem.remedy or "")


@pytest.mark.parametrize(
    "machine",
    [pytest.param("i5-8250U 16GB", id="cpu"), pytest.param("m4 max 64gb", id="mac")],
)
def test_nobody_is_told_to_leave_out_a_program_that_nobody_named(machine: str) -> None:
    verdict = check("mistral-7b", Workload(parallel=500), machine=machine)
    assert verdict.route is Route.API
    remedies = [finding.remedy or "" for finding in verdict.findings if finding.decides]
    assert any("fewer users" in remedy for remedy in remedies)
    assert not any("--runtime" in remedy for remedy in remedies)


@pytest.mark.parametrize(
    ("stated", "remedy"),
    [
        pytest.param(
            {"kv_cache_type": "fp8", "quantization": "nvfp4"},
            "leave out --quant and --kv-cache:",
            id="two",
        ),
        pytest.param(
            {"kv_cache_type": "fp8", "runtime": "vllm"},
            "leave out --runtime",
            id="named",
        ),
    ],
)
def test_what_chose_the_program_is_left_out(
    stated: dict[str, str], remedy: str
) -> None:
    """A cache of vLLM's on a CPU was told to leave out --runtime, which nobody had typed."""
    verdict = check("qwen3-8b", Workload(**stated), machine="i5-8250U 16GB")  # type: ignore[arg-type]
    remedies = [finding.remedy or "" for finding in verdict.findings if finding.decides]
    assert any(told.startswith(remedy) for told in remedies)


@pytest.mark.parametrize(
    ("stated", "remedy"),
    [
        pytest.param(
            {"parallel": 400}, "leave out --parallel (--users) to", id="users"
        ),
        pytest.param({"runtime": "vllm"}, "leave out --runtime to", id="named"),
    ],
)
def test_an_old_gpu_is_told_what_chose_the_program(
    stated: dict[str, object], remedy: str
) -> None:
    """vLLM's wheels need a compute capability of 7.5 or more; a GTX 1080 has 6.1."""
    verdict = check("qwen3-8b", Workload(**stated), machine="GTX 1080, 64GB RAM")  # type: ignore[arg-type]
    told = [finding.remedy for finding in verdict.findings if finding.decides]
    assert any((words or "").startswith(remedy) for words in told)


@pytest.mark.parametrize(
    ("name", "stated", "keys"),
    [
        pytest.param(
            "qwen3-8b",
            {"quantization": "foo", "runtime_options": {"tp": "2"}},
            ["quantization"],
            id="an option of a program that the type would have chosen",
        ),
        pytest.param(
            "qwen3-8b",
            {"quantization": "int4", "kv_cache_type": "fp8"},
            ["quantization"],
            id="a cache of such a program",
        ),
        pytest.param(
            "qwen3-8b",
            {"quantization": "foo", "runtime_options": {"xyz": "2"}},
            ["quantization", "runtime_options"],
            id="an option of no program",
        ),
        pytest.param(
            "qwen3-8b",
            {"runtime": "foo", "draft": "qwen3-0.6b", "runtime_options": {"tp": "2"}},
            ["runtime"],
            id="options of a program that does not exist",
        ),
    ],
)
def test_one_cause_is_one_error(
    name: str, stated: dict[str, object], keys: list[str]
) -> None:
    with pytest.raises(WorkloadError) as raised:
        check(name, Workload(**stated), machine="RTX 4090, 64GB RAM")  # type: ignore[arg-type]
    assert [problem.key for problem in raised.value.problems] == keys


@pytest.mark.parametrize(
    ("stated", "runtime"),
    [
        pytest.param({}, "ollama", id="nothing"),
        pytest.param({"kv_cache_type": "q8_0"}, "ollama", id="a cache of its own"),
        pytest.param({"kv_cache_type": "fp8"}, "llama.cpp", id="a cache of another"),
        pytest.param({"draft": "qwen3-0.6b"}, "llama.cpp", id="a draft"),
        pytest.param({"quantization": "nvfp4"}, "vllm", id="a type of another"),
        pytest.param({"parallel": 300}, "vllm", id="more users than it serves"),
    ],
)
def test_a_tag_keeps_its_program_where_that_has_what_is_asked(
    stated: dict[str, object], runtime: str
) -> None:
    verdict = check("qwen3:8b", Workload(**stated), machine="RTX 5090, 64GB RAM")  # type: ignore[arg-type]
    assert verdict.workload.runtime == runtime


@pytest.mark.parametrize(
    ("model", "machine", "stated", "numbers"),
    [
        pytest.param(
            "deepseek-v2-chat",
            "4x A100 80GB",
            {"context_tokens": 32768},
            (3, 8, 9),
            id="few",
        ),
        pytest.param(
            "deepseek-v2.5",
            "4x A100 80GB",
            {"context_tokens": 16384},
            (7, 12, 20),
            id="latent",
        ),
        pytest.param(
            "qwen3-14b",
            "2x RTX 3090",
            {"quantization": "bfloat16"},
            (20, 22, 28),
            id="dense",
        ),
        pytest.param(
            "qwen3-14b",
            "2x RTX 3090",
            {"quantization": "bfloat16", "context_tokens": 16384},
            (5, 7, 40),
            id="long context",
        ),
    ],
)
def test_more_users_take_no_place_from_those_who_have_room(
    model: str,
    machine: str,
    stated: dict[str, object],
    numbers: tuple[int, ...],
) -> None:
    """Where the first number of users runs, those who come beside them wait for a turn. A number
    that memory perhaps held was judged in another type, or as unknown.
    """
    verdicts = []
    for users in numbers:
        workload = Workload(
            parallel=users,
            runtime="vllm",
            kv_cache_type="f16",
            **stated,  # type: ignore[arg-type]
        )
        verdicts.append(check(model, workload, machine=machine))
    assert {verdict.route for verdict in verdicts} == {Route.LOCAL}
    assert len({verdict.quantization for verdict in verdicts}) == 1
    served = []
    for users, verdict in zip(numbers, verdicts, strict=True):
        served.append(users - (speed_of(verdict).waiting or 0))
    assert served[0] == numbers[0]
    assert served == sorted(served)


@pytest.mark.parametrize(
    ("model", "machine", "options", "numbers", "is_lean"),
    [
        # 321 at once without graphs were given 2,726 tokens/s in all, 305 with them get 4,588
        pytest.param(
            "llama-3.3-70b", "8x H100 80GB", {}, (305, 321, 400), False, id="large"
        ),
        # 4 at once without graphs were given 72 tokens/s in all, 3 with them 172
        pytest.param(
            "deepseek-v2-chat",
            "4x A100 80GB",
            {"context_tokens": 32768},
            (3, 4, 9),
            False,
            id="few",
        ),
        # 20 at once without graphs get 832 tokens/s in all, 19 with them 796
        pytest.param(
            "qwen3-14b", "RTX 4090", {"quantization": "fp8"}, (6, 20), True, id="gains"
        ),
    ],
)
def test_a_slower_option_is_taken_only_where_all_users_together_gain(
    model: str,
    machine: str,
    options: dict[str, object],
    numbers: tuple[int, ...],
    is_lean: bool,
) -> None:
    """More users at once are no reason for `--enforce-eager`, where the total falls."""
    verdicts = []
    for users in numbers:
        workload = Workload(parallel=users, runtime="vllm", **options)  # type: ignore[arg-type]
        verdicts.append(check(model, workload, machine=machine))
    totals = []
    for verdict in verdicts:
        total = speed_of(verdict).parallel_total
        assert total is not None
        totals.append(total.likely)
    assert totals == sorted(totals)
    assert ("--enforce-eager" in shown(verdicts[-1])) is is_lean
    room = verdicts[0].room
    assert room is not None
    assert room.most_parallel is not None
    assert room.most_parallel < numbers[-1]


def test_users_who_are_all_served_at_once_but_slowly_do_not_wait() -> None:
    """A pace below the minimum is no lack of memory: one of ten was told to wait."""
    verdict = check(
        "qwen3-14b",
        Workload(parallel=10, runtime="vllm", min_tokens_per_second=500),
        machine="2x RTX 3090",
    )
    assert not verdict.can_run
    assert speed_of(verdict).waiting == 0


def test_a_server_with_room_for_all_lets_nobody_wait() -> None:
    verdict = asked(8, runtime="vllm", quantization="bfloat16")
    assert speed_of(verdict).waiting == 0
    assert "wait for their turn" not in shown(verdict)


def test_without_room_for_one_no_queue_helps() -> None:
    """16 GB of weights do not fit on 12 GB, whoever waits."""
    workload = Workload(parallel=100, runtime="vllm", quantization="bfloat16")
    verdict = check("llama-3.1-8b", workload, machine="RTX 3060 12GB")
    assert not verdict.can_run
    assert speed_of(verdict).judged is None


def test_what_is_proposed_is_told_with_what_each_gets() -> None:
    """The answer of 1.3 tokens/s each was told as 29, the pace of one alone; and what is as slow is
    no way out.
    """
    verdict = asked(
        120, quantization="Q4_K_M", runtime="llama.cpp", kv_cache_type="f16"
    )
    assert verdict.alternatives
    for other in verdict.alternatives:
        pace = other.judged_tokens_per_second
        assert pace is not None
        # as it is printed
        assert not is_slower(pace.likely, 2)
        assert other.speed is not None
        # fewer users at once are a way out, told for so many
        assert other.speed.each_of == other.workload.parallel
    instead = plain(check_document([verdict])).partition("instead")[2]
    rows = [line for line in instead.splitlines() if re.search(r"~\d", line)]
    assert rows
    assert all(" each" in row for row in rows)


def test_the_finding_says_how_many_are_served_at_once() -> None:
    verdict = asked(50, runtime="vllm", quantization="bfloat16")
    waiting = speed_of(verdict).waiting
    assert waiting is not None
    at_once = 50 - waiting
    assert (
        f"{at_once} of them at once while the others wait"
        in finding_of(verdict, "speed").reason
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        # 3.4 tokens/s for one alone; 24 caches of half a GiB are read in each step
        pytest.param("parallel = 24", "too slow", id="each of many users"),
        pytest.param(
            "context_tokens = 32768\nmin_tokens_per_second = 2",
            "below the minimum once the context is full",
            id="a full context",
        ),
    ],
)
def test_a_policy_judges_the_same_pace(
    entry: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`audit` passed a model at 7.2 tokens/s whose pace is 1.4 once the context is full, and said
    nothing of it.
    """
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'schema = 1\n[[model]]\nname = "mistral-7b"\n{entry}\n', encoding="utf-8"
    )
    main(["audit", str(policy), "--machines", str(RECORDS / "vm-24gib.json"), "-v"])
    assert words in " ".join(capsys.readouterr().out.split())


def test_more_users_than_a_program_serves_are_sent_to_one_that_queues() -> None:
    """MLX LM and Transformers were named, and SGLang was not: servers alone let requests wait
    (vllm/v1/core/sched/scheduler.py, sglang/srt/managers/scheduler.py).
    """
    with pytest.raises(WorkloadError) as raised:
        check("qwen3-8b", parallel=300, runtime="llama.cpp")
    (problem,) = raised.value.problems
    assert problem.remedy is not None
    assert problem.remedy.endswith("--runtime sglang or vllm or tensorrt-llm")


@pytest.mark.parametrize("users", [1, 4, 8, 16])
def test_another_such_gpu_slows_no_user_of_a_mixture_down(users: int) -> None:
    """With experts in RAM 8 users shared 8.6 tokens/s on one card and 4.8 on two: on one, to read
    the weights took longer than the whole step.
    """
    paces = []
    for gpus in ("RTX 4090", "2x RTX 4090"):
        verdict = check(
            "mixtral-8x22b",
            machine=f"{gpus}, 128 GB of RAM",
            quantization="Q4_K_M",
            parallel=users,
            min_tokens_per_second=0,
        )
        paces.append(_likely_each(verdict))
    one, two = paces
    assert two > one


def test_more_users_of_a_mixture_in_ram_share_less_each() -> None:
    """16 users got as much each as 4 did."""
    each = []
    for users in (1, 2, 4, 8, 16):
        verdict = check(
            "mixtral-8x22b",
            machine="RTX 4090, 128 GB of RAM",
            quantization="Q4_K_M",
            parallel=users,
            min_tokens_per_second=0,
        )
        each.append(_likely_each(verdict))
    assert each == sorted(each, reverse=True)
    assert len(set(each)) == len(each)


def _likely_each(verdict: Verdict) -> float:
    """The likely tokens per second of each user."""
    judged = speed_of(verdict).judged
    assert judged is not None
    return judged.likely


def test_users_who_may_wait_need_no_memory_at_once() -> None:
    """Too little memory for 200 users at once was an answer of its own, though `--runtime vllm`
    let them wait for their turn.
    """
    wanted = Workload(parallel=200, context_tokens=16_384)
    verdict = check("llama-3.3-70b", wanted, machine="8x H100 PCIe, 24 GB RAM")
    assert verdict.route == "local"
    assert verdict.workload.runtime == "vllm"
    assert verdict.speed is not None
    assert verdict.speed.waiting


def test_the_type_that_was_chosen_may_be_stated() -> None:
    """`--quant fp8` was judged in another program on one of the eight GPUs, and refused, though
    200 users waited for their turn in that type where nobody stated it.
    """
    wanted = Workload(parallel=200, context_tokens=16_384)
    machine = "8x H100 PCIe, 24 GB RAM"
    free = check("llama-3.3-70b", wanted, machine=machine)
    stated = wanted.replace(quantization=free.quantization)
    verdict = check("llama-3.3-70b", stated, machine=machine)
    assert verdict.route is Route.LOCAL
    assert verdict.workload.runtime == free.workload.runtime
    assert verdict.speed == free.speed


def test_users_wait_for_a_gpu_where_the_ram_is_too_close_to_call() -> None:
    """Eight processes of vLLM need 16 to 32 GiB of RAM. With 24 GB, one user was an answer that
    nobody can tell, and 200 users lacked 618 GiB on the GPUs, though they wait for their turn.
    """
    wanted = Workload(
        runtime="vllm",
        runtime_options={"tensor-parallel-size": "8"},
        context_tokens=16_384,
    )
    machine = "8x H100 PCIe, 24 GB RAM"
    one = check("llama-3.3-70b", wanted, machine=machine)
    many = check("llama-3.3-70b", wanted.replace(parallel=200), machine=machine)
    assert one.exit_code == many.exit_code == 3
    assert finding_of(many, "memory").outcome == "unknown"
    assert finding_of(many, "accelerator").outcome != "fail"
    assert speed_of(many).waiting


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        pytest.param("FP8", ("vllm", "fp8"), id="of no usual program"),
        pytest.param("F16", ("llama.cpp", "F16"), id="of GGUF files"),
    ],
)
def test_a_stated_type_stays_in_the_program_for_many(
    typed: str, taken: tuple[str, str]
) -> None:
    """F16 would be bfloat16 in vLLM, and nobody asked for that."""
    verdict = check("qwen3-8b", Workload(quantization=typed), machine="4x H100 PCIe")
    assert (verdict.workload.runtime, verdict.quantization) == taken


def test_one_user_keeps_the_program_whose_pace_is_not_known(tmp_path: Path) -> None:
    """The pace of a model of two megabytes is that of the program: no cause to take a server."""
    path = config(
        tmp_path,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=1000,
    )
    typed = Workload(quantization="Q4_K_M", runtime="llama.cpp")
    assert speed_of(check(path, typed, machine="rtx 4090")).decode is None
    assert check(path, machine="rtx 4090").workload.runtime == "llama.cpp"


@pytest.mark.parametrize(
    ("model", "machine", "users", "program"),
    [
        # vLLM is ahead with many users (developers.redhat.com, 2025-08)
        pytest.param("qwen3-8b", "rtx 4090, 64GB RAM", 50, "vllm", id="many"),
        # 9.8 tokens/s each, while 100 users got 15 from vLLM: it gives 50 about 30
        pytest.param("llama-3.1-8b", "rtx 4090, 64GB RAM", 50, "vllm", id="tight"),
        pytest.param("qwen3-8b", "rtx 4090, 64GB RAM", 8, "llama.cpp", id="room"),
        # with more RAM they were given IQ4_XS in llama.cpp at 1.4 tokens/s each, not 6.1
        pytest.param("qwen3-8b", "rtx 4090, 64GB RAM", 200, "vllm", id="no room"),
        pytest.param("qwen3-8b", "rtx 4090, 128GB RAM", 200, "vllm", id="more RAM"),
        # the weights themselves do not fit, in no type that vLLM loads
        pytest.param(
            "gemma-3-27b", "rtx 4090, 64GB RAM", 8, "llama.cpp", id="weights in RAM"
        ),
        # 11.8 tokens/s for each with an 8-bit cache; in FP8 vLLM gives 16.7
        pytest.param(
            "mistral-small-3.2-24b", "2x rtx 3090, 128GB RAM", 50, "vllm", id="faster"
        ),
    ],
)
def test_many_users_whose_caches_the_gpus_do_not_hold_are_served_in_turn(
    model: str, machine: str, users: int, program: str
) -> None:
    """llama.cpp read caches from RAM, a third as fast as a server that lets some users wait."""
    verdict = check(model, Workload(parallel=users), machine=machine)
    assert (verdict.route, verdict.runtime) == (Route.LOCAL, program)


@pytest.mark.parametrize("users", [24, 48])
def test_nobody_waits_where_all_get_text_at_once(users: int) -> None:
    """12 at a time, 24 got 17 tokens/s each and 48 got 8.6: at once in FP8 37, in Q4_K_M 19."""
    verdict = check(
        "phi-3-medium-128k", Workload(parallel=users), machine="7x rtx 3090, 256GB RAM"
    )
    assert (verdict.route, speed_of(verdict).waiting) == (Route.LOCAL, 0)


def test_where_users_wait_the_fastest_type_serves_them() -> None:
    """In bfloat16, with room for 10 at once, 64 got 5.5 tokens/s each; in FP8, for 26, 14."""
    paces = {}
    for quantization in ("bfloat16", "fp8", None):
        workload = Workload(parallel=64, runtime="vllm", quantization=quantization)
        if quantization is None:
            workload = Workload(parallel=64)
        verdict = check("phi-4", workload, machine="2x rtx 3090, 128GB RAM")
        total = speed_of(verdict).parallel_total
        assert total is not None
        paces[quantization] = total.likely
    assert paces[None] == max(paces.values())


QUEUES = [
    pytest.param("qwen3-8b", "RTX 4090 64GB", id="one-gpu"),
    pytest.param("qwen3-8b", "4x RTX 3090 128GB", id="several-gpus"),
    pytest.param("gemma-3-27b", "RTX 4090 + RTX 3060 64GB", id="unequal-gpus"),
    pytest.param("glm-4.6", "8x H100 1TB RAM", id="a-large-mixture"),
    pytest.param("gpt-oss-20b", "server-a100-80gb", id="windows"),
    pytest.param("jamba-reasoning-3b", "RTX 4090 64GB", id="states"),
]


@pytest.mark.parametrize(("model", "machine"), QUEUES)
def test_a_million_users_take_as_few_layouts_as_ten(
    model: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check for a million users counted the memory of 8,870 layouts, 16 to 20 for each way."""
    counted: list[int] = []

    def counting(users: int, *more: object) -> Judged:
        counted.append(users)
        return layout_of_users(users, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(judging, "layout_of_users", counting)
    verdict = check(model, Workload(parallel=1_000_000), machine=machine)
    # of no other model a GPU gives a million people two tokens a second each
    assert {found.id for found in verdict.alternatives} <= {verdict.model.id}
    # each way counts one user first, then the number that memory tells, and fewer where it errs
    ways = counted.count(1)
    assert ways <= 60
    assert len(counted) <= 14 * ways


@pytest.mark.parametrize(("model", "machine"), QUEUES)
@pytest.mark.parametrize("users", [17, 3000])
def test_as_many_users_are_served_at_once_as_have_room(
    model: str, machine: str, users: int
) -> None:
    """One more than are served at once has no room, as surely as one has."""
    verdict = check(model, Workload(parallel=users, runtime="vllm"), machine=machine)
    speed = verdict.speed
    if speed is None or not speed.waiting:
        assert verdict.failed or users == 17
        return
    at_once = users - speed.waiting
    alone, most, more = (
        layout_of_users(number, verdict.question, verdict.machine)
        for number in (1, at_once, at_once + 1)
    )
    assert not most.failed
    assert most.deciding <= alone.deciding
    assert more.failed or not more.deciding <= alone.deciding


# two RTX A6000 hold 65.5 GB of Qwen3 32B and about two contexts of 32,768 tokens, 8.6 GB each
REQUESTS = {
    "context_tokens": 32_768,
    "parallel": 32,
    "runtime": "vllm",
    "quantization": "bf16",
}


def of_requests(**more: object) -> Verdict:
    wanted = Workload(**{**REQUESTS, **more})  # type: ignore[arg-type]
    return check("qwen3-32b", wanted, machine="2x RTX A6000")


def test_requests_shorter_than_the_context_are_served_at_once() -> None:
    """vLLM keeps the tokens of a request, and not the context that it may reach
    (vllm/v1/core/kv_cache_manager.py): 32 of 223 tokens got 470 tokens/s on two RTX A6000, and were
    told 70, for five at a time.
    """
    verdict = of_requests(prompt_tokens=223)
    speed = speed_of(verdict)
    assert verdict.route is Route.LOCAL
    assert speed.waiting == 0
    assert speed.full_contexts is not None
    assert 1 <= speed.full_contexts < 32
    assert speed.parallel_total is not None
    assert speed.parallel_total.low < 470 < speed.parallel_total.high
    # the command lets in all who are told to be served
    assert "--max-num-seqs 32" in shown(verdict)
    # what surely has room with its full context is told, too
    held = f"full context of {speed.full_contexts} of the 32 users"
    assert held in " ".join(verdict.notes)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="no prompt"),
        pytest.param({"prompt_tokens": 32_768 - 360}, id="the context is full"),
    ],
)
def test_requests_that_may_fill_the_context_wait(more: dict[str, int]) -> None:
    speed = speed_of(of_requests(**more))
    assert speed.waiting
    assert speed.full_contexts == 32 - speed.waiting


def test_longer_requests_leave_room_for_fewer() -> None:
    """The cache holds as many tokens, whoever's they are."""
    served = []
    for tokens in (200, 2_000, 8_000, 30_000):
        speed = speed_of(of_requests(prompt_tokens=tokens, parallel=200))
        assert speed.waiting is not None
        served.append(200 - speed.waiting)
    assert served == sorted(served, reverse=True)
    assert served[0] > served[-1]


def test_a_program_that_keeps_whole_contexts_gains_nothing_by_short_requests() -> None:
    """llama.cpp takes the cache of each sequence when it starts (src/llama-kv-cache.cpp)."""
    workload = Workload(
        context_tokens=16_384,
        parallel=8,
        runtime="llama.cpp",
        quantization="Q4_K_M",
        kv_cache_type="f16",
    )
    whole = check("mistral-7b", workload, machine="rtx 4090")
    with_prompt = workload.replace(prompt_tokens=223)
    short = check("mistral-7b", with_prompt, machine="rtx 4090")
    assert short.needs is not None
    assert whole.needs is not None
    assert short.needs.memory == whole.needs.memory
    assert speed_of(short).full_contexts is None


@pytest.mark.parametrize("users", [pytest.param(n, id=str(n)) for n in (32, 300)])
def test_a_command_that_bounds_the_sequences_lets_in_all_that_have_room(
    users: int,
) -> None:
    """Beside `--enforce-eager` memory is counted for the sequences that the command states. Those
    with room for their contexts alone were let in, and 300 told 1.9 tokens/s in place of 15.
    """
    options = {"enforce-eager": "yes"}
    verdict = of_requests(prompt_tokens=223, runtime_options=options, parallel=users)
    assert speed_of(verdict).waiting == 0
    assert f"--max-num-seqs {users} " in shown(verdict)


@pytest.mark.parametrize(
    "users",
    [pytest.param(4, id="at once"), pytest.param(400, id="in turn")],
)
def test_the_pace_of_users_of_an_unknown_gpu_is_not_known(users: int) -> None:
    """Nobody knows how fast a GPU computes whose name is not told. Four users were told so, and
    four hundred who wait in turn that it is too slow.
    """
    workload = Workload(context_tokens=4096, parallel=users, runtime="vllm")
    machine = "24gb vram gpu, 64gb ram"
    verdict = check("llama-3.1-8b", workload, machine=machine)
    assert speed_of(verdict).parallel_total is None
    assert finding_of(verdict, "speed").code == "speed-not-known"
    assert verdict.route is Route.LOCAL


def test_memory_is_counted_for_the_sequences_that_the_command_states() -> None:
    """vLLM captures CUDA graphs and samples for `max_num_seqs` (vllm 0.33.0, _dummy_sampler_run and
    _set_cudagraph_sizes). The command of 8 users states 8, and memory was counted for 256.
    """
    stated = {"runtime": "vllm", "quantization": "fp8", "kv_cache_type": "fp8"}
    for_eight = asked(8, **stated)
    assert "--max-num-seqs 8" in shown(for_eight)
    typed = asked(8, runtime_options={"max-num-seqs": "8"}, **stated)
    assert for_eight.needs is not None
    assert typed.needs is not None
    assert for_eight.needs.memory == typed.needs.memory


@pytest.mark.parametrize(
    ("model", "machine", "users"),
    [
        pytest.param("qwen2.5-14b", "rtx 3090", 8, id="eight"),
        pytest.param("qwen3-14b", "rtx 4090", 48, id="some wait"),
        pytest.param("llama-3.1-8b", "rtx 3090", 1000, id="most wait"),
    ],
)
def test_nobody_is_told_an_option_that_the_command_has(
    model: str, machine: str, users: int
) -> None:
    """The answer said that it surely fits with `max-num-seqs=48`, beside a command with it."""
    workload = Workload(parallel=users, runtime="vllm")
    verdict = check(model, workload, machine=machine)
    assert verdict.can_run
    assert any("--max-num-seqs" in line for line in verdict.commands)
    assert not any("max-num-seqs=" in note for note in verdict.notes)


CONTEXTS = (1024, 2048, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768)


def _doubt(verdict: Verdict) -> int:
    """0 where it surely runs, 1 where it likely does, 2 where it does not."""
    if not verdict.can_run:
        return 2
    return 1 if verdict.has("accelerator-tight") else 0


@pytest.mark.parametrize("users", [8, 64, 300])
@pytest.mark.parametrize(
    ("model", "machine", "quantization"),
    [
        pytest.param("qwen3-14b", "rtx 4090", "awq", id="four bits"),
        pytest.param("qwen3-14b", "rtx 3090", "fp8", id="eight bits"),
        pytest.param("qwen3-32b", "rtx 4090", "awq", id="nearly full"),
        pytest.param("qwen3-14b", "rtx 5090", "bfloat16", id="sixteen bits"),
        pytest.param("phi-4", "2x rtx 3090", "bfloat16", id="two GPUs"),
    ],
)
def test_a_longer_context_is_never_told_surer(
    model: str, machine: str, quantization: str, users: int
) -> None:
    """The caches of full contexts fill the memory up to the likely sum, so that it was told by
    chance which number of users surely has room. Without a user who may wait vLLM starts, too
    (check_enough_kv_cache_memory).
    """
    doubts = []
    for tokens in CONTEXTS:
        workload = Workload(
            parallel=users,
            runtime="vllm",
            quantization=quantization,
            context_tokens=tokens,
            min_tokens_per_second=0.01,
        )
        doubts.append(_doubt(check(model, workload, machine=machine)))
    assert doubts == sorted(doubts)


def test_users_beyond_the_high_end_are_told_to_be_fewer() -> None:
    """At the high end of its range the model takes more than the GPU has, and then some wait."""
    verdict = check("qwen3-14b", Workload(parallel=200), machine="rtx 4090")
    found = finding_of(verdict, "accelerator")
    assert found.code == "accelerator-fits"
    assert "fewer users are served at once" in found.reason


@pytest.mark.parametrize(
    ("model", "machine", "quantization"),
    [
        pytest.param("qwen3-14b", "rtx 4090", "fp8", id="more at once"),
        pytest.param("llama-3.1-8b", "rtx 4090", "awq", id="all at once"),
        pytest.param("llama-3.1-8b", "rtx 3090", "fp8", id="no gain"),
    ],
)
def test_the_slower_mode_is_entered_once_by_the_number_of_users(
    model: str, machine: str, quantization: str
) -> None:
    """Where graphs lack room for all users, the mode without may serve all; where some wait in
    both, the better total decides, so that graphs may come back. In one cache and type neither
    changes again: graphs were counted for 256 sequences, and changed places with each few users.
    """
    modes = []
    for users in (4, 8, 12, 16, 20, 32, 48, 64, 80, 128, 256, 1024):
        workload = Workload(
            parallel=users,
            runtime="vllm",
            quantization=quantization,
            kv_cache_type="fp8",
            min_tokens_per_second=0.01,
        )
        verdict = check(model, workload, machine=machine)
        modes.append("enforce-eager" in verdict.workload.runtime_options)
    entered = 0
    for before, after in itertools.pairwise([False, *modes]):
        if after and not before:
            entered += 1
    assert entered <= 1


@pytest.mark.parametrize(
    ("model", "machine"),
    [
        pytest.param("llama-3.3-70b", "h100", id="four bits"),
        pytest.param("mistral-7b", "l4", id="eight bits"),
        pytest.param("llama-3.1-8b", "rtx 3090", id="sixteen bits"),
    ],
)
def test_fewer_users_are_no_smaller_type(model: str, machine: str) -> None:
    """Over an answer in fp8 for 100,000 users it said "ONLY IN bfloat16 OR SMALLER", because fewer
    users get text fast enough in bfloat16.
    """
    verdict = check(model, Workload(parallel=100_000), machine=machine)
    assert not verdict.can_run
    assert "ONLY IN" not in shown(verdict)


@pytest.mark.parametrize(
    ("users", "words"),
    [
        pytest.param(1, "1 user waits for its turn", id="one"),
        pytest.param(9, "9 users wait for their turn", id="several"),
    ],
)
def test_the_users_who_wait_are_counted_in_grammar(users: int, words: str) -> None:
    """The answer said "1 users wait"."""
    stated = {"runtime": "vllm", "kv_cache_type": "f16", "quantization": "bfloat16"}
    waiting = speed_of(asked(50, **stated)).waiting
    assert waiting is not None
    at_once = 50 - waiting
    # of so many requests as long as the context, all but `users` are served at once
    verdict = asked(at_once + users, prompt_tokens=3800, context_tokens=4096, **stated)
    assert speed_of(verdict).waiting == users
    assert words in finding_of(verdict, "wait").reason


def audited(users: int, tmp_path: Path, more: str = "") -> Path:
    """A policy of so many users in vLLM."""
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'schema = 1\n[[model]]\nname = "mistral-7b"\nruntime = "vllm"\n'
        f"parallel = {users}\n{more}",
        encoding="utf-8",
    )
    return policy


@pytest.mark.parametrize(
    ("users", "waits"),
    [
        pytest.param(50, True, id="some wait"),
        pytest.param(4, False, id="all at once"),
    ],
)
def test_an_audit_says_how_many_users_wait(
    users: int,
    waits: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """50 users passed without a word, 37 of whom wait for their turn."""
    machine = tmp_path / "machine.json"
    main(["machine", "--json", "--machine", "desktop-rtx4090-24gb"])
    machine.write_text(capsys.readouterr().out, encoding="utf-8")
    policy = str(audited(users, tmp_path))
    assert main(["audit", policy, "--machines", str(machine)]) == 0
    told = re.search(r"(\d+) of 50 users wait for their turn", capsys.readouterr().out)
    assert (told is not None) is waits
    if told is not None:
        assert 0 < int(told[1]) < users


def test_an_audit_holds_the_stated_pace_of_each_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who waits counts: the pace is that of all who were asked for, shared by all of them."""
    machine = tmp_path / "machine.json"
    main(["machine", "--json", "--machine", "desktop-rtx4090-24gb"])
    machine.write_text(capsys.readouterr().out, encoding="utf-8")
    policy = str(audited(50, tmp_path, "min_tokens_per_second = 20\n"))
    assert main(["audit", policy, "--machines", str(machine)]) == 1
    assert "too slow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "machine"),
    [
        pytest.param("llama-3.3-70b", "2x T4 + 2x A100 40GB", id="four bits"),
        pytest.param("qwen3.8-27b", "T4 + A100 40GB", id="one of two"),
        pytest.param("qwen3.8-27b", "V100 + A100 40GB", id="too old for vLLM"),
    ],
)
def test_a_type_is_taken_only_where_each_used_gpu_computes_it(
    model: str, machine: str
) -> None:
    """Marlin computes NVFP4 from compute capability 8.0 on (vLLM, marlin_utils_fp4), which an A100
    has, and a T4 of 7.5 and a V100 of 7.0 have not: those stay idle.
    """
    workload = Workload(parallel=16, runtime="vllm", quantization="nvfp4")
    verdict = check(model, workload, machine=machine)
    assert verdict.quantization == "nvfp4"
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    assert verdict.machine.accelerators is not None
    used = {term.where for term in verdict.needs.memory.terms} - {"host"}
    assert used
    for where in used:
        card = verdict.machine.accelerators[int(where.partition(":")[2])]
        assert "A100" in card.name
