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
_OPTIONS: Mapping[str, str] = {
    "-m": "model", "--model": "model",
    "-c": "context", "--ctx-size": "context",
    "-np": "parallel", "--parallel": "parallel",
    "-ngl": "layers", "--gpu-layers": "layers", "--n-gpu-layers": "layers",
    "-ncmoe": "experts", "--n-cpu-moe": "experts",
    "-ctk": "key_type", "--cache-type-k": "key_type",
    "-ctv": "value_type", "--cache-type-v": "value_type",
    "-t": "threads", "--threads": "threads",
    "-hf": "published", "-hfr": "published", "--hf-repo": "published",
    "-ub": "micro_batch", "--ubatch-size": "micro_batch",
    "-md": "draft", "--model-draft": "draft", "--spec-draft-model": "draft",
    "-hfd": "draft", "-hfrd": "draft", "--hf-repo-draft": "draft", "--spec-draft-hf": "draft",
}  # fmt: skip
_WITHOUT_VALUE: Mapping[str, str] = {
    "--no-mmap": "unmapped", "-kvu": "unified", "--kv-unified": "unified",
    "-cmoe": "all_experts", "--cpu-moe": "all_experts",
}  # fmt: skip
_DEFAULT_MICRO_BATCH = 512


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
    options: dict[str, str] = {}
    waiting: str | None = None
    for word in words[1:]:
        flag, sign, value = word.partition("=")
        if waiting is not None:
            options[waiting], waiting = word, None
        elif flag in _WITHOUT_VALUE:
            options[_WITHOUT_VALUE[flag]] = ""
        elif flag in _OPTIONS and sign:
            options[_OPTIONS[flag]] = value
        else:
            waiting = _OPTIONS.get(flag)
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
    notes = []
    if numbers.get("micro_batch") not in (None, _DEFAULT_MICRO_BATCH):
        notes.append(
            "Its micro-batch (-ub) is not the default, for which the buffers are predicted."
        )
    if seen.swapped_bytes:
        notes.append("Part of it is swapped out, and counted as memory.")
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
        memory=_memory(seen),
        notes=tuple(notes),
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
