import PithCore
import PithFormats
import PithTensor

/// What a folder says of how texts become vectors: `modules.json` of sentence-transformers, and what it names.
public struct SentenceModules: Sendable {
    /// What is done to a text's vector after pooling.
    enum Step: Sendable {
        /// Divided by its length.
        case normalize
        /// Multiplied by a matrix, [outputs, inputs], plus a bias, through a hyperbolic tangent if it is not the identity.
        case dense(DenseOperator, bias: [Float]?, isTanh: Bool)
    }

    /// How hidden states become a vector: the results of several stand side by side.
    public private(set) var poolings: [Pooling] = []
    /// Whether vectors have the length 1 in the end.
    public var isNormalized: Bool { if case .normalize? = steps.last { true } else { false } }
    /// Whether the folder says nothing, so that the mean was taken.
    public private(set) var isAssumed = false
    /// What is done after pooling, in order.
    private(set) var steps: [Step] = []
    /// Elements of a vector.
    public private(set) var width: Int
    /// Tokens of a text that are read at most, those included that stand before and behind it; nil where the folder does
    /// not say.
    private(set) var maximumLength: Int?
    /// Whether hidden states of a prompt are pooled as well.
    private(set) var includesPrompt = true
    /// Whether texts are taken in small letters.
    private(set) var lowercases = false
    /// What may stand before a text, by name.
    public private(set) var prompts: [String: String] = [:]
    /// The name of the prompt that stands there if no other is asked for.
    public private(set) var defaultPrompt: String?
    /// The folders of modules, below that of the model.
    private(set) var folders: [String] = []

    /// The name of the file in a folder of sentence-transformers.
    public static let fileName = "modules.json"
    private static let transformerFileName = "sentence_bert_config.json"
    private static let settingsFileName = "config_sentence_transformers.json"
    private static let moduleFileName = "config.json"
    /// No chain of modules is longer.
    private static let moduleLimit = 16

    /// Reads the modules of the model in `folder`, whose hidden states have a width.
    public init(folder: String, hiddenSize: Int) throws(PithError) {
        width = hiddenSize
        let path = joinPath(folder, Self.fileName)
        guard Files.exists(path) else {
            (poolings, isAssumed) = ([.mean], true)
            return
        }
        try Self.read(path) { (list) throws(PithError) in
            try readModules(list, folder, hiddenSize: hiddenSize)
        }
        try Self.readIfThere(joinPath(folder, Self.transformerFileName)) { (keys) throws(PithError) in
            maximumLength = try keys.optional("max_seq_length")?.integer(in: 1...ModelConfiguration.sizeLimit)
            lowercases = try keys.optional("do_lower_case")?.flag() ?? false
        }
        try Self.readIfThere(joinPath(folder, Self.settingsFileName)) { (keys) throws(PithError) in
            for (name, prompt) in try keys.optional("prompts")?.members() ?? [] { prompts[name] = try prompt.text() }
            guard let name = try keys.optional("default_prompt_name") else { return }
            let text = try name.text()
            guard prompts[text] != nil else { throw name.failure("'\(text.shortened)' is not among prompts") }
            defaultPrompt = text
        }
    }

    /// What a GGUF file says: a pooling, behind which vectors get the length 1.
    init(_ file: GGUFFile, hiddenSize: Int) throws(PithError) {
        width = hiddenSize
        steps = [.normalize]
        let key = "pooling_type"
        guard let number = file[hyperparameter: key], number.integer != 0 else {
            (poolings, isAssumed) = ([.mean], true)
            return
        }
        guard let pooling = Pooling.allCases.first(where: { $0.ggufNumber == number.integer }) else {
            throw .data("this pooling is not supported", at: "key \(file.architecture ?? "").\(key)")
        }
        poolings = [pooling]
    }

    /// The number of the pooling in a GGUF file; nil where such files do not say the same.
    var ggufPooling: Int? {
        guard poolings.count == 1, includesPrompt, !lowercases, steps.isEmpty || steps.count == 1 && isNormalized else {
            return nil
        }
        return poolings[0].ggufNumber
    }

    /// Names of folders that `modules.json` in `folder` mentions; none where it is missing or broken.
    static func folders(of folder: String) -> [String] {
        guard let document = try? JSONValue(contentsOf: joinPath(folder, fileName)),
            let list = try? JSONReader(document).array()
        else { return [] }
        return list.prefix(moduleLimit).compactMap { try? Self.subfolder($0) }.filter { !$0.isEmpty }
    }

    private static func read(_ path: String, _ body: (JSONReader) throws(PithError) -> Void) throws(PithError) {
        let document = try JSONValue(contentsOf: path)
        do { try body(JSONReader(document)) } catch { throw error.within(path) }
    }

    private static func readIfThere(
        _ path: String, _ body: (JSONReader) throws(PithError) -> Void
    ) throws(PithError) {
        if Files.exists(path) { try read(path, body) }
    }

