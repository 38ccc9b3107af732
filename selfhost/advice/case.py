"""A judged question whose lines are to be typed, and what a program would do by itself there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.workload import Workload
from ..judge.judging import judge
from ..judge.pace.speed import uses_shared_gpu
from ..judge.placement.devices import computes_on_shared, runs_on
from ..judge.question import architectures, ask
from ..judge.record import Judged, Question
from ..machine.chips import metal_share
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed

# the share of the need from which on a line bounds what a server comes to keep
WORTH_BOUNDING = 0.1


class Case(Record):
    """A question as it was judged on a machine, and the runtime whose lines are typed.

    `tag` is what Ollama calls the model in the judged quantization, where that was typed.
    `is_second`: the line stands beside that of another runtime, which was judged.
    """

    question: Question
    judged: Judged
    catalogue: Catalogue
    machine: Machine
    runtime: RuntimeSpec
    tag: str | None = None
    is_second: bool = False

    @property
    def spec(self) -> ModelSpec:
        return self.question.spec

    @property
    def workload(self) -> Workload:
        return self.question.workload

    @property
    def quantization(self) -> str:
        return self.question.workload.quantization or ""

    @property
    def memory(self) -> MemoryNeed | None:
        return self.judged.needs.memory if self.judged.needs is not None else None

    @property
    def placement(self) -> str | None:
        """`host`, `accelerator` or `split`; None where no need is known."""
        return self.judged.needs.placement if self.judged.needs is not None else None

    @property
    def offload(self) -> str | None:
        """The way by which parts come to an accelerator in turn; None where they do not."""
        return self.judged.needs.offload if self.judged.needs is not None else None

    @property
    def cards(self) -> tuple[Accelerator, ...]:
        return tuple(self.machine.accelerators or ())

    @property
    def cards_used(self) -> list[int]:
        """The accelerators with memory of their own that hold a part of the model, by number."""
        places = {term.where for term in self.memory.terms} if self.memory is not None else set()
        return sorted(int(place.partition(":")[2]) for place in places - {"host"})

    @property
    def leaves_cards(self) -> bool:
        """Whether accelerators hold all of the model, and the machine has more of them."""
        return self.placement == "accelerator" and 0 < len(self.cards_used) < len(self.cards)

    @property
    def is_windows(self) -> bool:
        return self.machine.system == "windows"

    @property
    def is_scaled(self) -> bool:
        """Whether the context is longer than the one that the model was trained for."""
        return self.has_code("context-scaled")

    def has_code(self, code: str) -> bool:
        return any(finding.code == code for finding in self.judged.findings)


# ------------------------------------------------------------------ accelerators


def device_word(case: Case) -> str | None:
    """The runtime's word for where the model is placed; None where it has none."""
    devices = case.runtime.devices
    if case.placement in (None, "host"):
        # a GPU that shares the RAM is used where the program can, whatever the placement is called
        shared = _keys_of_shared(case.runtime, case.cards)
        return next((devices[key] for key in shared if key in devices), devices.get("host"))
    vendors = {card.vendor for card in case.cards}
    if case.placement == "split" or len(case.cards_used) > 1 or len(vendors) != 1:
        return devices.get("several")
    return devices.get(vendors.pop())


def _keys_of_shared(runtime: RuntimeSpec, cards: tuple[Accelerator, ...]) -> Iterator[str]:
    """Keys of `devices` that may name a GPU that shares the RAM, the best first: PyTorch calls all
    of NVIDIA's alike, in a Jetson or a DGX Spark as on a card.
    """
    for gpu in cards:
        computes = computes_on_shared if gpu.vendor == "amd" else runs_on
        if gpu.unified and computes(runtime, gpu):
            yield f"{gpu.vendor}-unified"
            if gpu.vendor == "nvidia":
                yield gpu.vendor


def devices_option(case: Case) -> str:
    """What has the program use the accelerators that the model was judged on: several together, or
    some of those that are there; "" where it does by itself, or their names are not known.
    """
    runtime, used = case.runtime, case.cards_used
    if len(used) > 1 and runtime.tensor_parallel_option:
        return f" {runtime.tensor_parallel_option.replace('{devices}', str(len(used)))}"
    if len(used) == 1 and case.leaves_cards and runtime.one_device_option:
        return f" {runtime.one_device_option.replace('{device}', str(used[0]))}"
    names = names_of_some(case)
    return f" {runtime.some_devices_option.replace('{devices}', ','.join(names))}" if names else ""


