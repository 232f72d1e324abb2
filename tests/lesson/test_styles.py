"""Every style of optimizer that the book's editions have trains as the formula does."""

import numpy as np
import pytest
from references import by_hand, rmsprop_by_hand, table

HYPERPARAMS = {"lr": 0.01, "gamma": 0.9, "eps": 1e-6}


def new(p, s, g, hyperparams):
    """RMSProp by operators alone, so on every framework: the new parameter and state."""
    s = hyperparams["gamma"] * s + (1 - hyperparams["gamma"]) * g**2
    return p - hyperparams["lr"] * g / (s + hyperparams["eps"]) ** 0.5, s


def zeros(d2l):
    return [d2l.zeros((5, 1)), d2l.zeros((1,))]


def trained(d2l, trainer_fn, states, hyperparams=HYPERPARAMS):
    data_iter = d2l.load_array(table(), 10)
    return d2l.train_ch11(trainer_fn, states, dict(hyperparams), data_iter, 5, draw=False)[1]


def grads_of(params):
    return [p.grad for p in params]


# What it returns, and where it puts the new arrays. Each takes gradients, or reads them.


def returns_params(params, grads, states, hyperparams):
    pairs = [new(*each, hyperparams) for each in zip(params, states, grads, strict=True)]
    for i, (_, s) in enumerate(pairs):
        states[i] = s
    return [p for p, _ in pairs]


def returns_both(params, grads, states, hyperparams):
    pairs = [new(*each, hyperparams) for each in zip(params, states, grads, strict=True)]
    return tuple(p for p, _ in pairs), [s for _, s in pairs]


def into_the_lists(params, grads, states, hyperparams):
    for i, g in enumerate(grads):
        params[i], states[i] = new(params[i], states[i], g, hyperparams)


def into_the_lists_and_returns(params, grads, states, hyperparams):
    into_the_lists(params, grads, states, hyperparams)
    return params


def yields(params, grads, states, hyperparams):
    for i, p in enumerate(params):
        p, states[i] = new(p, states[i], grads[i], hyperparams)
        yield p


RESULTS = [returns_params, returns_both, into_the_lists, into_the_lists_and_returns, yields]


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("takes", ["grads second", "grads last", "no grads"])
def test_new_params_are_taken_wherever_they_are(d2l, result, takes):
    trainer_fn = {
        "grads second": result,
        "grads last": lambda params, states, hyperparams, grads: result(
            params, grads, states, hyperparams
        ),
        "no grads": lambda params, states, hyperparams: result(
            params, grads_of(params), states, hyperparams
        ),
    }[takes]
    losses = trained(d2l, trainer_fn, zeros(d2l))
    np.testing.assert_allclose(losses, by_hand(*table(), rmsprop_by_hand()), atol=1e-6)
