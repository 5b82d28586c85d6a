"""What trains networks: NumPy if they are small, else programs of TensorFlow."""

# SPDX-License-Identifier: BSD-3-Clause
