"""Train the recogniser from given weights on stores of crops; resumes from its last checkpoint.

usage: python -m training.train_recognition --out FOLDER --source STORE:SHARE … --choose STORE … [--weights FILE]

Every --checkpoint-seconds it writes FOLDER/last.pt (resumable) and, where the share of crops read
right in the --choose stores rose, FOLDER/best.pt: the running average of the weights.
"""

import math
import time

import numpy as np
import torch
from doctr.models.recognition.crnn.pytorch import CRNN
from torch.nn import functional

from training.batches import MARGINS_USUAL, Batch, Source, batches, collate, frame
from training.data.crops import CropStore
from training.loop import arguments, begin, train
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


def main() -> None:
    options = arguments(__doc__, peak_rate=1e-3)
    run, device = begin(options, build_recogniser)
    sources = [Source(CropStore(path), share) for path, share in options.source]
    chosen = [CropStore(path) for path in options.choose]

    def loss_of(batch: Batch) -> tuple[torch.Tensor, int]:
        logits = logits_of(run.model, to_input(batch, device))
        return least_loss(logits, trusted_labels(logits, batch.labels)), len(batch.labels)

    def judge() -> tuple[float, dict[str, float]]:
        right = {f"right_{store.folder.name}": accuracy(run.average, store, CHOOSE_CROPS, device) for store in chosen}
        return float(np.mean(list(right.values()))), right

    train(options, run, batches(sources, np.random.default_rng(time.time_ns())), loss_of, judge)


if __name__ == "__main__":
    main()
