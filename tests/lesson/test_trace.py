"""A trace is the run of train_ch11, step by step."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import framework
from references import by_hand, rmsprop_by_hand, table

from d2l_rmsprop.lesson.training import half_mse


def rmsprop(x, s, g, lr):
    s = 0.9 * s + 0.1 * g**2
    return x - lr * g / np.sqrt(s + 1e-6), s


def sgd(x, s, g, lr):
    return x - lr * g, s


def test_a_trace_is_the_training_written_out_and_that_of_train_ch11(d2l):
    X, y = table()
    batches = d2l.load_array((X, y), 10)
    losses, x, s = d2l.trace_linreg(rmsprop, 0.01, batches)
    assert x.shape == s.shape == (len(losses), 6) and (x[0, 5], s[0].any()) == (0, False)
    recorded = losses[20::20]
    np.testing.assert_allclose(recorded, by_hand(X, y, rmsprop_by_hand()), atol=1e-12)
    states = d2l.init_rmsprop_states(5)
    _, ours = d2l.train_ch11(
        d2l.rmsprop, states, {"lr": 0.01, "gamma": 0.9}, batches, 5, draw=False
    )
    np.testing.assert_allclose(recorded, ours, atol=1e-6)
    assert not plt.get_fignums()


def test_losses_belong_to_the_weights_and_the_states_to_the_gradients():
    d2l = framework("numpy")
    X, y = table()
    losses, x, s = d2l.trace_linreg(rmsprop, 0.01, d2l.load_array((X, y), len(X), False), 3)
    for loss, xi in zip(losses, x, strict=True):
        assert loss == pytest.approx(half_mse(xi[:-1, None], xi[-1:], [(X, y)]), rel=1e-12)
    error = X @ x[0, :-1] + x[0, -1] - y
    gradient = np.append(X.T @ error, error.sum()) / len(X)
    np.testing.assert_allclose(s[1], 0.1 * gradient**2, rtol=1e-6)


def test_learning_rates_run_side_by_side_each_as_if_alone():
    d2l = framework("numpy")
    batches, lrs = d2l.load_array(table(), 10), np.array([0.001, 0.1, 10])
    together = d2l.trace_linreg(sgd, lrs, batches, seed=3)
    for i, lr in enumerate(lrs[:2]):
        np.testing.assert_allclose(
            together.losses[:, i], d2l.trace_linreg(sgd, lr, batches, seed=3).losses
        )
    assert together.losses[-1, 2] > 1e9  # diverged, without a warning
    assert np.isinf(d2l.trace_linreg(sgd, 1e9, batches).losses[-1])


def test_a_falling_rate_a_start_and_a_precision():
    d2l = framework("numpy")
    batches = d2l.load_array(table(), 10)
    progress = []
    x = d2l.trace_linreg(sgd, lambda t: progress.append(t) or 0, batches, start=2).x
    assert (x == 2).all() and progress[-1] == 1 - 1 / (len(x) - 1)
    single = d2l.trace_linreg(rmsprop, 0.01, batches, dtype=np.float32).losses
    double = d2l.trace_linreg(rmsprop, 0.01, batches).losses
    assert 1e-12 < abs(single - double).max() < 1e-6


def test_minibatches_of_another_kind_are_refused():
    d2l = framework("numpy")
    with pytest.raises(TypeError, match="data_iter is a list; pass minibatches"):
        d2l.trace_linreg(sgd, 0.1, [table()])
