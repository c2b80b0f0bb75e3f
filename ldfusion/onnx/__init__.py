"""Networks as ONNX files: writing them (`model`), and running them by ONNX Runtime (`session`)."""
