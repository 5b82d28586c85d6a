"""What needs Keras and TensorFlow: networks, their layers, and programs that train."""

# SPDX-License-Identifier: BSD-3-Clause
