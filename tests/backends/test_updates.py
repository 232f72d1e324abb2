"""A compiled step does what the plain one does, or says that it cannot be known again."""

import copy
import functools
import logging
import math
import types
import warnings

import numpy as np
import pytest
from conftest import framework, parameter, state

from d2l_rmsprop import rmsprop
from d2l_rmsprop.backends import compiling
from d2l_rmsprop.backends.blocks import BLOCK
from d2l_rmsprop.backends.fingerprint import Unknown, fingerprint

SIZE = 20_000  # enough for a step that is compiled on each framework
GRADIENT = np.linspace(-3, 2, SIZE, dtype=np.float32)


def set_gradient(d2l, x, g):
    """Give x a gradient, as a backward pass would."""
    fresh = parameter(d2l, np.zeros_like(g), g.copy()).grad
    if d2l.__name__.endswith("mxnet"):
        fresh.copyto(x.grad)
    else:
        x.grad = fresh


def values(d2l, *arrays):
    return [np.array(d2l.numpy(a)) for a in arrays]


def optimizer_of(d2l, update, *more):
    """Return an optimizer in the book's style that takes its steps with ``update``."""

    def optimizer(params, states, hyperparams):
        d2l.apply(update, params, states, hyperparams["lr"], *more)

    return optimizer


def take_steps(d2l, optimizer, count=1, hyperparams=None, before=lambda i: None, g=GRADIENT):
    """Return x and s after ``count`` steps from ones and zeros."""
    x, s = parameter(d2l, np.ones_like(g), g), state(d2l, np.zeros_like(g))
    for i in range(count):
        before(i)
        set_gradient(d2l, x, g)
        optimizer([x], [s], hyperparams or {"lr": 0.1})
    return values(d2l, x, s)


# what an update may read; change(k) changes all of it


class Rule:
    k = 1.0

    def method(self, x, s, g, lr):
        return x - lr * self.k * g, s

    def __call__(self, x, s, g, lr):
        return x - lr * self.k * g, s


K = 1.0
TABLE, LIST, ARRAY, RULE = {}, [1.0], np.ones(1, np.float32), Rule()
settings = types.ModuleType("settings")


def change(k):
    global K
    K = TABLE["k"] = LIST[0] = ARRAY[0] = RULE.k = settings.k = by_attribute.k = k


def scaled(x, s, g, lr, k):
    return x - lr * k * g, s


def by_attribute(x, s, g, lr):
    return x - lr * by_attribute.k * g, s


def times_k(a):
    return a * K


def counting():
    calls = 0

    def update(x, s, g, lr):
        nonlocal calls
        calls += 1
        return x - lr * calls * g, s

    return update


def by_closure(k):
    return lambda x, s, g, lr: (x - lr * k * g, s)


# the updates of two steps, and what is said where they cannot be known again
READING = {
    "closure": (lambda: by_closure(K), None),
    "default": (lambda: lambda x, s, g, lr, k=K: (x - lr * k * g, s), None),
    "keyword default": (lambda: lambda x, s, g, lr, *, k=K: (x - lr * k * g, s), None),
    "partial": (lambda: functools.partial(scaled, k=K), None),
    "global": (lambda: lambda x, s, g, lr: (x - lr * K * g, s), None),
    "function": (lambda: lambda x, s, g, lr: (x - lr * times_k(g), s), None),
    "module": (lambda: lambda x, s, g, lr: (x - lr * settings.k * g, s), None),
    "attribute": (lambda: by_attribute, None),
    "dict": (lambda: lambda x, s, g, lr: (x - lr * TABLE["k"] * g, s), "reads TABLE, a dict"),
    "list": (lambda: lambda x, s, g, lr: (x - lr * LIST[0] * g, s), "reads LIST, a list"),
    "array": (lambda: lambda x, s, g, lr: (x - lr * float(ARRAY[0]) * g, s), "reads ARRAY, a num"),
    "method": (lambda: RULE.method, "reads self"),
    "object": (lambda: RULE, "is a test_updates.Rule"),
    "counter": (lambda update=counting(): update, "changes calls"),  # noqa: B008
    "code without a module": (lambda: eval(f"lambda x, s, g, lr: (x - lr * {K} * g, s)", {}), None),
}


