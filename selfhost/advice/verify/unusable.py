"""Outputs that are recognized and hold no figure that a prediction can be held against: why, and
what to give instead.
"""

from __future__ import annotations

from ...core.files import Unreadable
from ...core.records import pattern

_VERBOSE = 'give what `ollama run MODEL --verbose "Why?"` prints'
_ANSWER = "send the server a prompt, then give its log or the answer's JSON"
_ONE_BY_ONE = "run `vllm bench serve` with --max-concurrency 1"
# a sign that stands in every output of the kind, why it is of no use, and what is; the first whose
# sign the text holds
_KINDS = tuple(
    (pattern(sign, 8), reason, remedy)
    for sign, reason, remedy in (
        (
            r"^={3,} Serving Benchmark Result =",
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
            r"^# HELP (?:vllm|sglang|llamacpp):|llamacpp:tokens_predicted",
            "sums up all requests, and does not tell how many ran at once",
            _ANSWER,
        ),
        (
            r'"default_generation_settings"|"n_ctx_slot"|"next_token"',
            "tells the settings of a server, and no run",
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
            "run a model, then give the log again; for the pace, " + _VERBOSE,
        ),
        (
            r'"done": ?false\}',
            "ends before the answer does, with whose last object Ollama tells the times",
            "give the whole stream, to its object with eval_duration",
        ),
        (
            r"^\[LM STUDIO SERVER\]|\] \[LM STUDIO SERVER\]|\[INFO\] \[LM STUDIO",
            "shows the requests of LM Studio's server, and not how long each took",
            "give what `lms log stream --stats` prints, or an answer of /api/v0/chat/completions",
        ),
        (
            r"CtxLimit: ?\d",
            "shows no answer that took long enough to be timed",
            "let it write a longer one",
        ),
        (
            r'"completion_tokens" ?:',
            "counts tokens and tells no time",
            "ask the server's own API: /api/chat of Ollama, /completion of llama-server,"
            " /api/v0/chat/completions of LM Studio; or give its log",
        ),
        (
            r"^Namespace\(.{0,4000}\bbatch_size=|^Throughput: |^Avg latency: ",
            "does not tell how many requests ran at once, or how long their answers were",
            _ONE_BY_ONE,
        ),
        (
            r"llama_model_loader: |llama_model_load: |^main: error: |print_timing: ",
            "ends before an answer does",
            "give the log of a run that wrote an answer",
        ),
    )
)
# a sign stands near the start, or in the last lines
_NEAR = 1_000_000


def refuse(text: str) -> None:
    """Raise `Unreadable` for an output of a known kind; nothing for any other."""
    part = text if len(text) <= 2 * _NEAR else f"{text[:_NEAR]}\n{text[-_NEAR:]}"
    for sign, reason, remedy in _KINDS:
        if sign.search(part) is not None:
            raise Unreadable(reason, remedy)
