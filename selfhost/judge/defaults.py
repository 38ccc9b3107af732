"""The defaults that depend on the machine, as lists of candidates.

`with_machine_defaults` takes a question that was judged in the model's own defaults, and returns
the judgement of the candidate that suits the machine best. `candidates` lists them, and
`choosing.choose` judges them in this order until one is good. There is a list for each of:

- text: the usual type; if it does not run, each smaller type; the programs for many requests; the
  types that are larger than the usual one, the largest first; Ollama, if only its library has the
  file;
- training: the first method that accelerators hold, and the last method with shorter examples too;
- pictures and video: the first type of the program's list that accelerators hold, then the types of
  other programs.

Stated values, files on this machine and downloaded files are never changed. The types, programs and
methods to try are data of the runtimes (`on_accelerators`, `preferred_from_accelerators`,
`finetune_methods`, `finetune_contexts`).

The lists differ in one point. Pictures and training rank by the place where they run: if no
candidate is good, the answer is the candidate that lacks least. For text, the answer is never
another type that does not run either: the rank prefers the usual type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PICTURES
from ..core import units
from ..core.records import Record
from ..core.workload import DEFAULT_CONTEXT_TOKENS, READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Machine
from ..needs.case import stored_type
from ..needs.file_formats import FOUR_BITS
from ..needs.quantization import BITS_PER_WEIGHT, BLOCKS
from ..needs.weight_files import DTYPES
from .choosing import (
    Candidate,
    PlacedCandidate,
    Rank,
    RunPlace,
    Search,
    choose,
    place_of,
    with_other_defaults,
)
from .devices import places
from .files import loads_by_tag
from .judging import layout_for, layout_of_users
from .programs import USUAL, runtimes_that_load
from .record import MODEL_CHECKS, NO_FILES, PACE_CHECKS, Judged, Question

# chats grow to this length and programs that write code need it: a guess between the 4,096 tokens
# that Ollama sets below 24 GiB and the 32,768 from 24 GiB on (docs/context-length.mdx@948f6933)
_GROWN_CONTEXT_TOKENS = 16_384
# if more than a third of the need is lacking, four bits do not fit either: the file is an eighth
# smaller than in the usual type, and no need of a text model has so wide a range
_SAVED_DIVISOR = 3
# a server lets users wait for their turn: it must be so many times as fast as a program that gives
# all of them text at once, as fast as people read (assumed)
_WORTH_A_WAIT = 2
# how people write the methods of training
_METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


def follows_a_list(spec: ModelSpec, workload: Workload) -> bool:
    """Whether types of pictures and video, or methods of training, are tried in turn, so that the
    route may be better than that of the usual defaults.
    """
    return spec.modality in PICTURES or workload.task == "finetune"


def takes_first_of_list(question: Question) -> bool:
    """Whether the first good type of a program's list is taken: for pictures and video, if the user
    stated no type, named no files, and stated no runtime without such a list.
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
    return question.spec.modality in PICTURES


def _are_files_fixed(question: Question) -> bool:
    """Whether the user named files, or the requested files lie on the machine."""
    return question.here is not None or question.files != NO_FILES


def with_machine_defaults(
    usual: Judged,
    catalogue: Catalogue,
    machine: Machine,
) -> Judged:
    """The judgement of the candidate that suits the machine best, or the usual judgement where no
    candidate is better.
    """
    runtime = usual.question.runtime
    if usual.question.needs is None or runtime is None:
        return usual
    search = Search(usual=usual, runtime=runtime, catalogue=catalogue, machine=machine)
    return choose(candidates(search), machine)


def candidates(search: Search) -> Iterator[Candidate]:
    """The candidates for the question, in the order in which they are tried. The usual defaults are
    one of them.
    """
    question = search.question
    if takes_first_of_list(question):
        return _picture_candidates(search)
    if question.stated.task == "finetune":
        return _training_candidates(search)
    return _text_candidates(search)


# ------------------------------------------------------------------ text


