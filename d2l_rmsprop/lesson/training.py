"""The one training loop and the one evaluation, for every framework and both kinds of optimizer."""

import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..backend import Array, Optimizer, Read, Step, as_numpy, check_count
from ..rmsprop import rmsprop
from . import styles
from .data import generator, linear_problem
from .minibatches import check_iterable, for_training
from .plotting import Accumulator, Animator, Timer

MakeStep: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[Step, Read]]  # of the start w, b


@dataclass
class History:
    """What a training run leaves behind: the curve, its times and the final weights."""

    epochs: list[float] = field(default_factory=list)  #: passes over the data at each record
    losses: list[float] = field(default_factory=list)  #: half the mean squared error, all examples
    times: list[float] = field(default_factory=list)  #: seconds in steps so far, at each record
    epoch_seconds: list[float] = field(default_factory=list)  #: seconds in the steps of each epoch
    w: Array = None  #: the final weights, NumPy's, (feature_dim, 1)
    b: Array = None  #: the final bias, NumPy's, (1,)
    idle: int = 0  #: epochs that changed no weight


class Fit(NamedTuple):
    """What ``optimize`` found."""

    w: np.ndarray  #: the weights, (2,)
    b: float  #: the bias
    losses: list[float]  #: half the mean squared error over all examples, at each record


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
    native: Callable[[np.ndarray], Array] | None = None,
    on_record: Callable[[float, float], Any] = lambda epoch, loss: None,
) -> History:
    """Train a linear model on half the mean squared error and return its History.

    ``make_step(w, b)`` returns two functions: step(X, y), and read(), the weights as NumPy arrays.
    The start, w ~ N(0, start_scale^2) and b = 0, and the order of our own minibatches come from
    one NumPy generator with this seed. Any other iterable of (X, y) is used as it comes, read once
    in each epoch; where ``native`` is given, it makes such minibatches the framework's own. The
    model is float64 where X is an array of it, else float32, and X and y are converted to its type.

    The loss is evaluated in float64 over all examples (of the first pass, where they are not
    ours), each time ``record_every`` more have been seen and, unless ``record_start`` and
    ``record_end`` say otherwise, at the end but not the start.
    """
    batches = for_training(data_iter, native)
    rng = generator(seed)
    run: Any = None
    steps = seen = 0
    due = False
    for epoch in range(num_epochs):
        before = steps
        for X, y in batches.epoch(rng):
            if run is None:
                w, b = _start(X, start_scale, rng)
                step, read = make_step(w, b)
                run = _Run(batches, w, b, read, on_record)
                if record_start:
                    run.record(0)
            step(X, y)
            steps += 1
            seen += len(X)
            due = seen // record_every > (seen - len(X)) // record_every
            if due:
                run.record(steps)
        if steps == before:
            raise ValueError(
                "data_iter gave no minibatch; give it at least one row."
                if run is None
                else f"data_iter gave no minibatch in epoch {epoch + 1}; give one that starts "
                "anew at each pass, such as a list."
            )
        run.end_epoch()
    if record_end and not due:
        run.record(steps)
    return run.history


class _Run:
    """The records of a run: its weights and times at once, its losses when all rows are known."""

    def __init__(self, batches: Any, w: Array, b: Array, read: Read, on_record: Callable) -> None:
        self.history = History()
        self._batches, self._read, self._hear = batches, read, on_record
        self._weights = [w, b]
        self._waiting: list[tuple[int, Array, Array, float]] = []
        self._timer = Timer()  # now: making the first optimizer of a process may take a second

    def record(self, steps: int) -> None:
        w, b = map(np.array, self._read())  # waits for a framework that runs its steps later
        self._timer.stop()
        self._waiting.append((steps, w, b, self._timer.sum()))
        self._evaluate()
        self._timer.start()

    def end_epoch(self) -> None:
        weights = self._read()
        self._timer.stop()
        history = self.history
        history.epoch_seconds.append(self._timer.sum() - sum(history.epoch_seconds))
        history.idle += all(map(np.array_equal, weights, self._weights))
        self._weights = [np.array(a) for a in weights]
        self._evaluate()
        self._timer.start()

    def _evaluate(self) -> None:
        if self._batches.arrays is None:
            return
        history = self.history
        for steps, w, b, seconds in self._waiting:
            history.w, history.b = w, b
            history.epochs.append(steps / len(self._batches))
            history.losses.append(half_mse(w, b, [self._batches.arrays]))
            history.times.append(seconds)
            self._hear(history.epochs[-1], history.losses[-1])
        self._waiting = []


