"""How large the container or service of a model must be: what it cannot give back, what it grows
to, the page cache it wants for its pace, and the option that bounds each growth.

The rule was compared with llama-server in control groups: `tests/truth/llamacpp_groups.json`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import Service
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core import units
from ..core.quoting import shell_word, shell_words
from ..core.records import Record
from ..core.tables import refusal, sentences, shipped_table
from ..core.templates import fill
from ..core.workload import Workload
from ..judge.checks.space import bytes_to_store
from ..judge.defaults import smallest_of_list, takes_first_of_list
from ..judge.equal_parts import smallest_device_bytes
from ..judge.question import ask
from ..judge.record import Outcome, Question, Report, Verdict
from ..machine.instruction_sets import instruction_sets
from ..machine.record import (
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    PURPOSES,
    Accelerator,
    Disk,
    Machine,
)
from ..needs.records import How, MemoryNeed, Needs
from .launch import bytes_worth_bounding
from .understood import judged_for, understand
from .verdicts import check_with

# memory that maps memory: an entry of 8 bytes for each page of 4,096 (x86-64 and arm64; arch/x86 of
# Linux, pgtable_64_types.h)
_PAGE_BYTES, _PAGE_ENTRY_BYTES = 4096, 8
# where a container has a file of one's own, and where on its host it is put
MODELS_FOLDER, OWN_FOLDER = "/models", "./models"
# of a download in bytes a second, where none was stated: 40 Mbit/s (assumed)
_ASSUMED_BYTES_PER_SECOND = 5_000_000
_SMALLEST = (
    "The smallest size without a GPU; for the best size of a "
    "node, add --set memory=SIZE or --gpu."
)
# a runtime without `[service]`
_NO_SERVICE = Service(image="", program="", port=0, health="", store="", source="")
_MEMORIES = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")


class Growth(Record):
    """What a server may come to hold beside its request. `bytes` at most, with `bound`, the option
    or environment variable that holds it there, None where nothing does. `unbound_bytes` is what it
    grows to without; None where that is not known or nothing bounds it. The one named
    `uncertainty` is by how much the request may be too low.
    """

    name: str
    bytes: int
    bound: str | None = None
    unbound_bytes: int | None = None
    why: str


class Held(Record):
    """The most that one accelerator holds; vendor and name are "" where none was named."""

    vendor: str
    name: str
    memory_bytes: int


class ContainerSize(Report):
    """What the container or service of one model takes, in bytes.

    `unreclaimable_bytes` cannot be taken back by the kernel (the likely figure). `page_cache_bytes`
    are the mapped weights that each token reads, and the program: reclaimable, but without them the
    pace collapses. Without the page cache in its limit llama-server was killed while its own memory
    was within the rest (`tests/truth/llamacpp_groups.json`): where nothing is left but what is in
    use, the kernel gives up. `image` is None where no publisher offers one. `arguments` go behind
    the image's own program: see `image_arguments` and `program`. `fetch` is the line that downloads
    the model once it runs, None where it does so by itself.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    runtime: RuntimeSpec
    needs: Needs
    unreclaimable_bytes: int
    page_cache_bytes: int
    growths: tuple[Growth, ...]
    accelerators: tuple[Held, ...]
    shared_memory_bytes: int
    image: str | None
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = {}
    fetch: str | None = None
    needs_login: bool = False
    notes: tuple[str, ...] = ()

    @property
    def image_arguments(self) -> tuple[str, ...]:
        """Those that the image takes, reachable from outside of the container."""
        service = self.runtime.service
        if service is None or not self.arguments:
            return ()
        first = service.program.split() if service.starts_nothing else ()
        return (*first, *self.arguments, *service.listen.split())

    @property
    def program(self) -> tuple[str, ...]:
        """The server and its arguments where no image is used."""
        service = self.runtime.service
        if service is None or not self.arguments:
            return tuple(self.runtime.command_lines.serve.split())
        return (*service.program.split(), *self.arguments)

    @property
    def files_are_yours(self) -> bool:
        """The command loads a file that you put into `/models`."""
        return any(word.startswith(MODELS_FOLDER) for word in self.arguments)

    @property
    def request_bytes(self) -> int:
        """What a scheduler must reserve for it to keep its pace: the page cache too."""
        return self.unreclaimable_bytes + self.page_cache_bytes

    @property
    def limit_bytes(self) -> int:
        """The request and all that it may grow to."""
        return self.request_bytes + sum(growth.bytes for growth in self.growths)

    @property
    def disk_bytes(self) -> int | None:
        """The most that the files may take, None where that is not known."""
        stored = bytes_to_store(self.needs, None)
        return stored.high if stored is not None else None

    @property
    def seconds_to_start(self) -> int:
        """Downloading at the stated pace, or the assumed one, and five minutes to load."""
        rate = self.workload.download_bytes_per_second or _ASSUMED_BYTES_PER_SECOND
        return 300 + (self.disk_bytes or 0) // rate


