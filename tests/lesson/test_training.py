"""One loop: the same start, the same minibatches, the same loss, whoever takes the step."""

import functools

import numpy as np
import pytest
from conftest import framework
from references import by_hand, rmsprop_by_hand, table

from d2l_rmsprop.lesson.data import linear_problem
from d2l_rmsprop.lesson.training import half_mse

HYPERPARAMS = {"lr": 0.01, "gamma": 0.9}


def test_from_scratch_equals_the_training_written_out_in_float64(d2l, capsys):
    X, y = table()
    times, losses = d2l.train_ch11(
        d2l.rmsprop, d2l.init_rmsprop_states(5), dict(HYPERPARAMS), d2l.load_array((X, y), 10), 5
    )
    np.testing.assert_allclose(losses, by_hand(X, y, rmsprop_by_hand()), atol=1e-6)
    assert len(times) == len(losses) == 15 and times == sorted(times)
    assert capsys.readouterr().out.startswith(f"loss: {losses[-1]:.3f}, ")


@pytest.mark.parametrize("name", ["torch", "paddle", "tensorflow", "mxnet", "jax"])
def test_concise_equals_from_scratch_with_epsilon_in_its_place(name):
    d2l = framework(name)
    X, y = table()
    states, hyperparams = d2l.init_rmsprop_states(5), HYPERPARAMS | {"eps_in_sqrt": d2l.EPS_IN_SQRT}
    batches = d2l.load_array((X, y), 10)
    _, scratch = d2l.train_ch11(d2l.rmsprop, states, hyperparams, batches, 5, seed=3)
    _, concise = d2l.train_concise_ch11(*d2l.builtin_rmsprop(0.01, 0.9, 1e-6), batches, seed=3)
    np.testing.assert_allclose(scratch, concise, atol=1e-6)


@pytest.mark.parametrize("name", ["torch", "paddle", "tensorflow", "mxnet", "jax"])
def test_concise_sgd_minimises_half_the_squared_error(name):
    d2l = framework(name)
    if name == "jax":
        import optax

    trainer = {
        "torch": lambda: (d2l.torch.optim.SGD, {"lr": 0.05}),
        "paddle": lambda: (d2l.paddle.optimizer.SGD, {"learning_rate": 0.05}),
        "tensorflow": lambda: (d2l.tf.keras.optimizers.SGD, {"learning_rate": 0.05}),
        "mxnet": lambda: ("sgd", {"learning_rate": 0.05}),
        "jax": lambda: (optax.sgd, {"learning_rate": 0.05}),
    }[name]()
    X, y = table()
    _, losses = d2l.train_concise_ch11(*trainer, d2l.load_array((X, y), 10))
    np.testing.assert_allclose(losses, by_hand(X, y, lambda x, g: x - 0.05 * g), atol=1e-6)


def test_numpy_says_that_it_has_no_built_in_optimizer():
    d2l = framework("numpy")
    with pytest.raises(NotImplementedError, match="NumPy has no built-in optimizer"):
        d2l.train_concise_ch11("rmsprop", {}, d2l.load_array(table(), 10))


def test_the_seed_sets_start_and_order(d2l):
    def losses(seed):
        data_iter = d2l.load_array(table(), 10)
        states = d2l.init_rmsprop_states(5)
        return d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, data_iter, 5, 1, seed=seed)[1]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


@pytest.mark.parametrize(
    "batch_size, records", [(10, 8), (64, 8), (200, 8), (400, 4), (1500, 1), (7, 8)]
)
def test_the_loss_is_recorded_every_200_examples_and_at_the_end(batch_size, records):
    d2l = framework("numpy")
    data_iter = d2l.load_array(table(), batch_size)
    times, losses = d2l.train_ch11(
        d2l.rmsprop, d2l.init_rmsprop_states(5), HYPERPARAMS, data_iter, 5, 1
    )
    assert len(times) == len(losses) == records