def _text_candidates(search: Search) -> Iterator[Candidate]:
    """Yield the usual type, which is taken where no other candidate is good, then the candidates
    that may be better.
    """
    yield from search.candidate(_UsualText, None)
    if _may_run_in_smaller_type(search.usual):
        for quantization in search.question.in_turn:
            smaller = search.question.stated.replace(quantization=quantization)
            yield from search.candidate(_SmallerType, smaller)
    if search.machine.accelerators and search.question.spec.writes_text:
        if _may_suit_many(search):
            yield from _programs_for_many(search)
        if search.runtime.gpus.preferred_from <= 0 and search.usual.fits:
            yield from _larger_types(search)
    yield from _by_tag(search)


def _may_suit_many(search: Search) -> bool:
    """Whether a runtime that serves many requests at once is worth judging.

    Such a runtime may be fast enough where the usual one is only too slow, and its users may wait
    where memory does not hold all of them at once.
    """
    if search.runtime.gpus.preferred_from > 0:
        return True
    if search.question.workload.parallel > 1:
        return True
    if search.question.stated.quantization is not None:
        return True
    return search.usual.deciding.issubset(PACE_CHECKS)


class _TextInTurn(Candidate):
    """A text candidate in one of the types that the search tries in turn."""

    @property
    def default_type(self) -> str:
        """The model's usual type in the runtime, published or not."""
        return need.default_format_and_quantization(
            self.question.spec, self.search.runtime
        )[1]

    def rank(self, judged: Judged) -> Rank:
        """The rank by three classes: candidates that may run, then the model's usual type, then all
        others.
        """
        if not judged.failed:
            return (0,)
        return (1,) if judged.quantization == self.default_type else (2,)


class _UsualText(_TextInTurn):
    """The text candidate in the usual defaults, with which the others are compared."""

    def is_good(self, judged: Judged) -> bool:
        """Whether no other candidate may be taken, because the files were named or lie on this
        machine.
        """
        return _are_files_fixed(judged.question)

    def why(self, judged: Judged) -> str | None:
        """The sentence that nobody publishes the model's usual type; None where somebody does, or
        where no sentence is needed.
        """
        question = judged.question
        if not question.in_turn or question.here is not None:
            return None
        if not judged.fits:
            return None
        usual = self.default_type
        if judged.quantization == usual:
            return None
        return self.phrased("published", judged, usual=usual)


class _SmallerType(_TextInTurn):
    """A text candidate in the next type of the list, because the model does not run in the usual
    one.
    """

    def is_good(self, judged: Judged) -> bool:
        return _serves_its_users(judged)

    def rank(self, judged: Judged) -> Rank:
        """The rank by pace where several users get text slowly, as of a program for many."""
        slow_pace = _slow_pace_of_many(judged)
        if not judged.fits or slow_pace is None:
            return super().rank(judged)
        return (-slow_pace,)

    def why(self, judged: Judged) -> str | None:
        """The sentence that the smaller type fits; None where the model is not known to run in that
        type.
        """
        if not judged.fits:
            return None
        return self.phrased("smaller", judged, first=self.search.usual.quantization)


def _may_run_in_smaller_type(usual: Judged) -> bool:
    """Whether the types of the list are worth judging."""
    if usual.fits:
        return False
    if not usual.deciding.isdisjoint(MODEL_CHECKS):
        return False
    if usual.question.in_turn != (FOUR_BITS,) or usual.memory is None:
        return True
    lacking_bytes = usual.lacking_bytes()
    if lacking_bytes == inf:
        return True
    return lacking_bytes <= usual.memory.high_bytes / _SAVED_DIVISOR


