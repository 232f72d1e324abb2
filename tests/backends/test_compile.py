"""d2l.compile(rmsprop) does what rmsprop does, in one pass through the memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import framework, parameter, precision, state

from d2l_rmsprop import rmsprop

SHAPES = [(300, 70), (7,), (), (0, 3), (11000,), (3, 4, 5), (1,), (140, 1000)]


def reference(x, s, g, lr, gamma, eps=1e-6, eps_in_sqrt=True):
    """One step in float64 NumPy."""
    x, s, g = (np.asarray(a, np.float64) for a in (x, s, g))
    s = gamma * s + (1 - gamma) * g**2
    return x - lr * g / (np.sqrt(s + eps) if eps_in_sqrt else np.sqrt(s) + eps), s


def random_parameters(d2l, shapes, dtypes=("float32",), seed=0):
    """Return the values (x, s, g) of each shape in each type, and d2l's params and states."""
    rng = np.random.default_rng(seed)
    values = [
        tuple(
            np.asarray(draw(size=shape)).astype(dtype)
            for draw in (rng.normal, rng.random, rng.normal)
        )
        for shape in shapes
        for dtype in dtypes
    ]
    params = [parameter(d2l, x.copy(), g.copy()) for x, _, g in values]
    return values, params, [state(d2l, s.copy()) for _, s, _ in values]


def set_gradients(d2l, params, gradients):
    for x, g in zip(params, gradients, strict=True):
        fresh = parameter(d2l, np.zeros_like(g), g.copy()).grad
        if d2l.__name__.endswith("mxnet"):
            fresh.copyto(x.grad)
        else:
            x.grad = fresh


