import Platform
import ShardStore
import Corpus
import Foundation
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct PermutationGroupFormatTests {
  private static let groups = PermutationGroups(
    groups: [.init("hidden", 2), .init("inputs", 1)],
    tensors: ["weight": [["hidden"], .init(segments: [["inputs"], [2]])]])
  private static let golden =
    #"{"name":"tiny","permutations":{"groups":[{"name":"hidden","units":2},{"name":"inputs","units":1}],"#
    + #""tensors":{"weight":[["hidden"],[["inputs"],[2]]]}},"#
    + #""tensors":[{"name":"weight","shape":[2,3]},{"name":"bias","shape":[1]}]}"#

  @Test func `an architecture writes its groups, and reads them`() throws {
    let architecture = TestCorpus.architecture.declaring(Self.groups)
    #expect(try CanonicalJSON.string(architecture) == Self.golden)
    let read = try CanonicalJSON.decode(Architecture.self, from: Data(Self.golden.utf8))
    #expect(read.permutations == Self.groups)
    #expect(read == TestCorpus.architecture && read.hashValue == TestCorpus.architecture.hashValue)
    // Today's files have none, and say so by saying nothing.
    #expect(!(try CanonicalJSON.string(TestCorpus.architecture)).contains("permutations"))
  }

  @Test func `built-in networks have theirs, also where a file does not say them`() throws {
    for architecture in [Architecture.cartpole, .mnist, .cifar10] {
      let groups = try #require(architecture.permutations)
      try groups.validate(architecture.tensors)
      let tensors = try CanonicalJSON.string(architecture.tensors)
      let old = #"{"name":"\#(architecture.name)","tensors":\#(tensors)}"#
      #expect(
        try CanonicalJSON.decode(Architecture.self, from: Data(old.utf8)).permutations == groups)
      // Another network may have such tensors.
      let other = #"{"name":"network","tensors":\#(tensors)}"#
      #expect(try CanonicalJSON.decode(Architecture.self, from: Data(other.utf8)).permutations == nil)
    }
  }

  @Test func `corpora with and without groups go on, those of others do not`() throws {
    func manifest(_ groups: PermutationGroups?) -> Manifest {
      var manifest = TestCorpus.manifest()
      manifest.architecture = Architecture(
        name: manifest.architecture.name, tensors: manifest.architecture.tensors, permutations: groups)
      return manifest
    }
    let other = PermutationGroups(groups: [.init("hidden", 2)], tensors: ["weight": [["hidden"], [3]]])
    for stored in [nil, Self.groups] {
      let folder = TemporaryDirectory()
      let path = folder.path + "/corpus"
      _ = try CorpusDirectory(openingOrCreating: path, manifest: manifest(stored))
      for groups in [nil, Self.groups, other] {
        if stored == nil || groups == nil || groups == stored {
          let opened = try CorpusDirectory(openingOrCreating: path, manifest: manifest(groups))
          #expect(opened.manifest.architecture.permutations == stored)
        } else {
          #expect {
            try CorpusDirectory(openingOrCreating: path, manifest: manifest(groups))
          } throws: {
            ($0 as? CorpusError)?.code == .differentRecipe && "\($0)".contains("permutation groups")
          }
        }
      }
    }
  }

  @Test func `a manifest with groups that contradict its shapes is refused, naming them`() throws {
    let folder = TemporaryDirectory()
    let path = folder.path + "/corpus"
    var manifest = TestCorpus.manifest()
    manifest.architecture = manifest.architecture.declaring(
      PermutationGroups(groups: [.init("hidden", 3)], tensors: ["weight": [["hidden"], [3]]]))
    try Files.createDirectory(path)
    try Files.write(CanonicalJSON.data(manifest, pretty: true), to: "\(path)/corpus.json")
    #expect {
      try CorpusDirectory(opening: path)
    } throws: {
      ($0 as? CorpusError)?.code == .notACorpus
        && "\($0)".contains(#"axis 0 of weight has the length 2, and ["hidden"]"#)
    }
    #expect(throws: CorpusError.self) { try manifest.validate() }
  }
}
