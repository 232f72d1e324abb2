"""The algorithm, once for every framework.

Source: T. Tieleman and G. Hinton, "Lecture 6.5: RMSProp", COURSERA: Neural Networks for
Machine Learning, 2012.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .backend import Array, Hyperparams, backend_of, check_count, read_hyperparams


def rmsprop(
    params: Sequence[Array], states: Sequence[Array], hyperparams: Mapping[str, Any] | Hyperparams
) -> None:
    """Take one step of RMSProp, in place, on the arrays of any framework::

        s <- gamma s + (1 - gamma) g^2
        x <- x - lr g / sqrt(s + eps)

    Arguments:
        params: the parameters x of any shape, each with its gradient g, of the same shape and
            precision, in ``x.grad``: a list, a tuple, ``net.parameters()``.
        states: the leaky averages s, one for each parameter and of its shape.
        hyperparams: a dict with the learning rate ``lr`` (>= 0) and the decay ``gamma`` (from 0
            to 1), both required; ``eps`` (>= 0, default 1e-6); ``eps_in_sqrt`` (default True;
            False divides by sqrt(s) + eps instead). Other keys are left alone.

    The gradient is used up: the next backward pass starts clean.

    The step is computed in the wider precision of x and s, and each keeps its own. In float16 an
    average above 65504 (of gradients above 256) is infinite and ends the steps, one below 6e-8
    is 0, and so is such an eps; frameworks' own optimizers, which round in other places, differ
    there. Give such parameters states of float32, and an eps in the root of at least 1e-7.

    Raises, before anything is changed, ValueError for a hyperparameter that is missing or out of
    range, states that do not match params, a parameter without a gradient or listed twice, and
    arrays that cannot be changed or are on two devices; TypeError for params that are not one
    framework's own, for integers and complex numbers, and for a gradient of another type than its
    parameter.
    """
    lr, gamma, eps, eps_in_sqrt = read_hyperparams(hyperparams)
    d2l, params = backend_of(params)

    def update(x: Array, s: Array, g: Array, lr: Any, gamma: Any, eps: Any) -> tuple[Array, Array]:
        s = gamma * s + (1 - gamma) * g * g
        x = x - lr * g / (d2l.sqrt(s + eps) if eps_in_sqrt else d2l.sqrt(s) + eps)
        return x, s

    d2l.apply(update, params, states, lr, gamma, eps)


def init_rmsprop_states(d2l: Any, feature_dim: int) -> tuple[Array, Array]:
    """Return the states (s_w, s_b) of a linear model, zeros of shapes (feature_dim, 1) and (1,)."""
    check_count(feature_dim=feature_dim)
    # d2l is the framework; the chapter's d2l.init_rmsprop_states(feature_dim) fills it in
    return d2l.variable(d2l.zeros((feature_dim, 1))), d2l.variable(d2l.zeros((1,)))


def rmsprop_2d(
    x1: float,
    x2: float,
    s1: float,
    s2: float,
    f_grad: Callable[[float, float], tuple[float, float]] | None = None,
    *,
    lr: float = 0.4,
    gamma: float = 0.9,
    eps: float = 1e-6,
) -> tuple[float, float, float, float]:
    """Take one step of RMSProp in the plane and return the new (x1, x2, s1, s2).

    ``f_grad(x1, x2)`` returns the two slopes; the default is that of 0.1 x1^2 + 2 x2^2.
    All are numbers, as ``train_2d`` passes them. Raises ValueError for others.
    """
    lr, gamma, eps, _ = read_hyperparams({"lr": lr, "gamma": gamma, "eps": eps})
    slopes = f_grad(x1, x2) if f_grad else (0.2 * x1, 4 * x2)
    try:
        g1, g2 = map(float, slopes)
    except (TypeError, ValueError):
        raise ValueError(f"f_grad returned {slopes!r}, not the two slopes g1, g2.") from None
    s1 = gamma * s1 + (1 - gamma) * g1**2
    s2 = gamma * s2 + (1 - gamma) * g2**2
    return x1 - lr * g1 / math.sqrt(s1 + eps), x2 - lr * g2 / math.sqrt(s2 + eps), s1, s2


def leaky_average_weights(gamma: float, steps: int) -> list[float]:
    """Return the list of weights (1 - gamma) gamma^t that the gradient of t steps ago has in s."""
    return [(1 - gamma) * gamma**t for t in range(steps)]
