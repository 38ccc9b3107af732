"""What one training run is: the model, the method and the batch."""

from __future__ import annotations

from ...catalogue.spec import Architecture, ModelSpec
from ...core.errors import Problem, WorkloadError
from ...core.records import Record
from ...core.workload import DEFAULT_CONTEXT_TOKENS, FINETUNE_METHODS, OPTIMIZERS, Workload
from ..tensors import ArchitectureRow
from .adapters import Adapters, adapters


class Plan(Record):
    """How a model is trained: `batch` sequences of `context_tokens` at once.

    `rank` is that of adapters. `kept_checkpoints` of the run stay on the disk.
    """

    method: str
    rank: int
    optimizer: str
    checkpointing: bool
    batch: int
    kept_checkpoints: int
    context_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens of one step."""
        return self.batch * self.context_tokens

    @property
    def trains_all(self) -> bool:
        """True where every weight is trained; False where adapters are."""
        return self.method == "full"


class Training(Record):
    """A model whose tensors are known, and how it is trained."""

    spec: ModelSpec
    architecture: Architecture
    row: ArchitectureRow
    plan: Plan

    @property
    def adapters(self) -> Adapters:
        """The adapters of the plan's rank, whether or not it trains them."""
        return adapters(self.architecture, self.row, self.plan.rank)

    @property
    def encoder_parameters(self) -> int:
        """Parameters of encoders of images; 0 where there are none."""
        return self.spec.parameters.encoders or 0

    @property
    def narrow_type(self) -> str | None:
        """The stored type of matrices or experts, where that is not the type of the others."""
        return self.architecture.expert_dtype or self.architecture.matrix_dtype


def plan_of(
    spec: ModelSpec,
    workload: Workload,
    *,
    method: str,
    rank: int,
    optimizer: str,
    checkpointing: bool,
    batch: int | None,
    kept_checkpoints: int,
) -> Plan:
    """The plan with its defaults filled in. Raises `WorkloadError` with every fault."""
    batch = workload.parallel if batch is None else batch
    problems = [
        *_faults_of_choice("method", method, FINETUNE_METHODS),
        *_faults_of_choice("optimizer", optimizer, OPTIMIZERS),
        *_faults_of_number("lora_rank", rank, 1, 65_536),
        *_faults_of_number("batch", batch, 1, 10**6),
        *_faults_of_number("kept_checkpoints", kept_checkpoints, 0, 10**4),
    ]
    if problems:
        raise WorkloadError(problems)
    longest = spec.architecture.context_tokens if spec.architecture else None
    return Plan(
        method=method,
        rank=rank,
        optimizer=optimizer,
        checkpointing=checkpointing,
        batch=batch,
        kept_checkpoints=kept_checkpoints,
        context_tokens=workload.context_tokens
        or min(DEFAULT_CONTEXT_TOKENS, longest or DEFAULT_CONTEXT_TOKENS),
    )


def _faults_of_choice(key: str, value: str, choices: tuple[str, ...]) -> list[Problem]:
    if value in choices:
        return []
    message = f"{value!r} is not one of {', '.join(choices)}"
    return [Problem(file="workload", key=key, message=message)]


def _faults_of_number(key: str, number: object, least: int, most: int) -> list[Problem]:
    if isinstance(number, int) and not isinstance(number, bool) and least <= number <= most:
        return []
    message = f"must be a whole number from {least} to {most:,}, not {number!r}"
    return [Problem(file="workload", key=key, message=message)]
