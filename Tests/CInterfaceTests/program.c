/* The C interface as a C program uses it. Arguments: what to try, the path of a corpus of TestCorpus with the runs 0
 * to 4, and a path where nothing is yet. Says on standard error which expectation fails. */
#include "checkpoint_corpus.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT(condition)                                                                                           \
  do {                                                                                                              \
    if (!(condition)) {                                                                                             \
      fprintf(stderr, "%s:%d: %s\n  last error: %s (%s): %s\n", __FILE__, __LINE__, #condition, cc_error_message(), \
              cc_error_cause(), cc_error_remedy());                                                                 \
      exit(1);                                                                                                      \
    }                                                                                                               \
  } while (0)

enum { P = 7, M = 2, K = 23, RUNS = 5 };

static cc_corpus *opened(const char *path) {
  cc_corpus *corpus;
  EXPECT(cc_corpus_open(path, 0, &corpus) == CC_OK);
  return corpus;
}

static void reading(const char *path) {
  cc_corpus *corpus = opened(path);
  EXPECT(strstr(cc_corpus_manifest(corpus), "\"task\":\"made-up\"") != NULL);
  EXPECT(cc_corpus_parameter_count(corpus) == P && cc_corpus_metric_count(corpus) == M);
  int64_t runs, checkpoints;
  EXPECT(cc_corpus_count(corpus, &runs, &checkpoints) == CC_OK && runs == RUNS && checkpoints == RUNS * K);
  cc_run facts;
  EXPECT(cc_corpus_run(corpus, 4, &facts) == CC_OK && facts.run == 4 && facts.checkpoints == K);
  EXPECT(facts.status == CC_STATUS_OK && facts.split == CC_SPLIT_TEST);
  EXPECT(cc_corpus_run(corpus, 0, &facts) == CC_OK && facts.split == CC_SPLIT_TRAIN);

  int32_t iterations[K];
  float metrics[M][K], all[K][P], some[5][P];
  EXPECT(cc_corpus_read_run(corpus, 3, K, iterations, metrics[0], all[0]) == CC_OK);
  for (int i = 0; i < K; i++) EXPECT(iterations[i] == 3 * i);
  EXPECT(isnan(metrics[1][0]) && metrics[1][22] >= 22 && metrics[1][22] < 23);
  EXPECT(cc_corpus_read_run(corpus, 3, K, iterations, NULL, NULL) == CC_OK && iterations[22] == 66);
  for (int first = 0; first + 5 <= K; first++) {
    EXPECT(cc_corpus_read(corpus, 3, first, first + 5, some[0]) == CC_OK);
    EXPECT(memcmp(some, all[first], sizeof some) == 0);
  }
  EXPECT(cc_corpus_read(corpus, 3, 9, 9, some[0]) == CC_OK);
  cc_corpus_close(corpus);
}

