/** checkpoint_corpus.h: corpora of neural-network checkpoints, from C and from all that can call C.
 *
 * A corpus is a directory that holds the training runs of one task. A run, named by its seed, is a row of
 * checkpoints, called its steps and counted from 0; a checkpoint is a vector of P float32 parameters, with the
 * iteration of the training that it was taken at, and the values of the corpus's metrics. An index in SQLite says
 * where everything is and answers questions in SQL; Schemas/index.sql describes its tables.
 *
 *     cc_corpus *corpus;
 *     if (cc_corpus_open("corpora/cartpole", 0, &corpus) != CC_OK) {
 *         fprintf(stderr, "%s: %s\n", cc_error_message(), cc_error_remedy());
 *         return 1;
 *     }
 *     float *vector = malloc(sizeof(float) * cc_corpus_parameter_count(corpus));
 *     if (cc_corpus_read(corpus, 7, 199, 200, vector) == CC_OK) ...     // the last checkpoint of run 7
 *     cc_corpus_close(corpus);
 *
 * Link with -lcheckpoint_corpus. The library brings along all that it needs but the C and C++ runtimes of the
 * system, and exports nothing but the names below, under the symbol version CHECKPOINT_CORPUS_1: names and
 * meanings of that version stay as they are. A process may use another HDF5, SQLite or Zstandard beside it.
 *
 * ERRORS. Functions that can fail return an int: CC_OK, which is 0, or one of the codes below, all of them above 0.
 * Then cc_error_message() says what happened, and cc_error_remedy() what to do about it. What a function gives back
 * through pointers is set only when it returns CC_OK.
 *
 * MEMORY. What is opened is closed by the function of that name, which takes NULL as well; its handle is not valid
 * after that. Strings and arrays that the library returns are its own; each function says how long they are valid.
 * Strings are UTF-8 and end with a 0. Arrays are row-major.
 *
 * THREADS. Every function may be called by any thread at any time, and a handle used by many at once; only closing
 * a handle that another thread is using is not allowed. Errors are kept for each thread by itself.
 *
 * FORK. A handle belongs to the process that opened it. In a child made by fork() functions refuse it with
 * CC_FORKED, and closing it there does nothing; what the child opens itself works. fork() waits for calls that are
 * at work on files, but not for cc_evaluator_run() or cc_stream_next().
 *
 * SIGNALS. The library installs one handler, for SIGBUS, when a stream maps a file; faults elsewhere go to the
 * handler that was there before. Long calls are ended from another thread: cc_rows_interrupt(),
 * cc_evaluator_cancel() and cc_stream_cancel().
 *
 * CAVEATS. What goes wrong where one does not know it, and what to do:
 *
 * - Pointers. What cc_rows_fetch() gives is gone with the next fetch on these rows, by whichever thread, and the
 *   texts of an error with the next error of the same thread. Copy what has to last, and give each thread rows of
 *   its own.
 * - Closing. A handle that another thread is using must not be closed, and none may be closed twice: nothing checks
 *   it.
 * - Order. Several threads may take batches from one stream. Each batch goes to one of them, so that the order of
 *   each thread's batches is chance. Who needs the stream's order takes all of them by one thread.
 * - Exit. Close streams before the process ends: their threads must not be at work while exit handlers run.
 * - Unloading. Never unload the library by dlclose(): its handler of SIGBUS stays installed.
 * - Two SQLites. The library has an SQLite of its own. On POSIX, a process that closes any descriptor of a file
 *   loses its locks on that file. So in a process that stores runs, nobody else may open and close index.sqlite: no
 *   other SQLite, such as Python's, no second copy of this library, no open() and close() to copy it. A writer could
 *   then change the index beside another one. Ask by cc_query(), or in another process. An index that is damaged is
 *   made again from the shards by cc_index(path, 1).
 * - Rows left open. Until their end is reached, or they are closed, the index takes up no runs of anybody. Runs are
 *   stored all the same, and come into the index by the next cc_index(), or when the next writer is opened.
 * - fork() may take long: it waits for calls at work, and such a call may wait for the index for up to a minute. A
 *   child that goes on without exec() shares its parent's locks: if the parent is killed, its claims of runs last
 *   until the child has ended, too. Start other programs by posix_spawn(), which waits for nothing.
 * - Signals on our threads. A signal for the process may be delivered to a thread of the library, as these have the
 *   mask of the thread that called. Block what must not be handled there before cc_stream_open() and
 *   cc_evaluator_run().
 * - SIGBUS. A mapped file that somebody makes shorter is an error, CC_DAMAGED_SHARD, and not the end of the process.
 *   A program that sets its own handler of SIGBUS after it has opened a stream has to call the one before it.
 * - Files that change. A shard is never changed in its place: write another file, synchronise it, rename it, as
 *   Schemas/corpus.md says. Compaction and repair do that, and readers and streams go on beside them. What somebody
 *   writes over a shard of codec raw under a stream is believed, as its checkpoints have no checksums of their own.
 * - Moved corpora. A change of the working directory changes nothing, as paths are made absolute. A corpus that is
 *   open must not be moved: its files are opened by their paths as they are needed.
 * - Network file systems. Storing runs needs locks that work between all machines that do: NFS with lockd, Lustre
 *   with flock. Where there are none, cc_writer_open() fails with CC_RESOURCE. That locks keep nobody out on other
 *   machines (NFS with nolock) the library cannot find out: then let one machine store runs. With CORPUS_ALONE=1
 *   nothing is locked, and nobody else may change the corpus. Reading needs no locks: where there are none, an index
 *   that is changed while it is read is an error.
 * - Memory. cc_corpus_read_run() holds the whole run a second time while it reads parameters; cc_corpus_read() does
 *   not.
 */
