"""Several machines that serve one model together: memory and pace against published runs
(tests/truth/clusters.json), what is refused, and laws that hold for every cluster.
"""

from __future__ import annotations

from functools import cache
from statistics import median
from typing import Any

import pytest

from helpers.cluster_runs import (
    catalogue,
    cluster,
    compared,
    judged_run,
    question,
    runs,
    together,
)
from selfhost import check
from selfhost.judge.cluster_choice import ClusterAnswer, best_on_cluster
from selfhost.judge.cluster_parts import DividedModel
from selfhost.judge.clusters import judge_on_cluster
from selfhost.judge.judging import judge
from selfhost.machine.links import link_called
from selfhost.needs.records import likely_bytes

GIB = 2**30
GB = 10**9
WEIGHTS = ("weights", "repacked_weights", "embeddings")


def answer(model: str, text: str, **stated: Any) -> ClusterAnswer:
    machines = cluster(text)
    asked = question(model, machines, **stated)
    return best_on_cluster(asked, catalogue(), machines)


# ------------------------------------------------------------------ published runs


RUNS = runs()


@cache
def errors() -> list[tuple[bool, bool, float]]:
    """Of each run that is compared: whether it was fitted, whether it lies inside the range, and
    how far the likely pace is off.
    """
    found = []
    for run, pace in compared():
        seen = run["tokens_per_second"]
        is_inside = pace.low <= seen <= pace.high
        found.append((run["fitted"], is_inside, abs(pace.likely / seen - 1)))
    return found


def test_runs_that_are_in_no_fit_lie_inside_the_range() -> None:
    unseen = [inside for fitted, inside, _ in errors() if not fitted]
    assert len(unseen) > 20
    assert sum(unseen) / len(unseen) >= 0.9


def test_the_likely_pace_is_near_the_runs() -> None:
    found = errors()
    assert median(off for _, _, off in found) <= 0.2
    assert median(off for fitted, _, off in found if not fitted) <= 0.2


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, id=f"{run['model']} on {run['machines']}")
        for run in RUNS
        if "weights_gib" in run and run.get("users", 1) == 1
    ],
)
def test_the_weights_on_each_machine_are_those_of_the_run(run: dict[str, Any]) -> None:
    """A sum over all machines, or an even part of the file alone, would be off by more: vLLM keeps
    5 to 7 % whole on each.
    """
    judged = together(
        run["model"],
        run["machines"],
        run["split"],
        run["link"],
        runtime=run["runtime"],
        quantization=run["quantization"],
    )
    for part in judged.parts:
        weights = likely_bytes(part.placed.terms, "weights")
        assert weights / GIB == pytest.approx(run["weights_gib"], rel=0.06)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, id=f"{run['model']} on {run['machines']}")
        for run in RUNS
        if "peak_gb" in run
    ],
)
def test_the_peak_of_each_mac_is_that_of_the_run(run: dict[str, Any]) -> None:
    for part in judged_run(run).parts:
        memory = part.placed.memory
        assert memory is not None
        assert memory.total_bytes / GB == pytest.approx(run["peak_gb"], rel=0.04)


def test_a_latent_cache_is_whole_on_each_machine() -> None:
    """vllm-project/vllm#51454: tensor parallelism does not divide the latent cache of MLA."""
    stated: dict[str, Any] = {"runtime": "vllm", "context_tokens": 65_536}
    one = question("deepseek-v3.1", cluster("2x dgx spark"), **stated)
    judged = together("deepseek-v3.1", "2x dgx spark", "tensor", **stated)
    assert one.needs is not None
    whole = likely_bytes(one.needs.terms, "kv_cache")
    for part in judged.parts:
        assert likely_bytes(part.placed.terms, "kv_cache") == whole


# ------------------------------------------------------------------ laws

