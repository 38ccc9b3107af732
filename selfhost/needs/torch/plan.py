"""What one training run is: the model, the method and the batch."""

from __future__ import annotations

from ...catalogue.spec import Architecture, ModelSpec
from ...core.records import Record
from ...core.workload import DEFAULT_CONTEXT_TOKENS, DEFAULT_LORA_RANK, Workload
from ..tensors import ArchitectureRow
from .adapters import Adapters, adapters


class Plan(Record):
    """How a model is trained: `batch` sequences of `context_tokens` at once. `checkpointing` keeps
    one input per layer and computes the rest again. `rank` is that of adapters.
    """

    method: str
    rank: int
    optimizer: str
    checkpointing: bool
    batch: int
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


def plan_of(spec: ModelSpec, workload: Workload) -> Plan:
    """The plan of a workload, with its defaults filled in."""
    workload = workload.with_finetuning_defaults()
    longest = spec.architecture.context_tokens if spec.architecture else None
    return Plan(
        method=workload.finetune_method or "lora",
        rank=workload.lora_rank or DEFAULT_LORA_RANK,
        optimizer=workload.optimizer or "adamw",
        checkpointing=bool(workload.checkpointing),
        batch=workload.parallel,
        context_tokens=workload.context_tokens
        or min(DEFAULT_CONTEXT_TOKENS, longest or DEFAULT_CONTEXT_TOKENS),
    )
