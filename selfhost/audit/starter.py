"""The policy that `selfhost audit --init` writes: every setting, with what it means."""

from __future__ import annotations

from collections.abc import Sequence

from ..verdict.findings import CHECKS
from .policy import EXAMPLE_OWNER, EXAMPLE_REASON, SCHEMA


def starter_policy(models: Sequence[str]) -> str:
    """The text that `selfhost audit --init` writes: valid as it stands. Without models it names
    mistral-7b.
    """
    entries = (
        "\n".join(f"[[model]]\nname = {_quoted(name)}\n" for name in dict.fromkeys(models))
        or '[[model]]\nname = "mistral-7b"\n'
    )
    first = _quoted(next(iter(models), "mistral-7b"))
    return f"""\
# Which open-weight models must run here. `selfhost audit` judges this machine, or recorded ones, against it.
# Exit codes: 0 the policy holds, 1 it is broken, 2 it could not be judged, 3 nothing fails but something is unknown.
# Editors check this file by selfhost/schemas/policy-1.json: write `#:schema PATH-TO-IT` in the first line.
schema = {SCHEMA}
fail_on = "error"          # error | warning | never: from which severity on the audit fails
on_unknown = "unknown"     # unknown (exit 3) | error | warning | ignore: what a fact nobody could read counts as
# max_age = "7d"           # records read longer ago (or nobody knows when) are not judged: 12h, 7d, 4w
# out_of_service = "skip"  # judge | skip: machines that take no new work (cordoned, drained, ineligible)

# [needs]                  # what holds for every model below
# private = true           # nothing may leave the machine, so an API is no way out
# commercial = true        # the license must allow commercial use
# modify = true            # the license must allow modified versions
# auditable = true         # training data, code and paper must be open
# license = "Apache-2.0 OR MIT"

{entries}# More conditions that a [[model]] may have:
# context_tokens = 8192
# quantization = "Q4_K_M"  # left out: the model's own default; `check` takes the best that fits
# runtime = "llama.cpp"
# require_runtime = true   # the runtime must be installed already
# min_tokens_per_second = 5  # of each sequence
# parallel = 1             # sequences at once, each with its own context
# kv_cache_type = "f16"
# audio_seconds = 600      # of one recording that a speech model hears
# draft = "llama-3.2-1b"   # a small model that proposes tokens, or "mtp" for the model's own block
# adapter = "rank=16"      # a LoRA adapter: its rank, or its file
# machines = ["class:edge", "host:build-*", "label:site=s*"]   # left out: every machine
# severity = "warning"     # error | warning

# [[together]]             # side by side on one machine: needs are added, shared files count once
# models = [{first}, "bge-m3"]   # as a [[model]] above asks for it, or any model by its name
# machines = ["class:edge"]
# severity = "error"

# [[class]]                # a name for machines that are alike
# name = "edge"
# match = {{ label = {{ site = "s*" }}, memory_total = ">=15GiB", architecture = "x86_64" }}
# memory = "total"         # total: plan with all memory | available: what is free right now
# [class.facts]            # what holds where a record does not say; reports call it stated by the policy
# disk = "500GB"           # free where models are stored
# cores = 16               # that a program may use
# instruction_sets = ["avx2", "f16c"]
# bandwidth = "80GB/s"     # of the memory
# gpu = "2x RTX 4090"      # or 24GiB, or none
# reserve = "4GiB"         # kept for other programs: the limit is that much lower
# memory = "64GiB"
# architecture = "x86_64"
# system = "linux"
# override = ["disk"]      # which of them count even where a record has them

# [[exception]]            # one finding of one model, with a reason, an owner and an end
# model = {first}
# rule = "memory"          # {" | ".join(CHECKS)}
# machines = ["host:edge-*"]
# reason = "{EXAMPLE_REASON}"
# owner = "{EXAMPLE_OWNER}"   # who answers for it
# expires = 2027-03-31     # from that day on (UTC) it no longer holds
"""  # noqa: E501


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's too."""
    import json

    return json.dumps(text, ensure_ascii=False)
