"""Files of models from anywhere: each is refused in one line, or is what it was."""

# SPDX-License-Identifier: BSD-3-Clause

import copy
import io
import json
import random
import struct
import tracemalloc
import warnings
import zipfile

import keras
import numpy as np
import pytest

from skmnist import Distortions, KerasMLPClassifier
from skmnist._archive import Form, from_json, read_archive
from skmnist._io import ModelFileError, to_json, write_archive
from skmnist.neural_network._model_file import (
    OPTIMIZER_CLASSES,
    SCHEDULE_CLASSES,
    check_model,
    check_optimizer,
    check_params,
    layer_forms,
    read_kept,
    read_model,
)
from skmnist.neural_network._optimizer_params import OPTIMIZERS
from skmnist.neural_network.keras_side._optimizers import WarmUp

ROWS = np.random.default_rng(0).random((30, 9)).astype(np.float32)
LABELS = np.array(["a", "b", "c"] * 10)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The file of a model with a layer of each kind."""
    path = tmp_path_factory.mktemp("models") / "model.skmnist"
    classifier = KerasMLPClassifier(
        widths=(4, 3),
        epochs=1,
        random_state=0,
        dropout=0.1,
        input_dropout=0.1,
        input_scaling="learned",
        batch_normalization=True,
        augmentation=Distortions(shift=0.1),
        class_weight={"a": 1.0, "b": 2.0, "c": 1.0},
        optimizer=keras.optimizers.Adam(0.01),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(ROWS, LABELS)
    classifier.save(path)
    return path


@pytest.fixture(scope="module")
def parts(model):
    return read_model(model)


def forms_of(arrays):
    return [Form(array.dtype, array.shape, False, 0) for array in arrays]


def written(path, described, arrays):
    write_archive(path, described, arrays)
    return path


def is_refused(path):
    """Return whether a file is refused; check that it is in one line."""
    try:
        read_model(path)
    except ModelFileError as error:
        line = str(error)
        assert line.startswith(f"{path}: ") and line.isprintable(), ascii(line)
        assert len(line) < 2000
        return True
    return False


# ---- fuzzing -------------------------------------------------------------------------


def mutated_bytes(whole, generator):
    """Return a file with a few bytes that are other, gone, new, or twice."""
    content = bytearray(whole)
    for _ in range(generator.choice((1, 1, 1, 2, 5))):
        # The description and the list of entries are the smaller part of a file.
        start = generator.choice((0, len(content) // 2, len(content) * 9 // 10))
        at = generator.randrange(start, len(content))
        length = generator.choice((1, 1, 2, 4, 30))
        piece = content[at : at + length]
        kind = generator.randrange(6)
        if kind == 0:
            content[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            content[at : at + length] = generator.randbytes(len(piece))
        elif kind == 2:
            content[at : at + length] = b""
        elif kind == 3:
            content[at:at] = generator.randbytes(length)
        elif kind == 4:
            content[at:at] = piece
        else:
            content[at : at + 4] = struct.pack("<L", generator.choice(SIZES))
    return content


SIZES = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 1 << 20)


def test_a_file_with_other_bytes_is_refused_or_says_the_same(model, parts, tmp_path):
    whole, generator, path = model.read_bytes(), random.Random(0), tmp_path / "model"
    refused = 0
    for _ in range(3000):
        path.write_bytes(mutated_bytes(whole, generator))
        if is_refused(path):
            refused += 1
        else:
            np.testing.assert_equal(read_model(path), parts)
    assert refused > 2000


# What else may stand in JSON in place of a value.
ODD = [
    None,
    True,
    0,
    1,
    -1,
    2,
    7,
    10**6,
    10**30,
    0.5,
    -0.1,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "relu",
    "adam",
    "\x1b[2J\n",
    "x" * 20_000,
    [],
    [1],
    [[]],
    {},
    {"tuple": [1, 2]},
    {"tuple": 3},
    {"dict": [["a", 1]]},
    {"dict": [["a"]]},
    {"dict": [[[], 1]]},
    {"array": [1, 2, 3], "dtype": "int64"},
    {"array": ["a"], "dtype": "<U9999999"},
    {"array": [1], "dtype": "V8"},
    {"array": [[1], [2, 3]], "dtype": "int8"},
    {"dict": [["module", "keras.layers"], ["class_name", "TFSMLayer"]]},
    {"dict": [["module", "os"], ["class_name", "mkdir"], ["config", {"dict": []}]]},
]


def places(encoded, found, way=()):
    """Collect all places in JSON: what holds a value, and the key of the value."""
    if isinstance(encoded, dict | list):
        pairs = encoded.items() if isinstance(encoded, dict) else enumerate(encoded)
        for key, value in pairs:
            found.append((encoded, key, (*way, key)))
            places(value, found, (*way, key))
    return found


@pytest.fixture(scope="module")
def encoded(parts):
    return json.loads(json.dumps(to_json(parts[0])))


def mutate(holder, key, generator):
    """Change a list or a dict in one place; return what undoes it."""
    before = copy.copy(holder)
    kind = generator.randrange(5)
    if kind < 3:
        holder[key] = generator.choice(ODD)
    elif kind == 3:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        holder["new"] = holder.pop(key)

    def undo():
        holder.clear()
        (holder.update if isinstance(holder, dict) else holder.extend)(before)

    return undo


def accepted_mutations(encoded, arrays, n_tries):
    """Yield descriptions with another value somewhere, which are still accepted."""
    forms, generator = forms_of(arrays), random.Random(1)
    found = places(encoded, [])
    for _ in range(n_tries):
        holder, key, way = generator.choice(found)
        undo = mutate(holder, key, generator)
        try:
            described = from_json(encoded)
            check_model(described, forms)
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
            continue  # `read_archive` makes one error of all of them
        else:
            yield way, described
        finally:
            undo()


# To build a network takes as long as a hundred checks.
N_TO_ONE_LOAD = 25


def test_another_description_is_refused_or_a_whole_model(encoded, parts, tmp_path):
    """What passes the checks loads, and predicts as before unless it says otherwise."""
    described, arrays = parts
    expected = KerasMLPClassifier.load(
        written(tmp_path / "model", described, arrays)
    ).predict_proba(ROWS)
    n_tries, n_accepted, n_loaded = 10_000, 0, 0
    for _, changed in accepted_mutations(encoded, arrays, n_tries):
        n_accepted += 1
        if n_accepted % N_TO_ONE_LOAD:
            continue
        try:
            written(tmp_path / "model", changed, arrays)
            loaded = KerasMLPClassifier.load(tmp_path / "model")
        except ModelFileError:
            continue  # an argument that this optimizer does not have
        n_loaded += 1
        probabilities = loaded.predict_proba(ROWS)
        if changed["spec"]["network"] == described["spec"]["network"]:
            np.testing.assert_array_equal(probabilities, expected)
        assert probabilities.shape == (30, 3) and np.isfinite(probabilities).all()
        assert set(loaded.predict(ROWS)) <= set(loaded.classes_)
    assert n_loaded > 0 and n_accepted < n_tries / 4


# ---- sizes that lie ------------------------------------------------------------------


def rebuilt(path, entries, method=zipfile.ZIP_STORED):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries:
                packed = zipfile.ZIP_DEFLATED if name.endswith("json") else method
                archive.writestr(name, content, packed)
    return path


@pytest.fixture(scope="module")
def entries(model):
    with zipfile.ZipFile(model) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def head(descr, shape, order=False):
    buffer = io.BytesIO()
    described = {"descr": descr, "fortran_order": order, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


HEADS = {
    "a huge shape": lambda n: head("<f4", (10**9, 10**9)),
    "a negative shape": lambda n: head("<f4", (-1, n // -4)),
    "more than there is": lambda n: head("<f4", (n,)),
    "less than there is": lambda n: head("<f4", (1,)),
    "objects": lambda n: head("|O", (n // 8,)),
    "complex numbers": lambda n: head("<c8", (n // 8,)),
    "text": lambda n: head("<U1", (n // 4,)),
    "records": lambda n: head([("a", "<f4")], (n // 4,)),
    "another type of the same size": lambda n: head("<i4", (n // 4,)),
    "many dimensions": lambda n: head("<f4", (1,) * 30 + (n // 4,)),
    "no head": lambda n: b"\x93NUMPY\x01\x00\xff\xff",
    "code": lambda n: (
        b"\x93NUMPY\x01\x00\x20\x00" + b"__import__('os').abort()".ljust(32)
    ),
}


@pytest.mark.parametrize("kind", HEADS)
def test_an_array_with_a_wrong_head_is_refused(entries, tmp_path, kind):
    name, content = entries[3]
    numbers = content[128:]
    changed = [*entries]
    changed[3] = name, HEADS[kind](len(numbers)) + numbers
    assert is_refused(rebuilt(tmp_path / "model", changed))


ARCHIVES = {
    "an array too few": lambda entries: entries[:-1],
    "an array too many": lambda entries: [*entries, ("arrays/0099.npy", b"")],
    "an array twice": lambda entries: [*entries, entries[-1]],
    "a foreign entry": lambda entries: [*entries, ("../evil.py", b"")],
    "no description": lambda entries: entries[1:],
    "an empty description": lambda entries: [(entries[0][0], b""), *entries[1:]],
    "a deep description": lambda entries: [(entries[0][0], b"[" * 10**6), *entries[1:]],
    "a deep value": lambda entries: [
        (
            entries[0][0],
            json.dumps(
                json.loads(entries[0][1])
                | {"content": json.loads("[" * 200 + "]" * 200)}
            ).encode(),
        ),
        *entries[1:],
    ],
    "a long description": lambda entries: [
        (entries[0][0], entries[0][1] + b" " * (33 << 20)),
        *entries[1:],
    ],
    "a long number": lambda entries: [
        (
            entries[0][0],
            entries[0][1].replace(b'"version": 1', b'"version": 1' + b"0" * 5000),
        ),
        *entries[1:],
    ],
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_with_other_entries_is_refused(entries, tmp_path, kind):
    assert is_refused(rebuilt(tmp_path / "model", ARCHIVES[kind](entries)))


def test_packed_arrays_are_refused_before_they_are_unpacked(entries, tmp_path):
    (name, _), *others = entries[1:]
    zeros = head("<f4", (10 << 20,)) + bytes(40 << 20)
    path = rebuilt(
        tmp_path / "model",
        [entries[0], (name, zeros), *others],
        zipfile.ZIP_DEFLATED,
    )
    del zeros
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    assert is_refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_a_network_larger_than_its_file_is_refused_before_it_is_built(parts, tmp_path):
    described, arrays = copy.deepcopy(parts)
    described["spec"]["network"]["widths"] = [10**7, 10**7]
    path = written(tmp_path / "model", described, arrays)
    tracemalloc.start()
    assert is_refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


# ---- what contradicts ----------------------------------------------------------------


def change(described, way, value):
    *path, last = way.split(".")
    for key in path:
        described = described[key]
    described[last] = value


CONTRADICTIONS = {
    "classes": ("learned.classes_", np.array(["a", "b"])),
    "classes not in order": ("learned.classes_", np.array(["b", "a", "c"])),
    "a class twice": ("learned.classes_", np.array(["a", "a", "b"])),
    "classes that are no numbers": ("learned.classes_", np.array([0, 1, np.nan])),
    "classes in a matrix": ("learned.classes_", np.array([["a", "b", "c"]])),
    "features": ("learned.n_features_in_", 8),
    "names of features": ("learned.feature_names_in_", np.array(["a"] * 8, object)),
    "outputs": ("learned.n_outputs_", 4),
    "kind of outputs": ("learned.out_activation_", "logistic"),
    "layers": ("learned.n_layers_", 3),
    "an empty history": ("learned.history_", {}),
    "a short curve": ("learned.loss_curve_", []),
    "a method": ("learned.predict", 1),
    "an inner attribute": ("learned.__class__", 1),
    "a width": ("spec.network.widths", [4, 4]),
    "a layer": ("spec.network.widths", [4]),
    "another type": ("spec.network.dtype", "float64"),
    "a loss of other outputs": ("spec.loss.n_outputs", 4),
    "an activation": ("spec.network.activations", ["relu", "softmax"]),
    "a class in place of an activation": (
        "spec.network.activations",
        ["relu", {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}}],
    ),
    "an initializer": ("spec.network.output_initializer", "keras.utils.get_file"),
    "dropout": ("spec.network.dropout", [0.1, 0.0]),
    "a frozen layer": ("spec.frozen", ["hidden_9"]),
    "distortions": ("spec.network.augmentation", None),
    "images": ("spec.network.augmentation.image_shape", [2, 2]),
    "an optimizer": ("spec.optimizer.optimizer", "keras.optimizers.Adam"),
    "a folder to write to": ("params.memory", "/tmp/x"),
    "callbacks": ("params.callbacks", ["print"]),
    "an unknown parameter": ("params.unknown", 1),
    "an odd width": ("params.widths", (4, -1)),
    "an odd value": ("params.epochs", -3),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_a_description_that_contradicts_itself_is_refused(parts, tmp_path, kind):
    described, arrays = copy.deepcopy(parts)
    change(described, *CONTRADICTIONS[kind])
    path = written(tmp_path / "model", described, arrays)
    with pytest.raises(ModelFileError, match="model: "):
        KerasMLPClassifier.load(path)


def test_numbers_that_are_not_finite_are_refused(parts, tmp_path):
    described, arrays = parts
    for i, array in enumerate(arrays):
        if array.dtype.kind == "f":
            changed = [*arrays]
            changed[i] = array.copy()
            changed[i].flat[-1] = (np.nan, np.inf, -np.inf)[i % 3]
            assert is_refused(written(tmp_path / "model", described, changed))


def test_a_scale_of_zero_is_refused(parts, tmp_path):
    described, arrays = copy.deepcopy(parts)
    kinds = [kind for kind, _ in layer_forms(described["spec"]["network"])]
    for kind, value in {"scale": 0.0, "variance": -1.0}.items():
        changed = [*arrays]
        i = kinds.index(kind)
        changed[i] = np.full_like(arrays[i], value)
        assert is_refused(written(tmp_path / "model", described, changed))


@pytest.mark.parametrize("dtype", [np.int32, np.float64, np.float16, np.bool_])
def test_weights_of_another_type_are_refused(parts, tmp_path, dtype):
    described, arrays = parts
    kinds = [kind for kind, _ in layer_forms(described["spec"]["network"])]
    for i, kind in enumerate(kinds):
        if kind != "seed":
            changed = [*arrays]
            changed[i] = arrays[i].astype(dtype)
            assert is_refused(written(tmp_path / "model", described, changed))


# ---- optimizers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in OPTIMIZER_CLASSES if hasattr(keras.optimizers, name)]
)
def test_every_optimizer_of_keras_can_be_saved(name):
    own = keras.optimizers
    inner = {"LossScaleOptimizer": lambda: [own.Adam()]}
    inner["MultiOptimizer"] = lambda: [
        own.OptimizerMap(own.Adam(), {".*output/kernel": own.SGD()})
    ]
    optimizer = getattr(own, name)(*inner.get(name, list)())
    check_optimizer(json.loads(json.dumps(keras.optimizers.serialize(optimizer))))


RATES = [
    WarmUp(0.1, 3),
    WarmUp(0.1, 3, keras.optimizers.schedules.CosineDecay(0.1, 5)),
    keras.optimizers.schedules.CosineDecay(0.1, 5),
    keras.optimizers.schedules.CosineDecayRestarts(0.1, 5),
    keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9),
    keras.optimizers.schedules.InverseTimeDecay(0.1, 5, 0.9),
    keras.optimizers.schedules.PiecewiseConstantDecay([3, 5], [0.1, 0.01, 0.001]),
    keras.optimizers.schedules.PolynomialDecay(0.1, 5),
]


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: type(rate).__name__)
def test_every_learning_rate_of_keras_can_be_saved(rate):
    described = keras.optimizers.serialize(keras.optimizers.SGD(rate))
    check_optimizer(json.loads(json.dumps(described)))


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "[ab]*", "a{1,9}", "a|b", ".*" * 5, "a" * 101, "\\d"]
)
def test_a_pattern_that_could_take_for_ever_is_no_pattern(pattern):
    if not hasattr(keras.optimizers, "OptimizerMap"):
        pytest.skip("this Keras has no OptimizerMap")
    parts = keras.optimizers.OptimizerMap(
        keras.optimizers.Adam(), {pattern: keras.optimizers.SGD()}
    )
    described = keras.optimizers.serialize(keras.optimizers.MultiOptimizer(parts))
    with pytest.raises(ValueError, match="no pattern"):
        check_optimizer(described)


def test_no_class_of_keras_is_missing():
    bases = {"Optimizer", "LearningRateSchedule"}
    known = {*OPTIMIZER_CLASSES, *SCHEDULE_CLASSES, *bases, "OptimizerMap"}
    for home in keras.optimizers, keras.optimizers.schedules:
        classes = {
            name for name, thing in vars(home).items() if isinstance(thing, type)
        }
        assert classes <= known


def test_an_optimizer_of_a_user_is_named_when_it_is_saved(parts, tmp_path):
    class Mine(keras.optimizers.SGD):
        pass

    described, arrays = parts
    classifier = KerasMLPClassifier.load(written(tmp_path / "a", described, arrays))
    with pytest.raises(TypeError, match="'optimizer' cannot be saved.*'Mine' is no"):
        classifier.set_params(optimizer=Mine(0.1)).save(tmp_path / "b")


EVIL = {
    "a function": {"module": "os", "class_name": "mkdir", "config": {}},
    "a layer": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}},
    "another module": {"module": "os", "class_name": "Adam"},
    "another registered name": {"registered_name": "skmnist>ScaleInputs"},
    "a value that is a class": {
        "config": {"beta_1": {"module": "os", "class_name": "mkdir", "config": {}}}
    },
    "a learning rate that is none": {
        "config": {
            "learning_rate": {
                "module": "keras.optimizers.schedules",
                "class_name": "Lambda",
                "config": {},
                "registered_name": None,
            }
        }
    },
    "an inner optimizer that is none": {
        "class_name": "LossScaleOptimizer",
        "config": {"inner_optimizer": {"module": "os", "class_name": "mkdir"}},
    },
    "a pattern that takes for ever": {
        "class_name": "Muon",
        "config": {"exclude_layers": ["(a+)+$"]},
    },
    "another key": {"build_config": {"input_shape": [1]}},
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_optimizer_names_nothing_but_optimizers(kind):
    fine = {
        "module": "keras.optimizers",
        "class_name": "Adam",
        "config": {},
        "registered_name": None,
    }
    check_optimizer(fine)
    with pytest.raises((ValueError, KeyError)):
        check_optimizer({**fine, **EVIL[kind]})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_names_of_optimizers_are_those_of_the_parameter(name):
    check_optimizer(name)
    with pytest.raises(ValueError, match="is no optimizer"):
        check_optimizer(f"{name}x")


def test_parameters_have_the_values_that_they_may_have(parts):
    params = parts[0]["params"]
    check_params(params)
    for name in params:
        with pytest.raises((ValueError, TypeError)):
            check_params(
                {**params, name: {"class_name": "TFSMLayer"}} | {name: object()}
            )


# ---- kept fits -----------------------------------------------------------------------


def test_a_kept_fit_of_another_key_or_network_is_refused(parts, tmp_path):
    described, arrays = parts
    kept = {k: v for k, v in described.items() if k != "params"} | {"key": "k"}
    path, network = tmp_path / "kept", described["spec"]["network"]
    write_archive(path, kept, arrays)
    np.testing.assert_equal(read_kept(path, "k", network), (kept, arrays))
    with pytest.raises(ModelFileError, match="another fit"):
        read_kept(path, "l", network)
    with pytest.raises(ModelFileError, match="another network"):
        read_kept(path, "k", {**network, "random_state": 3})
    # Older files do not have the shapes.
    for name in kept.keys() - {"shapes"}:
        write_archive(path, {k: v for k, v in kept.items() if k != name}, arrays)
        with pytest.raises(ModelFileError):
            read_kept(path, "k", network)
    write_archive(path, kept, arrays[:-1])
    assert len(read_archive(path)[1]) == len(arrays) - 1


def test_a_model_is_no_kept_fit(model, parts):
    with pytest.raises(ModelFileError, match="another fit"):
        read_kept(model, "k", parts[0]["spec"]["network"])
