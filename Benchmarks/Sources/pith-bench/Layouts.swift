import Pith

/// A way to store a model that is measured, with what it is measured against.
struct Layout: Sendable {
    /// How the weights are made.
    enum Form: Sendable {
        /// Stored as they are, in this type.
        case dense(ElementType)
        /// Compressed by a spec; embeddings by another, or left alone in BF16.
        case compressed(String, embeddings: String?)
    }

    /// The name in tables and on the command line.
    let name: String
    /// How the weights are made.
    let form: Form
    /// What its products are computed in: the bound of reading prompts.
    let arithmetic: Arithmetic
    /// The share of a dense matrix's multiply-adds that are left to do.
    let density: Double
    /// The types that other programs are measured in beside it. Neighbours with the same ones are measured in turns.
    let peers: [GGUFType]

    private init(
        _ name: String, _ form: Form, _ arithmetic: Arithmetic, density: Double = 1, beside peers: [GGUFType] = []
    ) {
        self.name = name
        self.form = form
        self.arithmetic = arithmetic
        self.density = density
        self.peers = peers
    }

    private init(
        _ name: String, _ spec: String, embeddings: String? = nil, _ arithmetic: Arithmetic, density: Double = 1,
        beside peers: [GGUFType] = []
    ) {
        self.init(name, .compressed(spec, embeddings: embeddings), arithmetic, density: density, beside: peers)
    }

    private static let wide: [GGUFType] = [.f16, .bf16]
    private static let fourBits: [GGUFType] = [.q40, .q4K]

    /// All that are measured. A new one is a line here.
    static let all = [
        Layout("f32", .dense(.float32), .float32),

        Layout("f16", .dense(.float16), .float32, beside: wide),
        Layout("bf16", .dense(.bfloat16), .bfloat16, beside: wide),
        Layout("2:4", "magnitude:pattern=2:4", .float32, density: 0.5, beside: wide),
        Layout("sparse-50", "magnitude:sparsity=0.5", .float32, density: 0.5, beside: wide),
        Layout("svd-60", "svd:ratio=0.6,whiten=false", .float32, density: 0.6, beside: wide),

        Layout("int8", "rtn:bits=8,symmetric=true", embeddings: "rtn:bits=8,symmetric=true", .int8, beside: [.q80]),
        Layout("fp8", "fp8", embeddings: "fp8", .bfloat16, beside: [.q80]),

        Layout(
            "int4", "rtn:bits=4,symmetric=true", embeddings: "rtn:bits=4,symmetric=true", .int8, beside: fourBits),
        Layout("int4-zeros", "rtn:bits=4", embeddings: "rtn:bits=4", .int8, beside: fourBits),
        Layout(
            "2:4-int4", "magnitude:pattern=2:4+rtn:bits=4", embeddings: "rtn:bits=4", .int8, density: 0.5,
            beside: fourBits),

        Layout(
            "sparse-50-int4", "magnitude:sparsity=0.5+rtn:bits=4", embeddings: "rtn:bits=4", .int8, density: 0.5,
            beside: fourBits),
        Layout("nf4", "codebook:levels=nf4", embeddings: "codebook:levels=nf4", .int8, beside: fourBits),

        Layout("int3", "rtn:bits=3,symmetric=true", embeddings: "rtn:bits=3,symmetric=true", .int8, beside: [.q3K]),
        Layout("int2", "rtn:bits=2", embeddings: "rtn:bits=2", .int8, beside: [.q2K]),
        Layout("vq", "vq:norms=false", embeddings: "rtn:bits=2", .int8, beside: [.q2K]),
        Layout("ternary", "ternary", embeddings: "rtn:bits=2", .int8, beside: [.q2K]),
    ]

    /// The layouts of these names, or all.
    static func named(_ names: [String]) throws(PithError) -> [Layout] {
        if let unknown = names.first(where: { name in !all.contains { $0.name == name } }) {
            throw .usage(
                "there is no layout '\(unknown)'", remedy: "there are \(all.map(\.name).joined(separator: ", "))")
        }
        return names.isEmpty ? all : all.filter { names.contains($0.name) }
    }
}
