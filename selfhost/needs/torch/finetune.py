"""Training a model further: every weight, or adapters on 16-bit (LoRA) or 4-bit weights (QLoRA),
with transformers and peft.

This is for one process and one device; nothing is offloaded. `gathered` is what each of several
devices holds beside its share. The terms come from `model_states` and `activations`, the refusals
from `trainable`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.quantization_names import CHECKPOINTS
from ...catalogue.spec import ModelSpec, RuntimeSpec
from ...core.records import Unread
from ...core.saying import option
from ...core.workload import Workload
from ..checkpoint_files import download_of, size_of
from ..loaded import overhead
from ..parts import Subject, cpu_of, is_cast, name_of, term, times
from ..records import GATHERED, CpuNeed, How, MemoryNeed, Needs, SizedWeights, Term
from ..tensors import ArchitectureRow, row_of
from .activations import activations
from .model_states import states
from .plan import Training, plan_of
from .trainable import NO_TENSORS, why_not_computed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# a Trainer that keeps one checkpoint writes the new one before it removes the old one
_KEPT_CHECKPOINTS = 2
# save_pretrained of the Trainer cuts files at 5 GB
_SHARD_BYTES = 5_000_000_000


def finetune_needs(
    spec: ModelSpec, runtime: RuntimeSpec, workload: Workload, architectures: Mapping[str, Any]
) -> Needs:
    """What one training step and the checkpoints of a run take: weights, gradients, optimizer,
    activations, runtime.

    Sequences are `workload.context_tokens` long and `workload.parallel` are trained at once.
    Adapters count as weights. `disk_bytes` is the published checkpoint, which all three methods
    download, and the checkpoints that a run keeps: what is trained, and the optimizer's state.
    Memory is None with a reason where the model's tensors are not known, for speech and images, and
    for a runtime that does not train.
    """
    plan, cpu = plan_of(spec, workload), cpu_of(runtime)
    if spec.closed:
        return _nothing(cpu, "the weights were never published", None)
    if runtime.trainer:
        return _nothing(
            cpu,
            f"what training takes in {runtime.name} is not counted",
            f"try it with `{runtime.trainer}`, or take {option('runtime', 'transformers')}",
        )
    if not runtime.finetune_methods:
        return _nothing(
            cpu,
            f"{runtime.name} does not train models",
            f"take {option('runtime', 'transformers')}",
        )
    subject = _subject(spec, architectures)
    files = _files(subject, workload)
    refused = why_not_computed(subject, runtime)
    if refused is not None or subject.architecture is None or subject.row is None:
        reason, remedy = refused or NO_TENSORS
        return _needs(cpu, files, None, _unread(reason, remedy, "disk_bytes", "memory"))
    architecture = subject.architecture
    if not plan.trains_all and is_cast(spec, runtime, kind := workload.quantization or ""):
        # the lines for adapters say in which type the frozen weights are loaded (--dtype of trl)
        architecture = architecture.replace(dtype=kind)
    training = Training(spec=spec, architecture=architecture, row=subject.row, plan=plan)
    activation_term = activations(training)
    terms = (*states(training, activation_term.low_bytes), activation_term, overhead(runtime))
    needs = _needs(cpu, files, MemoryNeed(terms=terms), ())
    return _with_checkpoints(needs, training)


def _subject(spec: ModelSpec, architectures: Mapping[str, Any]) -> Subject:
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if row is None and architecture is not None and architecture.tensors:
        row = ArchitectureRow(name=architecture.row)
    return Subject(spec=spec, architecture=architecture, row=row)


def _files(subject: Subject, workload: Workload) -> SizedWeights | Unread:
    format = workload.format if workload.format in CHECKPOINTS else "safetensors"
    return download_of(subject.spec, size_of(subject, format, name_of(subject.architecture)))


def _unread(reason: str, remedy: str | None, *facts: str) -> tuple[Unread, ...]:
    return tuple(Unread(fact=fact, reason=reason, remedy=remedy) for fact in facts)


def _nothing(cpu: CpuNeed, reason: str, remedy: str | None) -> Needs:
    unknown = _unread(reason, remedy, "download_bytes", "memory")
    return Needs(download_bytes=None, disk_bytes=None, cpu=cpu, memory=None, unknown=unknown)


def _needs(
    cpu: CpuNeed,
    files: SizedWeights | Unread,
    memory: MemoryNeed | None,
    unknown: tuple[Unread, ...],
) -> Needs:
    """The needs without the checkpoints of a run."""
    if isinstance(files, Unread):
        return Needs(
            download_bytes=None, disk_bytes=None, cpu=cpu, memory=memory, unknown=(files, *unknown)
        )
    return Needs(
        download_bytes=files.bytes,
        disk_bytes=None,
        download_how=files.how,
        download_source=files.source,
        cpu=cpu,
        memory=memory,
        unknown=unknown,
    )


def _with_checkpoints(needs: Needs, training: Training) -> Needs:
    """The needs with the files that a run keeps: what is trained, and the optimizer's state."""
    assert needs.memory is not None
    bytes_of = {term.name: term.bytes for term in needs.memory.terms}
    state = bytes_of.get("optimizer", 0)
    if training.plan.trains_all:
        trained, what = bytes_of["weights"], "weights"
    else:
        trained, what = 4 * training.adapters.parameters, "adapters"
    largest = max(state, min(trained, _SHARD_BYTES))
    download = needs.download_bytes
    if download is None:
        return needs.replace(largest_file_bytes=largest)
    line = f"{times(_KEPT_CHECKPOINTS, 'checkpoint')} of {trained:,} bytes of {what}"
    line += f" and {state:,} bytes of optimizer state" if state else ""
    return needs.replace(
        disk_bytes=download + _KEPT_CHECKPOINTS * (trained + state),
        largest_file_bytes=max(largest, min(download, _SHARD_BYTES)),
        download_source=f"{needs.download_source}; on disk also {line}",
    )


