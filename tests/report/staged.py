"""Training runs of some seconds that have one disease each, and runs that have none."""

import numpy as np
from solver.runs import digits, made

from netdef.errors import NetdefError
from netdef.report.record import Record


def dense(name, bottom, outputs, filler='type: "xavier"', bias="0"):
    return f"""layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" inner_product_param {{
      num_output: {outputs} weight_filler {{ {filler} }} bias_filler {{ type: "constant" value: {bias} }} }} }}\n"""


def act(kind, name):
    return f'layer {{ name: "{name}_act" type: "{kind}" bottom: "{name}" top: "{name}" }}\n'


def deep(kind, depth, units=32, filler='type: "xavier"', classes=2, bias="0"):
    """`depth` layers of units with an activation each, then a softmax over classes."""
    text, last = "", "x"
    for i in range(depth):
        text += dense(f"fc{i}", last, units, filler, bias) + act(kind, f"fc{i}")
        last = f"fc{i}"
    text += dense("out", last, classes)
    return text + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "out" bottom: "label" top: "loss" }\n'


def halves(n=512, channels=8, seed=0):
    """Two classes that a line tells apart."""
    x = np.random.default_rng(seed).standard_normal((n, channels))
    return x, (x[:, 0] + x[:, 1] > 0).astype(float)


def rings(n=512, seed=0):
    """Four classes: left or right, inner or outer; a linear net can learn only the first."""
    x = np.random.default_rng(seed).standard_normal((n, 2))
    radius = np.hypot(*x.T)
    return x, (x[:, 0] > 0) + 2.0 * (radius > np.median(radius))


LOOK = {"statistics_interval": 20, "max_iter": 200}
TEST = {"test_iter": [4], "test_interval": 20}


def diverges(folder):
    return digits(folder, base_lr=1e30, **LOOK, test_interval=100)


def rises(folder):
    return made(folder, deep("TanH", 1), *halves(), base_lr=200.0, weight_decay=0.0099, **LOOK)


def crawls(folder):
    return digits(folder, base_lr=1e-7, **LOOK, test_interval=100)


def learns_by_heart(folder):
    x, label = halves(64, 16)
    label = np.where(np.random.default_rng(1).random(64) < 0.3, 1 - label, label)
    solver = made(folder, deep("ReLU", 2, 128), x, label, base_lr=0.2, momentum=0.9, **LOOK, **TEST)
    other, its = halves(128, 16, seed=5)
    solver.test_nets[0].layers[0].set_input_arrays(other.reshape(-1, 16, 1, 1).astype("f4"), its.astype("f4"))
    return solver


def too_small(folder):
    return made(folder, deep("ReLU", 0, classes=4), *rings(), base_lr=1.0, **{**LOOK, "max_iter": 600}, **TEST)


def dead(folder):
    return made(folder, deep("ReLU", 2, bias="-8"), *halves(), **LOOK)


def explodes(folder):
    net = deep("ReLU", 6, 48, 'type: "gaussian" std: 1')
    return made(folder, net, *halves(), base_lr=1e-12, **LOOK)


def vanishes(folder):
    return made(folder, deep("Sigmoid", 6, 16, 'type: "gaussian" std: 0.3'), *halves(), **LOOK)


def shuffled(folder):
    x, _ = halves(2048, 16)
    return made(folder, deep("ReLU", 1, 8, classes=4), x, np.random.default_rng(1).integers(0, 4, 2048), **LOOK, **TEST)


def miscounted(folder):
    x, label = halves()
    return made(folder, deep("ReLU", 1), x, label + 1, **LOOK)


def unscaled(folder):
    x, label = halves()
    return made(folder, deep("ReLU", 2), 255 / (1 + np.exp(-x)), label, base_lr=0.5, momentum=0.9, **LOOK)


DISEASES = {
    diverges: "divergence",
    rises: "divergence",
    crawls: "slow convergence",
    learns_by_heart: "overfitting",
    too_small: "underfitting",
    dead: "dead units",
    explodes: "exploding gradients",
    vanishes: "vanishing gradients",
    shuffled: "loss at chance level",
    miscounted: "labels out of range",
    unscaled: "unscaled inputs",
}

REGRESSION = (
    dense("out", "x", 1) + 'layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "label" top: "loss" }'
)


def regression(folder):
    x, _ = halves()
    return made(folder, REGRESSION, x, x @ np.arange(8), base_lr=0.05, **LOOK, **TEST)


def healthy(net, **more):
    return lambda folder: made(folder, net, *halves(), **{**LOOK, **TEST, **more})


ADAM = {"type": "Adam", "base_lr": 0.002, "momentum2": 0.999, "lr_policy": "fixed"}
HEALTHY = {
    "digits": lambda folder: digits(folder, **LOOK, test_interval=20),
    "digits, to the end": lambda folder: digits(folder, max_iter=400, stepsize=160, test_interval=40),
    "digits by Adam": lambda folder: digits(folder, **LOOK, test_interval=20, **ADAM),
    "digits by AdamW": lambda folder: digits(folder, **LOOK, test_interval=20, **{**ADAM, "type": "AdamW"}),
    "digits by Nesterov": lambda folder: digits(folder, **LOOK, test_interval=20, type="Nesterov"),
    "digits by AdaGrad": lambda folder: digits(
        folder, **LOOK, test_interval=20, type="AdaGrad", base_lr=0.02, momentum=None
    ),
    "digits by RMSProp": lambda folder: digits(
        folder, **LOOK, test_interval=20, type="RMSProp", base_lr=0.001, momentum=None
    ),
    "digits, cosine": lambda folder: digits(folder, **LOOK, test_interval=20, lr_policy="cosine", warmup_iter=20),
    "digits, no statistics": lambda folder: digits(folder, max_iter=200, statistics_interval=0, test_interval=20),
    "digits, no tests": lambda folder: digits(folder, **LOOK, test_interval=1000, test_initialization=False),
    "ReLU": healthy(deep("ReLU", 1)),
    "two ReLU": healthy(deep("ReLU", 2)),
    "TanH": healthy(deep("TanH", 2)),
    "Sigmoid": healthy(deep("Sigmoid", 1), base_lr=1.0),
    "linear": healthy(deep("ReLU", 0)),
    "regression": regression,
}


def record(solver):
    """The Run of a solver that trains until it is done or fails."""
    kept = Record()
    solver.observers.append(kept)
    try:
        solver.solve()
    except NetdefError as e:
        assert kept.run.error, e
    return kept.run
