"""Whether an update computes each element from that element alone."""

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..backend import Array, Rule

KEPT = 12  # elements that stand among others, differently in each of two shapes
SHAPES = (6, 6), (35,)
# times a random number each; nan hides a norm above a limit, and only numbers show it
OTHERS = [-1, -3, -1e4, -1e-4, 0, np.inf, np.nan]
# the scales of x, s and g, and that of the others beside the kept elements in the second shape;
# only where all are tiny or nothing does a branch below a limit open
TRIALS: list[tuple[tuple[float, ...], list[float]]] = [
    ((1, 1, 1), OTHERS),
    ((1, 1, 1), [1e6]),
    ((-1, 1, -1), [-a for a in OTHERS]),
    ((-1, 1, -1), [-1e6]),
    ((1, 1, 1e-12), [1]),
    ((1, 1, 0), [1]),
    ((1, 0, 1), [1]),
    ((0, 1, 1), [1]),
]


def is_elementwise(
    update: Rule, count: int, arrays: Sequence[Callable[[np.ndarray], Array]], numpy: Callable
) -> bool:
    """Try update(x, s, g, and ``count`` numbers) on the same elements among other ones.

    ``arrays`` turn a NumPy array of float32 into one of the plain step and one of the compiled
    step, and ``numpy`` turns either back. Raises whatever the update raises, and TypeError where
    it returns anything but two arrays of the shape of x.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of the root of a negative number, say
        for scales, others in TRIALS:
            plain, compiled = _trials(update, count, arrays, numpy, scales, others)
            if not np.allclose(plain, compiled, rtol=1e-3, atol=1e-6, equal_nan=True):
                return False
    return True


def _trials(
    update: Rule,
    count: int,
    arrays: Sequence[Callable],
    numpy: Callable,
    scales: tuple[float, ...],
    others: list[float],
) -> Iterator[np.ndarray]:
    """Yield what the update makes of the kept elements in each shape."""
    rng = np.random.default_rng(0)
    numbers = (0.3 + 0.6 * np.arange(count) / max(count, 1)).tolist()
    kept = np.abs(rng.normal(size=(3, KEPT))) + 0.1  # x, s and g
    kept *= (own := np.array(scales)[:, None])
    scales_beside = own, np.resize(others, np.prod(SHAPES[1]))
    for shape, array, beside in zip(SHAPES, arrays, scales_beside, strict=True):
        size = int(np.prod(shape))
        values = np.abs(rng.normal(size=(3, size))) * beside
        where = rng.permutation(size)[:KEPT]
        values[:, where] = kept
        values[1] = np.abs(values[1])
        new = update(*(array(a.reshape(shape)) for a in values.astype(np.float32)), *numbers)
        if len(new) != 2 or any(tuple(a.shape) != shape for a in new):
            raise TypeError("an update must return the new x and s, of the shape of x")
        yield np.stack([np.array(numpy(a)).reshape(size)[where] for a in new])
