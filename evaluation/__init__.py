"""Measure the quality and the speed of a model, with numpy and onnxruntime alone."""
