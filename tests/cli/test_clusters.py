"""Several machines on the command line: asked in all spellings, answered for each machine, refused
with the way out.
"""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.written import run, validate
from selfhost import SelfhostError, can_run, check, plan
from selfhost.machine.named import named

TWO = ("--machine", "2x dgx spark")
LARGE = ("check", "glm-4.6", "--quant", "Q4_K_M")


def record(name: str) -> dict[str, object]:
    return dict(named(name).machine.to_json())


def test_the_answer_tells_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *LARGE, *TWO)
    assert code == 0
    assert "RUNS  GLM-4.6 on 2 × dgx-spark" in out
    assert "on each" in out
    assert "whole layers on each; assumed: --link states another" in out
    assert "does not run" in out


def test_the_smaller_type_that_one_machine_runs_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Public reports run GLM-5.3 Flash on one DGX Spark in three bits (its list of files: 120 GB in
    UD-IQ3_XXS); "does not run" was all that the row told.
    """
    words = ("check", "glm-5.3-flash", "--runtime", "llama.cpp")
    _, out, _ = run(capsys, *words, *TWO)
    (alone,) = [line for line in out.splitlines() if line.startswith("  alone ")]
    assert "does not run" in alone
    assert re.search(r"; in UD-IQ3_\w+ ~\d+ tokens/s$", alone)


def test_the_build_that_joins_machines_is_the_one_to_install(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """llama.app's installer builds llama-app without GGML_RPC (ggml-org/llama-install.sh:
    CMakeLists.txt), and was named below "made with GGML_RPC=ON".
    """
    _, out, _ = run(capsys, *LARGE, *TWO)
    assert "# build it with -DGGML_RPC=ON" in out
    assert "install.sh" not in out


def test_a_stated_link_is_not_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, *LARGE, *TWO, "--link", "25gbe")
    assert "25 Gb/s Ethernet" in out
    assert "assumed: --link" not in out


def test_the_json_has_machines_link_and_parts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = run(capsys, *LARGE, *TWO, "--json")
    answer = json.loads(out)
    validate(answer, "verdict-1")
    assert answer["machines"] == ["dgx-spark", "dgx-spark"]
    assert answer["machines_used"] == 2
    assert answer["link"]["name"] == "200gbe"
    assert answer["link"]["assumed"] is True
    assert answer["split"] == "layers"
    assert [part["layers"] for part in answer["per_machine"]] == [45, 47]
    memory = [part["memory"]["total_bytes"] for part in answer["per_machine"]]
    assert all(size < 121 * 2**30 for size in memory)
    # llama.cpp reads the file on the main machine alone
    assert answer["per_machine"][0]["disk_bytes"] > 200e9
    assert answer["per_machine"][1]["disk_bytes"] is None
    assert answer["alone"][0]["can_run"] is False


def test_one_machine_has_none_of_these_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = run(capsys, "check", "gpt2", "--machine", "dgx spark", "--json")
    assert not {"machines", "link", "per_machine"} & json.loads(out).keys()


def test_one_is_taken_where_it_does_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "check", "qwen3-8b", "--runtime", "llama.cpp", *TWO)
    assert "RUNS  Qwen3 8B on dgx-spark" in out
    assert "2 × dgx-spark together" in out


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        # llama.cpp, tools/rpc/README.md
        pytest.param(
            "glm-4.6 --quant Q4_K_M --runtime llama.cpp",
            [
                "ggml-rpc-server -H 10.0.0.2 -p 50052 -c",
                "llama-server -hf unsloth/GLM-4.6-GGUF:Q4_K_M -c 4096 -np 1 --rpc 10.0.0.2:50052",
            ],
            id="llama.cpp",
        ),
        # docs.vllm.ai, parallelism and scaling: multi-node by multiprocessing
        pytest.param(
            "minimax-m2.7 --quant nvfp4 --runtime vllm --split tensor",
            [
                "--tensor-parallel-size 2 --nnodes 2 --node-rank 1",
                "--master-addr 10.0.0.1 --headless",
                "--tensor-parallel-size 2 --nnodes 2 --node-rank 0 --master-addr 10.0.0.1",
            ],
            id="vllm by tensor",
        ),
        pytest.param(
            "minimax-m2.7 --quant nvfp4 --runtime vllm --split layers",
            [
                "--pipeline-parallel-size 2 --nnodes 2 --node-rank 1",
                "--pipeline-parallel-size 2 --nnodes 2 --node-rank 0",
            ],
            id="vllm by layers",
        ),
        # docs.sglang.io, multi-node deployment
        pytest.param(
            "minimax-m2.7 --quant nvfp4 --runtime sglang --split tensor",
            [
                "--tp 2 --nnodes 2 --node-rank 1 --dist-init-addr 10.0.0.1:20000",
                "--tp 2 --nnodes 2 --node-rank 0 --dist-init-addr 10.0.0.1:20000",
            ],
            id="sglang",
        ),
    ],
)
def test_the_lines_are_those_of_the_programs_documentation(
    words: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "check", *words.split(), *TWO)
    assert code == 0
    for line in lines:
        assert line in out


def test_macs_are_started_by_mlx_launch(capsys: pytest.CaptureFixture[str]) -> None:
    """ml-explore.github.io/mlx: usage, launching distributed programs."""
    words = "check glm-5 --runtime mlx --quant 8bit --split tensor"
    _, out, _ = run(capsys, *words.split(), "--machine", "2x mac studio m3 ultra 512gb")
    assert "mlx.distributed_config --backend jaccl --hosts 10.0.0.1,10.0.0.2" in out
    assert "mlx.launch --hostfile hosts.json" in out
    assert "rdma_ctl enable" in out


def test_the_lines_of_macs_are_not_told_of_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "check minimax-m2.7 --runtime llama.cpp --split layers --link tb5"
    _, out, _ = run(capsys, *words.split(), *TWO)
    assert "Thunderbolt 5" in out
    assert "Mac" not in out


def test_two_hosts_of_eight_gpus_divide_layers_inside_and_between(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "check deepseek-v3.1 --runtime vllm --quant fp8"
    _, out, _ = run(capsys, *words.split(), "--machine", "2x server-8x-h100")
    assert "--tensor-parallel-size 8 --pipeline-parallel-size 2 --nnodes 2" in out


@pytest.mark.parametrize("gpus", ["server-a100-80gb", "server-8x-h200"])
def test_a_main_machine_without_a_gpu_starts_beside_one_with_gpus(
    gpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machines = ("--machine", f"desktop-ryzen-7700-32gb + {gpus}")
    code, out, err = run(capsys, "check", "qwen3-8b", *machines, "--split", "layers")
    assert (code, err) == (0, "")
    assert "--rpc 10.0.0.2:50052" in out
    # the layers of the other machine lie on its GPUs
    assert "in RAM, by the CPU" not in out


@pytest.mark.parametrize("gpus", ["server-a100-80gb", "server-8x-h100"])
def test_no_smaller_type_is_faster_than_one_that_lies_on_the_gpus(
    gpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machines = ("--machine", f"{gpus} + desktop-ryzen-7700-32gb")
    _, out, _ = run(capsys, "check", "qwen3-8b", *machines, "--split", "layers")
    assert "fits the GPU" not in out
    assert "in RAM, by the CPU" not in out


# ------------------------------------------------------------------ what one machine does


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("gpt-4o", id="its weights are closed"),
        pytest.param("qwen3-235b-a22b", id="too slow for the stated pace"),
    ],
)
def test_other_models_are_asked_for_on_the_machine_they_were_judged_on(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("check", model, "--min-speed", "100", "--json")
    _, out, _ = run(capsys, *asked, *TWO)
    first = json.loads(out)["alternatives"][0]
    assert "'dgx spark'" in first["command"]
    _, out, _ = run(capsys, "check", first["id"], *asked[2:], *TWO[:1], "dgx spark")
    again = json.loads(out)
    assert again["speed"]["judged"] == first["judged_tokens_per_second"]


def test_copies_serve_users_and_train_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tuned = ("check", "llama-3.1-8b-instruct", "--task", "finetune")
    _, out, _ = run(capsys, *tuned, *TWO)
    assert "training is not divided" in out
    assert "more users" not in out


def test_one_machine_alone_tells_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("check", "qwen3-235b-a22b", "--min-speed", "100")
    _, out, _ = run(capsys, *asked, *TWO)
    assert "one alone, too slow" in out


def test_a_refused_split_says_nothing_of_types(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Layers divide the model in its usual type, and one machine runs it in that type."""
    asked = ("check", "qwen2.5-7b-instruct", "--runtime", "vllm", "--split", "tensor")
    _, out, _ = run(capsys, *asked, "--machine", "8x dgx spark")
    assert "ONLY IN" not in out
    assert "same model, on that machine alone" in out


