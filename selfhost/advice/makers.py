"""The models of a maker that are best for a machine, for the user who typed a maker's name.

`understand_on` is `understand` for one machine: the error for a maker's name names the maker's best
models on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.index import Catalogue
from ..catalogue.makers import MOST_NAMED, maker_called
from ..core.errors import NotAModelError, WorkloadError
from ..core.workload import Workload
from ..machine.record import Machine
from .understood import Model, Understood, understand


def understand_on(
    catalogue: Catalogue,
    model: Model,
    workload: Workload,
    machine: Machine,
) -> Understood:
    """The meaning of a spec, a path or a name, as `understand` tells it. Raises what `understand`
    raises.
    """
    try:
        return understand(catalogue, model, workload)
    except NotAModelError as error:
        if error.maker is None:
            raise
        maker = maker_called(error.maker, catalogue)
        if maker is None:
            raise
        best = _best_on(maker.open_ids, catalogue, workload, machine)
        raise maker.error(best) from None


def _best_on(
    ids: Sequence[str],
    catalogue: Catalogue,
    workload: Workload,
    machine: Machine,
) -> Sequence[str]:
    """The ids of the models that run on the machine, the best first as in `list`; () where none
    runs as asked.
    """
    # imported here: a maker's name is rare, and what lists models takes long to load
    from .listing import Lister

    lister = Lister(catalogue, workload, machine)
    try:
        rows = lister.first(MOST_NAMED, ids).models
    except WorkloadError:
        # no model takes the stated options
        return ()
    return [row.model.id for row in rows if row.can_run]
