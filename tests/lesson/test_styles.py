"""Every style of optimizer that the book's editions have trains as the formula does."""

import collections
import functools

import numpy as np
import pytest
from conftest import FRAMEWORKS, framework
from references import by_hand, rmsprop_by_hand, table

from d2l_rmsprop.backend import as_numpy
from d2l_rmsprop.lesson.styles import arrangement

HYPERPARAMS = {"lr": 0.01, "gamma": 0.9, "eps": 1e-6}
X, Y = (a[:300] for a in table())
EXPECTED = by_hand(X, Y, rmsprop_by_hand(), epochs=1)


def new(p, s, g, hyperparams):
    """RMSProp by operators alone, so on every framework: the new parameter and state."""
    s = hyperparams["gamma"] * s + (1 - hyperparams["gamma"]) * g**2
    return p - hyperparams["lr"] * g / (s + hyperparams["eps"]) ** 0.5, s


def zeros(d2l):
    return [d2l.zeros((5, 1)), d2l.zeros((1,))]


def trained(d2l, trainer_fn, states, hyperparams=HYPERPARAMS, epochs=1):
    data_iter = d2l.load_array((X, Y), 10)
    return d2l.train_ch11(trainer_fn, states, hyperparams, data_iter, 5, epochs, draw=False)[1]


# where the new arrays are


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


@pytest.mark.parametrize("takes", ["grads second", "grads last", "no grads"])
def test_new_params_are_taken_wherever_they_are(d2l, takes):
    for put in (returns_params, returns_both, into_the_lists, into_the_lists_and_returns, yields):
        trainer_fn = {
            "grads second": put,
            "grads last": lambda params, states, hyperparams, grads, put=put: put(
                params, grads, states, hyperparams
            ),
            "no grads": lambda params, states, hyperparams, put=put: put(
                params, [p.grad for p in params], states, hyperparams
            ),
        }[takes]
        losses = trained(d2l, trainer_fn, zeros(d2l))
        np.testing.assert_allclose(losses, EXPECTED, atol=1e-6, err_msg=put.__name__)


@pytest.mark.parametrize(
    "states",
    [
        lambda d2l: tuple((None, s) for s in zeros(d2l)),
        lambda d2l: {i: [s] for i, s in enumerate(zeros(d2l))},
        lambda d2l: [None, None],
        lambda d2l: [{"s": s} for s in d2l.init_rmsprop_states(5)],
    ],
)
def test_states_of_any_nesting(d2l, states):
    def trainer_fn(params, grads, states, hyperparams):
        for i, g in enumerate(grads):
            s = states[i]
            while isinstance(s, (tuple, list, dict)):
                s = list(s.values() if isinstance(s, dict) else s)[-1]
            params[i], states[i] = new(params[i], 0 * g if s is None else s, g, hyperparams)

    losses = trained(d2l, trainer_fn, states(d2l))
    np.testing.assert_allclose(losses, EXPECTED, atol=1e-6)


def test_states_of_a_generator_serve_every_step(d2l):
    for trainer_fn in (d2l.rmsprop, lambda params, states, hp: d2l.rmsprop(params, states, hp)):
        losses = trained(d2l, trainer_fn, (s for s in d2l.init_rmsprop_states(5)))
        np.testing.assert_allclose(losses, EXPECTED, atol=1e-6)


def test_a_list_of_states_has_what_the_optimizer_put_there(d2l):
    states, twice = zeros(d2l), zeros(d2l)
    trained(d2l, into_the_lists, states)
    assert all(np.all(d2l.numpy(s) > 0) for s in states)
    trained(d2l, returns_both, twice)
    for s, t in zip(states, twice, strict=True):
        np.testing.assert_allclose(d2l.numpy(s), d2l.numpy(t), rtol=1e-5)