WAYS = [
    pytest.param(model, text, runtime, id=f"{model} in {runtime} on {text}")
    for model in ("qwen3-32b", "gpt-oss-120b", "glm-4.5-air", "llama-3.3-70b-instruct")
    for text, runtime in (
        ("2x dgx spark", "vllm"),
        ("2x dgx spark", "sglang"),
        ("4x dgx spark", "llama.cpp"),
        ("2x mac studio m3 ultra 512gb", "mlx"),
        ("3x strix halo 128gb", "llama.cpp"),
        ("2x raspberry pi 5 16gb", "llama.cpp"),
        ("2x server-8x-h100", "vllm"),
        ("2x desktop-rtx4090-24gb", "llama.cpp"),
    )
]


@pytest.mark.parametrize(("model", "text", "runtime"), WAYS)
def test_no_machine_needs_more_than_one_alone(
    model: str, text: str, runtime: str
) -> None:
    """Each has some layers, or a part of each, beside what one alone would have on its devices."""
    machines = cluster(text)
    asked = question(model, machines, runtime=runtime)
    for judged in judge_on_cluster(asked, machines):
        assert judged.split is not None
        divided = DividedModel(question=asked, cluster=machines, split=judged.split)
        alone = divided.whole_on(machines.main)
        assert alone.memory is not None
        for part in judged.parts:
            assert part.placed.memory is not None
            assert part.placed.memory.total_bytes <= alone.memory.total_bytes


@pytest.mark.parametrize(
    ("model", "text", "runtime"),
    [
        *WAYS,
        pytest.param(
            "llama-3.3-70b-instruct",
            "raspberry pi 5 1gb + mac studio m3 ultra 512gb",
            "llama.cpp",
            id="a main machine without room for a layer",
        ),
    ],
)
def test_all_layers_lie_on_some_machine(model: str, text: str, runtime: str) -> None:
    """Of the weights nothing is lost, and the output matrix is counted once."""
    machines = cluster(text)
    asked = question(model, machines, runtime=runtime)
    architecture = asked.spec.architecture
    assert architecture is not None
    assert asked.needs is not None
    whole = likely_bytes(asked.needs.terms, *WEIGHTS)
    for judged in judge_on_cluster(asked, machines):
        layers = [part.layers for part in judged.parts]
        if None in layers or not judged.parts:
            continue
        assert sum(map(int, filter(None, layers))) == architecture.layers
        held = 0
        for part in judged.parts:
            held += likely_bytes(part.placed.terms, *WEIGHTS)
        # vLLM's part on each of several GPUs holds some tensors whole
        assert whole * 0.99 <= held <= whole * 1.15


@pytest.mark.parametrize(
    ("runtime", "text", "last_first"),
    [
        pytest.param("vllm", "3x dgx spark", [2, 1, 0], id="vllm"),
        pytest.param("sglang", "3x dgx spark", [2, 1, 0], id="sglang"),
        pytest.param("mlx", "3x mac studio m3 ultra 512gb", [0, 1, 2], id="mlx"),
        pytest.param("llama.cpp", "3x dgx spark", [0, 2, 1], id="llama.cpp"),
    ],
)
def test_a_program_says_which_machine_has_the_last_layers(
    runtime: str, text: str, last_first: list[int]
) -> None:
    """vLLM's get_pp_indices gives the first layers to the first node, mlx_lm the last ones,
    llama.cpp (src/llama.cpp) the devices of --rpc in their order, then those of the main machine.
    """
    machines = cluster(text)
    asked = question("llama-3.3-70b-instruct", machines, runtime=runtime)
    divided = DividedModel(question=asked, cluster=machines, split="layers")
    machine_of = [place.holder.machine for place in divided.layer_places]
    assert machine_of == last_first
    stops = [place.stop for place in divided.layer_places]
    assert stops == sorted(stops, reverse=True)
    assert stops[0] == 80


