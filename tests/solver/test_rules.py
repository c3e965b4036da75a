"""Caffe's six rules, and AdamW, with everything that happens to a gradient before them, derived again in float64."""

import math
import subprocess
import sys

import numpy as np
import pytest

from netdef.errors import SolverError
from netdef.solver import step

STEPS = 6


def gradients(x, t, w, b):
    """Of mean((x w + b - t)^2), written out."""
    d = 2 * (x @ w + b - t) / t.size
    return [x.T @ d, d.sum(0)]


def sgd(g, h, rate, t, s):
    h[0] = s["momentum"] * h[0] + rate * g
    return h[0]


def nesterov(g, h, rate, t, s):
    before, h[0] = h[0], s["momentum"] * h[0] + rate * g
    return (1 + s["momentum"]) * h[0] - s["momentum"] * before


def adagrad(g, h, rate, t, s):
    h[0] = h[0] + g**2
    return rate * g / (np.sqrt(h[0]) + s["delta"])


def rmsprop(g, h, rate, t, s):
    h[0] = s["rms_decay"] * h[0] + (1 - s["rms_decay"]) * g**2
    return rate * g / (np.sqrt(h[0]) + s["delta"])


def adadelta(g, h, rate, t, s):
    m = s["momentum"]
    h[0] = m * h[0] + (1 - m) * g**2
    step = g * np.sqrt((s["delta"] + h[1]) / (s["delta"] + h[0]))
    h[1] = m * h[1] + (1 - m) * step**2
    return rate * step


def adam(g, h, rate, t, s):
    b1, b2 = s["momentum"], s["momentum2"]
    h[0] = b1 * h[0] + (1 - b1) * g
    h[1] = b2 * h[1] + (1 - b2) * g**2
    return rate * math.sqrt(1 - b2**t) / (1 - b1**t) * h[0] / (np.sqrt(h[1]) + s["delta"])


RULES = {
    "SGD": (sgd, {"momentum": 0.9}),
    "Nesterov": (nesterov, {"momentum": 0.9}),
    "AdaGrad": (adagrad, {"delta": 1e-3}),
    "RMSProp": (rmsprop, {"rms_decay": 0.95, "delta": 1e-3}),
    "AdaDelta": (adadelta, {"momentum": 0.9, "delta": 1e-3}),
    "Adam": (adam, {"momentum": 0.9, "momentum2": 0.99, "delta": 1e-3}),
    "AdamW": (adam, {"momentum": 0.9, "momentum2": 0.99, "delta": 1e-3}),
}

VARIANTS = {
    "plain": ("", ""),
    "L2": ("weight_decay: 0.1", ""),
    "L1": ('weight_decay: 0.1 regularization_type: "L1"', ""),
    "multipliers": ("weight_decay: 0.1", "param { lr_mult: 2 decay_mult: 0.5 } param { lr_mult: 0.5 decay_mult: 0 }"),
    "clipped": ("clip_gradients: 0.25 weight_decay: 0.1", ""),
    "hardly clipped": ("clip_gradients: 1000", ""),
    "several passes": ("iter_size: 3 weight_decay: 0.1", ""),
    "several passes, clipped": ("iter_size: 3 clip_gradients: 0.5 weight_decay: 0.1", ""),
    "a frozen bias": ("weight_decay: 0.1", "param { } param { lr_mult: 0 }"),
    "a frozen bias, clipped": ("clip_gradients: 0.25", "param { } param { lr_mult: 0 }"),
}


def expected(built, rule, s, lr_mult, decay_mult):
    """The weights after each step, by the order of Caffe: clip, divide by iter_size, decay, rule, step."""
    p = built.param
    x, t = (built.net.blobs[name].data.copy() for name in ("x", "t"))
    weights = [b.data.copy() for b in built.net.params["y"]]
    memory = [[0.0, 0.0] for _ in weights]
    for k in range(1, STEPS + 1):
        grads = [p.iter_size * g for g in gradients(x, t, *weights)]
        if p.clip_gradients > 0:
            norm = math.sqrt(sum((g**2).sum() for g, m in zip(grads, lr_mult, strict=True) if m))
            grads = [g * min(1, p.clip_gradients / norm) for g in grads]
        for i, g in enumerate(grads):
            if lr_mult[i]:
                pull = np.sign(weights[i]) if p.regularization_type == "L1" else weights[i]
                decay, rate = p.weight_decay * decay_mult[i] * pull, p.base_lr * lr_mult[i]
                if p.type == "AdamW":
                    weights[i] = weights[i] - rule(g / p.iter_size, memory[i], rate, k, s) - rate * decay
                else:
                    weights[i] = weights[i] - rule(g / p.iter_size + decay, memory[i], rate, k, s)
        yield [w.copy() for w in weights]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("large", [step.LARGE, 1], ids=["in slices", "at once"])
