"""Whatever a reader trains on and passes: the same result everywhere, or one sentence."""

import random
import sys
import types

import numpy as np
import pytest
from conftest import framework, parameter, state
from references import by_hand, rmsprop_by_hand, table

HYPERPARAMS = {"lr": 0.01, "gamma": 0.9}
X, Y = (a[:200] for a in table())


def in_order(X, y):
    return [(X[i : i + 10], y[i : i + 10]) for i in range(0, len(X), 10)]


def by_hand_in_order(minibatches, lr=lambda t: 0.01, start=None, eps_in_sqrt=True):
    """The training written out in float64, on minibatches in their order; lr of the step."""
    rng = np.random.default_rng(0)
    wb, s, losses = np.append(rng.normal(0, 0.01, 5), 0), 0, []
    pairs = [(np.float64(a), np.float64(b).reshape(-1)) for a, b in minibatches]
    A, c = (np.concatenate(each) for each in zip(*pairs, strict=True))
    A1 = np.column_stack([A, np.ones(len(A))])
    for t, (a, b) in enumerate(pairs):
        a = np.column_stack([a, np.ones(len(a))])
        g = a.T @ (a @ wb - b) / len(a)
        s = 0.9 * s + 0.1 * g**2
        wb = wb - lr(t) * g / (np.sqrt(s + 1e-6) if eps_in_sqrt else np.sqrt(s) + 1e-6)
    losses.append(np.square(A1 @ wb - c).mean() / 2)
    return losses


INTEGERS = (X * 3).round().astype(np.int64), (Y * 3).round().astype(np.int32)
DATA = {
    "float64": in_order(np.float64(X), np.float64(Y)),
    "float64 and float32": in_order(np.float64(X), Y),
    "a column of labels": in_order(X, Y[:, None]),
    "lists": in_order(X.tolist(), Y.tolist()),
    "lists of arrays": [(list(a), list(b)) for a, b in in_order(X, Y)],
    "lists of integers": in_order(*(a.tolist() for a in INTEGERS)),
    "integer labels": in_order(X, INTEGERS[1]),
    "integers": in_order(*INTEGERS),
    "float16": in_order(np.float16(X), Y),
}


def bfloat16(library, a):
    if library == "torch":
        return framework("torch").torch.tensor(a).bfloat16()
    if library == "paddle":
        return framework("paddle").paddle.to_tensor(a).astype("bfloat16")
    if library == "tensorflow":
        tf = framework("tensorflow").tf
        return tf.cast(a, tf.bfloat16)
    return framework("jax").jnp.asarray(a, "bfloat16")


@pytest.mark.parametrize("library", ["torch", "paddle", "tensorflow", "jax"])
def test_bfloat16_of_any_framework_is_data(d2l, library):
    halves = np.round(X * 16) / 16  # which 8 bits hold
    halves[np.abs(halves) >= 8] = 1
    data = [(bfloat16(library, a), b) for a, b in in_order(halves, Y)]
    states = d2l.init_rmsprop_states(5)
    losses = d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, data, 5, 1, draw=False)[1]
    np.testing.assert_allclose(losses, by_hand_in_order(in_order(halves, Y)), rtol=2e-6)


@pytest.mark.parametrize("kind", DATA)
def test_every_type_of_number_trains_alike(d2l, kind):
    data = DATA[kind]
    states = d2l.init_rmsprop_states(5)
    losses = d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, data, 5, 1, draw=False)[1]
    np.testing.assert_allclose(losses, by_hand_in_order(data), rtol=2e-6)
    if d2l.builtin_rmsprop(0.01, 0.9, 1e-6):
        trainer = d2l.builtin_rmsprop(0.01, 0.9, 1e-6)
        losses = d2l.train_concise_ch11(*trainer, data, 1, draw=False)[1]
        expected = by_hand_in_order(data, eps_in_sqrt=d2l.EPS_IN_SQRT)
        np.testing.assert_allclose(losses, expected, rtol=2e-6)