@pytest.mark.parametrize("text", ["2x dgx spark", "2x mac studio m3 ultra 512gb"])
def test_the_pace_without_a_draft_is_the_pace_that_is_asked_for_without(
    text: str,
) -> None:
    """It was that of one machine, made slower by as much as the pace with the draft."""
    drafted = check(
        "glm-4.6", machine=text, runtime="llama.cpp", split="layers", draft="mtp"
    ).speed
    plain = check("glm-4.6", machine=text, runtime="llama.cpp", split="layers").speed
    assert drafted is not None
    assert plain is not None
    assert plain.decode is not None
    assert drafted.undrafted_tokens_per_second == pytest.approx(
        plain.decode.likely, rel=0.01
    )


@pytest.mark.parametrize(
    ("model", "two"),
    [
        pytest.param(model, f"2x {one}", id=f"{model} on {one}")
        for model in ("qwen3-8b", "qwen3-32b", "gpt-oss-120b", "minimax-m2", "gpt2")
        for one in ("dgx spark", "mac studio m3 ultra 512gb", "strix halo 128gb")
    ],
)
def test_a_second_equal_machine_is_never_told_as_worse(model: str, two: str) -> None:
    """What one machine runs, two run: on one of them, or better."""
    from selfhost.judge.choice import best_way
    from selfhost.judge.rating import rating_of

    machines = cluster(two)
    asked = question(model, machines)
    alone = best_way(judge(asked, machines.main), catalogue(), machines.main)
    taken = answer(model, two).judged
    if alone.fits:
        assert taken.fits
        assert rating_of(taken) <= rating_of(alone)


@pytest.mark.parametrize(
    ("model", "runtime"),
    [
        pytest.param("qwen3-235b-a22b", None, id="any program"),
        pytest.param("glm-4.6", "llama.cpp", id="by layers"),
        pytest.param("minimax-m2.7", "vllm", id="by tensor or layers"),
    ],
)
def test_a_further_equal_machine_is_never_told_as_worse(
    model: str, runtime: str | None
) -> None:
    """A third Spark divides no heads, and a fourth adds a hop: then fewer of them are taken."""
    from selfhost.judge.rating import rating_of

    before = answer(model, "2x dgx spark", runtime=runtime).judged
    for number in (3, 4, 5):
        taken = answer(model, f"{number}x dgx spark", runtime=runtime).judged
        assert taken.fits or not before.fits
        if taken.workload.runtime == before.workload.runtime:
            assert rating_of(taken) <= rating_of(before)
        else:
            # another program is taken for its pace
            assert taken.users_pace is not None
            assert before.users_pace is not None
            assert taken.users_pace.likely > before.users_pace.likely
        before = taken


@pytest.mark.parametrize(
    "model",
    [pytest.param(name, id=name) for name in ("qwen3-32b", "gemma-3-27b-it")],
)
def test_a_faster_link_is_never_told_as_slower(model: str) -> None:
    """Four Sparks: a large type that a faster link brings to the pace of one machine must not
    hide a smaller type in which all four are twice as fast.
    """
    before = 0.0
    for link in ("50gbe", "100gbe", "200gbe", "400gbe"):
        machines = cluster("4x dgx spark").replace(link=link_called(link))
        asked = question(model, machines)
        taken = best_on_cluster(asked, catalogue(), machines).judged
        assert taken.users_pace is not None
        assert taken.users_pace.likely >= before
        before = taken.users_pace.likely


def test_more_context_never_takes_less_on_a_machine() -> None:
    small, large = (
        together("glm-4.6", "2x dgx spark", runtime="llama.cpp", context_tokens=tokens)
        for tokens in (4_096, 65_536)
    )
    for less, more in zip(small.parts, large.parts, strict=True):
        assert less.memory is not None
        assert more.memory is not None
        assert less.memory.total_bytes < more.memory.total_bytes


