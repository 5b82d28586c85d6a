"""Print setup.cfg's lower bounds as constraints for pip: ``python tests/oldest.py``."""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
# What a user installs, and what the fast tests need besides.
EXTRAS = ("plots", "test", "tensorboard", "dask")


def lower_bounds():
    """Return the oldest version that setup.cfg allows of each package, by its name."""
    config = configparser.ConfigParser()
    config.read(SETUP)
    listed = [config["options"]["install_requires"]]
    listed += [config["options.extras_require"][extra] for extra in EXTRAS]
    bounds = re.findall(r"^([\w-]+) >= ([\d.]+)$", "\n".join(listed), re.M)
    return dict(bounds)


if __name__ == "__main__":
    for name, version in sorted(lower_bounds().items()):
        print(f"{name}=={version}")
