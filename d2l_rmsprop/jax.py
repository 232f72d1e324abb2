"""The chapter on JAX. ``backend`` says what each name must do."""

import functools
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .backend import *

with importing("jax"):
    import jax
    import jax.experimental
    import jax.numpy as jnp

from .backends import variable as boxes
from .backends.compiling import Update
from .backends.elementwise import SHAPES
from .backends.namespace import *
from .lesson import data, styles


def version() -> str:
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


def normal(mean: float = 0.0, std: float = 1.0, size: Any = ()) -> Array:
    """Return normal numbers of this shape, drawn by NumPy: JAX keeps no generator of its own."""
    return jnp.asarray(np.random.normal(mean, std, size), jnp.float32)


# parameters, gradients and the change in place


class Variable(boxes.Variable):
    __doc__ = boxes.Variable.__doc__
    __array_priority__ = 100  # a NumPy array beside it leaves the operation to it, as to JAX's

    def __init__(self, value: Any) -> None:
        super().__init__(jnp.array(value))

    def __setitem__(self, index: Any, value: Any) -> None:
        self.value = self.value.at[boxes.plain(index)].set(boxes.plain(value))

    def __jax_array__(self) -> Array:
        return self.value


def _boxed(_: None, values: Sequence) -> Variable:
    variable = object.__new__(Variable)  # as it is: it may be traced, or none of JAX's arrays
    variable.value = values[0]
    return variable


# JAX's functions and transformations take a Variable; jax.grad gives one that holds the gradient
jax.tree_util.register_pytree_node(Variable, lambda variable: ((variable.value,), None), _boxed)

TYPES = MUTABLE = (Variable,)
ARRAYS = (jax.Array, jax.core.Tracer, np.ndarray, np.generic, Variable)
variable, identity, passed = Variable, id, no_memory
obstacle, missing_gradient = no_obstacle, run_backward
_devices = functools.cache(jax.device_count)


def sound(params: Sequence, states: Sequence) -> bool:
    for x, s in zip(params, states):  # noqa: B905 - they are as many, and strict costs 0.1 us
        if not (type(x) is Variable is type(s) and isinstance(x.grad, jax.Array)):
            return False
        a, t, g = x.value.aval, s.value.aval, x.grad.aval  # .shape itself takes twice as long
        shape, dtype = a.shape, a.dtype
        if not (
            shape == t.shape
            and shape == g.shape
            and dtype is g.dtype
            and is_float(dtype)
            and (dtype is t.dtype or is_float(t.dtype))
        ):
            return False
    return _devices() == 1 and len({*params, *states}) == 2 * len(params)


def place(a: Any) -> dict[str, Any]:
    a = boxes.plain(a)  # JAX brings an array together with others where it was not put there
    known = isinstance(a, jax.Array) and not isinstance(a, jax.core.Tracer)
    return {"device": a.sharding} if known and a.committed else {}


def widened(x: Array, s: Array, g: Array) -> list[Array]:
    wide = jnp.promote_types(x.dtype, s.dtype)
    return [a.astype(wide) for a in (x, s, g)]


