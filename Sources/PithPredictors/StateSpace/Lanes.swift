import PithTensor

/// Sixteen numbers side by side. Sums run over these lanes in a fixed order, with separate multiplications and
/// additions: the same bits on every machine.
package typealias Lanes = SIMD16<Float>

extension UnsafeMutablePointer<Float> {
    /// The sixteen numbers from `place` on.
    @inline(__always)
    func lanes(_ place: Int) -> Lanes { UnsafeRawPointer(self + place).loadUnaligned(as: Lanes.self) }

    /// Replaces the sixteen numbers from `place` on.
    @inline(__always)
    func store(_ values: Lanes, _ place: Int) {
        UnsafeMutableRawPointer(self + place).storeBytes(of: values, as: Lanes.self)
    }

    /// Adds to the sixteen numbers from `place` on.
    @inline(__always)
    func add(_ values: Lanes, _ place: Int) { store(lanes(place) + values, place) }

    /// Sets `count` numbers to 0.
    @inline(__always)
    func clear(_ count: Int) { update(repeating: 0, count: count) }
}

/// The sum of sixteen numbers, by halves.
@inline(__always)
package func laneSum(_ values: Lanes) -> Float {
    let eight = values.lowHalf + values.highHalf
    let four = eight.lowHalf + eight.highHalf
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
}

/// Σ aᵢ · bᵢ over `count` numbers, a multiple of 16.
@inline(__always)
func dot(_ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
    var sum = Lanes()
    for place in stride(from: 0, to: count, by: 16) { sum += a.lanes(place) * b.lanes(place) }
    return laneSum(sum)
}

/// y = x · W, with W of [rows, columns]; x of [rows], y of [columns], a multiple of 16.
@inline(__always)
func multiply(
    _ x: UnsafeMutablePointer<Float>, _ weight: UnsafeMutablePointer<Float>, rows: Int, columns: Int,
    into y: UnsafeMutablePointer<Float>
) {
    for column in stride(from: 0, to: columns, by: 16) {
        var sum = Lanes()
        for row in 0..<rows { sum += weight.lanes(row &* columns &+ column) * x[row] }
        y.store(sum, column)
    }
}

/// x += W · y: the way back of `multiply`.
@inline(__always)
func multiplyBack(
    _ y: UnsafeMutablePointer<Float>, _ weight: UnsafeMutablePointer<Float>, rows: Int, columns: Int,
    addingTo x: UnsafeMutablePointer<Float>
) {
    for row in 0..<rows { x[row] += dot(weight + row &* columns, y, columns) }
}

/// G += x ⊗ y: the gradient of W in `multiply`.
@inline(__always)
func addOuter(
    _ x: UnsafeMutablePointer<Float>, _ y: UnsafeMutablePointer<Float>, rows: Int, columns: Int,
    to gradient: UnsafeMutablePointer<Float>
) {
    for column in stride(from: 0, to: columns, by: 16) {
        let values = y.lanes(column)
        for row in 0..<rows { gradient.add(values * x[row], row &* columns &+ column) }
    }
}

/// e^x to about 2 units in the last place, for |x| cut at 87.
@inline(__always)
package func exponential(_ x: Lanes) -> Lanes {
    // e^x = 2^n · e^r with |r| ≤ ln 2 / 2. Adding 1.5 · 2²³ rounds to a whole number, which then stands in the low bits.
    let cut = pointwiseMin(pointwiseMax(x, Lanes(repeating: -87)), Lanes(repeating: 87))
    let magic = Lanes(repeating: 12_582_912)
    let shifted = cut * 1.442_695 + magic
    let whole = shifted - magic
    let r = (cut - whole * 0.693_359_4) - whole * -2.121_944_4e-4
    var series = r * 0.001_388_889 + 0.008_333_334
    series = series * r + 0.041_666_668
    series = series * r + 0.166_666_67
    series = series * r + 0.5
    series = series * r + 1
    series = series * r + 1
    let bits = unsafeBitCast(shifted, to: SIMD16<UInt32>.self) &- SIMD16(repeating: 0x4B40_0000 &- 127)
    return series * unsafeBitCast(bits &<< 23, to: Lanes.self)
}

/// 1 / (1 + e^−x).
@inline(__always)
package func sigmoid(_ x: Lanes) -> Lanes { 1 / (1 + exponential(-x)) }

/// ln(1 + e^x).
@inline(__always)
package func softplus(_ x: Lanes) -> Lanes {
    let zero = Lanes()
    let positive = pointwiseMax(x, zero)
    let u = exponential(x - positive - positive)
    // ln(1 + u) = 2 artanh(u / (2 + u)), whose argument is at most 1/3.
    let s = u / (u + 2)
    let square = s * s
    var series = square * 0.111_111_11 + 0.142_857_15
    series = series * square + 0.2
    series = series * square + 0.333_333_34
    series = series * square + 1
    return positive + (s + s) * series
}

/// ln x for a positive normal number.
package func logarithm(_ x: Float) -> Float {
    // x = 2^n · m with m in [√½, √2), and ln m = 2 artanh((m − 1) / (m + 1)).
    let bits = x.bitPattern
    var n = Int32(bits >> 23) - 127
    var m = Float(bitPattern: bits & 0x7F_FFFF | 0x3F80_0000)
    if m > 1.414_213_5 {
        m *= 0.5
        n += 1
    }
    let s = (m - 1) / (m + 1)
    let square = s * s
    var series = square * 0.111_111_11 + 0.142_857_15
    series = series * square + 0.2
    series = series * square + 0.333_333_34
    series = series * square + 1
    return Float(n) * 0.693_147_2 + (s + s) * series
}

/// Numbers of [count], zero at first, that end with their owner.
package final class FloatBuffer {
    package let floats: UnsafeMutablePointer<Float>
    package let count: Int

    package init(_ count: Int) {
        self.count = count
        floats = .allocate(capacity: max(16, count))
        floats.initialize(repeating: 0, count: max(16, count))
    }

    deinit { floats.deallocate() }

    /// Fills `count` numbers from `place` on with seeded ones, at most `range` from `middle`.
    func fill(_ place: Int, _ count: Int, within range: Float, around middle: Float, _ random: inout SeededGenerator) {
        for i in place..<place + count {
            // 24 random bits: exact in a Float.
            floats[i] = middle + range * (Float(random.next() >> 40) / 8_388_608 - 1)
        }
    }
}
