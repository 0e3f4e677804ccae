"""Read receipts and synthetic A4 pages as the services do, and score the text.

usage: python -m training.evaluate [--weights FOLDER] [--receipts FOLDER] [--a4 FOLDER] [--predictions FILE]

--receipts: NNN.csv beside NNN.jpg, as in the ICDAR 2019 SROIE data. --a4: what `python -m training.data a4-pages`
wrote. --predictions: where the receipts' text goes, one JSON object ({"image", "text"}) a line. Prints one JSON object;
the exit status is 2 where a folder holds nothing to score.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from services.recognition.engine import Engine, create_engine
from services.recognition.recognise import recognise_file
from training.scores import WordScore, character_accuracy, marked_words


def score_receipts(engine: Engine, folder: Path, predictions: Path | None) -> dict[str, float]:
    """Return the F1 of words over all receipts of a folder."""
    score, rows, started = WordScore(), [], time.perf_counter()
    annotations = sorted(folder.glob("*.csv"))
    for annotation in annotations:
        lines = annotation.read_text(encoding="utf-8").splitlines()
        truth = "\n".join(line.split(",", 8)[8] for line in lines if line.count(",") >= 8)
        text = recognise_file(annotation.with_suffix(".jpg"), engine).text
        score.add(text, truth)
        rows.append(json.dumps({"image": annotation.with_suffix(".jpg").name, "text": text}, ensure_ascii=False))
    if predictions is not None:
        predictions.write_text("\n".join(rows) + "\n", encoding="utf-8")
    seconds = time.perf_counter() - started
    return {"receipts": len(annotations), "words_f1": score.f1, "seconds_a_receipt": seconds / max(1, len(annotations))}


def score_a4(engine: Engine, folder: Path) -> dict[str, float]:
    """Return the mean share of characters read right on clean and degraded pages, and of words with marked letters."""
    report = {}
    truths = sorted(folder.glob("*.txt"))
    for state in ("clean", "degraded"):
        texts = [
            (recognise_file(folder / f"{path.stem}-{state}.png", engine).text, path.read_text(encoding="utf-8"))
            for path in truths
        ]
        accuracies = [character_accuracy(text, truth) for text, truth in texts]
        wanted, read = np.sum([marked_words(text, truth) for text, truth in texts], axis=0)
        report[f"characters_{state}"] = float(np.mean(accuracies))
        report[f"characters_{state}_worst"] = float(np.min(accuracies))
        report[f"marked_words_{state}"] = float(read / max(1, wanted))
    return report


def lacking(receipts: Path | None, a4: Path | None) -> str | None:
    """Return which folder holds nothing to score, as a sentence; None where there is something in each."""
    if receipts is None and a4 is None:
        return "there is nothing to score: name a folder with --receipts or --a4"
    if receipts is not None and not any(receipts.glob("*.csv")):
        return f"{receipts} holds no annotated receipts"
    if a4 is not None and not any(a4.glob("*.txt")):
        return f"{a4} holds no pages"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="folder of ONNX files; the shipped ones where left out")
    parser.add_argument("--receipts", type=Path)
    parser.add_argument("--a4", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if (reason := lacking(options.receipts, options.a4)) is not None:
        sys.stderr.write(f"{reason}\n")
        return 2
    engine = create_engine("onnx", threads=options.threads, weights_dir=options.weights)
    report: dict[str, float] = {}
    if options.receipts is not None:
        report |= score_receipts(engine, options.receipts, options.predictions)
    if options.a4 is not None:
        report |= score_a4(engine, options.a4)
    rounded = {name: round(value, 4) for name, value in report.items()}
    sys.stdout.write(json.dumps({"model": engine.model_version, **rounded}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
