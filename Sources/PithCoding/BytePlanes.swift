import PithTensor

/// Elements of a tensor as planes of bytes, the most significant first, so that like bytes lie together.
///
/// Where an element is a sign, eight or more bits of exponent and a mantissa, the sign moves to the lowest bit: the
/// first plane then holds exponents alone.
package struct BytePlanes: Sendable {
    /// How the elements are written.
    package let type: ElementType

    /// The planes of elements of a type.
    package init(_ type: ElementType) { self.type = type }

    /// The number of planes: the bytes of an element.
    package var count: Int { type.byteCount }

    private var movesSign: Bool {
        switch type {
        case .bfloat16, .float32, .float64: true
        default: false
        }
    }

    /// Splits `count` elements, each exclusive-or'ed with that of `base` if there is one, into planes; `planes` says
    /// where each begins.
    package func split(
        _ elements: UnsafeRawPointer, _ base: UnsafeRawPointer?, count: Int,
        into planes: UnsafePointer<UnsafeMutablePointer<UInt8>>
    ) {
        switch (self.count, movesSign) {
        case (2, true): Self.split(elements, base, count, planes) { (x: UInt16) in x &<< 1 | x &>> 15 }
        case (2, false): Self.split(elements, base, count, planes) { (x: UInt16) in x }
        case (4, true): Self.split(elements, base, count, planes) { (x: UInt32) in x &<< 1 | x &>> 31 }
        case (4, false): Self.split(elements, base, count, planes) { (x: UInt32) in x }
        case (8, true): Self.split(elements, base, count, planes) { (x: UInt64) in x &<< 1 | x &>> 63 }
        case (8, false): Self.split(elements, base, count, planes) { (x: UInt64) in x }
        default: Self.split(elements, base, count, planes) { (x: UInt8) in x }
        }
    }

    /// Puts planes, given by where each begins, together again.
    package func merge(
        _ planes: UnsafePointer<UnsafePointer<UInt8>>, _ base: UnsafeRawPointer?, count: Int,
        into elements: UnsafeMutableRawPointer
    ) {
        switch (self.count, movesSign) {
        case (2, true): Self.merge(planes, base, count, elements) { (x: UInt16) in x &>> 1 | x &<< 15 }
        case (2, false): Self.merge(planes, base, count, elements) { (x: UInt16) in x }
        case (4, true): Self.merge(planes, base, count, elements) { (x: UInt32) in x &>> 1 | x &<< 31 }
        case (4, false): Self.merge(planes, base, count, elements) { (x: UInt32) in x }
        case (8, true): Self.merge(planes, base, count, elements) { (x: UInt64) in x &>> 1 | x &<< 63 }
        case (8, false): Self.merge(planes, base, count, elements) { (x: UInt64) in x }
        default: Self.merge(planes, base, count, elements) { (x: UInt8) in x }
        }
    }

    @inline(__always)
    private static func split<Word: FixedWidthInteger & BitwiseCopyable>(
        _ elements: UnsafeRawPointer, _ base: UnsafeRawPointer?, _ count: Int,
        _ planes: UnsafePointer<UnsafeMutablePointer<UInt8>>, _ turn: (Word) -> Word
    ) {
        let size = MemoryLayout<Word>.size
        @inline(__always) func load(_ source: UnsafeRawPointer, _ i: Int) -> Word {
            Word(littleEndian: source.loadUnaligned(fromByteOffset: i &* size, as: Word.self))
        }
        @inline(__always) func run(_ word: (Int) -> Word) {
            // Up to four planes are named, so that the loop knows where they are.
            let (a, b) = (planes[0], planes[size > 1 ? 1 : 0])
            let (c, d) = (planes[size > 2 ? 2 : 0], planes[size > 2 ? 3 : 0])
            for i in 0..<count {
                let turned = turn(word(i))
                @inline(__always) func byte(_ plane: Int) -> UInt8 {
                    UInt8(truncatingIfNeeded: turned &>> Word(8 * (size - 1 - plane)))
                }
                a[i] = byte(0)
                if size > 1 { b[i] = byte(1) }
                if size > 2 {
                    c[i] = byte(2)
                    d[i] = byte(3)
                }
                if size > 4 { for plane in 4..<size { planes[plane][i] = byte(plane) } }
            }
        }
        if let base { run { load(elements, $0) ^ load(base, $0) } } else { run { load(elements, $0) } }
    }

    @inline(__always)
    private static func merge<Word: FixedWidthInteger & BitwiseCopyable>(
        _ planes: UnsafePointer<UnsafePointer<UInt8>>, _ base: UnsafeRawPointer?, _ count: Int,
        _ elements: UnsafeMutableRawPointer, _ turn: (Word) -> Word
    ) {
        let size = MemoryLayout<Word>.size
        // Two planes at a time are named, so that the loop reads them by registers.
        @inline(__always) func run(_ word: (Int) -> Word) {
            for i in 0..<count {
                elements.storeBytes(of: turn(word(i)).littleEndian, toByteOffset: i &* size, as: Word.self)
            }
        }
        let (a, b) = (planes[0], planes[size > 1 ? 1 : 0])
        let (c, d) = (planes[size > 2 ? 2 : 0], planes[size > 2 ? 3 : 0])
        switch size {
        case 1: run { Word(truncatingIfNeeded: a[$0]) }
        case 2: run { Word(truncatingIfNeeded: UInt16(a[$0]) &<< 8 | UInt16(b[$0])) }
        case 4:
            run {
                Word(
                    truncatingIfNeeded: UInt32(a[$0]) &<< 24 | UInt32(b[$0]) &<< 16 | UInt32(c[$0]) &<< 8
                        | UInt32(d[$0]))
            }
        default:
            run { i in (0..<size).reduce(Word(0)) { $0 << 8 | Word(truncatingIfNeeded: planes[$1][i]) } }
        }
        guard let base else { return }
        for i in 0..<count * size {
            let byte = elements.load(fromByteOffset: i, as: UInt8.self) ^ base.load(fromByteOffset: i, as: UInt8.self)
            elements.storeBytes(of: byte, toByteOffset: i, as: UInt8.self)
        }
    }
}
