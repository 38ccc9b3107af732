"""The pace of text that is predicted, beside the measured one, run by run and class by class.

What goes in: the runs of `runs.py`. What comes out: a `Scored` for each, by the names of `runs.SETS`,
which `tests/truth/pace_bounds.toml` uses too. Each run is asked of `selfhost.check` as a user would ask
it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import median
from typing import NamedTuple

from asked import predicted
from runs import DECODE, SETS, TextRun, machine_named

from selfhost import Workload
from selfhost.catalogue.index import open_catalogue
from selfhost.machine import gpus

# makers and programs as the tables write them
_MAKERS = {"nvidia": "NVIDIA", "amd": "AMD", "apple": "Apple", "intel": "Intel"}
_PROGRAMS = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "transformers": "Transformers",
    "mlx": "MLX",
    "ollama": "Ollama",
}

# sets with prompts that processors read alone, among others
PROMPTS_OF_PROCESSORS = (
    "compute.json, prompts",
    "speed.json, prompts",
    "speed.json, prompts measured here",
    "speed.json, prompts measured on a Zen 4",
)


class Scored(NamedTuple):
    """A measured rate, of which more is faster, and the range predicted for it in the same unit.

    `class_name`: what is computed on what, such as `prompt, NVIDIA, experts`; `label`: the model.
    """

    class_name: str
    device: str
    label: str
    measured: float
    low: float
    likely: float
    high: float

    @classmethod
    def of(
        cls,
        class_name: str,
        device: str,
        label: str,
        measured: float,
        pace: tuple[float, float, float],
    ) -> Scored:
        """A rate beside the pace predicted for it."""
        return cls(class_name, device, label, measured, *pace)

    @property
    def is_inside(self) -> bool:
        """Whether the range holds what was measured."""
        return self.low <= self.measured <= self.high

    @property
    def error(self) -> float:
        """The distance of the likely rate from the measured one, as a share of the measured one."""
        return abs(self.likely / self.measured - 1)

    @property
    def width(self) -> float:
        """The high end of the range over its low end."""
        return self.high / self.low

    @property
    def bias(self) -> float:
        """The measured rate over the likely one."""
        return self.measured / self.likely


@dataclass(frozen=True)
class Summary:
    """What a line of a table says of several runs: medians, and the share inside."""

    runs: int
    devices: int
    error: float
    inside: float
    width: float
    bias: float

    @classmethod
    def of(cls, scored: Sequence[Scored]) -> Summary:
        """The summary of at least one run."""
        return cls(
            runs=len(scored),
            devices=len({run.device for run in scored}),
            error=median(run.error for run in scored),
            inside=sum(run.is_inside for run in scored) / len(scored),
            width=median(run.width for run in scored),
            bias=median(run.bias for run in scored),
        )


# ------------------------------------------------------------------ sets and classes


def scored(texts: Iterable[TextRun]) -> Iterator[Scored]:
    """Each run with its prediction, in its class; runs without one are left out."""
    for run in texts:
        found = predicted(run)
        if found is not None:
            name = class_name(run, is_split=found.is_split)
            yield Scored.of(name, run.device, run.label, run.measured, found.pace)


def class_name(run: TextRun, *, is_split: bool) -> str:
    """The class that is summed up: `prompt, NVIDIA` for llama.cpp, `prompt, NVIDIA, vLLM` for
    another program, with `experts` for a mixture. Runs of an outdated build are a class of their own.
    """
    parts = [run.work, _hardware_class(run, is_split=is_split)]
    if run.program != "llama.cpp":
        parts.append(_PROGRAMS.get(run.program, run.program))
    if run.work != DECODE and has_experts(run.spec):
        parts.append("experts")
    if run.outdated:
        parts.append(run.outdated)
    return ", ".join(parts)


def _hardware_class(run: TextRun, *, is_split: bool) -> str:
    """The hardware that computes: `card and RAM`, `processors`, or the maker of the GPU."""
    if is_split:
        return "card and RAM"
    card = next(iter(run.machine.accelerators or ()), None)
    if card is None or run.on_processor:
        return "processors"
    name = _MAKERS.get(card.vendor, card.vendor)
    if card.vendor == "nvidia" and gpus.has_hbm(card.name):
        name += " with HBM"
    if card.unified and card.vendor != "apple":
        name += ", shares the RAM"
    return name


@cache
def has_experts(spec_id: str) -> bool:
    """Whether the model is a mixture of experts."""
    architecture = open_catalogue().spec(spec_id).architecture
    if architecture is None:
        return False
    return any(group.experts for group in architecture.feed_forward)


def as_typed(texts: Iterable[TextRun]) -> Iterator[TextRun]:
    """The runs with a part in RAM by what a user would type, laid out as selfhost would: only of
    machines that do not hold all of the model on the card.
    """
    for run in texts:
        workload = Workload(quantization=run.quantization, runtime=run.program)
        typed = replace(
            run, machine=machine_named(run.typed_machine), workload=workload
        )
        found = predicted(typed)
        if found is not None and found.is_split:
            yield typed


def scored_set(name: str) -> Iterator[Scored]:
    """The runs of a set with their predictions."""
    chosen = SETS[name]
    texts = chosen.runs()
    return scored(as_typed(texts) if chosen.is_typed else texts)


def by_class(found: Iterable[Scored]) -> Mapping[str, list[Scored]]:
    """The runs of each class, and of each kind of work over all classes."""
    classes = defaultdict[str, list[Scored]](list)
    for run in found:
        work = run.class_name.partition(",")[0]
        classes[f"{work}, every class"].append(run)
        classes[run.class_name].append(run)
    return classes
