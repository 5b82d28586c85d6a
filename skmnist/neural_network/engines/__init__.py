"""Programs that train several networks side by side."""

# SPDX-License-Identifier: BSD-3-Clause
