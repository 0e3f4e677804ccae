"""`python -m benchmarks`: every figure of the pipeline, one after the other. `make bench` calls it.

A figure that there is an aim for is followed by a line that begins with met or MISSED.
"""

import subprocess
import sys

_MODULES = ("benchmarks.pipeline", "benchmarks.ledger", "benchmarks.intake")


def main() -> int:
    """Runs each benchmark in a process of its own; the status says how many could not."""
    failed = [name for name in _MODULES if subprocess.run([sys.executable, "-m", name], check=False).returncode]
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