#ifndef CHECKPOINT_CORPUS_H
#define CHECKPOINT_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The version of the library, such as "0.1.0". Valid for ever. */
const char *cc_version(void);

/* ---- Errors ---- */

/** What can go wrong. New codes may be added at the end. */
enum {
  CC_OK = 0,
  /** An argument that cannot be, such as NULL where something has to be, or a step that the run does not have. */
  CC_INVALID_ARGUMENT = 1,
  /** The handle belongs to the process that this one was forked from: open the thing again in this process. */
  CC_FORKED = 2,
  /** No directory, no corpus.json, or a damaged one. */
  CC_NOT_A_CORPUS = 3,
  /** Something is there already: a run of that seed, or other files where a corpus should go. */
  CC_ALREADY_EXISTS = 4,
  /** The corpus is one of another task. */
  CC_DIFFERENT_TASK = 5,
  /** The corpus has another recipe, architecture or other metrics. */
  CC_DIFFERENT_RECIPE = 6,
  /** A newer release of the library has written this. */
  CC_UNSUPPORTED_VERSION = 7,
  /** The corpus has no such run. */
  CC_UNKNOWN_RUN = 8,
  CC_MALFORMED_RANGE = 9,
  /** The recipe is not one of its task. */
  CC_INVALID_RECIPE = 10,
  /** A file of the corpus does not hold what it should. */
  CC_DAMAGED_SHARD = 11,
  /** A file in the corpus belongs to another one. */
  CC_FOREIGN_SHARD = 12,
  /** Two files hold different runs of one name. */
  CC_CONFLICTING_RUNS = 13,
  /** The task is none of those that this library knows. */
  CC_CANNOT_REPLAY = 14,
  /** A run does not come out as it is recorded. */
  CC_DIFFERENT_RUN = 15,
  /** There is no index: see cc_index(). */
  CC_INDEX_MISSING = 16,
  /** The index is older than the files: see cc_index(). */
  CC_INDEX_STALE = 17,
  /** The index is damaged: see cc_index(). */
  CC_INDEX_CORRUPT = 18,
  /** SQL that SQLite does not accept, that would write, or that is not one statement. */
  CC_INVALID_SQL = 19,
  /** cc_rows_interrupt(), cc_evaluator_cancel() or cc_stream_cancel() was called. */
  CC_INTERRUPTED = 20,
  /** A data set is not where it was looked for. */
  CC_MISSING_DATASET = 21,
  /** The files of a data set are not what they should be. */
  CC_MALFORMED_DATASET = 22,
  /** The data set is not the one that the recipe names. */
  CC_DIFFERENT_DATASET = 23,
  CC_DISK_FULL = 24,
  /** Reading or writing is not permitted. */
  CC_READ_ONLY = 25,
  /** The system could not read or write. */
  CC_INPUT_OUTPUT = 26,
  /** Something has run out or is missing: memory, files, threads, instructions of the processor. */
  CC_RESOURCE = 27,
  /** Another process, or another handle of this one, is making the run. */
  CC_CLAIMED_ELSEWHERE = 28,
  /** No run meets the conditions, or fewer items are left than a batch has. */
  CC_EMPTY_SELECTION = 29,
  /** The state of a stream is that of another corpus, selection or seed. */
  CC_DIFFERENT_CORPUS = 30,
  /** A directory of the published release is not what it should be. */
  CC_MALFORMED_RELEASE = 31,
  CC_MALFORMED_MODEL = 32,
  CC_DIVERGED = 33
};

