"""ONNX Runtime on the CPU: a model in memory or on disk, checked, and ready to give any of its values."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from netdef.errors import ExportError

KINDS = {"tensor(uint8)": np.uint8}
Run = Callable[[Mapping[str, Any]], dict[str, np.ndarray]]


@contextmanager
def session(model: onnx.ModelProto, file: Path | None, names: Sequence[str], threads: int) -> Iterator[Run]:
    """A function from inputs by name to the values called `names`, outputs or not.

    `file` holds the model on disk; where it has external data, they are looked for beside it. Raises ExportError where
    onnx.checker or ONNX Runtime refuses the model.
    """
    with _giving(model, names) as more, _on_disk(model, file, more) as source:
        try:
            onnx.checker.check_model(source, full_check=True)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            options.log_severity_level = 4  # what matters comes as an exception
            runtime = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as e:
            raise ExportError(f"ONNX Runtime cannot run the model: {e}") from e
        yield lambda feed: _run(runtime, names, feed)


def _run(runtime: Any, names: Sequence[str], feed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    inputs = {i.name: np.asarray(feed[i.name], KINDS.get(i.type, np.float32)) for i in runtime.get_inputs()}
    try:
        return dict(zip(names, runtime.run(list(names), inputs), strict=True))
    except Exception as e:
        raise ExportError(f"ONNX Runtime fails on the model: {e}") from e


@contextmanager
def _giving(model: onnx.ModelProto, names: Sequence[str]) -> Iterator[bool]:
    """The same model for a while with more outputs (no copy: it may be large); whether there are more."""
    body = model.graph
    own = len(body.output)
    known = {v.name for v in body.output}
    body.output.extend(v for v in body.value_info if v.name in names and v.name not in known)
    try:
        yield len(body.output) > own
    finally:
        del body.output[own:]


@contextmanager
def _on_disk(model: onnx.ModelProto, file: Path | None, changed: bool) -> Iterator[Any]:
    """What checker and runtime open: the bytes, the file, or, of a changed model, a file beside the file."""
    if file is None:
        yield model.SerializeToString()
    elif not changed:
        yield str(file)
    else:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", suffix=".part") as f:
            f.write(model.SerializeToString())
            f.flush()
            yield f.name
