"""Make the stores that training reads: crops for the recogniser, pages for the detector.

usage: python -m training.data receipt-crops FOLDER --out STORE
       python -m training.data receipt-pages FOLDER --out STORE
       python -m training.data synthetic-crops COUNT --out STORE [--seed N]
       python -m training.data nontext-crops COUNT --out STORE [--seed N]
       python -m training.data synthetic-pages COUNT --out STORE [--seed N]
       python -m training.data a4-pages COUNT --out FOLDER [--seed N]

The last are for evaluation: PNGs beside their text.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from training.data import nontext, receipts, synthetic
from training.data.a4 import write_a4
from training.data.crops import write_crops
from training.data.fonts import find_fonts
from training.data.page_store import write_pages
from training.data.tokens import read_words

Maker = Callable[[str, Path, int], int]

MAKERS: dict[str, Maker] = {
    "receipt-crops": lambda folder, out, seed: write_crops(out, receipts.crops_of_folder(Path(folder), seed)),
    "receipt-pages": lambda folder, out, _: write_pages(out, receipts.annotated_pages(Path(folder))),
    "synthetic-crops": lambda count, out, seed: write_crops(
        out, synthetic.crops(int(count), read_words(), find_fonts(), seed)
    ),
    "nontext-crops": lambda count, out, seed: write_crops(out, nontext.crops(int(count), seed)),
    "synthetic-pages": lambda count, out, seed: write_pages(
        out, synthetic.annotated_pages(int(count), read_words(), find_fonts(), seed)
    ),
    "a4-pages": lambda count, out, seed: write_a4(out, int(count), read_words(), find_fonts(), seed),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=MAKERS)
    parser.add_argument("what", help="folder of annotated receipts, or how many to render")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # An empty store would look made, and be trained on.
    if options.kind.startswith("receipt-") and not any(Path(options.what).glob("*.csv")):
        sys.stderr.write(f"{options.what} holds no annotated receipts; see training/README.md\n")
        return 2
    count = MAKERS[options.kind](options.what, options.out, options.seed)
    sys.stdout.write(f"{count} in {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
