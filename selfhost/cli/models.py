"""The functions that `check`, `compare`, `show`, `plan` and `size` share: finding the names of
models in the typed words, and judging several models on several machines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..advice import verdicts
from ..advice.makers import understand_on
from ..advice.understood import Understood
from ..catalogue.index import Catalogue, open_catalogue
from ..catalogue.names import id_of, name_in_command
from ..core.errors import SelfhostError, UnknownModelError, UsageError
from ..core.records import Record
from ..judge.record import Verdict
from ..machine.record import Machine
from .asked import measured_where_unknown, options_to_repeat, workload_of
from .parser import Options
from .progress import Progress

if TYPE_CHECKING:
    from ..machine.clusters import Cluster

# the size of a model as a separate word: `7b`, `8x7b`, `a3b`, `3.1`
_SIZE = r"(?i)([ae]|\d+x)?\d+(\.\d+)?[bm]?"
# the most words in a name that people type without quotes
_MOST_WORDS = 6


class Answers(Record):
    """The verdicts and the errors of the named models on the machines."""

    # the verdicts on each machine, in the order of the names
    by_machine: list[list[Verdict]]
    # by name: the first error that leaves a machine without a verdict on the model
    errors: dict[str, SelfhostError]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on all machines."""
        verdicts = []
        for of_machine in self.by_machine:
            verdicts += of_machine
        return verdicts


def names_in(options: Options, words: Sequence[str]) -> list[str]:
    """Return the names of models in the words, each of as many words as make a name: `gpt oss 20b`,
    `nothing 7b`, `ollama run llama3.2`. Words that each are a name are not taken together.
    """
    line = " ".join(words)
    if len(words) == 1 or name_in_command(line):
        return [line]
    catalogue = open_catalogue(options.specs)
    names = []
    rest = [*words]
    while rest:
        count = _words_of_first_name(rest, catalogue)
        names.append(" ".join(rest[:count]))
        rest = rest[count:]
    return names


def one_name_in(options: Options, words: Sequence[str]) -> str:
    """Return the name of the one model in the words. Raises `UsageError` where the words name
    several.
    """
    names = names_in(options, words)
    if len(names) > 1:
        unexpected = " ".join(names[1:])
        raise UsageError(f"unexpected {unexpected}", remedy="name one model")
    return names[0]


def _words_of_first_name(words: Sequence[str], catalogue: Catalogue) -> int:
    """The number of words in the first name: as many as make a known name, else the first word with
    the sizes behind it.
    """
    for count in range(min(_MOST_WORDS, len(words)), 1, -1):
        name = words[:count]
        is_name = _is_known(" ".join(name), catalogue)
        if is_name and not all(id_of(word, catalogue) for word in name):
            return count
    count = 1
    while count < len(words) and re.fullmatch(_SIZE, words[count]):
        count += 1
    return count


def _is_known(name: str, catalogue: Catalogue) -> bool:
    """Whether something has the name: a model, a maker of models, or what is no model."""
    if id_of(name, catalogue) is not None:
        return True
    # imported here: most people type one word
    from ..catalogue.makers import maker_called
    from ..catalogue.searching import thing_called

    is_maker = maker_called(name, catalogue) is not None
    return is_maker or thing_called(name, catalogue) is not None


def judge_models(
    options: Options,
    names: Sequence[str],
    places: Sequence[Machine | Cluster],
    *,
    carry: str,
) -> Answers:
    """Judge every model on each machine, or on machines that serve it together. `carry` is added to
    each proposed command, as in `verdict_on`.
    """
    workload = workload_of(options)
    catalogue = open_catalogue(options.specs)
    answers = Answers(by_machine=[], errors={})
    total = len(names) * len(places)
    done = 0
    with Progress("judging models") as tell:
        for place in places:
            main = place if isinstance(place, Machine) else place.main
            judged_place = place
            on_place: list[Verdict] = []
            answers.by_machine.append(on_place)
            for name in names:
                tell(done, total)
                done += 1
                if isinstance(answers.errors.get(name), UnknownModelError):
                    # the name is unknown on every machine
                    continue
                try:
                    meant = understand_on(catalogue, name, workload, main)
                    # an unknown name or a closed model needs no measurement
                    if isinstance(judged_place, Machine) and not meant.spec.closed:
                        judged_place = measured_where_unknown(options, judged_place)
                    verdict = _verdict(meant, judged_place, options, carry)
                except SelfhostError as error:
                    answers.errors.setdefault(name, error)
                    continue
                on_place.append(verdict)
    # notes on a whole folder of machines are told once, beside the report
    if len(places) == 1 and options.notes:
        notes = options.take_notes()
        (on_place,) = answers.by_machine
        for number, verdict in enumerate(on_place):
            understood_as = (*verdict.understood_as, *notes)
            on_place[number] = verdict.replace(understood_as=understood_as)
    return answers


def _verdict(
    meant: Understood,
    place: Machine | Cluster,
    options: Options,
    carry: str,
) -> Verdict:
    """The verdict on a model on a machine, or on machines that serve it together."""
    catalogue = open_catalogue(options.specs)
    if isinstance(place, Machine):
        return verdicts.verdict_on(catalogue, meant, place, carry=carry)
    # imported here: most questions are about one machine
    from ..advice.clusters import verdict_on_cluster

    return verdict_on_cluster(
        catalogue,
        meant,
        place,
        split=options.split,
        carry=carry,
        carry_alone=options_to_repeat(options, alone=place.names[0]),
    )