@pytest.mark.parametrize("kind", READING)
def test_what_an_update_reads_may_change_between_steps(d2l, kind):
    make, reason = READING[kind]
    if kind == "counter":
        make = functools.partial(make, counting())

    def optimizer(params, states, hyperparams):
        d2l.apply(make(), params, states, hyperparams["lr"])

    compiled = d2l.compile(optimizer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        x, _ = take_steps(d2l, compiled, 2, before=lambda i: change(1.0 + i))
    np.testing.assert_allclose(x, 1 - 0.1 * (1 + 2) * GRADIENT, rtol=1e-5, atol=1e-6)
    said = [str(w.message) for w in caught if "runs as it is" in str(w.message)]
    assert len(said) == (reason is not None)  # once, not at each step
    assert all(reason in message for message in said)


INTO_A_LIBRARY = {
    "a number": (lambda k: k, lambda x, s, g, lr: (x - lr * math.of_a_reader * g, s)),
    "a function": (
        lambda k: lambda a: k * a,
        lambda x, s, g, lr: (x - lr * math.of_a_reader(g), s),
    ),
}


@pytest.mark.parametrize("what", INTO_A_LIBRARY)
def test_what_a_reader_puts_into_a_library_may_change_between_steps(d2l, what, monkeypatch):
    make, update = INTO_A_LIBRARY[what]
    optimizer = d2l.compile(optimizer_of(d2l, update))
    x, _ = take_steps(
        d2l,
        optimizer,
        2,
        before=lambda i: monkeypatch.setattr(math, "of_a_reader", make(1.0 + i), raising=False),
    )
    np.testing.assert_allclose(x, 1 - 0.1 * (1 + 2) * GRADIENT, rtol=1e-5, atol=1e-6)


def test_numbers_may_change_at_each_step_and_nothing_is_compiled_again(d2l, monkeypatch):
    compiled, tried = [], []
    if d2l.COMPILER:
        made = d2l._compile
        monkeypatch.setattr(
            d2l, "_compile", lambda update: compiled.append(made(update)) or compiled[-1]
        )
    is_elementwise = compiling.is_elementwise
    monkeypatch.setattr(
        compiling, "is_elementwise", lambda *args: tried.append(1) or is_elementwise(*args)
    )
    optimizer, numbers = d2l.compile(rmsprop), []
    for i in range(12):
        gamma, lr, eps = 0.9 + 0.008 * i, 0.1 / (i + 1), 1e-6 * (i + 1)
        _, s = take_steps(d2l, optimizer, 1, {"lr": lr, "gamma": gamma, "eps": eps})
        # 1 - gamma in float64: in float32 it would be off by 1e-6 at 0.988
        np.testing.assert_allclose(s, (1 - gamma) * np.float64(GRADIENT) ** 2, rtol=3e-7)
        numbers.append((len(tried), _programs(d2l, compiled)))
    assert len({*numbers[1:]}) == 1
    assert len({map(id, compiled)}) <= 1


def _programs(d2l, compiled):
    """Return how many programs the framework's compiler has made of these steps."""
    name = d2l.__name__.rpartition(".")[2]
    if name == "torch":
        return d2l.torch._dynamo.utils.counters["stats"]["unique_graphs"]
    if name == "tensorflow":
        return compiled[-1].experimental_get_tracing_count()
    return compiled[-1]._cache_size() if name == "jax" else 0


def test_a_closure_that_changes_at_each_step_is_not_compiled_without_end(d2l, monkeypatch):
    monkeypatch.setattr(compiling, "VARIANTS", 2)

    def optimizer(params, states, hyperparams):
        d2l.apply(by_closure(K), params, states, hyperparams["lr"])

    with pytest.warns(UserWarning, match="hand them to d2l.apply"):
        x, _ = take_steps(d2l, d2l.compile(optimizer), 5, before=lambda i: change(10.0 + i))
    np.testing.assert_allclose(x, 1 - 0.1 * 60 * GRADIENT, rtol=1e-5, atol=1e-5)


def test_only_so_many_updates_are_remembered(d2l, monkeypatch):
    monkeypatch.setattr(compiling, "UPDATES", 3)
    monkeypatch.setattr(compiling, "_updates", {})
    for i in range(5):
        fresh = eval(f"lambda x, s, g, lr: (x - {i} * lr * g, s)")
        take_steps(d2l, d2l.compile(optimizer_of(d2l, fresh)), g=GRADIENT[:8])
    assert len(compiling._updates) == 3


COMPUTING = {
    "a look-up": lambda d2l: lambda x, s, g, lr: (x - {0.1: 3.0, 0.2: 5.0}.get(lr, 2.0) * g, s),
    "a set": lambda d2l: lambda x, s, g, lr: (x - (3.0 if lr in {0.1, 0.5} else 2.0) * g, s),
    "a branch": lambda d2l: lambda x, s, g, lr: (x - 3.0 * g if lr < 0.15 else x - g, s),
    "large numbers": lambda d2l: lambda x, s, g, lr: (x - (lr * 1e-40) * 1e40 * 30.0 * g, s),
    "small differences": lambda d2l: (
        lambda x, s, g, lr: (x - (lr - 0.09999999) * 3e8 * g, s)  # float32's 0.1 is 1.5e-9 away
    ),
    "powers": lambda d2l: lambda x, s, g, lr: (x - 300.0 * lr**2 * g, s),
    "whole numbers": lambda d2l: lambda x, s, g, lr: (x - int(lr * 30) * g, s),
}


@pytest.mark.filterwarnings("ignore:.*runs as it is")
@pytest.mark.parametrize("kind", COMPUTING)
def test_what_an_update_computes_of_numbers_is_what_python_does(d2l, kind):
    x, _ = take_steps(d2l, d2l.compile(optimizer_of(d2l, COMPUTING[kind](d2l))))
    np.testing.assert_allclose(x, 1 - 3 * GRADIENT, rtol=1e-5, atol=1e-5)


# elementwise only


def by_norm(d2l):
    return lambda x, s, g, lr: (x - lr * g / d2l.sqrt(d2l.reduce_sum(d2l.square(g))), s)


COUPLED = {
    "the norm": by_norm,
    "a clipped norm": lambda d2l: (
        lambda x, s, g, lr: (x - lr * g / (1 + d2l.reduce_sum(d2l.square(g)) / 1e6), s)
    ),
    "the mean": lambda d2l: lambda x, s, g, lr: (x - lr * (g - d2l.reduce_mean(g)), s),
    "the mean of s": lambda d2l: lambda x, s, g, lr: (x, 0.9 * s + d2l.reduce_mean(d2l.square(g))),
    "the first": lambda d2l: lambda x, s, g, lr: (x - lr * (g - g[0]), s),
    "the reverse": lambda d2l: lambda x, s, g, lr: (x - lr * g[::-1], s),
    "the largest": lambda d2l: lambda x, s, g, lr: (x - lr * g / abs(g).max(), s),
    "a row": lambda d2l: lambda x, s, g, lr: (x - lr * (g - g.mean(-1)), s),
    "a sum of a row": lambda d2l: lambda x, s, g, lr: (x - lr * g.cumsum(-1), s),
    "a norm above a limit": lambda d2l: (
        lambda x, s, g, lr: (x - lr * g * min(1, 8 / d2l.sqrt(d2l.reduce_sum(g * g))), s)
    ),
    "the count": lambda d2l: lambda x, s, g, lr: (x - lr * g / d2l.reduce_sum(g**0), s),
    "a norm below a limit": lambda d2l: (
        lambda x, s, g, lr: (x - lr * d2l.tanh(1e9 * g) if d2l.reduce_sum(g * g) > 1e-9 else x, s)
    ),
    "no gradient at all": lambda d2l: (
        lambda x, s, g, lr: (x - lr, 0.9 * s) if d2l.reduce_sum(g * g) > 0 else (x, s)
    ),
    "no state yet": lambda d2l: (
        lambda x, s, g, lr: (x, 0.9 * s + 0.1 * g * g if d2l.reduce_sum(s) > 0 else g * g)
    ),
    "all at the start": lambda d2l: (
        lambda x, s, g, lr: (x - lr * g if d2l.reduce_sum(x * x) > 0 else x + 1, s)
    ),
    "any": lambda d2l: lambda x, s, g, lr: (x - lr * g if (g > 1).any() else x, s),
}
WITHOUT = {  # what a framework's arrays do not have
    "tensorflow": {"the largest", "a row", "a sum of a row", "any"},
    "torch": {"the reverse"},
    "mxnet": {"a sum of a row"},
    # no branches on values in jax.jit, so two run as they are; its step is not in pieces
    "jax": {
        "any",
        "a norm above a limit",
        "the count",
        "a norm below a limit",
        "no gradient at all",
        "no state yet",
        "all at the start",
    },
}


@pytest.mark.parametrize("kind", COUPLED)
def test_an_update_that_is_not_elementwise_is_refused_and_changes_nothing(d2l, kind):
    if kind in WITHOUT.get(d2l.__name__.rpartition(".")[2], ()):
        pytest.skip("not in this framework")
    g = np.arange(1, 1 + 400 * 400, dtype=np.float32).reshape(400, 400) / 1e4
    x, s = parameter(d2l, np.ones_like(g), g), state(d2l, np.zeros_like(g))
    optimizer = d2l.compile(optimizer_of(d2l, COUPLED[kind](d2l)))
    for _ in range(2):
        with pytest.raises(ValueError, match="not elementwise"):
            optimizer([x], [s], {"lr": 0})  # whatever the numbers are
    for found, old in zip(values(d2l, x, s, x.grad), (np.ones_like(g), 0 * g, g), strict=True):
        np.testing.assert_array_equal(found, old)


ELEMENTWISE = {
    "the root of a negative number": lambda d2l: lambda x, s, g, lr: (x - lr * d2l.sqrt(g), s),
    "the logarithm of a negative number": lambda d2l: lambda x, s, g, lr: (x - lr * d2l.log(g), s),
    "by zero": lambda d2l: lambda x, s, g, lr: (x - lr * g / (g - g), s),
    "a constant": lambda d2l: lambda x, s, g, lr: (x - lr, s * 0),
    "adagrad": lambda d2l: (
        lambda x, s, g, lr: (x - lr * g / d2l.sqrt(s + d2l.square(g) + 1e-6), s + d2l.square(g))
    ),
    "in place": lambda d2l: in_place,
}


def in_place(x, s, g, lr):
    s *= 0.9
    s += 0.1 * g * g
    g *= lr
    x -= g
    return x, s


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_an_elementwise_update_is_taken_for_one_whatever_its_values(d2l, kind):
    update = ELEMENTWISE[kind](d2l)
    assert compiling._tried(d2l, update, 1) == ""
    assert fingerprint(update)


def test_a_compiled_update_may_change_its_arguments_in_place(d2l):
    found = take_steps(d2l, d2l.compile(optimizer_of(d2l, in_place)))
    np.testing.assert_allclose(found[0], 1 - 0.1 * GRADIENT, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], 0.1 * GRADIENT**2, rtol=1e-5, atol=1e-6)


