"""Which versions of Python and of packages are installed."""

# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from platform import python_version


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of each package that is installed.

    Parameters
    ----------
    packages : iterable of str
        Names of distributions, such as ``"scikit-learn"``.

    Returns
    -------
    versions : dict of str to str
        ``"python"`` first, then the packages in the order given. A package that
        is not installed is left out.

    Examples
    --------
    >>> from skmnist._versions import installed_versions
    >>> list(installed_versions(["numpy", "no-such-package"]))
    ['python', 'numpy']
    """
    found = {"python": python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
