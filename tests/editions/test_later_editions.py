"""Optimizers as the editions after the first write them, in ``train_ch11`` of their frameworks."""

import numpy as np
import pytest
from conftest import framework
from references import adam_by_hand, by_hand, rmsprop_by_hand, table


def train(d2l, trainer_fn, states, hyperparams):
    X, y = table()
    return d2l.train_ch11(trainer_fn, states, hyperparams, d2l.load_array((X, y), 10), 5)[1]


# the rewrite of 2026 on JAX: plain arrays, new ones in the two lists, decay is beta2


def rewritten_rmsprop(params, grads, states, hyperparams):
    for i, (p, s, g) in enumerate(zip(params, states, grads, strict=True)):
        s = hyperparams["beta2"] * s + (1 - hyperparams["beta2"]) * g**2
        params[i] = p - hyperparams["lr"] * g / (s + 1e-6) ** 0.5
        states[i] = s
    return params[0], params[1]


def rewritten_adam(params, grads, states, hyperparams):
    for i, (p, (v, s), g) in enumerate(zip(params, states, grads, strict=True)):
        v, s = 0.9 * v + 0.1 * g, 0.999 * s + 0.001 * g**2
        v_hat = v / (1 - 0.9 ** hyperparams["t"])
        s_hat = s / (1 - 0.999 ** hyperparams["t"])
        params[i] = p - hyperparams["lr"] * v_hat / (s_hat**0.5 + 1e-6)
        states[i] = (v, s)
    hyperparams["t"] += 1
    return params[0], params[1]


@pytest.mark.parametrize("name", ["jax", "torch", "mxnet", "tensorflow", "paddle", "numpy"])
@pytest.mark.parametrize("kind", [list, tuple])
def test_the_rewrites_optimizers(name, kind):
    d2l = framework(name)
    array = (lambda a: a) if name == "numpy" else d2l.zeros  # NumPy's own, as JAX's are JAX's

    def zeros():
        shapes = (5, 1), (1,)
        return [np.zeros(s, "f4") if name == "numpy" else array(s) for s in shapes]

    losses = train(d2l, rewritten_rmsprop, kind(zeros()), {"lr": 0.01, "beta2": 0.9})
    np.testing.assert_allclose(losses, by_hand(*table(), rmsprop_by_hand()), atol=1e-6)
    pairs = kind(zip(zeros(), zeros(), strict=True))
    hyperparams = {"lr": 0.01, "t": 1}
    losses = train(d2l, rewritten_adam, pairs, hyperparams)
    np.testing.assert_allclose(losses, by_hand(*table(), adam_by_hand()), atol=1e-6)
    assert hyperparams["t"] == 301


# the Chinese second edition on Paddle: three arguments, in place, and the params come back


def paddle_rmsprop(params, states, hyperparams):
    paddle = framework("paddle").paddle
    given = []
    for p, s in zip(params, states, strict=True):
        with paddle.no_grad():
            s[:] = hyperparams["gamma"] * s + (1 - hyperparams["gamma"]) * paddle.square(p.grad)
            p[:] -= hyperparams["lr"] * p.grad / paddle.sqrt(s + 1e-6)
        p.grad.zero_()
        given.append(p)
    return given


def test_paddles_optimizers_return_the_params():
    d2l = framework("paddle")
    states = (d2l.zeros((5, 1)), d2l.zeros(1))
    losses = train(d2l, paddle_rmsprop, states, {"lr": 0.01, "gamma": 0.9})
    np.testing.assert_allclose(losses, by_hand(*table(), rmsprop_by_hand()), atol=1e-6)