def test_plain_arrays_for_an_optimizer_that_takes_the_gradients_and_variables_for_the_others():
    for name in ("numpy", "jax"):
        d2l = framework(name)
        seen = []

        def four(params, grads, states, hyperparams, seen=seen):
            seen.extend([*params, *states])

        def three(params, states, hyperparams, seen=seen):
            seen.extend([*params, *states])

        with pytest.warns(UserWarning, match="changed no parameter"):
            trained(d2l, four, d2l.init_rmsprop_states(5))
        assert not any(isinstance(a, d2l.Variable) for a in seen)
        seen.clear()
        with pytest.warns(UserWarning, match="changed no parameter"):
            trained(d2l, three, d2l.init_rmsprop_states(5))
        assert all(isinstance(a, d2l.Variable) for a in seen)


def test_pytorchs_gradients_are_the_loops_to_clear():
    """The first edition's community package writes to .data and never clears a gradient."""
    d2l = framework("torch")

    def rmsprop(params, states, hyperparams):
        for p, s in zip(params, states, strict=True):
            p.data, s.data = new(p.data, s.data, p.grad.data, hyperparams)

    np.testing.assert_allclose(trained(d2l, rmsprop, zeros(d2l)), EXPECTED, atol=1e-6)

    def without_no_grad(params, states, hyperparams):
        for p, s in zip(params, states, strict=True):
            p[:], s[:] = new(p, s, p.grad, hyperparams)
            p.grad.data.zero_()

    np.testing.assert_allclose(trained(d2l, without_no_grad, zeros(d2l)), EXPECTED, atol=1e-6)


def test_traced_optimizers_of_a_reader():
    jax, tensorflow = framework("jax"), framework("tensorflow")
    losses = trained(jax, jax.jax.jit(returns_both), zeros(jax))
    np.testing.assert_allclose(losses, EXPECTED, atol=1e-6)

    @tensorflow.tf.function
    def in_place(params, grads, states, hyperparams):
        for p, g, s in zip(params, grads, states):  # noqa: B905 - AutoGraph knows no strict
            new_p, new_s = new(p, s, g, HYPERPARAMS)
            p.assign(new_p)
            s.assign(new_s)

    losses = trained(tensorflow, in_place, tensorflow.init_rmsprop_states(5))
    np.testing.assert_allclose(losses, EXPECTED, atol=1e-6)


# who takes what: names, not counts


def three(params, states, hyperparams, scale=1): ...
def four(params, grads, states, hyperparams, scale=1): ...
def last(params, states, hyperparams, grads): ...
def star(params, gradients, *others): ...
def optional(params, states, hyperparams, grads=None): ...
def clipped(params, states, hyperparams, grad_clip=5.0, *args, **kwargs): ...
def by_keyword(params, *, grads, states, hyperparams): ...


class Optimizer:
    def __call__(self, params, grads, states, hyperparams): ...
    def step(self, params, states, hyperparams, gradients): ...


def handed_on(function):
    return lambda *args, **kwargs: function(*args, **kwargs)


class Counted:
    """A decorator that is a class."""

    def __init__(self, trainer_fn):
        self.trainer_fn, self.calls = trainer_fn, 0

    def __call__(self, *args):
        self.calls += 1
        return self.trainer_fn(*args)


@functools.wraps(four)
def adapted(params, states, hyperparams): ...


THREE, FOUR = ["params", "states", "hyperparams"], ["params", "grads", "states", "hyperparams"]
LAST = ["params", "states", "hyperparams", "grads"]


@pytest.mark.parametrize(
    "trainer_fn, positional",
    [
        (three, THREE),
        (four, FOUR),
        (last, LAST),
        (star, FOUR),
        (optional, LAST),
        (clipped, THREE),
        (adapted, THREE),
        (lambda *args: None, THREE),
        (Optimizer(), FOUR),
        (Optimizer().step, LAST),
        (functools.partial(four, scale=2), FOUR),
        (functools.partial(lambda k, *rest: None, 1), THREE),
        (handed_on(four), FOUR),
        (Counted(four), FOUR),
        (Counted(handed_on(last)), LAST),
        (functools.wraps(last)(handed_on(last)), LAST),
        (lambda p, g, s, h: None, FOUR),
        (lambda w, dw, v, hp: None, FOUR),
        (lambda ps, ss, hps, p=1: None, THREE),
        (lambda weights, states, hp: None, THREE),
        (lambda params, hyperparams: None, ["params", "hyperparams"]),
        (lambda params, gradients, hyperparams: None, ["params", "grads", "hyperparams"]),
        (dict.update, THREE),
        (lambda updates, state, params: None, ["grads", "states", "params"]),
    ],
)
def test_arguments_are_known_by_their_names(trainer_fn, positional):
    assert arrangement(trainer_fn) == (positional, {})