class _ProgramForMany(Candidate):
    """A candidate in a runtime that serves many requests at once."""

    def is_good(self, judged: Judged) -> bool:
        """Whether the candidate is as good as the usual one: much faster than a usual one that
        spills into RAM or lets fewer users wait, else with room to spare.
        """
        usual = self.search.usual
        if not _is_as_good(judged, usual, self.search.machine):
            return False
        lets_more_wait = _has_waiting_users(judged) and not _has_waiting_users(usual)
        if lets_more_wait and not _serves_its_users(usual):
            # the fastest type counts: a smaller one has more users at once
            return False
        if lets_more_wait or _spills_for_many(usual):
            return _is_worth_a_wait(judged, usual)
        if judged.workload.runtime == usual.workload.runtime:
            return True
        # the smaller types of another program leave room for more users
        return not judged.has("accelerator-tight")

    def rank(self, judged: Judged) -> Rank:
        """The rank by pace, the fastest first: it is before the rank of every other text candidate.

        It is infinite, so after all others, where the candidate does not run, and where the usual
        one runs and is not slow for several users, or no slower than the candidate.
        """
        usual = self.search.usual
        pace = judged.users_pace
        if not judged.fits or pace is None:
            return (inf,)
        if usual.fits:
            usual_pace = _slow_pace_of_many(usual)
            if usual_pace is None or usual_pace >= pace.likely:
                return (inf,)
        return (-pace.likely,)

    def why(self, judged: Judged) -> str | None:
        if judged is self.search.usual:
            return None
        runtime = judged.question.runtime
        usual = self.search.runtime
        # only a question with a program is a candidate
        assert runtime is not None
        if runtime.id == usual.id:
            return self.phrased("smaller", judged, first=self.search.usual.quantization)
        bits = need.loaded_bits(runtime, judged.model, judged.workload)
        loaded_type = f"{bits} bits"
        if bits is None:
            loaded_type = judged.quantization or ""
        return self.phrased(
            "many",
            judged,
            program=runtime.name,
            usual_program=usual.name,
            runtime=usual.id,
            refused=not self.search.usual.fits,
            type=loaded_type,
        )


def _is_worth_a_wait(judged: Judged, usual: Judged) -> bool:
    """Whether each user likely gets text so much faster that a wait is worth it; False where a pace
    is not known.
    """
    if judged.users_pace is None or usual.users_pace is None:
        return False
    return judged.users_pace.likely >= _WORTH_A_WAIT * usual.users_pace.likely


def _slow_pace_of_many(judged: Judged) -> float | None:
    """The likely tokens a second of each of several users, where that is less than reading speed;
    None for one user, for reading speed or more, and where the pace is not known.
    """
    if judged.question.workload.parallel == 1 or judged.users_pace is None:
        return None
    likely = judged.users_pace.likely
    if not units.is_slower(likely, READING_TOKENS_PER_SECOND):
        return None
    return likely


def _serves_its_users(judged: Judged) -> bool:
    """Whether the model runs, and not too slowly for several users."""
    return judged.fits and _slow_pace_of_many(judged) is None


def _programs_for_many(search: Search) -> Iterator[Candidate]:
    """Yield candidates in the stated runtime, or in each runtime that serves many requests: in the
    stated type, or first in the runtime's usual type, then in its listed types.

    A runtime is a candidate if it is preferred on the machine's number of accelerators. If the user
    stated no runtime, and the usual one does not run at reading speed, each runtime that lets
    requests wait is a candidate, too. The usual runtime in its usual type is judged already.
    """
    number = len(places(search.machine.accelerators))
    stated = search.question.stated
    keeps_usual = stated.runtime is not None or _suits_its_users(search.usual)
    for name in USUAL.packed:
        runtime = search.catalogue.runtime(name)
        if stated.runtime not in (None, runtime.id):
            continue
        is_preferred = 0 < runtime.gpus.preferred_from <= number
        may_wait = runtime.batches.queues_requests and not keeps_usual
        if not is_preferred and not may_wait:
            continue
        types: tuple[str | None, ...] = (stated.quantization,)
        if stated.quantization is None:
            types = (None, *runtime.gpus.quantizations)
        for quantization in types:
            workload: Workload | None = None
            if quantization is not None or runtime.id != search.runtime.id:
                workload = stated.replace(runtime=runtime.id, quantization=quantization)
            for candidate in search.candidate(_ProgramForMany, workload):
                if _keeps_stated_type(candidate):
                    yield candidate


