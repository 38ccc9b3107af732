"""What programs print behind each answer: a row of a table for each program.

Ollama prints it with `--verbose`; MLX LM and MLX-VLM always (mlx_lm/generate.py); KoboldCpp in its
log, whose rest is that of llama.cpp; LM Studio by `lms chat --stats` and `lms log stream --stats`
(lmstudio-ai/lms@07b7252d: src/subcommands).
"""

from __future__ import annotations

from collections.abc import Iterator

from ....core.records import Record, pattern
from ..run import Run, Timed, paces_of
from . import llama_log
from .words import MOST_VALUES, positive, whole

TYPE_CHECKING = False

if TYPE_CHECKING:
    from re import Pattern

# Go prints +Inf and NaN for an answer that took no time
_NUMBER = r"[+-]?(?:\d[\d.]{0,400}(?:e[+-]?\d{1,4})?|(?i:inf|nan))"


class _Program(Record):
    """A program that prints the times of its answers. `line` has named groups: `prompt` and
    `prompt_rate`, `tokens` and `rate` (a second), `prompt_seconds` and `seconds`, `held` tokens in
    the context at the end, `context` that there is room for. A group that an answer has already
    begins the next one. `notes`: a sign in the text -> what is then said.
    """

    tool: str
    mark: str
    line: Pattern[str]
    runtime: str = "llama.cpp"
    model: Pattern[str] | None = None
    drafts: Pattern[str] | None = None
    # of later prompts it counts what its cache held back, too
    counts_first_prompt: bool = False
    is_llama_cpp: bool = False
    notes: tuple[tuple[str, str], ...] = ()


_PROGRAMS = (
    # Prompt eval counts of later answers are of the whole chat (ollama/ollama#10860)
    _Program(
        tool="ollama --verbose",
        runtime="ollama",
        mark="eval rate: ",
        line=pattern(
            r"^prompt eval count: +(?P<prompt>\d{1,12}) token\(s\)\s*$"
            rf"|^prompt eval rate: +(?P<prompt_rate>{_NUMBER}) tokens/s\s*$"
            r"|^eval count: +(?P<tokens>\d{1,12}) token\(s\)\s*$"
            rf"|^eval rate: +(?P<rate>{_NUMBER}) tokens/s\s*$"
        ),
        counts_first_prompt=True,
    ),
    # Generation: 100 tokens, 45.123 tokens-per-sec
    _Program(
        tool="mlx_lm",
        runtime="mlx",
        mark="tokens-per-sec",
        line=pattern(
            rf"^Prompt: (?P<prompt>\d{{1,12}}) tokens, (?P<prompt_rate>{_NUMBER}) tokens-per-sec"
            rf"|^Generation: (?P<tokens>\d{{1,12}}) tokens, (?P<rate>{_NUMBER}) tokens-per-sec"
        ),
        model=pattern(r"\bmlx_(?:lm|vlm)[.\w]{0,40} [^\n]{0,400}?--model[ =]([^\s\"']{1,300})"),
        drafts=pattern(r"--draft-model\b|^Draft acceptance:", 8),
        notes=(("Peak memory:", "The peak of MLX's own memory is not compared."),),
    ),
    # CtxLimit:16384/16384, Amt:100/100, Init:0.07s, Process:21.22s (1.3ms/T = 767.28T/s),
    # Generate:23.24s (232.4ms/T = 4.30T/s), Total:44.46s (2.25T/s)
    _Program(
        tool="KoboldCpp",
        mark="CtxLimit:",
        line=pattern(
            r"CtxLimit: ?(?P<held>\d{1,9})/(?P<context>\d{1,9}), "
            r"(?:Amt: ?(?P<tokens>\d{1,9})/\d{1,9}, )?(?:Init: ?\d{1,9}\.\d\ds, )?"
            r"Process: ?(?P<prompt_seconds>\d{1,9}\.\d\d)s "
            r"\((?:\d{1,9}\.\dms/T = )?(?P<prompt_rate>\d{1,9}\.\d\d)T/s\), "
            r"Generate: ?(?P<seconds>\d{1,9}\.\d\d)s "
            r"\((?:\d{1,9}\.\dms/T = )?(?P<rate>\d{1,9}\.\d\d)T/s\)"
        ),
        # of the benchmark; a path and `Loading Text Model: ` before a chat
        model=pattern(r"^(?:Model|Loading Text Model): (.{1,400}?)\s*$", 8),
        is_llama_cpp=True,
    ),
    _Program(
        tool="LM Studio",
        mark="okens",
        line=pattern(
            r"^\s*(?:Tokens/Second|tokensPerSecond): (?P<rate>\d[\d.]{0,30})\s*$"
            r"|^\s*(?:Prompt Tokens|promptTokensCount): (?P<prompt>\d{1,12})\s*$"
            r"|^\s*(?:Predicted Tokens|predictedTokensCount): (?P<tokens>\d{1,12})\s*$"
        ),
        model=pattern(r"^modelIdentifier: (\S.{0,300}?)\s*$", 8),
        notes=(
            (
                "",
                "The run does not tell which engine of LM Studio answered: predicted is llama.cpp.",
            ),
        ),
    ),
)
MARKS = tuple(program.mark for program in _PROGRAMS)


