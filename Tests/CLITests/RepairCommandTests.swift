import Corpus
import Foundation
import TestSupport
import Testing

/// `corpus repair`, `corpus recipe` and `corpus generate --recipe` as users meet them.
@Suite(.temporaryDirectories) struct RepairCommandTests {
  private let fixture = CommandFixture()

  private func write(_ text: String, to file: String) throws {
    try text.write(toFile: fixture.path + "/" + file, atomically: true, encoding: .utf8)
  }

  @Test func `tells of each run what was wrong and what proves it`() throws {
    try fixture.generated("0..<4")
    #expect(try Command.run("repair", fixture.path).output == "nothing to repair\n")
    let hashes = try fixture.hashes()
    try write("garbage", to: "runs/000/000001.h5")
    try FileManager.default.removeItem(atPath: fixture.path + "/runs/000/000002.h5")
    let repaired = try Command.run("repair", fixture.path)
    #expect(repaired.status == 0, "\(repaired)")
    let lines = repaired.output.split(separator: "\n").sorted()
    #expect(lines.count == 3)
    #expect(lines[0] == "2 runs repaired, each proven equal")
    #expect(lines[1].hasPrefix("run 1: ") && lines[1].contains("runs/000/000001.h5 is no HDF5 file"))
    #expect(lines[2].hasPrefix("run 2 is recorded in the index") && lines[2].contains("is gone"))
    #expect(
      lines.dropFirst().allSatisfy { $0.hasSuffix("made again, equal to the hash recorded in the index") })
    #expect(try fixture.hashes() == hashes && Command.run("verify", fixture.path).status == 0)

    try write("garbage", to: "runs/000/000001.h5")
    let quiet = try Command.run("repair", fixture.path, "--quiet")
    #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.error.isEmpty)

