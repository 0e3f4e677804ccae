"""What `ocr-services tokens audit` says, to people and to scripts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from services.ledger.audit import Audit
from services.ledger.document_audit import DocumentAudit
from services.ledger.findings import Finding
from services.ledger.repair import Repair

FOUND_STATUS = 1
UNDECIDED_STATUS = 3


@dataclass(frozen=True)
class Compared:
    """The comparison with the documents; or, where it could not be made, why. Neither: nobody asked for it."""

    result: DocumentAudit | None
    problem: str | None

    @classmethod
    def left_out(cls) -> Self:
        """Nobody asked for it."""
        return cls(None, None)


@dataclass(frozen=True)
class Report:
    """All that one run came to."""

    books: Audit
    compared: Compared
    repair: Repair | None

    @property
    def findings(self) -> list[Finding]:
        """Those of the books, then those of the documents."""
        return self.books.findings + (self.compared.result.findings if self.compared.result else [])

    @property
    def status(self) -> int:
        """The exit status: 0 only where everything that was asked for was judged, and holds."""
        if self.findings or (self.repair and self.repair.refused):
            return FOUND_STATUS
        undecided = self.compared.problem is not None or (self.compared.result and self.compared.result.undecided)
        return UNDECIDED_STATUS if undecided else 0

    def fields(self) -> dict[str, object]:
        """As JSON has it."""
        books, repair = self.books, self.repair
        fields: dict[str, object] = {
            "ok": self.status == 0,
            "entries": books.entries,
            "accounts": books.accounts,
            "debits": books.debits,
            "credits": books.credits,
            "conflicts": books.conflicts,
            "documents": self._document_fields(),
            "findings": [{"subject": each.subject, "detail": each.detail} for each in self.findings],
            "unnamedFindings": self._unnamed,
        }
        if repair:
            fields["repair"] = {"granted": repair.granted, "tokens": repair.tokens, "refused": repair.refused}
        return fields

    def lines(self) -> Iterator[str]:
        """As a person reads it."""
        books, repair = self.books, self.repair
        if repair:
            yield f"posted again: {repair.granted} grants of {repair.tokens} tokens"
            yield from (f"NOT posted again: {refused}" for refused in repair.refused)
        yield f"{books.entries} entries on {books.accounts} accounts; debits {books.debits}, credits {books.credits}"
        if books.conflicts:
            yield f"{books.conflicts} usage events came with the id of another; see the table usage_conflicts"
        yield from self._document_lines()
        yield from (f"WRONG: {finding.subject}: {finding.detail}" for finding in self.findings)
        if self._unnamed:
            yield f"and {self._unnamed} more that are not named"
        yield self._conclusion()

    @property
    def _unnamed(self) -> int:
        return self.books.unnamed + (self.compared.result.unnamed if self.compared.result else 0)

    def _document_fields(self) -> dict[str, object] | None:
        if self.compared.problem is not None:
            return {"problem": self.compared.problem}
        found = self.compared.result
        if found is None:
            return None
        return {
            "compared": found.documents,
            "charges": found.entries,
            "underWay": found.under_way,
            "undecided": found.undecided,
        }

    def _document_lines(self) -> Iterator[str]:
        if self.compared.problem is not None:
            yield f"NOT COMPARED with the documents: {self.compared.problem}"
        found = self.compared.result
        if found is not None:
            yield f"{found.entries} entries of usage compared with {found.documents} documents"
            if found.under_way:
                yield f"{found.under_way} documents have usage that is still to be published: under way"
            if found.undecided:
                yield f"UNDECIDED: {found.undecided} documents have no entry, and the ledger has not read all usage yet"

    def _conclusion(self) -> str:
        if self.findings:
            return f"{len(self.findings) + self._unnamed} findings"
        return "every invariant holds" if self.status == 0 else "every invariant that could be checked holds"
