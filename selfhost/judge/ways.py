"""The ways in which a model can run: program, type, method and settings.

A `Way` is complete: `under` returns the workload that asks for it, so that needs, layouts and pace
follow from a way and a machine alone. The functions of this module list the ways of a question, the
preferred first: for text `servers`, `larger_types`, `usual_and_smaller` and `way_by_tag`, else
`training_ways` and `picture_ways`. What the user stated removes ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PICTURES
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.case import stored_type
from ..needs.quantization import BITS_PER_WEIGHT
from ..needs.weight_files import DTYPES
from .devices import places
from .record import NO_FILES, Question
from .table import (
    USUAL,
    FileRow,
    ProgramRow,
    names_of_type,
    program_row,
    table_of,
)

if TYPE_CHECKING:
    from .settings import RunSetting


class Way(Record):
    """One complete manner of running a model. A field of None keeps what the user stated, or the
    program's usual value.

    - `most_share`: of a type larger than the usual one, the largest share of the accelerators'
      memory that it may take.
    - `settings`: the settings that `kv_cache_type` and `runtime_options` ask for.
    - `is_other`: the program is not one that the machine's owner would try first.
    - `preference`: of pictures and training, the place of the way among all of its kind where
      accelerators do not hold all of it. `turn`: the place where accelerators do.
    """

    runtime: RuntimeSpec
    quantization: str | None = None
    kv_cache_type: str | None = None
    runtime_options: tuple[tuple[str, str], ...] = ()
    finetune_method: str | None = None
    context_tokens: int | None = None
    settings: tuple[RunSetting, ...] = ()
    most_share: float | None = None
    is_other: bool = False
    preference: int = 0
    turn: int = 0

    def under(self, stated: Workload) -> Workload:
        """The workload that asks for this way, with what the user stated beside."""
        changes: dict[str, object] = {"runtime": self.runtime.id}
        names = ("quantization", "kv_cache_type", "finetune_method", "context_tokens")
        for name in names:
            value = getattr(self, name)
            if value is not None:
                changes[name] = value
        options = {**stated.runtime_options, **dict(self.runtime_options)}
        return stated.replace(runtime_options=options, **changes)

    @property
    def is_larger(self) -> bool:
        """Whether the type is larger than the program's usual one."""
        return self.most_share is not None

    @property
    def is_plain(self) -> bool:
        """Whether the way keeps the usual type, method and length."""
        own = (self.quantization, self.finetune_method, self.context_tokens)
        return own == (None, None, None)

    def with_workload(
        self,
        workload: Workload,
        settings: Sequence[RunSetting],
    ) -> Way:
        """The way with settings, and with what the workload asks for to have them."""
        return self.replace(
            kv_cache_type=workload.kv_cache_type,
            runtime_options=tuple(workload.runtime_options.items()),
            settings=tuple(settings),
        )


def way_of(question: Question) -> Way:
    """The way of a question that a choice asked."""
    assert question.way is not None, "a choice asks about ways"
    return question.way


def row_of(question: Question) -> FileRow:
    """The row of the files of a question whose program is known."""
    assert question.type_row is not None, "a way has a program"
    return question.type_row


def _are_files_fixed(question: Question) -> bool:
    """Whether the user named files, or the requested files lie on the machine."""
    return question.here is not None or question.files != NO_FILES


def _is_program_fixed(question: Question) -> bool:
    """Whether the user stated a program, or files that not each program loads."""
    return question.stated.runtime is not None or _are_files_fixed(question)


# ------------------------------------------------------------------ text


def larger_types(question: Question, room_bytes: float) -> Iterator[Way]:
    """Yield the types of the program's list that are larger than the usual one and whose files
    leave of `room_bytes` what the list says, the largest first; none where the user stated a type
    or files.
    """
    usual = row_of(question)
    runtime = usual.runtime
    if usual.spec.architecture is None or question.stated.quantization is not None:
        return
    if _are_files_fixed(question):
        return
    for name in program_row(usual.spec, runtime).types_on_gpus:
        row = usual.replace(quantization=name)
        if row.least_bytes <= usual.least_bytes:
            continue
        # the file must be as well known as that of the usual type
        if usual.repository is not None and row.repository is None:
            continue
        most_share = runtime.gpus.quantizations[name]
        if row.least_bytes > most_share * room_bytes:
            continue
        if _has_no_spare_bits(name, usual.spec):
            yield Way(runtime=runtime, quantization=name, most_share=most_share)


