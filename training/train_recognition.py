"""Train the recogniser from given weights on stores of crops; resumes from its last checkpoint.

usage: python -m training.train_recognition --out FOLDER --source STORE:WEIGHT [--source …] [--weights FILE]

Every --checkpoint-seconds it writes FOLDER/last.pt (resumable) and, where the share of crops read
right in the --choose stores rose, FOLDER/best.pt: the running average of the weights.
"""

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from doctr.models.recognition.crnn.pytorch import CRNN
from torch.nn import functional

from training.batches import MARGINS_USUAL, Batch, Source, batches, collate, frame
from training.checkpoints import Run, learning_rate, log
from training.data.crops import CropStore
from training.models import RECOGNITION_MEAN, RECOGNITION_STD, build_recogniser
from training.vocabulary import BLANK, decode, encode

CHOOSE_CROPS = 700


def to_input(batch: Batch, device: torch.device) -> torch.Tensor:
    """Return N x 3 x 32 x W normalised floats."""
    grey = torch.from_numpy(batch.pixels).to(device).float().div_(255).unsqueeze(1)
    mean = torch.tensor(RECOGNITION_MEAN, device=device).view(1, 3, 1, 1)
    std = torch.tensor(RECOGNITION_STD, device=device).view(1, 3, 1, 1)
    return ((grey - mean) / std).contiguous(memory_format=torch.channels_last)


def logits_of(model: CRNN, pixels: torch.Tensor) -> torch.Tensor:
    """Return N x T x classes, convolutions and LSTM in bfloat16."""
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16):
        features = model.feat_extractor(pixels).flatten(1, 2).transpose(1, 2)
        hidden, _ = model.decoder(features)
        logits: torch.Tensor = model.linear(hidden)
    return logits.float()


def least_loss(logits: torch.Tensor, labels: list[tuple[str, ...]]) -> torch.Tensor:
    """Return the mean over crops of the least CTC loss over a crop's spellings, per letter."""
    log_probs = logits.log_softmax(-1)
    owners = [index for index, spellings in enumerate(labels) for _ in spellings]
    targets = [encode(spelling) for spellings in labels for spelling in spellings]
    lengths = torch.tensor([len(target) for target in targets])
    losses = functional.ctc_loss(
        log_probs[owners].permute(1, 0, 2),
        torch.tensor([index for target in targets for index in target]),
        torch.full((len(targets),), logits.shape[1]),
        lengths,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
    per_letter = losses / lengths.clamp(min=1).to(losses.device)
    least = per_letter.new_full((len(labels),), math.inf)
    return least.scatter_reduce(0, torch.tensor(owners, device=losses.device), per_letter, "amin").mean()


def trusted_labels(logits: torch.Tensor, labels: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the labels, but where a crop of unknown case is read right letter by letter, the case as it is read.

    The spellings offered for a line of mixed case may all be wrong ("inclusive of GST"): a right reading is not
    pulled towards them.
    """
    best = logits.detach().argmax(-1).cpu().tolist()
    return [
        (reading,) if len(spellings) > 1 and (reading := decode(row)).lower() == spellings[0].lower() else spellings
        for row, spellings in zip(best, labels, strict=True)
    ]


def read(model: CRNN, batch: Batch, device: torch.device) -> list[str]:
    """Return the greedy reading of each crop."""
    with torch.inference_mode():
        best = logits_of(model, to_input(batch, device)).argmax(-1)
    return [decode(row) for row in best.cpu().tolist()]


def accuracy(model: CRNN, store: CropStore, count: int, device: torch.device) -> float:
    """Return the share of crops read as one of their spellings, at a detector's usual margins."""
    model.eval()
    chosen = np.linspace(0, len(store) - 1, min(count, len(store))).astype(int)
    crops = sorted((store[int(i)] for i in chosen), key=lambda crop: crop.aspect)
    right = 0
    for start in range(0, len(crops), 64):
        part = crops[start : start + 64]
        images = [frame(crop, MARGINS_USUAL) for crop in part]
        readings = read(model, collate(images, [crop.labels for crop in part]), device)
        right += sum(reading in crop.labels for reading, crop in zip(readings, part, strict=True))
    model.train()
    return right / len(crops)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", action="append", required=True, help="STORE:WEIGHT")
    parser.add_argument(
        "--choose",
        type=Path,
        action="append",
        required=True,
        help="stores whose mean chooses the best",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        help="weights to start from where there is no checkpoint",
    )
    parser.add_argument(
        "--seconds-max",
        type=float,
        default=7200,
        help="over which the learning rate falls",
    )
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--checkpoint-seconds", type=float, default=300)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "pid").write_text(str(os.getpid()))
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = Run(options.out, build_recogniser, options.weights, options.learning_rate, device)
    parts = (source.rpartition(":") for source in options.source)
    sources = [Source(CropStore(Path(path)), float(share)) for path, _, share in parts]
    choose = [CropStore(path) for path in options.choose]
    losses: list[float] = []
    saved_at = time.monotonic()
    for batch in batches(sources, np.random.default_rng(time.time_ns())):
        started = time.monotonic()
        logits = logits_of(run.model, to_input(batch, device))
        loss = least_loss(logits, trusted_labels(logits, batch.labels))
        rate = learning_rate(run.seconds / options.seconds_max, run.step, options.learning_rate)
        losses.append(run.take_step(loss, rate, len(batch.labels), time.monotonic() - started))
        done = run.seconds >= options.seconds_max
        if time.monotonic() - saved_at < options.checkpoint_seconds and not done:
            continue
        right = {store.folder.name: accuracy(run.average, store, CHOOSE_CROPS, device) for store in choose}
        run.save(score=float(np.mean(list(right.values()))))
        log(
            options.out,
            run,
            loss=float(np.mean(losses)),
            **{f"right_{name}": value for name, value in right.items()},
        )
        losses, saved_at = [], time.monotonic()
        if done:
            return


if __name__ == "__main__":
    main()
