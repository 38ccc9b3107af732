"""Outputs that are recognized and hold no figure that a prediction can be held against: why, and
what to give instead.
"""

from __future__ import annotations

from ...core.reading import Unreadable
from ...core.records import pattern

_VERBOSE = 'give what `ollama run MODEL --verbose "Why?"` prints'
_ANSWER = "send the server a prompt, then give its log or the answer's JSON"
_ONE_BY_ONE = "run `vllm bench serve` with --max-concurrency 1"
# a sign that stands in every output of the kind, why it is of no use, and what is; the first whose
# sign the text holds
_KINDS = (
    (
        r"^={3,} Serving Benchmark Result =|^Throughput: |^Avg latency: ",
        "does not tell how many requests ran at once, or not what each took",
        _ONE_BY_ONE,
    ),
    (
        r"^NAME +ID +SIZE +PROCESSOR|\"size_vram\"",
        "tells what Ollama set aside for each model, and no pace",
        _VERBOSE,
    ),
    (
        r"\| NVIDIA-SMI |^=+ ROCm System Management Interface",
        "shows what all programs hold of each GPU, and not what one run took",
        "give the log of the run, or of llama-server with -lv 4",
    ),
    (
        r"\d,\d{1,4} ?(?:ms per token|tokens per second|tokens/s|T/s|t/s)",
        "writes its numbers with a decimal comma",
        "run the program again with LC_ALL=C in front",
    ),
    (
        r"Avg generation throughput|gen throughput \(token/s\)",
        "holds no stretch of time in which the same requests ran from its start to its end",
        "let the server write one answer of a minute, then give its log",
    ),
    (
        r"^# HELP (?:vllm|sglang|llamacpp):|llamacpp:tokens_predicted"
        r'|"default_generation_settings"|"n_ctx_slot"|"next_token"',
        "tells settings or sums of a server, and no run",
        _ANSWER,
    ),
    (
        r"whisper_print_timings:|^Transcribe: |Processing audio with duration",
        "is of a transcription, of which the pace is not compared",
        "ask `selfhost check MODEL` what is predicted of it",
    ),
    (
        r'(?:msg=\\?"|INFO )'
        r"(?:server config|Listening on|model weights|starting (?:\w+ )?(?:runner|server))",
        "is a log of Ollama's server that shows no figures of llama.cpp",
        f"run a model, then give the log again; for the pace, {_VERBOSE}",
    ),
    (
        r"\[LM STUDIO SERVER\]",
        "shows the requests of LM Studio's server, and not how long each took",
        "give what `lms log stream --stats` prints, or an answer of /api/v0/chat/completions",
    ),
    (
        r'"completion_tokens" ?:',
        "counts tokens and tells no time",
        "ask the server's own API: /api/chat of Ollama, /completion of llama-server,"
        " /api/v0/chat/completions of LM Studio; or give its log",
    ),
    (
        r'"done": ?false\}|CtxLimit: ?\d|print_timing: |^main: error: |llama_model_loader: ',
        "ends before an answer does, or shows none that took long enough to be timed",
        "give the whole stream or log of a run that wrote a longer answer",
    ),
)
# a sign stands near the start, or in the last lines
_NEAR = 1_000_000


def refuse(text: str) -> None:
    """Raise `Unreadable` for an output of a known kind; nothing for any other."""
    part = text if len(text) <= 2 * _NEAR else f"{text[:_NEAR]}\n{text[-_NEAR:]}"
    for sign, reason, remedy in _KINDS:
        if pattern(sign, 8).search(part) is not None:
            raise Unreadable(reason, remedy)
