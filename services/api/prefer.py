"""The `Prefer` header of a POST. Source: RFC 7240."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WAIT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Preference:
    """What the client asked for; preferences that are not understood are ignored, as the RFC wants it."""

    respond_async: bool = False
    wait_seconds: int | None = None

    @property
    def stated(self) -> bool:
        """Whether the client knows `Prefer`, and hence that a 202 may come."""
        return self.respond_async or self.wait_seconds is not None

    @property
    def waits(self) -> bool:
        """Whether somebody waits for the text: `respond-async` alone, or `wait=0`, is answered at once."""
        return self.wait_seconds != 0 and not (self.respond_async and self.wait_seconds is None)

    def applied(self, wait_seconds_max: float) -> str:
        """The value of `Preference-Applied` where nobody waits longer than `wait_seconds_max`."""
        parts = ["respond-async"] if self.respond_async else []
        if self.wait_seconds is not None:
            parts.append(f"wait={min(self.wait_seconds, int(wait_seconds_max))}")
        return ", ".join(parts)


def parse_prefer(headers: Iterable[str]) -> Preference:
    """Reads every `Prefer` header of a request; of a preference given twice the first counts."""
    found: dict[str, str] = {}
    for preference in ",".join(headers).split(","):
        name, _, value = preference.split(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = found.get("wait", "")
    return Preference(
        respond_async="respond-async" in found,
        wait_seconds=int(wait) if _WAIT.fullmatch(wait) else None,
    )
