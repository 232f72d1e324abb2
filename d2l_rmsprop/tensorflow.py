"""The chapter on TensorFlow. ``backend`` says what each name must do."""

import functools
import operator
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .backend import *

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its start-up log would bury a student
with importing("tensorflow"):
    import tensorflow as tf

from .backends.compiling import Update
from .backends.namespace import *
from .lesson import data, styles, training


def version() -> str:
    return tf.__version__


# arrays

float32, float64, int32 = tf.float32, tf.float64, tf.int32
zeros, ones, tensor, normal = tf.zeros, tf.ones, tf.constant, tf.random.normal
arange, linspace, meshgrid, stack, matmul = tf.range, tf.linspace, tf.meshgrid, tf.stack, tf.matmul
square, sqrt, exp, log, abs = tf.square, tf.sqrt, tf.exp, tf.math.log, tf.abs
sin, cos, tanh, sinh, cosh = tf.sin, tf.cos, tf.tanh, tf.sinh, tf.cosh
reshape, reduce_sum, reduce_mean = tf.reshape, tf.reduce_sum, tf.reduce_mean
from_numpy, native = tf.constant, data.as_is


def split(a: np.ndarray, batch_size: int) -> Sequence[Array]:
    return tf.split(a, [len(rows) for rows in data.split(a, batch_size)]) if len(a) else []


def size(a: Array) -> int:
    return int(tf.size(a))


def squared_loss(y_hat: Array, y: Array) -> Array:  # type: ignore[no-redef]
    """Return half the squared error of each example, in the shape of y_hat."""
    return (y_hat - tf.cast(reshape(y, tf.shape(y_hat)), y_hat.dtype)) ** 2 / 2


# parameters, gradients and the change in place

TYPES, MUTABLE, ARRAYS = (tf.Variable,), (tf.Variable,), (tf.Tensor, tf.Variable, np.ndarray)
variable, identity = tf.Variable, id
obstacle, missing_gradient, place, passed = no_obstacle, run_backward, no_place, no_memory


def sound(params: Sequence, states: Sequence) -> bool:
    for x, s in zip(params, states, strict=True):
        g = x.grad
        if not (
            isinstance(x, tf.Variable)
            and isinstance(s, tf.Variable)
            and isinstance(g, tf.Tensor)
            and x.shape == s.shape
            and x.shape == g.shape
            and (x.dtype is g.dtype or x.dtype == g.dtype)
            and is_float(x.dtype)
            and (s.dtype is x.dtype or is_float(s.dtype))
        ):
            return False
    return len({*map(id, params), *map(id, states)}) == 2 * len(params)


def widened(x: Array, s: Array, g: Array) -> list[Array]:
    wide = max(x.dtype, s.dtype, key=operator.attrgetter("size"))
    wide = float32 if wide.size == 2 else wide  # float16 and bfloat16
    return [tf.cast(a, wide) for a in (x, s, g)]


