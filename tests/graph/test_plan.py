"""The memory plan: by simulating every read and write, and by nets that must not notice it."""

import itertools

import numpy as np
import pytest
import toys

from netdef import memory
from netdef.graph.plan import ALIGN, Step, assign, lifetimes
from netdef.layer import Loss, ParameterFree

# -- the plan itself, on random steps ------------------------------------------------------------------------------


def random_steps(rng, count=14):
    """Steps wired at random: in place now and then, some without a gradient, some whose tops nobody reads."""
    steps, live, key = [], [], 0
    for _ in range(count):
        bottoms = [live[k] for k in sorted(rng.permutation(len(live))[: rng.integers(0, 3)])]
        if bottoms and rng.random() < 0.25:
            tops = bottoms[:1]
        else:
            tops = [(key + 2 * t, key + 2 * t + 1) for t in range(rng.integers(1, 3))]
            key += 4
        live = [b for b in live if b not in bottoms or rng.random() < 0.3] + [t for t in tops if t not in live]
        reads = tuple(side for side in ("bottom", "top") if rng.random() < 0.5)
        runs = bool(rng.random() < 0.8)
        down = tuple(bool(runs and rng.random() < 0.8) for _ in bottoms)
        split = [[pair[k] for pair in pairs] for pairs in (bottoms, tops) for k in (0, 1)]
        steps.append(Step(*split, reads, runs, down))
    return steps


def simulate(steps, offsets, sizes, arena):
    """Run the steps on bytes that know whose they are. A storage that is read must be whole, during the step too."""
    owner = np.full(arena, -1)
    written = set()

    def write(key):
        written.add(key)
        if key in offsets:
            owner[offsets[key] : offsets[key] + sizes[key]] = key

    def whole(keys):
        for key in keys:
            if key in written and key in offsets:
                assert (owner[offsets[key] : offsets[key] + sizes[key]] == key).all(), f"storage {key} was overwritten"

    for step in steps:
        whole(step.bottom_data)
        for key in step.top_data:
            write(key)
        whole([*step.bottom_data, *step.top_data])
    for step in reversed(steps):
        if not step.runs_backward:
            continue
        needed = step.bottom_data * ("bottom" in step.reads) + step.top_data * ("top" in step.reads) + step.top_diff
        whole(needed)
        for key, wanted in zip(step.bottom_diff, step.down, strict=True):
            if wanted:
                write(key)
        whole(needed)