def usual_and_smaller(question: Question) -> list[Way]:
    """The type of the question, and the types to try where it does not suit the machine. What a
    server takes of its list is published, or is made as the server loads the model.
    """
    usual = row_of(question)
    types = [usual.quantization]
    if not _are_files_fixed(question):
        types += question.in_turn
        if question.stated.quantization is None and usual.runtime.gpus.required:
            program = program_row(usual.spec, usual.runtime)
            for name in program.types_on_gpus:
                if program.type_row(name).is_ready:
                    types.append(name)
    return [
        Way(runtime=usual.runtime, quantization=name) for name in dict.fromkeys(types)
    ]


def _has_no_spare_bits(quantization: str, spec: ModelSpec) -> bool:
    """Whether the type has at most as many bits as the published weights. More bits would keep
    nothing more of the weights.
    """
    bits = BITS_PER_WEIGHT.get(quantization)
    if bits is None:
        return need.is_in_plain_type(spec.architecture)
    return bits <= DTYPES[stored_type(spec.architecture)]


def types_to_have(question: Question) -> list[FileRow]:
    """The model's types in the program that the user can get, the best first: published types, and
    those that the program or a converter makes.
    """
    if question.runtime is None:
        return []
    rows = []
    for row in program_row(question.spec, question.runtime).rows:
        if question.loads_named_files or row.can_be_had:
            rows.append(row)
    return rows


