import Tasks
public import ArgumentParser

/// Which checkpoints a run keeps.
struct ScheduleOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Which checkpoints a run keeps: \"uniform\" over its iterations, as published, \"log\" in them, or \"metric\", "
        + "evenly over a metric (default: uniform).", valueName: "rule"))
  var schedule: CheckpointRule?

  @Option(
    help: ArgumentHelp(
      "The metric of --schedule metric (default: test_loss; Cartpole: eval_return, else train_return).",
      valueName: "name"))
  var scheduleMetric: String?
}

extension CheckpointRule: ExpressibleByArgument {}
