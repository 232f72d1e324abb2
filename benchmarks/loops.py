"""Training loops written by hand, each for one framework: what a loop costs without a package.

The steps, the minibatches and the 15 evaluations of the loss are those of our loop.
"""

import numpy as np

LR, GAMMA, EPS = 0.01, 0.9, 1e-6


def minibatches(X, y, seed=0):
    order = np.random.default_rng(seed).permutation(len(X))
    X, y = X[order], y[order, None]
    for i in range(0, len(X), 10):
        yield X[i : i + 10], y[i : i + 10]


def train(step, weights, X, y, epochs=2):
    """Run the steps and return the losses."""
    losses, seen = [], 0
    for epoch in range(epochs):
        for X_batch, y_batch in minibatches(X, y, epoch):
            step(X_batch, y_batch)
            seen += len(X_batch)
            if seen % 200 == 0:
                w, b = (np.float64(a) for a in weights())
                losses.append(np.square(np.float64(X) @ w + b - y[:, None]).mean() / 2)
    return losses


def formula(sqrt, x, s, g):
    s = GAMMA * s + (1 - GAMMA) * g * g
    return x - LR * g / sqrt(s + EPS), s


def numpy(X, y):
    params, states = ([np.zeros((5, 1), np.float32), np.zeros(1, np.float32)] for _ in range(2))

    def step(X, y):
        error = X @ params[0] + params[1] - y
        for i, g in enumerate((X.T @ error / len(X), error.mean(0))):
            params[i], states[i] = formula(np.sqrt, params[i], states[i], g)

    return train(step, lambda: params, X, y)


def torch(X, y):
    import torch

    params = torch.zeros((5, 1), requires_grad=True), torch.zeros(1, requires_grad=True)
    states = torch.zeros((5, 1)), torch.zeros(1)

    def step(X, y):
        error = torch.from_numpy(X) @ params[0] + params[1] - torch.from_numpy(y)
        (error**2 / 2).mean().backward()
        with torch.no_grad():
            for x, s in zip(params, states, strict=True):
                new_x, new_s = formula(torch.sqrt, x, s, x.grad)
                x.copy_(new_x), s.copy_(new_s)
                x.grad = None

    return train(step, lambda: [x.detach().numpy() for x in params], X, y)


def paddle(X, y):
    import paddle

    start = np.zeros((5, 1), np.float32), np.zeros(1, np.float32)
    params = [paddle.to_tensor(a, stop_gradient=False) for a in start]
    states = [paddle.to_tensor(a) for a in start]

    def step(X, y):
        error = paddle.to_tensor(X) @ params[0] + params[1] - paddle.to_tensor(y)
        (error**2 / 2).mean().backward()
        with paddle.no_grad():
            for x, s in zip(params, states, strict=True):
                new_x, new_s = formula(paddle.sqrt, x, s, x.grad)
                x.copy_(new_x, False), s.copy_(new_s, False)
                x.clear_gradient(False)

    return train(step, lambda: [x.numpy() for x in params], X, y)


def tensorflow(X, y):
    import tensorflow as tf

    params, states = ([tf.Variable(tf.zeros((5, 1))), tf.Variable(tf.zeros(1))] for _ in range(2))

    @tf.function(reduce_retracing=True, autograph=False)
    def step(X, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((X @ params[0] + params[1] - y) ** 2 / 2)
        for x, s, g in zip(params, states, tape.gradient(loss, params), strict=True):
            new_x, new_s = formula(tf.sqrt, x.value(), s.value(), g)
            x.assign(new_x), s.assign(new_s)

    def step_on_tensors(X, y):
        step(tf.constant(X), tf.constant(y))

    return train(step_on_tensors, lambda: [x.numpy() for x in params], X, y)


def mxnet(X, y):
    from mxnet import autograd, np

    params, states = ([np.zeros((5, 1)), np.zeros(1)] for _ in range(2))
    for x in params:
        x.attach_grad()

    def step(X, y):
        with autograd.record():
            loss = ((np.dot(np.array(X), params[0]) + params[1] - np.array(y)) ** 2 / 2).mean()
        loss.backward()
        for x, s in zip(params, states, strict=True):
            new_x, new_s = formula(np.sqrt, x, s, x.grad)
            new_x.copyto(x), new_s.copyto(s)

    return train(step, lambda: [x.asnumpy() for x in params], X, y)


def jax(X, y):
    import jax
    import jax.numpy as jnp

    weights = tuple([jnp.zeros((5, 1)), jnp.zeros(1)] for _ in range(2))
    advance = jax.jit(jax_step)  # compiles once, since JAX knows the function again

    def step(X, y):
        nonlocal weights
        weights = advance(weights, X, y)

    return train(step, lambda: weights[0], X, y)


def jax_step(weights, X, y):
    import jax
    import jax.numpy as jnp

    params, states = weights

    def loss(params):
        return ((X @ params[0] + params[1] - y) ** 2 / 2).mean()

    gradients = jax.grad(loss)(params)
    new = [formula(jnp.sqrt, *each) for each in zip(params, states, gradients, strict=True)]
    return [x for x, _ in new], [s for _, s in new]
