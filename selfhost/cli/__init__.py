"""The command line: arguments in, a report out, one exit code."""

# module of this package and function of each command, and its purpose, in the order of `--help`
COMMANDS = {
    "check": ("check.run", "can a model run here, or is an API the practical route?"),
    "list": ("list.run", "what runs on this machine, best first"),
    "show": ("show.run", "what is known of a model: license, openness, sizes, needs"),
    "compare": ("compare.run", "models side by side"),
    "plan": ("plan.run", "find the smallest machine that can run a model"),
    "size": ("size.run", "memory request, limit and flags of a container or service"),
    "verify": ("verify.run", "hold a prediction against a run: a log, or a process of yours"),
    "machine": (
        "machine.run",
        "what was read of this machine, and machines known by name",
    ),
    "audit": ("audit.run", "for CI: judge machines against a policy file"),
    "spec": ("spec.run", "validate specs of your own, or make one from a model file"),
    "completion": ("completion.run", "print a completion script for bash, zsh or fish"),
}
