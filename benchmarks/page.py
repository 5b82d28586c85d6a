"""Write docs/performance.md and its plot from the result files.

python benchmarks/page.py
"""

# SPDX-License-Identifier: BSD-3-Clause

import json
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "performance"
PLOT = "performance-growth.svg"
# In the order of the page.
SECTIONS = (
    "fit",
    "distortions",
    "grid",
    "study",
    "jobs",
    "cluster",
    "caching",
    "memory",
    "growth",
    "startup",
    "predict",
)
VERDICTS = {True: "met", False: "**not met**", None: "not measured"}

INTRODUCTION = """\
# Performance

How fast `KerasMLPClassifier` is beside plain scikeras, Keras' own
`SKLearnClassifier`, scikit-learn's `MLPClassifier`, skorch on torch, and the bare
matrix products. All figures come from

    make bench

which runs `benchmarks/` and writes this page from `docs/results/performance/`,
where every single sample is. Timings depend on the machine and on what else runs on
it; each section names both. What counts are the ratios: within a run, everybody is
measured in turns, every other round in reverse, and a ratio is the median of the
ratios of measurements that stand next to each other. Other figures are medians,
with the quartiles in brackets.

Everybody trains the same network in float32 with Adam at the same learning rate, the
same batches and epochs, and without early stopping. Only ours computes the training
accuracy of each epoch besides the loss. Each process does one library's work; the
time of importing it is left out. The libraries choose their number of threads
themselves, unless a section says otherwise.
"""