def node() -> Machine:
    """Where no machine is named: Linux on x86-64-v3 without an accelerator."""
    return Machine(
        name="a node",
        planning=True,
        system="linux",
        architecture="x86_64",
        instruction_sets=instruction_sets().assumed["x86_64"],
        accelerators=(),
        runtimes=(),
    )


def disks_of(free: int | None) -> tuple[Disk, ...]:
    """So many bytes for whatever a runtime stores."""
    return tuple(
        Disk(
            purpose=purpose,
            path="its disk",
            free_bytes=free,
            total_bytes=free,
            writable=True,
        )
        for purpose in PURPOSES
    )


def least_card(question: Question, memory_bytes: int, name: str) -> Accelerator:
    """The least accelerator of that size on which the runtime has kernels of the quantization."""
    runtime = question.runtime
    vendors = [rule.vendors[0] for rule in question.kernel_rules if rule.vendors]
    service = getattr(runtime, "service", None) or _NO_SERVICE
    capability = None
    if runtime is not None:
        capability = runtime.capability_under(question.kernel_rules)
    return Accelerator(
        vendor=next(iter(vendors), service.vendor or "unknown"),
        name=name,
        memory_total_bytes=memory_bytes,
        unified=False,
        compute_capability=capability,
    )


def fit_to_node(size: ContainerSize, stated: Machine) -> ContainerSize:
    """The size, with a note where the node's memory holds its request but not its limit.

    Raises `SelfhostError` where the memory or the disk that was stated of the node is too small;
    what was not stated bounds nothing.
    """
    memory = stated.memory_total_bytes
    free = max((disk.free_bytes or 0 for disk in stated.disks or ()), default=None)
    stored_size = bytes_to_store(size.needs, None)
    stored = stored_size.low if stored_size is not None else None
    if memory is not None and size.request_bytes > memory:
        figures = {
            "model": size.model.name,
            "given": memory,
            "takes": size.request_bytes,
        }
        figures["several"] = size.workload.parallel > 1
        raise refusal("sizes", "node-memory", **figures)
    if free is not None and stored is not None and stored > free:
        figures = {"model": size.model.name, "given": free, "takes": stored}
        raise refusal("sizes", "node-disk", **figures)
    if memory is None or size.limit_bytes <= memory:
        return size
    note = sentences(
        "sizes", "note", {"killed": True}, limit=size.limit_bytes, given=memory
    )
    return size.replace(notes=(*size.notes, *note))


