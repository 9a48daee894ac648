"""ONNX models as people have them: what is baked into them, and which opset they are of."""
