"""Read and check ONNX files without the package onnx. Only plain networks of limited cost are accepted.

`protobuf` decodes the Protocol Buffers wire format, and `messages` decodes the ONNX messages in it. `arithmetic` and
`layouts` hold shape rules, which compute the shapes of an operator's outputs from its inputs. `operators` lists the
operators that are exported and accepted. `check` compares a file with its manifest, and defines "plain network".
"""
