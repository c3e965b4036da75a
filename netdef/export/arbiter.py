"""A difference between net and model, looked at where it first shows: is it the layer's, or rounding's?

Rounding of earlier layers grows in later ones, and a runtime that sums ten thousand equal numbers one by one is off by
some 1e-4: neither says anything of the export. So a layer's operations are run alone, on what the net gave the layer;
where ONNX Runtime still differs, ONNX's own reference computes them in double precision.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from netdef.distance import relative
from netdef.errors import ExportError
from netdef.export.model import Exported
from netdef.export.nudge import Nudge
from netdef.export.piece import Cutter, Piece
from netdef.export.runtime import Run, inside, opened
from netdef.export.select import Top
from netdef.net import Net

COARSE = 1e-2
"""What a runtime's rounding may do to one layer, by scale, where its operations in double precision agree."""
TINY = 1e-30  # the smallest scale
Arrays = dict[str, np.ndarray]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Arbiter:
    """The model of one layer's operations after the other, fed with the net's own blobs."""

    def __init__(self, net: Net, exported: Exported, file: Path | None, tolerance: float, threads: int):
        self.net, self.exported, self.tolerance, self.threads = net, exported, tolerance, threads
        self.file = file
        self.cutter, self.nudge = Cutter(exported, file), Nudge(net, exported)

    def differences(
        self, tops: Iterable[tuple[Top, str]], disputed: Iterable[str], feed: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[str, float]]:
        """(value, difference by scale) of each top with a disputed value: of the layer that gives it, alone.

        `tops` runs the net on `feed`, giving each top and its value's name while its blob holds what was computed.
        What layers read is held until the last of them was judged.
        """
        pieces = {name: self.cutter.cut([name]) for name in disputed}
        left = Counter(self.exported.values.values())
        known: Arrays = {name: np.asarray(x) for name, x in (feed or {}).items()}
        for (i, t), name in tops:
            x = self.net.tops[i][t].data
            if name in pieces:
                reads = pieces[name].reads
                yield name, self._alone(pieces[name], x, {read: known[read] for read in reads})
                left[name] -= 1
                if not left[name]:
                    del pieces[name]
            wanted = {read for piece in pieces.values() for read in piece.reads}
            if name in wanted:
                known[name] = x.copy()
            known = {name: x for name, x in known.items() if name in wanted}

    def whole(self, names: Sequence[str], feed: Mapping[str, Any]) -> Arrays:
        """What all of the model gives for an input, as it is in its file. Raises ExportError."""
        return inside(self.exported.model, self.file, names, self.threads)(feed)

    def run(self, piece: Piece, feed: Arrays) -> Arrays:
        """What a layer's operations give. Raises ExportError."""
        return self._opened(piece)(feed)

    def _opened(self, piece: Piece) -> Run:
        return opened(piece.model, piece.constants, piece.gives, self.threads)

    def _alone(self, piece: Piece, want: np.ndarray, feed: Arrays) -> float:
        """nan where rounding decides: that of what the layer reads would change as much, or the runtime's own does."""
        (name,) = piece.gives
        try:
            run = self._opened(piece)
            got = run(feed)[name]
            off = relative(got, want, TINY)
            if off <= self.tolerance:
                return off
            noise = relative(run({n: self.nudge(n, x) for n, x in feed.items()})[name], got, TINY)
        except ExportError:
            return np.inf
        if off <= 10 * noise:
            return np.nan
        try:
            exact = relative(_reference(piece, feed), want, TINY)
        except MemoryError:
            raise
        except Exception:  # it lacks operations and types, and says so in many ways
            return off
        if exact > max(self.tolerance, 10 * noise):
            return off
        return exact if max(off / COARSE, exact / self.tolerance) <= 1 else np.nan


def _reference(piece: Piece, feed: Arrays) -> np.ndarray:
    """The same in double precision, by another implementation; constants are fed as well."""
    wide, given = onnx.ModelProto(), {n: x.astype(np.float64) for n, x in feed.items()}
    wide.CopyFrom(piece.model)
    del wide.graph.initializer[:]
    for tensor in piece.model.graph.initializer:
        x = piece.constants[tensor.name] if tensor.name in piece.constants else numpy_helper.to_array(tensor)
        given[tensor.name] = x.astype(np.float64) if x.dtype in FLOATS else x
        wide.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    found: Any = ReferenceEvaluator(wide).run(piece.gives, given)
    return np.asarray(found[0])
