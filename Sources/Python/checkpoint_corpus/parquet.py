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
    columns = ["run", "step", "iteration", "runs.split", "runs.status", *map(column_of, metrics)]
    query = f"SELECT {', '.join(columns)} FROM checkpoints JOIN runs USING (run) {condition} ORDER BY run, step"
    temporary = str(_temporary.path_for(pathlib.Path(path)))
    count = 0
    try:
        with Rows(corpus, query, ()) as rows:
            with pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
                for batch in rows.batches():
                    # NaN stands for NULL in a column of numbers, and is none in Parquet.
                    arrays = [
                        pyarrow.array(
                            column.astype(np.float64) if field.type == pyarrow.float32() else column, field.type,
                            from_pandas=True,
                        )
                        for column, field in zip(batch, schema)
                    ]  # fmt: skip
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