def read(text: str) -> Run | None:
    """The answers of the first program whose lines the text holds, together."""
    for program in _PROGRAMS:
        answers = list(_answers(text, program.line)) if program.mark in text else []
        if any("rate" in answer or "prompt_rate" in answer for answer in answers):
            return _run(text, program, answers)
    return None


def _run(text: str, program: _Program, answers: list[dict[str, str]]) -> Run | None:
    drafted = program.drafts is not None and program.drafts.search(text) is not None
    paces = paces_of(list(_timed(answers, program)), drafted=drafted)
    if not paces:
        return None
    run = Run(tool="", runtime=program.runtime)
    notes = [note for sign, note in program.notes if sign in text]
    if program.is_llama_cpp:
        run = llama_log.read(text) or run
        notes += [] if run.memory else ["The log shows no buffers."]
    model = program.model.search(text) if program.model is not None else None
    return run.replace(
        tool=program.tool,
        name=model[1] if model is not None else run.name,
        context_tokens=run.context_tokens or whole(answers[-1].get("context", "")),
        paces=paces,
        notes=tuple(notes),
    )


def _answers(text: str, line: Pattern[str]) -> Iterator[dict[str, str]]:
    """The groups of each answer."""
    fields: dict[str, str] = {}
    count = 0
    for each in text.splitlines():
        match = line.search(each[:1000])
        groups = {} if match is None else match.groupdict()
        groups = {key: value for key, value in groups.items() if value is not None}
        if fields.keys() & groups.keys() and count < MOST_VALUES:
            yield fields
            fields, count = {}, count + 1
        fields |= groups
    if fields:
        yield fields


def _timed(answers: list[dict[str, str]], program: _Program) -> Iterator[Timed]:
    prompt_tokens: int | None = None
    for number, fields in enumerate(answers):
        read_tokens, read_seconds = _time(fields, "prompt", "prompt_rate", "prompt_seconds")
        tokens, seconds = _time(fields, "tokens", "rate", "seconds")
        prompt_tokens = read_tokens or prompt_tokens
        before = max(0, int(fields["held"]) - tokens) if "held" in fields else prompt_tokens
        is_first = not number or not program.counts_first_prompt
        if read_tokens and is_first and "prompt_rate" in fields:
            at = max(0, (before or 0) - read_tokens)
            yield Timed(kind="prompt", tokens=read_tokens, seconds=read_seconds, depth_tokens=at)
        if tokens:
            depth = None if before is None else before + tokens // 2
            yield Timed(kind="decode", tokens=tokens, seconds=seconds, depth_tokens=depth)


def _time(fields: dict[str, str], tokens: str, rate: str, seconds: str) -> tuple[int, float | None]:
    """Tokens and seconds, of which the rate gives the one that is not printed."""
    count = whole(fields.get(tokens, ""))
    units, point, places = fields.get(rate, "").partition(".")
    pace, took = positive(f"{units}{point}{places[:9]}"), positive(fields.get(seconds, ""))
    if seconds in fields:
        if count is None and took is not None and pace is not None:
            count = int(took * pace + 1e-6)
        return (count or 0, took) if took is not None else (0, None)
    return count or 0, None if pace is None or not count else count / pace
