"""One model as llama.cpp loads it: what the terms that grow with a workload are computed from."""

from __future__ import annotations

from ...catalogue.spec import Architecture, RuntimeSpec
from ...core.records import Record
from ..parts import Asked, Subject
from ..tensors import ArchitectureRow
from .buffers import Cells, batch_of, cells


class Load(Record):
    """A model whose layers are known, a program and a workload. `row` has its defaults where that
    of the subject is not known; `room` is of all sequences.
    """

    subject: Subject
    architecture: Architecture
    row: ArchitectureRow
    room: Cells
    runtime: RuntimeSpec
    workload: Asked

    @property
    def embeds(self) -> bool:
        """The model turns a text into vectors, and is asked for nothing else."""
        return self.subject.spec.modality == "embedding"

    @property
    def vocabulary(self) -> int:
        """Tokens in the GGUF file; 0 where they are not known."""
        return self.architecture.vocabulary_gguf or self.architecture.vocabulary or 0


def load_of(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Load | None:
    """None where nothing is known of the layers."""
    architecture = subject.architecture
    if architecture is None or not (architecture.attention or architecture.recurrent):
        return None
    row = subject.row or ArchitectureRow(name=architecture.row)
    room = cells(
        workload.context_tokens * workload.parallel,
        sequences=workload.parallel,
        micro_batch=batch_of(row, workload.context_tokens),
        whole_windows=runtime.whole_windows,
    )
    return Load(
        subject=subject,
        architecture=architecture,
        row=row,
        room=room,
        runtime=runtime,
        workload=workload,
    )