    private mutating func readModules(
        _ list: JSONReader, _ folder: String, hiddenSize: Int
    ) throws(PithError) {
        let modules = try list.array()
        guard modules.count <= Self.moduleLimit else { throw list.failure("has \(modules.count) modules, too many") }
        for (index, module) in modules.enumerated() {
            let type = try module.member("type")
            let name = try type.text().split(separator: ".").last.map(String.init) ?? ""
            let subfolder = try Self.subfolder(module)
            let path = joinPath(folder, subfolder)
            guard (name == "Transformer") == (index == 0), (name == "Pooling") == (index == 1) else {
                throw type.failure(
                    "'\(try type.text().shortened)' is not supported there",
                    remedy: "a Transformer, a Pooling, and Dense and Normalize behind them are")
            }
            switch name {
            case "Transformer":
                guard subfolder.isEmpty else {
                    throw try module.member("path").failure(
                        "the transformer is in the folder '\(subfolder.shortened)'",
                        remedy: "its files should lie beside \(Self.fileName)")
                }
            case "Pooling":
                try Self.read(joinPath(path, Self.moduleFileName)) { (keys) throws(PithError) in
                    try readPooling(keys, hiddenSize: hiddenSize)
                }
            case "Normalize": steps.append(.normalize)
            case "Dense":
                try Self.read(joinPath(path, Self.moduleFileName)) { (keys) throws(PithError) in
                    try readDense(keys, path)
                }
            default:
                throw type.failure(
                    "'\(try type.text().shortened)' is not supported",
                    remedy: "Transformer, Pooling, Dense and Normalize are")
            }
            if !subfolder.isEmpty { folders.append(subfolder) }
        }
        guard !poolings.isEmpty else {
            throw list.failure("has no Pooling", remedy: "the first module is a Transformer, the second a Pooling")
        }
    }

    /// The folder of a module, which must be right below that of the model; empty for that itself.
    private static func subfolder(_ module: JSONReader) throws(PithError) -> String {
        let path = try module.member("path")
        let name = try path.text()
        // A name that leads out of the folder must not be followed.
        guard name.isEmpty || !name.hasPrefix("."), name.utf8.allSatisfy({ $0 > 0x1F && $0 != UInt8(ascii: "/") })
        else { throw path.failure("'\(name.shortened)' is no name of a folder beside the file") }
        return name
    }

    private mutating func readPooling(_ keys: JSONReader, hiddenSize: Int) throws(PithError) {
        if let width = try keys.optional("word_embedding_dimension", "embedding_dimension"),
            try width.integer() != hiddenSize
        {
            throw width.failure("is \(try width.integer())", remedy: "the model's hidden states have \(hiddenSize)")
        }
        var flagged: Set<Pooling> = []
        for (key, flag) in try keys.members() where key.hasPrefix("pooling_mode_") {
            guard try flag.flag() else { continue }
            guard let pooling = Pooling.flagNames[key] else { throw flag.failure("this pooling is not supported") }
            flagged.insert(pooling)
        }
        poolings = Pooling.allCases.filter(flagged.contains)
        if let modes = try keys.optional("pooling_mode") {
            let list = if case .string = modes.value { [modes] } else { try modes.array() }
            guard list.count <= Self.moduleLimit else { throw modes.failure("has \(list.count) elements, too many") }
            for mode in list {
                guard let pooling = Pooling(rawValue: try mode.text()) else {
                    throw mode.failure("the pooling '\(try mode.text().shortened)' is not supported")
                }
                poolings.append(pooling)
            }
        }
        guard !poolings.isEmpty else { throw keys.failure("names no pooling") }
        includesPrompt = try keys.optional("include_prompt")?.flag() ?? true
        width = hiddenSize * poolings.count
    }

    private mutating func readDense(_ keys: JSONReader, _ folder: String) throws(PithError) {
        let sizes = 1...ModelConfiguration.sizeLimit
        let inputs = try keys.member("in_features")
        guard try inputs.integer(in: sizes) == width else {
            throw inputs.failure("is \(try inputs.integer())", remedy: "the vectors before have \(width) elements")
        }
        let outputs = try keys.member("out_features").integer(in: sizes)
        let function = try keys.optional("activation_function")
        let name = try function?.text().split(separator: ".").last.map(String.init) ?? "Tanh"
        guard ["Tanh", "Identity"].contains(name) else {
            throw (function ?? keys).failure("'\(name.shortened)' is not supported", remedy: "Tanh and Identity are")
        }
        let archive = try TensorArchive(folder: folder)
        func tensor(_ name: String, _ shape: [Int]) throws(PithError) -> StoredTensor {
            let tensor = try archive.tensor(name)
            guard tensor.shape == shape else {
                throw .data("the shape is \(tensor.shape)", at: "tensor \(name)", remedy: "config.json says \(shape)")
            }
            return tensor
        }
        let hasBias = try keys.optional("bias")?.flag() ?? true
        let bias = hasBias ? try tensor("linear.bias", [outputs]).decoded().values : nil
        let matrix = try DenseOperator(tensor("linear.weight", [outputs, width]))
        steps.append(.dense(matrix, bias: bias, isTanh: name == "Tanh"))
        width = outputs
    }
}
