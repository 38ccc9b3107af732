"""A row of `SETTINGS` whose option changes figures that nothing else computes: typed by hand, told
as faster, and chosen.

The option `turbo` is made up. The example of docs/architecture.md is read from the page.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.cluster_runs import cluster
from helpers.paths import ROOT, SPECS
from selfhost.advice.verdicts import check_with
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.runtime_parts import COMPUTED_SETTINGS, RuntimeOption
from selfhost.cli.asked import workload_of
from selfhost.cli.check import CheckOptions
from selfhost.core.errors import SpecError, WorkloadError
from selfhost.core.workload import Workload
from selfhost.judge import choice, settings
from selfhost.judge.choice import best_way, in_way
from selfhost.judge.clusters import judge_on_cluster
from selfhost.judge.judging import judge
from selfhost.judge.pace import Range
from selfhost.judge.question import ask
from selfhost.judge.rating import rating_of
from selfhost.judge.record import Verdict
from selfhost.judge.settings import (
    SETTINGS,
    Effect,
    RunSetting,
    Situation,
    with_options,
)
from selfhost.judge.ways import usual_and_smaller
from selfhost.machine.profiles import load
from selfhost.needs.case import Case

DESKTOP = "desktop-rtx4090-24gb"
# a dense model of which the desktop holds all, and a mixture
DENSE = "qwen3-14b"
MIXTURE = "qwen3-30b-a3b"
# the program and the type, so that only the option differs
PINNED = Workload(runtime="llama.cpp", quantization="Q4_K_M")
OPTION = RuntimeOption(line="--turbo {value}", most=8.0, source="made up for a test")
PACE = Range(1.25, 1.5, 2.0)
TOTAL = Range(1.2, 1.4, 1.8)
PROMPT = Range(1.5, 2.0, 4.0)
WORDS = "turbo, which is made up"
HOW = "with turbo both are faster (a test)"


PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_, _, PART = PAGE.partition("## A setting of a program")
[IN_FILE] = re.findall(r"```toml\n(.*?)```", PART, re.DOTALL)
FUNCTIONS, ROW = re.findall(r"```python\n(.*?)```", PART, re.DOTALL)
[(NAME, STATED)] = tomllib.loads(IN_FILE)["option"].items()


class _WithOptions(Catalogue):
    """The shipped catalogue, where two programs have the made option, and one that of the page."""

    def runtime(self, id: str) -> RuntimeSpec:  # type: ignore[override]
        found = super().runtime(id)
        if id not in ("llama.cpp", "vllm"):
            return found
        named = {**found.named_options, "turbo": OPTION}
        if id == "llama.cpp":
            named[NAME] = RuntimeOption(**STATED)
        return found.replace(named_options=named)


CATALOGUE = _WithOptions.open()


def _faster_pace(case: Case) -> Effect | str:
    if case.spec.is_dense:
        return "turbo changes nothing without experts"
    return Effect(pace=PACE, how=HOW)


def _faster_prompt(_: Case) -> Effect:
    return Effect(prompt=PROMPT, how=HOW)


def _faster_in_both(_: Case) -> Effect:
    return Effect(pace=PACE, total=TOTAL, prompt=PROMPT, how=HOW)


def _words(_: Situation) -> str:
    return WORDS


def _always(_: Situation) -> bool:
    return True


def _asked(on: Situation, workload: Workload) -> Workload | None:
    return with_options(workload, on.runtime.options_for("turbo"), "4")


TURBO = RunSetting(
    what=_words,
    may_help=_always,
    asked=_asked,
    effects={"turbo": _faster_in_both},
    least_shares={},
)

AddRow = Callable[[RunSetting], None]


@pytest.fixture
def add_row(monkeypatch: pytest.MonkeyPatch) -> AddRow:
    """Adds a row to the table, for one test."""

    def add(row: RunSetting) -> None:
        for module in (settings, choice):
            monkeypatch.setattr(module, "SETTINGS", (*SETTINGS, row))

    return add


def answer(model: str, workload: Workload, machine: str = DESKTOP) -> Verdict:
    return check_with(CATALOGUE, model, workload, load(machine).machine)


def by_hand(workload: Workload) -> Workload:
    return workload.replace(runtime_options={"turbo": "4"})


def times(before: Range | None, after: Range | None) -> float:
    """How many times as much is likely."""
    assert before is not None
    assert after is not None
    return after.likely / before.likely


# ------------------------------------------------------------------ typed by hand


@pytest.mark.parametrize(
    ("asked", "gain"),
    [
        pytest.param({}, 1.5, id="one-user"),
        pytest.param({"parallel": 8}, 1.4, id="several-users"),
        pytest.param({"parallel": 400, "runtime": "vllm"}, 1.4, id="users-who-wait"),
        pytest.param({"draft": "qwen3-0.6b"}, 1.5, id="a-draft"),
    ],
)
def test_what_is_typed_has_the_effect(
    add_row: AddRow, asked: dict[str, object], gain: float
) -> None:
    """One sequence alone is 1.5 times as fast, several together 1.4 times; a prompt is read twice
    as fast.
    """
    if "runtime" in asked:
        asked = {**asked, "quantization": "fp8"}
    workload = PINNED.replace(**asked)
    plain = answer(DENSE, workload)
    add_row(TURBO)
    typed = answer(DENSE, by_hand(workload))
    assert plain.speed is not None
    assert typed.speed is not None
    assert times(plain.users_pace, typed.users_pace) == pytest.approx(gain)
    assert times(plain.speed.decode, typed.speed.decode) == pytest.approx(1.5)
    assert times(plain.speed.prompt, typed.speed.prompt) == pytest.approx(2.0)
    undrafted = plain.speed.undrafted_tokens_per_second
    if undrafted is not None:
        assert typed.speed.undrafted_tokens_per_second == pytest.approx(1.5 * undrafted)
    assert HOW in typed.speed.how
    assert "--turbo 4" in "".join(typed.commands)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({}, id="one-user"),
        pytest.param({"parallel": 8}, id="several-users"),
        pytest.param({"draft": "qwen3-0.6b"}, id="a-draft"),
    ],
)
def test_a_wait_is_the_faster_prompt_and_a_faster_step(
    add_row: AddRow, asked: dict[str, object]
) -> None:
    """The wait is the time of the prompt and of one step without a draft; the prompt takes half as
    long, the step two thirds.
    """
    workload = PINNED.replace(prompt_tokens=100, context_tokens=4096, **asked)
    plain = answer(DENSE, workload)
    assert plain.speed is not None
    assert plain.speed.prompt is not None
    assert plain.first_word_seconds is not None
    reading = 100 / plain.speed.prompt.likely
    step = plain.first_word_seconds.likely - reading
    add_row(TURBO)
    typed = answer(DENSE, by_hand(workload))
    assert typed.first_word_seconds is not None
    assert typed.first_word_seconds.likely == pytest.approx(reading / 2 + step / 1.5)


def test_waits_for_usual_prompts_follow(add_row: AddRow) -> None:
    """Those of prompts that nobody stated, which the answer tells: of 20,000 tokens one step is no
    hundredth of the wait.
    """
    plain = answer(DENSE, PINNED).waits[-1]
    add_row(TURBO.replace(effects={"turbo": _faster_prompt}))
    typed = answer(DENSE, by_hand(PINNED)).waits[-1]
    assert plain.prompt_tokens == typed.prompt_tokens == 20_000
    assert times(typed.seconds, plain.seconds) == pytest.approx(2.0, rel=0.01)


def test_machines_together_are_faster_too(add_row: AddRow) -> None:
    """Two machines read a prompt twice as fast as the same two without the option."""
    machines = cluster("2x dgx spark")

    def prompt_rate(workload: Workload) -> Range | None:
        question = ask(CATALOGUE.spec(DENSE), workload, CATALOGUE, machines.main)
        together, *_ = judge_on_cluster(question, machines, "layers")
        assert together.judged.speed is not None
        return together.judged.speed.prompt

    plain = prompt_rate(PINNED)
    add_row(TURBO)
    assert times(plain, prompt_rate(by_hand(PINNED))) == pytest.approx(2.0)


def test_several_users_gain_nothing_unless_the_row_says_so(add_row: AddRow) -> None:
    """A batch reads the weights once for all. Eight users had the whole gain of one."""
    workload = PINNED.replace(parallel=8)
    plain = answer(MIXTURE, workload)
    add_row(TURBO.replace(effects={"turbo": _faster_pace}))
    typed = answer(MIXTURE, by_hand(workload))
    assert typed.users_pace == plain.users_pace
    assert plain.speed is not None
    assert typed.speed is not None
    assert times(plain.speed.decode, typed.speed.decode) == pytest.approx(1.5)


def test_an_option_that_does_nothing_for_a_model_is_refused(add_row: AddRow) -> None:
    """For the reason that the row gives."""
    add_row(TURBO.replace(effects={"turbo": _faster_pace}))
    assert answer(MIXTURE, by_hand(PINNED)).can_run
    with pytest.raises(WorkloadError, match="turbo changes nothing without experts"):
        answer(DENSE, by_hand(PINNED))
    told = [setting.what for setting in answer(DENSE, PINNED).faster]
    assert WORDS not in told


def test_a_model_that_writes_no_text_is_refused(add_row: AddRow) -> None:
    """It was accepted, changed nothing, and stood in the printed command."""
    add_row(TURBO)
    asked = by_hand(Workload(runtime="llama.cpp"))
    with pytest.raises(WorkloadError, match="the model writes none"):
        answer("qwen3-embedding-8b", asked)


def test_an_option_without_a_row_is_refused() -> None:
    """An option of a newer catalogue, whose effect this version does not know."""
    with pytest.raises(WorkloadError, match="nothing tells what turbo changes"):
        answer(DENSE, by_hand(PINNED))


# ------------------------------------------------------------------ told as faster


@pytest.mark.parametrize(
    ("effect_of", "unit"),
    [
        pytest.param(_faster_in_both, "tokens_per_second", id="both"),
        pytest.param(_faster_prompt, "seconds", id="prompts-alone"),
    ],
)
def test_it_is_told_as_faster_and_typed_gives_what_is_promised(
    add_row: AddRow, effect_of: Callable[[Case], Effect], unit: str
) -> None:
    """Law 5 of the choice."""
    add_row(TURBO.replace(effects={"turbo": effect_of}))
    verdict = answer(DENSE, Workload())
    (told,) = (one for one in verdict.faster if one.what == WORDS)
    assert told.unit == unit
    words = shlex.split(told.command)
    again = answer(words[2], workload_of(CheckOptions.read("check", words[2:])))
    promised = again.users_pace
    if unit == "seconds":
        promised = again.waits[-1].seconds
    assert promised == told.faster


# ------------------------------------------------------------------ chosen


@pytest.mark.parametrize(
    ("model", "effect_of", "asked", "gain"),
    [
        pytest.param(
            "qwen3-32b",
            _faster_in_both,
            {},
            r"about \d+ tokens/s in place of \d+ tokens/s",
            id="for-the-pace",
        ),
        pytest.param(
            "qwen3-32b",
            _faster_prompt,
            {"prompt_tokens": 12_000, "context_tokens": 16_384},
            r"the first word comes after about \S+ seconds in place of \S+ seconds",
            id="for-the-wait",
        ),
        # the pace of the usual type says nothing of the setting
        pytest.param(
            DENSE,
            _faster_in_both,
            {},
            r"about \d+ tokens/s",
            id="beside-a-larger-type",
        ),
    ],
)
def test_the_choice_takes_it_where_it_is_worth_its_cost(
    add_row: AddRow,
    model: str,
    effect_of: Callable[[Case], Effect],
    asked: dict[str, object],
    gain: str,
) -> None:
    """Twice as fast a prompt and 1.5 times the pace are more than the step of a fifth that the
    setting costs; no way without it and in no smaller type is better (law 2).
    """
    workload = Workload(runtime="llama.cpp", **asked)  # type: ignore[arg-type]
    row = TURBO.replace(effects={"turbo": effect_of}, is_taken=True)
    add_row(row)
    verdict = answer(model, workload)
    way = verdict.question.way
    assert way is not None
    assert way.settings == (row,)
    assert verdict.workload.runtime_options == {"turbo": "4"}
    assert re.search(f"With {WORDS}: {gain}\\.$", verdict.question.why_chosen or "")
    pinned = workload.replace(quantization=verdict.quantization)
    assert answer(model, by_hand(pinned)).speed == verdict.speed
    machine = load(DESKTOP).machine
    usual = ask(CATALOGUE.spec(model), workload, CATALOGUE, machine)
    for in_type in (way, *usual_and_smaller(usual)):
        options = {"runtime_options": way.runtime_options, "settings": way.settings}
        for changes in ({"runtime_options": (), "settings": ()}, options):
            other = in_way(usual, in_type.replace(**changes), CATALOGUE, machine)
            assert other is not None
            assert rating_of(judge(other, machine)) >= rating_of(verdict)


def test_the_pace_in_another_program_says_nothing_of_the_setting() -> None:
    """A smaller cache in vLLM had "about 35 tokens/s in place of 70", which were llama.cpp's."""
    verdict = answer("mistral-7b", Workload(parallel=50), "desktop-rtx4090-24gb")
    way = verdict.question.way
    assert way is not None
    assert way.settings
    assert verdict.runtime == "vllm"
    assert verdict.users_pace is not None
    told = f": about {verdict.users_pace.likely:.0f} tokens/s."
    assert (verdict.question.why_chosen or "").endswith(told)