def eager_apply(update: Rule, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    pairs = list(zip(params, states, strict=True))
    arrays = [(x.value(), s.value(), tf.convert_to_tensor(x.grad)) for x, s in pairs]
    numbers = tuple(Number(tf.cast(n, float64)) if isinstance(n, tf.Tensor) else n for n in numbers)
    new = stepped(update, widened, arrays, numbers)
    for (x, s), (new_x, new_s) in zip(pairs, new, strict=True):
        x.assign(tf.cast(new_x, x.dtype))
        s.assign(tf.cast(new_s, s.dtype))
        x.grad = None


class Number:
    """A number in a traced step: it computes in float64, as Python's do, and casts to an array's
    type beside one, where TensorFlow's own tensors would raise.
    """

    def __init__(self, value: Array) -> None:
        self.value = value  # a tensor of float64 and of no dimension

    def _unknown(self, *args: Any) -> Any:
        raise TypeError("a number that is traced has no value yet.")

    __bool__ = __eq__ = _unknown  # or each would be an answer


def _operator(operation: Callable) -> Callable:
    def operate(*args: Any) -> Any:
        arrays = [a for a in args if tf.is_tensor(a)]
        dtype = arrays[0].dtype if arrays else tf.float64
        result = operation(*(_as_type(a, dtype) for a in args))
        return result if arrays else Number(result)

    return operate


def _as_type(a: Any, dtype: Any) -> Array:
    if isinstance(a, Number) or tf.is_tensor(a):
        return tf.cast(getattr(a, "value", a), dtype)
    return tf.convert_to_tensor(a, dtype)  # tf.cast would make it float32 first


for _name in ("add", "sub", "mul", "truediv", "pow"):
    _operation = getattr(operator, _name)
    setattr(Number, f"__{_name}__", _operator(_operation))
    setattr(Number, f"__r{_name}__", _operator(lambda a, b, f=_operation: f(b, a)))
for _name in ("neg", "abs"):
    setattr(Number, f"__{_name}__", _operator(getattr(operator, _name)))


def _as_tensor(number: Number, dtype: Any = None, name: Any = None, as_ref: bool = False) -> Array:
    return tf.cast(number.value, dtype or float32)


tf.register_tensor_conversion_function(Number, _as_tensor)


def graph(**options: Any) -> Callable[[Callable], Callable]:
    """Return a decorator: tf.function, without its warnings that a reader can do nothing about.

    It warns of Python code that it cannot rewrite, and of each new shape or function of ours.
    """

    def decorate(function: Callable) -> Callable:
        step = tf.function(function, autograph=False, **options)
        step._omit_frequent_tracing_warning = True
        return step

    return decorate


COMPILER = "tf.function and XLA"
trial = data.as_is


def compiled_apply(update: Update, params: Sequence, states: Sequence, numbers: Sequence) -> None:
    values = _vector(np.array(numbers, np.float64).tobytes())
    for start in range(0, len(params), 100):  # a hundred in one call; more take long to compile
        xs, ss = params[start : start + 100], states[start : start + 100]
        gs = [tf.convert_to_tensor(x.grad) for x in xs]
        update.attempt(
            None,
            functools.partial(_compile(update), xs, ss, gs, values),
            functools.partial(eager_apply, update.function, xs, ss, numbers),
        )
    for x in params:
        x.grad = None


@functools.lru_cache(64)
def _vector(numbers: bytes) -> Array:
    """Return numbers of float64 as one tensor: each input of a traced step costs 5 us a call."""
    with tf.init_scope():  # not a part of what is being traced
        return tf.constant(np.frombuffer(numbers))


@functools.lru_cache(64)
def _compile(update: Update) -> Callable[..., Any]:
    @graph(jit_compile=True)
    def step(xs: Sequence, ss: Sequence, gs: Sequence, values: Array) -> Any:
        numbers = [Number(value) for value in tf.unstack(values)]
        for x, s, g in zip(xs, ss, gs, strict=True):
            arrays = x.value(), s.value(), g
            ((new_x, new_s),) = stepped(update.function, widened, [arrays], numbers)
            x.assign(tf.cast(new_x, x.dtype))
            s.assign(tf.cast(new_s, s.dtype))

    return step


# training


def parameter(a: np.ndarray) -> Array:
    return tf.Variable(a)


def give_gradient(x: Array, g: Array) -> None:
    x.grad = g


def _write(x: Array, value: Array) -> None:
    x.assign(tf.cast(value, x.dtype))


def optimizer_step(
    trainer_fn: Optimizer, params: Sequence, states: Any, hyperparams: Any
) -> Callable[[list], None]:
    take = styles.steps(trainer_fn, params, states, hyperparams, _write)

    def told(grads: list[Array]) -> None:
        try:
            take(grads)
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            dtype = params[0].dtype
            flat = [s for s in tf.nest.flatten(states) if tf.is_tensor(s) and s.dtype.is_floating]
            other = next((s.dtype.name for s in flat if s.dtype != dtype), None)
            if other and trainer_fn is not rmsprop:
                raise TypeError(
                    f"params are of {dtype.name}, as X is, but states of {other}, and TensorFlow "
                    f"computes with one type only; make the states with tf.zeros(shape, "
                    f"tf.{dtype.name}), or give X in {other}."
                ) from error
            raise

    return told


def linreg_step(
    trainer_fn: Optimizer, states: Any, hyperparams: Any, w: Array, b: Array
) -> tuple[Step, Read]:
    params = w, b = [parameter(w), parameter(b)]
    take = optimizer_step(trainer_fn, params, states, hyperparams)

    @graph(reduce_retracing=True)
    def gradients(X: Array, y: Array) -> list[Array]:
        with tf.GradientTape() as tape:
            loss = reduce_mean(squared_loss(linreg(X, w, b), y))
        return tape.gradient(loss, params)

    def step(X: Array, y: Array) -> None:
        w.grad, b.grad = grads = gradients(X, y)
        take(grads)

    @functools.cache  # an argument that is no tensor costs 50 us in each call
    def traced(eps_in_sqrt: bool) -> Callable[..., Any]:
        @graph(reduce_retracing=True)
        def step(X: Array, y: Array, numbers: Array) -> None:
            w.grad, b.grad = gradients(X, y)
            lr, gamma, eps = map(Number, tf.unstack(numbers))
            now = Hyperparams(lr, gamma, eps, eps_in_sqrt)  # type: ignore[arg-type]
            rmsprop(params, states, now)

        return step

    def traced_step(X: Array, y: Array) -> None:
        numbers, eps_in_sqrt = inputs()
        traced(eps_in_sqrt)(X, y, numbers)

    inputs = styles.inputs(hyperparams, lambda now: tf.constant(now[:3], tf.float64))
    # rmsprop keeps no state in Python, so it may be traced once
    return traced_step if trainer_fn is rmsprop else step, lambda: (w.numpy(), b.numpy())


def builtin_step(trainer: Any, hyperparams: Any, w: Array, b: Array) -> tuple[Step, Read]:
    # zeros: the start is given, and the reader's generators stay as they are
    net = tf.keras.layers.Dense(1, dtype=w.dtype.name, kernel_initializer="zeros")
    net.build((None, len(w)))
    net.set_weights([w, b])
    kind, example = tf.keras.optimizers.Optimizer, "tf.keras.optimizers.RMSprop"
    optimizer = styles.maker(trainer, kind, example)(hyperparams)
    optimizer.build(net.trainable_variables)

    @graph(reduce_retracing=True)
    def step(X: Array, y: Array) -> None:
        with tf.GradientTape() as tape:
            loss = reduce_mean(squared_loss(net(X), y))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables, strict=True)
        )

    return step, net.get_weights