METHODS = {
    "fit": """\
Every fit has a process of its own, so that building, tracing and compiling are in
"whole fit". The processes take turns at the end of every epoch, in each library's own
hook (Keras' and skorch's `on_epoch_end`, the line that `MLPClassifier` prints), where
they wait for the others; a whole fit is the sum of its turns. "One epoch" is the median
from the second one on. A "~" marks a peer that ended after three epochs: there the
missing ones count as its median epoch.

"Matrix products" is the least a network can cost: NumPy in float32, on all cores, the
gather of the rows, three products forward, three for the gradients of the weights,
two for those of the inputs; no activations, no biases, no optimizer. NumPy's BLAS and
TensorFlow's matrix products are different libraries, so this bound is that of one of
them. Accuracy, on 6,000 rows that were not trained on, shows that all do the same
work; it is that of the longest fits.

Why ours is not nearer to the products: an update also reads and writes the weights and
Adam's two states, 17 MB for 593,210 weights, more than the processor's private caches
hold. On two cores of Intel Xeon with AVX-512, and at a batch of 64, XLA's loop over the
products alone took as long as NumPy's, 0.98 ms an update; Adam by itself took 0.38 ms,
in three passes, since XLA's loops write one array each; the gather of the rows 0.03 ms.
Together, where each pushes the others' numbers out of the caches, they took 1.8 ms. And
a second core brings little: products of 64 rows were 1.3 times as fast on two threads
as on one.

What was tried, there or on two cores of AMD EPYC, and brought nothing beyond the noise:
oneDNN, XNNPACK and YNNPACK for XLA's products, fast math, XLA's other scheduler, wider
vectors, products on one thread each, gathering the rows outside of XLA in blocks of 2
to 32 MB, the same loop written without Keras, and weights in two to twelve blocks of
columns, so that Adam might find a block in the cache. TensorFlow's graph with oneDNN's
products and its own Adam in one pass was slower: 1.29 and 0.56 ms. An epoch written by
hand in Numba took 1.6 s where XLA's took 1.75 to 1.85 in the same minutes: two threads
that each have half of the units of every layer and wait for each other by spinning,
single-threaded products of BLAS, Adam in one pass. That is 12 % for a second engine to
keep in step with Keras, and is not in the package.

Of the first fit of a network, some 0.6 s are XLA's compiling. TensorFlow can keep what
it has compiled for other processes, if told so before it starts, by
`TF_XLA_FLAGS="--tf_xla_persistent_cache_directory=DIR
--tf_xla_persistent_cache_device_types=CPU"`: a first fit of one epoch on 20,000 rows
then took 1.42 s in a later process, and 1.99 and 2.08 s without. The package leaves
that to its users: nobody clears such a folder.

These are figures of scripts written for the purpose and not kept: one or two processes
of each, one after another and not in turns, so they can tell a third from nothing, and
hardly a tenth.

A target that would need an epoch faster than the products (a multiple of a peer that
itself is nearly as fast as they are) cannot be met by doing the same arithmetic.
""",
    "distortions": """\
The report's network with and without `augmentation=`, which draws a new distortion for
every image in every epoch, inside the compiled epoch. Processes of their own, in turns
at the end of every epoch.
""",
    "grid": """\
`GridSearchCV` with `cv=3`, `n_jobs=1` and `refit=False` on scikit-learn's 8x8 digits,
20 epochs. The first grid has widths (50,), (100,) or (100, 50), ReLU or tanh, batches
of 32 or 64, and five learning rates. It goes through one search for each twelfth, in
turns; the seconds are sums. The second grid has 60 different architectures, so that
no network can use what another one has compiled. `MLPClassifier` has to train its 20
epochs as well (`tol=0`). Slow peers are timed on the first part of a grid and on
others drawn with a fixed seed; ratios are those of the same candidates. Keras'
`SKLearnClassifier` loses its `fit_kwargs` when it is cloned, so the search passes them
to `fit`.
""",
    "study": """\
Ours is the command `skmnist study --dataset mnist --preset report --protocol holdout`
with all it does: start, loading, checking, search, the final model, the report. Memory
is that of all its processes, a page that several share counted once; in the sum of the
resident sets it is counted in each. Against it stand the same candidates through stock
`GridSearchCV` over plain scikeras: same split, same 20 epochs at most, Keras'
`EarlyStopping(patience=1, restore_best_weights=True)` on Keras' own validation split;
plus the final model. Imports are left out there, and its memory is what it held after
a fit.

A worker has, beside TensorFlow and what the networks leave behind, the rows of its fold
and, copied from them, those that train: some 0.3 GB each for MNIST. So it is the
second worker that costs the memory which `--n-jobs 2` has more.
""",
    "jobs": """\
Fits of the report's network on 20,000 rows, side by side in joblib's processes or one
after another. Threads are set in the environment before TensorFlow starts. Every
process has trained the network once before the clock starts. joblib hands the data to
its processes memory-mapped; each reports what it was given.
""",
    "cluster": """\
One stage of a staged search, the report's network on 20,000 rows, each fit on one
thread, in fresh processes. The first time there are processes to start, TensorFlow to
load, 63 MB of data to send and a program to compile in each; the second time there
are not. What a fit costs its worker beside the fit is the time of the stage, times the
workers, divided by the fits, less the time of one: scoring, taking the rows of the
fold, waiting for the last one. All workers are on one machine here: a network between
them adds its own time for the data, once to each.
""",
    "caching": """\
The report's network, batches of 64, with `memory=` in a folder of the system's: fits in
turns without it, into an empty folder, and from the folder that has the fit. Everything
a fit depends on is digested by SHA-256, which costs as much as reading the data.
""",
    "memory": """\
Resident set of one process after each of many fits on the 8x8 digits, over a mix of
architectures and batch sizes. scikeras fits fewer times, for comparison.
""",
    "growth": """\
Median epoch of the report's kind of network, batches of 64, while one size grows.
Slopes are those of the upper half of the points on log-log axes, 1 for linear. The
matrix products grow with the square of the width, so widths and depths are also set
against the multiply-adds that they cost. Data are random numbers; speed does not
depend on them.

![Epoch time over rows, width, depth and multiply-adds, log-log]({plot})
""",
    "startup": """\
Whole processes, from start to end, in turns.
""",
    "predict": """\
After one epoch of training, each peer in a process of its own, in turns.
""",
}

NOTHING_YET = "Not measured yet."
# What stands between these on the page about clusters is written here.
MEASURED = ("<!-- measured -->", "<!-- end of what was measured -->")
QUICK = "**A quick run, to try the machinery: no measurement.**"


