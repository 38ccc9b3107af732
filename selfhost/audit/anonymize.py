"""`--anonymize`: each machine is called by a keyed hash of its name from when it is read on.

The key is made anew for each run and kept nowhere. So nobody can look a name up by hashing
candidates, one run calls one machine the same throughout, and two runs do not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from ..core.errors import Problem
from ..machine.record import Machine
from .entries import Policy, Selector, matches
from .machines import Fleet
from .systems.facts import NOT_JUDGED

_QUOTED = re.compile(r'(?<=")[^"]+(?=")')
# of a pseudonym in letters, of which 100,000 collide once in 10^5 runs
_LETTERS = 12
# on which host a node is
_HOST_LABEL = "slurm.host"


class Pseudonyms:
    """Hashes of the names of machines under one random key."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._key = os.urandom(32)
        # labels that stand for the policy's globs of hosts
        self._labels: dict[str, str] = {}

    def of(self, name: str, kind: str = "machine") -> str:
        """The pseudonym of a machine, or of a file that may be called as one."""
        from hashlib import blake2b

        digest = blake2b(name.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16)
        return f"{kind}-{digest.hexdigest()[:_LETTERS]}"

    def policy(self, policy: Policy) -> Policy:
        """The policy with selectors that take the same machines by their pseudonyms."""
        changed = {
            key: tuple(
                each.replace(machines=tuple(map(self._selector, each.machines)))
                for each in getattr(policy, key)
            )
            for key in ("models", "exceptions")
        }
        return policy.replace(**changed)

    def _selector(self, selector: Selector) -> Selector:
        glob = selector.pattern
        if selector.names_one_host:
            return selector.replace(pattern=self.of(glob))
        if selector.kind != "host" or not any(matches(name, glob) for name in self._names):
            return selector
        key = self._labels.setdefault(glob, f"anonymous.hosts-{len(self._labels) + 1}")
        return Selector(kind="label", key=key, pattern="yes")

    def fleet(self, fleet: Fleet, folders: Sequence[str]) -> Fleet:
        """The fleet without the names of machines and of files in these folders; call `policy`
        before, for its globs become labels.
        """
        return Fleet(
            machines=tuple(map(self.machine, fleet.machines)),
            problems=tuple(self._problem(problem, folders) for problem in fleet.problems),
            notes=tuple(self._text(note, folders) for note in fleet.notes),
        )

    def machine(self, machine: Machine) -> Machine:
        """The machine without its name, also in labels; call `policy` before, for its globs become
        labels.
        """
        labels = {
            key: self.of(value) if key == _HOST_LABEL or value in self._names else value
            for key, value in machine.labels.items()
        }
        labels |= {key: "yes" for glob, key in self._labels.items() if matches(machine.name, glob)}
        return machine.replace(name=self.of(machine.name), labels=labels)

    def _problem(self, problem: Problem, folders: Sequence[str]) -> Problem:
        """The problem without the names of machines and of files in these folders."""
        name, mark, why = problem.message.partition(NOT_JUDGED)
        message = f"{self.of(name)}{mark}{why}" if mark else problem.message
        texts = {"file": problem.file, "message": message, "remedy": problem.remedy}
        hidden = {key: text and self._text(text, folders) for key, text in texts.items()}
        return problem.replace(**hidden)

    def _text(self, text: str, folders: Sequence[str]) -> str:
        """The text without names in quotes, and without those of files in these folders, for
        `ansible --tree` calls a file as its host: a path ends at its line's number or with the
        text.
        """
        text = _QUOTED.sub(
            lambda match: self.of(match[0]) if match[0] in self._names else match[0], text
        )
        named = {re.escape(bare) for folder in folders if (bare := folder.rstrip("/"))}
        # an inner folder before the one that holds it
        inside = "|".join(sorted(named, key=len, reverse=True))
        if not inside:
            return text
        path = rf"(?<![\w/.-])({inside})/(.+?)(?=:\d+\b|$)"
        return re.sub(path, lambda match: f"{match[1]}/{self.of(match[2], 'file')}", text)