# ------------------------------------------------------------------ how they are named


def test_machines_are_named_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    machines = ("--machine", "dgx spark", "--machine", "dgx spark")
    _, out, _ = run(capsys, *LARGE, *machines, "--json")
    assert json.loads(out)["machines"] == ["dgx-spark", "dgx-spark"]


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(json.dumps, id="a list"),
        pytest.param(lambda rows: "\n".join(map(json.dumps, rows)), id="a line each"),
    ],
)
def test_a_file_may_hold_several_records(
    write: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [record("dgx spark") | {"name": f"spark-{number}"} for number in (1, 2)]
    file = tmp_path / "sparks.json"
    assert callable(write)
    file.write_text(write(rows), encoding="utf-8")
    _, out, _ = run(capsys, *LARGE, "--machine", str(file), "--json")
    answer = json.loads(out)
    assert answer["machines"] == ["spark-1", "spark-2"]
    assert answer["can_run"] is True


def test_two_hosts_of_one_product_divide_tensors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records that were read on two hosts have names of their own, and other free memory."""
    rows = [record("dgx spark") | {"name": f"spark-{number}"} for number in (1, 2)]
    rows[1]["memory_available_bytes"] = 100 * 2**30
    file = tmp_path / "sparks.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    asked = ("check", "minimax-m2.7", "--runtime", "vllm", "--quant", "nvfp4")
    code, out, _ = run(capsys, *asked, "--machine", str(file), "--split", "tensor")
    assert code == 0
    assert "spark-1 + spark-2" in out


def test_a_list_of_one_record_is_one_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sparks.json"
    file.write_text(json.dumps([record("dgx spark")]), encoding="utf-8")
    code, out, err = run(capsys, "check", "gpt2", "--machine", str(file))
    assert (code, err) == (0, "")
    assert "dgx-spark" in out


def test_files_of_records_are_joined_by_a_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spark.json"
    file.write_text(json.dumps(record("dgx spark")), encoding="utf-8")
    joined = f"{file} + {file}"
    _, out, _ = run(capsys, *LARGE, "--machine", joined, "--json")
    assert json.loads(out)["machines"] == ["dgx-spark", "dgx-spark"]


@pytest.mark.parametrize("is_main", [True, False], ids=["main", "second"])
def test_memory_that_is_not_known_is_no_reason_against(
    is_main: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine with unknown memory may hold what the other one does not."""
    untold = record("dgx spark") | {"name": "untold"}
    for key in ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes"):
        untold[key] = None
    file = tmp_path / "untold.json"
    file.write_text(json.dumps(untold), encoding="utf-8")
    names = [str(file), "dgx spark"]
    if not is_main:
        names.reverse()
    code, out, _ = run(capsys, *LARGE, "--machine", names[0], "--machine", names[1])
    assert code == 3
    assert "untold: " in out
    assert "memory not known" in out


def test_a_broken_file_tells_all_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [record("dgx spark") | {"name": f"spark-{number}"} for number in (1, 2, 3)]
    rows[0]["memory_total_bytes"] = "much"
    rows[2]["cpu_cores_usable"] = -4
    file = tmp_path / "sparks.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    code, out, err = run(capsys, *LARGE, "--machine", str(file))
    assert (code, out) == (2, "")
    assert "memory_total_bytes" in err
    assert "cpu_cores_usable" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(
            "check gpt2 --machine dgx-spark --link tb5",
            "--link is for several machines",
            id="a link of one machine",
        ),
        pytest.param(
            "check gpt2 --split layers",
            "--split is for several machines",
            id="a split of one machine",
        ),
        pytest.param(
            "check gpt2 --machine 2x-dgx-spark --link tb5",
            "--link",
            id="a name that is none",
        ),
    ],
)
def test_a_link_needs_several_machines(
    words: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words.split())
    assert (code, out) == (2, "")
    assert says in err
    assert "2x dgx spark" in err or "--machine" in err


