"""How large the container or service of a model must be: what it cannot give back, what it grows
to, the page cache it wants for its pace, and the option that bounds each growth.

The rule was compared with llama-server in control groups: `tests/truth/llamacpp_groups.json`.
"""

from __future__ import annotations

import os
import shlex

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.paths import is_path
from ..catalogue.runtime import Service
from ..catalogue.spec import GENERATING, ModelSpec, RuntimeSpec
from ..core import units
from ..core.errors import SelfhostError
from ..core.records import Record, pattern
from ..core.workload import Workload
from ..machine.changes import ASSUMED_SETS
from ..machine.record import (
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    PURPOSES,
    Accelerator,
    Disk,
    Machine,
)
from ..needs.records import How, MemoryNeed, Needs, Term
from ..verdict.findings import ends_to_store
from ..verdict.gpus_alone import smallest_device_bytes
from ..verdict.question import architectures
from ..verdict.record import Outcome, Verdict
from .case import WORTH_BOUNDING

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# memory that maps memory: an entry of 8 bytes for each page of 4,096 (x86-64 and arm64; arch/x86 of
# Linux, pgtable_64_types.h)
_PAGE_BYTES, _PAGE_ENTRY_BYTES = 4096, 8
# a part of a model in several files, as llama-gguf-split names them
_PART_OF_SEVERAL = pattern(r"(.+)-\d{5}-of-(\d{5})\.gguf")
# where a container has a file of one's own, and where on its host one that is yet to be got is put
MODELS_FOLDER = "/models"
OWN_FOLDER = "./models"


def _loss(verdict: Verdict) -> tuple[str, ...]:
    warning = None if verdict.quality is None else verdict.quality.warning
    return () if warning is None else (warning,)


class Growth(Record):
    """What a server may come to hold beside its request. `bytes` at most, with `bound`, the option
    or environment variable that holds it there, "" where nothing does. `unbound_bytes` is what it
    grows to without; None where that is not known or nothing bounds it. The one named
    `uncertainty` is by how much the request may be too low; `is_assumed` where nobody measured it.
    """

    name: str
    bytes: int
    bound: str = ""
    unbound_bytes: int | None = None
    why: str
    arithmetic: str
    is_assumed: bool = False


class Held(Record):
    """What one accelerator holds: `memory_bytes` at most; `vendor` and `name` are of the
    card, "" where none was named.
    """

    vendor: str
    name: str
    memory_bytes: int


class Mount(Record):
    """A folder or file of the host, and where the container has it, to read only."""

    source: str
    target: str


