"""What `ocr-services up` prints can be typed as it stands."""

import pytest

from services.local.up import program


@pytest.mark.parametrize(
    ("started_as", "printed"),
    [
        (".venv/bin/ocr-services", ".venv/bin/ocr-services"),
        ("/clone/services/cli/__main__.py", "ocr-services"),
    ],
)
def test_commands_are_named_as_this_one_was_started(started_as: str, printed: str) -> None:
    assert program(started_as) == printed
