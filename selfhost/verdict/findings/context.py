"""Was the model trained for a context of that length?"""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.spec import HEARD_SECONDS, ModelSpec
from ...core import units
from ...core.workload import Workload
from .record import Finding, Outcome

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...needs.tensors import ArchitectureRow


# uses whose work is a picture, not a text: the words beside it are a caption
_OF_PICTURES = ("image-encoder", "image-text-matching")


def reads_context(spec: ModelSpec) -> bool:
    """Whether a context of tokens is asked of such a model: of what writes or embeds texts, and of
    what answers a text on a recording. Sound, pictures and clips have none that a user sets.
    """
    first = next(iter(spec.uses or ()), None)
    if spec.modality == "speech":
        # beside a recording a text is a prompt; what speaks only reads it aloud
        return first != "speech-synthesis" and {"audio", "text"} <= {*(spec.inputs or ())}
    if spec.modality == "embedding":
        return first not in _OF_PICTURES
    return spec.modality in ("text", "vision")


def context_check(
    spec: ModelSpec, workload: Workload, *, context_asked: bool, row: ArchitectureRow | None = None
) -> Finding | None:
    """Was it trained for that much? `context_asked`: the context was given, not taken by
    default. None where tokens make no sense. `row`: of an encoder with a decoder, whose context is
    what is read and written together.
    """
    architecture, wanted = spec.architecture, workload.context_tokens
    if wanted is None:
        return _of_recording(spec, workload.audio_seconds)
    if architecture is None:
        return _of_decoder(wanted, None, None, context_asked, workload.prompt_tokens)
    if row is not None and architecture.context_tokens is not None:
        return _of_rewriter(wanted, architecture.context_tokens, bounded=row.bounds_texts)
    return _of_decoder(
        wanted,
        architecture.context_tokens,
        architecture.scaled_context_tokens,
        context_asked,
        workload.prompt_tokens,
    )


def _of_recording(spec: ModelSpec, seconds: int | None) -> Finding | None:
    """Does it hear so much at once, and is the memory known of so much? None where nothing was
    asked or nothing speaks against it.
    """
    stated = spec.needs
    if seconds is None or stated is None:
        return None
    longest, words = stated.longest_seconds, units.duration(seconds)
    if longest is not None and seconds > longest:
        piece = units.duration(longest)
        return _finding(
            Outcome.FAIL,
            "context-recording-too-long",
            seconds,
            longest,
            f"{words} of audio exceeds the {piece} that the model hears at once.",
            f"split the recording into pieces of {piece} or less: --audio {longest}s",
        ).replace(unit="seconds")
    heard = stated.heard_seconds or HEARD_SECONDS
    grows = stated.model_class or stated.second_bytes or stated.squared_second_bytes
    if grows or spec.architecture is not None or seconds <= heard:
        return None
    return _finding(
        Outcome.WARN,
        "context-unmeasured",
        seconds,
        heard,
        f"The memory is known of recordings of at most {units.duration(heard)}. What {words} takes"
        " is not: it may be much more.",
        "split the recording, or watch the memory with a part of it first",
    ).replace(unit="seconds", short=0)


def _of_rewriter(wanted: int, each: int, *, bounded: bool) -> Finding:
    """`each`: tokens that the encoder reads at most, or was trained to where nothing bounds it,
    and the decoder writes.
    """
    most = 2 * each
    both = f"{units.tokens(wanted)} (input and output together)"
    limit, stacks = units.tokens(most), f"{units.tokens(each)} of input and as many of output"
    if wanted <= most:
        outcome, code, remedy = Outcome.PASS, "context-trained", None
        reason = f"{both} is within the {limit} it was trained for: {stacks}."
    elif bounded:
        outcome, code, remedy = Outcome.FAIL, "context-too-long", f"--context {most}"
        reason = f"{both} exceeds the {limit} the model can use: {stacks}."
    else:
        outcome, code = Outcome.WARN, "context-untrained"
        remedy = f"use --context {most} or less: beyond its training, answers may get worse"
        reason = (
            f"{both} exceeds the {limit} it was trained for: {stacks}. The model itself sets no"
            " limit."
        )
    finding = _finding(outcome, code, wanted, most, reason, remedy)
    # nothing is short of what sets no bound
    return finding if bounded else finding.replace(short=0)


def _called(wanted: int, most: int) -> str:
    """`200k` where so many times 1,024 tokens were asked for, and the model has 200,000; empty
    elsewhere.
    """
    for letter, asked_unit, own_unit in (("M", 1 << 20, 10**6), ("k", 1 << 10, 10**3)):
        number, rest = divmod(wanted, asked_unit)
        if not rest and number * own_unit == most:
            return f"{number}{letter}"
    return ""


# many models were trained for as much
@lru_cache(maxsize=256)
def _of_decoder(
    wanted: int,
    trained: int | None,
    scaled: int | None,
    context_asked: bool,
    prompt_tokens: int | None,
) -> Finding:
    limits = [limit for limit in (trained, scaled) if limit is not None]
    most = max(limits, default=None)
    remedy = None
    if trained is not None and wanted <= trained:
        outcome, code = Outcome.PASS, "context-trained"
        reason = f"{units.tokens(wanted)} is within the {units.tokens(trained)} it was trained for."
    elif scaled is not None and wanted <= scaled:
        outcome, code = Outcome.WARN, "context-scaled"
        beyond = "may exceed what it was trained for, which is not known,"
        if trained:
            beyond = f"exceeds the {units.tokens(trained)} it was trained for"
        reason = (
            f"{units.tokens(wanted)} {beyond} but is within the {units.tokens(scaled)} that its"
            " publisher documents with scaling."
        )
        remedy = "turn on the scaling that its model card documents; answers may get worse"
    elif most is not None:
        outcome, code = Outcome.FAIL, "context-too-long"
        reason = f"{units.tokens(wanted)} exceeds the {units.tokens(most)} the model can use."
        remedy = f"--context {most}"
        if called := _called(wanted, most):
            remedy = f"{remedy}, which it calls {called}: k is 1,024 tokens here"
        if prompt_tokens is not None and prompt_tokens >= most:
            remedy = (
                f"shorten the prompt to less than {units.tokens(most)}, or choose another model"
            )
    elif context_asked:
        outcome, code = Outcome.UNKNOWN, "context-not-known"
        reason = (
            f"Whether the model can use {units.tokens(wanted)} is not known: no source states the"
            " context it was trained for."
        )
        remedy = "leave out --context, or state context_tokens in a spec of the model"
    else:
        outcome, code = Outcome.PASS, "context-trained"
        reason = (
            f"Checked with the default of {units.tokens(wanted)}; its trained context is not known."
        )
    return _finding(outcome, code, wanted, most, reason, remedy)


def _finding(
    outcome: Outcome, code: str, wanted: int, most: int | None, reason: str, remedy: str | None
) -> Finding:
    """`most`: tokens that the model can use; None is not known."""
    return Finding(
        check="context",
        outcome=outcome,
        code=code,
        needs=wanted,
        has=most,
        short=None if most is None else max(0, wanted - most),
        unit="tokens",
        reason=reason,
        remedy=remedy,
    )
