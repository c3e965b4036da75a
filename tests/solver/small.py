"""Nets and a registry for tests of solvers: toy layers, our own rules and policies, nothing installed."""

import toys
from netdef_plugins import rules

from netdef import prototxt
from netdef.layer import Source
from netdef.solver import policy


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
NET = STREAM + DENSE % ""
MORE = 'layer { name: "z" type: "Dense" bottom: "x" top: "z" dense_param { } }'
ENDINGS = {"BINARYPROTO": "", "HDF5": ".h5"}


def parse(text):
    return prototxt.parse(text, REGISTRY.schema.message("SolverParameter"), "solver.prototxt")


def everything(built):
    """Weights, then memory, as bytes."""
    memory = [m.tobytes() for slots in built.updater.memory for m in slots]
    return [p.blob.data.tobytes() for p in built.net.parameters] + memory