def size_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    machine: Machine,
    *,
    prompt_cache_bytes: int | None = None,
) -> ContainerSize:
    """The size of a container on that machine. `prompt_cache_bytes` bounds what the server keeps of
    earlier prompts; None: one conversation of each user, at most what it keeps unless told.

    The type and program are those that `check` takes where they follow the machine and its memory
    or its accelerators are stated, else of pictures and video the smallest that needs no
    accelerator. Raises `SelfhostError` where what it takes is not known, and where it runs in no
    container.
    """
    # memory and disk enough for anything, and no model there: how much it takes is what is asked
    memory = dict.fromkeys(_MEMORIES, MAX_MEMORY_BYTES)
    disks = disks_of(MAX_DISK_BYTES)
    place = machine.replace(planning=True, disks=disks, models_present=(), **memory)
    # any pace will do: how fast it is says `check`
    workload = workload.replace(min_tokens_per_second=0)
    meant = understand(catalogue, model, workload, place)
    question = ask(meant.spec, meant.workload, catalogue, place, meant.files)
    states_size = machine.memory_total_bytes is not None
    states_memory = states_size or bool(machine.accelerators)
    follows_memory = bool(question.in_turn) and question.here is None and states_memory
    notes: tuple[str, ...] = ()
    if follows_memory or takes_first_of_list(question):
        stated = {name: getattr(machine, name) for name in _MEMORIES if states_size}
        if states_memory:
            taken = judged_for(
                catalogue, meant, place.replace(**stated)
            ).question.workload
        else:
            taken = smallest_of_list(question, catalogue)
            notes = (_SMALLEST,) if taken.quantization != workload.quantization else ()
        changed = workload.replace(
            runtime=taken.runtime, quantization=taken.quantization
        )
        meant = meant.replace(workload=changed)
        question = ask(meant.spec, meant.workload, catalogue, place, meant.files)
    if question.needs is not None and question.wants_gpu and not place.accelerators:
        # the smallest accelerator that holds it, where its runtime needs one
        card = least_card(
            question, smallest_device_bytes(question.needs, question.case), ""
        )
        place = place.replace(accelerators=(card,))
    verdict = check_with(catalogue, meant, workload, place)
    size = _size_of(verdict, prompt_cache_bytes)
    return size.replace(notes=(*size.notes, *notes))


