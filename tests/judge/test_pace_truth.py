"""Every pace that is predicted, against runs that others published: the files of `truth/speed_*.json`, as
`benchmarks/speed_residuals.py` asks them, and the table of efficiencies that they were fitted on.
"""

from __future__ import annotations

import sys
import tomllib
from statistics import median

import pytest

from helpers.machines import machine_with
from helpers.paths import ROOT, TRUTH
from judge.small import speed_of
from selfhost import Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.judge.pace import expert_parameters
from selfhost.judge.pace.rates import efficiency
from selfhost.judge.question import ask
from selfhost.machine import gpus
from selfhost.machine.record import Accelerator
from selfhost.machine.words import every_card

sys.path.insert(0, str(ROOT / "benchmarks"))

import compute_runs
import speed_residuals

TABLE = tomllib.loads((ROOT / "specs/common/pace.toml").read_text(encoding="utf-8"))
BOUNDS = tomllib.loads((TRUTH / "pace_bounds.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("source", BOUNDS)
def test_published_runs_lie_inside_ranges_of_use(source: str) -> None:
    """As many inside, as near and as narrow as when the table was fitted, but for a little."""
    runs = list(speed_residuals.SOURCES[source]())
    runs = [run for run in runs if not run.group.endswith(speed_residuals.SEVERAL)]
    least_inside, most_off, most_wide = BOUNDS[source]
    assert sum(run.is_inside for run in runs) >= least_inside / 100 * len(runs)
    assert median(abs(run.likely / run.seen - 1) for run in runs) <= most_off
    assert median(run.high / run.low for run in runs) <= most_wide


def test_what_processors_compute_lies_inside_ranges_of_use() -> None:
    """Prompts, speech and pictures on processors (`truth/compute.json`), by kind of work."""
    runs = compute_runs.all_runs()
    assert len(runs) > 100
    assert sum(run.is_inside for run in runs) >= 0.9 * len(runs)


def test_every_row_says_what_it_rests_on() -> None:
    """Runs, devices (three or more, or none: a guess) and a source; ends around the likely figure, slow end first."""
    for row in TABLE["decode"]:
        assert row["runs"] >= row["devices"] not in (1, 2)
        assert 0.2 < row["share"] < 0.95
        assert row["slow"] < 1 < row["fast"]
        assert row["source"] in TABLE["sources"]
    for row in TABLE["share"]:
        for ends in (row["share"], row.get("experts", row["share"])):
            assert ends == sorted(ends)
        assert row["devices"] >= 0
        assert row["source"] in TABLE["sources"]
    for part in ("work", "documents", "pictures", "training", "sound"):
        for ends in TABLE[part].values():
            if isinstance(ends, list):
                assert ends in (sorted(ends), sorted(ends, reverse=True))


def test_every_gpu_has_a_row_for_every_work() -> None:
    """Known or not: the last rows are for the rest, and newer NVIDIA cards come before older."""
    works = {row["work"] for row in TABLE["share"] if "work" in row}
    names = [*(card.name for card in every_card()), "a card that nobody knows"]
    for name in names:
        device = Accelerator(
            vendor=gpus.vendor_of(name), name=name, unified=gpus.fact_of(name, "unified") is True
        )
        for program in ("", "graph", "python"):
            assert efficiency("decode", device, program)
        assert all(efficiency("share", device, work=work) for work in works)
    newer, older = (
        efficiency("decode", Accelerator(vendor="nvidia", name=name))
        for name in ("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 2080")
    )
    assert newer["layer_us"] < older["layer_us"]


@pytest.mark.parametrize(
    "model",
    [
        "qwen3-30b-a3b",
        "gpt-oss-20b",
        # experts of two matrices, without a gate: three left half as much more in RAM as there is
        "nemotron-3-nano-30b-a3b",
        # these in a space narrower than the model
        "nemotron-3-super-120b-a12b",
    ],
)
def test_experts_that_a_token_leaves_out_are_what_it_does_not_read(model: str) -> None:
    """The parameters of a mixture less those that are active, which its publisher states."""
    catalogue = open_catalogue()
    spec, machine = catalogue.spec(model), machine_with()
    step = ask(spec, Workload(), catalogue, machine).step
    assert step is not None
    experts, used, _ = expert_parameters(step.architecture, step.expert_matrices)
    left_out = (spec.parameters.total or 0) - (spec.parameters.active or 0)
    assert experts - used == pytest.approx(left_out, rel=0.01)


def test_of_a_second_token_table_one_row_is_read() -> None:
    """Gemma 4 E4B in 8bit, whose table by layers is 2.8 of its 8.0 billion parameters: on an M5 Max Mac-MLX wrote 81.8 tokens/s (issue 62), and 60 were told at most."""
    asked = Workload(quantization="8bit", runtime="mlx", context_tokens=4096)
    # what it reads in GGUF, whose file is told tensor by tensor, is about as much
    of_file = asked.replace(quantization="Q8_0", runtime="llama.cpp")
    own, other = (
        speed_of(check("gemma-4-e4b-it", each, machine="m5 max 128gb")).decode
        for each in (asked, of_file)
    )
    assert own is not None
    assert other is not None
    assert own.low < 81.8 < own.high
    assert own.likely == pytest.approx(other.likely, rel=0.25)
