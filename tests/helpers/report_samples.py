"""Verdicts of each route on one machine with gaps, for what a person reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from helpers.paths import DATA
from selfhost import Workload, check
from selfhost.advice.listing import Ranking, count_rows
from selfhost.advice.measured import quality_of_model, shown_quality
from selfhost.advice.several import QuantizationSize, ShownModel
from selfhost.core.tables import shipped_table
from selfhost.judge.checks import StatedWords
from selfhost.judge.quality import Quality
from selfhost.judge.record import Finding, Outcome, Verdict
from selfhost.machine.record import Accelerator, Machine

GIB = 2**30

LAPTOP = Machine.from_file(str(DATA / "laptop.json")).replace(
    is_this_one=True, name="this machine"
)

WORKSTATION = LAPTOP.replace(
    name="ws-17",
    labels={"site": "lab", "rack": "3"},
    accelerators=(
        Accelerator(
            vendor="nvidia",
            name="RTX 4090",
            memory_total_bytes=24 * GIB,
            memory_free_bytes=23 * GIB,
            driver="560.35",
        ),
    ),
)

# of each check a code that no report treats in a way of its own; an unknown speed never decides
PLAIN_CODES = {
    code.partition("-")[0]: code
    for code in reversed(shipped_table("findings")["codes"])
}
PLAIN_CODES |= {"disk": "disk-fits", "speed": "speed-not-known"}


def finding(
    check: str, outcome: Outcome, reason: str, remedy: str | None = None, **more: Any
) -> Finding:
    """A finding with a code nobody reads here."""
    return Finding(
        check=check,
        outcome=outcome,
        code=PLAIN_CODES[check],
        words=StatedWords(reason=reason, remedy=remedy),
        **more,
    )


@cache
def local() -> Verdict:
    """Runs, with the runtime still to install; the name is that of a family."""
    return check("mistral", Workload(runtime="llama.cpp"), machine=LAPTOP)


@cache
def api() -> Verdict:
    """Too large, with what runs instead and several offers."""
    return check("llama-3.3-70b", machine=LAPTOP)


@cache
def closed() -> Verdict:
    """Never published, and retired."""
    return check("gpt-3.5-turbo", machine=LAPTOP)


@cache
def neither() -> Verdict:
    """As `api`, but nothing may leave the machine."""
    return check("llama-3.3-70b", Workload(private=True), machine=LAPTOP)


@cache
def unknown() -> Verdict:
    """The folder where the file would land could not be read."""
    return check("mistral-7b", Workload(runtime="ollama"), machine=LAPTOP)


@cache
def speech() -> Verdict:
    """A speech model: no tokens per second."""
    return check("whisper-small", machine=LAPTOP)


# one of each route, and the odd ones
SAMPLES: dict[str, Callable[[], Verdict]] = {
    "local": local,
    "api": api,
    "closed": closed,
    "neither": neither,
    "unknown": unknown,
    "speech": speech,
}


def every() -> tuple[Verdict, ...]:
    """All samples, each judged once in a process."""
    return tuple(sample() for sample in SAMPLES.values())


def sized(
    quantization: str,
    size: int,
    how: str,
    *,
    fits: bool | None,
    family: str = "gguf",
    runtime: str = "llama.cpp",
    source: str = "listing of bartowski/Mistral-7B-Instruct-v0.3-GGUF",
) -> QuantizationSize:
    """One row of `show`, whose memory is a sixth more than its file."""
    return QuantizationSize(
        quantization=quantization,
        family=family,
        runtime=runtime,
        bytes=size,
        how=how,
        source=source,
        memory_bytes=size * 7 // 6,
        memory_likely_bytes=size * 7 // 6,
        fits=fits,
        quality=Quality(quantization=quantization),
    )


MISTRAL_SIZES = (
    sized("Q8_0", 7_702_565_088, "stated", fits=None),
    sized("Q4_K_M", 4_372_812_000, "stated", fits=True),
    sized(
        "bfloat16",
        14_496_047_104,
        "stated",
        fits=False,
        family="safetensors",
        runtime="vllm",
    ),
)


def listed(verdicts: Sequence[Verdict], **fields: Any) -> Ranking:
    """A list of these, all of which were judged."""
    counts = count_rows(verdicts)
    return Ranking(machine=LAPTOP, models=tuple(verdicts), counts=counts, **fields)


def shown(verdict: Verdict, sizes: Sequence[QuantizationSize] = ()) -> ShownModel:
    """What `show` tells of a model with these sizes."""
    quality = shown_quality(verdict.model, quality_of_model(verdict.model))
    return ShownModel(
        verdict=verdict,
        quality=quality,
        sizes=tuple(sizes),
        loss_by_size=("", ""),
    )
