# SPDX-License-Identifier: BSD-3-Clause

"""
A search on a Dask cluster
==========================

scikit-learn's searches run their fits through joblib, and joblib can send them to a
Dask cluster. You do not have to change the search.
"""

# %%
# This lesson needs Dask (``pip install "skmnist[dask]"``). Without Dask it ends here.
import sys

try:
    from distributed import Client, LocalCluster, get_task_stream
except ImportError:
    print('Skipped: this needs Dask, pip install "skmnist[dask]"')
    sys.exit()

import joblib
import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV

from skmnist import KerasMLPClassifier, load_digits_28x28

X, y = load_digits_28x28(return_X_y=True)
search = GridSearchCV(
    KerasMLPClassifier(depth=1, epochs=25, random_state=0),
    {"widths": [16, 32], "batch_size": [32, 64]},
    cv=2,
)

# %%
# Start a cluster of two workers with one thread each. In this lesson the workers are
# threads of one process. For a real cluster, use ``Client("tcp://scheduler:8786")`` and
# start the workers with ``dask worker --nthreads 1``. Give each worker one thread,
# because two fits in one process compete for the same cores.
cluster = LocalCluster(
    n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
)

# %%
# ``scatter`` sends the data to the workers once, not with each of the eight fits. The
# task stream records what each worker does.
with (
    Client(cluster) as client,
    get_task_stream(client) as stream,
    joblib.parallel_config("dask", scatter=[X, y], wait_for_workers_timeout=30),
):
    print(f"{len(client.scheduler_info()['workers'])} workers")
    search.fit(X, y)
cluster.close()
print(search.best_params_, round(search.best_score_, 3))

# %%
# You get the same scores without a cluster: every fit takes its seeds from its own
# ``random_state``.
on_cluster = search.cv_results_["mean_test_score"]
search.fit(X, y)
here = search.cv_results_["mean_test_score"]
print("cluster:", on_cluster.round(3))
print("here:   ", here.round(3))

# %%
# Draw which worker computed when. A worker gets the next fit as soon as it is free. The
# first fits take longest: they wait until TensorFlow is loaded.
spans = [
    (task["worker"], span["start"], span["stop"] - span["start"])
    for task in stream.data
    for span in task["startstops"]
    if span["action"] == "compute"
]
begin = min(start for _, start, _ in spans)
numbers = {worker: f"worker {i}" for i, worker in enumerate({s[0] for s in spans}, 1)}
fig, ax = plt.subplots(figsize=(8, 2.2), layout="constrained")
for worker, start, seconds in spans:
    ax.barh(numbers[worker], seconds, left=start - begin, edgecolor="white", color="C0")
ax.set(xlabel="seconds", title="Fits on the cluster")
plt.show()
