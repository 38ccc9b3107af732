"""The size of the container or service of a model: the memory that cannot be taken back, the page
cache that the pace rests on, the growths, and the option that bounds each growth.

What goes in: a model, a workload and the machine that the container is for. What comes out: a
`ContainerSize`. The rule was compared with llama-server in control groups:
`tests/truth/llamacpp_groups.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import Service
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core import units
from ..core.errors import SelfhostError
from ..core.quoting import shell_word, shell_words
from ..core.records import Record, Stated
from ..core.tables import refusal, sentences, shipped_record
from ..core.templates import fill
from ..core.workload import Workload
from ..judge.checks.space import bytes_to_store
from ..judge.choice import smallest_of_list, workload_where_users_wait
from ..judge.equal_parts import smallest_device_bytes
from ..judge.record import Outcome, Question, Report, Verdict
from ..judge.ways import has_picture_ways
from ..machine.instruction_sets import instruction_sets
from ..machine.record import (
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    PURPOSES,
    Accelerator,
    Disk,
    Machine,
)
from ..needs.records import How, MemoryNeed, Needs, Term, likely_bytes
from .launch import (
    Launch,
    bytes_worth_bounding,
    variables_hiding_cards,
    variables_stated,
)
from .notes import note_on_users
from .understood import (
    Model,
    Understood,
    judged_in_model_defaults,
    judged_on,
    understand,
)
from .verdicts import verdict_on

# words of a command line
Words = tuple[str, ...]
# the folder of the user's own files in the container, and the same folder on the host
MODELS_FOLDER = "/models"
OWN_FOLDER = "./models"
# the download speed in bytes a second where none was stated: 40 Mbit/s (assumed)
_ASSUMED_BYTES_PER_SECOND = 5_000_000
_SMALLEST = (
    "The smallest size without a GPU; for the best size of a "
    "node, add --set memory=SIZE or --gpu."
)
# a runtime without `[service]`
_NO_SERVICE = Service(image="", program="", port=0, health="", store="", source="")


class _GrowthWords(Stated):
    """Why a server grows, and the name of the growth where several kinds share it."""

    name: str | None = None
    why: str


class _SizesTable(Stated):
    """`specs/common/sizes.toml`. `growth`: by kind of growth; the others are sentences."""

    growth: Mapping[str, _GrowthWords]
    note: Mapping[str, str]
    refusal: Mapping[str, Mapping[str, str]]


class Growth(Record):
    """Memory that a server may come to hold in addition to its request.

    `bytes` is the most while `bound` is set, which is an option or an environment variable; `bound`
    is None where nothing bounds the growth. `unbound_bytes` is the most without the bound; None
    where that is not known or nothing bounds it. The growth named `uncertainty` is the amount by
    which the request may be too low.
    """

    name: str
    bytes: int
    bound: str | None = None
    unbound_bytes: int | None = None
    why: str


class CardMemory(Record):
    """The most that one accelerator holds; vendor and name are "" where none was named."""

    vendor: str
    name: str
    memory_bytes: int


class ContainerSize(Report):
    """The memory that the container or service of one model takes, in bytes.

    The kernel cannot take back `unreclaimable_bytes` (the likely figure). `page_cache_bytes` are
    the mapped weights that each token reads, and the program: the kernel may take these back, but
    then the pace collapses. The limit includes them: under a limit without them the kernel killed
    llama-server, although its own memory was within that limit
    (`tests/truth/llamacpp_groups.json`). `image` is None where no publisher offers an image.
    `arguments` go behind the image's own program: see `image_arguments` and `program`. `fetch` is
    the line that downloads the model once the server runs; None where the server downloads by
    itself.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    runtime: RuntimeSpec
    needs: Needs
    unreclaimable_bytes: int
    page_cache_bytes: int
    growths: tuple[Growth, ...]
    accelerators: tuple[CardMemory, ...]
    shared_memory_bytes: int
    image: str | None
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = {}
    fetch: str | None = None
    needs_login: bool = False
    notes: tuple[str, ...] = ()

    @property
    def image_arguments(self) -> Words:
        """The arguments that the image takes, so that the server is reached from outside."""
        if not self.arguments:
            return ()
        service = _service(self.runtime)
        arguments = (*self.arguments, *service.listen.split())
        if service.starts_nothing:
            return (*service.program.split(), *arguments)
        return arguments

    @property
    def program(self) -> Words:
        """The server and its arguments where no image is used."""
        if not self.arguments:
            return tuple(self.runtime.command_lines.serve.split())
        return (*_service(self.runtime).program.split(), *self.arguments)

    @property
    def files_are_yours(self) -> bool:
        """Whether the command loads a file that the user puts into `/models`."""
        return any(word.startswith(MODELS_FOLDER) for word in self.arguments)

    @property
    def request_bytes(self) -> int:
        """The memory that a scheduler must reserve for the server to keep its pace, with the page
        cache.
        """
        return self.unreclaimable_bytes + self.page_cache_bytes

    @property
    def limit_bytes(self) -> int:
        """The request and all growths."""
        return self.request_bytes + sum(growth.bytes for growth in self.growths)

    @property
    def disk_bytes(self) -> int | None:
        """The most that the files may take, None where that is not known."""
        stored = bytes_to_store(self.needs, None)
        return stored.most if stored is not None else None

    @property
    def seconds_to_start(self) -> int:
        """The seconds to download at the stated or the assumed pace, and five minutes to load."""
        rate = self.workload.download_bytes_per_second or _ASSUMED_BYTES_PER_SECOND
        return 300 + (self.disk_bytes or 0) // rate


