"""Thousands of entries on one machine: shared out over processes, and judged by a few of those that
differ in amounts alone, they get the verdicts that they get one by one.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from helpers.audits import exception
from selfhost.audit import verdicts, workers
from selfhost.audit.brackets import by_brackets, families_in_full, families_of
from selfhost.audit.judging import judge_with
from selfhost.audit.policy import Wanted, read_policy
from selfhost.audit.record import Audit
from selfhost.audit.run import run_audit
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.errors import MAX_PROBLEMS, SelfhostError
from selfhost.core.tomlfile import Document
from selfhost.core.workload import Workload
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine
from selfhost.reports.audit_formats import FORMATS, render
from selfhost.verdict.record import Verdict

if TYPE_CHECKING:
    from selfhost.audit.verdicts import Extent

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


def audited(
    text: str,
    machine: Machine,
    processes: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_full: Extent = "all",
) -> Audit:
    """By so many processes; by 0 one entry after the other."""
    monkeypatch.setattr(workers, "processors", lambda: processes)
    monkeypatch.setattr(verdicts, "_LEAST_TO_SHARE", 100 if processes else 1_000_000)
    policy = read_policy(Document.parse("audit.toml", text.encode()))
    judge = judge_with(catalogue(), TODAY)
    return run_audit(policy, [machine], judge, today=TODAY, in_full=in_full)


@pytest.mark.parametrize("profile", ["aws-m7i.2xlarge", "desktop-rx9070xt-16gb"])
def test_entries_shared_out_are_judged_as_one_by_one(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every report of text is the same to the byte, the words of each finding with it."""
    text = policy_of(150, exception("deepseek-r1"))
    machine = load(profile).machine
    alone = audited(text, machine, 0, monkeypatch)
    results = {row.result for row in alone.groups[0].rows}
    assert {"pass", "fail", "excepted"} <= results
    names = [name for name, form in FORMATS.items() if not form.is_binary]
    expected = {name: render(name, alone, 0.0) for name in names}
    for in_full in ("all", "failing", "few"):
        shared = audited(text, machine, 2, monkeypatch, in_full=in_full)
        for name in names:
            assert render(name, shared, 0.0) == expected[name], (name, in_full)


def test_of_a_verdict_that_was_shared_out_all_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no report shows, the needs and the pace, is judged once more when somebody asks."""
    machine = load("aws-m7i.2xlarge").machine
    shared, alone = (audited(policy_of(130), machine, count, monkeypatch) for count in (2, 0))
    for one, other in zip([*shared.rows][::23], [*alone.rows][::23], strict=True):
        assert one.verdict == other.verdict


def test_entries_that_are_refused_are_refused_in_shares_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name of no model, a quantization of none: the same faults at the same lines."""
    faulty = "".join(
        f'[[model]]\nname = "no-model-{number}"\n[[model]]\nname = "gpt2"\nquantization = "Q{number}_Z"\n'
        for number in range(60)
    )
    text, machine = policy_of(105, faulty), load("aws-m7i.2xlarge").machine
    shared, alone = (audited(text, machine, count, monkeypatch) for count in (2, 0))
    assert len(alone.problems) > MAX_PROBLEMS
    assert shared.problems == alone.problems
    assert render("json", shared, 0.0) == render("json", alone, 0.0)


def _entries(*amounts: str) -> str:
    entries = (f'[[model]]\nname = "mistral-7b"\n{each}\n' for each in amounts)
    return "".join(["schema = 1\n", *entries])


