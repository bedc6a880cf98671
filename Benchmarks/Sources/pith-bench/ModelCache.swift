import Foundation
import Pith

/// The folder where models and files to measure are kept between runs.
struct ModelCache {
    private let root: String
    private let pool: ThreadPool
    private static let seed: UInt64 = 1

    /// The folder at `root`, made if it is not there.
    init(_ root: String, pool: ThreadPool) throws(PithError) {
        try Files.makeFolder(root)
        self.root = root
        self.pool = pool
    }

    /// The folder under the system's temporary one.
    static var defaultRoot: String { joinPath(NSTemporaryDirectory(), "pith-bench") }

    /// A model of some shape in some layout.
    func model(_ shape: Shape, _ layout: Layout) throws(PithError) -> ModelSource {
        let name = "\(shape.name)-\(layout.name.replacing(":", with: "of"))"
        let path = try folder(name) { (target) throws(PithError) in
            let source = if let real = shape.builtIn { real } else { try source(shape) }
            switch layout.form {
            case .dense(let type):
                try source.copy(to: target, layers: shape.configuration.layerCount, as: type)
            case .compressed(let spec, let embeddings):
                let small = joinPath(root, "\(name).\(getpid()).small")
                defer { try? Files.remove(small) }
                let compressor = try ModelCompressor(
                    source,
                    plan: try RunPlan(parsing: spec + (embeddings.map { " embeddings=\($0)" } ?? "")),
                    calibration: nil, pool: pool)
                try compressor.run(into: small)
                try ModelSource(small).copy(to: target, layers: shape.configuration.layerCount)
            }
        }
        return try ModelSource(path)
    }

    /// A file of some shape and type for other programs.
    func gguf(_ shape: Shape, _ type: GGUFType) throws(PithError) -> String {
        let path = joinPath(root, "\(shape.name)-\(type.name)-\(GGUFWriter.version).gguf")
        if !Files.exists(path) {
            say("writing", path)
            try GGUFWriter(shape.configuration, type, seed: Self.seed).write(to: path)
        }
        return path
    }

    /// One layer of random weights, and the tables, in BF16: what all layouts of a shape are made of.
    private func source(_ shape: Shape) throws(PithError) -> ModelSource {
        let path = try folder("\(shape.name)-source") { (target) throws(PithError) in
            try SyntheticModel(shape.configuration, seed: Self.seed).write(to: target)
        }
        return try ModelSource(path)
    }

    /// The folder `name`, filled anew unless this very program has filled it: layouts change as Pith does.
    private func folder(
        _ name: String, _ fill: (_ target: String) throws(PithError) -> Void
    ) throws(PithError) -> String {
        let path = joinPath(root, name)
        let mark = joinPath(path, "made-by")
        let program = try Self.program.get()
        if Files.exists(mark), try Files.text(mark) == program { return path }
        say("making", path)
        try Files.remove(path)
        try Files.buildFolder(at: path) { (target) throws(PithError) in
            try fill(target)
            try AtomicFile.write(program, to: joinPath(target, "made-by"))
        }
        return path
    }

    private func say(_ verb: String, _ path: String) { PithCore.Progress.write("\(verb) \(path)\n") }

    /// The SHA-256 of this program.
    private static let program: Result<String, PithError> = Result { () throws(PithError) in
        let path = Bundle.main.executablePath ?? CommandLine.arguments[0]
        return try MappedFile.open(path).withBytes { SHA256.hexDigest(of: $0) }
    }
}