def names_of_some(case: Case) -> tuple[str, ...]:
    """What the program calls the accelerators that hold the model, where they are several and the
    machine has more; () elsewhere, or where its build is not known.
    """
    if not case.leaves_cards or len(case.cards_used) < 2:
        return ()
    cards, place, names = case.cards, f"{case.machine.system}-{case.machine.architecture}", []
    for index in case.cards_used:
        vendor = cards[index].vendor
        name = case.runtime.device_names.get(f"{place}-{vendor}")
        if name is None or cards[index].is_part:
            return ()
        number = sum(card.vendor == vendor for card in cards[:index])
        names.append(name.replace("{number}", str(number)))
    return tuple(names)


# ------------------------------------------------------------------ context


def own_context(runtime: RuntimeSpec, machine: Machine) -> int | None:
    """Tokens that the program makes room for by itself on that machine where they are more than its
    usual ones; the most where the memory of a GPU is not known.
    """
    sizes = [_most_bytes(card, machine) for card in machine.accelerators or ()]
    gpu_bytes = inf if None in sizes else sum(size or 0 for size in sizes)
    fitting = (own.tokens for own in runtime.own_contexts if gpu_bytes >= own.gpu_bytes)
    return next(fitting, None)


def _most_bytes(card: Accelerator, machine: Machine) -> int | None:
    """What the GPU has at most, also of one that shares the RAM; None where not known."""
    ram_bytes = machine.memory_total_bytes
    if card.memory_total_bytes is not None or not card.unified or ram_bytes is None:
        return card.memory_total_bytes
    return int(ram_bytes * (metal_share(ram_bytes)[1] if card.vendor == "apple" else 1))


def longer_context(case: Case) -> tuple[int, int] | None:
    """The context in tokens that the program takes by itself, and the bytes of memory with it,
    where the model runs with it as it was judged: all of it lies where it lay. None elsewhere, and
    where a context was asked for.
    """
    question, runtime, workload = case.question, case.runtime, case.workload
    tokens, architecture = own_context(runtime, case.machine), case.spec.architecture
    is_usual = workload.context_tokens == runtime.default_context_tokens
    if tokens is None or architecture is None or question.context_asked or not is_usual:
        return None
    if tag_of(case.spec, workload) is None or workload.format not in runtime.formats:
        return None
    # it takes no more than the model was trained for (`_is_whole`)
    tokens = min(tokens, need.trained_tokens(architecture, question.rewriting) or tokens)
    longer = workload.replace(runtime=runtime.id, context_tokens=tokens)
    try:
        other = judge(ask(case.spec, longer, case.catalogue, case.machine), case.machine)
    except WorkloadError:
        return None
    memory = other.needs.memory if other.needs is not None else None
    if not other.fits or memory is None or _where_held(other) != _where_held(case.judged):
        return None
    return tokens, memory.high_bytes


def _where_held(judged: Judged) -> tuple[str | None, set[str]]:
    """Where the model lies, and what was found of the memory that holds it."""
    placement = judged.needs.placement if judged.needs is not None else None
    held = {each.code for each in judged.findings if each.check in ("memory", "accelerator")}
    return placement, held


def tag_of(spec: ModelSpec, workload: Workload) -> str | None:
    """What the runtime itself calls the model: Ollama's tag, or the size in whisper.cpp's file
    names.
    """
    if workload.format != "ggml":
        return next((alias for alias in spec.aliases if ":" in alias), None)
    size, type = spec.id.removeprefix("whisper-"), workload.quantization or ""
    return size if type == "F16" else f"{size}-{type.lower()}"


def _is_whole(case: Case) -> bool:
    """Whether a runtime with a context of its own comes to the judged one by itself: it cuts its
    own to what the model was trained for ("requested context size too large for model",
    llm/server.go of Ollama; published logs show num_ctx=49152 cut to n_ctx_train=40960).
    """
    usual, tokens = case.runtime.default_context_tokens, case.workload.context_tokens
    architecture = case.spec.architecture
    if usual is None or architecture is None or tokens is None or tokens > usual:
        return False
    return tokens == need.trained_tokens(architecture, case.question.rewriting)


