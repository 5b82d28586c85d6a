# SPDX-License-Identifier: BSD-3-Clause

"""
Browse a search in TensorBoard
==============================

A search as runs of TensorBoard's HParams plugin: a table of the candidates that can
be sorted and filtered, parallel coordinates, and the curves of the winner.
"""

# %%
# TensorBoard is an extra (``pip install "skmnist[tensorboard]"``); without it, this
# lesson ends here.
import sys
import tempfile
from pathlib import Path

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print('Skipped: this needs TensorBoard, pip install "skmnist[tensorboard]"')
    sys.exit()

from skmnist import (
    KerasMLPClassifier,
    Stage,
    StagedSearchCV,
    load_digits_28x28,
    log_search,
    record_scoring,
)

# %%
# Any fitted search will do, scikit-learn's own too.
X, y = load_digits_28x28(return_X_y=True)
search = StagedSearchCV(
    KerasMLPClassifier(depth=1, epochs=8, early_stopping=True, random_state=0),
    [
        Stage("width", {"widths": [16, 32, 64]}),
        Stage("batch size", {"batch_size": [32, 64, 128]}),
    ],
    scoring=record_scoring(),
    cv=2,
)
search.fit(X, y)

# %%
# Each candidate becomes a run, in a folder of its stage.
temporary = tempfile.TemporaryDirectory()
runs = log_search(search, Path(temporary.name) / "log")
for run in runs:
    print(f"{run.name:<20}{run.scores['accuracy']:.3f} {run.params}")

# %%
# ``tensorboard --logdir log`` shows them: the tab *HParams* has the table, *Scalars*
# the path of the search (run ``winners``, the stages as steps) and the curves of the
# fitted winner (``best/train`` and ``best/validation``). For a study,
#
# .. code-block:: console
#
#    $ skmnist tensorboard my-study my-log
#    $ tensorboard --logdir my-log
#
# does the same. The files can be read without a browser, too.
winners = EventAccumulator(str(Path(temporary.name) / "log" / "winners")).Reload()
for event in winners.Tensors("accuracy"):
    print(f"stage {event.step}: {event.tensor_proto.float_val[0]:.3f}")
temporary.cleanup()

# %%
# To watch a single fit while it runs, Keras' own callback can be passed to the
# classifier, ``callbacks=[keras.callbacks.TensorBoard("log")]``. It wants to see
# single batches, and so the fit takes Keras' own, slower loop.