def test_it_is_not_taken_where_it_costs_more_than_it_gains(add_row: AddRow) -> None:
    """1.5 times the pace are 2.2 steps of a fifth."""
    add_row(TURBO.replace(is_taken=True, cost_steps=3.0))
    assert not answer(DENSE, PINNED).workload.runtime_options


def test_it_is_taken_for_users_who_wait_for_their_turn(add_row: AddRow) -> None:
    """A setting that makes the total greater shortens the turns of all."""
    add_row(TURBO.replace(is_taken=True))
    machine = load(DESKTOP).machine
    workload = Workload(runtime="vllm", parallel=1_000)
    question = ask(CATALOGUE.spec("qwen3-8b"), workload, CATALOGUE, machine)
    best = best_way(judge(question, machine), CATALOGUE, machine)
    assert best.workload.runtime_options["turbo"] == "4"


# ------------------------------------------------------------------ the example of the page


def _row_of_page() -> RunSetting:
    """The row, with its functions as if they stood in the module of the table."""
    names = dict(vars(settings))
    exec(FUNCTIONS, names)
    row: RunSetting = eval(ROW, names)
    return row


def test_the_example_of_the_page_is_all_that_a_setting_needs(add_row: AddRow) -> None:
    """A reader who types it and nothing else has the setting told, and its figures when typed."""
    plain = answer(DENSE, PINNED)
    add_row(_row_of_page())
    (told,) = (one for one in answer(DENSE, PINNED).faster if "reused" in one.what)
    assert "--runtime-option cache-reuse=256" in told.command
    typed = answer(DENSE, PINNED.replace(runtime_options={NAME: "256"}))
    assert typed.waits[-1].seconds == told.faster
    assert times(plain.users_pace, typed.users_pace) == 1
    assert times(typed.waits[-1].seconds, plain.waits[-1].seconds) == pytest.approx(
        2.0, rel=0.01
    )
    assert "--cache-reuse 256" in "".join(typed.commands)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("qwen3-next-80b-a3b-instruct", id="recurrent-layers"),
        pytest.param("gemma-3-12b-it", id="windows"),
    ],
)
def test_the_example_is_refused_where_a_cache_cannot_be_moved(
    add_row: AddRow, model: str
) -> None:
    """llama.cpp then reads the whole prompt again: ggml-org/llama.cpp#18497 and pull 13194."""
    add_row(_row_of_page())
    workload = Workload(runtime="llama.cpp", runtime_options={NAME: "256"})
    with pytest.raises(WorkloadError, match="cannot be moved"):
        answer(model, workload)


