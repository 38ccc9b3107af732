"""The library: what a program gets, and that it is lazy, pure and typed."""

from __future__ import annotations

import doctest
import inspect
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from json import dumps, loads
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import selfhost
from helpers.cases import case_id
from helpers.machines import GIB, IDS, VM
from helpers.paths import RECORDS, ROOT
from selfhost import (
    Load,
    Machine,
    Ranking,
    Route,
    SelfhostError,
    UnknownMachineError,
    UnknownModelError,
    Workload,
    WorkloadError,
    can_run,
    check,
    compare,
    plan,
    rank,
    size,
)
from selfhost.advice.alternatives import AlternativeSearch
from selfhost.advice.room import Reach
from selfhost.catalogue.abilities import abilities
from selfhost.catalogue.index import open_catalogue
from selfhost.cli import main as cli
from selfhost.cli.main import main
from selfhost.core.errors import NotAModelError
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.profiles import load

# what is said of a list is said of any
pytestmark = pytest.mark.usefixtures("few_listed")

SMALL = Machine.from_file(RECORDS / "container-2gib.json")
# a spec that states what the model takes, and nothing of how it is built
OWN_SPEC = """schema = 1
id = "mine"
name = "Mine"
[needs]
low_bytes = 1_000
high_bytes = 2_000
disk_bytes = 3_000
source = "guess"
"""
# all that a program has to import
PUBLIC = {name: getattr(selfhost, name) for name in selfhost.__all__}


def test_can_run_is_route_local() -> None:
    """True when the route is local, False for every other."""
    assert can_run("mistral-7b", machine=VM) is True
    assert can_run("mistral-7b", machine=SMALL) is False
    assert can_run("gpt-4o", machine=VM) is False
    assert can_run("mistral-7b", machine=Machine()) is False
    assert check("mistral-7b", machine=Machine()).route is Route.UNKNOWN


def test_a_workload_may_be_given_by_its_fields() -> None:
    """As the pytest marker takes them; a wrong name is answered as `Workload` answers it."""
    assert can_run("mistral-7b", machine=VM, context_tokens=4096) is True
    assert can_run("mistral-7b", machine=VM, context_tokens=1_000_000) is False
    asked = Workload(runtime="ollama")
    workload = check("mistral-7b", asked, machine=VM, context_tokens=2048).workload
    assert (workload.runtime, workload.context_tokens) == ("ollama", 2048)
    compared = compare(["gpt2", "opt-1.3b"], machine=VM, context_tokens=512).models
    answers = [
        plan("gpt2", context_tokens=512).workload,
        *(row.verdict.workload for row in compared),
    ]
    assert {workload.context_tokens for workload in answers} == {512}
    assert size("gpt2", machine=VM, parallel=4).workload.parallel == 4
    # a type checker refuses the keyword
    misspelt: dict[str, Any] = {"contxt_tokens": 4096}
    with pytest.raises(SelfhostError, match="did you mean context_tokens"):
        can_run("gpt2", machine=VM, **misspelt)
    with pytest.raises(SelfhostError, match="did you mean context_tokens"):
        rank(**misspelt)


def test_a_format_of_a_closed_model_has_no_effect() -> None:
    """It has no option on a command line: a program or a policy states it."""
    notes = check("gpt-4o", machine=VM, format="gguf", quantization="Q4_K_M").notes
    told = [note for note in notes if "no effect" in note]
    assert told == [
        "format and --quant have no effect: the weights of GPT-4o are not published."
    ]


def test_an_option_has_no_effect_where_it_changes_nothing() -> None:
    """Pictures made at once are counted in the memory; cache and weights of a closed model are not
    there.
    """
    for model, told in (
        (
            "gpt-4o",
            ["--kv-cache has no effect: the weights of GPT-4o are not published."],
        ),
        (
            "musicgen-small",
            [
                "--parallel (--users) has no effect: MusicGen small is not judged by tokens."
            ],
        ),
        ("sdxl", []),
    ):
        asked = Workload(parallel=4, kv_cache_type="f16" if model == "gpt-4o" else None)
        notes = check(model, asked, machine=VM).notes
        assert [note for note in notes if "no effect" in note] == told


