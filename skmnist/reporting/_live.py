"""The report page of a study that runs."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import time
from typing import Any, Self

from .._io import user_path
from ..study._artifacts import read_evidence
from ..study._storage import StudyFolderError, read_study
from ._html import PAGE, to_html, write_page

# The largest part of a study's time that may go into its pages.
SHARE = 0.05


class LivePage:
    """Writes ``report.html`` of a study that runs in this process.

    Call it after each stage. The page loads itself again until the study ends; if the
    block ends in an exception, a page is written that does not. A page that cannot be
    written ends no study. Drawing takes time: a page has figures only while all pages
    so far took at most a twentieth of the study's time.

    Parameters
    ----------
    folder : path-like
        The study's folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = user_path(folder)
        self._began = time.monotonic()
        self._spent, self._written = 0.0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A page that has not been written belongs to another study.
        if kind is not None and self._written:
            self._write(running=False, figures=False)

    def __call__(self, *_: Any) -> None:
        """Write the page; what a study hands to its listeners is not needed."""
        started = time.monotonic()
        has_time = self._spent <= SHARE * (started - self._began)
        self._write(running=True, figures=has_time)
        self._spent += time.monotonic() - started

    def _write(self, *, running: bool, figures: bool) -> None:
        """Write the page as the folder is now."""
        with contextlib.suppress(OSError, StudyFolderError):
            study, evidence = read_study(self.folder), read_evidence(self.folder)
            page = to_html(study, evidence, running=running, figures=figures)
            write_page(self.folder / PAGE, page)
            self._written = True
