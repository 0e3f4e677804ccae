"""The audit of dependencies ends well only when every package was looked up."""

import json
from collections.abc import Callable

import pytest

from deploy import audit_dependencies
from deploy.audit_dependencies import NOT_AUDITED_STATUS, VULNERABLE_STATUS, Audited, lines_of, main, parse_report

_CLEAN = {"name": "pydantic", "version": "2.12.0", "vulns": []}
_VULNERABLE = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
_SKIPPED = {"name": "boto3", "skip_reason": "Dependency not found on PyPI and could not be audited"}


def _report(*dependencies: object) -> Audited:
    return parse_report(json.dumps({"dependencies": dependencies}), "")


def test_all_looked_up_and_nothing_known_is_well() -> None:
    found = _report(_CLEAN)
    assert found.status == 0
    assert lines_of("r.txt", found) == ["r.txt: 1 packages looked up, 0 vulnerabilities"]


def test_each_vulnerability_is_named_with_what_mends_it() -> None:
    found = _report(_CLEAN, _VULNERABLE)
    assert found.status == VULNERABLE_STATUS
    assert found.vulnerable == [
        "pillow 1.0: PYSEC-1 (mended in: 1.1, 2.0)",
        "pillow 1.0: PYSEC-2 (mended in: none yet)",
    ]


def test_a_package_that_was_not_looked_up_is_never_green() -> None:
    """As pip-audit reports, with status 0 and "No known vulnerabilities found", where its database knows nothing."""
    found = _report(_CLEAN, _SKIPPED)
    assert found.status == NOT_AUDITED_STATUS
    assert "NOT AUDITED: 1 packages" in lines_of("r.txt", found)[-1]


@pytest.mark.parametrize("output", ["", "no JSON", "[]", "{}"])
def test_no_report_is_never_green_and_says_why(output: str) -> None:
    found = parse_report(output, "Traceback\nConnectionError: no route\n\n")
    assert found.status == NOT_AUDITED_STATUS
    assert lines_of("r.txt", found) == ["r.txt: NOT AUDITED: ConnectionError: no route"]


def test_an_empty_report_is_never_green() -> None:
    assert _report().status == NOT_AUDITED_STATUS


@pytest.mark.parametrize(
    ("reports", "status"),
    [
        ((_report(_CLEAN), _report(_CLEAN)), 0),
        ((_report(_CLEAN), _report(_SKIPPED)), NOT_AUDITED_STATUS),
        ((_report(_SKIPPED), _report(_VULNERABLE)), VULNERABLE_STATUS),
    ],
)
def test_the_worst_file_decides(reports: tuple[Audited, ...], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = list(reports)
    audit: Callable[[str], Audited] = lambda _path: left.pop(0)  # noqa: E731
    monkeypatch.setattr(audit_dependencies, "audit", audit)
    assert main(["a.txt", "b.txt"]) == status