def test_a_route_is_told_before_what_else_would_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A script that asks thousands of questions does not wait for what only a report shows."""
    searched: list[str] = []
    for kind, name in ((Reach, "room"), (AlternativeSearch, "alternatives")):
        worked_out = getattr(kind, name)

        def watched(search: Any, name: str = name, worked_out: Any = worked_out) -> Any:
            searched.append(name)
            return worked_out(search)

        monkeypatch.setattr(kind, name, watched)
    verdict = check("llama-3.3-70b", machine=SMALL)
    assert verdict.route == "api"
    assert searched == []
    assert verdict.alternatives
    assert verdict.room == verdict.room
    assert searched == ["alternatives", "room"]


@pytest.mark.parametrize(
    ("model", "has_commands"),
    [
        pytest.param("gpt2", True, id="runs"),
        pytest.param("llama-3.3-70b", False, id="does-not-run"),
    ],
)
def test_a_verdict_out_of_a_pickle_knows_what_the_first_one_did(
    model: str, has_commands: bool
) -> None:
    """A worker of a pool sends it: without the catalogue, and with all that it tells."""
    verdict = check(model, machine=SMALL)
    sent = pickle.dumps(check(model, machine=SMALL))
    assert len(sent) < 200_000
    received = pickle.loads(sent)
    assert received.to_json() == verdict.to_json()
    assert bool(received.commands) is has_commands
    assert received.setup == verdict.setup


def test_errors_are_what_the_contract_says() -> None:
    """UnknownModelError is a LookupError with the nearest names; the others are ValueErrors with
    every problem.
    """
    with pytest.raises(UnknownModelError) as unknown:
        check("mistral-7bb", machine=VM)
    assert isinstance(unknown.value, LookupError)
    assert any("mistral-7b" in name for name in unknown.value.nearest)
    assert all(name in str(unknown.value) for name in unknown.value.nearest)
    with pytest.raises(NotAModelError, match="tokenizer"):
        check("tiktoken", machine=VM)
    with pytest.raises(WorkloadError) as wrong:
        Workload(context_tokens=0, parallel=0)
    assert isinstance(wrong.value, ValueError)
    assert len(wrong.value.problems) == 2
    with pytest.raises(WorkloadError, match="Q9_X"):
        check("gpt2", Workload(quantization="Q9_X"), machine=VM)
    with pytest.raises(WorkloadError, match="context_tokens: is given twice"):
        check("gpt2", Workload(context_tokens=512), machine=VM, context_tokens=256)
    unknown_field: dict[str, Any] = {"quant": "Q4_K_M"}
    with pytest.raises(SelfhostError, match="did you mean quantization"):
        check("gpt2", machine=VM, **unknown_field)


@pytest.mark.parametrize(
    ("model", "asked", "program"),
    [
        pytest.param("mistral-7b", {"format": "gguf"}, "llama.cpp", id="usual"),
        pytest.param(
            "mistral-7b", {"format": "safetensors"}, "transformers", id="published"
        ),
        pytest.param(
            "mistral-7b", {"format": "mlx"}, "mlx", id="program for such files alone"
        ),
        pytest.param(
            "flux-dev", {"format": "safetensors"}, "diffusers", id="of pictures"
        ),
        pytest.param(
            "whisper-small",
            {"format": "ctranslate2"},
            "faster-whisper",
            id="of a program that is not a usual one",
        ),
        pytest.param(
            "mistral-7b",
            {"format": "safetensors", "task": "finetune"},
            "transformers",
            id="of training",
        ),
        pytest.param("mistral-7b", {}, "llama.cpp", id="not stated"),
        pytest.param("whisper-large-v3", {}, "whisper.cpp", id="speech, not stated"),
    ],
)
def test_a_stated_format_is_the_format_of_the_answer(
    model: str, asked: dict[str, Any], program: str
) -> None:
    """The workload of a verdict has a format, so that asking with it asks for the same."""
    verdict = check(model, machine="RTX 4090", **asked)
    assert verdict.workload.runtime == program
    assert verdict.workload.format == asked.get("format", verdict.workload.format)
    again = check(model, verdict.workload, machine="RTX 4090")
    assert again.workload == verdict.workload


@pytest.mark.parametrize(
    ("workload", "machine", "runtime"),
    [
        pytest.param(
            {"kv_cache_type": "fp8", "quantization": "awq"},
            "rtx 4090, 64 GB RAM",
            "vllm",
            id="KV cache",
        ),
        pytest.param(
            {"quantization": "nvfp4"}, "rtx 5090, 64 GB RAM", "vllm", id="type"
        ),
        # as `awq` without a group
        pytest.param(
            {"quantization": "awq-64g"},
            "rtx 4090, 64 GB RAM",
            "vllm",
            id="type with a group",
        ),
        pytest.param(
            {"quantization": "nvfp4"},
            "macbook-pro-m4-max-48gb",
            "mlx",
            id="type, on a Mac",
        ),
        pytest.param(
            {"runtime_options": {"tensor-parallel-size": "2"}},
            "2x rtx 4090, 64 GB RAM",
            "vllm",
            id="option of vLLM",
        ),
        pytest.param(
            {"runtime_options": {"tp": "2"}, "kv_cache_type": "fp8"},
            "2x rtx 4090, 64 GB RAM",
            "sglang",
            id="option of SGLang, and KV cache",
        ),
    ],
)
def test_the_program_that_takes_what_was_stated_is_taken(
    workload: dict[str, Any],
    machine: str,
    runtime: str,
) -> None:
    verdict = check("llama-3.1-8b", machine=machine, **workload)
    assert verdict.route is Route.LOCAL
    assert verdict.workload.runtime == runtime


@pytest.mark.parametrize(
    ("workload", "problem"),
    [
        pytest.param(
            {"quantization": "4bit"}, "did you mean Q4_K_M?", id="a type, or bits only"
        ),
        pytest.param(
            {"runtime_options": {"tp": "2"}, "kv_cache_type": "q8_0"},
            'use runtime="sglang"',
            id="no program takes both",
        ),
        pytest.param(
            {"quantization": "awq", "kv_cache_type": "q5_0"},
            "is not available in awq for llama.cpp",
            id="the programs of the cache have no such type",
        ),
        pytest.param(
            {"runtime": "ollama", "kv_cache_type": "fp8"},
            'leave it out, or use runtime="llama.cpp" or "sglang"',
            id="another program has the cache",
        ),
    ],
)
def test_no_program_is_taken_where_none_was_meant(
    workload: dict[str, Any],
    problem: str,
) -> None:
    with pytest.raises(WorkloadError, match=re.escape(problem)):
        check("llama-3.1-8b", machine="2x rtx 4090, 64 GB RAM", **workload)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        pytest.param(
            {"format": "no-such-format"},
            '"no-such-format" is not a format of weights (one of gguf, ',
            id="no format",
        ),
        pytest.param({"format": "GGUF"}, "(did you mean gguf?)", id="a slip"),
        pytest.param(
            {"format": "safetensors", "runtime": "llama.cpp"},
            "in the format gguf, not in safetensors (leave it out, or use ",
            id="a format that the runtime does not load",
        ),
        pytest.param(
            {"format": "ggml"},
            "in the format gguf, not in ggml (leave it out)",
            id="a format that no runtime loads",
        ),
        pytest.param(
            {"format": "gguf", "task": "finetune"},
            "in the format safetensors, not in gguf (leave it out)",
            id="a format that nobody trains",
        ),
    ],
)
def test_a_format_that_is_not_judged_is_refused(
    asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(WorkloadError) as refused:
        check("mistral-7b", machine="RTX 4090", **asked)
    assert str(refused.value).startswith("workload: format: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        pytest.param({"runtime": "llama"}, "did you mean llama.cpp?", id="begins it"),
        pytest.param({"runtime": "ollamma"}, "did you mean ollama?", id="a slip"),
        pytest.param(
            {"draft": "nope"},
            "draft with a small model of the same family",
            id="the draft is unknown, not the model",
        ),
        pytest.param(
            {"draft": "lama-3.2-1b"},
            "did you mean llama",
            id="a slip in the name of the draft",
        ),
    ],
)
def test_an_unknown_name_of_a_field_is_told_with_the_field(
    asked: dict[str, Any], meant: str
) -> None:
    """`llama` was said to mean ollama; an unknown draft was told as an unknown model."""
    with pytest.raises(WorkloadError) as refused:
        check("llama-3.3-70b", machine="RTX 4090", **asked)
    assert meant in str(refused.value)
    assert [problem.key for problem in refused.value.problems] == list(asked)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        pytest.param("foo", "16GB RAM, 8 cores", id="no machine"),
        pytest.param("RTX 9999", "24GB VRAM, 32GB RAM", id="no GPU"),
    ],
)
def test_what_an_unknown_machine_is_told_to_be_can_be_asked(
    name: str, instead: str
) -> None:
    """The error named `--set` alone, for which Python has no keyword."""
    with pytest.raises(UnknownMachineError) as unknown:
        check("gpt2", machine=name)
    assert f'machine="{instead}"' in str(unknown.value)
    assert can_run("gpt2", machine=instead) is True


def test_a_machine_is_named_as_people_name_it() -> None:
    """A known machine's name stands for the machine; a name that is none raises, and its text has
    the nearest.
    """
    known = load("macbook-air-m2-16gb").machine
    assert check("mistral-7b", machine="MacBook Air M2 16GB").machine == known
    assert can_run("mistral-7b", machine="macbook-air-m2-16gb") is True
    assert can_run("llama-3.3-70b", machine="macbook-air-m2-16gb") is False
    with pytest.raises(UnknownMachineError, match=r"aws-g5\.xlarge") as unknown:
        check("mistral-7b", machine="g5.xlarg")
    assert "aws-g5.xlarge" in unknown.value.nearest
    for name in ("ci.json", "banana"):
        with pytest.raises(UnknownMachineError, match=r"Machine\.from_file\("):
            check("mistral-7b", machine=name)
    for answer in (
        of("gpt2", machine="old laptop core 2 duo 4gb") for of in (check, size)
    ):
        assert any("is judged as a machine with" in note for note in answer.notes)
    for wrong, reader in (
        (Path("ci.json"), "from_file"),
        ({"name": "ci"}, "from_json"),
    ):
        with pytest.raises(
            TypeError, match=rf"read a record with machine=Machine\.{reader}"
        ):
            check("mistral-7b", machine=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(
            lambda **on: selfhost.check("qwen3-32b", **on).machine, id="check"
        ),
        pytest.param(lambda **on: selfhost.rank(top=1, **on).machine, id="rank"),
    ],
)
def test_a_gpu_takes_the_place_of_those_of_the_machine(
    ask: Callable[..., selfhost.Machine],
) -> None:
    """As `--gpu` of the command; the RAM stays."""
    machine = ask(machine="RTX 3060, 32 GB of RAM", gpu="RTX 4090")
    assert machine.memory_total_bytes == 32 * 2**30
    assert machine.accelerators is not None
    assert [card.name for card in machine.accelerators] == ["NVIDIA GeForce RTX 4090"]


def test_a_command_names_the_gpu_that_was_asked_for() -> None:
    verdict = selfhost.check("llama-3.1-405b", machine="m6a.xlarge", gpu="RTX 4090")
    for other in verdict.alternatives:
        assert "--gpu 'RTX 4090'" in other.command
    sized = selfhost.size("mistral-7b", gpu="RTX 4090")
    assert len(sized.accelerators) == 1


@pytest.mark.parametrize("ask", [check, size])
def test_an_empty_name_is_no_machine(ask: Callable[..., object]) -> None:
    """As from a variable that nobody set: the answer would be for another machine."""
    with pytest.raises(UnknownMachineError):
        ask("mistral-7b", machine="")


@pytest.mark.parametrize(
    ("call", "arguments", "keywords"),
    [
        (check, [None], {"machine": VM}),
        (check, [["gpt2"]], {"machine": VM}),
        (check, ["gpt2"], {"machine": 5}),
        (check, ["gpt2", {"context_tokens": 4096}], {"machine": VM}),
        (check, ["gpt2"], {"machine": VM, "specs": [5]}),
        (can_run, [None], {"machine": VM}),
        (plan, [None], {}),
        (size, ["gpt2"], {"prompt_cache_bytes": "1GB"}),
        (compare, ["gpt2"], {"machine": VM}),
        (compare, [[None, "gpt2"]], {"machine": VM}),
        pytest.param(rank, [], {"machine": VM, "use": 10**5000}, id="long-number"),
        (rank, [], {"machine": VM, "modality": ["text"]}),
        (Machine.from_file, [None], {}),
        (Machine.read, [], {"root": 5}),
    ],
    ids=case_id,
)
def test_an_argument_of_a_wrong_type_is_an_error_of_both_kinds(
    call: Callable[..., object], arguments: list[Any], keywords: dict[str, Any]
) -> None:
    """`except SelfhostError` catches it, and so does whoever expects Python's own."""
    with pytest.raises(SelfhostError, match="must be") as wrong:
        call(*arguments, **keywords)
    assert isinstance(wrong.value, TypeError)