def _start(X: Array, scale: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = as_numpy(X)
    dtype = np.float64 if X.dtype == np.float64 else np.float32
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
    feature_dim: int | None = None,
    num_epochs: int = 2,
    *,
    seed: int = 0,
    draw: bool = True,
) -> tuple[list[float], list[float]]:
    """Train a linear model from scratch, draw its loss and return (times, losses).

    Arguments:
        trainer_fn: an optimizer, such as ``rmsprop`` or a reader's own: f(params, states,
            hyperparams), where each parameter has its gradient in ``grad``, or one that takes the
            gradients too, (params, grads, states, hyperparams) in any order; the names of the
            arguments say which. It may change params and states in place, put new arrays into the
            two lists, or return the new params, alone or as (params, states).
        states: whatever trainer_fn keeps; ``init_rmsprop_states(feature_dim)`` for rmsprop. A list
            is handed on itself, so it has what trainer_fn puts into it; a tuple or a generator
            becomes a list.
        hyperparams: a dict, handed on to trainer_fn at each step.
        data_iter: minibatches (X, y) of shapes (batch_size, feature_dim) and (batch_size,) or
            (batch_size, 1), from ``load_array`` or any iterable, which is read once in each epoch.
        seed: for the start and the order of our own minibatches; the same on every framework.
        draw: whether to draw the loss.

    Where ``d2l.Variable`` is the type of a parameter, an optimizer without gradients among its
    arguments gets those; one that takes them gets plain arrays, in params and in states.

    The model is float64 where X is an array of it (and the framework has float64 switched on) and
    float32 otherwise; X and y, arrays of any framework or lists, are converted to its type.

    Both lists have a value every 200 examples and one at the end: seconds of training so far, and
    half the mean squared error over all examples. Where an epoch changes no parameter although lr
    is not 0, a warning says so. Raises TypeError or ValueError, in one sentence, for what cannot
    be trained.
    """
    from_scratch = scratch_step(d2l, trainer_fn, states, hyperparams)
    check_iterable(data_iter)
    if feature_dim is None:
        raise TypeError("feature_dim is missing; give the number of columns of X.")

    def make_step(w: np.ndarray, b: np.ndarray) -> tuple[Step, Read]:
        if not isinstance(feature_dim, Real) or feature_dim != len(w):
            raise ValueError(
                f"feature_dim is {feature_dim!r}, but X has {len(w)} columns; give that number."
            )
        return from_scratch(w, b)

    return _train(d2l, make_step, hyperparams, data_iter, num_epochs, seed, draw)


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
    ``hyperparams`` a dict of its keyword arguments. The rest is as in ``train_ch11``.
    """
    make_step = concise_step(d2l, trainer, hyperparams)
    return _train(d2l, make_step, hyperparams, data_iter, num_epochs, seed, draw)


def scratch_step(d2l: Any, trainer_fn: Optimizer, states: Any, hyperparams: Any) -> MakeStep:
    """Return what ``fit`` takes to train with an optimizer from scratch, which is checked here."""
    _check_mapping(hyperparams)
    if isinstance(trainer_fn, type) or not callable(trainer_fn):
        raise TypeError(
            f"trainer_fn is {styles.described(trainer_fn)}; it must be a function f(params, "
            "states, hyperparams), and a framework's own optimizer goes to the concise training."
        )
    if isinstance(states, Iterator):
        states = list(states)
    return lambda w, b: d2l.linreg_step(trainer_fn, states, hyperparams, w, b)


def concise_step(d2l: Any, trainer: Any, hyperparams: Any) -> MakeStep:
    """Return what ``fit`` takes to train with the framework's own layer and optimizer."""
    _check_mapping(hyperparams)

    def make_step(w: np.ndarray, b: np.ndarray) -> tuple[Step, Read]:
        step, read = d2l.builtin_step(trainer, hyperparams, w, b)

        def told(X: Array, y: Array) -> None:
            try:
                step(X, y)
            except Exception as error:  # some need more than gradients, or see a bad number late
                name = getattr(trainer, "__name__", repr(trainer))
                reason = textwrap.shorten(str(error) or type(error).__name__, 200)
                raise ValueError(
                    f"{name} cannot take a step of this training with the hyperparams "
                    f"{dict(hyperparams)} ({reason}); choose another trainer or other hyperparams."
                ) from error

        return told, read

    return make_step


def _check_mapping(hyperparams: Any) -> None:
    if not isinstance(hyperparams, Mapping):
        raise TypeError(
            f"hyperparams is {styles.described(hyperparams)}; it must be a dict, such as "
            "{'lr': 0.01}."
        )


def _train(
    d2l: Any,
    make_step: MakeStep,
    hyperparams: Mapping[str, Any],
    data_iter: Any,
    num_epochs: int,
    seed: int,
    draw: bool,
) -> tuple[list[float], list[float]]:
    picture = {"ylim": [0.22, 0.35]} if draw else None
    history = fit_and_draw(
        make_step, data_iter, num_epochs, picture, seed=seed, native=d2l.from_numpy
    )
    warn_if_idle(history, hyperparams)
    print(
        f"loss: {history.losses[-1]:.3f}, {sum(history.epoch_seconds) / num_epochs:.3f} sec/epoch"
    )
    return history.times, history.losses


def warn_if_idle(history: History, hyperparams: Mapping[str, Any]) -> None:
    """Say once where an epoch changed no parameter, although the learning rate is not 0."""
    lr = hyperparams.get("lr", hyperparams.get("learning_rate"))
    if history.idle and not np.all(lr == 0):
        warnings.warn(
            "an epoch of training changed no parameter; an optimizer has to change params in "
            "place, put new ones into the list, or return them.",
            stacklevel=5,
        )


def fit_and_draw(
    make_step: MakeStep,
    data_iter: Any,
    num_epochs: int,
    picture: dict[str, Any] | None,
    **options: Any,
) -> History:
    """Return the History of ``fit`` and, unless picture is None, draw its loss over the epochs."""
    check_count(num_epochs=num_epochs)
    if picture is None:
        return fit(make_step, data_iter, num_epochs, **options)
    animator = Animator(xlabel="epoch", ylabel="loss", xlim=[0, num_epochs], **picture)
    history = fit(make_step, data_iter, num_epochs, on_record=animator.add, **options)
    animator.flush()
    return history


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