def node() -> Machine:
    """The machine that is assumed where none is named: Linux on x86-64-v3 without an
    accelerator.
    """
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
    """The disks of a machine with `free` bytes for every purpose."""
    disks = []
    for purpose in PURPOSES:
        disk = Disk(
            purpose=purpose,
            path="its disk",
            free_bytes=free,
            total_bytes=free,
            writable=True,
        )
        disks.append(disk)
    return tuple(disks)


def least_card(
    question: Question,
    memory_bytes: int,
    name: str,
) -> Accelerator:
    """The least accelerator with that memory for which the runtime has kernels of the
    quantization.
    """
    runtime = question.runtime
    vendor = ""
    capability = None
    if runtime is not None:
        vendor = _service(runtime).vendor
        capability = runtime.capability_under(question.kernel_rules)
    for rule in question.kernel_rules:
        if rule.vendors:
            vendor = rule.vendors[0]
            break
    return Accelerator(
        vendor=vendor or "unknown",
        name=name,
        memory_total_bytes=memory_bytes,
        unified=False,
        compute_capability=capability,
    )


def _service(runtime: RuntimeSpec) -> Service:
    """The service of the runtime; an empty one where the runtime is no service."""
    return runtime.service or _NO_SERVICE


def fit_to_node(size: ContainerSize, stated: Machine) -> ContainerSize:
    """The size, with a note where the node's memory holds its request but not its limit.

    Raises `SelfhostError` where the memory or the disk of the node is too small. A size that is not
    known bounds nothing.
    """
    memory = stated.memory_total_bytes
    if memory is not None:
        _expect_room("node-memory", size, given=memory, takes=size.request_bytes)
    stored = bytes_to_store(size.needs, None)
    disks = stated.disks or ()
    free = [disk.free_bytes for disk in disks if disk.free_bytes is not None]
    if free and stored is not None:
        _expect_room("node-disk", size, given=max(free), takes=stored.least)
    limit = size.limit_bytes
    is_killed = memory is not None and limit > memory
    note = sentences("sizes", "note", {"killed": is_killed}, limit=limit, given=memory)
    return size.replace(notes=size.notes + note)


def _expect_room(
    key: str,
    size: ContainerSize,
    *,
    given: int,
    takes: int,
) -> None:
    """Raises `SelfhostError` where the node gives fewer bytes than the container takes."""
    if given >= takes:
        return
    raise refusal(
        "sizes",
        key,
        model=size.model.name,
        given=given,
        takes=takes,
        several=size.workload.parallel > 1,
    )