def _keeps_stated_type(candidate: Candidate) -> bool:
    """Whether the candidate loads the type that the user stated, if any: F16 of GGUF files would be
    bfloat16 in another program.
    """
    search = candidate.search
    typed = search.question.stated.quantization
    if typed is None:
        return True
    names = (search.usual.quantization, need.canonical_quantization(typed))
    return candidate.question.workload.quantization in names


class _LargerType(Candidate):
    """A candidate in a larger type that accelerators hold at reading speed, with room for a longer
    context.

    `most_share` is the largest share of the accelerators' memory that the candidate may take.
    """

    most_share: float

    def is_good(self, judged: Judged) -> bool:
        share = _share_of_gpu_memory(judged)
        if share is None or share > self.most_share:
            return False
        if not _is_as_good(judged, self.search.usual, self.search.machine):
            return False
        return self._holds_longer_context(judged)

    def _holds_longer_context(self, judged: Judged) -> bool:
        """Whether accelerators hold the model with a longer context too; True where the user stated
        a context.
        """
        question = self.question
        if question.stated.context_tokens is not None:
            return True
        trained_tokens = question.trained_tokens or DEFAULT_CONTEXT_TOKENS
        longer = question.stated.replace(
            quantization=judged.quantization,
            context_tokens=min(trained_tokens, _GROWN_CONTEXT_TOKENS),
        )
        grown = self.search.with_other_defaults(longer)
        if grown is None:
            return False
        return bool(_share_of_gpu_memory(layout_for(grown, self.search.machine)))

    def why(self, judged: Judged) -> str:
        return self.phrased("more-bits", judged)


def _larger_types(search: Search) -> Iterator[Candidate]:
    """Yield a candidate in each type of the program's list that is larger than the usual one, the
    largest first; none where the user stated a type, or accelerators do not hold the usual one.
    """
    spec = search.question.spec
    if search.question.stated.quantization is not None:
        return
    if spec.architecture is None or _share_of_gpu_memory(search.usual) is None:
        return
    for name in _types_of(spec, search.runtime):
        if name == search.usual.quantization:
            return
        if not _is_worth_trying(name, search.usual):
            continue
        share = search.runtime.gpus.quantizations[name]
        larger = search.question.stated.replace(quantization=name)
        yield from search.candidate(_LargerType, larger, most_share=share)


def _is_worth_trying(quantization: str, usual: Judged) -> bool:
    """Whether the file in that type is as well known as the usual one, and its bits keep more of
    the weights.
    """
    spec = usual.model
    if not _has_no_spare_bits(quantization, spec):
        return False
    format = usual.workload.format
    if spec.repository_of(format, usual.quantization) is None:
        return True
    return spec.repository_of(format, quantization) is not None


def _has_no_spare_bits(quantization: str, spec: ModelSpec) -> bool:
    """Whether the type has at most as many bits as the published weights. More bits would keep
    nothing more of the weights.
    """
    bits = BITS_PER_WEIGHT.get(quantization)
    if bits is None:
        return need.is_in_plain_type(spec.architecture)
    return bits <= DTYPES[stored_type(spec.architecture)]


class _ByTag(Candidate):
    """A candidate in Ollama, where only Ollama's library is known to have the requested file."""

    def is_good(self, judged: Judged) -> bool:
        return judged.fits

    def why(self, judged: Judged) -> str:
        usual = self.search.usual
        return self.phrased(
            "tag",
            judged,
            program=self.search.catalogue.runtime(USUAL.library).name,
            model=self.question.spec.name,
            runtime=usual.workload.runtime,
            type=usual.quantization,
        )


def _by_tag(search: Search) -> Iterator[Candidate]:
    """Yield the candidate in Ollama, if only its library has a file in the usual type and the user
    stated no runtime.
    """
    stated = search.question.stated
    if stated.runtime is not None:
        return
    spec = search.question.spec
    quantization = search.usual.quantization
    if spec.repository_of("gguf", quantization) is not None:
        return
    library = search.catalogue.runtime(USUAL.library)
    if not loads_by_tag(spec, library, search.usual.workload):
        return
    workload = stated.replace(runtime=library.id, quantization=quantization)
    yield from search.candidate(_ByTag, workload)


