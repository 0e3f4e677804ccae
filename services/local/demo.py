"""`make demo`: the whole pipeline once, on a sample image."""

import signal
import sys


def main() -> int:
    """Runs the demo; the exit status says whether every step did what it should."""
    # While all is still being imported there is nothing to tidy up: Ctrl-C ends it as it ends any program.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from services.local.demonstration import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
