import Pith

/// One measurement, with what the machine could do just before and after.
struct Sample: Codable, Sendable {
    /// What was measured.
    var speeds: Speeds
    /// The mean of what the machine could do before and after.
    var limits: Limits
    /// The most that these limits allow.
    var bound: Speeds
    /// The share of the machine that other programs took meanwhile; nil where the system does not tell.
    var otherPrograms: Double?
}

/// All measurements of one contestant.
struct Row: Codable, Sendable {
    var shape: String
    var program: String
    var layout: String
    var bitsPerWeight: Double
    /// What products are computed in, or may be.
    var arithmetic: Arithmetic
    /// One for each round.
    var samples: [Sample]

    /// The median of something over the rounds.
    func median(_ value: (Sample) -> Double) -> Double { pith_bench.median(samples.map(value)) }
    /// Medians of tokens per second.
    var speeds: Speeds { Speeds(prefill: median(\.speeds.prefill), decode: median(\.speeds.decode)) }
    /// Medians of the shares of the bounds, each sample against its own.
    var shares: Speeds {
        Speeds(
            prefill: median { $0.speeds.prefill / $0.bound.prefill },
            decode: median { $0.speeds.decode / $0.bound.decode })
    }
}

extension Contestant {
    /// Measures once, between two looks at the machine.
    fileprivate func sample(on machine: Machine, _ patience: Patience) throws(PithError) -> Sample {
        let (sample, others) = try patience.whileQuiet { () throws(PithError) in
            let before = machine.limits(of: work)
            let speeds = try measure()
            let limits = Limits.between(before, machine.limits(of: work))
            return Sample(speeds: speeds, limits: limits, bound: work.bound(limits))
        }
        var result = sample
        result.otherPrograms = others
        return result
    }
}

/// Measures some contestants in turns, so that whatever else the machine does falls on all of them.
func takeTurns(
    _ contestants: [Contestant], shape: Shape, rounds: Int, on machine: Machine, patience: Patience
) throws(PithError) -> [Row] {
    var rows = contestants.map {
        Row(
            shape: shape.name, program: $0.program, layout: $0.layout, bitsPerWeight: $0.bitsPerWeight,
            arithmetic: $0.work.arithmetic, samples: [])
    }
    for _ in 0..<rounds {
        for (i, contestant) in contestants.enumerated() {
            rows[i].samples.append(try contestant.sample(on: machine, patience))
        }
    }
    return rows
}

/// How much faster one contestant is than another.
struct Ratio: Codable, Sendable {
    var shape: String
    var layout: String
    /// The other program and its type.
    var against: String
    /// Medians of the ratios of single rounds.
    var ratio: Speeds

    /// The ratio of two rows that were measured in turns.
    init(_ row: Row, against other: Row) {
        shape = row.shape
        layout = row.layout
        against = "\(other.program) \(other.layout)"
        let pairs = zip(row.samples, other.samples)
        ratio = Speeds(
            prefill: median(pairs.map { $0.speeds.prefill / $1.speeds.prefill }),
            decode: median(pairs.map { $0.speeds.decode / $1.speeds.decode }))
    }
}
