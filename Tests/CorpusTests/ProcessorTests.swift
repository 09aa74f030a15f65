import Platform
import Corpus
import Foundation
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct ProcessorTests {
  @Test func `are those that the process has been given`() {
    func count(_ allowed: Int, _ slurm: String? = nil, _ quota: Double? = nil) -> Int {
      Processors.count(
        allowed: allowed, environment: slurm.map { ["SLURM_CPUS_PER_TASK": $0] } ?? [:], quota: quota)
    }
    #expect(count(64) == 64)
    #expect(count(64, "8") == 8)
    #expect(count(4, "8") == 4)
    #expect(count(64, nil, 2.5) == 3)
    #expect(count(64, "8", 0.2) == 1)
    #expect(count(0, "many", nil) == 1)
    #expect(count(16, "0", 100) == 16)
  }

  private func files(_ files: [String: String]) throws -> TemporaryDirectory {
    let root = TemporaryDirectory()
    for (path, text) in files {
      let url = URL(fileURLWithPath: root.path + path)
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    return root
  }

  @Test func `the quota is the least of the process's control groups`() throws {
    let root = try files([
      "/proc/self/cgroup": "0::/slurm/job/step\n", "/sys/fs/cgroup/slurm/cpu.max": "800000 100000\n",
      "/sys/fs/cgroup/slurm/job/cpu.max": "250000 100000\n",
      "/sys/fs/cgroup/slurm/job/step/cpu.max": "max 100000\n",
    ])
    #expect(Processors.quota(root: root.path) == 2.5)
  }

  @Test func `the quota of a container is that of the root of its groups`() throws {
    let root = try files(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "150000 100000\n"])
    #expect(Processors.quota(root: root.path) == 1.5)
  }

  @Test func `control groups of the first version have one, too`() throws {
    let root = try files([
      "/proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n",
      "/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "400000\n",
      "/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    ])
    #expect(Processors.quota(root: root.path) == 4)
    #expect(try Processors.quota(root: files([:]).path) == nil)
  }
}
