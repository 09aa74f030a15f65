"""Metrics as Parquet, by pyarrow."""

from __future__ import annotations

import os
import pathlib
from typing import Optional, Sequence

import numpy as np

from . import _temporary
from .errors import CorpusError
from .rows import Rows, column_of, expression


def write(corpus: int, metrics: Sequence[str], path: str, where: Optional[str], overwrite: bool) -> int:
    """Does what `Corpus.to_parquet` says.

    corpus: the library's pointer to one, with these metrics.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CorpusError("resource", "Parquet needs the package pyarrow", "pip install pyarrow") from None
    if os.path.exists(path) and not overwrite:
        raise CorpusError("already_exists", f"{path} is there already", "choose another name, or pass overwrite=True")
    schema = pyarrow.schema(
        [("run", pyarrow.int64()), ("step", pyarrow.int32()), ("iteration", pyarrow.int32())]
        + [(name, pyarrow.string()) for name in ("split", "status")]
        + [(name, pyarrow.float32()) for name in metrics]
    )
    condition = "" if where is None else f"WHERE {expression(corpus, where)}"
    # What is a text goes as its position among the values that there are: so no row needs a text of its own.
    texts = {"split": ["train", "test"], "status": ["ok", "nonfinite", "out_of_range"]}
    codes = [
        f"CASE runs.{name} {' '.join(f'WHEN {value!r} THEN {code}' for code, value in enumerate(values))} END"
        for name, values in texts.items()
    ]
    columns = ["run", "step", "iteration", *codes, *map(column_of, metrics)]
    query = f"SELECT {', '.join(columns)} FROM checkpoints JOIN runs USING (run) {condition} ORDER BY run, step"
    temporary = str(_temporary.path_for(pathlib.Path(path)))
    count = 0
    try:
        with Rows(corpus, query, ()) as rows:
            with pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
                for batch in rows.batches():
                    arrays = []
                    for column, field in zip(batch, schema):
                        if field.name in texts:
                            indices = pyarrow.array(column.astype(np.int8))
                            array = pyarrow.DictionaryArray.from_arrays(indices, texts[field.name]).cast(field.type)
                        elif field.type == pyarrow.float32():
                            # NaN stands for NULL in a column of numbers, and is none in Parquet.
                            array = pyarrow.array(column.astype(np.float64), field.type, from_pandas=True)
                        else:
                            array = pyarrow.array(column, field.type)
                        arrays.append(array)
                    writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
                    count += len(batch[0])
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise CorpusError(
            "input_output", f"cannot write {path}", "check the path and the disk", error.strerror or str(error)
        ) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return count
