"""A stage of a search in one process, in joblib's, on Dask's workers, on Ray's."""

# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import importlib.util
import math
import statistics
import time
from dataclasses import replace

import peers
from timing import Worker, in_turns, say, spread, table

TITLE = "From one machine to a cluster"
N_ROWS = 20_000
# Rows that a candidate of a study on MNIST trains on; time grows with them.
STUDY_ROWS = 45_000
EPOCHS = 3
# Epochs of a fit in a study that stops early, about, for the model.
STUDY_EPOCHS = 8
FITS = 8
ROUNDS = 1  # a round takes minutes
ENGINES = {
    "this process": 1,
    "joblib, 2 processes": 2,
    "Dask, 2 workers": 2,
    "Ray, 2 workers": 2,
}
# Candidates of the report's eight stages, and workers to reckon with.
REPORT_STAGES = (13, 9, 7, 5, 7, 2, 4, 1)
CLUSTERS = (1, 2, 4, 8, 16, 32)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def measure(options):
    """Run the same stage on all engines in turns, a thread for each fit."""
    names = [name for name in ENGINES if _installed(name)]
    runs = []
    for turn, name in in_turns(names, 1 if options.quick else ROUNDS):
        environment = {**dict.fromkeys(THREADS, "1"), "TF_NUM_INTEROP_THREADS": "1"}
        with Worker(environment) as worker:
            result = worker(run_stage, name, options.quick)
        runs.append({"round": turn, "engine": name, **result})
        say(f"  {name}: {result['warm']:.1f} s")
    return {"runs": runs, "skipped": sorted(set(ENGINES) - set(names))}


def _installed(name):
    package = {"Dask": "distributed", "Ray": "ray"}.get(name.split(",")[0], "joblib")
    return importlib.util.find_spec(package) is not None


def run_stage(name, quick):
    """Time a stage twice: with everything that comes first, and after that."""
    from skmnist import fetch_mnist

    n_rows, n_fits = (2000, 2) if quick else (N_ROWS, FITS)
    X, y = (array[:n_rows].copy() for array in fetch_mnist(return_X_y=True))
    n_workers, told = ENGINES[name], []
    started = time.perf_counter()
    with engine(name, n_workers):
        opened = time.perf_counter() - started
        search(X, y, n_fits, n_workers, told)
        cold = time.perf_counter() - started
        told.clear()
        started = time.perf_counter()
        search(X, y, n_fits, n_workers, told)
        warm = time.perf_counter() - started
    return {
        "opened": opened,
        "cold": cold,
        "warm": warm,
        "fits": n_fits,
        "fit_seconds": [trial.fit_seconds for trial in told],
        "processes": len({trial.pid for trial in told}),
        "megabytes": X.nbytes / 1e6,
    }


def search(X, y, n_fits, n_workers, told):
    """Search over so many learning rates, which need no new program."""
    from sklearn.model_selection import ShuffleSplit

    from skmnist import Stage, StagedSearchCV

    rates = [0.001 * 0.9**i for i in range(n_fits)]
    StagedSearchCV(
        peers.make("skmnist", replace(peers.REPORT, epochs=EPOCHS)),
        [Stage("rate", {"learning_rate": rates})],
        cv=ShuffleSplit(1, test_size=0.1, random_state=0),
        n_jobs=n_workers,
        refit=False,
        on_trial_end=told.append,
    ).fit(X, y)


@contextlib.contextmanager
def engine(name, n_workers):
    """Open the place where the fits run."""
    import joblib

    kind = name.split(",")[0]
    if kind == "Dask":
        from distributed import Client, LocalCluster

        with (
            LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
            joblib.parallel_config("dask", client=client),
        ):
            yield
    elif kind == "Ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=n_workers, include_dashboard=False, log_to_driver=False)
        register_ray()
        with joblib.parallel_config("ray"):
            yield
        ray.shutdown()
    else:
        yield
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown()


def summarize(samples):
    """Bring the samples to a table of what was measured, and one of what follows."""
    by_engine = {}
    for run in samples["runs"]:
        by_engine.setdefault(run["engine"], []).append(run)
    rows = [measured_row(name, runs) for name, runs in by_engine.items()]
    columns = (
        "engine",
        "start and first stage, s",
        "same stage again, s",
        "one fit in it, s",
        "beside the fits, s a fit",
        "fits per hour",
    )
    caption = f"Measured: {FITS} fits of {EPOCHS} epochs, one thread each"
    tables = [table(caption, columns, rows)]
    if "Dask, 2 workers" in by_engine:
        tables.append(modelled(by_engine["Dask, 2 workers"]))
    return {"tables": tables, "comparisons": [], "targets": [], "remarks": []}


def measured_row(name, runs):
    """Return an engine's row."""
    per_hour = [3600 * run["fits"] / run["warm"] for run in runs]
    return [
        name,
        spread([run["cold"] for run in runs], digits=1),
        spread([run["warm"] for run in runs], digits=1),
        spread([s for run in runs for s in run["fit_seconds"]]),
        f"{overhead(name, runs):.2f}",
        f"{statistics.median(per_hour):.0f}",
    ]


def overhead(name, runs):
    """Return what a fit costs its worker beside the fit itself."""
    return statistics.median(
        ENGINES[name] * run["warm"] / run["fits"] - statistics.mean(run["fit_seconds"])
        for run in runs
    )


def modelled(runs):
    """Reckon a whole study on more workers than there are here.

    Stages wait for each other, so a stage of k candidates takes ceil(k / workers)
    fits' time, however many workers are idle; before the first, workers start, get
    the data and compile.
    """
    name = "Dask, 2 workers"
    epoch = statistics.median(s for r in runs for s in r["fit_seconds"]) / EPOCHS
    each = STUDY_EPOCHS * epoch * STUDY_ROWS / (0.9 * N_ROWS)
    each += max(0.0, overhead(name, runs))
    start = statistics.median(run["cold"] - run["warm"] for run in runs)
    alone = sum(REPORT_STAGES) * each
    rows = []
    for n_workers in CLUSTERS:
        rounds = sum(math.ceil(k / n_workers) for k in REPORT_STAGES)
        seconds = start + rounds * each
        rows.append(
            [
                str(n_workers),
                f"{3600 * n_workers / each:.0f}",
                f"{seconds / 60:.1f}",
                f"{alone / seconds:.1f}x",
                f"{100 * sum(REPORT_STAGES) / (n_workers * rounds):.0f}",
            ]
        )
    columns = (
        "workers of one thread",
        "fits per hour while all are busy",
        "the report's study, minutes",
        "against one process",
        "workers busy, %",
    )
    caption = (
        f"Modelled from that: fits of {STUDY_EPOCHS} epochs on {STUDY_ROWS:,} rows, "
        f"{sum(REPORT_STAGES)} candidates in {len(REPORT_STAGES)} stages"
    )
    return table(caption, columns, rows)