def _share_of_gpu_memory(judged: Judged) -> float | None:
    """The share of the accelerators' memory that the model takes; None where accelerators do not
    compute all of the model.
    """
    finding = judged.finding("accelerator")
    if finding is None or finding.code not in ("accelerator-fits", "accelerator-lean"):
        return None
    needs_bytes = finding.needs
    has_bytes = finding.has
    if not isinstance(needs_bytes, int) or not isinstance(has_bytes, int):
        return None
    return needs_bytes / has_bytes if has_bytes else 0.0


def _is_surely_held(judged: Judged, machine: Machine) -> bool:
    """Whether accelerators compute all of the model and surely hold it, at least for one user where
    the program lets the others wait.
    """
    if _share_of_gpu_memory(judged) is not None:
        return True
    question = judged.question
    if not judged.has("accelerator-tight") or not question.lets_users_wait:
        return False
    return _share_of_gpu_memory(layout_of_users(1, question, machine)) is not None


def _runs_at_reading_speed(judged: Judged) -> bool:
    """Whether the model runs, and each user likely gets text as fast as people read."""
    pace = judged.users_pace
    if not judged.fits or pace is None:
        return False
    return not units.is_slower(pace.likely, READING_TOKENS_PER_SECOND)


def _suits_its_users(usual: Judged) -> bool:
    """Whether the usual candidate runs, and each user likely gets text as fast as people read; of
    several users, whether the GPUs hold the caches of all. One user may have a pace that is not
    known: the program limits that of a small model.
    """
    if usual.users_pace is None and usual.question.workload.parallel == 1:
        return usual.fits
    return _runs_at_reading_speed(usual) and not _spills_for_many(usual)


def _spills_for_many(usual: Judged) -> bool:
    """Whether several users get text at reading speed, with a part of the model or of their caches
    in RAM beside accelerators.
    """
    if usual.placement != "split" or usual.question.workload.parallel == 1:
        return False
    return _runs_at_reading_speed(usual)


def _has_waiting_users(judged: Judged) -> bool:
    """Whether some of the users wait, because memory does not hold all at once."""
    return judged.speed is not None and bool(judged.speed.waiting)


def _is_as_good(
    judged: Judged,
    usual: Judged,
    machine: Machine,
) -> bool:
    """Whether the candidate runs at reading speed on accelerators, with no finding worse than the
    usual one's.

    The candidate's runtime must be installed where the usual runtime is.
    """
    if not _runs_at_reading_speed(judged) or not _is_surely_held(judged, machine):
        return False
    if judged.has("memory-tight") and not usual.has("memory-tight"):
        return False
    if usual.has("runtime-present") and not judged.has("runtime-present"):
        return False
    severities = {finding.check: finding.severity for finding in usual.findings}
    for finding in judged.findings:
        if finding.check in ("weights", "accelerator"):
            continue
        if finding.severity > severities.get(finding.check, 0):
            return False
    return True


# ------------------------------------------------------------------ training


class _Method(PlacedCandidate):
    """A candidate with one training method, perhaps with shorter examples."""

    def why(self, judged: Judged) -> str | None:
        if judged is self.search.usual:
            return None
        usual = self.search.usual.workload
        taken = judged.workload
        before = _METHODS[str(usual.finetune_method)]
        after = _METHODS[str(taken.finetune_method)]
        options = f"--method {usual.finetune_method}"
        if taken.context_tokens != usual.context_tokens:
            before += f" with {usual.context_tokens:,} tokens"
            after += f" with {taken.context_tokens:,} tokens"
            options += f" --context {usual.context_tokens}"
        return self.phrased(
            "trained",
            judged,
            before=before,
            after=after,
            options=options,
            lacks=place_of(judged) is RunPlace.NOWHERE,
        )


