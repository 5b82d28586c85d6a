# SPDX-License-Identifier: BSD-3-Clause

"""
Reading a study
===============

``skmnist study`` writes a folder of plain files. Here we run a small study and read its
folder: the candidates, the winner of each stage with the reason, and the cost.
"""

# %%
# Run a small form of the report's eight stages, with three epochs per fit. On the
# command line, this is
#
# .. code-block:: console
#
#    $ skmnist study --dataset digits --preset quick --epochs 3 --no-baselines \
#          --out my-study
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from skmnist.reporting import describe_final
from skmnist.study import StudyConfig, read_study, run_study

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name) / "my-study"
config = StudyConfig(dataset="digits", preset="quick", epochs=3, baselines=False)
run_study(config, folder)
print(sorted(path.name for path in folder.iterdir() if path.name[0] != "."))

# %%
# `read_study` returns the content of these files, also while a study is unfinished. The
# header has the configuration, the data and the versions.
study = read_study(folder)
print(study.header.config)
print(study.header.data.name, study.header.data.fingerprint[:12])

# %%
# Each candidate has a row with its parameters and its measurements. ``frame()`` returns
# the rows as columns for a DataFrame.
first = study.rows[0]
print(first.params["widths"], first.accuracy)
rows = study.frame()
print(rows[rows.winner][["stage", "accuracy", "gap", "seconds", "n_parameters"]])

# %%
# Each stage has the reason for its choice in words.
for stage in study.stages:
    print(f"{stage.title}: {stage.reason}.")

# %%
# Draw the path of the search: all candidates, and the winner of each stage.
fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
order = {stage.name: number for number, stage in enumerate(study.stages)}
position = rows.stage.map(order)
ax.plot(position, 100 * rows.accuracy, ".", color="gray", label="candidate")
won = rows[rows.winner]
ax.plot(position[won.index], 100 * won.accuracy, "o-", label="winner")
ax.set_xticks(
    range(len(order)), [s.title for s in study.stages], rotation=30, ha="right"
)
ax.set_ylabel("held-out accuracy in %")
ax.legend()
plt.show()

# %%
# The summary describes the final model. Only this model has seen the test set. You load
# it from ``model.skmnist`` with `KerasMLPClassifier.load`.
print(describe_final(study.summary))
temporary.cleanup()
