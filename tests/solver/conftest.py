"""Solvers of toy nets, built from a few words."""

import numpy as np
import pytest
from solver.small import DENSE, FED, REGISTRY, STREAM, parse

from netdef.solver import Solver


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