def _training_candidates(search: Search) -> Iterator[Candidate]:
    """Yield the usual method, the other methods, and where the user stated no length the last
    method with each length of examples that is shorter than the usual one.
    """
    yield from search.candidate(_Method, None)
    usual = search.usual.workload
    stated = search.question.stated
    training = search.runtime.finetuning
    methods = training.methods
    if stated.finetune_method:
        methods = (stated.finetune_method,)
    for name in methods:
        if name != usual.finetune_method:
            by_method = stated.replace(finetune_method=name)
            yield from search.candidate(_Method, by_method)
    if stated.context_tokens is not None or not methods:
        return
    by_last = stated.replace(finetune_method=methods[-1])
    for tokens in training.contexts:
        if tokens < (usual.context_tokens or 0):
            shorter = by_last.replace(context_tokens=tokens)
            yield from search.candidate(_Method, shorter)


# ------------------------------------------------------------------ pictures and video


class _PictureType(PlacedCandidate):
    """A candidate in one type of pictures or video, in the usual runtime or in another.

    `preference` decides between candidates that run in equal places; the least wins. It is another
    order than that in which types are tried on accelerators (`_Turn`): of two candidates that do
    not fit whole, the one of fewer bits is preferred, since its parts and its download are smaller.
    """

    preference: int

    def rank(self, judged: Judged) -> Rank:
        return (*super().rank(judged), self.preference)

    def why(self, judged: Judged) -> str | None:
        if judged is self.search.usual:
            return None
        runtime = judged.question.runtime or self.search.runtime
        return self.phrased(
            "picture",
            judged,
            program=runtime.name,
            runtime=self.search.runtime.id,
            fits="fits" if judged.offload is None else "fits a part at a time, on",
            lacks=place_of(judged) is RunPlace.NOWHERE,
        )


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


class _PictureChoice(Record):
    """A type of pictures or video that may become a candidate. `workload` states the type, and is
    None for the usual one.
    """

    workload: Workload | None
    turn: _Turn


def _picture_candidates(search: Search) -> Iterator[Candidate]:
    """Yield the picture candidates in the order in which the search tries them: with accelerators
    in that of the turns, else in that of the preference.
    """
    preferred = _picture_choices(search)
    tried = preferred
    if search.machine.accelerators:
        tried = sorted(preferred, key=lambda choice: choice.turn)
    for choice in tried:
        preference = preferred.index(choice)
        yield from search.candidate(
            _PictureType, choice.workload, preference=preference
        )


def _picture_choices(search: Search) -> list[_PictureChoice]:
    """The types in the order of preference: those of other runtimes before those of the usual
    runtime.

    The usual type is the first or the last of the list.
    """
    runtime = search.runtime
    listed = _types_of(search.question.spec, runtime)
    usual = _PictureChoice(workload=None, turn=_Turn.OTHER_USUAL)
    others = listed
    if search.usual.quantization in listed[:1]:
        usual = _PictureChoice(workload=None, turn=_Turn.BEST_USUAL)
        others = listed[1:]
    choices = []
    for workload in _in_other_runtimes(search.question, search.catalogue, runtime):
        turn = _Turn.ELSEWHERE
        if _has_eight_bits(workload.quantization):
            turn = _Turn.EIGHT_BITS_ELSEWHERE
        choices.append(_PictureChoice(workload=workload, turn=turn))
    is_usual_first = _is_usual_first(search.usual, listed, has_others=bool(choices))
    for name in others:
        turn = _Turn.LISTED
        if _is_made_in_four_bits(name, runtime):
            turn = _Turn.MADE_IN_FOUR_BITS
        workload = search.question.stated.replace(quantization=name)
        choices.append(_PictureChoice(workload=workload, turn=turn))
    return [usual, *choices] if is_usual_first else [*choices, usual]


def _is_usual_first(
    usual: Judged,
    listed: Sequence[str],
    *,
    has_others: bool,
) -> bool:
    """Whether the usual type is preferred to all others: as the best of the `listed` types where no
    other runtime has a type, or because it would run in RAM. A type further down the list is not.
    """
    if usual.quantization in listed[:1] and not has_others:
        return True
    if usual.quantization in listed[1:]:
        return False
    return place_of(usual, any_disk=True) is RunPlace.RAM


