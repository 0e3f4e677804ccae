"""What an audit names: rows and documents that break an invariant."""

from dataclasses import dataclass, field

FINDINGS_MAX = 10_000
"""Findings that are named; further ones are only counted, so that a ruined ledger does not fill the memory."""


@dataclass(frozen=True, order=True)
class Finding:
    """A row or a document that breaks an invariant: which, and what is wrong with it."""

    subject: str
    detail: str


@dataclass
class Findings:
    """What was found, in the order it was."""

    findings: list[Finding] = field(default_factory=list)
    unnamed: int = 0
    """Findings beyond the first `FINDINGS_MAX`."""

    def add(self, subject: str, detail: str) -> None:
        """Notes one finding."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(subject, detail))
        else:
            self.unnamed += 1
