"""The contract's row `context`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from helpers.machines import VM
from judge.small import SPEC, T5, WORK, arch, cell_tests, found, question, work
from selfhost import Workload, check
from selfhost.catalogue.spec import StatedNeeds
from selfhost.judge.checks import Finding, reads_context


def heard(audio_seconds: int, longest_seconds: int | None = None) -> Finding:
    """Of a model that hears, by what is stated of recordings beside its memory."""
    spec = SPEC.replace(
        modality="speech",
        architecture=None,
        needs=StatedNeeds(low_bytes=10**9, high_bytes=2 * 10**9, longest_seconds=longest_seconds),
    )
    asked = WORK.replace(context_tokens=None, audio_seconds=audio_seconds)
    return found("context", question(spec=spec, workload=asked))


# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "context-trained"): lambda: found("context"),
    ("warn", "context-scaled"): lambda: found(
        "context",
        question(
            spec=SPEC.replace(architecture=arch(scaled_context_tokens=131072)),
            workload=WORK.replace(context_tokens=65536),
            context_asked=True,
        ),
    ),
    ("warn", "context-untrained"): lambda: found(
        "context",
        question(rewriting=T5, workload=WORK.replace(context_tokens=65537), context_asked=True),
    ),
    ("unknown", "context-not-known"): lambda: found(
        "context",
        question(spec=SPEC.replace(architecture=arch(context_tokens=None)), context_asked=True),
    ),
    ("warn", "context-unmeasured"): lambda: heard(3600),
    ("fail", "context-recording-too-long"): lambda: heard(3600, longest_seconds=1800),
    ("fail", "context-too-long"): lambda: found("context", work(context_tokens=65536)),
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


def test_a_prompt_beyond_the_model_is_not_told_to_take_a_context_that_does_not_hold_it() -> None:
    """The remedy for a long context is a shorter one, for a long prompt a shorter prompt."""
    stated = found("context", work(context_tokens=65536))
    asked = found("context", work(context_tokens=65536, prompt_tokens=60000))
    assert (stated.remedy or "").startswith("--context ")
    assert (asked.remedy or "").startswith("shorten the prompt")


def test_the_remedy_of_a_recording_too_long_is_one_that_is_heard() -> None:
    finding = heard(36_000, longest_seconds=1800)
    assert (finding.needs, finding.has, finding.unit) == (36_000, 1800, "seconds")
    assert (finding.remedy or "").endswith("--audio 1800s")


def test_a_context_in_k_of_a_model_that_counts_thousands_is_told_which_is_meant() -> None:
    """`--context 200k` is 204,800 tokens; the model that is sold with 200k takes 200,000."""
    named = check("granite-8b-code-instruct-128k", Workload(context_tokens=131_072), machine=VM)
    other = check("granite-8b-code-instruct-128k", Workload(context_tokens=132_096), machine=VM)
    finding, plain = (each.finding("context") for each in (named, other))
    assert finding is not None
    assert plain is not None
    said = "--context 128000, which it calls 128k: k is 1,024 tokens here"
    assert finding.remedy == said
    assert plain.remedy == "--context 128000"


@pytest.mark.parametrize("model", ["phi-4-multimodal-instruct", "moondream2"])
def test_a_prompt_asks_for_the_context_of_a_model_whose_layers_are_not_known(model: str) -> None:
    """One of a million tokens ran on models that nobody knows to use so many."""
    judged = check(model, Workload(prompt_tokens=1_000_000), machine="rtx 4090 128gb")
    assert "context-not-known" in {finding.code for finding in judged.findings}
    shorter = check(model, Workload(prompt_tokens=500), machine="rtx 4090 128gb")
    assert "context-not-known" not in {finding.code for finding in shorter.findings}
