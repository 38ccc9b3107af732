"""What was judged, in words: the type, the program, the context, the conditions, the download; and
which lines install the program.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core import units
from ..core.workload import Workload
from ..judge.record import Verdict


def asked_words(verdict: Verdict) -> str:
    """What was judged, every default named, and what would be downloaded."""
    how = run_words(verdict.workload)
    conditions = _condition_words(verdict.workload)
    if not how and conditions:
        return f"You asked for: {', '.join(conditions)}"
    if verdict.loaded_bits is not None:
        how.insert(1, f"loaded in {verdict.loaded_bits} bits")
    parts = [*how, _where_words(verdict), *conditions, _download_words(verdict)]
    return ", ".join(filter(None, parts))


def _condition_words(workload: Workload) -> list[str]:
    """The conditions that were stated: `judged by total memory`, `private`, `license MIT`."""
    conditions = []
    if workload.memory_basis != "default":
        conditions.append(f"judged by {workload.memory_basis} memory")
    if workload.private:
        conditions.append("private")
    if workload.commercial:
        conditions.append("commercial")
    if workload.modify:
        conditions.append("modify")
    if workload.auditable:
        conditions.append("auditable")
    if workload.license:
        conditions.append(f"license {workload.license}")
    return conditions


def _where_words(verdict: Verdict) -> str:
    """Where it lies, if not all of it on the GPU; empty too where there is no GPU beside the RAM,
    and where no need is known.
    """
    needs = verdict.needs
    if needs is None or needs.memory is None:
        return ""
    if needs.placement == "split" and needs.offload is None:
        return "split over GPU and RAM"
    cards = verdict.machine.accelerators or ()
    has_own_memory = any(card.unified is not True for card in cards)
    if needs.placement == "host" and has_own_memory:
        return "in RAM, by the CPU"
    return ""


def format_words(workload: Workload) -> str:
    """`Q4_K_M in llama.cpp`, or the one of the two that is known."""
    return " in ".join(filter(None, (workload.quantization, workload.runtime)))


def run_words(workload: Workload) -> list[str]:
    """How the model would run, a part each: `8,192 tokens of context for each of 4 sequences`."""
    parts = []
    if form := format_words(workload):
        parts.append(form)
    if workload.context_tokens is not None:
        context = f"{units.tokens(workload.context_tokens)} of context"
        if workload.parallel > 1:
            context += f" for each of {workload.parallel} sequences"
        parts.append(context)
    if workload.kv_cache_type not in (None, "f16"):
        parts.append(f"{workload.kv_cache_type} cache")
    if workload.audio_seconds is not None:
        parts.append(f"{units.duration(workload.audio_seconds)} of audio")
    if workload.draft == "mtp":
        parts.append("drafting by multi-token prediction")
    elif workload.draft is not None:
        parts.append(f"{workload.draft} drafting")
    for name, value in workload.runtime_options.items():
        parts.append(f"{name}={value}")
    if workload.task != "generate":
        method = f" by {workload.finetune_method}" if workload.finetune_method else ""
        parts.append(f"{workload.task}{method}")
    return parts


def _download_words(verdict: Verdict) -> str:
    """`4.4 GB to download in about 6 minutes, then it runs offline`, or that the files are here;
    empty where the size is not known.
    """
    here, needs = verdict.here, verdict.needs
    size_bytes = verdict.download_bytes
    if size_bytes == 0 or verdict.has("disk-nothing-missing"):
        where = f": {here.path}" if here is not None and size_bytes == 0 else ""
        # nothing of what is downloaded asks a server of its publisher
        offline = ", it runs offline" if verdict.can_run else ""
        return f"the files are here{where}{offline}"
    if size_bytes is None or needs is None:
        return ""
    offline = ", then it runs offline" if verdict.can_run else ""
    amount = units.between(
        units.decimal, *needs.download_range or (size_bytes, size_bytes)
    )
    if verdict.has("weights-yours"):
        return f"{amount} of weights, which you must have{offline}"
    if here is not None and here.size_bytes and here.missing_bytes:
        amount += f" of {units.decimal(here.size_bytes + here.missing_bytes)}"
    seconds = verdict.download_seconds
    wait = "" if seconds is None else f" in about {units.duration(seconds)}"
    return f"{amount} to download{wait}{offline}"


def first_way(setup: Sequence[str]) -> list[str]:
    """The lines without other ways to install the program.

    Another way begins with `# or`; where that line ends in a colon the next one is what to type.
    """
    shown: list[str] = []
    is_typed_for_another_way = False
    for text in setup:
        is_another_way = text.startswith("# or ")
        if not is_another_way and not is_typed_for_another_way:
            shown.append(text)
        is_typed_for_another_way = is_another_way and text.endswith(":")
    return shown
