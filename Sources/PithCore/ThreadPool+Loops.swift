/// What the threads of one loop share on the promise of the caller, see `forEachBlock(of:grain:sharing:body:)`.
@usableFromInline
struct Promised<Value>: @unchecked Sendable {
    @usableFromInline let value: Value

    @inlinable
    init(_ value: Value) { self.value = value }
}

extension ThreadPool {
    /// Calls `body` on blocks as `forEachBlock(of:grain:_:)` does, and gives it what is not `Sendable`, as pointers are.
    ///
    /// Nothing but the caller's promise protects what is shared so: no block may write what another reads or writes.
    @inlinable
    public func forEachBlock<each Shared>(
        of count: Int, grain: Int, sharing shared: repeat each Shared,
        body: @Sendable (Range<Int>, repeat each Shared) -> Void
    ) {
        let promised = Promised((repeat each shared))
        forEachBlock(of: count, grain: grain) { block in body(block, repeat each promised.value) }
    }

    /// Calls `body` on blocks as `forEachBlock(of:grain:_:)` does, with the part of `array` that each writes: `width`
    /// elements for each of its indices. The array must have that many.
    @inlinable
    public func forEachBlock<Element>(
        of count: Int, grain: Int, writing array: inout [Element], width: Int = 1,
        body: @Sendable (Range<Int>, _ part: inout MutableSpan<Element>) -> Void
    ) {
        forEachBlock(of: count, grain: grain, writing: &array, width: width, sharing: ()) { block, part, _ in
            body(block, &part)
        }
    }

    /// Calls `body` with the part of `array` that a block writes and with what blocks share.
    @inlinable
    public func forEachBlock<Element, each Shared>(
        of count: Int, grain: Int, writing array: inout [Element], width: Int = 1, sharing shared: repeat each Shared,
        body: @Sendable (Range<Int>, _ part: inout MutableSpan<Element>, repeat each Shared) -> Void
    ) {
        precondition(array.count >= count * width, "\(count) times \(width) elements into \(array.count)")
        let promised = Promised((repeat each shared))
        array.withUnsafeMutableBufferPointer { whole in
            forEachBlock(of: count, grain: grain, sharing: whole) { block, whole in
                var part = whole.extracting(block.lowerBound * width..<block.upperBound * width).mutableSpan
                body(block, &part, repeat each promised.value)
            }
        }
    }

    /// What `body` makes of 0, 1, … `count` - 1, at most `grain` neighbours of which are made by one thread together.
    /// Where some fail, the error is that of the first.
    @inlinable
    public func map<Element: Sendable, Failure: Error, each Shared>(
        _ count: Int, grain: Int = 1, sharing shared: repeat each Shared,
        body: @Sendable (Int, repeat each Shared) throws(Failure) -> Element
    ) throws(Failure) -> [Element] {
        var results = [Result<Element, Failure>?](repeating: nil, count: count)
        let promised = Promised((repeat each shared))
        forEachBlock(of: count, grain: grain, writing: &results) { block, results in
            for (place, index) in block.enumerated() {
                results[place] = Result { () throws(Failure) in try body(index, repeat each promised.value) }
            }
        }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for case let result? in results { elements.append(try result.get()) }
        return elements
    }
}
