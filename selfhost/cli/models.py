"""The functions that `check`, `compare`, `show`, `plan` and `size` share: finding the names of
models in the typed words, and judging several models on several machines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..advice import verdicts
from ..advice.understood import understand
from ..catalogue.index import Catalogue, open_catalogue
from ..catalogue.names import id_of, named_in_command
from ..core.errors import SelfhostError, UsageError
from ..core.records import Record
from ..judge.record import Verdict
from ..machine.record import Machine
from .asked import measured_where_unknown, workload_of
from .parser import Options
from .progress import Progress

# the size of a model as a separate word: `7b`, `8x7b`, `a3b`, `3.1`
_SIZE = r"(?i)([ae]|\d+x)?\d+(\.\d+)?[bm]?"
# the most words in a name that people type without quotes
_MOST_WORDS = 4


class Answers(Record):
    """The verdicts and the errors of the named models on the machines."""

    # the verdicts on each machine, in the order of the names
    by_machine: list[list[Verdict]]
    # by name: why the model has no verdict on any machine
    errors: dict[str, SelfhostError]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on all machines."""
        verdicts: list[Verdict] = []
        for of_machine in self.by_machine:
            verdicts += of_machine
        return verdicts


def names_in(options: Options, words: Sequence[str]) -> list[str]:
    """Return the names of models in the words: one name for `gpt oss 20b`, `nothing 7b` and `ollama
    run llama3.2`, else one name a word.

    Raises `UsageError` where a word is only the size of one of several models.
    """
    if len(words) == 1:
        return [*words]
    line = " ".join(words)
    sizes = [word for word in words if re.fullmatch(_SIZE, word)]
    is_one_word_and_sizes = len(sizes) >= len(words) - 1
    if is_one_word_and_sizes or named_in_command(line):
        return [line]
    catalogue = open_catalogue(options.specs)
    known = [word for word in words if id_of(word, catalogue)]
    # the whole line is a name, and at least one word alone is not
    if id_of(line, catalogue) and len(known) < len(words):
        return [line]
    if sizes:
        raise _size_alone(words, sizes, catalogue)
    return [*words]


def one_name_in(options: Options, words: Sequence[str]) -> str:
    """Return the name of the one model in the words. Raises `UsageError` where the words name
    several.
    """
    names = names_in(options, words)
    if len(names) > 1:
        unexpected = " ".join(names[1:])
        raise UsageError(f"unexpected {unexpected}", remedy="name one model")
    return names[0]


def _size_alone(
    words: Sequence[str],
    sizes: Sequence[str],
    catalogue: Catalogue,
) -> UsageError:
    """The error for the first size that stands alone, with the names in quotes as they were perhaps
    meant.
    """
    names: list[str] = []
    rest = [*words]
    while rest:
        count = _words_of_first_name(rest, sizes, catalogue)
        name = " ".join(rest[:count])
        names.append(f'"{name}"' if " " in name else name)
        rest = rest[count:]
    typed = " ".join(names)
    return UsageError(
        f'"{sizes[0]}" alone is not a model\'s name',
        remedy=f"put a name of several words in quotes: {typed}",
    )


def _words_of_first_name(
    words: Sequence[str],
    sizes: Sequence[str],
    catalogue: Catalogue,
) -> int:
    """The number of words in the first name: as many as make a known name, else the first word with
    the size behind it.
    """
    for count in range(_MOST_WORDS, 1, -1):
        if id_of(" ".join(words[:count]), catalogue):
            return count
    if len(words) > 1 and words[1] in sizes:
        return 2
    return 1


def judge_models(
    options: Options,
    names: Sequence[str],
    machines: Sequence[Machine],
    hear: Callable[[Verdict], None] | None = None,
    *,
    carry: str = "",
) -> Answers:
    """Judge every model on each machine. `hear` gets each verdict as soon as it is given. `carry`
    is added to each proposed command, as in `check_with`.
    """
    workload = workload_of(options)
    catalogue = open_catalogue(options.specs)
    answers = Answers(by_machine=[], errors={})
    total = len(names) * len(machines)
    done = 0
    with Progress("judging models") as tell:
        for machine in machines:
            judged_machine = machine
            of_machine: list[Verdict] = []
            answers.by_machine.append(of_machine)
            for name in names:
                tell(done, total)
                done += 1
                if name in answers.errors:
                    # an error found on an earlier machine is reported once
                    continue
                try:
                    meant = understand(catalogue, name, workload)
                    # an unknown name or a closed model needs no measurement
                    if not meant.spec.closed:
                        judged_machine = measured_where_unknown(options, judged_machine)
                    verdict = verdicts.check_with(
                        catalogue,
                        meant,
                        workload,
                        judged_machine,
                        carry=carry,
                    )
                except SelfhostError as error:
                    answers.errors[name] = error
                    continue
                of_machine.append(verdict)
                if hear is not None:
                    tell.hide()
                    hear(verdict)
    # notes on a whole folder of machines are told once, beside the report
    if len(machines) == 1 and options.notes:
        _add_machine_notes(answers, options.take_notes())
    return answers


def _add_machine_notes(answers: Answers, notes: Sequence[str]) -> None:
    """Add the notes on other meanings of the machine's name to each verdict.

    They go before the notes of a single verdict. With several verdicts they go behind the notes on
    how each model's name was understood.
    """
    is_alone = len(answers.verdicts) == 1
    for of_machine in answers.by_machine:
        for place, verdict in enumerate(of_machine):
            if is_alone:
                noted = verdict.replace(first_notes=(*notes, *verdict.first_notes))
            else:
                noted = verdict.replace(understood_as=(*verdict.understood_as, *notes))
            of_machine[place] = noted
