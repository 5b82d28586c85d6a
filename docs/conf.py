"""How Sphinx builds the documentation: `make docs`, without a network."""

# SPDX-License-Identifier: BSD-3-Clause

import inspect
import os
import re
import sys
import warnings
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref

# Before an example imports TensorFlow: its C++ code reports the processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Else a page may show that a connection of the Dask cluster was closed, at its end.
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
sys.path.insert(0, str(Path(__file__).parent))

import skmnist

project = "skmnist"
author = "The skmnist developers"
copyright = "The skmnist developers, BSD-3-Clause"
version = release = skmnist.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "results", "tutorials", "**/*.ipynb"]
templates_path = ["_templates"]

# -- Pages ---------------------------------------------------------------------
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = True
# Types in words, and what other projects document: nothing is downloaded to link it.
nitpick_ignore_regex = [
    (r"py:.*", r"(keras|joblib|numpy|pandas|pathlib|scikeras|scipy|tensorboard)\..*"),
    # What is learned has no page of its own.
    (r"py:obj", r"\w+_"),
]

# -- API -----------------------------------------------------------------------
autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_member_order = "bysource"
# Types are in the docstrings, for people.
autodoc_typehints = "none"
add_module_names = False
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_validation_checks = {
    "all",
    # Summaries stand in the line of the quotes, as everywhere in scikit-learn.
    "GL01",
    # A blank line, or none, before the closing quotes.
    "GL02",
    "GL03",
    # Not every function needs a second paragraph, a "See Also" or an example.
    "ES01",
    "SA01",
    "SA04",
    # scikit-learn begins with a small letter.
    "SA03",
    "EX01",
    # A class is a thing, so that its summary starts with a noun.
    "SS05",
    "SS06",
    # "self : KerasMLPClassifier" and "default=2" are scikit-learn's conventions.
    "RT02",
}
# Hooks whose arguments are said where they are called.
numpydoc_validation_exclude = {r"\.explain$", r"\.on_[a-z_]+$"}

# -- Gallery -------------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": ["../examples", "tutorials"],
    "gallery_dirs": ["auto_examples", "auto_tutorials"],
    # All examples run, also those that draw nothing.
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery.LessonOrder",
    "reference_url": {"skmnist": None},
    "doc_module": ("skmnist",),
    "backreferences_dir": "generated/backreferences",
    "write_computation_times": False,
    "min_reported_time": 1,
    "show_signature": False,
    "download_all_examples": False,
}
# "This process cannot show a figure": the gallery takes it instead.
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

# -- HTML ----------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = "skmnist"
html_static_path = ["_static"]
html_css_files = ["skmnist.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc", "sg_download_links"],
    "show_prev_next": True,
    "navigation_with_keys": False,
    "use_edit_page_button": False,
    "show_version_warning_banner": False,
    "search_as_you_type": True,
}


# Classes and functions: the packages, which are public too, have no page of their own,
# and `augmentation` is a parameter.
NAMES = {n for n in skmnist.__all__ if not inspect.ismodule(getattr(skmnist, n))}


def own_name(name, rawtext, text, lineno, inliner, options=None, content=()):
    """Link a name in single backticks if it is public, else show it as code."""
    literal = nodes.literal(rawtext, text)
    if text.split(".")[0] not in NAMES:
        return [literal], []
    link = pending_xref(
        rawtext,
        literal,
        refdomain="py",
        reftype="obj",
        reftarget=f"skmnist.{text}",
        refdoc=inliner.document.settings.env.docname,
        refwarn=True,
    )
    return [link], []


default_role = "own"
SCIKIT_LEARN = "https://scikit-learn.org/stable"


def link_elsewhere(app, env, node, contnode):
    """Link public names used in any module, and what scikit-learn documents."""
    target = node.get("reftarget", "")
    if node.get("reftype") == "term":
        page = f"{SCIKIT_LEARN}/glossary.html#term-{target}"
    elif target.startswith("sklearn."):
        page = f"{SCIKIT_LEARN}/modules/generated/{target}.html"
    elif target in NAMES:
        return env.get_domain("py").resolve_xref(
            env, node["refdoc"], app.builder, "obj", f"skmnist.{target}", node, contnode
        )
    else:
        return None
    return nodes.reference("", "", contnode, refuri=page, internal=False)


def quote_learned_names(app, what, name, obj, options, lines):
    """Write "shape (n_iter_,)" such that reStructuredText sees no link in it."""

    def quoted(shape):
        return re.sub(r"(?<!`)\b(\w+_)(?=[,)])", r"``\1``", shape[0])

    lines[:] = [re.sub(r"shape \(.*?\)", quoted, line) for line in lines]


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what a class inherits from other packages, or has for our own use."""
    function = getattr(obj, "fget", obj)
    home = str(getattr(function, "__module__", None))
    return None if re.match(r"skmnist\.[a-z]", home) else True


def setup(app):
    """Register what this file defines."""
    from docutils.parsers.rst import roles

    roles.register_local_role("own", own_name)
    app.connect("missing-reference", link_elsewhere)
    # Before numpydoc, whose priority is 500.
    app.connect("autodoc-process-docstring", quote_learned_names, priority=400)
    app.connect("autodoc-skip-member", skip_foreign)