class ContainerSize(Record):
    """What the container or service of one model takes, in bytes.

    `unreclaimable_bytes` cannot be taken back by the kernel (the likely figure). `page_cache_bytes`
    are the mapped weights that each token reads, and the program: reclaimable, but without them the
    pace collapses. `request_bytes` is the sum of both, `limit_bytes` that of the request and of all
    `growths`. Without the page cache in it llama-server was killed while its own memory was within
    the rest (`tests/truth/llamacpp_groups.json`): where nothing is left but what is in use, the
    kernel gives up. `passing_bytes` lie in the page cache after loading and may go.
    `accelerator_host_bytes` of those that cannot be reclaimed are the accelerator's libraries. One
    more user takes `per_user_bytes` of RAM beside a conversation in the prompt cache, and
    `per_user_accelerator_bytes` of all accelerators together; 0 where nothing is kept.
    `disk_bytes` is the most that the files may take, None where that is not known. `image` is None
    where no publisher offers one. `arguments` go behind the image's own program: see
    `image_arguments` and `program`. `fetch` is the line that downloads the model once it runs, ""
    where it does so by itself. `files` are the mounts of a model that lies on this machine.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    runtime: RuntimeSpec
    needs: Needs
    unreclaimable_bytes: int
    limit_bytes: int
    page_cache_bytes: int
    passing_bytes: int
    growths: tuple[Growth, ...]
    accelerator_host_bytes: int
    per_user_bytes: int
    per_user_accelerator_bytes: int
    disk_bytes: int | None
    accelerators: tuple[Held, ...]
    shared_memory_bytes: int
    image: str | None
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = {}
    fetch: str = ""
    needs_login: bool = False
    notes: tuple[str, ...] = ()
    files: tuple[Mount, ...] = ()

    def __repr__(self) -> str:
        request, limit = units.binary(self.request_bytes), units.binary(self.limit_bytes)
        return f"<ContainerSize {self.model.id}: request {request}, limit {limit} of RAM>"

    def to_json(self) -> dict[str, Any]:
        """The container's object in `selfhost size --format json`, as a dict."""
        # reports import this module, so that it cannot import them
        from importlib import import_module

        document: dict[str, Any] = import_module("selfhost.reports.size_json").container(self)
        return document

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of what to request and to limit."""
        from importlib import import_module

        table: str = import_module("selfhost.reports.notebook").of_size(self)
        return table

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
            return tuple(self.runtime.serve.split())
        return (*service.program.split(), *self.arguments)

    @property
    def files_are_yours(self) -> bool:
        """The command loads a file that you put into `MODELS_FOLDER`."""
        return any(word.startswith(MODELS_FOLDER) for word in self.arguments)

    @property
    def own_mounts(self) -> tuple[Mount, ...]:
        """Those of your own files: where they lie, or a folder that you put them into."""
        if not self.files_are_yours:
            return ()
        return self.files or (Mount(source=OWN_FOLDER, target=MODELS_FOLDER),)

    @property
    def request_bytes(self) -> int:
        """What a scheduler must reserve for it to keep its pace: the page cache too."""
        return self.unreclaimable_bytes + self.page_cache_bytes

    @property
    def disk_update_bytes(self) -> int | None:
        """Two copies: the new files are downloaded before the old ones go."""
        return None if self.disk_bytes is None else 2 * self.disk_bytes

    @property
    def seconds_to_start(self) -> int:
        """How long downloading and loading may take before a probe gives up: the download at
        `ASSUMED_RATE` where none was stated, and five minutes.
        """
        rate = self.workload.download_bytes_per_second or ASSUMED_RATE
        return 300 + (self.disk_bytes or 0) // rate


# of a download, where none was stated: 40 Mbit/s (assumed)
ASSUMED_RATE = 5_000_000


def node() -> Machine:
    """The machine that a container is sized for where none is named: Linux on x86-64-v3 without an
    accelerator.
    """
    return Machine(
        name="a node",
        planning=True,
        system="linux",
        architecture="x86_64",
        instruction_sets=ASSUMED_SETS["x86_64"],
        accelerators=(),
        runtimes=(),
    )


def without_bounds(machine: Machine) -> Machine:
    """The machine with memory and disk enough for anything, and no model on it: how much it takes
    is what is asked.
    """
    disks = [
        Disk(purpose=purpose, path="/", free_bytes=MAX_DISK_BYTES, writable=True)
        for purpose in PURPOSES
    ]
    return machine.replace(
        planning=True,
        memory_total_bytes=MAX_MEMORY_BYTES,
        memory_limit_bytes=MAX_MEMORY_BYTES,
        memory_available_bytes=MAX_MEMORY_BYTES,
        disks=tuple(disks),
        models_present=(),
    )


def with_card(verdict: Verdict, catalogue: Catalogue) -> Accelerator | None:
    """The smallest accelerator that holds the model, where its runtime needs one and the machine
    has none; None where nothing is missing.
    """
    runtime, needs = _runtime(verdict, catalogue), verdict.needs
    if runtime is None or needs is None or needs.memory is None or verdict.machine.accelerators:
        return None
    if not runtime.wants_gpu(verdict.workload.quantization):
        return None
    service, workload, model = runtime.service, verdict.workload, verdict.model
    cache_rule = runtime.cache_rule(
        workload.kv_cache_type, model.architecture, sees=model.modality == "vision"
    )
    return Accelerator(
        vendor=service.vendor if service is not None and service.vendor else "unknown",
        name="",
        memory_total_bytes=smallest_device_bytes(needs.memory),
        unified=False,
        compute_capability=runtime.capability_for(workload.quantization, cache_rule),
    )


def size_of(
    verdict: Verdict, catalogue: Catalogue, *, prompt_cache_bytes: int | None = None
) -> ContainerSize:
    """The size of a container for what was judged on `verdict.machine`. `prompt_cache_bytes` bounds
    what the server keeps of earlier prompts; None: one conversation of each user, at most what it
    keeps unless told.

    Raises `SelfhostError` where what the model takes is not known, and where it runs in no such
    container.
    """
    needs, runtime = verdict.needs, _runtime(verdict, catalogue)
    if needs is None or needs.memory is None:
        raise _unsized(verdict)
    _refuse_what_fails(verdict)
    if runtime is None or all(term.how is How.STATED for term in needs.memory.terms):
        raise _of_one_piece(verdict, needs.memory)
    service, memory = runtime.service, needs.memory
    mapped, kept = _mapped_and_kept(memory, service)
    server = _server(verdict, runtime, catalogue)
    growths = _growths(verdict, runtime, catalogue, server, prompt_cache_bytes)
    accelerators = _accelerators(memory, verdict.machine)
    shared = _shared_memory(service, len(accelerators))
    uncertain = _uncertainty(kept, _stated_room(runtime))
    growths += [each for each in (shared, uncertain) if each is not None]
    # of the program's own pages the mapped ones are page cache too
    code, libraries = _code_and_libraries(service, accelerators)
    page_cache = sum(term.bytes for term in mapped) + code
    unreclaimable = sum(term.bytes for term in kept) - code + libraries
    most = unreclaimable + page_cache + sum(each.bytes for each in growths)
    growths.append(_page_tables(most + memory.evictable_bytes))
    arguments, environment, fetch = _to_start(verdict, runtime, growths)
    # the most that it may take is more than the card surely has
    tight = [each.reason for each in verdict.findings if each.code == "accelerator-tight"]
    return ContainerSize(
        asked=verdict.asked,
        model=verdict.model,
        workload=verdict.workload,
        runtime=runtime,
        needs=needs,
        unreclaimable_bytes=unreclaimable,
        limit_bytes=most + growths[-1].bytes,
        page_cache_bytes=page_cache,
        passing_bytes=memory.evictable_bytes,
        growths=tuple(growths),
        accelerator_host_bytes=libraries,
        per_user_bytes=server.conversation_bytes - server.accelerator_state_bytes,
        per_user_accelerator_bytes=server.accelerator_state_bytes,
        disk_bytes=ends_to_store(needs, None)[1],
        accelerators=accelerators,
        shared_memory_bytes=0 if shared is None else shared.bytes,
        image=_image(service, accelerators),
        arguments=arguments,
        environment=environment,
        fetch=fetch,
        needs_login=any(finding.code == "weights-gated" for finding in verdict.findings),
        notes=(*verdict.understood_as, *_loss(verdict), *tight),
        files=_mounts(verdict.asked, arguments),
    )


def _code_and_libraries(service: Service | None, accelerators: Sequence[Held]) -> tuple[int, int]:
    """Bytes of the program's own pages that are mapped, and of what a driver takes in RAM."""
    if service is None:
        return 0, 0
    return service.mapped_program_bytes, service.accelerator_host_bytes if accelerators else 0