/** A code's name in lower case, such as "unknown_run"; "unknown" for a number that is none. Valid for ever. */
const char *cc_error_name(int code);

/** What happened when a call on this thread last failed: a sentence without a full stop that names the file or run.
 * Empty where none has failed. Valid until another call on this thread fails. */
const char *cc_error_message(void);

/** What to do about it, likewise. */
const char *cc_error_remedy(void);

/** What the layer below said: errno's text, or HDF5's or SQLite's message; empty where it said nothing. */
const char *cc_error_cause(void);

/* ---- Reading a corpus ---- */

/** A corpus that is open for reading. */
typedef struct cc_corpus cc_corpus;

/** For cc_corpus_open(): use the index even if it is older than the files. */
enum { CC_STALE = 1 };

/** Opens a corpus, without looking into its runs.
 *
 * path: its directory. flags: 0 or CC_STALE.
 * Fails with CC_NOT_A_CORPUS, CC_INDEX_MISSING, CC_INDEX_STALE, CC_INDEX_CORRUPT, CC_READ_ONLY. */
int cc_corpus_open(const char *path, unsigned flags, cc_corpus **corpus);

void cc_corpus_close(cc_corpus *corpus);

/** What the runs of the corpus have in common, as JSON: task, architecture (name, and of each tensor name and
 * shape), metrics (of each name and goal), recipe and more; Schemas/corpus.md describes it. Valid until the corpus
 * is closed. NULL only for NULL. */
const char *cc_corpus_manifest(cc_corpus *corpus);

/** P, the length of a parameter vector; 0 for NULL. */
int64_t cc_corpus_parameter_count(cc_corpus *corpus);

/** M, the number of metrics; 0 for NULL. */
int64_t cc_corpus_metric_count(cc_corpus *corpus);

/** Counts the runs and the checkpoints of the corpus as they are now. */
int cc_corpus_count(cc_corpus *corpus, int64_t *runs, int64_t *checkpoints);

/** Whether a run is fit for training on. */
enum {
  CC_STATUS_OK = 0,
  /** Some parameter is not finite. */
  CC_STATUS_NONFINITE = 1,
  /** Some parameter's magnitude is above 10, in runs of the built-in tasks. */
  CC_STATUS_OUT_OF_RANGE = 2
};

/** Whether a run is held out. */
enum { CC_SPLIT_TRAIN = 0, CC_SPLIT_TEST = 1 };

/** What the index says of a run. */
typedef struct cc_run {
  int64_t run;
  int64_t checkpoints; /* K, the number of its steps */
  int32_t status;      /* CC_STATUS_… */
  int32_t split;       /* CC_SPLIT_… */
} cc_run;

/** Looks up a run. Fails with CC_UNKNOWN_RUN. */
int cc_corpus_run(cc_corpus *corpus, int64_t run, cc_run *facts);

/** Reads the parameters of the steps first ..< end of a run.
 *
 * parameters: receives (end - first, P).
 * Fails with CC_UNKNOWN_RUN; CC_INVALID_ARGUMENT if the run has not these steps; CC_DAMAGED_SHARD, naming the file,
 * if a checksum is not right. */
int cc_corpus_read(cc_corpus *corpus, int64_t run, int64_t first, int64_t end, float *parameters);

/** Reads a whole run of K steps, and proves it against its content hash if its parameters are asked for.
 *
 * checkpoints: K, as cc_corpus_run() tells it. Any of the arrays may be NULL.
 * iterations: receives (K). metrics: receives (M, K), in the order of the manifest, NaN where there is no value.
 * parameters: receives (K, P).
 * Fails as cc_corpus_read(), and with CC_INVALID_ARGUMENT for another number of steps. */
int cc_corpus_read_run(cc_corpus *corpus, int64_t run, int64_t checkpoints, int32_t *iterations, float *metrics,
                       float *parameters);