def eager_apply(update: Rule, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    pairs = list(zip(params, states, strict=True))
    arrays = [(x.value, s.value, boxes.plain(x.grad)) for x, s in pairs]
    new = stepped(update, widened, arrays, numbers)
    for (x, s), (new_x, new_s) in zip(pairs, new, strict=True):
        x.value, s.value = _cast(new_x, x.dtype), _cast(new_s, s.dtype)
        x.grad = None


def _cast(a: Array, dtype: Any) -> Array:
    same = a.dtype == dtype and not getattr(a, "weak_type", True)
    return a if same else a.astype(dtype)  # 10 us even where there is nothing to do


COMPILER = "jax.jit"


def trial(update: Rule) -> Rule:
    step = jax.jit(update)  # an operation at a time would compile each one

    def in_one_shape(*arguments: Any) -> tuple[Array, Array]:  # or it would be compiled again
        x = arguments[0]
        arrays = (np.resize(a, SHAPES[0]) for a in arguments[:3])
        new_x, new_s = map(np.ravel, step(*arrays, *arguments[3:]))
        return new_x[: x.size].reshape(x.shape), new_s[: x.size].reshape(x.shape)

    return in_one_shape


def float64_numbers() -> Any:
    """A context where traced numbers compute as Python's do: 1 - gamma in float64.

    The arrays keep their types: a number beside an array takes the array's.
    """
    module = jax if hasattr(jax, "enable_x64") else jax.experimental
    return module.enable_x64(True)


def compiled_apply(update: Update, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    def step() -> None:
        variables = [*params, *states]
        gs = [boxes.plain(x.grad) for x in params]
        with float64_numbers():
            inputs = [_input(n) if n else n for n in numbers]  # 0.0 and -0.0 are one key
            new = _compile(update)(_given_away(variables), gs, inputs)
        for variable, value in zip(variables, new, strict=True):
            variable.value = value
        for x in params:
            x.grad = None

    update.attempt(None, step, lambda: eager_apply(update.function, params, states, numbers))


@functools.lru_cache(256, typed=True)
@jax.jit
def _input(number: Any) -> Array:
    """Return a number as an array that takes the types of others, which costs 1 us in each call."""
    return number


def _holders(boxes: Sequence) -> list[int]:
    return [sys.getrefcount(box.value) for box in boxes]


ALONE = _holders([types.SimpleNamespace(value=object())])[0]


def _given_away(boxes: Sequence) -> list[Array]:
    """Return the arrays, whose memory the step takes; a copy of each that anyone else holds."""
    return [
        box.value if holders == ALONE else jnp.copy(box.value)
        for box, holders in zip(boxes, _holders(boxes), strict=True)
    ]


@functools.lru_cache(64)
def _compile(update: Update) -> Callable[..., Any]:
    @functools.partial(jax.jit, donate_argnums=0)  # the new arrays take the old ones' memory
    def step(olds: Sequence, gs: Sequence, numbers: Sequence) -> list[Array]:
        xs, ss = olds[: len(gs)], olds[len(gs) :]
        new = stepped(update.function, widened, list(zip(xs, ss, gs, strict=True)), numbers)
        news = [x for x, _ in new] + [s for _, s in new]
        return [a.astype(old.dtype) for a, old in zip(news, olds, strict=True)]

    return step


# training


def parameter(a: np.ndarray) -> Array:
    return Variable(a)


def give_gradient(x: Array, g: Array) -> None:
    x.grad = g


def _write(x: Variable, value: Array) -> None:
    x.value = jnp.asarray(boxes.plain(value), x.dtype)


def optimizer_step(
    trainer_fn: Optimizer, params: Sequence, states: Any, hyperparams: Any
) -> Callable[[list], None]:
    return styles.steps(trainer_fn, params, states, hyperparams, _write, boxes.plain)


@jax.jit
def _gradients(weights: Sequence, X: Array, y: Array) -> Sequence:
    return jax.grad(lambda weights: reduce_mean(squared_loss(linreg(X, *weights), y)))(weights)


def linreg_step(
    trainer_fn: Optimizer, states: Any, hyperparams: Any, w: Array, b: Array
) -> tuple[Step, Read]:
    w, b = parameter(w), parameter(b)
    take = optimizer_step(trainer_fn, [w, b], states, hyperparams)

    def step(X: Array, y: Array) -> None:
        w.grad, b.grad = _gradients([w.value, b.value], X, y)
        take([w.grad, b.grad])

    def compiled_step(X: Array, y: Array) -> None:
        values = _rmsprop_step([variable.value for variable in variables], X, y, *inputs())
        for variable, value in zip(variables, values, strict=True):
            variable.value = value

    # rmsprop keeps no state in Python, so it may be traced once; its errors come from itself
    listed = isinstance(states, (list, tuple)) and states
    if trainer_fn is rmsprop and listed and all(isinstance(s, Variable) for s in states):
        variables = [w, b, *states]
        inputs = styles.inputs(
            hyperparams,
            lambda now: jnp.asarray([now.lr, now.gamma, 1 - now.gamma, now.eps], w.dtype),
        )
        step = compiled_step
    return step, lambda: (numpy(w), numpy(b))


class _Decay(NamedTuple):
    """A gamma whose 1 - gamma was computed in float64: in float32 it would lose four digits."""

    gamma: Array
    rest: Array

    def __mul__(self, s: Any) -> Array:
        return self.gamma * s

    def __rsub__(self, one: Any) -> Array:
        return self.rest


@functools.partial(jax.jit, static_argnums=4)
def _rmsprop_step(
    values: Sequence, X: Array, y: Array, numbers: Array, eps_in_sqrt: bool
) -> list[Array]:
    w, b, *states = variables = [Variable(value) for value in values]
    w.grad, b.grad = _gradients(values[:2], X, y)
    lr, gamma, rest, eps = numbers
    rmsprop([w, b], states, Hyperparams(lr, _Decay(gamma, rest), eps, eps_in_sqrt))
    return [variable.value for variable in variables]


def _optax() -> Any:
    with importing("jax", "optax"):
        import optax
    return optax


@functools.lru_cache(64)
def _optax_step(trainer: Any, hyperparams: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    """Return the jitted step of one of optax's own optimizers, which is compiled once."""
    return jax.jit(functools.partial(_advance, trainer(**dict(hyperparams))))


def _advance(optimizer: Any, weights: Any, state: Any, X: Array, y: Array) -> tuple[Sequence, Any]:
    optax = _optax()

    updates, state = optimizer.update(_gradients(weights, X, y), state, weights)
    return optax.apply_updates(weights, updates), state


def builtin_step(trainer: Any, hyperparams: Any, w: Array, b: Array) -> tuple[Step, Read]:
    optax = _optax()

    make = styles.maker(trainer, optax.GradientTransformation, "optax.rmsprop")
    optimizer = make(hyperparams)
    plain = all(isinstance(value, (float, int, str)) for value in hyperparams.values())
    if plain and getattr(optax, getattr(trainer, "__name__", ""), None) is trainer:
        advance = _optax_step(trainer, tuple(hyperparams.items()))
    else:  # a schedule or an optimizer of the reader's may differ at the next call
        advance = jax.jit(functools.partial(_advance, optimizer))
    weights = [jnp.array(w), jnp.array(b)]
    state = optimizer.init(weights)

    def step(X: Array, y: Array) -> None:
        nonlocal weights, state
        weights, state = advance(weights, state, X, y)

    return step, lambda: (numpy(weights[0]), numpy(weights[1]))


EPS_IN_SQRT = True


def builtin_rmsprop(lr: float, gamma: float, eps: float) -> tuple[Any, dict[str, float]]:
    optax = _optax()

    return optax.rmsprop, {"learning_rate": lr, "decay": gamma, "eps": eps}


# Fashion-MNIST

CHANNEL_AXIS = -1


@jax.jit
def _mlp_gradients(weights: Sequence, X: Array, y: Array) -> tuple[Array, Sequence]:
    def loss(weights: Sequence) -> Array:
        W1, b1, W2, b2 = weights
        log_p = jax.nn.log_softmax(jax.nn.relu(X @ W1 + b1) @ W2 + b2)
        return -reduce_mean(log_p[arange(len(y)), y])

    return jax.value_and_grad(loss)(weights)


def mlp_gradients(params: Sequence, X: Array, y: Array) -> Array:
    loss, grads = _mlp_gradients([x.value for x in params], X, y)
    for x, g in zip(params, grads, strict=True):
        x.grad = g
    return loss


def builtin_update(params: Sequence, gamma: float, eps: float) -> Callable[[float], None]:
    optax = _optax()

    optimizer = optax.inject_hyperparams(optax.rmsprop)(learning_rate=0.0, decay=gamma, eps=eps)
    state = optimizer.init([x.value for x in params])

    @jax.jit
    def advance(weights: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(grads, state)
        return optax.apply_updates(weights, updates), state

    def update(lr: float) -> None:
        nonlocal state
        state.hyperparams["learning_rate"] = jnp.float32(lr)
        weights, state = advance([x.value for x in params], [x.grad for x in params], state)
        for x, value in zip(params, weights, strict=True):
            x.value = value

    return update


bind(__name__)
