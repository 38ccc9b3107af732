"""What is accepted is judged: no number of a spec, a config.json, a GGUF header or a machine record
makes a command fail.

The sizes of real specs, files and records are changed at random, and whatever their reader takes is
asked for under every program.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.ggufs import gguf, measured, metadata, placed, write
from helpers.paths import COMMON, DATA, RECORDS, SPEC_FILES
from selfhost.advice.verdicts import check_with
from selfhost.catalogue.index import Catalogue, open_catalogue
from selfhost.cli.main import main
from selfhost.core.errors import MachineFileError, SpecError, WorkloadError
from selfhost.core.workload import Workload
from selfhost.judge.record import DeferredAdvice
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine
from selfhost.modelfiles import read_local
from selfhost.modelfiles.specfiles import check_spec_files
from selfhost.reports import json as report

ROWS = tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))
RUNTIMES = open_catalogue().runtime_ids()
# one of each kind of block: dense, latent, grouped experts, compressed, windows, every recurrence,
# encoder, both stacks, speech, image
SEEDS = (
    "mistral-7b-instruct-v0.3",
    "deepseek-r1-0528",
    "deepseek-v4-flash-0731",
    "gemma-3n-e4b-it",
    "gpt-oss-20b",
    "falcon-h1-3b-instruct",
    "mamba-370m",
    "qwen3-next-80b-a3b-instruct",
    "lfm2.5-1.2b-instruct",
    "bge-m3",
    "whisper-tiny",
    "stable-diffusion-1.5",
    "kimi-linear-48b-a3b-instruct",
    "minimax-text-01",
    "glm-5.3",
)
QUANTIZATIONS = (
    None,
    None,
    "Q4_K_M",
    "Q8_0",
    "IQ2_XS",
    "nf4",
    "awq",
    "gptq-3bit",
    "fp8",
    "mxfp4",
)
SIZES = (
    1,
    2,
    3,
    5,
    7,
    32,
    64,
    100,
    127,
    128,
    255,
    300,
    3000,
    10**6,
    2**31,
    2**32,
    10**18,
)
MACHINE_NAMES = (
    *sorted(RECORDS.glob("*.json")),
    "desktop-rtx4090-24gb",
    "macbook-pro-m4-max-48gb",
    "aws-p5.48xlarge",
)
RECORD_FILES = tuple(sorted(RECORDS.glob("*.json")))
CONFIG_FILES = tuple(
    path
    for folder in ("configs", "headers/configs")
    for path in sorted((DATA / folder).glob("*.json"))
    if path.stem != "sources"
)
CONFIG_KEYS = (
    "num_experts",
    "num_experts_per_tok",
    "num_nextn_predict_layers",
    "num_key_value_heads",
    "head_dim",
    "hc_mult",
    "altup_num_inputs",
    "num_kv_shared_layers",
    "sliding_window",
    "n_shared_experts",
    "kv_lora_rank",
    "q_lora_rank",
    "encoder_layers",
    "mamba_n_groups",
    "mamba_n_heads",
    "linear_num_key_heads",
    "num_hidden_groups",
    "hidden_size_per_layer_input",
)
HEADER_KEYS = (
    "nextn_predict_layers",
    "altup.num_inputs",
    "hyper_connection.count",
    "n_deepstack_layers",
    "attention.shared_kv_layers",
    "ssm.group_count",
    "wkv.head_size",
    "attention.sliding_window",
)
MODELS = (
    "mistral-7b",
    "gpt2",
    "deepseek-r1",
    "whisper-tiny",
    "bge-m3",
    "falcon-h1-3b-instruct",
    "stable-diffusion-1.5",
    "gemma-3-4b",
)
DEVICES: tuple[dict[str, object], ...] = (
    {
        "vendor": "nvidia",
        "name": "NVIDIA GeForce RTX 4090",
        "memory_total_bytes": 25757220864,
        "memory_free_bytes": 25000000000,
        "unified": False,
        "compute_capability": "8.9",
    },
    {
        "vendor": "amd",
        "name": "AMD Radeon RX 7900 XTX",
        "memory_total_bytes": 25753026560,
        "unified": False,
    },
    {"vendor": "apple", "name": "Apple M4 Max", "unified": True},
)
# keys that a layer or a model may have beside those of its seed
MORE = (
    ("length", "experts = {}, used = {}"),
    ("length", "latent_length = {}"),
    ("key_length", "heads = {}"),
    ("key_length", "window_tokens = {}"),
    ("key_length", "latent_length = {}, rope_length = {}"),
    ("key_length", "indexer_heads = {}, indexer_length = {}"),
    ("kind", "heads = {}"),
)
MORE_OF_MODEL = (
    "altup_inputs",
    "mtp_layers",
    "cache_layers",
    "stored_layers",
    "deepstack_layers",
    "per_layer_embedding_length",
    "positions",
    "token_types",
    "table_length",
    "encoder_layers",
    "beams",
)
_NUMBER = re.compile(r"(?<=[=\[ ,])\d[\d_]*(?=[\s,\]}]|$)")


RANDOM = st.integers(0, 2**32).map(random.Random)


@cache
def shelf() -> Catalogue:
    return Catalogue.open()


@cache
def machine(name: Path | str) -> Machine:
    return load(name).machine if isinstance(name, str) else Machine.from_file(str(name))


def another(chance: random.Random, number: int) -> int:
    near = (
        number - 1,
        number + 1,
        2 * number,
        number // 2,
        3 * number,
        number // 3,
        10 * number,
    )
    return (
        max(1, chance.choice(near)) if chance.random() < 0.5 else chance.choice(SIZES)
    )


def another_spec(chance: random.Random, text: str) -> str:
    """The spec with one to three of its sizes changed, keys added, or as another architecture;
    without figures that tell it is wrong.
    """
    for table in ("parameters", r"\[files\]"):
        text = re.sub(rf"^\[{table}\]\n(?:(?!\[).*\n?)*", "", text, flags=re.MULTILINE)
    for _ in range(chance.choice((1, 1, 2, 3))):
        kind = chance.random()
        if kind < 0.65:
            start = re.search(r"^\[(?:architecture|components)", text, re.MULTILINE)
            places = list(_NUMBER.finditer(text, start.start() if start else 0))
            place = chance.choice(places)
            text = (
                text[: place.start()]
                + str(another(chance, int(place[0].replace("_", ""))))
                + text[place.end() :]
            )
        elif kind < 0.8:
            having, more = chance.choice(MORE)
            lines = [
                found
                for found in re.finditer(r"\{[^{}]*\}", text)
                if f"{having} = " in found[0]
            ]
            if lines:
                end = chance.choice(lines).end() - 1
                added = re.sub(r"\{\}", lambda _: str(chance.choice(SIZES[:12])), more)
                text = f"{text[:end].rstrip()}, {added} {text[end:]}"
        elif kind < 0.9:
            text = text.replace(
                "[architecture]\n",
                f"[architecture]\n{chance.choice(MORE_OF_MODEL)} = {chance.choice(SIZES[:12])}\n",
                1,
            )
        else:
            text = re.sub(
                r'^(gguf|transformers) = ".*"',
                f'\\1 = "{chance.choice(tuple(ROWS["architecture"]))}"',
                text,
                flags=re.MULTILINE,
            )
    return text


def numbers_in(
    values: Any, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], float]]:
    """Every number of a JSON value with its path; of a long list the first ones."""
    if isinstance(values, dict):
        for key, part in values.items():
            yield from numbers_in(part, (*path, key))
    elif isinstance(values, list):
        for index, part in enumerate(values[:8]):
            yield from numbers_in(part, (*path, index))
    elif (
        isinstance(values, int | float)
        and not isinstance(values, bool)
        and isfinite(values)
    ):
        yield path, values


def put(values: Any, path: tuple[Any, ...], value: object) -> None:
    for key in path[:-1]:
        values = values[key]
    values[path[-1]] = value


def workloads(chance: random.Random) -> Iterator[Workload]:
    """What most people ask, three other programs, each with another context and quantization, and a
    training.
    """
    for runtime in (None, *chance.sample(RUNTIMES, 3)):
        yield Workload(
            runtime=runtime,
            context_tokens=chance.choice((None, 1, 100, 4096, 10**6, 10**8)),
            parallel=chance.choice((1, 1, 3, 64)),
            quantization=chance.choice(QUANTIZATIONS),
        )
    yield Workload(
        task="finetune", finetune_method=chance.choice(("lora", "qlora", "full"))
    )


def judged(chance: random.Random, model: str, here: Machine | None = None) -> int:
    """How many workloads were judged; the others make no sense for the model. Whatever else is
    raised is a bug: its file was accepted. What most people ask, no program and no quantization
    named, always gets an answer.

    What is proposed instead are models of the catalogue, dozens of which are judged for one answer:
    only what most people ask is held with them.
    """
    count = 0
    here = here or machine(chance.choice(MACHINE_NAMES))
    plain = check_with(shelf(), model, Workload(), here, today="2026-11-20")
    assert "NaN" not in report.dumps(report.verdict(plain))
    for asked in workloads(chance):
        try:
            answer = check_with(shelf(), model, asked, here, today="2026-11-20")
        except WorkloadError:
            continue
        assert "NaN" not in report.dumps(
            report.verdict(answer.replace(further=DeferredAdvice()))
        )
        of_the_model = repr(
            (answer.room, answer.api_offers, answer.monthly_cost, answer.notes)
        )
        assert re.search(r"\bnan\b", of_the_model) is None
        count += 1
    return count


def is_read(path: Path) -> bool:
    """Whether the reader of model files takes it."""
    try:
        read_local(str(path))
    except SpecError:
        return False
    return True


def commanded(chance: random.Random, model: str, *more: str) -> None:
    """One of the commands, to its end; 70 is a bug."""
    folder = os.path.dirname(more[1] if more else model)
    policy = os.path.join(folder, "policy.txt")
    words = chance.choice(
        (
            ["check", model],
            ["show", model],
            ["compare", model, "gpt2"],
            ["plan", model],
            ["list", "--specs", folder, "--max-size", "1GB"],
            ["audit", policy],
        )
    )
    name = chance.choice(RECORD_FILES if words[0] == "audit" else MACHINE_NAMES)
    if words[0] == "audit":
        Path(policy).write_text(f"schema = 1\n[[model]]\nname = {json.dumps(model)}\n")
        more = ("--machines", more[1]) if more else ("--machines", str(name))
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        code = main(
            [*words, *(more or ("--machine", str(name)) if words[0] != "plan" else ())]
        )
    assert code != 70, errors.getvalue()


def own_text(seed: str) -> str:
    """A shipped spec under another name, so that it stands beside the catalogue."""
    text = SPEC_FILES[seed].read_text(encoding="utf-8")
    text = re.sub(
        r"^aliases = \[[^\]]*\]\n|^repository = .*\n", "", text, flags=re.MULTILINE
    )
    return text.replace(f'id = "{seed}"', 'id = "own"', 1)


@given(st.sampled_from(SEEDS), RANDOM)
@settings(max_examples=8)
def test_a_spec_that_is_accepted_is_judged(
    tmp_path_factory: pytest.TempPathFactory, seed: str, chance: random.Random
) -> None:
    """What `spec check` calls ok is judged under every program, and by every command; what it does
    not is refused by them, too.
    """
    path = tmp_path_factory.mktemp("spec") / "own.toml"
    path.write_text(another_spec(chance, own_text(seed)), encoding="utf-8")
    if not check_spec_files([str(path)], ())[0]:
        judged(chance, str(path))
    if chance.random() < 0.1:
        commanded(chance, str(path))


@given(st.sampled_from(CONFIG_FILES), RANDOM)
@settings(max_examples=8)
def test_a_config_that_is_read_is_judged(
    tmp_path_factory: pytest.TempPathFactory, base: Path, chance: random.Random
) -> None:
    """A number without sense makes the needs unknown, or is refused."""
    values = json.loads(base.read_text(encoding="utf-8"))
    for _ in range(chance.choice((1, 1, 2, 3))):
        if chance.random() < 0.7:
            place, number = chance.choice(list(numbers_in(values)))
            put(values, place, chance.choice((0, another(chance, int(number)))))
        else:
            values[chance.choice(CONFIG_KEYS)] = chance.choice((0, *SIZES))
    path = tmp_path_factory.mktemp("config") / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    if is_read(path):
        judged(chance, str(path))


# a file that llama.cpp does not load was asked of a program for other files
@example("flan-t5-large", random.Random(1))
@given(st.sampled_from(sorted(measured())), RANDOM)
@settings(max_examples=6)
def test_a_header_that_is_read_is_judged(
    tmp_path_factory: pytest.TempPathFactory, name: str, chance: random.Random
) -> None:
    """The same of a GGUF file's header."""
    model = measured()[name]
    values = metadata(name, model)
    for _ in range(chance.choice((1, 1, 2))):
        numbers = [
            key
            for key, value in values.items()
            if type(value) is int and "." in key and not key.startswith("general.")
        ]
        key = chance.choice(
            (*numbers, *(f"{model['architecture']}.{more}" for more in HEADER_KEYS))
        )
        changed = another(chance, int(values.get(key, 8)))  # type: ignore[call-overload]
        values[key] = min(chance.choice((0, changed)), 2**32 - 1)
    path = write(
        tmp_path_factory.mktemp("header") / "own.gguf", *gguf(values, placed(model))
    )
    if is_read(path):
        judged(chance, str(path))


@given(st.sampled_from(RECORD_FILES), st.sampled_from(MODELS), RANDOM)
@settings(max_examples=8)
def test_a_record_that_is_read_is_judged(
    tmp_path_factory: pytest.TempPathFactory,
    base: Path,
    model: str,
    chance: random.Random,
) -> None:
    """No core, no bandwidth, no memory, devices of no size: a record that is read answers, under
    every program and every command.
    """
    values = json.loads(base.read_text(encoding="utf-8"))
    if chance.random() < 0.6:
        values["accelerators"] = [
            dict(chance.choice(DEVICES)) for _ in range(chance.choice((1, 2, 8)))
        ]
    for _ in range(chance.choice((1, 2, 3))):
        place, number = chance.choice(list(numbers_in(values)))
        put(
            values,
            place,
            chance.choice(
                (
                    0,
                    1,
                    0.001,
                    5e-324,
                    1e300,
                    10**18,
                    int(number) * 1000,
                    int(number) // 1000,
                )
            ),
        )
    path = tmp_path_factory.mktemp("record") / "here.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    try:
        here = Machine.from_file(str(path))
    except MachineFileError:
        return
    judged(chance, model, here)
    if chance.random() < 0.1:
        commanded(chance, model, "--machine", str(path))