def test_load_array_of_every_type_trains_alike(d2l):
    for a, b in ((np.float64(X), np.float64(Y)), INTEGERS, (X.tolist(), Y[:, None].tolist())):
        data_iter, states = d2l.load_array((a, b), 10, False), d2l.init_rmsprop_states(5)
        losses = d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, data_iter, 5, 1, draw=False)[1]
        np.testing.assert_allclose(losses, by_hand_in_order(in_order(a, b)), rtol=2e-6)


def test_load_array_makes_of_lists_what_a_minibatch_of_lists_is(d2l):
    for lists in ((X.tolist(), Y.tolist()), [X.tolist(), np.float64(Y)]):
        for minibatch in d2l.load_array(lists, 10):
            assert [d2l.numpy(a).dtype for a in minibatch] == [np.float32] * 2


def test_tensorflow_says_where_states_are_of_another_type_than_float64_data():
    d2l = framework("tensorflow")

    def trainer_fn(params, grads, states, hyperparams):
        for p, g, s in zip(params, grads, states, strict=True):
            s.assign(0.9 * s + 0.1 * g**2)
            p.assign(p - 0.01 * g / d2l.sqrt(s + 1e-6))

    def losses(trainer_fn, states):
        data = in_order(np.float64(X), Y)
        return d2l.train_ch11(trainer_fn, states, HYPERPARAMS, data, 5, 1, draw=False)[1]

    for each in (trainer_fn, d2l.tf.function(trainer_fn, autograph=False)):
        with pytest.raises(TypeError, match=r"float64.*states of float32.*tf.zeros\(.*tf.float64"):
            losses(each, d2l.init_rmsprop_states(5))
    states = [d2l.variable(d2l.zeros(shape, d2l.float64)) for shape in ((5, 1), (1,))]
    expected = by_hand_in_order(in_order(X, Y))
    np.testing.assert_allclose(losses(trainer_fn, states), expected, rtol=2e-6)
    with pytest.raises(TypeError, match=r"^of a reader$"):  # is left alone
        losses(of_a_reader, [d2l.variable(d2l.zeros(1, d2l.float64))])


def of_a_reader(params, grads, states, hyperparams):
    raise TypeError("of a reader")


def schedule(t):
    return 0.02 / (1 + t)


class Scheduled:
    """Minibatches that set the learning rate, and count how often they are read."""

    def __init__(self, hyperparams, kind):
        self.hyperparams, self.kind, self.read = hyperparams, kind, 0

    def __iter__(self):
        for X_batch, y_batch in in_order(X, Y):
            self.hyperparams["lr"] = self.kind(schedule(self.read))
            self.read += 1
            yield X_batch, y_batch


@pytest.mark.parametrize("kind", [float, np.float32, np.array])
def test_a_schedule_in_hyperparams_is_followed_at_every_step(d2l, kind):
    hyperparams = dict(HYPERPARAMS)
    data = Scheduled(hyperparams, kind)
    states = d2l.init_rmsprop_states(5)
    losses = d2l.train_ch11(d2l.rmsprop, states, hyperparams, data, 5, 1, draw=False)[1]
    assert data.read == 20  # once in an epoch
    np.testing.assert_allclose(losses, by_hand_in_order(in_order(X, Y), schedule), rtol=2e-6)


def test_an_array_that_changes_in_place_and_a_bad_value_are_seen(d2l):
    hyperparams = HYPERPARAMS | {"lr": np.array(0.02)}

    class Halved:
        def __iter__(self):
            for pair in in_order(X, Y):
                yield pair
                hyperparams["lr"] *= 0.5

    states = d2l.init_rmsprop_states(5)
    losses = d2l.train_ch11(d2l.rmsprop, states, hyperparams, Halved(), 5, 1, draw=False)[1]
    expected = by_hand_in_order(in_order(X, Y), lambda t: 0.02 * 0.5**t)
    np.testing.assert_allclose(losses, expected, rtol=2e-6)

    class Broken:
        def __iter__(self):
            for pair in in_order(X, Y):
                yield pair
                hyperparams["gamma"] = 1.5

    states = d2l.init_rmsprop_states(5)
    with pytest.raises(ValueError, match=r"hyperparams\['gamma'\] is 1.5"):
        d2l.train_ch11(d2l.rmsprop, states, hyperparams, Broken(), 5, 1, draw=False)


