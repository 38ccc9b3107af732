"""The measured runs of `tests/truth`, each with the question that a user would ask for it.

What goes in: the name of a file. What comes out: a `TextRun` for each run of text, or the plain rows
of a file about other work. Nothing is predicted here, and nothing but the public classes of selfhost
is needed, so that the same runs can be asked of any version.

    runs_of("speed_november.json", "kept")      the runs that are in no fit

`tests/truth/README.md` says what each file holds. Its `about` says what its columns mean.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

from selfhost import Machine, Workload
from selfhost.catalogue.index import Catalogue
from selfhost.judge.pace.tables import pace_tables
from selfhost.machine.gpus import every_card, vendor_of
from selfhost.machine.named import named
from selfhost.machine.record import Accelerator

TRUTH = Path(__file__).parents[1] / "tests" / "truth"
GIB = 1 << 30
# what a run does: one sequence, reading a prompt, several sequences at once
DECODE = "decode"
PROMPT = "prompt"
TOGETHER = "together"
# the kinds of devices: a card has memory of its own, the others share or have only RAM
CARD = "card"
SHARES_RAM = "unified"
PROCESSOR = "processor"
# RAM beside a card, and memory of a device, where the source does not state it
_RAM_BYTES = 64 * GIB
_UNKNOWN_MEMORY_GB = 32
# a card with what its source placed there, which may be more than is taken to fit
_ROOM_FOR_PLACED = 2
# more than any model takes of the RAM
_ENOUGH_BYTES = 2048 * GIB
# words of a source that tell a virtual machine: notebooks of Colab are some
_WORDS_OF_VM = ("virtual machine", "Colab")
# instruction sets of most desktops of the runs; no rule of a GPU's pace depends on others
_X86_SETS = ("avx2", "avx512f", "avx512_bf16")
_ARM_SETS = ("asimd", "asimddp")
# those of the guests on which this project measured, by the part of `speed.json`
_GUEST_SETS = {
    "measured": ("avx2", "avx512_bf16", "avx512f", "avx_vnni"),
    "measured_zen4": ("avx2", "avx512_bf16", "avx512f"),
}
# llama.cpp's own sizes of a micro-batch and of a batch
_MICRO_BATCH = 512
_BATCH = 2048
# `cpu_moe` of a run that let llama.cpp choose the layers whose experts lie in RAM
_CHOSEN_BY_PROGRAM = "fit"
# room for an answer behind a prompt
_ANSWER_TOKENS = 512
# the context of each of several sequences, where the source tells no lengths
_SHORT_TOKENS = 512
# names of programs that are not in the catalogue, and of one that computes alike
_ALIKE = {"tensorrt-llm": "vllm"}
# outdated builds, whose runs are a class of their own: vLLM whose steps waited for its scheduler
# (0.6 answers 1.8 to 2.7 times as much as 0.5.3: blog.vllm.ai, 2024-09-05), and llama.cpp whose
# Vulkan read prompts on Intel's GPUs without their matrix units or in small tiles
# (ggml-org/llama.cpp#14001 of 2025-06, #18178 of 2026-01), and llama.cpp before its layout of Q4_K for
# processors with the dot product (#17494)
OLD_VLLM = "before 0.5"
OLD_VULKAN = "before 2026"
OLD_ARM = "before its layout of Q4_K"
_VLLM_OF_EARLY_2024 = "0.4."
_OLD_ARM_MACHINE = "radxa-dragon-Q6A"
_NEW_VULKAN_YEAR = "2026"

# the length of a prompt that is asked for: that of the source, one batch of it, or none
_WHOLE = "whole"
_ONE_BATCH = "one batch"
_UNSTATED = "unstated"
# the tool that chooses no tokens, by which sequences at once are timed where a file names no tool
_UNSAMPLED = "llama-batched-bench"

# what the models of `speed.json` are called in the catalogue
MEASURED_NAMES = {
    "qwen2.5-0.5b": "qwen2.5-0.5b-instruct",
    "llama-3.2-1b": "llama-3.2-1b-instruct",
    "llama-3.2-3b": "llama-3.2-3b-instruct",
    "mistral-7b-v0.3": "mistral-7b-instruct-v0.3",
    "llama-3.1-8b": "llama-3.1-8b-instruct",
    "gemma-3-4b": "gemma-3-4b-it",
}

# a row of a file: a value for each column
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Columns:
    """How a file names what its runs measured.

    `rates` has the column of the rate by what a run does; {} where each row says so in `work`.
    `program`: of all runs, "" where each row names its own. `prompt`: which length of a prompt is
    asked for.
    """

    program: str = ""
    rates: Mapping[str, str] = field(default_factory=dict)
    prompt: str = _WHOLE


_DECODED = {DECODE: "tokens_per_second"}
_READ = {PROMPT: "prompt_per_second"}
_TOGETHER = {TOGETHER: "tokens_per_second"}
# files whose rows name the program and the work, of both uses
BY_PROGRAM = (
    "speed_programs.json",
    "speed_blind.json",
    "speed_cores.json",
    "speed_gpus.json",
    "speed_laptops.json",
    "speed_integrated.json",
    "speed_arcs.json",
    "speed_november.json",
    "speed_less_sure.json",
    "speed_hosts.json",
    "speed_prompts_newest.json",
    "speed_odd.json",
    "speed_streams.json",
)
# files of runs on processors alone
_OF_PROCESSORS = (
    "speed_processors.json",
    "speed_processors_later.json",
    "speed_processors_unseen.json",
    "speed_processors_many.json",
    "speed_processors_newest.json",
)
# files whose rows tell which part of a model lies in RAM beside a card
SPLIT_FILES = ("speed_split.json", "speed_split_later.json", "speed_split_newest.json")
FILES: Mapping[str, Columns] = {
    **dict.fromkeys(BY_PROGRAM, Columns()),
    **dict.fromkeys(_OF_PROCESSORS, Columns(rates=_DECODED)),
    "speed_processors_prompts.json": Columns("llama.cpp", {**_READ, **_DECODED}),
    "speed_fresh.json": Columns(rates=_DECODED),
    "speed_public.json": Columns(rates=_DECODED),
    "speed_backends.json": Columns(rates=_DECODED),
    "speed_types.json": Columns("llama.cpp", _DECODED),
    "speed_intel.json": Columns("llama.cpp", {**_READ, **_DECODED}, prompt=_UNSTATED),
    "speed_intel_later.json": Columns(
        "llama.cpp", {**_READ, **_DECODED}, prompt=_UNSTATED
    ),
    "speed_prompts.json": Columns("llama.cpp", _READ),
    "speed_mlx_prompts.json": Columns("mlx", _READ),
    "speed_vllm.json": Columns("vllm", _DECODED),
    "speed_transformers.json": Columns("transformers", _DECODED),
    "speed_batches.json": Columns("llama.cpp", _TOGETHER),
    "speed_parallel.json": Columns(rates=_TOGETHER),
    "speed_tensor_parallel.json": Columns(rates=_TOGETHER),
    "speed.json#published": Columns(),
    "speed.json#measured": Columns("llama.cpp"),
    "speed.json#measured_zen4": Columns("llama.cpp"),
    "speed_types.json#processors": Columns("llama.cpp"),
    "compute.json#prompt": Columns("llama.cpp"),
    "speed_drafts.json": Columns("llama.cpp", {DECODE: "with_draft"}),
    **dict.fromkeys(
        SPLIT_FILES,
        Columns(
            "llama.cpp",
            {PROMPT: "prompt_per_second", DECODE: "decode_per_second"},
            prompt=_ONE_BATCH,
        ),
    ),
}
# files whose `device` is a machine as a user types it
_TYPED_DEVICES = ("speed_parallel.json", "speed_tensor_parallel.json")


@dataclass(frozen=True)
class TextRun:
    """A measured run of text, and what a user would ask for it.

    - `work`: `decode`, `prompt` or `together`; `measured`: tokens a second.
    - `device`: the machine, GPU or processor, by which runs are counted; `machine`: the computer.
    - `depth_tokens`: tokens before the middle one of a decoded answer; 0 of a short chat.
    - `on_processor`: the source says so, whatever GPU the machine has.
    - `gpus`: how many GPUs the source states; 0 where it states none.
    - `typed_machine`: what a user would type for the machine, where the row has that.
    - `outdated`: the words for a build that is a class of its own, "" for others.
    - `use`: `fitted` runs decided a constant, `kept` ones are in no fit; "" where a whole file is
      one or the other.
    """

    file: str
    use: str
    source: str
    spec: str
    quantization: str
    program: str
    work: str
    measured: float
    device: str
    machine: Machine
    workload: Workload
    depth_tokens: int = 0
    gpus: int = 0
    outdated: str = ""
    on_processor: bool = False
    typed_machine: str = ""

    @property
    def label(self) -> str:
        """The model, its type and the program, as the lines of a report name them."""
        return f"{self.spec} {self.quantization}, {self.program}"


@cache
def document(file: str) -> Mapping[str, Any]:
    """A whole file of `tests/truth`."""
    text = (TRUTH / file).read_text(encoding="utf-8")
    values: Mapping[str, Any] = json.loads(text)
    return values


def rows(file: str, part: str = "rows") -> Iterator[Row]:
    """Each row of a file, or of another part of it than its `rows`."""
    values = document(file)
    key = "columns" if part == "rows" else f"{part}_columns"
    for line in values[part]:
        yield dict(zip(values[key], line, strict=True))


def runs_of(
    key: str, use: str | None = None, work: str | None = None
) -> Iterator[TextRun]:
    """The runs of text of a file, a key of `FILES`: all of them, or those with that use that do that
    work.
    """
    file, _, part = key.partition("#")
    columns = FILES[key]
    several_a_step = document(file).get("several_tokens_a_step", ())
    for row in _rows_alike(file, part):
        if use is not None and row["use"] != use:
            continue
        if row.get("id") in several_a_step or _is_all_in_one_place(row):
            continue
        rates = columns.rates or {row["work"]: "per_second"}
        for done, column in rates.items():
            if row[column] is not None and work in (None, done):
                yield _run(key, row, done, row[column])


def _rows_alike(file: str, part: str) -> Iterator[Row]:
    """The rows of a part of a file by the names that the other files have. `kind` of a part is the
    work, where that of the others is the kind of device.
    """
    if not part:
        yield from rows(file)
        return
    for row in rows(file, part):
        if not row.get("repack", 1):
            # not as llama.cpp ships
            continue
        work = row.get("kind", PROMPT)
        is_llamacpp = row.get("runtime", "llama.cpp") == "llama.cpp"
        if work == PROMPT and not is_llamacpp:
            continue
        alike = {**row, "work": work, "per_second": row["tokens_per_second"]}
        if part in _GUEST_SETS:
            alike["instruction_sets"] = _GUEST_SETS[part]
        if "model" in row:
            alike["spec"] = MEASURED_NAMES.get(row["model"], row["model"])
        if work == PROMPT:
            alike.update(depth=0, tokens=_MICRO_BATCH)
        yield {**alike, "kind": PROCESSOR}


def _is_all_in_one_place(row: Row) -> bool:
    """Whether a row of runs in RAM beside a card has nothing in one of the two."""
    return 0 in (row.get("cpu_moe"), row.get("ngl"))


def report_left_out(spec: str, device: str, why: str) -> None:
    """Print to standard error that a run is left out, and why."""
    print(f"  left out, {why}: {spec} on {device}", file=sys.stderr)


# ------------------------------------------------------------------ sets of runs


class RunSet(NamedTuple):
    """The runs of a key of `FILES` with that use that do that work; None: all of them.

    `is_fitted`: whether a constant was fitted on them. None where neither table by class has them:
    they are asked in another way, or have a table of their own. `is_typed`: each is asked by what a
    user would type for the machine, and laid out as selfhost would.
    """

    key: str
    use: str | None = None
    work: str | None = None
    is_fitted: bool | None = None
    is_typed: bool = False

    def runs(self) -> Iterator[TextRun]:
        """The runs of the set."""
        return runs_of(self.key, self.use, self.work)


def _both_uses(
    name: str,
    kept: str,
    key: str,
    work: str | None = None,
) -> Mapping[str, RunSet]:
    """The two sets of a file: its runs in the fit, and its others, which are called `kept`."""
    return {
        f"{name}, fitted": RunSet(key, "fitted", work, is_fitted=True),
        f"{name}, {kept}": RunSet(key, "kept", work, is_fitted=False),
    }


def _by_program() -> Iterator[tuple[str, RunSet]]:
    """The sets of the files whose rows name their program."""
    for file in BY_PROGRAM:
        has_fitted = any(row["use"] == "fitted" for row in rows(file))
        if has_fitted:
            yield f"{file}, fitted", RunSet(file, "fitted", is_fitted=True)
        called = _KEPT if file in ("speed_programs.json", "speed_gpus.json") else _NEW
        yield f"{file}, {called}", RunSet(file, "kept", is_fitted=False)


_KEPT = "kept out of the fit"
_NEW = "in no fit"
_SPLIT, _SPLIT_LATER, _SPLIT_NEWEST = SPLIT_FILES
# the set of runs that were all stored before one was predicted
BLIND = "speed_blind.json, in no fit"

# the sets of runs of text by their names
SETS: Mapping[str, RunSet] = {
    "speed_public.json": RunSet("speed_public.json", is_fitted=True),
    "speed.json": RunSet("speed.json#published", None, DECODE, is_fitted=True),
    **_both_uses("speed_backends.json", _KEPT, "speed_backends.json"),
    "speed_drafts.json": RunSet("speed_drafts.json"),
    "speed_batches.json, several at once": RunSet("speed_batches.json", is_fitted=True),
    "speed_split.json, fitted": RunSet(_SPLIT, "fitted", DECODE, is_fitted=True),
    "speed_split.json, in the fit of the time to cross over alone": RunSet(
        _SPLIT, "kept", DECODE
    ),
    "speed_split_later.json, in that fit since": RunSet(
        _SPLIT_LATER, "kept", DECODE, is_fitted=True
    ),
    "speed_split_later.json, by the machine's name": RunSet(
        _SPLIT_LATER, None, DECODE, is_typed=True
    ),
    "speed_split_later.json, prompts, in the fit since": RunSet(
        _SPLIT_LATER, "kept", PROMPT, is_fitted=True
    ),
    **_both_uses("speed_split_newest.json", _NEW, _SPLIT_NEWEST, DECODE),
    **_both_uses("speed_split_newest.json, prompts", _NEW, _SPLIT_NEWEST, PROMPT),
    **_both_uses("speed_split.json, prompts", _KEPT, _SPLIT, PROMPT),
    "speed_parallel.json, many requests at once": RunSet("speed_parallel.json"),
    "speed_tensor_parallel.json, the same on several GPUs": RunSet(
        "speed_tensor_parallel.json"
    ),
    **_both_uses("speed_transformers.json", _KEPT, "speed_transformers.json"),
    **_both_uses("speed_vllm.json", _KEPT, "speed_vllm.json"),
    **_both_uses("speed_types.json", _KEPT, "speed_types.json"),
    "speed_types.json, processors, fitted": RunSet(
        "speed_types.json#processors", "fitted"
    ),
    "speed_types.json, processors, kept out of the fit": RunSet(
        "speed_types.json#processors", "kept"
    ),
    **_both_uses("speed_intel.json", _KEPT, "speed_intel.json"),
    **_both_uses("speed_intel_later.json", _NEW, "speed_intel_later.json"),
    **_both_uses("speed_mlx_prompts.json", _KEPT, "speed_mlx_prompts.json"),
    **_both_uses("speed_prompts.json", _KEPT, "speed_prompts.json"),
    **_both_uses(
        "speed_processors_prompts.json", _NEW, "speed_processors_prompts.json"
    ),
    **dict(_by_program()),
    "speed_fresh.json, in no fit": RunSet("speed_fresh.json", is_fitted=False),
    "speed_processors.json, which tell their RAM": RunSet(
        "speed_processors.json", is_fitted=True
    ),
    "speed_processors_later.json, in the fit since": RunSet(
        "speed_processors_later.json", is_fitted=True
    ),
    "speed_processors_unseen.json, in the fit since": RunSet(
        "speed_processors_unseen.json", is_fitted=True
    ),
    "speed_processors_many.json, in the fit since": RunSet(
        "speed_processors_many.json", is_fitted=True
    ),
    "speed_processors_newest.json, in no fit": RunSet(
        "speed_processors_newest.json", is_fitted=False
    ),
    "compute.json, prompts": RunSet("compute.json#prompt"),
    "speed.json, prompts": RunSet("speed.json#published", None, PROMPT),
    "speed.json, prompts measured here": RunSet("speed.json#measured", None, PROMPT),
    "speed.json, prompts measured on a Zen 4": RunSet(
        "speed.json#measured_zen4", None, PROMPT
    ),
}


# ------------------------------------------------------------------ a run of a row


def _run(key: str, row: Row, work: str, measured: float) -> TextRun:
    """The run of a row that does that work."""
    file, _, _ = key.partition("#")
    columns = FILES[key]
    program = columns.program or row.get("program") or row["runtime"]
    program = _ALIKE.get(program, program)
    machine = _machine_of_row(file, row)
    workload = Workload(
        quantization=row["quantization"],
        runtime=program,
        runtime_options=_stated_options(program, row, machine),
    )
    depth_tokens = 0
    match work:
        case "prompt" if columns.prompt != _UNSTATED:
            prompt_tokens = _prompt_tokens(columns, row)
            workload = workload.replace(
                prompt_tokens=prompt_tokens,
                context_tokens=prompt_tokens + _ANSWER_TOKENS,
            )
        case "together":
            workload = _together(row, workload)
            if program == "llama.cpp" and row.get("tool", _UNSAMPLED) == _UNSAMPLED:
                measured = _as_served(row["spec"], workload.parallel, measured)
        case "decode":
            if "drafted" in row:
                stated = {"spec-draft-n-max": str(row["drafted"])}
                workload = workload.replace(draft="mtp", runtime_options=stated)
            depth_tokens = (row.get("depth") or 0) + (row.get("tokens") or 0) // 2
    return TextRun(
        file=file,
        use=row.get("use") or "",
        source=row.get("source") or "",
        spec=row["spec"],
        quantization=row["quantization"],
        program=program,
        work=work,
        measured=measured,
        device=_device_of_row(row),
        machine=machine,
        workload=workload,
        depth_tokens=depth_tokens,
        gpus=_stated_gpus(file, row),
        outdated=_outdated(row, work),
        on_processor=file in _OF_PROCESSORS,
        typed_machine=row.get("machine") or "",
    )


def _prompt_tokens(columns: Columns, row: Row) -> int:
    """The length of the prompt that is asked for: as many tokens as have the same before them on
    average. In the files by program the tokens that were read stand in `tokens`.
    """
    tokens: int = row["tokens"] if "tokens" in row else row["prompt_tokens"]
    if columns.prompt == _ONE_BATCH:
        return min(tokens or _MICRO_BATCH, row["ubatch"] or _MICRO_BATCH)
    depth: int = row.get("depth") or 0
    return tokens + 2 * depth


def _together(row: Row, workload: Workload) -> Workload:
    """The workload of so many sequences at once, with the lengths of the source."""
    if "sequences" not in row:
        at_once = row["at_once"] if "at_once" in row else row["tokens"]
        return workload.replace(parallel=at_once, context_tokens=_SHORT_TOKENS)
    tokens = (row["prompt_tokens"] or 0) + (row["generated_tokens"] or 0)
    return workload.replace(
        parallel=row["sequences"],
        context_tokens=max(_SHORT_TOKENS, tokens + 1),
        prompt_tokens=row["prompt_tokens"],
    )


@cache
def _catalogue() -> Catalogue:
    return Catalogue.open()


def _as_served(spec: str, sequences: int, measured: float) -> float:
    """The tokens per second that llama.cpp's server would give where llama-batched-bench, which
    chooses no tokens, gives so many.
    """
    architecture = _catalogue().spec(spec).architecture
    words = 0 if architecture is None else architecture.vocabulary or 0
    chosen = (sequences - 1) * words * pace_tables().batch.word_seconds.likely
    return sequences / (sequences / measured + chosen)


def _stated_options(program: str, row: Row, machine: Machine) -> dict[str, str]:
    """The options of the program that a row states: the backend on an Intel GPU, and a
    micro-batch.
    """
    options: dict[str, str] = {}
    cards = machine.accelerators or ()
    if program == "llama.cpp" and len(cards) == 1 and cards[0].vendor == "intel":
        words = row.get("backend") or f"{row.get('source')} {row.get('note')}"
        for backend in ("SYCL", "Vulkan"):
            if backend.lower() in words.lower():
                options["dev"] = f"{backend}0"
                break
    micro_batch = row.get("micro_batch", row.get("ubatch"))
    if micro_batch not in (None, _MICRO_BATCH):
        options["ub"] = str(micro_batch)
        if micro_batch > _BATCH:
            options["b"] = str(micro_batch)
    if row.get("ngl") is not None:
        options["ngl"] = str(row["ngl"])
    if row.get("cpu_moe") not in (None, _CHOSEN_BY_PROGRAM):
        options["n-cpu-moe"] = str(row["cpu_moe"])
    return options


def _outdated(row: Row, work: str) -> str:
    """The words for an outdated build, "" for others."""
    if str(row.get("version", "")).startswith(_VLLM_OF_EARLY_2024):
        return OLD_VLLM
    if row.get("machine") == _OLD_ARM_MACHINE and work == PROMPT:
        return OLD_ARM
    is_vulkan = (
        row.get("backend") == "vulkan" and vendor(row.get("device", "")) == "intel"
    )
    if is_vulkan and work == PROMPT and row["built"] < _NEW_VULKAN_YEAR:
        return OLD_VULKAN
    return ""


def _stated_gpus(file: str, row: Row) -> int:
    """The number of GPUs that the source states: in a column, or in a name such as `8x H100`."""
    if file == "speed_tensor_parallel.json":
        number = row["device"].split()[0].removesuffix("x")
        return int(number) if number.isdecimal() else 1
    return row.get("gpus") or 0


# ------------------------------------------------------------------ machines


@cache
def machine_named(name: str) -> Machine:
    """The machine of that name; cached, because many runs share a machine."""
    return named(name)[0]


def vendor(device: str) -> str:
    """The maker of a GPU or chip, in small letters."""
    return "apple" if device.startswith("Apple") else vendor_of(device)


def machine_of(
    device: str,
    kind: str,
    memory_gb: float | None,
    gpus: int = 1,
) -> Machine:
    """A computer with that device, of which nothing was measured.

    `memory_gb` is the memory of a card, else of the whole computer; None where the source does not
    tell it.
    """
    size_gb = memory_gb or _UNKNOWN_MEMORY_GB
    size_bytes = int(size_gb * GIB)
    ram_bytes = _RAM_BYTES if kind == CARD or not memory_gb else size_bytes
    is_apple = vendor(device) == "apple"
    # an Apple chip whose cores compute alone is one whose system has no Metal
    has_metal = is_apple and kind != PROCESSOR
    is_arm = is_apple or "GB10" in device
    accelerators: tuple[Accelerator, ...] = ()
    if kind != PROCESSOR:
        card = Accelerator(
            vendor=vendor(device),
            name=device,
            unified=kind != CARD,
            memory_total_bytes=size_bytes if kind == CARD else None,
        )
        accelerators = tuple(repeat(card, gpus))
    return Machine(
        system="macos" if has_metal else "linux",
        architecture="aarch64" if is_arm else "x86_64",
        scope="host",
        cpu_model="unknown" if kind == CARD else device,
        cpu_cores_physical=8,
        cpu_cores_usable=8.0,
        instruction_sets=_ARM_SETS if is_arm else _X86_SETS,
        memory_total_bytes=ram_bytes,
        memory_limit_bytes=ram_bytes,
        memory_available_bytes=int(ram_bytes * 0.9),
        accelerators=accelerators,
    )


def with_cores(machine: Machine, cores: int) -> Machine:
    """That machine with so many cores at work."""
    return machine.replace(cpu_cores_physical=cores, cpu_cores_usable=float(cores))


def in_stated_vm(machine: Machine, source: str) -> Machine:
    """The machine, as a virtual one where the words of the source say so."""
    for words in _WORDS_OF_VM:
        if words in source:
            return machine.replace(scope="vm")
    return machine


def _device_of_row(row: Row) -> str:
    """The name by which devices are counted: of a processor, of the machine, or of a GPU."""
    if "machine" not in row and "device" not in row:
        return "Zen 5 guest" if "avx_vnni" in row["instruction_sets"] else "Zen 4 guest"
    is_typed = "machine" in row and "ngl" not in row
    name: str = row.get("processor") or row["machine" if is_typed else "device"]
    return f"{name} {row['gpu_cores']} cores" if "gpu_cores" in row else name


def _machine_of_row(file: str, row: Row) -> Machine:
    """The computer of a run: the one of the name that a user would type, or one with the device that
    the row tells. A row without a kind is that of a card, or of an Apple chip.
    """
    if file in SPLIT_FILES:
        return _machine_with_ram(row)
    if "machine" not in row and "device" not in row:
        return _measured_guest(row["threads"], row["instruction_sets"])
    if "machines" in document(file):
        return recorded_machine(file, row["machine"], row.get("threads"))
    if "threads" in row and "device" in row:
        return with_cores(machine_of(row["device"], PROCESSOR, 64), row["threads"])
    typed = row["device"] if file in _TYPED_DEVICES else row.get("machine")
    if typed is not None:
        machine = machine_named(typed)
        if machine.cpu_cores_physical is None and row.get("threads"):
            # a guest has no count of physical cores: the run states its threads
            machine = machine.replace(cpu_cores_physical=row["threads"])
        return in_stated_vm(machine, row["source"])
    usual = SHARES_RAM if vendor(row["device"]) == "apple" else CARD
    machine = machine_of(
        row["device"], row.get("kind", usual), row["memory_gb"], row.get("gpus", 1)
    )
    if row.get("source") in document(file).get("windows", ()):
        machine = machine.replace(system="windows")
    if row.get("host") is not None:
        host = row["host"]
        machine = machine.replace(cpu_model=host, architecture=_architecture_of(host))
    return in_stated_vm(machine, row.get("source") or "")


def recorded_machine(file: str, name: str, threads: float | None = None) -> Machine:
    """The machine of that name in the file, which has its facts, with as many cores at work as the
    run had threads; None leaves all cores at work.
    """
    facts = dict(document(file)["machines"][name])
    if facts["instruction_sets"] is not None:
        facts["instruction_sets"] = tuple(facts["instruction_sets"])
    if "memory_bandwidth_bytes_per_second" in facts:
        facts["memory_bandwidth_how"] = "measured"
        facts["sources"] = {"memory_bandwidth_bytes_per_second": "by the same person"}
    for key, shares_ram in (("accelerator", False), ("shared_gpu", True)):
        device = facts.pop(key, None)
        if device is not None:
            card = Accelerator(
                vendor=vendor(device),
                name=device,
                unified=shares_ram,
                memory_total_bytes=None if shares_ram else _ENOUGH_BYTES,
            )
            facts["accelerators"] = (card,)
    facts.setdefault("memory_limit_bytes", _ENOUGH_BYTES)
    facts.setdefault("memory_available_bytes", _ENOUGH_BYTES)
    facts.setdefault("accelerators", ())
    machine = Machine(**facts)
    if threads is None:
        return machine
    machine = with_cores(machine, int(threads))
    return machine.replace(cpu_cores_usable=float(threads))


def _measured_guest(threads: int, sets: Sequence[str]) -> Machine:
    """A guest on which this project measured `speed.json`, with the bandwidth that so many threads
    read at there.
    """
    fact = "memory_bandwidth_bytes_per_second"
    return Machine(
        system="linux",
        architecture="x86_64",
        scope="vm",
        cpu_model="AMD EPYC",
        cpu_cores_physical=threads,
        cpu_cores_usable=float(threads),
        instruction_sets=tuple(sets),
        memory_limit_bytes=_ENOUGH_BYTES,
        memory_available_bytes=_ENOUGH_BYTES,
        memory_bandwidth_bytes_per_second=document("speed.json")["bandwidth"][
            str(threads)
        ],
        memory_bandwidth_how="measured",
        sources={fact: "a C program"},
        accelerators=(),
    )


def _machine_with_ram(row: Row) -> Machine:
    """The machine of a run with a part in RAM, with the bandwidth of its RAM where the source tells
    it. The size of the RAM is not told: a laptop may have one module. The run had room for what its
    source placed, so that the machine has enough for that.
    """
    memory_gb = row["memory_gb"]
    if row["cpu_moe"] != _CHOSEN_BY_PROGRAM:
        memory_gb *= _ROOM_FOR_PLACED
    machine = machine_of(_name_of_driver(row["device"]), CARD, memory_gb)
    machine = machine.replace(
        cpu_model=row["host"] or "unknown",
        memory_total_bytes=None,
        memory_limit_bytes=_ENOUGH_BYTES,
        memory_available_bytes=_ENOUGH_BYTES,
    )
    if row["ram_gb_per_s"] is None:
        return machine
    rate = int(row["ram_gb_per_s"] * 1e9)
    return machine.replace(memory_bandwidth_bytes_per_second=rate)


def _name_of_driver(device: str) -> str:
    """The name of a GPU as its driver has it: a source leaves its first words out."""
    for card in every_card():
        if card.name.endswith(f" {device}"):
            return card.name
    return device


def _architecture_of(host: str) -> str:
    """The architecture of a processor that stands beside a card."""
    if "Cortex" in host or "Altra" in host:
        return "aarch64"
    return "riscv64" if "P550" in host else "x86_64"


# ------------------------------------------------------------------ memory


@dataclass(frozen=True)
class MemoryRun:
    """What a program allocated for a model, in bytes, and what a user would ask for it.

    `places`: where the counted memory lies, `accelerator` or `host`.
    """

    program: str
    label: str
    spec: str
    machine: Machine
    workload: Workload
    measured_bytes: float
    place: str


def memory_runs() -> Iterator[MemoryRun]:
    """The runs whose memory can be asked of `check` as it is: llama.cpp's buffers on a GPU, and peaks
    of MLX. None of them is in a fit.
    """
    h200 = machine_named("h200 141gb, 126gb ram")
    for row in rows("llamacpp_gpu.json"):
        buffers = (row["weights_bytes"], row["kv_bytes"], row["compute_bytes"])
        place = "the same, layers or experts in RAM" if row["options"] else ""
        yield MemoryRun(
            program=place or "llama.cpp on an H200",
            label=f"{row['model']} {row['quantization']} {row['context_tokens']}",
            spec=row["model"],
            machine=h200,
            workload=Workload(
                runtime="llama.cpp",
                quantization=row["quantization"],
                context_tokens=row["context_tokens"],
                runtime_options=row["options"],
            ),
            measured_bytes=sum(buffers),
            place="accelerator",
        )
    mac = machine_named("mac studio m3 ultra 512gb")
    for row in (*document("mlx.json")["published"], *document("mlx.json")["unlike"]):
        yield MemoryRun(
            program="MLX on Macs, as others published",
            label=f"{row['model']} {row['quantization']} {row['prompt_tokens']}",
            spec=row["model"],
            machine=mac,
            workload=Workload(
                runtime="mlx",
                quantization=row["quantization"],
                context_tokens=row["prompt_tokens"] + row["new_tokens"],
            ),
            measured_bytes=row["peak_gb"] * 1e9,
            place="host",
        )
