# SPDX-License-Identifier: BSD-3-Clause

"""
A search on a Dask cluster
==========================

scikit-learn's searches run their fits through joblib, and joblib can hand them to a
Dask cluster. Nothing in the search changes.
"""

# %%
# Dask is an extra (``pip install "skmnist[dask]"``); without it, this lesson ends
# here.
import sys

try:
    from distributed import Client, LocalCluster
except ImportError:
    print('Skipped: this needs Dask, pip install "skmnist[dask]"')
    sys.exit()

import joblib
from sklearn.model_selection import GridSearchCV

from skmnist import KerasMLPClassifier, load_digits_28x28

X, y = load_digits_28x28(return_X_y=True)
search = GridSearchCV(
    KerasMLPClassifier(depth=1, epochs=8, random_state=0),
    {"widths": [16, 32], "batch_size": [32, 64]},
    cv=2,
)

# %%
# A cluster of two workers with one thread each. To keep this lesson in one process
# they are threads of it; a real cluster is ``Client("tcp://scheduler:8786")``, its
# workers are processes that were started with ``dask worker --nthreads 1``. One
# thread per worker, because two fits in one process compete for the same cores.
cluster = LocalCluster(
    n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
)

# %%
# The data are sent to the workers once, not with each of the eight fits.
with (
    Client(cluster) as client,
    joblib.parallel_config("dask", scatter=[X, y], wait_for_workers_timeout=30),
):
    print(f"{len(client.scheduler_info()['workers'])} workers")
    search.fit(X, y)
cluster.close()
print(search.best_params_, round(search.best_score_, 3))

# %%
# The scores are those of a search without a cluster: every fit draws its seeds from
# its own ``random_state``, wherever it runs.
on_cluster = search.cv_results_["mean_test_score"]
search.fit(X, y)
here = search.cv_results_["mean_test_score"]
print("cluster:", on_cluster.round(3))
print("here:   ", here.round(3))
