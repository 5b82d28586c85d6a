# SPDX-License-Identifier: BSD-3-Clause

"""
Browse a search in TensorBoard
==============================

TensorBoard's HParams plugin shows a search in several ways: a table of the candidates
that you can sort and filter, parallel coordinates, and the curves of the winner.
"""

# %%
# This lesson needs TensorBoard (``pip install "skmnist[tensorboard]"``). Without it the
# lesson ends here.
import sys
import tempfile
from pathlib import Path

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print('Skipped: this needs TensorBoard, pip install "skmnist[tensorboard]"')
    sys.exit()

import matplotlib.pyplot as plt

from skmnist import (
    KerasMLPClassifier,
    Stage,
    StagedSearchCV,
    load_digits_28x28,
    log_search,
    record_scoring,
)

# %%
# You can use any fitted search, also one of scikit-learn's.
X, y = load_digits_28x28(return_X_y=True)
search = StagedSearchCV(
    KerasMLPClassifier(depth=1, epochs=40, early_stopping=True, random_state=0),
    [
        Stage("width", {"widths": [16, 32, 64]}),
        Stage("batch size", {"batch_size": [32, 64, 128]}),
    ],
    scoring=record_scoring(),
    cv=2,
)
search.fit(X, y)

# %%
# Write each candidate as a run, in the folder of its stage.
temporary = tempfile.TemporaryDirectory()
runs = log_search(search, Path(temporary.name) / "log")
for run in runs:
    print(f"{run.name:<20}{run.scores['accuracy']:.3f} {run.params}")

# %%
# ``tensorboard --logdir log`` shows the runs. The tab *HParams* has the table. The tab
# *Scalars* has the path of the search (run ``winners``, one step for each stage) and
# the curves of the fitted winner (``best/train`` and ``best/validation``). For a study,
# use
#
# .. code-block:: console
#
#    $ skmnist tensorboard my-study my-log
#    $ tensorboard --logdir my-log
#
# You can also read the files without a browser.
winners = EventAccumulator(str(Path(temporary.name) / "log" / "winners")).Reload()
for event in winners.Tensors("accuracy"):
    print(f"stage {event.step}: {event.tensor_proto.float_val[0]:.3f}")

# %%
# The curves of the fitted winner are there, too. TensorBoard draws them like this:
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for part in ("train", "validation"):
    path = Path(temporary.name) / "log" / "best" / part
    events = EventAccumulator(str(path)).Reload().Tensors("epoch_loss")
    losses = [event.tensor_proto.float_val[0] for event in events]
    ax.plot([event.step for event in events], losses, label=f"best/{part}")
ax.set(xlabel="epoch", ylabel="epoch_loss", title="The winner's fit")
ax.legend()
plt.show()
temporary.cleanup()

# %%
# To watch a single fit while it runs, pass Keras' callback to the classifier:
# ``callbacks=[keras.callbacks.TensorBoard("log")]``. It needs single batches, so the
# fit uses Keras' slower loop.
