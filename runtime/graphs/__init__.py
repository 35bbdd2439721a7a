"""A reader and checker of ONNX files without the package onnx: only plain networks of bounded cost are accepted.

`protobuf` reads the wire format, `messages` the contents of a file, `arithmetic` and `layouts` hold the shape rules of
operators, `operators` lists the operators emitted and accepted, and `check` compares a file with its manifest.
"""