def _must_state_context(case: Case) -> bool:
    """Whether the program would take another context than was judged, with other needs."""
    usual, tokens = case.runtime.default_context_tokens, case.workload.context_tokens
    if usual is None or tokens is None:
        return False
    if not case.is_second and _is_whole(case):
        return False
    if tokens != usual:
        return True
    takes_longer = own_context(case.runtime, case.machine) is not None
    return takes_longer and (case.is_second or longer_context(case) is None)


# ------------------------------------------------------------------ options


def options_needed(case: Case, values: Mapping[str, str | None]) -> list[str]:
    """The keys of the runtime's options that are needed because the workload differs from what the
    program does by itself; `values` are those of the blanks.
    """
    workload, runtime = case.workload, case.runtime
    drafts_itself = workload.draft is not None and workload.draft == need.OWN_BLOCK
    needed = {
        "kv_cache_type": workload.kv_cache_type not in (None, "f16"),
        "parallel": workload.parallel > 1,
        "whole_batch": values["batch_tokens"],
        "mtp": drafts_itself,
        "draft": workload.draft is not None and not drafts_itself,
        "adapter": workload.adapter,
        "context_tokens": _must_state_context(case),
        "checkpoints": values["context_checkpoints"] and "checkpoints" in runtime.options,
        "yarn": case.is_scaled,
        "shared_gpu": "shared_gpu" in runtime.settings and _leaves_shared_gpu(case),
    }
    return [*_use_option(case), *(key for key, is_needed in needed.items() if is_needed)]


def _use_option(case: Case) -> tuple[str, ...]:
    """The key that has a server of text embed or rank, where it has to be told."""
    uses = case.spec.uses
    key = "reranking" if uses and uses[0] == "reranking" else "embedding"
    is_told = case.spec.modality == "embedding" and key in case.runtime.options
    return (key,) if is_told else ()


def _leaves_shared_gpu(case: Case) -> bool:
    """Whether a GPU that shares the RAM computes in the judged program and not in this one."""
    judged_with = case.question.runtime
    if judged_with is None or judged_with.id == case.runtime.id:
        return False
    uses, machine = uses_shared_gpu, case.machine
    return uses(machine, judged_with) and not uses(machine, case.runtime)


def checkpoints_kept(case: Case) -> int | None:
    """How many copies of a conversation the need counts, where the server keeps many more."""
    runtime, memory = case.question.runtime, case.memory
    if runtime is None or memory is None or "checkpoints" not in runtime.options:
        return None
    more_bytes = need.more_in_conversation(
        case.spec, runtime, case.workload, architectures(case.catalogue)
    )
    is_worth_it = more_bytes and more_bytes >= WORTH_BOUNDING * memory.high_bytes
    return runtime.context_checkpoints if is_worth_it else None


def bounds(case: Case) -> Iterator[str]:
    """Options that hold a server to what is counted, or keep it running."""
    runtime, memory = case.runtime, case.memory
    if memory is not None and runtime.service is not None and _use_option(case):
        # without it a server keeps texts that idle users had embedded
        option = runtime.service.bounds.get("prompt_cache", "").replace("{mib}", "0")
        keeps = any(term.name in ("kv_cache", "recurrent_state") for term in memory.terms)
        if option and keeps and case.workload.parallel > 1:
            yield option
    if runtime.lean_option and case.judged.needs is not None and case.judged.needs.is_lean:
        yield runtime.lean_option
    if runtime.unpacked_option and may_crash(case):
        yield runtime.unpacked_option


def may_crash(case: Case) -> bool:
    """Whether the program may crash there: not where accelerators hold all of the model."""
    crashing = case.runtime.crashing_sets(case.machine.instruction_sets)
    return case.placement != "accelerator" and bool(crashing)


def variables(case: Case) -> tuple[str, ...]:
    """What keeps glibc from holding buffers of shorter texts that were freed, as `size` prints it;
    () where they are few, and on systems with another allocator.
    """
    runtime, memory = case.runtime, case.memory
    bound = runtime.service.bounds.get("freed_buffers") if runtime.service is not None else None
    if memory is None or not bound or case.machine.system not in (None, "linux"):
        return ()
    if not _use_option(case):
        return ()
    freed_bytes = need.freed_outputs(
        case.spec, runtime, case.workload, architectures(case.catalogue)
    )
    return (bound,) if freed_bytes >= WORTH_BOUNDING * memory.high_bytes else ()
