"""Runs every benchmark and prints its ratio: `python -m benchmarks [receive] [issue]`."""

from __future__ import annotations

import sys

from benchmarks import issue, receive

RUNS = {"receive": receive.run, "issue": issue.run}


def main() -> None:
    """Runs the named benchmarks, or all of them."""
    for name in sys.argv[1:] or RUNS:
        RUNS[name]()


if __name__ == "__main__":
    main()
