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
    "narrow",
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

This page compares the speed of `KerasMLPClassifier` with its peers: plain scikeras,
Keras' `SKLearnClassifier`, scikit-learn's `MLPClassifier`, skorch on torch, and bare
matrix products. To make this page, run

    make bench

It runs `benchmarks/` and writes this page from `docs/results/performance/`, which has
every single sample. Timings depend on the machine and its other work; each section
names both. So compare the ratios. Within a run, the libraries are measured in turns,
and every second round has the reverse order. A ratio is the median of the ratios of
neighbouring measurements. Other figures are medians, with the quartiles in brackets.

All libraries train the same network in float32 with Adam, with the same learning rate,
batches and epochs, and without early stopping. Only ours also computes the training
accuracy of each epoch. Each process runs one library; its import time does not count.
The libraries choose their number of threads, unless a section says otherwise.
"""

METHODS = {
    "fit": """\
Every fit runs in its own process, so "whole fit" includes building, tracing and
compiling. The processes take turns. At the end of every epoch a process waits for the
others, in a hook of its library: `on_epoch_end` of Keras and skorch, or the line that
`MLPClassifier` prints. A whole fit is the sum of its turns. "One epoch" is the median
of all epochs but the first. "~" marks a library that trained only three epochs; each
missing epoch counts as its median epoch.

"Matrix products" is a lower bound for the time of a network: NumPy in float32 on all
cores. It gathers the rows of a batch and computes three products forward, three for the
gradients of the weights and two for the gradients of the inputs. It has no activations,
biases or optimizer. NumPy's BLAS and TensorFlow use different libraries for matrix
products, so this is the bound of NumPy's library only. The accuracy on 6,000 rows that
were not used for training shows that all libraries do the same work. It is from the
longest fits.

Why is ours slower than the products? An update also reads and writes the weights and
Adam's two states: 17 MB for 593,210 weights. This is more than the processor's private
caches hold. We measured it on two cores of Intel Xeon with AVX-512, with batches of 64.
XLA's loop over the products alone took as long as NumPy's loop: 0.98 ms per update.
Adam alone took 0.38 ms. It needs three passes, because each of XLA's loops writes one
array. The gather of the rows took 0.03 ms. Together they took 1.8 ms, because each
pushes the data of the others out of the caches. A second core helps little: products of
64 rows were 1.3 times as fast on two threads as on one.

We tried the following there or on two cores of AMD EPYC. Nothing in this list was
faster beyond the noise: oneDNN, XNNPACK and YNNPACK for XLA's products; fast math;
XLA's other scheduler; wider vectors; one thread for each product; a gather of the rows
outside of XLA in blocks of 2 to 32 MB; the same loop without Keras; weights in two to
twelve blocks of columns, so that Adam finds a block in the cache. TensorFlow's graph
with oneDNN's products and its one-pass Adam was slower: 1.29 and 0.56 ms. A
hand-written epoch in Numba took 1.6 s. XLA's epoch took 1.75 to 1.85 s in the same
minutes. The Numba epoch has two threads that wait for each other by spinning. Each
thread has half of the units of every layer, with single-threaded BLAS products and
one-pass Adam. It gains 12 %, but a second engine would have to follow every change of
Keras. So it is not in the package.

XLA's compiling takes about 0.6 s of the first fit of a network. TensorFlow can keep
compiled programs for other processes. To turn this on, set
`TF_XLA_FLAGS="--tf_xla_persistent_cache_directory=DIR
--tf_xla_persistent_cache_device_types=CPU"` before it starts. A first fit of one epoch
on 20,000 rows then took 1.42 s in a later process; without it, 1.99 and 2.08 s. The
package does not set this, because nothing would ever delete the files.

The figures in the last three paragraphs are from scripts that were not kept. Each ran
in one or two processes, one after the other and not in turns. They can show a
difference of a third, but hardly a difference of a tenth.

With batches of 512 rows every library spends most of its time in its products. To be
several times as fast as one of them is beyond any arithmetic in float32; so the target
there is the share of the bare products in our epoch, from the same run.
""",
    "distortions": """\
The report's network with and without `augmentation=`, which draws a new distortion for
every image in every epoch, inside the compiled epoch. Each fit runs in its own process.
The processes take turns at the end of every epoch.
""",
    "grid": """\
