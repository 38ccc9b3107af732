"""Sentences that name options: each face says them in its own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from selfhost import Load, SelfhostError, Workload, WorkloadError, check, compare, plan, size
from selfhost.answers.python_words import answer_in_python
from selfhost.cli.main import main
from selfhost.core.records import Record, Unread
from selfhost.core.saying import (
    _OF_FUNCTIONS,
    FILL_IN,
    FLAGS,
    LOAD_FLAGS,
    SET_DISK,
    SET_MEMORY,
    command,
    differently,
    in_policy,
    in_python,
    in_shell,
    option,
)

# of ours, beside those of arguments
_ONLY_ON_A_COMMAND_LINE = ("--set", "--measure", "--no-measure", "--all", "--verbose", "--users")
OURS = {
    *FLAGS.values(),
    *LOAD_FLAGS.values(),
    *_OF_FUNCTIONS.values(),
    *_ONLY_ON_A_COMMAND_LINE,
}
ARGUMENT = re.compile(rf"\b(?:{'|'.join({*FLAGS, *_OF_FUNCTIONS})})=")
NONCHARACTER = re.compile("[\ufdd0-\ufdef]")


@pytest.mark.parametrize(
    ("sentence", "shell", "python", "policy"),
    [
        (option("context_tokens", 8192), "--context 8192", "context_tokens=8192", "context_tokens = 8192"),
        (option("quantization", "Q4_K_M"), "--quant Q4_K_M", 'quantization="Q4_K_M"', 'quantization = "Q4_K_M"'),
        (option("runtime", "vllm", "sglang"), "--runtime vllm or sglang", 'runtime="vllm" or "sglang"', 'runtime = "vllm" or "sglang"'),
        (option("min_tokens_per_second"), "--min-speed", "min_tokens_per_second", "min_tokens_per_second"),
        (option("private", True), "--private", "private=True", "private = true"),
        (option("checkpointing", False), "--no-checkpointing", "checkpointing=False", "checkpointing = false"),
        (option("audio_seconds", 30), "--audio 30s", "audio_seconds=30", "audio_seconds = 30"),
        (option("task", "finetune"), "--task finetune", 'task="finetune"', "--task finetune"),
        (option("gpu", "RTX 4090"), "--gpu 'RTX 4090'", 'machine="RTX 4090"', "--gpu 'RTX 4090'"),
        (differently("--set memory=SIZE", "machine"), "--set memory=SIZE", "machine", "--set memory=SIZE"),
        (differently("--set memory=SIZE", "machine", "facts.memory"), "--set memory=SIZE", "machine", "facts.memory"),
        (option("reserve_bytes"), "--reserve", "reserve_bytes", "facts.reserve"),
        (option("memory_basis", "total"), "--memory total", 'memory_basis="total"', 'memory = "total"'),
        (command("check", "gpt2", quantization="Q8_0"), "selfhost check gpt2 --quant Q8_0", 'check("gpt2", Workload(quantization="Q8_0"))', "selfhost check gpt2 --quant Q8_0"),
        (command("list", use="code"), "selfhost list --use code", 'rank(use="code")', "selfhost list --use code"),
    ],
)  # fmt: skip
def test_each_face_has_its_own_words(sentence: str, shell: str, python: str, policy: str) -> None:
    """The words are those of the help, of the signatures and of the policy's schema."""
    faces: tuple[Callable[[str], str], ...] = (in_shell, in_python, in_policy)
    for face, said in zip(faces, (shell, python, policy), strict=True):
        assert face(f"leave out {sentence}, or not") == f"leave out {said}, or not"


def test_a_policy_names_what_it_can_state_of_a_fact_that_a_record_says_is_unread() -> None:
    """Records hold what `machine` told a person, whose options `audit` does not have."""
    for slot in (SET_MEMORY, SET_DISK, FILL_IN):
        recorded = in_shell(slot)
        assert "`selfhost check`" in recorded
        for text in (slot, recorded):
            said = in_policy(f"not read: {text}; or not")
            assert said.startswith("not read: ")
            assert said.endswith("; or not")
            assert "selfhost check" not in said
            assert "--set" not in said
    assert 'facts = { memory = "16GiB" } of a [[class]]' in in_policy(SET_MEMORY)


@pytest.mark.parametrize("typed", ["\ufdd0", "a\ufdd0nothing\ufdd2b", "\ufdd0task", '"\\'])
def test_what_was_typed_makes_no_slot_of_its_own(typed: str) -> None:
    """Noncharacters in a name neither end a slot nor fill one, and Python can read what is quoted."""
    assert in_python(typed) == typed
    said = in_python(f"{option('machine', typed)}.")
    value = re.sub(NONCHARACTER, "", typed)
    assert said.startswith("machine=")
    assert eval(said.removeprefix("machine=").removesuffix(".")) == value


