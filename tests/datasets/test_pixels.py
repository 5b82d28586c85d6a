"""The scale of pixels: told from the training part, the same for all parts."""

# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmnist.datasets import DataError, load_dataset, load_npz
from skmnist.datasets._pixels import parse_pixels, scale_pixels, tell_scale


def pictures(low, high, dtype, n=12, seed=0):
    """Pictures with both ends of a range, and values between them."""
    values = np.random.default_rng(seed).uniform(low, high, (n, 16))
    values[:, 0], values[:, 1] = low, high
    return (
        np.round(values).astype(dtype)
        if np.dtype(dtype).kind in "iu"
        else (values.astype(dtype))
    )


# (lowest, highest, type): the values of paper and of full ink.
SCALES = {
    (0, 1, np.uint8): (0, 1),
    (0, 1, np.int64): (0, 1),
    (0, 16, np.uint8): (0, 16),
    (0, 15, np.int16): (0, 16),
    (0, 3, np.uint8): (0, 3),
    (0, 255, np.uint8): (0, 255),
    (0, 255, np.int64): (0, 255),
    (0, 254, np.uint8): (0, 255),
    (0, 40, np.uint8): (0, 40),
    (0, 1023, np.uint16): (0, 1023),
    (0, 4095, np.uint16): (0, 4095),
    (0, 65535, np.uint16): (0, 65535),
    (0, 65535, np.int32): (0, 65535),
    (-128, 127, np.int8): (-128, 127),
    (-1, 1, np.int8): (-1, 1),
    (0, 1, np.float32): (0, 1),
    (0, 0.3, np.float64): (0, 1),
    (-0.03, 1.04, np.float32): (0, 1),
    (0, 16, np.float64): (0, 16),
    (0, 255, np.float32): (0, 255),
    (-4, 259, np.float32): (0, 255),
    (0, 65535, np.float32): (0, 65535),
    (-1, 1, np.float32): (-1, 1),
    (-1, 0.9, np.float64): (-1, 1),
    (-0.5, 0.5, np.float32): (-0.5, 0.5),
}


@pytest.mark.parametrize(
    "given", SCALES, ids=lambda g: f"{g[0]}..{g[1]} {g[2].__name__}"
)
def test_paper_is_0_and_full_ink_is_1(given):
    low, high = SCALES[given]
    X = pictures(*given)
    (scaled,), said = scale_pixels([X])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(
        scaled, (X.astype(float) - low) / (high - low), atol=1e-6
    )
    seen = f"Pixels from {given[0]:g} to {given[1]:g}"
    assert said == f"{seen}, scaled from {low:g}..{high:g} to 0..1"


@pytest.mark.parametrize("given", [(-0.4242, 2.8215), (-3.0, 3.0), (-300.0, 9.0)])
def test_other_values_are_kept(given):
    X = pictures(*given, np.float32)
    (scaled,), said = scale_pixels([X])
    np.testing.assert_array_equal(scaled, X)
    assert said.endswith(", kept as they are")


def test_blank_pictures_are_kept():
    (scaled,), _ = scale_pixels([np.zeros((3, 4), np.uint8)])
    assert not scaled.any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("given", [g for g in SCALES if g[0] >= 0])
def test_a_test_part_with_less_ink_has_the_scale_of_the_training_part(given, seed):
    train = pictures(*given, seed=seed)
    test = (train * (0.02 if train.dtype.kind == "f" else 0)).astype(train.dtype)
    test[0, 2:5] = train[0, 2:5]
    (scaled_train, scaled_test), _ = scale_pixels([train, test])
    np.testing.assert_array_equal(scaled_test[0, 2:5], scaled_train[0, 2:5])


def test_a_test_part_with_a_little_more_ink():
    train, test = pictures(0, 12, np.uint8), pictures(0, 16, np.uint8)
    _, said = scale_pixels([train, test])
    assert said == "Pixels from 0 to 12, scaled from 0..16 to 0..1"
    train, test = pictures(0, 100, np.uint8), pictures(0, 255, np.uint8)
    _, said = scale_pixels([train, test])
    assert said == "Pixels from 0 to 100, scaled from 0..255 to 0..1"


@pytest.mark.parametrize(
    ("first", "second"),
    [((0, 1), (0, 255)), ((0, 16), (0, 255)), ((0, 1), (-9, 9))],
)
def test_parts_of_different_scales_are_an_error(first, second):
    parts = [pictures(*first, np.float32), pictures(*second, np.float32)]
    with pytest.raises(ValueError, match="different scales in training and test"):
        scale_pixels(parts)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [("0..16", 5 / 16), ("-1..9", 0.6), ((0, 10), 0.5), ("keep", 5), ("0..1e1", 0.5)],
)
def test_a_scale_that_is_asked_for(pixels, expected):
    (scaled,), _ = scale_pixels([np.full((2, 2), 5, np.uint8)], pixels)
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "pixels", ["", "bytes", "0..", "5..5", "9..1", "0..inf", "nan..1", (1,), None, 255]
)
def test_what_is_no_scale(pixels):
    with pytest.raises(ValueError, match=r"a range such as 0\.\.255; got"):
        parse_pixels(pixels)


@pytest.mark.parametrize("seed", range(20))
def test_the_scale_does_not_depend_on_the_order_and_holds_the_pixels(seed):
    rng = np.random.default_rng(seed)
    highest = float(rng.choice([1, 10, 300, 5000])) * rng.random() + 1e-3
    scale = tell_scale(0, highest, whole=False)
    assert scale.low == 0 and highest <= 1.1 * scale.high
    assert scale.high <= max(1, 2 * highest)


# In files


def test_npz_of_integers_up_to_16_is_that_of_floats_up_to_1(tmp_path):
    X, y = load_digits(return_X_y=True)
    np.savez(tmp_path / "whole.npz", X=X.astype(np.uint8), y=y)
    np.savez(tmp_path / "floats.npz", X=X, y=y)
    np.savez(tmp_path / "scaled.npz", X=X / 16, y=y)
    found = [load_npz(tmp_path / f"{n}.npz") for n in ("whole", "floats", "scaled")]
    assert len({bunch.fingerprint for bunch in found}) == 1
    assert "Pixels from 0 to 16, scaled from 0..16 to 0..1" in found[0].DESCR


def test_load_dataset_passes_the_scale_on(tmp_path):
    np.savez(tmp_path / "own.npz", X=np.eye(12, dtype=np.uint8), y=[0, 1] * 6)
    own = load_dataset(tmp_path / "own.npz", pixels="0..2")
    assert own.data.max() == 0.5
    assert own.note.startswith("Pixels from 0 to 1, scaled from 0..2 to 0..1. ")
    with pytest.raises(DataError, match=r"own\.npz: pixels must be"):
        load_dataset(tmp_path / "own.npz", pixels="much")
    with pytest.raises(DataError, match="digits: has a known scale"):
        load_dataset("digits", pixels="0..2")


@pytest.mark.parametrize("shape", [(12, 4, 4, 1), (12, 1, 4, 4)])
def test_pictures_with_one_channel(shape, tmp_path):
    X = pictures(0, 255, np.uint8)
    np.savez(tmp_path / "own.npz", X=X.reshape(shape), y=[0, 1] * 6)
    np.savez(tmp_path / "flat.npz", X=X.reshape(12, 4, 4), y=[0, 1] * 6)
    own, flat = load_npz(tmp_path / "own.npz"), load_npz(tmp_path / "flat.npz")
    assert own.fingerprint == flat.fingerprint
    assert own.feature_names == flat.feature_names