def test_an_iterator_that_is_not_ours_is_used_as_it_comes(d2l):
    X, y = table()
    minibatches = [
        (d2l.tensor(X[i : i + 10]), d2l.tensor(y[i : i + 10])) for i in range(0, len(X), 10)
    ]
    states = d2l.init_rmsprop_states(5)
    _, losses = d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, minibatches, 5, 2)
    in_order = d2l.load_array((X, y), 10, is_train=False)
    states = d2l.init_rmsprop_states(5)
    _, expected = d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, in_order, 5, 2)
    np.testing.assert_allclose(losses, expected, atol=1e-9)


def test_a_torch_data_loader_and_a_gluon_data_loader_train():
    X, y = table()
    torch, mxnet = framework("torch"), framework("mxnet")
    utils = torch.torch.utils.data
    rows = utils.TensorDataset(torch.tensor(X), torch.tensor(y))
    gluon = mxnet.gluon.data
    for d2l, data_iter in (
        (torch, utils.DataLoader(rows, 10, shuffle=True)),
        (mxnet, gluon.DataLoader(gluon.ArrayDataset(X, y), 10, shuffle=True)),
    ):
        states = d2l.init_rmsprop_states(5)
        _, losses = d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, data_iter, 5)
        assert 0.2416 < losses[-1] < 0.255


def test_what_can_be_read_only_once_is_refused(d2l):
    batches = iter([(d2l.ones((2, 5)), d2l.ones(2))])
    with pytest.raises(TypeError, match="read only once"):
        d2l.train_ch11(d2l.rmsprop, d2l.init_rmsprop_states(5), HYPERPARAMS, batches, 5)


@pytest.mark.parametrize("num_epochs", [0, -1, 1.5, "2"])
def test_num_epochs_is_a_whole_number(num_epochs):
    d2l = framework("numpy")
    with pytest.raises(ValueError, match="num_epochs is"):
        d2l.train_ch11(d2l.rmsprop, (), {}, d2l.load_array(table(), 10), 5, num_epochs)


@pytest.mark.parametrize(
    ("name", "switch"), [("torch", "no_grad"), ("torch", "inference_mode"), ("paddle", "no_grad")]
)
def test_training_says_where_gradients_are_switched_off(name, switch):
    d2l = framework(name)
    data_iter, states = d2l.load_array(table(), 10), d2l.init_rmsprop_states(5)
    trainer = d2l.builtin_rmsprop(0.01, 0.9, 1e-6)
    for train in (
        lambda: d2l.train_ch11(d2l.rmsprop, states, HYPERPARAMS, data_iter, 5),
        lambda: d2l.train_concise_ch11(*trainer, data_iter),
    ):
        off = getattr(getattr(d2l, name), switch)
        with off(), pytest.raises(ValueError, match="train outside of it"):
            train()


@pytest.mark.parametrize("seed", [-1, 1.5, "a"])
def test_a_seed_is_a_whole_number(seed):
    d2l = framework("numpy")
    data_iter = d2l.load_array(table(), 10)
    for train in (
        lambda: d2l.train_ch11(d2l.rmsprop, (), {}, data_iter, 5, seed=seed),
        lambda: d2l.trace_linreg(d2l.rmsprop, 0.1, data_iter, seed=seed),
        lambda: d2l.train_mlp(data_iter, data_iter, 0.1, seed=seed),
    ):
        with pytest.raises(ValueError, match=r"seed is .*; it must be a whole number >= 0"):
            train()


@pytest.mark.parametrize("feature_dim", [0, -1, 5.0, "5", None])
def test_states_are_of_a_whole_number_of_features(d2l, feature_dim):
    with pytest.raises(ValueError, match=r"feature_dim is .*; it must be a whole number >= 1"):
        d2l.init_rmsprop_states(feature_dim)


def test_a_wrong_feature_dim_is_said(d2l):
    with pytest.raises(ValueError, match="feature_dim is 4, but X has 5 columns"):
        d2l.train_ch11(
            d2l.rmsprop, d2l.init_rmsprop_states(4), HYPERPARAMS, d2l.load_array(table(), 10), 4
        )