/** Puts the hidden units of networks into the canonical order, which leaves their functions as they are: networks that
 * differ in the order of their units alone become the same. It is the order of streams with CC_AUGMENT_CANONICAL, and
 * the one that models are used to which were trained on these.
 *
 * count: the number N of networks. parameters: (N, P), not scaled; they are changed in place.
 * Fails with CC_INVALID_ARGUMENT for a corpus whose architecture declares no permutation groups. */
int cc_corpus_canonicalize(cc_corpus *corpus, size_t count, float *parameters);

/** Makes a corpus's index agree with its files, or makes it anew from them alone.
 *
 * rebuild: not 0 to make it anew, as is needed for one that is damaged.
 * Fails with the first of what is wrong with the files; the others are taken up all the same. Runs whose files are gone
 * stay in the index, and are missing: then it fails with CC_INDEX_STALE, and one that is made anew is left as it was. */
int cc_index(const char *path, int rebuild);

/** As cc_index(), but runs whose files are gone are forgotten. */
int cc_index_forget(const char *path, int rebuild);

/* ---- Asking in SQL ---- */

/** The kinds of values. */
enum { CC_NULL = 0, CC_INTEGER = 1, CC_REAL = 2, CC_TEXT = 3, CC_BLOB = 4 };

/** A value of SQL. */
typedef struct cc_value {
  int32_t type;   /* CC_NULL, … */
  int32_t unused; /* 0 */
  int64_t length; /* of text and blob in bytes, without the 0 that text ends with */
  union {
    int64_t integer;
    double real;
    const char *text;
    const void *blob;
  } as;
} cc_value;

/** The rows that a statement gives, in order. */
typedef struct cc_rows cc_rows;

/** Begins a SQL statement that only reads.
 *
 * parameters: (count), the values of its question marks, in order; NULL for none. They are copied.
 * Fails with CC_INVALID_SQL. While rows are open whose end has not been reached, the index takes up no runs: don't keep
 * them for long. */
int cc_query(cc_corpus *corpus, const char *sql, const cc_value *parameters, size_t count, cc_rows **rows);

/** The number of columns; 0 for NULL. */
size_t cc_rows_column_count(cc_rows *rows);

/** A column's name, valid until the rows are closed; NULL where there is none of this number. */
const char *cc_rows_column(cc_rows *rows, size_t column);

/** Fetches the next rows, at most `limit`.
 *
 * values: receives a pointer to (count, columns), valid until the next fetch on these rows or until they are closed.
 * count: receives their number: fewer than `limit` only at the end, 0 after it.
 * Fails with CC_INVALID_SQL for what fails only while it runs, CC_INTERRUPTED, and other errors of the index. */
int cc_rows_fetch(cc_rows *rows, size_t limit, const cc_value **values, size_t *count);

/** Ends the fetch that another thread is waiting for, and all later ones, with CC_INTERRUPTED. */
void cc_rows_interrupt(cc_rows *rows);

void cc_rows_close(cc_rows *rows);

/* ---- Storing runs of one's own ---- */

/** A corpus that is open for storing runs. */
typedef struct cc_writer cc_writer;

/** Opens a corpus for storing runs, making it where nothing is yet.
 *
 * manifest: what the runs have in common, as JSON:
 *     {"task": "my-task",
 *      "architecture": {"name": "mlp", "tensors": [{"name": "fc.weight", "shape": [10, 4]}, …]},
 *      "metrics": [{"name": "test_loss", "goal": "minimize"}, …],
 *      "recipe": {…}}
 * and optionally, in the architecture, "permutations": which axes of which tensors move together, as Schemas/corpus.md
 * describes it (refused where it contradicts the shapes, or differs from what the corpus has); and "codec" ("delta" or "zstd"), "split" ({"test_fraction": 0.05, "test_limit": 2050}) and
 * "generator_version" (0: runs that this library cannot make again).
 * Fails with CC_INVALID_ARGUMENT for a manifest that cannot be, CC_DIFFERENT_TASK or CC_DIFFERENT_RECIPE for a corpus
 * that is there and has another, CC_ALREADY_EXISTS where something else is there, CC_READ_ONLY, CC_DISK_FULL,
 * CC_RESOURCE on a file system without locks, unless the variable CORPUS_ALONE is 1: then nothing keeps other processes
 * from changing the corpus at the same time. */
int cc_writer_open(const char *path, const char *manifest, cc_writer **writer);

/** Gives up the runs that were begun and not stored. */
void cc_writer_close(cc_writer *writer);

