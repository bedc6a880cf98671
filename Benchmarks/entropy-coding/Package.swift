// swift-tools-version: 6.2
// Speed and size of Pith's entropy coders; `compare.py` runs them beside other packages.
import PackageDescription

let package = Package(
    name: "coding-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "pith", path: "../..")],
    targets: [
        .executableTarget(name: "coding-bench", dependencies: [.product(name: "Pith", package: "pith")])
    ],
    swiftLanguageModes: [.v6]
)
