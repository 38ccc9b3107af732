"""`python -m selfhost`, and where the command `selfhost` begins: nothing heavy is imported before an interrupt is minded."""

from __future__ import annotations


def main() -> int:
    """Run the command line; an interrupt while it is still loading ends as quietly as a later one."""
    try:
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