def test_gamma_near_1_loses_nothing_where_it_is_an_input():
    for name in ("tensorflow", "jax"):
        d2l = framework(name)
        states, data_iter = d2l.init_rmsprop_states(5), d2l.load_array((X, Y), 10)
        hyperparams = {"lr": 1e-4, "gamma": 0.9999, "eps": 1e-12}
        losses = d2l.train_ch11(d2l.rmsprop, states, hyperparams, data_iter, 5, 1, draw=False)[1]
        expected = by_hand(X, Y, rmsprop_by_hand(1e-4, 0.9999, 1e-12), epochs=1)
        np.testing.assert_allclose(losses, expected, rtol=1e-6)


def test_optax_is_compiled_once_in_a_process_and_anew_for_a_function_of_the_readers():
    d2l = framework("jax")
    data_iter = d2l.load_array((X, Y), 10)
    optax = pytest.importorskip("optax")
    rates = [0.01]

    def mine(learning_rate):
        return optax.rmsprop(rates[0])

    def last(trainer):
        return d2l.train_concise_ch11(trainer, {"learning_rate": 0.01}, data_iter, 1, draw=False)[1]

    first = last(optax.rmsprop)
    before = d2l._optax_step.cache_info().misses
    assert last(optax.rmsprop) == first and d2l._optax_step.cache_info().misses == before
    assert last(mine) == first
    rates[0] = 0.001  # which a step compiled before would not know
    assert last(mine) != first


# the reader's generators


def drawn(d2l):
    """One number from each generator that a reader may use."""
    name = d2l.__name__.rpartition(".")[2]
    own = {
        "torch": lambda: d2l.torch.rand(1),
        "paddle": lambda: d2l.paddle.rand([1]),
        "tensorflow": lambda: d2l.tf.random.uniform([1]),
        "mxnet": lambda: d2l.np.random.uniform(size=1),
    }.get(name, lambda: 0)
    return random.random(), np.random.rand(), np.asarray(d2l.numpy(own())).item()


def seed(d2l):
    random.seed(1)
    np.random.seed(1)
    name = d2l.__name__.rpartition(".")[2]
    if name == "torch":
        d2l.torch.manual_seed(1)
    elif name == "paddle":
        d2l.paddle.seed(1)
    elif name == "tensorflow":
        d2l.tf.random.set_seed(1)
    elif name == "mxnet":
        import mxnet

        mxnet.random.seed(1)


def test_the_readers_random_generators_stay_as_they_are(d2l):
    def compiled():
        one = np.ones((200, 200), np.float32)
        d2l.compile(d2l.rmsprop)([parameter(d2l, one, one)], [state(d2l, one)], HYPERPARAMS)

    def perceptron(builtin):
        images = np.ones((20, 4, 4, 1), np.float32).swapaxes(d2l.CHANNEL_AXIS, -1)
        data_iter = d2l.load_array((images, np.arange(20) % 10), 10)
        d2l.train_mlp(data_iter, data_iter, 0.01, num_epochs=1, builtin=builtin)

    def train(data_iter):
        states = d2l.init_rmsprop_states(5)
        d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, data_iter, 5, 1)

    calls = [
        lambda: train(d2l.load_array((X, Y), 10)),
        lambda: train(in_order(X, Y)),
        lambda: d2l.get_data_ch11(data="stand-in"),
        lambda: list(d2l.load_array((X, Y), 10)),
        lambda: d2l.optimize(100, 0.01, 0.9, 1, 100),
        compiled,
        lambda: perceptron(False),
    ]
    if builtin := d2l.builtin_rmsprop(0.01, 0.9, 1e-6):
        calls.append(lambda: d2l.train_concise_ch11(*builtin, d2l.load_array((X, Y), 10), 1))
        calls.append(lambda: perceptron(True))
    seed(d2l)
    expected = drawn(d2l)
    for i, call in enumerate(calls):
        seed(d2l)
        call()
        assert drawn(d2l) == expected, i


