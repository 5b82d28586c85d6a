"""One fit: the report's network on 54,000 rows of MNIST, in fresh processes."""

# SPDX-License-Identifier: BSD-3-Clause

import statistics
from dataclasses import replace

import peers
from timing import compare, pause, say, side_by_side, spread, table, target

TITLE = "One fit"
N_ROWS = 54_000
EPOCHS = 10
ROUNDS = {32: 1, 64: 1, 512: 2}  # by batch size; a round at 32 takes minutes
# Without a target for the whole fit, so they end after as many epochs as a median
# needs.
SHORT = ("skorch", "SKLearnClassifier")
SHORT_EPOCHS = 3
# The products next to ours, because that ratio is the finest.
ORDER = (
    "scikeras",
    "MLPClassifier",
    "skmnist",
    peers.PRODUCTS,
    "skorch",
    "SKLearnClassifier",
)
# Percent of our epoch that the bare products take, in the same run.
LEAST_SHARE = 90
# Batches of so many rows keep every library's products busy: to be several times as
# quick as a peer is beyond any arithmetic in float32. There the share is the target.
LARGE = 512


def measure(options):
    """Fit everyone, epoch by epoch in turns."""
    present = peers.present(ORDER)
    rounds = {32: 1, 512: 1} if options.quick else ROUNDS
    fits = []
    for batch_size, n_rounds in rounds.items():
        for turn in range(n_rounds):
            for name, result in one_round(present, batch_size, options.quick).items():
                key = {"peer": name, "batch_size": batch_size, "round": turn}
                fits.append({**key, **result})
                say(f"  batch {batch_size}, {name}: {result['seconds']:.1f} s")
    return {
        "fits": fits,
        "skipped": sorted(set(ORDER) - set(present)),
        "n_rows": 1000 if options.quick else N_ROWS,
    }


def one_round(names, batch_size, quick):
    """Fit each once, in processes that take turns at the end of every epoch."""
    calls = {}
    for name in names:
        epochs = SHORT_EPOCHS if quick or name in SHORT else EPOCHS
        setting = replace(peers.REPORT, batch_size=batch_size, epochs=epochs)
        calls[name] = (fit_once, name, setting, quick)
    return side_by_side(calls)


def fit_once(name, setting, quick):
    """Time one fit in this process, its first.

    Returns
    -------
    sample : dict
        Seconds of the fit, with whatever is built, traced and compiled for it,
        without imports; seconds of the epochs from the second on; accuracy on
        rows that were not trained on.
    """
    from skmnist import fetch_mnist

    X, y = fetch_mnist(return_X_y=True)
    n_rows = 1000 if quick else N_ROWS
    X_train, y_train = X[:n_rows].copy(), y[:n_rows].copy()
    X_test, y_test = X[N_ROWS:60_000].copy(), y[N_ROWS:60_000].copy()
    del X
    if name == peers.PRODUCTS:
        sizes = (setting.widths, 10, setting.batch_size, setting.epochs)
        pause()
        times = peers.clocked(lambda: peers.bare_products(X_train, *sizes), pause)
        return {"epochs": setting.epochs, **times, "accuracy": None}
    classifier = peers.make(name, setting, timed=True)
    pause()
    times = peers.timed_fit(name, classifier, X_train, y_train, pause)
    with peers.quiet():
        accuracy = float(classifier.score(X_test, y_test))
    return {"epochs": setting.epochs, **times, "accuracy": accuracy}


def summarize(samples):
    """Bring the samples to tables, comparisons and targets."""
    fits = samples["fits"]
    tables, comparisons, targets = [], [], []
    for batch_size in sorted({fit["batch_size"] for fit in fits}):
        names = list(dict.fromkeys(fit["peer"] for fit in fits))
        per_peer = {
            name: [
                f for f in fits if (f["peer"], f["batch_size"]) == (name, batch_size)
            ]
            for name in ["skmnist", *(n for n in names if n != "skmnist")]
        }
        found = {
            (kind, name): compare(
                f"batch {batch_size}, {kind}",
                name,
                of(per_peer["skmnist"]),
                of(theirs),
                bound=name == peers.PRODUCTS,
            )
            for kind, of in (("one epoch", epochs_by_turn), ("whole fit", whole_fits))
            for name, theirs in per_peer.items()
            if name != "skmnist"
        }
        comparisons += found.values()
        caption = f"Batch size {batch_size}, {samples['n_rows']:,} rows"
        rows = [_row(name, of_peer, found) for name, of_peer in per_peer.items()]
        tables.append(table(caption, COLUMNS, rows))
        targets += _targets(batch_size, found)
    return {"tables": tables, "comparisons": comparisons, "targets": targets}


COLUMNS = (
    "",
    "one epoch, s",
    "slower than ours",
    f"whole fit of {EPOCHS} epochs, s",
    "slower than ours",
    "fits",
    "accuracy, %",
)


def epochs_by_turn(fits):
    """Return the seconds of each epoch by round and number."""
    return {
        (fit["round"], i): seconds
        for fit in fits
        for i, seconds in enumerate(fit["epoch_seconds"])
    }


def whole_fits(fits):
    """Return the seconds of a whole fit, by round.

    A fit that ended early counts as what it took and the epochs that are missing,
    at the median of its own. Only where a peer has no whole fit at all.
    """
    whole = {f["round"]: f["seconds"] for f in fits if f["epochs"] == EPOCHS}
    return whole or {
        fit["round"]: fit["seconds"]
        + (EPOCHS - fit["epochs"]) * statistics.median(fit["epoch_seconds"])
        for fit in fits
    }


def _row(name, fits, found):
    epochs = [seconds for fit in fits for seconds in fit["epoch_seconds"]]
    estimated = "" if any(fit["epochs"] == EPOCHS for fit in fits) else "~"
    ratios = [
        f"{found[kind, name]['ratio']:.2f}x" if (kind, name) in found else ""
        for kind in ("one epoch", "whole fit")
    ]
    accuracies = [
        f["accuracy"]
        for f in fits
        if f["epochs"] == max(fit["epochs"] for fit in fits)
        and f["accuracy"] is not None
    ]
    return [
        name,
        spread(epochs),
        ratios[0],
        estimated + spread(whole_fits(fits).values(), digits=1),
        ratios[1],
        str(len(fits)),
        f"{100 * statistics.median(accuracies):.1f}" if accuracies else "",
    ]


def _targets(batch_size, found):
    def ratio(kind, name):
        return found[kind, name]["ratio"] if (kind, name) in found else None

    def over_ours(kind, said, name, least):
        text = f"batch {batch_size}: {said}, {name} over ours"
        return target(text, ratio(kind, name), least=least)

    products = ratio("one epoch", peers.PRODUCTS)
    share = target(
        f"batch {batch_size}: the bare matrix products' share of our epoch",
        None if products is None else 100 * products,
        least=LEAST_SHARE,
        unit="%",
        digits=0,
    )
    if batch_size >= LARGE:
        return [share]
    return [
        over_ours("one epoch", "epoch", "scikeras", 5),
        over_ours("one epoch", "epoch", "MLPClassifier", 4),
        share,
        over_ours("whole fit", "whole fit", "scikeras", 3.5),
        over_ours("whole fit", "whole fit", "MLPClassifier", 3),
    ]
