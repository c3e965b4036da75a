"""Loops over elements against NumPy in float64: rectifiers, sums, dropout and the solver's rules."""

import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from netdef_plugins.kernels import blocks, combine, dropout, elementwise, native, rules, slopes, threads

SIZES = [1, 15, 1001, 100_003]
DTYPES = ["f", "d"]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=(1e-6 if a.dtype == np.float32 else 1e-14) * np.abs(b).max())


def arrays(dtype, n, count):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(dtype) for _ in range(count)]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_and_sums(n, dtype):
    x, dy, z = arrays(dtype, n, 3)
    y = np.empty_like(x)
    elementwise.relu(x, y, 0.1)
    close(y, np.where(x > 0, x, 0.1 * x.astype(float)))
    elementwise.relu_backward(dy, x, y, 0.1)
    close(y, np.where(x > 0, dy, 0.1 * dy.astype(float)))
    for slope in (0.0, 0.1):
        elementwise.relu_backward(y := dy.copy(), x, y, slope)
        close(y, np.where(x > 0, dy, np.float64(slope) * dy))
    elementwise.relu(y := x.copy(), y)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    elementwise.sigmoid(x, y)
    close(y, 1 / (1 + np.exp(-x.astype(float))))
    combine.weighted_sum([x, dy, z], [1, -2, 0.5], y)
    close(y, x - 2 * dy.astype(float) + 0.5 * z)
    rectified = np.empty_like(y)
    combine.weighted_sum([x, dy, z], [1, -2, 0.5], rectified, relu=True)
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoids_backward_and_in_place(n, dtype):
    x, dy = arrays(dtype, n, 2)
    y, dx = np.empty_like(x), np.empty_like(x)
    elementwise.sigmoid(x, y)
    elementwise.sigmoid(z := x.copy(), z)
    np.testing.assert_array_equal(y, z)
    for backward, slope in (
        (elementwise.sigmoid_backward, y.astype(float) * (1 - y.astype(float))),
        (elementwise.tanh_backward, 1 - y.astype(float) ** 2),
    ):
        backward(dy, y, dx)
        close(dx, dy * slope)
        backward(z := dy.copy(), y, z)
        close(z, dy * slope)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_sums_and_maxima(n, dtype):
    a, b, c = (np.round(4 * x) for x in arrays(dtype, n, 3))  # with many that are equal
    y = np.empty_like(a)
    combine.product([a, b, c], y)
    close(y, a.astype(float) * b * c)
    combine.product([z := a.copy(), b], z)
    close(z, a.astype(float) * b)
    combine.weighted_sum([z := a.copy(), b, c], [1, 2, 0.5], z)
    close(z, a + 2 * b.astype(float) + 0.5 * c)
    combine.scaled(a, -0.5, y)
    np.testing.assert_array_equal(y, -a / 2)
    combine.scaled(z := a.copy(), -0.5, z)
    np.testing.assert_array_equal(z, -a / 2)
    combine.largest([a, b, c], y)
    np.testing.assert_array_equal(y, np.maximum(np.maximum(a, b), c))
    for ties, ahead in ((False, a > b), (True, a >= b)):
        combine.where_ahead(c, a, b, ties, y)
        np.testing.assert_array_equal(y, np.where(ahead, c, 0))
        combine.where_ahead(z := c.copy(), a, b, ties, z)
        np.testing.assert_array_equal(z, np.where(ahead, c, 0))