def _image(service: Service | None, accelerators: Sequence[Held]) -> str | None:
    """That of the accelerators' maker, else the usual one; None where none is known."""
    if service is None:
        return None
    vendor = accelerators[0].vendor if accelerators else ""
    return service.images.get(vendor, service.image)


def on_node(size: ContainerSize, stated: Machine) -> ContainerSize:
    """The size, with a note where the node's memory holds its request but not its limit, or its
    disk the least that the files may take but not the most.

    Raises `SelfhostError` where the memory or the disk that was stated of the node is too small;
    what was not stated bounds nothing.
    """
    name, memory = size.model.name, stated.memory_total_bytes
    free = max((disk.free_bytes or 0 for disk in stated.disks or ()), default=None)
    if memory is not None and size.request_bytes > memory:
        needed, given = units.binary_at_least(size.request_bytes), units.binary(memory)
        raise SelfhostError(
            f"{name} does not fit on a node of {given}: it requests {needed} of memory",
            remedy="name a smaller quantization with --quant, or fewer users",
        )
    least, _ = ends_to_store(size.needs, None)
    if free is not None and least is not None and least > free:
        needed, given = units.decimal(least), units.decimal(free)
        raise SelfhostError(
            f"{name} does not fit on a node with {given} of disk: its files take {needed}",
            remedy="name a smaller quantization with --quant",
        )
    notes = []
    if free is not None and size.disk_bytes is not None and size.disk_bytes > free:
        most, given = units.decimal(size.disk_bytes), units.decimal(free)
        notes.append(f"its files may take up to {most}, more than the {given} of disk")
    if memory is not None and size.limit_bytes > memory:
        most, given = units.binary_at_least(size.limit_bytes), units.binary(memory)
        notes.append(
            f"its limit of {most} is above the node's memory of {given}: it may be killed there"
        )
    return size.replace(notes=(*size.notes, *notes))


