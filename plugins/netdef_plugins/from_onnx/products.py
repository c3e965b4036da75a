"""Products that are summed over axes which two values share: MatMul and Einsum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netdef.errors import ExportError
from netdef_plugins.from_onnx.arithmetic import combined
from netdef_plugins.from_onnx.forms import MANY, PIECES, linear, parts, reshaped, transposed
from netdef_plugins.from_onnx.reductions import reduced


@dataclass
class Term:
    """A value and what its axes are called; of two terms, axes of one name belong together."""

    value: str
    axes: list[Any]

    def ordered(self, node: Any, axes: list[Any]) -> "Term":
        """The axes in this order. Raises ExportError as `transposed` does."""
        order = [self.axes.index(axis) for axis in axes]
        if node.is_constant(self.value):
            return Term(node.made_constant(node.constant(self.value).transpose(order)), axes)
        return Term(transposed(node, self.value, order), axes)

    def among(self, node: Any, axes: Sequence[Any]) -> str:
        """The value with axes of one element for those it does not have; its own are in their order."""
        sizes = dict(zip(self.axes, node.shape(self.value), strict=True))
        shape = [sizes.get(axis, 1) for axis in axes]
        if node.is_constant(self.value):
            return str(node.made_constant(node.constant(self.value).reshape(shape)))
        return reshaped(node, self.value, shape)


def product(node: Any, x: Term, y: Term, kept: Sequence[Any]) -> Term:
    """x y, summed over the axes they share unless these are kept; axes of one element are broadcast."""
    if node.is_constant(x.value):
        x, y = y, x
    summed = [axis for axis in x.axes if axis in y.axes and axis not in kept]
    if node.is_constant(y.value):
        y = _without_ones(node, y, x.axes)
        shared = [axis for axis in x.axes if axis in y.axes and axis not in summed]
        if summed:
            return _piecewise(node, x, y, kept, shared[0]) if shared else _with_matrix(node, x, y, summed)
    axes = _merged(x.axes, y.axes) or [*x.axes, *(axis for axis in y.axes if axis not in x.axes)]
    y = y.ordered(node, [axis for axis in axes if axis in y.axes])
    if summed:
        _count(node, x, y)
    z = combined(node, x.among(node, axes), y.among(node, axes), multiply=True)
    return without(node, Term(z, axes), summed)


def without(node: Any, x: Term, axes: Sequence[Any]) -> Term:
    """The sum over these axes."""
    if not axes:
        return x
    y = reduced(node, x.value, sorted(x.axes.index(axis) for axis in axes), "sum")
    left = [axis for axis in x.axes if axis not in axes]
    sizes = dict(zip(x.axes, node.shape(x.value), strict=True))
    return Term(reshaped(node, y, [sizes[axis] for axis in left]), left)


def _without_ones(node: Any, y: Term, others: Sequence[Any]) -> Term:
    """A constant without axes of one element that the other value has as well."""
    c = node.constant(y.value)
    ones = [i for i, axis in enumerate(y.axes) if c.shape[i] == 1 and axis in others]
    return Term(node.made_constant(c.squeeze(tuple(ones))), [a for i, a in enumerate(y.axes) if i not in ones])


def _piecewise(node: Any, x: Term, y: Term, kept: Sequence[Any], axis: Any) -> Term:
    """Of a constant that has matrices of its own along an axis which stays: cut, each with its own, and joined."""
    at, place = x.axes.index(axis), y.axes.index(axis)
    n, c = node.shape(y.value)[place], node.constant(y.value)
    if n > PIECES:
        raise ExportError(f"{n} matrices; want {PIECES} or fewer")
    matrices = [Term(node.made_constant(c.take([i], place)), y.axes) for i in range(n)]
    found = [
        product(node, Term(piece, x.axes), matrix, kept)
        for piece, matrix in zip(parts(node, x.value, at, range(1, n)), matrices, strict=True)
    ]
    joined = node.layer("Concat", [term.value for term in found], concat_param={"axis": found[0].axes.index(axis)})
    return Term(joined, found[0].axes)


def _with_matrix(node: Any, x: Term, y: Term, summed: list[Any]) -> Term:
    """Of a constant: a mix along the axis that is summed over, which becomes the constant's others."""
    new, c = [axis for axis in y.axes if axis not in summed], node.constant(y.value)
    sizes = dict(zip(y.axes, c.shape, strict=True))
    matrix = c.transpose([y.axes.index(axis) for axis in (*new, *summed)])
    matrix = matrix.reshape(math.prod(sizes[axis] for axis in new), -1)
    at = x.axes.index(summed[0])
    if x.axes[at : at + len(summed)] != summed:
        x = x.ordered(node, [*(axis for axis in x.axes if axis not in summed), *summed])
        at = len(x.axes) - len(summed)
    shape, end = node.shape(x.value), at + len(summed)
    flat = reshaped(node, x.value, (*shape[:at], matrix.shape[1], *shape[end:]))
    z = linear(node, flat, at, matrix)
    return Term(
        reshaped(node, z, (*shape[:at], *(sizes[axis] for axis in new), *shape[end:])),
        [*x.axes[:at], *new, *x.axes[end:]],
    )


