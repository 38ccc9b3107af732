"""Outputs that are recognized and hold no figure that a prediction can be held against: why, and
what to give instead.
"""

from __future__ import annotations

from ...core.reading import Unreadable
from ...core.records import Record, pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    import re


class _Unusable(Record):
    """`sign` stands in every output of the kind; `reason` follows the name of the file."""

    sign: re.Pattern[str]
    reason: str
    remedy: str


def _kind(sign: str, reason: str, remedy: str) -> _Unusable:
    return _Unusable(sign=pattern(sign, 8), reason=reason, remedy=remedy)


_VERBOSE = 'give what `ollama run MODEL --verbose "Why?"` prints'
_SETTINGS = (
    "send the server a prompt, then give its log, the answer's JSON, or of llama-server what"
    " `curl http://127.0.0.1:8080/metrics` prints (started with --metrics)"
)
# the first whose sign the text holds
_KINDS = (
    _kind(
        r"^={3,} Serving Benchmark Result =",
        "does not tell how many requests ran at once, or not what each took",
        "run the benchmark with --max-concurrency 1",
    ),
    _kind(
        r"^NAME +ID +SIZE +PROCESSOR|\"size_vram\"",
        "tells what Ollama set aside for each model, and no pace",
        _VERBOSE,
    ),
    _kind(
        r"\| NVIDIA-SMI |^=+ ROCm System Management Interface",
        "shows what all programs hold of each GPU, and not what one run took",
        "give the log of the run, or of llama-server with -lv 4",
    ),
    _kind(
        r"\d,\d{1,4} ?(?:ms per token|tokens per second|tokens/s|T/s|t/s)",
        "writes its numbers with a decimal comma",
        "run the program again with LC_ALL=C in front",
    ),
    _kind(
        r"Avg generation throughput|gen throughput \(token/s\)",
        "holds no stretch of time in which the same requests ran from its start to its end",
        "let the server write one answer of a minute, then give its log",
    ),
    _kind(
        r"llamacpp:tokens_predicted_seconds_total",
        "is of a server that has answered nothing yet",
        "send it a prompt, and ask for its metrics again",
    ),
    _kind(
        r"^# HELP vllm:|^# HELP sglang:",
        "sums up all requests, and does not tell how many ran at once",
        "give the server's log",
    ),
    _kind(
        r'"default_generation_settings"|"n_ctx_slot"|"next_token"',
        "tells the settings of a server, and no run",
        _SETTINGS,
    ),
    _kind(
        r"whisper_print_timings:|^Transcribe: |Processing audio with duration",
        "is of a transcription, of which the pace is not compared",
        "ask `selfhost check MODEL` what is predicted of it",
    ),
    _kind(
        r'(?:msg=\\?"|INFO )(?:server config|Listening on|starting (?:\w+ )?(?:runner|server))',
        "is a log of Ollama's server that shows no model being loaded",
        "run a model, then give the log again; for the pace, " + _VERBOSE,
    ),
    _kind(
        r'"done": ?false\}',
        "ends before the answer does, with whose last object Ollama tells the times",
        "give the whole stream, to its object with eval_duration",
    ),
    _kind(
        r"^\[LM STUDIO SERVER\]|\] \[LM STUDIO SERVER\]|\[INFO\] \[LM STUDIO",
        "shows the requests of LM Studio's server, and not how long each took",
        "give what `lms log stream --stats` prints, or an answer of /api/v0/chat/completions",
    ),
    _kind(
        r"CtxLimit: ?\d",
        "shows no answer that took long enough to be timed",
        "let it write a longer one",
    ),
    _kind(
        r'"completion_tokens" ?:',
        "counts tokens and tells no time",
        "ask the server's own API: /api/chat of Ollama, /completion of llama-server,"
        " /api/v0/chat/completions of LM Studio; or give its log",
    ),
    _kind(
        r"^Output generated in \d",
        "gives one pace for reading the prompt and writing the answer",
        "give the whole log, in which the loader tells both",
    ),
    _kind(
        r"^Namespace\(.{0,4000}\bbatch_size=|^Throughput: |^Avg latency: ",
        "does not tell how many requests ran at once, or how long their answers were",
        "run `vllm bench serve` with --max-concurrency 1",
    ),
    _kind(
        r"llama_model_loader: |llama_model_load: |^main: error: ",
        "ends before the model was loaded",
        "give the log of a run that wrote an answer",
    ),
)
# a sign stands near the start, or in the last lines
_ASKED = 1_000_000


def refuse(text: str) -> None:
    """Raise `Unreadable` for an output of a known kind; nothing for any other."""
    part = text if len(text) <= 2 * _ASKED else f"{text[:_ASKED]}\n{text[-_ASKED:]}"
    for kind in _KINDS:
        if kind.sign.search(part) is not None:
            raise Unreadable(kind.reason, kind.remedy)