def test_the_largest_of_a_number_and_nan_is_nan():
    nan, one, y = np.full(3, np.nan, "f"), np.ones(3, "f"), np.empty(3, "f")
    for pair in ([nan, one], [one, nan]):
        combine.largest(pair, y)
        assert np.isnan(y).all()


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 40_001), (300, 200, 1), (1, 1, 70_000), (2, 0, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_slope_for_each_channel(shape, dtype):
    x, dy = (v.reshape(shape) for v in arrays(dtype, int(np.prod(shape)), 2))
    (a,) = arrays(dtype, shape[1], 1)
    column, y = a.astype(float)[:, None], np.empty_like(x)
    slopes.forward(x, a, y)
    np.testing.assert_allclose(y, np.where(x > 0, x, column * x), rtol=1e-6)
    slopes.forward(z := x.copy(), a, z)
    np.testing.assert_array_equal(z, y)
    slopes.backward(dy, x, a, y)
    np.testing.assert_allclose(y, np.where(x > 0, dy, column * dy), rtol=1e-6)
    slopes.backward(z := dy.copy(), x, a, z)
    np.testing.assert_array_equal(z, y)
    slopes.update(dy, x, da := a.copy())
    if x.size:
        close(da, a + np.einsum("ocs,ocs->c", np.minimum(x, 0).astype(float), dy))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inner", [1, 7, 30_001])
def test_parts_go_to_their_place_and_come_back(inner, dtype):
    (whole,) = (v.reshape(3, 5, inner) for v in arrays(dtype, 15 * inner, 1))
    part, want = np.empty((3, 2, inner), dtype), whole.copy()
    blocks.take(whole, 2, part)
    np.testing.assert_array_equal(part, whole[:, 2:4])
    want[:, 3:] = part
    blocks.put(part, whole, 3)
    np.testing.assert_array_equal(whole, want)


def test_calls_are_shared_once_each_and_may_run_kernels():
    done, x = [], np.arange(-6.0, 6, dtype="f")

    def call(k):
        elementwise.relu(x[2 * k : 2 * k + 2], x[2 * k : 2 * k + 2])
        done.append(k)

    threads.each(call, 6)
    assert sorted(done) == list(range(6))
    np.testing.assert_array_equal(x, [0] * 6 + list(range(6)))
    parts = []
    threads.share(lambda first, last: parts.append((first, last)), 11)
    assert sorted(i for part in parts for i in range(*part)) == list(range(11))


def test_what_a_call_raises_is_raised_and_ends_the_others():
    running, done = [], []

    def call(k):
        running.append(k)
        if k == 2:
            raise ValueError("two")
        done.append(k)

    for _ in range(100):
        with pytest.raises(ValueError, match="two"):
            threads.each(call, 5)
    assert len(running) == len(done) + 100  # nobody was left half way


INTERRUPTED = """
import signal
import numpy as np
from netdef_plugins.kernels import threads
signal.signal(signal.SIGALRM, signal.default_int_handler)
x = np.ones(20000, "f")
threads.set_count(2)
threads.each(lambda k: x.sum(), 8)
for n in range(200):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.00002 * n)
        while True:
            threads.each(lambda k: x.sum(), 8)
    except KeyboardInterrupt:
        pass
print("all")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that send signals")
def test_ctrl_c_ends_calls_whenever_it_comes():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr) == ("all\n", "")


def test_calls_ignore_what_numpy_was_told_to_ignore():
    zeros = np.zeros(1000, "f")
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        threads.each(lambda k: zeros / zeros, 8)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        threads.each(lambda k: zeros / zeros, 8)


def test_nan_passes_the_rectifier():
    y = np.array([np.nan, -np.inf, np.inf], "f")
    elementwise.relu(y, y)
    np.testing.assert_array_equal(y, [np.nan, 0, np.inf])


def test_dropout_depends_on_key_and_index_alone():
    x = arrays("f", 200_000, 1)[0]
    y, again, other = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    dropout.apply(x, y, 0.3, 2**63 + 5)
    dropout.apply(x[:1000], again[:1000], 0.3, 2**63 + 5)
    dropout.apply(x, other, 0.3, 2**62 + 5)
    kept = y != 0
    close(y[kept], x[kept] / 0.7)
    assert abs(kept.mean() - 0.7) < 0.005
    np.testing.assert_array_equal(y[:1000], again[:1000])
    assert abs(((other != 0) == kept).mean() - 0.58) < 0.005
    for lag in (1, 2, 16, 1024):
        assert abs(np.corrcoef(kept[lag:], kept[:-lag])[0, 1]) < 0.01


def decayed(w, g):
    return 0.5 * g + 0.01 * w + 0.02 * np.sign(w)


def sgd(w, g, v, _):
    v = 0.9 * v + 0.1 * decayed(w, g)
    return v, v


def nesterov(w, g, v, _):
    after = 0.9 * v + 0.1 * decayed(w, g)
    return 1.9 * after - 0.9 * v, after


def adagrad(w, g, h, _):
    h = h + decayed(w, g) ** 2
    return 0.1 * decayed(w, g) / (np.sqrt(h) + 1e-3), h


def rmsprop(w, g, h, _):
    h = 0.9 * h + 0.1 * decayed(w, g) ** 2
    return 0.1 * decayed(w, g) / (np.sqrt(h) + 1e-3), h


def adadelta(w, g, h, u):
    h = 0.9 * h + 0.1 * decayed(w, g) ** 2
    step = decayed(w, g) * np.sqrt((u + 1e-3) / (h + 1e-3))
    return 0.1 * step, h, 0.9 * u + 0.1 * step**2


def adam(w, g, m, v):
    m, v = 0.9 * m + 0.1 * decayed(w, g), 0.99 * v + 0.01 * decayed(w, g) ** 2
    return 0.1 * 0.7 * m / (np.sqrt(v) + 1e-3), m, v


SETTINGS = {sgd: (0.9,), nesterov: (0.9,), adagrad: (1e-3,), rmsprop: (0.9, 1e-3), adadelta: (0.9, 1e-3),
            adam: (0.7, 0.9, 0.99, 1e-3)}  # fmt: skip


def run_rule(rule, w, g, history, *more):
    """The kernel's step, which it leaves in place of the gradient and takes off the weights."""
    before = w.copy()
    getattr(rules, rule.__name__)(w, g, *history, (0.5, 0.01, 0.02), 0.1, *SETTINGS[rule], *more)
    np.testing.assert_array_equal(w, before - g)


@pytest.mark.parametrize("rule", SETTINGS, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rules(rule, dtype):
    w, g, first, second = arrays(dtype, 20_001, 4)
    w[:9] = 0
    first, second = np.abs(first), np.abs(second)
    want = rule(*(a.astype(float) for a in (w, g, first, second)))
    history = (first, second)[: len(want) - 1]
    run_rule(rule, w, g, history)
    for a, b in zip((g, *history), want, strict=True):
        close(a, b)


def test_decay_beside_the_step_leaves_the_memory_alone():
    w, g, m, v = arrays("d", 1000, 4)
    v = np.abs(v)
    m1, v1 = 0.9 * m + 0.1 * 0.5 * g, 0.99 * v + 0.01 * (0.5 * g) ** 2
    want = 0.1 * 0.7 * m1 / (np.sqrt(v1) + 1e-3) + 0.1 * (0.01 * w + 0.02 * np.sign(w))
    run_rule(adam, w, g, (m, v), True)
    for a, b in ((g, want), (m, m1), (v, v1)):
        close(a, b)


@pytest.mark.parametrize("size", [0, 5])
@pytest.mark.parametrize("writable", [True, False])
def test_a_job_knows_where_its_arrays_are(size, writable):
    whole = np.zeros(8)
    part = whole[3 : 3 + size]
    part.flags.writeable = writable
    assert np.frombuffer(native.pack((part, None, 7)), np.int64).tolist() == [part.ctypes.data, 0, 7]
