"""Policies and rules beyond Caffe's, against their formulas written out."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from solver.runs import digits, weights

from netdef import registry
from netdef.errors import SolverError
from netdef.solver.policy import Plateau, Schedule, cosine, fixed, poly


def settings(**given):
    param = registry.default().schema.message("SolverParameter")(base_lr=0.5, gamma=0.1)
    for name, value in given.items():
        if isinstance(value, list):
            getattr(param, name)[:] = value
        else:
            setattr(param, name, value)
    return param


SHARES = {
    "fixed": lambda p, i, steps: 1,
    "step": lambda p, i, steps: p.gamma ** math.floor(i / p.stepsize),
    "exp": lambda p, i, steps: p.gamma**i,
    "inv": lambda p, i, steps: 1 / (1 + p.gamma * i) ** p.power,
    "multistep": lambda p, i, steps: p.gamma**steps,
    "poly": lambda p, i, steps: (1 - i / p.max_iter) ** p.power,
    "sigmoid": lambda p, i, steps: 1 / (1 + math.exp(-p.gamma * (i - p.stepsize))),
}


def caffe_rates(policy, p, count):
    """The rates of iterations 0 .. count - 1, by a loop that counts its steps on the way."""
    steps = 0
    for i in range(count):
        steps += steps < len(p.stepvalue) and i >= p.stepvalue[steps]
        yield p.base_lr * SHARES[policy](p, i, steps)


@pytest.mark.parametrize(("policy", "given"), [
    ("fixed", {}),
    ("step", {"stepsize": 7}),
    ("step", {"stepsize": 1, "gamma": 0.9}),
    ("exp", {"gamma": 0.98}),
    ("inv", {"gamma": 0.01, "power": 0.75}),
    ("multistep", {"stepvalue": [5, 20, 30]}),
    ("multistep", {"stepvalue": [5, 5, 6]}),
    ("multistep", {"stepvalue": [20, 5]}),
    ("multistep", {"stepvalue": [0, 3]}),
    ("multistep", {"stepvalue": []}),
    ("poly", {"power": 0.5, "max_iter": 40}),
    ("poly", {"power": 2.0, "max_iter": 41}),
    ("sigmoid", {"gamma": -0.5, "stepsize": 20}),
    ("sigmoid", {"gamma": 0.5, "stepsize": 20}),
])  # fmt: skip
def test_caffe_s_seven_policies(policy, given):
    p = settings(lr_policy=policy, **given)
    schedule = Schedule(p, registry.default().find("policies", policy).thing)
    assert [schedule.rate(i) for i in range(40)] == pytest.approx(list(caffe_rates(policy, p, 40)), rel=1e-12)


def test_beyond_max_iter_a_polynomial_stays_0():
    p = settings(lr_policy="poly", power=0.5, max_iter=10)
    assert poly(p, 10) == poly(p, 11) == 0


def test_cosine_falls_from_base_to_least():
    p = settings(max_iter=100, min_lr=0.1)
    rates = [cosine(p, i) for i in range(0, 121, 25)]
    want = [0.1 + 0.2 * (1 + math.cos(math.pi * x)) for x in (0, 0.25, 0.5, 0.75, 1)]
    assert rates == pytest.approx(want, rel=1e-6)
    with pytest.raises(SolverError, match="'cosine' needs max_iter"):
        cosine(settings(), 0)


def test_warm_up_climbs_in_a_line_and_then_leaves_the_policy_alone():
    schedule = Schedule(settings(warmup_iter=4, warmup_start_lr=0.1), fixed)
    assert [schedule.rate(i) for i in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])


def test_plateau_drops_once_per_window():
    schedule = Schedule(settings(plateau_winsize=[2, 3]), Plateau)
    losses, rates = [5, 4, 4, 4, 3, 9, 9, 9, 9, 9, 9, 9, 9], []
    for i, loss in enumerate(losses):
        schedule.see(i, loss)
        rates.append(schedule.rate(i))
    # least at 1, drop at 3; least again at 4, second drop at 7; no third, as there are two windows
    assert rates == pytest.approx([0.5] * 3 + [0.05] * 4 + [0.005] * 6)


def test_plateau_keeps_its_memory_and_its_floor():
    one, other = (Schedule(settings(plateau_winsize=[1], min_lr=0.2), Plateau) for _ in range(2))
    one.see(0, 1.0)
    one.see(1, 2.0)
    other.memory = one.memory
    assert other.rate(2) == one.rate(2) == pytest.approx(0.2)
    with pytest.raises(SolverError, match="needs plateau_winsize"):
        Schedule(settings(), Plateau)


def test_adamw_takes_its_decay_off_the_weights(tmp_path):
    common = {"type": "Adam", "base_lr": 0.01, "momentum": 0.9, "momentum2": 0.999, "lr_policy": "fixed"}
    common |= {"test_interval": 1000, "test_initialization": False}
    plain = digits(tmp_path, **common, weight_decay=0.0)
    decoupled = digits(tmp_path, **{**common, "type": "AdamW"}, weight_decay=0.1)
    before = [p.blob.data.copy() for p in plain.net.parameters]
    for solver in (plain, decoupled):
        solver.step(1)
    for w, p, q in zip(before, plain.net.parameters, decoupled.net.parameters, strict=True):
        want = p.blob.data - np.float32(0.01) * p.lr_mult * 0.1 * p.decay_mult * w
        np.testing.assert_allclose(q.blob.data, want, atol=1e-6)


def test_a_stranger_s_policy_may_have_a_memory(tmp_path):
    class Countdown:
        def __init__(self):
            self.memory = [3.0]

        def __call__(self, param, iteration):
            return param.base_lr * self.memory[0]

        def see(self, param, iteration, loss):
            self.memory[0] -= 1

    from netdef.hookspecs import hookimpl

    found = registry.Registry().load()
    found.add(
        "stranger",
        SimpleNamespace(netdef_policies=hookimpl(lambda: {"countdown": Countdown}, specname="netdef_policies")),
    )
    assert not found.plugins[-1].error
    schedule = Schedule(settings(), found.get("policies", "countdown"))
    schedule.see(0, 1.0)
    assert schedule.rate(1) == 1.0 and schedule.memory == [2.0]


@pytest.mark.parametrize("more", [
    {"lr_policy": "plateau", "plateau_winsize": [3, 3, 3], "gamma": 0.5, "average_loss": 5},
    {"lr_policy": "cosine", "warmup_iter": 10, "type": "AdamW", "base_lr": 0.002},
    {"patience": 50, "best_by": "accuracy", "snapshot_format": 0},
])  # fmt: skip
def test_a_resumed_run_is_the_same_bit_for_bit(tmp_path, more):
    settings = {"max_iter": 40, "test_interval": 8, "test_iter": [1], "snapshot": 20, **more}
    (tmp_path / "again").mkdir()
    whole = digits(tmp_path, **settings)
    whole.solve()
    resumed = digits(tmp_path / "again", **settings)
    [state] = tmp_path.glob("run_iter_20.solverstate*")
    resumed.restore(state)
    resumed.solve()
    assert (weights(whole) == weights(resumed)).all()
    assert whole.rate == resumed.rate and whole.judge.best == resumed.judge.best
    assert whole.schedule.memory == resumed.schedule.memory
    [one] = tmp_path.glob("run_iter_40.caffemodel*")
    assert one.suffix == ".h5" or one.read_bytes() == (tmp_path / "again" / one.name).read_bytes()
