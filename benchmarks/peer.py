"""d2l 1.0.3 beside us: what it needs to import today, and the book's rmsprop for its loops."""

import importlib
import importlib.util
import sys
from unittest.mock import MagicMock

import numpy as np

GAMMA, LR, EPS = 0.9, 0.01, 1e-6


def load(name):
    """Return d2l's module of a framework, or None where d2l is not installed."""
    if importlib.util.find_spec("d2l") is None or name not in ("torch", "tensorflow", "mxnet"):
        return None
    if "bool" not in vars(np):
        np.bool = bool  # MXNet 1.9.1 reads it
    for needed in ("torchvision", "pandas"):
        if importlib.util.find_spec(needed) is None:  # d2l imports it; its loops do not use it
            sys.modules[needed] = sys.modules[f"{needed}.transforms"] = MagicMock()
    return importlib.import_module(f"d2l.{name}")


def training(peer, name, X, y):
    """Return two functions without arguments: d2l's train_ch11 and its train_concise_ch11."""
    data_iter = peer.load_array((peer.tensor(X), peer.tensor(y)), 10)
    hyperparams = {"lr": LR, "gamma": GAMMA}
    if name == "torch":
        optimizer, options = peer.torch.optim.RMSprop, {"lr": LR, "alpha": GAMMA, "eps": EPS}
    elif name == "tensorflow":
        optimizer = peer.tf.keras.optimizers.RMSprop
        options = {"learning_rate": LR, "rho": GAMMA, "epsilon": EPS}
    else:
        optimizer, options = "rmsprop", {"learning_rate": LR, "gamma1": GAMMA, "epsilon": EPS}
    optimize = globals()[name](peer)

    def states():
        zeros = peer.zeros((5, 1)), peer.zeros((1,))
        return [peer.tf.Variable(a) for a in zeros] if name == "tensorflow" else zeros

    return (
        lambda: peer.train_ch11(optimize, states(), hyperparams, data_iter, 5),
        lambda: peer.train_concise_ch11(optimizer, options, data_iter, num_epochs=2),
    )


def torch(peer):
    def rmsprop(params, states, hyperparams):
        lr, gamma = hyperparams["lr"], hyperparams["gamma"]
        with peer.torch.no_grad():
            for x, s in zip(params, states, strict=True):
                s[:] = gamma * s + (1 - gamma) * peer.torch.square(x.grad)
                x[:] -= lr * x.grad / peer.torch.sqrt(s + EPS)
                x.grad.zero_()

    return rmsprop


def tensorflow(peer):
    def rmsprop(params, grads, states, hyperparams):
        lr, gamma = hyperparams["lr"], hyperparams["gamma"]
        for x, s, g in zip(params, states, grads, strict=True):
            s[:].assign(gamma * s + (1 - gamma) * peer.tf.square(g))
            x[:].assign(x - lr * g / peer.tf.sqrt(s + EPS))

    return rmsprop


def mxnet(peer):
    def rmsprop(params, states, hyperparams):
        lr, gamma = hyperparams["lr"], hyperparams["gamma"]
        for x, s in zip(params, states, strict=True):
            s[:] = gamma * s + (1 - gamma) * peer.np.square(x.grad)
            x[:] -= lr * x.grad / peer.np.sqrt(s + EPS)

    return rmsprop
