"""How the nets of this folder are written down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Form:
    """`shapes` are those of each layer's blobs; `oracle(w, **inputs)` gives the outputs by name, in float64."""

    text: str
    shapes: Mapping[str, tuple[str, list[tuple[int, ...]]]]
    oracle: Callable[..., dict[str, np.ndarray]]
    age: str = "today"
    fixed: Mapping[str, Callable[[], list[np.ndarray]]] = field(default_factory=dict)
    """Layers whose weights are not drawn."""
    drawn: Mapping[str, Callable[..., np.ndarray]] = field(default_factory=dict)
    """Inputs that are not normal numbers."""


def c(out, into, k=3, bias=True):
    return "Convolution", [(out, into, k, k), (out,)][: 2 if bias else 1]


def ip(out, into):
    return "InnerProduct", [(out, into), (out,)]


def v1(name, kind, bottom, options="", top=None):
    return f'layers {{ bottom: "{bottom}" top: "{top or name}" name: "{name}" type: {kind} {options} }}\n'


def v0(name, kind, bottom, options="", top=None):
    inner = f'layer {{ name: "{name}" type: "{kind}" {options} }}'
    return f'layers {{ {inner} bottom: "{bottom}" top: "{top or name}" }}\n'


def layer(name, kind, bottom, options="", top=None):
    bottoms = " ".join(f'bottom: "{b}"' for b in bottom.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top or name}" {options} }}\n'


def old_input(*dims):
    return 'input: "data"\n' + "".join(f"input_dim: {d}\n" for d in dims)


def shaped_input(**shapes):
    return "".join(f'input: "{n}" input_shape {{ {" ".join(f"dim: {d}" for d in s)} }}\n' for n, s in shapes.items())


def conv_layer(name, bottom, out, k=1, options="", relu_too=True):
    text = layer(name, "Convolution", bottom, f"convolution_param {{ num_output: {out} kernel_size: {k} {options} }}")
    return text + (layer(f"{name}_relu", "ReLU", name, top=name) if relu_too else "")
