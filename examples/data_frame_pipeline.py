# SPDX-License-Identifier: BSD-3-Clause

"""
A pipeline with a DataFrame
===========================

Here the classifier is the last step of a ``Pipeline``. The data are a pandas DataFrame
with named columns and text labels. A grid search tunes the classifier in the pipeline.
"""

# %%
# scikit-learn's digits have 64 columns with names and values from 0 to 16. We use words
# as labels and add one column of text.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.feature_selection import VarianceThreshold
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from skmnist import KerasMLPClassifier

frame, digits = load_digits(return_X_y=True, as_frame=True)
labels = digits.map(lambda digit: f"digit {digit}")
ink = frame.sum(axis="columns")
frame["pen"] = np.where(ink > ink.median(), "thick", "thin")
X_train, X_test, y_train, y_test = train_test_split(
    frame, labels, stratify=labels, random_state=0
)
print(X_train.iloc[:3, -4:])

# %%
# The pipeline scales the pixels, turns the text into two columns of zeros and ones, and
# drops pixels without ink. All steps return DataFrames.
columns = make_column_transformer(
    (OneHotEncoder(sparse_output=False), ["pen"]),
    remainder=MinMaxScaler(),
    verbose_feature_names_out=False,
)
pipeline = Pipeline(
    [
        ("columns", columns),
        ("used", VarianceThreshold()),
        ("network", KerasMLPClassifier(depth=1, epochs=25, random_state=0)),
    ]
).set_output(transform="pandas")

# %%
# You can search parameters of any step as ``<step>__<parameter>``.
search = GridSearchCV(
    pipeline,
    {"network__widths": [16, 64], "network__batch_size": [32, 64]},
    cv=2,
)
search.fit(X_train, y_train)
print(search.best_params_)
print(f"Test accuracy: {search.score(X_test, y_test):.3f}")
print(search.predict(X_test.iloc[:4]), "were", y_test.iloc[:4].tolist())

# %%
# The network knows the names of its inputs and raises an error for other names.
network = search.best_estimator_["network"]
print(f"{network.n_features_in_} inputs: {network.feature_names_in_[:4]} ...")
try:
    network.predict(X_test)
except ValueError as error:
    print(str(error).splitlines()[0])

# %%
# Which digits does it confuse? The display takes the labels from the pipeline.
fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    search, X_test, y_test, ax=ax, cmap="Blues", colorbar=False, xticks_rotation=60
)
ax.set_title(f"{np.sum(search.predict(X_test) != y_test)} of {len(y_test)} are misread")
plt.show()