# ------------------------------------------------------------------ the shipped programs


def test_every_option_is_computed_or_has_a_row() -> None:
    """Else it could be typed, and nothing would tell what it changes."""
    shipped = Catalogue.open()
    named = set()
    for id in shipped.runtime_ids():
        for option in shipped.runtime(id).named_options.values():
            named.add(option.changes)
    in_rows = {name for row in SETTINGS for name in row.effects}
    assert named == {*COMPUTED_SETTINGS, *in_rows}


def test_an_option_changes_what_its_name_says_unless_it_states_more() -> None:
    program = CATALOGUE.runtime("llama.cpp")
    asked = {"turbo": "4", "ub": "1024"}
    assert program.settings_of(asked) == {"micro_batch_tokens": "1024", "turbo": "4"}
    assert program.options_for("turbo") == ["turbo"]


def test_a_slip_in_what_an_option_changes_is_told(tmp_path: Path) -> None:
    """The option would have no effect."""
    folder = tmp_path / "specs"
    shutil.copytree(SPECS / "common", folder / "common")
    shutil.copytree(SPECS / "runtimes", folder / "runtimes")
    (folder / "models").mkdir()
    path = folder / "runtimes" / "llama.cpp.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"gpu_layers"', '"gpu_layer"'), encoding="utf-8")
    with pytest.raises(SpecError, match='did you mean "gpu_layers"'):
        Catalogue.open(shipped=str(folder)).runtime("llama.cpp")
