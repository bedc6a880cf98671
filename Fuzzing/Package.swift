// swift-tools-version: 6.2
// Damaged files, searched for by coverage (Docs/Fuzzing.md). Not part of the package above: nothing that depends on Pith
// builds this. The readers alone are, for their tests.
import PackageDescription

let package = Package(
    name: "pith-fuzzing",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "pith", path: "..")],
    targets: [
        .target(name: "CFuzzer"),
        // Builds with `-package-name pith`, as the Makefile does: it reads inner declarations.
        .target(
            name: "FuzzReaders", dependencies: [.product(name: "Pith", package: "pith")], path: "Sources/Readers",
            swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
        .executableTarget(
            name: "pith-fuzz", dependencies: ["CFuzzer", "FuzzReaders"],
            swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
    ],
    swiftLanguageModes: [.v6]
)
