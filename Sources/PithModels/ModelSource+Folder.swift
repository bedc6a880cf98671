import PithCore
import PithFormats
import PithTensor

/// A model as a Hugging Face folder: what stands beside the weights, and under which names and types these lie there.
extension ModelSource {
    /// Writes what belongs to the model and is not weights: the files beside a folder's, or what a GGUF file says as
    /// `config.json`, `tokenizer.json` and `tokenizer_config.json`. `type` is that of the weights, if it is another than
    /// they came in.
    package func writeCompanions(to folder: String, weightsAs type: ElementType? = nil) throws(PithError) {
        for name in try companions().files where type == nil || name != ModelConfiguration.fileName {
            if let slash = name.lastIndex(of: "/") { try Files.makeFolder(joinPath(folder, String(name[..<slash]))) }
            try Files.copy(joinPath(path, name), to: joinPath(folder, name))
        }
        let configurationPath = joinPath(folder, ModelConfiguration.fileName)
        var configuration = try JSONReader(configurationDocument()).object()
        switch weights {
        case .archive:
            guard let type else { return }
            try Self.configuration(configuration, weightsAs: type).write(to: configurationPath)
        case .gguf(let file):
            configuration["bos_token_id"] = tokenizer.beginning.first.map { .integer($0) }
            let ends = endTokens.map { JSONValue.integer($0) }
            configuration["eos_token_id"] = ends.count > 1 ? .array(ends) : ends.first
            let written = try folderPlace(of: description.input.table, as: type).type
            try Self.configuration(configuration, weightsAs: written).write(to: configurationPath)
            try tokenizer.document.write(to: joinPath(folder, Tokenizer.fileName))
            let settings = try GGUFTokenizerSettings(file.metadata)
            try settings.document(tokenizer).write(to: joinPath(folder, TokenizerSettings.fileName))
        }
    }

    private static func configuration(_ object: JSONObject, weightsAs type: ElementType) -> JSONValue {
        let names: [ElementType: JSONValue] = [.float32: "float32", .float16: "float16", .bfloat16: "bfloat16"]
        var object = object
        if let name = names[type] { object[object["dtype"] == nil ? "torch_dtype" : "dtype"] = name }
        return .object(object)
    }

    /// The name of a parameter in a folder, and the type that it is written in: the given one, or that which it came in,
    /// BF16 where that is none of floats.
    package func folderPlace(
        of parameter: ParameterID, as type: ElementType? = nil
    ) throws(PithError) -> (name: String, type: ElementType) {
        let (name, own): (String, ElementType?)
        switch weights {
        case .archive(let archive):
            name = storedName(of: parameter, in: archive)
            own = archive.contains(name) ? try archive.tensor(name).type : configuration.elementType
        case .gguf(let file):
            name = description[parameter].name
            own = description[parameter].ggufName.flatMap { file[tensor: $0]?.type?.element }
        }
        let isPlain = own == .float32 || own == .float16 || own == .bfloat16
        return (name, type ?? (isPlain ? own : nil) ?? .bfloat16)
    }

    /// A parameter as it lies in a Hugging Face folder, unchanged: the tensor of a folder, or what a GGUF file's stands
    /// for, rounded to the type that it has there.
    package func content(
        of parameter: ParameterID, layouts: LayoutCatalogue
    ) throws(PithError) -> TensorContent {
        let (name, type) = try folderPlace(of: parameter)
        let spec = description[parameter]
        switch weights {
        case .archive(let archive): return TensorContent(try archive.tensor(name))
        case .gguf:
            guard spec.kind != .vector, spec.arrangement == .plain else {
                let values =
                    spec.kind == .vector
                    ? Tensor(shape: spec.shape, values: try vector(parameter))
                    : try matrix(parameter, layouts: layouts).denseWeight(pool: layouts.pool)
                return TensorContent(StoredTensor(spec.arrangement.given(values), as: type))
            }
            // Opened when it is written, and some rows decoded at a time.
            return TensorContent(type: type, shape: spec.shape) { (consumer) throws(PithError) in
                try matrix(parameter, layouts: layouts).forEachRounded(to: type, pool: layouts.pool, consumer)
            }
        }
    }
}

extension LinearOperator {
    /// Gives the rows of W to `body`, rounded to `type`, some at a time.
    fileprivate func forEachRounded(
        to type: ElementType, pool: ThreadPool, _ body: TensorContent.Consumer
    ) throws(PithError) {
        guard let rows = self as? any RowDecodable else {
            return try TensorContent(StoredTensor(denseWeight(pool: pool), as: type)).forEachPiece(body)
        }
        let together = max(1, (1 << 21) / max(1, inputCount))
        for start in stride(from: 0, to: outputCount, by: together) {
            let part = start..<min(outputCount, start + together)
            var decoded = Tensor(rows: part.count, columns: inputCount)
            pool.forEachBlock(of: part.count, grain: 16, writing: &decoded.values, width: inputCount) { block, values in
                values.withUnsafeMutableBufferPointer { values in
                    guard let base = values.baseAddress else { return }
                    for (i, row) in block.enumerated() { rows.decodeRow(start + row, into: base + i * inputCount) }
                }
            }
            try StoredTensor(decoded, as: type).region.withBytes(body)
        }
    }
}