def is_preferred(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether the runtime suits so many accelerators as the machine has better than others."""
    return 0 < runtime.gpus.preferred_from <= len(places(machine.accelerators))


def servers(question: Question, catalogue: Catalogue) -> list[RuntimeSpec]:
    """The programs beside the usual one that load the model and serve many requests; none where the
    user stated a program or named files.
    """
    if _is_program_fixed(question):
        return []
    if question.step is None and question.stated.quantization is None:
        # without text, only a stated type is a reason for another program
        return []
    found = []
    for row in _other_programs(question, catalogue):
        if row.runtime.batches.queues_requests:
            found.append(row.runtime)
    return found


def _other_programs(question: Question, catalogue: Catalogue) -> Iterator[ProgramRow]:
    """Yield the programs beside the usual one that may be taken though nobody named them."""
    for row in table_of(question.spec, catalogue).proposed:
        if row.runtime != question.runtime:
            yield row


def way_by_tag(question: Question, catalogue: Catalogue) -> Way | None:
    """The way in Ollama, where its library has a file of the model and nobody publishes the type
    that was taken; None elsewhere, and where the user stated a program or another type.
    """
    stated = question.stated
    usual = row_of(question)
    if _is_program_fixed(question) or usual.repository is not None:
        return None
    by_tag = program_row(question.spec, catalogue.runtime(USUAL.library))
    type = by_tag.type_of_tag
    if type is None:
        return None
    may_be_tried = stated.quantization is None and type in by_tag.types_in_turn
    if not may_be_tried and type not in names_of_type(usual.quantization):
        return None
    way = way_of(question)
    return way.replace(runtime=by_tag.runtime, quantization=type, is_other=True)


# ------------------------------------------------------------------ training


def training_ways(question: Question) -> list[Way]:
    """The usual method, the other methods, and where the user stated no length the last method with
    each length of examples that is shorter than the usual one.
    """
    runtime = row_of(question).runtime
    usual = question.workload
    methods = runtime.finetuning.methods
    if question.stated.finetune_method:
        methods = (question.stated.finetune_method,)
    ways = [Way(runtime=runtime)]
    for name in methods:
        if name != usual.finetune_method:
            ways.append(Way(runtime=runtime, finetune_method=name))
    if question.stated.context_tokens is None:
        for tokens in runtime.finetuning.contexts:
            if tokens < (usual.context_tokens or 0):
                ways.append(
                    Way(
                        runtime=runtime,
                        finetune_method=methods[-1],
                        context_tokens=tokens,
                    )
                )
    return [way.replace(preference=turn, turn=turn) for turn, way in enumerate(ways)]


# ------------------------------------------------------------------ pictures and video


_EIGHT_BITS = 8


class _Turn(IntEnum):
    """The turn in which a type of pictures or video is tried on accelerators, the first first.

    - `BEST_USUAL`: the usual type, the first of the usual program's list. `OTHER_USUAL`: the usual
      type that is not the first.
    - `LISTED`: another type of that list. `MADE_IN_FOUR_BITS`: one that the program makes of the
      published weights.
    - `EIGHT_BITS_ELSEWHERE`: a file of 8 bits or more for another program. `ELSEWHERE`: any other
      file for another program.
    """

    BEST_USUAL = 0
    LISTED = 1
    EIGHT_BITS_ELSEWHERE = 2
    MADE_IN_FOUR_BITS = 3
    ELSEWHERE = 4
    OTHER_USUAL = 5


def picture_ways(
    question: Question,
    catalogue: Catalogue,
    *,
    is_in_ram: bool,
) -> list[Way]:
    """The types of pictures and video, with the turn of each on accelerators, in the order of
    preference elsewhere: those of other programs before those of the usual program. The usual type
    is the first or the last. `is_in_ram`: the usual type would run in RAM.

    Elsewhere of two types that do not fit whole, the one of fewer bits is preferred, since its
    parts and its download are smaller.
    """
    runtime = row_of(question).runtime
    listed = program_row(question.spec, runtime).types_on_gpus
    usual_type = question.workload.quantization
    ways = _ways_elsewhere(question, catalogue)
    if usual_type in listed[:1]:
        usual = Way(runtime=runtime, turn=_Turn.BEST_USUAL)
        # behind the files for other programs, unless it runs in RAM
        is_first = is_in_ram or not ways
        listed = listed[1:]
    else:
        usual = Way(runtime=runtime, turn=_Turn.OTHER_USUAL)
        # behind the list, unless it stands in none and runs in RAM
        is_first = is_in_ram and usual_type not in listed
    for name in listed:
        turn = _Turn.LISTED
        if _is_made_in_four_bits(name, runtime):
            turn = _Turn.MADE_IN_FOUR_BITS
        ways.append(Way(runtime=runtime, quantization=name, turn=turn))
    if is_first:
        ways.insert(0, usual)
    else:
        ways.append(usual)
    return [way.replace(preference=place) for place, way in enumerate(ways)]


def _ways_elsewhere(question: Question, catalogue: Catalogue) -> list[Way]:
    """Each other program with each type of that program's list; none where the user stated a
    program.
    """
    ways: list[Way] = []
    if question.stated.runtime is not None:
        return ways
    for row in _other_programs(question, catalogue):
        for name in row.types_on_gpus:
            turn = _Turn.ELSEWHERE
            if BITS_PER_WEIGHT.get(name, 0) >= _EIGHT_BITS:
                turn = _Turn.EIGHT_BITS_ELSEWHERE
            way = Way(runtime=row.runtime, quantization=name, is_other=True, turn=turn)
            ways.append(way)
    return ways


def _is_made_in_four_bits(quantization: str, runtime: RuntimeSpec) -> bool:
    """Whether the runtime makes weights of four bits for that type from the published ones: such a
    type has `4bit` among its other names.
    """
    rule = runtime.rule_of(quantization)
    return rule is not None and "4bit" in rule.also


def has_picture_ways(question: Question) -> bool:
    """Whether the types of a program's list are ways: for pictures and video, if the user stated no
    type, named no files, and stated no runtime without such a list.
    """
    runtime = question.runtime
    if question.needs is None or runtime is None:
        return False
    if _are_files_fixed(question):
        return False
    stated = question.stated
    if stated.task != "generate" or stated.quantization is not None:
        return False
    if stated.runtime is not None and not runtime.gpus.quantizations:
        return False
    modality = question.spec.modality
    if modality == "speech":
        return bool(runtime.gpus.quantizations)
    return modality in PICTURES