def sentences(value: object) -> Iterator[str]:
    """Every text of an answer but those to be typed in a shell, and what files state."""
    to_type = ("command", "commands", "setup", "options", "arguments", "fetch", "bound")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from sentences(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from sentences(each)
    elif isinstance(value, Record):
        for name in type(value)._fields:
            if name not in (*to_type, "model", "runtime", "profile"):
                yield from sentences(getattr(value, name))


def options_in(text: str) -> list[str]:
    """Our options; what stands in backticks and is more than one is a line for a shell."""
    alone = re.sub(r"`[^`-][^`]*`", "", text)
    return [
        word for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*(?![\w-])", alone) if word in OURS
    ]


def test_an_error_of_what_is_worked_out_late_names_arguments() -> None:
    """A field may be asked for after `check` has returned."""

    def rest() -> Unread:
        raise WorkloadError.of("quantization", "is not had", f"leave out {option('quantization')}")

    told = answer_in_python(Unread.partly({"fact": "a"}, rest))
    with pytest.raises(WorkloadError, match="leave out quantization"):
        _ = told.reason


LOAD = Load.parse("2M:500k")
CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "too slow": ("mistral-7b", {"min_tokens_per_second": 500.0}, "8 vcpu 32gb", ""),
    "a month": ("gpt2", {"load": LOAD}, "l4", ""),
    "split": ("llama-3.3-70b", {"context_tokens": 32_768}, "2x rtx 3090", ""),
    "memory assumed": ("qwen3-30b-a3b", {}, "ryzen 9 9950X", ""),
    "reserve": ("gpt2", {"reserve_bytes": 8 << 30}, "macbook air m2 16gb", "--reserve 8GiB"),
    "training": ("mamba-2.8b", {"task": "finetune", "checkpointing": False}, "epyc rtx 4090", ""),
    "pictures": ("sdxl-turbo", {"parallel": 2}, "rx 580", "--parallel 2"),
    "closed": ("gpt-4o", {"runtime": "vllm"}, "l4", "--runtime vllm"),
    "prompt": ("gpt2", {"prompt_tokens": 700}, "i5-8250U", "--prompt 700"),
    "dense": ("mistral-7b", {"quantization": "MXFP4"}, "m4 max", "--quant MXFP4"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_answer_of_python_names_no_option(case: str) -> None:
    model, asked, machine, _ = CASES[case]
    verdict = check(model, Workload(**asked), machine=machine)
    for document in (verdict, verdict.to_json()["findings"], verdict.to_json()["notes"]):
        for text in sentences(document):
            assert not NONCHARACTER.search(text)
            assert options_in(text) == [], text


@pytest.mark.parametrize("case", [name for name, (*_, words) in CASES.items() if words])
def test_the_command_line_names_no_argument(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    model, _, machine, words = CASES[case]
    for shape in ("text", "json"):
        main(["check", model, "--machine", machine, "-v", "--format", shape, *words.split()])
        printed = capsys.readouterr().out
        assert not NONCHARACTER.search(printed)
        assert "\\ufdd" not in printed
        assert not ARGUMENT.search(printed)


def test_other_answers_name_no_option() -> None:
    answers = (
        plan("gpt-4o", Workload(runtime="vllm")),
        compare(["gpt-4o", "gpt2"], Workload(runtime="llama.cpp"), machine="2x rtx 3090"),
        size("sdxl-turbo", machine="rtx 3060"),
    )
    for answer in answers:
        for text in sentences(answer):
            assert not NONCHARACTER.search(text)
            assert options_in(text) == [], text


@pytest.mark.parametrize(
    ("model", "asked", "machine"),
    [
        ("gpt2", {"quantization": "F17"}, "l4"),
        ("gpt2", {"runtime": "whisperx"}, "l4"),
        ("gpt2", {"parallel": 100_000}, "l4"),
        ("gpt2", {"prompt_tokens": 900, "context_tokens": 100}, "l4"),
        ("whisper-small", {"draft": "gpt2"}, "l4"),
        ("gpt2", {}, "rtx 9999"),
        ("gpt2", {}, "i7 3070"),
        ("gpt2", {}, "rtx 3060 99gb"),
        ("gpt2", {}, "nothing of that name"),
        ("Qwen3.6-35B-A3B-uncensored.Q3_K_M.gguf", {}, "l4"),
        ("my-embedding-model", {}, "l4"),
    ],
)
def test_an_error_of_python_names_no_option(
    model: str, asked: dict[str, Any], machine: str
) -> None:
    with pytest.raises(SelfhostError) as wrong:
        check(model, Workload(**asked), machine=machine)
    error = wrong.value
    problems = getattr(error, "problems", ())
    for text in (str(error), error.message, error.remedy or "", *map(str, problems)):
        assert not NONCHARACTER.search(text)
        assert options_in(text) == [], text


def test_a_workload_itself_names_no_option() -> None:
    """It is built by programs, whatever face later asks about it."""
    with pytest.raises(WorkloadError) as wrong:
        Workload(lora_rank=8)
    assert 'add task="finetune", or leave it out' in str(wrong.value)
