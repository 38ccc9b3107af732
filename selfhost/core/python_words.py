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
# of a Workload, with a text
_TEXTS = ("--quant", "--runtime")
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
# a whole command, which ends a line of a hint
_COMMAND = r"selfhost (check|list)((?: [^\s`]+)*)(?=\n|$)"
_OPTION = (
    r"(leave(?: it)? (?:out )?)?(--[a-z]+(?:-[a-z]+)*)"
    r"""(?:[ =]('[^'\n]*'|"[^"\n]*"|[\w.:/-]*\w))?((?: or [\w.-]+)*)"""
)


def in_python_words(error: SelfhostError) -> None:
    """Reword that error in place; one that names no option stays as it is."""
    error.message = _reworded(error.message)
    remedy = error.remedy_in_python or error.remedy
    error.remedy = error.remedy_in_python = None if remedy is None else _reworded(remedy)
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
    if "--" not in text and "selfhost " not in text:
        return text
    import re

    text = re.sub(_COMMAND, _called, text)
    # a command in backticks is to be typed in a shell, but an option alone is not
    parts = re.split(r"(`(?!--)[^`\n]*`)", text)
    return "".join(
        part
        if part.startswith("`") and not part.startswith("`--")
        else re.sub(_OPTION, _said, part)
        for part in parts
    )


def _called(command: re.Match[str]) -> str:
    """The call that answers as the command does; the command in backticks, to be typed in a shell,
    where no call is known to.
    """
    import shlex

    try:
        name, words = command[1], shlex.split(command[2])
    except ValueError:
        return f"`{command[0]}`"
    bare = [word for word in words if not word.startswith("-")]
    call = None
    if name == "check" and bare and words[0] == bare[0]:
        call = _check_called(words[0], words[1:])
    elif words == ["--all"]:
        call = "rank().models"
    elif len(words) == 2 and words[0] in ("--use", "--modality"):
        call = f'rank({_ARGUMENTS[words[0]]}="{words[1]}")'
    return call or f"`{command[0]}`"


def _check_called(model: str, options: list[str]) -> str | None:
    """`check("gpt2", Workload(quantization="Q8_0"))`; None with an option that is no text of a
    Workload.
    """
    if model == "NAME" and options == ["--specs", "DIR"]:
        return "check(NAME, specs=[DIR])"
    arguments = dict(zip(options[::2], options[1::2], strict=False))
    if len(options) % 2 or not all(flag in _TEXTS for flag in arguments):
        return None
    asked = ", ".join(f'{_ARGUMENTS[flag]}="{value}"' for flag, value in arguments.items())
    text = repr(model) if '"' in model or "\\" in model else f'"{model}"'
    what = f"Path({text})" if model.startswith("./") else text
    return f"check({what}, Workload({asked}))" if asked else f"check({what})"


def _said(option: re.Match[str]) -> str:
    before, flag, value = option[1] or "", option[2], option[3]
    name = _ARGUMENTS.get(flag)
    if flag in _CHOSEN:
        is_left_out = bool(before) and name is not None
        return _named(option, name if is_left_out and name else _CHOSEN[flag])
    if name is None:
        return option[0]
    if value is None or value in _NO_VALUE:
        return _named(option, name)
    return _with_value(option, name, value.strip("'\""))


def _with_value(option: re.Match[str], name: str, value: str) -> str:
    """The argument with a value as Python writes it, and with what else it may be."""
    before, others = option[1] or "", option[4] or ""
    if name == "specs":
        return f'{before}specs=["{value}"]{others}'
    if name == "audio_seconds":
        value = value.removesuffix("s")
    if value.replace(",", "").replace(".", "", 1).isdecimal():
        stated: str | None = value
    elif name.endswith(("_bytes", "_tokens", "_second")):
        stated = _number_of(name, value)
    else:
        stated = f'"{value}"'
    if stated is None:
        # without a number the argument is named alone
        return f"{before}{name}{others}"
    more = "".join(f' or "{word}"' for word in others.split(" or ")[1:])
    return f"{before}{name}={stated}{more}"


def _named(option: re.Match[str], name: str) -> str:
    """The argument without a value, with the words that stood around the option."""
    rest = f" {option[3]}" if option[3] else ""
    return f"{option[1] or ''}{name}{rest}{option[4] or ''}"


def _number_of(key: str, value: str) -> str | None:
    """`4294967296` for `4GiB`, as an argument is written; None where it is no number."""
    from .quantities import parse_bytes, parse_tokens

    parse = parse_bytes if "bytes" in key else parse_tokens
    try:
        return f"{parse(value):_}"
    except ValueError:
        return None
