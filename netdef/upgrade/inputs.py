"""`input:` with input_dim or input_shape to an Input layer in front."""

from typing import Any

from netdef.errors import PrototxtError


def needed(net: Any) -> str:
    """Why the net's inputs are old, or ""."""
    return f"input: {', '.join(net.input)}" if len(net.input) else ""


def upgrade(net: Any) -> Any:
    """The net with one Input layer, named "input", whose tops are the inputs.

    Raises PrototxtError where the shapes do not fit the inputs; Caffe then drops an input, or reads past the end.
    """
    shapes = _shapes(net)
    new = type(net)()
    new.CopyFrom(net)
    for name in ("input", "input_shape", "input_dim", "layer"):
        new.ClearField(name)
    first = new.layer.add(name="input", type="Input", top=net.input)
    for shape in shapes:
        first.input_param.shape.add(dim=shape)
    new.layer.MergeFrom(net.layer)
    return new


def _shapes(net: Any) -> list[list[int]]:
    names = ", ".join(map(repr, net.input))
    if len(net.input_shape):
        shapes = [list(shape.dim) for shape in net.input_shape]
        got = f"{len(shapes)} input_shape"
    else:
        dims = list(net.input_dim)
        shapes = [dims[i : i + 4] for i in range(0, len(dims), 4)]
        got = f"{len(dims)} input_dim"
        if len(dims) % 4:
            shapes = []
    if len(shapes) != len(net.input):
        n = len(net.input)
        raise PrototxtError(f"{n} input ({names}) with {got}; want {n} input_shape, or {4 * n} input_dim")
    return shapes
