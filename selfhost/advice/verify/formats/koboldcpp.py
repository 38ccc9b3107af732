"""What KoboldCpp prints behind each answer, and its benchmark (LostRuins/koboldcpp@2da346a5:
gpttype_adapter.cpp). The rest of its log is that of llama.cpp.
"""

from __future__ import annotations

from ....core.records import pattern
from ..run import Run, SeenPace
from . import llama_log
from .words import whole

MARKS = ("CtxLimit:",)
# CtxLimit:16384/16384, Amt:100/100, Init:0.07s, Process:21.22s (1.3ms/T = 767.28T/s),
# Generate:23.24s (232.4ms/T = 4.30T/s), Total:44.46s (2.25T/s)
_ANSWER = pattern(
    r"CtxLimit: ?(\d{1,9})/(\d{1,9}), (?:Amt: ?(\d{1,9})/\d{1,9}, )?(?:Init: ?\d{1,9}\.\d\ds, )?"
    r"Process: ?(\d{1,9}\.\d\d)s \((?:\d{1,9}\.\dms/T = )?(\d{1,9}\.\d\d)T/s\), "
    r"Generate: ?(\d{1,9}\.\d\d)s \((?:\d{1,9}\.\dms/T = )?(\d{1,9}\.\d\d)T/s\)"
)
# of the benchmark; a path and `Loading Text Model: ` before a chat
_MODEL = pattern(r"^(?:Model|Loading Text Model): (.{1,400}?)\s*$", 8)


def read(text: str) -> Run | None:
    """All tokens of the answers over all their time."""
    # kind -> tokens, seconds, and tokens times those that stood in the context
    sums = {"prompt": [0.0, 0.0, 0.0], "decode": [0.0, 0.0, 0.0]}
    context: int | None = None
    answers = 0
    for line in text.splitlines():
        match = _ANSWER.search(line[:1000]) if MARKS[0] in line else None
        if match is None:
            continue
        held, context = int(match[1]), whole(match[2])
        read_tokens = float(match[4]) * float(match[5])
        written = float(match[3] or float(match[6]) * float(match[7]))
        before_answer = max(0.0, held - written)
        answers += 1
        for kind, tokens, seconds, depth in (
            ("prompt", read_tokens, float(match[4]), max(0.0, before_answer - read_tokens)),
            ("decode", written, float(match[6]), before_answer + written / 2),
        ):
            if seconds > 0 and tokens >= 1:
                sums[kind] = [
                    before + more
                    for before, more in zip(
                        sums[kind], (tokens, seconds, tokens * depth), strict=True
                    )
                ]
    paces = tuple(
        SeenPace(
            kind=kind,
            tokens_per_second=tokens / seconds,
            tokens=round(tokens / answers),
            depth_tokens=round(depths / tokens),
        )
        for kind, (tokens, seconds, depths) in sums.items()
        if seconds
    )
    if not paces:
        return None
    loaded, model = llama_log.read(text) or Run(tool=""), _MODEL.search(text)
    return loaded.replace(
        tool="KoboldCpp",
        name=model[1] if model is not None else loaded.name,
        context_tokens=loaded.context_tokens or context,
        paces=paces,
        notes=() if loaded.memory else ("The log shows no buffers.",),
    )