/** Tells whether a run is stored: *contains becomes 1 or 0. */
int cc_writer_contains(cc_writer *writer, int64_t seed, int *contains);

/** Claims a run, so that no other process makes it until it is stored or given up. The claim of a process that dies
 * ends with it.
 *
 * seed: from 0 to 2^62 - 1.
 * Fails with CC_ALREADY_EXISTS for a run that is stored, CC_CLAIMED_ELSEWHERE. */
int cc_writer_begin(cc_writer *writer, int64_t seed);

/** Gives a run up that was begun. */
void cc_writer_abandon(cc_writer *writer, int64_t seed);

/** Stores a run, begun or not. It is there as a whole or not at all. The index takes it up when it is free, at the latest
 * in cc_writer_close(); what a reader who never ends keeps out of it even then is left to cc_index().
 *
 * checkpoints: K, above 0. iterations: (K), ascending, from 0 on. metrics: (M, K), in the order of the manifest, NaN
 * for no value. parameters: (K, P).
 * Fails with CC_INVALID_ARGUMENT, CC_ALREADY_EXISTS, CC_CLAIMED_ELSEWHERE, CC_DISK_FULL, CC_READ_ONLY. A run that was
 * begun stays so when this fails. */
int cc_writer_store(cc_writer *writer, int64_t seed, int64_t checkpoints, const int32_t *iterations,
                    const float *metrics, const float *parameters);

/** Tells the status of a run that this writer has stored: those of another one than CC_STATUS_OK are left out by
 * streams unless they are asked for.
 *
 * status: receives CC_STATUS_….
 * Fails with CC_UNKNOWN_RUN for a run that it has not stored. */
int cc_writer_status(cc_writer *writer, int64_t seed, int32_t *status);

/* ---- Judging networks ---- */

/** A task that networks can be judged on, with its data. */
typedef struct cc_evaluator cc_evaluator;

/** Makes a task ready, and reads its data.
 *
 * task: "mnist", "cifar10" or "cartpole". recipe: its recipe as JSON, as a manifest has it; NULL for the published
 * one. datasets: the directory of data sets; NULL for what the variable CORPUS_DATASETS names, else Data.
 * Fails with CC_CANNOT_REPLAY for another task, CC_INVALID_RECIPE, CC_MISSING_DATASET, CC_MALFORMED_DATASET,
 * CC_DIFFERENT_DATASET. */
int cc_evaluator_open(const char *task, const char *recipe, const char *datasets, cc_evaluator **evaluator);

void cc_evaluator_close(cc_evaluator *evaluator);

/** P, the length of a parameter vector; 0 for NULL. */
int64_t cc_evaluator_parameter_count(cc_evaluator *evaluator);

/** The number E of numbers that a network is judged by; 0 for NULL. */
size_t cc_evaluator_metric_count(cc_evaluator *evaluator);

/** Their names, such as "test_loss"; valid until the evaluator is closed; NULL where there is none of this number. */
const char *cc_evaluator_metric(cc_evaluator *evaluator, size_t metric);

/** Judges networks: MNIST and CIFAR-10 by loss and error on all test images, Cartpole by the mean return of at least
 * 256 episodes with noise. The numbers do not depend on the number of threads or on the processor.
 *
 * count: the number N of networks. parameters: (N, P).
 * seed: of the random numbers of Cartpole, the same for each network; the others have none.
 * workers: the number of threads; 0 for as many as there are processors.
 * metrics: receives (N, E).
 * Fails with CC_INTERRUPTED after cc_evaluator_cancel(), CC_RESOURCE if no thread can be started. */
int cc_evaluator_run(cc_evaluator *evaluator, size_t count, const float *parameters, uint64_t seed, unsigned workers,
                     float *metrics);

/** Makes the network that the run of a seed begins with: random numbers as the task's recipe draws them.
 *
 * seed: a run's for its own first checkpoint, to the bit; one of 2^62 or more for a network that no corpus has.
 * parameters: receives (P). */
int cc_evaluator_initial_network(cc_evaluator *evaluator, uint64_t seed, float *parameters);

/** The best prompt of the published evaluation, such as 500 for "cartpole" and "train_return"; NAN where there is none. */
float cc_published_prompt(const char *task, const char *metric);

/** Ends the runs of this evaluator that other threads are waiting for, within the time that a network takes. */
void cc_evaluator_cancel(cc_evaluator *evaluator);

/* ---- Training pairs ---- */