def test_contexts_that_take_as_much_memory_are_judged_once_in_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """llama.cpp takes the memory of a context in steps of 256 tokens (`GGML_PAD(n_ctx, 256)` of
    src/llama-context.cpp): of 30 in a row most get the figures of their step's ends, and each its
    own words on the context.
    """
    contexts = [2_000 + 8 * number for number in range(1_000)]
    entries = _entries(*[f"context_tokens = {tokens}" for tokens in contexts])
    machine, asked = load("aws-m7i.2xlarge").machine, []
    monkeypatch.setattr(workers, "processors", lambda: 1)
    judge = judge_with(catalogue(), TODAY)

    def counted(wanted: Wanted, workload: Workload, machine: Machine) -> Verdict:
        asked.append(workload)
        return judge(wanted, workload, machine)

    policy = read_policy(Document.parse("audit.toml", entries.encode()))
    audit = run_audit(policy, [machine], counted, today=TODAY)
    texts = [
        finding.reason
        for row in audit.groups[0].rows
        for finding in row.findings
        if finding.check == "context"
    ]
    assert [f"{tokens:,} tokens" in text for tokens, text in zip(contexts, texts, strict=True)] == [
        True
    ] * 1_000
    assert len(asked) < 400
    alone = audited(entries, machine, 0, monkeypatch)
    assert render("json", audit, 0.0) == render("json", alone, 0.0)