def test_no_rows_is_said():
    d2l = framework("numpy")
    with pytest.raises(ValueError, match="no minibatch"):
        d2l.train_ch11(d2l.rmsprop, (), {}, [], 5)


# a reader's own optimizers, in the book's style


def momentum_by_hand(lr=0.02, momentum=0.5):
    v = 0.0

    def update(x, g):
        nonlocal v
        v = momentum * v + g
        return x - lr * v

    return update


def test_momentum_with_slices(d2l):
    """Three arguments and native arrays that change in place; on PyTorch it zeroes the gradient."""
    name = d2l.__name__.rpartition(".")[2]

    def momentum(params, states, hyperparams):
        for p, v in zip(params, states, strict=True):
            v[:] = hyperparams["momentum"] * v + p.grad
            p[:] -= hyperparams["lr"] * v

    def momentum_torch(params, states, hyperparams):
        for p, v in zip(params, states, strict=True):
            with d2l.torch.no_grad():
                v[:] = hyperparams["momentum"] * v + p.grad
                p.data.sub_(hyperparams["lr"] * v)
            p.grad.data.zero_()

    def momentum_paddle(params, states, hyperparams):
        for p, v in zip(params, states, strict=True):
            with d2l.paddle.no_grad():
                v[:] = hyperparams["momentum"] * v + p.grad
                p.set_value(p - hyperparams["lr"] * v)
            p.clear_grad()
        return params

    def momentum_tensorflow(params, grads, states, hyperparams):
        for p, v, g in zip(params, states, grads, strict=True):
            v[:].assign(hyperparams["momentum"] * v + g)
            p[:].assign(p - hyperparams["lr"] * v)

    own = {"torch": momentum_torch, "paddle": momentum_paddle, "tensorflow": momentum_tensorflow}
    trainer_fn = own.get(name, momentum)
    X, y = table()
    _, losses = d2l.train_ch11(
        trainer_fn, d2l.init_rmsprop_states(5), {"lr": 0.02, "momentum": 0.5},
        d2l.load_array((X, y), 10), 5,
    )  # fmt: skip
    np.testing.assert_allclose(losses, by_hand(X, y, momentum_by_hand()), atol=1e-6)


def test_a_counter_in_hyperparams_advances_at_every_step(d2l):
    calls = []

    def counted(params, states, hyperparams):
        hyperparams["t"] += 1
        calls.append(hyperparams["t"])
        d2l.rmsprop(params, states, hyperparams)

    hyperparams = HYPERPARAMS | {"t": 0}
    d2l.train_ch11(counted, d2l.init_rmsprop_states(5), hyperparams, d2l.load_array(table(), 10), 5)
    assert calls == list(range(1, 301)) and hyperparams["t"] == 300


def test_a_wrapper_of_rmsprop_still_sees_every_step(d2l):
    steps = []

    @functools.wraps(d2l.rmsprop)
    def counted(*args):
        steps.append(1)
        d2l.rmsprop(*args)

    data_iter = d2l.load_array(table(), 10)
    d2l.train_ch11(counted, d2l.init_rmsprop_states(5), HYPERPARAMS, data_iter, 5)
    assert len(steps) == 300


def test_a_mistake_in_training_is_one_sentence(d2l):
    data_iter = d2l.load_array(table(), 10)
    for states, hyperparams, words in (
        (d2l.init_rmsprop_states(5), {"gamma": 0.9}, "hyperparams has no 'lr', only 'gamma'; add"),
        (d2l.init_rmsprop_states(5), HYPERPARAMS | {"epsilon": 1e-3}, "rmsprop calls it 'eps'"),
        (d2l.init_rmsprop_states(5), HYPERPARAMS | {"lr": 10**400}, "must be a finite number"),
        (None, HYPERPARAMS, "2 params and None states"),
        (d2l.init_rmsprop_states, HYPERPARAMS, "states is a builtins.function"),
        (d2l.init_rmsprop_states(5), HYPERPARAMS | {"eps_in_sqrt": np.ones(2)}, "True or False"),
        (d2l.init_rmsprop_states(5)[::-1], HYPERPARAMS, r"states\[0\] has shape \(1,\)"),
        (d2l.init_rmsprop_states(5)[:1] * 2, HYPERPARAMS, r"states\[1\] has shape \(5, 1\)"),
    ):
        with pytest.raises((TypeError, ValueError), match=words) as raised:
            d2l.train_ch11(d2l.rmsprop, states, hyperparams, data_iter, 5)
        assert "\n" not in str(raised.value)


