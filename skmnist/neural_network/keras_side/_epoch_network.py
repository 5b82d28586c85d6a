"""A Keras network that trains a whole epoch as one program."""

# SPDX-License-Identifier: BSD-3-Clause

import warnings

import keras
from scipy.sparse import issparse

from .._data import dense_rows
from ..engines._epochs import EpochOrder, run_epochs
from ._compiled import EVALUATION_ROWS, engine_for, shape_of, tensor_rows
from ._network import plain_network
from ._traced import dtype_of


@keras.saving.register_keras_serializable(package="skmnist")
class EpochNetwork(keras.Sequential):
    """A `keras.Sequential` that can train a whole epoch as one program.

    Callbacks, history, evaluation and saving are Keras' own.
    """

    # Whether the user has this network, too, and may change it.
    is_lent = False

    def fit(self, *args, order=None, **kwargs):
        """Train by `fit_epochs` if an order of the rows is given, otherwise by Keras.

        Parameters
        ----------
        *args, **kwargs
            As for `fit_epochs`, or for `keras.Model.fit`.
        order : EpochOrder, default=None
            Gives the order of the rows in each epoch.

        Returns
        -------
        history : keras.callbacks.History
            The loss and the metrics of each epoch.
        """
        if order is None:
            return super().fit(*args, **kwargs)
        return self.fit_epochs(*args, order=order, **kwargs)

    def save(self, filepath, *args, **kwargs):
        """Write a network of Keras' own layers that computes the same.

        Plain Keras reads it, also where this package is not installed. The layers that
        distort images in training are left out.

        Parameters
        ----------
        filepath : path-like
            The file.
        *args, **kwargs
            As for `keras.Model.save`.
        """
        plain_network(self).save(filepath, *args, **kwargs)

    def fit_epochs(  # noqa: PLR0913
        self,
        x,
        y,
        *,
        order,
        batch_size,
        epochs,
        initial_epoch=0,
        row_weight=None,
        sparse_x=None,
        validation_data=None,
        callbacks=None,
        verbose=0,
        compiled=True,
        own_loop=False,
        **kwargs,
    ):
        """Train for some epochs.

        Keras' own loop trains instead, with the same batches in the same order, if a
        callback has a hook for batches, or if the optimizer cannot be part of a
        program.

        Parameters
        ----------
        x : ndarray of shape (n_samples, n_features)
            Training data, in the network's own type.
        y : ndarray of shape (n_samples,) or (n_samples, 1)
            Class numbers.
        order : EpochOrder
            Gives the order of the rows in each epoch.
        batch_size : int
            Rows per update. The last batch of an epoch has the rows that are left.
        epochs : int
            Number of the epoch to stop before, as in Keras.
        initial_epoch : int, default=0
            Number of the first epoch.
        row_weight : ndarray of shape (n_samples,), default=None
            Weights of the rows, which Keras calls ``sample_weight``.
        sparse_x : csr_array of shape (n_samples, n_features), default=None
            Training data, in place of `x`. Some rows at a time are made dense.
        validation_data : tuple of (x, y) or (x, y, sample_weight), default=None
            Data to evaluate the network on after each epoch; `x` may be sparse.
        callbacks : list of keras.callbacks.Callback, default=None
            Keras callbacks.
        verbose : int, default=0
            Verbosity of Keras' progress bar.
        compiled : bool, default=True
            Whether XLA compiles the program, see `pays_to_compile`.
        own_loop : bool, default=False
            Whether Keras' own loop must train: it serves every loss and metric.
        **kwargs : dict
            Ignored: other arguments of Keras, which scikeras passes at their defaults.

        Returns
        -------
        history : keras.callbacks.History
            The loss and the metrics of each epoch.
        """
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        x = x if sparse_x is None else sparse_x
        shape = shape_of(x, batch_size) if compiled else None
        own_loop |= any(_wants_batches(callback) for callback in callbacks or ())
        weighted = row_weight is not None
        engine = None if own_loop else self._engine(weighted, shape, issparse(x))
        if engine is None:
            return super().fit(
                _OrderedBatches(x, y, row_weight, order, batch_size, initial_epoch),
                epochs=epochs,
                initial_epoch=initial_epoch,
                validation_data=validation_data and _for_own_loop(*validation_data),
                validation_batch_size=EVALUATION_ROWS,
                callbacks=callbacks,
                verbose=verbose,
                shuffle=False,
            )
        dtype = dtype_of(self)
        data = tensor_rows(dtype, x, y, row_weight, batch_size, compiled)
        held_out = validation_data and tensor_rows(dtype, *validation_data)
        callbacks = self._callback_list(callbacks, verbose, epochs)
        callbacks.on_train_begin()
        logs = run_epochs(
            self,
            engine,
            engine.vectors(),
            data,
            held_out,
            order=order,
            batch_size=batch_size,
            epochs=range(initial_epoch, epochs),
            callbacks=callbacks,
        )
        self.optimizer.finalize_variable_values(self.trainable_weights)
        callbacks.on_train_end(logs)
        return self.history

    def _callback_list(self, callbacks, verbose, epochs):
        """Return what calls the callbacks, with Keras' history and progress bar."""
        return keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            model=self,
            verbose=verbose,
            epochs=epochs,
            steps=1,
        )

    def _engine(self, weighted, shape, in_chunks):
        """Return the engine for this network; None if it cannot be a program."""
        try:
            engine = engine_for(self, weighted, shape)
            engine.prepare(in_chunks)
        except Exception as error:  # a user's optimizer may raise anything
            warnings.warn(
                "An epoch of this network cannot be one program. Keras' own loop "
                f"trains it, which takes longer. The reason: {error}",
                stacklevel=2,
            )
            return None
        return engine


class _OrderedBatches(keras.utils.PyDataset):
    """The batches of each epoch, for Keras' own loop."""

    def __init__(self, x, y, sample_weight, order, batch_size, initial_epoch):
        super().__init__()
        self.arrays = (x, y) if sample_weight is None else (x, y, sample_weight)
        self.order = order
        self.batch_size = batch_size
        self.epoch = initial_epoch - 1
        self.rows = order(initial_epoch, len(y))

    def __len__(self):
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, i):
        batch = self.rows[i * self.batch_size : (i + 1) * self.batch_size]
        x, *rest = (array[batch] for array in self.arrays)
        return x.toarray() if issparse(x) else x, *rest

    def on_epoch_begin(self):
        # Keras calls this before the first epoch, too.
        self.epoch += 1
        self.rows = self.order(self.epoch, len(self.rows))


def _for_own_loop(x, y, sample_weight=None):
    """Return validation data as Keras' own loop takes them."""
    if not issparse(x):
        return x, y, sample_weight
    order = EpochOrder(None, shuffle=False)
    n_rows = min(EVALUATION_ROWS, dense_rows(x))
    return _OrderedBatches(x, y, sample_weight, order, n_rows, 0)


def _wants_batches(callback):
    """Return whether a callback has a hook for batches or for evaluation."""
    # Ask the object, not its class: a LambdaCallback carries its hooks.
    return any(
        getattr(getattr(callback, hook), "__func__", None)
        is not getattr(keras.callbacks.Callback, hook)
        for hook in _BATCH_HOOKS
    )


_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
