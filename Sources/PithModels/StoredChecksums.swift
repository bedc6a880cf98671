import PithCore
import PithFormats
import PithTensor

/// What the bytes of stored tensors should be: the XXH64 of each, by tensor name.
///
/// A folder that was compressed keeps them in its manifest, for every tensor of its weight files.
public struct StoredChecksums: Equatable, Sendable {
    /// The checksums by tensor name.
    public let values: [String: UInt64]

    /// Takes checksums.
    public init(_ values: [String: UInt64]) { self.values = values }

    /// Reads every tensor of `archive`, which stays in memory as far as there is any if it `isHeld`; throws if the bytes of
    /// one are not those that were written.
    public func verify(_ archive: TensorArchive, pool: ThreadPool, isHeld: Bool = true) throws(PithError) {
        let place = archive.files.count == 1 ? archive.files[0] : archive.folder
        if let missing = values.keys.filter({ !archive.contains($0) }).min() {
            throw .data("the tensor '\(missing)' is missing", at: place)
        }
        if let unknown = archive.names.first(where: { values[$0] == nil }) {
            throw .data(
                "the tensor '\(unknown)' has no checksum", at: place,
                remedy: "\(CompressionManifest.fileName) and the weights should be of one model")
        }
        var tensors: [StoredTensor] = []
        for name in archive.names { tensors.append(try archive.tensor(name)) }
        let found = Self.checksums(of: tensors, pool: pool, isHeld: isHeld)
        let damaged = zip(archive.names, found).filter { values[$0] != $1 }.map(\.0)
        guard let first = damaged.first else { return }
        let others = damaged.count > 1 ? " and \(damaged.count - 1) more" : ""
        throw .data(
            "the tensor '\(first)'\(others) is damaged: the bytes are not those that were written", at: place,
            remedy: "copy the folder again, or compress the model again")
    }

    /// Reads every tensor of a file that holds no others, once, and holds none; throws if the bytes of one are not those
    /// that were written.
    package func verify(_ file: SafetensorsFile) throws(PithError) {
        guard Set(file.names) == Set(values.keys) else {
            throw .data("holds other tensors than were written", at: file.path)
        }
        for name in file.names {
            guard let tensor = file[name] else { continue }
            var hash = XXHash64()
            tensor.region.forEachPiece { hash.update($0) }
            guard hash.value == values[name] else {
                throw .data("the tensor '\(name)' is damaged: the bytes are not those that were written", at: file.path)
            }
        }
    }

    private static func checksums(of tensors: [StoredTensor], pool: ThreadPool, isHeld: Bool) -> [UInt64] {
        var checksums = [UInt64](repeating: 0, count: tensors.count)
        // The largest first, so that no thread ends with one that the others wait for.
        let order = tensors.indices.sorted { (tensors[$1].byteCount, $0) < (tensors[$0].byteCount, $1) }
        let found = pool.map(order.count) { place in
            let region = tensors[order[place]].region
            guard !isHeld else { return region.withBytes { XXHash64.hash($0) } }
            var hash = XXHash64()
            region.forEachPiece { hash.update($0) }
            return hash.value
        }
        for (index, checksum) in zip(order, found) { checksums[index] = checksum }
        return checksums
    }
}

extension UInt64 {
    /// Sixteen hexadecimal digits.
    var hexadecimal: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The number that sixteen hexadecimal digits say.
    init?(hexadecimal digits: String) {
        guard digits.utf8.count == 16, let value = UInt64(digits, radix: 16) else { return nil }
        self = value
    }
}
