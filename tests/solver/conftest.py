"""Solvers of toy nets, with the engine's own rules and policies and nothing installed."""

import numpy as np
import pytest
import toys

from netdef import prototxt
from netdef.layer import Source
from netdef.solver import Solver, policy, rules


class Stream(Source):
    """Random rows x and t = (sum of x, 1), made from the pass alone; `rows` by the layer's name: "data8" gives 8."""

    type, tops = "Stream", 2

    def infer(self):
        rows = int(self.name.removeprefix("data") or 4)
        return [(rows, 3), (rows, 2)]

    def forward(self, bottom, top):
        x = self.rng().standard_normal(top[0].shape)
        top[0].data[...] = x
        top[1].data[:, 0], top[1].data[:, 1] = x.sum(1), 1


REGISTRY = toys.registry(Stream)
REGISTRY.add("rules", rules)
REGISTRY.add("policies", policy)

DENSE = """layer { name: "y" type: "Dense" bottom: "x" top: "y" %s dense_param { filler { type: "gaussian" } } }
layer { name: "loss" type: "MeanLoss" bottom: "y" bottom: "t" top: "loss" }"""
FED = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 2 } } }
"""
STREAM = 'layer { name: "data4" type: "Stream" top: "x" top: "t" }\n'


def parse(text):
    return prototxt.parse(text, REGISTRY.schema.message("SolverParameter"), "solver.prototxt")


@pytest.fixture
def solver(tmp_path):
    """solver("base_lr: 0.1 ...", net=...) builds one that writes its snapshots in the test's own folder."""

    def make(text="", net=STREAM + DENSE % "", **settings):
        known = {"base_lr": "0.1", "lr_policy": '"fixed"', "snapshot_prefix": f'"{tmp_path}/s"', "random_seed": "1"}
        known["snapshot_after_train"] = "false"
        given = "".join(f"{key}: {value}\n" for key, value in known.items() if f"{key}:" not in text)
        whole = text if "net_param" in text else f"net_param {{ {net} }}\n{text}"
        return Solver(parse(given + whole), registry=REGISTRY, **settings)

    return make


@pytest.fixture
def fed(solver):
    """The same with inputs that the test filled, in float64, and the numbers it was filled with."""

    def make(text="", params="", seed=3):
        rng = np.random.default_rng(seed)
        built = solver(text, FED + DENSE % params, dtype=np.float64)
        for blob in ("x", "t"):
            built.net.blobs[blob].data[...] = rng.standard_normal(built.net.blobs[blob].shape)
        for blob in built.net.params["y"]:
            blob.data[...] = rng.standard_normal(blob.shape)
        return built

    return make