/** Batches of prompt pairs (start parameters and metric, target parameters and metric), made ahead by threads.
 *
 *     cc_stream_options options;
 *     cc_stream_defaults(&options);
 *     options.batch_size = 256;
 *     cc_stream *stream;
 *     if (cc_stream_open("corpora/cartpole", &options, &stream) != CC_OK) ...
 *     cc_batch batch;
 *     while (cc_stream_next(stream, &batch) == CC_OK) {
 *         train(batch.start, batch.target, batch.start_metric, batch.target_metric);
 *         cc_batch_release(&batch);
 *     }
 *     cc_stream_close(stream);
 *
 * Which pair comes at which place of an epoch depends on the corpus, the selection and the seed alone: not on the
 * number of threads, nor on that of the processes that share an epoch. So any process can start anywhere. */
typedef struct cc_stream cc_stream;

/** Which runs, besides CC_SPLIT_TRAIN and CC_SPLIT_TEST. */
enum { CC_SPLIT_ALL = 2 };

/** What an item of a batch is: two checkpoints of a run, the start before the target; or one checkpoint. */
enum { CC_ITEM_PAIRS = 0, CC_ITEM_CHECKPOINTS = 1 };

/** In which order an epoch goes through the runs. */
enum {
  /** Any run may follow any other: for fast disks and the page cache. */
  CC_ORDER_RANDOM = 0,
  /** Whole stretches of shards, in random order and shuffled among each other: for disks that hate seeks. */
  CC_ORDER_SEQUENTIAL = 1
};

/** What is done to the hidden units of a network, the same to both members of a pair. Only what the corpus declares to
 * be permutation groups moves; where it declares none, CC_AUGMENT_PERMUTE and CC_AUGMENT_CANONICAL are refused. */
enum {
  /** CC_AUGMENT_PERMUTE where permutation groups are declared, else CC_AUGMENT_NONE. */
  CC_AUGMENT_AUTOMATIC = -1,
  CC_AUGMENT_NONE = 0,
  /** A random permutation of the units of each group; it leaves the function unchanged. */
  CC_AUGMENT_PERMUTE = 1,
  /** The one order of the units that follows from the start parameters alone, whatever order they had. */
  CC_AUGMENT_CANONICAL = 2
};

/** Where decoded runs are kept from one visit to the next. */
enum {
  CC_CACHE_NONE = 0,
  CC_CACHE_MEMORY = 1,
  /** In a file of the directory cache_path; it serves later streams and other processes, too. */
  CC_CACHE_DISK = 2
};

/** What happens when a checkpoint cannot be decoded. */
enum {
  /** cc_stream_next() fails with CC_DAMAGED_SHARD, naming the shard. */
  CC_DAMAGE_STOP = 0,
  /** Another run takes the place of the damaged one, and is counted. */
  CC_DAMAGE_SKIP = 1
};

/** What becomes of checkpoints that have no finite value of the metric. */
enum {
  /** They do not occur. */
  CC_UNMEASURED_LEAVE_OUT = 0,
  /** They occur as others do, and their metric is given as it is: NaN, or an infinity. */
  CC_UNMEASURED_TAKE = 1
};

/** How the metrics of targets (of single checkpoints: theirs) are spread. */
enum {
  /** As they come: start and spacing are drawn as published. */
  CC_BALANCE_NONE = 0,
  /** Evenly over the metric's range. */
  CC_BALANCE_METRIC = 1,
  /** Evenly over its quantiles among the selected checkpoints. */
  CC_BALANCE_QUANTILE = 2,
  /** Evenly over its logarithm; of positive metrics only. */
  CC_BALANCE_LOG = 3
};

/** Whether the start comes before the target, or either may come first. */
enum { CC_DIRECTIONS_FORWARD = 0, CC_DIRECTIONS_BOTH = 1 };

/** What is drawn otherwise from an epoch on. Set by cc_stream_stage_defaults(), then changed at will. */
typedef struct cc_stream_stage {
  int64_t first_epoch;     /* from 0 on; an epoch obeys the last stage that has begun; 0 */
  const char *where;       /* a SQL condition besides the stream's own; NULL, as set, for none */
  const char *run_weights; /* as in cc_stream_options, as are those that follow; NULL, as set, for the stream's */
  float balance_low;       /* 0 and 0, as set, for the stream's */
  float balance_high;
  int32_t balance;         /* -1, as set, for the stream's */
  int32_t directions;      /* -1, as set, for the stream's */
  double initial_starts;   /* -1, as set, for the stream's */
  double unchanged;        /* -1, as set, for the stream's */
  int64_t unused[4];       /* 0 */
} cc_stream_stage;