`GridSearchCV` with `cv=3` and `refit=False` on scikit-learn's 8x8 digits, 20 epochs;
all of it counts, also what starts with the search. The first grid has widths (50,),
(100,) or (100, 50), ReLU or tanh, batches of 32 or 64, and five learning rates. The
second grid has 60 different architectures, so no network can reuse a compiled
program. The bagged networks are a `BaggingClassifier` of 1,000 networks with 20
hidden units on scikit-learn's breast cancer data. Ours searches inside
`skmnist.lanes()`; "skmnist" is without. Ours and each peer search in turns, three
times. `MLPClassifier` trains all 20 epochs, too (`tol=0`), and uses both cores for
its products. Slow libraries search once, and a part of the grid that a fixed seed
draws; ours searches the same part. Keras' `SKLearnClassifier` loses its `fit_kwargs`
when it is cloned, so the search passes them to `fit`.

NumPy trains networks of this size, each product with one thread. It starts some forty
operations for each update, for up to twelve networks at once. A second core trains
other networks in a process of its own: two threads that start so short operations
wait for Python's lock longer than they compute.

The last table tells how the time grows with the number of fits at once. More of them
cost less each, since their packs are fuller. By itself `lanes` runs 32: scikit-learn
gives each fit that runs a copy of its rows, so 256 of them take eight times the
memory. Fits whose data are more than 512 MB together wait for each other.
""",
    "narrow": """\
`StagedSearchCV` over 20,000 digits with `refit=False`: networks of one hidden layer,
ReLU, batches of 64, 5 epochs. One search is a stage over widths; one has four seeds of
one network. With `n_jobs=None` the fits share the cores by themselves; with
`n_jobs=1` they run one after the other. Each search runs in a process of its own, in
turns. Imports and loading do not count. The memory is of all processes, with shared
pages counted once.

These networks are too large to gain from company on one core: most of an update is in
its products. So each core trains one of them. The second one has its own copy of the
rows, and so has the process that trains it.
""",
    "study": """\
Ours is the command `skmnist study --dataset mnist --preset report --protocol holdout
--no-baselines`. Its time includes everything: start, loading, checks, search, final
model and report.
Its memory is the sum over all its processes, with shared pages counted once. (The sum
of the resident sets counts them in each process.) The other side runs the same
candidates and the final model through scikit-learn's `GridSearchCV` over plain
scikeras. It has the same split, at most 20 epochs, and Keras'
`EarlyStopping(patience=1, restore_best_weights=True)` on Keras' validation split. Its
time does not include imports. Its memory is measured after a fit.

Each worker holds TensorFlow, the remains of earlier networks, the rows of its fold, and
a copy of the rows that train. The rows and the copy take some 0.3 GB per worker for
MNIST. So `--n-jobs 2` needs more memory because of its second worker.
""",
    "jobs": """\
Fits of the report's network on 20,000 rows, at once in joblib's processes or one after
the other. The environment sets the number of threads before TensorFlow starts. Every
process trains the network once before the measurement. joblib passes the data to its
processes by memory mapping; each process reports the kind of array that it got.
""",
    "cluster": """\
One stage of a staged search with the report's network on 20,000 rows, one thread per
fit, in new processes. The first run starts the processes, loads TensorFlow, sends 63 MB
of data and compiles a program in each process. The second run does none of this.
"Beside the fits" is the extra time per fit: the time of the stage, times the workers,
divided by the fits, minus the time of one fit. It is for scoring, taking the rows of
the fold, and waiting for the last fit. All workers are on one machine here. A network
between machines adds the time to send the data once to each worker.
""",
    "caching": """\
The report's network with batches of 64, in turns: without `memory=`, with an empty
folder, and with a folder that has the fit. The folder is in the system's temporary
folder. The key of a fit is a SHA-256 digest of everything that it depends on. It costs
as much as reading the data.
""",
    "memory": """\
The resident set of one process after each of many fits on the 8x8 digits, with several
architectures and batch sizes. For comparison, scikeras makes fewer fits.
""",
    "growth": """\
The median epoch of networks like the report's, with batches of 64, while one size
grows. A slope is fitted to the upper half of the points on log-log axes; 1 is linear.
The matrix products grow with the square of the width. So the plot also shows the time
over the multiply-adds of each width and depth. The data are random numbers; they do not
affect the speed.

![Epoch time over rows, width, depth and multiply-adds, log-log]({plot})
""",
    "startup": """\
The time of whole processes from start to end, in turns.
""",
    "predict": """\
After one epoch of training, each library predicts in its own process, in turns.
""",
}

NOTHING_YET = "Not measured yet."
# This script writes the text between these marks on the page about clusters.
MEASURED = ("<!-- measured -->", "<!-- end of what was measured -->")
QUICK = "**A quick run, to test the scripts: not a measurement.**"


def page(results=None):
    """Return the page's Markdown.

    Parameters
    ----------
    results : dict of str to dict, default=None
        The results by benchmark. None reads the committed results.

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
    """Return the date, the machine and the versions of a result."""
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
