"""A Keras multilayer perceptron as a fully searchable scikit-learn classifier.

Public names are loaded on first use, so that ``import skmnist`` costs
milliseconds and starts neither TensorFlow nor scikit-learn.
"""

# SPDX-License-Identifier: BSD-3-Clause

from importlib import import_module

_HOMES = {
    "AugmentedPredictionClassifier": "views",
    "Comparison": "differences",
    "FirstLayerDisplay": "pictures",
    "FitCurveDisplay": "curves",
    "GapDisplay": "scores",
    "Distortions": "distortions",
    "KerasMLPClassifier": "classifier",
    "MisreadDigitsDisplay": "pictures",
    "Stage": "search",
    "StageScoresDisplay": "scores",
    "StagedSearchCV": "search",
    "ValidationEarlyStopping": "validation",
    "best_score": "selection",
    "compare": "significance",
    "compare_candidates": "gains",
    "corrected_resampled_t_test": "differences",
    "fetch_mnist": "datasets",
    "find_overlap": "overlap",
    "holm": "significance",
    "load_digits_28x28": "datasets",
    "log_search": "tensorboard",
    "log_study": "tensorboard",
    "normalize_digit": "images",
    "mcnemar_test": "differences",
    "one_standard_error": "selection",
    "prefer": "selection",
    "read_digit": "images",
    "record_scoring": "selection",
    "report_stages": "experiment",
    "significantly_better": "gains",
    "smallest": "selection",
    "within_gap": "selection",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name == "__version__":
        from importlib.metadata import version

        return version("skmnist")
    if name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__, "__version__"]
