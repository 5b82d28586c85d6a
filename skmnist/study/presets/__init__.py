"""What studies search: the presets, and the stages of the default study."""

# SPDX-License-Identifier: BSD-3-Clause