def _mapped_and_kept(memory: MemoryNeed, service: Service | None) -> tuple[list[Term], list[Term]]:
    """The terms in RAM: weights as page cache, and what cannot be reclaimed."""
    host = [term for term in memory.terms if term.where == "host"]
    is_mapped = service is not None and service.maps_files
    mapped = [term for term in host if is_mapped and term.may_be_mapped]
    return mapped, [term for term in host if term not in mapped]


def _runtime(verdict: Verdict, catalogue: Catalogue) -> RuntimeSpec | None:
    name = verdict.workload.runtime
    return None if name is None else catalogue.runtime(name)


def _unsized(verdict: Verdict) -> SelfhostError:
    """Why nothing can be said of its memory."""
    name = verdict.model.name
    if verdict.model.closed:
        return SelfhostError(
            f"{name} cannot be hosted: its weights were never published",
            remedy=f"see what is like it: selfhost check {verdict.asked}",
        )
    unknown = verdict.needs.unknown if verdict.needs is not None else ()
    why = next((entry for entry in unknown if entry.fact.startswith("memory")), None)
    if why is None:
        _refuse_what_fails(verdict)
    reason = "its spec states no needs" if why is None else why.reason
    return SelfhostError(
        f"the memory of {name} is not known: {reason}", remedy=why.remedy if why else None
    )


def _of_one_piece(verdict: Verdict, memory: MemoryNeed) -> SelfhostError:
    """Why a model whose memory is stated as a whole has no size: what a server cannot give back of
    it, and what it keeps of prompts, is in no source.
    """
    low, high = units.binary(memory.low_bytes), units.binary_at_least(memory.high_bytes)
    return SelfhostError(
        f"{verdict.model.name} has no size: only the whole of its memory is known, {low} to {high},"
        " and not what a server may give back of it",
        remedy=f"give its container {high} and measure: selfhost check {verdict.asked} -v",
    )


def _refuse_what_fails(verdict: Verdict) -> None:
    """`SelfhostError` with the first reason why it runs in no such container, however large, or may
    not.
    """
    for finding in verdict.findings:
        if finding.outcome is Outcome.FAIL or finding.code == "accelerator-close":
            raise SelfhostError(
                f"{verdict.model.name} has no container: {finding.reason}", remedy=finding.remedy
            )


def _generates(verdict: Verdict) -> bool:
    return verdict.model.modality in GENERATING


class _Server(Record):
    """What a server keeps of conversations. `state_bytes`: of one that fills its context, cache and
    states, `accelerator_state_bytes` of them on accelerators; `copy_bytes`: of a copy to go back
    to, of which it keeps `copies` for each. All 0 where it keeps nothing.
    """

    state_bytes: int
    accelerator_state_bytes: int
    copy_bytes: int
    copies: int

    @property
    def conversation_bytes(self) -> int:
        """One conversation as it is saved."""
        return self.state_bytes + self.copies * self.copy_bytes