@pytest.mark.parametrize(
    "value",
    [[1, 2], {"a": 1}, b"q8_0", object(), Path("q8_0"), 1j, "a" * 5000],
    ids=case_id,
)
@pytest.mark.parametrize(
    "key",
    ["task", "kv_cache_type", "context_tokens", "optimizer", "private"],
    ids=case_id,
)
def test_a_value_of_any_type_is_refused_in_a_short_sentence(
    key: str, value: object
) -> None:
    """What cannot be hashed or compared, too."""
    with pytest.raises(WorkloadError) as wrong:
        Workload(**{key: value})  # type: ignore[arg-type]
    assert key in str(wrong.value)
    assert len(wrong.value.problems[0].message) < 200


@pytest.mark.parametrize("key", ["machine", "use", "modality"])
def test_a_text_of_a_million_letters_is_refused_in_a_short_sentence(key: str) -> None:
    """Also at once: the words of a machine took twelve seconds."""
    stated: dict[str, Any] = {"machine": VM, key: "a" * 1_000_000}
    with pytest.raises(SelfhostError) as wrong:
        rank(**stated)
    assert len(str(wrong.value)) < 500


class _PathInBytes(os.PathLike[bytes]):
    """As `os.scandir(b".")` yields them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> bytes:
        return os.fsencode(self._path)


def test_a_path_in_bytes_is_a_path(tmp_path: Path) -> None:
    """Of a model, of a spec and of a folder of specs."""
    spec = next((ROOT / "tests" / "good_specs").glob("*.toml"))
    missing = _PathInBytes(tmp_path / "model.gguf")
    with pytest.raises(SelfhostError, match="does not exist"):
        check(missing, machine=VM)  # type: ignore[arg-type]
    by_text = check(spec, machine=VM)
    by_bytes = check(_PathInBytes(spec), machine=VM)  # type: ignore[arg-type]
    assert by_bytes.to_json() == by_text.to_json()
    folder = _PathInBytes(tmp_path)
    assert can_run("gpt2", machine=VM, specs=[folder])  # type: ignore[list-item]


def written(
    command: str, *words: str, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """The JSON that the command line writes."""
    cli.main([command, *words, "--format", "json"])
    document: dict[str, Any] = loads(capsys.readouterr().out)
    return document


MAC = "macbook-air-m2-16gb"


@cache
def ranking_on_mac() -> Ranking:
    """For the tests that only read it."""
    return rank(machine=MAC)


def test_functions_give_what_the_commands_write(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`to_json()` is a dict of what `check`, `list`, `plan` and `compare` print as JSON."""
    pair = ["gpt2", "mistral-7b"]
    answers = {
        ("check", "mistral-7b", "--machine", MAC): check(
            "mistral-7b", machine=MAC
        ).to_json(),
        ("list", "--machine", MAC): ranking_on_mac().to_json(),
        ("list", "--machine", MAC, "--use", "code"): rank(
            machine=MAC, use="code"
        ).to_json(),
        ("plan", "mistral-7b", "--context", "8k"): plan(
            "mistral-7b", Workload(context_tokens=8192)
        ).to_json(),
        ("compare", *pair, "--machine", MAC): compare(pair, machine=MAC).to_json(),
    }
    for words, answer in answers.items():
        assert loads(dumps(answer)) == written(*words, capsys=capsys)