def _merged(a: Sequence[Any], b: Sequence[Any]) -> list[Any] | None:
    """All axes in an order that is that of both; None where there is none."""
    a, b, found = list(a), list(b), []
    while a and b:
        if a[0] == b[0] or a[0] not in b:
            b = b[1:] if a[0] == b[0] else b
            found.append(a.pop(0))
        elif b[0] not in a:
            found.append(b.pop(0))
        else:
            return None
    return [*found, *a, *b]


def _count(node: Any, x: Term, y: Term) -> None:
    """Raises ExportError where the product, before it is summed, is larger than MANY."""
    sizes: dict[Any, int] = {}
    for term in (x, y):
        for axis, size in zip(term.axes, node.shape(term.value), strict=True):
            sizes[axis] = max(size, sizes.get(axis, 1))
    if (n := math.prod(sizes.values())) > MANY:
        raise ExportError(f"a product of two computed values, by {n:,} numbers that are summed; want {MANY:,} or fewer")


def matmul(node: Any) -> str:
    """The last axis of one with the last but one of the other; a value of one axis has that alone."""
    ranks = [len(node.shape(value)) for value in node.inputs]
    x, y = (
        Term(value, [*range(2 - rank, 0), *own] if rank > 1 else ["k"])
        for value, rank, own in zip(node.inputs, ranks, ("ik", "kj"), strict=True)
    )
    found = product(node, x, y, [axis for axis in (*x.axes, *y.axes) if axis != "k"])
    return found.value


def einsum(node: Any) -> str:
    """One product after the other, of what is left when axes that nobody else has are summed over."""
    terms, wanted = _terms(node)
    for i, term in enumerate(terms):
        others = {axis for j, other in enumerate(terms) if j != i for axis in other.axes}
        terms[i] = without(node, term, [a for a in term.axes if a not in others and a not in wanted])
    while len(terms) > 1:
        x, y, *rest = terms
        kept = [axis for term in rest for axis in term.axes] + wanted
        terms = [product(node, x, y, kept), *rest]
    return terms[0].ordered(node, wanted).value


def _terms(node: Any) -> tuple[list[Term], list[Any]]:
    """What the axes of each input and of the output are called; those of an ellipsis are counted from behind."""
    equation = node.attributes["equation"].decode().replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms, longest = [], 0
    for value, names in zip(node.inputs, left.split(","), strict=True):
        many = len(node.shape(value)) - len(names.replace("...", ""))
        longest = max(longest, many if "..." in names else 0)
        terms.append(Term(value, _axes(names, many)))
        if len(set(terms[-1].axes)) < len(terms[-1].axes):
            raise ExportError(f"'{equation}' takes a diagonal, which no layer of Caffe does")
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." * ("..." in left) + "".join(sorted(a for a in letters if letters.count(a) == 1))
    return terms, _axes(right, longest)


def _axes(names: str, many: int) -> list[Any]:
    before, dots, behind = names.partition("...")
    return [*before, *(range(-many, 0) if dots else []), *behind]


IMPORTERS = {"MatMul": matmul, "Einsum": einsum}
