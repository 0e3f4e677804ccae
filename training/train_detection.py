"""Train the detector from given weights on stores of pages; resumes from its last checkpoint.

usage: python -m training.train_detection --out FOLDER --source STORE:SHARE … --choose STORE … [--weights FILE]

Every --checkpoint-seconds it writes FOLDER/last.pt (resumable) and, where the loss on fixed pieces of the --choose
stores fell, FOLDER/best.pt: the running average of the weights.
"""

import time
from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import torch
from doctr.models.detection.differentiable_binarization.pytorch import DBNet
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from training.data.page_store import PageStore
from training.loop import arguments, begin, train
from training.models import DETECTION_MEAN, DETECTION_STD, build_detector
from training.regions import TEXT, Piece, pieces

BATCH = 8
NEGATIVES_PER_POSITIVE = 3.0
HARDNESS_SAMPLE = 50_000
CHOOSE_PIECES = 64


class Pieces(IterableDataset[Piece]):  # type: ignore[misc]
    """Pieces for ever, cut in a process of their own."""

    def __init__(self, sources: list[tuple[PageStore, float]]) -> None:
        self._sources = sources

    def __iter__(self) -> Iterator[Piece]:
        cv2.setNumThreads(1)
        return pieces(self._sources, np.random.default_rng(time.time_ns()))


def to_tensors(batch: list[Piece], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return N x 3 x H x W normalised floats and the N x H x W target bytes."""
    grey = torch.from_numpy(np.stack([piece.pixels for piece in batch])).to(device).float().div_(255).unsqueeze(1)
    mean = torch.tensor(DETECTION_MEAN, device=device).view(1, 3, 1, 1)
    std = torch.tensor(DETECTION_STD, device=device).view(1, 3, 1, 1)
    target = torch.from_numpy(np.stack([piece.target for piece in batch])).to(device)
    return ((grey - mean) / std).contiguous(memory_format=torch.channels_last), target


def text_logits(model: DBNet, pixels: torch.Tensor) -> torch.Tensor:
    """Return N x H x W logits of the probability map. The threshold map of DBNet is neither trained nor served."""
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16):
        features = model.feat_extractor(pixels)
        stacked = model.fpn([features[str(index)] for index in range(len(features))])
        logits: torch.Tensor = model.prob_head(stacked)
    return logits.squeeze(1).float()


def detection_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return cross entropy over the text and the hardest of the rest, plus the dice loss."""
    text, rest = (target == TEXT).float(), (target == 0).float()
    entropy = functional.binary_cross_entropy_with_logits(logits, text, reduction="none")
    hard = rest * (entropy >= _hardness(entropy.detach(), text, rest))
    balanced = (entropy * (text + hard)).sum() / (text.sum() + hard.sum() + 1)
    probability = torch.sigmoid(logits) * (text + rest)
    dice = 1 - 2 * (probability * text).sum() / (probability.sum() + text.sum() + 1)
    return balanced + dice


def _hardness(entropy: torch.Tensor, text: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """Return the entropy above which about `NEGATIVES_PER_POSITIVE` pixels of the rest lie for each of text."""
    share = min(1.0, (NEGATIVES_PER_POSITIVE * float(text.sum()) + 1000) / max(1.0, float(rest.sum())))
    # A sample tells it as well as sorting a million pixels.
    step = max(1, entropy.numel() // HARDNESS_SAMPLE)
    sample = entropy.flatten()[::step][rest.flatten()[::step] > 0]
    return torch.quantile(sample, 1 - share) if sample.numel() else entropy.new_zeros(())


def loss_on(model: DBNet, fixed: list[Piece], device: torch.device) -> float:
    """Return the mean loss over fixed pieces."""
    model.eval()
    losses = []
    with torch.inference_mode():
        for start in range(0, len(fixed), BATCH):
            pixels, target = to_tensors(fixed[start : start + BATCH], device)
            losses.append(float(detection_loss(text_logits(model, pixels), target)))
    model.train()
    return float(np.mean(losses))


def main() -> None:
    options = arguments(__doc__, peak_rate=5e-4)
    run, device = begin(options, build_detector)
    sources = [(PageStore(path), share) for path, share in options.source]
    fixed_rng = np.random.default_rng(7)
    chosen = {
        path.name: list(islice(pieces([(PageStore(path), 1.0)], fixed_rng), CHOOSE_PIECES)) for path in options.choose
    }
    # Spawned, since a forked process inherits OpenCV's locks but not the threads that would release them.
    loader = DataLoader(
        Pieces(sources),
        batch_size=BATCH,
        num_workers=1,
        collate_fn=list,
        prefetch_factor=4,
        multiprocessing_context="spawn",
    )

    def loss_of(batch: list[Piece]) -> tuple[torch.Tensor, int]:
        pixels, target = to_tensors(batch, device)
        return detection_loss(text_logits(run.model, pixels), target), len(batch)

    def judge() -> tuple[float, dict[str, float]]:
        losses = {f"loss_{name}": loss_on(run.average, fixed, device) for name, fixed in chosen.items()}
        return -float(np.mean(list(losses.values()))), losses

    train(options, run, loader, loss_of, judge)


if __name__ == "__main__":
    main()
