"""From weights as people publish them to an ONNX model, without torch."""