def size_with(
    catalogue: Catalogue,
    model: Model,
    workload: Workload,
    machine: Machine,
    *,
    prompt_cache_bytes: int | None = None,
) -> ContainerSize:
    """The size of a container on that machine. `prompt_cache_bytes` bounds the earlier prompts that
    the server keeps; None for one conversation of each user, at most the server's own bound.

    Where the memory or the accelerators of the machine are stated, the container has the type and
    program of `check`. Else pictures and video have the smallest type that needs no accelerator.
    Raises `SelfhostError` where the need is not known, and where the model runs in no container.
    """
    # with a disk for any model, and with no model on it
    machine = machine.replace(
        planning=True, disks=disks_of(MAX_DISK_BYTES), models_present=()
    )
    # with memory for any model, too
    vast = machine.replace(
        memory_total_bytes=MAX_MEMORY_BYTES,
        memory_limit_bytes=MAX_MEMORY_BYTES,
        memory_available_bytes=MAX_MEMORY_BYTES,
    )
    # any pace will do: `check` says how fast it is
    workload = workload.replace(min_tokens_per_second=0)
    meant, judged = judged_in_model_defaults(
        catalogue, understand(catalogue, model, workload), vast
    )
    question = judged.question
    notes: tuple[str, ...] = ()
    fitting = _fitting_workload(catalogue, meant, question, machine, vast)
    if fitting is not None:
        type_name = fitting.quantization
        if type_name != workload.quantization and not _states_memory(machine):
            notes = (_SMALLEST,)
        changed = workload.replace(runtime=fitting.runtime, quantization=type_name)
        meant = meant.replace(workload=changed)
        question = meant.question(catalogue, vast)
    if meant.files.is_tag:
        # the server of the container, and not Ollama, which `check` names for a tag
        stated = meant.workload.replace(runtime=question.workload.runtime)
        meant = meant.replace(workload=stated)
    if question.needs is not None and question.wants_gpu and not vast.accelerators:
        card_bytes = smallest_device_bytes(question.needs, question.case)
        card = least_card(question, card_bytes, "")
        vast = vast.replace(accelerators=(card,))
    verdict = verdict_on(catalogue, meant, vast)
    size = _sized(verdict, catalogue, prompt_cache_bytes).size()
    return size.replace(notes=size.notes + notes)


def _states_memory(machine: Machine) -> bool:
    """Whether the size of the machine's memory or its accelerators are stated."""
    if machine.accelerators:
        return True
    return machine.memory_total_bytes is not None


def _fitting_workload(
    catalogue: Catalogue,
    meant: Understood,
    question: Question,
    machine: Machine,
    vast: Machine,
) -> Workload | None:
    """The workload in the type and program that fit the machine; None where they follow no machine.
    `vast` is the machine with memory enough for anything.
    """
    has_pictures = has_picture_ways(question)
    if not _states_memory(machine):
        if has_pictures:
            return smallest_of_list(question, catalogue)
        return workload_where_users_wait(question, catalogue)
    # else the type follows the memory where none was asked for, and no file is here
    is_settled = question.here is not None or not question.in_turn
    if is_settled and not has_pictures:
        return None
    place = vast if machine.memory_total_bytes is None else machine
    return judged_on(catalogue, meant, place).judged.workload


# ---------------------------------------------------------------- what is sized


