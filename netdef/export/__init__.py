"""From a built net to an ONNX model that was run and compared before it is called done."""

from netdef.export.file import Result, export_file
from netdef.export.graph import OPSET, Graph
from netdef.export.model import Exported, build
from netdef.export.parity import Parity, verify

__all__ = ["OPSET", "Exported", "Graph", "Parity", "Result", "build", "export_file", "verify"]