# what fails


def boom(x, s, g, lr):
    raise RuntimeError("boom")


def test_an_error_of_an_update_is_told_and_changes_nothing(d2l):
    x, s = parameter(d2l, np.ones_like(GRADIENT), GRADIENT), state(d2l, np.zeros_like(GRADIENT))
    with pytest.raises(RuntimeError, match=r"^boom$"):
        d2l.compile(optimizer_of(d2l, boom))([x], [s], {"lr": 0.1})
    assert values(d2l, x)[0].min() == 1
    d2l.compile(optimizer_of(d2l, by_closure(1.0)))([x], [s], {"lr": 0.1})  # its gradient is there
    np.testing.assert_allclose(values(d2l, x)[0], 1 - 0.1 * GRADIENT, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("update", "returned"),
    [
        (lambda x, s, g, lr: None, "a NoneType"),
        (lambda x, s, g, lr: x - lr * g, str(SIZE)),
        (lambda x, s, g, lr: (x - lr * g, s, g), f"{SIZE}.*{SIZE}.*{SIZE}"),
        (lambda x, s, g, lr: (x - lr * g, 0), "an? int"),
        (lambda x, s, g, lr: (x[:1], s), "1"),
    ],
)
def test_an_update_must_return_two_arrays_of_a_shape(d2l, compiled, update, returned):
    x, s = parameter(d2l, np.ones_like(GRADIENT), GRADIENT), state(d2l, np.zeros_like(GRADIENT))
    optimizer = optimizer_of(d2l, update)
    with pytest.raises(
        ValueError, match=f"must return two arrays.* this one returned: .*{returned}"
    ):
        (d2l.compile(optimizer) if compiled else optimizer)([x], [s], {"lr": 0.1})
    np.testing.assert_array_equal(values(d2l, x)[0], 1)
    np.testing.assert_array_equal(values(d2l, x.grad)[0], GRADIENT)


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_what_a_compiler_does_not_take_runs_as_it_is(name):
    d2l = framework(name)

    def careful(x, s, g, lr):
        return (x - lr * g, s) if lr < 0.2 else (x - 0.2 * g, s)

    optimizer = d2l.compile(optimizer_of(d2l, careful))
    with pytest.warns(UserWarning, match="optimizer runs as it is, uncompiled: its update") as said:
        results = [take_steps(d2l, optimizer, 1, {"lr": lr})[0] for lr in (0.1, 0.3)]
    assert not any("C++ compiler" in str(w.message) for w in said)
    for lr, x in zip((0.1, 0.2), results, strict=True):
        np.testing.assert_allclose(x, 1 - lr * GRADIENT, rtol=1e-5, atol=1e-6)