def _sized(
    verdict: Verdict,
    catalogue: Catalogue,
    prompt_cache_bytes: int | None,
) -> _Server:
    """The server of the verdict's model, whose size can be computed.

    Raises `SelfhostError` with the reason where there is no size. A need that is stated as one
    figure does not say how much memory a server gives back.
    """
    if verdict.model.closed:
        raise _refused(verdict, "closed")
    memory = verdict.memory
    unknown = () if verdict.needs is None else verdict.needs.unknown
    if memory is None:
        for unread in unknown:
            if unread.fact.startswith("memory"):
                why = unread.reason
                raise _refused(verdict, "unknown", reason=why, remedy=unread.remedy)
    for finding in verdict.findings:
        # these findings hold on a machine with memory for any model
        if finding.outcome is Outcome.FAIL or finding.code == "accelerator-close":
            why = finding.reason
            raise _refused(verdict, "fails", reason=why, remedy=finding.remedy)
    if memory is None:
        why = "its spec states no needs"
        raise _refused(verdict, "unknown", reason=why, remedy="")
    runtime = verdict.question.runtime
    is_stated_whole = all(term.how is How.STATED for term in memory.terms)
    if runtime is None or is_stated_whole:
        raise _refused(verdict, "whole", low=memory.low_bytes, high=memory.high_bytes)
    return _Server(
        judged=verdict,
        catalogue=catalogue,
        machine=verdict.machine,
        runtime=runtime,
        memory=memory,
        prompt_cache_bytes=prompt_cache_bytes,
    )


def _refused(
    verdict: Verdict,
    key: str,
    **figures: object,
) -> SelfhostError:
    """The error that a model has no size."""
    name = verdict.model.name
    return refusal("sizes", key, model=name, asked=verdict.asked, **figures)


