"""Thousands of entries on one machine: shared out over processes they get the verdicts that they
get one by one.
"""

from __future__ import annotations

import random
from functools import cache

import pytest

from helpers.audits import exception
from selfhost.audit import verdicts, workers
from selfhost.audit.judging import judge_with
from selfhost.audit.policy import read_policy
from selfhost.audit.record import Audit
from selfhost.audit.run import run_audit
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.errors import MAX_PROBLEMS
from selfhost.core.tomlfile import Document
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine
from selfhost.reports.audit_formats import FORMATS, render

TODAY = "2026-11-21"
MODELS = (
    "mistral-7b", "gemma-3-12b", "granite-4.0-h-small", "deepseek-r1", "bge-m3", "whisper-large-v3",
    "gpt-4o", "stable-diffusion-1.5",
)  # fmt: skip
catalogue = cache(open_catalogue)


def policy_of(count: int, *more: str) -> str:
    """Entries that ask each a thing of its own, and `more` at the end."""
    rng = random.Random(5)
    entries = []
    for number in range(count):
        entries.append(
            f'[[model]]\nname = "{rng.choice(MODELS)}"\ncontext_tokens = {20 * number + 1}\n'
            f'min_tokens_per_second = {rng.choice((0, 2, 7.5))}\nseverity = "{rng.choice(("error", "warning"))}"\n'
        )
    return "".join(["schema = 1\n", *entries, *more])


def audited(text: str, machine: Machine, processes: int, monkeypatch: pytest.MonkeyPatch) -> Audit:
    for module in (verdicts, workers):
        monkeypatch.setattr(module, "processors", lambda: processes)
    policy = read_policy(Document.parse("audit.toml", text.encode()))
    return run_audit(policy, [machine], judge_with(catalogue(), TODAY), today=TODAY)


@pytest.mark.parametrize("profile", ["aws-m7i.2xlarge", "desktop-rx9070xt-16gb"])
def test_entries_shared_out_are_judged_as_one_by_one(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every report of text is the same to the byte, the words of each finding with it."""
    text = policy_of(700, exception("deepseek-r1"))
    machine = load(profile).machine
    shared, alone = (audited(text, machine, count, monkeypatch) for count in (2, 1))
    results = {row.result for row in alone.groups[0].rows}
    assert {"pass", "fail", "excepted"} <= results
    for name, form in FORMATS.items():
        if not form.is_binary:
            assert render(name, shared, 0.0) == render(name, alone, 0.0), name


def test_of_a_verdict_that_was_shared_out_all_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no report shows, the needs and the pace, is judged once more when somebody asks."""
    machine = load("aws-m7i.2xlarge").machine
    shared, alone = (audited(policy_of(600), machine, count, monkeypatch) for count in (2, 1))
    for one, other in zip([*shared.rows][::97], [*alone.rows][::97], strict=True):
        assert one.verdict == other.verdict


def test_entries_that_are_refused_are_refused_in_shares_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name of no model, a quantization of none: the same faults at the same lines."""
    faulty = "".join(
        f'[[model]]\nname = "no-model-{number}"\n[[model]]\nname = "gpt2"\nquantization = "Q{number}_Z"\n'
        for number in range(60)
    )
    text, machine = policy_of(500, faulty), load("aws-m7i.2xlarge").machine
    shared, alone = (audited(text, machine, count, monkeypatch) for count in (2, 1))
    assert len(alone.problems) > MAX_PROBLEMS
    assert shared.problems == alone.problems
    assert render("json", shared, 0.0) == render("json", alone, 0.0)