def test_tensorflow_knows_both_styles_with_and_without_defaults():
    d2l = framework("tensorflow")

    def three(params, states, hyperparams, scale=1):
        for p in params:
            p.assign_sub(0.05 * scale * p.grad)

    def four(params, grads, states, hyperparams, scale=1):
        for p, g in zip(params, grads, strict=True):
            p.assign_sub(0.05 * scale * g)

    X, y = table()
    for trainer_fn in (three, four):
        _, losses = d2l.train_ch11(trainer_fn, None, {}, d2l.load_array((X, y), 10), 5)
        np.testing.assert_allclose(losses, by_hand(X, y, lambda x, g: x - 0.05 * g), atol=1e-6)


def test_states_may_be_none_or_nested(d2l):
    name = d2l.__name__.rpartition(".")[2]

    def sgd(params, states, hyperparams):
        for p in params:
            if name == "torch":
                p.data.sub_(hyperparams["lr"] * p.grad)
                p.grad.data.zero_()
            elif name == "paddle":
                p.set_value(p - hyperparams["lr"] * p.grad)
                p.clear_grad()
            elif name == "tensorflow":
                p.assign_sub(hyperparams["lr"] * p.grad)
            else:
                p[:] -= hyperparams["lr"] * p.grad

    X, y = table()
    expected = by_hand(X, y, lambda x, g: x - 0.05 * g)
    for states in (None, ((1, 2), (3, 4))):
        _, losses = d2l.train_ch11(sgd, states, {"lr": 0.05}, d2l.load_array((X, y), 10), 5)
        np.testing.assert_allclose(losses, expected, atol=1e-6)


# the loss and the first edition's experiment


def test_half_mse_is_half_the_mean_squared_error():
    X, y = linear_problem()
    w, b = np.float32([[2], [-3.4]]), np.float32([4.2])
    expected = np.mean((np.float64(X) @ np.float64(w)[:, 0] + float(b[0]) - y) ** 2) / 2
    assert half_mse(w, b, [(X, y)]) == pytest.approx(expected, rel=1e-12)
    assert half_mse(w, b, [(X[:7], y[:7]), (X[7:], y[7:])]) == pytest.approx(expected, rel=1e-12)


def test_evaluate_loss_takes_functions_layers_and_their_own_losses(d2l):
    X, y = table()
    data_iter = d2l.load_array((X, y), 400, is_train=False)  # the last minibatch is smaller
    w, b = np.float32(np.linspace(-1, 1, 5).reshape(5, 1)), np.float32([0.5])
    mse = np.mean((X @ w + b - y.reshape(-1, 1)) ** 2, dtype=np.float64)
    net = lambda X: d2l.linreg(X, d2l.tensor(w), d2l.tensor(b))
    mean = lambda y_hat, y: d2l.reduce_mean(d2l.squared_loss(y_hat, y))
    cases = [(net, d2l.squared_loss, mse / 2), (net, mean, mse / 2)]
    name = d2l.__name__.rpartition(".")[2]
    if name == "torch":
        layer = d2l.torch.nn.Linear(5, 1)
        layer.weight.data, layer.bias.data = d2l.tensor(w.T), d2l.tensor(b)
        for reduction in ("mean", "none"):
            cases.append((layer, d2l.torch.nn.MSELoss(reduction=reduction), mse))
    elif name == "tensorflow":
        layer = d2l.tf.keras.layers.Dense(1)
        layer.build((None, 5))
        layer.set_weights([w, b])
        for reduction in ("sum_over_batch_size", None):
            cases.append((layer, d2l.tf.keras.losses.MeanSquaredError(reduction=reduction), mse))
    elif name == "mxnet":
        layer = d2l.gluon.nn.Dense(1, in_units=5)
        layer.initialize()
        layer.weight.set_data(d2l.tensor(w.T))
        layer.bias.set_data(d2l.tensor(b))
        cases.append((layer, d2l.gluon.loss.L2Loss(), mse / 2))
    for net, loss, expected in cases:
        assert d2l.evaluate_loss(net, data_iter, loss) == pytest.approx(expected, rel=1e-5)


