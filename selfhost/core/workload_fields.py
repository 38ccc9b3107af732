"""The fields of a `Workload` as keywords, for type checkers and editors.

Written from `Workload` by `python tools/typed_keywords.py`: change that class, then run the tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from .workload import Load


class WorkloadFields(TypedDict, total=False):
    """The keywords of `check` and of each function that takes a workload. Each may be left out.

    A function of your own that hands them on takes `**fields: Unpack[WorkloadFields]`.
    """

    task: str
    purpose: str | None
    runtime: str | None
    format: str | None
    quantization: str | None
    context_tokens: int | None
    parallel: int
    kv_cache_type: str | None
    prompt_tokens: int | None
    max_wait_seconds: float | None
    audio_seconds: int | None
    draft: str | None
    runtime_options: Mapping[str, str]
    min_tokens_per_second: float | None
    memory_basis: str
    reserve_bytes: int | None
    download_bytes_per_second: int | None
    private: bool
    commercial: bool
    modify: bool
    auditable: bool
    license: str | None
    finetune_method: str | None
    lora_rank: int | None
    dataset_tokens: int | None
    optimizer: str | None
    checkpointing: bool | None
    load: Load | None