# what the contract says is written otherwise: three lists of sentences in one, a license's id
OTHERS = (".notes[]", ".model.license")


def unlike(document: object, held: object, path: str = "") -> Iterator[str]:
    """The keys of a JSON object that the record it is made of has not, or has with another kind of
    answer. Objects by free names are mappings in Python, too.
    """
    if isinstance(document, dict) and not isinstance(held, Mapping):
        for key in set(document) - {"schema", "selfhost_version", "catalogue"}:
            if hasattr(held, key):
                yield from unlike(document[key], getattr(held, key), f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(document, list) and isinstance(held, list | tuple):
        if len(document) != len(held) and not path.endswith(".notes"):
            yield path
        for inner, record in zip(document, held, strict=False):
            yield from unlike(inner, record, f"{path}[]")
    elif (
        isinstance(document, bool | int | str)
        and held != document
        and not path.endswith(OTHERS)
    ):
        yield path


@pytest.mark.parametrize(
    "answer",
    [
        lambda: check(
            "mistral-7b", Workload(prompt_tokens=1000, parallel=4), machine="rtx 3060"
        ),
        lambda: check(
            "llama-3.3-70b",
            Workload(load=Load(input_tokens_per_day=9, output_tokens_per_day=9)),
            machine="rtx 3060",
        ),
        lambda: check(
            "mistral-7b", Workload(task="finetune", dataset_tokens=1000), machine="l4"
        ),
        lambda: check("gpt-4o", machine="rtx 3060"),
        lambda: check("flux-dev", machine="rtx 3060"),
        lambda: check("whisper-small", machine=VM),
        lambda: check("bge-m3", machine=Machine()),
        lambda: compare(["gpt2", "phi-4"], machine=MAC),
        lambda: plan("mistral-7b"),
        lambda: plan("gpt-4o"),
        ranking_on_mac,
        lambda: size("mistral-7b", machine="rtx 3060"),
    ],
)
def test_records_have_the_keys_of_the_json(answer: Callable[[], Any]) -> None:
    """What a reader of the JSON knows is found under the same names in Python, at every depth."""
    held = answer()
    assert sorted(set(unlike(held.to_json(), held))) == []


def test_a_ranking_holds_what_was_asked_for() -> None:
    """`use` and `modality` keep only such models; a word that is neither is refused with the
    choices.
    """
    coding = rank(machine=MAC, use="code").models
    assert coding
    # general models that call functions, or were measured at code, write programs, too
    measured = abilities("code")
    assert measured is not None
    for row in coding:
        work = {"code", "function-calling"}.intersection(row.model.uses or ())
        assert work or measured.of(row.model.id), row.model.id
    assert {
        row.model.modality for row in rank(machine=MAC, modality="image").models
    } == {"image"}
    with pytest.raises(
        WorkloadError, match=r"rank: use: 'coding' is unknown \(did you mean 'code'"
    ):
        rank(machine=MAC, use="coding")
    with pytest.raises(WorkloadError, match=r"'pictures' is unknown .*'image'"):
        rank(machine=MAC, modality="pictures")


@pytest.mark.parametrize(
    ("model", "given"),
    [
        pytest.param(None, "None", id="None"),
        pytest.param({}, "dict", id="a dict"),
    ],
)
def test_a_wrong_type_has_its_name_in_python(model: Any, given: str) -> None:
    with pytest.raises(TypeError, match=f"model must be str .*, not {given}$"):
        check(model, machine=VM)


def test_compare_tells_the_first_wrong_name() -> None:
    """It is raised with its near names. A single name is no list."""
    with pytest.raises(UnknownModelError, match="gpt2-xl"):
        compare(["gpt2x", "mistral-7b", "mistral-7bb"], machine=VM)
    with pytest.raises(TypeError, match="models must be list"):
        compare("gpt2", machine=VM)
    for models in (["mistral-7b"], []):
        with pytest.raises(ValueError, match="two or more"):
            compare(models, machine=VM)


def test_own_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of own specs is read, overrides a shipped id, and the verdict says so;
    SELFHOST_SPECS does the same.
    """
    (tmp_path / "gpt2.toml").write_text(OWN_SPEC.replace("mine", "gpt2"))
    verdict = check("gpt2", machine=VM, specs=[tmp_path])
    assert verdict.model.name == "Mine"
    assert any("replaces" in note for note in verdict.notes)
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    assert verdict.needs.memory.high_bytes == 2000
    assert check("gpt2", machine=VM).model.name != "Mine"
    monkeypatch.setenv("SELFHOST_SPECS", str(tmp_path))
    assert check("gpt2", machine=VM).model.name == "Mine"


def test_the_same_question_has_the_same_answer_from_many_threads() -> None:
    """Given a machine, check is pure and thread-safe."""
    names = ["mistral-7b", "gpt2", "deepseek-v3", "gpt-4o"] * 8
    alone = {name: check(name, machine=VM) for name in set(names)}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda name: check(name, machine=VM), names))
    assert together == [alone[name] for name in names]


def test_records_travel_between_processes() -> None:
    """A verdict pickles and comes back equal."""
    verdict = check("mistral-7b", machine=VM)
    assert pickle.loads(pickle.dumps(verdict)) == verdict


@settings(max_examples=12)
@example(name="deepseek-ocr", context=18, more=64)
@example(name="gemma-4-31b-it", context=6, more=28)
@given(name=st.sampled_from(IDS), context=st.integers(1, 64), more=st.integers(0, 64))
def test_more_context_never_needs_less(name: str, context: int, more: int) -> None:
    """For every shipped model, in the type that it is judged in under the shorter one: DeepSeek-OCR
    is in Q8_0 where that fits, else in Q4_K_M. No setting is chosen: Gemma 4 31B keeps a long cache
    in q8_0.
    """
    catalogue = open_catalogue()

    def need(tokens: int, type: str | None = None) -> tuple[int, str | None]:
        workload = Workload(context_tokens=tokens, quantization=type)
        judged = judge(ask(catalogue.spec(name), workload, catalogue, VM), VM)
        memory = judged.memory
        return memory.high_bytes if memory else 0, judged.quantization

    few_bytes, type = need(context * 100)
    more_bytes, other_type = need((context + more) * 100)
    if other_type != type:
        more_bytes, _ = need((context + more) * 100, type)
    assert few_bytes <= more_bytes


@settings(max_examples=20)
@given(name=st.sampled_from(IDS), memory=st.integers(1, 64), more=st.integers(0, 64))
def test_a_better_machine_never_gets_a_worse_route(
    name: str, memory: int, more: int
) -> None:
    """For every shipped model: more memory never turns local into something else."""

    def runs(gib: int) -> bool:
        return can_run(
            name,
            machine=VM.replace(
                memory_total_bytes=gib * GIB,
                memory_limit_bytes=gib * GIB,
                memory_available_bytes=gib * GIB,
            ),
        )

    assert runs(memory + more) >= runs(memory)


# what would fit instead takes most of a check: it is looked for of so many, and where facts lack
CHECKED = frozenset(IDS[::24])


@pytest.mark.parametrize("name", IDS[::6], ids=case_id)
def test_every_shipped_model_is_judged(name: str) -> None:
    """Every sixth gets a reason for every finding, and where its parts are known the memory that
    they take; a closed one is never local.
    """
    catalogue = open_catalogue()
    question = ask(catalogue.spec(name), Workload(), catalogue, VM)
    judged = judge(question, VM)
    assert all(finding.reason for finding in judged.findings)
    spec = question.spec
    if not spec.closed and (spec.architecture or spec.components or spec.needs):
        assert judged.needs is not None
        assert judged.needs.memory is not None, f"{name}: {judged.needs.unknown}"
        if name not in CHECKED:
            return
    verdict = check(name, machine=VM)
    # all there is of an answer, which is worked out when it is asked for
    if name in CHECKED:
        assert len(verdict.to_json()["alternatives"]) == len(verdict.alternatives)
    if verdict.model.closed:
        assert verdict.route in (Route.API, Route.NEITHER)
    elif (
        verdict.model.architecture is None
        and not verdict.model.components
        and verdict.model.needs is None
    ):
        # nothing says what its context takes: that is never called enough, and the spec says why
        assert "architecture" in verdict.model.unknown
        assert verdict.needs is not None
        assert verdict.needs.memory is None
        assert any(
            entry.fact.startswith("memory") and entry.reason and entry.remedy
            for entry in verdict.needs.unknown
        )
        (memory,) = (
            finding for finding in verdict.findings if finding.check == "memory"
        )
        least = sum(term.low_bytes for term in verdict.needs.known_terms)
        assert memory.outcome == (
            "fail" if least > (VM.memory_limit_bytes or 0) else "unknown"
        )
        assert memory.remedy
        assert verdict.route in (Route.UNKNOWN, Route.API, Route.NEITHER)


def test_prices_end_on_their_day() -> None:
    """An offer is gone from the day it ends on, and what replaces it stands in."""
    from selfhost.advice.verdicts import check_with

    before = check_with(
        open_catalogue(), "gpt-4o", Workload(), VM, today="2026-11-20"
    ).api_offers
    ends = max(offer.ends or "" for offer in before)
    assert ends > "2026-11-20"
    after = check_with(
        open_catalogue(), "gpt-4o", Workload(), VM, today=ends
    ).api_offers
    assert all(offer.stands_in for offer in after)


def test_no_api_of_ours_trains() -> None:
    """Prices per token of an answer are no offer for fine-tuning."""
    training = Workload(task="finetune", finetune_method="full")
    verdict = check("llama-3.1-70b", training, machine=VM)
    assert verdict.route is Route.NEITHER
    assert verdict.api_offers == ()


def test_what_a_spec_states_of_running_says_nothing_of_training(tmp_path: Path) -> None:
    """[needs] alone under finetune is unknown; a runtime that does not train is refused with the
    reason.
    """
    (tmp_path / "mine.toml").write_text(OWN_SPEC)
    verdict = check("mine", Workload(task="finetune"), machine=VM, specs=[tmp_path])
    assert verdict.route is Route.UNKNOWN
    finding = check(
        "mistral-7b", Workload(task="finetune", runtime="llama.cpp"), machine=VM
    ).finding("runtime")
    assert finding is not None
    assert finding.code == "runtime-cannot-load"
    assert "train" in finding.reason


def test_llama_cpp_serves_no_more_sequences_than_it_can() -> None:
    """llama.cpp, src/llama-cparams.h: LLAMA_MAX_SEQ is 256, and a context for more is refused,
    however small the model.
    """
    for runtime in ("llama.cpp", "ollama"):
        asked = Workload(runtime=runtime, min_tokens_per_second=0)
        verdict = check("gemma-3-270m", asked, machine=VM)
        assert verdict.room is not None
        assert verdict.room.most_parallel == 256
        with pytest.raises(WorkloadError, match="at most 256 sequences") as refused:
            check("gemma-3-270m", Workload(runtime=runtime, parallel=257), machine=VM)
        assert "vllm" in (refused.value.problems[0].remedy or "")
    assert (
        check("gemma-3-270m", Workload(parallel=256), machine=VM).route is Route.LOCAL
    )
    # a batch in training is no server's
    assert (
        check("gemma-3-270m", Workload(task="finetune", parallel=300), machine=VM).needs
        is not None
    )


@pytest.mark.parametrize("runtime", ["llama.cpp", "ollama"])
def test_a_cache_type_that_llama_cpp_refuses_is_refused(runtime: str) -> None:
    """llama_init_from_model: the blocks of 32 of q8_0 do not fill the heads of Phi-2, 80 long
    (config.json: 2,560 over 32 heads).
    """
    assert (
        check("phi-2", Workload(runtime=runtime, kv_cache_type="f16"), machine=VM).needs
        is not None
    )
    with pytest.raises(
        WorkloadError, match="the head size 80 is not a multiple of 32"
    ) as refused:
        check("phi-2", Workload(runtime=runtime, kv_cache_type="q8_0"), machine=VM)
    assert [problem.key for problem in refused.value.problems] == ["kv_cache_type"]


FUNCTIONS = [
    name for name in selfhost.__all__ if inspect.isfunction(getattr(selfhost, name))
]
ANSWERS = ["Load", "UnknownModelError", "Verdict", "Workload"]
METHODS = ["Load.parse", "Machine.from_json", "Machine.read", "Workload.options"]


@pytest.mark.parametrize("name", FUNCTIONS + ANSWERS + METHODS)
def test_the_example_in_the_help_holds(name: str) -> None:
    """It can be typed, and gives what it says. Every public function has one."""
    documented = attrgetter(name)(selfhost)
    (example,) = doctest.DocTestFinder(recurse=False).find(
        documented, name, globs=PUBLIC
    )
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_docstrings_of_the_library_name_public_things_only() -> None:
    """What `help()` shows names no constant and no class that a reader could not import."""
    texts = {name: inspect.getdoc(value) or "" for name, value in PUBLIC.items()}
    for name, value in PUBLIC.items():
        own = vars(value).items() if inspect.isclass(value) else ()
        texts |= {
            f"{name}.{key}": part.__doc__ or "" for key, part in own if key[0] != "_"
        }
    inner = re.compile(r"\b[A-Z]+_[A-Z_]+\b|`[A-Z][a-z]+[A-Z]?\w*`")
    allowed = {
        *(f"`{name}`" for name in (*PUBLIC, "ValueError", "TypeError")),
        "SELFHOST_SPECS",
    }
    named = {
        (place, word) for place, text in texts.items() for word in inner.findall(text)
    }
    assert not {(place, word) for place, word in named if word not in allowed}


@pytest.mark.parametrize(
    ("model", "runtime", "route"),
    [
        # no source says it, so nobody can tell
        pytest.param("clip-vit-base-patch32", "vllm", "unknown", id="silence"),
        # whisper.cpp's README: it is for speech alone
        pytest.param("clip-vit-base-patch32", "whisper.cpp", "api", id="another-kind"),
    ],
)
def test_what_no_source_says_is_not_refused(
    model: str, runtime: str, route: str
) -> None:
    verdict = check(model, Workload(runtime=runtime), machine="strix-halo-128gb")
    assert verdict.route == route


def test_a_type_of_mradermacher_is_known() -> None:
    """mradermacher's repositories: `i1-` says that a matrix of importance chose the bits."""
    verdict = check("qwen3-8b", Workload(quantization="i1-Q4_K_M"))
    assert verdict.workload.quantization == "Q4_K_M"


def test_check_and_show_name_the_same_successor_of_gpt_3() -> None:
    """platform.openai.com/docs/deprecations: gpt-3.5-turbo-instruct replaces davinci."""
    verdict = check("gpt-3")
    named = verdict.model.availability and verdict.model.availability.successor
    assert named == "gpt-3.5-turbo-instruct"
    assert any(str(named) in note for note in verdict.notes)


@pytest.mark.parametrize(
    "name", ["GPT-3.5 Turbo (open-weight variant)", "gpt-3.5-turbo open weights"]
)
def test_a_variant_with_open_weights_that_does_not_exist_is_said_not_to(
    name: str,
) -> None:
    """openai.com/open-models names gpt-oss alone."""
    with pytest.raises(UnknownModelError, match="never published") as caught:
        check(name)
    assert "gpt-oss-20b" in caught.value.nearest


def test_notes_stand_in_one_order_whoever_asks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a model asked alone, among several, and by a program."""
    words = ["--min-speed", "5", "--machine", "RTX 4090", "--json"]
    assert main(["check", "whisper-large-v3", *words]) == 0
    alone = loads(capsys.readouterr().out)["notes"]
    main(["check", "whisper-large-v3", "gpt2", *words])
    among = loads(capsys.readouterr().out)["verdicts"][0]["notes"]
    asked = check("whisper-large-v3", min_tokens_per_second=5, machine="RTX 4090")
    assert alone == among == asked.to_json()["notes"]
    # the name of the machine, the option without effect, and whose conversion the files are
    assert len(alone) == 3


def test_a_ranking_of_more_rows_than_there_are_models_counts_them_all() -> None:
    """Every model was judged, so nothing is an estimate."""
    of_many = rank(use="embedding", top=5000, machine=MAC)
    assert of_many.counts == rank(use="embedding", machine=MAC).counts
    assert not of_many.counts.is_estimate
