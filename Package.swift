// swift-tools-version: 6.2
// Pith compresses language models and everything they hold, and uses models to compress everything else.
// The targets below stand in the order of `Docs/Design.md`: dependencies point down only.
import PackageDescription

let swiftSettings: [SwiftSetting] = [.enableUpcomingFeature("ExistentialAny")]

/// A library target of ours with its settings.
func module(_ name: String, _ dependencies: [String], _ libraries: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies.map { .init(stringLiteral: $0) } + libraries,
        swiftSettings: swiftSettings)
}

/// Priority queues, for byte-pair encoding.
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")

/// The tests of a module.
func tests(of name: String, _ dependencies: [String] = []) -> Target {
    .testTarget(
        name: name + "Tests",
        dependencies: Set(models + [name, "PithTestSupport"] + dependencies).sorted().map { .init(stringLiteral: $0) },
        swiftSettings: swiftSettings)
}

/// Dense linear algebra: OpenBLAS on Linux, Accelerate on macOS.
#if os(macOS)
    let linearAlgebra: [String] = []
#else
    let linearAlgebra = ["COpenBLAS"]
#endif

// A module names all that it imports, not only what stands right below it: the build follows these lists when it
// decides what to compile again.
let ground = ["CPithKernels", "PithCore", "PithTensor"]
let models = ground + ["PithFormats", "PithModels"]
let modules =
    models + [
        "PithHub", "PithCoding", "PithTokens", "PithTraining", "PithWeights", "PithConversion", "PithPredictors",
        "PithArchive", "PithEvaluation",
    ]

var targets: [Target] = [
    // Ground: errors, units, specs, threads, files; tensors and the kernels below them; entropy coding.
    .systemLibrary(name: "CPithCore"),
    module("PithCore", ["CPithCore"]),
    .target(name: "CPithKernels"),
    module("PithTensor", ["CPithKernels", "PithCore"] + linearAlgebra),
    module("PithCoding", ground),

    // What is read and written; tokens that are made, and texts in them.
    module("PithFormats", ground, [heap]),
    module("PithTokens", ground + ["PithCoding", "PithFormats"], [heap]),

    // Hubs that models are fetched from.
    module("PithHub", ground + ["PithFormats"]),

    // What learns, and what runs.
    module("PithModels", ground + ["PithFormats"]),
    module("PithTraining", models + ["PithCoding", "PithTokens"]),

    // The planes.
    module("PithWeights", models + ["PithCoding"]),
    module("PithConversion", models + ["PithWeights"]),
    module("PithPredictors", models + ["PithCoding"]),
    module("PithArchive", models + ["PithCoding", "PithPredictors"]),

    // The evaluator.
    module(
        "PithEvaluation",
        models + [
            "PithCoding", "PithTokens", "PithTraining", "PithWeights", "PithConversion", "PithPredictors",
            "PithArchive",
        ]),

    // The built-in model, the umbrella and the command line.
    .target(
        name: "PithBuiltIn", path: "Models", exclude: ["recipe"],
        resources: [.copy("nano"), .copy("papers"), .copy("primer"), .copy("stream"), .copy("text")],
        swiftSettings: swiftSettings),
    module("Pith", modules + ["PithBuiltIn"]),
    .executableTarget(
        name: "pith-cli",
        dependencies: (modules + ["Pith"]).map { .init(stringLiteral: $0) } + [
            .product(name: "ArgumentParser", package: "swift-argument-parser")
        ],
        swiftSettings: swiftSettings),

    .target(
        name: "PithTestSupport", dependencies: (models + ["PithHub", "PithWeights"]).map { .init(stringLiteral: $0) },
        path: "Tests/PithTestSupport", swiftSettings: swiftSettings),
    tests(of: "PithCore"),
    tests(of: "PithTensor"),
    tests(of: "PithCoding"),
    tests(of: "PithFormats", ["PithReaders"]),
    tests(of: "PithHub"),
    tests(of: "PithModels"),
    tests(of: "PithTokens", ["PithCoding", "PithTraining", "Pith"]),
    tests(of: "PithTraining", ["PithTokens", "PithWeights"]),
    tests(of: "PithWeights"),
    tests(of: "PithConversion", ["PithWeights"]),
    tests(of: "PithPredictors", ["PithCoding", "PithWeights", "Pith"]),
    tests(of: "PithArchive", ["PithCoding", "PithPredictors", "PithWeights", "Pith"]),
    tests(of: "PithEvaluation", ["PithCoding", "PithArchive", "PithPredictors", "PithTraining", "Pith"]),
    // All readers, for damaged files, and the program that searches for them.
    .target(
        name: "PithReaders", dependencies: modules.map { .init(stringLiteral: $0) }, path: "Fuzzing/Readers",
        swiftSettings: swiftSettings),
    .target(name: "CFuzzer", path: "Fuzzing/CFuzzer"),
    .executableTarget(
        name: "pith-fuzz", dependencies: ["CFuzzer", "PithReaders", "PithCore"], path: "Fuzzing/pith-fuzz",
        swiftSettings: swiftSettings),
    .testTarget(
        name: "PithReaderTests", dependencies: ["PithReaders", "PithCore"], swiftSettings: swiftSettings),
    // The program itself, as a person runs it.
    .testTarget(
        name: "PithCommandTests", dependencies: ["pith-cli", "Pith", "PithCore", "PithTestSupport"],
        swiftSettings: swiftSettings),
]

#if !os(macOS)
    targets.append(
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]))
#endif

let package = Package(
    name: "pith",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Pith", targets: ["Pith"]),
        .executable(name: "pith", targets: ["pith-cli"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: targets,
    swiftLanguageModes: [.v6]
)