def test_an_error_that_numpy_raises_comes_before_a_large_array_is_changed():
    d2l = framework("numpy")
    g = np.ones(4 * BLOCK, np.float32)
    g[-1] = -1
    x, s = parameter(d2l, np.ones_like(g), g), state(d2l, np.zeros_like(g))
    optimizer = d2l.compile(optimizer_of(d2l, lambda x, s, g, lr: (x - lr * d2l.sqrt(g), s)))
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        optimizer([x], [s], {"lr": 0.1})
    assert x.value.min() == x.value.max() == 1
    with pytest.warns(RuntimeWarning, match="invalid value") as said:  # as the plain step's
        optimizer([x], [s], {"lr": 0.1})
    assert len(said) == 1
    np.testing.assert_allclose(x.value[:-1], 0.9)


# compile


@pytest.mark.parametrize("trainer_fn", [None, "rmsprop", {"lr": 0.1}])
def test_only_an_optimizer_is_compiled(d2l, trainer_fn):
    with pytest.raises(TypeError, match=r"trainer_fn is .*; give the optimizer itself"):
        d2l.compile(trainer_fn)


def test_compiling_twice_is_compiling_once(d2l, recwarn):
    once = d2l.compile(rmsprop)

    def with_decay(params, states, hyperparams):
        once(params, states, hyperparams)

    hyperparams = {"lr": 0.1, "gamma": 0.9}
    expected = take_steps(d2l, once, 2, hyperparams)
    for optimizer in (d2l.compile(once), d2l.compile(with_decay)):
        np.testing.assert_array_equal(take_steps(d2l, optimizer, 2, hyperparams), expected)
    assert [w for w in recwarn if "runs as it is" in str(w.message)] == []