def _size_of(verdict: Verdict, prompt_cache_bytes: int | None) -> ContainerSize:
    runtime, needs, memory = _sizable(verdict)
    service = runtime.service or _NO_SERVICE
    accelerators = _accelerators(memory, verdict.machine)
    host = [term for term in memory.terms if term.where == "host"]
    mapped = [term for term in host if service.maps_files and term.may_be_mapped]
    shared = service.shared_memory_bytes if len(accelerators) > 1 else 0
    page_cache = sum(term.bytes for term in mapped) + service.mapped_program_bytes
    libraries = service.accelerator_host_bytes if accelerators else 0
    unreclaimable = sum(term.bytes for term in host) - page_cache + libraries
    growths = list(_conversations(verdict, runtime, memory, prompt_cache_bytes))
    # how far the high ends lie above the likely figures, with what the limit of the publisher's own
    # example leaves above the program; none where all are exact
    spreads = [
        (term.high_bytes - term.bytes, term) for term in host if term not in mapped
    ]
    if more := sum(spread for spread, _ in spreads):
        more += max(0, service.host_limit_bytes - runtime.memory.overhead_high_bytes)
        _, most = max(spreads, key=lambda pair: (pair[0], pair[1].name, pair[1].how))
        name = most.name.replace("_", " ")
        growths.append(_growth("uncertainty", more, name=name, how=most.how))
    if shared:
        growths.append(_growth("shared_memory", shared, "/dev/shm"))
    # what the kernel itself holds for memory in use; a control group counts it
    held = unreclaimable + page_cache + sum(growth.bytes for growth in growths)
    pages = -(-(held + memory.evictable_bytes) // _PAGE_BYTES)
    growths.append(_growth("page_tables", pages * _PAGE_ENTRY_BYTES))
    arguments, environment, fetch = _to_start(verdict, runtime, growths)
    vendor = getattr(next(iter(accelerators), None), "vendor", "")
    # what the quantization costs, and that a card may not hold the most
    warning = verdict.quality.warning if verdict.quality is not None else None
    tight = [
        each.reason for each in verdict.findings if each.code == "accelerator-tight"
    ]
    # what its variables are for, where the command that is printed has them
    why_set = (
        service.environment_why if {*service.environment} <= {*environment} else ""
    )
    return ContainerSize(
        asked=verdict.asked,
        model=verdict.model,
        workload=verdict.workload,
        runtime=runtime,
        needs=needs,
        unreclaimable_bytes=unreclaimable,
        page_cache_bytes=page_cache,
        growths=tuple(growths),
        accelerators=accelerators,
        shared_memory_bytes=shared,
        image=service.images.get(vendor, service.image) or None,
        arguments=arguments,
        environment=environment,
        fetch=fetch,
        needs_login=verdict.has("weights-gated"),
        notes=(*verdict.understood_as, *filter(None, [warning, why_set]), *tight),
    )


def _sizable(verdict: Verdict) -> tuple[RuntimeSpec, Needs, MemoryNeed]:
    """What has a size; of a need that is stated whole nobody knows what a server gives back."""
    needs, memory, runtime = verdict.needs, verdict.memory, verdict.question.runtime
    figures: dict[str, object] = {"model": verdict.model.name, "asked": verdict.asked}
    if verdict.model.closed:
        raise refusal("sizes", "closed", **figures)
    unread = [
        each for each in getattr(needs, "unknown", ()) if each.fact.startswith("memory")
    ]
    if memory is None and unread:
        figures |= {"reason": unread[0].reason, "remedy": unread[0].remedy}
        raise refusal("sizes", "unknown", **figures)
    for finding in verdict.findings:
        if finding.outcome is Outcome.FAIL or finding.code == "accelerator-close":
            figures |= {"reason": finding.reason, "remedy": finding.remedy}
            raise refusal("sizes", "fails", **figures)
    if needs is None or memory is None:
        raise refusal(
            "sizes", "unknown", reason="its spec states no needs", remedy="", **figures
        )
    if runtime is None or all(term.how is How.STATED for term in memory.terms):
        raise refusal(
            "sizes", "whole", low=memory.low_bytes, high=memory.high_bytes, **figures
        )
    return runtime, needs, memory


def _accelerators(memory: MemoryNeed, machine: Machine) -> tuple[Held, ...]:
    held: Counter[str] = Counter()
    for term in memory.terms:
        held[term.where] += term.high_bytes
    return tuple(
        Held(
            vendor=card.vendor,
            name=card.name,
            memory_bytes=held[f"accelerator:{number}"],
        )
        for number, card in enumerate(machine.accelerators or ())
        if f"accelerator:{number}" in held
    )


def _growth(
    key: str,
    bytes: int,
    bound: str = "",
    unbound_bytes: int | None = None,
    **figures: object,
) -> Growth:
    words = shipped_table("sizes")["growth"][key]
    return Growth(
        name=words.get("name", key),
        bytes=bytes,
        bound=bound or None,
        unbound_bytes=unbound_bytes,
        why=fill(words["why"], figures),
    )


def _conversations(
    verdict: Verdict,
    runtime: RuntimeSpec,
    memory: MemoryNeed,
    prompt_cache_bytes: int | None,
) -> Iterator[Growth]:
    """What the server keeps to go on with: earlier prompts, and copies of each context, of which
    the command allows only those that are counted where more would matter.
    """
    service = runtime.service or _NO_SERVICE
    parallel = verdict.workload.parallel
    generates = verdict.model.modality in GENERATING
    counted = runtime.memory.context_checkpoints
    copies = (
        counted
        if bytes_worth_bounding(verdict, runtime)
        else runtime.memory.kept_checkpoints
    )
    # of the copies that are not counted, and of those that are allowed
    more_bytes = kept_bytes = 0
    if generates:
        more_bytes = need.more_in_conversation(verdict.model, runtime, verdict.workload)
    if more_bytes:
        kept_bytes = copies * more_bytes // (runtime.memory.kept_checkpoints - counted)
    states = [
        term for term in memory.terms if term.name in ("kv_cache", "recurrent_state")
    ]
    state_bytes = -(-sum(term.bytes for term in states) // parallel)
    most = service.prompt_cache_bytes
    # of texts to embed only those of idle sequences are kept, so none of one
    # (SERVER_TASK_TYPE_COMPLETION and cache_idle_slots of llama-server), and none is gone on with
    if most and state_bytes and (generates or parallel > 1):
        size = prompt_cache_bytes
        if size is None:
            size = min(state_bytes * parallel + kept_bytes, most) if generates else 0
        mib = -(-size // units.MIB)
        bound = fill(
            service.bounds.get("prompt_cache", ""), {"mib": mib}, keep_unknown=True
        )
        yield _growth("prompts", mib * units.MIB, bound, most)
    if more_bytes:
        bound = service.bounds.get(
            "checkpoints", ""
        ) or runtime.command_lines.options.get("checkpoints", "")
        bound = fill(bound, {"context_checkpoints": copies}, keep_unknown=True)
        allowed_bytes = more_bytes if copies > counted else 0
        yield _growth("checkpoints", allowed_bytes, bound, more_bytes)


def _to_start(
    verdict: Verdict, runtime: RuntimeSpec, growths: Sequence[Growth]
) -> tuple[tuple[str, ...], dict[str, str], str | None]:
    service = runtime.service
    if service is None:
        return (), {}, None
    (words, options), environment = (
        _words(verdict, runtime, service),
        dict(service.environment),
    )
    if not words and not runtime.command_lines.settings:
        # options without a model would serve another one
        return (), environment, None
    # a server with settings is told by its environment, and by another command what to load
    arguments = [] if runtime.command_lines.settings else list(words)
    for bound in (*options, *(each.bound or "" for each in growths)):
        option = bound.partition(" ")[0]
        if "=" in bound:
            environment |= dict(pair.split("=", 1) for pair in bound.split())
        elif (
            option.startswith("--")
            and not bound.endswith(" N")
            and option not in arguments
        ):
            arguments += bound.split()
    fetch = None
    if service.fetch and words:
        fetch = fill(service.fetch, {"name": shell_word(words[0])}, keep_unknown=True)
    return tuple(arguments), environment, fetch


def _words(
    verdict: Verdict, runtime: RuntimeSpec, service: Service
) -> tuple[list[str], list[str]]:
    """What stands behind the program where it loads the model, and the options beside that."""
    workload, count = verdict.workload, len(service.program.split())
    values = {
        "context_tokens": str(workload.context_tokens)
        if workload.context_tokens
        else None,
        "parallel": str(workload.parallel),
        "kv_cache_type": None
        if workload.kv_cache_type == "f16"
        else workload.kv_cache_type,
    }
    bounds = ("users", "share") if workload.parallel > 1 else ("share",)
    templates = [runtime.command_lines.settings.get(key, "") for key in values]
    templates += [service.bounds.get(key, "") for key in bounds]
    options = [fill(template, values, keep_unknown=True) for template in templates]
    # of a repository a file is named as it is there
    option = (
        runtime.command_lines.by_use.get("named", "")
        .partition(" {file_name}")[0]
        .rpartition(" ")[2]
    )
    for line in verdict.commands:
        _, program, rest = f" {line} ".partition(f" {service.program} ")
        if program:
            own = shell_words(rest)
            words = [
                f"{MODELS_FOLDER}/{word.rpartition('/')[2]}"
                if word.lower().endswith(".gguf") and previous != option
                else word
                for previous, word in zip(["", *own], own, strict=False)
            ]
            return words, options
    context = workload.context_tokens or 0
    values |= {
        "file": f"{MODELS_FOLDER}/{verdict.model.id}-{workload.quantization}.gguf",
        "total_context_tokens": str(context * workload.parallel),
    }
    command = fill(
        runtime.command_lines.by_use.get("file", ""), values, keep_unknown=True
    )
    return command.split()[count:], options
