"""What a figure is to reach, and a line that says whether it does."""

import operator
from dataclasses import dataclass

_SIGNS = {"<=": operator.le, ">=": operator.ge, ">": operator.gt}


@dataclass(frozen=True)
class Aim:
    """What is measured, with its unit, and the bound that it is to keep: `sign` is one of <=, >= and >."""

    what: str
    sign: str
    bound: float

    def met(self, figure: float) -> bool:
        return bool(_SIGNS[self.sign](figure, self.bound))

    def verdict(self, figure: float | None) -> str:
        """A line that begins with met, MISSED, or, where there is no figure, not measured."""
        aim = f"aim {self.sign} {self.bound:,g}"
        if figure is None:
            return f"not measured  {self.what}: {aim}"
        return f"{'met' if self.met(figure) else 'MISSED':<12}  {self.what}: {_written(figure)}, {aim}"


def _written(figure: float) -> str:
    """Four significant digits, and all of them before the point."""
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.4g}"