def test_a_compiled_optimizer_returns_what_the_optimizer_does(d2l):
    def optimizer(params, states, hyperparams):
        d2l.apply(scaled, params, states, 0.1, 1.0)
        return params

    x = parameter(d2l, GRADIENT[:3], GRADIENT[:3])
    params = [x]
    assert d2l.compile(optimizer)(params, [state(d2l, GRADIENT[:3])], {}) is params


def test_jax_leaves_what_a_reader_holds():
    d2l = framework("jax")
    x, s = (d2l.Variable(np.full(SIZE, value, np.float32)) for value in (1, 0))
    x.grad = s.value  # the state's own array
    held = [x[:], x.value, copy.copy(x), np.asarray(x), s.value, s[...], x.grad, x.T]
    old = [np.array(a) for a in held]
    for _ in range(2):
        d2l.compile(rmsprop)([x], [s], {"lr": 0.1, "gamma": 0.9})
        x.grad = x.value
        held.append(x.value)
        old.append(np.array(x))
    for now, then in zip(held, old, strict=True):
        np.testing.assert_array_equal(np.asarray(now), then)


def test_tensorflow_says_nothing_of_steps_that_are_traced_again():
    d2l = framework("tensorflow")
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    d2l.tf.get_logger().addHandler(handler)
    try:
        for n in range(1, 9):
            take_steps(d2l, d2l.compile(rmsprop), 1, {"lr": 0.1, "gamma": 0.9}, g=GRADIENT[:n])
            x = parameter(d2l, GRADIENT[:n], GRADIENT[:n])
            d2l.builtin_update([x], 0.9, 1e-6)(0.1)
    finally:
        d2l.tf.get_logger().removeHandler(handler)
    assert said == []


