"""One run of a model: what a log or a process tells of it, and which model it was of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from ...catalogue.index import Catalogue
from ...catalogue.names import AS_IT_IS, id_of, read
from ...core import units
from ...core.errors import SelfhostError, UnknownModelError
from ...core.files import Unreadable, can_be_passed_on, status_of
from ...core.records import Record
from ...core.tables import filled, shipped_table
from ...machine.reader import process
from ...machine.record import Process

# the program itself, of which no term of the needs is predicted alone
MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY = "model_file", "everything_else", "total"
OF_PROCESS = (MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY)
HOST, ACCELERATORS = "host", "accelerators"
# more layers than any model has
_ALL_LAYERS = 9999
# of a text model: a converter may leave out layers that predict further tokens, which are 14 of the
# 685 billion parameters of DeepSeek-V3 (its model card); what differs by more is another (assumed)
_OTHER_COUNT = 0.05
# `.gguf`, with the number of a part before it
_NUMBERED = re.compile(r"(?:-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)
_SCALES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SCALES |= {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,4})?) ?([KMGT]iB|[KMBT])?(?![\w.])")


class SeenPace(Record):
    """Tokens per second that a run reached: `kind` is decode or prompt. `tokens` were timed, of
    several requests on average, with `depth_tokens` in the context on average (of a prompt: before
    it); either is None where the run does not tell. `sequences` decoded at once, all together at
    that pace. `drafted`: steps that give several tokens are among them. `shared`: others were
    answered at the same time.
    """

    kind: str
    tokens_per_second: float
    tokens: int | None = None
    depth_tokens: int | None = None
    sequences: int = 1
    drafted: bool = False
    shared: bool = False


class SeenMemory(Record):
    """Bytes that a run took: `term` is one of the needs' terms or of `OF_PROCESS`; `where` is HOST
    or ACCELERATORS, all of them together. A log rounds to `rounded_bytes`.
    """

    term: str
    bytes: int
    where: str = HOST
    rounded_bytes: int = 0


class Run(Record):
    """One run of a model. None means that the log or the process does not tell.

    `file` and `name` are as the run wrote them: they find the model and go into no report.
    `parameters` may be rounded (`494.03 M`). `context_tokens` is per sequence. `states` are the
    sequences that share one cache, each with a recurrent state of its own. `experts_in_ram`: of so
    many of the first layers (`--n-cpu-moe`). `output_tokens` of a batch can have logits, and
    `batch_tokens` are computed at once (-ub). `gpu` is the name of hardware as the run wrote it,
    `backends` what its build computes with, `cards` how many accelerators held something.
    `holds_draft`: memory of the whole process is that of a model that drafts, too. `notes` are
    sentences about what the run does not tell.
    """

    tool: str
    runtime: str = "llama.cpp"
    version: str | None = None
    file: str | None = None
    name: str | None = None
    quantization: str | None = None
    parameters: int | None = None
    file_bytes: int | None = None
    context_tokens: int | None = None
    parallel: int | None = None
    states: int = 1
    kv_cache_type: str | None = None
    threads: int | None = None
    on_processor: bool | None = None
    gpu_layers: int | None = None
    experts_in_ram: int | None = None
    output_tokens: int | None = None
    batch_tokens: int | None = None
    gpu: str | None = None
    backends: tuple[str, ...] = ()
    cards: int = 0
    holds_draft: bool = False
    paces: tuple[SeenPace, ...] = ()
    memory: tuple[SeenMemory, ...] = ()
    notes: tuple[str, ...] = ()


def notes(holds: Mapping[str, object], **figures: object) -> tuple[str, ...]:
    """The sentences of `common/runs.toml` whose condition holds."""
    templates = shipped_table("runs")["note"]
    return tuple(filled(templates[key], figures) for key, value in holds.items() if value)


def amount(text: str | None) -> int | None:
    """`373.71 MiB` -> bytes, `494.03 M` -> 494,030,000, `8192`; None for another shape."""
    match = _AMOUNT.fullmatch((text or "").strip())
    return None if match is None else round(float(match[1]) * _SCALES.get(match[2], 1))


# ------------------------------------------------------------------ a process


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
    options = dict(_options(seen))
    file = seen.model_file or options.get("model")
    if file is not None or "published" in options:
        return _of_llama_cpp(seen, options, file)
    if os.path.basename(seen.words[0] if seen.words else "").startswith("python"):
        return Run(tool="process", runtime="transformers", memory=_memory(seen))
    raise SelfhostError(
        f"process {number} has no GGUF file open and names none with -m, and is not Python",
        remedy="give the id of the process that loaded the model, or its log",
    )


def _options(seen: Process) -> Iterator[tuple[str, str]]:
    """The options of a command line that bear on memory and pace; the last of each counts."""
    table = shipped_table("runs")
    names = {flag: name for name, flags in table["options"].items() for flag in flags}
    waiting: str | None = None
    for word in seen.words[1:]:
        flag, sign, value = word.partition("=")
        if waiting is not None:
            yield waiting, word
            waiting = None
        elif flag in table["switches"]:
            yield table["switches"][flag], ""
        elif flag in names and sign:
            yield names[flag], value
        else:
            waiting = names.get(flag)


def _of_llama_cpp(seen: Process, options: Mapping[str, str], file: str | None) -> Run:
    # an option of 0 is one that was not given, but of layers
    numbers = {key: amount(value) or None for key, value in options.items()}
    # -c is for all sequences together; without a number of them one cache serves all
    parallel = 1 if "unified" in options else numbers.get("parallel") or 1
    context, keys = numbers.get("context"), options.get("keys", "f16")
    try:
        size = None if file is None else status_of(file).st_size
    except Unreadable:
        size = None
    return Run(
        tool="process",
        # a word of the command line of Ollama's runner
        runtime="ollama" if "runner" in seen.words[1:3] else "llama.cpp",
        name=options.get("published"),
        # one that was renamed or deleted since is mapped still
        file=file and file.removesuffix(" (deleted)"),
        file_bytes=size,
        context_tokens=context and context // parallel,
        parallel=parallel,
        kv_cache_type=keys if keys == options.get("values", "f16") else None,
        threads=numbers.get("threads"),
        on_processor=True if options.get("layers") == "0" else None,
        gpu_layers=amount(options.get("layers")),
        experts_in_ram=_ALL_LAYERS if "all_experts" in options else numbers.get("experts"),
        holds_draft="draft" in options,
        batch_tokens=numbers.get("batch"),
        memory=_memory(seen),
    )


def _memory(seen: Process) -> tuple[SeenMemory, ...]:
    """Pages of the model's file apart, where it is mapped; what is swapped out counts."""
    everything = seen.anonymous_bytes + seen.file_bytes + seen.swapped_bytes
    sizes = {ALL_MEMORY: everything}
    if seen.model_file is not None:
        rest = everything - seen.model_bytes
        sizes = {MODEL_FILE: seen.model_bytes, EVERYTHING_ELSE: rest, **sizes}
    return tuple(SeenMemory(term=term, bytes=size) for term, size in sizes.items())


