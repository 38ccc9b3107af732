"""A running process as a run: its command line tells the options, the system its memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ...core.errors import SelfhostError
from ...core.files import Unreadable, status_of
from ...machine.reader import process
from ...machine.record import Process
from .llama_log import amount
from .run import ALL_MEMORY, EVERYTHING_ELSE, MODEL_FILE, Run, SeenMemory

# what each option is called by llama.cpp (common/arg.cpp) and by Ollama's runner
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "model": ("-m", "--model"),
    "context": ("-c", "--ctx-size"),
    "parallel": ("-np", "--parallel"),
    "layers": ("-ngl", "--gpu-layers", "--n-gpu-layers"),
    "experts": ("-ncmoe", "--n-cpu-moe"),
    "keys": ("-ctk", "--cache-type-k"),
    "values": ("-ctv", "--cache-type-v"),
    "threads": ("-t", "--threads"),
    "published": ("-hf", "-hfr", "--hf-repo"),
    "batch": ("-ub", "--ubatch-size"),
    "draft": ("-md", "--model-draft", "--spec-draft-model", "-hfd", "-hfrd", "--hf-repo-draft"),
}
_WITHOUT_VALUE = {"-kvu": "unified", "--kv-unified": "unified"}
_WITHOUT_VALUE |= {"-cmoe": "all_experts", "--cpu-moe": "all_experts"}
# more layers than any model has
_ALL_LAYERS = 9999


def run_of_process(number: str) -> Run:
    """What the process of that id shows: of llama.cpp its options and its memory, of Python, which
    loads a model with Transformers, its memory alone. Raises `SelfhostError` where it cannot be
    read, or is of another program.
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
    if file is not None or "published" in options:
        return _of_llama_cpp(seen, options, file)
    if os.path.basename(seen.words[0] if seen.words else "").startswith("python"):
        return Run(tool="process", runtime="transformers", memory=_memory(seen))
    raise SelfhostError(
        f"process {number} has no GGUF file open and names none with -m, and is not Python",
        remedy="give the id of the process that loaded the model, or its log",
    )


def options_of(words: Sequence[str]) -> dict[str, str]:
    """The options of a command line that bear on memory and pace; the last of each counts."""
    names = {flag: name for name, flags in _OPTIONS.items() for flag in flags}
    options: dict[str, str] = {}
    waiting: str | None = None
    for word in words[1:]:
        flag, sign, value = word.partition("=")
        if waiting is not None:
            options[waiting], waiting = word, None
        elif flag in _WITHOUT_VALUE:
            options[_WITHOUT_VALUE[flag]] = ""
        elif flag in names and sign:
            options[names[flag]] = value
        else:
            waiting = names.get(flag)
    return options


def _of_llama_cpp(seen: Process, options: Mapping[str, str], file: str | None) -> Run:
    # an option of 0 is one that was not given, but of layers
    numbers = {key: amount(value) or None for key, value in options.items()}
    # -c is for all sequences together; without a number of them one cache serves all
    parallel = 1 if "unified" in options else numbers.get("parallel") or 1
    context, keys = numbers.get("context"), options.get("keys", "f16")
    run = Run(
        tool="process",
        # a word of the command line of Ollama's runner
        runtime="ollama" if "runner" in seen.words[1:3] else "llama.cpp",
        name=options.get("published"),
        context_tokens=context and context // parallel,
        parallel=parallel,
        kv_cache_type=keys if keys == options.get("values", "f16") else None,
        threads=numbers.get("threads"),
        on_processor=True if options.get("layers") == "0" else None,
        gpu_layers=amount(options.get("layers", "")),
        experts_in_ram=_ALL_LAYERS if "all_experts" in options else numbers.get("experts"),
        holds_draft="draft" in options,
        batch_tokens=numbers.get("batch"),
        memory=_memory(seen),
    )
    if file is None:
        return run
    # a file that was renamed or deleted since is mapped still
    run = run.replace(file=file.removesuffix(" (deleted)"))
    try:
        return run.replace(file_bytes=status_of(file).st_size)
    except Unreadable:
        return run


def _memory(seen: Process) -> tuple[SeenMemory, ...]:
    """Pages of the model's file apart, where it is mapped; what is swapped out counts."""
    everything = seen.anonymous_bytes + seen.file_bytes + seen.swapped_bytes
    whole = SeenMemory(term=ALL_MEMORY, bytes=everything)
    if seen.model_file is None:
        return (whole,)
    model = SeenMemory(term=MODEL_FILE, bytes=seen.model_bytes)
    rest = SeenMemory(term=EVERYTHING_ELSE, bytes=everything - seen.model_bytes)
    return model, rest, whole
