import CPithKernels
import PithCore
import PithTensor

/// Socket: the keys and values of one layer, however they are kept.
public protocol KeyValueStore: Sendable {
    /// Positions held.
    var count: Int { get }
    /// Exactly how many bits the held positions occupy.
    var storedBits: Int { get }

    /// Appends `rows` positions; keys (already rotated) and values are [rows, headCount · headSize].
    mutating func append(keys: UnsafePointer<Float>, values: UnsafePointer<Float>, rows: Int)

    /// Attends for the last `rows` positions: queries and output are [rows, queryHeads · headSize].
    ///
    /// Row r sees the first `count - rows + r + 1` positions; query head h reads key-value head
    /// h / (queryHeads / headCount).
    func attend(
        _ queries: UnsafePointer<Float>, queryHeads: Int, rows: Int, into output: UnsafeMutablePointer<Float>,
        pool: ThreadPool)

    /// Forgets all but the first `count` positions.
    mutating func truncate(to count: Int)

    /// The held positions as tensors, to be saved.
    var stored: [String: StoredTensor] { get }

    /// Takes up what `stored` gave; replaces what is held.
    mutating func restore(_ tensors: [String: StoredTensor]) throws(PithError)
}

/// The plain filler: keys and values as floats, position after position.
public struct PlainKeyValueStore: KeyValueStore {
    /// Key-value heads.
    public let headCount: Int
    /// Elements of a head's vector.
    public let headSize: Int
    // [count, headCount · headSize]
    private var keys: [Float] = []
    private var values: [Float] = []

    /// An empty store, with room for `capacity` positions set aside.
    public init(headCount: Int, headSize: Int, capacity: Int = 0) {
        self.headCount = headCount
        self.headSize = headSize
        keys.reserveCapacity(capacity * headCount * headSize)
        values.reserveCapacity(capacity * headCount * headSize)
    }

    private var width: Int { headCount * headSize }
    /// Positions held.
    public var count: Int { keys.count / max(1, width) }
    /// 32 bits for each element.
    public var storedBits: Int { (keys.count + values.count) * 32 }

    /// Appends [rows, headCount · headSize] of each.
    public mutating func append(keys: UnsafePointer<Float>, values: UnsafePointer<Float>, rows: Int) {
        self.keys.append(contentsOf: UnsafeBufferPointer(start: keys, count: rows * width))
        self.values.append(contentsOf: UnsafeBufferPointer(start: values, count: rows * width))
    }

    /// Forgets all but the first `count` positions.
    public mutating func truncate(to count: Int) {
        keys.removeLast(max(0, self.count - count) * width)
        values.removeLast(values.count - keys.count)
    }

    /// One query and head at a time, over all keys before it.
    public func attend(
        _ queries: UnsafePointer<Float>, queryHeads: Int, rows: Int, into output: UnsafeMutablePointer<Float>,
        pool: ThreadPool
    ) {
        let kernels = kernels
        let (count, width, headSize) = (count, width, headSize)
        let queriesPerHead = queryHeads / headCount
        let scale = 1 / Float(headSize).squareRoot()
        keys.withUnsafeBufferPointer { keys in
            values.withUnsafeBufferPointer { values in
                pool.forEachBlock(of: rows * queryHeads, grain: rows == 1 ? 1 : 16) { block in
                    withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { scores in
                        for index in block {
                            let (row, head) = (index / queryHeads, index % queryHeads)
                            let offset = head / queriesPerHead * headSize
                            kernels.attend(
                                queries + index * headSize, keys.baseAddress! + offset, values.baseAddress! + offset,
                                Int64(count - rows + row + 1), Int64(width), Int64(headSize), scale,
                                scores.baseAddress!, output + index * headSize)
                        }
                    }
                }
            }
        }
    }

    /// `keys` and `values`, [positions, headCount, headSize].
    public var stored: [String: StoredTensor] {
        let shape = [count, headCount, headSize]
        return [
            "keys": StoredTensor(Tensor(shape: shape, values: keys)),
            "values": StoredTensor(Tensor(shape: shape, values: values)),
        ]
    }

    /// Takes up `keys` and `values`.
    public mutating func restore(_ tensors: [String: StoredTensor]) throws(PithError) {
        guard let keys = tensors["keys"], let values = tensors["values"], keys.shape == values.shape,
            keys.shape.count == 3, Array(keys.shape[1...]) == [headCount, headSize]
        else { throw .data("saved keys and values do not fit [positions, \(headCount), \(headSize)]") }
        (self.keys, self.values) = (try keys.decoded().values, try values.decoded().values)
    }
}