@pytest.mark.parametrize("command", ["list", "compare gpt2 phi-4", "show gpt2"])
def test_other_commands_ask_for_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *command.split(), *TWO)
    assert code == 2
    assert "names 2 machines" in err


# ------------------------------------------------------------------ from Python


def test_python_takes_machines_one_by_one_or_in_words() -> None:
    one_by_one = check("glm-4.6", machines=["dgx spark", named("dgx spark").machine])
    in_words = check("glm-4.6", machine="2x dgx spark")
    assert one_by_one.can_run
    assert one_by_one.findings == in_words.findings
    assert one_by_one.speed == in_words.speed
    assert one_by_one.to_json()["machines"] == ["dgx-spark", "dgx-spark"]
    assert can_run("glm-4.6", machine="2x dgx spark")
    assert not can_run("glm-4.6", machine="dgx spark")


@pytest.mark.parametrize("machines", [[], ["dgx spark"]])
def test_a_list_of_fewer_than_two_machines_is_an_error(machines: list[str]) -> None:
    """An empty list was answered for this computer."""
    with pytest.raises(SelfhostError, match="a cluster of"):
        check("gpt2", machines=machines)


def test_a_verdict_of_several_machines_is_stored() -> None:
    verdict = check("glm-4.6", machine="2x dgx spark", link="10gbe")
    stored = pickle.loads(pickle.dumps(verdict))
    assert stored == verdict
    assert stored.commands == verdict.commands


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(
            {"machine": "dgx spark", "link": "tb5"},
            "link is for machines",
            id="a link of one machine",
        ),
        pytest.param({"machines": ["dgx spark"]}, "name 2 to 16", id="a list of one"),
        pytest.param(
            {"machine": "dgx spark", "machines": ["dgx spark"] * 2},
            "both given",
            id="both",
        ),
        pytest.param(
            {"machine": "2x dgx spark", "split": "both"}, "split", id="no split"
        ),
        pytest.param({"machines": "dgx spark"}, "machines", id="a text for a list"),
        pytest.param(
            {"machines": ["dgx spark", "no such"]}, "no such", id="an unknown one"
        ),
    ],
)
def test_python_refuses_with_what_to_write(
    arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(SelfhostError, match=says):
        check("gpt2", **arguments)


# ------------------------------------------------------------------ plan


def test_a_plan_names_two_of_a_machine_where_one_does_not_do() -> None:
    planned = plan("glm-4.6", quantization="Q4_K_M")
    joined = {row.machine: row for row in planned.joined}
    fitting = {known.name for known in planned.fitting}
    assert "dgx-spark" in joined
    assert not fitting & joined.keys()
    for row in planned.joined:
        asked = f"{row.number}x {row.machine}"
        verdict = check("glm-4.6", machine=asked, quantization="Q4_K_M")
        assert verdict.can_run
        assert verdict.users_pace == row.judged_tokens_per_second
    assert "dgx-spark" in str(planned.to_json()["joined"])


def test_a_plan_joins_nothing_that_one_machine_holds() -> None:
    assert "dgx-spark" not in {row.machine for row in plan("gpt2").joined}
