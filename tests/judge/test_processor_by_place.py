"""What is found of a processor follows from where the model lies."""

from __future__ import annotations

import pytest

from selfhost.catalogue.opened import open_catalogue
from selfhost.core.records import Unread
from selfhost.core.workload import Workload
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine


@pytest.mark.parametrize("model", ["mistral-7b-instruct-v0.3", "kimi-k2-instruct"])
def test_a_model_that_a_gpu_holds_whole_needs_no_processor(model: str) -> None:
    """Of a GH200 that a cluster knows the instruction sets are unread; a model that its GPU does not hold waits for them."""
    known = load("server-gh200").machine
    unread = Unread(fact="instruction_sets", reason="not told", remedy="record it")
    fields = {name: getattr(known, name) for name in Machine._fields}
    fields.update(instruction_sets=None, planning=False, unread=(unread,))
    machine = Machine(**fields)
    catalogue = open_catalogue()
    workload = Workload(runtime="llama.cpp", min_tokens_per_second=0)
    asked = ask(catalogue.spec(model), workload, catalogue, machine)
    deciding = {each.check for each in judge(asked, machine).findings if each.decides}
    assert ("cpu" in deciding) is (model == "kimi-k2-instruct")
