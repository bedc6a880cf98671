import PithCore
import PithPredictors

/// What coding or decoding segments takes, in memory and in time.
struct SegmentWork {
    /// The method.
    let method: any DataMethod
    /// Bytes of content.
    let count: Int

    /// The work for one method.
    init(method: any DataMethod, count: Int) { (self.method, self.count) = (method, count) }

    /// The work for a segment of an archive; nil if its method is not known.
    init?(_ header: SegmentHeader) {
        guard let spec = try? Spec(parsing: header.spec), let method = try? DataCatalogue.method(for: spec) else {
            return nil
        }
        self.init(method: method, count: header.count)
    }

    /// The bytes of memory, the language model's, the content's and the payload's among them.
    func memory(_ context: CodingContext) throws(PithError) -> Int {
        var model = 0
        if let name = method.modelName {
            // Its weights, and what it makes of a block of tokens.
            model = try context.models.open(name, pool: context.pool).size.value + (48 << 20)
        }
        // The content and the payload, each twice while one is made from the other.
        return method.memory(for: count, context) + 4 * count + model
    }

    /// About how many nanoseconds it takes on one thread.
    func time(_ context: CodingContext) -> Int { method.workCount(for: count, context) &* method.costPerByte }

    /// The part of the time of each of several segments that counts where they are coded side by side: together they
    /// take as long as the longest.
    static func share(of times: [Int]) -> Double {
        let sum = times.reduce(0, +)
        return sum == 0 ? 0 : Double(times.max() ?? 0) / Double(sum)
    }
}

extension CodingContext {
    /// The same for a method whose bytes take a time of their own, and of whose time a share counts.
    func weighed(by method: any DataMethod, share: Double) -> CodingContext {
        var context = self
        let (cost, advance) = (Double(method.costPerByte) * share, self.advance)
        context.advance = { advance(Int(Double($0) * cost)) }
        return context
    }
}