@pytest.mark.parametrize(
    ("entries", "most"),
    [
        # each end of an answer is looked for by halving, and there are at most ten ends
        ([f"context_tokens = {2 * number + 1}" for number in range(1500)], 120),
        ([f"min_tokens_per_second = {number / 10}" for number in range(1500)], 120),
    ],
    ids=["contexts", "paces"],
)
@pytest.mark.parametrize("profile", ["aws-m7i.2xlarge", "desktop-rx9070xt-16gb"])
@pytest.mark.parametrize("in_full", ["failing", "few"])
def test_few_of_the_entries_that_differ_in_an_amount_are_judged(
    entries: list[str],
    most: int,
    in_full: Extent,
    profile: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of reports that give the reasons of what fails, those that fail are judged beside them."""
    monkeypatch.setattr(workers, "processors", lambda: 1)
    policy = read_policy(Document.parse("audit.toml", _entries(*entries).encode()))
    judge, asked = judge_with(catalogue(), TODAY), []

    def counted(wanted: Wanted, workload: Workload, machine: Machine) -> Verdict:
        asked.append(workload)
        return judge(wanted, workload, machine)

    audit = run_audit(policy, [load(profile).machine], counted, today=TODAY, in_full=in_full)
    assert audit.tally.results.keys() >= {"pass"}
    if in_full == "failing":
        most += audit.tally.results.get("fail", 0) + audit.tally.results.get("unknown", 0)
    assert len(asked) <= most


def test_entries_between_two_that_fare_alike_fare_as_they_do() -> None:
    """Every model, under contexts and paces by chance, has the marks it has when judged alone."""
    rng = random.Random(11)
    judge = judge_with(catalogue(), TODAY)
    for profile in ("aws-m7i.2xlarge", "desktop-rx9070xt-16gb", "macbook-pro-m4-max-48gb"):
        machine = load(profile).machine
        questions = [
            (
                Wanted(index=0, name=name, label=name, asked=Workload()),
                Workload(
                    context_tokens=int(2 ** rng.uniform(7, 18)),
                    min_tokens_per_second=rng.choice((None, 0, 2, rng.uniform(0, 40))),
                    parallel=rng.choice((1, 1, 4)),
                ),
            )
            for name in rng.sample(catalogue().ids(), 20)
            for _ in range(12)
        ]
        families = families_of(questions)
        order = [place for family in families for place in family]
        for place, answer in zip(
            order, by_brackets(families, questions, judge, machine), strict=True
        ):
            try:
                verdict = judge(*questions[place], machine)
            except SelfhostError:
                assert answer is None, questions[place]
                continue
            assert isinstance(answer, tuple), questions[place]
            signs = [(each.check, each.outcome, each.code) for each in answer[-1]]
            assert signs == [(each.check, each.outcome, each.code) for each in verdict.findings]
            assert answer[:2] == (verdict.model.id, verdict.route), questions[place]


def test_figures_between_two_contexts_that_give_the_same_are_theirs() -> None:
    """Every kind of model, under contexts that lie close together, has the findings it has alone."""
    rng = random.Random(13)
    judge = judge_with(catalogue(), TODAY)
    shared = 0
    for profile in ("aws-m7i.2xlarge", "desktop-rtx3060-12gb", "macbook-pro-m4-max-48gb"):
        machine = load(profile).machine
        questions = []
        for name in rng.sample(catalogue().ids(), 30):
            start = int(2 ** rng.uniform(7, 17))
            wanted = Wanted(index=0, name=name, label=name, asked=Workload())
            runtime = rng.choice((None, None, None, "vllm", "ollama", "mlx"))
            pace = rng.choice((None, 2, 7.5))
            for _ in range(8):
                tokens = start + int(2 ** rng.uniform(0, 11))
                questions.append(
                    (
                        wanted,
                        Workload(
                            context_tokens=tokens, min_tokens_per_second=pace, runtime=runtime
                        ),
                    )
                )
        families = families_in_full(questions, range(len(questions)))
        asked: list[Any] = []

        def counted(*question: Any, asked: list[Any] = asked) -> Verdict:
            asked.append(question)
            return judge(*question)

        answers = by_brackets(families, questions, counted, machine, in_full=True)
        order = [place for family in families for place in family]
        shared += len(order) - len(asked)
        for place, answer in zip(order, answers, strict=True):
            try:
                verdict = judge_with(catalogue(), TODAY)(*questions[place], machine)
            except SelfhostError:
                assert not isinstance(answer, tuple), questions[place]
                continue
            assert isinstance(answer, tuple), questions[place]
            assert answer[-1] == verdict.findings, questions[place]
            assert answer[:2] == (verdict.model.id, verdict.route), questions[place]
    assert shared > 100


@pytest.mark.parametrize("name", ["deepseek-r1", "llama-3.1-405b", "gpt-4o", "dbrx-instruct"])
def test_a_route_does_not_follow_from_what_was_asked_before(name: str) -> None:
    machine = load("raspberry-pi-5-8gb").machine
    judge = judge_with(catalogue(), TODAY)
    contexts = (
        None,
        4_096,
        40_000,
        131_072,
        163_840,
        163_841,
        9_000_000,
        2_048,
        1_000_000,
        1_048_577,
    )
    for context in contexts:
        workload = Workload(context_tokens=context)
        wanted = Wanted(index=0, name=name, label=name, asked=workload)
        alone = judge_with(catalogue(), TODAY)
        assert judge(wanted, workload, machine).route is alone(wanted, workload, machine).route, (
            context
        )


def test_what_to_do_is_told_in_the_keys_of_a_policy() -> None:
    """A policy has `runtime` and `min_tokens_per_second`, no --runtime and --min-speed; what is to be typed stays."""
    entries = (
        'name = "llama-3.3-70b"\nruntime = "vllm"',
        'name = "llama-3.3-70b"\nmin_tokens_per_second = 500',
        'name = "qwen3-8b"\nquantization = "fp8"',
        'name = "mistral-7b"\ncontext_tokens = 400_000',
        'name = "flux.1-dev"\nruntime = "mlx"',
    )
    text = "schema = 1\n" + "".join(f"[[model]]\n{entry}\n" for entry in entries)
    policy = read_policy(Document.parse("audit.toml", text.encode()))
    machines = [load(name).machine for name in ("desktop-rtx3060-12gb", "raspberry-pi-5-8gb")]
    audit = run_audit(policy, machines, judge_with(catalogue(), TODAY), today=TODAY)
    remedies = {
        reason.remedy or "" for row in audit.rows for reason in row.reasons if reason.remedy
    }
    assert any("--min-speed 0" in remedy for remedy in remedies)
    assert any("leave out --runtime" in remedy for remedy in remedies)
