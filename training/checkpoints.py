"""A training run that can be interrupted: model, optimiser, running average, and what was spent so far."""

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

AVERAGE_DECAY = 0.999
"""Of the running average of the weights, a step: it is steadier than the last step's weights."""

WARM_UP_STEPS = 200

Model = TypeVar("Model", bound=nn.Module)


def learning_rate(progress: float, step: int, peak: float) -> float:
    """Warm up, then fall along a cosine of the time spent (0 to 1) to a fiftieth of the peak."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


class Run(Generic[Model]):
    """A run in a folder; it goes on from the folder's last checkpoint, or begins with `weights`.

    build: makes the model from a file of weights, or untrained from None.
    """

    def __init__(
        self,
        folder: Path,
        build: Callable[[Path | None], Model],
        weights: Path | None,
        peak_rate: float,
        device: torch.device,
    ) -> None:
        self.folder = folder
        last = folder / "last.pt"
        self.model: Model = build(None if last.exists() else weights)
        self.model = self.model.to(device, memory_format=torch.channels_last)
        self.average: Model = copy.deepcopy(self.model)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=peak_rate, weight_decay=1e-4)
        self.step = self.samples = 0
        self.seconds, self.best = 0.0, -math.inf
        if last.exists():
            self._resume(torch.load(last, map_location=device, weights_only=True))
        self.model.train()

    def _resume(self, saved: dict[str, object]) -> None:
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        for name in ("step", "samples", "seconds", "best"):
            setattr(self, name, saved[name])

    def take_step(self, loss: torch.Tensor, rate: float, samples: int, seconds_before: float) -> float:
        """Step down the gradient of `loss`; returns it as a number. seconds_before: what the forward pass took."""
        started = time.monotonic()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimiser.step()
        self._move_average()
        self.step, self.samples = self.step + 1, self.samples + samples
        self.seconds += seconds_before + time.monotonic() - started
        return float(loss.detach())

    def _move_average(self) -> None:
        decay = min(AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for ours, theirs in zip(
                self.average.state_dict().values(),
                self.model.state_dict().values(),
                strict=True,
            ):
                if ours.dtype.is_floating_point:
                    ours.lerp_(theirs, 1 - decay)
                else:
                    ours.copy_(theirs)

    def save(self, score: float) -> None:
        """Write the checkpoint, whole or not at all; the average also as best.pt where `score` is the highest yet."""
        if score > self.best:
            self.best = score
            _write(self.average.state_dict(), self.folder / "best.pt")
        state = {"model": self.model.state_dict(), "average": self.average.state_dict()}
        state |= {
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "samples": self.samples,
        }
        _write(
            state | {"seconds": self.seconds, "best": self.best},
            self.folder / "last.pt",
        )


def _write(state: dict[str, object], path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def log(folder: Path, run: Run[Model], **values: float) -> None:
    """Append a JSON line to the run's log."""
    spent = {"step": run.step, "samples": run.samples, "seconds": round(run.seconds)}
    rounded = {name: round(value, 5) for name, value in values.items()}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps({"time": time.strftime("%H:%M:%S"), **spent, **rounded}) + "\n")
