import Foundation

/// How many processors this process may keep busy: not those of the machine, but those that it has been given.
package enum Processors {
  /// Of this process, as it was started.
  package static let available = count(
    allowed: ProcessInfo.processInfo.activeProcessorCount, environment: ProcessInfo.processInfo.environment,
    quota: quota())

  /// - Parameters:
  ///   - allowed: those that the scheduler may use, as `taskset` sets them.
  ///   - environment: of which Slurm's `SLURM_CPUS_PER_TASK` is heard.
  ///   - quota: processors' worth of time that the process may use, as containers set it; nil for any.
  package static func count(allowed: Int, environment: [String: String], quota: Double?) -> Int {
    var count = max(1, allowed)
    if let given = environment["SLURM_CPUS_PER_TASK"].flatMap({ Int($0) }), given > 0 {
      count = min(count, given)
    }
    if let quota, quota > 0 { count = min(count, max(1, Int(quota.rounded(.up)))) }
    return count
  }

  /// The least quota of the process's control groups, from its own up to the root; nil where there is none.
  ///
  /// - Parameter root: where `/proc` and `/sys` are.
  package static func quota(root: String = "") -> Double? {
    func text(_ path: String) -> String? { try? String(contentsOfFile: root + path, encoding: .utf8) }
    func number(_ path: String) -> Double? {
      text(path).flatMap { Double($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
    var least: Double?
    for line in (text("/proc/self/cgroup") ?? "").split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let isUnified = parts[0] == "0"
      guard isUnified || parts[1].split(separator: ",").contains("cpu") else { continue }
      var group = String(parts[2])
      while true {
        let folder = (isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu") + (group == "/" ? "" : group)
        var quota: Double?
        if isUnified {
          // "max 100000", or microseconds of each period.
          let words = (text("\(folder)/cpu.max") ?? "").split { $0.isWhitespace }.map { Double($0) }
          if words.count == 2, let time = words[0], let period = words[1], period > 0 {
            quota = time / period
          }
        } else if let time = number("\(folder)/cpu.cfs_quota_us"), time > 0,
          let period = number("\(folder)/cpu.cfs_period_us"), period > 0
        {
          quota = time / period
        }
        if let quota { least = min(least ?? quota, quota) }
        guard group.count > 1, let slash = group.lastIndex(of: "/") else { break }
        group = slash == group.startIndex ? "/" : String(group[..<slash])
      }
    }
    return least
  }
}