def _server(verdict: Verdict, runtime: RuntimeSpec, catalogue: Catalogue) -> _Server:
    memory, parallel = _memory(verdict), verdict.workload.parallel
    states = [term for term in memory.terms if term.name in ("kv_cache", "recurrent_state")]
    kept = sum(term.bytes for term in states)
    on_accelerators = sum(term.bytes for term in states if term.where != "host")
    more = 0
    if _generates(verdict):
        more = need.more_in_conversation(
            verdict.model, runtime, verdict.workload, architectures(catalogue)
        )
    beyond = (runtime.kept_checkpoints - runtime.context_checkpoints) * parallel
    is_bounded = more >= WORTH_BOUNDING * memory.high_bytes
    return _Server(
        state_bytes=-(-kept // parallel),
        accelerator_state_bytes=-(-on_accelerators // parallel),
        copy_bytes=more // beyond if beyond > 0 else 0,
        copies=runtime.context_checkpoints if is_bounded else runtime.kept_checkpoints,
    )


def _growths(
    verdict: Verdict,
    runtime: RuntimeSpec,
    catalogue: Catalogue,
    server: _Server,
    prompt_cache_bytes: int | None,
) -> list[Growth]:
    """What a server comes to hold beyond its request."""
    service = runtime.service
    growths = []
    # of texts to embed only those of idle sequences are kept, so none of one
    # (SERVER_TASK_TYPE_COMPLETION and cache_idle_slots of llama-server)
    keeps_prompts = _generates(verdict) or verdict.workload.parallel > 1
    if service is not None and service.prompt_cache_bytes and server.state_bytes and keeps_prompts:
        growths.append(_prompt_cache(service, verdict, server, prompt_cache_bytes))
    if server.copy_bytes:
        growths.append(_copies(runtime, verdict.workload.parallel, server))
    outputs = need.freed_outputs(verdict.model, runtime, verdict.workload, architectures(catalogue))
    has_cache = any(growth.name == "prompt_cache" and growth.bytes for growth in growths)
    freed = _freed_buffers(service, outputs, keeps_prompts=has_cache)
    pictures = _pictures(verdict, runtime, catalogue)
    return growths + [each for each in (freed, pictures) if each is not None]


def _freed_buffers(
    service: Service | None, unbound_bytes: int, *, keeps_prompts: bool
) -> Growth | None:
    """Buffers that the program's allocator keeps, though they are freed: of shorter texts to embed,
    `unbound_bytes` of them at most, and of prompts that its prompt cache dropped. None where
    nothing bounds them, so that nobody measured them, and where there are none.
    """
    bound = service.bounds.get("freed_buffers", "") if service is not None else ""
    if not bound or not (unbound_bytes or keeps_prompts):
        return None
    return Growth(
        name="freed_buffers",
        bytes=0,
        bound=bound,
        unbound_bytes=unbound_bytes or None,
        why="buffers of other lengths, freed and not given back",
        arithmetic="0 bytes where large buffers are unmapped as they are freed",
    )


def _prompt_cache(
    service: Service, verdict: Verdict, server: _Server, wanted_bytes: int | None
) -> Growth:
    """Earlier prompts that a server keeps in RAM, whatever it runs on."""
    each, parallel = server.conversation_bytes, verdict.workload.parallel
    why = "earlier prompts, kept to go on with and never given back"
    if wanted_bytes is None and not _generates(verdict):
        size, line = 0, "0 bytes: a text that was embedded is not gone on with"
        why = "texts of idle users, kept and never read again"
    elif wanted_bytes is None:
        size = min(each * parallel, service.prompt_cache_bytes)
        line = f"{each:,} bytes a conversation × {parallel}, at most {service.prompt_cache_bytes:,}"
    else:
        size, line = wanted_bytes, f"{wanted_bytes:,} bytes, as you stated"
    mebibytes = -(-size // units.MIB)
    return Growth(
        name="prompt_cache",
        bytes=mebibytes * units.MIB,
        bound=service.bounds.get("prompt_cache", "").replace("{mib}", str(mebibytes)),
        unbound_bytes=service.prompt_cache_bytes,
        why=why,
        arithmetic=f"{line}; rounded up to {mebibytes:,} MiB",
    )


def _copies(runtime: RuntimeSpec, parallel: int, server: _Server) -> Growth:
    """Copies of conversations in use; `context_checkpoints` of each are part of the need."""
    service = runtime.service
    bound = service.bounds.get("checkpoints", "") if service is not None else ""
    bound = bound or runtime.options.get("checkpoints", "")
    unbound = (runtime.kept_checkpoints - runtime.context_checkpoints) * parallel
    beyond = (server.copies - runtime.context_checkpoints) * parallel
    return Growth(
        name="checkpoints",
        bytes=beyond * server.copy_bytes,
        bound=bound.replace("{context_checkpoints}", str(server.copies)),
        unbound_bytes=unbound * server.copy_bytes,
        why="copies of a conversation, kept to go back to",
        arithmetic=(
            f"{server.copies} - {runtime.context_checkpoints} copies × {parallel} users ×"
            f" {server.copy_bytes:,} bytes"
        ),
    )


def _pictures(verdict: Verdict, runtime: RuntimeSpec, catalogue: Catalogue) -> Growth | None:
    """What a picture takes that is larger than the one megapixel of the need; None where none
    takes more.
    """
    memory = _memory(verdict)
    counted = next((term for term in memory.terms if term.name == "projector_compute"), None)
    if counted is None or counted.where != "host":
        return None
    most, side = need.largest_picture(
        verdict.model, runtime, verdict.workload, architectures(catalogue)
    )
    if most <= counted.high_bytes:
        return None
    bounds = runtime.service.bounds if runtime.service is not None else {}
    return Growth(
        name="pictures",
        bytes=most - counted.high_bytes,
        bound=bounds.get("pictures", ""),
        unbound_bytes=most - counted.high_bytes,
        why=f"a picture of {side:,} × {side:,} points, where one megapixel is counted",
        arithmetic=f"{most:,} - {counted.high_bytes:,} bytes",
    )


def _stated_room(runtime: RuntimeSpec) -> int:
    """Bytes that the limit of the publisher's own example leaves above the most that is assumed of
    the program: a limit that is too low has the server killed, one that is too high costs nothing.
    """
    most = runtime.service.host_limit_bytes if runtime.service is not None else 0
    return max(0, most - runtime.overhead_high_bytes)


def _uncertainty(kept: list[Term], stated_room_bytes: int) -> Growth | None:
    """How far the high ends lie above the likely figures that the request is made of, and
    `_stated_room`; None where all are exact.
    """
    open_ended = [term for term in kept if term.high_bytes > term.bytes]
    if not open_ended:
        return None
    widest = max(open_ended, key=lambda term: term.high_bytes - term.bytes)
    name = widest.name.replace("_", " ")
    why = f"{name} up to {units.binary(widest.high_bytes)} ({widest.how})"
    sums = [
        f"({term.high_bytes:,} - {term.bytes:,}) bytes of {term.name.replace('_', ' ')}"
        for term in open_ended
    ]
    if stated_room_bytes:
        stated = units.binary(widest.high_bytes + stated_room_bytes)
        why = f"{name} ({widest.how}); {stated} in its publisher's example"
        sums.append(f"{stated_room_bytes:,} bytes to the limit of its publisher's example")
    return Growth(
        name="uncertainty",
        bytes=sum(term.high_bytes - term.bytes for term in open_ended) + stated_room_bytes,
        why=why,
        arithmetic=" + ".join(sums),
        is_assumed=any(term.how is How.ASSUMED for term in open_ended),
    )


def _page_tables(mapped_bytes: int) -> Growth:
    """What the kernel itself holds for memory in use; a control group counts it."""
    size = -(-mapped_bytes // _PAGE_BYTES) * _PAGE_ENTRY_BYTES
    return Growth(
        name="page_tables",
        bytes=size,
        why="of the memory in use; the limit counts them",
        arithmetic=f"{mapped_bytes:,} / {_PAGE_BYTES:,} × {_PAGE_ENTRY_BYTES} bytes",
    )


def _shared_memory(service: Service | None, number: int) -> Growth | None:
    """What the processes of several accelerators exchange; None of one."""
    if service is None or not service.shared_memory_bytes or number < 2:
        return None
    return Growth(
        name="shared_memory",
        bytes=service.shared_memory_bytes,
        bound="/dev/shm",
        why=f"what the processes of {number} accelerators exchange",
        arithmetic=f"{service.shared_memory_bytes:,} bytes as its publisher's example has",
    )


def _accelerators(memory: MemoryNeed, machine: Machine) -> tuple[Held, ...]:
    """What each accelerator holds, in their order."""
    held: dict[str, int] = {}
    for term in memory.terms:
        if term.where != "host":
            held[term.where] = held.get(term.where, 0) + term.high_bytes
    cards = machine.accelerators or ()
    numbered = [(int(where.partition(":")[2]), size) for where, size in sorted(held.items())]
    return tuple(
        Held(vendor=cards[number].vendor, name=cards[number].name, memory_bytes=size)
        for number, size in numbered
        if number < len(cards)
    )


# ------------------------------------------------------------------ how it is started


def _to_start(
    verdict: Verdict, runtime: RuntimeSpec, growths: list[Growth]
) -> tuple[tuple[str, ...], dict[str, str], str]:
    """Arguments behind the image's own program, environment, and the line that fetches the model
    once it runs.
    """
    service = runtime.service
    if service is None:
        return (), {}, ""
    words = _words(verdict, runtime, service)
    environment = dict(service.environment)
    if not words and not runtime.settings:
        # options without a model would serve another one
        return (), environment, ""
    arguments: list[str] = []
    if runtime.settings:
        # such a server is told by its environment, and by another command what to load
        _add_settings(environment, runtime, verdict.workload)
    else:
        arguments = list(words)
    for bound in (*(growth.bound for growth in growths), *_standing_bounds(service, verdict)):
        option = bound.partition(" ")[0]
        if "=" in bound:
            _set(environment, bound)
        elif option.startswith("--") and not bound.endswith(" N") and option not in arguments:
            arguments += bound.split()
    fetch = service.fetch.replace("{name}", words[0]) if service.fetch and words else ""
    return tuple(arguments), environment, fetch


def _standing_bounds(service: Service, verdict: Verdict) -> list[str]:
    """Options that bound what no growth stands for: the number of users, and the share of an
    accelerator.
    """
    parallel = verdict.workload.parallel
    users = service.bounds.get("users", "") if parallel > 1 else ""
    return [users.replace("{parallel}", str(parallel)), service.bounds.get("share", "")]


def _add_settings(environment: dict[str, str], runtime: RuntimeSpec, workload: Workload) -> None:
    """What the server is told by its environment of the context, the users and the cache."""
    values = {
        "context_tokens": workload.context_tokens,
        "parallel": workload.parallel,
        "kv_cache_type": None if workload.kv_cache_type == "f16" else workload.kv_cache_type,
    }
    for key, value in values.items():
        if value is not None and key in runtime.settings:
            _set(environment, runtime.settings[key].replace("{" + key + "}", str(value)))


def _set(environment: dict[str, str], text: str) -> None:
    """Adds each `NAME=value` of the text."""
    for pair in text.split():
        name, _, value = pair.partition("=")
        environment[name] = value


def _words(verdict: Verdict, runtime: RuntimeSpec, service: Service) -> list[str]:
    """What follows the program in the command that was judged, or in one of a file that you put
    into `MODELS_FOLDER` where no command is known.
    """
    words = words_behind(service.program, verdict.commands)
    if words is not None:
        return _in_container(words, runtime)
    return _words_of_a_file(verdict, runtime, service)


def words_behind(program: str, lines: Sequence[str]) -> list[str] | None:
    """What follows the program in the first of the lines that starts it; None where none does."""
    beginning = program.split()
    for line in lines:
        words = shlex.split(line)
        for start in range(len(words)):
            if words[start : start + len(beginning)] == beginning:
                return words[start + len(beginning) :]
    return None


def _words_of_a_file(verdict: Verdict, runtime: RuntimeSpec, service: Service) -> list[str]:
    """The same for a file that you put into `MODELS_FOLDER`; [] where the runtime takes none."""
    workload = verdict.workload
    path = f"{MODELS_FOLDER}/{verdict.model.id}"
    if not runtime.file_command:
        return []
    values = {
        "file": f"{path}-{workload.quantization}.gguf",
        "total_context_tokens": str((workload.context_tokens or 0) * workload.parallel),
        "parallel": str(workload.parallel),
    }
    text = runtime.file_command
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    return text.split()[len(service.program.split()) :]


def _in_container(words: list[str], runtime: RuntimeSpec) -> list[str]:
    """The words with files of this machine in `MODELS_FOLDER`; a file of a repository is named as
    it is there.
    """
    before, _, _ = runtime.named_command.partition(" {file_name}")
    of_repository = before.rpartition(" ")[2]
    return [
        f"{MODELS_FOLDER}/{word.rpartition('/')[2]}"
        if word.lower().endswith(".gguf") and previous != of_repository
        else word
        for previous, word in zip(["", *words], words, strict=False)
    ]


def _mounts(asked: str, arguments: Sequence[str]) -> tuple[Mount, ...]:
    """What brings a model of this machine to where the arguments name it; () for the name of a
    model. Of a link, as Hugging Face's cache has them, the folder would hold no file.
    """
    target = next((word for word in arguments if word.startswith(MODELS_FOLDER)), None)
    if target is None or not is_path(asked) or not os.path.exists(asked):
        return ()
    path = os.path.abspath(asked)
    if os.path.isdir(path):
        is_file = target.lower().endswith(".gguf")
        return (Mount(source=path, target=MODELS_FOLDER if is_file else target),)
    files = [path]
    if part := _PART_OF_SEVERAL.fullmatch(path):
        before, count = part[1], part[2]
        files = [f"{before}-{number:05}-of-{count}.gguf" for number in range(1, int(count) + 1)]
    if not any(map(os.path.islink, files)):
        return (Mount(source=os.path.dirname(path), target=MODELS_FOLDER),)
    return tuple(
        Mount(source=os.path.realpath(file), target=f"{MODELS_FOLDER}/{os.path.basename(file)}")
        for file in files
    )


def _memory(verdict: Verdict) -> MemoryNeed:
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    return verdict.needs.memory
