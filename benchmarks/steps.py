"""One optimizer step over many parameters: ours compiled and eager, and the built-in ones.

Each function returns the runs of its framework, name -> (prepare, run), on ``tensors`` parameters
of n elements each.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from d2l_rmsprop import rmsprop
from d2l_rmsprop.backend import check

HYPERPARAMS = {"lr": 0.01, "gamma": 0.9}


def copy(n):
    """Return a plain copy of n float32, by a thread for each core."""
    source, target = np.ones(n, np.float32), np.zeros(n, np.float32)
    threads = os.cpu_count()
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


def arrays(n, tensors):
    rng = np.random.default_rng(0)
    return [[rng.random(n, np.float32) for _ in range(tensors)] for _ in range(2)]


def ours(d2l, params, states, prepare, wait=lambda: None):
    def run(optimizer):
        optimizer(params, states, HYPERPARAMS)
        wait()

    compiled = d2l.compile(rmsprop)
    return {
        "100 checks": (prepare, lambda: [check(d2l, params, states) for _ in range(100)]),
        "compiled": (prepare, lambda: run(compiled)),
        "eager": (prepare, lambda: run(rmsprop)),
    }


def with_gradients(d2l, n, tensors, variable):
    """Return params, their states, and what gives them their gradients."""
    values, gradients = arrays(n, tensors)
    params = [variable(d2l.from_numpy(a)) for a in values]
    gradients = [d2l.from_numpy(a) for a in gradients]

    def prepare():
        for x, g in zip(params, gradients, strict=True):
            x.grad = g

    return params, [d2l.variable(d2l.zeros((n,))) for _ in params], gradients, prepare


def numpy(d2l, n, tensors):
    params, states, _, prepare = with_gradients(d2l, n, tensors, d2l.variable)
    return ours(d2l, params, states, prepare)


def torch(d2l, n, tensors):
    params, states, _, prepare = with_gradients(
        d2l, n, tensors, lambda a: a.clone().requires_grad_()
    )
    built_in = {"lr": 0.01, "alpha": 0.9, "eps": 1e-6}
    optimizer = d2l.torch.optim.RMSprop
    each, foreach = (optimizer(params, **built_in, foreach=f) for f in (False, True))
    return ours(d2l, params, states, prepare) | {
        "torch.optim": (prepare, each.step),
        "torch.optim foreach": (prepare, foreach.step),
    }


def paddle(d2l, n, tensors):
    params, states, _, prepare = with_gradients(
        d2l, n, tensors, lambda a: d2l.paddle.to_tensor(a, stop_gradient=False)
    )
    optimizer = d2l.paddle.optimizer.RMSProp(0.01, 0.9, 1e-6, parameters=params)
    return ours(d2l, params, states, prepare) | {"paddle.optimizer": (prepare, optimizer.step)}


def tensorflow(d2l, n, tensors):
    params, states, gradients, prepare = with_gradients(d2l, n, tensors, d2l.variable)
    wait = d2l.tf.test.experimental.sync_devices
    keras = [d2l.tf.keras.optimizers.RMSprop(0.01, 0.9, epsilon=1e-6) for _ in range(2)]
    for optimizer in keras:
        optimizer.build(params)
    eager, traced = (lambda o=o: o.apply_gradients(zip(gradients, params)) for o in keras)  # noqa: B905
    traced = d2l.tf.function(traced)
    return ours(d2l, params, states, prepare, wait) | {
        "keras": (prepare, lambda: (eager(), wait())),
        "keras in tf.function": (prepare, lambda: (traced(), wait())),
    }


def jax(d2l, n, tensors):
    import jax
    import optax

    params, states, gradients, prepare = with_gradients(d2l, n, tensors, d2l.variable)
    optimizer = optax.rmsprop(0.01, 0.9, 1e-6)
    weights = [x.value + 0 for x in params]
    moments = optimizer.init(weights)

    def update(weights, moments, gradients):
        updates, moments = optimizer.update(gradients, moments, weights)
        return optax.apply_updates(weights, updates), moments

    update = jax.jit(update, donate_argnums=(0, 1))

    def step():
        nonlocal weights, moments
        weights, moments = jax.block_until_ready(update(weights, moments, gradients))

    def wait():
        jax.block_until_ready([x.value for x in params])

    return ours(d2l, params, states, prepare, wait) | {"optax": (prepare, step)}


def mxnet(d2l, n, tensors):
    import mxnet as mx

    values, gradients = ([d2l.np.array(a) for a in group] for group in arrays(n, tensors))
    states, wait = [d2l.zeros(n) for _ in values], d2l.npx.waitall
    for x in values:
        x.attach_grad()
    fused = [[a.copy().as_nd_ndarray() for a in group] for group in (values, gradients, states)]

    def prepare():
        for x, g in zip(values, gradients, strict=True):
            g.copyto(x.grad)
        wait()

    def step():
        for x, g, s in zip(*fused, strict=True):
            mx.nd.rmsprop_update(x, g, s, lr=0.01, gamma1=0.9, epsilon=1e-6, out=x)
        wait()

    return ours(d2l, values, states, prepare, wait) | {"rmsprop_update": (prepare, step)}
