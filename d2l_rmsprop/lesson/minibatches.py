"""Minibatches for training: ours, and whatever a reader iterates over, checked and as numbers."""

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import numpy as np

from ..backend import Array
from .data import Minibatches, array_of_numbers
from .styles import described

ADVICE = "as d2l.load_array((X, y), batch_size) gives them"


def for_training(data_iter: Any, native: Callable[[np.ndarray], Array] | None) -> Any:
    """Return the minibatches of ``data_iter``, with X and y in the model's type.

    What comes back has ``epoch(rng)``, an iterator of one pass, and ``arrays``, all examples as
    NumPy arrays. ``native`` makes a NumPy minibatch of a reader's own iterable the framework's.
    """
    data_iter = getattr(data_iter, "minibatches", data_iter)
    if isinstance(data_iter, Minibatches):
        return data_iter.of(numbers(data_iter.arrays))
    return Given(data_iter, native)


def numbers(minibatch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (X, y) as NumPy arrays: float64 where X is an array of it, else float32.

    X has shape (batch_size, feature_dim), y has batch_size elements. Raises TypeError or
    ValueError for anything else.
    """
    if not isinstance(minibatch, (list, tuple)):
        raise TypeError(f"a minibatch of data_iter is {described(minibatch)}; {_PAIR}")
    if len(minibatch) != 2:
        raise ValueError(
            f"a minibatch of data_iter is a {type(minibatch).__name__} of length {len(minibatch)}; "
            f"{_PAIR}"
        )
    X, y = (array_of_numbers(name, a) for name, a in zip("Xy", minibatch, strict=True))
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}; it must be (batch_size, feature_dim).")
    if not len(X):
        raise ValueError("a minibatch of data_iter has no rows; give it at least one.")
    if y.size != len(X):
        raise ValueError(f"X has {len(X)} rows, but y has shape {y.shape}; give a y for each row.")
    is_list = isinstance(minibatch[0], (list, tuple))
    dtype = np.float64 if X.dtype == np.float64 and not is_list else np.float32
    return np.asarray(X, dtype), np.asarray(y, dtype)


_PAIR = f"it must be a pair (X, y), {ADVICE}."


class Given:
    """A reader's own iterable of minibatches (X, y), read once in each epoch.

    ``arrays`` are the examples of the first pass, from its end on; None before.
    """

    def __init__(self, data_iter: Any, native: Callable[[np.ndarray], Array] | None) -> None:
        check_iterable(data_iter)
        self.arrays: tuple[np.ndarray, np.ndarray] | None = None
        self.count = 0  # minibatches in the first pass
        self._data_iter, self._native = data_iter, native

    def __len__(self) -> int:
        return self.count

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Yield the minibatches of one pass, in the reader's order."""
        passed: list[tuple[np.ndarray, np.ndarray]] = []
        first = None if self.arrays is None else self.arrays[0]
        for minibatch in self._data_iter:
            X, y = numbers(minibatch)
            first = X if first is None else first
            if X.shape[1] != first.shape[1]:
                raise ValueError(
                    f"X has {X.shape[1]} columns in one minibatch and {first.shape[1]} in "
                    "another; give all the same."
                )
            X, y = np.array(X, first.dtype), np.array(y, first.dtype)  # a reader may reuse theirs
            if self.arrays is None:
                passed.append((X, y.reshape(-1)))
            yield (self._native(X), self._native(y)) if self._native else tuple(minibatch)
        if passed:
            Xs, ys = zip(*passed, strict=True)
            self.arrays, self.count = (np.concatenate(Xs), np.concatenate(ys)), len(passed)


def check_iterable(data_iter: Any) -> None:
    """Raise TypeError for what gives no minibatches, or gives them only once."""
    if isinstance(data_iter, tuple) and len(data_iter) == 2 and isinstance(data_iter[1], Integral):
        raise TypeError(
            "data_iter is the pair that get_data_ch11 returns; take it apart first: "
            "data_iter, feature_dim = d2l.get_data_ch11()."
        )
    try:
        again = iter(data_iter) is not data_iter
    except TypeError:
        raise TypeError(
            f"data_iter is {described(data_iter)}; it must be minibatches (X, y), {ADVICE}."
        ) from None
    if not again:
        until = " until its reset()" if hasattr(data_iter, "reset") else ""
        raise TypeError(
            f"data_iter is {described(data_iter)}, which can be read only once{until}, and each "
            "epoch reads it; give a list of pairs (X, y), or d2l.load_array((X, y), batch_size)."
        )