@pytest.mark.parametrize("seed", range(100))
def test_nothing_is_overwritten_while_it_is_needed(seed):
    rng = np.random.default_rng(seed)
    steps = random_steps(rng)
    keys = {k for s in steps for k in (*s.bottom_data, *s.bottom_diff, *s.top_data, *s.top_diff)}
    sizes = {k: int(rng.integers(1, 500)) for k in keys}
    lives = lifetimes(steps)
    keep = set(rng.permutation(sorted(keys))[:2].tolist())
    offsets, arena = assign(lives, sizes, keep)
    assert set(offsets) == set(lives) - keep
    assert all(offset % ALIGN == 0 for offset in offsets.values())
    assert arena <= sum(-(-sizes[k] // ALIGN) * ALIGN for k in offsets)
    simulate(steps, offsets, sizes, arena)


@pytest.mark.parametrize("seed", range(30))
def test_what_goes_backward_as_one_is_alive_together(seed):
    rng = np.random.default_rng(seed)
    steps = random_steps(rng)
    begin, end = sorted(rng.integers(0, len(steps), 2).tolist())
    lives = lifetimes(steps, {end: begin})
    touched = set()
    for step in steps[begin : end + 1]:
        if step.runs_backward:
            touched |= {*step.top_diff, *(k for k, down in zip(step.bottom_diff, step.down, strict=True) if down)}
            touched |= set(step.top_data if "top" in step.reads else ())
            touched |= set(step.bottom_data if "bottom" in step.reads else ())
    alive = [lives[k] for k in touched if k in lives]
    assert all(a.overlaps(b) for a in alive for b in alive)
    sizes = {k: int(rng.integers(1, 500)) for k in lives}
    offsets, arena = assign(lives, sizes)
    simulate(steps, offsets, sizes, arena)


def test_a_chain_without_gradients_needs_two_blobs():
    steps = [Step([2 * i - 2] if i else [], [2 * i - 1] if i else [], [2 * i], [2 * i + 1]) for i in range(10)]
    offsets, arena = assign(lifetimes(steps), dict.fromkeys(range(20), 1000))
    assert len(offsets) == 10, "no gradient is ever written"
    assert arena == 2 * 1024


def test_nothing_to_plan():
    assert assign({}, {}) == ({}, 0)


# -- nets that must not notice -------------------------------------------------------------------------------------


class Sine(ParameterFree):
    """sin(x)"""

    type = "Sine"

    def forward(self, bottom, top):
        np.sin(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        np.multiply(np.cos(bottom[0].data), top[0].diff, out=bottom[0].diff)


class Product(ParameterFree):
    """x1 * x2; backward looks at its own result too."""

    type, bottoms, reads = "Product", 2, ("bottom", "top")

    def infer(self, one, two):
        return [one]

    def forward(self, bottom, top):
        np.multiply(bottom[0].data, bottom[1].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        assert np.array_equal(top[0].data, bottom[0].data * bottom[1].data)
        for one, other, down in ((0, 1, propagate_down[0]), (1, 0, propagate_down[1])):
            if down:
                np.multiply(bottom[other].data, top[0].diff, out=bottom[one].diff)


class Turned(ParameterFree):
    """y = x, the same memory under another name."""

    type, shares, reads = "Turned", ("data", "diff"), ()

    def infer(self, shape):
        return [shape]

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


class SumLoss(Loss):
    """sum(x^2) / 2"""

    type = "SumLoss"

    def infer(self, shape):
        return [()]

    def forward(self, bottom, top):
        top[0].data[...] = 0.5 * np.sum(bottom[0].data ** 2)

    def backward(self, top, propagate_down, bottom):
        np.multiply(bottom[0].data, top[0].diff, out=bottom[0].diff)


REGISTRY = toys.registry(Sine, Product, Turned, SumLoss)


def random_net(rng):
    """A net text of 16 layers of every kind: several readers, in place, frozen, losses at the end and in the middle."""
    lines = ['layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 5 dim: 4 } } }']
    width = {"x": 4}

    def add(kind, bottoms, top, more=""):
        wires = "".join(f'bottom: "{b}" ' for b in bottoms) + f'top: "{top}"'
        lines.append(f'layer {{ name: "l{len(lines)}" type: "{kind}" {wires} {more} }}')

    for k in range(16):
        bottom = str(rng.choice(sorted(width)))
        kind = str(rng.choice(["Dense", "Dense", "Relu", "Same", "Sine", "Product", "Turned", "Relu in place"]))
        top = f"b{k}"
        if kind == "Dense":
            lr = int(rng.random() < 0.8)
            out = int(rng.integers(2, 5))
            filler = f'dense_param {{ outputs: {out} filler {{ type: "gaussian" std: 0.5 }} }}'
            add(kind, [bottom], top, f"param {{ lr_mult: {lr} }} param {{ lr_mult: {lr} }} {filler}")
            width[top] = out
        elif kind == "Product":
            other = str(rng.choice([b for b in sorted(width) if width[b] == width[bottom]]))
            add(kind, [bottom, other], top)
            width[top] = width[bottom]
        elif kind == "Relu in place" and bottom != "x":
            add("Relu", [bottom], bottom)
        else:
            add(kind.split()[0], [bottom], top, "loss_weight: 0.3" if kind == "Sine" and rng.random() < 0.3 else "")
            width[top] = width[bottom]
    for k in range(2):
        add("SumLoss", [str(rng.choice(sorted(width)))], f"loss{k}", f"loss_weight: {0.5 + k}")
    return "\n".join(lines)


def poisoned(monkeypatch):
    """An arena of NaNs instead of one that happens to be zero."""
    monkeypatch.setattr(memory.np, "empty", lambda count, dtype: np.full(count, 255, dtype))


@pytest.mark.parametrize("seed", range(30))
def test_a_planned_net_is_bit_equal_to_one_unplanned(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    text = random_net(rng)
    plain, planned = (toys.net(text, 0, REGISTRY, plan=plan) for plan in (False, True))
    poisoned(monkeypatch)
    for batch in (5, 5, 9, 2, 5):
        x = rng.standard_normal((batch, 4)).astype("f4")
        losses = []
        for net in (plain, planned):
            net.blobs["x"].reshape(batch, 4)
            net.blobs["x"].data[...] = x
            net.clear_param_diffs()
            losses.append(net.forward())
            net.backward()
        assert losses[0] == losses[1]
        for name in plain.outputs:
            assert np.array_equal(plain.blobs[name].data, planned.blobs[name].data), name
        for one, two in zip(plain.parameters, planned.parameters, strict=True):
            assert np.array_equal(one.blob.diff, two.blob.diff), one.layer


DEEP = 'layer { name: "x" type: "Input" top: "b0" input_param { shape { dim: 32 dim: 64 } } }\n' + "".join(
    f'layer {{ name: "s{k}" type: "Sine" bottom: "b{k}" top: "b{k + 1}" }}\n' for k in range(12)
)


def test_an_arena_is_smaller_than_the_blobs_one_by_one():
    plan = memory.plan(toys.net(DEEP, registry_=REGISTRY))
    assert plan.unplanned == 13 * 32 * 64 * 4
    assert plan.arena == 2 * 32 * 64 * 4, "the input and the output are kept beside it"
    assert plan.kept == 2 * 32 * 64 * 4


def test_gradients_take_the_place_of_data_that_is_no_longer_needed():
    """Sine reads its bottom: all data lives into the backward pass, but a gradient lives for two steps."""
    net = toys.net("force_backward: true\n" + DEEP.replace('top: "b12"', 'top: "b12" loss_weight: 1'), 0, REGISTRY)
    plan = memory.plan(net)
    assert plan.unplanned >= 2 * 12 * 32 * 64 * 4
    assert plan.arena <= (11 + 2) * 32 * 64 * 4


def test_inputs_and_outputs_of_a_planned_net_keep_what_they_hold():
    net = toys.net(DEEP, registry_=REGISTRY, plan=True)
    x = np.random.default_rng(0).standard_normal((32, 64)).astype("f4")
    net.blobs["b0"].data[...] = x
    want = x
    for _ in range(12):
        want = np.sin(want)
    for _ in range(2):
        net.forward()
        assert np.array_equal(net.blobs["b0"].data, x)
        assert np.array_equal(net.blobs["b12"].data, want)


def test_inner_blobs_of_a_planned_net_share_memory():
    net = toys.net(DEEP, registry_=REGISTRY, plan=True)
    net.forward()
    inner = [net.blobs[f"b{k}"].data for k in range(1, 12)]
    assert np.shares_memory(inner[0], inner[2])
    assert not any(np.shares_memory(a, b) for a, b in itertools.pairwise(inner))
    assert all(a.ctypes.data % ALIGN == 0 for a in inner)


def test_an_input_by_role_alone_is_kept_too():
    class Fed(ParameterFree):
        type, role, bottoms, reads = "Fed", "input", 0, ()

        def infer(self):
            return [(32, 64)]

        def forward(self, bottom, top):
            pass

        def backward(self, top, propagate_down, bottom):
            pass

    text = DEEP.replace('"Input"', '"Fed"').replace("input_param { shape { dim: 32 dim: 64 } }", "")
    net = toys.net(text, registry_=toys.registry(Fed, Sine), plan=True)
    net.blobs["b0"].data[...] = 1
    net.forward()
    assert (net.blobs["b0"].data == 1).all()
