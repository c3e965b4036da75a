"""From a built net to an ONNX model that was run and compared before it is called done."""
