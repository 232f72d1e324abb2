"""A training run that keeps every step, in NumPy, for many learning rates at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backend import Rule, check_count
from .data import Minibatches, generator


class Trace(NamedTuple):
    """What a run was before its first step and after each one, float64 in all three arrays.

    The first axis is the step. Where there are several learning rates, the second is theirs.
    """

    losses: np.ndarray  #: half the mean squared error over all examples; inf where it diverged
    x: np.ndarray  #: the weights and, at the end of the last axis, the bias
    s: np.ndarray  #: the state of each of them


def trace_linreg(
    update: Rule,
    lr: Any,
    data_iter: Any,
    num_epochs: int = 2,
    *,
    start: Any = None,
    seed: int = 0,
    dtype: Any = np.float64,
) -> Trace:
    """Train a linear model on half the mean squared error, record each step and return the Trace.

    Arguments:
        update: ``update(x, s, g, lr) -> new (x, s)``, as ``apply`` takes it, on NumPy arrays; the
            first s is zeros.
        lr: the learning rate; or an array of learning rates, for one run each; or a function that
            returns either for the part of the training that is done, from 0 to 1.
        data_iter: minibatches from ``load_array`` or ``get_data_ch11``.
        start: the weights and, last, the bias, or one number for all; by default the start of
            ``train_ch11``.
        seed: for the start and the order, which are those of ``train_ch11`` with this seed.
        dtype: in which to compute.
    """
    check_count(num_epochs=num_epochs)
    batches = getattr(data_iter, "minibatches", data_iter)
    if not isinstance(batches, Minibatches):
        raise TypeError(
            f"data_iter is a {type(data_iter).__name__}; pass minibatches from d2l.load_array."
        )
    X, y = (np.asarray(a, dtype) for a in batches.arrays)
    X, y = np.column_stack([X, np.ones(len(X), dtype)]), y.reshape(-1)
    rng = generator(seed)
    schedule: Callable[[float], Any] = lr if callable(lr) else lambda progress: lr
    runs, steps = np.shape(schedule(0.0)), num_epochs * len(batches)
    xs: Any = np.empty((steps + 1, *runs, X.shape[1]), dtype)
    ss: Any = np.zeros_like(xs)
    t = 0
    with np.errstate(over="ignore", invalid="ignore"):  # a diverged run says so by its loss
        for epoch in range(num_epochs):
            order = rng.permutation(len(X)) if batches.shuffle else np.arange(len(X))
            if epoch == 0:
                drawn = np.append(rng.normal(0, 0.01, X.shape[1] - 1), 0)
                xs[0] = drawn if start is None else start
            for rows in np.split(order, range(batches.batch_size, len(X), batches.batch_size)):
                A, rate = X[rows], np.asarray(schedule(t / steps), dtype)
                g = (xs[t] @ A.T - y[rows]) @ A / len(rows)
                xs[t + 1], ss[t + 1] = update(xs[t], ss[t], g, rate[..., None])
                t += 1
        xs, ss = xs.astype(np.float64), ss.astype(np.float64)
        # |X x - y| = |R (x, -1)|, since X and y have Q R for their columns
        R: Any = np.linalg.qr(np.column_stack([X, y]).astype(np.float64), mode="r")
        losses = np.square(xs @ R[:, :-1].T - R[:, -1]).sum(axis=-1) / (2 * len(X))
    return Trace(np.nan_to_num(losses, nan=np.inf, posinf=np.inf), xs, ss)
