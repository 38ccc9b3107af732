"""The contract's row `context`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

import pytest

from judge.small import SPEC, T5, WORK, Cells, arch, at, cell_tests, question, work
from selfhost.catalogue.spec import StatedNeeds
from selfhost.judge.checks.model import reads_context
from selfhost.judge.record import Question
from selfhost.machine.record import Machine


def heard(audio_seconds: int, longest_seconds: int | None = None) -> tuple[Question, Machine]:
    """Of a model that hears, by what is stated of recordings beside its memory."""
    spec = SPEC.replace(
        modality="speech",
        architecture=None,
        needs=StatedNeeds(low_bytes=10**9, high_bytes=2 * 10**9, longest_seconds=longest_seconds),
    )
    asked = WORK.replace(context_tokens=None, audio_seconds=audio_seconds)
    return at(question(spec=spec, workload=asked))


CELLS: Cells = {
    ("pass", "context-trained"): at(),
    ("warn", "context-scaled"): at(
        question(
            spec=SPEC.replace(architecture=arch(scaled_context_tokens=131072)),
            workload=WORK.replace(context_tokens=65536),
            context_asked=True,
        )
    ),
    ("warn", "context-untrained"): at(
        question(rewriting=T5, workload=WORK.replace(context_tokens=65537), context_asked=True)
    ),
    ("unknown", "context-not-known"): at(
        question(spec=SPEC.replace(architecture=arch(context_tokens=None)), context_asked=True)
    ),
    ("warn", "context-unmeasured"): heard(3600),
    ("fail", "context-recording-too-long"): heard(3600, longest_seconds=1800),
    ("fail", "context-too-long"): at(work(context_tokens=65536)),
}


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("context", CELLS)


@pytest.mark.parametrize(
    ("modality", "use", "inputs", "has_context"),
    [
        ("text", "chat", None, True),
        ("vision", "chat", ("text", "image"), True),
        ("embedding", None, None, True),
        ("embedding", "reranking", None, True),
        ("embedding", "image-text-matching", ("image", "text"), False),
        ("embedding", "image-encoder", ("image",), False),
        ("speech", "speech-recognition", ("audio",), False),
        ("speech", "speech-synthesis", ("text", "audio"), False),
        ("speech", "speech-recognition", ("audio", "text"), True),
        ("image", "image-generation", ("text",), False),
        ("video", "video-generation", ("text",), False),
        ("music", "music-generation", ("text",), False),
    ],
)
def test_a_context_is_one_of_what_reads_texts(
    modality: str, use: str | None, inputs: tuple[str, ...] | None, has_context: bool
) -> None:
    """A text beside a recording is a prompt; one that is read aloud, or a caption, is none."""
    uses = None if use is None else (use,)
    spec = SPEC.replace(modality=modality, uses=uses, inputs=inputs)
    assert reads_context(spec) is has_context
