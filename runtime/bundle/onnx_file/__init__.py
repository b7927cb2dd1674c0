"""ONNX files without the onnx library, which the line does not have: looked through, read, and written."""
