"""Layers that say forward alone: backward and update from JAX, held to every proof the others pass."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from netdef.errors import NetdefError
from netdef.layer import Block, Field, LayerError, Loss, hookimpl
from netdef.registry import Registry, Settings
from netdef.testing import check_layer, net

pytest.importorskip("jax", reason='JAX is not installed; pip install "netdef-nn[jax]"')

from netdef.autodiff import ForwardOnly, jnp


class Mish(ForwardOnly):
    """x * tanh(log(1 + e^x))"""

    type = "Mish"

    def function(self, w, x):
        return x * jnp.tanh(jnp.logaddexp(x, 0))

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", [inputs[0], graph.op("Tanh", [graph.op("Softplus", inputs)])])]


class Blend(ForwardOnly):
    """(w * x0 + (1 - w) * x1, their difference) with one w for each column."""

    type, bottoms, tops = "Blend", 2, 2
    options = Block("blend_param", [Field("power", "float", 1.0), Field("filler", "FillerParameter")])

    def setup(self, bottom_shapes):
        self.add_blob(bottom_shapes[0][-1:], self.param.filler)

    def function(self, w, x0, x1):
        return w[0] ** self.param.power * x0 + (1 - w[0]) * x1, x0 - x1


class Hinge(ForwardOnly, Loss):
    """mean(max(0, 1 - label * x)); the label gets no gradient."""

    type, bottoms, no_gradient = "SoftHinge", 2, (1,)

    def function(self, w, x, label):
        return jnp.mean(jnp.logaddexp(1 - (2 * label - 1) * x[:, 0], 0))


class Wrong(ForwardOnly):
    """Two arrays for one top."""

    type = "Wrong"

    def function(self, w, x):
        return x, x


@pytest.fixture
def registry():
    found = Registry(Settings()).load()
    plugin = found.add("mine", SimpleNamespace(netdef_layers=hookimpl(specname="netdef_layers")(lambda: LAYERS)))
    assert not plugin.error
    return found


LAYERS = [Mish, Blend, Hinge, Wrong]
X = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }\n'
Z = 'layer { name: "z" type: "Input" top: "z" input_param { shape { dim: 4 dim: 3 } } }\n'
LABEL = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }\n'
MISH = X + 'layer { name: "y" type: "Mish" bottom: "x" top: "y" }'
BLEND = X + Z + 'layer { name: "y" type: "Blend" bottom: "x" bottom: "z" top: "y" top: "d" blend_param { power: 2 } }'
HINGE = X + LABEL + 'layer { name: "loss" type: "SoftHinge" bottom: "x" bottom: "label" top: "loss" }'


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (MISH, {}),
        (BLEND, {"onnx": "Blend has none"}),
        (HINGE, {"ranges": {"label": "int:0:2"}}),
    ],
    ids=["Mish", "Blend", "SoftHinge"],
)
def test_conforms(registry, text, settings):
    check_layer(text, registry=registry, **settings)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_the_net_s(registry, dtype):
    n = net(MISH, registry, dtype=dtype)
    x = np.linspace(-3, 3, 12).reshape(4, 3)
    n.blobs["x"].data = x
    n.forward()
    error = np.abs(n.blobs["y"].data - x * np.tanh(np.log1p(np.exp(x)))).max()
    assert error < (1e-6 if dtype is np.float32 else 1e-14)
    import jax

    assert jnp.asarray(1.0).dtype == (np.float64 if jax.config.jax_enable_x64 else np.float32)


def test_a_wrong_count_is_refused_at_the_layer(registry):
    with pytest.raises(LayerError, match=r"layer 'y' \(Wrong\): function gives 2 arrays for 1 tops"):
        net(MISH.replace("Mish", "Wrong"), registry)


def test_without_jax_the_message_says_what_to_install(tmp_path):
    file = tmp_path / "mish.py"
    file.write_text("import sys; sys.modules['jax'] = None\nfrom netdef.autodiff import ForwardOnly, jnp\n")
    done = subprocess.run(
        [sys.executable, "-m", "netdef", "plugins", "--plugin", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 1 and 'run: pip install "netdef-nn[jax]"' in done.stdout


def test_numpy_in_the_function_is_a_fault_of_the_plugin(registry):
    class Numpy(ForwardOnly):
        type = "Numpy"

        def function(self, w, x):
            return x if float(x.sum()) > 0 else -x

    registry.add("numpy", SimpleNamespace(netdef_layers=hookimpl(specname="netdef_layers")(lambda: [Numpy])))
    with pytest.raises(
        NetdefError, match=r"layer 'y' \(Numpy\): ConcretizationTypeError: Abstract tracer .*\(plugin numpy\)$"
    ):
        net(MISH.replace("Mish", "Numpy"), registry)
