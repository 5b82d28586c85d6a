"""What the names of files of data end in; this loads nothing, for the help."""

# SPDX-License-Identifier: BSD-3-Clause

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
SUFFIXES = (".npz", ".mat", *TABLES)


def is_table(path: object) -> bool:
    """Return whether the name of a file is one of a table.

    Examples
    --------
    >>> from skmnist.datasets._suffixes import is_table
    >>> is_table("train.csv.gz"), is_table("train.npz")
    (True, False)
    """
    return str(path).casefold().endswith(TABLES)