static void sql(const char *path) {
  cc_corpus *corpus = opened(path);
  cc_value parameters[5] = {{.type = CC_INTEGER, .as.integer = 7},
                            {.type = CC_REAL, .as.real = 0.5},
                            {.type = CC_TEXT, .length = 5, .as.text = "n\xc3\xa4hen"},
                            {.type = CC_BLOB, .length = 3, .as.blob = "a\0b"},
                            {.type = CC_NULL}};
  cc_rows *rows;
  EXPECT(cc_query(corpus, "SELECT ? AS a, ?, ?, ?, ?; -- nothing more", parameters, 5, &rows) == CC_OK);
  EXPECT(cc_rows_column_count(rows) == 5 && strcmp(cc_rows_column(rows, 0), "a") == 0);
  EXPECT(cc_rows_column(rows, 5) == NULL);
  const cc_value *values;
  size_t count;
  EXPECT(cc_rows_fetch(rows, 10, &values, &count) == CC_OK && count == 1);
  EXPECT(values[0].type == CC_INTEGER && values[0].as.integer == 7);
  EXPECT(values[1].type == CC_REAL && values[1].as.real == 0.5);
  EXPECT(values[2].type == CC_TEXT && values[2].length == 5 && strcmp(values[2].as.text, "n\xc3\xa4he") == 0);
  EXPECT(values[3].type == CC_BLOB && values[3].length == 3 && memcmp(values[3].as.blob, "a\0b", 3) == 0);
  EXPECT(values[4].type == CC_NULL);
  EXPECT(cc_rows_fetch(rows, 10, &values, &count) == CC_OK && count == 0);
  cc_rows_close(rows);

  EXPECT(cc_query(corpus, "SELECT run, step FROM checkpoints ORDER BY run, step", NULL, 0, &rows) == CC_OK);
  int found = 0;
  do {
    EXPECT(cc_rows_fetch(rows, 10, &values, &count) == CC_OK && count <= 10);
    for (size_t i = 0; i < count; i++, found++)
      EXPECT(values[2 * i].as.integer == found / K && values[2 * i + 1].as.integer == found % K);
  } while (count > 0);
  EXPECT(found == RUNS * K);
  cc_rows_close(rows);

  const char *bad[] = {"SELECT", "SELECT 1; SELECT 2", "", "DELETE FROM runs", "SELECT nothing FROM runs"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    EXPECT(cc_query(corpus, bad[i], NULL, 0, &rows) == CC_INVALID_SQL);
  EXPECT(cc_query(corpus, "SELECT ?", NULL, 0, &rows) == CC_INVALID_SQL);
  cc_value least = {.type = CC_INTEGER, .as.integer = INT64_MIN};
  EXPECT(cc_query(corpus, "SELECT abs(?)", &least, 1, &rows) == CC_OK);
  EXPECT(cc_rows_fetch(rows, 1, &values, &count) == CC_INVALID_SQL);
  cc_rows_close(rows);
  cc_corpus_close(corpus);
}

static void errors(const char *path, const char *missing) {
  cc_corpus *corpus;
  EXPECT(cc_corpus_open(missing, 0, &corpus) == CC_NOT_A_CORPUS);
  EXPECT(strstr(cc_error_message(), missing) && *cc_error_remedy());
  EXPECT(cc_corpus_open(path, 8, &corpus) == CC_INVALID_ARGUMENT);
  EXPECT(cc_corpus_open(NULL, 0, &corpus) == CC_INVALID_ARGUMENT);
  EXPECT(cc_corpus_open(path, 0, NULL) == CC_INVALID_ARGUMENT);
  float vector[P];
  EXPECT(cc_corpus_read(NULL, 0, 0, 1, vector) == CC_INVALID_ARGUMENT);
  EXPECT(cc_corpus_canonicalize(NULL, 1, vector) == CC_INVALID_ARGUMENT);
  cc_corpus_close(NULL);
  corpus = opened(path);
  EXPECT(cc_corpus_canonicalize(corpus, 0, NULL) == CC_OK);
  EXPECT(cc_corpus_canonicalize(corpus, 1, vector) == CC_INVALID_ARGUMENT && strstr(cc_error_message(), "tiny"));
  EXPECT(cc_corpus_read(corpus, 99, 0, 1, vector) == CC_UNKNOWN_RUN && strstr(cc_error_message(), "run 99"));
  int64_t bad[][2] = {{-1, 1}, {2, 1}, {K, K + 1}, {0, INT64_MAX}, {INT64_MIN, 0}};
  for (int i = 0; i < 5; i++) EXPECT(cc_corpus_read(corpus, 1, bad[i][0], bad[i][1], vector) == CC_INVALID_ARGUMENT);
  EXPECT(cc_corpus_read(corpus, 1, 0, 1, NULL) == CC_INVALID_ARGUMENT);
  int32_t iterations[K];
  EXPECT(cc_corpus_read_run(corpus, 1, K - 1, iterations, NULL, NULL) == CC_INVALID_ARGUMENT);
  cc_evaluator *evaluator;
  EXPECT(cc_evaluator_open("chess", NULL, NULL, &evaluator) == CC_CANNOT_REPLAY);
  EXPECT(cc_evaluator_open("cartpole", "{", NULL, &evaluator) == CC_INVALID_RECIPE);
  EXPECT(cc_evaluator_open("mnist", NULL, missing, &evaluator) == CC_MISSING_DATASET);
  EXPECT(strcmp(cc_error_name(CC_UNKNOWN_RUN), "unknown_run") == 0 && strcmp(cc_error_name(-5), "unknown") == 0);
  for (int code = CC_OK; code <= CC_CLAIMED_ELSEWHERE; code++) EXPECT(strcmp(cc_error_name(code), "unknown") != 0);
  EXPECT(cc_version() != NULL);
  cc_corpus_close(corpus);
}

static const char manifest[] =
    "{\"task\": \"mine\", \"architecture\": {\"name\": \"line\", \"tensors\": [{\"name\": \"w\", \"shape\": [2]}]},"
    " \"metrics\": [{\"name\": \"test_loss\", \"goal\": \"minimize\"}], \"recipe\": {\"rate\": 0.5}}";

static void writing(const char *missing) {
  cc_writer *writer, *other;
  EXPECT(cc_writer_open(missing, "{\"task\": 3}", &writer) == CC_INVALID_ARGUMENT);
  EXPECT(cc_writer_open(missing, manifest, &writer) == CC_OK);
  int32_t iterations[] = {0, 5, 9};
  float metrics[] = {3, 2, NAN}, parameters[] = {1, 2, 3, 4, 5, 6};
  int contains = 7;
  EXPECT(cc_writer_contains(writer, 2, &contains) == CC_OK && contains == 0);
  EXPECT(cc_writer_begin(writer, 2) == CC_OK && cc_writer_begin(writer, 2) == CC_CLAIMED_ELSEWHERE);
  EXPECT(cc_writer_open(missing, manifest, &other) == CC_OK);
  EXPECT(cc_writer_begin(other, 2) == CC_CLAIMED_ELSEWHERE);
  EXPECT(cc_writer_store(other, 2, 3, iterations, metrics, parameters) == CC_CLAIMED_ELSEWHERE);
  int32_t descending[] = {0, 5, 5};
  EXPECT(cc_writer_store(writer, 2, 3, descending, metrics, parameters) == CC_INVALID_ARGUMENT);
  EXPECT(cc_writer_store(writer, 2, 0, iterations, metrics, parameters) == CC_INVALID_ARGUMENT);
  EXPECT(cc_writer_store(writer, -1, 3, iterations, metrics, parameters) == CC_INVALID_ARGUMENT);
  EXPECT(cc_writer_store(writer, 2, 3, iterations, metrics, parameters) == CC_OK);
  EXPECT(cc_writer_contains(writer, 2, &contains) == CC_OK && contains == 1);
  int32_t status = -1;
  EXPECT(cc_writer_status(writer, 2, &status) == CC_OK && status == CC_STATUS_OK);
  EXPECT(cc_writer_status(writer, 77, &status) == CC_UNKNOWN_RUN);
  EXPECT(cc_writer_begin(other, 2) == CC_ALREADY_EXISTS);
  EXPECT(cc_writer_store(other, 2, 3, iterations, metrics, parameters) == CC_ALREADY_EXISTS);
  EXPECT(cc_writer_begin(other, 3) == CC_OK);
  cc_writer_abandon(other, 3);
  EXPECT(cc_writer_begin(writer, 3) == CC_OK);
  cc_writer_close(writer);
  /* Closing gives up what was begun. */
  EXPECT(cc_writer_store(other, 3, 1, iterations, metrics, parameters) == CC_OK);
  cc_writer_close(other);

  cc_corpus *corpus = opened(missing);
  float found[6];
  EXPECT(cc_corpus_read(corpus, 2, 0, 3, found) == CC_OK && memcmp(found, parameters, sizeof found) == 0);
  cc_corpus_close(corpus);
  EXPECT(cc_index(missing, 0) == CC_OK && cc_index(missing, 1) == CC_OK);
}

static void evaluating(void) {
  EXPECT(cc_published_prompt("cartpole", "train_return") == 500 && cc_published_prompt("mnist", "test_loss") == 0);
  float none = cc_published_prompt("cartpole", "test_loss"), nobodys = cc_published_prompt("chess", NULL);
  EXPECT(none != none && nobodys != nobodys);
  cc_evaluator *evaluator;
  EXPECT(cc_evaluator_open("cartpole", NULL, NULL, &evaluator) == CC_OK);
  size_t length = (size_t)cc_evaluator_parameter_count(evaluator);
  EXPECT(length == 1250 && cc_evaluator_metric_count(evaluator) == 1);
  EXPECT(strcmp(cc_evaluator_metric(evaluator, 0), "train_return") == 0 && !cc_evaluator_metric(evaluator, 1));
  float *networks = calloc(5 * length, sizeof(float)), first[5], again[5], seeded[5];
  for (size_t i = 0; i < 5 * length; i++) networks[i] = 0.05f * (float)((int)(i * 7919 % 41) - 20);
  EXPECT(cc_evaluator_run(evaluator, 5, networks, 0, 1, first) == CC_OK);
  EXPECT(cc_evaluator_run(evaluator, 5, networks, 0, 4, again) == CC_OK);
  EXPECT(memcmp(first, again, sizeof first) == 0);
  EXPECT(cc_evaluator_run(evaluator, 5, networks, 1, 0, seeded) == CC_OK && memcmp(first, seeded, sizeof first) != 0);
  EXPECT(cc_evaluator_run(evaluator, 0, NULL, 0, 0, NULL) == CC_OK);
  EXPECT(cc_evaluator_run(evaluator, 1, NULL, 0, 0, first) == CC_INVALID_ARGUMENT);
  /* What a seed gives is always the same, and a policy of a few steps. */
  const uint64_t foreign = (uint64_t)1 << 62;
  EXPECT(cc_evaluator_initial_network(evaluator, foreign, networks) == CC_OK);
  EXPECT(cc_evaluator_initial_network(evaluator, foreign, networks + length) == CC_OK);
  EXPECT(cc_evaluator_initial_network(evaluator, foreign + 1, networks + 2 * length) == CC_OK);
  EXPECT(memcmp(networks, networks + length, length * sizeof(float)) == 0);
  EXPECT(memcmp(networks, networks + 2 * length, length * sizeof(float)) != 0);
  EXPECT(cc_evaluator_run(evaluator, 3, networks, 0, 1, first) == CC_OK && first[0] == first[1] && first[0] < 100);
  EXPECT(cc_evaluator_initial_network(evaluator, 0, NULL) == CC_INVALID_ARGUMENT);
  EXPECT(cc_evaluator_initial_network(NULL, 0, networks) == CC_INVALID_ARGUMENT);
  cc_evaluator_close(evaluator);
  free(networks);
}

static cc_stream_options plain(void) {
  cc_stream_options options;
  cc_stream_defaults(&options);
  options.augmentation = CC_AUGMENT_NONE;
  options.scale = 1;
  options.batch_size = 8;
  options.items_per_epoch = 80;
  return options;
}

static void *cancelled_stream(void *context) {
  usleep(100000);
  cc_stream_cancel(context);
  return NULL;
}

static void streaming(const char *path, const char *missing) {
  cc_corpus *corpus = opened(path);
  cc_stream_options options = plain();
  cc_stream *stream, *second;
  EXPECT(cc_stream_open(path, &options, &stream) == CC_OK);
  cc_stream_facts facts;
  EXPECT(cc_stream_describe(stream, &facts) == CC_OK && facts.parameter_count == P && facts.runs == 4);
  EXPECT(facts.items_per_epoch == 80 && facts.batches_per_epoch == 10 && facts.scale == 1);
  EXPECT(strcmp(facts.metric, "train_return") == 0 && strlen(facts.fingerprint) == 64);
  /* The first checkpoint of each run has no return. */
  cc_stream_omissions omissions;
  EXPECT(cc_stream_left_out(stream, &omissions) == CC_OK && omissions.unmeasured == 4 && omissions.singles == 0);
  EXPECT(omissions.ok == 0 && omissions.nonfinite == 0 && omissions.out_of_range == 0);
  EXPECT(cc_stream_left_out(stream, NULL) == CC_INVALID_ARGUMENT);
  options.unmeasured = CC_UNMEASURED_TAKE;
  EXPECT(cc_stream_open(path, &options, &second) == CC_OK);
  EXPECT(cc_stream_left_out(second, &omissions) == CC_OK && omissions.unmeasured == 0);
  cc_stream_close(second);
  options = plain();

  /* Two ranks, one of which has two shares, take turns at what one stream gives. */
  cc_stream_options parts[3] = {options, options, options};
  cc_stream *all[3];
  for (int i = 0; i < 3; i++) {
    parts[i].world_size = 2;
    parts[i].rank = i > 0;
    parts[i].share = i > 1;
    parts[i].shares = i > 0 ? 2 : 1;
    parts[i].workers = i + 1;
    EXPECT(cc_stream_open(path, &parts[i], &all[i]) == CC_OK);
  }
  int of[20] = {0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 1, 0, 2, 0, 1, 0, 2, 0, 1};
  cc_batch batch, other, kept = {0};
  for (int i = 0; i < 20; i++) {
    int64_t epoch, number;
    EXPECT(cc_stream_position(stream, &epoch, &number) == CC_OK && epoch == i / 10 && number == i % 10);
    EXPECT(cc_stream_next(stream, &batch) == CC_OK && cc_stream_next(all[of[i]], &other) == CC_OK);
    EXPECT(batch.count == 8 && batch.parameter_count == P && batch.epoch == i / 10 && batch.replacements == 0);
    EXPECT(batch.first_item == 8 * (i % 10) && other.first_item == batch.first_item && other.epoch == batch.epoch);
    EXPECT(memcmp(batch.start, other.start, sizeof(float[8][P])) == 0);
    EXPECT(memcmp(batch.target, other.target, sizeof(float[8][P])) == 0);
    for (int item = 0; item < 8; item++) {
      float metrics[M][K], vectors[K][P];
      EXPECT(batch.start_step[item] < batch.target_step[item]);
      EXPECT(cc_corpus_read_run(corpus, batch.run[item], K, NULL, metrics[0], vectors[0]) == CC_OK);
      EXPECT(memcmp(batch.start + item * P, vectors[batch.start_step[item]], sizeof vectors[0]) == 0);
      EXPECT(memcmp(batch.target + item * P, vectors[batch.target_step[item]], sizeof vectors[0]) == 0);
      EXPECT(memcmp(batch.start_metric + item, &metrics[1][batch.start_step[item]], sizeof(float)) == 0);
      EXPECT(batch.target_metric[item] == metrics[1][batch.target_step[item]]);
    }
    cc_batch_release(&other);
    if (i == 3) kept = batch;
    else cc_batch_release(&batch);
  }
  for (int i = 0; i < 3; i++) cc_stream_close(all[i]);

  /* A batch outlives its stream, and comes again. */
  EXPECT(cc_stream_seek(stream, 0, 3) == CC_OK && cc_stream_next(stream, &batch) == CC_OK);
  EXPECT(batch.start != kept.start && memcmp(batch.start, kept.start, sizeof(float[8][P])) == 0);
  EXPECT(cc_stream_seek(stream, 0, 11) == CC_INVALID_ARGUMENT && cc_stream_seek(stream, -1, 0) == CC_INVALID_ARGUMENT);
  cc_stream_counts counts;
  EXPECT(cc_stream_statistics(stream, &counts) == CC_OK && counts.items >= 168 && counts.replaced == 0);
  pthread_t thread;
  pthread_create(&thread, NULL, cancelled_stream, stream);
  int code;
  while ((code = cc_stream_next(stream, &other)) == CC_OK) cc_batch_release(&other);
  EXPECT(code == CC_INTERRUPTED && cc_stream_next(stream, &other) == CC_INTERRUPTED);
  pthread_join(thread, NULL);
  cc_stream_close(stream);
  EXPECT(memcmp(batch.start, kept.start, sizeof(float[8][P])) == 0);
  cc_batch_release(&batch);
  cc_batch_release(&batch);
  cc_batch_release(&kept);
  cc_batch_release(NULL);
  EXPECT(kept.start == NULL);

  options.item = CC_ITEM_CHECKPOINTS;
  options.order = CC_ORDER_SEQUENTIAL;
  options.cache = CC_CACHE_DISK;
  options.cache_path = missing;
  options.metric = "test_loss";
  options.where = "step >= 20";
  EXPECT(cc_stream_open(path, &options, &stream) == CC_OK && cc_stream_next(stream, &batch) == CC_OK);
  EXPECT(batch.start && !batch.target && batch.start_step[7] >= 20);
  cc_batch_release(&batch);
  cc_stream_close(stream);

  const cc_stream_options good = plain();
  cc_stream_defaults(&options);
  EXPECT(options.augmentation == CC_AUGMENT_AUTOMATIC && cc_stream_open(path, &options, &second) == CC_OK);
  EXPECT(cc_stream_describe(second, &facts) == CC_OK && facts.augmentation == CC_AUGMENT_NONE);
  cc_stream_close(second);
  options.augmentation = CC_AUGMENT_PERMUTE;
  EXPECT(cc_stream_open(path, &options, &second) == CC_INVALID_ARGUMENT && strstr(cc_error_message(), "tiny"));
  EXPECT(cc_stream_open(path, &good, NULL) == CC_INVALID_ARGUMENT);
  EXPECT(cc_stream_open(NULL, &good, &second) == CC_INVALID_ARGUMENT);
  EXPECT(cc_stream_open("/nowhere/at/all", &good, &second) == CC_NOT_A_CORPUS);
#define REFUSED(code, change)                                    \
  do {                                                           \
    options = good;                                              \
    options.change;                                              \
    EXPECT(cc_stream_open(path, &options, &second) == code);     \
  } while (0)
  REFUSED(CC_INVALID_ARGUMENT, metric = "colour");
  REFUSED(CC_INVALID_SQL, where = "colour = 1");
  REFUSED(CC_EMPTY_SELECTION, where = "run > 100");
  REFUSED(CC_EMPTY_SELECTION, batch_size = 81);
  REFUSED(CC_INVALID_ARGUMENT, batch_size = 0);
  REFUSED(CC_INVALID_ARGUMENT, split = 3);
  REFUSED(CC_INVALID_ARGUMENT, statuses = 0);
  REFUSED(CC_INVALID_ARGUMENT, statuses = 8);
  REFUSED(CC_INVALID_ARGUMENT, item = 2);
  REFUSED(CC_INVALID_ARGUMENT, order = -1);
  REFUSED(CC_INVALID_ARGUMENT, augmentation = 3);
  REFUSED(CC_INVALID_ARGUMENT, on_damage = 2);
  REFUSED(CC_INVALID_ARGUMENT, unmeasured = 2);
  REFUSED(CC_INVALID_ARGUMENT, scale = NAN);
  REFUSED(CC_INVALID_ARGUMENT, workers = -1);
  REFUSED(CC_INVALID_ARGUMENT, prefetch = 0);
  REFUSED(CC_INVALID_ARGUMENT, cache = 3);
  REFUSED(CC_INVALID_ARGUMENT, cache = CC_CACHE_DISK);
  REFUSED(CC_INVALID_ARGUMENT, world_size = 0);
  REFUSED(CC_INVALID_ARGUMENT, rank = 1);
  REFUSED(CC_INVALID_ARGUMENT, share = 1);
  REFUSED(CC_INVALID_ARGUMENT, items_per_epoch = -1);
  cc_stream_close(NULL);
  cc_stream_cancel(NULL);
  EXPECT(cc_stream_next(NULL, &batch) == CC_INVALID_ARGUMENT);
  cc_corpus_close(corpus);
}

/* Draws by other rules than the published one. */
static void drawing(const char *path, const char *missing) {
  cc_stream_options options = plain();
  cc_stream_stage stage;
  cc_stream_stage_defaults(&stage);
  EXPECT(stage.balance == -1 && stage.initial_starts == -1 && !stage.where);
  stage.first_epoch = 1;
  stage.where = "run = 2";
  stage.unchanged = 1;
  options.balance = CC_BALANCE_METRIC;
  options.balance_low = 2;
  options.balance_high = 21;
  options.initial_starts = 1;
  options.run_weights = "run <> 1";
  options.stages = &stage;
  options.stage_count = 1;
  cc_stream *stream;
  cc_batch batch;
  EXPECT(cc_stream_open(path, &options, &stream) == CC_OK);
  for (int i = 0; i < 18; i++) {
    EXPECT(cc_stream_next(stream, &batch) == CC_OK);
    for (int item = 0; item < 8; item++) {
      /* The first checkpoint that has a return. */
      EXPECT(batch.run[item] != 1 && batch.start_step[item] == 1 && cc_batch_sources(&batch)[item] == 0);
      if (i < 9) EXPECT(batch.target_metric[item] >= 2 && batch.target_metric[item] <= 21);
      else EXPECT(batch.run[item] == 2 && batch.target_step[item] <= 2);
    }
    cc_batch_release(&batch);
  }
  cc_stream_close(stream);
  EXPECT(cc_batch_sources(&batch) == NULL && cc_batch_sources(NULL) == NULL);

  const cc_stream_share shares[] = {{path, 3}, {path, 1}};
  const cc_stream_options good = plain();
  EXPECT(cc_stream_open_mixture(shares, 2, &good, &stream) == CC_OK);
  int of_second = 0;
  for (int i = 0; i < 10; i++) {
    EXPECT(cc_stream_next(stream, &batch) == CC_OK);
    for (int item = 0; item < 8; item++) of_second += cc_batch_sources(&batch)[item];
    cc_batch_release(&batch);
  }
  EXPECT(of_second == 20);
  cc_stream_close(stream);
  const cc_stream_share none = {path, 0}, nowhere = {missing, 1};
  EXPECT(cc_stream_open_mixture(&none, 1, &good, &stream) == CC_INVALID_ARGUMENT);
  EXPECT(cc_stream_open_mixture(&nowhere, 1, &good, &stream) == CC_NOT_A_CORPUS);
  EXPECT(cc_stream_open_mixture(NULL, 1, &good, &stream) == CC_INVALID_ARGUMENT);
  EXPECT(cc_stream_open_mixture(NULL, 0, &good, &stream) == CC_INVALID_ARGUMENT);
  cc_stream *second;
  REFUSED(CC_INVALID_ARGUMENT, balance = 4);
  REFUSED(CC_INVALID_ARGUMENT, directions = 2);
  REFUSED(CC_INVALID_ARGUMENT, balance_high = 1);
  REFUSED(CC_INVALID_ARGUMENT, balance_low = 1);
  REFUSED(CC_INVALID_ARGUMENT, initial_starts = 2);
  REFUSED(CC_INVALID_ARGUMENT, unchanged = NAN);
  REFUSED(CC_INVALID_ARGUMENT, run_weights = "-1");
  REFUSED(CC_INVALID_SQL, run_weights = "colour");
  REFUSED(CC_INVALID_ARGUMENT, stage_count = 1);
}

static void *interrupted(void *context) {
  usleep(100000);
  cc_rows_interrupt(context);
  return NULL;
}

static void *cancelled(void *context) {
  usleep(100000);
  cc_evaluator_cancel(context);
  return NULL;
}

static void interrupting(const char *path) {
  cc_corpus *corpus = opened(path);
  cc_rows *rows;
  const cc_value *values;
  size_t count;
  const char *endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
  EXPECT(cc_query(corpus, endless, NULL, 0, &rows) == CC_OK);
  pthread_t thread;
  pthread_create(&thread, NULL, interrupted, rows);
  EXPECT(cc_rows_fetch(rows, 1, &values, &count) == CC_INTERRUPTED);
  EXPECT(cc_rows_fetch(rows, 1, &values, &count) == CC_INTERRUPTED || count == 0);
  pthread_join(thread, NULL);
  cc_rows_close(rows);
  cc_corpus_close(corpus);

  cc_evaluator *evaluator;
  EXPECT(cc_evaluator_open("cartpole", NULL, NULL, &evaluator) == CC_OK);
  size_t many = 20000;
  float *networks = calloc(many * 1250, sizeof(float)), *metrics = calloc(many, sizeof(float));
  pthread_create(&thread, NULL, cancelled, evaluator);
  EXPECT(cc_evaluator_run(evaluator, many, networks, 0, 2, metrics) == CC_INTERRUPTED);
  pthread_join(thread, NULL);
  /* Cancelling concerns only what was at work then. */
  EXPECT(cc_evaluator_run(evaluator, 2, networks, 0, 2, metrics) == CC_OK);
  cc_evaluator_close(evaluator);
  free(networks);
  free(metrics);
}

static void *reader(void *context) {
  cc_corpus *corpus = context;
  float all[K][P], one[P];
  for (int i = 0; i < 200; i++) {
    int run = i % RUNS;
    EXPECT(cc_corpus_read_run(corpus, run, K, NULL, NULL, all[0]) == CC_OK);
    EXPECT(cc_corpus_read(corpus, run, i % K, i % K + 1, one) == CC_OK && memcmp(one, all[i % K], sizeof one) == 0);
    /* Errors of other threads are not this one's. */
    char expected[64];
    snprintf(expected, sizeof expected, "run %d ", 1000 + run);
    EXPECT(cc_corpus_read(corpus, 1000 + run, 0, 1, one) == CC_UNKNOWN_RUN && strstr(cc_error_message(), expected));
    cc_rows *rows;
    const cc_value *values;
    size_t count;
    EXPECT(cc_query(corpus, "SELECT count(*) FROM checkpoints", NULL, 0, &rows) == CC_OK);
    EXPECT(cc_rows_fetch(rows, 1, &values, &count) == CC_OK && values[0].as.integer == RUNS * K);
    cc_rows_close(rows);
  }
  return NULL;
}

static void threads(const char *path) {
  cc_corpus *corpus = opened(path);
  pthread_t all[8];
  for (int i = 0; i < 8; i++) pthread_create(&all[i], NULL, reader, corpus);
  for (int i = 0; i < 8; i++) pthread_join(all[i], NULL);
  cc_corpus_close(corpus);
}

/* Forks while other threads are in the midst of the library; the child opens the corpus anew. */
static void forking(const char *path, const char *missing) {
  cc_corpus *corpus = opened(path);
  cc_rows *rows;
  EXPECT(cc_query(corpus, "SELECT run FROM runs", NULL, 0, &rows) == CC_OK);
  cc_writer *writer;
  EXPECT(cc_writer_open(missing, manifest, &writer) == CC_OK);
  cc_evaluator *evaluator;
  EXPECT(cc_evaluator_open("cartpole", NULL, NULL, &evaluator) == CC_OK);
  /* Batches after batches, so that its threads are at work when the process forks. */
  cc_stream_options options = plain();
  cc_stream *stream;
  cc_batch batch, other;
  EXPECT(cc_stream_open(path, &options, &stream) == CC_OK && cc_stream_next(stream, &batch) == CC_OK);
  pthread_t all[4];
  for (int i = 0; i < 4; i++) pthread_create(&all[i], NULL, reader, corpus);
  for (int i = 0; i < 20; i++) {
    cc_stream *fresh;
    EXPECT(cc_stream_seek(stream, i, 5) == CC_OK && cc_stream_open(path, &options, &fresh) == CC_OK);
    pid_t child = fork();
    if (child == 0) {
      alarm(20);
      float vector[P], metric, network[1250] = {0};
      const cc_value *values;
      size_t count;
      int contains;
      EXPECT(cc_corpus_read(corpus, 0, 0, 1, vector) == CC_FORKED && *cc_error_remedy());
      EXPECT(cc_rows_fetch(rows, 1, &values, &count) == CC_FORKED);
      EXPECT(cc_writer_contains(writer, 0, &contains) == CC_FORKED);
      EXPECT(cc_evaluator_run(evaluator, 1, network, 0, 1, &metric) == CC_FORKED);
      EXPECT(cc_stream_next(stream, &other) == CC_FORKED && cc_stream_seek(stream, 0, 0) == CC_FORKED);
      cc_stream_counts counts;
      int64_t epoch, number;
      EXPECT(cc_stream_statistics(stream, &counts) == CC_FORKED);
      EXPECT(cc_stream_position(stream, &epoch, &number) == CC_FORKED);
      /* What was taken before can be read, and is not given back. */
      EXPECT(batch.run[7] >= 0 && batch.run[7] < RUNS);
      cc_batch_release(&batch);
      cc_stream_cancel(stream);
      cc_stream_close(stream);
      cc_stream_close(fresh);
      EXPECT(cc_stream_open(path, &options, &stream) == CC_OK && cc_stream_next(stream, &other) == CC_OK);
      cc_batch_release(&other);
      cc_stream_close(stream);
      cc_rows_interrupt(rows);
      cc_evaluator_cancel(evaluator);
      cc_rows_close(rows);
      cc_writer_close(writer);
      cc_evaluator_close(evaluator);
      cc_corpus_close(corpus);
      reading(path);
      sql(path);
      EXPECT(cc_evaluator_open("cartpole", NULL, NULL, &evaluator) == CC_OK);
      EXPECT(cc_evaluator_run(evaluator, 1, network, 0, 2, &metric) == CC_OK);
      EXPECT(cc_writer_open(missing, manifest, &writer) == CC_OK);
      float parameters[2] = {1, 2};
      EXPECT(cc_writer_store(writer, i, 1, &(int32_t){0}, &metric, parameters) == CC_OK);
      cc_writer_close(writer);
      _exit(0);
    }
    int status;
    EXPECT(child > 0 && waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cc_stream_close(fresh);
  }
  EXPECT(cc_stream_next(stream, &other) == CC_OK && other.epoch == 19 && other.first_item == 40);
  cc_batch_release(&other);
  cc_batch_release(&batch);
  cc_stream_close(stream);
  for (int i = 0; i < 4; i++) pthread_join(all[i], NULL);
  const cc_value *values;
  size_t count;
  EXPECT(cc_rows_fetch(rows, 100, &values, &count) == CC_OK && count == RUNS);
  cc_rows_close(rows);
  int contains;
  EXPECT(cc_writer_contains(writer, 19, &contains) == CC_OK && contains == 1);
  cc_writer_close(writer);
  cc_evaluator_close(evaluator);
  cc_corpus_close(corpus);
}

int main(int count, char **arguments) {
  EXPECT(count == 4);
  const char *what = arguments[1], *path = arguments[2], *missing = arguments[3];
  if (strcmp(what, "reading") == 0) reading(path);
  else if (strcmp(what, "sql") == 0) sql(path);
  else if (strcmp(what, "errors") == 0) errors(path, missing);
  else if (strcmp(what, "writing") == 0) writing(missing);
  else if (strcmp(what, "evaluating") == 0) evaluating();
  else if (strcmp(what, "streaming") == 0) streaming(path, missing);
  else if (strcmp(what, "drawing") == 0) drawing(path, missing);
  else if (strcmp(what, "interrupting") == 0) interrupting(path);
  else if (strcmp(what, "threads") == 0) threads(path);
  else if (strcmp(what, "forking") == 0) forking(path, missing);
  else return 2;
  return 0;
}
