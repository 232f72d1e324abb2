"""What the first edition's chapter 7 calls on every framework, each written once."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..backend import Array, Optimizer, as_numpy
from ..lesson import data, plotting, training
from ..lesson.plotting import plt, set_figsize, use_svg_display
from ..numpy import show_trace_2d  # those editions draw on NumPy's grid

__all__ = [
    "data_iter",
    "plt",
    "semilogy",
    "set_figsize",
    "show_trace_2d",
    "train_2d",
    "use_svg_display",
]


def airfoil() -> tuple[np.ndarray, np.ndarray]:
    """Return (features, labels) of the airfoil table, whitened: float32, (1503, 5) and (1503,).

    Where the table cannot be had, a warning says so once and its stand-in of 1500 rows takes its
    place. See ``lesson.data.get_data_ch11`` for the table's source.
    """
    rows = data.airfoil_or_stand_in().astype(np.float32)
    return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, -1])


def train_ch7(
    d2l: Any,
    trainer_fn: Optimizer,
    states: Any,
    hyperparams: Any,
    features: Array,
    labels: Array = None,
    batch_size: int = 10,
    num_epochs: int = 2,
    *,
    seed: int = 0,
) -> None:
    """Train a linear model from scratch, draw its loss and print it.

    Start, order, loss and steps are those of ``train_ch11`` with the same seed. The loss is half
    the mean squared error over all examples, before training and every 100 examples; the last of
    these is printed.

    Arguments:
        trainer_fn: an optimizer as the edition's chapters write it, or in any other way that
            ``train_ch11`` takes; it need not clear gradients.
        states: whatever trainer_fn keeps.
        hyperparams: a dict, handed on to trainer_fn at each step.
        features: an array of shape (n, d), as ``get_data_ch7`` returns it.
        labels: an array of shape (n,), from there too.
        batch_size: examples in a minibatch.
        num_epochs: passes over the data.
        seed: for the start and the order of the minibatches.
    """
    make_step = training.scratch_step(d2l, trainer_fn, states, hyperparams)
    _train(d2l, make_step, hyperparams, (features, labels), batch_size, num_epochs, seed)


def train_concise_ch7(
    d2l: Any,
    trainer: Any,
    hyperparams: dict[str, Any],
    features: Array,
    labels: Array = None,
    batch_size: int = 10,
    num_epochs: int = 2,
    *,
    seed: int = 0,
) -> None:
    """Train the framework's own linear layer with its own optimizer, draw its loss and print it.

    ``trainer`` is the optimizer as the edition's chapters give it and ``hyperparams`` are its
    keyword arguments. Start, minibatches, loss and records are as in ``train_ch7``.
    """
    make_step = training.concise_step(d2l, trainer, hyperparams)
    _train(d2l, make_step, hyperparams, (features, labels), batch_size, num_epochs, seed)


def _train(
    d2l: Any,
    make_step: training.MakeStep,
    hyperparams: dict[str, Any],
    arrays: tuple[Array, Array],
    batch_size: int,
    num_epochs: int,
    seed: int,
) -> None:
    features, labels = arrays
    if isinstance(features, tuple) or labels is None:
        raise TypeError(
            "features and labels are two arguments; take what get_data_ch7 returns apart first: "
            "features, labels = d2l.get_data_ch7()."
        )
    history = training.fit_and_draw(
        make_step,
        data.load_array(d2l, arrays, batch_size),
        num_epochs,
        {},
        seed=seed,
        record_every=100,
        record_start=True,
        record_end=False,
    )
    training.warn_if_idle(history, hyperparams)
    seconds = sum(history.epoch_seconds) / num_epochs
    print(f"loss: {history.losses[-1]:f}, {seconds:f} sec per epoch")


def data_iter(batch_size: int, features: Array, labels: Array) -> Iterator[tuple[Array, Array]]:
    """Yield minibatches of (features, labels), shuffled by Python's ``random``.

    features has shape (n, d) and labels (n,); the last minibatch may be smaller.
    """
    order = list(range(len(features)))
    random.shuffle(order)
    for rows in data.split(order, batch_size):
        yield features[rows], labels[rows]


def train_2d(trainer: Callable) -> list[tuple]:
    """Run ``trainer(x1, x2, s1, s2)`` 20 times from (-5, -2), s1 = s2 = 0; return the 21 places.

    The trainer returns the new four.
    """
    results = plotting.trace_2d(trainer)
    x1, x2 = (as_numpy(x).item() for x in results[-1])
    print(f"epoch 20, x1 {x1:f}, x2 {x2:f}")
    return results


def semilogy(
    x_vals: Array,
    y_vals: Array,
    x_label: str,
    y_label: str,
    x2_vals: Array = None,
    y2_vals: Array = None,
    legend: Any = None,
    figsize: tuple[float, float] = (3.5, 2.5),
) -> None:
    """Draw y over x, both n numbers, in a picture with a logarithmic y axis.

    A second such curve is dotted.
    """
    xs, ys = [x_vals], [y_vals]
    if x2_vals is not None and y2_vals is not None:
        xs, ys = [x_vals, x2_vals], [y_vals, y2_vals]
    plotting.plot(
        [as_numpy(x).reshape(-1) for x in xs],
        [as_numpy(y).reshape(-1) for y in ys],
        x_label,
        y_label,
        legend or (),
        yscale="log",
        fmts=("-", ":"),
        figsize=figsize,
        axes=plt.subplots(figsize=figsize)[1],
    )
