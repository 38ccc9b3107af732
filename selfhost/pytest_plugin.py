"""The pytest marker `requires_model`: skips a test where the machine does not run the model.

```python
@pytest.mark.requires_model("mistral-7b", context_tokens=8192)
def test_my_prompt(): ...
```

pytest loads this module in every run of an environment that has selfhost, so it imports nothing
until a test has the marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

MARKER = "requires_model"
_HELP = (
    f"{MARKER}(model, **workload): skip where selfhost's route for the model is not `local`;"
    " keywords are fields of selfhost.Workload, such as context_tokens=8192"
)
# a verdict for each marker that differs, and the one machine of a run
_reasons: dict[Any, str | None] = {}
_machine: list[Any] = []


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known, so that `--strict-markers` accepts it."""
    config.addinivalue_line("markers", _HELP)
    _machine.clear()
    _reasons.clear()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips the test with the reason of the verdict; a marker that cannot be judged fails it."""
    for marker in item.iter_markers(MARKER):
        import pytest

        from . import Machine, SelfhostError, Workload, check

        key, wrong = (str(marker.args), tuple(sorted(marker.kwargs.items()))), ""
        try:
            if len(marker.args) != 1 or "model" in marker.kwargs:
                wrong = f'name one model first: {MARKER}("mistral-7b", context_tokens=8192)'
            elif key not in _reasons:
                workload = Workload(**marker.kwargs)
                _machine[:] = _machine or [Machine.read()]
                verdict = check(*marker.args, workload, machine=_machine[0], alternatives=False)
                _reasons[key] = None if verdict.can_run else verdict.summary
        except (SelfhostError, TypeError) as error:
            wrong = str(error).replace("workload: ", "")
        # outside the handler, or pytest would print the error's own text once more
        if wrong:
            pytest.fail(f"{MARKER}: {wrong}", pytrace=False)
        if (reason := _reasons[key]) is not None:
            pytest.skip(reason)
