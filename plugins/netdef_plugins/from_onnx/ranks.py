"""ArgMax, ArgMin and TopK: the largest of an axis and where they are, by ArgMax layers."""

from typing import Any

from netdef.errors import ExportError
from netdef_plugins.from_onnx.forms import picked, power, reshaped


def largest(node: Any, x: str, axis: int, k: int, values: bool, last: bool = False) -> str:
    """The k largest along an axis, or their places; of equals the first comes first, as in ONNX, or the last.

    In Caffe the last comes first, so that it looks from the end where the first is wanted.
    """
    n = node.shape(x)[axis]
    options = {"axis": axis} | ({"top_k": k} if k != 1 else {}) | ({"out_max_val": True} if values else {})
    turned = node.seen(x, "reversed", axis)
    if turned is None:
        turned = x if last or values else picked(node, x, axis, range(n - 1, -1, -1))
    y = str(node.layer("ArgMax", turned, argmax_param=options))
    if values or (last and turned == x):
        return y if values else node.wholly(y)
    return node.wholly(
        node.see(node.wholly(y), lambda: power(node, y, scale=-1, shift=n - 1), "subtracted from", n - 1)
    )


def arg(node: Any) -> str:
    """ArgMax, ArgMin"""
    x, a = node.inputs[0], node.attributes
    shape = node.shape(x)
    axis = a.get("axis", 0) % len(shape)
    x = x if node.op == "ArgMax" else power(node, x, scale=-1)
    last = bool(a.get("select_last_index", 0))
    y = largest(node, node.spread_out(x) if last else x, axis, 1, False, last)
    return y if a.get("keepdims", 1) else node.wholly(reshaped(node, y, [*shape[:axis], *shape[axis + 1 :]]))


def top_k(node: Any) -> list[str]:
    """Values and places, whichever are read."""
    x, k = node.inputs[0], int(node.argument("k", 1).reshape(-1)[0])
    axis = node.attributes.get("axis", -1) % len(node.shape(x))
    if k < 1:
        raise ExportError(f"the {k} largest; an ArgMax of Caffe gives one or more")
    sign = 1 if node.attributes.get("largest", 1) else -1
    x = x if sign == 1 else power(node, x, scale=-1)
    both = [largest(node, x, axis, k, values) if node.is_read(not values) else "" for values in (True, False)]
    if both[0] and sign == -1:
        both[0] = power(node, both[0], scale=-1)
    return [y or x for y in both]


IMPORTERS = {"ArgMax": arg, "ArgMin": arg, "TopK": top_k}
