"""The command line: arguments in, a report out, one exit code."""

# The purpose of each command, in the order of `--help`. A command is the function `run` in the
# module of its name.
COMMANDS = {
    "check": "can a model run here, or is an API the practical route?",
    "list": "list what runs on this machine, best first",
    "browse": "the list as a screen to move in, with the answer beside it",
    "show": "show a model: its license, openness, sizes and needs",
    "compare": "compare models side by side",
    "plan": "find the smallest machine that can run a model",
    "size": "memory request, limit and flags of a container or service",
    "verify": "compare a prediction with a run: a log, or a process",
    "machine": "show this machine as selfhost reads it, or known machines",
    "audit": "for CI: judge machines against a policy file",
    "spec": "validate specs of your own, or make one from a model file",
    "mcp": "tools for agents, over the Model Context Protocol",
    "completion": "print a completion script for bash, zsh or fish",
}
