"""The short form: one storm of faults over every service, on real Kafka, PostgreSQL and S3."""

import os
from pathlib import Path

import pytest

from tests.faults.__main__ import run
from tests.faults.installation import TWO_OF_EACH
from tests.support.coverage import Coverage
from tests.support.downloads import PartUnavailableError, Progress

_SEED = 20261123
_SECONDS = 40.0


@pytest.mark.skipif(not os.environ.get("OCR_STORM"), reason="it wants the machine for itself: OCR_STORM=1 runs it")
@pytest.mark.timeout(1200)
def test_every_promise_is_kept_in_a_storm_of_faults(
    parts_directory: Path, coverage: Coverage, progress: Progress
) -> None:
    directory = parts_directory / "faults"
    directory.mkdir(mode=0o755)
    try:
        (weather,) = run(directory, [_SEED], _SECONDS, progress, TWO_OF_EACH)
    except PartUnavailableError as error:
        # Its Kafka has to be a process with a second listener: a container engine alone does not do.
        coverage.lacked("kafka", f"the storm of faults needs processes: {error}")
        pytest.skip(str(error))
    assert weather.struck, "faults happened"
    assert weather.told, "somebody was told of results"
    assert weather.violations == []
