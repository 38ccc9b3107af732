"""Needs held against a machine: every finding of one question."""

from __future__ import annotations

from ..machine.record import Machine
from ..needs.records import Needs
from . import findings as check
from .findings import Finding
from .layouts import best_layout
from .record import Judged, Question


def judge(question: Question, machine: Machine) -> Judged:
    """Every finding for that question on that machine.

    A closed model gets only `weights` and the findings that were asked for, one that the runtime
    does not load `runtime` too. The layout judged is that of `best_layout`.
    """
    needs = question.needs
    if needs is None:
        findings = [*_model_findings(question), *_runtime_findings(question, machine)]
        return Judged(findings=tuple(findings), needs=None, speed=None)
    layout, pace, speed = best_layout(question, needs, machine)
    findings = [
        *_model_findings(question),
        check.disk_check(
            needs,
            machine,
            question.store,
            missing_bytes=question.missing_bytes,
            here=question.here,
        ),
        layout.memory,
        layout.accelerator,
        check.cpu_check(
            needs.cpu,
            machine,
            question.runtime,
            on_gpu=bool(machine.accelerators) and layout.needs.placement == "accelerator",
        ),
        *_runtime_findings(question, machine),
    ]
    if speed is not None:
        findings.append(speed)
    placed = to_come(question, layout.needs)
    return Judged(findings=tuple(findings), needs=placed, speed=pace)


def to_come(question: Question, needs: Needs) -> Needs:
    """The needs with what still has to be downloaded, where some of the files are here."""
    missing = question.missing_bytes
    if missing is None:
        return needs
    return needs.replace(download_bytes=missing, download_range=None)


def _model_findings(question: Question) -> list[Finding]:
    """What is found of the model itself, on any machine."""
    spec, workload = question.spec, question.workload
    findings = [
        check.weights_check(
            spec,
            format=workload.format,
            quantization=workload.quantization,
            local_files=question.local_files,
            here=question.here,
            kept_by=question.kept_by,
        ),
        check.license_check(spec, workload, question.license_guessed),
        question.opened,
    ]
    if question.needs is not None:
        findings.append(
            check.context_check(
                spec, workload, context_asked=question.context_asked, row=question.rewriting
            )
        )
    return [finding for finding in findings if finding is not None]


def _runtime_findings(question: Question, machine: Machine) -> list[Finding]:
    """What is found of the program; nothing for a model that no program was asked to load."""
    spec, loads = question.spec, question.loads
    if question.needs is None:
        if loads is None:
            return []
        return [check.runtime_check(machine, question.runtime, loads=loads, remedy=question.mend)]
    architecture = None
    if spec.architecture is not None and not spec.safety.remote_code:
        # code that comes with the model needs no release that knows it
        architecture = spec.architecture.row
    return [
        check.runtime_check(
            machine,
            question.runtime,
            loads=loads,
            unfamiliar=question.unfamiliar,
            architecture=architecture,
            is_required=question.requires_runtime,
        )
    ]
