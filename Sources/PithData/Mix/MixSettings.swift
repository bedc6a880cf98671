/// What the engine is set up for.
struct MixSettings {
    /// How many models are mixed.
    enum Effort: String, CaseIterable {
        case `default`, best
    }

    /// What the bytes are, and with it which contexts are used.
    enum Content: UInt8, CaseIterable {
        case text, binary, image1, image8, image24, audio16

        /// The word in specs.
        var name: String { "\(self)" }
    }

    var effort: Effort
    var content: Content
    /// Bytes in a record, a row of a picture or a frame of sound; 0 if there are none.
    var width: Int

    static let largestWidth = 1 << 20
}
