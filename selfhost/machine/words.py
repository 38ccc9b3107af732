"""The words of a description of a machine, in one spelling each, and why a description is refused.

What goes in: a text that somebody typed, such as `2x 3090, 64 gb ddr4`. What comes out: its words
(`tokens`), and the errors for texts that name nothing or two things (`bad_name`). The meaning of
each word stands in specs/common/words.toml (`vocabulary`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property

from ..core.errors import SelfhostError
from ..core.records import Stated, read_by, shortened
from ..core.tables import TomlTable, shipped_record
from ..core.templates import fill
from .cpus import number_words

# the separator between the parts of a description
BREAK = "|"
_BETWEEN_PARTS = re.compile(r"[,;:/()+&|\[\]@!?]+")
_BETWEEN_WORDS = re.compile(r"[^\w.|]+|_")
# letters of scripts without spaces, in which words need no separator: `16기가`
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# sizes of small modules of RAM that could also be a number of modules
_SIZES_OF_MODULES_GB = (1, 2, 4, 8, 16)


def has_digit(text: str) -> bool:
    """Whether a text has a digit."""
    return any(map(str.isdecimal, text))


def fits(shape: str, word: str) -> bool:
    """Whether a regular expression matches a word as a whole."""
    return re.fullmatch(shape, word, re.ASCII) is not None


class UnknownMachineError(SelfhostError, LookupError):
    """Raised where no profile has the name. `nearest` are names of profiles, the closest first."""


class UnknownGpuError(SelfhostError, LookupError):
    """Raised where no GPU that is sold as a card has the name. `nearest` are names of such GPUs."""


class PartOfMachineError(UnknownGpuError):
    """Raised for a GPU whose memory is its machine's RAM, so that it comes with the machine
    alone.
    """


class GpuCountError(UnknownGpuError):
    """Raised where a text names a GPU with a count that is not judged."""


_ERRORS = {
    "machine": UnknownMachineError,
    "gpu": UnknownGpuError,
    "part": PartOfMachineError,
    "count": GpuCountError,
}


def _as_written(table: TomlTable, key: str) -> object:
    """The value of the key as it is, even where it is blank."""
    return table.get(key, "Any")


class Spoken(Stated):
    """Words of another language or of everyday speech, and what they mean."""

    words: tuple[str, ...]
    means: str = read_by(_as_written, default="")


class Replacement(Stated):
    """A regular expression, and the replacement of each match: the template `put`, or the result of
    the function named `by`.
    """

    find: str
    put: str = read_by(_as_written, default="")
    by: str | None = None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.find)

    def applied_to(self, text: str) -> str:
        """The text with each match replaced."""
        by = self.put if self.by is None else _FUNCTIONS[self.by]
        return self._pattern.sub(by, text)


class Refusal(Stated):
    """The reason why a description is refused, and what to type instead. `error` is a key of
    _ERRORS.
    """

    message: str = read_by(name="is")
    remedy: str
    error: str = "machine"


class Shapes(Stated):
    """Regular expressions of words, which the table explains."""

    gpu_part: str
    zero: str
    no_number: str
    nothing: str
    mac: str
    mobile: str
    card: str


class SettingRow(Stated):
    """A key of `--set`.

    - `facts` are the facts that the key states, and `lost` those that it makes untrue.
    - `also` are other names of the key.
    - `choices` are the only values that the key takes; without choices it takes any value.
    """

    example: str
    facts: tuple[str, ...]
    lost: tuple[str, ...]
    also: tuple[str, ...]
    choices: tuple[str, ...] = ()


class Vocabulary(Stated):
    """`specs/common/words.toml`, whose header says what each list is for."""

    schema: int
    idle: frozenset[str]
    gpu_idle: frozenset[str]
    left_out: frozenset[str]
    forms: frozenset[str]
    unsaid: frozenset[str]
    computers: frozenset[str]
    cards: frozenset[str]
    laptops: frozenset[str]
    lines: frozenset[str]
    numbered: frozenset[str]
    guests: frozenset[str]
    containers: frozenset[str]
    of_computers: frozenset[str]
    with_screens: frozenset[str]
    clusters: frozenset[str]
    either: frozenset[str]
    vague: frozenset[str]
    denied: frozenset[str]
    of_sizes: frozenset[str]
    gpus_inside: tuple[tuple[str, ...], ...]
    desktops: frozenset[str]
    macs: frozenset[str]
    not_apple: frozenset[str]
    graphics: frozenset[str]
    no_kind: frozenset[str]
    gpu_words: frozenset[str]
    suffixes: frozenset[str]
    numberless: frozenset[str]
    phones: frozenset[str]
    chips: frozenset[str]
    spoken: tuple[Spoken, ...]
    rewrite: tuple[Replacement, ...]
    spelling: tuple[Replacement, ...]
    short: tuple[Replacement, ...]
    shape: Shapes
    same: Mapping[str, str]
    systems: Mapping[str, str]
    former: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, Refusal]
    setting: Mapping[str, SettingRow]
    # `described` reads these
    note: Mapping[str, str]
    unused: Mapping[str, str]


def vocabulary() -> Vocabulary:
    """The table of words, read once."""
    return shipped_record(Vocabulary, "words")


def bad_name(
    code: str,
    text: str,
    nearest: Iterable[str] = (),
    **values: object,
) -> SelfhostError:
    """Return the error for a text that was typed, by its code in `refused` of words.toml. `values`
    fill the templates, and `nearest` as `near`.
    """
    refusal = vocabulary().refused[code]
    plain = shortened(text)
    near = list(nearest)
    values |= {"plain": plain, "text": repr(plain), "near": near}
    message = fill(refusal.message, values)
    remedy = fill(refusal.remedy, values)
    error = _ERRORS[refusal.error]
    return error(message, nearest=near, remedy=remedy)


def ignored_note(why: str, things: Iterable[str]) -> str:
    """The sentence that names what was ignored of a description: `Ignored (not understood): x`."""
    return f"Ignored ({why}): {', '.join(things)}."


def tokens(text: str) -> list[str]:
    """Return the words of a description in order, in one spelling each, with BREAK between its
    parts.

    `2x RTX 3090, 32 GB DDR4` has the words 2x, rtx, 3090, |, 32gbram and ddr4.
    """
    between = f" {BREAK} "
    plain = unicodedata.normalize("NFKC", text).lower()
    # lower-casing the Turkish capital İ leaves this dot
    plain = plain.replace("\u0307", "")
    plain = between.join(plain.splitlines())
    means = _meanings()
    plain = _spoken_words().sub(lambda match: f" {means[match[0]]} ", plain)
    plain = _rewritten(plain, vocabulary().rewrite)
    plain = _BETWEEN_PARTS.sub(between, plain)
    same = vocabulary().same
    words = []
    for piece in plain.split():
        piece_words = _BETWEEN_WORDS.split(piece.strip(".'\""))
        for word in piece_words:
            if word.strip("."):
                words += same.get(word, word).split()
    return words


@cache
def _meanings() -> Mapping[str, str]:
    means: dict[str, str] = {}
    for row in vocabulary().spoken:
        means |= dict.fromkeys(row.words, row.means)
    return means


@cache
def _spoken_words() -> re.Pattern[str]:
    """The pattern of all words of other languages, the longest first. A word stands alone unless
    its language writes no spaces.
    """
    inside = []
    alone = []
    for word in sorted(_meanings(), key=len, reverse=True):
        if _WITHOUT_SPACES.search(word):
            inside.append(re.escape(word))
        else:
            alone.append(re.escape(word))
    inside.append(rf"(?<![^\W\d])(?:{'|'.join(alone)})(?!\w)")
    return re.compile("|".join(inside))


def spelled(text: str) -> str:
    """Return a GPU's name with the spaces that drivers write: `RTX 4070 Ti SUPER` for
    `RTX4070TiSUPER`.
    """
    return _rewritten(text, vocabulary().spelling)


def spelled_out(name: str) -> Iterator[str]:
    """Yield the name of a GPU, then the names for which it can be short: `3070 super` for
    `3070s`.
    """
    yield name
    for form in vocabulary().short:
        yield form.applied_to(name)


def _rewritten(text: str, replacements: Iterable[Replacement]) -> str:
    """The text after each replacement, with one space between words."""
    for replacement in replacements:
        text = " ".join(text.split())
        text = replacement.applied_to(text)
    return text


def _count(match: re.Match[str]) -> str:
    """The replacement `2` for `dual` before channels, sticks and cores."""
    number = number_words().get(match[1])
    if number is None:
        return match[0]
    return str(number)


def _times(match: re.Match[str]) -> str:
    """The replacement `2x` for `dual`."""
    return f" {number_words()[match[1]]}x "


def _kib(match: re.Match[str]) -> str:
    return f"{int(match[1]) // 1024}mb"


def _mib(match: re.Match[str]) -> str:
    return f" {int(match[1]) / 1024:.3g}gb "


def _bandwidth(match: re.Match[str]) -> str:
    """The replacement `936gbps` for `936.2 GB/s`: whole gigabytes a second."""
    number, unit = match.groups()
    per_second = float(number) * (1000 if unit == "t" else 1)
    return f" {round(per_second)}gbps "


def _modules(match: re.Match[str]) -> str:
    """The replacement `2x16gb` for `32gb (2x16)` and, without a unit, for `32gb (16x2)`. The text
    stays as it is where the modules do not add up to the size.
    """
    numbers = [int(match["count"]), int(match["size"])]
    count, module_gb = numbers
    if int(match["total"]) != count * module_gb:
        return match[0]
    # no module has 12 GB, so that `12x8` are twelve; `16x2` are hardly sixteen
    if count in _SIZES_OF_MODULES_GB and not match["unit"]:
        count, module_gb = sorted(numbers)
    kind = match["kind"] or ""
    return f" {count}x{module_gb}gb {kind} "


_FUNCTIONS = {
    "count": _count,
    "times": _times,
    "kib": _kib,
    "mib": _mib,
    "bandwidth": _bandwidth,
    "modules": _modules,
}
