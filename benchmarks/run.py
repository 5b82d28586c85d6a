"""Measure us and the peers, and keep the results.

    python benchmarks/run.py                      # everything; more than an hour
    python benchmarks/run.py --only fit startup   # some; the others keep theirs
    python benchmarks/run.py --quick              # does it run? not a measurement
    python benchmarks/run.py --summarize          # tables anew from the samples

Prints each benchmark's tables as it finishes and writes one JSON file for each;
`python benchmarks/page.py` makes docs/performance.md from them.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "performance"
# Not where a real measurement could be overwritten.
QUICK_RESULTS = ROOT / "build" / "benchmarks" / "quick"
BENCHMARKS = (
    "startup",
    "predict",
    "fit",
    "distortions",
    "grid",
    "narrow",
    "jobs",
    "cluster",
    "caching",
    "memory",
    "growth",
    "study",
)
SCHEMA = 1

# TensorFlow reports the instructions of the processor unless told not to.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(argv=None):
    """Run the benchmarks that were asked for, one process after another."""
    options = _parser().parse_args(argv)
    out = Path(options.out or (QUICK_RESULTS if options.quick else RESULTS))
    out.mkdir(parents=True, exist_ok=True)
    if options.here:
        run_here(options.here, options, out)
        return 0
    failed = []
    for name in options.only or BENCHMARKS:
        if options.summarize:
            resummarize(name, out)
            continue
        command = [sys.executable, __file__, "--here", name, "--out", str(out)]
        command += ["--quick"] * options.quick
        command += ["--sample", str(options.sample)] if options.sample else []
        if subprocess.run(command).returncode:
            failed.append(name)
    if failed:
        print(f"Failed, earlier results stay: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run_here(name, options, out):
    """Run one benchmark in this process; print its tables, write its file."""
    import timing

    module = importlib.import_module(name)
    timing.say(f"{module.TITLE}:")
    environment, before = timing.environment(), timing.load()
    started = time.perf_counter()
    samples = module.measure(timing.Options(options.quick, options.sample))
    environment["load"] = {"before": before, "after": timing.load()}
    result = {
        "schema": SCHEMA,
        "benchmark": name,
        "title": module.TITLE,
        "quick": options.quick,
        "environment": environment,
        "seconds": round(time.perf_counter() - started, 1),
        **module.summarize(samples),
        "samples": samples,
    }
    write(out / f"{name}.json", result)
    print(show(result), flush=True)


def resummarize(name, out):
    """Make a result's tables and targets anew from its samples."""
    path = out / f"{name}.json"
    if path.exists():
        result = json.loads(path.read_text())
        result |= importlib.import_module(name).summarize(result["samples"])
        write(path, result)
        print(show(result))


def write(path, result):
    """Write a result; a run that is cut off leaves the earlier file as it was."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def show(result):
    """Return a result's Markdown, as the page has it, with the versions."""
    import page

    return page.section(result)


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME")
    parser.add_argument("--out", help=f"default: {RESULTS.relative_to(ROOT)}")
    parser.add_argument("--quick", action="store_true", help="try the machinery only")
    parser.add_argument(
        "--sample",
        type=int,
        metavar="K",
        help="time plain scikeras on K random candidates of the study, and scale",
    )
    parser.add_argument(
        "--summarize", action="store_true", help="measure nothing, tables anew"
    )
    parser.add_argument("--here", choices=BENCHMARKS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
