"""The pytest marker `requires_model`: skips a test where the machine does not run the model.

```python
@pytest.mark.requires_model("mistral-7b", context_tokens=8192)
def test_my_prompt(): ...
```

pytest loads this module in every run of an environment that has selfhost. So it imports nothing of
selfhost until a test has the marker, and leaves alone a marker of the same name that is not its
own: one that the project or another plugin registers, or a call that names no model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from . import Machine, Workload

MARKER = "requires_model"
_HELP = (
    f"{MARKER}(model, **workload): skip where selfhost's route for the model is not `local`;"
    " keywords are fields of selfhost.Workload, such as context_tokens=8192"
)
# the word in the marker's description by which selfhost's own registration is recognized: a project
# that registers the marker for runs without selfhost describes it in its own words
_OURS = "selfhost"
Model = str | os.PathLike[str]
# the machine of a test run
_MACHINE: pytest.StashKey[Machine] = pytest.StashKey()
# by model and workload of a marker: why the model does not run, or None if it runs
_REASONS: pytest.StashKey[dict[tuple[Model, Workload], str | None]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known, so that `--strict-markers` accepts it."""
    config.addinivalue_line("markers", _HELP)
    config.stash[_REASONS] = {}


# before pytest's own hook, which skips tests with the marker `skip`, so that the report names the
# test
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Marks the test to be skipped with the reason of the verdict. A marker that names a model and
    cannot be judged fails it, for it would skip, or run, for ever.
    """
    markers = list(item.iter_markers(MARKER))
    if not markers or _is_of_others(item.config) or item.get_closest_marker("skip"):
        return
    for marker in markers:
        reason = _why_skipped(item.config, marker)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
            return


def _is_of_others(config: pytest.Config) -> bool:
    """Whether the project or another plugin registers a marker of that name as its own."""
    for line in config.getini("markers"):
        name = line.partition(":")[0].partition("(")[0].strip()
        if name == MARKER and _OURS not in line:
            return True
    return False


def _why_skipped(config: pytest.Config, marker: pytest.Mark) -> str | None:
    """Why the test is skipped: the verdict where the model does not run. None where it runs, and
    where the marker is none of selfhost's.

    Fails the test where the marker names a model and makes no sense.
    """
    from . import SelfhostError, Workload

    fields = dict(marker.kwargs)
    names = [*marker.args]
    if not names and "model" in fields:
        names = [fields.pop("model")]
    # the first argument, as in `check`: a name, or the path of a model's file
    if not names or not isinstance(names[0], str | os.PathLike):
        return None
    model: Model = names[0]
    fault = _fault_of_arguments(names, fields)
    if fault is not None and not _is_known(config, model):
        # another plugin's marker, with its own arguments
        return None
    if fault is None:
        try:
            return _reason(config, model, Workload(**fields))
        except SelfhostError as error:
            fault = _text_of(error)
    # outside the handler, since pytest would print the handled error too
    pytest.fail(f"{MARKER}: {fault}", pytrace=False)


def _fault_of_arguments(
    names: Sequence[object], fields: Mapping[str, Any]
) -> str | None:
    """The fault of a marker's arguments, its model aside; None where the arguments are right."""
    from . import SelfhostError, Workload

    if len(names) > 1:
        return f'name one model first: {MARKER}("mistral-7b", context_tokens=8192)'
    try:
        Workload(**fields)
    except (SelfhostError, TypeError) as error:
        return _text_of(error)
    return None


def _text_of(error: Exception) -> str:
    return str(error).replace("workload: ", "")


def _reason(
    config: pytest.Config,
    model: Model,
    workload: Workload,
) -> str | None:
    """The summary of the verdict where the route is not `local`, None where it is. The machine is
    read once a run, and each question asked once. Raises `SelfhostError`.
    """
    from . import Machine, check

    if _MACHINE not in config.stash:
        config.stash[_MACHINE] = Machine.read()
    reasons = config.stash[_REASONS]
    if (model, workload) not in reasons:
        verdict = check(model, workload, machine=config.stash[_MACHINE])
        reasons[model, workload] = None if verdict.can_run else verdict.summary
    return reasons[model, workload]


def _is_known(config: pytest.Config, model: Model) -> bool:
    """Whether a model, a spec or a file answers to the name."""
    from . import SelfhostError, Workload

    try:
        _reason(config, model, Workload())
    except SelfhostError:
        return False
    return True