# ------------------------------------------------------------------ its model


class Identity(Record):
    """What to judge: a name of the catalogue, or the path of the file itself. `by` is typed, file,
    file-name or name. `tells_quantization`: the name states one, closer than the run's own word,
    which calls UD-Q4_K_XL as Q4_K_M.
    """

    model: str | os.PathLike[str]
    by: str
    tells_quantization: bool = False


def identify(run: Run, catalogue: Catalogue, typed: str | None) -> Identity:
    """The model of a run, by what was typed, its file or its own name. Raises `UnknownModelError`
    where nothing tells it, and `SelfhostError` where the run had many more or fewer parameters:
    no figure of it can be compared.
    """
    from pathlib import Path

    file = run.file or ""
    is_file = file.lower().endswith(".gguf") and can_be_passed_on(file) and os.path.isfile(file)
    if typed is None and is_file:
        return Identity(model=Path(file), by="file", tells_quantization=True)
    by, word = ("typed", typed) if typed is not None else _name_of(run, catalogue)
    spec_id = id_of(word, catalogue)
    if spec_id is not None and not _has_as_many(run, catalogue, spec_id):
        raise SelfhostError(
            f"the run loaded another model than {spec_id}: it had"
            f" {units.count(run.parameters or 0)} parameters",
            remedy="name the one that it loaded, --model NAME, or --model ./model.gguf",
        )
    # what a model calls itself may be the precision that it was made from
    candidate = None if by == "name" else read(word, AS_IT_IS, catalogue)
    states = candidate is not None and candidate.quantization is not None
    return Identity(model=word, by=by, tells_quantization=states or word.lower().endswith(".gguf"))


def _name_of(run: Run, catalogue: Catalogue) -> tuple[str, str]:
    """The name of a model in the name of the run's file, else its own, and which of them it is."""
    base = _NUMBERED.sub("", (run.file or "").replace("\\", "/").rpartition("/")[2])
    name = run.name or ""
    # a server may be started with the folder of a download
    name = name.rpartition("/")[2] if name[:1] == "/" else name
    for by, word in (("file-name", base), ("name", name)):
        if id_of(word, catalogue) is not None:
            return by, word
    raise UnknownModelError(
        "the run does not tell which model it loaded, or no model that is known",
        remedy="name it: add --model NAME, or --model ./model.gguf",
    )


def _has_as_many(run: Run, catalogue: Catalogue, spec_id: str) -> bool:
    """Whether the run may have had the parameters of the model. A file may hold more, what predicts
    further tokens or a shared table twice, as that of Qwen2.5 0.5B (630 million of 494); an encoder
    of images lies in a file of its own.
    """
    outline = catalogue.outline(spec_id)
    stated = outline.parameters_total if outline is not None else None
    if outline is None or outline.modality != "text" or not stated or not run.parameters:
        return True
    spec = catalogue.spec(spec_id)
    more, inside = [0, spec.parameters.extra_in_files or 0], spec.architecture
    if inside is not None and inside.tied_embeddings:
        more.append((inside.vocabulary or 0) * inside.embedding_length)
    return any(abs(run.parameters / (stated + each) - 1) < _OTHER_COUNT for each in more)