/** Sets every member to what is said above. */
void cc_stream_stage_defaults(cc_stream_stage *stage);

/** What a stream draws, and how. Set by cc_stream_defaults(), then changed at will. */
typedef struct cc_stream_options {
  const char *metric;      /* of starts and targets; NULL, as set, for the last one of the corpus */
  const char *where;       /* a SQL condition on the columns of runs and checkpoints; checkpoints that do not meet it
                              do not occur; NULL, as set, for none */
  int64_t batch_size;      /* B: items in a batch of this rank; 1024 */
  uint64_t seed;           /* of everything that is drawn; 0 */
  int32_t split;           /* CC_SPLIT_TRAIN */
  uint32_t statuses;       /* of the runs that may occur: a sum of 1 << CC_STATUS_…; 1 << CC_STATUS_OK */
  int32_t item;            /* CC_ITEM_PAIRS */
  int32_t order;           /* CC_ORDER_RANDOM */
  int32_t augmentation;    /* CC_AUGMENT_AUTOMATIC */
  int32_t on_damage;       /* CC_DAMAGE_STOP */
  float scale;             /* what parameters are multiplied by; 0, as set, for 0.538 / their standard deviation in the
                              selected runs */
  int32_t workers;         /* threads that decode; 0, as set, for one a processor */
  int32_t prefetch;        /* batches that are made ahead of the one that is asked for; 4 */
  int32_t cache;           /* CC_CACHE_NONE */
  const char *cache_path;  /* the directory of CC_CACHE_DISK, made if need be; NULL */
  int64_t cache_bytes;     /* the most that the cache may take; 4,096,000,000 */
  int32_t rank;            /* which part of every global batch, of world_size x B items, this process gets; 0 */
  int32_t world_size;      /* 1 */
  int32_t share;           /* which of this rank's batches this stream gives, where several processes load for it: */
  int32_t shares;          /* share, share + shares, …; 0 and 1 */
  int64_t items_per_epoch; /* about how many items an epoch has: each run is visited equally often, at least once; 0,
                              as set, for the published number, 100,800, or 806,400 for Cartpole */
  int32_t balance;         /* CC_BALANCE_NONE */
  int32_t directions;      /* CC_DIRECTIONS_FORWARD */
  float balance_low;       /* with a balance, the range of the metric that targets are drawn from: */
  float balance_high;      /* 0 and 0, as set, for all that the selected runs have */
  double initial_starts;   /* the share of pairs that start at the run's first checkpoint that may occur; 0, as set, for
                              no more than come by chance */
  double unchanged;        /* the share of pairs whose target is the start itself or the checkpoint before or after it; 0 */
  const char *run_weights; /* a SQL expression on the columns of runs, or on aggregates over a run's checkpoints, in
                              proportion to which runs are visited; NULL, as set, for all alike */
  const cc_stream_stage *stages; /* what changes with the epoch, in the order of the first epochs; NULL */
  int64_t stage_count;     /* 0 */
  int32_t unmeasured;      /* CC_UNMEASURED_LEAVE_OUT */
  int32_t unused[1];       /* 0 */
} cc_stream_options;

/** Sets every option to what is said above. */
void cc_stream_defaults(cc_stream_options *options);

/** Opens a stream at the beginning of epoch 0. Its threads begin at once.
 *
 * path: the corpus's directory. options: NULL for the defaults; they are copied.
 * Fails with CC_INVALID_ARGUMENT for what cannot be, such as a metric that the corpus has not; CC_INVALID_SQL for the
 * condition; CC_EMPTY_SELECTION if no run is left, or fewer items than a batch has; and as cc_corpus_open(). */
int cc_stream_open(const char *path, const cc_stream_options *options, cc_stream **stream);

/** A corpus of a mixture. */
typedef struct cc_stream_share {
  const char *path; /* its directory */
  double share;     /* its proportion of the items, in relation to those of the others; above 0 */
} cc_stream_share;

/** Opens a stream of several corpora of one architecture, which share each epoch's items in given proportions.
 *
 * shares: count of them. options: hold for each corpus; the scale is common.
 * Fails as cc_stream_open(); with CC_INVALID_ARGUMENT also for corpora of different architectures, one without the
 * metric, and, where no scale is given, corpora whose own differ by more than a factor of 2. */
