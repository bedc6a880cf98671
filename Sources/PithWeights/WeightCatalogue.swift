import PithCore

/// All methods of the weights plane.
public enum WeightCatalogue {
    /// The codecs, in the order of help texts. A new method is a file in `Methods/` and a line here.
    public static let all: [any WeightCodec.Type] = [
        RoundToNearest.self,
        GPTQ.self,
        Codebook.self,
        Ternary.self,
        FP8.self,
        Magnitude.self,
        Wanda.self,
        SparseGPT.self,
        VectorQuantization.self,
        SVD.self,
        EoRA.self,
        DFloat11.self,
        ZipNN.self,
        Entropy.self,
    ]

    /// The codec of a stage's method, one of `methods`.
    public static func codec(
        for stage: Spec.Stage, among methods: [any WeightCodec.Type] = all
    ) throws(PithError) -> any WeightCodec {
        let (index, options) = try stage.resolve(among: methods.map { $0.entry })
        return try methods[index].init(options)
    }

    /// The plane.
    public static let plane = Plane(name: "weights", use: "pith compress, pith compare, --embeddings", methods: all)
}
