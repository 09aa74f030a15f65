// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors where CI asks for it; a user's newer compiler should not fail on a new warning.
let strict = Context.environment["CORPUS_STRICT"] != nil

let swift: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ] + (strict ? [.treatAllWarnings(as: .error)] : [])

let c: [CSetting] = strict ? [.treatAllWarnings(as: .error)] : []

// Libraries for other programs bring along HDF5, Zstandard and the rest.
let linkArchives = "-use-ld=\(Context.packageDirectory)/Scripts/link"

let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

func room(_ name: String, _ imports: Target.Dependency...) -> Target {
  .target(name: name, dependencies: imports, swiftSettings: swift)
}

func tests(_ name: String, _ imports: Target.Dependency..., exclude: [String] = []) -> Target {
  .testTarget(name: name, dependencies: imports + ["TestSupport"], exclude: exclude, swiftSettings: swift)
}

let package = Package(
  name: "checkpoint-corpus",
  products: [
    .executable(name: "corpus", targets: ["CorpusCLI"]),
    // What HDF5_PLUGIN_PATH points at: h5py, h5dump and the rest read `delta` shards through it.
    .library(name: "H5ZCheckpointDelta", type: .dynamic, targets: ["CDeltaPlugin"]),
    // For C, and for all that can call it, such as Python.
    .library(name: "checkpoint_corpus", type: .dynamic, targets: ["CInterface"]),
  ],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
  ],
  targets: [
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
    .systemLibrary(name: "CDNNL", providers: [.apt(["libdnnl-dev"])]),
    .target(name: "CKernels", cSettings: c),
    .target(name: "CPlaneKernels", dependencies: ["CKernels"], cSettings: c),
    .target(name: "CDeltaCodec", dependencies: ["CZstd"], cSettings: c),
    // Without Swift's start-up object nothing refers to its runtime, and HDF5 loads the plugin anywhere.
    .target(
      name: "CDeltaPlugin", dependencies: ["CDeltaCodec"], cSettings: c,
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-stdlib", "-nostartfiles", linkArchives,
            "-Xlinker", "-Bsymbolic", "-Xlinker", "--exclude-libs", "-Xlinker", "ALL",
          ], .when(platforms: [.linux]))
      ]),
    .target(name: "CLinux", cSettings: c),
    .target(name: "CLMDBReader", dependencies: ["CLMDB"], cSettings: c),
    .target(name: "CPeak", cSettings: c),
    .target(name: "CBuild", cSettings: c),
    room("Corpus", "CCrypto"),
    room("Platform", "Corpus", "CLinux", "CDeltaCodec"),
    room("VectorKernels", "Corpus", "CKernels"),
    room("Datasets", "Corpus", "Platform", "CZlib"),
    room("Tasks", "Corpus", "Platform", "Datasets", "CKernels", "CPlaneKernels", "VectorKernels"),
    room("HDF5Files", "Corpus", "Platform", "CHDF5", "CDeltaCodec"),
    room("ShardStore", "Corpus", "Platform", "HDF5Files", "CHDF5", "CLinux", "CZstd", "CDeltaCodec"),
    .target(
      name: "MetricIndex", dependencies: ["Corpus", "Platform", "ShardStore", grdb, sqlite],
      resources: [.embedInCode("index.sql")], swiftSettings: swift),
    room("CorpusStore", "Corpus", "Platform", "ShardStore", "MetricIndex"),
    room(
      "Maintenance", "Corpus", "Platform", "Tasks", "ShardStore", "MetricIndex", "CorpusStore"),
    room("NetworkSymmetry", "Corpus", "CKernels", "VectorKernels"),
    room(
      "PairSampling", "Corpus", "Platform", "CKernels", "VectorKernels", "ShardStore", "MetricIndex",
      "CorpusStore"),
    room(
      "PairStream", "Corpus", "Platform", "CKernels", "VectorKernels", "ShardStore", "MetricIndex",
      "NetworkSymmetry", "PairSampling"),
    room("ArrayFiles", "Corpus", "Platform", "VectorKernels", "HDF5Files", "CHDF5", "CZlib"),
    room(
      "GenerativeModel", "Corpus", "Platform", "CDNNL", "CKernels", "VectorKernels", "NetworkSymmetry",
      "PairSampling", "ArrayFiles"),
    room(
      "ModelTraining", "Corpus", "Platform", "CKernels", "VectorKernels", "ShardStore", "MetricIndex",
      "PairSampling", "PairStream", "ArrayFiles", "GenerativeModel"),
    room(
      "Evaluation", "Corpus", "Platform", "Datasets", "Tasks", "ShardStore", "MetricIndex", "CorpusStore",
      "PairSampling", "GenerativeModel"),
    room(
      "SampleViews", "Corpus", "Platform", "CZlib", "VectorKernels", "Tasks", "NetworkSymmetry",
      "PairSampling",
      "GenerativeModel", "Evaluation"),
    room(
      "Baselines", "Corpus", "Platform", "Tasks", "ShardStore", "MetricIndex", "CorpusStore", "Maintenance"),
    room(
      "Audit", "Corpus", "Platform", "Datasets", "Tasks", "ShardStore", "MetricIndex", "CorpusStore",
      "NetworkSymmetry", "PairSampling", "GenerativeModel", "Evaluation"),
    room(
      "Export", "Corpus", "Platform", "ShardStore", "MetricIndex", "CorpusStore", "PairSampling",
      "PairStream", "ArrayFiles", "GenerativeModel"),
    room(
      "ReleasedLayout", "Corpus", "Platform", "Tasks", "ShardStore", "MetricIndex", "CorpusStore",
      "ArrayFiles", "CLMDB", "CLMDBReader"),
    .target(
      name: "Report",
      dependencies: [
        "Corpus", "Platform", "CBuild", "Datasets", "VectorKernels", "ShardStore", "MetricIndex",
        "PairSampling", "GenerativeModel", "ModelTraining", "Evaluation", "SampleViews",
        "Baselines", "Audit", "Tasks",
      ],
      resources: [.embedInCode("Page")], swiftSettings: swift),
    .target(name: "CCheckpointCorpus", cSettings: c),
    .target(
      name: "CInterface",
      dependencies: [
        "CCheckpointCorpus", "Corpus", "Platform", "Datasets", "Tasks", "ShardStore", "MetricIndex",
        "CorpusStore",
        "NetworkSymmetry", "PairSampling", "PairStream",
      ],
      exclude: ["exports.map"], swiftSettings: swift,
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-stdlib", linkArchives,
            "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/CInterface/exports.map",
            "-Xlinker", "-Bsymbolic", "-Xlinker", "-z", "-Xlinker", "defs",
            // What Foundation stands on, which its modules name only where they are compiled against its archive.
            "-lCoreFoundation", "-l_FoundationCollections", "-l_FoundationCShims", "-l_FoundationICU",
          ], .when(platforms: [.linux]))
      ]),
    room("TerminalOutput", "Corpus", "Platform", "CLinux"),
    room(
      "Overview", "Corpus", "Platform", "Datasets", "Tasks", "ShardStore", "MetricIndex", "Maintenance",
      "TerminalOutput"),
    .executableTarget(
      name: "CorpusCLI",
      dependencies: [
        "Corpus", "Platform", "Datasets", "Tasks", "ShardStore", "MetricIndex", "Overview",
        "Maintenance", "PairSampling", "PairStream", "ArrayFiles", "Export", "ReleasedLayout",
        "GenerativeModel",
        "ModelTraining", "Evaluation", "Baselines", "Audit", "Report",
        "TerminalOutput", argumentParser,
      ], swiftSettings: swift),
    .target(
      name: "TestSupport", dependencies: ["Corpus"], path: "Tests/TestSupport",
      swiftSettings: swift),
    .target(
      name: "ModelSupport",
      dependencies: [
        "Corpus", "ShardStore", "MetricIndex", "CorpusStore", "GenerativeModel", "ModelTraining",
        "TestSupport",
      ],
      path: "Tests/ModelSupport", swiftSettings: swift),
    .executableTarget(
      name: "Benchmarks",
      dependencies: [
        "Corpus", "Platform", "CPeak", "Datasets", "Tasks", "ShardStore", "MetricIndex", "CorpusStore",
        "VectorKernels", "GenerativeModel", "ModelTraining", "Evaluation", "SampleViews", argumentParser,
      ], swiftSettings: swift),
    tests("CorpusTests", "Corpus", "Platform", "ShardStore"),
    tests("CKernelsTests", "CKernels", "CPlaneKernels", "Corpus"),
    .testTarget(name: "CDeltaCodecTests", dependencies: ["CDeltaCodec"], swiftSettings: swift),
    tests("DatasetsTests", "Datasets", "Corpus"),
    tests("ShardStoreTests", "ShardStore", "Corpus", "Platform", "Maintenance"),
    tests(
      "MetricIndexTests", "MetricIndex", "CorpusStore", "ShardStore", "Corpus", "Platform", "Maintenance"),
    .testTarget(name: "PairSamplingTests", dependencies: ["PairSampling"], swiftSettings: swift),
    tests(
      "PairStreamTests", "PairSampling", "PairStream", "NetworkSymmetry", "CKernels", "VectorKernels",
      "Tasks", "Datasets", "ShardStore", "MetricIndex", "CorpusStore", "Maintenance", "Corpus", "Platform"),
    tests(
      "TasksTests", "Tasks", "Maintenance", "Datasets", "ShardStore", "MetricIndex", "Corpus", "Platform",
      "CKernels", "VectorKernels"),
    tests(
      "MaintenanceTests", "Maintenance", "Tasks", "Datasets", "ShardStore", "MetricIndex", "Corpus",
      "Platform"),
    tests("OverviewTests", "Overview", "Maintenance", "Tasks", "ShardStore", "Corpus", "Platform"),
    tests(
      "GenerativeModelTests", "GenerativeModel", "ModelTraining", "ModelSupport", "Evaluation",
      "PairSampling", "VectorKernels", "ShardStore", "MetricIndex", "CorpusStore", "Corpus", "Platform"),
    tests(
      "BaselinesTests", "Baselines", "Tasks", "Datasets", "ShardStore", "MetricIndex", "CorpusStore",
      "Corpus",
      "Platform", "Maintenance"),
    tests(
      "AuditTests", "Audit", "NetworkSymmetry", "Tasks", "Datasets", "ShardStore", "MetricIndex",
      "CorpusStore",
      "Corpus", "Platform", "Maintenance"),
    tests(
      "EvaluationTests", "Evaluation", "GenerativeModel", "ModelTraining", "ModelSupport", "Tasks",
      "Datasets", "Corpus"),
    tests(
      "ReportTests", "Report", "GenerativeModel", "ModelTraining", "ModelSupport", "ShardStore", "Corpus",
      "Platform"),
    tests(
      "SampleViewsTests", "SampleViews", "Evaluation", "GenerativeModel", "ModelTraining", "Maintenance",
      "Tasks", "Datasets", "ShardStore", "Corpus", "Platform", "CZlib"),
    // Not CInterface: the program links with the library as everybody does.
    tests(
      "CInterfaceTests", "Maintenance", "ShardStore", "MetricIndex", "CorpusStore", "Corpus",
      exclude: ["program.c"]),
    tests(
      "ExportTests", "ArrayFiles", "Export", "ReleasedLayout", "PairSampling", "PairStream", "Maintenance",
      "ShardStore", "MetricIndex", "CorpusStore", "Corpus", "Platform"),
    // The command is not imported but started.
    tests(
      "CLITests", "CorpusCLI", "ShardStore", "MetricIndex", "CorpusStore", "Corpus", "Platform",
      exclude: ["flip.c", "locks.c", "wrong.c"]),
  ]
)
