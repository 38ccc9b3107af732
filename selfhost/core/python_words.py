"""What an error says, for a program: arguments of the Python functions where the same sentence has
options for the command line.
"""

from __future__ import annotations

from .errors import InputError, SelfhostError
from .workload import FLAGS

TYPE_CHECKING = False

if TYPE_CHECKING:
    import re

# options of which Python has an argument beside those of a Workload
_ARGUMENTS = {
    **{flag: key for key, flag in FLAGS.items()},
    "--machine": "machine",
    "--gpu": "machine",
    "--specs": "specs",
    "--use": "use",
    "--modality": "modality",
    "--prices": "prices",
    "--prompt-cache": "prompt_cache_bytes",
}
# without a value: what is written to choose them
_CHOSEN = {
    "--no-checkpointing": "checkpointing=False",
    "--measure": "machine=Machine.read(measure=True)",
    **{f"--{key}": f"{key}=True" for key in ("private", "commercial", "modify", "auditable")},
}
# begin what follows an option that is only named: `leave out --quant to use …`
_NO_VALUE = frozenset(
    [
        "a", "and", "as", "else", "for", "has", "holds", "in", "is", "it", "judges", "keeps", "may",
        "named", "needs", "or", "out", "puts", "states", "takes", "than", "that", "the", "there",
        "to", "which", "with", "without",
    ]
)  # fmt: skip
# lines of hints that name whole commands
_LINES = {
    "selfhost check ./config.json": 'check(Path("config.json"))',
    "selfhost list --all": "rank().models",
    "selfhost check NAME --specs DIR": "check(NAME, specs=[DIR])",
    "state it (--set memory=16GiB --set cores=8 --set bandwidth=40GB/s)": (
        'what it has (machine="vm 8 vcpu 16GB")'
    ),
}
_OPTION = (
    r"(leave(?: it)? (?:out )?)?(--[a-z]+(?:-[a-z]+)*)"
    r"""(?:[ =]('[^'\n]*'|"[^"\n]*"|[\w.:/-]*\w))?((?: or [\w.-]+)*)"""
)


def in_python_words(error: SelfhostError) -> None:
    """Reword that error in place; one that names no option stays as it is."""
    error.message = _reworded(error.message)
    error.remedy = None if error.remedy is None else _reworded(error.remedy)
    if isinstance(error, InputError) and error.problems:
        error.problems, error.all_problems = (
            tuple(
                each.replace(
                    message=_reworded(each.message),
                    remedy=None if each.remedy is None else _reworded(each.remedy),
                )
                for each in problems
            )
            for problems in (error.problems, error.all_problems)
        )
        error.message = "\n".join(map(str, error.problems))
    error.args = (error.message, *error.args[1:])


def _reworded(text: str) -> str:
    """The text with arguments for options: `quantization="Q4_K_M"` for `--quant Q4_K_M`."""
    if "--" not in text:
        return text
    import re

    for line, call in _LINES.items():
        text = text.replace(line, call)
    # a command in backticks is to be typed in a shell, but an option alone is not
    parts = re.split(r"(`(?!--)[^`\n]*`)", text)
    return "".join(
        part
        if part.startswith("`") and not part.startswith("`--")
        else re.sub(_OPTION, _said, part)
        for part in parts
    )


def _said(option: re.Match[str]) -> str:
    before, flag, value, others = option[1] or "", option[2], option[3], option[4] or ""
    name = _ARGUMENTS.get(flag)
    if flag in _CHOSEN:
        is_left_out = bool(before) and name is not None
        rest = f" {value}" if value else ""
        return f"{before}{name if is_left_out else _CHOSEN[flag]}{rest}{others}"
    if name is None:
        return option[0]
    if value is None or value in _NO_VALUE:
        return f"{before}{name}{f' {value}' if value else ''}{others}"
    if name == "audio_seconds":
        value = value.removesuffix("s")
    bare = value.strip("'\"")
    is_number = bare.replace(",", "").replace(".", "", 1).isdecimal() and flag != "--specs"
    more = "".join(f' or "{word}"' for word in others.split(" or ")[1:])
    if flag == "--specs":
        return f'{before}specs=["{bare}"]{others}'
    stated = bare if is_number else f'"{bare}"'
    return f"{before}{name}={stated}{more}"
