"""How the pieces stand: who may import whom, what is documented, how long it is."""

import ast
import inspect
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

import skmnist

FOLDER = Path(skmnist.__file__).parent

# A package imports packages of the lines above its own. Modules of the root, which
# begin with an underscore, are shared by all.
ORDER = (
    {"stats", "datasets", "preprocessing", "augmentation"},
    {"neural_network", "model_selection"},
    {"study", "export"},
    {"visualization"},
    {"reporting"},
    {"cli"},
)
MOST_MODULES = 16

LONGEST_FUNCTION = 60
LONGEST_MODULE = 850

PATHS = {
    ".".join(path.relative_to(FOLDER).with_suffix("").parts): path
    for path in sorted(FOLDER.rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text()) for module, path in PATHS.items()}
PACKAGES = sorted(path.parent.name for path in FOLDER.glob("*/__init__.py"))
# Classes and functions; the packages are public too.
NAMES = sorted(set(skmnist.__all__) - set(PACKAGES))


def imports(module, nodes=None):
    """Yield (imported module, name or None) for each import, wherever it stands.

    With `nodes`, only for imports among them.
    """
    here = ["skmnist", *module.split(".")]
    for node in nodes or ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level] if node.level else []
            home = ".".join([*above, node.module] if node.module else above)
            yield from ((home, alias.name) for alias in node.names)


def own_imports(module):
    """Return the modules of this package that a module imports."""
    found = set()
    for home, name in imports(module):
        if home.split(".")[0] == "skmnist":
            candidates = (f"{home}.{name}", home, f"{home}.__init__")
            short = [c.partition(".")[2] for c in candidates]
            found.add(next(c for c in short if c in TREES))
    return found


def package_of(module):
    """Return the package of a module; of those that all share, and others, ''."""
    return module.partition(".")[0] if "." in module else ""


def test_every_package_has_its_place():
    assert sorted(package for level in ORDER for package in level) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_packages_above_it(package):
    level = next(i for i, packages in enumerate(ORDER) if package in packages)
    allowed = {"", package}.union(*ORDER[:level])
    found = {
        package_of(imported)
        for module in TREES
        if package_of(module) == package
        for imported in own_imports(module)
    }
    assert found <= allowed


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: own_imports(module) for module in TREES}
    assert list(TopologicalSorter(graph).static_order())


def test_shared_modules_import_no_package():
    shared = [m for m in TREES if package_of(m) == "" and m != "__main__"]
    assert all(own_imports(module) <= set(shared) for module in shared)


def test_a_folder_holds_few_modules():
    folders = Counter(path.parent for path in PATHS.values() if path.stem != "__init__")
    assert max(folders.values()) <= MOST_MODULES


def test_the_script_imports_the_command_line_only():
    assert own_imports("__main__") == {"cli.__init__"}


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_a_package_itself_imports_none_of_its_modules(package):
    if package != "cli":
        imported = own_imports(f"{package}.__init__".lstrip("."))
        assert {m for m in imported if not package or package_of(m)} == set()


def private_sklearn(module):
    """Return what a module imports that scikit-learn keeps private."""
    return [
        (home, name)
        for home, name in imports(module)
        if home.split(".")[0] == "sklearn"
        and any(part.startswith("_") for part in [*home.split("."), name or ""])
    ]


@pytest.mark.parametrize("module", sorted(set(TREES) - {"_compat"}))
def test_only_compat_names_what_scikit_learn_keeps_private(module):
    assert private_sklearn(module) == []


def test_compat_is_where_the_private_names_are():
    assert private_sklearn("_compat")


def test_only_one_module_imports_scikeras():
    users = {
        module
        for module in TREES
        for home, _ in imports(module)
        if home.split(".")[0] == "scikeras"
    }
    assert users == {"neural_network.keras_side._scikeras"}


KERAS = {"keras", "scikeras", "tensorflow"}
# All outside of this folder works where Keras is not installed.
KERAS_SIDE = "neural_network.keras_side."
# They import modules of that side inside functions: to train what NumPy does not, or if
# there is a network of Keras'.
DOORS = {
    "_classifier",
    "_door",
    "_optimizer_params",
    "_persistence",
    "_training",
    "engines._optimizer_facts",
}


def imports_keras(module, nodes=None):
    """Return whether a module imports Keras or its side, at once or among nodes."""
    return any(
        home.split(".")[0] in KERAS or "keras_side" in f"{home}.{name}"
        for home, name in imports(module, nodes)
    )


def test_keras_is_imported_at_once_by_its_side_only():
    at_once = {m for m in TREES if imports_keras(m, TREES[m].body)}
    side = {m for m in TREES if m.startswith(KERAS_SIDE)}
    assert at_once == side - {f"{KERAS_SIDE}__init__"}


def test_who_opens_the_door_to_keras_is_known():
    doors = {
        module
        for module in TREES
        if not module.startswith(KERAS_SIDE)
        for home, name in imports(module)
        if "keras_side" in f"{home}.{name}"
    }
    assert doors == {f"neural_network.{module}" for module in DOORS}


