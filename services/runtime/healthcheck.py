"""`python -m services.runtime.healthcheck URL`: exit status 0 when the page answers 200; for container probes."""

import sys
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

_TIMEOUT_SECONDS = 3.0
_BODY_BYTES_MAX = 2000


def problem_of(url: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> str | None:
    """None when `url` answers 200, else what is wrong, for the log of whoever probes."""
    # No proxy: what is probed is this container itself.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_seconds) as answer:
            return None if answer.status == 200 else f"HTTP {answer.status}"
    except HTTPError as error:
        return f"HTTP {error.code}: {error.read(_BODY_BYTES_MAX).decode(errors='replace')}"
    except (OSError, HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def main(arguments: list[str]) -> int:
    """Runs the command line: one URL; 2 when called wrongly."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m services.runtime.healthcheck URL\n")
        return 2
    problem = problem_of(arguments[0])
    if problem is not None:
        sys.stderr.write(problem + "\n")
    return 0 if problem is None else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
