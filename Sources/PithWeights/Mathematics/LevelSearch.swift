import PithTensor

// How scales and minima are chosen for a few weights that share them: what is kept is the choice with the least squared
// error, each weight's error counted by the importance of its column, and the best scale for given codes follows from
// them by least squares. llama.cpp's importance matrices rest on the same idea.

/// Weights that share a scale, and how much the error of each counts.
struct WeightGroup {
    let weights: UnsafePointer<Float>
    let importance: UnsafePointer<Float>
    let count: Int

    /// The weight of the largest magnitude.
    var peak: Float {
        var peak: Float = 0
        for i in 0..<count where abs(weights[i]) > abs(peak) { peak = weights[i] }
        return peak
    }
}

/// The nearest whole number, of magnitude below 2²²: ties to even. Plain arithmetic, which compilers turn into vectors.
@inline(__always)
func nearest(_ x: Float) -> Float { (x + 12_582_912) - 12_582_912 }

extension SIMD8<Float> {
    /// The sum of the lanes, in one order on all machines.
    fileprivate var pairwiseSum: Float {
        let four = lowHalf + highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }
}

extension WeightGroup {
    /// By what scales are multiplied that spread the largest weight over the whole range, to be tried.
    private static let shares: [Float] = (0..<26).map { 0.6 + 0.02 * Float($0) }

    /// The scale for codes in a range of whole numbers, weight = scale · code. It may be negative where the range is not
    /// the same both ways, unless `isPositive`: it is to have no sign.
    func scale(_ range: ClosedRange<Float>, isPositive: Bool = false) -> Float {
        let peak = isPositive ? abs(peak) : peak
        guard peak != 0 else { return 0 }
        var best = (gain: -Float.infinity, scale: Float(0))
        var bounds = [range.upperBound]
        if !isPositive, -range.lowerBound != range.upperBound { bounds.append(range.lowerBound) }
        for bound in bounds {
            for share in Self.shares { consider(peak / bound * share, range, &best) }
        }
        // Once more with the codes that the best scale gives.
        consider(best.scale, range, &best)
        return best.scale
    }

    /// Scale and zero for codes from 0 to `highest`, weight = scale · (code − zero), zero being one of them.
    func scaleAndZero(highest: Float) -> (scale: Float, zero: Float) {
        var (low, high) = (Float(0), Float(0))
        for i in 0..<count { (low, high) = (min(low, weights[i]), max(high, weights[i])) }
        guard high > low else { return (0, 0) }
        var best = (gain: -Float.infinity, scale: Float(0), zero: Float(0))
        func consider(_ scale: Float, _ zero: Float) {
            guard (0...highest).contains(zero) else { return }
            var found = (gain: best.gain, scale: best.scale)
            self.consider(scale, -zero...highest - zero, &found)
            if found.gain > best.gain { best = (found.gain, found.scale, zero) }
        }
        // Both ends of the range move inwards, each by itself.
        for lowShare in Self.ends {
            for highShare in Self.ends {
                let scale = (high * highShare - low * lowShare) / highest
                consider(scale, nearest(min(highest, max(0, -low * lowShare / scale))))
            }
        }
        // Once more with the codes that the best gives, and with the zeros beside its own.
        for step: Float in [0, -1, 1] { consider(best.scale, best.zero + step) }
        return (best.scale, best.zero)
    }

    /// By what both ends of a range are multiplied, to be tried.
    private static let ends = Array(stride(from: Float(0.55), through: 1.05, by: 0.0625))

    /// Least squares for the codes that a scale gives: the gain is by how much the error is below that of zeros.
    ///
    /// Eight sums, added up in one order, so that compilers can use vectors.
    @inline(__always)
    private func consider(
        _ scale: Float, _ range: ClosedRange<Float>, _ best: inout (gain: Float, scale: Float)
    ) {
        guard scale != 0, scale.isFinite else { return }
        let (inverse, low, high) = (1 / scale, range.lowerBound, range.upperBound)
        var (products, squares) = (SIMD8<Float>(), SIMD8<Float>())
        let (source, shares) = (UnsafeRawPointer(weights), UnsafeRawPointer(importance))
        let (lowest, highest) = (SIMD8<Float>(repeating: low), SIMD8<Float>(repeating: high))
        let whole = count & ~7
        for start in stride(from: 0, to: 4 * whole, by: 32) {
            let weight = source.loadUnaligned(fromByteOffset: start, as: SIMD8<Float>.self)
            let share = shares.loadUnaligned(fromByteOffset: start, as: SIMD8<Float>.self)
            let code = (pointwiseMin(highest, pointwiseMax(lowest, weight * inverse)) + 12_582_912) - 12_582_912
            products += share * weight * code
            squares += share * code * code
        }
        var (product, square) = (products.pairwiseSum, squares.pairwiseSum)
        for i in whole..<count {
            let code = nearest(min(high, max(low, weights[i] * inverse)))
            product += importance[i] * weights[i] * code
            square += importance[i] * code * code
        }
        guard square > 0 else { return }
        let gain = product * product / square
        if gain > best.gain { best = (gain, product / square) }
    }