def test_a_small_network_is_trained_without_keras():
    code = """
import numpy as np, skmnist
X = np.random.default_rng(0).random((300, 3))
network = skmnist.KerasMLPClassifier(widths=8, random_state=0)
network.fit(X, X[:, 0] > X[:, 1]).score(X, X[:, 0] > X[:, 1])
network.set_params(warm_start=True, early_stopping=True).fit(X, X[:, 0] > X[:, 1])
skmnist.KerasMLPClassifier.partial_fit(network, X, X[:, 0] > X[:, 1])
"""
    assert not loaded_by(code) & KERAS


HEAVY = {"keras", "matplotlib", "numpy", "pandas", "scikeras", "sklearn", "tensorflow"}


def loaded_by(code):
    """Return the packages a fresh Python has loaded after some code."""
    report = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import skmnist; skmnist.__all__; dir(skmnist)") & HEAVY


def test_importing_the_command_line_loads_no_network_library():
    heavy = {"keras", "matplotlib", "scikeras", "tensorflow"}
    assert not loaded_by("import skmnist.cli") & heavy


# Only what trains needs Keras; this one is a callback of Keras'.
WITHOUT_KERAS = sorted(set(NAMES) - {"ValidationEarlyStopping"})


def test_public_names_load_no_keras():
    names = ", ".join(WITHOUT_KERAS)
    assert not loaded_by(f"from skmnist import {names}; KerasMLPClassifier()") & KERAS


def test_public_names_are_sorted():
    assert list(skmnist.__all__) == sorted(skmnist.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_resolves(name):
    assert getattr(skmnist, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="No skmnist attribute KerasMLPRegressor"):
        _ = skmnist.KerasMLPRegressor


def test_the_version_is_that_of_the_distribution():
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", skmnist.__version__)


def parameters(thing):
    """Return a callable's parameters by name, without those of ``*`` and ``**``."""
    signature = inspect.signature(thing)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def documented(thing):
    """Return the type line of each parameter in a numpydoc docstring, by name.

    Those of ``*`` and ``**`` are left out, as in `parameters`.
    """
    doc = inspect.cleandoc(thing.__doc__).replace("\\\n", "")
    _, _, rest = doc.partition("Parameters\n----------\n")
    section = re.split(r"\n\n\w[\w ]*\n-{3,}\n", rest)[0]
    entries = [line.partition(" : ") for line in section.splitlines()]
    return {
        name: kind
        for names, colon, kind in entries
        if colon and names == names.lstrip()
        for name in names.split(", ")
        if not name.startswith("*")
    }


def public_callables():
    """Yield every public class and function, and the public methods of classes."""
    for name in NAMES:
        thing = getattr(skmnist, name)
        yield name, thing
        if inspect.isclass(thing):
            for attribute, value in vars(thing).items():
                if not attribute.startswith("_") and callable(value):
                    yield f"{name}.{attribute}", value


PUBLIC = dict(public_callables())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_a_docstring(name):
    assert inspect.cleandoc(PUBLIC[name].__doc__ or "").splitlines()[0].endswith(".")


# What users call with arguments: public names, and the classifier's methods.
CALLED = [n for n in PUBLIC if "." not in n or n.startswith("KerasMLPClassifier.")]


@pytest.mark.parametrize("name", CALLED)
def test_every_parameter_is_documented_in_the_order_of_the_signature(name):
    assert list(documented(PUBLIC[name])) == list(parameters(PUBLIC[name]))


def said_defaults(thing):
    """Return the defaults that a docstring states, evaluated, by parameter."""
    stated = {
        name: re.search(r"default=(\S.*)$", kind)
        for name, kind in documented(thing).items()
    }
    names = {"np": np, **{name: getattr(skmnist, name) for name in NAMES}}
    return {n: eval(found[1], names) for n, found in stated.items() if found}


@pytest.mark.parametrize("name", CALLED)
def test_documented_defaults_are_those_of_the_signature(name):
    defaults = {
        key: default
        for key, default in parameters(PUBLIC[name]).items()
        if default is not inspect.Parameter.empty
    }
    # By their representations, because NaN does not equal itself.
    assert repr(said_defaults(PUBLIC[name])) == repr(defaults)


def only_stores(function):
    """Tell whether all of a function is ``self.name = name``, as in an estimator."""
    return all(
        isinstance(line, ast.Assign)
        and ast.unparse(line.targets[0]) == f"self.{ast.unparse(line.value)}"
        for line in function.body
    )


def functions():
    """Yield (name, number of lines without the docstring) of every function.

    Constructors that only store their parameters are as long as those are many.
    """
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if only_stores(node):
                    continue
                n_lines = node.end_lineno - node.lineno + 1
                if ast.get_docstring(node) is not None:
                    doc = node.body[0]
                    n_lines -= doc.end_lineno - doc.lineno + 1
                yield f"{module}.{node.name}", n_lines


def test_functions_are_short():
    assert [f for f in functions() if f[1] > LONGEST_FUNCTION] == []


def test_modules_are_short():
    lengths = {n: len(p.read_text().splitlines()) for n, p in PATHS.items()}
    assert {n: k for n, k in lengths.items() if k > LONGEST_MODULE} == {}
