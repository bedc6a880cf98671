import Synchronization

/// Where the bits of a coded run of bytes went: by region of the input, and by model.
public final class CodingTrace: Sendable {
    /// What was noted.
    public struct Contents: Sendable {
        /// Bytes of input in a region.
        public let regionSize: Int
        /// Bits spent on each region of `regionSize` bytes, in order.
        public var regionBits: [Double] = []
        /// For each model of a mixture, the bits it would have spent alone, in the order in which models were named.
        public var modelBits: [(name: String, bits: Double)] = []
    }

    /// Bytes of input in a region.
    public let regionSize: Int
    private let state: Mutex<Contents>

    /// An empty trace.
    public init(regionSize: Int = 4096) {
        self.regionSize = max(1, regionSize)
        state = Mutex(Contents(regionSize: self.regionSize))
    }

    /// What was noted so far.
    public var contents: Contents { state.withLock { $0 } }

    /// Adds bits that were spent on the input byte at `offset`.
    public func add(bits: Double, at offset: Int) { add(bits: bits, on: offset..<offset + 1) }

    /// Adds bits that were spent on some bytes of the input together, to each the same share.
    public func add(bits: Double, on bytes: Range<Int>) {
        guard !bytes.isEmpty else { return }
        state.withLock { contents in
            var start = bytes.lowerBound
            while start < bytes.upperBound {
                let region = start / regionSize
                let end = min(bytes.upperBound, (region + 1) * regionSize)
                while contents.regionBits.count <= region { contents.regionBits.append(0) }
                contents.regionBits[region] += bits * Double(end - start) / Double(bytes.count)
                start = end
            }
        }
    }

    /// Adds bits that the model `name` would have spent alone.
    public func add(bits: Double, model name: String) {
        state.withLock { contents in
            if let index = contents.modelBits.firstIndex(where: { $0.name == name }) {
                contents.modelBits[index].bits += bits
            } else {
                contents.modelBits.append((name, bits))
            }
        }
    }
}