    try write("garbage", to: "runs/000/000001.h5")
    try FileManager.default.removeItem(atPath: fixture.path + "/index.sqlite")
    let unproven = try Command.run("repair", fixture.path)
    #expect(unproven.status == 0 && unproven.output.contains("no record left to prove it by"))
    #expect(
      unproven.output.contains("kept as damaged/000001.h5") && unproven.output.contains("0 proven equal"))
    #expect(try String(contentsOfFile: fixture.path + "/damaged/000001.h5", encoding: .utf8) == "garbage")
    #expect(try fixture.hashes() == hashes && Command.run("verify", fixture.path).status == 0)
  }

  @Test func `survives every kill, and Ctrl-C`() throws {
    try fixture.generated("0..<8", CommandFixture.short)
    #expect(try Command.run("compact", fixture.path).status == 0)
    try fixture.generated("0..<12", CommandFixture.short)
    let hashes = try fixture.hashes()
    try write("garbage", to: "shards/000000-000007.h5")
    for run in 8..<12 { try write("garbage", to: "runs/000/\(run < 10 ? "00000" : "0000")\(run).h5") }
    var random = PhiloxGenerator(seed: 2)
    for attempt in 0..<10 {
      let command = Command(["repair", fixture.path])
      try command.start()
      Thread.sleep(forTimeInterval: 0.02 + 0.3 * Double(random.uniform()))
      if attempt == 5 {
        command.process.interrupt()
      } else {
        kill(command.process.processIdentifier, SIGKILL)
      }
      let result = command.finish()
      if attempt == 5 && result.status != 0 {
        #expect(result.status == 130 && result.error.contains("same command"), "\(result)")
      }
    }
    let last = try Command.run("repair", fixture.path)
    #expect(last.status == 0, "\(last)")
    #expect(!FileManager.default.fileExists(atPath: fixture.path + "/damaged"), "each was proven")
    #expect(try fixture.hashes() == hashes && Command.run("verify", fixture.path).status == 0)
  }

  @Test func `works beside a process that generates`() throws {
    try fixture.generated("0..<4", CommandFixture.short)
    for run in 0..<3 { try write("garbage", to: "runs/000/00000\(run).h5") }
    let command = fixture.generate("4..<16", CommandFixture.short, ["--workers", "1"])
    try command.start()
    let repaired = try Command.run("repair", fixture.path)
    #expect(repaired.status == 0 && repaired.output.contains("3 runs repaired"), "\(repaired)")
    // It had met the damaged files before, and says so; what it made is there.
    _ = command.finish()
    #expect(try fixture.generated("0..<16", CommandFixture.short).status == 0)
    #expect(try Command.run("verify", fixture.path, "--runs", "0..<16").status == 0)
  }

  @Test func `says what it cannot repair`() throws {
    try fixture.generated("0..<2")
    try FileManager.default.removeItem(atPath: fixture.path + "/runs/000/000001.h5")
    let manifest = try String(contentsOfFile: fixture.path + "/corpus.json", encoding: .utf8)
    let index = try Data(contentsOf: URL(fileURLWithPath: fixture.path + "/index.sqlite"))
    // Somebody else's task, and so a run that cannot be made again.
    try write(manifest.replacing("\"task\" : \"cartpole\"", with: "\"task\" : \"chess\""), to: "corpus.json")
    for command in [["recipe"], ["verify", "--replay", "1"]] {
      let result = Command(command + [fixture.path])
      try result.start()
      let finished = result.finish()
      #expect(finished.status == 1 && finished.error.contains("cannot be made again"), "\(finished)")
      #expect(finished.error.contains("imported") && finished.output.isEmpty)
    }
    // Another version of the tasks.
    try write(
      manifest.replacing("\"generator_version\" : 2", with: "\"generator_version\" : 9"), to: "corpus.json")
    let old = try Command.run("verify", fixture.path, "--replay", "1")
    #expect(old.status == 1 && old.error.contains("generator version 9") && old.error.contains("release"))
    try write(manifest, to: "corpus.json")
    try index.write(to: URL(fileURLWithPath: fixture.path + "/index.sqlite"))
    #expect(try Command.run("repair", fixture.path).output.contains("1 run repaired"))
  }

  @Test func `refuses other data than those of the runs`() throws {
    let data = fixture.temporary.path + "/data"
    // MNIST of 640 and of 16 images, all black but for the labels.
    func writeImages(_ label: UInt8) throws {
      try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
      for (name, count) in [("train", 640), ("t10k", 16)] {
        let size = [UInt8(count >> 8), UInt8(count & 255)]
        try Data(
          [0, 0, 8, 3, 0, 0] + size + [0, 0, 0, 28, 0, 0, 0, 28] + [UInt8](repeating: 0, count: 784 * count)
        )
        .write(to: URL(fileURLWithPath: "\(data)/\(name)-images-idx3-ubyte"))
        try Data([0, 0, 8, 1, 0, 0] + size + [UInt8](repeating: label, count: count))
          .write(to: URL(fileURLWithPath: "\(data)/\(name)-labels-idx1-ubyte"))
      }
    }
    try writeImages(3)
    let made = try Command.run(
      "generate", "mnist", "--epochs", "1", "--checkpoints", "2", "--runs", "0..<2", "--out", fixture.path,
      "--datasets", data)
    #expect(made.status == 0, "\(made)")
    let recipe = fixture.temporary.path + "/recipe.json"
    try Command.run("recipe", fixture.path).output.write(toFile: recipe, atomically: true, encoding: .utf8)
    try write("garbage", to: "runs/000/000001.h5")
    try writeImages(4)
    let elsewhere = fixture.temporary.path + "/elsewhere"
    for command in [
      ["verify", fixture.path, "--runs", "0"], ["repair", fixture.path],
      ["generate", "--recipe", recipe, "--runs", "0", "--out", elsewhere],
    ] {
      let result = Command(command + ["--datasets", data])
      try result.start()
      let finished = result.finish()
      #expect(finished.status == 1 && finished.error.contains("data set mnist with SHA-256"), "\(finished)")
    }
    #expect(try String(contentsOfFile: fixture.path + "/runs/000/000001.h5", encoding: .utf8) == "garbage")
    #expect(!FileManager.default.fileExists(atPath: elsewhere))
    let missing = try Command.run("repair", fixture.path, "--datasets", "/nowhere")
    #expect(
      missing.status == 1 && missing.error.contains("runs/000/000001.h5")
        && missing.error.contains("/nowhere"))
    try writeImages(3)
    #expect(try Command.run("repair", fixture.path, "--datasets", data).status == 0)
    #expect(try Command.run("verify", fixture.path).status == 0)
  }

  @Test func `reproduces a corpus elsewhere from its recipe`() throws {
    try fixture.generated("0..<3", CommandFixture.tiny, ["--codec", "zstd"])
    let recipe = try Command.run("recipe", fixture.path)
    #expect(recipe.status == 0 && recipe.error.isEmpty && recipe.output.utf8.count < 3000)
    let file = fixture.temporary.path + "/recipe.json"
    try recipe.output.write(toFile: file, atomically: true, encoding: .utf8)
    let other = fixture.temporary.path + "/other"
    let made = try Command.run("generate", "--recipe", file, "--runs", "0..<3", "--out", other)
    #expect(made.status == 0 && made.output.contains("3 made now"), "\(made)")
    let manifests = try [fixture.path, other].map {
      try Data(contentsOf: URL(fileURLWithPath: $0 + "/corpus.json"))
    }
    #expect(manifests[0] == manifests[1])
    let hashes = try Command.run(
      "query", other, "SELECT run, content_hash FROM runs ORDER BY run", "--format", "csv")
    #expect(try hashes.output == fixture.hashes())
    #expect(try Command.run("recipe", other).output == recipe.output)
    // A pipe will do, and the same directory goes on.
    let piped = Command(
      ["generate", "--recipe", "/dev/stdin", "--runs", "0..<4", "--out", other], shell: "exec < \(file);")
    try piped.start()
    #expect(piped.finish().output.contains("1 made now"))
  }

  @Test func `refuses a recipe file that is none`() throws {
    let file = fixture.temporary.path + "/recipe.json"
    func generate() throws -> Command.Result {
      try Command.run("generate", "--recipe", file, "--runs", "0", "--out", fixture.path)
    }
    let missing = try generate()
    #expect(missing.status == 1 && missing.error.contains("\(file): it does not exist"))
    try "not JSON".write(toFile: file, atomically: true, encoding: .utf8)
    let garbage = try generate()
    #expect(garbage.status == 1 && garbage.error.contains("\(file) is no recipe file"))
    #expect(!FileManager.default.fileExists(atPath: fixture.path))
    let nameless = try Command.run("generate")
    #expect(nameless.status != 0 && nameless.error.contains("cartpole, mnist or cifar10"))
  }
}
