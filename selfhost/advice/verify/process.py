"""A running process as a run: its command line tells the options, the system its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.errors import SelfhostError
from ...core.files import Unreadable, status_of
from ...machine.reader import process
from .formats.words import whole
from .run import ALL_MEMORY, EVERYTHING_ELSE, MODEL_FILE, Run, SeenMemory

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...machine.record import Process

# what each option is called by llama.cpp (common/arg.cpp) and by Ollama's runner
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "model": ("-m", "--model"),
    "context": ("-c", "--ctx-size"),
    "parallel": ("-np", "--parallel"),
    "layers": ("-ngl", "--gpu-layers", "--n-gpu-layers"),
    "experts": ("-ncmoe", "--n-cpu-moe"),
    "key_type": ("-ctk", "--cache-type-k"),
    "value_type": ("-ctv", "--cache-type-v"),
    "threads": ("-t", "--threads"),
    "published": ("-hf", "-hfr", "--hf-repo"),
    "micro_batch": ("-ub", "--ubatch-size"),
    "draft": ("-md", "--model-draft", "--spec-draft-model", "-hfd", "-hfrd", "--hf-repo-draft",
              "--spec-draft-hf"),
}  # fmt: skip
_WITHOUT_VALUE: Mapping[str, tuple[str, ...]] = {
    "unified": ("-kvu", "--kv-unified"),
    "all_experts": ("-cmoe", "--cpu-moe"),
}


def run_of_process(number: str) -> Run:
    """What the process of that id shows. Raises `SelfhostError` where it cannot be read, or holds
    no model file.
    """
    seen = process(number)
    if seen is None:
        raise SelfhostError(
            f"process {number} cannot be read: there is none, it is not yours, or this is not"
            " Linux",
            remedy="give the id of a running llama-server of your account, or its log",
        )
    options = options_of(seen.words)
    file = seen.model_file or options.get("model")
    if file is None and "published" not in options:
        raise SelfhostError(
            f"process {number} has no GGUF file open and names none with -m",
            remedy="give the id of the process that loaded the model, or its log",
        )
    return _run(seen, options, file)


def options_of(words: Sequence[str]) -> dict[str, str]:
    """The options of a command line that bear on memory and pace; the last of each counts."""
    names = {flag: name for name, flags in _OPTIONS.items() for flag in flags}
    switches = {flag: name for name, flags in _WITHOUT_VALUE.items() for flag in flags}
    options: dict[str, str] = {}
    waiting: str | None = None
    for word in words[1:]:
        flag, sign, value = word.partition("=")
        if waiting is not None:
            options[waiting], waiting = word, None
        elif flag in switches:
            options[switches[flag]] = ""
        elif flag in names and sign:
            options[names[flag]] = value
        else:
            waiting = names.get(flag)
    return options


def _run(seen: Process, options: Mapping[str, str], file: str | None) -> Run:
    numbers = {key: whole(value) for key, value in options.items()}
    # -c is for all sequences together; without a number of them one cache serves all
    context, parallel = numbers.get("context") or None, numbers.get("parallel") or None
    if parallel is None or "unified" in options:
        parallel = 1
    elif context is not None:
        context //= parallel
    key, value = options.get("key_type", "f16"), options.get("value_type", "f16")
    return Run(
        tool="process",
        # a word of the command line of Ollama's runner
        runtime="ollama" if "runner" in seen.words[1:3] else "llama.cpp",
        # a file that was renamed or deleted since is mapped still
        file=None if file is None else file.removesuffix(" (deleted)"),
        name=options.get("published"),
        file_bytes=_size_of(file),
        context_tokens=context,
        parallel=parallel,
        kv_cache_type=key if key == value else None,
        threads=numbers.get("threads") or None,
        on_processor=True if numbers.get("layers") == 0 else None,
        gpu_layers=numbers.get("layers"),
        experts_in_ram=numbers.get("experts") or None,
        all_experts_in_ram="all_experts" in options,
        holds_draft="draft" in options,
        batch_tokens=numbers.get("micro_batch") or None,
        memory=_memory(seen),
        notes=("Part of it is swapped out, and counted as memory.",) if seen.swapped_bytes else (),
    )


def _size_of(file: str | None) -> int | None:
    try:
        return None if file is None else status_of(file).st_size
    except Unreadable:
        return None


def _memory(seen: Process) -> tuple[SeenMemory, ...]:
    """Pages of the model's file apart, where it is mapped."""
    everything = seen.anonymous_bytes + seen.file_bytes + seen.swapped_bytes
    whole_process = SeenMemory(term=ALL_MEMORY, bytes=everything)
    if seen.model_file is None:
        return (whole_process,)
    return (
        SeenMemory(term=MODEL_FILE, bytes=seen.model_bytes),
        SeenMemory(term=EVERYTHING_ELSE, bytes=everything - seen.model_bytes),
        whole_process,
    )
