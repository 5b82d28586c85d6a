# SPDX-License-Identifier: BSD-3-Clause

"""
Reading a study
===============

``skmnist study`` leaves a folder of plain files. Here a small study is run and its
folder read: what was tried, what won each stage and why, and what it cost.
"""

# %%
# The eight stages of the report in their small form, three epochs a fit. On the
# command line this is
#
# .. code-block:: console
#
#    $ skmnist study --dataset digits --preset quick --epochs 3 --out my-study
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from skmnist.reporting import describe_final
from skmnist.study import StudyConfig, read_study, run_study

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name) / "my-study"
run_study(StudyConfig(dataset="digits", preset="quick", epochs=3), folder)
print(sorted(path.name for path in folder.iterdir() if path.name[0] != "."))

# %%
# `read_study` returns the content of these files, of an unfinished study as far as it
# came. The header says what was done with which data and versions.
study = read_study(folder)
print(study.header.config)
print(study.header.data.name, study.header.data.fingerprint[:12])

# %%
# There is a row for each candidate, with what was tried and what was measured. As a
# table, which a DataFrame takes as it is, the rows are easily asked anything.
first = study.rows[0]
print(first.params["widths"], first.accuracy)
rows = pd.DataFrame(study.frame())
print(rows[rows.winner][["stage", "accuracy", "gap", "seconds", "n_parameters"]])

# %%
# Each stage names its rule, and its reason in words.
for stage in study.stages:
    print(f"{stage.title}: {stage.reason}.")

# %%
# The path of the search: all candidates, and the winner of each stage.
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
# The summary is about the final model, which alone has seen the test set. The model
# itself is in ``model.skmnist``, for `KerasMLPClassifier.load`.
print(describe_final(study.summary))
temporary.cleanup()