def page(results=None):
    """Return the page's Markdown.

    Parameters
    ----------
    results : dict of str to dict, default=None
        By benchmark; None for the committed ones.

    Returns
    -------
    markdown : str
    """
    results = read_results() if results is None else results
    parts = [INTRODUCTION, "## Targets", target_table(results)]
    parts += ["## Where a peer wins", peers_that_win(results)]
    for name in SECTIONS:
        result = results.get(name)
        parts += [section(result)] if result else []
    missing = [name for name in SECTIONS if name not in results]
    if missing:
        parts.append(f"Without a result so far: {', '.join(missing)}.")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def read_results(folder=RESULTS):
    """Read the result files of a folder, by benchmark."""
    paths = {name: Path(folder) / f"{name}.json" for name in SECTIONS}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.is_file()
    }


def section(result):
    """Return one benchmark's section."""
    parts = [f"## {result['title']}"]
    parts += [QUICK] if result["quick"] else []
    parts += [METHODS[result["benchmark"]].format(plot=PLOT).strip(), about(result)]
    for one in result["tables"]:
        parts += [f"**{one['caption']}**", markdown(one["columns"], one["rows"])]
    if result["targets"]:
        parts += ["**Targets**", markdown(TARGET_COLUMNS, target_rows(result))]
    parts += result.get("remarks", [])
    return "\n\n".join(parts)


def about(result):
    """Return when a result was measured, with what, and on what."""
    where = result["environment"]
    versions = {"Python": where["python"], **where["versions"]}
    named = ", ".join(f"{name} {v}" for name, v in versions.items() if v)
    limits = ", ".join(f"{name}={value}" for name, value in where["threads"].items())
    skipped = result["samples"].get("skipped")
    parts = [
        f"{where['date']}; {where['cores']} cores of {where['cpu']}; load "
        f"{where['load']['before']} before, {where['load']['after']} after.",
        f"{named}.",
        f"{limits}." if limits else "",
        f"Not installed, so not measured: {', '.join(skipped)}." if skipped else "",
    ]
    return " ".join(filter(None, parts))


TARGET_COLUMNS = ("what", "target", "measured", "verdict")


def target_rows(result):
    """Return the rows of a table of targets."""
    return [
        [one["text"], one["limit"], one["measured"], VERDICTS[one["met"]]]
        for one in result["targets"]
    ]


def target_table(results):
    """Return all targets in one table."""
    rows = [
        [results[name]["title"], *row]
        for name in SECTIONS
        if name in results
        for row in target_rows(results[name])
    ]
    if not rows:
        return NOTHING_YET
    met = [row[-1] for row in rows].count(VERDICTS[True])
    said = f"{met} of {len(rows)} met."
    return said + "\n\n" + markdown(("", *TARGET_COLUMNS), rows)


def peers_that_win(results):
    """List the comparisons in which a peer was faster than ours."""
    compared = [
        comparison
        for name in SECTIONS
        if name in results
        for comparison in results[name]["comparisons"]
        if not comparison["bound"]
    ]
    if not compared:
        return NOTHING_YET
    lost = [one for one in compared if one["ratio"] < 1]
    said = f"In {len(lost)} of {len(compared)} comparisons the peer is faster than ours"
    if not lost:
        return said + "."
    lines = [
        f"- {one['case']}: {one['peer']}, {1 / one['ratio']:.2f}x faster"
        + (" (within the noise)" if one["ratio_quartiles"][1] >= 1 else "")
        for one in sorted(lost, key=lambda one: one["ratio"])
    ]
    return said + ":\n\n" + "\n".join(lines)


def with_tables(result, path=DOCS / "clusters.md"):
    """Return the page about clusters with the tables of a result between its marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(MEASURED[0])
    after = rest.partition(MEASURED[1])[2]
    parts = [MEASURED[0], about(result)]
    for one in result["tables"]:
        parts += [f"**{one['caption']}**", markdown(one["columns"], one["rows"])]
    return before + "\n\n".join([*parts, MEASURED[1]]) + after


def markdown(columns, rows):
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    found = read_results()
    if "growth" in found:
        from growth import plot

        plot(found["growth"], DOCS / PLOT)
    (DOCS / "performance.md").write_text(page(found), encoding="utf-8")
    if "cluster" in found:
        (DOCS / "clusters.md").write_text(with_tables(found["cluster"]), "utf-8")