def test_rdma_decides_the_pace_of_tensors_and_not_of_layers() -> None:
    """Two GB10, Qwen3-Coder-30B, 2026-02: by tensors 45 tokens/s over sockets and more than the 86
    of one machine by RDMA; by layers 71 and hardly less.
    """
    paces = {}
    for split in ("tensor", "layers"):
        for link in ("200gbe,rdma", "200gbe,tcp"):
            judged = together(
                "qwen3-coder-30b-a3b-instruct",
                "2x dgx spark",
                split,
                link,
                runtime="vllm",
                quantization="gptq",
            )
            pace = judged.judged.users_pace
            assert pace is not None
            paces[split, link] = pace.likely
    assert paces["tensor", "200gbe,tcp"] < 0.7 * paces["tensor", "200gbe,rdma"]
    by_rdma = paces["layers", "200gbe,rdma"]
    assert paces["layers", "200gbe,tcp"] == pytest.approx(by_rdma, rel=0.02)


def test_unlike_machines_get_layers_by_their_memory() -> None:
    judged = together(
        "glm-4.6",
        "mac studio m3 ultra 512gb + macbook pro m4 max 128gb",
        runtime="llama.cpp",
    )
    large, small = judged.parts
    assert large.layers is not None
    assert small.layers is not None
    assert large.layers > 2 * small.layers


def test_layers_that_no_device_has_lie_in_the_ram_of_the_main_machine() -> None:
    """1.40 tokens/s with -ngl 23 -ts 14,9 over Thunderbolt (frankenpool, 2026-06-29): 22 layers of
    80 beside the output matrix, 14 of them on the Mac, which is the first device.
    """
    judged = together(
        "deepseek-r1-distill-llama-70b",
        "rtx 4070 laptop 32gb ram linux ++ macbook air m1 16gb",
        runtime="llama.cpp",
        quantization="Q4_K_M",
        context_tokens=512,
        runtime_options={"ngl": "23", "ts": "14,9"},
    )
    main, mac = judged.parts
    assert main.layers == 66
    assert mac.layers == 14
    weights = {"host": 0, "accelerator:0": 0}
    for term in main.placed.terms:
        if term.name in WEIGHTS:
            weights[term.where] += term.bytes
    # 58 layers in RAM; 8 layers and the output matrix on the GPU
    assert weights["host"] == pytest.approx(58 / 80 * 42.5 * GB, rel=0.05)
    assert weights["accelerator:0"] == pytest.approx(8 / 80 * 42.5 * GB, rel=0.25)
    pace = judged.judged.speed
    assert pace is not None
    assert pace.decode is not None
    assert pace.decode.low < 1.40 < pace.decode.high
    assert pace.decode.likely == pytest.approx(1.40, rel=0.4)


def test_all_layers_on_devices_are_those_without_the_option() -> None:
    def parts(**options: str) -> list[int | None]:
        judged = together(
            "qwen3-235b-a22b",
            "2x dgx spark",
            split="layers",
            runtime="llama.cpp",
            quantization="Q2_K",
            runtime_options=options,
        )
        return [part.layers for part in judged.parts]

    assert parts(ngl="99") == parts()
    # of 94 layers and the output matrix a quarter is 23.75: layers 0 to 23 (load_tensors)
    assert parts(ts="1,3") == [70, 24]


def test_stated_shares_are_those_of_the_devices_in_order() -> None:
    """19.4 tokens/s with -ts 7,3 over Ethernet (windows-distributed-inference, 2026-06-29)."""
    judged = together(
        "qwen2.5-14b-instruct",
        "rx 6600 8gb 16gb ram windows ++ rtx 4070 laptop 12gb ram windows",
        link="1gbe",
        runtime="llama.cpp",
        quantization="Q4_K_M",
        context_tokens=4096,
        runtime_options={"ts": "7,3"},
    )
    main, remote = judged.parts
    assert (main.layers, remote.layers) == (13, 35)
    pace = judged.judged.speed
    assert pace is not None
    assert pace.decode is not None
    assert pace.decode.low < 19.4 < pace.decode.high


