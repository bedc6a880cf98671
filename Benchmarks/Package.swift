// swift-tools-version: 6.2
// Speed of Pith, beside what the machine can do and beside other programs. Not part of the package above: nothing that
// depends on Pith builds this.
import PackageDescription

let package = Package(
    name: "pith-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "pith", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        .target(name: "CProbes"),
        .executableTarget(
            name: "pith-bench",
            dependencies: [
                "CProbes", .product(name: "Pith", package: "pith"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
    ],
    swiftLanguageModes: [.v6]
)
