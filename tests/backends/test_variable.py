"""The box of NumPy and JAX behaves like its array, which is the reference."""

import copy
import operator
import pickle

import numpy as np
import pytest
from conftest import framework

A = np.float32([[1.5, -2, 3], [0.25, 4, -0.5]])


@pytest.fixture(params=["numpy", "jax"])
def boxed(request):
    """The framework, a Variable of A, and the framework's own array of A."""
    d2l = framework(request.param)
    return d2l, d2l.Variable(A), d2l.from_numpy(A.copy())


def same(found, expected):
    assert type(found) is type(expected)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def other(a):
    return 2 * a * a + 1


ALIKE = {
    "methods": lambda a: [
        a.sum(), a.mean(axis=0), a.reshape(3, 2), a.min(), a.max(1), a.std(), a.T, a.flatten(),
        a.astype("int32"), a.dot(a.T), a.argmax(), a.round(1), a.copy(), a.clip(0, 1), a.cumsum(),
    ],
    "attributes": lambda a: [a.shape, a.dtype, a.ndim, a.size, a.itemsize, a.nbytes],
    "plain Python": lambda a: [a.tolist(), a.sum().item(), len(a), a[0, 0].item()],
    "iteration": lambda a: [*a, *reversed(a), *(x for row in a for x in row)],
    "indexing": lambda a: [a[0], a[0, 1], a[..., 1:], a[a > 0], a[np.array([1, 0])], a[:, None]],
    "equality": lambda a: [a == a, a != a, a == A, a == 1.5, a != 4, a < 1, a >= A],
    "unary": lambda a: [-a, +a, abs(a), ~(a > 0)],
}  # fmt: skip


@pytest.mark.parametrize("what", ALIKE)
def test_it_answers_as_its_array(boxed, what):
    _, box, array = boxed
    for found, expected in zip(ALIKE[what](box), ALIKE[what](array), strict=True):
        same(found, expected)


BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]


@pytest.mark.parametrize("name", [*BINARY, "divmod"])
def test_an_operator_gives_what_its_array_gives_from_both_sides(boxed, name):
    d2l, box, array = boxed
    operation = getattr(operator, name, divmod)
    if name == "matmul":
        pairs = [(box, box.T, array, array.T), (box.T, box, array.T, array)]
        pairs += [(array, d2l.Variable(A.T), array, array.T), (A, box.T, A, array.T)]
    else:
        b = abs(array) + 1
        pairs = [(box, 2, array, 2), (2.5, box, 2.5, array), (box, box, array, array)]
        pairs += [(box, b, array, b), (b, box, b, array), (box, d2l.Variable(b), array, b)]
        pairs += [(c, box, c, array) for c in (np.float32(2), np.float64(2), abs(A), np.ones(3))]
    for left, right, a, b in pairs:
        with np.errstate(invalid="ignore"):
            found, expected = operation(left, right), operation(a, b)
        for x, y in zip(found, expected) if name == "divmod" else [(found, expected)]:  # noqa: B905
            same(x, y)


@pytest.mark.parametrize("name", ["and_", "or_", "xor", "lshift", "rshift"])
def test_integers_have_their_operators(boxed, name):
    d2l, _, _ = boxed
    a, b = np.int32([6, 5, 12]), np.int32([3, 1, 2])
    operation = getattr(operator, name)
    expected = operation(a, b)
    for found in (
        operation(d2l.Variable(a), d2l.Variable(b)),
        operation(d2l.Variable(a), d2l.from_numpy(b)),
        operation(d2l.from_numpy(a), d2l.Variable(b)),
    ):
        np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"])
def test_an_operator_in_place_changes_the_box(boxed, name):
    d2l, _, _ = boxed
    box, plain = d2l.Variable(abs(A)), abs(A)
    held = box
    box = getattr(operator, name)(box, 2)
    assert box is held
    np.testing.assert_allclose(box.value, getattr(operator, name)(plain, 2), rtol=1e-6)
    assert box.dtype == np.float32


def test_an_operator_in_place_loses_nothing_of_what_an_integer_cannot_hold():
    box = framework("numpy").Variable([1, 2])
    with pytest.raises(TypeError, match="Cannot cast"):
        box += 0.5
    np.testing.assert_array_equal(box, [1, 2])


@pytest.mark.parametrize("index", [0, (0, 1), slice(None), (..., slice(1, None)), ([1, 0],)])
def test_assignment_changes_the_box_alone(boxed, index):
    _, box, array = boxed
    expected = A.copy()
    expected[index] = 7
    box[index] = 7
    np.testing.assert_array_equal(box, expected)
    np.testing.assert_array_equal(array, A)


def test_membership_is_by_value(boxed):
    _, box, _ = boxed
    assert 4 in box and 5 not in box


def test_numbers_are_read_from_a_box_of_one(boxed):
    d2l, box, _ = boxed
    one = d2l.Variable(np.float32(2.75))
    assert (float(one), int(one), complex(one), bool(one)) == (2.75, 2, 2.75 + 0j, True)
    assert not d2l.Variable(np.float32([0]))
    assert one.item() == 2.75 and [0, 1, 2, 3][round(one)] == 3 and round(one, 1) == np.float32(2.8)
    assert f"{one:.1f}" == "2.8" and f"{one}" == str(one) == repr(one)
    assert [10, 20, 30][d2l.Variable(np.int32(1))] == 20
    for fails in (bool, float):
        with pytest.raises((TypeError, ValueError)):
            fails(box)


