"""References that several tests compare with, written out in NumPy's float64."""

import numpy as np

from d2l_rmsprop.lesson.data import stand_in


def table():
    rows = stand_in().astype(np.float32)
    return rows[:, :-1], rows[:, -1]


def by_hand(X, y, update, batch_size=10, epochs=2, seed=0):
    """The same training in float64 NumPy, written out; ``update(w_and_b, gradient)``."""
    rng = np.random.default_rng(seed)
    X1 = np.hstack([X, np.ones((len(X), 1))]).astype(np.float64)
    losses, wb, seen = [], None, 0
    for _ in range(epochs):
        order = rng.permutation(len(X))
        if wb is None:
            wb = np.append(rng.normal(0, 0.01, X.shape[1]), 0)
        for i in range(0, len(X), batch_size):
            rows = order[i : i + batch_size]
            wb = update(wb, X1[rows].T @ (X1[rows] @ wb - y[rows]) / len(rows))
            seen += len(rows)
            if seen % 200 == 0 or seen == epochs * len(X):
                losses.append(((X1 @ wb - y) ** 2).mean() / 2)
    return losses


def rmsprop_by_hand(lr=0.01, gamma=0.9, eps=1e-6):
    s = 0.0

    def update(x, g):
        nonlocal s
        s = gamma * s + (1 - gamma) * g**2
        return x - lr * g / np.sqrt(s + eps)

    return update


def adam_by_hand(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-6):
    v = s = t = 0.0

    def update(x, g):
        nonlocal v, s, t
        t += 1
        v, s = beta1 * v + (1 - beta1) * g, beta2 * s + (1 - beta2) * g**2
        return x - lr * v / (1 - beta1**t) / (np.sqrt(s / (1 - beta2**t)) + eps)

    return update
