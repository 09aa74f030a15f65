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
    .target(name: "Corpus", dependencies: ["CCrypto", "CLinux"], swiftSettings: swift),
    .target(name: "VectorKernels", dependencies: ["CKernels", "Corpus"], swiftSettings: swift),
    .target(name: "Datasets", dependencies: ["Corpus", "CZlib"], swiftSettings: swift),
    .target(
      name: "ShardStore", dependencies: ["Corpus", "CHDF5", "CZstd", "CDeltaCodec"], swiftSettings: swift),
    .target(
      name: "MetricIndex",
      dependencies: [
        "Corpus", "ShardStore", .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
      ],
      resources: [.embedInCode("index.sql")],
      swiftSettings: swift),
    .target(
      name: "PairStream", dependencies: ["Corpus", "CKernels", "VectorKernels", "ShardStore", "MetricIndex"],
      swiftSettings: swift),
    .target(
      name: "Generators",
      dependencies: ["Corpus", "Datasets", "CKernels", "VectorKernels", "ShardStore", "MetricIndex"],
      swiftSettings: swift),
    .target(
      name: "GenerativeModel", dependencies: ["Corpus", "CDNNL", "CKernels", "VectorKernels", "PairStream"],
      swiftSettings: swift),
    .target(
      name: "ModelTraining",
      dependencies: ["Corpus", "CKernels", "VectorKernels", "MetricIndex", "PairStream", "GenerativeModel"],
      swiftSettings: swift),
    .target(
      name: "Evaluation",
      dependencies: ["Corpus", "Datasets", "Generators", "MetricIndex", "PairStream", "GenerativeModel"],
      swiftSettings: swift),
    .target(name: "CCheckpointCorpus", cSettings: c),
    .target(
      name: "CInterface",
      dependencies: ["CCheckpointCorpus", "Corpus", "Datasets", "MetricIndex", "Generators", "PairStream"],
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
    .target(
      name: "Interchange",
      dependencies: [
        "Corpus", "ShardStore", "MetricIndex", "Generators", "PairStream", "GenerativeModel", "CLMDB",
        "CLMDBReader", "CLinux",
        "CZlib",
      ],
      swiftSettings: swift),
    .executableTarget(
      name: "CorpusCLI",
      dependencies: [
        "CLinux", "Corpus", "Datasets", "ShardStore", "MetricIndex", "Generators", "PairStream",
        "Interchange",
        "GenerativeModel", "ModelTraining", "Evaluation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: swift),
    .target(name: "TestSupport", dependencies: ["Corpus"], path: "Tests/TestSupport", swiftSettings: swift),
    .executableTarget(
      name: "Benchmarks",
      dependencies: [
        "Corpus", "CPeak", "Datasets", "ShardStore", "MetricIndex", "Generators", "PairStream",
        "VectorKernels", "GenerativeModel", "ModelTraining",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: swift),
    .testTarget(name: "CorpusTests", dependencies: ["Corpus", "TestSupport"], swiftSettings: swift),
    .testTarget(
      name: "CKernelsTests", dependencies: ["CKernels", "Corpus", "TestSupport"], swiftSettings: swift),
    .testTarget(name: "CDeltaCodecTests", dependencies: ["CDeltaCodec"], swiftSettings: swift),
    .testTarget(
      name: "DatasetsTests", dependencies: ["Datasets", "Corpus", "TestSupport"], swiftSettings: swift),
    .testTarget(
      name: "ShardStoreTests", dependencies: ["ShardStore", "Corpus", "TestSupport"], swiftSettings: swift),
    .testTarget(
      name: "MetricIndexTests", dependencies: ["MetricIndex", "ShardStore", "Corpus", "TestSupport"],
      swiftSettings: swift),
    .testTarget(
      name: "PairStreamTests",
      dependencies: [
        "PairStream", "Generators", "Datasets", "ShardStore", "MetricIndex", "Corpus", "TestSupport",
      ], swiftSettings: swift),
    .testTarget(
      name: "GeneratorsTests",
      dependencies: [
        "Generators", "Datasets", "ShardStore", "MetricIndex", "Corpus", "CKernels", "VectorKernels",
        "TestSupport",
      ],
      swiftSettings: swift),
    .testTarget(
      name: "GenerativeModelTests",
      dependencies: [
        "GenerativeModel", "ModelTraining", "Evaluation", "Generators", "Datasets", "PairStream",
        "ShardStore", "MetricIndex", "Corpus", "TestSupport",
      ],
      swiftSettings: swift),
    .testTarget(
      // Not CInterface: the program links with the library as everybody does.
      name: "CInterfaceTests", dependencies: ["ShardStore", "MetricIndex", "Corpus", "TestSupport"],
      exclude: ["program.c"], swiftSettings: swift),
    .testTarget(
      name: "InterchangeTests",
      dependencies: [
        "Interchange", "PairStream", "Generators", "ShardStore", "MetricIndex", "Corpus", "CLMDB",
        "TestSupport",
      ],
      swiftSettings: swift),
    .testTarget(
      name: "CLITests", dependencies: ["CorpusCLI", "ShardStore", "MetricIndex", "Corpus", "TestSupport"],
      exclude: ["flip.c", "locks.c"], swiftSettings: swift),
  ]
)