def test_arguments_by_keyword():
    names = ["grads", "states", "hyperparams"]
    assert arrangement(by_keyword) == (["params"], dict(zip(names, names, strict=True)))
    bound = functools.partial(last, hyperparams={"lr": 1})  # stays what the reader bound
    assert arrangement(bound) == (["params", "states"], {"grads": "grads"})
    rest = {"states": "states", "hyperparams": "hyperparams"}
    assert arrangement(lambda params, **others: None) == (["params"], rest)


def test_an_argument_that_is_no_role_is_refused():
    d2l = framework("numpy")
    with pytest.raises(TypeError, match=r"takes an argument 't', which is none of .*default\.$"):
        trained(d2l, lambda params, states, hyperparams, t: None, None)


@pytest.mark.parametrize(
    "trainer_fn",
    [
        lambda params, states, lr: None,
        lambda params, states, lr, gamma: None,
        lambda params, states, lr=0.5: None,
        lambda params, grads, states, *, lr=0.5: None,
        functools.partial(lambda params, states, lr, gamma: None, gamma=0.9),
    ],
)
def test_a_hyperparameter_by_itself_is_refused(trainer_fn):
    with pytest.raises(TypeError, match=r"takes 'lr' as an argument.*read hyperparams\['lr'\]\.$"):
        trained(framework("numpy"), trainer_fn, None)
    kept = lambda params, states, hyperparams, lr=0.5: framework("numpy").rmsprop(
        params, states, hyperparams
    )
    losses = trained(framework("numpy"), kept, framework("numpy").init_rmsprop_states(5))
    np.testing.assert_allclose(losses, EXPECTED, atol=1e-6)  # the dict is what counts


def test_hyperparams_are_not_spread_over_keywords(d2l):
    with pytest.raises(TypeError, match=r"takes \*\*hp, but .*take hp, without the stars"):
        trained(d2l, lambda params, states, **hp: None, None)


@pytest.mark.parametrize("wrong", ["shape", "type", "count"])
def test_params_of_another_shape_are_refused(d2l, wrong):
    def trainer_fn(params, grads, states, hyperparams):
        if wrong == "shape":
            params[0] = params[0] + d2l.zeros((5, 5))
        elif wrong == "type":
            params[0] = None
        else:
            params.pop()

    words = {"shape": r"params\[0\] shape \(5, 5\), .* \(5, 1\);", "type": "the type NoneType"}
    with pytest.raises(ValueError, match=words.get(wrong, "gave 1 params for 2")):
        trained(d2l, trainer_fn, None)


def as_lists(a):
    return a.detach().tolist() if hasattr(a, "detach") else np.asarray(a).tolist()


async def forgotten_await(params, grads, states, hyperparams): ...
async def forgotten_await_of_each(params, grads, states, hyperparams):
    yield params


def pairs(params, grads, states, hyperparams):
    return [new(*each, hyperparams) for each in zip(params, states, grads, strict=True)]


def changed_and_returns_states(params, grads, states, hyperparams):
    params[:], new_states = zip(*pairs(params, grads, states, hyperparams), strict=True)
    return new_states


