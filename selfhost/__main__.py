"""`python -m selfhost`, and where the command `selfhost` begins: nothing heavy is imported before an interrupt is minded."""

from __future__ import annotations


def main() -> int:
    """Run the command line; an interrupt while it is still loading ends as quietly as a later one."""
    try:
        import gc

        # short-lived, and nearly all that is made is needed to the end: looking for garbage took a fifth of the time of `list`
        gc.set_threshold(200_000)
        from .cli import main as run

        code = run()
        # the interpreter looks once more before it ends, at all there is: nothing of it needs to be found
        gc.freeze()
        return code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