@pytest.mark.parametrize(
    "users", [pytest.param(1, id="one user"), pytest.param(4, id="four users")]
)
def test_the_machine_that_is_named_first_hardly_decides_the_pace(users: int) -> None:
    """Each reads its own layers. By the step of the first alone four users got 108 or 53."""
    large = "mac studio m3 ultra 96gb"
    small = "mac mini m4 pro 64gb"
    paces = []
    for text in (f"{large} + {small}", f"{small} + {large}"):
        judged = together(
            "gpt-oss-120b", text, "layers", runtime="llama.cpp", parallel=users
        ).judged
        assert judged.speed is not None
        pace = judged.speed.parallel_total or judged.speed.decode
        assert pace is not None
        paces.append(pace.likely)
    assert paces[0] == pytest.approx(paces[1], rel=0.15)


def test_a_finding_names_the_machine_that_is_too_small() -> None:
    judged = together(
        "glm-4.6",
        "mac studio m3 ultra 512gb + raspberry pi 5 4gb",
        "layers",
        runtime="llama.cpp",
        context_tokens=131_072,
    )
    memory = judged.judged.finding("memory")
    assert memory is not None
    if memory.severity:
        assert "raspberry-pi-5-4gb" in memory.reason


def test_users_wait_for_their_turn_where_memory_does_not_hold_all() -> None:
    """vLLM queues requests: memory of one machine does so too. llama.cpp serves all at once."""
    asked: dict[str, Any] = {
        "parallel": 64,
        "context_tokens": 65_536,
        "min_tokens_per_second": 0,
    }
    queued = together(
        "minimax-m2.7",
        "2x dgx spark",
        "tensor",
        runtime="vllm",
        quantization="nvfp4",
        **asked,
    ).judged
    assert queued.fits
    assert queued.speed is not None
    assert queued.speed.waiting
    assert queued.workload.parallel == 64
    refused = together("glm-4.6", "2x dgx spark", runtime="llama.cpp", **asked).judged
    assert "memory" in refused.failed


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("text", "split", "link", "stated", "words"),
    [
        pytest.param(
            "2x dgx spark",
            None,
            None,
            {"runtime": "ollama"},
            "one machine",
            id="a program of one machine",
        ),
        pytest.param(
            "2x dgx spark",
            "tensor",
            None,
            {"runtime": "llama.cpp"},
            "by tensor",
            id="a split that the program lacks",
        ),
        pytest.param(
            "3x dgx spark",
            "tensor",
            None,
            {"runtime": "vllm"},
            "do not divide by 3",
            id="heads that three do not divide",
        ),
        pytest.param(
            "dgx spark + mac studio m3 ultra 512gb",
            "layers",
            None,
            {"runtime": "vllm"},
            "equal machines",
            id="unlike machines in vLLM",
        ),
        pytest.param(
            "2x server-8x-h100",
            "tensor",
            "400gbe",
            {"runtime": "vllm"},
            "several GPUs",
            id="tensors over hosts of several GPUs",
        ),
        pytest.param(
            "9x mac mini m4 16gb",
            "layers",
            None,
            {"runtime": "mlx"},
            "at most 8",
            id="more machines than the program takes",
        ),
    ],
)
def test_what_does_not_work_is_refused_with_what_does(
    text: str, split: str | None, link: str | None, stated: dict[str, Any], words: str
) -> None:
    judged = together("qwen3-32b", text, split, link, **stated)
    assert judged.is_refused
    found = judged.judged.finding("runtime")
    assert found is not None
    assert found.code == "runtime-not-together"
    assert words in found.reason
    assert found.remedy


