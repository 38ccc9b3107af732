"""The options and words of each command, as declared in `specs/common/options.toml`, in the order
of `--help`. `parser.py` makes argparse's arguments of them, `completion.py` offers them to a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from keyword import iskeyword

from ..catalogue.runtime_parts import CLUSTER_SPLITS
from ..catalogue.spec_values import MODALITIES, OPENNESS, USES
from ..core.records import Record, Stated
from ..core.tables import TomlRow, program_record
from ..core.templates import fill
from ..core.units import (
    parse_count,
    parse_number,
    parse_rate,
    parse_seconds,
    parse_size,
    parse_tokens,
    parse_wait,
    parse_whole,
)
from ..core.workload import (
    FINETUNE_METHODS,
    FLAGS,
    KV_CACHE_CHOICES,
    OPTIMIZERS,
    cache_type,
)

# values of options that the table omits, because other modules define them
CHOICES: Mapping[str, Sequence[str]] = {
    "--split": CLUSTER_SPLITS,
    "--kv-cache": KV_CACHE_CHOICES,
    "--method": FINETUNE_METHODS,
    "--optimizer": OPTIMIZERS,
    "--modality": MODALITIES,
    "--use": USES,
    "--openness": OPENNESS,
}
# the field of a Workload, or of its Load, that an option states
_FIELDS = {flag: field for field, flag in FLAGS.items()}
# of more choices than the first number, the short help has so many
_MANY_CHOICES = 8
_FEW_CHOICES = 5
# a Load is made from the two figures in this text
_FIELDS["--tokens-per-day"] = "load"


class Option(Record):
    """An option of a command: a switch, or a flag with a value."""

    # the names as typed: `("-v", "--verbose")`
    names: tuple[str, ...]
    help: str
    # the placeholder for the value in the help; None makes the option a switch
    metavar: str | None = None
    # the reader of the value: a key of `READERS`
    type: str = "text"
    # all possible values; empty where any text is allowed
    choices: Sequence[str] = ()
    # the value if the option is not typed, unless `is_of_workload`
    default: str | None = None
    # whether the option may be typed several times; its values make a list
    is_repeatable: bool = False
    # what stands between the values of an option that may be typed several times and is one text
    joiner: str = ""
    # whether the option takes several values at once
    is_list: bool = False
    # the value that a switch sets
    states: bool = True

    @property
    def long_names(self) -> list[str]:
        """The names that begin with two dashes: `["--parallel", "--users"]`."""
        return [name for name in self.names if name.startswith("--")]

    @property
    def flag(self) -> str:
        """The long name of the option."""
        return self.long_names[0]

    @property
    def short_help(self) -> str:
        """The help with the first of many choices."""
        if len(self.choices) <= _MANY_CHOICES:
            return self.help
        few = ", ".join([*self.choices[:_FEW_CHOICES], "…"])
        return self.help.replace(", ".join(self.choices), few)

    @property
    def destination(self) -> str:
        """The attribute of the parsed options that holds its value."""
        flag = self.flag
        if flag in _FIELDS:
            return _FIELDS[flag]
        name = flag.removeprefix("--").replace("-", "_")
        # a word of Python is no attribute
        return f"{name}_" if iskeyword(name) else name

    @property
    def is_of_workload(self) -> bool:
        """Whether the option states a field of a Workload or Load, which know their defaults
        themselves.
        """
        return self.flag in _FIELDS

    def read(self, text: str) -> object:
        """Return the value that the text states. Raises `ValueError` for a wrong text."""
        if not text.strip():
            raise ValueError(f"expected a value, got {text!r}")
        if "\0" in text:
            raise ValueError(f"{text!r} contains a NUL byte")
        return READERS[self.type](text)


class Positional(Record):
    """A word of a command that is no option, or several such words."""

    name: str
    help: str
    metavar: str
    choices: Sequence[str] = ()
    default: str | None = None
    is_list: bool = False
    # the most values of a list; None: any number
    most: int | None = None
    is_optional: bool = False


@cache
def options_of(command: str) -> tuple[Option, ...]:
    """The options of a command, in the order of its help."""
    table = options_table()
    options = []
    for typed in _names_taken(table, command):
        names = tuple(typed.split("/"))
        flag = next(name for name in names if name.startswith("--"))
        if flag == "--format":
            options.append(_format_option(command))
            continue
        row = table.option[flag]
        choices: Sequence[str] = row.get("choices", ())
        if not choices:
            choices = CHOICES.get(flag, ())
        listed = ", ".join(choices)
        completed = {
            **row,
            "choices": choices,
            "help": fill(row["help"], {"choices": listed}),
        }
        options.append(Option(names=names, **completed))
    return tuple(options)


def positionals_of(command: str) -> list[Positional]:
    """The words of a command, in the order in which they are typed."""
    rows = options_table().words[command]
    return [Positional(name=name, **row) for name, row in rows.items()]


def see_help(command: str) -> str:
    """Return the remedy where no better one is known: to see the help."""
    return f"see `selfhost {command} --help`"


def formats_of(command: str) -> Sequence[str]:
    """Return the values of --format for a command. The formats of `audit` are listed elsewhere."""
    others = options_table().formats.get(command, ())
    return ("text", "json", *others)


class _OptionsTable(Stated):
    """`specs/common/options.toml`, whose comments explain each table."""

    schema: int
    common: str
    taken: Mapping[str, str]
    groups: Mapping[str, str]
    formats: Mapping[str, Sequence[str]]
    usage: Mapping[str, str]
    # rows of `Positional` by command and name, and rows of `Option` by command and flag
    words: Mapping[str, Mapping[str, TomlRow]]
    option: Mapping[str, TomlRow]


@cache
def options_table() -> _OptionsTable:
    """The table that comes with the program."""
    return program_record(_OptionsTable, "options")


def _names_taken(table: _OptionsTable, command: str) -> Iterator[str]:
    """Yield the options that a command takes, those of a group one by one. A `/` is between the
    names of an option.
    """
    for word in table.taken[command].split():
        if word in table.groups:
            yield from table.groups[word].split()
        else:
            yield word


def _format_option(command: str) -> Option:
    """The option `--format`, with the formats of the command. An audit writes several at once."""
    names = ("--format",)
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        listed = ", ".join(FORMATS)
        return Option(
            names=names,
            help=f"{listed} (--json for short); =FILE writes it there",
            metavar="NAME[=FILE]",
            is_repeatable=True,
        )
    formats = formats_of(command)
    listed = ", ".join(formats)
    return Option(
        names=names,
        help=f"{listed} (--json for short)",
        metavar="NAME",
        choices=formats,
        default="text",
    )


def _day(text: str) -> str:
    """The day that the text states, as policies write it. Raises `ValueError`."""
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write YYYY-MM-DD") from None


def _rows(text: str) -> int:
    """The number of rows that the text states. Raises `ValueError`."""
    rows = parse_whole(text)
    if rows < 1:
        raise ValueError(f"must be at least 1, not {rows}")
    return rows


# readers by the `type` of an option in the table; each raises `ValueError` with the fault
READERS: Mapping[str, Callable[[str], object]] = {
    "text": str,
    "tokens": parse_tokens,
    "size": parse_size,
    "day": _day,
    "rows": _rows,
    "cache": cache_type,
    "count": parse_count,
    "number": parse_number,
    "rate": parse_rate,
    "seconds": parse_seconds,
    "wait": parse_wait,
    "whole": parse_whole,
}
