-- index.sqlite, version 2 (PRAGMA user_version): where everything in a corpus is.
--
-- The index is derived. `corpus index --rebuild` makes it again from the shards alone, so it may be deleted.
-- For every metric of the corpus, in the order of corpus.json, `checkpoints` has one more column,
--     ALTER TABLE checkpoints ADD COLUMN "train_return" REAL;
-- and an index on it,
--     CREATE INDEX checkpoints_train_return ON checkpoints ("train_return");
-- and a table of the checkpoints at which it was better than ever before in their run, in the sense of its goal and as long
-- as it is finite,
--     CREATE TABLE improvements_train_return (
--       run INTEGER NOT NULL, step INTEGER NOT NULL, iteration INTEGER NOT NULL, "train_return" REAL NOT NULL,
--       PRIMARY KEY (run, step)
--     ) WITHOUT ROWID;
-- and of these the last one of each run, its best checkpoint, as a view with the same columns,
--     CREATE VIEW best_train_return AS ...
-- These are 10 to 30 % of the checkpoints of MNIST runs, depending on the metric, and two questions are answered from them:
--     SELECT run, step, train_return FROM best_train_return ORDER BY train_return DESC LIMIT 10;
--     SELECT run, min(step), iteration, train_return FROM improvements_train_return WHERE train_return >= 400 GROUP BY run;
-- The second one is the first checkpoint of each run that meets the condition.
--
-- A metric that is not a number is NULL. One whose name is a word of SQL, such as order, is to be written in quotes,
-- and in earlier corpora one that is called as a column of `runs` is, checkpoints."split".
--
-- While rows are added, the indexes on the metrics are left away, as each row would change a page of its own in them. There
-- is a table then that tells how many checkpoints there were when they were dropped,
--     CREATE TABLE metrics_unindexed (checkpoints);
-- They are made again when an eighth of all checkpoints is new, and by `corpus index` in any case.
--
-- The journal is a rollback journal (not WAL), so that readers need not write and network file systems work. Who changes
-- the index takes it exclusively for a short transaction, and a job that stores runs tries again later where it cannot.
--
-- Version 1 lacks the improvements and the views, and has two columns more, `epoch` of `checkpoints` and `seed` of `runs`,
-- which say nothing. Readers read it; who writes brings it up to date first.

-- What corpus.json says: task, architecture, metrics, recipe, generator_version (all but task as JSON).
CREATE TABLE corpus (
  name TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- The HDF5 files. Where `bytes` differs from the file's length, the index is older than the shard.
CREATE TABLE shards (
  shard INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,         -- relative to the corpus directory
  bytes INTEGER NOT NULL,
  runs INTEGER NOT NULL,
  codec TEXT NOT NULL,               -- delta, zstd, raw
  rows_per_chunk INTEGER NOT NULL    -- checkpoints in an HDF5 chunk
);

-- The runs, named by their seeds.
CREATE TABLE runs (
  run INTEGER PRIMARY KEY,
  shard INTEGER NOT NULL REFERENCES shards (shard),
  split TEXT NOT NULL,               -- train, test
  status TEXT NOT NULL,              -- ok, nonfinite, out_of_range
  checkpoints INTEGER NOT NULL,
  first_row INTEGER NOT NULL,        -- of /parameters in the shard
  sum REAL,                          -- of all parameters of all checkpoints; NULL where not finite
  sum_of_squares REAL,
  content_hash TEXT NOT NULL         -- SHA-256, as in Schemas/shard.md
);
CREATE INDEX runs_split ON runs (split, run);
CREATE INDEX runs_shard ON runs (shard);

-- The checkpoints; `step` counts them from 0 within their run, `iteration` is that of the training.
CREATE TABLE checkpoints (
  run INTEGER NOT NULL,
  step INTEGER NOT NULL,
  iteration INTEGER NOT NULL,
  PRIMARY KEY (run, step)
) WITHOUT ROWID;

-- The chunks of a run: `bytes` bytes of the shard from `offset` on hold the steps from `first_step` on.
CREATE TABLE chunks (
  run INTEGER NOT NULL,
  first_step INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (run, first_step)
) WITHOUT ROWID;