# ------------------------------------------------------------------ several devices


def why_not_shared_out(workload: Workload) -> tuple[str, str] | None:
    """Why a training that no accelerator holds alone is not shared out over several, and what
    to do instead; None where it is.
    """
    if workload.task != "finetune" or workload.optimizer in (None, "adamw", "sgd"):
        return None
    return (
        (
            "FSDP and ZeRO-3 cannot split the states of bitsandbytes' 8-bit AdamW across several"
            " accelerators"
        ),
        f"use {option('optimizer', 'adamw')}, which they can split",
    )


def how_to_offload(workload: Workload, devices: int) -> tuple[str, str] | None:
    """Why a training of which `devices` hold the parts is not judged on them, and how people do it;
    None for other methods than QLoRA.

    Answer.AI train 70B on two cards of 24 GB so, with `--use_cpu_offload` (AnswerDotAI/fsdp_qlora,
    README.md); what lies in RAM then, and how fast that is, nothing measured here tells.
    """
    if workload.finetune_method != "qlora":
        return None
    return (
        (
            f"FSDP across {devices} GPUs with a part in RAM, as Answer.AI trained a 70B on two of"
            " 24 GB, is not judged"
        ),
        (
            "try that before the CPU, QLoRA with FSDP and CPU offload:"
            " https://huggingface.co/docs/bitsandbytes/main/en/fsdp_qlora"
        ),
    )


def what_to_lower(workload: Workload, *, is_shared_out: bool = False) -> str | None:
    """What makes training take less of an accelerator; None where nothing is trained.
    `is_shared_out`: over several of them.
    """
    if workload.task != "finetune":
        return None
    ways = []
    if workload.checkpointing is False:
        ways.append(f"leave out {option('checkpointing', False)}")
    if workload.finetune_method != "qlora":
        ways.append(f"use {option('finetune_method', 'qlora')}")
    if workload.parallel > 1:
        ways.append(f"use {option('parallel', 1)}")
    ways.append(f"use a shorter {option('context_tokens')}")
    if workload.finetune_method != "full":
        # optimizers keep little of adapters, and logits take more than layers where the vocabulary
        # is large (trl documentation, reducing memory usage)
        ways.append("train with `--use_liger_kernel` of trl, which keeps no logits")
    elif not is_shared_out:
        # its pages move to the RAM (transformers documentation, optimizers); it is not shared out
        ways.append("train with `--optim paged_adamw_8bit`")
    return ", or ".join(ways)


