import CPithKernels
import PithCore
import PithFormats
import PithTensor

/// Models larger than memory: matrices and tables are opened when their turn comes, and closed behind it.
extension ModelSource {
    /// The model without its matrices and tables, which `open` puts in their places.
    ///
    /// Checksums are not compared: what is opened here is a model as it came.
    package func loadClosedModel(pool: ThreadPool) throws(PithError) -> LanguageModel {
        do {
            return try LanguageModel(description, configuration, pool: pool) { (id) throws(PithError) in
                ClosedMatrix(description[id])
            } vector: { (id) throws(PithError) in
                try vector(id)
            }
        } catch { throw error.within(path) }
    }

    /// Puts matrices and tables among `parameters` in their places in `model`, as they are stored, unless `other` gives
    /// another form of one. A GGUF file's are laid out for the kernels, all else stays where it is mapped.
    package func open(
        _ parameters: [ParameterID], in model: inout LanguageModel, layouts: LayoutCatalogue,
        inPlaceOf other: (ParameterID) throws(PithError) -> (any LinearOperator)? = { _ in nil }
    ) throws(PithError) {
        do throws(PithError) {
            for id in parameters where description[id].kind != .vector {
                if let form = try other(id) {
                    model[matrix: id] = form
                } else {
                    model[matrix: id] = try matrix(id, layouts: layouts)
                }
            }
        } catch { throw error.within(path) }
    }

    /// Takes matrices and tables out of a model again, and gives their memory back.
    package func close(_ parameters: [ParameterID], in model: inout LanguageModel) {
        for id in parameters where description[id].kind != .vector {
            model[matrix: id] = ClosedMatrix(description[id])
            releaseMemory(of: id)
        }
    }

    /// Lets the system take back the memory that a parameter is mapped to.
    package func releaseMemory(of parameter: ParameterID) {
        switch weights {
        case .archive(let archive):
            try? archive.tensor(storedName(of: parameter, in: archive)).region.releaseMemory()
        case .gguf(let file):
            guard let name = description[parameter].ggufName, let tensor = file[tensor: name] else { return }
            file.region(of: tensor).releaseMemory()
        }
    }

    /// Exactly how many bits the weights occupy in memory when the model is open. Each is opened and closed again, and
    /// compared with its checksum if it has one.
    public func memoryBits(layouts: LayoutCatalogue, pool: ThreadPool) throws(PithError) -> Int {
        var (layouts, bits) = (layouts, 0)
        layouts.pool = pool
        do throws(PithError) {
            if case .archive(let archive) = weights {
                try manifest?.checksums?.verify(archive, pool: pool, isHeld: false)
            }
            for (index, spec) in description.parameters.enumerated() {
                let id = ParameterID(index)
                if spec.kind == .vector {
                    bits += 32 * (try vector(id)).count
                } else {
                    bits += try matrix(id, layouts: layouts).memoryBits
                    releaseMemory(of: id)
                }
            }
        } catch { throw error.within(path) }
        return bits
    }

    /// About the most bytes of memory that a matrix or table takes while it is open.
    public func largestOpenBytes() throws(PithError) -> Int {
        var most = 0
        for (index, spec) in description.parameters.enumerated() where spec.kind != .vector {
            let id = ParameterID(index)
            // What is stored in parts, those that are decoded counted twice.
            var bytes = 2 * spec.count
            if isPlain(id) { bytes = try openBytes(of: id) }
            most = max(most, bytes)
        }
        return most
    }

    /// Whether a parameter is one tensor of its file.
    private func isPlain(_ id: ParameterID) -> Bool {
        guard case .archive(let archive) = weights else { return true }
        return archive.contains(storedName(of: id, in: archive))
    }

    /// Bytes of a parameter in its file.
    package func fileBytes(of parameter: ParameterID) throws(PithError) -> Int {
        switch weights {
        case .archive(let archive):
            return try archive.tensor(storedName(of: parameter, in: archive)).byteCount
        case .gguf(let file):
            guard let name = description[parameter].ggufName else { return 0 }
            let tensor = try file.tensor(name).tensor
            return description[parameter].ggufSlice == nil
                ? tensor.byteCount : tensor.byteCount / max(1, tensor.shape.first ?? 1)
        }
    }

    /// Bytes of memory that a matrix or table takes while it is open: those of its file, or of a GGUF file's the blocks
    /// as the kernels read them, which take about as many.
    package func openBytes(of parameter: ParameterID) throws(PithError) -> Int {
        let (spec, bytes) = (description[parameter], try fileBytes(of: parameter))
        switch weights {
        // What lies transposed is decoded, turned and rounded again.
        case .archive: return spec.arrangement == .transposed ? 2 * bytes + 8 * spec.count : bytes
        // Eight factors and minima of a block of 256 take 16 bytes instead of 12, and like ratios.
        case .gguf: return bytes * 9 / 8
        }
    }
}

/// Stands in a model for a matrix or table that is not open.
private struct ClosedMatrix: RowDecodable {
    let outputCount: Int
    let inputCount: Int
    var storedBits: Int { 0 }

    init(_ spec: ParameterSpec) { (outputCount, inputCount) = (spec.shape[0], spec.shape[1]) }

    func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        preconditionFailure("a matrix of a layer that is not open")
    }
}
