"""The chapter on JAX. ``backend`` says what each name must do."""

import functools
import sys

import numpy as np

from .backend import missing as _missing

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise _missing("jax", error) from error

from . import backend, compiling, data, fashion_mnist, plotting, training
from .backend import Hyperparams, read_hyperparams
from .backend import as_numpy as numpy
from .backend import bind as _bind
from .compiling import compile
from .data import DATA_HUB, DATA_URL, download
from .plotting import Accumulator, Animator, Timer, plot, plt, set_axes, set_figsize, train_2d
from .plotting import annotate, use_svg_display
from .rmsprop import init_rmsprop_states, leaky_average_weights, rmsprop, rmsprop_2d
from .sweep import sweep


def version():
    return jax.__version__


# arrays

float32, float64, int32 = jnp.float32, jnp.float64, jnp.int32
zeros, ones, tensor, arange, linspace = jnp.zeros, jnp.ones, jnp.array, jnp.arange, jnp.linspace
meshgrid, stack, matmul = jnp.meshgrid, jnp.stack, jnp.matmul
square, sqrt, exp, log, abs = jnp.square, jnp.sqrt, jnp.exp, jnp.log, jnp.abs
sin, cos, tanh, sinh, cosh = jnp.sin, jnp.cos, jnp.tanh, jnp.sinh, jnp.cosh
reshape, size, reduce_sum, reduce_mean = jnp.reshape, jnp.size, jnp.sum, jnp.mean
from_numpy = native = jnp.asarray
split = data.split  # NumPy's: compiled steps take them at once, jax.device_put takes 10 us for each


def normal(mean=0.0, std=1.0, size=()):
    """Return normal numbers of this shape, drawn by NumPy: JAX keeps no generator of its own."""
    return jnp.asarray(np.random.normal(mean, std, size), jnp.float32)


def linreg(X, w, b):
    """Return X w + b: shapes (n, d), (d, 1) and (1,) give (n, 1)."""
    return matmul(X, w) + b


def squared_loss(y_hat, y):
    """Return half the squared error of each example, in the shape of y_hat."""
    return (y_hat - reshape(y, y_hat.shape)) ** 2 / 2


# parameters, gradients and the change in place


class Variable(backend.Variable):
    __doc__ = backend.Variable.__doc__

    def __init__(self, value):
        super().__init__(jnp.array(value))

    def __setitem__(self, index, value):
        self.value = self.value.at[index].set(value)

    def __jax_array__(self):
        return self.value


TYPES = MUTABLE = (Variable,)
variable = Variable


def eager_apply(update, params, states, lr):
    for x, s in zip(params, states, strict=True):
        new_x, new_s = update(x.value, s.value, x.grad, lr)
        x.value, s.value = new_x.astype(x.dtype), new_s.astype(s.dtype)
        x.grad = None


COMPILER = "jax.jit"


def compiled_apply(update, params, states, lr):
    xs, ss = [x.value for x in params], [s.value for s in states]
    gs = [x.grad for x in params]
    try:
        new_xs, new_ss = _compile(update)(xs, ss, gs, lr)
    except RuntimeError:  # two of them are one buffer, which cannot be given away; copies can
        new_xs, new_ss = _compile(update)(*jax.tree.map(jnp.copy, (xs, ss, gs)), lr)
    for x, s, new_x, new_s in zip(params, states, new_xs, new_ss, strict=True):
        x.value, s.value = new_x, new_s
        x.grad = None


@functools.lru_cache(64)
def _compile(update):
    @functools.partial(jax.jit, donate_argnums=(0, 1))  # the new arrays take the old ones' memory
    def step(xs, ss, gs, lr):
        new = [update(x, s, g, lr) for x, s, g in zip(xs, ss, gs, strict=True)]
        new_xs = [new_x.astype(x.dtype) for (new_x, _), x in zip(new, xs, strict=True)]
        new_ss = [new_s.astype(s.dtype) for (_, new_s), s in zip(new, ss, strict=True)]
        return new_xs, new_ss

    return step


# training


