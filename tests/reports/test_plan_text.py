"""What `plan` says: the least machine, and known ones that people own or rent."""

from __future__ import annotations

from selfhost import Workload
from selfhost.advice.plan import plan_with
from selfhost.catalogue.index import open_catalogue
from selfhost.reports.layout import plain
from selfhost.reports.plan_text import plan_document


def test_a_plan_proposes_what_people_own_or_rent() -> None:
    """CI runners, a virtual machine and a board stood beside desktops, and no desktop whose card
    holds it all.
    """
    plan = plan_with(open_catalogue(), "gpt-oss-20b", Workload())
    known = {machine.name: machine for machine in plan.machines}
    lines = plain(plan_document(plan)).splitlines()
    signed = [line for line in lines if line[:1] in ("✓", "?") and "GiB" in line]
    # the first of them is the least machine
    proposed = [known[line.split()[1]] for line in signed[1:]]
    kinds = [machine.kind for machine in proposed]
    assert kinds[:2] == ["desktop", "desktop"]
    assert "ci" not in kinds
    assert "virtual" not in kinds
    on_card = [machine for machine in proposed if machine.placement == "accelerator"]
    assert any(machine.kind == "desktop" for machine in on_card)
    (ram,) = [line for line in lines if line.lstrip().startswith("RAM  ")]
    # Ubuntu Desktop and Windows 11 ask for 4 GB
    assert "a desktop with its programs takes 3.73 GiB or more" in " ".join(ram.split())


def test_a_plan_counts_the_machines_that_its_exit_code_counts() -> None:
    """Every machine of the count is one on which `check` says local: one such makes the exit code
    0. The first line said RUNS, and the second that it runs on 0 machines.
    """
    workload = Workload(min_tokens_per_second=30, runtime_options={"sm": "tensor"})
    found = plan_with(open_catalogue(), "llama-3.3-70b", workload)
    assert found.exit_code == 0
    running = [machine for machine in found.machines if machine.route == "local"]
    counted = f"{len(running)} of {len(found.machines)} known"
    second_line = plain(plan_document(found)).splitlines()[1]
    assert second_line.startswith(f"  runs on {counted}")
    assert "perhaps below 30 tokens/s" in second_line


def test_a_plan_for_macs_names_no_other_gpu_and_no_bandwidth() -> None:
    """MLX runs on Macs alone, whose GPU shares the RAM. The plan named a GPU with memory of its
    own, and 100 MB/s of RAM for a model of 4.6 GB.
    """
    plan = plan_with(open_catalogue(), "qwen3-8b", Workload(runtime="mlx"))
    text = plain(plan_document(plan))
    assert "of RAM, which a GPU shares" in text.splitlines()[0]
    assert "or GPU memory" not in text
    assert "bandwidth" not in text


def test_a_plan_without_a_least_machine_says_that_known_ones_run_the_model() -> None:
    """Its need is stated as one figure. The head said CANNOT TELL, above machines that run it and
    the exit code 0, and gave as a reason that no GPU was detected.
    """
    plan = plan_with(open_catalogue(), "ernie-5.5-flash", Workload())
    assert plan.exit_code == 0
    text = plain(plan_document(plan))
    assert text.startswith("✓ RUNS")
    assert "Why not" not in text
    assert "no GPU was detected" not in text


def test_a_plan_counts_no_tokens_of_a_model_that_speaks() -> None:
    plan = plan_with(open_catalogue(), "qwen3-tts-12hz-1.7b-base", Workload())
    assert "tokens/s" not in plain(plan_document(plan)).splitlines()[1]
