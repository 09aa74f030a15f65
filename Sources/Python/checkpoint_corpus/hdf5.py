"""Lets HDF5, and so h5py, find the filter of the codec `delta`."""

from __future__ import annotations

import os
import pathlib
import sys

from ._library import repository

_VARIABLE = "HDF5_PLUGIN_PATH"
#: Where HDF5 looks if the variable is not set.
_STANDARD = "/usr/local/hdf5/lib/plugin"


def plugin_path() -> str:
    """The folder of the HDF5 plugin, for HDF5_PLUGIN_PATH of other programs, such as h5dump."""
    packaged = pathlib.Path(__file__).parent / "hdf5-plugins"
    if packaged.is_dir() or repository is None:
        return str(packaged)
    return str(repository / ".build" / "hdf5-plugins")


def register() -> None:
    """Adds the folder of the plugin to those that HDF5 searches; done when the package is imported."""
    folder = plugin_path()
    # HDF5 reads the variable when it starts, which is when h5py is imported; from then on it has to be told.
    paths = os.environ.get(_VARIABLE, _STANDARD).split(os.pathsep)
    if folder not in paths:
        os.environ[_VARIABLE] = os.pathsep.join([folder, *paths])
    h5py = sys.modules.get("h5py")
    if h5py is not None and folder.encode() not in [h5py.h5pl.get(i) for i in range(h5py.h5pl.size())]:
        h5py.h5pl.prepend(folder.encode())