@jax.jit
def _gradients(weights, X, y):
    return jax.grad(lambda weights: reduce_mean(squared_loss(linreg(X, *weights), y)))(weights)


def linreg_step(trainer_fn, states, hyperparams, w, b):
    w, b = Variable(w), Variable(b)

    def step(X, y):
        w.grad, b.grad = _gradients([w.value, b.value], X, y)
        trainer_fn([w, b], states, hyperparams)

    def compiled_step(X, y):
        values = _rmsprop_step([variable.value for variable in variables], X, y, lr, *others)
        for variable, value in zip(variables, values, strict=True):
            variable.value = value

    # rmsprop keeps no state in Python, so it may be traced once; its errors come from itself
    if trainer_fn is rmsprop and states and all(isinstance(s, Variable) for s in states):
        variables = [w, b, *states]
        lr, *others = read_hyperparams(hyperparams)
        lr = jnp.asarray(lr, w.dtype)
        step = compiled_step
    return step, lambda: (numpy(w), numpy(b))


@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _rmsprop_step(values, X, y, lr, *others):
    w, b, *states = variables = [Variable(value) for value in values]
    w.grad, b.grad = _gradients(values[:2], X, y)
    rmsprop([w, b], states, Hyperparams(lr, *others))
    return [variable.value for variable in variables]


def builtin_step(trainer, hyperparams, w, b):
    import optax

    optimizer = trainer(**hyperparams)
    weights = [jnp.array(w), jnp.array(b)]
    state = optimizer.init(weights)

    @jax.jit
    def advance(weights, state, X, y):
        updates, state = optimizer.update(_gradients(weights, X, y), state, weights)
        return optax.apply_updates(weights, updates), state

    def step(X, y):
        nonlocal weights, state
        weights, state = advance(weights, state, X, y)

    return step, lambda: tuple(numpy(a) for a in weights)


EPS_IN_SQRT = True


def builtin_rmsprop(lr, gamma, eps):
    import optax

    return optax.rmsprop, {"learning_rate": lr, "decay": gamma, "eps": eps}


# Fashion-MNIST

CHANNEL_AXIS = -1


@jax.jit
def _mlp_gradients(weights, X, y):
    def loss(weights):
        W1, b1, W2, b2 = weights
        log_p = jax.nn.log_softmax(jax.nn.relu(X @ W1 + b1) @ W2 + b2)
        return -reduce_mean(log_p[arange(len(y)), y])

    return jax.value_and_grad(loss)(weights)


def mlp_gradients(params, X, y):
    loss, grads = _mlp_gradients([x.value for x in params], X, y)
    for x, g in zip(params, grads, strict=True):
        x.grad = g
    return loss


def builtin_update(params, gamma, eps):
    import optax

    optimizer = optax.inject_hyperparams(optax.rmsprop)(learning_rate=0.0, decay=gamma, eps=eps)
    state = optimizer.init([x.value for x in params])

    @jax.jit
    def advance(weights, grads, state):
        updates, state = optimizer.update(grads, state)
        return optax.apply_updates(weights, updates), state

    def update(lr):
        nonlocal state
        state.hyperparams["learning_rate"] = jnp.float32(lr)
        weights, state = advance([x.value for x in params], [x.grad for x in params], state)
        for x, value in zip(params, weights, strict=True):
            x.value = value

    return update


# the chapter's functions, on this framework

_this = sys.modules[__name__]
apply = _bind(compiling.apply, _this)
init_rmsprop_states = _bind(init_rmsprop_states, _this)
load_array = _bind(data.load_array, _this)
get_data_ch11 = _bind(data.get_data_ch11, _this)
evaluate_loss = _bind(training.evaluate_loss, _this)
train_ch11 = _bind(training.train_ch11, _this)
train_concise_ch11 = _bind(training.train_concise_ch11, _this)
optimize = _bind(training.optimize, _this)
load_data_fashion_mnist = _bind(fashion_mnist.load_data_fashion_mnist, _this)
train_mlp = _bind(fashion_mnist.train_mlp, _this)
show_trace_2d = _bind(plotting.show_trace_2d, _this)
