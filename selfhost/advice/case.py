"""A judged question whose lines are to be typed, and what a program would do by itself there."""

from __future__ import annotations

from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.records import Record
from ..core.workload import Workload
from ..judge.placement.devices import computes_on_shared, runs_on
from ..judge.question import architectures
from ..judge.record import Judged, Question
from ..machine.chips import metal_share
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

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
    def rows(self) -> Mapping[str, Any]:
        """Those of `common/architectures.toml`."""
        return architectures(self.catalogue)

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
    def is_run(self) -> bool:
        return self.judged.fits and self.workload.task == "generate"

    @property
    def is_here(self) -> bool:
        """Whether all files of the model are on the machine."""
        return self.question.local_files or self.question.missing_bytes == 0

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
    devices, cards = case.runtime.devices, case.cards
    if case.placement not in (None, "host"):
        vendors = {card.vendor for card in cards}
        if case.placement == "split" or len(case.cards_used) > 1 or len(vendors) != 1:
            return devices.get("several")
        return devices.get(vendors.pop())
    # a GPU that shares the RAM is used where the program can, whatever the placement is called
    keys = ["host"]
    for gpu in reversed(cards):
        computes = computes_on_shared if gpu.vendor == "amd" else runs_on
        if gpu.unified and computes(case.runtime, gpu):
            # PyTorch calls all of NVIDIA's alike, in a Jetson or a DGX Spark as on a card
            alike = ["nvidia"] if gpu.vendor == "nvidia" else []
            keys = [f"{gpu.vendor}-unified", *alike, *keys]
    return next((devices[key] for key in keys if key in devices), None)


def devices_option(case: Case) -> str:
    """What has the program use the accelerators that the model was judged on: several together,
    or one of those that are there; "" where it does by itself.
    """
    runtime, used = case.runtime, case.cards_used
    if len(used) > 1 and runtime.tensor_parallel_option:
        return f" {runtime.tensor_parallel_option.replace('{devices}', str(len(used)))}"
    if len(used) == 1 and case.leaves_cards and runtime.one_device_option:
        return f" {runtime.one_device_option.replace('{device}', str(used[0]))}"
    return ""


def may_crash(case: Case) -> bool:
    """Whether the program may crash there: not where accelerators hold all of the model."""
    crashing = case.runtime.crashing_sets(case.machine.instruction_sets)
    return case.placement != "accelerator" and bool(crashing)


# ------------------------------------------------------------------ context


def tag_of(spec: ModelSpec, workload: Workload) -> str | None:
    """What the runtime itself calls the model: Ollama's tag, or the size in whisper.cpp's file
    names.
    """
    if workload.format != "ggml":
        return next((alias for alias in spec.aliases if ":" in alias), None)
    size, type = spec.id.removeprefix("whisper-"), workload.quantization or ""
    return size if type == "F16" else f"{size}-{type.lower()}"


def _takes_more_context(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether the program makes room for more than its usual context by itself on that machine;
    also where the memory of a GPU is not known.
    """
    least, gpu_bytes = runtime.longer_context_gpu_bytes, 0.0
    for card in machine.accelerators or ():
        size, ram_bytes = card.memory_total_bytes, machine.memory_total_bytes
        if size is None and card.unified and ram_bytes is not None:
            size = int(ram_bytes * (metal_share(ram_bytes)[1] if card.vendor == "apple" else 1))
        gpu_bytes += inf if size is None else size
    return least is not None and gpu_bytes >= least


def must_state_context(case: Case) -> bool:
    """Whether the program would take another context than was judged, with other needs. It cuts its
    own to what the model was trained for ("requested context size too large for model",
    llm/server.go of Ollama; published logs show num_ctx=49152 cut to n_ctx_train=40960).
    """
    usual, tokens = case.runtime.default_context_tokens, case.workload.context_tokens
    architecture = case.spec.architecture
    if usual is None or tokens is None:
        return False
    if not case.is_second and architecture is not None and tokens <= usual:
        trained = need.trained_tokens(architecture, case.question.rewriting)
    else:
        trained = None
    if tokens == trained:
        return False
    if tokens != usual:
        return True
    return _takes_more_context(case.runtime, case.machine)
