"""What a check found: how bad it is, what it saw, and what a person does about it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """From well to broken."""

    OK = "ok"
    WARN = "warn"
    """It works, but less well, or less safely, than it could."""
    FAIL = "fail"
    """Something does not work, or would lose or double something."""


@dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` is there unless the level is ok."""

    check: str
    level: Level
    what: str
    advice: str | None = None

    def __post_init__(self) -> None:
        """A problem without a way out of it would be of no use."""
        if (self.level is Level.OK) != (self.advice is None):
            raise ValueError(f"{self.check}: advice belongs to a problem, and to nothing else")


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, what)


def warn(check: str, what: str, advice: str) -> Finding:
    """It works, and could be better."""
    return Finding(check, Level.WARN, what, advice)


def fail(check: str, what: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.FAIL, what, advice)


def any_failed(findings: Iterable[Finding]) -> bool:
    """Whether something has to be put right."""
    return any(finding.level is Level.FAIL for finding in findings)


def as_lines(findings: Iterable[Finding]) -> list[str]:
    """The report for a person."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<4}  {finding.check:<14} {finding.what}")
        if finding.advice is not None:
            lines.append(f"{'':<21}-> {finding.advice}")
    return lines


def as_json(findings: Iterable[Finding]) -> dict[str, object]:
    """The report for a program: `{"ok": bool, "checks": [{"check", "level", "what", "advice"}]}`."""
    found = list(findings)
    return {"ok": not any_failed(found), "checks": [asdict(finding) for finding in found]}
