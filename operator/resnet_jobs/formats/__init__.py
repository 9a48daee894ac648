"""Files of models as people bring them: ONNX, PyTorch, OM, OneFlow."""