EPS_IN_SQRT = True


def builtin_rmsprop(lr: float, gamma: float, eps: float) -> tuple[Any, dict[str, float]]:
    return tf.keras.optimizers.RMSprop, {"learning_rate": lr, "rho": gamma, "epsilon": eps}


def load_array(  # type: ignore[no-redef]
    data_arrays: Sequence[Array], batch_size: int, is_train: bool = True
) -> Any:
    """Return a tf.data.Dataset of minibatches, shuffled anew at each pass for training."""
    minibatches = data.load_array(sys.modules[__name__], data_arrays, batch_size, is_train)
    signature = tuple(tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in minibatches.arrays)
    dataset = tf.data.Dataset.from_generator(lambda: minibatches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(minibatches)))
    dataset.minibatches = minibatches  # for our own loop, which needs no pipeline for 1500 rows
    return dataset


def evaluate_loss(  # type: ignore[no-redef]
    net: Callable, data_iter: Iterable, loss: Callable
) -> float:
    """Return the mean of ``loss(net(X), y)`` over all examples; Keras' own losses take y first."""
    own = isinstance(loss, tf.keras.losses.Loss)
    ordered = (lambda y_hat, y: loss(y, y_hat)) if own else loss
    return training.evaluate_loss(sys.modules[__name__], net, data_iter, ordered)


# Fashion-MNIST

CHANNEL_AXIS = -1


@graph()  # anew for each shape: with reduce_retracing a second net's parameters fail
def _mlp_gradients(params: Sequence, X: Array, y: Array) -> tuple[Array, Sequence]:
    W1, b1, W2, b2 = params
    with tf.GradientTape() as tape:
        scores = tf.nn.relu(X @ W1 + b1) @ W2 + b2
        loss = reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores))
    return loss, tape.gradient(loss, params)


def mlp_gradients(params: Sequence, X: Array, y: Array) -> Array:
    loss, grads = _mlp_gradients(params, X, y)
    for x, g in zip(params, grads, strict=True):
        x.grad = g
    return loss


def builtin_update(params: Sequence, gamma: float, eps: float) -> Callable[[float], None]:
    optimizer = tf.keras.optimizers.RMSprop(rho=gamma, epsilon=eps)
    optimizer.build(params)

    @graph()
    def apply_gradients(grads: Sequence) -> None:
        optimizer.apply_gradients(zip(grads, params, strict=True))

    def update(lr: float) -> None:
        optimizer.learning_rate = lr
        apply_gradients([x.grad for x in params])

    return update


bind(__name__)
