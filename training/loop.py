"""What the two trainers share: their options, and the loop of steps and checkpoints."""

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from training.checkpoints import Model, Run, learning_rate, log

Batch = TypeVar("Batch")


def arguments(description: str | None, peak_rate: float) -> argparse.Namespace:
    """The options of a trainer; `peak_rate` is the default of --learning-rate."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", type=_share_of_store, action="append", required=True, metavar="STORE:SHARE")
    parser.add_argument(
        "--choose", type=Path, action="append", required=True, help="stores whose mean chooses the best"
    )
    parser.add_argument("--weights", type=Path, help="weights to start from where there is no checkpoint")
    parser.add_argument("--seconds-max", type=float, default=7200, help="over which the learning rate falls")
    parser.add_argument("--learning-rate", type=float, default=peak_rate)
    parser.add_argument("--checkpoint-seconds", type=float, default=300)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def begin(options: argparse.Namespace, build: Callable[[Path | None], Model]) -> tuple[Run[Model], torch.device]:
    """The run in the folder --out, new or resumed, and the device that it computes on."""
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Run(options.out, build, options.weights, options.learning_rate, device), device


def train(
    options: argparse.Namespace,
    run: Run[Model],
    batches: Iterable[Batch],
    loss_of: Callable[[Batch], tuple[torch.Tensor, int]],
    judge: Callable[[], tuple[float, dict[str, float]]],
) -> None:
    """Take steps until --seconds-max are spent on them, over all of the run; save and log in between and at the end.

    loss_of: the loss of a batch, and how many samples the batch holds.
    judge: the score of the running average, higher is better, and its figures for the log.
    """
    losses: list[float] = []
    saved_at = time.monotonic()
    for batch in batches:
        started = time.monotonic()
        loss, samples = loss_of(batch)
        rate = learning_rate(run.seconds / options.seconds_max, run.step, options.learning_rate)
        losses.append(run.take_step(loss, rate, samples, time.monotonic() - started))
        done = run.seconds >= options.seconds_max
        if time.monotonic() - saved_at < options.checkpoint_seconds and not done:
            continue
        score, figures = judge()
        run.save(score)
        log(options.out, run, loss=float(np.mean(losses)), **figures)
        losses, saved_at = [], time.monotonic()
        if done:
            return


def _share_of_store(text: str) -> tuple[Path, float]:
    path, _, share = text.rpartition(":")
    return Path(path), float(share)
