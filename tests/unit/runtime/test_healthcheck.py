"""The probe of a container says yes to 200 alone, and says what is wrong otherwise."""

import pytest

from services.local.ports import free_port
from services.runtime.health import HealthServer
from services.runtime.healthcheck import main, problem_of


def _server(problem: str | None) -> HealthServer:
    server = HealthServer("127.0.0.1", 0, live=lambda: None, ready=lambda: problem)
    server.start()
    return server


def test_a_ready_service() -> None:
    server = _server(None)
    try:
        assert main([f"http://127.0.0.1:{server.port}/readyz"]) == 0
    finally:
        server.close()


def test_a_service_that_is_not_ready_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    server = _server("no broker")
    try:
        assert main([f"http://127.0.0.1:{server.port}/readyz"]) == 1
    finally:
        server.close()
    assert "HTTP 503" in capsys.readouterr().err


def test_the_reason_is_in_the_answer() -> None:
    server = _server("no broker")
    try:
        assert "no broker" in str(problem_of(f"http://127.0.0.1:{server.port}/readyz"))
    finally:
        server.close()


@pytest.mark.parametrize("url", ["not a url", "http://127.0.0.1:99999/", "ftp://127.0.0.1/"])
def test_what_is_no_url_is_a_problem(url: str) -> None:
    assert problem_of(url) is not None


def test_nobody_listens() -> None:
    assert "refused" in str(problem_of(f"http://127.0.0.1:{free_port()}/readyz"))


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_called_wrongly(arguments: list[str]) -> None:
    assert main(arguments) == 2
