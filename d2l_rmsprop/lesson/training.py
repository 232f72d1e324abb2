"""The one training loop and the one evaluation, for every framework and both kinds of optimizer."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..backend import Array, Optimizer, Read, Step, as_numpy
from ..rmsprop import rmsprop
from .data import Minibatches, linear_problem
from .plotting import Accumulator, Animator, Timer

MakeStep: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[Step, Read]]  # of the start w, b


@dataclass
class History:
    """What a training run leaves behind: the curve, its times and the final weights."""

    epochs: list[float] = field(default_factory=list)  # passes over the data at each record
    losses: list[float] = field(default_factory=list)  # half the mean squared error, all examples
    times: list[float] = field(default_factory=list)  # seconds in steps so far, at each record
    epoch_seconds: list[float] = field(default_factory=list)  # seconds in the steps of each epoch
    w: Array = None  # NumPy's, (feature_dim, 1)
    b: Array = None  # NumPy's, (1,)


class Fit(NamedTuple):
    """What ``optimize`` found, w of shape (2,) and b, and the losses that it recorded."""

    w: np.ndarray
    b: float
    losses: list[float]


def fit(
    make_step: MakeStep,
    data_iter: Any,
    num_epochs: int = 2,
    *,
    seed: int = 0,
    start_scale: float = 0.01,
    record_every: int = 200,
    record_start: bool = False,
    record_end: bool = True,
    on_record: Callable[[float, float], Any] = lambda epoch, loss: None,
) -> History:
    """Train a linear model on half the mean squared error and return its History.

    ``make_step(w, b)`` returns two functions: step(X, y), and read(), the weights as NumPy arrays.
    The start, w ~ N(0, start_scale^2) and b = 0, and the order of our own minibatches come from
    one NumPy generator with this seed; any other iterable of (X, y) is used as it comes. The loss
    is evaluated in float64 over all examples, each time ``record_every`` more have been seen
    and, unless ``record_start`` and ``record_end`` say otherwise, at the end but not the start.
    """
    if isinstance(data_iter, Iterator):
        raise TypeError(
            f"data_iter is a {type(data_iter).__name__}, which can be read only once; "
            "pass a list of its minibatches, or d2l.load_array."
        )
    data_iter = getattr(data_iter, "minibatches", data_iter)
    ours = isinstance(data_iter, Minibatches)
    batches_per_epoch = _length(data_iter)
    rng = np.random.default_rng(seed)
    history = History()
    step: Any = None
    read: Any = None
    batches = seen = 0
    due = False

    def record() -> None:
        history.w, history.b = read()  # waits for the steps of a framework that runs them later
        timer.stop()
        history.epochs.append(batches / batches_per_epoch)
        history.losses.append(
            half_mse(history.w, history.b, [data_iter.arrays] if ours else data_iter)
        )
        history.times.append(timer.sum())
        on_record(history.epochs[-1], history.losses[-1])
        timer.start()

    timer = Timer()
    for _ in range(num_epochs):
        for X, y in data_iter.epoch(rng) if ours else data_iter:
            if step is None:
                step, read = make_step(*_start(X, start_scale, rng))
                timer.start()  # making the first optimizer of a process may take a second
                if record_start:
                    record()
            step(X, y)
            batches += 1
            seen += len(X)
            due = seen // record_every > (seen - len(X)) // record_every
            if due:
                record()
        if read is None:
            raise ValueError("data_iter gave no minibatch; give it at least one row.")
        read()
        timer.stop()
        history.epoch_seconds.append(timer.sum() - sum(history.epoch_seconds))
        timer.start()
    if record_end and not due:
        record()
    return history


def _length(data_iter: Any) -> int:
    try:
        return len(data_iter)
    except TypeError:  # an iterable that does not know its length
        return sum(1 for _ in data_iter)


def _start(X: Array, scale: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = as_numpy(X)
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}; it must be (batch_size, feature_dim).")
    dtype = X.dtype if X.dtype.kind == "f" else np.float32
    return rng.normal(0, scale, (X.shape[1], 1)).astype(dtype), np.zeros(1, dtype)


def half_mse(w: Array, b: Array, minibatches: Iterable) -> float:
    """Return half the mean squared error of X w + b, in float64, over all rows of (X, y) pairs."""
    w, b = (np.asarray(a, np.float64) for a in (w, b))
    total = rows = 0
    with np.errstate(over="ignore", invalid="ignore"):  # a diverged run says so by its loss
        for X, y in minibatches:
            X, y = (np.asarray(as_numpy(a), np.float64) for a in (X, y))
            error = X @ w + b - y.reshape(-1, 1)
            total += np.square(error).sum()
            rows += len(error)
    return float(total / (2 * rows))


def linreg(d2l: Any, X: Array, w: Array, b: Array) -> Array:
    """Return X w + b: shapes (n, d), (d, 1) and (1,) give (n, 1)."""
    return d2l.matmul(X, w) + b


def squared_loss(d2l: Any, y_hat: Array, y: Array) -> Array:
    """Return half the squared error of each example, in the shape of y_hat."""
    return (y_hat - d2l.reshape(y, y_hat.shape)) ** 2 / 2


def evaluate_loss(d2l: Any, net: Callable, data_iter: Iterable, loss: Callable) -> float:
    """Return the mean of ``loss(net(X), y)`` over all examples of data_iter.

    ``loss`` returns one number for each example, or their mean over the minibatch.
    """
    metric = Accumulator(2)
    for X, y in data_iter:
        out = net(X)
        if d2l.size(y) == d2l.size(out):
            y = d2l.reshape(y, out.shape)
        losses = as_numpy(loss(out, y))
        metric.add(losses.mean() * len(X), len(X))
    return metric[0] / metric[1]


def train_ch11(
    d2l: Any,
    trainer_fn: Optimizer,
    states: Any,
    hyperparams: dict[str, Any],
    data_iter: Any,
    feature_dim: int,
    num_epochs: int = 2,
    *,
    seed: int = 0,
    draw: bool = True,
) -> tuple[list[float], list[float]]:
    """Train a linear model from scratch, draw its loss and return (times, losses).

    Arguments:
        trainer_fn: an optimizer ``f(params, states, hyperparams)`` that changes params and states
            in place, such as ``rmsprop`` or a reader's own.
        states: whatever trainer_fn keeps; ``init_rmsprop_states(feature_dim)`` for rmsprop.
        hyperparams: a dict, handed on to trainer_fn at each step.
        data_iter: minibatches (X, y) of shapes (batch_size, feature_dim) and (batch_size,).
        seed: for the start and the order of our own minibatches; the same on every framework.
        draw: whether to draw the loss.

    Both lists have a value every 200 examples and one at the end: seconds of training so far, and
    half the mean squared error over all examples.
    """

    def make_step(w: np.ndarray, b: np.ndarray) -> tuple[Step, Read]:
        if len(w) != feature_dim:
            raise ValueError(f"feature_dim is {feature_dim}, but X has {len(w)} columns.")
        return d2l.linreg_step(trainer_fn, states, hyperparams, w, b)

    return _train(make_step, data_iter, num_epochs, seed, draw)


def train_concise_ch11(
    d2l: Any,
    trainer: Any,
    hyperparams: dict[str, Any],
    data_iter: Any,
    num_epochs: int = 2,
    *,
    seed: int = 0,
    draw: bool = True,
) -> tuple[list[float], list[float]]:
    """Train the framework's own linear layer with its own optimizer; return (times, losses).

    ``trainer`` is the optimizer's class, or its name on the framework that goes by names, and
    ``hyperparams`` its keyword arguments. The rest is as in ``train_ch11``.
    """
    return _train(
        lambda w, b: d2l.builtin_step(trainer, hyperparams, w, b), data_iter, num_epochs, seed, draw
    )


def _train(
    make_step: MakeStep, data_iter: Any, num_epochs: int, seed: int, draw: bool
) -> tuple[list[float], list[float]]:
    picture = {"ylim": [0.22, 0.35]} if draw else None
    history = fit_and_draw(make_step, data_iter, num_epochs, picture, seed=seed)
    print(
        f"loss: {history.losses[-1]:.3f}, {sum(history.epoch_seconds) / num_epochs:.3f} sec/epoch"
    )
    return history.times, history.losses


def fit_and_draw(
    make_step: MakeStep,
    data_iter: Any,
    num_epochs: int,
    picture: dict[str, Any] | None,
    **options: Any,
) -> History:
    """Run ``fit`` and draw its loss, by an Animator with what ``picture`` has, or not at all."""
    check_count(num_epochs=num_epochs)
    if picture is None:
        return fit(make_step, data_iter, num_epochs, **options)
    animator = Animator(xlabel="epoch", ylabel="loss", xlim=[0, num_epochs], **picture)
    history = fit(make_step, data_iter, num_epochs, on_record=animator.add, **options)
    animator.flush()
    return history


def check_count(**counts: Any) -> None:
    """Raise ValueError for a count that is not a whole number >= 1, by its name."""
    for name, value in counts.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} is {value!r}; it must be a whole number >= 1.")


def optimize(
    d2l: Any, batch_size: int, lr: float, gamma: float, num_epochs: int, log_interval: int
) -> Fit:
    """Run the first edition's experiment: RMSProp on ``linear_problem``, its loss on a log axis.

    The start is w ~ N(0, 1), b = 0; eps is 1e-8. The loss is recorded at the start and every
    ``log_interval`` examples. Prints and returns what was found: Fit(w, b, losses).
    """
    check_count(log_interval=log_interval)
    hyperparams = {"lr": lr, "gamma": gamma, "eps": 1e-8}
    states = d2l.init_rmsprop_states(2)
    history = fit_and_draw(
        lambda w, b: d2l.linreg_step(rmsprop, states, hyperparams, w, b),
        d2l.load_array(linear_problem(), batch_size),
        num_epochs,
        {"yscale": "log"},
        start_scale=1,
        record_every=log_interval,
        record_start=True,
    )
    found = Fit(history.w.reshape(-1), float(history.b[0]), history.losses)
    print(f"w: {found.w}, b: {found.b:.4f}, loss: {found.losses[-1]:.4e}")
    return found
