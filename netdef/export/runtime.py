"""ONNX Runtime on the CPU: a model in memory or on disk, checked, and ready to give any of its values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from netdef.errors import ExportError

ALL, PLAIN = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
"""As users run a model; the same without layouts of its own, of which each value that is asked for is a copy."""
KINDS: dict[str, Any] = {"tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(int64)": np.int64}
Run = Callable[[Mapping[str, Any]], dict[str, np.ndarray]]


def session(model: onnx.ModelProto, file: Path | None, names: Sequence[str], threads: int) -> Run:
    """A function from inputs by name to the values called `names`: outputs, or others of a model that is in no file.

    `file` holds the model on disk; where it has external data, they are looked for beside it. Raises ExportError where
    onnx.checker or ONNX Runtime refuses the model.
    """
    with _giving(model, names):
        source = model.SerializeToString() if file is None else str(file)
    try:
        onnx.checker.check_model(source, full_check=True)
    except Exception as e:
        raise ExportError(f"onnx.checker refuses the model: {e}") from e
    return opened(source, {}, names, threads, ALL)


def inside(model: onnx.ModelProto, file: Path | None, names: Sequence[str], threads: int) -> Run:
    """The same without a check, for values that the model on disk does not give as well; none over 2 GB."""
    model = model if file is None else onnx.load(str(file), load_external_data=False)
    with _giving(model, names):
        return opened(model, {}, names, threads, ALL)


def opened(
    source: onnx.ModelProto | bytes | str,
    constants: Mapping[str, np.ndarray],
    names: Sequence[str],
    threads: int,
    level: Any = PLAIN,
) -> Run:
    """The same without a check, of a model, its bytes or its file; `constants` are those whose numbers it lacks.

    What a run does not give back it frees: no memory is kept from run to run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what matters comes as an exception
    options.graph_optimization_level = level
    options.enable_cpu_mem_arena = False  # it takes twice what is needed, and never gives it back
    if constants:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(x) for x in constants.values()]
        options.add_external_initializers(list(constants), values)
    source = source.SerializeToString() if isinstance(source, onnx.ModelProto) else source
    try:
        runtime = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as e:
        raise ExportError(f"ONNX Runtime cannot run the model: {e}") from e
    return lambda feed: _run(runtime, names, feed)


def _run(runtime: Any, names: Sequence[str], feed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    inputs = {i.name: np.asarray(feed[i.name], KINDS.get(i.type, np.float32)) for i in runtime.get_inputs()}
    try:
        return dict(zip(names, runtime.run(list(names), inputs), strict=True))
    except Exception as e:
        raise ExportError(f"ONNX Runtime fails on the model: {e}") from e


@contextmanager
def _giving(model: onnx.ModelProto, names: Sequence[str]) -> Iterator[None]:
    """The same model for a while with more outputs (no copy: it may be large)."""
    body = model.graph
    own = len(body.output)
    known = {v.name for v in body.output}
    body.output.extend(v for v in body.value_info if v.name in names and v.name not in known)
    try:
        yield
    finally:
        del body.output[own:]