# mistakes


class Once:
    """It starts anew once only."""

    def __init__(self):
        self.left = iter(in_order(X, Y))

    def __iter__(self):
        return self.left


class Reset:
    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

    def reset(self): ...


a, b = X[:10], Y[:10]


@pytest.mark.parametrize(
    "data_iter, words",
    [
        (([(a, b)], 5), "is the pair that get_data_ch11 returns; take it apart"),
        (None, r"data_iter is None; it must be minibatches \(X, y\)"),
        (in_order, "an instance of function; it must be minibatches"),
        ([(a, b, b)], r"a tuple of length 3; it must be a pair \(X, y\)"),
        ([[a]], "a list of length 1; it must be a pair"),
        (X, "a minibatch of data_iter is an instance of numpy.ndarray; it must be a pair"),
        ([{"X": a, "y": b}], "an instance of dict; it must be a pair"),
        ([(a, b[:9])], r"X has 10 rows, but y has shape \(9,\)"),
        ([(a, np.ones((10, 2)))], r"X has 10 rows, but y has shape \(10, 2\)"),
        ([(a[0], b)], r"X has shape \(5,\); it must be \(batch_size, feature_dim\)"),
        ([(a[:0], b[:0])], "has no rows; give it at least one"),
        ([(a, b), (a[:, :4], b)], "X has 4 columns in one minibatch and 5 in another"),
        ([([[1, 2], [3]], [1, 2])], "X is not an array of numbers"),
        ([(a, ["one"] * 10)], "y is not an array of numbers"),
        ([(a[:1], [None])], "y has elements of type object; give real numbers"),
        ([(a * 1j, b)], "X has elements of type complex64; give real numbers"),
        ([(a, np.arange(10).astype("M8[s]"))], r"y has elements of type datetime64\[s\]; give"),
        (iter([(a, b)]), r"can be read only once, .* give a list of pairs \(X, y\)"),
        (Reset(), r"can be read only once until its reset\(\)"),
    ],
)
def test_what_gives_no_minibatches_is_said(data_iter, words):
    d2l = framework("numpy")
    with pytest.raises((TypeError, ValueError), match=words) as raised:
        d2l.train_ch11(d2l.rmsprop, d2l.init_rmsprop_states(5), HYPERPARAMS, data_iter, 5)
    assert "\n" not in str(raised.value)


def test_an_iterable_that_is_at_its_end_is_said():
    d2l = framework("numpy")
    with pytest.raises(ValueError, match=r"no minibatch in epoch 2; give one that starts anew"):
        d2l.train_ch11(d2l.rmsprop, d2l.init_rmsprop_states(5), HYPERPARAMS, Once(), 5)


@pytest.mark.parametrize("feature_dim", [4, "5", [5], -5, 5.5])
def test_a_feature_dim_that_is_not_the_datas(feature_dim):
    d2l = framework("numpy")
    with pytest.raises(ValueError, match="but X has 5 columns; give that number"):
        d2l.train_ch11(d2l.rmsprop, None, HYPERPARAMS, [(a, b)], feature_dim)


def test_get_data_ch11_not_unpacked_and_no_feature_dim(d2l):
    pair = d2l.get_data_ch11(data="stand-in")
    with pytest.raises(TypeError, match=r"data_iter, feature_dim = d2l\.get_data_ch11"):
        d2l.train_ch11(d2l.rmsprop, d2l.init_rmsprop_states(5), HYPERPARAMS, pair)
    with pytest.raises(TypeError, match="feature_dim is missing"):
        d2l.train_ch11(d2l.rmsprop, d2l.init_rmsprop_states(5), HYPERPARAMS, pair[0])


