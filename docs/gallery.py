"""The order of the gallery: a module, because Sphinx must pickle its settings."""

# SPDX-License-Identifier: BSD-3-Clause

LESSONS = (
    "plot_first_fit.py",
    "replace_mlp_classifier.py",
    "stages_by_hand.py",
    "staged_search.py",
    "plot_selection_rules.py",
    "plot_early_stopping.py",
    "plot_validation_leak.py",
    "plot_distorted_images.py",
    "data_frame_pipeline.py",
    "dask_cluster.py",
    "plot_reading_a_study.py",
    "tensorboard_search.py",
)


class LessonOrder:
    """Sort the examples as they are to be read; those not listed follow by name."""

    def __init__(self, src_dir):
        pass

    def __call__(self, filename):
        """Return what to sort a file by."""
        place = LESSONS.index(filename) if filename in LESSONS else len(LESSONS)
        return place, filename
