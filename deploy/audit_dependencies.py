"""`python -m deploy.audit_dependencies FILE...`: known vulnerabilities of the locked dependencies, by pip-audit.

pip-audit ends well when its database knows nothing of any package, as behind a mirror that has no such database. That
is no audit: here every package has to be looked up, or the run says which were not, and does not end well.

Status 0: every package was looked up, and nothing is known. 1: something is known. 3: not everything was looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

VULNERABLE_STATUS = 1
NOT_AUDITED_STATUS = 3
_SECONDS_MAX = 900
_NAMED_MAX = 5


@dataclass
class Audited:
    """What pip-audit said of one file of requirements."""

    looked_up: int = 0
    vulnerable: list[str] = field(default_factory=list)
    """Package, version, vulnerability, and the versions that mend it."""
    skipped: list[str] = field(default_factory=list)
    """Packages that its database did not know."""
    problem: str | None = None
    """Why there is no report at all."""

    @property
    def status(self) -> int:
        """The exit status of this file alone."""
        if self.vulnerable:
            return VULNERABLE_STATUS
        return NOT_AUDITED_STATUS if self.problem is not None or self.skipped or not self.looked_up else 0


def parse_report(output: str, complaint: str) -> Audited:
    """Reads pip-audit's JSON; without it the last line of its complaint is the problem."""
    try:
        dependencies = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        lines = [line for line in complaint.splitlines() if line.strip()]
        return Audited(problem=lines[-1] if lines else "it printed no report")
    found = Audited()
    for each in dependencies:
        if "skip_reason" in each:
            found.skipped.append(each["name"])
            continue
        found.looked_up += 1
        for known in each.get("vulns", ()):
            mended = ", ".join(known.get("fix_versions") or ["none yet"])
            found.vulnerable.append(f"{each['name']} {each['version']}: {known['id']} (mended in: {mended})")
    return found


def audit(path: str) -> Audited:
    """Audits one locked file, whose hashes are all there, without resolving anything anew."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off", "--requirement", path],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return Audited(problem=f"no answer within {_SECONDS_MAX} s")
    return parse_report(done.stdout, done.stderr)


def lines_of(path: str, found: Audited) -> list[str]:
    """What is said of one file."""
    if found.problem is not None:
        return [f"{path}: NOT AUDITED: {found.problem}"]
    lines = [f"{path}: {found.looked_up} packages looked up, {len(found.vulnerable)} vulnerabilities"]
    lines += [f"  VULNERABLE: {each}" for each in found.vulnerable]
    if found.skipped:
        named = ", ".join(found.skipped[:_NAMED_MAX]) + (", ..." if len(found.skipped) > _NAMED_MAX else "")
        lines.append(f"  NOT AUDITED: {len(found.skipped)} packages that the database did not know: {named}")
    return lines


def main(paths: Sequence[str]) -> int:
    """Audits each file; the worst status of all."""
    if not paths:
        sys.stderr.write("usage: python -m deploy.audit_dependencies FILE...\n")
        return 2
    statuses = []
    for path in paths:
        found = audit(path)
        statuses.append(found.status)
        sys.stdout.write("".join(f"{line}\n" for line in lines_of(path, found)))
        sys.stdout.flush()
    if VULNERABLE_STATUS in statuses:
        return VULNERABLE_STATUS
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