int cc_stream_open_mixture(const cc_stream_share *shares, size_t count, const cc_stream_options *options,
                           cc_stream **stream);

/** Ends the threads. Batches stay valid until they are released. */
void cc_stream_close(cc_stream *stream);

/** What a stream has come to. */
typedef struct cc_stream_facts {
  int64_t parameter_count;   /* P, the length of a parameter vector */
  int64_t runs;              /* that it draws from */
  int64_t items_per_epoch;   /* of all ranks together, those included that do not fill a last batch */
  int64_t batches_per_epoch; /* that this stream gives */
  float scale;               /* what parameters are multiplied by */
  int32_t augmentation;      /* CC_AUGMENT_NONE, CC_AUGMENT_PERMUTE or CC_AUGMENT_CANONICAL: what is done */
  const char *metric;        /* its name, valid until the stream is closed */
  const char *fingerprint;   /* names the sequence of items: of two streams with the same one, each can go on where
                                the other stopped; valid until the stream is closed */
} cc_stream_facts;

int cc_stream_describe(cc_stream *stream, cc_stream_facts *facts);

/** What split and conditions select and a stream does not draw from, of all its corpora together. */
typedef struct cc_stream_omissions {
  int64_t nonfinite;    /* runs of CC_STATUS_NONFINITE, where the options do not want them */
  int64_t out_of_range; /* runs of CC_STATUS_OUT_OF_RANGE, likewise */
  int64_t ok;           /* runs of CC_STATUS_OK, likewise */
  int64_t unmeasured;   /* checkpoints of the others that have no finite value of the metric */
  int64_t singles;      /* runs of which a single checkpoint is left, where two make a pair */
  int64_t unused[3];    /* 0 */
} cc_stream_omissions;

int cc_stream_left_out(cc_stream *stream, cc_stream_omissions *omissions);

/** What a stream has done since it was opened. */
typedef struct cc_stream_counts {
  int64_t items;
  int64_t cached;   /* items that came from the cache */
  int64_t replaced; /* damaged items that others took the place of */
  int64_t unused;   /* 0 */
} cc_stream_counts;

int cc_stream_statistics(cc_stream *stream, cc_stream_counts *counts);

/** Where the next batch is taken: its epoch, and the number of this stream's batches before it in that. */
int cc_stream_position(cc_stream *stream, int64_t *epoch, int64_t *batch);

/** Goes on from any place. Fails with CC_INVALID_ARGUMENT for one that no epoch has. */
int cc_stream_seek(cc_stream *stream, int64_t epoch, int64_t batch);

/** A batch of B items. Its arrays begin at multiples of 64 bytes, and may be written to. */
typedef struct cc_batch {
  int64_t count;           /* B */
  int64_t parameter_count; /* P */
  int64_t epoch;
  int64_t first_item;      /* the place in the epoch of its first item */
  int64_t replacements;    /* items that stand in for damaged ones */
  float *start;            /* (B, P), permuted and scaled */
  float *target;           /* (B, P), likewise; NULL for single checkpoints */
  float *start_metric;     /* (B) */
  float *target_metric;    /* (B) */
  int64_t *run;            /* (B) */
  int32_t *start_step;     /* (B), the places of the checkpoints in their runs */
  int32_t *target_step;    /* (B) */
  void *owner;             /* the library's */
} cc_batch;

/** Takes the next batch; after the last one of an epoch, the first one of the next. Waits until it is there.
 *
 * batch: receives it, valid until it is released, even if the stream goes on or is closed.
 * Fails with CC_INTERRUPTED after cc_stream_cancel(); CC_DAMAGED_SHARD, naming the shard, for a checkpoint that cannot
 * be decoded, unless the options say to skip it: again at each call, until cc_stream_seek() leads past it. */
int cc_stream_next(cc_stream *stream, cc_batch *batch);

/** Which corpus of a mixture each item comes from, as its place among the shares: (B), in the batch's memory; NULL for a
 * batch of zeros. */
const int32_t *cc_batch_sources(const cc_batch *batch);

/** Gives the memory of a batch back, for later ones, and sets all of it to 0; NULL and a batch of zeros may be given.
 * In a child of the process that took the batch it does nothing. */
void cc_batch_release(cc_batch *batch);

/** Ends all waiting in cc_stream_next() for good. */
void cc_stream_cancel(cc_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
