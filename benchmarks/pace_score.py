"""The tables of the pace: `python benchmarks/accuracy.py pace`, by the name that earlier notes have."""

import sys

from accuracy import main

if __name__ == "__main__":
    raise SystemExit(main(["pace", *sys.argv[1:]]))