def test_it_is_hashed_by_identity_though_compared_by_value(boxed):
    d2l, box, _ = boxed
    twin = d2l.Variable(A)
    assert {box: 1, twin: 2}[box] == 1 and len({box, twin, box}) == 2
    assert (box == twin).all()


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda box: pickle.loads(pickle.dumps(box))]
)
def test_a_copy_is_a_box_of_its_own(boxed, again):
    d2l, box, _ = boxed
    box.grad = d2l.from_numpy(2 * A)
    new = again(box)
    new[:] = 0
    assert type(new) is type(box)
    np.testing.assert_array_equal(box, A)
    np.testing.assert_array_equal(new.grad, 2 * A)
    box.grad = None
    assert new.grad is not None


def test_a_list_of_boxes_is_copied_whole(boxed):
    _, box, _ = boxed
    one, two = copy.deepcopy([box, box])
    assert one is two and one is not box


def test_a_name_that_no_array_has_is_said(boxed):
    _, box, _ = boxed
    with pytest.raises(AttributeError, match="no_such_name"):
        box.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", ["sqrt", "exp", "square", "sin", "tanh", "abs"])
def test_the_chapters_functions_take_a_box(boxed, name):
    d2l, _, _ = boxed
    box = d2l.Variable(abs(A))
    np.testing.assert_allclose(getattr(d2l, name)(box), getattr(np, name)(abs(A)), rtol=1e-6)


def test_linreg_and_the_loss_take_boxes(boxed):
    d2l, _, _ = boxed
    w, b, y = d2l.Variable(np.float32([[1], [2], [3]])), d2l.Variable(np.float32([1])), A[:, 0]
    expected = A @ np.float32([[1], [2], [3]]) + 1
    found = d2l.linreg(d2l.from_numpy(A), w, b)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(
        d2l.squared_loss(found, d2l.from_numpy(y)), (expected - y[:, None]) ** 2 / 2, rtol=1e-6
    )
    made = [d2l.reshape(w, (1, 3)), d2l.stack([w, w]), d2l.matmul(w, d2l.reshape(w, (1, 3)))]
    assert [a.shape for a in made] == [(1, 3), (2, 3, 1), (3, 3)]
    assert float(d2l.reduce_sum(w)) == 6 and float(d2l.reduce_mean(w)) == 2 and d2l.size(w) == 3


NUMPYS = {
    "sum": np.sum,
    "mean": np.mean,
    "norm": np.linalg.norm,
    "where": lambda a: np.where(a > 0, a, 0),
    "concatenate": lambda a: np.concatenate([a, a]),
    "maximum": lambda a: np.maximum(a, 0),
    "reduce": np.add.reduce,
    "dot": lambda a: np.dot(a, a.T),
    "clip": lambda a: np.clip(a, 0, 1),
}


@pytest.mark.parametrize("name", NUMPYS)
def test_numpys_functions_take_a_box(boxed, name):
    _, box, _ = boxed
    np.testing.assert_allclose(NUMPYS[name](box), NUMPYS[name](A), rtol=1e-6)


def test_numpy_writes_into_a_box_and_beside_one():
    d2l = framework("numpy")
    box, plain = d2l.Variable(A), A.copy()
    assert np.add(box, 1, out=box) is box
    np.add.at(box, (0, 0), 10)
    plain += box
    expected = A + 1
    expected[0, 0] += 10
    np.testing.assert_array_equal(box, expected)
    np.testing.assert_array_equal(plain, A + expected)


# JAX's transformations


def test_jax_differentiates_and_compiles_with_respect_to_a_box():
    d2l = framework("jax")
    jax, jnp, box = d2l.jax, d2l.jnp, d2l.Variable(A)
    gradient = jax.grad(lambda x: d2l.reduce_sum(d2l.square(x)))(box)
    assert type(gradient) is d2l.Variable
    np.testing.assert_allclose(gradient, 2 * A)
    np.testing.assert_allclose(jax.grad(lambda x: (x**3).sum())(box), 3 * A**2, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda x: x * 2)(box), 2 * A)
    np.testing.assert_allclose(jax.vmap(lambda row: row.sum())(box), A.sum(1), rtol=1e-6)
    leaves = jax.tree.leaves({"w": box, "b": [box]})
    assert [type(leaf) for leaf in leaves] == [type(jnp.ones(1))] * 2


def test_jaxs_gradient_of_a_box_is_one_to_step_along():
    d2l = framework("jax")
    x, s = d2l.Variable(A), d2l.Variable(np.zeros_like(A))
    x.grad = d2l.jax.grad(lambda x: d2l.reduce_sum(x * x))(x)
    d2l.rmsprop([x], [s], {"lr": 0.5, "gamma": 0.75, "eps": 0})
    np.testing.assert_allclose(s, 0.25 * (2 * A) ** 2, rtol=1e-6)
    np.testing.assert_allclose(x, A - np.sign(A), rtol=1e-6)  # g / sqrt(0.25 g^2) = 2 sign(g)


def test_optax_takes_boxes():
    d2l, optax = framework("jax"), pytest.importorskip("optax")
    params, optimizer = [d2l.Variable(A)], optax.sgd(0.5)
    updates, _ = optimizer.update([d2l.Variable(2 * A)], optimizer.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)[0], np.zeros_like(A), atol=1e-7)