def test_tensors_over_a_slow_link_are_divided_where_asked() -> None:
    """kyuz0/amd-strix-halo-vllm-toolboxes#88 (2026-09-11): 16.2 to 16.6 tokens/s of experts in AWQ
    with a draft, over USB4; both were refused.
    """
    stated = {"runtime": "vllm", "quantization": "awq-32g", "draft": "mtp"}
    asked = together(
        "qwen3.8-flash-next", "2x strix halo 128gb", "tensor", "usb4", **stated
    )
    assert not asked.is_refused
    speed = asked.judged.speed
    assert speed is not None
    assert speed.decode is not None
    assert speed.decode.low <= 16.4 <= speed.decode.high
    unasked = together(
        "qwen3.8-flash-next", "2x strix halo 128gb", None, "usb4", **stated
    )
    assert unasked.split == "layers"


def test_work_other_than_text_is_refused() -> None:
    judged = together("whisper-large-v3", "2x dgx spark")
    assert judged.is_refused
    found = judged.judged.finding("runtime")
    assert found is not None
    assert "writes text" in found.reason


def test_a_training_is_refused_as_a_training() -> None:
    judged = together("llama-3.1-8b-instruct", "2x dgx spark", task="finetune")
    found = judged.judged.finding("runtime")
    assert judged.is_refused
    assert found is not None
    assert "training" in found.reason


@pytest.mark.parametrize(
    ("model", "text", "stated", "what", "numbers"),
    [
        # config.json of Qwen/Qwen2.5-7B-Instruct: 28 attention heads, 4 KV heads
        pytest.param(
            "qwen2.5-7b-instruct",
            "8x dgx spark",
            {},
            "attention heads",
            "take 2 or 4 machines",
            id="28 heads",
        ),
        # config.json of zai-org/GLM-4.6: 96 heads and lengths of 12,288 and 1,536 divide by 3, its
        # 8 KV heads do not
        pytest.param(
            "glm-4.6",
            "3x dgx spark",
            {"quantization": "fp8"},
            "KV heads",
            "take 2 or",
            id="8 KV heads",
        ),
    ],
)
def test_the_remedy_names_numbers_that_divide_the_model(
    model: str, text: str, stated: dict[str, Any], what: str, numbers: str
) -> None:
    judged = together(model, text, "tensor", None, runtime="vllm", **stated)
    found = judged.judged.finding("runtime")
    assert found is not None
    assert what in found.reason
    assert numbers in str(found.remedy)
    assert " 3" not in str(found.remedy)


def test_a_stated_split_is_judged_in_a_program_that_has_it() -> None:
    """llama.cpp divides no layer over machines, vLLM does, over a slow link too."""
    machines = cluster("2x dgx spark", "10gbe")
    asked = question("minimax-m2.7", machines)
    taken = best_on_cluster(asked, catalogue(), machines, "tensor")
    assert taken.together.judged.workload.runtime == "vllm"


def test_a_mac_has_no_build_of_vllm_beside_a_spark() -> None:
    """Mixed makers: llama.cpp alone takes both."""
    taken = answer(
        "glm-4.6", "dgx spark + mac studio m3 ultra 512gb", quantization="Q4_K_M"
    )
    assert taken.together.judged.workload.runtime == "llama.cpp"


# ------------------------------------------------------------------ the choice


def test_one_machine_is_taken_where_it_does_as_well() -> None:
    taken = answer("qwen3-8b", "2x dgx spark", runtime="llama.cpp")
    assert taken.takes_one
    assert taken.parts == ()


def test_all_machines_are_taken_for_what_one_does_not_hold() -> None:
    taken = answer("glm-4.6", "2x dgx spark", quantization="Q4_K_M")
    assert not taken.takes_one
    assert [one.judged.fits for one in taken.alone] == [False]
    assert taken.judged.fits
    assert len(taken.parts) == 2


def test_a_stated_split_asks_for_all_machines() -> None:
    machines = cluster("2x dgx spark")
    asked = question("qwen3-8b", machines, runtime="vllm")
    taken = best_on_cluster(asked, catalogue(), machines, "tensor")
    assert not taken.takes_one
    assert taken.split == "tensor"
