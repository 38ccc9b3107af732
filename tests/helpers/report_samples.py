"""Verdicts as `check` makes them, written out by hand, so that what a person reads can be tested without judging anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfhost.advice.listing import Listing, count_rows
from selfhost.catalogue.offers import Offer
from selfhost.catalogue.quality import Quality
from selfhost.catalogue.spec import (
    Architecture,
    Attention,
    Availability,
    FeedForward,
    License,
    ModelSpec,
    Openness,
    Parameters,
)
from selfhost.core.records import Unread
from selfhost.core.workload import Workload
from selfhost.judge.record import (
    Alternative,
    Finding,
    Outcome,
    PaceRange,
    Route,
    Size,
    Speed,
    Verdict,
)
from selfhost.machine.record import Accelerator, Disk, Machine, PresentModel, PresentRuntime
from selfhost.needs.records import CpuNeed, How, MemoryNeed, Needs, Term

GIB = 2**30
_INSTALL = "brew install llama.cpp"

LAPTOP = Machine(
    is_this_one=True,
    read_at="2026-11-20T08:30:00Z",
    scope="vm",
    system="linux",
    architecture="x86_64",
    memory_total_bytes=25_257_185_280,
    memory_limit_bytes=25_257_185_280,
    memory_available_bytes=24_551_292_928,
    swap_free_bytes=0,
    cpu_model="AMD EPYC 9V74 80-Core Processor",
    cpu_cores_usable=2.0,
    instruction_sets=(
        "sse4_2",
        "avx",
        "avx2",
        "f16c",
        "fma",
        "bmi2",
        "avx512f",
        "syscall",
        "rdtscp",
    ),
    disks=(
        Disk(
            purpose="llama.cpp",
            path="~/.cache/llama.cpp",
            free_bytes=181_000_000_000,
            total_bytes=260_000_000_000,
            filesystem="ext4",
            writable=True,
        ),
        Disk(
            purpose="ollama",
            path="/usr/share/ollama/.ollama/models",
            total_bytes=260_000_000_000,
            filesystem="ext4",
        ),
    ),
    models_present=(
        PresentModel(path="~/.cache/llama.cpp/tinyllama.Q4_K_M.gguf", size_bytes=668_788_096),
    ),
    accelerators=(),
    runtimes=(PresentRuntime(id="ollama", version="0.9.6", path="/usr/local/bin/ollama"),),
    sources={
        "memory_total_bytes": "/proc/meminfo, MemTotal",
        "memory_limit_bytes": "/proc/meminfo, MemTotal; no control group sets less",
        "memory_available_bytes": "/proc/meminfo, MemAvailable",
        "swap_free_bytes": "/proc/meminfo, SwapFree",
        "cpu_model": "/proc/cpuinfo, model name",
        "cpu_cores_usable": "sched_getaffinity; no quota in /sys/fs/cgroup/cpu.max",
        "instruction_sets": "/proc/cpuinfo, flags",
        "accelerators": "/sys/class/drm: no card with memory of its own",
        "disks": "statvfs",
    },
    unread=(
        Unread(
            fact="disks.ollama.free_bytes",
            reason="permission denied: /usr/share/ollama/.ollama/models",
            remedy="run as the user ollama, or give the free space with --set disk=100GB",
        ),
        Unread(
            fact="cpu_cores_physical",
            reason="/proc/cpuinfo lists no core id in this virtual machine",
        ),
        Unread(
            fact="memory_bandwidth_bytes_per_second",
            reason="it was not measured",
            remedy="add --measure (a few seconds)",
        ),
    ),
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

MISTRAL = ModelSpec(
    id="mistral-7b-instruct-v0.3",
    name="Mistral 7B Instruct v0.3",
    family="mistral",
    developer="Mistral AI",
    released="2024-05-22",
    aliases=("mistral-7b", "mistral:7b", "mistral-7b-instruct"),
    repository="mistralai/Mistral-7B-Instruct-v0.3",
    gated=False,
    license=License(
        id="Apache-2.0",
        commercial_use="yes",
        modification="yes",
        redistribution="yes",
        duties=("keep the license and the notices", "state the changes made"),
    ),
    openness=Openness(
        weights="published",
        inference_code="published",
        training_code="closed",
        training_data="closed",
        paper="partial",
    ),
    parameters=Parameters(total=7_248_023_552, active=7_248_023_552),
    architecture=Architecture(
        row="llama",
        runs_in_gguf=True,
        dtype="bfloat16",
        layers=32,
        embedding_length=4096,
        heads=32,
        vocabulary=32768,
        context_tokens=32768,
        attention=(
            Attention(
                layers=tuple(range(32)), heads=32, kv_heads=8, key_length=128, value_length=128
            ),
        ),
        feed_forward=(FeedForward(layers=tuple(range(32)), length=14336),),
    ),
    sources={
        "architecture": "config.json of the repository, 2024-05-22",
        "parameters": "safetensors index of the repository; equals the sum over the architecture",
        "license": "model card, 2024-05-22",
    },
    unknown={"released": "the announcement gives no hour"},
)

_SIZED = "listing of bartowski/Mistral-7B-Instruct-v0.3-GGUF"
_SMALL = Quality(
    quantization="Q4_K_M",
    cost="small",
    text="a small loss: 2.8 % more perplexity, measured with Llama 3 8B",
    loss_percent=2.8,
    measure="perplexity",
    model="Llama 3 8B",
    figure="perplexity +0.1755 on 6.2316",
    source="a scoreboard",
)


def sized(
    quantization: str,
    size: int,
    how: str,
    fits: bool | None,
    *,
    family: str = "gguf",
    runtime: str = "llama.cpp",
    source: str = _SIZED,
) -> Size:
    """One row of `show`, whose memory is a sixth more than its file."""
    quality = _SMALL if quantization == "Q4_K_M" else Quality(quantization=quantization)
    return Size(
        quantization=quantization,
        family=family,
        runtime=runtime,
        bytes=size,
        how=how,
        source=source,
        memory_bytes=size * 7 // 6,
        fits=fits,
        quality=quality,
    )


MISTRAL_SIZES = (
    sized("Q8_0", 7_702_565_088, "stated", None),
    sized("Q4_K_M", 4_372_812_000, "stated", True),
    sized("Q3_K_M", 3_522_941_152, "stated", True),
    sized(
        "bfloat16",
        14_497_337_600,
        "computed",
        False,
        family="safetensors",
        runtime="transformers",
        source="tensor types",
    ),
    sized(
        "awq",
        4_150_000_000,
        "computed",
        True,
        family="safetensors",
        runtime="vllm",
        source="AutoAWQ's layout",
    ),
)

LLAMA = ModelSpec(
    id="llama-3.3-70b-instruct",
    name="Llama 3.3 70B Instruct",
    family="llama-3.3",
    developer="Meta",
    license=License(
        id="LicenseRef-llama-3.3",
        commercial_use="conditional",
        conditions=("fewer than 700 million monthly users",),
    ),
    openness=Openness(weights="published"),
    parameters=Parameters(total=70_553_706_496, active=70_553_706_496),
)

GPT4O = ModelSpec(
    id="gpt-4o",
    name="GPT-4o",
    developer="OpenAI",
    modality="vision",
    openness=Openness(weights="closed"),
    availability=Availability(
        why="its weights have not been published",
        provider="OpenAI",
        retired="2026-10-23",
        successor="gpt-5",
        open_alternatives=("gpt-oss-20b", "gemma-3-12b-it"),
    ),
)

_CPU = CpuNeed(architectures=("x86_64", "aarch64"), instruction_sets={"x86_64": ("avx2",)})


def term(
    name: str,
    size: int,
    how: How,
    arithmetic: str,
    spread: int = 0,
    source: str = "llama.cpp b4589, GGUF tensor table",
) -> Term:
    """One term, `spread` bytes either way."""
    return Term(
        name=name,
        bytes=size,
        low_bytes=size - spread,
        high_bytes=size + spread,
        how=how,
        source=source,
        arithmetic=arithmetic,
    )


def needs(weights: int, cache: int) -> Needs:
    """Needs of a text model in llama.cpp; sizes in bytes."""
    terms = (
        term(
            "weights",
            weights,
            How.COMPUTED,
            "sum over 291 tensors at their stored types",
            2_000_000,
        ),
        term(
            "kv_cache",
            cache,
            How.EXACT,
            "2 × 32 layers × 8 KV heads × 128 × 2 bytes × 4,096 tokens",
        ),
        term(
            "compute",
            300_000_000,
            How.COMPUTED,
            "logits of 512 tokens × 32,768 × 4 bytes, and the widest layer",
            20_000_000,
        ),
        term(
            "runtime",
            60_000_000,
            How.MEASURED,
            "resident set after loading an empty model",
            5_000_000,
            "llama-server b4589, 8 runs",
        ),
    )
    return Needs(
        download_bytes=weights,
        disk_bytes=weights,
        download_how=How.STATED,
        download_source="listing of bartowski on Hugging Face",
        cpu=_CPU,
        memory=MemoryNeed(terms=terms),
    )


# of each check a code that no report treats in a way of its own; an unknown speed never decides
PLAIN_CODES = {
    "weights": "weights-published",
    "license": "license-allows",
    "openness": "openness-open",
    "context": "context-trained",
    "disk": "disk-fits",
    "memory": "memory-fits",
    "accelerator": "accelerator-fits",
    "cpu": "cpu-suits",
    "runtime": "runtime-present",
    "speed": "speed-not-known",
}


def finding(
    check: str, outcome: Outcome, reason: str, remedy: str | None = None, **more: Any
) -> Finding:
    """A finding with a code nobody reads here."""
    return Finding(
        check=check, outcome=outcome, code=PLAIN_CODES[check], reason=reason, remedy=remedy, **more
    )


def _to_install(reason: str) -> Finding:
    """A runtime that can be had here passes: to install it is the first step."""
    return Finding(
        check="runtime",
        outcome=Outcome.PASS,
        code="runtime-not-installed",
        reason=reason,
        remedy=f"run `{_INSTALL}`",
        needs="llama.cpp",
    )


def _workload(**more: Any) -> Workload:
    asked: dict[str, Any] = {
        "runtime": "llama.cpp",
        "format": "gguf",
        "quantization": "Q4_K_M",
        "context_tokens": 4096,
        "kv_cache_type": "f16",
        "min_tokens_per_second": 2.0,
    }
    return Workload(**(asked | more))


def offers() -> tuple[Offer, ...]:
    """Six offers, cheapest first."""
    rows = (
        ("nebius", "meta-llama/Llama-3.3-70B-Instruct", 131_072, 0.13, 0.4),
        ("deepinfra", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 131_072, 0.23, 0.4),
        ("cloudflare", "@cf/meta/llama-3.3-70b-instruct-fp8-fast", 24_000, 0.293, 2.253),
        ("groq", "llama-3.3-70b-versatile", None, 0.59, 0.79),
        ("cerebras", "llama-3.3-70b", 128_000, 0.85, 1.2),
        ("huggingface_fireworks-ai", "meta-llama/Llama-3.3-70B-Instruct", 131_072, 0.9, 0.9),
    )
    return tuple(
        Offer(
            provider=provider,
            model=model,
            model_id="llama-3.3-70b-instruct",
            context_tokens=context,
            input_usd_per_million_tokens=into,
            output_usd_per_million_tokens=out,
            as_of="2026-11-20",
            source="genai-prices 0.2.3",
        )
        for provider, model, context, into, out in rows
    )


def local() -> Verdict:
    """Runs, with the runtime still to install."""
    need = needs(4_372_812_000, 536_870_912)
    assert need.memory is not None
    return Verdict(
        asked="mistral-7b",
        model=MISTRAL,
        workload=_workload(),
        machine=LAPTOP,
        route=Route.LOCAL,
        needs=need,
        speed=Speed(
            decode=PaceRange(low=7.0, likely=8.5, high=10.0),
            prompt=None,
            how="from 38.0 GB/s of memory bandwidth, measured",
        ),
        findings=(
            finding(
                "weights",
                Outcome.PASS,
                "The weights are published.",
                needs="published",
                has="published",
            ),
            finding(
                "context",
                Outcome.PASS,
                "4,096 tokens is within the 32,768 tokens it was trained for.",
                needs=4096,
                has=32768,
                unit="tokens",
            ),
            finding(
                "disk",
                Outcome.PASS,
                "4.37 GB of the 181 GB free in ~/.cache/llama.cpp.",
                needs=need.disk_bytes,
                has=181_000_000_000,
                short=0,
                unit="bytes",
            ),
            finding(
                "memory",
                Outcome.PASS,
                "It needs 4.88 GiB to 4.93 GiB, and 22.9 GiB are available now.",
                needs=need.memory.high_bytes,
                has=24_551_292_928,
                short=0,
                unit="bytes",
                reserve_bytes=GIB,
            ),
            finding("accelerator", Outcome.PASS, "It runs without an accelerator."),
            finding(
                "cpu",
                Outcome.PASS,
                "x86_64 suits llama.cpp.",
                needs="x86_64, aarch64, avx2",
                has="x86_64, avx2, f16c, fma, bmi2",
            ),
            _to_install("llama.cpp was not found on this machine."),
            finding(
                "speed",
                Outcome.PASS,
                "Expect about 8.5 tokens/s (7.0 to 10).",
                needs=2.0,
                has=8.5,
                short=0,
                unit="tokens_per_second",
            ),
        ),
        setup=(_INSTALL,),
        commands=(
            "llama-server -hf bartowski/Mistral-7B-Instruct-v0.3-GGUF:Q4_K_M -c 4096",
            "ollama run mistral:7b",
        ),
        understood_as=(
            "mistral-7b is a family; this answer is for mistral-7b-instruct-v0.3 (what Ollama's bare tag mistral:7b loads).",
        ),
    )


def api() -> Verdict:
    """Too large for the memory and too slow; a smaller quantization and another model fit, and an API serves it."""
    need = needs(42_520_395_584, 1_342_177_280)
    assert need.memory is not None
    high = need.memory.high_bytes
    return Verdict(
        asked="llama-3.3",
        model=LLAMA,
        workload=_workload(),
        machine=LAPTOP,
        route=Route.API,
        needs=need,
        speed=Speed(decode=PaceRange(low=0.08, likely=0.6, high=1.6), prompt=None, how="a guess: 4.00 GB/s to 100 GB/s, not measured"),
        findings=(
            finding(
                "weights",
                Outcome.WARN,
                "The weights are published behind a login or a form.",
                "accept the terms at https://huggingface.co/meta-llama/Llama-3.3-70B-Instruct, then run `hf auth login`",
                needs="published",
                has="published",
            ),
            finding(
                "license",
                Outcome.WARN,
                "LicenseRef-llama-3.3 allows commercial use under conditions: fewer than 700 million monthly users.",
                "read it: https://www.llama.com/llama3_3/license/",
                has="LicenseRef-llama-3.3",
            ),
            finding("context", Outcome.PASS, "4,096 tokens is within 131,072 tokens.", needs=4096, has=131_072, unit="tokens"),
            finding(
                "disk", Outcome.PASS, "42.5 GB of the 181 GB free.", needs=need.disk_bytes, has=181_000_000_000, short=0, unit="bytes"
            ),
            finding(
                "memory",
                Outcome.FAIL,
                "It needs 41.1 GiB to 41.2 GiB of memory, and this machine can give 22.9 GiB at most.",
                "a smaller quantization, a shorter context or a smaller model needs less",
                needs=high,
                has=24_551_292_928,
                short=high - 24_551_292_928,
                unit="bytes",
                reserve_bytes=GIB,
            ),
            finding("accelerator", Outcome.PASS, "It runs without an accelerator."),
            finding("cpu", Outcome.PASS, "x86_64 suits llama.cpp.", needs="x86_64, aarch64, avx2", has="x86_64, avx2"),
            _to_install("llama.cpp was not found on this machine."),
            finding(
                "speed",
                Outcome.FAIL,
                "Expect about 0.6 tokens/s (0.08 to 1.6), below the 2 you need.",
                "a smaller model is faster; --min-speed 2 accepts this pace, 0 any",
                needs=2.0,
                has=0.6,
                short=0.4,
                unit="tokens_per_second",
            ),
        ),
        alternatives=(
            Alternative(
                id="llama-3.3-70b-instruct", name="Llama 3.3 70B Instruct", quantization="IQ2_XXS", context_tokens=2048,
                memory_high_bytes=19 * GIB + 600 * 2**20, decode_tokens_per_second=PaceRange(low=1.0, likely=2.1, high=4.0), download_bytes=19_100_000_000,
                why="same model, smaller: a loss that you will notice",
                command="selfhost check llama-3.3-70b-instruct --quant IQ2_XXS --context 2048",
            ),
            Alternative(
                id="qwen3-30b-a3b", name="Qwen3 30B A3B", quantization="Q4_K_M", context_tokens=4096,
                memory_high_bytes=17 * GIB + 900 * 2**20, decode_tokens_per_second=PaceRange(low=3.0, likely=6.8, high=12.0), download_bytes=18_600_000_000,
                license="Apache-2.0", why="from 2025-04, in Ollama's library",
                command="selfhost check qwen3-30b-a3b",
            ),
        ),
        api_offers=offers(),
        understood_as=("llama-3.3 is a family; this answer is for llama-3.3-70b-instruct (the only size).",),
    )  # fmt: skip


def closed() -> Verdict:
    """A model whose weights were never published, retired, served by its successor."""
    return Verdict(
        asked="chatgpt",
        model=GPT4O,
        workload=Workload(),
        machine=LAPTOP,
        route=Route.API,
        needs=None,
        speed=None,
        findings=(
            finding(
                "weights",
                Outcome.FAIL,
                "The weights cannot be downloaded: they have not been published.",
                needs="published",
                has="closed",
            ),
        ),
        alternatives=(
            Alternative(
                id="gpt-oss-20b",
                name="gpt-oss 20B",
                quantization="MXFP4",
                context_tokens=4096,
                why="by the same developer",
                command="selfhost check gpt-oss-20b --quant MXFP4",
            ),
        ),
        api_offers=(
            Offer(
                provider="OpenAI",
                model="gpt-5",
                model_id="gpt-5",
                stands_in=True,
                context_tokens=400_000,
                input_usd_per_million_tokens=1.25,
                output_usd_per_million_tokens=10.0,
                as_of="2026-11-20",
                source="litellm 1.109.1",
            ),
        ),
        notes=(
            "ChatGPT is a service; the model behind it is closed. GPT-4o was retired on 2026-10-23.",
        ),
    )


def neither() -> Verdict:
    """As `api`, but nothing may leave the machine."""
    verdict = api()
    return verdict.replace(
        route=Route.NEITHER,
        workload=verdict.workload.replace(private=True),
        api_offers=(),
        alternatives=(),
    )


def unknown() -> Verdict:
    """The folder where the file would land could not be read, on a machine with a name."""
    verdict = local()
    fault = finding(
        "disk",
        Outcome.UNKNOWN,
        "The free space could not be read: permission denied: /usr/share/ollama/.ollama/models.",
        "run as the user ollama, or give the free space with --set disk=100GB",
        needs=4_372_812_000,
        unit="bytes",
    )
    slow = finding(
        "speed",
        Outcome.UNKNOWN,
        "The speed is not known: the number of cores was not read.",
        needs=2.0,
        unit="tokens_per_second",
    )
    swapped = tuple(
        fault if found.check == "disk" else slow if found.check == "speed" else found
        for found in verdict.findings
    )
    return verdict.replace(
        route=Route.UNKNOWN,
        machine=WORKSTATION,
        findings=swapped,
        understood_as=(),
        setup=(),
        speed=Speed(decode=None, prompt=None, how="not known"),
        commands=(),
    )


def speech() -> Verdict:
    """A speech model: no tokens per second, no quantization; the files are here already."""
    spec = ModelSpec(
        id="whisper-small",
        name="Whisper small",
        modality="speech",
        license=License(id="MIT"),
        openness=Openness(weights="published"),
    )
    verdict = local()
    kept = tuple(found for found in verdict.findings if found.check in ("weights", "memory", "cpu"))
    here = finding(
        "disk", Outcome.PASS, "Nothing has to be downloaded.", needs=0, short=0, unit="bytes"
    )
    return verdict.replace(
        asked="whisper-small",
        model=spec,
        workload=Workload(runtime="whisper.cpp"),
        speed=None,
        findings=(*kept, here),
        setup=(),
        commands=("whisper-cli -m ~/.cache/whisper.cpp/ggml-small.bin -f audio.wav",),
        understood_as=(),
    )


def every() -> tuple[Verdict, ...]:
    """One of each route, and the odd ones."""
    return local(), api(), closed(), neither(), unknown(), speech()


def listed(verdicts: Sequence[Verdict], **fields: Any) -> Listing:
    """A list of these, all of which were judged."""
    return Listing(answers=tuple(verdicts), counts=count_rows(verdicts), **fields)
