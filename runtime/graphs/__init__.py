"""ONNX files read without the package onnx, and refused where they are more than a plain network of bounded size.

`protobuf` reads the wire format, `messages` what a file holds, `shapes` and `layouts` tell the sizes of results,
`operators` lists what is emitted and accepted, and `check` holds a file against what its manifest says.
"""
