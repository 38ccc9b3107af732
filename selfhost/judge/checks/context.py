"""Was the model trained for a context of that length?"""

from __future__ import annotations

from ...catalogue.spec import HEARD_SECONDS, ModelSpec
from ...core.workload import Workload
from .record import Finding, Outcome, finding

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

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
    trained = architecture.context_tokens if architecture is not None else None
    if row is not None and trained is not None:
        return _of_rewriter(wanted, trained, bounded=row.bounds_texts)
    scaled = architecture.scaled_context_tokens if architecture is not None else None
    return _of_decoder(wanted, trained, scaled, workload, context_asked=context_asked)


def _of_recording(spec: ModelSpec, seconds: int | None) -> Finding | None:
    """Does it hear so much at once, and is the memory known of so much? None where nothing was
    asked or nothing speaks against it.
    """
    stated = spec.needs
    if seconds is None or stated is None:
        return None
    longest = stated.longest_seconds
    if longest is not None and seconds > longest:
        return finding(
            Outcome.FAIL,
            "context-recording-too-long",
            needs=seconds,
            has=longest,
            short=seconds - longest,
            unit="seconds",
        )
    heard = stated.heard_seconds or HEARD_SECONDS
    grows = stated.model_class or stated.second_bytes or stated.squared_second_bytes
    if grows or spec.architecture is not None or seconds <= heard:
        return None
    return finding(
        Outcome.WARN, "context-unmeasured", needs=seconds, has=heard, short=0, unit="seconds"
    )


def _of_rewriter(wanted: int, each: int, *, bounded: bool) -> Finding:
    """`each`: tokens that the encoder reads at most, or was trained to where nothing bounds it,
    and the decoder writes.
    """
    most = 2 * each
    if wanted <= most:
        return _finding(Outcome.PASS, "context-trained", "both", wanted, most, each=each)
    if bounded:
        return _finding(Outcome.FAIL, "context-too-long", "both", wanted, most, each=each)
    # nothing is short of what sets no bound
    return _finding(Outcome.WARN, "context-untrained", "", wanted, most, each=each).replace(short=0)


def _called(wanted: int, most: int) -> str:
    """`200k` where so many times 1,024 tokens were asked for, and the model has 200,000; empty
    elsewhere.
    """
    for letter, asked_unit, own_unit in (("M", 1 << 20, 10**6), ("k", 1 << 10, 10**3)):
        number, rest = divmod(wanted, asked_unit)
        if not rest and number * own_unit == most:
            return f"{number}{letter}"
    return ""


def _of_decoder(
    wanted: int, trained: int | None, scaled: int | None, workload: Workload, *, context_asked: bool
) -> Finding:
    most = max((limit for limit in (trained, scaled) if limit is not None), default=None)
    if most is None:
        if context_asked:
            return _finding(Outcome.UNKNOWN, "context-not-known", "", wanted, None)
        return _finding(Outcome.PASS, "context-trained", "default", wanted, None)
    if trained is not None and wanted <= trained:
        return _finding(Outcome.PASS, "context-trained", "", wanted, most, trained=trained)
    if scaled is not None and wanted <= scaled:
        return _finding(
            Outcome.WARN, "context-scaled", "", wanted, most, trained=trained, scaled=scaled
        )
    if workload.prompt_tokens is not None and workload.prompt_tokens >= most:
        return _finding(Outcome.FAIL, "context-too-long", "prompt", wanted, most)
    called = _called(wanted, most)
    return _finding(Outcome.FAIL, "context-too-long", "", wanted, most, called=called)


def _finding(
    outcome: Outcome, code: str, variant: str, wanted: int, most: int | None, **figures: Any
) -> Finding:
    """`most`: tokens that the model can use; None is not known."""
    short = None if most is None else max(0, wanted - most)
    return finding(
        outcome, code, variant, needs=wanted, has=most, short=short, unit="tokens", **figures
    )
