"""`python -m tests.fuzz.guided [-runs=1000000]`: the decoders under atheris, which seeks inputs that reach new code.

atheris is no dependency of ours, as it has no wheel for every platform: `pip install atheris` first.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["schemas", "services"]):
    from tests.fuzz.corpus import corpora
    from tests.fuzz.targets import TARGETS, feed

_ORDER = list(TARGETS.values())


def one_input(data: bytes) -> None:
    """The first byte chooses the decoder."""
    if data:
        feed(_ORDER[data[0] % len(_ORDER)], data[1:])


def main() -> None:
    """Fuzzes until `-runs` are done, or for ever; ends with a traceback and the input at a crash."""
    with tempfile.TemporaryDirectory(prefix="ocr-fuzz-") as folder:
        for index, target in enumerate(_ORDER):
            for number, data in enumerate(corpora()[target.corpus]):
                Path(folder, f"{index}-{number}").write_bytes(bytes([index]) + data)
        atheris.Setup([sys.argv[0], *sys.argv[1:], folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
