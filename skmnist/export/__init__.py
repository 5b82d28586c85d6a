"""Models for other programs: ONNX, Keras, TensorFlow, plain arrays."""

# SPDX-License-Identifier: BSD-3-Clause

import lazy_loader

# The names are listed in __init__.pyi; each is loaded when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
