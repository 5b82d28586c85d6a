"""Build what is uploaded to a package index, from the files that git knows.

    python .ci/dist.py URL [OUT]

URL is the address of the repository, as https://example.org/team/skmnist. A package
index shows README.md without the files beside it. So links to files become links
to the same files in the repository, at the tag of this version. Needs build and twine.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# "](docs/page.md)", but not "](https://...)" and not "](#part)".
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s]+)\)")
RELATIVE_PICTURE = re.compile(r"(!\[[^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def copy_sources(source: Path, to: Path) -> None:
    """Copy the files that git knows, and the new ones that it does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=source, capture_output=True, check=True)
    for name in set(os.fsdecode(listed.stdout).split("\0")) - {""}:
        if (source / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, to / name)


def absolute_links(text: str, url: str, version: str) -> str:
    """Return Markdown whose links to files lead into the repository."""
    text = RELATIVE_PICTURE.sub(rf"\1]({url}/raw/v{version}/\2)", text)
    return RELATIVE_LINK.sub(rf"]({url}/blob/v{version}/\1)", text)


def with_addresses(setup_cfg: str, url: str) -> str:
    """Return the metadata with the addresses of the project."""
    addresses = (
        f"url = {url}\n"
        "project_urls =\n"
        f"    Changes = {url}/blob/main/CHANGES.md\n"
        f"    Documentation = {url}/blob/main/docs/index.md\n"
        f"    Issues = {url}/issues\n"
        f"    Source = {url}\n"
    )
    return setup_cfg.replace("[metadata]\n", f"[metadata]\n{addresses}", 1)


def version_of(setup_cfg: str) -> str:
    """Return the version that the metadata names."""
    return re.search(r"^version = (\S+)$", setup_cfg, re.MULTILINE)[1]


def build(url: str, out: Path, source: Path = ROOT) -> None:
    """Build both distributions and check them as an index does."""
    with tempfile.TemporaryDirectory() as folder:
        # Not named "build": the package of this name would be looked for in it.
        tree = Path(folder, "skmnist-sources")
        copy_sources(source, tree)
        metadata, readme = tree / "setup.cfg", tree / "README.md"
        text = metadata.read_text(encoding="utf-8")
        links = absolute_links(
            readme.read_text(encoding="utf-8"), url, version_of(text)
        )
        readme.write_text(links, encoding="utf-8")
        metadata.write_text(with_addresses(text, url), encoding="utf-8")
        command = [sys.executable, "-m", "build", "--outdir", out, tree]
        subprocess.run(command, check=True, cwd=folder)
    made = sorted(str(path) for path in out.glob("skmnist-*"))
    subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *made], check=True
    )


def main(arguments: list[str]) -> None:
    """Read the command line."""
    if not 1 <= len(arguments) <= 2 or not arguments[0].startswith("https://"):
        raise SystemExit(__doc__)
    out = Path(arguments[1] if len(arguments) == 2 else ROOT / "dist").resolve()
    if out.is_dir() and any(out.iterdir()):
        raise SystemExit(f"{out} is not empty: it may hold another version.")
    try:
        build(arguments[0].rstrip("/"), out)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None


if __name__ == "__main__":
    main(sys.argv[1:])
