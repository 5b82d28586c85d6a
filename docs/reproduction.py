"""Write docs/reproduction.md from the result files of two studies.

    python docs/reproduction.py           # write the page from the committed files
    python docs/reproduction.py --run     # first run the studies; needs the MNIST files

`make reproduction` calls the second.
"""

# SPDX-License-Identifier: BSD-3-Clause

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean, median

from skmnist.reporting import (
    describe_final,
    markdown_table,
    overview_table,
    reported_rows,
    to_reproduction,
)
from skmnist.study import read_study

DOCS = Path(__file__).parent
RESULTS = DOCS / "results"
# First the report's own candidates, then the search by its rules.
STUDIES = {"as-reported": "as-reported", "report": "report"}
SHAPE_STAGES = {"depth_width", "activations", "node_distribution"}
TRAINING_STAGES = {"batch_size", "validation_split", "initializers"}

INTRODUCTION = """\
# The report, reproduced

The report "MNIST Deep Learning" tuned a network by hand in eight stages with 48
candidates. This page compares its published figures with ours, on the same 60,000
training and 10,000 test images. To make this page, run

    make reproduction

It runs the two studies below and then `python docs/reproduction.py`. The result files
are in `docs/results/`. Both studies judge candidates by the test set (`--protocol
report`), because the report did so. Their accuracies are therefore optimistic.

    skmnist study --dataset mnist --protocol report --preset as-reported
    skmnist study --dataset mnist --protocol report

In the first study, every stage starts from the *report's* choice, so all 48 candidates
are the report's own. In the second study, rules choose the winners. Winners are in
bold; in the first study they are the report's winners.

# All 48 rows: the report and our measurements
"""

DIFFERENCES = """\
# The differences and their reasons

**Validation accuracy.** In the report, it exceeds the test accuracy by
{reported_gap:.2f} percentage points on average, over the rows that have both. It
reaches 99.88 % at batch size 512, and 100 % in one epoch. Our validation accuracy
differs from our test accuracy by {measured_gap:+.2f} points. A network that misreads
1.9 % of new images cannot reach 100 % on validation images that it never trained on:
with 6,000 such images the chance is about exp(-113). You get the report's figures if
you shuffle the data again before each epoch and take the first images for validation.
Then the network trains on most validation images in other epochs. (The report describes
shuffling with a buffer of 10,000. Its code is not published. So such a leak can explain
the figures, but this does not prove it.) We draw a stratified validation set once,
before training, and have no such leak.

**When training stops.** If the network trains on validation images, the validation loss
keeps falling, and early stopping comes late: the report trains 20 epochs at batch size
512. With a clean split, our median is {median_epochs:.0f} epochs. We stop at the first
rise of the validation loss and keep the weights of the best epoch. The report does not
state its full rule; it ignores some small rises.

**Test accuracy with Adam.** Our mean difference from the report is {early:+.2f} points
in the first three stages, and {late:+.2f} in the stages from the batch size to the
initializers. For these later stages the report gives the epoch at which it stopped, 6
to 20. We stop earlier (after 2 epochs at batch size 32), but the accuracy still grows
after the minimum of the loss. In single rows, part of the difference is noise. The
standard error of an accuracy near 98.1 % on 10,000 images is 0.14 points. Two seeds of
one network differ by about as much, and the report ran each candidate once. Most of the
report's choices depend on differences of a few tenths, which mean little.

**SGD and Adagrad** reach more here ({sgd:+.2f} and {adagrad:+.2f} points). Their
validation loss falls until the last of 20 epochs. The report gives no number of epochs
for them. Its figures fit about as many epochs as Adam needed.

**Initializers.** The report's "None" is Keras' default: Glorot's uniform initializer
in every layer.

# The search by the rules

Here each stage has a rule that follows the report's reasoning. The rule chooses the
winner from our own measurements, and the next stage starts from it.
"""


def run_studies():
    """Run both studies again, and keep the files that the page needs."""
    for folder, preset in STUDIES.items():
        out = RESULTS / folder
        shutil.rmtree(out, ignore_errors=True)
        command = f"study --dataset mnist --protocol report --preset {preset} --out"
        subprocess.run(
            [sys.executable, "-m", "skmnist", *command.split(), out], check=True
        )
        for name in ("model.skmnist", "predictions.npz", "report.html", "report.md"):
            (out / name).unlink()


def page():
    """Return the page's Markdown."""
    followed, searched = (read_study(RESULTS / name) for name in STUDIES)
    stages = searched.stages
    reasons = [f"- **{s.name}**, `{s.rule}`: {s.reason}." for s in stages]
    final = f"**{describe_final(searched.summary)}.** The report ends at 98.14 %."
    parts = [INTRODUCTION, to_reproduction(followed), differences(followed)]
    parts += [markdown_table(overview_table(searched)), "\n".join(reasons), final]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def differences(study):
    """Put the measured figures into the text."""
    pairs = list(zip(study.rows, reported_rows(), strict=True))
    gaps = [
        (ours.gap, r.reported_validation_accuracy - r.reported_test_accuracy)
        for ours, r in pairs
        if r.reported_validation_accuracy is not None
    ]

    def mean_difference(wanted):
        return 100 * fmean(
            ours.accuracy - theirs.reported_test_accuracy
            for ours, theirs in pairs
            if wanted(ours)
        )

    return DIFFERENCES.format(
        measured_gap=100 * fmean(gap for gap, _ in gaps),
        reported_gap=100 * fmean(gap for _, gap in gaps),
        median_epochs=median(row.n_iter for row in study.rows),
        early=mean_difference(lambda row: row.stage in SHAPE_STAGES),
        late=mean_difference(lambda row: row.stage in TRAINING_STAGES),
        sgd=mean_difference(lambda row: row.params["optimizer"] == "sgd"),
        adagrad=mean_difference(lambda row: row.params["optimizer"] == "adagrad"),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help="run the studies too")
    if parser.parse_args().run:
        run_studies()
    (DOCS / "reproduction.md").write_text(page(), encoding="utf-8")