def which_holds_less(spec: ModelSpec, workload: Workload) -> str | None:
    """What to train with where the trainer decides how wide most of the model lies: the routed
    experts under QLoRA (`experts_by_trainer`), and all of a full training by AdamW, which keeps a
    copy and its moments in 16 or in 32 bits. None elsewhere.
    """
    architecture = spec.architecture
    layers = architecture.feed_forward if architecture is not None else ()
    if workload.finetune_method == "qlora" and any(layer.experts for layer in layers):
        return (
            "train with Unsloth or Axolotl, which quantize the experts too; peft with bitsandbytes"
            " leaves them in 16 or 32 bits"
        )
    is_wide = architecture is None or architecture.dtype == "float32"
    if workload.finetune_method != "full" or is_wide or workload.optimizer not in (None, "adamw"):
        return None
    # accelerate casts what FSDP shares out to 32 bits in mixed precision (its pull request 2674)
    return (
        "train all in 16 bits: `--dtype bfloat16` of trl, and no mixed precision in the file of"
        " `--accelerate_config`, in which FSDP keeps a copy in 32 bits"
    )


def gathered(spec: ModelSpec, workload: Workload) -> Term | None:
    """What each of several devices holds beside its share of SHARED_OUT: with FSDP or ZeRO-3,
    whole layers that it gathers for their turn.

    These are the layer at work and the next one, with the embeddings, which stay. None where that
    is not known, and where `why_not_shared_out` gives a reason.
    """
    method = workload.finetune_method or "lora"
    architecture, total = spec.architecture, spec.parameters.total
    if workload.task != "finetune" or why_not_shared_out(workload) is not None:
        return None
    if architecture is None or total is None:
        return None
    if architecture.vocabulary is None or not architecture.layers:
        return None
    tables = 2 if architecture.output_matrix else 1
    root = architecture.vocabulary * architecture.embedding_length * tables
    layers = max(0, total - root)
    layer = -(-layers // architecture.layers)
    if method == "lora":
        return _gathered_frozen(root, layer, (2, 2, 2))
    if method == "qlora":
        experts = any(part.experts for part in architecture.feed_forward)
        # 4 bits, and those of experts as wide as `experts_by_trainer` has them
        widths = (0.5, 2, 4) if experts else (0.5, 0.5, 0.5)
        return _gathered_frozen(root, layer, widths, scaled=layers)
    widest = max(root, layer)
    return term(
        GATHERED,
        2 * (root + 2 * layer) + 6 * widest,
        How.COMPUTED,
        "FSDP, a layer at a time and the next ahead; measured with fully_shard of PyTorch 2.13.0 on"
        " two CPU processes, tests/truth/finetune.json; least: without gradients; most: layers of"
        " four times the mean",
        f"2 bytes × ({root:,} of embeddings + 2 × {layer:,} of a layer) + (2 + 4) bytes ×"
        f" {widest:,} for gradients on their way",
        low=2 * (root + 2 * layer),
        high=(2 + 6) * root + 4 * 6 * layer,
    )


def _gathered_frozen(
    root: int, layer: int, widths: tuple[float, float, float], *, scaled: int = 0
) -> Term:
    """`gathered` of weights that stay as they are, and so have no gradients on their way.

    `widths`: bytes of a parameter of a layer, least, likely and most. `scaled`: parameters whose
    scales each device keeps whole, since FSDP shares out the numbers of 4 bits alone.
    """

    def size(width: float, layers: int, scale: float) -> int:
        own = 2 * root + layers * 2 * width * layer
        # what is gathered stands twice until it is copied to its place
        return int(own + max(2 * root, layers * width * layer) + scale * scaled)

    least, likely, most = widths
    line = (
        f"2 bytes × {root:,} of embeddings + {likely:g} bytes × 2 × {layer:,} of a layer + the"
        " larger of them again"
    )
    source = (
        "FSDP, a layer at a time and the next ahead; measured with fully_shard of PyTorch 2.13.0 on"
        " two CPU processes, tests/truth/finetune.json; most: layers of four times the mean"
    )
    if scaled:
        line += f" + {scaled:,} / 64 bytes of scales"
        source += (
            "; weights of 4 bits are shared out as numbers of the type of the rest, the scales of"
            " their blocks are not (bitsandbytes documentation, fsdp_qlora)"
        )
    return term(
        GATHERED,
        size(likely, 1, 1 / 64),
        How.COMPUTED,
        source,
        line,
        low=int(2 * root + 2 * least * layer),
        high=size(most, 4, 1 / 16),
    )