# what a function reads


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.shape, "asks for the shape"),
        (lambda x: x.nbytes, "asks for the nbytes"),
        (lambda x: x * np.random.rand(), "calls rand"),
        (lambda x: print(x), "calls print"),
        (lambda x: len(x), "calls len"),
        (lambda x: isinstance(x, float), "calls isinstance"),
        (lambda x, lr: x * {0.1: 1.0, 0.2: 5.0}.get(lr, 2.0), "has a dict or a set"),
        (lambda x, lr: x * (lr in {0.1, 0.2}), "has a dict or a set"),
        (lambda x, lr: x * len({lr, 0.1}), "has a dict or a set|calls len"),
        (lambda x, lr: x * dict([(0.1, 2.0)])[lr], "calls dict"),  # noqa: C406
        (lambda x, lr: x * (f"{lr}" == "0.1"), "makes text"),
        (lambda x: x * RULE.k, "reads RULE"),
        (lambda x: x * Rule.k, "reads Rule"),
        (functools.partial(scaled, k=[1]), "reads k, a list"),
        (np.frompyfunc(times_k, 1, 1), "is a numpy.ufunc"),
        (lambda x: np.vectorize(times_k)(x) * (lambda y: TABLE)(x)["k"], "reads TABLE"),
        (boom, "raises|calls RuntimeError"),
    ],
)
def test_what_cannot_be_known_again(function, reason):
    with pytest.raises(Unknown, match=reason):
        fingerprint(function)


def test_a_fingerprint_tells_numbers_apart_that_are_equal():
    keys = [fingerprint(by_closure(k)) for k in (1, 1.0, True, -0.0, 0.0, np.float32(1), (1,))]
    assert len({*keys}) == len(keys)
    assert fingerprint(by_closure(float("nan"))) == fingerprint(by_closure(float("nan")))


def test_a_function_that_calls_itself_has_a_fingerprint():
    def power(x, n):
        return x * power(x, n - 1) if n else x

    assert hash(fingerprint(power)) == hash(fingerprint(power))
