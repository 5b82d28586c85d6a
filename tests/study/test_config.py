"""The configuration of a study: what can be, and what is refused where it enters."""

import json
from pathlib import Path

import numpy as np
import pytest

from skmnist.cli import main
from skmnist.study import StudyConfig

SEEDS = "a whole number from 0 to 4294967295"
POSITIVE = "a whole number from 1"
BUDGET = "seconds, a number above 0 or None"
REFUSED = {
    "protocol": ("hold-out", "one of 'holdout', 'report'"),
    "preset": ("grand", "one of 'full', 'report', 'quick', 'as-reported', 'accuracy'"),
    "backend": ("threads", "one of 'loky', 'dask'"),
    "dataset": (None, "text"),
    "data": (3, "text or None"),
    "n_jobs": (0, "a whole number other than 0"),
    "time_budget": (-1, BUDGET),
    "n_iter": (0, "a whole number from 1 or a dict or None"),
    "seed": (-1, SEEDS),
    "epochs": (0, f"{POSITIVE} or None"),
}
MORE = [
    ("protocol", None, REFUSED["protocol"][1]),
    ("protocol", 1, REFUSED["protocol"][1]),
    ("preset", ["report"], "text"),
    ("n_jobs", 1.0, "a whole number other than 0"),
    ("n_jobs", True, "a whole number other than 0"),
    ("time_budget", 0, BUDGET),
    ("time_budget", float("nan"), BUDGET),
    ("time_budget", float("inf"), BUDGET),
    ("time_budget", "1h", BUDGET),
    ("seed", 2**32, SEEDS),
    ("seed", 1.5, SEEDS),
    ("seed", None, SEEDS),
    ("epochs", "20", f"{POSITIVE} or None"),
    ("epochs", np.float64(2), f"{POSITIVE} or None"),
    ("scheduler", "tcp://here:1", "None unless backend is 'dask'"),
]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [*((name, *said) for name, said in REFUSED.items()), *MORE],
    ids=str,
)
def test_a_wrong_parameter_is_named_with_its_value_and_the_choices(
    name, value, expected
):
    with pytest.raises(ValueError) as error:
        StudyConfig(**{name: value})
    assert str(error.value) == f"{name} must be {expected}; got {value!r}"


@pytest.mark.parametrize(
    ("n_iter", "message"),
    [
        ({"depth_width": 0}, "n_iter.depth_width must be a whole number from 1; got 0"),
        ({"rates": 3}, "n_iter must be by stages of the preset, 'depth_width', "),
        ({1: 3}, "a key of n_iter must be text; got 1"),
    ],
    ids=["number", "stage", "key"],
)
def test_wrong_limits_of_stages_are_named(n_iter, message):
    with pytest.raises(ValueError) as error:
        StudyConfig(n_iter=n_iter)
    assert str(error.value).startswith(message)


def test_values_become_those_that_json_keeps():
    config = StudyConfig(
        dataset=Path("own.npz"),
        data=Path("folder"),
        n_jobs=np.int64(2),
        seed=np.uint32(7),
        time_budget=60,
        n_iter={"optimizer": np.int8(2)},
    )
    plain = json.loads(json.dumps(config.as_dict()))
    assert StudyConfig(**plain) == config
    assert (config.dataset, config.seed, config.n_iter) == (
        "own.npz",
        7,
        {"optimizer": 2},
    )


def test_epochs_are_a_number_unless_the_rows_decide_them():
    assert [StudyConfig(preset=p).epochs for p in ("report", "quick")] == [20, 20]
    assert StudyConfig().epochs is None
    assert StudyConfig(epochs=3).epochs == 3


def test_what_was_recorded_may_have_a_preset_of_another_script():
    plain = StudyConfig(seed=3).as_dict() | {"preset": "mine"}
    config = StudyConfig._recorded(plain)
    assert (config.preset, config.seed) == ("mine", 3)
    with pytest.raises(ValueError, match="preset must be one of"):
        StudyConfig(**plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "8589934592"], "8589934592 is not in the range 0<=x<=4294967295"),
        (["--n-jobs", "0"], "--n-jobs: n_jobs must be a whole number other than 0"),
        (["--n-iter", "rates=3"], "--n-iter: n_iter must be by stages of the preset"),
        (["--scheduler", "tcp://x"], "--scheduler: scheduler must be None unless"),
    ],
    ids=["seed", "n_jobs", "n_iter", "scheduler"],
)
def test_the_command_line_says_it_in_one_line(options, message, capsys, tmp_path):
    out = tmp_path / "study"
    assert main(["study", "--out", str(out), *options]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not out.exists()
