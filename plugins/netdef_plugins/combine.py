"""Blobs of one shape combined element by element."""

import numpy as np

from netdef.layer import Blob, LayerError, ParameterFree, hookimpl

PROD, SUM, MAX = range(3)


class Eltwise(ParameterFree):
    """The sum (each bottom times its coeff), the product or the maximum of bottoms of one shape.

    A maximum's gradient goes to one bottom; where the first two are equal, to the second. stable_prod_grad: false
    asks Caffe for y / x_i as the product of the others, which is NaN at 0; here it is always their product.
    """

    type = "Eltwise"
    options = "eltwise_param"
    bottoms = (2, None)
    in_place = True

    def setup(self, bottom_shapes):
        self.operation, given = self.param.operation, list(self.param.coeff)
        if given and self.operation != SUM:
            raise LayerError(f"coeff {given} is for operation SUM alone")
        if given and len(given) != len(bottom_shapes):
            raise LayerError(f"has {len(given)} coeff for {len(bottom_shapes)} bottoms; want one for each, or none")
        self.coeff = given or [1.0] * len(bottom_shapes)
        self.in_place = self.operation == SUM
        self.reads = () if self.operation == SUM else ("bottom",)
        self.absorbs = ("rectified",) if self.operation == SUM else ()

    def infer(self, *shapes):
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise LayerError(f"bottom {i} has shape {shape}, bottom 0 has {shapes[0]}; want equal shapes")
        return shapes[:1]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.operation == SUM:
            self.forward_then(bottom, top, None, False)
            return
        from .kernels import combine

        (combine.product if self.operation == PROD else combine.largest)([b.data for b in bottom], top[0].data)

    def forward_then(self, bottom, top, affine, rectified):
        from .kernels import combine

        combine.weighted_sum([b.data for b in bottom], self.coeff, top[0].data, rectified)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        # From the last on: in place, dx of bottom 0 is written over dy.
        pass_back = (self._product, self._sum, self._largest)[self.operation]
        for i in reversed(range(len(bottom))):
            if propagate_down[i]:
                pass_back(i, top[0].diff, [b.data for b in bottom], bottom[i].diff)

    def _sum(self, i: int, dy: np.ndarray, xs: list[np.ndarray], dx: np.ndarray) -> None:
        from .kernels import combine

        combine.scaled(dy, self.coeff[i], dx)

    def _product(self, i: int, dy: np.ndarray, xs: list[np.ndarray], dx: np.ndarray) -> None:
        from .kernels import combine

        combine.product([dy, *(x for j, x in enumerate(xs) if j != i)], dx)

    def _largest(self, i: int, dy: np.ndarray, xs: list[np.ndarray], dx: np.ndarray) -> None:
        """Of equals Caffe takes the second before the first before the third."""
        from .kernels import combine

        v = dy
        for j, x in enumerate(xs):
            if j != i:
                combine.where_ahead(v, xs[i], x, (i, j) == (1, 0) or (i < j and (i, j) != (0, 1)), dx)
                v = dx

    def to_onnx(self, graph, inputs):
        if self.operation == PROD:
            y = inputs[0]
            for x in inputs[1:]:
                y = graph.op("Mul", [y, x])
            return [y]
        scaled = [
            x if c == 1 else graph.op("Mul", [x, graph.const(np.float32(c))])
            for x, c in zip(inputs, self.coeff, strict=True)
        ]
        return [graph.op("Sum" if self.operation == SUM else "Max", scaled)]


@hookimpl
def netdef_layers() -> list[type]:
    return [Eltwise]