@pytest.mark.parametrize("eps_in_sqrt", [True, False])
def test_compiled_steps_are_the_formula_at_each_shape_and_rate(d2l, eps_in_sqrt):
    values, params, states = random_parameters(d2l, SHAPES)
    compiled = d2l.compile(rmsprop)
    expected = [(x, s) for x, s, _ in values]
    gradients = [g for _, _, g in values]
    for lr, gamma in [(0.01, 0.9), (0.02, 0.9), (0.001, 0.999)]:
        hyperparams = {"lr": lr, "gamma": gamma, "eps_in_sqrt": eps_in_sqrt}
        set_gradients(d2l, params, gradients)
        compiled(params, states, hyperparams)
        expected = [
            reference(*xs, g, lr, gamma, eps_in_sqrt=eps_in_sqrt)
            for xs, g in zip(expected, gradients, strict=True)
        ]
    for x, s, (new_x, new_s) in zip(params, states, expected, strict=True):
        np.testing.assert_allclose(d2l.numpy(x), new_x, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(d2l.numpy(s), new_s, rtol=1e-6)


def test_parameters_of_several_types_keep_them(d2l):
    dtypes = ["float16", "float32", "float64"]
    with precision(d2l, "float64"):
        values, params, states = random_parameters(d2l, SHAPES, dtypes)
        d2l.compile(rmsprop)(params, states, {"lr": 0.01, "gamma": 0.9})
        for (x, s, g), found_x, found_s in zip(values, params, states, strict=True):
            new_x, new_s = reference(x, s, g, 0.01, 0.9)
            rounding = 4 * np.finfo(x.dtype).eps
            assert d2l.numpy(found_x).dtype == d2l.numpy(found_s).dtype == x.dtype
            np.testing.assert_allclose(d2l.numpy(found_x), new_x, rtol=rounding, atol=rounding)
            np.testing.assert_allclose(d2l.numpy(found_s), new_s, rtol=rounding, atol=rounding)


@pytest.mark.parametrize(
    ("name", "library"), [("torch", "torch"), ("tensorflow", "tf"), ("jax", "jnp")]
)
def test_bfloat16_keeps_its_type(name, library):
    d2l = framework(name)
    bfloat16 = getattr(d2l, library).bfloat16
    x = d2l.variable(d2l.ones((20000,), dtype=bfloat16))
    s = d2l.variable(d2l.zeros((20000,), dtype=bfloat16))
    x.grad = d2l.ones((20000,), dtype=bfloat16)
    d2l.compile(rmsprop)([x], [s], {"lr": 0.5, "gamma": 0.75, "eps": 0})
    assert x.dtype == s.dtype == bfloat16
    # 1 - 0.5 / sqrt(0.25)
    assert float(d2l.reduce_sum(d2l.square(x * 1))) == 0


def test_many_parameters_step_as_one_does(d2l):
    shapes = [(1 + i % 50, 60) for i in range(120)]
    values, params, states = random_parameters(d2l, shapes)
    d2l.compile(rmsprop)(params, states, {"lr": 0.01, "gamma": 0.9})
    for (x, s, g), found in zip(values, params, strict=True):
        np.testing.assert_allclose(
            d2l.numpy(found), reference(x, s, g, 0.01, 0.9)[0], rtol=1e-6, atol=1e-6
        )


def test_the_gradient_is_used_up(d2l):
    _, params, states = random_parameters(d2l, [(20000,)])
    compiled = d2l.compile(rmsprop)
    compiled(params, states, {"lr": 0.01, "gamma": 0.9})
    if d2l.__name__.endswith("mxnet"):
        assert not d2l.numpy(params[0].grad).any()
    else:
        with pytest.raises(ValueError, match="no gradient"):
            compiled(params, states, {"lr": 0.01, "gamma": 0.9})


@pytest.mark.parametrize(
    "hyperparams", [{"gamma": 0.9}, {"lr": 0.01, "gamma": 2}, {"lr": -1, "gamma": 0.9}]
)
def test_an_error_is_rmsprops_and_changes_nothing(d2l, hyperparams):
    values, params, states = random_parameters(d2l, [(20000,)])
    with pytest.raises(ValueError) as expected:
        rmsprop(params, states, hyperparams)
    with pytest.raises(ValueError) as error:
        d2l.compile(rmsprop)(params, states, hyperparams)
    assert str(error.value) == str(expected.value)
    np.testing.assert_array_equal(d2l.numpy(params[0]), values[0][0])


def test_a_missing_gradient_is_found_before_the_first_step(d2l):
    values, params, states = random_parameters(d2l, [(20000,), (20000,)])
    params[1] = parameter(d2l, values[1][0])
    with pytest.raises(ValueError, match=r"params\[1\] .* no gradient"):
        d2l.compile(rmsprop)(params, states, {"lr": 0.01, "gamma": 0.9})
    np.testing.assert_array_equal(d2l.numpy(params[0]), values[0][0])


def test_an_optimizer_of_ones_own_is_compiled_too(d2l):
    def sgd(params, states, hyperparams):
        d2l.apply(lambda x, s, g, lr: (x - lr * g, s), params, states, hyperparams["lr"])

    values, params, states = random_parameters(d2l, [(20000,)])
    d2l.compile(sgd)(params, states, {"lr": 0.5})
    (x, _, g), *_ = values
    np.testing.assert_allclose(d2l.numpy(params[0]), x - 0.5 * g, rtol=1e-6, atol=1e-6)


def test_an_update_may_leave_the_state_as_it_is(d2l, recwarn):
    _, params, states = random_parameters(d2l, [(3,)])
    d2l.apply(lambda x, s, g, lr: (x - lr * g, s), params, states, 0.5)
    assert [w for w in recwarn if "copy an array to itself" in str(w.message)] == []


def test_an_optimizer_that_cannot_be_compiled_is_told(d2l):
    with pytest.warns(UserWarning, match="nothing runs as it is"):
        d2l.compile(nothing)([], [], {})


def nothing(params, states, hyperparams):
    pass


def test_training_with_the_compiled_optimizer_gives_the_same_losses(d2l):
    data_iter, dim = d2l.get_data_ch11(data="stand-in")
    losses = [
        d2l.train_ch11(
            optimizer, d2l.init_rmsprop_states(dim), {"lr": 0.01, "gamma": 0.9}, data_iter, dim, 1
        )[1]
        for optimizer in (rmsprop, d2l.compile(rmsprop))
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a step is read from /proc")
def test_a_compiled_step_makes_no_array_of_a_parameters_size(d2l):
    values, params, states = random_parameters(d2l, [(10_000_000,)])
    compiled = d2l.compile(rmsprop)

    def growth(optimizer):
        set_gradients(d2l, params, [values[0][2]])
        float(d2l.reduce_sum(params[0].grad))  # waits for it
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        before = _memory("VmRSS")
        optimizer(params, states, {"lr": 0.01, "gamma": 0.9})
        float(d2l.reduce_sum(states[0][:1]))  # waits for the step
        return _memory("VmHWM") - before

    growth(compiled)  # compiles
    eager, size = growth(rmsprop), values[0][0].nbytes
    if eager > size:  # else the framework keeps the memory that it once took
        assert growth(compiled) < size / 2


def _memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def test_jax_steps_where_two_arrays_share_one_buffer():
    d2l = framework("jax")
    zeros = d2l.zeros(3)
    params = [d2l.Variable(d2l.ones(3)) for _ in range(2)]
    states = [d2l.Variable(zeros) for _ in range(2)]
    for x, s in zip(params, states, strict=True):
        x.grad, s.value = x.value, zeros
    d2l.compile(rmsprop)(params, states, {"lr": 0.5, "gamma": 0.75, "eps": 0})
    np.testing.assert_allclose(d2l.numpy(params), np.zeros((2, 3)), atol=1e-6)
    np.testing.assert_allclose(d2l.numpy(states), np.full((2, 3), 0.25))


def test_torch_without_a_compiler_warns_and_steps(tmp_path):
    framework("torch")
    program = """if True:
        from d2l_rmsprop import rmsprop, torch as d2l
        x, s = d2l.ones(20000), d2l.zeros(20000)
        x.grad = d2l.ones(20000)
        d2l.compile(rmsprop)([x], [s], {"lr": 0.5, "gamma": 0.75, "eps": 0})
        print(x.abs().max().item() < 1e-6)
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True\n", done.stderr
    assert "needs a C++ compiler such as g++" in done.stderr


def test_a_torch_parameter_that_is_not_contiguous_is_stepped():
    d2l = framework("torch")
    x = d2l.ones(200, 100).T
    x.grad = d2l.ones(100, 200)
    d2l.compile(rmsprop)([x], [d2l.zeros(100, 200)], {"lr": 0.5, "gamma": 0.75, "eps": 0})
    np.testing.assert_allclose(x, np.zeros((100, 200)), atol=1e-6)


def test_autograd_sees_that_torch_changed_a_parameter():
    d2l = framework("torch")
    x = d2l.ones(20000).requires_grad_()
    loss = (x**3).sum()
    loss.backward(retain_graph=True)
    d2l.compile(rmsprop)([x], [d2l.zeros(20000)], {"lr": 0.5, "gamma": 0.75})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_mxnet_reads_an_array_before_a_compiled_step_writes_to_it():
    d2l = framework("mxnet")
    x, s = d2l.ones((1000, 1000)), d2l.zeros((1000, 1000))
    x.attach_grad()
    d2l.ones((1000, 1000)).copyto(x.grad)
    product = d2l.matmul(x, x)  # runs behind, and reads x
    d2l.compile(rmsprop)([x], [s], {"lr": 0.5, "gamma": 0.75, "eps": 0})
    np.testing.assert_array_equal(product.asnumpy(), np.full((1000, 1000), 1000))
    np.testing.assert_allclose(d2l.matmul(x, x).asnumpy(), np.zeros((1000, 1000)), atol=1e-6)


def test_an_update_that_calls_mxnet_itself_runs_as_it_is_and_says_so():
    d2l = framework("mxnet")

    def sign(params, states, hyperparams):
        d2l.apply(lambda x, s, g, lr: (x - lr * d2l.np.sign(g), s), params, states, 0.5)

    x, s = d2l.ones((300, 1000)), d2l.zeros((300, 1000))
    x.attach_grad()
    x.grad[...] = 3
    with pytest.warns(UserWarning, match="does not run on NumPy's blocks .* use d2l's functions"):
        d2l.compile(sign)([x], [s], {})
    np.testing.assert_array_equal(x.asnumpy(), np.full((300, 1000), 0.5))
    assert not x.grad.any()
