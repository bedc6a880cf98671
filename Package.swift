// swift-tools-version: 6.2
// Pith compresses language models and everything they hold, and uses models to compress everything else.
// The targets below stand in the order of `Docs/Design.md`: dependencies point down only.
import PackageDescription

let swiftSettings: [SwiftSetting] = [.enableUpcomingFeature("ExistentialAny")]

/// A library target of ours with its settings.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

/// The tests of a room.
func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.init(stringLiteral: name), "PithTestSupport"] + dependencies,
        swiftSettings: swiftSettings)
}

/// Dense linear algebra: OpenBLAS on Linux, Accelerate on macOS.
#if os(macOS)
    let linearAlgebra: [Target.Dependency] = []
#else
    let linearAlgebra: [Target.Dependency] = ["COpenBLAS"]
#endif

var targets: [Target] = [
    // Ground: errors, units, specs, threads, files.
    room("PithCore", []),
    .target(name: "CPithKernels"),
    room("PithTensor", ["PithCore", "CPithKernels"] + linearAlgebra),

    // What is read and written.
    room("PithFormats", ["PithTensor"]),

    // What runs, and what learns.
    room("PithModels", ["PithFormats"]),
    room("PithTraining", ["PithModels"]),

    // The planes.
    room("PithWeights", ["PithModels"]),

    // The ruler.
    room("PithEvaluation", ["PithWeights"]),

    // The built-in model, the umbrella and the command line.
    .target(
        name: "PithBuiltIn", path: "Models", exclude: ["recipe"], resources: [.copy("nano"), .copy("text")],
        swiftSettings: swiftSettings),
    room("Pith", ["PithEvaluation", "PithTraining", "PithBuiltIn"]),
    .executableTarget(
        name: "pith-cli",
        dependencies: ["Pith", .product(name: "ArgumentParser", package: "swift-argument-parser")],
        swiftSettings: swiftSettings),

    .target(
        name: "PithTestSupport", dependencies: ["PithWeights"], path: "Tests/PithTestSupport",
        swiftSettings: swiftSettings),
    tests(of: "PithCore"),
    tests(of: "PithTensor"),
    tests(of: "PithFormats"),
    tests(of: "PithModels"),
    tests(of: "PithTraining"),
    tests(of: "PithWeights"),
    tests(of: "PithEvaluation", ["Pith"]),
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
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: targets,
    swiftLanguageModes: [.v6]
)
