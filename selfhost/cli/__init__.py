"""The command line: arguments in, a report out, one exit code."""

# module and function of each command, and what it is for, in the order in which `--help` lists them
COMMANDS = {
    "check": ("models.check", "can a model run here, or is an API the practical route"),
    "list": ("list.run", "what runs on this machine, best first"),
    "show": ("models.show", "what is known of a model: license, openness, sizes, needs"),
    "compare": ("models.compare", "models side by side"),
    "plan": ("models.plan", "find the smallest machine that can run a model"),
    "size": ("models.size", "memory request, limit and flags of a container or service"),
    "verify": ("records.verify", "hold a prediction against a run: a log, or a process of yours"),
    "machine": ("records.machine", "what was read of this machine, and the machines known by name"),
    "audit": ("audit.run", "for CI: judge machines against a policy file"),
    "spec": ("records.spec", "validate specs of your own, or make one from a model file"),
    "completion": ("completion.run", "print a completion script for bash, zsh or fish"),
}
