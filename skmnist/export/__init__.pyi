from ._export import export_model as export_model
from ._onnx import (
    register_onnx_converter as register_onnx_converter,
    to_onnx as to_onnx,
)