def test_a_rule_against_its_formula(fed, monkeypatch, large, name, variant):
    monkeypatch.setattr(step, "LARGE", large)
    rule, settings = RULES[name]
    more, params = VARIANTS[variant]
    text = f'type: "{name}" {more} ' + " ".join(f"{k}: {v}" for k, v in settings.items())
    built = fed(text, params)
    s = {k: getattr(built.param, k) for k in settings}
    mults = [(p.lr_mult, p.decay_mult) for p in built.net.parameters]
    for want in expected(built, rule, s, *zip(*mults, strict=True)):
        built.step(1)
        for blob, w in zip(built.net.params["y"], want, strict=True):
            assert blob.data == pytest.approx(w, rel=1e-9, abs=1e-12)


def test_two_passes_of_half_a_batch_equal_one_of_the_whole(solver):
    """The loss is a mean: iter_size averages what a larger batch would."""
    net = """layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: {0} dim: 3 }} }} }}
      layer {{ name: "t" type: "Input" top: "t" input_param {{ shape {{ dim: {0} dim: 2 }} }} }}
      layer {{ name: "y" type: "Dense" bottom: "x" top: "y" dense_param {{ filler {{ type: "gaussian" }} }} }}
      layer {{ name: "loss" type: "MeanLoss" bottom: "y" bottom: "t" top: "loss" }}"""
    text = "momentum: 0.9 weight_decay: 0.01"
    whole = solver(text, net.format(8), dtype=np.float64)
    halves = solver(f"{text} iter_size: 2", net.format(4), dtype=np.float64)
    rng = np.random.default_rng(0)
    for _ in range(4):
        x, t = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
        whole.net.blobs["x"].data[...], whole.net.blobs["t"].data[...] = x, t
        half, first = iter([slice(0, 4), slice(4, 8)]), halves.net.layers[0]
        forward = first.forward

        def fill_then_run(bottom, top, half=half, x=x, t=t, forward=forward):
            part = next(half)
            halves.net.blobs["x"].data[...], halves.net.blobs["t"].data[...] = x[part], t[part]
            forward(bottom, top)

        first.forward = fill_then_run
        for built in (whole, halves):
            built.step(1)
        first.forward = forward
        assert halves.losses[-1] == pytest.approx(whole.losses[-1], rel=1e-6)
        for one, two in zip(whole.net.params["y"], halves.net.params["y"], strict=True):
            assert one.data == pytest.approx(two.data, rel=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_a_step_is_the_same_in_slices_of_any_size(fed, monkeypatch, name):
    found = []
    for size in (step.SLICE, 4, 1):
        monkeypatch.setattr(step, "SLICE", size)
        momentum = "momentum: 0.9" if "momentum" in RULES[name][1] else ""
        built = fed(f'type: "{name}" {momentum} weight_decay: 0.1 clip_gradients: 0.5')
        built.step(2)
        found.append([b.data.tobytes() for b in built.net.params["y"]])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("text", [
    'type: "AdaGrad" momentum: 0.9', 'type: "RMSProp" momentum: 0.9', 'type: "RMSProp" rms_decay: 1',
    'type: "RMSProp" rms_decay: -0.1',
])  # fmt: skip
def test_what_a_rule_cannot_use_is_refused_as_in_caffe(fed, text):
    with pytest.raises(SolverError, match=r"'(AdaGrad|RMSProp)': (takes no momentum, got 0.9|rms_decay is .* below 1)"):
        fed(text)


def test_clip_gradients_of_0_lets_nothing_through(fed):
    built = fed("clip_gradients: 0")
    before = [b.data.copy() for b in built.net.params["y"]]
    built.step(1)
    assert all(np.array_equal(b.data, x) for b, x in zip(built.net.params["y"], before, strict=True))


@pytest.mark.parametrize("name", RULES)
def test_frozen_parameters_never_move(fed, name):
    built = fed(f'type: "{name}" weight_decay: 0.5', "param { lr_mult: 0 } param { lr_mult: 0 }")
    before = [b.data.copy() for b in built.net.params["y"]]
    built.step(2)
    assert all(np.array_equal(b.data, x) for b, x in zip(built.net.params["y"], before, strict=True))


def test_a_shared_parameter_takes_one_step(solver):
    """Both sharers' gradients in one step, one decay, one momentum."""
    net = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 2 } } }
      layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 2 } } }
      layer { name: "a" type: "Dense" bottom: "x" top: "a" param { name: "w" } dense_param { } }
      layer { name: "b" type: "Dense" bottom: "a" top: "b" param { name: "w" } dense_param { } }
      layer { name: "loss" type: "MeanLoss" bottom: "b" bottom: "t" top: "loss" }"""
    built = solver("weight_decay: 0.1", net, dtype=np.float64)
    rng = np.random.default_rng(1)
    x, t, w = rng.standard_normal((4, 2)), rng.standard_normal((4, 2)), rng.standard_normal((2, 2))
    built.net.blobs["x"].data[...], built.net.blobs["t"].data[...] = x, t
    built.net.params["a"][0].data[...] = w
    built.step(1)
    d = 2 * (x @ w @ w - t) / 8
    want = w - 0.1 * ((x @ w).T @ d + x.T @ (d @ w.T) + 0.1 * w)
    assert built.net.params["b"][0].data == pytest.approx(want, rel=1e-7)


def test_goldens_recorded_from_caffe(shared):
    done = subprocess.run(
        [sys.executable, shared / "goldens/check.py", shared / "goldens/solvers"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) >= 12
