"""What other programs call the options and commands, and what to type here instead."""

from __future__ import annotations

_QUIET = "the exit code is the answer: send the text to /dev/null, or read one field of --json"
_VERSION = "`selfhost --version` prints the version"
# options that other programs have
INSTEAD = {"-q": _QUIET, "--quiet": _QUIET, "-V": _VERSION, "--version": _VERSION}
# the options that options of other programs mean, the likeliest first
MEANT_OPTIONS = {
    **dict.fromkeys(
        ("concurrency", "max-num-seqs", "batch", "batch-size", "sequences", "np"), ("parallel",)
    ),
    **dict.fromkeys(
        ("c", "ctx", "ctx-size", "max-model-len", "num-ctx", "max-tokens"), ("context",)
    ),
    **dict.fromkeys(("for", "purpose"), ("use", "machine")),
    **dict.fromkeys(
        ("on", "host", "hardware", "computer", "system", "target", "instance"), ("machine",)
    ),
    **dict.fromkeys(("device", "card", "accelerator"), ("gpu",)),
    **dict.fromkeys(("quantization", "q", "precision", "dtype", "bits"), ("quant",)),
    **dict.fromkeys(("engine", "backend", "program", "provider"), ("runtime",)),
    **dict.fromkeys(("speed", "tps", "min-tps", "tokens-per-second"), ("min-speed",)),
    **dict.fromkeys(("lora", "peft"), ("adapter",)),
    **dict.fromkeys(("limit", "n", "count"), ("top",)),
    **dict.fromkeys(("out", "o"), ("output",)),
    **dict.fromkeys(("f", "type"), ("format",)),
}
# facts of a machine that have no option, where the command has --set
STATED = {
    **dict.fromkeys(("vram", "gpu-memory"), "state it: --set gpu=24GiB, or --gpu 'RTX 4090'"),
    **dict.fromkeys(("ram", "mem"), "state it: --set memory=32GiB"),
    **dict.fromkeys(("cores", "threads", "cpus"), "state it: --set cores=8"),
    **dict.fromkeys(("cpu", "no-gpu", "cpu-only"), "leave GPUs out: --gpu none"),
    "bandwidth": "state it: --set bandwidth=80GB/s, or run with --measure",
    "disk": "state it: --set disk=100GB",
}
OF_A_MACHINE = ("--machine", "--gpu", "--set", *(f"--{name}" for name in STATED))
# of a command that asks about no machine, the one that does
JUDGES_MACHINES = {
    "size": "`selfhost check MODEL… --machine NAME` holds them against a machine, side by side too",
    "plan": "`selfhost check MODEL --machine NAME` judges one machine",
}
# commands that take one word, and where a second one belongs
SECOND_WORD = {
    "verify": "give the log or the process alone, and the model's name as --model NAME",
}
# what to say where the words of a command are missing
MISSING = {
    "check": "name a model, or several",
    "show": "name a model",
    "plan": "name a model",
    "size": "name a model, or several",
    "compare": "name two models or more",
    "verify": "name a log, or the id of a process",
    "spec": "say what to do, check or new, and name a file",
    "completion": "name a shell: bash, zsh or fish",
}
# the commands that commands of other programs mean
MEANT_COMMANDS = {
    "version": "--version",
    **dict.fromkeys(("recommend", "search", "find", "models", "ls", "top", "rank", "fit"), "list"),
    **dict.fromkeys(("info", "inspect", "describe", "details"), "show"),
    **dict.fromkeys(
        ("doctor", "system", "detect", "hardware", "hw", "specs", "gpu", "measure"), "machine"
    ),
    **dict.fromkeys(("run", "serve", "pull", "can-run", "estimate", "test", "judge"), "check"),
    **dict.fromkeys(("diff", "vs"), "compare"),
    **dict.fromkeys(("bench", "benchmark"), "verify"),
    **dict.fromkeys(("policy", "ci"), "audit"),
}