    /// Scale and minimum for codes from 0 to `highest`, weight = scale · code − minimum. `sign`: the minimum is to be none
    /// below zero, as of blocks that store it without a sign.
    func scaleAndMinimum(highest: Float, isMinimumPositive: Bool) -> (scale: Float, minimum: Float) {
        var (low, high) = (Float.infinity, -Float.infinity)
        for i in 0..<count { (low, high) = (min(low, weights[i]), max(high, weights[i])) }
        if isMinimumPositive { low = min(low, 0) }
        guard high > low else { return isMinimumPositive ? (low < 0 ? (0, -low) : (0, 0)) : (0, -low) }
        var best = (error: Float.infinity, scale: (high - low) / highest, minimum: -low)
        func consider(_ start: Float, _ scale: Float) {
            guard scale > 0, scale.isFinite else { return }
            let fit = fit(start, 1 / scale, highest, isMinimumPositive)
            if fit.error < best.error { best = fit }
        }
        // Both ends of the range move inwards, each by itself.
        for lowShare in stride(from: Float(0.6), through: 1.05, by: 0.075) {
            for highShare in stride(from: Float(0.6), through: 1.05, by: 0.075) {
                let middle = (low + high) / 2
                let (start, end) = (middle - (middle - low) * lowShare, middle + (high - middle) * highShare)
                consider(isMinimumPositive ? min(start, 0) : start, (end - start) / highest)
            }
        }
        consider(-best.minimum, best.scale)
        return (best.scale, best.minimum)
    }

    /// Least squares for the codes that a start and a scale give.
    private func fit(
        _ start: Float, _ inverse: Float, _ highest: Float, _ isMinimumPositive: Bool
    ) -> (error: Float, scale: Float, minimum: Float) {
        // Sums of importance times 1, code, code², weight, weight · code, weight².
        var (n, c, cc, w, wc, ww): (Float, Float, Float, Float, Float, Float) = (0, 0, 0, 0, 0, 0)
        for i in 0..<count {
            let (weight, share) = (weights[i], importance[i])
            let code = nearest(min(highest, max(0, (weight - start) * inverse)))
            n += share
            c += share * code
            cc += share * code * code
            w += share * weight
            wc += share * weight * code
            ww += share * weight * weight
        }
        let determinant = n * cc - c * c
        var (scale, offset) = (1 / inverse, start)
        if determinant > 1e-6 * n * cc, n > 0 {
            scale = (n * wc - c * w) / determinant
            offset = (cc * w - c * wc) / determinant
        }
        if isMinimumPositive && offset > 0 {
            offset = 0
            scale = cc > 0 ? wc / cc : scale
        }
        guard scale > 0 else { return (.infinity, 0, 0) }
        let error =
            ww + scale * scale * cc + offset * offset * n - 2 * scale * wc - 2 * offset * w + 2 * scale * offset * c
        return (error, scale, -offset)
    }

    /// The scale for codes that name the entries of a table, weight = scale · entry; `isPositive`: it is to have no sign.
    func scale(_ table: LevelTable, isPositive: Bool = false) -> Float {
        let peak = peak
        guard peak != 0 else { return 0 }
        var best = (gain: -Float.infinity, scale: Float(0))
        func consider(_ scale: Float) {
            let inverse = 1 / scale
            guard scale.isFinite, inverse.isFinite else { return }
            var (product, square): (Float, Float) = (0, 0)
            for i in 0..<count {
                let entry = table.nearest(weights[i] * inverse)
                product += importance[i] * weights[i] * entry
                square += importance[i] * entry * entry
            }
            guard square > 0 else { return }
            let gain = product * product / square
            if gain > best.gain { best = (gain, product / square) }
        }
        for bound in isPositive ? [peak > 0 ? table.highest : table.lowest] : [table.lowest, table.highest] {
            for share in Self.shares { consider(peak / bound * share) }
        }
        consider(best.scale)
        return best.scale
    }

    /// The squared error, counted by importance, of weights at the nearest levels.
    func error(_ levels: GroupLevels) -> Float {
        (0..<count).reduce(0) { sum, i in
            let difference = weights[i] - levels.weight(levels.code(weights[i]))
            return sum + importance[i] * difference * difference
        }
    }
}

/// Levels that codes name, up to 256 of them.
struct LevelTable: Sendable {
    /// In ascending order.
    private let entries: [Float]
    private let codes: [Float]
    /// Between each entry and the next; infinity behind the last.
    private let borders: [Float]
    /// How many borders lie below −128, −127, …, 127.
    private let bordersBelow: [UInt8]
    /// By code.
    private let entryOfCode: [Float]

    /// The table whose entries files name by their place.
    init(_ book: [Int8]) {
        let order = book.indices.sorted { (book[$0], $0) < (book[$1], $1) }
        entryOfCode = book.map { Float($0) }
        entries = order.map { Float(book[$0]) }
        codes = order.map { Float($0) }
        let borders = zip(order, order.dropFirst()).map { (Float(book[$0]) + Float(book[$1])) / 2 } + [.infinity]
        self.borders = borders
        bordersBelow = (-128..<128).map { place in UInt8(borders.count { $0 < Float(place) }) }
    }

    /// The smallest and the largest entry.
    var lowest: Float { entries[0] }
    var highest: Float { entries[entries.count - 1] }

    @inline(__always)
    private func place(_ x: Float) -> Int {
        var place = Int(bordersBelow[Int(min(255, max(0, x + 128)))])
        while x > borders[place] { place += 1 }
        return place
    }

    /// The entry nearest to a number.
    @inline(__always)
    func nearest(_ x: Float) -> Float { entries[place(x)] }
    /// The code of the entry nearest to a number.
    @inline(__always)
    func code(_ x: Float) -> Float { codes[place(x)] }
    /// The entry of a code.
    @inline(__always)
    func entry(_ code: Float) -> Float { entryOfCode[Int(code)] }
}
