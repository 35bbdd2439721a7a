"""How good a model is, measured with numpy and onnxruntime alone."""
