"""Programs that train networks: one at a time, or several side by side."""

# SPDX-License-Identifier: BSD-3-Clause