MISTAKEN = {
    "states before params": (
        lambda *given: returns_both(*given)[::-1],
        "what it returned second is; return the new params, ",
    ),
    "the list of states before params": (
        lambda params, grads, states, hyperparams: (
            states,
            returns_params(params, grads, states, hyperparams),
        ),
        "what it returned second is",
    ),
    "states, and params in the list": (changed_and_returns_states, "left in the list is"),
    "lists of numbers": (
        lambda *given: [as_lists(p) for p in returns_params(*given)],
        r"params\[0\] the type list, not an array of shape \(5, 1\)",
    ),
    "a pair for each": (pairs, r"params\[1\] shape \(5, 1\), not an array of shape \(1,\)"),
    "one of them": (lambda *given: returns_params(*given)[:1], "gave 1 params for 2"),
    "a number as states": (
        lambda *given: (returns_params(*given), 0.5),
        "returned 0.5 for the list of states; return the new params, ",
    ),
    "async": (forgotten_await, "trainer_fn is an async function.* use plain def"),
    "async generator": (forgotten_await_of_each, "trainer_fn is an async function"),
}


@pytest.mark.parametrize("kind", MISTAKEN)
def test_a_result_that_is_neither_params_nor_both_is_refused(d2l, kind):
    def trainer_fn(params, grads, states, hyperparams):
        return MISTAKEN[kind][0](params, grads, states, hyperparams)

    with pytest.raises((TypeError, ValueError), match=MISTAKEN[kind][1]) as raised:
        trained(d2l, trainer_fn, zeros(d2l))
    assert "\n" not in str(raised.value)


CONTAINERS = {
    "arrays of NumPy": lambda params, states: [as_numpy(p) for p in params],
    "a deque": lambda params, states: collections.deque(params),
    "a dict's view": lambda params, states: dict(enumerate(params)).values(),
    "generators": lambda params, states: ((p for p in params), (s for s in states)),
    "zip": lambda params, states: zip(*zip(params, states, strict=True), strict=True),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_the_result_comes_in_any_container(d2l, kind):
    def trainer_fn(params, grads, states, hyperparams):
        new_params, new_states = returns_both(params, grads, states, hyperparams)
        states[:] = new_states
        return CONTAINERS[kind](new_params, new_states)

    np.testing.assert_allclose(trained(d2l, trainer_fn, zeros(d2l)), EXPECTED, atol=1e-6)


def test_a_first_step_of_no_length_or_up_the_slope_is_no_mistake(d2l):
    def warmed(params, grads, states, hyperparams):
        hyperparams["t"] += 1
        lr = hyperparams["lr"] * (hyperparams["t"] > 1)
        return returns_both(params, grads, states, hyperparams | {"lr": lr})

    def away(params, grads, states, hyperparams):  # up the slope, on purpose
        return returns_both(params, grads, states, hyperparams | {"lr": -hyperparams["lr"]})

    for trainer_fn in (warmed, away):
        trained(d2l, trainer_fn, zeros(d2l), HYPERPARAMS | {"t": 0})


def test_an_optimizer_that_changes_nothing_is_told_once(d2l, recwarn):
    def forgotten(params, states, hyperparams):
        for p in params:
            p = p - hyperparams["lr"] * p.grad

    trained(d2l, forgotten, None, epochs=3)
    (warning,) = [w for w in recwarn if issubclass(w.category, UserWarning)]
    assert "an epoch of training changed no parameter" in str(warning.message)
    assert warning.filename == __file__
    recwarn.clear()
    trained(d2l, forgotten, None, {"lr": 0})
    assert not [w for w in recwarn if issubclass(w.category, UserWarning)]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_parameter_of_one_number_may_be_returned(name):
    d2l = framework(name)
    x = d2l.parameter(np.array(2, np.float32))
    s = d2l.variable(d2l.from_numpy(np.array(0, np.float32)))
    take = d2l.optimizer_step(returns_params, [x], [s], HYPERPARAMS)
    d2l.give_gradient(x, d2l.from_numpy(np.array(0.5, np.float32)))
    take([x.grad])
    expected = 2 - 0.01 * 0.5 / np.sqrt(0.1 * 0.5**2 + 1e-6)
    np.testing.assert_allclose(as_numpy(x), expected, rtol=1e-6)
