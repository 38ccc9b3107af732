"""What is proposed in the place of a model is costed beside it."""

from __future__ import annotations

from selfhost import Workload, check
from selfhost.core.workload import Load
from selfhost.machine.profiles import load


def test_the_first_alternative_is_costed_where_the_model_does_not_run() -> None:
    load_stated = Load(input_tokens_per_day=750_000, output_tokens_per_day=250_000)
    workload = Workload(load=load_stated)
    verdict = check("llama-3.1-405b", workload, machine=load("desktop-rtx4090-24gb").machine)
    cost = verdict.monthly_cost
    assert cost is not None
    assert cost.instead is not None
    assert cost.instead.id == verdict.alternatives[0].id


def test_a_model_that_runs_is_costed_itself() -> None:
    load_stated = Load(input_tokens_per_day=750_000, output_tokens_per_day=250_000)
    workload = Workload(load=load_stated)
    verdict = check("mistral-7b", workload, machine=load("desktop-rtx4090-24gb").machine)
    assert verdict.monthly_cost is not None
    assert verdict.monthly_cost.instead is None
    assert verdict.monthly_cost.here is not None