@pytest.mark.parametrize("wrong", [None, [0.01], types.SimpleNamespace(lr=0.01), "lr", 0.01])
def test_hyperparams_that_are_no_dict(wrong):
    d2l = framework("numpy")
    for call in (
        lambda: d2l.train_ch11(d2l.rmsprop, None, wrong, [(a, b)], 5),
        lambda: d2l.train_concise_ch11("sgd", wrong, [(a, b)]),
    ):
        with pytest.raises(TypeError, match=r"hyperparams is .*; it must be a dict, such as"):
            call()


def test_jax_says_how_to_install_what_its_own_optimizers_are_in(monkeypatch):
    d2l = framework("jax")
    monkeypatch.setitem(sys.modules, "optax", None)
    trains = [
        lambda: d2l.train_concise_ch11(lambda learning_rate: 0, {"learning_rate": 1}, [(a, b)]),
        lambda: d2l.builtin_rmsprop(0.01, 0.9, 1e-6),
        lambda: d2l.builtin_update([], 0.9, 1e-6),
    ]
    for train in trains:
        with pytest.raises(ImportError, match=r"^optax is not installed; .* 'd2l-rmsprop\[jax\]'"):
            train()


def test_one_of_the_frameworks_own_optimizers_is_not_from_scratch():
    d2l = framework("numpy")
    trainers = (lambda learning_rate, decay=0.9: None), "learning_rate, decay"
    for trainer, takes in (trainers, ((lambda: None), "")):
        with pytest.raises(TypeError, match=rf"takes \({takes}\), none of which is one of"):
            d2l.train_ch11(trainer, None, HYPERPARAMS, [(a, b)], 5)


@pytest.mark.parametrize("wrong", ["rmsprop", None, dict, 3])
def test_a_trainer_fn_that_is_no_function(wrong):
    d2l = framework("numpy")
    with pytest.raises(TypeError, match=r"trainer_fn is .*; it must be a function f\(params"):
        d2l.train_ch11(wrong, None, HYPERPARAMS, [(a, b)], 5)


@pytest.mark.parametrize("name", ["torch", "paddle", "tensorflow", "mxnet", "jax"])
def test_a_trainer_of_another_kind_and_hyperparams_of_another_optimizer(name):
    d2l = framework(name)
    trainer, hyperparams = d2l.builtin_rmsprop(0.01, 0.9, 1e-6)

    def message(trainer, hyperparams):
        with pytest.raises((TypeError, ValueError)) as raised:
            d2l.train_concise_ch11(trainer, hyperparams, [(a, b)], 1, draw=False)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    if name == "mxnet":
        assert "the name of one of MXNet's optimizers: " in message(d2l.rmsprop, {})
        assert "the name of one of MXNet's optimizers: " in message(dict, {})
        assert "'nonsense'; it must be the name" in message("nonsense", {})
    else:
        assert "trainer is 'rmsprop'; it must be a class, such as" in message("rmsprop", {})
        assert "makes an instance of dict" in message(lambda *a, **b: {}, hyperparams)
        assert "rmsprop, an optimizer from scratch; give it to" in message(d2l.rmsprop, hyperparams)
    if name in ("tensorflow", "jax"):
        instance = trainer(**hyperparams)
        assert "trainer is an instance of" in message(instance, {})
    assert all(key in message(trainer, {**hyperparams, "wrong": 1}) for key in hyperparams)
    unfit = {
        "torch": lambda: (d2l.torch.optim.LBFGS, {"lr": 0.1}),
        "paddle": lambda: (d2l.paddle.optimizer.LBFGS, {"learning_rate": 0.1}),
        "tensorflow": lambda: (NeedsALoss.of(d2l.tf.keras.optimizers.SGD), {}),
        "mxnet": lambda: ("sgd", {"learning_rate": "a"}),
        "jax": lambda: (d2l._optax().sgd, {"learning_rate": "a"}),
    }
    assert "cannot take a step of this training with the hyperparams {" in message(*unfit[name]())


class NeedsALoss:
    def apply_gradients(self, pairs, loss): ...

    @classmethod
    def of(cls, kind):
        return type("NeedsALoss", (cls, kind), {})
