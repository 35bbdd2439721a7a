"""A reader and checker of ONNX files. It works without the package onnx, and accepts only plain networks of low cost.

`protobuf` reads the wire format and `messages` the contents of a file. `arithmetic` and `layouts` hold the shape rules
of operators. `operators` lists the operators that are exported and accepted. `check` compares a file with its manifest.
"""