def _is_made_in_four_bits(quantization: str, runtime: RuntimeSpec) -> bool:
    """Whether the runtime makes weights of four bits for that type from the published ones: such a
    type has `4bit` among its other names.
    """
    rule = runtime.rule_of(quantization)
    return rule is not None and "4bit" in rule.also


def _has_eight_bits(quantization: str | None) -> bool:
    """Whether a weight in a file of that type takes 8 bits or more."""
    block = BLOCKS.get(quantization or "")
    if block is None:
        return False
    values, size_bytes = block
    return size_bytes >= values


def _types_of(spec: ModelSpec, runtime: RuntimeSpec) -> list[str]:
    """The model's types that the runtime lists for accelerators, the best first."""
    types = need.quantizations_of(spec, runtime)
    return [name for name in runtime.gpus.quantizations if name in types]


def _in_other_runtimes(
    question: Question,
    catalogue: Catalogue,
    usual: RuntimeSpec,
) -> Iterator[Workload]:
    """Yield the workload in each other runtime of the modality with each type of that runtime's
    list; nothing where the user stated a runtime.
    """
    if question.stated.runtime is not None:
        return
    names = USUAL.by_modality[question.spec.modality]
    for other in runtimes_that_load(question.spec, names, catalogue):
        if other.id == usual.id:
            continue
        for type in _types_of(question.spec, other):
            yield question.stated.replace(runtime=other.id, quantization=type)


# ------------------------------------------------------------------ where no machine is known


def in_server(question: Question, catalogue: Catalogue) -> Workload | None:
    """The stated workload of several users in the first program that lets users wait; None where
    the user stated the program, or no such program loads the stated type.
    """
    stated = question.stated
    if stated.parallel == 1 or stated.runtime is not None:
        return None
    if stated.quantization is None or question.lets_users_wait:
        return None
    for name in USUAL.packed:
        workload = stated.replace(runtime=name)
        other = with_other_defaults(question, workload, catalogue, Machine())
        if other is None or not other.lets_users_wait:
            continue
        if other.workload.quantization == question.workload.quantization:
            return workload
    return None


def smallest_of_list(question: Question, catalogue: Catalogue) -> Workload:
    """The stated workload in the type and runtime that take the least memory without an
    accelerator.
    """
    stated = question.stated
    nowhere = Machine(accelerators=())
    smallest: Question | None = None
    for workload in _in_types_of_list(question, catalogue):
        other = with_other_defaults(question, workload, catalogue, nowhere)
        if other is None or other.wants_gpu:
            continue
        # if the file of the usual type is published, the file of the smaller type must be published
        # too
        if other.making_bytes and not question.making_bytes:
            continue
        if smallest is None or _ram_bytes(other) < _ram_bytes(smallest):
            smallest = other
    if smallest is None:
        return stated
    if _ram_bytes(question) <= _ram_bytes(smallest):
        smallest = question
    taken = smallest.workload
    return stated.replace(runtime=taken.runtime, quantization=taken.quantization)


def _in_types_of_list(question: Question, catalogue: Catalogue) -> Iterator[Workload]:
    """Yield the workload in each type that is tried in turn; for pictures, in the types of all
    runtimes.
    """
    stated = question.stated
    for name in question.in_turn:
        yield stated.replace(quantization=name)
    runtime = question.runtime
    if question.in_turn:
        return
    if runtime is None or not takes_first_of_list(question):
        return
    for name in runtime.gpus.quantizations:
        yield stated.replace(quantization=name)
    yield from _in_other_runtimes(question, catalogue, runtime)


def _ram_bytes(question: Question) -> float:
    """The bytes of RAM that the question takes; infinite where that is not known."""
    needs = question.needs
    if needs is None or needs.memory is None:
        return inf
    return needs.on_host.high_bytes or inf
