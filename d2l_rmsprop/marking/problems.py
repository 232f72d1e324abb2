"""What a student's rmsprop is tried on: fresh random problems. The answers are not here."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

Arrays: TypeAlias = list[np.ndarray]  # one for each parameter


class Problem(NamedTuple):
    """Parameters to start from, the gradients of each step, and the hyperparameters.

    One that is not ``strict`` may raise an error: ``s[:]``, as the book writes, has no scalars.
    """

    start: Arrays
    gradients: list[Arrays]
    lr: float
    gamma: float
    eps: float
    strict: bool = True

    @property
    def hyperparams(self) -> dict[str, float]:
        return {"lr": self.lr, "gamma": self.gamma, "eps": self.eps}


def problems(rng: np.random.Generator, short: bool = False) -> list[Problem]:
    """Return the problems, cheap ones first; ``short`` leaves out the long ones.

    The first tells the usual mistakes apart: its epsilon is as large as the squared gradients, and
    no number in it is one that a student would write.
    """

    def problem(
        shapes: Sequence[tuple[int, ...]],
        steps: int,
        *,
        scale: float = 1.0,
        dtype: str = "float32",
        lr: float | None = None,
        gamma: float | None = None,
        eps: float | None = None,
        strict: bool = True,
    ) -> Problem:
        def normal(shape: tuple[int, ...], size: float) -> np.ndarray:
            signs = rng.choice([-1, 1], shape)  # no gradient close to 0, which would tell little
            return np.asarray(signs * size * rng.uniform(0.5, 1.5, shape), dtype)

        return Problem(
            [normal(shape, 1.0) for shape in shapes],
            [[normal(shape, scale) for shape in shapes] for _ in range(steps)],
            rng.uniform(0.02, 0.08) if lr is None else lr,
            rng.uniform(0.6, 0.85) if gamma is None else gamma,
            scale**2 * rng.uniform(0.2, 0.6) if eps is None else eps,
            strict,
        )

    found = [
        problem([(3,), (3,)], 4),
        problem([(3,), (3,)], 4),  # the same with other numbers: what is written in stays the same
        problem([(3, 1), (2, 3, 4)], 2),
        problem([()], 2, strict=False),
        problem([(0,)], 2, strict=False),
        problem([(4,)], 3, gamma=0.0),
        problem([(4,)], 3, gamma=1.0),
        problem([(4,)], 2, lr=0.0),
        problem([(4,)], 3, eps=0.0),
        problem([(4,)], 3, eps=1e-6, scale=1e-8),
        problem([(4,)], 3, eps=1e-6, scale=1e4),
        problem([(4,)], 3, eps=1e-6, scale=1e8),
        problem([(5,)], 6, eps=1e-12, dtype="float64"),
    ]
    if not short:
        found.append(problem([(2,), (2, 2)], 300, gamma=rng.uniform(0.9, 0.99), eps=1e-6))
    return found
