"""What every driver and the scorer read: the questions, public facts of the models and machines asked
about, and the kept answers. All are JSON lines beside this file; README.md explains their keys.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).resolve().parent
GIB = 2**30

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class MemoryQuestion:
    """How many bytes, and whether all of it fits in the GPU. `weights` are those of the published
    file; `kv` and `state` of llama.cpp's own rule, one sequence in 16 bits.
    """

    id: str
    model: str
    quantization: str
    context: int
    gpu: str
    gpu_gib: float
    ram_gib: int
    weights: int
    kv: int
    state: int
    fits: bool

    @property
    def total(self) -> int:
        """What a right answer itemizes; buffers and reserves come on top."""
        return self.weights + self.kv + self.state


@dataclass(frozen=True, kw_only=True)
class SpeedQuestion:
    """How fast one answer is written. `tokens_per_second` was published by somebody who ran it;
    `typed` and `typed_quantization` are the model as its report names it.
    """

    id: str
    model: str
    quantization: str
    runtime: str
    machine: str
    gpu: str | None
    depth: int
    tokens_per_second: float
    kind: str
    typed: str
    typed_quantization: str | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """Public facts of a model, and the `names` that programs know it by; none where one does not."""

    model: str
    repository: str
    architecture: str
    parameters: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    window: int
    context: int
    names: Mapping[str, str]
    # None: every parameter is used for a token
    active_parameters: int | None = None
    experts: int | None = None
    experts_used: int | None = None
    expert_hidden: int | None = None
    # the repository whose published config.json says the same
    config_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a program is told of a machine. `kind`: gpu (with memory of its own), unified or igpu
    (the RAM is its memory), cpu. `gb_per_s` is of the memory that holds the weights.
    """

    kind: str
    name: str
    vendor: str | None
    memory_gib: float
    gb_per_s: float
    # peak in 16 bits; None where it was not looked up
    tflops: float | None
    ram_gib: float
    ram_gb_per_s: float
    cores: int
    processor: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A program's answer to one question, or in `why` the reason that it has none. Bytes of memory,
    tokens a second of speed; None: the program does not tell that.
    """

    id: str
    fits: bool | None = None
    weights: int | None = None
    kv: int | None = None
    state: int | None = None
    total: int | None = None
    tps: float | None = None
    low: float | None = None
    high: float | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program on the board: a table of programs.toml."""

    id: str
    version: str
    install: str
    offline: str
    given: str
    not_given: str
    # the sizes of files are given to it, so that its weights say nothing of it
    weights_are_given: bool = False
    # it prints its cache in steps of so many GiB
    kv_step_gib: float = 0.0


def _rows(kind: Callable[..., Row], path: Path) -> Iterable[Row]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield kind(**json.loads(line))


def memory_questions() -> list[MemoryQuestion]:
    return list(_rows(MemoryQuestion, HERE / "memory.jsonl"))


def speed_questions() -> list[SpeedQuestion]:
    return list(_rows(SpeedQuestion, HERE / "speed.jsonl"))


def models() -> dict[str, Model]:
    return {model.model: model for model in _rows(Model, HERE / "models.jsonl")}


def programs() -> dict[str, Program]:
    tables = tomllib.loads((HERE / "programs.toml").read_text(encoding="utf-8"))
    return {id: Program(id=id, **table) for id, table in tables.items()}


def answers_of(program: str) -> dict[str, Answer]:
    """The kept answers of a program, by the ids of the questions."""
    rows = _rows(Answer, HERE / "answers" / f"{program}.jsonl")
    return {answer.id: answer for answer in rows}


def keep(program: str, answers: Iterable[Answer]) -> None:
    """Write a program's answers in place of those that are kept."""
    lines: list[str] = []
    for answer in answers:
        values = {name: _short(value) for name, value in vars(answer).items()}
        stated = {name: value for name, value in values.items() if value is not None}
        lines.append(json.dumps(stated, ensure_ascii=False))
    path = HERE / "answers" / f"{program}.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _short(value: object) -> object:
    """A speed with five digits; anything else as it is."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


@dataclass(frozen=True)
class _MachineRow:
    """A row of machines.jsonl: a GPU, or a computer with what of it is not in its GPU."""

    name: str
    kind: str
    vendor: str | None = None
    called: str = ""
    processor: str = ""
    cores: int = 12
    memory_gib: float = 0
    gb_per_s: float = 0
    tflops: float | None = None


def machine_of(question: SpeedQuestion) -> Machine:
    """The machine of a report, as every program is told of it."""
    rows = {row.name: row for row in _rows(_MachineRow, HERE / "machines.jsonl")}
    computer = rows[question.machine]
    gpu = rows.get(question.gpu or "")
    if computer.kind == "unified":
        maker = "Apple " if computer.vendor == "apple" else ""
        return _machine(
            computer, computer, computer.called, f"{maker}{computer.called}"
        )
    if gpu is None:
        return _machine(computer, computer, computer.processor, computer.processor)
    if gpu.kind == "igpu":
        # its memory is that of the computer
        shared = _MachineRow(
            gpu.name,
            gpu.kind,
            gpu.vendor,
            memory_gib=computer.memory_gib,
            gb_per_s=computer.gb_per_s,
        )
        return _machine(shared, computer, gpu.name, computer.processor)
    return _machine(gpu, computer, gpu.name, computer.processor)


def _machine(
    device: _MachineRow,
    computer: _MachineRow,
    name: str,
    processor: str,
) -> Machine:
    return Machine(
        kind="cpu" if device.kind == "computer" else device.kind,
        name=name,
        vendor=device.vendor,
        memory_gib=device.memory_gib,
        gb_per_s=device.gb_per_s,
        tflops=device.tflops,
        ram_gib=computer.memory_gib,
        ram_gb_per_s=computer.gb_per_s,
        cores=computer.cores,
        processor=processor,
    )


def gpu_of(question: MemoryQuestion) -> Machine:
    """The card of a question of memory, in a computer with 8 cores and 83 GB/s of RAM."""
    rows = {row.name: row for row in _rows(_MachineRow, HERE / "machines.jsonl")}
    computer = rows["ryzen 7 7700 64gb"]
    card = rows[question.gpu]
    return _machine(card, computer, card.name, computer.processor)


# what a program without these types is asked instead
PLAIN = {
    "UD-Q4_K_XL": "Q4_K_M",
    "UD-Q4_K_M": "Q4_K_M",
    "UD-IQ4_NL": "IQ4_NL",
    "4bit": "Q4_0",
    "8bit": "Q8_0",
    "bf16": "BF16",
}


def ask(
    program: str,
    memory: Callable[[MemoryQuestion], Answer],
    speed: Callable[[SpeedQuestion], Answer] | None,
) -> None:
    """Put all questions to a program and keep its answers; `speed` None: it predicts no speed."""
    answers = [memory(question) for question in memory_questions()]
    if speed is not None:
        answers += [speed(question) for question in speed_questions()]
    keep(program, answers)
    answered = sum(answer.why is None for answer in answers)
    print(f"{program}: {answered} of {len(answers)} questions answered")