class _Server(Launch):
    """The program of a verdict as a server, whose lines are filled as a `Launch` fills them.
    `prompt_cache_bytes`: as in `size_with`.
    """

    judged: Verdict
    memory: MemoryNeed
    prompt_cache_bytes: int | None

    @property
    def service(self) -> Service:
        """The way in which the program serves."""
        return _service(self.runtime)

    @property
    def generates(self) -> bool:
        """Whether the model writes text."""
        return self.spec.modality in GENERATING

    def size(self) -> ContainerSize:
        """The size of the container, computed from the terms of the need and the growths."""
        verdict = self.judged
        service = self.service
        accelerators = self.accelerators
        vendor = accelerators[0].vendor if accelerators else ""
        page_cache = service.mapped_program_bytes
        # all that the server holds in RAM, the page cache with it
        host_bytes = 0
        for term in verdict.placed.on_host.terms:
            host_bytes += term.bytes
            if self._is_mapped(term):
                page_cache += term.bytes
        if accelerators:
            host_bytes += service.accelerator_host_bytes
        return ContainerSize(
            asked=verdict.asked,
            model=verdict.model,
            workload=verdict.workload,
            runtime=self.runtime,
            needs=verdict.placed,
            unreclaimable_bytes=host_bytes - page_cache,
            page_cache_bytes=page_cache,
            growths=self.growths,
            accelerators=accelerators,
            shared_memory_bytes=self.shared_memory_bytes,
            image=service.images.get(vendor, service.image) or None,
            arguments=self.arguments,
            environment=self.environment,
            fetch=self.fetch,
            needs_login=verdict.has("weights-gated"),
            notes=tuple(self._notes()),
        )

    def _is_mapped(self, term: Term) -> bool:
        """Whether the term lies in the page cache, as the pages of a file."""
        return self.service.maps_files and term.may_be_mapped

    def _notes(self) -> Iterator[str]:
        """Yield the notes: how the name was understood, the users who wait, the loss of the
        quantization, the purpose of the variables of the command, and a warning where a card may
        not hold the high end of the need.
        """
        verdict = self.judged
        service = self.service
        yield from verdict.understood_as
        yield from note_on_users(verdict)
        warning = None if verdict.loss is None else verdict.loss.warning
        if warning is not None:
            yield warning
        has_variables = service.environment.keys() <= self.environment.keys()
        if has_variables and service.environment_why:
            yield service.environment_why
        for finding in verdict.findings:
            if finding.code == "accelerator-tight":
                yield finding.reason

    @cached_property
    def accelerators(self) -> tuple[CardMemory, ...]:
        """The accelerators that hold a part of the model, each with the high end of the bytes
        there.
        """
        high_bytes = {place.where: place.high_bytes for place in self.memory.places}
        accelerators = []
        for number, card in enumerate(self.cards):
            most = high_bytes.get(f"accelerator:{number}")
            if most is not None:
                used = CardMemory(vendor=card.vendor, name=card.name, memory_bytes=most)
                accelerators.append(used)
        return tuple(accelerators)

    # ------------------------------------------------------------ growths

    @cached_property
    def growths(self) -> tuple[Growth, ...]:
        """All that the server may come to hold in addition to its request."""
        growths = [*self._conversations(), *self._uncertainty()]
        shared_bytes = self.shared_memory_bytes
        if shared_bytes:
            growths.append(_growth("shared_memory", shared_bytes, "/dev/shm"))
        return tuple(growths)

    @property
    def shared_memory_bytes(self) -> int:
        """The shared memory through which processes on several accelerators talk."""
        return self.service.shared_memory_bytes if len(self.accelerators) > 1 else 0

    def _uncertainty(self) -> Iterator[Growth]:
        """Yield the sum by which the high ends of unmapped memory exceed the likely figures;
        nothing where all figures are exact. If the publisher's own example has a higher limit for
        the program, the difference is added.
        """
        terms = []
        for term in self.judged.placed.on_host.terms:
            if not self._is_mapped(term):
                terms.append(term)
        spread = sum(map(_spread, terms))
        if not spread:
            return
        overhead = self.runtime.memory.overhead_high_bytes
        spread += max(0, self.service.host_limit_bytes - overhead)
        widest = max(terms, key=_spread)
        name = widest.name.replace("_", " ")
        yield _growth("uncertainty", spread, name=name, how=widest.how)

    def _conversations(self) -> Iterator[Growth]:
        """Yield the memory that the server keeps to continue conversations: earlier prompts, and
        copies of each context that the need does not count.

        Where further copies would matter, the command allows only the copies that the need counts;
        else it allows all copies.
        """
        uncounted_bytes = 0
        if self.generates:
            uncounted_bytes = need.more_in_conversation(
                self.spec, self.runtime, self.workload
            )
        if not uncounted_bytes:
            yield from self._earlier_prompts(0)
            return
        # the number of copies that the need counts, and the number that the server keeps unless
        # told
        counted = self.runtime.memory.context_checkpoints
        kept = self.runtime.memory.kept_context_checkpoints
        is_bounded = bytes_worth_bounding(self) > 0
        allowed = counted if is_bounded else kept
        yield from self._earlier_prompts(allowed * uncounted_bytes // (kept - counted))
        option = self.lines.options.get("context_checkpoints", "")
        bound = self._bound("context_checkpoints", option, context_checkpoints=allowed)
        growth_bytes = 0 if is_bounded else uncounted_bytes
        yield _growth("checkpoints", growth_bytes, bound, uncounted_bytes)

    def _earlier_prompts(self, copies_bytes: int) -> Iterator[Growth]:
        """Yield the prompts that the server keeps for reuse, with the copies of their contexts.

        A server that embeds keeps the texts of idle sequences, but none if it has a single sequence
        (SERVER_TASK_TYPE_COMPLETION and cache_idle_slots of llama-server). Nobody continues such a
        text, so it gets no room unless the user asks for room.
        """
        most = self.service.prompt_cache_bytes
        all_bytes = likely_bytes(self.memory.terms, "kv_cache", "recurrent_state")
        parallel = self.workload.parallel
        if not most:
            return
        if not all_bytes:
            return
        if parallel == 1 and not self.generates:
            return
        size = self.prompt_cache_bytes
        if size is None:
            size = 0
            if self.generates:
                size = min(-(-all_bytes // parallel) * parallel + copies_bytes, most)
        mib = -(-size // units.MIB)
        bound = self._bound("prompt_cache", mib=mib)
        yield _growth("prompts", mib * units.MIB, bound, most)

    def _bound(
        self,
        key: str,
        option: str = "",
        **values: object,
    ) -> str:
        """The option that bounds a growth, with these values, where the service has none `option`;
        "" for neither.
        """
        return self.filled(self.service.bounds.get(key, option), values)

    # ------------------------------------------------------------ how it is started

    @cached_property
    def arguments(self) -> Words:
        """The arguments behind the program; () for a server that is set by its environment alone,
        where a later request names the model.
        """
        arguments = [] if self.lines.variables else list(self._words)
        for option in self._options:
            if "=" not in option and _is_missing(option, arguments):
                arguments += option.split()
        return tuple(arguments)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of the server."""
        if self.runtime.service is None:
            return {}
        environment = {**self.service.environment, **variables_hiding_cards(self)}
        for option in (*self._options, *variables_stated(self)):
            if "=" in option:
                for variable in option.split():
                    name, _, value = variable.partition("=")
                    environment[name] = value
        return environment

    @property
    def fetch(self) -> str | None:
        """The line that downloads the model once the server runs; None where it needs none."""
        if not self._words:
            return None
        if not self.service.fetch:
            return None
        return fill(self.service.fetch, {"name": shell_word(self._words[0])})

    @cached_property
    def _options(self) -> list[str]:
        """The settings of a server that reads these from its environment, the share of the memory
        that it takes, and what bounds the growths. An option with `=` is a variable or several. A
        setting that the program has no variable for is left out, as one that nobody stated.
        [] for a server whose line has no model: it would serve another one.
        """
        if not self.lines.variables and not self._words:
            return []
        stated: dict[str, None] = {}
        if self.workload.kv_cache_type == "f16":
            # the usual type is not set
            stated["kv_cache_type"] = None
        options = [self._bound("share")]
        for key in ("context_tokens", "parallel", "kv_cache_type", "flash_attention"):
            option = self.filled(self.lines.variables.get(key, ""), stated)
            options.append(option)
        for growth in self.growths:
            options.append(growth.bound or "")
        return options

    @cached_property
    def _words(self) -> list[str]:
        """The arguments of the program by which it loads the model; [] where it serves none."""
        if self.runtime.service is None:
            return []
        program = f" {self.service.program} "
        for line in self.judged.commands:
            _, found, rest = f" {line} ".partition(program)
            if found:
                return _with_own_files(shell_words(rest), self.runtime)
        # no printed command loads the model: the user puts a file of it into the folder
        name = f"{self.spec.id}-{self.quantization}.gguf"
        template = self.template("file")
        line = self.filled(template, {"file": f"{MODELS_FOLDER}/{name}"})
        return line.split()[len(program.split()) :]


def _growth(
    key: str,
    bytes: int,
    bound: str = "",
    unbound_bytes: int | None = None,
    **figures: object,
) -> Growth:
    """The growth of that kind, with the words of `specs/common/sizes.toml`."""
    words = shipped_record(_SizesTable, "sizes").growth[key]
    return Growth(
        name=words.name or key,
        bytes=bytes,
        bound=bound or None,
        unbound_bytes=unbound_bytes,
        why=fill(words.why, figures),
    )


def _spread(term: Term) -> int:
    """The bytes from the likely figure to the high end."""
    return term.high_bytes - term.bytes


def _is_missing(option: str, arguments: Sequence[str]) -> bool:
    """Whether the text is an option with a value, and the arguments do not have that option yet."""
    name, _, value = option.partition(" ")
    if not name.startswith("--") or value == "N":
        return False
    return name not in arguments


def _with_own_files(words: Sequence[str], runtime: RuntimeSpec) -> list[str]:
    """The words, in which each GGUF file of the user's lies in the container's folder. The name of
    a file in a repository stays.
    """
    named = runtime.command_lines.by_use.get("named", "")
    before_file, _, _ = named.partition(" {file_name}")
    option = before_file.split(" ")[-1]
    placed = []
    previous = ""
    for word in words:
        if word.lower().endswith(".gguf") and previous != option:
            _, _, name = word.rpartition("/")
            placed.append(f"{MODELS_FOLDER}/{name}")
        else:
            placed.append(word)
        previous = word
    return placed