def test_a_keras_loss_takes_the_labels_first():
    d2l = framework("tensorflow")
    loss = d2l.tf.keras.losses.MeanAbsolutePercentageError()  # relative to the label
    data_iter = d2l.load_array((np.float32([[2], [2]]), np.float32([1, 4])), 2)
    assert d2l.evaluate_loss(lambda X: X, data_iter, loss) == pytest.approx((100 + 50) / 2)


def test_tensorflows_cardinality_counts_the_minibatches():
    d2l = framework("tensorflow")
    data_iter = d2l.load_array(table(), 64)
    assert d2l.tf.data.experimental.cardinality(data_iter).numpy() == 24
    rows = [len(X) for X, y in data_iter]
    assert rows == [64] * 23 + [28]


def test_load_array_shuffles_for_training_only(d2l):
    X, y = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10, dtype=np.float32)
    in_order = d2l.load_array((d2l.tensor(X), d2l.tensor(y)), 4, is_train=False)
    passes = [[d2l.numpy(b).tolist() for _, b in in_order] for _ in range(2)]
    assert passes[0] == passes[1] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    shuffled = d2l.load_array((X, y), 4)
    first, second = (np.concatenate([d2l.numpy(b) for _, b in shuffled]) for _ in range(2))
    assert first.tolist() != second.tolist() and sorted(first) == sorted(second) == y.tolist()
    for features, labels in shuffled:
        np.testing.assert_array_equal(d2l.numpy(features)[:, 0], 2 * d2l.numpy(labels))
    assert len(shuffled) == 3


def test_load_array_refuses_arrays_of_different_length_and_bad_batch_sizes(d2l):
    with pytest.raises(ValueError, match=r"\[3, 2\] rows"):
        d2l.load_array((np.zeros((3, 1)), np.zeros(2)), 1)
    for batch_size in (0, -1, 1.5):
        with pytest.raises(ValueError, match="batch_size is"):
            d2l.load_array((np.zeros((3, 1)), np.zeros(3)), batch_size)
    for arrays, words in (
        (8, "data_arrays is 8; it must be a tuple of arrays"),  # batch_size comes second
        (np.zeros((3, 1)), "data_arrays is an instance of numpy.ndarray; it must be a tuple"),
        ((np.zeros((3, 1)), 2), r"data_arrays\[1\] is one number, 2; give an array of rows"),
        ((np.zeros((3, 1)), ["a"] * 3), r"data_arrays\[1\] is not an array of numbers"),
        ((), "there are no arrays"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            d2l.load_array(arrays, 2)


def test_the_first_editions_experiment_recovers_w_and_b(d2l, capsys):
    found = d2l.optimize(batch_size=10, lr=0.03, gamma=0.999, num_epochs=3, log_interval=10)
    np.testing.assert_allclose(found.w, [2, -3.4], atol=0.02)
    assert found.b == pytest.approx(4.2, abs=0.02)
    assert len(found.losses) == 301 and found.losses[-1] < 1e-4 < 1 < found.losses[0]
    assert "w:" in capsys.readouterr().out
    axes = d2l.plt.gca()
    assert axes.get_yscale() == "log" and len(axes.lines[0].get_xdata()) == 301
