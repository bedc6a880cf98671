/// The last bytes, as they are: from none to many.
struct OrderContexts {
    /// How many last bytes each context has.
    let orders: [Int]

    init(_ settings: MixSettings) {
        switch (settings.effort, settings.content) {
        case (.best, .text): orders = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 0]
        case (.default, .text): orders = [1, 2, 3, 4, 5, 6, 8, 13, 0]
        case (.best, let content) where content.isBinary: orders = [1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 0]
        case (.default, let content) where content.isBinary: orders = [1, 2, 3, 4, 5, 6, 8, 0]
        default: orders = [1, 2, 3, 4, 6, 0]
        }
    }

    var count: Int { orders.count }

    func add(_ history: History, to bank: inout ContextBank) {
        var (hash, length): (UInt64, Int) = (0, 0)
        for order in orders {
            if order == 0 { (hash, length) = (0, 0) }
            while length < order {
                length += 1
                hash = Hash.combine(hash, UInt64(history.byte(length)))
            }
            bank.add(Hash.combine(hash, UInt64(order)))
        }
    }
}
