"""What options of llama.cpp keep in RAM: `--n-cpu-moe`, `--cpu-moe` and `-ot`."""

from __future__ import annotations

import pytest

from judge.small import memory_of
from selfhost import Workload, check
from selfhost.catalogue.runtime_parts import RuntimeOption
from selfhost.core.errors import WorkloadError
from selfhost.judge.sharing import DivisibleModel, LayerShare
from selfhost.needs.records import How, Needs, Split, Term

# gpt-oss-20b, whose matrices all layers have in the same types
LAYERS = 24
MACHINE = "RTX 4090, 64GB RAM"


def in_ram(model: str = "gpt-oss-20b", **options: str) -> list[tuple[str, int]]:
    """The weights by place, with these options of llama.cpp."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    workload = Workload(runtime="llama.cpp", runtime_options=named)
    verdict = check(model, workload, machine=MACHINE)
    terms = memory_of(verdict).terms
    return [(term.where, term.bytes) for term in terms if term.name == "weights"]


@pytest.mark.parametrize(
    ("pattern", "layers"),
    [
        pytest.param(r".ffn_.*_exps.=CPU", 24, id="as most guides have it"),
        pytest.param(r"exps=CPU", 24, id="short"),
        pytest.param(
            r"\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU", 24, id="llama.cpp's own"
        ),
        pytest.param(r"blk\.[0-9]\.ffn_.*_exps\.=CPU", 10, id="the first ten layers"),
        pytest.param(
            r"blk\.[0-4]\.ffn_.*_exps=CPU,blk\.[5-9]\..*_exps=CPU",
            10,
            id="two patterns",
        ),
    ],
)
def test_a_pattern_keeps_what_it_names_in_ram(pattern: str, layers: int) -> None:
    """common/arg.cpp: --n-cpu-moe N is a pattern for each of the first N layers."""
    assert in_ram(ot=pattern) == in_ram(n_cpu_moe=str(layers))


def test_all_experts_are_those_of_all_layers() -> None:
    """--cpu-moe is --n-cpu-moe of all layers."""
    assert in_ram(cpu_moe="yes") == in_ram(n_cpu_moe=str(LAYERS))


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        pytest.param({"ot": "exps=CPU", "n_cpu_moe": "4"}, 24, id="all, and four"),
        pytest.param(
            {"ot": r"blk\.[5-9]\.ffn_.*_exps=CPU", "n_cpu_moe": "5"}, 10, id="others"
        ),
        pytest.param({"cpu_moe": "yes", "n_cpu_moe": "4"}, 24, id="two switches"),
    ],
)
def test_options_together_keep_what_either_does(
    options: dict[str, str], layers: int
) -> None:
    """common/arg.cpp: each of the options adds patterns to one list."""
    assert in_ram(**options) == in_ram(n_cpu_moe=str(layers))


def test_any_layers_take_as_much_as_the_first() -> None:
    """Twelve layers in the middle take what the first twelve do."""
    middle = in_ram(ot=r"blk\.([6-9]|1[0-7])\.ffn_.*_exps=CPU")
    first = in_ram(n_cpu_moe="12")
    assert sum(size for _, size in middle) == sum(size for _, size in first)
    assert middle[-1] == first[-1]


def test_one_of_three_matrices_is_a_third() -> None:
    """An expert has three matrices of one shape; a bias of `down` is shorter than one of `up`."""
    [*_, (where, part)] = in_ram("qwen3-30b-a3b", ot=r"\.ffn_up_exps\.=CPU")
    [*_, (_, gate)] = in_ram("qwen3-30b-a3b", ot=r"\.ffn_gate_exps\.=CPU")
    [*_, (_, both)] = in_ram("qwen3-30b-a3b", ot=r"\.ffn_(up|gate)_exps\.=CPU")
    assert where == "host"
    assert part == gate
    assert both == pytest.approx(2 * part, abs=1)


@pytest.mark.parametrize(
    ("model", "pattern", "told"),
    [
        pytest.param(
            "qwen3.6-35b-a3b", "ffn_.*=CPU", "also means blk.0.ffn_", id="no experts"
        ),
        pytest.param(
            "gpt-oss-20b", "exp2=CPU", "none of its tensors", id="a slip of the pen"
        ),
        pytest.param("llama-3.1-8b", "ffn=CPU", "also means blk.0.ffn_", id="dense"),
        pytest.param(
            "llama-3.1-8b", "token_embd=CPU", "changes nothing", id="in RAM anyway"
        ),
        pytest.param("gpt-oss-20b", "exps=CUDA1", "each with =CPU", id="a GPU"),
        pytest.param("gpt-oss-20b", "exps", "each with =CPU", id="no place"),
    ],
)
def test_what_is_not_computed_is_said(model: str, pattern: str, told: str) -> None:
    """A pattern that moves another tensor, or none, is refused with the reason."""
    with pytest.raises(WorkloadError, match=told):
        in_ram(model, ot=pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(e+)+x=CPU", id="a repeated group"),
        pytest.param("(ex|e.)*x=CPU", id="a repeated choice"),
        pytest.param(".*.*.*.*.*x=CPU", id="many repeats"),
        pytest.param("e{1,999999999}=CPU", id="a count"),
        pytest.param("(exps=CPU", id="no pattern"),
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """What may take a matcher for ever is no value of the option."""
    option = RuntimeOption(line="", changes="experts_in_ram", place="CPU", source="")
    assert not option.takes(pattern)


def test_layers_of_a_run_are_divided_between_gpus() -> None:
    """Of two GPUs with six of twelve layers each, the first has layers 4 and 5 of a run from 4
    to 9, and of the experts four layers.
    """
    weights = Term(
        name="weights",
        bytes=60,
        low_bytes=60,
        high_bytes=60,
        where="accelerator",
        split=Split.LAYERS,
        first_layer=4,
        stop_layer=10,
        how=How.EXACT,
        source="this test",
        arithmetic="",
    )
    needs = Needs(terms=(weights,))
    model = DivisibleModel(ram_needs=needs, card_needs=needs, layers=12)
    shares = [LayerShare(where=f"accelerator:{index}", layers=6) for index in (1, 0)]
    held = {term.where: term.bytes for term in model.divided(shares).terms}
    assert held == {"accelerator:0": 20, "accelerator:1": 40}


RTX_4070 = "i5-12600k 64gb ddr5-6000, RTX 4070 12GB"


@pytest.mark.parametrize(
    ("model", "quantization", "options", "fits"),
    [
        pytest.param(
            "qwen3-coder-next", "UD-Q4_K_XL", {"n-cpu-moe": "40"}, True, id="80B"
        ),
        pytest.param(
            "qwen3.6-35b-a3b",
            "UD-Q5_K_XL",
            {"ot": ".ffn_(up|down)_(ch|)exps=CPU"},
            True,
            id="two of three",
        ),
        pytest.param(
            "qwen3.6-35b-a3b",
            "UD-Q5_K_XL",
            {"ot": ".ffn_up_(ch|)exps=CPU"},
            False,
            id="one of three",
        ),
        pytest.param(
            "qwen3.5-122b-a10b",
            "UD-IQ4_XS",
            {"ot": r"blk\.(3|[4-9]|[0-9][0-9]+)\.ffn_(up|down|gate)_(ch|)exps=CPU"},
            True,
            id="122B, three layers",
        ),
        pytest.param(
            "qwen3.5-122b-a10b",
            "UD-IQ4_XS",
            {"ot": ".ffn_(up|down)_(ch|)exps=CPU"},
            False,
            id="122B, two of three",
        ),
    ],
)
def test_mixes_of_their_publishers_fit_where_people_ran_them(
    model: str, quantization: str, options: dict[str, str], fits: bool
) -> None:
    """carteakey/lllms, docs/bench-results.md, 2026: what ran on 12 GB, and what was out of memory.

    All that is not known of such a file was told of the few weights beside the experts: of 0.5 to
    10.3 GiB on a GPU that held them.
    """
    workload = Workload(
        runtime="llama.cpp",
        quantization=quantization,
        kv_cache_type="q8_0",
        context_tokens=2048,
        runtime_options=options,
    )
    assert check(model, workload, machine=RTX_4070).can_run is fits


def test_what_likely_fits_as_it_was_placed_is_not_refused() -> None:
    """Options state what lies on the GPU, so that the most that it may be decides nothing alone."""
    workload = Workload(
        runtime="llama.cpp",
        quantization="UD-Q4_K_XL",
        runtime_options={"n-cpu-moe": "40"},
    )
    verdict = check("qwen3-coder-next", workload, machine=RTX_4070)
    (found,) = (each for each in verdict.findings if each.check == "accelerator")
    assert found.code == "accelerator-tight"
    assert "as the options place it" in found.reason
