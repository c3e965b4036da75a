"""What a test reports: means, or what a metric makes of all batches."""

import numpy as np
import pytest
import toys

from netdef.errors import NetdefError
from netdef.layer import Metric
from netdef.solver.summary import Summary

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 } } }\n'


class Found(Metric):
    """The numbers above 0; over all batches, the largest."""

    type = "Found"

    def forward(self, bottom, top):
        x = bottom[0].data[bottom[0].data > 0]
        top[0].reshape(len(x))
        top[0].data[...] = x

    def overall(self, batches, solver):
        return np.concatenate(batches).max()


class Silent(Found):
    """Found without a word for all batches."""

    type, overall = "Silent", Metric.overall


def summary(kind, batches):
    net = toys.net(
        INPUT + f'layer {{ name: "y" type: "{kind}" bottom: "x" top: "y" }}', registry_=toys.registry(Found, Silent)
    )
    found = Summary(net)
    for x in batches:
        net.blobs["x"].data[...] = x
        net.forward()
        found.add()
    return found.results()


def test_the_mean_of_each_output():
    ((name, value, weight),) = summary("Silent", [[1, 2, -1, -1], [3, 5, -1, -1]])
    assert (name, value.tolist(), weight) == ("y", [2, 3.5], 0)


def test_a_metric_that_has_a_word_for_all_batches():
    assert summary("Found", [[1, 2, -1, -1], [-1, 7, -1, -1]])[0][1] == 7


def test_outputs_of_several_sizes_have_no_mean():
    with pytest.raises(NetdefError, match="output 'y' has 1 values in one batch and 2 in another"):
        summary("Silent", [[1, 2, -1, -1], [-1, 7, -1, -1]])
